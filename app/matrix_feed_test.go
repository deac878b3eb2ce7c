package app

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"opencloud/cloud"
)

// An ear is bob, who listens to what happens.
type ear struct {
	*stage
	lines *bufio.Scanner
}

func (s *stage) listen() *ear {
	s.Helper()
	srv := httptest.NewServer(s.f)
	r, err := http.NewRequestWithContext(s.Context(), "GET", srv.URL+"/ocs/v2.php/apps/notifications/api/v1/notifications/sse", nil)
	s.must(err)
	r.Host = "localhost:9200"
	r.SetBasicAuth("bob", password)
	w, err := srv.Client().Do(r)
	s.must(err)
	s.Cleanup(func() {
		w.Body.Close()
		srv.Close()
	})
	if got := w.Header.Get("Content-Type"); w.StatusCode != 200 || got != "text/event-stream" {
		s.Fatalf("listening: got %d %s", w.StatusCode, got)
	}
	e := &ear{s, bufio.NewScanner(w.Body)}
	if !e.lines.Scan() { // the first word comes when all that follows is heard
		s.Fatal("nothing is said")
	}
	return e
}

// heard is what was said until now: bob does something at home, and hears of
// that last.
func (e *ear) heard() string {
	e.Helper()
	n := e.put(e.as(e.bob), cloud.Ref{Space: e.mine, Path: e.fresh("now")})
	last := cloud.ItemID(n.Space, n.ID)
	var all strings.Builder
	for e.lines.Scan() {
		all.WriteString(e.lines.Text() + "\n")
		if strings.Contains(e.lines.Text(), last) {
			return all.String()
		}
	}
	e.Fatalf("the stream has ended: %v\n%s", e.lines.Err(), all.String())
	return ""
}

// touch changes something in what was given, or what was given if that is a
// file. It returns its id.
func (s *stage) touch(g *gift) string {
	s.Helper()
	ref := g.ref()
	if g.on != cloud.OnFile {
		ref.Path = s.fresh("touched")
	}
	n := s.put(s.owner, ref)
	return cloud.ItemID(n.Space, n.ID)
}

// Whoever listens hears of what they know of, and of nothing that was not
// given or is not given any more.
func TestWhoHearsWhat(t *testing.T) {
	s := newStage(t)
	all := s.gifts()
	e := s.listen()
	check := func(g *gift, when string, want bool) {
		id := s.touch(g)
		// At the end of an id, so that one of a space is not taken for it.
		if said := e.heard(); strings.Contains(said, id+`"`) != want {
			t.Errorf("%s %s: heard of it: %v, want %v:\n%s", g.name, when, !want, want, said)
		}
	}
	for _, g := range all {
		check(g, "at first", !g.link && g.knows(thing))
	}
	for _, g := range all {
		if g.grant != nil {
			s.must(s.s.Shares.Revoke(s.owner, g.grant.ID))
			e.heard() // that is said, and then no more
			check(g, "when it was taken back", false)
		}
	}
}
