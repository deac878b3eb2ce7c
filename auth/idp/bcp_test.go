package idp

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"pgregory.net/rapid"

	"opencloud/auth/idp/keyring"
	"opencloud/cloud"
)

// The tests of this file are named after the items of RFC 9700 (best current
// practice for OAuth 2.0 security) that they hold.

// Sections 2.1 and 4.1: redirect addresses match to the letter, but for the
// port of an app on the user's machine. Nothing that a look-alike of them
// could be is let through.
func TestBCP41RedirectsMatchExactly(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		client, address string
		want            bool
	}{
		{webID, callback, true},
		{webID, site + "/", true},
		{webID, site, false},
		{webID, site + "/oidc-callback.html/", false},
		{webID, site + "/oidc-callback.html?x=y", false},
		{webID, site + "/x/../oidc-callback.html", false},
		{webID, site + ":443/oidc-callback.html", false},
		{webID, "HTTPS://cloud.example.org/oidc-callback.html", false},
		{webID, "http://cloud.example.org/oidc-callback.html", false},
		{webID, "http://127.0.0.1:80/", false},
		{desktopID, "http://127.0.0.1", true},
		{desktopID, "http://127.0.0.1:1", true},
		{desktopID, "http://127.0.0.1:65535/", true},
		{desktopID, "http://[::1]:8080", true},
		{desktopID, "http://localhost:8080", true},
		{desktopID, "http://127.0.0.1:0", false},
		{desktopID, "http://127.0.0.1:65536", false},
		{desktopID, "http://127.0.0.1:", false},
		{desktopID, "http://127.0.0.1:80:80", false},
		{desktopID, "http://127.0.0.1:80/x", false},
		{desktopID, "http://127.0.0.1:80?x", false},
		{desktopID, "http://127.0.0.1:80#x", false},
		{desktopID, "http://127.0.0.1:80@evil.example", false},
		{desktopID, "http://127.0.0.1.evil.example", false},
		{desktopID, "http://127.0.0.1:80.evil.example", false},
		{desktopID, "http://localhost.evil.example:80", false},
		{desktopID, "http://127.0.0.2:80", false},
		{desktopID, "https://127.0.0.1:80", false},
		{"tool", "http://127.0.0.1:9/back", true},
		{"tool", "http://127.0.0.1/back", true},
		{"tool", "http://127.0.0.1:9", false},
		{"tool", "http://localhost/back", true},
		{"tool", "http://localhost:9/back", false},
		{androidID, "oc://android.opencloud.eu", true},
		{androidID, "oc://android.opencloud.eu/", false},
		{androidID, "oc://ios.opencloud.eu", false},
		{"wiki", "https://wiki.example.org/in", true},
		{"wiki", "https://wiki.example.org/out", false},
	} {
		if got := h.p.clients[c.client].redirectsTo(c.address); got != c.want {
			t.Errorf("%s to %s: %v, want %v", c.client, c.address, got, c.want)
		}
	}
}

