package ocs

import (
	"cmp"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"opencloud/cloud"
)

// sharees are whom something could be shared with; in Exact stand those whose
// whole name was searched for.
type sharees struct {
	Exact   shareeLists `json:"exact"`
	Groups  []sharee    `json:"groups"`
	Remotes []sharee    `json:"remotes"`
	Users   []sharee    `json:"users"`
}

type shareeLists struct {
	Groups  []sharee `json:"groups"`
	Remotes []sharee `json:"remotes"`
	Users   []sharee `json:"users"`
}

type sharee struct {
	Label string      `json:"label"`
	Value shareeValue `json:"value"`
}

type shareeValue struct {
	Type    int    `json:"shareType"`
	With    string `json:"shareWith"` // for a new share
	Details string `json:"shareWithAdditionalInfo"`
	Guest   int    `json:"userType"` // 1: they are one
}

const (
	mostOnPage = 200
	mostFound  = 1000 // of which the pages are made
)

// listSharees finds users and groups, but not who asks. A search that is too
// short finds nobody.
func (h *handler) listSharees(r *http.Request, _ string) (any, error) {
	s, err := h.scribe(r)
	if err != nil {
		return nil, err
	}
	f := r.URL.Query()
	p, err := pageOf(f)
	if err != nil {
		return nil, err
	}
	search := strings.TrimSpace(f.Get("search"))
	none := []sharee{}
	found := sharees{shareeLists{none, none, none}, none, none, none}
	if asks(f, withUser) {
		if found.Exact.Users, found.Users, err = find(s.people.Users(s.ctx, search), p, search, s.userSharee); err != nil {
			return nil, err
		}
	}
	if asks(f, withGroup) {
		if found.Exact.Groups, found.Groups, err = find(s.people.Groups(s.ctx, search), p, search, groupSharee); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// asks tells whether a search is for a type; unless it names some it is for all.
func asks(f url.Values, kind int) bool {
	types := slices.Concat(f["shareType"], f["shareType[]"])
	return len(types) == 0 || slices.Contains(types, string(rune('0'+kind)))
}

// userSharee is nothing for the caller. names are those that are exact.
func (s *scribe) userSharee(u *cloud.User) (e *sharee, names []string) {
	if u.ID == s.me.ID || u.Disabled {
		return nil, nil
	}
	e = &sharee{displayName(u), shareeValue{Type: withUser, With: uid(u), Details: u.Mail}}
	if u.Kind == cloud.Guest {
		e.Value.Guest = 1
	}
	return e, []string{u.Name, u.Display, u.Mail}
}

func groupSharee(g *cloud.Group) (*sharee, []string) {
	return &sharee{g.Name, shareeValue{Type: withGroup, With: string(g.ID)}}, []string{g.Name}
}

// A page is some of what was found, from the first on.
type page struct{ first, size int }

func pageOf(f url.Values) (p page, err error) {
	p.size = mostOnPage
	for _, key := range [...]string{"perPage", "limit"} {
		if f.Get(key) == "" {
			continue
		}
		if p.size, err = number(f, key); err != nil || p.size < 1 {
			return p, cloud.Refuse(cloud.Invalid, "%s is a number from 1 on.", key)
		}
		p.size = min(p.size, mostOnPage)
	}
	if f.Get("page") == "" {
		return p, nil
	}
	n, err := number(f, "page")
	if err != nil || n < 1 {
		return p, cloud.Refuse(cloud.Invalid, "page is a number from 1 on.")
	}
	p.first = min(n-1, mostFound) * p.size
	return p, nil
}

// find is a page of what a search yields, and before the first one all that
// is exact.
func find[T any](all iter.Seq2[T, error], p page, search string, show func(T) (*sharee, []string)) (exact, other []sharee, err error) {
	exact, other = []sharee{}, []sharee{}
	for x, err := range all {
		if errors.Is(err, cloud.Permission) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		e, names := show(x)
		switch {
		case e == nil:
		case search != "" && slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, search) }):
			exact = append(exact, *e)
		default:
			other = append(other, *e)
		}
		if len(exact)+len(other) >= mostFound {
			break
		}
	}
	slices.SortFunc(other, func(a, b sharee) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label)), cmp.Compare(a.Value.With, b.Value.With))
	})
	if p.first > 0 {
		exact = []sharee{}
	}
	first := min(p.first, len(other))
	return exact, other[first:min(first+p.size, len(other))], nil
}
