package posix

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"time"

	"opencloud/cloud"
	"opencloud/storage/journal"
)

// After a crash the tree is somewhere between the last checkpoint and the end
// of the journal: of the operations on names and attributes a part has
// happened, from the first on; what was written into files and not synced may
// be anything. So nothing is played back. What the journal says is folded into
// one fate for each node, the end of its story, and restore.go makes the tree
// agree with that, from wherever it is. Doing so twice changes nothing.

// A fate is what is to become of a node.
type fate struct {
	id      cloud.UUID
	dir     bool
	made    bool // it came to be behind the mark, so it may not be there at all
	gone    bool
	seq     cloud.Cursor // of the last change
	anyhow  bool         // a person chose the place: it may stay where it is found
	at      placing
	places  []placing // where it has ever been, behind the mark and right before
	content source
	state   *cloud.State
	dated   bool       // mtime was set
	mtime   time.Time  // by Edited
	sums    cloud.Sums // by Edited, of the content with this mtime and
	size    int64      // this size
	rare    rareEdit
	bin     *cloud.Bin

	settled bool // it is where it should be
}

// A placing is a directory's id and a name in it. In the bin, the title is
// the name that the node had before.
type placing struct {
	parent      cloud.UUID
	name, title string
}

func placed(parent, node cloud.NodeID, name string) (p placing, err error) {
	if p.parent, err = uuid(parent); err != nil {
		return p, fmt.Errorf("the parent %q of %s: %w", parent, node, err)
	}
	p.name = name
	if p.parent == binID {
		p.name, p.title = string(node), name
	}
	return p, nil
}

// label is the name that a link says.
func (p placing) label() string {
	if p.title != "" {
		return p.title
	}
	return p.name
}

// A source is where the content of a file comes from.
type source struct {
	kind   sourceKind
	cursor cloud.Cursor // fromJournal
	path   string       // fromFile: in .oc
	content
}

type sourceKind uint8

const (
	untouched   sourceKind = iota // it is what it was before
	fromJournal                   // the body of an entry
	fromFile                      // a synced file, before it got its place
	fromPerson                    // it is what is there
)

// A versionFate is what is to become of a version.
type versionFate struct {
	source
	state *cloud.State // nil: that of the content before
	gone  bool
}

// A touch is a change that a directory and all above it have seen.
type touch struct {
	dir   cloud.UUID
	seq   cloud.Cursor
	at    time.Time
	mtime *time.Time // set by a client, of this directory alone
}

// A recovery is what has to be done for one space.
type recovery struct {
	s        *Store
	id       cloud.SpaceID
	sp       *space
	dropped  cloud.Cursor // of the last record that says so
	made     *spaceFile
	says     *spaceFile // SpaceChanged
	nodes    map[cloud.UUID]*fate
	order    []*fate
	versions map[cloud.UUID]map[string]*versionFate
	uploads  map[cloud.UploadID]*cloud.Upload // nil: at its end
	touches  []touch
	lastDrop cloud.Cursor // of a directory

	found   map[cloud.UUID]placing      // where nodes are, as far as it is known
	linked  map[cloud.UUID]placing      // where their links say they are
	traits  map[cloud.UUID]cloud.Traits // what there are files for
	seeking map[cloud.UUID]bool
}

func (s *Store) newRecovery(id cloud.SpaceID) *recovery {
	return &recovery{s: s, id: id, nodes: map[cloud.UUID]*fate{}, versions: map[cloud.UUID]map[string]*versionFate{},
		uploads: map[cloud.UploadID]*cloud.Upload{}, found: map[cloud.UUID]placing{}, linked: map[cloud.UUID]placing{},
		seeking: map[cloud.UUID]bool{}}
}

// recover makes the tree agree with the journal.
func (s *Store) recover(ctx context.Context) error {
	begin := time.Now()
	all := map[cloud.SpaceID]*recovery{}
	n := 0
	for it, err := range s.journal.Tail {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		rec, rd, err := decodeEntry(it)
		if err != nil {
			return err
		}
		r := all[rec.Space]
		if r == nil {
			r = s.newRecovery(rec.Space)
			all[rec.Space] = r
		}
		if err := r.fold(&rec, &rd, it); err != nil {
			return fmt.Errorf("entry %d of the journal: %w", it.Cursor, err)
		}
		n++
	}
	if n == 0 {
		return nil
	}
	for _, r := range all {
		if err := r.run(ctx); err != nil {
			return fmt.Errorf("bringing the space %s in order: %w", r.id, err)
		}
	}
	if err := s.bringDown(); err != nil {
		return err
	}
	s.log.Info("the storage was not closed properly and has been brought in order", "entries", n, "spaces", len(all), "took", time.Since(begin))
	return nil
}

func (r *recovery) node(id cloud.NodeID) (*fate, error) {
	u, err := uuid(id)
	if err != nil {
		return nil, fmt.Errorf("the node %q: %w", id, err)
	}
	f := r.nodes[u]
	if f == nil {
		f = &fate{id: u}
		r.nodes[u] = f
		r.order = append(r.order, f)
	}
	return f, nil
}

