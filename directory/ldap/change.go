package ldap

import (
	"cmp"
	"context"
	"slices"
	"strings"

	lib "github.com/go-ldap/ldap/v3"

	"opencloud/cloud"
	"opencloud/directory/ldap/client"
	"opencloud/directory/names"
)

func readOnly() error {
	return cloud.Refuse(cloud.NotSupported, "Users and groups are kept in another directory, which is only read here. Change them there.")
}

// change makes a request that alters the directory.
func (d *Directory) change(ctx context.Context, request func(*lib.Conn) error) error {
	if !d.opts.Write {
		return readOnly()
	}
	return d.client.Change(ctx, request)
}

// altering runs do, which changes something, while nobody else does, and
// forgets what was read before, and which passwords were right if that may
// have changed.
func (d *Directory) altering(passwords bool, do func() error) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	defer func() { // after a failure, too: it may have come half way
		d.changes.Add(1)
		d.users.clear()
		d.groups.clear()
		d.trees.clear()
		if passwords {
			d.seen.Clear()
		}
	}()
	return do()
}

// SetUser creates or changes a user. Of a directory that is only read it
// changes what is kept beside it: role and language.
func (d *Directory) SetUser(ctx context.Context, u *cloud.User, password string) (*cloud.User, error) {
	var got *cloud.User
	err := names.CheckUser(u, password)
	if err == nil {
		err = d.altering(true, func() (err error) {
			got, err = d.setUser(ctx, *u, password)
			return err
		})
	}
	if err != nil {
		return nil, cloud.E("ldap.SetUser", cloud.Ref{}, err)
	}
	return got, nil
}

func (d *Directory) setUser(ctx context.Context, u cloud.User, password string) (*cloud.User, error) {
	var old *person
	if u.ID != "" {
		var err error
		if old, err = d.person(ctx, "id", string(u.ID)); err != nil {
			return nil, err
		}
		if _, err = d.complete(ctx, old); err != nil {
			return nil, err
		}
	}
	if old == nil || !strings.EqualFold(old.Name, u.Name) {
		if _, err := d.person(ctx, "name", u.Name); err == nil {
			return nil, cloud.Refuse(cloud.Exist, "The user name %q is already taken.", u.Name)
		} else if cloud.KindOf(err) != cloud.NotExist {
			return nil, err
		}
	}
	if old == nil {
		return d.addUser(ctx, u, password)
	}
	if err := d.changeEntry(ctx, old, &u, password); err != nil {
		return nil, err
	}
	if err := d.setOwn(ctx, &u); err != nil {
		return nil, err
	}
	return d.load(ctx, "id", string(u.ID))
}

// A field is an attribute that holds a text of a user.
type field struct {
	attr string
	of   func(*cloud.User) *string
}

func (o *Options) fields() []field {
	return []field{
		{o.UserName, func(u *cloud.User) *string { return &u.Name }},
		{o.UserDisplay, func(u *cloud.User) *string { return &u.Display }},
		{o.UserGiven, func(u *cloud.User) *string { return &u.GivenName }},
		{o.UserSurname, func(u *cloud.User) *string { return &u.Surname }},
		{o.UserMail, func(u *cloud.User) *string { return &u.Mail }},
	}
}

// values are what an attribute is set to.
func values(attr, text string) []string {
	switch {
	case text != "":
		return []string{text}
	case demanded(attr):
		return []string{nothing}
	}
	return nil
}

func kindValue(k cloud.UserKind) string {
	if k == cloud.Member {
		return "Member"
	}
	return string(k)
}

