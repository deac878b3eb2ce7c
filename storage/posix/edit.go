package posix

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"

	"opencloud/cloud"
	"opencloud/storage"
	"opencloud/storage/posix/disk"
)

func (s *Store) Edit(ctx context.Context, space cloud.SpaceID, id cloud.NodeID, fn func(*cloud.Node) error) (*cloud.Node, error) {
	sp, err := s.space(space)
	var n *cloud.Node
	if err == nil {
		n, err = sp.edit(ctx, id, fn)
	}
	var c errCheck
	if errors.As(err, &c) {
		return nil, c.error
	}
	return n, cloud.E("posix.Edit", cloud.Ref{Space: space, Node: id}, err)
}

func (sp *space) edit(ctx context.Context, id cloud.NodeID, fn func(*cloud.Node) error) (*cloud.Node, error) {
	if file, key, ok := cloud.SplitVersion(id); ok {
		_, err := sp.versionNode(file, key)
		return nil, cmp.Or(err, cloud.Refuse(cloud.NotSupported, "A version cannot be changed."))
	}
	u, err := uuid(id)
	if err != nil || u == binID {
		return nil, fs.ErrNotExist
	}
	unlock, err := sp.share()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if u == sp.root.id {
		defer sp.lockName(atopID, "")()
		return sp.editDir(ctx, sp.root, fn)
	}
	v, e, release, err := sp.hold(u)
	if err != nil {
		return nil, err
	}
	defer release()
	defer v.dir.Close()
	if e.attr.dir {
		d, err := sp.dir(u)
		if err != nil {
			return nil, err
		}
		return sp.editDir(ctx, d, fn)
	}
	return sp.editFile(ctx, v, &e, fn)
}

// edited calls fn and prepares the change that it makes; nil for none.
func (sp *space) edited(ctx context.Context, n *cloud.Node, id cloud.UUID, fn func(*cloud.Node) error) (c *change, has *rare, dated bool, err error) {
	had, mtime, state := take(n), n.MTime, n.State
	take(n).give(n) // fn may alter what it gets, and the memory has the same
	if err := fn(n); err != nil {
		return nil, nil, false, errCheck{err}
	}
	n.MTime = n.MTime.UTC().Round(0)
	has = take(n)
	what := has.changed(had)
	if what&has.traits() != 0 { // something is set, not only taken away
		if err := sp.store.room(0); err != nil {
			return nil, nil, false, err
		}
	}
	dated = !n.MTime.Equal(mtime)
	n.Traits = has.traits()
	c = &change{sp: sp}
	record := func(kind cloud.Event) cloud.Record {
		r := sp.record(ctx, kind, n)
		if kind == cloud.Regranted {
			r.Given, r.Taken = storage.Regranted(had.grants, has.grants)
		}
		return r
	}
	for _, k := range []struct {
		is   bool
		kind cloud.Event
	}{
		{dated || n.State != state || what&cloud.HasAttrs != 0, cloud.Edited},
		{what&cloud.HasGrants != 0, cloud.Regranted},
		{what&cloud.HasLocks != 0, cloud.Relocked},
	} {
		switch {
		case !k.is:
		case c.record.Kind == "":
			c.record = record(k.kind)
			c.redo = redo{State: n.State, Dated: dated}
			if what != 0 {
				c.redo.Rare = has.edit(what)
			}
		default:
			more := record(k.kind)
			more.At = c.record.At // it is one change
			c.more = append(c.more, part{record: more})
		}
	}
	if c.record.Kind == "" {
		return nil, has, false, nil
	}
	if len(c.more) > 0 && c.more[len(c.more)-1].record.Kind == cloud.Relocked {
		c.quiet = 1
	}
	back := had.edit(what)
	c.restore = func() error { return sp.writeRare(id, back) }
	c.apply = func(cloud.Cursor) error {
		if c.redo.Rare == nil {
			return nil
		}
		if err := sp.writeRare(id, c.redo.Rare); err != nil {
			return errors.Join(err, c.restore())
		}
		sp.store.at("edit: rare")
		return nil
	}
	return c, has, dated, nil
}

func (sp *space) editDir(ctx context.Context, d *dir, fn func(*cloud.Node) error) (*cloud.Node, error) {
	n, err := sp.dirNodeFull(d)
	if err != nil {
		return nil, err
	}
	c, has, dated, err := sp.edited(ctx, n, d.id, fn)
	if err != nil {
		return nil, err
	}
	if c != nil {
		c.done = func(last cloud.Cursor) {
			sp.mu.Lock()
			defer sp.mu.Unlock()
			if c.record.Kind != cloud.Relocked {
				sp.bump(d, last, c.record.At, 0)
			}
			if dated {
				d.mtime = n.MTime
			}
			d.traits, d.rare = has.traits(), has
			sp.soil(d)
		}
		if err := sp.store.commit(c); err != nil {
			return nil, err
		}
	}
	return sp.dirNodeFull(d)
}

func (sp *space) editFile(ctx context.Context, v view, e *entry, fn func(*cloud.Node) error) (*cloud.Node, error) {
	n, err := v.full(e)
	if err != nil {
		return nil, err
	}
	c, has, dated, err := sp.edited(ctx, n, e.attr.id, fn)
	if err != nil {
		return nil, err
	}
	if c != nil {
		rares := c.apply
		c.apply = func(last cloud.Cursor) error {
			if err := rares(last); err != nil {
				return err
			}
			now, err := sp.alter(v, *e, n, has.traits(), dated)
			if err != nil {
				return errors.Join(err, c.restore())
			}
			*e = now
			return nil
		}
		c.done = func(last cloud.Cursor) {
			if c.record.Kind == cloud.Relocked {
				return
			}
			sp.mu.Lock()
			defer sp.mu.Unlock()
			sp.bump(v.d, last, c.record.At, 0)
		}
		if err := sp.store.commit(c); err != nil {
			return nil, err
		}
	}
	return v.full(e)
}

// alter gives a file the state, the traits and the time of a node.
func (sp *space) alter(v view, e entry, n *cloud.Node, t cloud.Traits, dated bool) (entry, error) {
	now := e
	now.attr.state, now.attr.traits = n.State, t
	var f *os.File
	if dated {
		var err error
		if f, err = v.dir.Open(e.at.name, false); err != nil {
			return e, err
		}
		defer f.Close()
		if err := disk.SetMTime(f, n.MTime); err != nil {
			return e, err
		}
		// What the file system makes of the time is the time.
		if now.info, err = sp.store.disk.StatFile(f); err != nil {
			return e, err
		}
		now.attr.print = printOf(now.info)
	}
	if now.attr == e.attr {
		return now, nil
	}
	err := sp.store.meta.set(e.at, now.attr)
	if err != nil && f != nil {
		err = errors.Join(err, disk.SetMTime(f, e.info.MTime))
	}
	return now, err
}
