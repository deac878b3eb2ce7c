package core

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"opencloud/cloud"
)

var shares = cloud.Ref{Space: cloud.SharesSpace}

func inShares(path string) cloud.Ref { return cloud.Ref{Space: cloud.SharesSpace, Path: path} }

// The Shares space is a tree like any other to who looks into it.
func TestSharesSpace(t *testing.T) {
	w := gather(t, Options{AutoAccept: true})
	w.mkdir("x")
	w.mkdir("x/dir")
	w.mkdir("x/dir/sub")
	w.put("x/dir/sub/file", "content")
	w.put("x/doc.txt", "text")
	w.gives("x/dir", "bert", role(t, "editor"))
	w.gives("x/doc.txt", "bert", role(t, "file-editor"))
	bert := w.as("bert")
	real := w.node("x/dir")
	mount := cloud.MountID(w.space, real.ID)

	var last *cloud.Space
	for s, err := range w.Spaces(bert) {
		w.is("Spaces", err, nil)
		last = s
	}
	if last.ID != cloud.SharesSpace || last.Kind != cloud.Virtual || last.Root.Size != 11 || !last.Root.MTime.Equal(w.node("x/dir").MTime) {
		t.Errorf("got %+v with root %+v", last, last.Root)
	}
	equal(t, "listing", names(t, w.List(bert, shares)), []string{"dir", "doc.txt"})
	for what, ref := range map[string]cloud.Ref{"by name": inShares("dir"), "by id": {Space: cloud.SharesSpace, Node: mount}, "by both": {Space: cloud.SharesSpace, Node: cloud.SharesSpace.Root(), Path: "dir"}} {
		n, err := w.Stat(bert, ref)
		w.is("Stat "+what, err, nil)
		if n.Space != cloud.SharesSpace || n.ID != mount || n.Parent != cloud.SharesSpace.Root() || n.Name != "dir" || n.Path != "dir" || n.ETag != real.ETag || n.Rights != role(t, "editor") {
			t.Errorf("%s: got %+v", what, n)
		}
	}
	n, err := w.Stat(bert, cloud.Ref{Space: cloud.SharesSpace, Node: mount, Path: "sub/file"})
	w.is("Stat below", err, nil)
	if n.Space != w.space || n.Path != "dir/sub/file" || n.Name != "file" {
		t.Errorf("below: got %+v", n)
	}
	for n, err := range w.List(bert, inShares("dir")) {
		w.is("List", err, nil)
		equal(t, "path of a child", n.Path, "dir/sub")
	}
	equal(t, "content", w.readAs(bert, inShares("dir/sub/file")), "content")
	equal(t, "content of a file", w.readAs(bert, inShares("doc.txt")), "text")

	// What is done there is done where it is.
	n, made, err := w.Put(bert, inShares("dir/new"), strings.NewReader("new"), cloud.Put{Size: 3})
	if err != nil || !made || n.Path != "dir/new" {
		t.Errorf("Put: got %+v, %v, %v", n, made, err)
	}
	n, made, err = w.Put(bert, inShares("doc.txt"), strings.NewReader("mine"), cloud.Put{Size: 4})
	if err != nil || made || n.ID != cloud.MountID(w.space, w.node("x/doc.txt").ID) {
		t.Errorf("Put of a file that is shared: got %+v, %v, %v", n, made, err)
	}
	equal(t, "content at home", w.read(w.ref("x/doc.txt"), ""), "mine")
	_, err = w.MakeDir(bert, inShares("dir/made"), cloud.Conditions{})
	w.is("MakeDir", err, nil)
	_, _, err = w.Move(bert, inShares("dir/new"), inShares("dir/made/newer"), cloud.Transfer{})
	w.is("Move", err, nil)
	home, err := w.Core.Home(bert)
	w.is("Home", err, nil)
	_, _, err = w.Copy(bert, inShares("dir/made"), cloud.Ref{Space: home.ID, Path: "copy"}, cloud.Transfer{})
	w.is("Copy out", err, nil)
	_, _, err = w.Copy(bert, inShares("dir"), cloud.Ref{Space: home.ID, Path: "all"}, cloud.Transfer{})
	w.is("Copy of a mount", err, nil)
	_, _, err = w.Move(bert, cloud.Ref{Space: home.ID, Path: "copy"}, inShares("dir/back"), cloud.Transfer{})
	w.is("Move in", err, nil)
	equal(t, "at home", names(t, w.List(w.ctx, w.ref("x/dir"))), []string{"back", "made", "sub"})
	l, _, _, err := w.Lock(bert, inShares("dir"), cloud.Lock{Deep: true}, cloud.Conditions{})
	w.is("Lock", err, nil)
	if l.Path != "dir" || l.Node != mount {
		t.Errorf("lock: got %+v", l)
	}
	n, err = w.Stat(bert, inShares("dir/sub/file"))
	w.is("Stat", err, nil)
	if len(n.Locks) != 1 || n.Locks[0].Path != "dir" {
		t.Errorf("lock from below: got %+v", n.Locks)
	}
	w.is("Unlock", w.Unlock(bert, inShares("dir"), l.Token), nil)
	up, err := w.Begin(bert, inShares("dir/up"), cloud.Put{Size: 2})
	w.is("Begin", err, nil)
	_, err = w.Append(bert, up.ID, 0, strings.NewReader("up"))
	w.is("Append", err, nil)
	w.is("Remove", w.Remove(bert, inShares("dir/up"), cloud.Conditions{}), nil)

	for what, err := range map[string]error{
		"Put in the root":          third(w.Put(bert, inShares("new"), strings.NewReader("x"), cloud.Put{Size: 1})),
		"MakeDir in the root":      second(w.MakeDir(bert, inShares("new"), cloud.Conditions{})),
		"Begin in the root":        second(w.Begin(bert, inShares("new"), cloud.Put{Size: 1})),
		"Copy into the root":       third(w.Copy(bert, inShares("dir/sub"), inShares("new"), cloud.Transfer{})),
		"Move into the root":       third(w.Move(bert, inShares("dir/sub"), inShares("new"), cloud.Transfer{})),
		"Move of a mount into one": third(w.Move(bert, inShares("doc.txt"), inShares("dir/doc"), cloud.Transfer{})),
		"Move of a mount away":     third(w.Move(bert, inShares("dir"), cloud.Ref{Space: home.ID, Path: "mine"}, cloud.Transfer{})),
		"Move over a mount":        third(w.Move(bert, cloud.Ref{Space: home.ID, Path: "all"}, inShares("dir"), cloud.Transfer{Over: true})),
		"Remove of the root":       w.Remove(bert, shares, cloud.Conditions{}),
		"Change of the root":       second(w.Change(bert, shares, cloud.Change{Attrs: map[string]*string{"k": new("v")}})),
		"SetSpace":                 second(w.SetSpace(bert, last)),
		"RemoveSpace":              w.RemoveSpace(bert, cloud.SharesSpace, false),
		"RemoveSpace by an admin":  w.RemoveSpace(w.as("admin"), cloud.SharesSpace, true),
	} {
		w.is(what, err, cloud.Permission)
	}
	w.is("Trash", first(w.Trash(bert, shares)), nil)
	for what, err := range map[string]error{
		"what is not there":       second(w.Stat(bert, inShares("none"))),
		"a mount of others":       second(w.Stat(w.as("carl"), inShares("dir"))),
		"a mount of others by id": second(w.Stat(w.as("carl"), cloud.Ref{Space: cloud.SharesSpace, Node: mount})),
		"one's own":               second(w.Stat(w.ctx, cloud.Ref{Space: cloud.SharesSpace, Node: mount})),
		"a node that is none":     second(w.Stat(bert, cloud.Ref{Space: cloud.SharesSpace, Node: real.ID})),
		"Put below nothing":       errIs(third(w.Put(bert, inShares("none/x"), strings.NewReader("x"), cloud.Put{Size: 1})), cloud.Conflict, cloud.NotExist),
	} {
		w.is(what, err, cloud.NotExist)
	}
}

