package ldap

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	lib "github.com/go-ldap/ldap/v3"

	"opencloud/directory/names"
)

// fits is for what may be looked for: a line of text that some entry could have.
func fits(text string) bool { return text != "" && names.Fits(text) }

// equal is the filter for entries that have the value (RFC 4515).
func equal(attr, value string) string { return "(" + attr + "=" + lib.EscapeFilter(value) + ")" }

// octets is equal for bytes.
func octets(attr string, value []byte) string {
	var b strings.Builder
	for _, c := range value {
		fmt.Fprintf(&b, `\%02x`, c)
	}
	return "(" + attr + "=" + b.String() + ")"
}

// part is the filter for entries in whose value the text is: at a place that
// is "initial", "final" or "any".
func part(attr, text, place string) string {
	text = lib.EscapeFilter(text)
	switch place {
	case "initial":
		return "(" + attr + "=" + text + "*)"
	case "final":
		return "(" + attr + "=*" + text + ")"
	}
	return "(" + attr + "=*" + text + "*)"
}

// inChain makes servers that know the rule follow DNs from group to group.
const inChain = ":1.2.840.113556.1.4.1941:"

func and(filters ...string) string { return "(&" + strings.Join(filters, "") + ")" }
func or(filters ...string) string  { return "(|" + strings.Join(filters, "") + ")" }

// rdn is the first part of a DN (RFC 4514).
func rdn(attr, value string) string { return attr + "=" + lib.EscapeDN(value) }

// key is the same for all ways to write a DN.
func key(dn string) string {
	parsed, err := lib.ParseDN(dn)
	if err != nil {
		return names.Fold(dn)
	}
	var b strings.Builder
	for _, r := range parsed.RDNs {
		if len(r.Attributes) > 1 {
			slices.SortFunc(r.Attributes, func(a, b *lib.AttributeTypeAndValue) int { return strings.Compare(a.String(), b.String()) })
		}
		for _, a := range r.Attributes {
			// The length keeps a value from looking like more parts than one.
			value := names.Fold(a.Value)
			b.WriteString(strings.ToLower(a.Type))
			b.WriteByte('=')
			b.WriteString(strconv.Itoa(len(value)))
			b.WriteByte(':')
			b.WriteString(value)
		}
		b.WriteByte(',')
	}
	return b.String()
}

// within tells whether a search of the scope below the base comes to a DN.
func within(dn, base, scope string) bool {
	d, err := lib.ParseDN(dn)
	b, err2 := lib.ParseDN(base)
	if err != nil || err2 != nil {
		return false
	}
	switch scope {
	case "base":
		return b.EqualFold(d)
	case "one":
		return b.AncestorOfFold(d) && len(d.RDNs) == len(b.RDNs)+1
	}
	return b.EqualFold(d) || b.AncestorOfFold(d)
}

// first is the value that the attribute has in the name of the entry.
func first(dn, attr string) (value string, ok bool) {
	d, err := lib.ParseDN(dn)
	if err != nil || len(d.RDNs) == 0 {
		return "", false
	}
	for _, a := range d.RDNs[0].Attributes {
		if strings.EqualFold(a.Type, attr) {
			return a.Value, true
		}
	}
	return "", false
}

// renamed is the first part of a DN with another value of the attribute, and
// the whole DN with it.
func renamed(dn, attr, value string) (part, whole string, err error) {
	d, err := lib.ParseDN(dn)
	if err != nil || len(d.RDNs) == 0 {
		return "", "", fmt.Errorf("the DN %q has no parts: %w", dn, err)
	}
	var parts []string
	for _, a := range d.RDNs[0].Attributes {
		if strings.EqualFold(a.Type, attr) {
			parts = append(parts, rdn(attr, value))
		} else {
			parts = append(parts, rdn(a.Type, a.Value))
		}
	}
	part = strings.Join(parts, "+")
	rest := lib.DN{RDNs: d.RDNs[1:]}
	return part, part + "," + rest.String(), nil
}
