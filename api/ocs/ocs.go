// Package ocs serves the part of the Open Collaboration Services that clients
// begin with: what the server can do, who is signed in, and the key that they
// sign addresses with. It holds no sharing and no notifications.
package ocs

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Options are what other parts know and clients are told here. An
// administrator sets none of it.
type Options struct {
	Product        string `yaml:"-"` // "OpenCloud"
	ProductVersion string `yaml:"-"` // our own; desktop clients refuse an empty one
	Edition        string `yaml:"-"`
	Version        string `yaml:"-"` // what old clients compare: three numbers, at least 10

	Password  Passwords `yaml:"-"`
	MinSearch int       `yaml:"-"` // fewest characters by which people can search for others

	MaxQuota   int64 `yaml:"-"` // bytes that a space can be given at most; 0 is unlimited
	NoVersions bool  `yaml:"-"` // earlier contents are not kept

	// Of uploads by TUS.
	TusVersion     string `yaml:"-"`
	TusExtensions  string `yaml:"-"`
	MaxChunkSize   int64  `yaml:"-"`
	MethodOverride string `yaml:"-"`

	SSE bool `yaml:"-"` // clients can listen to what happens

	// SigningKey is what the caller signs addresses with; nil: nobody does.
	SigningKey func(ctx context.Context) (string, error) `yaml:"-"`
}

// Passwords are numbers of characters.
type Passwords struct{ Min, Max, Lower, Upper, Digits, Special int }

type handler struct {
	files cloud.Files
	opts  Options
}

// New serves /ocs/v1.php and /ocs/v2.php, in JSON when the query says
// format=json and in XML otherwise. Capabilities and config answer anybody;
// the rest needs a caller, who learns of himself only.
func New(files cloud.Files, opts Options) http.Handler {
	return &handler{files, opts}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := h.answer(r)
	if err != nil {
		httpx.FailOCS(w, r, err)
		return
	}
	code := 200
	if strings.HasPrefix(r.URL.Path, v1) {
		code = 100
	}
	w.Header().Set("Cache-Control", "no-store")
	httpx.WriteOCS(w, r, http.StatusOK, code, "OK", data)
}

const (
	v1 = "/ocs/v1.php/"
	v2 = "/ocs/v2.php/"
)

func (h *handler) answer(r *http.Request) (any, error) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), v1)
	if !ok {
		path, ok = strings.CutPrefix(r.URL.EscapedPath(), v2)
	}
	if !ok || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, cloud.NotExist
	}
	path = strings.TrimSuffix(path, "/")
	switch path {
	case "cloud/capabilities":
		return h.capabilities(httpx.From(r.Context()).Site), nil
	case "config":
		return configOf(httpx.From(r.Context()).Site, h.opts.Product), nil
	case "cloud/user":
		u := cloud.CallerFrom(r.Context()).User
		if u == nil {
			return nil, cloud.Unauthorized
		}
		return user{u.Name, displayName(u), u.Mail}, nil
	case "cloud/user/signing-key":
		return h.signingKey(r)
	}
	if id, ok := strings.CutPrefix(path, "cloud/users/"); ok {
		if id, ok := strings.CutSuffix(id, "/groups"); ok {
			return h.groups(r, id)
		}
		return h.account(r, id)
	}
	return nil, cloud.NotExist
}

type config struct {
	Version string `json:"version"`
	Website string `json:"website"`
	Host    string `json:"host"`
	Contact string `json:"contact"`
	SSL     string `json:"ssl"`
}

func configOf(s *httpx.Site, product string) config {
	return config{"1.7", product, s.URL.Host, "", strconv.FormatBool(s.URL.Scheme == "https")}
}

// user is who asks. Old clients build the path of their files with the id, so
// it is the login name.
type user struct {
	ID          string `json:"id"`
	DisplayName string `json:"display-name"`
	Mail        string `json:"email"`
}

type signingKey struct {
	User string `json:"user"`
	Key  string `json:"signing-key"`
}

func (h *handler) signingKey(r *http.Request) (any, error) {
	u := cloud.CallerFrom(r.Context()).User
	switch {
	case u == nil:
		return nil, cloud.Unauthorized
	case h.opts.SigningKey == nil:
		return nil, cloud.NotExist
	}
	key, err := h.opts.SigningKey(r.Context())
	return signingKey{u.Name, key}, err
}

type account struct {
	ID          string `json:"id"`
	Enabled     bool   `json:"enabled"`
	DisplayName string `json:"displayname"`
	Hyphenated  string `json:"display-name"`
	Mail        string `json:"email"`
	Quota       quota  `json:"quota"`
}

type quota struct {
	Free       int64   `json:"free"`
	Used       int64   `json:"used"`
	Total      int64   `json:"total"`
	Relative   float64 `json:"relative"` // percent that is used
	Definition string  `json:"definition"`
}

// account is who asks, if the id is theirs, and how full their personal space is.
func (h *handler) account(r *http.Request, id string) (any, error) {
	u, err := h.self(r, id)
	if err != nil {
		return nil, err
	}
	a := account{u.Name, !u.Disabled, displayName(u), displayName(u), u.Mail, quota{Definition: "default"}}
	s, err := h.files.Home(r.Context())
	switch {
	case cloud.KindOf(err) == cloud.Permission: // no personal space
	case err != nil:
		return nil, err
	default:
		used, free := s.Root.Size, s.Free
		a.Quota.Free, a.Quota.Used, a.Quota.Total = free, used, s.Quota
		if s.Quota == 0 {
			a.Quota.Total = used + min(free, 1<<62-used)
		}
		if a.Quota.Total > 0 {
			a.Quota.Relative = float64(used*10000/a.Quota.Total) / 100
		}
	}
	return a, nil
}

type groups struct {
	Groups []string `json:"groups"`
}

func (h *handler) groups(r *http.Request, id string) (any, error) {
	u, err := h.self(r, id)
	if err != nil {
		return nil, err
	}
	g := groups{make([]string, len(u.Groups))}
	for i, id := range u.Groups {
		g.Groups[i] = string(id)
	}
	return g, nil
}

// self is the caller when the escaped id or login name is theirs.
func (h *handler) self(r *http.Request, escaped string) (*cloud.User, error) {
	u := cloud.CallerFrom(r.Context()).User
	if u == nil {
		return nil, cloud.Unauthorized
	}
	id, err := url.PathUnescape(escaped)
	if err != nil || id != string(u.ID) && !strings.EqualFold(id, u.Name) {
		return nil, cloud.NotExist
	}
	return u, nil
}

func displayName(u *cloud.User) string {
	if u.Display == "" {
		return u.Name
	}
	return u.Display
}
