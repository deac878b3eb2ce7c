package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"opencloud/app"
	"opencloud/cloud"
	"opencloud/config"
	"opencloud/directory/builtin"
)

type userVerb struct {
	Add      userAdd      `cmd:"" help:"Make a user."`
	List     userList     `cmd:"" help:"List all users."`
	Password userPassword `cmd:"" help:"Give a user a new password."`
	Remove   userRemove   `cmd:"" help:"Remove a user. The files stay on the storage."`
}

// roles are the names of the roles of the whole system.
var roles = map[string]string{
	"admin":      cloud.RoleAdmin,
	"spaceadmin": cloud.RoleSpaceAdmin,
	"user":       cloud.RoleUser,
	"user-light": cloud.RoleUserLight,
}

type userAdd struct {
	Name        string `arg:"" help:"Login name."`
	DisplayName string `short:"d" help:"Name that others see; the login name if empty."`
	Mail        string `short:"m" help:"Mail address."`
	Role        string `short:"r" help:"Role: admin, spaceadmin, user or user-light." default:"user"`
	secretFlags
}

// secretFlags are the ways to give a password.
type secretFlags struct {
	Password string `short:"p" help:"The password; visible to others on this machine while the command runs." xor:"secret"`
	Stdin    bool   `name:"password-stdin" help:"Read the password from the first line of the input." xor:"secret"`
	Generate bool   `short:"g" help:"Make a random password and print it." xor:"secret"`
}

func (v *userAdd) Run(ctx context.Context, c *console) error {
	role, ok := roles[v.Role]
	if !ok {
		return cloud.Refuse(cloud.Invalid, "There is no role %q. The roles are: %s.", v.Role, strings.Join(slices.Sorted(maps.Keys(roles)), ", "))
	}
	return withUsers(c, func(d *builtin.Directory) error {
		if _, err := d.User(ctx, "name", v.Name); err == nil {
			return cloud.Refuse(cloud.Exist, "There is a user %q already.", v.Name)
		}
		password, generated, err := v.password(c, v.Name)
		if err != nil {
			return err
		}
		u := &cloud.User{Name: v.Name, Display: v.DisplayName, Mail: v.Mail, Role: role}
		if u.Display == "" {
			u.Display = u.Name
		}
		if u, err = d.SetUser(ctx, u, password); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "Made the user %s (%s).\n", u.Name, u.ID)
		if generated {
			fmt.Fprintf(c.out, "Password: %s\n", password)
		}
		return nil
	})
}

type userList struct {
	JSON bool `help:"Print JSON, one user a line."`
}

func (v *userList) Run(ctx context.Context, c *console) error {
	return withUsers(c, func(d *builtin.Directory) error {
		if v.JSON {
			enc := json.NewEncoder(c.out)
			for u, err := range d.Users(ctx, "") {
				if err = errors.Join(err, enc.Encode(u)); err != nil {
					return err
				}
			}
			return nil
		}
		names := map[string]string{}
		for name, id := range roles {
			names[id] = name
		}
		tw := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(tw, "NAME\tDISPLAY NAME\tMAIL\tROLE\tID\t")
		for u, err := range d.Users(ctx, "") {
			if err != nil {
				return err
			}
			role := names[u.Role]
			if u.Disabled {
				role += ", disabled"
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t\n", u.Name, u.Display, u.Mail, role, u.ID)
		}
		return tw.Flush()
	})
}

type userPassword struct {
	Name string `arg:"" help:"Login name."`
	secretFlags
}

func (v *userPassword) Run(ctx context.Context, c *console) error {
	return withUser(ctx, c, v.Name, func(d *builtin.Directory, u *cloud.User) error {
		password, generated, err := v.password(c, u.Name)
		if err != nil {
			return err
		}
		if _, err := d.SetUser(ctx, u, password); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "Changed the password of %s.\n", u.Name)
		if generated {
			fmt.Fprintf(c.out, "Password: %s\n", password)
		}
		return nil
	})
}

type userRemove struct {
	Name string `arg:"" help:"Login name."`
}

func (v *userRemove) Run(ctx context.Context, c *console) error {
	return withUser(ctx, c, v.Name, func(d *builtin.Directory, u *cloud.User) error {
		if err := d.RemoveUser(ctx, u.ID); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "Removed the user %s (%s). The files stay on the storage.\n", u.Name, u.ID)
		return nil
	})
}

func withUsers(c *console, do func(*builtin.Directory) error) error {
	cfg, err := config.Load(config.System())
	if err != nil {
		return err
	}
	d, err := openUsers(c, cfg)
	if err != nil {
		return err
	}
	return errors.Join(do(d), d.Close())
}

func withUser(ctx context.Context, c *console, name string, do func(*builtin.Directory, *cloud.User) error) error {
	return withUsers(c, func(d *builtin.Directory) error {
		u, err := d.User(ctx, "name", name)
		if errors.Is(err, cloud.NotExist) {
			return cloud.Refuse(cloud.NotExist, "There is no user %q. opencloud user list shows all.", name)
		}
		if err != nil {
			return err
		}
		return do(d, u)
	})
}

// password is from the flag, the input or the keyboard, or else random.
func (f *secretFlags) password(c *console, name string) (password string, generated bool, err error) {
	switch {
	case f.Password != "":
		return f.Password, false, nil
	case f.Stdin:
		password, err = line(c.in)
		if err == nil && password == "" {
			err = cloud.Refuse(cloud.Invalid, "The input has no password.")
		}
		return password, false, err
	case f.Generate || !isTerminal(c.in):
		return app.RandomPassword(), true, nil
	}
	fmt.Fprintf(c.err, "New password of %s (empty: a random one): ", name)
	if password, err = unseen(c.in); err != nil || password == "" {
		return app.RandomPassword(), true, err
	}
	fmt.Fprint(c.err, "Again: ")
	again, err := unseen(c.in)
	if err == nil && again != password {
		err = cloud.Refuse(cloud.Invalid, "The two passwords are not the same. Nothing was changed.")
	}
	return password, false, err
}
