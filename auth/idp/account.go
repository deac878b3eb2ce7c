package idp

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"opencloud/auth/idp/session"
	"opencloud/cloud"
)

var (
	_ cloud.Credentials    = (*Provider)(nil)
	_ cloud.CredentialList = (*Provider)(nil)
	_ cloud.SignIns        = (*Provider)(nil)
)

// SignOut ends the sessions of a user in browsers and apps, but not that of
// the caller, and who is half way to a new one begins anew.
func (p *Provider) SignOut(ctx context.Context, of cloud.UserID) error {
	p.quits.note(of)
	keep := []string{cloud.CallerFrom(ctx).Session}
	if s := p.live.Get(keep[0]); s != nil {
		keep = append(keep, s.Parent) // the browser of an app that is in one
	}
	var ids []string
	for _, s := range p.live.Of(of) {
		if !slices.Contains(keep, s.ID) {
			ids = append(ids, s.ID)
		}
	}
	return cloud.E("idp.SignOut", cloud.Ref{}, p.end(ctx, ids...))
}

// Forget drops sessions, factors and all else there is of a user.
func (p *Provider) Forget(ctx context.Context, of cloud.UserID) error {
	p.quits.note(of)
	ended, err := p.live.Forget(of)
	p.tellAll(ctx, ended)
	return cloud.E("idp.Forget", cloud.Ref{}, errors.Join(err, p.factors.Remove(of), p.keysOf.Forget(of)))
}

// Sessions are where a user is signed in.
func (p *Provider) Sessions(_ context.Context, of cloud.UserID) ([]cloud.Session, error) {
	var all []cloud.Session
	for _, s := range p.live.Of(of) {
		all = append(all, p.shown(s))
	}
	return all, nil
}

func (p *Provider) shown(s *session.Session) cloud.Session {
	got := cloud.Session{ID: s.ID, Device: deviceOf(s.Agent), From: s.From, Began: s.Auth, Seen: s.Seen}
	if c := p.clients[s.Client]; c != nil {
		got.App = c.name
	} else {
		got.App = s.Client
	}
	return got
}

// EndSession ends one session of a user.
func (p *Provider) EndSession(ctx context.Context, of cloud.UserID, id string) error {
	s := p.live.Get(id)
	if s == nil || s.User != of {
		return cloud.E("idp.EndSession", cloud.Ref{}, cloud.NotExist)
	}
	return cloud.E("idp.EndSession", cloud.Ref{}, p.end(ctx, id))
}

// LastSignIn is when a user last signed in, with whatever was asked for.
func (p *Provider) LastSignIn(_ context.Context, of cloud.UserID) (time.Time, error) {
	return p.live.Last(of), nil
}

// Factors are what a user has besides the password.
func (p *Provider) Factors(_ context.Context, of cloud.UserID) ([]cloud.Factor, error) {
	var all []cloud.Factor
	keys, err := p.keysOf.List(of)
	for _, k := range keys {
		all = append(all, cloud.Factor{Kind: cloud.Passkey, ID: b64.EncodeToString(k.ID), Name: k.Name, Made: k.Made, Used: k.Used})
	}
	since, left, err2 := p.factors.About(of)
	if !since.IsZero() {
		all = append(all, cloud.Factor{Kind: cloud.Codes, Made: since}, cloud.Factor{Kind: cloud.Recovery, Made: since, Left: left})
	}
	return all, cloud.E("idp.Factors", cloud.Ref{}, errors.Join(err, err2))
}

// List is what a user can sign in with, and where they are signed in.
func (p *Provider) List(ctx context.Context, of cloud.UserID) iter.Seq2[cloud.Credential, error] {
	return func(yield func(cloud.Credential, error) bool) {
		for _, s := range p.live.Of(of) {
			label := p.shown(s)
			c := cloud.Credential{Kind: "session", Label: cmp.Or(label.App, label.Device), Made: s.Auth, Used: s.Seen, Expires: s.Expires}
			if !yield(c, nil) {
				return
			}
		}
		factors, err := p.Factors(ctx, of)
		if err != nil {
			yield(cloud.Credential{}, err)
			return
		}
		for _, f := range factors {
			if !yield(cloud.Credential{Kind: string(f.Kind), Label: f.Name, Made: f.Made, Used: f.Used}, nil) {
				return
			}
		}
	}
}

// ResetFactors leaves a user with the password alone.
func (p *Provider) ResetFactors(_ context.Context, of cloud.UserID) error {
	return cloud.E("idp.ResetFactors", cloud.Ref{}, errors.Join(p.factors.Remove(of), p.keysOf.Forget(of)))
}

// quits knows for a while when users were signed out everywhere, so that who
// has shown an old password by then does not come in after it.
type quits struct {
	mu sync.Mutex
	at map[cloud.UserID]time.Time
}

func (q *quits) note(u cloud.UserID) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	maps.DeleteFunc(q.at, func(_ cloud.UserID, at time.Time) bool { return now.Sub(at) > 2*halfwayLife })
	q.at[u] = now
}

// after tells whether a user was signed out after a time.
func (q *quits) after(u cloud.UserID, t time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.at[u].After(t)
}
