// Package web is the app for browsers, as it was built into the binary, and
// what serves it. It holds no rule and needs no caller: all that the app
// shows comes from the APIs, to which it sends the token of whoever has
// signed in.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

//go:embed all:dist
var dist embed.FS

// Built is the app in this binary: without index.html when it was compiled
// before the app was built.
func Built() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a constant
	}
	return sub
}

// Options are what other parts know. An administrator sets none of it.
type Options struct {
	Product string   `yaml:"-"` // "OpenCloud"
	URL     *url.URL `yaml:"-"` // our public address without trailing slash, maybe with a base path
	Issuer  string   `yaml:"-"` // of OpenID Connect
	Client  string   `yaml:"-"` // as which the app signs people in
	Scopes  []string `yaml:"-"` // that it asks for
}

// A page is one file as it is sent.
type page struct {
	kind   string // Content-Type
	cache  string // Cache-Control
	policy string // Content-Security-Policy, if it has one of its own
	plain  version
	packed []version // smallest first
}

// A version is a file in one encoding.
type version struct {
	encoding, etag string
	body           []byte
}

type handler struct {
	pages map[string]*page // by path
	index *page
}

// renamed are files that are served under other names: the page to which
// OpenID Connect comes back in a frame is registered with this one.
var renamed = map[string]string{"silent.html": "oidc-silent-redirect.html"}

const (
	noCache   = "no-cache"
	immutable = "public, max-age=31536000, immutable"
)

// New serves GET and HEAD of the files of an app to anybody, and its first
// page for every other path that a person may have opened: the app knows what
// is there.
func New(app fs.FS, opts Options) (http.Handler, error) {
	h := &handler{pages: map[string]*page{}}
	if _, err := fs.Stat(app, "index.html"); errors.Is(err, fs.ErrNotExist) {
		h.index = newPage("text/html; charset=utf-8", noCache, []byte(unbuilt))
		h.index.policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
		return h, nil
	}
	err := fs.WalkDir(app, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		return h.add(app, name, opts)
	})
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	h.index = h.pages["/index.html"]
	return h, h.addData(opts)
}

// add takes in one file; packed ones belong to what they were made of.
func (h *handler) add(app fs.FS, name string, opts Options) error {
	body, err := fs.ReadFile(app, name)
	if err != nil {
		return err
	}
	base, encoding := name, ""
	switch path.Ext(name) {
	case ".br":
		base, encoding = strings.TrimSuffix(name, ".br"), "br"
	case ".gz":
		base, encoding = strings.TrimSuffix(name, ".gz"), "gzip"
	}
	if encoding != "" { // comes after what it was made of
		p := h.pages["/"+base]
		if p == nil {
			return fmt.Errorf("%s is packed, but %s is missing", name, base)
		}
		p.packed = append(p.packed, newVersion(encoding, body))
		return nil
	}
	cache := noCache
	if strings.HasPrefix(name, "assets/") { // their names change with their content
		cache = immutable
	}
	document := path.Ext(name) == ".html"
	if document {
		body = fill(body, opts)
	}
	p := newPage(contentType(name), cache, body)
	if document || path.Ext(name) == ".js" { // a worker's rules are those of its script
		p.policy = policy(opts)
	}
	if to, ok := renamed[name]; ok {
		name = to
	}
	h.pages["/"+name] = p
	return nil
}

// addData makes what the app, and others that know the same contract, read first.
func (h *handler) addData(opts Options) error {
	site := opts.URL.String()
	config := map[string]any{
		"server": site + "/",
		"theme":  site + "/theme.json",
		"openIdConnect": map[string]any{
			"metadata_url": opts.Issuer + "/.well-known/openid-configuration", "authority": opts.Issuer,
			"client_id": opts.Client, "response_type": "code", "scope": strings.Join(opts.Scopes, " "),
		},
		"apps":    []string{},
		"options": map[string]any{},
	}
	theme := map[string]any{
		"common": map[string]any{"name": opts.Product, "shareRoles": map[string]any{}},
		"clients": map[string]any{"web": map[string]any{"defaults": map[string]any{}, "themes": []any{
			map[string]any{"label": "Light", "isDark": false, "designTokens": map[string]any{}},
			map[string]any{"label": "Dark", "isDark": true, "designTokens": map[string]any{}},
		}}},
	}
	manifest := map[string]any{
		"name": opts.Product, "short_name": opts.Product, "start_url": "./", "scope": "./", "display": "standalone",
		"background_color": "#ffffff", "theme_color": "#1f5fbf",
		"icons": []any{map[string]any{"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"}},
	}
	for name, data := range map[string]any{"/config.json": config, "/theme.json": theme, "/manifest.webmanifest": manifest} {
		body, err := json.Marshal(data)
		if err != nil {
			return err
		}
		h.pages[name] = newPage(contentType(name), noCache, body)
	}
	return nil
}

