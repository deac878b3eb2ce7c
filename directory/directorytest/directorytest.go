// Package directorytest is what it means to be a cloud.Directory that can be
// written: every sentence of the contract as a test. It is an ordinary
// package, so that a directory outside of this tree can run it.
package directorytest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"opencloud/cloud"
)

// Run tests what open returns, each time an empty directory of its own.
func Run(t *testing.T, open func(t *testing.T) cloud.Directory) {
	for _, c := range []struct {
		name string
		tell func(*hall)
	}{
		{"Made", made}, {"Found", found}, {"NotFound", notFound}, {"Names", names}, {"Changed", changed}, {"Taken", taken},
		{"Removed", removed}, {"Users", users}, {"Copies", copies}, {"Passwords", passwords}, {"LongPassword", longPassword},
		{"Disabled", disabled}, {"SameTime", sameTime}, {"Crowd", crowd},
		{"Search", search}, {"Kept", kept}, {"Group", group}, {"GroupNames", groupNames}, {"Groups", groups}, {"GroupRemoved", groupRemoved},
		{"Members", members}, {"MemberRemoved", memberRemoved}, {"GroupsAreNotSet", groupsAreNotSet}, {"GroupCopies", groupCopies}, {"GroupCrowd", groupCrowd},
	} {
		t.Run(c.name, func(t *testing.T) { c.tell(&hall{T: t, Directory: open(t), ctx: t.Context()}) })
	}
}

// A hall is an empty directory with short words to use it by.
type hall struct {
	*testing.T
	cloud.Directory
	ctx context.Context
}

func (h *hall) set(u *cloud.User, password string) *cloud.User {
	h.Helper()
	got, err := h.SetUser(h.ctx, u, password)
	if err != nil {
		h.Fatalf("SetUser %q: got %v", u.Name, err)
	}
	return got
}

func (h *hall) user(by, value string) *cloud.User {
	h.Helper()
	u, err := h.User(h.ctx, by, value)
	if err != nil {
		h.Fatalf("User by %s %q: got %v", by, value, err)
	}
	return u
}

func (h *hall) kind(what string, err error, want cloud.Kind) {
	h.Helper()
	if !errors.Is(err, want) {
		h.Errorf("%s: got %v, want an error that is %q", what, err, want)
	}
}

func (h *hall) same(what string, got, want any) {
	h.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		h.Errorf("%s: (-want +got)\n%s", what, diff)
	}
}

// verify checks a password and who comes back.
func (h *hall) verify(name, password string, want *cloud.User) {
	h.Helper()
	got, err := h.Verify(h.ctx, name, password)
	if err != nil {
		h.Errorf("Verify %q with the right password: got %v", name, err)
		return
	}
	h.same("Verify "+name, got, want)
}

// refused checks that a password does not do.
func (h *hall) refused(what, name, password string) {
	h.Helper()
	u, err := h.Verify(h.ctx, name, password)
	h.kind("Verify with "+what, err, cloud.Unauthorized)
	if u != nil {
		h.Errorf("Verify with %s: got %+v beside the error", what, u)
	}
}

func marie() *cloud.User {
	return &cloud.User{Name: "Marie", Display: "Marie Skłodowska-Curie", GivenName: "Maria", Surname: "Skłodowska", Mail: "Marie@Example.org", Language: "pl", Role: cloud.RoleSpaceAdmin}
}

func made(h *hall) {
	want := marie()
	got := h.set(want, "radium")
	if got.ID == "" {
		h.Errorf("id of a new user: got none")
	}
	if want.ID != "" {
		h.Errorf("SetUser wrote the id into what it was given")
	}
	want.ID, want.Made = got.ID, got.Made
	h.same("new user", got, want)
	h.same("User", h.user("id", string(got.ID)), want)
	if plain := h.set(&cloud.User{Name: "plain"}, ""); plain.Role != cloud.RoleUser {
		h.Errorf("role of a new user without: got %q, want that of a user", plain.Role)
	}
	other := h.set(&cloud.User{Name: "einstein", Role: cloud.RoleUser}, "relativity")
	if other.ID == got.ID {
		h.Errorf("ids of two users: got the same, %s", got.ID)
	}
}

