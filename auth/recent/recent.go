// Package recent remembers what was found right lately, where finding out
// takes long. It knows nothing but hashes, and forgets by itself.
package recent

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// A Set is of two generations: when the young one is full it becomes the old
// one, and the old one is forgotten.
type Set struct {
	key [sha256.Size]byte

	mu         sync.Mutex
	young, old map[[sha256.Size]byte]struct{}
}

const generation = 10_000

// New makes an empty set.
func New() *Set {
	s := &Set{young: map[[sha256.Size]byte]struct{}{}}
	rand.Read(s.key[:])
	return s
}

// sum tells all texts apart, wherever one ends and the next begins.
func (s *Set) sum(texts []string) [sha256.Size]byte {
	b := append(make([]byte, 0, 256), s.key[:]...)
	for _, t := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(t))), t...)
	}
	return sha256.Sum256(b)
}

// Has tells whether the same texts were added lately.
func (s *Set) Has(texts ...string) bool {
	sum := s.sum(texts)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.young[sum]
	if !ok {
		_, ok = s.old[sum]
	}
	return ok
}

// Add remembers texts for a while.
func (s *Set) Add(texts ...string) {
	sum := s.sum(texts)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.young) >= generation {
		s.old, s.young = s.young, make(map[[sha256.Size]byte]struct{})
	}
	s.young[sum] = struct{}{}
}

// Remove forgets texts.
func (s *Set) Remove(texts ...string) {
	sum := s.sum(texts)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.young, sum)
	delete(s.old, sum)
}
