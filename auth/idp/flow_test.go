package idp

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"opencloud/auth/idp/page"
)

func TestSignIn(t *testing.T) {
	h := newHouse(t)
	w := h.signIn(ask(webID, callback, "scope", "openid profile email unknown"), "ada", secret)
	q := answer(t, w, callback)
	if got := q.Get("state"); got != "s t" {
		t.Errorf("state %q", got)
	}
	g := h.exchange(webID, callback, q.Get("code"))
	if g.Status != 200 || g.Type != "Bearer" || g.Expires != 300 || g.Refresh != "" || g.Scope != "openid profile email" {
		t.Errorf("got %+v", g)
	}
	header, c := parts(t, g.ID)
	if header["alg"] != "PS256" || header["kid"] == "" || header["typ"] != "JWT" {
		t.Errorf("header %v", header)
	}
	for name, want := range map[string]any{
		"iss": site, "aud": "web", "sub": string(h.ada.ID), "nonce": "n", "name": "Ada Lovelace", "preferred_username": "ada", "email": "ada@example.org",
		"at_hash": half(g.Access), "exp": c["iat"].(float64) + 300,
	} {
		if c[name] != want {
			t.Errorf("ID token: %s is %v, want %v", name, c[name], want)
		}
	}
	if c["sid"] == nil || c["auth_time"] == nil {
		t.Errorf("ID token without sid or auth_time: %v", c)
	}
	if header, c := parts(t, g.Access); header["typ"] != "at+jwt" || c["aud"] != site || c["client_id"] != "web" || c["email"] != nil {
		t.Errorf("access token: %v %v", header, c)
	}
	tok, err := h.p.Token(h.t.Context(), g.Access)
	if err != nil || tok.User != h.ada.ID {
		t.Errorf("Token: %+v, %v", tok, err)
	}
}

// Who is signed in passes without the form; the app of somebody's own machine
// does not.
func TestSingleSignOn(t *testing.T) {
	h := newHouse(t)
	h.web()
	for _, c := range []struct {
		what string
		q    url.Values
		want string // error, "" for a code, or a part of the page
	}{
		{"again", ask(webID, callback), ""},
		{"silently", ask(webID, site+"/oidc-silent-redirect.html", "prompt", "none"), ""},
		{"another site", ask("wiki", "https://wiki.example.org/in"), ""},
		{"young enough", ask(webID, callback, "max_age", "60"), ""},
		{"sign in anew", ask(webID, callback, "prompt", "login"), `id="oc-login-password"`},
		{"choose", ask(webID, callback, "prompt", "select_account"), "Use another account"},
		{"agree", ask(webID, callback, "prompt", "consent"), "Continue"},
		{"desktop", ask(desktopID, loopback), "<strong>OpenCloud Desktop</strong> wants to see"},
		{"desktop's way", ask(desktopID, loopback, "prompt", "select_account consent"), "Ada Lovelace"},
		{"desktop, silently", ask(desktopID, loopback, "prompt", "none"), "consent_required"},
		{"phone", ask(androidID, "oc://android.opencloud.eu"), "OpenCloud Android"},
	} {
		w := h.page(c.q)
		got := w.Body.String()
		if w.Code == http.StatusFound {
			got = answer(t, w, c.q.Get("redirect_uri")).Get("error")
			if got == "" && c.want == "" {
				continue
			}
		}
		if c.want == "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %d %s, want %q", c.what, w.Code, got, c.want)
		}
	}
}

func TestNobodySignedIn(t *testing.T) {
	h := newHouse(t)
	if got := answer(t, h.page(ask(webID, callback, "prompt", "none")), callback).Get("error"); got != "login_required" {
		t.Errorf("silently: %q", got)
	}
	h.web()
	if got := answer(t, h.page(ask(webID, callback, "prompt", "none")), callback).Get("code"); got == "" {
		t.Error("signed in, but not silently")
	}
	if err := h.dir.RemoveUser(t.Context(), h.ada.ID); err != nil {
		t.Fatal(err)
	}
	if got := answer(t, h.page(ask(webID, callback, "prompt", "none")), callback).Get("error"); got != "login_required" {
		t.Errorf("a removed user: %q", got)
	}
}

