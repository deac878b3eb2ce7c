package core

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
)

// A reach is what somebody may do at the end of a chain of nodes.
type reach struct {
	here  cloud.Rights // with the node itself; nothing: they do not know of it
	below cloud.Rights // with what it holds
	depth int          // of the node, 0 at the root
	top   int          // depth from which on the chain is theirs without a gap; -1: not even the node is
}

// nowhere is the reach above a root.
var nowhere = reach{depth: -1, top: -1}

// blind tells whether one may add below without knowing what is there.
func (r reach) blind() bool {
	return r.below.Has(cloud.CanStat) && r.below&(cloud.CanList|cloud.CanRead) == 0
}

const placing = cloud.CanMove | cloud.CanDelete

// step goes from a directory to a node in it. Called with mu held.
func (sp *space) step(p principal, up reach, id cloud.NodeID, now time.Time) reach {
	var own cloud.Rights
	denied := false
	gs := sp.grants[id]
	for i := range gs {
		switch g := &gs[i]; {
		case g.Expired(now):
		case g.Denies():
			denied = denied || p.visitor != nil || p.reaches(g, id)
		case p.reaches(g, id):
			own |= g.Rights
		}
	}
	r := reach{depth: up.depth + 1, top: up.top}
	switch {
	case denied && p.visitor != nil:
		r.below = own // what somebody made on this very node is meant for it
	case denied && !up.below.Has(cloud.CanDeny):
	default:
		r.below = up.below | own
	}
	switch {
	case !r.below.Has(cloud.CanStat):
		r.top = -1
	case up.top < 0:
		r.top = r.depth
	}
	if r.depth == 0 {
		r.here = r.below
	} else if r.below.Has(cloud.CanStat) && (own.Has(cloud.CanStat) || !up.blind()) {
		r.here = r.below &^ (placing &^ up.below)
	}
	return r
}

// walk is the reach at the end of a chain.
func (sp *space) walk(p principal, chain []cloud.NodeID, now time.Time) reach {
	r := nowhere
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	for _, id := range chain {
		r = sp.step(p, r, id, now)
	}
	return r
}

// walkBin is the reach at the end of a chain in the bin: what was granted on
// the space as a whole, unless something in the bin denies it. What gives more
// sleeps there.
func (sp *space) walkBin(p principal, chain []cloud.NodeID, now time.Time) reach {
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	r := sp.step(p, nowhere, sp.id.Root(), now)
	for _, id := range chain[1:] {
		below := sp.step(p, r, id, now).below & r.below
		if sp.denials[id] && !below.Has(cloud.CanStat) {
			return reach{depth: r.depth, top: -1}
		}
	}
	r.here = r.below
	return r
}

// enters is the reach of a member of the directory that ends with up.
func (sp *space) enters(p principal, up reach, n *cloud.Node, now time.Time) reach {
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	return sp.step(p, up, n.ID, now)
}

// atRoot is the reach of a user on a space as a whole.
func (sp *space) atRoot(u *cloud.User, now time.Time) reach {
	return sp.walk(principal{user: u}, []cloud.NodeID{sp.id.Root()}, now)
}

// chain is the ids from the root to a node that was looked up just now, both
// included.
func (c *Core) chain(ctx context.Context, sp *space, n *cloud.Node) ([]cloud.NodeID, error) {
	if n.Parent == "" {
		return []cloud.NodeID{n.ID}, nil
	}
	up, err := c.store.Ancestors(ctx, sp.id, n.Parent)
	return append(up, n.ID), err
}

// A spot is a node with what the caller may do there.
type spot struct {
	*space
	who   principal
	chain []cloud.NodeID
	reach reach
	*cloud.Node
}

// again asks for the rights once more: they may have changed meanwhile.
func (s *spot) again(now time.Time) reach { return s.walk(s.who, s.chain, now) }

// find looks up a node of the tree, whatever the caller may do there: who
// calls find asks for that.
func (c *Core) find(ctx context.Context, sp *space, ref cloud.Ref) (spot, error) {
	p, err := who(ctx)
	if err != nil {
		return spot{}, err
	}
	sp.mu.RLock()
	disabled := sp.disabled
	sp.mu.RUnlock()
	_, _, version := cloud.SplitVersion(ref.Node)
	if disabled || version || ref.Node == cloud.TrashID || p.visitor != nil && (ref.Node == "" || sp.id != p.visitor.Of.Space) {
		return spot{}, cloud.NotExist
	}
	n, err := c.store.Lookup(ctx, sp.id, ref.Node, ref.Path)
	if err != nil {
		return spot{}, err
	}
	s, err := c.spot(ctx, sp, p, n)
	if err == nil && p.visitor != nil && slices.Index(s.chain, ref.Node) < slices.Index(s.chain, p.visitor.Of.Node) {
		err = cloud.NotExist // the way from above the link is nothing to try
	}
	return s, err
}

