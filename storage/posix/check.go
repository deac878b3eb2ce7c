package posix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"opencloud/cloud"
	"opencloud/storage"
	"opencloud/storage/posix/disk"
)

// A Finding is something that is not as it should be.
type Finding struct {
	Kind     FindingKind
	Space    cloud.SpaceID
	Path     string // from the root of the space
	Detail   string
	Repaired bool
}

// FindingKind says what is wrong.
type FindingKind string

const (
	// What people do; it becomes right as soon as somebody looks.
	NoAttribute      FindingKind = "no-attribute"
	DamagedAttribute FindingKind = "damaged-attribute"
	MovedOutside     FindingKind = "moved-outside"
	ChangedOutside   FindingKind = "changed-outside"
	NotANode         FindingKind = "not-a-node" // a link, a device, a name that no client could bear

	// What is derived; repaired from what it is derived from.
	MissingLink  FindingKind = "missing-link"
	WrongLink    FindingKind = "wrong-link"
	DanglingLink FindingKind = "dangling-link"
	WrongSize    FindingKind = "wrong-size"
	WrongTraits  FindingKind = "wrong-traits"
	NoTrashInfo  FindingKind = "no-trash-info"
	StaleTmp     FindingKind = "stale-tmp"
	TornJournal  FindingKind = "torn-journal" // cut at the start: it was never confirmed

	// What is lost or belongs to nothing; set aside in .oc/lost.
	SameID         FindingKind = "same-id" // the second gets another
	WrongContent   FindingKind = "wrong-content"
	DamagedRare    FindingKind = "damaged-metadata"
	OrphanRare     FindingKind = "orphaned-metadata"
	OrphanVersions FindingKind = "orphaned-versions"
	OrphanInfo     FindingKind = "orphaned-trash-info"
	OrphanUpload   FindingKind = "orphaned-upload" // content without info, or the reverse
	OrphanSidecar  FindingKind = "orphaned-sidecar"
	DamagedSpace   FindingKind = "damaged-space" // space.json; a person has to write it
)

// A Checkup says how to look for damage.
type Checkup struct {
	Repair bool          // make right what is derived
	Report func(Finding) // told of each
	Seen   func()        // called for each file and folder looked at; may be nil
}

// Check looks for damage of every kind but that of content (see Scrub) and
// reports it. With Repair it makes right what is derived, sets aside what
// belongs to nothing, and deletes nothing that could be anybody's. Changes to
// a space wait while it is looked at.
func (s *Store) Check(ctx context.Context, how Checkup) error {
	err := s.eachChecker(ctx, how, (*checker).run)
	if err == nil {
		err = s.checkTop(how.Report)
	}
	if err == nil && how.Repair {
		err = s.bringDown()
	}
	return cloud.E("posix.Check", cloud.Ref{Path: s.opts.Root}, err)
}

// Scrub reads the content of all files and reports what does not have its
// checksums any more: the disk has failed, and a backup is needed. It repairs
// nothing.
func (s *Store) Scrub(ctx context.Context, how Checkup) error {
	how.Repair = false
	err := s.eachChecker(ctx, how, (*checker).scrub)
	return cloud.E("posix.Scrub", cloud.Ref{Path: s.opts.Root}, err)
}

func (s *Store) eachChecker(ctx context.Context, how Checkup, do func(*checker) error) error {
	if how.Seen == nil {
		how.Seen = func() {}
	}
	if err := s.loadAll(); err != nil {
		return err
	}
	for _, sp := range s.loaded() {
		c := &checker{Checkup: how, ctx: ctx, sp: sp}
		if err := do(c); err != nil && !missing(err) { // dropped meanwhile
			return fmt.Errorf("space %s: %w", sp.id, err)
		}
	}
	return nil
}

// checkTop finds what no space can tell of.
func (s *Store) checkTop(report func(Finding)) error {
	if s.journal.Torn() {
		report(Finding{Kind: TornJournal, Detail: "an entry that was not confirmed yet was cut short by a crash", Repaired: true})
	}
	return s.checkFolders(report)
}

