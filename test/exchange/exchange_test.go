package exchange

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// echo answers with what it was sent.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	w.Header().Set("Seen", r.Method+" "+r.URL.Path)
	w.WriteHeader(http.StatusTeapot)
	w.Write(body)
})

func TestPlay(t *testing.T) {
	for _, c := range []struct {
		what, archive, want string // what the error says; empty: none
	}{
		{"all right", "-- request --\nGET /a\n\nhello\n-- response --\n418\nSeen: GET /a\nOther: -\n\nhello\n", ""},
		{"body not looked at", "-- request --\nGET /a\n\nhello\n-- response --\n418\n", ""},
		{"variables", "-- request --\nGET /${x}\n\n1 2 1\n-- response --\n418\nSeen: GET /ex\n\n${a} ${_} ${a}\n-- request --\nGET /${a}\n-- response --\n418\nSeen: GET /1\n\n\n", ""},
		{"XML", "-- request --\nGET /\nContent-Type: application/xml\n\n<a><b/></a>\n-- response --\n418\n\n<a>\n  <b/>\n</a>\n", ""},
		{"status", "-- request --\nGET /a\n-- response --\n200\n", "got status 418, want 200"},
		{"header", "-- request --\nGET /a\n-- response --\n418\nSeen: GET /b\n", `got header Seen: "GET /a", want "GET /b"`},
		{"header that must not be", "-- request --\nGET /a\n-- response --\n418\nSeen: -\n", "want none"},
		{"header that is not", "-- request --\nGET /a\n-- response --\n418\nOther: x\n", "Other"},
		{"body", "-- request --\nGET /a\n\nhello\n-- response --\n418\n\nhellO\n", "got body"},
		{"empty body", "-- request --\nGET /a\n\nhello\n-- response --\n418\n\n\n", "got body"},
		{"variable with another value", "-- request --\nGET /a\n\n1 2\n-- response --\n418\n\n${a} ${a}\n", "got body"},
		{"XML text", "-- request --\nGET /\nContent-Type: text/xml\n\n<a>b</a>\n-- response --\n418\n\n<a>c</a>\n", "got body"},
		{"no pair", "-- request --\nGET /a\n", "pairs"},
		{"order", "-- response --\n200\n-- request --\nGET /a\n", "not request and response"},
		{"nonsense", "-- request --\n\n-- response --\n200\n", "request 1"},
		{"bad header", "-- request --\nGET /\nx\n-- response --\n200\n", "is no header"},
	} {
		err := play(echo, map[string]string{"x": "ex"}, txtar.Parse([]byte(c.archive)))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.what, err, c.want)
		}
	}
}
