package core

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
)

const (
	goodPage = 1000   // differences on a page, when the client does not say
	maxPage  = 10_000 // when it does
	// maxFold is how many records are looked at for one answer. What is behind
	// them is another answer.
	maxFold = 50_000
)

func (c *Core) Changes(ctx context.Context, f cloud.Feed) (*cloud.Page, error) {
	p, err := c.changes(ctx, f)
	return p, cloud.E("core.Changes", cloud.Ref{Space: f.Space}, err)
}

// A feeding is the answer to a Feed in the making.
type feeding struct {
	cloud.Feed
	spot // the root of the space, and who asks
	core *Core
	id   string // of who asks
	now  time.Time
	same bool // the caller may do with all of it what they may do with the root
	mark bookmark

	page []cloud.Diff
	cut  bool // the journal holds more about the space
}

func (c *Core) changes(ctx context.Context, f cloud.Feed) (*cloud.Page, error) {
	u, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if f.Space == cloud.SharesSpace {
		return nil, cloud.Refuse(cloud.NotSupported, "Ask for the changes of the spaces themselves: this one is made of parts of others.")
	}
	sp, err := c.enter(ctx, f.Space)
	if err != nil {
		return nil, err
	}
	defer c.leave(sp)
	root, err := c.at(ctx, sp, cloud.Ref{Space: f.Space}, 0)
	if err == nil && !root.Rights.Has(cloud.CanList) {
		err = cloud.NotExist
	}
	if err != nil {
		return nil, err
	}
	if f.Limit <= 0 {
		f.Limit = goodPage
	}
	f.Limit = min(f.Limit, maxPage)
	g := &feeding{Feed: f, spot: root, core: c, id: string(u.ID), now: c.now()}
	view, whole := sp.view(u, g.now)
	g.same = whole
	switch f.After {
	case "":
		g.mark = bookmark{after: c.store.Last(), view: view, phase: listing}
	case cloud.Latest:
		g.mark = bookmark{after: c.store.Last(), view: view}
		return &cloud.Page{Next: g.mark.token(g.id, &g.Feed)}, nil
	default:
		if g.mark, err = parseToken(f.After, g.id, &f); err != nil {
			return nil, err
		}
		if g.mark.view != view {
			return nil, cloud.TooOld
		}
	}
	if err := g.answer(ctx); err != nil {
		return nil, err
	}
	return &cloud.Page{Diffs: g.page, Next: g.mark.token(g.id, &g.Feed), More: g.mark.phase != resting || g.cut}, nil
}

// answer fills the page and moves the bookmark.
func (g *feeding) answer(ctx context.Context) error {
	var full bool
	var err error
	if g.mark.phase == listing {
		if full, err = g.list(ctx); full || err != nil {
			return err
		}
	}
	for again := true; again && !full && !g.cut && err == nil; {
		full, again, err = g.differ(ctx)
	}
	return err
}

// list tells of all there is.
func (g *feeding) list(ctx context.Context) (full bool, err error) {
	m := &g.mark
	if len(m.last) == 0 {
		m.last = []cloud.NodeID{g.Node.ID}
		if !g.ByPath {
			g.page = append(g.page, cloud.Diff{Node: g.core.dress(&g.spot)})
		}
	}
	if full, err = g.descend(ctx, g.spot); full || err != nil {
		return full, err
	}
	m.phase, m.last, m.loose = resting, nil, g.core.store.Last()
	return false, nil
}

// after is the phase behind another, or resting. Who knows nodes by path hears
// first what is gone from a path, since something else may come there; who
// knows them by id hears last of it, when all that was in it and is not gone
// has been told of in its new place.
func (g *feeding) after(p phase) phase {
	order := [...]phase{resting, differing, rising, following, leaving}
	if g.ByPath {
		order = [...]phase{resting, leaving, differing, rising, following}
	}
	i := slices.Index(order[:], p) + 1
	return order[i%len(order)]
}

// differ tells what is different. again says that things have moved
// meanwhile: without another round the client's picture would not be whole.
func (g *feeding) differ(ctx context.Context) (full, again bool, err error) {
	w, err := g.fold(ctx)
	if err != nil {
		return false, false, err
	}
	m := &g.mark
	if m.phase == resting {
		m.phase = g.after(resting)
	}
	for ; m.phase != resting; m.phase = g.after(m.phase) {
		switch m.phase {
		case leaving:
			full, err = w.leave(ctx)
		case differing:
			full, err = g.eachOf(ctx, slices.Sorted(maps.Keys(w.fates)), w.show)
		case rising:
			var above []cloud.NodeID
			if above, err = w.above(ctx); err == nil {
				full, err = g.eachOf(ctx, above, w.show)
			}
		case following:
			full, err = w.follow(ctx)
		}
		if full || err != nil {
			return full, false, err
		}
		m.last = nil
	}
	m.after, m.until = m.until, 0
	for r, err := range g.core.store.Since(ctx, g.space.id, m.after) {
		if again = err == nil && r.Kind.Moves(); again || err != nil {
			return false, again, err
		}
	}
	return false, false, nil
}

