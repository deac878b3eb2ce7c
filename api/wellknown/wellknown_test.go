package wellknown_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opencloud/api/httpx"
	"opencloud/api/wellknown"
)

func do(t *testing.T, status int, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	h := wellknown.New(wellknown.Options{Product: "Cloud <9>", ProductVersion: "1.2.3", Edition: "Community", Version: "10.11.0"})
	r := httptest.NewRequest(method, path, nil)
	r = r.WithContext(httpx.With(r.Context(), &httpx.Request{
		Log:  httpx.From(r.Context()).Log,
		Site: &httpx.Site{URL: &url.URL{Scheme: "https", Host: "example.org", Path: "/cloud"}},
	}))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != status {
		t.Fatalf("%s %s: got %d, want %d", method, path, rec.Code, status)
	}
	return rec
}

func TestStatus(t *testing.T) {
	want := any(map[string]any{
		"installed": true, "maintenance": false, "needsDbUpgrade": false,
		"version": "10.11.0.0", "versionstring": "10.11.0", "edition": "Community",
		"productname": "Cloud <9>", "product": "Cloud <9>", "productversion": "1.2.3",
	})
	for _, path := range []string{"/status.php", "/status", "/status.php?x=1"} {
		rec := do(t, 200, "GET", path)
		if n := rec.Body.Len(); n >= 4096 {
			t.Errorf("%s: got %d bytes, want less than 4 KiB", path, n)
		}
		if got := rec.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: got Content-Type %q", path, got)
		}
		var got any
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestPage(t *testing.T) {
	rec := do(t, 200, "GET", "/")
	body := rec.Body.String()
	for _, want := range []string{"<title>Cloud &lt;9&gt;</title>", "<code>https://example.org/cloud</code>", "<code>https://example.org/cloud/webdav/</code>"} {
		if !strings.Contains(body, want) {
			t.Errorf("got %s, want %s in it", body, want)
		}
	}
	if strings.Contains(body, "<script") || !strings.HasPrefix(rec.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the page may run scripts: %v", rec.Header())
	}
	head := do(t, 200, "HEAD", "/")
	if head.Body.Len() > 0 || head.Header().Get("Content-Length") != rec.Header().Get("Content-Length") {
		t.Errorf("HEAD: got %q, %v", head.Body, head.Header())
	}
}

func TestNothingElse(t *testing.T) {
	for _, path := range []string{"/x", "//", "/status.php/", "/.well-known/openid-configuration", "/.well-known/webfinger", "/index.php"} {
		do(t, 404, "GET", path)
	}
	do(t, 404, "POST", "/status.php")
}

// Addresses of old lead to those of today, and never to another server.
func TestMoved(t *testing.T) {
	for path, want := range map[string]string{
		"/index.php/s/abc":             "/cloud/s/abc",
		"/index.php/s/abc/a%20b":       "/cloud/s/abc/a%20b",
		"/index.php/s//evil.example":   "/cloud/s//evil.example",
		"/index.php/f/a%24b%21c":       "/cloud/f/a%24b%21c",
		"/index.php/apps/files/?dir=/": "/cloud/",
		"/apps/files?dir=/a":           "/cloud/",
	} {
		rec := do(t, 301, "GET", path)
		if got := rec.Header().Get("Location"); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	for _, path := range []string{"/index.php/", "/index.php/s/", "/index.phps/s/x", "/index.php//evil.example", "/index.php/else", "/s/abc", "/f/abc", "/apps/files/x"} {
		do(t, 404, "GET", path)
	}
	do(t, 404, "POST", "/index.php/s/abc")
}
