package posix

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"
)

// run makes the tree of a space agree with the fates.
func (r *recovery) run(ctx context.Context) error {
	if ok, err := r.openSpace(); err != nil || !ok {
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"find", r.findAll},
		{"metadata", r.restoreRares},
		{"versions", r.restoreVersions},
		{"aside", r.setAside},
		{"place", r.placeAll},
		{"drop", r.dropAll},
		{"uploads", r.restoreUploads},
		{"leftovers", r.clearLeftovers},
		{"count", r.count},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.s.at("recover: " + step.name)
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// openSpace finds the space, makes it if it has to be, and puts an earlier
// one of the same id away. It is not ok when there is nothing more to do.
func (r *recovery) openSpace() (ok bool, err error) {
	s := r.s
	for _, folder := range folders {
		path := folder + "/" + string(r.id.Root())
		sp, err := s.loadSpace(r.id, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		if sp.made < r.dropped {
			if err := sp.putAway(r.dropped); err != nil {
				return false, err
			}
			continue
		}
		r.sp = sp
	}
	switch {
	case r.sp != nil:
	case r.made != nil:
		sp := s.newSpace(r.id, folders[r.made.Kind]+"/"+string(r.id.Root()))
		sp.says, sp.made = r.made.Space, r.made.Seq
		sp.says.ID, sp.says.Root = r.id, nil
		sp.root.last, sp.root.mtime = r.made.Seq, r.made.Made
		var none rare
		if err := sp.layOut(*r.made, &none); err != nil {
			return false, err
		}
		r.sp = sp
	case r.dropped > 0:
		return false, nil
	default:
		s.log.Error("a space is gone, and what the journal has of it cannot be carried out", "space", r.id)
		return false, nil
	}
	if r.says != nil {
		file := *r.says
		file.Seq = r.sp.made
		if err := r.sp.writeSpaceFile(file); err != nil {
			return false, err
		}
		r.sp.says = file.Space
		r.sp.says.ID, r.sp.says.Root = r.id, nil
	}
	s.mu.Lock()
	s.spaces[r.id] = r.sp
	s.mu.Unlock()
	return true, nil
}

// path is where a directory is on the disk; not ok when that is not known.
func (r *recovery) path(id cloud.UUID) (string, bool) {
	var names []string
	for range deepest {
		switch id {
		case r.sp.root.id:
			names = append(names, r.sp.path)
		case binID:
			names = append(names, r.sp.path+"/.Trash/files")
		case hereID:
			names = append(names, r.sp.path+"/.oc/recover")
		default:
			p, ok := r.found[id]
			if !ok {
				return "", false
			}
			names = append(names, p.name)
			id = p.parent
			continue
		}
		slices.Reverse(names)
		return strings.Join(names, "/"), true
	}
	return "", false
}

// open opens the directory of a placing.
func (r *recovery) open(p placing) (spot, error) {
	path, ok := r.path(p.parent)
	if !ok {
		return spot{}, fs.ErrNotExist
	}
	d, err := r.s.disk.Dir(path)
	return spot{r.sp, d, p.parent, p.name}, err
}

// find looks for a node everywhere it may be.
func (r *recovery) find(id cloud.UUID) (bool, error) {
	if id == r.sp.root.id || id == binID {
		return true, nil
	}
	if _, ok := r.found[id]; ok {
		return true, nil
	}
	if r.seeking[id] {
		return false, nil // not on this way
	}
	r.seeking[id] = true
	defer delete(r.seeking, id)

	var places []placing
	if parent, name, err := r.sp.linkOf(id); err == nil {
		p, _ := placed(nodeID(parent), nodeID(id), name)
		places = append(places, p)
		r.linked[id] = p
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if f := r.nodes[id]; f != nil {
		for _, p := range slices.Backward(f.places) {
			if !slices.Contains(places, p) {
				places = append(places, p)
			}
		}
	}
	places = append(places, placing{parent: hereID, name: id.String()})
	for _, p := range places {
		ok, err := true, error(nil)
		if p.parent != hereID {
			ok, err = r.find(p.parent)
		}
		if ok && err == nil {
			ok, err = r.stands(id, p)
		}
		if err != nil {
			return false, err
		}
		if ok {
			r.found[id] = p
			return true, nil
		}
	}
	return false, nil
}

// stands tells whether a node is at a place.
func (r *recovery) stands(id cloud.UUID, p placing) (bool, error) {
	at, err := r.open(p)
	if err != nil {
		return false, ignoreMissing(err)
	}
	defer at.dir.Close()
	a, ok, err := r.s.meta.get(at)
	return ok && a.id == id, ignoreMissing(err)
}

func (r *recovery) findAll() error {
	for _, f := range r.order {
		if _, err := r.find(f.id); err != nil {
			return err
		}
		if p, ok := r.found[f.id]; ok && f.anyhow && !f.gone {
			f.at = p
		}
	}
	return nil
}

// setAside takes what is in the wrong place out of the way.
func (r *recovery) setAside() error {
	for _, f := range r.order {
		p, ok := r.found[f.id]
		if !ok || f.id == r.sp.root.id || p.parent == hereID || !f.gone && p.parent == f.at.parent && p.name == f.at.name {
			continue
		}
		at, err := r.open(p)
		if err != nil {
			return err
		}
		err = r.rename(at, placing{parent: hereID, name: f.id.String()})
		at.dir.Close()
		if err != nil {
			return err
		}
		r.found[f.id] = placing{parent: hereID, name: f.id.String()}
		r.s.at("recover: aside one")
	}
	return nil
}

// rename moves what stands at a spot.
func (r *recovery) rename(at spot, to placing) error {
	path, _ := r.path(to.parent)
	d, err := r.s.disk.Dir(path)
	if errors.Is(err, fs.ErrNotExist) && (to.parent == hereID || to.parent == binID) {
		d, err = r.s.makeDirs(r.sp.path, strings.TrimPrefix(path, r.sp.path+"/"))
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if err := at.dir.Rename(at.name, d, to.name, false); err != nil {
		return err
	}
	return r.s.meta.moved(at, spot{r.sp, d, to.parent, to.name})
}

// lose sets aside what is in the way and that nobody knows.
func (r *recovery) lose(at spot, why string) error {
	d, err := r.sp.inner("lost", true)
	if err != nil {
		return err
	}
	defer d.Close()
	name := tmpName() + "-" + at.name
	name = strings.ToValidUTF8(name[:min(len(name), cloud.MaxName)], "")
	r.s.log.Error("a file or folder was in the way and has been set aside", "space", r.id, "name", at.name, "why", why, "now", r.sp.path+"/.oc/lost/"+name)
	if err := at.dir.Rename(at.name, d, name, false); err != nil {
		return err
	}
	return r.s.meta.gone(at)
}

func (r *recovery) placeAll() error {
	for _, f := range r.order {
		if err := r.place(f); err != nil {
			return err
		}
	}
	return nil
}

// place puts a node, after those above it, where it belongs.
func (r *recovery) place(f *fate) error {
	if f.settled {
		return nil
	}
	f.settled = true
	if f.gone || f.id == r.sp.root.id {
		return nil
	}
	if up := r.nodes[f.at.parent]; up != nil {
		if err := r.place(up); err != nil {
			return err
		}
		if up.gone {
			f.gone = true
			return nil
		}
	}
	ok, err := r.find(f.at.parent)
	if err != nil {
		return err
	}
	if !ok {
		return r.homeless(f)
	}
	at, err := r.open(f.at)
	if errors.Is(err, fs.ErrNotExist) && f.at.parent == binID {
		var d disk.Dir
		d, err = r.sp.binFolder("files")
		at = spot{r.sp, d, binID, f.at.name}
	}
	if err != nil {
		return err
	}
	defer at.dir.Close()
	if err := r.bring(f, at); err != nil {
		return err
	}
	if _, ok := r.found[f.id]; !ok {
		return nil
	}
	r.s.at("recover: placed one")
	if r.linked[f.id] != f.at {
		if err := r.sp.setLink(f.id, f.at.parent, f.at.label()); err != nil {
			return err
		}
	}
	if f.at.parent == binID && f.bin != nil {
		return r.sp.writeBinInfo(f.id, f.bin)
	}
	if f.at.parent != binID && slices.ContainsFunc(f.places, func(p placing) bool { return p.parent == binID }) {
		return r.sp.removeBinInfo(f.id)
	}
	return nil
}

// homeless is for a node whose directory is not there.
func (r *recovery) homeless(f *fate) error {
	if f.seq < r.lastDrop {
		// The directory went with one above it that was dropped later, and so
		// does this.
		f.gone = true
		return nil
	}
	r.s.log.Error("the folder of a file that was changed is gone", "space", r.id, "node", nodeID(f.id), "name", f.at.name)
	if _, ok := r.found[f.id]; !ok && f.content.kind == fromJournal {
		d, err := r.sp.inner("lost", true)
		if err != nil {
			return err
		}
		defer d.Close()
		at := spot{r.sp, d, hereID, f.id.String()}
		_, err = r.produce(at, f.content, attr{id: f.id})
		return err
	}
	return nil // if it is in recover it goes to lost from there
}

// bring makes a spot hold a node, and makes the attribute say so.
func (r *recovery) bring(f *fate, at spot) error {
	e, err := r.sp.entry(at)
	taken := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p, found := r.found[f.id]
	if taken && !(e.ok && e.attr.id == f.id) {
		mine := !found && !e.ok && e.info.Kind != disk.Irregular && (e.info.Kind == disk.Folder) == f.dir &&
			(f.content.kind == fromPerson || r.s.meta != meta(inXattr{}))
		if mine {
			// The attribute has not made it, or it was never ours.
			r.found[f.id], found = f.at, true
			e.attr = attr{id: f.id, dir: f.dir, print: printOf(e.info)}
		} else {
			if err := r.lose(at, "it stood where the journal has another"); err != nil {
				return err
			}
			taken, e = false, entry{}
		}
	}
	if found && p.parent == hereID {
		from, err := r.open(p)
		if err != nil {
			return err
		}
		err = r.rename(from, f.at)
		from.dir.Close()
		if err != nil {
			return err
		}
		r.found[f.id] = f.at
		if e, err = r.sp.entry(at); err != nil {
			return err
		}
		taken = true
	}
	a := e.attr
	a.id, a.dir, a.place = f.id, f.dir, placeOf(at.parent, at.name)
	a.traits = r.traits[f.id]
	if f.dir {
		return r.bringDir(f, at, a, taken)
	}
	if f.state != nil {
		a.state = *f.state
	}
	e.at = at
	return r.bringFile(f, &e, a, taken)
}

func (r *recovery) bringDir(f *fate, at spot, a attr, taken bool) error {
	if !taken {
		if !f.made || f.content.kind == fromPerson {
			r.s.log.Error("a folder that was changed is gone", "space", r.id, "node", nodeID(f.id), "name", at.name)
			return nil
		}
		tmp, err := r.sp.inner("tmp", true)
		if err != nil {
			return err
		}
		defer tmp.Close()
		t := tmpName()
		if err := r.sp.tmpDir(tmp, t, a); err != nil {
			return err
		}
		if err := tmp.Rename(t, at.dir, at.name, false); err != nil {
			return err
		}
		r.found[f.id] = f.at
	}
	return r.s.meta.set(at, a)
}

// dropAll ends what was dropped.
func (r *recovery) dropAll() error {
	for _, f := range r.order {
		if !f.gone {
			continue
		}
		if p, ok := r.found[f.id]; ok {
			if err := ignoreMissing(r.drop(f, p)); err != nil {
				return err
			}
			delete(r.found, f.id)
		}
		if err := errors.Join(r.sp.forgetNode(f.id, allTraits), r.sp.removeBinInfo(f.id)); err != nil {
			return err
		}
	}
	return nil
}

// drop ends one node. What it was in may have gone before.
func (r *recovery) drop(f *fate, p placing) error {
	at, err := r.open(p)
	if err != nil {
		return err
	}
	defer at.dir.Close()
	if f.dir {
		r.s.sweepSoon(r.sp)
		return r.sp.throwAway(at, f.id)
	}
	if err := at.dir.Remove(at.name); err != nil {
		return err
	}
	return r.s.meta.gone(at)
}

func (r *recovery) restoreUploads() error {
	for id, u := range r.uploads {
		if u == nil {
			if err := ignoreMissing(r.sp.removeUpload(id)); err != nil {
				return err
			}
			continue
		}
		d, err := r.sp.inner("uploads", true)
		if err != nil {
			return err
		}
		err = r.sp.beginUpload(d, u)
		d.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// clearLeftovers empties tmp, and recover into lost.
func (r *recovery) clearLeftovers() error {
	if err := r.sp.clearTmp(); err != nil {
		return err
	}
	d, err := r.s.disk.ReadDir(r.sp.path + "/.oc/recover")
	if err != nil {
		return ignoreMissing(err)
	}
	defer d.Close()
	var names []string
	if err := d.List(func(name []byte, _ disk.Kind) error {
		names = append(names, string(name))
		return nil
	}); err != nil {
		return err
	}
	for _, name := range names {
		if err := r.lose(spot{r.sp, d, hereID, name}, "it has no place any more"); err != nil {
			return err
		}
	}
	return nil
}

// count computes the sizes of all directories that have seen a change, and
// gives them the cursor and time of the last one.
func (r *recovery) count() error {
	sp := r.sp
	sp.moving.RLock()
	defer sp.moving.RUnlock()
	depth := map[*dir]int{}
	for _, t := range r.touches {
		d, err := sp.fetch(t.dir, 0)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue // dropped meanwhile
			}
			return err
		}
		sp.mu.Lock()
		sp.bump(d, t.seq, t.at, 0)
		if t.mtime != nil {
			d.mtime = *t.mtime
		}
		sp.mu.Unlock()
		n := 0
		for up := d; up != nil; up = up.parent {
			n++
		}
		for up := d; up != nil; up = up.parent {
			depth[up] = n
			n--
		}
	}
	for _, f := range r.order {
		if d := sp.known(f.id); d != nil {
			d.traits = r.traits[f.id]
		}
	}
	dirs := slices.SortedFunc(maps.Keys(depth), func(a, b *dir) int { return cmp.Compare(depth[b], depth[a]) })
	for _, d := range dirs {
		size, err := sp.sizeOf(d)
		if err != nil {
			return err
		}
		d.size = size
	}
	return nil
}

// sizeOf adds up what is in a directory. The caller holds moving.
func (sp *space) sizeOf(d *dir) (size int64, err error) {
	list, err := sp.store.disk.ReadDir(d.path(sp))
	if errors.Is(err, fs.ErrNotExist) && d == sp.bin {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer list.Close()
	err = list.List(func(b []byte, _ disk.Kind) error {
		name := string(b)
		if d != sp.bin && !sp.member(d.id, name) {
			return nil
		}
		e, err := sp.entry(spot{sp, list, d.id, name})
		if err != nil || !e.ok || e.info.Kind == disk.Irregular {
			return ignoreMissing(err)
		}
		if !e.attr.dir {
			size += e.info.Size
		} else if c := d.children[name]; c != nil {
			size += c.size
		} else {
			size += e.attr.size
		}
		return nil
	})
	return size, err
}