func TestMaxAgeAndLife(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		h.restart() // so that all clocks are the bubble's
		g := h.web()
		_, before := parts(t, g.ID)
		time.Sleep(61 * time.Second)
		if w := h.page(ask(webID, callback, "max_age", "60")); w.Code != 200 || !strings.Contains(w.Body.String(), "oc-login-password") {
			t.Errorf("too old: %d %s", w.Code, w.Header().Get("Location"))
		}
		if got := answer(t, h.page(ask(webID, callback, "max_age", "60", "prompt", "none")), callback).Get("error"); got != "login_required" {
			t.Errorf("too old, silently: %q", got)
		}
		g = h.web("max_age", "60")
		_, after := parts(t, g.ID)
		if before["sid"] != after["sid"] || after["auth_time"].(float64)-before["auth_time"].(float64) != 61 {
			t.Errorf("signed in again: before %v, after %v", before, after)
		}
		silent := func() string {
			return answer(t, h.page(ask(webID, callback, "prompt", "none")), callback).Get("error")
		}
		for range 29 { // in use each day
			time.Sleep(23 * time.Hour)
			if got := silent(); got != "" {
				t.Fatalf("in use: %q", got)
			}
		}
		time.Sleep(24 * time.Hour)
		if got := silent(); got != "login_required" {
			t.Errorf("a day without use: %q", got)
		}
		h.p.Close()
	})
	h.open()
}

func TestWrongPassword(t *testing.T) {
	h := newHouse(t)
	for i, c := range []struct {
		name, password string
		status         int
		says           string
	}{
		{"ada", "wrong", 401, "is not right"},
		{"nobody", secret, 401, "is not right"},
		{"", "", 401, "is not right"},
		{strings.Repeat("a", 1000), secret, 401, "is not right"},
		{"a\x00b", "\xff", 401, "is not right"},
		{"ada", "wrong", 401, "is not right"},
		{"ada", secret, 429, "Too many attempts"},
	} {
		if i == 5 {
			h.guesses = 4
		}
		w := h.signIn(ask(webID, callback), c.name, c.password)
		body := w.Body.String()
		if w.Code != c.status || !strings.Contains(body, c.says) || !strings.Contains(body, `id="oc-login-error-message"`) {
			t.Errorf("%q: got %d %s, want %d %q", c.name, w.Code, body, c.status, c.says)
		}
		if strings.Contains(body, "wrong") || h.cookieOf("session") != "" {
			t.Errorf("%q: the password in the page, or a session", c.name)
		}
	}
	h.guesses = 0
	for _, name := range []string{"ADA", " ada ", "ada@example.org", "Ada@Example.org"} {
		if w := h.signIn(ask(webID, callback, "prompt", "login"), name, secret); w.Code != 303 {
			t.Errorf("%q: got %d, want 303", name, w.Code)
		}
	}
}

func (h *house) cookieOf(name string) string {
	for _, c := range h.jar.Cookies(h.opts.URL) {
		if c.Name == h.p.cookie(name) {
			return c.Value
		}
	}
	return ""
}

