package core

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"opencloud/cloud"
)

// A follower reads the journal for all who listen. It does so as long as
// somebody listens.
type follower struct {
	mu     sync.Mutex
	at     cloud.Cursor // what is behind it is still to be told
	users  map[cloud.UserID]map[*listener]bool
	groups map[cloud.GroupID]map[*listener]bool
	all    map[*listener]bool
	stop   context.CancelFunc // nil: it does not run
	turn   int                // how often it was started
}

// join adds a listener. It hears of all that is behind the cursor.
func (f *follower) join(c *Core, l *listener) (from cloud.Cursor, leave func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stop == nil {
		f.at = c.store.Last()
		f.users, f.groups, f.all = map[cloud.UserID]map[*listener]bool{}, map[cloud.GroupID]map[*listener]bool{}, map[*listener]bool{}
		f.turn++
		ctx, stop := context.WithCancel(context.Background())
		f.stop = stop
		turn := f.turn
		go func() {
			err := guard(func() error { return c.follow(ctx, turn) })
			stop()
			f.fail(turn, err)
		}()
	}
	f.all[l] = true
	f.index(l)
	return f.at, func() { f.leave(l) }
}

// index is called with mu held.
func (f *follower) index(l *listener) {
	put(f.users, l.user.ID, l)
	for _, g := range l.user.Groups {
		put(f.groups, g, l)
	}
}

func put[K comparable](m map[K]map[*listener]bool, key K, l *listener) {
	if m[key] == nil {
		m[key] = map[*listener]bool{}
	}
	m[key][l] = true
}

// unindex is called with mu held.
func (f *follower) unindex(l *listener) {
	remove(f.users, l.user.ID, l)
	for _, g := range l.user.Groups {
		remove(f.groups, g, l)
	}
}

func remove[K comparable](m map[K]map[*listener]bool, key K, l *listener) {
	if delete(m[key], l); len(m[key]) == 0 {
		delete(m, key)
	}
}

// regroup is for a listener who is in other groups now.
func (f *follower) regroup(l *listener, u *cloud.User) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unindex(l)
	l.user = u
	if f.all[l] {
		f.index(l)
	}
}

func (f *follower) leave(l *listener) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.all[l] {
		return
	}
	f.unindex(l)
	delete(f.all, l)
	if len(f.all) == 0 {
		f.stop()
		f.stop = nil
	}
}

// fail ends all who listen.
func (f *follower) fail(turn int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.turn != turn || f.stop == nil {
		return // all have left
	}
	for l := range f.all {
		l.end(err)
	}
	clear(f.all)
	f.stop = nil
}

// close ends all who listen, because the server stops.
func (f *follower) close() {
	f.mu.Lock()
	stop, turn := f.stop, f.turn
	f.mu.Unlock()
	if stop != nil {
		stop()
		f.fail(turn, cloud.Unavailable)
	}
}

// place is up to where all was told; false when it should run no more.
func (f *follower) place(turn int) (cloud.Cursor, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at, f.turn == turn && f.stop != nil
}

// pass says that all up to a cursor was told.
func (f *follower) pass(turn int, at cloud.Cursor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.turn == turn {
		f.at = max(f.at, at)
	}
}

// among are those who listen among the subjects. From here on what is at the
// cursor counts as told: who joins later reads it in the journal.
func (f *follower) among(subjects []cloud.Subject, turn int, at cloud.Cursor) map[*listener]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.turn != turn {
		return nil
	}
	f.at = at
	var found map[*listener]bool
	add := func(some map[*listener]bool) {
		if found == nil && len(some) > 0 {
			found = make(map[*listener]bool, len(some))
		}
		maps.Copy(found, some)
	}
	for _, s := range subjects {
		if s.User != "" {
			add(f.users[s.User])
		} else if s.Group != "" {
			add(f.groups[s.Group])
		}
	}
	return found
}

// follow reads the journal and tells of what happens.
func (c *Core) follow(ctx context.Context, turn int) error {
	f := &c.follower
	for {
		at, on := f.place(turn)
		if !on {
			return nil
		}
		if err := c.store.Wait(ctx, at); err != nil {
			return err
		}
		last := c.store.Last()
		for r, err := range c.store.Since(ctx, "", at) {
			if errors.Is(err, cloud.TooOld) { // it was too slow
				f.missed(turn, last)
				break
			}
			if err == nil {
				err = c.tell(ctx, turn, r)
			}
			if err != nil {
				return err
			}
		}
		f.pass(turn, last) // not every cursor has a record
	}
}

// missed tells everybody that there is a gap.
func (f *follower) missed(turn int, at cloud.Cursor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.turn != turn {
		return
	}
	for l := range f.all {
		l.miss(at)
	}
}

// tell passes a record on to those who listen and may know of it.
func (c *Core) tell(ctx context.Context, turn int, r *cloud.Record) error {
	subjects, err := c.concerned(ctx, r)
	if err != nil {
		return err
	}
	listeners := c.follower.among(subjects, turn, r.Seq)
	if len(listeners) == 0 {
		return nil
	}
	h, err := c.happened(ctx, r)
	if err != nil {
		return err
	}
	for l := range listeners {
		l.hear(h)
	}
	return nil
}

// happened is a record with its node as it is now.
func (c *Core) happened(ctx context.Context, r *cloud.Record) (happening, error) {
	h := happening{Record: r}
	n, err := c.store.Node(ctx, r.Space, r.Node)
	switch {
	case errors.Is(err, cloud.NotExist):
		return h, nil
	case err == nil && n.Parent != cloud.TrashID:
		h.node = n
	}
	return h, err
}

// settle waits until the space has in memory what a record tells of, which is
// in the journal first.
func (sp *space) settle(r *cloud.Record) {
	var l sync.Locker
	switch r.Kind {
	case cloud.Regranted:
		l = &sp.granting
	case cloud.Relocked:
		l = &sp.locking
	default:
		return
	}
	l.Lock()
	defer l.Unlock()
}

// concerned are the users and groups who may know of what happened, and
// perhaps some more: notice has the last word.
func (c *Core) concerned(ctx context.Context, r *cloud.Record) ([]cloud.Subject, error) {
	var all []cloud.Subject
	for _, g := range slices.Concat(r.Given, r.Taken) {
		all = append(all, g.To)
	}
	if r.Kind == cloud.SpaceDropped {
		return all, nil
	}
	sp, err := c.enter(ctx, r.Space)
	if errors.Is(err, cloud.NotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer c.leave(sp)
	sp.settle(r)
	asked := cloud.NodeID("")
	for _, id := range []cloud.NodeID{r.Node, r.OldParent, r.Parent} {
		if id == "" || id == cloud.TrashID || id == asked {
			continue
		}
		asked = id
		some, err := c.audience(ctx, sp, id)
		if found(err) != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	if r.Kind == cloud.Trashed { // what was given on it sleeps
		sp.mu.RLock()
		for _, g := range sp.grants[r.Node] {
			all = append(all, g.To)
		}
		sp.mu.RUnlock()
	}
	return all, nil
}
