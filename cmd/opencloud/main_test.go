package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"opencloud/cloud"
	"opencloud/test/daemon"
)

// verb runs the binary with a home of its own and returns what it said and
// its exit code.
func verb(t *testing.T, home, input string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(daemon.Binary(t), args...)
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "IDM_ARGON2_MEMORY=8"}
	for i, a := range args {
		if name, _, ok := strings.Cut(a, "="); ok && strings.ToUpper(name) == name {
			cmd.Env = append(cmd.Env, a)
			continue
		}
		cmd.Args = append([]string{cmd.Args[0]}, args[i:]...)
		break
	}
	cmd.Stdin = strings.NewReader(input)
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// A step is a verb and what it must say.
type step struct {
	args  string // with VARIABLE=value before the verb
	input string
	code  int
	want  string // in the output
}

func play(t *testing.T, home string, steps []step) {
	t.Helper()
	for _, s := range steps {
		out, code := verb(t, home, s.input, strings.Fields(s.args)...)
		if code != s.code || !strings.Contains(out, s.want) {
			t.Errorf("opencloud %s: exit %d, want %d; want %q in\n%s", s.args, code, s.code, s.want, out)
		}
	}
}

func TestUsers(t *testing.T) {
	play(t, t.TempDir(), []step{
		{"user list", "", 0, "NAME"},
		{"user add weak -p secret", "", 0, "Warning: The password is too short: at least 8 characters.\n"},
		{"OC_PASSWORD_POLICY_DISABLED=true user password weak -p secret", "", 0, "Changed the password of weak."},
		{"user remove weak", "", 0, "Removed the user weak"},
		{"user add ada -p secret -d Ada -m ada@example.org -r admin", "", 0, "Made the user ada ("},
		{"user add ADA -p secret", "", 1, `opencloud: There is a user "ADA" already.`},
		{"user add a:b -p secret", "", 1, "must not contain a colon"},
		{"user add bob", "", 0, "Password: "},
		{"user add carl --password-stdin", "pass word\nrest\n", 0, "Made the user carl ("},
		{"user add dora --password-stdin", "", 1, "The input has no password."},
		{"user add dora -r king", "", 1, `There is no role "king". The roles are: admin, spaceadmin, user, user-light.`},
		{"user add dora -p x -g", "", 2, "can't be used together"},
		{"user list", "", 0, "ada@example.org  admin"},
		{"user list --json", "", 0, `"Name":"carl"`},
		{"user sign-out ada", "", 0, "Signed ada out everywhere."},
		{"user reset-factors ada", "", 0, "ada signs in with the password alone now"},
		{"user reset-factors eve", "", 1, `There is no user "eve".`},
		{"user password ada -p other", "", 0, "Changed the password of ada."},
		{"user password nobody -p x", "", 1, `There is no user "nobody". opencloud user list shows all.`},
		{"user remove bob", "", 0, "The files stay on the storage."},
		{"user remove bob", "", 1, `There is no user "bob".`},
		{"user", "", 2, "opencloud --help says what there is."},
	})
}

func TestGroupsAndRoles(t *testing.T) {
	play(t, t.TempDir(), []step{
		{"group list", "", 0, "NAME"},
		{"group add crew -d Everybody", "", 0, "Made the group crew ("},
		{"group add CREW", "", 1, `The group name "CREW" is already taken.`},
		{"group add guests", "", 0, "Made the group guests ("},
		{"user add ada -p secret --group crew --group GUESTS -r spaceadmin", "", 0, "Made the user ada ("},
		{"user add eve -p secret --group nope", "", 1, `There is no group "nope". opencloud group list shows all.`},
		{"user list", "", 0, "spaceadmin  crew, guests"},
		{"user add bob -p secret", "", 0, "Made the user bob ("},
		{"group join crew bob ada", "", 0, "bob is in the group crew.\nada is in the group crew.\n"},
		{"group join crew nobody", "", 1, `There is no user "nobody".`},
		{"group join crew", "", 2, "opencloud --help says what there is."},
		{"group list", "", 0, "crew    2        Everybody"},
		{"group list --json", "", 0, `"Name":"crew","Description":"Everybody","Members":["ada","bob"]`},
		{"group leave crew ada", "", 0, "ada is no longer in the group crew."},
		{"group leave crew ada", "", 1, "This user is not in the group."},
		{"group remove guests", "", 0, "Removed the group guests ("},
		{"group remove guests", "", 1, `There is no group "guests".`},
		{"user role bob admin", "", 0, "The role of bob is now admin."},
		{"user role bob king", "", 1, `There is no role "king". The roles are: admin, spaceadmin, user, user-light.`},
		{"user role nobody user", "", 1, `There is no user "nobody".`},
		{"user list", "", 0, "admin       crew"},
		{"role list", "", 0, "Accounts.ReadWrite"},
	})
}

