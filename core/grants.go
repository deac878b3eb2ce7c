package core

import (
	"context"
	"errors"
	"slices"

	"opencloud/cloud"
)

// grantsOnNode bounds the grants on one node.
const grantsOnNode = 1000

func newShareID() cloud.ShareID { return cloud.ShareID(cloud.NewUUID().String()) }

// setGrants makes the memory of a space agree with the storage. Called with mu
// held, or while nobody else knows the space.
func (sp *space) setGrants(id cloud.NodeID, gs []cloud.Grant) {
	if len(gs) == 0 {
		delete(sp.grants, id)
	} else {
		sp.grants[id] = gs
	}
	if slices.ContainsFunc(gs, func(g cloud.Grant) bool { return g.Denies() }) {
		sp.denials[id] = true
	} else {
		delete(sp.denials, id)
	}
}

// regrant alters the grants of a node, on the storage and in memory. fn gets a
// copy, and may be called only once at a time for a space: it sees all that
// was granted before.
func (c *Core) regrant(ctx context.Context, sp *space, id cloud.NodeID, fn func([]cloud.Grant) ([]cloud.Grant, error)) (*cloud.Node, error) {
	sp.granting.Lock()
	defer sp.granting.Unlock()
	n, err := c.store.Edit(ctx, sp.id, id, func(n *cloud.Node) (err error) {
		n.Grants, err = fn(slices.Clone(n.Grants))
		return err
	})
	if err != nil {
		return nil, err
	}
	c.regranted(sp, id, n.Grants)
	return n, nil
}

func (c *Core) regranted(sp *space, id cloud.NodeID, gs []cloud.Grant) {
	sp.mu.Lock()
	sp.setGrants(id, gs)
	sp.mu.Unlock()
	c.index.set(cloud.Ref{Space: sp.id, Node: id}, gs)
}

// forgetGone takes the grants on nodes that are no more out of memory.
func (c *Core) forgetGone(ctx context.Context, sp *space) {
	ctx = context.WithoutCancel(ctx)
	sp.granting.Lock()
	defer sp.granting.Unlock()
	sp.mu.RLock()
	ids := make([]cloud.NodeID, 0, len(sp.grants))
	for id := range sp.grants {
		if id != sp.id.Root() {
			ids = append(ids, id)
		}
	}
	sp.mu.RUnlock()
	for _, id := range ids {
		if _, err := c.store.Ancestors(ctx, sp.id, id); errors.Is(err, cloud.NotExist) {
			c.regranted(sp, id, nil)
		}
	}
}
