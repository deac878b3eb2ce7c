package idp

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"opencloud/auth/idp/page"
	"opencloud/auth/idp/session"
	"opencloud/auth/idp/totp"
	"opencloud/cloud"
)

// halfway is somebody who knew the password and has yet to show the second
// factor, or to set one up, in the browser that has the form's cookie.
type halfway struct {
	user   *cloud.User
	since  time.Time // when the password was sent
	stay   bool
	form   string
	secret []byte // for an app, if one is set up

	mu    sync.Mutex // held while a form is looked at
	tries int
	set   bool // the app is set up, and its codes on paper are being shown
}

const (
	halfwayLife = 15 * time.Minute // long enough to find an app and to set it up
	maxTries    = 5                // then the password is asked for again
)

// What a session has been begun with (RFC 8176).
var (
	byPassword = []string{"pwd"}
	byCode     = []string{"pwd", "otp", "mfa"}
	byKey      = []string{"pop", "user", "mfa"}
	byNewKey   = []string{"pwd", "pop", "user", "mfa"}
)

// twice tells whether a session was begun with two factors.
func twice(s *session.Session) bool { return slices.Contains(s.Methods, "mfa") }

// Classes of sign-ins, as clients know them (acr).
const (
	onceClass  = "1"
	twiceClass = "2"
)

func classOf(s *session.Session) string {
	if twice(s) {
		return twiceClass
	}
	return onceClass
}

// parseDemand reads Options.Demand: who must have a second factor, by id of role.
func parseDemand(names []string) (all bool, roles map[string]bool, err error) {
	roles = map[string]bool{}
	for _, name := range names {
		switch r, ok := cloud.RoleBy(strings.TrimSpace(name)); {
		case ok:
			roles[r.ID] = true
		case strings.TrimSpace(name) == "all":
			all = true
		case strings.TrimSpace(name) != "none" || len(names) > 1:
			return false, nil, cloud.Refuse(cloud.Invalid, "Who needs a second factor (IDP_MFA_REQUIRED) is none, all, or a list of roles such as admin,spaceadmin; not %q.", name)
		}
	}
	return all, roles, nil
}

// demanded tells whether the administrator wants a second factor of a user.
func (p *Provider) demanded(u *cloud.User) bool { return p.demandAll || p.demandOf[u.Role] }

// NeedsMore tells whether a user needs more than the password.
func (p *Provider) NeedsMore(u *cloud.User) bool { return p.demanded(u) || p.factors.Has(u.ID) }

// askMore goes on after the password.
func (d *door) askMore(w http.ResponseWriter, r *http.Request, req *request, u *cloud.User, since time.Time, stay bool) {
	x := &halfway{user: u, since: since, stay: stay, form: r.PostForm.Get("form"), secret: make([]byte, totp.SecretSize)}
	rand.Read(x.secret)
	secret := d.halfway.Add(u.ID, x)
	if secret == "" {
		d.pages.SignIn(w, r, req.ask(), page.Form{Name: u.Name, Problem: page.Throttled})
		return
	}
	d.showMore(w, r, req, x, secret, page.None)
}

// showMore asks for a second factor, or for setting one up.
func (d *door) showMore(w http.ResponseWriter, r *http.Request, req *request, x *halfway, secret string, what page.Problem) {
	code, key := d.factors.Has(x.user.ID), d.keysOf.Has(x.user.ID)
	if code || key {
		d.pages.AskMore(w, r, req.ask(), secret, code, key, what)
		return
	}
	d.pages.Demand(w, r, req.ask(), secret, x.user, what)
}

// second takes a code, or goes on with setting up what gives them.
func (d *door) second(w http.ResponseWriter, r *http.Request) {
	req := d.form(w, r)
	if req == nil {
		return
	}
	secret := r.PostForm.Get("halfway")
	x, ok := d.halfway.Find(secret)
	if !ok || !d.pages.Mine(r) || x.form != r.PostForm.Get("form") {
		d.pages.SignIn(w, r, req.ask(), page.Form{Problem: page.Expired})
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.tries++; x.tries > maxTries {
		d.halfway.Drop(secret)
		d.pages.SignIn(w, r, req.ask(), page.Form{Name: x.user.Name, Problem: page.WrongCode})
		return
	}
	step := r.PostForm.Get("answer")
	has := d.factors.Has(x.user.ID) || d.keysOf.Has(x.user.ID)
	var err error
	methods, wrong := byCode, page.WrongCode
	switch {
	case x.set: // the codes on paper have been seen
	case has:
		err = d.checkCode(r, x.user, r.PostForm.Get("code"))
	case step == "key":
		methods, wrong = byNewKey, page.WrongKey
		err = d.addKey(r, x.user)
	case step == "begin":
		x.tries--
		d.pages.Enrol(w, r, req.ask(), secret, x.user, x.secret, page.None)
		return
	case step == "confirm":
		codes, err := d.setCode(r, x.user, x.secret)
		if err != nil {
			d.pages.Enrol(w, r, req.ask(), secret, x.user, x.secret, d.problem(r, err, page.WrongCode))
			return
		}
		x.set, x.tries = true, 0
		d.pages.Codes(w, r, req.ask(), secret, codes)
		return
	default:
		err = cloud.Unauthorized
	}
	if err == nil && !d.halfway.Drop(secret) { // twice at once
		err = cloud.Unauthorized
	}
	var u *cloud.User
	if err == nil {
		u, err = d.user(r.Context(), x.user.ID)
	}
	if err == nil {
		err = d.let(w, r, req, u, x.since, x.stay, methods)
	}
	if err != nil {
		d.showMore(w, r, req, x, secret, d.problem(r, err, wrong))
	}
}

// checkCode counts as a guess at the account.
func (d *door) checkCode(r *http.Request, u *cloud.User, code string) error {
	_, err := d.guess(r.RemoteAddr, u.Name, func() (*cloud.User, error) { return u, d.factors.Check(u.ID, code) })
	if cloud.KindOf(err) == cloud.Unauthorized {
		d.log.WarnContext(r.Context(), "a wrong code after the right password", "user", u.Name, "from", r.RemoteAddr)
	}
	return err
}

// setCode gives a user an app for codes, and returns the codes for paper.
func (p *Provider) setCode(r *http.Request, u *cloud.User, secret []byte) ([]string, error) {
	codes, err := p.factors.Set(u.ID, secret, r.PostForm.Get("code"))
	if err == nil {
		p.log.InfoContext(r.Context(), "app for codes set up", "user", u.Name, "from", r.RemoteAddr)
	}
	return codes, err
}
