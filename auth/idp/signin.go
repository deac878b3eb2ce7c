package idp

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"opencloud/auth/idp/page"
	"opencloud/auth/idp/session"
	"opencloud/cloud"
)

// A door is the part of the provider that takes passwords.
type door struct {
	*Provider
	guess Guess
}

// logon takes a password, from the form or from a script.
func (d *door) logon(w http.ResponseWriter, r *http.Request) {
	if formType(r) {
		d.logonForm(w, r)
		return
	}
	d.logonScript(w, r)
}

// verify says who has the password: Unauthorized for nobody. A mail address
// does for the name.
func (d *door) verify(r *http.Request, name, password string) (*cloud.User, error) {
	if len(name) > maxName {
		return nil, cloud.Unauthorized
	}
	if name = strings.TrimSpace(name); strings.Contains(name, "@") {
		if _, err := d.dir.User(r.Context(), "name", name); err != nil {
			if u, err := d.dir.User(r.Context(), "mail", name); err == nil {
				name = u.Name
			}
		}
	}
	u, err := d.guess(r.RemoteAddr, name, func() (*cloud.User, error) { return d.dir.Verify(r.Context(), name, password) })
	if kind := cloud.KindOf(err); kind == cloud.Throttled || kind == cloud.Unauthorized {
		// Only names that exist: people type passwords into the wrong field.
		if known, _ := d.dir.User(r.Context(), "name", name); known != nil {
			name = known.Name
		} else {
			name = ""
		}
		d.log.WarnContext(r.Context(), "nobody was signed in", "user", name, "from", r.RemoteAddr, "throttled", kind == cloud.Throttled)
	}
	return u, err
}

// logonForm is the form of the page: the request that it was made for comes
// with it.
func (d *door) logonForm(w http.ResponseWriter, r *http.Request) {
	since := time.Now()
	req := d.form(w, r)
	if req == nil {
		return
	}
	f := page.Form{Name: r.PostForm.Get("username"), Stay: r.PostForm.Get("stay") != ""}
	if !d.pages.Mine(r) {
		f.Problem = page.Expired
		d.pages.SignIn(w, r, req.ask(), f)
		return
	}
	u, err := d.verify(r, f.Name, r.PostForm.Get("password"))
	if err == nil && d.NeedsMore(u) {
		d.askMore(w, r, req, u, since, f.Stay)
		return
	}
	if err == nil {
		err = d.let(w, r, req, u, since, f.Stay, byPassword)
	}
	if err != nil {
		f.Problem = d.problem(r, err, page.Wrong)
		d.pages.SignIn(w, r, req.ask(), f)
	}
}

// form reads a form of a page of ours, and the request of the client that the
// page was made for; nil when there is none and that has been said.
func (p *Provider) form(w http.ResponseWriter, r *http.Request) *request {
	if !formType(r) || r.ParseForm() != nil {
		p.pages.Failed(w, r, http.StatusBadRequest, "", "")
		return nil
	}
	req, err := p.parse(r.PostForm.Get("request"))
	if err != nil {
		p.refuse(w, r, req, err)
		return nil
	}
	return req
}

// let signs in and sends the browser back to the client.
func (p *Provider) let(w http.ResponseWriter, r *http.Request, req *request, u *cloud.User, since time.Time, stay bool, methods []string) error {
	s, err := p.signIn(w, r, u, since, stay, req.client, methods)
	if err == nil {
		p.issue(w, r, req, s)
	}
	return err
}

// problem is what a page says of an error, and wrong what it says of what was
// not right. What is our fault is logged.
func (p *Provider) problem(r *http.Request, err error, wrong page.Problem) page.Problem {
	p.report(r, err)
	switch cloud.KindOf(err) {
	case cloud.Unauthorized, cloud.Invalid:
		return wrong
	case cloud.Throttled:
		return page.Throttled
	case cloud.Permission:
		return page.Needed
	}
	return page.Broken
}

