package core

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"opencloud/cloud"
)

// EducationOptions are the rules about schools that an administrator can set.
type EducationOptions struct {
	Enabled   bool `yaml:"enabled" env:"OC_EDUCATION_ENABLED;GRAPH_LDAP_EDUCATION_RESOURCES_ENABLED" default:"false" doc:"Serve schools, classes and their users in the Graph API."`
	GraceDays int  `yaml:"school_termination_min_grace_days" env:"OC_EDUCATION_SCHOOL_TERMINATION_MIN_GRACE_DAYS;GRAPH_LDAP_SCHOOL_TERMINATION_MIN_GRACE_DAYS" default:"0" doc:"Fewest days from now to the end that a school is given; 0 allows any end, also one in the past."`
}

// Education implements cloud.Education over any cloud.Schools. People has it.
type Education struct {
	people  *People
	schools cloud.Schools
	opts    EducationOptions

	mu sync.Mutex // one change at a time: they are made of what was read before
}

var _ cloud.Education = (*Education)(nil)

// mayRead is for everything in here.
func mayRead(ctx context.Context) error {
	_, err := demand(ctx, cloud.ManageGroups, cloud.ManageUsers)
	return err
}

// begin is for a change: it demands the permission and holds the lock until end.
func (e *Education) begin(ctx context.Context, need cloud.SystemPermission) (end func(), err error) {
	if _, err := demand(ctx, need); err != nil {
		return nil, err
	}
	e.mu.Lock()
	return e.mu.Unlock, nil
}

// all yields what open finds once the caller may read.
func all[T any](ctx context.Context, op string, open func() (iter.Seq2[*T, error], error)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		err := mayRead(ctx)
		var seq iter.Seq2[*T, error]
		if err == nil {
			seq, err = open()
		}
		if err != nil {
			yield(nil, cloud.E(op, cloud.Ref{}, err))
			return
		}
		for v, err := range seq {
			if !yield(v, cloud.E(op, cloud.Ref{}, err)) || err != nil {
				return
			}
		}
	}
}

func (e *Education) School(ctx context.Context, by, value string) (*cloud.School, error) {
	err := mayRead(ctx)
	var s *cloud.School
	if err == nil {
		s, err = e.schools.School(ctx, by, value)
	}
	return s, cloud.E("core.School", cloud.Ref{}, err)
}

func (e *Education) Schools(ctx context.Context) iter.Seq2[*cloud.School, error] {
	return all(ctx, "core.Schools", func() (iter.Seq2[*cloud.School, error], error) { return e.schools.Schools(ctx), nil })
}

func (e *Education) SetSchool(ctx context.Context, s *cloud.School) (*cloud.School, error) {
	got, err := e.setSchool(ctx, *s)
	return got, cloud.E("core.SetSchool", cloud.Ref{}, err)
}

func (e *Education) setSchool(ctx context.Context, s cloud.School) (*cloud.School, error) {
	end, err := e.begin(ctx, cloud.ManageGroups)
	if err != nil {
		return nil, err
	}
	defer end()
	old := &cloud.School{}
	if s.ID != "" {
		if old, err = e.schools.School(ctx, "id", string(s.ID)); err != nil {
			return nil, err
		}
	}
	s.Ends = s.Ends.UTC().Truncate(time.Second)
	earliest := e.people.core.now().AddDate(0, 0, e.opts.GraceDays)
	if e.opts.GraceDays > 0 && !s.Ends.IsZero() && !s.Ends.Equal(old.Ends) && s.Ends.Before(earliest) {
		return nil, cloud.Refuse(cloud.Invalid, "The school cannot be ended before %s: it takes %d days of grace.", earliest.UTC().Format(time.RFC3339), e.opts.GraceDays)
	}
	return e.schools.SetSchool(ctx, &s)
}

func (e *Education) RemoveSchool(ctx context.Context, id cloud.SchoolID) error {
	return cloud.E("core.RemoveSchool", cloud.Ref{}, e.removeSchool(ctx, id))
}

func (e *Education) removeSchool(ctx context.Context, id cloud.SchoolID) error {
	end, err := e.begin(ctx, cloud.ManageGroups)
	if err != nil {
		return err
	}
	defer end()
	s, err := e.schools.School(ctx, "id", string(id))
	switch {
	case err != nil:
		return err
	case s.Ends.IsZero():
		return cloud.Refuse(cloud.Conflict, "The school has no termination date. Set one first.")
	case e.people.core.now().Before(s.Ends):
		return cloud.Refuse(cloud.Conflict, "The school cannot be removed before %s.", s.Ends.UTC().Format(time.RFC3339))
	}
	return e.schools.RemoveSchool(ctx, id)
}