// fold adds an entry to the story.
func (r *recovery) fold(rec *cloud.Record, rd *redo, it journal.Item) error {
	switch rec.Kind {
	case "":
		return r.foldNote(rd, it)
	case cloud.SpaceMade, cloud.SpaceChanged, cloud.SpaceDisabled, cloud.SpaceEnabled:
		file := &spaceFile{}
		if err := json.Unmarshal(it.Body, file); err != nil {
			return err
		}
		if rec.Kind != cloud.SpaceMade {
			r.says = file
			return nil
		}
		file.Seq = rec.Seq
		r.made = file
		f, err := r.node(rec.Node)
		if err != nil {
			return err
		}
		f.dir = true
		f.take(rec, rd)
		r.touch(f.id, rec)
		return nil
	case cloud.SpaceDropped:
		*r = *r.s.newRecovery(r.id)
		r.dropped = rec.Seq
		return nil
	case cloud.VersionFiled:
		return r.foldVersion(rec, rd)
	}
	if file, key, ok := cloud.SplitVersion(rec.Node); ok {
		u, err := uuid(file)
		if err != nil {
			return err
		}
		r.version(u, key).gone = true // Dropped is all that happens to one
		return nil
	}
	f, err := r.node(rec.Node)
	if err != nil {
		return err
	}
	f.dir = rec.Dir
	if f.id == r.root() { // Edited, Regranted, Relocked
		return r.foldChange(f, placing{}, rec, rd)
	}
	at, err := placed(rec.Parent, rec.Node, rec.Name)
	if err != nil {
		return err
	}
	return r.foldChange(f, at, rec, rd)
}

func (r *recovery) root() cloud.UUID {
	id, _ := cloud.ParseUUID(string(r.id.Root()))
	return id
}

func (r *recovery) foldChange(f *fate, at placing, rec *cloud.Record, rd *redo) error {
	switch rec.Kind {
	case cloud.FileMade, cloud.FileWritten:
		if rec.Kind == cloud.FileMade {
			f.made, f.gone = true, false
		}
		r.foldContent(f, rec, rd)
		r.touch(at.parent, rec)
	case cloud.DirMade:
		f.made = true
		if rd.From == fromOutside {
			f.content.kind = fromPerson
		}
		r.touch(f.id, rec)
		r.touch(at.parent, rec)
	case cloud.Moved, cloud.Trashed, cloud.Restored:
		name := rec.OldName
		if name == "" {
			name = rec.Name
		}
		old, err := placed(rec.OldParent, rec.Node, name)
		if err != nil {
			return err
		}
		f.places = append(f.places, old)
		f.anyhow = rd.Note == noteMoved
		f.bin = rd.Bin
		r.touch(old.parent, rec)
		r.touch(at.parent, rec)
	case cloud.Dropped:
		f.gone = true
		if f.dir {
			r.lastDrop = rec.Seq
		}
		r.touch(at.parent, rec)
	case cloud.Edited, cloud.Regranted:
		f.take(rec, rd)
		if !f.dir {
			r.touch(at.parent, rec)
			break
		}
		r.touch(f.id, rec)
		if rd.Dated {
			r.touches[len(r.touches)-1].mtime = &rec.MTime
		}
	case cloud.Relocked:
		f.take(rec, rd)
	default:
		return fmt.Errorf("a record of the unknown kind %q", rec.Kind)
	}
	f.at, f.seq = at, rec.Seq
	f.places = append(f.places, at)
	return nil
}

// take notes what an edit leaves behind. rd is empty for the second record
// of one edit: the first has it all.
func (f *fate) take(rec *cloud.Record, rd *redo) {
	if rd.Rare != nil {
		for i, b := range rd.Rare {
			if b != nil {
				f.rare[i] = b
			}
		}
	}
	if f.dir || rd.Note == "" && rec.Kind != cloud.Edited {
		return
	}
	state := rd.State
	f.state = &state
	f.dated = f.dated || rd.Dated
	f.mtime, f.size, f.sums = rec.MTime, rec.Size, rec.Sums
	f.content.MTime = rec.MTime
}

func (r *recovery) foldContent(f *fate, rec *cloud.Record, rd *redo) {
	if rd.Keep != "" {
		v := r.version(f.id, rd.Keep)
		v.source = f.content
		v.source.content, v.state = rd.Was, f.state
	}
	state := rd.State
	f.state, f.dated = &state, false
	f.content = sourceOf(rec, rd)
	if rd.Upload != "" {
		r.uploads[rd.Upload] = nil
	}
}

func sourceOf(rec *cloud.Record, rd *redo) source {
	src := source{content: content{rec.Size, rec.MTime, rec.Sums}}
	switch rd.From {
	case fromBody:
		src.kind, src.cursor = fromJournal, rec.Seq
	case fromOutside:
		src.kind = fromPerson
	default:
		src.kind, src.path = fromFile, rd.From
	}
	return src
}

func (r *recovery) version(id cloud.UUID, key string) *versionFate {
	if r.versions[id] == nil {
		r.versions[id] = map[string]*versionFate{}
	}
	v := r.versions[id][key]
	if v == nil {
		v = &versionFate{}
		r.versions[id][key] = v
	}
	return v
}

func (r *recovery) foldVersion(rec *cloud.Record, rd *redo) error {
	file, key, ok := cloud.SplitVersion(rec.Node)
	u, err := uuid(file)
	if err != nil || !ok {
		return fmt.Errorf("the version %q: %w", rec.Node, fs.ErrNotExist)
	}
	v := r.version(u, key)
	*v = versionFate{source: sourceOf(rec, rd), state: &rd.State}
	if rd.Upload != "" {
		r.uploads[rd.Upload] = nil
	}
	return nil
}

func (r *recovery) foldNote(rd *redo, it journal.Item) error {
	switch rd.Note {
	case noteUpload:
		u := &cloud.Upload{}
		if err := json.Unmarshal(it.Body, u); err != nil {
			return err
		}
		r.uploads[rd.Upload] = u
	case noteCancel:
		r.uploads[rd.Upload] = nil
	default:
		return fmt.Errorf("a note of the unknown kind %q", rd.Note)
	}
	return nil
}

func (r *recovery) touch(dir cloud.UUID, rec *cloud.Record) {
	r.touches = append(r.touches, touch{dir: dir, seq: rec.Seq, at: rec.At})
}
