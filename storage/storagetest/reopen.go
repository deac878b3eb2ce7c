package storagetest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"opencloud/cloud"
)

// A photograph is all that can be seen of a store.
type photograph struct {
	Last    cloud.Cursor
	Records []*cloud.Record
	Spaces  map[cloud.SpaceID]album
}

type album struct {
	Space    *cloud.Space
	Tree     map[string]*cloud.Node
	Bin      map[cloud.NodeID]*cloud.Node // all that is in it, at any depth
	Bodies   map[cloud.NodeID]string
	Versions map[cloud.NodeID][]*cloud.Node
	Having   []cloud.NodeID
	Uploads  []*cloud.Upload
}

func (h *house) photograph() photograph {
	h.Helper()
	p := photograph{Last: h.Last(), Spaces: map[cloud.SpaceID]album{}}
	for r, err := range h.Since(h.ctx, "", 0) {
		if err != nil {
			h.Fatalf("Since 0: got %v", err)
		}
		p.Records = append(p.Records, r)
	}
	for sp, err := range h.Spaces(h.ctx) {
		if err != nil {
			h.Fatalf("Spaces: got %v", err)
		}
		in := *h
		in.space, in.root = sp.ID, sp.ID.Root()
		a := album{Space: sp, Tree: in.walk(), Bin: map[cloud.NodeID]*cloud.Node{}, Bodies: map[cloud.NodeID]string{}, Versions: map[cloud.NodeID][]*cloud.Node{},
			Having: in.having(cloud.HasGrants | cloud.HasLocks | cloud.HasAttrs), Uploads: in.uploads()}
		for _, n := range in.list(cloud.TrashID) {
			below := map[string]*cloud.Node{}
			in.walkFrom(in.node(n.ID), below)
			for _, n := range below {
				a.Bin[n.ID] = n
			}
		}
		for _, n := range slices.Concat(slices.Collect(maps.Values(a.Tree)), slices.Collect(maps.Values(a.Bin))) {
			if n.Dir {
				continue
			}
			a.Bodies[n.ID] = in.read(n.ID)
			a.Versions[n.ID] = in.list(cloud.VersionsOf(n.ID))
			for _, v := range a.Versions[n.ID] {
				a.Bodies[v.ID] = in.read(v.ID)
			}
		}
		p.Spaces[sp.ID] = a
	}
	return p
}

// furnish puts something of everything into a space.
func (h *house) furnish() {
	h.Helper()
	a := h.dir(h.root, "a")
	b := h.dir(a.ID, "b ü 🙂")
	h.file(b.ID, "small", "content")
	h.file(b.ID, "empty", "")
	w := h.content(a.ID, "large", long(1<<20))
	w.MTime, w.State = when(1999), cloud.Pending
	h.write(w)
	for i := range 4 {
		h.keep(a.ID, "versions", long(i*30_000))
	}
	f := h.file(h.root, "rare", "content")
	for _, id := range []cloud.NodeID{f.ID, b.ID, h.root} {
		h.edit(id, func(n *cloud.Node) {
			n.Attrs = map[string]string{"k": "v", "prop.{DAV:}x": "<y/>"}
			n.Grants = []cloud.Grant{{To: cloud.Subject{User: "u"}, Rights: cloud.CanRead, By: "v", Made: when(2001), Expires: when(2040)}}
			n.Locks = []cloud.Lock{{Token: "urn:uuid:x", By: "u", Owner: "o", Expires: when(2040)}}
		})
	}
	h.edit(h.dir(h.root, "dated").ID, func(n *cloud.Node) { n.MTime = when(2002) })
	d := h.dir(h.root, "trashed")
	h.keep(h.dir(d.ID, "below").ID, "f", "one")
	n, err := h.Lookup(h.ctx, h.space, d.ID, "below")
	if err != nil {
		h.Fatalf("Lookup: got %v", err)
	}
	h.keep(n.ID, "f", "two")
	h.trash(d.ID)
	h.trash(h.file(h.root, "trashed", "too").ID)
	moved := h.dir(h.root, "moved")
	h.file(moved.ID, "f", "content")
	h.move(moved.ID, b.ID, "moved")
	h.drop(h.file(h.root, "dropped", "content").ID)
	h.begin("untouched", 10)
	h.fill(h.begin("half", 10).ID, 0, "01234")
	h.fill(h.begin("large half", 1<<20).ID, 0, long(300_000))
}

