package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"pgregory.net/rapid"

	"opencloud/cloud"
)

func TestTokens(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Audience = []string{"other", "cloud"} })
	a := w.a
	body := func(c claims) string {
		b, _ := json.Marshal(c)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	unsigned := func(header string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + body(ada()) + "."
	}
	der, err := x509.MarshalPKIXPublicKey(a.public())
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	asJWK, _ := json.Marshal(a.keys[0])
	point, err := a.public().(*ecdsa.PublicKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	embedded := func() string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: stranger}, &jose.SignerOptions{EmbedJWK: true})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(ada())
		jws, _ := s.Sign(b)
		raw, _ := jws.CompactSerialize()
		return raw
	}
	good := a.mint(ada())
	part := strings.Split(good, ".")
	later, past := time.Now().Add(2*time.Minute).Unix(), time.Now().Add(-time.Second).Unix()
	for _, c := range []struct {
		what, raw string
		ok        bool
	}{
		{"good", good, true},
		{"of type at+jwt", a.mint(ada(), "typ", "at+jwt"), true},
		{"of type JWT", a.mint(ada(), "typ", "JWT"), true},
		{"of the long type", a.mint(ada(), "typ", "application/AT+JWT"), true},
		{"for several", a.mint(ada("aud", []string{"x", "cloud"})), true},
		{"without a key id", sign(t, jose.ES256, a.signs.Key, "", ada()), true},
		{"a little ahead", a.mint(ada("nbf", time.Now().Add(30*time.Second).Unix(), "iat", time.Now().Add(30*time.Second).Unix())), true},

		{"nothing", "", false},
		{"no token", "x", false},
		{"three dots", "...", false},
		{"huge", good + strings.Repeat("A", 20_000), false},
		{"huge and good", a.mint(ada("x", strings.Repeat("A", 20_000))), false},
		{"alg none", unsigned(`{"alg":"none"}`), false},
		{"alg None", unsigned(`{"alg":"None","kid":"k1"}`), false},
		{"no alg", unsigned(`{"kid":"k1"}`), false},
		{"HS256 with the public key as PEM", sign(t, jose.HS256, asPEM, "k1", ada()), false},
		{"HS256 with the public key as DER", sign(t, jose.HS256, der, "k1", ada()), false},
		{"HS256 with the public key as JWK", sign(t, jose.HS256, asJWK, "k1", ada()), false},
		{"HS256 with the public key as point", sign(t, jose.HS256, point, "k1", ada()), false},
		{"of a stranger with our key id", sign(t, jose.ES256, stranger, "k1", ada()), false},
		{"of a stranger with its own key id", sign(t, jose.ES256, stranger, "k2", ada()), false},
		{"of a stranger without a key id", sign(t, jose.ES256, stranger, "", ada()), false},
		{"of a stranger who brings the key", embedded(), false},
		{"no signature", part[0] + "." + part[1] + ".", false},
		{"another payload", part[0] + "." + body(ada("sub", "s-bob")) + "." + part[2], false},
		{"of another issuer", a.mint(ada("iss", "https://sso.example.org")), false},
		{"of the issuer with a slash", a.mint(ada("iss", issuerURL+"/")), false},
		{"of no issuer", a.mint(ada("iss", nil)), false},
		{"of a number as issuer", a.mint(ada("iss", 1)), false},
		{"for another", a.mint(ada("aud", "mail")), false},
		{"for nobody", a.mint(ada("aud", nil)), false},
		{"for a number", a.mint(ada("aud", 7)), false},
		{"expired", a.mint(ada("exp", past)), false},
		{"without an end", a.mint(ada("exp", nil)), false},
		{"with a text as end", a.mint(ada("exp", "2099-01-01")), false},
		{"with an end beyond time", a.mint(ada("exp", 1e30)), false},
		{"not yet valid", a.mint(ada("nbf", later)), false},
		{"issued in the future", a.mint(ada("iat", later)), false},
		{"issued who knows when", a.mint(ada("iat", nil)), false},
		{"of nobody", a.mint(ada("sub", nil)), false},
		{"of a number", a.mint(ada("sub", 7)), false},
		{"of somebody too long", a.mint(ada("sub", strings.Repeat("x", 256))), false},
		{"a logout token", a.mint(ada(), "typ", "logout+jwt"), false},
		{"a DPoP proof", a.mint(ada(), "typ", "dpop+jwt"), false},
		{"an ID token", a.mint(ada("at_hash", "x")), false},
		{"an ID token of Keycloak", a.mint(ada("typ", "ID")), false},
		{"a refresh token of Keycloak", a.mint(ada("typ", "Refresh")), false},
		{"bound to a key", a.mint(ada("cnf", map[string]any{"jkt": "x"})), false},
		{"with events", a.mint(ada("events", map[string]any{})), false},
	} {
		u, err := w.come(c.raw)
		if c.ok && (err != nil || u.ID != w.ada.ID) {
			t.Errorf("%s: got %v", c.what, err)
		}
		// A key that is not known could be one that is new: then nobody can say.
		if k := cloud.KindOf(err); !c.ok && (err == nil || k != cloud.Unauthorized && k != cloud.Unavailable) {
			t.Errorf("%s: got %+v, %v", c.what, u, err)
		}
	}
	if n := a.count(issuerURL + "/keys"); n != 1 {
		t.Errorf("keys were asked for %d times, want once", n)
	}
}

