package idp

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"net/http"
	"net/url"
	"time"

	"opencloud/auth/idp/page"
	"opencloud/auth/idp/session"
	"opencloud/auth/idp/totp"
	"opencloud/cloud"
)

// fresh is how long after the password was asked for somebody may change how
// they sign in.
const fresh = 10 * time.Minute

// recent is the browser's session if the password was asked for a moment ago;
// else the browser is sent to the form and comes back here.
func (p *Provider) recent(w http.ResponseWriter, r *http.Request) (*session.Session, *cloud.User) {
	s, u, err := p.browser(r)
	if err != nil {
		p.report(r, err)
		p.pages.Failed(w, r, http.StatusServiceUnavailable, "", "")
		return nil, nil
	}
	// Who has a second factor must have shown it, too, or a passkey.
	if s != nil && time.Since(s.Auth) < fresh && (twice(s) || !p.NeedsMore(u)) {
		return s, u
	}
	if r.URL.Query().Has("error") {
		p.pages.Failed(w, r, http.StatusForbidden, "", "")
		return nil, nil
	}
	q := url.Values{
		"client_id": {securityID}, "redirect_uri": {p.issuer + securityPath}, "response_type": {"code"}, "scope": {"openid"}, "prompt": {"login"},
		"code_challenge": {digest(random(32))}, "code_challenge_method": {"S256"}, // the code is for nobody
	}
	http.Redirect(w, r, p.base()+authorizePath+"?"+q.Encode(), http.StatusSeeOther)
	return nil, nil
}

// security is the page on which people see where they are signed in, and say
// how they sign in.
func (p *Provider) security(w http.ResponseWriter, r *http.Request) {
	s, u := p.recent(w, r)
	if s == nil {
		return
	}
	if r.URL.RawQuery != "" {
		http.Redirect(w, r, p.base()+securityPath, http.StatusSeeOther) // the address without the code
		return
	}
	p.showSecurity(w, r, s, u, page.None)
}

func (p *Provider) showSecurity(w http.ResponseWriter, r *http.Request, s *session.Session, u *cloud.User, what page.Problem) {
	sessions, _ := p.Sessions(r.Context(), u.ID) // from memory
	factors, err := p.Factors(r.Context(), u.ID)
	if err != nil {
		p.report(r, err)
		p.pages.Failed(w, r, http.StatusServiceUnavailable, "", "")
		return
	}
	p.pages.ShowSecurity(w, r, page.Account{User: u, Sessions: sessions, Here: s.ID, Factors: factors, Keep: p.keeps(u, factors)}, what)
}

// keeps tells whether a user may not take the last factor away.
func (p *Provider) keeps(u *cloud.User, factors []cloud.Factor) bool {
	n := 0
	for _, f := range factors {
		if f.Kind != cloud.Recovery {
			n++
		}
	}
	return p.demanded(u) && n <= 1
}

// changeSecurity takes what the page sends.
func (d *door) changeSecurity(w http.ResponseWriter, r *http.Request) {
	if !formType(r) || r.ParseForm() != nil {
		d.pages.Failed(w, r, http.StatusBadRequest, "", "")
		return
	}
	s, u := d.recent(w, r)
	if s == nil {
		return
	}
	if !d.pages.Mine(r) {
		d.showSecurity(w, r, s, u, page.Expired)
		return
	}
	form := r.PostForm
	what := form.Get("answer")
	if what == "begin" || what == "confirm" {
		d.enrol(w, r, s, u)
		return
	}
	// A form of ours may be an old one: what it says need not be so any more.
	var codes []string
	var err error
	wrong := page.WrongCode
	switch what {
	case "renew":
		if err = d.checkCode(r, u, form.Get("code")); err == nil {
			codes, err = d.factors.Renew(u.ID)
		}
	case "off":
		if err = d.mayDrop(r, u); err == nil {
			err = d.checkCode(r, u, form.Get("code"))
		}
		if err == nil {
			err = d.factors.Remove(u.ID)
		}
	case "key":
		wrong = page.WrongKey
		err = d.addKey(r, u)
	case "name", "forget":
		var id []byte
		if id, err = b64.DecodeString(form.Get("id")); err != nil {
			break
		}
		if what == "name" {
			err = d.keysOf.Rename(u.ID, id, form.Get("name"))
		} else if err = d.mayDrop(r, u); err == nil {
			err = d.keysOf.Remove(u.ID, id)
		}
	case "end":
		if err = d.EndSession(r.Context(), u.ID, form.Get("id")); cloud.KindOf(err) == cloud.NotExist {
			err = nil // as it should be
		}
	case "others":
		err = d.SignOut(cloud.WithCaller(r.Context(), cloud.Caller{User: u, Session: s.ID}), u.ID)
	}
	if err != nil {
		d.showSecurity(w, r, s, u, d.problem(r, err, wrong))
		return
	}
	d.log.InfoContext(r.Context(), "account changed", "user", u.Name, "what", what, "from", r.RemoteAddr)
	if codes != nil {
		d.pages.Codes(w, r, page.Ask{}, "", codes)
		return
	}
	http.Redirect(w, r, d.base()+securityPath, http.StatusSeeOther)
}

// mayDrop is Permission for the last factor of who must have one.
func (p *Provider) mayDrop(r *http.Request, u *cloud.User) error {
	factors, err := p.Factors(r.Context(), u.ID)
	if err == nil && p.keeps(u, factors) {
		err = cloud.Permission
	}
	return err
}

// enrol sets up an app for codes, for who has none.
func (d *door) enrol(w http.ResponseWriter, r *http.Request, s *session.Session, u *cloud.User) {
	if d.factors.Has(u.ID) { // set up in another window
		http.Redirect(w, r, d.base()+securityPath, http.StatusSeeOther)
		return
	}
	secret := make([]byte, totp.SecretSize)
	if r.PostForm.Get("answer") == "begin" {
		rand.Read(secret)
		d.pages.Enrol(w, r, page.Ask{}, "", u, secret, page.None)
		return
	}
	secret, err := b32.DecodeString(r.PostForm.Get("secret"))
	if err != nil || len(secret) != totp.SecretSize {
		d.pages.Failed(w, r, http.StatusBadRequest, "", "")
		return
	}
	codes, err := d.setCode(r, u, secret)
	if cloud.KindOf(err) == cloud.Unauthorized {
		d.pages.Enrol(w, r, page.Ask{}, "", u, secret, page.WrongCode)
		return
	}
	if err == nil {
		_, err = d.live.Change(s.ID, func(s *session.Session) error {
			s.Methods = byCode
			return nil
		})
	}
	if err != nil {
		d.showSecurity(w, r, s, u, d.problem(r, err, page.WrongCode))
		return
	}
	d.pages.Codes(w, r, page.Ask{}, "", codes)
}

var (
	b32 = base32.StdEncoding.WithPadding(base32.NoPadding)
	b64 = base64.RawURLEncoding
)
