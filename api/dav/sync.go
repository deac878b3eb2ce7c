package dav

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// tokenScheme makes a URI of a token, as a DAV:sync-token has to be one (RFC
// 6578, section 4).
const tokenScheme = "data:,"

// syncPage is how many differences are told at once to clients that set no
// limit: many of them do not know what to do when there are more.
const syncPage = 10_000

// A syncQuery is what a sync-collection REPORT asks for.
type syncQuery struct {
	query
	token string
	flat  bool
	limit int // 0: none
}

// parseSync reads the body of a sync-collection REPORT (RFC 6578, section 6.1).
func parseSync(body []byte) (*syncQuery, error) {
	p := newParser(body)
	if err := p.root(name{nsDAV, "sync-collection"}); err != nil {
		return nil, err
	}
	q := &syncQuery{}
	said := map[string]bool{}
	for {
		t, err := p.child()
		if err != nil {
			return nil, err
		}
		if t.kind == closed {
			break
		}
		if t.name.space == nsDAV {
			if said[t.name.local] {
				return nil, malformed("it says %q twice", t.name.local)
			}
			said[t.name.local] = true
		}
		switch t.name {
		case name{nsDAV, "sync-token"}:
			q.token, err = p.text()
		case name{nsDAV, "sync-level"}:
			var level string
			if level, err = p.text(); level == "1" {
				q.flat = true
			} else if level != "infinite" && err == nil {
				err = malformed("the sync-level is 1 or infinite")
			}
		case name{nsDAV, "limit"}:
			q.limit, err = p.limit()
		case name{nsDAV, "prop"}:
			q.wants, err = p.wants()
		default:
			err = p.skip()
		}
		if err != nil {
			return nil, err
		}
	}
	for _, needed := range []string{"sync-token", "sync-level", "prop"} {
		if !said[needed] {
			return nil, malformed("it has no %s", needed)
		}
	}
	if len(q.wants) == 0 { // each response has to have some
		q.wants = []want{wantOf(name{nsDAV, "getetag"})}
	}
	return q, p.finish()
}

// text is what the current element holds, without blanks at the ends.
func (p *parser) text() (string, error) {
	var b strings.Builder
	for {
		t, err := p.next()
		switch {
		case err != nil:
			return "", err
		case t.kind == closed:
			return strings.TrimSpace(b.String()), nil
		case t.kind == opened:
			return "", malformed("there should be text in place of %q", t.name.local)
		}
		b.Write(t.text)
	}
}

// limit reads a DAV:limit (RFC 5323, section 5.17).
func (p *parser) limit() (n int, err error) {
	for {
		t, err := p.child()
		if err != nil {
			return 0, err
		}
		switch {
		case t.kind == closed && n == 0:
			return 0, malformed("the limit must be a number above 0")
		case t.kind == closed:
			return n, nil
		case t.name != name{nsDAV, "nresults"}:
			if err := p.skip(); err != nil {
				return 0, err
			}
			continue
		}
		s, err := p.text()
		if err != nil {
			return 0, err
		}
		u, _ := strconv.ParseUint(s, 10, 31)
		n = int(u)
	}
}

var (
	errNoSync = &refusal{status: http.StatusForbidden, exception: "ReportNotSupported",
		say: "This is for the top folder of a space.", conditions: []string{"<d:supported-report/>"}}
	errSyncToken = &refusal{status: http.StatusForbidden, exception: "InvalidSyncToken",
		say: "This token is not valid here, or not any more. Start over without one.", conditions: []string{"<d:valid-sync-token/>"}}
)

// syncCollection tells what is different in a space since a token (RFC 6578).
func (h *handler) syncCollection(c *call, body []byte) error {
	q, err := parseSync(body)
	if err != nil {
		return err
	}
	switch depth := c.r.Header.Get("Depth"); {
	case depth != "" && depth != "0":
		return cloud.Refuse(cloud.Invalid, "The Depth header must be 0: the sync-level says how deep it goes.")
	case !c.on(tree) || c.t.Ref.Path != "" || c.t.Ref.Node != "" && c.t.Ref.Node != c.t.Ref.Space.Root():
		return errNoSync
	}
	f := cloud.Feed{Space: c.t.Ref.Space, ByPath: true, Flat: q.flat, Limit: cmp.Or(q.limit, syncPage)}
	if q.token != "" {
		token, ok := strings.CutPrefix(q.token, tokenScheme)
		if !ok || token == "" || token == cloud.Latest {
			return errSyncToken
		}
		f.After = token
	}
	page, err := h.opts.Changes.Changes(c.ctx(), f)
	switch cloud.KindOf(err) {
	case cloud.Invalid, cloud.TooOld:
		return errSyncToken
	case cloud.NotSupported:
		return errNoSync
	}
	if err != nil {
		return err
	}
	q.minimal = prefersMinimal(c.r)
	m, release := h.newMultistatus(c, &q.query)
	defer release()
	return m.end(m.page(page))
}

// page adds the responses for a page of changes.
func (m *multistatus) page(p *cloud.Page) error {
	for _, d := range p.Diffs {
		if d.Gone {
			m.gone(d.Was, d.Node.Dir)
			continue
		}
		if err := m.entry(live, d.Node.Path, d.Node); err != nil {
			return err
		}
	}
	if p.More {
		m.truncated("")
	}
	m.buf = append(m.buf, "<d:sync-token>"+tokenScheme...)
	m.buf = append(appendText(m.buf, p.Next), "</d:sync-token>"...)
	return nil
}

// gone says that there is nothing at a path any more.
func (m *multistatus) gone(path string, dir bool) {
	b := appendHref(append(m.buf, "<d:response><d:href>"...), m.prefix, path, dir)
	m.buf = append(b, "</d:href><d:status>HTTP/1.1 404 Not Found</d:status></d:response>"...)
}

// synced tells whether a node is what a sync-collection REPORT can be about.
func (m *multistatus) synced(n *cloud.Node) bool {
	return m.changes != nil && n.Space != cloud.SharesSpace && n.ID == n.Space.Root() && m.user != nil
}

func syncToken(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if !m.synced(n) {
		return b, false
	}
	p, err := m.changes.Changes(m.c.ctx(), cloud.Feed{Space: n.Space, After: cloud.Latest})
	if err != nil {
		httpx.From(m.c.ctx()).Log.Debug("no sync-token", "space", n.Space, "error", err)
		return b, false
	}
	return appendText(append(b, tokenScheme...), p.Next), true
}

func supportedReports(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	return append(b, "<d:supported-report><d:report><d:sync-collection/></d:report></d:supported-report>"...), m.synced(n)
}
