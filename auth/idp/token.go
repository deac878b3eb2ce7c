package idp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"opencloud/auth/idp/session"
	"opencloud/cloud"
)

// lost is how long a refresh token may be sent again: its answer may not have
// arrived. Later it is somebody else's.
const lost = time.Minute

var (
	badGrant   = &refusal{"invalid_grant", "The code or token is not valid, or has been used. Sign in again."}
	badClient  = &refusal{"invalid_client", "The client is not known, or sent a secret that it does not have."}
	badRequest = &refusal{"invalid_request", "The request is not a form with each parameter once."}
)

// token is where clients fetch tokens, for a code or for a refresh token.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	c, form, err := p.fromClient(r)
	if err != nil {
		p.failJSON(w, r, err)
		return
	}
	var answer *tokens
	switch form.Get("grant_type") {
	case "authorization_code":
		answer, err = p.exchange(r, c, form)
	case "refresh_token":
		answer, err = p.refresh(r, c, form)
	default:
		err = &refusal{"unsupported_grant_type", "The grant types are authorization_code and refresh_token."}
	}
	if err != nil {
		p.failJSON(w, r, err)
		return
	}
	w.Header().Set("Pragma", "no-cache")
	writeJSON(w, http.StatusOK, answer)
}

// tokens is an answer of the token end point.
type tokens struct {
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"` // seconds
	Refresh string `json:"refresh_token,omitempty"`
	ID      string `json:"id_token"`
	Scope   string `json:"scope"`
}

// fromClient reads the form of a client, which says who it is in the form or
// in the header, and has no secret.
func (p *Provider) fromClient(r *http.Request) (*client, url.Values, error) {
	if !formType(r) || r.ParseForm() != nil || single(r.PostForm) != nil {
		return nil, nil, badRequest
	}
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, pass, ok := r.BasicAuth(); ok {
		user, err1 := url.QueryUnescape(user) // RFC 6749, section 2.3.1
		pass, err2 := url.QueryUnescape(pass)
		if err1 != nil || err2 != nil || id != "" && id != user || secret != "" {
			return nil, nil, badClient
		}
		id, secret = user, pass
	}
	c := p.clients[id]
	if c == nil || secret != "" {
		return nil, nil, badClient
	}
	return c, r.PostForm, nil
}

