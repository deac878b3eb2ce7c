package app

import (
	"context"
	"path/filepath"

	"opencloud/api/apptokens"
	"opencloud/api/dav"
	"opencloud/api/graph"
	"opencloud/api/ocs"
	settingsapi "opencloud/api/settings"
	"opencloud/api/tus"
	"opencloud/api/webfinger"
	"opencloud/api/wellknown"
	"opencloud/auth"
	"opencloud/auth/apptoken"
	"opencloud/auth/bearer"
	"opencloud/auth/idp"
	"opencloud/auth/machine"
	"opencloud/auth/signed"
	"opencloud/cloud"
	"opencloud/core"
	"opencloud/directory/builtin"
	"opencloud/directory/ldap"
	"opencloud/directory/profile"
	"opencloud/storage/posix"
	"opencloud/web"
)

// modules is the system in one look, in the order of starting: whoever keeps
// credentials comes before people, which tells them of new passwords.
func modules() []Module {
	return []Module{
		{"users", nil, startUsers},
		{"auth", []string{"users"}, startAuth},
		{"idp", []string{"users", "auth"}, startIDP},
		{"app-tokens", []string{"users", "auth"}, startAppTokens},
		{"signed", []string{"users", "auth"}, startSigned},
		{"webfinger", []string{"auth"}, startWebfinger},
		{"storage", nil, startStorage},
		{"files", []string{"storage"}, startFiles},
		{"dav", []string{"files", "signed"}, startDAV},
		{"tus", []string{"files", "auth"}, startTUS},
		{"people", []string{"users", "auth", "files"}, startPeople},
		{"graph", []string{"files", "people"}, startGraph},
		{"settings", []string{"people"}, startSettings},
		{"auth-app", []string{"app-tokens", "people"}, startAuthApp},
		{"ocs", []string{"files", "signed"}, startOCS},
		{"wellknown", []string{"auth"}, startWellknown},
		{"web", []string{"webfinger"}, startWeb},
	}
}

func startUsers(ctx context.Context, s *System) error {
	if s.Config.IDM.Backend == "ldap" {
		return startLDAP(s)
	}
	if len(s.Config.LDAP.URI) > 0 {
		s.Log.Warn("the built-in users are used although OC_LDAP_URI is set; GRAPH_IDENTITY_BACKEND=ldap uses those of the LDAP server")
	}
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

func startLDAP(s *System) error {
	opts := s.Config.LDAP
	opts.Log = s.Log
	if opts.Admin == "" {
		s.Log.Info("OC_ADMIN_USER_ID is not set: nobody is administrator but who was made one")
	}
	d, err := ldap.Open(filepath.Join(s.Config.IDM.Path, "ldap"), opts)
	if err != nil {
		return err
	}
	s.Directory = d
	s.closers = append(s.closers, d.Close)
	return nil
}

func startAuth(_ context.Context, s *System) error {
	s.Auth = auth.New(s.Directory, s.Config.Auth)
	if opts := s.Config.Machine; opts.Key != "" {
		s.Auth.Add(machine.New(s.Directory, opts.Key))
	}
	if opts := s.Config.Machine; opts.Service.ID != "" {
		s.Auth.Add(machine.NewService(opts.Service))
	}
	return nil
}

func startAppTokens(_ context.Context, s *System) error {
	opts := s.Config.AppTokens
	store, err := apptoken.Open(opts.Path, s.Directory, opts.Options, s.Log)
	if err != nil {
		return err
	}
	s.Credentials = append(s.Credentials, store)
	s.AppTokens = core.NewAppTokens(store, s.Directory, opts.AppTokenOptions)
	if opts.Enabled {
		s.Auth.AddTokens(store)
	}
	return nil
}

func startAuthApp(_ context.Context, s *System) error {
	if s.Config.AppTokens.Enabled {
		s.Tokens = apptokens.New(s.AppTokens, s.People)
	}
	return nil
}

func startSigned(_ context.Context, s *System) error {
	opts := s.Config.Signed.Options
	if !opts.Enabled {
		return nil
	}
	opts.URL = s.Config.Site()
	opts.Alive = func(session string) bool { return s.alive == nil || s.alive(session) }
	var err error
	if s.Signer, err = signed.Open(s.Config.Signed.Path, s.Directory, opts); err != nil {
		return err
	}
	s.Credentials = append(s.Credentials, s.Signer)
	s.Auth.AddDoor(s.Signer)
	return nil
}

func startIDP(_ context.Context, s *System) error {
	opts := s.Config.IDP.Options
	opts.URL, opts.Product = s.Config.Site(), product
	p, err := idp.Open(s.Config.IDP.Path, s.Directory, opts, s.Log)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, p.Close)
	s.Auth.Add(bearer.New(s.Directory, p))
	s.Auth.NeedsMore(p.NeedsMore)
	s.alive = func(session string) bool { return p.Alive(session, "") }
	s.IDP = p.Handler(s.Auth.Guess)
	return nil
}

