package core

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"opencloud/cloud"
	dirmem "opencloud/directory/mem"
)

// A campus is a town with schools.
type campus struct {
	*town
	*Education
	store *dirmem.Schools
	ctx   context.Context // of the admin
}

func enrol(t *testing.T, opts EducationOptions) *campus {
	t.Helper()
	return enrolWith(t, PeopleOptions{Education: opts})
}

func enrolWith(t *testing.T, opts PeopleOptions) *campus {
	t.Helper()
	store := &dirmem.Schools{}
	opts.Schools = store
	w := settle(t, opts)
	return &campus{town: w, Education: w.People.Education(), store: store, ctx: w.as("admin")}
}

func (c *campus) ok(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *campus) school(s cloud.School) cloud.SchoolID {
	c.Helper()
	got, err := c.SetSchool(c.ctx, &s)
	c.ok(err)
	return got.ID
}

func (c *campus) newClass(v cloud.Class) cloud.GroupID {
	c.Helper()
	got, err := c.SetClass(c.ctx, &v)
	c.ok(err)
	return got.ID
}

func (c *campus) newPupil(name, external string) cloud.UserID {
	c.Helper()
	p, err := c.AddPupil(c.ctx, &cloud.Pupil{User: &cloud.User{Name: name, Display: name}, Enrolment: cloud.Enrolment{External: external}}, "")
	c.ok(err)
	return p.User.ID
}

func pupilName(p *cloud.Pupil) string { return p.User.Name }

func listed[T any](t interface {
	Helper()
	Fatal(...any)
}, seq iter.Seq2[*T, error], name func(*T) string) string {
	t.Helper()
	var names []string
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name(v))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// Only who manages users and groups has to do with schools; all others are
// refused, whether or not there is anything.
func TestWhoMayTeach(t *testing.T) {
	for name, do := range map[string]func(c *campus, ctx context.Context) error{
		"School":       func(c *campus, ctx context.Context) error { return second(c.School(ctx, "id", "x")) },
		"Schools":      func(c *campus, ctx context.Context) error { return second(drain(c.Schools(ctx))) },
		"SetSchool":    func(c *campus, ctx context.Context) error { return second(c.SetSchool(ctx, &cloud.School{})) },
		"RemoveSchool": func(c *campus, ctx context.Context) error { return c.RemoveSchool(ctx, "x") },
		"Class":        func(c *campus, ctx context.Context) error { return second(c.Class(ctx, "id", "x")) },
		"Classes":      func(c *campus, ctx context.Context) error { return second(drain(c.Classes(ctx, ""))) },
		"SetClass":     func(c *campus, ctx context.Context) error { return second(c.SetClass(ctx, &cloud.Class{})) },
		"Offer":        func(c *campus, ctx context.Context) error { return c.Offer(ctx, "x", "x") },
		"Withdraw":     func(c *campus, ctx context.Context) error { return c.Withdraw(ctx, "x", "x") },
		"Pupil":        func(c *campus, ctx context.Context) error { return second(c.Pupil(ctx, "name", "user")) },
		"Pupils":       func(c *campus, ctx context.Context) error { return second(drain(c.Pupils(ctx, ""))) },
		"AddPupil": func(c *campus, ctx context.Context) error {
			return second(c.AddPupil(ctx, &cloud.Pupil{User: &cloud.User{}}, ""))
		},
		"ChangePupil": func(c *campus, ctx context.Context) error {
			return second(c.ChangePupil(ctx, cloud.CallerFrom(ctx).ID(), cloud.PupilChange{User: cloud.UserChange{Language: new("de")}}))
		},
		"Attend":  func(c *campus, ctx context.Context) error { return c.Attend(ctx, "x", "x") },
		"Quit":    func(c *campus, ctx context.Context) error { return c.Quit(ctx, "x", "x") },
		"Members": func(c *campus, ctx context.Context) error { return second(drain(c.Education.Members(ctx, "x"))) },
		"Join": func(c *campus, ctx context.Context) error {
			return c.Education.Join(ctx, c.crew.ID, c.users["user"].ID)
		},
		"Leave": func(c *campus, ctx context.Context) error {
			return c.Education.Leave(ctx, c.crew.ID, c.users["light"].ID)
		},
		"Teachers": func(c *campus, ctx context.Context) error { return second(drain(c.Teachers(ctx, "x"))) },
		"Teach":    func(c *campus, ctx context.Context) error { return c.Teach(ctx, "x", "x") },
		"Unteach":  func(c *campus, ctx context.Context) error { return c.Unteach(ctx, "x", "x") },
	} {
		c := enrol(t, EducationOptions{})
		for who, want := range map[string]error{
			"spaceadmin": cloud.Permission, "user": cloud.Permission, "light": cloud.Permission, "none": cloud.Permission, "nobody": cloud.Unauthorized,
		} {
			if err := do(c, c.as(who)); !errors.Is(err, want) {
				t.Errorf("%s by %s: got %v, want %v", name, who, err, want)
			}
		}
		if err := do(c, c.ctx); errors.Is(err, cloud.Permission) || errors.Is(err, cloud.Unauthorized) {
			t.Errorf("%s by admin: got %v", name, err)
		}
	}
}

