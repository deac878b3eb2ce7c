package core

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"opencloud/cloud"
	dirmem "opencloud/directory/mem"
	"opencloud/storage/mem"
)

// plain keeps passwords of links as they are.
type plain struct{ checks int }

func (*plain) Hash(_ context.Context, password string) (string, error) {
	return "hash of " + password, nil
}

func (p *plain) Matches(_ context.Context, hash, password string) (bool, error) {
	p.checks++
	return hash == "hash of "+password, nil
}

// A circle is some people who share things: ada has a space of her own and
// manages a project, the others have what they are given. carl and dora are
// in the crew.
type circle struct {
	*desk
	*People
	dir     *dirmem.Directory
	users   map[string]*cloud.User
	project cloud.SpaceID
	clock   time.Time
}

const crew cloud.GroupID = "crew"

func gather(t testing.TB, opts Options) *circle {
	t.Helper()
	store := mem.New()
	w := gatherAt(t, store, opts)
	w.store = store
	return w
}

// gatherAt is gather with a store of one's own.
func gatherAt(t testing.TB, store cloud.Store, opts Options) *circle {
	t.Helper()
	opts.Secrets = &plain{}
	c := New(store, opts)
	c.index.close() // what expires does so when a test says so
	w := &circle{users: map[string]*cloud.User{}, clock: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	c.now = func() time.Time { return w.clock }
	w.dir = dirmem.New()
	var err error
	if w.People, err = NewPeople(c, w.dir, w.dir, PeopleOptions{Password: PasswordOptions{Min: 8}}); err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]string{"ada": cloud.RoleSpaceAdmin, "bert": cloud.RoleUser, "carl": cloud.RoleUser, "dora": cloud.RoleUser, "light": cloud.RoleUserLight, "admin": cloud.RoleAdmin} {
		if w.users[name], err = w.dir.SetUser(t.Context(), &cloud.User{Name: name, Display: name, Role: role}, "a fine long secret"); err != nil {
			t.Fatal(err)
		}
	}
	g, err := w.dir.SetGroup(t.Context(), &cloud.Group{Name: string(crew)})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"carl", "dora"} {
		if err := w.dir.Join(t.Context(), g.ID, w.users[name].ID); err != nil {
			t.Fatal(err)
		}
		w.users[name].Groups = []cloud.GroupID{g.ID}
	}
	w.desk = &desk{Core: c, ctx: w.as("ada")}
	if tt, ok := t.(*testing.T); ok {
		w.T = tt
	}
	home, err := c.Home(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.space = home.ID
	project, err := c.SetSpace(w.ctx, &cloud.Space{Name: "Project"})
	if err != nil {
		t.Fatal(err)
	}
	w.project = project.ID
	return w
}

func (w *circle) as(name string) context.Context {
	if name == "nobody" {
		return context.Background()
	}
	return as(w.users[name])
}

// to is a user or "crew" as a subject.
func (w *circle) to(name string) cloud.Subject {
	if name == string(crew) {
		return cloud.Subject{Group: w.users["carl"].Groups[0]}
	}
	return cloud.Subject{User: w.users[name].ID}
}

func (w *circle) node(path string) *cloud.Node {
	w.Helper()
	n, err := w.Stat(w.ctx, w.ref(path))
	if err != nil {
		w.Fatalf("Stat %s: %v", path, err)
	}
	return n
}

// gives is a grant by ada on something of hers.
func (w *circle) gives(path, name string, r cloud.Rights) *cloud.Grant {
	w.Helper()
	g, _, err := w.Give(w.ctx, w.ref(path), cloud.Grant{To: w.to(name), Rights: r}, "")
	if err != nil {
		w.Fatalf("Give %s to %s: %v", path, name, err)
	}
	return g
}

// opens makes a link.
func (w *circle) opens(path string, t cloud.LinkType, password string) *cloud.Grant {
	w.Helper()
	n := w.node(path)
	r, ok := t.Rights(n.Kind())
	if !ok {
		w.Fatalf("no link %s on %s", t, path)
	}
	g, _, err := w.Give(w.ctx, w.ref(path), cloud.Grant{To: cloud.Subject{Link: "any"}, Rights: r}, password)
	if err != nil {
		w.Fatalf("link %s on %s: %v", t, path, err)
	}
	return g
}

// visiting is the context of who came in by a link.
func (w *circle) visiting(g *cloud.Grant, password string) context.Context {
	w.Helper()
	v, err := w.Visit(context.Background(), g.To.Link, password)
	if err != nil {
		w.Fatalf("Visit: %v", err)
	}
	return cloud.WithCaller(context.Background(), cloud.Caller{Visitor: v})
}

func role(t testing.TB, name string) cloud.Rights {
	t.Helper()
	r, ok := cloud.ShareRoleBy(name)
	if !ok {
		t.Fatalf("there is no role %s", name)
	}
	return r.Rights
}

