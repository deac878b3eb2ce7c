package compat

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"opencloud/test/daemon"
)

// A provider is node's oidc-provider: see test/node/provider.mjs.
type provider struct {
	t      *testing.T
	issuer string
	folder string
	env    []string
	cmd    *exec.Cmd
}

// newProvider prepares one that tells the server of sign-outs, and does not start it.
func newProvider(t *testing.T, cloud string) *provider {
	t.Helper()
	tool(t, "node", "nodejs")
	if _, err := os.Stat("../node/node_modules/oidc-provider"); err != nil {
		if os.Getenv("COMPAT_REQUIRE") != "" {
			t.Fatal("oidc-provider is not installed: npm ci in test/node")
		}
		t.Skip("oidc-provider is not installed: npm ci in test/node")
	}
	addr := daemon.FreeAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	p := &provider{t: t, issuer: "http://" + addr, folder: t.TempDir()}
	p.env = []string{"PATH=" + os.Getenv("PATH"), "NODE_ENV=production", "PORT=" + port, "CLOUD=" + cloud,
		"PEOPLE=" + filepath.Join(p.folder, "people"), "KEYS=" + filepath.Join(p.folder, "keys")}
	p.rotate("k1")
	t.Cleanup(p.kill)
	return p
}

func (p *provider) file(name string, v any) {
	p.t.Helper()
	body, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(filepath.Join(p.folder, "new"), body, 0o600)
	}
	if err == nil {
		err = os.Rename(filepath.Join(p.folder, "new"), filepath.Join(p.folder, name))
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// rotate gives it a new key for its next start.
func (p *provider) rotate(id string) {
	p.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		p.t.Fatal(err)
	}
	p.file("keys", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: id, Use: "sig", Algorithm: "RS256"}}})
}

// people are the claims by subject.
type people map[string]map[string]any

func (p *provider) people(who people) {
	p.t.Helper()
	p.file("people", who)
}

func (p *provider) start() {
	p.t.Helper()
	p.cmd = exec.Command("node", "../node/provider.mjs")
	p.cmd.Env, p.cmd.Stderr = p.env, os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		p.t.Fatalf("the provider said %q, %v", line, err)
	}
}

func (p *provider) kill() {
	if p.cmd != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		p.cmd = nil
	}
}

// A guest is a browser at the provider and the app that it signs in to.
type guest struct {
	*provider
	http *http.Client
	app  oauth2.Config
	*oauth2.Token
}

// signIn goes the way of an app (code flow with PKCE): resource is what the
// access token is for, and empty for an opaque one; without the scopes it
// wants to stay signed in when the browser's session has ended.
func (p *provider) signIn(client, who, resource string, scopes ...string) *guest {
	p.t.Helper()
	jar, _ := cookiejar.New(nil)
	const back = "http://127.0.0.1/callback"
	v := &guest{provider: p, http: &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Path == "/callback" || len(via) > 10 {
			return http.ErrUseLastResponse
		}
		return nil
	}}, app: oauth2.Config{
		ClientID: client, RedirectURL: back, Scopes: []string{"openid", "profile", "email", "offline_access"},
		Endpoint: oauth2.Endpoint{AuthURL: p.issuer + "/auth", TokenURL: p.issuer + "/token", AuthStyle: oauth2.AuthStyleInParams},
	}}
	if scopes != nil {
		v.app.Scopes = scopes
	}
	verifier := oauth2.GenerateVerifier()
	opts := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("login_hint", who)}
	more := []oauth2.AuthCodeOption{oauth2.VerifierOption(verifier)}
	if resource != "" {
		opts = append(opts, oauth2.SetAuthURLParam("resource", resource))
		more = append(more, oauth2.SetAuthURLParam("resource", resource))
	}
	resp, err := v.http.Get(v.app.AuthCodeURL("st", append(opts, oauth2.SetAuthURLParam("prompt", "consent"))...))
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		body, _ := io.ReadAll(resp.Body)
		p.t.Fatalf("no code but %s, %s: %s", resp.Status, to, tail(string(body)))
	}
	if v.Token, err = v.app.Exchange(p.t.Context(), to.Query().Get("code"), more...); err != nil {
		p.t.Fatal(err)
	}
	return v
}