func TestEndOfASchool(t *testing.T) {
	c := enrol(t, EducationOptions{GraceDays: 30})
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	c.town.Core.now = func() time.Time { return now }
	s := cloud.School{Name: "s"}
	s.ID = c.school(s)
	c.is("removing a school without an end", c.RemoveSchool(c.ctx, s.ID), cloud.Conflict)
	for days, want := range map[int]error{-1: cloud.Invalid, 0: cloud.Invalid, 29: cloud.Invalid, 30: nil, 31: nil} {
		next := s
		next.Ends = now.AddDate(0, 0, days)
		_, err := c.SetSchool(c.ctx, &next)
		c.is(fmt.Sprintf("an end in %d days", days), err, want)
		next.ID = ""
		_, err = c.SetSchool(c.ctx, &next)
		c.is(fmt.Sprintf("a new school with an end in %d days", days), err, want)
	}
	s.Ends = now.AddDate(0, 0, 30)
	c.school(s)
	c.is("removing it before its end", c.RemoveSchool(c.ctx, s.ID), cloud.Conflict)
	now = now.AddDate(0, 0, 20)
	s.Name = "an end that came closer stays"
	c.school(s)
	p := c.newPupil("ada", "")
	c.ok(c.Attend(c.ctx, s.ID, p))
	now = now.AddDate(0, 0, 10)
	c.ok(c.RemoveSchool(c.ctx, s.ID))
	c.is("removing it again", c.RemoveSchool(c.ctx, s.ID), cloud.NotExist)
	got, err := c.Pupil(c.ctx, "name", "ada")
	c.ok(err)
	if len(got.Enrolment.Schools) != 0 {
		t.Errorf("schools: got %v", got.Enrolment.Schools)
	}
}

