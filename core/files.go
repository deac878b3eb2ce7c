package core

import (
	"context"
	"errors"
	"io"
	"iter"

	"opencloud/cloud"
)

func (c *Core) Stat(ctx context.Context, ref cloud.Ref) (*cloud.Node, error) {
	v, err := c.through(ctx, ref)
	var n *cloud.Node
	switch {
	case err != nil:
	case v.root():
		n, err = c.sharesRoot(ctx)
	default:
		n, err = c.stat(ctx, v.Ref)
	}
	return v.show(n), cloud.E("core.Stat", ref, err)
}

func (c *Core) stat(ctx context.Context, ref cloud.Ref) (*cloud.Node, error) {
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return nil, err
	}
	defer c.leave(sp)
	n, err := c.at(ctx, sp, ref, 0)
	if err != nil {
		return nil, err
	}
	return c.dress(&n), nil
}

func (c *Core) List(ctx context.Context, ref cloud.Ref) iter.Seq2[*cloud.Node, error] {
	return wrap("core.List", ref, func(yield func(*cloud.Node, error) bool) {
		v, err := c.through(ctx, ref)
		if err == nil && v.root() {
			c.listShares(ctx, yield)
			return
		}
		var sp *space
		if err == nil {
			sp, err = c.enter(ctx, v.Space)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		defer c.leave(sp)
		dir, err := c.at(ctx, sp, v.Ref, cloud.CanList)
		if err == nil && !dir.Dir {
			err = cloud.Refuse(cloud.Invalid, "This is a file: it has no members.")
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for n, err := range c.store.Children(ctx, sp.id, dir.ID) {
			if err != nil {
				yield(nil, err)
				return
			}
			if n = c.dressAt(&dir, n); n.Rights.Has(cloud.CanStat) && !yield(v.member(n), nil) {
				return
			}
		}
	})
}

// wrap gives the errors of a listing their operation and ref.
func wrap(op string, ref cloud.Ref, seq iter.Seq2[*cloud.Node, error]) iter.Seq2[*cloud.Node, error] {
	return func(yield func(*cloud.Node, error) bool) {
		for n, err := range seq {
			if !yield(n, cloud.E(op, ref, err)) {
				return
			}
		}
	}
}

func (c *Core) Open(ctx context.Context, ref cloud.Ref, version string) (io.ReadSeekCloser, *cloud.Node, error) {
	v, err := c.through(ctx, ref)
	if err == nil && v.root() {
		err = errNoContent
	}
	if err != nil {
		return nil, nil, cloud.E("core.Open", ref, err)
	}
	body, n, err := c.open(ctx, v.Ref, version)
	return body, v.show(n), cloud.E("core.Open", ref, err)
}

var errNoContent = cloud.Refuse(cloud.Invalid, "This is a folder: it has no content of its own.")

func (c *Core) open(ctx context.Context, ref cloud.Ref, version string) (io.ReadSeekCloser, *cloud.Node, error) {
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return nil, nil, err
	}
	defer c.leave(sp)
	want := cloud.CanRead
	if version != "" {
		want |= cloud.CanListVersions
	}
	n, err := c.at(ctx, sp, ref, want)
	if err != nil {
		return nil, nil, err
	}
	if n.Dir {
		return nil, nil, errNoContent
	}
	id := n.ID
	if version != "" {
		id = cloud.Version(n.ID, version)
	}
	body, got, err := c.store.Open(ctx, sp.id, id)
	if err != nil {
		return nil, nil, err
	}
	// The state of what was opened counts, not of what was looked up before.
	if got.State != cloud.Ready {
		body.Close()
		if got.State == cloud.Pending {
			return nil, nil, cloud.Processing
		}
		return nil, nil, cloud.Refuse(cloud.Permission, "The file was set aside because its content is not safe.")
	}
	n.Node = got
	return body, c.dress(&n), nil
}

func (c *Core) Put(ctx context.Context, ref cloud.Ref, body io.Reader, how cloud.Put) (*cloud.Node, bool, error) {
	v, err := c.into(ctx, ref)
	if err != nil {
		return nil, false, cloud.E("core.Put", ref, err)
	}
	n, made, err := c.put(ctx, v.Ref, body, how)
	return v.show(n), made, cloud.E("core.Put", ref, err)
}

func (c *Core) put(ctx context.Context, ref cloud.Ref, body io.Reader, how cloud.Put) (*cloud.Node, bool, error) {
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return nil, false, err
	}
	defer c.leave(sp)
	p, err := c.place(ctx, sp, ref)
	if err != nil {
		return nil, false, err
	}
	return c.write(ctx, p, cloud.Write{Body: body, Size: how.Size, Sum: how.Sum, MTime: how.MTime}, how.Conditions)
}

