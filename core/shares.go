package core

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"opencloud/cloud"
)

// shared enters the space of a node that is shared or to be shared, and finds
// the node for the caller. Visitors share nothing.
func (c *Core) shared(ctx context.Context, ref cloud.Ref) (n spot, leave func(), err error) {
	if _, err := caller(ctx); err != nil {
		return n, nil, err
	}
	v, err := c.inside(ctx, ref)
	if err != nil {
		return n, nil, err
	}
	return c.sharedAt(ctx, v.Ref)
}

func (c *Core) sharedAt(ctx context.Context, ref cloud.Ref) (n spot, leave func(), err error) {
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return n, nil, err
	}
	if n, err = c.at(ctx, sp, ref, 0); err != nil {
		c.leave(sp)
		return n, nil, err
	}
	return n, func() { c.leave(sp) }, nil
}

// granted is where a grant is, with the grant as it is kept, if the caller may
// see it.
func (c *Core) granted(ctx context.Context, id cloud.ShareID) (n spot, g cloud.Grant, leave func(), err error) {
	if _, err := caller(ctx); err != nil {
		return n, g, nil, err
	}
	x, err := c.indexed(ctx)
	if err != nil {
		return n, g, nil, err
	}
	at, ok := x.find(id)
	if !ok {
		return n, g, nil, cloud.NotExist
	}
	if n, leave, err = c.sharedAt(ctx, at); err != nil {
		return n, g, nil, err
	}
	gs := n.made()
	i := slices.IndexFunc(gs, func(g cloud.Grant) bool { return g.ID == id })
	if i < 0 || n.who.shown(gs[i:i+1], n.ID, n.reach.below, c.now()) == nil {
		leave()
		return n, g, nil, cloud.NotExist
	}
	return n, gs[i], leave, nil
}

// made are the grants on a node as they are kept. They must not be changed.
func (s *spot) made() []cloud.Grant {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.grants[s.ID]
}

// answer is a grant as the caller may see it now, and its node.
func (c *Core) answer(n *spot, g cloud.Grant) (*cloud.Grant, *cloud.Node) {
	n.reach = n.again(c.now())
	seen := n.who.shown([]cloud.Grant{g}, n.ID, n.reach.below|cloud.CanListGrants, c.now())
	if len(seen) == 0 { // it has expired this moment
		seen = []cloud.Grant{{ID: g.ID, To: cloud.Subject{User: g.To.User, Group: g.To.Group}}}
	}
	return &seen[0], c.dress(n)
}

func (c *Core) Grants(ctx context.Context, ref cloud.Ref) ([]cloud.Grant, *cloud.Node, error) {
	n, leave, err := c.shared(ctx, ref)
	if err != nil {
		return nil, nil, cloud.E("core.Grants", ref, err)
	}
	defer leave()
	return n.who.shown(n.made(), n.ID, n.reach.below, c.now()), c.dress(&n), nil
}

func (c *Core) Grant(ctx context.Context, id cloud.ShareID) (*cloud.Grant, *cloud.Node, error) {
	n, g, leave, err := c.granted(ctx, id)
	if err != nil {
		return nil, nil, cloud.E("core.Grant", cloud.Ref{}, err)
	}
	defer leave()
	seen, node := c.answer(&n, g)
	return seen, node, nil
}

func (c *Core) Give(ctx context.Context, ref cloud.Ref, g cloud.Grant, secret string) (*cloud.Grant, *cloud.Node, error) {
	made, n, err := c.give(ctx, ref, g, secret)
	return made, n, cloud.E("core.Give", ref, err)
}

func (c *Core) give(ctx context.Context, ref cloud.Ref, g cloud.Grant, secret string) (*cloud.Grant, *cloud.Node, error) {
	me, err := caller(ctx)
	if err != nil {
		return nil, nil, err
	}
	n, leave, err := c.shared(ctx, ref)
	if errors.Is(err, cloud.NotExist) && me.May(cloud.ManageSpaces) {
		return c.adopt(ctx, me, ref, g, err)
	}
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	if err := c.mayGiveAt(ctx, &n, &g, me); err != nil {
		return nil, nil, err
	}
	if err := c.fitting(ctx, &n, &g, me); err != nil {
		return nil, nil, err
	}
	if g.To.Link != "" {
		g.To.Link = newToken()
		l := cloud.Link{}
		if g.Link != nil {
			l = *g.Link
		}
		g.Link = &cloud.Link{Name: l.Name, Quick: l.Quick}
		if err := checkLinkName(l.Name); err != nil {
			return nil, nil, err
		}
		if g.Link.Secret, err = c.linkSecret(ctx, me, g.Rights, secret, n.Name); err != nil {
			return nil, nil, err
		}
	} else if g.Link = nil; secret != "" {
		return nil, nil, cloud.Refuse(cloud.Invalid, "Only links have passwords.")
	}
	return c.addGrant(ctx, &n, g, me)
}

