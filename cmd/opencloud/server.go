package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"opencloud/app"
	"opencloud/config"
)

type serverVerb struct {
	Services []string `arg:"" optional:"" help:"Run only these, with what they need."`
	LogLevel string   `help:"Least level that is logged (debug, info, warn, error)." placeholder:"LEVEL"`
}

func (v *serverVerb) Run(ctx context.Context, c *console) error {
	cfg, err := config.Load(config.System())
	if err != nil {
		return err
	}
	if len(v.Services) > 0 {
		cfg.Run = v.Services
	}
	if v.LogLevel != "" {
		cfg.Log.Level = v.LogLevel
	}
	log, err := app.NewLog(cfg.Log, c.err)
	if err != nil {
		return err
	}
	if _, err := writeConfig(cfg.Path(), settings(cfg.Insecure)); err != nil { // a read-only place for settings is fine
		log.Warn("the configuration was not written; the defaults are in effect", "file", cfg.Path(), "error", err)
	}
	for _, name := range cfg.Unknown() {
		log.Warn("this variable means nothing here; opencloud config lists those that do", "variable", name)
	}
	// The first signal ends the server in peace, the second one at once: it
	// finds what signals do by default, before anything has begun to stop.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		cancel()
	}()
	return app.Run(ctx, cfg, log, func(at app.Started) { welcome(c.out, cfg, at) })
}

// welcome tells a person where to go on.
func welcome(w io.Writer, cfg *config.Config, at app.Started) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "\nOpenCloud is running.\n\n  Address\t%s\t(listening on %s)\n", cfg.URL, at.Front)
	if at.AdminPassword != "" {
		fmt.Fprintf(tw, "  User\tadmin\n  Password\t%s\t(shown only now)\n", at.AdminPassword)
	}
	fmt.Fprintf(tw, "  Settings\t%s\n  Data\t%s\n", cfg.Path(), cfg.Data)
	tw.Flush()
	fmt.Fprintf(w, "\nStop it with Ctrl-C.\n\n")
}