// write puts content into a place, by all the rules. They are asked before
// the first byte, to refuse early, and again when the content is whole.
func (c *Core) write(ctx context.Context, p place, w cloud.Write, how cloud.Conditions) (*cloud.Node, bool, error) {
	if p.blind {
		return c.drop(ctx, p, w, how)
	}
	sp := p.dir.space
	var reserved int64
	defer func() { sp.release(reserved) }()
	check := func(now *cloud.Node, size int64) error {
		if now != nil && now.Dir {
			return cloud.Refuse(cloud.Exist, "There is a folder with this name.")
		}
		if err := met(how, now); err != nil {
			return err
		}
		dir, old := p.dir.again(c.now()), int64(0)
		may := dir.below
		if now != nil {
			may, old = sp.enters(p.dir.who, dir, now, c.now()).here, now.Size
		}
		if err := allow(may, cloud.CanWrite); err != nil {
			return err
		}
		if err := c.unlocked(ctx, p, now, how.Tokens); err != nil {
			return err
		}
		sp.release(reserved)
		reserved = 0
		if size <= old {
			return nil
		}
		if err := c.reserve(ctx, sp, size-old); err != nil {
			return err
		}
		reserved = size - old
		return nil
	}
	if p.name == "" {
		return nil, false, cloud.Refuse(cloud.Exist, "There is a folder with this name.")
	}
	if err := check(p.now, max(w.Size, 0)); err != nil {
		return nil, false, err
	}
	if w.Sum != "" {
		if _, _, err := cloud.SplitSum(w.Sum); err != nil {
			return nil, false, err
		}
	}
	w.Space, w.Dir, w.Name = sp.id, p.dir.ID, p.name
	w.Check = check
	w.Keep = !c.opts.NoVersions && (p.now == nil || p.now.State != cloud.Pending) // nobody has read it yet
	if w.Body != nil && sp.limited() {
		free, err := c.free(ctx, sp)
		if err != nil {
			return nil, false, err
		}
		// What is free counts from what stands there already; a limit of 0 would be none.
		w.Limit = max(free+reserved, 1)
		if p.now != nil {
			w.Limit += p.now.Size
		}
	}
	n, made, err := c.store.Write(ctx, w)
	if err != nil {
		return nil, false, err
	}
	return c.dressAt(&p.dir, n), made, nil
}

func (c *Core) MakeDir(ctx context.Context, ref cloud.Ref, how cloud.Conditions) (*cloud.Node, error) {
	v, err := c.into(ctx, ref)
	if err != nil {
		return nil, cloud.E("core.MakeDir", ref, err)
	}
	n, err := c.makeDir(ctx, v.Ref, how)
	return v.show(n), cloud.E("core.MakeDir", ref, err)
}

func (c *Core) makeDir(ctx context.Context, ref cloud.Ref, how cloud.Conditions) (*cloud.Node, error) {
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return nil, err
	}
	defer c.leave(sp)
	p, err := c.place(ctx, sp, ref)
	if err != nil {
		return nil, err
	}
	if p.now != nil {
		return nil, cloud.Exist
	}
	if err := allow(p.dir.reach.below, cloud.CanMakeDir); err != nil {
		return nil, err
	}
	if err := met(how, nil); err != nil {
		return nil, err
	}
	if err := c.unlocked(ctx, p, nil, how.Tokens); err != nil {
		return nil, err
	}
	if p.blind {
		return c.dropDir(ctx, p)
	}
	n, err := c.store.MakeDir(ctx, sp.id, p.dir.ID, p.name)
	if err != nil {
		return nil, err
	}
	return c.dressAt(&p.dir, n), nil
}

