package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"opencloud/app"
	"opencloud/auth/idp"
	"opencloud/cloud"
	"opencloud/config"
	"opencloud/core"
	"opencloud/directory/builtin"
)

type userVerb struct {
	Add          userAdd          `cmd:"" help:"Make a user."`
	List         userList         `cmd:"" help:"List all users."`
	Password     userPassword     `cmd:"" help:"Give a user a new password, and end the sessions."`
	Role         userRole         `cmd:"" help:"Give a user another role."`
	SignOut      userSignOut      `cmd:"" help:"End all sessions of a user, in browsers and apps."`
	ResetFactors userResetFactors `cmd:"" help:"Take second factor and passkeys away from a user who has lost them, and end the sessions."`
	Remove       userRemove       `cmd:"" help:"Remove a user. The files stay on the storage."`
}

type userAdd struct {
	Name        string   `arg:"" help:"Login name."`
	DisplayName string   `short:"d" help:"Name that others see; the login name if empty."`
	Mail        string   `short:"m" help:"Mail address."`
	Role        string   `short:"r" help:"Role: admin, spaceadmin, user or user-light." default:"user"`
	Group       []string `help:"Group to put the user into; more than once for more."`
	secretFlags
}

// secretFlags are the ways to give a password.
type secretFlags struct {
	Password string `short:"p" help:"The password; visible to others on this machine while the command runs." xor:"secret"`
	Stdin    bool   `name:"password-stdin" help:"Read the password from the first line of the input." xor:"secret"`
	Generate bool   `short:"g" help:"Make a random password and print it." xor:"secret"`
}

func (v *userAdd) Run(ctx context.Context, c *console) error {
	role, err := roleBy(v.Role)
	if err != nil {
		return err
	}
	return withUsers(c, func(d *builtin.Directory) error {
		var groups []*cloud.Group
		for _, name := range v.Group {
			g, err := findGroup(ctx, d, name)
			if err != nil {
				return err
			}
			groups = append(groups, g)
		}
		if _, err := d.User(ctx, "name", v.Name); err == nil {
			return cloud.Refuse(cloud.Exist, "There is a user %q already.", v.Name)
		}
		password, generated, err := v.password(c, v.Name)
		if err != nil {
			return err
		}
		u := &cloud.User{Name: v.Name, Display: v.DisplayName, Mail: v.Mail, Role: role.ID}
		if u.Display == "" {
			u.Display = u.Name
		}
		if u, err = d.SetUser(ctx, u, password); err != nil {
			return err
		}
		for _, g := range groups {
			if err := d.Join(ctx, g.ID, u.ID); err != nil {
				return err
			}
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
		groups := map[cloud.GroupID]string{}
		for g, err := range d.Groups(ctx, "") {
			if err != nil {
				return err
			}
			groups[g.ID] = g.Name
		}
		tw := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(tw, "NAME\tDISPLAY NAME\tMAIL\tROLE\tGROUPS\tID\t")
		for u, err := range d.Users(ctx, "") {
			if err != nil {
				return err
			}
			r, _ := cloud.RoleBy(u.Role)
			role := cmp.Or(r.Name, "none")
			if u.Disabled {
				role += ", disabled"
			}
			var in []string
			for _, id := range u.Groups {
				in = append(in, groups[id])
			}
			slices.Sort(in)
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t\n", u.Name, u.Display, u.Mail, role, strings.Join(in, ", "), u.ID)
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
		if err := signOut(u); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "Changed the password of %s.\n", u.Name)
		if generated {
			fmt.Fprintf(c.out, "Password: %s\n", password)
		}
		return nil
	})
}

type userSignOut struct {
	Name string `arg:"" help:"Login name."`
}

func (v *userSignOut) Run(ctx context.Context, c *console) error {
	return withUser(ctx, c, v.Name, func(_ *builtin.Directory, u *cloud.User) error {
		if err := signOut(u); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "Signed %s out everywhere.\n", u.Name)
		return nil
	})
}