// key is the one that signs.
func (h *house) key() jose.JSONWebKey {
	h.t.Helper()
	var keys []struct{ Key jose.JSONWebKey }
	body, err := os.ReadFile(filepath.Join(h.path, "keys.json"))
	if err == nil {
		err = json.Unmarshal(body, &keys)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return keys[0].Key
}

var ours = map[string]*regexp.Regexp{
	webID:     regexp.MustCompile(`^https://cloud\.example\.org/(oidc-callback\.html|oidc-silent-redirect\.html)?$`),
	desktopID: regexp.MustCompile(`^http://(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]+)?/?$`),
	androidID: regexp.MustCompile(`^oc://android\.opencloud\.eu$`),
	"wiki":    regexp.MustCompile(`^https://wiki\.example\.org/in$`),
	"tool":    regexp.MustCompile(`^http://127\.0\.0\.1(:[0-9]+)?/back$|^http://localhost/back$`),
}

func TestBCP41LookAlikes(t *testing.T) {
	h := newHouse(t)
	var seeds []string
	for _, c := range h.p.clients {
		seeds = append(seeds, c.redirects...)
	}
	bits := []string{"", ".", "..", "/", "//", "\\", "@", ":", "#", "?", "%2e", "%00", "\x00", "\n", " ", "evil.example", ".evil.example", "@evil.example", ":80", ":080", ":65536", "a", "A", "\u2024", "\u3002", "[", "]", "&", "=", ";"}
	rapid.Check(t, func(rt *rapid.T) {
		address := rapid.SampledFrom(seeds).Draw(rt, "registered")
		for range rapid.IntRange(0, 3).Draw(rt, "changes") {
			at := rapid.IntRange(0, len(address)).Draw(rt, "at")
			cut := rapid.IntRange(at, min(at+2, len(address))).Draw(rt, "cut")
			address = address[:at] + rapid.SampledFrom(bits).Draw(rt, "bit") + address[cut:]
		}
		for id, right := range ours {
			if got, want := h.p.clients[id].redirectsTo(address), right.MatchString(address); got && !want {
				rt.Fatalf("%s may be sent to %q", id, address)
			}
		}
	})
}

// Section 4.11: an error never sends the browser to an address that is not
// verified (see also TestRequests).
func TestBCP411NoOpenRedirect(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{
		authorizePath + "?client_id=web&redirect_uri=https://evil.example/&response_type=bad",
		authorizePath + "?client_id=evil&redirect_uri=https://evil.example/",
		endPath + "?post_logout_redirect_uri=https://evil.example/",
		endPath + "?client_id=web&post_logout_redirect_uri=https://evil.example/",
		endPath + "?client_id=web&post_logout_redirect_uri=" + site + "/%0d%0aevil:x",
	} {
		if w := h.get(path); w.Header().Get("Location") != "" {
			t.Errorf("%s: %d to %s", path, w.Code, w.Header().Get("Location"))
		}
	}
}

// Section 2.1.1: PKCE for everybody, S256 only, and no way around it.
func TestBCP211PKCE(t *testing.T) {
	h := newHouse(t)
	for what, v := range map[string]string{
		"none": "", "wrong": strings.Replace(verifier, "a", "b", 1), "the challenge": challengeOf(verifier), "short": "abc", "long": strings.Repeat("a", 129),
	} {
		code := answer(t, h.signIn(ask(webID, callback, "prompt", "login"), "ada", secret), callback).Get("code")
		form := url.Values{"grant_type": {"authorization_code"}, "client_id": {webID}, "redirect_uri": {callback}, "code": {code}, "code_verifier": {v}}
		if g := h.token(form); g.Error != "invalid_grant" || g.Status != 400 {
			t.Errorf("verifier %s: %+v", what, g)
		}
		if g := h.exchange(webID, callback, code); g.Error != "invalid_grant" {
			t.Errorf("verifier %s: there is a second try: %+v", what, g)
		}
	}
}

// Sections 2.1.1 and 4.5: a code is for one client, one address, one minute
// and one use; a second use revokes what the first has brought.
func TestBCP45Codes(t *testing.T) {
	h := newHouse(t)
	code := func(scope string) string {
		return answer(t, h.signIn(ask(webID, callback, "prompt", "login", "scope", scope), "ada", secret), callback).Get("code")
	}
	if g := h.exchange("wiki", callback, code("openid")); g.Error != "invalid_grant" {
		t.Errorf("another client: %+v", g)
	}
	if g := h.exchange(webID, site+"/", code("openid")); g.Error != "invalid_grant" {
		t.Errorf("another address: %+v", g)
	}
	if g := h.exchange(webID, callback, "x"); g.Error != "invalid_grant" {
		t.Errorf("no code: %+v", g)
	}
	for _, scope := range []string{"openid", "openid offline_access"} {
		c := code(scope)
		g := h.exchange(webID, callback, c)
		other := h.exchange(webID, callback, code(scope))
		if !h.good(g) || !h.good(other) {
			t.Fatalf("%s: %+v", scope, g)
		}
		if again := h.exchange(webID, callback, c); again.Error != "invalid_grant" {
			t.Errorf("%s: replay: %+v", scope, again)
		}
		if h.good(g) || g.Refresh != "" && h.refresh(webID, g.Refresh).Error == "" {
			t.Errorf("%s: what the code has brought lives on", scope)
		}
		if !h.good(other) {
			t.Errorf("%s: another sign-in was revoked, too", scope)
		}
		h.restart()
		if h.good(g) || !h.good(other) {
			t.Errorf("%s: after a restart: %v, %v", scope, h.good(g), h.good(other))
		}
	}
	synctest.Test(t, func(t *testing.T) {
		h.restart()
		c := code("openid")
		time.Sleep(codeLife)
		if g := h.exchange(webID, callback, c); g.Error != "invalid_grant" {
			t.Errorf("an old code: %+v", g)
		}
		h.p.Close()
	})
	h.open()
}

func TestBCP45CodeRace(t *testing.T) {
	h := newHouse(t)
	code := answer(t, h.signIn(ask(desktopID, loopback), "ada", secret), loopback).Get("code")
	grants := make([]grant, 4)
	var wg sync.WaitGroup
	for i := range grants {
		wg.Go(func() { grants[i] = h.exchange(desktopID, loopback, code) })
	}
	wg.Wait()
	given := 0
	for _, g := range grants {
		if g.Status == 200 {
			given++
			if h.good(g) {
				t.Error("the tokens live on")
			}
		}
	}
	if given != 1 {
		t.Errorf("%d got tokens, want 1", given)
	}
}

// Section 2.2.2 and 4.14: refresh tokens rotate, and one that was replaced
// ends all that came of it.
func TestBCP414RefreshRotation(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		h.restart()
		defer func() { h.p.Close() }()
		first := h.desktop()
		if first.Refresh == "" || !h.good(first) {
			t.Fatalf("%+v", first)
		}
		second := h.refresh(desktopID, first.Refresh)
		if second.Status != 200 || second.Refresh == first.Refresh || second.ID == "" || !h.good(second) {
			t.Fatalf("%+v", second)
		}
		_, a := parts(t, first.ID)
		_, b := parts(t, second.ID)
		for _, name := range []string{"iss", "sub", "aud", "sid", "auth_time"} {
			if a[name] != b[name] {
				t.Errorf("%s was %v, is %v", name, a[name], b[name])
			}
		}
		if b["nonce"] != nil {
			t.Errorf("nonce %v in a refreshed token", b["nonce"])
		}
		// The answer was lost: the client asks again and gets the same.
		h.restart()
		time.Sleep(lost - time.Second)
		if again := h.refresh(desktopID, first.Refresh); again.Refresh != second.Refresh || again.Status != 200 {
			t.Errorf("asked again: %+v", again)
		}
		third := h.refresh(desktopID, second.Refresh)
		if third.Status != 200 {
			t.Fatalf("%+v", third)
		}
		other := h.desktop()
		// Two back is too far, whenever.
		if g := h.refresh(desktopID, first.Refresh); g.Error != "invalid_grant" {
			t.Errorf("reuse: %+v", g)
		}
		if g := h.refresh(desktopID, third.Refresh); g.Error != "invalid_grant" || h.good(third) || h.good(first) {
			t.Errorf("the family lives on: %+v", g)
		}
		if !h.good(other) {
			t.Error("another sign-in was revoked, too")
		}
		// One back, but too late.
		g1 := h.refresh(desktopID, other.Refresh)
		time.Sleep(lost)
		if g := h.refresh(desktopID, other.Refresh); g.Error != "invalid_grant" {
			t.Errorf("late reuse: %+v", g)
		}
		if g := h.refresh(desktopID, g1.Refresh); g.Error != "invalid_grant" {
			t.Errorf("after late reuse: %+v", g)
		}
		h.restart()
		if h.good(g1) || h.good(third) {
			t.Error("a restart brings back what was revoked")
		}
	})
	h.open()
}

