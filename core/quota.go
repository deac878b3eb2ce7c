package core

import (
	"context"

	"opencloud/cloud"
)

// limited tells whether a space has a quota.
func (sp *space) limited() bool {
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	return sp.quota > 0
}

// free is how many bytes a space can still take: by its quota or, without
// one, by the disk.
func (c *Core) free(ctx context.Context, sp *space) (int64, error) {
	sp.mu.RLock()
	quota, reserved := sp.quota, sp.reserved
	sp.mu.RUnlock()
	if quota == 0 {
		return c.store.Free(ctx)
	}
	root, err := c.store.Node(ctx, sp.id, sp.id.Root())
	if err != nil {
		return 0, err
	}
	return max(quota-root.Size-reserved, 0), nil
}

// reserve sets n bytes of the quota aside until release, so that writers at
// the same time cannot overdraw it together.
func (c *Core) reserve(ctx context.Context, sp *space, n int64) error {
	sp.mu.RLock()
	quota := sp.quota
	sp.mu.RUnlock()
	if quota == 0 {
		return nil // the disk itself says when it is full
	}
	root, err := c.store.Node(ctx, sp.id, sp.id.Root())
	if err != nil {
		return err
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if root.Size+sp.reserved+n > quota {
		return cloud.Refuse(cloud.Full, "The quota of the space is used up. Delete something or ask for more.")
	}
	sp.reserved += n
	return nil
}

func (sp *space) release(n int64) {
	if n == 0 {
		return
	}
	sp.mu.Lock()
	sp.reserved -= n
	sp.mu.Unlock()
}
