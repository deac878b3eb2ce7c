package posix

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"opencloud/cloud"

	"golang.org/x/sys/unix"
)

// A person works on the tree of a space behind the store's back.
type person struct {
	*actor
	home string
}

func newPerson(t *testing.T) *person {
	t.Helper()
	root := t.TempDir()
	a := &actor{tb: t, Store: openAt(t, root), root: root}
	a.makeSpace()
	return &person{a, filepath.Join(root, "projects", string(a.space.Root()))}
}

func (p *person) write(path, body string) {
	p.Helper()
	p.must(os.MkdirAll(filepath.Dir(filepath.Join(p.home, path)), 0o755))
	p.must(os.WriteFile(filepath.Join(p.home, path), []byte(body), 0o644))
}

func (p *person) rename(from, to string) {
	p.Helper()
	p.must(os.Rename(filepath.Join(p.home, from), filepath.Join(p.home, to)))
}

func (p *person) run(name string, args ...string) {
	p.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = p.home
	if out, err := cmd.CombinedOutput(); err != nil {
		p.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

// tree is what the store shows: paths, sizes and contents.
func (p *person) tree() map[string]string {
	p.Helper()
	return p.walk(p.must)
}

// look makes the store take in what is new. Copies get ids of their own
// meanwhile, so an id that was just listed may be gone.
func (p *person) look() {
	p.Helper()
	p.walk(func(err error) {
		p.Helper()
		if !errors.Is(err, cloud.NotExist) {
			p.must(err)
		}
	})
	idle(p.Store)
}

func (p *person) walk(check func(error)) map[string]string {
	p.Helper()
	got := map[string]string{}
	var walk func(id cloud.NodeID)
	walk = func(id cloud.NodeID) {
		for n, err := range p.Children(ctx, p.space, id) {
			if check(err); err != nil {
				return
			}
			if n.Dir {
				got[n.Path+"/"] = ""
				walk(n.ID)
				continue
			}
			body, err := readAll(p.Store, p.space, n.ID)
			check(err)
			got[n.Path] = string(body)
		}
	}
	walk(p.space.Root())
	return got
}

// want checks the whole tree, its sizes, sums and ids, and that it is the
// same after another start.
func (p *person) want(want map[string]string) {
	p.Helper()
	p.look()
	if got := p.tree(); !maps.Equal(got, want) {
		p.Errorf("the tree: got %v, want %v", got, want)
	}
	p.tree()
	idle(p.Store)
	sizes := map[string]int64{"": 0}
	for path, body := range want {
		if strings.HasSuffix(path, "/") {
			sizes[strings.TrimSuffix(path, "/")] += 0
			continue
		}
		for up := path; up != ""; {
			up, _ = cloud.Split(up)
			sizes[up] += int64(len(body))
		}
	}
	for path, size := range sizes {
		if n := p.at(path); n.Size != size {
			p.Errorf("size of %q: got %d, want %d", path, n.Size, size)
		}
	}
	ids := map[cloud.NodeID]string{}
	for path, body := range want {
		n := p.at(strings.TrimSuffix(path, "/"))
		if other, ok := ids[n.ID]; ok {
			p.Errorf("%q and %q have the same id", path, other)
		}
		ids[n.ID] = path
		if byID, err := p.Node(ctx, p.space, n.ID); err != nil || byID.Path != n.Path {
			p.Errorf("Node of %q by id: got %v, %v", path, byID, err)
		}
		if !n.Dir && n.Sums != cloud.SumsOf([]byte(body)) {
			p.Errorf("sums of %q: got %v, want %v", path, n.Sums, cloud.SumsOf([]byte(body)))
		}
	}
	before := p.photo()
	root := p.root
	p.must(p.Close())
	again := openQuiet(p.tb, root, nil)
	again.space = p.space
	again.same("after another start", again.photo(), before)
	p.must(again.Close())
}

// kinds are the records since a cursor, without who and when.
func (p *person) kinds(after cloud.Cursor) (all []string) {
	p.Helper()
	for r, err := range p.Since(ctx, p.space, after) {
		p.must(err)
		all = append(all, fmt.Sprint(r.Kind, " ", r.Name))
	}
	return all
}

func TestTreeThatWasThere(t *testing.T) {
	root := t.TempDir()
	s := openAt(t, root)
	id := s.NewSpaceID(cloud.Personal, "einstein")
	home := filepath.Join(root, "users", string(id.Root()))
	p := &person{&actor{tb: t, Store: s, root: root, space: id}, home}
	p.write("a/b/c", "deep")
	p.write("a/top", "top")
	p.write("ü ñ/🙂", "smile")
	_, err := s.SetSpace(ctx, &cloud.Space{ID: id, Kind: cloud.Personal, Owner: "einstein"})
	p.must(err)
	// In the background, without anybody looking.
	idle(s)
	if n := p.at(""); n.Size != 12 {
		t.Errorf("size of the root: got %d, want 12", n.Size)
	}
	p.want(map[string]string{"a/": "", "a/b/": "", "a/b/c": "deep", "a/top": "top", "ü ñ/": "", "ü ñ/🙂": "smile"})
}

func TestScan(t *testing.T) {
	p := newPerson(t)
	for i := range 20 {
		p.write(fmt.Sprintf("d%d/f", i), "content")
	}
	var seen int64
	p.must(p.Scan(ctx, func(n int64) { seen = n }))
	if seen != 40 {
		t.Errorf("Scan: saw %d nodes, want 40", seen)
	}
	for i := range 20 {
		if n := p.at(fmt.Sprintf("d%d/f", i)); !n.Sums.Known {
			t.Errorf("%s has no sums after a scan", n.Path)
		}
	}
	if n := p.at(""); n.Size != 140 {
		t.Errorf("size of the root: got %d, want 140", n.Size)
	}
}

func TestFromOutside(t *testing.T) {
	for _, c := range []struct {
		name    string
		play    func(*person)
		want    map[string]string
		records []string // sorted
		kept    []string // pairs: had this id, has it now
	}{
		{"added", func(p *person) { p.write("new", "n") },
			map[string]string{"d/": "", "d/f": "content", "d/g": "other", "e/": "", "new": "n"},
			[]string{"edited new", "file-made new"}, nil},
		{"changed", func(p *person) { p.write("d/f", "longer content") },
			map[string]string{"d/": "", "d/f": "longer content", "d/g": "other", "e/": ""},
			[]string{"edited d", "edited f", "file-written f"}, []string{"d/f", "d/f"}},
		{"removed", func(p *person) { p.must(os.Remove(filepath.Join(p.home, "d/f"))) },
			map[string]string{"d/": "", "d/g": "other", "e/": ""},
			[]string{"edited d"}, nil},
		{"folder removed", func(p *person) { p.must(os.RemoveAll(filepath.Join(p.home, "d"))) },
			map[string]string{"e/": ""}, nil, nil},
		{"renamed", func(p *person) { p.rename("d/f", "d/h") },
			map[string]string{"d/": "", "d/h": "content", "d/g": "other", "e/": ""},
			[]string{"moved h"}, []string{"d/f", "d/h"}},
		{"moved", func(p *person) { p.rename("d/f", "e/f") },
			map[string]string{"d/": "", "d/g": "other", "e/": "", "e/f": "content"},
			[]string{"moved f"}, []string{"d/f", "e/f"}},
		{"folder moved", func(p *person) { p.rename("d", "e/d") },
			map[string]string{"e/": "", "e/d/": "", "e/d/f": "content", "e/d/g": "other"},
			[]string{"moved d"}, []string{"d/f", "e/d/f", "d", "e/d"}},
		{"folder moved and another put there", func(p *person) { p.rename("d", "x"); p.write("d/f", "not the same") },
			map[string]string{"x/": "", "x/f": "content", "x/g": "other", "d/": "", "d/f": "not the same", "e/": ""}, nil,
			[]string{"d/f", "x/f", "d", "x"}},
		{"copied with attributes", func(p *person) { p.run("cp", "-a", "d/f", "e/f") },
			map[string]string{"d/": "", "d/f": "content", "d/g": "other", "e/": "", "e/f": "content"},
			[]string{"file-made f"}, []string{"d/f", "d/f"}},
		{"folder copied with attributes", func(p *person) { p.run("cp", "-a", "d", "c") },
			map[string]string{"d/": "", "d/f": "content", "d/g": "other", "e/": "", "c/": "", "c/f": "content", "c/g": "other"},
			[]string{"dir-made c", "file-made f", "file-made g"}, []string{"d", "d", "d/f", "d/f"}},
		{"linked", func(p *person) { p.run("ln", "d/f", "e/f") },
			map[string]string{"d/": "", "d/f": "content", "d/g": "other", "e/": "", "e/f": "content"}, nil,
			[]string{"d/f", "d/f"}},
		{"swapped", func(p *person) { p.rename("d/f", "t"); p.rename("d/g", "d/f"); p.rename("t", "d/g") },
			map[string]string{"d/": "", "d/f": "other", "d/g": "content", "e/": ""}, nil, nil},
		{"attribute lost", func(p *person) { p.must(unix.Removexattr(filepath.Join(p.home, "d/f"), "user.oc")) },
			map[string]string{"d/": "", "d/f": "content", "d/g": "other", "e/": ""}, nil, nil},
		{"attribute damaged", func(p *person) {
			p.must(unix.Setxattr(filepath.Join(p.home, "d"), "user.oc", []byte("nonsense"), 0))
		},
			map[string]string{"d/": "", "d/f": "content", "d/g": "other", "e/": ""}, nil, nil},
		{"what is no file", func(p *person) {
			p.run("ln", "-s", "/etc", "link")
			p.run("ln", "-s", "f", "d/alias")
			p.run("mkfifo", "pipe")
			p.write("bad\x01name", "x")
			p.write("bad\xffname", "x")
		},
			map[string]string{"d/": "", "d/f": "content", "d/g": "other", "e/": ""}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPerson(t)
			p.mkdir("d")
			p.put("d/f", "content")
			p.put("d/g", "other")
			p.mkdir("e")
			ids := map[string]cloud.NodeID{}
			for _, path := range []string{"d", "d/f", "d/g", "e"} {
				ids[path] = p.at(path).ID
			}
			idle(p.Store)
			p.must(p.checkpoint())
			etag, last := p.at("").ETag, p.Last()
			c.play(p)
			p.tree()
			idle(p.Store)
			p.tree()
			idle(p.Store)
			if p.Last() > last && p.at("").ETag == etag {
				t.Errorf("the ETag of the root has not changed")
			}
			if got := p.kinds(last); c.records != nil && !slices.Equal(slices.Sorted(slices.Values(got)), c.records) {
				t.Errorf("records: got %v, want %v", got, c.records)
			}
			for i := 0; i < len(c.kept); i += 2 {
				if n := p.at(c.kept[i+1]); n.ID != ids[c.kept[i]] {
					t.Errorf("id of %s: got %s, want that of %s, %s", c.kept[i+1], n.ID, c.kept[i], ids[c.kept[i]])
				}
			}
			p.want(c.want)
		})
	}
}

// A copy of a whole space, attributes and all, in itself is a folder like any
// other.
func TestSpaceInItself(t *testing.T) {
	p := newPerson(t)
	p.mkdir("d")
	p.put("d/f", "content")
	aside := t.TempDir()
	p.run("cp", "-a", ".", aside+"/copy")
	p.run("cp", "-a", aside+"/copy", "copy")
	p.look()
	if n := p.at("copy"); n.ID == p.space.Root() {
		t.Errorf("the copy has the id of the root")
	}
	for _, path := range []string{"d", "d/f"} {
		a, b := p.at(path), p.at("copy/"+path)
		if a.ID == b.ID {
			t.Errorf("%s and its copy have the same id", path)
		}
		if n, err := p.Node(ctx, p.space, a.ID); err != nil || n.Path != path {
			t.Errorf("%s by its id: got %v, %v", path, n, err)
		}
	}
	if b, err := readAll(p.Store, p.space, p.at("copy/d/f").ID); string(b) != "content" || err != nil {
		t.Errorf("content of the copy: got %q, %v", b, err)
	}
}

func TestLinksLeadNowhere(t *testing.T) {
	p := newPerson(t)
	outside := t.TempDir()
	p.must(os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o644))
	p.must(os.Symlink(outside, filepath.Join(p.home, "link")))
	p.must(os.Symlink(filepath.Join(outside, "secret"), filepath.Join(p.home, "file")))
	for _, path := range []string{"link", "file", "link/secret", "..", "d/../link", ".oc", ".oc/space.json", ".Trash/files", "", "a//b", "/etc/passwd", "a\x00b"} {
		if n, err := p.Lookup(ctx, p.space, p.space.Root(), path); err == nil && path != "" {
			t.Errorf("Lookup(%q): got %v, want an error", path, n)
		}
	}
	for _, name := range []string{"link", "file"} {
		_, _, err := p.Write(ctx, cloud.Write{Space: p.space, Dir: p.space.Root(), Name: name, Body: strings.NewReader("x"), Size: -1})
		if !errors.Is(err, cloud.Exist) {
			t.Errorf("Write to the link %s: got %v, want %v", name, err, cloud.Exist)
		}
	}
	if b, err := os.ReadFile(filepath.Join(outside, "secret")); string(b) != "secret" || err != nil {
		t.Errorf("the file outside: got %q, %v", b, err)
	}
}

