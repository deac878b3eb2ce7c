package posix

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"

	"golang.org/x/sys/unix"
)

// tb is what testing.T and rapid.T have in common.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// An actor works on a store and does not mind much what happens.
type actor struct {
	tb
	*Store
	root  string
	space cloud.SpaceID
}

// openQuiet opens a store that does nothing by itself: no checkpoint, no work
// in the background.
func openQuiet(t tb, root string, step func(string)) *actor {
	t.Helper()
	s, err := open(ctx, options(root), quiet, hooks{step: step})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	s.armed.Store(true)
	s.pending.mu.Lock()
	s.pending.ready = false
	s.pending.mu.Unlock()
	idle(s) // with what it began
	return &actor{tb: t, Store: s, root: root}
}

// idle waits until nothing is done in the background any more.
func idle(s *Store) {
	for busy := true; busy; {
		s.pending.mu.Lock()
		busy = s.pending.busy
		s.pending.mu.Unlock()
		runtime.Gosched()
	}
}

// makeSpace gives the actor a space to work in.
func (a *actor) makeSpace() {
	a.Helper()
	sp, err := a.SetSpace(ctx, &cloud.Space{ID: a.NewSpaceID(cloud.Project, ""), Kind: cloud.Project, Name: "project"})
	a.must(err)
	a.space = sp.ID
}

func (a *actor) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatalf("got %v", err)
	}
}

func (a *actor) at(path string) *cloud.Node {
	a.Helper()
	n, err := a.Lookup(ctx, a.space, "", path)
	a.must(err)
	return n
}

func (a *actor) mkdir(path string) *cloud.Node {
	a.Helper()
	up, name := cloud.Split(path)
	n, err := a.MakeDir(ctx, a.space, a.at(up).ID, name)
	a.must(err)
	return n
}

func (a *actor) put(path, body string) *cloud.Node {
	a.Helper()
	up, name := cloud.Split(path)
	n, _, err := a.Write(ctx, cloud.Write{Space: a.space, Dir: a.at(up).ID, Name: name, Body: strings.NewReader(body), Size: -1, Keep: true})
	a.must(err)
	return n
}

func (a *actor) mv(path, to string) *cloud.Node {
	a.Helper()
	up, name := cloud.Split(to)
	n, err := a.Move(ctx, a.space, a.at(path).ID, a.at(up).ID, name)
	a.must(err)
	return n
}

func (a *actor) rm(path string) cloud.NodeID {
	a.Helper()
	n, err := a.Move(ctx, a.space, a.at(path).ID, cloud.TrashID, "")
	a.must(err)
	return n.ID
}

func (a *actor) change(path string, fn func(*cloud.Node)) {
	a.Helper()
	_, err := a.Edit(ctx, a.space, a.at(path).ID, func(n *cloud.Node) error { fn(n); return nil })
	a.must(err)
}

func long(n int) string { return strings.Repeat("0123456789abcdef", n/16) }

// A photo is all that can be seen of a store, by path.
type photo map[string]string