func (d *Directory) addUser(ctx context.Context, u cloud.User, password string) (*cloud.User, error) {
	o := &d.opts
	add := lib.NewAddRequest(rdn(o.UserName, u.Name)+","+o.UserBase, nil)
	add.Attribute("objectClass", classes(o.UserNewClasses, o.UserClass))
	if !o.ServerUUID {
		id := cloud.NewUUID()
		raw, _ := d.userID.raw(id.String())
		add.Attribute(o.UserID, []string{string(raw)})
	}
	has := map[string]bool{}
	for _, f := range o.fields() {
		if v := values(f.attr, *f.of(&u)); v != nil {
			add.Attribute(f.attr, v)
			has[strings.ToLower(f.attr)] = true
		}
	}
	for attr, text := range map[string]string{"cn": cmp.Or(u.Display, u.Name), "sn": u.Surname} {
		if !has[attr] {
			add.Attribute(attr, values(attr, text))
		}
	}
	if u.Kind != cloud.Member {
		add.Attribute(o.UserType, []string{kindValue(u.Kind)})
	}
	if u.Disabled && o.Disabling == "attribute" {
		add.Attribute(o.UserEnabled, []string{enabledValue(o.UserEnabled, true, 0)})
	}
	if password != "" && !o.PasswordExop {
		add.Attribute("userPassword", []string{password})
	}
	if u.Disabled && o.Disabling == "none" {
		return nil, noDisabling()
	}
	if err := d.change(ctx, func(l *lib.Conn) error { return l.Add(add) }); err != nil {
		if cloud.KindOf(err) == cloud.Exist {
			return nil, cloud.Refuse(cloud.Exist, "The user name %q is already taken.", u.Name)
		}
		return nil, err
	}
	got, err := d.finish(ctx, &u, password)
	if err != nil { // nobody should find half a user
		ctx = context.WithoutCancel(ctx)
		if err2 := d.change(ctx, func(l *lib.Conn) error { return l.Del(lib.NewDelRequest(add.DN, nil)) }); err2 != nil {
			d.log.Error("a user who could not be made whole cannot be removed from the directory", "dn", add.DN, "error", err2)
		}
	}
	return got, err
}

// finish does for a new user what takes an entry that is there.
func (d *Directory) finish(ctx context.Context, u *cloud.User, password string) (*cloud.User, error) {
	p, err := d.person(ctx, "name", u.Name)
	if err != nil {
		return nil, err
	}
	if password != "" && d.opts.PasswordExop {
		if err := d.setPassword(ctx, p.dn, password); err != nil {
			return nil, err
		}
	}
	if u.Disabled && d.opts.Disabling == "group" {
		if err := d.setDisabled(ctx, p, true); err != nil {
			return nil, err
		}
	}
	u.ID = p.ID
	if u.Role == "" {
		u.Role = cloud.RoleUser
	}
	if err := d.setOwn(ctx, u); err != nil {
		return nil, err
	}
	return d.load(ctx, "id", string(p.ID))
}

func noDisabling() error {
	return cloud.Refuse(cloud.NotSupported, "Users cannot be disabled here: the directory has no place for it.")
}

// classes are those of a new entry, with the one that it is found by.
func classes(all []string, must string) []string {
	if !slices.ContainsFunc(all, func(c string) bool { return strings.EqualFold(c, must) }) {
		all = append(slices.Clone(all), must)
	}
	return all
}

// changeEntry makes the entry of a user say what u does.
func (d *Directory) changeEntry(ctx context.Context, old *person, u *cloud.User, password string) error {
	o := &d.opts
	m := lib.NewModifyRequest(old.dn, nil)
	rename := false
	for _, f := range o.fields() {
		text := *f.of(u)
		if text == *f.of(&old.User) {
			continue
		}
		if _, inDN := first(old.dn, f.attr); inDN {
			if f.attr != o.UserName {
				return cloud.Refuse(cloud.NotSupported, "The directory names the entry of this user by its attribute %s, which cannot be changed here.", f.attr)
			}
			rename = true
			continue
		}
		m.Replace(f.attr, values(f.attr, text))
	}
	if u.Kind != old.Kind {
		m.Replace(o.UserType, []string{kindValue(u.Kind)})
	}
	if u.Disabled != old.Disabled {
		switch o.Disabling {
		case "none":
			return noDisabling()
		case "attribute":
			m.Replace(o.UserEnabled, []string{enabledValue(o.UserEnabled, u.Disabled, old.control)})
		}
	}
	if password != "" && !o.PasswordExop {
		m.Replace("userPassword", []string{password})
	}
	if rename {
		if err := d.rename(ctx, &old.dn, o.UserName, u.Name); err != nil {
			return err
		}
		m.DN = old.dn
	}
	if u.Name != old.Name && d.unix() {
		if err := d.references(ctx, old.Name, u.Name); err != nil {
			return err
		}
	}
	if len(m.Changes) > 0 {
		if err := d.change(ctx, func(l *lib.Conn) error { return l.Modify(m) }); err != nil {
			return err
		}
	}
	if u.Disabled != old.Disabled && o.Disabling == "group" {
		old.Name = u.Name
		if err := d.setDisabled(ctx, old, u.Disabled); err != nil {
			return err
		}
	}
	if password != "" && o.PasswordExop {
		return d.setPassword(ctx, old.dn, password)
	}
	return nil
}

func (d *Directory) setPassword(ctx context.Context, dn, password string) error {
	return d.change(ctx, func(l *lib.Conn) error {
		_, err := l.PasswordModify(lib.NewPasswordModifyRequest(dn, "", password))
		return err
	})
}

