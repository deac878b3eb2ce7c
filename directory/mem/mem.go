// Package mem is the simplest cloud.Directory, and the simplest
// cloud.Profiles, in memory: for tests, and to show what the contract asks for.
// It is not for many users: everything is looked for from one end to the other.
package mem

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"opencloud/cloud"
)

// A Directory has passwords in the clear.
type Directory struct {
	// ReadOnly is set before use: then it answers all changes NotSupported.
	ReadOnly bool

	mu        sync.Mutex
	users     []cloud.User
	groups    []cloud.Group
	passwords map[cloud.UserID]string
	documents map[cloud.UserID]map[string][]byte
}

var (
	_ cloud.Directory = (*Directory)(nil)
	_ cloud.Profiles  = (*Directory)(nil)
)

// New has some users from the beginning, with ids that somebody chose and
// without passwords.
func New(users ...*cloud.User) *Directory {
	d := &Directory{passwords: map[cloud.UserID]string{}, documents: map[cloud.UserID]map[string][]byte{}}
	for _, u := range users {
		d.users = append(d.users, *d.copied(*u))
	}
	return d
}

func (d *Directory) copied(u cloud.User) *cloud.User {
	u.Groups, u.ReadOnly = slices.Clone(u.Groups), d.ReadOnly
	return &u
}

// find is where a user is, -1 if there is none. The caller holds mu.
func (d *Directory) find(holds func(u *cloud.User) bool) int {
	for i := range d.users {
		if holds(&d.users[i]) {
			return i
		}
	}
	return -1
}

func (d *Directory) User(_ context.Context, by, value string) (*cloud.User, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.find(func(u *cloud.User) bool {
		switch by {
		case "id":
			return string(u.ID) == value
		case "name":
			return strings.EqualFold(u.Name, value)
		case "mail":
			return value != "" && strings.EqualFold(u.Mail, value)
		}
		return false
	})
	if i < 0 {
		return nil, cloud.NotExist
	}
	return d.copied(d.users[i]), nil
}

// contains is regardless of case.
func contains(text, part string) bool {
	for i := range text {
		for j := range text[i:] {
			if strings.EqualFold(text[i:i+j], part) {
				return true
			}
		}
		if strings.EqualFold(text[i:], part) {
			return true
		}
	}
	return part == ""
}

func (d *Directory) Users(_ context.Context, search string) iter.Seq2[*cloud.User, error] {
	return d.those(func(u *cloud.User) bool {
		return slices.ContainsFunc([]string{u.Name, u.Display, u.GivenName, u.Surname, u.Mail}, func(s string) bool { return contains(s, search) })
	})
}

func (d *Directory) those(who func(*cloud.User) bool) iter.Seq2[*cloud.User, error] {
	return func(yield func(*cloud.User, error) bool) {
		d.mu.Lock()
		all := make([]*cloud.User, len(d.users))
		for i, u := range d.users {
			all[i] = d.copied(u)
		}
		d.mu.Unlock()
		for _, u := range all {
			if who(u) && !yield(u, nil) {
				return
			}
		}
	}
}

func (d *Directory) SetUser(_ context.Context, u *cloud.User, password string) (*cloud.User, error) {
	if d.ReadOnly {
		return nil, cloud.NotSupported
	}
	if err := cloud.CheckName(u.Name); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.find(func(o *cloud.User) bool { return o.ID == u.ID })
	if at < 0 && u.ID != "" {
		return nil, cloud.NotExist
	}
	if d.find(func(o *cloud.User) bool { return o.ID != u.ID && strings.EqualFold(o.Name, u.Name) }) >= 0 {
		return nil, cloud.Exist
	}
	set := *u
	if at < 0 {
		set.ID, set.Groups, set.Made = cloud.UserID(cloud.NewUUID().String()), nil, time.Now().UTC().Truncate(time.Second)
		if set.Role == "" {
			set.Role = cloud.RoleUser
		}
		d.users = append(d.users, set)
	} else {
		set.Groups, set.Made = d.users[at].Groups, d.users[at].Made
		d.users[at] = set
	}
	if password != "" {
		d.passwords[set.ID] = password
	}
	return d.copied(set), nil
}