func TestInit(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, ".opencloud/config/opencloud.yaml")
	play(t, home, []step{
		{"init --diff", "", 1, "There is no configuration at " + file + " yet."},
		{"init --insecure=perhaps", "", 1, "--insecure is yes or no"},
		{"init --admin-password topsecret", "", 0, "Start the server with: opencloud server"},
		{"init", "", 1, "There is a configuration already: " + file},
		{"init --diff", "", 0, "lacks nothing."},
		{"user list", "", 0, "admin  Admin"},
	})
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("opencloud.yaml: %v, %v; want mode 0600", info, err)
	}
	before, _ := os.ReadFile(file)
	if bytes.Contains(before, []byte("topsecret")) {
		t.Error("the password is in opencloud.yaml")
	}
	play(t, home, []step{{"init -f --insecure=yes", "", 0, "Wrote " + file}})
	after, _ := os.ReadFile(file)
	old, _ := os.ReadFile(file + ".old")
	if !bytes.Equal(before, old) || !bytes.Contains(after, []byte("insecure: true")) {
		t.Errorf("force-overwrite wrote\n%s\nand kept\n%s", after, old)
	}

	// What a file lacks comes as a patch, which patch(1) takes.
	if err := os.WriteFile(file, []byte("url: https://a.example\nlog:\n  level: warn\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	play(t, home, []step{{"init --diff --insecure=yes", "", 0, "Take it over with: patch"}})
	patch, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "opencloud.config.patch"))
	if got, want := string(patch), "--- opencloud.yaml\n+++ opencloud.yaml\n@@ -3,0 +4,1 @@\n+insecure: true\n"; got != want {
		t.Errorf("patch\n%s\nwant\n%s", got, want)
	}

	elsewhere := filepath.Join(t.TempDir(), "conf")
	play(t, t.TempDir(), []step{
		{"init --config-path " + elsewhere, "", 0, "Password  "},
		{"OC_CONFIG_DIR=" + elsewhere + " config", "", 0, elsewhere + "/opencloud.yaml"},
	})
}

