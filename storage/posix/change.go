package posix

import (
	"cmp"
	"context"
	"errors"
	"io/fs"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"
)

var (
	errIntoItself = cloud.Refuse(cloud.Conflict, "A folder cannot be moved into itself.")
	errNoMove     = cloud.Refuse(cloud.Invalid, "This cannot be moved.")
	errRoot       = cloud.Refuse(cloud.Invalid, "The root of a space goes with the space.")
)

func (s *Store) MakeDir(ctx context.Context, space cloud.SpaceID, dir cloud.NodeID, name string) (*cloud.Node, error) {
	sp, err := s.space(space)
	var n *cloud.Node
	if err == nil {
		err = s.room(0)
	}
	if err == nil {
		n, err = sp.makeDir(ctx, dir, name)
	}
	return n, cloud.E("posix.MakeDir", cloud.Ref{Space: space, Node: dir, Path: name}, err)
}

func (sp *space) makeDir(ctx context.Context, in cloud.NodeID, name string) (*cloud.Node, error) {
	unlock, err := sp.share()
	if err != nil {
		return nil, err
	}
	defer unlock()
	dirID, err := uuid(in)
	if err != nil {
		return nil, cloud.Conflict
	}
	defer sp.lockName(dirID, name)()
	v, err := sp.parent(in, name)
	if err != nil {
		return nil, err
	}
	defer v.dir.Close()
	_, exists, err := sp.standing(v, name)
	if err == nil && exists {
		err = cloud.Exist
	}
	if err != nil {
		return nil, err
	}
	a := attr{dir: true, id: cloud.NewUUID(), place: placeOf(dirID, name), mtime: now()}
	tmp, err := sp.inner("tmp", true)
	if err != nil {
		return nil, err
	}
	defer tmp.Close()
	t := tmpName()
	if err := sp.tmpDir(tmp, t, a); err != nil {
		return nil, err
	}
	n := &cloud.Node{ID: nodeID(a.id), Parent: v.d.node, Name: name, Dir: true, MTime: a.mtime}
	r := sp.record(ctx, cloud.DirMade, n)
	r.At = a.mtime
	at := v.spot
	at.name = name
	var d *dir
	err = sp.store.commit(&change{sp: sp, record: r,
		apply: func(cloud.Cursor) error {
			if err := sp.setLink(a.id, dirID, name); err != nil {
				return err
			}
			sp.store.at("makedir: linked")
			err := sp.store.meta.arrive(at, a)
			if err == nil {
				err = tmp.Rename(t, at.dir, name, false)
			}
			if err != nil {
				return errors.Join(err, sp.store.meta.gone(at), sp.removeLink(a.id))
			}
			return nil
		},
		done: func(c cloud.Cursor) {
			sp.mu.Lock()
			defer sp.mu.Unlock()
			if d = sp.dirs[a.id]; d == nil {
				d = &dir{id: a.id, node: n.ID, parent: v.d, name: name, mtime: a.mtime, used: true}
				sp.attach(d)
			}
			sp.bump(d, c, r.At, 0)
		}})
	if err != nil {
		return nil, errors.Join(err, ignoreMissing(tmp.RemoveDir(t)))
	}
	return sp.dirNodeFull(d)
}

