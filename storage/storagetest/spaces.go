package storagetest

import (
	"io"
	"strings"
	"time"

	"opencloud/cloud"
)

var spaceTales = []tale{
	{"SpaceIDs", func(h *house) {
		a, b := h.NewSpaceID(cloud.Project, ""), h.NewSpaceID(cloud.Project, "")
		if a == b {
			h.Errorf("two projects: both got the id %s", a)
		}
		const owner = "058bff95-6708-4fe5-91e4-9ea3d377588b"
		p, q := h.NewSpaceID(cloud.Personal, owner), h.NewSpaceID(cloud.Personal, owner)
		if p != q || p.Root() != owner {
			h.Errorf("personal space of %s: got %s and %s, want the owner's id as root", owner, p, q)
		}
		if foreign := h.NewSpaceID(cloud.Personal, "uid=marie,ou=people"); foreign.Root() != cloud.NodeID(cloud.UUIDOf("uid=marie,ou=people").String()) {
			h.Errorf("personal space of a foreign id: got %s, want UUIDOf as root", foreign)
		}
		for _, id := range []cloud.SpaceID{a, b, p} {
			if _, ok := cloud.ParseUUID(id.Storage()); !ok || id.Storage() != h.space.Storage() {
				h.Errorf("storage of %s: got %q, want the UUID %q", id, id.Storage(), h.space.Storage())
			}
			if _, ok := cloud.ParseUUID(string(id.Root())); !ok {
				h.Errorf("root of %s: got %q, want a UUID", id, id.Root())
			}
		}
	}},

	{"SpaceMade", func(h *house) {
		const owner = "f7fbf8c8-139b-4376-b307-cf0a8c2d0d9c"
		grant := cloud.Grant{To: cloud.Subject{User: owner}, Rights: cloud.SpaceManager, By: owner, Made: when(2020), Expires: when(2040)}
		want := &cloud.Space{
			ID: h.NewSpaceID(cloud.Personal, owner), Kind: cloud.Personal, Name: "Marie’s “space”", Alias: "personal/marie",
			Description: "radium\nand polonium", Owner: owner, Quota: 1 << 40, Made: when(2021),
			Root: &cloud.Node{Grants: []cloud.Grant{grant}, Name: "ignored", Size: 7},
		}
		got, err := h.SetSpace(h.ctx, want)
		if err != nil {
			h.Fatalf("SetSpace: got %v", err)
		}
		root := &cloud.Node{ID: want.ID.Root(), Space: want.ID, Dir: true, MTime: got.Root.MTime, ETag: got.Root.ETag,
			Traits: cloud.HasGrants, Grants: []cloud.Grant{grant}}
		want.Root = root
		h.same("SetSpace", got, want)
		if root.ETag == "" || root.MTime.IsZero() {
			h.Errorf("new root: got ETag %q, MTime %v, want both", root.ETag, root.MTime)
		}
		again, err := h.Space(h.ctx, want.ID)
		if err != nil {
			h.Fatalf("Space: got %v", err)
		}
		h.same("Space", again, want)
		seen := map[cloud.SpaceID]*cloud.Space{}
		for sp, err := range h.Spaces(h.ctx) {
			if err != nil {
				h.Fatalf("Spaces: got %v", err)
			}
			if seen[sp.ID] != nil {
				h.Errorf("Spaces: got %s twice", sp.ID)
			}
			seen[sp.ID] = sp
		}
		h.same("Spaces has the new one", seen[want.ID], want)
		if seen[h.space] == nil {
			h.Errorf("Spaces: got no %s", h.space)
		}
		n, err := h.Node(h.ctx, want.ID, want.ID.Root())
		if err != nil {
			h.Fatalf("Node of the root: got %v", err)
		}
		h.same("root", n, root)
	}},

	{"SpaceChanged", func(h *house) {
		h.file(h.root, "file", "content")
		want, err := h.Space(h.ctx, h.space)
		if err != nil {
			h.Fatalf("Space: got %v", err)
		}
		change := *want
		change.Name, change.Alias, change.Description, change.Quota, change.Disabled = "New name", "project/new", "words", 42, when(2022)
		change.Kind = cloud.Personal
		change.Root = &cloud.Node{Grants: []cloud.Grant{{To: cloud.Subject{User: "x"}, Rights: cloud.AllRights}}}
		got, err := h.SetSpace(h.ctx, &change)
		if err != nil {
			h.Fatalf("SetSpace: got %v", err)
		}
		want.Name, want.Alias, want.Description, want.Quota, want.Disabled = "New name", "project/new", "words", 42, when(2022)
		want.Root.ETag, want.Root.MTime = got.Root.ETag, got.Root.MTime
		h.same("changed space", got, want)
		if got, err = h.Space(h.ctx, h.space); err != nil {
			h.Fatalf("Space: got %v", err)
		}
		h.same("Space after the change", got, want)
		h.same("tree of a changed space", h.names(h.root), []string{"file"})
		change.Disabled = time.Time{}
		if got, err = h.SetSpace(h.ctx, &change); err != nil || !got.Disabled.IsZero() {
			h.Errorf("enabled again: got disabled at %v, %v, want zero", got.Disabled, err)
		}
	}},

	{"SpaceDropped", func(h *house) {
		gone := h.another()
		d := gone.dir(gone.root, "dir")
		gone.file(d.ID, "file", "content")
		gone.trash(gone.file(gone.root, "trashed", "content").ID)
		if err := h.DropSpace(h.ctx, gone.space); err != nil {
			h.Fatalf("DropSpace: got %v", err)
		}
		for sp, err := range h.Spaces(h.ctx) {
			if err != nil || sp.ID == gone.space {
				h.Errorf("Spaces after DropSpace: got %v, %v", sp, err)
			}
		}
		gone.strange()
		h.node(h.root)
		sp, err := h.SetSpace(h.ctx, &cloud.Space{ID: gone.space, Kind: cloud.Project, Name: "Again"})
		if err != nil {
			h.Fatalf("SetSpace of a dropped id: got %v", err)
		}
		if sp.Root.Size != 0 || len(gone.names(gone.root)) != 0 || len(gone.list(cloud.TrashID)) != 0 {
			h.Errorf("space made again: got size %d, members %q and %d in the bin, want none", sp.Root.Size, gone.names(gone.root), len(gone.list(cloud.TrashID)))
		}
	}},

	{"NoSuchSpace", func(h *house) {
		never := *h
		never.space = h.NewSpaceID(cloud.Project, "")
		never.root = never.space.Root()
		never.strange()
		never.space = cloud.SpaceID(cloud.NewUUID().String() + "$" + string(h.root)) // of another storage
		never.root = h.root
		never.strange()
		never.space, never.root = "", ""
		never.strange()
	}},

	{"BadSpaceID", func(h *house) {
		storage := h.space.Storage()
		for _, id := range []string{"", "$", storage, storage + "$", storage + "$..", storage + "$../../x", storage + "$a/b"} {
			if _, err := h.SetSpace(h.ctx, &cloud.Space{ID: cloud.SpaceID(id), Kind: cloud.Project}); err == nil {
				h.Errorf("SetSpace with the id %q: got no error", id)
			}
		}
	}},

	{"Free", func(h *house) {
		if free, err := h.Free(h.ctx); free <= 0 || err != nil {
			h.Errorf("Free: got %d, %v, want some", free, err)
		}
	}},

	{"SpacesApart", func(h *house) {
		other := h.another()
		n := h.file(h.root, "file", "content")
		_, err := other.Node(h.ctx, other.space, n.ID)
		h.kind("Node of another space", err, cloud.NotExist)
		_, err = other.Move(h.ctx, other.space, n.ID, other.root, "stolen")
		h.kind("Move of another space's node", err, cloud.NotExist)
		// Ids are unique within a space only: the same may be in two.
		w := other.content(other.root, "file", "another")
		w.ID = n.ID
		if m := other.write(w); m.ID != n.ID || m.Space != other.space {
			h.Errorf("same id in another space: got %s in %s", m.ID, m.Space)
		}
		if got := h.read(n.ID); got != "content" {
			h.Errorf("content in the first space: got %q", got)
		}
	}},
}

