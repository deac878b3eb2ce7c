package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"opencloud/cloud"
)

// claims are what the issuer says of somebody, or of a token.
type claims map[string]any

// Bounds on claims: of a text in bytes, of a list in entries. No subject is
// longer than Core 1.0, section 2, allows.
const (
	maxText    = 1000
	maxList    = 1000
	maxSubject = 255
)

func parseClaims(body []byte) (claims, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var c claims
	if err := dec.Decode(&c); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is more behind the claims")
	}
	if c == nil {
		return nil, errors.New("there are no claims")
	}
	return c, nil
}

// find follows a path: the claim of that very name or, else, claims within
// claims ("realm_access.roles"). nil if there is none.
func (c claims) find(path string) any {
	if v, ok := c[path]; ok || path == "" {
		return v
	}
	var v any = map[string]any(c)
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

// text is a claim that is a string; ok is false if there is none, or an empty
// one. Anything else is refused, rather than taken for something.
func (c claims) text(path string) (s string, ok bool, err error) {
	switch v := c.find(path).(type) {
	case nil:
		return "", false, nil
	case string:
		if len(v) > maxText {
			return "", false, strange(path)
		}
		return v, v != "", nil
	}
	return "", false, strange(path)
}

// list is a claim that is a list of strings, or one string; ok is false if
// there is none.
func (c claims) list(path string) (all []string, ok bool, err error) {
	switch v := c.find(path).(type) {
	case nil:
		return nil, false, nil
	case string:
		if len(v) > maxText {
			return nil, false, strange(path)
		}
		return []string{v}, true, nil
	case []any:
		if len(v) > maxList {
			return nil, false, strange(path)
		}
		all = make([]string, 0, len(v))
		for _, x := range v {
			s, ok := x.(string)
			if !ok || len(s) > maxText {
				return nil, false, strange(path)
			}
			all = append(all, s)
		}
		return all, true, nil
	}
	return nil, false, strange(path)
}

// strange is for a claim of another form than it should have: the user can do
// nothing about it, nor would signing in again help.
func strange(path string) error {
	return cloud.Refuse(cloud.Permission, "The sign-in service says something of you that is not understood (%.80q). Tell your administrator.", path)
}

// when is a claim that is a time (RFC 7519, section 2, NumericDate).
func (c claims) when(name string) (t time.Time, ok bool) {
	n, ok := c[name].(json.Number)
	if !ok {
		return t, false
	}
	const last = 1 << 38 // seconds: some thousand years
	f, err := n.Float64()
	if err != nil || f < 0 || f > last {
		return t, false
	}
	return time.UnixMilli(int64(f * 1000)), true
}

// merge adds what userinfo says: of the person it says more than the token,
// of the token nothing. It must be about the same person (Core 1.0, section 5.3.2).
func (c claims) merge(info claims) error {
	who, ok, err := info.text("sub")
	if err != nil || !ok {
		return unavailable(errors.New("userinfo says of nobody who it is (sub)"))
	}
	if mine, ok, _ := c.text("sub"); ok && mine != who {
		return unavailable(errors.New("userinfo is about somebody else than the token"))
	}
	for name, v := range info {
		switch name {
		case "iss", "aud", "exp", "iat", "nbf", "jti", "sid":
		default:
			c[name] = v
		}
	}
	return nil
}
