// Package dav speaks WebDAV (RFC 4918) in the dialect of the sync clients
// that exist. It translates between HTTP and cloud.Files and decides nothing:
// who may do what, and what a quota, a lock or a version means, is known
// behind that interface.
package dav

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Options of the WebDAV endpoints.
type Options struct {
	DepthInfinity bool `yaml:"depth_infinity" env:"OCDAV_ALLOW_PROPFIND_DEPTH_INFINITY" default:"false" doc:"Answer a PROPFIND for a whole tree at once. Costly on large trees."`

	// Announce are headers that tell of other ways to write into a folder
	// (Tus-Resumable and the like). OPTIONS carries them, and so does PROPFIND
	// of a folder.
	Announce http.Header `yaml:"-"`
	// Links returns what signs addresses for the caller: a query to be put
	// behind a path (see httpx.Site.Abs; not escaped), with which it can be read
	// for a while without credentials. It returns nil for a caller who gets
	// none; nil: for nobody.
	Links func(ctx context.Context) (sign func(path string) (query string), err error) `yaml:"-"`
	// SignLink is cloud.Shares.Sign; nil: links are not signed.
	SignLink func(ctx context.Context, expires time.Time) (signature string, err error) `yaml:"-"`
	// Person knows names: nil for somebody who is no more, and for everybody
	// when it is nil itself.
	Person func(ctx context.Context, id cloud.UserID) *cloud.User `yaml:"-"`
	// Changes is asked what is different in a space; nil: nobody can say.
	Changes cloud.Changes `yaml:"-"`
}

// class is what we say of ourselves (RFC 4918, section 18).
const class = "1, 2, 3"

type handler struct {
	files   cloud.Files
	opts    Options
	methods []method
	reports map[name]func(c *call, body []byte) error // a kind of REPORT is a row here
	buffers sync.Pool                                 // of *[]byte, for multi-status bodies
	most    int                                       // entries in one multi-status of a whole tree
}

// New serves all methods but those of uploads in pieces (POST, PATCH) on the
// paths that httpx.Locate knows. The caller must already be in the context.
func New(files cloud.Files, opts Options) http.Handler {
	h := &handler{files: files, opts: opts, most: 1_000_000}
	h.buffers.New = func() any { b := make([]byte, 0, flushAt+flushAt/4); return &b }
	if opts.Changes != nil {
		h.reports = map[name]func(*call, []byte) error{{nsDAV, "sync-collection"}: h.syncCollection}
	}
	h.methods = []method{
		{"OPTIONS", anywhere, (*handler).options},
		{"GET", tree | lone | versions, (*handler).read},
		{"HEAD", tree | lone | versions, (*handler).read},
		{"PUT", tree, (*handler).put},
		{"DELETE", tree | bin, (*handler).remove},
		{"PROPFIND", anywhere, (*handler).propfind},
		{"PROPPATCH", tree, (*handler).proppatch},
		{"MKCOL", tree, (*handler).mkcol},
		{"COPY", tree | versions, (*handler).transfer},
		{"MOVE", tree | bin, (*handler).transfer},
		{"LOCK", tree, (*handler).lock},
		{"UNLOCK", tree, (*handler).unlock},
		{"REPORT", anywhere, (*handler).report},
	}
	return h
}

// A method of HTTP, and on which targets it makes sense.
type method struct {
	name  string
	on    kinds
	serve func(*handler, *call) error
}

// kinds is a set of httpx.TargetKind.
type kinds uint8

const (
	nowhere  = kinds(1 << httpx.Nowhere)
	tree     = kinds(1 << httpx.Tree)
	bin      = kinds(1 << httpx.Bin)
	meta     = kinds(1 << httpx.Meta)
	versions = kinds(1 << httpx.Versions)
	lone     = kinds(1 << httpx.Lone)
	anywhere = nowhere | tree | bin | meta | versions | lone
)

// A call is one request on its way through a method.
type call struct {
	w   http.ResponseWriter
	r   *http.Request
	t   httpx.Target
	how cloud.Conditions // what the headers demand
}

func (c *call) ctx() context.Context { return c.r.Context() }

// on tells whether the target is one of a set.
func (c *call) on(set kinds) bool { return set&(1<<c.t.Kind) != 0 }

// A refusal is an answer whose status only WebDAV knows.
type refusal struct {
	status     int
	exception  string // of Sabre
	say        string
	conditions []string
}

func (e *refusal) Error() string { return e.say }

