package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"

	"opencloud/cloud"
	"opencloud/directory/builtin"
)

type groupVerb struct {
	Add    groupAdd    `cmd:"" help:"Make a group."`
	List   groupList   `cmd:"" help:"List all groups and who is in them."`
	Remove groupRemove `cmd:"" help:"Remove a group. Its members stay."`
	Join   groupJoin   `cmd:"" help:"Put users into a group."`
	Leave  groupLeave  `cmd:"" help:"Take users out of a group."`
}

type groupAdd struct {
	Name        string `arg:"" help:"Name of the group."`
	Description string `short:"d" help:"What the group is for."`
}

func (v *groupAdd) Run(ctx context.Context, c *console) error {
	return withUsers(c, func(d *builtin.Directory) error {
		g, err := d.SetGroup(ctx, &cloud.Group{Name: v.Name, Description: v.Description})
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "Made the group %s (%s).\n", g.Name, g.ID)
		return nil
	})
}

type groupList struct {
	JSON bool `help:"Print JSON, one group a line."`
}

func (v *groupList) Run(ctx context.Context, c *console) error {
	return withUsers(c, func(d *builtin.Directory) error {
		enc, tw := json.NewEncoder(c.out), tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
		if !v.JSON {
			fmt.Fprintln(tw, "NAME\tMEMBERS\tDESCRIPTION\tID\t")
		}
		for g, err := range d.Groups(ctx, "") {
			if err != nil {
				return err
			}
			line := struct {
				*cloud.Group
				Members []string
			}{g, []string{}}
			for u, err := range d.Members(ctx, g.ID) {
				if err != nil {
					return err
				}
				line.Members = append(line.Members, u.Name)
			}
			if !v.JSON {
				fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t\n", g.Name, len(line.Members), g.Description, g.ID)
			} else if err := enc.Encode(line); err != nil {
				return err
			}
		}
		return tw.Flush()
	})
}

type groupRemove struct {
	Name string `arg:"" help:"Name of the group."`
}

func (v *groupRemove) Run(ctx context.Context, c *console) error {
	return withUsers(c, func(d *builtin.Directory) error {
		g, err := findGroup(ctx, d, v.Name)
		if err == nil {
			err = d.RemoveGroup(ctx, g.ID)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "Removed the group %s (%s).\n", g.Name, g.ID)
		return nil
	})
}

type membership struct {
	Group string   `arg:"" help:"Name of the group."`
	Users []string `arg:"" help:"Login names."`
}

// each finds the group and all users before it changes anything.
func (v *membership) each(ctx context.Context, c *console, did string, change func(*builtin.Directory, cloud.GroupID, cloud.UserID) error) error {
	return withUsers(c, func(d *builtin.Directory) error {
		g, err := findGroup(ctx, d, v.Group)
		if err != nil {
			return err
		}
		var users []*cloud.User
		for _, name := range v.Users {
			u, err := findUser(ctx, d, name)
			if err != nil {
				return err
			}
			users = append(users, u)
		}
		for _, u := range users {
			if err := change(d, g.ID, u.ID); err != nil {
				return err
			}
			fmt.Fprintf(c.out, "%s %s the group %s.\n", u.Name, did, g.Name)
		}
		return nil
	})
}

type groupJoin struct{ membership }

func (v *groupJoin) Run(ctx context.Context, c *console) error {
	return v.each(ctx, c, "is in", func(d *builtin.Directory, g cloud.GroupID, u cloud.UserID) error { return d.Join(ctx, g, u) })
}

type groupLeave struct{ membership }

func (v *groupLeave) Run(ctx context.Context, c *console) error {
	return v.each(ctx, c, "is no longer in", func(d *builtin.Directory, g cloud.GroupID, u cloud.UserID) error { return d.Leave(ctx, g, u) })
}

func findGroup(ctx context.Context, d *builtin.Directory, name string) (*cloud.Group, error) {
	g, err := d.Group(ctx, "name", name)
	if errors.Is(err, cloud.NotExist) {
		return nil, cloud.Refuse(cloud.NotExist, "There is no group %q. opencloud group list shows all.", name)
	}
	return g, err
}
