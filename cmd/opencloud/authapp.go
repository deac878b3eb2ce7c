package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"opencloud/app"
	"opencloud/auth/apptoken"
	"opencloud/cloud"
	"opencloud/config"
)

type authAppVerb struct {
	Create authAppCreate `cmd:"" help:"Make an app token and print it."`
	List   authAppList   `cmd:"" help:"List the app tokens of a user."`
	Revoke authAppRevoke `cmd:"" help:"Remove an app token. The server knows with the next request."`
}

// tokenOwner is the flag that all verbs have.
type tokenOwner struct {
	UserName string `required:"" help:"Login name of the user whose tokens are meant."`
}

// with opens the tokens for a verb.
func (v *tokenOwner) with(ctx context.Context, c *console, do func(*apptoken.Store, *cloud.User) error) error {
	cfg, err := config.Load(config.System())
	if err != nil {
		return err
	}
	log, err := app.NewLog(config.Log{Level: "warn", Pretty: true}, c.err)
	if err != nil {
		return err
	}
	d, err := openUsers(c, cfg)
	if err != nil {
		return err
	}
	u, err := findUser(ctx, d, v.UserName)
	if err == nil {
		var s *apptoken.Store
		if s, err = apptoken.Open(cfg.AppTokens.Path, d, cfg.AppTokens.Options, log); err == nil {
			err = do(s, u)
		}
	}
	if err == nil && !cfg.AppTokens.Enabled {
		fmt.Fprintln(c.err, "Warning: The server does not accept app tokens (PROXY_ENABLE_APP_AUTH).")
	}
	return errors.Join(err, d.Close())
}

type authAppCreate struct {
	tokenOwner
	Expiration time.Duration `help:"How long the token is valid." default:"72h" placeholder:"72h"`
	Label      string        `help:"What the token is for."`
}

func (v *authAppCreate) Run(ctx context.Context, c *console) error {
	return v.with(ctx, c, func(s *apptoken.Store, u *cloud.User) error {
		t, secret, err := s.MakeAppToken(ctx, u.ID, v.Label, v.Expiration)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "App token created for %s\n token: %s\n valid until: %s\n", u.Name, secret, t.Expires.Format(time.RFC3339))
		return nil
	})
}

type authAppList struct {
	tokenOwner
	JSON bool `help:"Print JSON, one token a line."`
}

func (v *authAppList) Run(ctx context.Context, c *console) error {
	return v.with(ctx, c, func(s *apptoken.Store, u *cloud.User) error {
		all, err := s.AppTokens(ctx, u.ID)
		if err != nil {
			return err
		}
		enc, tw := json.NewEncoder(c.out), tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
		if !v.JSON {
			fmt.Fprintln(tw, "ID\tCREATED\tEXPIRES\tLAST USED\tLABEL\t")
		}
		for _, t := range all {
			if v.JSON {
				if err := enc.Encode(t); err != nil {
					return err
				}
				continue
			}
			used := "never"
			if !t.Used.IsZero() {
				used = t.Used.Format(time.DateOnly)
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t\n", t.ID, t.Made.Format(time.DateOnly), t.Expires.Format(time.RFC3339), used, cmp.Or(t.Label, "-"))
		}
		return tw.Flush()
	})
}

type authAppRevoke struct {
	tokenOwner
	ID string `arg:"" help:"Id of the token, as the list shows it."`
}

func (v *authAppRevoke) Run(ctx context.Context, c *console) error {
	return v.with(ctx, c, func(s *apptoken.Store, u *cloud.User) error {
		if err := s.RevokeAppToken(ctx, u.ID, v.ID); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "Removed the app token %s of %s.\n", v.ID, u.Name)
		return nil
	})
}
