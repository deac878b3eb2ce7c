package idp

import (
	"fmt"
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

	"pgregory.net/rapid"

	"opencloud/cloud"
)

var quiet = slog.New(slog.DiscardHandler)

func openLog(t testing.TB, path string) *sessions {
	t.Helper()
	s, err := openSessions(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	return s
}

// Whatever is done, a new process knows the same, also when the last line is
// cut short: then nobody was told that it had been written.
func TestSessionsAreDurable(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		s, err := openSessions(path, quiet)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { s.close() }()
		type state struct{ live, denied string }
		now := func(s *sessions) state {
			var b strings.Builder
			for i := range 8 {
				if x := s.get(fmt.Sprint(i)); x != nil {
					fmt.Fprintf(&b, "%s=%s/%s ", x.ID, x.User, x.Secret)
				}
			}
			var d strings.Builder
			for i := range 8 {
				if _, ok := s.denied[fmt.Sprint(i)]; ok {
					fmt.Fprint(&d, i)
				}
			}
			return state{b.String(), d.String()}
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			id := fmt.Sprint(rapid.IntRange(0, 7).Draw(rt, "id"))
			before := now(s)
			var err error
			wrote := s.size
			switch rapid.SampledFrom([]string{"add", "change", "end", "deny", "reopen", "tear", "rewrite"}).Draw(rt, "step") {
			case "add":
				err = s.add(&session{ID: id, User: cloud.UserID("u" + id), Expires: time.Now().Add(time.Hour)})
			case "change":
				secret := rapid.StringMatching("[a-z]{3}").Draw(rt, "secret")
				_, err = s.change(id, func(x *session) error { x.Secret = secret; return nil })
			case "end":
				_, err = s.end(id)
			case "deny":
				err = s.deny(id, time.Now().Add(time.Hour))
			case "rewrite":
				s.disk.Lock()
				err = s.rewrite()
				s.disk.Unlock()
			case "tear":
				// The process dies in the middle of a line.
				s.deny("torn", time.Now().Add(time.Hour))
				s.close()
				if err := os.Truncate(path, rapid.Int64Range(wrote, max(wrote, s.size-1)).Draw(rt, "end")); err != nil {
					rt.Fatal(err)
				}
				fallthrough
			case "reopen":
				s.close()
				if s, err = openSessions(path, quiet); err != nil {
					rt.Fatal(err)
				}
				if after := now(s); after != before {
					rt.Fatalf("was %+v, is %+v", before, after)
				}
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
	})
}

func TestDamagedSessions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := openLog(t, path)
	for _, id := range []string{"a", "b"} {
		if err := s.add(&session{ID: id, Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body[3] = 'X'
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openLog(t, path)
	if s.get("a") != nil || s.get("b") != nil {
		t.Error("some are signed in, and nobody knows who was signed out")
	}
	if kept, err := os.ReadFile(path + ".damaged"); err != nil || string(kept) != string(body) {
		t.Errorf("the damaged file was not kept: %v", err)
	}
}

// A write that fails leaves everything as it was, and the next one mends the file.
func TestFailedWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := openLog(t, path)
	x := &session{ID: "a", Expires: time.Now().Add(time.Hour)}
	if err := s.add(x); err != nil {
		t.Fatal(err)
	}
	s.file.Close()
	if err := s.add(&session{ID: "b", Expires: x.Expires}); err == nil || s.get("b") != nil {
		t.Errorf("a failed write: %v, %v", err, s.get("b"))
	}
	if _, err := s.change("a", func(x *session) error { x.Secret = "new"; return nil }); err != nil {
		t.Errorf("the next one: %v", err)
	}
	s = openLog(t, path)
	if got := s.get("a"); got == nil || got.Secret != "new" || s.get("b") != nil {
		t.Errorf("after a restart: %+v, %+v", got, s.get("b"))
	}
}

func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		s := openLog(t, path)
		add := func(id, client string) {
			t.Helper()
			now := time.Now()
			if err := s.add(&session{ID: id, User: "u", Client: client, Seen: now, Expires: now.Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		add("app", "desktop")
		for i := range 3 * maxSessions {
			add(fmt.Sprint(i), "")
		}
		if got := len(s.byID); got != maxSessions+1 || s.get("app") == nil || s.get("0") != nil || s.get(fmt.Sprint(3*maxSessions-1)) == nil {
			t.Errorf("%d sessions, want the youngest %d and the app's", got, maxSessions)
		}
		for i := range 2_500 {
			if _, err := s.change("app", func(x *session) error { x.Secret = fmt.Sprint(i); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if s.lines > 6*maxSessions+2000 {
			t.Errorf("%d lines for %d sessions", s.lines, len(s.byID))
		}
		time.Sleep(time.Hour)
		add("last", "")
		if len(s.byID) != 1 || len(s.byUser) != 1 {
			t.Errorf("%d sessions, want 1: the others have expired", len(s.byID))
		}
		s.close()
	})
}

func TestCodesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newShelf[*code](codeLife)
		one := func(u cloud.UserID) bool { return c.add(u, &code{}) != "" }
		for i := range maxKeptOfUser {
			if !one("u") {
				t.Fatalf("code %d is refused", i)
			}
		}
		if one("u") {
			t.Error("there is no bound")
		}
		if !one("v") {
			t.Error("another user is refused")
		}
		time.Sleep(codeLife)
		if !one("u") || len(c.byHash) != 1 || len(c.ofUser) != 1 {
			t.Errorf("%d codes of %d users, want 1", len(c.byHash), len(c.ofUser))
		}
	})
}

func TestKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		k, err := openKeys(path, 90*24*time.Hour, quiet)
		if err != nil {
			t.Fatal(err)
		}
		use := func() string {
			t.Helper()
			if _, err := k.signer(typeID); err != nil {
				t.Fatal(err)
			}
			return k.keys[k.current(time.Now())].JWK.KeyID
		}
		first := use()
		time.Sleep(90 * 24 * time.Hour)
		if got := use(); got != first || len(k.keys) != 2 {
			t.Errorf("signs with %q of %d keys, want the first of 2: the second must be known before", got, len(k.keys))
		}
		time.Sleep(keyAhead)
		second := use()
		if second == first || k.find(first) == nil {
			t.Error("the second does not sign, or the first is gone")
		}
		again, err := openKeys(path, 90*24*time.Hour, quiet)
		if err != nil || len(again.keys) != 2 || again.find(first) == nil || again.find(second) == nil {
			t.Errorf("after a restart: %v", err)
		}
		time.Sleep(90 * 24 * time.Hour)
		use()
		if k.find(first) != nil || k.find(second) == nil {
			t.Error("the first is still there, or the second is gone")
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", st.Mode(), err)
		}
	})
}

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
			if i == 2*maxSessions {
				base = heap()
			}
			h.jar, _ = cookiejar.New(nil)
			if g := h.desktop(); g.Status != 200 {
				t.Fatalf("%d: %+v", i, g)
			}
			time.Sleep(time.Second)
		}
		if n := len(h.p.live.byID); n != 2*maxSessions {
			t.Errorf("%d sessions, want %d", n, 2*maxSessions)
		}
		if grown := int64(heap()) - int64(base); grown > 1<<20 {
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
			formAction(req.redirect)
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
		if tok, err := h.p.Token(raw); err == nil && (raw != g.Access || tok.User != h.ada.ID) {
			t.Fatalf("%q is good: %+v", raw, tok)
		}
		h.p.read(typeID, raw)
	})
}

func BenchmarkToken(b *testing.B) {
	h := newHouse(b)
	g := h.web()
	for b.Loop() {
		if _, err := h.p.Token(g.Access); err != nil {
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
