package posix

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"opencloud/cloud"

	"golang.org/x/sys/unix"
)

// When the tree cannot be changed after the journal has the change, all is as
// before: for those who look, in the records, and after a crash.
func TestFailureAfterTheJournal(t *testing.T) {
	for _, c := range []struct {
		name  string
		block func(p *person) // makes it fail
		clear func(p *person)
		do    func(p *person) error
	}{
		{"new file", blockIDs, clearIDs, func(p *person) error {
			_, _, err := p.Write(ctx, cloud.Write{Space: p.space, Dir: p.at("d").ID, Name: "new", Body: strings.NewReader("new"), Size: -1})
			return err
		}},
		{"new large file", blockIDs, clearIDs, func(p *person) error {
			_, _, err := p.Write(ctx, cloud.Write{Space: p.space, Dir: p.at("d").ID, Name: "new", Body: strings.NewReader(long(100 << 10)), Size: -1})
			return err
		}},
		{"new directory", blockIDs, clearIDs, func(p *person) error {
			_, err := p.MakeDir(ctx, p.space, p.at("d").ID, "new")
			return err
		}},
		{"replace", block(".oc/versions"), unblock(".oc/versions"), func(p *person) error {
			_, _, err := p.Write(ctx, cloud.Write{Space: p.space, Dir: p.at("d").ID, Name: "f", Body: strings.NewReader("other"), Size: -1, Keep: true})
			return err
		}},
		{"move file", blockIDs, clearIDs, func(p *person) error {
			_, err := p.Move(ctx, p.space, p.at("d/f").ID, p.at("e").ID, "f")
			return err
		}},
		{"move directory", blockIDs, clearIDs, func(p *person) error {
			_, err := p.Move(ctx, p.space, p.at("d").ID, p.at("e").ID, "d")
			return err
		}},
		{"trash", block(".Trash/info"), unblock(".Trash/info"), func(p *person) error {
			_, err := p.Move(ctx, p.space, p.at("d/f").ID, cloud.TrashID, "")
			return err
		}},
		{"drop directory", block(".oc/dropped"), unblock(".oc/dropped"), func(p *person) error {
			return p.Drop(ctx, p.space, p.at("d").ID)
		}},
		{"edit", block(".oc/locks"), unblock(".oc/locks"), func(p *person) error {
			_, err := p.Edit(ctx, p.space, p.at("d/f").ID, func(n *cloud.Node) error {
				n.Grants = []cloud.Grant{{To: cloud.Subject{User: "u"}, Rights: 1}}
				n.Locks = []cloud.Lock{{Token: "t"}}
				return nil
			})
			return err
		}},
		{"upload", block(".oc/uploads/u.json"), unblock(".oc/uploads/u.json"), func(p *person) error {
			return p.SetUpload(ctx, &cloud.Upload{ID: "u", Dir: cloud.Ref{Space: p.space, Node: p.space.Root()}, Name: "n", How: cloud.Put{Size: 1}})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := quick(t)
			a := openQuiet(t, root, nil)
			a.makeSpace()
			p := &person{a, filepath.Join(root, "projects", string(a.space.Root()))}
			a.mkdir("d")
			a.put("d/f", "content")
			a.mkdir("e")
			a.must(a.SetUpload(ctx, &cloud.Upload{ID: "there", Dir: cloud.Ref{Space: a.space, Node: a.space.Root()}, Name: "n", How: cloud.Put{Size: 1}}))
			before, last := a.photo(), a.Last()
			a.Store.step = func(step string) {
				if step == "appended" {
					c.block(p)
				}
			}
			err := c.do(p)
			a.Store.step = nil
			if err == nil {
				t.Fatal("got no error")
			}
			// What is in the way for the test's sake is not part of the picture.
			crashed := root + "-crashed"
			t.Cleanup(func() { os.RemoveAll(crashed) })
			c.clear(p)
			copyTree(t, root, crashed)
			a.same("after the failure", a.photo(), before)
			for r, err := range a.Since(ctx, "", last) {
				t.Errorf("a record of it: %v, %v", r, err)
			}
			got := recovered(t, crashed, true)
			a.same("after the failure and a crash", got, before)
			if err := c.do(p); err != nil {
				t.Errorf("once more: got %v", err)
			}
			a.must(a.Close())
			if left, _ := filepath.Glob(p.shake(".oc/tmp/*")); len(left) > 0 {
				t.Errorf("left in tmp: %v", left)
			}
		})
	}
}

