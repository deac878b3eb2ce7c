package secret

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"opencloud/cloud"
)

var cheap = Options{Memory: 8, Time: 1, Threads: 1, Checks: 1, Remember: time.Hour}

func hasher(t testing.TB, opts Options) *Hasher {
	t.Helper()
	h, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestMatches(t *testing.T) {
	h := hasher(t, cheap)
	hash, err := h.Hash(t.Context(), "pässword")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Fatalf("Hash: got %q, %v", hash, err)
	}
	again, err := h.Hash(t.Context(), "pässword")
	if err != nil || again == hash {
		t.Errorf("a second hash of the same: got %q, %v, want another", again, err)
	}
	for _, tt := range []struct {
		hash, password string
		want           bool
	}{
		{hash, "pässword", true}, {hash, "pässword", true}, {again, "pässword", true},
		{hash, "password", false}, {hash, "", false}, {h.Unknown(), "pässword", false}, {"", "pässword", false}, {"plain", "plain", false},
	} {
		if got, err := h.Matches(t.Context(), tt.hash, tt.password); got != tt.want || err != nil {
			t.Errorf("%q for %q: got %v, %v, want %v", tt.password, tt.hash, got, err, tt.want)
		}
	}
	if err := Check(hash); err != nil {
		t.Errorf("Check: %v", err)
	}
	if Check("plain") == nil {
		t.Error("Check of what is no hash: got no error")
	}
}

// Who waits for a check can give up, and who was right lately need not wait.
func TestGate(t *testing.T) {
	h := hasher(t, cheap)
	hash, _ := h.Hash(t.Context(), "right")
	if ok, err := h.Matches(t.Context(), hash, "right"); !ok || err != nil {
		t.Fatalf("got %v, %v", ok, err)
	}
	h.gate <- struct{}{} // somebody is at it
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Matches(ctx, hash, "wrong"); !errors.Is(err, context.Canceled) {
		t.Errorf("Matches: got %v, want %v", err, context.Canceled)
	}
	if _, err := h.Hash(ctx, "new"); !errors.Is(err, context.Canceled) {
		t.Errorf("Hash: got %v, want %v", err, context.Canceled)
	}
	if ok, err := h.Matches(ctx, hash, "right"); !ok || err != nil {
		t.Errorf("a password that was right a moment ago: got %v, %v", ok, err)
	}
}

func TestOptions(t *testing.T) {
	for _, opts := range []Options{{}, {Memory: 7, Time: 1, Threads: 1}, {Memory: 8, Time: 101, Threads: 1}, {Memory: 8, Time: 1, Threads: 65}, {Memory: 5 << 20, Time: 1, Threads: 1}} {
		if _, err := New(opts); !errors.Is(err, cloud.Invalid) {
			t.Errorf("%+v: got %v, want Invalid", opts, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5a2V5")
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=255$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, phc string) {
		salt, key, memory, time, threads, err := parse(phc)
		if err != nil {
			return
		}
		if memory > 4<<20 || time > 100 || threads > 64 || len(salt) > 64 || len(key) > 64 {
			t.Errorf("%q is out of bounds: m=%d t=%d p=%d", phc, memory, time, threads)
		}
	})
}

// What a visit costs once the password was right.
func BenchmarkMatchesAgain(b *testing.B) {
	h := hasher(b, cheap)
	hash, _ := h.Hash(b.Context(), "right")
	for b.Loop() {
		h.Matches(b.Context(), hash, "right")
	}
}
