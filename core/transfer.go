package core

import (
	"context"
	"errors"
	"slices"
	"strings"

	"opencloud/cloud"
)

func (c *Core) Move(ctx context.Context, from, to cloud.Ref, how cloud.Transfer) (*cloud.Node, bool, error) {
	n, made, err := c.transferVia(ctx, from, to, how, true)
	return n, made, cloud.E("core.Move", from, err)
}

func (c *Core) Copy(ctx context.Context, from, to cloud.Ref, how cloud.Transfer) (*cloud.Node, bool, error) {
	n, made, err := c.transferVia(ctx, from, to, how, false)
	return n, made, cloud.E("core.Copy", from, err)
}

// transferVia is transfer for refs into the Shares space, too.
func (c *Core) transferVia(ctx context.Context, from, to cloud.Ref, how cloud.Transfer, move bool) (*cloud.Node, bool, error) {
	src, err := c.inside(ctx, from)
	if err != nil {
		return nil, false, err
	}
	if move && src.atMount() {
		n, err := c.rename(ctx, src, to, how.Conditions)
		return n, true, err
	}
	dst, err := c.into(ctx, to)
	if err == nil && dst.atMount() && how.Over && move {
		err = errShares // what is mounted is not to be replaced by something else
	}
	if err != nil {
		return nil, false, err
	}
	n, made, err := c.transfer(ctx, src.Ref, dst.Ref, how, move)
	return dst.show(n), made, err
}

// transfer is what moving and copying have in common: finding both ends and
// asking the rules.
func (c *Core) transfer(ctx context.Context, from, to cloud.Ref, how cloud.Transfer, move bool) (*cloud.Node, bool, error) {
	srcSpace, err := c.enter(ctx, from.Space)
	if err != nil {
		return nil, false, err
	}
	defer c.leave(srcSpace)
	src, err := c.place(ctx, srcSpace, from)
	switch {
	case errors.Is(err, cloud.Conflict):
		return nil, false, cloud.NotExist
	case err != nil:
		return nil, false, err
	case src.now == nil:
		return nil, false, cloud.NotExist
	case src.name == "" && move:
		return nil, false, cloud.Refuse(cloud.Permission, "A space cannot be moved like a folder.")
	}
	dstSpace, err := c.enter(ctx, to.Space)
	if err != nil {
		return nil, false, err
	}
	defer c.leave(dstSpace)
	dst, err := c.place(ctx, dstSpace, to)
	if err != nil {
		return nil, false, err
	}
	if dst.name == "" {
		return nil, false, cloud.Refuse(cloud.Permission, "The root of a space cannot be replaced.")
	}

	want := cloud.CanRead
	if move {
		want = cloud.CanMove
		if from.Space != to.Space {
			want |= cloud.CanRead | cloud.CanDelete
		}
	}
	if err := allow(src.now.Rights, want); err != nil {
		return nil, false, err
	}
	if err := met(how.Conditions, src.now); err != nil {
		return nil, false, err
	}
	if err := c.mayReceive(ctx, src.now, dst, how); err != nil {
		return nil, false, err
	}
	if move {
		if _, err := c.leaveTree(ctx, src, how.Tokens); err != nil {
			return nil, false, err
		}
		if err := c.whole(ctx, srcSpace, src.dir.who, src.now); err != nil {
			return nil, false, err
		}
	} else if err := c.fits(ctx, dst, src.now, how.Shallow); err != nil {
		return nil, false, err
	}

	made := dst.now == nil
	if !made && !move && !src.now.Dir && !dst.now.Dir {
		n, err := c.overwrite(ctx, src, dst, how)
		return n, false, err
	}
	if !made {
		if err := c.discard(ctx, dst, cloud.Conditions{Tokens: how.Tokens}); err != nil {
			return nil, false, err
		}
	}
	var n *cloud.Node
	switch {
	case !move:
		at := src.dir.reach
		if src.name != "" {
			at = srcSpace.enters(src.dir.who, at, src.now, c.now())
		}
		n, err = c.copyTree(ctx, srcSpace, src.now, dst, copying{shallow: how.Shallow, who: src.dir.who, from: at})
	case from.Space == to.Space:
		n, err = c.store.Move(ctx, srcSpace.id, src.now.ID, dst.dir.ID, dst.name)
	default:
		n, err = c.moveAcross(ctx, srcSpace, src.now, dst)
	}
	if errors.Is(err, cloud.Exist) {
		err = cloud.Precondition // somebody was quicker with the name
	}
	if err != nil {
		return nil, false, err
	}
	return c.dressAt(&dst.dir, n), made, nil
}

