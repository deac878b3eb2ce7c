package posix

import (
	"errors"
	"io/fs"
	"time"

	"opencloud/cloud"
	"opencloud/storage"
)

// Ids of what has no node of its own but stands above some.
var (
	binID  = cloud.UUID{}       // of the bin of every space
	atopID = cloud.UUID{15: 1}  // above the root and the bin
	hereID = cloud.UUID{15: 2}  // of .oc/recover
	noID   = cloud.UUID{15: 15} // of nothing
)

// A dir is a directory in memory. The memory is the truth for size, last and
// mtime: the disk follows at the next checkpoint. Fields change under
// space.mu, parent and name under space.moving as well.
type dir struct {
	id       cloud.UUID
	node     cloud.NodeID
	parent   *dir // nil: the root and the bin
	name     string
	title    string // of an entry of the bin: its name before
	children map[string]*dir
	size     int64
	last     cloud.Cursor
	mtime    time.Time
	traits   cloud.Traits
	rare     *rare // nil: not read
	dirty    bool  // the disk has other values
	used     bool  // since the last eviction
}

// below tells whether d is up or lies below it.
func (d *dir) below(up *dir) bool {
	for ; d != nil; d = d.parent {
		if d == up {
			return true
		}
	}
	return false
}

// path is where the directory is on the disk, from the root of the storage.
func (d *dir) path(sp *space) string {
	return string(d.appendPath(make([]byte, 0, 128), sp))
}

func (d *dir) appendPath(b []byte, sp *space) []byte {
	switch {
	case d == sp.root:
		return append(b, sp.path...)
	case d == sp.bin:
		return append(append(b, sp.path...), "/.Trash/files"...)
	case d.parent == nil:
		return append(b, "\x00"...) // cut off: leads nowhere
	}
	return append(append(d.parent.appendPath(b, sp), '/'), d.name...)
}

// ref is the path as clients see it.
func (d *dir) ref() string {
	if d.parent == nil {
		return ""
	}
	name := d.name
	if d.title != "" {
		name = d.title
	}
	return cloud.Join(d.parent.ref(), name)
}

// bump tells a directory and all above it of a change. The caller holds mu.
func (sp *space) bump(d *dir, c cloud.Cursor, at time.Time, size int64) {
	for ; d != nil; d = d.parent {
		d.size += size
		d.last = max(d.last, c)
		if at.After(d.mtime) {
			d.mtime = at
		}
		sp.soil(d)
	}
}

// soil notes that the disk has to hear of a directory.
func (sp *space) soil(d *dir) {
	if !d.dirty {
		d.dirty = true
		sp.dirty = append(sp.dirty, d)
	}
}

// dirNode makes the node of a directory in memory. The caller holds mu.
func (sp *space) dirNode(d *dir) *cloud.Node {
	n := &cloud.Node{ID: d.node, Space: sp.id, Dir: true, Size: d.size, MTime: d.mtime,
		ETag: storage.DirETag(d.node, d.last), Traits: d.traits}
	if d.parent != nil {
		n.Parent, n.Name, n.Path = d.parent.node, d.name, d.ref()
		if d.title != "" {
			n.Name = d.title
		}
	}
	return n
}

// insert puts a directory into memory, or returns the one that is there. The
// caller holds moving.
func (sp *space) insert(p *dir, name, title string, a attr) *dir {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if d := sp.dirs[a.id]; d != nil {
		return d
	}
	d := &dir{id: a.id, node: nodeID(a.id), parent: p, name: name, title: title,
		size: a.size, last: a.last, mtime: a.mtime, traits: a.traits, used: true}
	sp.attach(d)
	return d
}

// attach hangs a directory below its parent. The caller holds mu.
func (sp *space) attach(d *dir) {
	if old := d.parent.children[d.name]; old != nil && old != d {
		sp.forget(old) // a person has put another directory there
	}
	if d.parent.children == nil {
		d.parent.children = map[string]*dir{}
	}
	d.parent.children[d.name] = d
	sp.dirs[d.id] = d
	if sp.store.inMemory.Add(1) > sp.store.bound {
		sp.store.evictSoon()
	}
}

// forget takes a directory and all below it out of memory. The caller holds mu.
func (sp *space) forget(d *dir) {
	for _, c := range d.children {
		sp.forget(c)
	}
	if d.parent != nil && d.parent.children[d.name] == d {
		delete(d.parent.children, d.name)
	}
	if sp.dirs[d.id] == d {
		delete(sp.dirs, d.id)
		if d.parent != nil {
			sp.store.inMemory.Add(-1)
		}
	}
	d.parent, d.children, d.dirty = nil, nil, false
}

// known finds a directory in memory.
func (sp *space) known(id cloud.UUID) *dir {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	d := sp.dirs[id]
	if d != nil {
		d.used = true
	}
	return d
}

// dir finds a directory by id. It takes moving.
func (sp *space) dir(id cloud.UUID) (*dir, error) {
	if d := sp.known(id); d != nil {
		return d, nil
	}
	sp.moving.RLock()
	defer sp.moving.RUnlock()
	return sp.fetch(id, 0)
}

// deepest bounds how far a chain of id links is followed.
const deepest = 4096

