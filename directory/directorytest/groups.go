package directorytest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"opencloud/cloud"
)

// group makes one.
func (h *hall) group(name string) *cloud.Group {
	h.Helper()
	return h.setGroup(&cloud.Group{Name: name})
}

func (h *hall) setGroup(g *cloud.Group) *cloud.Group {
	h.Helper()
	got, err := h.SetGroup(h.ctx, g)
	if err != nil {
		h.Fatalf("SetGroup %q: got %v", g.Name, err)
	}
	return got
}

func (h *hall) join(g *cloud.Group, users ...*cloud.User) {
	h.Helper()
	for _, u := range users {
		if err := h.Join(h.ctx, g.ID, u.ID); err != nil {
			h.Fatalf("Join %s to %s: got %v", u.Name, g.Name, err)
		}
	}
}

// people makes users of these names.
func (h *hall) people(names ...string) (all []*cloud.User) {
	h.Helper()
	for _, name := range names {
		all = append(all, h.set(&cloud.User{Name: name, Role: cloud.RoleUser}, ""))
	}
	return all
}

// in checks who is in a group, seen from both sides.
func (h *hall) in(g *cloud.Group, names ...string) {
	h.Helper()
	var got, claim []string
	for u, err := range h.Members(h.ctx, g.ID) {
		if err != nil {
			h.Fatalf("Members of %s: got %v", g.Name, err)
		}
		h.same("a member", u, h.user("id", string(u.ID)))
		got = append(got, u.Name)
	}
	for _, u := range h.list() {
		if slices.Contains(u.Groups, g.ID) {
			claim = append(claim, u.Name)
		}
	}
	slices.Sort(got)
	slices.Sort(claim)
	h.same("members of "+g.Name, got, names)
	h.same("users who say that they are in "+g.Name, claim, names)
}

func (h *hall) groups(search string) map[cloud.GroupID]*cloud.Group {
	h.Helper()
	all := map[cloud.GroupID]*cloud.Group{}
	for g, err := range h.Directory.Groups(h.ctx, search) {
		if err != nil {
			h.Fatalf("Groups: got %v", err)
		}
		if all[g.ID] != nil {
			h.Errorf("Groups: got %q twice", g.Name)
		}
		all[g.ID] = g
	}
	return all
}

func search(h *hall) {
	h.set(marie(), "")
	h.set(&cloud.User{Name: "irène", Display: "Irène Joliot-Curie", Mail: "irene@example.com", Role: cloud.RoleUser}, "")
	h.set(&cloud.User{Name: "fred", Display: "Frédéric", Mail: "fj@example.com", Role: cloud.RoleUser}, "")
	for text, want := range map[string]string{
		"": "Marie fred irène", "marie": "Marie", "CURIE": "Marie irène", "curie": "Marie irène", "rèn": "irène", "RÈNE J": "irène",
		"example.org": "Marie", "@EXAMPLE.com": "fred irène", "skłodowska": "Marie", "maria": "Marie", "nobody": "", "*": "", "%": "", "marie\nmarie": "",
		"fréDÉric": "fred", "(": "", "\x00": "",
	} {
		var got []string
		for u, err := range h.Directory.Users(h.ctx, text) {
			if err != nil {
				h.Fatalf("Users %q: got %v", text, err)
			}
			got = append(got, u.Name)
		}
		slices.Sort(got)
		if got := strings.Join(got, " "); got != want {
			h.Errorf("users with %q: got %q, want %q", text, got, want)
		}
	}
}

// kept: when a user was made does not change any more.
func kept(h *hall) {
	u := h.set(marie(), "")
	made := u.Made
	u.Display, u.Made = "x", made.AddDate(-1, 0, 0)
	if got := h.set(u, ""); !got.Made.Equal(made) {
		h.Errorf("the time a user was made after a change: got %v, want %v", got.Made, made)
	}
	if got := h.user("name", "marie"); !got.Made.Equal(made) {
		h.Errorf("the time a user was made: got %v, want %v", got.Made, made)
	}
}

