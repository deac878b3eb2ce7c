package dav

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"opencloud/cloud"
)

// parseLock reads the body of a LOCK (RFC 4918, section 14.11).
func parseLock(body []byte) (l cloud.Lock, err error) {
	p := newParser(body)
	if err := p.root(name{nsDAV, "lockinfo"}); err != nil {
		return l, err
	}
	scope, kind := "", ""
	for {
		t, err := p.child()
		if err != nil {
			return l, err
		}
		if t.kind == closed {
			break
		}
		switch t.name {
		case name{nsDAV, "lockscope"}:
			scope, err = p.choice()
		case name{nsDAV, "locktype"}:
			kind, err = p.choice()
		case name{nsDAV, "owner"}:
			l.Owner, err = p.inner()
		default:
			err = p.skip()
		}
		if err != nil {
			return l, err
		}
	}
	if kind != "write" || scope != "exclusive" && scope != "shared" {
		return l, malformed("it should ask for an exclusive or shared write lock")
	}
	if len(l.Owner) > maxOwner {
		return l, cloud.Refuse(cloud.TooLarge, "The owner of a lock is told in %d bytes at most.", maxOwner)
	}
	l.Shared = scope == "shared"
	return l, p.finish()
}

const maxOwner = 8 << 10

// choice is the name of the one DAV element inside the current one.
func (p *parser) choice() (choice string, err error) {
	for {
		t, err := p.child()
		if err != nil || t.kind == closed {
			return choice, err
		}
		if t.name.space == nsDAV && choice == "" {
			choice = t.name.local
		}
		if err := p.skip(); err != nil {
			return "", err
		}
	}
}

// parseTimeout reads a Timeout header (RFC 4918, section 10.7): the first
// choice that makes sense. Zero: the client does not care.
func parseTimeout(s string) time.Duration {
	const most = 365 * 24 * time.Hour // the rules cut it further
	for choice := range strings.SplitSeq(s, ",") {
		choice = strings.ToLower(strings.TrimSpace(choice))
		if choice == "infinite" {
			return most
		}
		if text, ok := strings.CutPrefix(choice, "second-"); ok {
			if n, err := strconv.ParseUint(text, 10, 32); err == nil {
				return min(time.Duration(max(n, 1))*time.Second, most)
			}
		}
	}
	return 0
}

