package tus

import (
	"encoding/base64"
	"strconv"
	"strings"

	"opencloud/cloud"
)

// Bounds on headers.
const (
	maxHeader = 16 << 10 // bytes; a path of cloud.MaxPath is a fifth of it in Base64
	maxPairs  = 64
	maxTokens = 64
)

// parseMetadata reads Upload-Metadata: pairs of a key and, maybe, a value in
// Base64, with commas between. A key without a value has an empty one.
func parseMetadata(header string) (map[string]string, error) {
	if len(header) > maxHeader {
		return nil, cloud.Refuse(cloud.TooLarge, "The header Upload-Metadata is too long: at most %d bytes.", maxHeader)
	}
	meta := make(map[string]string, 4)
	for pair := range strings.SplitSeq(header, ",") {
		pair = strings.TrimSpace(pair)
		if pair == "" {
			continue // no metadata, or a comma too many
		}
		key, value, _ := strings.Cut(pair, " ")
		if _, twice := meta[key]; twice {
			return nil, cloud.Refuse(cloud.Invalid, "The key %q is twice in Upload-Metadata.", key)
		}
		if len(meta) == maxPairs {
			return nil, cloud.Refuse(cloud.Invalid, "Upload-Metadata has too many keys: at most %d.", maxPairs)
		}
		plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
		if err != nil {
			return nil, cloud.Refuse(cloud.Invalid, "The value of %q in Upload-Metadata is not in Base64.", key)
		}
		meta[key] = string(plain)
	}
	return meta, nil
}

// metadataOf renders what an upload still knows of its metadata.
func metadataOf(u *cloud.Upload) string {
	var b strings.Builder
	add := func(key, value string) {
		if value == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(key + " " + base64.StdEncoding.EncodeToString([]byte(value)))
	}
	add("filename", u.Name)
	if !u.How.MTime.IsZero() {
		add("mtime", strconv.FormatInt(u.How.MTime.Unix(), 10))
	}
	add("checksum", u.How.Sum)
	return b.String()
}

// parseETag reads an If-Match or If-None-Match header with one ETag, or "*".
// A proxy that compresses marks ETags as weak; ours are strong.
func parseETag(header string) (string, error) {
	tag := strings.TrimSpace(header)
	if tag == "" || tag == "*" {
		return tag, nil
	}
	tag = strings.TrimPrefix(tag, "W/")
	if inner, ok := strings.CutPrefix(tag, `"`); ok {
		tag, ok = strings.CutSuffix(inner, `"`)
		if !ok {
			tag = ""
		}
	}
	if tag == "" || strings.ContainsAny(tag, "\", ") {
		return "", cloud.Refuse(cloud.Invalid, "If-Match and If-None-Match take one ETag here.")
	}
	return tag, nil
}

// lockTokens are the state tokens that an If header (RFC 4918, section 10.4)
// claims to hold: those in its lists that no Not precedes. What the lists say
// of ETags is not looked at; If-Match is there for it.
func lockTokens(header string) (tokens []string, err error) {
	bad := cloud.Refuse(cloud.Invalid, "The If header is malformed.")
	if len(header) > maxHeader {
		return nil, cloud.Refuse(cloud.TooLarge, "The If header is too long: at most %d bytes.", maxHeader)
	}
	inList, not := false, false
	for rest := strings.TrimLeft(header, " \t"); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		var item string
		var ok bool
		switch c := rest[0]; {
		case c == '(' && !inList, c == ')' && inList && !not:
			inList, rest = c == '(', rest[1:]
		case c == '<':
			item, rest, ok = strings.Cut(rest[1:], ">")
			if !ok || item == "" {
				return nil, bad
			}
			if inList && !not {
				tokens = append(tokens, item)
			}
			not = false
		case c == '[' && inList:
			// An ETag may hold any bracket but no quote.
			i := strings.Index(rest, `"]`)
			if i < 0 {
				return nil, bad
			}
			rest, not = rest[i+2:], false
		case inList && !not && len(rest) > 3 && strings.EqualFold(rest[:3], "Not"):
			rest, not = rest[3:], true
		default:
			return nil, bad
		}
		if len(tokens) > maxTokens {
			return nil, cloud.Refuse(cloud.Invalid, "The If header has too many tokens: at most %d.", maxTokens)
		}
	}
	if inList {
		return nil, bad
	}
	return tokens, nil
}