// block puts a file where a folder is needed, or the reverse.
func block(path string) func(*person) {
	return func(p *person) {
		full := p.shake(path)
		if _, err := os.Stat(full); err == nil {
			p.must(os.Rename(full, full+"-aside"))
		}
		if filepath.Ext(path) == "" {
			p.must(os.MkdirAll(filepath.Dir(full), 0o755))
			p.must(os.WriteFile(full, nil, 0o644))
		} else {
			p.must(os.MkdirAll(full+"/x", 0o755))
		}
	}
}

func unblock(path string) func(*person) {
	return func(p *person) {
		full := p.shake(path)
		p.must(os.RemoveAll(full))
		if _, err := os.Stat(full + "-aside"); err == nil {
			p.must(os.Rename(full+"-aside", full))
		}
	}
}

func blockIDs(p *person) { block(".oc/ids")(p) }
func clearIDs(p *person) { unblock(".oc/ids")(p) }

// A body that breaks, a wrong length or sum, and a Check that says no leave
// nothing behind on the disk.
func TestNothingIsLeft(t *testing.T) {
	a := openQuiet(t, quick(t), nil)
	a.makeSpace()
	broken := errors.New("connection reset")
	for _, size := range []int{32, 100 << 10} {
		body := func() io.Reader { return strings.NewReader(long(size)) }
		for name, w := range map[string]cloud.Write{
			"broken": {Body: io.MultiReader(body(), iotest.ErrReader(broken)), Size: -1},
			"short":  {Body: body(), Size: int64(size) + 100},
			"long":   {Body: body(), Size: 5},
			"limit":  {Body: body(), Size: -1, Limit: 5},
			"sum":    {Body: body(), Size: -1, Sum: "MD5:00000000000000000000000000000000"},
			"check":  {Body: body(), Size: -1, Check: func(*cloud.Node, int64) error { return broken }},
			"parent": {Body: body(), Size: -1, Dir: cloud.NodeID(cloud.NewUUID().String())},
		} {
			w.Space, w.Name = a.space, "f"
			if w.Dir == "" {
				w.Dir = a.space.Root()
			}
			if _, _, err := a.Write(ctx, w); err == nil {
				t.Errorf("%s of %d bytes: got no error", name, size)
			}
		}
	}
	left, _ := filepath.Glob(filepath.Join(a.root, "projects/*/.oc/tmp/*"))
	if len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
	if n := a.at(""); n.Size != 0 {
		t.Errorf("size of the root: got %d, want 0", n.Size)
	}
	if len(a.staging1()) > 0 {
		t.Errorf("still noted as in use: %v", a.staging1())
	}
	a.must(a.Close())
}

func (a *actor) staging1() map[string]bool {
	sp, err := a.Store.space(a.space)
	a.must(err)
	return sp.staged
}

func TestOneProcess(t *testing.T) {
	root := quick(t)
	a := openQuiet(t, root, nil)
	_, err := Open(ctx, options(root), quiet)
	if !errors.Is(err, cloud.Unavailable) || !strings.Contains(cloud.Say(err), "the server is running") {
		t.Errorf("Open a second time: got %v, want %v and a sentence", err, cloud.Unavailable)
	}
	a.must(a.Close())
	a.must(a.Close())
	b := openQuiet(t, root, nil)
	b.must(b.Close())
	if _, err := b.SetSpace(ctx, &cloud.Space{ID: b.NewSpaceID(cloud.Project, ""), Kind: cloud.Project}); !errors.Is(err, cloud.Unavailable) {
		t.Errorf("SetSpace after Close: got %v, want %v", err, cloud.Unavailable)
	}
}

