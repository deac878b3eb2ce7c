package wellknown

import (
	"net/http"
	"strings"

	"opencloud/api/httpx"
)

// moved is where an address of old leads today: links that people sent each
// other years ago still open. What stands behind /s/ and /f/ now is for the
// web app, which knows who is signed in.
func moved(escaped string) (to string, ok bool) {
	rest, old := strings.CutPrefix(escaped, "/index.php")
	for _, page := range [...]string{"/s/", "/f/"} {
		if old && strings.HasPrefix(rest, page) && len(rest) > len(page) {
			return rest, true
		}
	}
	return "/", strings.TrimSuffix(rest, "/") == "/apps/files"
}

// move answers a request for an address of old.
func move(w http.ResponseWriter, r *http.Request, to string) {
	w.Header().Set("Location", httpx.From(r.Context()).Site.Base()+to)
	w.WriteHeader(http.StatusMovedPermanently)
}
