package idp

import (
	"encoding/base32"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/auth/idp/totp"
)

// app is an authenticator.
func app(secret string) string {
	b, err := base32.StdEncoding.DecodeString(secret)
	if err != nil {
		panic(err)
	}
	return totp.Code(b, time.Now().Unix()/30)
}

var paper = regexp.MustCompile(`<li><code>([a-z2-7-]{19})</code></li>`)

// enrol gives ada a second factor, and returns the secret and the codes on paper.
func (h *house) enrol() (secret string, codes []string) {
	h.t.Helper()
	h.freshly("ada")
	form := fields(h.get(securityPath).Body.String())
	form.Set("answer", "begin")
	form = fields(h.do(post(securityPath, form)).Body.String())
	secret = form.Get("secret")
	form.Set("answer", "confirm")
	form.Set("code", app(secret))
	body := h.do(post(securityPath, form)).Body.String()
	for _, m := range paper.FindAllStringSubmatch(body, -1) {
		codes = append(codes, m[1])
	}
	if len(codes) != totp.Papers {
		h.t.Fatalf("%d codes on paper, want %d: %s", len(codes), totp.Papers, body)
	}
	return secret, codes
}

// freshly signs in to the page of security.
func (h *house) freshly(name string) *httptest.ResponseRecorder {
	h.t.Helper()
	w := h.get(securityPath)
	if w.Code == 200 {
		return w
	}
	_, query, _ := strings.Cut(w.Header().Get("Location"), "?")
	q, _ := url.ParseQuery(query)
	w = h.signIn(q, name, secret)
	loc := w.Header().Get("Location")
	if !strings.HasPrefix(loc, site+securityPath+"?code=") {
		return w
	}
	if w = h.get(strings.TrimPrefix(loc, site)); w.Code != 303 || w.Header().Get("Location") != securityPath {
		h.t.Fatalf("back with a code: %d to %s", w.Code, w.Header().Get("Location"))
	}
	return h.get(securityPath)
}

// code sends a code to the page that asks for it.
func (h *house) code(page *httptest.ResponseRecorder, code string) *httptest.ResponseRecorder {
	h.t.Helper()
	form := fields(page.Body.String())
	form.Set("code", code)
	return h.do(post(secondPath, form))
}

func TestSecondFactor(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		h.restart()
		defer func() { h.p.Close() }()
		key, codes := h.enrol()
		request := ask(webID, callback, "prompt", "login")
		ask := func() *httptest.ResponseRecorder {
			t.Helper()
			w := h.signIn(request, "ada", secret)
			if w.Code != 200 || !strings.Contains(w.Body.String(), `id="oc-login-code"`) {
				t.Fatalf("no code is asked for: %d to %q %s", w.Code, w.Header().Get("Location"), w.Body)
			}
			return w
		}
		in := func(w *httptest.ResponseRecorder) bool { return w.Code == 303 }
		if w := h.code(ask(), app(key)); in(w) || !strings.Contains(w.Body.String(), "used before") {
			t.Errorf("the code that set it up is taken again: %d", w.Code)
		}
		time.Sleep(30 * time.Second)
		code := app(key)
		w := h.code(ask(), code[:3]+" "+code[3:])
		g := h.exchange(webID, callback, answer(t, w, callback).Get("code"))
		if _, c := parts(t, g.ID); len(c["amr"].([]any)) != 3 {
			t.Errorf("amr %v", c["amr"])
		}
		if in(h.code(ask(), code)) {
			t.Error("a code is taken twice")
		}
		time.Sleep(60 * time.Second)
		late := app(key)
		time.Sleep(30 * time.Second)
		if !in(h.code(ask(), late)) {
			t.Error("a clock that is off by a step is not forgiven")
		}
		time.Sleep(60 * time.Second)
		if in(h.code(ask(), late)) || in(h.code(ask(), "")) || in(h.code(ask(), "000000")) {
			t.Error("an old code, none or a wrong one is taken")
		}
		h.guesses = 0
		if !in(h.code(ask(), strings.ToUpper(codes[0]))) || in(h.code(ask(), codes[0])) || !in(h.code(ask(), strings.ReplaceAll(codes[1], "-", ""))) {
			t.Error("a code on paper is not taken once")
		}

		// The page is bound to the browser and lasts for some minutes and tries.
		page := ask()
		form := fields(page.Body.String())
		form.Set("code", app(key))
		if w := h.bare(post(secondPath, form)); in(w) {
			t.Error("the page works in another browser")
		}
		page = ask()
		jar := h.jar
		h.jar, _ = cookiejar.New(nil)
		form = fields(h.page(request).Body.String())
		form.Set("halfway", fields(page.Body.String()).Get("halfway"))
		form.Set("code", codes[4])
		if w := h.do(post(secondPath, form)); in(w) {
			t.Error("half of a sign-in goes on in another browser")
		}
		h.jar = jar
		for range maxTries {
			h.guesses = 0
			if w := h.code(page, "x"); w.Code != 401 || !strings.Contains(w.Body.String(), `id="oc-login-code"`) {
				t.Errorf("a wrong code: %d", w.Code)
			}
		}
		if w := h.code(page, app(key)); in(w) || !strings.Contains(w.Body.String(), `id="oc-login-password"`) {
			t.Errorf("after %d wrong ones: %d", maxTries, w.Code)
		}
		page = ask()
		time.Sleep(halfwayLife)
		if w := h.code(page, app(key)); in(w) || w.Code != 403 {
			t.Errorf("after %s: %d", halfwayLife, w.Code)
		}
		page = ask()
		if !in(h.code(page, app(key))) || in(h.code(page, codes[2])) {
			t.Error("the page does not work once")
		}

		// Guesses count with those at the password.
		h.guesses = 5
		if w := h.code(page, "x"); w.Code == 200 {
			t.Errorf("throttled: %d", w.Code)
		}
		h.guesses = 0
		// After many wrong ones, with the right password, only paper helps.
		for range 100 {
			h.p.factors.Check(h.ada.ID, "000000")
		}
		time.Sleep(time.Minute)
		if h.p.factors.Check(h.ada.ID, app(key)) == nil || h.p.factors.Check(h.ada.ID, codes[3]) != nil || h.p.factors.Check(h.ada.ID, app(key)) != nil {
			t.Error("guessing is not stopped, or not started again by paper")
		}
	})
	h.open()
}

