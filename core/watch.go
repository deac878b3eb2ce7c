package core

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"opencloud/cloud"
)

const (
	maxQueue = 64   // notices that wait for one who listens; then there is a gap
	maxBack  = 1000 // records that are read again for who was cut off; then there is a gap
	// askAgain is how often at most the directory is asked about somebody who
	// listens while a lot happens.
	askAgain = time.Second
)

func (c *Core) Watch(ctx context.Context, after cloud.Cursor, beat time.Duration) iter.Seq2[*cloud.Notice, error] {
	return func(yield func(*cloud.Notice, error) bool) {
		err := c.watch(ctx, after, beat, func(n *cloud.Notice) bool { return yield(n, nil) })
		if err != nil && ctx.Err() == nil {
			yield(nil, cloud.E("core.Watch", cloud.Ref{}, err))
		}
	}
}

// A listener is somebody who watches.
type listener struct {
	user  *cloud.User
	asked time.Time     // when the directory said so
	wake  chan struct{} // with room for one

	mu    sync.Mutex
	queue []happening
	lost  cloud.Cursor // up to here something was thrown away; 0: nothing
	err   error        // it ends with this
}

// A happening is a record with the node that it is about.
type happening struct {
	*cloud.Record
	node *cloud.Node // nil: it is not in the tree any more
}

func (l *listener) hear(h happening) {
	l.mu.Lock()
	switch {
	case l.lost > 0:
		l.lost = h.Seq
	case len(l.queue) == maxQueue:
		l.queue, l.lost = nil, h.Seq
	default:
		l.queue = append(l.queue, h)
	}
	l.mu.Unlock()
	l.nudge()
}

// miss throws away what waits, because there is more than that.
func (l *listener) miss(at cloud.Cursor) {
	l.mu.Lock()
	l.queue, l.lost = nil, at
	l.mu.Unlock()
	l.nudge()
}

func (l *listener) end(err error) {
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	l.nudge()
}

func (l *listener) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take is all that waits.
func (l *listener) take() (queue []happening, lost cloud.Cursor, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue, lost, err = l.queue, l.lost, l.err
	l.queue, l.lost = nil, 0
	return queue, lost, err
}

func (c *Core) watch(ctx context.Context, after cloud.Cursor, beat time.Duration, yield func(*cloud.Notice) bool) error {
	u, err := caller(ctx)
	if err != nil {
		return err
	}
	l := &listener{user: u, asked: c.now(), wake: make(chan struct{}, 1)}
	from, leave := c.follower.join(c, l)
	defer leave()
	if !yield(&cloud.Notice{}) {
		return nil
	}
	if after != 0 {
		if more, err := c.replay(ctx, l, after, from, yield); err != nil || !more {
			return err
		}
	}
	var timer *time.Timer
	var ticks <-chan time.Time
	if beat > 0 {
		timer = time.NewTimer(beat)
		defer timer.Stop()
		ticks = timer.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
			if err := c.stillThere(ctx, l, 0); err != nil {
				return err
			}
			if !yield(&cloud.Notice{}) {
				return nil
			}
			timer.Reset(beat)
			continue
		case <-l.wake:
		}
		queue, lost, err := l.take()
		for _, h := range queue {
			if more, err := c.deliver(ctx, l, h, yield); err != nil || !more {
				return err
			}
		}
		if lost > 0 && !yield(&cloud.Notice{Gap: true, At: lost}) {
			return nil
		}
		if err != nil {
			return err
		}
		if timer != nil {
			timer.Reset(beat)
		}
	}
}