// What somebody gets is theirs at once, and gone at once.
func TestShare(t *testing.T) {
	w := gather(t, Options{AutoAccept: true})
	w.mkdir("a")
	w.mkdir("a/b")
	w.put("a/b/file", "content")
	w.put("a/secret", "secret")
	bert := w.as("bert")
	dir := w.node("a/b")
	g := w.gives("a/b", "bert", role(t, "editor"))
	if g.ID == "" || g.By != w.users["ada"].ID || !g.Made.Equal(w.clock) || g.Rights != role(t, "editor") {
		t.Errorf("got %+v", g)
	}
	n, err := w.Stat(bert, cloud.Ref{Space: w.space, Node: dir.ID})
	w.is("Stat", err, nil)
	if n.Path != "" || n.Parent != "" || n.Name != "b" {
		t.Errorf("what is above shows: got path %q, parent %q, name %q", n.Path, n.Parent, n.Name)
	}
	if want := role(t, "editor") &^ placing; n.Rights != want {
		t.Errorf("rights on the shared folder itself: got %b, want %b", n.Rights, want)
	}
	n, err = w.Stat(bert, cloud.Ref{Space: w.space, Node: dir.ID, Path: "file"})
	w.is("Stat below", err, nil)
	if n.Path != "file" || n.Rights != role(t, "editor") {
		t.Errorf("below: got path %q and rights %b, want file and those of an editor", n.Path, n.Rights)
	}
	for path, want := range map[string]error{"": cloud.NotExist, "a": cloud.NotExist, "a/secret": cloud.NotExist, "a/b": nil} {
		_, err := w.Stat(bert, w.ref(path))
		w.is("Stat of "+path, err, want)
	}
	w.is("Remove of what was given", w.Remove(bert, cloud.Ref{Space: w.space, Node: dir.ID}, cloud.Conditions{}), cloud.Permission)
	_, _, err = w.Put(bert, cloud.Ref{Space: w.space, Node: dir.ID, Path: "new"}, strings.NewReader("x"), cloud.Put{Size: 1})
	w.is("Put", err, nil)
	w.is("Remove below", w.Remove(bert, cloud.Ref{Space: w.space, Node: dir.ID, Path: "new"}, cloud.Conditions{}), nil)

	gs, _, err := w.Grants(w.ctx, w.ref("a/b"))
	w.is("Grants", err, nil)
	if diff := cmp.Diff([]cloud.Grant{*g}, gs); diff != "" {
		t.Errorf("Grants (-want +got):\n%s", diff)
	}
	gs, _, err = w.Grants(bert, cloud.Ref{Space: w.space, Node: dir.ID})
	if err != nil || len(gs) != 1 {
		t.Errorf("Grants as who received: got %v, %v, want their own", gs, err)
	}
	got, _, err := w.Grant(bert, g.ID)
	w.is("Grant", err, nil)
	if diff := cmp.Diff(g, got); diff != "" {
		t.Errorf("Grant (-want +got):\n%s", diff)
	}
	_, _, err = w.Grant(w.as("carl"), g.ID)
	w.is("Grant as somebody else", err, cloud.NotExist)

	var given []string
	for n, err := range w.Given(w.ctx) {
		w.is("Given", err, nil)
		given = append(given, n.Path)
	}
	equal(t, "given", given, []string{"a/b"})
	var mounts []*cloud.Mount
	for m, err := range w.Received(bert) {
		w.is("Received", err, nil)
		mounts = append(mounts, m)
	}
	if len(mounts) != 1 || mounts[0].Name != "b" || !mounts[0].Synced || mounts[0].Node.ID != dir.ID || len(mounts[0].Grants) != 1 {
		t.Fatalf("received: got %+v", mounts)
	}

	less := role(t, "viewer")
	g, _, err = w.Regrant(w.ctx, g.ID, cloud.GrantChange{Rights: &less})
	w.is("Regrant", err, nil)
	equal(t, "rights", g.Rights, less)
	_, _, err = w.Put(bert, cloud.Ref{Space: w.space, Node: dir.ID, Path: "file"}, strings.NewReader("x"), cloud.Put{Size: 1})
	w.is("Put as viewer", err, cloud.Permission)
	w.is("Revoke", w.Revoke(w.ctx, g.ID), nil)
	_, err = w.Stat(bert, cloud.Ref{Space: w.space, Node: dir.ID, Path: "file"})
	w.is("Stat after Revoke", err, cloud.NotExist)
	w.is("Revoke again", w.Revoke(w.ctx, g.ID), cloud.NotExist)
	for m, err := range w.Received(bert) {
		t.Errorf("received after Revoke: got %v, %v", m, err)
	}
}

