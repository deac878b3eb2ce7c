package storagetest

import (
	"context"
	"errors"
	"strings"
	"time"

	"opencloud/cloud"
)

// told fails unless fn writes exactly the one record, whose Seq and At it
// leaves to the store.
func (h *house) told(want cloud.Record, fn func()) {
	h.Helper()
	last, before := h.Last(), time.Now()
	fn()
	got := h.records(last)
	if len(got) != 1 {
		var kinds []cloud.Event
		for _, r := range got {
			kinds = append(kinds, r.Kind)
		}
		h.Errorf("records of %s: got %v, want one", want.Kind, kinds)
		return
	}
	r := *got[0]
	if r.Seq <= last || r.Seq > h.Last() {
		h.Errorf("Seq of %s: got %d, want one in (%d, %d]", want.Kind, r.Seq, last, h.Last())
	}
	if r.At.Before(before.Add(-time.Second)) || r.At.After(time.Now().Add(time.Second)) {
		h.Errorf("At of %s: got %v, want about %v", want.Kind, r.At, before)
	}
	want.Seq, want.At, want.Space = r.Seq, r.At, h.space
	if want.By == "" && want.Via == "" {
		want.By, want.For = einstein.User.ID, einstein.Initiator
	}
	if want.Dir {
		want.MTime, want.Sums = r.MTime, r.Sums // a directory's are its ETag's business
	}
	if want.OldName == "" && r.OldName == want.Name {
		r.OldName = "" // it may be told although it does not differ
	}
	h.same("record of "+string(want.Kind), r, want)
}

// as is a record of a node as it is.
func as(kind cloud.Event, n *cloud.Node) cloud.Record {
	return cloud.Record{Kind: kind, Node: n.ID, Parent: n.Parent, Name: n.Name, Dir: n.Dir, Size: n.Size, MTime: n.MTime, Sums: n.Sums}
}

