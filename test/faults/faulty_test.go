package faults

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"opencloud/cloud"
	"opencloud/core"
	"opencloud/storage/faulty"
	"opencloud/storage/mem"
	"opencloud/test/faults/local"
	"opencloud/test/faults/model"
)

// TestFaultyStore lets every nth call of the store fail under load. What a
// failed request leaves behind must be what it may leave behind; afterwards
// nothing is locked or reserved that should not be.
func TestFaultyStore(t *testing.T) {
	const quota = 12 << 20
	for _, n := range []int{2, 3, 4, 5, 6, 7, 9, 11, 13, 17, 23, 31, 53, 97} {
		t.Run(fmt.Sprint("every ", n, "th"), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			var calm atomic.Int64 // how many do not want to be disturbed
			calm.Add(1)
			nth := faulty.EveryNth(n)
			inner := mem.New()
			store := faulty.New(inner, func(op string) error {
				if calm.Load() > 0 {
					return nil
				}
				return nth(op)
			})
			c := core.New(store, core.Options{HomeQuota: quota})
			srv, stop := local.Serve(c)
			t.Cleanup(stop)
			w, err := model.NewWorld(ctx, srv, uint64(n), 3)
			if err != nil {
				t.Fatal(err)
			}
			calm.Add(-1)
			err = w.Run(ctx, srv, model.Load{
				Acks:     200,
				Tolerate: []int{http.StatusServiceUnavailable},
				Strict:   []int{http.StatusInsufficientStorage},
				Calm: func() func() {
					calm.Add(1)
					return func() { calm.Add(-1) }
				},
			})
			calm.Add(1)
			if err != nil {
				t.Fatal(err)
			}
			if got := w.Acked(); got["503"] < 200/n {
				t.Errorf("only %d requests met a fault: %v", got["503"], got)
			}
			if err := w.Resume(ctx, srv); err != nil {
				t.Fatal(err)
			}
			if err := w.Run(ctx, srv, model.Load{Acks: 60, Strict: []int{http.StatusInsufficientStorage}}); err != nil {
				t.Fatalf("the load goes on without faults: %v", err)
			}
			if err := w.Resume(ctx, srv); err != nil {
				t.Fatal(err)
			}
			free(cloud.WithCaller(ctx, cloud.Caller{User: local.User}), t, c, inner, quota)
		})
	}
}

// free sees to it that a space that was in use can be emptied and filled again.
func free(ctx context.Context, t *testing.T, c *core.Core, store cloud.Store, quota int64) {
	t.Helper()
	home, err := c.Home(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tokens := []string{}
	for n, err := range store.Having(ctx, home.ID, cloud.HasLocks) {
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range n.Locks {
			tokens = append(tokens, l.Token)
		}
	}
	root := cloud.Ref{Space: home.ID}
	var names []string
	for n, err := range c.List(ctx, root) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, n.Name)
	}
	for _, name := range names {
		if err := c.Remove(ctx, cloud.Ref{Space: home.ID, Path: name}, cloud.Conditions{Tokens: tokens}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Purge(ctx, root); err != nil {
		t.Fatal(err)
	}
	for n, err := range store.Having(ctx, home.ID, cloud.HasLocks) {
		t.Errorf("still locked when all is gone: %v, %v", n, err)
	}
	_, _, err = c.Put(ctx, cloud.Ref{Space: home.ID, Path: "all"}, bytes.NewReader(make([]byte, quota)), cloud.Put{Size: quota})
	if err != nil {
		t.Errorf("a file of the size of the quota in an empty space: %v", err)
	}
}
