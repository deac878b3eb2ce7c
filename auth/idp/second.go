package idp

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"opencloud/auth/idp/page"
	"opencloud/auth/idp/session"
	"opencloud/auth/idp/totp"
	"opencloud/cloud"
)

// halfway is somebody who knew the password and has yet to show the second
// factor, in the browser that has the form's cookie.
type halfway struct {
	user  *cloud.User
	stay  bool
	form  string
	tries atomic.Int32
}

const (
	halfwayLife = 5 * time.Minute
	maxTries    = 5 // then the password is asked for again
)

// NeedsMore tells whether a user needs more than the password.
func (p *Provider) NeedsMore(u *cloud.User) bool { return p.factors.Has(u.ID) }

// askSecond shows the page for the code.
func (d *door) askSecond(w http.ResponseWriter, r *http.Request, req *request, u *cloud.User, stay bool) {
	x := &halfway{user: u, stay: stay, form: r.PostForm.Get("form")}
	secret := d.halfway.Add(u.ID, x)
	if secret == "" {
		d.pages.SignIn(w, r, req.ask(), page.Form{Name: u.Name, Problem: page.Throttled})
		return
	}
	d.pages.AskCode(w, r, req.ask(), secret, page.None)
}

// second takes the code.
func (d *door) second(w http.ResponseWriter, r *http.Request) {
	if !formType(r) || r.ParseForm() != nil {
		d.pages.Failed(w, r, http.StatusBadRequest, "", "")
		return
	}
	req, err := d.parse(r.PostForm.Get("request"))
	if err != nil {
		d.refuse(w, r, req, err)
		return
	}
	secret := r.PostForm.Get("halfway")
	x, ok := d.halfway.Find(secret)
	if !ok || !d.pages.Mine(r) || x.form != r.PostForm.Get("form") {
		d.pages.SignIn(w, r, req.ask(), page.Form{Problem: page.Expired})
		return
	}
	if x.tries.Add(1) > maxTries {
		d.halfway.Drop(secret)
		d.pages.SignIn(w, r, req.ask(), page.Form{Name: x.user.Name, Problem: page.WrongCode})
		return
	}
	err = d.checkCode(r, x.user, r.PostForm.Get("code"))
	var u *cloud.User
	if err == nil && !d.halfway.Drop(secret) { // twice at once
		err = cloud.Unauthorized
	}
	if err == nil {
		u, err = d.user(r.Context(), x.user.ID)
	}
	var s *session.Session
	if err == nil {
		s, err = d.signIn(w, r, u, x.stay, req.client, "pwd", "otp", "mfa")
	}
	if err != nil {
		d.report(r, err)
		problem := problemOf(err)
		if problem == page.Wrong {
			problem = page.WrongCode
		}
		d.pages.AskCode(w, r, req.ask(), secret, problem)
		return
	}
	d.issue(w, r, req, s)
}

// checkCode counts as a guess at the account.
func (d *door) checkCode(r *http.Request, u *cloud.User, code string) error {
	_, err := d.guess(r.RemoteAddr, u.Name, func() (*cloud.User, error) { return u, d.factors.Check(u.ID, code) })
	if cloud.KindOf(err) == cloud.Unauthorized {
		d.log.WarnContext(r.Context(), "a wrong code after the right password", "user", u.Name, "from", r.RemoteAddr)
	}
	return err
}

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
	if s != nil && time.Since(s.Auth) < fresh && (!p.factors.Has(u.ID) || slices.Contains(s.Methods, "mfa")) {
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

// security is the page on which people say how they sign in.
func (p *Provider) security(w http.ResponseWriter, r *http.Request) {
	s, u := p.recent(w, r)
	if s == nil {
		return
	}
	if r.URL.RawQuery != "" {
		http.Redirect(w, r, p.base()+securityPath, http.StatusSeeOther) // the address without the code
		return
	}
	p.pages.ShowSecurity(w, r, u, p.factors.Has(u.ID), page.None)
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
	has := d.factors.Has(u.ID)
	if !d.pages.Mine(r) {
		d.pages.ShowSecurity(w, r, u, has, page.Expired)
		return
	}
	form := r.PostForm
	var codes []string
	var err error
	switch what := form.Get("answer"); {
	case what == "begin" && !has:
		secret := make([]byte, totp.SecretSize)
		rand.Read(secret)
		d.pages.Enrol(w, r, u, secret, page.None)
		return
	case what == "confirm" && !has:
		secret, derr := b32.DecodeString(form.Get("secret"))
		if derr != nil || len(secret) != totp.SecretSize {
			d.pages.Failed(w, r, http.StatusBadRequest, "", "")
			return
		}
		codes, err = d.factors.Set(u.ID, secret, form.Get("code"))
		if cloud.KindOf(err) == cloud.Unauthorized {
			d.pages.Enrol(w, r, u, secret, page.WrongCode)
			return
		}
		if err == nil {
			_, err = d.live.Change(s.ID, func(s *session.Session) error {
				s.Methods = []string{"pwd", "otp", "mfa"}
				return nil
			})
		}
	case (what == "off" || what == "renew") && has:
		if err = d.checkCode(r, u, form.Get("code")); err != nil {
			break
		}
		if what == "off" {
			err = d.factors.Remove(u.ID)
		} else {
			codes, err = d.factors.Renew(u.ID)
		}
	case what == "key":
		if err = d.addKey(r, u); err == nil {
			d.log.InfoContext(r.Context(), "passkey added", "user", u.Name, "from", r.RemoteAddr)
		}
	case what == "forget":
		var id []byte
		if id, err = b64.DecodeString(form.Get("id")); err == nil {
			err = d.keysOf.Remove(u.ID, id)
		}
		if err == nil {
			d.log.InfoContext(r.Context(), "passkey removed", "user", u.Name, "from", r.RemoteAddr)
		}
	}
	if err != nil {
		d.report(r, err)
		problem := problemOf(err)
		if problem == page.Wrong {
			problem = page.WrongCode
			if form.Get("answer") == "key" {
				problem = page.WrongKey
			}
		}
		d.pages.ShowSecurity(w, r, u, has, problem)
		return
	}
	if now := d.factors.Has(u.ID); now != has {
		d.log.InfoContext(r.Context(), "second factor changed", "user", u.Name, "on", now, "from", r.RemoteAddr)
	}
	if codes != nil {
		d.pages.Codes(w, r, codes)
		return
	}
	http.Redirect(w, r, d.base()+securityPath, http.StatusSeeOther)
}

var (
	b32 = base32.StdEncoding.WithPadding(base32.NoPadding)
	b64 = base64.RawURLEncoding
)
