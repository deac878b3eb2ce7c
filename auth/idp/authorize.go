package idp

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"opencloud/auth/idp/page"
	"opencloud/auth/idp/session"
	"opencloud/cloud"
)

var scopes = []string{"openid", "profile", "email", offline}

// offline asks for a refresh token.
const offline = "offline_access"

// A request is a wish to sign in, checked.
type request struct {
	client    *client
	redirect  string // verified, or empty
	state     string
	scope     string // what is granted of it
	nonce     string
	challenge string
	prompt    string
	maxAge    time.Duration // -1: any
	loginHint string
	hinted    cloud.UserID // whom an ID token names that the client has
	query     string       // all of it, as it was sent
}

func (r *request) ask() page.Ask {
	return page.Ask{Query: r.query, Redirect: r.redirect, Client: r.client.name}
}

// A refusal is an error of OAuth (RFC 6749, section 4.1.2.1).
type refusal struct{ code, say string }

func (e *refusal) Error() string { return e.code + ": " + e.say }

// single refuses parameters that come twice (RFC 6749, section 3.1).
func single(q url.Values) error {
	for _, values := range q {
		if len(values) > 1 {
			return &refusal{"invalid_request", "A parameter comes more than once."}
		}
	}
	return nil
}

// parse checks a request. On an error its redirect is where to say so; when
// that is empty only the user can be told.
func (p *Provider) parse(query string) (*request, error) {
	r := &request{query: query, maxAge: -1}
	if len(query) > maxQuery {
		return r, &refusal{"invalid_request", "The request is too long."}
	}
	q, err := url.ParseQuery(query)
	if err != nil || strings.ContainsFunc(query, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return r, &refusal{"invalid_request", "The request is not properly encoded."}
	}
	twice := single(q)
	if len(q["client_id"]) == 1 {
		r.client = p.clients[q.Get("client_id")]
	}
	if r.client == nil {
		return r, &refusal{"invalid_client", "The program that wants you to sign in is not known here."}
	}
	redirect := q.Get("redirect_uri")
	if len(q["redirect_uri"]) != 1 || !r.client.redirectsTo(redirect) {
		return r, &refusal{"invalid_request", "The program that wants you to sign in would send you to an address that is not known here."}
	}
	r.redirect = redirect
	if len(q["state"]) == 1 {
		r.state = q.Get("state")
	}
	if twice != nil {
		return r, twice
	}
	r.nonce, r.challenge, r.prompt, r.loginHint = q.Get("nonce"), q.Get("code_challenge"), q.Get("prompt"), q.Get("login_hint")
	switch mode := q.Get("response_mode"); {
	case q.Has("request"):
		return r, &refusal{"request_not_supported", "Request objects are not supported."}
	case q.Has("request_uri"):
		return r, &refusal{"request_uri_not_supported", "Request objects are not supported."}
	case q.Get("response_type") != "code":
		return r, &refusal{"unsupported_response_type", "The only response type is code."}
	case mode != "" && mode != "query":
		return r, &refusal{"invalid_request", "The only response mode is query."}
	case q.Get("code_challenge_method") != "S256" || !isChallenge(r.challenge):
		return r, &refusal{"invalid_request", "A code challenge with method S256 is needed (RFC 7636)."}
	case !hasWord(q.Get("scope"), "openid"):
		return r, &refusal{"invalid_scope", "The scope openid is needed."}
	case len(r.nonce) > 512:
		return r, &refusal{"invalid_request", "The nonce is too long."}
	case hasWord(r.prompt, "none") && len(strings.Fields(r.prompt)) > 1:
		return r, &refusal{"invalid_request", "The prompt none stands alone."}
	}
	r.scope = granted(q.Get("scope"))
	if text := q.Get("max_age"); text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return r, &refusal{"invalid_request", "The parameter max_age is a number of seconds."}
		}
		r.maxAge = time.Duration(n) * time.Second
	}
	if hint := q.Get("id_token_hint"); hint != "" {
		c, err := p.read(typeID, hint)
		if err != nil || c.Audience != r.client.id {
			return r, &refusal{"invalid_request", "The id_token_hint is not a token of ours for this client."}
		}
		r.hinted = c.Subject
	}
	return r, nil
}

