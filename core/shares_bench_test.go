package core

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"opencloud/cloud"
	"opencloud/storage/posix"
)

func onDisk(b *testing.B) cloud.Store {
	b.Helper()
	s, err := posix.Open(b.Context(), posix.Options{Root: b.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func (w *circle) benchDir(b *testing.B, space cloud.SpaceID, path string) *cloud.Node {
	b.Helper()
	n, err := w.MakeDir(w.ctx, cloud.Ref{Space: space, Path: path}, cloud.Conditions{})
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// share gives somebody n folders of a space.
func (w *circle) share(b *testing.B, space cloud.SpaceID, name string, n int) {
	b.Helper()
	for i := range n {
		dir := w.benchDir(b, space, fmt.Sprint("dir ", i))
		if _, _, err := w.Give(w.ctx, cloud.Ref{Space: space, Node: dir.ID}, cloud.Grant{To: w.to(name), Rights: cloud.SpaceViewer}, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// What the rights on a file eight folders down cost, in a space with many
// grants.
func BenchmarkRights(b *testing.B) {
	for _, grants := range []int{0, 10_000} {
		b.Run(fmt.Sprint(grants, " grants"), func(b *testing.B) {
			w := gatherAt(b, onDisk(b), Options{})
			path, dir := "", &cloud.Node{}
			for range 8 {
				path = cloud.Join(path, "sub")
				dir = w.benchDir(b, w.project, path)
			}
			if _, _, err := w.Put(w.ctx, cloud.Ref{Space: w.project, Node: dir.ID, Path: "file"}, strings.NewReader("x"), cloud.Put{Size: 1}); err != nil {
				b.Fatal(err)
			}
			sp, err := w.enter(b.Context(), w.project)
			if err != nil {
				b.Fatal(err)
			}
			for i := range grants { // in memory only: it is the memory that is asked
				sp.setGrants(cloud.NodeID(cloud.NewUUID().String()), []cloud.Grant{{ID: newShareID(), To: cloud.Subject{User: cloud.UserID(fmt.Sprint(i))}, Rights: cloud.CanStat}})
			}
			n, err := w.Core.store.Lookup(b.Context(), w.project, dir.ID, "file")
			if err != nil {
				b.Fatal(err)
			}
			p := principal{user: w.users["ada"]}
			b.ReportAllocs()
			for b.Loop() {
				if s, err := w.spot(b.Context(), sp, p, n); err != nil || s.reach.here != cloud.AllRights {
					b.Fatal(s.reach, err)
				}
			}
		})
	}
}

// What somebody with many shares pays to look at all of them, and at the root
// of their Shares space when nothing has changed there.
func BenchmarkReceived(b *testing.B) {
	for _, n := range []int{500, 5_000} {
		w := gatherAt(b, onDisk(b), Options{AutoAccept: true})
		w.share(b, w.project, "bert", n)
		bert := w.as("bert")
		b.Run(fmt.Sprint(n, " shares"), func(b *testing.B) {
			for b.Loop() {
				got := 0
				for _, err := range w.Received(bert) {
					if err != nil {
						b.Fatal(err)
					}
					got++
				}
				if got != n {
					b.Fatal(got)
				}
			}
		})
		b.Run(fmt.Sprint(n, " listed"), func(b *testing.B) {
			for b.Loop() {
				for _, err := range w.List(bert, cloud.Ref{Space: cloud.SharesSpace}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run(fmt.Sprint(n, " root"), func(b *testing.B) {
			for b.Loop() {
				if _, err := w.Stat(bert, cloud.Ref{Space: cloud.SharesSpace}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint(n, " root, changes elsewhere"), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				w.benchTouch(b, w.space)
				b.StartTimer()
				if _, err := w.Stat(bert, cloud.Ref{Space: cloud.SharesSpace}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint(n, " root, changes below"), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				w.benchTouch(b, w.project)
				b.StartTimer()
				if _, err := w.Stat(bert, cloud.Ref{Space: cloud.SharesSpace}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint(n, " way in"), func(b *testing.B) {
			for b.Loop() {
				if _, err := w.Stat(bert, inShares("dir 7")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func (w *circle) benchTouch(b *testing.B, space cloud.SpaceID) {
	if _, _, err := w.Put(w.ctx, cloud.Ref{Space: space, Path: "touched"}, strings.NewReader("x"), cloud.Put{Size: 1}); err != nil {
		b.Fatal(err)
	}
}

// What each request by a link pays.
func BenchmarkVisit(b *testing.B) {
	w := gatherAt(b, onDisk(b), Options{})
	dir := w.benchDir(b, w.space, "dir")
	g, _, err := w.Give(w.ctx, cloud.Ref{Space: w.space, Node: dir.ID}, cloud.Grant{To: cloud.Subject{Link: "x"}, Rights: cloud.CanStat | cloud.CanPath | cloud.CanList | cloud.CanRead}, "open sesame!")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := w.Visit(context.Background(), g.To.Link, "open sesame!"); err != nil {
			b.Fatal(err)
		}
	}
}

// What the first question after a start costs: to read the grants of all spaces.
func BenchmarkIndex(b *testing.B) {
	const spaces = 10_000
	s := onDisk(b)
	for i := range spaces {
		id := cloud.UserID(cloud.NewUUID().String())
		if _, err := s.SetSpace(b.Context(), &cloud.Space{ID: s.NewSpaceID(cloud.Personal, id), Kind: cloud.Personal, Name: fmt.Sprint(i), Owner: id,
			Root: &cloud.Node{Grants: []cloud.Grant{{ID: newShareID(), To: cloud.Subject{User: id}, Rights: cloud.SpaceManager, By: id}}}}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		c := New(s, Options{})
		if _, err := c.indexed(b.Context()); err != nil || len(c.index.where) != spaces {
			b.Fatal(len(c.index.where), err)
		}
	}
}
