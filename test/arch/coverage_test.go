package arch

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Every row of the list of what there is names tests, or says why not.
func TestCoverage(t *testing.T) {
	const list = "testdata/sharing.txt"
	body, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]int{}
	for n, line := range strings.Split(string(body), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		where := fmt.Sprintf("%s:%d", list, n+1)
		said, shown, ok := strings.Cut(line, "|")
		id, title, _ := strings.Cut(said, " ")
		group, number, _ := strings.Cut(id, "-")
		i, err := strconv.Atoi(number)
		if !ok || err != nil || strings.TrimSpace(title) == "" {
			t.Fatalf("%s: %q is no row: a number, a title, | and tests", where, line)
		}
		if i != last[group]+1 {
			t.Errorf("%s: %s comes after %s-%02d", where, id, group, last[group])
		}
		last[group] = i
		tests := strings.Fields(shown)
		switch {
		case len(tests) == 0:
			t.Errorf("%s: no tests, and no reason", where)
		case tests[0] == "-":
			if len(tests) < 3 {
				t.Errorf("%s: no reason", where)
			}
			continue
		}
		for _, name := range tests {
			dir, name, _ := strings.Cut(name, ".")
			if !exists(t, dir, name) {
				t.Errorf("%s: there is no %s in %s", where, name, dir)
			}
		}
	}
	if want := map[string]int{"SP": 18, "OCS": 10, "SH": 18, "PL": 12}; !maps.Equal(last, want) {
		t.Errorf("%s: the last numbers are %v, want %v", list, last, want)
	}
}