// What cannot be given, and what is said to who tries.
func TestGiveRefuses(t *testing.T) {
	w := gather(t, Options{LinkPassword: true})
	w.mkdir("dir")
	w.put("file", "content")
	w.gives("dir", "bert", role(t, "editor"))
	gone, err := w.dir.SetUser(t.Context(), &cloud.User{Name: "gone", Disabled: true}, "")
	w.is("SetUser", err, nil)
	viewer, editor := role(t, "viewer"), role(t, "editor")
	project := cloud.Ref{Space: w.project}
	past := w.clock
	link := cloud.Subject{Link: "any"}
	view, _ := cloud.LinkView.Rights(cloud.OnFolder)
	edit, _ := cloud.LinkEdit.Rights(cloud.OnFolder)
	for _, tt := range []struct {
		what   string
		as     string
		ref    cloud.Ref
		g      cloud.Grant
		secret string
		want   error
	}{
		{"oneself", "ada", w.ref("dir"), cloud.Grant{To: w.to("ada"), Rights: viewer}, "", cloud.Invalid},
		{"nobody", "ada", w.ref("dir"), cloud.Grant{Rights: viewer}, "", cloud.Invalid},
		{"who is not there", "ada", w.ref("dir"), cloud.Grant{To: cloud.Subject{User: "x"}, Rights: viewer}, "", cloud.Invalid},
		{"who is disabled", "ada", w.ref("dir"), cloud.Grant{To: cloud.Subject{User: gone.ID}, Rights: viewer}, "", cloud.Invalid},
		{"no such group", "ada", w.ref("dir"), cloud.Grant{To: cloud.Subject{Group: "x"}, Rights: viewer}, "", cloud.Invalid},
		{"two at once", "ada", w.ref("dir"), cloud.Grant{To: cloud.Subject{User: w.users["carl"].ID, Group: crew}, Rights: viewer}, "", cloud.Invalid},
		{"twice", "ada", w.ref("dir"), cloud.Grant{To: w.to("bert"), Rights: viewer}, "", cloud.Exist},
		{"a date that has passed", "ada", w.ref("dir"), cloud.Grant{To: w.to("carl"), Rights: viewer, Expires: past}, "", cloud.Invalid},
		{"a role for folders to a file", "ada", w.ref("file"), cloud.Grant{To: w.to("carl"), Rights: editor}, "", cloud.Invalid},
		{"a role for spaces to a folder", "ada", w.ref("dir"), cloud.Grant{To: w.to("carl"), Rights: cloud.SpaceManager}, "", cloud.Invalid},
		{"rights without a look", "ada", w.ref("dir"), cloud.Grant{To: w.to("carl"), Rights: cloud.CanRead}, "", cloud.Invalid},
		{"rights that there are not", "ada", w.ref("dir"), cloud.Grant{To: w.to("carl"), Rights: cloud.CanStat | cloud.AllRights + 1}, "", cloud.Permission},
		{"a password for a person", "ada", w.ref("dir"), cloud.Grant{To: w.to("carl"), Rights: viewer}, "a long password", cloud.Invalid},
		{"a member of a personal space", "ada", w.ref(""), cloud.Grant{To: w.to("carl"), Rights: cloud.SpaceViewer}, "", cloud.Invalid},
		{"a link to a personal space", "ada", w.ref(""), cloud.Grant{To: link, Rights: view}, "a long password", cloud.Invalid},
		{"what is not there", "ada", w.ref("none"), cloud.Grant{To: w.to("carl"), Rights: viewer}, "", cloud.NotExist},
		{"what one may not know of", "carl", w.ref("dir"), cloud.Grant{To: w.to("dora"), Rights: viewer}, "", cloud.NotExist},
		{"what one may not share", "bert", w.ref("dir"), cloud.Grant{To: w.to("carl"), Rights: viewer}, "", cloud.Permission},
		{"as nobody", "nobody", w.ref("dir"), cloud.Grant{To: w.to("carl"), Rights: viewer}, "", cloud.Unauthorized},
		{"a denial on a file", "ada", w.ref("file"), cloud.Grant{To: w.to("carl")}, "", cloud.Invalid},
		{"a denial on a space", "ada", project, cloud.Grant{To: w.to("carl")}, "", cloud.Invalid},
		{"the Shares space", "ada", cloud.Ref{Space: cloud.SharesSpace}, cloud.Grant{To: w.to("carl"), Rights: viewer}, "", cloud.Permission},
		{"a link without a password", "ada", w.ref("dir"), cloud.Grant{To: link, Rights: edit}, "", cloud.Invalid},
		{"a link with a bad password", "ada", w.ref("dir"), cloud.Grant{To: link, Rights: view}, "password", cloud.Invalid},
		{"a link with its name for a password", "ada", w.ref("dir"), cloud.Grant{To: link, Rights: view}, "dir", cloud.Invalid},
		{"a link with other rights", "ada", w.ref("dir"), cloud.Grant{To: link, Rights: editor}, "a long password", cloud.Invalid},
		{"a link to upload to a file", "ada", w.ref("file"), cloud.Grant{To: link, Rights: edit}, "a long password", cloud.Invalid},
		{"a link with a bad name", "ada", w.ref("dir"), cloud.Grant{To: link, Rights: view, Link: &cloud.Link{Name: "a\nb"}}, "a long password", cloud.Invalid},
		{"an internal link with a password", "ada", w.ref("dir"), cloud.Grant{To: link}, "a long password", cloud.Invalid},
		{"an internal link", "ada", w.ref("dir"), cloud.Grant{To: link}, "", nil},
		{"a link to look at, of who may do without a password", "ada", w.ref("dir"), cloud.Grant{To: link, Rights: view}, "", nil},
		{"a member of a project", "ada", project, cloud.Grant{To: w.to("carl"), Rights: cloud.SpaceManager}, "", nil},
		{"a link to look at, of who may not", "carl", project, cloud.Grant{To: link, Rights: view}, "", cloud.Invalid},
		{"a link to a project", "carl", project, cloud.Grant{To: link, Rights: view}, "a long password", nil},
		{"rights of one's own choice", "ada", w.ref("file"), cloud.Grant{To: w.to("carl"), Rights: cloud.CanStat | cloud.CanWrite}, "", nil},
	} {
		last := w.store.Last()
		g, _, err := w.Give(w.as(tt.as), tt.ref, tt.g, tt.secret)
		w.is(tt.what, err, tt.want)
		if tt.want != nil && w.store.Last() != last {
			t.Errorf("%s: refused, and yet something was written", tt.what)
		}
		if tt.want == nil && g != nil && g.Link != nil && (g.Link.Secret != "" || g.Link.Protected != (tt.secret != "")) {
			t.Errorf("%s: got %+v", tt.what, g.Link)
		}
	}
	light := w.gives("file", "light", cloud.CanStat|cloud.CanGrant|cloud.CanRead|cloud.CanRevoke)
	_, _, err = w.Give(w.as("light"), cloud.Ref{Space: w.space, Node: w.node("file").ID}, cloud.Grant{To: w.to("dora"), Rights: cloud.CanStat}, "")
	w.is("Give without the permission to share", err, cloud.Permission)
	w.is("Revoke of one's own", w.Revoke(w.as("light"), light.ID), nil)
}

