package core

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
)

const (
	defaultLock  = 30 * time.Minute
	locksOnNode  = 100
	locksInSpace = 10_000
)

// anyLocks is the question that most writes end with.
func (sp *space) anyLocks() bool {
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	return len(sp.locks) > 0
}

// inForce yields the locks that hold for the last node of a chain: its own and
// the deep ones above it.
func (sp *space) inForce(chain []cloud.NodeID, now time.Time) (ls []cloud.Lock) {
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	for i, id := range chain {
		for _, l := range sp.locks[id] {
			if now.Before(l.Expires) && (l.Deep || i == len(chain)-1) {
				l.Node = id
				ls = append(ls, l)
			}
		}
	}
	return ls
}

// submitted tells whether the user holds one of the locks and says so. With
// no locks there is nothing to hold (RFC 4918, sections 6.4 and 7.1).
func submitted(ls []cloud.Lock, by cloud.UserID, tokens []string) error {
	if len(ls) == 0 {
		return nil
	}
	for _, l := range ls {
		if l.By == by && slices.Contains(tokens, l.Token) {
			return nil
		}
	}
	return cloud.Locked
}

// mayTouch is Locked when a lock keeps somebody from altering a node.
func (c *Core) mayTouch(ctx context.Context, sp *space, p principal, chain []cloud.NodeID, tokens []string) error {
	if !sp.anyLocks() {
		return nil
	}
	ls := sp.inForce(chain, c.now())
	if submitted(ls, p.id(), tokens) == nil {
		return nil
	}
	return submitted(c.binding(ctx, sp, ls, chain), p.id(), tokens)
}

// binding are those of the locks in force for the last node of a chain whose
// holders may still write what they have locked: who may not any more keeps
// nobody else from it.
func (c *Core) binding(ctx context.Context, sp *space, ls []cloud.Lock, chain []cloud.NodeID) []cloud.Lock {
	return slices.DeleteFunc(ls, func(l cloud.Lock) bool {
		p, err := c.holder(ctx, sp, l.By)
		if err == nil {
			at := chain[:slices.Index(chain, l.Node)+1]
			err = allow(sp.walk(p, at, c.now()).here, cloud.CanWrite)
		}
		return errors.Is(err, cloud.NotExist) || errors.Is(err, cloud.Permission)
	})
}

// holder is who has an id for locks, NotExist when they are no more.
func (c *Core) holder(ctx context.Context, sp *space, id cloud.UserID) (principal, error) {
	if share, ok := strings.CutPrefix(string(id), byLink); ok {
		sp.mu.RLock()
		defer sp.mu.RUnlock()
		for node, gs := range sp.grants {
			for _, g := range gs {
				if g.ID == cloud.ShareID(share) {
					return principal{visitor: &cloud.Visitor{Token: g.To.Link, Share: g.ID, Of: cloud.Ref{Space: sp.id, Node: node}}}, nil
				}
			}
		}
		return principal{}, cloud.NotExist
	}
	if c.dir == nil {
		return principal{}, cloud.Unavailable // nobody to ask
	}
	u, err := c.dir.User(ctx, "id", string(id))
	if err == nil && u.Disabled {
		err = cloud.NotExist
	}
	return principal{user: u}, err
}

// unlocked says whether content may be put into a place: over what stands
// there, or as a new member of the directory, whose own lock counts then
// whatever its depth (RFC 4918, section 7.4).
func (c *Core) unlocked(ctx context.Context, p place, now *cloud.Node, tokens []string) error {
	chain := p.dir.chain
	if now != nil && now.ID != p.dir.ID {
		chain = append(slices.Clip(chain), now.ID)
	}
	return c.mayTouch(ctx, p.dir.space, p.dir.who, chain, tokens)
}

