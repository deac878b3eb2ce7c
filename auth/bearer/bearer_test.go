package bearer

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/cloud"
	"opencloud/directory/builtin"
)

// mint is an issuer whose tokens are "<user> <session>", good for five minutes.
type mint struct {
	checked int
	ended   map[string]bool // sessions and tokens
	again   time.Duration   // how long it need not be asked again; 0: never
	since   time.Time       // what was found to be good before is not alive
	err     error           // instead of an answer
}

func (m *mint) Token(_ context.Context, raw string) (Token, error) {
	m.checked++
	if m.err != nil {
		return Token{}, m.err
	}
	var user, session string
	if n, _ := fmt.Sscan(raw, &user, &session); n != 2 {
		return Token{}, cloud.Unauthorized
	}
	t := Token{ID: raw, Session: session, User: cloud.UserID(user), Issued: time.Now(), Expires: time.Now().Add(5 * time.Minute)}
	if m.again != 0 {
		t.Again = time.Now().Add(m.again)
	}
	return t, nil
}

func (m *mint) Alive(t *Token) bool {
	return !m.ended[t.Session] && !m.ended[t.ID] && !t.Issued.Before(m.since)
}

func fixture(t testing.TB) (*Bearer, *mint, *builtin.Directory, *cloud.User) {
	t.Helper()
	dir, err := builtin.Open(t.TempDir(), builtin.Options{Memory: 8, Time: 1, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	u, err := dir.SetUser(t.Context(), &cloud.User{Name: "ada"}, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	m := &mint{ended: map[string]bool{}}
	return New(dir, m), m, dir, u
}

func never(string) error { panic("a token is no guess") }

func TestVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m, dir, u := fixture(t)
		good := func(raw string) bool {
			t.Helper()
			got, err := b.Verify(t.Context(), raw, never)
			if err != nil && cloud.KindOf(err) != cloud.Unauthorized {
				t.Fatal(err)
			}
			if err == nil && got.Session == "" {
				t.Error("the session is not said")
			}
			return err == nil && got.User.ID == u.ID
		}
		raw := string(u.ID) + " s1"
		for range 3 {
			if !good(raw) {
				t.Fatal("a good token is refused")
			}
		}
		if m.checked != 1 {
			t.Errorf("the token was checked %d times, want 1", m.checked)
		}
		if good("x") || m.checked != 2 {
			t.Errorf("a bad token: checked %d times, want 1", m.checked-1)
		}
		if m.ended[raw] = true; good(raw) {
			t.Error("a revoked token is good")
		}
		delete(m.ended, raw)
		if m.ended["s1"] = true; good(raw) || !good(string(u.ID)+" s2") {
			t.Error("a session has ended, and its token is good, or another one's is not")
		}
		delete(m.ended, "s1")

		u.Disabled = true
		if _, err := dir.SetUser(t.Context(), u, ""); err != nil || good(raw) {
			t.Errorf("a disabled user: %v", err)
		}
		u.Disabled, u.Display = false, "Ada"
		if _, err := dir.SetUser(t.Context(), u, ""); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Verify(t.Context(), raw, never); err != nil || got.User.Display != "Ada" {
			t.Errorf("what the directory says now: %+v, %v", got, err)
		}
		time.Sleep(5*time.Minute - time.Second)
		if !good(raw) {
			t.Error("expired too early")
		}
		if time.Sleep(time.Second); good(raw) {
			t.Error("does not expire")
		}
		if err := dir.RemoveUser(t.Context(), u.ID); err != nil || good(string(u.ID)+" s3") {
			t.Errorf("a removed user: %v", err)
		}
	})
}

// An issuer that wants to be asked again is, and not more often; while it
// cannot be asked what was good goes on until it expires.
func TestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m, _, u := fixture(t)
		m.again = 10 * time.Second
		kind := func() cloud.Kind {
			_, err := b.Verify(t.Context(), string(u.ID)+" s1", never)
			return cloud.KindOf(err)
		}
		want := func(what string, k cloud.Kind, checked int) {
			t.Helper()
			if got := kind(); got != k || m.checked != checked {
				t.Errorf("%s: got %v, asked %d times; want %v, %d", what, got, m.checked, k, checked)
			}
		}
		want("first", cloud.Other, 1) // the kind of no error
		want("at once", cloud.Other, 1)
		time.Sleep(10 * time.Second)
		want("later", cloud.Other, 2)
		m.err = cloud.Unavailable
		time.Sleep(10 * time.Second)
		want("nobody to ask", cloud.Other, 3)
		want("not again at once", cloud.Other, 3)
		time.Sleep(pause)
		want("but after a pause", cloud.Other, 4)
		time.Sleep(5 * time.Minute)
		want("expired", cloud.Unavailable, 5)
		m.err = nil
		want("back", cloud.Other, 6)
		time.Sleep(time.Second)
		m.since = time.Now()
		want("not alive, asked again", cloud.Other, 7)
		m.err = cloud.Unauthorized
		time.Sleep(10 * time.Second)
		want("no good any more", cloud.Unauthorized, 8)
		want("and so it stays", cloud.Unauthorized, 9)
	})
}

func TestMemoryIsBounded(t *testing.T) {
	b, _, _, _ := fixture(t)
	for i := range 3 * generation {
		if _, err := b.token(t.Context(), "u "+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.young) + len(b.old); n > 2*generation {
		t.Errorf("%d tokens are remembered, want at most %d", n, 2*generation)
	}
}

// What a token costs each request more than having none.
func BenchmarkVerify(b *testing.B) {
	s, _, _, u := fixture(b)
	raw := string(u.ID) + " " + fmt.Sprintf("%0900d", 7) // as long as a real one
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(ctx, raw, never); err != nil {
			b.Fatal(err)
		}
	}
}
