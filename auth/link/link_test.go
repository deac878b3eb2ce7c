package link_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/auth"
	"opencloud/auth/link"
	"opencloud/cloud"
	"opencloud/core"
	directory "opencloud/directory/mem"
	storage "opencloud/storage/mem"
)

const password = "open sesame"

// plain keeps passwords as they are.
type plain struct{}

func (plain) Hash(_ context.Context, password string) (string, error) { return password, nil }
func (plain) Matches(_ context.Context, hash, password string) (bool, error) {
	return hash == password, nil
}

var (
	ada = &cloud.User{ID: "11111111-1111-4111-8111-111111111111", Name: "ada", Role: cloud.RoleUser}
	bob = &cloud.User{ID: "22222222-2222-4222-8222-222222222222", Name: "bob", Role: cloud.RoleUser}
)

// A house is ada's, who makes links to a folder in it.
type house struct {
	testing.TB
	core *core.Core
	dir  *directory.Directory
	auth *auth.Auth
	ada  context.Context
	at   cloud.Ref
}

func newHouse(t testing.TB) *house {
	t.Helper()
	dir := directory.New(ada, bob)
	for _, u := range []*cloud.User{ada, bob} {
		if _, err := dir.SetUser(t.Context(), u, "secret of "+u.Name); err != nil {
			t.Fatal(err)
		}
	}
	c := core.New(storage.New(), core.Options{Secrets: plain{}, Log: slog.New(slog.DiscardHandler)})
	h := &house{TB: t, core: c, dir: dir}
	h.calm()
	h.ada = cloud.WithCaller(t.Context(), cloud.Caller{User: ada})
	home, err := c.Home(h.ada)
	if err != nil {
		t.Fatal(err)
	}
	n, err := c.MakeDir(h.ada, cloud.Ref{Space: home.ID, Path: "dir"}, cloud.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	h.at = cloud.Ref{Space: n.Space, Node: n.ID}
	return h
}

// calm forgets who has guessed: three times in a row is allowed.
func (h *house) calm() {
	h.auth = auth.New(h.dir, auth.Options{Basic: true, Guesses: 3, GuessEvery: time.Minute})
	h.auth.AddGate(link.New(h.core, "/dav", "/data"))
}

func (h *house) link(of cloud.LinkType, secret string) *cloud.Grant {
	h.Helper()
	rights, _ := of.Rights(cloud.OnFolder)
	g, _, err := h.core.Give(h.ada, h.at, cloud.Grant{To: cloud.Subject{Link: "new"}, Rights: rights, Link: &cloud.Link{}}, secret)
	if err != nil {
		h.Fatal(err)
	}
	return g
}

// A knock is a request at a door.
type knock struct {
	method string // GET if empty
	path   string
	header []string // in pairs
	basic  []string // name and password
	from   string
}

// answer is who came in, or how it was refused: "<kind> <code>".
func (h *house) answer(k knock) (got string, c cloud.Caller) {
	h.Helper()
	method := k.method
	if method == "" {
		method = "GET"
	}
	r := httptest.NewRequest(method, k.path, nil)
	if k.from != "" {
		r.RemoteAddr = k.from + ":1"
	}
	for i := 0; i < len(k.header); i += 2 {
		r.Header.Set(k.header[i], k.header[i+1])
	}
	if k.basic != nil {
		r.SetBasicAuth(k.basic[0], k.basic[1])
	}
	h.auth.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c = cloud.CallerFrom(r.Context())
		got = string(c.Via())
		if c.User != nil {
			got = strings.TrimSpace(got + " " + c.User.Name)
		}
	}), false, func(_ http.ResponseWriter, _ *http.Request, err error) {
		got = fmt.Sprint(cloud.KindOf(err).Face().HTTP)
		var coded interface {
			Code() string
			Challenge() string
		}
		if errors.As(err, &coded) {
			got += " " + coded.Code()
			if coded.Challenge() != "" {
				got += " asks"
			}
		}
	}).ServeHTTP(httptest.NewRecorder(), r)
	return got, c
}

