// Package page is what people see when they sign in: HTML that works without
// a script, but for passkeys, in their language, light and dark. It decides
// nothing.
package page

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"opencloud/auth/idp/passkey"
	"opencloud/auth/idp/qr"
	"opencloud/cloud"
)

//go:embed page.html
var source string

//go:embed page.css
var style string

//go:embed passkey.js
var passkeyJS string

// Options say whose pages they are. Paths are below Base.
type Options struct {
	Product string
	Base    string // path in front of ours
	Secure  bool   // HTTPS
	Keys    *passkey.Store

	// Where the forms go.
	Identifier, Logon, Passkey, Second, Consent, Security, End string
}

// Pages is all of them.
type Pages struct {
	Options
	templates *template.Template
	policy    string // CSP, without form-action
	cookie    http.Cookie
}

// An Ask is what a client wants, as far as people see it.
type Ask struct {
	Query    string // comes back with the form as "request"
	Redirect string // where the form may lead in the end
	Client   string // its name; empty: the system itself
}

// New fails only when a template is broken.
func New(opts Options) (*Pages, error) {
	t, err := template.New("").Parse(source)
	if err != nil {
		return nil, err
	}
	v := &Pages{
		Options: opts, templates: t,
		policy: "default-src 'none'; style-src '" + HashOf(style) + "'; base-uri 'none'; frame-ancestors 'self'; form-action ",
		cookie: http.Cookie{Name: "oc-form", Path: "/", HttpOnly: true, Secure: opts.Secure, SameSite: http.SameSiteStrictMode},
	}
	if opts.Secure {
		v.cookie.Name = "__Host-oc-form"
	}
	return v, nil
}

// HashOf lets a browser take exactly this text (CSP 3, section 2.3.1).
func HashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// A Problem is what went wrong with a form.
type Problem uint8

const (
	None Problem = iota
	Wrong
	Throttled
	Expired
	Broken
	WrongCode
	WrongKey
	Needed // the last factor of who must have one
)

// statuses of pages that tell of a problem.
var statuses = [...]int{None: http.StatusOK, Wrong: http.StatusUnauthorized, Throttled: http.StatusTooManyRequests, Expired: http.StatusForbidden, Broken: http.StatusServiceUnavailable, WrongCode: http.StatusUnauthorized, WrongKey: http.StatusUnauthorized, Needed: http.StatusForbidden}

// A Form is what the user has typed.
type Form struct {
	Name    string
	Stay    bool
	Problem Problem
}

// A page is all that the templates use.
type page struct {
	words
	Product, Title string
	CSS            template.CSS
	Action         string // where the form goes
	KeyAction      string // and that for passkeys
	Token          string // see Mine
	Request        string // the request of the client, to come back with the form
	Session        string
	Form
	Message     string // what is wrong
	User, Other string // who is signed in; where to go to be somebody else
	Client      string

	// Of the second factor.
	Halfway, Secret, QR, QRBox string
	KeyURI                     template.URL
	Spaced, Codes              []string
	Has                        bool
	Key                        *keyPart

	Account *accountPart
}

// key is what the script needs, nil where there can be no passkeys.
func (v *Pages) key(form string) *keyPart {
	challenge := v.Keys.Challenge(form)
	if challenge == "" {
		return nil
	}
	return &keyPart{Challenge: b64.EncodeToString([]byte(challenge)), Site: v.Keys.Site.ID, Script: template.JS(passkeyJS)}
}

// newKey is what the script needs to make a passkey for a user who has some.
func (v *Pages) newKey(form string, u *cloud.User, have []cloud.Factor) *keyPart {
	k := v.key(form)
	if k == nil {
		return nil
	}
	id := passkey.Handle(u.ID)
	k.Make, k.Handle, k.Name = strings.Trim(fmt.Sprint(passkey.Algorithms), "[]"), b64.EncodeToString(id[:]), u.Name
	for _, f := range have {
		if f.Kind == cloud.Passkey {
			k.Have += " " + f.ID
		}
	}
	return k
}

// keyPart is the part of a page for passkeys.
type keyPart struct {
	Challenge, Site          string
	Make, Handle, Name, Have string // to make one
	Script                   template.JS
}

func (v *Pages) show(w http.ResponseWriter, name string, status int, formAction string, p page) {
	p.Product, p.CSS = v.Product, template.CSS(style)
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
		policy += "; script-src '" + HashOf(passkeyJS) + "'"
	}
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "SAMEORIGIN")
	if status == http.StatusTooManyRequests {
		h.Set("Retry-After", "10")
	}
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// SignIn asks for name and password.
func (v *Pages) SignIn(w http.ResponseWriter, r *http.Request, a Ask, f Form) {
	p := page{words: wordsFor(r, a.Query), Action: v.Base + v.Logon, KeyAction: v.Base + v.Passkey, Token: v.token(w, r), Request: a.Query, Form: f, Client: a.Client}
	p.Title = p.SignIn
	p.Message = p.about(f.Problem)
	p.Key = v.key(p.Token)
	v.show(w, "signin", statuses[f.Problem], formAction(a.Redirect), p)
}

// AskMore asks for a code, a passkey, or either.
func (v *Pages) AskMore(w http.ResponseWriter, r *http.Request, a Ask, halfway string, code, key bool, what Problem) {
	p := page{words: wordsFor(r, a.Query), Action: v.Base + v.Options.Second, KeyAction: v.Base + v.Passkey, Token: v.token(w, r), Request: a.Query, Halfway: halfway, Client: a.Client, Has: code}
	p.Title, p.Message = p.Second, p.about(what)
	if key {
		p.Key = v.key(p.Token)
	}
	v.show(w, "second", statuses[what], formAction(a.Redirect), p)
}

