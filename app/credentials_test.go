package app

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// A hall is the whole server with ada, who has a file, and bob.
type hall struct {
	*client
	s        *System
	f        *front
	ada, bob string // ids
	file     string // path of ada's file, by ids
}

const machineKey = "a key of the machines"

func newHall(t *testing.T, env ...string) *hall {
	t.Helper()
	s := system(t, append([]string{"OC_MACHINE_AUTH_API_KEY=" + machineKey, "OC_SERVICE_ACCOUNT_ID=indexer", "OC_SERVICE_ACCOUNT_SECRET=" + machineKey}, env...)...)
	f := frontOf(t, s, routes(s))
	f.log = quiet
	h := &hall{client: &client{t, f}, s: s, f: f}
	for name, id := range map[string]*string{"ada": &h.ada, "bob": &h.bob} {
		u := h.do(201, "admin", password, "POST", "/graph/v1.0/users", `{"displayName":"`+name+`","onPremisesSamAccountName":"`+name+`","mail":"`+name+`@example.org","passwordProfile":{"password":"`+password+`"}}`)
		*id = u["id"].(string)
	}
	r := raw("PUT", "/dav/files/ada/a.txt")
	r.SetBasicAuth("ada", password)
	r.Body = http.NoBody
	h.file = "/dav/spaces/" + h.ask(r).Header().Get("OC-FileId")
	return h
}

func (h *hall) ask(r *http.Request) *httptest.ResponseRecorder {
	h.Helper()
	w := httptest.NewRecorder()
	h.f.ServeHTTP(w, r)
	return w
}

// as sends a request that sign has put credentials into.
func (h *hall) as(sign func(*http.Request), method, path, body string) *httptest.ResponseRecorder {
	h.Helper()
	r := httptest.NewRequest(method, "http://localhost:9200"+path, strings.NewReader(body))
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	r.RemoteAddr = "192.0.2.1:1234"
	sign(r)
	return h.ask(r)
}

func basicAuth(name, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(name, password) }
}

func authorization(text string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", text) }
}

func machineAuth(scheme, name, secret string) func(*http.Request) {
	return authorization(scheme + " " + base64.StdEncoding.EncodeToString([]byte(name+":"+secret)))
}

// appToken makes one for whoever the credentials are of.
func (h *hall) appToken(sign func(*http.Request), query string) string {
	h.Helper()
	var made struct{ Token string }
	w := h.as(sign, "POST", "/auth-app/tokens?"+query, "")
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != 200 || made.Token == "" {
		h.Fatalf("making a token: %d %s", w.Code, w.Body)
	}
	return made.Token
}

func (h *hall) signingKey(sign func(*http.Request)) string {
	h.Helper()
	w := h.as(sign, "GET", "/ocs/v1.php/cloud/user/signing-key", "")
	m := regexp.MustCompile("<signing-key>(k[A-Z2-7]+)</signing-key>").FindStringSubmatch(w.Body.String())
	if m == nil {
		h.Fatalf("signing key: %d %s", w.Code, w.Body)
	}
	return m[1]
}

// signature signs an address the way clients do.
func (h *hall) signature(name, key string) func(*http.Request) {
	return func(r *http.Request) { signAddress(r, h.f.site.URL.String(), name, key, time.Now(), 20*time.Minute) }
}

func signAddress(r *http.Request, base, name, key string, at time.Time, life time.Duration) {
	q := url.Values{
		"OC-Credential": {name}, "OC-Date": {at.UTC().Format("2006-01-02T15:04:05.000Z")},
		"OC-Expires": {strconv.Itoa(int(life / time.Second))}, "OC-Verb": {"GET"},
	}.Encode()
	if r.URL.RawQuery != "" {
		q = r.URL.RawQuery + "&" + q
	}
	sum, err := pbkdf2.Key(sha512.New, base+r.URL.EscapedPath()+"?"+q, []byte(key), 10_000, 32)
	if err != nil {
		panic(err)
	}
	r.URL.RawQuery = q + "&OC-Algo=PBKDF2%2F10000-SHA512&OC-Signature=" + hex.EncodeToString(sum)
}

