package core

import (
	"context"
	"errors"
	"slices"

	"opencloud/cloud"
)

// removeHome drops the personal space of a user who is disabled. makeHome asks
// for that under the same lock, so once it is there or not it does not come.
func (c *Core) removeHome(ctx context.Context, of cloud.UserID) error {
	id := c.store.NewSpaceID(cloud.Personal, of)
	c.making.Lock()
	_, err := c.store.Space(ctx, id)
	c.making.Unlock()
	if err == nil {
		err = c.dropSpace(ctx, id)
	}
	return found(err)
}

// forgetSubject takes away all grants to a user or group, in all spaces, and
// the unfinished uploads of the user. What the user has shared with others
// stays: those who manage it see it, and can take it back. In the user's own
// space it goes with the space.
func (c *Core) forgetSubject(ctx context.Context, who cloud.Subject) error {
	var ids []cloud.SpaceID
	for s, err := range c.store.Spaces(ctx) {
		if err != nil {
			return err
		}
		ids = append(ids, s.ID)
	}
	for _, id := range ids {
		if err := found(c.forgetIn(ctx, id, who)); err != nil {
			return err
		}
	}
	if who.User != "" {
		c.forgetJail(who.User)
	}
	return nil
}

func (c *Core) forgetIn(ctx context.Context, id cloud.SpaceID, who cloud.Subject) error {
	sp, err := c.enter(ctx, id)
	if err != nil {
		return err
	}
	defer c.leave(sp)
	to := func(g cloud.Grant) bool { return g.To == who }
	var nodes []cloud.NodeID
	sp.mu.RLock()
	for id, grants := range sp.grants {
		if slices.ContainsFunc(grants, to) {
			nodes = append(nodes, id)
		}
	}
	sp.mu.RUnlock()
	for _, n := range nodes {
		_, err := c.regrant(ctx, sp, n, func(gs []cloud.Grant) ([]cloud.Grant, error) {
			return slices.DeleteFunc(gs, to), nil
		})
		if err := found(err); err != nil {
			return err
		}
	}
	if who.User == "" {
		return nil
	}
	var uploads []cloud.UploadID
	for up, err := range c.store.Uploads(ctx, id) {
		if err != nil {
			return err
		}
		c.mu.Lock()
		busy := c.busy[up.ID] // then it is refused at its end, and expires
		c.mu.Unlock()
		if up.By == who.User && !busy {
			uploads = append(uploads, up.ID)
		}
	}
	for _, up := range uploads {
		if err := found(c.store.DropUpload(ctx, id, up)); err != nil {
			return err
		}
	}
	return nil
}

// found is nil where something is gone already that was to go.
func found(err error) error {
	if errors.Is(err, cloud.NotExist) {
		return nil
	}
	return err
}
