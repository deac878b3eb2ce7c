package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/cloud"
	"opencloud/storage/mem"
)

// An ear is somebody who listens.
type ear struct {
	*circle
	name  string
	heard chan *cloud.Notice
	ended chan error
}

// listens has somebody listen from now on.
func (w *circle) listens(name string) *ear { return w.listensFrom(name, w.store.Last()) }

func (w *circle) listensFrom(name string, after cloud.Cursor) *ear {
	ctx, cancel := context.WithCancel(w.as(name))
	w.Cleanup(cancel)
	e := &ear{circle: w, name: name, heard: make(chan *cloud.Notice, 1000), ended: make(chan error, 1)}
	go func() {
		for n, err := range w.Watch(ctx, after, 0) {
			if err != nil {
				e.ended <- err
				return
			}
			if n.Record != nil || n.Gap {
				e.heard <- n
			}
		}
		e.ended <- nil
	}()
	return e
}

// since is what they have heard of until now: they do something at home, and
// hear of that last.
func (e *ear) since() []string {
	e.Helper()
	home, err := e.Core.Home(e.as(e.name))
	if err != nil {
		e.Fatal(err)
	}
	mark, _, err := e.Put(e.as(e.name), cloud.Ref{Space: home.ID, Path: "mark"}, strings.NewReader("x"), cloud.Put{Size: 1})
	if err != nil {
		e.Fatal(err)
	}
	last := e.store.Last()
	var all []string
	for {
		select {
		case n := <-e.heard:
			switch {
			case n.Gap:
				all = append(all, "gap")
			case n.Record.Node == mark.ID:
				if n.Record.Seq == last {
					return all
				}
			case n.Record.Kind == cloud.SpaceMade:
			default:
				all = append(all, e.tell(n))
			}
		case err := <-e.ended:
			e.Fatalf("%s does not listen any more: %v", e.name, err)
		}
	}
}

// tell names the node and its directory, as far as they are known.
func (e *ear) tell(n *cloud.Notice) string {
	name := func(id cloud.NodeID) string {
		got, err := e.store.Node(e.ctx, n.Record.Space, id)
		switch {
		case id == "":
			return "?"
		case err != nil:
			return "gone"
		case got.Parent == "":
			return "/"
		}
		return got.Name
	}
	sign := "-"
	if n.Node != nil {
		sign = "+"
		if n.Node.ID != n.Record.Node || n.Node.ETag == "" || n.Node.Parent != n.Parent || !n.Node.Rights.Has(cloud.CanStat) {
			e.Errorf("%s: notice of %s has node %+v", e.name, n.Record.Kind, n.Node)
		}
	}
	return fmt.Sprintf("%s %s%s in %s", n.Record.Kind, sign, name(n.Record.Node), name(n.Parent))
}