func TestBCP414RefreshEnds(t *testing.T) {
	h := newHouse(t)
	if g := h.refresh(androidID, h.desktop().Refresh); g.Error != "invalid_grant" {
		t.Errorf("another client: %+v", g)
	}
	for _, token := range []string{"", "x", "x.y", h.desktop().Access, h.desktop().ID, h.cookieOf("session")} {
		if g := h.refresh(desktopID, token); g.Error != "invalid_grant" {
			t.Errorf("%.20q: %+v", token, g)
		}
	}
	if g := h.web(); g.Refresh != "" {
		t.Errorf("a refresh token without offline_access: %+v", g)
	}
	g := h.token(url.Values{"grant_type": {"refresh_token"}, "client_id": {desktopID}, "refresh_token": {h.desktop().Refresh}, "scope": {"openid email admin"}})
	if g.Scope != "openid email" {
		t.Errorf("less scope: %+v", g)
	}
	synctest.Test(t, func(t *testing.T) {
		h.restart()
		defer func() { h.p.Close() }()
		g := h.desktop()
		for range 3 {
			time.Sleep(h.opts.RefreshLife - time.Second)
			if g = h.refresh(desktopID, g.Refresh); g.Status != 200 {
				t.Fatalf("in use: %+v", g)
			}
		}
		time.Sleep(h.opts.RefreshLife)
		if g := h.refresh(desktopID, g.Refresh); g.Error != "invalid_grant" {
			t.Errorf("not used for long: %+v", g)
		}
	})
	h.open()
	gone := h.desktop()
	if err := h.dir.RemoveUser(t.Context(), h.ada.ID); err != nil {
		t.Fatal(err)
	}
	if g := h.refresh(desktopID, gone.Refresh); g.Error != "invalid_grant" {
		t.Errorf("a removed user: %+v", g)
	}
}

