package auth

import (
	"hash/maphash"
	"sync"
	"time"

	"opencloud/cloud"
)

// A guard makes guessing slow: each account, and each network that guesses,
// has a number of tries that comes back with time. A right password gives its
// try back. Whoever signed in to an account from a network lately has tries
// of their own there, so that a stranger who guesses cannot lock them out.
type guard struct {
	accounts, networks *limit

	mu         sync.Mutex
	young, old map[uint64]time.Time // who signed in from where, as a hash, until when; as in directory/recall
}

// Tries of one network, which may hold a whole office.
const (
	networkTries = 100
	networkEvery = time.Second
)

const (
	knownFor   = 24 * time.Hour
	generation = 10_000
)

func newGuard(tries int, every time.Duration) *guard {
	return &guard{
		accounts: newLimit(max(tries, 1), every),
		networks: newLimit(networkTries, networkEvery),
		young:    map[uint64]time.Time{},
	}
}

// A guess is one attempt to sign in.
type guess struct {
	guard   *guard
	network string
	pair    uint64
	keys    [2]uint64 // taken from accounts and from networks; 0: none
}

func (g *guard) guess(network string) *guess { return &guess{guard: g, network: network} }

// at takes a try, or is Throttled.
func (g *guess) at(account string) error {
	if g.network != "" {
		key := g.guard.networks.key(g.network)
		if wait := g.guard.networks.take(key); wait > 0 {
			return &throttled{wait}
		}
		g.keys[1] = key
	}
	if account == "" {
		return nil
	}
	accounts := g.guard.accounts
	g.pair = accounts.key(account + "\x00" + g.network)
	key := accounts.key(account)
	if g.guard.known(g.pair) {
		key = g.pair
	}
	if wait := accounts.take(key); wait > 0 {
		return &throttled{wait}
	}
	g.keys[0] = key
	return nil
}

// right gives the try back, if one was taken.
func (g *guess) right() {
	if g.keys[0] != 0 {
		g.guard.accounts.give(g.keys[0])
		g.guard.know(g.pair)
	}
	if g.keys[1] != 0 {
		g.guard.networks.give(g.keys[1])
	}
}

func (g *guard) known(pair uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, ok := g.young[pair]
	if !ok {
		until, ok = g.old[pair]
	}
	return ok && time.Now().Before(until)
}

func (g *guard) know(pair uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.young) >= generation {
		g.old, g.young = g.young, make(map[uint64]time.Time)
	}
	g.young[pair] = time.Now().Add(knownFor)
}

// throttled is an error of kind Throttled that knows how long.
type throttled struct{ wait time.Duration }

func (t *throttled) seconds() int { return int((t.wait + time.Second - 1) / time.Second) }

func (t *throttled) Error() string { return "too many tries" }
func (t *throttled) Unwrap() error {
	return cloud.Refuse(cloud.Throttled, "Too many attempts to sign in. Try again in %s.", (time.Duration(t.seconds()) * time.Second).String())
}

// A limit counts tries by key in a fixed amount of memory: a sketch of two
// rows. Keys may share a cell, seldom in both rows, and then share tries;
// nothing is ever evicted, so that a flood of keys cannot wash out one.
type limit struct {
	every time.Duration
	burst time.Duration // every * tries
	seed  maphash.Seed
	start time.Time

	mu   sync.Mutex
	rows [2][]time.Duration // since start: when all tries of a cell are back
}

const cells = 1 << 15

func newLimit(tries int, every time.Duration) *limit {
	l := &limit{every: every, burst: time.Duration(tries) * every, seed: maphash.MakeSeed(), start: time.Now()}
	for i := range l.rows {
		l.rows[i] = make([]time.Duration, cells) // untouched pages cost nothing
	}
	return l
}

// key is never 0.
func (l *limit) key(s string) uint64 { return max(1, maphash.String(l.seed, s)) }

func (l *limit) cells(key uint64) (a, b *time.Duration) {
	return &l.rows[0][key%cells], &l.rows[1][key>>32%cells]
}

// take takes a try; wait is how long until there is one, 0 when it was taken.
func (l *limit) take(key uint64) (wait time.Duration) {
	now := time.Since(l.start)
	l.mu.Lock()
	defer l.mu.Unlock()
	a, b := l.cells(key)
	if wait := max(min(*a, *b), now) + l.every - now - l.burst; wait > 0 {
		return wait
	}
	*a, *b = max(*a, now)+l.every, max(*b, now)+l.every
	return 0
}

func (l *limit) give(key uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, b := l.cells(key)
	*a, *b = *a-l.every, *b-l.every
}