// link is the address of ada's file that a PROPFIND by somebody tells.
func (h *hall) link(sign func(*http.Request)) string {
	h.Helper()
	w := h.as(func(r *http.Request) {
		sign(r)
		r.Header.Set("Depth", "0")
	}, "PROPFIND", h.file, `<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><oc:downloadURL/></d:prop></d:propfind>`)
	m := regexp.MustCompile("<oc:downloadURL>(.*)</oc:downloadURL>").FindStringSubmatch(w.Body.String())
	if m == nil {
		return ""
	}
	return m[1]
}

func opened(address string) func(*http.Request) {
	u, err := url.Parse(address)
	return func(r *http.Request) {
		if err != nil || u.Path != r.URL.Path {
			panic("not the address of the request: " + address)
		}
		r.URL.RawQuery = u.RawQuery
	}
}

// Every kind of credentials, in every state that it can be in.
func TestCredentials(t *testing.T) {
	type credential struct {
		name string
		// with returns what puts ada's credentials into a request for her file,
		// and what takes them back (nil: nobody can).
		with func(h *hall) (sign func(*http.Request), revoke func())
		life time.Duration // 0: for ever
		// foreign puts what is not the user's own into the request.
		foreign func(h *hall) func(*http.Request)
	}
	all := []credential{
		{"password", func(h *hall) (func(*http.Request), func()) {
			return basicAuth("ada", password), func() {
				h.do(200, "admin", password, "PATCH", "/graph/v1.0/users/"+h.ada, `{"passwordProfile":{"password":"another one"}}`)
			}
		}, 0, func(h *hall) func(*http.Request) { return basicAuth("ada", "of somebody else") }},
		{"session", func(h *hall) (func(*http.Request), func()) {
			b := newBrowser(h.T, h.f)
			return authorization("Bearer " + b.signInAs("ada")), b.signOut
		}, 5 * time.Minute, nil},
		{"app token", func(h *hall) (func(*http.Request), func()) {
			return basicAuth("ada", h.appToken(basicAuth("ada", password), "expiry=72h")), func() {
				var list []struct{ Token string }
				w := h.as(basicAuth("ada", password), "GET", "/auth-app/tokens", "")
				if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || len(list) != 1 {
					h.Fatalf("list: %d %s", w.Code, w.Body)
				}
				if w := h.as(basicAuth("ada", password), "DELETE", "/auth-app/tokens?token="+list[0].Token, ""); w.Code != 200 {
					h.Fatalf("revoke: %d %s", w.Code, w.Body)
				}
			}
		}, 72 * time.Hour, func(h *hall) func(*http.Request) {
			return basicAuth("ada", h.appToken(basicAuth("bob", password), "expiry=72h"))
		}},
		{"signature", func(h *hall) (func(*http.Request), func()) {
			var query string
			sign := h.signature("ada", h.signingKey(basicAuth("ada", password)))
			return func(r *http.Request) {
					if query == "" {
						sign(r)
						query = r.URL.RawQuery
					}
					r.URL.RawQuery = query
				}, func() {
					h.do(200, "admin", password, "PATCH", "/graph/v1.0/users/"+h.ada, `{"passwordProfile":{"password":"another one"}}`)
				}
		}, 20 * time.Minute, func(h *hall) func(*http.Request) {
			h.signingKey(basicAuth("ada", password))
			return h.signature("ada", h.signingKey(basicAuth("bob", password)))
		}},
		{"link", func(h *hall) (func(*http.Request), func()) {
			b := newBrowser(h.T, h.f)
			return opened(h.link(authorization("Bearer " + b.signInAs("ada")))), b.signOut
		}, 30 * time.Minute, func(h *hall) func(*http.Request) {
			r := raw("PUT", "/dav/files/ada/b.txt") // hers, too, but another file
			r.SetBasicAuth("ada", password)
			other := *h
			other.file = "/dav/spaces/" + h.ask(r).Header().Get("OC-FileId")
			_, query, _ := strings.Cut(other.link(basicAuth("ada", password)), "?")
			return func(r *http.Request) { r.URL.RawQuery = query }
		}},
		{"machine", func(h *hall) (func(*http.Request), func()) {
			return machineAuth("Machine", h.ada, machineKey), nil
		}, 0, func(h *hall) func(*http.Request) { return machineAuth("Machine", h.ada, machineKey[1:]) }},
	}
	states := []struct {
		name string
		want int
		do   func(h *hall, c credential, revoke func()) bool // false: there is no such state
	}{
		{"valid", 200, func(*hall, credential, func()) bool { return true }},
		{"nearly expired", 200, func(h *hall, c credential, _ func()) bool {
			time.Sleep(max(0, c.life-2*time.Second))
			return c.life > 0
		}},
		{"expired", 401, func(h *hall, c credential, _ func()) bool {
			time.Sleep(c.life)
			return c.life > 0
		}},
		{"revoked", 401, func(h *hall, c credential, revoke func()) bool {
			if revoke != nil {
				revoke()
			}
			return revoke != nil
		}},
		{"user disabled", 401, func(h *hall, _ credential, _ func()) bool {
			h.do(200, "admin", password, "PATCH", "/graph/v1.0/users/"+h.ada, `{"accountEnabled":false}`)
			return true
		}},
		{"user removed", 401, func(h *hall, _ credential, _ func()) bool {
			h.do(204, "admin", password, "DELETE", "/graph/v1.0/users/"+h.ada, "")
			return true
		}},
		{"foreign", 401, nil},
	}
	for _, c := range all {
		for _, st := range states {
			t.Run(c.name+"/"+st.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHall(t)
					var sign func(*http.Request)
					if st.do == nil {
						if c.foreign == nil {
							return
						}
						sign = c.foreign(h)
					} else {
						var revoke func()
						sign, revoke = c.with(h)
						if got := h.as(sign, "GET", h.file, ""); got.Code != 200 {
							t.Fatalf("at first: %d %s", got.Code, got.Body)
						}
						if !st.do(h, c, revoke) {
							return
						}
					}
					for range 2 {
						if got := h.as(sign, "GET", h.file, ""); got.Code != st.want {
							t.Errorf("got %d, want %d: %s", got.Code, st.want, got.Body)
						}
					}
				})
			})
		}
	}
}