// Who hears what: ada manages the space, dora is a viewer of all of it except
// for d, bert has been given b, and carl has nothing.
func TestWhoHears(t *testing.T) {
	ref := func(w *circle, path string) cloud.Ref { return cloud.Ref{Space: w.project, Path: path} }
	move := func(from, to string) func(w *circle) error {
		return func(w *circle) error {
			_, _, err := w.Move(w.ctx, ref(w, from), ref(w, to), cloud.Transfer{})
			return err
		}
	}
	remove := func(path string) func(w *circle) error {
		return func(w *circle) error { return w.Remove(w.ctx, ref(w, path), cloud.Conditions{}) }
	}
	put := func(path string) func(w *circle) error {
		return func(w *circle) error {
			_, _, err := w.Put(w.ctx, ref(w, path), strings.NewReader("x"), cloud.Put{Size: 1})
			return err
		}
	}
	revoke := func(path, name string) func(w *circle) error {
		return func(w *circle) error {
			gs, _, err := w.Grants(w.ctx, ref(w, path))
			for _, g := range gs {
				if g.To == w.to(name) {
					err = w.Revoke(w.ctx, g.ID)
				}
			}
			return err
		}
	}
	for _, c := range []struct {
		what                  string
		before, do            func(w *circle) error
		ada, dora, bert, carl string
	}{
		{what: "write", do: put("a/f"), ada: "file-written +f in a", dora: "file-written +f in a"},
		{what: "new file below", do: put("a/b/new"), ada: "file-made +new in b", dora: "file-made +new in b", bert: "file-made +new in b"},
		{what: "new in what is denied", do: put("a/d/new"), ada: "file-made +new in d"},
		{what: "rename of what is shared", do: move("a/b", "a/B"), ada: "moved +B in a", dora: "moved +B in a", bert: "moved +B in ?"},
		{what: "move into sight", do: move("a/f", "a/b/f"), ada: "moved +f in b", dora: "moved +f in b", bert: "moved +f in b"},
		{what: "move out of sight", do: move("a/b/g", "a/d/g"), ada: "moved +g in d", dora: "moved -g in b", bert: "moved -g in b"},
		{what: "move of what is shared into what is denied", do: move("a/b", "a/d/b"), ada: "moved +b in d", dora: "moved -b in a", bert: "moved +b in ?"},
		{what: "remove", do: remove("a/b/g"), ada: "trashed -g in b", dora: "trashed -g in b", bert: "trashed -g in b"},
		{what: "remove what is shared", do: remove("a/b"), ada: "trashed -b in a", dora: "trashed -b in a", bert: "trashed -b in ?"},
		{what: "remove above", do: remove("a"), ada: "trashed -a in /", dora: "trashed -a in /"},
		{what: "restore", before: remove("a/b/g"), do: func(w *circle) error {
			var err error
			for n := range w.Trash(w.ctx, ref(w, "")) {
				_, _, err = w.Restore(w.ctx, cloud.Ref{Space: w.project, Node: n.ID}, cloud.Ref{}, false)
			}
			return err
		}, ada: "restored +g in b", dora: "restored +g in b", bert: "restored +g in b"},
		{what: "purge", before: remove("a/b/g"), do: func(w *circle) error { return w.Purge(w.ctx, ref(w, "")) }},
		{what: "lock", do: func(w *circle) error {
			_, _, _, err := w.Lock(w.ctx, ref(w, "a/b/g"), cloud.Lock{}, cloud.Conditions{})
			return err
		}, ada: "relocked +g in b", dora: "relocked +g in b", bert: "relocked +g in b"},
		{what: "attribute", do: func(w *circle) error {
			_, err := w.Change(w.ctx, ref(w, "a"), cloud.Change{Attrs: map[string]*string{"k": new("v")}})
			return err
		}, ada: "edited +a in /", dora: "edited +a in /"},
		{what: "share", do: func(w *circle) error {
			_, _, err := w.Give(w.ctx, ref(w, "a/f"), cloud.Grant{To: w.to("carl"), Rights: role(t, "viewer")}, "")
			return err
		}, ada: "regranted +f in a", dora: "regranted +f in a", carl: "regranted +f in ?"},
		{what: "unshare", do: revoke("a/b", "bert"), ada: "regranted +b in a", dora: "regranted +b in a", bert: "regranted -b in ?"},
		{what: "unshare and write", before: revoke("a/b", "bert"), do: put("a/b/new"), ada: "file-made +new in b", dora: "file-made +new in b"},
		{what: "end of a membership", do: revoke("", "dora"), ada: "regranted +/ in ?", dora: "regranted -/ in ?"},
		{what: "disable", do: func(w *circle) error { return w.RemoveSpace(w.ctx, w.project, false) },
			ada: "space-disabled +/ in ?", dora: "space-disabled +/ in ?"},
		{what: "drop", before: func(w *circle) error { return w.RemoveSpace(w.ctx, w.project, false) },
			do: func(w *circle) error { return w.RemoveSpace(w.ctx, w.project, true) }, ada: "space-dropped -gone in ?", dora: "space-dropped -gone in ?"},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := gather(t, Options{AutoAccept: true})
			home := w.space
			w.space = w.project
			w.mkdir("a")
			w.mkdir("a/b")
			w.mkdir("a/d")
			w.put("a/f", "f")
			w.put("a/b/g", "g")
			w.put("a/d/h", "h")
			w.gives("a/b", "bert", role(t, "editor"))
			w.gives("", "dora", role(t, "spaceviewer"))
			if _, _, err := w.Give(w.ctx, w.ref("a/d"), cloud.Grant{To: w.to("dora")}, ""); err != nil {
				t.Fatal(err)
			}
			w.space = home
			if c.before != nil {
				if err := c.before(w); err != nil {
					t.Fatal(err)
				}
			}
			start := w.store.Last()
			var ears []*ear
			for _, name := range []string{"ada", "dora", "bert", "carl"} {
				ears = append(ears, w.listens(name))
			}
			if err := c.do(w); err != nil {
				t.Fatal(err)
			}
			for i, want := range []string{c.ada, c.dora, c.bert, c.carl} {
				if got := strings.Join(ears[i].since(), "; "); got != want {
					t.Errorf("%s: got %q, want %q", ears[i].name, got, want)
				}
			}
			// Who was cut off hears the same, as far as that can still be known.
			if got := w.listensFrom("ada", start).since(); strings.Join(got, "; ") != c.ada {
				t.Errorf("ada, resumed: got %q, want %q", got, c.ada)
			}
		})
	}
}

// Rights are those of now: a notice that waits for who lost them is not for
// them any more.
func TestRevokedWhileItWaits(t *testing.T) {
	w := gather(t, Options{AutoAccept: true})
	w.mkdir("a")
	g := w.gives("a", "bert", role(t, "editor"))
	l := &listener{user: w.users["bert"], wake: make(chan struct{}, 1)}
	_, leave := w.follower.join(w.Core, l)
	defer leave()
	w.put("a/new", "x")
	<-l.wake
	if err := w.Revoke(w.ctx, g.ID); err != nil {
		t.Fatal(err)
	}
	queue, _, _ := l.take()
	if len(queue) == 0 || queue[0].Kind != cloud.FileMade {
		t.Fatalf("got %v, want the new file first", queue)
	}
	for _, h := range queue[:1] {
		if n, err := w.notice(t.Context(), l.user, h); n != nil || err != nil {
			t.Errorf("got %+v, %v after the share was revoked", n, err)
		}
	}
}

