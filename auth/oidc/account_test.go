package oidc

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"opencloud/cloud"
	"opencloud/directory/mem"
)

func provision(o *Options) { o.Provision = true }
func roles(o *Options)     { o.RoleDriver = RolesFromClaims }

// Whose account a token leads to that has come for the first time.
func TestFirstTime(t *testing.T) {
	mail := func(o *Options) { o.UserClaim, o.UserField = "email", "mail" }
	all := func(l Link) func(*Options) { return func(o *Options) { o.Link = l } }
	const missing, taken, local = "no account for you", "belongs to somebody else", "was made here"
	for _, c := range []struct {
		what   string
		opts   []func(*Options)
		claims claims
		want   string // name of the user; else
		say    string
	}{
		{"by name", nil, ada(), "ada", ""},
		{"by name in other letters", nil, ada("preferred_username", "ADA"), "ada", ""},
		{"by mail", []func(*Options){mail}, ada("preferred_username", nil, "email", "ADA@example.org"), "ada", ""},
		{"by mail that is verified", []func(*Options){mail}, ada("email", "ada@example.org", "email_verified", true), "ada", ""},
		{"by mail that is not verified", []func(*Options){mail}, ada("email", "ada@example.org", "email_verified", false), "", "not verified"},
		{"by mail that is not verified, in words", []func(*Options){mail}, ada("email", "ada@example.org", "email_verified", "false"), "", "not verified"},
		{"by id", []func(*Options){func(o *Options) { o.UserField, o.UserClaim = "userid", "id" }}, ada("id", "u-root"), "", local},
		{"by a claim in claims", []func(*Options){func(o *Options) { o.UserClaim = "ext.name" }}, ada("ext", map[string]any{"name": "ada"}), "ada", ""},
		{"by a claim with dots", []func(*Options){func(o *Options) { o.UserClaim = "https://example.org/name" }}, ada("https://example.org/name", "ada"), "ada", ""},
		{"unknown", nil, ada("preferred_username", "bob"), "", missing},
		{"nobody", nil, ada("preferred_username", nil), "", `"preferred_username" is missing`},
		{"empty", nil, ada("preferred_username", ""), "", "is missing"},
		{"a number", nil, ada("preferred_username", 7), "", "not understood"},
		{"a list", nil, ada("preferred_username", []string{"ada"}), "", "not understood"},
		{"an object", nil, ada("preferred_username", map[string]any{"ada": true}), "", "not understood"},
		{"true", nil, ada("preferred_username", true), "", "not understood"},
		{"too long", nil, ada("preferred_username", strings.Repeat("a", 2000)), "", "not understood"},
		{"somebody's", nil, ada("preferred_username", "eve"), "", taken},
		{"an administrator's", nil, ada("preferred_username", "root"), "", local},
		{"an administrator's, and all may be had", []func(*Options){all(LinkAll)}, ada("preferred_username", "root"), "root", ""},
		{"an administrator's, and so says the issuer", []func(*Options){roles}, ada("preferred_username", "root", "roles", []string{"opencloudAdmin"}), "root", ""},
		{"an administrator's, and the issuer says user", []func(*Options){roles}, ada("preferred_username", "root", "roles", []string{"opencloudUser"}), "", local},
		{"none may be had", []func(*Options){all(LinkNone)}, ada(), "", local},
		{"none may be had, but made", []func(*Options){all(LinkNone), provision}, ada("preferred_username", "bob"), "bob", ""},
		{"new", []func(*Options){provision}, ada("preferred_username", "bob"), "bob", ""},
		{"new, and there is one", []func(*Options){provision}, ada(), "ada", ""},
		{"new, an administrator's", []func(*Options){provision}, ada("preferred_username", "root"), "", local},
		{"new, named by mail, of a name that is taken", []func(*Options){provision, mail}, ada("email", "x@example.org"), "", "is taken"},
		{"new, with a name that cannot be", []func(*Options){provision}, ada("preferred_username", "b\nb"), "", "No account can be made"},
		{"new, with a number for a name", []func(*Options){provision}, ada("preferred_username", "bob", "name", 7), "", "not understood"},
	} {
		w := newWorld(t, append(c.opts, func(o *Options) {})...)
		w.ada.Mail = "ada@example.org"
		w.user(*w.ada)
		w.user(cloud.User{Name: "eve", Role: cloud.RoleUser})
		eve, _ := w.dir.User(t.Context(), "name", "eve")
		if err := w.i.links.set(&link{User: eve.ID, Issuer: issuerURL, Subject: "s-eve"}); err != nil {
			t.Fatal(err)
		}
		root := w.user(cloud.User{Name: "root", Role: cloud.RoleAdmin})
		if c.claims["id"] != nil {
			c.claims["id"] = string(root.ID)
		}
		u, err := w.come(w.a.mint(c.claims))
		switch {
		case c.want != "" && (err != nil || u.Name != c.want):
			t.Errorf("%s: got %+v, %v; want %s", c.what, u, err, c.want)
		case c.want == "" && (cloud.KindOf(err) != cloud.Permission || !strings.Contains(cloud.Say(err), c.say)):
			t.Errorf("%s: got %+v, %v; want %q", c.what, u, err, c.say)
		}
	}
}

