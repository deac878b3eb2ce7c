package posix

import (
	"errors"
	"fmt"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"

	"golang.org/x/sys/unix"
)

// What is dropped with all that is below it leaves the tree in one step and
// is taken apart here, in the background, after a restart if need be.

// putAway takes a space out of the way.
func (sp *space) putAway(c cloud.Cursor) error {
	folder, name := cloud.Split(sp.path)
	from, err := sp.store.disk.Dir(folder)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := sp.store.disk.Dir(".oc/dropped")
	if err != nil {
		return err
	}
	defer to.Close()
	return from.Rename(name, to, fmt.Sprintf("%s-%d", name, c), false)
}

// throwAway takes a directory out of the tree.
func (sp *space) throwAway(at spot, id cloud.UUID) error {
	away, err := sp.inner("dropped", true)
	if err != nil {
		return err
	}
	defer away.Close()
	if err := at.dir.Rename(at.name, away, id.String(), false); err != nil {
		return err
	}
	return sp.store.meta.gone(at)
}

// sweep removes the spaces that were dropped.
func (s *Store) sweep() error { return s.removeAll(nil, ".oc/dropped") }

// sweep removes the directories of a space that were dropped.
func (sp *space) sweep() error { return sp.store.removeAll(sp, sp.path+"/.oc/dropped") }

// removeAll empties a folder of things that were dropped. When they belong to
// a space, what is kept of them elsewhere goes, too.
func (s *Store) removeAll(sp *space, path string) error {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	d, err := s.disk.ReadDir(path)
	if err != nil {
		return ignoreMissing(err)
	}
	defer d.Close()
	return d.List(func(b []byte, kind disk.Kind) error {
		name := string(b)
		if kind != disk.Folder {
			return d.Remove(name)
		}
		id, ok := cloud.ParseUUID(name)
		if !ok {
			id = noID
		}
		return s.removeTree(sp, d, name, id)
	})
}

// removeTree removes the folder name in up, which has the given id.
func (s *Store) removeTree(sp *space, up disk.Dir, name string, id cloud.UUID) error {
	for i := 0; ; i++ {
		if err := s.removeBelow(sp, up, name, id); err != nil {
			return err
		}
		// Some file systems leave names out of a listing that shrinks.
		if err := up.RemoveDir(name); !errors.Is(err, unix.ENOTEMPTY) || i >= tries {
			return err
		}
	}
}

func (s *Store) removeBelow(sp *space, up disk.Dir, name string, id cloud.UUID) error {
	d, err := up.ReadDir(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.List(func(b []byte, _ disk.Kind) error {
		if err := s.life.Err(); err != nil {
			return err
		}
		at := spot{sp, d, id, string(b)}
		i, err := d.Stat(at.name)
		if err != nil {
			return ignoreMissing(err)
		}
		self := noID
		if sp != nil && i.Kind != disk.Irregular {
			if a, ok, err := s.meta.get(at); err != nil {
				return err
			} else if ok {
				self = a.id
			}
		}
		if i.Kind == disk.Folder {
			err = s.removeTree(sp, d, at.name, self)
		} else {
			err = d.Remove(at.name)
		}
		if err == nil && self != noID {
			err = sp.forgetDropped(at, self)
		}
		return err
	})
}

// forgetDropped removes what is kept of a node beside it, unless that belongs
// to another one by now: a person may have made copies, ids and all.
func (sp *space) forgetDropped(at spot, id cloud.UUID) error {
	if err := sp.store.meta.gone(at); err != nil {
		return err
	}
	parent, _, err := sp.linkOf(id)
	if err != nil || parent != at.parent {
		return ignoreMissing(err)
	}
	return sp.forgetNode(id, allTraits)
}
