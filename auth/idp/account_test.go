package idp

import (
	"context"
	"io/fs"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"opencloud/auth/idp/session"
	"opencloud/cloud"
)

// another is a browser that has nothing to do with the one before.
func (h *house) another() { h.jar, _ = cookiejar.New(nil) }

// own is a context of whoever has an access token.
func (h *house) own(g grant) context.Context {
	h.t.Helper()
	tok, err := h.p.Token(h.t.Context(), g.Access)
	if err != nil {
		h.t.Fatal(err)
	}
	return cloud.WithCaller(h.t.Context(), cloud.Caller{User: h.ada, Session: tok.Session})
}

// Signing out ends everything of the user but the caller's own session, with
// the next request, for tokens, refresh tokens, cookies and codes alike.
func TestSignOut(t *testing.T) {
	for _, from := range []string{"browser", "app", "nowhere"} {
		t.Run(from, func(t *testing.T) {
			h := newHouse(t)
			elsewhere, app := h.web(), h.desktop()
			code := answer(t, h.signIn(ask(webID, callback, "prompt", "login"), "ada", secret), callback).Get("code")
			h.another()
			bob := h.exchange(desktopID, loopback, answer(t, h.signIn(ask(desktopID, loopback, "prompt", "login"), "bob", secret), loopback).Get("code"))
			jar := h.jar
			h.jar, _ = cookiejar.New(nil)
			if from != "nowhere" {
				h.jar = jar
			}
			mine, mineApp := h.web(), h.desktop()
			ctx, wantMine, wantApp := t.Context(), false, false
			switch from {
			case "browser":
				ctx, wantMine = h.own(mine), true
			case "app":
				ctx, wantMine, wantApp = h.own(mineApp), true, true
			}
			if err := h.p.SignOut(ctx, h.ada.ID); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				what string
				g    grant
				want bool
			}{{"elsewhere", elsewhere, false}, {"app", app, false}, {"mine", mine, wantMine}, {"my app", mineApp, wantApp}, {"bob's", bob, true}} {
				if got := h.good(c.g); got != c.want {
					t.Errorf("%s: good %v, want %v", c.what, got, c.want)
				}
				if c.g.Refresh != "" {
					if got := h.refresh(desktopID, c.g.Refresh); (got.Status == 200) != c.want {
						t.Errorf("%s: refreshed with %d, want %v", c.what, got.Status, c.want)
					}
				}
			}
			if g := h.exchange(webID, callback, code); g.Error != "invalid_grant" {
				t.Errorf("a code of a session that has ended: %+v", g)
			}
			if w := h.page(ask(webID, callback)); (w.Code == 302) != wantMine {
				t.Errorf("the browser: %d to %q, want it to go on: %v", w.Code, w.Header().Get("Location"), wantMine)
			}
		})
	}
}

