package builtin

import (
	"context"
	"iter"
	"slices"
	"strings"

	"opencloud/cloud"
	"opencloud/directory/names"
)

// group is a group as in the file.
type group struct {
	cloud.Group
	file fileID
	fold string // of the name
}

func noGroup() error { return cloud.Refuse(cloud.NotExist, "There is no such group.") }

func (d *Directory) loadGroups() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now, err := d.groups.mtime(); err != nil || now == d.groups.stamp.Load() {
		return err
	}
	old := d.groupByID
	byID := make(map[cloud.GroupID]*group, len(old))
	byName := make(map[string]*group, len(old))
	err := scan(&d.groups, func(dir int, name, id string, buf []byte) (*group, error) {
		g, was := &group{}, fileID{}
		if has := old[cloud.GroupID(id)]; has != nil {
			was = has.file
		}
		now, same, err := read(dir, name, was, g, buf)
		if err != nil || same {
			return old[cloud.GroupID(id)], err
		}
		g.file, g.fold = now, names.Fold(g.Name)
		if err := checkID(id, string(g.ID)); err != nil {
			return nil, err
		}
		return g, names.CheckGroup(&g.Group)
	}, func(g *group) {
		if has := byName[g.fold]; has != nil {
			d.log.Error("two groups have the same name; the second one is left out", "name", g.Name, "first", has.ID, "second", g.ID)
			return
		}
		byID[g.ID], byName[g.fold] = g, g
	})
	if err != nil {
		return err
	}
	d.groupByID, d.groupByName = byID, byName
	return nil
}