// fill says in a document where it is and whose.
func fill(body []byte, opts Options) []byte {
	base := `<head><base href="` + html.EscapeString(opts.URL.EscapedPath()) + `/">`
	body = bytes.Replace(body, []byte("<head>"), []byte(base), 1)
	return bytes.ReplaceAll(body, []byte("{product}"), []byte(html.EscapeString(opts.Product)))
}

// policy lets documents load our own scripts and speak with us, and with
// whoever signs people in.
func policy(opts Options) string {
	issuer := ""
	if u, err := url.Parse(opts.Issuer); err == nil && (u.Scheme != opts.URL.Scheme || u.Host != opts.URL.Host) {
		issuer = " " + u.Scheme + "://" + u.Host
	}
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"worker-src 'self'",
		"style-src 'self'",
		"style-src-attr 'unsafe-inline'",
		"font-src 'self'",
		"img-src 'self' blob: data:",
		"media-src 'self' blob:",
		"connect-src 'self' blob:" + issuer,
		"frame-src 'self' blob:" + issuer,
		"manifest-src 'self'",
		"form-action 'self'",
		"base-uri 'self'",
		"frame-ancestors 'self'",
		"require-trusted-types-for 'script'",
		"trusted-types vue opencloud",
	}, "; ")
}

func newPage(kind, cache string, body []byte) *page {
	return &page{kind: kind, cache: cache, plain: newVersion("", body)}
}

func newVersion(encoding string, body []byte) version {
	sum := sha256.Sum256(body)
	return version{encoding, `"` + hex.EncodeToString(sum[:12]) + `"`, body}
}

// contentType does not ask the system, which may know other names.
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".json":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".txt":
		return "text/plain; charset=utf-8"
	default:
		if t := mime.TypeByExtension(ext); t != "" {
			return t
		}
		return "application/octet-stream"
	}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		httpx.WriteText(w, r, cloud.NotExist)
		return
	}
	p := h.pages[r.URL.Path]
	if p == nil {
		if !isPlace(r) {
			httpx.WriteText(w, r, cloud.NotExist)
			return
		}
		p = h.index
	}
	p.serve(w, r)
}

// others are trees in which there is nothing of the app, whether or not
// somebody else serves them here.
var others = []string{"/.well-known/", "/api/", "/assets/", "/auth-app/", "/data/", "/dav/", "/graph/", "/konnect/", "/ocs/", "/remote.php/", "/signin/", "/webdav/"}

// isPlace tells whether a path that is no file may be a place in the app: one
// without a dot in its last name, or one that a person opens.
func isPlace(r *http.Request) bool {
	for _, tree := range others {
		if strings.HasPrefix(r.URL.Path, tree) {
			return false
		}
	}
	return !strings.Contains(path.Base(r.URL.Path), ".") || strings.Contains(r.Header.Get("Accept"), "text/html")
}

func (p *page) serve(w http.ResponseWriter, r *http.Request) {
	v := p.choose(r.Header.Get("Accept-Encoding"))
	h := w.Header()
	h.Set("Content-Type", p.kind)
	h.Set("Cache-Control", p.cache)
	h.Set("ETag", v.etag)
	if p.policy != "" {
		h.Set("Content-Security-Policy", p.policy)
	}
	if len(p.packed) > 0 {
		h.Set("Vary", "Accept-Encoding")
	}
	if v.encoding != "" {
		h.Set("Content-Encoding", v.encoding)
	}
	if strings.Contains(r.Header.Get("If-None-Match"), v.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(v.body)))
	if r.Method != http.MethodHead {
		w.Write(v.body)
	}
}

// choose finds the smallest version that the client takes.
func (p *page) choose(accept string) *version {
	for i := range p.packed {
		if accepts(accept, p.packed[i].encoding) {
			return &p.packed[i]
		}
	}
	return &p.plain
}

// accepts reads Accept-Encoding (RFC 9110, section 12.5.3), except that what
// is not named is not accepted.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, param, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), encoding) {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimSpace(param), "=")
		if !ok || !strings.EqualFold(key, "q") {
			return true
		}
		q, err := strconv.ParseFloat(value, 64)
		return err == nil && q > 0
	}
	return false
}

const unbuilt = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The web app is not built</title>
<style>
:root { color-scheme: light dark }
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto; padding: 0 1rem }
</style>
</head>
<body>
<main>
<h1>This server runs without its web app</h1>
<p>Sync clients and WebDAV work. To have the web app, too, build it before the server (this needs Node 20):</p>
<pre><code>web/build
go build ./cmd/opencloud</code></pre>
</main>
</body>
</html>
`