// Where a link can stand in a request, and what has to stand with it.
func TestPass(t *testing.T) {
	h := newHouse(t)
	open, locked, internal := h.link(cloud.LinkView, ""), h.link(cloud.LinkEdit, password), h.link(cloud.LinkInternal, "")
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	v, err := h.core.Visit(t.Context(), locked.To.Link, password)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := h.core.Sign(cloud.WithCaller(t.Context(), cloud.Caller{Visitor: v}), until)
	if err != nil {
		t.Fatal(err)
	}
	signature := "?signature=" + sig + "&expiration=" + until.UTC().Format(time.RFC3339)
	const (
		missing = "401 ERR_MISSING_BASIC_AUTH asks"
		wrong   = "401 ERR_INVALID_CREDENTIALS asks"
	)
	o, l, n := open.To.Link, locked.To.Link, internal.To.Link
	right := []string{"public", password}
	as := func(u *cloud.User) []string { return []string{u.Name, "secret of " + u.Name} }
	for _, tt := range []struct {
		what string
		knock
		want string
	}{
		{"path", knock{path: "/dav/public-files/" + o}, string(open.ID)},
		{"longer path", knock{path: "/remote.php/dav/public-files/" + o + "/a/b"}, string(open.ID)},
		{"doubled slashes", knock{path: "//dav//public-files//" + o + "//a"}, string(open.ID)},
		{"escaped token", knock{path: "/dav/public-files/%" + fmt.Sprintf("%02x", o[0]) + o[1:]}, string(open.ID)},
		{"any method", knock{method: "PROPFIND", path: "/dav/public-files/" + o}, string(open.ID)},
		{"a user, too", knock{path: "/dav/public-files/" + o, basic: as(bob)}, string(open.ID) + " bob"},
		{"somebody else, wrong", knock{path: "/dav/public-files/" + o, basic: []string{"bob", "guess"}}, string(open.ID)},
		{"a password that is not asked for", knock{path: "/dav/public-files/" + o, basic: right}, string(open.ID)},
		{"header", knock{path: "/dav/spaces/x", header: []string{"public-token", o}}, string(open.ID)},
		{"header for uploads", knock{method: "PATCH", path: "/data/x", header: []string{"public-token", o}}, string(open.ID)},
		{"query", knock{path: "/data/x?a=b&public-token=" + o}, string(open.ID)},
		{"the path wins", knock{path: "/dav/public-files/" + o + "?public-token=" + l, header: []string{"public-token", l}}, string(open.ID)},
		{"header elsewhere", knock{path: "/graph/v1.0/me", header: []string{"public-token", o}}, "401"},
		{"query elsewhere", knock{path: "/davx?public-token=" + o}, "401"},
		{"header elsewhere by a user", knock{path: "/graph/v1.0/me", header: []string{"public-token", o}, basic: as(bob)}, "bob"},
		{"no token", knock{path: "/dav/public-files/"}, "401"},
		{"no token, a user", knock{path: "/dav/public-files/", basic: as(bob)}, "bob"},
		{"bad escape", knock{path: "/dav/public-files/", header: []string{"public-token", "%zz"}}, "404"},
		{"unknown", knock{path: "/dav/public-files/" + o + "x"}, "404"},
		{"unknown with a password", knock{path: "/dav/public-files/" + o + "x", basic: right}, "404"},
		{"locked", knock{path: "/dav/public-files/" + l}, missing},
		{"locked, right", knock{path: "/dav/public-files/" + l, basic: right}, string(locked.ID)},
		{"locked, wrong", knock{path: "/dav/public-files/" + l, basic: []string{"public", "x"}}, wrong},
		{"locked, empty", knock{path: "/dav/public-files/" + l, basic: []string{"public", ""}}, missing},
		{"locked, its password by another name", knock{path: "/dav/public-files/" + l, basic: []string{"bob", password}}, missing},
		{"locked, a user", knock{path: "/dav/public-files/" + l, basic: as(ada)}, missing},
		{"locked, header", knock{path: "/dav/x", header: []string{"public-token", l}, basic: right}, string(locked.ID)},
		{"signed", knock{path: "/dav/public-files/" + l + "/a" + signature}, string(locked.ID)},
		{"signed, HEAD", knock{method: "HEAD", path: "/dav/public-files/" + l + signature}, string(locked.ID)},
		{"signed, PUT", knock{method: "PUT", path: "/dav/public-files/" + l + signature}, missing},
		{"signed, PROPFIND", knock{method: "PROPFIND", path: "/dav/public-files/" + l + signature}, missing},
		{"signed for another", knock{path: "/dav/public-files/" + o + signature}, wrong},
		{"signed, longer", knock{path: "/dav/public-files/" + l + strings.Replace(signature, "expiration=2", "expiration=3", 1)}, wrong},
		{"signed without date", knock{path: "/dav/public-files/" + l + "?signature=" + sig}, wrong},
		{"the old address", knock{path: "/public.php/webdav/a", basic: []string{l, password}}, string(locked.ID)},
		{"the old address, no password", knock{path: "/public.php/webdav", basic: []string{o, ""}}, string(open.ID)},
		{"the old address, wrong", knock{path: "/public.php/webdav", basic: []string{l, "x"}}, wrong},
		{"the old address, nobody", knock{path: "/public.php/webdav"}, "401"},
		{"internal, nobody", knock{path: "/dav/public-files/" + n}, "401 ERR_MISSING_BEARER_AUTH"},
		{"internal, a stranger", knock{path: "/dav/public-files/" + n, basic: as(bob)}, "404"},
		{"internal, the owner", knock{path: "/dav/public-files/" + n, basic: as(ada)}, string(internal.ID) + " ada"},
		{"a user without a link", knock{path: "/dav/spaces/x", basic: as(bob)}, "bob"},
	} {
		got, c := h.answer(tt.knock)
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
		if c.Visitor != nil && c.InPerson() {
			t.Errorf("%s: a visitor is nobody in person", tt.what)
		}
		h.calm()
	}
}

