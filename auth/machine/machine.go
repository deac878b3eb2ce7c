// Package machine lets parts of the system in that run in processes of their
// own: on behalf of a user, with a key that opens every account, or as
// themselves, with the few permissions of cloud.RoleService. Neither is a user
// of the directory, and both are off unless somebody sets the secrets. It is
// not for people: no answer asks for it.
//
// The secrets travel with each request, so they are for connections within
// one machine, or with TLS.
package machine

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"

	"opencloud/auth/basic"
	"opencloud/cloud"
)

// Options are the secrets.
type Options struct {
	Key     string  `yaml:"machine_auth_api_key" env:"OC_MACHINE_AUTH_API_KEY" default:"" secret:"true" doc:"Key with which parts of the system act on behalf of any user, at least 16 bytes; empty is off. Whoever has it has everything."`
	Service Account `yaml:"service_account"`
	Schools string  `yaml:"education_api_token" env:"OC_EDUCATION_API_TOKEN;GRAPH_HTTP_API_TOKEN" default:"" secret:"true" doc:"Bearer token with which a school administration system manages schools, users and groups, at least 16 bytes; empty is off, and so it is without OC_EDUCATION_ENABLED."`
}

// An Account is that of a part of the system.
type Account struct {
	ID     string `yaml:"service_account_id" env:"OC_SERVICE_ACCOUNT_ID" default:"" doc:"Name with which parts of the system act by themselves; empty is off."`
	Secret string `yaml:"service_account_secret" env:"OC_SERVICE_ACCOUNT_SECRET" default:"" secret:"true" doc:"Secret that belongs to it, at least 16 bytes."`
}

const minSecret = 16

// Check says what is wrong with the options.
func (o *Options) Check() error {
	switch {
	case o.Key != "" && len(o.Key) < minSecret:
		return cloud.Refuse(cloud.Invalid, "The key OC_MACHINE_AUTH_API_KEY is too short: at least %d bytes.", minSecret)
	case (o.Service.ID == "") != (o.Service.Secret == ""):
		return cloud.Refuse(cloud.Invalid, "A service account needs both: set OC_SERVICE_ACCOUNT_ID and OC_SERVICE_ACCOUNT_SECRET, or neither.")
	case o.Service.ID != "" && len(o.Service.Secret) < minSecret:
		return cloud.Refuse(cloud.Invalid, "The secret OC_SERVICE_ACCOUNT_SECRET is too short: at least %d bytes.", minSecret)
	case o.Schools != "" && len(o.Schools) < minSecret:
		return cloud.Refuse(cloud.Invalid, "The token OC_EDUCATION_API_TOKEN (GRAPH_HTTP_API_TOKEN) is too short: at least %d bytes.", minSecret)
	}
	return nil
}

// A Scheme is an auth.Scheme. Its credentials have the form of those of HTTP
// Basic: a name and a secret.
type Scheme struct {
	name   string
	secret [sha256.Size]byte
	user   func(ctx context.Context, name string) (*cloud.User, error) // Unauthorized for nobody
}

// New is the scheme "Machine", whose name is the id of the user on whose
// behalf something is to be done.
func New(dir cloud.Directory, key string) *Scheme {
	return &Scheme{"Machine", sha256.Sum256([]byte(key)), func(ctx context.Context, id string) (*cloud.User, error) {
		u, err := dir.User(ctx, "id", id)
		if cloud.KindOf(err) == cloud.NotExist || err == nil && u.Disabled {
			return nil, cloud.Refuse(cloud.Unauthorized, "There is no such user, or one who cannot sign in.")
		}
		return u, err
	}}
}

// NewService is the scheme "Service", whose name is that of the account.
func NewService(a Account) *Scheme {
	return &Scheme{"Service", sha256.Sum256([]byte(a.Secret)), func(_ context.Context, name string) (*cloud.User, error) {
		if name != a.ID {
			return nil, cloud.Unauthorized
		}
		// No id of a directory looks like this one, so no grant is for it.
		return &cloud.User{ID: cloud.UserID("service:" + name), Name: name, Display: name, Role: cloud.RoleService}, nil
	}}
}

func (s *Scheme) Name() string { return s.name }

// Challenge is empty: who may come in like this knows.
func (s *Scheme) Challenge() string { return "" }

// Verify counts what is wrong as a guess from its network.
func (s *Scheme) Verify(ctx context.Context, credentials string, try func(account string) error) (cloud.Caller, error) {
	name, secret, ok := basic.Parse(credentials)
	sum := sha256.Sum256([]byte(secret))
	if !ok || subtle.ConstantTimeCompare(sum[:], s.secret[:]) != 1 {
		if err := try(""); err != nil {
			return cloud.Caller{}, err
		}
		return cloud.Caller{}, cloud.Unauthorized
	}
	u, err := s.user(ctx, name)
	return cloud.Caller{User: u, Proof: cloud.ByMachine}, err
}