// fetch reads a directory and those above it into memory. The caller holds moving.
func (sp *space) fetch(id cloud.UUID, depth int) (*dir, error) {
	if d := sp.known(id); d != nil {
		return d, nil
	}
	if depth > deepest {
		return nil, fs.ErrNotExist
	}
	parent, name, err := sp.readLink(id)
	if err != nil {
		return nil, err
	}
	p, err := sp.fetch(parent, depth+1)
	if err != nil {
		return nil, err
	}
	title := ""
	if p == sp.bin {
		title, name = name, string(nodeID(id))
	}
	at, err := sp.at(p, name)
	if err != nil {
		return nil, err
	}
	defer at.dir.Close()
	a, ok, err := sp.store.meta.get(at)
	if err != nil {
		return nil, err
	}
	if !ok || !a.dir || a.id != id {
		return nil, fs.ErrNotExist
	}
	return sp.insert(p, name, title, a), nil
}

// at opens a directory, so that what is in it can be worked on. The caller
// holds moving.
func (sp *space) at(d *dir, name string) (spot, error) {
	sp.mu.Lock()
	path := d.path(sp)
	sp.mu.Unlock()
	fd, err := sp.store.disk.Dir(path)
	return spot{sp, fd, d.id, name}, err
}

// A view is a directory that somebody looks into.
type view struct {
	spot
	d   *dir
	ref string // its path as clients see it
}

// enter opens a directory by id.
func (sp *space) enter(id cloud.UUID) (view, error) {
	sp.moving.RLock()
	defer sp.moving.RUnlock()
	d, err := sp.fetch(id, 0)
	if err != nil {
		return view{}, err
	}
	return sp.view(d)
}

// view opens a directory. The caller holds moving.
func (sp *space) view(d *dir) (view, error) {
	at, err := sp.at(d, "")
	if err != nil {
		return view{}, err
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return view{at, d, d.ref()}, nil
}

// self is the spot of a directory itself. The caller holds moving.
func (sp *space) self(d *dir) (spot, error) {
	var path string
	switch d {
	case sp.root:
		path, name := cloud.Split(sp.path)
		fd, err := sp.store.disk.Dir(path)
		return spot{sp, fd, atopID, name}, err
	case sp.bin:
		path = sp.path + "/.Trash"
		fd, err := sp.store.disk.Dir(path)
		return spot{sp, fd, atopID, "files"}, err
	}
	sp.mu.Lock()
	p := d.parent
	sp.mu.Unlock()
	if p == nil {
		return spot{}, fs.ErrNotExist
	}
	return sp.at(p, d.name)
}

// flush writes the attributes of the directories that have changed.
func (sp *space) flush() error {
	sp.mu.Lock()
	dirty := sp.dirty
	sp.dirty = nil
	sp.mu.Unlock()
	var errs []error
	for _, d := range dirty {
		if err := sp.flushDir(d); err != nil {
			errs = append(errs, err)
			sp.mu.Lock()
			sp.dirty = append(sp.dirty, d)
			sp.mu.Unlock()
		}
	}
	return errors.Join(errs...)
}

func (sp *space) flushDir(d *dir) error {
	sp.moving.RLock()
	defer sp.moving.RUnlock()
	sp.mu.Lock()
	a := attr{dir: true, id: d.id, traits: d.traits, size: d.size, last: d.last, mtime: d.mtime}
	dirty := d.dirty
	sp.mu.Unlock()
	if !dirty {
		return nil // dropped
	}
	at, err := sp.self(d)
	if err == nil {
		defer at.dir.Close()
		a.place = placeOf(at.parent, at.name)
		var now attr
		var ok bool
		if now, ok, err = sp.store.meta.get(at); err == nil && ok && now.id != d.id {
			err = fs.ErrNotExist
		}
	}
	if err == nil {
		err = sp.store.meta.set(at, a)
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// A person has taken it away; whoever looks next will see.
		d.dirty = false
		return nil
	case err != nil:
		return err
	}
	if d.last == a.last && d.size == a.size && d.traits == a.traits && d.mtime.Equal(a.mtime) {
		d.dirty = false
	} else {
		sp.dirty = append(sp.dirty, d)
	}
	return nil
}

// evictSoon makes room in memory, in the background.
func (s *Store) evictSoon() {
	if s.evicting.CompareAndSwap(false, true) {
		s.background(func() {
			defer s.evicting.Store(false)
			for _, sp := range s.loaded() {
				if s.inMemory.Load() < s.bound*9/10 {
					return
				}
				sp.evict()
			}
		})
	}
}

// evict takes the directories out of memory that nobody has used since the
// last time. Whoever changes something holds tree, so nobody is left with a
// directory that is not the one in memory.
func (sp *space) evict() {
	sp.tree.Lock()
	defer sp.tree.Unlock()
	sp.moving.Lock()
	defer sp.moving.Unlock()
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.evictBelow(sp.root)
	sp.evictBelow(sp.bin)
}

func (sp *space) evictBelow(d *dir) {
	for _, c := range d.children {
		sp.evictBelow(c)
	}
	if !d.used && !d.dirty && d.parent != nil && len(d.children) == 0 {
		sp.forget(d)
	}
	d.used = false
}

func nodeID(id cloud.UUID) cloud.NodeID {
	if id == binID {
		return cloud.TrashID
	}
	return cloud.NodeID(id.String())
}

// uuid is the id as we keep it; NotExist for what cannot be one of ours.
func uuid(id cloud.NodeID) (cloud.UUID, error) {
	if id == cloud.TrashID {
		return binID, nil
	}
	u, ok := cloud.ParseUUID(string(id))
	if !ok || u[0]|u[1]|u[2]|u[3]|u[4]|u[5]|u[6] == 0 {
		return noID, fs.ErrNotExist
	}
	return u, nil
}
