package compat

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"opencloud/test/daemon"
)

// TestArchiver downloads a folder as people do with a browser and a terminal:
// both formats, and a tar that was interrupted.
func TestArchiver(t *testing.T) {
	curl, unzip, tar := tool(t, "curl", "curl"), tool(t, "unzip", "unzip"), tool(t, "tar", "tar")
	s := daemon.Start(t, "")
	src := filepath.Join(t.TempDir(), "Ordner ä")
	for i := range 300 {
		write(t, filepath.Join(src, fmt.Sprint("part ", i%7), fmt.Sprintf("größe %d.txt", i)), strings.Repeat(fmt.Sprintln("line", i), i*30))
	}
	write(t, filepath.Join(src, strings.Repeat("ü", 127)), "")
	if err := os.Mkdir(filepath.Join(src, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(filepath.Dir(src), path)
		method, body := "MKCOL", []byte(nil)
		if !d.IsDir() {
			method = http.MethodPut
			if body, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		r, err := http.NewRequest(method, s.URL+(&url.URL{Path: "/remote.php/webdav/" + rel}).EscapedPath(), bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.SetBasicAuth("admin", daemon.Password)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			return fmt.Errorf("%s %s: %s", method, rel, resp.Status)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := fingerprint(t, filepath.Dir(src))
	address := s.URL + "/archiver?path=" + url.QueryEscape(filepath.Base(src)) + "&output-format="
	get := func(args ...string) {
		run(t, "", curl, append([]string{"-sSf", "-u", "admin:" + daemon.Password}, args...)...)
	}

	dir := t.TempDir()
	file, out := filepath.Join(dir, "a.zip"), filepath.Join(dir, "zip")
	get("-o", file, address+"zip")
	run(t, "", unzip, "-tq", file)
	run(t, "", unzip, "-q", file, "-d", out)
	same(t, "zip", fingerprint(t, out), want)

	file, out = filepath.Join(dir, "a.tar"), filepath.Join(dir, "tar")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	headers := filepath.Join(dir, "headers")
	get("-o", file, "-D", headers, "-r", "0-123456", address+"tar")
	said, err := os.ReadFile(headers)
	if err != nil {
		t.Fatal(err)
	}
	_, tag, _ := strings.Cut(string(said), "\r\nEtag: ")
	tag, _, _ = strings.Cut(tag, "\r\n")
	get("-o", file, "-C", "-", "-H", "If-Range: "+tag, address+"tar")
	run(t, "", tar, "-xf", file, "-C", out)
	same(t, "tar", fingerprint(t, out), want)
}
