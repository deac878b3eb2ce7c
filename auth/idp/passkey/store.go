package passkey

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"opencloud/auth/idp/file"
	"opencloud/cloud"
)

// A Store keeps keys in a file for each user who has some. Another process may
// remove a file at any time. Keys sign in
// without a password: who uses one has the device and has shown it a finger,
// a face or a PIN.
type Store struct {
	path string
	Site Site
	off  bool // a site that is only an address can have none

	mu sync.Mutex // held while a file is changed

	key   [32]byte // of challenges
	spent sync.Mutex
	used  map[string]time.Time // challenges, until they expire
}

// holder is the file of a user.
type holder struct {
	User cloud.UserID `json:"user"`
	Keys []Owned      `json:"keys"`
}

// Owned is a key with its dates.
type Owned struct {
	Key
	Name string    `json:"name,omitempty"` // for its owner
	Made time.Time `json:"made"`
	Used time.Time `json:"used,omitzero"`
}

const (
	maxKeys       = 20
	maxName       = 60 // characters
	maxUsed       = 100_000
	challengeLife = 10 * time.Minute
)

// Open makes the folder if it is missing; site is our address.
func Open(path string, site *url.URL) (*Store, error) {
	k := &Store{
		path: path, used: map[string]time.Time{},
		Site: Site{ID: site.Hostname(), Origin: site.Scheme + "://" + site.Host},
	}
	_, err := netip.ParseAddr(k.Site.ID)
	k.off = err == nil || site.Scheme != "https" && k.Site.ID != "localhost"
	rand.Read(k.key[:])
	return k, os.MkdirAll(path, 0o700)
}

// Challenge is for one browser and some minutes. Nothing is kept of it until
// it has been used, for anybody can ask for many.
func (k *Store) Challenge(form string) string {
	if k.off {
		return ""
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Add(challengeLife).Unix()))
	b = append(b, rand.Text()[:16]...)
	return string(append(b, k.mac(b, form)...))
}

func (k *Store) mac(b []byte, form string) []byte {
	h := hmac.New(sha256.New, k.key[:])
	h.Write(b)
	h.Write([]byte(form))
	return h.Sum(nil)[:16]
}

// fresh tells whether a challenge is ours, for the browser, and not expired.
func (k *Store) fresh(challenge, form string) bool {
	b := []byte(challenge)
	if len(b) != 8+16+16 || !hmac.Equal(b[24:], k.mac(b[:24], form)) {
		return false
	}
	return time.Now().Unix() < int64(binary.BigEndian.Uint64(b))
}

// spend tells whether a challenge is used for the first time.
func (k *Store) spend(challenge string) bool {
	now := time.Now()
	k.spent.Lock()
	defer k.spent.Unlock()
	maps.DeleteFunc(k.used, func(_ string, until time.Time) bool { return !now.Before(until) })
	if _, again := k.used[challenge]; again || len(k.used) >= maxUsed {
		return false
	}
	k.used[challenge] = now.Add(challengeLife)
	return true
}

// Handle is how keys name their user.
func Handle(id cloud.UserID) cloud.UUID { return cloud.UUIDOf(string(id)) }

// FileOf is the name of a user's file.
func FileOf(id cloud.UserID) string { return Handle(id).String() + ".json" }

func (k *Store) file(handle cloud.UUID) string {
	return filepath.Join(k.path, handle.String()+".json")
}

// read is nil when there is no file.
func (k *Store) read(handle cloud.UUID) (*holder, error) {
	body, err := os.ReadFile(k.file(handle))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	h := new(holder)
	if err == nil {
		err = json.Unmarshal(body, h)
	}
	if err != nil {
		return nil, fmt.Errorf("the passkeys in %s cannot be understood: %w", k.file(handle), err)
	}
	return h, nil
}

// List is what a user has.
func (k *Store) List(u cloud.UserID) ([]Owned, error) {
	h, err := k.read(Handle(u))
	if h == nil {
		return nil, err
	}
	return h.Keys, nil
}

