// Package oidc lets in whom an OpenID Connect provider that is not ours has
// signed in: it says which tokens of that issuer are good and whose account
// each one leads to. It signs nobody in, and holds no secret: clients talk to
// the issuer themselves.
//
// The standards behind it: OpenID Connect Core, Discovery and Back-Channel
// Logout 1.0, RFC 7519 (JWT), 8725 (best current practice for it), 9068
// (access tokens).
package oidc

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"opencloud/auth/bearer"
	"opencloud/cloud"
)

// Options say whom to trust, and what of what it says.
type Options struct {
	Issuer   string   `yaml:"issuer" env:"OC_OIDC_ISSUER;PROXY_OIDC_ISSUER" default:"" doc:"Address of the OpenID Connect provider that signs people in; empty, or that of this server, is the built-in one."`
	Audience []string `yaml:"audience" env:"OC_OIDC_AUDIENCE;PROXY_OIDC_AUDIENCE" default:"" doc:"Names one of which an access token must have as its audience (aud); empty takes those for any."`
	Insecure bool     `yaml:"insecure" env:"PROXY_OIDC_INSECURE" default:"false" doc:"Accept certificates of the issuer that cannot be verified."`

	Verify      Verification  `yaml:"access_token_verify_method" env:"PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD" default:"jwt" doc:"How to check access tokens: jwt checks signature, issuer, lifetime and audience; none takes any token for which the issuer's userinfo answers."`
	SkipInfo    bool          `yaml:"skip_user_info" env:"PROXY_OIDC_SKIP_USER_INFO" default:"false" doc:"Take the claims from the access token alone and do not ask the issuer's userinfo."`
	InfoTTL     time.Duration `yaml:"userinfo_cache_ttl" env:"PROXY_OIDC_USERINFO_CACHE_TTL" default:"10s" doc:"How long an answer of the issuer's userinfo is good."`
	KeyInterval int           `yaml:"jwks_refresh_interval" env:"PROXY_OIDC_JWKS_REFRESH_INTERVAL" default:"60" doc:"Minutes after which the issuer's keys and addresses are asked for again."`
	KeyTimeout  int           `yaml:"jwks_refresh_timeout" env:"PROXY_OIDC_JWKS_REFRESH_TIMEOUT" default:"10" doc:"Seconds that the issuer has for an answer."`
	KeyLimit    int           `yaml:"jwks_refresh_limit" env:"PROXY_OIDC_JWKS_REFRESH_LIMIT;PROXY_OIDC_JWKS_REFRESH_RATE_LIMIT" default:"60" doc:"Least seconds between two requests for the issuer's keys because of a key that is not known."`
	Rewrite     bool          `yaml:"rewrite_wellknown" env:"PROXY_OIDC_REWRITE_WELLKNOWN" default:"false" doc:"Serve the issuer's /.well-known/openid-configuration here, too, for clients that look for it nowhere else."`

	UserClaim string `yaml:"user_oidc_claim" env:"PROXY_USER_OIDC_CLAIM" default:"preferred_username" doc:"Claim that says which account somebody has who signs in for the first time; dots lead into nested claims."`
	UserField Field  `yaml:"user_cs3_claim" env:"PROXY_USER_CS3_CLAIM" default:"username" doc:"What that claim is compared with: username, mail or userid."`
	Link      Link   `yaml:"link_accounts" env:"OC_OIDC_LINK_ACCOUNTS" default:"users" doc:"Which existing accounts belong to who first signs in by their name: users (all but those of administrators), all or none."`

	Provision    bool          `yaml:"autoprovision_accounts" env:"PROXY_AUTOPROVISION_ACCOUNTS" default:"false" doc:"Make an account for who signs in without one, and keep name, mail address and groups as the issuer says."`
	NameClaim    string        `yaml:"autoprovision_claim_username" env:"PROXY_AUTOPROVISION_CLAIM_USERNAME" default:"preferred_username" doc:"Claim with the user name of a new account."`
	MailClaim    string        `yaml:"autoprovision_claim_email" env:"PROXY_AUTOPROVISION_CLAIM_EMAIL" default:"email" doc:"Claim with the mail address."`
	DisplayClaim string        `yaml:"autoprovision_claim_displayname" env:"PROXY_AUTOPROVISION_CLAIM_DISPLAYNAME" default:"name" doc:"Claim with the name to show."`
	GroupsClaim  string        `yaml:"autoprovision_claim_groups" env:"PROXY_AUTOPROVISION_CLAIM_GROUPS" default:"groups" doc:"Claim with the names of the groups; empty leaves groups alone."`
	GroupsEvery  time.Duration `yaml:"autoprovision_groups_every" env:"OC_OIDC_GROUPS_EVERY" default:"5m" doc:"Least time between two looks at the groups of a user."`

	RoleDriver  RoleDriver `yaml:"role_assignment_driver" env:"PROXY_ROLE_ASSIGNMENT_DRIVER" default:"default" doc:"Where roles come from: default leaves them as they are here, oidc takes them from a claim with each sign-in."`
	RoleClaim   string     `yaml:"role_assignment_oidc_claim" env:"PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM" default:"roles" doc:"Claim with the roles."`
	RoleMapping []string   `yaml:"role_assignment_mapping" env:"OC_OIDC_ROLE_MAPPING" default:"opencloudAdmin=admin,opencloudSpaceAdmin=spaceadmin,opencloudUser=user,opencloudGuest=user-light" doc:"What roles are called in the claim, each claim=role; the first that is found counts, and who has none may not sign in."`

	Clients []string `yaml:"-"` // ids of our clients at the issuer: what logout tokens are for
}

