package app

import (
	"context"
	"crypto/rand"

	"opencloud/cloud"
	"opencloud/config"
	"opencloud/directory/builtin"
)

// FirstUsers makes the user admin, and those for a demonstration if they are
// wanted, in a directory without users. password is what admin got when
// nobody chose it.
func FirstUsers(ctx context.Context, d *builtin.Directory, opts config.IDM) (password string, err error) {
	if !d.Empty() {
		return "", nil
	}
	given := opts.Password
	if given == "" {
		password = RandomPassword()
		given = password
	}
	admin := &cloud.User{Name: "admin", Display: "Admin", Mail: "admin@example.org", Role: cloud.RoleAdmin}
	if _, err := d.SetUser(ctx, admin, given); err != nil {
		return "", err
	}
	if opts.Demo {
		for _, u := range demo {
			if _, err := d.SetUser(ctx, &u, "demo"); err != nil {
				return "", err
			}
		}
	}
	return password, nil
}

// demo are pioneers of computing.
var demo = [...]cloud.User{
	{Name: "alan", Display: "Alan Turing", Mail: "alan@example.org", Role: cloud.RoleUser},
	{Name: "dennis", Display: "Dennis Ritchie", Mail: "dennis@example.org", Role: cloud.RoleAdmin},
	{Name: "lynn", Display: "Lynn Conway", Mail: "lynn@example.org", Role: cloud.RoleUser},
	{Name: "margaret", Display: "Margaret Hamilton", Mail: "margaret@example.org", Role: cloud.RoleSpaceAdmin},
	{Name: "mary", Display: "Mary Kenneth Keller", Mail: "mary@example.org", Role: cloud.RoleUser},
}

// RandomPassword is one of 99 bits that a person can read to another.
func RandomPassword() string {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789" // no i, l, o, 0, 1
	out := make([]byte, 0, 24)
	var b [1]byte
	for len(out) < cap(out) {
		if len(out)%5 == 4 {
			out = append(out, '-')
			continue
		}
		rand.Read(b[:])
		if int(b[0]) < 256/len(letters)*len(letters) { // else some letters come more often
			out = append(out, letters[int(b[0])%len(letters)])
		}
	}
	return string(out)
}
