package posix

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"

	"opencloud/cloud"
	"opencloud/storage"
	"opencloud/storage/posix/disk"
)

// What people do to the tree behind our back is seen when somebody looks, and
// becomes a change like any other, with a record. When a reader cannot get the
// locks for that it shows what there is and leaves it to the next.

// adopt makes a node of one entry.
func (sp *space) adopt(v view, e entry) (entry, error) {
	for _, a := range sp.adoptAll(v, []entry{e}) {
		return a, nil
	}
	return e, fs.ErrNotExist
}

// provisional is what can be shown of an entry that could not be adopted.
func (e entry) provisional() entry {
	if !e.ok || e.attr.dir != (e.info.Kind == disk.Folder) {
		e.attr = attr{dir: e.info.Kind == disk.Folder, id: cloud.NewUUID()}
	}
	if !e.attr.dir && e.attr.print != printOf(e.info) {
		e.attr.sums = cloud.Sums{}
	}
	return e
}

// An adoption is what becomes of one entry.
type adoption struct {
	entry
	record cloud.Record // no kind: nothing that anybody would care for
	redo   redo
	link   bool  // the id link has to be written
	copy   bool  // another name of the same file: it needs a file of its own
	delta  int64 // for the directory
	from   *dir  // where it was, by a person's move
}

// patience is how often a reader tries to get the locks. It cannot wait for
// them: it may be called by somebody who holds one, from Write.Check.
const patience = 100

// adoptAll makes nodes of entries of one directory and returns what they are
// now. An entry that is gone is left out.
func (sp *space) adoptAll(v view, es []entry) (all []entry) {
	for i := 0; len(es) > 0 && i < patience; i++ {
		if i > 0 {
			time.Sleep(time.Millisecond)
		}
		var done, moved []entry
		if sp.tree.TryRLock() {
			current := sp.current(v.d)
			if current {
				done, es, moved = sp.adoptShared(v, es)
			}
			sp.tree.RUnlock()
			if !current {
				break
			}
		}
		all = append(all, done...)
		for _, e := range moved {
			if a, ok := sp.adoptMovedDir(v, e); ok {
				all = append(all, a)
			} else {
				es = append(es, e)
			}
		}
	}
	for _, e := range es {
		all = append(all, e.provisional())
	}
	return all
}

// adoptShared is adoptAll for a caller that holds tree, shared. Directories
// that were moved need it alone and come back in moved, entries the locks of
// which are taken in rest.
func (sp *space) adoptShared(v view, es []entry) (all, rest, moved []entry) {
	locked := map[int]bool{}
	defer func() {
		for i := range locked {
			sp.store.names[i].Unlock()
		}
	}()
	var plans []*adoption
	for _, e := range es {
		if i := sp.stripe(v.d.id, e.at.name); !locked[i] {
			if !sp.store.names[i].TryLock() {
				rest = append(rest, e)
				continue
			}
			locked[i] = true
		}
		e, err := sp.entry(e.at) // again, now that it cannot change
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && e.info.Kind == disk.Irregular:
		case err != nil:
			sp.store.log.Warn("cannot read a file", "space", sp.id, "path", cloud.Join(v.ref, e.at.name), "err", err)
		case e.settled():
			all = append(all, e)
		default:
			p, err := sp.plan(v, e)
			switch {
			case err != nil:
				sp.store.log.Warn("cannot take in a file", "space", sp.id, "path", cloud.Join(v.ref, e.at.name), "err", err)
				rest = append(rest, e)
			case p == nil:
				moved = append(moved, e)
			default:
				plans = append(plans, p)
			}
		}
	}
	if len(plans) == 0 {
		return all, rest, moved
	}
	if err := sp.carryOut(v, plans); err != nil {
		sp.store.log.Warn("cannot take in what was changed from outside", "space", sp.id, "path", v.ref, "err", err)
		for _, p := range plans {
			rest = append(rest, p.entry)
		}
		return all, rest, moved
	}
	for _, p := range plans {
		all = append(all, p.entry)
	}
	return all, rest, moved
}