// refresh gets a new access token.
func (v *guest) refresh() {
	v.t.Helper()
	old := *v.Token
	old.Expiry = time.Now().Add(-time.Hour)
	next, err := v.app.TokenSource(v.t.Context(), &old).Token()
	if err != nil {
		v.t.Fatal(err)
	}
	v.Token = next
}

var xsrf = regexp.MustCompile(`name="xsrf" value="([^"]+)"`)

// signOut signs the browser out at the provider.
func (v *guest) signOut() {
	v.t.Helper()
	id, _ := v.Extra("id_token").(string)
	resp, err := v.http.Get(v.issuer + "/session/end?" + url.Values{"id_token_hint": {id}}.Encode())
	if err != nil {
		v.t.Fatal(err)
	}
	page, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	m := xsrf.FindSubmatch(page)
	if m == nil {
		v.t.Fatalf("no form to sign out with: %s", tail(string(page)))
	}
	resp, err = v.http.PostForm(v.issuer+"/session/end/confirm", url.Values{"xsrf": {string(m[1])}, "logout": {"yes"}})
	if err != nil {
		v.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		v.t.Fatalf("signing out: %s", resp.Status)
	}
}

// do makes a request with the access token, and checks the status.
func (v *guest) do(s *daemon.Server, status int, method, path, body string, header ...string) string {
	v.t.Helper()
	got, answer := v.ask(s, method, path, body, header...)
	if got != status {
		v.t.Fatalf("%s %s: got %d, want %d: %s", method, path, got, status, tail(answer))
	}
	return answer
}

func (v *guest) ask(s *daemon.Server, method, path, body string, header ...string) (status int, answer string) {
	v.t.Helper()
	resp, got := s.Do(v.t, method, path, body, append(header, "Authorization", "Bearer "+v.AccessToken)...)
	if resp.StatusCode == 503 && resp.Header.Get("Retry-After") == "" {
		v.t.Errorf("%s %s: 503 without Retry-After", method, path)
	}
	return resp.StatusCode, got
}

// recovers asks until the server answers with a status.
func (v *guest) recovers(s *daemon.Server, status int, path string) {
	v.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		got, answer := v.ask(s, "GET", path, "")
		if got == status {
			return
		}
		select {
		case <-limit:
			v.t.Fatalf("GET %s: still %d, want %d: %s", path, got, status, answer)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// me is what the server says of who has the token.
func (v *guest) me(s *daemon.Server) (name, groups string) {
	v.t.Helper()
	var me struct {
		Name     string `json:"onPremisesSamAccountName"`
		MemberOf []struct {
			Name string `json:"displayName"`
		} `json:"memberOf"`
	}
	if err := json.Unmarshal([]byte(v.do(s, 200, "GET", "/graph/v1.0/me?$expand=memberOf", "")), &me); err != nil {
		v.t.Fatal(err)
	}
	var names []string
	for _, g := range me.MemberOf {
		names = append(names, g.Name)
	}
	slices.Sort(names)
	return me.Name, strings.Join(names, " ")
}

func person(name string, more ...any) map[string]any {
	c := map[string]any{"preferred_username": name, "name": strings.ToUpper(name), "email": name + "@example.org", "roles": []string{"opencloudUser"}}
	for i := 0; i+1 < len(more); i += 2 {
		c[more[i].(string)] = more[i+1]
	}
	return c
}

// externally starts a server whose people sign in at a provider of somebody
// else, which is up when up is.
func externally(t *testing.T, up bool, env ...string) (*daemon.Server, *provider) {
	t.Helper()
	s := daemon.New(t, "")
	p := newProvider(t, s.URL)
	p.people(people{"s-ada": person("ada", "groups", []string{"crew", "math"}), "s-eve": person("eve"), "s-none": person("none", "roles", []string{"x"})})
	s.Env = append(s.Env, "OC_OIDC_ISSUER="+p.issuer, "PROXY_AUTOPROVISION_ACCOUNTS=true", "PROXY_ROLE_ASSIGNMENT_DRIVER=oidc",
		"OC_OIDC_GROUPS_EVERY=0s", "PROXY_OIDC_JWKS_REFRESH_LIMIT=1", "PROXY_OIDC_REWRITE_WELLKNOWN=true")
	s.Env = append(s.Env, env...)
	if up {
		p.start()
	}
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("server said:\n%s", s.Log)
		}
	})
	return s, p
}

