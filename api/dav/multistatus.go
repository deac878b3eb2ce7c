package dav

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// flushAt is how many bytes of a multi-status are gathered before they go out.
const flushAt = 32 << 10

const multistatusHead = `<?xml version="1.0" encoding="utf-8"?>` + "\n" +
	`<d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" xmlns:oc="http://owncloud.org/ns" xmlns:ocs="http://open-collaboration-services.org/ns">`

// A multistatus writes the answer to a PROPFIND, entry by entry. It is made
// for speed: 1,000 entries are one call of a sync client, and it makes many.
type multistatus struct {
	c     *call
	files cloud.Files
	q     *query
	needs cloud.Traits
	site  *httpx.Site
	user  *cloud.User // nil: nobody
	now   time.Time

	visitor  *cloud.Visitor // nil: none
	sharing  sharing
	persons  func(context.Context, cloud.UserID) *cloud.User
	signLink func(context.Context, time.Time) (string, error)
	changes  cloud.Changes // nil: nobody can say

	prefix   string // of all hrefs, as it stands in XML
	fileName string // of what the versions are of

	buf     []byte
	begun   bool  // something is on its way to the client
	missing []int // of the entry at hand: places in q.wants
	spaceOf *cloud.Space
	links   func(context.Context) (func(string) string, error)
	sign    func(path string) (query string) // of links, once it was asked
}

func (h *handler) newMultistatus(c *call, q *query) (m *multistatus, release func()) {
	buf := h.buffers.Get().(*[]byte)
	caller := cloud.CallerFrom(c.ctx())
	m = &multistatus{
		c: c, files: h.files, q: q, needs: q.needs(), links: h.opts.Links, changes: h.opts.Changes,
		site:    httpx.From(c.ctx()).Site,
		user:    caller.User,
		visitor: caller.Visitor, persons: h.opts.Person, signLink: h.opts.SignLink,
		now:    time.Now(),
		prefix: string(appendText(nil, c.t.Prefix)),
		buf:    append((*buf)[:0], multistatusHead...),
	}
	return m, func() {
		if cap(m.buf) <= 4*flushAt { // an entry may be large; do not keep that
			*buf = m.buf
			h.buffers.Put(buf)
		}
	}
}

// entry adds a response for n, which is at path below the target's prefix.
func (m *multistatus) entry(kind facet, path string, n *cloud.Node) error {
	missing := n.Traits & m.needs // a listing leaves them out
	if n.Attrs != nil {
		missing &^= cloud.HasAttrs
	}
	if kind == live && missing != 0 {
		at := cloud.Ref{Space: n.Space, Node: n.ID}
		if m.c.t.Ref.Space == cloud.SharesSpace { // where it is reached counts, too
			at = cloud.Ref{Space: cloud.SharesSpace, Node: m.c.t.Ref.Node, Path: path}
		}
		switch full, err := m.files.Stat(m.c.ctx(), at); {
		case err == nil:
			n = full
		case cloud.KindOf(err) != cloud.NotExist: // gone meanwhile: then as it was
			return err
		}
	}
	b := append(m.buf, "<d:response><d:href>"...)
	b = appendHref(b, m.prefix, path, n.Dir)
	b = append(b, "</d:href>"...)
	switch m.q.mode {
	case named:
		b = m.named(b, kind, n)
	case all:
		b = m.all(b, kind, n)
	case names:
		b = m.names(b, kind, n)
	}
	m.buf = append(b, "</d:response>"...)
	if len(m.buf) >= flushAt {
		return m.flush()
	}
	return nil
}

func appendHref(b []byte, prefix, path string, dir bool) []byte {
	b = append(b, prefix...)
	if path != "" {
		b = httpx.EscapePath(append(b, '/'), path)
	}
	if dir {
		b = append(b, '/')
	}
	return b
}

const (
	okBegin    = "<d:propstat><d:prop>"
	okEnd      = "</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
	pendingEnd = "</d:prop><d:status>HTTP/1.1 425 TOO EARLY</d:status></d:propstat>" // to the letter: clients compare
	lackingEnd = "</d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>"
)

// found ends the propstat of what there is.
func found(b []byte, n *cloud.Node) []byte {
	if n.State == cloud.Pending {
		return append(b, pendingEnd...)
	}
	return append(b, okEnd...)
}

func (m *multistatus) named(b []byte, kind facet, n *cloud.Node) []byte {
	m.missing = m.missing[:0]
	begin := len(b)
	b = append(b, okBegin...)
	for i := range m.q.wants {
		var ok bool
		if b, ok = m.value(b, kind, n, &m.q.wants[i]); !ok {
			m.missing = append(m.missing, i)
		}
	}
	// What is found comes first: some clients look at no other propstat.
	if len(m.missing) == len(m.q.wants) && !m.q.minimal {
		b = b[:begin]
	} else {
		b = found(b, n)
	}
	if len(m.missing) == 0 || m.q.minimal {
		return b
	}
	b = append(b, okBegin...)
	for _, i := range m.missing {
		b = append(b, m.q.wants[i].empty...)
	}
	return append(b, lackingEnd...)
}

