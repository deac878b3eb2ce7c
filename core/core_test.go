package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"opencloud/cloud"
	"opencloud/storage/mem"
)

var (
	alice = &cloud.User{ID: "a1111111-0000-4000-8000-000000000001", Name: "alice", Display: "Alice", Role: cloud.RoleUser}
	bob   = &cloud.User{ID: "b1111111-0000-4000-8000-000000000002", Name: "bob", Role: cloud.RoleAdmin, Groups: []cloud.GroupID{"crew"}}
	light = &cloud.User{ID: "c1111111-0000-4000-8000-000000000003", Name: "light", Role: cloud.RoleUserLight}
)

func as(u *cloud.User) context.Context {
	return cloud.WithCaller(context.Background(), cloud.Caller{User: u})
}

// A desk is a core with a space and somebody at work in it.
type desk struct {
	*testing.T
	*Core
	store *mem.Store
	ctx   context.Context
	space cloud.SpaceID
}

func sit(t *testing.T, opts Options) *desk {
	t.Helper()
	store := mem.New()
	c := New(store, opts)
	home, err := c.Home(as(alice))
	if err != nil {
		t.Fatal(err)
	}
	return &desk{t, c, store, as(alice), home.ID}
}

func (d *desk) ref(path string) cloud.Ref { return cloud.Ref{Space: d.space, Path: path} }

func (d *desk) put(path, body string) *cloud.Node {
	d.Helper()
	n, _, err := d.Put(d.ctx, d.ref(path), strings.NewReader(body), cloud.Put{Size: int64(len(body))})
	if err != nil {
		d.Fatalf("Put %s: %v", path, err)
	}
	return n
}

func (d *desk) mkdir(path string) *cloud.Node {
	d.Helper()
	n, err := d.MakeDir(d.ctx, d.ref(path), cloud.Conditions{})
	if err != nil {
		d.Fatalf("MakeDir %s: %v", path, err)
	}
	return n
}

