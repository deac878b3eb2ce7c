package posix

import (
	"context"
	"io"
	"log/slog"
	"os"
	"testing"

	"opencloud/cloud"
	"opencloud/storage/storagetest"
)

var (
	ctx   = context.Background()
	quiet = slog.New(slog.NewTextHandler(io.Discard, nil))
)

// options are for a store that costs little to open.
func options(root string) Options { return Options{Root: root, LogSegment: 256 << 10} }

func openAt(t testing.TB, root string) *Store {
	t.Helper()
	s, err := Open(ctx, options(root), slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) cloud.Store { return openAt(t, t.TempDir()) })
}

// The same with attributes beside the tree.
func TestSidecars(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T, root string) cloud.Store {
		s, err := open(ctx, options(root), quiet, hooks{sidecars: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	storagetest.Run(t, func(t *testing.T) cloud.Store { return open(t, quick(t)) })
	storagetest.Reopen(t, func(t *testing.T) func() cloud.Store {
		root := quick(t)
		return func() cloud.Store { return open(t, root) }
	})
}

func TestReopen(t *testing.T) {
	storagetest.Reopen(t, func(t *testing.T) func() cloud.Store {
		root := t.TempDir()
		return func() cloud.Store { return openAt(t, root) }
	})
}