// RFC 9700, section 4.7: the form works only in the browser that got it.
func TestBCP47ForeignForms(t *testing.T) {
	h := newHouse(t)
	form := fields(h.page(ask(webID, callback)).Body.String())
	form.Set("username", "ada")
	form.Set("password", secret)
	for what, send := range map[string]func() *httptest.ResponseRecorder{
		"no cookie": func() *httptest.ResponseRecorder { return h.bare(post(logonPath, form)) },
		"other token": func() *httptest.ResponseRecorder {
			f := url.Values{}
			for k := range form {
				f.Set(k, form.Get(k))
			}
			f.Set("form", strings.Repeat("A", 26))
			return h.do(post(logonPath, f))
		},
		"no token": func() *httptest.ResponseRecorder {
			f := url.Values{"username": {"ada"}, "password": {secret}, "request": form["request"]}
			return h.do(post(logonPath, f))
		},
	} {
		w := send()
		if w.Code != 403 || !strings.Contains(w.Body.String(), "cookies") || h.cookieOf("session") != "" {
			t.Errorf("%s: got %d", what, w.Code)
		}
		form = fields(h.page(ask(webID, callback)).Body.String())
		form.Set("username", "ada")
		form.Set("password", secret)
	}
	if w := h.do(post(logonPath, form)); w.Code != 303 {
		t.Errorf("the form itself: %d", w.Code)
	}
	// A text/plain form of another site that looks like JSON.
	r := httptest.NewRequest("POST", logonPath, strings.NewReader(`{"params":["ada","`+secret+`","1"],"hello":{"client_id":"web"}}`))
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Kopano-Konnect-XSRF", "1")
	if w := h.bare(r); w.Code != 400 {
		t.Errorf("JSON as text: %d", w.Code)
	}
	r = httptest.NewRequest("POST", logonPath, strings.NewReader(`{"params":["ada","`+secret+`","1"],"hello":{"client_id":"web"}}`))
	r.Header.Set("Content-Type", "application/json")
	if w := h.bare(r); w.Code != 400 {
		t.Errorf("JSON without the header: %d", w.Code)
	}
}

// The way of test suites and of pages that are not ours.
func TestLogonScript(t *testing.T) {
	h := newHouse(t)
	send := func(body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", logonPath, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Kopano-Konnect-XSRF", "1")
		return h.do(r)
	}
	hello := `,"hello":{"scope":"openid profile email","client_id":"web","redirect_uri":"` + callback + `","flow":"oidc"},"state":"x"}`
	w := send(`{"params":["ada","` + secret + `","1"]` + hello)
	want := `{"hello":{"continue_uri":"` + site + authorizePath + `","displayName":"Ada Lovelace","flow":"oidc","state":"x","success":true,"username":"ada"},"state":"x","success":true}`
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("got %d %s, want %s", w.Code, w.Body, want)
	}
	w = h.get(authorizePath + "?" + ask(webID, callback, "prompt", "none").Encode())
	if w.Code != 302 || answer(t, w, callback).Get("code") == "" {
		t.Errorf("authorize: %d", w.Code)
	}
	for body, status := range map[string]int{
		`{"params":["ada","wrong","1"]` + hello:                401,
		`{"params":["ada"]` + hello:                            400,
		`{"params":["ada","x","1"],"hello":{"client_id":"x"}}`: 400,
		`{`: 400,
		`{"params":["ada","` + strings.Repeat("x", 40<<10) + `","1"]}`: 400,
	} {
		if w := send(body); w.Code != status {
			t.Errorf("%.60s: got %d, want %d", body, w.Code, status)
		}
	}
}

func TestConsent(t *testing.T) {
	h := newHouse(t)
	h.web()
	q := ask(desktopID, loopback, "prompt", "select_account consent")
	send := func(form url.Values, change ...string) *httptest.ResponseRecorder {
		for i := 0; i < len(change); i += 2 {
			form.Set(change[i], change[i+1])
		}
		return h.do(post(consentPath, form))
	}
	form := func() url.Values { return fields(h.page(q).Body.String()) }
	code := answer(t, send(form(), "answer", "yes"), loopback).Get("code")
	if g := h.exchange(desktopID, loopback, code); g.Status != 200 || g.Refresh == "" {
		t.Errorf("yes: %+v", g)
	}
	if got := answer(t, send(form(), "answer", "no"), loopback).Get("error"); got != "access_denied" {
		t.Errorf("no: %q", got)
	}
	if w := send(form(), "answer", "yes", "form", "x"); w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), identifier+"?") {
		t.Errorf("foreign form: %d %s", w.Code, w.Header().Get("Location"))
	}
	// Somebody else has signed in meanwhile, in another tab.
	stale := form()
	h.signIn(ask(webID, callback, "prompt", "login"), "bob", secret)
	if w := send(stale, "answer", "yes"); w.Code != 200 || !strings.Contains(w.Body.String(), "<strong>bob</strong>") {
		t.Errorf("another user: %d %s", w.Code, w.Body)
	}
	// A password is needed after all.
	if w := send(form(), "answer", "yes", "request", ask(desktopID, loopback, "prompt", "login").Encode()); w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), identifier+"?") {
		t.Errorf("prompt login: %d %s", w.Code, w.Header().Get("Location"))
	}
}

