// Package graph serves the part of the LibreGraph API that is about people and
// their drives, which is what Graph calls spaces. It translates between JSON
// and cloud.Files and decides nothing; every failure is an OData error.
package graph

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Options are what an administrator can set: nothing so far.
type Options struct{}

// maxBody is more than any request of this API needs.
const maxBody = 256 << 10 // bytes

type handler struct {
	files  cloud.Files
	dir    cloud.Directory
	routes []route
}

// A route answers one method on one path below the version. A "*" in the path
// stands for one segment, which becomes arg.
type route struct {
	method string
	path   string
	serve  func(h *handler, w http.ResponseWriter, r *http.Request, arg string) error

	segments []string
}

func table() []route {
	return []route{
		{method: "GET", path: "me", serve: (*handler).me},
		{method: "GET", path: "me/drive", serve: (*handler).home},
		{method: "GET", path: "me/drives", serve: (*handler).drives},
		{method: "GET", path: "drives", serve: (*handler).drives},
		{method: "POST", path: "drives", serve: (*handler).createDrive},
		{method: "GET", path: "drives/*", serve: (*handler).drive},
		{method: "PATCH", path: "drives/*", serve: (*handler).updateDrive},
		{method: "DELETE", path: "drives/*", serve: (*handler).removeDrive},
	}
}

// New serves /graph/v1.0 and /graph/v1beta1, which are the same here. The
// directory is asked for the names of owners.
func New(files cloud.Files, dir cloud.Directory, _ Options) http.Handler {
	h := &handler{files: files, dir: dir, routes: table()}
	for i := range h.routes {
		h.routes[i].segments = strings.Split(h.routes[i].path, "/")
	}
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments, err := split(r.URL.EscapedPath())
	if err != nil {
		httpx.FailOData(w, r, err)
		return
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allowed []string
	for i := range h.routes {
		t := &h.routes[i]
		arg, ok := t.match(segments)
		if !ok {
			continue
		}
		if t.method == method {
			if err := t.serve(h, w, r, arg); err != nil {
				httpx.FailOData(w, r, err)
			}
			return
		}
		allowed = append(allowed, t.method)
	}
	if allowed == nil {
		httpx.FailOData(w, r, cloud.NotExist)
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	httpx.WriteOData(w, r, http.StatusMethodNotAllowed, cloud.NotSupported.Face().OData, "This cannot be done here.")
}

// split takes the segments behind the version off a path, decoded.
func split(escaped string) ([]string, error) {
	rest, ok := strings.CutPrefix(escaped, "/graph/v1.0/")
	if !ok {
		rest, ok = strings.CutPrefix(escaped, "/graph/v1beta1/")
	}
	if !ok {
		return nil, cloud.NotExist
	}
	segments := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	for i, s := range segments {
		var err error
		if segments[i], err = url.PathUnescape(s); err != nil {
			return nil, cloud.Refuse(cloud.Invalid, "The URL is not properly encoded.")
		}
	}
	return segments, nil
}

func (t *route) match(segments []string) (arg string, ok bool) {
	if len(segments) != len(t.segments) {
		return "", false
	}
	for i, want := range t.segments {
		switch {
		case want == "*" && segments[i] != "":
			arg = segments[i]
		case want != segments[i]:
			return "", false
		}
	}
	return arg, true
}

// caller is who asks. Of what needs no files nobody else checks it.
func caller(r *http.Request) (*cloud.User, error) {
	u := cloud.CallerFrom(r.Context()).User
	if u == nil {
		return nil, cloud.Unauthorized
	}
	return u, nil
}

// options reads the query. An OData option that the call does not know is
// refused: to leave it out would answer another question.
func options(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, cloud.Refuse(cloud.Invalid, "The query is not properly encoded.")
	}
	for key := range q {
		if strings.HasPrefix(key, "$") && !slices.Contains(known, key) {
			return nil, cloud.Refuse(cloud.Invalid, "The query option %q is not supported here.", key)
		}
	}
	return q, nil
}

// list takes apart an option such as $select or $expand and refuses what is
// not among known, if any.
func list(option, value string, known ...string) ([]string, error) {
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		if known != nil && !slices.Contains(known, item) {
			return nil, cloud.Refuse(cloud.Invalid, "%s does not know %q.", option, item)
		}
		items = append(items, item)
	}
	return items, nil
}

// read decodes a JSON body; an empty one leaves v as it is. Only what says
// that it is JSON is read, since a form on a foreign page cannot say so.
func read(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	err := d.Decode(v)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if t, _, e := mime.ParseMediaType(r.Header.Get("Content-Type")); e != nil || t != "application/json" {
		return cloud.Refuse(cloud.Invalid, "The Content-Type must be application/json.")
	}
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return cloud.Refuse(cloud.TooLarge, "The request is too large: at most %d bytes.", maxBody)
	}
	return cloud.Refuse(cloud.Invalid, "The body is not the JSON that is expected here.")
}

func write(w http.ResponseWriter, r *http.Request, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
	return nil
}

// A collection is how OData wraps a list.
type collection[T any] struct {
	Value []T `json:"value"`
}
