// Package wellknown serves the few pages on fixed paths that belong to no
// protocol: the status that clients look for first, and a page for a person
// who opens the server's address. It needs no caller and reveals nothing but
// what is installed.
package wellknown

import (
	"encoding/json"
	"html"
	"net/http"
	"strconv"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Options are what other parts know. An administrator sets none of it.
type Options struct {
	Product        string `yaml:"-"` // "OpenCloud"
	ProductVersion string `yaml:"-"` // our own
	Edition        string `yaml:"-"`
	Version        string `yaml:"-"` // what old clients compare: three numbers, at least 10
}

// status is the answer of /status.php. Clients read no more than 4 KiB of it.
type status struct {
	Installed      bool   `json:"installed"`
	Maintenance    bool   `json:"maintenance"`
	NeedsDBUpgrade bool   `json:"needsDbUpgrade"`
	Version        string `json:"version"`
	VersionString  string `json:"versionstring"`
	Edition        string `json:"edition"`
	ProductName    string `json:"productname"`
	Product        string `json:"product"`
	ProductVersion string `json:"productversion"`
}

type handler struct {
	status  string
	product string
}

// New serves /, /status and /status.php to anybody, and leads from addresses of
// old to those of today; all other paths are not there.
func New(opts Options) http.Handler {
	body, err := json.Marshal(status{
		Installed:      true,
		Version:        opts.Version + ".0",
		VersionString:  opts.Version,
		Edition:        opts.Edition,
		ProductName:    opts.Product,
		Product:        opts.Product,
		ProductVersion: opts.ProductVersion,
	})
	if err != nil {
		panic(err) // strings and booleans can be marshalled
	}
	return &handler{string(body) + "\n", opts.Product}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		httpx.WriteText(w, r, cloud.NotExist)
		return
	}
	switch r.URL.Path {
	case "/status.php", "/status":
		answer(w, r, "application/json", h.status)
	case "/":
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		answer(w, r, "text/html; charset=utf-8", h.page(httpx.From(r.Context()).Site))
	default:
		if to, ok := moved(r.URL.EscapedPath()); ok {
			move(w, r, to)
			return
		}
		httpx.WriteText(w, r, cloud.NotExist)
	}
}

const page = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{product}</title>
<style>
:root { color-scheme: light dark }
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto; padding: 0 1rem }
code { overflow-wrap: anywhere }
</style>
</head>
<body>
<main>
<h1>{product}</h1>
<p>This server is up and running.</p>
<p>To reach your files, enter this address in a sync client:<br><code>{site}</code></p>
<p>Or connect your file manager to this WebDAV address:<br><code>{dav}</code></p>
</main>
</body>
</html>
`

func (h *handler) page(site *httpx.Site) string {
	return strings.NewReplacer(
		"{product}", html.EscapeString(h.product),
		"{site}", html.EscapeString(site.Abs("")),
		"{dav}", html.EscapeString(site.Abs("/webdav/")),
	).Replace(page)
}

func answer(w http.ResponseWriter, r *http.Request, contentType, body string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodHead {
		w.Write([]byte(body))
	}
}
