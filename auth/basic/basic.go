// Package basic is HTTP Basic authentication (RFC 7617): a user name and a
// password, or an app token, with each request. It does not know where either
// is kept.
package basic

import (
	"context"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"opencloud/cloud"
)

// maxCredentials bounds what is decoded, in bytes.
const maxCredentials = 4096

// Basic is an auth.Scheme.
type Basic struct {
	dir    cloud.Directory // nil: passwords are not taken
	recall func(name, password string) *cloud.User
	tokens Tokens // nil: there are none
}

// Tokens knows app tokens, which nobody can guess.
type Tokens interface {
	// Owner is whose token it is, when that is the user of the name:
	// Unauthorized if not, and for what does not look like a token at all.
	Owner(ctx context.Context, name, token string) (*cloud.User, error)
}

// New takes what it is told to with Passwords and Tokens.
func New() *Basic {
	return &Basic{recall: func(string, string) *cloud.User { return nil }}
}

// Passwords asks the directory. When that has a method Recall, which answers
// at once for a password that was right a moment ago, such passwords do not
// count as tries.
func (b *Basic) Passwords(dir cloud.Directory) {
	b.dir = dir
	if r, ok := dir.(interface {
		Recall(name, password string) *cloud.User
	}); ok {
		b.recall = r.Recall
	}
}

// Tokens takes app tokens, too.
func (b *Basic) Tokens(t Tokens) { b.tokens = t }

func (b *Basic) Name() string { return "Basic" }

func (b *Basic) Challenge() string { return `Basic realm="OpenCloud", charset="UTF-8"` }

// Verify is part of auth.Scheme.
func (b *Basic) Verify(ctx context.Context, credentials string, try func(account string) error) (cloud.Caller, error) {
	name, password, ok := Parse(credentials)
	if !ok {
		// Counted, for it costs nothing to send; at no account.
		if err := try(""); err != nil {
			return cloud.Caller{}, err
		}
		return cloud.Caller{}, cloud.Refuse(cloud.Unauthorized, "The Authorization header is malformed.")
	}
	if password == "" {
		// Nobody's, and no guess: OAuth clients without a secret name
		// themselves like this.
		return cloud.Caller{}, cloud.Unauthorized
	}
	if u := b.recall(name, password); u != nil {
		return cloud.Caller{User: u, Proof: cloud.ByPassword}, nil
	}
	// A token comes before the try: who guesses at an account cannot lock out
	// its programs, and whoever tried all day would not find one. What is no
	// token counts as a guess all the same.
	if b.tokens != nil {
		u, err := b.tokens.Owner(ctx, name, password)
		if err == nil {
			return cloud.Caller{User: u, Proof: cloud.ByAppToken}, nil
		}
		if cloud.KindOf(err) != cloud.Unauthorized {
			return cloud.Caller{}, err
		}
	}
	if err := try(Account(name)); err != nil {
		return cloud.Caller{}, err
	}
	if b.dir == nil {
		return cloud.Caller{}, cloud.Refuse(cloud.Unauthorized, "The user name or the app token is wrong. Passwords are not accepted here.")
	}
	u, err := b.dir.Verify(ctx, name, password)
	return cloud.Caller{User: u, Proof: cloud.ByPassword}, err
}

// Account is the same for all spellings that a directory takes for one name:
// of letters that have more than two forms, up and then down again.
func Account(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// Parse takes credentials apart, as in RFC 7617, section 2.
func Parse(credentials string) (name, password string, ok bool) {
	if len(credentials) > maxCredentials {
		return "", "", false
	}
	raw, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil || !utf8.Valid(raw) {
		return "", "", false
	}
	name, password, ok = strings.Cut(string(raw), ":")
	return name, password, ok && name != ""
}
