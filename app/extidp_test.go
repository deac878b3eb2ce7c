package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

// A foreign issuer, and what it signs.
type foreign struct {
	*httptest.Server
	t   *testing.T
	key jose.JSONWebKey
}

func newForeign(t *testing.T) *foreign {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := &foreign{t: t, key: jose.JSONWebKey{Key: key, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			json.NewEncoder(w).Encode(map[string]string{"issuer": f.URL, "jwks_uri": f.URL + "/keys"})
		case "/keys":
			json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{f.key.Public()}})
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

// sign makes a token for the session s of ada; nil takes a claim away.
func (f *foreign) sign(more ...any) string {
	f.t.Helper()
	c := map[string]any{"iss": f.URL, "aud": "web", "sub": "s-ada", "sid": "s", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "preferred_username": "ada", "email": "ada@example.org"}
	for i := 0; i+1 < len(more); i += 2 {
		if c[more[i].(string)] = more[i+1]; more[i+1] == nil {
			delete(c, more[i].(string))
		}
	}
	body, err := json.Marshal(c)
	if err != nil {
		f.t.Fatal(err)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: f.key}, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	jws, err := s.Sign(body)
	if err != nil {
		f.t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		f.t.Fatal(err)
	}
	return raw
}

// With an issuer of somebody else ours does not run, its tokens open what is
// behind a sign-in, and the few routes that are open are these.
func TestExternalIssuer(t *testing.T) {
	o := newForeign(t)
	s := system(t, "OC_OIDC_ISSUER="+o.URL, "PROXY_OIDC_SKIP_USER_INFO=true", "PROXY_AUTOPROVISION_ACCOUNTS=true", "OC_OIDC_CLIENT_ID=cloud", "WEBFINGER_WEB_OIDC_CLIENT_ID=web")
	if s.IDP != nil || s.OIDC == nil {
		t.Fatal("the built-in issuer runs")
	}
	table := routes(s)
	var open []string
	for _, rt := range table {
		if rt.Open {
			open = append(open, rt.Path)
		}
	}
	slices.Sort(open)
	if diff := cmp.Diff([]string{
		"/", "/", "/.well-known/openid-configuration", "/.well-known/webfinger", "/apps/files", "/backchannel_logout", "/index.php/",
		"/ocs/v1.php/apps/files_sharing/api/v1/tokeninfo/unprotected/", "/ocs/v1.php/cloud/capabilities", "/ocs/v1.php/config",
		"/ocs/v2.php/apps/files_sharing/api/v1/tokeninfo/unprotected/", "/ocs/v2.php/cloud/capabilities", "/ocs/v2.php/config",
		"/status", "/status.php",
	}, open); diff != "" {
		t.Error(diff)
	}
	f := frontOf(t, s, table)
	f.log = quiet
	c := &client{t, f}
	do := func(status int, token, method, path, body string) string {
		t.Helper()
		r := httptest.NewRequest(method, f.site.Abs(path), strings.NewReader(body))
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		if f.ServeHTTP(w, r); w.Code != status {
			t.Fatalf("%s %s: got %d, want %d: %s", method, path, w.Code, status, w.Body)
		}
		if w.Code == 503 && w.Header().Get("Retry-After") == "" {
			t.Errorf("%s %s: no Retry-After", method, path)
		}
		return w.Body.String()
	}
	if got := do(200, "", "GET", "/.well-known/webfinger?resource=https://localhost:9200&platform=web", ""); !strings.Contains(got, o.URL) || !strings.Contains(got, `"web"`) {
		t.Errorf("webfinger: %s", got)
	}
	if got := do(200, "", "GET", "/.well-known/webfinger?resource=https://localhost:9200&platform=ios", ""); !strings.Contains(got, `"cloud"`) {
		t.Errorf("webfinger: %s", got)
	}
	do(404, "", "GET", "/.well-known/openid-configuration", "")
	do(404, "", "GET", "/signin/v1/identifier", "")

	ada := o.sign()
	do(201, ada, "PUT", "/remote.php/webdav/file.txt", "hello")
	do(403, o.sign("sub", "s-eve"), "GET", "/graph/v1.0/me", "")
	do(401, ada+"x", "GET", "/graph/v1.0/me", "")
	c.do(200, "admin", password, "GET", "/graph/v1.0/me", "")

	// Another session ends, and this one, and what comes of it later.
	leave := func(sid string) {
		t.Helper()
		token := o.sign("sid", sid, "jti", sid, "events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}})
		do(200, "", "POST", "/backchannel_logout", url.Values{"logout_token": {token}}.Encode())
		do(400, "", "POST", "/backchannel_logout", url.Values{"logout_token": {token}}.Encode())
	}
	listing := do(207, ada, "PROPFIND", "/remote.php/webdav/file.txt", `<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><oc:downloadURL/></d:prop></d:propfind>`)
	_, download, _ := strings.Cut(listing, "<oc:downloadURL>"+f.site.Abs(""))
	download, _, _ = strings.Cut(download, "<")
	download = html.UnescapeString(download)
	do(200, "", "GET", download, "")
	leave("other")
	do(200, ada, "GET", "/graph/v1.0/me", "")
	do(200, "", "GET", download, "")
	leave("s")
	do(401, ada, "GET", "/graph/v1.0/me", "")
	do(401, "", "GET", download, "")
	do(401, o.sign("n", 1), "GET", "/graph/v1.0/me", "")

	// Without the issuer who is known goes on, and who is not hears why.
	o.Close()
	do(200, o.sign("sid", "next"), "GET", "/graph/v1.0/me", "")
	stranger := newForeign(t)
	stranger.URL, stranger.key.KeyID = o.URL, "k2"
	do(503, stranger.sign(), "GET", "/remote.php/webdav/", "")

	// Who is removed leaves nothing behind, and may come anew as somebody else.
	var me struct{ ID string }
	if err := json.Unmarshal([]byte(do(200, o.sign("sid", "next"), "GET", "/graph/v1.0/me", "")), &me); err != nil {
		t.Fatal(err)
	}
	links := filepath.Join(s.Config.OIDC.Path, "links", "accounts")
	if got, _ := os.ReadDir(links); len(got) != 1 {
		t.Errorf("links: %v", got)
	}
	c.do(204, "admin", password, "DELETE", "/graph/v1.0/users/"+me.ID, "")
	if got, _ := os.ReadDir(links); len(got) != 0 {
		t.Errorf("links after the user left: %v", got)
	}
	if got := do(200, o.sign("sid", "next", "n", 2, "sub", "s-eve"), "GET", "/graph/v1.0/me", ""); strings.Contains(got, me.ID) {
		t.Errorf("the account that was removed is back: %s", got)
	}
}

// A server whose issuer never was there starts, and so does one whose issuer
// answers nonsense; what cannot work is said at once.
func TestIssuerThatIsNone(t *testing.T) {
	nonsense := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }))
	t.Cleanup(nonsense.Close)
	for _, issuer := range []string{nonsense.URL, "https://localhost:1", "http://127.0.0.1:1"} {
		s := system(t, "OC_OIDC_ISSUER="+issuer)
		f := frontOf(t, s, routes(s))
		f.log = quiet
		c := &client{t, f}
		c.do(200, "admin", password, "GET", "/graph/v1.0/me", "")
	}
	s := &System{Config: settings(t, "OC_OIDC_ISSUER=http://sso.example.org"), Log: quiet}
	t.Cleanup(func() { s.Close() })
	if err := Build(t.Context(), s, modules(), "oidc"); err == nil || !strings.Contains(err.Error(), "must begin with https") {
		t.Errorf("got %v", err)
	}
}
