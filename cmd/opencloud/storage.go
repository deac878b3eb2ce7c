package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"opencloud/app"
	"opencloud/cloud"
	"opencloud/config"
	"opencloud/storage/posix"
)

type storageVerb struct {
	Check storageCheck `cmd:"" help:"Look at everything on the storage and say what is wrong."`
}

type storageCheck struct {
	Repair  bool `help:"Mend what can be derived from the files, and set the rest aside. Nothing is deleted."`
	Content bool `help:"Read the content of all files, too, and compare it with the checksums. It takes its time."`
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

	progress := newProgress(c)
	found, mended := 0, 0
	how := posix.Checkup{Repair: v.Repair, Seen: progress.step, Report: func(f posix.Finding) {
		progress.clear()
		state := ""
		if found++; f.Repaired {
			mended++
			state = "mended: "
		}
		fmt.Fprintf(c.out, "%s%v: %s %q: %s\n", state, f.Kind, f.Space, f.Path, f.Detail)
	}}
	err = store.Check(ctx, how)
	if err == nil && v.Content {
		err = store.Scrub(ctx, how)
	}
	progress.clear()
	if err != nil {
		return err
	}
	switch {
	case found == 0:
		fmt.Fprintf(c.out, "All is well with %d files and folders.\n", progress.seen)
	case found == mended:
		fmt.Fprintf(c.out, "Found %d, mended all.\n", found)
	case v.Repair:
		return cloud.Refuse(cloud.Unavailable, "Found %d, mended %d. The rest needs a person: see above.", found, mended)
	default:
		return cloud.Refuse(cloud.Unavailable, "Found %d. Mend what can be mended with: opencloud storage check --repair", found)
	}
	return nil
}

// progress counts on the last line of a terminal, for work that takes longer
// than a second. It is silent where nobody looks.
type progress struct {
	c      *console
	seen   int64
	silent bool
	shown  bool
	next   time.Time
}

func newProgress(c *console) *progress {
	f, ok := c.err.(*os.File)
	return &progress{c: c, silent: !ok || !isTerminal(f), next: time.Now().Add(time.Second)}
}

func (p *progress) step() {
	p.seen++
	if p.silent || p.seen%64 != 0 || time.Now().Before(p.next) {
		return
	}
	p.next = time.Now().Add(200 * time.Millisecond)
	p.shown = true
	fmt.Fprintf(p.c.err, "\r%d files and folders", p.seen)
}

// clear makes room for other lines.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.c.err, "\r\x1b[K")
		p.shown = false
	}
}
