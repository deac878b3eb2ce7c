package idp

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"opencloud/auth/idp/passkey"
	"opencloud/cloud"
)

// passkeys are kept in a file for each user who has some. They sign in
// without a password: who uses one has the device and has shown it a finger,
// a face or a PIN.
type passkeys struct {
	path string
	site passkey.Site
	off  bool // a site that is only an address can have none

	mu sync.Mutex // held while a file is changed

	key   [32]byte // of challenges
	spent sync.Mutex
	used  map[string]time.Time // challenges, until they expire
}

// holder is the file of a user.
type holder struct {
	User cloud.UserID `json:"user"`
	Keys []ownKey     `json:"keys"`
}

type ownKey struct {
	passkey.Key
	Made time.Time `json:"made"`
	Used time.Time `json:"used,omitzero"`
}

const (
	maxPasskeys   = 20
	challengeLife = 10 * time.Minute
)

func openPasskeys(path string, site *url.URL) (*passkeys, error) {
	k := &passkeys{
		path: path, used: map[string]time.Time{},
		site: passkey.Site{ID: site.Hostname(), Origin: site.Scheme + "://" + site.Host},
	}
	_, err := netip.ParseAddr(k.site.ID)
	k.off = err == nil || site.Scheme != "https" && k.site.ID != "localhost"
	rand.Read(k.key[:])
	return k, os.MkdirAll(path, 0o700)
}

// challenge is for one browser and some minutes. Nothing is kept of it until
// it has been used, for anybody can ask for many.
func (k *passkeys) challenge(form string) string {
	if k.off {
		return ""
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Add(challengeLife).Unix()))
	b = append(b, random(12)...)
	return string(append(b, k.mac(b, form)...))
}

func (k *passkeys) mac(b []byte, form string) []byte {
	h := hmac.New(sha256.New, k.key[:])
	h.Write(b)
	h.Write([]byte(form))
	return h.Sum(nil)[:16]
}

// fresh tells whether a challenge is ours, for the browser, and not expired.
func (k *passkeys) fresh(challenge, form string) bool {
	b := []byte(challenge)
	if len(b) != 8+16+16 || !hmac.Equal(b[24:], k.mac(b[:24], form)) {
		return false
	}
	return time.Now().Unix() < int64(binary.BigEndian.Uint64(b))
}

// spend tells whether a challenge is used for the first time.
func (k *passkeys) spend(challenge string) bool {
	now := time.Now()
	k.spent.Lock()
	defer k.spent.Unlock()
	maps.DeleteFunc(k.used, func(_ string, until time.Time) bool { return !now.Before(until) })
	if _, again := k.used[challenge]; again || len(k.used) >= maxKept {
		return false
	}
	k.used[challenge] = now.Add(challengeLife)
	return true
}

// handle is how keys name their user.
func handle(id cloud.UserID) cloud.UUID { return cloud.UUIDOf(string(id)) }

func (k *passkeys) file(handle cloud.UUID) string {
	return filepath.Join(k.path, handle.String()+".json")
}