// granted is what we know of a scope, in our order.
func granted(scope string) string {
	var have []string
	for _, s := range scopes {
		if hasWord(scope, s) {
			have = append(have, s)
		}
	}
	return strings.Join(have, " ")
}

func hasWord(list, word string) bool { return slices.Contains(strings.Fields(list), word) }

// isChallenge: the base64url form of a SHA-256.
func isChallenge(s string) bool {
	return len(s) == 43 && isVerifier(s) && !strings.ContainsAny(s, ".~")
}

// isVerifier: RFC 7636, section 4.1.
func isVerifier(s string) bool {
	return len(s) >= 43 && len(s) <= 128 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == ""
}

// What a request needs of the user.
type need uint8

const (
	nothing need = iota
	password
	consent // to go on as who is signed in
)

// needs is what a request needs of who is signed in, which may be nobody.
func (p *Provider) needs(r *request, s *session.Session, u *cloud.User) need {
	switch {
	case s == nil || hasWord(r.prompt, "login"),
		r.maxAge >= 0 && time.Since(s.Auth) > r.maxAge,
		r.hinted != "" && r.hinted != s.User,
		p.demanded(u) && !twice(s): // it was not when they signed in
		return password
	case hasWord(r.prompt, "consent") || hasWord(r.prompt, "select_account"),
		r.client.native(r.redirect):
		return consent
	}
	return nothing
}

// authorize is the end point that browsers are sent to, and the page that
// they see when the user has to do something.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == identifier && !r.URL.Query().Has("client_id") {
		// Somebody kept the address of the page.
		http.Redirect(w, r, p.base()+"/", http.StatusSeeOther)
		return
	}
	req, err := p.parse(r.URL.RawQuery)
	if err != nil {
		p.refuse(w, r, req, err)
		return
	}
	s, u, err := p.browser(r)
	if err != nil {
		p.refuse(w, r, req, err)
		return
	}
	switch needs := p.needs(req, s, u); {
	case needs == nothing:
		if s, err = p.touch(r, s); err == nil && s == nil { // it ended this very moment
			err = &refusal{"login_required", "The user has to sign in."}
		}
		if err != nil {
			p.refuse(w, r, req, err)
			return
		}
		p.issue(w, r, req, s)
	case hasWord(req.prompt, "none") && needs == consent:
		p.refuse(w, r, req, &refusal{"consent_required", "The user has to agree."})
	case hasWord(req.prompt, "none"):
		p.refuse(w, r, req, &refusal{"login_required", "The user has to sign in."})
	case r.URL.Path != identifier:
		http.Redirect(w, r, p.base()+identifier+"?"+r.URL.RawQuery, http.StatusFound)
	case needs == consent:
		p.pages.Choose(w, r, req.ask(), s.ID, u)
	default:
		p.pages.SignIn(w, r, req.ask(), page.Form{Name: p.hint(r, req)})
	}
}

// hint is the name to fill in for the user.
func (p *Provider) hint(r *http.Request, req *request) string {
	if req.hinted != "" {
		if u, err := p.user(r.Context(), req.hinted); err == nil {
			return u.Name
		}
	}
	if len(req.loginHint) > maxName {
		return ""
	}
	return req.loginHint
}

// maxName is the longest name that somebody can have typed, in bytes.
const maxName = 320

// issue sends the browser back to the client with a code.
func (p *Provider) issue(w http.ResponseWriter, r *http.Request, req *request, s *session.Session) {
	if req.hinted != "" && req.hinted != s.User {
		p.refuse(w, r, req, &refusal{"login_required", "Somebody else has signed in."})
		return
	}
	secret := p.codes.Add(s.User, &code{
		client: req.client, redirect: req.redirect, challenge: req.challenge, scope: req.scope, nonce: req.nonce, session: *s,
		token: random(16), app: random(16),
	})
	if secret == "" {
		p.refuse(w, r, req, &refusal{"temporarily_unavailable", "Too many sign-ins at once. Try again in a minute."})
		return
	}
	p.back(w, r, req, url.Values{"code": {secret}, "session_state": {p.sessionState(req, s)}})
}

