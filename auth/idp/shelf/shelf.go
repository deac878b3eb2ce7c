// Package shelf keeps things for users for a short time, each for whoever
// knows its secret, and not many for anybody.
package shelf

import (
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"sync"
	"time"

	"opencloud/cloud"
)

// A Shelf keeps something for a user, for a short time, for who knows the
// secret. It is in memory only: whose thing a restart has lost begins anew.
type Shelf[T any] struct {
	life time.Duration

	mu     sync.Mutex
	byHash map[[sha256.Size]byte]kept[T] // by the digest of the secret
	ofUser map[cloud.UserID]int
	sweep  time.Time
}

type kept[T any] struct {
	thing   T
	user    cloud.UserID
	expires time.Time
}

// Bounds on things on a shelf: of one user, and of all.
const (
	MaxOfUser = 100
	Max       = 100_000
)

// New keeps things for a life.
func New[T any](life time.Duration) *Shelf[T] {
	return &Shelf[T]{life: life, byHash: map[[sha256.Size]byte]kept[T]{}, ofUser: map[cloud.UserID]int{}}
}

// Add returns the secret; empty when there are too many things.
func (s *Shelf[T]) Add(user cloud.UserID, thing T) string {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if full := s.full(user); full || !now.Before(s.sweep) {
		s.sweep = now.Add(s.life)
		maps.DeleteFunc(s.byHash, func(_ [sha256.Size]byte, k kept[T]) bool {
			gone := !now.Before(k.expires)
			if gone {
				s.uncount(k.user)
			}
			return gone
		})
		if full && s.full(user) {
			return ""
		}
	}
	secret := rand.Text() // 128 bits and more
	s.byHash[digest(secret)] = kept[T]{thing, user, now.Add(s.life)}
	s.ofUser[user]++
	return secret
}

func (s *Shelf[T]) full(user cloud.UserID) bool {
	return len(s.byHash) >= Max || s.ofUser[user] >= MaxOfUser
}

func (s *Shelf[T]) uncount(user cloud.UserID) {
	if s.ofUser[user]--; s.ofUser[user] == 0 {
		delete(s.ofUser, user)
	}
}

// Find is the thing of a secret; ok is false if there is none or it has expired.
func (s *Shelf[T]) Find(secret string) (thing T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.byHash[digest(secret)]
	if !ok || !time.Now().Before(k.expires) {
		return thing, false
	}
	return k.thing, true
}

// Drop takes a thing off; ok is false if it was not there any more.
func (s *Shelf[T]) Drop(secret string) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.byHash[digest(secret)]
	if ok {
		delete(s.byHash, digest(secret))
		s.uncount(k.user)
	}
	return ok
}

func digest(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }
