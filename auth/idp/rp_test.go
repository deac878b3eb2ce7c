package idp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
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
	browser := &http.Client{Transport: s.server.Client().Transport, Jar: jar}
	resp, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	form := fields(string(body))
	form.Set("username", "ada")
	form.Set("password", secret)
	if resp, err = browser.PostForm(s.server.URL+logonPath, form); err != nil {
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
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium here to sign in with")
	}
	s := serve(t)
	b := startChromium(t, path)
	sign := func(keys ...string) {
		t.Helper()
		verifier := oauth2.GenerateVerifier()
		b.open(s.config.AuthCodeURL("st", oauth2.S256ChallengeOption(verifier), oidc.Nonce("no")))
		b.keys(keys...)
		select {
		case q := <-s.came:
			s.check(q, verifier, "no")
		case <-t.Context().Done():
		case <-time.After(20 * time.Second):
			t.Fatalf("the browser did not come back; it shows: %v", b.text())
		}
	}
	sign("focus:#oc-login-username", "ada", "\t", "wrong", "\r", "focus:#oc-login-error-message ~ #oc-login-password", secret, "\r")
	sign("focus:body", "\t", "\r")

	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": false}, nil)
	b.open(s.server.URL + authorizePath + "?" + ask(webID, s.server.URL+"/oidc-callback.html").Encode())
	b.until("the session is the same", `document.title == "unchanged"`)
	address, _ := b.eval("location.href").(string)
	b.open(s.server.URL + identifier + "?" + ask("tool", s.config.RedirectURL, "prompt", "login").Encode())
	b.keys("focus:#oc-login-username", "bob", "\t", secret, "\r")
	<-s.came
	b.open(address)
	b.until("the session is another one", `document.title == "changed"`)
}

// A real browser makes a passkey, and signs in with it alone.
func TestBrowserPasskey(t *testing.T) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium here to make a passkey with")
	}
	var h *house
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	at := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	h = houseAt(t, options(at))
	b := startChromium(t, path)
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": false}, nil)
	b.call("WebAuthn.enable", nil, nil)
	var device struct{ AuthenticatorID string }
	b.call("WebAuthn.addVirtualAuthenticator", map[string]any{"options": map[string]any{
		"protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true, "isUserVerified": true,
	}}, &device)
	button := func(selector string) {
		t.Helper()
		b.until(selector, fmt.Sprintf(`document.readyState == "complete" && !!document.querySelector(%q)`, selector))
		b.eval(fmt.Sprintf("document.querySelector(%q).focus()", selector))
		b.keys("\r")
	}
	b.open(at + securityPath)
	b.keys("focus:#oc-login-username", "ada", "\t", secret, "\r")
	button("#oc-passkey[data-make]:not([hidden]) button")
	b.until("the key is listed", `!!document.querySelector("[value=forget]")`)
	button("#oc-passkey[data-make]:not([hidden]) button") // the device has one already
	b.call("WebAuthn.setUserVerified", map[string]any{"authenticatorId": device.AuthenticatorID, "isUserVerified": true}, nil)

	b.open(at + identifier + "?" + ask(webID, at+"/oidc-callback.html", "prompt", "login").Encode())
	// Without a click: the browser offers the key at the field for the name,
	// and this device says yes at once.
	b.until("signed in by passkey", `location.pathname == "/oidc-callback.html"`)
	if keys, err := h.p.keysOf.List(h.ada.ID); err != nil || len(keys) != 1 || keys[0].Used.IsZero() {
		t.Errorf("got %+v, %v", keys, err)
	}
}

// chromium is driven over its pipe (Chrome DevTools Protocol).
type chromium struct {
	t       *testing.T
	to      io.Writer
	from    *bufio.Reader
	last    int
	session string
}

func startChromium(t *testing.T, path string) *chromium {
	t.Helper()
	toR, toW, err1 := os.Pipe()
	fromR, fromW, err2 := os.Pipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	cmd := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{toR, fromW}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toR.Close()
	fromW.Close()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		toW.Close()
		fromR.Close()
		if t.Failed() {
			t.Logf("chromium says:\n%.2000s", stderr.String())
		}
	})
	fromR.SetReadDeadline(time.Now().Add(time.Minute))
	b := &chromium{t: t, to: toW, from: bufio.NewReader(fromR)}
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.call("Page.enable", nil, nil)
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	return b
}

type message struct {
	ID     int
	Result json.RawMessage
	Error  *struct{ Message string }
}

func (b *chromium) next() (m message) {
	b.t.Helper()
	text, err := b.from.ReadBytes(0)
	if err == nil {
		err = json.Unmarshal(text[:len(text)-1], &m)
	}
	if err != nil {
		b.t.Fatalf("chromium: %v", err)
	}
	return m
}

func (b *chromium) call(method string, params map[string]any, into any) {
	b.t.Helper()
	if err := b.try(method, params, into); err != nil {
		b.t.Fatal(err)
	}
}

func (b *chromium) try(method string, params map[string]any, into any) error {
	b.t.Helper()
	b.last++
	msg := map[string]any{"id": b.last, "method": method, "params": params}
	if params == nil {
		delete(msg, "params")
	}
	if b.session != "" {
		msg["sessionId"] = b.session
	}
	text, err := json.Marshal(msg)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatal(err)
	}
	for {
		m := b.next()
		if m.ID != b.last {
			continue
		}
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(m.Result, into)
	}
}

func (b *chromium) open(address string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": address}, nil)
}

// focus waits until the page is there and has the focus where it should be.
func (b *chromium) focus(selector string) {
	b.t.Helper()
	b.until("the focus is on "+selector, fmt.Sprintf(`document.readyState == "complete" && location.protocol != "about:" && document.activeElement && document.activeElement.matches(%q)`, selector))
}

func (b *chromium) until(what, expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); b.eval(expression) != true; {
		if time.Now().After(deadline) {
			b.t.Fatalf("not true: %s; the page is: %v", what, b.text())
		}
	}
}

// keys types texts; "\t" and "\r" are keys, "focus:" waits for a page.
func (b *chromium) keys(all ...string) {
	b.t.Helper()
	for _, k := range all {
		if selector, ok := strings.CutPrefix(k, "focus:"); ok {
			b.focus(selector)
			continue
		}
		switch k {
		case "\t", "\r":
			name, code := "Tab", 9
			if k == "\r" {
				name, code = "Enter", 13
			}
			for _, typ := range []string{"keyDown", "keyUp"} {
				p := map[string]any{"type": typ, "key": name, "code": name, "windowsVirtualKeyCode": code}
				if typ == "keyDown" && k == "\r" {
					p["text"] = k
				}
				b.call("Input.dispatchKeyEvent", p, nil)
			}
		default:
			b.call("Input.insertText", map[string]any{"text": k}, nil)
		}
	}
}

func (b *chromium) text() any { return b.eval("location.href + ' ' + document.body.innerText") }

func (b *chromium) eval(expression string) any {
	b.t.Helper()
	var r struct{ Result struct{ Value any } }
	if b.try("Runtime.evaluate", map[string]any{"expression": expression}, &r) != nil {
		return nil // between two pages
	}
	return r.Result.Value
}
