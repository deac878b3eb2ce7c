// Package totp keeps the second factor of those who have one: an app that
// shows one-time codes (RFC 6238), or one of a few codes on paper. It does not
// count guesses but those in a row.
package totp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"opencloud/auth/idp/file"
	"opencloud/cloud"
)

// A factor is what a user needs besides the password.
type factor struct {
	Secret   []byte    `json:"secret"`
	Since    time.Time `json:"since"`
	Last     int64     `json:"last"`     // step of the last code: none is taken twice
	Recovery []string  `json:"recovery"` // digests of the codes on paper that are left
	Wrong    int       `json:"wrong,omitempty"`
}

// Codes of an app, and those on paper.
const (
	step       = 30 * time.Second
	digits     = 6
	drift      = 1 // steps that the clock of an app may be off
	maxRow     = 100
	Papers     = 10
	SecretSize = 20 // bytes of a secret
)

// A Store keeps factors in a file for each user who has one. Another process
// may remove a file at any time.
type Store struct {
	path string
	mu   sync.Mutex // held while a file is changed
}

// Open makes the folder if it is missing.
func Open(path string) (*Store, error) {
	return &Store{path: path}, os.MkdirAll(path, 0o700)
}

// FileOf is the name of a user's file: the id, or what can stand for it in a name.
func FileOf(id cloud.UserID) string { return cloud.UUIDOf(string(id)).String() + ".json" }

func (f *Store) file(id cloud.UserID) string { return filepath.Join(f.path, FileOf(id)) }

// Has tells whether a user needs a second factor; true also when nobody can
// tell, for then no password alone may do.
func (f *Store) Has(id cloud.UserID) bool {
	_, err := os.Lstat(f.file(id))
	return !errors.Is(err, fs.ErrNotExist)
}

func (f *Store) read(id cloud.UserID) (*factor, error) {
	body, err := os.ReadFile(f.file(id))
	if err != nil {
		return nil, err
	}
	x := new(factor)
	if err := json.Unmarshal(body, x); err != nil || len(x.Secret) < 16 {
		return nil, fmt.Errorf("the second factor in %s cannot be understood: %v", f.file(id), err)
	}
	return x, nil
}

func (f *Store) write(id cloud.UserID, x *factor) error {
	body, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return err
	}
	return file.Replace(f.file(id), append(body, '\n'))
}

// About says since when a user has a factor, and how many codes on paper are
// left; zero for who has none.
func (f *Store) About(id cloud.UserID) (since time.Time, left int, err error) {
	x, err := f.read(id)
	if errors.Is(err, fs.ErrNotExist) {
		return since, 0, nil
	} else if err != nil {
		return since, 0, err
	}
	return x.Since, len(x.Recovery), nil
}

// Check takes a code, of the app or on paper, once: Unauthorized if it is not
// right. After maxRow wrong ones in a row only those on paper are taken.
func (f *Store) Check(id cloud.UserID, text string) error {
	text = strings.ToLower(strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '-' }), ""))
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := f.read(id)
	if errors.Is(err, fs.ErrNotExist) {
		return cloud.Unauthorized
	} else if err != nil {
		return err
	}
	now := time.Now().Unix() / int64(step/time.Second)
	right := false
	if len(text) == digits && x.Wrong < maxRow {
		for at := now - drift; at <= now+drift; at++ {
			if at > x.Last && same(Code(x.Secret, at), text) {
				x.Last, right = at, true
				break
			}
		}
	} else if i := slices.Index(x.Recovery, digest(text)); i >= 0 {
		x.Recovery, right = slices.Delete(x.Recovery, i, i+1), true
	}
	if right {
		x.Wrong = 0
	} else {
		x.Wrong++
	}
	if err := f.write(id, x); err != nil {
		return err
	}
	if !right {
		return cloud.Unauthorized
	}
	return nil
}

// Set gives the user a factor whose app has just shown the code, and returns
// the codes for paper; Unauthorized when the code is not right, Exist when
// there is a factor.
func (f *Store) Set(id cloud.UserID, secret []byte, code string) ([]string, error) {
	now := time.Now()
	x := &factor{Secret: secret, Since: now}
	code = strings.Join(strings.Fields(code), "")
	at := now.Unix() / int64(step/time.Second)
	for n := at - drift; n <= at+drift; n++ {
		if same(Code(secret, n), code) {
			x.Last = n
		}
	}
	if x.Last == 0 || len(secret) != SecretSize {
		return nil, cloud.Unauthorized
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Has(id) {
		return nil, cloud.Exist
	}
	return f.paper(id, x)
}

// Renew replaces the codes on paper.
func (f *Store) Renew(id cloud.UserID) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := f.read(id)
	if err != nil {
		return nil, err
	}
	return f.paper(id, x)
}

func (f *Store) paper(id cloud.UserID, x *factor) (codes []string, err error) {
	x.Recovery = nil
	for range Papers {
		var b [10]byte
		rand.Read(b[:])
		text := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
		x.Recovery = append(x.Recovery, digest(text))
		codes = append(codes, text[:4]+"-"+text[4:8]+"-"+text[8:12]+"-"+text[12:])
	}
	return codes, f.write(id, x)
}

// Remove leaves the user with the password alone; it may be so already.
func (f *Store) Remove(id cloud.UserID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return file.Remove(f.file(id))
}

// Code is the code of a step (RFC 6238, RFC 4226 section 5.3).
func Code(secret []byte, at int64) string {
	h := hmac.New(sha1.New, secret)
	binary.Write(h, binary.BigEndian, at)
	sum := h.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[19]&15:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", digits, n%1e6)
}

// same does not tell by its time where two strings differ.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// digest is what is kept of a code on paper, which has 80 random bits.
func digest(code string) string {
	sum := sha256.Sum256([]byte(code))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
