package core

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"strings"
	"unicode"

	"opencloud/cloud"
)

func (c *Core) Spaces(ctx context.Context) iter.Seq2[*cloud.Space, error] {
	return c.spacesFor(ctx, "core.Spaces", true)
}

func (c *Core) AllSpaces(ctx context.Context) iter.Seq2[*cloud.Space, error] {
	return c.spacesFor(ctx, "core.AllSpaces", false)
}

// spacesFor yields the spaces of the caller: only those, with the Shares space,
// or those of others, too, if they may list them.
func (c *Core) spacesFor(ctx context.Context, op string, own bool) iter.Seq2[*cloud.Space, error] {
	return func(yield func(*cloud.Space, error) bool) {
		fail := func(err error) { yield(nil, cloud.E(op, cloud.Ref{}, err)) }
		u, err := caller(ctx)
		if err != nil {
			fail(err)
			return
		}
		if _, err := c.home(ctx); err != nil && !errors.Is(err, cloud.Permission) {
			fail(err)
			return
		}
		others := !own && u.May(cloud.ListSpaces)
		for s, err := range c.store.Spaces(ctx) {
			if err != nil {
				fail(err)
				return
			}
			switch {
			case others:
				s, err = c.outline(ctx, u, s)
			case s.Kind == cloud.Personal && s.Owner != u.ID:
				continue // most of them; nobody else is a member of a personal space
			default:
				s, err = c.show(ctx, u, s)
			}
			switch {
			case errors.Is(err, cloud.NotExist):
			case err != nil:
				fail(err)
				return
			case !yield(s, nil):
				return
			}
		}
		if own {
			s, err := c.sharesSpace(ctx)
			yield(s, cloud.E(op, cloud.Ref{}, err))
		}
	}
}

// outline is a space as it stands in a list of all: it does not bring the
// space into memory, for most will not be asked for again.
func (c *Core) outline(ctx context.Context, u *cloud.User, s *cloud.Space) (*cloud.Space, error) {
	now := c.now()
	for i := range s.Root.Grants {
		if g := &s.Root.Grants[i]; g.Concerns(u) && !g.Expired(now) {
			s.Root.Rights |= g.Rights
		}
	}
	p := principal{user: u} // who may list spaces sees the members, but opens no links
	s.Root.Grants = p.shown(s.Root.Grants, s.Root.ID, s.Root.Rights|cloud.CanListGrants, c.now())
	s.Free = max(s.Quota-s.Root.Size, 0)
	var err error
	if s.Quota == 0 {
		s.Free, err = c.store.Free(ctx)
	}
	return s, err
}

// show is a space as a user may see it, NotExist for who is no member.
func (c *Core) show(ctx context.Context, u *cloud.User, s *cloud.Space) (*cloud.Space, error) {
	return c.showFor(ctx, u, s, false)
}

