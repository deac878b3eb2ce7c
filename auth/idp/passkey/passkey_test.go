package passkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

var site = Site{ID: "cloud.example.org", Origin: "https://cloud.example.org:9200"}

const challenge = "a challenge"

// clientData is what a browser says.
func clientData(kind, challenge, origin string, cross bool) []byte {
	b, _ := json.Marshal(map[string]any{"type": kind, "challenge": base64.RawURLEncoding.EncodeToString([]byte(challenge)), "origin": origin, "crossOrigin": cross})
	return b
}

// authData is what an authenticator says; with id there is a new key in it.
func authData(host string, flags byte, count uint32, id []byte) []byte {
	sum := sha256.Sum256([]byte(host))
	b := append(sum[:], flags)
	b = binary.BigEndian.AppendUint32(b, count)
	if id != nil {
		b = append(b, make([]byte, 16)...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(id)))
		b = append(append(b, id...), 0xa0)
	}
	return b
}

func der(t testing.TB, public any) []byte {
	t.Helper()
	b, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func signers(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	ec, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, err2 := ed25519.GenerateKey(rand.Reader)
	rs, err3 := rsa.GenerateKey(rand.Reader, 2048)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	return map[string]crypto.Signer{"ES256": ec, "Ed25519": ed, "RS256": rs}
}

func sign(t testing.TB, s crypto.Signer, auth, client []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(client)
	msg := append(bytes.Clone(auth), sum[:]...)
	opts, digest := crypto.SignerOpts(crypto.SHA256), msg
	if _, ok := s.(ed25519.PrivateKey); ok {
		opts = crypto.Hash(0)
	} else {
		h := sha256.Sum256(msg)
		digest = h[:]
	}
	sig, err := s.Sign(rand.Reader, digest, opts)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func TestMadeAndUsed(t *testing.T) {
	const make, get = "webauthn.create", "webauthn.get"
	for name, s := range signers(t) {
		id := []byte("id of " + name)
		k, err := site.Made(challenge, clientData(make, challenge, site.Origin, false), authData(site.ID, 0x45, 7, id), der(t, s.Public()))
		if err != nil || !bytes.Equal(k.ID, id) || k.Count != 7 {
			t.Fatalf("%s: %+v, %v", name, k, err)
		}
		for _, c := range []struct {
			what   string
			client []byte
			auth   []byte
			want   bool
		}{
			{"right", clientData(get, challenge, site.Origin, false), authData(site.ID, 0x05, 8, nil), true},
			{"backed up", clientData(get, challenge, site.Origin, false), authData(site.ID, 0x1d, 9, nil), true},
			{"another kind", clientData(make, challenge, site.Origin, false), authData(site.ID, 0x05, 8, nil), false},
			{"another challenge", clientData(get, "x", site.Origin, false), authData(site.ID, 0x05, 8, nil), false},
			{"no challenge", clientData(get, "", site.Origin, false), authData(site.ID, 0x05, 8, nil), false},
			{"another origin", clientData(get, challenge, "https://evil.example", false), authData(site.ID, 0x05, 8, nil), false},
			{"another port", clientData(get, challenge, "https://cloud.example.org", false), authData(site.ID, 0x05, 8, nil), false},
			{"a frame", clientData(get, challenge, site.Origin, true), authData(site.ID, 0x05, 8, nil), false},
			{"another site", clientData(get, challenge, site.Origin, false), authData("evil.example", 0x05, 8, nil), false},
			{"nobody there", clientData(get, challenge, site.Origin, false), authData(site.ID, 0x04, 8, nil), false},
			{"not verified", clientData(get, challenge, site.Origin, false), authData(site.ID, 0x01, 8, nil), false},
			{"a copy", clientData(get, challenge, site.Origin, false), authData(site.ID, 0x05, 7, nil), false},
			{"a copy that does not count", clientData(get, challenge, site.Origin, false), authData(site.ID, 0x05, 0, nil), false},
			{"cut short", clientData(get, challenge, site.Origin, false), authData(site.ID, 0x05, 8, nil)[:36], false},
			{"no client data", nil, authData(site.ID, 0x05, 8, nil), false},
			{"too much", clientData(get, challenge, site.Origin, false), append(authData(site.ID, 0x05, 8, nil), bytes.Repeat([]byte{0}, maxData)...), false},
		} {
			count, err := site.Used(k, challenge, c.client, c.auth, sign(t, s, c.auth, c.client))
			if (err == nil) != c.want || c.want && count != binary.BigEndian.Uint32(c.auth[33:]) {
				t.Errorf("%s, %s: %d, %v", name, c.what, count, err)
			}
		}
		client, auth := clientData(get, challenge, site.Origin, false), authData(site.ID, 0x05, 8, nil)
		for other, o := range signers(t) {
			if _, err := site.Used(k, challenge, client, auth, sign(t, o, auth, client)); err == nil {
				t.Errorf("%s: a signature of another key, %s, is right", name, other)
			}
		}
		if _, err := site.Used(k, "", clientData(get, "", site.Origin, false), auth, sign(t, s, auth, clientData(get, "", site.Origin, false))); err == nil {
			t.Errorf("%s: an empty challenge is right", name)
		}
		sig := sign(t, s, auth, client)
		rapid.Check(t, func(rt *rapid.T) {
			bad := bytes.Clone(sig)
			bad[rapid.IntRange(0, len(bad)-1).Draw(rt, "at")] ^= byte(rapid.IntRange(1, 255).Draw(rt, "flip"))
			if _, err := site.Used(k, challenge, client, auth, bad); err == nil {
				rt.Fatal("a changed signature is right")
			}
		})
	}
}

func TestMadeWrongly(t *testing.T) {
	good := signers(t)["ES256"]
	p384, err1 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err1 != nil {
		t.Fatal(err1)
	}
	client := clientData("webauthn.create", challenge, site.Origin, false)
	for _, c := range []struct {
		what         string
		client, auth []byte
		public       []byte
	}{
		{"another kind", clientData("webauthn.get", challenge, site.Origin, false), authData(site.ID, 0x45, 0, []byte("id")), der(t, good.Public())},
		{"no key", client, authData(site.ID, 0x05, 0, nil), der(t, good.Public())},
		{"no id", client, authData(site.ID, 0x45, 0, []byte{}), der(t, good.Public())},
		{"a long id", client, authData(site.ID, 0x45, 0, make([]byte, 1024)), der(t, good.Public())},
		{"id cut short", client, authData(site.ID, 0x45, 0, []byte("identity"))[:58], der(t, good.Public())},
		{"not verified", client, authData(site.ID, 0x41, 0, []byte("id")), der(t, good.Public())},
		{"another curve", client, authData(site.ID, 0x45, 0, []byte("id")), der(t, p384.Public())},
		{"no public key", client, authData(site.ID, 0x45, 0, []byte("id")), nil},
		{"not JSON", []byte("x"), authData(site.ID, 0x45, 0, []byte("id")), der(t, good.Public())},
	} {
		if k, err := site.Made(challenge, c.client, c.auth, c.public); err == nil {
			t.Errorf("%s: %+v", c.what, k)
		}
	}
}

func FuzzMade(f *testing.F) {
	s := signers(f)["ES256"]
	f.Add(clientData("webauthn.create", challenge, site.Origin, false), authData(site.ID, 0x45, 0, []byte("id")), der(f, s.Public()))
	f.Fuzz(func(t *testing.T, client, auth, public []byte) {
		if k, err := site.Made(challenge, client, auth, public); err == nil {
			if len(k.ID) == 0 || len(k.ID) > maxID || len(k.Public) > maxKey {
				t.Errorf("%+v", k)
			}
			site.Used(k, challenge, client, auth, nil)
		}
	})
}
