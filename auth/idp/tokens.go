package idp

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"

	"opencloud/auth/bearer"
	"opencloud/auth/idp/keyring"
	"opencloud/cloud"
)

// Types of our tokens, so that none can be taken for another.
const (
	typeAccess = "at+jwt"
	typeID     = "JWT"
	typeLogout = "logout+jwt"
)

// claims are those of all types; each uses some.
type claims struct {
	Issuer   string       `json:"iss"`
	Subject  cloud.UserID `json:"sub"`
	Audience string       `json:"aud"`
	Expires  int64        `json:"exp"`
	Issued   int64        `json:"iat"`
	ID       string       `json:"jti,omitempty"`
	// Session is, of an access token, the one that it lives and dies with; of
	// the others, the browser's.
	Session string `json:"sid,omitempty"`

	// Of access tokens.
	Client string `json:"client_id,omitempty"`
	Scope  string `json:"scope,omitempty"`

	// Of ID tokens.
	AuthTime   int64    `json:"auth_time,omitempty"`
	Nonce      string   `json:"nonce,omitempty"`
	AccessHash string   `json:"at_hash,omitempty"`
	Methods    []string `json:"amr,omitempty"`
	Class      string   `json:"acr,omitempty"`
	person

	// Of logout tokens.
	Events map[string]struct{} `json:"events,omitempty"`
}

// person is what clients are told of a user, as their scope allows.
type person struct {
	Name     string `json:"name,omitempty"`
	Username string `json:"preferred_username,omitempty"`
	Mail     string `json:"email,omitempty"`
}

func about(u *cloud.User, scope string) (p person) {
	if hasWord(scope, "profile") {
		p.Name, p.Username = u.Display, u.Name
		if p.Name == "" {
			p.Name = u.Name
		}
	}
	if hasWord(scope, "email") {
		p.Mail = u.Mail
	}
	return p
}

// sign makes a token that lasts from now on.
func (p *Provider) sign(typ string, c claims, life time.Duration) (string, error) {
	now := time.Now()
	c.Issuer, c.Issued, c.Expires = p.issuer, now.Unix(), now.Add(life).Unix()
	body, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	s, err := p.keys.Signer(typ)
	if err != nil {
		return "", err
	}
	jws, err := s.Sign(body)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// read checks that a token is of the type and by us, not whether it has expired.
func (p *Provider) read(typ, raw string) (*claims, error) {
	bad := cloud.Refuse(cloud.Unauthorized, "The token is not valid.")
	if len(raw) > maxToken {
		return nil, bad
	}
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{keyring.Algorithm})
	if err != nil {
		return nil, bad
	}
	h := jws.Signatures[0].Protected
	if t, _ := h.ExtraHeaders[jose.HeaderType].(string); t != typ {
		return nil, bad
	}
	key := p.keys.Find(h.KeyID)
	if key == nil {
		return nil, bad
	}
	body, err := jws.Verify(key)
	if err != nil {
		return nil, bad
	}
	var c claims
	if json.Unmarshal(body, &c) != nil || c.Issuer != p.issuer || c.Subject == "" {
		return nil, bad
	}
	return &c, nil
}

// access is read for an access token that may be used now.
func (p *Provider) access(raw string) (*claims, error) {
	c, err := p.read(typeAccess, raw)
	switch {
	case err != nil:
		return nil, err
	case c.Audience != p.issuer || c.ID == "" || c.Session == "":
		return nil, cloud.Refuse(cloud.Unauthorized, "The token is not for this server.")
	case time.Now().Unix() >= c.Expires || !p.Alive(&bearer.Token{Session: c.Session, ID: c.ID}):
		return nil, cloud.Refuse(cloud.Unauthorized, "The token has expired. Sign in again.")
	}
	return c, nil
}

// Token and Alive make the provider a bearer.Issuer.
func (p *Provider) Token(_ context.Context, raw string) (bearer.Token, error) {
	c, err := p.access(raw)
	if err != nil {
		return bearer.Token{}, err
	}
	return bearer.Token{ID: c.ID, Session: c.Session, User: c.Subject, Expires: time.Unix(c.Expires, 0)}, nil
}

// Alive tells whether the session of an access token goes on and the token
// itself was not revoked.
func (p *Provider) Alive(t *bearer.Token) bool {
	p.heed()
	return p.live.Alive(t.Session, t.ID)
}

// random is n random bytes as text.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// digest is what is kept of a secret.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// half is the form that at_hash has for algorithms with SHA-256.
func half(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