// What was given away reads and writes files as the user, and cannot be made
// into more: neither into another way in, nor into somebody else's.
func TestWhatCredentialsCannotDo(t *testing.T) {
	h := newHall(t)
	admin, ada := basicAuth("admin", password), basicAuth("ada", password)
	adminToken := basicAuth("admin", h.appToken(admin, "expiry=1h"))
	adaToken := basicAuth("ada", h.appToken(ada, "expiry=1h&label=phone"))
	signature := h.signature("ada", h.signingKey(ada))
	machine := machineAuth("Machine", h.ada, machineKey)
	service := machineAuth("Service", "indexer", machineKey)
	const setPassword = `{"passwordProfile":{"password":"a new secret"}}`
	for _, c := range []struct {
		name   string
		sign   func(*http.Request)
		method string
		path   string
		body   string
		want   int
	}{
		{"token", adaToken, "GET", "/graph/v1.0/me", "", 200},
		{"token", adaToken, "PUT", "/dav/files/ada/c.txt", "x", 201},
		{"token", adaToken, "GET", "/auth-app/tokens", "", 200},
		{"token", adaToken, "POST", "/auth-app/tokens?expiry=1h", "", 403},
		{"token", adaToken, "DELETE", "/auth-app/tokens?token=x", "", 403},
		{"token", adaToken, "GET", "/ocs/v1.php/cloud/user/signing-key", "", 200}, // 403 within, as this dialect has it
		{"token", adaToken, "GET", "/ocs/v2.php/cloud/user/signing-key", "", 403},
		{"token", adaToken, "POST", "/graph/v1.0/me/changePassword", `{"currentPassword":"` + password + `","newPassword":"a new secret"}`, 403},
		{"admin's token", adminToken, "GET", "/graph/v1.0/users", "", 200},
		{"admin's token", adminToken, "PATCH", "/graph/v1.0/users/" + h.bob, `{"displayName":"Bob"}`, 200},
		{"admin's token", adminToken, "PATCH", "/graph/v1.0/users/" + h.bob, setPassword, 403},
		{"admin's token", adminToken, "POST", "/graph/v1.0/users/" + h.bob + "/appRoleAssignments", `{"principalId":"` + h.bob + `","resourceId":"f4e3b2a1-6a5c-4d0e-9c37-2b8d1e07a9f5","appRoleId":"71881883-1768-46bd-a24d-a356a2afdf7f"}`, 403},
		{"admin's token", adminToken, "POST", "/auth-app/tokens?expiry=1h&userName=ada", "", 403},
		{"signature", signature, "GET", "/graph/v1.0/me", "", 200},
		{"signature", signature, "GET", h.file + "?x=y%20z&a=%2F", "", 200},
		{"signature", signature, "HEAD", h.file, "", 200},
		{"signature", signature, "GET", "/ocs/v2.php/cloud/user/signing-key", "", 403},
		{"signature", signature, "POST", "/auth-app/tokens?expiry=1h", "", 401},
		{"signature", signature, "PUT", "/dav/files/ada/d.txt", "x", 401},
		{"signature", signature, "DELETE", h.file, "", 401},
		{"signature", signature, "PROPFIND", h.file, "", 401},
		{"machine", machine, "GET", "/graph/v1.0/me", "", 200},
		{"machine", machine, "POST", "/auth-app/tokens?expiry=1h", "", 403},
		{"machine", machineAuth("Machine", "nobody", machineKey), "GET", "/graph/v1.0/me", "", 401},
		{"machine", machineAuth("Machine", "ada", machineKey), "GET", "/graph/v1.0/me", "", 401}, // ids, not names
		{"service", service, "GET", "/graph/v1.0/drives/" + strings.Split(strings.TrimPrefix(h.file, "/dav/spaces/"), "!")[0], "", 200},
		{"service", service, "GET", h.file, "", 404},
		{"service", service, "GET", "/graph/v1.0/users", "", 403},
		{"service", service, "GET", "/graph/v1.0/me/drive", "", 403},
		{"service", service, "POST", "/auth-app/tokens?expiry=1h", "", 403},
		{"service", machineAuth("Service", "indexer", machineKey+"x"), "GET", "/graph/v1.0/me", "", 401},
		{"service", machineAuth("Service", "other", machineKey), "GET", "/graph/v1.0/me", "", 401},
		{"service", machineAuth("Service", "", machineKey), "GET", "/graph/v1.0/me", "", 401},
	} {
		if w := h.as(c.sign, c.method, c.path, c.body); w.Code != c.want {
			t.Errorf("%s: %s %s: got %d, want %d: %s", c.name, c.method, c.path, w.Code, c.want, w.Body)
		}
	}
	if got := h.link(adaToken); got != "" {
		t.Errorf("an app token gets the link %s", got)
	}
	address := h.link(ada)
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "PUT": 401, "DELETE": 401, "PROPFIND": 401, "MOVE": 401} {
		if w := h.as(opened(address), method, h.file, ""); w.Code != want {
			t.Errorf("%s of a link: got %d, want %d", method, w.Code, want)
		}
	}
	if w := h.as(func(r *http.Request) {
		opened(address)(r)
		r.URL.RawQuery += "&preview=1&x=36"
	}, "GET", h.file, ""); w.Code != 200 {
		t.Errorf("a link with what a client adds: %d", w.Code)
	}
	// What stands in the header is not made up for by the address.
	if w := h.as(func(r *http.Request) {
		opened(address)(r)
		r.SetBasicAuth("ada", "wrong")
	}, "GET", h.file, ""); w.Code != 401 {
		t.Errorf("a link with a wrong password: %d", w.Code)
	}
	for _, text := range []string{`"indexer"`, "bcceed81"} {
		for _, path := range []string{"/graph/v1.0/users", "/graph/v1.0/applications"} {
			if w := h.as(admin, "GET", path, ""); w.Code != 200 || strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: %d, shows %s", path, w.Code, text)
			}
		}
	}
	h.do(400, "admin", password, "POST", "/graph/v1.0/users/"+h.bob+"/appRoleAssignments", `{"principalId":"`+h.bob+`","resourceId":"f4e3b2a1-6a5c-4d0e-9c37-2b8d1e07a9f5","appRoleId":"bcceed81-c610-49cc-ab77-39a024e8da12"}`)
}

