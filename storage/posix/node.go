package posix

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
	"opencloud/storage"
	"opencloud/storage/posix/disk"
)

// An entry is what stands at a spot.
type entry struct {
	at   spot
	info disk.Info
	attr attr
	ok   bool   // it has an attribute that is whole
	path string // as clients see it; empty: to be made of the directory's
}

// entry reads what stands at a spot; fs.ErrNotExist when nothing does.
func (sp *space) entry(at spot) (e entry, err error) {
	e.at = at
	if e.info, err = at.dir.Stat(at.name); err != nil || e.info.Kind == disk.Irregular {
		return e, err
	}
	e.attr, e.ok, err = sp.store.meta.get(at)
	return e, err
}

// settled tells whether an entry is as we left it. Otherwise a person has
// been here, or somebody is just changing it.
func (e *entry) settled() bool {
	return e.ok && e.attr.dir == (e.info.Kind == disk.Folder) && e.attr.place == placeOf(e.at.parent, e.at.name) &&
		(e.attr.dir || e.attr.print == printOf(e.info))
}

func (e *entry) content() content {
	return content{e.info.Size, e.info.MTime, e.attr.sums}
}

// tries is how often a reader looks again at what somebody is just changing.
const tries = 8

// look reads a member of a directory. What a person has put there becomes a
// node, unless the locks for that are taken just now.
func (sp *space) look(v view, name string) (entry, error) {
	v.name = name
	for i := 0; ; i++ {
		e, err := sp.entry(v.spot)
		if err == nil && e.info.Kind == disk.Irregular {
			err = fs.ErrNotExist
		}
		if err != nil || e.settled() {
			return e, err
		}
		if i >= tries || !e.ok && sp.store.meta == (inXattr{}) {
			return sp.adopt(v, e)
		}
		yieldCPU()
	}
}

// fileNode makes the node of a file.
func (v view) fileNode(e *entry) *cloud.Node {
	path := e.path
	if path == "" {
		path = cloud.Join(v.ref, e.at.name)
	}
	n := &cloud.Node{ID: nodeID(e.attr.id), Space: v.sp.id, Parent: v.d.node, Name: e.at.name, Path: path,
		Size: e.info.Size, MTime: e.info.MTime, Sums: e.attr.sums, State: e.attr.state, Traits: e.attr.traits}
	n.ETag = storage.FileETag(n.ID, n.Size, n.MTime, n.Sums)
	return n
}