func (d *Directory) RemoveUser(_ context.Context, id cloud.UserID) error {
	if d.ReadOnly {
		return cloud.NotSupported
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.find(func(u *cloud.User) bool { return u.ID == id })
	if i < 0 {
		return cloud.NotExist
	}
	d.users = slices.Delete(d.users, i, i+1)
	delete(d.passwords, id)
	return nil
}

func (d *Directory) Verify(_ context.Context, name, password string) (*cloud.User, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.find(func(u *cloud.User) bool { return strings.EqualFold(u.Name, name) })
	if i < 0 || d.users[i].Disabled || password == "" || d.passwords[d.users[i].ID] != password {
		return nil, cloud.Unauthorized
	}
	return d.copied(d.users[i]), nil
}

// findGroup is where a group is, -1 if there is none. The caller holds mu.
func (d *Directory) findGroup(id cloud.GroupID) int {
	return slices.IndexFunc(d.groups, func(g cloud.Group) bool { return g.ID == id })
}

func (d *Directory) Group(_ context.Context, by, value string) (*cloud.Group, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, g := range d.groups {
		if by == "id" && string(g.ID) == value || by == "name" && strings.EqualFold(g.Name, value) {
			g.ReadOnly = d.ReadOnly
			return &g, nil
		}
	}
	return nil, cloud.NotExist
}

func (d *Directory) Groups(_ context.Context, search string) iter.Seq2[*cloud.Group, error] {
	return func(yield func(*cloud.Group, error) bool) {
		d.mu.Lock()
		all := slices.Clone(d.groups)
		d.mu.Unlock()
		for _, g := range all {
			g.ReadOnly = d.ReadOnly
			if contains(g.Name, search) && !yield(&g, nil) {
				return
			}
		}
	}
}

func (d *Directory) SetGroup(_ context.Context, g *cloud.Group) (*cloud.Group, error) {
	if d.ReadOnly {
		return nil, cloud.NotSupported
	}
	if g.Name == "" || strings.ContainsFunc(g.Name, unicode.IsControl) {
		return nil, cloud.Invalid
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	set, at := *g, d.findGroup(g.ID)
	if at < 0 && set.ID != "" {
		return nil, cloud.NotExist
	}
	if slices.ContainsFunc(d.groups, func(o cloud.Group) bool { return o.ID != set.ID && strings.EqualFold(o.Name, set.Name) }) {
		return nil, cloud.Exist
	}
	if at < 0 {
		set.ID = cloud.GroupID(cloud.NewUUID().String())
		d.groups = append(d.groups, set)
	} else {
		d.groups[at] = set
	}
	return &set, nil
}

func (d *Directory) RemoveGroup(_ context.Context, id cloud.GroupID) error {
	if d.ReadOnly {
		return cloud.NotSupported
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.findGroup(id)
	if at < 0 {
		return cloud.NotExist
	}
	d.groups = slices.Delete(d.groups, at, at+1)
	for i := range d.users {
		d.users[i].Groups = without(d.users[i].Groups, id)
	}
	return nil
}

func without(groups []cloud.GroupID, id cloud.GroupID) []cloud.GroupID {
	return slices.DeleteFunc(slices.Clone(groups), func(g cloud.GroupID) bool { return g == id })
}

func (d *Directory) Members(ctx context.Context, id cloud.GroupID) iter.Seq2[*cloud.User, error] {
	if _, err := d.Group(ctx, "id", string(id)); err != nil {
		return func(yield func(*cloud.User, error) bool) { yield(nil, err) }
	}
	return d.those(func(u *cloud.User) bool { return slices.Contains(u.Groups, id) })
}

func (d *Directory) Join(_ context.Context, id cloud.GroupID, who cloud.UserID) error {
	if d.ReadOnly {
		return cloud.NotSupported
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.find(func(u *cloud.User) bool { return u.ID == who })
	if i < 0 || d.findGroup(id) < 0 {
		return cloud.NotExist
	}
	d.users[i].Groups = append(without(d.users[i].Groups, id), id)
	return nil
}

func (d *Directory) Leave(_ context.Context, id cloud.GroupID, who cloud.UserID) error {
	if d.ReadOnly {
		return cloud.NotSupported
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.find(func(u *cloud.User) bool { return u.ID == who && slices.Contains(u.Groups, id) })
	if i < 0 {
		return cloud.NotExist
	}
	d.users[i].Groups = without(d.users[i].Groups, id)
	return nil
}

func (d *Directory) Document(_ context.Context, of cloud.UserID, name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	body, ok := d.documents[of][name]
	if !ok {
		return nil, cloud.NotExist
	}
	return slices.Clone(body), nil
}

func (d *Directory) SetDocument(_ context.Context, of cloud.UserID, name string, body []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(body) == 0 {
		delete(d.documents[of], name)
		return nil
	}
	if d.documents[of] == nil {
		d.documents[of] = map[string][]byte{}
	}
	d.documents[of][name] = slices.Clone(body)
	return nil
}

func (d *Directory) DropDocuments(_ context.Context, of cloud.UserID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.documents, of)
	return nil
}
