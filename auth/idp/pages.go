package idp

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"opencloud/auth/idp/passkey"
	"opencloud/auth/idp/qr"
	"opencloud/auth/idp/session"
	"opencloud/cloud"
)

//go:embed pages.html
var pagesHTML string

//go:embed pages.css
var pagesCSS string

//go:embed passkey.js
var passkeyJS string

//go:embed checksession.js
var checkJS string

// pages is what people see. None needs a script, but for passkeys.
type pages struct {
	product    string
	base       string // path in front of ours
	templates  *template.Template
	policy     string // CSP, without form-action
	formCookie http.Cookie
	keys       *passkey.Store
}

func newPages(product, base string, secure bool) (*pages, error) {
	t, err := template.New("").Parse(pagesHTML)
	if err != nil {
		return nil, err
	}
	v := &pages{
		product: product, base: base, templates: t,
		policy:     "default-src 'none'; style-src '" + hashOf(pagesCSS) + "'; base-uri 'none'; frame-ancestors 'self'; form-action ",
		formCookie: http.Cookie{Name: "oc-form", Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode},
	}
	if secure {
		v.formCookie.Name = "__Host-oc-form"
	}
	return v, nil
}

// hashOf lets a browser take exactly this text (CSP 3, section 2.3.1).
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// problem is what went wrong with a form.
type problem uint8

const (
	none problem = iota
	wrong
	throttled
	expired
	broken
	wrongCode
	wrongKey
)

// status of a page that tells of a problem.
var statuses = [...]int{none: http.StatusOK, wrong: http.StatusUnauthorized, throttled: http.StatusTooManyRequests, expired: http.StatusForbidden, broken: http.StatusServiceUnavailable, wrongCode: http.StatusUnauthorized, wrongKey: http.StatusUnauthorized}

// form is what the user has typed.
type form struct {
	Name    string
	Stay    bool
	Problem problem
}

// A page is all that the templates use.
type page struct {
	words
	Product, Title string
	CSS            template.CSS
	Action         string // where the form goes
	KeyAction      string // and that for passkeys
	Form           string // see mine
	Request        string // the request of the client, to come back with the form
	Session        string
	form
	Message     string // what is wrong
	User, Other string // who is signed in; where to go to be somebody else
	Client      string

	// Of the second factor.
	Halfway, Secret, QR, QRBox string
	KeyURI                     template.URL
	Spaced, Codes              []string
	Has                        bool

	Key  *keyPart
	Keys []keyShown
}

// key is what the script needs, nil where there can be no passkeys.
func (v *pages) key(form string) *keyPart {
	challenge := v.keys.Challenge(form)
	if challenge == "" {
		return nil
	}
	return &keyPart{Challenge: b64.EncodeToString([]byte(challenge)), Site: v.keys.Site.ID, Script: template.JS(passkeyJS)}
}

// keyPart is the part of a page for passkeys.
type keyPart struct {
	Challenge, Site          string
	Make, Handle, Name, Have string // to make one
	Script                   template.JS
}

type keyShown struct{ ID, Made string }

func (v *pages) show(w http.ResponseWriter, name string, status int, formAction string, p page) {
	p.Product, p.CSS = v.product, template.CSS(pagesCSS)
	var b bytes.Buffer
	if err := v.templates.ExecuteTemplate(&b, name, p); err != nil {
		panic(err) // a template of ours that does not fit its page
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.Tag)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	policy := v.policy + formAction
	if p.Key != nil {
		policy += "; script-src '" + hashOf(passkeyJS) + "'"
	}
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "SAMEORIGIN")
	if status == http.StatusTooManyRequests {
		h.Set("Retry-After", "10")
	}
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// signIn asks for name and password.
func (v *pages) signIn(w http.ResponseWriter, r *http.Request, req *request, f form) {
	p := page{words: wordsFor(r, req.query), Action: v.base + logonPath, KeyAction: v.base + keyPath, Form: v.formToken(w, r), Request: req.query, form: f, Client: req.client.name}
	p.Title = p.SignIn
	p.Message = p.about(f.Problem)
	p.Key = v.key(p.Form)
	v.show(w, "signin", statuses[f.Problem], formAction(req.redirect), p)
}

// second asks for a code.
func (v *pages) second(w http.ResponseWriter, r *http.Request, req *request, halfway string, what problem) {
	p := page{words: wordsFor(r, req.query), Action: v.base + secondPath, Form: v.formToken(w, r), Request: req.query, Halfway: halfway, Client: req.client.name}
	p.Title, p.Message = p.Second, p.about(what)
	v.show(w, "second", statuses[what], formAction(req.redirect), p)
}

