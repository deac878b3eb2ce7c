package ldap

import (
	"context"
	"sync"
	"time"
)

// A cache keeps what the directory said for a while, of two generations: when
// the young one is full it becomes the old one, and the old one is dropped.
// Those who ask for the same thing at once share one answer.
type cache[T any] struct {
	lasts time.Duration

	mu         sync.Mutex
	young, old map[string]*answer[T]
}

type answer[T any] struct {
	ready chan struct{} // closed when the rest is there
	value T
	err   error
	until time.Time
}

const generation = 5000

func newCache[T any](lasts time.Duration) *cache[T] {
	return &cache[T]{lasts: lasts, young: map[string]*answer[T]{}}
}

// find is the answer that there is, maybe not ready yet. The caller holds mu.
func (c *cache[T]) find(key string) *answer[T] {
	a, ok := c.young[key]
	if !ok {
		a = c.old[key]
	}
	if a == nil || !a.until.IsZero() && !time.Now().Before(a.until) {
		return nil
	}
	return a
}

// get is what is known, or what load says. load goes on when the one who
// asked first has gone.
func (c *cache[T]) get(ctx context.Context, key string, load func(context.Context) (T, error)) (T, error) {
	if c.lasts <= 0 {
		return load(ctx)
	}
	c.mu.Lock()
	a := c.find(key)
	if a != nil {
		c.mu.Unlock()
		select {
		case <-a.ready:
			return a.value, a.err
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
	a = &answer[T]{ready: make(chan struct{})}
	if len(c.young) >= generation {
		c.old, c.young = c.young, map[string]*answer[T]{}
	}
	c.young[key] = a
	c.mu.Unlock()

	value, err := load(context.WithoutCancel(ctx))
	c.mu.Lock()
	defer c.mu.Unlock()
	a.value, a.err, a.until = value, err, time.Now().Add(c.lasts)
	if err != nil && c.young[key] == a {
		delete(c.young, key)
	} else if err != nil && c.old[key] == a {
		delete(c.old, key)
	}
	close(a.ready)
	return value, err
}

// peek is get for what is known already.
func (c *cache[T]) peek(key string) (value T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.find(key); a != nil && !a.until.IsZero() {
		return a.value, true
	}
	return value, false
}

// clear forgets all. What is being asked for now is not kept.
func (c *cache[T]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old = map[string]*answer[T]{}, nil
}
