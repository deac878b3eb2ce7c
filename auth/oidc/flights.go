package oidc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// flights let all who ask the same at the same time wait for one answer, and
// none of them longer than patience.
type flights[V any] struct {
	ctx      context.Context // of all questions
	patience time.Duration   // of who waits, from when it was first asked
	life     time.Duration   // of the question

	mu      sync.Mutex
	under   map[string]*flight[V]
	closed  bool
	running sync.WaitGroup
}

// maxFlights bounds what is asked at the same time.
const maxFlights = 1000

type flight[V any] struct {
	done  chan struct{}
	begun time.Time
	value V
	err   error
}

// do asks, unless somebody does so already.
func (f *flights[V]) do(ctx context.Context, key string, ask func(context.Context) (V, error)) (V, error) {
	x := f.begin(key, ask)
	late := time.NewTimer(time.Until(x.begun.Add(f.patience)))
	defer late.Stop()
	var none V
	select {
	case <-x.done:
		return x.value, x.err
	case <-late.C:
		return none, unavailable(errors.New("no answer yet"))
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// begin asks without waiting.
func (f *flights[V]) begin(key string, ask func(context.Context) (V, error)) *flight[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if x := f.under[key]; x != nil {
		return x
	}
	x := &flight[V]{done: make(chan struct{}), begun: time.Now()}
	if f.under == nil {
		f.under = map[string]*flight[V]{}
	}
	if f.closed || len(f.under) >= maxFlights {
		x.err = unavailable(errors.New("too much is being asked, or nothing any more"))
		close(x.done)
		return x
	}
	f.under[key] = x
	f.running.Go(func() {
		ctx, cancel := context.WithTimeout(f.ctx, f.life)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				x.err = fmt.Errorf("panic: %v", p)
			}
			f.mu.Lock()
			delete(f.under, key)
			f.mu.Unlock()
			close(x.done)
		}()
		x.value, x.err = ask(ctx)
	})
	return x
}

// close waits for all that is under way; ctx has ended.
func (f *flights[V]) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.running.Wait()
}
