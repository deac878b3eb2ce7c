package app

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"opencloud/cloud"
)

// A browser keeps cookies and signs in at the front.
type browser struct {
	t   testing.TB
	f   *front
	jar http.CookieJar
}

func newBrowser(t testing.TB, f *front) *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{t, f, jar}
}

func (b *browser) do(r *http.Request) *httptest.ResponseRecorder {
	b.t.Helper()
	at := b.f.site.URL
	for _, c := range b.jar.Cookies(at) {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	b.f.ServeHTTP(w, r)
	b.jar.SetCookies(at, w.Result().Cookies())
	return w
}

func (b *browser) get(path string) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.do(httptest.NewRequest("GET", b.f.site.Abs(path), nil))
}

// signIn makes admin known and returns an access token of the web app.
func (b *browser) signIn() string {
	b.t.Helper()
	return b.signInAs("admin")
}

// signInAs is signIn for a user with the password of all tests.
func (b *browser) signInAs(name string) string {
	b.t.Helper()
	return b.enter(name, password)
}

func (b *browser) enter(name, password string) string {
	b.t.Helper()
	r := httptest.NewRequest("POST", b.f.site.Abs("/signin/v1/identifier/_/logon"), strings.NewReader(`{"params":["`+name+`","`+password+`","1"],"hello":{"client_id":"web","flow":"oidc"}}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Kopano-Konnect-XSRF", "1")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if w := b.do(r); w.Code != 200 {
		b.t.Fatalf("sign in: %d %s", w.Code, w.Body)
	}
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"client_id": {"web"}, "redirect_uri": {b.f.site.Abs("/oidc-callback.html")}, "response_type": {"code"}, "scope": {"openid profile email"},
		"prompt": {"none"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	w := b.get("/signin/v1/identifier/_/authorize?" + q.Encode())
	to, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != 302 {
		b.t.Fatalf("authorize: %d %s", w.Code, w.Body)
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"web"}, "redirect_uri": q["redirect_uri"], "code": {to.Query().Get("code")}, "code_verifier": {verifier},
	}
	r = httptest.NewRequest("POST", b.f.site.Abs("/konnect/v1/token"), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w = b.do(r)
	var tokens struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &tokens); err != nil || tokens.Access == "" {
		b.t.Fatalf("token: %d %s", w.Code, w.Body)
	}
	return tokens.Access
}

func (b *browser) signOut() {
	b.t.Helper()
	page := b.get("/signin/v1/identifier/_/endsession").Body.String()
	form := url.Values{"answer": {"yes"}, "request": {""}}
	_, rest, _ := strings.Cut(page, `name="form" value="`)
	token, _, _ := strings.Cut(rest, `"`)
	form.Set("form", token)
	r := httptest.NewRequest("POST", b.f.site.Abs("/signin/v1/identifier/_/endsession"), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if w := b.do(r); w.Code != 200 {
		b.t.Fatalf("sign out: %d %s", w.Code, w.Body)
	}
}

// From the first question of a client to the last request after signing out,
// also below a base path.
func TestSignIn(t *testing.T) {
	for _, at := range []string{"https://localhost:9200", "https://example.org/cloud", "http://localhost:9200"} {
		s := system(t, "OC_URL="+at)
		f := frontOf(t, s, routes(s))
		f.log = quiet
		b := newBrowser(t, f)
		var found struct{ Links []struct{ Rel, Href string } }
		w := b.get("/.well-known/webfinger?platform=web&resource=" + url.QueryEscape(at))
		if err := json.Unmarshal(w.Body.Bytes(), &found); err != nil || len(found.Links) != 1 || found.Links[0].Href != at {
			t.Fatalf("%s: webfinger: %d %s", at, w.Code, w.Body)
		}
		var discovery struct{ Issuer string }
		w = b.get("/.well-known/openid-configuration")
		if err := json.Unmarshal(w.Body.Bytes(), &discovery); err != nil || discovery.Issuer != at {
			t.Fatalf("%s: discovery: %d %s", at, w.Code, w.Body)
		}
		ask := func(path, token string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", f.site.Abs(path), nil)
			r.Header.Set("Authorization", "Bearer "+token)
			return b.do(r)
		}
		token := b.signIn()
		if w := ask("/graph/v1.0/me", token); w.Code != 200 || !strings.Contains(w.Body.String(), `"admin"`) {
			t.Errorf("%s: me: %d %s", at, w.Code, w.Body)
		}
		if w := ask("/.well-known/webfinger?resource=acct:me@localhost", token); w.Code != 200 || !strings.Contains(w.Body.String(), "server-instance") {
			t.Errorf("%s: acct: %d %s", at, w.Code, w.Body)
		}
		if got := w.Header().Values("Cache-Control"); len(got) != 1 || got[0] != "no-cache" {
			t.Errorf("%s: discovery: Cache-Control %q", at, got)
		}
		b.signOut()
		w = ask("/graph/v1.0/me", token)
		if got := w.Header().Values("WWW-Authenticate"); w.Code != 401 || len(got) != 2 || !strings.HasPrefix(got[0], "Bearer") {
			t.Errorf("%s: after signing out: %d, challenges %q", at, w.Code, got)
		}
	}
}

// The tries of an account are the same for the form and for Basic, and a
// client that names itself in the header uses up none.
func TestGuessesAtTheForm(t *testing.T) {
	s := system(t, "OC_AUTH_GUESSES=5")
	f := frontOf(t, s, routes(s))
	f.log = quiet
	logon := func(password string) int {
		r := httptest.NewRequest("POST", f.site.Abs("/signin/v1/identifier/_/logon"), strings.NewReader(`{"params":["Admin","`+password+`"],"hello":{"client_id":"web"}}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Kopano-Konnect-XSRF", "1")
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		return w.Code
	}
	basic := func(user, password, path string) int {
		r := httptest.NewRequest("GET", f.site.Abs(path), nil)
		r.SetBasicAuth(user, password)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		return w.Code
	}
	for range 20 {
		if got := basic("admin", "", "/.well-known/openid-configuration"); got != 200 {
			t.Fatalf("no password on an open route: %d", got)
		}
	}
	for i := range 5 {
		var got int
		if i%2 == 0 {
			got = logon("wrong")
		} else {
			got = basic("admin", "wrong", "/graph/v1.0/me")
		}
		if got != 401 {
			t.Fatalf("guess %d: %d", i, got)
		}
	}
	if got := logon(password); got != 429 {
		t.Errorf("at the form: %d, want 429", got)
	}
	if got := basic("admin", password, "/graph/v1.0/me"); got != 429 {
		t.Errorf("by header: %d, want 429", got)
	}
}

// Whoever needs a second factor does not come in with a password alone.
func TestBasicNeedsMore(t *testing.T) {
	s := system(t)
	s.Auth.NeedsMore(func(u *cloud.User) bool { return u.Name == "admin" })
	f := frontOf(t, s, routes(s))
	f.log = quiet
	for range 2 {
		r := httptest.NewRequest("GET", f.site.Abs("/graph/v1.0/me"), nil)
		r.SetBasicAuth("admin", password)
		w := httptest.NewRecorder()
		if f.ServeHTTP(w, r); w.Code != 401 || !strings.Contains(w.Body.String(), "more than a password") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
}