func group(h *hall) {
	given := &cloud.Group{Name: "Physics lovers", Description: "Those who\nlove it"}
	got := h.setGroup(given)
	if got.ID == "" || given.ID != "" {
		h.Errorf("id of a new group: got %q, and %q in what was given", got.ID, given.ID)
	}
	want := &cloud.Group{ID: got.ID, Name: given.Name, Description: given.Description}
	h.same("new group", got, want)
	find := func(by, value string) {
		h.Helper()
		g, err := h.Group(h.ctx, by, value)
		if err != nil {
			h.Errorf("Group by %s %q: got %v", by, value, err)
			return
		}
		h.same("Group by "+by+" "+value, g, want)
	}
	find("id", string(got.ID))
	find("name", "physics LOVERS")
	want.Name, want.Description = "Fans", ""
	h.same("changed group", h.setGroup(want), want)
	find("id", string(got.ID))
	find("name", "fans")
	want.Name = "FANS"
	h.same("changed case", h.setGroup(want), want)
	find("name", "fans")
	for by, values := range map[string][]string{"id": {"", "x", "../x", "Fans"}, "name": {"", "physics lovers", "fan", "*"}} {
		for _, v := range values {
			g, err := h.Group(h.ctx, by, v)
			h.kind("Group by "+by+" "+v, err, cloud.NotExist)
			if g != nil {
				h.Errorf("Group by %s %q: got %+v beside the error", by, v, g)
			}
		}
	}
	if g, err := h.Group(h.ctx, "shoe size", "Fans"); err == nil {
		h.Errorf("Group by what there is not: got %+v", g)
	}
	_, err := h.SetGroup(h.ctx, &cloud.Group{ID: "x", Name: "x"})
	h.kind("SetGroup of none", err, cloud.NotExist)
}

func groupNames(h *hall) {
	for _, name := range []string{"a", "A/B", "日本", "o'neill & sons", "..", "%41", strings.Repeat("x", 64)} {
		h.same("Group "+name, h.group(name).Name, name)
		if _, err := h.Group(h.ctx, "name", name); err != nil {
			h.Errorf("Group by name %q: got %v", name, err)
		}
	}
	first, before := h.group("first"), h.groups("")
	for _, name := range []string{"", "a\x00b", "a\nb"} {
		_, err := h.SetGroup(h.ctx, &cloud.Group{Name: name})
		h.kind("SetGroup with a name that cannot be", err, cloud.Invalid)
	}
	for _, name := range []string{"A", "a", "日本"} {
		_, err := h.SetGroup(h.ctx, &cloud.Group{Name: name})
		h.kind("SetGroup of a new group with a name that is taken", err, cloud.Exist)
		_, err = h.SetGroup(h.ctx, &cloud.Group{ID: first.ID, Name: name})
		h.kind("SetGroup to a name that is taken", err, cloud.Exist)
	}
	h.same("groups after names were refused", h.groups(""), before)
}

func groups(h *hall) {
	h.same("groups at first", h.groups(""), map[cloud.GroupID]*cloud.Group{})
	want := map[cloud.GroupID]*cloud.Group{}
	for _, name := range []string{"Quantum lovers", "violin haters", "Éclair lovers"} {
		g := h.group(name)
		want[g.ID] = g
	}
	h.same("groups", h.groups(""), want)
	for text, n := range map[string]int{"LOVERS": 2, "éCLAIR": 1, "haters": 1, "physics": 0, "*": 0} {
		if got := len(h.groups(text)); got != n {
			h.Errorf("groups with %q: got %d, want %d", text, got, n)
		}
	}
	for range h.Directory.Groups(h.ctx, "") {
		break // must not go on
	}
	for g, err := range h.Directory.Groups(h.ctx, "") {
		if err != nil {
			h.Fatalf("Groups: got %v", err)
		}
		if err := h.RemoveGroup(h.ctx, g.ID); err != nil {
			h.Errorf("RemoveGroup: got %v", err)
		}
	}
	h.same("groups at last", h.groups(""), map[cloud.GroupID]*cloud.Group{})
}

func groupRemoved(h *hall) {
	g, other, u := h.group("g"), h.group("other"), h.people("u")[0]
	h.join(g, u)
	h.join(other, u)
	if err := h.RemoveGroup(h.ctx, g.ID); err != nil {
		h.Fatalf("RemoveGroup: got %v", err)
	}
	_, err := h.Group(h.ctx, "id", string(g.ID))
	h.kind("Group by id of a removed group", err, cloud.NotExist)
	_, err = h.Group(h.ctx, "name", "g")
	h.kind("Group by name of a removed group", err, cloud.NotExist)
	h.same("groups of a member of a removed group", h.user("name", "u").Groups, []cloud.GroupID{other.ID})
	h.kind("RemoveGroup of a removed group", h.RemoveGroup(h.ctx, g.ID), cloud.NotExist)
	h.kind("Join to a removed group", h.Join(h.ctx, g.ID, u.ID), cloud.NotExist)
	h.kind("Leave from a removed group", h.Leave(h.ctx, g.ID, u.ID), cloud.NotExist)
	for u, err := range h.Members(h.ctx, g.ID) {
		h.kind("Members of a removed group", err, cloud.NotExist)
		if u != nil {
			h.Errorf("Members of a removed group: got %+v", u)
		}
	}
	again := h.group("g")
	if again.ID == g.ID {
		h.Errorf("id of a new group with a removed group's name: got the old one")
	}
	h.in(again)
	h.in(other, "u")
}

