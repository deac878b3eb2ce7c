package dav

import (
	"net/http"
	"strings"

	"opencloud/cloud"
)

// A patch is one property that a PROPPATCH sets or removes.
type patch struct {
	name   name
	remove bool
	value  string // inner XML
	lang   string // xml:lang in scope
}

// parseProppatch reads the body of a PROPPATCH (RFC 4918, section 14.19), in
// the order of the document.
func parseProppatch(body []byte) ([]patch, error) {
	p := newParser(body)
	if err := p.root(name{nsDAV, "propertyupdate"}); err != nil {
		return nil, err
	}
	var patches []patch
	for {
		t, err := p.child()
		if err != nil {
			return nil, err
		}
		if t.kind == closed {
			break
		}
		switch t.name {
		case name{nsDAV, "set"}, name{nsDAV, "remove"}:
			patches, err = p.patches(patches, t.name.local == "remove")
		default:
			err = p.skip()
		}
		if err != nil {
			return nil, err
		}
	}
	if len(patches) == 0 {
		return nil, malformed("it changes nothing")
	}
	return patches, p.finish()
}

// patches reads the props inside a set or remove.
func (p *parser) patches(patches []patch, remove bool) ([]patch, error) {
	for {
		t, err := p.child()
		if err != nil || t.kind == closed {
			return patches, err
		}
		if t.name != (name{nsDAV, "prop"}) {
			if err := p.skip(); err != nil {
				return nil, err
			}
			continue
		}
		for {
			t, err := p.child()
			if err != nil {
				return nil, err
			}
			if t.kind == closed {
				break
			}
			c := patch{name: t.name, remove: remove, lang: p.lang()}
			if remove {
				err = p.skip()
			} else {
				c.value, err = p.inner()
			}
			if err != nil {
				return nil, err
			}
			if patches = append(patches, c); len(patches) > maxProps {
				return nil, cloud.Refuse(cloud.TooLarge, "The request names too many properties: at most %d.", maxProps)
			}
		}
	}
}

// outcomes of a patch, in the order of their propstats.
var outcomes = [...]struct{ status, condition string }{
	{"HTTP/1.1 200 OK", ""},
	{"HTTP/1.1 403 Forbidden", "<d:error><d:cannot-modify-protected-property/></d:error>"},
	{"HTTP/1.1 409 Conflict", ""},
	{"HTTP/1.1 424 Failed Dependency", ""},
}

const (
	patched = iota
	protected
	nonsense
	dependent
)

// proppatch is PROPPATCH: all of it or nothing.
func (h *handler) proppatch(c *call) error {
	b, err := body(c)
	if err != nil {
		return err
	}
	patches, err := parseProppatch(b)
	if err != nil {
		return err
	}
	change := cloud.Change{Conditions: c.how, Attrs: map[string]*string{}}
	results := make([]int, len(patches))
	good := true
	for i, p := range patches {
		results[i] = p.apply(&change)
		good = good && results[i] == patched
	}
	var n *cloud.Node
	if good {
		n, err = h.files.Change(c.ctx(), c.t.Ref, change)
	} else {
		// Nobody learns what could be set where he may not even look.
		n, err = h.files.Stat(c.ctx(), c.t.Ref)
		for i := range results {
			if results[i] == patched {
				results[i] = dependent
			}
		}
	}
	if err != nil {
		return err
	}
	m, release := h.newMultistatus(c, &query{})
	defer release()
	m.buf = appendHref(append(m.buf, "<d:response><d:href>"...), m.prefix, c.t.Ref.Path, n.Dir)
	m.buf = append(m.buf, "</d:href>"...)
	for outcome, o := range outcomes {
		begin := len(m.buf)
		m.buf = append(m.buf, okBegin...)
		some := false
		for i, p := range patches {
			if results[i] == outcome {
				m.buf = append(m.buf, wantOf(p.name).empty...)
				some = true
			}
		}
		if !some {
			m.buf = m.buf[:begin]
			continue
		}
		m.buf = append(append(append(m.buf, "</d:prop><d:status>"...), o.status...), "</d:status>"...)
		m.buf = append(append(m.buf, o.condition...), "</d:propstat>"...)
	}
	m.buf = append(m.buf, "</d:response>"...)
	return m.end(nil)
}

// apply adds a patch to a change and says what came of it.
func (p *patch) apply(change *cloud.Change) int {
	// The one live property that clients may set; some leave out the "get".
	if p.name == (name{nsDAV, "getlastmodified"}) || p.name == (name{nsDAV, "lastmodified"}) {
		if p.remove {
			return protected
		}
		text := strings.TrimSpace(p.value)
		t, err := parseMTime(text)
		if err != nil {
			t, err = http.ParseTime(text)
		}
		if err != nil {
			return nonsense
		}
		change.MTime = &t
		return patched
	}
	if _, ok := propNamed[p.name]; ok {
		return protected
	}
	key := deadKey(p.name)
	change.Attrs[key], change.Attrs[key+langSuffix] = nil, nil
	if !p.remove {
		change.Attrs[key] = &p.value
		if p.lang != "" {
			change.Attrs[key+langSuffix] = &p.lang
		}
	}
	return patched
}
