// Package idp signs people in: an OpenID Connect provider for the clients of
// this server and the few that an administrator adds. It is narrow on
// purpose: the authorization code flow with PKCE for public clients, and no
// other. It does not keep users and it does not know files.
//
// The standards behind it: RFC 6749 (OAuth 2.0), 7636 (PKCE), 7009
// (revocation), 8252 (native apps), 9068 (access tokens), 9207 (iss), 9700
// (best current practice), OpenID Connect Core, Discovery, RP-Initiated,
// Back-Channel Logout and Session Management 1.0.
package idp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"opencloud/auth/idp/keyring"
	"opencloud/auth/idp/page"
	"opencloud/auth/idp/passkey"
	"opencloud/auth/idp/session"
	"opencloud/auth/idp/shelf"
	"opencloud/auth/idp/totp"
	"opencloud/cloud"
)

// Options say who may ask for a sign-in, and how long one lasts.
type Options struct {
	AccessLife  time.Duration `yaml:"access_token_expiration" env:"IDP_ACCESS_TOKEN_EXPIRATION" default:"5m" doc:"How long an access token is valid."`
	IDLife      time.Duration `yaml:"id_token_expiration" env:"IDP_ID_TOKEN_EXPIRATION" default:"5m" doc:"How long an ID token is valid."`
	RefreshLife time.Duration `yaml:"refresh_token_expiration" env:"IDP_REFRESH_TOKEN_EXPIRATION" default:"30d" doc:"How long an app stays signed in without being used."`
	BrowserIdle time.Duration `yaml:"browser_idle" env:"IDP_BROWSER_IDLE" default:"24h" doc:"How long a browser stays signed in without being used."`
	BrowserLife time.Duration `yaml:"browser_life" env:"IDP_BROWSER_LIFE" default:"30d" doc:"How long a browser stays signed in at the most, and without being used if the user chose to stay signed in."`
	KeyLife     time.Duration `yaml:"signing_key_life" env:"IDP_SIGNING_KEY_LIFE" default:"90d" doc:"How long a key signs tokens before the next one takes over."`
	Clients     []string      `yaml:"clients" env:"IDP_CLIENTS" default:"" doc:"More clients that may sign people in, each the id and redirect addresses with blanks between them; logout=… is an address to return to after signing out, backchannel=… one that is told of it."`

	Demand []string `yaml:"mfa_required" env:"IDP_MFA_REQUIRED" default:"none" doc:"Who has to have a second factor: none, all, or a list of roles such as admin,spaceadmin. Whoever has none is led through setting one up."`

	URL     *url.URL `yaml:"-"` // the issuer: our public address without trailing slash, maybe with a base path
	Product string   `yaml:"-"` // what pages call the system
}

// Guess runs check, which tells whether what somebody sent from a remote
// address gets them into an account, unless there were too many wrong tries:
// then it is Throttled.
type Guess func(remote, account string, check func() (*cloud.User, error)) (*cloud.User, error)

// A Provider signs people in.
type Provider struct {
	opts    Options
	issuer  string
	dir     cloud.Directory
	log     *slog.Logger
	lock    *os.File
	keys    *keyring.Ring
	live    *session.Store
	codes   *shelf.Shelf[*code]
	halfway *shelf.Shelf[*halfway]
	factors *totp.Store
	keysOf  *passkey.Store
	quits   quits
	notices notices
	clients map[string]*client
	origins map[string]bool // of the sites of clients
	pages   *page.Pages

	demandAll bool
	demandOf  map[string]bool // ids of roles

	told    *http.Client // for back-channel logout
	telling sync.WaitGroup
	tellers chan struct{}
}

