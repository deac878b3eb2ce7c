package posix

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"

	"opencloud/cloud"
	"opencloud/storage"
	"opencloud/storage/posix/disk"
)

// A space is a tree of the store, in memory as far as it is in use.
type space struct {
	store *Store
	id    cloud.SpaceID
	path  string // from the root of the storage
	dev   uint64 // the file system that it is on

	tree    sync.RWMutex // see the package comment
	minting sync.Mutex   // held for a write with an id of the caller's choice, behind names
	moving  sync.RWMutex

	mu      sync.Mutex
	says    cloud.Space // Root is nil
	made    cloud.Cursor
	gone    bool // dropped; written under tree as well
	root    *dir
	bin     *dir
	dirs    map[cloud.UUID]*dir
	dirty   []*dir
	uploads map[cloud.UploadID]*upload
	staged  map[string]bool // in tmp, in use
}

// spaceFile is what space.json holds.
type spaceFile struct {
	cloud.Space
	Root *struct{}    `json:",omitempty"` // hides the node
	Free *struct{}    `json:",omitempty"`
	Seq  cloud.Cursor // of the record that made it: tells two lives of a space apart
}

// folders are where spaces are, by kind.
var folders = map[cloud.SpaceKind]string{cloud.Personal: "users", cloud.Project: "projects"}

// spaceRef is how errors name a space.
func spaceRef(id cloud.SpaceID) cloud.Ref { return cloud.Ref{Space: id} }

