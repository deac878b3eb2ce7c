package compat

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"opencloud/test/daemon"
)

// appToken makes one for admin by the command line.
func appToken(t *testing.T, s *daemon.Server) string {
	t.Helper()
	out := run(t, "", "env", slices.Concat([]string{"-i"}, s.Env, []string{daemon.Binary(t), "auth-app", "create", "--user-name=admin", "--expiration=1h", "--label=compat"})...)
	m := regexp.MustCompile(`token: (\S+)\n`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no token in %q", out)
	}
	return m[1]
}

// TestRcloneWithAppToken is for servers that take no passwords.
func TestRcloneWithAppToken(t *testing.T) {
	bin := tool(t, "rclone", "rclone")
	s := daemon.Start(t, "", "PROXY_ENABLE_BASIC_AUTH=false")
	token := appToken(t, s)
	config := func(password string) string {
		secret := strings.TrimSpace(run(t, "", bin, "obscure", password))
		conf := filepath.Join(t.TempDir(), "rclone.conf")
		if err := os.WriteFile(conf, []byte("[oc]\ntype = webdav\nurl = "+s.URL+"/remote.php/webdav/\nvendor = owncloud\nuser = admin\npass = "+secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return conf
	}
	src := t.TempDir()
	for i := range 20 {
		if err := os.WriteFile(filepath.Join(src, fmt.Sprintf("file %d.txt", i)), []byte(strings.Repeat("x", i*1000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"--config", config(token), "--stats", "0"}
	run(t, "", bin, slices.Concat(args, []string{"copy", src, "oc:in"})...)
	back := filepath.Join(t.TempDir(), "back")
	run(t, "", bin, slices.Concat(args, []string{"copy", "oc:in", back})...)
	same(t, "what came back", fingerprint(t, back), fingerprint(t, src))
	if out, err := try("", bin, "--config", config(daemon.Password), "--retries", "1", "lsf", "oc:"); err == nil {
		t.Errorf("a password is taken: %s", out)
	}
}

// signer is what the web client does with the address it gets, in the words
// of a browser: what URL makes of a query is what is signed.
const signer = `
const { pbkdf2Sync } = require('node:crypto')
const [address, user, key] = process.argv.slice(1)
const url = new URL(address)
url.searchParams.set('OC-Credential', user)
url.searchParams.set('OC-Date', new Date().toISOString())
url.searchParams.set('OC-Expires', '1200')
url.searchParams.set('OC-Verb', 'GET')
const signature = pbkdf2Sync(url.toString(), key, 10000, 32, 'sha512').toString('hex')
url.searchParams.set('OC-Algo', 'PBKDF2/10000-SHA512')
url.searchParams.set('OC-Signature', signature)
console.log(url.toString())
`

// TestSignedByAScript opens addresses that JavaScript has signed.
func TestSignedByAScript(t *testing.T) {
	node := tool(t, "node", "nodejs")
	s := daemon.Start(t, "")
	ask := func(method, address, body string, signIn bool) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(method, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if signIn {
			r.SetBasicAuth("admin", daemon.Password)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b strings.Builder
		if err := resp.Write(&b); err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(b.String(), "\r\n\r\n")
		return resp, text
	}
	_, text := ask("GET", s.URL+"/ocs/v1.php/cloud/user/signing-key", "", true)
	key := regexp.MustCompile("<signing-key>(.*)</signing-key>").FindStringSubmatch(text)
	if key == nil {
		t.Fatal(text)
	}
	for _, path := range []string{"/remote.php/webdav/plain.txt", "/remote.php/webdav/with%20blank%20%26%20%C3%A4%20(1)%20'x'.txt?a=b%20c&d=e+f&id=x$y!z&list=%5B1%5D"} {
		plain, _, _ := strings.Cut(path, "?")
		if resp, text := ask("PUT", s.URL+plain, "hello", true); resp.StatusCode != 201 {
			t.Fatal(resp.Status, text)
		}
		address := strings.TrimSpace(run(t, "", node, "-e", signer, s.URL+path, "admin", key[1]))
		if resp, text := ask("GET", address, "", false); resp.StatusCode != 200 || text != "hello" {
			t.Errorf("%s: %s %q", address, resp.Status, text)
		}
		if resp, text := ask("GET", address+"0", "", false); resp.StatusCode != 401 {
			t.Errorf("altered: %s %q", resp.Status, text)
		}
	}
}
