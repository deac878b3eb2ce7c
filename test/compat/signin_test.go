package compat

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"opencloud/test/browser"
	"opencloud/test/daemon"
)

// secure starts the server with HTTPS and a certificate of its own, and with
// more clients: pairs of an id and what IDP_CLIENTS says of it.
func secure(t *testing.T, clients ...string) *daemon.Server {
	t.Helper()
	s := daemon.New(t, "", "PROXY_TLS=true", "IDP_CLIENTS="+strings.Join(clients, ","))
	s.URL = strings.Replace(s.URL, "http:", "https:", 1)
	s.Env = append(s.Env, "OC_URL="+s.URL)
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("server said:\n%s", s.Log)
		}
	})
	return s
}

// certificate is the file of the server's, for those who check it.
func certificate(s *daemon.Server) string { return filepath.Join(s.Dir, "proxy", "server.crt") }

// A visitor is a browser without scripts.
type visitor struct {
	t *testing.T
	http.Client
	signIns, consents int // forms that were filled in
}

func visit(t *testing.T) *visitor {
	jar, _ := cookiejar.New(nil)
	v := &visitor{t: t}
	v.Jar, v.Timeout = jar, time.Minute
	v.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	v.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(v.CloseIdleConnections)
	return v
}

// Get asks as browsers do, for a page.
func (v *visitor) Get(address string) (*http.Response, error) {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/html")
	return v.Do(r)
}

var (
	hiddenField = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`)
	formAction  = regexp.MustCompile(`<form method="post" action="([^"]+)"`)
)

// through goes to an address and on, filling in what we ask for, until it is
// sent below another one: it returns where, and the last page if it was never.
func (v *visitor) through(address, until string) (to, page string) {
	v.t.Helper()
	resp, err := v.Get(address)
	for range 20 {
		if err != nil {
			v.t.Fatal(err)
		}
		body, rerr := io.ReadAll(resp.Body)
		resp.Body.Close()
		if rerr != nil {
			v.t.Fatal(rerr)
		}
		if loc, lerr := resp.Location(); lerr == nil {
			if strings.HasPrefix(loc.String(), until) {
				return loc.String(), ""
			}
			resp, err = v.Get(loc.String())
			continue
		}
		page = string(body)
		action := formAction.FindStringSubmatch(page)
		if action == nil || resp.StatusCode != 200 {
			return "", fmt.Sprint(resp.Request.URL, " ", resp.Status, " ", page)
		}
		form := url.Values{}
		for _, m := range hiddenField.FindAllStringSubmatch(page, -1) {
			form.Set(m[1], html.UnescapeString(m[2]))
		}
		if strings.Contains(page, `name="password"`) {
			form.Set("username", "admin")
			form.Set("password", daemon.Password)
			v.signIns++
		} else {
			form.Set("answer", "yes")
			v.consents++
		}
		next, perr := resp.Request.URL.Parse(action[1])
		if perr != nil {
			v.t.Fatal(perr)
		}
		resp, err = v.PostForm(next.String(), form)
	}
	return "", "sent around in circles"
}

// back is through for what must arrive.
func (v *visitor) back(address, redirect string) string {
	v.t.Helper()
	to, page := v.through(address, redirect)
	if to == "" {
		v.t.Fatalf("not sent back to %s: %s", redirect, page)
	}
	return to
}

// A party is a program of a foreign library that says JSON lines and is answered.
type party struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
	err *strings.Builder
}

func start(t *testing.T, cmd *exec.Cmd) *party {
	t.Helper()
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	p := &party{t: t, in: in, out: bufio.NewScanner(out), err: new(strings.Builder)}
	cmd.Stderr = p.err
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		timer.Stop()
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return p
}

// said is what a party says.
type said struct {
	Go, Sub, Acr, Revoked, Ended, Leave string
	Rotated                             bool
	Info, Me                            map[string]any
}

func (p *party) hear() (s said) {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatalf("it says nothing more: %v\n%s", p.out.Err(), tail(p.err.String()))
	}
	if err := json.Unmarshal(p.out.Bytes(), &s); err != nil {
		p.t.Fatalf("it says %q: %v", p.out.Text(), err)
	}
	return s
}

func (p *party) tell(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// known checks what a party has learned of the user.
func (s *said) known(t *testing.T) {
	t.Helper()
	if s.Sub == "" || s.Info["sub"] != s.Sub || s.Me["id"] != s.Sub || s.Info["preferred_username"] != "admin" || s.Acr != "1" || !s.Rotated {
		t.Errorf("got %+v", s)
	}
}

// nodeFile is a file of test/node, which must be installed there.
func nodeFile(t *testing.T, parts ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"..", "node"}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("COMPAT_REQUIRE") != "" {
			t.Fatalf("run npm ci in test/node: %v", err)
		}
		t.Skipf("run npm ci in test/node: %v", err)
	}
	return path
}

