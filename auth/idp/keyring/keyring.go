// Package keyring keeps the keys that sign tokens, and replaces them in time.
// It does not know what a token says.
package keyring

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"opencloud/auth/idp/file"
)

// Algorithm is what all keys are for.
const Algorithm = jose.PS256

const (
	keyBits = 2048
	// A new key is published for some time before it signs, so that who keeps
	// a copy of our keys has it by then, and an old one for as long after, so
	// that an ID token still says who wants to sign out.
	keyAhead = 24 * time.Hour
	keyAfter = 30 * 24 * time.Hour
)

// A key signs tokens.
type key struct {
	Made time.Time       `json:"made"`
	JWK  jose.JSONWebKey `json:"key"`

	signers map[string]jose.Signer // by the type of token
}

// A Ring is the signing keys, in a file.
type Ring struct {
	path  string
	life  time.Duration
	types []string

	mu     sync.RWMutex
	keys   []*key // oldest first
	public []byte // as JWKS
}

// Open reads the file, if there is one. A key lives for a while and signs
// tokens of the types.
func Open(path string, life time.Duration, log *slog.Logger, types ...string) (*Ring, error) {
	k := &Ring{path: path, life: life, types: types}
	body, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if err := k.parse(body); err != nil {
			// Whoever is signed in notices nothing but a renewed token.
			log.Error("the signing keys cannot be understood; they are set aside and new ones made", "file", path, "error", err)
			if err := os.Rename(path, path+".damaged"); err != nil {
				return nil, err
			}
			k.keys = nil
		}
	}
	if len(k.keys) == 0 {
		return k, nil // made when needed first: it takes a moment
	}
	return k, k.rotate(time.Now())
}

func (k *Ring) parse(body []byte) error {
	if err := json.Unmarshal(body, &k.keys); err != nil {
		return err
	}
	for _, key := range k.keys {
		private, ok := key.JWK.Key.(*rsa.PrivateKey)
		if !ok || !key.JWK.Valid() || key.JWK.KeyID == "" {
			return errors.New("one is not a private RSA key with an id")
		}
		if n := private.N.BitLen(); n < keyBits {
			return fmt.Errorf("one is of %d bits", n)
		}
		if err := key.prepare(k.types); err != nil {
			return err
		}
	}
	return nil
}

func (key *key) prepare(types []string) error {
	key.signers = map[string]jose.Signer{}
	for _, typ := range types {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: Algorithm, Key: key.JWK}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
		if err != nil {
			return err
		}
		key.signers[typ] = s
	}
	return nil
}

// due tells whether rotate has something to do.
func (k *Ring) due(now time.Time) bool {
	return len(k.keys) == 0 || now.Sub(k.keys[len(k.keys)-1].Made) >= k.life
}

// current is the place of the key that signs: the newest that has been
// published for long enough.
func (k *Ring) current(now time.Time) int {
	for i := len(k.keys) - 1; i > 0; i-- {
		if now.Sub(k.keys[i].Made) >= keyAhead {
			return i
		}
	}
	return 0
}

// rotate makes a new key when it is time, and drops those of which no token
// is about any more.
func (k *Ring) rotate(now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys := k.keys
	if k.due(now) {
		private, err := rsa.GenerateKey(rand.Reader, keyBits)
		if err != nil {
			return err
		}
		made := &key{Made: now, JWK: jose.JSONWebKey{Key: private, KeyID: rand.Text(), Algorithm: string(Algorithm), Use: "sig"}}
		if err := made.prepare(k.types); err != nil {
			return err
		}
		keys = append(keys[:len(keys):len(keys)], made)
	}
	for len(keys) > 1 && now.Sub(keys[1].Made) >= keyAhead+keyAfter {
		keys = keys[1:]
	}
	if len(keys) != len(k.keys) || k.due(now) {
		body, err := json.MarshalIndent(keys, "", "  ")
		if err == nil {
			err = file.Replace(k.path, body)
		}
		if err != nil {
			return err
		}
	}
	var set jose.JSONWebKeySet
	for _, key := range keys {
		set.Keys = append(set.Keys, key.JWK.Public())
	}
	public, err := json.Marshal(set)
	if err != nil {
		return err
	}
	k.keys, k.public = keys, public
	return nil
}

// fresh rotates when it is time.
func (k *Ring) fresh() error {
	now := time.Now()
	k.mu.RLock()
	due := k.due(now)
	k.mu.RUnlock()
	if due {
		return k.rotate(now)
	}
	return nil
}

// JWKS is the public keys (RFC 7517).
func (k *Ring) JWKS() ([]byte, error) {
	if err := k.fresh(); err != nil {
		return nil, err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.public, nil
}

// Signer is for tokens of a type.
func (k *Ring) Signer(typ string) (jose.Signer, error) {
	if err := k.fresh(); err != nil {
		return nil, err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys[k.current(time.Now())].signers[typ], nil
}

// Find is the public key of an id, nil if there is none.
func (k *Ring) Find(id string) any {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, key := range k.keys {
		if key.JWK.KeyID == id {
			return key.JWK.Public().Key
		}
	}
	return nil
}
