package idp

import (
	"net/http"
	"time"

	"opencloud/auth/idp/page"
	"opencloud/auth/idp/passkey"
	"opencloud/cloud"
)

// withKey signs in with a passkey.
func (p *Provider) withKey(w http.ResponseWriter, r *http.Request) {
	since := time.Now()
	req := p.form(w, r)
	if req == nil {
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
	if err == nil {
		err = p.let(w, r, req, u, since, false, byKey)
	}
	if err != nil {
		problem := p.problem(r, err, page.WrongKey)
		if problem == page.WrongKey {
			p.log.WarnContext(r.Context(), "nobody was signed in with a passkey", "from", r.RemoteAddr, "error", err)
		}
		p.pages.SignIn(w, r, req.ask(), page.Form{Problem: problem})
	}
}

// addKey adds a passkey that a browser has made on a page of ours.
func (p *Provider) addKey(r *http.Request, u *cloud.User) error {
	proof, err := passkey.ProofOf(r.PostForm)
	if err != nil {
		return cloud.Unauthorized
	}
	if err = p.keysOf.Add(u.ID, deviceOf(r.UserAgent()), proof, r.PostForm.Get("form")); err == nil {
		p.log.InfoContext(r.Context(), "passkey added", "user", u.Name, "from", r.RemoteAddr)
	}
	return err
}
