package recent

import (
	"strconv"
	"testing"
)

func TestSet(t *testing.T) {
	s := New()
	s.Add("a", "bc")
	for _, texts := range [][]string{{"ab", "c"}, {"abc"}, {"a"}, {"a", "bc", ""}, nil} {
		if s.Has(texts...) {
			t.Errorf("%q: got what was not added", texts)
		}
	}
	if !s.Has("a", "bc") {
		t.Error("what was added is not there")
	}
	s.Remove("a", "bc")
	if s.Has("a", "bc") {
		t.Error("what was removed is there")
	}
}

func TestForgetting(t *testing.T) {
	s := New()
	s.Add("first")
	for i := range 2*generation - 1 {
		s.Add(strconv.Itoa(i))
	}
	if !s.Has("first") || !s.Has("0") {
		t.Error("forgotten too early")
	}
	s.Add("the drop too much")
	if s.Has("first") {
		t.Error("nothing is forgotten")
	}
	if len(s.young)+len(s.old) > 2*generation {
		t.Errorf("got %d texts, want %d at most", len(s.young)+len(s.old), 2*generation)
	}
}