// Open reads the state in the folder, which is made if it is missing: the
// signing keys and who is signed in. One process at a time may have it open.
func Open(path string, dir cloud.Directory, opts Options, log *slog.Logger) (*Provider, error) {
	p := &Provider{
		opts: opts, issuer: opts.URL.String(), dir: dir, log: log,
		codes:   shelf.New[*code](codeLife),
		halfway: shelf.New[*halfway](halfwayLife),
		told:    &http.Client{Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		tellers: make(chan struct{}, 8),
		quits:   quits{at: map[cloud.UserID]time.Time{}},
	}
	for _, d := range []time.Duration{opts.AccessLife, opts.IDLife, opts.RefreshLife, opts.BrowserIdle, opts.BrowserLife, opts.KeyLife} {
		if d < time.Minute {
			return nil, cloud.Refuse(cloud.Invalid, "No time of the sign-in (IDP_…) can be shorter than a minute: %s.", d)
		}
	}
	var err error
	if p.demandAll, p.demandOf, err = parseDemand(opts.Demand); err != nil {
		return nil, err
	}
	err = os.MkdirAll(path, 0o700)
	if err == nil {
		p.lock, err = lock(filepath.Join(path, "lock"))
	}
	if err == nil {
		p.clients, err = newClients(opts.URL, opts.Clients)
		p.origins = originsOf(p.clients)
	}
	if err == nil {
		p.keys, err = keyring.Open(filepath.Join(path, "keys.json"), opts.KeyLife, log, typeAccess, typeID, typeLogout)
	}
	if err == nil {
		p.factors, err = totp.Open(filepath.Join(path, factorsDir))
	}
	if err == nil {
		p.keysOf, err = passkey.Open(filepath.Join(path, passkeysDir), opts.URL)
	}
	if err == nil {
		p.pages, err = page.New(page.Options{
			Product: opts.Product, Base: p.base(), Secure: p.secure(), Keys: p.keysOf,
			Identifier: identifier, Logon: logonPath, Passkey: keyPath, Second: secondPath, Consent: consentPath, Security: securityPath, End: endPath,
		})
	}
	if err == nil {
		p.live, err = session.Open(filepath.Join(path, "sessions.jsonl"), log)
	}
	if err == nil {
		p.notices.dir = filepath.Join(path, noticesDir)
		err = os.MkdirAll(p.notices.dir, 0o700)
	}
	if err != nil {
		p.lock.Close() // nil has a Close that only fails
		return nil, cloud.E("idp.Open", cloud.Ref{}, err)
	}
	p.heed()
	return p, nil
}

// Folders in ours.
const (
	factorsDir  = "factors"
	passkeysDir = "passkeys"
)

func lock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, cloud.Refuse(cloud.Exist, "Another server uses the folder %s already.", filepath.Dir(name))
		}
		return nil, err
	}
	return f, nil
}

// Close waits until clients have been told of the last sign-outs.
func (p *Provider) Close() error {
	p.telling.Wait()
	return errors.Join(p.live.Close(), p.lock.Close())
}

// Issuer is our name in tokens, and the address below which clients find
// /.well-known/openid-configuration.
func (p *Provider) Issuer() string { return p.issuer }

func (p *Provider) base() string { return p.opts.URL.EscapedPath() }
func (p *Provider) secure() bool { return p.opts.URL.Scheme == "https" }

// Paths of the end points, below the base path.
const (
	discoveryPath = "/.well-known/openid-configuration"
	identifier    = "/signin/v1/identifier"
	authorizePath = identifier + "/_/authorize"
	logonPath     = identifier + "/_/logon"
	secondPath    = identifier + "/_/second"
	keyPath       = identifier + "/_/passkey"
	consentPath   = identifier + "/_/consent"
	endPath       = identifier + "/_/endsession"
	tokenPath     = "/konnect/v1/token"
	userinfoPath  = "/konnect/v1/userinfo"
	jwksPath      = "/konnect/v1/jwks.json"
	revokePath    = "/konnect/v1/revoke"
	securityPath  = "/signin/v1/security"
	checkPath     = "/konnect/v1/session/check-session.html"
)

