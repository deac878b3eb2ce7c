package core

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/cloud"
)

const month = 30 * 24 * time.Hour

// again is the same town after a restart.
func (w *town) again() {
	w.Helper()
	w.is("Close", w.People.Close(), nil)
	w.open(w.store, w.dir)
}

func (w *town) open(store cloud.Store, dir interface {
	cloud.Directory
	cloud.Profiles
}) {
	w.Helper()
	w.Core = New(store, Options{})
	p, err := NewPeople(w.Core, dir, dir, w.People.opts)
	if err != nil {
		w.Fatal(err)
	}
	w.People = p
}

func (w *town) gone(name string, home cloud.SpaceID) {
	w.Helper()
	_, err := w.dir.User(w.Context(), "name", name)
	w.is(name, err, cloud.NotExist)
	_, err = w.store.Space(w.Context(), home)
	w.is("home of "+name, err, cloud.NotExist)
	if body, err := w.dir.Document(w.Context(), house, removedDocument); !errors.Is(err, cloud.NotExist) {
		w.Errorf("removed users: got %s, %v; want none", body, err)
	}
}

// Whoever is removed is gone for all others, but can come back for a time.
func TestRemovedUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := settle(t, PeopleOptions{Retention: month})
		defer func() { w.People.Close() }()
		home, id, admin := w.home("other"), w.users["other"].ID, w.as("admin")
		w.join("other")
		w.is("RemoveUser", w.RemoveUser(admin, id), nil)
		removed := time.Now().UTC()

		if _, err := w.dir.Verify(t.Context(), "other", secret); !errors.Is(err, cloud.Unauthorized) {
			t.Errorf("signing in: got %v, want Unauthorized", err)
		}
		_, err := w.User(admin, "id", string(id))
		w.is("User by id", err, cloud.NotExist)
		_, err = w.User(admin, "name", "other")
		w.is("User by name", err, cloud.NotExist)
		_, err = w.ChangeUser(admin, id, cloud.UserChange{Disabled: new(false)})
		w.is("ChangeUser", err, cloud.NotExist)
		w.is("Join", w.Join(admin, w.crew.ID, id), cloud.NotExist)
		users, err := drain(w.Users(admin, "hopper"))
		if err != nil || len(users) != 0 {
			t.Errorf("Users: got %d, %v; want none", len(users), err)
		}
		members, err := drain(w.Members(admin, w.crew.ID))
		if err != nil || len(members) != 1 {
			t.Errorf("Members: got %d, %v; want one", len(members), err)
		}
		_, err = w.AddUser(admin, &cloud.User{Name: "other", Display: "X"}, "")
		if w.is("AddUser", err, cloud.Exist); !strings.Contains(cloud.Say(err), "was removed") {
			t.Errorf("AddUser: got %q", cloud.Say(err))
		}
		for _, name := range []string{"user", "spaceadmin", "light"} {
			_, err = drain(w.RemovedUsers(w.as(name)))
			w.is("RemovedUsers by "+name, err, cloud.Permission)
			_, err = w.RestoreUser(w.as(name), id)
			w.is("RestoreUser by "+name, err, cloud.Permission)
		}

		for range 2 { // also after a restart
			all, err := drain(w.RemovedUsers(admin))
			if err != nil || len(all) != 1 || all[0].User.ID != id || !all[0].Removed.Equal(removed) || !all[0].Until.Equal(removed.Add(month)) {
				t.Fatalf("RemovedUsers: got %+v, %v", all, err)
			}
			time.Sleep(month / 3)
			w.again()
		}
		u, err := w.RestoreUser(admin, id)
		if w.is("RestoreUser", err, nil); u.Disabled {
			t.Errorf("a restored user: got %+v", u)
		}
		_, err = w.RestoreUser(admin, id)
		w.is("RestoreUser again", err, cloud.NotExist)
		time.Sleep(2 * month)
		if got := w.home("other"); got.ID != home.ID {
			t.Errorf("home: got %s, want %s", got.ID, home.ID)
		}
		if _, err := w.dir.Verify(t.Context(), "other", secret); err != nil {
			t.Errorf("signing in: got %v", err)
		}

		// Removed again, and nobody changes their mind.
		w.is("RemoveUser", w.RemoveUser(admin, id), nil)
		time.Sleep(month - time.Second)
		synctest.Wait()
		if !w.removed.has(id) {
			t.Error("removed for good too early")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		w.gone("other", home.ID)
		w.is("RemoveUser", w.RemoveUser(admin, id), cloud.NotExist)
	})
}

func TestRemovedUsersOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := settle(t, PeopleOptions{Retention: month})
		defer func() { w.People.Close() }()
		admin := w.as("admin")
		for _, name := range []string{"other", "light", "user"} {
			w.is("RemoveUser", w.RemoveUser(admin, w.users[name].ID), nil)
			time.Sleep(time.Hour)
		}
		for left := 3; left > 0; left-- {
			all, err := drain(w.RemovedUsers(admin))
			if err != nil || len(all) != left {
				t.Fatalf("got %d, %v; want %d", len(all), err, left)
			}
			time.Sleep(time.Until(all[0].Until))
			synctest.Wait()
		}
	})
}

