// Package apptoken keeps the passwords that users make for their programs,
// one file each, and says whose one is. It does not know who may make one,
// nor how it comes with a request.
//
// A token has 96 random bits or more, so that nobody finds one by trying,
// neither here nor with the files at hand: at 10^12 hashes a second that
// takes 10^9 years. One round of SHA-256 is therefore all that is needed to
// keep one, and checking one costs microseconds. The guard against guessing
// is for passwords; it counts wrong tokens with them.
package apptoken

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"opencloud/auth/idp/file"
	"opencloud/cloud"
)

// Options say whether there are app tokens, and what they look like.
type Options struct {
	Enabled   bool      `yaml:"enable_app_auth" env:"PROXY_ENABLE_APP_AUTH" default:"true" doc:"Accept app tokens in the place of passwords (HTTP Basic), also of those who need more than a password."`
	Generator Generator `yaml:"password_generator" env:"AUTH_APP_PASSWORD_GENERATOR;AUTH_APP_JSONCS3_PASSWORD_GENERATOR" default:"diceware" doc:"What new app tokens are made of: diceware (six words that can be typed) or random (letters and digits)."`
}

// A Store implements cloud.AppTokens and cloud.Credentials on a folder, which
// any number of processes may have open. It holds nothing in memory: a token
// is good as long as its file is there. When it was used last is the file's
// mtime.
type Store struct {
	path string
	dir  cloud.Directory
	opts Options
	log  *slog.Logger

	mu sync.Mutex // held while tokens are made
}

var (
	_ cloud.AppTokens   = (*Store)(nil)
	_ cloud.Credentials = (*Store)(nil)

	_ cloud.CredentialList = (*Store)(nil)
)

// record is what a file holds.
type record struct {
	User    cloud.UserID `json:"user"`
	Label   string       `json:"label,omitempty"`
	Made    time.Time    `json:"made"`
	Expires time.Time    `json:"expires"`
}

const (
	suffix  = ".json"
	maxFile = 4 << 10   // bytes, more than a record takes
	usedAt  = time.Hour // how exactly it is known when a token was used
)

// Open makes the folder if it is missing.
func Open(path string, dir cloud.Directory, opts Options, log *slog.Logger) (*Store, error) {
	if opts.Generator != Diceware && opts.Generator != Random {
		return nil, cloud.Refuse(cloud.Invalid, "The kind of app tokens %q (AUTH_APP_PASSWORD_GENERATOR) is neither diceware nor random.", opts.Generator)
	}
	if err := mkdir(path); err != nil {
		return nil, cloud.E("apptoken.Open", cloud.Ref{}, err)
	}
	return &Store{path: path, dir: dir, opts: opts, log: log}, nil
}

// folder is where the tokens of a user are, whose id may be anything.
func (s *Store) folder(of cloud.UserID) string {
	return filepath.Join(s.path, cloud.UUIDOf(string(of)).String())
}

// id names a token of a user: who knows the token knows the file, and not the
// other way round.
func id(of cloud.UserID, plain string) string {
	sum := sha256.Sum256([]byte("app token\x00" + string(of) + "\x00" + plain))
	return hex.EncodeToString(sum[:16])
}

// Owner is whose token it is, when that is the user of the name.
func (s *Store) Owner(ctx context.Context, name, secret string) (*cloud.User, error) {
	text, ok := plain(secret)
	if !ok {
		return nil, cloud.Unauthorized
	}
	u, err := s.dir.User(ctx, "name", name)
	switch {
	case cloud.KindOf(err) == cloud.NotExist || err == nil && u.Disabled:
		return nil, cloud.Unauthorized
	case err != nil:
		return nil, cloud.E("apptoken.Owner", cloud.Ref{}, err)
	}
	path := filepath.Join(s.folder(u.ID), id(u.ID, text)+suffix)
	r, used, err := read(path)
	now := time.Now()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, cloud.Unauthorized
	case err != nil:
		s.log.ErrorContext(ctx, "an app token cannot be read and is not accepted", "file", path, "error", err)
		return nil, cloud.Unauthorized
	case r.User != u.ID || !now.Before(r.Expires):
		return nil, cloud.Unauthorized
	}
	if used.Equal(r.Made) || now.Sub(used) >= usedAt {
		if err := os.Chtimes(path, time.Time{}, now); err != nil {
			s.log.WarnContext(ctx, "the use of an app token cannot be noted", "file", path, "error", err)
		}
	}
	return u, nil
}

// read returns the mtime, too.
func read(path string) (r record, mtime time.Time, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return r, mtime, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return r, mtime, err
	}
	if info.Size() > maxFile {
		return r, mtime, errors.New("it is too large")
	}
	body := make([]byte, info.Size())
	if _, err := io.ReadFull(f, body); err != nil {
		return r, mtime, err
	}
	return r, info.ModTime(), json.Unmarshal(body, &r)
}

func (s *Store) AppTokens(_ context.Context, of cloud.UserID) ([]cloud.AppToken, error) {
	all, err := s.list(of)
	return all, cloud.E("apptoken.AppTokens", cloud.Ref{}, err)
}