// Whoever has shown the old password, or fetches tokens, at the moment of a
// sign-out is not let in after it.
func TestSignOutRace(t *testing.T) {
	h := newHouse(t)
	before := time.Now()
	if err := h.p.SignOut(t.Context(), h.ada.ID); err != nil {
		t.Fatal(err)
	}
	r := post(logonPath, url.Values{})
	w := h.do(r)
	if _, err := h.p.signIn(w, r, h.ada, before, false, h.p.clients[webID], byPassword); cloud.KindOf(err) != cloud.Unauthorized {
		t.Errorf("got %v, want %v", err, cloud.Unauthorized)
	}
	if got := h.p.live.Of(h.ada.ID); len(got) != 0 {
		t.Errorf("got %d sessions, want none", len(got))
	}
	if g := h.web(); !h.good(g) {
		t.Errorf("signed in afterwards: %+v", g)
	}

	h.enrol()
	page := h.signIn(ask(webID, callback, "prompt", "login"), "ada", secret)
	if err := h.p.SignOut(t.Context(), h.ada.ID); err != nil {
		t.Fatal(err)
	}
	codes, err := h.p.factors.Renew(h.ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	if w := h.code(page, codes[0]); w.Code != 401 || len(h.p.live.Of(h.ada.ID)) != 0 {
		t.Errorf("half way to a session: %d, %d sessions", w.Code, len(h.p.live.Of(h.ada.ID)))
	}
}

// holds are the files in a folder with a text in name or content.
func holds(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(name)
		if strings.Contains(name, text) || strings.Contains(string(body), text) {
			found = append(found, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestForget(t *testing.T) {
	h := newHouse(t)
	d := &device{t: t}
	if w := h.do(post(securityPath, d.make(h.freshly("ada").Body.String()))); w.Code != 303 {
		t.Fatalf("a passkey: %d", w.Code)
	}
	g := h.desktop()
	h.enrol()
	if got := holds(t, h.path, string(h.ada.ID)); len(got) != 3 {
		t.Errorf("ada is in %v, want sessions, factors and passkeys", got)
	}
	kinds := map[string]int{}
	for c, err := range h.p.List(t.Context(), h.ada.ID) {
		if kinds[c.Kind]++; err != nil || c.Made.IsZero() {
			t.Errorf("listed: %+v, %v", c, err)
		}
	}
	if diff := cmp.Diff(map[string]int{"session": 2, "passkey": 1, "codes": 1, "recovery": 1}, kinds); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		if err := h.p.Forget(t.Context(), h.ada.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got := holds(t, h.path, string(h.ada.ID)); got != nil {
		t.Errorf("forgotten, and still in %v", got)
	}
	if at, err := h.p.LastSignIn(t.Context(), h.ada.ID); err != nil || !at.IsZero() || h.good(g) || h.p.NeedsMore(h.ada) {
		t.Errorf("last %v, %v", at, err)
	}
}

// What another process asks for happens with the next request, or with the
// next start.
func TestNotices(t *testing.T) {
	for _, running := range []bool{true, false} {
		h := newHouse(t)
		h.web()
		h.enrol()
		g := h.desktopWith(t)
		if !running {
			h.p.Close()
		}
		if err := SignOut(h.path, h.ada.ID); err != nil {
			t.Fatal(err)
		}
		if !running {
			h.open()
		}
		if h.good(g) || len(h.p.live.Of(h.ada.ID)) != 0 {
			t.Errorf("running %v: the sessions go on", running)
		}
		h.jar, _ = cookiejar.New(nil)
		if !h.p.NeedsMore(h.ada) {
			t.Errorf("running %v: signing out took the second factor away", running)
		}
		if err := ResetFactors(h.path, h.ada.ID); err != nil {
			t.Fatal(err)
		}
		if h.p.NeedsMore(h.ada) {
			t.Errorf("running %v: the second factor is still there", running)
		}
		g = h.web()
		if err := h.dir.RemoveUser(t.Context(), h.ada.ID); err != nil {
			t.Fatal(err)
		}
		if err := SignOut(h.path, h.ada.ID); err != nil || h.good(g) {
			t.Fatal(err)
		}
		if got := holds(t, h.path, string(h.ada.ID)); got != nil {
			t.Errorf("running %v: removed, and still in %v", running, got)
		}
		if left, err := os.ReadDir(filepath.Join(h.path, noticesDir)); err != nil || len(left) != 0 {
			t.Errorf("running %v: %d notices left, %v", running, len(left), err)
		}
	}
	if err := SignOut(filepath.Join(t.TempDir(), "none"), "x"); err != nil {
		t.Errorf("nobody ever signed in: %v", err)
	}
}

// desktopWith signs in with a code on paper.
func (h *house) desktopWith(t *testing.T) grant {
	t.Helper()
	codes, err := h.p.factors.Renew(h.ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	w := h.code(h.signIn(ask(desktopID, loopback, "prompt", "login"), "ada", secret), codes[0])
	return h.exchange(desktopID, loopback, answer(t, w, loopback).Get("code"))
}

func TestSessions(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		h.restart()
		defer func() { h.p.Close() }()
		began := time.Now()
		h.agent, h.from = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "192.0.2.7:4711"
		h.web("scope", "openid")
		h.agent, h.from = "Mozilla/5.0 (Windows) mirall/3.1 (OpenCloud)", "[2001:db8::1]:99"
		g := h.desktop()
		shown := func() map[string]cloud.Session {
			all, err := h.p.Sessions(t.Context(), h.ada.ID)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]cloud.Session{}
			for _, s := range all {
				if h.p.live.Get(s.ID) == nil {
					t.Errorf("no session %q", s.ID)
				}
				s.ID = ""
				got[s.App] = s
			}
			return got
		}
		want := map[string]cloud.Session{
			"":                  {Device: "Windows", From: "2001:db8::1", Began: began, Seen: began},
			"OpenCloud Desktop": {App: "OpenCloud Desktop", Device: "Windows", From: "2001:db8::1", Began: began, Seen: began},
		}
		if diff := cmp.Diff(want, shown()); diff != "" {
			t.Error(diff)
		}
		// Use is noted, but not each time.
		time.Sleep(time.Hour)
		h.agent, h.from = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36", "192.0.2.8:1"
		h.page(ask(webID, callback))
		time.Sleep(time.Minute)
		h.agent = "curl"
		h.page(ask(webID, callback))
		h.refresh(desktopID, g.Refresh)
		want[""] = cloud.Session{Device: "Chrome, Android", From: "192.0.2.8", Began: began, Seen: began.Add(time.Hour)}
		want["OpenCloud Desktop"] = cloud.Session{App: "OpenCloud Desktop", From: "192.0.2.8", Began: began, Seen: began.Add(61 * time.Minute)}
		if diff := cmp.Diff(want, shown()); diff != "" {
			t.Error(diff)
		}
		if at, err := h.p.LastSignIn(t.Context(), h.ada.ID); err != nil || !at.Equal(began) {
			t.Errorf("last signed in %v, %v; want %v", at, err, began)
		}
		all := h.p.live.Of(h.ada.ID)
		if err := h.p.EndSession(t.Context(), "somebody", all[0].ID); cloud.KindOf(err) != cloud.NotExist || len(h.p.live.Of(h.ada.ID)) != 2 {
			t.Errorf("another user's: %v", err)
		}
		if err := h.p.EndSession(t.Context(), h.ada.ID, all[0].ID); err != nil || len(h.p.live.Of(h.ada.ID)) != 1 {
			t.Errorf("ended: %v", err)
		}
		if err := h.p.EndSession(t.Context(), h.ada.ID, all[0].ID); cloud.KindOf(err) != cloud.NotExist {
			t.Errorf("ended again: %v", err)
		}
		// The last sign-in outlives the sessions and the process.
		time.Sleep(h.opts.RefreshLife)
		h.restart()
		if at, _ := h.p.LastSignIn(t.Context(), h.ada.ID); !at.Equal(began) || len(h.p.live.Of(h.ada.ID)) != 0 {
			t.Errorf("last signed in %v, want %v", at, began)
		}
	})
	h.open()
}

// A browser that stays signed in is seen, too.
func TestStayIsSeen(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		h.restart()
		defer func() { h.p.Close() }()
		form := fields(h.page(ask(webID, callback)).Body.String())
		form.Set("username", "ada")
		form.Set("password", secret)
		form.Set("stay", "yes")
		h.do(post(logonPath, form))
		time.Sleep(3 * 24 * time.Hour)
		h.page(ask(webID, callback))
		all := h.p.live.Of(h.ada.ID)
		if len(all) != 1 || time.Since(all[0].Seen) != 0 || !all[0].Expires.Equal(all[0].Auth.Add(h.opts.BrowserLife)) {
			t.Errorf("got %+v", all)
		}
	})
	h.open()
}

func TestDeviceOf(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 Edg/126.0":         "Edge, Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15":         "Safari, macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0 Mobile Safari/604": "Chrome, iPhone",
		"Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0 Mobile Safari/537":  "Samsung Internet, Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36":                    "Chrome, ChromeOS",
		"Mozilla/5.0 (Linux) mirall/3.1.1 (OpenCloud)": "Linux",
		"rclone/v1.60": "",
		"":             "",
	} {
		if got := deviceOf(agent); got != want {
			t.Errorf("%q: got %q, want %q", agent, got, want)
		}
	}
}

