// Package link lets in who holds a public link. It finds the token and the
// password in a request, and holds up who guesses; it does not know what a
// link opens, nor how its password is kept.
package link

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"opencloud/auth/basic"
	"opencloud/auth/recent"
	"opencloud/cloud"
)

// Links is an auth.Gate.
type Links struct {
	shares cloud.Shares
	places []string
	right  *recent.Set // tokens with their passwords
}

// New lets holders of links in to the addresses of links, and to those places
// (trees, without slash at the end) where a request names the link in its
// header or query. Everywhere else a link counts for nothing.
func New(shares cloud.Shares, places ...string) *Links {
	return &Links{shares: shares, places: places, right: recent.New()}
}

// A ticket is what a request shows of a link.
type ticket struct {
	token     string
	password  string
	ours      bool // the Authorization header is for the link, not for a user
	signature string
	until     time.Time
}

// user is the name that clients send with the password of a link.
const user = "public"

// ticketOf reads a request; false when it is about no link.
func (l *Links) ticketOf(r *http.Request) (t ticket, ok bool) {
	name, password, isBasic := basicAuth(r)
	path := strings.TrimLeft(r.URL.EscapedPath(), "/")
	if within(path, "public.php/webdav") {
		// The old way: the token is the user.
		return ticket{token: name, password: password, ours: true}, isBasic
	}
	if token := inPath(path); token != "" {
		t.token = token
	} else if !l.leads(path) {
		return t, false
	} else if t.token = r.Header.Get("public-token"); t.token == "" {
		t.token = inQuery(r, "public-token")
	}
	if isBasic && name == user {
		t.password, t.ours = password, true
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		t.signature = inQuery(r, "signature")
		t.until, _ = time.Parse(time.RFC3339, inQuery(r, "expiration"))
	}
	return t, t.token != ""
}

func basicAuth(r *http.Request) (name, password string, ok bool) {
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	return basic.Parse(strings.TrimSpace(credentials))
}

func within(path, tree string) bool {
	rest, ok := strings.CutPrefix(path, tree)
	return ok && (rest == "" || rest[0] == '/')
}

func (l *Links) leads(path string) bool {
	for _, p := range l.places {
		if within("/"+path, p) {
			return true
		}
	}
	return false
}

// inPath is the token in /[remote.php/]dav/public-files/{token}/…
func inPath(path string) string {
	next := func() (s string) {
		s, path, _ = strings.Cut(path, "/")
		path = strings.TrimLeft(path, "/")
		return s
	}
	first := next()
	if first == "remote.php" {
		first = next()
	}
	if first != "dav" || next() != "public-files" {
		return ""
	}
	token, err := url.PathUnescape(next())
	if err != nil {
		return ""
	}
	return token
}

func inQuery(r *http.Request, name string) string {
	if !strings.Contains(r.URL.RawQuery, name) { // seldom there, costly to parse
		return ""
	}
	return r.URL.Query().Get(name)
}

// Pass is part of auth.Gate.
func (l *Links) Pass(r *http.Request, signed func() cloud.Caller, try func(account string) error) (c cloud.Caller, ok bool, err error) {
	t, ok := l.ticketOf(r)
	if !ok {
		return c, false, nil
	}
	if !t.ours {
		c = signed()
	}
	v, err := l.visit(cloud.WithCaller(r.Context(), c), &t, try)
	if err == nil && v.Internal && c.User == nil {
		err = &refusal{cloud.Refuse(cloud.Unauthorized, "This link is for people who have access: sign in."), "ERR_MISSING_BEARER_AUTH", ""}
	}
	if err != nil {
		return cloud.Caller{}, true, err
	}
	// Whoever has the link may do what it says; of a user who holds it no more
	// is asked than the name.
	return cloud.Caller{User: c.User, Visitor: v, Proof: cloud.ByURL}, true, nil
}

func (l *Links) visit(ctx context.Context, t *ticket, try func(account string) error) (*cloud.Visitor, error) {
	if t.signature != "" {
		v, err := l.shares.VisitSigned(ctx, t.token, t.signature, t.until)
		return v, wrong(err)
	}
	// Links without a password, and those that are no more, are nothing to
	// guess at; and nobody guesses a token.
	v, err := l.shares.Visit(ctx, t.token, "")
	if err == nil || cloud.KindOf(err) != cloud.Unauthorized {
		return v, err
	}
	if t.password == "" {
		return nil, &refusal{err, "ERR_MISSING_BASIC_AUTH", challenge}
	}
	// A page that shows many pictures at once must not run out of tries.
	known := l.right.Has(t.token, t.password)
	if !known {
		// No user is called that: names that come by Basic have no colon.
		if err := try("link:" + t.token); err != nil {
			return nil, err
		}
	}
	v, err = l.shares.Visit(ctx, t.token, t.password)
	switch {
	case err == nil && !known:
		l.right.Add(t.token, t.password)
	case err != nil && known:
		l.right.Remove(t.token, t.password) // it has changed
	}
	return v, wrong(err)
}

func wrong(err error) error {
	if err != nil && cloud.KindOf(err) == cloud.Unauthorized {
		return &refusal{err, "ERR_INVALID_CREDENTIALS", challenge}
	}
	return err
}

const challenge = `Basic realm="Public link", charset="UTF-8"`

// A refusal knows what clients are told beside the status.
type refusal struct {
	error
	code      string
	challenge string
}

func (e *refusal) Unwrap() error { return e.error }

// Code is for clients that tell one 401 from another.
func (e *refusal) Code() string { return e.code }

// Challenge is the value of WWW-Authenticate; empty: those of the site.
func (e *refusal) Challenge() string { return e.challenge }