func TestSecondFactorElsewhere(t *testing.T) {
	h := newHouse(t)
	h.enrol()
	if !h.p.NeedsMore(h.ada) {
		t.Error("a password alone would do")
	}
	r := httptest.NewRequest("POST", logonPath, strings.NewReader(`{"params":["ada","`+secret+`","1"],"hello":{"client_id":"web"}}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Kopano-Konnect-XSRF", "1")
	if w := h.bare(r); w.Code != 401 || len(w.Result().Cookies()) != 0 {
		t.Errorf("by script: %d %v", w.Code, w.Result().Cookies())
	}
	// A damaged file lets nobody in.
	if err := os.WriteFile(filepath.Join(h.path, "factors", string(h.ada.ID)+".json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := h.signIn(ask(webID, callback, "prompt", "login"), "ada", secret)
	if w = h.code(w, "000000"); w.Code != 503 {
		t.Errorf("damaged: %d", w.Code)
	}
	// An administrator takes it away.
	if err := os.Remove(filepath.Join(h.path, "factors", string(h.ada.ID)+".json")); err != nil {
		t.Fatal(err)
	}
	if w := h.signIn(ask(webID, callback, "prompt", "login"), "ada", secret); w.Code != 303 {
		t.Errorf("without: %d", w.Code)
	}
}

func TestSecurityPage(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		h.restart()
		defer func() { h.p.Close() }()
		key, codes := h.enrol()
		send := func(form url.Values, more ...string) *httptest.ResponseRecorder {
			for i := 0; i < len(more); i += 2 {
				form.Set(more[i], more[i+1])
			}
			return h.do(post(securityPath, form))
		}
		page := func() url.Values {
			t.Helper()
			w := h.get(securityPath)
			if w.Code != 200 {
				t.Fatalf("the page: %d to %s", w.Code, w.Header().Get("Location"))
			}
			return fields(w.Body.String())
		}
		has := func() bool { return h.p.factors.Has(h.ada.ID) }
		if w := send(page(), "answer", "off", "code", "000000"); w.Code != 401 || !has() {
			t.Errorf("off with a wrong code: %d", w.Code)
		}
		if w := send(url.Values{"answer": {"off"}, "code": {codes[0]}}); w.Code != 403 || !has() {
			t.Errorf("a form of somebody else: %d", w.Code)
		}
		w := send(page(), "answer", "renew", "code", codes[0])
		if w.Code != 200 || strings.Contains(w.Body.String(), codes[1]) || h.p.factors.Check(h.ada.ID, codes[1]) == nil {
			t.Errorf("renewed: %d", w.Code)
		}
		if w := send(page(), "answer", "begin"); w.Code != 303 {
			t.Errorf("another one: %d", w.Code)
		}
		// A browser that has shown the password only may not change it.
		time.Sleep(fresh)
		if w := h.get(securityPath); w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), authorizePath+"?") {
			t.Errorf("after a while: %d", w.Code)
		}
		if w := h.freshly("ada"); !strings.Contains(w.Body.String(), `id="oc-login-code"`) {
			t.Errorf("with the password only: %d %s", w.Code, w.Header().Get("Location"))
		}
		w = h.code(h.freshly("ada"), app(key))
		if w.Code != 303 {
			t.Fatalf("with the code: %d", w.Code)
		}
		time.Sleep(time.Minute)
		if w := send(page(), "answer", "off", "code", app(key)); w.Code != 303 || has() {
			t.Errorf("off: %d", w.Code)
		}
		form := fields(send(page(), "answer", "begin").Body.String())
		if w := send(form, "answer", "confirm", "code", "000000"); w.Code != 401 || has() {
			t.Errorf("a wrong code: %d", w.Code)
		}
		if w := send(form, "answer", "confirm", "secret", "AAAA"); w.Code != 400 || has() {
			t.Errorf("a secret that is none: %d", w.Code)
		}
	})
	h.open()
}

// Who stole a browser that has shown the password only does not take away the
// second factor that was added elsewhere.
func TestSecurityPageElsewhere(t *testing.T) {
	h := newHouse(t)
	if w := h.freshly("ada"); w.Code != 200 {
		t.Fatalf("the page: %d", w.Code)
	}
	key := make([]byte, totp.SecretSize)
	if _, err := h.p.factors.Set(h.ada.ID, key, totp.Code(key, time.Now().Unix()/30)); err != nil {
		t.Fatal(err)
	}
	if w := h.get(securityPath); w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), authorizePath) {
		t.Errorf("got %d, want the form", w.Code)
	}
}
