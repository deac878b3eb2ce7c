package core

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"opencloud/cloud"
)

const never = cloud.AllRights + 1 // what nobody has

// A verb is something to do with what was shared: with the node itself and,
// in a folder, with a file in it.
type verb struct {
	name  string
	on    cloud.NodeKind
	needs cloud.Rights
	do    func(w *circle, ctx context.Context, at cloud.Ref) error
}

func below(at cloud.Ref, path string) cloud.Ref {
	if path != "" {
		at.Path = cloud.Join(at.Path, path)
	}
	return at
}

var verbs = func() []verb {
	put := func(path string) func(w *circle, ctx context.Context, at cloud.Ref) error {
		return func(w *circle, ctx context.Context, at cloud.Ref) error {
			return third(w.Put(ctx, below(at, path), strings.NewReader("x"), cloud.Put{Size: 1}))
		}
	}
	all := []verb{
		{"put new", cloud.OnFolder, cloud.CanWrite, put("new")},
		{"list", cloud.OnFolder, cloud.CanList, func(w *circle, ctx context.Context, at cloud.Ref) error { return first(w.List(ctx, at)) }},
		{"make a folder", cloud.OnFolder, cloud.CanMakeDir, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return second(w.MakeDir(ctx, below(at, "made"), cloud.Conditions{}))
		}},
		{"begin an upload", cloud.OnFolder, cloud.CanWrite, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return second(w.Begin(ctx, below(at, "up"), cloud.Put{Size: 1}))
		}},
		{"copy within", cloud.OnFolder, cloud.CanRead | cloud.CanWrite, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return third(w.Copy(ctx, below(at, "file"), below(at, "copy"), cloud.Transfer{}))
		}},
		{"copy a folder within", cloud.OnFolder, cloud.CanRead | cloud.CanMakeDir, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return third(w.Copy(ctx, below(at, "sub"), below(at, "copy"), cloud.Transfer{}))
		}},
		{"rename", cloud.OnFolder, cloud.CanMove | cloud.CanWrite, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return third(w.Move(ctx, below(at, "file"), below(at, "other"), cloud.Transfer{}))
		}},
		{"remove", cloud.OnFolder, cloud.CanDelete, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return w.Remove(ctx, below(at, "file"), cloud.Conditions{})
		}},
		{"replace", cloud.OnFolder, cloud.CanMove | cloud.CanMakeDir | cloud.CanDelete, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return third(w.Move(ctx, below(at, "sub"), below(at, "file"), cloud.Transfer{Over: true}))
		}},
		{"trash", cloud.OnFolder | cloud.OnFile, never, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return first(w.Trash(ctx, cloud.Ref{Space: at.Space}))
		}},
		{"purge", cloud.OnFolder | cloud.OnFile, never, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return w.Purge(ctx, cloud.Ref{Space: at.Space})
		}},
		{"look at the space", cloud.OnFolder | cloud.OnFile, never, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return second(w.Stat(ctx, cloud.Ref{Space: at.Space}))
		}},
		{"remove the shared", cloud.OnFolder | cloud.OnFile, never, func(w *circle, ctx context.Context, at cloud.Ref) error { return w.Remove(ctx, at, cloud.Conditions{}) }},
		{"move the shared", cloud.OnFolder | cloud.OnFile, never, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return third(w.Move(ctx, at, cloud.Ref{Space: at.Space, Path: "stolen"}, cloud.Transfer{}))
		}},
		{"see the grants", cloud.OnFolder | cloud.OnFile, cloud.CanListGrants, func(w *circle, ctx context.Context, at cloud.Ref) error {
			gs, _, err := w.Grants(ctx, at)
			if err == nil && len(gs) < 2 {
				err = cloud.Permission
			}
			return err
		}},
		{"share", cloud.OnFolder | cloud.OnFile, cloud.CanGrant, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return third(w.Give(ctx, at, cloud.Grant{To: w.to("dora"), Rights: cloud.CanStat}, ""))
		}},
		{"make a link", cloud.OnFolder | cloud.OnFile, cloud.CanGrant, func(w *circle, ctx context.Context, at cloud.Ref) error {
			return third(w.Give(ctx, at, cloud.Grant{To: cloud.Subject{Link: "x"}}, ""))
		}},
	}
	// The same with a file in the folder and with the file itself.
	for kind, file := range map[cloud.NodeKind]string{cloud.OnFolder: "file", cloud.OnFile: ""} {
		all = append(all, []verb{
			{"stat", kind, cloud.CanStat, func(w *circle, ctx context.Context, at cloud.Ref) error { return second(w.Stat(ctx, below(at, file))) }},
			{"read", kind, cloud.CanRead, func(w *circle, ctx context.Context, at cloud.Ref) error {
				body, _, err := w.Open(ctx, below(at, file), "")
				if err == nil {
					body.Close()
				}
				return err
			}},
			{"read a version", kind, cloud.CanRead | cloud.CanListVersions, func(w *circle, ctx context.Context, at cloud.Ref) error {
				body, _, err := w.Open(ctx, below(at, file), w.version())
				if err == nil {
					body.Close()
				}
				return err
			}},
			{"overwrite", kind, cloud.CanWrite, put(file)},
			{"change", kind, cloud.CanWrite, func(w *circle, ctx context.Context, at cloud.Ref) error {
				return second(w.Change(ctx, below(at, file), cloud.Change{Attrs: map[string]*string{"prop.{x}y": new("1")}}))
			}},
			{"lock", kind, cloud.CanWrite, func(w *circle, ctx context.Context, at cloud.Ref) error {
				_, _, _, err := w.Lock(ctx, below(at, file), cloud.Lock{}, cloud.Conditions{})
				return err
			}},
			{"versions", kind, cloud.CanListVersions, func(w *circle, ctx context.Context, at cloud.Ref) error {
				return first(w.Versions(ctx, below(at, file)))
			}},
			{"revert", kind, cloud.CanRevert | cloud.CanWrite, func(w *circle, ctx context.Context, at cloud.Ref) error {
				return second(w.Revert(ctx, below(at, file), w.version(), cloud.Conditions{}))
			}},
		}...)
	}
	return all
}()

