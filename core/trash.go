package core

import (
	"context"
	"errors"
	"iter"

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

// binned finds a node in the bin.
func (c *Core) binned(ctx context.Context, sp *space, ref cloud.Ref) (*cloud.Node, error) {
	chain, err := c.store.Ancestors(ctx, sp.id, ref.Node)
	if err != nil {
		return nil, err
	}
	if chain[0] != cloud.TrashID {
		return nil, cloud.NotExist
	}
	return c.store.Lookup(ctx, sp.id, ref.Node, ref.Path)
}

func (c *Core) Trash(ctx context.Context, ref cloud.Ref) iter.Seq2[*cloud.Node, error] {
	return wrap("core.Trash", ref, func(yield func(*cloud.Node, error) bool) {
		sp, root, err := c.inBin(ctx, ref.Space, cloud.CanListTrash)
		if err != nil {
			yield(nil, err)
			return
		}
		defer c.leave(sp)
		dir := cloud.TrashID
		if ref.Node != "" && ref.Node != cloud.TrashID {
			n, err := c.binned(ctx, sp, ref)
			if err != nil {
				yield(nil, err)
				return
			}
			if n.Rights = root.Rights; !yield(n, nil) || !n.Dir {
				return
			}
			dir = n.ID
		}
		for n, err := range c.store.Children(ctx, sp.id, dir) {
			if err == nil {
				n.Rights = root.Rights
			}
			if !yield(n, err) || err != nil {
				return
			}
		}
	})
}

func (c *Core) Restore(ctx context.Context, ref, to cloud.Ref, over bool) (*cloud.Node, bool, error) {
	n, made, err := c.restore(ctx, ref, to, over)
	return n, made, cloud.E("core.Restore", ref, err)
}

func (c *Core) restore(ctx context.Context, ref, to cloud.Ref, over bool) (*cloud.Node, bool, error) {
	want := cloud.CanListTrash | cloud.CanRestore
	if to.Space != "" && to.Space != ref.Space {
		want |= cloud.CanRead | cloud.CanDelete // it leaves the space
	}
	sp, _, err := c.inBin(ctx, ref.Space, want)
	if err != nil {
		return nil, false, err
	}
	defer c.leave(sp)
	n, err := c.binned(ctx, sp, ref)
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
	n, err = c.dress(ctx, target, n, dst.dir.Rights)
	return n, made, err
}

func (c *Core) Purge(ctx context.Context, ref cloud.Ref) error {
	return cloud.E("core.Purge", ref, c.purge(ctx, ref))
}

func (c *Core) purge(ctx context.Context, ref cloud.Ref) error {
	sp, _, err := c.inBin(ctx, ref.Space, cloud.CanListTrash|cloud.CanPurge)
	if err != nil {
		return err
	}
	defer c.leave(sp)
	if ref.Node != "" && ref.Node != cloud.TrashID {
		n, err := c.binned(ctx, sp, ref)
		if err != nil {
			return err
		}
		return c.store.Drop(ctx, sp.id, n.ID)
	}
	var all []cloud.NodeID
	for n, err := range c.store.Children(ctx, sp.id, cloud.TrashID) {
		if err != nil {
			return err
		}
		all = append(all, n.ID)
	}
	for _, id := range all {
		if err := c.store.Drop(ctx, sp.id, id); err != nil && !errors.Is(err, cloud.NotExist) {
			return err
		}
	}
	return nil
}
