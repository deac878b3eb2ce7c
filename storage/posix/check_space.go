package posix

import (
	"encoding/json"
	"errors"
	"io/fs"
	"strings"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"
)

// What Check does with one space, while nobody changes anything in it.

// structure compares what is derived with what it is derived from, while
// nobody changes anything.
func (c *checker) structure(steps ...func() error) error {
	unlock, err := c.sp.seize()
	if err != nil {
		return err
	}
	defer unlock()
	c.nodes = map[cloud.UUID]found{c.sp.root.id: {dir: true, traits: c.sp.root.traits}, binID: {dir: true}}
	if err := c.tree(); err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// tree finds all nodes, and ids that two of them have.
func (c *checker) tree() error {
	note := func(e *entry, path string) error {
		if e.info.Kind == disk.Irregular || !e.ok || e.at.parent != binID && !c.sp.member(e.at.parent, e.at.name) {
			return nil
		}
		if other, ok := c.nodes[e.attr.id]; ok {
			if err := c.sameID(e, path, other); err != nil {
				return err
			}
		}
		c.nodes[e.attr.id] = found{placing{e.at.parent, e.at.name, ""}, path, e.attr.dir, e.attr.traits}
		return nil
	}
	err := c.walk(c.sp.path, c.sp.root.id, "", note)
	if err == nil {
		err = c.walk(c.sp.path+"/.Trash/files", binID, "", note)
	}
	return err
}

// sameID gives the second of two nodes with one id another.
func (c *checker) sameID(e *entry, path string, other found) error {
	c.say(SameID, path, c.Repair, "%q has the same id", other.path)
	if !c.Repair {
		return nil
	}
	e.attr.id = cloud.NewUUID()
	if err := c.sp.store.meta.set(e.at, e.attr); err != nil {
		return err
	}
	v, err := c.sp.enter(e.at.parent)
	if err != nil {
		return err
	}
	defer v.dir.Close()
	n, err := v.node(e)
	if err != nil {
		return err
	}
	kind := cloud.FileMade
	if n.Dir {
		kind = cloud.DirMade
	}
	r := c.sp.record(c.ctx, kind, n)
	return c.sp.store.commit(&change{sp: c.sp, record: r, redo: redo{From: fromOutside},
		apply: func(cloud.Cursor) error { return c.sp.setLink(e.attr.id, e.at.parent, e.at.name) },
		done: func(last cloud.Cursor) {
			c.sp.mu.Lock()
			defer c.sp.mu.Unlock()
			c.sp.bump(v.d, last, r.At, 0)
		}})
}

// bin compares the entries of the bin with their infos.
func (c *checker) bin() error {
	infos := map[string]bool{}
	d, err := c.sp.store.disk.ReadDir(c.sp.path + "/.Trash/info")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.List(func(b []byte, _ disk.Kind) error {
		name := string(b)
		id, ok := cloud.ParseUUID(strings.TrimSuffix(name, infoSuffix))
		if n, is := c.nodes[id]; ok && is && n.parent == binID {
			infos[n.name] = true
			return nil
		}
		c.say(OrphanInfo, ".Trash/info/"+name, c.Repair, "nothing of that name is in the bin")
		if !c.Repair {
			return nil
		}
		return c.sp.lose(d, name)
	})
	if err != nil {
		return err
	}
	for id, n := range c.nodes {
		if n.parent != binID || id == binID || id == c.sp.root.id || infos[n.name] {
			continue
		}
		c.say(NoTrashInfo, ".Trash/files/"+n.name, c.Repair, "where it was is not known")
		if !c.Repair {
			continue
		}
		bin, _, err := c.sp.binInfo(id)
		if err == nil {
			bin.Deleted = now()
			err = c.sp.writeBinInfo(id, bin)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lose sets something of ours aside.
func (sp *space) lose(d disk.Dir, name string) error {
	lost, err := sp.inner("lost", true)
	if err != nil {
		return err
	}
	defer lost.Close()
	to := tmpName() + "-" + name
	return d.Rename(name, lost, to[:min(len(to), cloud.MaxName)], false)
}

// relink writes the links that are missing. Those that say something else stay
// as they are: they tell from where a person has moved something.
func (c *checker) relink() error {
	for id, n := range c.nodes {
		if id == binID || id == c.sp.root.id {
			continue
		}
		if _, _, err := c.sp.linkOf(id); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return err
			}
			continue
		}
		c.say(MissingLink, n.path, true, "the node %s cannot be found by its id", nodeID(id))
		if err := c.link(id, n); err != nil {
			return err
		}
	}
	return nil
}

// link makes a node found by its id.
func (c *checker) link(id cloud.UUID, n found) (err error) {
	if n.parent == binID {
		if _, n.name, err = c.sp.binInfo(id); err != nil {
			return err
		}
	}
	return c.sp.setLink(id, n.parent, n.name)
}

// links compares the id links with the tree.
func (c *checker) links() error {
	for id, n := range c.nodes {
		if id == binID || id == c.sp.root.id {
			continue
		}
		parent, name, err := c.sp.linkOf(id)
		kind := WrongLink
		switch {
		case errors.Is(err, fs.ErrNotExist):
			kind = MissingLink
		case err != nil:
			return err
		case parent == n.parent && (name == n.name || parent == binID):
			continue
		}
		c.say(kind, n.path, c.Repair, "the node %s cannot be found by its id", nodeID(id))
		if !c.Repair {
			continue
		}
		if err := c.link(id, n); err != nil {
			return err
		}
	}
	return c.eachIn("ids", 1, func(d disk.Dir, path, name string) error {
		id, ok := parseLinkName(name)
		if _, is := c.nodes[id]; ok && is {
			return nil
		}
		c.say(DanglingLink, path, c.Repair, "there is no node with this id")
		if !c.Repair {
			return nil
		}
		return d.Remove(name)
	})
}

// eachIn calls fn for every name in a folder of .oc, or in the folders in it.
func (c *checker) eachIn(folder string, depth int, fn func(d disk.Dir, path, name string) error) error {
	d, err := c.sp.store.disk.ReadDir(c.sp.path + "/.oc/" + folder)
	if err != nil {
		return ignoreMissing(err)
	}
	defer d.Close()
	return d.List(func(b []byte, kind disk.Kind) error {
		name := string(b)
		if depth > 0 {
			if kind != disk.Folder {
				return nil
			}
			return c.eachIn(folder+"/"+name, depth-1, fn)
		}
		return fn(d, ".oc/"+folder+"/"+name, name)
	})
}

// rares compares grants, locks and attributes with the nodes that have them.
func (c *checker) rares() error {
	has := map[cloud.UUID]cloud.Traits{}
	for i, folder := range rareFolders {
		err := c.eachIn(folder, 0, func(d disk.Dir, path, name string) error {
			id, ok := cloud.ParseUUID(strings.TrimSuffix(name, ".json"))
			b, err := readFile(d, name)
			if err != nil {
				return err
			}
			kind := OrphanRare
			if _, is := c.nodes[id]; ok && is {
				if json.Unmarshal(b, new(rare).part(i)) == nil {
					has[id] |= 1 << i
					return nil
				}
				kind = DamagedRare
			}
			c.say(kind, path, c.Repair, "it is set aside")
			if !c.Repair {
				return nil
			}
			return c.sp.lose(d, name)
		})
		if err != nil {
			return err
		}
	}
	for id, n := range c.nodes {
		if d := c.sp.known(id); d != nil {
			c.sp.mu.Lock()
			n.traits = d.traits
			c.sp.mu.Unlock()
		}
		if n.traits == has[id] || id == binID {
			continue
		}
		c.say(WrongTraits, n.path, c.Repair, "it is said to have %03b, and has %03b of grants, locks and attributes", n.traits, has[id])
		if !c.Repair {
			continue
		}
		if err := c.setTraits(id, n, has[id]); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) setTraits(id cloud.UUID, n found, t cloud.Traits) error {
	if n.dir {
		d, err := c.sp.dir(id)
		if err != nil {
			return err
		}
		c.sp.mu.Lock()
		defer c.sp.mu.Unlock()
		d.traits, d.rare = t, nil
		c.sp.soil(d)
		return nil
	}
	v, err := c.sp.enter(n.parent)
	if err != nil {
		return err
	}
	defer v.dir.Close()
	v.name = n.name
	e, err := c.sp.entry(v.spot)
	if err != nil {
		return err
	}
	e.attr.traits = t
	return c.sp.store.meta.set(v.spot, e.attr)
}

// versions finds those of files that are no more.
func (c *checker) versions() error {
	return c.eachIn("versions", 1, func(d disk.Dir, path, name string) error {
		id, ok := cloud.ParseUUID(name)
		if n, is := c.nodes[id]; ok && is && !n.dir {
			return nil
		}
		c.say(OrphanVersions, path, c.Repair, "there is no file with this id")
		if !c.Repair {
			return nil
		}
		return c.sp.lose(d, name)
	})
}

// uploads finds content without info and the reverse.
func (c *checker) uploads() error {
	names := map[string]bool{}
	if err := c.eachIn("uploads", 0, func(_ disk.Dir, _, name string) error {
		names[name] = true
		return nil
	}); err != nil {
		return err
	}
	d, err := c.sp.inner("uploads", false)
	if err != nil {
		return ignoreMissing(err)
	}
	defer d.Close()
	for name := range names {
		id, info := strings.CutSuffix(name, uploadSuffix)
		if info && names[id] || !info && names[name+uploadSuffix] {
			continue
		}
		c.say(OrphanUpload, ".oc/uploads/"+name, c.Repair, "an upload has content and info; this is only one of them")
		if !c.Repair {
			continue
		}
		if err := c.sp.lose(d, name); err != nil {
			return err
		}
	}
	return nil
}

// tmp finds what nobody is writing any more.
func (c *checker) tmp() error {
	return c.eachIn("tmp", 0, func(d disk.Dir, path, name string) error {
		c.sp.mu.Lock()
		used := c.sp.staged[name]
		c.sp.mu.Unlock()
		if used {
			return nil
		}
		c.say(StaleTmp, path, c.Repair, "nobody is writing it")
		if !c.Repair {
			return nil
		}
		if err := d.Remove(name); err != nil {
			return d.RemoveDir(name)
		}
		return nil
	})
}

// sidecars finds attributes beside the tree of what is not in it.
func (c *checker) sidecars() error {
	if _, beside := c.sp.store.meta.(inSidecar); !beside {
		return nil
	}
	places := map[placing]bool{}
	for _, n := range c.nodes {
		places[placing{n.parent, n.name, ""}] = true
	}
	return c.eachIn("meta", 1, func(d disk.Dir, path, name string) error {
		_, up := cloud.Split(strings.TrimSuffix(path, "/"+name))
		parent, ok := cloud.ParseUUID(up)
		_, version := c.nodes[parent]
		if ok && (parent == atopID || places[placing{parent, name, ""}] || version && !c.nodes[parent].dir) {
			return nil
		}
		c.say(OrphanSidecar, path, c.Repair, "there is no such file")
		if !c.Repair {
			return nil
		}
		return c.sp.lose(d, name)
	})
}

// sizes compares the sizes of directories with what is in them, the deepest first.
func (c *checker) sizes() error {
	var below func(id cloud.UUID) error
	dirs := map[cloud.UUID][]cloud.UUID{}
	for id, n := range c.nodes {
		if n.dir && id != binID && id != c.sp.root.id {
			dirs[n.parent] = append(dirs[n.parent], id)
		}
	}
	below = func(id cloud.UUID) error {
		for _, child := range dirs[id] {
			if err := below(child); err != nil {
				return err
			}
		}
		d, err := c.sp.dir(id)
		if err != nil {
			return ignoreMissing(err)
		}
		c.sp.moving.RLock()
		want, err := c.sp.sizeOf(d)
		c.sp.moving.RUnlock()
		if err != nil || want == d.size {
			return err
		}
		c.say(WrongSize, c.nodes[id].path, c.Repair, "it says %d bytes, and there are %d", d.size, want)
		if !c.Repair {
			return nil
		}
		return c.sp.resize(d, want)
	}
	return errors.Join(below(c.sp.root.id), below(binID))
}
