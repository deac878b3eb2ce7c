package kql

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	end kind = iota
	word
	andWord
	orWord
	notWord
	opening
	closing
)

type token struct {
	kind   kind
	key    string // of a word or an opening parenthesis, lower case
	op     Op     // of a word with a key; empty for ":"
	value  string
	quoted bool
	sign   bool // "+" and not AND
}

// next reads the next token. What cannot be one does not exist: any text is a
// row of tokens.
func (p *parser) next() {
	p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace)
	s := p.rest
	switch {
	case s == "":
		p.token = token{}
		return
	case s[0] == '(':
		p.token, p.rest = token{kind: opening}, s[1:]
		return
	case s[0] == ')':
		p.token, p.rest = token{kind: closing}, s[1:]
		return
	case s[0] == '+':
		p.token, p.rest = token{kind: andWord, sign: true}, s[1:]
		return
	case s[0] == '-' && len(s) > 1 && s[1] != ')' && !space(s[1:]):
		p.token, p.rest = token{kind: notWord}, s[1:]
		return
	}
	for name, k := range map[string]kind{"AND": andWord, "OR": orWord, "NOT": notWord} {
		if rest, ok := strings.CutPrefix(s, name); ok && (rest == "" || space(rest) || strings.ContainsAny(rest[:1], `()"`)) {
			p.token, p.rest = token{kind: k}, rest
			return
		}
	}
	t := token{kind: word}
	if key, op, rest, ok := keyed(s); ok {
		t.key, t.op, s = key, op, rest
		if op == "" && strings.HasPrefix(s, "(") {
			p.token, p.rest = token{kind: opening, key: key}, s[1:]
			return
		}
	}
	t.value, t.quoted, p.rest = value(s)
	if dates[t.key] && !t.quoted {
		// "mtime:last week" needs no quotation marks.
		for _, words := range spans {
			if len(s) >= len(words) && strings.EqualFold(s[:len(words)], words) && (len(s) == len(words) || space(s[len(words):]) || s[len(words)] == ')') {
				t.value, p.rest = words, s[len(words):]
			}
		}
	}
	p.token = t
}

func space(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsSpace(r)
}

// keyed cuts off a key and what compares it. A value must follow at once.
func keyed(s string) (key string, op Op, rest string, ok bool) {
	n := 0
	for n < len(s) && (s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' || n > 0 && (s[n] >= '0' && s[n] <= '9' || s[n] == '.' || s[n] == '_')) {
		n++
	}
	if n == 0 || n > 64 || n == len(s) {
		return "", "", "", false
	}
	key, rest = strings.ToLower(s[:n]), s[n:]
	for _, c := range []struct {
		text string
		op   Op
	}{{":", ""}, {">=", GreaterEqual}, {"<=", LessEqual}, {"=", Equal}, {">", Greater}, {"<", Less}} {
		if after, found := strings.CutPrefix(rest, c.text); found {
			if after == "" || space(after) || after[0] == ')' {
				return "", "", "", false
			}
			return key, c.op, after, true
		}
	}
	return "", "", "", false
}

// value cuts off a word or a phrase. A backslash in a phrase stands before a
// quotation mark or a backslash that is meant; one without an end goes on to
// the end of the query, for people who are typing.
func value(s string) (v string, quoted bool, rest string) {
	if s[0] != '"' {
		n := strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '(' || r == ')' || r == '"' })
		if n < 0 {
			n = len(s)
		}
		if n == 0 { // a parenthesis right behind a comparison
			_, n = utf8.DecodeRuneInString(s)
		}
		return s[:n], false, s[n:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), true, s[i+1:]
		case c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true, ""
}

// plain tells whether a value can stand without quotation marks behind a key
// and alone.
func plain(v string) bool {
	p := &parser{rest: v}
	p.next()
	return p.token == token{kind: word, value: v} && p.rest == ""
}
