package posix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

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