// An account is a subject's, whatever it is called later on, and nobody
// else's who takes the name.
func TestSubjectsNotNames(t *testing.T) {
	w := newWorld(t)
	w.is(w.a.mint(ada()), w.ada.ID)
	w.isNot(w.a.mint(ada("sub", "s-bob")), cloud.Permission, "belongs to somebody else")
	w.is(w.a.mint(ada("preferred_username", "lovelace")), w.ada.ID)
	w.is(w.a.mint(ada("preferred_username", nil)), w.ada.ID)
	w.open() // and after a restart
	w.isNot(w.a.mint(ada("sub", "s-bob")), cloud.Permission, "belongs to somebody else")
	w.is(w.a.mint(ada("preferred_username", "lovelace", "n", 2)), w.ada.ID)
	if err := w.i.SignOut(t.Context(), w.ada.ID); err != nil {
		t.Fatal(err)
	}
	w.isNot(w.a.mint(ada("sub", "s-bob", "n", 2)), cloud.Permission, "belongs to somebody else")

	// With the account the binding goes.
	if err := w.i.Forget(t.Context(), w.ada.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.i.Forget(t.Context(), w.ada.ID); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := w.dir.RemoveUser(t.Context(), w.ada.ID); err != nil {
		t.Fatal(err)
	}
	w.isNot(w.a.mint(ada("n", 3)), cloud.Permission, "no account for you")
	again := w.user(cloud.User{Name: "ada"})
	w.is(w.a.mint(ada("sub", "s-bob", "n", 4)), again.ID)

	// Another issuer has other subjects; that it is trusted is the administrator's word.
	w.opts.Issuer = "https://sso.example.org"
	w.open()
	if x, err := w.i.links.account(again.ID); x != nil || err != nil {
		t.Errorf("a link of another issuer: got %+v, %v", x, err)
	}
}

// An account that was removed without a word to us does not bar the way.
func TestRemovedBehindOurBack(t *testing.T) {
	w := newWorld(t, provision)
	w.is(w.a.mint(ada()), w.ada.ID)
	if err := w.dir.RemoveUser(t.Context(), w.ada.ID); err != nil {
		t.Fatal(err)
	}
	u := w.is(w.a.mint(ada("n", 2)), "")
	if u.ID == w.ada.ID || u.Name != "ada" {
		t.Errorf("got %+v", u)
	}
}

func TestDisabled(t *testing.T) {
	w := newWorld(t, provision)
	raw := w.a.mint(ada())
	u := w.is(raw, w.ada.ID)
	u.Disabled, u.Display = true, "Off"
	w.user(*u)
	w.isNot(raw, cloud.Unauthorized, "cannot be used any more")
	w.isNot(w.a.mint(ada("n", 2)), cloud.Unauthorized, "cannot be used any more")
	if u, _ := w.dir.User(t.Context(), "id", string(u.ID)); u.Display != "Off" {
		t.Errorf("a disabled account was changed: %+v", u)
	}
}

// A link that cannot be read is no link that does not exist.
func TestDamagedLink(t *testing.T) {
	w := newWorld(t)
	w.is(w.a.mint(ada()), w.ada.ID)
	name := filepath.Join(w.path, "links", ofAccount(w.ada.ID))
	body, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(body) - 1 { // cut at any byte
		if err := os.WriteFile(name, body[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		for _, sub := range []string{"s-ada", "s-bob"} {
			if u, err := w.come(w.a.mint(ada("sub", sub, "n", n))); err == nil {
				t.Fatalf("cut at %d, %s: got %+v", n, sub, u)
			}
		}
	}
	// Without what finds it by the subject it is found by the name, and only then.
	if err := errors.Join(os.WriteFile(name, body, 0o600), os.Remove(filepath.Join(w.path, "links", w.i.links.ofSubject("s-ada")))); err != nil {
		t.Fatal(err)
	}
	w.isNot(w.a.mint(ada("sub", "s-bob", "n", "x")), cloud.Permission, "belongs to somebody else")
	w.is(w.a.mint(ada("n", "x")), w.ada.ID)
	w.is(w.a.mint(ada("n", "y", "preferred_username", "other")), w.ada.ID)
	for _, name := range []string{name, filepath.Join(w.path, "links", w.i.links.ofSubject("s-ada"))} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
}

func TestProfile(t *testing.T) {
	w := newWorld(t, provision)
	u := w.is(w.a.mint(ada("preferred_username", "bob", "sub", "s-bob", "name", "Bob", "email", "bob@example.org")), "")
	if u.Name != "bob" || u.Display != "Bob" || u.Mail != "bob@example.org" || u.Role != cloud.RoleUser {
		t.Errorf("made: %+v", u)
	}
	u = w.is(w.a.mint(ada("preferred_username", "robert", "sub", "s-bob", "name", "Robert", "email", "robert@example.org")), u.ID)
	if u.Name != "bob" || u.Display != "Robert" || u.Mail != "robert@example.org" {
		t.Errorf("changed: %+v", u)
	}
	u = w.is(w.a.mint(ada("sub", "s-bob", "name", "", "email", "root@example.org", "email_verified", false)), u.ID)
	if u.Display != "Robert" || u.Mail != "robert@example.org" {
		t.Errorf("nothing new, and a mail that is not theirs: %+v", u)
	}
	// Without provisioning the directory knows better.
	w = newWorld(t)
	if u := w.is(w.a.mint(ada()), w.ada.ID); u.Display != "Ada" || u.Mail != "" {
		t.Errorf("not provisioned: %+v", u)
	}
}

// Of whom another system keeps nothing is changed but the role, and nobody is made.
func TestReadOnlyDirectory(t *testing.T) {
	w := newWorld(t, provision, roles)
	w.dir.ReadOnly = true
	u := w.is(w.a.mint(ada("groups", []string{"crew"}, "roles", "opencloudUser")), w.ada.ID)
	if u.Display != "Ada" || w.groupsOf(u.ID) != "" {
		t.Errorf("got %+v", u)
	}
	if _, err := w.come(w.a.mint(ada("roles", "opencloudAdmin"))); cloud.KindOf(err) != cloud.NotSupported {
		t.Errorf("a role that cannot be kept: got %v", err)
	}
	w.isNot(w.a.mint(ada("sub", "s-bob", "preferred_username", "bob", "roles", "opencloudUser")), cloud.Permission, "none can be made")
}

func TestRoles(t *testing.T) {
	const no = "given no role"
	for _, c := range []struct {
		claim string
		value any
		want  string
		say   string
	}{
		{"roles", []string{"opencloudAdmin"}, cloud.RoleAdmin, ""},
		{"roles", []string{"opencloudSpaceAdmin"}, cloud.RoleSpaceAdmin, ""},
		{"roles", []string{"x", "opencloudUser"}, cloud.RoleUser, ""},
		{"roles", []string{"opencloudGuest"}, cloud.RoleUserLight, ""},
		{"roles", []string{"opencloudGuest", "opencloudUser", "opencloudSpaceAdmin"}, cloud.RoleSpaceAdmin, ""}, // the first of the mapping
		{"roles", "opencloudUser", cloud.RoleUser, ""},
		{"realm_access.roles", map[string]any{"roles": []string{"opencloudUser"}}, cloud.RoleUser, ""},
		{"roles", []string{"opencloudadmin"}, "", no},
		{"roles", []string{"admin"}, "", no},
		{"roles", []string{}, "", no},
		{"roles", "opencloudAdmin opencloudUser", "", no},
		{"roles", nil, "", no},
		{"realm_access.roles", "opencloudUser", "", no},
		{"roles", 7, "", "not understood"},
		{"roles", []any{"opencloudUser", 7}, "", "not understood"},
		{"roles", map[string]any{"opencloudUser": true}, "", "not understood"},
		{"roles", slices.Repeat([]string{"x"}, 1500), "", ""}, // too large a token or list
	} {
		w := newWorld(t, roles, func(o *Options) { o.RoleClaim = c.claim })
		name, _, _ := strings.Cut(c.claim, ".")
		u, err := w.come(w.a.mint(ada(name, c.value)))
		switch {
		case c.want != "" && (err != nil || u.Role != c.want):
			t.Errorf("%v: got %+v, %v; want %s", c.value, u, err, c.want)
		case c.want == "" && (cloud.KindOf(err) != cloud.Permission || !strings.Contains(cloud.Say(err), c.say)):
			t.Errorf("%v: got %+v, %v; want %q", c.value, u, err, c.say)
		}
	}
}

// The role goes as it came, with the next token.
func TestRoleChanges(t *testing.T) {
	w := newWorld(t, roles, provision)
	u := w.is(w.a.mint(ada("sub", "s-bob", "preferred_username", "bob", "roles", []string{"opencloudAdmin"})), "")
	if !u.May(cloud.ManageUsers) {
		t.Errorf("made: %+v", u)
	}
	u = w.is(w.a.mint(ada("sub", "s-bob", "roles", []string{"opencloudUser"})), u.ID)
	if u.May(cloud.ManageUsers) {
		t.Errorf("changed: %+v", u)
	}
	w.isNot(w.a.mint(ada("sub", "s-bob")), cloud.Permission, "given no role")
}

// groupsOf are the names of the groups that a user is in.
func (w *world) groupsOf(id cloud.UserID) string {
	w.t.Helper()
	u, err := w.dir.User(w.t.Context(), "id", string(id))
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, id := range u.Groups {
		g, err := w.dir.Group(w.t.Context(), "id", string(id))
		if err != nil {
			w.t.Fatal(err)
		}
		names = append(names, g.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, provision)
		hand, err := w.dir.SetGroup(t.Context(), &cloud.Group{Name: "hand"})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.dir.Join(t.Context(), hand.ID, w.ada.ID); err != nil {
			t.Fatal(err)
		}
		step := func(what string, groups any, want string) {
			t.Helper()
			time.Sleep(5 * time.Minute)
			w.is(w.a.mint(ada("groups", groups)), w.ada.ID)
			if got := w.groupsOf(w.ada.ID); got != want {
				t.Errorf("%s: got %q, want %q", what, got, want)
			}
		}
		step("none", nil, "hand")
		step("made and joined", []string{"crew", "math", "crew", ""}, "crew hand math")
		step("one less", []string{"crew"}, "crew hand")
		step("not said", nil, "crew hand")
		step("one of them was there by hand", []string{"crew", "hand"}, "crew hand")
		step("and stays by hand", []string{"math"}, "hand math")
		step("names that cannot be", []string{"math", "a\x00b"}, "hand math")
		step("one text", "crew", "crew hand")
		w.open()
		step("after a restart", []string{"math"}, "hand math")

		// Not more often than every five minutes, but then at once.
		raw := w.a.mint(ada("groups", []string{"crew"}))
		w.is(raw, w.ada.ID)
		if got := w.groupsOf(w.ada.ID); got != "hand math" {
			t.Errorf("too early: got %q", got)
		}
		step("later", []string{}, "hand")
		if g, err := w.dir.Group(t.Context(), "name", "crew"); err != nil {
			t.Errorf("a group without members: %+v, %v", g, err)
		}
		time.Sleep(5 * time.Minute)
		w.isNot(w.a.mint(ada("groups", []any{"crew", 7})), cloud.Permission, "not understood")
		w.isNot(w.a.mint(ada("groups", 7)), cloud.Permission, "not understood")
		if got := w.groupsOf(w.ada.ID); got != "hand" {
			t.Errorf("what was not understood: got %q", got)
		}
	})
}

// Whatever the issuer says of the groups and the administrator does between:
// the user is in those that the issuer names and in those that they were put
// into by hand.
func TestGroupsProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: t, path: t.TempDir(), opts: options(), a: newAuthority(t), dir: mem.New(), log: nil}
		w.opts.Provision, w.opts.GroupsEvery = true, 0
		names := []string{"a", "b", "c"}
		hand := map[string]bool{}
		i, err := open(w.path, w.dir, w.opts, quiet, w.a)
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		c := claims{"preferred_username": "ada", "groups": []any{}}
		id, err := i.account(t.Context(), "s-ada", c)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 10).Draw(rt, "steps") {
			name := rapid.SampledFrom(names).Draw(rt, "name")
			before := strings.Fields(w.groupsOf(id))
			if rapid.Bool().Draw(rt, "hand") && !slices.Contains(before, name) {
				g, err := w.dir.Group(t.Context(), "name", name)
				if cloud.KindOf(err) == cloud.NotExist {
					g, err = w.dir.SetGroup(t.Context(), &cloud.Group{Name: name})
				}
				if err := errors.Join(err, w.dir.Join(t.Context(), g.ID, id)); err != nil {
					t.Fatal(err)
				}
				x, _ := i.links.account(id)
				hand[name] = !slices.Contains(x.Groups, g.ID)
				continue
			}
			said := rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID[string]).Draw(rt, "said")
			list := make([]any, len(said))
			for i, s := range said {
				list[i] = s
			}
			c["groups"] = list
			if _, err := i.account(t.Context(), "s-ada", c); err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(said)
			for name, yes := range hand {
				if yes && !slices.Contains(want, name) {
					want = append(want, name)
				}
			}
			slices.Sort(want)
			if diff := cmp.Diff(strings.Join(want, " "), w.groupsOf(id)); diff != "" {
				rt.Fatal(diff)
			}
		}
	})
}

