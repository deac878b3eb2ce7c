package recall

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestBounded(t *testing.T) {
	m := New[int](time.Minute)
	for i := range 5 * generation {
		m.Add("a", fmt.Sprint(i), i)
	}
	if got := len(m.young) + len(m.old); got > 2*generation {
		t.Errorf("%d entries, want at most %d", got, 2*generation)
	}
	if got, ok := m.Find("a", fmt.Sprint(5*generation-1)); !ok || got != 5*generation-1 {
		t.Errorf("the latest: got %d, %v", got, ok)
	}
	m.Clear()
	if _, ok := m.Find("a", fmt.Sprint(5*generation-1)); ok {
		t.Error("something is known after Clear")
	}
}

func TestLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, never := New[string](time.Minute), New[string](0)
		for _, m := range []*Memory[string]{m, never} {
			m.Add("ada", "pw", "Ada")
		}
		if got, ok := m.Find("ada", "pw"); !ok || got != "Ada" {
			t.Errorf("got %q, %v, want Ada", got, ok)
		}
		for _, other := range [][2]string{{"ada", "pw "}, {"ad", "a:pw"}, {"ADA", "pw"}, {"", ""}} {
			if got, ok := m.Find(other[0], other[1]); ok {
				t.Errorf("%q: got %q", other, got)
			}
		}
		if _, ok := never.Find("ada", "pw"); ok {
			t.Error("a memory that lasts 0 knows something")
		}
		time.Sleep(time.Minute)
		if got, ok := m.Find("ada", "pw"); ok {
			t.Errorf("after its time: got %q", got)
		}
	})
}