// openid-client, for servers in JavaScript: sign-in, refresh, userinfo,
// revocation, end of a session from elsewhere, signing out.
func TestOpenIDClient(t *testing.T) {
	node := tool(t, "node", "nodejs")
	nodeFile(t, "node_modules", "openid-client", "package.json")
	at := "http://" + daemon.FreeAddr(t)
	s := secure(t, "tool "+at+"/back logout="+at+"/bye")
	cmd := exec.Command(node, "client.mjs", s.URL, "tool", at+"/back", at+"/bye")
	cmd.Dir = nodeFile(t)
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+certificate(s))
	p, v := start(t, cmd), visit(t)
	p.tell(v.back(p.hear().Go, at+"/back?"))
	got := p.hear()
	got.known(t)
	if out, err := s.Run(t, "user", "sign-out", "admin"); err != nil {
		t.Fatal(out, err)
	}
	p.tell("ended")
	if got := p.hear(); got.Ended != "invalid_grant" {
		t.Errorf("after the session has ended: %q", got.Ended)
	}
	p.tell("on")
	p.tell(v.back(p.hear().Go, at+"/back?"))
	got = p.hear()
	if got.Revoked != "invalid_grant" {
		t.Errorf("after revocation: %q", got.Revoked)
	}
	if to := v.back(got.Leave, at+"/bye"); to != at+"/bye?state=bye" || v.signIns != 2 || v.consents != 0 {
		t.Errorf("signed out to %s, with %d sign-ins and %d questions", to, v.signIns, v.consents)
	}
}

// Authlib, for servers in Python.
func TestAuthlib(t *testing.T) {
	python := ""
	for _, path := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(path, "-c", "import authlib.integrations.requests_client").Run() == nil {
			python = path
			break
		}
	}
	if python == "" {
		tool(t, "authlib", "python3-authlib python3-requests")
	}
	at := "http://" + daemon.FreeAddr(t)
	s := secure(t, "tool "+at+"/back")
	cmd := exec.Command(python, "testdata/authlib_client.py", s.URL, "tool", at+"/back")
	cmd.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+certificate(s))
	p, v := start(t, cmd), visit(t)
	p.tell(v.back(p.hear().Go, at+"/back?"))
	got := p.hear()
	if got.known(t); got.Revoked != "invalid_grant" {
		t.Errorf("after revocation: %q", got.Revoked)
	}
}

