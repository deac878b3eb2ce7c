// Package app puts the parts together into a server: which modules there are,
// which routes they serve, and the HTTP front before them. It holds no rule
// and no protocol; those are in the parts.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"opencloud/auth"
	"opencloud/auth/signed"
	"opencloud/cloud"
	"opencloud/config"
	"opencloud/core"
)

// Version is of the product; the release build sets it with -ldflags -X.
var Version = "0.1.0"

// A System is one process: a value for every interface that something in it
// needs. Start functions of modules fill it in.
type System struct {
	Config *config.Config
	Log    *slog.Logger

	Directory cloud.Directory
	Auth      *auth.Auth
	Store     cloud.Store
	Files     cloud.Files
	Uploads   cloud.Uploads
	Shares    cloud.Shares
	Changes   cloud.Changes
	People    cloud.People
	Education cloud.Education // nil: there are no schools

	Credentials []cloud.Credentials // of all modules that keep some
	SignIns     cloud.SignIns       // nil: somebody else signs people in
	AppTokens   cloud.AppTokens
	Signer      *signed.Signer

	// What the protocols serve; nil: not running.
	Archiver, DAV, TUS, Graph, OCS, SSE, Settings, Tokens, IDP, OIDC, Webfinger, Wellknown, Web http.Handler

	core          *core.Core                // Files, Uploads and Shares
	alive         func(session string) bool // of the sessions that we know; nil: of all
	adminPassword string                    // see Started
	halts         []func()                  // end the requests that would not end by themselves
	closers       []func() error            // in the order of starting
}

// halt makes way for the end: what goes on until then ends now.
func (s *System) halt() {
	for _, halt := range s.halts {
		halt()
	}
}

// Close ends the modules, last started first.
func (s *System) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// Started is what there is to tell of a server that is ready.
type Started struct {
	Front, Debug  string // where it listens, host:port; Debug is empty when there is none
	AdminPassword string // of the user admin, if this start made it and nobody chose one
}

// Run starts the modules and serves until ctx is done; then requests under
// way have Config.Shutdown to end. ready is called once, when requests are
// being answered.
func Run(ctx context.Context, cfg *config.Config, log *slog.Logger, ready func(Started)) error {
	// Listen before anything else: a second server ends here, having touched nothing.
	l, err := listen(cfg.Proxy.Addr, "PROXY_HTTP_ADDR")
	if err != nil {
		return err
	}
	defer l.Close()
	at := Started{Front: l.Addr().String()}
	m := newMetrics()
	var dbg *debugServer
	if cfg.Debug.Addr != "" {
		dl, err := listen(cfg.Debug.Addr, "PROXY_DEBUG_ADDR")
		if err != nil {
			return err
		}
		at.Debug = dl.Addr().String()
		dbg = newDebug(cfg.Debug, m, log)
		go dbg.server.Serve(dl)
		defer dbg.server.Close()
	}

	s := &System{Config: cfg, Log: log}
	defer s.Close()
	want, err := wanted(cfg)
	if err != nil {
		return err
	}
	if err := Build(ctx, s, modules(), append(want, "auth")...); err != nil { // no front without auth
		return err
	}
	if len(s.Auth.Challenges()) == 0 {
		log.Warn("nobody can sign in: every way to is switched off (PROXY_ENABLE_BASIC_AUTH, OC_EXCLUDE_RUN_SERVICES)")
	}
	f, err := newFront(s, routes(s), m)
	if err != nil {
		return err
	}
	srv, err := newServer(s, f)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- srv.serve(l) }()
	if dbg != nil {
		dbg.ready(s.Store)
	}
	log.Info("ready", "url", cfg.URL, "listen", at.Front, "debug", at.Debug, "version", Version)
	at.AdminPassword = s.adminPassword
	ready(at)
	notify(cfg.Notify, "READY=1", log) // last: whoever waits for it reads what was said before

	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	log.Info("stopping", "timeout", cfg.Shutdown.String())
	notify(cfg.Notify, "STOPPING=1", log)
	if dbg != nil {
		dbg.stop()
	}
	s.halt()
	srv.stop(cfg.Shutdown)
	f.wait(5 * time.Second)
	if err := s.Close(); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	log.Info("stopped")
	return nil
}

func listen(addr, variable string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, cloud.Refuse(cloud.Exist, "The address %s is in use: a server runs there already. Stop it, or choose another address with %s.", addr, variable)
	case errors.Is(err, syscall.EACCES):
		return nil, cloud.Refuse(cloud.Permission, "This user may not listen on %s. Ports below 1024 need the right to; choose another one with %s.", addr, variable)
	case err != nil:
		return nil, cloud.Refuse(cloud.Invalid, "The server cannot listen on %s (%s): %v.", addr, variable, err)
	}
	return l, nil
}

// notify tells the service manager (sd_notify). A manager that does not
// listen is no reason to fail.
func notify(socket, state string, log *slog.Logger) {
	if socket == "" {
		return
	}
	c, err := net.Dial("unixgram", socket)
	if err == nil {
		_, err = c.Write([]byte(state))
		c.Close()
	}
	if err != nil {
		log.Debug("the service manager cannot be told", "state", state, "error", err)
	}
}
