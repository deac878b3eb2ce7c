package storagetest

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"opencloud/cloud"
)

// Sizes, times and ETags rise to the root with every change, and nowhere else.
var riseTales = []tale{
	{"ETags", func(h *house) {
		type tree struct{ a, b, f, g, c, d, x, e *cloud.Node }
		const all = " a a/b a/b/f a/g c c/d c/x e" // with the root, the empty path
		plant := func(h *house) (t tree) {
			t.a = h.dir(h.root, "a")
			t.b = h.dir(t.a.ID, "b")
			t.f = h.file(t.b.ID, "f", "content")
			t.g = h.file(t.a.ID, "g", "content")
			t.c = h.dir(h.root, "c")
			t.d = h.dir(t.c.ID, "d")
			t.x = h.file(t.c.ID, "x", "content")
			t.e = h.file(h.root, "e", "content")
			return t
		}
		lock := func(n *cloud.Node) { n.Locks = []cloud.Lock{{Token: "urn:uuid:x", Expires: when(2040)}} }
		grant := func(n *cloud.Node) { n.Grants = []cloud.Grant{{To: cloud.Subject{User: "u"}, Rights: cloud.CanRead}} }
		attr := func(n *cloud.Node) { n.Attrs = map[string]string{"k": "v"} }
		for _, c := range []struct {
			what string
			act  func(*house, tree)
			want string // paths afterwards of those that get another ETag, after a blank each
		}{
			{"write over", func(h *house, t tree) { h.file(t.b.ID, "f", "new") }, " a a/b a/b/f"},
			{"write over, kept", func(h *house, t tree) { h.keep(t.a.ID, "g", "new") }, " a a/g"},
			{"write over with the same", func(h *house, t tree) { h.file(t.b.ID, "f", "content") }, " a a/b a/b/f"},
			{"write at the root", func(h *house, t tree) { h.file(h.root, "e", "new") }, " e"},
			{"new file", func(h *house, t tree) { h.file(t.d.ID, "new", "x") }, " c c/d"},
			{"new empty file", func(h *house, t tree) { h.file(t.d.ID, "new", "") }, " c c/d"},
			{"new directory", func(h *house, t tree) { h.dir(t.b.ID, "new") }, " a a/b"},
			{"rename", func(h *house, t tree) { h.move(t.f.ID, t.b.ID, "F") }, " a a/b"},
			{"rename of a directory", func(h *house, t tree) { h.move(t.b.ID, t.a.ID, "B") }, " a"},
			{"move", func(h *house, t tree) { h.move(t.f.ID, t.d.ID, "f") }, " a a/b c c/d"},
			{"move up", func(h *house, t tree) { h.move(t.f.ID, t.a.ID, "f") }, " a a/b"},
			{"move of a directory", func(h *house, t tree) { h.move(t.b.ID, t.d.ID, "b") }, " a c c/d"},
			{"trash", func(h *house, t tree) { h.trash(t.f.ID) }, " a a/b"},
			{"trash of a directory", func(h *house, t tree) { h.trash(t.a.ID) }, ""},
			{"trash and restore", func(h *house, t tree) { h.move(h.trash(t.b.ID).ID, t.d.ID, "b") }, " a c c/d"},
			{"drop", func(h *house, t tree) { h.drop(t.g.ID) }, " a"},
			{"drop of a directory", func(h *house, t tree) { h.drop(t.d.ID) }, " c"},
			{"time of a file", func(h *house, t tree) { h.edit(t.f.ID, func(n *cloud.Node) { n.MTime = when(2001) }) }, " a a/b a/b/f"},
			{"attribute of a file", func(h *house, t tree) { h.edit(t.g.ID, attr) }, " a"},
			{"attribute of a directory", func(h *house, t tree) { h.edit(t.b.ID, attr) }, " a a/b"},
			{"attribute of the root", func(h *house, t tree) { h.edit(h.root, attr) }, ""},
			{"grant on a file", func(h *house, t tree) { h.edit(t.g.ID, grant) }, " a"},
			{"grant on a directory", func(h *house, t tree) { h.edit(t.b.ID, grant) }, " a a/b"},
			{"lock of a file", func(h *house, t tree) { h.edit(t.f.ID, lock) }, "none"},
			{"lock of a directory", func(h *house, t tree) { h.edit(t.b.ID, lock) }, "none"},
			{"version filed", func(h *house, t tree) { h.write(h.content(cloud.VersionsOf(t.f.ID), "20010203T040506Z", "x")) }, "none"},
			{"upload under way", func(h *house, t tree) { h.fill(h.begin("new", 5).ID, 0, "12345") }, "none"},
			{"upload over a file", func(h *house, t tree) {
				u := h.begin("f", 5)
				h.fill(u.ID, 0, "12345")
				w := h.end(u)
				w.Dir = t.b.ID
				h.write(w)
			}, " a a/b a/b/f"},
			{"refusal", func(h *house, t tree) {
				w := h.content(t.b.ID, "f", "new")
				w.Check = func(*cloud.Node, int64) error { return cloud.Locked }
				if _, _, err := h.Write(h.ctx, w); !errors.Is(err, cloud.Locked) {
					h.Errorf("Write that Check refused: got %v", err)
				}
			}, "none"},
			{"edit in the bin", func(h *house, t tree) {
				h.trash(t.f.ID)
				if tags := h.changed(func() { h.edit(t.f.ID, attr) }); len(tags) != 0 {
					h.Errorf("ETags after an edit in the bin: got %q changed, want none", tags)
				}
			}, " a a/b"},
		} {
			h := h.another()
			t := plant(h)
			if got := strings.Join(slices.DeleteFunc(slices.Sorted(maps.Keys(h.walk())), func(p string) bool { return p == "" }), " "); " "+got != all {
				h.Fatalf("planted tree: got %q, want %q", got, all)
			}
			got := h.changed(func() { c.act(h, t) })
			want := strings.Split(c.want, " ") // the first is the root, the empty path
			if c.want == "none" {
				want = []string{}
			}
			slices.Sort(want)
			h.same("nodes with another ETag after: "+c.what, got, want)
			h.walk() // and all sizes are sums
		}
	}},

	{"SizesAndTimes", func(h *house) {
		a := h.dir(h.root, "a")
		b := h.dir(a.ID, "b")
		c := h.dir(h.root, "c")
		check := func(what string, sizes ...int64) {
			h.Helper()
			for i, id := range []cloud.NodeID{h.root, a.ID, b.ID, c.ID} {
				if n := h.node(id); n.Size != sizes[i] {
					h.Errorf("size of %q after %s: got %d, want %d", n.Path, what, n.Size, sizes[i])
				}
			}
		}
		times := func() (m []int64) {
			for _, id := range []cloud.NodeID{h.root, a.ID, b.ID, c.ID} {
				m = append(m, h.node(id).MTime.UnixNano())
			}
			return m
		}
		check("making", 0, 0, 0, 0)
		before := times()
		w := h.content(b.ID, "f", "12345")
		w.MTime = when(2001)
		f := h.write(w)
		check("a write", 5, 5, 5, 0)
		after := times()
		for i, name := range []string{"", "a", "a/b"} {
			if after[i] < before[i] {
				h.Errorf("MTime of %q after a write: got an earlier one than before", name)
			}
		}
		if after[0] != after[1] || after[1] != after[2] {
			h.Errorf("MTimes of all above a write: got %v, want the same", after[:3])
		}
		if after[3] != before[3] {
			h.Errorf("MTime of a directory beside: got another")
		}
		h.keep(b.ID, "f", "123")
		check("a shorter write, kept", 3, 3, 3, 0)
		h.file(b.ID, "f", "1234567")
		check("a longer write", 7, 7, 7, 0)
		h.file(a.ID, "g", "12")
		check("a write above", 9, 9, 7, 0)
		h.move(f.ID, c.ID, "f")
		check("a move", 9, 2, 0, 7)
		h.move(f.ID, b.ID, "f")
		check("a move back", 9, 9, 7, 0)
		h.move(b.ID, c.ID, "b")
		check("a move of a directory", 9, 2, 7, 7)
		h.trash(b.ID)
		check("trash", 2, 2, 7, 0)
		h.move(f.ID, a.ID, "f")
		check("restore from below", 9, 9, 0, 0)
		h.move(b.ID, a.ID, "b")
		check("restore", 9, 9, 0, 0)
		h.drop(f.ID)
		check("drop", 2, 2, 0, 0)
		h.fill(h.begin("u", 10).ID, 0, "1234567890")
		check("an upload under way", 2, 2, 0, 0)
	}},
}