func TestConfig(t *testing.T) {
	home := t.TempDir()
	play(t, home, []step{
		{"OC_URL=https://a.example config", "", 0, "# OC_URL"},
		{"PROXY_TLS=perhaps config", "", 1, "opencloud: The variable PROXY_TLS is not valid"},
		{"config --docs", "", 0, "# Configuration"},
		{"version --skip-services", "", 0, "Version: "},
		{"proxy version", "", 0, "Version: "},
		{"proxy fly", "", 2, "unexpected argument proxy"},
		{"PROXY_DEBUG_ADDR=127.0.0.1:1 health", "", 1, "No server answers at http://127.0.0.1:1/healthz"},
		{"", "", 0, "Usage: opencloud"},
	})
	if err := os.MkdirAll(filepath.Join(home, ".opencloud/config"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".opencloud/config/opencloud.yaml"), []byte("proxxy: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	play(t, home, []step{{"server", "", 1, `opencloud.yaml:1: the key "proxxy" is not known. Did you mean "proxy"?`}})
}

// The first start sets everything up; later ones find it.
func TestServerFromNothing(t *testing.T) {
	s := daemon.New(t, "", "IDM_ADMIN_PASSWORD=", "IDM_CREATE_DEMO_USERS=true")
	start := time.Now()
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	t.Cleanup(func() { s.Stop() })
	t.Logf("ready after %v", took)
	_, rest, ok := strings.Cut(s.Log.String(), "Password")
	if !ok {
		t.Fatalf("the server did not tell the password:\n%s", s.Log)
	}
	password := strings.Fields(rest)[0]
	status := func(user, password string) int {
		t.Helper()
		r, err := s.Request("GET", "/graph/v1.0/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(user, password)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, user := range []string{"alan", "mary", "margaret", "dennis", "lynn"} {
		if got := status(user, "demo"); got != 200 {
			t.Errorf("%s: %d, want 200", user, got)
		}
	}
	if got := status("admin", password); got != 200 {
		t.Errorf("admin: %d, want 200", got)
	}
	for _, args := range [][]string{{"health"}, {"proxy", "health"}, {"health", "--ready"}} {
		if out, err := s.Run(t, args...); err != nil || out != "OK\n" {
			t.Errorf("%v: %q, %v", args, out, err)
		}
	}

	// Users change while the server runs, and it knows with the next request.
	if out, err := s.Run(t, "user", "password", "admin", "-p", "new"); err != nil {
		t.Fatal(out, err)
	}
	if got := status("admin", password); got != 401 {
		t.Errorf("old password: %d, want 401", got)
	}
	if got := status("admin", "new"); got != 200 {
		t.Errorf("new password: %d, want 200", got)
	}
	if out, err := s.Run(t, "user", "remove", "alan"); err != nil {
		t.Fatal(out, err)
	}
	if got := status("alan", "demo"); got != 401 {
		t.Errorf("removed user: %d, want 401", got)
	}

	if err := s.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(s.Log.String(), password); n != 1 {
		t.Errorf("the password was told %d times", n)
	}
	if got := status("admin", "new"); got != 200 {
		t.Errorf("after a restart: %d, want 200", got)
	}
}

func TestRefusesToStart(t *testing.T) {
	s := daemon.Start(t, "")
	for _, c := range []struct {
		env, want string
	}{
		{"PROXY_HTTP_ADDR=" + strings.TrimPrefix(s.URL, "http://"), "is in use: a server runs there already."},
		{"OC_URL=cloud.example.org", "(OC_URL) is not valid"},
		{"PROXY_TRANSPORT_TLS_CERT=/none", "A certificate needs both files"},
		{"OC_RUN_SERVICES=graph,wbe", `There is no service "wbe".`},
		{"IDM_PATH=/dev/null/x", "not a directory"},
	} {
		other := daemon.New(t, "", c.env)
		err := other.Up()
		if err == nil {
			other.Kill()
			t.Errorf("%s: the server started", c.env)
			continue
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q in\n%v", c.env, c.want, err)
		}
	}
}

func TestServices(t *testing.T) {
	s := daemon.Start(t, "", "OC_RUN_SERVICES=graph")
	for path, want := range map[string]int{"/graph/v1.0/me": 200, "/status.php": 404, "/dav/files/admin": 404} {
		if resp, _ := s.Do(t, "GET", path, ""); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	none := daemon.Start(t, "", "OC_RUN_SERVICES=storage-users,nats")
	if resp, _ := none.Do(t, "GET", "/graph/v1.0/me", ""); resp.StatusCode != 404 {
		t.Errorf("without any protocol: %d, want 404", resp.StatusCode)
	}
}

// slow is an upload that has begun and waits for the rest.
func slow(t *testing.T, s *daemon.Server) (rest io.WriteCloser, answer chan int) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r, err := s.Request("PUT", "/remote.php/webdav/slow.txt", nil, "Content-Length", "8", "Expect", "100-continue")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	r.ContentLength = 8
	r.Body = io.NopCloser(strings.NewReader("12345678"))
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(b.String(), "\r\n\r\n")
	io.WriteString(c, head+"\r\n\r\n")
	// The server asks for the body: the request is running.
	buf := make([]byte, 64)
	if n, err := c.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 100") {
		t.Fatalf("%q, %v; want 100 Continue", buf[:n], err)
	}
	answer = make(chan int, 1)
	go func() {
		got, _ := io.ReadAll(c)
		if len(got) < 12 {
			answer <- 0
			return
		}
		answer <- int(got[9]-'0')*100 + int(got[10]-'0')*10 + int(got[11]-'0')
	}()
	return c, answer
}

func TestStopLetsRequestsEnd(t *testing.T) {
	s := daemon.Start(t, "")
	rest, answer := slow(t, s)
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	waitRefused(t, s)
	io.WriteString(rest, "12345678")
	if got := <-answer; got != 201 {
		t.Errorf("a request under way: %d, want 201", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("exit: %v", err)
	}
}

func TestStopCutsWhatTakesTooLong(t *testing.T) {
	s := daemon.Start(t, "", "OC_SHUTDOWN_TIMEOUT=100ms")
	_, answer := slow(t, s)
	if err := s.Stop(); err != nil {
		t.Errorf("exit: %v", err)
	}
	if got := <-answer; got >= 200 && got < 300 {
		t.Errorf("a request that was cut: %d", got)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	s := daemon.Start(t, "", "OC_SHUTDOWN_TIMEOUT=1h")
	slow(t, s)
	pid := s.PID()
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	waitRefused(t, s)
	syscall.Kill(pid, syscall.SIGTERM)
	var exit *exec.ExitError
	if err := <-stopped; !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("%v, want ended by the signal", err)
	}
}

// waitRefused waits until nobody listens any more: the server is stopping.
func waitRefused(t *testing.T, s *daemon.Server) {
	t.Helper()
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			return
		}
		c.Close()
	}
}

func TestTLS(t *testing.T) {
	s := daemon.New(t, "", "PROXY_TLS=true")
	s.URL = strings.Replace(s.URL, "http://", "https://", 1)
	s.Env = append(s.Env, "OC_URL="+s.URL)
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		p := new(http.Protocols)
		p.SetHTTP1(proto == "HTTP/1.1")
		p.SetHTTP2(proto == "HTTP/2.0")
		tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		t.Cleanup(tr.CloseIdleConnections)
		resp, err := (&http.Client{Transport: tr}).Get(s.URL + "/status.php")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.Proto != proto || resp.Header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: %d %s %v", proto, resp.StatusCode, resp.Proto, resp.Header)
		}
	}
}