// leaveTree says whether a node may leave its directory: neither it, nor the
// directory, nor anything below it may be locked by somebody else. It returns
// the nodes that carry locks, from the node down.
func (c *Core) leaveTree(ctx context.Context, p place, tokens []string) (below []cloud.NodeID, err error) {
	sp := p.dir.space
	if !sp.anyLocks() {
		return nil, nil
	}
	for _, n := range []*cloud.Node{nil, p.now} {
		if err := c.unlocked(ctx, p, n, tokens); err != nil {
			return nil, err
		}
	}
	if below, err = c.lockedBelow(ctx, sp, p.now); err != nil {
		return nil, err
	}
	for _, id := range below {
		chain, err := c.store.Ancestors(ctx, sp.id, id)
		if err == nil {
			err = c.mayTouch(ctx, sp, p.dir.who, chain, tokens)
		}
		if err != nil {
			return nil, err
		}
	}
	return below, nil
}

// lockedBelow finds the nodes with locks at and below a node.
func (c *Core) lockedBelow(ctx context.Context, sp *space, n *cloud.Node) (ids []cloud.NodeID, err error) {
	for chain, err := range within(ctx, c.store, sp, n, sp.locks) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, chain[len(chain)-1])
	}
	return ids, nil
}

// dropLocks takes all locks off nodes that left the tree.
func (c *Core) dropLocks(ctx context.Context, sp *space, ids []cloud.NodeID) error {
	if len(ids) == 0 {
		return nil
	}
	sp.locking.Lock()
	defer sp.locking.Unlock()
	for _, id := range ids {
		if err := c.setLocks(ctx, sp, id, func([]cloud.Lock) ([]cloud.Lock, error) { return nil, nil }); err != nil && !errors.Is(err, cloud.NotExist) {
			return err
		}
	}
	return nil
}

// setLocks alters the locks of a node, on the storage and in memory; expired
// ones go by the way. Called with sp.locking held.
func (c *Core) setLocks(ctx context.Context, sp *space, id cloud.NodeID, fn func([]cloud.Lock) ([]cloud.Lock, error)) error {
	var after []cloud.Lock
	now := c.now()
	_, err := c.store.Edit(ctx, sp.id, id, func(n *cloud.Node) error {
		var live []cloud.Lock
		for _, l := range n.Locks {
			if now.Before(l.Expires) {
				live = append(live, l)
			}
		}
		var err error
		after, err = fn(live)
		n.Locks = after
		return err
	})
	if err != nil {
		return err
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if len(after) == 0 {
		delete(sp.locks, id)
	} else {
		sp.locks[id] = after
	}
	return nil
}

func (c *Core) Lock(ctx context.Context, ref cloud.Ref, want cloud.Lock, how cloud.Conditions) (cloud.Lock, *cloud.Node, bool, error) {
	v, err := c.into(ctx, ref)
	if err != nil {
		return want, nil, false, cloud.E("core.Lock", ref, err)
	}
	l, n, made, err := c.lock(ctx, v.Ref, want, how)
	n = v.show(n)
	if n != nil {
		for _, x := range n.Locks {
			if x.Token == l.Token {
				l = x
			}
		}
	}
	return l, n, made, cloud.E("core.Lock", ref, err)
}

func (c *Core) lock(ctx context.Context, ref cloud.Ref, want cloud.Lock, how cloud.Conditions) (l cloud.Lock, n *cloud.Node, made bool, err error) {
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return l, nil, false, err
	}
	defer c.leave(sp)
	p, err := c.place(ctx, sp, ref)
	if err != nil {
		return l, nil, false, err
	}
	if want.Timeout <= 0 {
		want.Timeout = defaultLock
	}
	want.Timeout = min(want.Timeout, c.opts.MaxLock)
	want.Expires = c.now().Add(want.Timeout)
	want.By = p.dir.who.id()
	if p.blind {
		return l, nil, false, cloud.Permission
	}
	if n = p.now; n == nil {
		if want.Token != "" {
			return l, nil, false, cloud.Precondition // nothing to make longer
		}
		n, made, err = c.write(ctx, p, cloud.Write{Body: strings.NewReader(""), Fresh: true}, how)
		if errors.Is(err, cloud.Exist) {
			p.now, err = c.store.Lookup(ctx, sp.id, p.dir.ID, p.name) // another made it just now
			n = p.now
		}
		if err != nil {
			return l, nil, false, err
		}
	}
	at := p.dir
	if n.ID != at.ID {
		at = spot{sp, at.who, append(slices.Clip(at.chain), n.ID), sp.enters(at.who, at.reach, n, c.now()), n}
		n.Rights = at.reach.here
	}
	if err := met(how, n); err != nil {
		return l, nil, false, err
	}
	if err := allow(n.Rights, cloud.CanWrite); err != nil {
		return l, nil, false, err
	}
	sp.locking.Lock()
	defer sp.locking.Unlock()
	if want.Token != "" {
		l, err = c.refresh(ctx, sp, at.chain, want)
	} else {
		l, err = c.take(ctx, sp, &at, want)
	}
	if err != nil {
		return l, nil, false, err
	}
	return l, c.dress(&at), made, nil
}