// mod_auth_openidc, in front of any web site: sign-in, sign-out from there,
// and being told of a sign-out here.
func TestModAuthOpenIDC(t *testing.T) {
	apache := tool(t, "apache2", "apache2")
	const modules = "/usr/lib/apache2/modules"
	if _, err := os.Stat(modules + "/mod_auth_openidc.so"); err != nil {
		tool(t, "mod_auth_openidc.so", "libapache2-mod-auth-openidc")
	}
	addr := daemon.FreeAddr(t)
	at := "http://" + addr
	s := secure(t, fmt.Sprintf("wiki %s/in logout=%s/bye backchannel=%s/in?logout=backchannel", at, at, at))
	dir, err := os.MkdirTemp("", "apache-") // that of the test is for root alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf := fmt.Sprintf(`
ServerRoot %[1]s
ServerName localhost
PidFile %[1]s/pid
DefaultRuntimeDir %[1]s
Listen %[2]s
ErrorLog %[1]s/log
DocumentRoot %[1]s/www
LoadModule mpm_event_module %[3]s/mod_mpm_event.so
LoadModule authn_core_module %[3]s/mod_authn_core.so
LoadModule authz_core_module %[3]s/mod_authz_core.so
LoadModule authz_user_module %[3]s/mod_authz_user.so
LoadModule headers_module %[3]s/mod_headers.so
LoadModule auth_openidc_module %[3]s/mod_auth_openidc.so
OIDCProviderMetadataURL %[4]s/.well-known/openid-configuration
OIDCCABundlePath %[1]s/server.crt
OIDCClientID wiki
OIDCProviderTokenEndpointAuth none
OIDCPKCEMethod S256
OIDCScope "openid profile email"
OIDCRedirectURI %[5]s/in
OIDCCryptoPassphrase a-secret-of-apache
OIDCRemoteUserClaim preferred_username
<Location />
  AuthType openid-connect
  Require valid-user
  Header set X-User "expr=%%{REMOTE_USER}"
</Location>
<Location /bye>
  AuthType None
  Require all granted
</Location>
`, dir, addr, modules, s.URL, at)
	if os.Getuid() == 0 {
		conf += "User www-data\nGroup www-data\n"
	}
	trusted, err := os.ReadFile(certificate(s))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct{ name, body string }{{"conf", conf}, {"server.crt", string(trusted)}, {"www/page", "the wiki"}, {"www/bye", "bye"}} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f.name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.name), []byte(f.body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(apache, "-D", "FOREGROUND", "-f", filepath.Join(dir, "conf"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) // it ends its children
		cmd.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("apache said:\n%s", tail(string(log)))
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("apache does not listen")
		}
	}
	v := visit(t)
	user := func() string {
		t.Helper()
		resp, err := v.Get(at + "/page")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			return fmt.Sprint(resp.StatusCode)
		}
		return resp.Header.Get("X-User")
	}
	enter := func() {
		t.Helper()
		v.back(v.back(v.back(at+"/page", s.URL), at+"/in?"), at+"/page")
		if got := user(); got != "admin" {
			t.Fatalf("the user of the site is %q", got)
		}
	}
	enter()
	if to := v.back(v.back(at+"/in?logout="+url.QueryEscape(at+"/bye"), s.URL), at+"/bye"); to != at+"/bye" || user() != "302" {
		t.Errorf("signed out to %s; the user of the site is %q", to, user())
	}
	enter()
	if out, err := s.Run(t, "user", "sign-out", "admin"); err != nil {
		t.Fatal(out, err)
	}
	// The server hears of it with the next request, and tells the site.
	for deadline := time.Now().Add(20 * time.Second); user() != "302"; {
		if v.through(s.URL+"/.well-known/openid-configuration", "none"); time.Now().After(deadline) {
			t.Fatal("the site was not told of the sign-out")
		}
	}
	if v.signIns != 2 {
		t.Errorf("%d sign-ins, want 2", v.signIns)
	}
}

// spa is a page of a web app, on a site of its own.
const spa = `<!DOCTYPE html><title>app</title><script src="/lib.js"></script><script>
const make = (scope) => new oidc.UserManager({
  authority: %q, client_id: "spa", redirect_uri: location.origin + "/back", silent_redirect_uri: location.origin + "/silent",
  post_logout_redirect_uri: location.origin + "/bye", scope, automaticSilentRenew: false, loadUserInfo: true,
})
let um = make("openid profile email")
const offline = "openid profile email offline_access"
const tell = (p) => p.then((u) => u && u.profile.preferred_username + " " + u.access_token.length + " " + !!u.refresh_token, (e) => "failed: " + (e.error || e))
if (location.pathname == "/back") tell(um.signinRedirectCallback()).then((s) => { document.title = s })
if (location.pathname == "/silent") um.signinSilentCallback()
</script>`

// oidc-client-ts in a real browser, on another site: sign-in by redirect,
// renewal in a frame and by refresh token, signing out.
func TestOIDCClientTS(t *testing.T) {
	lib := nodeFile(t, "node_modules", "oidc-client-ts", "dist", "browser", "oidc-client-ts.js")
	b := browser.Start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := "https://" + l.Addr().String()
	s := secure(t, fmt.Sprintf("spa %s/back %s/silent logout=%s/bye", at, at, at))
	site := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/lib.js" {
			http.ServeFile(w, r, lib)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, spa, s.URL)
	}))
	site.Listener.Close()
	site.Listener = l
	site.StartTLS()
	t.Cleanup(site.Close)

	says := func(what, expression, want string) {
		t.Helper()
		if got, _ := b.Eval(expression).(string); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	b.Open(at + "/")
	b.Until("the library is there", `document.readyState == "complete" && typeof um == "object"`)
	says("nobody is signed in", `tell(um.signinSilent())`, "failed: login_required")
	b.Eval(`um.signinRedirect()`)
	b.Keys("focus:#oc-login-username", "admin", "\t", daemon.Password, "\r")
	b.Until("the app has a user", `location.pathname == "/back" && document.title.startsWith("admin ")`)
	says("signed in", `document.title`, `^admin \d+ false$`)
	first := b.Eval(`um.getUser().then((u) => u.access_token)`)
	says("renewed in a frame", `tell(um.signinSilent())`, `^admin \d+ false$`)
	if next := b.Eval(`um.getUser().then((u) => u.access_token)`); next == first || next == nil {
		t.Error("the token was not renewed")
	}
	says("with a refresh token", `(um = make(offline), tell(um.removeUser().then(() => um.signinSilent())))`, `^admin \d+ true$`)
	refresh := b.Eval(`um.getUser().then((u) => u.refresh_token)`)
	says("renewed by refresh token", `tell(um.signinSilent())`, `^admin \d+ true$`)
	if next := b.Eval(`um.getUser().then((u) => u.refresh_token)`); next == refresh || next == nil {
		t.Error("the refresh token was not replaced")
	}
	b.Eval(`um.signoutRedirect()`)
	b.Until("signed out", `location.pathname == "/bye" && document.readyState == "complete"`)
	says("nobody is signed in any more", `tell(um.signinSilent())`, "failed: login_required")
}