// eachOf tells of nodes, in the order of their ids, from where the last page
// ended.
func (g *feeding) eachOf(ctx context.Context, ids []cloud.NodeID, tell func(context.Context, cloud.NodeID) error) (full bool, err error) {
	if len(g.mark.last) > 0 {
		i, found := slices.BinarySearch(ids, g.mark.last[0])
		if found {
			i++
		}
		ids = ids[i:]
	}
	for _, id := range ids {
		if len(g.page) == g.Limit {
			return true, nil
		}
		if err := tell(ctx, id); err != nil {
			return false, err
		}
		g.mark.last = []cloud.NodeID{id}
	}
	return false, nil
}

// node is one as the caller sees it, nil when they do not.
func (g *feeding) node(ctx context.Context, id cloud.NodeID) (*cloud.Node, error) {
	at, err := g.find(ctx, id)
	if err != nil || at.Node == nil {
		return nil, err
	}
	return g.core.dress(&at), nil
}

// find is without a Node when the caller does not see it: it must be in the
// tree, and they must be able to list all above it.
func (g *feeding) find(ctx context.Context, id cloud.NodeID) (spot, error) {
	n, err := g.core.store.Node(ctx, g.space.id, id)
	var chain []cloud.NodeID
	if err == nil {
		chain, err = g.core.chain(ctx, g.space, n)
	}
	if errors.Is(err, cloud.NotExist) {
		return spot{}, nil
	}
	if err != nil || chain[0] != g.space.id.Root() {
		return spot{}, err
	}
	r := g.reach
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, id := range chain[1:] {
		if !r.here.Has(cloud.CanStat | cloud.CanList) {
			return spot{}, nil
		}
		r = g.step(g.who, r, id, g.now)
	}
	if !r.here.Has(cloud.CanStat) {
		return spot{}, nil
	}
	n.Rights = r.here
	return spot{g.space, g.who, chain, r, n}, nil
}

// descend tells of all below the first directory of mark.last, which is at:
// each directory before what is in it and otherwise in the order of ids, from
// where the last page ended.
func (g *feeding) descend(ctx context.Context, at spot) (full bool, err error) {
	g.chain = at.chain[:len(at.chain)-1]
	last := g.mark.last
	way := append(make([]cloud.NodeID, 0, 16), last[0])
	return g.below(ctx, way, last[0], at.reach, last[1:])
}

func (g *feeding) below(ctx context.Context, way []cloud.NodeID, dir cloud.NodeID, r reach, at []cloud.NodeID) (full bool, err error) {
	var behind cloud.NodeID
	if len(at) > 0 {
		// What was told last is, or is in, this one.
		behind = at[0]
		n, err := g.core.store.Node(ctx, g.space.id, behind)
		if err == nil && n.Parent == dir { // else what became of it is in the journal
			if full, err := g.into(ctx, append(way, behind), n, g.enters(g.who, r, n, g.now), at[1:]); full || err != nil {
				return full, err
			}
		} else if err != nil && !errors.Is(err, cloud.NotExist) {
			return false, err
		}
	}
	for more := true; more; {
		var members []*cloud.Node
		if members, more, err = g.next(ctx, dir, behind, len(way)); err != nil {
			return false, err
		}
		for _, n := range members {
			behind = n.ID
			own := g.enters(g.who, r, n, g.now)
			if !own.here.Has(cloud.CanStat) {
				continue
			}
			if len(g.page) == g.Limit {
				return true, nil
			}
			here := append(way, n.ID)
			g.page = append(g.page, cloud.Diff{Node: g.dressed(n, own, here)})
			g.mark.last = slices.Clone(here)
			if full, err := g.into(ctx, here, n, own, nil); full || err != nil {
				return full, err
			}
		}
	}
	return false, nil
}

func (g *feeding) dressed(n *cloud.Node, r reach, way []cloud.NodeID) *cloud.Node {
	var chain []cloud.NodeID
	if g.anyLocks() {
		chain = slices.Concat(g.chain, way)
	}
	return g.core.dressed(g.space, g.who, n, r, chain)
}

// into tells of what is below a member of a directory, if the caller may list it.
func (g *feeding) into(ctx context.Context, way []cloud.NodeID, n *cloud.Node, r reach, at []cloud.NodeID) (full bool, err error) {
	if !n.Dir || g.Flat || !r.here.Has(cloud.CanStat|cloud.CanList) {
		return false, nil
	}
	return g.below(ctx, way, n.ID, r, at)
}

// next are some members of a directory behind an id, in order. The deeper it
// is the fewer are taken at a time, so that a deep tree with wide directories
// does not fill the memory.
func (g *feeding) next(ctx context.Context, dir, behind cloud.NodeID, depth int) (members []*cloud.Node, more bool, err error) {
	most := max(64, (g.Limit-len(g.page)+1)/(depth+1))
	byID := func(a, b *cloud.Node) int { return strings.Compare(string(a.ID), string(b.ID)) }
	for n, err := range g.core.store.Children(ctx, g.space.id, dir) {
		if errors.Is(err, cloud.NotExist) {
			return nil, false, nil // gone since it was told of
		}
		if err != nil {
			return nil, false, err
		}
		if n.ID <= behind {
			continue
		}
		if members = append(members, n); len(members) >= 2*most {
			slices.SortFunc(members, byID)
			members, more = members[:most], true
		}
	}
	slices.SortFunc(members, byID)
	if len(members) > most {
		members, more = members[:most], true
	}
	return members, more, nil
}