// Who guesses at a link is held up, and nobody else: not at another link, and
// not who has come in before.
func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		g, other := h.link(cloud.LinkView, password), h.link(cloud.LinkView, password)
		at := func(g *cloud.Grant, secret, from string) string {
			t.Helper()
			got, _ := h.answer(knock{path: "/dav/public-files/" + g.To.Link, basic: []string{"public", secret}, from: from})
			return got
		}
		const wrong, late = "401 ERR_INVALID_CREDENTIALS asks", "429"
		guests, thief := "192.0.2.1", "192.0.2.9"
		is := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: got %q, want %q", what, got, want)
			}
		}
		is("a guest", at(g, password, guests), string(g.ID))
		for range 3 {
			is("a guess", at(g, "guess", thief), wrong)
		}
		is("a guess too many", at(g, "guess", thief), late)
		is("the right one, which is no guess any more", at(g, password, thief), string(g.ID))
		is("a guest meanwhile", at(g, password, guests), string(g.ID))
		is("another link", at(other, password, thief), string(other.ID))
		without, _ := h.answer(knock{path: "/dav/public-files/" + g.To.Link, from: thief})
		is("no guess at all", without, "401 ERR_MISSING_BASIC_AUTH asks")

		// A new password counts from the next request on; the old one is wrong,
		// and a guess.
		if _, _, err := h.core.Regrant(h.ada, g.ID, cloud.GrantChange{Secret: new("another sesame")}); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			is("the old password", at(g, password, guests), wrong)
		}
		is("the old password once more", at(g, password, guests), late)
		time.Sleep(time.Minute)
		is("the new password", at(g, "another sesame", guests), string(g.ID))
		for range 50 { // a page full of pictures
			is("the new password again", at(g, "another sesame", guests), string(g.ID))
		}
		if err := h.core.Revoke(h.ada, g.ID); err != nil {
			t.Fatal(err)
		}
		is("after the end", at(g, "another sesame", guests), "404")
	})
}

// A request by a link with a password that was right before.
func BenchmarkPass(b *testing.B) {
	h := newHouse(b)
	gate, g := link.New(h.core), h.link(cloud.LinkView, password)
	r := httptest.NewRequest("GET", "/dav/public-files/"+g.To.Link+"/a", nil)
	r.SetBasicAuth("public", password)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := gate.Pass(r, nil, func(string) error { return nil }); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