func found(h *hall) {
	want := h.set(marie(), "")
	h.set(&cloud.User{Name: "other", Mail: "other@example.org", Role: cloud.RoleUser}, "")
	accent := h.set(&cloud.User{Name: "ÉLODIE", Mail: "élodie@example.org", Role: cloud.RoleUser}, "")
	for by, values := range map[string][]string{
		"id":   {string(want.ID)},
		"name": {"Marie", "marie", "MARIE", "mArIe"},
		"mail": {"Marie@Example.org", "marie@example.org", "MARIE@EXAMPLE.ORG"},
	} {
		for _, v := range values {
			h.same("User by "+by+" "+v, h.user(by, v), want)
		}
	}
	h.same("User by another script's case", h.user("name", "élodie"), accent)
	h.same("User by another script's case", h.user("mail", "Élodie@example.ORG"), accent)
}

func notFound(h *hall) {
	h.set(marie(), "")
	h.set(&cloud.User{Name: "nomail", Role: cloud.RoleUser}, "")
	for by, values := range map[string][]string{
		"id":   {"", "Marie", "x", "../x"},
		"name": {"", "mari", "marie ", "marie@example.org", "*"},
		"mail": {"", "marie", "@", "*"},
	} {
		for _, v := range values {
			u, err := h.User(h.ctx, by, v)
			h.kind("User by "+by+" "+v, err, cloud.NotExist)
			if u != nil {
				h.Errorf("User by %s %q: got %+v beside the error", by, v, u)
			}
		}
	}
	if u, err := h.User(h.ctx, "shoe size", "Marie"); err == nil {
		h.Errorf("User by what there is not: got %+v", u)
	}
	h.kind("RemoveUser of nobody", h.RemoveUser(h.ctx, "x"), cloud.NotExist)
	_, err := h.SetUser(h.ctx, &cloud.User{ID: "x", Name: "x", Role: cloud.RoleUser}, "")
	h.kind("SetUser of nobody", err, cloud.NotExist)
}

func names(h *hall) {
	for _, name := range []string{"a", "A.B-c_d", "marie@example.org", "日本", "o'neill", "with blank", strings.Repeat("x", 64), "..x", "%41"} {
		want := h.set(&cloud.User{Name: name, Display: "“" + name + "” <&>", Role: cloud.RoleUser}, "")
		h.same("User by name "+name, h.user("name", name), want)
	}
	before := h.list()
	for _, name := range []string{"", "a\x00b", "a\nb"} {
		_, err := h.SetUser(h.ctx, &cloud.User{Name: name, Role: cloud.RoleUser}, "")
		h.kind("SetUser with a name that cannot be", err, cloud.Invalid)
	}
	h.same("users after names were refused", h.list(), before)
}

func changed(h *hall) {
	want := h.set(marie(), "radium")
	want.Name, want.Display, want.Mail = "Curie", "M. Curie", "curie@example.org"
	want.GivenName, want.Surname, want.Language, want.Kind, want.Role = "M", "C", "fr-CA", cloud.Guest, cloud.RoleAdmin
	h.same("changed user", h.set(want, ""), want)
	h.same("User", h.user("id", string(want.ID)), want)
	h.same("User by the new name", h.user("name", "curie"), want)
	h.same("User by the new mail", h.user("mail", "curie@example.org"), want)
	_, err := h.User(h.ctx, "name", "marie")
	h.kind("User by the old name", err, cloud.NotExist)
	_, err = h.User(h.ctx, "mail", "marie@example.org")
	h.kind("User by the old mail", err, cloud.NotExist)
	h.verify("curie", "radium", want)
	want.Name = "CURIE" // its own name in another case is not taken
	h.same("changed case", h.set(want, ""), want)
	want.Mail, want.Display, want.GivenName, want.Surname, want.Language, want.Kind, want.Role = "", "", "", "", "", cloud.Member, ""
	h.same("emptied user", h.set(want, ""), want)
	h.same("User", h.user("id", string(want.ID)), want)
	_, err = h.User(h.ctx, "mail", "curie@example.org")
	h.kind("User by a mail taken away", err, cloud.NotExist)
}

