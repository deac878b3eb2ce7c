// Package httpx is the little that the HTTP protocols share: what a URL
// names, who we are to the outside, and how a failure looks. It holds no
// protocol and no rule.
package httpx

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"opencloud/cloud"
)

// A Site is how the server is known to the outside.
type Site struct {
	URL        *url.URL // public address without trailing slash, maybe with a base path
	Challenges []string // values of WWW-Authenticate, best first
}

// Base is the path in front of all of ours, "" or "/cloud". Handlers see
// request paths without it; what they send to clients must have it.
func (s *Site) Base() string { return s.URL.EscapedPath() }

// Abs is the absolute URL of one of our paths, which is already escaped.
func (s *Site) Abs(path string) string {
	return s.URL.Scheme + "://" + s.URL.Host + s.Base() + path
}

// A Request is what the front knows of a request and all below may need.
type Request struct {
	ID   string
	Log  *slog.Logger // says the request's id
	Site *Site
}

type requestKey struct{}

// With puts what the front knows into the context; it does so for every request.
func With(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

var nobody = &Request{Log: slog.Default(), Site: &Site{URL: &url.URL{Scheme: "https", Host: "localhost:9200"}}}

// From never returns nil.
func From(ctx context.Context) *Request {
	if r, ok := ctx.Value(requestKey{}).(*Request); ok {
		return r
	}
	return nobody
}

// IsScript tells whether a page in a browser asks, which must get no
// WWW-Authenticate: the browser would open a password box.
func IsScript(r *http.Request) bool { return r.Header.Get("X-Requested-With") == "XMLHttpRequest" }

// LogPath is the path of a request as it may stand in a log: without the token
// of a link, with which everybody who reads the log could come in.
func LogPath(r *http.Request) string {
	path := r.URL.Path
	for _, before := range [...]string{"/public-files/", "/s/", "/o/"} {
		head, rest, ok := strings.Cut(path, before)
		if ok && (len(before) > 3 || strings.Trim(head, "/") == "" || head == "/index.php") {
			rest = strings.TrimLeft(rest, "/")
			token, _, _ := strings.Cut(rest, "/")
			return head + before + "…" + rest[len(token):]
		}
	}
	return path
}

// ETag is the quoted form of a node's ETag.
func ETag(tag string) string { return `"` + tag + `"` }

// Body reads the body of a request as a whole: TooLarge beyond most bytes,
// Invalid when it does not arrive.
func Body(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, cloud.Refuse(cloud.TooLarge, "The request is too large: at most %d bytes.", most)
	case err != nil:
		return nil, cloud.Refuse(cloud.Invalid, "The request did not arrive in full.")
	}
	return body, nil
}
