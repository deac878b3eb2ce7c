// Package signed lets requests in whose address is signed: so that a browser
// can save a file, and another program fetch one, without being given the
// credentials of a user. It knows two kinds. Of one, the client signs any
// address of ours with a key that it has asked for (query.go); of the other,
// we sign the address of one file (link.go). Both are for reading, for a
// while, and as the user. It does not know who may read what.
package signed

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"opencloud/auth/idp/file"
	"opencloud/auth/recent"
	"opencloud/cloud"
)

// Options say whether there are signed addresses, and how long they are good.
type Options struct {
	Enabled  bool          `yaml:"enable_presigned_urls" env:"PROXY_ENABLE_PRESIGNEDURLS" default:"true" doc:"Let addresses be signed, for downloads that a browser makes by itself."`
	Secret   string        `yaml:"url_signing_secret" env:"OC_URL_SIGNING_SECRET" default:"" secret:"true" doc:"Secret that download addresses are signed with, at least 16 bytes; empty is one that the first start makes."`
	LinkLife time.Duration `yaml:"url_signing_life" env:"OC_URL_SIGNING_LIFE" default:"30m" doc:"How long a download address is valid."`
	KeyLife  time.Duration `yaml:"signing_key_life" env:"OC_SIGNING_KEY_LIFE" default:"12h" doc:"How long a client gets the same key to sign addresses with; the key is good for twice that time."`

	URL *url.URL `yaml:"-"` // our public address without trailing slash, maybe with a base path
	// Alive tells whether a session (see cloud.Caller) goes on: without it the
	// addresses that were signed in it are void.
	Alive func(session string) bool `yaml:"-"`
}

// A Signer is an auth.Door, and keeps what it needs in a folder: a file for
// each user who has a key or has lost one.
type Signer struct {
	path   string
	dir    cloud.Directory
	opts   Options
	base   string // what addresses begin with as clients sign them
	secret []byte
	nobody string // a key that is no user's

	mu   sync.Mutex  // held while a file is changed
	seen *recent.Set // signatures: to check one takes milliseconds, and a browser that reads a file in parts asks often
}

var _ cloud.Credentials = (*Signer)(nil)

const minSecret = 16

// Open makes the folder and the secret if they are missing.
func Open(path string, dir cloud.Directory, opts Options) (*Signer, error) {
	if opts.LinkLife < time.Minute || opts.KeyLife < time.Minute {
		return nil, cloud.Refuse(cloud.Invalid, "Signed addresses and their keys (OC_URL_SIGNING_LIFE, OC_SIGNING_KEY_LIFE) are good for a minute at least.")
	}
	if opts.Secret != "" && len(opts.Secret) < minSecret {
		return nil, cloud.Refuse(cloud.Invalid, "The secret of download addresses (OC_URL_SIGNING_SECRET) is too short: at least %d bytes.", minSecret)
	}
	s := &Signer{path: path, dir: dir, opts: opts, base: origin(opts.URL) + opts.URL.EscapedPath(), secret: []byte(opts.Secret), nobody: newKey(), seen: recent.New()}
	err := os.MkdirAll(path, 0o700)
	if err == nil && opts.Secret == "" {
		s.secret, err = ownSecret(filepath.Join(path, "secret"))
	}
	if err != nil {
		return nil, cloud.E("signed.Open", cloud.Ref{}, err)
	}
	return s, nil
}

// origin is scheme and host the way clients write them.
func origin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := (map[string]string{"http": ":80", "https": ":443"})[u.Scheme]; port != "" {
		host = strings.TrimSuffix(host, port)
	}
	return u.Scheme + "://" + host
}

