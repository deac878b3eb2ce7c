package storagetest

import (
	"slices"
	"time"

	"opencloud/cloud"
)

var trashTales = []tale{
	{"Trash", func(h *house) {
		a := h.dir(h.root, "a")
		b := h.dir(a.ID, "b")
		c := h.dir(b.ID, "c")
		f := h.file(c.ID, "f", "content")
		h.keep(c.ID, "f", "new content")
		f = h.edit(f.ID, func(n *cloud.Node) { n.Attrs = map[string]string{"k": "v"} })
		was := h.node(b.ID)
		before := time.Now()
		got := h.move(b.ID, cloud.TrashID, "ignored")
		if got.Bin == nil {
			h.Fatalf("trashed node: got no Bin")
		}
		was.Parent, was.Path = cloud.TrashID, "b"
		was.Bin = &cloud.Bin{Path: "a/b", Deleted: got.Bin.Deleted, By: einstein.User.ID}
		h.same("trashed node", got, was)
		if d := got.Bin.Deleted; d.Before(before.Add(-time.Second)) || d.After(time.Now().Add(time.Second)) {
			h.Errorf("Deleted: got %v, want about %v", d, before)
		}
		h.same("Node of the entry", h.node(b.ID), was)
		list := h.list(cloud.TrashID)
		if len(list) != 1 {
			h.Fatalf("entries of the bin: got %d, want 1", len(list))
		}
		h.same("entry of the bin", bare(list[0]), bare(was))

		// Out of the tree.
		for _, path := range []string{"a/b", "a/b/c/f", ".Trash", "b"} {
			_, err := h.Lookup(h.ctx, h.space, "", path)
			h.kind("Lookup of "+path, err, cloud.NotExist)
		}
		h.same("members of where it was", h.names(a.ID), []string{})
		if n := h.node(h.root); n.Size != 0 {
			h.Errorf("size of the root: got %d, want 0", n.Size)
		}

		// Below the entry all is as it was.
		fw, cw := *f, h.node(c.ID)
		fw.Path = "b/c/f"
		h.same("file below the entry", h.node(f.ID), &fw)
		if cw.Path != "b/c" || cw.Parent != b.ID || cw.Bin != nil {
			h.Errorf("directory below the entry: got path %q, parent %s, Bin %v", cw.Path, cw.Parent, cw.Bin)
		}
		n, err := h.Lookup(h.ctx, h.space, b.ID, "c/f")
		if err != nil {
			h.Fatalf("Lookup from the entry: got %v", err)
		}
		h.same("Lookup from the entry", n, &fw)
		if n, err = h.Lookup(h.ctx, h.space, b.ID, ""); err != nil || n.ID != b.ID {
			h.Errorf("Lookup of the entry: got %v, %v", n, err)
		}
		h.same("members of the entry", h.names(b.ID), []string{"c"})
		if got := h.read(f.ID); got != "new content" {
			h.Errorf("content below the entry: got %q", got)
		}
		if v := h.list(cloud.VersionsOf(f.ID)); len(v) != 1 || h.read(v[0].ID) != "content" {
			h.Errorf("versions below the entry: got %v", v)
		}

		// And back.
		n = h.move(b.ID, h.root, "restored")
		was.Parent, was.Name, was.Path, was.Bin = h.root, "restored", "restored", nil
		h.same("restored node", n, was)
		h.same("Node of the restored", h.node(b.ID), was)
		fw.Path = "restored/c/f"
		h.same("file below the restored", h.node(f.ID), &fw)
		h.same("bin", h.names(cloud.TrashID), []string{})
		if n := h.node(h.root); n.Size != int64(len("new content")) {
			h.Errorf("size of the root: got %d", n.Size)
		}
		h.walk()
	}},

	{"TrashSameName", func(h *house) {
		var ids []cloud.NodeID
		for _, body := range []string{"one", "two", "three"} {
			ids = append(ids, h.trash(h.file(h.root, "f", body).ID).ID)
		}
		d := h.dir(h.root, "f")
		h.file(d.ID, "x", "four")
		h.trash(d.ID)
		h.same("entries", h.names(cloud.TrashID), []string{"f", "f", "f", "f"})
		for i, want := range []string{"one", "two", "three"} {
			if got := h.read(ids[i]); got != want {
				h.Errorf("entry %d: got %q, want %q", i, got, want)
			}
		}
		h.move(ids[1], h.root, "f")
		_, err := h.Move(h.ctx, h.space, ids[0], h.root, "f")
		h.kind("restore to a name that is taken", err, cloud.Exist)
		_, err = h.Move(h.ctx, h.space, ids[0], newID(), "f")
		h.kind("restore into what is not there", err, cloud.Conflict)
		h.move(ids[0], h.root, "f (1)")
		if got := h.read(ids[1]) + h.read(ids[0]); got != "twoone" {
			h.Errorf("restored: got %q", got)
		}
		h.drop(ids[2])
		h.same("entries", h.names(cloud.TrashID), []string{"f"})
		if left := h.list(cloud.TrashID); left[0].ID != d.ID {
			h.Errorf("entry left: got %s, want the directory", left[0].ID)
		}
		h.walk()
	}},

	{"TrashNested", func(h *house) {
		// A part goes first, the rest later: two entries, each for itself.
		a := h.dir(h.root, "a")
		b := h.dir(a.ID, "b")
		f := h.file(b.ID, "f", "content")
		g := h.file(b.ID, "g", "content")
		h.trash(f.ID)
		h.trash(a.ID)
		h.same("entries", h.names(cloud.TrashID), []string{"a", "f"})
		if n := h.node(f.ID); n.Bin == nil || n.Bin.Path != "a/b/f" {
			h.Errorf("former life of the first: got %v", n.Bin)
		}
		// What lies below an entry can be restored alone.
		if n := h.move(g.ID, h.root, "g2"); n.Path != "g2" || n.Parent != h.root || n.Bin != nil {
			h.Errorf("restored from below: got %+v", n)
		}
		h.same("left in the entry", h.names(b.ID), []string{})
		if n := h.node(a.ID); n.Size != 0 || n.Bin == nil {
			h.Errorf("entry: got size %d, Bin %v, want 0 and one", n.Size, n.Bin)
		}
		// And dropped alone.
		h.drop(b.ID)
		h.same("left in the entry", h.names(a.ID), []string{})
		h.move(a.ID, h.root, "a")
		h.move(f.ID, a.ID, "f")
		h.same("tree", h.names(a.ID), []string{"f"})
		h.walk()
	}},

	{"TrashAgain", func(h *house) {
		f := h.file(h.root, "f", "content")
		for i, name := range []string{"x", "y", "z"} {
			if n := h.trash(f.ID); n.ID != f.ID || n.Bin == nil {
				h.Fatalf("round %d: got %+v", i, n)
			}
			if n := h.move(f.ID, h.root, name); n.ID != f.ID || n.Name != name {
				h.Fatalf("round %d: got %+v", i, n)
			}
		}
		if n := h.trash(f.ID); n.Bin.Path != "z" || n.Name != "z" {
			h.Errorf("former life: got %+v", n.Bin)
		}
	}},

	{"Purge", func(h *house) {
		a := h.dir(h.root, "a")
		f := h.file(a.ID, "f", "content")
		h.keep(a.ID, "f", "new content")
		v := h.list(cloud.VersionsOf(f.ID))[0]
		stays := h.trash(h.file(h.root, "stays", "content").ID)
		h.trash(a.ID)
		if tags := h.changed(func() { h.drop(a.ID) }); len(tags) != 0 {
			h.Errorf("ETags in the tree that a purge changed: got %q, want none", tags)
		}
		for _, id := range []cloud.NodeID{a.ID, f.ID, v.ID} {
			_, err := h.Node(h.ctx, h.space, id)
			h.kind("Node of what was purged", err, cloud.NotExist)
		}
		ids := []cloud.NodeID{}
		for _, n := range h.list(cloud.TrashID) {
			ids = append(ids, n.ID)
		}
		if !slices.Equal(ids, []cloud.NodeID{stays.ID}) {
			h.Errorf("bin: got %v, want %v", ids, stays.ID)
		}
	}},
}