// Demand asks for setting up a second factor.
func (v *Pages) Demand(w http.ResponseWriter, r *http.Request, a Ask, halfway string, u *cloud.User, what Problem) {
	p := page{words: wordsFor(r, a.Query), Action: v.Base + v.Options.Second, Token: v.token(w, r), Request: a.Query, Halfway: halfway, User: nameOf(u)}
	p.Title, p.Message = p.Demand, p.about(what)
	p.Key = v.newKey(p.Token, u, nil)
	v.show(w, "demand", statuses[what], formAction(a.Redirect), p)
}

// Enrol shows the secret for an app and asks for a code of it. It is half way
// to a sign-in, or on the way back to the page of security when halfway is empty.
func (v *Pages) Enrol(w http.ResponseWriter, r *http.Request, a Ask, halfway string, u *cloud.User, secret []byte, what Problem) {
	p := v.toSecond(w, r, a, halfway)
	p.Secret = b32.EncodeToString(secret)
	uri := keyURI(v.Product, u.Name, secret)
	p.KeyURI = template.URL(uri)
	if path, size, ok := qr.Path(uri); ok {
		p.QR, p.QRBox = path, fmt.Sprintf("-4 -4 %d %d", size+8, size+8)
	}
	for i := 0; i < len(p.Secret); i += 4 {
		p.Spaced = append(p.Spaced, p.Secret[i:min(i+4, len(p.Secret))])
	}
	p.Title, p.Message = p.SetUp, p.about(what)
	v.show(w, "enrol", statuses[what], formAction(a.Redirect), p)
}

// Codes shows the codes for paper, this once. Halfway is as for Enrol.
func (v *Pages) Codes(w http.ResponseWriter, r *http.Request, a Ask, halfway string, codes []string) {
	p := v.toSecond(w, r, a, halfway)
	p.Codes = codes
	p.Title = p.Paper
	v.show(w, "codes", http.StatusOK, formAction(a.Redirect), p)
}

// toSecond is a page that leads to the second step of a sign-in, or else to
// the page of security.
func (v *Pages) toSecond(w http.ResponseWriter, r *http.Request, a Ask, halfway string) page {
	p := page{words: wordsFor(r, a.Query), Action: v.Base + v.Options.Second, Token: v.token(w, r), Request: a.Query, Halfway: halfway}
	if halfway == "" {
		p.Action, p.Other = v.Base+v.Options.Security, v.Base+v.Options.Security
	}
	return p
}

// Choose asks whether to go on as who is signed in.
func (v *Pages) Choose(w http.ResponseWriter, r *http.Request, a Ask, session string, u *cloud.User) {
	p := page{
		words: wordsFor(r, a.Query), Action: v.Base + v.Consent, Token: v.token(w, r), Request: a.Query, Session: session,
		User: nameOf(u), Client: a.Client,
	}
	q, _ := url.ParseQuery(a.Query) // parse has seen it
	q.Set("prompt", "login")
	p.Other = v.Base + v.Identifier + "?" + q.Encode()
	p.Title = p.Welcome
	v.show(w, "choose", http.StatusOK, formAction(a.Redirect), p)
}

// Leave asks whether to sign out.
func (v *Pages) Leave(w http.ResponseWriter, r *http.Request, query, to string, u *cloud.User) {
	p := page{words: wordsFor(r, query), Action: v.Base + v.End, Token: v.token(w, r), Request: query, User: nameOf(u)}
	p.Title = p.SignOut
	v.show(w, "leave", http.StatusOK, formAction(to), p)
}

// Left says that nobody is signed in any more.
func (v *Pages) Left(w http.ResponseWriter, r *http.Request) {
	p := page{words: wordsFor(r, r.URL.RawQuery), Other: v.Base + "/"}
	p.Title = p.SignedOut
	v.show(w, "left", http.StatusOK, "'none'", p)
}

// Failed is where nothing can be done but begin anew. code is one of OAuth's,
// which may have a sentence in the user's language, and say the sentence for
// it; without a code it is our fault.
func (v *Pages) Failed(w http.ResponseWriter, r *http.Request, status int, code, say string) {
	p := page{words: wordsFor(r, r.URL.RawQuery), Other: v.Base + "/"}
	p.Title, p.Message = p.Failed, p.Broken
	if code != "" {
		p.Message = p.refused(code, say)
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

// Mine tells whether a form, which must be parsed, is from a page that this
// browser got from us.
func (v *Pages) Mine(r *http.Request) bool {
	c, err := r.Cookie(v.cookie.Name)
	return err == nil && wellFormed(c.Value) && subtle.ConstantTimeCompare([]byte(c.Value), []byte(r.PostForm.Get("form"))) == 1
}

// token is what Mine wants to see again.
func (v *Pages) token(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(v.cookie.Name); err == nil && wellFormed(c.Value) {
		return c.Value // other pages that are open have it, too
	}
	c := v.cookie
	c.Value = rand.Text()
	http.SetCookie(w, &c)
	return c.Value
}

// wellFormed is what rand.Text makes.
func wellFormed(token string) bool {
	return len(token) >= 26 && strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

var (
	b32 = base32.StdEncoding.WithPadding(base32.NoPadding)
	b64 = base64.RawURLEncoding
)

// keyURI is what authenticator apps read from the picture.
func keyURI(product, name string, secret []byte) string {
	q := url.Values{"secret": {b32.EncodeToString(secret)}, "issuer": {product}}
	return "otpauth://totp/" + url.PathEscape(product+":"+name) + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}
