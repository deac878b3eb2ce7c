package oidc

import (
	"context"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
)

// account is whose account the claims of a subject lead to, brought up to
// date. Permission when they lead to none.
func (i *Issuer) account(ctx context.Context, subject string, c claims) (cloud.UserID, error) {
	role, err := i.role(c)
	if err != nil {
		return "", err
	}
	u, err := i.linked(ctx, subject)
	if err == nil && u == nil {
		u, err = i.welcome(ctx, subject, c, role)
	}
	if err != nil {
		return "", err
	}
	if u.Disabled {
		return u.ID, nil // whoever asks the directory finds out
	}
	if err := i.describe(ctx, u, c, role); err != nil {
		return "", err
	}
	return u.ID, i.regroup(ctx, u, c)
}

// linked is the account that is a subject's already; nil if there is none.
func (i *Issuer) linked(ctx context.Context, subject string) (*cloud.User, error) {
	x, err := i.links.subject(subject)
	if err != nil || x == nil {
		return nil, err
	}
	u, err := i.dir.User(ctx, "id", string(x.User))
	if cloud.KindOf(err) == cloud.NotExist {
		return nil, nil
	}
	return u, err
}

// welcome finds or makes the account of who comes for the first time. From
// then on it is theirs: names change and are given to others, subjects are not
// (Core 1.0, section 5.7).
func (i *Issuer) welcome(ctx context.Context, subject string, c claims, role string) (*cloud.User, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if u, err := i.linked(ctx, subject); u != nil || err != nil {
		return u, err
	}
	name, err := i.must(c, i.opts.UserClaim)
	if err != nil {
		return nil, err
	}
	if i.opts.UserField == "mail" && unverified(c) {
		return nil, cloud.Refuse(cloud.Permission, "Your mail address is not verified at the sign-in service.")
	}
	u, err := i.dir.User(ctx, fields[i.opts.UserField], name)
	switch {
	case err == nil:
		err = i.mayHave(u, subject, role)
	case cloud.KindOf(err) != cloud.NotExist:
	case i.opts.Provision:
		u, err = i.provision(ctx, c, role)
	default:
		err = cloud.Refuse(cloud.Permission, "There is no account for you here. Ask your administrator for one.")
	}
	if err != nil {
		return nil, err
	}
	if err := i.links.set(&link{User: u.ID, Issuer: i.opts.Issuer, Subject: subject}); err != nil {
		return nil, err
	}
	i.log.InfoContext(ctx, "an account belongs to a subject of the OpenID Connect issuer from now on", "user", u.Name, "subject", subject)
	return u, nil
}

// mayHave says whether an account can be had by who comes with its name. One
// that is somebody's already cannot, nor can that of an administrator, unless
// the issuer says, too, that they are one: names may be anybody's choice there.
func (i *Issuer) mayHave(u *cloud.User, subject, role string) error {
	x, err := i.links.account(u.ID)
	if err != nil {
		return err
	}
	if x != nil {
		if x.Subject == subject {
			return nil
		}
		return cloud.Refuse(cloud.Permission, "The account %.80q belongs to somebody else at the sign-in service. Ask your administrator.", u.Name)
	}
	mighty := u.Role == cloud.RoleAdmin || u.Role == cloud.RoleSpaceAdmin
	if i.opts.Link == LinkNone || i.opts.Link == LinkUsers && mighty && role != u.Role {
		return cloud.Refuse(cloud.Permission, "The account %.80q was made here and cannot be used with the sign-in service. Ask your administrator.", u.Name)
	}
	return nil
}

// provision makes an account.
func (i *Issuer) provision(ctx context.Context, c claims, role string) (*cloud.User, error) {
	name, err := i.must(c, i.opts.NameClaim)
	if err != nil {
		return nil, err
	}
	u := &cloud.User{Name: name, Display: name, Role: role}
	if err := i.profile(u, c); err != nil {
		return nil, err
	}
	u, err = i.dir.SetUser(ctx, u, "")
	switch cloud.KindOf(err) {
	case cloud.Exist:
		return nil, cloud.Refuse(cloud.Permission, "The user name %.80q is taken here. Ask your administrator.", name)
	case cloud.Invalid:
		return nil, cloud.Refuse(cloud.Permission, "No account can be made for you: %s", cloud.Say(err))
	case cloud.NotSupported:
		return nil, cloud.Refuse(cloud.Permission, "There is no account for you here, and none can be made. Ask your administrator for one.")
	}
	return u, err
}

// profile fills in what the claims say of a user. A mail address that is
// known not to be theirs is left out: others may find them by it.
func (i *Issuer) profile(u *cloud.User, c claims) error {
	display, ok, err := c.text(i.opts.DisplayClaim)
	if err != nil {
		return err
	}
	if ok && strings.TrimSpace(display) != "" {
		u.Display = display
	}
	mail, ok, err := c.text(i.opts.MailClaim)
	if err != nil {
		return err
	}
	if ok && !unverified(c) {
		u.Mail = mail
	}
	return nil
}

func unverified(c claims) bool { return c["email_verified"] == false || c["email_verified"] == "false" }

