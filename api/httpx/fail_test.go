package httpx_test

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Clients compare these bodies to the letter, prefixes included.
func TestFailDAV(t *testing.T) {
	for kind := range cloud.Kind(cloud.Kinds) {
		code := map[cloud.Kind]string{cloud.NotExist: "ERR_FILE_NOT_FOUND_IN_ROOT", cloud.Unauthorized: "ERR_MISSING_BASIC_AUTH"}[kind]
		for _, say := range []string{"", `Not "a" & <b>.`} {
			err, message := error(kind), kind.Face().Text
			if say != "" {
				err, message = cloud.Refuse(kind, "%s", say), say
			}
			var text strings.Builder
			xml.EscapeText(&text, []byte(message))
			want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
				`<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns"><s:exception>Sabre\DAV\Exception\` + kind.Face().Sabre +
				`</s:exception><s:message>` + text.String() + `</s:message><s:errorcode>` + code + `</s:errorcode></d:error>` + "\n"
			w := httptest.NewRecorder()
			w.Header().Set("ETag", `"x"`) // of what would have been the answer
			httpx.FailDAV(w, httptest.NewRequest("GET", "/", nil), err)
			h := w.Result().Header
			if w.Code != kind.Face().HTTP || w.Body.String() != want {
				t.Errorf("%v: got %d\n%s\nwant %d\n%s", kind, w.Code, w.Body, kind.Face().HTTP, want)
			}
			if h.Get("Content-Type") != "application/xml; charset=utf-8" || h.Get("Content-Length") != strconv.Itoa(len(want)) || h.Get("ETag") != "" {
				t.Errorf("%v: got headers %v", kind, h)
			}
		}
	}
}

func TestFailDAVHead(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("HEAD", "/", nil)
	r.Header.Set("Authorization", "Basic eDp5")
	httpx.FailDAV(w, r, cloud.Unauthorized)
	if w.Code != http.StatusUnauthorized || w.Body.Len() != 0 {
		t.Errorf("got %d with %d bytes, want 401 with none", w.Code, w.Body.Len())
	}
}

func TestWriteSabreConditions(t *testing.T) {
	w := httptest.NewRecorder()
	httpx.WriteSabre(w, httptest.NewRequest("PROPFIND", "/", nil), 403, "Forbidden", "No.", "", "<d:a/>", "<d:b/>")
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns"><s:exception>Sabre\DAV\Exception\Forbidden</s:exception>` +
		`<s:message>No.</s:message><s:errorcode></s:errorcode><d:a/><d:b/></d:error>` + "\n"
	if got := w.Body.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