// replay delivers what happened behind a cursor up to another.
func (c *Core) replay(ctx context.Context, l *listener, after, until cloud.Cursor, yield func(*cloud.Notice) bool) (more bool, err error) {
	gap := func() (bool, error) { return yield(&cloud.Notice{Gap: true, At: until}), nil }
	if after > until || until-after > maxBack {
		return gap()
	}
	for r, err := range c.store.Since(ctx, "", after) {
		if errors.Is(err, cloud.TooOld) {
			return gap()
		}
		if err != nil {
			return false, err
		}
		if r.Seq > until {
			break
		}
		h, err := c.happened(ctx, r)
		if err != nil {
			return false, err
		}
		if more, err := c.deliver(ctx, l, h, yield); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// stillThere asks whether somebody may still be signed in, unless that was
// asked a moment ago, and what groups they are in.
func (c *Core) stillThere(ctx context.Context, l *listener, fresh time.Duration) error {
	now := c.now()
	if c.dir == nil || now.Sub(l.asked) < fresh {
		return nil
	}
	u, err := c.dir.User(ctx, "id", string(l.user.ID))
	switch {
	case errors.Is(err, cloud.NotExist), err == nil && u.Disabled:
		return cloud.Refuse(cloud.Unauthorized, "This account cannot be used any more.")
	case errors.Is(err, cloud.Unavailable):
		return nil // asked again soon
	case err != nil:
		return err
	}
	l.asked = now
	if !slices.Equal(u.Groups, l.user.Groups) {
		c.follower.regroup(l, u)
	}
	return nil
}

// deliver tells somebody of what happened, if they may know of it now.
func (c *Core) deliver(ctx context.Context, l *listener, h happening, yield func(*cloud.Notice) bool) (more bool, err error) {
	if err := c.stillThere(ctx, l, askAgain); err != nil {
		return false, err
	}
	n, err := c.notice(ctx, l.user, h)
	if err != nil || n == nil {
		return err == nil, err
	}
	return yield(n), nil
}

// notice is what somebody may know of what happened; nil for nothing.
func (c *Core) notice(ctx context.Context, u *cloud.User, h happening) (*cloud.Notice, error) {
	n := &cloud.Notice{Record: h.Record, At: h.Seq}
	if h.Kind == cloud.SpaceDropped {
		if !concerns(h.Taken, u, h.At) {
			n = nil
		}
		return n, nil
	}
	sp, err := c.enter(ctx, h.Space)
	if errors.Is(err, cloud.NotExist) {
		return nil, nil // dropped meanwhile, which they hear next
	}
	if err != nil {
		return nil, err
	}
	defer c.leave(sp)
	sp.settle(h.Record)
	p, now := principal{user: u}, c.now()
	if h.node != nil {
		chain, err := c.store.Ancestors(ctx, sp.id, h.Node)
		if err != nil && !errors.Is(err, cloud.NotExist) {
			return nil, err
		}
		if err == nil && chain[0] == sp.id.Root() {
			if r := sp.walk(p, chain, now); r.here.Has(cloud.CanStat) {
				node := *h.node
				n.Node = c.dressed(sp, p, &node, r, chain)
				n.Parent = n.Node.Parent
				return n, nil
			}
		}
	}
	// They do not see it now. Did they?
	was := h.OldParent
	switch h.Kind {
	case cloud.Regranted:
		denied := slices.ContainsFunc(h.Given, func(g cloud.Grant) bool { return g.Denies() && g.Concerns(u) })
		if !denied && !concerns(h.Taken, u, h.At) {
			n = nil
		}
		return n, nil
	case cloud.Dropped:
		was = h.Parent
	case cloud.Moved, cloud.Trashed:
	default:
		return nil, nil
	}
	if was == "" || was == cloud.TrashID {
		return nil, nil
	}
	chain, err := c.lineage(ctx, sp, was)
	if err != nil {
		return nil, err
	}
	r := sp.walk(p, append(chain, h.Node), now)
	if !r.here.Has(cloud.CanStat) {
		return nil, nil
	}
	if r.top < r.depth {
		n.Parent = was
	}
	return n, nil
}

// lineage is the way from the root to a directory or, when that is in the bin
// or no more, what is left of it.
func (c *Core) lineage(ctx context.Context, sp *space, dir cloud.NodeID) ([]cloud.NodeID, error) {
	chain, err := c.store.Ancestors(ctx, sp.id, dir)
	if errors.Is(err, cloud.NotExist) {
		return []cloud.NodeID{sp.id.Root()}, nil
	}
	if err == nil {
		chain[0] = sp.id.Root()
	}
	return chain, err
}

// concerns tells whether one of the grants was for a user.
func concerns(gs []cloud.Grant, u *cloud.User, at time.Time) bool {
	return slices.ContainsFunc(gs, func(g cloud.Grant) bool { return g.Holds(u, at) && g.Rights.Has(cloud.CanStat) })
}