func (a *actor) photo() photo {
	a.Helper()
	p := photo{}
	for sp, err := range a.Spaces(ctx) {
		a.must(err)
		root := sp.Root
		sp.Root = nil
		p[string(sp.ID)] = show(sp)
		a.see(p, sp.ID, root, "")
		for id, err := range a.Children(ctx, sp.ID, cloud.TrashID) {
			a.must(err)
			a.see(p, sp.ID, id, "bin:"+string(id.ID)+"/")
		}
		for u, err := range a.Uploads(ctx, sp.ID) {
			a.must(err)
			p[string(sp.ID)+" upload "+string(u.ID)] = show(u) + fmt.Sprint(" at ", u.Offset)
		}
		for n, err := range a.Having(ctx, sp.ID, allTraits) {
			a.must(err)
			p[fmt.Sprint(sp.ID, " has ", n.ID)] = show(n)
		}
	}
	return p
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (a *actor) see(p photo, sp cloud.SpaceID, n *cloud.Node, prefix string) {
	a.Helper()
	full, err := a.Node(ctx, sp, n.ID)
	a.must(err)
	key := string(sp) + " " + prefix + full.Path
	p[key] = show(full)
	if !full.Dir {
		body, err := readAll(a.Store, sp, n.ID)
		a.must(err)
		if sums := cloud.SumsOf(body); full.Sums.Known && sums != full.Sums {
			a.Errorf("%s: the content has the sums %v, the node says %v", key, sums, full.Sums)
		}
		p[key] += fmt.Sprintf(" %d %.40q", len(body), body)
		for v, err := range a.Children(ctx, sp, cloud.VersionsOf(n.ID)) {
			a.must(err)
			body, err := readAll(a.Store, sp, v.ID)
			a.must(err)
			p[key+" version "+v.Name] = show(v) + fmt.Sprintf(" %d %.40q", len(body), body)
		}
		return
	}
	for c, err := range a.Children(ctx, sp, n.ID) {
		a.must(err)
		a.see(p, sp, c, prefix)
	}
}

func readAll(s *Store, sp cloud.SpaceID, id cloud.NodeID) ([]byte, error) {
	f, _, err := s.Open(ctx, sp, id)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func (a *actor) same(what string, got, want photo) {
	a.Helper()
	if d := got.diff(want); d != "" {
		a.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

// diff says what is not as wanted, line by line.
func (p photo) diff(want photo) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got, ok := p[key]; !ok || got != want[key] {
			fmt.Fprintf(&b, "- %s: %s\n", key, want[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p)) {
		if w, ok := want[key]; !ok || p[key] != w {
			fmt.Fprintf(&b, "+ %s: %s\n", key, p[key])
		}
	}
	return b.String()
}

// copyTree copies a storage as a crash would leave it: attributes, links and
// times, but not the names in skip.
func copyTree(t tb, from, to string, skip ...string) {
	t.Helper()
	first := map[uint64]string{} // by inode
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		target := filepath.Join(to, rel)
		if slices.Contains(skip, rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		i, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
		case d.Type() == fs.ModeSymlink:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		default:
			st := i.Sys().(*syscall.Stat_t)
			if st.Nlink > 1 {
				if other := first[st.Ino]; other != "" {
					return os.Link(other, target)
				}
				first[st.Ino] = target
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(target, b, 0o644); err != nil {
				return err
			}
		}
		var b [256]byte
		if n, err := unix.Lgetxattr(path, "user.oc", b[:]); err == nil {
			if err := unix.Lsetxattr(target, "user.oc", b[:n], 0); err != nil {
				return err
			}
		}
		return os.Chtimes(target, i.ModTime(), i.ModTime())
	})
	if err != nil {
		t.Fatalf("copying %s: %v", from, err)
	}
}

// lost is what recovery has set aside.
func (a *actor) lost() (names []string) {
	all, _ := filepath.Glob(filepath.Join(a.root, "*", "*", ".oc", "lost", "*"))
	return all
}

// recovered opens a copy, which is brought in order, and looks at it; and once
// more, to see that it stays that way.
func recovered(t tb, root string, again bool) photo {
	t.Helper()
	a := openQuiet(t, root, nil)
	p := a.photo()
	if l := a.lost(); len(l) > 0 {
		t.Errorf("set aside: %v", l)
	}
	if err := a.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if !again {
		return p
	}
	b := openQuiet(t, root, nil)
	b.same("opened again", b.photo(), p)
	if err := b.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return p
}

// prelude is what stands before the checkpoint.
func prelude(a *actor) {
	a.makeSpace()
	a.mkdir("d")
	a.mkdir("d/sub")
	a.mkdir("e")
	a.put("d/f", "content of d/f")
	a.put("d/f", "second content of d/f")
	a.put("d/sub/g", "content of d/sub/g")
	a.put("large", long(100<<10))
	a.put("top", "content of top")
	a.put("e/x", "content of e/x")
	a.put("e/y", "content of e/y")
	a.rm("e/y")
	a.mkdir("e/gone")
	a.put("e/gone/z", "content of z")
	a.rm("e/gone")
	a.change("d/f", func(n *cloud.Node) {
		n.Grants = []cloud.Grant{{To: cloud.Subject{User: "u"}, Rights: cloud.CanRead}}
	})
	a.must(a.Store.checkpoint())
}

// A scene is one change, or a few.
type scene struct {
	name string
	play func(*actor)
}

func inBin(a *actor, name string) cloud.NodeID {
	for n, err := range a.Children(ctx, a.space, cloud.TrashID) {
		a.must(err)
		if n.Name == name {
			return n.ID
		}
	}
	a.Fatalf("%s is not in the bin", name)
	return ""
}

func sendUpload(a *actor, id cloud.UploadID, path, body string) {
	up, name := cloud.Split(path)
	dir := a.at(up).ID
	a.must(a.SetUpload(ctx, &cloud.Upload{ID: id, Dir: cloud.Ref{Space: a.space, Node: dir}, Name: name, How: cloud.Put{Size: int64(len(body))}}))
	_, err := a.AppendUpload(ctx, a.space, id, 0, strings.NewReader(body))
	a.must(err)
	_, _, err = a.Write(ctx, cloud.Write{Space: a.space, Dir: dir, Name: name, Upload: id, Keep: true})
	a.must(err)
}

var scenes = []scene{
	{"new file", func(a *actor) { a.put("d/new", "new content") }},
	{"empty file", func(a *actor) { a.put("empty", "") }},
	{"new large file", func(a *actor) { a.put("d/new", long(200<<10)) }},
	{"replace", func(a *actor) { a.put("d/f", "third content of d/f") }},
	{"replace twice", func(a *actor) { a.put("d/f", "third content"); a.put("d/f", "fourth content") }},
	{"replace large by large", func(a *actor) { a.put("large", long(150<<10)); a.put("large", long(160<<10)) }},
	{"replace large by small", func(a *actor) { a.put("large", "small now"); a.put("large", long(160<<10)) }},
	{"replace without a version", func(a *actor) {
		_, _, err := a.Write(ctx, cloud.Write{Space: a.space, Dir: a.space.Root(), Name: "top", Body: strings.NewReader("other"), Size: 5})
		a.must(err)
	}},
	{"new directory", func(a *actor) { a.mkdir("d/new") }},
	{"new tree", func(a *actor) { a.mkdir("n"); a.mkdir("n/m"); a.put("n/m/f", "deep") }},
	{"rename file", func(a *actor) { a.mv("d/f", "d/f2") }},
	{"move file", func(a *actor) { a.mv("d/f", "e/f") }},
	{"move and write", func(a *actor) { a.mv("d/f", "e/f"); a.put("e/f", "after the move") }},
	{"write and move", func(a *actor) { a.put("d/f", "before the move"); a.mv("d/f", "e/f") }},
	{"make and move", func(a *actor) { a.put("d/n", "made"); a.mv("d/n", "e/n"); a.mv("e/n", "n") }},
	{"move directory", func(a *actor) { a.mv("d", "e/d") }},
	{"move directory and write", func(a *actor) { a.mv("d", "e/d"); a.put("e/d/sub/g", "changed in its new place") }},
	{"write and move directory", func(a *actor) { a.put("d/sub/new", "new"); a.mv("d/sub", "e/sub") }},
	{"swap files", func(a *actor) { a.mv("d/f", "t"); a.mv("top", "d/f"); a.mv("t", "top") }},
	{"swap directories", func(a *actor) { a.mv("d", "t"); a.mv("e", "d"); a.mv("t", "e") }},
	{"turn inside out", func(a *actor) { a.mv("d/sub", "sub"); a.mv("d", "sub/d"); a.put("sub/d/in", "inside") }},
	{"trash file", func(a *actor) { a.rm("d/f") }},
	{"trash directory", func(a *actor) { a.rm("d") }},
	{"trash and make again", func(a *actor) { a.rm("d/f"); a.put("d/f", "another file of that name") }},
	{"trash directory and make again", func(a *actor) { a.rm("d"); a.mkdir("d"); a.put("d/f", "in another directory of that name") }},
	{"write and trash", func(a *actor) { a.put("d/f", "to be thrown away"); a.rm("d/f") }},
	{"restore file", func(a *actor) {
		_, err := a.Move(ctx, a.space, inBin(a, "y"), a.at("d").ID, "back")
		a.must(err)
	}},
	{"restore directory", func(a *actor) {
		_, err := a.Move(ctx, a.space, inBin(a, "gone"), a.at("d").ID, "back")
		a.must(err)
		a.put("d/back/z", "changed after it came back")
	}},
	{"restore from inside", func(a *actor) {
		n, err := a.Lookup(ctx, a.space, inBin(a, "gone"), "z")
		a.must(err)
		_, err = a.Move(ctx, a.space, n.ID, a.at("d").ID, "z")
		a.must(err)
	}},
	{"drop file", func(a *actor) { a.must(a.Drop(ctx, a.space, a.at("d/f").ID)) }},
	{"drop directory", func(a *actor) { a.must(a.Drop(ctx, a.space, a.at("d").ID)) }},
	{"drop from the bin", func(a *actor) {
		a.must(a.Drop(ctx, a.space, inBin(a, "y")))
		a.must(a.Drop(ctx, a.space, inBin(a, "gone")))
	}},
	{"drop what was just made", func(a *actor) {
		a.mkdir("n")
		a.put("n/f", "short-lived")
		a.must(a.Drop(ctx, a.space, a.at("n").ID))
	}},
	{"drop and make again", func(a *actor) {
		a.must(a.Drop(ctx, a.space, a.at("d/f").ID))
		a.put("d/f", "another one")
		a.must(a.Drop(ctx, a.space, a.at("e").ID))
		a.mkdir("e")
	}},
	{"move out and drop", func(a *actor) { a.mv("d/sub/g", "g"); a.must(a.Drop(ctx, a.space, a.at("d").ID)) }},
	{"move in and drop", func(a *actor) { a.mv("top", "d/sub/top"); a.must(a.Drop(ctx, a.space, a.at("d").ID)) }},
	{"write in and drop", func(a *actor) { a.put("d/sub/n", "n"); a.must(a.Drop(ctx, a.space, a.at("d").ID)) }},
	{"same id again", func(a *actor) {
		id := a.at("top").ID
		a.must(a.Drop(ctx, a.space, id))
		_, _, err := a.Write(ctx, cloud.Write{Space: a.space, Dir: a.at("d").ID, Name: "again", ID: id, Body: strings.NewReader("again"), Size: -1})
		a.must(err)
	}},
	{"edit time", func(a *actor) {
		a.change("d/f", func(n *cloud.Node) { n.MTime = time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC) })
		a.change("d", func(n *cloud.Node) { n.MTime = time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC) })
	}},
	{"edit time and write", func(a *actor) {
		a.change("d/f", func(n *cloud.Node) { n.MTime = time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC) })
		a.put("d/f", "after that")
	}},
	{"write and edit time", func(a *actor) {
		a.put("d/f", "before that")
		a.change("d/f", func(n *cloud.Node) { n.MTime = time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC) })
	}},
	{"edit time and replace large", func(a *actor) {
		a.change("large", func(n *cloud.Node) { n.MTime = time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC); n.State = cloud.Pending })
		a.put("large", long(70<<10))
		a.change("large", func(n *cloud.Node) {
			n.MTime = time.Date(2002, 2, 3, 4, 5, 6, 7, time.UTC)
			n.State = cloud.Quarantined
		})
		a.put("large", "small")
	}},
	{"edit all", func(a *actor) {
		for _, path := range []string{"d/f", "e", ""} {
			a.change(path, func(n *cloud.Node) {
				n.Grants = []cloud.Grant{{To: cloud.Subject{Group: "g"}, Rights: cloud.AllRights, Made: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}}
				n.Locks = []cloud.Lock{{Token: "urn:uuid:x", Owner: "<o/>", Timeout: time.Hour}}
				n.Attrs = map[string]string{"prop.{ns}name": "<x>ü</x>"}
			})
		}
	}},
	{"edit one after another", func(a *actor) {
		a.change("d/f", func(n *cloud.Node) { n.Locks = []cloud.Lock{{Token: "urn:uuid:x"}} })
		a.change("d/f", func(n *cloud.Node) { n.Attrs = map[string]string{"k": "v"} })
		a.change("d/f", func(n *cloud.Node) { n.Grants = nil })
	}},
	{"lock and unlock", func(a *actor) {
		a.change("top", func(n *cloud.Node) { n.Locks = []cloud.Lock{{Token: "urn:uuid:x"}} })
		a.put("top", "while it was locked")
		a.change("top", func(n *cloud.Node) { n.Locks = nil })
	}},
	{"take away grants", func(a *actor) { a.change("d/f", func(n *cloud.Node) { n.Grants = nil }) }},
	{"state", func(a *actor) { a.change("top", func(n *cloud.Node) { n.State = cloud.Quarantined }) }},
	{"file a version", func(a *actor) {
		for _, body := range []string{"old content", long(100 << 10)} {
			_, _, err := a.Write(ctx, cloud.Write{Space: a.space, Dir: cloud.VersionsOf(a.at("top").ID), Name: fmt.Sprint("key", len(body)), Body: strings.NewReader(body), Size: -1})
			a.must(err)
		}
	}},
	{"drop a version", func(a *actor) {
		id := a.at("d/f").ID
		a.put("d/f", "one more")
		for v, err := range a.Children(ctx, a.space, cloud.VersionsOf(id)) {
			a.must(err)
			a.must(a.Drop(ctx, a.space, v.ID))
		}
	}},
	{"upload", func(a *actor) { sendUpload(a, "up", "d/up", long(100<<10)) }},
	{"small upload", func(a *actor) { sendUpload(a, "up", "d/up", "small") }},
	{"upload over a file", func(a *actor) { sendUpload(a, "up", "large", long(80<<10)) }},
	{"upload begun", func(a *actor) {
		a.must(a.SetUpload(ctx, &cloud.Upload{ID: "begun", Dir: cloud.Ref{Space: a.space, Node: a.space.Root()}, Name: "n", How: cloud.Put{Size: 10}}))
		_, err := a.AppendUpload(ctx, a.space, "begun", 0, strings.NewReader("01234"))
		a.must(err)
	}},
	{"upload cancelled", func(a *actor) {
		a.must(a.SetUpload(ctx, &cloud.Upload{ID: "cancelled", Dir: cloud.Ref{Space: a.space, Node: a.space.Root()}, Name: "n", How: cloud.Put{Size: 10}}))
		a.must(a.DropUpload(ctx, a.space, "cancelled"))
	}},
	{"new space", func(a *actor) {
		sp, err := a.SetSpace(ctx, &cloud.Space{ID: a.NewSpaceID(cloud.Personal, "einstein"), Kind: cloud.Personal, Name: "Einstein", Owner: "einstein",
			Root: &cloud.Node{Grants: []cloud.Grant{{To: cloud.Subject{User: "einstein"}, Rights: cloud.SpaceManager}}}})
		a.must(err)
		old := a.space
		a.space = sp.ID
		a.put("f", "in the new space")
		a.space = old
	}},
	{"change space", func(a *actor) {
		_, err := a.SetSpace(ctx, &cloud.Space{ID: a.space, Name: "another name", Quota: 17})
		a.must(err)
	}},
	{"drop space", func(a *actor) { a.must(a.DropSpace(ctx, a.space)) }},
	{"drop space and make again", func(a *actor) {
		a.put("d/f", "for the old space")
		a.must(a.DropSpace(ctx, a.space))
		_, err := a.SetSpace(ctx, &cloud.Space{ID: a.space, Kind: cloud.Project, Name: "again"})
		a.must(err)
		a.put("f", "in the space that was made again")
	}},
}