// Claims are whatever the issuer says: nothing crashes, and nobody gets in
// under a name that is not the claim.
func FuzzClaims(f *testing.F) {
	for _, body := range []string{
		`{}`, `null`, `[]`, `{"preferred_username":"ada"}`, `{"preferred_username":["ada"]}`, `{"preferred_username":{"x":1},"groups":[1]}`,
		`{"preferred_username":"ada","roles":["opencloudAdmin"],"groups":["a","a"]}`, `{"a":{"b":{"c":"ada"}}}`, `{"exp":1e999}`,
	} {
		f.Add([]byte(body), "preferred_username")
	}
	f.Add([]byte(`{"a":{"b":"ada"}}`), "a.b")
	f.Add([]byte(`{"a.b":"ada"}`), "a..b")
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		c, err := parseClaims(body)
		if err != nil {
			return
		}
		if s, ok, err := c.text(path); ok && (err != nil || s == "" || len(s) > maxText) {
			t.Errorf("text: %q, %v", s, err)
		}
		if all, _, _ := c.list(path); len(all) > maxList {
			t.Errorf("list: %d", len(all))
		}
		c.when(path)
		if path == "" {
			return
		}
		opts := options()
		opts.Provision, opts.RoleDriver, opts.UserClaim, opts.NameClaim = true, RolesFromClaims, path, path
		dir := mem.New(&cloud.User{ID: "u-root", Name: "root", Role: cloud.RoleSpaceAdmin})
		i, err := open(t.TempDir(), dir, opts, quiet, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		id, err := i.account(t.Context(), "s", c)
		if err != nil {
			if cloud.KindOf(err) != cloud.Permission {
				t.Errorf("got %v", err)
			}
			return
		}
		u, err := dir.User(t.Context(), "id", string(id))
		name, _, _ := c.text(path)
		if err != nil || !strings.EqualFold(u.Name, name) {
			t.Errorf("got %+v, %v; want %q", u, err, name)
		}
	})
}
