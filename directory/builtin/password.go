package builtin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"opencloud/cloud"
)

// Verify finds out whether the password is that of the user. At most
// Options.Checks passwords are checked at a time; the others wait, or give up
// with ctx.
func (d *Directory) Verify(ctx context.Context, name, password string) (*cloud.User, error) {
	wrong := cloud.Refuse(cloud.Unauthorized, "The user name or the password is wrong.")
	if len(name) > maxText || len(password) > maxPassword {
		return nil, cloud.E("builtin.Verify", cloud.Ref{}, wrong)
	}
	if u := d.Recall(name, password); u != nil {
		return u, nil
	}
	if err := d.current(); err != nil {
		return nil, cloud.E("builtin.Verify", cloud.Ref{}, err)
	}
	d.mu.RLock()
	a := d.byName[fold(name)]
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
	d.seen.add(name, password, a)
	return d.copied(a), nil
}

// Recall is Verify for a password that was right a moment ago: it answers at
// once, with nil when it cannot tell.
func (d *Directory) Recall(name, password string) *cloud.User {
	a := d.seen.find(name, password)
	if a == nil || d.current() != nil {
		return nil
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.byID[a.id()] != a { // changed or removed since
		return nil
	}
	return d.user(a)
}

// memory knows which passwords were right a moment ago, without knowing the
// passwords. It is of two generations: when the young one is full it becomes
// the old one, and the old one is dropped.
type memory struct {
	key   [32]byte
	lasts time.Duration

	mu         sync.Mutex
	young, old map[[32]byte]known
}

type known struct {
	account *account
	until   time.Time
}

const generation = 5000

func newMemory(lasts time.Duration) *memory {
	m := &memory{lasts: lasts, young: map[[32]byte]known{}}
	rand.Read(m.key[:])
	return m
}

func (m *memory) digest(name, password string) (sum [32]byte) {
	h := hmac.New(sha256.New, m.key[:])
	h.Write([]byte(fold(name)))
	h.Write([]byte{':'}) // no name has one
	h.Write([]byte(password))
	h.Sum(sum[:0])
	return sum
}

func (m *memory) add(name, password string, a *account) {
	if m.lasts <= 0 {
		return
	}
	sum := m.digest(name, password)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.young) >= generation {
		m.old, m.young = m.young, make(map[[32]byte]known)
	}
	m.young[sum] = known{a, time.Now().Add(m.lasts)}
}

func (m *memory) find(name, password string) *account {
	if m.lasts <= 0 {
		return nil
	}
	sum := m.digest(name, password)
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.young[sum]
	if !ok {
		k, ok = m.old[sum]
	}
	if !ok || !time.Now().Before(k.until) {
		return nil
	}
	return k.account
}
