// Package ocs serves the Open Collaboration Services: what the server can do,
// who is signed in, the key that they sign addresses with, and the sharing API
// that clients spoke before the Graph API. It holds no rule: what may be shared
// with whom is decided where all protocols ask.
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

// Options are, but for the first, what other parts know and clients are told
// here.
type Options struct {
	DefaultLink int `yaml:"default_link_permissions" env:"FRONTEND_DEFAULT_LINK_PERMISSIONS" default:"1" doc:"What a new link is for unless the client says otherwise: 1 is to look at, 0 is for those who have access anyway."`

	Product        string `yaml:"-"` // "OpenCloud"
	ProductVersion string `yaml:"-"` // our own; desktop clients refuse an empty one
	Edition        string `yaml:"-"`
	Version        string `yaml:"-"` // what old clients compare: three numbers, at least 10

	Password  Passwords `yaml:"-"`
	MinSearch int       `yaml:"-"` // fewest characters by which people can search for others
	Elsewhere bool      `yaml:"-"` // users are kept by another system and cannot be changed here

	// Of sharing.
	LinkPassword         bool     `yaml:"-"` // every link needs a password
	WritableLinkPassword bool     `yaml:"-"` // every link by which something can be changed needs one
	AutoAccept           bool     `yaml:"-"` // what is shared appears by itself
	Roles                []string `yaml:"-"` // ids of the roles that are offered; nil: the default ones

	MaxQuota   int64 `yaml:"-"` // bytes that a space can be given at most; 0 is unlimited
	NoVersions bool  `yaml:"-"` // earlier contents are not kept

	Archiver Archiver `yaml:"-"`

	// Of uploads by TUS.
	TusVersion     string `yaml:"-"`
	TusExtensions  string `yaml:"-"`
	MaxChunkSize   int64  `yaml:"-"`
	MethodOverride string `yaml:"-"`

	SSE bool `yaml:"-"` // clients can listen to what happens

	// SigningKey is what the caller signs addresses with; nil: nobody does.
	SigningKey func(ctx context.Context) (string, error) `yaml:"-"`
}

// An Archiver is where many files are downloaded as one; without URL there is none.
type Archiver struct {
	Version  string
	Formats  []string
	URL      string // below the base path
	MaxFiles int
	MaxSize  int64 // bytes
}

// Passwords are numbers of characters.
type Passwords struct{ Min, Max, Lower, Upper, Digits, Special int }

type handler struct {
	files  cloud.Files
	shares cloud.Shares
	people cloud.People
	opts   Options
}

// New serves /ocs/v1.php and /ocs/v2.php, in JSON when the query says
// format=json and in XML otherwise. Capabilities and config answer anybody, and
// so does what a token of a link without a password opens; the rest needs a
// caller.
func New(files cloud.Files, shares cloud.Shares, people cloud.People, opts Options) http.Handler {
	return &handler{files, shares, people, opts}
}

// maxForm bounds what is sent, in bytes.
const maxForm = 64 << 10

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
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

	sharing = "apps/files_sharing/api/v1/"
)

// calls are all there are. The "*" in a path stands for one segment, which the
// call gets decoded. What is named comes before what is not.
var calls = [...]struct {
	method, path string
	answer       func(h *handler, r *http.Request, segment string) (any, error)
}{
	{"GET", "cloud/capabilities", (*handler).tellCapabilities},
	{"GET", "config", (*handler).tellConfig},
	{"GET", "cloud/user", (*handler).tellUser},
	{"GET", "cloud/user/signing-key", (*handler).tellKey},
	{"GET", "cloud/users/*", (*handler).tellAccount},
	{"GET", "cloud/users/*/groups", (*handler).tellGroups},
	{"GET", "apps/notifications/api/v1/notifications", (*handler).nothing},

	{"GET", sharing + "shares", (*handler).listShares},
	{"POST", sharing + "shares", (*handler).addShare},
	{"GET", sharing + "shares/*", (*handler).showShare},
	{"PUT", sharing + "shares/*", (*handler).changeShare},
	{"DELETE", sharing + "shares/*", (*handler).endShare},
	{"POST", sharing + "shares/pending/*", (*handler).accept},
	{"PUT", sharing + "shares/pending/*", (*handler).hide},
	{"DELETE", sharing + "shares/pending/*", (*handler).decline},
	{"GET", sharing + "remote_shares", (*handler).nothing},
	{"GET", sharing + "remote_shares/pending", (*handler).nothing},
	{"GET", sharing + "sharees", (*handler).listSharees},
	{"GET", sharing + "tokeninfo/protected/*", (*handler).tellTokenToUser},
	{"GET", sharing + "tokeninfo/unprotected/*", (*handler).tellToken},
}

