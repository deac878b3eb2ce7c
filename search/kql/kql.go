// Package kql reads the Keyword Query Language that people and clients search
// in: words, "phrases", key:value, comparisons, dates in words, AND, OR, NOT
// and parentheses. It says what is asked; it does not search, and it knows
// neither which keys there are nor what an index can do.
//
// The rules are those of Microsoft's KQL reference: operators are upper case,
// AND binds more tightly than OR, values of the same key side by side are
// alternatives, and everything else side by side must all hold.
package kql

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"opencloud/cloud"
)

// An Expr is a query or a part of one: And, Or, Not, Text, Number, Range or Bool.
type Expr interface {
	// String is a query that means the same; it has all parentheses.
	String() string
	key() string // of what can be an alternative to its neighbour; else ""
}

type (
	// And holds when all of its parts do; there are two at least.
	And []Expr
	// Or holds when one of its parts does; there are two at least.
	Or []Expr
	// Not holds when X does not.
	Not struct{ X Expr }

	// Text is a word or a phrase. "*" stands for any text and "?" for any
	// character in it.
	Text struct {
		Key    string // lower case; empty: wherever one looks by default
		Value  string
		Phrase bool // it was quoted: its words belong together
	}
	// Number compares with a number; sizes with a unit are bytes.
	Number struct {
		Key   string
		Op    Op
		Value int64
	}
	// Range is a time from From on and before To; the zero time is no bound.
	Range struct {
		Key      string
		From, To time.Time
	}
	// Bool is true or false.
	Bool struct {
		Key   string
		Value bool
	}
)

// An Op compares.
type Op string

const (
	Equal        Op = "="
	Less         Op = "<"
	LessEqual    Op = "<="
	Greater      Op = ">"
	GreaterEqual Op = ">="
)

// Bounds on a query.
const (
	MaxLength = 8 << 10 // bytes
	maxDepth  = 32
	maxTerms  = 512
)

// dates are the keys whose values are times also behind ":" and "=".
var dates = map[string]bool{"mtime": true, "photo.takendatetime": true}

// numbers are the keys whose values are numbers also behind ":" and "=".
var numbers = map[string]bool{"size": true}

// bools are the keys whose values are true or false.
var bools = map[string]bool{"hidden": true}

// Parse reads a query. Words like "today" are in the time zone of now.
// Invalid, with a sentence, for what is no query.
func Parse(query string, now time.Time) (Expr, error) {
	if len(query) > MaxLength {
		return nil, cloud.Refuse(cloud.Invalid, "The search is too long: at most %d characters.", MaxLength)
	}
	p := &parser{rest: query, now: now}
	p.next()
	e, err := p.or(0, "")
	switch {
	case err != nil:
		return nil, err
	case p.token.kind == closing:
		return nil, cloud.Refuse(cloud.Invalid, "There is a closing parenthesis without an opening one.")
	case e == nil:
		return nil, cloud.Refuse(cloud.Invalid, "There is nothing to search for.")
	}
	return e, nil
}

type parser struct {
	rest  string
	token token
	now   time.Time
	terms int
}

// or reads alternatives up to a closing parenthesis or the end. It is nil for
// nothing. Words without a key get the given one.
func (p *parser) or(depth int, key string) (Expr, error) {
	if depth > maxDepth {
		return nil, cloud.Refuse(cloud.Invalid, "There are too many parentheses within each other: at most %d.", maxDepth)
	}
	var all []Expr
	for {
		e, err := p.and(depth, key)
		if err != nil {
			return nil, err
		}
		if p.token.kind != orWord {
			if e == nil && len(all) > 0 {
				return nil, missing("OR", "behind")
			}
			if e != nil {
				all = append(all, e)
			}
			return either(all), nil
		}
		if e == nil {
			return nil, missing("OR", "before")
		}
		all = append(all, e)
		p.next()
	}
}

// and reads what must all hold.
func (p *parser) and(depth int, key string) (Expr, error) {
	var all []Expr
	for {
		e, err := p.sequence(depth, key)
		if err != nil {
			return nil, err
		}
		if p.token.kind != andWord {
			if e == nil && len(all) > 0 {
				return nil, missing("AND", "behind")
			}
			if e != nil {
				all = append(all, e)
			}
			return both(all), nil
		}
		// "+a" is "a": the sign may stand before the first word.
		if e == nil && (len(all) > 0 || !p.token.sign) {
			return nil, missing("AND", "before")
		}
		if e != nil {
			all = append(all, e)
		}
		p.next()
	}
}

func missing(word, where string) error {
	return cloud.Refuse(cloud.Invalid, "Something is missing %s %s.", where, word)
}

// sequence reads what stands side by side: values of one key are alternatives.
func (p *parser) sequence(depth int, key string) (Expr, error) {
	var all []Or
	at := map[string]int{} // by key, in all
	for {
		e, err := p.factor(depth, key)
		if err != nil {
			return nil, err
		}
		if e == nil {
			parts := make([]Expr, len(all))
			for i, o := range all {
				parts[i] = either(o)
			}
			return both(parts), nil
		}
		k := e.key()
		if i, ok := at[k]; ok && k != "" && k != key {
			all[i] = append(all[i], e)
			continue
		}
		at[k] = len(all)
		all = append(all, Or{e})
	}
}