// Handler serves the end points and the pages. It needs no caller and sees
// paths without the base path. r.RemoteAddr must be the client's.
func (p *Provider) Handler(guess Guess) http.Handler {
	d := &door{Provider: p, guess: guess}
	type methods struct{ get, post http.HandlerFunc }
	table := map[string]methods{
		discoveryPath: {get: p.discovery()},
		jwksPath:      {get: p.jwks},
		authorizePath: {get: p.authorize},
		identifier:    {get: p.authorize},
		logonPath:     {post: d.logon},
		secondPath:    {post: d.second},
		keyPath:       {post: p.withKey},
		consentPath:   {post: p.consent},
		securityPath:  {p.security, d.changeSecurity},
		endPath:       {p.endSession, p.endSession},
		checkPath:     {get: p.checkSession},
		tokenPath:     {post: p.token},
		revokePath:    {post: p.revoke},
		userinfoPath:  {p.userinfo, p.userinfo},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "same-origin") // addresses here hold codes
		h.Set("X-Content-Type-Options", "nosniff")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		p.heed()
		if r.URL.Path == tokenPath || r.URL.Path == revokePath || r.URL.Path == userinfoPath {
			if p.share(w, r) {
				return
			}
		}
		m, ok := table[r.URL.Path]
		switch {
		case !ok:
			p.pages.Failed(w, r, http.StatusNotFound, "not_found", "There is nothing here.")
		case m.get != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			m.get(w, r)
		case m.post != nil && r.Method == http.MethodPost:
			m.post(w, r)
		case m.get == nil:
			h.Set("Allow", "POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			h.Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
}

// share lets pages of the clients' own sites call what looks at no cookie. It
// tells whether that was all that was asked for.
func (p *Provider) share(w http.ResponseWriter, r *http.Request) (done bool) {
	h := w.Header()
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); p.origins[origin] {
		h.Set("Access-Control-Allow-Origin", origin)
	}
	if r.Method != http.MethodOptions {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// Bounds on what clients send, in bytes.
const (
	maxBody  = 32 << 10
	maxQuery = 8 << 10
	maxToken = 8 << 10
)

func (p *Provider) discovery() http.HandlerFunc {
	body, err := json.Marshal(map[string]any{
		"issuer":                                         p.issuer,
		"authorization_endpoint":                         p.issuer + authorizePath,
		"token_endpoint":                                 p.issuer + tokenPath,
		"userinfo_endpoint":                              p.issuer + userinfoPath,
		"jwks_uri":                                       p.issuer + jwksPath,
		"end_session_endpoint":                           p.issuer + endPath,
		"revocation_endpoint":                            p.issuer + revokePath,
		"check_session_iframe":                           p.issuer + checkPath,
		"scopes_supported":                               scopes,
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{string(keyring.Algorithm)},
		"code_challenge_methods_supported":               []string{"S256"},
		"prompt_values_supported":                        []string{"none", "login", "consent", "select_account"},
		"claims_supported":                               []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "amr", "acr", "name", "preferred_username", "email"},
		"acr_values_supported":                           []string{onceClass, twiceClass},
		"ui_locales_supported":                           page.Languages(),
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
		// Clients have no secret. Desktop clients send an empty one, and
		// stop when it is not said that they may.
		"token_endpoint_auth_methods_supported":      []string{"client_secret_basic", "none"},
		"revocation_endpoint_auth_methods_supported": []string{"client_secret_basic", "none"},
	})
	if err != nil {
		panic(err) // strings and booleans can be marshalled
	}
	return func(w http.ResponseWriter, _ *http.Request) { public(w, body) }
}

func (p *Provider) jwks(w http.ResponseWriter, r *http.Request) {
	body, err := p.keys.JWKS()
	if err != nil {
		p.failJSON(w, r, err)
		return
	}
	public(w, body)
}

// public is for what is no secret: pages of any site may read it.
func public(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Content-Type", "application/json")
	w.Write(body)
}

// user is a user who may sign in: Unauthorized if there is none any more.
func (p *Provider) user(ctx context.Context, id cloud.UserID) (*cloud.User, error) {
	u, err := p.dir.User(ctx, "id", string(id))
	switch {
	case cloud.KindOf(err) == cloud.NotExist || err == nil && u.Disabled:
		return nil, cloud.Unauthorized
	case err != nil:
		return nil, err
	}
	return u, nil
}

// report logs what is our fault.
func (p *Provider) report(r *http.Request, err error) {
	if k := cloud.KindOf(err); (k == cloud.Other || k == cloud.Unavailable || k == cloud.Full) && r.Context().Err() == nil {
		p.log.ErrorContext(r.Context(), "sign-in failed", "path", r.URL.Path, "error", err)
	}
}

// formType tells whether the body is a form.
func formType(r *http.Request) bool {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded")
}