// errIs turns one kind into another.
func errIs(err error, is, to cloud.Kind) error {
	if cloud.KindOf(err) == is {
		return to
	}
	return err
}

func (w *circle) readAs(ctx context.Context, ref cloud.Ref) string {
	w.Helper()
	old := w.ctx
	defer func() { w.ctx = old }()
	w.ctx = ctx
	return w.read(ref, "")
}

// The ETag of the root changes with all that is in sight, and with nothing else.
func TestSharesETag(t *testing.T) {
	w := gather(t, Options{AutoAccept: true})
	for _, dir := range []string{"a", "b", "private"} {
		w.mkdir(dir)
	}
	w.put("a/file", "x")
	w.gives("a", "bert", role(t, "viewer"))
	bert := w.as("bert")
	etag := func() string {
		t.Helper()
		n, err := w.Stat(bert, shares)
		w.is("Stat", err, nil)
		s, err := w.Space(bert, cloud.SharesSpace)
		w.is("Space", err, nil)
		equal(t, "ETag of the space", s.Root.ETag, n.ETag)
		return n.ETag
	}
	for _, step := range []struct {
		what    string
		do      func()
		changes bool
	}{
		{"nothing", func() {}, false},
		{"a write below", func() { w.put("a/file", "y") }, true},
		{"a write elsewhere", func() { w.put("private/file", "x") }, false},
		{"another share", func() { w.gives("b", "crew", role(t, "viewer")) }, false},
		{"another share for them", func() { w.gives("b", "bert", role(t, "viewer")) }, true},
		{"a write below the other", func() { w.put("b/file", "y") }, true},
		{"a rename of what is above", func() { third(w.Move(w.ctx, w.ref("b"), w.ref("c"), cloud.Transfer{})) }, false},
		{"another name there", func() { third(w.Move(bert, inShares("b"), inShares("B"), cloud.Transfer{})) }, true},
		{"not there any more", func() { w.Remove(bert, inShares("B"), cloud.Conditions{}) }, true},
		{"a write to what is not there", func() { w.put("c/file", "z") }, false},
		{"to the trash", func() { w.Remove(w.ctx, w.ref("a"), cloud.Conditions{}) }, true},
	} {
		before := etag()
		step.do()
		if after := etag(); (after != before) != step.changes {
			t.Errorf("%s: got changed %t, want %t", step.what, after != before, step.changes)
		}
	}
}

