package idp

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/auth/idp/session"
	"opencloud/cloud"
)

var quiet = slog.New(slog.DiscardHandler)

// Who is signed in notices nothing when the keys are lost.
func TestDamagedKeys(t *testing.T) {
	h := newHouse(t)
	g := h.desktop()
	path := filepath.Join(h.path, "keys.json")
	h.p.Close()
	if err := os.WriteFile(path, []byte(`[{"made":"2020-01-01T00:00:00Z","key":{"kty":"oct","k":"AAAA","kid":"x"}}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	h.open()
	if h.good(g) {
		t.Error("a token of the lost key is good")
	}
	if next := h.refresh(desktopID, g.Refresh); !h.good(next) {
		t.Errorf("%+v", next)
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
}

// Nothing in the folder is of use to who reads a copy of it but the keys, and
// nobody else may read any.
func TestSecretsAtRest(t *testing.T) {
	h := newHouse(t)
	g := h.desktop()
	h.refresh(desktopID, g.Refresh)
	cookie := h.cookieOf("session")
	err := filepath.WalkDir(h.path, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
		body, err := os.ReadFile(name)
		for _, s := range []string{g.Access, g.ID, g.Refresh, strings.Split(g.Refresh, ".")[1], strings.Split(cookie, ".")[1], secret} {
			if strings.Contains(string(body), s) {
				t.Errorf("%s holds a secret", name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOneProcess(t *testing.T) {
	h := newHouse(t)
	if p, err := Open(h.path, h.dir, h.opts, quiet); cloud.KindOf(err) != cloud.Exist {
		t.Errorf("a second one: %v, %v; want %v", p, err, cloud.Exist)
	}
}

func TestOptions(t *testing.T) {
	h := newHouse(t)
	for _, text := range []string{
		"alone", "web https://x.example/", "x http://x.example/", "x javascript:alert(1)", "x data:text/html,x", "x https:///x", "x /x",
		"x https://x.example/#f", "x https://u@x.example/", "x https://x.example/ backchannel=x:y", "x logout=https://x.example/", "x https://x.example/#",
	} {
		opts := options(site)
		opts.Clients = []string{text}
		if _, err := Open(t.TempDir(), h.dir, opts, quiet); cloud.KindOf(err) != cloud.Invalid || !strings.Contains(cloud.Say(err), "IDP_CLIENTS") {
			t.Errorf("%q: %v", text, err)
		}
	}
	opts := options(site)
	opts.AccessLife = time.Second
	if _, err := Open(t.TempDir(), h.dir, opts, quiet); cloud.KindOf(err) != cloud.Invalid {
		t.Errorf("a second: %v", err)
	}
}

// A thousand sign-ins of one user leave no more than the bounds allow.
func TestThousandSignIns(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		h.restart()
		defer func() { h.p.Close() }()
		heap := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		var base uint64
		for i := range 1000 {
			if i == 2*session.Max {
				base = heap()
			}
			h.jar, _ = cookiejar.New(nil)
			if g := h.desktop(); g.Status != 200 {
				t.Fatalf("%d: %+v", i, g)
			}
			time.Sleep(time.Second)
		}
		grown := int64(heap()) - int64(base)
		h.restart() // writes anew what there is
		if got, err := os.ReadFile(filepath.Join(h.path, "sessions.jsonl")); err != nil || bytes.Count(got, []byte("\n")) != 2*session.Max+1 {
			t.Errorf("%d lines, want %d sessions and when ada was last signed in; %v", bytes.Count(got, []byte("\n")), 2*session.Max, err)
		}
		if grown > 1<<20 {
			t.Errorf("the heap has grown by %d bytes", grown)
		}
	})
	h.open()
}

// The parser of requests never verifies an address that is not the client's,
// and the whole front of the provider never sends a browser to one.
func FuzzAuthorize(f *testing.F) {
	h := newHouse(f)
	f.Add(ask(webID, callback).Encode())
	f.Add(ask(desktopID, loopback, "prompt", "none").Encode())
	f.Add(ask(androidID, "oc://android.opencloud.eu", "max_age", "1", "response_mode", "fragment").Encode())
	f.Add("client_id=web&redirect_uri=https://evil.example")
	f.Fuzz(func(t *testing.T, query string) {
		req, err := h.p.parse(query)
		if err == nil && req.redirect == "" {
			t.Fatal("a request without an address is good")
		}
		if req.redirect != "" {
			right := ours[req.client.id]
			if right != nil && !right.MatchString(req.redirect) {
				t.Fatalf("%s may be sent to %q", req.client.id, req.redirect)
			}
		}
		if err == nil {
			if u, perr := url.ParseQuery(req.query); perr != nil || u.Get("client_id") != req.client.id {
				t.Fatalf("the request does not come back: %q", req.query)
			}
		}
	})
}

// Nothing but what we have signed is a token.
func FuzzToken(f *testing.F) {
	h := newHouse(f)
	g := h.web()
	f.Add(g.Access)
	f.Add(g.ID)
	f.Add("e30.e30.")
	f.Add(`{"payload":"e30","protected":"eyJhbGciOiJub25lIn0","signature":""}`)
	f.Fuzz(func(t *testing.T, raw string) {
		if tok, err := h.p.Token(t.Context(), raw); err == nil && (raw != g.Access || tok.User != h.ada.ID) {
			t.Fatalf("%q is good: %+v", raw, tok)
		}
		h.p.read(typeID, raw)
	})
}

func BenchmarkToken(b *testing.B) {
	h := newHouse(b)
	g := h.web()
	for b.Loop() {
		if _, err := h.p.Token(b.Context(), g.Access); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefresh(b *testing.B) {
	h := newHouse(b)
	g := h.desktop()
	for b.Loop() {
		if g = h.refresh(desktopID, g.Refresh); g.Status != 200 {
			b.Fatalf("%+v", g)
		}
	}
}
