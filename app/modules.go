package app

import (
	"context"
	"net/http"
	"path/filepath"
	"time"

	"opencloud/api/apptokens"
	"opencloud/api/archiver"
	"opencloud/api/dav"
	"opencloud/api/graph"
	"opencloud/api/ocs"
	settingsapi "opencloud/api/settings"
	"opencloud/api/sse"
	"opencloud/api/tus"
	"opencloud/api/webfinger"
	"opencloud/api/wellknown"
	"opencloud/auth"
	"opencloud/auth/apptoken"
	"opencloud/auth/bearer"
	"opencloud/auth/idp"
	"opencloud/auth/link"
	"opencloud/auth/machine"
	"opencloud/auth/oidc"
	"opencloud/auth/signed"
	"opencloud/cloud"
	"opencloud/core"
	"opencloud/directory/builtin"
	"opencloud/directory/ldap"
	"opencloud/directory/profile"
	"opencloud/directory/secret"
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
		{"oidc", []string{"users", "auth"}, startOIDC},
		{"app-tokens", []string{"users", "auth"}, startAppTokens},
		{"signed", []string{"users", "auth"}, startSigned},
		{"webfinger", []string{"auth"}, startWebfinger},
		{"storage", nil, startStorage},
		{"files", []string{"storage"}, startFiles},
		{"links", []string{"auth", "files"}, startLinks},
		{"dav", []string{"files", "signed"}, startDAV},
		{"tus", []string{"files", "auth"}, startTUS},
		{"archiver", []string{"files"}, startArchiver},
		{"people", []string{"users", "auth", "files"}, startPeople},
		{"graph", []string{"files", "people", "signed"}, startGraph},
		{"settings", []string{"people"}, startSettings},
		{"auth-app", []string{"app-tokens", "people"}, startAuthApp},
		{"sse", []string{"files", "people"}, startSSE},
		{"ocs", []string{"files", "people", "signed"}, startOCS},
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
	s.Credentials = append(s.Credentials, p)
	s.SignIns = p
	s.alive = func(session string) bool { return p.Alive(&bearer.Token{Session: session}) }
	s.IDP = p.Handler(s.Auth.Guess)
	return nil
}

func startOIDC(_ context.Context, s *System) error {
	opts := s.Config.OIDC.Options
	opts.Insecure = opts.Insecure || s.Config.Insecure
	finger := &s.Config.Webfinger
	opts.Clients = []string{finger.WebID, finger.DesktopID, finger.AndroidID, finger.IOSID}
	i, err := oidc.Open(s.Config.OIDC.Path, s.Directory, opts, s.Log)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, i.Close)
	s.Auth.Add(bearer.New(s.Directory, i))
	s.Credentials = append(s.Credentials, i)
	s.alive = func(session string) bool { return i.Alive(&bearer.Token{Session: session, Issued: time.Now()}) }
	s.OIDC = i.Handler()
	return nil
}

func startWebfinger(_ context.Context, s *System) error {
	opts := s.Config.Webfinger
	opts.Issuer = issuer(s)
	s.Webfinger = webfinger.New(opts)
	return nil
}

// issuer is who signs people in.
func issuer(s *System) string {
	if other := s.Config.ExternalIssuer(); other != "" {
		return other
	}
	return s.Config.Site().String()
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
	opts, cost := s.Config.Core, s.Config.IDM.Options
	secrets, err := secret.New(secret.Options{Memory: cost.Memory, Time: cost.Time, Threads: cost.Threads, Checks: cost.Checks, Remember: cost.Remember})
	if err != nil {
		return err
	}
	opts.Secrets, opts.Log = secrets, s.Log
	s.core = core.New(s.Store, opts)
	s.Files, s.Uploads, s.Shares, s.Changes = s.core, s.core, s.core, s.core
	s.closers = append(s.closers, s.core.Close)
	return nil
}