// showFor is show; with all it shows the space to who is no member, too.
func (c *Core) showFor(ctx context.Context, u *cloud.User, s *cloud.Space, all bool) (*cloud.Space, error) {
	sp, err := c.enter(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	defer c.leave(sp)
	r := sp.atRoot(u, c.now())
	if err := allow(r.here, 0); err != nil && !all {
		return nil, err
	}
	if s.Free, err = c.free(ctx, sp); err != nil {
		return nil, err
	}
	s.Root = c.dressed(sp, principal{user: u}, s.Root, r, nil)
	return s, nil
}

func (c *Core) Space(ctx context.Context, id cloud.SpaceID) (*cloud.Space, error) {
	s, err := c.space(ctx, id)
	return s, cloud.E("core.Space", cloud.Ref{Space: id}, err)
}

func (c *Core) space(ctx context.Context, id cloud.SpaceID) (*cloud.Space, error) {
	u, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if id == cloud.SharesSpace {
		return c.sharesSpace(ctx)
	}
	s, err := c.store.Space(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.showFor(ctx, u, s, u.May(cloud.ListSpaces))
}

func (c *Core) Home(ctx context.Context) (*cloud.Space, error) {
	s, err := c.home(ctx)
	return s, cloud.E("core.Home", cloud.Ref{}, err)
}

func (c *Core) home(ctx context.Context) (*cloud.Space, error) {
	u, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	id := c.store.NewSpaceID(cloud.Personal, u.ID)
	s, err := c.store.Space(ctx, id)
	if errors.Is(err, cloud.NotExist) {
		s, err = c.makeHome(ctx, u, id)
	}
	if err != nil {
		return nil, err
	}
	return c.show(ctx, u, s)
}

// makeHome gives a user a personal space. Its owner is a manager like any
// other: by a grant on the root.
func (c *Core) makeHome(ctx context.Context, u *cloud.User, id cloud.SpaceID) (*cloud.Space, error) {
	if !u.May(cloud.CreateHome) {
		return nil, cloud.Refuse(cloud.Permission, "Your account has no personal space.")
	}
	c.making.Lock()
	defer c.making.Unlock()
	if c.dir != nil { // the caller was somebody when the request began; see removeHome
		now, err := c.dir.User(ctx, "id", string(u.ID))
		if errors.Is(err, cloud.NotExist) || err == nil && now.Disabled {
			return nil, cloud.Unauthorized
		}
		if err != nil {
			return nil, err
		}
	}
	if s, err := c.store.Space(ctx, id); !errors.Is(err, cloud.NotExist) {
		return s, err
	}
	name := u.Display
	if name == "" {
		name = u.Name
	}
	return c.newSpace(ctx, &cloud.Space{
		ID:    id,
		Kind:  cloud.Personal,
		Name:  name,
		Alias: "personal/" + slug(u.Name),
		Owner: u.ID,
		Quota: c.opts.HomeQuota,
		Made:  c.now(),
		Root:  &cloud.Node{Grants: []cloud.Grant{c.managed(u)}},
	})
}

func (c *Core) managed(u *cloud.User) cloud.Grant {
	return cloud.Grant{ID: newShareID(), To: cloud.Subject{User: u.ID}, Rights: cloud.SpaceManager, By: u.ID, Made: c.now().UTC()}
}

// newSpace makes a space whose first grants are on s.Root.
func (c *Core) newSpace(ctx context.Context, s *cloud.Space) (*cloud.Space, error) {
	got, err := c.store.SetSpace(ctx, s)
	if err == nil {
		c.index.set(cloud.Ref{Space: got.ID, Node: got.ID.Root()}, got.Root.Grants)
	}
	return got, err
}

// slug is a name fit for an alias, which stands in URLs of pages.
func slug(name string) string {
	dash := false
	s := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '.':
			dash = false
			return unicode.ToLower(r)
		case dash:
			return -1
		}
		dash = true
		return '-'
	}, name)
	return strings.Trim(s, "-.")
}

func (c *Core) SetSpace(ctx context.Context, s *cloud.Space) (*cloud.Space, error) {
	got, err := c.setSpace(ctx, s)
	return got, cloud.E("core.SetSpace", cloud.Ref{Space: s.ID}, err)
}

