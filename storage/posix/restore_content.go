package posix

import (
	"crypto/sha1"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"
)

// The content of files and versions, at recovery.

// whole tells whether what stands at a spot is the content of a source.
func (r *recovery) whole(at spot, src source) (bool, error) {
	e, err := r.sp.entry(at)
	if err != nil {
		return false, ignoreMissing(err)
	}
	return r.holds(&e, src)
}

// holds tells whether an entry is the content of a source.
func (r *recovery) holds(e *entry, src source) (bool, error) {
	if e.info.Kind != disk.File || e.info.Size != src.Size {
		return false, nil
	}
	if src.kind != fromJournal {
		// It was on the disk before the journal spoke of it; its time may have
		// been set since.
		return e.info.MTime.Equal(src.MTime) || e.ok && e.attr.print == printOf(e.info) && e.attr.sums.Known && e.attr.sums == src.Sums, nil
	}
	f, err := e.at.dir.Open(e.at.name, false)
	if err != nil {
		return false, ignoreMissing(err)
	}
	defer f.Close()
	buf := smallBufs.Get().(*[small + 1]byte)
	defer smallBufs.Put(buf)
	n, err := io.ReadFull(f, buf[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	return int64(n) == src.Size && sha1.Sum(buf[:n]) == src.Sums.SHA1, nil
}

// produce makes a file of a source that is in the journal or beside the tree,
// with an attribute, and puts it at a spot, over what stands there. It is not
// ok when the source is not there any more.
func (r *recovery) produce(at spot, src source, a attr) (ok bool, err error) {
	var from disk.Dir
	var name string
	switch src.kind {
	case fromJournal:
		body, err := r.s.journal.Body(src.cursor)
		if err != nil {
			return false, err
		}
		if from, err = r.sp.inner("tmp", true); err != nil {
			return false, err
		}
		defer from.Close()
		name = tmpName()
		if err := writeFile(from, name, body, false); err != nil {
			return false, err
		}
	case fromFile:
		var folder string
		folder, name = cloud.Split(src.path)
		if from, err = r.sp.inner(folder, false); err != nil {
			return false, ignoreMissing(err)
		}
		defer from.Close()
	default:
		return false, nil
	}
	f, err := from.Open(name, true)
	if err != nil {
		return false, ignoreMissing(err)
	}
	defer f.Close()
	if err := disk.SetMTime(f, src.MTime); err != nil {
		return false, err
	}
	i, err := r.s.disk.StatFile(f)
	if err != nil {
		return false, err
	}
	a.sums, a.print = src.Sums, printOf(i)
	if err := errors.Join(r.s.meta.begin(f, a), r.s.meta.arrive(at, a)); err != nil {
		return false, err
	}
	r.s.at("recover: produced")
	return true, from.Rename(name, at.dir, at.name, true)
}

// bringFile makes a file have its content; e is what stands in its place, if
// anything does.
func (r *recovery) bringFile(f *fate, e *entry, a attr, taken bool) error {
	src := f.content
	if src.kind == untouched || src.kind == fromPerson {
		if taken {
			return r.finish(f, e, a)
		}
		if src.kind == untouched {
			r.s.log.Error("a file that was changed is gone", "space", r.id, "node", nodeID(f.id), "name", e.at.name)
		}
		return nil
	}
	if taken {
		if ok, err := r.holds(e, src); err != nil {
			return err
		} else if ok {
			return r.finish(f, e, a)
		}
		// Not what we have written last, nor what we have torn, nor what was
		// there before us: a person has been here. Both are kept.
		if e.ok && e.attr.print != printOf(e.info) && !e.info.MTime.Equal(src.MTime) {
			if src.kind == fromFile && e.attr.sums == src.Sums {
				return r.s.meta.set(e.at, a) // the print will tell
			}
			if err := r.lose(e.at, "it was changed from outside while the journal has another content"); err != nil {
				return err
			}
		}
	}
	if ok, err := r.produce(e.at, src, a); err != nil {
		return err
	} else if !ok {
		r.s.log.Error("the content of a file is lost", "space", r.id, "node", nodeID(f.id), "name", e.at.name)
		return nil
	}
	r.found[f.id] = f.at
	now, err := r.sp.entry(e.at)
	if err != nil {
		return err
	}
	return r.finish(f, &now, a)
}

// finish gives a file that has its content its time and its attribute.
func (r *recovery) finish(f *fate, e *entry, a attr) error {
	if e.ok && e.attr.id == f.id {
		a.sums, a.print = e.attr.sums, e.attr.print
	}
	info := e.info
	want := f.content.MTime
	ours := f.content.kind == fromJournal || f.content.kind == fromFile
	if ours || f.dated {
		// Not where a person has written since: that has to show.
		settled := a.print == printOf(info)
		if ours && info.Size == f.content.Size {
			a.sums, settled = f.content.Sums, true
		}
		if settled && !info.MTime.Equal(want) {
			var err error
			if info, err = r.date(e.at, want); err != nil {
				return err
			}
			a.print = printOf(info)
		} else if info.MTime.Equal(want) {
			a.print = printOf(info)
		}
	}
	if !a.sums.Known && f.sums.Known && info.Size == f.size && info.MTime.Equal(f.mtime) {
		a.sums = f.sums
	}
	if e.ok && a == e.attr {
		return nil
	}
	return r.s.meta.set(e.at, a)
}

// restoreRares brings up grants, locks and attributes, and notes who has any.
func (r *recovery) restoreRares() (err error) {
	for _, f := range r.order {
		if f.gone {
			continue
		}
		if err := r.sp.writeRare(f.id, &f.rare); err != nil {
			return err
		}
	}
	r.traits, err = r.sp.holders(allTraits)
	return err
}

func (r *recovery) restoreVersions() error {
	for id, keys := range r.versions {
		if f := r.nodes[id]; f != nil && f.gone {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if err := r.restoreVersion(id, key, keys[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *recovery) restoreVersion(id cloud.UUID, key string, v *versionFate) error {
	if v.gone {
		return ignoreMissing(r.sp.removeVersion(id, key))
	}
	d, err := r.sp.inner(versionsPath(id), true)
	if err != nil {
		return err
	}
	defer d.Close()
	at := spot{r.sp, d, id, key}
	if ok, err := r.whole(at, v.source); err != nil {
		return err
	} else if ok {
		return r.finishVersion(at, v)
	}
	a := attr{id: id}
	if v.state != nil {
		a.state = *v.state
	}
	if v.kind == fromFile {
		// It may stand in its place already, and that is where it belongs if
		// it is the content still.
		if f := r.nodes[id]; f != nil && f.content.kind == fromFile && f.content.path == v.path {
			return r.linkVersion(id, key, at, v)
		}
	}
	if ok, err := r.produce(at, v.source, a); ok || err != nil {
		return err
	}
	return r.linkVersion(id, key, at, v)
}

// linkVersion makes a version of what still stands in the file's place.
func (r *recovery) linkVersion(id cloud.UUID, key string, to spot, v *versionFate) error {
	if p, ok := r.found[id]; ok {
		at, err := r.open(p)
		if err != nil {
			return err
		}
		defer at.dir.Close()
		ok, err := r.whole(at, source{kind: untouched, content: v.content})
		if err != nil {
			return err
		}
		if ok {
			// What stands at the version's name is not it.
			if err := ignoreMissing(to.dir.Remove(key)); err != nil {
				return err
			}
			if _, err := r.sp.keep(view{spot: at}, at.name, id, key); err != nil {
				return err
			}
			return r.finishVersion(to, v)
		}
	}
	if v.kind == fromPerson {
		return nil // nobody has promised anything
	}
	r.s.log.Error("an earlier version of a file is lost", "space", r.id, "node", nodeID(id), "version", key)
	return nil
}

// finishVersion gives a version that has its content its time and its state.
func (r *recovery) finishVersion(at spot, v *versionFate) error {
	e, err := r.sp.entry(at)
	if err != nil || !e.ok {
		return err
	}
	a := e.attr
	if v.state != nil {
		a.state = *v.state
	}
	if !a.sums.Known {
		a.sums = v.Sums
	}
	if !e.info.MTime.Equal(v.MTime) {
		if e.info, err = r.date(at, v.MTime); err != nil {
			return err
		}
	}
	a.print = printOf(e.info)
	if a == e.attr {
		return nil
	}
	return r.s.meta.set(at, a)
}

// date gives a file its time and says what the file system made of it.
func (r *recovery) date(at spot, t time.Time) (i disk.Info, err error) {
	f, err := at.dir.Open(at.name, false)
	if err != nil {
		return i, err
	}
	defer f.Close()
	if err := disk.SetMTime(f, t); err != nil {
		return i, err
	}
	return r.s.disk.StatFile(f)
}