// logonScript signs in with JSON. Clients do so that bring a page of their
// own, and go to the authorization end point next. The header keeps pages of
// other sites from sending it.
func (d *door) logonScript(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Params []string `json:"params"` // name, password, "1"
		State  string   `json:"state"`
		Hello  struct {
			Client string `json:"client_id"`
			Flow   string `json:"flow"`
		} `json:"hello"`
	}
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if r.Header.Get("Kopano-Konnect-XSRF") != "1" || strings.TrimSpace(media) != "application/json" ||
		json.NewDecoder(r.Body).Decode(&in) != nil || len(in.Params) < 2 {
		writeJSON(w, http.StatusBadRequest, map[string]any{"success": false})
		return
	}
	c := d.clients[in.Hello.Client]
	if c == nil {
		writeJSON(w, http.StatusBadRequest, map[string]any{"success": false, "state": in.State})
		return
	}
	since := time.Now()
	u, err := d.verify(r, in.Params[0], in.Params[1])
	if err == nil && d.NeedsMore(u) {
		err = cloud.Unauthorized // only the page asks for more
	}
	if err == nil {
		_, err = d.signIn(w, r, u, since, false, c, byPassword)
	}
	if err != nil {
		d.report(r, err)
		writeJSON(w, cloud.KindOf(err).Face().HTTP, map[string]any{"success": false, "state": in.State})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"success": true, "state": in.State,
		"hello": map[string]any{
			"success": true, "flow": in.Hello.Flow, "state": in.State, "username": u.Name, "displayName": u.Display,
			"continue_uri": d.issuer + authorizePath,
		},
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // a type of ours that cannot be marshalled
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

// signIn begins a session for the browser, or goes on with the one it has
// when that is the same user's. The secret in the cookie is always a new one.
// Who was signed out everywhere after since, when we began to check what they
// showed, is Unauthorized.
func (p *Provider) signIn(w http.ResponseWriter, r *http.Request, u *cloud.User, since time.Time, stay bool, c *client, methods []string) (*session.Session, error) {
	old, _, err := p.browser(r)
	if err != nil {
		return nil, err
	}
	now, secret := time.Now(), random(32)
	fill := func(s *session.Session) error {
		seen(s, r, now)
		s.Secret, s.Auth, s.Stay, s.Methods = digest(secret), now, stay, methods
		s.Expires = p.expiry(s, now)
		return nil
	}
	var s *session.Session
	if old != nil && old.User == u.ID {
		if s, err = p.live.Change(old.ID, fill); err != nil {
			return nil, err
		}
	}
	if s == nil {
		s = &session.Session{ID: random(16), User: u.ID, Made: now}
		fill(s)
		if err := p.live.Add(s); err != nil {
			return nil, err
		}
		if old != nil {
			if err := p.end(r.Context(), old.ID); err != nil {
				return nil, err
			}
		}
	}
	if p.quits.after(u.ID, since) { // asked when the session can be seen to: it is ended here or there
		if err := p.end(r.Context(), s.ID); err != nil {
			return nil, err
		}
		return nil, cloud.Unauthorized
	}
	life := time.Duration(0)
	if stay {
		life = p.opts.BrowserLife
	}
	p.setCookie(w, "session", s.ID+"."+secret, life)
	p.setCookie(w, "state", browserState(s), life)
	p.log.InfoContext(r.Context(), "signed in", "user", u.Name, "client", c.id, "from", r.RemoteAddr)
	return s, nil
}

// consent takes the answer to: go on as who is signed in?
func (p *Provider) consent(w http.ResponseWriter, r *http.Request) {
	req := p.form(w, r)
	if req == nil {
		return
	}
	s, u, err := p.browser(r)
	if err != nil {
		p.refuse(w, r, req, err)
		return
	}
	// What was seen must still be so: the page is shown anew otherwise.
	if !p.pages.Mine(r) || s == nil || p.needs(req, s, u) == password {
		http.Redirect(w, r, p.base()+identifier+"?"+req.query, http.StatusSeeOther)
		return
	}
	if s.ID != r.PostForm.Get("session") {
		p.pages.Choose(w, r, req.ask(), s.ID, u)
		return
	}
	if r.PostForm.Get("answer") != "yes" {
		p.back(w, r, req, url.Values{"error": {"access_denied"}, "error_description": {"The user said no."}})
		return
	}
	if s, err = p.touch(r, s); err == nil && s == nil {
		err = &refusal{"login_required", "The user has to sign in."}
	}
	if err != nil {
		p.refuse(w, r, req, err)
		return
	}
	p.issue(w, r, req, s)
}
