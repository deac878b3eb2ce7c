package session

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"opencloud/cloud"
)

var quiet = slog.New(slog.DiscardHandler)

func openLog(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Whatever is done, a new process knows the same, also when the last line is
// cut short: then nobody was told that it had been written.
func TestDurable(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		s, err := Open(path, quiet)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { s.Close() }()
		type state struct{ live, denied, last string }
		now := func(s *Store) state {
			var b strings.Builder
			for i := range 8 {
				if x := s.Get(fmt.Sprint(i)); x != nil {
					fmt.Fprintf(&b, "%s=%s/%s ", x.ID, x.User, x.Secret)
				}
			}
			var d strings.Builder
			for i := range 8 {
				if _, ok := s.denied[fmt.Sprint(i)]; ok {
					fmt.Fprint(&d, i)
				}
			}
			var l strings.Builder
			for i := range 8 {
				fmt.Fprint(&l, s.Last(cloud.UserID(fmt.Sprint("u", i))).UnixNano(), " ")
			}
			return state{b.String(), d.String(), l.String()}
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			id := fmt.Sprint(rapid.IntRange(0, 7).Draw(rt, "id"))
			before := now(s)
			var err error
			wrote := s.size
			switch rapid.SampledFrom([]string{"add", "change", "end", "deny", "forget", "reopen", "tear", "rewrite"}).Draw(rt, "step") {
			case "add":
				err = s.Add(&Session{ID: id, User: cloud.UserID("u" + id), Auth: time.Now(), Expires: time.Now().Add(time.Hour)})
			case "change":
				secret := rapid.StringMatching("[a-z]{3}").Draw(rt, "secret")
				_, err = s.Change(id, func(x *Session) error { x.Secret = secret; return nil })
			case "end":
				_, err = s.End(id)
			case "deny":
				err = s.Deny(id, time.Now().Add(time.Hour))
			case "forget":
				_, err = s.Forget(cloud.UserID("u" + id))
				if body, rerr := os.ReadFile(path); rerr != nil || strings.Contains(string(body), `"u`+id+`"`) || s.Get(id) != nil {
					rt.Fatalf("u%s is not forgotten: %v\n%s", id, rerr, body)
				}
			case "rewrite":
				s.disk.Lock()
				err = s.rewrite()
				s.disk.Unlock()
			case "tear":
				// The process dies in the middle of a line.
				s.Deny("torn", time.Now().Add(time.Hour))
				s.Close()
				if err := os.Truncate(path, rapid.Int64Range(wrote, max(wrote, s.size-1)).Draw(rt, "end")); err != nil {
					rt.Fatal(err)
				}
				fallthrough
			case "reopen":
				s.Close()
				if s, err = Open(path, quiet); err != nil {
					rt.Fatal(err)
				}
				if after := now(s); after != before {
					rt.Fatalf("was %+v, is %+v", before, after)
				}
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
	})
}

func TestDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := openLog(t, path)
	for _, id := range []string{"a", "b"} {
		if err := s.Add(&Session{ID: id, Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body[3] = 'X'
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openLog(t, path)
	if s.Get("a") != nil || s.Get("b") != nil {
		t.Error("some are signed in, and nobody knows who was signed out")
	}
	if kept, err := os.ReadFile(path + ".damaged"); err != nil || string(kept) != string(body) {
		t.Errorf("the damaged file was not kept: %v", err)
	}
}

// A write that fails leaves everything as it was, and the next one mends the file.
func TestFailedWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := openLog(t, path)
	x := &Session{ID: "a", Expires: time.Now().Add(time.Hour)}
	if err := s.Add(x); err != nil {
		t.Fatal(err)
	}
	s.file.Close()
	if err := s.Add(&Session{ID: "b", Expires: x.Expires}); err == nil || s.Get("b") != nil {
		t.Errorf("a failed write: %v, %v", err, s.Get("b"))
	}
	if _, err := s.Change("a", func(x *Session) error { x.Secret = "new"; return nil }); err != nil {
		t.Errorf("the next one: %v", err)
	}
	s = openLog(t, path)
	if got := s.Get("a"); got == nil || got.Secret != "new" || s.Get("b") != nil {
		t.Errorf("after a restart: %+v, %+v", got, s.Get("b"))
	}
}

func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		s := openLog(t, path)
		add := func(id, client string) {
			t.Helper()
			now := time.Now()
			if err := s.Add(&Session{ID: id, User: "u", Client: client, Seen: now, Expires: now.Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		add("app", "desktop")
		for i := range 3 * Max {
			add(fmt.Sprint(i), "")
		}
		if got := len(s.byID); got != Max+1 || s.Get("app") == nil || s.Get("0") != nil || s.Get(fmt.Sprint(3*Max-1)) == nil {
			t.Errorf("%d sessions, want the youngest %d and the app's", got, Max)
		}
		for i := range 2_500 {
			if _, err := s.Change("app", func(x *Session) error { x.Secret = fmt.Sprint(i); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if s.lines > 6*Max+2000 {
			t.Errorf("%d lines for %d sessions", s.lines, len(s.byID))
		}
		time.Sleep(time.Hour)
		add("last", "")
		if len(s.byID) != 1 || len(s.byUser) != 1 {
			t.Errorf("%d sessions, want 1: the others have expired", len(s.byID))
		}
		s.Close()
	})
}