// addGrant makes a grant that all the rules allow.
func (c *Core) addGrant(ctx context.Context, n *spot, g cloud.Grant, me *cloud.User) (*cloud.Grant, *cloud.Node, error) {
	now := c.now()
	g.ID, g.By, g.Made, g.Expires = newShareID(), me.ID, now.UTC(), g.Expires.UTC()
	_, err := c.regrant(ctx, n.space, n.ID, func(gs []cloud.Grant) ([]cloud.Grant, error) {
		gs = slices.DeleteFunc(gs, func(o cloud.Grant) bool { return o.Expired(now) })
		switch {
		case len(gs) >= grantsOnNode:
			return nil, cloud.Refuse(cloud.TooLarge, "This is shared %d times already. Use a group.", grantsOnNode)
		case slices.ContainsFunc(gs, func(o cloud.Grant) bool { return o.To == g.To }):
			return nil, cloud.Refuse(cloud.Exist, "This is shared with them already. Change that instead.")
		case g.Link != nil && g.Link.Quick && slices.ContainsFunc(gs, func(o cloud.Grant) bool { return o.Link != nil && o.Link.Quick }):
			return nil, cloud.Refuse(cloud.Exist, "There is a quick link already.")
		}
		return append(gs, g), nil
	})
	if err == nil && g.Link == nil {
		// Who is removed is disabled first, so either they are seen to go here,
		// or the grant is seen where they go.
		if err = c.known(ctx, g.To, me); err != nil {
			err = errors.Join(err, found(c.replace(context.WithoutCancel(ctx), n, &g, nil)))
		}
	}
	if err != nil {
		return nil, nil, err
	}
	made, node := c.answer(n, g)
	return made, node, nil
}

// adopt lets who manages spaces give one that nobody manages any more to
// somebody who will. missing is what others are told.
func (c *Core) adopt(ctx context.Context, me *cloud.User, ref cloud.Ref, g cloud.Grant, missing error) (*cloud.Grant, *cloud.Node, error) {
	if ref.Path != "" || ref.Node != "" && ref.Node != ref.Space.Root() || g.Rights != cloud.SpaceManager || g.To.Link != "" {
		return nil, nil, missing
	}
	s, err := c.store.Space(ctx, ref.Space)
	if err != nil || s.Kind != cloud.Project {
		return nil, nil, missing
	}
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return nil, nil, missing
	}
	defer c.leave(sp)
	p := principal{user: me}
	n := spot{sp, p, []cloud.NodeID{s.Root.ID}, sp.atRoot(me, c.now()), s.Root}
	if managed, err := c.managers(ctx, n.made()); err != nil || managed(n.made()) {
		return nil, nil, missing
	}
	if err := c.known(ctx, g.To, me); err != nil {
		return nil, nil, err
	}
	g.Link, g.Expires = nil, time.Time{}
	return c.addGrant(ctx, &n, g, me)
}

// mayGiveAt asks whether the caller may make such a grant on a node.
func (c *Core) mayGiveAt(ctx context.Context, n *spot, g *cloud.Grant, me *cloud.User) error {
	needs, may := cloud.CanGrant, cloud.CreateShares
	switch {
	case g.To.Link != "":
		may = cloud.CreateLinks
	case g.Rights == cloud.NoRights:
		needs = cloud.CanDeny
	}
	switch {
	case !n.reach.below.Has(needs), !me.May(may):
		return cloud.Refuse(cloud.Permission, "You may not share this.")
	case !n.reach.below.Has(g.Rights):
		return cloud.Refuse(cloud.Permission, "You cannot give more rights than you have.")
	}
	return c.whole(ctx, n.space, n.who, n.Node)
}

// fitting refuses what cannot be granted on a node, whoever asks.
func (c *Core) fitting(ctx context.Context, n *spot, g *cloud.Grant, me *cloud.User) error {
	if err := fits(g, n.Kind()); err != nil {
		return err
	}
	if err := c.inFuture(g.Expires); err != nil {
		return err
	}
	s, err := c.store.Space(ctx, n.space.id)
	if err != nil {
		return err
	}
	if s.Kind == cloud.Personal && n.Kind() == cloud.OnRoot {
		return cloud.Refuse(cloud.Invalid, "A personal space has no members. Share folders in it.")
	}
	if g.To.Link != "" {
		if g.To.User != "" || g.To.Group != "" {
			return cloud.Refuse(cloud.Invalid, "Share with one person, one group or by link.")
		}
		return nil
	}
	if s.Owner != "" && g.To.User == s.Owner {
		return cloud.Refuse(cloud.Invalid, "It is theirs already.")
	}
	return c.known(ctx, g.To, me)
}

