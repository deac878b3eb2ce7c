// Package bearer is authentication with an access token (RFC 6750). It
// remembers for a while which tokens are good, and asks with each request
// what may have changed: whether the session goes on and what the directory
// says of the user. It does not know what a token looks like.
package bearer

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"opencloud/cloud"
)

// A Token is what one says that is good.
type Token struct {
	ID      string
	Session string
	User    cloud.UserID
	Expires time.Time
}

// An Issuer made the tokens. It must be safe for concurrent use.
type Issuer interface {
	// Token checks everything about a token, which may be costly;
	// Unauthorized when it is not good.
	Token(raw string) (Token, error)
	// Alive tells whether the session of a token goes on and the token was
	// not revoked. It is asked with each request.
	Alive(session, token string) bool
}

// Bearer is an auth.Scheme.
type Bearer struct {
	dir    cloud.Directory
	issuer Issuer

	mu         sync.Mutex
	young, old map[[sha256.Size]byte]Token // two generations: the old one is dropped when the young one is full
}

// generation bounds what is remembered.
const generation = 10_000

func New(dir cloud.Directory, issuer Issuer) *Bearer {
	return &Bearer{dir: dir, issuer: issuer, young: map[[sha256.Size]byte]Token{}}
}

func (b *Bearer) Name() string      { return "Bearer" }
func (b *Bearer) Challenge() string { return `Bearer realm="OpenCloud"` }

// Verify never calls try: tokens cannot be guessed, and clients whose token
// has expired must not use up tries.
func (b *Bearer) Verify(ctx context.Context, raw string, _ func(account string) error) (cloud.Caller, error) {
	t, err := b.token(raw)
	if err != nil {
		return cloud.Caller{}, err
	}
	if !time.Now().Before(t.Expires) || !b.issuer.Alive(t.Session, t.ID) {
		return cloud.Caller{}, cloud.Refuse(cloud.Unauthorized, "The token has expired. Sign in again.")
	}
	u, err := b.dir.User(ctx, "id", string(t.User))
	switch {
	case cloud.KindOf(err) == cloud.NotExist || err == nil && u.Disabled:
		return cloud.Caller{}, cloud.Refuse(cloud.Unauthorized, "This account cannot be used any more.")
	case err != nil:
		return cloud.Caller{}, err
	}
	return cloud.Caller{User: u, Session: t.Session}, nil
}

// token is what a good token says, from memory if it can be.
func (b *Bearer) token(raw string) (Token, error) {
	sum := sha256.Sum256([]byte(raw))
	b.mu.Lock()
	t, ok := b.young[sum]
	if !ok {
		t, ok = b.old[sum]
	}
	b.mu.Unlock()
	if ok {
		return t, nil
	}
	t, err := b.issuer.Token(raw)
	if err != nil {
		return t, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.young) >= generation {
		b.old, b.young = b.young, make(map[[sha256.Size]byte]Token)
	}
	b.young[sum] = t
	return t, nil
}
