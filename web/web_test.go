package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
)

var files = fstest.MapFS{
	".gitignore":          {Data: []byte("*")},
	"index.html":          {Data: []byte("<!DOCTYPE html><html><head><title>{product}</title></head></html>")},
	"silent.html":         {Data: []byte("<!DOCTYPE html><html><head></head></html>")},
	"icon.svg":            {Data: []byte("<svg/>")},
	"assets/app-1.js":     {Data: []byte("plain")},
	"assets/app-1.js.br":  {Data: []byte("br")},
	"assets/app-1.js.gz":  {Data: []byte("gz")},
	"assets/font-1.woff2": {Data: []byte("font")},
}

func serve(t *testing.T, h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func options(t *testing.T, site, issuer string) Options {
	t.Helper()
	u, err := url.Parse(site)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Product: "Open<Cloud>", URL: u, Issuer: issuer, Client: "web", Scopes: []string{"openid", "profile"}}
}

func newHandler(t *testing.T) http.Handler {
	t.Helper()
	h, err := New(files, options(t, "https://example.org/cloud", "https://id.example.org/realm"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestServe(t *testing.T) {
	h := newHandler(t)
	index := `<base href="/cloud/">`
	for _, c := range []struct {
		method, path, accept string
		status               int
		kind, cache, body    string
	}{
		{"GET", "/", "", 200, "text/html; charset=utf-8", noCache, index},
		{"GET", "/index.html", "", 200, "text/html; charset=utf-8", noCache, index},
		{"GET", "/files/a$b/Folder", "*/*", 200, "text/html; charset=utf-8", noCache, index},
		{"GET", "/files/a$b/v1.2", "text/html,*/*", 200, "text/html; charset=utf-8", noCache, index},
		{"GET", "/files/a$b/v1.2", "*/*", 404, "", "", ""},
		{"GET", "/oidc-callback.html", "text/html", 200, "text/html; charset=utf-8", noCache, index},
		{"GET", "/oidc-silent-redirect.html", "*/*", 200, "text/html; charset=utf-8", noCache, index},
		{"GET", "/silent.html", "*/*", 404, "", "", ""},
		{"GET", "/.gitignore", "*/*", 404, "", "", ""},
		{"GET", "/favicon.ico", "image/*", 404, "", "", ""},
		{"GET", "/icon.svg", "", 200, "image/svg+xml", noCache, "<svg/>"},
		{"GET", "/assets/app-1.js", "", 200, "text/javascript; charset=utf-8", immutable, "plain"},
		{"GET", "/assets/font-1.woff2", "", 200, "font/woff2", immutable, "font"},
		{"GET", "/assets/app-2.js", "text/html", 404, "", "", ""},
		{"GET", "/assets/", "text/html", 404, "", "", ""},
		{"GET", "/.well-known/unknown", "text/html", 404, "", "", ""},
		{"GET", "/signin/v1/identifier", "text/html", 404, "", "", ""},
		{"GET", "/config.json", "", 200, "application/json", noCache, `"server":"https://example.org/cloud/"`},
		{"GET", "/theme.json", "", 200, "application/json", noCache, `"isDark":true`},
		{"GET", "/manifest.webmanifest", "", 200, "application/manifest+json", noCache, `"start_url":"./"`},
		{"HEAD", "/icon.svg", "", 200, "image/svg+xml", noCache, ""},
		{"POST", "/", "text/html", 404, "", "", ""},
	} {
		w := serve(t, h, c.method, c.path, "Accept", c.accept)
		if w.Code != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, w.Code, c.status)
			continue
		}
		if c.status != 200 {
			continue
		}
		if got := w.Header().Get("Content-Type"); got != c.kind {
			t.Errorf("%s %s: Content-Type %q, want %q", c.method, c.path, got, c.kind)
		}
		if got := w.Header().Get("Cache-Control"); got != c.cache {
			t.Errorf("%s %s: Cache-Control %q, want %q", c.method, c.path, got, c.cache)
		}
		if got := w.Body.String(); !strings.Contains(got, c.body) || c.method == "HEAD" && got != "" {
			t.Errorf("%s %s: %q, want %q in it", c.method, c.path, got, c.body)
		}
	}
}

func TestEncodings(t *testing.T) {
	h := newHandler(t)
	for _, c := range []struct{ accept, encoding, body string }{
		{"", "", "plain"},
		{"gzip, deflate, br", "br", "br"},
		{"gzip", "gzip", "gz"},
		{"GZIP;q=0.5", "gzip", "gz"},
		{"br;q=0, gzip", "gzip", "gz"},
		{"br;q=x", "", "plain"},
		{"brotli", "", "plain"},
		{"*", "", "plain"},
	} {
		w := serve(t, h, "GET", "/assets/app-1.js", "Accept-Encoding", c.accept)
		if got := w.Header().Get("Content-Encoding"); got != c.encoding || w.Body.String() != c.body {
			t.Errorf("%q: %q %q, want %q %q", c.accept, got, w.Body, c.encoding, c.body)
		}
		if got := w.Header().Get("Vary"); got != "Accept-Encoding" {
			t.Errorf("%q: Vary %q", c.accept, got)
		}
		again := serve(t, h, "GET", "/assets/app-1.js", "Accept-Encoding", c.accept, "If-None-Match", "W/"+w.Header().Get("ETag"))
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%q, again: %d %q", c.accept, again.Code, again.Body)
		}
	}
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct{ issuer, connect string }{
		{"https://example.org/cloud", "connect-src 'self' blob:;"},
		{"https://id.example.org/realm", "connect-src 'self' blob: https://id.example.org;"},
	} {
		h, err := New(files, options(t, "https://example.org/cloud", c.issuer))
		if err != nil {
			t.Fatal(err)
		}
		got := serve(t, h, "GET", "/").Header().Get("Content-Security-Policy")
		if !strings.Contains(got, c.connect) || strings.Contains(got, "script-src 'self' ") {
			t.Errorf("%s: %s", c.issuer, got)
		}
		if body := serve(t, h, "GET", "/").Body.String(); !strings.Contains(body, "<title>Open&lt;Cloud&gt;</title>") {
			t.Errorf("the product: %s", body)
		}
	}
}

func TestUnbuilt(t *testing.T) {
	h, err := New(fstest.MapFS{".gitignore": {}}, options(t, "https://example.org", "https://example.org"))
	if err != nil {
		t.Fatal(err)
	}
	w := serve(t, h, "GET", "/")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "web/build") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// What was built with the binary is whole, or not there.
func TestBuilt(t *testing.T) {
	if _, err := New(Built(), options(t, "https://example.org", "https://example.org")); err != nil {
		t.Error(err)
	}
}
