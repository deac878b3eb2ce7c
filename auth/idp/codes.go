package idp

import (
	"maps"
	"sync"
	"time"

	"opencloud/auth/idp/session"
	"opencloud/cloud"
)

// codeLife is how long a client has to fetch its tokens.
const codeLife = time.Minute

// A code stands for one sign-in until a client has fetched its tokens, and
// for a while after, so that a second try is known for what it is.
type code struct {
	client    *client
	redirect  string
	challenge string
	scope     string
	nonce     string
	session   session.Session // the browser's, as it was

	token, app string // ids of the access token and of the app's session to be made

	mu   sync.Mutex // held while the tokens are made
	used bool
}

// A shelf keeps something for a user, for a short time, for who knows the
// secret. It is in memory only: whose thing a restart has lost begins anew.
type shelf[T any] struct {
	life time.Duration

	mu     sync.Mutex
	byHash map[string]kept[T] // by the digest of the secret
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
	maxKeptOfUser = 100
	maxKept       = 100_000
)

func newShelf[T any](life time.Duration) *shelf[T] {
	return &shelf[T]{life: life, byHash: map[string]kept[T]{}, ofUser: map[cloud.UserID]int{}}
}

// add returns the secret; empty when there are too many things.
func (s *shelf[T]) add(user cloud.UserID, thing T) string {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if full := s.full(user); full || !now.Before(s.sweep) {
		s.sweep = now.Add(s.life)
		maps.DeleteFunc(s.byHash, func(_ string, k kept[T]) bool {
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
	secret := random(32)
	s.byHash[digest(secret)] = kept[T]{thing, user, now.Add(s.life)}
	s.ofUser[user]++
	return secret
}

func (s *shelf[T]) full(user cloud.UserID) bool {
	return len(s.byHash) >= maxKept || s.ofUser[user] >= maxKeptOfUser
}

func (s *shelf[T]) uncount(user cloud.UserID) {
	if s.ofUser[user]--; s.ofUser[user] == 0 {
		delete(s.ofUser, user)
	}
}

// find is the thing of a secret; ok is false if there is none or it has expired.
func (s *shelf[T]) find(secret string) (thing T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.byHash[digest(secret)]
	if !ok || !time.Now().Before(k.expires) {
		return thing, false
	}
	return k.thing, true
}

// drop takes a thing off; ok is false if it was not there any more.
func (s *shelf[T]) drop(secret string) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.byHash[digest(secret)]
	if ok {
		delete(s.byHash, digest(secret))
		s.uncount(k.user)
	}
	return ok
}