func TestMountID(t *testing.T) {
	root := quick(t)
	const id = "11111111-2222-4333-8444-555555555555"
	open := func(want string) (*Store, error) {
		o := options(root)
		o.MountID = want
		return Open(ctx, o, quiet)
	}
	s, err := open(id)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.NewSpaceID(cloud.Project, "").Storage(); got != id {
		t.Errorf("id of the storage: got %s, want %s", got, id)
	}
	s.Close()
	for _, want := range []string{"", id} {
		s, err := open(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.NewSpaceID(cloud.Project, "").Storage(); got != id {
			t.Errorf("id of the storage, opened with %q: got %s, want %s", want, got, id)
		}
		s.Close()
	}
	if _, err := open(cloud.NewUUID().String()); !errors.Is(err, cloud.Invalid) {
		t.Errorf("opened with another id: got %v, want %v", err, cloud.Invalid)
	}
}

// A client that comes again takes over from its own stalled connection.
func TestStalledUpload(t *testing.T) {
	a := openQuiet(t, quick(t), nil)
	a.makeSpace()
	a.must(a.SetUpload(ctx, &cloud.Upload{ID: "u", Dir: cloud.Ref{Space: a.space, Node: a.space.Root()}, Name: "n", How: cloud.Put{Size: 8}}))
	r, w := io.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		next, err := a.AppendUpload(ctx, a.space, "u", 0, r)
		if !errors.Is(err, cloud.Conflict) {
			t.Errorf("the stalled one: got %d, %v, want %v", next, err, cloud.Conflict)
		}
	})
	w.Write([]byte("0123"))
	for { // until that has arrived
		u, err := a.Upload(ctx, a.space, "u")
		a.must(err)
		if u.Offset == 4 {
			break
		}
	}
	if next, err := a.AppendUpload(ctx, a.space, "u", 4, strings.NewReader("4567")); next != 8 || err != nil {
		t.Errorf("the new one: got %d, %v, want 8", next, err)
	}
	w.Write([]byte("XXXX"))
	w.Close()
	wg.Wait()
	n, _, err := a.Write(ctx, cloud.Write{Space: a.space, Dir: a.space.Root(), Name: "n", Upload: "u", Sum: fmt.Sprintf("ADLER32:%08x", cloud.SumsOf([]byte("01234567")).Adler32)})
	a.must(err)
	if b, err := readAll(a.Store, a.space, n.ID); string(b) != "01234567" || err != nil {
		t.Errorf("content: got %q, %v", b, err)
	}
	a.must(a.Close())
}

// The directories in memory are bounded, and nothing is forgotten with them.
func TestEviction(t *testing.T) {
	o := options(quick(t))
	o.Directories = 20
	s, err := Open(ctx, o, quiet)
	if err != nil {
		t.Fatal(err)
	}
	a := &actor{tb: t, Store: s, root: o.Root}
	a.makeSpace()
	for i := range 100 {
		a.mkdir(fmt.Sprint("d", i))
		a.put(fmt.Sprintf("d%d/f", i), "content")
	}
	a.must(s.checkpoint())
	sp, err := s.space(a.space)
	a.must(err)
	before := a.photo()
	for range 3 {
		sp.evict()
	}
	if n := s.inMemory.Load(); n > 20 {
		t.Errorf("in memory: got %d directories, want at most 20", n)
	}
	a.same("after eviction", a.photo(), before)
	for i := range 100 {
		a.put(fmt.Sprintf("d%d/g", i), "more")
	}
	if n := a.at(""); n.Size != 100*(7+4) {
		t.Errorf("size of the root: got %d, want %d", n.Size, 100*(7+4))
	}
	a.must(a.Close())
}