// Group finds one by "id" or "name".
func (d *Directory) Group(ctx context.Context, by, value string) (*cloud.Group, error) {
	if err := d.current(); err != nil {
		return nil, cloud.E("builtin.Group", cloud.Ref{}, err)
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	var g *group
	switch by {
	case "id":
		g = d.groupByID[cloud.GroupID(value)]
	case "name":
		g = d.groupByName[names.Fold(value)]
	default:
		return nil, cloud.Refuse(cloud.Invalid, "Groups are found by id or name, not by %q.", by)
	}
	if g == nil {
		return nil, cloud.E("builtin.Group", cloud.Ref{}, noGroup())
	}
	return new(g.Group), nil
}

// Groups yields those that match as they are at the start, by name.
func (d *Directory) Groups(ctx context.Context, search string) iter.Seq2[*cloud.Group, error] {
	return func(yield func(*cloud.Group, error) bool) {
		if err := d.current(); err != nil {
			yield(nil, cloud.E("builtin.Groups", cloud.Ref{}, err))
			return
		}
		search = names.Fold(search)
		var found []*group
		d.mu.RLock()
		for _, g := range d.groupByID {
			if strings.Contains(g.fold, search) {
				found = append(found, g)
			}
		}
		d.mu.RUnlock()
		slices.SortFunc(found, func(a, b *group) int { return strings.Compare(a.fold, b.fold) })
		for _, g := range found {
			if err := ctx.Err(); err != nil {
				yield(nil, cloud.E("builtin.Groups", cloud.Ref{}, err))
				return
			}
			if !yield(new(g.Group), nil) {
				return
			}
		}
	}
}

// SetGroup creates or changes a group.
func (d *Directory) SetGroup(ctx context.Context, set *cloud.Group) (*cloud.Group, error) {
	g := &group{Group: *set, fold: names.Fold(set.Name)}
	err := names.CheckGroup(&g.Group)
	if err == nil {
		err = d.locked(func() error {
			d.mu.RLock()
			old, same := d.groupByID[g.ID], d.groupByName[g.fold]
			d.mu.RUnlock()
			switch {
			case g.ID == "":
				g.ID = cloud.GroupID(cloud.NewUUID().String())
			case old == nil:
				return noGroup()
			}
			if same != nil && same.ID != g.ID {
				return cloud.Refuse(cloud.Exist, "The group name %q is already taken.", g.Name)
			}
			return d.groups.change(func() (err error) {
				if g.file, err = d.groups.write(string(g.ID), g); err != nil {
					return err
				}
				d.mu.Lock()
				defer d.mu.Unlock()
				if old != nil {
					delete(d.groupByName, old.fold)
				}
				d.groupByID[g.ID], d.groupByName[g.fold] = g, g
				return nil
			})
		})
	}
	if err != nil {
		return nil, cloud.E("builtin.SetGroup", cloud.Ref{}, err)
	}
	return new(g.Group), nil
}

// RemoveGroup removes the group; that ends the memberships.
func (d *Directory) RemoveGroup(ctx context.Context, id cloud.GroupID) error {
	err := d.locked(func() error {
		d.mu.RLock()
		old := d.groupByID[id]
		d.mu.RUnlock()
		if old == nil {
			return noGroup()
		}
		return d.groups.change(func() error {
			if err := d.groups.unlink(string(id)); err != nil {
				return err
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			delete(d.groupByID, id)
			delete(d.groupByName, old.fold)
			return nil
		})
	})
	return cloud.E("builtin.RemoveGroup", cloud.Ref{}, err)
}

// Members yields those who are in the group at the start, by name.
func (d *Directory) Members(ctx context.Context, id cloud.GroupID) iter.Seq2[*cloud.User, error] {
	return func(yield func(*cloud.User, error) bool) {
		err := d.current()
		d.mu.RLock()
		g, all := d.groupByID[id], slices.Clone(d.members[id])
		d.mu.RUnlock()
		if err == nil && g == nil {
			err = noGroup()
		}
		if err != nil {
			yield(nil, cloud.E("builtin.Members", cloud.Ref{}, err))
			return
		}
		slices.SortFunc(all, byName)
		for _, a := range all {
			if err := ctx.Err(); err != nil {
				yield(nil, cloud.E("builtin.Members", cloud.Ref{}, err))
				return
			}
			if !yield(d.copied(a), nil) {
				return
			}
		}
	}
}

// Join puts a user into a group.
func (d *Directory) Join(ctx context.Context, id cloud.GroupID, who cloud.UserID) error {
	return cloud.E("builtin.Join", cloud.Ref{}, d.member(id, who, func(r *record) error {
		if slices.Contains(r.Groups, id) {
			return nil
		}
		if len(r.Groups) >= maxGroups {
			r.Groups = d.existing(r.Groups) // those that are no more need not be kept for ever
		}
		if len(r.Groups) >= maxGroups {
			return cloud.Refuse(cloud.Invalid, "A user can be in %d groups at most.", maxGroups)
		}
		r.Groups = append(r.Groups, id)
		slices.Sort(r.Groups)
		return nil
	}))
}

// Leave takes a user out of a group.
func (d *Directory) Leave(ctx context.Context, id cloud.GroupID, who cloud.UserID) error {
	return cloud.E("builtin.Leave", cloud.Ref{}, d.member(id, who, func(r *record) error {
		i := slices.Index(r.Groups, id)
		if i < 0 {
			return cloud.Refuse(cloud.NotExist, "This user is not in the group.")
		}
		r.Groups = slices.Delete(r.Groups, i, i+1)
		return nil
	}))
}

// existing are those of the groups that there are.
func (d *Directory) existing(groups []cloud.GroupID) []cloud.GroupID {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.DeleteFunc(groups, func(g cloud.GroupID) bool { return d.groupByID[g] == nil })
}

// member changes the memberships of a user.
func (d *Directory) member(id cloud.GroupID, who cloud.UserID, change func(*record) error) error {
	return d.locked(func() error {
		d.mu.RLock()
		g, old := d.groupByID[id], d.byID[who]
		d.mu.RUnlock()
		switch {
		case g == nil:
			return noGroup()
		case old == nil:
			return noUser()
		}
		r, err := d.record(old)
		if err != nil {
			return err
		}
		was := slices.Clone(r.Groups)
		if err := change(r); err != nil || slices.Equal(r.Groups, was) {
			return err
		}
		_, err = d.replace(old, r)
		return err
	})
}