// factor reads one word, phrase, comparison or group, nil if there is none.
func (p *parser) factor(depth int, key string) (Expr, error) {
	t := p.token
	switch t.kind {
	case notWord:
		p.next()
		if p.token.kind == notWord {
			return nil, missing("NOT", "behind")
		}
		e, err := p.factor(depth, key)
		if err == nil && e == nil {
			err = missing("NOT", "behind")
		}
		return Not{e}, err
	case opening:
		if t.key != "" {
			if key != "" && t.key != key {
				return nil, cloud.Refuse(cloud.Invalid, "%q cannot stand within the parentheses of %q.", t.key, key)
			}
			key = t.key
		}
		p.next()
		e, err := p.or(depth+1, key)
		switch {
		case err != nil:
			return nil, err
		case p.token.kind != closing:
			return nil, cloud.Refuse(cloud.Invalid, "A closing parenthesis is missing.")
		case e == nil:
			return nil, cloud.Refuse(cloud.Invalid, "There is nothing between the parentheses.")
		}
		p.next()
		return e, nil
	case word:
		if p.terms++; p.terms > maxTerms {
			return nil, cloud.Refuse(cloud.Invalid, "The search has too many words: at most %d.", maxTerms)
		}
		p.next()
		if t.key == "" {
			t.key = key
		}
		return p.restriction(t)
	}
	return nil, nil
}

// restriction gives a value the meaning that its key has.
func (p *parser) restriction(t token) (Expr, error) {
	compared := t.op != "" && t.op != Equal
	switch {
	case dates[t.key]:
		from, to, ok := span(t.value, p.now)
		if !ok {
			return nil, cloud.Refuse(cloud.Invalid, "%q is no date: write 2026-01-31 or words such as yesterday.", shorten(t.value))
		}
		return bounded(t.key, t.op, from, to), nil
	case numbers[t.key] || compared:
		n, ok := number(t.value)
		if !ok && !numbers[t.key] {
			if from, to, ok := span(t.value, p.now); ok {
				return bounded(t.key, t.op, from, to), nil
			}
		}
		if !ok {
			return nil, cloud.Refuse(cloud.Invalid, "%q is no number.", shorten(t.value))
		}
		if t.op == "" {
			t.op = Equal
		}
		return Number{t.key, t.op, n}, nil
	case bools[t.key]:
		b, err := strconv.ParseBool(strings.ToLower(t.value))
		if err != nil {
			return nil, cloud.Refuse(cloud.Invalid, "%q is neither true nor false.", shorten(t.value))
		}
		return Bool{t.key, b}, nil
	}
	return Text{t.key, t.value, t.quoted}, nil
}

// bounded is what a comparison with a span of time means.
func bounded(key string, op Op, from, to time.Time) Range {
	switch op {
	case Less:
		return Range{Key: key, To: from}
	case LessEqual:
		return Range{Key: key, To: to}
	case Greater:
		return Range{Key: key, From: to}
	case GreaterEqual:
		return Range{Key: key, From: from}
	}
	return Range{key, from, to}
}

var units = map[string]int64{"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}

func number(s string) (int64, bool) {
	digits := strings.TrimRightFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	n, err := strconv.ParseInt(digits, 10, 64)
	unit, ok := units[strings.ToLower(strings.TrimSpace(s[len(digits):]))]
	if err != nil || !ok || n > 0 && n > (1<<63-1)/unit || n < 0 && n < -(1<<63-1)/unit {
		return 0, false
	}
	return n * unit, true
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

func both(all []Expr) Expr {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return And(all)
}

func either(all []Expr) Expr {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return Or(all)
}

func (And) key() string      { return "" }
func (Not) key() string      { return "" }
func (t Text) key() string   { return t.Key }
func (n Number) key() string { return compare(n.Key, n.Op) }
func (Range) key() string    { return "" }
func (b Bool) key() string   { return b.Key }

// key of alternatives is that of all of them.
func (o Or) key() string {
	k := o[0].key()
	for _, e := range o[1:] {
		if e.key() != k {
			return ""
		}
	}
	return k
}

// compare is for bounds, which must all hold.
func compare(key string, op Op) string {
	if op != Equal {
		return ""
	}
	return key
}

func (a And) String() string { return join(a, " AND ") }
func (o Or) String() string  { return join(o, " OR ") }
func (n Not) String() string { return "(NOT " + n.X.String() + ")" }

func join(all []Expr, with string) string {
	parts := make([]string, len(all))
	for i, e := range all {
		parts[i] = e.String()
	}
	return "(" + strings.Join(parts, with) + ")"
}

func (t Text) String() string {
	value := t.Value
	if t.Phrase || !plain(value) {
		value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	}
	if t.Key == "" {
		return value
	}
	return t.Key + ":" + value
}

func (n Number) String() string { return n.Key + string(n.Op) + strconv.FormatInt(n.Value, 10) }

func (r Range) String() string {
	const layout = time.RFC3339Nano
	switch {
	case r.From.IsZero():
		return r.Key + "<" + r.To.Format(layout)
	case r.To.IsZero():
		return r.Key + ">=" + r.From.Format(layout)
	}
	return fmt.Sprintf("(%s>=%s AND %s<%s)", r.Key, r.From.Format(layout), r.Key, r.To.Format(layout))
}

func (b Bool) String() string { return fmt.Sprintf("%s:%t", b.Key, b.Value) }