// spot says what somebody may do with a node of the tree.
func (c *Core) spot(ctx context.Context, sp *space, p principal, n *cloud.Node) (spot, error) {
	chain, err := c.chain(ctx, sp, n)
	if err != nil {
		return spot{}, err
	}
	if chain[0] != sp.id.Root() {
		return spot{}, cloud.NotExist // in the bin
	}
	r := sp.walk(p, chain, c.now())
	n.Rights = r.here
	return spot{sp, p, chain, r, n}, nil
}

// at finds a node for the caller, who must at least be allowed to know of it.
// want is what else the caller must be allowed to do with it.
func (c *Core) at(ctx context.Context, sp *space, ref cloud.Ref, want cloud.Rights) (spot, error) {
	s, err := c.find(ctx, sp, ref)
	if err == nil {
		err = allow(s.Rights, want)
	}
	if err != nil {
		return spot{}, err
	}
	return s, nil
}

// allow hides what the caller may not even know of.
func allow(have, want cloud.Rights) error {
	switch {
	case !have.Has(cloud.CanStat):
		return cloud.NotExist
	case !have.Has(want):
		return cloud.Permission
	}
	return nil
}

// dress fills in what Files adds to a store's node, and takes away what the
// caller may not see of it.
func (c *Core) dress(s *spot) *cloud.Node {
	return c.dressed(s.space, s.who, s.Node, s.reach, s.chain)
}

// dressAt is dress for a node that stands in a directory.
func (c *Core) dressAt(dir *spot, n *cloud.Node) *cloud.Node {
	r := dir.enters(dir.who, dir.reach, n, c.now())
	var chain []cloud.NodeID
	if dir.anyLocks() {
		chain = append(slices.Clip(dir.chain), n.ID)
	}
	return c.dressed(dir.space, dir.who, n, r, chain)
}

// dressed needs the chain only where there are locks.
func (c *Core) dressed(sp *space, p principal, n *cloud.Node, r reach, chain []cloud.NodeID) *cloud.Node {
	n.Rights = r.here
	if n.Traits&cloud.HasGrants != 0 {
		sp.mu.RLock()
		gs := sp.grants[n.ID]
		sp.mu.RUnlock()
		if n.Grants = p.shown(gs, n.ID, r.below, c.now()); n.Grants == nil {
			n.Traits &^= cloud.HasGrants
		}
	}
	n.Locks = nil
	if len(chain) > 0 && sp.anyLocks() {
		n.Locks = sp.inForce(chain, c.now())
		for i := range n.Locks {
			// As many names up as the lock's node is above, and no higher than they see.
			l := &n.Locks[i]
			depth := max(slices.Index(chain, l.Node), r.top, 0)
			l.Node, l.Path = chain[depth], ancestor(n.Path, r.depth-depth)
		}
	}
	if r.top > 0 {
		for i := range n.Locks {
			n.Locks[i].Path = beneath(n.Locks[i].Path, r.top)
		}
		n.Path = beneath(n.Path, r.top)
		if r.top == r.depth {
			n.Parent = ""
		}
	}
	return n
}

// ancestor takes names off the end of a path.
func ancestor(path string, up int) string {
	for ; up > 0; up-- {
		path, _ = cloud.Split(path)
	}
	return path
}

// beneath takes names off the beginning of a path.
func beneath(path string, down int) string {
	for ; down > 0; down-- {
		_, path, _ = strings.Cut(path, "/")
	}
	return path
}

// A place is where a node stands or could stand: a name in a directory.
type place struct {
	dir   spot
	name  string
	now   *cloud.Node // what stands there, nil if nothing
	blind bool        // the caller may not know whether something does: see drop
}

// place finds the directory and the name that ref means. The directory must
// exist (Conflict); what stands under the name need not.
func (c *Core) place(ctx context.Context, sp *space, ref cloud.Ref) (p place, err error) {
	dir, name, ok := ref.Up()
	if !ok {
		return c.standing(ctx, sp, ref)
	}
	if err := cloud.CheckName(name); err != nil {
		return p, err
	}
	p.dir, err = c.find(ctx, sp, dir)
	if err == nil && !p.dir.reach.below.Has(cloud.CanStat) {
		err = cloud.NotExist
	}
	if err != nil {
		if errors.Is(err, cloud.NotExist) && dir.Path != "" {
			// Only who may know of the base learns that a folder is missing.
			if base, e := c.find(ctx, sp, cloud.Ref{Space: ref.Space, Node: ref.Node}); e == nil && base.reach.below.Has(cloud.CanStat) {
				err = cloud.Conflict
			}
		}
		return p, err
	}
	if !p.dir.Dir {
		return p, cloud.Conflict
	}
	if full := cloud.Join(p.dir.Path, name); len(full) > cloud.MaxPath {
		return p, cloud.Refuse(cloud.Invalid, "The path is too long: at most %d bytes.", cloud.MaxPath)
	}
	if p.dir.ID == sp.id.Root() && cloud.Reserved(name) {
		return p, cloud.Refuse(cloud.Invalid, "The name %q is reserved. Choose another one.", name)
	}
	p.name, p.blind = name, p.dir.reach.blind()
	p.now, err = c.store.Lookup(ctx, sp.id, p.dir.ID, name)
	if errors.Is(err, cloud.NotExist) {
		p.now = nil
		return p, nil
	}
	if err != nil {
		return p, err
	}
	p.now.Rights = sp.enters(p.dir.who, p.dir.reach, p.now, c.now()).here
	switch {
	case p.now.Rights.Has(cloud.CanStat):
		p.blind = false
	case p.blind:
		p.now = nil
	default:
		return p, cloud.NotExist
	}
	return p, nil
}

