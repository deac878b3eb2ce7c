package ldap

import (
	"context"
	"time"

	lib "github.com/go-ldap/ldap/v3"

	"opencloud/cloud"
	"opencloud/directory/names"
)

// Verify lets the directory check the password: it signs in as the user. An
// answer that refuses takes as long as checking a right password usually does.
func (d *Directory) Verify(ctx context.Context, name, password string) (*cloud.User, error) {
	start := time.Now()
	u, err := d.verify(ctx, name, password)
	if cloud.KindOf(err) == cloud.Unauthorized {
		wait := time.NewTimer(time.Until(start.Add(time.Duration(d.usual.Load()))))
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
	}
	return u, cloud.E("ldap.Verify", cloud.Ref{}, err)
}

func (d *Directory) verify(ctx context.Context, name, password string) (*cloud.User, error) {
	wrong := cloud.Refuse(cloud.Unauthorized, "The user name or the password is wrong.")
	// A bind without password succeeds for anybody (RFC 4513, section 5.1.2).
	if password == "" || len(password) > names.MaxPassword || !fits(name) {
		return nil, wrong
	}
	if id, ok := d.seen.Find(names.Fold(name), password); ok {
		u, err := d.user(ctx, "id", string(id))
		if err == nil && !u.Disabled {
			return u, nil
		}
		if err == nil || cloud.KindOf(err) == cloud.NotExist {
			err = wrong
		}
		return nil, err
	}
	start, changes := time.Now(), d.changes.Load()
	p, err := d.person(ctx, "name", name)
	dn := ""
	switch {
	case err == nil:
		dn = p.dn
	case cloud.KindOf(err) == cloud.NotExist:
		// Let the directory refuse somebody whom there is not.
		dn = rdn(d.opts.UserName, cloud.NewUUID().String()) + "," + d.opts.UserBase
	default:
		return nil, err
	}
	right, err := d.client.Check(ctx, dn, password)
	if err != nil {
		return nil, err
	}
	if !right || p == nil {
		return nil, wrong
	}
	d.took(time.Since(start))
	u, err := d.users.get(ctx, string(p.ID), func(ctx context.Context) (*cloud.User, error) { return d.complete(ctx, p) })
	if err != nil {
		return nil, err
	}
	if !u.Disabled {
		d.seen.Add(names.Fold(name), password, u.ID)
	}
	if d.changes.Load() != changes { // what is remembered now may be from before
		d.users.clear()
		d.seen.Clear()
	}
	if u.Disabled {
		return nil, wrong
	}
	d.noteSignIn(ctx, p)
	return copied(u), nil
}

// took adds to what is usual.
func (d *Directory) took(t time.Duration) {
	t = min(t, time.Second)
	if old := time.Duration(d.usual.Load()); old > 0 {
		t = (7*old + t) / 8
	}
	d.usual.Store(int64(t))
}

// Recall is Verify for a password that was right a moment ago: it answers at
// once, with nil when it cannot tell.
func (d *Directory) Recall(name, password string) *cloud.User {
	id, ok := d.seen.Find(names.Fold(name), password)
	if !ok {
		return nil
	}
	if u, ok := d.users.peek(string(id)); ok && !u.Disabled {
		return copied(u)
	}
	return nil
}

// noteSignIn writes down when somebody signed in, once an hour at most. That
// it fails does not keep anybody out.
func (d *Directory) noteSignIn(ctx context.Context, p *person) {
	const layout = "20060102150405Z" // RFC 4517, section 3.3.13
	now := time.Now().UTC()
	if last, err := time.Parse(layout, p.last); d.opts.UserLastSignIn == "" || !d.opts.Write || err == nil && now.Sub(last) < time.Hour {
		return
	}
	m := lib.NewModifyRequest(p.dn, nil)
	m.Replace(d.opts.UserLastSignIn, []string{now.Format(layout)})
	if err := d.change(ctx, func(l *lib.Conn) error { return l.Modify(m) }); err != nil {
		d.log.Warn("the time of a sign-in cannot be noted in the directory", "dn", p.dn, "error", err)
	}
}