var journalTales = []tale{
	{"Records", func(h *house) {
		d := h.dir(h.root, "d")
		id := newID()
		file := func(name, body string, year int) cloud.Write {
			w := h.content(d.ID, name, body)
			w.ID, w.MTime, w.Keep = id, when(year), true
			return w
		}
		f := &cloud.Node{ID: id, Parent: d.ID, Name: "f", Size: 3, MTime: when(2001), Sums: cloud.SumsOf([]byte("one"))}
		h.told(as(cloud.FileMade, f), func() { h.write(file("f", "one", 2001)) })
		f.Size, f.MTime, f.Sums = 5, when(2002), cloud.SumsOf([]byte("three"))
		h.told(as(cloud.FileWritten, f), func() { h.write(file("f", "three", 2002)) })

		f.Name = "g"
		want := as(cloud.Moved, f)
		want.OldParent, want.OldName = d.ID, "f"
		h.told(want, func() { h.move(id, d.ID, "g") })
		f.Parent = h.root
		want = as(cloud.Moved, f)
		want.OldParent = d.ID
		h.told(want, func() { h.move(id, h.root, "g") })
		f.Parent, f.Name = d.ID, "f"
		want = as(cloud.Moved, f)
		want.OldParent, want.OldName = h.root, "g"
		h.told(want, func() { h.move(id, d.ID, "f") })

		f.Parent = cloud.TrashID
		want = as(cloud.Trashed, f)
		want.OldParent, want.OldPath = d.ID, "d/f"
		h.told(want, func() { h.trash(id) })
		f.Parent, f.Name = h.root, "restored"
		want = as(cloud.Restored, f)
		want.OldParent, want.OldName = cloud.TrashID, "f"
		h.told(want, func() { h.move(id, h.root, "restored") })

		f.MTime = when(2003)
		h.told(as(cloud.Edited, f), func() { h.edit(id, func(n *cloud.Node) { n.MTime = when(2003) }) })
		h.told(as(cloud.Edited, f), func() { h.edit(id, func(n *cloud.Node) { n.Attrs = map[string]string{"k": "v"} }) })
		h.told(as(cloud.Edited, f), func() { h.edit(id, func(n *cloud.Node) { n.State = cloud.Quarantined }) })
		user := cloud.Grant{ID: "1", To: cloud.Subject{User: "u"}, Rights: cloud.CanRead}
		link := cloud.Grant{ID: "2", To: cloud.Subject{Link: "t"}, Rights: cloud.CanRead, Link: &cloud.Link{Name: "name"}}
		secret := link
		secret.Link = &cloud.Link{Name: "name", Secret: "$hash$"}
		want = as(cloud.Regranted, f)
		want.Given = []cloud.Grant{user, link}
		h.told(want, func() { h.edit(id, func(n *cloud.Node) { n.Grants = []cloud.Grant{user, secret} }) })
		less := user
		less.Rights = cloud.CanStat
		want.Given, want.Taken = []cloud.Grant{less}, []cloud.Grant{user, link}
		h.told(want, func() { h.edit(id, func(n *cloud.Node) { n.Grants = []cloud.Grant{less} }) })

		visitor := cloud.WithCaller(h.ctx, cloud.Caller{Visitor: &cloud.Visitor{Token: "t", Share: "2"}, Initiator: einstein.Initiator})
		want = as(cloud.Edited, f)
		want.Via, want.For = "2", einstein.Initiator
		h.told(want, func() {
			if _, err := h.Edit(visitor, h.space, id, func(n *cloud.Node) error { n.Attrs = map[string]string{"k": "w"}; return nil }); err != nil {
				h.Errorf("Edit by a visitor: got %v", err)
			}
		})
		h.told(as(cloud.Relocked, f), func() {
			h.edit(id, func(n *cloud.Node) { n.Locks = []cloud.Lock{{Token: "urn:uuid:1", Expires: when(2040)}} })
		})
		h.told(as(cloud.Relocked, f), func() { h.edit(id, func(n *cloud.Node) { n.Locks = nil }) })

		v := &cloud.Node{ID: cloud.Version(id, "19990203T040506Z"), Parent: cloud.VersionsOf(id), Name: "19990203T040506Z",
			Size: 4, MTime: when(1999), Sums: cloud.SumsOf([]byte("zero"))}
		h.told(as(cloud.VersionFiled, v), func() {
			w := h.content(v.Parent, v.Name, "zero")
			w.MTime = v.MTime
			h.write(w)
		})
		h.told(as(cloud.Dropped, v), func() { h.drop(v.ID) })

		u := h.begin("uploaded", 3)
		h.told(cloud.Record{Kind: cloud.FileMade, Node: newIDOf(u), Parent: h.root, Name: "uploaded", Size: 3, MTime: u.How.MTime, Sums: cloud.SumsOf([]byte("abc"))}, func() {
			h.fill(u.ID, 0, "abc")
			w := h.end(u)
			w.ID = newIDOf(u)
			h.write(w)
		})

		// Of a directory there is one record, whatever is below.
		h.file(d.ID, "below", "content")
		d = h.node(d.ID)
		d.Name = "D"
		want = as(cloud.Moved, d)
		want.OldParent, want.OldName = h.root, "d"
		h.told(want, func() { h.move(d.ID, h.root, "D") })
		d.Parent = cloud.TrashID
		want = as(cloud.Trashed, d)
		want.OldParent, want.OldPath = h.root, "D"
		h.told(want, func() { h.trash(d.ID) })
		h.told(as(cloud.Dropped, d), func() { h.drop(d.ID) })
		h.told(as(cloud.Dropped, f), func() { h.drop(id) })

		// What fails and what is not in the journal.
		last := h.Last()
		h.begin("new", 3)
		w := h.content(h.root, "new", "x")
		w.Check = func(*cloud.Node, int64) error { return cloud.Locked }
		if _, _, err := h.Write(h.ctx, w); !errors.Is(err, cloud.Locked) {
			h.Errorf("Write: got %v", err)
		}
		if got := h.records(last); len(got) != 0 {
			h.Errorf("records of what did not happen: got %d, first %+v", len(got), got[0])
		}
	}},

	{"RecordOfMakeDir", func(h *house) {
		var d *cloud.Node
		last := h.Last()
		d = h.dir(h.root, "d")
		got := h.records(last)
		if len(got) != 1 || got[0].Kind != cloud.DirMade || got[0].Node != d.ID || got[0].Parent != h.root || got[0].Name != "d" || !got[0].Dir {
			h.Errorf("record of MakeDir: got %+v", got)
		}
	}},

	{"RecordsOfSpaces", func(h *house) {
		last := h.Last()
		o := h.another()
		for _, disabled := range []time.Time{{}, when(2020), when(2021), {}} {
			if _, err := h.SetSpace(h.ctx, &cloud.Space{ID: o.space, Name: "New name", Disabled: disabled}); err != nil {
				h.Fatalf("SetSpace: got %v", err)
			}
		}
		member := cloud.Grant{To: cloud.Subject{User: "marie"}, Rights: cloud.SpaceViewer}
		o.edit(o.root, func(n *cloud.Node) { n.Grants = []cloud.Grant{member} })
		if err := h.DropSpace(h.ctx, o.space); err != nil {
			h.Fatalf("DropSpace: got %v", err)
		}
		var got []cloud.Event
		for _, r := range o.records(last) {
			got = append(got, r.Kind)
			if r.By != einstein.User.ID || r.For != einstein.Initiator || r.Space != o.space {
				h.Errorf("%s: got by %q for %q of %s", r.Kind, r.By, r.For, r.Space)
			}
			if r.Kind == cloud.SpaceMade && r.Node != o.root {
				h.Errorf("%s: got node %s, want the root", r.Kind, r.Node)
			}
			if r.Kind == cloud.SpaceDropped {
				h.same("grants of a space that is dropped", r.Taken, []cloud.Grant{member})
			}
		}
		h.same("records of a space's life", got, []cloud.Event{cloud.SpaceMade, cloud.SpaceChanged,
			cloud.SpaceDisabled, cloud.SpaceChanged, cloud.SpaceEnabled, cloud.Regranted, cloud.SpaceDropped})
	}},

	{"RecordsBy", func(h *house) {
		for _, c := range []cloud.Caller{{}, {User: &cloud.User{ID: "marie"}}, {User: &cloud.User{ID: "marie"}, Initiator: "x"}} {
			last := h.Last()
			ctx := cloud.WithCaller(context.Background(), c)
			n, err := h.MakeDir(ctx, h.space, h.root, "d")
			if err != nil {
				h.Fatalf("MakeDir: got %v", err)
			}
			if n, err = h.Move(ctx, h.space, n.ID, cloud.TrashID, ""); err != nil || n.Bin.By != c.ID() {
				h.Errorf("trashed by %q: got %+v, %v", c.ID(), n.Bin, err)
			}
			for _, r := range h.records(last) {
				if r.By != c.ID() || r.For != c.Initiator {
					h.Errorf("%s: got by %q for %q, want %q for %q", r.Kind, r.By, r.For, c.ID(), c.Initiator)
				}
			}
		}
	}},

	{"Since", func(h *house) {
		o := h.another()
		start := h.Last()
		if got := h.records(start); len(got) != 0 {
			h.Errorf("records after the last: got %d", len(got))
		}
		var want, wantAll []string
		for _, name := range []string{"a", "b", "c", "d"} {
			h.dir(h.root, name)
			o.dir(o.root, strings.ToUpper(name))
			want = append(want, name)
			wantAll = append(wantAll, name, strings.ToUpper(name))
		}
		walk := func(space cloud.SpaceID, after cloud.Cursor) (names []string, seqs []cloud.Cursor) {
			for r, err := range h.Since(h.ctx, space, after) {
				if err != nil {
					h.Fatalf("Since %d: got %v", after, err)
				}
				if len(seqs) > 0 && r.Seq <= seqs[len(seqs)-1] {
					h.Errorf("Since %d: got %d after %d, want them to grow", after, r.Seq, seqs[len(seqs)-1])
				}
				if r.Seq <= after {
					h.Errorf("Since %d: got %d", after, r.Seq)
				}
				names, seqs = append(names, r.Name), append(seqs, r.Seq)
			}
			return names, seqs
		}
		names, seqs := walk(h.space, start)
		h.same("records of the space", names, want)
		for i, seq := range seqs {
			rest, _ := walk(h.space, seq)
			h.same("records of the space after one", rest, want[i+1:])
		}
		all, seqs := walk("", start)
		h.same("records of all spaces", all, wantAll)
		for i, seq := range seqs {
			rest, _ := walk("", seq)
			h.same("records of all spaces after one", rest, wantAll[i+1:])
		}
		if last := h.Last(); last != seqs[len(seqs)-1] {
			h.Errorf("Last: got %d, want %d", last, seqs[len(seqs)-1])
		}
		for range h.Since(h.ctx, "", start) {
			break // must not go on
		}
		// A follower may write while it reads.
		for r, err := range h.Since(h.ctx, h.space, start) {
			if err != nil {
				h.Fatalf("Since: got %v", err)
			}
			if r.Kind == cloud.DirMade && r.Parent == h.root {
				h.file(r.Node, "f", "content")
			}
		}
		if got := count(h.Since(h.ctx, h.space, start)); got != 8 {
			h.Errorf("records after a follower wrote: got %d, want 8", got)
		}
	}},

	{"Wait", func(h *house) {
		last := h.Last()
		h.dir(h.root, "before")
		if err := h.Store.Wait(h.ctx, last); err != nil {
			h.Errorf("Wait for what is there: got %v", err)
		}
		ctx, cancel := context.WithCancel(h.ctx)
		last = h.Last()
		const waiters = 3
		waited := make(chan error, 2*waiters)
		for range waiters {
			go func() { waited <- h.Store.Wait(h.ctx, last) }()
			go func() { waited <- h.Store.Wait(ctx, last+1000) }()
		}
		h.dir(h.root, "after")
		for range waiters {
			if err := <-waited; err != nil {
				h.Errorf("Wait for one more: got %v", err)
			}
		}
		if got := h.records(last); len(got) != 1 || got[0].Name != "after" {
			h.Errorf("records after Wait: got %d, want the one", len(got))
		}
		cancel()
		for range waiters {
			if err := <-waited; !errors.Is(err, context.Canceled) {
				h.Errorf("Wait until cancelled: got %v", err)
			}
		}
	}},
}

// newIDOf is an id for the file of an upload.
func newIDOf(u *cloud.Upload) cloud.NodeID { return cloud.NodeID(cloud.UUIDOf(string(u.ID)).String()) }
