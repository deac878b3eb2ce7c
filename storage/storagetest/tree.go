package storagetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
)

var treeTales = []tale{
	{"MakeDir", func(h *house) {
		d := h.dir(h.root, "dir")
		if d.ID == "" || d.ETag == "" || d.MTime.IsZero() {
			h.Errorf("new directory: got id %q, ETag %q, MTime %v, want all", d.ID, d.ETag, d.MTime)
		}
		h.same("new directory", d, &cloud.Node{ID: d.ID, Space: h.space, Parent: h.root, Name: "dir", Path: "dir", Dir: true, MTime: d.MTime, ETag: d.ETag})
		below := h.dir(d.ID, "below")
		if below.Parent != d.ID || below.Path != "dir/below" || below.ID == d.ID {
			h.Errorf("directory below: got %s in %s at %q", below.ID, below.Parent, below.Path)
		}
		f := h.file(d.ID, "file", "content")
		h.unchanged("MakeDir that fails", func() {
			for what, c := range map[string]struct {
				dir  cloud.NodeID
				name string
				want cloud.Kind
			}{
				"where a directory is":    {h.root, "dir", cloud.Exist},
				"where a file is":         {d.ID, "file", cloud.Exist},
				"below a file":            {f.ID, "x", cloud.Conflict},
				"below what is not there": {newID(), "x", cloud.Conflict},
			} {
				_, err := h.MakeDir(h.ctx, h.space, c.dir, c.name)
				h.kind("MakeDir "+what, err, c.want)
			}
		})
	}},

	{"Lookup", func(h *house) {
		a := h.dir(h.root, "a")
		b := h.dir(a.ID, "b")
		f := h.file(b.ID, "f", "content")
		h.edit(f.ID, func(n *cloud.Node) { n.Attrs = map[string]string{"k": "v"} })
		for _, c := range []struct {
			from cloud.NodeID
			path string
			want cloud.NodeID
		}{
			{"", "", h.root}, {h.root, "", h.root}, {"", "a", a.ID}, {h.root, "a/b", b.ID}, {"", "a/b/f", f.ID},
			{a.ID, "", a.ID}, {a.ID, "b", b.ID}, {a.ID, "b/f", f.ID}, {b.ID, "f", f.ID}, {f.ID, "", f.ID},
		} {
			n, err := h.Lookup(h.ctx, h.space, c.from, c.path)
			if err != nil {
				h.Errorf("Lookup %q from %q: got %v", c.path, c.from, err)
				continue
			}
			h.same(fmt.Sprintf("Lookup %q from %q", c.path, c.from), n, h.node(c.want))
		}
		for _, c := range []struct {
			from cloud.NodeID
			path string
		}{
			{"", "x"}, {"", "a/x"}, {"", "a/b/f/x"}, {"", "x/b"}, {a.ID, "a"}, {f.ID, "x"}, {newID(), ""}, {newID(), "a"},
			{"", "A"}, {"", "a "}, {"", ".."}, {a.ID, "."}, {a.ID, ".."}, {a.ID, "../a"}, {b.ID, "../../a"}, {"", "a/../a"},
			{"", ".oc"}, {"", ".Trash"}, {"", ".Trash/files"}, {cloud.Version(f.ID, "x"), ""},
		} {
			_, err := h.Lookup(h.ctx, h.space, c.from, c.path)
			h.kind(fmt.Sprintf("Lookup %q from %q", c.path, c.from), err, cloud.NotExist)
		}
	}},

	{"NotThere", func(h *house) {
		for _, id := range []cloud.NodeID{newID(), "nonsense", "../../etc/passwd", "a/b", ".", cloud.Version(newID(), "x"), cloud.Version(newID(), "../x")} {
			errs := map[string]error{
				"Drop":     h.Drop(h.ctx, h.space, id),
				"Children": first(h.Children(h.ctx, h.space, id)),
			}
			_, errs["Node"] = h.Node(h.ctx, h.space, id)
			_, errs["Ancestors"] = h.Ancestors(h.ctx, h.space, id)
			_, _, errs["Open"] = h.Open(h.ctx, h.space, id)
			_, errs["Move"] = h.Move(h.ctx, h.space, id, h.root, "name")
			_, errs["Move into the bin"] = h.Move(h.ctx, h.space, id, cloud.TrashID, "")
			_, errs["Edit"] = h.Edit(h.ctx, h.space, id, func(*cloud.Node) error {
				h.Errorf("Edit of what is not there: called the function")
				return nil
			})
			for op, err := range errs {
				h.kind(op+" of "+string(id), err, cloud.NotExist)
			}
		}
	}},

	{"Ancestors", func(h *house) {
		a := h.dir(h.root, "a")
		b := h.dir(a.ID, "b")
		f := h.file(b.ID, "f", "content")
		check := func(id cloud.NodeID, want ...cloud.NodeID) {
			h.Helper()
			got, err := h.Ancestors(h.ctx, h.space, id)
			if err != nil {
				h.Errorf("Ancestors: got %v", err)
			}
			h.same("Ancestors", got, want)
		}
		check(h.root, h.root)
		check(a.ID, h.root, a.ID)
		check(f.ID, h.root, a.ID, b.ID, f.ID)
		h.move(b.ID, h.root, "b")
		check(f.ID, h.root, b.ID, f.ID)
		h.trash(b.ID)
		check(b.ID, cloud.TrashID, b.ID)
		check(f.ID, cloud.TrashID, b.ID, f.ID)
	}},

	{"Children", func(h *house) {
		if got := h.list(h.root); len(got) != 0 {
			h.Errorf("members of an empty root: got %d", len(got))
		}
		d := h.dir(h.root, "dir")
		h.dir(d.ID, "deeper")
		f := h.file(h.root, "file", "content")
		h.same("members", h.names(h.root), []string{"dir", "file"})
		if err := first(h.Children(h.ctx, h.space, f.ID)); err == nil {
			h.Errorf("Children of a file: got no error")
		}
		for range h.Children(h.ctx, h.space, h.root) {
			break // must not go on
		}
		var want []string
		for i := range 300 {
			name := fmt.Sprintf("%03d", i)
			h.file(d.ID, name, "")
			want = append(want, name)
		}
		want = append(want, "deeper")
		h.same("members of a large directory", h.names(d.ID), want)
	}},

	{"Names", func(h *house) {
		names := []string{
			"a", "A", "é", "e\u0301", // composed and not: two names
			strings.Repeat("x", 255), strings.Repeat("ü", 127) + "x", strings.Repeat("🙂", 63) + "abc",
			"👩‍👩‍👧‍👦 family.jpg", " leading", "trailing ", " ", "trailing.", "...", "..a", ".hidden", ".nfs0001",
			`"quoted" 'name'`, "`$(rm -rf)`; &|<>*?", "100% %41 %2F", "a:b", "#hash", "q?a=b", "+plus", "-rf", "~", "日本語", "שלום", "\u202eRTL",
			"con", "desktop.ini", "a\u00a0b", "\u200bzero", "trash", "versions:x", "a=b;c,d", "[x]{y}", "file.tmp", ".oc.tmp", "\U0010fffd", "!", "@", "^",
		}
		d := h.dir(h.root, "names")
		for _, name := range names {
			f := h.file(d.ID, name, name)
			if f.Name != name || f.Path != "names/"+name {
				h.Errorf("file: got name %q and path %q, want %q", f.Name, f.Path, name)
			}
		}
		want := slices.Sorted(slices.Values(names))
		h.same("names of files", h.names(d.ID), want)
		for _, name := range names {
			n, err := h.Lookup(h.ctx, h.space, "", "names/"+name)
			if err != nil {
				h.Errorf("Lookup %q: got %v", name, err)
				continue
			}
			if got := h.read(n.ID); got != name {
				h.Errorf("content of %q: got that of %q", name, got)
			}
		}
		e := h.dir(h.root, "dirs")
		for _, name := range names {
			h.dir(h.dir(e.ID, name).ID, "below")
		}
		h.same("names of directories", h.names(e.ID), want)
		for _, name := range names {
			if _, err := h.Lookup(h.ctx, h.space, e.ID, name+"/below"); err != nil {
				h.Errorf("Lookup below %q: got %v", name, err)
			}
		}
		for _, n := range h.list(d.ID) {
			h.trash(n.ID)
		}
		h.same("names in the bin", h.names(cloud.TrashID), want)
		for _, n := range h.list(cloud.TrashID) {
			h.move(n.ID, d.ID, n.Name)
		}
		h.same("names restored", h.names(d.ID), want)
	}},

	{"BadNames", func(h *house) {
		d := h.dir(h.root, "dir")
		f := h.file(d.ID, "file", "content")
		h.unchanged("names that cannot be", func() {
			try := func(dir cloud.NodeID, name string) {
				h.Helper()
				_, err := h.MakeDir(h.ctx, h.space, dir, name)
				h.kind(fmt.Sprintf("MakeDir %q", name), err, cloud.Invalid)
				_, _, err = h.Write(h.ctx, h.content(dir, name, "content"))
				h.kind(fmt.Sprintf("Write %q", name), err, cloud.Invalid)
				_, err = h.Move(h.ctx, h.space, f.ID, dir, name)
				h.kind(fmt.Sprintf("Move to %q", name), err, cloud.Invalid)
			}
			for _, name := range []string{"", ".", "..", "/", "a/b", "../x", "/etc", "a\x00b", "\n", strings.Repeat("x", 256), strings.Repeat("ü", 128), "\xff"} {
				try(d.ID, name)
			}
			try(h.root, ".oc")
			try(h.root, ".Trash")
		})
		// Only the root's are the store's own.
		h.file(d.ID, ".oc", "content")
		h.dir(d.ID, ".Trash")
		h.same("members", h.names(d.ID), []string{".Trash", ".oc", "file"})
	}},

	{"Move", func(h *house) {
		a, b := h.dir(h.root, "a"), h.dir(h.root, "b")
		w := h.content(a.ID, "f", "content")
		w.MTime, w.State = when(2001), cloud.Pending
		h.write(w)
		f := h.keep(a.ID, "f", "new content")
		versions := h.list(cloud.VersionsOf(f.ID))
		f = h.edit(f.ID, func(n *cloud.Node) {
			n.MTime = when(2002)
			n.Attrs = map[string]string{"k": "v"}
			n.Grants = []cloud.Grant{{To: cloud.Subject{User: "u"}, Rights: cloud.CanRead, Made: when(2003)}}
			n.Locks = []cloud.Lock{{Token: "urn:uuid:x", By: "u", Expires: when(2040), Timeout: time.Minute}}
		})
		check := func(what string, got *cloud.Node, dir cloud.NodeID, name, path string) {
			h.Helper()
			want := *f
			want.Parent, want.Name, want.Path = dir, name, path
			h.same(what, got, &want)
			h.same("Node after "+what, h.node(f.ID), &want)
			if _, err := h.Lookup(h.ctx, h.space, "", path); err != nil {
				h.Errorf("Lookup %q after %s: got %v", path, what, err)
			}
			if got := h.read(f.ID); got != "new content" {
				h.Errorf("content after %s: got %q", what, got)
			}
			h.same("versions after "+what, h.list(cloud.VersionsOf(f.ID)), versions)
			if got := h.read(versions[0].ID); got != "content" {
				h.Errorf("version's content after %s: got %q", what, got)
			}
			h.walk()
		}
		check("rename", h.move(f.ID, a.ID, "g"), a.ID, "g", "a/g")
		check("move", h.move(f.ID, b.ID, "g"), b.ID, "g", "b/g")
		check("move and rename", h.move(f.ID, h.root, "F"), h.root, "F", "F")
		check("change of case", h.move(f.ID, h.root, "f"), h.root, "f", "f")
		_, err := h.Lookup(h.ctx, h.space, "", "a/f")
		h.kind("Lookup where it was", err, cloud.NotExist)
		h.same("members of where it was", h.names(a.ID), []string{})
		h.file(a.ID, "f", "another")
	}},

	{"MoveDir", func(h *house) {
		a := h.dir(h.root, "a")
		b := h.dir(a.ID, "b")
		c := h.dir(b.ID, "c")
		f := h.file(c.ID, "f", "content")
		x := h.dir(h.root, "x")
		was := h.node(b.ID)
		moved := h.move(b.ID, x.ID, "y")
		was.Parent, was.Name, was.Path = x.ID, "y", "x/y"
		h.same("moved directory", moved, was)
		for id, path := range map[cloud.NodeID]string{b.ID: "x/y", c.ID: "x/y/c", f.ID: "x/y/c/f"} {
			if n := h.node(id); n.Path != path {
				h.Errorf("path after the move: got %q, want %q", n.Path, path)
			}
			n, err := h.Lookup(h.ctx, h.space, "", path)
			if err != nil || n.ID != id {
				h.Errorf("Lookup %q: got %v, %v, want %s", path, n, err, id)
			}
		}
		if n := h.node(x.ID); n.Size != 7 {
			h.Errorf("size of the new parent: got %d, want 7", n.Size)
		}
		if n := h.node(a.ID); n.Size != 0 {
			h.Errorf("size of the old parent: got %d, want 0", n.Size)
		}
		h.walk()
		// Down into what was its uncle, and up again.
		h.move(x.ID, a.ID, "x")
		if n := h.node(f.ID); n.Path != "a/x/y/c/f" {
			h.Errorf("path two moves on: got %q", n.Path)
		}
		h.walk()
	}},

	{"MoveRefused", func(h *house) {
		a := h.dir(h.root, "a")
		b := h.dir(a.ID, "b")
		c := h.dir(b.ID, "c")
		f := h.file(h.root, "f", "content")
		h.file(a.ID, "g", "content")
		h.unchanged("moves that fail", func() {
			for what, m := range map[string]struct {
				id, dir cloud.NodeID
				name    string
				want    cloud.Kind
			}{
				"onto a file":                    {b.ID, h.root, "f", cloud.Exist},
				"onto a directory":               {f.ID, h.root, "a", cloud.Exist},
				"file onto a file":               {f.ID, a.ID, "g", cloud.Exist},
				"directory onto a directory":     {c.ID, h.root, "a", cloud.Exist},
				"below a file":                   {b.ID, f.ID, "x", cloud.Conflict},
				"below itself, a file":           {f.ID, f.ID, "x", cloud.Conflict},
				"below what is not there":        {b.ID, newID(), "x", cloud.Conflict},
				"into itself":                    {a.ID, a.ID, "x", cloud.Conflict},
				"into its child":                 {a.ID, b.ID, "x", cloud.Conflict},
				"into its grandchild":            {a.ID, c.ID, "x", cloud.Conflict},
				"of what is not there":           {newID(), h.root, "x", cloud.NotExist},
				"of what is not there, to trash": {newID(), cloud.TrashID, "", cloud.NotExist},
			} {
				_, err := h.Move(h.ctx, h.space, m.id, m.dir, m.name)
				h.kind("Move "+what, err, m.want)
			}
		})
	}},

	{"RootStays", func(h *house) {
		a := h.dir(h.root, "a")
		h.unchanged("what no root can bear", func() {
			for _, m := range []struct {
				dir  cloud.NodeID
				name string
			}{{a.ID, "root"}, {h.root, "root"}, {cloud.TrashID, ""}} {
				if _, err := h.Move(h.ctx, h.space, h.root, m.dir, m.name); err == nil {
					h.Errorf("Move of the root to %s: got no error", m.dir)
				}
			}
			if err := h.Drop(h.ctx, h.space, h.root); err == nil {
				h.Errorf("Drop of the root: got no error")
			}
			if err := h.Drop(h.ctx, h.space, cloud.TrashID); err == nil {
				h.Errorf("Drop of the bin: got no error")
			}
		})
	}},

	{"Deep", func(h *house) {
		dir, path := h.root, ""
		var ids []cloud.NodeID
		for range cloud.MaxDepth {
			dir, path = h.dir(dir, "0123456789").ID, cloud.Join(path, "0123456789")
			ids = append(ids, dir)
		}
		f := h.file(dir, "f", "content")
		path += "/f"
		if f.Path != path {
			h.Errorf("path: got %q", f.Path)
		}
		if n, err := h.Lookup(h.ctx, h.space, "", path); err != nil || n.ID != f.ID {
			h.Errorf("Lookup: got %v, %v", n, err)
		}
		chain, err := h.Ancestors(h.ctx, h.space, f.ID)
		h.same("Ancestors", chain, slices.Concat([]cloud.NodeID{h.root}, ids, []cloud.NodeID{f.ID}))
		if err != nil {
			h.Errorf("Ancestors: got %v", err)
		}
		for _, id := range append(ids, h.root) {
			if n := h.node(id); n.Size != 7 {
				h.Errorf("size of %q: got %d, want 7", n.Path, n.Size)
			}
		}
		// Under another deep tree: as deep as it gets.
		top := ids[0]
		dir = h.root
		for range cloud.MaxDepth {
			dir = h.dir(dir, "abc").ID
		}
		h.move(top, dir, "x")
		if n := h.node(f.ID); strings.Count(n.Path, "/") != 2*cloud.MaxDepth {
			h.Errorf("path of the deepest: got %d slashes, want %d", strings.Count(n.Path, "/"), 2*cloud.MaxDepth)
		}
		if got := h.read(f.ID); got != "content" {
			h.Errorf("content of the deepest: got %q", got)
		}
		h.file(f.Parent, "f2", "content")
		if n := h.node(h.root); n.Size != 14 {
			h.Errorf("size of the root: got %d, want 14", n.Size)
		}
		h.trash(top)
		h.drop(top)
		_, err = h.Node(h.ctx, h.space, f.ID)
		h.kind("Node of the deepest, dropped", err, cloud.NotExist)
		h.walk()
	}},

	{"Drop", func(h *house) {
		a := h.dir(h.root, "a")
		b := h.dir(a.ID, "b")
		f := h.file(b.ID, "f", "content")
		h.keep(b.ID, "f", "content, again")
		v := h.list(cloud.VersionsOf(f.ID))[0]
		g := h.file(h.root, "g", "stays")
		h.drop(a.ID)
		for _, id := range []cloud.NodeID{a.ID, b.ID, f.ID, v.ID} {
			_, err := h.Node(h.ctx, h.space, id)
			h.kind("Node of what was dropped", err, cloud.NotExist)
		}
		for _, path := range []string{"a", "a/b", "a/b/f"} {
			_, err := h.Lookup(h.ctx, h.space, "", path)
			h.kind("Lookup of what was dropped", err, cloud.NotExist)
		}
		_, _, err := h.Open(h.ctx, h.space, f.ID)
		h.kind("Open of what was dropped", err, cloud.NotExist)
		_, _, err = h.Open(h.ctx, h.space, v.ID)
		h.kind("Open of a dropped file's version", err, cloud.NotExist)
		_, _, err = h.Write(h.ctx, h.content(b.ID, "x", ""))
		h.kind("Write into what was dropped", err, cloud.Conflict)
		if n := h.node(h.root); n.Size != 5 {
			h.Errorf("size of the root: got %d, want 5", n.Size)
		}
		h.same("what is left", h.names(h.root), []string{"g"})
		h.same("the bin", h.names(cloud.TrashID), []string{})
		h.drop(g.ID)
		h.same("what is left", h.names(h.root), []string{})
		// The name is free again, and means another node.
		if n := h.dir(h.root, "a"); n.ID == a.ID || len(h.list(n.ID)) != 0 {
			h.Errorf("made anew: got the old node or its members")
		}
	}},
}