// value adds a whole property, or nothing.
func (m *multistatus) value(b []byte, kind facet, n *cloud.Node, w *want) ([]byte, bool) {
	begin := len(b)
	if w.live < 0 {
		value, ok := n.Attrs[w.key]
		if !ok || kind == folder {
			return b, false
		}
		b = append(b, w.open...)
		if lang, ok := n.Attrs[w.key+langSuffix]; ok {
			b = appendAttr(b, "xml:lang", lang)
		}
		b = append(append(b, '>'), value...)
		return append(b, w.shut...), true
	}
	p := &props[w.live]
	if p.on&kind == 0 {
		return b, false
	}
	b = append(append(b, w.open...), '>')
	value := len(b)
	b, ok := p.value(b, m, n)
	switch {
	case !ok:
		return b[:begin], false
	case len(b) == value:
		return append(b[:begin], w.empty...), true
	}
	return append(b, w.shut...), true
}

func (m *multistatus) all(b []byte, kind facet, n *cloud.Node) []byte {
	b = append(b, okBegin...)
	for i := range m.q.wants {
		b, _ = m.value(b, kind, n, &m.q.wants[i])
	}
	if kind != folder {
		for _, name := range deadNames(n) {
			w := wantOf(name)
			b, _ = m.value(b, kind, n, &w)
		}
	}
	return found(b, n)
}

func (m *multistatus) names(b []byte, kind facet, n *cloud.Node) []byte {
	b = append(b, okBegin...)
	for i := range m.q.wants {
		w := &m.q.wants[i]
		begin := len(b)
		var ok bool
		if b, ok = m.value(b, kind, n, w); ok {
			b = append(b[:begin], w.empty...)
		}
	}
	if kind != folder {
		for _, name := range deadNames(n) {
			b = append(b, wantOf(name).empty...)
		}
	}
	return found(b, n)
}

// truncated says that there is more below the target than we tell.
func (m *multistatus) truncated(path string) {
	b := appendHref(append(m.buf, "<d:response><d:href>"...), m.prefix, path, true)
	m.buf = append(b, "</d:href><d:status>HTTP/1.1 507 Insufficient Storage</d:status>"+
		"<d:error><d:number-of-matches-within-limits/></d:error></d:response>"...)
}

// space is the space of a node, nil when it cannot be seen.
func (m *multistatus) space(n *cloud.Node) *cloud.Space {
	if m.spaceOf == nil || m.spaceOf.ID != n.Space {
		s, err := m.files.Space(m.c.ctx(), n.Space)
		if err != nil {
			s = &cloud.Space{ID: n.Space} // ask once
		}
		m.spaceOf = s
	}
	if m.spaceOf.Root == nil {
		return nil
	}
	return m.spaceOf
}

// signed is the address at which the caller can read a path without
// credentials, empty if there is none.
func (m *multistatus) signed(path string) string {
	if m.links != nil {
		sign, err := m.links(m.c.ctx())
		if err != nil {
			httpx.From(m.c.ctx()).Log.Error("addresses cannot be signed", "error", err)
		}
		m.links, m.sign = nil, sign // ask once
	}
	if m.sign == nil {
		return ""
	}
	return m.site.Abs(path) + "?" + m.sign(path)
}

func (m *multistatus) begin() {
	h := m.c.w.Header()
	h.Set("Content-Type", "application/xml; charset=utf-8") // to the letter: clients compare
	h.Set("DAV", class)
	h.Add("Vary", "Prefer")
	if m.q.minimal {
		h.Set("Preference-Applied", "return=minimal")
	}
}

func (m *multistatus) flush() error {
	if !m.begun {
		m.begin()
		m.c.w.WriteHeader(http.StatusMultiStatus)
		m.begun = true
	}
	if err := m.c.ctx().Err(); err != nil {
		return err
	}
	_, err := m.c.w.Write(m.buf)
	m.buf = m.buf[:0]
	return err
}

// end completes the answer. An err cuts it short, when it has begun, and is
// returned to be answered with otherwise.
func (m *multistatus) end(err error) error {
	switch {
	case err != nil && m.begun:
		abort(m.c, err)
	case err != nil:
		return err
	}
	m.buf = append(m.buf, "</d:multistatus>\n"...)
	if !m.begun {
		m.begin()
		m.c.w.Header().Set("Content-Length", strconv.Itoa(len(m.buf)))
		m.c.w.WriteHeader(http.StatusMultiStatus)
		m.begun = true
	}
	m.c.w.Write(m.buf) // who does not listen any more need not be told
	return nil
}