// A shot is a copy of a storage, made in the middle of something, and how
// many changes were confirmed by then.
type shot struct {
	root      string
	confirmed int
	sure      bool // the next one is in the journal
}

// film plays a scene and takes shots at each step, and photos of what is
// confirmed.
func film(t tb, root string, space cloud.SpaceID, sc scene) (shots []shot, photos []photo) {
	var a *actor
	sure := false
	take := func(step string) {
		s := shot{fmt.Sprintf("%s-%02d-%s", root, len(shots), strings.ReplaceAll(step, " ", "-")), len(photos) - 1, sure}
		copyTree(t, root, s.root)
		shots = append(shots, s)
	}
	a = openQuiet(t, root, func(step string) {
		if a == nil {
			return
		}
		switch step {
		case "appended":
			sure = true
		case "confirmed", "upload: synced":
			sure = false
			photos = append(photos, a.photo())
		}
		take(step)
	})
	a.space = space
	photos = append(photos, a.photo())
	sc.play(a)
	a.same("at the end", a.photo(), photos[len(photos)-1])
	take("end")
	a.Store.step = nil
	a.must(a.Close())
	return shots, photos
}

// quick is a folder where a flush costs nothing, where there is one: these
// tests are about what is where, and make thousands of them.
func quick(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "posix")
	if err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		if d, err := disk.Open(dir); err == nil {
			if ok, err := d.HasAttrs(""); ok && err == nil {
				return dir
			}
		}
	}
	return t.TempDir()
}

