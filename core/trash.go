package core

import (
	"context"
	"errors"
	"iter"
	"slices"

	"opencloud/cloud"
)

// inBin enters a space for something in its bin. The rights there are those
// on the root: where it came from may be gone.
func (c *Core) inBin(ctx context.Context, id cloud.SpaceID, want cloud.Rights) (*space, spot, error) {
	sp, err := c.enter(ctx, id)
	if err != nil {
		return nil, spot{}, err
	}
	root, err := c.at(ctx, sp, cloud.Ref{Space: id}, want)
	if err != nil {
		c.leave(sp)
		return nil, spot{}, err
	}
	return sp, root, nil
}

// binned finds a node in the bin, with the rights that somebody has there.
func (c *Core) binned(ctx context.Context, sp *space, p principal, ref cloud.Ref) (*cloud.Node, []cloud.NodeID, error) {
	n, err := c.store.Lookup(ctx, sp.id, ref.Node, ref.Path)
	if err != nil {
		return nil, nil, err
	}
	chain, err := c.store.Ancestors(ctx, sp.id, n.ID)
	if err != nil {
		return nil, nil, err
	}
	if chain[0] != cloud.TrashID {
		return nil, nil, cloud.NotExist
	}
	n.Rights = sp.walkBin(p, chain, c.now()).here
	return n, chain, allow(n.Rights, 0)
}

// stayDenied gives what is about to leave for the bin the denials that hold
// for it there where it stands: in the bin, and wherever it is restored to, it
// is to be no more open than it was.
func (c *Core) stayDenied(ctx context.Context, p place) error {
	sp, now := p.dir.space, c.now()
	var above []cloud.Grant
	sp.mu.RLock()
	if len(sp.denials) > 0 {
		for _, id := range p.dir.chain {
			for _, g := range sp.grants[id] {
				if g.Denies() && !g.Expired(now) {
					above = append(above, g)
				}
			}
		}
	}
	sp.mu.RUnlock()
	if len(above) == 0 {
		return nil
	}
	_, err := c.regrant(ctx, sp, p.now.ID, func(gs []cloud.Grant) ([]cloud.Grant, error) {
		for _, g := range above {
			if !slices.ContainsFunc(gs, func(o cloud.Grant) bool { return o.Denies() && o.To == g.To }) {
				g.ID = newShareID()
				gs = append(gs, g)
			}
		}
		return gs, nil
	})
	return err
}

func (c *Core) Trash(ctx context.Context, ref cloud.Ref) iter.Seq2[*cloud.Node, error] {
	return wrap("core.Trash", ref, func(yield func(*cloud.Node, error) bool) {
		if ref.Space == cloud.SharesSpace && ref.Node == "" {
			return // what is removed there was never in it
		}
		sp, root, err := c.inBin(ctx, ref.Space, cloud.CanListTrash)
		if err != nil {
			yield(nil, err)
			return
		}
		defer c.leave(sp)
		dir := cloud.TrashID
		chain := []cloud.NodeID{cloud.TrashID}
		if ref.Node != "" && ref.Node != cloud.TrashID {
			n, up, err := c.binned(ctx, sp, root.who, ref)
			if err != nil {
				yield(nil, err)
				return
			}
			if n.Grants = nil; !yield(n, nil) || !n.Dir {
				return
			}
			dir, chain = n.ID, up
		}
		for n, err := range c.store.Children(ctx, sp.id, dir) {
			if err == nil {
				n.Rights, n.Grants = root.Rights, nil
				if n.Traits&cloud.HasGrants != 0 {
					n.Rights = sp.walkBin(root.who, append(slices.Clip(chain), n.ID), c.now()).here
				}
				if !n.Rights.Has(cloud.CanStat) {
					continue
				}
			}
			if !yield(n, err) || err != nil {
				return
			}
		}
	})
}

func (c *Core) Restore(ctx context.Context, ref, to cloud.Ref, over bool) (*cloud.Node, bool, error) {
	v := via{Ref: to}
	var err error
	if to.Space != "" {
		v, err = c.into(ctx, to)
	}
	if err != nil {
		return nil, false, cloud.E("core.Restore", ref, err)
	}
	n, made, err := c.restore(ctx, ref, v.Ref, over)
	return v.show(n), made, cloud.E("core.Restore", ref, err)
}

