package cloud

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Who may what, as a person can read it: a permission and the roles that have
// it for all, and those that have it for themselves only.
func TestMay(t *testing.T) {
	for _, row := range []struct {
		name     string
		all, own string
	}{
		{"Accounts.ReadWrite", "admin", ""},
		{"Groups.ReadWrite", "admin", ""},
		{"Roles.ReadWrite", "admin", ""},
		{"Settings.ReadWrite", "admin", ""},
		{"Drives.Create", "admin spaceadmin", "user"},
		{"Drives.List", "admin spaceadmin", ""},
		{"Drives.ReadWritePersonalQuota", "admin", ""},
		{"Drives.ReadWriteProjectQuota", "admin spaceadmin", ""},
		{"Drives.DeletePersonal", "admin", ""},
		{"Language.ReadWrite", "admin", "spaceadmin user user-light"},
		{"Self.ReadWrite", "", "spaceadmin user"},
		{"Shares.Write", "admin spaceadmin user", ""},
		{"Event.ShareCreated.ReadWrite", "", "admin spaceadmin user"},
		{"Nothing.Such", "", ""},
	} {
		for _, r := range Roles() {
			u := &User{Role: r.ID}
			all, own := strings.Contains(" "+row.all+" ", " "+r.Name+" "), strings.Contains(" "+row.own+" ", " "+r.Name+" ")
			if got := u.May(SystemPermission(row.name + ".all")); got != all {
				t.Errorf("%s may %s.all: got %v, want %v", r.Name, row.name, got, all)
			}
			if got := u.May(SystemPermission(row.name + ".own")); got != (all || own) {
				t.Errorf("%s may %s.own: got %v, want %v", r.Name, row.name, got, all || own)
			}
		}
	}
	for _, u := range []*User{nil, {}, {Role: "admin"}} {
		if u.May(ManageUsers) || u.May(SetLanguage) {
			t.Errorf("%+v without a role may something", u)
		}
	}
}

func TestPrivileges(t *testing.T) {
	counts := map[string]int{"admin": 31, "spaceadmin": 25, "user": 19, "user-light": 4}
	ids := map[string]string{}
	for _, r := range Roles() {
		n := 0
		for p := range r.Privileges() {
			n++
			if _, ok := ParseUUID(p.ID); !ok {
				t.Errorf("%s: %q is not a UUID", p.Name, p.ID)
			}
			if has, ok := ids[p.ID]; ok && has != p.Name {
				t.Errorf("%s and %s have the same id", has, p.Name)
			}
			ids[p.ID] = p.Name
		}
		if n != counts[r.Name] {
			t.Errorf("privileges of %s: got %d, want %d", r.Name, n, counts[r.Name])
		}
		for _, by := range []string{r.ID, r.Name} {
			if got, ok := RoleBy(by); !ok || got != r {
				t.Errorf("RoleBy(%q): got %v, %v", by, got, ok)
			}
		}
	}
	if len(ids) != 32 {
		t.Errorf("privileges: got %d, want 32", len(ids))
	}
	if r, ok := RoleBy(""); ok || r != (Role{}) {
		t.Errorf("RoleBy nothing: got %v, %v", r, ok)
	}
}

// The roles of parts of the system are nobody's, and may little.
func TestServiceRoles(t *testing.T) {
	for id, may := range map[string][]SystemPermission{RoleService: {ListSpaces}, RoleSchools: {ManageUsers, ManageGroups, RemoveHomes}} {
		if r, ok := RoleBy(id); ok {
			t.Errorf("got %v: it can be given", r)
		}
		u := &User{Role: id}
		for _, r := range Roles() {
			for p := range r.Privileges() {
				name := SystemPermission(p.Name + "." + p.Scope.String())
				if got := u.May(name); got != slices.Contains(may, name) {
					t.Errorf("%s, %s: %v", id, name, got)
				}
			}
		}
	}
}

func TestInPerson(t *testing.T) {
	u := &User{ID: "a"}
	for c, want := range map[Caller]bool{
		{}: false, {User: u}: true, {User: u, Session: "s"}: true, {User: u, Proof: ByPassword}: true,
		{User: u, Proof: ByAppToken}: false, {User: u, Proof: ByURL}: false, {User: u, Proof: ByMachine}: false, {Proof: BySession}: false,
	} {
		if got := c.InPerson(); got != want {
			t.Errorf("%+v: %v, want %v", c, got, want)
		}
	}
}

// What users choose is theirs by a permission that some role has.
func TestPreferences(t *testing.T) {
	names := map[string]bool{}
	for _, p := range Preferences() {
		if p.ID != PreferLanguage {
			if err := p.Check(p.Default); err != nil {
				t.Errorf("%s: its default cannot be chosen: %v", p.Name, err)
			}
		}
		if !(&User{Role: RoleUser}).May(p.Needs) {
			t.Errorf("%s: no user may choose it: %q", p.Name, p.Needs)
		}
		if names[p.Name] || names[p.ID] {
			t.Errorf("%s is there twice", p.Name)
		}
		names[p.Name], names[p.ID] = true, true
		if got, ok := PreferenceBy(p.ID); !ok || got.Name != p.Name {
			t.Errorf("PreferenceBy %s: got %v, %v", p.Name, got, ok)
		}
	}
	for _, c := range []struct {
		preference string
		choice     Choice
		ok         bool
	}{
		{"language", Choice{Text: "de"}, true},
		{"language", Choice{Text: "zh-Hant-TW"}, true},
		{"language", Choice{}, true},
		{"language", Choice{Text: "<b>"}, false},
		{"disable-email-notifications", Choice{Flag: new(true)}, true},
		{"disable-email-notifications", Choice{Text: "true"}, false},
		{"disable-email-notifications", Choice{}, false},
		{"email-sending-interval-options", Choice{Text: "weekly"}, true},
		{"email-sending-interval-options", Choice{Text: "hourly"}, false},
		{"email-sending-interval-options", Choice{}, false},
		{"event-share-created-options", Choice{Flags: map[string]bool{"mail": false}}, true},
		{"event-share-created-options", Choice{Flags: map[string]bool{"fax": true}}, false},
		{"event-share-created-options", Choice{Flag: new(true)}, false},
	} {
		for _, p := range Preferences() {
			if p.Name == c.preference && (p.Check(c.choice) == nil) != c.ok {
				t.Errorf("%s %+v: got %v, want ok %v", c.preference, c.choice, p.Check(c.choice), c.ok)
			}
		}
	}
}

func TestCheckLanguage(t *testing.T) {
	for tag, ok := range map[string]bool{
		"": true, "de": true, "de-AT": true, "pt_BR": true, "zh-Hant": true, "es-419": true, "x-klingon": true,
		"-": false, "de-": false, "-de": false, "de--AT": false, "d e": false, "4u": false, "toolongword": false, "dé": false, "de/..": false, "de\n": false,
		"en-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd": false,
	} {
		if got := CheckLanguage(tag) == nil; got != ok {
			t.Errorf("%q: got %v, want %v", tag, got, ok)
		}
	}
}

func ExampleUser_May() {
	u := &User{Role: RoleUser}
	fmt.Println(u.May(CreateHome), u.May(CreateSpaces))
	// Output: true false
}
