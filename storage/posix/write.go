package posix

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"
)

// staged is content that is whole and has no place yet.
type staged struct {
	sp   *space
	dir  disk.Dir // that it is in: tmp or uploads
	name string
	file *os.File
	info disk.Info
	sums cloud.Sums
	from string // for the journal
	body []byte // when it goes into the journal
	buf  *[small + 1]byte
	done bool // it has a place, or waits there for another try
}

// drop lets go of it, and of the content unless that has a place.
func (st *staged) drop() {
	if st.buf != nil {
		smallBufs.Put(st.buf)
	}
	if st.file == nil {
		return
	}
	st.file.Close()
	defer st.sp.staging(st.name, false)
	if !st.done {
		if err := st.dir.Remove(st.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			st.sp.store.log.Warn("cannot remove what came to nothing", "space", st.sp.id, "file", st.name, "err", err)
		}
	}
	st.dir.Close()
}

// staging notes what in tmp is in use.
func (sp *space) staging(name string, on bool) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if on {
		sp.staged[name] = true
	} else {
		delete(sp.staged, name)
	}
}

// receive reads the body of a write.
func (sp *space) receive(w *cloud.Write) (st *staged, err error) {
	b := bounds{w.Size, w.Limit}
	if b.limit > 0 && b.size > b.limit {
		return nil, errTooLong
	}
	if err := sp.store.room(w.Size); err != nil {
		return nil, err
	}
	body := w.Body
	if body == nil {
		body = bytes.NewReader(nil)
	}
	st = &staged{sp: sp, buf: smallBufs.Get().(*[small + 1]byte)}
	defer func() {
		if err != nil {
			st.drop()
		}
	}()
	n, err := io.ReadFull(body, st.buf[:min(small+1, b.most())])
	whole := err == io.EOF || err == io.ErrUnexpectedEOF
	if err != nil && !whole {
		return st, err
	}
	whole = whole || n <= small // one byte too many has been asked for, and is there
	if whole {
		if err := b.check(int64(n)); err != nil {
			return st, err
		}
		st.body, st.from = st.buf[:n], fromBody
		st.sums = cloud.SumsOf(st.body)
		if err := st.sums.Match(w.Sum); err != nil {
			return st, err
		}
	}
	if st.dir, err = sp.inner("tmp", true); err != nil {
		return st, err
	}
	st.name = tmpName()
	sp.staging(st.name, true)
	if st.file, err = st.dir.Create(st.name); err != nil {
		sp.staging(st.name, false)
		st.dir.Close()
		return st, err
	}
	if whole {
		_, err = st.file.Write(st.body)
	} else {
		var size int64
		size, st.sums, err = copySums(st.file, st.buf[:n], body, b.most())
		if err == nil {
			err = b.check(size)
		}
		if err == nil {
			err = st.sums.Match(w.Sum)
		}
		st.from = "tmp/" + st.name
	}
	if err != nil {
		return st, err
	}
	return st, st.finish(w.MTime)
}

// finish dates the file, and makes it durable if the journal does not have it.
func (st *staged) finish(mtime time.Time) (err error) {
	if mtime.IsZero() {
		mtime = now()
	}
	if err := disk.SetMTime(st.file, mtime); err != nil {
		return err
	}
	if st.body == nil {
		if err := st.file.Sync(); err != nil {
			return err
		}
		st.sp.store.at("staged")
	}
	// What the file system makes of the time is the time.
	st.info, err = st.sp.store.disk.StatFile(st.file)
	return err
}

// errCheck carries the error of a Check out unchanged.
type errCheck struct{ error }

func (s *Store) Write(ctx context.Context, w cloud.Write) (n *cloud.Node, made bool, err error) {
	defer func() {
		var c errCheck
		if errors.As(err, &c) {
			err = c.error
		} else {
			err = cloud.E("posix.Write", cloud.Ref{Space: w.Space, Node: w.Dir, Path: w.Name}, err)
		}
	}()
	sp, err := s.space(w.Space)
	if err != nil {
		return nil, false, err
	}
	if err := cloud.CheckName(w.Name); err != nil {
		return nil, false, err
	}
	var st *staged
	if w.Upload != "" {
		var release func()
		if st, release, err = sp.redeem(&w); err == nil {
			defer release()
		}
	} else {
		st, err = sp.receive(&w)
	}
	if err != nil {
		return nil, false, err
	}
	defer st.drop()
	if file, key, ok := cloud.SplitVersion(w.Dir); ok {
		if key != "" {
			return nil, false, cloud.Conflict
		}
		return sp.fileVersion(ctx, &w, st, file)
	}
	return sp.write(ctx, &w, st)
}

// parent opens the directory that something new goes into. The caller holds tree.
func (sp *space) parent(id cloud.NodeID, name string) (view, error) {
	u, err := uuid(id)
	if err != nil {
		return view{}, cloud.Conflict
	}
	v, err := sp.enter(u)
	if missing(err) {
		return v, cloud.Conflict
	}
	if err != nil {
		return v, err
	}
	sp.mu.Lock()
	inBin := v.d.below(sp.bin)
	sp.mu.Unlock()
	if inBin {
		err = cloud.Conflict
	} else if err = cloud.CheckName(name); err == nil && v.d == sp.root && cloud.Reserved(name) {
		err = cloud.Refuse(cloud.Invalid, "The name %q is reserved. Choose another one.", name)
	}
	if err != nil {
		v.dir.Close()
	}
	return v, err
}