func (e *Education) Pupil(ctx context.Context, by, value string) (*cloud.Pupil, error) {
	err := mayRead(ctx)
	var p *cloud.Pupil
	if err == nil {
		p, err = e.pupil(ctx, by, value)
	}
	return p, cloud.E("core.Pupil", cloud.Ref{}, err)
}

// pupil finds who is one of the people and enrolled. People has the last word:
// what schools know of a user who is no more does not count.
func (e *Education) pupil(ctx context.Context, by, value string) (*cloud.Pupil, error) {
	if by == "name" {
		u, err := e.people.user(ctx, by, value)
		if err != nil {
			return nil, err
		}
		n, err := e.schools.Enrolment(ctx, "id", string(u.ID))
		if err != nil {
			return nil, err
		}
		return &cloud.Pupil{User: u, Enrolment: *n}, nil
	}
	n, err := e.schools.Enrolment(ctx, by, value)
	if err != nil {
		return nil, err
	}
	return e.known(ctx, n)
}

// known adds the user to what schools know of them.
func (e *Education) known(ctx context.Context, n *cloud.Enrolment) (*cloud.Pupil, error) {
	u, err := e.people.user(ctx, "id", string(n.User))
	if err != nil {
		return nil, err
	}
	return &cloud.Pupil{User: u, Enrolment: *n}, nil
}

func (e *Education) Pupils(ctx context.Context, of cloud.SchoolID) iter.Seq2[*cloud.Pupil, error] {
	return all(ctx, "core.Pupils", func() (iter.Seq2[*cloud.Pupil, error], error) {
		if of == "" {
			return e.enrolled(ctx, e.people.Users(ctx, ""), false), nil
		}
		_, err := e.schools.School(ctx, "id", string(of))
		return e.those(ctx, e.schools.Enrolled(ctx, of)), err
	})
}

