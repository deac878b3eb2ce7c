package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opencloud/cloud"
	dirmem "opencloud/directory/mem"
	"opencloud/storage/mem"
)

// A town is a directory with somebody of each role, and the rules over it.
type town struct {
	*desk
	*People
	dir   *dirmem.Directory
	users map[string]*cloud.User // by name
	crew  *cloud.Group           // light is in it
}

const secret = "a fine long secret"

func settle(t *testing.T, opts PeopleOptions) *town {
	t.Helper()
	if opts.MinSearch == 0 {
		opts.MinSearch = 3
	}
	if opts.Password.Min == 0 {
		opts.Password.Min = 8
	}
	store := mem.New()
	c := New(store, Options{})
	dir := dirmem.New()
	p, err := NewPeople(c, dir, dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	w := &town{desk: &desk{T: t, Core: c, store: store, ctx: t.Context()}, People: p, dir: dir, users: map[string]*cloud.User{}}
	for _, u := range []cloud.User{
		{Name: "admin", Role: cloud.RoleAdmin}, {Name: "spaceadmin", Role: cloud.RoleSpaceAdmin}, {Name: "user", Role: cloud.RoleUser},
		{Name: "light", Role: cloud.RoleUserLight}, {Name: "none", Role: "none"}, {Name: "other", GivenName: "Grace", Surname: "Hopper", Role: cloud.RoleUser},
	} {
		u.Display, u.Mail, u.Language = strings.ToUpper(u.Name[:1])+u.Name[1:], u.Name+"@example.org", "de"
		if w.users[u.Name], err = dir.SetUser(t.Context(), &u, secret); err != nil {
			t.Fatal(err)
		}
	}
	if w.crew, err = dir.SetGroup(t.Context(), &cloud.Group{Name: "crew"}); err != nil {
		t.Fatal(err)
	}
	w.join("light")
	return w
}

func (w *town) join(name string) {
	w.Helper()
	if err := w.dir.Join(w.Context(), w.crew.ID, w.users[name].ID); err != nil {
		w.Fatal(err)
	}
}

// as is a context of a user as the directory has them now.
func (w *town) as(name string) context.Context {
	w.Helper()
	if name == "nobody" {
		return w.Context()
	}
	u, err := w.dir.User(w.Context(), "name", name)
	if err != nil {
		w.Fatal(err)
	}
	return as(u)
}

func drain[T any](seq func(func(T, error) bool)) (all []T, err error) {
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

// Who may do what: an operation and those who may. Everybody else is refused
// with Permission (or the kind that is named), nobody with Unauthorized.
// there is nil for what would have been done if it were there.
func there(err error) error {
	if errors.Is(err, cloud.NotExist) {
		return nil
	}
	return err
}

func TestWhoMay(t *testing.T) {
	everybody := "admin spaceadmin user light none"
	for _, op := range []struct {
		name string
		may  string
		do   func(w *town, ctx context.Context) error
	}{
		{"see oneself", everybody, func(w *town, ctx context.Context) error {
			u, err := w.User(ctx, "id", string(cloud.CallerFrom(ctx).ID()))
			if err == nil && (u.Mail == "" || u.Name == "" || u.Role == "") {
				return fmt.Errorf("see only %+v", u)
			}
			return err
		}},
		{"find oneself by name", everybody, func(w *town, ctx context.Context) error {
			name := "nobody"
			if u := cloud.CallerFrom(ctx).User; u != nil {
				name = u.Name
			}
			_, err := w.User(ctx, "name", name)
			return err
		}},
		{"know who somebody is", everybody, func(w *town, ctx context.Context) error {
			_, err := w.User(ctx, "id", string(w.users["other"].ID))
			return err
		}},
		{"know all of somebody", "admin", func(w *town, ctx context.Context) error {
			u, err := w.User(ctx, "id", string(w.users["other"].ID))
			if err == nil && u.Mail == "" && u.Name == "" && u.Role == "" && u.Surname == "" && u.Language == "" {
				return cloud.Permission
			}
			return err
		}},
		{"list users", "admin", func(w *town, ctx context.Context) error { return second(drain(w.Users(ctx, ""))) }},
		{"search briefly", "admin", func(w *town, ctx context.Context) error { return second(drain(w.Users(ctx, "ot"))) }},
		{"search", everybody, func(w *town, ctx context.Context) error { return second(drain(w.Users(ctx, "oth"))) }},
		{"add a user", "admin", func(w *town, ctx context.Context) error {
			return second(w.AddUser(ctx, &cloud.User{Name: "new", Display: "New"}, secret))
		}},
		{"add an admin", "admin", func(w *town, ctx context.Context) error {
			return second(w.AddUser(ctx, &cloud.User{Name: "new", Display: "New", Role: cloud.RoleAdmin}, secret))
		}},
		{"rename somebody", "admin", func(w *town, ctx context.Context) error {
			return second(w.ChangeUser(ctx, w.users["other"].ID, cloud.UserChange{Display: new("X")}))
		}},
		{"rename oneself", "admin", func(w *town, ctx context.Context) error {
			return second(w.ChangeUser(ctx, cloud.CallerFrom(ctx).ID(), cloud.UserChange{Display: new("X")}))
		}},
		{"give oneself another mail", "admin", func(w *town, ctx context.Context) error {
			return second(w.ChangeUser(ctx, cloud.CallerFrom(ctx).ID(), cloud.UserChange{Mail: new("x@example.org"), Language: new("fr")}))
		}},
		{"choose one's language", "admin spaceadmin user light", func(w *town, ctx context.Context) error {
			return second(w.ChangeUser(ctx, cloud.CallerFrom(ctx).ID(), cloud.UserChange{Language: new("fr")}))
		}},
		{"choose somebody's language", "admin", func(w *town, ctx context.Context) error {
			return second(w.ChangeUser(ctx, w.users["other"].ID, cloud.UserChange{Language: new("fr")}))
		}},
		{"give somebody a role", "admin", func(w *town, ctx context.Context) error {
			return second(w.ChangeUser(ctx, w.users["other"].ID, cloud.UserChange{Role: new(cloud.RoleSpaceAdmin)}))
		}},
		{"make oneself admin", "admin", func(w *town, ctx context.Context) error {
			return second(w.ChangeUser(ctx, cloud.CallerFrom(ctx).ID(), cloud.UserChange{Role: new(cloud.RoleAdmin)}))
		}},
		{"give somebody a password", "admin", func(w *town, ctx context.Context) error {
			return second(w.ChangeUser(ctx, w.users["other"].ID, cloud.UserChange{Password: new("another fine secret")}))
		}},
		{"give oneself a password without knowing the old one", "admin", func(w *town, ctx context.Context) error {
			return second(w.ChangeUser(ctx, cloud.CallerFrom(ctx).ID(), cloud.UserChange{Password: new("another fine secret")}))
		}},
		{"change one's password", everybody, func(w *town, ctx context.Context) error {
			return w.ChangePassword(ctx, secret, "another fine secret")
		}},
		{"disable somebody", "admin", func(w *town, ctx context.Context) error {
			return second(w.ChangeUser(ctx, w.users["other"].ID, cloud.UserChange{Disabled: new(true)}))
		}},
		{"remove somebody", "admin", func(w *town, ctx context.Context) error { return w.RemoveUser(ctx, w.users["other"].ID) }},
		{"remove oneself", "", func(w *town, ctx context.Context) error { return w.RemoveUser(ctx, cloud.CallerFrom(ctx).ID()) }},
		{"see where one is signed in, and sign out", everybody, func(w *town, ctx context.Context) error {
			me := cloud.CallerFrom(ctx).ID()
			return errors.Join(second(w.Sessions(ctx, me)), second(w.Factors(ctx, me)), second(w.LastSignIn(ctx, me)), w.EndSessions(ctx, me), there(w.EndSession(ctx, me, "x")))
		}},
		{"see where somebody is signed in", "admin", func(w *town, ctx context.Context) error { return second(w.Sessions(ctx, w.users["other"].ID)) }},
		{"see when somebody was signed in", "admin", func(w *town, ctx context.Context) error { return second(w.LastSignIn(ctx, w.users["other"].ID)) }},
		{"see how somebody signs in", "admin", func(w *town, ctx context.Context) error { return second(w.Factors(ctx, w.users["other"].ID)) }},
		{"end a session of somebody", "admin", func(w *town, ctx context.Context) error { return there(w.EndSession(ctx, w.users["other"].ID, "x")) }},
		{"sign somebody out", "admin", func(w *town, ctx context.Context) error { return w.EndSessions(ctx, w.users["other"].ID) }},
		{"take somebody's factors away", "admin", func(w *town, ctx context.Context) error { return w.ResetFactors(ctx, w.users["other"].ID) }},
		{"take one's own factors away", "", func(w *town, ctx context.Context) error { return w.ResetFactors(ctx, cloud.CallerFrom(ctx).ID()) }},

		{"know a group", everybody, func(w *town, ctx context.Context) error { return second(w.Group(ctx, "id", string(w.crew.ID))) }},
		{"list groups", "admin", func(w *town, ctx context.Context) error { return second(drain(w.Groups(ctx, ""))) }},
		{"search a group", everybody, func(w *town, ctx context.Context) error { return second(drain(w.Groups(ctx, "cre"))) }},
		{"add a group", "admin", func(w *town, ctx context.Context) error { return second(w.SetGroup(ctx, &cloud.Group{Name: "new"})) }},
		{"rename a group", "admin", func(w *town, ctx context.Context) error {
			return second(w.SetGroup(ctx, &cloud.Group{ID: w.crew.ID, Name: "new"}))
		}},
		{"remove a group", "admin", func(w *town, ctx context.Context) error { return w.RemoveGroup(ctx, w.crew.ID) }},
		{"list members", "admin", func(w *town, ctx context.Context) error { return second(drain(w.Members(ctx, w.crew.ID))) }},
		{"join", "admin", func(w *town, ctx context.Context) error {
			return w.Join(ctx, w.crew.ID, cloud.CallerFrom(ctx).ID())
		}},
		{"take somebody out of a group", "admin", func(w *town, ctx context.Context) error {
			return w.Leave(ctx, w.crew.ID, w.users["light"].ID)
		}},

		{"set one's photo", "admin spaceadmin user", func(w *town, ctx context.Context) error {
			return w.SetPhoto(ctx, cloud.CallerFrom(ctx).ID(), picture("png", 8, 8))
		}},
		{"set somebody's photo", "admin", func(w *town, ctx context.Context) error {
			return w.SetPhoto(ctx, w.users["other"].ID, picture("png", 8, 8))
		}},
		{"see somebody's photo", everybody, func(w *town, ctx context.Context) error {
			if err := w.profiles.SetDocument(ctx, w.users["other"].ID, photoDocument, []byte("x")); err != nil {
				return err
			}
			return second(w.Photo(ctx, w.users["other"].ID))
		}},
		{"see one's choices", everybody, func(w *town, ctx context.Context) error {
			return second(w.Choices(ctx, cloud.CallerFrom(ctx).ID()))
		}},
		{"see somebody's choices", "admin", func(w *town, ctx context.Context) error { return second(w.Choices(ctx, w.users["other"].ID)) }},
		{"choose when mail is sent", "admin spaceadmin user light", func(w *town, ctx context.Context) error {
			return w.Choose(ctx, cloud.CallerFrom(ctx).ID(), interval, cloud.Choice{Text: "daily"})
		}},
		{"choose what one is told of", "admin spaceadmin user", func(w *town, ctx context.Context) error {
			return w.Choose(ctx, cloud.CallerFrom(ctx).ID(), shareCreated, cloud.Choice{Flags: map[string]bool{"mail": false}})
		}},
		{"choose for somebody", "admin", func(w *town, ctx context.Context) error {
			return w.Choose(ctx, w.users["other"].ID, interval, cloud.Choice{Text: "daily"})
		}},

		{"have a home", "admin spaceadmin user", func(w *town, ctx context.Context) error {
			return second(w.People.Home(ctx, cloud.CallerFrom(ctx).ID()))
		}},
		{"see that somebody has a home", "admin spaceadmin", func(w *town, ctx context.Context) error {
			w.home("other")
			s, err := w.People.Home(ctx, w.users["other"].ID)
			if err == nil && s.Root.Rights != 0 {
				return fmt.Errorf("with rights %v", s.Root.Rights)
			}
			return err
		}},
		{"look into somebody's home", "", func(w *town, ctx context.Context) error {
			home := w.home("other")
			if err := second(w.Core.Stat(ctx, cloud.Ref{Space: home.ID})); !errors.Is(err, cloud.NotExist) {
				return err
			}
			return hidden(second(drain(w.List(ctx, cloud.Ref{Space: home.ID}))))
		}},
		{"give somebody room", "admin", func(w *town, ctx context.Context) error {
			s := *w.home("other")
			s.Quota = 1000
			_, err := w.SetSpace(ctx, &s)
			return hidden(err)
		}},
		{"give oneself room", "admin", func(w *town, ctx context.Context) error {
			s, err := w.Core.Home(ctx)
			if err != nil {
				return err
			}
			s.Quota = 1000
			return second(w.SetSpace(ctx, s))
		}},
		{"rename a project of others", "admin spaceadmin", func(w *town, ctx context.Context) error {
			s := *w.project()
			s.Name = "x"
			_, err := w.SetSpace(ctx, &s)
			return hidden(err)
		}},
		{"disable a project of others", "admin spaceadmin", func(w *town, ctx context.Context) error {
			return hidden(w.RemoveSpace(ctx, w.project().ID, false))
		}},
		{"remove a project of others", "admin spaceadmin", func(w *town, ctx context.Context) error {
			id := w.project().ID
			w.is("disable", w.RemoveSpace(w.as("boss"), id, false), nil)
			return hidden(w.RemoveSpace(ctx, id, true))
		}},
	} {
		t.Run(op.name, func(t *testing.T) {
			for _, name := range []string{"admin", "spaceadmin", "user", "light", "none", "nobody"} {
				w := settle(t, PeopleOptions{})
				want := error(nil)
				switch {
				case name == "nobody":
					want = cloud.Unauthorized
				case !slices.Contains(strings.Fields(op.may), name):
					want = cloud.Permission
				}
				if err := op.do(w, w.as(name)); !errors.Is(err, want) {
					t.Errorf("%s: got %v, want %v", name, err, want)
				}
			}
		})
	}
}

const (
	interval     = "08dec2fe-3f97-42a9-9d1b-500855e92f25"
	shareCreated = "872d8ef6-6f2a-42ab-af7d-f53cc81d7046"
)

// hidden is for what somebody may not even know of.
func hidden(err error) error {
	if errors.Is(err, cloud.NotExist) {
		return cloud.Permission
	}
	return err
}

func (w *town) home(name string) *cloud.Space {
	w.Helper()
	s, err := w.Core.Home(w.as(name))
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// project is a space of boss, whom it makes.
func (w *town) project() *cloud.Space {
	w.Helper()
	w.user("boss", cloud.RoleSpaceAdmin)
	s, err := w.SetSpace(w.as("boss"), &cloud.Space{Name: "project"})
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func (w *town) user(name, role string) *cloud.User {
	w.Helper()
	u, err := w.dir.SetUser(w.Context(), &cloud.User{Name: name, Display: name, Role: role}, secret)
	if err != nil {
		w.Fatal(err)
	}
	return u
}

func picture(format string, width, height int) []byte {
	img := image.NewGray(image.Rect(0, 0, width, height))
	img.SetGray(0, 0, color.Gray{200})
	var b bytes.Buffer
	if format == "png" {
		png.Encode(&b, img)
	} else {
		jpeg.Encode(&b, img, nil)
	}
	return b.Bytes()
}

func TestReducedUsers(t *testing.T) {
	w := settle(t, PeopleOptions{})
	other := w.users["other"]
	want := &cloud.User{ID: other.ID, Display: "Other"}
	got, err := w.User(w.as("user"), "id", string(other.ID))
	w.is("User", err, nil)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, err = w.User(w.as("user"), "name", "other")
	w.is("User by name", err, cloud.NotExist)
	w.user("nameless", cloud.RoleUser)
	for search, want := range map[string]string{
		"other": "Other", "OTHER": "Other", "hopper": "Other", "grace": "Other", "other@example.org": "Other", "OTHER@example.ORG": "Other",
		"example.org": "", "other@": "", "use": "User", "light": "Light", "nobody": "",
	} {
		got, err := drain(w.Users(w.as("user"), search))
		w.is("Users "+search, err, nil)
		var names []string
		for _, u := range got {
			if u.Mail != "" || u.Name != "" || u.Role != "" {
				t.Errorf("%s: got %+v", search, u)
			}
			names = append(names, u.Display)
		}
		equal(t, "users with "+search, strings.Join(names, " "), want)
	}
	u := *other
	u.Disabled = true
	if _, err := w.dir.SetUser(t.Context(), &u, ""); err != nil {
		t.Fatal(err)
	}
	all, err := drain(w.Users(w.as("user"), "other"))
	w.is("Users", err, nil)
	equal(t, "disabled users that a user finds", len(all), 0)
	all, err = drain(w.Users(w.as("admin"), "other"))
	w.is("Users", err, nil)
	equal(t, "disabled users that an admin finds", len(all), 1)

	w = settle(t, PeopleOptions{ShowMail: true})
	got, err = w.User(w.as("user"), "id", string(w.users["other"].ID))
	w.is("User", err, nil)
	equal(t, "mail", got.Mail, "other@example.org")
	all, err = drain(w.Users(w.as("user"), "example.org"))
	w.is("Users", err, nil)
	equal(t, "users by a part of their mail", len(all), 6)
}

func TestSearchIsBounded(t *testing.T) {
	w := settle(t, PeopleOptions{})
	for i := range maxFound + 10 {
		w.user(fmt.Sprint("many", i), cloud.RoleUser)
	}
	all, err := drain(w.Users(w.as("user"), "many"))
	w.is("Users", err, nil)
	equal(t, "found by a user", len(all), maxFound)
	all, err = drain(w.Users(w.as("admin"), "many"))
	w.is("Users", err, nil)
	equal(t, "found by an admin", len(all), maxFound+10)
}

func TestLastAdmin(t *testing.T) {
	w := settle(t, PeopleOptions{})
	admin := w.users["admin"].ID
	change := func(who string, id cloud.UserID, c cloud.UserChange) error {
		return second(w.ChangeUser(w.as(who), id, c))
	}
	w.is("demote the last admin", change("admin", admin, cloud.UserChange{Role: new(cloud.RoleUser)}), cloud.Permission)
	w.is("take the last admin's role", change("admin", admin, cloud.UserChange{Role: new("")}), cloud.Permission)
	w.is("disable the last admin", change("admin", admin, cloud.UserChange{Disabled: new(true)}), cloud.Permission)
	sleeper := w.user("sleeper", cloud.RoleAdmin)
	w.is("disable another admin", change("admin", sleeper.ID, cloud.UserChange{Disabled: new(true)}), nil)
	w.is("demote the last who is enabled", change("admin", admin, cloud.UserChange{Role: new(cloud.RoleUser)}), cloud.Permission)
	w.is("enable another admin", change("admin", sleeper.ID, cloud.UserChange{Disabled: new(false)}), nil)
	w.is("demote one of two", change("admin", admin, cloud.UserChange{Role: new(cloud.RoleUser)}), nil)
	w.is("who is no admin any more makes themselves one", change("admin", admin, cloud.UserChange{Role: new(cloud.RoleAdmin)}), cloud.Permission)

	// Two who demote each other at the same moment: one remains.
	for range 50 {
		w := settle(t, PeopleOptions{})
		second := w.user("second", cloud.RoleAdmin)
		a, b := w.as("admin"), w.as("second")
		var wg sync.WaitGroup
		wg.Go(func() { w.ChangeUser(a, second.ID, cloud.UserChange{Role: new(cloud.RoleUser)}) })
		wg.Go(func() { w.RemoveUser(b, w.users["admin"].ID) })
		wg.Wait()
		mighty := 0
		for u := range w.dir.Users(t.Context(), "") {
			if u.May(cloud.ManageUsers) && !u.Disabled {
				mighty++
			}
		}
		equal(t, "admins left", mighty, 1)
	}
}

func TestRoles(t *testing.T) {
	w := settle(t, PeopleOptions{})
	other := w.users["other"].ID
	for _, r := range cloud.Roles() {
		u, err := w.ChangeUser(w.as("admin"), other, cloud.UserChange{Role: &r.ID})
		w.is("ChangeUser", err, nil)
		equal(t, "role", u.Role, r.ID)
	}
	for _, role := range []string{"admin", "x", "71881883-1768-46bd-a24d-a356a2afdf7e"} {
		_, err := w.ChangeUser(w.as("admin"), other, cloud.UserChange{Role: &role})
		w.is("role "+role, err, cloud.Invalid)
	}
	u, err := w.ChangeUser(w.as("admin"), other, cloud.UserChange{Role: new("")})
	w.is("no role", err, nil)
	equal(t, "may still", u.May(cloud.CreateHome), false)
}

func TestInvalidUsers(t *testing.T) {
	w := settle(t, PeopleOptions{})
	for _, u := range []cloud.User{
		{Name: "a"}, {Name: "a", Display: " "}, {Name: "", Display: "A"}, {Name: "a", Display: "A", Mail: "a"}, {Name: "a", Display: "A", Mail: "@b"},
		{Name: "a", Display: "A", Mail: "a@b, c@d"}, {Name: "a", Display: "A", Mail: "A <a@b>"}, {Name: "a", Display: "A", Language: "*"},
		{Name: "a", Display: "A", Role: "king"},
	} {
		_, err := w.AddUser(w.as("admin"), &u, "")
		w.is(fmt.Sprintf("AddUser %+v", u), err, cloud.Invalid)
	}
	_, err := w.AddUser(w.as("admin"), &cloud.User{Name: "OTHER", Display: "x"}, "")
	w.is("AddUser with a name that is taken", err, cloud.Exist)
	_, err = w.ChangeUser(w.as("admin"), w.users["user"].ID, cloud.UserChange{Name: new("other")})
	w.is("ChangeUser to a name that is taken", err, cloud.Exist)
	_, err = w.ChangeUser(w.as("admin"), "x", cloud.UserChange{Name: new("y")})
	w.is("ChangeUser of nobody", err, cloud.NotExist)
	u, err := w.AddUser(w.as("admin"), &cloud.User{ID: "chosen", Name: "fresh", Display: "Fresh", Kind: cloud.Guest, Mail: "a@localhost"}, secret)
	w.is("AddUser", err, nil)
	if u.ID == "chosen" || u.Role != cloud.RoleUser {
		t.Errorf("got %+v", u)
	}
	w.verifies("fresh", secret)
}

func (w *town) verifies(name, password string) {
	w.Helper()
	if _, err := w.dir.Verify(w.Context(), name, password); err != nil {
		w.Errorf("Verify %s %q: got %v", name, password, err)
	}
}

// Two people change different things of a user at the same time: both stay.
func TestChangesDoNotUndoEachOther(t *testing.T) {
	for range 50 {
		w := settle(t, PeopleOptions{})
		id := w.users["other"].ID
		admin, other := w.as("admin"), w.as("other")
		var wg sync.WaitGroup
		for _, c := range []cloud.UserChange{{Display: new("D")}, {Surname: new("S")}, {Mail: new("m@m")}} {
			wg.Go(func() { w.ChangeUser(admin, id, c) })
		}
		wg.Go(func() { w.ChangeUser(other, id, cloud.UserChange{Language: new("fr")}) })
		wg.Go(func() { w.ChangePassword(other, secret, "another fine secret") })
		wg.Go(func() { w.Join(admin, w.crew.ID, id) })
		wg.Wait()
		u, _ := w.dir.User(t.Context(), "id", string(id))
		want := &cloud.User{ID: id, Name: "other", Display: "D", GivenName: "Grace", Surname: "S", Mail: "m@m", Language: "fr", Role: cloud.RoleUser, Groups: []cloud.GroupID{w.crew.ID}, Made: u.Made}
		if diff := cmp.Diff(want, u); diff != "" {
			t.Fatal(diff)
		}
		w.verifies("other", "another fine secret")
	}
}

func TestChangePassword(t *testing.T) {
	var guesses []string
	limit := errors.Join(cloud.Throttled)
	opts := PeopleOptions{Guess: func(account string, check func() error) error {
		if guesses = append(guesses, account); len(guesses) > 5 {
			return limit
		}
		return check()
	}}
	w := settle(t, opts)
	ctx := w.as("user")
	w.is("wrong current password", w.ChangePassword(ctx, "wrong", "another fine secret"), cloud.Invalid)
	w.is("no current password", w.ChangePassword(ctx, "", "another fine secret"), cloud.Invalid)
	w.is("the same", w.ChangePassword(ctx, secret, secret), cloud.Invalid)
	w.is("too weak", w.ChangePassword(ctx, secret, "password"), cloud.Invalid)
	w.verifies("user", secret)
	w.is("a good one", w.ChangePassword(ctx, secret, "another fine secret"), nil)
	w.verifies("user", "another fine secret")
	w.is("too many guesses", w.ChangePassword(ctx, "another fine secret", "a third fine secret"), cloud.Throttled)
	equal(t, "guessed at", strings.Join(guesses, " "), "user user user user user user")
}

// Whom another system keeps does not lose their files here first.
func TestRemoveUserKeptElsewhere(t *testing.T) {
	w := settle(t, PeopleOptions{})
	home, other := w.home("other"), w.users["other"].ID
	if _, err := w.ChangeUser(w.as("admin"), other, cloud.UserChange{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	w.dir.ReadOnly = true
	w.is("RemoveUser", w.RemoveUser(w.as("admin"), other), cloud.NotSupported)
	if _, err := w.store.Space(t.Context(), home.ID); err != nil {
		t.Errorf("their space: %v", err)
	}
}

func TestRemoveUser(t *testing.T) {
	w := settle(t, PeopleOptions{})
	home := w.home("other")
	kept := w.home("user")
	project := w.project()
	other, user := w.users["other"].ID, w.users["user"].ID
	grant := func(s *cloud.Space, path string, to ...cloud.Subject) {
		t.Helper()
		n, err := w.store.Lookup(t.Context(), s.ID, "", path)
		if err == nil {
			_, err = w.store.Edit(t.Context(), s.ID, n.ID, func(n *cloud.Node) error {
				for _, who := range to {
					n.Grants = append(slices.Clone(n.Grants), cloud.Grant{To: who, Rights: cloud.SpaceEditor})
				}
				return nil
			})
		}
		if err != nil {
			t.Fatal(err)
		}
		delete(w.Core.spaces, s.ID) // to be loaded anew
	}
	w.ctx, w.space = w.as("user"), kept.ID
	w.mkdir("shared")
	grant(kept, "shared", cloud.Subject{User: other}, cloud.Subject{Group: w.crew.ID})
	grant(project, "", cloud.Subject{User: other}, cloud.Subject{User: user})
	w.join("other")
	begin := func(name string) *cloud.Upload {
		t.Helper()
		up, err := w.Begin(w.as(name), cloud.Ref{Space: project.ID, Path: "from " + name}, cloud.Put{Size: 10})
		if err != nil {
			t.Fatal(err)
		}
		return up
	}
	begin("other")
	begin("user")
	if err := w.SetPhoto(w.as("other"), other, picture("jpeg", 10, 10)); err != nil {
		t.Fatal(err)
	}
	late := w.as("other") // a request that is under way

	w.is("RemoveUser", w.RemoveUser(w.as("admin"), other), nil)
	_, err := w.dir.User(t.Context(), "id", string(other))
	w.is("User", err, cloud.NotExist)
	_, err = w.store.Space(t.Context(), home.ID)
	w.is("home", err, cloud.NotExist)
	_, err = w.Core.Home(late)
	w.is("a home that comes back", err, cloud.Unauthorized)
	_, err = w.Photo(w.as("admin"), other)
	w.is("photo", err, cloud.NotExist)
	_, err = w.Core.Stat(late, cloud.Ref{Space: project.ID})
	w.is("a right that remains", err, cloud.NotExist)
	_, err = w.Core.Stat(w.as("user"), cloud.Ref{Space: project.ID})
	w.is("a right of somebody else", err, nil)
	for _, s := range []*cloud.Space{kept, project} {
		for n, err := range w.store.Having(t.Context(), s.ID, cloud.HasGrants) {
			w.is("Having", err, nil)
			for _, g := range n.Grants {
				if g.To.User == other {
					t.Errorf("a grant to who is no more on %q", n.Path)
				}
			}
		}
	}
	ups, err := drain(w.store.Uploads(t.Context(), project.ID))
	w.is("Uploads", err, nil)
	if len(ups) != 1 || ups[0].By != user {
		t.Errorf("uploads left: got %d", len(ups))
	}
	w.is("RemoveUser again", w.RemoveUser(w.as("admin"), other), cloud.NotExist)

	w.is("RemoveGroup", w.RemoveGroup(w.as("admin"), w.crew.ID), nil)
	for n := range w.store.Having(t.Context(), kept.ID, cloud.HasGrants) {
		for _, g := range n.Grants {
			if g.To.Group != "" {
				t.Errorf("a grant to a group that is no more on %q", n.Path)
			}
		}
	}
	w.is("RemoveGroup again", w.RemoveGroup(w.as("admin"), w.crew.ID), cloud.NotExist)
}

// Whatever fails on the way, the user cannot sign in any more, and trying
// again ends it.
func TestRemoveUserIsCutShort(t *testing.T) {
	for _, step := range []string{"home", "grants", "profile", "account"} {
		t.Run(step, func(t *testing.T) {
			w := settle(t, PeopleOptions{})
			w.home("user")
			home, id := w.home("other"), w.users["other"].ID
			b := &breaking{Store: w.store, Directory: w.dir, at: step}
			w.core.store, w.People.dir, w.profiles = b, b, b
			w.is("RemoveUser", w.RemoveUser(w.as("admin"), id), cloud.Unavailable)
			if _, err := w.dir.Verify(t.Context(), "other", secret); !errors.Is(err, cloud.Unauthorized) {
				t.Errorf("signing in: got %v, want Unauthorized", err)
			}
			b.set("")
			w.is("RemoveUser again", w.RemoveUser(w.as("admin"), id), nil)
			_, err := w.dir.User(t.Context(), "id", string(id))
			w.is("User", err, cloud.NotExist)
			_, err = w.store.Space(t.Context(), home.ID)
			w.is("home", err, cloud.NotExist)
		})
	}
}

// breaking fails at one step.
type breaking struct {
	cloud.Store
	*dirmem.Directory
	mu sync.Mutex
	at string
}

func (b *breaking) set(step string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = step
}

func (b *breaking) Close() error { return b.Store.Close() }

func (b *breaking) fail(step string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at == step {
		return cloud.Unavailable
	}
	return nil
}

func (b *breaking) DropSpace(ctx context.Context, id cloud.SpaceID) error {
	if err := b.fail("home"); err != nil {
		return err
	}
	return b.Store.DropSpace(ctx, id)
}

func (b *breaking) Uploads(ctx context.Context, id cloud.SpaceID) iter.Seq2[*cloud.Upload, error] {
	if err := b.fail("grants"); err != nil {
		return func(yield func(*cloud.Upload, error) bool) { yield(nil, err) }
	}
	return b.Store.Uploads(ctx, id)
}

func (b *breaking) DropDocuments(ctx context.Context, of cloud.UserID) error {
	if err := b.fail("profile"); err != nil {
		return err
	}
	return b.Directory.DropDocuments(ctx, of)
}

func (b *breaking) RemoveUser(ctx context.Context, id cloud.UserID) error {
	if err := b.fail("account"); err != nil {
		return err
	}
	return b.Directory.RemoveUser(ctx, id)
}
