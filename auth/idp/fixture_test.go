package idp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"opencloud/cloud"
	"opencloud/directory/builtin"
)

const (
	site     = "https://cloud.example.org"
	secret   = "correct horse"
	verifier = "a-verifier-of-at-least-43-characters-0123456789"
	callback = site + "/oidc-callback.html"
	loopback = "http://127.0.0.1:43210"
)

// A house is a provider with its users, and a browser before it.
type house struct {
	t       testing.TB
	dir     *builtin.Directory
	ada     *cloud.User
	path    string
	opts    Options
	p       *Provider
	handler http.Handler
	jar     http.CookieJar
	guesses int // since the last right one; 5 are allowed

	agent, from, language string // of the browser, and of apps
}

func options(at string) Options {
	u, err := url.Parse(at)
	if err != nil {
		panic(err)
	}
	return Options{
		URL: u, Product: "OpenCloud", AccessLife: 5 * time.Minute, IDLife: 5 * time.Minute, RefreshLife: 30 * 24 * time.Hour,
		BrowserIdle: 24 * time.Hour, BrowserLife: 30 * 24 * time.Hour, KeyLife: 90 * 24 * time.Hour,
		Clients: []string{"wiki https://wiki.example.org/in logout=https://wiki.example.org/out", "tool http://127.0.0.1/back http://localhost/back"},
	}
}

func newHouse(t testing.TB) *house { return houseAt(t, options(site)) }

