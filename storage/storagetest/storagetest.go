// Package storagetest is what it means to be a cloud.Store: every sentence of
// the contract as a test. It is an ordinary package, so that a store outside
// of this tree can run it; it is not where a store's own layout is tested.
package storagetest

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"opencloud/cloud"
)

// A tale is one test of the kit. It has a space of its own in a store that
// it shares with the others.
type tale struct {
	name string
	tell func(*house)
}

// Run tests the store that open returns, which must be empty. Run closes it.
func Run(t *testing.T, open func(t *testing.T) cloud.Store) {
	s := open(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: got %v", err)
		}
	})
	for _, tales := range [][]tale{spaceTales, treeTales, trashTales, contentTales, versionTales, editTales, uploadTales, riseTales, journalTales, crowdTales} {
		for _, c := range tales {
			t.Run(c.name, func(t *testing.T) { c.tell(newHouse(t, s)) })
		}
	}
	t.Run("Model", func(t *testing.T) { model(t, s) })
}

// tb is what testing.T and rapid.T have in common.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// A house is a space with short words to use it by. What must succeed for
// the test to make sense is fatal.
type house struct {
	tb
	cloud.Store
	ctx   context.Context
	space cloud.SpaceID
	root  cloud.NodeID
}

var einstein = cloud.Caller{User: &cloud.User{ID: "4c510ada-c86b-4815-8820-42cdf82c3d51", Name: "einstein"}, Initiator: "relativity"}

func newHouse(t tb, s cloud.Store) *house {
	t.Helper()
	h := &house{tb: t, Store: s, ctx: cloud.WithCaller(context.Background(), einstein)}
	sp, err := s.SetSpace(h.ctx, &cloud.Space{ID: s.NewSpaceID(cloud.Project, ""), Kind: cloud.Project, Name: "House"})
	if err != nil {
		t.Fatalf("SetSpace: got %v", err)
	}
	h.space, h.root = sp.ID, sp.ID.Root()
	return h
}

// another is a second space of the same store.
func (h *house) another() *house {
	h.Helper()
	return newHouse(h.tb, h.Store)
}

func (h *house) dir(parent cloud.NodeID, name string) *cloud.Node {
	h.Helper()
	n, err := h.MakeDir(h.ctx, h.space, parent, name)
	if err != nil {
		h.Fatalf("MakeDir %q: got %v", name, err)
	}
	return n
}

// content is a Write of a body to a name.
func (h *house) content(parent cloud.NodeID, name, body string) cloud.Write {
	return cloud.Write{Space: h.space, Dir: parent, Name: name, Body: strings.NewReader(body), Size: int64(len(body))}
}

func (h *house) write(w cloud.Write) *cloud.Node {
	h.Helper()
	n, _, err := h.Write(h.ctx, w)
	if err != nil {
		h.Fatalf("Write %q: got %v", w.Name, err)
	}
	return n
}

func (h *house) file(parent cloud.NodeID, name, body string) *cloud.Node {
	h.Helper()
	return h.write(h.content(parent, name, body))
}

// keep writes a file and keeps what it replaces.
func (h *house) keep(parent cloud.NodeID, name, body string) *cloud.Node {
	h.Helper()
	w := h.content(parent, name, body)
	w.Keep = true
	return h.write(w)
}

func (h *house) node(id cloud.NodeID) *cloud.Node {
	h.Helper()
	n, err := h.Node(h.ctx, h.space, id)
	if err != nil {
		h.Fatalf("Node %s: got %v", id, err)
	}
	return n
}

func (h *house) move(id, dir cloud.NodeID, name string) *cloud.Node {
	h.Helper()
	n, err := h.Move(h.ctx, h.space, id, dir, name)
	if err != nil {
		h.Fatalf("Move %s to %s/%q: got %v", id, dir, name, err)
	}
	return n
}

func (h *house) trash(id cloud.NodeID) *cloud.Node {
	h.Helper()
	return h.move(id, cloud.TrashID, "")
}

func (h *house) drop(id cloud.NodeID) {
	h.Helper()
	if err := h.Drop(h.ctx, h.space, id); err != nil {
		h.Fatalf("Drop %s: got %v", id, err)
	}
}

func (h *house) edit(id cloud.NodeID, fn func(*cloud.Node)) *cloud.Node {
	h.Helper()
	n, err := h.Edit(h.ctx, h.space, id, func(n *cloud.Node) error { fn(n); return nil })
	if err != nil {
		h.Fatalf("Edit %s: got %v", id, err)
	}
	return n
}

// list is the members of a directory as they come.
func (h *house) list(dir cloud.NodeID) (all []*cloud.Node) {
	h.Helper()
	for n, err := range h.Children(h.ctx, h.space, dir) {
		if err != nil {
			h.Fatalf("Children %s: got %v", dir, err)
		}
		all = append(all, n)
	}
	return all
}