// Reopen tests that a store is the same after it was closed and opened again.
// place makes room for a store and returns how to open the store that is
// there: an empty one at first. It is called again after Close only.
func Reopen(t *testing.T, place func(t *testing.T) (open func() cloud.Store)) {
	again := func(h *house, open func() cloud.Store) {
		h.Helper()
		if err := h.Close(); err != nil {
			h.Fatalf("Close: got %v", err)
		}
		h.Store = open()
	}
	t.Run("Same", func(t *testing.T) {
		open := place(t)
		h := newHouse(t, open())
		h.furnish()
		const owner = "4c510ada-c86b-4815-8820-42cdf82c3d51"
		home := h.NewSpaceID(cloud.Personal, owner)
		_, err := h.SetSpace(h.ctx, &cloud.Space{ID: home, Kind: cloud.Personal, Name: "Ü", Alias: "personal/x", Description: "d", Owner: owner,
			Quota: 1 << 50, Made: when(2001), Disabled: when(2002), Root: &cloud.Node{Grants: []cloud.Grant{{To: cloud.Subject{User: owner}, Rights: cloud.SpaceManager}}}})
		if err != nil {
			t.Fatalf("SetSpace: got %v", err)
		}
		if err := h.DropSpace(h.ctx, h.another().space); err != nil {
			t.Fatalf("DropSpace: got %v", err)
		}
		want := h.photograph()
		for round := range 3 {
			again(h, open)
			h.same(fmt.Sprint("the store, opened again: ", round+1), h.photograph(), want)
			if got := h.NewSpaceID(cloud.Personal, owner); got != home {
				t.Errorf("NewSpaceID, opened again: got %s, want %s", got, home)
			}
		}
		// A walk through another store finds other things first: without a
		// look at all beforehand, look at the deepest.
		again(h, open)
		n, err := h.Lookup(h.ctx, h.space, "", "a/b ü 🙂/moved/f")
		if err != nil {
			t.Fatalf("Lookup: got %v", err)
		}
		again(h, open)
		if m := h.node(n.ID); m.Path != n.Path || m.ETag != n.ETag {
			t.Errorf("Node by id, opened again: got %q with ETag %q, want %q with %q", m.Path, m.ETag, n.Path, n.ETag)
		}
		if err := h.Close(); err != nil {
			t.Errorf("Close: got %v", err)
		}
	})

	t.Run("GoesOn", func(t *testing.T) {
		open := place(t)
		h := newHouse(t, open())
		a := h.dir(h.root, "a")
		f := h.file(a.ID, "f", "0")
		u := h.begin("u", 8)
		tags, seqs := map[string]bool{}, []cloud.Cursor{}
		sum := int64(1)
		for round := range 6 {
			last := h.Last()
			again(h, open)
			if got := h.Last(); got != last {
				t.Errorf("Last, opened again: got %d, want %d", got, last)
			}
			h.keep(a.ID, "f", fmt.Sprint(round))
			h.file(a.ID, fmt.Sprint("g", round), "12")
			sum += 2
			h.fill(u.ID, int64(round), "x")
			h.trash(h.file(h.root, "t", "content").ID)
			for _, r := range h.records(last) {
				seqs = append(seqs, r.Seq)
			}
			for _, id := range []cloud.NodeID{h.root, a.ID} {
				n := h.node(id)
				if tags[n.ETag] {
					t.Errorf("ETag of %q after a change: got one that was used before", n.Path)
				}
				if n.Size != sum {
					t.Errorf("size of %q: got %d, want %d", n.Path, n.Size, sum)
				}
				tags[n.ETag] = true
			}
		}
		again(h, open)
		if !slices.IsSorted(seqs) || len(slices.Compact(seqs)) != 6*4 {
			t.Errorf("cursors over all openings: got %v, want 24 that grow", seqs)
		}
		h.same("versions over all openings", h.contents(f.ID), []string{"4", "3", "2", "1", "0", "0"})
		h.same("bin over all openings", h.names(cloud.TrashID), slices.Repeat([]string{"t"}, 6))
		h.fill(u.ID, 6, "yz")
		if n := h.write(h.end(u)); h.read(n.ID) != "xxxxxxyz" {
			t.Errorf("upload over all openings: got %q", h.read(n.ID))
		}
		for _, n := range h.list(cloud.TrashID) {
			h.move(n.ID, h.root, string(n.ID))
		}
		h.walk()
		if err := h.Close(); err != nil {
			t.Errorf("Close: got %v", err)
		}
	})

	t.Run("Empty", func(t *testing.T) {
		open := place(t)
		s := open()
		id := s.NewSpaceID(cloud.Personal, "u")
		for range 2 {
			if err := s.Close(); err != nil {
				t.Fatalf("Close: got %v", err)
			}
			s = open()
			if got := s.NewSpaceID(cloud.Personal, "u"); got != id {
				t.Errorf("NewSpaceID of an empty store, opened again: got %s, want %s", got, id)
			}
		}
		newHouse(t, s).furnish()
		if err := s.Close(); err != nil {
			t.Errorf("Close: got %v", err)
		}
	})
}