// People of an issuer whose access tokens are JWTs, from the first sign-in to
// the last, with the issuer coming and going.
func TestExternalIssuer(t *testing.T) {
	s, p := externally(t, false, "PROXY_OIDC_SKIP_USER_INFO=true", "OC_OIDC_AUDIENCE=cloud")

	// The issuer is not there yet. The server is, and lets in who needs it not.
	if resp, body := s.Do(t, "GET", "/.well-known/webfinger?resource="+url.QueryEscape(s.URL)+"&platform=desktop", ""); resp.StatusCode != 200 ||
		!strings.Contains(body, `"href":"`+p.issuer+`"`) || !strings.Contains(body, `"OpenCloudDesktop"`) {
		t.Errorf("webfinger: got %s %s", resp.Status, body)
	}
	if resp, _ := s.Do(t, "GET", "/graph/v1.0/me", ""); resp.StatusCode != 200 {
		t.Errorf("a password: got %s", resp.Status)
	}
	if resp, _ := s.Do(t, "GET", "/.well-known/openid-configuration", ""); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("discovery of nobody: got %s", resp.Status)
	}
	if resp, _ := s.Do(t, "GET", "/signin/v1/identifier", ""); resp.StatusCode != 404 {
		t.Errorf("the sign-in page of our own: got %s", resp.Status)
	}
	p.start()
	web := p.signIn("web", "s-ada", s.URL)
	web.recovers(s, 200, "/graph/v1.0/me")
	if resp, body := s.Do(t, "GET", "/.well-known/openid-configuration", ""); resp.StatusCode != 200 || !strings.Contains(body, p.issuer+"/token") {
		t.Errorf("discovery: got %s %s", resp.Status, body)
	}

	web.do(s, 201, "PUT", "/remote.php/webdav/file.txt", "hello")
	web.do(s, 207, "PROPFIND", "/remote.php/webdav/", "", "Depth", "1")
	if name, groups := web.me(s); name != "ada" || groups != "crew math" {
		t.Errorf("got %s, %q", name, groups)
	}
	web.do(s, 403, "POST", "/graph/v1.0/groups", `{"displayName":"mine"}`, "Content-Type", "application/json")

	// What the issuer says changes with the next token.
	p.people(people{"s-ada": person("countess", "name", "Lady Ada", "groups", []string{"math"}, "roles", []string{"opencloudAdmin"}), "s-eve": person("ada"), "s-none": person("none", "roles", []string{"x"})})
	web.refresh()
	if name, groups := web.me(s); name != "ada" || groups != "math" {
		t.Errorf("after the change: got %s, %q", name, groups)
	}
	web.do(s, 201, "POST", "/graph/v1.0/groups", `{"displayName":"mine"}`, "Content-Type", "application/json")
	if got := web.do(s, 200, "GET", "/remote.php/webdav/file.txt", ""); got != "hello" {
		t.Errorf("the file: got %q", got)
	}

	// Who takes a name takes nothing else, and who has no role does not come in.
	if got := p.signIn("web", "s-eve", s.URL).do(s, 403, "GET", "/graph/v1.0/me", ""); !strings.Contains(got, "belongs to somebody else") {
		t.Errorf("got %s", got)
	}
	if got := p.signIn("web", "s-none", s.URL).do(s, 403, "GET", "/remote.php/webdav/", ""); !strings.Contains(got, "given no role") {
		t.Errorf("got %s", got)
	}
	p.people(people{"s-ada": person("ada"), "s-eve": person("admin"), "s-none": person("none", "roles", 7)})
	if got := p.signIn("web", "s-eve", s.URL).do(s, 403, "GET", "/graph/v1.0/me", ""); !strings.Contains(got, "was made here") {
		t.Errorf("got %s", got)
	}
	if got := p.signIn("web", "s-none", s.URL).do(s, 403, "GET", "/graph/v1.0/me", ""); !strings.Contains(got, "not understood") {
		t.Errorf("got %s", got)
	}
	// A token that is for another service is not for us.
	p.signIn("web", "s-ada", "").do(s, 401, "GET", "/graph/v1.0/me", "")

	// Signing out at the issuer ends what the browser began, at once, and no more.
	web = p.signIn("web", "s-ada", s.URL)
	desktop := p.signIn("OpenCloudDesktop", "s-ada", s.URL)
	web.do(s, 200, "GET", "/graph/v1.0/me", "")
	desktop.do(s, 200, "GET", "/graph/v1.0/me", "")
	web.signOut()
	web.do(s, 401, "GET", "/graph/v1.0/me", "")
	desktop.do(s, 200, "GET", "/graph/v1.0/me", "")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	web.do(s, 401, "GET", "/graph/v1.0/me", "")
	desktop.do(s, 200, "GET", "/graph/v1.0/me", "")

	// Without the issuer those go on who are known; with it and its new key
	// all do, by themselves.
	fresh := p.signIn("web", "s-ada", s.URL)
	p.kill()
	desktop.do(s, 200, "GET", "/graph/v1.0/me", "")
	fresh.do(s, 200, "GET", "/remote.php/webdav/file.txt", "")
	p.rotate("k2")
	p.start()
	fresh.do(s, 200, "GET", "/graph/v1.0/me", "")
	p.signIn("web", "s-ada", s.URL).recovers(s, 200, "/graph/v1.0/me")
	if resp, _ := s.Do(t, "GET", "/graph/v1.0/me", ""); resp.StatusCode != 200 {
		t.Errorf("a password: got %s", resp.Status)
	}
}