func TestBasePath(t *testing.T) {
	s := daemon.New(t, "")
	s.Env = append(s.Env, "OC_URL="+s.URL+"/cloud")
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	for path, want := range map[string]int{"/cloud/status.php": 200, "/status.php": 404, "/cloud": 200, "/cloudy/status.php": 404} {
		if resp, _ := s.Do(t, "GET", path, ""); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	resp, body := s.Do(t, "PROPFIND", "/cloud/remote.php/webdav/", "", "Depth", "0")
	if resp.StatusCode != 207 || !strings.Contains(body, "<d:href>/cloud/remote.php/webdav/</d:href>") {
		t.Errorf("PROPFIND: %d %s", resp.StatusCode, body)
	}
}

// Whoever guesses is slowed down; whoever knows the password is not.
func TestGuessing(t *testing.T) {
	s := daemon.Start(t, "", "OC_AUTH_GUESSES=3", "OC_AUTH_GUESS_EVERY=1h", "PROXY_TRUSTED_PROXIES=127.0.0.1")
	ask := func(password, from string) *http.Response {
		r, err := s.Request("GET", "/graph/v1.0/me", nil, "X-Forwarded-For", from)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("admin", password)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	const home, evil = "192.0.2.1", "198.51.100.1"
	if resp := ask(daemon.Password, home); resp.StatusCode != 200 {
		t.Fatalf("right password: %d", resp.StatusCode)
	}
	for range 3 {
		if resp := ask("guess", evil); resp.StatusCode != 401 {
			t.Fatalf("guess: %d, want 401", resp.StatusCode)
		}
	}
	if resp := ask("guess", evil); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one guess too many: %d, Retry-After %q; want 429", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if resp := ask(daemon.Password, home); resp.StatusCode != 200 {
		t.Errorf("right password: %d, want 200", resp.StatusCode)
	}
}

// Nothing secret is in the log, whatever is logged.
func TestNoSecretsInTheLog(t *testing.T) {
	s := daemon.Start(t, "", "OC_LOG_LEVEL=debug")
	s.Do(t, "PUT", "/remote.php/webdav/a.txt?secret=querysecret", "content")
	s.Do(t, "PROPFIND", "/remote.php/webdav/", "")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{daemon.Password, "querysecret", "YWRtaW4", "argon2"} {
		if strings.Contains(s.Log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, s.Log)
		}
	}
	for line := range strings.Lines(s.Log.String()) {
		if strings.HasPrefix(line, "{") && !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

func TestSentence(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{cloud.E("x", cloud.Ref{}, cloud.Refuse(cloud.Exist, "Taken.")), "Taken."},
		{errors.New("plain"), "plain"},
		{context.Canceled, "context canceled"},
	} {
		if got := sentence(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
