package brittle_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"opencloud/test/faults/brittle"
	"opencloud/test/faults/volume"
)

func TestMain(m *testing.M) { volume.Main(m) }

func TestRefuse(t *testing.T) {
	volume.Need(t, true)
	at := t.TempDir()
	b, err := brittle.Mount(t.TempDir(), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Unmount(); err != nil {
			t.Error(err)
		}
	})
	name := filepath.Join(at, "a")
	open, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if _, err := open.WriteString("before"); err != nil {
		t.Fatal(err)
	}
	changes := map[string]func() error{
		"write to an open file": func() error { _, err := open.WriteAt([]byte("after!"), 0); return err },
		"fsync":                 open.Sync,
		"create":                func() error { return os.WriteFile(filepath.Join(at, "b"), nil, 0o600) },
		"open for writing": func() error {
			f, err := os.OpenFile(name, os.O_RDWR, 0)
			if err == nil {
				f.Close()
			}
			return err
		},
		"mkdir":     func() error { return os.Mkdir(filepath.Join(at, "d"), 0o700) },
		"rename":    func() error { return os.Rename(name, filepath.Join(at, "c")) },
		"link":      func() error { return os.Link(name, filepath.Join(at, "l")) },
		"symlink":   func() error { return os.Symlink("a", filepath.Join(at, "s")) },
		"remove":    func() error { return os.Remove(name) },
		"truncate":  func() error { return open.Truncate(1) },
		"setxattr":  func() error { return unix.Setxattr(name, "user.x", []byte("x"), 0) },
		"fallocate": func() error { return unix.Fallocate(int(open.Fd()), 0, 0, 100) },
	}
	for _, want := range []syscall.Errno{syscall.EROFS, syscall.EIO, syscall.ENOSPC} {
		b.Refuse(want)
		for what, change := range changes {
			if err := change(); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
		}
		if got, err := os.ReadFile(name); string(got) != "before" || err != nil {
			t.Errorf("reading under %v: got %q, %v", want, got, err)
		}
	}
	b.Refuse(0)
	for _, what := range []string{"write to an open file", "fsync", "create", "setxattr", "rename"} {
		if err := changes[what](); err != nil {
			t.Errorf("%s when all is well again: %v", what, err)
		}
	}
}