// Nobody gives, takes or changes more than they have.
func TestNobodyGivesMore(t *testing.T) {
	w := gather(t, Options{})
	w.mkdir("dir")
	lead := role(t, "viewer") | cloud.CanGrant | cloud.CanUpdateGrant | cloud.CanRevoke | cloud.CanListGrants
	mine := w.gives("dir", "bert", lead)
	theirs := w.gives("dir", "carl", role(t, "editor"))
	at, bert := cloud.Ref{Space: w.space, Node: w.node("dir").ID}, w.as("bert")
	editor, viewer, none, never := role(t, "editor"), role(t, "viewer"), cloud.NoRights, time.Time{}
	later := w.clock.Add(time.Hour)

	_, _, err := w.Give(bert, at, cloud.Grant{To: w.to("dora"), Rights: editor}, "")
	w.is("Give of more", err, cloud.Permission)
	_, _, err = w.Give(bert, at, cloud.Grant{To: w.to("dora")}, "")
	w.is("Give of a denial", err, cloud.Permission)
	_, _, err = w.Give(bert, at, cloud.Grant{To: cloud.Subject{Link: "any"}, Rights: role(t, "editor-lite")}, "")
	w.is("Give of a link for more", err, cloud.Permission)
	g, _, err := w.Give(bert, at, cloud.Grant{To: w.to("dora"), Rights: viewer}, "")
	w.is("Give of as much", err, nil)
	_, _, err = w.Regrant(bert, g.ID, cloud.GrantChange{Rights: &editor})
	w.is("Regrant to more", err, cloud.Permission)
	_, _, err = w.Regrant(bert, g.ID, cloud.GrantChange{Rights: &none})
	w.is("Regrant to a denial", err, cloud.Permission)
	_, _, err = w.Regrant(bert, theirs.ID, cloud.GrantChange{Rights: &viewer})
	w.is("Regrant of who has more", err, cloud.Permission)
	w.is("Revoke of who has more", w.Revoke(bert, theirs.ID), cloud.Permission)
	_, _, err = w.Regrant(w.ctx, mine.ID, cloud.GrantChange{Expires: &later})
	w.is("Regrant", err, nil)
	_, _, err = w.Regrant(bert, mine.ID, cloud.GrantChange{Expires: &never})
	w.is("making one's own last longer", err, cloud.Permission)
	_, _, err = w.Regrant(w.as("carl"), theirs.ID, cloud.GrantChange{Rights: &viewer})
	w.is("Regrant by who may not", err, cloud.Permission)
	w.is("Revoke by who may not", w.Revoke(w.as("carl"), g.ID), cloud.NotExist)
	w.is("Revoke by who received", w.Revoke(w.as("carl"), theirs.ID), nil)
	group := w.gives("dir", "crew", viewer)
	w.is("Revoke by one of a group", w.Revoke(w.as("carl"), group.ID), cloud.Permission)
	w.is("Revoke", w.Revoke(bert, g.ID), nil)

	// A link that gives more than one has is listed, but its token is not told.
	link := w.opens("dir", cloud.LinkEdit, "")
	gs, _, err := w.Grants(bert, at)
	w.is("Grants", err, nil)
	i := slices.IndexFunc(gs, func(g cloud.Grant) bool { return g.ID == link.ID })
	if i < 0 || gs[i].To.Link != "" || gs[i].Link == nil {
		t.Errorf("link for more: got %+v", gs)
	}
	n, err := w.Stat(bert, at)
	w.is("Stat", err, nil)
	if slices.ContainsFunc(n.Grants, func(g cloud.Grant) bool { return g.To.Link != "" }) {
		t.Errorf("Stat tells the token of a link for more: %+v", n.Grants)
	}
}

