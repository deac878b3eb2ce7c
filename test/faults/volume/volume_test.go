package volume_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"opencloud/test/faults/volume"
)

func TestMain(m *testing.M) { volume.Main(m) }

func TestNew(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs", "ramfs"} {
		t.Run(fs, func(t *testing.T) {
			var tools []string
			if fs != "tmpfs" && fs != "ramfs" {
				tools = append(tools, "mkfs."+fs)
			}
			volume.Need(t, false, tools...)
			var root string
			t.Run("mounted", func(t *testing.T) {
				root = volume.New(t, fs, 320<<20, "")
				name := filepath.Join(root, "a")
				if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
				err := unix.Setxattr(name, "user.oc", []byte("x"), 0)
				if has := err == nil; has != (fs != "ramfs") || err != nil && !errors.Is(err, unix.ENOTSUP) {
					t.Errorf("setxattr on %s: got %v", fs, err)
				}
			})
			if _, err := os.Stat(filepath.Join(root, "a")); err == nil {
				t.Error("still mounted after the test")
			}
		})
	}
}