func TestPupils(t *testing.T) {
	c := enrol(t, EducationOptions{})
	in := cloud.Enrolment{Role: "teacher", External: "x", Identities: []cloud.Identity{{Issuer: "i", ID: "1"}}, Schools: []cloud.SchoolID{"not here"}}
	p, err := c.AddPupil(c.ctx, &cloud.Pupil{User: &cloud.User{Name: "ada", Display: "Ada"}, Enrolment: in}, secret)
	c.ok(err)
	in.User, in.Schools = p.User.ID, nil
	for by, value := range map[string]string{"id": string(p.User.ID), "name": "ADA", "external": "x"} {
		got, err := c.Pupil(c.ctx, by, value)
		c.ok(err)
		if diff := cmp.Diff(&cloud.Pupil{User: p.User, Enrolment: in}, got); diff != "" {
			t.Errorf("by %s: %s", by, diff)
		}
	}
	if u, err := c.dir.Verify(c.ctx, "ada", secret); err != nil || u.Role != cloud.RoleUser {
		t.Errorf("signing in: got %v, %v", u, err)
	}
	// Others of the directory are no pupils until they are made such.
	if got := listed(t, c.Pupils(c.ctx, ""), pupilName); got != "ada" {
		t.Errorf("pupils: got %q", got)
	}
	_, err = c.Pupil(c.ctx, "name", "user")
	c.is("a user who is none", err, cloud.NotExist)
	_, err = c.AddPupil(c.ctx, &cloud.Pupil{User: &cloud.User{Name: "b", Display: "B"}, Enrolment: cloud.Enrolment{External: "x"}}, "")
	c.is("a taken external id", err, cloud.Exist)
	_, err = c.AddPupil(c.ctx, &cloud.Pupil{User: &cloud.User{Name: "b", Display: "B"}, Enrolment: cloud.Enrolment{External: "\x00"}}, "")
	c.is("a bad external id", err, cloud.Invalid)
	_, err = c.AddPupil(c.ctx, &cloud.Pupil{User: &cloud.User{Name: "b", Display: "B"}}, "short")
	c.is("a bad password", err, cloud.Invalid)
	_, err = c.dir.User(c.ctx, "name", "b")
	c.is("what was refused", err, cloud.NotExist)

	user := c.users["user"].ID
	_, err = c.ChangePupil(c.ctx, user, cloud.PupilChange{External: new("x")})
	c.is("enrolling with a taken external id", err, cloud.Exist)
	_, err = c.ChangePupil(c.ctx, "nobody", cloud.PupilChange{External: new("y")})
	c.is("enrolling nobody", err, cloud.NotExist)
	_, err = c.ChangePupil(c.ctx, user, cloud.PupilChange{Role: new("teacher"), External: new("y"), User: cloud.UserChange{Display: new("Teacher")}})
	c.ok(err)
	got, err := c.Pupil(c.ctx, "external", "y")
	c.ok(err)
	if got.User.Display != "Teacher" || got.User.Mail != "user@example.org" || got.Enrolment.Role != "teacher" {
		t.Errorf("enrolled: got %+v, %+v", got.User, got.Enrolment)
	}
	_, err = c.ChangePupil(c.ctx, user, cloud.PupilChange{External: new(""), Identities: []cloud.Identity{}})
	c.ok(err)
	_, err = c.ChangePupil(c.ctx, p.User.ID, cloud.PupilChange{External: new("y")})
	c.ok(err)
	// The last admin stays one here, too.
	_, err = c.ChangePupil(c.ctx, c.users["admin"].ID, cloud.PupilChange{User: cloud.UserChange{Disabled: new(true)}})
	c.is("disabling the last admin", err, cloud.Permission)
}