// A space is never without somebody who manages it for good.
func TestLastManager(t *testing.T) {
	w := gather(t, Options{})
	at := cloud.Ref{Space: w.project}
	give := func(name string, r cloud.Rights, expires time.Time) *cloud.Grant {
		t.Helper()
		g, _, err := w.Give(w.ctx, at, cloud.Grant{To: w.to(name), Rights: r, Expires: expires}, "")
		w.is("Give", err, nil)
		return g
	}
	gs, _, err := w.Grants(w.ctx, at)
	w.is("Grants", err, nil)
	ada := gs[0]
	editor, manager, soon := cloud.SpaceEditor, cloud.SpaceManager, w.clock.Add(time.Hour)
	refused := func(what string) {
		t.Helper()
		w.is("leaving "+what, w.Revoke(w.ctx, ada.ID), cloud.Permission)
		_, _, err := w.Regrant(w.ctx, ada.ID, cloud.GrantChange{Rights: &editor})
		w.is("being an editor "+what, err, cloud.Permission)
		_, _, err = w.Regrant(w.ctx, ada.ID, cloud.GrantChange{Expires: &soon})
		w.is("being there for a time "+what, err, cloud.Permission)
	}
	refused("alone")
	give("bert", editor, time.Time{})
	refused("with an editor")
	dora := give("dora", manager, soon)
	refused("with a manager for a time")
	group := give("crew", manager, time.Time{})
	for _, name := range []string{"carl", "dora"} {
		if err := w.dir.Leave(t.Context(), group.To.Group, w.users[name].ID); err != nil {
			t.Fatal(err)
		}
	}
	refused("with a group of nobody")
	never := time.Time{}
	_, _, err = w.Regrant(w.ctx, dora.ID, cloud.GrantChange{Expires: &never})
	w.is("Regrant", err, nil)
	w.is("leaving", w.Revoke(w.ctx, ada.ID), nil)
	_, err = w.Stat(w.ctx, at)
	w.is("Stat of who left", err, cloud.NotExist)

	// Whoever goes for good leaves a space to who manages spaces.
	if err := w.dir.Join(t.Context(), group.To.Group, w.users["carl"].ID); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.Give(w.as("admin"), at, cloud.Grant{To: w.to("bert"), Rights: manager}, "")
	w.is("adopting what has a manager", err, cloud.NotExist)
	w.is("forgetSubject", w.forgetSubject(t.Context(), w.to("dora")), nil)
	w.is("forgetSubject", w.forgetSubject(t.Context(), group.To), nil)
	_, _, err = w.Give(w.as("carl"), at, cloud.Grant{To: w.to("ada"), Rights: manager}, "")
	w.is("adopting by anybody", err, cloud.NotExist)
	_, _, err = w.Give(w.as("admin"), at, cloud.Grant{To: w.to("admin"), Rights: manager}, "")
	w.is("adopting for oneself", err, cloud.Invalid)
	_, _, err = w.Give(w.as("admin"), at, cloud.Grant{To: w.to("carl"), Rights: manager}, "")
	w.is("adopting", err, nil)
	_, err = w.Stat(w.as("carl"), at)
	w.is("Stat of who adopted", err, nil)
}

// A denial hides what is below it from whom it is for, whatever else they
// have above or on the folder itself, and from nobody else.
func TestDenial(t *testing.T) {
	w := gather(t, Options{})
	w.space = w.project
	w.mkdir("a")
	w.mkdir("a/hidden")
	w.mkdir("a/hidden/open")
	w.put("a/hidden/file", "secret")
	w.put("a/hidden/open/file", "open")
	w.put("a/other", "other")
	w.gives("", "carl", cloud.SpaceEditor)
	w.gives("", "bert", cloud.SpaceEditor)
	w.gives("a/hidden", "carl", role(t, "editor"))
	denial := w.gives("a/hidden", "crew", cloud.NoRights)
	w.gives("a/hidden/open", "carl", role(t, "viewer"))
	carl, bert := w.as("carl"), w.as("bert")
	for path, want := range map[string]error{"a": nil, "a/other": nil, "a/hidden": cloud.NotExist, "a/hidden/file": cloud.NotExist, "a/hidden/open": nil, "a/hidden/open/file": nil} {
		_, err := w.Stat(carl, w.ref(path))
		w.is("Stat of "+path, err, want)
		_, err = w.Stat(bert, w.ref(path))
		w.is("Stat of "+path+" by another", err, nil)
	}
	equal(t, "listing", names(t, w.List(carl, w.ref("a"))), []string{"other"})
	equal(t, "listing of another", names(t, w.List(bert, w.ref("a"))), []string{"hidden", "other"})
	_, _, err := w.Put(carl, w.ref("a/hidden/new"), strings.NewReader("x"), cloud.Put{Size: 1})
	w.is("Put", err, cloud.Conflict)
	_, err = w.MakeDir(carl, w.ref("a/hidden"), cloud.Conditions{})
	w.is("MakeDir", err, cloud.NotExist)
	w.is("Remove of what holds it", w.Remove(carl, w.ref("a"), cloud.Conditions{}), cloud.Permission)
	_, _, err = w.Grant(carl, denial.ID)
	w.is("Grant", err, cloud.NotExist)
	w.is("Revoke", w.Revoke(carl, denial.ID), cloud.NotExist)

	// A copy is of what one may read.
	_, _, err = w.Copy(carl, w.ref("a"), w.ref("copy"), cloud.Transfer{})
	w.is("Copy", err, nil)
	equal(t, "copy", names(t, w.List(w.ctx, w.ref("copy"))), []string{"other"})
	// Moved along, it stays hidden, and who cannot see it does not move it.
	_, _, err = w.Move(carl, w.ref("a"), w.ref("moved"), cloud.Transfer{})
	w.is("Move", err, cloud.Permission)
	_, _, err = w.Move(bert, w.ref("a"), w.ref("moved"), cloud.Transfer{})
	w.is("Move by another", err, nil)
	_, err = w.Stat(carl, w.ref("moved/hidden/file"))
	w.is("Stat after a move", err, cloud.NotExist)
	home, err := w.Core.Home(carl)
	w.is("Home", err, nil)
	_, _, err = w.Move(carl, w.ref("moved"), cloud.Ref{Space: home.ID, Path: "stolen"}, cloud.Transfer{})
	w.is("Move to another space", err, cloud.Permission)

	// In the bin it is no more open than it was, nor where it is restored to.
	w.is("Remove by who may", w.Remove(bert, w.ref("moved/hidden/file"), cloud.Conditions{}), nil)
	w.is("Remove by who may", w.Remove(bert, w.ref("moved/other"), cloud.Conditions{}), nil)
	equal(t, "trash", names(t, w.Trash(carl, w.ref(""))), []string{"other"})
	equal(t, "trash of another", names(t, w.Trash(bert, w.ref(""))), []string{"file", "other"})
	var file cloud.NodeID
	for n := range w.Trash(bert, w.ref("")) {
		if n.Name == "file" {
			file = n.ID
		}
	}
	_, _, err = w.Restore(carl, cloud.Ref{Space: w.space, Node: file}, w.ref("mine"), false)
	w.is("Restore by who was denied", err, cloud.NotExist)
	_, _, err = w.Restore(bert, cloud.Ref{Space: w.space, Node: file}, w.ref("restored"), false)
	w.is("Restore", err, nil)
	_, err = w.Stat(carl, w.ref("restored"))
	w.is("Stat of what was restored", err, cloud.NotExist)

	// Links from above end there, and managers are not bound.
	link := w.opens("moved", cloud.LinkView, "")
	at := cloud.Ref{Space: w.space, Node: w.node("moved").ID}
	equal(t, "listing of a visitor", names(t, w.List(w.visiting(link, ""), at)), []string(nil))
	w.gives("", "dora", cloud.SpaceManager)
	_, err = w.Stat(w.as("dora"), w.ref("moved/hidden"))
	w.is("Stat by a manager who is denied", err, nil)
	w.is("Revoke by a manager", w.Revoke(w.as("dora"), denial.ID), nil)
	_, err = w.Stat(carl, w.ref("moved/hidden"))
	w.is("Stat when the denial is gone", err, nil)
}