func (c *Core) setSpace(ctx context.Context, s *cloud.Space) (*cloud.Space, error) {
	u, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if s.ID == cloud.SharesSpace {
		return nil, errShares
	}
	name := strings.TrimSpace(s.Name)
	if err := cloud.CheckName(strings.ReplaceAll(name, "/", "-")); err != nil {
		return nil, cloud.Refuse(cloud.Invalid, "A space needs a name of at most %d bytes without control characters.", cloud.MaxName)
	}
	if len(s.Description) > cloud.MaxAttrs || len(s.Alias) > cloud.MaxName {
		return nil, cloud.Refuse(cloud.Invalid, "The description or the alias is too long.")
	}
	if s.Quota < 0 || c.opts.MaxQuota > 0 && (s.Quota == 0 || s.Quota > c.opts.MaxQuota) && s.ID != "" {
		return nil, cloud.Refuse(cloud.Invalid, "The quota is not allowed here.")
	}
	if s.ID == "" {
		return c.makeSpace(ctx, u, s, name)
	}
	sp, err := c.enter(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	defer c.leave(sp)
	old, err := c.store.Space(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	if err := mayAlter(u, sp.atRoot(u, c.now()).here, old, s, name); err != nil {
		return nil, err
	}
	if old.Kind == cloud.Personal && !s.Disabled.IsZero() {
		return nil, cloud.Refuse(cloud.Permission, "A personal space cannot be disabled.")
	}
	next := *old
	next.Name, next.Alias, next.Description, next.Quota, next.Disabled = name, s.Alias, s.Description, s.Quota, s.Disabled
	if next.Alias == "" {
		next.Alias = old.Alias
	}
	got, err := c.store.SetSpace(ctx, &next)
	if err != nil {
		return nil, err
	}
	sp.mu.Lock()
	sp.quota, sp.disabled = got.Quota, !got.Disabled.IsZero()
	sp.mu.Unlock()
	return c.showFor(ctx, u, got, true)
}

// mayAlter says whether a user with these rights on a space may make it what
// is wanted: as one of its managers, or by a permission for all spaces.
func mayAlter(u *cloud.User, have cloud.Rights, old, want *cloud.Space, name string) error {
	manages, quota := have.Has(cloud.CanUpdateGrant), cloud.SetSpaceQuota
	if old.Kind == cloud.Personal {
		quota = cloud.SetHomeQuota
	}
	if !manages && !u.May(cloud.ManageSpaces) && !u.May(cloud.EnableSpaces) && !u.May(quota) {
		return cmp.Or(allow(have, 0), error(cloud.Permission))
	}
	for _, part := range []struct {
		differs bool
		manages bool
		needs   cloud.SystemPermission
	}{
		{name != old.Name || want.Alias != "" && want.Alias != old.Alias || want.Description != old.Description, manages, cloud.ManageSpaces},
		{want.Disabled.IsZero() != old.Disabled.IsZero(), manages, cloud.EnableSpaces},
		{want.Quota != old.Quota, manages && old.Kind != cloud.Personal, quota}, // nobody gives themselves room
	} {
		if part.differs && !part.manages && !u.May(part.needs) {
			return cloud.Permission
		}
	}
	return nil
}

func (c *Core) makeSpace(ctx context.Context, u *cloud.User, s *cloud.Space, name string) (*cloud.Space, error) {
	if !u.May(cloud.CreateSpaces) {
		return nil, cloud.Refuse(cloud.Permission, "You may not create spaces. Ask an administrator.")
	}
	quota := s.Quota
	if quota == 0 {
		quota = c.opts.MaxQuota
	}
	if c.opts.MaxQuota > 0 && quota > c.opts.MaxQuota {
		return nil, cloud.Refuse(cloud.Invalid, "The quota is not allowed here.")
	}
	alias := s.Alias
	if alias == "" {
		alias = "project/" + slug(name)
	}
	got, err := c.newSpace(ctx, &cloud.Space{
		ID:          c.store.NewSpaceID(cloud.Project, ""),
		Kind:        cloud.Project,
		Name:        name,
		Alias:       alias,
		Description: s.Description,
		Quota:       quota,
		Made:        c.now(),
		Root:        &cloud.Node{Grants: []cloud.Grant{c.managed(u)}},
	})
	if err != nil {
		return nil, err
	}
	return c.show(ctx, u, got)
}

func (c *Core) RemoveSpace(ctx context.Context, id cloud.SpaceID, purge bool) error {
	return cloud.E("core.RemoveSpace", cloud.Ref{Space: id}, c.removeSpace(ctx, id, purge))
}

func (c *Core) removeSpace(ctx context.Context, id cloud.SpaceID, purge bool) error {
	if id == cloud.SharesSpace {
		return errShares
	}
	s, err := c.space(ctx, id)
	if err != nil {
		return err
	}
	u := cloud.CallerFrom(ctx).User
	if !purge {
		if s.Disabled.IsZero() {
			s.Disabled = c.now()
		}
		_, err = c.setSpace(ctx, s)
		return err
	}
	needs := cloud.RemoveSpaces
	if s.Kind == cloud.Personal {
		needs = cloud.RemoveHomes
	}
	if !u.May(needs) {
		return cloud.Refuse(cloud.Permission, "Only an administrator can remove a space for good.")
	}
	if s.Disabled.IsZero() {
		orphan, err := c.orphan(ctx, s)
		if err != nil {
			return err
		}
		if !orphan {
			return cloud.Refuse(cloud.Invalid, "Disable the space first.")
		}
	}
	return c.dropSpace(ctx, id)
}

// orphan tells whether it is the personal space of a user who is no more.
func (c *Core) orphan(ctx context.Context, s *cloud.Space) (bool, error) {
	if s.Kind != cloud.Personal || c.dir == nil {
		return false, nil
	}
	_, err := c.dir.User(ctx, "id", string(s.Owner))
	return errors.Is(err, cloud.NotExist), found(err)
}

func (c *Core) dropSpace(ctx context.Context, id cloud.SpaceID) error {
	if err := c.store.DropSpace(ctx, id); err != nil {
		return err
	}
	c.mu.Lock()
	delete(c.spaces, id)
	c.mu.Unlock()
	c.index.drop(id)
	return nil
}