// A class is a group, called as well as it can be.
func TestClasses(t *testing.T) {
	c := enrol(t, EducationOptions{})
	nameOf := func(id cloud.GroupID) string {
		t.Helper()
		g, err := c.dir.Group(c.ctx, "id", string(id))
		c.ok(err)
		return g.Name
	}
	first := c.newClass(cloud.Class{Name: "10b", Kind: cloud.AClass, External: "a", Description: "all"})
	second := c.newClass(cloud.Class{Name: "10b", Kind: cloud.AClass, External: "b"})
	third := c.newClass(cloud.Class{Name: "10B", Kind: cloud.Course})
	for id, want := range map[cloud.GroupID]string{first: "10b", second: "10b (b)"} {
		if got := nameOf(id); got != want {
			t.Errorf("group: got %q, want %q", got, want)
		}
	}
	if got := nameOf(third); !strings.HasPrefix(got, "10B (") || len(got) != len("10B (12345678)") {
		t.Errorf("group: got %q", got)
	}
	_, err := c.SetClass(c.ctx, &cloud.Class{Name: "x", Kind: cloud.Course, External: "a"})
	c.is("a taken external id", err, cloud.Exist)
	_, err = c.dir.Group(c.ctx, "name", "x")
	c.is("the group of what was refused", err, cloud.NotExist)
	_, err = c.SetClass(c.ctx, &cloud.Class{ID: c.crew.ID, Name: "x", Kind: cloud.Course})
	c.is("a group that is no class", err, cloud.NotExist)

	s := c.school(cloud.School{Name: "s"})
	c.ok(c.Offer(c.ctx, s, second))
	c.ok(c.Offer(c.ctx, s, second))
	got, err := c.SetClass(c.ctx, &cloud.Class{ID: second, Name: "10b", Kind: cloud.Course, Description: "new", External: "c"})
	c.ok(err)
	want := &cloud.Class{ID: second, Name: "10b", Kind: cloud.Course, Description: "new", External: "c", Schools: []cloud.SchoolID{s}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if g, err := c.dir.Group(c.ctx, "id", string(second)); err != nil || g.Name != "10b (b)" || g.Description != "new" {
		t.Errorf("the group of a class that has the same name: got %+v, %v", g, err)
	}
	c.newClass(cloud.Class{ID: second, Name: "10c", Kind: cloud.Course})
	if got := nameOf(second); got != "10c" {
		t.Errorf("renamed: got %q", got)
	}
	c.ok(c.Withdraw(c.ctx, s, second))
	c.is("withdrawing it again", c.Withdraw(c.ctx, s, second), cloud.NotExist)
	c.is("offering at no school", c.Offer(c.ctx, "x", second), cloud.NotExist)
	c.is("offering a mere group", c.Offer(c.ctx, s, c.crew.ID), cloud.NotExist)
	c.is("joining a mere group", c.Education.Join(c.ctx, c.crew.ID, c.users["user"].ID), cloud.NotExist)
	c.is("a mere user joining", c.Education.Join(c.ctx, first, c.users["user"].ID), cloud.NotExist)
	c.is("teaching a mere group", c.Teach(c.ctx, c.crew.ID, c.newPupil("ada", "")), cloud.NotExist)
	// Who came by way of the group is seen.
	c.ok(c.dir.Join(c.ctx, first, c.users["user"].ID))
	if got := listed(t, c.Education.Members(c.ctx, first), pupilName); got != "user" {
		t.Errorf("members: got %q", got)
	}
	c.ok(c.Education.Leave(c.ctx, first, c.users["user"].ID))
	c.is("leaving again", c.Education.Leave(c.ctx, first, c.users["user"].ID), cloud.NotExist)
}

// Whatever happens, and whoever does it (also behind the back, by the command
// line), the lists say who belongs where, and what went leaves nothing.
func TestNothingIsOrphaned(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := enrol(t, EducationOptions{})
		school, class := map[cloud.SchoolID]map[string]bool{}, map[cloud.GroupID]map[string]bool{}
		teach, of := map[cloud.GroupID]map[string]bool{}, map[cloud.GroupID]map[cloud.SchoolID]bool{}
		pupils := map[string]cloud.UserID{}
		n := 0
		serial := func() string { n++; return fmt.Sprint("n", n) }
		someSchool := func() cloud.SchoolID { return one(r, school) }
		someClass := func() cloud.GroupID { return one(r, class) }
		somebody := func() string { return one(r, pupils) }
		tie := func(set map[string]bool, who string, come, go_ func(cloud.UserID) error) {
			if rapid.Bool().Draw(r, "comes") {
				c.ok(come(pupils[who]))
				set[who] = true
				return
			}
			var want error
			if !set[who] {
				want = cloud.NotExist
			}
			c.is("leaving", go_(pupils[who]), want)
			delete(set, who)
		}
		gone := func(who string) {
			for _, all := range []map[cloud.GroupID]map[string]bool{class, teach} {
				for _, set := range all {
					delete(set, who)
				}
			}
			for _, set := range school {
				delete(set, who)
			}
			delete(pupils, who)
		}
		r.Repeat(map[string]func(*rapid.T){
			"school": func(*rapid.T) { school[c.school(cloud.School{Name: "s", Ends: time.Unix(1, 0)})] = map[string]bool{} },
			"class": func(*rapid.T) {
				id := c.newClass(cloud.Class{Name: "c", Kind: cloud.AClass, External: serial()})
				class[id], teach[id], of[id] = map[string]bool{}, map[string]bool{}, map[cloud.SchoolID]bool{}
			},
			"pupil": func(*rapid.T) { name := serial(); pupils[name] = c.newPupil(name, name) },
			"remove school": func(*rapid.T) {
				id := someSchool()
				c.ok(c.RemoveSchool(c.ctx, id))
				delete(school, id)
				for _, set := range of {
					delete(set, id)
				}
			},
			"remove class": func(*rapid.T) {
				id := someClass()
				if rapid.Bool().Draw(r, "behind the back") {
					v, err := c.Class(c.ctx, "id", string(id))
					c.ok(err)
					c.ok(c.dir.RemoveGroup(c.ctx, id))
					again := c.newClass(cloud.Class{Name: "c", Kind: cloud.AClass, External: v.External}) // is free
					class[again], teach[again], of[again] = map[string]bool{}, map[string]bool{}, map[cloud.SchoolID]bool{}
				} else {
					c.ok(c.RemoveGroup(c.ctx, id))
				}
				delete(class, id)
				delete(teach, id)
				delete(of, id)
			},
			"remove pupil": func(*rapid.T) {
				name := somebody()
				if rapid.Bool().Draw(r, "behind the back") {
					c.ok(c.dir.RemoveUser(c.ctx, pupils[name]))
					gone(name)
					again := serial()
					pupils[again] = c.newPupil(again, name) // the external id is free
					return
				}
				id := pupils[name]
				c.ok(c.RemoveUser(c.ctx, id))
				gone(name)
				if _, err := c.store.Enrolment(c.ctx, "id", string(id)); !errors.Is(err, cloud.NotExist) {
					t.Fatalf("enrolment of a user who was removed: got %v", err)
				}
			},
			"attend": func(*rapid.T) {
				id := someSchool()
				tie(school[id], somebody(), func(u cloud.UserID) error { return c.Attend(c.ctx, id, u) }, func(u cloud.UserID) error { return c.Quit(c.ctx, id, u) })
			},
			"join": func(*rapid.T) {
				id := someClass()
				tie(class[id], somebody(), func(u cloud.UserID) error { return c.Education.Join(c.ctx, id, u) }, func(u cloud.UserID) error { return c.Education.Leave(c.ctx, id, u) })
			},
			"teach": func(*rapid.T) {
				id := someClass()
				tie(teach[id], somebody(), func(u cloud.UserID) error { return c.Teach(c.ctx, id, u) }, func(u cloud.UserID) error { return c.Unteach(c.ctx, id, u) })
			},
			"offer": func(*rapid.T) {
				id, at := someClass(), someSchool()
				c.ok(c.Offer(c.ctx, at, id))
				of[id][at] = true
			},
			"": func(*rapid.T) {
				same := func(what, got string, want map[string]bool) {
					if got != strings.Join(slices.Sorted(maps.Keys(want)), " ") {
						t.Fatalf("%s: got %q, want %v", what, got, want)
					}
				}
				everybody := map[string]bool{}
				for name := range pupils {
					everybody[name] = true
				}
				same("pupils", listed(t, c.Pupils(c.ctx, ""), pupilName), everybody)
				for id, want := range school {
					same("pupils of a school", listed(t, c.Pupils(c.ctx, id), pupilName), want)
					classes := map[string]bool{}
					for class, at := range of {
						if at[id] {
							classes[string(class)] = true
						}
					}
					same("classes of a school", listed(t, c.Classes(c.ctx, id), func(v *cloud.Class) string { return string(v.ID) }), classes)
				}
				classes := map[string]bool{}
				for id := range class {
					classes[string(id)] = true
					same("members", listed(t, c.Education.Members(c.ctx, id), pupilName), class[id])
					same("teachers", listed(t, c.Teachers(c.ctx, id), pupilName), teach[id])
				}
				same("classes", listed(t, c.Classes(c.ctx, ""), func(v *cloud.Class) string { return string(v.ID) }), classes)
			},
		})
	})
}

