package core

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"opencloud/cloud"
)

// house is whose documents those are that belong to no user.
const house cloud.UserID = "opencloud:house"

// Names of the documents of the house.
const (
	removedDocument = "removed"
	exportDocument  = "exports"
)

// retryRemoval is when to try again to remove somebody for good.
const retryRemoval = time.Hour

// removed are the users who were removed but can be restored. The document
// is the truth: a user in it is nobody's to find.
type removed struct {
	mu    sync.RWMutex
	all   map[cloud.UserID]leaver
	timer *time.Timer // for the next whose time is over; nil: there is none
	busy  bool        // with those whose time is over, and sets the timer then
}

type leaver struct {
	Removed  time.Time
	Disabled bool `json:",omitempty"` // was so before
	Going    bool `json:",omitempty"` // for good, which has begun
}

func (r *removed) get(id cloud.UserID) (leaver, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	l, ok := r.all[id]
	return l, ok
}

func (r *removed) has(id cloud.UserID) bool {
	_, ok := r.get(id)
	return ok
}

// recall reads a document of the house into v, if there is one.
func (p *People) recall(name string, v any) error {
	body, err := p.profiles.Document(p.work.ctx, house, name)
	if errors.Is(err, cloud.NotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(body, v)
	}
	return err
}

// record writes a document of the house.
func record[V any](ctx context.Context, p *People, name string, all map[cloud.UserID]V) error {
	if len(all) == 0 {
		return p.profiles.SetDocument(ctx, house, name, nil)
	}
	body, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return p.profiles.SetDocument(ctx, house, name, body)
}

func (p *People) recallRemoved() error {
	p.removed.all = map[cloud.UserID]leaver{}
	return p.recall(removedDocument, &p.removed.all)
}

// setRemoved adds somebody or, when l is nil, takes them away.
func (p *People) setRemoved(ctx context.Context, id cloud.UserID, l *leaver) error {
	r := &p.removed
	r.mu.Lock()
	defer r.mu.Unlock()
	was, had := r.all[id]
	if l == nil {
		delete(r.all, id)
	} else {
		r.all[id] = *l
	}
	if err := record(ctx, p, removedDocument, r.all); err != nil {
		delete(r.all, id)
		if had {
			r.all[id] = was
		}
		return err
	}
	p.wake(0)
	return nil
}

// wake sets the timer for the next whose time is over, but not before least
// has passed. The caller holds removed.mu.
func (p *People) wake(least time.Duration) {
	r := &p.removed
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	if len(r.all) == 0 || r.busy {
		return
	}
	var next time.Time
	for _, l := range r.all {
		if due := l.Removed.Add(p.opts.Retention); next.IsZero() || due.Before(next) {
			next = due
		}
	}
	r.timer = time.AfterFunc(max(next.Sub(p.core.now()), least), func() { p.work.start("removal of users", p.removeDue) })
}

// removeDue removes for good those whose time is over.
func (p *People) removeDue(ctx context.Context) error {
	now := p.core.now()
	var due []cloud.UserID
	p.removed.mu.Lock()
	if p.removed.busy {
		p.removed.mu.Unlock()
		return nil
	}
	p.removed.busy = true
	for id, l := range p.removed.all {
		if !l.Removed.Add(p.opts.Retention).After(now) {
			due = append(due, id)
		}
	}
	p.removed.mu.Unlock()
	var errs []error
	for _, id := range due {
		if err := p.eraseRemoved(ctx, id); err != nil {
			errs = append(errs, err)
		}
	}
	var least time.Duration
	if len(errs) > 0 {
		least = retryRemoval
	}
	p.removed.mu.Lock()
	defer p.removed.mu.Unlock()
	p.removed.busy = false
	p.wake(least)
	return errors.Join(errs...)
}

func (p *People) RemoveUser(ctx context.Context, id cloud.UserID) error {
	return cloud.E("core.RemoveUser", cloud.Ref{}, p.removeUser(ctx, id))
}

func (p *People) removeUser(ctx context.Context, id cloud.UserID) error {
	me, err := demand(ctx, cloud.ManageUsers)
	if err == nil {
		_, err = demand(ctx, cloud.RemoveHomes)
	}
	if err != nil {
		return err
	}
	if id == me.ID {
		return cloud.Refuse(cloud.Permission, "You cannot remove yourself. Ask another administrator.")
	}
	u, err := p.dir.User(ctx, "id", string(id))
	if err == nil {
		err = mayTouch(me, u)
	}
	if err == nil && u.ReadOnly {
		err = cloud.Refuse(cloud.NotSupported, "This user is kept by another system and only read here. Remove them there.")
	}
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // who has begun should come to the end
	if p.removed.has(id) {
		return p.eraseRemoved(ctx, id)
	}
	was, err := p.disable(ctx, id)
	if err != nil {
		return err
	}
	if p.opts.Retention <= 0 {
		return p.erase(ctx, id)
	}
	if err := p.signOut(ctx, id); err != nil {
		return err
	}
	return p.setRemoved(ctx, id, &leaver{Removed: p.core.now().UTC(), Disabled: was})
}

