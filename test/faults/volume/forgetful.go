package volume

import (
	"os"
	"path/filepath"
	"testing"

	"opencloud/test/faults/forgetful"
)

// Forgetful makes an ext4 file system on a disk that can lose power and
// mounts it until the test ends. Its log begins with the empty file system.
func Forgetful(t testing.TB, size int64) (d *forgetful.Disk, dir string) {
	t.Helper()
	d = forgetful.New(size)
	under := filepath.Join(t.TempDir(), "under")
	if err := os.Mkdir(under, 0o700); err != nil {
		t.Fatal(err)
	}
	server, err := d.Mount(under)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Error(err)
		}
	})
	name := filepath.Join(under, forgetful.Name)
	if err := Format(name, "ext4"); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dir = filepath.Join(t.TempDir(), "forgetful")
	if err := MountFile(file, dir, "ext4", ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Unmount(dir); err != nil {
			t.Error(err)
		}
	})
	d.Settle()
	return d, dir
}
