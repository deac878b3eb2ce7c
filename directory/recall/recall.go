// Package recall remembers which passwords were right a moment ago, without
// knowing the passwords, so that not every request has to pay for a check. It
// does not know whether what it remembers still holds.
package recall

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// A Memory knows whose a password was. It is of two generations: when the
// young one is full it becomes the old one, and the old one is dropped.
type Memory[T any] struct {
	key   [32]byte
	lasts time.Duration

	mu         sync.Mutex
	young, old map[[32]byte]known[T]
}

type known[T any] struct {
	who   T
	until time.Time
}

const generation = 5000

// New remembers for as long as given; 0 is not at all.
func New[T any](lasts time.Duration) *Memory[T] {
	m := &Memory[T]{lasts: lasts, young: map[[32]byte]known[T]{}}
	rand.Read(m.key[:])
	return m
}

func (m *Memory[T]) digest(name, password string) (sum [32]byte) {
	h := hmac.New(sha256.New, m.key[:])
	h.Write([]byte(name))
	h.Write([]byte{':'}) // no name has one
	h.Write([]byte(password))
	h.Sum(sum[:0])
	return sum
}

// Add remembers that the password was right. The name has no colon; what are
// spellings of one name is the caller's to say.
func (m *Memory[T]) Add(name, password string, who T) {
	if m.lasts <= 0 {
		return
	}
	sum := m.digest(name, password)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.young) >= generation {
		m.old, m.young = m.young, make(map[[32]byte]known[T])
	}
	m.young[sum] = known[T]{who, time.Now().Add(m.lasts)}
}

// Find says whose the password was, if it was right lately.
func (m *Memory[T]) Find(name, password string) (who T, ok bool) {
	if m.lasts <= 0 {
		return who, false
	}
	sum := m.digest(name, password)
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.young[sum]
	if !ok {
		k, ok = m.old[sum]
	}
	if !ok || !time.Now().Before(k.until) {
		return who, false
	}
	return k.who, true
}

// Clear forgets all.
func (m *Memory[T]) Clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.young, m.old = map[[32]byte]known[T]{}, nil
}