func members(h *hall) {
	g, other := h.group("g"), h.group("other")
	us := h.people("a", "b", "c")
	h.in(g)
	h.join(g, us[0], us[1])
	h.join(g, us[0]) // again
	h.join(other, us[1], us[2])
	h.in(g, "a", "b")
	h.in(other, "b", "c")
	for range h.Members(h.ctx, g.ID) {
		break // must not go on
	}
	if err := h.Leave(h.ctx, g.ID, us[0].ID); err != nil {
		h.Errorf("Leave: got %v", err)
	}
	h.in(g, "b")
	h.kind("Leave again", h.Leave(h.ctx, g.ID, us[0].ID), cloud.NotExist)
	h.kind("Leave of nobody", h.Leave(h.ctx, g.ID, "x"), cloud.NotExist)
	h.kind("Join of nobody", h.Join(h.ctx, g.ID, "x"), cloud.NotExist)
	h.kind("Join to nothing", h.Join(h.ctx, "x", us[0].ID), cloud.NotExist)
	renamed := *g
	renamed.Name = "renamed"
	h.setGroup(&renamed)
	h.in(g, "b")
}

func memberRemoved(h *hall) {
	g := h.group("g")
	us := h.people("a", "b")
	h.join(g, us...)
	if err := h.RemoveUser(h.ctx, us[0].ID); err != nil {
		h.Fatalf("RemoveUser: got %v", err)
	}
	h.in(g, "b")
	h.people("a") // who has the name now is somebody else
	h.in(g, "b")
}

// groupsAreNotSet: who changes something else must not undo what Join did in
// the meantime.
func groupsAreNotSet(h *hall) {
	g, u := h.group("g"), h.set(marie(), "radium")
	h.join(g, u)
	u.Display = "changed"
	got := h.set(u, "")
	h.same("groups of a user who was changed", got.Groups, []cloud.GroupID{g.ID})
	got.Groups = nil
	h.set(got, "polonium")
	h.in(g, "Marie")
	got, err := h.Verify(h.ctx, "marie", "polonium")
	if err != nil {
		h.Fatalf("Verify: got %v", err)
	}
	h.same("groups of who signs in", got.Groups, []cloud.GroupID{g.ID})
	got = h.set(&cloud.User{Name: "new", Groups: []cloud.GroupID{g.ID}, Role: cloud.RoleUser}, "")
	h.same("groups of a new user", got.Groups, []cloud.GroupID(nil))
	h.in(g, "Marie")
}

func groupCopies(h *hall) {
	given := &cloud.Group{Name: "g", Description: "d"}
	got := h.setGroup(given)
	want := *got
	given.Name, got.Name = "x", "y"
	for g := range h.Directory.Groups(h.ctx, "") {
		h.same("group", g, &want)
		g.Name = "z"
	}
	g, err := h.Group(h.ctx, "name", "g")
	if err != nil {
		h.Fatalf("Group: got %v", err)
	}
	h.same("group after what was given and listed was altered", g, &want)
}

func groupCrowd(h *hall) {
	const n = 8
	u, g := h.people("u")[0], h.group("all")
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range n {
		wg.Go(func() {
			_, err := h.SetGroup(h.ctx, &cloud.Group{Name: "one"})
			mu.Lock()
			if err == nil {
				made++
			} else if !errors.Is(err, cloud.Exist) {
				h.Errorf("SetGroup beside others: got %v", err)
			}
			mu.Unlock()
			own, err := h.SetGroup(h.ctx, &cloud.Group{Name: fmt.Sprint("g", i)})
			if err != nil {
				h.Errorf("SetGroup beside others: got %v", err)
				return
			}
			other, err := h.SetUser(h.ctx, &cloud.User{Name: fmt.Sprint("u", i), Role: cloud.RoleUser}, "")
			if err != nil {
				h.Errorf("SetUser beside others: got %v", err)
				return
			}
			for _, err := range []error{h.Join(h.ctx, own.ID, u.ID), h.Join(h.ctx, g.ID, u.ID), h.Join(h.ctx, g.ID, other.ID)} {
				if err != nil {
					h.Errorf("Join beside others: got %v", err)
				}
			}
		})
	}
	wg.Wait()
	if made != 1 {
		h.Errorf("groups made of one name at once: got %d, want 1", made)
	}
	if got, want := len(h.user("name", "u").Groups), n+1; got != want {
		h.Errorf("groups that a user joined at once: got %d, want %d", got, want)
	}
	h.in(g, "u", "u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7")
}