func TestIDTokenHint(t *testing.T) {
	h := newHouse(t)
	g := h.web()
	if got := answer(t, h.page(ask(webID, callback, "prompt", "none", "id_token_hint", g.ID)), callback).Get("error"); got != "" {
		t.Errorf("the same user: %q", got)
	}
	h.signIn(ask(webID, callback, "prompt", "login"), "bob", secret)
	if got := answer(t, h.page(ask(webID, callback, "prompt", "none", "id_token_hint", g.ID)), callback).Get("error"); got != "login_required" {
		t.Errorf("another user: %q", got)
	}
	if body := h.page(ask(webID, callback, "id_token_hint", g.ID)).Body.String(); !strings.Contains(body, `name="username" type="text" value="ada"`) {
		t.Errorf("the name is not filled in: %s", body)
	}
	if got := answer(t, h.signIn(ask(webID, callback, "prompt", "login", "id_token_hint", g.ID), "bob", secret), callback).Get("error"); got != "login_required" {
		t.Errorf("another user signs in: %q", got)
	}
	for _, hint := range []string{g.Access, g.ID + "x", "x"} {
		if got := answer(t, h.page(ask(webID, callback, "id_token_hint", hint)), callback).Get("error"); got != "invalid_request" {
			t.Errorf("hint %.10s: %q", hint, got)
		}
	}
	if body := h.page(ask(webID, callback, "prompt", "login", "login_hint", `b"><b`)).Body.String(); !strings.Contains(body, `value="b&#34;&gt;&lt;b"`) {
		t.Errorf("login_hint: %s", body)
	}
}

func TestRequests(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		what string
		more []string
		want string
	}{
		{"implicit flow", []string{"response_type", "token"}, "unsupported_response_type"},
		{"hybrid flow", []string{"response_type", "code id_token"}, "unsupported_response_type"},
		{"no response type", []string{"response_type", ""}, "unsupported_response_type"},
		{"fragment", []string{"response_mode", "fragment"}, "invalid_request"},
		{"form_post", []string{"response_mode", "form_post"}, "invalid_request"},
		{"no PKCE", []string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		{"plain PKCE", []string{"code_challenge_method", "plain"}, "invalid_request"},
		{"PKCE without method", []string{"code_challenge_method", ""}, "invalid_request"},
		{"short challenge", []string{"code_challenge", "abc"}, "invalid_request"},
		{"no openid", []string{"scope", "profile"}, "invalid_scope"},
		{"request object", []string{"request", "x"}, "request_not_supported"},
		{"request_uri", []string{"request_uri", "https://evil.example"}, "request_uri_not_supported"},
		{"prompt none and login", []string{"prompt", "none login"}, "invalid_request"},
		{"max_age", []string{"max_age", "-1"}, "invalid_request"},
		{"long nonce", []string{"nonce", strings.Repeat("x", 513)}, "invalid_request"},
	} {
		q := answer(t, h.page(ask(webID, callback, c.more...)), callback)
		if q.Get("error") != c.want || q.Get("error_description") == "" || q.Get("state") != "s t" || q.Get("code") != "" {
			t.Errorf("%s: got %v, want %s", c.what, q, c.want)
		}
	}
	w := h.get(authorizePath + "?" + ask(webID, callback).Encode() + "&scope=openid")
	if got := answer(t, w, callback).Get("error"); got != "invalid_request" {
		t.Errorf("a parameter twice: %q", got)
	}
	// Where the client or the address is not known, the user is told.
	for _, q := range []string{
		ask("evil", callback).Encode(),
		ask(webID, "https://evil.example/").Encode(),
		ask(webID, "").Encode(),
		ask(webID, callback, "redirect_uri", "").Encode(),
		ask(webID, callback).Encode() + "&redirect_uri=https%3A%2F%2Fevil.example",
		ask(webID, callback).Encode() + "&client_id=web",
		ask(webID, callback).Encode() + "&x=%zz",
		ask(webID, callback, "state", strings.Repeat("x", maxQuery)).Encode(),
		"",
	} {
		w := h.get(authorizePath + "?" + q)
		if w.Code != 400 || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), "This did not work") {
			t.Errorf("%.60s: got %d to %q", q, w.Code, w.Header().Get("Location"))
		}
	}
	if w := h.get(identifier); w.Code != 303 || w.Header().Get("Location") != "/" {
		t.Errorf("the page alone: %d to %q", w.Code, w.Header().Get("Location"))
	}
}