// exchange gives tokens for a code, once.
func (p *Provider) exchange(r *http.Request, c *client, form url.Values) (*tokens, error) {
	x, ok := p.codes.Find(form.Get("code"))
	if !ok || x.client != c {
		return nil, badGrant
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.used {
		// Somebody has it who should not: what it has brought is worth
		// nothing any more (RFC 6749, section 4.1.2).
		p.log.WarnContext(r.Context(), "a code was used twice; its tokens are revoked", "user", x.session.User, "client", c.id, "from", r.RemoteAddr)
		err := p.live.Deny(x.token, time.Now().Add(p.opts.AccessLife))
		if _, err2 := p.live.End(x.app); err != nil || err2 != nil {
			return nil, errors.Join(err, err2)
		}
		return nil, badGrant
	}
	x.used = true // also when what follows fails: there is one try
	verifier := form.Get("code_verifier")
	sum := sha256.Sum256([]byte(verifier))
	if form.Get("redirect_uri") != x.redirect || !isVerifier(verifier) || !same(base64.RawURLEncoding.EncodeToString(sum[:]), x.challenge) {
		return nil, badGrant
	}
	now := time.Now()
	s := p.live.Get(x.session.ID)
	if s == nil {
		return nil, badGrant
	}
	u, err := p.user(r.Context(), s.User)
	if cloud.KindOf(err) == cloud.Unauthorized {
		return nil, badGrant
	} else if err != nil {
		return nil, err
	}
	if c.backchannel != "" && !slices.Contains(s.Tell, c.id) {
		s, err = p.live.Change(s.ID, func(s *session.Session) error {
			s.Tell = append(slices.Clip(s.Tell), c.id)
			return nil
		})
		if err != nil {
			return nil, err
		} else if s == nil {
			return nil, badGrant
		}
	}
	lives, refresh := s.ID, ""
	if hasWord(x.scope, offline) {
		secret := random(32)
		app := &session.Session{
			ID: x.app, User: u.ID, Secret: digest(secret), Made: now, Auth: x.session.Auth, Expires: now.Add(p.opts.RefreshLife),
			Methods: x.session.Methods, Client: c.id, Parent: s.ID, Scope: x.scope,
		}
		seen(app, r, now)
		if err := p.live.Add(app); err != nil {
			return nil, err
		}
		if p.quits.after(u.ID, now) { // as in signIn
			_, err := p.live.End(x.app)
			return nil, errors.Join(badGrant, err)
		}
		lives, refresh = x.app, x.app+"."+secret
	}
	return p.mint(c, u, &x.session, lives, x.token, x.scope, x.nonce, refresh)
}

// mint makes the answer. s says how and when the user signed in, lives is the
// session that the access token dies with.
func (p *Provider) mint(c *client, u *cloud.User, s *session.Session, lives, token, scope, nonce, refresh string) (*tokens, error) {
	access, err := p.sign(typeAccess, claims{
		Subject: u.ID, Audience: p.issuer, ID: token, Session: lives, Client: c.id, Scope: scope,
	}, p.opts.AccessLife)
	if err != nil {
		return nil, err
	}
	browser := s.ID
	if s.App() {
		browser = s.Parent
	}
	id, err := p.sign(typeID, claims{
		Subject: u.ID, Audience: c.id, Session: browser, Nonce: nonce, AuthTime: s.Auth.Unix(), AccessHash: half(access), Methods: s.Methods, Class: classOf(s), person: about(u, scope),
	}, p.opts.IDLife)
	if err != nil {
		return nil, err
	}
	return &tokens{access, "Bearer", int(p.opts.AccessLife / time.Second), refresh, id, scope}, nil
}

var errReused = errors.New("refresh token reused")

// refresh gives new tokens, and a new refresh token with them. One that has
// been replaced ends the session: either the app or a thief has the new one,
// and nobody can tell which (RFC 9700, section 4.14.2).
func (p *Provider) refresh(r *http.Request, c *client, form url.Values) (*tokens, error) {
	id, secret, _ := strings.Cut(form.Get("refresh_token"), ".")
	s := p.live.Get(id)
	if s == nil || s.Client != c.id {
		return nil, badGrant
	}
	u, err := p.user(r.Context(), s.User)
	if err == nil && p.demanded(u) && !twice(s) {
		return nil, badGrant // they have to sign in anew, with two factors
	}
	if cloud.KindOf(err) == cloud.Unauthorized {
		if _, err := p.live.End(id); err != nil {
			return nil, err
		}
		return nil, badGrant
	} else if err != nil {
		return nil, err
	}
	now := time.Now()
	s, err = p.live.Change(id, func(s *session.Session) error {
		switch given := digest(secret); {
		case same(given, s.Secret):
			s.Salt = make([]byte, 16)
			rand.Read(s.Salt)
			s.Before, s.Secret = s.Secret, digest(successor(secret, s.Salt))
			s.Rotated, s.Expires = now, now.Add(p.opts.RefreshLife)
		case s.Before != "" && same(given, s.Before) && now.Sub(s.Rotated) < lost:
		default:
			return errReused
		}
		seen(s, r, now)
		return nil
	})
	if errors.Is(err, errReused) {
		p.log.WarnContext(r.Context(), "an old refresh token was used; its session ends", "user", u.Name, "client", c.id, "from", r.RemoteAddr)
		if _, err := p.live.End(id); err != nil {
			return nil, err
		}
		return nil, badGrant
	} else if err != nil {
		return nil, err
	} else if s == nil {
		return nil, badGrant
	}
	scope := s.Scope
	if want := form.Get("scope"); want != "" {
		scope = ""
		for word := range strings.FieldsSeq(s.Scope) {
			if hasWord(want, word) {
				scope = strings.TrimLeft(scope+" "+word, " ")
			}
		}
	}
	if !hasWord(scope, "openid") {
		return nil, &refusal{"invalid_scope", "The scope openid is needed."}
	}
	return p.mint(c, u, s, s.ID, random(16), scope, "", s.ID+"."+successor(secret, s.Salt))
}

// successor is the secret after one. It is computed, so that who asks twice
// gets the same and nothing has to be kept that could be used.
func successor(secret string, salt []byte) string {
	h := hmac.New(sha256.New, salt)
	h.Write([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// revoke ends an app's session, or one access token (RFC 7009). A token that
// is not valid is as good as revoked.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	c, form, err := p.fromClient(r)
	if err != nil {
		p.failJSON(w, r, err)
		return
	}
	raw := form.Get("token")
	if t, aerr := p.access(raw); aerr == nil {
		if t.Client == c.id {
			err = p.live.Deny(t.ID, time.Unix(t.Expires, 0))
		}
	} else if id, secret, ok := strings.Cut(raw, "."); ok {
		s := p.live.Get(id)
		if given := digest(secret); s != nil && s.Client == c.id && (same(given, s.Secret) || same(given, s.Before)) {
			_, err = p.live.End(id)
		}
	}
	if err != nil {
		p.failJSON(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// userinfo says who the user of an access token is.
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	var c *claims
	var u *cloud.User
	err := error(cloud.Unauthorized)
	if strings.EqualFold(scheme, "Bearer") {
		c, err = p.access(strings.TrimSpace(raw))
	}
	if err == nil {
		u, err = p.user(r.Context(), c.Subject)
	}
	switch {
	case cloud.KindOf(err) == cloud.Unauthorized && raw == "":
		w.Header().Set("WWW-Authenticate", `Bearer`)
		w.WriteHeader(http.StatusUnauthorized)
	case cloud.KindOf(err) == cloud.Unauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
	case err != nil:
		p.failJSON(w, r, err)
	default:
		writeJSON(w, http.StatusOK, struct {
			Subject cloud.UserID `json:"sub"`
			person
		}{u.ID, about(u, c.Scope)})
	}
}

// failJSON is an error to a client, which no person sees (RFC 6749, section 5.2).
func (p *Provider) failJSON(w http.ResponseWriter, r *http.Request, err error) {
	var no *refusal
	status := http.StatusBadRequest
	switch {
	case !errors.As(err, &no):
		// Not one of the codes that make clients forget who is signed in.
		p.report(r, err)
		no = &refusal{"temporarily_unavailable", "The server cannot do this right now. Try again later."}
		status = http.StatusServiceUnavailable
	case no == badClient:
		w.Header().Set("WWW-Authenticate", `Basic realm="OAuth"`)
		status = http.StatusUnauthorized
	}
	writeJSON(w, status, map[string]string{"error": no.code, "error_description": no.say})
}
