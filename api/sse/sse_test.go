package sse_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"opencloud/api/sse"
	"opencloud/cloud"
	"opencloud/core"
	dirmem "opencloud/directory/mem"
	"opencloud/storage/mem"
)

// A house has a project of ada's, in which the folder a/b is shared with bert,
// and of which dora is a viewer.
type house struct {
	*testing.T
	core   *core.Core
	people *core.People
	store  *mem.Store
	sse    *sse.Handler
	server *httptest.Server
	users  map[string]*cloud.User
	space  cloud.SpaceID
	ears   []*listener
}

func build(t *testing.T, opts sse.Options) *house {
	t.Helper()
	h := &house{T: t, store: mem.New(), users: map[string]*cloud.User{}}
	h.core = core.New(h.store, core.Options{AutoAccept: true})
	t.Cleanup(func() { h.core.Close() })
	dir := dirmem.New()
	var err error
	if h.people, err = core.NewPeople(h.core, dir, dir, core.PeopleOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]string{"ada": cloud.RoleAdmin, "bert": cloud.RoleUser, "dora": cloud.RoleUser} {
		if h.users[name], err = dir.SetUser(t.Context(), &cloud.User{Name: name, Display: name, Role: role}, "a fine long secret"); err != nil {
			t.Fatal(err)
		}
	}
	g, err := dir.SetGroup(t.Context(), &cloud.Group{Name: "crew"})
	if err == nil {
		err = dir.Join(t.Context(), g.ID, h.users["bert"].ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.users["bert"].Groups = []cloud.GroupID{g.ID}
	s, err := h.core.SetSpace(h.as("ada"), &cloud.Space{Name: "Project"})
	if err != nil {
		t.Fatal(err)
	}
	h.space = s.ID
	h.dir("a")
	h.dir("a/b")
	h.put("a/b/f", "content")
	h.give("a/b", cloud.Subject{User: h.users["bert"].ID}, cloud.SpaceEditor&^cloud.CanQuota)
	h.give("", cloud.Subject{User: h.users["dora"].ID}, cloud.SpaceViewer)

	if opts.Streams == 0 {
		opts.Streams = 10
	}
	h.sse = sse.New(h.core, opts)
	t.Cleanup(h.sse.Close)
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := cloud.Caller{User: h.users[r.Header.Get("User")], Session: r.Header.Get("Session")}
		h.sse.ServeHTTP(w, r.WithContext(cloud.WithCaller(r.Context(), c)))
	}))
	t.Cleanup(h.server.Close)
	t.Cleanup(h.sse.Close)
	return h
}

// as is a request of the tab "tab".
func (h *house) as(name string) context.Context {
	return cloud.WithCaller(context.Background(), cloud.Caller{User: h.users[name], Initiator: "tab"})
}

func (h *house) ref(path string) cloud.Ref { return cloud.Ref{Space: h.space, Path: path} }

func (h *house) dir(path string) {
	h.Helper()
	if _, err := h.core.MakeDir(h.as("ada"), h.ref(path), cloud.Conditions{}); err != nil {
		h.Fatal(err)
	}
}

func (h *house) put(path, body string) *cloud.Node {
	h.Helper()
	n, _, err := h.core.Put(h.as("ada"), h.ref(path), strings.NewReader(body), cloud.Put{Size: -1})
	if err != nil {
		h.Fatal(err)
	}
	return n
}

func (h *house) give(path string, to cloud.Subject, r cloud.Rights) *cloud.Grant {
	h.Helper()
	g, _, err := h.core.Give(h.as("ada"), h.ref(path), cloud.Grant{To: to, Rights: r}, "")
	if err != nil {
		h.Fatal(err)
	}
	return g
}

// A frame is an event as it was sent.
type frame struct {
	ID, Event, Data string
}

// A listener reads a stream.
type listener struct {
	*house
	name   string
	resp   *http.Response
	frames chan frame
	cancel context.CancelFunc
	heard  []frame // see meet
}