// ownSecret is what the file holds. A damaged one is made anew: the addresses
// of the last half hour are all that is lost.
func ownSecret(path string) ([]byte, error) {
	body, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if secret, err := hex.DecodeString(string(bytes.TrimSpace(body))); err == nil && len(secret) == 32 {
		return secret, nil
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	return secret, file.Replace(path, append(hex.AppendEncode(nil, secret), '\n'))
}

// state is what is kept of a user.
type state struct {
	User  cloud.UserID `json:"user"`
	Keys  []key        `json:"keys,omitempty"`  // the newest first, two at most
	Round int64        `json:"round,omitempty"` // another one whenever the user is signed out: links of others are void
}

type key struct {
	Text string    `json:"key"`
	Made time.Time `json:"made"`
}

func (s *Signer) file(of cloud.UserID) string {
	return filepath.Join(s.path, cloud.UUIDOf(string(of)).String()+".json")
}

// state is empty for a user of whom there is nothing.
func (s *Signer) state(of cloud.UserID) (*state, error) {
	st := &state{User: of}
	body, err := os.ReadFile(s.file(of))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return st, nil
	case err != nil:
		return nil, err
	}
	// What cannot be understood is as good as a sign-out: there is no key, and
	// no link is of this round.
	if json.Unmarshal(body, st) != nil || st.User != of {
		return &state{User: of, Round: newRound()}, nil
	}
	return st, nil
}

func newRound() int64 { return time.Now().UnixNano() }

func (s *Signer) set(st *state) error {
	body, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	return file.Replace(s.file(st.User), append(body, '\n'))
}

// good are the keys that addresses may be signed with.
func (s *Signer) good(st *state, now time.Time) []key {
	var keys []key
	for _, k := range st.Keys {
		if k.Text != "" && now.Before(k.Made.Add(2*s.opts.KeyLife)) {
			keys = append(keys, k)
		}
	}
	return keys
}

// newKey begins with a letter: a client takes what looks like a number for one.
func newKey() string { return "k" + rand.Text() }

// Key is what the caller signs addresses with, made when there is none.
// Permission for a caller who is not there in person: a key outlives an app
// token.
func (s *Signer) Key(ctx context.Context) (string, error) {
	text, err := s.key(cloud.CallerFrom(ctx))
	return text, cloud.E("signed.Key", cloud.Ref{}, err)
}

func (s *Signer) key(c cloud.Caller) (string, error) {
	if c.User == nil {
		return "", cloud.Unauthorized
	}
	if !c.InPerson() {
		return "", cloud.Refuse(cloud.Permission, "This cannot be done with an app token. Sign in yourself.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.state(c.User.ID)
	if err != nil {
		return "", err
	}
	now := time.Now()
	keys := s.good(st, now)
	if len(keys) > 0 && now.Before(keys[0].Made.Add(s.opts.KeyLife)) {
		return keys[0].Text, nil
	}
	made := key{newKey(), now.UTC().Truncate(time.Second)}
	st.Keys = append([]key{made}, keys[:min(len(keys), 1)]...)
	return made.Text, s.set(st)
}

// SignOut makes the keys and links of a user void.
func (s *Signer) SignOut(_ context.Context, of cloud.UserID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.set(&state{User: of, Round: newRound()})
	return cloud.E("signed.SignOut", cloud.Ref{}, err)
}

// Forget drops all there is of a user.
func (s *Signer) Forget(_ context.Context, of cloud.UserID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := os.Remove(s.file(of))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = file.SyncDir(s.path)
	}
	return cloud.E("signed.Forget", cloud.Ref{}, err)
}

// Enter lets a request in whose query says that the address is signed.
func (s *Signer) Enter(r *http.Request, try func(account string) error) (c cloud.Caller, ok bool, err error) {
	c.Proof = cloud.ByURL
	if token, ok := find(r.URL.RawQuery, linkParam); ok {
		c.User, c.Session, err = s.byLink(r, token)
		return c, true, err
	}
	if _, ok := find(r.URL.RawQuery, signatureParam); ok {
		c.User, err = s.byKey(r, try)
		return c, true, err
	}
	return c, false, nil
}

// find looks for a parameter, whose name stands there as it is.
func find(query, name string) (value string, ok bool) {
	for part := range strings.SplitSeq(query, "&") {
		if value, ok := strings.CutPrefix(part, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// reads tells whether the method is one that a signed address is for.
func reads(method string) bool { return method == http.MethodGet || method == http.MethodHead }

var errVoid = cloud.Refuse(cloud.Unauthorized, "This address is not valid, or not valid any more.")

// user is who may still read.
func (s *Signer) user(ctx context.Context, by, value string) (*cloud.User, error) {
	u, err := s.dir.User(ctx, by, value)
	switch {
	case cloud.KindOf(err) == cloud.NotExist || err == nil && u.Disabled:
		return nil, errVoid
	case err != nil:
		return nil, err
	}
	return u, nil
}