func TestExpiry(t *testing.T) {
	w := gather(t, Options{})
	w.mkdir("dir")
	dir := w.node("dir")
	at := cloud.Ref{Space: w.space, Node: dir.ID}
	soon := w.clock.Add(time.Hour)
	g, _, err := w.Give(w.ctx, at, cloud.Grant{To: w.to("bert"), Rights: role(t, "viewer"), Expires: soon}, "")
	w.is("Give", err, nil)
	w.gives("dir", "carl", role(t, "viewer"))
	if _, err := w.indexed(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = w.Stat(w.as("bert"), at)
	w.is("Stat", err, nil)
	w.expire(t.Context())
	if gs, _, _ := w.Grants(w.ctx, at); len(gs) != 2 {
		t.Errorf("before: got %d grants, want 2", len(gs))
	}
	w.clock = soon
	_, err = w.Stat(w.as("bert"), at)
	w.is("Stat afterwards", err, cloud.NotExist)
	if gs, _, _ := w.Grants(w.ctx, at); len(gs) != 1 {
		t.Errorf("afterwards: got %d grants, want 1", len(gs))
	}
	_, _, err = w.Grant(w.ctx, g.ID)
	w.is("Grant afterwards", err, cloud.NotExist)
	last := w.store.Last()
	w.expire(t.Context())
	var told []*cloud.Record
	for r := range w.store.Since(t.Context(), w.space, last) {
		told = append(told, r)
	}
	if len(told) != 1 || told[0].Kind != cloud.Regranted || told[0].By != "" || len(told[0].Taken) != 1 || told[0].Taken[0].ID != g.ID {
		t.Errorf("told: got %+v", told)
	}
	n, err := w.store.Node(t.Context(), w.space, dir.ID)
	w.is("Node", err, nil)
	if len(n.Grants) != 1 {
		t.Errorf("kept: got %+v", n.Grants)
	}
	// Who was given it for a time can be given it again.
	w.gives("dir", "bert", role(t, "viewer"))
}

// Giving, taking back and looking at the same time neither lose nor leave
// anything.
func TestSharingTogether(t *testing.T) {
	w := gather(t, Options{AutoAccept: true})
	w.mkdir("dir")
	at := cloud.Ref{Space: w.space, Node: w.node("dir").ID}
	var wg sync.WaitGroup
	for _, name := range []string{"bert", "carl", "dora", "light"} {
		wg.Go(func() {
			for range 30 {
				g, _, err := w.Give(w.ctx, at, cloud.Grant{To: w.to(name), Rights: role(t, "viewer")}, "")
				if err != nil {
					t.Errorf("Give: %v", err)
					return
				}
				if _, err := w.Stat(w.as(name), at); err != nil {
					t.Errorf("Stat: %v", err)
				}
				for _, err := range w.Received(w.as(name)) {
					if err != nil {
						t.Errorf("Received: %v", err)
					}
				}
				if err := w.Revoke(w.ctx, g.ID); err != nil {
					t.Errorf("Revoke: %v", err)
				}
				if _, err := w.Stat(w.as(name), at); !errors.Is(err, cloud.NotExist) {
					t.Errorf("Stat after Revoke: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 100 {
			if _, _, err := w.Grants(w.ctx, at); err != nil {
				t.Errorf("Grants: %v", err)
			}
		}
	})
	wg.Wait()
	if gs, _, err := w.Grants(w.ctx, at); err != nil || len(gs) != 0 {
		t.Errorf("in the end: got %v, %v", gs, err)
	}
}

// What moves within a space keeps what was granted on it. A copy does not, nor
// what moves to a space where the mover could not grant it.
func TestGrantsTravel(t *testing.T) {
	type world struct {
		*circle
		home cloud.SpaceID
	}
	start := func() world {
		w := gather(t, Options{})
		w.space = w.project
		w.gives("", "bert", cloud.SpaceEditor)
		w.gives("", "dora", cloud.SpaceManager)
		w.mkdir("dir")
		w.mkdir("dir/sub")
		w.put("dir/sub/file", "content")
		w.gives("dir", "carl", role(t, "editor"))
		w.gives("dir/sub", "carl", role(t, "viewer"))
		w.opens("dir/sub/file", cloud.LinkView, "")
		home, err := w.Core.Home(w.as("bert"))
		w.is("Home", err, nil)
		return world{w, home.ID}
	}
	granted := func(w world, space cloud.SpaceID, path string) (all []int) {
		t.Helper()
		for _, p := range []string{path, path + "/sub", path + "/sub/file"} {
			n, err := w.store.Lookup(t.Context(), space, "", p)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, len(n.Grants))
		}
		return all
	}
	w := start()
	_, _, err := w.Copy(w.ctx, w.ref("dir"), w.ref("copy"), cloud.Transfer{})
	w.is("Copy", err, nil)
	equal(t, "copied", granted(w, w.space, "copy"), []int{0, 0, 0})
	_, _, err = w.Move(w.as("bert"), w.ref("dir"), w.ref("moved"), cloud.Transfer{})
	w.is("Move", err, nil)
	equal(t, "moved", granted(w, w.space, "moved"), []int{1, 1, 1})
	equal(t, "given", w.given(w.ctx), []string{"moved", "moved/sub", "moved/sub/file"})
	_, _, err = w.Move(w.as("bert"), w.ref("moved"), cloud.Ref{Space: w.home, Path: "mine"}, cloud.Transfer{})
	w.is("Move to one's own space", err, nil)
	equal(t, "moved to where one manages", granted(w, w.home, "mine"), []int{1, 1, 1})
	equal(t, "given afterwards", w.given(w.ctx), []string(nil)) // ada may not even know of it
	_, err = w.Stat(w.as("carl"), cloud.Ref{Space: w.home, Path: "mine"})
	w.is("Stat by who it is shared with", err, nil)
	_, _, err = w.Move(w.as("bert"), cloud.Ref{Space: w.home, Path: "mine"}, w.ref("back"), cloud.Transfer{})
	w.is("Move back", err, nil)
	equal(t, "moved to where one does not manage", granted(w, w.space, "back"), []int{0, 0, 0})
	_, err = w.Stat(w.as("carl"), w.ref("back"))
	w.is("Stat by who it was shared with", err, cloud.NotExist)

	// In the bin nothing holds that was granted there, restored it does again.
	w = start()
	carl := w.as("carl")
	ref := cloud.Ref{Space: w.space, Node: w.node("dir/sub").ID}
	w.is("Remove", w.Remove(w.ctx, w.ref("dir"), cloud.Conditions{}), nil)
	_, err = w.Stat(carl, ref)
	w.is("Stat in the bin", err, cloud.NotExist)
	w.is("Trash", first(w.Trash(carl, w.ref(""))), cloud.NotExist)
	_, _, err = w.Restore(w.as("bert"), w.binned("dir"), cloud.Ref{}, false)
	w.is("Restore", err, nil)
	_, err = w.Stat(carl, ref)
	w.is("Stat", err, nil)
	w.is("Remove", w.Remove(w.ctx, w.ref("dir"), cloud.Conditions{}), nil)
	w.is("Purge", w.Purge(w.ctx, w.binned("dir")), nil)
	if refs := w.index.madeFor(w.to("carl")); len(refs) != 0 {
		t.Errorf("what is purged is still in the index: %v", refs)
	}
}

func (w *circle) given(ctx context.Context) (paths []string) {
	w.Helper()
	for n, err := range w.Given(ctx) {
		w.is("Given", err, nil)
		paths = append(paths, n.Path)
	}
	slices.Sort(paths)
	return paths
}

// A timer runs for the next grant that expires, and for nothing else.
func TestExpiryTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := mem.New()
		c := New(store, Options{})
		home, err := c.Home(as(alice))
		if err != nil {
			t.Fatal(err)
		}
		n, err := c.MakeDir(as(alice), cloud.Ref{Space: home.ID, Path: "dir"}, cloud.Conditions{})
		if err != nil {
			t.Fatal(err)
		}
		kept := func() int {
			n, err := store.Node(t.Context(), home.ID, n.ID)
			if err != nil {
				t.Fatal(err)
			}
			return len(n.Grants)
		}
		var ids []cloud.ShareID
		for i, u := range []*cloud.User{bob, light, {ID: "d"}} {
			g, _, err := c.Give(as(alice), cloud.Ref{Space: home.ID, Node: n.ID},
				cloud.Grant{To: cloud.Subject{User: u.ID}, Rights: cloud.CanStat, Expires: time.Now().Add(time.Duration(3-i) * time.Hour)}, "")
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, g.ID)
		}
		if _, err := c.indexed(t.Context()); err != nil {
			t.Fatal(err)
		}
		never := time.Time{}
		if _, _, err := c.Regrant(as(alice), ids[1], cloud.GrantChange{Expires: &never}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{3, 2, 2, 1} {
			if got := kept(); got != want {
				t.Errorf("got %d grants, want %d", got, want)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
		}
		c.Close()
	})
}

// A store that fails at the moment of expiry is asked again.
func TestExpiryIsTriedAgain(t *testing.T) {
	w := gather(t, Options{Log: slog.New(slog.DiscardHandler)})
	w.mkdir("dir")
	soon := w.clock.Add(time.Hour)
	_, _, err := w.Give(w.ctx, w.ref("dir"), cloud.Grant{To: w.to("bert"), Rights: role(t, "viewer"), Expires: soon}, "")
	w.is("Give", err, nil)
	if _, err := w.indexed(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock = soon
	w.Core.store = &noEdits{w.store}
	w.expire(t.Context())
	w.Core.store = w.store
	w.expire(t.Context())
	if n, _ := w.store.Lookup(t.Context(), w.space, "", "dir"); len(n.Grants) != 1 {
		t.Errorf("at once: got %d grants, want 1", len(n.Grants))
	}
	w.clock = soon.Add(retryExpired)
	w.expire(t.Context())
	if n, _ := w.store.Lookup(t.Context(), w.space, "", "dir"); len(n.Grants) != 0 {
		t.Errorf("later: got %d grants, want none", len(n.Grants))
	}
}

type noEdits struct{ cloud.Store }

func (*noEdits) Edit(context.Context, cloud.SpaceID, cloud.NodeID, func(*cloud.Node) error) (*cloud.Node, error) {
	return nil, cloud.Unavailable
}

// The audience of a node is all who may know of it, and not those of its
// neighbours.
func TestAudience(t *testing.T) {
	w := gather(t, Options{})
	w.space = w.project
	w.mkdir("dir")
	w.mkdir("dir/sub")
	w.put("file", "x")
	w.gives("", "bert", cloud.SpaceViewer)
	w.gives("dir", "crew", role(t, "viewer"))
	w.gives("dir/sub", "bert", cloud.NoRights)
	w.gives("dir/sub", "light", role(t, "viewer"))
	w.opens("dir", cloud.LinkView, "")
	sp, err := w.enter(t.Context(), w.space)
	w.is("enter", err, nil)
	defer w.leave(sp)
	is := func(id cloud.NodeID, want ...string) {
		t.Helper()
		all, err := w.audience(t.Context(), sp, id)
		w.is("audience", err, nil)
		got := map[cloud.Subject]bool{}
		for _, s := range all {
			got[s] = true
		}
		exp := map[cloud.Subject]bool{}
		for _, name := range want {
			exp[w.to(name)] = true
		}
		if diff := cmp.Diff(exp, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	is(w.space.Root(), "ada", "bert")
	is(w.node("file").ID, "ada", "bert")
	is(w.node("dir").ID, "ada", "bert", "crew")
	sub := w.node("dir/sub").ID
	is(sub, "ada", "crew", "light")
	w.is("Remove", w.Remove(w.ctx, w.ref("dir/sub"), cloud.Conditions{}), nil)
	is(sub, "ada")
}

// hooked does something just before an Edit.
type hooked struct {
	cloud.Store
	before func()
}

func (h *hooked) Edit(ctx context.Context, s cloud.SpaceID, id cloud.NodeID, fn func(*cloud.Node) error) (*cloud.Node, error) {
	if before := h.before; before != nil {
		h.before = nil
		before()
	}
	return h.Store.Edit(ctx, s, id, fn)
}

// Who is removed while something is shared with them is not left with it.
func TestGiveToWhoGoes(t *testing.T) {
	w := gather(t, Options{})
	w.mkdir("dir")
	id := w.users["bert"].ID
	w.Core.store = &hooked{w.store, func() { w.is("RemoveUser", w.RemoveUser(w.as("admin"), id), nil) }}
	_, _, err := w.Give(w.ctx, w.ref("dir"), cloud.Grant{To: w.to("bert"), Rights: role(t, "viewer")}, "")
	w.is("Give", err, cloud.Invalid)
	n, err := w.store.Lookup(t.Context(), w.space, "", "dir")
	if err != nil || len(n.Grants) != 0 {
		t.Errorf("got %+v, %v, want no grants", n.Grants, err)
	}
}

// What somebody who goes has shared stays, where others manage it.
func TestWhoGoesLeavesLinks(t *testing.T) {
	w := gather(t, Options{})
	w.space = w.project
	w.mkdir("dir")
	w.gives("", "bert", cloud.SpaceManager)
	view, _ := cloud.LinkView.Rights(cloud.OnFolder)
	g, _, err := w.Give(w.as("bert"), w.ref("dir"), cloud.Grant{To: cloud.Subject{Link: "x"}, Rights: view}, "")
	w.is("Give", err, nil)
	w.is("RemoveUser", w.RemoveUser(w.as("admin"), w.users["bert"].ID), nil)
	_, err = w.Visit(context.Background(), g.To.Link, "")
	w.is("Visit", err, nil)
	gs, _, err := w.Grants(w.ctx, w.ref("dir"))
	if err != nil || len(gs) != 1 || gs[0].ID != g.ID || gs[0].To.Link != g.To.Link {
		t.Errorf("Grants: got %+v, %v, want the link", gs, err)
	}
	w.is("Revoke", w.Revoke(w.ctx, g.ID), nil)
}
