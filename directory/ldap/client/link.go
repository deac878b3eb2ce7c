package client

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	lib "github.com/go-ldap/ldap/v3"

	"opencloud/cloud"
)

// A link is one connection. It carries one request at a time: some servers
// keep but one listing in pages for each connection.
type link struct {
	*lib.Conn
	raw  net.Conn
	used time.Time
}

// ask makes a request that has until ctx is done: then the connection is cut.
func (l *link) ask(ctx context.Context, request func() error) error {
	stop := context.AfterFunc(ctx, func() { l.raw.Close() })
	err := request()
	if !stop() { // cut, whatever the answer was
		return ctx.Err()
	}
	return err
}

// cut ends a connection that may be in the middle of something.
func (l *link) cut() {
	l.raw.Close() // first: Close waits for what is on its way
	l.Close()
}

// idle is how long a connection may lie unused: what is between may have
// forgotten it since.
const idle = 5 * time.Minute

// A pool lends connections of one purpose.
type pool struct {
	dial   func(context.Context) (*link, error)
	health *health
	slots  chan struct{} // holds a token for each connection in use

	mu   sync.Mutex
	free []*link
}

func newPool(size int, h *health, dial func(context.Context) (*link, error)) *pool {
	return &pool{dial: dial, health: h, slots: make(chan struct{}, size)}
}

var errBusy = &cloud.Error{Kind: cloud.Unavailable, Say: "The directory of users is too busy right now. Try again later."}

// take lends a connection, unless the directory is known to be down.
func (p *pool) take(ctx context.Context) (l *link, used bool, err error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		if gone(ctx) {
			return nil, false, ctx.Err()
		}
		return nil, false, errBusy
	}
	if err = p.health.allow(); err == nil {
		l, used, err = p.find(ctx)
	}
	if err != nil {
		<-p.slots
	}
	return l, used, err
}

// find is a connection that was used before, or a new one.
func (p *pool) find(ctx context.Context) (l *link, used bool, err error) {
	for l := p.pop(); l != nil; l = p.pop() {
		if !l.IsClosing() && time.Since(l.used) < idle {
			return l, true, nil
		}
		l.cut()
	}
	l, err = p.dial(ctx)
	return l, false, err
}

func (p *pool) pop() (l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		l = p.free[n-1]
		p.free = p.free[:n-1]
	}
	return l
}

// give takes a connection back; one that is no good any more is closed.
func (p *pool) give(l *link, good bool) {
	if good && !l.IsClosing() {
		l.used = time.Now()
		p.mu.Lock()
		p.free = append(p.free, l)
		p.mu.Unlock()
	} else {
		l.cut()
	}
	<-p.slots
}

// drop closes what is not in use.
func (p *pool) drop() {
	for l := p.pop(); l != nil; l = p.pop() {
		l.cut()
	}
}

// with lends a connection of the pool to request, which is called again when
// the connection turns out to be a dead one and again is true: then what is
// asked for must be harmless to ask for twice.
func (c *Client) with(ctx context.Context, p *pool, again bool, request func(*link) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.opts.Timeout, errSlow)
	defer cancel()
	l, used, err := p.take(ctx)
	if err != nil {
		return err
	}
	good := false
	defer func() { p.give(l, good) }()
	for {
		err = l.ask(ctx, func() error { return request(l) })
		if !used || !again || !network(err) || ctx.Err() != nil {
			break
		}
		// It was a dead one, and others may be, too.
		p.drop()
		fresh, err := c.dial(ctx)
		if err != nil {
			return err
		}
		l.cut()
		l, used = fresh, false
	}
	good = !network(err)
	return c.fault(ctx, err)
}

var errSlow = errors.New("no answer in time")

// gone tells whether it is the caller who does not want to know any more.
func gone(ctx context.Context) bool { return ctx.Err() != nil && context.Cause(ctx) != errSlow }

// network tells whether an error is of the connection and not an answer.
func network(err error) bool {
	var e *lib.Error
	return err != nil && (!errors.As(err, &e) || e.ResultCode >= lib.ErrorNetwork)
}

// fault gives an error of a request its kind, and keeps the books on whether
// the directory answers. ctx is that of the request, with the directory's own
// time limit.
func (c *Client) fault(ctx context.Context, err error) error {
	var e *lib.Error
	var kind cloud.Kind
	var say string
	switch {
	case err == nil:
		c.health.answered()
		return nil
	case gone(ctx):
		c.health.undecided()
		return ctx.Err()
	case network(err):
		if ctx.Err() != nil {
			err = errors.Join(errSlow, err)
		}
		return c.health.failed(err)
	}
	c.health.answered()
	errors.As(err, &e)
	switch e.ResultCode {
	case lib.LDAPResultNoSuchObject:
		kind = cloud.NotExist
	case lib.LDAPResultEntryAlreadyExists:
		kind = cloud.Exist
	case lib.LDAPResultConstraintViolation, lib.LDAPResultInvalidAttributeSyntax, lib.LDAPResultInvalidDNSyntax, lib.LDAPResultNamingViolation:
		kind, say = cloud.Invalid, "The directory of users does not take this value."
	case lib.LDAPResultUndefinedAttributeType, lib.LDAPResultObjectClassViolation, lib.LDAPResultObjectClassModsProhibited:
		kind, say = cloud.NotSupported, "The directory of users has no place for this."
	case lib.LDAPResultInsufficientAccessRights, lib.LDAPResultUnwillingToPerform, lib.LDAPResultReferral, lib.LDAPResultNotAllowedOnNonLeaf:
		kind, say = cloud.NotSupported, "The directory of users does not let this server do that."
	case lib.LDAPResultSizeLimitExceeded, lib.LDAPResultAdminLimitExceeded:
		kind, say = cloud.TooLarge, "The directory of users does not list so many at once. Search for fewer."
	case lib.LDAPResultBusy, lib.LDAPResultUnavailable, lib.LDAPResultTimeLimitExceeded, lib.LDAPResultOperationsError,
		lib.LDAPResultConfidentialityRequired, lib.LDAPResultStrongAuthRequired:
		kind, say = cloud.Unavailable, errBusy.Say
	default:
		kind = cloud.Other
	}
	return &cloud.Error{Kind: kind, Say: say, Err: err}
}

// Code tells whether the directory answered with one of the result codes.
func Code(err error, codes ...uint16) bool { return lib.IsErrorAnyOf(err, codes...) }