func taken(h *hall) {
	first := h.set(marie(), "radium")
	second := h.set(&cloud.User{Name: "einstein", Mail: "einstein@example.org", Role: cloud.RoleUser}, "")
	for _, name := range []string{"Marie", "marie", "MARIE"} {
		_, err := h.SetUser(h.ctx, &cloud.User{Name: name, Role: cloud.RoleUser}, "polonium")
		h.kind("SetUser of a new user with a name that is taken", err, cloud.Exist)
		change := *second
		change.Name = name
		_, err = h.SetUser(h.ctx, &change, "polonium")
		h.kind("SetUser to a name that is taken", err, cloud.Exist)
	}
	h.same("User", h.user("name", "marie"), first)
	h.same("User", h.user("name", "einstein"), second)
	if got := len(h.list()); got != 2 {
		h.Errorf("users: got %d, want 2", got)
	}
	h.refused("the password of a refused change", "einstein", "polonium")
}

func removed(h *hall) {
	u := h.set(marie(), "radium")
	h.verify("Marie", "radium", u)
	if err := h.RemoveUser(h.ctx, u.ID); err != nil {
		h.Fatalf("RemoveUser: got %v", err)
	}
	for by, v := range map[string]string{"id": string(u.ID), "name": "Marie", "mail": "marie@example.org"} {
		_, err := h.User(h.ctx, by, v)
		h.kind("User by "+by+" of a removed user", err, cloud.NotExist)
	}
	h.refused("the password of a removed user", "Marie", "radium")
	h.kind("RemoveUser of a removed user", h.RemoveUser(h.ctx, u.ID), cloud.NotExist)
	_, err := h.SetUser(h.ctx, u, "radium")
	h.kind("SetUser of a removed user", err, cloud.NotExist)
	if again := h.set(marie(), "polonium"); again.ID == u.ID {
		h.Errorf("id of a new user with a removed user's name: got the old one")
	}
	h.refused("the password of a removed user of the same name", "Marie", "radium")
}

// list is all users by id.
func (h *hall) list() map[cloud.UserID]*cloud.User {
	h.Helper()
	all := map[cloud.UserID]*cloud.User{}
	for u, err := range h.Directory.Users(h.ctx, "") {
		if err != nil {
			h.Fatalf("Users: got %v", err)
		}
		if all[u.ID] != nil {
			h.Errorf("Users: got %q twice", u.Name)
		}
		all[u.ID] = u
	}
	return all
}

func users(h *hall) {
	h.same("users at first", h.list(), map[cloud.UserID]*cloud.User{})
	want := map[cloud.UserID]*cloud.User{}
	for _, name := range []string{"a", "b", "c", "d"} {
		u := h.set(&cloud.User{Name: name, Mail: name + "@example.org", Role: cloud.RoleUser, Disabled: name == "c"}, "")
		want[u.ID] = u
	}
	h.same("users", h.list(), want)
	for range h.Directory.Users(h.ctx, "") {
		break // must not go on
	}
	// The loop may change what it lists.
	for u, err := range h.Directory.Users(h.ctx, "") {
		if err != nil {
			h.Fatalf("Users: got %v", err)
		}
		if err := h.RemoveUser(h.ctx, u.ID); err != nil {
			h.Errorf("RemoveUser: got %v", err)
		}
	}
	h.same("users at last", h.list(), map[cloud.UserID]*cloud.User{})
}

func copies(h *hall) {
	given := marie()
	got := h.set(given, "radium")
	h.join(h.group("physics"), got)
	want := h.user("name", "marie")
	given.Name, got.Name = "x", "z"
	h.same("user after what went in and out was altered", h.user("name", "marie"), want)
	got = h.user("name", "marie")
	got.Groups[0], got.Role = "x", "y"
	h.same("user after what was found was altered", h.user("name", "marie"), want)
	for u := range h.Directory.Users(h.ctx, "") {
		u.Groups[0] = "x"
	}
	h.same("user after what was listed was altered", h.user("name", "marie"), want)
	for range 2 { // the second may come from a memory
		if got, err := h.Verify(h.ctx, "marie", "radium"); err == nil {
			got.Groups[0], got.Role = "x", "y"
		}
	}
	h.verify("marie", "radium", want)
}