// rename gives an entry another name, in the DN too, and tells the groups.
func (d *Directory) rename(ctx context.Context, dn *string, attr, name string) error {
	part, whole, err := renamed(*dn, attr, name)
	if err != nil {
		return err
	}
	if err := d.change(ctx, func(l *lib.Conn) error { return l.ModifyDN(lib.NewModifyDNRequest(*dn, part, true, "")) }); err != nil {
		if cloud.KindOf(err) == cloud.Exist {
			return cloud.Refuse(cloud.Exist, "The name %q is already taken.", name)
		}
		return err
	}
	was := *dn
	*dn = whole
	if d.opts.Refint || d.unix() {
		return nil
	}
	return d.references(ctx, was, whole)
}

// references puts another member into the place of one, in all groups; an
// empty one in the place of one who goes.
func (d *Directory) references(ctx context.Context, was, is string) error {
	attr := d.opts.GroupMember
	q := client.Query{Base: d.opts.GroupBase, Scope: "sub", Filter: and(equal("objectClass", d.opts.GroupClass), equal(attr, was)), Attrs: []string{"1.1"}}
	var groups []string
	for e, err := range d.client.List(ctx, q) {
		if err != nil {
			return err
		}
		groups = append(groups, e.DN)
	}
	if d.opts.Disabling == "group" && !slices.ContainsFunc(groups, func(dn string) bool { return key(dn) == key(d.opts.DisabledGroup) }) {
		groups = append(groups, d.opts.DisabledGroup)
	}
	for _, dn := range groups {
		var err error
		if is == "" {
			err = d.leave(ctx, dn, was)
		} else {
			m := lib.NewModifyRequest(dn, nil)
			m.Delete(attr, []string{was})
			m.Add(attr, []string{is})
			err = d.change(ctx, func(l *lib.Conn) error { return l.Modify(m) })
		}
		if err != nil && !client.Code(err, lib.LDAPResultNoSuchAttribute, lib.LDAPResultNoSuchObject) {
			return err
		}
	}
	return nil
}

// leave takes a member out of a group. Where a group must not be empty, as of
// groupOfNames, the last member leaves an empty DN behind.
func (d *Directory) leave(ctx context.Context, group, member string) error {
	m := lib.NewModifyRequest(group, nil)
	m.Delete(d.opts.GroupMember, []string{member})
	err := d.change(ctx, func(l *lib.Conn) error { return l.Modify(m) })
	if client.Code(err, lib.LDAPResultObjectClassViolation) && !d.unix() {
		m.Add(d.opts.GroupMember, []string{""})
		err = d.change(ctx, func(l *lib.Conn) error { return l.Modify(m) })
	}
	return err
}

// RemoveUser removes the entry, and the memberships before it: whoever gets
// the DN later must not come into them.
func (d *Directory) RemoveUser(ctx context.Context, id cloud.UserID) error {
	return cloud.E("ldap.RemoveUser", cloud.Ref{}, d.altering(true, func() error {
		p, err := d.person(ctx, "id", string(id))
		if err != nil {
			return err
		}
		if !d.opts.Write {
			return readOnly()
		}
		if err := d.removeEntry(ctx, p.dn, d.member(p)); err != nil {
			return err
		}
		return d.own.DropDocuments(ctx, id)
	}))
}

func (d *Directory) removeEntry(ctx context.Context, dn, member string) error {
	if !d.opts.Refint || d.unix() {
		if err := d.references(ctx, member, ""); err != nil {
			return err
		}
	}
	return d.change(ctx, func(l *lib.Conn) error { return l.Del(lib.NewDelRequest(dn, nil)) })
}

// writable finds a group that may be changed.
func (d *Directory) writable(ctx context.Context, id cloud.GroupID) (g *cloud.Group, dn string, err error) {
	g, dn, err = d.group(ctx, "id", string(id))
	switch {
	case err != nil:
	case !d.opts.Write:
		err = readOnly()
	case g.ReadOnly:
		err = cloud.Refuse(cloud.NotSupported, "The group %q belongs to others: it cannot be changed here.", g.Name)
	}
	return g, dn, err
}

// SetGroup creates or changes a group.
func (d *Directory) SetGroup(ctx context.Context, set *cloud.Group) (*cloud.Group, error) {
	var got *cloud.Group
	err := names.CheckGroup(set)
	if err == nil {
		err = d.altering(false, func() (err error) {
			got, err = d.setGroup(ctx, set)
			return err
		})
	}
	if err != nil {
		return nil, cloud.E("ldap.SetGroup", cloud.Ref{}, err)
	}
	return got, nil
}