// plan decides what becomes of an entry. It is nil for a directory that a
// person has moved here. The caller holds tree and the name.
func (sp *space) plan(v view, e entry) (*adoption, error) {
	p := &adoption{entry: e, redo: redo{From: fromOutside}}
	isDir := e.info.Kind == disk.Folder
	kind := cloud.FileMade
	if isDir {
		kind = cloud.DirMade
	}
	fresh := func() {
		p.attr = attr{dir: isDir, id: cloud.NewUUID(), sums: p.attr.sums, print: p.attr.print, mtime: now()}
		if v.d == sp.bin {
			p.attr.id, _ = cloud.ParseUUID(e.at.name) // where the name is the id
		}
		p.link = true
	}
	known := e.ok && e.attr.dir == isDir
	if !known {
		p.attr = attr{}
		fresh()
	} else if e.attr.place != placeOf(e.at.parent, e.at.name) {
		parent, name, err := sp.linkOf(e.attr.id)
		switch {
		case errors.Is(err, fs.ErrNotExist): // from another place altogether, or the link was lost
			p.link = true
		case err != nil:
			return nil, err
		case parent == e.at.parent && (name == e.at.name || parent == binID):
			kind = "" // only the attribute does not say so
		default:
			from, stands, err := sp.standsAt(e.attr.id, parent, name)
			if err != nil {
				return nil, err
			}
			switch {
			case stands: // a copy that took the attribute along
				p.copy = e.info.Links > 1 && !isDir
				fresh()
			case isDir:
				return nil, nil
			default:
				kind, p.link, p.from = cloud.Moved, true, from
				p.redo = redo{Note: noteMoved}
				p.record.OldParent = nodeID(parent)
				if name != e.at.name {
					p.record.OldName = name
				}
			}
		}
	} else {
		kind = cloud.FileWritten
	}
	if !isDir && p.attr.print != printOf(e.info) {
		p.attr.print, p.attr.sums = printOf(e.info), cloud.Sums{}
		if kind == "" {
			kind = cloud.FileWritten
		}
	}
	switch kind {
	case cloud.FileMade, cloud.Moved:
		p.delta = e.info.Size
	case cloud.DirMade:
		p.delta = p.attr.size
	}
	p.attr.place = placeOf(e.at.parent, e.at.name)
	p.ok = true
	if kind != "" {
		n, err := v.node(&p.entry)
		if err != nil {
			return nil, err
		}
		r := sp.record(context.Background(), kind, n)
		r.OldParent, r.OldName = p.record.OldParent, p.record.OldName
		p.record = r
	}
	return p, nil
}

// standsAt tells whether a node is where its link says, and in which directory.
func (sp *space) standsAt(id, parent cloud.UUID, name string) (*dir, bool, error) {
	if parent == binID {
		name = id.String()
	}
	v, err := sp.enter(parent)
	if err == nil {
		defer v.dir.Close()
		v.name = name
		var a attr
		var ok bool
		if a, ok, err = sp.store.meta.get(v.spot); err == nil {
			return v.d, ok && a.id == id, nil
		}
	}
	return v.d, false, ignoreMissing(err)
}

// carryOut puts the adoptions into the journal and into effect.
func (sp *space) carryOut(v view, plans []*adoption) error {
	c := &change{sp: sp}
	for _, p := range plans {
		switch {
		case p.record.Kind == "":
		case c.record.Kind == "":
			c.record, c.redo = p.record, p.redo
		default:
			c.more = append(c.more, part{p.record, p.redo})
		}
	}
	apply := func(last cloud.Cursor) error {
		for _, p := range plans {
			if err := sp.applyAdoption(p, last); err != nil {
				return err
			}
		}
		return nil
	}
	if c.record.Kind == "" {
		return apply(0)
	}
	c.apply = func(first cloud.Cursor) error { return apply(first + cloud.Cursor(len(c.more))) }
	c.done = func(last cloud.Cursor) {
		sp.mu.Lock()
		defer sp.mu.Unlock()
		for _, p := range plans {
			sp.bump(v.d, last, c.record.At, p.delta)
			if p.from != nil && sp.dirs[p.from.id] == p.from {
				sp.bump(p.from, last, c.record.At, -p.delta)
			}
		}
	}
	if err := sp.store.commit(c); err != nil {
		return err
	}
	for _, p := range plans {
		switch {
		case p.record.Kind == cloud.DirMade:
			sp.store.adoptSoon(sp, p.attr.id)
		case !p.attr.dir && !p.attr.sums.Known:
			sp.store.sumSoon(sp, p.attr.id)
		}
	}
	return nil
}

func (sp *space) applyAdoption(p *adoption, last cloud.Cursor) error {
	if p.copy {
		i, err := sp.unshare(p.at)
		if err != nil {
			return err
		}
		p.info = i
		p.attr.print = printOf(i)
	}
	if p.attr.dir && p.record.Kind != "" {
		p.attr.last = last
	}
	if err := sp.store.meta.set(p.at, p.attr); err != nil {
		return err
	}
	if !p.link {
		return nil
	}
	name := p.at.name
	if p.at.parent == binID {
		_, name, _ = sp.binInfo(p.attr.id)
	}
	return sp.setLink(p.attr.id, p.at.parent, name)
}

