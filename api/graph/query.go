package graph

import (
	"cmp"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// A collection is how OData wraps a list.
type collection[T any] struct {
	Count *int   `json:"@odata.count,omitempty"`
	Next  string `json:"@odata.nextLink,omitempty"`
	Value []T    `json:"value"`
}

// options reads the query. An OData option that the call does not know is
// refused: to leave it out would answer another question.
func options(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, cloud.Refuse(cloud.Invalid, "The query is not properly encoded.")
	}
	for key, values := range q {
		switch {
		case !strings.HasPrefix(key, "$"):
		case !slices.Contains(known, key):
			return nil, cloud.Refuse(cloud.Invalid, "The query option %.60q is not supported here.", key)
		case len(values) > 1:
			return nil, cloud.Refuse(cloud.Invalid, "The query option %s is given twice.", key)
		}
	}
	return q, nil
}

// list takes apart an option such as $select or $expand and refuses what is
// not among known, if any.
func list(option, value string, known ...string) ([]string, error) {
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		if known != nil && !slices.Contains(known, item) {
			return nil, cloud.Refuse(cloud.Invalid, "%s does not know %q.", option, item)
		}
		items = append(items, item)
	}
	return items, nil
}

// parseOrder reads $orderby and returns what sorts by it, regardless of case.
// by has the text by which each property sorts.
func parseOrder[T any](s string, by map[string]func(T) string) (func([]T), error) {
	keys, err := list("$orderby", s)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		field, direction, _ := strings.Cut(key, " ")
		if direction = strings.TrimSpace(direction); by[field] == nil || direction != "" && direction != "asc" && direction != "desc" {
			return nil, cloud.Refuse(cloud.Invalid, "$orderby does not know %.60q.", key)
		}
	}
	if len(keys) > maxOrder {
		return nil, cloud.Refuse(cloud.Invalid, "$orderby takes %d properties at most.", maxOrder)
	}
	return func(all []T) {
		for _, key := range slices.Backward(keys) { // stable, so the first counts most
			sortBy(all, key, by)
		}
	}, nil
}

// maxOrder is more than there are properties to sort by.
const maxOrder = 5

func sortBy[T any](all []T, key string, by map[string]func(T) string) {
	field, direction, _ := strings.Cut(key, " ")
	sign := 1
	if strings.TrimSpace(direction) == "desc" {
		sign = -1
	}
	type keyed struct {
		lower, exact string
		item         T
	}
	sorted := make([]keyed, len(all))
	for i, item := range all {
		exact := by[field](item)
		sorted[i] = keyed{strings.ToLower(exact), exact, item}
	}
	slices.SortStableFunc(sorted, func(a, b keyed) int {
		return sign * cmp.Or(strings.Compare(a.lower, b.lower), strings.Compare(a.exact, b.exact))
	})
	for i := range sorted {
		all[i] = sorted[i].item
	}
}

// maxSearch is how long what is searched for can be, in bytes.
const maxSearch = 255

// parseSearch reads $search: a phrase in double quotes, with a backslash
// before a quote or backslash in it, or without them when it has neither.
func parseSearch(s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) > 2*maxSearch {
		return "", cloud.Refuse(cloud.TooLarge, "The $search is too long: at most %d bytes.", maxSearch)
	}
	if s == "" || s[0] != '"' {
		if strings.ContainsAny(s, `"\`) {
			return "", cloud.Refuse(cloud.Invalid, "The $search cannot be read: put it into double quotes.")
		}
		return s, nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"' && i == len(s)-1:
			return strings.TrimSpace(b.String()), nil
		case s[i] == '"', s[i] == '\\':
			i = len(s)
		default:
			b.WriteByte(s[i])
		}
	}
	return "", cloud.Refuse(cloud.Invalid, "The $search cannot be read: one phrase in double quotes is understood.")
}

// A window is the part of a list that is asked for.
type window struct {
	top, skip int // top: -1 for all
	count     bool
}

func parseWindow(q url.Values) (window, error) {
	w := window{top: -1}
	for option, to := range map[string]*int{"$top": &w.top, "$skip": &w.skip} {
		if text := q.Get(option); text != "" {
			n, err := strconv.ParseUint(text, 10, 31)
			if err != nil {
				return w, cloud.Refuse(cloud.Invalid, "%s is a number, not %.20q.", option, text)
			}
			*to = int(n)
		}
	}
	switch q.Get("$count") {
	case "", "false":
	case "true":
		w.count = true
	default:
		return w, cloud.Refuse(cloud.Invalid, "$count is true or false.")
	}
	return w, nil
}

// slice is what the window leaves of all.
func slice[T any](r *http.Request, w window, all []T) collection[T] {
	c := collection[T]{Value: all[min(w.skip, len(all)):]}
	if w.count {
		c.Count = new(len(all))
	}
	if w.top >= 0 && w.top < len(c.Value) {
		c.Value = c.Value[:w.top]
		if w.top > 0 {
			q := r.URL.Query()
			q.Set("$skip", strconv.Itoa(w.skip+w.top))
			c.Next = httpx.From(r.Context()).Site.Abs(r.URL.EscapedPath()) + "?" + q.Encode()
		}
	}
	return c
}

// A shape says what can be asked of a list.
type shape[T any] struct {
	search bool                               // takes $search
	fields []string                           // of $filter, see parseFilter
	values func(T) func(name string) []string // of the fields
	order  map[string]func(T) string          // see parseOrder
}

// A listing is what was asked of a list.
type listing[T any] struct {
	search  string
	expand  string // $expand and $select are for the caller to read
	sel     string
	wanted  filter
	order   func([]T)
	window  window
	values  func(T) func(string) []string
	request *http.Request
}

func parseListing[T any](r *http.Request, s shape[T]) (l listing[T], err error) {
	known := []string{"$filter", "$orderby", "$select", "$expand", "$top", "$skip", "$count"}
	if s.search {
		known = append(known, "$search")
	}
	q, err := options(r, known...)
	if err != nil {
		return l, err
	}
	l = listing[T]{expand: q.Get("$expand"), sel: q.Get("$select"), values: s.values, request: r}
	if l.search, err = parseSearch(q.Get("$search")); err != nil {
		return l, err
	}
	if l.wanted, err = parseFilter(q.Get("$filter"), s.fields...); err != nil {
		return l, err
	}
	if l.order, err = parseOrder(q.Get("$orderby"), s.order); err != nil {
		return l, err
	}
	l.window, err = parseWindow(q)
	return l, err
}

// answer writes those of all that were asked for, each as render has it.
func answer[T, J any](w http.ResponseWriter, l listing[T], all iter.Seq2[T, error], render func(T) (J, error)) error {
	var found []T
	for v, err := range all {
		if err != nil {
			return err
		}
		if l.wanted(l.values(v)) {
			found = append(found, v)
		}
	}
	l.order(found)
	some := slice(l.request, l.window, found)
	out := collection[J]{some.Count, some.Next, make([]J, len(some.Value))}
	for i, v := range some.Value {
		var err error
		if out.Value[i], err = render(v); err != nil {
			return err
		}
	}
	return write(w, l.request, http.StatusOK, out)
}
