package oidc

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"opencloud/auth/bearer"
	"opencloud/cloud"
	"opencloud/directory/mem"
)

const issuerURL = "https://sso.example.org/realms/example"

// An authority is an issuer without a network: a RoundTripper that counts
// what it is asked.
type authority struct {
	t testing.TB

	mu       sync.Mutex
	keys     []jose.JSONWebKey
	signs    *jose.JSONWebKey
	says     map[string]any // instead of what discovery says else
	jwks     []byte         // instead of keys
	people   map[string]map[string]any
	asked    map[string]int // by URL
	down     error
	wait     chan struct{} // nil, or answers come when it is closed
	redirect string
	status   int // instead of 200
	media    string
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t, people: map[string]map[string]any{}, asked: map[string]int{}, media: "application/json"}
	a.rotate("k1")
	return a
}

func newKey(t testing.TB, id string) *jose.JSONWebKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &jose.JSONWebKey{Key: key, KeyID: id, Use: "sig", Algorithm: "ES256"}
}

// rotate signs with a new key and forgets the old one.
func (a *authority) rotate(id string) {
	key := newKey(a.t, id)
	a.set(func() { a.signs, a.keys = key, []jose.JSONWebKey{key.Public()} })
}

// set changes something while others ask.
func (a *authority) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *authority) count(path string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[path]
}

func (a *authority) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.asked[r.URL.String()]++
	down, wait := a.down, a.wait
	a.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if down != nil {
		return nil, down
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	w := httptest.NewRecorder()
	a.answer(w, r)
	return w.Result(), nil
}

func (a *authority) answer(w http.ResponseWriter, r *http.Request) {
	send := func(v any) {
		w.Header().Set("Content-Type", a.media)
		if a.status != 0 {
			w.WriteHeader(a.status)
		}
		if b, ok := v.([]byte); ok {
			w.Write(b)
			return
		}
		json.NewEncoder(w).Encode(v)
	}
	switch r.URL.String() {
	case issuerURL + discoveryPath:
		doc := map[string]any{"issuer": issuerURL, "jwks_uri": issuerURL + "/keys", "userinfo_endpoint": issuerURL + "/userinfo", "token_endpoint": issuerURL + "/token"}
		maps.Copy(doc, a.says)
		send(doc)
	case issuerURL + "/keys":
		switch {
		case a.redirect != "":
			http.Redirect(w, r, a.redirect, http.StatusFound)
		case a.jwks != nil:
			send(a.jwks)
		default:
			send(jose.JSONWebKeySet{Keys: a.keys})
		}
	case issuerURL + "/userinfo":
		who, ok := a.people[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		send(who)
	default:
		http.NotFound(w, r)
	}
}

var errUnreachable = errors.New("connection refused")

func (a *authority) fail() { a.set(func() { a.down = errUnreachable }) }
func (a *authority) heal() { a.set(func() { a.down = nil }) }

// ada is what an access token says of her that is good for five minutes; more
// adds to it or, nil, takes away.
func ada(more ...any) claims {
	c := claims{
		"iss": issuerURL, "sub": "s-ada", "aud": "cloud", "exp": time.Now().Add(5 * time.Minute).Unix(), "iat": time.Now().Unix(),
		"sid": "browser", "preferred_username": "ada", "name": "Ada Lovelace", "email": "ada@example.org",
	}
	for i := 0; i+1 < len(more); i += 2 {
		if c[more[i].(string)] = more[i+1]; more[i+1] == nil {
			delete(c, more[i].(string))
		}
	}
	return c
}

// mint signs what a token says; header adds to its header.
func (a *authority) mint(c claims, header ...string) string {
	a.t.Helper()
	a.mu.Lock()
	key := a.signs
	a.mu.Unlock()
	return sign(a.t, jose.ES256, key.Key, key.KeyID, c, header...)
}

func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, kid string, c claims, header ...string) string {
	t.Helper()
	opts := &jose.SignerOptions{}
	if kid != "" {
		opts.WithHeader("kid", kid)
	}
	for i := 0; i+1 < len(header); i += 2 {
		opts.WithHeader(jose.HeaderKey(header[i]), header[i+1])
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func options() Options {
	return Options{
		Issuer: issuerURL, Verify: JWT, SkipInfo: true, InfoTTL: 10 * time.Second, KeyInterval: 60, KeyTimeout: 10, KeyLimit: 60,
		UserClaim: "preferred_username", UserField: "username", Link: LinkUsers,
		NameClaim: "preferred_username", MailClaim: "email", DisplayClaim: "name", GroupsClaim: "groups", GroupsEvery: 5 * time.Minute,
		RoleDriver: RolesHere, RoleClaim: "roles",
		RoleMapping: []string{"opencloudAdmin=admin", "opencloudSpaceAdmin=spaceadmin", "opencloudUser=user", "opencloudGuest=user-light"},
		Clients:     []string{"web", "OpenCloudDesktop"},
	}
}

// A world is an issuer, a directory in which ada is, and what is between them.
type world struct {
	t    testing.TB
	path string
	opts Options
	a    *authority
	dir  *mem.Directory
	ada  *cloud.User
	i    *Issuer
	b    *bearer.Bearer
	log  *bytes.Buffer
}

func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, path: t.TempDir(), opts: options(), a: newAuthority(t), dir: mem.New(), log: &bytes.Buffer{}}
	for _, f := range change {
		f(&w.opts)
	}
	w.ada = w.user(cloud.User{Name: "ada", Display: "Ada", Role: cloud.RoleUser})
	w.open()
	return w
}