// security says whether there is a second factor, and offers to change that.
func (v *pages) security(w http.ResponseWriter, r *http.Request, u *cloud.User, has bool, what problem) {
	p := page{words: wordsFor(r, ""), Action: v.base + securityPath, Form: v.formToken(w, r), User: nameOf(u), Has: has, Other: v.base + "/"}
	p.Title, p.Message = p.Security, p.about(what)
	if own, err := v.keys.List(u.ID); err == nil { // what cannot be read cannot be changed
		p.Key = v.key(p.Form)
		for _, k := range own {
			p.Keys = append(p.Keys, keyShown{b64.EncodeToString(k.ID), k.Made.Format(time.DateOnly)})
		}
	}
	if p.Key != nil {
		id := passkey.Handle(u.ID)
		p.Key.Make, p.Key.Handle, p.Key.Name = strings.Trim(fmt.Sprint(passkey.Algorithms), "[]"), b64.EncodeToString(id[:]), u.Name
		for _, k := range p.Keys {
			p.Key.Have += " " + k.ID
		}
	}
	v.show(w, "security", statuses[what], "'self'", p)
}

// enrol shows the secret for an app and asks for a code of it.
func (v *pages) enrol(w http.ResponseWriter, r *http.Request, u *cloud.User, secret []byte, what problem) {
	p := page{words: wordsFor(r, ""), Action: v.base + securityPath, Form: v.formToken(w, r), Secret: b32.EncodeToString(secret)}
	uri := keyURI(v.product, u.Name, secret)
	p.KeyURI = template.URL(uri)
	if path, size, ok := qr.Path(uri); ok {
		p.QR, p.QRBox = path, fmt.Sprintf("-4 -4 %d %d", size+8, size+8)
	}
	for i := 0; i < len(p.Secret); i += 4 {
		p.Spaced = append(p.Spaced, p.Secret[i:min(i+4, len(p.Secret))])
	}
	p.Title, p.Message = p.SetUp, p.about(what)
	v.show(w, "enrol", statuses[what], "'self'", p)
}

// codes shows the codes for paper, this once.
func (v *pages) codes(w http.ResponseWriter, r *http.Request, codes []string) {
	p := page{words: wordsFor(r, ""), Codes: codes, Other: v.base + securityPath}
	p.Title = p.Paper
	v.show(w, "codes", http.StatusOK, "'none'", p)
}

// choose asks whether to go on as who is signed in.
func (v *pages) choose(w http.ResponseWriter, r *http.Request, req *request, s *session.Session, u *cloud.User) {
	p := page{
		words: wordsFor(r, req.query), Action: v.base + consentPath, Form: v.formToken(w, r), Request: req.query, Session: s.ID,
		User: nameOf(u), Client: req.client.name,
	}
	q, _ := url.ParseQuery(req.query) // parse has seen it
	q.Set("prompt", "login")
	p.Other = v.base + identifier + "?" + q.Encode()
	p.Title = p.Welcome
	v.show(w, "choose", http.StatusOK, formAction(req.redirect), p)
}

// leave asks whether to sign out.
func (v *pages) leave(w http.ResponseWriter, r *http.Request, f *farewell, u *cloud.User) {
	p := page{words: wordsFor(r, f.query), Action: v.base + endPath, Form: v.formToken(w, r), Request: f.query, User: nameOf(u)}
	p.Title = p.SignOut
	v.show(w, "leave", http.StatusOK, formAction(f.to), p)
}

func (v *pages) left(w http.ResponseWriter, r *http.Request) {
	p := page{words: wordsFor(r, r.URL.RawQuery), Other: v.base + "/"}
	p.Title = p.SignedOut
	v.show(w, "left", http.StatusOK, "'none'", p)
}

// failed is where nothing can be done but begin anew; no is nil when it is
// our fault.
func (v *pages) failed(w http.ResponseWriter, r *http.Request, status int, no *refusal) {
	p := page{words: wordsFor(r, r.URL.RawQuery), Other: v.base + "/"}
	p.Title, p.Message = p.Failed, p.Broken
	if no != nil {
		p.Message = p.refused(no)
	}
	v.show(w, "failed", status, "'none'", p)
}

func nameOf(u *cloud.User) string {
	if u.Display != "" {
		return u.Display
	}
	return u.Name
}

// formAction lets a form be answered with the address, too: browsers check
// where it leads in the end.
func formAction(to string) string {
	scheme, rest, ok := strings.Cut(to, "://")
	if !ok {
		scheme, _, ok = strings.Cut(to, ":")
		if !ok {
			return "'self'"
		}
		rest = ""
	}
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, "?")
	if scheme != "http" && scheme != "https" || strings.ContainsAny(host, "[]") { // CSP knows no IPv6
		return "'self' " + scheme + ":"
	}
	return "'self' " + scheme + "://" + host
}

// checkSession is for a frame of a client, which asks it whether somebody
// else is signed in (Session Management 1.0, section 3.2).
func (p *Provider) checkSession(w http.ResponseWriter, _ *http.Request) {
	js := strings.ReplaceAll(checkJS, "COOKIE", p.cookie("state"))
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src '"+hashOf(js)+"'; base-uri 'none'; frame-ancestors 'self'")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	w.Write([]byte("<!DOCTYPE html>\n<title>Session</title>\n<script>" + js + "</script>\n"))
}
