package idp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"opencloud/test/browser"
)

// watcher is a page of the web app that asks whether the session that it
// knows of is still the browser's (Session Management 1.0, section 3.1).
const watcher = `<!DOCTYPE html><title>waiting</title><iframe src="%s"></iframe><script>
const state = new URLSearchParams(location.search).get("session_state")
const frame = document.querySelector("iframe")
frame.onload = () => frame.contentWindow.postMessage("%s " + state, location.origin)
onmessage = (e) => { if (e.source === frame.contentWindow) document.title = e.data }
</script>`

// served is a house behind a real server, and a client with a web site of its own.
type served struct {
	*house
	server *httptest.Server
	site   *httptest.Server // the client's
	came   chan url.Values  // what browsers bring to the client
	config oauth2.Config
	oidc   *oidc.Provider
	ctx    context.Context
}

func serve(t *testing.T) *served {
	s := &served{came: make(chan url.Values, 1)}
	s.site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/back" {
			s.came <- r.URL.Query()
		}
		io.WriteString(w, "You can close this page.")
	}))
	t.Cleanup(s.site.Close)
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oidc-callback.html" {
			fmt.Fprintf(w, watcher, checkPath, webID)
			return
		}
		s.handler.ServeHTTP(w, r)
	}))
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	s.house = houseAt(t, options(s.server.URL))
	s.ctx = oidc.ClientContext(t.Context(), s.server.Client())
	var err error
	if s.oidc, err = oidc.NewProvider(s.ctx, s.server.URL); err != nil {
		t.Fatal(err)
	}
	s.config = oauth2.Config{ClientID: "tool", Endpoint: s.oidc.Endpoint(), RedirectURL: s.site.URL + "/back", Scopes: []string{"openid", "profile", "email", "offline_access"}}
	return s
}

// check is what the client does with what the browser has brought.
func (s *served) check(q url.Values, verifier, nonce string) {
	t := s.t
	t.Helper()
	if q.Get("state") != "st" || q.Get("iss") != s.server.URL {
		t.Fatalf("got %v", q)
	}
	tok, err := s.config.Exchange(s.ctx, q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := tok.Extra("id_token").(string)
	id, err := s.oidc.Verifier(&oidc.Config{ClientID: "tool"}).Verify(s.ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(tok.AccessToken); err != nil || id.Nonce != nonce || id.Subject != string(s.ada.ID) {
		t.Errorf("ID token: %+v, %v", id, err)
	}
	tok.Expiry = time.Now().Add(-time.Hour)
	source := s.config.TokenSource(s.ctx, tok)
	next, err := source.Token()
	if err != nil || next.AccessToken == tok.AccessToken || next.RefreshToken == tok.RefreshToken {
		t.Errorf("refreshed: %v", err)
	}
	info, err := s.oidc.UserInfo(s.ctx, source)
	if err != nil || info.Subject != id.Subject || info.Email != "ada@example.org" {
		t.Errorf("userinfo: %+v, %v", info, err)
	}
}

// A relying party that is not ours signs in, from discovery to userinfo.
func TestRelyingParty(t *testing.T) {
	s := serve(t)
	verifier := oauth2.GenerateVerifier()
	address := s.config.AuthCodeURL("st", oauth2.S256ChallengeOption(verifier), oidc.Nonce("no"))
	jar, _ := cookiejar.New(nil)
	visitor := &http.Client{Transport: s.server.Client().Transport, Jar: jar}
	resp, err := visitor.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	form := fields(string(body))
	form.Set("username", "ada")
	form.Set("password", secret)
	if resp, err = visitor.PostForm(s.server.URL+logonPath, form); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	select {
	case q := <-s.came:
		s.check(q, verifier, "no")
	default:
		t.Fatalf("the browser came not back, but to %s: %s", resp.Request.URL, resp.Status)
	}
}

// A real browser without scripts, by keyboard: a wrong password, the right
// one, and then only a click to go on.
func TestBrowser(t *testing.T) {
	b := browser.Start(t)
	b.Scripts(false)
	s := serve(t)
	sign := func(keys ...string) {
		t.Helper()
		verifier := oauth2.GenerateVerifier()
		b.Open(s.config.AuthCodeURL("st", oauth2.S256ChallengeOption(verifier), oidc.Nonce("no")))
		b.Keys(keys...)
		select {
		case q := <-s.came:
			s.check(q, verifier, "no")
		case <-t.Context().Done():
		case <-time.After(20 * time.Second):
			t.Fatalf("the browser did not come back; it shows: %v", b.Text())
		}
	}
	sign("focus:#oc-login-username", "ada", "\t", "wrong", "\r", "focus:#oc-login-error-message ~ #oc-login-password", secret, "\r")
	sign("focus:body", "\t", "\r")

	b.Scripts(true)
	b.Open(s.server.URL + authorizePath + "?" + ask(webID, s.server.URL+"/oidc-callback.html").Encode())
	b.Until("the session is the same", `document.title == "unchanged"`)
	address, _ := b.Eval("location.href").(string)
	b.Open(s.server.URL + identifier + "?" + ask("tool", s.config.RedirectURL, "prompt", "login").Encode())
	b.Keys("focus:#oc-login-username", "bob", "\t", secret, "\r")
	<-s.came
	b.Open(address)
	b.Until("the session is another one", `document.title == "changed"`)
}

// A real browser makes a passkey, and signs in with it alone.
func TestBrowserPasskey(t *testing.T) {
	b := browser.Start(t)
	var h *house
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	at := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	h = houseAt(t, options(at))
	b.Call("WebAuthn.enable", nil, nil)
	var device struct{ AuthenticatorID string }
	b.Call("WebAuthn.addVirtualAuthenticator", map[string]any{"options": map[string]any{
		"protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true, "isUserVerified": true,
	}}, &device)
	b.Open(at + securityPath)
	b.Keys("focus:#oc-login-username", "ada", "\t", secret, "\r")
	b.Press("#oc-passkey[data-make]:not([hidden]) button")
	b.Until("the key is listed", `!!document.querySelector("[value=forget]")`)
	b.Press("#oc-passkey[data-make]:not([hidden]) button") // the device has one already
	b.Call("WebAuthn.setUserVerified", map[string]any{"authenticatorId": device.AuthenticatorID, "isUserVerified": true}, nil)

	b.Open(at + identifier + "?" + ask(webID, at+"/oidc-callback.html", "prompt", "login").Encode())
	// Without a click: the browser offers the key at the field for the name,
	// and this device says yes at once.
	b.Until("signed in by passkey", `location.pathname == "/oidc-callback.html"`)
	if keys, err := h.p.keysOf.List(h.ada.ID); err != nil || len(keys) != 1 || keys[0].Used.IsZero() {
		t.Errorf("got %+v, %v", keys, err)
	}
}