func (h *house) listen(name string, header ...string) *listener {
	h.Helper()
	ctx, cancel := context.WithCancel(h.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", h.server.URL, nil)
	if err != nil {
		h.Fatal(err)
	}
	r.Header.Set("User", name)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	l := &listener{h, name, resp, make(chan frame, 1000), cancel, nil}
	h.Cleanup(func() { cancel(); resp.Body.Close() })
	go func() {
		defer close(l.frames)
		in := bufio.NewScanner(resp.Body)
		var f frame
		for in.Scan() {
			key, value, _ := strings.Cut(in.Text(), ": ")
			switch key {
			case "id":
				f.ID = value
			case "event":
				f.Event = value
			case "data":
				f.Data = value
			case "":
				if f != (frame{}) {
					l.frames <- f
				}
				f = frame{}
			}
		}
	}()
	return l
}

// until reads up to the mark that the listener makes at home, and says what
// came before.
func (l *listener) until(kept *frame) (all []frame) {
	l.Helper()
	home, err := l.core.Home(l.as(l.name))
	if err != nil {
		l.Fatal(err)
	}
	name := cloud.NewUUID().String()
	mark, err := l.core.MakeDir(l.as(l.name), cloud.Ref{Space: home.ID, Path: name}, cloud.Conditions{})
	if err != nil {
		l.Fatal(err)
	}
	for f := range l.frames {
		var data struct {
			Space cloud.SpaceID `json:"spaceid"`
			Item  string        `json:"itemid"`
		}
		if err := json.Unmarshal([]byte(f.Data), &data); err != nil {
			l.Fatalf("%+v: %v", f, err)
		}
		switch {
		case data.Space != home.ID:
			all = append(all, f)
		case data.Item == cloud.ItemID(home.ID, mark.ID):
			if kept != nil {
				*kept = f
			}
			return all
		}
	}
	l.Fatal("the stream has ended")
	return nil
}

// told are the events with placeholders for ids: as they stand in the table.
func (l *listener) told(fs []frame) string {
	names := []string{string(l.space), "S"}
	for _, path := range []string{"", "a", "a/b", "a/b/f", "a/b/g", "a/b/h", "a/f", "a/b/d"} {
		if n, err := l.core.Stat(l.as("ada"), l.ref(path)); err == nil {
			names = append([]string{`"` + cloud.ItemID(n.Space, n.ID) + `"`, "/" + path, `"\"` + n.ETag + `\""`, "tag"}, names...)
		}
	}
	for name, u := range l.users {
		names = append(names, string(u.ID), name)
	}
	for n := range l.core.Trash(l.as("ada"), l.ref("")) {
		if n != nil {
			names = append([]string{`"` + cloud.ItemID(n.Space, n.ID) + `"`, "bin"}, names...)
		}
	}
	var all []string
	for _, f := range fs {
		all = append(all, f.Event+strings.NewReplacer(append(names, `"`, "")...).Replace(f.Data))
	}
	return strings.Join(all, "\n")
}

func TestEvents(t *testing.T) {
	who := func(h *house, name string) cloud.Subject { return cloud.Subject{User: h.users[name].ID} }
	for _, c := range []struct {
		what            string
		do              func(h *house)
		ada, dora, bert string
	}{
		{"a new file", func(h *house) { h.put("a/b/g", "x") },
			"postprocessing-finished{itemid:/a/b/g,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}", "=", "="},
		{"a new empty file", func(h *house) { h.put("a/b/g", "") },
			"file-touched{itemid:/a/b/g,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}", "=", "="},
		{"new content", func(h *house) { h.put("a/b/f", "x") },
			"postprocessing-finished{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}", "=", "="},
		{"a new folder", func(h *house) { h.dir("a/b/d") },
			"folder-created{itemid:/a/b/d,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}", "=", "="},
		{"a new time", func(h *house) {
			h.must(second(h.core.Change(h.as("ada"), h.ref("a/b/f"), cloud.Change{MTime: new(time.Unix(1, 0))})))
		}, "file-touched{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}", "=", "="},
		{"a new name", func(h *house) { h.move("a/b/f", "a/b/g") },
			"item-renamed{itemid:/a/b/g,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}", "=", "="},
		{"a new place", func(h *house) { h.move("a/b/f", "a/f") },
			"item-moved{itemid:/a/f,parentitemid:/a,spaceid:S,initiatorid:tab,etag:tag}", "=",
			"item-trashed{itemid:/a/f,parentitemid:/a/b,spaceid:S,initiatorid:tab}"},
		{"the trash", func(h *house) { h.must(h.core.Remove(h.as("ada"), h.ref("a/b/f"), cloud.Conditions{})) },
			"item-trashed{itemid:bin,parentitemid:/a/b,spaceid:S,initiatorid:tab}", "=", "="},
		{"what is shared in the trash", func(h *house) { h.must(h.core.Remove(h.as("ada"), h.ref("a/b"), cloud.Conditions{})) },
			"item-trashed{itemid:bin,parentitemid:/a,spaceid:S,initiatorid:tab}", "=", "item-trashed{itemid:bin,spaceid:S,initiatorid:tab}"},
		{"back from the trash", func(h *house) {
			h.must(h.core.Remove(h.as("ada"), h.ref("a/b/f"), cloud.Conditions{}))
			for n := range h.core.Trash(h.as("ada"), h.ref("")) {
				_, _, err := h.core.Restore(h.as("ada"), cloud.Ref{Space: h.space, Node: n.ID}, cloud.Ref{}, false)
				h.must(err)
			}
		}, "item-trashed{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab}\n" +
			"item-restored{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}", "=", "="},
		{"a lock and its end", func(h *house) {
			l, _, _, err := h.core.Lock(h.as("ada"), h.ref("a/b/f"), cloud.Lock{}, cloud.Conditions{})
			h.must(err)
			h.meet()
			h.must(h.core.Unlock(h.as("ada"), h.ref("a/b/f"), l.Token))
		}, "file-locked{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}\n" +
			"file-unlocked{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}", "=", "="},
		{"a share", func(h *house) { h.give("a/b/f", who(h, "bert"), cloud.CanStat|cloud.CanRead) },
			"share-created{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag,affecteduserids:[bert]}", "=", "="},
		{"another share", func(h *house) {
			g := h.give("a/b/f", cloud.Subject{Group: h.users["bert"].Groups[0]}, cloud.CanStat|cloud.CanRead)
			_, _, err := h.core.Regrant(h.as("ada"), g.ID, cloud.GrantChange{Expires: new(time.Now().Add(time.Hour))})
			h.must(err)
			h.must(h.core.Revoke(h.as("ada"), g.ID))
		}, "share-created{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}\n" +
			"share-updated{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}\n" +
			"share-removed{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}", "=",
			"share-created{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag,affecteduserids:[bert]}\n" +
				"share-updated{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag,affecteduserids:[bert]}\n" +
				"share-removed{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag,affecteduserids:[bert]}"},
		{"the end of a share", func(h *house) { h.revoke("a/b", "bert") },
			"share-removed{itemid:/a/b,parentitemid:/a,spaceid:S,initiatorid:tab,etag:tag,affecteduserids:[bert]}", "=",
			"share-removed{itemid:/a/b,spaceid:S,initiatorid:tab,affecteduserids:[bert]}"},
		{"a denial", func(h *house) { h.give("a/b", who(h, "dora"), cloud.NoRights) },
			"share-created{itemid:/a/b,parentitemid:/a,spaceid:S,initiatorid:tab,etag:tag,affecteduserids:[dora]}",
			"share-removed{itemid:/a/b,spaceid:S,initiatorid:tab,affecteduserids:[dora]}",
			"share-created{itemid:/a/b,spaceid:S,initiatorid:tab,etag:tag,affecteduserids:[dora]}"},
		{"a link", func(h *house) {
			view, _ := cloud.LinkView.Rights(cloud.OnFile)
			g := h.give("a/b/f", cloud.Subject{Link: "any"}, view)
			_, _, err := h.core.Regrant(h.as("ada"), g.ID, cloud.GrantChange{Name: new("for all")})
			h.must(err)
			h.must(h.core.Revoke(h.as("ada"), g.ID))
		}, "link-created{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}\n" +
			"link-updated{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}\n" +
			"link-removed{itemid:/a/b/f,parentitemid:/a/b,spaceid:S,initiatorid:tab,etag:tag}", "=", "="},
		{"a member", func(h *house) { h.give("", who(h, "bert"), cloud.SpaceViewer) },
			"space-member-added{itemid:S,spaceid:S,initiatorid:tab,etag:tag,affecteduserids:[bert]}", "=", "="},
		{"a member no more", func(h *house) { h.revoke("", "dora") },
			"space-member-removed{itemid:S,spaceid:S,initiatorid:tab,etag:tag,affecteduserids:[dora]}",
			"space-member-removed{itemid:S,spaceid:S,initiatorid:tab,affecteduserids:[dora]}", ""},
		{"a space that comes and goes", func(h *house) {
			h.must(h.core.RemoveSpace(h.as("ada"), h.space, false))
			h.meet()
			s, err := h.core.Space(h.as("ada"), h.space)
			h.must(err)
			s.Disabled = time.Time{}
			h.must(second(h.core.SetSpace(h.as("ada"), s)))
			h.meet()
			h.must(h.core.RemoveSpace(h.as("ada"), h.space, false))
			h.meet()
			h.must(h.core.RemoveSpace(h.as("ada"), h.space, true))
		}, "space-disabled{itemid:S,spaceid:S,initiatorid:tab,etag:T}\n" +
			"space-enabled{itemid:S,spaceid:S,initiatorid:tab,etag:T}\n" +
			"space-disabled{itemid:S,spaceid:S,initiatorid:tab,etag:T}\n" +
			"space-deleted{itemid:S,spaceid:S,initiatorid:tab}", "=", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			h := build(t, sse.Options{})
			h.ears = []*listener{h.listen("ada"), h.listen("dora"), h.listen("bert")}
			root, err := h.core.Stat(h.as("ada"), h.ref(""))
			if err != nil {
				t.Fatal(err)
			}
			tag := strings.NewReplacer(`"\"`+root.ETag+`\""`, "T", `\"`+root.ETag+`\"`, "T")
			c.do(h)
			for i, want := range []string{c.ada, c.dora, c.bert} {
				if want == "=" {
					want = c.ada
				}
				l := h.ears[i]
				fs := append(l.heard, l.until(nil)...)
				for i := range fs {
					if c.what == "a space that comes and goes" {
						fs[i].Data = tag.Replace(fs[i].Data)
					}
					if fs[i].ID == "" {
						t.Errorf("%+v has no id", fs[i])
					}
				}
				if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(l.told(fs), "\n")); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", l.name, diff)
				}
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// meet waits until everybody has heard of all that happened: events show the
// state of now.
func (h *house) meet() {
	for _, l := range h.ears {
		l.heard = append(l.heard, l.until(nil)...)
	}
}

func (h *house) move(from, to string) {
	h.Helper()
	_, _, err := h.core.Move(h.as("ada"), h.ref(from), h.ref(to), cloud.Transfer{})
	h.must(err)
}

func (h *house) revoke(path, name string) {
	h.Helper()
	gs, _, err := h.core.Grants(h.as("ada"), h.ref(path))
	h.must(err)
	for _, g := range gs {
		if g.To.User == h.users[name].ID {
			h.must(h.core.Revoke(h.as("ada"), g.ID))
		}
	}
}

func TestHeaders(t *testing.T) {
	h := build(t, sse.Options{})
	l := h.listen("ada")
	for key, want := range map[string]string{"Content-Type": "text/event-stream", "Content-Encoding": "", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
		if got := l.resp.Header.Get(key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	if l.resp.StatusCode != 200 {
		t.Errorf("got %d", l.resp.StatusCode)
	}
	for _, c := range []struct {
		method, user string
		want         int
	}{{"POST", "ada", 405}, {"HEAD", "ada", 405}, {"GET", "nobody", 401}} {
		r, _ := http.NewRequest(c.method, h.server.URL+"/ocs/v2.php/x", nil)
		r.Header.Set("User", c.user)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s by %s: got %d, want %d", c.method, c.user, resp.StatusCode, c.want)
		}
	}
}

// Who was cut off hears what they missed, or that they missed something.
func TestResume(t *testing.T) {
	h := build(t, sse.Options{})
	var mark frame
	l := h.listen("ada")
	l.until(&mark)
	l.cancel()
	h.put("a/b/g", "x")
	h.dir("a/b/d")
	var got []string
	for _, f := range h.listen("ada", "Last-Event-ID", mark.ID).until(nil) {
		got = append(got, f.Event)
	}
	if want := []string{"postprocessing-finished", "folder-created"}; !cmp.Equal(got, want) {
		t.Errorf("resumed: got %q, want %q", got, want)
	}
	for _, id := range []string{"999999999", "0", "-1", "x", "18446744073709551616"} {
		f := <-h.listen("ada", "Last-Event-ID", id).frames
		if f.Event != "resync" || f.ID == "" || f.Data != "{}" {
			t.Errorf("Last-Event-ID %s: got %+v, want a resync", id, f)
		}
	}
	h = build(t, sse.Options{}) // in which nobody listens
	start := fmt.Sprint(h.store.Last())
	for range 1001 {
		h.put("a/b/g", "x")
	}
	l = h.listen("ada", "Last-Event-ID", start)
	f := <-l.frames
	if f.Event != "resync" || f.ID != fmt.Sprint(h.store.Last()) {
		t.Errorf("long ago: got %+v, want a resync at %d", f, h.store.Last())
	}
	h.put("a/b/g", "x")
	if f := <-l.frames; f.Event != "postprocessing-finished" {
		t.Errorf("after a resync: got %+v", f)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	h := build(t, sse.Options{Streams: 2})
	first := h.listen("ada")
	h.listen("ada")
	if l := h.listen("ada"); l.resp.StatusCode != 429 {
		t.Errorf("a third stream: got %d, want 429", l.resp.StatusCode)
	}
	if l := h.listen("bert"); l.resp.StatusCode != 200 {
		t.Errorf("a stream of somebody else: got %d, want 200", l.resp.StatusCode)
	}
	first.cancel()
	for {
		l := h.listen("ada")
		if l.resp.StatusCode == 200 {
			break
		}
		l.cancel()
	}
}

// The end of the server is the end of all streams, and of those that come.
func TestClose(t *testing.T) {
	h := build(t, sse.Options{})
	l := h.listen("ada")
	l.until(nil)
	h.sse.Close()
	for range l.frames { // ends
	}
	for range h.listen("ada").frames {
	}
}

// A session that has ended takes its streams along, and says so.
func TestSessionEnds(t *testing.T) {
	var ended atomic.Bool
	h := build(t, sse.Options{KeepAlive: time.Millisecond, Alive: func(r *http.Request) error {
		if ended.Load() && cloud.CallerFrom(r.Context()).Session == "s1" {
			return cloud.Unauthorized
		}
		return nil
	}})
	one, other := h.listen("ada", "Session", "s1"), h.listen("ada", "Session", "s2")
	one.until(nil)
	ended.Store(true)
	var last frame
	for last = range one.frames {
	}
	var data map[string]string
	if err := json.Unmarshal([]byte(last.Data), &data); err != nil || last.Event != "backchannel-logout" ||
		data["userid"] != string(h.users["ada"].ID) || data["sessionid"] != "s1" || data["timestamp"] == "" {
		t.Errorf("got %+v, %v at last, want a backchannel-logout", last, err)
	}
	other.until(nil)
}

// slow is a client who does not read, and a deadline that says so.
type slow struct {
	*httptest.ResponseRecorder
	deadline time.Time
	n        int
}

func (s *slow) SetWriteDeadline(t time.Time) error { s.deadline = t; return nil }

func (s *slow) Write(b []byte) (int, error) {
	if s.n++; s.n == 1 {
		return len(b), nil
	}
	time.Sleep(time.Until(s.deadline))
	return 0, errors.New("i/o timeout")
}

// Comments keep a stream alive, and a client who does not read loses it.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := core.New(mem.New(), core.Options{})
		defer c.Close()
		h := sse.New(c, sse.Options{KeepAlive: 10 * time.Second, Streams: 1})
		ctx, cancel := context.WithCancel(cloud.WithCaller(context.Background(), cloud.Caller{User: &cloud.User{ID: "a1111111-0000-4000-8000-000000000001"}}))
		w := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
		}()
		time.Sleep(35 * time.Second)
		cancel()
		<-done
		if got, want := w.Body.String(), ":\n\n:\n\n:\n\n:\n\n"; got != want {
			t.Errorf("in 35 s: got %q, want %q", got, want)
		}
		start := time.Now()
		s := &slow{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(s, httptest.NewRequestWithContext(context.WithoutCancel(ctx), "GET", "/", nil))
		if took := time.Since(start); took < 10*time.Second || took > time.Minute {
			t.Errorf("a client who does not read was let go after %v", took)
		}
		h.Close()
	})
}