// read is nil when there is no file.
func (k *passkeys) read(handle cloud.UUID) (*holder, error) {
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

// list is what a user has.
func (k *passkeys) list(u cloud.UserID) ([]ownKey, error) {
	h, err := k.read(handle(u))
	if h == nil {
		return nil, err
	}
	return h.Keys, nil
}

// change writes what f makes of a user's keys.
func (k *passkeys) change(u cloud.UserID, f func(*holder) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	h, err := k.read(handle(u))
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
	return replace(k.file(handle(u)), append(body, '\n'))
}

func (k *passkeys) add(u cloud.UserID, key *passkey.Key) error {
	return k.change(u, func(h *holder) error {
		if len(h.Keys) >= maxPasskeys || slices.ContainsFunc(h.Keys, func(o ownKey) bool { return bytes.Equal(o.ID, key.ID) }) {
			return cloud.Unauthorized
		}
		h.Keys = append(h.Keys, ownKey{Key: *key, Made: time.Now()})
		return nil
	})
}

func (k *passkeys) remove(u cloud.UserID, id []byte) error {
	return k.change(u, func(h *holder) error {
		h.Keys = slices.DeleteFunc(h.Keys, func(o ownKey) bool { return bytes.Equal(o.ID, id) })
		return nil
	})
}

// A proof is what a browser sends of a key that was made or used.
type proof struct {
	challenge                                   string
	id, handle, client, auth, signature, public []byte
}

func proofOf(form url.Values) (p proof, err error) {
	var challenge []byte
	for name, into := range map[string]*[]byte{
		"challenge": &challenge, "id": &p.id, "handle": &p.handle, "client": &p.client, "auth": &p.auth, "signature": &p.signature, "public": &p.public,
	} {
		b, derr := b64.DecodeString(form.Get(name))
		*into, err = b, errors.Join(err, derr)
	}
	p.challenge = string(challenge)
	return p, err
}

// verify says whose key was used: Unauthorized if it is nobody's.
func (k *passkeys) verify(p proof, form string) (cloud.UserID, error) {
	if k.off || len(p.handle) != 16 || !k.fresh(p.challenge, form) {
		return "", cloud.Unauthorized
	}
	h, err := k.read(cloud.UUID(p.handle))
	if h == nil {
		return "", errors.Join(cloud.Unauthorized, err)
	}
	err = k.change(h.User, func(h *holder) error {
		i := slices.IndexFunc(h.Keys, func(o ownKey) bool { return bytes.Equal(o.ID, p.id) })
		if i < 0 {
			return cloud.Unauthorized
		}
		count, err := k.site.Used(&h.Keys[i].Key, p.challenge, p.client, p.auth, p.signature)
		if err != nil || !k.spend(p.challenge) {
			return &cloud.Error{Kind: cloud.Unauthorized, Err: err}
		}
		h.Keys[i].Count, h.Keys[i].Used = count, time.Now()
		return nil
	})
	return h.User, err
}

// withKey signs in with a passkey.
func (p *Provider) withKey(w http.ResponseWriter, r *http.Request) {
	if !formType(r) || r.ParseForm() != nil {
		p.pages.failed(w, r, http.StatusBadRequest, nil)
		return
	}
	req, err := p.parse(r.PostForm.Get("request"))
	if err != nil {
		p.refuse(w, r, req, err)
		return
	}
	if !p.mine(r) {
		p.pages.signIn(w, r, req, form{Problem: expired})
		return
	}
	proof, err := proofOf(r.PostForm)
	if err != nil {
		p.pages.failed(w, r, http.StatusBadRequest, nil)
		return
	}
	id, err := p.keysOf.verify(proof, r.PostForm.Get("form"))
	var u *cloud.User
	if err == nil {
		u, err = p.user(r.Context(), id)
	}
	var s *session
	if err == nil {
		s, err = p.signIn(w, r, u, false, req.client, "pop", "user", "mfa")
	}
	if err != nil {
		p.report(r, err)
		problem := problemOf(err)
		if problem == wrong {
			problem = wrongKey
			p.log.WarnContext(r.Context(), "nobody was signed in with a passkey", "from", r.RemoteAddr, "error", err)
		}
		p.pages.signIn(w, r, req, form{Problem: problem})
		return
	}
	p.issue(w, r, req, s)
}

// addKey adds a passkey that a browser has made on the page of security.
func (p *Provider) addKey(r *http.Request, u *cloud.User) error {
	proof, err := proofOf(r.PostForm)
	if err != nil || p.keysOf.off || !p.keysOf.fresh(proof.challenge, r.PostForm.Get("form")) {
		return cloud.Unauthorized
	}
	key, err := p.keysOf.site.Made(proof.challenge, proof.client, proof.auth, proof.public)
	if err != nil || !p.keysOf.spend(proof.challenge) {
		return &cloud.Error{Kind: cloud.Unauthorized, Err: err}
	}
	return p.keysOf.add(u.ID, key)
}
