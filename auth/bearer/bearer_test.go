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
}

func (m *mint) Token(raw string) (Token, error) {
	m.checked++
	var user, session string
	if n, _ := fmt.Sscan(raw, &user, &session); n != 2 {
		return Token{}, cloud.Unauthorized
	}
	return Token{ID: raw, Session: session, User: cloud.UserID(user), Expires: time.Now().Add(5 * time.Minute)}, nil
}

func (m *mint) Alive(session, token string) bool { return !m.ended[session] && !m.ended[token] }

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

func TestMemoryIsBounded(t *testing.T) {
	b, _, _, _ := fixture(t)
	for i := range 3 * generation {
		if _, err := b.token("u " + strconv.Itoa(i)); err != nil {
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
