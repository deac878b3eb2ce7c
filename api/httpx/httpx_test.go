package httpx_test

import (
	"net/http"
	"net/url"
	"testing"

	"opencloud/api/httpx"
)

// What opens a link does not stand in a log.
func TestLogPath(t *testing.T) {
	for path, want := range map[string]string{
		"/dav/public-files/SECRET":                "/dav/public-files/…",
		"/remote.php/dav/public-files/SECRET/a/b": "/remote.php/dav/public-files/…/a/b",
		"//dav//public-files//SECRET//a":          "//dav//public-files/…//a",
		"/s/SECRET":                               "/s/…",
		"//s/SECRET/x":                            "//s/…/x",
		"/index.php/s/SECRET":                     "/index.php/s/…",
		"/o/SECRET":                               "/o/…",
		"/dav/spaces/x/s/folder":                  "/dav/spaces/x/s/folder",
		"/dav/public-files":                       "/dav/public-files",
		"/":                                       "/",
	} {
		if got := httpx.LogPath(&http.Request{URL: &url.URL{Path: path}}); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}
