package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"opencloud/cloud"
	"opencloud/storage/mem"
)

// A replica is a client that keeps a picture of a space through a feed.
type replica struct {
	core  *Core
	ctx   context.Context
	feed  cloud.Feed
	nodes map[string]*cloud.Node // by path or id
	again int                    // how often it had to start over
}

// page asks for one more page. It tells whether the picture is whole.
func (r *replica) page() (whole bool, err error) {
	p, err := r.core.Changes(r.ctx, r.feed)
	if errors.Is(err, cloud.TooOld) && r.feed.After != "" {
		r.again++
		r.feed.After, r.nodes = "", nil
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if r.feed.Limit > 0 && len(p.Diffs) > r.feed.Limit {
		return false, fmt.Errorf("a page has %d differences, the limit is %d", len(p.Diffs), r.feed.Limit)
	}
	if r.nodes == nil {
		r.nodes = map[string]*cloud.Node{}
	}
	for _, d := range p.Diffs {
		if err := r.apply(d); err != nil {
			return false, err
		}
	}
	if r.feed.After = p.Next; !p.More {
		maps.DeleteFunc(r.nodes, func(_ string, n *cloud.Node) bool { return !r.there(n) })
	}
	return !p.More, nil
}

func (r *replica) apply(d cloud.Diff) error {
	switch {
	case d.Gone && r.feed.ByPath:
		if d.Was == "" {
			return fmt.Errorf("%s is gone from nowhere", d.Node.ID)
		}
		maps.DeleteFunc(r.nodes, func(p string, _ *cloud.Node) bool { return p == d.Was || strings.HasPrefix(p, d.Was+"/") })
	case d.Gone:
		delete(r.nodes, string(d.Node.ID))
	case r.feed.ByPath:
		r.nodes[d.Node.Path] = d.Node
	default:
		r.nodes[string(d.Node.ID)] = d.Node
	}
	return nil
}

func (r *replica) catchUp() error {
	for i, wholes := 0, 0; wholes < 2; i++ { // the first may end an answer begun before
		whole, err := r.page()
		if err != nil {
			return err
		}
		if whole {
			wholes++
		}
		if i > 10_000 {
			m, err := parseToken(r.feed.After, string(cloud.CallerFrom(r.ctx).ID()), &r.feed)
			return fmt.Errorf("no end of pages: %+v, %v", m, err)
		}
	}
	return nil
}

// there tells whether a node hangs together with the root.
func (r *replica) there(n *cloud.Node) bool {
	for !r.feed.ByPath && n != nil && n.Parent != "" {
		n = r.nodes[string(n.Parent)]
	}
	return n != nil
}

type line struct {
	ID, Parent cloud.NodeID
	Path, ETag string
	Size       int64
	MTime      time.Time
	Rights     cloud.Rights
}

func lineOf(n *cloud.Node) line {
	return line{n.ID, n.Parent, n.Path, n.ETag, n.Size, n.MTime, n.Rights}
}

// picture is what the client believes. By id the path is not its business.
func (r *replica) picture() []line {
	var all []line
	for _, n := range r.nodes {
		l := lineOf(n)
		if !r.feed.ByPath {
			l.Path = ""
		}
		all = append(all, l)
	}
	return sorted(all)
}

func sorted(all []line) []line {
	slices.SortFunc(all, func(a, b line) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// truth is what a listing says.
func (r *replica) truth() ([]line, error) {
	var all []line
	var walk func(id cloud.NodeID) error
	walk = func(id cloud.NodeID) error {
		for n, err := range r.core.List(r.ctx, cloud.Ref{Space: r.feed.Space, Node: id}) {
			if err != nil {
				return err
			}
			l := lineOf(n)
			if !r.feed.ByPath {
				l.Path = ""
			}
			all = append(all, l)
			if n.Dir && !r.feed.Flat && n.Rights.Has(cloud.CanList) {
				if err := walk(n.ID); err != nil {
					return err
				}
			}
		}
		return nil
	}
	root, err := r.core.Stat(r.ctx, cloud.Ref{Space: r.feed.Space})
	if err != nil {
		return nil, err
	}
	if !r.feed.ByPath {
		all = append(all, lineOf(root))
	}
	err = walk(root.ID)
	return sorted(all), err
}

func (r *replica) check(t interface{ Fatalf(string, ...any) }) {
	if err := r.catchUp(); err != nil {
		t.Fatalf("%+v: %v", r.feed, err)
	}
	want, err := r.truth()
	if err != nil {
		t.Fatalf("%v", err)
	}
	if diff := gocmp.Diff(want, r.picture()); diff != "" {
		t.Fatalf("by path %v, flat %v: the client's picture (+) is not the listing (-):\n%s", r.feed.ByPath, r.feed.Flat, diff)
	}
}

// A gardener changes spaces at random.
type gardener struct {
	core   *Core
	ctx    context.Context
	spaces []cloud.SpaceID
	serial int
	member *cloud.User // to whom things are given and denied
}

// give gives the member rights on a node, or with none denies it.
func (g *gardener) give(t interface{ Fatalf(string, ...any) }, at cloud.Ref, rights cloud.Rights) {
	n, err := g.core.Stat(g.ctx, at)
	if err != nil {
		return
	}
	sp, err := g.core.enter(g.ctx, at.Space)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer g.core.leave(sp)
	to := cloud.Subject{User: g.member.ID}
	_, err = g.core.regrant(g.ctx, sp, n.ID, func(gs []cloud.Grant) ([]cloud.Grant, error) {
		had := len(gs)
		if gs = slices.DeleteFunc(gs, func(g cloud.Grant) bool { return g.To == to }); len(gs) < had && rights != cloud.SpaceViewer {
			return gs, nil
		}
		return append(gs, cloud.Grant{ID: newShareID(), To: to, Rights: rights}), nil
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
}

func (g *gardener) all(s cloud.SpaceID) (paths []string) {
	var walk func(path string)
	walk = func(path string) {
		for n, err := range g.core.List(g.ctx, cloud.Ref{Space: s, Path: path}) {
			if err != nil {
				return
			}
			paths = append(paths, n.Path)
			if n.Dir {
				walk(n.Path)
			}
		}
	}
	walk("")
	slices.Sort(paths)
	return paths
}

func (g *gardener) bin(s cloud.SpaceID) (ids []cloud.NodeID) {
	for n, err := range g.core.Trash(g.ctx, cloud.Ref{Space: s}) {
		if err == nil {
			ids = append(ids, n.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// act does one thing. What is refused is nothing.
func (g *gardener) act(t *rapid.T) {
	space := rapid.SampledFrom(g.spaces).Draw(t, "space")
	existing := append(g.all(space), "")
	some := func(label string) cloud.Ref {
		return cloud.Ref{Space: space, Path: rapid.SampledFrom(existing).Draw(t, label)}
	}
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
	under := func(label string) cloud.Ref {
		r := some(label)
		return cloud.Ref{Space: space, Path: cloud.Join(r.Path, name)}
	}
	g.serial++
	var err error
	switch what := rapid.SampledFrom([]string{"mkdir", "mkdir", "put", "put", "move", "move", "move", "remove", "restore", "restore", "purge", "touch", "across", "copy", "give", "deny"}).Draw(t, "what"); what {
	case "mkdir":
		_, err = g.core.MakeDir(g.ctx, under("in"), cloud.Conditions{})
	case "put":
		_, _, err = g.core.Put(g.ctx, under("in"), strings.NewReader(fmt.Sprint(g.serial)), cloud.Put{Size: -1})
	case "move":
		_, _, err = g.core.Move(g.ctx, some("from"), under("to"), cloud.Transfer{Over: rapid.Bool().Draw(t, "over")})
	case "copy":
		_, _, err = g.core.Copy(g.ctx, some("from"), under("to"), cloud.Transfer{Over: rapid.Bool().Draw(t, "over")})
	case "across":
		to := under("to")
		to.Space = rapid.SampledFrom(g.spaces).Draw(t, "to space")
		_, _, err = g.core.Move(g.ctx, some("from"), to, cloud.Transfer{Over: true})
	case "give", "deny":
		if at := some("what"); at.Path != "" { // else the member would be none any more
			g.give(t, at, map[string]cloud.Rights{"give": cloud.SpaceEditor}[what])
		}
	case "remove":
		err = g.core.Remove(g.ctx, some("what"), cloud.Conditions{})
	case "touch":
		_, err = g.core.Change(g.ctx, some("what"), cloud.Change{MTime: new(time.Unix(int64(g.serial), 0))})
	case "restore", "purge":
		ids := g.bin(space)
		if len(ids) == 0 {
			return
		}
		entry := cloud.Ref{Space: space, Node: rapid.SampledFrom(ids).Draw(t, "entry")}
		if what == "purge" {
			err = g.core.Purge(g.ctx, entry)
			break
		}
		if rapid.Bool().Draw(t, "from inside") {
			for n, err := range g.core.Trash(g.ctx, entry) {
				if err == nil && n.ID != entry.Node {
					entry.Path = n.Name
				}
			}
		}
		_, _, err = g.core.Restore(g.ctx, entry, under("to"), rapid.Bool().Draw(t, "over"))
	}
	if k := cloud.KindOf(err); err != nil && (k == cloud.Other || k == cloud.Unavailable) {
		t.Fatalf("%v", err)
	}
}

// Whatever happens, also between two pages: a listing and what has changed
// since is what another listing would be.
func TestReplicas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New(mem.New(), Options{})
		g := &gardener{core: c, ctx: as(bob), member: alice}
		home, err := c.Home(g.ctx)
		if err != nil {
			t.Fatalf("%v", err)
		}
		project, err := c.SetSpace(g.ctx, &cloud.Space{Name: "project"})
		if err != nil {
			t.Fatalf("%v", err)
		}
		g.spaces = []cloud.SpaceID{home.ID, project.ID}
		g.give(t, cloud.Ref{Space: project.ID}, cloud.SpaceViewer)
		var all []*replica
		for _, f := range []cloud.Feed{{}, {Limit: 1}, {ByPath: true}, {ByPath: true, Limit: 2}, {Flat: true, Limit: 2}} {
			f.Space = project.ID
			all = append(all, &replica{core: c, ctx: as(alice), feed: f})
		}
		for _, s := range g.spaces {
			for _, limit := range []int{0, 1, 3} {
				for _, f := range []cloud.Feed{{}, {ByPath: true}, {Flat: true}, {ByPath: true, Flat: true}} {
					f.Space, f.Limit = s, limit
					all = append(all, &replica{core: c, ctx: g.ctx, feed: f})
				}
			}
		}
		for range rapid.IntRange(1, 5).Draw(t, "rounds") {
			for range rapid.IntRange(0, 20).Draw(t, "steps") {
				g.act(t)
				r := all[rapid.IntRange(0, len(all)-1).Draw(t, "replica")]
				if _, err := r.page(); err != nil {
					t.Fatalf("%+v: %v", r.feed, err)
				}
			}
			all[rapid.IntRange(0, len(all)-1).Draw(t, "which")].check(t)
		}
		for _, r := range all {
			r.check(t)
			if r.again > 0 && cloud.CallerFrom(r.ctx).User == bob {
				t.Fatalf("had to start over")
			}
		}
	})
}

// Who may ask for changes, and when one has to start over.
func TestChangesRefuse(t *testing.T) {
	w := gather(t, Options{AutoAccept: true})
	home := w.space
	w.space = w.project
	w.mkdir("a")
	w.gives("a", "bert", role(t, "editor"))
	w.gives("", "dora", role(t, "spaceviewer"))
	g := w.gives("", "crew", role(t, "spaceeditor"))
	ask := func(ctx context.Context, space cloud.SpaceID, after string) (*cloud.Page, error) {
		return w.Changes(ctx, cloud.Feed{Space: space, After: after})
	}
	token := func(name string) string {
		t.Helper()
		p, err := ask(w.as(name), w.project, cloud.Latest)
		if err != nil {
			t.Fatal(err)
		}
		return p.Next
	}
	mine := token("ada")
	for _, c := range []struct {
		what  string
		ctx   context.Context
		space cloud.SpaceID
		after string
		want  error
	}{
		{"a manager", w.as("ada"), w.project, mine, nil},
		{"a member", w.as("dora"), w.project, "", nil},
		{"a member of a group", w.as("carl"), w.project, "", nil},
		{"who has a folder in it", w.as("bert"), w.project, "", cloud.NotExist},
		{"a stranger", w.as("light"), w.project, "", cloud.NotExist},
		{"an administrator", w.as("admin"), w.project, "", cloud.NotExist},
		{"nobody", context.Background(), w.project, "", cloud.Unauthorized},
		{"a visitor", cloud.WithCaller(context.Background(), cloud.Caller{Visitor: &cloud.Visitor{Of: cloud.Ref{Space: w.project}}}), w.project, "", cloud.Permission},
		{"the token of another", w.as("dora"), w.project, mine, cloud.Invalid},
		{"a token of another space", w.as("ada"), home, mine, cloud.Invalid},
		{"no token", w.as("ada"), w.project, "latest!", cloud.Invalid},
		{"no space", w.as("ada"), "x$y", "", cloud.NotExist},
		{"the Shares space", w.as("bert"), cloud.SharesSpace, "", cloud.NotSupported},
	} {
		p, err := ask(c.ctx, c.space, c.after)
		if !errors.Is(err, c.want) && (err != nil || c.want != nil) {
			t.Errorf("%s: got %+v, %v, want %v", c.what, p, err, c.want)
		}
	}

	// What changes what one sees.
	doras, carls := token("dora"), token("carl")
	if _, err := ask(w.as("dora"), w.project, doras); err != nil {
		t.Errorf("nothing changed: got %v", err)
	}
	denial := w.gives("a", "dora", cloud.NoRights)
	if _, err := ask(w.as("dora"), w.project, doras); !errors.Is(err, cloud.TooOld) {
		t.Errorf("after a denial: got %v, want TooOld", err)
	}
	if _, err := ask(w.as("carl"), w.project, carls); err != nil {
		t.Errorf("after the denial of another: got %v", err)
	}
	p, err := ask(w.as("dora"), w.project, "")
	if err != nil || len(p.Diffs) != 1 {
		t.Errorf("a listing without what is denied: got %+v, %v, want the root alone", p, err)
	}
	w.put("a/secret", "x")
	if p, err = ask(w.as("dora"), w.project, p.Next); err != nil || len(p.Diffs) != 1 || p.Diffs[0].Node.Name != "" {
		t.Errorf("a change in what is denied: got %+v, %v, want the root alone", p, err)
	}
	w.is("Revoke", w.Revoke(w.ctx, denial.ID), nil)
	w.is("Revoke", w.Revoke(w.ctx, g.ID), nil)
	if _, err := ask(w.as("carl"), w.project, carls); !errors.Is(err, cloud.NotExist) {
		t.Errorf("a member no more: got %v, want NotExist", err)
	}
	w.clock = w.clock.Add(time.Hour)
	expires := w.clock.Add(time.Hour)
	if _, _, err := w.Give(w.ctx, w.ref("a"), cloud.Grant{To: w.to("dora"), Rights: role(t, "editor"), Expires: expires}, ""); err != nil {
		t.Fatal(err)
	}
	doras = token("dora")
	w.clock = w.clock.Add(2 * time.Hour)
	if _, err := ask(w.as("dora"), w.project, doras); !errors.Is(err, cloud.TooOld) {
		t.Errorf("after a grant has expired: got %v, want TooOld", err)
	}

	// A space that is disabled, and one that is another under the same id.
	mine = token("ada")
	w.is("RemoveSpace", w.RemoveSpace(w.ctx, w.project, false), nil)
	if _, err := ask(w.ctx, w.project, mine); !errors.Is(err, cloud.NotExist) {
		t.Errorf("disabled: got %v, want NotExist", err)
	}
	w.is("RemoveSpace", w.RemoveSpace(w.ctx, w.project, true), nil)
	grants := []cloud.Grant{{ID: newShareID(), To: w.to("ada"), Rights: cloud.SpaceManager}}
	if _, err := w.store.SetSpace(w.ctx, &cloud.Space{ID: w.project, Kind: cloud.Project, Root: &cloud.Node{Grants: grants}}); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(w.ctx, w.project, mine); !errors.Is(err, cloud.TooOld) {
		t.Errorf("made again: got %v, want TooOld", err)
	}
}

// A journal that does not reach back, or that was set back, means starting over.
func TestChangesTooOld(t *testing.T) {
	store := mem.New()
	store.History = 3
	c := New(store, Options{})
	home, err := c.Home(as(alice))
	if err != nil {
		t.Fatal(err)
	}
	feed := cloud.Feed{Space: home.ID, After: cloud.Latest}
	p, err := c.Changes(as(alice), feed)
	if err != nil {
		t.Fatal(err)
	}
	future := bookmark{after: store.Last() + 1}
	sp, _ := c.enter(as(alice), home.ID)
	future.view, _ = sp.view(alice, time.Now())
	feed.After = future.token(string(alice.ID), &feed)
	if _, err := c.Changes(as(alice), feed); !errors.Is(err, cloud.TooOld) {
		t.Errorf("from the future: got %v, want TooOld", err)
	}
	for i := range 5 {
		if _, err := c.MakeDir(as(alice), cloud.Ref{Space: home.ID, Path: fmt.Sprint(i)}, cloud.Conditions{}); err != nil {
			t.Fatal(err)
		}
	}
	feed.After = p.Next
	if _, err := c.Changes(as(alice), feed); !errors.Is(err, cloud.TooOld) {
		t.Errorf("before the journal begins: got %v, want TooOld", err)
	}
}

// Of very much one hears in several answers or, by path, has to start over.
func TestChangesOfVeryMuch(t *testing.T) {
	store := mem.New()
	store.History = 2 * maxFold
	c := New(store, Options{})
	ctx := as(bob)
	s, err := c.SetSpace(ctx, &cloud.Space{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{core: c, ctx: ctx, feed: cloud.Feed{Space: s.ID}}
	if err := r.catchUp(); err != nil {
		t.Fatal(err)
	}
	first, err := store.MakeDir(ctx, s.ID, s.ID.Root(), "first")
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxFold + 10 {
		if _, err := store.Edit(ctx, s.ID, first.ID, func(n *cloud.Node) error { n.MTime = time.Unix(int64(i), 0); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.MakeDir(ctx, s.ID, first.ID, "last"); err != nil {
		t.Fatal(err)
	}
	byPath := r.feed
	byPath.ByPath = true
	if _, err := c.Changes(ctx, byPath); !errors.Is(err, cloud.TooOld) {
		t.Errorf("by path: got %v, want TooOld", err)
	}
	p, err := c.Changes(ctx, r.feed)
	if err != nil || !p.More || len(p.Diffs) != 2 {
		t.Errorf("got %+v, %v, want the first folder and the root, and more to come", p, err)
	}
	if r.check(t); r.again > 0 {
		t.Error("had to start over")
	}
}

// Ten changes cost the same however many nodes there are.
func BenchmarkChanges(b *testing.B) {
	for _, nodes := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("of=%d", nodes), func(b *testing.B) {
			store := mem.New()
			c := New(store, Options{})
			ctx := as(bob)
			s, err := c.SetSpace(ctx, &cloud.Space{Name: "large"})
			if err != nil {
				b.Fatal(err)
			}
			for i := range nodes / 1000 {
				dir, err := store.MakeDir(ctx, s.ID, s.ID.Root(), fmt.Sprint("d", i))
				if err != nil {
					b.Fatal(err)
				}
				for j := range 999 {
					if _, _, err := store.Write(ctx, cloud.Write{Space: s.ID, Dir: dir.ID, Name: fmt.Sprint(j), Body: strings.NewReader("")}); err != nil {
						b.Fatal(err)
					}
				}
			}
			p, err := c.Changes(ctx, cloud.Feed{Space: s.ID, After: cloud.Latest})
			if err != nil {
				b.Fatal(err)
			}
			for i := range 10 {
				if _, _, err := c.Put(ctx, cloud.Ref{Space: s.ID, Path: fmt.Sprintf("d0/%d", i)}, strings.NewReader("x"), cloud.Put{Size: 1}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				got, err := c.Changes(ctx, cloud.Feed{Space: s.ID, After: p.Next})
				if err != nil || len(got.Diffs) != 12 {
					b.Fatalf("got %d differences, %v", len(got.Diffs), err)
				}
			}
		})
	}
}