// mayReceive says whether a node may come to a place.
func (c *Core) mayReceive(ctx context.Context, n *cloud.Node, dst place, how cloud.Transfer) error {
	want := cloud.CanWrite
	if n.Dir {
		want = cloud.CanMakeDir
	}
	if dst.blind {
		return cloud.Permission // a move or a copy would have to tell what became of it
	}
	if dst.now != nil && !dst.now.Dir && !n.Dir {
		if err := allow(dst.now.Rights, want); err != nil {
			return err
		}
	} else if err := allow(dst.dir.reach.below, want); err != nil {
		return err
	}
	if n.Space == dst.dir.space.id {
		chain, err := c.store.Ancestors(ctx, n.Space, dst.dir.ID)
		if err != nil {
			return err
		}
		if slices.Contains(chain, n.ID) {
			return cloud.Refuse(cloud.Conflict, "A folder cannot be put into itself.")
		}
	}
	if dst.now == nil {
		return c.unlocked(ctx, dst, nil, how.Tokens)
	}
	if dst.now.ID == n.ID && n.Space == dst.dir.space.id {
		return cloud.Refuse(cloud.Permission, "Source and destination are the same.")
	}
	if !how.Over {
		return cloud.Precondition
	}
	if n.Space != dst.dir.space.id {
		return nil
	}
	chain, err := c.store.Ancestors(ctx, n.Space, n.ID)
	if err == nil && slices.Contains(chain, dst.now.ID) {
		err = cloud.Refuse(cloud.Conflict, "A folder cannot be replaced by something in it.")
	}
	return err
}

// fits is Full when a copy or an upload would not fit into the quota.
func (c *Core) fits(ctx context.Context, dst place, n *cloud.Node, shallow bool) error {
	if n.Dir && shallow {
		return nil
	}
	free, err := c.free(ctx, dst.dir.space)
	if err != nil {
		return err
	}
	need := n.Size
	if dst.now != nil && !dst.now.Dir {
		need -= dst.now.Size
	}
	if need > free {
		return cloud.Refuse(cloud.Full, "There is not enough space left in the space.")
	}
	return nil
}