func TestUserinfo(t *testing.T) {
	h := newHouse(t)
	g := h.web("scope", "openid email")
	info := func(authorization string) (int, string) {
		r := httptest.NewRequest("GET", userinfoPath, nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := h.bare(r)
		if w.Code == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%q: no challenge", authorization)
		}
		return w.Code, w.Body.String()
	}
	if status, body := info("bearer " + g.Access); status != 200 || body != `{"sub":"`+string(h.ada.ID)+`","email":"ada@example.org"}` {
		t.Errorf("got %d %s", status, body)
	}
	for _, a := range []string{"", "Bearer", "Bearer x", "Bearer " + g.ID, "Basic " + g.Access} {
		if status, body := info(a); status != 401 {
			t.Errorf("%.20s: got %d %s", a, status, body)
		}
	}
	u := *h.ada
	u.Disabled = true
	if _, err := h.dir.SetUser(t.Context(), &u, ""); err != nil {
		t.Fatal(err)
	}
	if status, body := info("Bearer " + g.Access); status != 401 {
		t.Errorf("a disabled user: %d %s", status, body)
	}
}

func TestDiscovery(t *testing.T) {
	h := newHouse(t)
	w := h.get(discoveryPath)
	for _, want := range []string{
		`"issuer":"` + site + `"`, `"token_endpoint":"` + site + `/konnect/v1/token"`, `"code_challenge_methods_supported":["S256"]`,
		`"authorization_response_iss_parameter_supported":true`, `"token_endpoint_auth_methods_supported":["client_secret_basic","none"]`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("got %s, want %s in it", w.Body, want)
		}
	}
	if strings.Contains(w.Body.String(), "registration_endpoint") || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %v %s", w.Header(), w.Body)
	}
	keys := h.get(jwksPath).Body.String()
	for _, private := range []string{`"d"`, `"p"`, `"q"`, `"dp"`, `"dq"`, `"qi"`, `"k"`} {
		if strings.Contains(keys, private) {
			t.Errorf("%s in the public keys", private)
		}
	}
}

func TestOtherPaths(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", 404},
		{"GET", "/signin/v1/identifier/", 404},
		{"GET", "/signin/v1//identifier", 404},
		{"POST", "/konnect/v1/token/", 404},
		{"GET", tokenPath, 405},
		{"PUT", tokenPath, 405},
		{"POST", authorizePath, 405},
		{"DELETE", userinfoPath, 405},
		{"HEAD", discoveryPath, 200},
	} {
		w := h.bare(httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.want || (w.Code == 405) != (w.Header().Get("Allow") != "") {
			t.Errorf("%s %s: got %d, want %d", c.method, c.path, w.Code, c.want)
		}
	}
}