// Section 4.2: addresses with codes are told to nobody else.
func TestBCP42Referrer(t *testing.T) {
	h := newHouse(t)
	for _, w := range []*httptest.ResponseRecorder{h.page(ask(webID, callback)), h.signIn(ask(webID, callback), "ada", secret), h.page(ask(webID, callback))} {
		if got := w.Header().Get("Referrer-Policy"); got != "same-origin" {
			t.Errorf("%d: Referrer-Policy %q", w.Code, got)
		}
	}
}

// Section 4.4: every answer says whose it is, also one that refuses.
func TestBCP44MixUp(t *testing.T) {
	h := newHouse(t)
	for _, w := range []*httptest.ResponseRecorder{
		h.page(ask(webID, callback, "prompt", "none")), h.page(ask(webID, callback, "scope", "x")), h.signIn(ask(webID, callback), "ada", secret), h.page(ask(webID, callback)),
	} {
		answer(t, w, callback) // looks at iss
	}
}

// Section 4.8: a code that was asked for with a challenge is worth nothing
// without the verifier, and none is given without a challenge (TestRequests).
func TestBCP48Downgrade(t *testing.T) {
	h := newHouse(t)
	code := answer(t, h.signIn(ask(webID, callback), "ada", secret), callback).Get("code")
	g := h.token(url.Values{"grant_type": {"authorization_code"}, "client_id": {webID}, "redirect_uri": {callback}, "code": {code}})
	if g.Error != "invalid_grant" {
		t.Errorf("%+v", g)
	}
}

// Section 4.12: a browser that comes from the form does not send the password
// on to the client.
func TestBCP412SeeOther(t *testing.T) {
	h := newHouse(t)
	if w := h.signIn(ask(webID, callback), "ada", secret); w.Code != http.StatusSeeOther {
		t.Errorf("after the form: %d, want 303", w.Code)
	}
	form := fields(h.page(ask(desktopID, loopback)).Body.String())
	for _, yes := range []string{"yes", "no"} {
		form.Set("answer", yes)
		if w := h.do(post(consentPath, form)); w.Code != http.StatusSeeOther {
			t.Errorf("after the answer %s: %d, want 303", yes, w.Code)
		}
	}
}

// Sections 2.1.2 and 2.4: neither implicit grants nor passwords.
func TestBCP24OtherGrants(t *testing.T) {
	h := newHouse(t)
	for _, typ := range []string{"password", "client_credentials", "implicit", "urn:ietf:params:oauth:grant-type:device_code", ""} {
		g := h.token(url.Values{"grant_type": {typ}, "client_id": {webID}, "username": {"ada"}, "password": {secret}})
		if g.Error != "unsupported_grant_type" || g.Status != 400 {
			t.Errorf("%s: %+v", typ, g)
		}
	}
}

