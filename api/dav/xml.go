package dav

import (
	"bytes"
	"encoding/xml"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Bounds on the XML that a client may send.
const (
	maxBody     = 1 << 20
	maxNesting  = 20
	maxElements = 10_000
	maxProps    = 1_000
	maxAttrs    = 50    // of one element
	maxBindings = 200   // namespace declarations in scope
	maxURI      = 1_000 // bytes of a namespace
)

const (
	nsDAV = "DAV:"
	nsXML = "http://www.w3.org/XML/1998/namespace"
)

// A name of an element or attribute, its namespace resolved.
type name struct{ space, local string }

type tokenKind uint8

const (
	opened tokenKind = iota
	closed
	chars
	ended // of the document
)

// A token is what a parser reads. Its slices are good until the next one.
type token struct {
	kind  tokenKind
	name  name
	attrs []attr // without declarations of namespaces
	text  []byte
}

type attr struct {
	name  name
	value string
}

// A parser reads the XML of a request: well-formed, namespaces resolved,
// within bounds, without document type, comments and instructions.
//
// encoding/xml's own Token lets undeclared prefixes pass, so this one works
// on raw tokens and minds the namespaces itself.
type parser struct {
	d        *xml.Decoder
	open     []element
	bindings []binding
	attrs    []attr
	elements int
	rooted   bool
}

type element struct {
	raw      xml.Name
	name     name
	bindings int    // how many were in scope outside
	lang     string // xml:lang in scope
}

type binding struct{ prefix, space string }

func newParser(body []byte) *parser {
	return &parser{d: xml.NewDecoder(bytes.NewReader(body))}
}

func malformed(format string, args ...any) error {
	return cloud.Refuse(cloud.Invalid, "The XML in the request is not valid: "+format+".", args...)
}

// body reads a request's body whole.
func body(c *call) ([]byte, error) { return httpx.Body(c.w, c.r, maxBody) }

func (p *parser) next() (token, error) {
	for {
		raw, err := p.d.RawToken()
		if err == io.EOF {
			if len(p.open) > 0 || !p.rooted {
				return token{}, malformed("it ends too early")
			}
			return token{kind: ended}, nil
		}
		if err != nil {
			return token{}, malformed("it is not well-formed")
		}
		switch raw := raw.(type) {
		case xml.StartElement:
			return p.start(raw)
		case xml.EndElement:
			if len(p.open) == 0 || p.open[len(p.open)-1].raw != raw.Name {
				return token{}, malformed("its tags do not match")
			}
			top := p.open[len(p.open)-1]
			p.open = p.open[:len(p.open)-1]
			p.bindings = p.bindings[:top.bindings]
			return token{kind: closed, name: top.name}, nil
		case xml.CharData:
			return token{kind: chars, text: raw}, nil
		case xml.Directive:
			return token{}, malformed("it must not have a document type")
		}
	}
}

func (p *parser) start(raw xml.StartElement) (token, error) {
	if p.elements++; p.elements > maxElements || len(p.open) == maxNesting || len(raw.Attr) > maxAttrs {
		return token{}, cloud.Refuse(cloud.TooLarge, "The XML in the request is too complex.")
	}
	if p.rooted && len(p.open) == 0 {
		return token{}, malformed("it has more than one root")
	}
	p.rooted = true
	e := element{raw: raw.Name, bindings: len(p.bindings)}
	if len(p.open) > 0 {
		e.lang = p.open[len(p.open)-1].lang
	}
	for _, a := range raw.Attr {
		prefix := a.Name.Local
		switch {
		case a.Name.Space == "xmlns":
			if a.Value == "" || prefix == "xml" || prefix == "xmlns" {
				return token{}, malformed("the namespace of %q cannot be that", prefix)
			}
		case a.Name.Space == "" && prefix == "xmlns":
			prefix = ""
		default:
			continue
		}
		if len(p.bindings) == maxBindings || len(a.Value) > maxURI {
			return token{}, cloud.Refuse(cloud.TooLarge, "The XML in the request has too many namespaces.")
		}
		p.bindings = append(p.bindings, binding{prefix, a.Value})
	}
	p.attrs = p.attrs[:0]
	for _, a := range raw.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		n, err := p.resolve(a.Name, false)
		if err != nil {
			return token{}, err
		}
		if n == (name{nsXML, "lang"}) {
			e.lang = a.Value
		}
		p.attrs = append(p.attrs, attr{n, a.Value})
	}
	var err error
	if e.name, err = p.resolve(raw.Name, true); err != nil {
		return token{}, err
	}
	p.open = append(p.open, e)
	return token{kind: opened, name: e.name, attrs: p.attrs}, nil
}