// RFC 9700, section 4.16: no page can be framed by others, runs a script but
// ours, or is kept by a cache.
func TestBCP416PageHeaders(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{
		identifier + "?" + ask(desktopID, loopback).Encode(),
		identifier + "?" + ask(iosID, "oc://ios.opencloud.eu").Encode(),
		authorizePath, endPath,
	} {
		w := h.get(path)
		got := map[string]string{}
		for _, name := range []string{"Cache-Control", "X-Frame-Options", "Referrer-Policy", "X-Content-Type-Options"} {
			got[name] = w.Header().Get(name)
		}
		want := map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "SAMEORIGIN", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
		body := w.Body.String()
		if _, script, ok := strings.Cut(body, "<script>"); ok {
			script, _, _ = strings.Cut(script, "</script>")
			if !strings.HasSuffix(csp, "; script-src '"+page.HashOf(script)+"'") || strings.Count(body, "<script") != 1 {
				t.Errorf("%s: a script that is not ours: %s %s", path, csp, script)
			}
		}
	}
}

func TestLanguages(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct{ accept, locales, want string }{
		{"", "", "Sign in"},
		{"de-AT,en;q=0.5", "", "Anmelden"},
		{"en;q=0.3, de;q=0.8", "", "Anmelden"},
		{"fr, en;q=0.9", "", "Sign in"},
		{"de;q=0", "", "Sign in"},
		{"en", "fr de", "Anmelden"},
		{"de", "en-GB", "Sign in"},
	} {
		r := httptest.NewRequest("GET", identifier+"?"+ask(webID, callback, "ui_locales", c.locales).Encode(), nil)
		r.Header.Set("Accept-Language", c.accept)
		if body := h.do(r).Body.String(); !strings.Contains(body, `<button type="submit">`+c.want+`</button>`) {
			t.Errorf("%+v: %s", c, body)
		}
	}
}

// Pages on the sites of clients may fetch tokens; nobody else's, and nothing
// that looks at cookies.
func TestOtherSites(t *testing.T) {
	opts := options(site)
	opts.Clients = append(opts.Clients, "spa https://spa.example:8443/in http://localhost:3000/in")
	h := houseAt(t, opts)
	for _, c := range []struct{ method, path, origin, want string }{
		{"POST", tokenPath, "https://spa.example:8443", "https://spa.example:8443"},
		{"POST", revokePath, "http://localhost:3000", "http://localhost:3000"},
		{"OPTIONS", userinfoPath, "https://wiki.example.org", "https://wiki.example.org"},
		{"GET", userinfoPath, "https://wiki.example.org", "https://wiki.example.org"},
		{"GET", userinfoPath, "https://spa.example", ""},
		{"OPTIONS", userinfoPath, "https://evil.example", ""},
		{"POST", tokenPath, "null", ""},
		{"POST", tokenPath, "", ""},
		{"POST", tokenPath, "http://127.0.0.1", ""},
		{"POST", tokenPath, "oc://ios.opencloud.eu", ""},
		{"POST", logonPath, "https://spa.example:8443", ""},
		{"GET", authorizePath, "https://spa.example:8443", ""},
		{"GET", securityPath, "https://spa.example:8443", ""},
		{"GET", discoveryPath, "https://evil.example", "*"},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Origin", c.origin)
		w := h.bare(r)
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != c.want || w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s %s from %q: allowed %q, want %q", c.method, c.path, c.origin, got, c.want)
		}
		if got := w.Header().Get("Access-Control-Allow-Headers"); (c.method == "OPTIONS") != (w.Code == 204 && got != "") {
			t.Errorf("%s %s from %q: %d, headers %q", c.method, c.path, c.origin, w.Code, got)
		}
	}
}
