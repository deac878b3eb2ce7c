package graph

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"opencloud/cloud"
)

var fields = map[string][]string{"a": {"1"}, "b": {"it's"}, "c": {""}, "l/id": {"x", "y"}, "e/id": nil}

func lookUp(name string) []string { return fields[name] }

func TestFilter(t *testing.T) {
	for in, want := range map[string]bool{
		"":                                 true,
		" \t":                              true,
		"a eq 1":                           true,
		"a eq '1'":                         true,
		"a eq'1'":                          true,
		"a ne 1":                           false,
		"a EQ 1":                           true,
		"b eq 'it''s'":                     true,
		"c eq ''":                          true,
		"a eq 2 or b ne x":                 true,
		"a eq 1 or a eq 1 and a eq 2":      true, // and binds tighter
		"(a eq 1 or a eq 1) and a eq 2":    false,
		"not a eq 2":                       true,
		"not not (a eq 1)":                 true,
		"not a eq 2 and a eq 2":            false,
		"((((a eq 1))))":                   true,
		"a eq and":                         false,
		"a eq 'and' or(a eq 1)and(a eq 1)": true,

		"contains(a,'1')":                               true,
		"contains( b , 'IT''S' )":                       true,
		"contains(b,'x')":                               false,
		"contains(b,'')":                                true,
		"CONTAINS(b,it)":                                true,
		"startswith(b,'it')":                            true,
		"startswith(b,'s')":                             false,
		"not contains(b,'x') and a eq 1":                true,
		"l/any(m:m/id eq 'x')":                          true,
		"l/any(m:m/id eq x)":                            true,
		"l/any( elem : elem/id eq 'y' )":                true,
		"l/any(m:m/id eq 'z')":                          false,
		"l/any(m:m/id ne 'x')":                          true,
		"not l/any(m:m/id eq 'x')":                      false,
		"l/any(m:not (m/id eq 'x'))":                    true,
		"l/any(m:m/id eq 'x' and m/id eq 'y')":          false, // no element is both
		"l/any(m:m/id eq 'x') and l/any(m:m/id eq 'y')": true,
		"l/any(m:m/id eq 'z' or m/id eq 'y')":           true,
		"l/any(m:contains(m/id,'Y'))":                   true,
		"e/any(m:m/id eq '')":                           false,
		"not e/any(m:m/id ne 'x')":                      true,
		"(l/any(a:a/id eq 1) or l/any(a:a/id eq x)) and contains(a,'1') and (a eq '1')": true,
	} {
		f, err := parseFilter(in, "a", "b", "c", "l/id", "e/id")
		if err != nil {
			t.Errorf("%q: %v", in, err)
		} else if got := f(lookUp); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
	for in, kind := range map[string]cloud.Kind{
		"A eq 1":                               cloud.Invalid,
		"a":                                    cloud.Invalid,
		"'":                                    cloud.Invalid,
		"a eq":                                 cloud.Invalid,
		"a eq 'x":                              cloud.Invalid,
		"a eq 1 b":                             cloud.Invalid,
		"a eq 1 and":                           cloud.Invalid,
		"a gt 1":                               cloud.Invalid,
		"d eq 1":                               cloud.Invalid,
		"'a' eq 1":                             cloud.Invalid,
		"(a eq 1":                              cloud.Invalid,
		"a eq 1)":                              cloud.Invalid,
		"a eq (":                               cloud.Invalid,
		"()":                                   cloud.Invalid,
		"or":                                   cloud.Invalid,
		"contains(d,'1')":                      cloud.Invalid,
		"contains(a '1')":                      cloud.Invalid,
		"contains(a,'1'":                       cloud.Invalid,
		"contains a,'1'":                       cloud.Invalid,
		"contains(a,)":                         cloud.Invalid,
		"contains(l/id,'x')":                   cloud.Invalid,
		"endswith(a,'1')":                      cloud.Invalid,
		"l/id eq x":                            cloud.Invalid,
		"l eq x":                               cloud.Invalid,
		"l/all(m:m/id eq x)":                   cloud.Invalid,
		"l/any(m:a eq 1)":                      cloud.Invalid,
		"l/any(m:m/name eq 1)":                 cloud.Invalid,
		"l/any(m:n/id eq 1)":                   cloud.Invalid,
		"l/any(m/id eq 1)":                     cloud.Invalid,
		"l/any(m:)":                            cloud.Invalid,
		"l/any(m:m/id eq 1":                    cloud.Invalid,
		"l/any m:m/id eq 1":                    cloud.Invalid,
		"z/any(m:m/id eq 1)":                   cloud.Invalid,
		"l/any(m:l/any(n:n/id eq 1))":          cloud.Invalid,
		"l/any(m:m/id eq 1) and m/id eq 1":     cloud.Invalid,
		"/any(m:m/id eq 1)":                    cloud.Invalid,
		"a eq 1:2":                             cloud.Invalid,
		strings.Repeat("(", 100):               cloud.Invalid,
		strings.Repeat("not ", 100) + "a eq 1": cloud.Invalid,
		strings.Repeat("x", maxFilter+1):       cloud.TooLarge,
	} {
		if _, err := parseFilter(in, "a", "b", "c", "l/id"); cloud.KindOf(err) != kind {
			t.Errorf("%.40q: got %v, want %v", in, err, kind)
		}
	}
}

// What is parsed means what was written.
func TestFilterMeaning(t *testing.T) {
	var expr func(r *rapid.T, deep int) (string, bool)
	expr = func(r *rapid.T, deep int) (string, bool) {
		kind := rapid.IntRange(0, 3).Draw(r, "kind")
		if deep == 0 {
			kind = 3
		}
		switch kind {
		case 0:
			s, v := expr(r, deep-1)
			return "not (" + s + ")", !v
		case 1:
			a, va := expr(r, deep-1)
			b, vb := expr(r, deep-1)
			return "(" + a + ") and (" + b + ")", va && vb
		case 2:
			a, va := expr(r, deep-1)
			b, vb := expr(r, deep-1)
			return a + " or " + b, va || vb
		}
		name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "field")
		value := rapid.SampledFrom([]string{"1", "it's", "", "(x)"}).Draw(r, "value")
		op := rapid.SampledFrom([]string{"eq", "ne"}).Draw(r, "op")
		return name + " " + op + " '" + strings.ReplaceAll(value, "'", "''") + "'", (fields[name][0] == value) == (op == "eq")
	}
	rapid.Check(t, func(r *rapid.T) {
		s, want := expr(r, 4)
		f, err := parseFilter(s, "a", "b", "c")
		if err != nil {
			r.Fatalf("%q: %v", s, err)
		}
		if got := f(lookUp); got != want {
			r.Fatalf("%q: got %v, want %v", s, got, want)
		}
	})
}

func FuzzFilter(f *testing.F) {
	f.Add("driveType eq 'personal' or not (id ne a$b)")
	f.Add("a eq 'it''s' and((b ne x))")
	f.Add("l/any(m:m/id eq 'x' or contains(m/id,'y')) and not startswith(a,1)")
	f.Fuzz(func(t *testing.T, s string) {
		want, err := parseFilter(s, "a", "b", "c", "l/id")
		if err != nil {
			if k := cloud.KindOf(err); k != cloud.Invalid && k != cloud.TooLarge {
				t.Fatalf("got %v", err)
			}
			return
		}
		want(lookUp)
		if again, err := parseFilter("not ("+s+")", "a", "b", "c", "l/id"); err == nil && strings.TrimSpace(s) != "" && again(lookUp) == want(lookUp) {
			t.Fatalf("%q is the same as its contrary", s)
		}
	})
}