// version is the key of the one earlier content of the file.
func (w *circle) version() string {
	for v, err := range w.Versions(w.ctx, w.ref("dir/file")) {
		w.is("Versions", err, nil)
		return v.Name
	}
	w.Fatalf("the file has no version")
	return ""
}

// set is a folder with a file that has a version, shared with somebody else, too.
func (w *circle) set() {
	w.Helper()
	w.mkdir("dir")
	w.mkdir("dir/sub")
	w.put("dir/file", "old")
	w.put("dir/file", "new")
	w.gives("dir", "carl", cloud.CanStat)
	w.gives("dir/file", "carl", cloud.CanStat)
}

// Every role allows what its rights say, on a folder and on a file, and hides
// or refuses all else without writing a thing.
func TestRoleMatrix(t *testing.T) {
	for _, r := range cloud.ShareRoles() {
		for kind, path := range map[cloud.NodeKind]string{cloud.OnFolder: "dir", cloud.OnFile: "dir/file"} {
			if r.On&kind == 0 {
				continue
			}
			for _, v := range verbs {
				if v.on&kind == 0 {
					continue
				}
				w := gather(t, Options{})
				w.set()
				w.gives(path, "bert", r.Rights)
				at := cloud.Ref{Space: w.space, Node: w.node(path).ID}
				w.allows(fmt.Sprintf("%s on %s as %s", v.name, path, r.Name), v, w.as("bert"), at, r.Rights)
			}
		}
	}
}

// The same for links: what they allow is what their type says.
func TestLinkMatrix(t *testing.T) {
	for _, link := range []cloud.LinkType{cloud.LinkView, cloud.LinkUpload, cloud.LinkEdit, cloud.LinkBlocksDownload} {
		for kind, path := range map[cloud.NodeKind]string{cloud.OnFolder: "dir", cloud.OnFile: "dir/file"} {
			rights, ok := link.Rights(kind)
			if !ok {
				continue
			}
			for _, v := range verbs {
				if v.on&kind == 0 {
					continue
				}
				w := gather(t, Options{})
				w.set()
				visitor := w.visiting(w.opens(path, link, ""), "")
				w.allows(fmt.Sprintf("%s on %s by a link to %s", v.name, path, link), v, visitor, cloud.CallerFrom(visitor).Visitor.Of, rights)
			}
		}
	}
}

func (w *circle) allows(what string, v verb, ctx context.Context, at cloud.Ref, have cloud.Rights) {
	w.Helper()
	last := w.store.Last()
	err := v.do(w, ctx, at)
	kind := cloud.KindOf(err)
	switch {
	case have.Has(v.needs):
		if err != nil {
			w.Errorf("%s: got %v", what, err)
		}
		return
	case kind != cloud.Permission && kind != cloud.NotExist, v.needs != never && have != cloud.NoRights && kind != cloud.Permission:
		w.Errorf("%s: got %v, want Permission", what, err)
	}
	if w.store.Last() != last {
		w.Errorf("%s: refused, and yet something was written", what)
	}
}
