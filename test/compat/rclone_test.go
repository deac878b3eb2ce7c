package compat

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

// TestRclone copies a tree up, compares, renames, syncs and deletes: with
// today's rclone a source tree of more than 10,000 files, with Debian's, which
// waits 10 ms between any two requests, a part of it.
func TestRclone(t *testing.T) {
	s := daemon.Start(t, "")
	for name, rclone := range map[string]struct {
		bin  func(*testing.T) string
		few  bool
		args []string
	}{
		"debian": {func(t *testing.T) string { return tool(t, "rclone", "rclone") }, true, nil},
		"newest": {newestRclone, testing.Short(), []string{"--webdav-pacer-min-sleep", "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			bin := rclone.bin(t)
			src, files := sourceTree(t, rclone.few)
			if files < 10_000 && !rclone.few {
				t.Fatalf("the source tree has %d files only", files)
			}
			conf := filepath.Join(t.TempDir(), "rclone.conf")
			secret := strings.TrimSpace(run(t, "", tool(t, "rclone", "rclone"), "obscure", daemon.Password))
			if err := os.WriteFile(conf, []byte("[oc]\ntype = webdav\nurl = "+s.URL+"/remote.php/webdav/\nvendor = owncloud\nuser = admin\npass = "+secret+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			do := func(args ...string) string {
				t.Helper()
				return run(t, "", bin, slices.Concat([]string{"--config", conf, "--checkers", "4", "--transfers", "4", "--stats", "0", "-v"}, rclone.args, args)...)
			}
			remote := "oc:" + name
			do("copy", src, remote)
			if out := do("check", src, remote); !strings.Contains(out, "0 differences found") {
				t.Errorf("check: %s", tail(out))
			}
			if rclone.few { // by content, too, not only by what the server says of sums
				if out := do("check", "--download", src, remote); !strings.Contains(out, "0 differences found") {
					t.Errorf("check --download: %s", tail(out))
				}
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