// fits refuses rights that make no sense on a node.
func fits(g *cloud.Grant, on cloud.NodeKind) error {
	_, isLink := cloud.LinkTypeOf(g.Rights, on)
	bound := cloud.AllRights
	switch on {
	case cloud.OnFile:
		bound &^= cloud.CanMakeDir | placing | cloud.CanPurge | cloud.CanDeny
	case cloud.OnFolder:
		bound &^= cloud.CanPurge
	}
	switch {
	case g.To.Link != "":
		if !isLink {
			return cloud.Refuse(cloud.Invalid, "No link has these rights.")
		}
	case g.Rights == cloud.NoRights:
		if on != cloud.OnFolder {
			return cloud.Refuse(cloud.Invalid, "Access can be denied to folders only.")
		}
	case !g.Rights.Has(cloud.CanStat), !bound.Has(g.Rights):
		return cloud.Refuse(cloud.Invalid, "These rights do not fit here.")
	}
	return nil
}

func (c *Core) inFuture(expires time.Time) error {
	if !expires.IsZero() && !expires.After(c.now()) {
		return cloud.Refuse(cloud.Invalid, "The date on which it expires has passed.")
	}
	return nil
}

// known says whether somebody can be given something: another user who can
// sign in, or a group.
func (c *Core) known(ctx context.Context, to cloud.Subject, me *cloud.User) error {
	nobody := cloud.Refuse(cloud.Invalid, "There is nobody to share this with.")
	switch {
	case (to.User == "") == (to.Group == ""):
		return nobody
	case to.User == me.ID:
		return cloud.Refuse(cloud.Invalid, "You cannot share with yourself.")
	case c.dir == nil:
		return nil
	}
	var err error
	if to.User != "" {
		var u *cloud.User
		if u, err = c.dir.User(ctx, "id", string(to.User)); err == nil && u.Disabled {
			err = cloud.NotExist
		}
	} else {
		_, err = c.dir.Group(ctx, "id", string(to.Group))
	}
	if errors.Is(err, cloud.NotExist) {
		return nobody
	}
	return err
}

func (c *Core) Regrant(ctx context.Context, id cloud.ShareID, change cloud.GrantChange) (*cloud.Grant, *cloud.Node, error) {
	g, n, err := c.regrantOne(ctx, id, change)
	return g, n, cloud.E("core.Regrant", cloud.Ref{}, err)
}