// strange fails unless every method says that the space is not there.
func (h *house) strange() {
	h.Helper()
	errs := map[string]error{
		"DropSpace":  h.DropSpace(h.ctx, h.space),
		"Children":   first(h.Children(h.ctx, h.space, h.root)),
		"Trash":      first(h.Children(h.ctx, h.space, cloud.TrashID)),
		"Having":     first(h.Having(h.ctx, h.space, cloud.HasAttrs)),
		"Drop":       h.Drop(h.ctx, h.space, h.root),
		"SetUpload":  h.SetUpload(h.ctx, &cloud.Upload{ID: "u", Dir: cloud.Ref{Space: h.space, Node: h.root}, Name: "file"}),
		"Uploads":    first(h.Uploads(h.ctx, h.space)),
		"DropUpload": h.DropUpload(h.ctx, h.space, "u"),
	}
	_, errs["Space"] = h.Space(h.ctx, h.space)
	_, errs["Node"] = h.Node(h.ctx, h.space, h.root)
	_, errs["Lookup"] = h.Lookup(h.ctx, h.space, "", "")
	_, errs["Ancestors"] = h.Ancestors(h.ctx, h.space, h.root)
	_, _, errs["Open"] = h.Open(h.ctx, h.space, h.root)
	_, errs["MakeDir"] = h.MakeDir(h.ctx, h.space, h.root, "dir")
	_, _, errs["Write"] = h.Write(h.ctx, h.content(h.root, "file", "content"))
	_, errs["Move"] = h.Move(h.ctx, h.space, h.root, cloud.TrashID, "")
	_, errs["Edit"] = h.Edit(h.ctx, h.space, h.root, func(*cloud.Node) error { return io.EOF })
	_, errs["Upload"] = h.Upload(h.ctx, h.space, "u")
	_, errs["AppendUpload"] = h.AppendUpload(h.ctx, h.space, "u", 0, strings.NewReader("x"))
	for op, err := range errs {
		h.kind(op+" in a space that is not there", err, cloud.NotExist)
	}
}