// Verification is a way to check access tokens.
type Verification string

const (
	JWT    Verification = "jwt"
	Opaque Verification = "none"
)

// Field is what names an account.
type Field string

// Link says which accounts can be had by their name.
type Link string

const (
	LinkUsers Link = "users"
	LinkAll   Link = "all"
	LinkNone  Link = "none"
)

// RoleDriver says where roles come from.
type RoleDriver string

const (
	RolesHere       RoleDriver = "default"
	RolesFromClaims RoleDriver = "oidc"
)

// fields are those of cloud.Directory.User.
var fields = map[Field]string{"username": "name", "mail": "mail", "userid": "id"}

// An Issuer is the provider as we know it. It is a bearer.Issuer and keeps
// credentials (cloud.Credentials).
type Issuer struct {
	opts   Options
	dir    cloud.Directory
	log    *slog.Logger
	roles  []mapping
	remote *remote
	links  *links
	ended  *ended
	tokens flights[bearer.Token]

	mu     sync.Mutex                 // held while accounts change
	synced map[cloud.UserID]time.Time // when the groups were looked at
}

var (
	_ bearer.Issuer     = (*Issuer)(nil)
	_ cloud.Credentials = (*Issuer)(nil)
)

// Open reads the state in the folder, which is made if it is missing: which
// accounts belong to whom, and which sessions have ended. It does not wait for
// the issuer, which may be down. One process at a time may have it open.
func Open(path string, dir cloud.Directory, opts Options, log *slog.Logger) (*Issuer, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = atOnce
	if opts.Insecure {
		transport.TLSClientConfig = insecure()
	}
	i, err := open(path, dir, opts, log, transport)
	if err != nil {
		return nil, cloud.E("oidc.Open", cloud.Ref{}, err)
	}
	i.remote.renew()
	return i, nil
}

func open(path string, dir cloud.Directory, opts Options, log *slog.Logger, transport http.RoundTripper) (*Issuer, error) {
	i := &Issuer{opts: opts, dir: dir, log: log, synced: map[cloud.UserID]time.Time{}}
	switch {
	case opts.Verify != JWT && opts.Verify != Opaque:
		return nil, cloud.Refuse(cloud.Invalid, "The method %q (PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD) is not one of jwt and none.", opts.Verify)
	case opts.Verify == Opaque && opts.SkipInfo:
		return nil, cloud.Refuse(cloud.Invalid, "PROXY_OIDC_SKIP_USER_INFO needs PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD=jwt: else nobody says whose a token is.")
	case fields[opts.UserField] == "":
		return nil, cloud.Refuse(cloud.Invalid, "%q (PROXY_USER_CS3_CLAIM) is not one of username, mail and userid.", opts.UserField)
	case opts.UserClaim == "":
		return nil, cloud.Refuse(cloud.Invalid, "A claim must say who somebody is (PROXY_USER_OIDC_CLAIM).")
	case opts.Link != LinkUsers && opts.Link != LinkAll && opts.Link != LinkNone:
		return nil, cloud.Refuse(cloud.Invalid, "%q (OC_OIDC_LINK_ACCOUNTS) is not one of users, all and none.", opts.Link)
	case opts.RoleDriver != RolesHere && opts.RoleDriver != RolesFromClaims:
		return nil, cloud.Refuse(cloud.Invalid, "The driver %q (PROXY_ROLE_ASSIGNMENT_DRIVER) is not one of default and oidc.", opts.RoleDriver)
	case opts.KeyInterval < 1 || opts.KeyTimeout < 1 || opts.KeyLimit < 1 || opts.InfoTTL < 0 || opts.GroupsEvery < 0:
		return nil, cloud.Refuse(cloud.Invalid, "Times of PROXY_OIDC_JWKS_REFRESH_… must be at least 1, and no time can be negative.")
	}
	var err error
	if i.roles, err = parseMapping(opts.RoleMapping); err != nil {
		return nil, err
	}
	if i.remote, err = newRemote(opts, log, transport); err != nil {
		return nil, err
	}
	i.tokens.patience, i.tokens.life, i.tokens.ctx = patience, i.remote.timeout, i.remote.ctx
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	if i.links, err = openLinks(filepath.Join(path, "links"), opts.Issuer); err != nil {
		return nil, err
	}
	i.ended, err = openEnded(filepath.Join(path, "ended"), log)
	return i, err
}

