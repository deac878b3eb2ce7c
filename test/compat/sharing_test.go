package compat

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"opencloud/cloud"
	"opencloud/test/daemon"
)

const (
	demo         = "demo" // password of the users that come with IDM_CREATE_DEMO_USERS
	linkPassword = "Open sesame 7"
)

// A company is a server on which admin shares with mary: a folder of admin's,
// a project in which she is an editor, and links.
type company struct {
	*testing.T
	*daemon.Server
	mary    string // her id
	home    string
	shared  string // item id of the folder "shared" of admin's
	project string
}

func startCompany(t *testing.T) *company {
	t.Helper()
	c := &company{T: t, Server: daemon.Start(t, "", "IDM_CREATE_DEMO_USERS=true")}
	c.mary = c.json("mary", demo, "GET", "/graph/v1.0/me", "")["id"].(string)
	c.home = home(t, c.Server)
	if resp, body := c.Do(t, "MKCOL", "/dav/spaces/"+c.home+"/shared", ""); resp.StatusCode != http.StatusCreated {
		t.Fatalf("MKCOL: %s %s", resp.Status, body)
	} else {
		c.shared = resp.Header.Get("OC-FileId")
	}
	c.project = c.json("admin", daemon.Password, "POST", "/graph/v1.0/drives", `{"name":"Apollo"}`)["id"].(string)
	c.invite("drives/"+c.home+"/items/"+c.shared, "editor")
	c.invite("drives/"+c.project+"/root", "spaceeditor")
	return c
}

