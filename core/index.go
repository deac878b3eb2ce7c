package core

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"opencloud/cloud"
)

// An index says where grants are, in all spaces: to whom, by whom, and which.
// It is made when first asked, from what the store has, and kept up to date
// from then on: nobody else changes grants.
type index struct {
	building sync.Mutex // held while it is made

	mu      sync.RWMutex
	state   indexState
	late    []func()                                         // what happened while it was made
	grants  map[cloud.SpaceID]map[cloud.NodeID][]cloud.Grant // never changed in place
	to      map[cloud.Subject][]cloud.Ref                    // each once, without a path
	by      map[cloud.UserID][]cloud.Ref                     // each once
	where   map[cloud.ShareID]cloud.Ref
	version uint64 // counts what was changed

	due     dues
	timer   *time.Timer
	now     func() time.Time
	expire  func() // what the timer calls
	closed  bool
	running sync.WaitGroup
}

type indexState uint8

const (
	unmade indexState = iota
	making
	made
)

// indexed is the index, made if need be.
func (c *Core) indexed(ctx context.Context) (*index, error) {
	x := &c.index
	if x.is(made) {
		return x, nil
	}
	x.building.Lock()
	defer x.building.Unlock()
	if x.is(made) {
		return x, nil
	}
	x.mu.Lock()
	x.state = making
	x.grants = map[cloud.SpaceID]map[cloud.NodeID][]cloud.Grant{}
	x.to, x.by, x.where = map[cloud.Subject][]cloud.Ref{}, map[cloud.UserID][]cloud.Ref{}, map[cloud.ShareID]cloud.Ref{}
	x.due = nil
	x.now = c.now
	x.expire = func() { c.expire(context.Background()) }
	x.mu.Unlock()

	// Others wait for it, too, so one caller's leaving must not stop it.
	all, err := c.allGrants(context.WithoutCancel(ctx))
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state = made; err != nil {
		x.state = unmade
		x.late = nil
		return nil, err
	}
	for _, n := range all {
		x.apply(cloud.Ref{Space: n.Space, Node: n.ID}, n.Grants)
	}
	for _, change := range x.late {
		change()
	}
	x.late = nil
	x.arm(c.now())
	return x, nil
}

func (c *Core) allGrants(ctx context.Context) ([]*cloud.Node, error) {
	var ids []cloud.SpaceID
	for s, err := range c.store.Spaces(ctx) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, s.ID)
	}
	var all []*cloud.Node
	for _, id := range ids {
		for n, err := range c.store.Having(ctx, id, cloud.HasGrants) {
			if found(err) != nil {
				return nil, err
			}
			if err == nil {
				all = append(all, n)
			}
		}
	}
	return all, nil
}

func (x *index) is(s indexState) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.state == s
}

// set tells the index of the grants that a node has now.
func (x *index) set(at cloud.Ref, gs []cloud.Grant) {
	x.change(func() { x.apply(at, gs) })
}

// drop tells it that a space is no more.
func (x *index) drop(id cloud.SpaceID) {
	x.change(func() {
		for n := range x.grants[id] {
			x.apply(cloud.Ref{Space: id, Node: n}, nil)
		}
		delete(x.grants, id)
	})
}

func (x *index) change(fn func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch x.state {
	case making:
		x.late = append(x.late, fn)
	case made:
		fn()
		x.arm(x.now())
	}
}

// apply is called with mu held.
func (x *index) apply(at cloud.Ref, gs []cloud.Grant) {
	old := x.grants[at.Space][at.Node]
	for _, g := range old {
		x.to[g.To] = minus(x.to, g.To, at)
		if len(x.to[g.To]) == 0 {
			delete(x.to, g.To)
		}
		if x.by[g.By] = minus(x.by, g.By, at); len(x.by[g.By]) == 0 {
			delete(x.by, g.By)
		}
		if x.where[g.ID] == at {
			delete(x.where, g.ID)
		}
	}
	x.version++
	if len(gs) == 0 {
		delete(x.grants[at.Space], at.Node)
		return
	}
	if x.grants[at.Space] == nil {
		x.grants[at.Space] = map[cloud.NodeID][]cloud.Grant{}
	}
	x.grants[at.Space][at.Node] = gs
	for i, g := range gs {
		if !slices.ContainsFunc(gs[:i], func(o cloud.Grant) bool { return o.To == g.To }) {
			x.to[g.To] = append(x.to[g.To], at)
		}
		if !slices.ContainsFunc(gs[:i], func(o cloud.Grant) bool { return o.By == g.By }) {
			x.by[g.By] = append(x.by[g.By], at)
		}
		x.where[g.ID] = at
		known := slices.ContainsFunc(old, func(o cloud.Grant) bool { return o.ID == g.ID && o.Expires.Equal(g.Expires) })
		if !g.Expires.IsZero() && !known {
			heap.Push(&x.due, due{g.Expires, at})
		}
	}
}

