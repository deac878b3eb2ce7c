package core

import (
	"context"
	"time"

	"opencloud/cloud"
)

// AppTokenOptions are the rules about app tokens that an administrator can set.
type AppTokenOptions struct {
	Impersonation bool `yaml:"enable_impersonation" env:"AUTH_APP_ENABLE_IMPERSONATION" default:"false" doc:"Let administrators make, list and remove the app tokens of others."`
}

// AppTokens implements cloud.AppTokens over a store of them.
type AppTokens struct {
	store cloud.AppTokens
	dir   cloud.Directory
	opts  AppTokenOptions
}

var _ cloud.AppTokens = (*AppTokens)(nil)

// NewAppTokens puts the rules over a store.
func NewAppTokens(store cloud.AppTokens, dir cloud.Directory, opts AppTokenOptions) *AppTokens {
	return &AppTokens{store, dir, opts}
}

// may says whether the caller manages the tokens of a user, who must be there.
func (a *AppTokens) may(ctx context.Context, of cloud.UserID) error {
	me, err := caller(ctx)
	switch {
	case err != nil:
		return err
	case of == me.ID:
		return nil
	case !me.May(cloud.ManageUsers):
		return cloud.Permission
	case !a.opts.Impersonation:
		return cloud.Refuse(cloud.Permission, "The app tokens of others cannot be managed here (AUTH_APP_ENABLE_IMPERSONATION).")
	}
	_, err = a.dir.User(ctx, "id", string(of))
	return err
}

// mayChange is for what must not be done with a token itself, or one that got
// lost would make others.
func (a *AppTokens) mayChange(ctx context.Context, of cloud.UserID) error {
	if err := inPerson(ctx); err != nil {
		return err
	}
	return a.may(ctx, of)
}

// AppTokens may be asked for with a token, too: the list holds no secret.
func (a *AppTokens) AppTokens(ctx context.Context, of cloud.UserID) ([]cloud.AppToken, error) {
	err := a.may(ctx, of)
	var all []cloud.AppToken
	if err == nil {
		all, err = a.store.AppTokens(ctx, of)
	}
	return all, cloud.E("core.AppTokens", cloud.Ref{}, err)
}

func (a *AppTokens) MakeAppToken(ctx context.Context, of cloud.UserID, label string, life time.Duration) (t cloud.AppToken, secret string, err error) {
	if err = a.mayChange(ctx, of); err == nil {
		t, secret, err = a.store.MakeAppToken(ctx, of, label, life)
	}
	return t, secret, cloud.E("core.MakeAppToken", cloud.Ref{}, err)
}

func (a *AppTokens) RevokeAppToken(ctx context.Context, of cloud.UserID, id string) error {
	err := a.mayChange(ctx, of)
	if err == nil {
		err = a.store.RevokeAppToken(ctx, of, id)
	}
	return cloud.E("core.RevokeAppToken", cloud.Ref{}, err)
}

// inPerson refuses what changes how somebody signs in to programs that a user
// has let in: when the user takes that back, nothing of it must be left.
func inPerson(ctx context.Context) error {
	if _, err := caller(ctx); err != nil {
		return err
	}
	if !cloud.CallerFrom(ctx).InPerson() {
		return cloud.Refuse(cloud.Permission, "This cannot be done with an app token. Sign in yourself.")
	}
	return nil
}
