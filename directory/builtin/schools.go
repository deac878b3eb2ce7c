package builtin

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"opencloud/cloud"
)

// Schools implements cloud.Schools on the files of a folder, one for each
// school, class and user. Who belongs where is in the file of whom it is
// about, so that to come or to leave is one write of a small file.
type Schools struct {
	root       string
	schools    shelf[cloud.School]
	classes    shelf[cloud.Class]
	enrolments shelf[cloud.Enrolment]
	words      words
}

var _ cloud.Schools = (*Schools)(nil)

// OpenSchools reads the folder, which is made if it is missing. Files that
// cannot be understood are logged and left alone. A nil log is slog.Default.
func OpenSchools(path string, log *slog.Logger) (*Schools, error) {
	s := &Schools{root: path, words: words{all: map[string]*string{}}}
	called := keys{"school number", "external id"}
	s.schools.nature = nature[cloud.School]{
		id:    func(v *cloud.School) string { return string(v.ID) },
		keys:  func(v *cloud.School) keys { return keys{v.Number, v.External} },
		names: called,
		in:    func(*cloud.School) []string { return nil },
		check: (*cloud.School).Check,
		share: func(*cloud.School) {},
	}
	s.classes.nature = nature[cloud.Class]{
		id:    func(v *cloud.Class) string { return string(v.ID) },
		keys:  func(v *cloud.Class) keys { return keys{external: v.External} },
		names: called,
		in:    func(v *cloud.Class) []string { return plain(v.Schools) },
		check: (*cloud.Class).Check,
		share: func(v *cloud.Class) { share(&s.words, v.Schools) },
	}
	s.enrolments.nature = nature[cloud.Enrolment]{
		id:    func(v *cloud.Enrolment) string { return string(v.User) },
		keys:  func(v *cloud.Enrolment) keys { return keys{external: v.External} },
		names: called,
		in:    func(v *cloud.Enrolment) []string { return append(plain(v.Schools), plain(v.Teaches)...) },
		check: (*cloud.Enrolment).Check,
		share: s.shareEnrolment,
	}
	for name, f := range s.folders() {
		f.root, f.path, f.log, f.own = path, filepath.Join(path, name), cmp.Or(log, slog.Default()), func(string) {}
		if err := os.MkdirAll(f.path, 0o700); err != nil {
			return nil, cloud.E("builtin.OpenSchools", cloud.Ref{}, err)
		}
	}
	s.schools.load, s.classes.load, s.enrolments.load = s.schools.reload, s.classes.reload, s.enrolments.reload
	if err := s.current(); err != nil {
		return nil, cloud.E("builtin.OpenSchools", cloud.Ref{}, err)
	}
	return s, nil
}

func (s *Schools) folders() map[string]*folder {
	return map[string]*folder{"schools": &s.schools.folder, "classes": &s.classes.folder, "users": &s.enrolments.folder}
}

func plain[S ~string](ids []S) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = string(id)
	}
	return all
}

// share is for 100,000 users of a few schools.
func share[S ~string](w *words, all []S) {
	for i, text := range all {
		all[i] = S(*w.one(string(text)))
	}
}

func (s *Schools) shareEnrolment(e *cloud.Enrolment) {
	if e.Role != "" {
		e.Role = *s.words.one(e.Role)
	}
	for i := range e.Identities {
		e.Identities[i].Issuer = *s.words.one(e.Identities[i].Issuer)
	}
	share(&s.words, e.Schools)
	share(&s.words, e.Teaches)
}

// current makes memory agree with the files if another process changed them.
func (s *Schools) current() error {
	for _, f := range []*folder{&s.schools.folder, &s.classes.folder, &s.enrolments.folder} {
		if err := f.current(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Schools) locked(do func() error) error {
	return locked(s.root, func(string) {}, s.current, do)
}

// find is for look-ups by id or by one of the keys. Those that are not nil
// are copies to hand out.
func find[T any](s *Schools, on *shelf[T], copied func(*T) *T, by, value string) (*T, error) {
	if err := s.current(); err != nil {
		return nil, err
	}
	var v *T
	switch {
	case by == "id":
		v = on.byID(value)
	case by == "external":
		v = on.byKey(external, value)
	case by == "number":
		v = on.byKey(number, value)
	default:
		return nil, cloud.Refuse(cloud.Invalid, "Nothing is found by %q here.", by)
	}
	if v == nil {
		return nil, cloud.NotExist
	}
	return copied(v), nil
}

// each yields copies to hand out.
func each[T any](ctx context.Context, op string, s *Schools, on *shelf[T], copied func(*T) *T, of string) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		if err := s.current(); err != nil {
			yield(nil, cloud.E(op, cloud.Ref{}, err))
			return
		}
		for v := range on.list(of) {
			if err := ctx.Err(); err != nil {
				yield(nil, cloud.E(op, cloud.Ref{}, err))
				return
			}
			if !yield(copied(v), nil) {
				return
			}
		}
	}
}

func none[T any](func(*T, error) bool) {}

