package volume

import (
	"errors"
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
	dir, unmount, err := mountForgetful(t.TempDir(), d, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unmount(); err != nil {
			t.Error(err)
		}
	})
	return d, dir
}

// MountForgetful mounts what is on a disk that can lose power, below a
// folder. Its log begins when it is mounted.
func MountForgetful(at string, d *forgetful.Disk) (dir string, unmount func() error, err error) {
	return mountForgetful(at, d, false)
}

func mountForgetful(at string, d *forgetful.Disk, format bool) (dir string, unmount func() error, err error) {
	under, dir := filepath.Join(at, "under"), filepath.Join(at, "forgetful")
	if err := os.Mkdir(under, 0o700); err != nil {
		return "", nil, err
	}
	server, err := d.Mount(under)
	if err != nil {
		return "", nil, err
	}
	fail := func(err error) (string, func() error, error) {
		return "", nil, errors.Join(err, server.Unmount())
	}
	name := filepath.Join(under, forgetful.Name)
	if format {
		if err := Format(name, "ext4"); err != nil {
			return fail(err)
		}
	}
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return fail(err)
	}
	err = MountFile(file, dir, "ext4", "")
	file.Close()
	if err != nil {
		return fail(err)
	}
	// Mounting writes the superblock, which ext4 does not protect from being torn.
	d.Settle()
	return dir, func() error { return errors.Join(Unmount(dir), server.Unmount()) }, nil
}