// node makes the node of an entry, without what is rare.
func (v view) node(e *entry) (n *cloud.Node, err error) {
	sp := v.sp
	title := ""
	if v.d == sp.bin {
		var bin *cloud.Bin
		if bin, title, err = sp.binInfo(e.attr.id); err != nil {
			return nil, err
		}
		defer func() {
			if n != nil {
				n.Name, n.Path, n.Bin = title, title, bin
			}
		}()
	}
	if !e.attr.dir {
		return v.fileNode(e), nil
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if d := sp.dirs[e.attr.id]; d != nil && d.parent == v.d {
		return sp.dirNode(d), nil
	}
	// Not in memory, so the disk is right.
	d := &dir{id: e.attr.id, node: nodeID(e.attr.id), parent: v.d, name: e.at.name, title: title,
		size: e.attr.size, last: e.attr.last, mtime: e.attr.mtime, traits: e.attr.traits}
	return sp.dirNode(d), nil
}

// full makes the node of an entry with all that belongs to it.
func (v view) full(e *entry) (*cloud.Node, error) {
	n, err := v.node(e)
	if err != nil || n.Traits == 0 {
		return n, err
	}
	r, err := v.sp.readRare(e.attr.id, n.Traits)
	if err != nil {
		return nil, err
	}
	r.give(n)
	return n, nil
}

// dirNodeFull is the node of a directory in memory; fs.ErrNotExist when a
// person has removed it.
func (sp *space) dirNodeFull(d *dir) (*cloud.Node, error) {
	sp.moving.RLock()
	at, err := sp.at(d, "")
	sp.moving.RUnlock()
	switch {
	case err == nil:
		at.dir.Close()
	case d != sp.bin || !errors.Is(err, fs.ErrNotExist): // the bin is made when first used
		return nil, err
	}
	return sp.describe(d)
}

// describe is the node of a directory in memory, with all that belongs to it.
func (sp *space) describe(d *dir) (*cloud.Node, error) {
	sp.mu.Lock()
	n, r, inBin := sp.dirNode(d), d.rare, d.title != ""
	sp.mu.Unlock()
	var err error
	if r == nil && n.Traits != 0 {
		if r, err = sp.readRare(d.id, n.Traits); err != nil {
			return nil, err
		}
		sp.mu.Lock()
		if d.rare == nil && d.traits == n.Traits {
			d.rare = r
		}
		sp.mu.Unlock()
	}
	if r != nil {
		r.give(n)
	}
	if inBin {
		n.Bin, _, err = sp.binInfo(d.id)
	}
	return n, err
}

// find reads a node by id: the directory that it is in, and itself.
func (sp *space) find(id cloud.UUID) (view, entry, error) {
	for i := 0; ; i++ {
		v, name, err := sp.findDir(id)
		if err != nil {
			return v, entry{}, err
		}
		e, err := sp.look(v, name)
		if err == nil && e.attr.id != id {
			err = fs.ErrNotExist
		}
		if err == nil {
			return v, e, nil
		}
		v.dir.Close()
		// It may have been moved between the two looks.
		if !errors.Is(err, fs.ErrNotExist) || i >= tries {
			return v, e, err
		}
		if i > 1 {
			yieldCPU()
		}
	}
}

// findDir opens the directory that a node is in, and says its name there.
func (sp *space) findDir(id cloud.UUID) (view, string, error) {
	sp.moving.RLock()
	defer sp.moving.RUnlock()
	parent, name, err := sp.readLink(id)
	if err != nil {
		return view{}, "", err
	}
	p, err := sp.fetch(parent, 0)
	if err != nil {
		return view{}, "", err
	}
	if p == sp.bin {
		name = string(nodeID(id))
	}
	v, err := sp.view(p)
	return v, name, err
}

// resolve reads a node by id, with all that belongs to it.
func (sp *space) resolve(id cloud.NodeID) (*cloud.Node, error) {
	if file, key, ok := cloud.SplitVersion(id); ok {
		return sp.versionNode(file, key)
	}
	u, err := uuid(id)
	if err != nil {
		return nil, err
	}
	if d := sp.known(u); d != nil {
		return sp.dirNodeFull(d)
	}
	v, e, err := sp.find(u)
	if err != nil {
		return nil, err
	}
	defer v.dir.Close()
	if e.attr.dir {
		if d, err := sp.dir(u); err == nil {
			return sp.describe(d)
		}
	}
	return v.full(&e)
}

func (s *Store) Node(_ context.Context, space cloud.SpaceID, id cloud.NodeID) (*cloud.Node, error) {
	sp, err := s.space(space)
	var n *cloud.Node
	if err == nil {
		n, err = sp.resolve(id)
	}
	return n, cloud.E("posix.Node", cloud.Ref{Space: space, Node: id}, err)
}

func (s *Store) Lookup(_ context.Context, space cloud.SpaceID, from cloud.NodeID, path string) (*cloud.Node, error) {
	sp, err := s.space(space)
	var n *cloud.Node
	if err == nil {
		n, err = sp.lookup(from, path)
	}
	return n, cloud.E("posix.Lookup", cloud.Ref{Space: space, Node: from, Path: path}, err)
}

func (sp *space) lookup(from cloud.NodeID, path string) (*cloud.Node, error) {
	if from == "" {
		from = sp.root.node
	}
	if path == "" {
		return sp.resolve(from)
	}
	u, err := uuid(from)
	if err != nil {
		return nil, err
	}
	v, name, err := sp.walk(u, path)
	if err != nil {
		return nil, err
	}
	defer v.dir.Close()
	e, err := sp.look(v, name)
	if err != nil {
		return nil, err
	}
	if e.attr.dir {
		if d, err := sp.dir(e.attr.id); err == nil {
			return sp.describe(d)
		}
	}
	return v.full(&e)
}

// walk opens the directory that the last name of a path is in.
func (sp *space) walk(from cloud.UUID, path string) (view, string, error) {
	d, err := sp.dir(from)
	if err != nil {
		return view{}, "", err
	}
	up, name := cloud.Split(path)
	if !sp.allowed(from, path) {
		return view{}, "", fs.ErrNotExist
	}
	if up == "" {
		v, err := sp.enter(from)
		return v, name, err
	}
	// What memory has of the way costs nothing.
	sp.mu.Lock()
	for up != "" {
		next, rest, _ := strings.Cut(up, "/")
		c := d.children[next]
		if c == nil || d == sp.bin {
			break
		}
		c.used = true
		d, up = c, rest
	}
	sp.mu.Unlock()
	for up != "" {
		next, rest, _ := strings.Cut(up, "/")
		if d, err = sp.step(d, next); err != nil {
			return view{}, "", err
		}
		up = rest
	}
	v, err := sp.enter(d.id)
	return v, name, err
}

// step goes from a directory to one in it that is not in memory.
func (sp *space) step(d *dir, name string) (*dir, error) {
	v, err := sp.enter(d.id)
	if err != nil {
		return nil, err
	}
	defer v.dir.Close()
	if v.d == sp.bin {
		return nil, fs.ErrNotExist // entries of the bin have ids, not names
	}
	e, err := sp.look(v, name)
	if err != nil {
		return nil, err
	}
	if !e.attr.dir {
		return nil, fs.ErrNotExist
	}
	return sp.dir(e.attr.id)
}

// allowed tells whether all names in a path can be names of nodes.
func (sp *space) allowed(from cloud.UUID, path string) bool {
	first, _, _ := strings.Cut(path, "/")
	if !sp.member(from, first) {
		return false
	}
	for name := range strings.SplitSeq(path, "/") {
		if cloud.CheckName(name) != nil {
			return false
		}
	}
	return true
}

// member tells whether a name in a directory can be that of a node.
func (sp *space) member(d cloud.UUID, name string) bool {
	return d != binID && cloud.CheckName(name) == nil && !(d == sp.root.id && cloud.Reserved(name))
}

func (s *Store) Ancestors(_ context.Context, space cloud.SpaceID, id cloud.NodeID) ([]cloud.NodeID, error) {
	sp, err := s.space(space)
	var chain []cloud.NodeID
	if err == nil {
		chain, err = sp.ancestors(id)
	}
	return chain, cloud.E("posix.Ancestors", cloud.Ref{Space: space, Node: id}, err)
}

func (sp *space) ancestors(id cloud.NodeID) ([]cloud.NodeID, error) {
	chain := []cloud.NodeID{id}
	if file, key, ok := cloud.SplitVersion(id); ok {
		if _, err := sp.versionNode(file, key); err != nil {
			return nil, err
		}
		chain = append(chain, cloud.VersionsOf(file), file)
		id = file
	}
	u, err := uuid(id)
	if err != nil {
		return nil, err
	}
	d := sp.known(u)
	if d == nil {
		v, _, err := sp.find(u)
		if err != nil {
			return nil, err
		}
		v.dir.Close()
		d = v.d
		chain = append(chain, d.node)
	}
	sp.mu.Lock()
	for d.parent != nil {
		d = d.parent
		chain = append(chain, d.node)
	}
	sp.mu.Unlock()
	if d != sp.root && d != sp.bin {
		return nil, fs.ErrNotExist // dropped meanwhile
	}
	slices.Reverse(chain)
	return chain, nil
}

func (s *Store) Open(_ context.Context, space cloud.SpaceID, id cloud.NodeID) (io.ReadSeekCloser, *cloud.Node, error) {
	sp, err := s.space(space)
	var f *os.File
	var n *cloud.Node
	if err == nil {
		f, n, err = sp.open(id)
	}
	if err != nil {
		return nil, nil, cloud.E("posix.Open", cloud.Ref{Space: space, Node: id}, err)
	}
	return f, n, nil
}

func (sp *space) open(id cloud.NodeID) (*os.File, *cloud.Node, error) {
	if file, key, ok := cloud.SplitVersion(id); ok {
		return sp.openVersion(file, key)
	}
	u, err := uuid(id)
	if err != nil {
		return nil, nil, err
	}
	if sp.known(u) != nil {
		return nil, nil, errFolder
	}
	for i := 0; ; i++ {
		v, e, err := sp.find(u)
		if err != nil {
			return nil, nil, err
		}
		f, n, err := sp.openEntry(v, &e)
		v.dir.Close()
		// Another content may have taken the place between the two looks.
		if i >= tries || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errChanged) {
			return f, n, err
		}
	}
}

var (
	errFolder  = cloud.Refuse(cloud.Invalid, "A folder has no content.")
	errChanged = errors.New("changed while it was opened")
)

func (sp *space) openEntry(v view, e *entry) (*os.File, *cloud.Node, error) {
	if e.attr.dir {
		return nil, nil, errFolder
	}
	f, err := v.dir.Open(e.at.name, false)
	if err != nil {
		return nil, nil, err
	}
	i, err := sp.store.disk.StatFile(f)
	if err == nil && i != e.info {
		err = errChanged
	}
	var n *cloud.Node
	if err == nil {
		n, err = v.full(e)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, n, nil
}

func yieldCPU() { time.Sleep(20 * time.Microsecond) }
