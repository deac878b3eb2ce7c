package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"opencloud/cloud"
	"opencloud/storage/mem"
	"opencloud/storage/posix"
)

// A step is something that one of the circle, or a visitor, tries. The numbers
// choose among what there is.
type step struct{ Kind, Actor, A, B, Role int }

var steps = rapid.Custom(func(t *rapid.T) step {
	n := rapid.IntRange(0, 999)
	return step{n.Draw(t, "kind"), n.Draw(t, "actor"), n.Draw(t, "a"), n.Draw(t, "b"), n.Draw(t, "role")}
})

// Whatever is tried, in whatever order: everybody has just the rights that the
// grants on the path say, nobody gets at content that they could not read
// before unless somebody who could lets them, and all that is granted is listed.
func TestSharingModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		run(rt, t, mem.New(), rapid.SliceOfN(steps, 10, 60).Draw(rt, "steps"))
	})
}

func TestSharingModelPosix(t *testing.T) {
	for seed := range 6 {
		s, err := posix.Open(t.Context(), posix.Options{Root: t.TempDir()}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		run(t, t, s, rapid.SliceOfN(steps, 60, 60).Example(seed))
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// failer is what rapid.T and testing.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// A model is what stands where, and what was granted on it, as the
// store has it; who may do what is found out the slow way.
type model struct {
	failer
	*circle
	people   []principal
	contexts []context.Context
	nodes    []*modelNode // those in the bin behind the others
	binned   []*modelNode
	grants   []cloud.Grant
	files    int
}

type modelNode struct {
	*cloud.Node
	up *modelNode
}

func run(f failer, t *testing.T, store cloud.Store, all []step) {
	w := gatherAt(t, store, Options{AutoAccept: true})
	w.T = t
	m := &model{failer: f, circle: w}
	for _, name := range []string{"ada", "bert", "carl", "dora"} {
		m.people = append(m.people, principal{user: w.users[name]})
		m.contexts = append(m.contexts, w.as(name))
	}
	m.furnish()
	m.look()
	m.agree(step{})
	for _, s := range all {
		before, had := m.readable(), m.below()
		created := ""
		who := s.Actor % (len(m.people) + 2) % len(m.people) // the first two more often
		what, on, err := m.try(s, who, &created)
		m.look()
		m.Logf("%s %s by %d: %v", what, on, who, err)
		m.agree(s)
		for i, has := range m.below() {
			for id, r := range has {
				var old cloud.Rights
				if i < len(had) {
					old = had[i][id]
				}
				if more := r &^ old; what == "give" && !had[who][id].Has(more) {
					m.Fatalf("%d gave %d rights %b on %s and had %b", who, i, more, id, had[who][id])
				}
			}
		}
		after := m.readable()
		for i := range after {
			for content := range after[i] {
				if i < len(before) && before[i][content] || content == created || what == "time" || before[who][content] && i != who && what != "remove" {
					continue
				}
				m.Fatalf("%s: %d let %d read what they could not themselves: %s", what, who, i, content)
			}
		}
	}
	w.Core.Close()
}

// furnish makes something to begin with.
func (m *model) furnish() {
	for _, space := range []cloud.SpaceID{m.project, m.space} {
		for _, dir := range []string{"n0", "n0/n1", "n2", "n2/n0"} {
			if _, err := m.MakeDir(m.ctx, cloud.Ref{Space: space, Path: dir}, cloud.Conditions{}); err != nil {
				m.Fatalf("MakeDir: %v", err)
			}
			m.files++
			if _, _, err := m.Put(m.ctx, cloud.Ref{Space: space, Path: dir + "/n3"}, strings.NewReader(fmt.Sprint("content ", m.files)), cloud.Put{Size: -1}); err != nil {
				m.Fatalf("Put: %v", err)
			}
		}
	}
	lead := someRoles[8]
	for _, g := range []struct {
		ref cloud.Ref
		cloud.Grant
	}{
		{cloud.Ref{Space: m.project}, cloud.Grant{To: m.to("bert"), Rights: cloud.SpaceEditor}},
		{cloud.Ref{Space: m.project, Path: "n0/n1"}, cloud.Grant{To: m.to("bert")}},
		{cloud.Ref{Space: m.project}, cloud.Grant{To: m.to("dora"), Rights: cloud.SpaceEditor}},
		{cloud.Ref{Space: m.project, Path: "n2/n0"}, cloud.Grant{To: m.to("crew")}},
		{cloud.Ref{Space: m.project, Path: "n0"}, cloud.Grant{To: m.to("carl"), Rights: lead}},
		{cloud.Ref{Space: m.space, Path: "n2"}, cloud.Grant{To: m.to("crew"), Rights: lead | cloud.CanDeny}},
	} {
		if _, _, err := m.Give(m.ctx, g.ref, g.Grant, ""); err != nil {
			m.Fatalf("Give: %v", err)
		}
	}
}

// look reads the store anew.
func (m *model) look() {
	m.nodes, m.binned, m.grants = nil, nil, nil
	for _, space := range []cloud.SpaceID{m.space, m.project} {
		m.walk(space, nil, space.Root())
		m.walk(space, nil, cloud.TrashID)
	}
	m.nodes = append(m.nodes, m.binned...)
	for i, p := range m.people { // with each request anew, as whoever lets them in does
		if p.visitor == nil {
			continue
		}
		if v, err := m.Visit(context.Background(), p.visitor.Token, ""); err == nil {
			m.people[i].visitor = v
			m.contexts[i] = cloud.WithCaller(context.Background(), cloud.Caller{Visitor: v})
		}
	}
}

func (m *model) walk(space cloud.SpaceID, up *modelNode, id cloud.NodeID) {
	var n *modelNode
	if id != cloud.TrashID {
		got, err := m.Core.store.Node(context.Background(), space, id)
		if err != nil {
			m.Fatalf("Node: %v", err)
		}
		n = &modelNode{got, up}
		if n.bin() {
			m.binned = append(m.binned, n)
		} else {
			m.nodes = append(m.nodes, n)
		}
		m.grants = append(m.grants, got.Grants...)
		if !got.Dir {
			return
		}
	}
	for c, err := range m.Core.store.Children(context.Background(), space, id) {
		if err != nil {
			m.Fatalf("Children: %v", err)
		}
		m.walk(space, n, c.ID)
	}
}

func (n *modelNode) bin() bool {
	for ; n.up != nil; n = n.up {
	}
	return n.Parent == cloud.TrashID
}

// may is what somebody may do with a node, and below it.
func (m *model) may(p principal, n *modelNode) (here, below cloud.Rights) {
	if n == nil {
		return 0, 0
	}
	_, above := m.may(p, n.up)
	var own cloud.Rights
	denied := false
	for _, g := range n.Grants {
		mine := p.visitor == nil && (g.To.User == p.user.ID || slices.Contains(p.user.Groups, g.To.Group))
		if p.visitor != nil {
			mine = g.ID == p.visitor.Share
		}
		switch {
		case !g.Expires.IsZero() && !m.clock.Before(g.Expires):
		case g.Rights == 0 && g.Link == nil:
			denied = denied || p.visitor != nil || mine && !above.Has(cloud.CanDeny)
		case mine:
			own |= g.Rights
		}
	}
	below = above | own
	if denied {
		if below = own; p.visitor == nil {
			return 0, 0
		}
	}
	if n.up == nil {
		return below, below
	}
	here = below
	for _, r := range []cloud.Rights{cloud.CanMove, cloud.CanDelete} {
		if !above.Has(r) {
			here &^= r
		}
	}
	if !below.Has(cloud.CanStat) || above.Has(cloud.CanStat) && above&(cloud.CanList|cloud.CanRead) == 0 && !own.Has(cloud.CanStat) {
		here = 0
	}
	return here, below
}

// agree compares what core says with the model.
func (m *model) agree(s step) {
	m.Helper()
	for i, p := range m.people {
		received := map[cloud.NodeID]bool{}
		if p.visitor == nil {
			for r, err := range m.Received(m.contexts[i]) {
				if err != nil {
					m.Fatalf("Received: %v", err)
				}
				received[r.Node.ID] = true
			}
		}
		for _, n := range m.nodes {
			want, _ := m.may(p, n)
			if n.bin() {
				inBin := m.mayInBin(p, n)
				if got, err := m.binnedFor(m.contexts[i], n); got != inBin {
					m.Fatalf("%v: %s in the bin for %d: got rights %b, %v, want %b", s, n.Path, i, got, err, inBin)
				}
				want = 0
			}
			got, err := m.Stat(m.contexts[i], cloud.Ref{Space: n.Space, Node: n.ID})
			switch {
			case !want.Has(cloud.CanStat):
				if !errors.Is(err, cloud.NotExist) {
					m.Fatalf("%v: Stat of %s %s by %d: got %v, want NotExist", s, n.Space, n.Path, i, err)
				}
				continue
			case err != nil || got.Rights != want:
				m.Fatalf("%v: Stat of %s %s by %d: got %+v, %v, want rights %b", s, n.Space, n.Path, i, got, err, want)
			}
			if p.visitor != nil {
				continue
			}
			reached, live := false, 0
			for _, g := range n.Grants {
				if !g.Expired(m.clock) {
					live++
					reached = reached || g.Rights != 0 && g.By != p.user.ID && g.Concerns(p.user)
				}
			}
			home := m.Core.store.NewSpaceID(cloud.Personal, p.user.ID) == n.Space
			if reached = reached && n.up != nil && !home; received[n.ID] != reached {
				m.Fatalf("%v: %s received by %d: got %t, want %t", s, n.Path, i, received[n.ID], reached)
			}
			gs, _, err := m.Grants(m.contexts[i], cloud.Ref{Space: n.Space, Node: n.ID})
			if err != nil || want.Has(cloud.CanListGrants) && len(gs) != live {
				m.Fatalf("%v: Grants on %s by %d: got %d, %v, want %d", s, n.Path, i, len(gs), err, live)
			}
			for _, g := range gs {
				if g.Link != nil && (g.Link.Secret != "" || g.To.Link != "" && !want.Has(g.Rights&^placing)) {
					m.Fatalf("%v: Grants on %s tells %d too much: %+v, %+v", s, n.Path, i, g, g.Link)
				}
			}
		}
	}
	x, err := m.indexed(context.Background())
	if err != nil {
		m.Fatalf("indexed: %v", err)
	}
	count := 0
	for _, n := range m.nodes {
		if kept := x.grants[n.Space][n.ID]; len(kept) != len(n.Grants) {
			m.Fatalf("%v: index has %d grants on %s, want %d", s, len(kept), n.Path, len(n.Grants))
		}
		if len(n.Grants) > 0 {
			count++
		}
	}
	kept := 0
	for _, space := range []cloud.SpaceID{m.space, m.project} {
		kept += len(x.grants[space])
	}
	if kept != count {
		m.Fatalf("%v: index has grants on %d nodes, want %d", s, kept, count)
	}
}

// readable is which contents each of the people can get at, now or by way of
// the bin.
func (m *model) readable() []map[string]bool {
	all := make([]map[string]bool, len(m.people))
	for i, p := range m.people {
		all[i] = map[string]bool{}
		for _, n := range m.nodes {
			if n.Dir {
				continue
			}
			here, _ := m.may(p, n)
			if n.bin() {
				here = m.mayInBin(p, n)
			}
			if here.Has(cloud.CanRead) {
				all[i][n.Sums.String()] = true
			}
		}
	}
	return all
}

// mayInBin is what somebody may do with a node in the bin: what they may with
// the whole space, unless something there denies it; nothing for who does not
// get at the bin.
func (m *model) mayInBin(p principal, n *modelNode) cloud.Rights {
	root := m.nodes[slices.IndexFunc(m.nodes, func(r *modelNode) bool { return r.Space == n.Space && r.ID == n.Space.Root() })]
	r, _ := m.may(p, root)
	if p.visitor != nil || !r.Has(cloud.CanListTrash|cloud.CanRestore) {
		return 0
	}
	for ; n != nil; n = n.up {
		for _, g := range n.Grants {
			if g.Denies() && g.Holds(p.user, m.clock) && !r.Has(cloud.CanDeny) {
				return 0
			}
		}
	}
	return r
}

func (m *model) binnedFor(ctx context.Context, n *modelNode) (cloud.Rights, error) {
	sp, root, err := m.inBin(ctx, n.Space, cloud.CanListTrash|cloud.CanRestore)
	if err != nil {
		return 0, err
	}
	defer m.Core.leave(sp)
	got, _, err := m.Core.binned(ctx, sp, root.who, cloud.Ref{Space: n.Space, Node: n.ID})
	if err != nil {
		return 0, err
	}
	return got.Rights, nil
}

// below is what each of the people may do at and below each node.
func (m *model) below() []map[cloud.NodeID]cloud.Rights {
	all := make([]map[cloud.NodeID]cloud.Rights, len(m.people))
	for i, p := range m.people {
		all[i] = map[cloud.NodeID]cloud.Rights{}
		for _, n := range m.nodes {
			_, all[i][n.ID] = m.may(p, n)
		}
	}
	return all
}

var someRoles = func() (all []cloud.Rights) {
	for _, name := range []string{"viewer", "editor", "editor-lite", "secure-viewer", "file-editor", "spaceviewer", "spaceeditor", "manager"} {
		r, _ := cloud.ShareRoleBy(name)
		all = append(all, r.Rights)
	}
	lead := all[1] | cloud.CanGrant | cloud.CanUpdateGrant | cloud.CanRevoke | cloud.CanListGrants
	return append(all, lead, lead|cloud.CanDeny, cloud.CanStat|cloud.CanWrite|cloud.CanMakeDir, cloud.CanStat)
}()

// try makes a step and says what it was, and on what.
func (m *model) try(s step, who int, created *string) (what, on string, err error) {
	ctx := m.contexts[who]
	pick := func(n int) cloud.Ref {
		at := m.nodes[n%len(m.nodes)]
		return cloud.Ref{Space: at.Space, Node: at.ID}
	}
	inDir := func(n int, name string) cloud.Ref {
		var dirs []*modelNode
		for _, d := range m.nodes {
			if d.Dir && !d.bin() {
				dirs = append(dirs, d)
			}
		}
		at := dirs[n%len(dirs)]
		return cloud.Ref{Space: at.Space, Node: at.ID, Path: name}
	}
	name := fmt.Sprint("n", s.B%4)
	to := []cloud.Subject{m.to("bert"), m.to("carl"), m.to("dora"), m.to("crew"), m.to("ada")}[s.B%5]
	g := cloud.Grant{To: to, Rights: someRoles[s.Role%len(someRoles)]}
	if s.Role%4 == 0 {
		g.Expires = m.clock.Add(time.Hour)
	}
	var id cloud.ShareID
	denies := false
	if len(m.grants) > 0 {
		some := m.grants[s.A%len(m.grants)]
		id, denies = some.ID, some.Denies()
	}
	at := func(ref cloud.Ref) string { return fmt.Sprint(m.find1(ref).Path, "/", ref.Path) }
	how := cloud.Transfer{Over: s.Role%2 == 0}
	switch s.Kind % 22 {
	case 0:
		_, err = m.MakeDir(ctx, inDir(s.A, name), cloud.Conditions{})
		return "mkdir", at(inDir(s.A, name)), err
	case 1, 2:
		m.files++
		body := fmt.Sprint("content ", m.files)
		*created = cloud.SumsOf([]byte(body)).String()
		_, _, err = m.Put(ctx, inDir(s.A, name), strings.NewReader(body), cloud.Put{Size: int64(len(body))})
		return "put", at(inDir(s.A, name)), err
	case 3, 4, 5:
		_, _, err = m.Give(ctx, pick(s.A), g, "")
		return "give", fmt.Sprint(at(pick(s.A)), g), err
	case 6, 7:
		g.Rights = 0
		_, _, err = m.Give(ctx, inDir(s.A, ""), g, "")
		return "give", fmt.Sprint("a denial ", at(inDir(s.A, "")), g), err
	case 8:
		link := []cloud.LinkType{cloud.LinkView, cloud.LinkEdit, cloud.LinkCreateOnly, cloud.LinkUpload, cloud.LinkBlocksDownload}[s.Role%5]
		g.To = cloud.Subject{Link: "x"}
		g.Rights, _ = link.Rights(m.find1(pick(s.A)).Kind())
		made, _, err := m.Give(ctx, pick(s.A), g, "")
		if err == nil && made.Rights != 0 && len(m.people) < 7 {
			v, err := m.Visit(context.Background(), made.To.Link, "")
			if err != nil {
				m.Fatalf("Visit: %v", err)
			}
			m.people = append(m.people, principal{visitor: v})
			m.contexts = append(m.contexts, cloud.WithCaller(context.Background(), cloud.Caller{Visitor: v}))
		}
		return "give", fmt.Sprint("a link ", link, " ", at(pick(s.A))), err
	case 9:
		_, _, err = m.Regrant(ctx, id, cloud.GrantChange{Rights: &g.Rights, Expires: &g.Expires})
		if denies {
			return "undeny", string(id), err // what comes from above then is not theirs
		}
		return "give", "anew " + string(id), err
	case 10:
		return "revoke", string(id), m.Revoke(ctx, id)
	case 11, 12, 13:
		_, _, err = m.Move(ctx, pick(s.A), inDir(s.B, m.find1(pick(s.A)).Name), how)
		return "move", at(pick(s.A)) + " to " + at(inDir(s.B, name)), err
	case 14, 15:
		_, _, err = m.Copy(ctx, pick(s.A), inDir(s.B, name), how)
		return "copy", at(pick(s.A)) + " to " + at(inDir(s.B, name)), err
	case 16, 17:
		return "remove", at(pick(s.A)), m.Remove(ctx, pick(s.A), cloud.Conditions{})
	case 18, 19, 20:
		if len(m.binned) == 0 {
			return "nothing", "", nil
		}
		n := m.binned[s.A%len(m.binned)]
		from := cloud.Ref{Space: n.Space, Node: n.ID}
		if s.Role%5 == 0 {
			return "purge", n.Path, m.Purge(ctx, from)
		}
		_, _, err = m.Restore(ctx, from, inDir(s.B, name), false)
		return "restore", n.Path + " to " + at(inDir(s.B, name)), err
	}
	m.clock = m.clock.Add(40 * time.Minute)
	if s.A%2 == 0 {
		m.expire(context.Background())
	}
	return "time", "", nil
}

// find1 is the node that a ref begins with.
func (m *model) find1(ref cloud.Ref) *modelNode {
	for _, n := range m.nodes {
		if n.Space == ref.Space && n.ID == ref.Node {
			return n
		}
	}
	return nil
}
