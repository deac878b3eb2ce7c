package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"opencloud/cloud"
)

// maxFile bounds opencloud.yaml, in bytes.
const maxFile = 1 << 20

// readYAML sets what the file says. A key that is not known is an error:
// somebody meant something by it.
func (c *Config) readYAML(all []*field, name string, body []byte, look func(string) string) error {
	if len(body) > maxFile {
		return cloud.Refuse(cloud.Invalid, "The configuration %s is too large.", name)
	}
	file, err := parser.ParseBytes(body, 0)
	if err != nil {
		return cloud.Refuse(cloud.Invalid, "The configuration %s is not valid YAML:\n%v", name, err)
	}
	byKey := map[string]*field{}
	group := map[string]bool{}
	for _, f := range all {
		byKey[f.Key] = f
		for i := range f.Key {
			if f.Key[i] == '.' {
				group[f.Key[:i]] = true
			}
		}
	}
	at := func(n ast.Node) string { return fmt.Sprintf("%s:%d", name, n.GetToken().Position.Line) }
	var walk func(n ast.Node, prefix string) error
	walk = func(n ast.Node, prefix string) error {
		var pairs []*ast.MappingValueNode
		switch n := n.(type) {
		case *ast.MappingNode:
			pairs = n.Values
		case *ast.MappingValueNode:
			pairs = []*ast.MappingValueNode{n}
		case *ast.NullNode, *ast.CommentGroupNode:
			return nil
		default:
			return cloud.Refuse(cloud.Invalid, "%s: here should be keys and values.", at(n))
		}
		for _, p := range pairs {
			key := prefix + p.Key.GetToken().Value
			f := byKey[key]
			switch {
			case group[key]:
				if err := walk(p.Value, key+"."); err != nil {
					return err
				}
				continue
			case f == nil:
				return cloud.Refuse(cloud.Invalid, "%s: the key %q is not known.%s", at(p.Key), key, suggest(key, byKey, group))
			}
			text, ok, err := scalar(p.Value, look)
			if err == nil && ok {
				err = f.set(text)
				c.sources[key], c.inFile[key] = at(p.Key), true
			}
			if err != nil {
				return cloud.Refuse(cloud.Invalid, "%s: the value of %q is not valid: %v.", at(p.Key), key, err)
			}
		}
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if err := walk(doc.Body, ""); err != nil {
			return err
		}
	}
	return nil
}

// scalar is the text of a value, a list's with commas; ok is false for null.
func scalar(n ast.Node, look func(string) string) (text string, ok bool, err error) {
	switch n := n.(type) {
	case *ast.NullNode:
		return "", false, nil
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		text = n.GetToken().Value
	case *ast.SequenceNode:
		var parts []string
		for _, v := range n.Values {
			part, _, err := scalar(v, look)
			if err != nil {
				return "", false, err
			}
			if strings.Contains(part, ",") {
				return "", false, errors.New("an entry of the list contains a comma")
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, ","), true, nil
	default:
		return "", false, errors.New("it should be a plain value or a list of them")
	}
	text, err = substitute(text, look)
	return text, true, err
}

// substitute replaces ${VAR}, ${VAR|default} and ${VAR:-default} by what the
// variable or else the default says, and ${VAR+text} and ${VAR:+text} by the
// text if the variable is set. $${ is ${ itself. Defaults are taken as they are.
func substitute(s string, look func(string) string) (string, error) {
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		body, rest, ok := strings.Cut(s[i+2:], "}")
		if !ok {
			return "", errors.New("a ${ has no }")
		}
		s = rest
		end := strings.IndexFunc(body, func(r rune) bool {
			return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		})
		if end < 0 {
			end = len(body)
		}
		value, op := look(body[:end]), strings.TrimPrefix(body[end:], ":")
		switch {
		case end == 0:
			return "", fmt.Errorf("${%s} does not begin with a variable", body)
		case body[end:] == "":
		case strings.HasPrefix(op, "-"), strings.HasPrefix(op, "|"):
			if value == "" {
				value = op[1:]
			}
		case strings.HasPrefix(op, "+"):
			if value != "" {
				value = op[1:]
			}
		default:
			return "", fmt.Errorf("${%s} is not understood", body)
		}
		b.WriteString(value)
	}
}

// suggest names the known key that is most like a wrong one, if any is.
func suggest(key string, fields map[string]*field, groups map[string]bool) string {
	best, least := "", 1+len(key)/3
	known := slices.AppendSeq(slices.Collect(maps.Keys(fields)), maps.Keys(groups))
	for _, k := range known {
		if d := distance(key, k); d < least || d == least && k < best {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" Did you mean %q?", best)
}

// distance is how many bytes to add, drop or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