// Section 2.5: clients are who they say, as far as a client without secret
// can be.
func TestBCP25Clients(t *testing.T) {
	h := newHouse(t)
	form := func(more ...string) url.Values {
		q := url.Values{"grant_type": {"authorization_code"}, "code": {"x"}}
		for i := 0; i < len(more); i += 2 {
			q.Add(more[i], more[i+1])
		}
		return q
	}
	for _, c := range []struct {
		what       string
		form       url.Values
		user, pass string
		status     int
		want       string
	}{
		{"in the form", form("client_id", desktopID), "", "", 400, "invalid_grant"},
		{"in the header", form(), desktopID, "", 400, "invalid_grant"},
		{"in both", form("client_id", desktopID), desktopID, "", 400, "invalid_grant"},
		{"nobody", form(), "", "", 401, "invalid_client"},
		{"unknown", form("client_id", "evil"), "", "", 401, "invalid_client"},
		{"two", form("client_id", webID), desktopID, "", 401, "invalid_client"},
		{"a secret", form("client_id", webID, "client_secret", "x"), "", "", 401, "invalid_client"},
		{"a secret in the header", form(), desktopID, "x", 401, "invalid_client"},
		{"twice", form("client_id", webID, "client_id", webID), "", "", 400, "invalid_request"},
	} {
		r := post(tokenPath, c.form)
		if c.user != "" {
			r.SetBasicAuth(c.user, c.pass)
		}
		w := h.bare(r)
		var got grant
		json.Unmarshal(w.Body.Bytes(), &got)
		if w.Code != c.status || got.Error != c.want || (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s: got %d %s, want %d %s", c.what, w.Code, w.Body, c.status, c.want)
		}
	}
	// Parameters in the address, where they are logged, do not count.
	r := httptest.NewRequest("POST", tokenPath+"?"+form("client_id", webID).Encode(), nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if w := h.bare(r); w.Code != 401 {
		t.Errorf("in the address: %d", w.Code)
	}
	r = httptest.NewRequest("POST", tokenPath, strings.NewReader(`{"client_id":"web"}`))
	r.Header.Set("Content-Type", "application/json")
	if w := h.bare(r); w.Code != 400 {
		t.Errorf("JSON: %d", w.Code)
	}
}

// Section 4.10.2 and RFC 9068: access tokens are for this server only, and
// nothing else passes for one.
func TestBCP410Tokens(t *testing.T) {
	h := newHouse(t)
	g := h.web()
	if !h.good(g) {
		t.Fatal("the token is not good")
	}
	_, c := parts(t, g.Access)
	key := h.key()
	forge := func(alg jose.SignatureAlgorithm, key any, typ, kid string, change func(map[string]any)) string {
		m := map[string]any{}
		for k, v := range c {
			m[k] = v
		}
		change(m)
		body, _ := json.Marshal(m)
		opts := (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("kid", kid)
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := s.Sign(body)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := jws.CompactSerialize()
		return raw
	}
	other := newHouse(t)
	other.web()
	stranger := other.key()
	same := func(map[string]any) {}
	set := func(name string, v any) func(map[string]any) { return func(m map[string]any) { m[name] = v } }
	none := func(header string) string {
		b64 := base64.RawURLEncoding
		body, _ := json.Marshal(c)
		return b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString(body) + "."
	}
	public, _ := json.Marshal(key.Public())
	if _, err := h.p.Token(t.Context(), forge(keyring.Algorithm, key.Key, typeAccess, key.KeyID, same)); err != nil {
		t.Fatalf("our own forgery: %v", err) // else the rest proves nothing
	}
	for what, raw := range map[string]string{
		"nothing":          "",
		"alg none":         none(`{"alg":"none","typ":"at+jwt","kid":"` + key.KeyID + `"}`),
		"alg None":         none(`{"alg":"None","typ":"at+jwt"}`),
		"no alg":           none(`{"typ":"at+jwt"}`),
		"HS256 of the key": forge(jose.HS256, public, typeAccess, key.KeyID, same),
		"RS256":            forge(jose.RS256, key.Key, typeAccess, key.KeyID, same),
		"another key":      forge(keyring.Algorithm, stranger.Key, typeAccess, key.KeyID, same),
		"another key's id": forge(keyring.Algorithm, stranger.Key, typeAccess, stranger.KeyID, same),
		"no key":           forge(keyring.Algorithm, key.Key, typeAccess, "", same),
		"ID token":         g.ID,
		"its type":         forge(keyring.Algorithm, key.Key, typeID, key.KeyID, same),
		"iss":              forge(keyring.Algorithm, key.Key, typeAccess, key.KeyID, set("iss", site+"/")),
		"aud":              forge(keyring.Algorithm, key.Key, typeAccess, key.KeyID, set("aud", webID)),
		"no aud":           forge(keyring.Algorithm, key.Key, typeAccess, key.KeyID, func(m map[string]any) { delete(m, "aud") }),
		"exp":              forge(keyring.Algorithm, key.Key, typeAccess, key.KeyID, set("exp", time.Now().Unix())),
		"no exp":           forge(keyring.Algorithm, key.Key, typeAccess, key.KeyID, func(m map[string]any) { delete(m, "exp") }),
		"sid":              forge(keyring.Algorithm, key.Key, typeAccess, key.KeyID, set("sid", "x")),
		"no sid":           forge(keyring.Algorithm, key.Key, typeAccess, key.KeyID, func(m map[string]any) { delete(m, "sid") }),
		"cut short":        g.Access[:len(g.Access)-1],
		"longer":           g.Access + ".x",
		"huge":             strings.Repeat("a", maxToken+1),
		"JSON form":        `{"payload":"","signatures":[]}`,
	} {
		if got, err := h.p.Token(t.Context(), raw); cloud.KindOf(err) != cloud.Unauthorized {
			t.Errorf("%s: got %+v, %v; want %v", what, got, err, cloud.Unauthorized)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		h.restart()
		defer func() { h.p.Close() }()
		g := h.web()
		time.Sleep(h.opts.AccessLife - time.Second)
		if !h.good(g) {
			t.Error("the token expired too early")
		}
		time.Sleep(time.Second)
		if h.good(g) {
			t.Error("the token does not expire")
		}
	})
	h.open()
}

// RFC 7009.
func TestRevocation(t *testing.T) {
	h := newHouse(t)
	revoke := func(client, token string) int {
		return h.bare(post(revokePath, url.Values{"client_id": {client}, "token": {token}})).Code
	}
	g, other := h.desktop(), h.desktop()
	for _, token := range []string{"", "x", "x.y", g.ID, strings.Split(g.Refresh, ".")[0] + ".x"} {
		if got := revoke(desktopID, token); got != 200 {
			t.Errorf("%.10q: %d", token, got)
		}
	}
	if revoke(webID, g.Refresh); h.refresh(desktopID, g.Refresh).Error != "" {
		t.Error("another client can revoke")
	}
	if revoke(webID, other.Access); !h.good(other) {
		t.Error("another client can revoke an access token")
	}
	if revoke(desktopID, other.Access); h.good(other) {
		t.Error("a revoked access token is good")
	}
	if next := h.refresh(desktopID, other.Refresh); !h.good(next) {
		t.Errorf("an access token was revoked, and the session with it: %+v", next)
	}
	if revoke(desktopID, g.Refresh); h.good(g) || h.refresh(desktopID, g.Refresh).Error != "invalid_grant" {
		t.Error("a revoked session goes on")
	}
	h.restart()
	if h.good(other) || h.good(g) {
		t.Error("a restart brings back what was revoked")
	}
	if got := revoke("evil", "x"); got != 401 {
		t.Errorf("no client: %d", got)
	}
}

func TestEndSession(t *testing.T) {
	told := make(chan url.Values, 8)
	rp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		told <- r.PostForm
	}))
	defer rp.Close()
	opts := options(site)
	opts.Clients = append(opts.Clients, "board https://board.example.org/in logout=https://board.example.org/out backchannel="+rp.URL+"/bye")
	h := houseAt(t, opts)
	board := func() grant {
		q := answer(t, h.page(ask("board", "https://board.example.org/in")), "https://board.example.org/in")
		return h.exchange("board", "https://board.example.org/in", q.Get("code"))
	}
	silent := func() bool {
		return answer(t, h.page(ask(webID, callback, "prompt", "none")), callback).Get("code") != ""
	}

	g, desk := h.web("scope", "openid offline_access"), h.desktop()
	b := board()
	_, c := parts(t, b.ID)
	w := h.get(endPath + "?" + url.Values{"id_token_hint": {g.ID}, "post_logout_redirect_uri": {site + "/"}, "state": {"x y"}}.Encode())
	if w.Code != 303 || w.Header().Get("Location") != site+"/?state=x+y" {
		t.Errorf("got %d to %q", w.Code, w.Header().Get("Location"))
	}
	if silent() || h.cookieOf("session") != "" {
		t.Error("the browser is still signed in")
	}
	if h.good(g) || h.refresh(webID, g.Refresh).Error == "" {
		t.Error("the web app is still signed in")
	}
	if !h.good(desk) {
		t.Error("the desktop app was signed out")
	}
	header, l := parts(t, (<-told).Get("logout_token"))
	if header["typ"] != "logout+jwt" || l["sid"] != c["sid"] || l["sub"] != c["sub"] || l["aud"] != "board" || l["nonce"] != nil || l["jti"] == nil ||
		fmt.Sprint(l["events"]) != "map[http://schemas.openid.net/event/backchannel-logout:map[]]" {
		t.Errorf("logout token: %v %v", header, l)
	}

	// Without a token of this very session the user is asked.
	h.web()
	for what, q := range map[string]url.Values{
		"nothing": {}, "an old token": {"id_token_hint": {g.ID}}, "an access token": {"id_token_hint": {g.Access}}, "a client": {"client_id": {webID}},
	} {
		if w := h.get(endPath + "?" + q.Encode()); w.Code != 200 || !strings.Contains(w.Body.String(), "Sign out</button>") || !silent() {
			t.Errorf("%s: %d", what, w.Code)
		}
	}
	if w := h.do(post(endPath, url.Values{"answer": {"yes"}, "form": {"x"}})); w.Code != 200 || !silent() {
		t.Errorf("a foreign form signs out: %d", w.Code)
	}
	form := fields(h.get(endPath + "?client_id=wiki&post_logout_redirect_uri=https://wiki.example.org/out").Body.String())
	form.Set("answer", "yes")
	if w := h.do(post(endPath, form)); w.Header().Get("Location") != "https://wiki.example.org/out" || silent() {
		t.Errorf("yes: %d to %q", w.Code, w.Header().Get("Location"))
	}
	if w := h.get(endPath); w.Code != 200 || !strings.Contains(w.Body.String(), "You are signed out") {
		t.Errorf("nobody: %d %s", w.Code, w.Body)
	}

	// A browser without the cookie, but with the token.
	g = h.web()
	r := httptest.NewRequest("GET", endPath+"?id_token_hint="+g.ID, nil)
	if w := h.bare(r); w.Code != 200 || h.good(g) {
		t.Errorf("with the token only: %d, %v", w.Code, h.good(g))
	}

	// Another user in the same browser ends the session before.
	h.web()
	board()
	h.signIn(ask(webID, callback, "prompt", "login"), "bob", secret)
	if _, l := parts(t, (<-told).Get("logout_token")); l["sub"] != string(h.ada.ID) {
		t.Errorf("logout token: %v", l)
	}
}

// The session's cookie is new with each sign-in, and a guess or an app's
// secret is no cookie.
func TestSessionFixation(t *testing.T) {
	h := newHouse(t)
	h.web()
	before := h.cookieOf("session")
	h.web("prompt", "login")
	if h.cookieOf("session") == before {
		t.Error("the cookie stays the same")
	}
	id, _, _ := strings.Cut(before, ".")
	for what, value := range map[string]string{"the old one": before, "another secret": id + ".x", "no secret": id, "an app's": h.desktop().Refresh} {
		r := httptest.NewRequest("GET", authorizePath+"?"+ask(webID, callback, "prompt", "none").Encode(), nil)
		r.AddCookie(&http.Cookie{Name: h.p.cookie("session"), Value: value})
		if got := answer(t, h.bare(r), callback).Get("error"); got != "login_required" {
			t.Errorf("%s: %q", what, got)
		}
	}
	w := h.signIn(ask(webID, callback, "prompt", "login"), "ada", secret)
	for _, c := range w.Result().Cookies() {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || c.HttpOnly != (c.Name != "__Host-oc-state") || c.MaxAge != 0 {
			t.Errorf("cookie %v", c)
		}
	}
}
