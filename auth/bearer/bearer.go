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
	Session string // empty: the issuer does not say
	Subject string // whom it is about, in the words of an issuer that is not us
	User    cloud.UserID
	Issued  time.Time // or found to be good
	Expires time.Time
	Again   time.Time // when the issuer is to be asked again; zero: never
}

// An Issuer made the tokens, or knows who did. It must be safe for concurrent use.
type Issuer interface {
	// Token checks everything about a token, which may be costly;
	// Unauthorized when it is not good, Permission when it is but leads to no
	// account, Unavailable when nobody can say.
	Token(ctx context.Context, raw string) (Token, error)
	// Alive tells whether the session of a token goes on and the token was
	// not revoked. It is asked with each request.
	Alive(*Token) bool
}

// Bearer is an auth.Scheme.
type Bearer struct {
	dir    cloud.Directory
	issuer Issuer

	mu         sync.Mutex
	young, old map[digest]*Token // two generations: the old one is dropped when the young one is full; a *Token never changes
}

// digest is what is kept of a token.
type digest [sha256.Size]byte

// generation bounds what is remembered.
const generation = 10_000

// pause is how long a token whose issuer cannot be asked again goes on
// without another try.
const pause = 5 * time.Second

func New(dir cloud.Directory, issuer Issuer) *Bearer {
	return &Bearer{dir: dir, issuer: issuer, young: map[digest]*Token{}}
}

func (b *Bearer) Name() string      { return "Bearer" }
func (b *Bearer) Challenge() string { return `Bearer realm="OpenCloud"` }

// Verify never calls try: tokens cannot be guessed, and clients whose token
// has expired must not use up tries.
func (b *Bearer) Verify(ctx context.Context, raw string, _ func(account string) error) (cloud.Caller, error) {
	t, err := b.token(ctx, raw)
	if err != nil {
		return cloud.Caller{}, err
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

// token is what a token says that is good now, from memory if it can be.
func (b *Bearer) token(ctx context.Context, raw string) (*Token, error) {
	sum := digest(sha256.Sum256([]byte(raw)))
	now := time.Now()
	t := b.recall(sum)
	good := t != nil && now.Before(t.Expires) && b.issuer.Alive(t)
	switch {
	case good && (t.Again.IsZero() || now.Before(t.Again)):
		return t, nil
	case t != nil && t.Again.IsZero():
		return nil, expired()
	}
	fresh, err := b.issuer.Token(ctx, raw)
	switch {
	case err != nil && good && cloud.KindOf(err) == cloud.Unavailable:
		later := *t
		later.Again = now.Add(pause)
		return b.remember(sum, &later), nil
	case err != nil:
		return nil, err
	}
	b.remember(sum, &fresh)
	if !time.Now().Before(fresh.Expires) || !b.issuer.Alive(&fresh) {
		return nil, expired()
	}
	return &fresh, nil
}

func expired() error {
	return cloud.Refuse(cloud.Unauthorized, "The token has expired. Sign in again.")
}

func (b *Bearer) recall(sum digest) *Token {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.young[sum]; t != nil {
		return t
	}
	return b.old[sum]
}

func (b *Bearer) remember(sum digest, t *Token) *Token {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.young) >= generation {
		b.old, b.young = b.young, make(map[digest]*Token)
	}
	b.young[sum] = t
	return t
}