// standing is the place of a node that is named by its id alone. The caller
// may have no rights at all in the directory.
func (c *Core) standing(ctx context.Context, sp *space, ref cloud.Ref) (p place, err error) {
	n, err := c.at(ctx, sp, ref, 0)
	if err != nil {
		return p, err
	}
	if len(n.chain) == 1 {
		return place{dir: n, now: n.Node}, nil
	}
	up, err := c.store.Node(ctx, sp.id, n.Parent)
	if err != nil {
		return p, err
	}
	p.dir, err = c.spot(ctx, sp, n.who, up)
	p.name, p.now = n.Name, n.Node
	return p, err
}

// met checks If-Match and If-None-Match against what stands there.
func met(how cloud.Conditions, now *cloud.Node) error {
	switch {
	case how.IfMatch == "":
	case now == nil, how.IfMatch != "*" && how.IfMatch != now.ETag:
		return cloud.Precondition
	}
	if how.IfNoneMatch != "" && now != nil && (how.IfNoneMatch == "*" || how.IfNoneMatch == now.ETag) {
		return cloud.Precondition
	}
	return nil
}

// deniedBelow tells whether there is something at or below a node that the
// principal may not know of, although they may know of the node.
func (c *Core) deniedBelow(ctx context.Context, sp *space, p principal, n *cloud.Node) (bool, error) {
	for chain, err := range within(ctx, c.store, sp, n, sp.denials) {
		if err != nil {
			return false, err
		}
		r := sp.walk(p, chain, c.now())
		if chain[0] == cloud.TrashID {
			r = sp.walkBin(p, chain, c.now())
		}
		if !r.below.Has(cloud.CanStat) {
			return true, nil
		}
	}
	return false, nil
}

// within yields the chains to those of a space's marked nodes that are a node
// or below it.
func within[V any](ctx context.Context, store cloud.Store, sp *space, n *cloud.Node, marked map[cloud.NodeID]V) iter.Seq2[[]cloud.NodeID, error] {
	return func(yield func([]cloud.NodeID, error) bool) {
		sp.mu.RLock()
		ids := slices.Collect(maps.Keys(marked))
		sp.mu.RUnlock()
		for _, id := range ids {
			if id != n.ID && !n.Dir {
				continue
			}
			chain, err := store.Ancestors(ctx, sp.id, id)
			switch {
			case errors.Is(err, cloud.NotExist): // removed by a person behind our back
			case err != nil:
				yield(nil, err)
				return
			case slices.Contains(chain, n.ID) && !yield(chain, nil):
				return
			}
		}
	}
}

// whole refuses what would touch things below a node that the principal may
// not know of.
func (c *Core) whole(ctx context.Context, sp *space, p principal, n *cloud.Node) error {
	denied, err := c.deniedBelow(ctx, sp, p, n)
	if err == nil && denied {
		err = cloud.Refuse(cloud.Permission, "There is something in this folder that you may not touch.")
	}
	return err
}

// audience is the users and groups who may know of a node, and perhaps some
// more: somebody in one of the groups may be denied. Links are left out.
func (c *Core) audience(ctx context.Context, sp *space, id cloud.NodeID) ([]cloud.Subject, error) {
	chain, err := c.store.Ancestors(ctx, sp.id, id)
	if err != nil {
		return nil, err
	}
	bin := chain[0] == cloud.TrashID
	if bin {
		chain[0] = sp.id.Root()
	}
	now := c.now()
	have := map[cloud.Subject]cloud.Rights{}
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	for depth, id := range chain {
		for i := range sp.grants[id] {
			g := &sp.grants[id][i]
			switch {
			case g.To.Link != "" || g.Expired(now):
			case !g.Denies():
				if !bin || depth == 0 {
					have[g.To] |= g.Rights
				}
			case !have[g.To].Has(cloud.CanDeny):
				delete(have, g.To)
			}
		}
	}
	var all []cloud.Subject
	for to, r := range have {
		if r.Has(cloud.CanStat) {
			all = append(all, to)
		}
	}
	return all, nil
}