// signOut ends the sessions of a user, or of one who is no more and whom the
// server then forgets.
func signOut(u *cloud.User) error {
	cfg, err := config.Load(config.System())
	if err != nil {
		return err
	}
	return idp.SignOut(cfg.IDP.Path, u.ID)
}

type userResetFactors struct {
	Name string `arg:"" help:"Login name."`
}

func (v *userResetFactors) Run(ctx context.Context, c *console) error {
	return withUser(ctx, c, v.Name, func(_ *builtin.Directory, u *cloud.User) error {
		cfg, err := config.Load(config.System())
		if err != nil {
			return err
		}
		if err := idp.ResetFactors(cfg.IDP.Path, u.ID); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s signs in with the password alone now, until they set up something else.\n", u.Name)
		return nil
	})
}

type userRole struct {
	Name string `arg:"" help:"Login name."`
	Role string `arg:"" help:"Role: admin, spaceadmin, user or user-light."`
}

func (v *userRole) Run(ctx context.Context, c *console) error {
	role, err := roleBy(v.Role)
	if err != nil {
		return err
	}
	return withUser(ctx, c, v.Name, func(d *builtin.Directory, u *cloud.User) error {
		u.Role = role.ID
		if _, err := d.SetUser(ctx, u, ""); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "The role of %s is now %s.\n", u.Name, role.Name)
		return nil
	})
}

type roleVerb struct {
	List roleList `cmd:"" help:"List the roles and what each may do."`
}

type roleList struct{}

func (v *roleList) Run(c *console) error {
	tw := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	for _, r := range cloud.Roles() {
		fmt.Fprintf(tw, "%s\t%s\t%s\t\n", r.Name, r.Display, r.ID)
		for p := range r.Privileges() {
			fmt.Fprintf(tw, "  %s\t%s\t\t\n", p.Name, p.Scope)
		}
	}
	return tw.Flush()
}

// roleBy finds a role by its name or id.
func roleBy(name string) (cloud.Role, error) {
	r, ok := cloud.RoleBy(name)
	if ok {
		return r, nil
	}
	var names []string
	for _, r := range cloud.Roles() {
		names = append(names, r.Name)
	}
	return r, cloud.Refuse(cloud.Invalid, "There is no role %q. The roles are: %s.", name, strings.Join(names, ", "))
}

type userRemove struct {
	Name string `arg:"" help:"Login name."`
}

func (v *userRemove) Run(ctx context.Context, c *console) error {
	return withUser(ctx, c, v.Name, func(d *builtin.Directory, u *cloud.User) error {
		if err := d.RemoveUser(ctx, u.ID); err != nil {
			return err
		}
		if err := signOut(u); err != nil {
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
		u, err := findUser(ctx, d, name)
		if err != nil {
			return err
		}
		return do(d, u)
	})
}

func findUser(ctx context.Context, d *builtin.Directory, name string) (*cloud.User, error) {
	u, err := d.User(ctx, "name", name)
	if errors.Is(err, cloud.NotExist) {
		return nil, cloud.Refuse(cloud.NotExist, "There is no user %q. opencloud user list shows all.", name)
	}
	return u, err
}

// password is from the flag, the input or the keyboard, or else random.
func (f *secretFlags) password(c *console, name string) (password string, generated bool, err error) {
	switch {
	case f.Password != "":
		return f.Password, false, warn(c, f.Password, name)
	case f.Stdin:
		password, err = line(c.in)
		if err == nil && password == "" {
			err = cloud.Refuse(cloud.Invalid, "The input has no password.")
		}
		if err == nil {
			err = warn(c, password, name)
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
	if err == nil {
		err = warn(c, password, name)
	}
	return password, false, err
}

// warn says what is wrong with a password. Who has the files of the server
// may choose any; the policy is for those who come over the network.
func warn(c *console, password, name string) error {
	cfg, err := config.Load(config.System())
	if err != nil {
		return err
	}
	policy, err := core.NewPolicy(cfg.People.Password)
	if err != nil {
		return err
	}
	if weak := policy.Check(password, name); weak != nil {
		fmt.Fprintf(c.err, "Warning: %s\n", cloud.Say(weak))
	}
	return nil
}
