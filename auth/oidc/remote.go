package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"opencloud/cloud"
)

// A remote is the issuer at the other end of the network. Only its own
// addresses are asked, and those that it names itself; redirects are not
// followed. It is asked when somebody needs it, one request at a time for each
// thing, and left alone for a pause after it has failed.
type remote struct {
	issuer                   string
	base                     *url.URL
	client                   *http.Client
	log                      *slog.Logger
	timeout, interval, limit time.Duration
	slots                    chan struct{} // of userinfo

	ctx              context.Context
	close            func()
	states           flights[*state]
	stating, telling breaker // for what the issuer says of itself, and of people

	mu    sync.Mutex
	state *state    // the last good one
	tried time.Time // when it was asked for last
}

// A state is what the issuer says of itself.
type state struct {
	metadata
	raw  []byte // the discovery document
	keys keySet
	at   time.Time
}

// metadata is what we need of the discovery document (Discovery 1.0, section 3).
type metadata struct {
	Issuer       string `json:"issuer"`
	AccessIssuer string `json:"access_token_issuer"` // of AD FS, where it differs
	JWKS         string `json:"jwks_uri"`
	UserInfo     string `json:"userinfo_endpoint"`
}

// Bounds on what the issuer sends, in bytes, and on the number of its keys.
const (
	maxMetadata = 256 << 10
	maxJWKS     = 1 << 20
	maxInfo     = 256 << 10
	maxKeys     = 500
)

const (
	atOnce = 16              // requests to userinfo
	pause  = 3 * time.Second // after it has failed
)

