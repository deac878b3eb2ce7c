package graph

import (
	"slices"
	"strings"

	"opencloud/cloud"
)

// Bounds on $filter.
const (
	maxFilter = 4000 // bytes
	maxNested = 20   // parentheses and nots in each other
)

// A filter tells whether something is wanted; field gives its properties.
type filter func(field func(name string) string) bool

// parseFilter reads a $filter of OData over the named fields:
//
//	filter  = term { "or" term }
//	term    = factor { "and" factor }
//	factor  = "not" factor | "(" filter ")" | field ("eq" | "ne") value
//	value   = 'quoted', a quote in it doubled | a bare word
//
// Clients leave out the quotes, hence the bare word. An empty filter wants
// everything. Another function or comparison is one more case in factor.
func parseFilter(s string, fields ...string) (filter, error) {
	if len(s) > maxFilter {
		return nil, cloud.Refuse(cloud.TooLarge, "The $filter is too long: at most %d bytes.", maxFilter)
	}
	p := &filterParser{rest: s, fields: fields}
	p.next()
	if p.token == "" {
		return func(func(string) string) bool { return true }, nil
	}
	f := p.filter()
	if p.token != "" {
		p.fail()
	}
	return f, p.err
}

type filterParser struct {
	rest   string
	fields []string
	token  string // a word, a parenthesis, or a quote and the text behind it; empty at the end
	nested int
	err    error // the first
}

func (p *filterParser) fail() {
	if p.err == nil {
		p.err = cloud.Refuse(cloud.Invalid, "The $filter cannot be read from here on: %.60q", p.token+p.rest)
	}
	p.rest, p.token = "", ""
}

// next moves to the next token.
func (p *filterParser) next() {
	p.rest = strings.TrimLeft(p.rest, " \t")
	if p.rest == "" {
		p.token = ""
		return
	}
	if p.rest[0] == '\'' {
		p.quoted()
		return
	}
	n := strings.IndexAny(p.rest, " \t()'")
	switch n {
	case -1:
		n = len(p.rest)
	case 0:
		n = 1 // a parenthesis
	}
	p.token, p.rest = p.rest[:n], p.rest[n:]
}

func (p *filterParser) quoted() {
	var b strings.Builder
	b.WriteByte('\'')
	for rest := p.rest[1:]; ; {
		text, tail, ok := strings.Cut(rest, "'")
		if !ok {
			p.fail()
			return
		}
		b.WriteString(text)
		if rest, ok = strings.CutPrefix(tail, "'"); ok {
			b.WriteByte('\'')
			continue
		}
		p.token, p.rest = b.String(), tail
		return
	}
}

// accept moves on if the token is this word.
func (p *filterParser) accept(word string) bool {
	if !strings.EqualFold(p.token, word) {
		return false
	}
	p.next()
	return true
}

func (p *filterParser) filter() filter {
	f := p.term()
	for p.accept("or") {
		a, b := f, p.term()
		f = func(field func(string) string) bool { return a(field) || b(field) }
	}
	return f
}

func (p *filterParser) term() filter {
	f := p.factor()
	for p.accept("and") {
		a, b := f, p.factor()
		f = func(field func(string) string) bool { return a(field) && b(field) }
	}
	return f
}

func (p *filterParser) factor() filter {
	if p.nested++; p.nested > maxNested {
		p.fail()
	}
	defer func() { p.nested-- }()
	switch {
	case p.accept("not"):
		f := p.factor()
		return func(field func(string) string) bool { return !f(field) }
	case p.accept("("):
		f := p.filter()
		if !p.accept(")") {
			p.fail()
		}
		return f
	}
	return p.comparison()
}

func (p *filterParser) comparison() filter {
	name := p.token
	if !slices.Contains(p.fields, name) {
		p.fail()
		return nil
	}
	p.next()
	equal := p.accept("eq")
	if !equal && !p.accept("ne") {
		p.fail()
		return nil
	}
	value, isQuoted := strings.CutPrefix(p.token, "'")
	if p.token == "" || !isQuoted && strings.ContainsAny(value, "()") {
		p.fail()
		return nil
	}
	p.next()
	return func(field func(string) string) bool { return (field(name) == value) == equal }
}