// tmpDir makes a directory that has no place yet.
func (sp *space) tmpDir(tmp disk.Dir, name string, a attr) error {
	if err := tmp.Mkdir(name, 0o770); err != nil {
		return err
	}
	err := sp.store.meta.beginDir(tmp, name, a)
	if err != nil {
		err = errors.Join(err, tmp.RemoveDir(name))
	}
	return err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// hold finds a node and keeps all others from changing what stands at its
// place. The caller holds tree.
func (sp *space) hold(id cloud.UUID) (v view, e entry, unlock func(), err error) {
	for {
		v, name, err := sp.findDir(id)
		if err != nil {
			return v, e, nil, err
		}
		unlock := sp.lockName(v.d.id, name)
		again, name2, err := sp.findDir(id)
		if err == nil {
			again.dir.Close()
			if again.d != v.d || name != name2 { // moved meanwhile
				v.dir.Close()
				unlock()
				continue
			}
			e, err = sp.held(v, name, id)
		}
		if err != nil {
			v.dir.Close()
			unlock()
			return v, e, nil, err
		}
		return v, e, unlock, nil
	}
}

// held reads a node for a caller that has its name locked.
func (sp *space) held(v view, name string, id cloud.UUID) (entry, error) {
	e, exists, err := sp.standing(v, name)
	if err == nil && (!exists || e.info.Kind == disk.Irregular || e.attr.id != id) {
		err = fs.ErrNotExist
	}
	return e, err
}

func (s *Store) Move(ctx context.Context, space cloud.SpaceID, id, dir cloud.NodeID, name string) (*cloud.Node, error) {
	sp, err := s.space(space)
	var n *cloud.Node
	if err == nil {
		n, err = sp.move(ctx, id, dir, name)
	}
	return n, cloud.E("posix.Move", cloud.Ref{Space: space, Node: id}, err)
}

func (sp *space) move(ctx context.Context, id, dir cloud.NodeID, name string) (*cloud.Node, error) {
	if file, key, ok := cloud.SplitVersion(id); ok {
		_, err := sp.versionNode(file, key)
		return nil, cmp.Or(err, errNoMove)
	}
	if id == cloud.TrashID || id == sp.root.node {
		return nil, errNoMove
	}
	u, err := uuid(id)
	if err != nil {
		return nil, err
	}
	to, err := uuid(dir)
	if err != nil {
		return nil, cloud.Conflict
	}
	if to == binID {
		name = u.String()
	}
	v, e, err := sp.find(u)
	if err != nil {
		return nil, err
	}
	v.dir.Close()
	if e.attr.dir {
		unlock, err := sp.seize()
		if err != nil {
			return nil, err
		}
		defer unlock()
		return sp.moveHeld(ctx, u, to, name)
	}
	unlock, err := sp.share()
	if err != nil {
		return nil, err
	}
	defer unlock()
	for {
		v, old, err := sp.findDir(u)
		if err != nil {
			return nil, err
		}
		v.dir.Close()
		release := sp.lockNames(v.d.id, old, to, name)
		again, old2, err := sp.findDir(u)
		if err == nil {
			again.dir.Close()
			if again.d != v.d || old2 != old {
				release()
				continue
			}
		}
		defer release()
		if err != nil {
			return nil, err
		}
		return sp.moveHeld(ctx, u, to, name)
	}
}

// moveHeld moves a node, of which the caller has the place and the target
// locked, or tree alone.
func (sp *space) moveHeld(ctx context.Context, id, to cloud.UUID, name string) (*cloud.Node, error) {
	s := sp.store
	v, old, err := sp.findDir(id)
	if err != nil {
		return nil, err
	}
	defer v.dir.Close()
	e, err := sp.held(v, old, id)
	if err != nil {
		return nil, err
	}
	before, err := v.node(&e)
	if err != nil {
		return nil, err
	}
	sp.mu.Lock()
	wasBin := v.d.below(sp.bin)
	sp.mu.Unlock()
	var self *dir
	if e.attr.dir {
		if self, err = sp.dir(id); err != nil {
			return nil, err
		}
	}

	var target view
	kind, title := cloud.Moved, ""
	if to == binID {
		if wasBin {
			return nil, errNoMove
		}
		kind, title = cloud.Trashed, before.Name
		if d, err := sp.binFolder("files"); err != nil {
			return nil, err
		} else {
			target = view{spot{sp, d, binID, name}, sp.bin, ""}
		}
	} else {
		if target, err = sp.parent(nodeID(to), name); err != nil {
			return nil, err
		}
		target.name = name
		if wasBin {
			kind = cloud.Restored
		}
	}
	defer target.dir.Close()
	if self != nil {
		sp.mu.Lock()
		loop := target.d.below(self)
		sp.mu.Unlock()
		if loop {
			return nil, errIntoItself
		}
	}
	if _, exists, err := sp.standing(target, name); err != nil {
		return nil, err
	} else if exists {
		return nil, cloud.Exist
	}

	after := *before
	after.Parent, after.Name = target.d.node, name
	if title != "" {
		after.Name = title
	}
	c := &change{sp: sp, record: sp.record(ctx, kind, &after)}
	c.record.OldParent = v.d.node
	if before.Name != after.Name {
		c.record.OldName = before.Name
	}
	if kind == cloud.Trashed {
		c.record.OldPath = before.Path
		c.redo.Bin = &cloud.Bin{Path: before.Path, Deleted: c.record.At, By: c.record.By}
	}
	moved := e
	moved.at = target.spot
	moved.attr.place = placeOf(to, name)
	c.apply = func(cloud.Cursor) error {
		if c.redo.Bin != nil {
			if err := sp.writeBinInfo(id, c.redo.Bin); err != nil {
				return err
			}
			s.at("move: info")
		}
		label := name
		if title != "" {
			label = title
		}
		err := sp.relocate(&e, &moved, label, func() {
			if self != nil {
				sp.mu.Lock()
				defer sp.mu.Unlock()
				sp.rehang(self, target.d, name, title)
			}
		})
		if err != nil && c.redo.Bin != nil {
			err = errors.Join(err, sp.removeBinInfo(id))
		}
		if err == nil && wasBin {
			s.at("move: out of the bin")
			if err := sp.removeBinInfo(id); err != nil {
				s.log.Warn("cannot remove the info of what left the bin", "space", sp.id, "node", nodeID(id), "err", err)
			}
		}
		return err
	}
	c.done = func(last cloud.Cursor) {
		sp.mu.Lock()
		defer sp.mu.Unlock()
		size := e.info.Size
		if self != nil {
			size = self.size
		}
		sp.bump(v.d, last, c.record.At, -size)
		sp.bump(target.d, last, c.record.At, size)
	}
	if err := s.commit(c); err != nil {
		return nil, err
	}
	if self != nil {
		return sp.dirNodeFull(self)
	}
	// Its directory is still open, but may have another path by now.
	sp.mu.Lock()
	target.ref = target.d.ref()
	sp.mu.Unlock()
	return target.full(&moved)
}

// relocate moves a file or directory with all that says where it is. then is
// called while nobody can look.
func (sp *space) relocate(from, to *entry, label string, then func()) error {
	s, id := sp.store, from.attr.id
	l, err := sp.prepareLink(id, to.at.parent, label)
	if err != nil {
		return err
	}
	sp.moving.Lock()
	defer sp.moving.Unlock()
	if err := from.at.dir.Rename(from.at.name, to.at.dir, to.at.name, false); err != nil {
		return errors.Join(err, l.cancel())
	}
	s.at("move: renamed")
	err = s.meta.moved(from.at, to.at)
	if err == nil {
		err = s.meta.set(to.at, to.attr)
	}
	if err == nil {
		s.at("move: attribute")
		err = l.commit()
	} else {
		err = errors.Join(err, l.cancel())
	}
	if err != nil {
		return errors.Join(err,
			to.at.dir.Rename(to.at.name, from.at.dir, from.at.name, false),
			s.meta.moved(to.at, from.at), s.meta.set(from.at, from.attr))
	}
	then()
	return nil
}

func (s *Store) Drop(ctx context.Context, space cloud.SpaceID, id cloud.NodeID) error {
	sp, err := s.space(space)
	if err == nil {
		err = sp.drop(ctx, id)
	}
	return cloud.E("posix.Drop", cloud.Ref{Space: space, Node: id}, err)
}

func (sp *space) drop(ctx context.Context, id cloud.NodeID) error {
	if file, key, ok := cloud.SplitVersion(id); ok {
		return sp.dropVersion(ctx, file, key)
	}
	if id == cloud.TrashID || id == sp.root.node {
		return errRoot
	}
	u, err := uuid(id)
	if err != nil {
		return err
	}
	v, e, err := sp.find(u)
	if err != nil {
		return err
	}
	v.dir.Close()
	if e.attr.dir {
		return sp.dropDir(ctx, u)
	}
	unlock, err := sp.share()
	if err != nil {
		return err
	}
	defer unlock()
	v, e, release, err := sp.hold(u)
	if err != nil {
		return err
	}
	defer release()
	defer v.dir.Close()
	n, err := v.node(&e)
	if err != nil {
		return err
	}
	r := sp.record(ctx, cloud.Dropped, n)
	return sp.store.commit(&change{sp: sp, record: r,
		apply: func(cloud.Cursor) error {
			if err := v.dir.Remove(e.at.name); err != nil {
				return err
			}
			sp.store.at("drop: removed")
			err := errors.Join(sp.store.meta.gone(e.at), sp.forgetNode(u, e.attr.traits))
			if err == nil && v.d == sp.bin {
				err = sp.removeBinInfo(u)
			}
			if err != nil { // it is gone; what is left over is for Check
				sp.store.log.Warn("something is left over of a file that was dropped", "space", sp.id, "node", id, "err", err)
			}
			return nil
		},
		done: func(c cloud.Cursor) {
			sp.mu.Lock()
			defer sp.mu.Unlock()
			sp.bump(v.d, c, r.At, -e.info.Size)
		}})
}

// forgetNode removes what is kept of a file beside it.
func (sp *space) forgetNode(id cloud.UUID, t cloud.Traits) error {
	return errors.Join(sp.dropVersions(id), sp.dropRare(id, t), sp.removeLink(id))
}

// dropDir takes a directory out of the tree in one step; what is in it goes
// in the background.
func (sp *space) dropDir(ctx context.Context, id cloud.UUID) error {
	unlock, err := sp.seize()
	if err != nil {
		return err
	}
	defer unlock()
	v, e, release, err := sp.hold(id)
	if err != nil {
		return err
	}
	defer release()
	defer v.dir.Close()
	self, err := sp.dir(id)
	if err != nil {
		return err
	}
	n, err := v.node(&e)
	if err != nil {
		return err
	}
	r := sp.record(ctx, cloud.Dropped, n)
	err = sp.store.commit(&change{sp: sp, record: r,
		apply: func(cloud.Cursor) error {
			sp.moving.Lock()
			defer sp.moving.Unlock()
			if err := sp.throwAway(e.at, id); err != nil {
				return err
			}
			sp.store.at("drop: away")
			err = errors.Join(sp.removeLink(id), sp.dropRare(id, allTraits))
			if err == nil && v.d == sp.bin {
				err = sp.removeBinInfo(id)
			}
			if err != nil {
				sp.store.log.Warn("something is left over of a folder that was dropped", "space", sp.id, "node", nodeID(id), "err", err)
			}
			sp.mu.Lock()
			sp.forget(self)
			sp.mu.Unlock()
			return nil
		},
		done: func(c cloud.Cursor) {
			sp.mu.Lock()
			defer sp.mu.Unlock()
			sp.bump(v.d, c, r.At, -self.size)
		}})
	if err != nil {
		return err
	}
	sp.store.sweepSoon(sp)
	return nil
}

const allTraits = cloud.HasGrants | cloud.HasLocks | cloud.HasAttrs
