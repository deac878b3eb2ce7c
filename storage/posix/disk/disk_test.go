package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// roots opens a folder as this kernel allows, and as older ones would.
func roots(t *testing.T, path string) map[string]*Root {
	t.Helper()
	all := map[string]*Root{}
	for name, old := range map[string]bool{"new": false, "old": true} {
		r, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		r.walk, r.old = r.walk || old, r.old || old
		all[name] = r
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestBeneath(t *testing.T) {
	base := t.TempDir()
	root := filepath.Join(base, "root")
	must(t, os.MkdirAll(filepath.Join(root, "a/b"), 0o755))
	must(t, os.MkdirAll(filepath.Join(base, "outside"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "a/file"), nil, 0o644))
	for link, target := range map[string]string{"out": "../outside", "abs": base, "in": "a", "a/up": "..", "a/loop": "loop"} {
		must(t, os.Symlink(target, filepath.Join(root, link)))
	}
	for kernel, r := range roots(t, root) {
		for path, want := range map[string]bool{
			"": true, "a": true, "a/b": true,
			"..": false, "a/../..": false, "../root": false, "/": false, "/etc": false,
			"out": false, "abs": false, "in": false, "in/b": false, "a/up": false, "a/up/a": false, "a/loop": false,
			"a/file": false, "a/file/x": false, "nothing": false, "nothing/x": false,
		} {
			d, err := r.Dir(path)
			if (err == nil) != want {
				t.Errorf("%s: Dir(%q): got %v, want %v", kernel, path, err, want)
			}
			if err == nil {
				d.Close()
			}
		}
	}
}

func TestAttr(t *testing.T) {
	root := t.TempDir()
	must(t, os.WriteFile(filepath.Join(root, "with"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(root, "without"), nil, 0o644))
	must(t, os.Symlink("with", filepath.Join(root, "link")))
	must(t, unix.Setxattr(root, attribute, []byte("of the folder"), 0))
	for kernel, r := range roots(t, root) {
		d, err := r.Dir("")
		must(t, err)
		defer d.Close()
		must(t, d.SetAttr("with", []byte(kernel)))
		var b [20]byte
		for name, want := range map[string]string{"with": kernel, "without": ErrNoAttr.Error(), "link": ErrNoAttr.Error(), "nothing": fs.ErrNotExist.Error(), "": "of the folder"} {
			n, err := d.Attr(name, b[:])
			got := string(b[:n])
			if err != nil {
				got = err.Error()
			}
			if got != want && !(name == "link" && err != nil) {
				t.Errorf("%s: Attr(%q): got %q, want %q", kernel, name, got, want)
			}
		}
		if _, err := d.Attr("with", b[:2]); !errors.Is(err, ErrNoAttr) {
			t.Errorf("%s: Attr into too small a buffer: got %v, want %v", kernel, err, ErrNoAttr)
		}
		if err := d.SetAttr("link", nil); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: SetAttr of a link: got %v, want %v", kernel, err, fs.ErrNotExist)
		}
	}
}

func TestOpenRegularFilesOnly(t *testing.T) {
	root := t.TempDir()
	must(t, os.Mkdir(filepath.Join(root, "dir"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "file"), []byte("x"), 0o644))
	must(t, os.Symlink("file", filepath.Join(root, "link")))
	must(t, unix.Mkfifo(filepath.Join(root, "pipe"), 0o644))
	r, err := Open(root)
	must(t, err)
	d, err := r.Dir("")
	must(t, err)
	defer d.Close()
	for name, want := range map[string]bool{"file": true, "dir": false, "link": false, "pipe": false, "nothing": false} {
		for _, write := range []bool{false, true} {
			f, err := d.Open(name, write)
			if (err == nil) != want || err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open(%q, %v): got %v, want %v", name, write, err, want)
			}
			if err == nil {
				f.Close()
			}
		}
	}
}

func TestList(t *testing.T) {
	root := t.TempDir()
	want := []string{"link 0", "sub 2"}
	must(t, os.Mkdir(filepath.Join(root, "sub"), 0o755))
	must(t, os.Symlink("x", filepath.Join(root, "link")))
	for i := range 2000 { // more than one buffer holds
		name := fmt.Sprint(strings.Repeat("long", 20), i)
		must(t, os.WriteFile(filepath.Join(root, name), nil, 0o644))
		want = append(want, name+" 1")
	}
	r, err := Open(root)
	must(t, err)
	d, err := r.ReadDir("")
	must(t, err)
	defer d.Close()
	var got []string
	must(t, d.List(func(name []byte, kind Kind) error {
		got = append(got, fmt.Sprint(string(name), " ", kind))
		return nil
	}))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("List: got %d names, want %d", len(got), len(want))
	}
}

func TestRenameKeepsWhatIsThere(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a", "b"} {
		must(t, os.WriteFile(filepath.Join(root, name), []byte(name), 0o644))
	}
	r, err := Open(root)
	must(t, err)
	d, err := r.Dir("")
	must(t, err)
	defer d.Close()
	if err := d.Rename("a", d, "b", false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Rename: got %v, want %v", err, fs.ErrExist)
	}
	must(t, d.Rename("a", d, "b", true))
	if b, err := os.ReadFile(filepath.Join(root, "b")); string(b) != "a" || err != nil {
		t.Errorf("after Rename: got %q, %v", b, err)
	}
}

func TestTimes(t *testing.T) {
	root := t.TempDir()
	r, err := Open(root)
	must(t, err)
	d, err := r.Dir("")
	must(t, err)
	defer d.Close()
	f, err := d.Create("f")
	must(t, err)
	defer f.Close()
	want := time.Date(2001, 2, 3, 4, 5, 6, 123456789, time.UTC)
	must(t, SetMTime(f, want))
	byFile, err := r.StatFile(f)
	must(t, err)
	byName, err := d.Stat("f")
	must(t, err)
	if byFile != byName || !byName.MTime.Equal(want) || byName.Kind != File {
		t.Errorf("got %v and %v, want %v", byFile, byName, want)
	}
}

// Following a path while a part of it becomes a link leads nowhere else.
func TestFollowRace(t *testing.T) {
	base := t.TempDir()
	root := filepath.Join(base, "root")
	must(t, os.MkdirAll(filepath.Join(root, "d/sub"), 0o755))
	must(t, os.MkdirAll(filepath.Join(base, "outside/sub"), 0o755))
	must(t, os.Symlink(filepath.Join(base, "outside"), filepath.Join(root, "link")))
	var out unix.Stat_t
	must(t, unix.Stat(filepath.Join(base, "outside/sub"), &out))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(root, "link"), unix.AT_FDCWD, filepath.Join(root, "d"), unix.RENAME_EXCHANGE)
			}
		}
	})
	for kernel, r := range roots(t, root) {
		hits := 0
		for range 5000 {
			d, err := r.Dir("d/sub")
			if err != nil {
				continue
			}
			i, err := d.Stat("")
			if err != nil {
				t.Error(err)
			}
			if i.Inode == out.Ino {
				t.Errorf("%s: led outside", kernel)
			}
			d.Close()
			hits++
		}
		if hits == 0 {
			t.Errorf("%s: never found the folder", kernel)
		}
	}
	close(stop)
	wg.Wait()
}
