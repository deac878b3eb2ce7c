package storagetest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
)

// having is the ids of the nodes with a trait, sorted.
func (h *house) having(t cloud.Traits) []cloud.NodeID {
	h.Helper()
	ids := []cloud.NodeID{}
	for n, err := range h.Having(h.ctx, h.space, t) {
		if err != nil {
			h.Fatalf("Having: got %v", err)
		}
		h.same("what Having and Node say of "+n.Path, n, h.node(n.ID))
		ids = append(ids, n.ID)
	}
	slices.Sort(ids)
	return ids
}

func sorted(ids ...cloud.NodeID) []cloud.NodeID {
	slices.Sort(ids)
	return ids
}

var editTales = []tale{
	{"Edit", func(h *house) {
		d := h.dir(h.root, "d")
		for _, id := range []cloud.NodeID{h.file(d.ID, "f", "content").ID, d.ID, h.root} {
			want := h.node(id)
			step := func(what string, fn func(*cloud.Node), expect func()) {
				h.Helper()
				got := h.edit(id, fn)
				expect()
				if want.Dir {
					want.ETag = got.ETag
					if what != "time" {
						want.MTime = got.MTime
					}
				} else if what == "time" {
					want.ETag = got.ETag
				} else if got.ETag != want.ETag && what != "state" {
					h.Errorf("ETag of a file after a change of %s: got another, %q", what, got.ETag)
				} else {
					want.ETag = got.ETag
				}
				h.same("Edit of "+what, got, want)
				h.same("Node after Edit of "+what, h.node(id), want)
			}
			attrs := map[string]string{"tag": "a", "prop.{http://example.com/ns}näme": "<x>&amp;</x>", "empty": "", "newline\n": "\x00\n", "large": strings.Repeat("large ", 7_000)}
			step("attributes", func(n *cloud.Node) { n.Attrs = attrs }, func() {
				want.Attrs, want.Traits = attrs, want.Traits|cloud.HasAttrs
			})
			grants := []cloud.Grant{
				{ID: "1", To: cloud.Subject{User: "u1"}, Rights: cloud.SpaceViewer, By: "u2", Made: when(2001), Expires: when(2040)},
				{ID: "2", To: cloud.Subject{Group: "g1"}, Rights: cloud.AllRights},
				{ID: "3", To: cloud.Subject{Link: "t"}, Rights: cloud.CanStat, By: "u2", Link: &cloud.Link{Name: "ü", Quick: true, Secret: "$hash$"}},
				{ID: "4", To: cloud.Subject{User: "u3"}},
			}
			step("grants", func(n *cloud.Node) { n.Grants = grants }, func() {
				want.Grants, want.Traits = grants, want.Traits|cloud.HasGrants
			})
			named := slices.Clone(grants)
			named[2].Link = &cloud.Link{Name: "another", Secret: "$hash$"}
			step("a link", func(n *cloud.Node) { n.Grants[2].Link = named[2].Link }, func() { want.Grants = named })
			step("a link as it was", func(n *cloud.Node) { n.Grants = grants }, func() { want.Grants = grants })
			locks := []cloud.Lock{
				{Token: "urn:uuid:1", By: "u1", Owner: "<D:href>me</D:href>", Shared: true, Deep: true, Expires: when(2040), Timeout: time.Minute},
				{Token: "urn:uuid:2", By: "u2", Shared: true, Expires: when(2041)},
			}
			step("locks", func(n *cloud.Node) { n.Locks = locks }, func() {
				want.Locks, want.Traits = locks, want.Traits|cloud.HasLocks
			})
			step("time", func(n *cloud.Node) { n.MTime = when(2001) }, func() { want.MTime = when(2001) })
			if !want.Dir {
				step("state", func(n *cloud.Node) { n.State = cloud.Quarantined }, func() { want.State = cloud.Quarantined })
			}
			step("one attribute", func(n *cloud.Node) { delete(n.Attrs, "large"); n.Attrs["tag"] = "b" }, func() {
				want.Attrs = map[string]string{"tag": "b", "prop.{http://example.com/ns}näme": "<x>&amp;</x>", "empty": "", "newline\n": "\x00\n"}
			})
			step("one grant", func(n *cloud.Node) { n.Grants = n.Grants[1:] }, func() { want.Grants = grants[1:] })
			step("all", func(n *cloud.Node) { n.Attrs, n.Grants, n.Locks = nil, nil, nil }, func() {
				want.Attrs, want.Grants, want.Locks, want.Traits = nil, nil, nil, 0
			})
		}
		h.walk()
	}},

	{"EditOnlyThat", func(h *house) {
		f := h.file(h.root, "f", "content")
		h.edit(f.ID, func(n *cloud.Node) {
			n.ID, n.Name, n.Parent, n.Path, n.Space = newID(), "g", newID(), "x/g", "x$y"
			n.Size, n.Dir, n.ETag, n.Sums, n.Traits = 99, true, "etag", cloud.Sums{}, cloud.HasLocks
			n.Bin = &cloud.Bin{Path: "x"}
			n.Rights = cloud.AllRights
		})
		h.same("file whose other fields fn altered", h.node(f.ID), f)
		if _, err := h.Lookup(h.ctx, h.space, "", "f"); err != nil {
			h.Errorf("Lookup: got %v", err)
		}
	}},

	{"EditRefused", func(h *house) {
		d := h.dir(h.root, "d")
		refused := errors.New("refused")
		h.edit(d.ID, func(n *cloud.Node) {
			n.Attrs = map[string]string{"k": "v"}
			n.Grants = []cloud.Grant{{To: cloud.Subject{Link: "t"}, Rights: cloud.CanRead, Link: &cloud.Link{Name: "name"}}}
		})
		h.unchanged("an Edit that fails", func() {
			_, err := h.Edit(h.ctx, h.space, d.ID, func(n *cloud.Node) error {
				n.Attrs["k"], n.Attrs["l"] = "w", "x"
				n.Grants[0].Rights, n.Grants[0].Link.Name = cloud.AllRights, "another"
				n.Locks = []cloud.Lock{{Token: "t", Expires: when(2040)}}
				n.MTime = when(2001)
				return refused
			})
			if err != refused {
				h.Errorf("Edit that fn refused: got %v, want fn's error as is", err)
			}
		})
	}},

	{"EditOfNothing", func(h *house) {
		d := h.dir(h.root, "d")
		f := h.file(d.ID, "f", "content")
		for _, id := range []cloud.NodeID{d.ID, f.ID} {
			if tags := h.changed(func() { h.edit(id, func(*cloud.Node) {}) }); len(tags) != 0 {
				h.Errorf("ETags after an Edit that alters nothing: got %q changed, want none", tags)
			}
		}
	}},

	{"Copies", func(h *house) {
		// Whoever keeps what was handed in or out has no hand in the store.
		f := h.file(h.root, "f", "content")
		attrs := map[string]string{"k": "v"}
		grants := []cloud.Grant{{To: cloud.Subject{Link: "t"}, Rights: cloud.CanRead, Link: &cloud.Link{Name: "name"}}}
		var kept *cloud.Node
		got := h.edit(f.ID, func(n *cloud.Node) { n.Attrs, n.Grants, kept = attrs, grants, n })
		want := h.node(f.ID)
		attrs["k"], grants[0].Rights, grants[0].Link.Name = "w", 0, "another"
		kept.Attrs["x"], kept.Name = "y", "z"
		h.same("node after what was handed in was altered", h.node(f.ID), want)
		_ = got
		h.edit(f.ID, func(n *cloud.Node) { kept = n })
		kept.Attrs["k"], kept.Grants[0].Rights, kept.Grants[0].Link.Name = "x", 0, "another"
		h.same("node after what fn was given was altered", h.node(f.ID), want)
	}},

	{"Traits", func(h *house) {
		d := h.dir(h.root, "d")
		f := h.file(d.ID, "f", "content")
		g := h.file(h.root, "g", "content")
		all := cloud.HasGrants | cloud.HasLocks | cloud.HasAttrs
		h.same("Having at first", h.having(all), []cloud.NodeID{})
		grant := []cloud.Grant{{To: cloud.Subject{User: "u"}, Rights: cloud.CanRead}}
		lock := []cloud.Lock{{Token: "urn:uuid:1", Expires: when(2040)}}
		h.edit(f.ID, func(n *cloud.Node) { n.Grants = grant })
		h.edit(d.ID, func(n *cloud.Node) { n.Locks = lock })
		h.edit(g.ID, func(n *cloud.Node) { n.Locks = lock })
		h.edit(h.root, func(n *cloud.Node) { n.Attrs = map[string]string{"k": "v"} })
		check := func() {
			h.Helper()
			h.same("Having grants", h.having(cloud.HasGrants), sorted(f.ID))
			h.same("Having locks", h.having(cloud.HasLocks), sorted(d.ID, g.ID))
			h.same("Having attributes", h.having(cloud.HasAttrs), sorted(h.root))
			h.same("Having grants or locks", h.having(cloud.HasGrants|cloud.HasLocks), sorted(f.ID, d.ID, g.ID))
			h.same("Having any", h.having(all), sorted(f.ID, d.ID, g.ID, h.root))
		}
		check()
		h.move(d.ID, h.root, "moved")
		check()
		h.file(d.ID, "f", "new content")
		check()
		h.trash(d.ID) // in the bin they have them still
		check()
		h.move(d.ID, h.root, "d")
		check()
		for _, n := range h.list(h.root) {
			if n.Traits != cloud.HasLocks {
				h.Errorf("traits of %s in a listing: got %v, want %v", n.Name, n.Traits, cloud.HasLocks)
			}
		}
		h.edit(g.ID, func(n *cloud.Node) { n.Locks = nil })
		h.same("Having locks, one less", h.having(cloud.HasLocks), sorted(d.ID))
		h.drop(d.ID)
		h.same("Having any, after a drop", h.having(all), sorted(h.root))
	}},

	{"EditInBin", func(h *house) {
		d := h.dir(h.root, "d")
		f := h.file(d.ID, "f", "content")
		h.trash(d.ID)
		for _, id := range []cloud.NodeID{d.ID, f.ID} {
			h.edit(id, func(n *cloud.Node) { n.Attrs = map[string]string{"k": "v"} })
			if n := h.node(id); n.Attrs["k"] != "v" || (n.Bin != nil) != (id == d.ID) {
				h.Errorf("edited in the bin: got %+v", n)
			}
		}
		h.move(d.ID, h.root, "d")
		if n := h.node(f.ID); n.Attrs["k"] != "v" {
			h.Errorf("restored: got attributes %v", n.Attrs)
		}
	}},

	{"Attributes", func(h *house) {
		// As many as may be, on a name as long as may be.
		d := h.dir(h.root, strings.Repeat("ü", 127))
		want := map[string]string{}
		for i := range 100 {
			want[strings.Repeat("k", 1+i)] = strings.Repeat("v", 500)
		}
		h.edit(d.ID, func(n *cloud.Node) { n.Attrs = want })
		h.same("attributes", h.node(d.ID).Attrs, want)
		var grants []cloud.Grant
		for range 200 {
			grants = append(grants, cloud.Grant{To: cloud.Subject{User: cloud.UserID(newID())}, Rights: cloud.CanRead, Made: when(2001)})
		}
		h.edit(d.ID, func(n *cloud.Node) { n.Grants = grants })
		h.same("grants", h.node(d.ID).Grants, grants)
	}},
}