// standing reads what is at a name, taking in what a person has done there.
// The caller holds tree and the name.
func (sp *space) standing(v view, name string) (e entry, exists bool, err error) {
	v.name = name
	e, err = sp.entry(v.spot)
	if errors.Is(err, fs.ErrNotExist) {
		return e, false, nil
	}
	if err != nil || e.info.Kind == disk.Irregular || e.settled() {
		return e, err == nil, err
	}
	p, err := sp.plan(v, e)
	if err != nil || p == nil { // nil: a directory, which is in the way as it is
		return e, true, err
	}
	if err := sp.carryOut(v, []*adoption{p}); err != nil {
		return e, true, err
	}
	return p.entry, true, nil
}

func (sp *space) write(ctx context.Context, w *cloud.Write, st *staged) (*cloud.Node, bool, error) {
	unlock, err := sp.share()
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	dirID, err := uuid(w.Dir)
	if err != nil {
		return nil, false, cloud.Conflict
	}
	defer sp.lockName(dirID, w.Name)()
	v, err := sp.parent(w.Dir, w.Name)
	if err != nil {
		return nil, false, err
	}
	defer v.dir.Close()
	old, exists, err := sp.standing(v, w.Name)
	if err != nil {
		return nil, false, err
	}
	if exists && (w.Fresh || old.info.Kind != disk.File) {
		return nil, false, cloud.Exist
	}
	e := entry{at: v.spot, info: st.info, ok: true}
	e.at.name = w.Name
	e.attr = attr{id: old.attr.id, traits: old.attr.traits, state: w.State, sums: st.sums,
		place: placeOf(dirID, w.Name), print: printOf(st.info)}
	if !exists {
		if w.ID != "" {
			sp.minting.Lock()
			defer sp.minting.Unlock()
		}
		if e.attr.id, err = sp.mint(w.ID); err != nil {
			return nil, false, err
		}
	}
	if w.Check != nil {
		var now *cloud.Node
		if exists {
			if now, err = v.full(&old); err != nil {
				return nil, false, err
			}
		}
		if err := w.Check(now, st.info.Size); err != nil {
			return nil, false, errCheck{err}
		}
	}
	if err := sp.store.meta.begin(st.file, e.attr); err != nil {
		return nil, false, err
	}
	n, err := v.full(&e)
	if err != nil {
		return nil, false, err
	}
	c := &change{sp: sp, redo: redo{From: st.from, State: w.State, Upload: w.Upload}, body: st.body}
	grown := st.info.Size
	kind := cloud.FileMade
	if exists {
		kind = cloud.FileWritten
		grown -= old.info.Size
		if w.Keep {
			c.redo.Keep, c.redo.Was = sp.store.nextKey(), old.content()
		}
	}
	c.record = sp.record(ctx, kind, n)
	c.apply = func(cloud.Cursor) error { return sp.applyWrite(v, &e, st, exists, old.attr, c.redo.Keep, w.Upload) }
	c.done = func(last cloud.Cursor) {
		sp.mu.Lock()
		defer sp.mu.Unlock()
		sp.bump(v.d, last, c.record.At, grown)
	}
	if err := sp.store.commit(c); err != nil {
		return nil, false, err
	}
	return n, !exists, nil
}

// applyWrite puts new content in its place.
func (sp *space) applyWrite(v view, e *entry, st *staged, exists bool, old attr, keep string, upload cloud.UploadID) (err error) {
	id, s := e.attr.id, sp.store
	if exists && keep != "" {
		unkeep, err := sp.keep(v, e.at.name, id, keep)
		if err != nil {
			return err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, unkeep())
			}
		}()
		s.at("write: kept")
	}
	var l link
	if !exists {
		if l, err = sp.prepareLink(id, v.d.id, e.at.name); err != nil {
			return err
		}
		if err := l.commit(); err != nil {
			return err
		}
		s.at("write: linked")
	}
	if err = s.meta.arrive(e.at, e.attr); err == nil {
		err = st.dir.Rename(st.name, v.dir, e.at.name, exists)
	}
	if err != nil {
		if exists {
			return errors.Join(err, s.meta.arrive(e.at, old))
		}
		return errors.Join(err, s.meta.gone(e.at), sp.removeLink(id))
	}
	st.done = true
	s.at("write: in place")
	sp.endUpload(upload)
	return nil
}

// mint makes an id for a new node, or takes the one that is wanted.
func (sp *space) mint(want cloud.NodeID) (cloud.UUID, error) {
	if want == "" {
		return cloud.NewUUID(), nil
	}
	id, err := uuid(want)
	if err != nil || id == binID {
		return noID, cloud.Refuse(cloud.Invalid, "The id %q is not a UUID.", want)
	}
	if _, err := sp.resolve(want); err == nil {
		return noID, cloud.Refuse(cloud.Exist, "The id is already in use.")
	} else if !missing(err) {
		return noID, err
	}
	return id, nil
}
