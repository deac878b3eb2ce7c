// Package compat tries the server with clients that other people wrote:
// litmus, rclone, owncloudcmd, cadaver, davfs2, curl. It holds no protocol
// details of its own; what the clients accept is the specification.
package compat

import (
	"bytes"
	"context"
	"crypto/sha1"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tool finds a program. Where it is missing the test says so and is counted
// as skipped, unless COMPAT_REQUIRE is set, as in CI: then it fails.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("COMPAT_REQUIRE") != "" {
			t.Fatalf("%s is not installed: apt-get install %s", name, pkg)
		}
		t.Skipf("%s is not installed: apt-get install %s", name, pkg)
	}
	return path
}

// run runs a client to its end and returns what it said; failing is fatal.
func run(t *testing.T, stdin string, name string, args ...string) string {
	t.Helper()
	out, err := try(stdin, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, tail(out))
	}
	return out
}

func try(stdin string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "QT_QPA_PLATFORM=offscreen")
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func tail(s string) string {
	if len(s) > 4000 {
		return "..." + s[len(s)-4000:]
	}
	return s
}

// sourceTree copies part of the Go source tree, a real one with thousands of
// files that every machine with Go has. few leaves out most of it.
func sourceTree(t *testing.T, few bool) (dir string, files int) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "src")
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(strings.TrimSpace(string(root)), "src")
	if few {
		src = filepath.Join(src, "net")
	}
	err = filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(src, path)
		to := filepath.Join(dir, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		files++
		return copyFile(to, path)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, files
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// fingerprint says what a folder holds: a line for each file, with its sum.
// Names that a client keeps for itself are left out.
func fingerprint(t *testing.T, dir string, except ...string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		for _, x := range except {
			if ok, _ := filepath.Match(x, d.Name()); ok {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
		}
		if d.IsDir() {
			fmt.Fprintf(&b, "%s/\n", rel)
			return nil
		}
		body, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", rel, sha1.Sum(body))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// same fails the test where two fingerprints differ, and shows the first lines that do.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	have := map[string]bool{}
	for line := range strings.Lines(want) {
		have[line] = true
	}
	var diff []string
	for line := range strings.Lines(got) {
		if !have[line] {
			diff = append(diff, "+ "+line)
		}
		delete(have, line)
	}
	for line := range have {
		diff = append(diff, "- "+line)
	}
	t.Errorf("%s: %d lines differ:\n%s", what, len(diff), strings.Join(diff[:min(len(diff), 20)], ""))
}