func (s *Schools) School(ctx context.Context, by, value string) (*cloud.School, error) {
	v, err := find(s, &s.schools, copySchool, by, value)
	return v, cloud.E("builtin.School", cloud.Ref{}, err)
}

func copySchool(v *cloud.School) *cloud.School { return new(*v) }

func (s *Schools) Schools(ctx context.Context) iter.Seq2[*cloud.School, error] {
	return each(ctx, "builtin.Schools", s, &s.schools, copySchool, "")
}

// SetSchool creates or changes a school.
func (s *Schools) SetSchool(ctx context.Context, set *cloud.School) (*cloud.School, error) {
	v := copySchool(set)
	err := v.Check()
	if err == nil {
		err = s.locked(func() error {
			if v.ID == "" {
				v.ID = cloud.SchoolID(cloud.NewUUID().String())
			} else if !s.schools.has(string(v.ID)) {
				return cloud.NotExist
			}
			return s.schools.set(v)
		})
	}
	if err != nil {
		return nil, cloud.E("builtin.SetSchool", cloud.Ref{}, err)
	}
	return copySchool(v), nil
}

// RemoveSchool removes the school; that ends what belongs to it.
func (s *Schools) RemoveSchool(ctx context.Context, id cloud.SchoolID) error {
	return cloud.E("builtin.RemoveSchool", cloud.Ref{}, s.locked(func() error {
		was, err := s.schools.remove(string(id))
		if err == nil && !was {
			err = cloud.NotExist
		}
		return err
	}))
}

func (s *Schools) Class(ctx context.Context, by, value string) (*cloud.Class, error) {
	v, err := find(s, &s.classes, s.copyClass, by, value)
	return v, cloud.E("builtin.Class", cloud.Ref{}, err)
}

// existing are copies of the ids of what there is.
func existing[T any, S ~string](on *shelf[T], ids []S) []S {
	if len(ids) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id S) bool { return !on.has(string(id)) })
}

func (s *Schools) copyClass(v *cloud.Class) *cloud.Class {
	c := *v
	c.Schools = existing(&s.schools, v.Schools)
	return &c
}

// Classes of a school that is no more are none.
func (s *Schools) Classes(ctx context.Context, of cloud.SchoolID) iter.Seq2[*cloud.Class, error] {
	if of != "" && !s.schools.has(string(of)) {
		return none
	}
	return each(ctx, "builtin.Classes", s, &s.classes, s.copyClass, string(of))
}

// SetClass forgets schools that are no more.
func (s *Schools) SetClass(ctx context.Context, c *cloud.Class) error {
	err := c.Check()
	if err == nil {
		err = s.locked(func() error { return s.classes.set(s.copyClass(c)) })
	}
	return cloud.E("builtin.SetClass", cloud.Ref{}, err)
}

func (s *Schools) RemoveClass(ctx context.Context, id cloud.GroupID) error {
	return cloud.E("builtin.RemoveClass", cloud.Ref{}, s.locked(func() error {
		_, err := s.classes.remove(string(id))
		return err
	}))
}

func (s *Schools) Enrolment(ctx context.Context, by, value string) (*cloud.Enrolment, error) {
	v, err := find(s, &s.enrolments, s.copyEnrolment, by, value)
	return v, cloud.E("builtin.Enrolment", cloud.Ref{}, err)
}

func (s *Schools) copyEnrolment(v *cloud.Enrolment) *cloud.Enrolment {
	e := *v
	e.Identities = slices.Clone(v.Identities)
	e.Schools, e.Teaches = existing(&s.schools, v.Schools), existing(&s.classes, v.Teaches)
	return &e
}

// Enrolled at a school that is no more is nobody.
func (s *Schools) Enrolled(ctx context.Context, at cloud.SchoolID) iter.Seq2[*cloud.Enrolment, error] {
	if at != "" && !s.schools.has(string(at)) {
		return none
	}
	return each(ctx, "builtin.Enrolled", s, &s.enrolments, s.copyEnrolment, string(at))
}

// Teachers of a class that is no more are none.
func (s *Schools) Teachers(ctx context.Context, of cloud.GroupID) iter.Seq2[*cloud.Enrolment, error] {
	if !s.classes.has(string(of)) {
		return none
	}
	return each(ctx, "builtin.Teachers", s, &s.enrolments, s.copyEnrolment, string(of))
}

// SetEnrolment forgets schools and classes that are no more.
func (s *Schools) SetEnrolment(ctx context.Context, e *cloud.Enrolment) error {
	err := e.Check()
	if err == nil {
		err = s.locked(func() error { return s.enrolments.set(s.copyEnrolment(e)) })
	}
	return cloud.E("builtin.SetEnrolment", cloud.Ref{}, err)
}

func (s *Schools) RemoveEnrolment(ctx context.Context, of cloud.UserID) error {
	return cloud.E("builtin.RemoveEnrolment", cloud.Ref{}, s.locked(func() error {
		_, err := s.enrolments.remove(string(of))
		return err
	}))
}