// open opens it, again if it was open.
func (w *world) open() {
	w.t.Helper()
	if w.i != nil {
		if err := w.i.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
	i, err := open(w.path, w.dir, w.opts, slog.New(slog.NewTextHandler(w.log, nil)), w.a)
	if err != nil {
		w.t.Fatal(err)
	}
	w.i, w.b = i, bearer.New(w.dir, i)
	w.t.Cleanup(func() { i.Close() })
}

func (w *world) user(u cloud.User) *cloud.User {
	w.t.Helper()
	got, err := w.dir.SetUser(w.t.Context(), &u, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

var quiet = slog.New(slog.DiscardHandler)

func never(string) error { panic("a token is no guess") }

// come is a request with a token.
func (w *world) come(raw string) (*cloud.User, error) {
	c, err := w.b.Verify(w.t.Context(), raw, never)
	return c.User, err
}

// is comes with a token and checks whose account it leads to.
func (w *world) is(raw string, want cloud.UserID) *cloud.User {
	w.t.Helper()
	u, err := w.come(raw)
	if err != nil || want != "" && u.ID != want {
		w.t.Fatalf("got %+v, %v; want %s", u, err, want)
	}
	return u
}

// isNot comes with a token and checks how it is refused: say is part of the sentence.
func (w *world) isNot(raw string, kind cloud.Kind, say string) {
	w.t.Helper()
	u, err := w.come(raw)
	if cloud.KindOf(err) != kind || err == nil || !strings.Contains(cloud.Say(err), say) {
		w.t.Errorf("got %+v, %v (%s); want %v with %q", u, err, cloud.Say(err), kind, say)
	}
}

// farewell is what a logout token says; see ada.
func farewellOf(more ...any) claims {
	c := claims{
		"iss": issuerURL, "aud": "web", "iat": time.Now().Unix(), "exp": time.Now().Add(2 * time.Minute).Unix(), "jti": rand.Text(),
		"sub": "s-ada", "sid": "browser", "events": map[string]any{event: map[string]any{}},
	}
	for i := 0; i+1 < len(more); i += 2 {
		if c[more[i].(string)] = more[i+1]; more[i+1] == nil {
			delete(c, more[i].(string))
		}
	}
	return c
}

// logout posts a logout token.
func (w *world) logout(raw string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, logoutPath, strings.NewReader(url.Values{"logout_token": {raw}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	rec := httptest.NewRecorder()
	w.i.Handler().ServeHTTP(rec, r)
	return rec
}

// public is the key that checks what the authority signs.
func (a *authority) public() crypto.PublicKey { return a.keys[0].Key }