func (d *Directory) setGroup(ctx context.Context, set *cloud.Group) (*cloud.Group, error) {
	var old *cloud.Group
	var dn string
	if set.ID != "" {
		var err error
		if old, dn, err = d.writable(ctx, set.ID); err != nil {
			return nil, err
		}
	}
	if old == nil || !strings.EqualFold(old.Name, set.Name) {
		if _, _, err := d.group(ctx, "name", set.Name); err == nil {
			return nil, cloud.Refuse(cloud.Exist, "The group name %q is already taken.", set.Name)
		} else if cloud.KindOf(err) != cloud.NotExist {
			return nil, err
		}
	}
	var err error
	if old == nil {
		err = d.addGroup(ctx, set)
	} else {
		err = d.changeGroup(ctx, old, dn, set)
	}
	if err != nil {
		return nil, err
	}
	g, _, err := d.group(ctx, "name", set.Name)
	return g, err
}

func (d *Directory) addGroup(ctx context.Context, g *cloud.Group) error {
	o := &d.opts
	add := lib.NewAddRequest(rdn(o.GroupName, g.Name)+","+o.GroupNewBase, nil)
	add.Attribute("objectClass", classes(o.GroupNewClasses, o.GroupClass))
	add.Attribute(o.GroupName, []string{g.Name})
	if !o.ServerUUID {
		raw, _ := d.groupID.raw(cloud.NewUUID().String())
		add.Attribute(o.GroupID, []string{string(raw)})
	}
	if g.Description != "" {
		add.Attribute("description", []string{g.Description})
	}
	if !d.unix() {
		add.Attribute(o.GroupMember, []string{""}) // see leave
	}
	return d.change(ctx, func(l *lib.Conn) error { return l.Add(add) })
}

func (d *Directory) changeGroup(ctx context.Context, old *cloud.Group, dn string, g *cloud.Group) error {
	m := lib.NewModifyRequest(dn, nil)
	if g.Description != old.Description {
		m.Replace("description", values("description", g.Description))
	}
	if g.Name != old.Name {
		if _, inDN := first(dn, d.opts.GroupName); !inDN {
			m.Replace(d.opts.GroupName, []string{g.Name})
		} else if err := d.rename(ctx, &m.DN, d.opts.GroupName, g.Name); err != nil {
			return err
		}
	}
	if len(m.Changes) == 0 {
		return nil
	}
	return d.change(ctx, func(l *lib.Conn) error { return l.Modify(m) })
}

// RemoveGroup removes the entry.
func (d *Directory) RemoveGroup(ctx context.Context, id cloud.GroupID) error {
	return cloud.E("ldap.RemoveGroup", cloud.Ref{}, d.altering(false, func() error {
		_, dn, err := d.writable(ctx, id)
		if err != nil {
			return err
		}
		if d.unix() {
			return d.change(ctx, func(l *lib.Conn) error { return l.Del(lib.NewDelRequest(dn, nil)) })
		}
		return d.removeEntry(ctx, dn, dn)
	}))
}

// Join puts a user into a group.
func (d *Directory) Join(ctx context.Context, id cloud.GroupID, who cloud.UserID) error {
	return cloud.E("ldap.Join", cloud.Ref{}, d.membership(ctx, id, who, func(group, member string) error {
		m := lib.NewModifyRequest(group, nil)
		m.Add(d.opts.GroupMember, []string{member})
		err := d.change(ctx, func(l *lib.Conn) error { return l.Modify(m) })
		if client.Code(err, lib.LDAPResultAttributeOrValueExists) {
			return nil
		}
		return err
	}))
}

// Leave takes a user out of a group. Who is in it through another group is
// not in it for Leave.
func (d *Directory) Leave(ctx context.Context, id cloud.GroupID, who cloud.UserID) error {
	return cloud.E("ldap.Leave", cloud.Ref{}, d.membership(ctx, id, who, func(group, member string) error {
		err := d.leave(ctx, group, member)
		if client.Code(err, lib.LDAPResultNoSuchAttribute) {
			return cloud.Refuse(cloud.NotExist, "This user is not in the group.")
		}
		return err
	}))
}

func (d *Directory) membership(ctx context.Context, id cloud.GroupID, who cloud.UserID, change func(group, member string) error) error {
	return d.altering(false, func() error {
		_, dn, err := d.writable(ctx, id)
		if err != nil {
			return err
		}
		p, err := d.person(ctx, "id", string(who))
		if err != nil {
			return err
		}
		return change(dn, d.member(p))
	})
}