var errNotAllowed = &refusal{status: http.StatusMethodNotAllowed, exception: "MethodNotAllowed", say: "This is not possible with what is at this address."}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r}
	if err := h.serve(c); err != nil {
		h.fail(c, err)
	}
}

func (h *handler) serve(c *call) (err error) {
	m := h.method(c.r.Method)
	if m == nil {
		return errNotAllowed
	}
	if m.name == "OPTIONS" { // answers before anybody signs in, so it must not look
		return m.serve(h, c)
	}
	if c.t, err = httpx.Locate(c.r, h.files); err != nil {
		return err
	}
	if v := cloud.CallerFrom(c.ctx()).Visitor; v != nil {
		if v.Internal {
			return c.redirect()
		}
		if !c.on(tree|lone|meta) || m.name == "REPORT" {
			return cloud.Refuse(cloud.Permission, "With this link there is nothing to do here.")
		}
	}
	if !c.on(m.on) {
		return errNotAllowed
	}
	if err := h.demands(c); err != nil {
		return err
	}
	return m.serve(h, c)
}

// redirect leads a user who came by an internal link to where they may go
// without it. The method stays (RFC 9110, section 15.4.8).
func (c *call) redirect() error {
	if c.t.Kind != httpx.Tree {
		return cloud.NotExist
	}
	href := []byte(httpx.From(c.ctx()).Site.Base() + "/dav/spaces/" + cloud.ItemID(c.t.Ref.Space, c.t.Ref.Node))
	c.w.Header().Set("Location", string(appendHref(href, "", c.t.Ref.Path, false)))
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusTemporaryRedirect)
	return nil
}

func (h *handler) method(name string) *method {
	for i := range h.methods {
		if h.methods[i].name == name {
			return &h.methods[i]
		}
	}
	return nil
}

// allow lists the methods for the targets of a set.
func (h *handler) allow(on kinds) string {
	var names []string
	for _, m := range h.methods {
		if m.on&on != 0 {
			names = append(names, m.name)
		}
	}
	return strings.Join(names, ", ")
}

func (h *handler) options(c *call) error {
	header := c.w.Header()
	header.Set("Allow", h.allow(anywhere))
	header.Set("DAV", class)
	header.Set("MS-Author-Via", "DAV")
	h.announce(header)
	header.Set("Content-Length", "0")
	return nil
}

func (h *handler) announce(header http.Header) {
	for key, values := range h.opts.Announce {
		header[key] = slices.Clip(values) // shared: who adds one must not write into it
	}
}

// fail answers with an error. Nothing must have been written before.
func (h *handler) fail(c *call, err error) {
	var e *refusal
	switch {
	case errors.As(err, &e):
		if e.status == http.StatusMethodNotAllowed {
			on := kinds(1 << c.t.Kind)
			if h.method(c.r.Method) == nil {
				on = anywhere
			}
			c.w.Header().Set("Allow", h.allow(on))
		}
		httpx.WriteSabre(c.w, c.r, e.status, e.exception, e.say, "", e.conditions...)
	case cloud.KindOf(err) == cloud.Locked && c.on(tree):
		h.failLocked(c, err)
	default:
		httpx.FailDAV(c.w, c.r, err)
	}
}

// abort ends an answer that has begun, so that the client cannot take what
// it has for the whole.
func abort(c *call, err error) {
	level := slog.LevelError
	if c.ctx().Err() != nil { // the client went away
		level = slog.LevelDebug
	}
	httpx.From(c.ctx()).Log.Log(c.ctx(), level, "answer cut short", "method", c.r.Method, "path", httpx.LogPath(c.r), "error", err)
	panic(http.ErrAbortHandler)
}

// tell puts into the headers what clients want to know of what they wrote, in
// the space of the ref that they wrote to.
func (c *call) tell(n *cloud.Node, to cloud.Ref) {
	header := c.w.Header()
	tag := httpx.ETag(n.ETag)
	header.Set("ETag", tag)
	header.Set("OC-ETag", tag)
	header.Set("OC-FileId", cloud.ItemID(n.Space, n.ID))
	header.Set("OC-Perm", httpx.Permissions(n, to.Space))
	if !n.MTime.IsZero() {
		header.Set("Last-Modified", n.MTime.UTC().Format(http.TimeFormat))
	}
}

// status is 201 for what is new and 204 for what was replaced.
func status(made bool) int {
	if made {
		return http.StatusCreated
	}
	return http.StatusNoContent
}
