package idp

import (
	"net/http"

	"opencloud/auth/idp/page"
	"opencloud/auth/idp/passkey"
	"opencloud/auth/idp/session"
	"opencloud/cloud"
)

// withKey signs in with a passkey.
func (p *Provider) withKey(w http.ResponseWriter, r *http.Request) {
	if !formType(r) || r.ParseForm() != nil {
		p.pages.Failed(w, r, http.StatusBadRequest, "", "")
		return
	}
	req, err := p.parse(r.PostForm.Get("request"))
	if err != nil {
		p.refuse(w, r, req, err)
		return
	}
	if !p.pages.Mine(r) {
		p.pages.SignIn(w, r, req.ask(), page.Form{Problem: page.Expired})
		return
	}
	proof, err := passkey.ProofOf(r.PostForm)
	if err != nil {
		p.pages.Failed(w, r, http.StatusBadRequest, "", "")
		return
	}
	id, err := p.keysOf.Verify(proof, r.PostForm.Get("form"))
	var u *cloud.User
	if err == nil {
		u, err = p.user(r.Context(), id)
	}
	var s *session.Session
	if err == nil {
		s, err = p.signIn(w, r, u, false, req.client, "pop", "user", "mfa")
	}
	if err != nil {
		p.report(r, err)
		problem := problemOf(err)
		if problem == page.Wrong {
			problem = page.WrongKey
			p.log.WarnContext(r.Context(), "nobody was signed in with a passkey", "from", r.RemoteAddr, "error", err)
		}
		p.pages.SignIn(w, r, req.ask(), page.Form{Problem: problem})
		return
	}
	p.issue(w, r, req, s)
}

// addKey adds a passkey that a browser has made on the page of security.
func (p *Provider) addKey(r *http.Request, u *cloud.User) error {
	proof, err := passkey.ProofOf(r.PostForm)
	if err != nil {
		return cloud.Unauthorized
	}
	return p.keysOf.Add(u.ID, proof, r.PostForm.Get("form"))
}