// People of an issuer whose access tokens say nothing: it is asked whose they are.
func TestExternalIssuerOpaque(t *testing.T) {
	s, p := externally(t, true, "PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD=none", "PROXY_OIDC_USERINFO_CACHE_TTL=1h")
	web := p.signIn("web", "s-ada", "")
	if strings.Count(web.AccessToken, ".") == 2 {
		t.Fatal("the token is a JWT")
	}
	web.recovers(s, 200, "/graph/v1.0/me")
	web.do(s, 201, "PUT", "/remote.php/webdav/file.txt", "hello")
	if name, groups := web.me(s); name != "ada" || groups != "crew math" {
		t.Errorf("got %s, %q", name, groups)
	}
	if got := p.signIn("web", "s-none", "").do(s, 403, "GET", "/graph/v1.0/me", ""); !strings.Contains(got, "given no role") {
		t.Errorf("got %s", got)
	}
	p.people(people{"s-ada": person("ada", "groups", []string{"math"})})
	web.refresh()
	if _, groups := web.me(s); groups != "math" {
		t.Errorf("after the change: got %q", groups)
	}
	// Signing out at the issuer ends what the browser began, at once. Of other
	// tokens the issuer is asked.
	brief := p.signIn("web", "s-ada", "", "openid", "profile")
	brief.do(s, 200, "GET", "/graph/v1.0/me", "")
	brief.signOut()
	brief.do(s, 401, "GET", "/graph/v1.0/me", "")
	web.do(s, 200, "GET", "/graph/v1.0/me", "")

	p.kill()
	web.do(s, 200, "GET", "/graph/v1.0/me", "")
	stranger := *web
	stranger.Token = &oauth2.Token{AccessToken: "unknown"}
	stranger.do(s, 503, "GET", "/graph/v1.0/me", "")
	p.start()
	stranger.recovers(s, 401, "/graph/v1.0/me")
	p.signIn("web", "s-ada", "").do(s, 200, "GET", "/remote.php/webdav/file.txt", "")
}