// resolve finds the namespace of a name. Without a prefix an element is in
// the default namespace and an attribute in none.
func (p *parser) resolve(raw xml.Name, isElement bool) (name, error) {
	if strings.Contains(raw.Local, ":") {
		return name{}, malformed("%q is not a name", raw.Local)
	}
	switch {
	case raw.Space == "xml":
		return name{nsXML, raw.Local}, nil
	case raw.Space == "" && !isElement:
		return name{"", raw.Local}, nil
	}
	for i := len(p.bindings) - 1; i >= 0; i-- {
		if p.bindings[i].prefix == raw.Space {
			return name{p.bindings[i].space, raw.Local}, nil
		}
	}
	if raw.Space != "" {
		return name{}, malformed("the prefix %q is not declared", raw.Space)
	}
	return name{"", raw.Local}, nil
}

// lang is the xml:lang in scope.
func (p *parser) lang() string { return p.open[len(p.open)-1].lang }

// root reads up to the first element, which must be a certain one.
func (p *parser) root(want name) error {
	t, err := p.child()
	if err != nil {
		return err
	}
	if t.name != want {
		return malformed("it should be a %s", want.local)
	}
	return nil
}

// child is the next element inside the current one (or the root); after the
// last it is the end of the current one. What stands between elements does
// not matter: some clients leave stray text there.
func (p *parser) child() (token, error) {
	for {
		t, err := p.next()
		if err != nil || t.kind != chars {
			return t, err
		}
	}
}

// skip reads to the end of the current element.
func (p *parser) skip() error {
	for depth := 0; ; {
		t, err := p.next()
		switch {
		case err != nil:
			return err
		case t.kind == opened:
			depth++
		case t.kind == closed:
			if depth--; depth < 0 {
				return nil
			}
		}
	}
}

// finish reads what comes after the root.
func (p *parser) finish() error {
	for {
		if t, err := p.next(); err != nil || t.kind == ended {
			return err
		}
	}
}

// inner is the XML inside the current element, written anew so that it means
// the same wherever it is put: every element says its own namespace. It must
// stand where no default namespace is in scope.
func (p *parser) inner() (string, error) {
	var b []byte
	spaces := []string{""} // the default namespace around, as written
	for {
		t, err := p.next()
		if err != nil {
			return "", err
		}
		switch t.kind {
		case chars:
			b = appendText(b, string(t.text))
		case opened:
			b = append(append(b, '<'), t.name.local...)
			if t.name.space != spaces[len(spaces)-1] {
				b = appendAttr(b, "xmlns", t.name.space)
			}
			spaces = append(spaces, t.name.space)
			for i, a := range t.attrs {
				switch a.name.space {
				case "":
					b = appendAttr(b, a.name.local, a.value)
				case nsXML:
					b = appendAttr(b, "xml:"+a.name.local, a.value)
				default:
					// One prefix for each attribute: two of a name may be in two namespaces.
					prefix := "a" + strconv.Itoa(i)
					b = appendAttr(b, "xmlns:"+prefix, a.name.space)
					b = appendAttr(b, prefix+":"+a.name.local, a.value)
				}
			}
			b = append(b, '>')
		case closed:
			if len(spaces) == 1 {
				return string(b), nil
			}
			spaces = spaces[:len(spaces)-1]
			b = append(append(append(b, "</"...), t.name.local...), '>')
		}
		if len(b) > cloud.MaxAttrs {
			return "", cloud.Refuse(cloud.TooLarge, "The value of a property is too large: at most %d bytes.", cloud.MaxAttrs)
		}
	}
}

func appendAttr(b []byte, name, value string) []byte {
	b = append(append(append(b, ' '), name...), `="`...)
	return append(appendText(b, value), '"')
}

// appendText adds text for an element or a quoted attribute. What XML cannot
// carry becomes U+FFFD.
func appendText(b []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		if !special[s[i]] {
			i++
			continue
		}
		size, esc := 1, ""
		switch c := s[i]; c {
		case '&':
			esc = "&amp;"
		case '<':
			esc = "&lt;"
		case '>':
			esc = "&gt;"
		case '"':
			esc = "&#34;"
		case '\r':
			esc = "&#xD;"
		case '\n':
			esc = "&#xA;"
		case '\t':
			esc = "&#x9;"
		default:
			r := rune(c)
			if c >= utf8.RuneSelf {
				r, size = utf8.DecodeRuneInString(s[i:])
			}
			if r < 0x20 || r == utf8.RuneError && size == 1 || r == 0xfffe || r == 0xffff {
				esc = "\uFFFD"
			}
		}
		if esc != "" {
			b = append(append(b, s[from:i]...), esc...)
			from = i + size
		}
		i += size
	}
	return append(b, s[from:]...)
}

// special are the bytes at which appendText must look twice.
var special = func() (t [256]bool) {
	for c := range t {
		t[c] = c < 0x20 || c >= utf8.RuneSelf || strings.IndexByte(`&<>"`, byte(c)) >= 0
	}
	return t
}()
