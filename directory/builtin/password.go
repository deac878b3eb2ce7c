package builtin

import (
	"context"
	"errors"

	"opencloud/cloud"
	"opencloud/directory/names"
)

// Verify finds out whether the password is that of the user. At most
// Options.Checks passwords are checked at a time; the others wait, or give up
// with ctx.
func (d *Directory) Verify(ctx context.Context, name, password string) (*cloud.User, error) {
	wrong := cloud.Refuse(cloud.Unauthorized, "The user name or the password is wrong.")
	if len(name) > names.MaxText || len(password) > names.MaxPassword {
		return nil, cloud.E("builtin.Verify", cloud.Ref{}, wrong)
	}
	if u := d.Recall(name, password); u != nil {
		return u, nil
	}
	if err := d.current(); err != nil {
		return nil, cloud.E("builtin.Verify", cloud.Ref{}, err)
	}
	d.mu.RLock()
	a := d.byName[names.Fold(name)]
	d.mu.RUnlock()
	hash, known := d.nobody, false
	if a != nil {
		r, err := d.record(a)
		switch {
		case errors.Is(err, cloud.NotExist): // removed this moment
		case err != nil:
			return nil, cloud.E("builtin.Verify", cloud.Ref{}, err)
		case r.Password != "":
			hash, known = r.Password, !r.Disabled
		}
	}
	right, err := d.secrets.Matches(ctx, hash, password)
	if err != nil {
		return nil, cloud.E("builtin.Verify", cloud.Ref{}, err)
	}
	if !right || !known {
		return nil, cloud.E("builtin.Verify", cloud.Ref{}, wrong)
	}
	d.seen.Add(names.Fold(name), password, a)
	return d.copied(a), nil
}

// Recall is Verify for a password that was right a moment ago: it answers at
// once, with nil when it cannot tell.
func (d *Directory) Recall(name, password string) *cloud.User {
	a, ok := d.seen.Find(names.Fold(name), password)
	if !ok || d.current() != nil {
		return nil
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.byID[a.id()] != a { // changed or removed since
		return nil
	}
	return d.user(a)
}
