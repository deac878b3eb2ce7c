package mem

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
	"opencloud/storage"
)

// An entry is a node as the tree holds it. Of the Node, Space, Parent, Path
// and ETag are left to node, which hands out copies.
type entry struct {
	cloud.Node
	up       *entry            // of a version: its file
	members  map[string]*entry // of a directory by name, of the bin by id
	last     cloud.Cursor      // of a directory: the last change at or below it
	body     []byte            // of a file; never altered
	versions []*entry          // of a file: newest first
}

func (e *entry) isVersion() bool { return e.up != nil && !e.up.Dir }

func (e *entry) parent() cloud.NodeID {
	switch {
	case e.up == nil:
		return ""
	case e.isVersion():
		return cloud.VersionsOf(e.up.ID)
	}
	return e.up.ID
}

// path is from the root or the bin; a version's is its key.
func (e *entry) path() string {
	if e.up == nil {
		return ""
	}
	if e.isVersion() {
		return e.Name
	}
	return cloud.Join(e.up.path(), e.Name)
}

func (e *entry) top() *entry {
	for e.up != nil {
		e = e.up
	}
	return e
}

// traits makes Traits say what the entry has.
func (e *entry) traits() {
	e.Traits = 0
	if len(e.Grants) > 0 {
		e.Traits |= cloud.HasGrants
	}
	if len(e.Locks) > 0 {
		e.Traits |= cloud.HasLocks
	}
	if len(e.Attrs) > 0 {
		e.Traits |= cloud.HasAttrs
	}
}

// bytes is all content at and below the entry, versions too.
func (e *entry) bytes() int64 {
	n := int64(len(e.body))
	for _, v := range e.versions {
		n += int64(len(v.body))
	}
	for _, m := range e.members {
		n += m.bytes()
	}
	return n
}

// touch tells a directory and all above it of a change below, of which r is
// the record.
func (e *entry) touch(r cloud.Record, size int64) {
	for ; e != nil; e = e.up {
		e.Size += size
		e.last = r.Seq
		if r.At.After(e.MTime) {
			e.MTime = r.At
		}
	}
}

// listed is the node as a listing has it: Traits, but not what they stand for.
func (sp *tree) listed(e *entry) *cloud.Node {
	n := e.Node
	n.Space, n.Parent, n.Path = sp.says.ID, e.parent(), e.path()
	n.Grants, n.Locks, n.Attrs = nil, nil, nil
	if n.Dir {
		n.ETag = storage.DirETag(n.ID, e.last)
	} else {
		n.ETag = storage.FileETag(n.ID, n.Size, n.MTime, n.Sums)
	}
	if n.Bin != nil {
		bin := *n.Bin
		n.Bin = &bin
	}
	return &n
}

// node is a copy with all that belongs to it.
func (sp *tree) node(e *entry) *cloud.Node {
	n := sp.listed(e)
	n.Grants, n.Locks, n.Attrs = storage.CloneGrants(e.Grants), slices.Clone(e.Locks), maps.Clone(e.Attrs)
	return n
}

func (sp *tree) find(id cloud.NodeID) (*entry, error) {
	if file, key, ok := cloud.SplitVersion(id); ok {
		if f := sp.nodes[file]; f != nil {
			for _, v := range f.versions {
				if v.Name == key {
					return v, nil
				}
			}
		}
		return nil, cloud.NotExist
	}
	if e := sp.nodes[id]; e != nil {
		return e, nil
	}
	return nil, cloud.NotExist
}

// entry finds a node of a space. The caller holds mu or change.
func (s *Store) entry(id cloud.SpaceID, node cloud.NodeID) (*tree, *entry, error) {
	sp, err := s.space(id)
	if err != nil {
		return nil, nil, err
	}
	e, err := sp.find(node)
	return sp, e, err
}