// overwrite copies a file over a file, which keeps its id and its versions.
func (c *Core) overwrite(ctx context.Context, src, dst place, how cloud.Transfer) (*cloud.Node, error) {
	body, now, err := c.store.Open(ctx, src.now.Space, src.now.ID)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	n, _, err := c.write(ctx, dst, cloud.Write{Body: body, Size: now.Size, MTime: now.MTime}, cloud.Conditions{Tokens: how.Tokens})
	if err != nil || len(now.Attrs) == 0 && len(n.Attrs) == 0 {
		return n, err
	}
	got, err := c.store.Edit(ctx, n.Space, n.ID, func(n *cloud.Node) error {
		n.Attrs = props(now)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.dressAt(&dst.dir, got), nil
}

// props are the attributes that a copy takes along (RFC 4918, section 9.8.2):
// what was said of the content, not what people did with the node.
func props(n *cloud.Node) map[string]string {
	attrs := map[string]string{}
	for k, v := range n.Attrs {
		if strings.HasPrefix(k, cloud.AttrProp) {
			attrs[k] = v
		}
	}
	return attrs
}

type copying struct {
	shallow  bool // a directory without its members
	versions bool // earlier contents, too
	all      bool // all attributes

	// Only what who may read is copied; from is what they may do with the node
	// at hand. who is not set for what is moved whole.
	who  principal
	from reach
	// keeps says which grants go along; nil: none.
	keeps func(cloud.Grant) bool
}

// copyTree makes a copy of a node of one space at a place. When it fails, what
// was made so far is dropped: a half copy would look like a whole one.
func (c *Core) copyTree(ctx context.Context, from *space, n *cloud.Node, dst place, how copying) (*cloud.Node, error) {
	to := dst.dir.space
	made, err := c.copyNode(ctx, from, n, to, dst.dir.ID, dst.name, how)
	if err == nil {
		made, err = c.store.Node(ctx, to.id, made.ID) // its size is that of all below now
	}
	if err != nil && made != nil {
		if e := c.store.Drop(context.WithoutCancel(ctx), to.id, made.ID); e != nil {
			err = errors.Join(err, e)
		}
		c.forgetGone(ctx, to)
		return nil, err
	}
	return made, err
}

// copyNode returns what it made also when it fails below.
func (c *Core) copyNode(ctx context.Context, from *space, n *cloud.Node, to *space, dir cloud.NodeID, name string, how copying) (made *cloud.Node, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if n.Dir {
		made, err = c.store.MakeDir(ctx, to.id, dir, name)
	} else {
		made, err = c.copyFile(ctx, from, n.ID, cloud.Write{Space: to.id, Dir: dir, Name: name, Fresh: true}, to)
	}
	if err != nil {
		return nil, err
	}
	attrs := n.Attrs
	if !how.all {
		attrs = props(n)
	}
	if len(attrs) > 0 {
		if _, err := c.store.Edit(ctx, to.id, made.ID, func(n *cloud.Node) error { n.Attrs = attrs; return nil }); err != nil {
			return made, err
		}
	}
	if err := c.carry(ctx, from, n.ID, to, made.ID, how.keeps); err != nil {
		return made, err
	}
	if !n.Dir {
		if how.versions {
			err = c.copyVersions(ctx, from, n.ID, to, made.ID)
		}
		return made, err
	}
	up := how.from
	if how.shallow {
		return made, nil
	}
	for child, err := range c.store.Children(ctx, from.id, n.ID) {
		if err != nil {
			return made, err
		}
		if how.who != (principal{}) {
			if how.from = from.enters(how.who, up, child, c.now()); !how.from.here.Has(cloud.CanRead) {
				continue
			}
		}
		if child.Traits&cloud.HasAttrs != 0 && child.Attrs == nil {
			if child, err = c.store.Node(ctx, from.id, child.ID); err != nil {
				return made, err
			}
		}
		if _, err := c.copyNode(ctx, from, child, to, made.ID, child.Name, how); err != nil && !errors.Is(err, cloud.NotExist) {
			return made, err
		}
	}
	return made, nil
}

// copyFile writes the content of a node, which may be a version, somewhere else.
func (c *Core) copyFile(ctx context.Context, from *space, id cloud.NodeID, w cloud.Write, to *space) (*cloud.Node, error) {
	body, n, err := c.store.Open(ctx, from.id, id)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var reserved int64
	defer func() { to.release(reserved) }()
	w.Body, w.Size, w.MTime, w.State = body, n.Size, n.MTime, n.State
	w.Check = func(_ *cloud.Node, size int64) error {
		if err := c.reserve(ctx, to, size); err != nil {
			return err
		}
		reserved = size
		return nil
	}
	made, _, err := c.store.Write(ctx, w)
	return made, err
}

func (c *Core) copyVersions(ctx context.Context, from *space, file cloud.NodeID, to *space, made cloud.NodeID) error {
	for v, err := range c.store.Children(ctx, from.id, cloud.VersionsOf(file)) {
		if err != nil {
			return err
		}
		w := cloud.Write{Space: to.id, Dir: cloud.VersionsOf(made), Name: v.Name, Fresh: true}
		if _, err := c.copyFile(ctx, from, v.ID, w, to); err != nil {
			return err
		}
	}
	return nil
}

// moveAcross moves a node to another space: copy first, drop then. Cut short
// between the two, it stands at both ends.
func (c *Core) moveAcross(ctx context.Context, from *space, n *cloud.Node, dst place) (*cloud.Node, error) {
	if err := c.fits(ctx, dst, n, false); err != nil {
		return nil, err
	}
	below, err := c.lockedBelow(ctx, from, n)
	if err != nil {
		return nil, err
	}
	made, err := c.copyTree(ctx, from, n, dst, copying{versions: true, all: true, keeps: c.keeps(&dst.dir)})
	if err != nil {
		return nil, err
	}
	if err := c.store.Drop(ctx, from.id, n.ID); err != nil {
		return nil, err
	}
	from.mu.Lock()
	for _, id := range below {
		delete(from.locks, id)
	}
	from.mu.Unlock()
	c.forgetGone(ctx, from)
	return made, nil
}

// keeps says which grants go along with what moves to a directory of another
// space: those that the mover could make there, too.
func (c *Core) keeps(dir *spot) func(cloud.Grant) bool {
	return func(g cloud.Grant) bool {
		needs, may := cloud.CanGrant, cloud.CreateShares
		switch {
		case g.Denies():
			needs = cloud.CanDeny
		case g.To.Link != "":
			may = cloud.CreateLinks
		}
		return !g.Expired(c.now()) && dir.reach.below.Has(needs|g.Rights) && dir.who.user.May(may)
	}
}

// carry gives a node of another space the grants that go along.
func (c *Core) carry(ctx context.Context, from *space, n cloud.NodeID, to *space, made cloud.NodeID, keeps func(cloud.Grant) bool) error {
	if keeps == nil {
		return nil
	}
	from.mu.RLock()
	gs := slices.Clone(from.grants[n])
	from.mu.RUnlock()
	gs = slices.DeleteFunc(gs, func(g cloud.Grant) bool { return !keeps(g) })
	if len(gs) == 0 {
		return nil
	}
	_, err := c.regrant(ctx, to, made, func([]cloud.Grant) ([]cloud.Grant, error) { return gs, nil })
	return err
}