// lock is LOCK: with a body it takes a lock, without it makes one last longer.
func (h *handler) lock(c *call) error {
	b, err := body(c)
	if err != nil {
		return err
	}
	d, err := parseDepth(c.r.Header.Get("Depth"))
	if err != nil || d == depth1 {
		return cloud.Refuse(cloud.Invalid, "The Depth header must be 0 or infinity.")
	}
	var want cloud.Lock
	if len(b) > 0 {
		if want, err = parseLock(b); err != nil {
			return err
		}
		want.Deep = d == infinity
	} else {
		if len(c.how.Tokens) != 1 {
			return cloud.Refuse(cloud.Invalid, "To refresh a lock, name its token in the If header.")
		}
		want.Token = c.how.Tokens[0]
	}
	want.Timeout = parseTimeout(c.r.Header.Get("Timeout"))
	l, n, made, err := h.files.Lock(c.ctx(), c.t.Ref, want, c.how)
	if err != nil {
		return err
	}
	m, release := h.newMultistatus(c, &query{})
	defer release()
	m.buf = append(m.buf[:0], `<?xml version="1.0" encoding="utf-8"?>`+"\n"+
		`<d:prop xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:lockdiscovery>`...)
	m.buf = m.appendLock(m.buf, n, &l)
	m.buf = append(m.buf, "</d:lockdiscovery></d:prop>\n"...)
	header := c.w.Header()
	header.Set("Content-Type", "application/xml; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(m.buf)))
	if want.Token == "" { // of a new lock only (RFC 4918, section 9.10.1)
		header.Set("Lock-Token", "<"+l.Token+">")
	}
	if made {
		c.tell(n, c.t.Ref)
		c.w.WriteHeader(http.StatusCreated)
	}
	c.w.Write(m.buf)
	return nil
}

// unlock is UNLOCK.
func (h *handler) unlock(c *call) error {
	token, ok := strings.CutPrefix(strings.TrimSpace(c.r.Header.Get("Lock-Token")), "<")
	token, ok2 := strings.CutSuffix(token, ">")
	if !ok || !ok2 || token == "" {
		return cloud.Refuse(cloud.Invalid, "The Lock-Token header must be a token in angle brackets.")
	}
	if err := h.files.Unlock(c.ctx(), c.t.Ref, token); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// appendLock adds an activelock (RFC 4918, section 14.1) that holds for n.
func (m *multistatus) appendLock(b []byte, n *cloud.Node, l *cloud.Lock) []byte {
	b = append(b, "<d:activelock><d:locktype><d:write/></d:locktype><d:lockscope><d:"...)
	scope, depth := "exclusive", "0"
	if l.Shared {
		scope = "shared"
	}
	if l.Deep {
		depth = "infinity"
	}
	b = append(append(b, scope...), "/></d:lockscope><d:depth>"...)
	b = append(append(b, depth...), "</d:depth>"...)
	if l.Owner != "" {
		b = append(append(append(b, "<d:owner>"...), l.Owner...), "</d:owner>"...)
	}
	if m.user != nil && m.visitor == nil { // visitors learn nobody's name
		if u := m.person(l.By); u != nil {
			b = append(appendText(append(b, "<oc:ownername>"...), u.Display), "</oc:ownername>"...)
		}
	}
	b = append(b, "<oc:locktime>"...)
	b = l.Expires.Add(-l.Timeout).UTC().AppendFormat(b, time.RFC3339)
	b = append(b, "</oc:locktime><d:timeout>Second-"...)
	b = appendInt(b, int64(math.Ceil(max(0, l.Expires.Sub(m.now).Seconds()))))
	b = append(b, "</d:timeout><d:locktoken><d:href>"...)
	b = appendText(b, l.Token)
	b = append(b, "</d:href></d:locktoken><d:lockroot><d:href>"...)
	b = m.appendRoot(b, n, l)
	return append(b, "</d:href></d:lockroot></d:activelock>"...)
}

// appendRoot adds the href of what carries a lock, in the request's form of
// URL when that begins where the paths do that the caller knows.
func (m *multistatus) appendRoot(b []byte, n *cloud.Node, l *cloud.Lock) []byte {
	prefix, ref := m.prefix, m.c.t.Ref
	other := ""
	switch {
	case m.visitor != nil:
		if ref.Node != m.visitor.Of.Node {
			other = "/dav/public-files/" + m.visitor.Token
		}
	case ref.Node == "" || ref.Node == ref.Space.Root():
	case ref.Space == cloud.SharesSpace: // where it is reached, not where it is
		other = "/dav/spaces/" + string(ref.Space)
	default:
		other = "/dav/spaces/" + string(n.Space)
	}
	if other != "" {
		prefix = string(appendText(nil, m.site.Base()+other))
	}
	return appendHref(b, prefix, l.Path, l.Node != n.ID || n.Dir) // inherited: from a folder
}

// failLocked says what is in the way (RFC 4918, section 16).
func (h *handler) failLocked(c *call, err error) {
	face := cloud.Locked.Face()
	e := &refusal{status: face.HTTP, exception: face.Sabre, say: cloud.Say(err)}
	if e.say == "" {
		e.say = face.Text
	}
	condition := "lock-token-submitted"
	if c.r.Method == "LOCK" {
		condition = "no-conflicting-lock"
	}
	m, release := h.newMultistatus(c, &query{})
	defer release()
	hrefs := m.buf[:0]
	if n, err := h.files.Stat(c.ctx(), c.t.Ref); err == nil {
		for i := range n.Locks {
			hrefs = append(m.appendRoot(append(hrefs, "<d:href>"...), n, &n.Locks[i]), "</d:href>"...)
			c.w.Header().Set("Lock-Token", "<"+n.Locks[i].Token+">")
		}
	}
	if len(hrefs) > 0 {
		e.conditions = []string{"<d:" + condition + ">" + string(hrefs) + "</d:" + condition + ">"}
	}
	h.fail(c, e)
}
