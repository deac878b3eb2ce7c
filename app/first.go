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
		if err := demonstrate(ctx, d); err != nil {
			return "", err
		}
	}
	return password, nil
}

// demonstrate makes the users and groups for a demonstration.
func demonstrate(ctx context.Context, d cloud.Directory) error {
	ids := map[string]cloud.UserID{}
	for _, u := range demo {
		u.Display = u.GivenName + " " + u.Surname
		u.Mail = u.Name + "@example.org"
		made, err := d.SetUser(ctx, &u, "demo")
		if err != nil {
			return err
		}
		ids[u.Name] = made.ID
	}
	for _, g := range demoGroups {
		made, err := d.SetGroup(ctx, &cloud.Group{Name: g.name, Description: g.description})
		if err != nil {
			return err
		}
		for _, name := range g.members {
			if err := d.Join(ctx, made.ID, ids[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

// demo are pioneers of computing.
var demo = [...]cloud.User{
	{Name: "alan", GivenName: "Alan", Surname: "Turing", Role: cloud.RoleUser},
	{Name: "dennis", GivenName: "Dennis", Surname: "Ritchie", Role: cloud.RoleAdmin},
	{Name: "lynn", GivenName: "Lynn", Surname: "Conway", Role: cloud.RoleUser},
	{Name: "margaret", GivenName: "Margaret", Surname: "Hamilton", Role: cloud.RoleSpaceAdmin},
	{Name: "mary", GivenName: "Mary Kenneth", Surname: "Keller", Role: cloud.RoleUser},
}

var demoGroups = [...]struct {
	name, description string
	members           []string
}{
	{"users", "Everybody", []string{"alan", "dennis", "lynn", "margaret", "mary"}},
	{"programmers", "Those who write programs", []string{"alan", "dennis", "lynn", "margaret"}},
	{"chess-lovers", "Those who love chess", []string{"alan"}},
	{"machine-lovers", "Those who love machines", []string{"alan"}},
	{"bible-readers", "Those who read the Bible", []string{"mary"}},
	{"apollos", "Those who worked for the Apollo missions", []string{"margaret"}},
	{"unix-lovers", "Those who love Unix", []string{"dennis"}},
	{"basic-haters", "Those who hate BASIC", []string{"dennis"}},
	{"vlsi-lovers", "Those who love very large circuits", []string{"lynn"}},
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