// contents are the hashes of all files of a tree.
func contents(t tb, root string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var b []byte
			if b, err = os.ReadFile(path); err == nil {
				all[string(b)] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return all
}

// tear spoils the content of all files that were not synced, as a power
// failure may: names, times and attributes stay.
func tear(t tb, root string, synced map[string]bool, how func([]byte) []byte) (n int) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		if err != nil || rel == filepath.Join(".oc", "journal") {
			return errors.Join(err, fs.SkipDir)
		}
		if !d.Type().IsRegular() || strings.HasPrefix(d.Name(), "up") || filepath.Base(filepath.Dir(path)) == "uploads" && filepath.Ext(path) == "" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil || synced[string(b)] || len(b) > small {
			return err
		}
		i, err := d.Info()
		if err != nil {
			return err
		}
		n++
		if err := os.WriteFile(path, how(b), 0o644); err != nil {
			return err
		}
		return os.Chtimes(path, i.ModTime(), i.ModTime())
	})
	if err != nil && !errors.Is(err, fs.SkipDir) {
		t.Fatalf("%v", err)
	}
	return n
}

// damages are what may become of content that was not synced.
var damages = []func([]byte) []byte{
	func(b []byte) []byte { return b },
	func(b []byte) []byte { return nil },
	func(b []byte) []byte { return make([]byte, len(b)) },
	func(b []byte) []byte { return b[:len(b)/2] },
}