// checkFolders finds spaces that cannot be read.
func (s *Store) checkFolders(report func(Finding)) error {
	known := map[string]bool{}
	for _, sp := range s.loaded() {
		known[sp.path] = true
	}
	for _, folder := range folders {
		d, err := s.disk.ReadDir(folder)
		if err != nil {
			return err
		}
		err = d.List(func(name []byte, _ disk.Kind) error {
			path := folder + "/" + string(name)
			private, err := s.disk.Dir(path + "/.oc")
			if known[path] || err != nil {
				return nil // a space, or no part of us
			}
			defer private.Close()
			report(Finding{Kind: DamagedSpace, Path: path, Detail: "space.json is missing or cannot be read"})
			return nil
		})
		d.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// A checker checks one space.
type checker struct {
	Checkup
	ctx context.Context
	sp  *space

	nodes map[cloud.UUID]found
}

// found is a node and where it is.
type found struct {
	placing
	path   string
	dir    bool
	traits cloud.Traits
}

func (c *checker) say(kind FindingKind, path string, repaired bool, format string, args ...any) {
	c.Report(Finding{kind, c.sp.id, path, fmt.Sprintf(format, args...), repaired})
}

func (c *checker) run() error {
	if c.Repair {
		// What is new is taken in folder by folder, and folders are found by id.
		if err := c.structure(c.relink); err != nil {
			return err
		}
	}
	if err := c.outside(); err != nil {
		return err
	}
	return c.structure(c.bin, c.links, c.rares, c.versions, c.uploads, c.tmp, c.sidecars, c.sizes)
}

func (c *checker) scrub() error {
	var files []cloud.UUID
	for _, top := range []struct {
		path string
		id   cloud.UUID
	}{{c.sp.path, c.sp.root.id}, {c.sp.path + "/.Trash/files", binID}} {
		if err := c.walk(top.path, top.id, "", func(e *entry, _ string) error {
			if e.settled() && !e.attr.dir {
				files = append(files, e.attr.id)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	for _, id := range files {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.content(id); err != nil && !missing(err) {
			return err
		}
		c.Seen()
	}
	return nil
}

// outside tells what people have done, and takes it in.
func (c *checker) outside() error {
	strange := 0
	err := c.walk(c.sp.path, c.sp.root.id, "", func(e *entry, path string) error {
		c.Seen()
		switch {
		case e.info.Kind == disk.Irregular || !c.sp.member(e.at.parent, e.at.name):
			c.say(NotANode, path, false, "it is no file or folder with a possible name, and no client sees it")
			return nil
		case e.settled():
			return nil
		case !e.ok:
			kind := NoAttribute
			var b [256]byte
			if n, err := e.at.dir.Attr(e.at.name, b[:]); err == nil && n > 0 {
				kind = DamagedAttribute
			}
			c.say(kind, path, c.Repair, "it gets an id")
		case e.attr.place != placeOf(e.at.parent, e.at.name):
			c.say(MovedOutside, path, c.Repair, "it was moved or copied here from outside")
		default:
			c.say(ChangedOutside, path, c.Repair, "its content was changed from outside")
		}
		strange++
		return nil
	})
	if err != nil || strange == 0 || !c.Repair {
		return err
	}
	return c.sp.takeIn(c.ctx, c.sp.root.id, func() {})
}

// walk calls fn for everything in a folder and below, folders before what is
// in them.
func (c *checker) walk(folder string, id cloud.UUID, path string, fn func(e *entry, path string) error) error {
	d, err := c.sp.store.disk.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return d.List(func(b []byte, _ disk.Kind) error {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		name := string(b)
		if id == c.sp.root.id && cloud.Reserved(name) {
			return nil
		}
		e, err := c.sp.entry(spot{c.sp, d, id, name})
		if err != nil {
			return ignoreMissing(err)
		}
		below := cloud.Join(path, name)
		if err := fn(&e, below); err != nil || e.info.Kind != disk.Folder {
			return err
		}
		self := noID
		if e.ok {
			self = e.attr.id
		}
		return c.walk(folder+"/"+name, self, below, fn)
	})
}

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

// content compares a file with its checksums.
func (c *checker) content(id cloud.UUID) error {
	v, e, err := c.sp.find(id)
	if err != nil {
		return err
	}
	defer v.dir.Close()
	if !e.settled() || !e.attr.sums.Known {
		return nil // it is being changed, or seen for the first time
	}
	f, err := v.dir.Open(e.at.name, false)
	if err != nil {
		return err
	}
	defer f.Close()
	h := storage.NewHasher()
	if _, err := io.Copy(h, f); err != nil {
		c.say(WrongContent, cloud.Join(v.ref, e.at.name), false, "it cannot be read: %v", err)
		return nil
	}
	if now, err := c.sp.entry(e.at); err != nil || now.info != e.info || now.attr != e.attr {
		return err
	}
	if got := h.Sums(); got != e.attr.sums {
		c.say(WrongContent, cloud.Join(v.ref, e.at.name), false, "its checksums are %v, and should be %v; restore it from a backup", got, e.attr.sums)
	}
	return nil
}
