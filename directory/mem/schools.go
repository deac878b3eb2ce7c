package mem

import (
	"context"
	"iter"
	"slices"
	"sync"

	"opencloud/cloud"
)

// Schools is the simplest cloud.Schools.
type Schools struct {
	mu         sync.Mutex
	schools    []cloud.School
	classes    []cloud.Class
	enrolments []cloud.Enrolment
}

var _ cloud.Schools = (*Schools)(nil)

// first is a copy of the one that is wanted.
func first[T any](s *Schools, all *[]T, copied func(T) T, want func(*T) bool) (*T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range *all {
		if want(&(*all)[i]) {
			return new(copied((*all)[i])), nil
		}
	}
	return nil, cloud.NotExist
}

func every[T any](s *Schools, all *[]T, copied func(T) T, want func(*T) bool) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		s.mu.Lock()
		var found []*T
		for _, v := range *all {
			if v = copied(v); want(&v) {
				found = append(found, &v)
			}
		}
		s.mu.Unlock()
		for _, v := range found {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// put replaces what is the same, unless another one has a key of v.
func put[T any](all *[]T, v T, same, rival func(*T) bool) error {
	at := -1
	for i := range *all {
		switch o := &(*all)[i]; {
		case same(o):
			at = i
		case rival(o):
			return cloud.Exist
		}
	}
	if at < 0 {
		*all = append(*all, v)
	} else {
		(*all)[at] = v
	}
	return nil
}

func both(a, b string) bool { return a != "" && a == b }

func (s *Schools) isSchool(id cloud.SchoolID) bool {
	return slices.ContainsFunc(s.schools, func(v cloud.School) bool { return v.ID == id })
}

func (s *Schools) isClass(id cloud.GroupID) bool {
	return slices.ContainsFunc(s.classes, func(v cloud.Class) bool { return v.ID == id })
}

// only are copies of the ids of what there is; none are nil.
func only[S ~string](ids []S, is func(S) bool) (there []S) {
	for _, id := range ids {
		if is(id) {
			there = append(there, id)
		}
	}
	return there
}

func same[T any](v T) T { return v }

func (s *Schools) copyClass(c cloud.Class) cloud.Class {
	c.Schools = only(c.Schools, s.isSchool)
	return c
}

func (s *Schools) copyEnrolment(e cloud.Enrolment) cloud.Enrolment {
	e.Schools, e.Teaches, e.Identities = only(e.Schools, s.isSchool), only(e.Teaches, s.isClass), slices.Clone(e.Identities)
	return e
}

func (s *Schools) School(_ context.Context, by, value string) (*cloud.School, error) {
	return first(s, &s.schools, same, func(v *cloud.School) bool {
		return by == "id" && string(v.ID) == value || by == "number" && both(v.Number, value) || by == "external" && both(v.External, value)
	})
}

func (s *Schools) Schools(context.Context) iter.Seq2[*cloud.School, error] {
	return every(s, &s.schools, same, func(*cloud.School) bool { return true })
}

func (s *Schools) SetSchool(_ context.Context, set *cloud.School) (*cloud.School, error) {
	v := *set
	if err := v.Check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.ID == "" {
		v.ID = cloud.SchoolID(cloud.NewUUID().String())
	} else if !s.isSchool(v.ID) {
		return nil, cloud.NotExist
	}
	err := put(&s.schools, v, func(o *cloud.School) bool { return o.ID == v.ID },
		func(o *cloud.School) bool { return both(o.Number, v.Number) || both(o.External, v.External) })
	if err != nil {
		return nil, err
	}
	return &v, nil
}

func (s *Schools) RemoveSchool(_ context.Context, id cloud.SchoolID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isSchool(id) {
		return cloud.NotExist
	}
	s.schools = slices.DeleteFunc(s.schools, func(v cloud.School) bool { return v.ID == id })
	return nil
}

func (s *Schools) Class(_ context.Context, by, value string) (*cloud.Class, error) {
	return first(s, &s.classes, s.copyClass, func(v *cloud.Class) bool {
		return by == "id" && string(v.ID) == value || by == "external" && both(v.External, value)
	})
}

func (s *Schools) Classes(_ context.Context, of cloud.SchoolID) iter.Seq2[*cloud.Class, error] {
	return every(s, &s.classes, s.copyClass, func(v *cloud.Class) bool { return of == "" || slices.Contains(v.Schools, of) })
}

func (s *Schools) SetClass(_ context.Context, c *cloud.Class) error {
	if err := c.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return put(&s.classes, s.copyClass(*c), func(o *cloud.Class) bool { return o.ID == c.ID },
		func(o *cloud.Class) bool { return both(o.External, c.External) })
}

func (s *Schools) RemoveClass(_ context.Context, id cloud.GroupID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.classes = slices.DeleteFunc(s.classes, func(v cloud.Class) bool { return v.ID == id })
	return nil
}

func (s *Schools) Enrolment(_ context.Context, by, value string) (*cloud.Enrolment, error) {
	return first(s, &s.enrolments, s.copyEnrolment, func(v *cloud.Enrolment) bool {
		return by == "id" && string(v.User) == value || by == "external" && both(v.External, value)
	})
}

func (s *Schools) Enrolled(_ context.Context, at cloud.SchoolID) iter.Seq2[*cloud.Enrolment, error] {
	return every(s, &s.enrolments, s.copyEnrolment, func(v *cloud.Enrolment) bool { return at == "" || slices.Contains(v.Schools, at) })
}

func (s *Schools) Teachers(_ context.Context, of cloud.GroupID) iter.Seq2[*cloud.Enrolment, error] {
	return every(s, &s.enrolments, s.copyEnrolment, func(v *cloud.Enrolment) bool { return slices.Contains(v.Teaches, of) })
}

func (s *Schools) SetEnrolment(_ context.Context, e *cloud.Enrolment) error {
	if err := e.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return put(&s.enrolments, s.copyEnrolment(*e), func(o *cloud.Enrolment) bool { return o.User == e.User },
		func(o *cloud.Enrolment) bool { return both(o.External, e.External) })
}

func (s *Schools) RemoveEnrolment(_ context.Context, of cloud.UserID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enrolments = slices.DeleteFunc(s.enrolments, func(v cloud.Enrolment) bool { return v.User == of })
	return nil
}
