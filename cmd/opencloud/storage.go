package main

import (
	"context"
	"errors"
	"fmt"

	"opencloud/app"
	"opencloud/cloud"
	"opencloud/config"
	"opencloud/storage/posix"
)

type storageVerb struct {
	Check storageCheck `cmd:"" help:"Read the whole storage and say what is wrong."`
}

type storageCheck struct {
	Repair bool `help:"Mend what can be derived from the files, and set the rest aside. Nothing is deleted."`
}

func (v *storageCheck) Run(ctx context.Context, c *console) (err error) {
	cfg, err := config.Load(config.System())
	if err != nil {
		return err
	}
	log, err := app.NewLog(config.Log{Level: "warn", Pretty: true}, c.err)
	if err != nil {
		return err
	}
	store, err := posix.Open(ctx, cfg.Storage, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	found, mended := 0, 0
	err = store.Check(ctx, v.Repair, func(f posix.Finding) {
		state := ""
		if found++; f.Repaired {
			mended++
			state = "mended: "
		}
		fmt.Fprintf(c.out, "%s%v: %s %q: %s\n", state, f.Kind, f.Space, f.Path, f.Detail)
	})
	if err != nil {
		return err
	}
	switch {
	case found == 0:
		fmt.Fprintln(c.out, "All is well.")
	case found == mended:
		fmt.Fprintf(c.out, "Found %d, mended all.\n", found)
	case v.Repair:
		return cloud.Refuse(cloud.Unavailable, "Found %d, mended %d. The rest needs a person: see above.", found, mended)
	default:
		return cloud.Refuse(cloud.Unavailable, "Found %d. Mend what can be mended with: opencloud storage check --repair", found)
	}
	return nil
}
