package client

import (
	"context"
	"errors"
	"iter"
	"time"

	lib "github.com/go-ldap/ldap/v3"

	"opencloud/cloud"
)

var scopes = map[string]int{"base": lib.ScopeBaseObject, "one": lib.ScopeSingleLevel, "sub": lib.ScopeWholeSubtree}

// A Query is what to look for.
type Query struct {
	Base   string
	Scope  string // "base", "one" or "sub"
	Filter string
	Attrs  []string
}

// request has a bound on the number of entries; 0 is that of the server.
func (c *Client) request(q Query, size int, controls ...lib.Control) *lib.SearchRequest {
	seconds := max(1, int(c.opts.Timeout/time.Second))
	return lib.NewSearchRequest(q.Base, scopes[q.Scope], lib.NeverDerefAliases, size, seconds, false, q.Filter, q.Attrs, controls)
}

// One is the only entry that matches; nil if there is none. What several
// match is as good as not there: to guess would be worse. NotExist when a
// base that is asked for alone is not there.
func (c *Client) One(ctx context.Context, q Query) (*lib.Entry, error) {
	var found []*lib.Entry
	err := c.with(ctx, c.lookups, true, func(l *link) error {
		res, err := l.Search(c.request(q, 2))
		if Code(err, lib.LDAPResultSizeLimitExceeded) {
			found = []*lib.Entry{nil, nil}
			return nil
		}
		if err == nil {
			found = res.Entries
		}
		return err
	})
	switch {
	case err != nil && q.Scope != "base":
		return nil, baseMissing(err)
	case err != nil:
		return nil, err
	case len(found) > 1:
		c.ambiguous.Do(func() {
			c.opts.Log.Warn("several entries of the directory match where there should be one; they count as none", "base", q.Base, "filter", q.Filter)
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

// List yields all entries that match. It may take long, as may what the
// caller does with them.
func (c *Client) List(ctx context.Context, q Query) iter.Seq2[*lib.Entry, error] {
	return c.each(ctx, c.listings, q)
}

// Find is List for few entries, which can be asked for while a List goes on.
func (c *Client) Find(ctx context.Context, q Query) iter.Seq2[*lib.Entry, error] {
	return c.each(ctx, c.lookups, q)
}

// each yields all entries that match, a page at a time (RFC 2696). No
// connection is held for the last page, which most often is the only one.
func (c *Client) each(ctx context.Context, from *pool, q Query) iter.Seq2[*lib.Entry, error] {
	return func(yield func(*lib.Entry, error) bool) {
		wait, cancel := context.WithTimeoutCause(ctx, c.opts.Timeout, errSlow)
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
		paging := lib.NewControlPaging(uint32(c.opts.Page))
		for {
			res, err := c.page(ctx, l, q, paging)
			if err != nil {
				if q.Scope != "base" {
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
func (c *Client) page(ctx context.Context, l *link, q Query, paging *lib.ControlPaging) (res *lib.SearchResult, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.opts.Timeout, errSlow)
	defer cancel()
	err = l.ask(ctx, func() error {
		res, err = l.Search(c.request(q, 0, paging))
		return err
	})
	if err != nil && context.Cause(ctx) == errSlow {
		// That a listing takes too long does not say that nothing works.
		return nil, &cloud.Error{Kind: cloud.Unavailable, Say: "The directory of users took too long to list this. Search for fewer.", Err: errSlow}
	}
	return res, c.fault(ctx, err)
}

// Change makes a request that alters the directory. It is not made twice,
// even where nobody knows whether it was heard.
func (c *Client) Change(ctx context.Context, request func(*lib.Conn) error) error {
	return c.with(ctx, c.lookups, false, func(l *link) error { return request(l.Conn) })
}

// Check tells whether the password, which is not empty, is that of a DN.
func (c *Client) Check(ctx context.Context, dn, password string) (right bool, err error) {
	err = c.with(ctx, c.checks, true, func(l *link) error {
		err := l.Bind(dn, password)
		var e *lib.Error
		if errors.As(err, &e) {
			switch e.ResultCode {
			// Servers have many ways to say no: locked, expired, not from here.
			case lib.LDAPResultInvalidCredentials, lib.LDAPResultInappropriateAuthentication, lib.LDAPResultUnwillingToPerform,
				lib.LDAPResultConstraintViolation, lib.LDAPResultInsufficientAccessRights, lib.LDAPResultNoSuchObject, lib.LDAPResultInvalidDNSyntax:
				return nil
			}
		}
		right = err == nil
		return err
	})
	return right, err
}
