package core

import (
	"context"
	"errors"
	"hash/fnv"
	"time"

	"opencloud/cloud"
)

// audience are the users and groups who may see a node, or could while it was
// in the tree. Some of them may have been denied it meanwhile: it says whom to
// ask about, sight has the last word.
func (c *Core) audience(ctx context.Context, sp *space, id cloud.NodeID) ([]cloud.Subject, error) {
	chain, err := c.lineage(ctx, sp, id)
	if err != nil {
		return nil, err
	}
	now := c.now()
	var all []cloud.Subject
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	for _, id := range chain {
		for _, g := range sp.grants[id] {
			if g.Rights.Has(cloud.CanStat) && (g.Expires.IsZero() || now.Before(g.Expires)) {
				all = append(all, g.To)
			}
		}
	}
	return all, nil
}

// lineage is the way from the root of the space to a node. Of one that is in
// the bin it is what is left of the way, of one that is no more the root.
func (c *Core) lineage(ctx context.Context, sp *space, id cloud.NodeID) ([]cloud.NodeID, error) {
	root := sp.id.Root()
	if id == "" || id == root || !sp.granted() {
		return []cloud.NodeID{root}, nil
	}
	chain, err := c.store.Ancestors(ctx, sp.id, id)
	if errors.Is(err, cloud.NotExist) {
		return []cloud.NodeID{root}, nil
	}
	if err != nil {
		return nil, err
	}
	chain[0] = root
	return chain, nil
}

// sight is what a user may do with a node, or could while it was in the tree.
func (c *Core) sight(ctx context.Context, sp *space, u *cloud.User, id cloud.NodeID) (cloud.Rights, error) {
	chain, err := c.lineage(ctx, sp, id)
	if err != nil {
		return 0, err
	}
	var r cloud.Rights
	now := c.now()
	for _, id := range chain {
		r = sp.step(u, r, id, now)
	}
	return r, nil
}

// step is what becomes of the rights above a node at the node.
func (sp *space) step(u *cloud.User, above cloud.Rights, id cloud.NodeID, now time.Time) cloud.Rights {
	return above | sp.own(u, id, now)
}

// view is a number that differs when a user is given or denied something else
// in a space. whole says that nothing is denied: who sees the root sees all.
func (sp *space) view(u *cloud.User, now time.Time) (n uint64, whole bool) {
	whole = true
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	for id, grants := range sp.grants {
		for i := range grants {
			g := &grants[i]
			if !g.Holds(u, now) {
				continue
			}
			h := fnv.New64a()
			h.Write([]byte(id))
			h.Write([]byte{byte(g.Rights), byte(g.Rights >> 8), byte(g.Rights >> 16), byte(g.Rights >> 24)})
			n += h.Sum64() // in no particular order
			whole = whole && g.Rights != cloud.NoRights
		}
	}
	return n, whole
}