// describe brings role and profile up to date. The profile of whom another
// system keeps is for that to say.
func (i *Issuer) describe(ctx context.Context, u *cloud.User, c claims, role string) error {
	update := func(u *cloud.User) (next cloud.User, changed bool, err error) {
		next = *u
		if role != "" {
			next.Role = role
		}
		if i.opts.Provision && !u.ReadOnly {
			err = i.profile(&next, c)
		}
		return next, next.Role != u.Role || next.Display != u.Display || next.Mail != u.Mail, err
	}
	if _, changed, err := update(u); err != nil || !changed {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	u, err := i.dir.User(ctx, "id", string(u.ID)) // nobody has changed more a moment ago
	if err != nil {
		return err
	}
	next, changed, err := update(u)
	if err != nil || !changed {
		return err
	}
	_, err = i.dir.SetUser(ctx, &next, "")
	switch {
	case err == nil:
		i.log.InfoContext(ctx, "an account was changed as the OpenID Connect issuer says", "user", u.Name, "role", next.Role)
	case cloud.KindOf(err) == cloud.Invalid && next.Role == u.Role:
		i.log.WarnContext(ctx, "what the OpenID Connect issuer says of somebody cannot be kept", "user", u.Name, "error", err)
		return nil
	}
	return err
}

// must is a claim without which there is no way in.
func (i *Issuer) must(c claims, path string) (string, error) {
	s, ok, err := c.text(path)
	if err == nil && !ok {
		err = cloud.Refuse(cloud.Permission, "The sign-in service does not say who you are: the claim %.80q is missing. Tell your administrator.", path)
	}
	return s, err
}

// A mapping says which role a value of the claim means.
type mapping struct{ claim, role string }

func parseMapping(texts []string) (all []mapping, err error) {
	for _, text := range texts {
		at := strings.LastIndexByte(text, '=') // claims may have one
		if at <= 0 {
			return nil, cloud.Refuse(cloud.Invalid, "The mapping %q (OC_OIDC_ROLE_MAPPING) does not look like claim=role.", text)
		}
		r, ok := cloud.RoleBy(text[at+1:])
		if !ok {
			return nil, cloud.Refuse(cloud.Invalid, "There is no role %q (OC_OIDC_ROLE_MAPPING).", text[at+1:])
		}
		all = append(all, mapping{text[:at], r.ID})
	}
	return all, nil
}

// role is the one that the claims give; empty: the one that the user has.
func (i *Issuer) role(c claims) (string, error) {
	if i.opts.RoleDriver != RolesFromClaims {
		return "", nil
	}
	has, _, err := c.list(i.opts.RoleClaim)
	if err != nil {
		return "", err
	}
	for _, m := range i.roles {
		if slices.Contains(has, m.claim) {
			return m.role, nil
		}
	}
	return "", cloud.Refuse(cloud.Permission, "You have signed in, but you were given no role here. Ask your administrator for one.")
}

// maxSynced bounds how many users are remembered whose groups were looked at.
const maxSynced = 10_000

// regroup puts the user into the groups that the claim names, makes those
// that are missing, and takes them out of those that it put them into and
// that the claim does not name any more. Groups that somebody else put them
// into stay; no claim at all changes nothing.
func (i *Issuer) regroup(ctx context.Context, u *cloud.User, c claims) error {
	if !i.opts.Provision || u.ReadOnly || i.opts.GroupsClaim == "" {
		return nil
	}
	names, ok, err := c.list(i.opts.GroupsClaim)
	if err != nil || !ok {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	if last, ok := i.synced[u.ID]; ok && now.Sub(last) < i.opts.GroupsEvery {
		return nil
	}
	x, err := i.links.account(u.ID)
	if err != nil || x == nil { // removed a moment ago
		return err
	}
	var in []cloud.GroupID
	for _, name := range names {
		g, err := i.group(ctx, name)
		if err != nil {
			return err
		}
		if g != nil && !slices.Contains(in, g.ID) {
			in = append(in, g.ID)
		}
	}
	if err := i.join(ctx, u, x, in); err != nil {
		return err
	}
	if len(i.synced) >= maxSynced {
		clear(i.synced)
	}
	i.synced[u.ID] = now
	return nil
}

// group finds a group, or makes it; nil if there cannot be one of that name,
// or another system keeps it.
func (i *Issuer) group(ctx context.Context, name string) (*cloud.Group, error) {
	if name == "" {
		return nil, nil
	}
	g, err := i.dir.Group(ctx, "name", name)
	if cloud.KindOf(err) == cloud.NotExist {
		g, err = i.dir.SetGroup(ctx, &cloud.Group{Name: name})
	}
	if err == nil && g.ReadOnly {
		return nil, nil
	}
	if k := cloud.KindOf(err); k == cloud.Invalid || k == cloud.NotSupported {
		i.log.WarnContext(ctx, "a group that the OpenID Connect issuer names cannot be made", "group", name, "error", err)
		return nil, nil
	}
	return g, err
}

// join sees to it that of the groups that the issuer manages the user is in
// those and no others. What is managed is written down before it is done, so
// that it can be undone whatever comes between.
func (i *Issuer) join(ctx context.Context, u *cloud.User, x *link, in []cloud.GroupID) error {
	var enter, keep, leave []cloud.GroupID
	for _, id := range x.Groups {
		if slices.Contains(in, id) {
			keep = append(keep, id)
		} else {
			leave = append(leave, id)
		}
	}
	for _, id := range in {
		if !slices.Contains(u.Groups, id) {
			enter = append(enter, id)
			if !slices.Contains(keep, id) {
				keep = append(keep, id)
			}
		}
	}
	if len(enter) == 0 && len(leave) == 0 {
		return nil
	}
	all := *x
	if all.Groups = slices.Concat(keep, leave); len(all.Groups) > len(x.Groups) {
		if err := i.links.set(&all); err != nil {
			return err
		}
	}
	for _, id := range enter {
		if err := gone(i.dir.Join(ctx, id, u.ID)); err != nil {
			return err
		}
	}
	for _, id := range leave {
		if err := gone(i.dir.Leave(ctx, id, u.ID)); err != nil {
			return err
		}
	}
	all.Groups = keep
	return i.links.set(&all)
}

// gone is nil where somebody has removed the group meanwhile.
func gone(err error) error {
	if cloud.KindOf(err) == cloud.NotExist {
		return nil
	}
	return err
}