func (c *Core) Remove(ctx context.Context, ref cloud.Ref, how cloud.Conditions) error {
	v, err := c.inside(ctx, ref)
	switch {
	case err != nil:
	case v.atMount():
		err = c.unmount(ctx, v, how)
	default:
		err = c.remove(ctx, v.Ref, how)
	}
	return cloud.E("core.Remove", ref, err)
}

func (c *Core) remove(ctx context.Context, ref cloud.Ref, how cloud.Conditions) error {
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return err
	}
	defer c.leave(sp)
	p, err := c.place(ctx, sp, ref)
	if err != nil {
		if errors.Is(err, cloud.Conflict) {
			err = cloud.NotExist
		}
		return err
	}
	if p.now == nil {
		return cloud.NotExist
	}
	return c.discard(ctx, p, how)
}

// discard moves what stands at a place into the trash, by all the rules.
func (c *Core) discard(ctx context.Context, p place, how cloud.Conditions) error {
	sp := p.dir.space
	if p.name == "" {
		return cloud.Refuse(cloud.Permission, "A space cannot be deleted like a folder. Disable it first.")
	}
	if err := allow(p.now.Rights, cloud.CanDelete); err != nil {
		return err
	}
	if err := met(how, p.now); err != nil {
		return err
	}
	if err := c.whole(ctx, sp, p.dir.who, p.now); err != nil {
		return err
	}
	below, err := c.leaveTree(ctx, p, how.Tokens)
	if err != nil {
		return err
	}
	if err := c.stayDenied(ctx, p); err != nil {
		return err
	}
	if _, err := c.store.Move(ctx, sp.id, p.now.ID, cloud.TrashID, ""); err != nil {
		return err
	}
	// Locks end with the tree (RFC 4918, section 9.6).
	return c.dropLocks(ctx, sp, below)
}

func (c *Core) Change(ctx context.Context, ref cloud.Ref, ch cloud.Change) (*cloud.Node, error) {
	v, err := c.inside(ctx, ref)
	if err != nil {
		return nil, cloud.E("core.Change", ref, err)
	}
	n, err := c.change(ctx, v.Ref, ch)
	return v.show(n), cloud.E("core.Change", ref, err)
}

func (c *Core) change(ctx context.Context, ref cloud.Ref, ch cloud.Change) (*cloud.Node, error) {
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return nil, err
	}
	defer c.leave(sp)
	n, err := c.at(ctx, sp, ref, cloud.CanWrite)
	if err != nil {
		return nil, err
	}
	if err := c.mayTouch(ctx, sp, n.who, n.chain, ch.Tokens); err != nil {
		return nil, err
	}
	got, err := c.store.Edit(ctx, sp.id, n.ID, func(n *cloud.Node) error {
		if err := met(ch.Conditions, n); err != nil {
			return err
		}
		if ch.MTime != nil {
			n.MTime = *ch.MTime
		}
		return setAttrs(n, ch.Attrs)
	})
	if err != nil {
		return nil, err
	}
	n.Node = got
	return c.dress(&n), nil
}

func setAttrs(n *cloud.Node, change map[string]*string) error {
	if len(change) == 0 {
		return nil
	}
	attrs := make(map[string]string, len(n.Attrs)+len(change))
	size := 0
	for k, v := range n.Attrs {
		if _, ok := change[k]; !ok {
			attrs[k] = v
			size += len(k) + len(v)
		}
	}
	for k, v := range change {
		if v != nil {
			attrs[k] = *v
			size += len(k) + len(*v)
		}
	}
	if size > cloud.MaxAttrs {
		return cloud.Refuse(cloud.Full, "The properties of one item may take %d bytes at most.", cloud.MaxAttrs)
	}
	n.Attrs = attrs
	return nil
}
