package core

import (
	"context"
	"strings"
	"testing"
	"time"

	"opencloud/cloud"
)

func TestLocks(t *testing.T) {
	d := sit(t, Options{})
	d.grant("", cloud.Grant{To: cloud.Subject{User: bob.ID}, Rights: cloud.SpaceEditor})
	d.mkdir("dir")
	d.mkdir("dir/sub")
	d.put("dir/file", "x")
	d.put("dir/sub/file", "x")
	d.put("free", "x")

	take := func(ctx context.Context, path string, l cloud.Lock) (cloud.Lock, error) {
		l, _, _, err := d.Lock(ctx, d.ref(path), l, cloud.Conditions{})
		return l, err
	}
	put := func(ctx context.Context, path string, tokens ...string) error {
		_, _, err := d.Put(ctx, d.ref(path), strings.NewReader("y"), cloud.Put{Size: 1, Conditions: cloud.Conditions{Tokens: tokens}})
		return err
	}
	l, err := take(d.ctx, "dir", cloud.Lock{Deep: true, Owner: "<x/>"})
	d.is("Lock", err, nil)
	d.is("Put of a member without token", put(d.ctx, "dir/sub/file"), cloud.Locked)
	d.is("Put of a new member without token", put(d.ctx, "dir/sub/new"), cloud.Locked)
	d.is("Put with somebody else's token", put(as(bob), "dir/sub/file", l.Token), cloud.Locked)
	d.is("Put with token", put(d.ctx, "dir/sub/file", l.Token), nil)
	d.is("Put outside", put(as(bob), "free"), nil)
	_, err = take(as(bob), "dir/file", cloud.Lock{})
	d.is("Lock below a deep lock", err, cloud.Locked)
	d.is("Remove of the parent", d.Remove(as(bob), d.ref("dir"), cloud.Conditions{}), cloud.Locked)
	_, _, err = d.Move(as(bob), d.ref("free"), d.ref("dir/free"), cloud.Transfer{})
	d.is("Move into", err, cloud.Locked)
	_, err = d.MakeDir(as(bob), d.ref("dir/sub/x"), cloud.Conditions{})
	d.is("MakeDir in", err, cloud.Locked)
	v := "1"
	_, err = d.Change(as(bob), d.ref("dir/file"), cloud.Change{Attrs: map[string]*string{"k": &v}})
	d.is("Change in", err, cloud.Locked)
	n, err := d.Stat(d.ctx, d.ref("dir/sub/file"))
	d.is("Stat", err, nil)
	if len(n.Locks) != 1 || n.Locks[0].Path != "dir" || n.Locks[0].Token != l.Token {
		t.Errorf("locks of a member: %+v", n.Locks)
	}
	// It is made longer through a member, by its owner only.
	_, err = take(as(bob), "dir/sub/file", cloud.Lock{Token: l.Token})
	d.is("refresh by another", err, cloud.Precondition)
	longer, err := take(d.ctx, "dir/sub/file", cloud.Lock{Token: l.Token, Timeout: 2 * time.Hour})
	d.is("refresh", err, nil)
	equal(t, "timeout", longer.Timeout, 2*time.Hour)
	equal(t, "lock's node", longer.Path, "dir")
	d.is("Unlock by another", d.Unlock(as(bob), d.ref("dir"), l.Token), cloud.Permission)
	d.is("Unlock outside", d.Unlock(d.ctx, d.ref("free"), l.Token), cloud.Conflict)
	d.is("Unlock", d.Unlock(d.ctx, d.ref("dir"), l.Token), nil)
	d.is("Put after", put(as(bob), "dir/sub/file"), nil)

	// A lock below keeps a deep lock and a removal above away.
	l, err = take(as(bob), "dir/sub/file", cloud.Lock{})
	d.is("Lock", err, nil)
	_, err = take(d.ctx, "dir", cloud.Lock{Deep: true})
	d.is("deep Lock above a lock", err, cloud.Locked)
	_, err = take(d.ctx, "dir", cloud.Lock{})
	d.is("shallow Lock above a lock", err, nil)
	d.is("Remove above", d.Remove(d.ctx, d.ref("dir/sub"), cloud.Conditions{}), cloud.Locked)
	d.is("Put into a locked directory", put(as(bob), "dir/new"), cloud.Locked)
	d.is("Put below a shallow lock", put(as(bob), "dir/sub/new"), nil)

	// Shared locks stand beside each other.
	s1, err := take(d.ctx, "free", cloud.Lock{Shared: true})
	d.is("shared Lock", err, nil)
	_, err = take(as(bob), "free", cloud.Lock{Shared: true})
	d.is("second shared Lock", err, nil)
	_, err = take(as(bob), "free", cloud.Lock{})
	d.is("exclusive Lock beside", err, cloud.Locked)
	d.is("Put without", put(d.ctx, "free"), cloud.Locked)
	d.is("Put with", put(d.ctx, "free", s1.Token), nil)

	// Removed with token, and restored: the lock is gone.
	l, err = take(d.ctx, "dir/sub/new", cloud.Lock{})
	d.is("Lock", err, nil)
	d.is("Remove", d.Remove(d.ctx, d.ref("dir/sub/new"), cloud.Conditions{Tokens: []string{l.Token}}), nil)
	_, _, err = d.Restore(as(bob), d.binned("new"), cloud.Ref{}, false)
	d.is("Restore", err, nil)
	d.is("Put", put(as(bob), "dir/sub/new"), nil)

	// Nothing there: an empty file is made.
	l, n, made, err := d.Lock(d.ctx, d.ref("null"), cloud.Lock{Timeout: time.Minute}, cloud.Conditions{})
	d.is("Lock of nothing", err, nil)
	if !made || n.Size != 0 || n.Name != "null" {
		t.Errorf("locking nothing made %v %+v", made, n)
	}
	d.is("Put over it", put(as(bob), "null"), cloud.Locked)
	later := time.Now().Add(2 * time.Minute)
	d.Core.now = func() time.Time { return later }
	d.is("Put after the lock expired", put(as(bob), "null"), nil)

	// Locks are the storage's, not the process's.
	d.Core.now = time.Now
	d.put("kept", "x")
	l, err = take(d.ctx, "kept", cloud.Lock{})
	d.is("Lock", err, nil)
	d.Core = New(d.store, Options{})
	d.is("Put after a restart", put(as(bob), "kept"), cloud.Locked)
	d.is("Unlock after a restart", d.Unlock(d.ctx, d.ref("kept"), l.Token), nil)
}