// What was confirmed is there after a crash at any step, and what was not is
// there as a whole or not at all. A process that is killed leaves the tree and
// the journal as they are. A power failure leaves the journal, but of the
// operations on the tree only those up to some step, and no content that was
// not synced; it may come again during recovery.
func TestCrash(t *testing.T) {
	t.Parallel()
	base := quick(t)
	before := filepath.Join(base, "before")
	a := openQuiet(t, before, nil)
	prelude(a)
	space := a.space
	a.must(a.Close())
	synced := contents(t, before)
	for nth, sc := range scenes {
		t.Run(sc.name, func(t *testing.T) {
			root := filepath.Join(base, strings.ReplaceAll(sc.name, " ", "-"))
			copyTree(t, before, root)
			shots, photos := film(t, root, space, sc)
			// What was there at a sync has reached the disk by then.
			sure := 0
			for i, s := range shots {
				if strings.HasSuffix(s.root, "staged") || strings.HasSuffix(s.root, "synced") {
					sure = i
				}
			}
			journal := filepath.Join(".oc", "journal")
			copyTree(t, filepath.Join(shots[len(shots)-1].root, journal), root+"-journal")
			// Each shot sees one kind of crash, to save time; the first and the
			// last see both, and TestLife mixes them.
			for i, s := range shots {
				both := i == sure || i == len(shots)-1
				if i >= sure && (both || (i+nth)%2 == 0) {
					want := photos[len(photos)-1]
					half := s.root + "-half"
					copyTree(t, s.root, half, journal)
					copyTree(t, root+"-journal", filepath.Join(half, journal))
					tear(t, half, synced, damages[i%len(damages)])
					if i == sure && nth%3 == 0 {
						failAgain(t, half, want)
					}
					if d := recovered(t, half, false).diff(want); d != "" {
						t.Errorf("power failure at %s (-want +got):\n%s", filepath.Base(s.root), d)
					}
					os.RemoveAll(half)
					if !both {
						continue
					}
				}
				got := recovered(t, s.root, both)
				want := photos[s.confirmed]
				if s.sure || got.diff(want) != "" && s.confirmed+1 < len(photos) {
					want = photos[s.confirmed+1]
				}
				if d := got.diff(want); d != "" {
					t.Errorf("killed at %s (-want +got):\n%s", filepath.Base(s.root), d)
				}
				os.RemoveAll(s.root)
			}
		})
	}
}