func startWebfinger(_ context.Context, s *System) error {
	opts := s.Config.Webfinger
	opts.Issuer = s.Config.Site().String()
	s.Webfinger = webfinger.New(opts)
	return nil
}

func startStorage(ctx context.Context, s *System) error {
	store, err := posix.Open(ctx, s.Config.Storage, s.Log)
	if err != nil {
		return err
	}
	s.Store = store
	s.closers = append(s.closers, store.Close)
	return nil
}

func startFiles(_ context.Context, s *System) error {
	s.core = core.New(s.Store, s.Config.Core)
	s.Files, s.Uploads = s.core, s.core
	return nil
}

func startPeople(_ context.Context, s *System) error {
	profiles, err := profile.Open(filepath.Join(s.Config.IDM.Path, "profiles"))
	if err != nil {
		return err
	}
	s.closers = append(s.closers, profiles.Close)
	opts := s.Config.People
	opts.Credentials = s.Credentials
	opts.Guess = func(account string, check func() error) error {
		_, err := s.Auth.Guess("", account, func() (*cloud.User, error) { return nil, check() })
		return err
	}
	opts.Log = s.Log
	if opts.Education = s.Config.Education; opts.Education.Enabled {
		if opts.Schools, err = builtin.OpenSchools(filepath.Join(s.Config.IDM.Path, "education"), s.Log); err != nil {
			return err
		}
	}
	people, err := core.NewPeople(s.core, s.Directory, profiles, opts)
	if err != nil {
		return err
	}
	s.People = people
	s.closers = append(s.closers, people.Close)
	if e := people.Education(); e != nil {
		s.Education = e
		if token := s.Config.Machine.Schools; token != "" {
			s.Auth.Add(machine.NewToken(token))
		}
	}
	return nil
}

func startDAV(_ context.Context, s *System) error {
	opts := s.Config.DAV
	opts.Announce = tus.Announce(s.Config.Uploads)
	if s.Signer != nil {
		opts.Links = s.Signer.Links
	}
	s.DAV = dav.New(s.Files, opts)
	return nil
}

func startTUS(_ context.Context, s *System) error {
	s.TUS = tus.New(s.Files, s.Uploads, s.Config.Uploads)
	return nil
}

func startGraph(_ context.Context, s *System) error {
	opts := s.Config.Graph
	opts.Product, opts.Education = product, s.Education
	s.Graph = graph.New(s.Files, s.People, opts)
	return nil
}

func startSettings(_ context.Context, s *System) error {
	s.Settings = settingsapi.New(s.People)
	return nil
}

// What clients are told of the product. Old ones compare legacy with what
// they need, and new ones ask for Version.
const (
	product = "OpenCloud"
	edition = "Community"
	legacy  = "10.11.0"
)

func startOCS(_ context.Context, s *System) error {
	opts := ocs.Options{
		Product: product, ProductVersion: Version, Edition: edition, Version: legacy,
		MaxQuota: s.Config.Core.MaxQuota, NoVersions: s.Config.Core.NoVersions,
		TusVersion: tus.Version, TusExtensions: tus.Extensions,
		MaxChunkSize: s.Config.Uploads.MaxChunkSize, MethodOverride: s.Config.Uploads.MethodOverride,
		Password: passwords(s.Config.People.Password), MinSearch: s.Config.People.MinSearch,
	}
	if s.Signer != nil {
		opts.SigningKey = s.Signer.Key
	}
	s.OCS = ocs.New(s.Files, opts)
	return nil
}

func passwords(o core.PasswordOptions) ocs.Passwords {
	if o.Disabled {
		return ocs.Passwords{Max: core.MaxPassword}
	}
	return ocs.Passwords{Min: o.Min, Max: core.MaxPassword, Lower: o.Lower, Upper: o.Upper, Digits: o.Digits, Special: o.Special}
}

func startWellknown(_ context.Context, s *System) error {
	s.Wellknown = wellknown.New(wellknown.Options{Product: product, ProductVersion: Version, Edition: edition, Version: legacy})
	return nil
}

func startWeb(_ context.Context, s *System) error {
	opts := s.Config.Webfinger
	var err error
	s.Web, err = web.New(web.Built(), web.Options{
		Product: product, URL: s.Config.Site(), Issuer: s.Config.Site().String(), Client: opts.WebID, Scopes: opts.WebScopes,
	})
	return err
}
