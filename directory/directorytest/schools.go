package directorytest

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"opencloud/cloud"
)

// RunSchools tests what open returns, each time with nothing in it.
func RunSchools(t *testing.T, open func(t *testing.T) cloud.Schools) {
	for _, c := range []struct {
		name string
		tell func(*authority)
	}{
		{"Schools", schools}, {"SchoolRemoved", schoolRemoved}, {"Classes", classes}, {"ClassRemoved", classRemoved},
		{"Enrolments", enrolments}, {"Unfit", unfit}, {"SchoolCopies", schoolCopies}, {"SchoolCrowd", schoolCrowd},
	} {
		t.Run(c.name, func(t *testing.T) { c.tell(&authority{t, open(t)}) })
	}
}

// An authority has schools and short words to ask about them.
type authority struct {
	*testing.T
	cloud.Schools
}

func (a *authority) is(err, want error) {
	a.Helper()
	if !errors.Is(err, want) {
		a.Fatalf("got %v, want %v", err, want)
	}
}

func (a *authority) same(what string, got, want any) {
	a.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		a.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (a *authority) school(s cloud.School) *cloud.School {
	a.Helper()
	got, err := a.SetSchool(a.Context(), &s)
	a.is(err, nil)
	return got
}

func (a *authority) class(c cloud.Class) {
	a.Helper()
	a.is(a.SetClass(a.Context(), &c), nil)
}

func (a *authority) enrol(e cloud.Enrolment) {
	a.Helper()
	a.is(a.SetEnrolment(a.Context(), &e), nil)
}

// lists checks what there is, by name.
func lists[T any](a *authority, what string, seq iter.Seq2[*T, error], name func(*T) string, want string) {
	a.Helper()
	var got []string
	for v, err := range seq {
		a.is(err, nil)
		got = append(got, name(v))
	}
	slices.Sort(got)
	a.same(what, strings.Join(got, " "), want)
}

func schoolName(s *cloud.School) string { return s.Name }
func className(c *cloud.Class) string   { return c.Name }
func userOf(e *cloud.Enrolment) string  { return string(e.User) }
func (a *authority) absent(err error)   { a.Helper(); a.is(err, cloud.NotExist) }
func (a *authority) taken(err error)    { a.Helper(); a.is(err, cloud.Exist) }
func (a *authority) lacks(by, with string) {
	a.Helper()
	_, err := a.School(a.Context(), by, with)
	a.absent(err)
}

const (
	group1 = cloud.GroupID("11111111-1111-4111-8111-111111111111")
	group2 = cloud.GroupID("22222222-2222-4222-8222-222222222222")
)

func schools(a *authority) {
	ctx := a.Context()
	lists(a, "no schools", a.Schools.Schools(ctx), schoolName, "")
	in := cloud.School{Name: "Curie", Number: "0123", External: "x", Ends: time.Date(2030, 6, 30, 0, 0, 0, 0, time.UTC)}
	s := a.school(in)
	if _, ok := cloud.ParseUUID(string(s.ID)); !ok {
		a.Errorf("id: got %q", s.ID)
	}
	in.ID = s.ID
	a.same("a new school", s, &in)
	for by, value := range map[string]string{"id": string(s.ID), "number": "0123", "external": "x"} {
		got, err := a.School(ctx, by, value)
		a.is(err, nil)
		a.same("school by "+by, got, s)
		a.lacks(by, "nothing")
		a.lacks(by, "")
	}
	other := a.school(cloud.School{Name: "Curie"}) // only numbers and external ids are unique
	a.school(cloud.School{Name: "Gauss"})
	for _, rival := range []cloud.School{{Name: "a", Number: "0123"}, {Name: "a", External: "x"}, {ID: other.ID, Name: "a", Number: "0123"}} {
		_, err := a.SetSchool(ctx, &rival)
		a.taken(err)
	}
	a.lacks("external", "0123") // a number is no external id
	_, err := a.SetSchool(ctx, &cloud.School{ID: "33333333-3333-4333-8333-333333333333", Name: "a"})
	a.absent(err)
	a.school(cloud.School{ID: s.ID, Name: "Curie 2", Number: "0124"})
	a.lacks("number", "0123")
	a.lacks("external", "x")
	a.school(cloud.School{ID: other.ID, Name: "Euler", Number: "0123", External: "x"})
	lists(a, "schools", a.Schools.Schools(ctx), schoolName, "Curie 2 Euler Gauss")
}

func schoolRemoved(a *authority) {
	ctx := a.Context()
	a.absent(a.RemoveSchool(ctx, "33333333-3333-4333-8333-333333333333"))
	s, t := a.school(cloud.School{Name: "s", Number: "1", External: "x"}), a.school(cloud.School{Name: "t"})
	a.class(cloud.Class{ID: group1, Name: "10b", Kind: cloud.AClass, Schools: []cloud.SchoolID{s.ID, t.ID}})
	a.enrol(cloud.Enrolment{User: "ada", Schools: []cloud.SchoolID{s.ID, t.ID}})
	a.is(a.RemoveSchool(ctx, s.ID), nil)
	a.absent(a.RemoveSchool(ctx, s.ID))
	for by, value := range map[string]string{"id": string(s.ID), "number": "1", "external": "x"} {
		a.lacks(by, value)
	}
	lists(a, "schools", a.Schools.Schools(ctx), schoolName, "t")
	lists(a, "classes of a school that is no more", a.Schools.Classes(ctx, s.ID), className, "")
	lists(a, "users of a school that is no more", a.Enrolled(ctx, s.ID), userOf, "")
	lists(a, "classes of the other", a.Schools.Classes(ctx, t.ID), className, "10b")
	lists(a, "users of the other", a.Enrolled(ctx, t.ID), userOf, "ada")
	c, err := a.Class(ctx, "id", string(group1))
	a.is(err, nil)
	a.same("schools of the class", c.Schools, []cloud.SchoolID{t.ID})
	e, err := a.Enrolment(ctx, "id", "ada")
	a.is(err, nil)
	a.same("schools of the user", e.Schools, []cloud.SchoolID{t.ID})
	again := a.school(cloud.School{Name: "s", Number: "1", External: "x"})
	lists(a, "users of one that has its number", a.Enrolled(ctx, again.ID), userOf, "")
}

func classes(a *authority) {
	ctx := a.Context()
	s, t := a.school(cloud.School{Name: "s"}), a.school(cloud.School{Name: "t"})
	c := cloud.Class{ID: group1, Name: "10b", Kind: cloud.AClass, Description: "all\nof it", External: "x", Schools: []cloud.SchoolID{s.ID}}
	a.class(c)
	a.class(cloud.Class{ID: group2, Name: "Maths", Kind: cloud.Course, Schools: []cloud.SchoolID{s.ID, t.ID}})
	for by, value := range map[string]string{"id": string(c.ID), "external": "x"} {
		got, err := a.Class(ctx, by, value)
		a.is(err, nil)
		a.same("class by "+by, got, &c)
	}
	lists(a, "classes", a.Schools.Classes(ctx, ""), className, "10b Maths")
	lists(a, "classes of s", a.Schools.Classes(ctx, s.ID), className, "10b Maths")
	lists(a, "classes of t", a.Schools.Classes(ctx, t.ID), className, "Maths")
	a.taken(a.SetClass(ctx, &cloud.Class{ID: group2, Name: "Maths", Kind: cloud.Course, External: "x"}))
	c.External, c.Schools = "y", nil
	a.class(c)
	_, err := a.Class(ctx, "external", "x")
	a.absent(err)
	_, err = a.Class(ctx, "external", "")
	a.absent(err)
	lists(a, "classes of s", a.Schools.Classes(ctx, s.ID), className, "Maths")
}

func classRemoved(a *authority) {
	ctx := a.Context()
	a.is(a.RemoveClass(ctx, group1), nil)
	a.class(cloud.Class{ID: group1, Name: "10b", Kind: cloud.AClass, External: "x"})
	a.class(cloud.Class{ID: group2, Name: "10c", Kind: cloud.AClass})
	a.enrol(cloud.Enrolment{User: "ada", Teaches: []cloud.GroupID{group1, group2}})
	a.enrol(cloud.Enrolment{User: "alan"})
	lists(a, "teachers", a.Teachers(ctx, group1), userOf, "ada")
	a.is(a.RemoveClass(ctx, group1), nil)
	_, err := a.Class(ctx, "id", string(group1))
	a.absent(err)
	lists(a, "teachers of a class that is no more", a.Teachers(ctx, group1), userOf, "")
	lists(a, "teachers of the other", a.Teachers(ctx, group2), userOf, "ada")
	e, err := a.Enrolment(ctx, "id", "ada")
	a.is(err, nil)
	a.same("taught", e.Teaches, []cloud.GroupID{group2})
	a.class(cloud.Class{ID: group2, Name: "10c", Kind: cloud.AClass, External: "x"})
}

func enrolments(a *authority) {
	ctx := a.Context()
	s := a.school(cloud.School{Name: "s"})
	// Directories are free in what ids they give.
	for _, id := range []cloud.UserID{"44444444-4444-4444-8444-444444444444", "uid=ada,o=a b", "../x"} {
		e := cloud.Enrolment{
			User: id, Role: "student", External: "x" + string(id), Schools: []cloud.SchoolID{s.ID},
			Identities: []cloud.Identity{{Issuer: "idp.example.org", ID: "ada"}, {Issuer: "other", ID: "1"}},
		}
		a.enrol(e)
		for by, value := range map[string]string{"id": string(id), "external": "x" + string(id)} {
			got, err := a.Enrolment(ctx, by, value)
			a.is(err, nil)
			a.same("enrolment by "+by, got, &e)
		}
	}
	lists(a, "all", a.Enrolled(ctx, ""), userOf, "../x 44444444-4444-4444-8444-444444444444 uid=ada,o=a b")
	a.taken(a.SetEnrolment(ctx, &cloud.Enrolment{User: "b", External: "x../x"}))
	a.enrol(cloud.Enrolment{User: "../x"})
	a.enrol(cloud.Enrolment{User: "b", External: "x../x"})
	lists(a, "at s", a.Enrolled(ctx, s.ID), userOf, "44444444-4444-4444-8444-444444444444 uid=ada,o=a b")
	for range 2 {
		a.is(a.RemoveEnrolment(ctx, "b"), nil)
		_, err := a.Enrolment(ctx, "id", "b")
		a.absent(err)
	}
	a.enrol(cloud.Enrolment{User: "c", External: "x../x"})
	lists(a, "all", a.Enrolled(ctx, ""), userOf, "../x 44444444-4444-4444-8444-444444444444 c uid=ada,o=a b")
}

func unfit(a *authority) {
	ctx := a.Context()
	long := strings.Repeat("x", 256)
	for _, s := range []cloud.School{{}, {Name: " a"}, {Name: "a\n"}, {Name: long}, {Name: "a", Number: long}, {Name: "a", External: "\xff"}} {
		_, err := a.SetSchool(ctx, &s)
		a.is(err, cloud.Invalid)
	}
	for _, c := range []cloud.Class{
		{Name: "a"}, {Name: "a", Kind: "club"}, {Kind: cloud.Course}, {Name: "a", Kind: cloud.Course, External: long},
		{Name: "a", Kind: cloud.Course, Description: strings.Repeat("x", 4001)}, {Name: "a", Kind: cloud.Course, Schools: make([]cloud.SchoolID, 101)},
	} {
		c.ID = group1
		a.is(a.SetClass(ctx, &c), cloud.Invalid)
	}
	for _, e := range []cloud.Enrolment{
		{Role: long}, {External: "\x00"}, {Identities: []cloud.Identity{{Issuer: "x"}}}, {Identities: []cloud.Identity{{ID: "x"}}},
		{Identities: make([]cloud.Identity, 21)}, {Schools: make([]cloud.SchoolID, 101)}, {Teaches: make([]cloud.GroupID, 1001)},
	} {
		e.User = "a"
		a.is(a.SetEnrolment(ctx, &e), cloud.Invalid)
	}
	lists(a, "schools", a.Schools.Schools(ctx), schoolName, "")
	lists(a, "classes", a.Schools.Classes(ctx, ""), className, "")
	lists(a, "enrolments", a.Enrolled(ctx, ""), userOf, "")
}

// schoolCopies: who alters what was given or taken alters nothing else.
func schoolCopies(a *authority) {
	ctx := a.Context()
	s, t := a.school(cloud.School{Name: "s"}), a.school(cloud.School{Name: "t"})
	given := &cloud.Enrolment{User: "ada", Identities: []cloud.Identity{{Issuer: "a", ID: "b"}}, Schools: []cloud.SchoolID{s.ID}}
	a.is(a.SetEnrolment(ctx, given), nil)
	given.Identities[0].ID, given.Schools[0] = "c", t.ID
	for range 2 {
		got, err := a.Enrolment(ctx, "id", "ada")
		a.is(err, nil)
		a.same("kept", got, &cloud.Enrolment{User: "ada", Identities: []cloud.Identity{{Issuer: "a", ID: "b"}}, Schools: []cloud.SchoolID{s.ID}})
		got.Identities[0].ID, got.Schools[0] = "c", t.ID
	}
}

// schoolCrowd: many at once get no more than one external id each.
func schoolCrowd(a *authority) {
	ctx := a.Context()
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range 16 {
		wg.Go(func() {
			_, err := a.SetSchool(ctx, &cloud.School{Name: "s", Number: string(rune('a' + i/2))})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				made++
			case !errors.Is(err, cloud.Exist):
				a.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	a.same("schools made", made, 8)
	n := 0
	for _, err := range a.Schools.Schools(ctx) {
		a.is(err, nil)
		n++
	}
	a.same("schools", n, 8)
}