// space finds a space, in memory or on the disk.
func (s *Store) space(id cloud.SpaceID) (*space, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.spaces[id]; sp != nil {
		return sp, nil
	}
	if _, ok := cloud.ParseUUID(string(id.Root())); !ok || id.Storage() != s.id || s.all {
		return nil, cloud.NotExist
	}
	for _, folder := range folders {
		sp, err := s.loadSpace(id, folder+"/"+string(id.Root()))
		if err == nil {
			err = sp.clearTmp()
		}
		if err == nil {
			s.spaces[id] = sp
			return sp, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, cloud.NotExist
}

func (s *Store) newSpace(id cloud.SpaceID, path string) *space {
	uid, _ := cloud.ParseUUID(string(id.Root()))
	sp := &space{store: s, id: id, path: path, dirs: map[cloud.UUID]*dir{}, uploads: map[cloud.UploadID]*upload{}, staged: map[string]bool{}}
	sp.root = &dir{id: uid, node: nodeID(uid)}
	sp.bin = &dir{id: binID, node: cloud.TrashID}
	sp.dirs[uid], sp.dirs[binID] = sp.root, sp.bin
	return sp
}

// loadSpace is fs.ErrNotExist when there is a folder but no space in it.
func (s *Store) loadSpace(id cloud.SpaceID, path string) (*space, error) {
	sp := s.newSpace(id, path)
	private, err := s.disk.Dir(path + "/.oc")
	if err != nil {
		return nil, err
	}
	defer private.Close()
	b, err := readFile(private, "space.json")
	if err != nil {
		return nil, err
	}
	var file spaceFile
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, err
	}
	sp.says, sp.made = file.Space, file.Seq
	sp.says.ID, sp.says.Root = id, nil
	i, err := private.Stat("")
	if err != nil {
		return nil, err
	}
	sp.dev = i.Dev
	return sp, sp.loadTops()
}

// loadTops reads what is known of the root and the bin.
func (sp *space) loadTops() error {
	sp.moving.RLock()
	defer sp.moving.RUnlock()
	for _, d := range []*dir{sp.root, sp.bin} {
		at, err := sp.self(d)
		if err == nil {
			var a attr
			var ok bool
			a, ok, err = sp.store.meta.get(at)
			at.dir.Close()
			if ok && a.dir && a.id == d.id {
				d.size, d.last, d.mtime, d.traits = a.size, a.last, a.mtime, a.traits
			} else if err == nil && d == sp.root {
				// Lost, or never there: what is below it has to be counted.
				sp.store.adoptSoon(sp, d.id)
			}
		}
		if err != nil && (d == sp.root || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	if d, err := sp.inner("dropped", false); err == nil {
		d.Close()
		sp.store.sweepSoon(sp)
	}
	return nil
}

// clearTmp removes what was being made when the server stopped.
func (sp *space) clearTmp() error {
	d, err := sp.store.disk.ReadDir(sp.path + "/.oc/tmp")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return d.List(func(name []byte, kind disk.Kind) error {
		if kind == disk.Folder {
			return d.RemoveDir(string(name))
		}
		return d.Remove(string(name))
	})
}

// inner opens a folder of what the space keeps for itself, and makes it when
// asked to.
func (sp *space) inner(path string, make bool) (disk.Dir, error) {
	d, err := sp.store.disk.Dir(sp.path + "/.oc/" + path)
	if !make || !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	return sp.store.makeDirs(sp.path, ".oc/"+path)
}

// makeDirs opens a folder and makes what is missing of the path to it.
func (s *Store) makeDirs(base, path string) (disk.Dir, error) {
	at, err := s.disk.Dir(base)
	for name := range strings.SplitSeq(path, "/") {
		if err != nil {
			return at, err
		}
		mode := uint32(0o770) // nobody else on the machine reads what is in here
		if name == ".oc" {
			mode = 0o700
		}
		if err = at.Mkdir(name, mode); err != nil && !errors.Is(err, fs.ErrExist) {
			at.Close()
			return at, err
		}
		var next disk.Dir
		next, err = at.Dir(name)
		at.Close()
		at = next
	}
	return at, err
}

// tmpName is a name for something that has no place yet.
func tmpName() string { return cloud.NewUUID().String() }

// replace puts b into a file of one of our own folders, in one step. Without
// sync the file may be anything after a power failure.
func (sp *space) replace(d disk.Dir, name string, b []byte, sync bool) error {
	tmp, err := sp.inner("tmp", true)
	if err != nil {
		return err
	}
	defer tmp.Close()
	t := tmpName()
	if err := writeFile(tmp, t, b, sync); err != nil {
		return err
	}
	if err := tmp.Rename(t, d, name, true); err != nil {
		return errors.Join(err, tmp.Remove(t))
	}
	return nil
}

// writeFile makes a file; not a part of it on an error.
func writeFile(d disk.Dir, name string, b []byte, sync bool) error {
	f, err := d.Create(name)
	if errors.Is(err, fs.ErrExist) && sync { // of a start that was cut short
		if err = d.Remove(name); err == nil {
			f, err = d.Create(name)
		}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, d.Remove(name))
	}
	return nil
}

// maxFile bounds the files of our own that are read as a whole.
const maxFile = 16 << 20

func readFile(d disk.Dir, name string) ([]byte, error) {
	f, err := d.Open(name, false)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

func (s *Store) Spaces(ctx context.Context) iter.Seq2[*cloud.Space, error] {
	return func(yield func(*cloud.Space, error) bool) {
		if err := s.loadAll(); err != nil {
			yield(nil, cloud.E("posix.Spaces", cloud.Ref{}, err))
			return
		}
		all := s.loaded()
		slices.SortFunc(all, func(a, b *space) int { return strings.Compare(string(a.id), string(b.id)) })
		for _, sp := range all {
			c, err := sp.copy()
			if errors.Is(err, cloud.NotExist) {
				continue // dropped meanwhile
			}
			if !yield(c, cloud.E("posix.Spaces", spaceRef(sp.id), err)) || err != nil {
				return
			}
		}
	}
}

// loadAll brings all spaces into memory.
func (s *Store) loadAll() error {
	s.mu.Lock()
	all := s.all
	s.mu.Unlock()
	if all {
		return nil
	}
	s.making.Lock()
	defer s.making.Unlock()
	for _, folder := range folders {
		d, err := s.disk.ReadDir(folder)
		if err != nil {
			return err
		}
		err = d.List(func(name []byte, kind disk.Kind) error {
			_, err := s.space(cloud.SpaceID(s.id + "$" + string(name)))
			if err != nil && !errors.Is(err, cloud.NotExist) {
				// One that cannot be read must not hide the others.
				s.log.Error("a space cannot be read", "space", string(name), "err", err)
			}
			return nil
		})
		d.Close()
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.all = true
	s.mu.Unlock()
	return nil
}

func (s *Store) Space(_ context.Context, id cloud.SpaceID) (*cloud.Space, error) {
	sp, err := s.space(id)
	if err != nil {
		return nil, cloud.E("posix.Space", spaceRef(id), err)
	}
	c, err := sp.copy()
	return c, cloud.E("posix.Space", spaceRef(id), err)
}

func (sp *space) copy() (*cloud.Space, error) {
	root, err := sp.describe(sp.root)
	if err != nil {
		return nil, err
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone {
		return nil, cloud.NotExist
	}
	c := sp.says
	c.Root = root
	return &c, nil
}

func (s *Store) NewSpaceID(kind cloud.SpaceKind, owner cloud.UserID) cloud.SpaceID {
	id := cloud.NewUUID()
	if kind == cloud.Personal {
		id = cloud.UUIDOf(string(owner))
	}
	return cloud.SpaceID(s.id + "$" + id.String())
}

func (s *Store) SetSpace(ctx context.Context, want *cloud.Space) (_ *cloud.Space, err error) {
	defer func() { err = cloud.E("posix.SetSpace", spaceRef(want.ID), err) }()
	if _, err := uuid(want.ID.Root()); err != nil || want.ID.Storage() != s.id {
		return nil, cloud.Refuse(cloud.Invalid, "This is not the id of a space.")
	}
	s.making.Lock()
	defer s.making.Unlock()
	sp, err := s.space(want.ID)
	switch {
	case err == nil:
		err = sp.setSays(ctx, want)
	case errors.Is(err, cloud.NotExist):
		sp, err = s.makeSpace(ctx, want)
	}
	if err != nil {
		return nil, err
	}
	return sp.copy()
}

func (sp *space) setSays(ctx context.Context, want *cloud.Space) error {
	sp.tree.RLock()
	defer sp.tree.RUnlock()
	sp.mu.Lock()
	file := spaceFile{Space: *want, Seq: sp.made}
	file.Kind = sp.says.Kind
	if file.Made.IsZero() {
		file.Made = sp.says.Made
	}
	kind := cloud.SpaceChanged
	switch was, is := !sp.says.Disabled.IsZero(), !want.Disabled.IsZero(); {
	case is && !was:
		kind = cloud.SpaceDisabled
	case was && !is:
		kind = cloud.SpaceEnabled
	}
	r := sp.record(ctx, kind, sp.dirNode(sp.root))
	sp.mu.Unlock()
	file.Space.Root, file.Space.Free = nil, 0
	return sp.store.commit(&change{sp: sp, record: r, body: file,
		apply: func(cloud.Cursor) error { return sp.writeSpaceFile(file) },
		done: func(cloud.Cursor) {
			sp.mu.Lock()
			defer sp.mu.Unlock()
			sp.says = file.Space
		}})
}

func (sp *space) writeSpaceFile(file spaceFile) error {
	b, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	private, err := sp.inner("", false)
	if err != nil {
		return err
	}
	defer private.Close()
	// It alone says that there is a space at all, and recovery reads it
	// before anything else: it must not be there without being whole.
	return sp.replace(private, "space.json", b, true)
}

func (s *Store) makeSpace(ctx context.Context, want *cloud.Space) (*space, error) {
	folder, ok := folders[want.Kind]
	if !ok {
		return nil, cloud.Refuse(cloud.Invalid, "There is no such kind of space: %q.", want.Kind)
	}
	sp := s.newSpace(want.ID, folder+"/"+string(want.ID.Root()))
	at := now()
	file := spaceFile{Space: *want}
	file.Space.Root, file.Space.Free = nil, 0
	if file.Made.IsZero() {
		file.Made = at
	}
	var has rare
	if want.Root != nil {
		has.grants = storage.CloneGrants(want.Root.Grants)
	}
	sp.root.mtime, sp.root.traits, sp.root.rare = at, has.traits(), &has
	r := sp.record(ctx, cloud.SpaceMade, sp.dirNode(sp.root))
	r.At = at
	err := s.commit(&change{sp: sp, record: r, body: file, redo: redo{Rare: has.edit(cloud.HasGrants)},
		apply: func(c cloud.Cursor) error {
			file.Seq = c
			sp.made, sp.root.last = c, c
			return sp.layOut(file, &has)
		},
		done: func(c cloud.Cursor) {
			sp.says = file.Space
			sp.mu.Lock()
			sp.soil(sp.root)
			sp.mu.Unlock()
			s.mu.Lock()
			s.spaces[sp.id] = sp
			s.mu.Unlock()
		}})
	if err != nil {
		return nil, err
	}
	// A person may have put the tree there before.
	s.adoptSoon(sp, sp.root.id)
	return sp, nil
}

// layOut makes the folders of a new space; space.json comes last.
func (sp *space) layOut(file spaceFile, has *rare) error {
	folder, name := cloud.Split(sp.path)
	up, err := sp.store.makeDirs(folder, name)
	if err != nil {
		return err
	}
	up.Close()
	for _, path := range []string{"tmp", "ids"} {
		d, err := sp.inner(path, true)
		if err != nil {
			return err
		}
		i, err := d.Stat("")
		d.Close()
		if err != nil {
			return err
		}
		sp.dev = i.Dev
	}
	if err := sp.writeRare(sp.root.id, has.edit(cloud.HasGrants)); err != nil {
		return err
	}
	at, err := sp.self(sp.root)
	if err != nil {
		return err
	}
	defer at.dir.Close()
	a := attr{dir: true, id: sp.root.id, place: placeOf(at.parent, at.name), traits: has.traits(), last: sp.root.last, mtime: sp.root.mtime}
	if err := sp.store.meta.set(at, a); err != nil {
		return err
	}
	sp.store.at("space: laid out")
	return sp.writeSpaceFile(file)
}

func (s *Store) DropSpace(ctx context.Context, id cloud.SpaceID) (err error) {
	defer func() { err = cloud.E("posix.DropSpace", spaceRef(id), err) }()
	s.making.Lock()
	defer s.making.Unlock()
	sp, err := s.space(id)
	if err != nil {
		return err
	}
	sp.tree.Lock()
	defer sp.tree.Unlock()
	root, err := sp.describe(sp.root)
	if err != nil {
		return err
	}
	r := sp.record(ctx, cloud.SpaceDropped, root)
	for _, g := range root.Grants {
		if g.Link == nil {
			r.Taken = append(r.Taken, g)
		}
	}
	err = s.commit(&change{sp: sp, record: r,
		apply: func(c cloud.Cursor) error {
			sp.moving.Lock()
			defer sp.moving.Unlock()
			return sp.putAway(c)
		},
		done: func(cloud.Cursor) {
			sp.moving.Lock()
			defer sp.moving.Unlock()
			sp.mu.Lock()
			sp.gone = true
			sp.forget(sp.root)
			sp.forget(sp.bin)
			sp.dirty = nil
			sp.mu.Unlock()
			s.mu.Lock()
			delete(s.spaces, id)
			s.mu.Unlock()
		}})
	if err != nil {
		return err
	}
	s.soon(job{"removing a space that was dropped", string(id), s.sweep})
	return nil
}
