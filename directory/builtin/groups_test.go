package builtin

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"opencloud/cloud"
	"opencloud/directory/names"
)

func setGroup(t testing.TB, d *Directory, name string) *cloud.Group {
	t.Helper()
	g, err := d.SetGroup(t.Context(), &cloud.Group{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func second[T any](_ T, err error) error { return err }

// members are those of the members of a group.
func members(t testing.TB, d *Directory, id cloud.GroupID) string {
	t.Helper()
	var all []string
	for u, err := range d.Members(t.Context(), id) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u.Name)
	}
	return strings.Join(all, " ")
}

// Two directories on one folder stand for two processes.
func TestGroupsOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	here, there := open(t, dir), open(t, dir)
	u := set(t, here, cloud.User{Name: "u"}, "pw")
	for i := range 20 { // fast enough that the clock of the filesystem stands still
		if _, err := here.Verify(ctx, "u", "pw"); err != nil {
			t.Fatal(err)
		}
		g := setGroup(t, there, fmt.Sprint("g", i))
		if err := there.Join(ctx, g.ID, u.ID); err != nil {
			t.Fatal(err)
		}
		got, err := here.Verify(ctx, "u", "pw")
		if err != nil || !slices.Equal(got.Groups, []cloud.GroupID{g.ID}) {
			t.Fatalf("%d: joined there: got %v, %v", i, got, err)
		}
		g.Name += "!"
		if _, err := here.SetGroup(ctx, g); err != nil {
			t.Fatal(err)
		}
		if _, err := there.Group(ctx, "name", g.Name); err != nil {
			t.Fatalf("%d: renamed here: got %v", i, err)
		}
		if err := there.RemoveGroup(ctx, g.ID); err != nil {
			t.Fatal(err)
		}
		if got := here.Recall("u", "pw"); got == nil || len(got.Groups) != 0 {
			t.Fatalf("%d: group removed there: got %+v", i, got)
		}
	}
}

func TestReopenedGroupsAreTheSame(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	a, b := setGroup(t, d, "a"), setGroup(t, d, "b")
	for i := range 5 {
		u := set(t, d, cloud.User{Name: fmt.Sprint("u", i)}, "")
		if i != 3 {
			d.Join(t.Context(), a.ID, u.ID)
		}
		if i > 1 {
			d.Join(t.Context(), b.ID, u.ID)
		}
	}
	for _, d := range []*Directory{d, open(t, dir)} {
		if got, want := members(t, d, a.ID), "u0 u1 u2 u4"; got != want {
			t.Errorf("members of a: got %q, want %q", got, want)
		}
		if got, want := members(t, d, b.ID), "u2 u3 u4"; got != want {
			t.Errorf("members of b: got %q, want %q", got, want)
		}
	}
}

// The members of a group whose file is damaged are members again when
// somebody has mended it, whatever happened to them meanwhile.
func TestDamagedGroup(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	g, twin := setGroup(t, d, "g"), setGroup(t, d, "twin")
	u := set(t, d, cloud.User{Name: "u"}, "")
	if err := d.Join(t.Context(), g.ID, u.ID); err != nil {
		t.Fatal(err)
	}
	file := d.groups.file(string(g.ID))
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 10); err != nil {
		t.Fatal(err)
	}
	other, _ := os.ReadFile(d.groups.file(string(twin.ID)))
	os.WriteFile(d.groups.file(cloud.NewUUID().String()), other, 0o600)

	var log bytes.Buffer
	opts := cheap
	opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	d, err = Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(log.String(), "left alone"); got != 2 {
		t.Errorf("got %d files named in the log, want 2:\n%s", got, &log)
	}
	u.Display = "changed"
	if got := set(t, d, *u, ""); len(got.Groups) != 0 {
		t.Errorf("groups while the file is damaged: got %v, want none", got.Groups)
	}
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := members(t, open(t, dir), g.ID); got != "u" {
		t.Errorf("members of the mended group: got %q, want u", got)
	}
}

// A user who was in very many groups that are no more can still join one.
func TestManyGroups(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	u := set(t, d, cloud.User{Name: "u"}, "")
	g, last := setGroup(t, d, "g"), setGroup(t, d, "last")
	fill := func(id func(i int) cloud.GroupID) {
		t.Helper()
		r := record{User: *u}
		for i := range maxGroups {
			r.Groups = append(r.Groups, id(i))
		}
		if err := d.locked(func() error { return second(d.replace(d.byID[u.ID], &r)) }); err != nil {
			t.Fatal(err)
		}
	}
	fill(func(int) cloud.GroupID { return cloud.GroupID(cloud.NewUUID().String()) })
	if err := d.Join(t.Context(), g.ID, u.ID); err != nil {
		t.Error(err)
	}
	if got := members(t, open(t, dir), g.ID); got != "u" {
		t.Errorf("members: got %q, want u", got)
	}
	// In as many that are: no more.
	for i := range maxGroups {
		id := cloud.GroupID(fmt.Sprint(i))
		d.groupByID[id] = &group{Group: cloud.Group{ID: id}}
	}
	fill(func(i int) cloud.GroupID { return cloud.GroupID(fmt.Sprint(i)) })
	if err := d.Join(t.Context(), last.ID, u.ID); !errors.Is(err, cloud.Invalid) {
		t.Errorf("one group too many: got %v, want Invalid", err)
	}
}

func TestGroupNames(t *testing.T) {
	d := open(t, t.TempDir())
	for _, g := range []cloud.Group{{Name: " a"}, {Name: "a "}, {Name: "\xff"}, {Name: strings.Repeat("x", 256)}, {Name: "a", Description: strings.Repeat("x", 4001)}} {
		if _, err := d.SetGroup(t.Context(), &g); !errors.Is(err, cloud.Invalid) {
			t.Errorf("%.20q: got %v, want Invalid", g.Name, err)
		}
	}
}

func FuzzGroupFile(f *testing.F) {
	const id = "11111111-1111-4111-8111-111111111111"
	f.Add([]byte(`{"ID":"` + id + `","Name":"a"}`))
	f.Add([]byte(`{"Name":"a"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		opts := cheap
		opts.Log = slog.New(slog.DiscardHandler)
		d, err := Open(t.TempDir(), opts)
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(d.groups.file(id), body, 0o600)
		if d, err = Open(d.root, opts); err != nil {
			t.Fatal(err)
		}
		for g := range d.Groups(t.Context(), "") {
			if names.CheckGroup(g) != nil || g.ID != id {
				t.Errorf("a group that could not have been made: %+v", g)
			}
		}
	})
}
