package compat

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"opencloud/test/daemon"
)

// client keeps these for itself in the folder that it syncs.
var clientFiles = []string{".sync_*.db*", "._sync_*.db*", ".owncloudsync.log*", "._owncloudsync.log"}

// TestOwncloudcmd syncs a tree through the server into a second folder and
// back, with nothing left to do the second time, then with changes and
// conflicts on both sides.
func TestOwncloudcmd(t *testing.T) {
	bin := tool(t, "owncloudcmd", "owncloud-client-cmd")
	s := daemon.Start(t, "")
	a, files := sourceTree(t, testing.Short())
	b := t.TempDir()
	exclude := filepath.Join(t.TempDir(), "exclude.lst") // it does not start without one
	if err := os.WriteFile(exclude, []byte("*~\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	sync := func(dir string) string {
		t.Helper()
		return run(t, "", bin, "-h", "--non-interactive", "--trust", "--exclude", exclude, "--max-sync-retries", "1", "-u", "admin", "-p", daemon.Password, dir, s.URL+"/remote.php/webdav/")
	}
	equal := func(what string) {
		t.Helper()
		same(t, what, fingerprint(t, b, clientFiles...), fingerprint(t, a, clientFiles...))
	}
	// The client's log says what it had to do.
	work := regexp.MustCompile(`(?m)^.*Completed propagation of "[^"]+" by OCC::Propagate(Upload|Download|Remote|Local).*$`)
	settled := func(dir string) {
		t.Helper()
		if m := work.FindString(sync(dir)); m != "" {
			t.Errorf("a second sync of %s had something to do: %s", dir, m)
		}
	}
	if out := sync(a); !work.MatchString(out) {
		t.Fatalf("the log of the first sync does not say what was done: %s", tail(out))
	}
	sync(b)
	equal("after the first sync")
	t.Logf("%d files", files)
	settled(a)
	settled(b)

	write := func(dir, name, body string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Changes on both sides that have nothing to do with each other.
	write(a, "new in a/file.txt", "a")
	write(a, "ümlaut/näme – 😀.txt", "u")
	write(a, "empty", "")
	write(b, "new in b/file.txt", "b")
	write(b, "http/server.go", "changed in b")
	write(b, "server.go", "changed in b")
	for from, to := range map[string]string{"http": "renamed", "mail": "sub/mail"} {
		if dirExists(filepath.Join(a, from)) {
			os.MkdirAll(filepath.Dir(filepath.Join(a, to)), 0o755)
			if err := os.Rename(filepath.Join(a, from), filepath.Join(a, to)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.RemoveAll(filepath.Join(a, "url")); err != nil {
		t.Fatal(err)
	}
	sync(a)
	sync(b)
	sync(a)
	equal("after changes on both sides")

	// The same file changed on both sides: nobody's work may be lost.
	write(a, "conflict.txt", "base")
	sync(a)
	sync(b)
	write(a, "conflict.txt", "what a wrote")
	write(b, "conflict.txt", "b wrote something longer")
	sync(a)
	sync(b)
	sync(a)
	var bodies []string
	matches, _ := filepath.Glob(filepath.Join(b, "conflict*"))
	for _, path := range matches {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(body))
	}
	for _, want := range []string{"what a wrote", "b wrote something longer"} {
		if !strings.Contains(strings.Join(bodies, "\n"), want) {
			t.Errorf("after a conflict %q is nowhere: %q", want, bodies)
		}
	}
}

func dirExists(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}