// change writes what f makes of a user's keys.
func (k *Store) change(u cloud.UserID, f func(*holder) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	h, err := k.read(Handle(u))
	if err != nil {
		return err
	}
	if h == nil {
		h = &holder{User: u}
	}
	if h.User != u {
		return errors.New("two users have the same handle")
	}
	if err := f(h); err != nil {
		return err
	}
	body, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return err
	}
	return file.Replace(k.file(Handle(u)), append(body, '\n'))
}

// Has tells whether a user can sign in with a key; true also when nobody can
// tell, for then no password alone may do.
func (k *Store) Has(u cloud.UserID) bool {
	if k.off {
		return false
	}
	h, err := k.read(Handle(u))
	return err != nil || h != nil && len(h.Keys) > 0
}

// Add gives a user the key that a browser has made, under a name:
// Unauthorized if the proof is not right, or the user has enough.
func (k *Store) Add(u cloud.UserID, name string, p Proof, form string) error {
	if k.off || !k.fresh(p.challenge, form) {
		return cloud.Unauthorized
	}
	key, err := k.Site.Made(p.challenge, p.client, p.auth, p.public)
	if err != nil || !k.spend(p.challenge) {
		return &cloud.Error{Kind: cloud.Unauthorized, Err: err}
	}
	return k.change(u, func(h *holder) error {
		if len(h.Keys) >= maxKeys || slices.ContainsFunc(h.Keys, func(o Owned) bool { return bytes.Equal(o.ID, key.ID) }) {
			return cloud.Unauthorized
		}
		h.Keys = append(h.Keys, Owned{Key: *key, Name: clean(name), Made: time.Now()})
		return nil
	})
}

// Rename gives a key another name, if it is there.
func (k *Store) Rename(u cloud.UserID, id []byte, name string) error {
	return k.change(u, func(h *holder) error {
		for i := range h.Keys {
			if bytes.Equal(h.Keys[i].ID, id) {
				h.Keys[i].Name = clean(name)
			}
		}
		return nil
	})
}

// clean makes a name of what somebody typed.
func clean(name string) string {
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(name); len(r) > maxName {
		name = strings.TrimSpace(string(r[:maxName]))
	}
	return name
}

// Forget takes all keys of a user away; there need not be any.
func (k *Store) Forget(u cloud.UserID) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return file.Remove(k.file(Handle(u)))
}

// Remove takes a key away, if it is there.
func (k *Store) Remove(u cloud.UserID, id []byte) error {
	return k.change(u, func(h *holder) error {
		h.Keys = slices.DeleteFunc(h.Keys, func(o Owned) bool { return bytes.Equal(o.ID, id) })
		return nil
	})
}

// A Proof is what a browser sends of a key that was made or used.
type Proof struct {
	challenge                                   string
	id, handle, client, auth, signature, public []byte
}

// ProofOf reads the fields of a form.
func ProofOf(form url.Values) (p Proof, err error) {
	var challenge []byte
	for name, into := range map[string]*[]byte{
		"challenge": &challenge, "id": &p.id, "handle": &p.handle, "client": &p.client, "auth": &p.auth, "signature": &p.signature, "public": &p.public,
	} {
		b, derr := base64.RawURLEncoding.DecodeString(form.Get(name))
		*into, err = b, errors.Join(err, derr)
	}
	p.challenge = string(challenge)
	return p, err
}

// Verify says whose key was used: Unauthorized if it is nobody's.
func (k *Store) Verify(p Proof, form string) (cloud.UserID, error) {
	if k.off || len(p.handle) != 16 || !k.fresh(p.challenge, form) {
		return "", cloud.Unauthorized
	}
	h, err := k.read(cloud.UUID(p.handle))
	if h == nil {
		return "", errors.Join(cloud.Unauthorized, err)
	}
	err = k.change(h.User, func(h *holder) error {
		i := slices.IndexFunc(h.Keys, func(o Owned) bool { return bytes.Equal(o.ID, p.id) })
		if i < 0 {
			return cloud.Unauthorized
		}
		count, err := k.Site.Used(&h.Keys[i].Key, p.challenge, p.client, p.auth, p.signature)
		if err != nil || !k.spend(p.challenge) {
			return &cloud.Error{Kind: cloud.Unauthorized, Err: err}
		}
		h.Keys[i].Count, h.Keys[i].Used = count, time.Now()
		return nil
	})
	return h.User, err
}
