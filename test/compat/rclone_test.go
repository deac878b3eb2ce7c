package compat

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"opencloud/test/daemon"
)

// newestRclone builds the rclone of the module in ./rclone.
func newestRclone(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "rclone")
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Dir = "rclone"
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building rclone: %v\n%s", err, out)
	}
	return bin
}

// TestRclone copies a source tree of more than 10,000 files up, compares,
// renames, syncs and deletes, with Debian's rclone and with today's.
func TestRclone(t *testing.T) {
	src, files := sourceTree(t, testing.Short())
	if files < 10_000 && !testing.Short() {
		t.Fatalf("the source tree has %d files only", files)
	}
	s := daemon.Start(t, "")
	for name, rclone := range map[string]func(*testing.T) string{
		"debian": func(t *testing.T) string { return tool(t, "rclone", "rclone") },
		"newest": newestRclone,
	} {
		t.Run(name, func(t *testing.T) {
			bin := rclone(t)
			conf := filepath.Join(t.TempDir(), "rclone.conf")
			secret := strings.TrimSpace(run(t, "", tool(t, "rclone", "rclone"), "obscure", daemon.Password))
			if err := os.WriteFile(conf, []byte("[oc]\ntype = webdav\nurl = "+s.URL+"/remote.php/webdav/\nvendor = owncloud\nuser = admin\npass = "+secret+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			do := func(args ...string) string {
				t.Helper()
				return run(t, "", bin, append([]string{"--config", conf, "--checkers", "4", "--transfers", "4", "--stats", "0", "-v"}, args...)...)
			}
			remote := "oc:" + name
			do("copy", src, remote)
			if out := do("check", src, remote); !strings.Contains(out, "0 differences found") {
				t.Errorf("check: %s", tail(out))
			}
			// By content too, for a part: what the server says of sums is one thing.
			if out := do("check", "--download", filepath.Join(src, "http"), remote+"/http"); !testing.Short() && !strings.Contains(out, "0 differences found") && dirExists(filepath.Join(src, "http")) {
				t.Errorf("check --download: %s", tail(out))
			}
			if out := do("sync", src, remote); regexp.MustCompile(`Copied \(|Deleted|Updated`).MatchString(out) {
				t.Errorf("a second sync had something to do: %s", tail(out))
			}
			do("moveto", remote, "oc:"+name+"-moved")
			if out := do("check", src, "oc:"+name+"-moved"); !strings.Contains(out, "0 differences found") {
				t.Errorf("check after a move: %s", tail(out))
			}
			back := filepath.Join(t.TempDir(), "back")
			do("copy", "oc:"+name+"-moved", back)
			same(t, "what came back", fingerprint(t, back), fingerprint(t, src))
			do("purge", "oc:"+name+"-moved")
			if out := do("lsf", "oc:"); strings.Contains(out, name) {
				t.Errorf("after purge: %s", out)
			}
		})
	}
}

func dirExists(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}