// failAgain stops recovery at each of its steps and begins it anew.
func failAgain(t tb, root string, want photo) {
	t.Helper()
	again := root + "-again"
	copyTree(t, root, again)
	n := 0
	a := openQuiet(t, again, func(step string) {
		if !strings.HasPrefix(step, "recover") {
			return
		}
		n++
		shot := fmt.Sprintf("%s-%02d-%s", again, n, strings.ReplaceAll(step, " ", "-"))
		copyTree(t, again, shot)
		if d := recovered(t, shot, false).diff(want); d != "" {
			t.Errorf("%s (-want +got):\n%s", filepath.Base(shot), d)
		}
		os.RemoveAll(shot)
	})
	if err := a.Close(); err != nil {
		t.Fatalf("%v", err)
	}
	os.RemoveAll(again)
}

// Nothing that is done leaves a file open.
func TestNoLeaks(t *testing.T) {
	files := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	for _, sc := range scenes {
		a := openQuiet(t, quick(t), nil)
		prelude(a)
		a.photo()
		before := files()
		sc.play(a)
		a.photo()
		for _, err := range []error{
			func() error { _, err := a.Lookup(ctx, a.space, "", "nothing/here"); return err }(),
			func() error { _, err := a.MakeDir(ctx, a.space, a.space.Root(), ".."); return err }(),
			func() error { _, err := a.Move(ctx, a.space, a.space.Root(), cloud.TrashID, ""); return err }(),
			func() error { _, _, err := a.Open(ctx, a.space, a.space.Root()); return err }(),
		} {
			if err == nil {
				t.Errorf("%s: got no error", sc.name)
			}
		}
		if after := files(); after > before { // the stores before this one let go of theirs meanwhile
			t.Errorf("%s: %d files were open before, %d are now", sc.name, before, after)
		}
		a.must(a.Close())
	}
}
