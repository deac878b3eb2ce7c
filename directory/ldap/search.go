package ldap

import (
	"context"
	"iter"
	"time"

	lib "github.com/go-ldap/ldap/v3"

	"opencloud/cloud"
)

var scopes = map[string]int{"base": lib.ScopeBaseObject, "one": lib.ScopeSingleLevel, "sub": lib.ScopeWholeSubtree}

// A query is what to look for.
type query struct {
	base, scope, filter string
	attrs               []string
}

// userQuery looks for those users for whom the filter holds; empty is all.
func (d *Directory) userQuery(filter string) query {
	o := &d.opts
	attrs := []string{
		"objectClass", o.UserID, o.UserName, o.UserDisplay, o.UserGiven, o.UserSurname, o.UserMail, o.UserType, o.UserEnabled,
		"createTimestamp", "whenCreated",
	}
	if o.UserLastSignIn != "" {
		attrs = append(attrs, o.UserLastSignIn)
	}
	return query{o.UserBase, o.UserScope, and(equal("objectClass", o.UserClass), o.UserFilter, filter), attrs}
}

func (d *Directory) groupQuery(filter string, attrs ...string) query {
	o := &d.opts
	return query{o.GroupBase, o.GroupScope, and(equal("objectClass", o.GroupClass), o.GroupFilter, filter), append(attrs, o.GroupID, o.GroupName, "description")}
}

// request has a bound on the number of entries; 0 is that of the server.
func (d *Directory) request(q query, size int, controls ...lib.Control) *lib.SearchRequest {
	seconds := max(1, int(d.opts.Timeout/time.Second))
	return lib.NewSearchRequest(q.base, scopes[q.scope], lib.NeverDerefAliases, size, seconds, false, q.filter, q.attrs, controls)
}

// one is the only entry that matches; nil if there is none. What several
// match is as good as not there: to guess would be worse.
func (d *Directory) one(ctx context.Context, q query) (*lib.Entry, error) {
	var found []*lib.Entry
	err := d.with(ctx, d.lookups, true, func(l *link) error {
		res, err := l.Search(d.request(q, 2))
		if code(err, lib.LDAPResultSizeLimitExceeded) {
			found = []*lib.Entry{nil, nil}
			return nil
		}
		if err == nil {
			found = res.Entries
		}
		return err
	})
	switch {
	case err != nil && q.scope != "base":
		return nil, baseMissing(err)
	case err != nil:
		return nil, err
	case len(found) > 1:
		d.ambiguous.Do(func() {
			d.log.Warn("several entries of the directory match where there should be one; they count as none", "base", q.base, "filter", q.filter)
		})
	case len(found) == 1:
		return found[0], nil
	}
	return nil, nil
}

// baseMissing turns NotExist of a search below a base into what it is: a
// mistake in the configuration, and not somebody who is not there.
func baseMissing(err error) error {
	if cloud.KindOf(err) == cloud.NotExist {
		return &cloud.Error{Kind: cloud.Unavailable, Say: "The directory of users does not have the place that is configured for users or groups.", Err: err}
	}
	return err
}

// each yields all entries that match, a page at a time (RFC 2696). No
// connection is held for the last page, which most often is the only one.
func (d *Directory) each(ctx context.Context, from *pool, q query) iter.Seq2[*lib.Entry, error] {
	return func(yield func(*lib.Entry, error) bool) {
		wait, cancel := context.WithTimeoutCause(ctx, d.opts.Timeout, errSlow)
		l, _, err := from.take(wait)
		cancel()
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() {
			if l != nil { // in the middle of something
				from.give(l, false)
			}
		}()
		paging := lib.NewControlPaging(uint32(d.opts.Page))
		for {
			res, err := d.page(ctx, l, q, paging)
			if err != nil {
				if q.scope != "base" {
					err = baseMissing(err)
				}
				yield(nil, err)
				return
			}
			next, _ := lib.FindControl(res.Controls, lib.ControlTypePaging).(*lib.ControlPaging)
			last := next == nil || len(next.Cookie) == 0
			if last {
				from.give(l, true)
				l = nil
			}
			for _, e := range res.Entries {
				if !yield(e, nil) {
					return
				}
			}
			if last {
				return
			}
			paging.SetCookie(next.Cookie)
		}
	}
}

// page asks for one page of a listing.
func (d *Directory) page(ctx context.Context, l *link, q query, paging *lib.ControlPaging) (res *lib.SearchResult, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.opts.Timeout, errSlow)
	defer cancel()
	err = l.ask(ctx, func() error {
		res, err = l.Search(d.request(q, 0, paging))
		return err
	})
	if err != nil && context.Cause(ctx) == errSlow {
		// That a listing takes too long does not say that nothing works.
		return nil, &cloud.Error{Kind: cloud.Unavailable, Say: "The directory of users took too long to list this. Search for fewer.", Err: errSlow}
	}
	return res, d.fault(ctx, err)
}