func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func newRemote(opts Options, log *slog.Logger, transport http.RoundTripper) (*remote, error) {
	u, err := url.Parse(opts.Issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, cloud.Refuse(cloud.Invalid, "The issuer %q (OC_OIDC_ISSUER) is not valid: it looks like https://sso.example.org/realms/example.", opts.Issuer)
	}
	if u.Scheme == "http" && !opts.Insecure && !loopback(u.Hostname()) {
		return nil, cloud.Refuse(cloud.Invalid, "The issuer %q (OC_OIDC_ISSUER) must begin with https: whoever can alter what it says can sign in as anybody.", opts.Issuer)
	}
	r := &remote{
		issuer: opts.Issuer, base: u, log: log,
		client:   &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		timeout:  time.Duration(opts.KeyTimeout) * time.Second,
		interval: time.Duration(opts.KeyInterval) * time.Minute,
		limit:    time.Duration(opts.KeyLimit) * time.Second,
		slots:    make(chan struct{}, atOnce),
		stating:  breaker{what: "keys", issuer: opts.Issuer, log: log},
		telling:  breaker{what: "userinfo", issuer: opts.Issuer, log: log},
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.ctx = ctx
	r.close = func() {
		cancel()
		r.states.close()
		r.client.CloseIdleConnections()
	}
	r.states.patience, r.states.life, r.states.ctx = patience, r.timeout, ctx
	return r, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// now is the state, as fresh as it can be without waiting when there is one.
func (r *remote) now(ctx context.Context) (*state, error) {
	r.mu.Lock()
	s := r.state
	r.mu.Unlock()
	if s == nil {
		return r.states.do(ctx, "", r.load)
	}
	if time.Since(s.at) >= r.interval {
		r.renew()
	}
	return s, nil
}

// newer is a state that may have the key of a token that was issued at a
// time; Unauthorized when there can be none.
func (r *remote) newer(ctx context.Context, than *state, issued time.Time) (*state, error) {
	r.mu.Lock()
	s, early := r.state, time.Since(r.tried) < r.limit
	r.mu.Unlock()
	switch {
	case s != than:
		return s, nil
	case early && issued.Before(s.at.Add(-skew)):
		return nil, notValid() // the key would have been there
	case early:
		return nil, unavailable(errors.New("the key of a token is not known, and keys were asked for a moment ago"))
	}
	return r.states.do(ctx, "", r.load)
}

// renew asks for the state without waiting.
func (r *remote) renew() {
	if r.stating.resting() == nil {
		r.states.begin("", r.load)
	}
}

// load asks for the state.
func (r *remote) load(ctx context.Context) (*state, error) {
	if err := r.stating.resting(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.tried = time.Now()
	r.mu.Unlock()
	s, err := r.fetch(ctx)
	if r.ctx.Err() == nil {
		r.stating.mark(err)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = s
	return s, nil
}

func (r *remote) fetch(ctx context.Context) (*state, error) {
	s := &state{at: time.Now()}
	where := strings.TrimSuffix(r.issuer, "/") + "/.well-known/openid-configuration"
	var err error
	if s.raw, _, err = r.get(ctx, where, "", maxMetadata); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if err := json.Unmarshal(s.raw, &s.metadata); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if s.Issuer != r.issuer {
		return nil, fmt.Errorf("discovery: %s says that it is the issuer %q, not %q (OC_OIDC_ISSUER)", where, s.Issuer, r.issuer)
	}
	if err := r.mayAsk(s.UserInfo); s.UserInfo != "" && err != nil {
		return nil, fmt.Errorf("discovery: userinfo_endpoint: %w", err)
	}
	if err := r.mayAsk(s.JWKS); err != nil {
		return nil, fmt.Errorf("discovery: jwks_uri: %w", err)
	}
	body, _, err := r.get(ctx, s.JWKS, "", maxJWKS)
	if err == nil {
		s.keys, err = parseKeys(body)
	}
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return s, nil
}

// mayAsk says whether an address that the issuer names is one to ask: with
// https, or at the issuer's own host.
func (r *remote) mayAsk(where string) error {
	u, err := url.Parse(where)
	switch {
	case err != nil:
		return err
	case u.Host == "" || u.User != nil:
		return fmt.Errorf("%q is no address", where)
	case u.Scheme != "https" && (u.Scheme != r.base.Scheme || u.Host != r.base.Host):
		return fmt.Errorf("%q does not begin with https", where)
	}
	return nil
}

// userinfo asks whose a token is (Core 1.0, section 5.3).
func (r *remote) userinfo(ctx context.Context, token string) (claims, error) {
	s, err := r.now(ctx)
	if err != nil {
		return nil, err
	}
	if s.UserInfo == "" {
		return nil, unavailable(errors.New("the issuer has no userinfo: set PROXY_OIDC_SKIP_USER_INFO"))
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
	if err := r.telling.resting(); err != nil {
		return nil, err
	}
	body, status, err := r.get(ctx, s.UserInfo, token, maxInfo)
	if r.ctx.Err() == nil && (err == nil || status == 0) { // what it answers to one token says nothing of the next
		r.telling.mark(err)
	}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusBadRequest:
		return nil, notValid()
	case err != nil:
		return nil, unavailable(fmt.Errorf("userinfo: %w", err))
	}
	c, err := parseClaims(body)
	if err != nil {
		return nil, unavailable(fmt.Errorf("userinfo: %w", err))
	}
	return c, nil
}

// get is one request. status is 0 when there was no answer.
func (r *remote) get(ctx context.Context, where, token string, most int64) (body []byte, status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, resp.StatusCode, fmt.Errorf("%s answers %s", where, resp.Status)
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err == nil && int64(len(body)) > most {
		err = fmt.Errorf("%s answers with more than %d bytes", where, most)
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && media == "application/jwt" {
		err = fmt.Errorf("%s answers with a signed token; have it answer with JSON", where)
	}
	return body, resp.StatusCode, err
}

// A breaker leaves the issuer alone for a pause after it has failed.
type breaker struct {
	what, issuer string
	log          *slog.Logger

	mu    sync.Mutex
	down  time.Time // until when nobody is asked
	fails bool
}

// resting is not nil while nobody is asked.
func (b *breaker) resting() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Now().Before(b.down) {
		return unavailable(errors.New("the issuer has not answered a moment ago"))
	}
	return nil
}

// mark notes how asking went, and logs when that changes.
func (b *breaker) mark(err error) {
	b.mu.Lock()
	before := b.fails
	if b.fails = err != nil; b.fails {
		b.down = time.Now().Add(pause)
	}
	b.mu.Unlock()
	switch {
	case err != nil && !before:
		b.log.Error("the OpenID Connect issuer cannot be asked; only who is known can go on", "issuer", b.issuer, "for", b.what, "error", err)
	case err == nil && before:
		b.log.Info("the OpenID Connect issuer answers again", "issuer", b.issuer, "for", b.what)
	}
}

// algorithms are those that only the holder of a private key can use.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// A keySet is the public keys of the issuer that are fit for signatures.
type keySet []jose.JSONWebKey

// parseKeys reads a JWKS (RFC 7517, section 5) and leaves out keys that are
// not understood or not fit.
func parseKeys(body []byte) (keySet, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	if len(doc.Keys) > maxKeys {
		return nil, fmt.Errorf("there are %d keys, more than %d", len(doc.Keys), maxKeys)
	}
	var all keySet
	for _, raw := range doc.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) == nil && fit(&k) {
			all = append(all, k)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there is no key for signatures")
	}
	return all, nil
}

func fit(k *jose.JSONWebKey) bool {
	if k.Use != "" && k.Use != "sig" {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= 2048 && key.N.BitLen() <= 8192
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false // a secret, which nobody should know
}

// maxTries bounds how many keys are tried for a token that does not say which.
const maxTries = 8

// find are the keys that may have signed what has such a header.
func (all keySet) find(h jose.Header) (found keySet) {
	for _, k := range all {
		if (h.KeyID == "" || k.KeyID == h.KeyID) && (k.Algorithm == "" || k.Algorithm == h.Algorithm) && suits(k.Key, h.Algorithm) {
			if found = append(found, k); len(found) == maxTries {
				break
			}
		}
	}
	return found
}

func suits(key any, alg string) bool {
	switch key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return strings.HasPrefix(alg, "ES")
	}
	return alg == string(jose.EdDSA)
}