// back sends the browser to the client, which the request must have verified.
func (p *Provider) back(w http.ResponseWriter, r *http.Request, req *request, answer url.Values) {
	if req.state != "" {
		answer.Set("state", req.state)
	}
	answer.Set("iss", p.issuer)
	w.Header().Set("Location", withQuery(req.redirect, answer))
	if r.Method == http.MethodPost {
		w.WriteHeader(http.StatusSeeOther) // and not with the form again (RFC 9700, section 4.12)
		return
	}
	w.WriteHeader(http.StatusFound)
}

func withQuery(address string, q url.Values) string {
	if len(q) == 0 {
		return address
	}
	if strings.Contains(address, "?") {
		return address + "&" + q.Encode()
	}
	return address + "?" + q.Encode()
}

// refuse tells the client, or the user where the client is not known.
func (p *Provider) refuse(w http.ResponseWriter, r *http.Request, req *request, err error) {
	var no *refusal
	if !errors.As(err, &no) {
		p.report(r, err)
		if req.redirect != "" {
			p.back(w, r, req, url.Values{"error": {"server_error"}})
			return
		}
		p.pages.Failed(w, r, http.StatusInternalServerError, "", "")
		return
	}
	if req.redirect == "" {
		p.pages.Failed(w, r, http.StatusBadRequest, no.code, no.say)
		return
	}
	p.back(w, r, req, url.Values{"error": {no.code}, "error_description": {no.say}})
}

// browser is the session that the cookie names, and its user; nil if there is
// none.
func (p *Provider) browser(r *http.Request) (*session.Session, *cloud.User, error) {
	cookie, err := r.Cookie(p.cookie("session"))
	if err != nil {
		return nil, nil, nil
	}
	id, secret, _ := strings.Cut(cookie.Value, ".")
	s := p.live.Get(id)
	if s == nil || s.App() || !same(s.Secret, digest(secret)) {
		return nil, nil, nil
	}
	u, err := p.user(r.Context(), s.User)
	if cloud.KindOf(err) == cloud.Unauthorized {
		return nil, nil, nil
	}
	return s, u, err
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// touch notes that a browser is in use; nil if its session has ended. It
// writes only now and then.
func (p *Provider) touch(r *http.Request, s *session.Session) (*session.Session, error) {
	now := time.Now()
	if now.Sub(s.Seen) < min(p.opts.BrowserIdle/32, touchEvery) {
		return s, nil
	}
	return p.live.Change(s.ID, func(s *session.Session) error {
		seen(s, r, now)
		s.Expires = p.expiry(s, now)
		return nil
	})
}

const touchEvery = 10 * time.Minute

// expiry is when a browser's session that is in use ends.
func (p *Provider) expiry(s *session.Session, now time.Time) time.Time {
	end := s.Auth.Add(p.opts.BrowserLife)
	if idle := now.Add(p.opts.BrowserIdle); !s.Stay && idle.Before(end) {
		return idle
	}
	return end
}

// cookie is the name of a cookie of ours. The prefix keeps other hosts of the
// domain from setting it.
func (p *Provider) cookie(name string) string {
	if p.secure() {
		return "__Host-oc-" + name
	}
	return "oc-" + name
}

func (p *Provider) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	c := &http.Cookie{
		Name: p.cookie(name), Value: value, Path: "/", Secure: p.secure(), HttpOnly: name != "state",
		// Lax: apps open a browser with a link, and the web app asks for a
		// new token from a frame of its own.
		SameSite: http.SameSiteLaxMode,
	}
	switch {
	case life > 0:
		c.MaxAge = int(life / time.Second)
	case life < 0:
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
