package link

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Whatever a request holds, the token that is found is one that stands in it.
func FuzzTicket(f *testing.F) {
	f.Add("/dav/public-files/abc/x", "Basic cHVibGljOnB3", "", "")
	f.Add("//remote.php//dav/public-files/%61b%2Fc", "basic x", "t", "public-token=q&signature=s&expiration=2026-01-02T03:04:05Z")
	f.Add("/public.php/webdav", "Basic dG9rZW46cHc=", "", "")
	f.Add("/data/x", "", "t", "a=%zz&public-token=%41")
	l := New(nil, "/dav", "/data")
	f.Fuzz(func(t *testing.T, path, authorization, header, query string) {
		if _, err := url.ParseRequestURI(path); err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = path, path, query
		r.Header.Set("Authorization", authorization)
		r.Header.Set("public-token", header)
		got, ok := l.ticketOf(r)
		if !ok {
			return
		}
		name, _, _ := basicAuth(r)
		decoded, err := url.PathUnescape(r.URL.EscapedPath())
		inPath := err == nil && strings.Contains(decoded, got.token)
		if got.token != header && got.token != name && got.token != r.URL.Query().Get("public-token") && !inPath {
			t.Errorf("%q was found in %s, %q, %q, %q", got.token, path, authorization, header, query)
		}
		if got.ours && name == "" {
			t.Error("the header is not for the link")
		}
	})
}
