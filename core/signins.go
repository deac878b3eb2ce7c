package core

import (
	"context"
	"slices"
	"time"

	"opencloud/cloud"
)

// mayLook is for what only the user themselves and those who manage users may
// see and end.
func (p *People) mayLook(ctx context.Context, of cloud.UserID) error {
	me, err := caller(ctx)
	if err != nil || of == me.ID {
		return err
	}
	_, err = demand(ctx, cloud.ManageUsers)
	return err
}

func (p *People) Sessions(ctx context.Context, of cloud.UserID) ([]cloud.Session, error) {
	all, err := looked(ctx, p, of, p.opts.SignIns.Sessions)
	slices.SortFunc(all, func(a, b cloud.Session) int { return b.Seen.Compare(a.Seen) })
	return all, cloud.E("core.Sessions", cloud.Ref{}, err)
}

// mayEnd is mayLook for what ends something.
func (p *People) mayEnd(ctx context.Context, of cloud.UserID) error {
	if err := inPerson(ctx); err != nil {
		return err
	}
	return p.mayLook(ctx, of)
}

func (p *People) EndSession(ctx context.Context, of cloud.UserID, id string) error {
	err := p.mayEnd(ctx, of)
	if err == nil {
		err = p.opts.SignIns.EndSession(ctx, of, id)
	}
	return cloud.E("core.EndSession", cloud.Ref{}, err)
}

func (p *People) EndSessions(ctx context.Context, of cloud.UserID) error {
	err := p.mayEnd(ctx, of)
	if err == nil {
		err = p.signOut(ctx, of)
	}
	return cloud.E("core.EndSessions", cloud.Ref{}, err)
}

func (p *People) LastSignIn(ctx context.Context, of cloud.UserID) (time.Time, error) {
	at, err := looked(ctx, p, of, p.opts.SignIns.LastSignIn)
	return at, cloud.E("core.LastSignIn", cloud.Ref{}, err)
}

func (p *People) Factors(ctx context.Context, of cloud.UserID) ([]cloud.Factor, error) {
	all, err := looked(ctx, p, of, p.opts.SignIns.Factors)
	return all, cloud.E("core.Factors", cloud.Ref{}, err)
}

// looked is what ask says of a user whom the caller may look at.
func looked[T any](ctx context.Context, p *People, of cloud.UserID, ask func(context.Context, cloud.UserID) (T, error)) (got T, err error) {
	if err := p.mayLook(ctx, of); err != nil {
		return got, err
	}
	return ask(ctx, of)
}

func (p *People) ResetFactors(ctx context.Context, of cloud.UserID) error {
	return cloud.E("core.ResetFactors", cloud.Ref{}, p.resetFactors(ctx, of))
}

func (p *People) resetFactors(ctx context.Context, of cloud.UserID) error {
	me, err := demand(ctx, cloud.ManageUsers)
	if err == nil {
		err = inPerson(ctx)
	}
	if err != nil {
		return err
	}
	if of == me.ID {
		// Who has got hold of a session must not get rid of them.
		return cloud.Refuse(cloud.Permission, "You change how you sign in yourself on the page of your account, or ask another administrator.")
	}
	if err := p.opts.SignIns.ResetFactors(ctx, of); err != nil {
		return err
	}
	return p.signOut(ctx, of)
}

// noSignIns is for a server in which nobody signs in.
type noSignIns struct{}

func (noSignIns) Sessions(context.Context, cloud.UserID) ([]cloud.Session, error)   { return nil, nil }
func (noSignIns) EndSession(context.Context, cloud.UserID, string) error            { return cloud.NotExist }
func (noSignIns) LastSignIn(context.Context, cloud.UserID) (t time.Time, err error) { return t, nil }
func (noSignIns) Factors(context.Context, cloud.UserID) ([]cloud.Factor, error)     { return nil, nil }
func (noSignIns) ResetFactors(context.Context, cloud.UserID) error                  { return nil }