// unshare gives a name a file of its own, when a person has given one file
// two names.
func (sp *space) unshare(at spot) (i disk.Info, err error) {
	t, i, err := sp.duplicate(at)
	if err != nil {
		return i, err
	}
	tmp, err := sp.inner("tmp", true)
	if err != nil {
		return i, err
	}
	defer tmp.Close()
	return i, tmp.Rename(t, at.dir, at.name, true)
}

// duplicate copies a file into tmp, durably.
func (sp *space) duplicate(at spot) (name string, i disk.Info, err error) {
	from, err := at.dir.Open(at.name, false)
	if err != nil {
		return "", i, err
	}
	defer from.Close()
	was, err := sp.store.disk.StatFile(from)
	if err != nil {
		return "", i, err
	}
	a, ok, err := sp.store.meta.get(at)
	if err != nil {
		return "", i, err
	}
	tmp, err := sp.inner("tmp", true)
	if err != nil {
		return "", i, err
	}
	defer tmp.Close()
	name = tmpName()
	to, err := tmp.Create(name)
	if err != nil {
		return "", i, err
	}
	defer to.Close()
	_, err = io.Copy(to, from)
	if err == nil && ok {
		err = sp.store.meta.begin(to, a)
	}
	if err == nil {
		err = disk.SetMTime(to, was.MTime)
	}
	if err == nil {
		err = to.Sync()
	}
	if err == nil {
		i, err = sp.store.disk.StatFile(to)
	}
	if err != nil {
		return "", i, errors.Join(err, tmp.Remove(name))
	}
	return name, i, nil
}

// adoptMovedDir takes over a directory that a person has moved here.
func (sp *space) adoptMovedDir(v view, e entry) (entry, bool) {
	if !sp.tree.TryLock() {
		return e, false
	}
	defer sp.tree.Unlock()
	e, err := sp.entry(e.at)
	if err != nil || !sp.current(v.d) || !e.ok || !e.attr.dir || e.settled() {
		return e, err == nil && e.settled()
	}
	id := e.attr.id
	parent, name, err := sp.linkOf(id)
	if err != nil {
		return e, false
	}
	from, stands, err := sp.standsAt(id, parent, name)
	if err != nil || stands {
		return e, false
	}
	size := e.attr.size
	loop := false
	sp.mu.Lock()
	if d := sp.dirs[id]; d != nil {
		size = d.size
		if loop = v.d.below(d); loop { // the memory is behind by more than this
			sp.forget(d)
		}
	}
	sp.mu.Unlock()
	if loop {
		return e, false
	}
	e.attr.place, e.attr.size = placeOf(e.at.parent, e.at.name), size
	n, err := v.node(&e)
	if err != nil {
		return e, false
	}
	n.Parent, n.Name, n.Size = v.d.node, e.at.name, size
	r := sp.record(context.Background(), cloud.Moved, n)
	r.OldParent = nodeID(parent)
	if name != e.at.name {
		r.OldName = name
	}
	err = sp.store.commit(&change{sp: sp, record: r, redo: redo{Note: noteMoved},
		apply: func(cloud.Cursor) error {
			sp.moving.Lock()
			defer sp.moving.Unlock()
			if err := sp.store.meta.set(e.at, e.attr); err != nil {
				return err
			}
			if err := sp.setLink(id, v.d.id, e.at.name); err != nil {
				return err
			}
			sp.mu.Lock()
			defer sp.mu.Unlock()
			if d := sp.dirs[id]; d != nil {
				sp.rehang(d, v.d, e.at.name, "")
			}
			return nil
		},
		done: func(c cloud.Cursor) {
			sp.mu.Lock()
			defer sp.mu.Unlock()
			if from != nil && sp.dirs[from.id] == from {
				sp.bump(from, c, r.At, -size)
			}
			sp.bump(v.d, c, r.At, size)
		}})
	if err != nil {
		sp.store.log.Warn("cannot take in a folder that was moved from outside", "space", sp.id, "path", cloud.Join(v.ref, e.at.name), "err", err)
		return e, false
	}
	return e, true
}

// rehang moves a directory in memory. The caller holds mu and moving, or is
// the only one who changes things.
func (sp *space) rehang(d, to *dir, name, title string) {
	if d.parent == nil {
		return // forgotten just now, because a person has put another there
	}
	if d.parent.children[d.name] == d {
		delete(d.parent.children, d.name)
	}
	d.parent, d.name, d.title = to, name, title
	if old := to.children[name]; old != nil && old != d {
		sp.forget(old)
	}
	if to.children == nil {
		to.children = map[string]*dir{}
	}
	to.children[name] = d
}

// pending is work that can wait: a bounded queue and one goroutine while
// there is any.
type pending struct {
	mu    sync.Mutex
	jobs  []job
	ready bool
	busy  bool
}

type job struct {
	what string
	id   string // of what
	do   func() error
}

// maxPending bounds the queue. What does not fit is found again by whoever
// looks next, or by Scan.
const maxPending = 16 << 10