func minus[K comparable](m map[K][]cloud.Ref, key K, at cloud.Ref) []cloud.Ref {
	refs := m[key]
	if i := slices.Index(refs, at); i >= 0 {
		refs[i] = refs[len(refs)-1]
		return refs[:len(refs)-1]
	}
	return refs
}

// current is a number that changes with whatever changes in the index.
func (x *index) current() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.version
}

// find is where a grant is.
func (x *index) find(id cloud.ShareID) (cloud.Ref, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	at, ok := x.where[id]
	return at, ok
}

// madeFor are the nodes with a grant to one of the subjects, each once.
func (x *index) madeFor(subjects ...cloud.Subject) []cloud.Ref {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(subjects) == 1 {
		return slices.Clone(x.to[subjects[0]])
	}
	var all []cloud.Ref
	seen := map[cloud.Ref]bool{}
	for _, s := range subjects {
		for _, at := range x.to[s] {
			if !seen[at] {
				seen[at] = true
				all = append(all, at)
			}
		}
	}
	return all
}

// madeBy are the nodes with a grant that the user made.
func (x *index) madeBy(u cloud.UserID) []cloud.Ref {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(x.by[u])
}

// subjects are a user and their groups.
func subjects(u *cloud.User) []cloud.Subject {
	all := make([]cloud.Subject, 0, 1+len(u.Groups))
	all = append(all, cloud.Subject{User: u.ID})
	for _, g := range u.Groups {
		all = append(all, cloud.Subject{Group: g})
	}
	return all
}

// A due grant expires, unless it is changed before. The next is first.
type (
	due struct {
		at time.Time
		on cloud.Ref
	}
	dues []due
)

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d dues) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *dues) Push(x any)        { *d = append(*d, x.(due)) }
func (d *dues) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	*d = (*d)[:last]
	return x
}

// arm sets the timer for what expires next. There is none while nothing does.
// Called with mu held.
func (x *index) arm(now time.Time) {
	if x.timer != nil && x.timer.Stop() {
		x.running.Done()
	}
	x.timer = nil
	if x.closed || len(x.due) == 0 {
		return
	}
	x.running.Add(1)
	x.timer = time.AfterFunc(max(x.due[0].at.Sub(now), 0), func() {
		defer x.running.Done()
		x.expire()
	})
}

// pop takes out the nodes on which something has expired.
func (x *index) pop(now time.Time) []cloud.Ref {
	x.mu.Lock()
	defer x.mu.Unlock()
	var refs []cloud.Ref
	for len(x.due) > 0 && !now.Before(x.due[0].at) {
		refs = append(refs, heap.Pop(&x.due).(due).on)
	}
	return refs
}

// later tells the index to try again with a node.
func (x *index) later(on cloud.Ref, at time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	heap.Push(&x.due, due{at, on})
}

func (x *index) close() {
	x.mu.Lock()
	x.closed = true
	if x.timer != nil && x.timer.Stop() {
		x.running.Done()
	}
	x.timer = nil
	x.mu.Unlock()
	x.running.Wait()
}

// retryExpired is when a grant that could not be removed is tried again. It
// does not hold in any case.
const retryExpired = time.Minute

// expire removes the grants that hold no more, on nobody's behalf.
func (c *Core) expire(ctx context.Context) {
	now := c.now()
	for _, on := range c.index.pop(now) {
		if err := found(c.expireOn(ctx, on, now)); err != nil {
			c.opts.Log.Warn("an expired share is still listed", "space", on.Space, "node", on.Node, "err", err)
			c.index.later(on, now.Add(retryExpired))
		}
	}
	c.index.mu.Lock()
	c.index.arm(c.now())
	c.index.mu.Unlock()
}

func (c *Core) expireOn(ctx context.Context, on cloud.Ref, now time.Time) error {
	sp, err := c.enter(ctx, on.Space)
	if err != nil {
		return err
	}
	defer c.leave(sp)
	_, err = c.regrant(ctx, sp, on.Node, func(gs []cloud.Grant) ([]cloud.Grant, error) {
		return slices.DeleteFunc(gs, func(g cloud.Grant) bool { return g.Expired(now) }), nil
	})
	return err
}
