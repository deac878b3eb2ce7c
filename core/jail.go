package core

import (
	"context"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"maps"
	"strings"

	"opencloud/cloud"
)

// errShares is for what would make or change something in the Shares space
// itself.
var errShares = cloud.Refuse(cloud.Permission, "Here stands only what others share with you. Choose a folder in it.")

// A via is what a ref stands for: itself or, in the Shares space, what is
// mounted there.
type via struct {
	cloud.Ref
	shares bool
	path   string       // in the Shares space
	mount  cloud.NodeID // empty at the root of the Shares space
	name   string       // of the mount
}

// root tells whether it is the Shares space itself.
func (v *via) root() bool { return v.shares && v.mount == "" }

// atMount tells whether it is a mount itself, not something in it.
func (v *via) atMount() bool { return v.mount != "" && v.Path == "" }

// through finds what a ref stands for. NotExist when nothing is mounted there;
// then path is set all the same.
func (c *Core) through(ctx context.Context, ref cloud.Ref) (via, error) {
	v := via{Ref: ref}
	if ref.Space != cloud.SharesSpace {
		return v, nil
	}
	v.shares, v.path = true, ref.Path
	u, err := caller(ctx)
	if err != nil {
		return v, err
	}
	byName := ref.Node == "" || ref.Node == cloud.SharesSpace.Root()
	if byName && ref.Path == "" {
		return v, nil
	}
	at, ok := cloud.ParseMountID(ref.Node)
	if !byName && !ok {
		return v, cloud.NotExist
	}
	name, rest := "", ref.Path
	if byName {
		name, rest, _ = strings.Cut(ref.Path, "/")
	}
	j := c.enterJail(u.ID)
	defer c.leaveJail(j)
	list, err := c.mounts(ctx, u, j)
	if err != nil {
		return v, err
	}
	if byName {
		at = list.byName[name]
	}
	e := list.byRef[at]
	if e == nil {
		return v, cloud.NotExist
	}
	v.Ref = cloud.Ref{Space: at.Space, Node: at.Node, Path: rest}
	v.mount, v.name, v.path = cloud.MountID(at.Space, at.Node), e.Name, cloud.Join(e.Name, rest)
	return v, nil
}

// inside is through for what the Shares space itself is not for.
func (c *Core) inside(ctx context.Context, ref cloud.Ref) (via, error) {
	v, err := c.through(ctx, ref)
	if err == nil && v.root() {
		err = errShares
	}
	return v, err
}

// into is inside for what may be made by this.
func (c *Core) into(ctx context.Context, ref cloud.Ref) (via, error) {
	v, err := c.inside(ctx, ref)
	if errors.Is(err, cloud.NotExist) {
		if err = cloud.Conflict; !strings.Contains(v.path, "/") {
			err = errShares
		}
	}
	return v, err
}

// show makes a node what it is in the Shares space, if that is where it was
// asked for: the mount has an id of its own, everything has its path there.
func (v *via) show(n *cloud.Node) *cloud.Node {
	if n == nil || !v.shares || v.root() {
		return n
	}
	if v.atMount() {
		for i := range n.Locks {
			if n.Locks[i].Node == n.ID {
				n.Locks[i].Node = v.mount
			}
		}
		n.Space, n.ID, n.Parent, n.Name = cloud.SharesSpace, v.mount, cloud.SharesSpace.Root(), v.name
		n.Rights |= placing // of the mount
	}
	relocate(n, v.path)
	return n
}

// member is show for a child of what was asked for.
func (v *via) member(n *cloud.Node) *cloud.Node {
	if v.shares {
		relocate(n, cloud.Join(v.path, n.Name))
	}
	return n
}

// relocate gives a node another path, and its locks theirs.
func relocate(n *cloud.Node, path string) {
	for i := range n.Locks {
		n.Locks[i].Path = ancestor(path, depthOf(n.Path)-depthOf(n.Locks[i].Path))
	}
	n.Path = path
}

// depthOf is how many names there are in a path.
func depthOf(path string) int {
	if path == "" {
		return 0
	}
	return 1 + strings.Count(path, "/")
}

// listShares yields what stands in the Shares space.
func (c *Core) listShares(ctx context.Context, yield func(*cloud.Node, error) bool) {
	u, err := caller(ctx)
	if err != nil {
		yield(nil, err)
		return
	}
	j := c.enterJail(u.ID)
	defer c.leaveJail(j)
	list, err := c.mounts(ctx, u, j)
	if err != nil {
		yield(nil, err)
		return
	}
	for _, m := range list.synced {
		n, _, err := c.received(ctx, u, m.at)
		if errors.Is(err, cloud.NotExist) {
			continue
		}
		if err != nil {
			yield(nil, err)
			return
		}
		v := via{shares: true, path: m.Name, mount: cloud.MountID(m.at.Space, m.at.Node), name: m.Name}
		if !yield(v.show(c.dress(&n)), nil) {
			return
		}
	}
}