func (c *Core) restore(ctx context.Context, ref, to cloud.Ref, over bool) (*cloud.Node, bool, error) {
	want := cloud.CanListTrash | cloud.CanRestore
	if to.Space != "" && to.Space != ref.Space {
		want |= cloud.CanRead | cloud.CanDelete // it leaves the space
	}
	sp, root, err := c.inBin(ctx, ref.Space, want)
	if err != nil {
		return nil, false, err
	}
	defer c.leave(sp)
	n, _, err := c.binned(ctx, sp, root.who, ref)
	if err != nil {
		return nil, false, err
	}
	if to.Space == "" {
		entry, err := c.store.Node(ctx, sp.id, ref.Node)
		if err != nil {
			return nil, false, err
		}
		if entry.Bin == nil {
			return nil, false, cloud.Refuse(cloud.Invalid, "Say where to restore it to.")
		}
		to = cloud.Ref{Space: ref.Space, Path: cloud.Join(entry.Bin.Path, ref.Path)}
	}
	target, err := c.enter(ctx, to.Space)
	if err != nil {
		return nil, false, err
	}
	defer c.leave(target)
	dst, err := c.place(ctx, target, to)
	switch {
	case errors.Is(err, cloud.Conflict):
		return nil, false, cloud.Refuse(cloud.Conflict, "The folder it was in is gone. Restore it to another folder.")
	case err != nil:
		return nil, false, err
	case dst.name == "":
		return nil, false, cloud.Refuse(cloud.Permission, "The root of a space cannot be replaced.")
	}
	if err := c.mayReceive(ctx, n, dst, cloud.Transfer{Over: over}); err != nil {
		return nil, false, err
	}
	if err := c.whole(ctx, sp, root.who, n); err != nil {
		return nil, false, err
	}
	made := dst.now == nil
	if !made {
		if err := c.discard(ctx, dst, cloud.Conditions{}); err != nil {
			return nil, false, err
		}
	}
	if to.Space == ref.Space {
		n, err = c.store.Move(ctx, sp.id, n.ID, dst.dir.ID, dst.name)
	} else {
		n, err = c.moveAcross(ctx, sp, n, dst)
	}
	if errors.Is(err, cloud.Exist) {
		err = cloud.Precondition
	}
	if err != nil {
		return nil, false, err
	}
	return c.dressAt(&dst.dir, n), made, nil
}

func (c *Core) Purge(ctx context.Context, ref cloud.Ref) error {
	return cloud.E("core.Purge", ref, c.purge(ctx, ref))
}

func (c *Core) purge(ctx context.Context, ref cloud.Ref) error {
	sp, root, err := c.inBin(ctx, ref.Space, cloud.CanListTrash|cloud.CanPurge)
	if err != nil {
		return err
	}
	defer c.leave(sp)
	granted := false // on what is dropped there may have been grants
	defer func() {
		if granted {
			c.forgetGone(ctx, sp)
		}
	}()
	drop := func(n *cloud.Node) error {
		if err := c.whole(ctx, sp, root.who, n); err != nil {
			return err
		}
		granted = granted || n.Dir || n.Traits&cloud.HasGrants != 0
		return c.store.Drop(ctx, sp.id, n.ID)
	}
	if ref.Node != "" && ref.Node != cloud.TrashID {
		n, _, err := c.binned(ctx, sp, root.who, ref)
		if err != nil {
			return err
		}
		return drop(n)
	}
	var all []*cloud.Node
	for n, err := range c.store.Children(ctx, sp.id, cloud.TrashID) {
		if err != nil {
			return err
		}
		all = append(all, n)
	}
	for _, n := range all {
		// What the caller may not know of stays, without a word.
		if err := drop(n); err != nil && !errors.Is(err, cloud.NotExist) && !errors.Is(err, cloud.Permission) {
			return err
		}
	}
	return nil
}
