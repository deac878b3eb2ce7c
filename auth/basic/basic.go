// Package basic is HTTP Basic authentication (RFC 7617): a user name and a
// password with each request. It does not know where passwords are kept.
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
	dir    cloud.Directory
	recall func(name, password string) *cloud.User
}

// New asks the directory. When that has a method Recall, which answers at
// once for a password that was right a moment ago, such passwords do not
// count as tries.
func New(dir cloud.Directory) *Basic {
	b := &Basic{dir: dir, recall: func(string, string) *cloud.User { return nil }}
	if r, ok := dir.(interface {
		Recall(name, password string) *cloud.User
	}); ok {
		b.recall = r.Recall
	}
	return b
}

func (b *Basic) Name() string { return "Basic" }

func (b *Basic) Challenge() string { return `Basic realm="OpenCloud", charset="UTF-8"` }

// Verify takes the credentials as in RFC 7617, section 2.
func (b *Basic) Verify(ctx context.Context, credentials string, try func(account string) error) (cloud.Caller, error) {
	name, password, ok := parse(credentials)
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
		return cloud.Caller{User: u}, nil
	}
	if err := try(Account(name)); err != nil {
		return cloud.Caller{}, err
	}
	u, err := b.dir.Verify(ctx, name, password)
	return cloud.Caller{User: u}, err
}

// Account is the same for all spellings that a directory takes for one name:
// of letters that have more than two forms, up and then down again.
func Account(name string) string { return strings.ToLower(strings.ToUpper(name)) }

func parse(credentials string) (name, password string, ok bool) {
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