// No altered byte of a token is accepted.
func TestAlteredTokens(t *testing.T) {
	w := newWorld(t)
	good := w.a.mint(ada())
	w.is(good, w.ada.ID)
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(good)
		at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
		raw[at] = rapid.Byte().Draw(t, "byte")
		if string(raw) == good {
			t.Skip()
		}
		if u, err := w.come(string(raw)); err == nil {
			// The last character of a part may have bits that say nothing.
			a, _ := base64.RawURLEncoding.DecodeString(strings.Split(good, ".")[2])
			b, _ := base64.RawURLEncoding.DecodeString(strings.Split(string(raw), ".")[2])
			if string(a) != string(b) || strings.Join(strings.Split(good, ".")[:2], ".") != strings.Join(strings.Split(string(raw), ".")[:2], ".") {
				t.Fatalf("byte %d: got %+v", at, u)
			}
		}
	})
}

func TestKeys(t *testing.T) {
	public := func(k *jose.JSONWebKey, change ...func(*jose.JSONWebKey)) json.RawMessage {
		p := k.Public()
		for _, f := range change {
			f(&p)
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	set := func(keys ...json.RawMessage) []byte {
		b, _ := json.Marshal(map[string]any{"keys": keys})
		return b
	}
	k1, k2 := newKey(t, "k1"), newKey(t, "k1") // the same id
	secret := json.RawMessage(`{"kty":"oct","k":"c2VjcmV0","kid":"o","alg":"HS256"}`)
	small := json.RawMessage(`{"kty":"RSA","n":"q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k","e":"AQAB","kid":"s"}`)
	for _, c := range []struct {
		what string
		body []byte
		ok   bool
	}{
		{"one", set(public(k1)), true},
		{"two of one id", set(public(k2), public(k1)), true},
		{"without use and alg", set(public(k1, func(k *jose.JSONWebKey) { k.Use, k.Algorithm = "", "" })), true},
		{"beside strange ones", set(json.RawMessage(`{"kty":"XYZ"}`), json.RawMessage(`7`), secret, small, public(k1)), true},
		{"for encryption", set(public(k1, func(k *jose.JSONWebKey) { k.Use = "enc" })), false},
		{"for another algorithm", set(public(k1, func(k *jose.JSONWebKey) { k.Algorithm = "ES384" })), false},
		{"a secret", set(secret), false},
		{"too small", set(small), false},
		{"none", set(), false},
		{"no JSON", []byte("<html>"), false},
		{"thousands", set(slices.Repeat([]json.RawMessage{public(k1)}, 5000)...), false},
		{"too large", set(json.RawMessage(`"`+strings.Repeat("x", 2<<20)+`"`), public(k1)), false},
	} {
		w := newWorld(t)
		w.a.set(func() { w.a.signs, w.a.jwks = k1, c.body })
		start := time.Now()
		_, err := w.come(w.a.mint(ada()))
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.what, err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s took %s", c.what, took)
		}
	}
}

// What the issuer names is asked, and nothing else; what names another issuer
// is not believed.
func TestDiscovery(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*authority)
		asked  string // which must not be
	}{
		{"another issuer", func(a *authority) { a.says = map[string]any{"issuer": "https://evil.example.org"} }, issuerURL + "/keys"},
		{"another issuer, by a slash", func(a *authority) { a.says = map[string]any{"issuer": issuerURL + "/"} }, issuerURL + "/keys"},
		{"no issuer", func(a *authority) { a.says = map[string]any{"issuer": nil} }, issuerURL + "/keys"},
		{"keys without https", func(a *authority) { a.says = map[string]any{"jwks_uri": "http://sso.example.org/keys"} }, "http://sso.example.org/keys"},
		{"keys in a file", func(a *authority) { a.says = map[string]any{"jwks_uri": "file:///etc/passwd"} }, "file:///etc/passwd"},
		{"keys without a host", func(a *authority) { a.says = map[string]any{"jwks_uri": "/keys"} }, "/keys"},
		{"keys with a password", func(a *authority) { a.says = map[string]any{"jwks_uri": "https://a:b@sso.example.org/keys"} }, "https://a:b@sso.example.org/keys"},
		{"userinfo without https", func(a *authority) { a.says = map[string]any{"userinfo_endpoint": "http://169.254.169.254/"} }, "http://169.254.169.254/"},
		{"keys that are elsewhere", func(a *authority) { a.redirect = "https://evil.example.org/keys" }, "https://evil.example.org/keys"},
		{"keys that are elsewhere on the same host", func(a *authority) { a.redirect = "https://sso.example.org/other" }, "https://sso.example.org/other"},
		{"no JSON", func(a *authority) { a.says = map[string]any{"jwks_uri": 7} }, issuerURL + "/keys"},
		{"an error", func(a *authority) { a.status = 500 }, issuerURL + "/keys"},
	} {
		w := newWorld(t)
		w.a.set(func() { c.change(w.a) })
		w.isNot(w.a.mint(ada()), cloud.Unavailable, "Try again in a moment")
		if w.a.count(c.asked) != 0 {
			t.Errorf("%s: %s was asked", c.what, c.asked)
		}
		if got := strings.Count(w.log.String(), "level=ERROR"); got != 1 {
			t.Errorf("%s: %d lines in the log, want 1:\n%s", c.what, got, w.log)
		}
	}
	// Keys may be on another host when discovery says so.
	w := newWorld(t)
	w.a.set(func() { w.a.says = map[string]any{"jwks_uri": "https://keys.example.org/"} })
	w.isNot(w.a.mint(ada()), cloud.Unavailable, "")
	if w.a.count("https://keys.example.org/") != 1 {
		t.Errorf("asked were %v", w.a.asked)
	}
	// Of AD FS: access tokens have an issuer of their own, which discovery names.
	w = newWorld(t)
	w.a.set(func() { w.a.says = map[string]any{"access_token_issuer": "http://adfs.example.org/trust"} })
	w.is(w.a.mint(ada("iss", "http://adfs.example.org/trust")), w.ada.ID)
}