func houseAt(t testing.TB, opts Options) *house {
	t.Helper()
	dir, err := builtin.Open(t.TempDir(), builtin.Options{Memory: 8, Time: 1, Threads: 1, Remember: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dir: dir, path: t.TempDir(), opts: opts}
	if h.ada, err = dir.SetUser(t.Context(), &cloud.User{Name: "ada", Display: "Ada Lovelace", Mail: "ada@example.org"}, secret); err != nil {
		t.Fatal(err)
	}
	if _, err = dir.SetUser(t.Context(), &cloud.User{Name: "bob", Mail: "bob@example.org"}, secret); err != nil {
		t.Fatal(err)
	}
	h.jar, _ = cookiejar.New(nil)
	h.open()
	t.Cleanup(func() { h.p.Close() })
	return h
}

func (h *house) open() {
	h.t.Helper()
	p, err := Open(h.path, h.dir, h.opts, slog.New(slog.DiscardHandler))
	if err != nil {
		h.t.Fatal(err)
	}
	h.p = p
	h.handler = p.Handler(func(_, _ string, check func() (*cloud.User, error)) (*cloud.User, error) {
		if h.guesses >= 5 {
			return nil, cloud.Throttled
		}
		u, err := check()
		if h.guesses++; err == nil {
			h.guesses = 0
		}
		return u, err
	})
}

// restart is a process that ends and another that begins.
func (h *house) restart() {
	h.t.Helper()
	if err := h.p.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.open()
}

// do sends a request with the browser's cookies and follows nothing.
func (h *house) do(r *http.Request) *httptest.ResponseRecorder {
	h.t.Helper()
	for _, c := range h.jar.Cookies(h.opts.URL) {
		r.AddCookie(c)
	}
	return h.bare(r)
}

// bare sends a request as it is; cookies that come back are the browser's.
func (h *house) bare(r *http.Request) *httptest.ResponseRecorder {
	h.t.Helper()
	if h.agent != "" {
		r.Header.Set("User-Agent", h.agent)
	}
	if h.from != "" {
		r.RemoteAddr = h.from
	}
	if h.language != "" {
		r.Header.Set("Accept-Language", h.language)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	h.jar.SetCookies(h.opts.URL, w.Result().Cookies())
	if loc := w.Header().Get("Location"); strings.Contains(loc, "evil") {
		h.t.Fatalf("%s sends the browser to %s", r.URL, loc)
	}
	return w
}

func (h *house) get(path string) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.do(httptest.NewRequest("GET", path, nil))
}

func post(path string, form url.Values) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ask is a request of a client; more are names and values, an empty value
// takes the name out.
func ask(client, redirect string, more ...string) url.Values {
	q := url.Values{
		"client_id": {client}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid profile email offline_access"},
		"state": {"s t"}, "nonce": {"n"}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(more); i += 2 {
		if q.Set(more[i], more[i+1]); more[i+1] == "" {
			q.Del(more[i])
		}
	}
	return q
}

var hidden = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`)

// fields are what a form has kept.
func fields(body string) url.Values {
	form := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(body, -1) {
		form.Set(m[1], unescape(m[2]))
	}
	return form
}

var entities = strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">")

func unescape(s string) string { return entities.Replace(s) }

// page is the page that a request to sign in leads to.
func (h *house) page(q url.Values) *httptest.ResponseRecorder {
	h.t.Helper()
	w := h.get(authorizePath + "?" + q.Encode())
	if loc := w.Header().Get("Location"); w.Code == http.StatusFound && strings.HasPrefix(loc, identifier+"?") {
		w = h.get(loc)
	}
	return w
}

// signIn goes through the form, and returns where the browser was sent.
func (h *house) signIn(q url.Values, name, password string) *httptest.ResponseRecorder {
	h.t.Helper()
	w := h.page(q)
	if w.Code != http.StatusOK {
		h.t.Fatalf("the form: %d %s %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	form := fields(w.Body.String())
	form.Set("username", name)
	form.Set("password", password)
	return h.do(post(logonPath, form))
}

// answer is what the client gets with the browser.
func answer(t testing.TB, w *httptest.ResponseRecorder, redirect string) url.Values {
	t.Helper()
	loc := w.Header().Get("Location")
	rest, ok := strings.CutPrefix(loc, redirect+"?")
	if !ok || w.Code != http.StatusFound && w.Code != http.StatusSeeOther {
		t.Fatalf("got %d to %q, want a redirect to %s\n%s", w.Code, loc, redirect, w.Body)
	}
	q, err := url.ParseQuery(rest)
	if err != nil {
		t.Fatal(err)
	}
	if got := q.Get("iss"); got != site {
		t.Errorf("iss %q, want %q", got, site)
	}
	return q
}

// grant is an answer of the token end point.
type grant struct {
	Status      int
	Access      string `json:"access_token"`
	Type        string `json:"token_type"`
	Expires     int    `json:"expires_in"`
	Refresh     string `json:"refresh_token"`
	ID          string `json:"id_token"`
	Scope       string `json:"scope"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func (h *house) token(form url.Values) grant {
	h.t.Helper()
	w := h.bare(post(tokenPath, form))
	g := grant{Status: w.Code}
	if err := json.Unmarshal(w.Body.Bytes(), &g); err != nil {
		h.t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		h.t.Errorf("Cache-Control %q", got)
	}
	return g
}

func (h *house) exchange(client, redirect, code string) grant {
	h.t.Helper()
	return h.token(url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "redirect_uri": {redirect}, "code": {code}, "code_verifier": {verifier}})
}

func (h *house) refresh(client, token string) grant {
	h.t.Helper()
	return h.token(url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}})
}

// web signs ada in to the web app, desktop to the desktop app.
func (h *house) web(more ...string) grant {
	h.t.Helper()
	more = append([]string{"scope", "openid profile email", "prompt", "login"}, more...)
	q := answer(h.t, h.signIn(ask(webID, callback, more...), "ada", secret), callback)
	return h.exchange(webID, callback, q.Get("code"))
}

func (h *house) desktop() grant {
	h.t.Helper()
	q := answer(h.t, h.signIn(ask(desktopID, loopback, "prompt", "login"), "ada", secret), loopback)
	return h.exchange(desktopID, loopback, q.Get("code"))
}

func (h *house) good(g grant) bool {
	h.t.Helper()
	_, err := h.p.Token(h.t.Context(), g.Access)
	return err == nil
}

// parts decodes a token without any check.
func parts(t testing.TB, raw string) (header, claims map[string]any) {
	t.Helper()
	p := strings.Split(raw, ".")
	if len(p) != 3 {
		t.Fatalf("%q is no token", raw)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(p[i])
		if err == nil {
			err = json.Unmarshal(b, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}