func startPeople(_ context.Context, s *System) error {
	profiles, err := profile.Open(filepath.Join(s.Config.IDM.Path, "profiles"))
	if err != nil {
		return err
	}
	s.closers = append(s.closers, profiles.Close)
	opts := s.Config.People
	opts.Credentials, opts.SignIns = s.Credentials, s.SignIns
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

// visited is where holders of links may come beside the addresses of links,
// when the request names one.
var visited = []string{"/dav", "/remote.php/dav", "/data", archiver.Path}

func startLinks(_ context.Context, s *System) error {
	s.Auth.AddGate(link.New(s.Shares, visited...))
	return nil
}

func startDAV(_ context.Context, s *System) error {
	opts := s.Config.DAV
	opts.SignLink = s.Shares.Sign
	opts.Person = func(ctx context.Context, id cloud.UserID) *cloud.User {
		u, err := s.Directory.User(ctx, "id", string(id))
		if err != nil {
			return nil
		}
		return u
	}
	opts.Announce = tus.Announce(s.Config.Uploads)
	if s.Signer != nil {
		opts.Links = s.Signer.Links
	}
	opts.Changes = s.Changes
	s.DAV = dav.New(s.Files, opts)
	return nil
}

func startTUS(_ context.Context, s *System) error {
	s.TUS = tus.New(s.Files, s.Uploads, s.Config.Uploads)
	return nil
}

func startArchiver(_ context.Context, s *System) error {
	opts := s.Config.Archiver
	if opts.MaxFiles < 1 || opts.MaxSize < 1 {
		return cloud.Refuse(cloud.Invalid, "An archive must be able to hold something: FRONTEND_ARCHIVER_MAX_NUM_FILES and FRONTEND_ARCHIVER_MAX_SIZE are at least 1.")
	}
	s.Archiver = archiver.New(s.Files, opts)
	return nil
}

func startGraph(_ context.Context, s *System) error {
	opts := s.Config.Graph
	opts.Product, opts.Education, opts.Changes = product, s.Education, s.Changes
	if s.Signer != nil {
		opts.Links = s.Signer.Links
	}
	for _, id := range opts.Roles {
		if r, ok := cloud.ShareRoleBy(id); !ok || r.ID != id {
			return cloud.Refuse(cloud.Invalid, "There is no role %q (GRAPH_AVAILABLE_ROLES).", id)
		}
	}
	s.Graph = graph.New(s.Files, s.Shares, s.People, opts)
	return nil
}

func startSettings(_ context.Context, s *System) error {
	s.Settings = settingsapi.New(s.People)
	return nil
}

func startSSE(_ context.Context, s *System) error {
	opts := s.Config.SSE
	if opts.Disabled {
		return nil
	}
	opts.Alive = func(r *http.Request) error {
		session := cloud.CallerFrom(r.Context()).Session
		switch {
		case session == "" || s.alive == nil:
			return s.Auth.Still(r)
		case !s.alive(session): // a token is renewed elsewhere: it may expire
			return cloud.Refuse(cloud.Unauthorized, "The session has ended.")
		}
		return nil
	}
	h := sse.New(s.Changes, opts)
	s.SSE = h
	s.halts = append(s.halts, h.Close)
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
	opts, rules := s.Config.OCS, s.Config.Core
	if opts.DefaultLink != 0 && opts.DefaultLink != 1 {
		return cloud.Refuse(cloud.Invalid, "A link is by default for 0 or 1 (FRONTEND_DEFAULT_LINK_PERMISSIONS), not %d.", opts.DefaultLink)
	}
	opts.Product, opts.ProductVersion, opts.Edition, opts.Version = product, Version, edition, legacy
	opts.MaxQuota, opts.NoVersions = rules.MaxQuota, rules.NoVersions
	opts.LinkPassword, opts.WritableLinkPassword, opts.AutoAccept = rules.LinkPassword, rules.WritableLinkPassword, rules.AutoAccept
	opts.TusVersion, opts.TusExtensions = tus.Version, tus.Extensions
	opts.MaxChunkSize, opts.MethodOverride = s.Config.Uploads.MaxChunkSize, s.Config.Uploads.MethodOverride
	if s.Archiver != nil {
		limits := s.Config.Archiver
		opts.Archiver = ocs.Archiver{Version: archiver.Version, Formats: archiver.Formats(), URL: archiver.Path, MaxFiles: limits.MaxFiles, MaxSize: limits.MaxSize}
	}
	opts.Password, opts.MinSearch = passwords(s.Config.People.Password), s.Config.People.MinSearch
	opts.Elsewhere = s.Config.IDM.Backend == "ldap" && !s.Config.LDAP.Write
	if roles := s.Config.Graph.Roles; len(roles) > 0 {
		opts.Roles = roles
	}
	if s.Signer != nil {
		opts.SigningKey = s.Signer.Key
	}
	opts.SSE = s.SSE != nil
	s.OCS = ocs.New(s.Files, s.Shares, s.People, opts)
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
		Product: product, URL: s.Config.Site(), Issuer: issuer(s), Client: opts.WebID, Scopes: opts.WebScopes,
	})
	return err
}