// A directory that becomes a link and back again while it is worked in never
// leads out of the tree.
func TestSwapRace(t *testing.T) {
	p := newPerson(t)
	outside := t.TempDir()
	p.must(os.WriteFile(filepath.Join(outside, "f"), []byte("secret"), 0o644))
	d := p.mkdir("d")
	p.put("d/f", "content")
	p.must(os.Symlink(outside, filepath.Join(p.home, "link")))
	link, dir := filepath.Join(p.home, "link"), filepath.Join(p.home, "d")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := unix.Renameat2(unix.AT_FDCWD, link, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	deadline := time.Now().Add(500 * time.Millisecond)
	for i := 0; time.Now().Before(deadline); i++ {
		p.Write(ctx, cloud.Write{Space: p.space, Dir: d.ID, Name: fmt.Sprint("n", i%5), Body: strings.NewReader("x"), Size: -1})
		p.MakeDir(ctx, p.space, d.ID, fmt.Sprint("d", i))
		if n, err := p.Lookup(ctx, p.space, "", "d/f"); err == nil {
			if body, err := readAll(p.Store, p.space, n.ID); err == nil && string(body) != "content" {
				t.Fatalf("read %q through a link", body)
			}
		}
		for n, err := range p.Children(ctx, p.space, d.ID) {
			if err == nil && n.Name == "secret" {
				t.Fatal("listed through a link")
			}
		}
	}
	close(stop)
	wg.Wait()
	entries, err := os.ReadDir(outside)
	p.must(err)
	if len(entries) != 1 {
		t.Errorf("outside: got %v, want f alone", entries)
	}
	if b, err := os.ReadFile(filepath.Join(outside, "f")); string(b) != "secret" || err != nil {
		t.Errorf("the file outside: got %q, %v", b, err)
	}
	if attrs, err := unix.Listxattr(filepath.Join(outside, "f"), nil); attrs != 0 || err != nil {
		t.Errorf("the file outside has attributes: %d bytes, %v", attrs, err)
	}
}