func (d *desk) read(ref cloud.Ref, version string) string {
	d.Helper()
	body, _, err := d.Open(d.ctx, ref, version)
	if err != nil {
		d.Fatalf("Open %v: %v", ref, err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		d.Fatal(err)
	}
	return string(b)
}

// is fails the test unless err is of the kind; nil: no error at all.
func (d *desk) is(what string, err error, want error) {
	d.Helper()
	if want == nil && err != nil || !errors.Is(err, want) {
		d.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func names(t testing.TB, seq func(func(*cloud.Node, error) bool)) (names []string) {
	t.Helper()
	for n, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

// TestRights asks every verb as everybody: what a role allows, and whether
// what it forbids is hidden or refused.
func TestRights(t *testing.T) {
	verbs := map[string]struct {
		want cloud.Rights
		do   func(d *desk, ctx context.Context) error
	}{
		"stat": {cloud.CanStat, func(d *desk, ctx context.Context) error { _, err := d.Stat(ctx, d.ref("dir/file")); return err }},
		"list": {cloud.CanList, func(d *desk, ctx context.Context) error {
			for _, err := range d.List(ctx, d.ref("dir")) {
				return err
			}
			return nil
		}},
		"read": {cloud.CanRead, func(d *desk, ctx context.Context) error {
			body, _, err := d.Open(ctx, d.ref("dir/file"), "")
			if err == nil {
				body.Close()
			}
			return err
		}},
		"read by id": {cloud.CanRead, func(d *desk, ctx context.Context) error {
			n, err := d.Stat(as(alice), d.ref("dir/file"))
			if err != nil {
				return err
			}
			body, _, err := d.Open(ctx, cloud.Ref{Space: d.space, Node: n.ID}, "")
			if err == nil {
				body.Close()
			}
			return err
		}},
		"overwrite": {cloud.CanWrite, func(d *desk, ctx context.Context) error {
			_, _, err := d.Put(ctx, d.ref("dir/file"), strings.NewReader("x"), cloud.Put{Size: 1})
			return err
		}},
		"create": {cloud.CanWrite, func(d *desk, ctx context.Context) error {
			_, _, err := d.Put(ctx, d.ref("dir/new"), strings.NewReader("x"), cloud.Put{Size: 1})
			return err
		}},
		"upload": {cloud.CanWrite, func(d *desk, ctx context.Context) error {
			_, err := d.Begin(ctx, d.ref("dir/new"), cloud.Put{Size: 1})
			return err
		}},
		"mkdir": {cloud.CanMakeDir, func(d *desk, ctx context.Context) error {
			_, err := d.MakeDir(ctx, d.ref("dir/sub"), cloud.Conditions{})
			return err
		}},
		"move": {cloud.CanMove | cloud.CanWrite, func(d *desk, ctx context.Context) error {
			_, _, err := d.Move(ctx, d.ref("dir/file"), d.ref("file"), cloud.Transfer{})
			return err
		}},
		"copy": {cloud.CanRead | cloud.CanWrite, func(d *desk, ctx context.Context) error {
			_, _, err := d.Copy(ctx, d.ref("dir/file"), d.ref("file"), cloud.Transfer{})
			return err
		}},
		"remove": {cloud.CanDelete, func(d *desk, ctx context.Context) error {
			return d.Remove(ctx, d.ref("dir/file"), cloud.Conditions{})
		}},
		"change": {cloud.CanWrite, func(d *desk, ctx context.Context) error {
			v := "1"
			_, err := d.Change(ctx, d.ref("dir/file"), cloud.Change{Attrs: map[string]*string{"prop.{x}y": &v}})
			return err
		}},
		"lock": {cloud.CanWrite, func(d *desk, ctx context.Context) error {
			_, _, _, err := d.Lock(ctx, d.ref("dir/file"), cloud.Lock{}, cloud.Conditions{})
			return err
		}},
		"versions": {cloud.CanListVersions, func(d *desk, ctx context.Context) error {
			for _, err := range d.Versions(ctx, d.ref("dir/file")) {
				return err
			}
			return nil
		}},
		"revert": {cloud.CanRevert | cloud.CanWrite, func(d *desk, ctx context.Context) error {
			var key string
			for v, err := range d.Versions(as(alice), d.ref("dir/file")) {
				if err != nil {
					return err
				}
				key = v.Name
			}
			_, err := d.Revert(ctx, d.ref("dir/file"), key, cloud.Conditions{})
			return err
		}},
		"trash": {cloud.CanListTrash, func(d *desk, ctx context.Context) error {
			for _, err := range d.Trash(ctx, d.ref("")) {
				return err
			}
			return nil
		}},
		"restore": {cloud.CanListTrash | cloud.CanRestore | cloud.CanWrite, func(d *desk, ctx context.Context) error {
			_, _, err := d.Restore(ctx, d.binned("gone"), d.ref("back"), false)
			return err
		}},
		"purge": {cloud.CanListTrash | cloud.CanPurge, func(d *desk, ctx context.Context) error {
			return d.Purge(ctx, d.binned("gone"))
		}},
		"empty trash": {cloud.CanListTrash | cloud.CanPurge, func(d *desk, ctx context.Context) error {
			return d.Purge(ctx, d.ref(""))
		}},
		"rename space": {cloud.CanUpdateGrant, func(d *desk, ctx context.Context) error {
			s, err := d.Space(as(alice), d.space)
			if err != nil {
				return err
			}
			s.Name = "other"
			_, err = d.SetSpace(ctx, s)
			return err
		}},
	}
	roles := map[string]cloud.Rights{
		"none": 0, "secure": cloud.CanStat | cloud.CanList, "viewer": cloud.SpaceViewer,
		"editor": cloud.SpaceEditor, "manager": cloud.SpaceManager,
	}
	for name, verb := range verbs {
		for role, have := range roles {
			for _, subject := range []cloud.Subject{{User: bob.ID}, {Group: "crew"}} {
				t.Run(fmt.Sprintf("%s as %s %v", name, role, subject), func(t *testing.T) {
					d := sit(t, Options{})
					d.mkdir("dir")
					d.put("dir/file", "old")
					d.put("dir/file", "body")
					d.put("gone", "gone")
					d.is("Remove", d.Remove(d.ctx, d.ref("gone"), cloud.Conditions{}), nil)
					d.grant("", cloud.Grant{To: subject, Rights: have})
					before := d.store.Last()
					err := verb.do(d, as(&cloud.User{ID: bob.ID, Groups: bob.Groups, Role: cloud.RoleUser}))
					switch {
					case have.Has(verb.want):
						d.is(name, err, nil)
					case have == 0:
						d.is(name, err, cloud.NotExist)
					default:
						d.is(name, err, cloud.Permission)
					}
					if err != nil && d.store.Last() != before {
						t.Error("refused, and yet something was written")
					}
				})
			}
		}
		t.Run(name+" as nobody", func(t *testing.T) {
			d := sit(t, Options{})
			d.mkdir("dir")
			d.put("dir/file", "old")
			d.put("dir/file", "body")
			d.put("gone", "gone")
			d.Remove(d.ctx, d.ref("gone"), cloud.Conditions{})
			d.is(name, verb.do(d, context.Background()), cloud.Unauthorized)
		})
	}
}

func (d *desk) binned(name string) cloud.Ref {
	d.Helper()
	for n, err := range d.Trash(d.ctx, d.ref("")) {
		if err != nil {
			d.Fatal(err)
		}
		if n.Name == name {
			return cloud.Ref{Space: d.space, Node: n.ID}
		}
	}
	d.Fatalf("%s is not in the bin", name)
	return cloud.Ref{}
}

// grant adds a grant the way a store keeps it, and lets core load it afresh.
func (d *desk) grant(path string, g cloud.Grant) {
	d.Helper()
	n, err := d.store.Lookup(d.ctx, d.space, "", path)
	if err != nil {
		d.Fatal(err)
	}
	if _, err := d.store.Edit(d.ctx, d.space, n.ID, func(n *cloud.Node) error {
		n.Grants = append(slices.Clone(n.Grants), g)
		return nil
	}); err != nil {
		d.Fatal(err)
	}
	d.Core = New(d.store, d.Core.opts)
}

func TestGrantsBelowTheRoot(t *testing.T) {
	d := sit(t, Options{})
	d.mkdir("a")
	d.mkdir("a/b")
	d.mkdir("c")
	d.put("a/b/file", "x")
	d.put("c/file", "y")
	d.grant("a/b", cloud.Grant{To: cloud.Subject{User: bob.ID}, Rights: cloud.SpaceEditor})
	dir, err := d.Stat(as(bob), d.ref("a/b"))
	d.is("Stat", err, nil)
	for path, want := range map[string]error{"": cloud.NotExist, "a": cloud.NotExist, "a/b": nil, "a/b/file": nil, "c": cloud.NotExist, "c/file": cloud.NotExist} {
		_, err := d.Stat(as(bob), d.ref(path))
		d.is("Stat "+path, err, want)
	}
	_, _, err = d.Put(as(bob), cloud.Ref{Space: d.space, Node: dir.ID, Path: "new"}, strings.NewReader("x"), cloud.Put{Size: 1})
	d.is("Put below the grant", err, nil)
	_, _, err = d.Move(as(bob), d.ref("a/b/file"), d.ref("c/file2"), cloud.Transfer{})
	d.is("Move out of the grant", err, cloud.NotExist)
	d.grant("a/b", cloud.Grant{To: cloud.Subject{User: light.ID}, Rights: cloud.SpaceViewer, Expires: time.Now().Add(-time.Second)})
	_, err = d.Stat(as(light), d.ref("a/b"))
	d.is("Stat with an expired grant", err, cloud.NotExist)
}

func TestHome(t *testing.T) {
	d := sit(t, Options{HomeQuota: 100})
	var wg sync.WaitGroup
	ids := make([]cloud.SpaceID, 8)
	for i := range ids {
		wg.Go(func() {
			s, err := d.Home(as(bob))
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = s.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		equal(t, "home", id, ids[0])
	}
	s, err := d.Home(as(bob))
	d.is("Home", err, nil)
	equal(t, "quota", s.Quota, 100)
	equal(t, "free", s.Free, 100)
	equal(t, "alias", s.Alias, "personal/bob")
	_, err = d.Home(as(light))
	d.is("Home of a light user", err, cloud.Permission)
	for s, err := range d.Spaces(as(light)) {
		if err != nil || s.ID != cloud.SharesSpace {
			t.Errorf("spaces of a light user: got %v, %v, want the Shares space only", s, err)
		}
	}
	_, err = d.Home(as(&cloud.User{ID: alice.ID, Disabled: true}))
	d.is("Home of a disabled user", err, cloud.Unauthorized)
}

func TestProjectSpaces(t *testing.T) {
	d := sit(t, Options{MaxQuota: 1000})
	_, err := d.SetSpace(as(alice), &cloud.Space{Name: "Crew"})
	d.is("SetSpace by a user", err, cloud.Permission)
	s, err := d.SetSpace(as(bob), &cloud.Space{Name: "The Crew / 1", Description: "all of us"})
	d.is("SetSpace", err, nil)
	equal(t, "alias", s.Alias, "project/the-crew-1")
	equal(t, "quota", s.Quota, 1000)
	_, err = d.Space(as(alice), s.ID)
	d.is("Space for a stranger", err, cloud.NotExist)
	s.Name, s.Quota = "Crew", 10
	s, err = d.SetSpace(as(bob), s)
	d.is("SetSpace", err, nil)
	equal(t, "name", s.Name, "Crew")
	d.is("purge while enabled", d.RemoveSpace(as(bob), s.ID, true), cloud.Invalid)
	d.is("disable", d.RemoveSpace(as(bob), s.ID, false), nil)
	_, err = d.Stat(as(bob), cloud.Ref{Space: s.ID})
	d.is("Stat in a disabled space", err, cloud.NotExist)
	s, err = d.Space(as(bob), s.ID)
	d.is("Space", err, nil)
	s.Disabled = time.Time{}
	_, err = d.SetSpace(as(bob), s)
	d.is("enable", err, nil)
	_, err = d.Stat(as(bob), cloud.Ref{Space: s.ID})
	d.is("Stat", err, nil)
	d.is("disable", d.RemoveSpace(as(bob), s.ID, false), nil)
	d.is("purge by a stranger", d.RemoveSpace(as(alice), s.ID, true), cloud.NotExist)
	d.is("purge", d.RemoveSpace(as(bob), s.ID, true), nil)
	_, err = d.Space(as(bob), s.ID)
	d.is("Space", err, cloud.NotExist)
	for _, bad := range []cloud.Space{{}, {Name: " "}, {Name: "a\nb"}, {Name: "x", Quota: -1}, {Name: "x", Quota: 1001}, {Name: strings.Repeat("x", 256)}} {
		_, err := d.SetSpace(as(bob), &bad)
		d.is(fmt.Sprintf("SetSpace %q %d", bad.Name, bad.Quota), err, cloud.Invalid)
	}
}

func TestConditions(t *testing.T) {
	d := sit(t, Options{})
	n := d.put("file", "1")
	for _, tt := range []struct {
		how    cloud.Conditions
		path   string
		want   error
		reason string
	}{
		{cloud.Conditions{IfMatch: n.ETag}, "file", nil, "same"},
		{cloud.Conditions{IfMatch: "other"}, "file", cloud.Precondition, "changed"},
		{cloud.Conditions{IfMatch: "*"}, "file", nil, "exists"},
		{cloud.Conditions{IfMatch: "*"}, "none", cloud.Precondition, "must exist"},
		{cloud.Conditions{IfNoneMatch: "*"}, "file", cloud.Precondition, "must not exist"},
		{cloud.Conditions{IfNoneMatch: "*"}, "none", nil, "does not exist"},
	} {
		_, err := d.Begin(d.ctx, d.ref(tt.path), cloud.Put{Conditions: tt.how, Size: 1})
		d.is("Begin: "+tt.reason, err, tt.want)
		if tt.want != nil {
			_, _, err = d.Put(d.ctx, d.ref(tt.path), strings.NewReader("2"), cloud.Put{Conditions: tt.how, Size: 1})
			d.is("Put: "+tt.reason, err, tt.want)
		}
	}
	// The condition also holds for what happens while the body is on its way.
	late := readerFunc(func(p []byte) (int, error) {
		d.put("file", "meanwhile")
		return copy(p, "mine"), io.EOF
	})
	_, _, err := d.Put(d.ctx, d.ref("file"), late, cloud.Put{Size: -1, Conditions: cloud.Conditions{IfMatch: n.ETag}})
	d.is("Put over a change", err, cloud.Precondition)
	equal(t, "content", d.read(d.ref("file"), ""), "meanwhile")
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestQuota(t *testing.T) {
	d := sit(t, Options{HomeQuota: 10})
	d.put("a", "12345")
	_, _, err := d.Put(d.ctx, d.ref("b"), strings.NewReader("123456"), cloud.Put{Size: 6})
	d.is("Put beyond the quota", err, cloud.Full)
	_, _, err = d.Put(d.ctx, d.ref("b"), io.MultiReader(strings.NewReader("123"), strings.NewReader("456")), cloud.Put{Size: -1})
	d.is("Put of unknown size beyond the quota", err, cloud.Full)
	_, _, err = d.Put(d.ctx, d.ref("b"), io.MultiReader(strings.NewReader("123"), strings.NewReader("45")), cloud.Put{Size: -1})
	d.is("Put of unknown size that fills it", err, nil)
	d.put("a", "54321")
	_, _, err = d.Put(d.ctx, d.ref("c"), strings.NewReader("1"), cloud.Put{Size: -1})
	d.is("Put into the full", err, cloud.Full)
	d.put("c", "")
	_, err = d.Begin(d.ctx, d.ref("d"), cloud.Put{Size: 1})
	d.is("Begin", err, cloud.Full)
	_, _, err = d.Copy(d.ctx, d.ref("a"), d.ref("e"), cloud.Transfer{})
	d.is("Copy", err, cloud.Full)
	equal(t, "names", names(t, d.List(d.ctx, d.ref(""))), "[a b c]")
	d.is("Remove", d.Remove(d.ctx, d.ref("a"), cloud.Conditions{}), nil)
	s, err := d.Home(d.ctx)
	d.is("Home", err, nil)
	equal(t, "free", s.Free, 5)

	// Together they must not take more than is left.
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 10 {
		wg.Go(func() {
			_, _, err := d.Put(d.ctx, d.ref(fmt.Sprint("f", i)), strings.NewReader("123"), cloud.Put{Size: -1})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else {
				d.is("Put", err, cloud.Full)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d writes of 3 bytes fit into 5", won)
	}
	sp := d.spaces[d.space]
	if sp.reserved != 0 {
		t.Errorf("%d bytes stay reserved", sp.reserved)
	}
}

func TestTransfer(t *testing.T) {
	d := sit(t, Options{})
	d.mkdir("a")
	d.mkdir("a/b")
	d.put("a/b/file", "deep")
	d.put("a/file", "1")
	d.put("a/file", "2")
	id := d.put("other", "o").ID
	move := func(from, to string, how cloud.Transfer) (bool, error) {
		_, made, err := d.Move(d.ctx, d.ref(from), d.ref(to), how)
		return made, err
	}
	for _, tt := range []struct {
		from, to string
		over     bool
		want     error
	}{
		{"a", "a/b/a", true, cloud.Conflict},
		{"a", "a", true, cloud.Permission},
		{"a/b", "a", true, cloud.Conflict},
		{"a", "none/a", false, cloud.Conflict},
		{"none", "x", false, cloud.NotExist},
		{"a", "other", false, cloud.Precondition},
		{"a", "other/x", false, cloud.Conflict},
		{"", "x", false, cloud.Permission},
		{"a", "", true, cloud.Permission},
		{"a", ".oc", true, cloud.Invalid},
		{"a", ".Trash", true, cloud.Invalid},
	} {
		_, err := move(tt.from, tt.to, cloud.Transfer{Over: tt.over})
		d.is("Move "+tt.from+" to "+tt.to, err, tt.want)
	}
	for _, tt := range []struct {
		from, to string
		want     error
	}{{"a", "a/b/a", cloud.Conflict}, {"a/b", "a", cloud.Conflict}, {"none", "x", cloud.NotExist}, {"a", "other", cloud.Precondition}} {
		_, _, err := d.Copy(d.ctx, d.ref(tt.from), d.ref(tt.to), cloud.Transfer{Over: tt.from == "a/b"})
		d.is("Copy "+tt.from+" to "+tt.to, err, tt.want)
	}
	made, err := move("other", "a/b/other", cloud.Transfer{})
	d.is("Move", err, nil)
	equal(t, "made", made, true)
	n, err := d.Stat(d.ctx, d.ref("a/b/other"))
	d.is("Stat", err, nil)
	equal(t, "id", n.ID, id)
	made, err = move("a/b/other", "a/file", cloud.Transfer{Over: true})
	d.is("Move over", err, nil)
	equal(t, "made", made, false)
	equal(t, "content", d.read(d.ref("a/file"), ""), "o")
	equal(t, "bin", names(t, d.Trash(d.ctx, d.ref(""))), "[file]")

	v := "v"
	_, err = d.Change(d.ctx, d.ref("a/b/file"), cloud.Change{Attrs: map[string]*string{cloud.AttrProp + "{x}y": &v, "fav.alice": &v}})
	d.is("Change", err, nil)
	c, made, err := d.Copy(d.ctx, d.ref("a"), d.ref("copy"), cloud.Transfer{})
	d.is("Copy", err, nil)
	equal(t, "made, size", fmt.Sprint(made, c.Size), "true 5")
	n, err = d.Stat(d.ctx, d.ref("copy/b/file"))
	d.is("Stat", err, nil)
	equal(t, "attributes of the copy", n.Attrs, map[string]string{"prop.{x}y": "v"})
	_, _, err = d.Copy(d.ctx, d.ref("a"), d.ref("shallow"), cloud.Transfer{Shallow: true})
	d.is("shallow Copy", err, nil)
	equal(t, "members", names(t, d.List(d.ctx, d.ref("shallow"))), "[]")

	// A file copied over keeps its id, and what it was is a version.
	target := d.put("target", "before")
	c, made, err = d.Copy(d.ctx, d.ref("a/b/file"), d.ref("target"), cloud.Transfer{Over: true})
	d.is("Copy over", err, nil)
	equal(t, "made, id", fmt.Sprint(made, c.ID), fmt.Sprint(false, target.ID))
	for v, err := range d.Versions(d.ctx, d.ref("target")) {
		d.is("Versions", err, nil)
		equal(t, "version", d.read(d.ref("target"), v.Name), "before")
	}
}

func TestAcrossSpaces(t *testing.T) {
	d := sit(t, Options{})
	crew, err := d.SetSpace(as(bob), &cloud.Space{Name: "crew"})
	d.is("SetSpace", err, nil)
	d.grant("", cloud.Grant{To: cloud.Subject{User: bob.ID}, Rights: cloud.SpaceEditor})
	d.mkdir("a")
	d.put("a/file", "one")
	d.put("a/file", "two!")
	d.put("a/file", "three")
	to := cloud.Ref{Space: crew.ID, Path: "moved"}
	_, _, err = d.Move(d.ctx, d.ref("a"), to, cloud.Transfer{})
	d.is("Move to where one is nobody", err, cloud.NotExist)
	n, made, err := d.Move(as(bob), d.ref("a"), to, cloud.Transfer{})
	d.is("Move", err, nil)
	equal(t, "made, size", fmt.Sprint(made, n.Size), "true 5")
	_, err = d.Stat(d.ctx, d.ref("a"))
	d.is("Stat of the source", err, cloud.NotExist)
	equal(t, "bin", names(t, d.Trash(d.ctx, d.ref(""))), "[]")
	d.ctx = as(bob)
	file := cloud.Ref{Space: crew.ID, Path: "moved/file"}
	equal(t, "content", d.read(file, ""), "three")
	var old []string
	for v, err := range d.Versions(d.ctx, file) {
		d.is("Versions", err, nil)
		old = append(old, d.read(file, v.Name))
	}
	equal(t, "versions", old, "[two! one]")

	// From one bin into another space.
	d.is("Remove", d.Remove(d.ctx, to, cloud.Conditions{}), nil)
	var key cloud.NodeID
	for n, err := range d.Trash(d.ctx, cloud.Ref{Space: crew.ID}) {
		d.is("Trash", err, nil)
		key = n.ID
	}
	_, _, err = d.Restore(d.ctx, cloud.Ref{Space: crew.ID, Node: key}, d.ref("back"), false)
	d.is("Restore", err, nil)
	equal(t, "content", d.read(d.ref("back/file"), ""), "three")
	equal(t, "bin", names(t, d.Trash(d.ctx, cloud.Ref{Space: crew.ID})), "[]")
}

func TestTrash(t *testing.T) {
	d := sit(t, Options{})
	d.mkdir("a")
	d.mkdir("a/b")
	d.put("a/b/file", "x")
	d.put("a/b/file", "y")
	id := d.mkdir("a/c").ID
	d.is("Remove of the root", d.Remove(d.ctx, d.ref(""), cloud.Conditions{}), cloud.Permission)
	d.is("Remove", d.Remove(d.ctx, d.ref("a/b"), cloud.Conditions{}), nil)
	d.is("Remove again", d.Remove(d.ctx, d.ref("a/b"), cloud.Conditions{}), cloud.NotExist)
	bin := d.binned("b")
	for what, err := range map[string]error{
		"Stat of what is in the bin": second(d.Stat(d.ctx, bin)),
		"Stat below it":              second(d.Stat(d.ctx, cloud.Ref{Space: d.space, Node: bin.Node, Path: "file"})),
		"Stat of the bin":            second(d.Stat(d.ctx, cloud.Ref{Space: d.space, Node: cloud.TrashID})),
		"Stat of a version":          second(d.Stat(d.ctx, cloud.Ref{Space: d.space, Node: cloud.VersionsOf(id)})),
		"Trash of what is not there": func() error {
			for _, err := range d.Trash(d.ctx, cloud.Ref{Space: d.space, Node: id}) {
				return err
			}
			return nil
		}(),
		"Purge of what is not there": d.Purge(d.ctx, cloud.Ref{Space: d.space, Node: id}),
		"Restore of what is in place": second(func() (bool, error) {
			_, m, err := d.Restore(d.ctx, cloud.Ref{Space: d.space, Node: id}, d.ref("x"), false)
			return m, err
		}()),
	} {
		d.is(what, err, cloud.NotExist)
	}
	equal(t, "entry", names(t, d.Trash(d.ctx, bin)), "[b file]")
	d.is("Remove", d.Remove(d.ctx, d.ref("a"), cloud.Conditions{}), nil)
	_, _, err := d.Restore(d.ctx, bin, cloud.Ref{}, false)
	d.is("Restore to a folder that is gone", err, cloud.Conflict)
	n, made, err := d.Restore(d.ctx, bin, d.ref("elsewhere"), false)
	d.is("Restore elsewhere", err, nil)
	equal(t, "made, id", fmt.Sprint(made, n.ID), fmt.Sprint(true, bin.Node))
	equal(t, "content", d.read(d.ref("elsewhere/file"), ""), "y")
	d.mkdir("a")
	_, _, err = d.Restore(d.ctx, d.binned("a"), cloud.Ref{}, false)
	d.is("Restore over", err, cloud.Precondition)
	_, made, err = d.Restore(d.ctx, d.binned("a"), cloud.Ref{}, true)
	d.is("Restore over", err, nil)
	equal(t, "made", made, false)
	equal(t, "bin", names(t, d.Trash(d.ctx, d.ref(""))), "[a]")
	d.is("Purge", d.Purge(d.ctx, d.binned("a")), nil)
	d.is("Remove", d.Remove(d.ctx, d.ref("elsewhere/file"), cloud.Conditions{}), nil)
	d.is("Remove", d.Remove(d.ctx, d.ref("a"), cloud.Conditions{}), nil)
	d.is("Purge all", d.Purge(d.ctx, d.ref("")), nil)
	equal(t, "bin", names(t, d.Trash(d.ctx, d.ref(""))), "[]")
	equal(t, "tree", names(t, d.List(d.ctx, d.ref(""))), "[elsewhere]")
}

func second[T any](_ T, err error) error { return err }

func TestVersions(t *testing.T) {
	for _, off := range []bool{false, true} {
		d := sit(t, Options{NoVersions: off})
		id := d.put("file", "one").ID
		d.put("file", "two")
		d.put("file", "three")
		var keys []string
		for v, err := range d.Versions(d.ctx, d.ref("file")) {
			d.is("Versions", err, nil)
			keys = append(keys, v.Name)
		}
		if off {
			equal(t, "versions", len(keys), 0)
			continue
		}
		equal(t, "newest", d.read(d.ref("file"), keys[0]), "two")
		equal(t, "oldest", d.read(d.ref("file"), keys[1]), "one")
		n, err := d.Revert(d.ctx, d.ref("file"), keys[1], cloud.Conditions{})
		d.is("Revert", err, nil)
		equal(t, "id", n.ID, id)
		equal(t, "content", d.read(d.ref("file"), ""), "one")
		_, err = d.Revert(d.ctx, d.ref("file"), "nonsense", cloud.Conditions{})
		d.is("Revert to nothing", err, cloud.NotExist)
		_, _, err = d.Open(d.ctx, d.ref("file"), "nonsense")
		d.is("Open of nothing", err, cloud.NotExist)
		equal(t, "versions", len(names(t, d.Versions(d.ctx, d.ref("file")))), 3)
	}
}

func TestNames(t *testing.T) {
	d := sit(t, Options{})
	for _, bad := range []string{".oc", ".Trash", "a\x00b", "..", ".", "a\nb", `a\b`, strings.Repeat("x", 256), "a\xff"} {
		_, _, err := d.Put(d.ctx, d.ref(bad), strings.NewReader(""), cloud.Put{})
		d.is(fmt.Sprintf("Put %q", bad), err, cloud.Invalid)
		_, err = d.MakeDir(d.ctx, d.ref(bad), cloud.Conditions{})
		d.is(fmt.Sprintf("MakeDir %q", bad), err, cloud.Invalid)
	}
	for _, good := range []string{"..x", ".ocx", "ä", "a\u0308", " lead", "trail ", "trail.", "😀", strings.Repeat("x", 255), "con", "a:b*c?\"<>|"} {
		d.put(good, good)
		equal(t, good, d.read(d.ref(good), ""), good)
	}
}

func TestPendingContent(t *testing.T) {
	d := sit(t, Options{})
	n := d.put("file", "x")
	for state, want := range map[cloud.State]error{cloud.Pending: cloud.Processing, cloud.Quarantined: cloud.Permission} {
		d.store.Edit(d.ctx, d.space, n.ID, func(n *cloud.Node) error { n.State = state; return nil })
		_, _, err := d.Open(d.ctx, d.ref("file"), "")
		d.is("Open", err, want)
	}
}

func BenchmarkPut(b *testing.B) {
	c := New(mem.New(), Options{})
	ctx := as(alice)
	home, err := c.Home(ctx)
	if err != nil {
		b.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), 1024)
	for i := 0; b.Loop(); i++ {
		if _, _, err := c.Put(ctx, cloud.Ref{Space: home.ID, Path: fmt.Sprint(i % 1000)}, bytes.NewReader(body), cloud.Put{Size: 1024}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStat(b *testing.B) {
	c := New(mem.New(), Options{})
	ctx := as(alice)
	home, err := c.Home(ctx)
	if err != nil {
		b.Fatal(err)
	}
	c.Put(ctx, cloud.Ref{Space: home.ID, Path: "file"}, strings.NewReader("x"), cloud.Put{Size: 1})
	for b.Loop() {
		if _, err := c.Stat(ctx, cloud.Ref{Space: home.ID, Path: "file"}); err != nil {
			b.Fatal(err)
		}
	}
}
