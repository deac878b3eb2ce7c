package storagetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"opencloud/cloud"
)

// A thing is what the model has of a node.
type thing struct {
	id       cloud.NodeID
	name     string
	dir      bool
	body     string
	attr     string
	versions []string // newest first
	up       *thing
	members  map[string]*thing // by name; of the bin by id
}

func (n *thing) size() int64 {
	size := int64(len(n.body))
	for _, m := range n.members {
		size += m.size()
	}
	return size
}

// under tells whether n is dir or below it.
func (n *thing) under(dir *thing) bool {
	for ; n != nil; n = n.up {
		if n == dir {
			return true
		}
	}
	return false
}

// A toy is the model of a store: a tree and a bin, with no way to go wrong.
type toy struct {
	*house
	t         *rapid.T
	root, bin *thing
	things    []*thing // all alive but the two, in the order they were made
}

// A face is how a node looks, in the toy and in the store.
type face struct {
	ID       cloud.NodeID
	Dir      bool
	Size     int64
	Body     string
	Attr     string
	Versions []string
}

// model does the same at random to a store and to the toy, and compares
// after every step.
func model(t *testing.T, s cloud.Store) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHouse(t, s)
		m := &toy{house: h, t: t, root: &thing{id: h.root, dir: true, members: map[string]*thing{}}, bin: &thing{id: cloud.TrashID, dir: true, members: map[string]*thing{}}}
		t.Repeat(map[string]func(*rapid.T){"": m.compare, "step": m.step})
		if err := s.DropSpace(h.ctx, h.space); err != nil {
			t.Fatalf("DropSpace: got %v", err)
		}
	})
}

// step does something that there is something for, and holds the root's ETag
// to whether it changed the tree.
func (m *toy) step(t *rapid.T) {
	m.t, m.tb = t, t
	acts := []string{"make", "write", "write"}
	if len(m.things) > 0 {
		acts = append(acts, "edit", "drop")
	}
	if len(m.root.members) > 0 {
		acts = append(acts, "move", "move", "trash")
	}
	if len(m.bin.members) > 0 {
		acts = append(acts, "restore", "restore")
	}
	act := rapid.SampledFrom(acts).Draw(t, "act")
	before := m.node(m.house.root)
	changed := map[string]func() bool{
		"make": m.makeDir, "write": m.writeFile, "move": m.moveNode, "trash": m.trashNode, "restore": m.restore, "drop": m.dropNode, "edit": m.editNode,
	}[act]()
	if after := m.node(m.house.root); changed != (after.ETag != before.ETag) {
		t.Errorf("ETag of the root after %s: changed %v, want %v", act, after.ETag != before.ETag, changed)
	}
}

// compare holds the store to the toy.
func (m *toy) compare(t *rapid.T) {
	m.t, m.tb = t, t
	want, got := map[string]face{}, map[string]face{}
	var ofToy func(path string, n *thing)
	ofToy = func(path string, n *thing) {
		want[path] = face{n.id, n.dir, n.size(), n.body, n.attr, n.versions}
		for name, child := range n.members {
			ofToy(path+"/"+name, child)
		}
	}
	var ofStore func(path string, id cloud.NodeID)
	ofStore = func(path string, id cloud.NodeID) {
		n := m.node(id)
		f := face{ID: n.ID, Dir: n.Dir, Size: n.Size, Attr: n.Attrs["k"]}
		if n.Dir {
			for _, child := range m.list(id) {
				ofStore(path+"/"+child.Name, child.ID)
			}
		} else {
			f.Body, f.Versions = m.read(id), m.contents(id)
		}
		if _, taken := got[path]; taken {
			t.Errorf("%s: listed twice", path)
		}
		got[path] = f
	}
	ofToy("", m.root)
	ofStore("", m.house.root)
	for _, n := range m.bin.members {
		ofToy("bin:"+string(n.id), n)
	}
	for _, n := range m.list(cloud.TrashID) {
		ofStore("bin:"+string(n.ID), n.ID)
	}
	m.same("the store", got, want)
}

// pick draws one of the things that ok likes; nil if there are none.
func (m *toy) pick(label string, ok func(*thing) bool) *thing {
	all := slices.DeleteFunc(slices.Clone(m.things), func(n *thing) bool { return !ok(n) })
	if len(all) == 0 {
		return nil
	}
	return all[rapid.IntRange(0, len(all)-1).Draw(m.t, label)]
}

// dir draws the root or something else in the tree, mostly directories.
func (m *toy) dir() *thing {
	files := rapid.IntRange(0, 9).Draw(m.t, "file as directory") == 0
	dir := m.pick("directory", func(n *thing) bool { return n.under(m.root) && (n.dir || files) })
	if dir == nil || rapid.IntRange(0, 3).Draw(m.t, "root") == 0 {
		return m.root
	}
	return dir
}

func (m *toy) name() string {
	return rapid.SampledFrom([]string{"a", "b", "c", "ä"}).Draw(m.t, "name")
}

