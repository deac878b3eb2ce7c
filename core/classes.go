package core

import (
	"context"
	"errors"
	"iter"

	"opencloud/cloud"
)

func (e *Education) Class(ctx context.Context, by, value string) (*cloud.Class, error) {
	err := mayRead(ctx)
	var c *cloud.Class
	if err == nil {
		c, err = e.class(ctx, by, value)
	}
	return c, cloud.E("core.Class", cloud.Ref{}, err)
}

// class finds one whose group there is.
func (e *Education) class(ctx context.Context, by, value string) (*cloud.Class, error) {
	c, err := e.schools.Class(ctx, by, value)
	if err == nil {
		_, err = e.people.dir.Group(ctx, "id", string(c.ID))
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (e *Education) Classes(ctx context.Context, of cloud.SchoolID) iter.Seq2[*cloud.Class, error] {
	return all(ctx, "core.Classes", func() (iter.Seq2[*cloud.Class, error], error) {
		if of == "" {
			return e.allClasses(ctx), nil
		}
		_, err := e.schools.School(ctx, "id", string(of))
		return e.classesOf(ctx, of), err
	})
}

// allClasses asks for all groups at once, of which a directory may be far away.
func (e *Education) allClasses(ctx context.Context) iter.Seq2[*cloud.Class, error] {
	return func(yield func(*cloud.Class, error) bool) {
		for g, err := range e.people.dir.Groups(ctx, "") {
			var c *cloud.Class
			if err == nil {
				c, err = e.schools.Class(ctx, "id", string(g.ID))
			}
			if errors.Is(err, cloud.NotExist) {
				continue
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

func (e *Education) classesOf(ctx context.Context, of cloud.SchoolID) iter.Seq2[*cloud.Class, error] {
	return func(yield func(*cloud.Class, error) bool) {
		for c, err := range e.schools.Classes(ctx, of) {
			if err == nil {
				_, err = e.people.dir.Group(ctx, "id", string(c.ID))
			}
			if errors.Is(err, cloud.NotExist) {
				continue
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

func (e *Education) SetClass(ctx context.Context, c *cloud.Class) (*cloud.Class, error) {
	got, err := e.setClass(ctx, *c)
	return got, cloud.E("core.SetClass", cloud.Ref{}, err)
}

func (e *Education) setClass(ctx context.Context, c cloud.Class) (*cloud.Class, error) {
	end, err := e.begin(ctx, cloud.ManageGroups)
	if err != nil {
		return nil, err
	}
	defer end()
	old, isNew := &cloud.Class{}, c.ID == ""
	if !isNew {
		if old, err = e.class(ctx, "id", string(c.ID)); err != nil {
			return nil, err
		}
	}
	c.Schools = old.Schools
	if err := c.Check(); err != nil {
		return nil, err
	}
	if err := e.freeClass(ctx, c.External, c.ID); err != nil {
		return nil, err
	}
	if isNew || c.Name != old.Name || c.Description != old.Description {
		g, err := e.setGroup(ctx, &c, c.Name == old.Name)
		if err != nil {
			return nil, err
		}
		c.ID = g.ID
	}
	if err := e.schools.SetClass(ctx, &c); err != nil {
		if isNew {
			err = errors.Join(err, e.people.dir.RemoveGroup(context.WithoutCancel(ctx), c.ID))
		}
		return nil, err
	}
	return &c, nil
}

// setGroup makes or changes the group of a class. Groups are told apart by their
// names where classes are not: a second 10b has its external id behind the
// name, or some letters.
func (e *Education) setGroup(ctx context.Context, c *cloud.Class, keepName bool) (*cloud.Group, error) {
	names := []string{c.Name, c.Name + " (" + cloud.NewUUID().String()[:8] + ")"}
	switch {
	case keepName:
		g, err := e.people.dir.Group(ctx, "id", string(c.ID))
		if err != nil {
			return nil, err
		}
		names = []string{g.Name}
	case c.External != "":
		names = []string{names[0], c.Name + " (" + c.External + ")", names[1]}
	}
	var g *cloud.Group
	var err error
	for _, name := range names {
		g, err = e.people.dir.SetGroup(ctx, &cloud.Group{ID: c.ID, Name: name, Description: c.Description})
		if !errors.Is(err, cloud.Exist) && !errors.Is(err, cloud.Invalid) { // Invalid: too long, perhaps
			break
		}
	}
	return g, err
}

// freeClass is free for classes.
func (e *Education) freeClass(ctx context.Context, external string, of cloud.GroupID) error {
	if external == "" {
		return nil
	}
	c, err := e.schools.Class(ctx, "external", external)
	if err != nil || c.ID == of {
		return found(err)
	}
	_, err = e.people.dir.Group(ctx, "id", string(c.ID))
	return taken(external, err, func() error { return e.schools.RemoveClass(ctx, c.ID) })
}

func (e *Education) Offer(ctx context.Context, at cloud.SchoolID, id cloud.GroupID) error {
	return cloud.E("core.Offer", cloud.Ref{}, e.move(ctx, at, id, func(c *cloud.Class) error {
		c.Schools = with(c.Schools, at)
		return nil
	}))
}

func (e *Education) Withdraw(ctx context.Context, at cloud.SchoolID, id cloud.GroupID) error {
	return cloud.E("core.Withdraw", cloud.Ref{}, e.move(ctx, at, id, func(c *cloud.Class) (err error) {
		c.Schools, err = without(c.Schools, at, "This class is not one of the school.")
		return err
	}))
}

// move changes to which schools a class belongs.
func (e *Education) move(ctx context.Context, at cloud.SchoolID, id cloud.GroupID, change func(*cloud.Class) error) error {
	end, err := e.begin(ctx, cloud.ManageGroups)
	if err != nil {
		return err
	}
	defer end()
	if _, err := e.schools.School(ctx, "id", string(at)); err != nil {
		return err
	}
	c, err := e.class(ctx, "id", string(id))
	if err == nil {
		err = change(c)
	}
	if err == nil {
		err = e.schools.SetClass(ctx, c)
	}
	return err
}

func (e *Education) Members(ctx context.Context, of cloud.GroupID) iter.Seq2[*cloud.Pupil, error] {
	return all(ctx, "core.Members", func() (iter.Seq2[*cloud.Pupil, error], error) {
		_, err := e.class(ctx, "id", string(of))
		return e.enrolled(ctx, e.people.Members(ctx, of), true), err
	})
}

func (e *Education) Join(ctx context.Context, class cloud.GroupID, who cloud.UserID) error {
	end, err := e.begin(ctx, cloud.ManageGroups)
	if err == nil {
		defer end()
		_, err = e.class(ctx, "id", string(class))
	}
	if err == nil {
		_, err = e.pupil(ctx, "id", string(who))
	}
	if err == nil {
		err = e.people.dir.Join(ctx, class, who)
	}
	return cloud.E("core.Join", cloud.Ref{}, err)
}

func (e *Education) Leave(ctx context.Context, class cloud.GroupID, who cloud.UserID) error {
	end, err := e.begin(ctx, cloud.ManageGroups)
	if err == nil {
		defer end()
		_, err = e.class(ctx, "id", string(class))
	}
	if err == nil {
		err = e.people.dir.Leave(ctx, class, who)
	}
	return cloud.E("core.Leave", cloud.Ref{}, err)
}

func (e *Education) Teachers(ctx context.Context, of cloud.GroupID) iter.Seq2[*cloud.Pupil, error] {
	return all(ctx, "core.Teachers", func() (iter.Seq2[*cloud.Pupil, error], error) {
		_, err := e.class(ctx, "id", string(of))
		return e.those(ctx, e.schools.Teachers(ctx, of)), err
	})
}

func (e *Education) Teach(ctx context.Context, class cloud.GroupID, who cloud.UserID) error {
	return cloud.E("core.Teach", cloud.Ref{}, e.edit(ctx, cloud.ManageGroups, "", who, func(n *cloud.Enrolment) error {
		n.Teaches = with(n.Teaches, class)
		_, err := e.class(ctx, "id", string(class))
		return err
	}))
}

func (e *Education) Unteach(ctx context.Context, class cloud.GroupID, who cloud.UserID) error {
	return cloud.E("core.Unteach", cloud.Ref{}, e.edit(ctx, cloud.ManageGroups, "", who, func(n *cloud.Enrolment) (err error) {
		n.Teaches, err = without(n.Teaches, class, "This user does not teach the class.")
		return err
	}))
}