func passwords(h *hall) {
	u := h.set(marie(), "rädium ☢ ")
	h.verify("Marie", "rädium ☢ ", u)
	h.verify("MARIE", "rädium ☢ ", u)
	h.verify("Marie", "rädium ☢ ", u) // again, maybe from a memory
	for what, password := range map[string]string{
		"another password": "polonium", "an empty one": "", "another case": "RÄDIUM ☢ ", "a blank less": "rädium ☢", "more": "rädium ☢ x", "a NUL more": "rädium ☢ \x00",
	} {
		h.refused(what, "Marie", password)
	}
	h.refused("an unknown name", "nobody", "rädium ☢ ")
	h.refused("no name", "", "rädium ☢ ")
	h.refused("the mail for a name", "marie@example.org", "wrong")
	h.refused("the id for a name", string(u.ID), "wrong")
	u = h.set(u, "polonium")
	h.refused("the old password", "Marie", "rädium ☢ ")
	h.verify("Marie", "polonium", u)
	u = h.set(u, "") // leaves the old one
	h.verify("Marie", "polonium", u)

	none := h.set(&cloud.User{Name: "none", Role: cloud.RoleUser}, "")
	h.refused("no password where none was ever set", "none", "")
	h.refused("a password where none was ever set", "none", "x")
	h.verify("none", "x", h.set(none, "x"))
}

// longPassword: to cut off what is beyond some length would let others in.
func longPassword(h *hall) {
	long := strings.Repeat("p", 200)
	u, err := h.SetUser(h.ctx, marie(), long)
	if errors.Is(err, cloud.Invalid) {
		return // to refuse is honest
	}
	if err != nil {
		h.Fatalf("SetUser with a long password: got %v", err)
	}
	h.verify("Marie", long, u)
	h.refused("the beginning of a long password", "Marie", long[:72])
	h.refused("another end of a long password", "Marie", long[:199]+"x")
}

func disabled(h *hall) {
	u := h.set(marie(), "radium")
	h.verify("Marie", "radium", u)
	u.Disabled = true
	u = h.set(u, "")
	if !h.user("name", "marie").Disabled {
		h.Errorf("disabled user: got an enabled one")
	}
	h.refused("the password of a disabled user", "Marie", "radium")
	u.Disabled = false
	h.verify("Marie", "radium", h.set(u, ""))
}

// sameTime: an unknown name, a user without password and a disabled one must
// cost what a wrong password does, or the time would tell them apart.
func sameTime(h *hall) {
	h.set(marie(), "radium")
	h.set(&cloud.User{Name: "none", Role: cloud.RoleUser}, "")
	h.set(&cloud.User{Name: "disabled", Role: cloud.RoleUser, Disabled: true}, "radium")
	least := func(name string) time.Duration {
		best := time.Duration(1<<63 - 1)
		for range 5 {
			start := time.Now()
			h.refused("a wrong password", name, "wrong")
			best = min(best, time.Since(start))
		}
		return best
	}
	wrong := least("Marie")
	// What takes next to no time at all tells nothing either.
	const noise = time.Millisecond
	for _, name := range []string{"nobody", "none", "disabled"} {
		if got := least(name); got+noise < wrong/3 || wrong+noise < got/3 {
			h.Errorf("time to refuse %q: got %v, want about that of a wrong password, %v", name, got, wrong)
		}
	}
}

func crowd(h *hall) {
	const n = 8
	var mu sync.Mutex
	var ids []cloud.UserID
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			u, err := h.SetUser(h.ctx, &cloud.User{Name: "one", Role: cloud.RoleUser}, "")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				ids = append(ids, u.ID)
			} else if !errors.Is(err, cloud.Exist) {
				h.Errorf("SetUser beside others: got %v", err)
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || len(h.list()) != 1 {
		h.Fatalf("users made of one name at once: got %d, listed %d, want 1", len(ids), len(h.list()))
	}
	for i := range n {
		wg.Go(func() {
			name := strings.Repeat("x", i+1)
			u, err := h.SetUser(h.ctx, &cloud.User{Name: name, Role: cloud.RoleUser}, "")
			if err != nil {
				h.Errorf("SetUser %q beside others: got %v", name, err)
				return
			}
			if got, err := h.User(h.ctx, "name", name); err != nil || got.ID != u.ID {
				h.Errorf("User %q beside others: got %v, %v", name, got, err)
			}
			u.Display = name
			if _, err := h.SetUser(h.ctx, u, ""); err != nil {
				h.Errorf("SetUser %q again beside others: got %v", name, err)
			}
		})
	}
	wg.Wait()
	var got []string
	for _, u := range h.list() {
		got = append(got, u.Display)
	}
	slices.Sort(got)
	want := []string{""}
	for i := range n {
		want = append(want, strings.Repeat("x", i+1))
	}
	h.same("users made at once", got, want)
}