// json asks the Graph API as a user.
func (c *company) json(user, password, method, path, body string) map[string]any {
	c.Helper()
	r, err := http.NewRequest(method, c.URL+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	r.SetBasicAuth(user, password)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		c.Fatalf("%s %s by %s: %s, %v: %s", method, path, user, resp.Status, err, text)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		c.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
	return got
}

// invite gives mary a role on what a Graph path names.
func (c *company) invite(at, role string) {
	c.Helper()
	r, ok := cloud.ShareRoleBy(role)
	if !ok {
		c.Fatal(role)
	}
	c.json("admin", daemon.Password, "POST", "/graph/v1beta1/"+at+"/invite",
		fmt.Sprintf(`{"recipients":[{"objectId":%q,"@libre.graph.recipient.type":"user"}],"roles":[%q]}`, c.mary, r.ID))
}

// link is the token of a new link to the shared folder.
func (c *company) link(of cloud.LinkType) string {
	c.Helper()
	l := c.json("admin", daemon.Password, "POST", "/graph/v1beta1/drives/"+c.home+"/items/"+c.shared+"/createLink",
		fmt.Sprintf(`{"type":%q,"password":%q}`, of, linkPassword))["link"].(map[string]any)
	_, token, _ := strings.Cut(l["webUrl"].(string), "/s/")
	return token
}

func (c *company) jail() string { return "/dav/spaces/" + string(cloud.SharesSpace) + "/" }

// TestSharedRclone works in what others share: in the Shares space, in a
// project, and through a link.
func TestSharedRclone(t *testing.T) {
	bin := tool(t, "rclone", "rclone")
	c := startCompany(t)
	src := filepath.Join(t.TempDir(), "src")
	for i := range 40 {
		write(t, filepath.Join(src, fmt.Sprintf("dir %d", i%5), fmt.Sprintf("file %d – ü.txt", i)), strings.Repeat("x", i*997))
	}
	for name, at := range map[string]struct{ path, below, user, password string }{
		"shares":  {c.jail(), "shared/", "mary", demo},
		"project": {"/dav/spaces/" + c.project + "/", "", "mary", demo},
		"link":    {"/dav/public-files/" + c.link(cloud.LinkEdit) + "/", "", "public", linkPassword},
	} {
		t.Run(name, func(t *testing.T) {
			conf := filepath.Join(t.TempDir(), "rclone.conf")
			secret := strings.TrimSpace(run(t, "", bin, "obscure", at.password))
			if err := os.WriteFile(conf, []byte("[oc]\ntype = webdav\nurl = "+c.URL+at.path+"\nvendor = owncloud\nuser = "+at.user+"\npass = "+secret+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			do := func(args ...string) string {
				t.Helper()
				return run(t, "", bin, append([]string{"--config", conf, "--stats", "0", "-v"}, args...)...)
			}
			remote := "oc:" + at.below + "tree"
			do("copy", src, remote)
			if out := do("check", "--download", src, remote); !strings.Contains(out, "0 differences found") {
				t.Errorf("check: %s", tail(out))
			}
			if out := do("sync", src, remote); regexp.MustCompile(`Copied \(|Deleted|Updated`).MatchString(out) {
				t.Errorf("a second sync had something to do: %s", tail(out))
			}
			do("moveto", remote, remote+" moved")
			back := filepath.Join(t.TempDir(), "back")
			do("copy", remote+" moved", back)
			same(t, "what came back", fingerprint(t, back), fingerprint(t, src))
			do("purge", remote+" moved")
			if out := do("lsf", "oc:"+at.below); strings.Contains(out, "tree") {
				t.Errorf("after purge: %s", out)
			}
		})
	}
}

func write(t *testing.T, path, body string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

// withoutTUS is the server as one that knows no uploads in pieces: owncloudcmd
// sends those to the address of the personal space, whatever it syncs.
func (c *company) withoutTUS() string {
	c.Helper()
	to, err := url.Parse(c.URL)
	if err != nil {
		c.Fatal(err)
	}
	tus := regexp.MustCompile(`"tus_support":\{[^}]*\},?`)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(resp *http.Response) error {
			if !strings.HasSuffix(resp.Request.URL.Path, "/capabilities") {
				return nil
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			resp.Body.Close()
			less := tus.ReplaceAll(body, nil)
			if len(less) == len(body) {
				return errors.New("the capabilities know no TUS")
			}
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(less)), int64(len(less))
			resp.Header.Set("Content-Length", strconv.Itoa(len(less)))
			return nil
		},
	}
	s := httptest.NewServer(proxy)
	c.Cleanup(s.Close)
	return s.URL
}

// TestSharedOwncloudcmd syncs a project and the Shares space: what somebody
// else does there arrives, and what is done here goes there.
func TestSharedOwncloudcmd(t *testing.T) {
	bin := tool(t, "owncloudcmd", "owncloud-client-cmd")
	c := startCompany(t)
	exclude := filepath.Join(t.TempDir(), "exclude.lst") // it does not start without one
	write(t, exclude, "*~\n")
	work := regexp.MustCompile(`(?m)^.*Completed propagation of "[^"]+" by OCC::Propagate(Upload|Download|Remote|Local).*$`)
	simple := c.withoutTUS()
	for name, at := range map[string]struct{ server, path, below string }{
		"project":            {simple, "/dav/spaces/" + c.project + "/", ""},
		"shares":             {simple, c.jail(), "shared"},
		"shares in the home": {c.URL, "/remote.php/webdav/", "Shares/shared"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			top := filepath.Join(dir, at.below)
			theirs := at.path + at.below
			if at.below != "" {
				theirs = "/dav/spaces/" + c.shared
			}
			sync := func() string {
				t.Helper()
				return run(t, "", bin, "-h", "--non-interactive", "--trust", "--exclude", exclude, "--max-sync-retries", "1", "-u", "mary", "-p", demo,
					"--davpath", at.path, dir, at.server)
			}
			put := func(path, body string) {
				t.Helper()
				if resp, text := c.Do(t, "PUT", strings.TrimSuffix(theirs, "/")+"/"+path, body); resp.StatusCode > 204 {
					t.Fatalf("PUT %s: %s %s", path, resp.Status, text)
				}
			}
			c.Do(t, "DELETE", strings.TrimSuffix(theirs, "/")+"/renamed", "")
			put("from%20admin.txt", "one")
			sync()
			file := filepath.Join(top, "from admin.txt")
			if body, err := os.ReadFile(file); err != nil || string(body) != "one" {
				t.Fatalf("what came down: %q, %v", body, err)
			}
			write(t, file, "changed by mary")
			write(t, filepath.Join(top, "new", "by mary.txt"), "new")
			sync()
			for path, want := range map[string]string{"from%20admin.txt": "changed by mary", "new/by%20mary.txt": "new"} {
				if resp, body := c.Do(t, "GET", strings.TrimSuffix(theirs, "/")+"/"+path, ""); resp.StatusCode != 200 || body != want {
					t.Errorf("%s: %s %q, want %q", path, resp.Status, body, want)
				}
			}
			if m := work.FindString(sync()); m != "" {
				t.Errorf("there was something left to do: %s", m)
			}
			// Deep below, and only there: it has to be found by the ETags above.
			put("new/by%20mary.txt", "changed by admin")
			sync()
			if body, err := os.ReadFile(filepath.Join(top, "new", "by mary.txt")); err != nil || string(body) != "changed by admin" {
				t.Errorf("what came down: %q, %v", body, err)
			}
			if err := os.Rename(filepath.Join(top, "new"), filepath.Join(top, "renamed")); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			sync()
			if resp, _ := c.Do(t, "GET", strings.TrimSuffix(theirs, "/")+"/renamed/by%20mary.txt", ""); resp.StatusCode != 200 {
				t.Errorf("after a rename: %s", resp.Status)
			}
			if resp, _ := c.Do(t, "GET", strings.TrimSuffix(theirs, "/")+"/from%20admin.txt", ""); resp.StatusCode != 404 {
				t.Errorf("after a removal: %s", resp.Status)
			}
		})
	}
}

// TestSharedLitmus runs the suites as an editor of a project.
func TestSharedLitmus(t *testing.T) {
	litmus := tool(t, "litmus", "litmus")
	c := startCompany(t)
	t.Chdir(t.TempDir()) // it leaves a debug.log behind
	for _, at := range []struct{ path, user, password string }{
		{"/dav/spaces/" + c.project + "/", "mary", demo},
		{c.jail() + "shared/", "mary", demo},
		{"/dav/public-files/" + c.link(cloud.LinkEdit) + "/", "public", linkPassword},
	} {
		out := run(t, "", litmus, "-k", c.URL+at.path, at.user, at.password)
		if n := len(regexp.MustCompile(`summary for .*, 0 failed`).FindAllString(out, -1)); n != 5 || strings.Contains(out, "FAIL") || strings.Contains(out, "WARNING") {
			t.Errorf("%s: %d of 5 suites passed:\n%s", at.path, n, out)
		}
	}
}

// TestFileDrop is what scripts do with a file drop.
func TestFileDrop(t *testing.T) {
	bin := tool(t, "curl", "curl")
	c := startCompany(t)
	at := c.URL + "/dav/public-files/" + c.link(cloud.LinkCreateOnly) + "/"
	dir := t.TempDir()
	file := filepath.Join(dir, "report.txt")
	curl := func(args ...string) string {
		t.Helper()
		return run(t, "", bin, append([]string{"-s", "-o", filepath.Join(dir, "out"), "-w", "%{http_code}", "-u", "public:" + linkPassword}, args...)...)
	}
	for i, body := range []string{"first", "second"} {
		write(t, file, body)
		if got := curl("-T", file, at); got != "201" {
			t.Errorf("upload %d: got %s, want 201", i+1, got)
		}
	}
	upload := []string{"-X", "POST", "--data-binary", "@" + file, "-H", "Tus-Resumable: 1.0.0", "-H", "Upload-Length: 6", "-H", "Content-Type: application/offset+octet-stream",
		"-H", "Upload-Metadata: filename " + base64.StdEncoding.EncodeToString([]byte("report.txt")), at}
	for what, tt := range map[string]struct {
		args []string
		want string
	}{
		"resumable upload": {upload, "201"},
		"folder":           {[]string{"-X", "MKCOL", at + "sub"}, "201"},
		"listing":          {[]string{"-X", "PROPFIND", "-H", "Depth: 1", at}, "403"},
		"download":         {[]string{at + "report.txt"}, "404"},
		"removal":          {[]string{"-X", "DELETE", at + "report.txt"}, "404"},
		"no password":      {[]string{"-u", "public:", "-T", file, at}, "401"},
		"wrong password":   {[]string{"-u", "public:guess", "-T", file, at}, "401"},
	} {
		if got := curl(tt.args...); got != tt.want {
			out, _ := os.ReadFile(filepath.Join(dir, "out"))
			t.Errorf("%s: got %s, want %s: %s", what, got, tt.want, out)
		}
	}
	for name, want := range map[string]string{"report.txt": "first", "report%20(2).txt": "second", "report%20(3).txt": "second"} {
		if resp, body := c.Do(t, "GET", "/dav/spaces/"+c.shared+"/"+name, ""); resp.StatusCode != 200 || body != want {
			t.Errorf("%s: got %s %q, want %q", name, resp.Status, body, want)
		}
	}
}