// disable says whether the user was so already.
func (p *People) disable(ctx context.Context, id cloud.UserID) (was bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u, err := p.dir.User(ctx, "id", string(id))
	if err != nil {
		return false, err
	}
	next := *u
	next.Disabled = true
	if err := p.keepsAdmin(ctx, u, &next); err != nil || u.Disabled {
		return u.Disabled, err
	}
	_, err = p.dir.SetUser(ctx, &next, "")
	return false, err
}

// erase removes a disabled user and all that is only theirs. It lets go of
// the account last: as long as it is there, all can be tried again.
func (p *People) erase(ctx context.Context, id cloud.UserID) error {
	if err := p.core.removeHome(ctx, id); err != nil {
		return err
	}
	if err := p.core.forgetSubject(ctx, cloud.Subject{User: id}); err != nil {
		return err
	}
	if err := p.profiles.DropDocuments(ctx, id); err != nil {
		return err
	}
	for _, c := range p.opts.Credentials {
		if err := c.Forget(ctx, id); err != nil {
			return err
		}
	}
	if p.education != nil {
		if err := p.education.forgetUser(ctx, id); err != nil {
			return err
		}
	}
	return p.dir.RemoveUser(ctx, id)
}

// eraseRemoved is for one who is kept, whom nobody can restore from here on.
func (p *People) eraseRemoved(ctx context.Context, id cloud.UserID) error {
	p.mu.Lock()
	l, ok := p.removed.get(id)
	if !ok {
		p.mu.Unlock()
		return nil // restored
	}
	l.Going = true
	err := p.setRemoved(ctx, id, &l)
	p.mu.Unlock()
	if err == nil {
		_, err = p.disable(ctx, id) // again: somebody may have enabled them behind our back
		err = found(err)            // or removed them
	}
	if err == nil {
		err = found(p.erase(ctx, id))
	}
	if err != nil {
		return err
	}
	return p.setRemoved(ctx, id, nil)
}

func (p *People) RemovedUsers(ctx context.Context) iter.Seq2[*cloud.RemovedUser, error] {
	return func(yield func(*cloud.RemovedUser, error) bool) {
		fail := func(err error) { yield(nil, cloud.E("core.RemovedUsers", cloud.Ref{}, err)) }
		if _, err := demand(ctx, cloud.ManageUsers); err != nil {
			fail(err)
			return
		}
		type entry struct {
			id cloud.UserID
			leaver
		}
		var all []entry
		p.removed.mu.RLock()
		for id, l := range p.removed.all {
			all = append(all, entry{id, l})
		}
		p.removed.mu.RUnlock()
		slices.SortFunc(all, func(a, b entry) int {
			return cmp.Or(a.Removed.Compare(b.Removed), cmp.Compare(a.id, b.id))
		})
		for _, e := range all {
			u, err := p.dir.User(ctx, "id", string(e.id))
			if errors.Is(err, cloud.NotExist) {
				continue // the directory has let go of them by itself
			}
			if err != nil {
				fail(err)
				return
			}
			if !yield(&cloud.RemovedUser{User: u, Removed: e.Removed, Until: e.Removed.Add(p.opts.Retention)}, nil) {
				return
			}
		}
	}
}

func (p *People) RestoreUser(ctx context.Context, id cloud.UserID) (*cloud.User, error) {
	u, err := p.restoreUser(ctx, id)
	return u, cloud.E("core.RestoreUser", cloud.Ref{}, err)
}

func (p *People) restoreUser(ctx context.Context, id cloud.UserID) (*cloud.User, error) {
	if _, err := demand(ctx, cloud.ManageUsers); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.removed.get(id)
	switch {
	case !ok:
		return nil, cloud.NotExist
	case l.Going:
		return nil, cloud.Refuse(cloud.Conflict, "It is too late: removing this user for good has begun.")
	}
	u, err := p.dir.User(ctx, "id", string(id))
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	// First of all they are not removed any more: cut short here, they are disabled.
	if err := p.setRemoved(ctx, id, nil); err != nil {
		return nil, err
	}
	if l.Disabled {
		return u, nil
	}
	next := *u
	next.Disabled = false
	return p.dir.SetUser(ctx, &next, "")
}
