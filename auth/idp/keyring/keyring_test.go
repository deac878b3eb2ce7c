package keyring

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		k, err := Open(path, 90*24*time.Hour, slog.New(slog.DiscardHandler), "JWT")
		if err != nil {
			t.Fatal(err)
		}
		use := func() string {
			t.Helper()
			if _, err := k.Signer("JWT"); err != nil {
				t.Fatal(err)
			}
			return k.keys[k.current(time.Now())].JWK.KeyID
		}
		first := use()
		time.Sleep(90 * 24 * time.Hour)
		if got := use(); got != first || len(k.keys) != 2 {
			t.Errorf("signs with %q of %d keys, want the first of 2: the second must be known before", got, len(k.keys))
		}
		time.Sleep(keyAhead)
		second := use()
		if second == first || k.Find(first) == nil {
			t.Error("the second does not sign, or the first is gone")
		}
		again, err := Open(path, 90*24*time.Hour, slog.New(slog.DiscardHandler), "JWT")
		if err != nil || len(again.keys) != 2 || again.Find(first) == nil || again.Find(second) == nil {
			t.Errorf("after a restart: %v", err)
		}
		time.Sleep(90 * 24 * time.Hour)
		use()
		if k.Find(first) != nil || k.Find(second) == nil {
			t.Error("the first is still there, or the second is gone")
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", st.Mode(), err)
		}
	})
}
