package app

import (
	"context"

	"opencloud/api/tus"
	"opencloud/auth"
	"opencloud/core"
	"opencloud/directory/builtin"
	"opencloud/storage/mem"
)

// modules is the system in one look.
func modules() []Module {
	return []Module{
		{"users", nil, startUsers},
		{"auth", []string{"users"}, startAuth},
		{"storage", nil, startStorage},
		{"files", []string{"storage"}, startFiles},
		{"tus", []string{"files", "auth"}, startTUS},
	}
}

func startUsers(ctx context.Context, s *System) error {
	opts := s.Config.IDM.Options
	opts.Log = s.Log
	d, err := builtin.Open(s.Config.IDM.Path, opts)
	if err != nil {
		return err
	}
	s.Directory = d
	if s.adminPassword, err = FirstUsers(ctx, d, s.Config.IDM); err != nil {
		return err
	}
	s.closers = append(s.closers, d.Close)
	return nil
}

func startAuth(_ context.Context, s *System) error {
	s.Auth = auth.New(s.Directory, s.Config.Auth)
	return nil
}

func startStorage(_ context.Context, s *System) error {
	s.Store = mem.New()
	s.closers = append(s.closers, s.Store.Close)
	return nil
}

func startFiles(_ context.Context, s *System) error {
	c := core.New(s.Store, s.Config.Core)
	s.Files, s.Uploads = c, c
	return nil
}

func startTUS(_ context.Context, s *System) error {
	s.TUS = tus.New(s.Files, s.Uploads, s.Config.Uploads)
	return nil
}