// adoptSoon takes in everything below a directory, in the background.
func (s *Store) adoptSoon(sp *space, id cloud.UUID) {
	s.soon(job{"taking in a folder", id.String(), func() error { return sp.takeIn(s.life, id, nil) }})
}

// sumSoon computes a file's sums in the background.
func (s *Store) sumSoon(sp *space, id cloud.UUID) {
	s.soon(job{"computing checksums", id.String(), func() error { return sp.sum(id) }})
}

// sweepSoon removes what was dropped of a space, in the background.
func (s *Store) sweepSoon(sp *space) {
	s.soon(job{"removing what was dropped", string(sp.id), sp.sweep})
}

func (s *Store) soon(j job) {
	q := &s.pending
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) >= maxPending {
		return
	}
	q.jobs = append(q.jobs, j)
	s.startWork()
}

// startWork makes sure that somebody does the work. The caller holds the lock.
func (s *Store) startWork() {
	if q := &s.pending; q.ready && !q.busy && len(q.jobs) > 0 {
		q.busy = s.background(s.workOff)
	}
}

// ready says that the journal takes entries.
func (s *Store) ready() {
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	s.pending.ready = true
	s.startWork()
}

func (s *Store) workOff() {
	q := &s.pending
	for {
		q.mu.Lock()
		if len(q.jobs) == 0 || s.life.Err() != nil {
			q.busy = false
			q.jobs = nil
			q.mu.Unlock()
			return
		}
		j := q.jobs[0]
		q.jobs = q.jobs[1:]
		q.mu.Unlock()
		if err := j.do(); err != nil && !missing(err) && !errors.Is(err, context.Canceled) {
			s.log.Warn("background work failed", "what", j.what, "of", j.id, "err", err)
		}
	}
}

// takeIn lists a directory and all below it, which adopts what is new.
func (sp *space) takeIn(ctx context.Context, id cloud.UUID, progress func()) error {
	todo := []cloud.NodeID{nodeID(id)}
	for len(todo) > 0 {
		last := len(todo) - 1
		next := todo[last]
		todo = todo[:last]
		err := sp.children(ctx, next, func(n *cloud.Node, _ error) bool {
			if n.Dir {
				todo = append(todo, n.ID)
			} else if !n.Sums.Known && progress != nil {
				id, err := uuid(n.ID)
				if err == nil {
					err = sp.sum(id)
				}
				if err != nil && !missing(err) {
					sp.store.log.Warn("cannot read a file", "space", sp.id, "path", n.Path, "err", err)
				}
			}
			if progress != nil {
				progress()
			}
			return true
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Scan takes in everything that people have put into the tree, with sums.
// progress, when set, is told now and then how many nodes were seen.
func (s *Store) Scan(ctx context.Context, progress func(done int64)) error {
	if err := s.loadAll(); err != nil {
		return cloud.E("posix.Scan", cloud.Ref{}, err)
	}
	var n int64
	for _, sp := range s.loaded() {
		err := sp.takeIn(ctx, sp.root.id, func() {
			if n++; n%1000 == 0 && progress != nil {
				progress(n)
			}
		})
		if err != nil {
			return cloud.E("posix.Scan", spaceRef(sp.id), err)
		}
	}
	if progress != nil {
		progress(n)
	}
	return nil
}

// sum computes the sums of a file that a person has written.
func (sp *space) sum(id cloud.UUID) error {
	v, e, err := sp.find(id)
	if err != nil {
		return err
	}
	defer v.dir.Close()
	if e.attr.dir || e.attr.sums.Known {
		return nil
	}
	f, err := v.dir.Open(e.at.name, false)
	if err != nil {
		return err
	}
	defer f.Close()
	h := storage.NewHasher()
	buf := make([]byte, 256<<10)
	for {
		if err := sp.store.life.Err(); err != nil {
			return err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	unlock, err := sp.share()
	if err != nil {
		return err
	}
	defer unlock()
	defer sp.lockName(v.d.id, e.at.name)()
	now, err := sp.entry(e.at)
	if err != nil || !sp.current(v.d) || !now.settled() || now.info != e.info || now.attr != e.attr {
		return err // it has changed; whoever looks next will ask again
	}
	e.attr.sums = h.Sums()
	n := v.fileNode(&e)
	r := sp.record(context.Background(), cloud.Edited, n)
	return sp.store.commit(&change{sp: sp, record: r, redo: redo{State: e.attr.state},
		apply: func(cloud.Cursor) error { return sp.store.meta.set(e.at, e.attr) },
		done: func(c cloud.Cursor) {
			sp.mu.Lock()
			defer sp.mu.Unlock()
			sp.bump(v.d, c, r.At, 0)
		}})
}