// Names are made once, differ from each other regardless of case, and stay.
func TestMountNames(t *testing.T) {
	w := gather(t, Options{AutoAccept: true})
	for _, path := range []string{"1", "2", "3", "1/Plan.txt", "2/plan.txt", "3/PLAN.txt"} {
		w.mkdir(path)
	}
	bert := w.as("bert")
	list := func() (all []string) {
		t.Helper()
		for m, err := range w.Received(bert) {
			w.is("Received", err, nil)
			all = append(all, m.Name)
		}
		return all
	}
	w.gives("2/plan.txt", "bert", role(t, "viewer"))
	equal(t, "one", list(), []string{"plan.txt"})
	g := w.gives("1/Plan.txt", "bert", role(t, "viewer"))
	equal(t, "two", list(), []string{"Plan (1).txt", "plan.txt"})
	w.gives("3/PLAN.txt", "bert", role(t, "viewer"))
	equal(t, "three", list(), []string{"PLAN (2).txt", "Plan (1).txt", "plan.txt"})
	// They are kept beyond a restart, and beyond a stay in the bin.
	again := New(w.store, w.Core.opts)
	if _, err := NewPeople(again, w.dir, w.dir, PeopleOptions{}); err != nil {
		t.Fatal(err)
	}
	again.now = w.Core.now
	w.desk.Core = again
	equal(t, "after a restart", list(), []string{"PLAN (2).txt", "Plan (1).txt", "plan.txt"})
	w.is("Remove", w.Remove(w.ctx, w.ref("1"), cloud.Conditions{}), nil)
	equal(t, "one in the bin", list(), []string{"PLAN (2).txt", "plan.txt"})
	_, _, err := w.Restore(w.ctx, w.binned("1"), cloud.Ref{}, false)
	w.is("Restore", err, nil)
	equal(t, "restored", list(), []string{"PLAN (2).txt", "Plan (1).txt", "plan.txt"})
	w.is("Revoke", w.Revoke(w.ctx, g.ID), nil)
	w.gives("1/Plan.txt", "bert", role(t, "viewer"))
	equal(t, "given again", list(), []string{"PLAN (2).txt", "Plan (1).txt", "plan.txt"})

	id := cloud.MountID(w.space, w.node("2/plan.txt").ID)
	for name, want := range map[string]error{"PLAN (2).TXT": cloud.Exist, "a/b": cloud.Invalid, "": cloud.Invalid, "..": cloud.Invalid, "Other": nil, "other": nil} {
		_, err := w.SetMount(bert, id, cloud.MountChange{Name: &name})
		w.is(fmt.Sprintf("SetMount %q", name), err, want)
	}
	m, err := w.SetMount(bert, id, cloud.MountChange{Hidden: new(true), Synced: new(false)})
	w.is("SetMount", err, nil)
	if !m.Hidden || m.Synced || !strings.EqualFold(m.Name, "other") {
		t.Errorf("SetMount: got %+v", m)
	}
	m, err = w.Mount(bert, id)
	if err != nil || !m.Hidden || m.Synced {
		t.Errorf("Mount: got %+v, %v", m, err)
	}
	_, err = w.Stat(bert, inShares(m.Name))
	w.is("Stat of what is not synced", err, cloud.NotExist)
	_, err = w.Stat(bert, cloud.Ref{Space: cloud.SharesSpace, Node: id})
	w.is("Stat of it by id", err, nil)
	_, err = w.Mount(w.as("carl"), id)
	w.is("Mount of others", err, cloud.NotExist)
	_, err = w.SetMount(w.as("carl"), id, cloud.MountChange{Hidden: new(true)})
	w.is("SetMount of others", err, cloud.NotExist)
	_, err = w.Mount(bert, "x")
	w.is("Mount of none", err, cloud.NotExist)
}