func TestOptions(t *testing.T) {
	for what, change := range map[string]func(*Options){
		"no issuer":         func(o *Options) { o.Issuer = "" },
		"no address":        func(o *Options) { o.Issuer = "sso.example.org" },
		"http":              func(o *Options) { o.Issuer = "http://sso.example.org" },
		"a query":           func(o *Options) { o.Issuer = "https://sso.example.org?x" },
		"verification":      func(o *Options) { o.Verify = "introspect" },
		"nobody says who":   func(o *Options) { o.Verify = Opaque },
		"field":             func(o *Options) { o.UserField = "phone" },
		"no claim":          func(o *Options) { o.UserClaim = "" },
		"link":              func(o *Options) { o.Link = "maybe" },
		"driver":            func(o *Options) { o.RoleDriver = "ldap" },
		"role":              func(o *Options) { o.RoleMapping = []string{"a=emperor"} },
		"mapping":           func(o *Options) { o.RoleMapping = []string{"admin"} },
		"limit":             func(o *Options) { o.KeyLimit = 0 },
		"negative lifetime": func(o *Options) { o.InfoTTL = -1 },
	} {
		opts := options()
		change(&opts)
		if _, err := Open(t.TempDir(), nil, opts, nil); cloud.KindOf(err) != cloud.Invalid || cloud.Say(err) == "" {
			t.Errorf("%s: got %v", what, err)
		}
	}
	m, err := parseMapping([]string{"cn=admins=admin"})
	if err != nil || m[0] != (mapping{"cn=admins", cloud.RoleAdmin}) {
		t.Errorf("got %+v, %v", m, err)
	}
}

// A request with a token that was seen a moment ago.
func BenchmarkWarm(b *testing.B) {
	w := newWorld(b)
	raw := w.a.mint(ada("padding", fmt.Sprintf("%0700d", 7)))
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.b.Verify(ctx, raw, never); err != nil {
			b.Fatal(err)
		}
	}
}

// A token that was not seen before, of a user who was.
func BenchmarkFirst(b *testing.B) {
	w := newWorld(b)
	raw := w.a.mint(ada())
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.i.Token(ctx, raw); err != nil {
			b.Fatal(err)
		}
	}
}