func (s *Store) list(of cloud.UserID) ([]cloud.AppToken, error) {
	entries, err := os.ReadDir(s.folder(of))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []cloud.AppToken
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok {
			continue
		}
		path := filepath.Join(s.folder(of), e.Name())
		r, used, err := read(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // revoked meanwhile
			continue
		case err != nil:
			s.log.Error("an app token cannot be read and is not accepted", "file", path, "error", err)
			continue
		case r.User != of:
			continue
		case used.Equal(r.Made):
			used = time.Time{}
		}
		all = append(all, cloud.AppToken{ID: name, Label: r.Label, Made: r.Made, Expires: r.Expires, Used: used})
	}
	slices.SortFunc(all, func(a, b cloud.AppToken) int { return cmp.Or(b.Made.Compare(a.Made), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

func (s *Store) MakeAppToken(_ context.Context, of cloud.UserID, label string, life time.Duration) (cloud.AppToken, string, error) {
	t, secret, err := s.make(of, label, life)
	return t, secret, cloud.E("apptoken.MakeAppToken", cloud.Ref{}, err)
}

func (s *Store) make(of cloud.UserID, label string, life time.Duration) (t cloud.AppToken, secret string, err error) {
	if life <= 0 || life > cloud.MaxAppTokenLife {
		return t, "", cloud.Refuse(cloud.Invalid, "An app token is valid for some time, and for ten years at most.")
	}
	if len(label) > cloud.MaxLabel || !utf8.ValidString(label) || strings.ContainsFunc(label, unicode.IsControl) {
		return t, "", cloud.Refuse(cloud.Invalid, "The label is one line of at most %d bytes.", cloud.MaxLabel)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.room(of); err != nil {
		return t, "", err
	}
	secret = s.opts.Generator.secret()
	text, _ := plain(secret)
	now := time.Now().UTC()
	r := record{User: of, Label: label, Made: now.Truncate(time.Second), Expires: now.Add(life).Truncate(time.Second)}
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return t, "", err
	}
	if err := mkdir(s.folder(of)); err != nil {
		return t, "", err
	}
	t = cloud.AppToken{ID: id(of, text), Label: r.Label, Made: r.Made, Expires: r.Expires}
	path := filepath.Join(s.folder(of), t.ID+suffix)
	if err = file.Replace(path, append(body, '\n')); err == nil {
		err = os.Chtimes(path, time.Time{}, r.Made)
	}
	if err == nil {
		err = own(path)
	}
	if err != nil {
		os.Remove(path) // nobody will be told the secret
		return cloud.AppToken{}, "", err
	}
	return t, secret, nil
}

// room sees to it that there can be one more. What has expired goes first.
func (s *Store) room(of cloud.UserID) error {
	all, err := s.list(of)
	if err != nil || len(all) < cloud.MaxAppTokens {
		return err
	}
	now, left := time.Now(), len(all)
	for _, t := range all {
		if now.Before(t.Expires) {
			continue
		}
		if err := s.remove(of, t.ID); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		left--
	}
	if left >= cloud.MaxAppTokens {
		return cloud.Refuse(cloud.Full, "There are %d app tokens already. Remove one that is not needed any more.", left)
	}
	return nil
}

func (s *Store) RevokeAppToken(_ context.Context, of cloud.UserID, id string) error {
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 || strings.ToLower(id) != id {
		return cloud.Refuse(cloud.NotExist, "There is no such app token.")
	}
	err := s.remove(of, id)
	if errors.Is(err, fs.ErrNotExist) {
		return cloud.Refuse(cloud.NotExist, "There is no such app token.")
	}
	return cloud.E("apptoken.RevokeAppToken", cloud.Ref{}, err)
}

func (s *Store) remove(of cloud.UserID, id string) error {
	if err := os.Remove(filepath.Join(s.folder(of), id+suffix)); err != nil {
		return err
	}
	return file.SyncDir(s.folder(of))
}

// SignOut leaves the tokens: no password has begun them.
func (s *Store) SignOut(context.Context, cloud.UserID) error { return nil }

// List is AppTokens for who lists all kinds of credentials.
func (s *Store) List(ctx context.Context, of cloud.UserID) iter.Seq2[cloud.Credential, error] {
	return func(yield func(cloud.Credential, error) bool) {
		all, err := s.AppTokens(ctx, of)
		if err != nil {
			yield(cloud.Credential{}, err)
			return
		}
		for _, t := range all {
			if !yield(cloud.Credential{Kind: "app token", Label: t.Label, Made: t.Made, Used: t.Used, Expires: t.Expires}, nil) {
				return
			}
		}
	}
}

// Forget drops all tokens of a user.
func (s *Store) Forget(_ context.Context, of cloud.UserID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := os.RemoveAll(s.folder(of))
	if err == nil {
		err = file.SyncDir(s.path)
	}
	return cloud.E("apptoken.Forget", cloud.Ref{}, err)
}

func mkdir(path string) error {
	err := os.Mkdir(path, 0o700)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		if err = mkdir(filepath.Dir(path)); err == nil {
			err = mkdir(path)
		}
		return err
	case err != nil:
		return err
	}
	if err := own(path); err != nil {
		return err
	}
	return file.SyncDir(filepath.Dir(path))
}

// own gives what is new to the owner of the folder it is in: the command line
// is often root where the server is not, and the server must read it.
func own(path string) error {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil
	}
	return os.Lchown(path, int(st.Uid), int(st.Gid))
}
