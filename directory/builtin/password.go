package builtin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

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
	select {
	case d.gate <- struct{}{}:
		defer func() { <-d.gate }()
	case <-ctx.Done():
		return nil, cloud.E("builtin.Verify", cloud.Ref{}, ctx.Err())
	}
	// A client's first requests arrive together: the one before may have done the work.
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
	if !matches(hash, password) || !known {
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

// hash makes the PHC form of a password; it takes the place of a check.
func (d *Directory) hash(ctx context.Context, password string) (string, error) {
	select {
	case d.gate <- struct{}{}:
		defer func() { <-d.gate }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	var salt [16]byte
	rand.Read(salt[:])
	key := argon2.IDKey([]byte(password), salt[:], uint32(d.opts.Time), uint32(d.opts.Memory), uint8(d.opts.Threads), 32)
	return d.phc(salt[:], key), nil
}

// unknown is a hash that nobody has the password of.
func (d *Directory) unknown() string {
	var b [48]byte
	rand.Read(b[:])
	return d.phc(b[:16], b[16:])
}

func (d *Directory) phc(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		d.opts.Memory, d.opts.Time, d.opts.Threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// parse takes a PHC string apart; what costs more than any Options allow is refused.
func parse(phc string) (salt, key []byte, memory, time uint32, threads uint8, err error) {
	part := strings.Split(phc, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return nil, nil, 0, 0, 0, fmt.Errorf("not an argon2id hash of version %d", argon2.Version)
	}
	if _, err = fmt.Sscanf(part[3]+"\n", "m=%d,t=%d,p=%d\n", &memory, &time, &threads); err != nil {
		return nil, nil, 0, 0, 0, fmt.Errorf("parameters %q of an argon2id hash: %w", part[3], err)
	}
	if memory < 8 || memory > 4<<20 || time < 1 || time > 100 || threads < 1 || threads > 64 {
		return nil, nil, 0, 0, 0, fmt.Errorf("parameters %q of an argon2id hash are out of range", part[3])
	}
	salt, err = base64.RawStdEncoding.DecodeString(part[4])
	if err == nil {
		key, err = base64.RawStdEncoding.DecodeString(part[5])
	}
	if err != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 {
		return nil, nil, 0, 0, 0, fmt.Errorf("salt or key of an argon2id hash is malformed")
	}
	return salt, key, memory, time, threads, nil
}

func matches(phc, password string) bool {
	salt, key, memory, time, threads, err := parse(phc)
	if err != nil {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, time, memory, threads, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1
}