// Without passwords and with a second factor, programs come in all the same,
// and nobody who guesses keeps them out.
func TestAppTokensWithoutPasswords(t *testing.T) {
	h := newHall(t, "OC_AUTH_GUESSES=5")
	token := h.appToken(basicAuth("ada", password), "expiry=1h")
	// The same folder, with other settings.
	s := system(t, "OC_AUTH_GUESSES=5", "PROXY_ENABLE_BASIC_AUTH=false", "AUTH_APP_PATH="+h.s.Config.AppTokens.Path, "IDM_PATH="+h.s.Config.IDM.Path)
	f := frontOf(t, s, routes(s))
	f.log = quiet
	s.Auth.NeedsMore(func(u *cloud.User) bool { return true })
	get := func(name, secret string) *httptest.ResponseRecorder {
		r := raw("GET", "/graph/v1.0/me")
		r.RemoteAddr = "192.0.2.1:5"
		r.SetBasicAuth(name, secret)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		return w
	}
	w := get("nobody", "x")
	if got := w.Header().Values("WWW-Authenticate"); w.Code != 401 || len(got) != 2 || !strings.HasPrefix(got[1], "Basic") {
		t.Errorf("challenges: %d %q", w.Code, got)
	}
	for i := range 8 {
		want := 401
		if i >= 5 {
			want = 429
		}
		guess := password
		if i%2 == 1 {
			guess = token[:len(token)-1] + "q"
		}
		if w := get("ada", guess); w.Code != want {
			t.Errorf("guess %d: %d, want %d: %s", i, w.Code, want, w.Body)
		}
		if w := get("Ada", strings.ToUpper(strings.ReplaceAll(token, "-", " "))); w.Code != 200 {
			t.Errorf("the token, as typed: %d %s", w.Code, w.Body)
		}
		if w := get("bob", token); w.Code != 401 && i < 5 {
			t.Errorf("the token by another name: %d", w.Code)
		}
	}
}