// Each node is there once, from the others only, and not the memberships.
func TestReceivedOnce(t *testing.T) {
	for _, accept := range []bool{true, false} {
		w := gather(t, Options{AutoAccept: accept})
		w.mkdir("dir")
		w.gives("dir", "carl", role(t, "viewer"))
		w.gives("dir", "crew", role(t, "editor"))
		w.opens("dir", cloud.LinkView, "")
		w.space = w.project
		w.gives("", "carl", cloud.SpaceManager)
		w.mkdir("own")
		_, _, err := w.Give(w.as("carl"), w.ref("own"), cloud.Grant{To: w.to("crew"), Rights: role(t, "viewer")}, "")
		w.is("Give", err, nil)
		w.mkdir("closed")
		w.gives("closed", "crew", cloud.NoRights)
		is := func(name string, want ...string) {
			t.Helper()
			var got []string
			for m, err := range w.Received(w.as(name)) {
				w.is("Received", err, nil)
				got = append(got, fmt.Sprint(m.Name, len(m.Grants), m.Synced))
			}
			equal(t, name, got, want)
		}
		is("carl", fmt.Sprint("dir2", " ", accept))
		is("dora", fmt.Sprint("dir1", " ", accept), fmt.Sprint("own1", " ", accept))
		is("ada")
		is("bert")
		// What they choose for themselves comes before what is so for all.
		if err := w.Choose(w.as("light"), w.users["light"].ID, cloud.PreferAutoAccept, cloud.Choice{Flag: new(!accept)}); err != nil {
			t.Fatal(err)
		}
		w.gives("own", "light", role(t, "viewer"))
		is("light", fmt.Sprint("own1", " ", !accept))
		var given []string
		for n, err := range w.Given(w.ctx) {
			w.is("Given", err, nil)
			given = append(given, fmt.Sprint(n.Name, len(n.Grants)))
		}
		equal(t, "given", fmt.Sprint(len(given)), 3)
	}
}