func (s *Store) Node(_ context.Context, space cloud.SpaceID, id cloud.NodeID) (_ *cloud.Node, err error) {
	defer wrap(&err, "Node", space, id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	sp, e, err := s.entry(space, id)
	if err != nil {
		return nil, err
	}
	return sp.node(e), nil
}

func (s *Store) Lookup(_ context.Context, space cloud.SpaceID, from cloud.NodeID, path string) (_ *cloud.Node, err error) {
	defer func() { err = cloud.E("mem.Lookup", cloud.Ref{Space: space, Node: from, Path: path}, err) }()
	s.mu.RLock()
	defer s.mu.RUnlock()
	if from == "" {
		from = space.Root()
	}
	sp, e, err := s.entry(space, from)
	if err != nil {
		return nil, err
	}
	if path == "" {
		return sp.node(e), nil
	}
	for name := range strings.SplitSeq(path, "/") {
		if e = e.members[name]; e == nil {
			return nil, cloud.NotExist
		}
	}
	return sp.node(e), nil
}

func (s *Store) Ancestors(_ context.Context, space cloud.SpaceID, id cloud.NodeID) (_ []cloud.NodeID, err error) {
	defer wrap(&err, "Ancestors", space, id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, e, err := s.entry(space, id)
	if err != nil {
		return nil, err
	}
	var chain []cloud.NodeID
	for ; e != nil; e = e.up {
		chain = append(chain, e.ID)
		if e.isVersion() {
			chain = append(chain, e.parent())
		}
	}
	slices.Reverse(chain)
	return chain, nil
}

func (s *Store) Children(_ context.Context, space cloud.SpaceID, dir cloud.NodeID) iter.Seq2[*cloud.Node, error] {
	return s.list("Children", space, dir, func(sp *tree) ([]*cloud.Node, error) {
		if file, key, ok := cloud.SplitVersion(dir); ok && key == "" {
			f, err := sp.find(file)
			if err != nil {
				return nil, err
			}
			return sp.all(slices.Values(f.versions)), nil
		}
		e, err := sp.find(dir)
		if err != nil {
			return nil, err
		}
		if !e.Dir {
			return nil, cloud.Refuse(cloud.Invalid, "This is not a folder.")
		}
		return sp.all(maps.Values(e.members)), nil
	})
}

func (s *Store) Having(_ context.Context, space cloud.SpaceID, t cloud.Traits) iter.Seq2[*cloud.Node, error] {
	return s.list("Having", space, "", func(sp *tree) (all []*cloud.Node, _ error) {
		for _, e := range sp.nodes {
			if e.Traits&t != 0 {
				all = append(all, sp.node(e))
			}
		}
		return all, nil
	})
}

func (sp *tree) all(entries iter.Seq[*entry]) (all []*cloud.Node) {
	for e := range entries {
		all = append(all, sp.listed(e))
	}
	return all
}

// list yields what collect finds, with no lock held, so that the loop's body
// may use the store.
func (s *Store) list(op string, space cloud.SpaceID, id cloud.NodeID, collect func(*tree) ([]*cloud.Node, error)) iter.Seq2[*cloud.Node, error] {
	return func(yield func(*cloud.Node, error) bool) {
		all, err := func() ([]*cloud.Node, error) {
			s.mu.RLock()
			defer s.mu.RUnlock()
			sp, err := s.space(space)
			if err != nil {
				return nil, err
			}
			return collect(sp)
		}()
		if err != nil {
			yield(nil, cloud.E("mem."+op, cloud.Ref{Space: space, Node: id}, err))
			return
		}
		for _, n := range all {
			if !yield(n, nil) {
				return
			}
		}
	}
}

// place checks that name can be given to a member of dir, a directory of the tree.
func (sp *tree) place(dir cloud.NodeID, name string) (*entry, error) {
	if err := cloud.CheckName(name); err != nil {
		return nil, err
	}
	d := sp.nodes[dir]
	if d == nil || !d.Dir || d.top() == sp.bin {
		return nil, cloud.Conflict
	}
	if d == sp.root && cloud.Reserved(name) {
		return nil, cloud.Refuse(cloud.Invalid, "The name %q is reserved. Choose another one.", name)
	}
	return d, nil
}

func (s *Store) MakeDir(ctx context.Context, space cloud.SpaceID, dir cloud.NodeID, name string) (_ *cloud.Node, err error) {
	defer wrap(&err, "MakeDir", space, dir)
	s.change.Lock()
	defer s.change.Unlock()
	sp, err := s.space(space)
	if err != nil {
		return nil, err
	}
	d, err := sp.place(dir, name)
	if err != nil {
		return nil, err
	}
	if d.members[name] != nil {
		return nil, cloud.Exist
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &entry{
		Node:    cloud.Node{ID: cloud.NodeID(cloud.NewUUID().String()), Name: name, Dir: true, MTime: now()},
		up:      d,
		members: map[string]*entry{},
	}
	sp.nodes[e.ID], d.members[name] = e, e
	r := s.log(ctx, sp.record(cloud.DirMade, e))
	e.last = r.Seq
	d.touch(r, 0)
	return sp.node(e), nil
}

func (s *Store) Move(ctx context.Context, space cloud.SpaceID, id, dir cloud.NodeID, name string) (_ *cloud.Node, err error) {
	defer wrap(&err, "Move", space, id)
	s.change.Lock()
	defer s.change.Unlock()
	sp, e, err := s.entry(space, id)
	if err != nil {
		return nil, err
	}
	old := e.up
	if old == nil || e.isVersion() || dir == cloud.TrashID && e.top() == sp.bin {
		return nil, cloud.Refuse(cloud.Invalid, "This cannot be moved.")
	}
	oldName, oldPath := e.Name, e.path()
	d, key, kind := sp.bin, string(id), cloud.Trashed
	if dir != cloud.TrashID {
		if d, err = sp.place(dir, name); err != nil {
			return nil, err
		}
		for up := d; up != nil; up = up.up {
			if up == e {
				return nil, cloud.Refuse(cloud.Conflict, "A folder cannot be moved into itself.")
			}
		}
		if d.members[name] != nil {
			return nil, cloud.Exist
		}
		key, kind = name, cloud.Moved
		if e.top() == sp.bin {
			kind = cloud.Restored
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old == sp.bin {
		delete(old.members, string(id))
	} else {
		delete(old.members, oldName)
	}
	d.members[key], e.up, e.Bin = e, d, nil
	if kind != cloud.Trashed {
		e.Name = name
	}
	r := sp.record(kind, e)
	r.OldParent = old.ID
	if oldName != e.Name {
		r.OldName = oldName
	}
	if kind == cloud.Trashed {
		r.OldPath = oldPath
	}
	r = s.log(ctx, r)
	if kind == cloud.Trashed {
		e.Bin = &cloud.Bin{Path: oldPath, Deleted: r.At, By: r.By}
	}
	old.touch(r, -e.Size)
	d.touch(r, e.Size)
	return sp.node(e), nil
}

func (s *Store) Drop(ctx context.Context, space cloud.SpaceID, id cloud.NodeID) (err error) {
	defer wrap(&err, "Drop", space, id)
	s.change.Lock()
	defer s.change.Unlock()
	sp, e, err := s.entry(space, id)
	if err != nil {
		return err
	}
	if e.up == nil {
		return cloud.Refuse(cloud.Invalid, "The root of a space goes with the space.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= e.bytes()
	r := s.log(ctx, sp.record(cloud.Dropped, e))
	switch {
	case e.isVersion():
		e.up.versions = slices.DeleteFunc(e.up.versions, func(v *entry) bool { return v == e })
		return nil
	case e.up == sp.bin:
		delete(e.up.members, string(id))
	default:
		delete(e.up.members, e.Name)
	}
	e.up.touch(r, -e.Size)
	sp.forget(e)
	return nil
}

func (sp *tree) forget(e *entry) {
	delete(sp.nodes, e.ID)
	for _, m := range e.members {
		sp.forget(m)
	}
}

// Edit calls fn while nothing else can change the store; fn may read it.
func (s *Store) Edit(ctx context.Context, space cloud.SpaceID, id cloud.NodeID, fn func(*cloud.Node) error) (*cloud.Node, error) {
	s.change.Lock()
	defer s.change.Unlock()
	sp, e, err := s.entry(space, id)
	if err == nil && e == sp.bin {
		err = cloud.NotExist
	}
	if err != nil {
		return nil, cloud.E("mem.Edit", cloud.Ref{Space: space, Node: id}, err)
	}
	n := sp.node(e)
	if err := fn(n); err != nil {
		return nil, err
	}
	n.MTime = n.MTime.UTC().Round(0)
	dated := !n.MTime.Equal(e.MTime)
	changes := []struct {
		is   bool
		kind cloud.Event
	}{
		{dated || n.State != e.State || !maps.Equal(n.Attrs, e.Attrs), cloud.Edited},
		{!storage.SameGrants(n.Grants, e.Grants), cloud.Regranted},
		{!sameLocks(n.Locks, e.Locks), cloud.Relocked},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// fn may have kept n, so the store takes copies.
	e.MTime, e.State = n.MTime, n.State
	given, taken := storage.Regranted(e.Grants, n.Grants)
	e.Grants, e.Locks, e.Attrs = storage.CloneGrants(n.Grants), slices.Clone(n.Locks), maps.Clone(n.Attrs)
	e.traits()
	for _, c := range changes {
		if !c.is {
			continue
		}
		r := sp.record(c.kind, e)
		if c.kind == cloud.Regranted {
			r.Given, r.Taken = given, taken
		}
		r = s.log(ctx, r)
		switch {
		case c.kind == cloud.Relocked, e.isVersion():
		case e.Dir:
			e.touch(r, 0)
		default:
			e.up.touch(r, 0)
		}
	}
	if dated {
		e.MTime = n.MTime // which a touch has made now
	}
	return sp.node(e), nil
}

func sameLocks(a, b []cloud.Lock) bool {
	return slices.EqualFunc(a, b, func(a, b cloud.Lock) bool {
		same := a.Expires.Equal(b.Expires)
		a.Expires, b.Expires = time.Time{}, time.Time{}
		return same && a == b
	})
}