// said is what a process that is going to be killed says: that it is about
// to change a node, and what became of it.
type said struct {
	ID         cloud.NodeID
	Begun      bool
	Gone       bool
	ETag, SHA1 string
}

// TestKill9 kills a process that changes things with many goroutines, again
// and again. Everything it was told is confirmed is there, and nothing is out
// of order.
func TestKill9(t *testing.T) {
	const env = "POSIX_TEST_KILL"
	if root := os.Getenv(env); root != "" {
		changeUntilKilled(root)
		return
	}
	root := t.TempDir()
	a := openQuiet(t, root, nil)
	a.makeSpace()
	space := a.space
	a.must(a.Close())
	all := map[cloud.NodeID]said{}
	for round := range 4 {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKill9$")
		cmd.Env = append(os.Environ(), env+"="+root, "POSIX_TEST_SPACE="+string(space), fmt.Sprint("POSIX_TEST_ROUND=", round))
		out, err := cmd.StdoutPipe()
		a.must(err)
		cmd.Stderr = os.Stderr
		a.must(cmd.Start())
		lines := bufio.NewScanner(out)
		n := 0
		for lines.Scan() {
			var s said
			if json.Unmarshal(lines.Bytes(), &s) != nil {
				continue // cut off
			}
			all[s.ID] = s
			if n++; n == 500+round*137 {
				a.must(cmd.Process.Signal(unix.SIGKILL))
			}
		}
		cmd.Wait()
		if n < 500 {
			t.Fatalf("round %d: only %d changes were confirmed", round, n)
		}
		a = openQuiet(t, root, nil)
		a.space = space
		for id, want := range all {
			n, err := a.Node(ctx, space, id)
			switch {
			case want.Begun: // it may be either way, and says so from now on
				delete(all, id)
			case want.Gone:
				if !errors.Is(err, cloud.NotExist) {
					t.Errorf("round %d: a node that was dropped: got %v, %v", round, n, err)
				}
			case err != nil:
				t.Errorf("round %d: got %v, want %v", round, err, want)
			case !n.Dir:
				body, err := readAll(a.Store, space, n.ID)
				a.must(err)
				got := said{ID: id, ETag: n.ETag, SHA1: fmt.Sprintf("%x", n.Sums.SHA1)}
				if got != want || cloud.SumsOf(body) != n.Sums {
					t.Errorf("round %d: got %v, want %v", round, got, want)
				}
			}
		}
		a.must(func() error { sp, err := a.Store.space(space); a.must(err); return sp.sweep() }())
		p := &person{a, filepath.Join(root, "projects", string(space.Root()))}
		if f := p.findings(false); len(f) > 0 {
			t.Errorf("round %d: Check: %v", round, f)
		}
		if l := a.lost(); len(l) > 0 {
			t.Errorf("round %d: set aside: %v", round, l)
		}
		a.must(a.Close())
	}
}

