package core

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"opencloud/cloud"
)

// newToken is 18 letters and digits: 107 bits that nobody guesses.
func newToken() string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	token := make([]byte, 0, 18)
	for len(token) < cap(token) {
		var b [32]byte
		rand.Read(b[:])
		for _, x := range b {
			// What is beyond the last multiple of 62 would favour some.
			if x < 4*62 && len(token) < cap(token) {
				token = append(token, letters[x%62])
			}
		}
	}
	return string(token)
}

func checkLinkName(name string) error {
	if name == "" {
		return nil
	}
	if cloud.CheckName(strings.NewReplacer("/", "-", "\\", "-").Replace(name)) != nil {
		return cloud.Refuse(cloud.Invalid, "The name of a link has at most %d bytes and no control characters.", cloud.MaxName)
	}
	return nil
}

var errNoSecret = cloud.Refuse(cloud.Invalid, "This link needs a password.")

const changing = cloud.CanWrite | cloud.CanMakeDir | placing

// needsSecret tells whether a link with these rights must have a password.
func (c *Core) needsSecret(me *cloud.User, r cloud.Rights) bool {
	switch {
	case r == cloud.NoRights:
		return false
	case r&changing != 0:
		return c.opts.LinkPassword || c.opts.WritableLinkPassword
	}
	return c.opts.LinkPassword && !me.May(cloud.WithoutPassword)
}

// linkSecret hashes the password of a link, if it is good enough. about is
// what others know of the link.
func (c *Core) linkSecret(ctx context.Context, me *cloud.User, r cloud.Rights, password string, about ...string) (string, error) {
	switch {
	case password == "" && c.needsSecret(me, r):
		return "", errNoSecret
	case password == "":
		return "", nil
	case r == cloud.NoRights:
		return "", cloud.Refuse(cloud.Invalid, "A link for those who have access anyway takes no password.")
	case c.opts.Secrets == nil:
		return "", cloud.Refuse(cloud.NotSupported, "Links cannot have passwords here.")
	}
	if c.policy != nil {
		if err := c.policy.Check(password, about...); err != nil {
			return "", err
		}
	}
	return c.opts.Secrets.Hash(ctx, password)
}

// link finds what a token opens. Whoever asks gets the same for a token that
// never was and for one that is no more.
func (c *Core) link(ctx context.Context, token string) (*cloud.Visitor, cloud.Grant, error) {
	x, err := c.indexed(ctx)
	if err != nil {
		return nil, cloud.Grant{}, err
	}
	if token != "" {
		for _, at := range x.madeFor(cloud.Subject{Link: token}) {
			v, g, err := c.linkAt(ctx, token, at)
			if !errors.Is(err, cloud.NotExist) {
				return v, g, err
			}
		}
	}
	return nil, cloud.Grant{}, cloud.Refuse(cloud.NotExist, "There is no such link, or it has expired.")
}

func (c *Core) linkAt(ctx context.Context, token string, at cloud.Ref) (*cloud.Visitor, cloud.Grant, error) {
	sp, err := c.enter(ctx, at.Space)
	if err != nil {
		return nil, cloud.Grant{}, err
	}
	defer c.leave(sp)
	now := c.now()
	sp.mu.RLock()
	disabled := sp.disabled
	gs := sp.grants[at.Node]
	sp.mu.RUnlock()
	for _, g := range gs {
		if g.To.Link != token || g.Expired(now) || disabled {
			continue
		}
		chain, err := c.store.Ancestors(ctx, sp.id, at.Node)
		if err == nil && chain[0] != sp.id.Root() {
			err = cloud.NotExist // in the bin
		}
		return &cloud.Visitor{Token: token, Share: g.ID, Of: at}, g, err
	}
	return nil, cloud.Grant{}, cloud.NotExist
}

func (c *Core) Visit(ctx context.Context, token, password string) (*cloud.Visitor, error) {
	v, err := c.visit(ctx, token, password)
	return v, cloud.E("core.Visit", cloud.Ref{}, err)
}

func (c *Core) visit(ctx context.Context, token, password string) (*cloud.Visitor, error) {
	v, g, err := c.link(ctx, token)
	if err != nil {
		return nil, err
	}
	if g.Rights == cloud.NoRights {
		v.Internal = true
		if cloud.CallerFrom(ctx).User == nil {
			return v, nil
		}
		return v, c.mayVisit(ctx, v)
	}
	if g.Link.Secret == "" {
		return v, nil
	}
	if password == "" {
		return nil, cloud.Refuse(cloud.Unauthorized, "This link asks for a password.")
	}
	if c.opts.Secrets == nil {
		return nil, cloud.Unavailable
	}
	ok, err := c.opts.Secrets.Matches(ctx, g.Link.Secret, password)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, cloud.Refuse(cloud.Unauthorized, "The password of the link is wrong.")
	}
	return v, nil
}

// mayVisit asks for an internal link whether the caller is a user who may see
// the node anyway.
func (c *Core) mayVisit(ctx context.Context, v *cloud.Visitor) error {
	caller := cloud.CallerFrom(ctx)
	caller.Visitor = nil
	_, leave, err := c.sharedAt(cloud.WithCaller(ctx, caller), v.Of)
	if err == nil {
		leave()
	}
	if errors.Is(err, cloud.Unauthorized) {
		err = cloud.NotExist
	}
	return err
}

func (c *Core) Sign(ctx context.Context, expires time.Time) (string, error) {
	visitor := cloud.CallerFrom(ctx).Visitor
	if visitor == nil {
		return "", cloud.E("core.Sign", cloud.Ref{}, cloud.Permission)
	}
	_, g, err := c.link(ctx, visitor.Token)
	if err == nil && !expires.After(c.now()) {
		err = c.inFuture(expires)
	}
	if err != nil {
		return "", cloud.E("core.Sign", cloud.Ref{}, err)
	}
	return signature(&g, expires), nil
}

// signature changes with the password of the link: whoever signs or checks
// knows its hash, which no client ever sees.
func signature(g *cloud.Grant, expires time.Time) string {
	key := sha256.Sum256([]byte("link signature\n" + string(g.ID) + "\n" + g.Link.Secret))
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte(g.To.Link + "\n" + strconv.FormatInt(expires.Unix(), 10)))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func (c *Core) VisitSigned(ctx context.Context, token, sig string, expires time.Time) (*cloud.Visitor, error) {
	v, g, err := c.link(ctx, token)
	switch {
	case err != nil:
	case g.Rights == cloud.NoRights:
		err = cloud.NotExist
	case !c.now().Before(expires) || !hmac.Equal([]byte(signature(&g, expires)), []byte(sig)):
		err = cloud.Refuse(cloud.Unauthorized, "The signature is wrong or has expired.")
	}
	if err != nil {
		return nil, cloud.E("core.VisitSigned", cloud.Ref{}, err)
	}
	return v, nil
}