// names is the sorted names of a directory's members.
func (h *house) names(dir cloud.NodeID) []string {
	h.Helper()
	names := []string{}
	for _, n := range h.list(dir) {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names
}

func (h *house) read(id cloud.NodeID) string {
	h.Helper()
	c, _, err := h.Open(h.ctx, h.space, id)
	if err != nil {
		h.Fatalf("Open %s: got %v", id, err)
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		h.Fatalf("read %s: got %v", id, err)
	}
	return string(b)
}

// walk is all nodes of the tree by path, and fails where a directory's size
// is not the sum of its members', or a listing is not what Node says.
func (h *house) walk() map[string]*cloud.Node {
	h.Helper()
	all := map[string]*cloud.Node{}
	h.walkFrom(h.node(h.root), all)
	return all
}

func (h *house) walkFrom(n *cloud.Node, all map[string]*cloud.Node) {
	h.Helper()
	all[n.Path] = n
	if !n.Dir {
		return
	}
	var sum int64
	for _, listed := range h.list(n.ID) {
		m := h.node(listed.ID)
		h.same("what Children and Node say of "+m.Path, bare(listed), bare(m))
		if m.Parent != n.ID || m.Path != cloud.Join(n.Path, m.Name) {
			h.Errorf("member of %q: got parent %s and path %q, want %s and %q", n.Path, m.Parent, m.Path, n.ID, cloud.Join(n.Path, m.Name))
		}
		sum += m.Size
		h.walkFrom(m, all)
	}
	if n.Size != sum {
		h.Errorf("size of directory %q: got %d, want the sum of its members, %d", n.Path, n.Size, sum)
	}
}

// bare is a node without what a listing need not load.
func bare(n *cloud.Node) *cloud.Node {
	c := *n
	c.Grants, c.Locks, c.Attrs = nil, nil, nil
	return &c
}

// records is what the journal holds of the space after a cursor.
func (h *house) records(after cloud.Cursor) (all []*cloud.Record) {
	h.Helper()
	for r, err := range h.Since(h.ctx, h.space, after) {
		if err != nil {
			h.Fatalf("Since %d: got %v", after, err)
		}
		all = append(all, r)
	}
	return all
}

// same fails unless got is want, to the letter.
func (h *house) same(what string, got, want any) {
	h.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		h.Errorf("%s: (-want +got)\n%s", what, diff)
	}
}

// kind fails unless err is of the kind.
func (h *house) kind(what string, err error, want cloud.Kind) {
	h.Helper()
	if !errors.Is(err, want) {
		h.Errorf("%s: got %v, want an error that is %q", what, err, want)
	}
}

// unchanged runs fn and fails if it left a trace that anybody could see.
func (h *house) unchanged(what string, fn func()) {
	h.Helper()
	type trace struct {
		Tree    map[string]*cloud.Node
		Bin     []*cloud.Node
		Uploads []*cloud.Upload
		Records []*cloud.Record
	}
	last := h.Last()
	look := func() trace {
		h.Helper()
		bin := h.list(cloud.TrashID)
		slices.SortFunc(bin, func(a, b *cloud.Node) int { return strings.Compare(string(a.ID), string(b.ID)) })
		return trace{h.walk(), bin, h.uploads(), h.records(last)}
	}
	before := look()
	fn()
	h.same("what is left after "+what, look(), before)
}

// changed runs fn and returns the paths of the nodes that are in the tree
// before and after, and have another ETag.
func (h *house) changed(fn func()) []string {
	h.Helper()
	tags := func() map[cloud.NodeID]*cloud.Node {
		m := map[cloud.NodeID]*cloud.Node{}
		for _, n := range h.walk() {
			m[n.ID] = n
		}
		return m
	}
	before := tags()
	fn()
	paths := []string{}
	for id, n := range tags() {
		if b := before[id]; b != nil && b.ETag != n.ETag {
			paths = append(paths, n.Path)
		}
	}
	slices.Sort(paths)
	return paths
}

// uploads is all uploads of the space by id.
func (h *house) uploads() []*cloud.Upload {
	h.Helper()
	all := map[cloud.UploadID]*cloud.Upload{}
	for u, err := range h.Uploads(h.ctx, h.space) {
		if err != nil {
			h.Fatalf("Uploads: got %v", err)
		}
		all[u.ID] = u
	}
	var sorted []*cloud.Upload
	for _, id := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[id])
	}
	return sorted
}

// first is the first error of an iteration.
func first[T any](seq func(func(T, error) bool)) (err error) {
	seq(func(_ T, e error) bool { err = e; return e == nil })
	return err
}

// count is how many an iteration yields; an error counts as one.
func count[T any](seq func(func(T, error) bool)) (n int) {
	seq(func(T, error) bool { n++; return true })
	return n
}

// long is a body of n bytes without a period that a buffer could have.
func long(n int) string {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return string(b)
}

// when is a time that only a nanosecond clock can tell.
func when(year int) time.Time { return time.Date(year, 2, 3, 4, 5, 6, 123456789, time.UTC) }

func newID() cloud.NodeID { return cloud.NodeID(cloud.NewUUID().String()) }