func (c *Core) regrantOne(ctx context.Context, id cloud.ShareID, change cloud.GrantChange) (*cloud.Grant, *cloud.Node, error) {
	n, old, leave, err := c.granted(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	me, next := n.who.user, old
	if old.Link != nil {
		l := *old.Link
		next.Link = &l
	}
	if change.Rights != nil {
		next.Rights = *change.Rights
	}
	if change.Expires != nil {
		next.Expires = change.Expires.UTC()
		if err := c.inFuture(next.Expires); err != nil {
			return nil, nil, err
		}
	}
	if err := mayRegrant(&n, &old, &next); err != nil {
		return nil, nil, err
	}
	if next.Rights != old.Rights {
		if err := fits(&next, n.Kind()); err != nil {
			return nil, nil, err
		}
		if err := c.whole(ctx, n.space, n.who, n.Node); err != nil {
			return nil, nil, err
		}
	}
	if old.Link == nil && (change.Name != nil || change.Secret != nil) {
		return nil, nil, cloud.Refuse(cloud.Invalid, "Only links have names and passwords.")
	}
	if change.Name != nil {
		next.Link.Name = *change.Name
		if err := checkLinkName(*change.Name); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case next.Link != nil && next.Rights == cloud.NoRights && change.Secret == nil:
		next.Link.Secret = ""
	case change.Secret != nil:
		if next.Link.Secret, err = c.linkSecret(ctx, me, next.Rights, *change.Secret, n.Name, next.Link.Name); err != nil {
			return nil, nil, err
		}
	case next.Link != nil && next.Rights != old.Rights && next.Link.Secret == "" && c.needsSecret(me, next.Rights):
		return nil, nil, errNoSecret
	}
	if err := c.replace(ctx, &n, &old, &next); err != nil {
		return nil, nil, err
	}
	g, node := c.answer(&n, next)
	return g, node, nil
}

// mayRegrant says whether the caller may turn one grant into another.
func mayRegrant(n *spot, old, next *cloud.Grant) error {
	have, me := n.reach.below, n.who.user
	mine := old.By == me.ID && have.Has(cloud.CanGrant)
	switch {
	case !have.Has(cloud.CanUpdateGrant) && !mine,
		(old.Denies() || next.Denies()) && !have.Has(cloud.CanDeny):
		return cloud.Permission
	case !have.Has(old.Rights) || !have.Has(next.Rights):
		return cloud.Refuse(cloud.Permission, "You cannot give more rights than you have.")
	case old.To.User == me.ID && (!old.Rights.Has(next.Rights) || longer(old.Expires, next.Expires)):
		return cloud.Refuse(cloud.Permission, "What you were given others have to extend.")
	}
	return nil
}

// longer tells whether the second date is later; the zero one is the latest.
func longer(old, next time.Time) bool {
	return !old.IsZero() && (next.IsZero() || next.After(old))
}

// replace puts a grant in the place of what it was; nil: takes it back. It
// does so only while the old one still stands as it was read.
func (c *Core) replace(ctx context.Context, n *spot, old, next *cloud.Grant) error {
	var managed func([]cloud.Grant) bool
	if n.Kind() == cloud.OnRoot {
		var err error
		if managed, err = c.managers(ctx, n.made()); err != nil {
			return err
		}
	}
	_, err := c.regrant(ctx, n.space, n.ID, func(gs []cloud.Grant) ([]cloud.Grant, error) {
		i := slices.IndexFunc(gs, func(g cloud.Grant) bool { return g.ID == old.ID })
		if i < 0 {
			return nil, cloud.NotExist
		}
		if gs[i].Rights != old.Rights || !gs[i].Expires.Equal(old.Expires) {
			return nil, cloud.Refuse(cloud.Precondition, "Somebody else has just changed this. Look again.")
		}
		had := managed != nil && managed(gs)
		if next == nil {
			gs = slices.Delete(gs, i, i+1)
		} else {
			gs[i] = *next
		}
		if had && !managed(gs) {
			return nil, cloud.Refuse(cloud.Permission, "A space needs a manager. Make somebody else one first.")
		}
		return gs, nil
	})
	return err
}

// managers says how to tell whether a space has a manager who stays: without
// an end, and a user who can sign in or a group with members. Whom it asks
// about must be in gs.
func (c *Core) managers(ctx context.Context, gs []cloud.Grant) (func([]cloud.Grant) bool, error) {
	empty := map[cloud.Subject]bool{}
	for _, g := range gs {
		if !g.Rights.Has(cloud.SpaceManager) || c.dir == nil {
			continue
		}
		var err error
		if g.To.User != "" {
			var u *cloud.User
			u, err = c.dir.User(ctx, "id", string(g.To.User))
			empty[g.To] = err == nil && u.Disabled
		} else {
			empty[g.To] = true
			for _, e := range c.dir.Members(ctx, g.To.Group) {
				err = e
				empty[g.To] = err != nil
				break
			}
		}
		if errors.Is(err, cloud.NotExist) {
			empty[g.To], err = true, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return func(gs []cloud.Grant) bool {
		return slices.ContainsFunc(gs, func(g cloud.Grant) bool {
			return g.Rights.Has(cloud.SpaceManager) && g.Expires.IsZero() && !empty[g.To]
		})
	}, nil
}

func (c *Core) Revoke(ctx context.Context, id cloud.ShareID) error {
	return cloud.E("core.Revoke", cloud.Ref{}, c.revoke(ctx, id))
}

func (c *Core) revoke(ctx context.Context, id cloud.ShareID) error {
	n, g, leave, err := c.granted(ctx, id)
	if err != nil {
		return err
	}
	defer leave()
	have, me := n.reach.below, n.who.user
	switch {
	case g.Denies():
		if !have.Has(cloud.CanDeny | cloud.CanRevoke) {
			return cloud.Permission
		}
	case g.By == me.ID, g.To.User == me.ID: // less is always allowed
	case !have.Has(cloud.CanRevoke):
		return cloud.Permission
	case !have.Has(g.Rights):
		return cloud.Refuse(cloud.Permission, "You cannot take back more rights than you have.")
	}
	return c.replace(ctx, &n, &g, nil)
}

func (c *Core) Given(ctx context.Context) iter.Seq2[*cloud.Node, error] {
	return wrap("core.Given", cloud.Ref{}, func(yield func(*cloud.Node, error) bool) {
		me, err := caller(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		x, err := c.indexed(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, at := range x.madeBy(me.ID) {
			n, err := c.givenAt(ctx, at)
			if errors.Is(err, cloud.NotExist) {
				continue
			}
			if !yield(n, err) || err != nil {
				return
			}
		}
	})
}

// givenAt is a node with the grants that the caller has made on it.
func (c *Core) givenAt(ctx context.Context, at cloud.Ref) (*cloud.Node, error) {
	n, leave, err := c.sharedAt(ctx, at)
	if err != nil {
		return nil, err
	}
	defer leave()
	node := c.dress(&n)
	node.Grants = slices.DeleteFunc(slices.Clone(node.Grants), func(g cloud.Grant) bool {
		return g.By != n.who.user.ID || n.Kind() == cloud.OnRoot && g.To.Link == "" && g.Link == nil
	})
	if len(node.Grants) == 0 {
		return nil, cloud.NotExist
	}
	return node, nil
}