// The page of an account lists what there is and ends what is asked for.
func TestAccountPage(t *testing.T) {
	h := newHouse(t)
	h.agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	h.desktop()
	h.another()
	h.web()
	h.another()
	d := &device{t: t}
	if w := h.do(post(securityPath, d.make(h.freshly("ada").Body.String()))); w.Code != 303 {
		t.Fatalf("a passkey: %d", w.Code)
	}
	page := func() string {
		t.Helper()
		w := h.get(securityPath)
		if w.Code != 200 {
			t.Fatalf("the page: %d", w.Code)
		}
		return w.Body.String()
	}
	send := func(more ...string) int {
		form := fields(page())
		for i := 0; i < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return h.do(post(securityPath, form)).Code
	}
	body := page()
	for _, want := range []string{"OpenCloud Desktop, Firefox, Linux", "This browser", "192.0.2.1", "<strong>Firefox, Linux</strong>", "signed in just now", `value="forget"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if got := strings.Count(body, `value="end"`); got != 3 {
		t.Errorf("%d sessions can be ended, want 3: %s", got, body)
	}
	id := b64.EncodeToString([]byte("id"))
	if code := send("answer", "name", "id", id, "name", " My  <b>key</b>\x00 "+strings.Repeat("x", 100)); code != 303 || !strings.Contains(page(), "My &lt;b&gt;key&lt;/b&gt; xxx") {
		t.Errorf("named: %d", code)
	}
	if keys, err := h.p.keysOf.List(h.ada.ID); err != nil || len([]rune(keys[0].Name)) > 60 {
		t.Errorf("got %+v, %v", keys, err)
	}
	var app *session.Session
	for _, s := range h.p.live.Of(h.ada.ID) {
		if s.App() {
			app = s
		}
	}
	for _, want := range []int{3, 3} { // the second time there is none any more
		if code := send("answer", "end", "id", app.ID); code != 303 || len(h.p.live.Of(h.ada.ID)) != want {
			t.Errorf("ended: %d, %d sessions, want %d", code, len(h.p.live.Of(h.ada.ID)), want)
		}
	}
	if code := send("answer", "others"); code != 303 || len(h.p.live.Of(h.ada.ID)) != 1 {
		t.Errorf("the others: %d, %d sessions are left, want 1", code, len(h.p.live.Of(h.ada.ID)))
	}
	if strings.Contains(page(), `value="end"`) || strings.Contains(page(), `value="others"`) {
		t.Error("this browser is offered to be ended")
	}
	// Another site cannot send the form.
	if w := h.do(post(securityPath, url.Values{"answer": {"others"}})); w.Code != 403 {
		t.Errorf("a form of somebody else: %d", w.Code)
	}
	h.language = "de"
	if body := page(); !strings.Contains(body, "Wo Sie angemeldet sind") || !strings.Contains(body, "angemeldet gerade eben") {
		t.Error("not in German")
	}
}
