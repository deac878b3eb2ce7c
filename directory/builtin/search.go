package builtin

import (
	"iter"
	"sort"
	"strings"
)

// A haystack has the texts of all accounts one behind the other, so that a search
// goes through memory in one sweep. It is made for a search that comes after
// a change.
type haystack struct {
	of   []*account // accounts.sorted
	all  string
	ends []int // behind the text of each and the "\n" after it
}

func (d *Directory) search() *haystack {
	d.mu.RLock()
	now := d.sorted
	d.mu.RUnlock()
	t := d.haystack.Load()
	if t != nil && len(t.of) == len(now) && (len(now) == 0 || &t.of[0] == &now[0]) { // sorted is never altered
		return t
	}
	t = &haystack{of: now, ends: make([]int, len(now))}
	var b strings.Builder
	size := 0
	for _, a := range now {
		size += len(a.text(searched)) + 1
	}
	b.Grow(size)
	for i, a := range now {
		b.WriteString(a.text(searched))
		b.WriteByte('\n')
		t.ends[i] = b.Len()
	}
	t.all = b.String()
	d.haystack.Store(t)
	return t
}

// find yields the accounts in whose text, a line of it, the search is.
func (t *haystack) find(search string) iter.Seq[*account] {
	return func(yield func(*account) bool) {
		if strings.Contains(search, "\n") {
			return
		}
		for from := 0; from < len(t.all); {
			n := strings.Index(t.all[from:], search)
			if n < 0 {
				return
			}
			i := sort.SearchInts(t.ends, from+n+1)
			if !yield(t.of[i]) {
				return
			}
			from = t.ends[i]
		}
	}
}