// one draws a key of what there is, and skips the step if there is nothing.
func one[K ~string, V any](r *rapid.T, all map[K]V) K {
	if len(all) == 0 {
		r.Skip("nothing there")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(r, "one")
}

// Who was removed and can be restored is not seen, keeps the external id, and
// comes back to where they were.
func TestRestoredPupil(t *testing.T) {
	c := enrolWith(t, PeopleOptions{Retention: time.Hour})
	at := c.school(cloud.School{Name: "s"})
	ada := c.newPupil("ada", "x")
	c.ok(c.Attend(c.ctx, at, ada))
	c.ok(c.RemoveUser(c.ctx, ada))
	for what, seq := range map[string]iter.Seq2[*cloud.Pupil, error]{"all": c.Pupils(c.ctx, ""), "of the school": c.Pupils(c.ctx, at)} {
		if got := listed(t, seq, pupilName); got != "" {
			t.Errorf("pupils, %s: got %q", what, got)
		}
	}
	for by, value := range map[string]string{"id": string(ada), "name": "ada", "external": "x"} {
		_, err := c.Pupil(c.ctx, by, value)
		c.is("by "+by, err, cloud.NotExist)
	}
	_, err := c.AddPupil(c.ctx, &cloud.Pupil{User: &cloud.User{Name: "eve", Display: "Eve"}, Enrolment: cloud.Enrolment{External: "x"}}, "")
	c.is("the external id", err, cloud.Exist)
	_, err = c.RestoreUser(c.ctx, ada)
	c.ok(err)
	if got := listed(t, c.Pupils(c.ctx, at), pupilName); got != "ada" {
		t.Errorf("pupils after all: got %q", got)
	}
	c.ok(c.RemoveUser(c.ctx, ada))
	c.ok(c.RemoveUser(c.ctx, ada)) // for good
	_, err = c.store.Enrolment(c.ctx, "id", string(ada))
	c.is("the enrolment of one who was removed for good", err, cloud.NotExist)
}

// The system in which schools are administrated has to do with users and
// groups, and gets no further by way of them.
func TestRoleSchools(t *testing.T) {
	c := enrol(t, EducationOptions{})
	ctx := as(&cloud.User{ID: "service:schools", Name: "schools", Role: cloud.RoleSchools})
	p, err := c.AddPupil(ctx, &cloud.Pupil{User: &cloud.User{Name: "ada", Display: "Ada"}}, secret)
	c.ok(err)
	_, err = c.AddPupil(ctx, &cloud.Pupil{User: &cloud.User{Name: "eve", Display: "Eve", Role: cloud.RoleAdmin}}, secret)
	c.is("making an admin", err, cloud.Permission)
	s, err := c.SetSchool(ctx, &cloud.School{Name: "s"})
	c.ok(err)
	v, err := c.SetClass(ctx, &cloud.Class{Name: "10b", Kind: cloud.AClass})
	c.ok(err)
	c.ok(c.Attend(ctx, s.ID, p.User.ID))
	c.ok(c.Education.Join(ctx, v.ID, p.User.ID))
	password := cloud.UserChange{Password: new("another fine secret")}
	for _, name := range []string{"admin", "spaceadmin", "none"} {
		id := c.users[name].ID
		_, err := c.ChangeUser(ctx, id, password)
		c.is("a new password for "+name, err, cloud.Permission)
		_, err = c.ChangePupil(ctx, id, cloud.PupilChange{User: password})
		c.is("a new password for "+name, err, cloud.Permission)
		c.is("removing "+name, c.RemoveUser(ctx, id), cloud.Permission)
	}
	_, err = c.ChangeUser(ctx, p.User.ID, cloud.UserChange{Role: new(cloud.RoleAdmin)})
	c.is("a new role", err, cloud.Permission)
	_, err = c.ChangePupil(ctx, p.User.ID, cloud.PupilChange{User: password})
	c.ok(err)
	_, err = c.town.Core.Home(ctx)
	c.is("a home", err, cloud.Permission)
	c.ok(c.RemoveUser(ctx, p.User.ID))
	c.ok(c.RemoveGroup(ctx, v.ID))
}
