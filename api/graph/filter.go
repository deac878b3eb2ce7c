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

// A filter tells whether something is wanted; field gives the values of a
// property: one, or of "memberOf/id" that of each of memberOf.
type filter func(field func(name string) []string) bool

// parseFilter reads a $filter of OData over the named fields:
//
//	filter  = term { "or" term }
//	term    = factor { "and" factor }
//	factor  = "not" factor | "(" filter ")" | test
//	test    = field ("eq" | "ne") value
//	        | ("contains" | "startswith") "(" field "," value ")"
//	        | list "/any" "(" name ":" filter ")", where name "/" property is a field
//	value   = 'quoted', a quote in it doubled | a bare word
//
// Clients leave out the quotes, hence the bare word. An empty filter wants
// everything. Functions compare regardless of case, since people search by
// them. Another function or comparison is one more case in test.
func parseFilter(s string, fields ...string) (filter, error) {
	if len(s) > maxFilter {
		return nil, cloud.Refuse(cloud.TooLarge, "The $filter is too long: at most %d bytes.", maxFilter)
	}
	p := &filterParser{rest: s, fields: fields}
	p.next()
	if p.token == "" {
		return func(func(string) []string) bool { return true }, p.err
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
	token  string // a word, one of ( ) , and :, or a quote and the text behind it; empty at the end
	nested int
	err    error // the first

	element string // what an element of list is called, within any; else empty
	list    string
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
	n := strings.IndexAny(p.rest, " \t(),:'")
	switch n {
	case -1:
		n = len(p.rest)
	case 0:
		n = 1
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
		f = func(field func(string) []string) bool { return a(field) || b(field) }
	}
	return f
}

func (p *filterParser) term() filter {
	f := p.factor()
	for p.accept("and") {
		a, b := f, p.factor()
		f = func(field func(string) []string) bool { return a(field) && b(field) }
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
		return func(field func(string) []string) bool { return !f(field) }
	case p.accept("("):
		f := p.filter()
		if !p.accept(")") {
			p.fail()
		}
		return f
	}
	return p.test()
}

func (p *filterParser) test() filter {
	word := p.token
	list, isAny := strings.CutSuffix(word, "/any")
	switch {
	case isAny:
		p.next()
		return p.any(list)
	case strings.EqualFold(word, "contains"):
		p.next()
		return p.function(strings.Contains)
	case strings.EqualFold(word, "startswith"):
		p.next()
		return p.function(strings.HasPrefix)
	}
	name := p.field()
	equal := p.accept("eq")
	if !equal && !p.accept("ne") {
		p.fail()
	}
	value := p.value()
	return func(field func(string) []string) bool { return slices.Contains(field(name), value) == equal }
}

// field takes the name of a property.
func (p *filterParser) field() string {
	name := p.token
	if p.element != "" {
		property, ok := strings.CutPrefix(name, p.element+"/")
		if !ok {
			p.fail()
		}
		name = p.list + "/" + property
	} else if strings.Contains(name, "/") {
		p.fail()
	}
	if !slices.Contains(p.fields, name) {
		p.fail()
	}
	p.next()
	return name
}

func (p *filterParser) value() string {
	value, isQuoted := strings.CutPrefix(p.token, "'")
	if p.token == "" || !isQuoted && strings.ContainsAny(value, "(),:") {
		p.fail()
	}
	p.next()
	return value
}

// function is one of a property and a text.
func (p *filterParser) function(holds func(s, part string) bool) filter {
	if !p.accept("(") {
		p.fail()
	}
	name := p.field()
	if !p.accept(",") {
		p.fail()
	}
	part := strings.ToLower(p.value())
	if !p.accept(")") {
		p.fail()
	}
	return func(field func(string) []string) bool {
		return slices.ContainsFunc(field(name), func(s string) bool { return holds(strings.ToLower(s), part) })
	}
}

// any wants what has an element for which a filter holds. Elements have one
// property that counts; there are no lists in lists.
func (p *filterParser) any(list string) filter {
	if p.element != "" || !p.accept("(") {
		p.fail()
	}
	p.list, p.element = list, p.token
	p.next()
	if !p.accept(":") {
		p.fail()
	}
	f := p.filter()
	p.element = ""
	if !p.accept(")") {
		p.fail()
	}
	i := slices.IndexFunc(p.fields, func(f string) bool { return strings.HasPrefix(f, list+"/") })
	if i < 0 {
		p.fail()
		return nil
	}
	name := p.fields[i]
	return func(field func(string) []string) bool {
		return slices.ContainsFunc(field(name), func(value string) bool {
			return f(func(string) []string { return []string{value} })
		})
	}
}