func TestAppTokensSwitchedOff(t *testing.T) {
	for _, env := range []string{"PROXY_ENABLE_APP_AUTH=false", "OC_EXCLUDE_RUN_SERVICES=auth-app"} {
		h := newHall(t, env)
		if w := h.as(basicAuth("ada", password), "POST", "/auth-app/tokens?expiry=1h", ""); w.Code != 404 {
			t.Errorf("%s: %d %s", env, w.Code, w.Body)
		}
	}
	h := newHall(t, "PROXY_ENABLE_PRESIGNEDURLS=false")
	if got := h.link(basicAuth("ada", password)); got != "" {
		t.Errorf("a link: %s", got)
	}
	if w := h.as(basicAuth("ada", password), "GET", "/ocs/v2.php/cloud/user/signing-key", ""); w.Code != 404 {
		t.Errorf("a key: %d", w.Code)
	}
}

// Administrators make tokens for others only where that is allowed.
func TestAppTokensOfOthers(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		h := newHall(t, "AUTH_APP_ENABLE_IMPERSONATION="+strconv.FormatBool(allowed))
		want := 403
		if allowed {
			want = 200
		}
		for _, who := range []string{"userName=ada", "userID=" + h.ada} {
			for method, path := range map[string]string{"POST": "/auth-app/tokens?expiry=1h&", "GET": "/auth-app/tokens?"} {
				if w := h.as(basicAuth("admin", password), method, path+who, ""); w.Code != want {
					t.Errorf("%v: admin: %s %s: %d %s", allowed, method, who, w.Code, w.Body)
				}
				if w := h.as(basicAuth("bob", password), method, path+who, ""); w.Code != 403 && w.Code != 404 {
					t.Errorf("%v: bob: %s %s: %d %s", allowed, method, who, w.Code, w.Body)
				}
			}
		}
		if !allowed {
			continue
		}
		token := h.appToken(basicAuth("admin", password), "expiry=1h&userName=ada")
		if w := h.as(basicAuth("ada", token), "GET", "/graph/v1.0/me", ""); w.Code != 200 {
			t.Errorf("the token made for ada: %d", w.Code)
		}
		if w := h.as(basicAuth("admin", token), "GET", "/graph/v1.0/me", ""); w.Code != 401 {
			t.Errorf("the token made for ada, as admin: %d", w.Code)
		}
		if w := h.as(basicAuth("admin", password), "POST", "/auth-app/tokens?expiry=1h&userID=11111111-1111-4111-8111-111111111111", ""); w.Code != 404 {
			t.Errorf("for nobody: %d", w.Code)
		}
	}
}

