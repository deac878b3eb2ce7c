// Package passkey checks what browsers send of passkeys (Web Authentication,
// Level 3): that a key was made for us, and that its owner has used it. It
// asks for no attestation, and so has no need for CBOR. Its Store keeps the
// keys; it does not know sessions.
package passkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// A Site is whom keys are for.
type Site struct {
	ID     string // the host, without port
	Origin string // "https://cloud.example.org:9200"
}

// Algorithms that a key may have, best first (COSE).
var Algorithms = []int{-8, -7, -257} // Ed25519, ES256, RS256

// A Key is what is kept of a passkey.
type Key struct {
	ID     []byte `json:"id"`
	Public []byte `json:"public"` // SubjectPublicKeyInfo, DER
	Count  uint32 `json:"count"`  // of signatures, 0 where the key does not count
}

// Bounds, in bytes.
const (
	maxID   = 1023
	maxKey  = 2048
	maxData = 8 << 10
)

// flags of authenticator data, section 6.1.
const (
	present  = 1 << 0
	verified = 1 << 2
	attested = 1 << 6
)

// data is authenticator data taken apart.
type data struct {
	flags byte
	count uint32
	id    []byte
}

func (s Site) data(raw []byte) (d data, err error) {
	if len(raw) < 37 || len(raw) > maxData {
		return d, errors.New("authenticator data of a wrong size")
	}
	if host := sha256.Sum256([]byte(s.ID)); subtle.ConstantTimeCompare(host[:], raw[:32]) != 1 {
		return d, errors.New("a key for another site")
	}
	d.flags, d.count = raw[32], binary.BigEndian.Uint32(raw[33:])
	if d.flags&present == 0 || d.flags&verified == 0 {
		return d, errors.New("nobody was there")
	}
	if d.flags&attested == 0 {
		return d, nil
	}
	rest := raw[37:]
	if len(rest) < 18 {
		return d, errors.New("authenticator data cut short")
	}
	n := int(binary.BigEndian.Uint16(rest[16:]))
	if n == 0 || n > maxID || len(rest) < 18+n {
		return d, errors.New("a key's id of a wrong size")
	}
	d.id = rest[18 : 18+n]
	return d, nil
}

// client checks what the browser has signed for (section 5.8.1).
func (s Site) client(raw []byte, kind, challenge string) error {
	var c struct {
		Type, Challenge, Origin string
		CrossOrigin             bool
	}
	if len(raw) > maxData {
		return errors.New("client data of a wrong size")
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("client data: %w", err)
	}
	want := base64.RawURLEncoding.EncodeToString([]byte(challenge))
	switch {
	case c.Type != kind:
		return fmt.Errorf("client data of type %q", c.Type)
	case challenge == "" || subtle.ConstantTimeCompare([]byte(c.Challenge), []byte(want)) != 1:
		return errors.New("another challenge")
	case c.Origin != s.Origin || c.CrossOrigin:
		return fmt.Errorf("from the page of %q", c.Origin)
	}
	return nil
}

// Made checks a new key (section 7.1): its client data, authenticator data
// and public key, as AuthenticatorAttestationResponse has them.
func (s Site) Made(challenge string, clientData, authData, public []byte) (*Key, error) {
	if err := s.client(clientData, "webauthn.create", challenge); err != nil {
		return nil, err
	}
	d, err := s.data(authData)
	if err != nil {
		return nil, err
	}
	if d.id == nil {
		return nil, errors.New("no key in the authenticator data")
	}
	if _, err := parse(public); err != nil {
		return nil, err
	}
	return &Key{ID: bytes.Clone(d.id), Public: bytes.Clone(public), Count: d.count}, nil
}

// Used checks that the owner of a key has signed the challenge (section 7.2),
// and returns the new count.
func (s Site) Used(k *Key, challenge string, clientData, authData, signature []byte) (count uint32, err error) {
	if err := s.client(clientData, "webauthn.get", challenge); err != nil {
		return 0, err
	}
	d, err := s.data(authData)
	if err != nil {
		return 0, err
	}
	public, err := parse(k.Public)
	if err != nil {
		return 0, err
	}
	hash := sha256.Sum256(clientData)
	signed := append(bytes.Clone(authData), hash[:]...)
	if !right(public, signed, signature) {
		return 0, errors.New("a wrong signature")
	}
	if (d.count != 0 || k.Count != 0) && d.count <= k.Count {
		return 0, errors.New("the key counts backwards: there may be a copy of it")
	}
	return d.count, nil
}

func parse(public []byte) (crypto.PublicKey, error) {
	if len(public) > maxKey {
		return nil, errors.New("a key of a wrong size")
	}
	k, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	switch k := k.(type) {
	case ed25519.PublicKey:
		return k, nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return k, nil
		}
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= 2048 && n <= 8192 {
			return k, nil
		}
	}
	return nil, errors.New("a key of a kind that was not asked for")
}

func right(public crypto.PublicKey, signed, signature []byte) bool {
	sum := sha256.Sum256(signed)
	switch k := public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, signed, signature)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, sum[:], signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], signature) == nil
	}
	return false
}
