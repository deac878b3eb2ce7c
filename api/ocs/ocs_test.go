package ocs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opencloud/api/httpx"
	"opencloud/api/ocs"
	"opencloud/cloud"
	"opencloud/core"
	"opencloud/storage/mem"
)

var (
	alan  = &cloud.User{ID: "11111111-1111-4111-8111-111111111111", Name: "alan", Display: "Alan <Turing>", Mail: "alan@example.org", Role: cloud.RoleUser, Groups: []cloud.GroupID{"g1", "g2"}}
	light = &cloud.User{ID: "33333333-3333-4333-8333-333333333333", Name: "light", Role: cloud.RoleUserLight}
)

var opts = ocs.Options{
	Password: ocs.Passwords{Min: 8, Max: 256, Lower: 1, Upper: 2, Digits: 3, Special: 4}, MinSearch: 3, DefaultLink: 1,
	Product: "OpenCloud", ProductVersion: "1.2.3", Edition: "Community", Version: "10.11.0",
	Archiver:   ocs.Archiver{Version: "2.0.0", Formats: []string{"zip", "tar"}, URL: "/archiver", MaxFiles: 10000, MaxSize: 1 << 30},
	TusVersion: "1.0.0", TusExtensions: "creation,creation-with-upload", MaxChunkSize: 10000000, MethodOverride: "POST",
}

type world struct {
	t    *testing.T
	core *core.Core
	h    http.Handler
	user *cloud.User
}

func start(t *testing.T, rules core.Options) *world {
	store := mem.New()
	store.Capacity = 1000
	w := &world{t: t, core: core.New(store, rules), user: alan}
	w.h = ocs.New(w.core, w.core, nil, opts)
	return w
}

func (w *world) ctx() context.Context {
	return cloud.WithCaller(context.Background(), cloud.Caller{User: w.user})
}

func (w *world) do(status int, method, path string) *httptest.ResponseRecorder {
	w.t.Helper()
	site := &httpx.Site{URL: &url.URL{Scheme: "https", Host: "cloud.example.org:9200"}, Challenges: []string{`Basic realm="x"`}}
	ctx := httpx.With(w.ctx(), &httpx.Request{ID: "req-1", Log: slog.New(slog.DiscardHandler), Site: site})
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, method, path, nil))
	if rec.Code != status {
		w.t.Fatalf("%s %s: got %d, want %d: %s", method, path, rec.Code, status, rec.Body)
	}
	return rec
}

// json checks meta and returns the data.
func (w *world) json(status, code int, path string) any {
	w.t.Helper()
	rec := w.do(status, "GET", path+"?format=json")
	var got struct {
		OCS struct {
			Meta struct {
				Status     string
				StatusCode int
				Message    string
			}
			Data any
		}
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		w.t.Fatalf("%s: %v: %s", path, err, rec.Body)
	}
	want := "error"
	if code == 100 || code == 200 {
		want = "ok"
	}
	if m := got.OCS.Meta; m.StatusCode != code || m.Status != want || m.Message == "" {
		w.t.Errorf("%s: got %+v, want %s, %d", path, m, want, code)
	}
	return got.OCS.Data
}

func (w *world) wantData(path string, want any) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.json(200, 200, path)); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestCapabilities(t *testing.T) {
	w := start(t, core.Options{})
	w.user = nil // anybody may ask
	text, err := os.ReadFile("testdata/capabilities.json")
	if err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	w.wantData("/ocs/v2.php/cloud/capabilities", want)
	if diff := cmp.Diff(want, w.json(200, 100, "/ocs/v1.php/cloud/capabilities")); diff != "" {
		t.Errorf("version 1 (-want +got):\n%s", diff)
	}
}

// In XML the same keys are elements.
func TestCapabilitiesXML(t *testing.T) {
	w := start(t, core.Options{})
	rec := w.do(200, "GET", "/ocs/v1.php/cloud/capabilities")
	if got, want := rec.Header().Get("Content-Type"), "application/xml; charset=utf-8"; got != want {
		t.Errorf("got Content-Type %q, want %q", got, want)
	}
	for d := xml.NewDecoder(bytes.NewReader(rec.Body.Bytes())); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		"<ocs><meta><status>ok</status><statuscode>100</statuscode><message>OK</message></meta><data><version><major>10</major>",
		"<supportedTypes><element>sha1</element><element>md5</element><element>adler32</element></supportedTypes>",
		"<support-sse></support-sse>", "<installed>1</installed>", "<webdav-root>remote.php/webdav</webdav-root>",
		"<max_chunk_size>10000000</max_chunk_size>", "<trashbin>1.0</trashbin>",
	} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("got %s, want %s in it", rec.Body, want)
		}
	}
}