// Behind a base path the address that clients know is what is signed.
func TestSignedBelowABasePath(t *testing.T) {
	for _, at := range []string{"https://Example.org:443/cloud", "http://localhost:9200"} {
		s := system(t, "OC_URL="+at)
		f := frontOf(t, s, routes(s))
		f.log = quiet
		h := &hall{client: &client{t, f}, s: s, f: f}
		base := s.Config.Site().EscapedPath()
		key := regexp.MustCompile("k[A-Z2-7]+").FindString(h.as(basicAuth("admin", password), "GET", base+"/ocs/v2.php/cloud/user/signing-key?format=json", "").Body.String())
		if w := h.as(basicAuth("admin", password), "PUT", base+"/dav/files/admin/a%20b%25", "x"); w.Code != 201 {
			t.Fatalf("%s: %d %s", at, w.Code, w.Body)
		}
		known := strings.TrimSuffix(strings.ToLower(strings.Replace(at, ":443", "", 1)), base)
		sign := func(r *http.Request) { signAddress(r, known, "admin", key, time.Now(), time.Minute) }
		if w := h.as(sign, "GET", base+"/dav/files/admin/a%20b%25", ""); w.Code != 200 {
			t.Errorf("%s: %d %s", at, w.Code, w.Body)
		}
	}
}

// An address that is signed does not come into the log, whatever happens.
func TestSignaturesAreNotLogged(t *testing.T) {
	h := newHall(t)
	var log bytes.Buffer
	address := h.link(basicAuth("ada", password))
	sign := h.signature("ada", h.signingKey(basicAuth("ada", password)))
	token := h.appToken(basicAuth("ada", password), "expiry=1h")
	h.f.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.as(opened(address), "GET", h.file, "")
	h.as(opened(address), "PUT", h.file, "")
	h.as(sign, "GET", h.file, "")
	h.as(sign, "GET", h.file+"x", "")
	h.as(sign, "PUT", h.file, "")
	h.as(basicAuth("ada", token), "DELETE", "/auth-app/tokens?token="+token, "")
	w := h.as(sign, "GET", h.file, "")
	if got := w.Header().Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("Referrer-Policy: %q", got)
	}
	if got := log.String(); !strings.Contains(got, "status=200") || strings.Contains(got, "oc-jwt-sig") || strings.Contains(got, "OC-Sig") || strings.Contains(got, token) {
		t.Errorf("the log:\n%s", got)
	}
}

// An app token costs little, whatever a password costs.
func BenchmarkAppToken(b *testing.B) {
	s := system(b)
	f, err := newFront(s, []Route{{"/dav/", nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), false, httpx.FailDAV}}, newMetrics())
	if err != nil {
		b.Fatal(err)
	}
	u, err := s.Directory.User(b.Context(), "name", "admin")
	if err != nil {
		b.Fatal(err)
	}
	ctx := cloud.WithCaller(b.Context(), cloud.Caller{User: u})
	_, token, err := s.AppTokens.MakeAppToken(ctx, u.ID, "", time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	r := raw("GET", "/dav/spaces/x")
	r.SetBasicAuth("admin", token)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		f.ServeHTTP(w, r)
	}
	if w.Code != 200 {
		b.Fatal(w.Code)
	}
}