// agree fails unless err is one of the kinds, or nil if there are none.
func (m *toy) agree(what string, err error, kinds []cloud.Kind) {
	if len(kinds) == 0 && err == nil || slices.ContainsFunc(kinds, func(k cloud.Kind) bool { return errors.Is(err, k) }) {
		return
	}
	m.t.Fatalf("%s: got %v, want one of %v", what, err, kinds)
}

// place is in what ways nothing can be put under a name.
func (m *toy) place(dir *thing, name string) (kinds []cloud.Kind) {
	if !dir.dir {
		kinds = append(kinds, cloud.Conflict)
	}
	if dir.members[name] != nil {
		kinds = append(kinds, cloud.Exist)
	}
	return kinds
}

func (m *toy) makeDir() bool {
	dir, name := m.dir(), m.name()
	kinds := m.place(dir, name)
	n, err := m.MakeDir(m.ctx, m.space, dir.id, name)
	m.agree(fmt.Sprintf("MakeDir %q in %s", name, dir.id), err, kinds)
	if err != nil {
		return false
	}
	m.add(&thing{id: n.ID, name: name, dir: true, up: dir, members: map[string]*thing{}})
	return true
}

func (m *toy) add(n *thing) {
	n.up.members[n.name] = n
	m.things = append(m.things, n)
}

func (m *toy) writeFile() bool {
	dir, name := m.dir(), m.name()
	body := rapid.StringN(0, 20, -1).Draw(m.t, "body")
	w := m.content(dir.id, name, body)
	w.Fresh, w.Keep = rapid.Bool().Draw(m.t, "fresh"), rapid.Bool().Draw(m.t, "keep")
	if rapid.IntRange(0, 3).Draw(m.t, "upload") == 0 {
		u := m.begin(name, int64(len(body)))
		m.fill(u.ID, 0, body)
		w.Body, w.Upload = nil, u.ID
		defer m.DropUpload(m.ctx, m.space, u.ID)
	}
	kinds := m.place(dir, name)
	old := dir.members[name]
	if dir.dir && old != nil && !old.dir && !w.Fresh {
		kinds = nil
	}
	n, made, err := m.Write(m.ctx, w)
	m.agree(fmt.Sprintf("Write %q in %s", name, dir.id), err, kinds)
	if err != nil {
		return false
	}
	if made != (old == nil) {
		m.t.Errorf("made: got %v, want %v", made, old == nil)
	}
	if old == nil {
		m.add(&thing{id: n.ID, name: name, body: body, up: dir})
		return true
	}
	if w.Keep {
		old.versions = slices.Insert(old.versions, 0, old.body)
	}
	old.body = body
	return true
}

// carry takes a thing from where it is to somewhere else.
func (m *toy) carry(n, dir *thing, name string) {
	maps.DeleteFunc(n.up.members, func(_ string, m *thing) bool { return m == n })
	n.up, n.name = dir, name
	if dir == m.bin {
		dir.members[string(n.id)] = n
	} else {
		dir.members[name] = n
	}
}

func (m *toy) transfer(n *thing) bool {
	dir, name := m.dir(), m.name()
	if dir.members[name] == n {
		return false // it is there
	}
	kinds := m.place(dir, name)
	if dir.under(n) {
		kinds = append(kinds, cloud.Conflict)
	}
	got, err := m.Move(m.ctx, m.space, n.id, dir.id, name)
	m.agree(fmt.Sprintf("Move %s to %s/%q", n.id, dir.id, name), err, kinds)
	if err != nil {
		return false
	}
	if got.ID != n.id || got.Name != name || got.Parent != dir.id {
		m.t.Errorf("Move: got %s as %q in %s", got.ID, got.Name, got.Parent)
	}
	m.carry(n, dir, name)
	return true
}

func (m *toy) moveNode() bool {
	return m.transfer(m.pick("move", func(n *thing) bool { return n.under(m.root) }))
}

func (m *toy) restore() bool {
	return m.transfer(m.pick("restore", func(n *thing) bool { return n.under(m.bin) }))
}

func (m *toy) trashNode() bool {
	n := m.pick("trash", func(n *thing) bool { return n.under(m.root) })
	m.trash(n.id)
	m.carry(n, m.bin, n.name)
	return true
}

func (m *toy) dropNode() bool {
	n := m.pick("drop", func(*thing) bool { return true })
	inTree := n.under(m.root)
	m.drop(n.id)
	maps.DeleteFunc(n.up.members, func(_ string, m *thing) bool { return m == n })
	m.things = slices.DeleteFunc(m.things, func(o *thing) bool { return o.under(n) })
	return inTree
}

func (m *toy) editNode() bool {
	n := m.pick("edit", func(*thing) bool { return true })
	attr := rapid.SampledFrom([]string{"", "v", "w"}).Draw(m.t, "attribute")
	m.edit(n.id, func(n *cloud.Node) {
		n.Attrs = map[string]string{"k": attr}
		if attr == "" {
			n.Attrs = nil
		}
	})
	changed := n.attr != attr && n.under(m.root)
	n.attr = attr
	return changed
}
