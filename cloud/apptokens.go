package cloud

import (
	"context"
	"time"
)

// An AppToken is a password that a user has made for one program.
type AppToken struct {
	ID      string // names the token and is no secret
	Label   string // what the user calls it
	Made    time.Time
	Expires time.Time
	Used    time.Time `json:",omitzero"` // last, to the hour; zero: never
}

// Bounds on app tokens.
const (
	MaxAppTokens    = 100 // of one user
	MaxAppTokenLife = 10 * 365 * 24 * time.Hour
	MaxLabel        = 200 // bytes of a label
)

// AppTokens keeps the app tokens of users. A store of them asks nobody who
// calls; core puts the rules over it: whoever has signed in (see
// Caller.InPerson) manages their own, and those of others only administrators
// where that is allowed, else Permission.
type AppTokens interface {
	// AppTokens are those of a user, the newest first, also those that have
	// expired.
	AppTokens(ctx context.Context, of UserID) ([]AppToken, error)
	// MakeAppToken makes one; the secret is told this once and is kept by
	// nobody. Invalid for a life that is not positive or beyond the bounds, and
	// for a label that cannot be; Full when the user has too many.
	MakeAppToken(ctx context.Context, of UserID, label string, life time.Duration) (t AppToken, secret string, err error)
	// RevokeAppToken takes effect with the next request. NotExist if the user
	// has no such token.
	RevokeAppToken(ctx context.Context, of UserID, id string) error
}