// Who was removed while the server did not run is gone after its start.
func TestRemovedUserAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := settle(t, PeopleOptions{Retention: month})
		home := w.home("other")
		w.is("RemoveUser", w.RemoveUser(w.as("admin"), w.users["other"].ID), nil)
		w.is("Close", w.People.Close(), nil)
		time.Sleep(2 * month)
		if !w.removed.has(w.users["other"].ID) {
			t.Error("removed by who is closed")
		}
		w.again()
		synctest.Wait()
		w.gone("other", home.ID)
		w.is("Close", w.People.Close(), nil)
	})
}

func TestRemovedUserForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := settle(t, PeopleOptions{Retention: month})
		defer func() { w.People.Close() }()
		home, id := w.home("other"), w.users["other"].ID
		for range 2 {
			w.is("RemoveUser", w.RemoveUser(w.as("admin"), id), nil)
		}
		w.gone("other", home.ID)
		_, err := w.RestoreUser(w.as("admin"), id)
		w.is("RestoreUser", err, cloud.NotExist)
	})
}

// Who was disabled before is so afterwards; whom the directory has forgotten
// does not come back, and their things go.
func TestRemovedUsersStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := settle(t, PeopleOptions{Retention: month})
		defer func() { w.People.Close() }()
		admin, id := w.as("admin"), w.users["other"].ID
		_, err := w.ChangeUser(admin, id, cloud.UserChange{Disabled: new(true)})
		w.is("ChangeUser", err, nil)
		w.is("RemoveUser", w.RemoveUser(admin, id), nil)
		u, err := w.RestoreUser(admin, id)
		if w.is("RestoreUser", err, nil); !u.Disabled {
			t.Error("restored: got an enabled user, want a disabled one")
		}
		home, user := w.home("user"), w.users["user"].ID
		w.is("RemoveUser", w.RemoveUser(admin, user), nil)
		w.is("dir.RemoveUser", w.dir.RemoveUser(t.Context(), user), nil)
		if all, err := drain(w.RemovedUsers(admin)); err != nil || len(all) != 0 {
			t.Errorf("RemovedUsers: got %d, %v; want none", len(all), err)
		}
		_, err = w.RestoreUser(admin, user)
		w.is("RestoreUser", err, cloud.NotExist)
		time.Sleep(month)
		synctest.Wait()
		w.gone("user", home.ID)
	})
}

// What fails is tried again, and from the first try on nobody is restored.
func TestRemovedUserIsCutShort(t *testing.T) {
	for _, step := range []string{"home", "grants", "profile", "account"} {
		synctest.Test(t, func(t *testing.T) {
			w := settle(t, PeopleOptions{Retention: month, Log: quiet})
			defer func() { w.People.Close() }()
			w.home("user")
			home, id := w.home("other"), w.users["other"].ID
			w.is("RemoveUser", w.RemoveUser(w.as("admin"), id), nil)
			w.is("Close", w.People.Close(), nil)
			b := &breaking{Store: w.store, Directory: w.dir, at: step}
			w.open(b, b)
			time.Sleep(month)
			synctest.Wait()
			_, err := w.RestoreUser(w.as("admin"), id)
			w.is(step+": RestoreUser", err, cloud.Conflict)
			b.set("")
			time.Sleep(retryRemoval)
			synctest.Wait()
			w.gone("other", home.ID)
		})
	}
}

func TestUserNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"ada": true, "Ada": true, "_ada": true, "ada.lovelace-1815": true, "ada@example.org": true, "a+b@x": true, "a!#$%&'*=?^`{|}~": true, "a@b-c.d": true,
		"1ada": false, "42": false, ".ada": false, "-x": false, "ada lovelace": false, "ädä": false, "ada@": false, "ada@@x": false, "ada@x@y": false,
		"ada@-x": false, "ada@x..y": false, "ada@x_y": false, "a/b": false, "a:b": false, "@x": false, "ada@" + strings.Repeat("x", 64): false,
	} {
		w := settle(t, PeopleOptions{})
		_, err := w.AddUser(w.as("admin"), &cloud.User{Name: name, Display: "X"}, "")
		if got := err == nil; got != ok || !ok && !errors.Is(err, cloud.Invalid) {
			t.Errorf("%q: got %v, want ok %v", name, err, ok)
		}
	}
	w := settle(t, PeopleOptions{NameRule: "none"})
	_, err := w.AddUser(w.as("admin"), &cloud.User{Name: "42 ädä", Display: "X"}, "")
	w.is("without a rule", err, nil)
	_, err = NewPeople(w.Core, w.dir, w.dir, PeopleOptions{NameRule: "strict"})
	w.is("an unknown rule", err, cloud.Invalid)
	// A name from before the rule may stay.
	w = settle(t, PeopleOptions{})
	u := w.user("7 of 9", cloud.RoleUser)
	_, err = w.ChangeUser(w.as("admin"), u.ID, cloud.UserChange{Display: new("Seven")})
	w.is("another property", err, nil)
	_, err = w.ChangeUser(w.as("admin"), u.ID, cloud.UserChange{Name: new("7 of 9"), Display: new("Seven")})
	w.is("the same name", err, nil)
	_, err = w.ChangeUser(w.as("admin"), u.ID, cloud.UserChange{Name: new("8 of 9")})
	w.is("another name", err, cloud.Invalid)
}
