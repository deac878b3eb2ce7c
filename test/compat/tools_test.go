package compat

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"opencloud/test/daemon"
)

// TestCadaver works through a session of the command line client, locks included.
func TestCadaver(t *testing.T) {
	bin := tool(t, "cadaver", "cadaver")
	s := daemon.Start(t, "")
	t.Chdir(t.TempDir())
	host := strings.TrimPrefix(s.URL, "http://")
	name, _, _ := strings.Cut(host, ":")
	t.Setenv("HOME", t.TempDir())
	if err := os.WriteFile(filepath.Join(os.Getenv("HOME"), ".netrc"), []byte("machine "+name+" login admin password \""+daemon.Password+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("local.txt", []byte("from cadaver\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := run(t, `mkcol folder
cd folder
put local.txt
put local.txt "with blanks & more.txt"
ls
lock local.txt
discover local.txt
put local.txt
unlock local.txt
copy local.txt copied.txt
move copied.txt moved.txt
get moved.txt back.txt
propset moved.txt colour blue
propget moved.txt colour
delete local.txt
cat moved.txt
cd ..
rmcol folder
quit
`, bin, s.URL+"/remote.php/webdav/")
	body, err := os.ReadFile("back.txt")
	if err != nil || string(body) != "from cadaver\n" {
		t.Errorf("got %q, %v", body, err)
	}
	for _, bad := range []string{"failed", "Failed", "Could not", "not found"} {
		if strings.Contains(out, bad) {
			t.Errorf("cadaver said:\n%s", out)
			break
		}
	}
	if !strings.Contains(out, "blue") {
		t.Errorf("the property is gone:\n%s", out)
	}
}

// TestDavfs2 mounts the server and works on it as on any folder.
func TestDavfs2(t *testing.T) {
	mount := tool(t, "mount.davfs", "davfs2")
	if _, err := os.Stat("/dev/fuse"); err != nil || os.Getuid() != 0 {
		t.Skip("mounting needs root and /dev/fuse")
	}
	s := daemon.Start(t, "")
	dir, conf := t.TempDir(), t.TempDir()
	secrets, config := filepath.Join(conf, "secrets"), filepath.Join(conf, "davfs2.conf")
	url := s.URL + "/remote.php/webdav/"
	for path, text := range map[string]string{
		secrets: url + " admin \"" + daemon.Password + "\"\n",
		config:  "secrets " + secrets + "\ndelay_upload 0\ngui_optimize 0\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "", mount, url, dir, "-o", "conf="+config)
	unmount := func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	}
	defer func() {
		if t.Failed() {
			exec.Command("umount", "-l", dir).Run()
		}
	}()
	src := filepath.Join(t.TempDir(), "tree")
	for i, name := range []string{"a.txt", "sub/b.txt", "sub/deep/ü.txt"} {
		path := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Repeat("x", i*100_000+1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "", "cp", "-r", src, filepath.Join(dir, "tree"))
	run(t, "", "mv", filepath.Join(dir, "tree", "sub"), filepath.Join(dir, "tree", "moved"))
	run(t, "", "mv", filepath.Join(src, "sub"), filepath.Join(src, "moved"))
	run(t, "", "rm", filepath.Join(dir, "tree", "a.txt"), filepath.Join(src, "a.txt"))
	unmount() // writes back what is still in its cache
	run(t, "", mount, url, dir, "-o", "conf="+config)
	same(t, "after mounting again", fingerprint(t, filepath.Join(dir, "tree")), fingerprint(t, src))
	unmount()
}

// TestCurl is what scripts do: ranges, conditions, checksums, TLS, HTTP/2.
func TestCurl(t *testing.T) {
	bin := tool(t, "curl", "curl")
	s := daemon.Start(t, "", "PROXY_TLS=true", "OC_URL=https://localhost")
	url := strings.Replace(s.URL, "http:", "https:", 1) + "/remote.php/webdav/"
	curl := func(args ...string) string {
		t.Helper()
		return run(t, "", bin, append([]string{"-sk", "-u", "admin:" + daemon.Password}, args...)...)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	status := []string{"-o", "/dev/null", "-w", "%{http_code} %{http_version}"}
	for _, tt := range []struct {
		what string
		args []string
		want string
	}{
		{"put", append([]string{"-T", file, "-H", "OC-Checksum: SHA1:87acec17cd9dcd20a716cc2cf67417b71c8a7016", url}, status...), "201 2"},
		{"put with a wrong sum", append([]string{"-T", file, "-H", "OC-Checksum: SHA1:0000000000000000000000000000000000000000", url}, status...), "400 2"},
		{"put chunked", append([]string{"--http1.1", "-T", file, "-H", "Transfer-Encoding: chunked", url + "chunked"}, status...), "201 1.1"},
		{"range", []string{"-r", "3-5", url + "file"}, "345"},
		{"suffix range", []string{"-r", "-2", url + "file"}, "89"},
		{"range beyond", append([]string{"-r", "20-", url + "file"}, status...), "416 2"},
		{"resumed", []string{"-C", "8", url + "file"}, "89"},
		{"if none match", append([]string{"-T", file, "-H", "If-None-Match: *", url}, status...), "412 2"},
		{"wrong password", append([]string{"-u", "admin:wrong", url + "file"}, status...), "401 2"},
		{"not there", append([]string{url + "none"}, status...), "404 2"},
		{"dots", append([]string{"--path-as-is", url + "../../../etc/passwd"}, status...), "400 2"},
		{"encoded dots", append([]string{"--path-as-is", url + "%2e%2e/%2e%2e/etc/passwd"}, status...), "400 2"},
		{"delete", append([]string{"-X", "DELETE", url + "file"}, status...), "204 2"},
	} {
		if got := curl(tt.args...); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}