// take adds a lock unless one in force forbids it (RFC 4918, section 6.1).
func (c *Core) take(ctx context.Context, sp *space, n *spot, want cloud.Lock) (cloud.Lock, error) {
	others := c.binding(ctx, sp, sp.inForce(n.chain, c.now()), n.chain)
	if want.Deep && n.Dir {
		below, err := c.lockedBelow(ctx, sp, n.Node)
		if err != nil {
			return want, err
		}
		for _, id := range below {
			chain, err := c.store.Ancestors(ctx, sp.id, id)
			if err != nil {
				return want, err
			}
			ls := slices.DeleteFunc(sp.inForce(chain, c.now()), func(l cloud.Lock) bool { return l.Node != id })
			others = append(others, c.binding(ctx, sp, ls, chain)...)
		}
	}
	for _, l := range others {
		if !l.Shared || !want.Shared {
			return want, cloud.Locked
		}
	}
	sp.mu.RLock()
	full := len(sp.locks) >= locksInSpace || len(sp.locks[n.ID]) >= locksOnNode
	sp.mu.RUnlock()
	if full {
		return want, cloud.Refuse(cloud.TooLarge, "There are too many locks. Release some first.")
	}
	want.Token = "urn:uuid:" + cloud.NewUUID().String()
	return want, c.setLocks(ctx, sp, n.ID, func(ls []cloud.Lock) ([]cloud.Lock, error) {
		// What does not bind ends here.
		ls = slices.DeleteFunc(ls, func(l cloud.Lock) bool {
			return !slices.ContainsFunc(others, func(o cloud.Lock) bool { return o.Token == l.Token })
		})
		return append(ls, want), nil
	})
}

// refresh makes a lock last longer, on the node or, when it is a deep one, on
// what it was taken on (RFC 4918, section 9.10.2).
func (c *Core) refresh(ctx context.Context, sp *space, chain []cloud.NodeID, want cloud.Lock) (l cloud.Lock, err error) {
	for _, held := range sp.inForce(chain, c.now()) {
		if held.Token != want.Token || held.By != want.By {
			continue
		}
		return held, c.setLocks(ctx, sp, held.Node, func(ls []cloud.Lock) ([]cloud.Lock, error) {
			for i := range ls {
				if ls[i].Token == want.Token {
					ls[i].Expires, ls[i].Timeout = want.Expires, want.Timeout
				}
			}
			return ls, nil
		})
	}
	return l, cloud.Precondition
}

func (c *Core) Unlock(ctx context.Context, ref cloud.Ref, token string) error {
	v, err := c.inside(ctx, ref)
	if err == nil {
		err = c.unlock(ctx, v.Ref, token)
	}
	return cloud.E("core.Unlock", ref, err)
}

func (c *Core) unlock(ctx context.Context, ref cloud.Ref, token string) error {
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return err
	}
	defer c.leave(sp)
	n, err := c.at(ctx, sp, ref, 0)
	if err != nil {
		return err
	}
	sp.locking.Lock()
	defer sp.locking.Unlock()
	for _, l := range sp.inForce(n.chain, c.now()) {
		if l.Token != token {
			continue
		}
		if l.By != n.who.id() {
			return cloud.Refuse(cloud.Permission, "Only who locked it can unlock it.")
		}
		return c.setLocks(ctx, sp, l.Node, func(ls []cloud.Lock) ([]cloud.Lock, error) {
			return slices.DeleteFunc(ls, func(l cloud.Lock) bool { return l.Token == token }), nil
		})
	}
	return cloud.Refuse(cloud.Conflict, "It is not locked with this token.")
}