func (h *handler) answer(r *http.Request) (any, error) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), v1)
	if !ok {
		path, ok = strings.CutPrefix(r.URL.EscapedPath(), v2)
	}
	if !ok {
		return nil, cloud.NotExist
	}
	method, path := r.Method, strings.TrimSuffix(path, "/")
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range calls {
		c := &calls[i]
		if c.method != method {
			continue
		}
		if segment, ok := matches(c.path, path); ok {
			return c.answer(h, r, segment)
		}
	}
	return nil, cloud.NotExist
}

// matches compares an escaped path with one of a call.
func matches(pattern, path string) (segment string, ok bool) {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return "", path == pattern
	}
	path, begins := strings.CutPrefix(path, before)
	path, ends := strings.CutSuffix(path, after)
	segment, err := url.PathUnescape(path)
	return segment, begins && ends && err == nil && path != "" && !strings.Contains(path, "/")
}

// caller is the user who asks. Through a link nobody does.
func caller(ctx context.Context) (*cloud.User, error) {
	c := cloud.CallerFrom(ctx)
	switch {
	case c.Visitor != nil:
		return nil, cloud.Permission
	case c.User == nil:
		return nil, cloud.Unauthorized
	}
	return c.User, nil
}

// nothing is a list of what this server has none of.
func (h *handler) nothing(r *http.Request, _ string) (any, error) {
	_, err := caller(r.Context())
	return []string{}, err
}

type config struct {
	Version string `json:"version"`
	Website string `json:"website"`
	Host    string `json:"host"`
	Contact string `json:"contact"`
	SSL     string `json:"ssl"`
}

func (h *handler) tellConfig(r *http.Request, _ string) (any, error) {
	at := httpx.From(r.Context()).Site.URL
	return config{"1.7", h.opts.Product, at.Host, "", strconv.FormatBool(at.Scheme == "https")}, nil
}

// user is who asks. Old clients build the path of their files with the id, so
// it is the login name.
type user struct {
	ID          string `json:"id"`
	DisplayName string `json:"display-name"`
	Mail        string `json:"email"`
}

func (h *handler) tellUser(r *http.Request, _ string) (any, error) {
	u, err := caller(r.Context())
	if err != nil {
		return nil, err
	}
	return user{u.Name, displayName(u), u.Mail}, nil
}

type signingKey struct {
	User string `json:"user"`
	Key  string `json:"signing-key"`
}

func (h *handler) tellKey(r *http.Request, _ string) (any, error) {
	u, err := caller(r.Context())
	switch {
	case err != nil:
		return nil, err
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

// tellAccount is who asks, if the id is theirs, and how full their personal
// space is.
func (h *handler) tellAccount(r *http.Request, id string) (any, error) {
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

func (h *handler) tellGroups(r *http.Request, id string) (any, error) {
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

// self is the caller when the id or login name is theirs.
func (h *handler) self(r *http.Request, id string) (*cloud.User, error) {
	u, err := caller(r.Context())
	if err == nil && id != string(u.ID) && !strings.EqualFold(id, u.Name) {
		err = cloud.NotExist
	}
	return u, err
}

func displayName(u *cloud.User) string {
	if u.Display == "" {
		return u.Name
	}
	return u.Display
}