// those adds users to enrolments, and leaves out those who are no more.
func (e *Education) those(ctx context.Context, seq iter.Seq2[*cloud.Enrolment, error]) iter.Seq2[*cloud.Pupil, error] {
	return func(yield func(*cloud.Pupil, error) bool) {
		for n, err := range seq {
			var p *cloud.Pupil
			if err == nil {
				p, err = e.known(ctx, n)
			}
			if errors.Is(err, cloud.NotExist) {
				continue
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// enrolled adds enrolments to users; who has none is left out, or has an empty one.
func (e *Education) enrolled(ctx context.Context, seq iter.Seq2[*cloud.User, error], others bool) iter.Seq2[*cloud.Pupil, error] {
	return func(yield func(*cloud.Pupil, error) bool) {
		for u, err := range seq {
			var n *cloud.Enrolment
			if err == nil {
				n, err = e.schools.Enrolment(ctx, "id", string(u.ID))
			}
			if errors.Is(err, cloud.NotExist) {
				if !others {
					continue
				}
				n, err = &cloud.Enrolment{User: u.ID}, nil
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(&cloud.Pupil{User: u, Enrolment: *n}, nil) {
				return
			}
		}
	}
}

// free sees to it that an external id is not that of another user.
func (e *Education) free(ctx context.Context, external string, of cloud.UserID) error {
	if external == "" {
		return nil
	}
	n, err := e.schools.Enrolment(ctx, "external", external)
	if err != nil || n.User == of {
		return found(err)
	}
	_, err = e.people.dir.User(ctx, "id", string(n.User))
	return taken(external, err, func() error { return e.schools.RemoveEnrolment(ctx, n.User) })
}

// taken is for an external id whose holder the directory was asked for. One who
// was removed while nobody told us does not keep it.
func taken(external string, err error, forget func() error) error {
	switch {
	case err == nil:
		return cloud.Refuse(cloud.Exist, "The external id %q is already taken.", external)
	case errors.Is(err, cloud.NotExist):
		return forget()
	}
	return err
}

func (e *Education) AddPupil(ctx context.Context, p *cloud.Pupil, password string) (*cloud.Pupil, error) {
	got, err := e.addPupil(ctx, p, password)
	return got, cloud.E("core.AddPupil", cloud.Ref{}, err)
}

func (e *Education) addPupil(ctx context.Context, p *cloud.Pupil, password string) (*cloud.Pupil, error) {
	end, err := e.begin(ctx, cloud.ManageUsers)
	if err != nil {
		return nil, err
	}
	defer end()
	n := p.Enrolment
	n.Schools, n.Teaches = nil, nil
	if err := n.Check(); err != nil {
		return nil, err
	}
	if err := e.free(ctx, n.External, ""); err != nil {
		return nil, err
	}
	u, err := e.people.addUser(ctx, *p.User, password)
	if err != nil {
		return nil, err
	}
	n.User = u.ID
	if err := e.schools.SetEnrolment(ctx, &n); err != nil {
		return nil, errors.Join(err, e.people.dir.RemoveUser(context.WithoutCancel(ctx), u.ID))
	}
	return &cloud.Pupil{User: u, Enrolment: n}, nil
}

func (e *Education) ChangePupil(ctx context.Context, id cloud.UserID, c cloud.PupilChange) (*cloud.Pupil, error) {
	p, err := e.changePupil(ctx, id, c)
	return p, cloud.E("core.ChangePupil", cloud.Ref{}, err)
}

func (e *Education) changePupil(ctx context.Context, id cloud.UserID, c cloud.PupilChange) (*cloud.Pupil, error) {
	end, err := e.begin(ctx, cloud.ManageUsers)
	if err != nil {
		return nil, err
	}
	defer end()
	n, err := e.schools.Enrolment(ctx, "id", string(id))
	if errors.Is(err, cloud.NotExist) {
		n, err = &cloud.Enrolment{User: id}, nil
	}
	if err != nil {
		return nil, err
	}
	for to, from := range map[*string]*string{&n.Role: c.Role, &n.External: c.External} {
		if from != nil {
			*to = *from
		}
	}
	if c.Identities != nil {
		n.Identities = c.Identities
	}
	if err := n.Check(); err != nil {
		return nil, err
	}
	if err := e.free(ctx, n.External, id); err != nil {
		return nil, err
	}
	var u *cloud.User
	if c.User == (cloud.UserChange{}) {
		u, err = e.people.user(ctx, "id", string(id))
	} else {
		u, err = e.people.changeUser(ctx, id, c.User)
	}
	if err == nil {
		err = e.schools.SetEnrolment(ctx, n)
	}
	if err != nil {
		return nil, err
	}
	return &cloud.Pupil{User: u, Enrolment: *n}, nil
}

func (e *Education) Attend(ctx context.Context, at cloud.SchoolID, who cloud.UserID) error {
	return cloud.E("core.Attend", cloud.Ref{}, e.edit(ctx, cloud.ManageUsers, at, who, func(n *cloud.Enrolment) error {
		n.Schools = with(n.Schools, at)
		return nil
	}))
}

func (e *Education) Quit(ctx context.Context, at cloud.SchoolID, who cloud.UserID) error {
	return cloud.E("core.Quit", cloud.Ref{}, e.edit(ctx, cloud.ManageUsers, at, who, func(n *cloud.Enrolment) (err error) {
		n.Schools, err = without(n.Schools, at, "This user is not at the school.")
		return err
	}))
}

// edit changes where a user belongs, at a school that there is unless it is empty.
func (e *Education) edit(ctx context.Context, need cloud.SystemPermission, at cloud.SchoolID, who cloud.UserID, change func(*cloud.Enrolment) error) error {
	end, err := e.begin(ctx, need)
	if err != nil {
		return err
	}
	defer end()
	if at != "" {
		if _, err := e.schools.School(ctx, "id", string(at)); err != nil {
			return err
		}
	}
	p, err := e.pupil(ctx, "id", string(who))
	if err == nil {
		err = change(&p.Enrolment)
	}
	if err == nil {
		err = e.schools.SetEnrolment(ctx, &p.Enrolment)
	}
	return err
}

func with[S ~string](all []S, one S) []S {
	if slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}

func without[S ~string](all []S, one S, say string) ([]S, error) {
	i := slices.Index(all, one)
	if i < 0 {
		return nil, cloud.Refuse(cloud.NotExist, "%s", say)
	}
	return slices.Delete(all, i, i+1), nil
}

// forgetUser is for one who is about to go.
func (e *Education) forgetUser(ctx context.Context, id cloud.UserID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.schools.RemoveEnrolment(ctx, id)
}

// forgetGroup is for one that has gone.
func (e *Education) forgetGroup(ctx context.Context, id cloud.GroupID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.schools.RemoveClass(ctx, id)
}
