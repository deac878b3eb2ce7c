package faulty_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"opencloud/cloud"
	"opencloud/storage/faulty"
	"opencloud/storage/mem"
	"opencloud/storage/storagetest"
)

var ctx = context.Background()

func TestKit(t *testing.T) {
	storagetest.Run(t, func(*testing.T) cloud.Store { return faulty.New(mem.New(), faulty.EveryNth(0)) })
}

func TestEveryNth(t *testing.T) {
	fail := faulty.EveryNth(3)
	for i := range 9 {
		var want error
		if i%3 == 2 {
			want = cloud.Unavailable
		}
		if got := fail("Write"); got != want {
			t.Errorf("question %d: got %v, want %v", i, got, want)
		}
	}
}

// nth fails the nth question about one operation.
func nth(op string, n int) func(string) error {
	return func(asked string) error {
		if asked != op {
			return nil
		}
		if n--; n == 0 {
			return cloud.Unavailable
		}
		return nil
	}
}

// house makes a space with two files in a store that is not yet faulty.
func house(t *testing.T) (*mem.Store, cloud.SpaceID, cloud.NodeID) {
	t.Helper()
	s := mem.New()
	sp, err := s.SetSpace(ctx, &cloud.Space{ID: s.NewSpaceID(cloud.Project, ""), Kind: cloud.Project})
	if err != nil {
		t.Fatal(err)
	}
	var id cloud.NodeID
	for _, name := range []string{"a", "b"} {
		n, _, err := s.Write(ctx, cloud.Write{Space: sp.ID, Dir: sp.ID.Root(), Name: name, Body: strings.NewReader("content"), Size: -1})
		if err != nil {
			t.Fatal(err)
		}
		id = n.ID
	}
	return s, sp.ID, id
}

func TestEveryCallFails(t *testing.T) {
	inner, sp, id := house(t)
	last := inner.Last()
	asked := map[string]bool{}
	s := faulty.New(inner, func(op string) error { asked[op] = true; return cloud.Unavailable })
	root := sp.Root()
	first := func(seq func(func(*cloud.Node, error) bool)) (err error) {
		seq(func(_ *cloud.Node, e error) bool { err = e; return true })
		return err
	}
	errs := map[string]error{
		"DropSpace": s.DropSpace(ctx, sp), "Drop": s.Drop(ctx, sp, id), "SetUpload": s.SetUpload(ctx, &cloud.Upload{}),
		"DropUpload": s.DropUpload(ctx, sp, "u"), "Close": s.Close(),
		"Children": first(s.Children(ctx, sp, root)), "Having": first(s.Having(ctx, sp, cloud.HasAttrs)),
	}
	for _, err := range s.Spaces(ctx) {
		errs["Spaces"] = err
	}
	for _, err := range s.Uploads(ctx, sp) {
		errs["Uploads"] = err
	}
	for _, err := range s.Since(ctx, sp, 0) {
		errs["Since"] = err
	}
	_, errs["Space"] = s.Space(ctx, sp)
	_, errs["SetSpace"] = s.SetSpace(ctx, &cloud.Space{ID: sp})
	_, errs["Free"] = s.Free(ctx)
	_, errs["Node"] = s.Node(ctx, sp, id)
	_, errs["Lookup"] = s.Lookup(ctx, sp, "", "a")
	_, errs["Ancestors"] = s.Ancestors(ctx, sp, id)
	_, _, errs["Open"] = s.Open(ctx, sp, id)
	_, errs["MakeDir"] = s.MakeDir(ctx, sp, root, "d")
	_, _, errs["Write"] = s.Write(ctx, cloud.Write{Space: sp, Dir: root, Name: "c"})
	_, errs["Move"] = s.Move(ctx, sp, id, root, "c")
	_, errs["Edit"] = s.Edit(ctx, sp, id, func(*cloud.Node) error { return nil })
	_, errs["Upload"] = s.Upload(ctx, sp, "u")
	_, errs["AppendUpload"] = s.AppendUpload(ctx, sp, "u", 0, strings.NewReader(""))
	for op, err := range errs {
		if err != cloud.Unavailable || !asked[op] {
			t.Errorf("%s: got %v, asked %v, want %v", op, err, asked[op], cloud.Unavailable)
		}
	}
	if got := inner.Last(); got != last {
		t.Errorf("records of calls that failed: got %d, want none", got-last)
	}
}

func TestBodyBreaks(t *testing.T) {
	inner, sp, _ := house(t)
	s := faulty.New(inner, nth("Write.Read", 4))
	_, _, err := s.Write(ctx, cloud.Write{Space: sp, Dir: sp.Root(), Name: "new", Body: iotest.OneByteReader(strings.NewReader("content")), Size: -1})
	if !errors.Is(err, cloud.Unavailable) {
		t.Errorf("Write whose body breaks: got %v, want %v", err, cloud.Unavailable)
	}
	if _, err := s.Lookup(ctx, sp, "", "new"); !errors.Is(err, cloud.NotExist) {
		t.Errorf("Lookup of what broke: got %v, want %v", err, cloud.NotExist)
	}

	s = faulty.New(inner, nth("AppendUpload.Read", 4))
	if err := s.SetUpload(ctx, &cloud.Upload{ID: "u", Dir: cloud.Ref{Space: sp, Node: sp.Root()}, Name: "new", How: cloud.Put{Size: 7}}); err != nil {
		t.Fatal(err)
	}
	next, err := s.AppendUpload(ctx, sp, "u", 0, iotest.OneByteReader(strings.NewReader("content")))
	if next != 3 || !errors.Is(err, cloud.Unavailable) {
		t.Errorf("AppendUpload whose body breaks: got %d, %v, want 3, %v", next, err, cloud.Unavailable)
	}
	s = faulty.New(inner, nth("AppendUpload", 1))
	if next, err = s.AppendUpload(ctx, sp, "u", 3, strings.NewReader("tent")); next != 3 || err != cloud.Unavailable {
		t.Errorf("AppendUpload that fails: got %d, %v, want 3, %v", next, err, cloud.Unavailable)
	}
}

func TestContentBreaks(t *testing.T) {
	inner, sp, id := house(t)
	c, _, err := faulty.New(inner, nth("Open.Read", 4)).Open(ctx, sp, id)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := io.ReadAll(iotest.OneByteReader(c)); string(got) != "con" || err != cloud.Unavailable {
		t.Errorf("content that breaks: got %q, %v, want %q, %v", got, err, "con", cloud.Unavailable)
	}
	d, _, err := faulty.New(inner, nth("Open.Seek", 1)).Open(ctx, sp, id)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Seek(1, io.SeekStart); err != cloud.Unavailable {
		t.Errorf("Seek that fails: got %v, want %v", err, cloud.Unavailable)
	}
}

func TestListingBreaks(t *testing.T) {
	inner, sp, _ := house(t)
	s := faulty.New(inner, nth("Children.Next", 2))
	var nodes int
	var failed error
	for n, err := range s.Children(ctx, sp, sp.Root()) {
		if err != nil {
			failed = err
			continue // it must end by itself
		}
		if n != nil {
			nodes++
		}
	}
	if nodes != 1 || failed != cloud.Unavailable {
		t.Errorf("listing that breaks: got %d nodes and %v, want 1 and %v", nodes, failed, cloud.Unavailable)
	}
}
