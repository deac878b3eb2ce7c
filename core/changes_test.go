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