func TestUser(t *testing.T) {
	w := start(t, core.Options{HomeQuota: 200})
	w.wantData("/ocs/v2.php/cloud/user", map[string]any{"id": "alan", "display-name": "Alan <Turing>", "email": "alan@example.org"})
	if got, want := w.do(200, "GET", "/ocs/v1.php/cloud/user").Body.String(), "<data><id>alan</id><display-name>Alan &lt;Turing&gt;</display-name><email>alan@example.org</email></data>"; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
	home, err := w.core.Home(w.ctx())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.core.Put(w.ctx(), cloud.Ref{Space: home.ID, Path: "a"}, strings.NewReader("0123456789"), cloud.Put{Size: 10}); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": "alan", "enabled": true, "displayname": "Alan <Turing>", "display-name": "Alan <Turing>", "email": "alan@example.org",
		"quota": map[string]any{"free": 190., "used": 10., "total": 200., "relative": 5., "definition": "default"},
	}
	for _, id := range []string{"alan", "ALAN", "%61lan", string(alan.ID)} {
		w.wantData("/ocs/v2.php/cloud/users/"+id, want)
	}
	w.wantData("/ocs/v2.php/cloud/users/alan/groups", map[string]any{"groups": []any{"g1", "g2"}})
	w.json(404, 404, "/ocs/v2.php/cloud/users/grace")
	w.json(404, 404, "/ocs/v2.php/cloud/users/grace/groups")

	w.user = light
	w.wantData("/ocs/v2.php/cloud/users/light", map[string]any{
		"id": "light", "enabled": true, "displayname": "light", "display-name": "light", "email": "",
		"quota": map[string]any{"free": 0., "used": 0., "total": 0., "relative": 0., "definition": "default"},
	})
}

func TestUnlimited(t *testing.T) {
	w := start(t, core.Options{})
	got := w.json(200, 100, "/ocs/v1.php/cloud/users/alan").(map[string]any)["quota"]
	want := map[string]any{"free": 1000., "used": 0., "total": 1000., "relative": 0., "definition": "default"}
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Errorf("quota (-want +got):\n%s", diff)
	}
}

func TestSigningKey(t *testing.T) {
	w := start(t, core.Options{})
	w.json(404, 404, "/ocs/v2.php/cloud/user/signing-key")
	signing := opts
	var refused error
	signing.SigningKey = func(ctx context.Context) (string, error) { return "key of " + cloud.CallerFrom(ctx).User.Name, refused }
	w.h = ocs.New(w.core, w.core, nil, signing)
	if got := w.json(200, 200, "/ocs/v2.php/cloud/capabilities").(map[string]any)["capabilities"].(map[string]any)["core"].(map[string]any)["support-url-signing"]; got != true {
		t.Errorf("capability: %v", got)
	}
	w.wantData("/ocs/v2.php/cloud/user/signing-key", map[string]any{"user": "alan", "signing-key": "key of alan"})
	for _, path := range []string{"/ocs/v1.php/cloud/user/signing-key", "/ocs/v2.php/cloud/user/signing-key"} {
		if got, want := w.do(200, "GET", path).Body.String(), "<data><user>alan</user><signing-key>key of alan</signing-key></data>"; !strings.Contains(got, want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
	refused = cloud.Permission
	w.json(200, 403, "/ocs/v1.php/cloud/user/signing-key")
	w.json(403, 403, "/ocs/v2.php/cloud/user/signing-key")
	w.user = nil
	w.json(401, 401, "/ocs/v2.php/cloud/user/signing-key")
}

func TestConfig(t *testing.T) {
	w := start(t, core.Options{})
	w.user = nil
	w.wantData("/ocs/v2.php/config", map[string]any{"version": "1.7", "website": "OpenCloud", "host": "cloud.example.org:9200", "contact": "", "ssl": "true"})
}

func TestRefusals(t *testing.T) {
	w := start(t, core.Options{})
	w.json(200, 998, "/ocs/v1.php/nope")
	w.json(404, 404, "/ocs/v2.php/nope")
	w.json(404, 404, "/ocs/v2.php/")
	w.json(404, 404, "/ocs/v3.php/cloud/user")
	w.do(404, "POST", "/ocs/v2.php/cloud/user")
	w.do(404, "GET", "/ocs/v2.php/cloud/users/")
	w.do(200, "HEAD", "/ocs/v2.php/cloud/user/")
	w.user = nil
	w.json(401, 997, "/ocs/v1.php/cloud/user")
	w.json(401, 401, "/ocs/v2.php/cloud/user")
	if got := w.do(401, "GET", "/ocs/v2.php/cloud/users/alan").Header().Get("WWW-Authenticate"); got == "" {
		t.Error("got no challenge, want one")
	}
}

func BenchmarkCapabilities(b *testing.B) {
	h := ocs.New(nil, nil, nil, opts)
	r := httptest.NewRequest("GET", "/ocs/v1.php/cloud/capabilities?format=json", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