// A reader who is too slow hears of a gap and of what comes after it, and
// costs no more than its queue.
func TestSlowListener(t *testing.T) {
	w := gather(t, Options{})
	l := &listener{user: w.users["ada"], wake: make(chan struct{}, 1)}
	_, leave := w.follower.join(w.Core, l)
	defer leave()
	for i := range 3 * maxQueue {
		w.put(fmt.Sprint("f", i), "x")
	}
	last := w.store.Last()
	for at, _ := w.follower.place(w.follower.turn); at < last; at, _ = w.follower.place(w.follower.turn) {
		<-l.wake
	}
	queue, lost, err := l.take()
	if len(queue) > maxQueue || lost == 0 || err != nil {
		t.Errorf("got %d that wait, lost up to %d, %v", len(queue), lost, err)
	}
}

func TestGaps(t *testing.T) {
	w := gather(t, Options{})
	start := w.store.Last()
	w.put("f", "x")
	if got := w.listensFrom("ada", start).since(); len(got) != 1 || !strings.HasPrefix(got[0], "file-made") {
		t.Errorf("a moment ago: got %q", got)
	}
	if got := <-w.listensFrom("ada", w.store.Last()+7).heard; !got.Gap {
		t.Errorf("from the future: got %+v, want a gap", got)
	}
	w = gather(t, Options{}) // in which nobody listens
	start = w.store.Last()
	for range maxBack + 1 {
		w.put("f", "x")
	}
	if got := <-w.listensFrom("ada", start).heard; !got.Gap || got.At != w.store.Last() {
		t.Errorf("long ago: got %+v, want a gap", got)
	}
	w.store = mem.New()
	w.store.History = 3
	c := New(w.store, Options{})
	for range 5 {
		if _, err := c.SetSpace(as(bob), &cloud.Space{Name: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	said := 0
	for n, err := range c.Watch(as(bob), 1, 0) {
		if said++; err != nil || n.Gap != (said == 2) {
			t.Errorf("before the journal begins: got %+v, %v as number %d, want a gap as the second", n, err, said)
		}
		if said == 2 {
			break
		}
	}
}

func TestListenersEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		ctx  context.Context
		want cloud.Kind
	}{
		{"nobody", context.Background(), cloud.Unauthorized},
		{"disabled", as(&cloud.User{ID: "x", Disabled: true}), cloud.Unauthorized},
		{"visitor", cloud.WithCaller(context.Background(), cloud.Caller{Visitor: &cloud.Visitor{}}), cloud.Permission},
	} {
		core := New(mem.New(), Options{})
		for n, err := range core.Watch(c.ctx, 0, 0) {
			if !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, %v, want %v", c.name, n, err, c.want)
			}
		}
	}
}

// A beat comes when nothing else does, and finds out who may not listen any more.
func TestBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gather(t, Options{})
		w.now = time.Now
		ctx, cancel := context.WithCancel(w.as("bert"))
		defer cancel()
		var beats int
		var last error
		done := make(chan struct{})
		start := time.Now()
		go func() {
			defer close(done)
			for n, err := range w.Watch(ctx, 0, 30*time.Second) {
				if last = err; err != nil {
					return
				}
				if n.Record == nil && !n.Gap {
					beats++
				}
			}
		}()
		time.Sleep(65 * time.Second)
		synctest.Wait()
		if beats != 1+2 {
			t.Errorf("got %d empty notices in 65 s, want one and two beats", beats)
		}
		if _, err := w.ChangeUser(w.as("admin"), w.users["bert"].ID, cloud.UserChange{Disabled: new(true)}); err != nil {
			t.Fatal(err)
		}
		<-done
		if took := time.Since(start); !errors.Is(last, cloud.Unauthorized) || took > 91*time.Second {
			t.Errorf("disabled: ended after %v with %v, want Unauthorized at the next beat", took, last)
		}
		w.follower.mu.Lock()
		if w.follower.stop != nil || len(w.follower.users) > 0 {
			t.Error("the follower runs although nobody listens")
		}
		w.follower.mu.Unlock()
		w.Core.Close()
	})
}

// Who comes into a group hears what the group hears.
func TestListenerJoinsGroup(t *testing.T) {
	w := gather(t, Options{AutoAccept: true})
	w.mkdir("a")
	w.gives("a", "crew", role(t, "viewer"))
	e := w.listens("bert")
	w.put("a/before", "x")
	if got := e.since(); len(got) != 0 {
		t.Errorf("before: got %q", got)
	}
	if err := w.dir.Join(t.Context(), w.to("crew").Group, w.users["bert"].ID); err != nil {
		t.Fatal(err)
	}
	w.clock = w.clock.Add(2 * askAgain)
	e.since() // any notice asks again
	w.put("a/after", "x")
	if got := e.since(); !slices.Equal(got, []string{"file-made +after in a"}) {
		t.Errorf("after: got %q", got)
	}
}
