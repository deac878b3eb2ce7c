package idp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/auth/idp/passkey"
	"opencloud/cloud"
)

// device is an authenticator with one key.
type device struct {
	t      testing.TB
	key    *ecdsa.PrivateKey
	handle string
	count  uint32
}

var challengeIn = regexp.MustCompile(`data-challenge="([\w-]+)"`)
var handleIn = regexp.MustCompile(`data-handle="([\w-]+)"`)

func (d *device) data(flags byte, more ...byte) []byte {
	d.count++
	sum := sha256.Sum256([]byte("cloud.example.org"))
	return append(binary.BigEndian.AppendUint32(append(sum[:], flags), d.count), more...)
}

func clientData(kind, challenge string) []byte {
	b, _ := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": site})
	return b
}

// make fills in the form of the page of security.
func (d *device) make(page string) url.Values {
	d.t.Helper()
	form, challenge := fields(page), challengeIn.FindStringSubmatch(page)[1]
	d.handle = handleIn.FindStringSubmatch(page)[1]
	var err error
	if d.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		d.t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(d.key.Public())
	if err != nil {
		d.t.Fatal(err)
	}
	form.Set("answer", "key")
	form.Set("challenge", challenge)
	form.Set("client", b64.EncodeToString(clientData("webauthn.create", challenge)))
	form.Set("auth", b64.EncodeToString(d.data(0x45, append(make([]byte, 17), 2, 'i', 'd')...)))
	form.Set("public", b64.EncodeToString(public))
	return form
}

// use fills in the form of the page of signing in.
func (d *device) use(page string) url.Values {
	d.t.Helper()
	form, challenge := fields(page), challengeIn.FindStringSubmatch(page)[1]
	c, auth := clientData("webauthn.get", challenge), d.data(0x05)
	hash := sha256.Sum256(c)
	sum := sha256.Sum256(append(auth, hash[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, d.key, sum[:])
	if err != nil {
		d.t.Fatal(err)
	}
	for name, value := range map[string][]byte{"id": []byte("id"), "client": c, "auth": auth, "signature": sig} {
		form.Set(name, b64.EncodeToString(value))
	}
	form.Set("challenge", challenge)
	form.Set("handle", d.handle)
	return form
}

func TestPasskey(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		h.restart()
		defer func() { h.p.Close() }()
		d := &device{t: t}
		made := d.make(h.freshly("ada").Body.String())
		if w := h.do(post(securityPath, made)); w.Code != 303 {
			t.Fatalf("added: %d %s", w.Code, w.Body)
		}
		if w := h.do(post(securityPath, made)); w.Code != 401 {
			t.Errorf("added twice: %d", w.Code)
		}
		h.restart() // challenges end with the process
		h.jar, _ = cookiejar.New(nil)
		page := func() string {
			t.Helper()
			return h.page(ask(webID, callback, "prompt", "login")).Body.String()
		}
		use := func(form url.Values, more ...string) *httptest.ResponseRecorder {
			for i := 0; i < len(more); i += 2 {
				form.Set(more[i], more[i+1])
			}
			return h.do(post(keyPath, form))
		}
		first := d.use(page())
		g := h.exchange(webID, callback, answer(t, use(first), callback).Get("code"))
		if _, c := parts(t, g.ID); c["sub"] != string(h.ada.ID) || len(c["amr"].([]any)) != 3 {
			t.Errorf("ID token: %v", c)
		}
		bad := func(what string, w *httptest.ResponseRecorder) {
			t.Helper()
			if w.Code == 303 || !strings.Contains(w.Body.String(), `id="oc-login-password"`) {
				t.Errorf("%s: %d to %s", what, w.Code, w.Header().Get("Location"))
			}
		}
		bad("replay", use(first))
		bad("no key", use(fields(page())))
		bad("another key's id", use(d.use(page()), "id", "eHg"))
		bad("another user", use(d.use(page()), "handle", b64.EncodeToString(make([]byte, 16))))
		bad("a file of ours", use(d.use(page()), "handle", b64.EncodeToString([]byte("../../../../keys"))))
		bad("a challenge of somebody else", use(d.use(page()), "challenge", b64.EncodeToString(make([]byte, 40))))
		thief := &device{t: t, handle: d.handle, count: 100}
		thief.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		bad("another key", use(thief.use(page())))
		d.count = 0
		bad("a copy of the key", use(d.use(page())))
		d.count = 1000
		stale := d.use(page())
		time.Sleep(11 * time.Minute)
		bad("an old challenge", use(stale))
		// Of another browser: the challenge is bound to its cookie.
		foreign := d.use(page())
		h.jar, _ = cookiejar.New(nil)
		own := fields(page())
		foreign.Set("form", own.Get("form"))
		bad("a challenge of another browser", use(foreign))
		if w := use(d.use(page())); w.Code != 303 {
			t.Errorf("after all that: %d", w.Code)
		}

		// It is as good as a second factor, and can be taken away.
		if _, err := h.p.factors.Renew(h.ada.ID); err == nil {
			t.Error("there is a second factor")
		}
		form := fields(h.get(securityPath).Body.String())
		form.Set("answer", "forget")
		form.Set("id", b64.EncodeToString([]byte("id")))
		if w := h.do(post(securityPath, form)); w.Code != 303 {
			t.Errorf("removed: %d", w.Code)
		}
		bad("removed", use(d.use(page())))
		if err := h.dir.RemoveUser(t.Context(), h.ada.ID); err != nil {
			t.Fatal(err)
		}
		bad("the user is gone", use(d.use(page())))
	})
	h.open()
}

func TestPasskeysAreBounded(t *testing.T) {
	h := newHouse(t)
	for i := range 20 + 1 {
		d := &device{t: t}
		form := d.make(h.freshly("ada").Body.String())
		auth := d.data(0x45, append(make([]byte, 17), 2, 'i', byte(i))...)
		form.Set("auth", b64.EncodeToString(auth))
		if w := h.do(post(securityPath, form)); (w.Code == 303) != (i < 20) {
			t.Errorf("key %d: %d", i, w.Code)
		}
	}
}

// A site that is only an address can have no passkeys, and says so to nobody.
func TestNoPasskeys(t *testing.T) {
	for _, at := range []string{"https://192.0.2.1", "https://[2001:db8::1]:9200", "http://cloud.example.org"} {
		h := houseAt(t, options(at))
		w := h.page(ask(webID, at+"/"))
		if strings.Contains(w.Body.String(), `id="oc-passkey"`) || strings.Contains(w.Header().Get("Content-Security-Policy"), "script") {
			t.Errorf("%s: offered", at)
		}
		if _, err := h.p.keysOf.Verify(passkey.Proof{}, ""); cloud.KindOf(err) != cloud.Unauthorized {
			t.Errorf("%s: %v", at, err)
		}
	}
}