// A rootMemory is the root of a Shares space as it was made last, with all
// that it was made of.
type rootMemory struct {
	node   *cloud.Node
	mounts string                   // a digest of what is mounted under which names
	spaces map[cloud.SpaceID]string // the ETags of their roots
	last   cloud.Cursor             // nothing has happened before
}

func (c *Core) sharesSpace(ctx context.Context) (*cloud.Space, error) {
	root, err := c.sharesRoot(ctx)
	if err != nil {
		return nil, err
	}
	free, err := c.store.Free(ctx)
	return &cloud.Space{ID: cloud.SharesSpace, Kind: cloud.Virtual, Name: "Shares", Alias: "virtual/shares", Root: root, Free: free}, err
}

// sharesRoot is the root of the caller's Shares space. Its ETag changes with
// what is mounted and with anything below, and with nothing else.
func (c *Core) sharesRoot(ctx context.Context) (*cloud.Node, error) {
	u, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	j := c.enterJail(u.ID)
	defer c.leaveJail(j)
	last := c.store.Last() // before looking, so that what happens meanwhile is not missed
	list, err := c.mounts(ctx, u, j)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	old := j.root
	j.mu.Unlock()
	if old.node != nil && old.mounts == list.digest && old.last == last {
		n := *old.node
		return &n, nil
	}
	spaces, err := c.rootTags(ctx, list.synced)
	if err != nil {
		return nil, err
	}
	if old.node == nil || old.mounts != list.digest || !maps.Equal(old.spaces, spaces) {
		if old.node, err = c.makeSharesRoot(ctx, u, list.synced); err != nil {
			return nil, err
		}
	}
	j.mu.Lock()
	j.root = rootMemory{old.node, list.digest, spaces, last}
	j.mu.Unlock()
	n := *old.node
	return &n, nil
}

// rootTags are the ETags of the spaces in which something is mounted; none for
// one that is disabled.
func (c *Core) rootTags(ctx context.Context, all []mounted) (map[cloud.SpaceID]string, error) {
	tags := map[cloud.SpaceID]string{}
	for _, m := range all {
		id := m.at.Space
		if _, known := tags[id]; known {
			continue
		}
		tag, err := c.rootTag(ctx, id)
		if found(err) != nil {
			return nil, err
		}
		tags[id] = tag
	}
	return tags, nil
}

func (c *Core) rootTag(ctx context.Context, id cloud.SpaceID) (string, error) {
	sp, err := c.enter(ctx, id)
	if err != nil {
		return "", err
	}
	defer c.leave(sp)
	n, err := c.store.Node(ctx, id, id.Root())
	if err != nil {
		return "", err
	}
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	if sp.disabled {
		return "", nil
	}
	return n.ETag, nil
}

func (c *Core) makeSharesRoot(ctx context.Context, u *cloud.User, all []mounted) (*cloud.Node, error) {
	root := &cloud.Node{ID: cloud.SharesSpace.Root(), Space: cloud.SharesSpace, Dir: true, Rights: cloud.CanStat | cloud.CanPath | cloud.CanList}
	h := fnv.New128a()
	for _, m := range all {
		n, _, err := c.received(ctx, u, m.at)
		if errors.Is(err, cloud.NotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		h.Write([]byte(m.Name + "\n" + string(cloud.MountID(m.at.Space, m.at.Node)) + "\n" + n.ETag + "\n"))
		root.Size += n.Size
		if n.MTime.After(root.MTime) {
			root.MTime = n.MTime
		}
	}
	root.ETag = hex.EncodeToString(h.Sum(nil))
	return root, nil
}

// unmount is Remove for a mount: it stays listed, and what it is for stays
// where it is.
func (c *Core) unmount(ctx context.Context, v via, how cloud.Conditions) error {
	n, err := c.stat(ctx, v.Ref)
	if err == nil {
		err = met(how, n)
	}
	if err == nil {
		_, err = c.mountBy(ctx, v.mount, cloud.MountChange{Synced: new(false)})
	}
	return err
}

// rename is Move for a mount.
func (c *Core) rename(ctx context.Context, v via, to cloud.Ref, how cloud.Conditions) (*cloud.Node, error) {
	if to.Space != cloud.SharesSpace || to.Node != "" && to.Node != cloud.SharesSpace.Root() || depthOf(to.Path) != 1 {
		return nil, cloud.Refuse(cloud.Permission, "What others share with you cannot be moved away. Copy it instead.")
	}
	n, err := c.stat(ctx, v.Ref)
	if err == nil {
		err = met(how, n)
	}
	if err == nil {
		_, err = c.mountBy(ctx, v.mount, cloud.MountChange{Name: &to.Path})
	}
	if errors.Is(err, cloud.Exist) {
		err = cloud.Precondition
	}
	if err != nil {
		return nil, err
	}
	v.name, v.path = to.Path, to.Path
	return v.show(n), nil
}