func changeUntilKilled(root string) {
	s, err := Open(context.Background(), options(root), quiet)
	if err != nil {
		panic(err)
	}
	space := cloud.SpaceID(os.Getenv("POSIX_TEST_SPACE"))
	var mu sync.Mutex
	say := func(s said) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(show(s))
	}
	for w := range 8 {
		go func() {
			n := 0
			name := func() string { n++; return fmt.Sprintf("%s-%d-%d", os.Getenv("POSIX_TEST_ROUND"), w, n) }
			// about says what is going to happen to which node, and what did.
			about := func(id cloud.NodeID, do func() (*cloud.Node, error)) *cloud.Node {
				if id != "" {
					say(said{ID: id, Begun: true})
				}
				node, err := do()
				if err != nil {
					panic(err)
				}
				if node == nil {
					say(said{ID: id, Gone: true})
				} else if node.Dir {
					say(said{ID: node.ID})
				} else {
					say(said{ID: node.ID, ETag: node.ETag, SHA1: fmt.Sprintf("%x", node.Sums.SHA1)})
				}
				return node
			}
			put := func(dir, id cloud.NodeID, name string, size int) *cloud.Node {
				return about(id, func() (*cloud.Node, error) {
					body := bytes.Repeat([]byte{byte(n)}, size)
					node, _, err := s.Write(ctx, cloud.Write{Space: space, Dir: dir, Name: name, Body: bytes.NewReader(body), Size: -1, Keep: true})
					return node, err
				})
			}
			move := func(id, dir cloud.NodeID) *cloud.Node {
				return about(id, func() (*cloud.Node, error) { return s.Move(ctx, space, id, dir, name()) })
			}
			mkdir := func(dir cloud.NodeID) *cloud.Node {
				return about("", func() (*cloud.Node, error) { return s.MakeDir(ctx, space, dir, name()) })
			}
			drop := func(id cloud.NodeID) {
				about(id, func() (*cloud.Node, error) { return nil, s.Drop(ctx, space, id) })
			}
			for {
				a, b := mkdir(space.Root()), mkdir(space.Root())
				sub := mkdir(a.ID)
				f := put(sub.ID, "", name(), 1+n*997%(100<<10))
				f = put(sub.ID, f.ID, f.Name, 10)
				move(sub.ID, b.ID)
				f = put(sub.ID, f.ID, f.Name, 20)
				move(f.ID, a.ID)
				move(b.ID, a.ID)
				g := put(sub.ID, "", name(), 30)
				move(g.ID, cloud.TrashID)
				h := put(b.ID, "", name(), 40)
				move(h.ID, space.Root())
				drop(g.ID)
				if n%3 == 0 {
					say(said{ID: sub.ID, Begun: true}) // goes along
					drop(b.ID)
				}
			}
		}()
	}
	time.Sleep(time.Minute) // until it is killed
}

func FuzzAttr(f *testing.F) {
	a := attr{id: cloud.NewUUID(), sums: cloud.SumsOf([]byte("x")), place: 7, print: 9, traits: cloud.HasLocks, state: cloud.Pending}
	f.Add(a.encode(nil))
	d := attr{dir: true, id: cloud.NewUUID(), size: 5, last: 6, mtime: time.Unix(7, 8).UTC()}
	f.Add(d.encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := decodeAttr(b)
		if !ok {
			return
		}
		if back, ok := decodeAttr(a.encode(nil)); !ok || back != a {
			t.Errorf("decode(encode(%v)): got %v", a, back)
		}
	})
}

func FuzzBin(f *testing.F) {
	f.Add(encodeBin(&cloud.Bin{Path: "a b/ü\x25\n", Deleted: time.Unix(1, 2), By: "u=\n"}))
	f.Add([]byte("[Trash Info]\nPath=../../etc/passwd\nDeletionDate=2026-01-02T03:04:05\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		bin, ok := decodeBin(b)
		if !ok {
			return
		}
		if p, err := cloud.CleanPath(bin.Path); err != nil || p != bin.Path {
			t.Errorf("decodeBin(%q): the path is %q", b, bin.Path)
		}
		if back, ok := decodeBin(encodeBin(&bin)); !ok || back != bin {
			t.Errorf("decode(encode(%v)): got %v", bin, back)
		}
	})
}

func FuzzLink(f *testing.F) {
	f.Add(linkTarget(cloud.NewUUID(), "a/b"))
	f.Add(linkTarget(binID, "x"))
	f.Fuzz(func(t *testing.T, target string) {
		if parent, name, ok := parseLink(target); ok {
			p, n, ok := parseLink(linkTarget(parent, name))
			if !ok || p != parent || n != name {
				t.Errorf("parseLink(%q): got %v %q, and back %v %q", target, parent, name, p, n)
			}
		}
	})
}