// Close waits for what is under way.
func (i *Issuer) Close() error {
	i.remote.close()
	i.tokens.close()
	return errors.Join(i.ended.close(), i.links.close())
}

// patience is how long a request waits for the issuer; what is under way goes
// on, for the next one.
const patience = 3 * time.Second

// maxToken bounds tokens, in bytes.
const maxToken = 16 << 10

// Token checks a token and finds the account; see bearer.Issuer. It may take
// some calls of the issuer and the directory, which all requests with the same
// token share.
func (i *Issuer) Token(ctx context.Context, raw string) (bearer.Token, error) {
	if raw == "" || len(raw) > maxToken {
		return bearer.Token{}, notValid()
	}
	t, err := i.tokens.do(ctx, raw, func(ctx context.Context) (bearer.Token, error) { return i.token(ctx, raw) })
	return t, cloud.E("oidc.Token", cloud.Ref{}, err)
}

func (i *Issuer) token(ctx context.Context, raw string) (bearer.Token, error) {
	now := time.Now()
	t := bearer.Token{Issued: now}
	c := claims{}
	if i.opts.Verify == JWT {
		var err error
		if c, err = i.access(ctx, raw); err != nil {
			return t, err
		}
		t.Issued, _ = c.when("iat")
		t.Expires, _ = c.when("exp")
		t.Again = now.Add(i.remote.interval) // a key may be withdrawn
		t.ID, _, _ = c.text("jti")
		t.Session, _, _ = c.text("sid")
		t.Subject, _, _ = c.text("sub")
		if !i.Alive(&t) {
			return t, cloud.Refuse(cloud.Unauthorized, "You have signed out. Sign in again.")
		}
	}
	if !i.opts.SkipInfo {
		info, err := i.remote.userinfo(ctx, raw)
		if err != nil {
			return t, err
		}
		if err := c.merge(info); err != nil {
			return t, err
		}
		t.Again = now.Add(i.opts.InfoTTL)
		if i.opts.Verify == Opaque {
			t.Expires = t.Again // who knows
		}
	}
	var ok bool
	var err error
	if t.Subject, ok, err = c.text("sub"); err != nil || !ok || len(t.Subject) > maxSubject {
		return t, notValid()
	}
	t.User, err = i.account(ctx, t.Subject, c)
	return t, err
}

// Alive tells whether nobody has ended the session of a token.
func (i *Issuer) Alive(t *bearer.Token) bool { return i.ended.alive(t.Session, t.Subject, t.Issued) }

// SignOut does nothing: sessions are the issuer's.
func (i *Issuer) SignOut(context.Context, cloud.UserID) error { return nil }

// Forget drops whose account it was, so that a new one can be theirs.
func (i *Issuer) Forget(_ context.Context, of cloud.UserID) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.synced, of)
	return cloud.E("oidc.Forget", cloud.Ref{}, i.links.drop(of))
}

func notValid() error { return cloud.Refuse(cloud.Unauthorized, "The token is not valid.") }

// unavailable is for when the issuer cannot say.
func unavailable(cause error) error {
	return &cloud.Error{Kind: cloud.Unavailable, Say: "The sign-in service cannot be asked right now. Try again in a moment.", Err: cause}
}
