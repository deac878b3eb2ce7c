package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"opencloud/test/daemon"
)

// TestStorageCheck damages a storage the way a disk or a person would, and
// looks at what the verb makes of it.
func TestStorageCheck(t *testing.T) {
	s := daemon.Start(t, "")
	for _, path := range []string{"/webdav/a", "/webdav/a/b"} {
		if resp, body := s.Do(t, "MKCOL", path, ""); resp.StatusCode != 201 {
			t.Fatalf("MKCOL: %s %s", resp.Status, body)
		}
	}
	if resp, body := s.Do(t, "PUT", "/webdav/a/b/file.txt", "content"); resp.StatusCode != 201 {
		t.Fatalf("PUT: %s %s", resp.Status, body)
	}
	if out, err := s.Run(t, "storage", "check"); err == nil || !strings.Contains(out, "running") {
		t.Errorf("beside a running server: %v\n%s", err, out)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Run(t, "storage", "check", "--content"); err != nil || !strings.Contains(out, "All is well") {
		t.Fatalf("untouched: %v\n%s", err, out)
	}

	homes, _ := filepath.Glob(filepath.Join(s.Dir, "storage/users/users/*"))
	if len(homes) != 1 {
		t.Fatalf("homes: %v", homes)
	}
	// The id index is gone, and a person has added a file.
	if err := os.RemoveAll(filepath.Join(homes[0], ".oc/ids")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(homes[0], "a/added by a person"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(t, "storage", "check")
	if err == nil || !strings.Contains(out, "missing-link") || !strings.Contains(out, "no-attribute") || !strings.Contains(out, "--repair") {
		t.Errorf("damaged: %v\n%s", err, out)
	}
	if out, err := s.Run(t, "storage", "check", "--repair"); err != nil || !strings.Contains(out, "mended all") {
		t.Errorf("repair: %v\n%s", err, out)
	}
	if out, err := s.Run(t, "storage", "check", "--content"); err != nil || !strings.Contains(out, "All is well") {
		t.Errorf("after the repair: %v\n%s", err, out)
	}

	// The disk returns other bytes than were written: found, and left alone.
	var file string
	filepath.WalkDir(homes[0], func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.Name() == "file.txt" {
			file = path
		}
		return err
	})
	fi, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("CONTENT"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, fi.ModTime(), fi.ModTime()); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Run(t, "storage", "check", "--content"); err == nil || !strings.Contains(out, "wrong-content") {
		t.Errorf("rotten: %v\n%s", err, out)
	}
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	if resp, body := s.Do(t, "GET", "/webdav/a/added%20by%20a%20person", ""); body != "x" {
		t.Errorf("what a person added: %s %q", resp.Status, body)
	}
}
