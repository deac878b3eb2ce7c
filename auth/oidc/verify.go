package oidc

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"opencloud/cloud"
)

// skew is how far the issuer's clock and ours may be apart.
const skew = time.Minute

// access checks an access token and returns what it says (RFC 9068, section
// 4, but for what issuers do otherwise: type and audience).
func (i *Issuer) access(ctx context.Context, raw string) (claims, error) {
	jws, err := parse(raw, "", "jwt", "at+jwt")
	if err != nil {
		return nil, err
	}
	c, err := parseClaims(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return nil, notValid()
	}
	// What is no good anyhow is not worth a look at the keys.
	exp, ok := c.when("exp")
	switch now := time.Now(); {
	case !ok, c["iat"] == nil, misused(c), early(c, now):
		return nil, notValid()
	case !now.Before(exp):
		return nil, cloud.Refuse(cloud.Unauthorized, "The token has expired. Sign in again.")
	case len(i.opts.Audience) > 0 && !c.isFor(i.opts.Audience):
		return nil, cloud.Refuse(cloud.Unauthorized, "The token is not for this server.")
	}
	if err := i.signed(ctx, jws, c); err != nil {
		return nil, err
	}
	return c, nil
}

// misused tells tokens that are no access tokens, or not of whoever brings
// them alone: ID tokens say more of a code or an access token, logout tokens
// tell of events, Keycloak names what its tokens are for, and cnf binds one
// to a key (RFC 7800) of which a Bearer header says nothing.
func misused(c claims) bool {
	for _, name := range []string{"at_hash", "c_hash", "events", "cnf"} {
		if _, ok := c[name]; ok {
			return true
		}
	}
	typ, _ := c["typ"].(string)
	return slices.Contains([]string{"ID", "Refresh", "Offline", "Logout"}, typ)
}

// early tells whether it is not the time of a token yet.
func early(c claims, now time.Time) bool {
	for _, name := range []string{"nbf", "iat"} {
		t, ok := c.when(name)
		if _, there := c[name]; there && !ok || ok && t.After(now.Add(skew)) {
			return true
		}
	}
	return false
}

// isFor tells whether one of the names is the audience.
func (c claims) isFor(names []string) bool {
	aud, _, err := c.list("aud")
	return err == nil && slices.ContainsFunc(aud, func(a string) bool { return slices.Contains(names, a) })
}

// parse takes a token apart and checks its type, not who made it. No type at
// all is the type "".
func parse(raw string, types ...string) (*jose.JSONWebSignature, error) {
	jws, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return nil, notValid()
	}
	typ, ok := "", true
	if v := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType]; v != nil {
		typ, ok = v.(string)
	}
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if !ok || !slices.Contains(types, typ) {
		return nil, notValid()
	}
	return jws, nil
}

// signed checks that the issuer made a token that says c.
func (i *Issuer) signed(ctx context.Context, jws *jose.JSONWebSignature, c claims) error {
	s, err := i.remote.now(ctx)
	if err != nil {
		return err
	}
	if iss, _, err := c.text("iss"); err != nil || iss != s.Issuer && (iss != s.AccessIssuer || iss == "") {
		return cloud.Refuse(cloud.Unauthorized, "The token is of another issuer.")
	}
	h := jws.Signatures[0].Protected
	keys := s.keys.find(h)
	if verified(jws, keys) {
		return nil
	}
	if len(keys) > 0 && h.KeyID != "" {
		return notValid()
	}
	// Perhaps the issuer has a new key.
	issued, _ := c.when("iat")
	if s, err = i.remote.newer(ctx, s, issued); err != nil {
		return err
	}
	if !verified(jws, s.keys.find(h)) {
		return notValid()
	}
	return nil
}

func verified(jws *jose.JSONWebSignature, keys keySet) bool {
	return slices.ContainsFunc(keys, func(k jose.JSONWebKey) bool {
		_, err := jws.Verify(k.Key)
		return err == nil
	})
}
