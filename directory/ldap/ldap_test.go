package ldap

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	lib "github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"opencloud/cloud"
	"opencloud/directory/ldap/client"
	"opencloud/directory/ldap/slapd"
)

// uuid is an id that a test can name.
func uuid(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func dn(name string) string { return "uid=" + name + "," + slapd.Users }

// personLDIF is an entry of a user, with the password "pw" and more lines.
func personLDIF(n int, name string, lines ...string) string {
	return fmt.Sprintf("dn: %[1]s\nobjectClass: inetOrgPerson\nobjectClass: openCloudUser\nobjectClass: testObject\nuid: %[2]s\ncn: %[2]s\nsn: %[2]s\nuserPassword: pw\nopenCloudUUID: %[3]s\n", dn(name), name, uuid(n)) +
		strings.Join(append(lines, ""), "\n") + "\n"
}

func groupLDIF(n int, name string, members ...string) string {
	return fmt.Sprintf("dn: cn=%[1]s,%[2]s\nobjectClass: groupOfNames\nobjectClass: openCloudObject\ncn: %[1]s\nopenCloudUUID: %[3]s\nmember: %[4]s\n\n",
		name, slapd.Groups, uuid(n), strings.Join(members, "\nmember: "))
}

func mustUser(t testing.TB, d *Directory, by, value string) *cloud.User {
	t.Helper()
	u, err := d.User(t.Context(), by, value)
	if err != nil {
		t.Fatalf("User by %s %q: %v", by, value, err)
	}
	return u
}

// list is all users, asked about one by one and looked up among all groups.
func list(t testing.TB, d *Directory, search string) map[cloud.UserID]*cloud.User {
	t.Helper()
	var seen [2]map[cloud.UserID]*cloud.User
	for i := range seen {
		seen[i] = map[cloud.UserID]*cloud.User{}
		for u, err := range d.Users(t.Context(), search) {
			if err != nil {
				t.Fatalf("Users %q: %v", search, err)
			}
			seen[i][u.ID] = u
		}
		if _, err := d.tree(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(seen[0], seen[1], cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("users %q one by one and among all: (-one by one +all)\n%s", search, diff)
	}
	return seen[0]
}

func members(t testing.TB, d *Directory, id string) []string {
	t.Helper()
	names := []string{}
	for u, err := range d.Members(t.Context(), cloud.GroupID(id)) {
		if err != nil {
			t.Fatalf("Members of %s: %v", id, err)
		}
		names = append(names, u.Name)
	}
	slices.Sort(names)
	return names
}

func wantKind(t testing.TB, what string, err error, want cloud.Kind) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want an error that is %q", what, err, want)
	}
}

// A directory of others that is only read, larger than what its server lists
// at once.
func TestReadOnly(t *testing.T) {
	const n = 3000
	var ldif strings.Builder
	var all []string
	for i := range n {
		name := fmt.Sprint("user", i)
		ldif.WriteString(personLDIF(i, name, "displayName: User "+fmt.Sprint(i)+" of many", "mail: "+name+"@example.org"))
		all = append(all, dn(name))
	}
	ldif.WriteString(groupLDIF(9000, "everybody", all...) + groupLDIF(9001, "some", all[:3]...))
	for i := range 700 {
		ldif.WriteString(groupLDIF(10_000+i, fmt.Sprint("of user0 ", i), all[0]))
	}
	opts := defaults(slapd.Start(t, slapd.Config{LDIF: ldif.String()}))
	opts.BindDN, opts.Write, opts.Admin = slapd.Reader, false, "USER7"
	d := open(t, opts)
	ctx := t.Context()

	users := list(t, d, "")
	if len(users) != n {
		t.Fatalf("users: got %d, want %d", len(users), n)
	}
	for _, i := range []int{0, 2, 3, 7, n - 1} {
		if diff := cmp.Diff(mustUser(t, d, "id", uuid(i)), users[cloud.UserID(uuid(i))], cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("user %d alone and listed: (-alone +listed)\n%s", i, diff)
		}
	}
	if got, want := len(users[cloud.UserID(uuid(0))].Groups), 702; got != want {
		t.Errorf("groups of user0: got %d, want %d", got, want)
	}
	if got, want := len(list(t, d, "user29")), 111; got != want {
		t.Errorf("users with user29: got %d, want %d", got, want)
	}
	if got := len(members(t, d, uuid(9000))); got != n {
		t.Errorf("members of everybody: got %d, want %d", got, n)
	}
	if got, want := members(t, d, uuid(9001)), []string{"user0", "user1", "user2"}; !slices.Equal(got, want) {
		t.Errorf("members of some: got %v, want %v", got, want)
	}
	groups := 0
	for g, err := range d.Groups(ctx, "") {
		if err != nil || !g.ReadOnly {
			t.Fatalf("got %+v, %v, want a group that is only read", g, err)
		}
		groups++
	}
	if groups != 702 {
		t.Errorf("groups: got %d, want 702", groups)
	}
	for range 40 { // none of these may keep a connection
		for range d.Users(ctx, "") {
			break
		}
	}
	if _, err := d.Verify(ctx, "user1", "pw"); err != nil {
		t.Errorf("Verify: %v", err)
	}

	if got := mustUser(t, d, "name", "user7").Role; got != cloud.RoleAdmin {
		t.Errorf("role of the first administrator: got %q", got)
	}
	u := mustUser(t, d, "name", "user8")
	if u.Role != cloud.RoleUser {
		t.Errorf("role: got %q", u.Role)
	}
	group := cloud.GroupID(uuid(9001))
	for what, change := range map[string]func() error{
		"new user":       func() error { _, err := d.SetUser(ctx, &cloud.User{Name: "new"}, ""); return err },
		"display":        func() error { c := *u; c.Display = "x"; _, err := d.SetUser(ctx, &c, ""); return err },
		"name":           func() error { c := *u; c.Name = "x"; _, err := d.SetUser(ctx, &c, ""); return err },
		"mail and role":  func() error { c := *u; c.Mail, c.Role = "x@y", ""; _, err := d.SetUser(ctx, &c, ""); return err },
		"disabled":       func() error { c := *u; c.Disabled = true; _, err := d.SetUser(ctx, &c, ""); return err },
		"kind":           func() error { c := *u; c.Kind = cloud.Guest; _, err := d.SetUser(ctx, &c, ""); return err },
		"password":       func() error { _, err := d.SetUser(ctx, u, "secret"); return err },
		"removed user":   func() error { return d.RemoveUser(ctx, u.ID) },
		"new group":      func() error { _, err := d.SetGroup(ctx, &cloud.Group{Name: "new"}); return err },
		"group":          func() error { _, err := d.SetGroup(ctx, &cloud.Group{ID: group, Name: "x"}); return err },
		"removed group":  func() error { return d.RemoveGroup(ctx, group) },
		"joined":         func() error { return d.Join(ctx, group, u.ID) },
		"left":           func() error { return d.Leave(ctx, group, cloud.UserID(uuid(0))) },
		"nothing at all": func() error { return cloud.NotSupported },
		"no such user":   func() error { return swap(d.RemoveUser(ctx, "x")) },
		"no such group":  func() error { return swap(d.RemoveGroup(ctx, "x")) },
		"name, but taken": func() error {
			c := *u
			c.Name = "user9"
			_, err := d.SetUser(ctx, &c, "")
			return swapTo(err, cloud.Exist)
		},
	} {
		wantKind(t, what, change(), cloud.NotSupported)
	}
	if diff := cmp.Diff(u, mustUser(t, d, "name", "user8")); diff != "" {
		t.Errorf("after changes were refused: (-before +after)\n%s", diff)
	}
	// What the directory has no place for can be set, and stays.
	u.Role, u.Language = cloud.RoleSpaceAdmin, "de"
	if got, err := d.SetUser(ctx, u, ""); err != nil || got.Role != u.Role || got.Language != u.Language {
		t.Fatalf("role and language: got %+v, %v", got, err)
	}
	if got := mustUser(t, d, "id", string(u.ID)); got.Role != u.Role || got.Language != u.Language {
		t.Errorf("role and language: got %+v", got)
	}
	// Who made them an administrator may make them another one.
	first := mustUser(t, d, "name", "user7")
	first.Role = cloud.RoleUser
	if got, err := d.SetUser(ctx, first, ""); err != nil || got.Role != cloud.RoleUser {
		t.Errorf("role of the first administrator: got %+v, %v", got, err)
	}
}

// swap makes NotExist what the table wants.
func swap(err error) error { return swapTo(err, cloud.NotExist) }

func swapTo(err error, want cloud.Kind) error {
	if errors.Is(err, want) {
		return cloud.NotSupported
	}
	return err
}

func TestOwnIsDurable(t *testing.T) {
	s := slapd.Start(t, slapd.Config{LDIF: personLDIF(1, "ada")})
	path := t.TempDir()
	for i, want := range []string{cloud.RoleUser, cloud.RoleAdmin} {
		d, err := Open(path, defaults(s))
		if err != nil {
			t.Fatal(err)
		}
		u := mustUser(t, d, "name", "ada")
		if u.Role != want {
			t.Errorf("opened %d times: got role %q, want %q", i+1, u.Role, want)
		}
		u.Role = cloud.RoleAdmin
		if _, err := d.SetUser(t.Context(), u, ""); err != nil {
			t.Fatal(err)
		}
		d.Close()
	}
}

func TestInjection(t *testing.T) {
	d := open(t, defaults(slapd.Start(t, slapd.Config{LDIF: personLDIF(1, "ada", "mail: ada@example.org") + groupLDIF(2, "crew", dn("ada"))})))
	ctx := t.Context()
	for _, text := range []string{
		"*", "*)(uid=*", "ada)(objectClass=*", "ada*", "(ada)", `\61da`, `ad\61`, "ada\x00", "\x00", "\xff\xfe", "a\xc3", "ada,ou=users", "ada)(|(uid=*))", "*)(&",
		"uid=ada", dn("ada"), strings.Repeat("a", 100_000), "ada\n", "#ada", " ada", "ada ", "ada\u200b", "&", "|", "!", "=", "",
	} {
		for _, by := range []string{"id", "name", "mail"} {
			if u, err := d.User(ctx, by, text); !errors.Is(err, cloud.NotExist) {
				t.Errorf("User by %s %.40q: got %v, %v", by, text, u, err)
			}
		}
		for _, by := range []string{"id", "name"} {
			if g, err := d.Group(ctx, by, text); !errors.Is(err, cloud.NotExist) {
				t.Errorf("Group by %s %.40q: got %v, %v", by, text, g, err)
			}
		}
		for _, password := range []string{"pw", "", "*"} {
			if u, err := d.Verify(ctx, text, password); !errors.Is(err, cloud.Unauthorized) {
				t.Errorf("Verify %.40q: got %v, %v", text, u, err)
			}
		}
		if text != "" {
			if got := list(t, d, text); len(got) > 0 && strings.TrimSpace(text) != "ada" {
				t.Errorf("Users with %.40q: got %d", text, len(got))
			}
		}
	}
	for _, name := range []string{"a,ou=groups", "a+cn=b", `a\`, `"a"`, "#a", "a=b", "a;b", "<a>", "a*b", "(a)"} {
		u, err := d.SetUser(ctx, &cloud.User{Name: name}, "pw")
		if strings.Contains(name, `\`) {
			wantKind(t, "name with a backslash", err, cloud.Invalid)
			continue
		}
		if err != nil {
			t.Errorf("SetUser %q: %v", name, err)
			continue
		}
		if got := mustUser(t, d, "name", name); got.ID != u.ID || got.Name != name {
			t.Errorf("%q: got %+v", name, got)
		}
		if got, err := d.Verify(ctx, name, "pw"); err != nil || got.ID != u.ID {
			t.Errorf("Verify %q: got %v, %v", name, got, err)
		}
		if err := d.Join(ctx, cloud.GroupID(uuid(2)), u.ID); err != nil {
			t.Errorf("Join %q: %v", name, err)
		}
		if got := members(t, d, uuid(2)); !slices.Equal(got, []string{name, "ada"}) && !slices.Equal(got, []string{"ada", name}) {
			t.Errorf("members: got %q, want ada and %q", got, name)
		}
		u.Name = name + ",x"
		if got, err := d.SetUser(ctx, u, ""); err != nil || !slices.Equal(got.Groups, []cloud.GroupID{cloud.GroupID(uuid(2))}) {
			t.Errorf("renamed %q: got %v, %v", name, got, err)
		}
		if err := d.RemoveUser(ctx, u.ID); err != nil {
			t.Errorf("RemoveUser %q: %v", name, err)
		}
	}
}

func TestNested(t *testing.T) {
	const deep = maxDepth + 5
	ldif := personLDIF(1, "ada") + personLDIF(2, "bob") + groupLDIF(10, "inner", dn("ada")) +
		groupLDIF(11, "middle", "cn=Inner, "+slapd.Groups, dn("bob"), dn("gone")) +
		groupLDIF(12, "outer", "cn=middle,"+slapd.Groups, "cn=outer,"+slapd.Groups) +
		groupLDIF(13, "round", "cn=about,"+slapd.Groups) + groupLDIF(14, "about", "cn=round,"+slapd.Groups, dn("bob")) +
		groupLDIF(100, "deep0", dn("ada"))
	for i := 1; i < deep; i++ {
		ldif += groupLDIF(100+i, fmt.Sprint("deep", i), fmt.Sprintf("cn=deep%d,%s", i-1, slapd.Groups))
	}
	s := slapd.Start(t, slapd.Config{LDIF: ldif})
	for _, nested := range []bool{true, false} {
		opts := defaults(s)
		opts.Nested = nested
		d := open(t, opts)
		groups := map[int][]int{1: {10, 100}, 2: {11, 14}}
		in := map[int][]string{10: {"ada"}, 11: {"bob"}, 12: {}, 13: {}, 14: {"bob"}}
		if nested {
			groups = map[int][]int{1: {10, 11, 12}, 2: {11, 12, 13, 14}}
			for i := range maxDepth + 1 {
				groups[1] = append(groups[1], 100+i)
			}
			in = map[int][]string{10: {"ada"}, 11: {"ada", "bob"}, 12: {"ada", "bob"}, 13: {"bob"}, 14: {"bob"}, 100 + deep - 1: {}}
		}
		for n, ids := range groups {
			var want []cloud.GroupID
			for _, id := range ids {
				want = append(want, cloud.GroupID(uuid(id)))
			}
			if diff := cmp.Diff(want, mustUser(t, d, "id", uuid(n)).Groups); diff != "" {
				t.Errorf("nested %v, groups of %d: (-want +got)\n%s", nested, n, diff)
			}
			if diff := cmp.Diff(want, list(t, d, "")[cloud.UserID(uuid(n))].Groups); diff != "" {
				t.Errorf("nested %v, groups of %d, listed: (-want +got)\n%s", nested, n, diff)
			}
		}
		for n, want := range in {
			if got := members(t, d, uuid(n)); !slices.Equal(got, want) {
				t.Errorf("nested %v, members of %d: got %v, want %v", nested, n, got, want)
			}
		}
	}
	// A group can be removed and renamed while it is in another one.
	d := open(t, defaults(s))
	if _, err := d.SetGroup(t.Context(), &cloud.Group{ID: cloud.GroupID(uuid(10)), Name: "renamed"}); err != nil {
		t.Fatal(err)
	}
	if got, want := members(t, d, uuid(12)), []string{"ada", "bob"}; !slices.Equal(got, want) {
		t.Errorf("members after renaming: got %v, want %v", got, want)
	}
	if err := d.RemoveGroup(t.Context(), cloud.GroupID(uuid(10))); err != nil {
		t.Fatal(err)
	}
	if got, want := members(t, d, uuid(12)), []string{"bob"}; !slices.Equal(got, want) {
		t.Errorf("members after removing: got %v, want %v", got, want)
	}
}

func TestDisabling(t *testing.T) {
	for name, c := range map[string]struct {
		on, off string // lines of the entry
		change  func(*Options)
		after   string // what an enabled user has in the attribute after going there and back
	}{
		"openCloudUserEnabled": {"openCloudUserEnabled: TRUE", "openCloudUserEnabled: FALSE", func(*Options) {}, "TRUE"},
		"nsAccountLock":        {"nsAccountLock: FALSE", "nsAccountLock: true", func(o *Options) { o.UserEnabled = "nsaccountlock" }, "FALSE"},
		"userAccountControl":   {"userAccountControl: 66048", "userAccountControl: 66050", func(o *Options) { o.UserEnabled = "userAccountControl" }, "66048"},
		"group":                {"", "", func(o *Options) { o.Disabling, o.DisabledGroup = "group", "cn=locked,"+slapd.Suffix }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := slapd.Start(t, slapd.Config{LDIF: entry(1, "on", c.on) + entry(2, "off", c.off) + entry(3, "plain", "") + group("locked", "CN=x,dc=y", dn("off"))})
			opts := defaults(s)
			c.change(&opts)
			d := open(t, opts)
			ctx := t.Context()
			is := func(name string, want bool) {
				t.Helper()
				u := mustUser(t, d, "name", name)
				if u.Disabled != want || list(t, d, name)[u.ID].Disabled != want {
					t.Errorf("%s disabled: got %v, listed %v, want %v", name, u.Disabled, list(t, d, name)[u.ID].Disabled, want)
				}
				_, err := d.Verify(ctx, name, "pw")
				if want {
					wantKind(t, "Verify of a disabled user", err, cloud.Unauthorized)
				} else if err != nil {
					t.Errorf("Verify: %v", err)
				}
			}
			is("on", false)
			is("off", true)
			is("plain", false)
			for _, change := range []struct {
				name string
				to   bool
			}{{"on", true}, {"plain", true}, {"off", false}, {"on", false}} {
				u := mustUser(t, d, "name", change.name)
				u.Disabled = change.to
				if _, err := d.SetUser(ctx, u, ""); err != nil {
					t.Fatalf("%s to %v: %v", change.name, change.to, err)
				}
				is(change.name, change.to)
			}
			e, err := d.client.One(ctx, client.Query{Base: dn("on"), Scope: "base", Filter: "(objectClass=*)", Attrs: []string{opts.UserEnabled}})
			if err != nil || e.GetEqualFoldAttributeValue(opts.UserEnabled) != c.after {
				t.Errorf("the attribute in the end: got %+v, %v, want %q", e, err, c.after)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		opts := defaults(slapd.Start(t, slapd.Config{LDIF: entry(1, "off", "openCloudUserEnabled: FALSE")}))
		opts.Disabling = "none"
		d := open(t, opts)
		u := mustUser(t, d, "name", "off")
		if u.Disabled {
			t.Error("disabled, though nothing tells")
		}
		u.Disabled = true
		_, err := d.SetUser(t.Context(), u, "")
		wantKind(t, "SetUser", err, cloud.NotSupported)
		_, err = d.SetUser(t.Context(), &cloud.User{Name: "new", Disabled: true}, "")
		wantKind(t, "SetUser of a new one", err, cloud.NotSupported)
	})
}

func entry(n int, name, line string) string {
	if line == "" {
		return personLDIF(n, name)
	}
	return personLDIF(n, name, line)
}

// Members by login name, as groups of Unix have them.
func TestMemberUid(t *testing.T) {
	posix := "dn: cn=unix," + slapd.Groups + "\nobjectClass: posixGroup\nobjectClass: openCloudObject\ncn: unix\ngidNumber: 7\nmemberUid: ada\nmemberUid: gone\nopenCloudUUID: " + uuid(9) + "\n\n"
	opts := defaults(slapd.Start(t, slapd.Config{LDIF: personLDIF(1, "ada") + personLDIF(2, "bob") + posix}))
	opts.GroupClass, opts.GroupMember = "posixGroup", "memberUid"
	d := open(t, opts)
	ctx := t.Context()
	in := func(want ...string) {
		t.Helper()
		if got := members(t, d, uuid(9)); !slices.Equal(got, want) {
			t.Errorf("members: got %v, want %v", got, want)
		}
		for _, name := range []string{"ada", "bob"} {
			u := mustUser(t, d, "name", name)
			if got := len(u.Groups) == 1; got != slices.Contains(want, name) || len(list(t, d, name)[u.ID].Groups) != len(u.Groups) {
				t.Errorf("groups of %s: got %v", name, u.Groups)
			}
		}
	}
	in("ada")
	if err := d.Join(ctx, cloud.GroupID(uuid(9)), cloud.UserID(uuid(2))); err != nil {
		t.Fatal(err)
	}
	in("ada", "bob")
	u := mustUser(t, d, "name", "ada")
	u.Name = "countess"
	if _, err := d.SetUser(ctx, u, ""); err != nil {
		t.Fatal(err)
	}
	if got, want := members(t, d, uuid(9)), []string{"bob", "countess"}; !slices.Equal(got, want) {
		t.Errorf("members after renaming: got %v, want %v", got, want)
	}
	if err := d.RemoveUser(ctx, u.ID); err != nil {
		t.Fatal(err)
	}
	if err := d.Leave(ctx, cloud.GroupID(uuid(9)), cloud.UserID(uuid(2))); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "Leave again", d.Leave(ctx, cloud.GroupID(uuid(9)), cloud.UserID(uuid(2))), cloud.NotExist)
	if got := members(t, d, uuid(9)); len(got) > 0 {
		t.Errorf("members in the end: got %v", got)
	}
}

// Groups that others made: the last member can leave, and groups outside of
// the place for ours stay as they are.
func TestGroupsOfOthers(t *testing.T) {
	ldif := personLDIF(1, "ada") + groupLDIF(10, "theirs", dn("ada")) +
		"dn: ou=ours," + slapd.Groups + "\nobjectClass: organizationalUnit\nou: ours\n\n" +
		strings.Replace(groupLDIF(11, "made", dn("ada")), "cn=made,", "cn=made,ou=ours,", 1)
	opts := defaults(slapd.Start(t, slapd.Config{LDIF: ldif}))
	opts.GroupNewBase = "OU=ours, " + slapd.Groups
	d := open(t, opts)
	ctx := t.Context()
	ada, theirs, ours := cloud.UserID(uuid(1)), cloud.GroupID(uuid(10)), cloud.GroupID(uuid(11))
	for id, want := range map[cloud.GroupID]bool{theirs: true, ours: false} {
		if g, err := d.Group(ctx, "id", string(id)); err != nil || g.ReadOnly != want {
			t.Errorf("group: got %+v, %v, want one that is read-only: %v", g, err, want)
		}
	}
	wantKind(t, "Join", d.Join(ctx, theirs, ada), cloud.NotSupported)
	wantKind(t, "Leave", d.Leave(ctx, theirs, ada), cloud.NotSupported)
	wantKind(t, "RemoveGroup", d.RemoveGroup(ctx, theirs), cloud.NotSupported)
	_, err := d.SetGroup(ctx, &cloud.Group{ID: theirs, Name: "x"})
	wantKind(t, "SetGroup", err, cloud.NotSupported)
	g, err := d.SetGroup(ctx, &cloud.Group{Name: "new"})
	if err != nil {
		t.Fatal(err)
	}
	if _, at, err := d.group(ctx, "id", string(g.ID)); err != nil || !within(at, opts.GroupNewBase, "one") {
		t.Errorf("a new group: got %s, %v", at, err)
	}
	_, err = d.SetGroup(ctx, &cloud.Group{Name: "Theirs"})
	wantKind(t, "SetGroup of a name that others have", err, cloud.Exist)
	if err := d.Leave(ctx, ours, ada); err != nil {
		t.Errorf("the last one leaves: %v", err)
	}
	if got := members(t, d, string(ours)); len(got) > 0 {
		t.Errorf("members: got %v", got)
	}
}

// Who is below the base but in no way a user is no user.
func TestWhatIsNoUser(t *testing.T) {
	var log bytes.Buffer
	ldif := strings.Replace(personLDIF(1, "ada", "mail: two@example.org"), "uid: ada", "uid: ada\nuid: countess", 1) + personLDIF(2, "bob", "mail: two@example.org", "description: robot") +
		strings.Replace(personLDIF(3, "nobody"), "openCloudUUID: "+uuid(3)+"\n", "", 1) +
		"dn: ou=more," + slapd.Users + "\nobjectClass: organizationalUnit\nou: more\n\n" +
		strings.Replace(personLDIF(4, "far"), "uid=far,", "uid=far,ou=more,", 1) +
		groupLDIF(10, "all", dn("ada"), dn("bob"), dn("nobody"), "uid=far,ou=more,"+slapd.Users, slapd.Service)
	opts := defaults(slapd.Start(t, slapd.Config{LDIF: ldif}))
	opts.UserScope, opts.UserFilter, opts.Log = "one", "!(description=robot)", slog.New(slog.NewTextHandler(&log, nil))
	d := open(t, opts)
	ctx := t.Context()
	if got := list(t, d, ""); len(got) != 1 || got[cloud.UserID(uuid(1))] == nil {
		t.Errorf("users: got %v", got)
	}
	if got, want := members(t, d, uuid(10)), []string{"ada"}; !slices.Equal(got, want) {
		t.Errorf("members: got %v, want %v", got, want)
	}
	for _, name := range []string{"bob", "nobody", "far", "service"} {
		_, err := d.User(ctx, "name", name)
		wantKind(t, name, err, cloud.NotExist)
		_, err = d.Verify(ctx, name, "pw")
		wantKind(t, name, err, cloud.Unauthorized)
	}
	if got := mustUser(t, d, "name", "countess"); got.Name != "ada" {
		t.Errorf("another name of the same user: got %+v", got)
	}
	if got := strings.Count(log.String(), "left out"); got != 1 {
		t.Errorf("the log tells %d times of an entry without id, want once:\n%s", got, &log)
	}
	opts.UserFilter = ""
	d = open(t, opts)
	_, err := d.User(ctx, "mail", "two@example.org")
	wantKind(t, "a mail address of two", err, cloud.NotExist)
}

// What others change in the directory is seen when what is remembered has
// expired; here nothing is remembered.
func TestChangedElsewhere(t *testing.T) {
	opts := defaults(slapd.Start(t, slapd.Config{LDIF: personLDIF(1, "ada")}))
	opts.CacheTTL = 0
	d := open(t, opts)
	ctx := t.Context()
	if _, err := d.Verify(ctx, "ada", "pw"); err != nil {
		t.Fatal(err)
	}
	m := lib.NewModifyRequest(dn("ada"), nil)
	m.Replace("openCloudUserEnabled", []string{"FALSE"})
	if err := d.change(ctx, func(l *lib.Conn) error { return l.Modify(m) }); err != nil {
		t.Fatal(err)
	}
	if !mustUser(t, d, "id", uuid(1)).Disabled {
		t.Error("not disabled")
	}
	if u := d.Recall("ada", "pw"); u != nil {
		t.Errorf("Recall: got %+v", u)
	}
	_, err := d.Verify(ctx, "ada", "pw")
	wantKind(t, "Verify", err, cloud.Unauthorized)
}

func TestRecall(t *testing.T) {
	d := open(t, defaults(slapd.Start(t, slapd.Config{LDIF: personLDIF(1, "ada")})))
	ctx := t.Context()
	if u := d.Recall("ada", "pw"); u != nil {
		t.Errorf("before the first sign-in: got %+v", u)
	}
	want, err := d.Verify(ctx, "ada", "pw")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, d.Recall("ADA", "pw")); diff != "" {
		t.Errorf("Recall: (-want +got)\n%s", diff)
	}
	for _, wrong := range [][2]string{{"ada", "PW"}, {"ada", ""}, {"bob", "pw"}} {
		if u := d.Recall(wrong[0], wrong[1]); u != nil {
			t.Errorf("Recall %q: got %+v", wrong, u)
		}
	}
	want.Display = "Ada"
	if _, err := d.SetUser(ctx, want, "new"); err != nil {
		t.Fatal(err)
	}
	if u := d.Recall("ada", "pw"); u != nil {
		t.Errorf("after a new password: got %+v", u)
	}
	_, err = d.Verify(ctx, "ada", "pw")
	wantKind(t, "the old password", err, cloud.Unauthorized)
}

func TestLastSignIn(t *testing.T) {
	const attr = "openCloudLastSignInTimestamp"
	opts := defaults(slapd.Start(t, slapd.Config{LDIF: personLDIF(1, "ada", attr+": 20200101000000Z") + personLDIF(2, "bob", attr+": 29990101000000Z")}))
	opts.UserLastSignIn, opts.Remember = attr, 0
	d := open(t, opts)
	for name, again := range map[string]bool{"ada": true, "bob": false} {
		before := time.Now().Add(-time.Minute)
		if _, err := d.Verify(t.Context(), name, "pw"); err != nil {
			t.Fatal(err)
		}
		p, err := d.person(t.Context(), "name", name)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse("20060102150405Z", p.last)
		if noted := at.After(before) && at.Before(time.Now().Add(time.Minute)); err != nil || noted != again {
			t.Errorf("%s: got %q, %v", name, p.last, err)
		}
	}
}
