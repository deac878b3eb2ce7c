package httpx

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"opencloud/cloud"
)

// A Fail renders an error the way of one protocol. This file is the only
// place that does. It logs what is our fault, once.
type Fail func(w http.ResponseWriter, r *http.Request, err error)

// report logs the error if it is ours and returns how it looks.
func report(w http.ResponseWriter, r *http.Request, err error) (face cloud.Face, say string) {
	kind := cloud.KindOf(err)
	level := slog.LevelDebug
	switch {
	case errors.Is(err, context.Canceled) || r.Context().Err() != nil:
		// The client went away: nobody reads the answer.
	case kind == cloud.Other || kind == cloud.Unavailable:
		level = slog.LevelError
	}
	From(r.Context()).Log.Log(r.Context(), level, "request failed", "method", r.Method, "path", LogPath(r), "error", err)
	face = kind.Face()
	if kind == cloud.Unauthorized {
		challenge(w, r, err)
	}
	h := w.Header()
	h.Del("Content-Length")
	h.Del("Content-Disposition")
	h.Del("Last-Modified")
	h.Del("ETag")
	h.Set("Cache-Control", "no-store")
	if (kind == cloud.Throttled || kind == cloud.Processing) && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "5")
	}
	if say = cloud.Say(err); say == "" {
		say = face.Text
	}
	return face, say
}

// Challenge says how to sign in, unless a script in a browser asks.
func Challenge(w http.ResponseWriter, r *http.Request) {
	if IsScript(r) {
		return
	}
	for _, c := range From(r.Context()).Site.Challenges {
		w.Header().Add("WWW-Authenticate", c)
	}
}

// challenge is Challenge, unless the error knows better.
func challenge(w http.ResponseWriter, r *http.Request, err error) {
	var own interface{ Challenge() string }
	if errors.As(err, &own) && own.Challenge() != "" && !IsScript(r) {
		w.Header().Add("WWW-Authenticate", own.Challenge())
		return
	}
	Challenge(w, r)
}

// Codes that some clients read in s:errorcode. An error may have its own.
func sabreCode(err error, r *http.Request) string {
	var own interface{ Code() string }
	if errors.As(err, &own) {
		return own.Code()
	}
	switch cloud.KindOf(err) {
	case cloud.NotExist:
		return "ERR_FILE_NOT_FOUND_IN_ROOT"
	case cloud.Unauthorized:
		if r.Header.Get("Authorization") != "" {
			return "ERR_INVALID_CREDENTIALS"
		}
		return "ERR_MISSING_BASIC_AUTH"
	}
	return ""
}

// FailDAV is the XML of Sabre, whose prefixes and names clients compare to the letter.
func FailDAV(w http.ResponseWriter, r *http.Request, err error) {
	face, say := report(w, r, err)
	WriteSabre(w, r, face.HTTP, face.Sabre, say, sabreCode(err, r))
}

// WriteSabre writes an error element: for the few answers whose status is
// WebDAV's own business (405, 415, ...). Conditions are elements of RFC 4918,
// section 16, ready to be sent, with the prefix d.
func WriteSabre(w http.ResponseWriter, r *http.Request, status int, exception, say, code string, conditions ...string) {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns"><s:exception>Sabre\DAV\Exception\`)
	b.WriteString(exception)
	b.WriteString(`</s:exception><s:message>`)
	xml.EscapeText(&b, []byte(say))
	b.WriteString(`</s:message><s:errorcode>`)
	b.WriteString(code)
	b.WriteString(`</s:errorcode>`)
	for _, c := range conditions {
		b.WriteString(c)
	}
	b.WriteString("</d:error>\n")
	write(w, r, status, "application/xml; charset=utf-8", b.String())
}

// ODataError is the error body of the Graph API, and of TUS, whose clients parse it as JSON.
type ODataError struct {
	Error struct {
		Code       string `json:"code"`
		Message    string `json:"message"`
		InnerError struct {
			Date      time.Time `json:"date"`
			RequestID string    `json:"request-id"`
		} `json:"innererror"`
	} `json:"error"`
}

// FailOData is the JSON of the Graph API.
func FailOData(w http.ResponseWriter, r *http.Request, err error) {
	face, say := report(w, r, err)
	WriteOData(w, r, face.HTTP, face.OData, say)
}

// WriteOData is for the few answers whose status is the protocol's own business (TUS 460).
func WriteOData(w http.ResponseWriter, r *http.Request, status int, code, say string) {
	var e ODataError
	e.Error.Code, e.Error.Message = code, say
	e.Error.InnerError.Date = time.Now().UTC().Truncate(time.Second)
	e.Error.InnerError.RequestID = From(r.Context()).ID
	body, _ := json.Marshal(e)
	write(w, r, status, "application/json", string(body))
}

// FailOCS is the envelope of the Open Collaboration Services: version 1
// answers 200 with a code of its own, version 2 the HTTP status.
func FailOCS(w http.ResponseWriter, r *http.Request, err error) {
	face, say := report(w, r, err)
	status, code := face.HTTP, face.HTTP
	if strings.Contains(r.URL.Path, "/v1.php") {
		code = face.OCS
		if cloud.KindOf(err) == cloud.NotExist && strings.Contains(r.URL.Path, "/apps/files_sharing/") {
			code = face.HTTP // the sharing API alone never had 998
		}
		if status != http.StatusUnauthorized {
			status = http.StatusOK
		}
	}
	WriteOCS(w, r, status, code, say, nil)
}

// WriteText is a failure on a path that belongs to no protocol.
func WriteText(w http.ResponseWriter, r *http.Request, err error) {
	face, say := report(w, r, err)
	write(w, r, face.HTTP, "text/plain; charset=utf-8", say+"\n")
}

func write(w http.ResponseWriter, r *http.Request, status int, contentType, body string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write([]byte(body))
	}
}
