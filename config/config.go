// Package config is the sum of all Options: it fills them from their
// defaults, from opencloud.yaml and from the environment, and says where each
// value came from. It does not act on any of them, and nothing else in the
// system reads the environment.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"opencloud/api/archiver"
	"opencloud/api/dav"
	"opencloud/api/graph"
	"opencloud/api/ocs"
	"opencloud/api/sse"
	"opencloud/api/tus"
	"opencloud/api/webfinger"
	"opencloud/auth"
	"opencloud/auth/apptoken"
	"opencloud/auth/idp"
	"opencloud/auth/machine"
	"opencloud/auth/oidc"
	"opencloud/auth/signed"
	"opencloud/cloud"
	"opencloud/core"
	"opencloud/directory/builtin"
	"opencloud/directory/ldap"
	"opencloud/storage/posix"
)

// Config is all that can be configured. Load makes one.
//
//go:generate sh -c "go run ../cmd/opencloud config --docs > config.md.new && mv config.md.new ../docs/config.md"
type Config struct {
	URL      string        `yaml:"url" env:"OC_URL" default:"https://localhost:9200" doc:"Address by which clients reach the server, with a base path if it has one."`
	Data     string        `yaml:"data" env:"OC_BASE_DATA_PATH" default:"$HOME/.opencloud" doc:"Folder of everything that the server keeps; /var/lib/opencloud when there is no home."`
	Insecure bool          `yaml:"insecure" env:"OC_INSECURE" default:"false" doc:"Accept certificates that cannot be verified, of services that the server talks to."`
	Run      []string      `yaml:"run_services" env:"OC_RUN_SERVICES;OC_RUN_EXTENSIONS" default:"" doc:"Services to run; empty is all."`
	Exclude  []string      `yaml:"exclude_services" env:"OC_EXCLUDE_RUN_SERVICES" default:"" doc:"Services not to run."`
	Add      []string      `yaml:"add_services" env:"OC_ADD_RUN_SERVICES" default:"" doc:"Services to run besides those that run by default."`
	Shutdown time.Duration `yaml:"shutdown_timeout" env:"OC_SHUTDOWN_TIMEOUT" default:"30s" doc:"How long requests may go on after the server was asked to stop."`

	Notify string `yaml:"notify_socket" env:"NOTIFY_SOCKET" default:"" doc:"Socket of the service manager, which is told when the server is ready (sd_notify); systemd sets it."`

	Log       Log          `yaml:"log"`
	Proxy     Proxy        `yaml:"proxy"`
	Debug     Debug        `yaml:"debug"`
	Auth      auth.Options `yaml:"auth"`
	AppTokens AppTokens    `yaml:"auth_app"`
	Signed    Signed
	Machine   machine.Options
	IDP       IDP                   `yaml:"idp"`
	OIDC      OIDC                  `yaml:"oidc"`
	IDM       IDM                   `yaml:"idm"`
	LDAP      ldap.Options          `yaml:"ldap"`
	Storage   posix.Options         `yaml:"storage_users" defaults:"root=$OC_BASE_DATA_PATH/storage/users"`
	Core      core.Options          `yaml:"spaces"`
	DAV       dav.Options           `yaml:"ocdav"`
	Archiver  archiver.Options      `yaml:"archiver"`
	Uploads   tus.Options           `yaml:"uploads"`
	People    core.PeopleOptions    `yaml:"people"`
	Education core.EducationOptions `yaml:"education"`
	Graph     graph.Options         `yaml:"graph"`
	OCS       ocs.Options           `yaml:"ocs"`
	SSE       sse.Options           `yaml:"sse"`
	Webfinger webfinger.Options     `yaml:"webfinger"`

	dir     string
	sources map[string]string // by key, of what is not a default
	inFile  map[string]bool   // by key
	unknown []string          // variables that look like ours
}

// Log says what is logged, and how. It goes to stderr, or to a file.
type Log struct {
	Level  string `yaml:"level" env:"OC_LOG_LEVEL;PROXY_LOG_LEVEL" default:"info" doc:"Least level that is logged: debug, info, warn or error; requests are logged at info."`
	Pretty bool   `yaml:"pretty" env:"OC_LOG_PRETTY" default:"false" doc:"Log lines for people instead of JSON."`
	Color  bool   `yaml:"color" env:"OC_LOG_COLOR" default:"false" doc:"Colour the level of pretty lines."`
	File   string `yaml:"file" env:"OC_LOG_FILE" default:"" doc:"File to append the log to; empty is stderr."`
}

// Proxy is the front: what clients connect to.
type Proxy struct {
	Addr    string        `yaml:"addr" env:"PROXY_HTTP_ADDR" default:"0.0.0.0:9200" doc:"Address to listen on."`
	TLS     bool          `yaml:"tls" env:"PROXY_TLS" default:"true" doc:"Speak HTTPS; false is for a reverse proxy in front that does."`
	Cert    string        `yaml:"tls_cert" env:"PROXY_TRANSPORT_TLS_CERT" default:"" doc:"File of the certificate with its chain, PEM; empty is a self-signed one. A renewed file is taken up by itself."`
	Key     string        `yaml:"tls_key" env:"PROXY_TRANSPORT_TLS_KEY" default:"" doc:"File of the certificate's key, PEM."`
	Trusted []string      `yaml:"trusted_proxies" env:"PROXY_TRUSTED_PROXIES" default:"" doc:"Addresses or networks of reverse proxies whose X-Forwarded-For is believed."`
	Stall   time.Duration `yaml:"stall_timeout" env:"PROXY_STALL_TIMEOUT" default:"2m" doc:"How long a transfer may stand still before it is cut."`
}

// Debug is the server for operators.
type Debug struct {
	Addr  string `yaml:"addr" env:"PROXY_DEBUG_ADDR" default:"127.0.0.1:9205" doc:"Address of /healthz, /readyz and /metrics; empty is none."`
	Token string `yaml:"token" env:"PROXY_DEBUG_TOKEN" default:"" secret:"true" doc:"Bearer token that /metrics and /debug/pprof ask for; empty is none."`
	PProf bool   `yaml:"pprof" env:"PROXY_DEBUG_PPROF" default:"false" doc:"Serve /debug/pprof, too."`
}

// IDP is where people sign in.
type IDP struct {
	Path string `yaml:"path" env:"IDP_PATH" default:"$OC_BASE_DATA_PATH/storage/system/idp" doc:"Folder of the signing keys and of who is signed in."`

	idp.Options
}

// OIDC is where people sign in when that is not here: see ExternalIssuer.
type OIDC struct {
	Path string `yaml:"path" env:"OC_OIDC_PATH" default:"$OC_BASE_DATA_PATH/storage/system/oidc" doc:"Folder that says which account belongs to whom at the issuer."`

	oidc.Options
}

// AppTokens are the passwords that people make for their programs.
type AppTokens struct {
	Path string `yaml:"path" env:"AUTH_APP_PATH" default:"$OC_BASE_DATA_PATH/storage/system/app-tokens" doc:"Folder of the app tokens."`

	apptoken.Options
	core.AppTokenOptions
}

// Signed are addresses that are signed.
type Signed struct {
	Path string `yaml:"url_signing_path" env:"OC_URL_SIGNING_PATH" default:"$OC_BASE_DATA_PATH/storage/system/signed" doc:"Folder of the keys that addresses are signed with."`

	signed.Options
}

// IDM is where the users are.
type IDM struct {
	Backend  string `yaml:"backend" env:"GRAPH_IDENTITY_BACKEND" default:"builtin" doc:"Directory of the users: builtin, or ldap for one that an LDAP server keeps."`
	Path     string `yaml:"path" env:"IDM_PATH" default:"$OC_BASE_DATA_PATH/storage/system" doc:"Folder of the users, or of what an LDAP server does not keep of them."`
	Password string `yaml:"admin_password" env:"IDM_ADMIN_PASSWORD" default:"" secret:"true" doc:"Password that the user admin gets at the first start; empty is a random one, which is printed once."`
	Demo     bool   `yaml:"create_demo_users" env:"IDM_CREATE_DEMO_USERS" default:"false" doc:"Make the users alan, dennis, lynn, margaret and mary with the password demo at the first start. Never where others can reach the server."`

	builtin.Options
}

// File is the name of the file in the config folder.
const File = "opencloud.yaml"

// A Source is where a Config comes from.
type Source struct {
	Env []string // as os.Environ has it
	Dir string   // of opencloud.yaml; empty: as the environment says
}

// System is the Source of a process: its environment.
func System() Source { return Source{Env: os.Environ()} }

// look is the value of a variable; one that is empty is as good as not set.
func (s Source) look(name string) string {
	for _, e := range slices.Backward(s.Env) {
		if rest, ok := strings.CutPrefix(e, name); ok && strings.HasPrefix(rest, "=") {
			return rest[1:]
		}
	}
	return ""
}

func (s Source) dir() string {
	switch home := s.look("HOME"); {
	case s.Dir != "":
		return s.Dir
	case s.look("OC_CONFIG_DIR") != "":
		return s.look("OC_CONFIG_DIR")
	case home != "":
		return filepath.Join(home, ".opencloud", "config")
	}
	return "/etc/opencloud"
}

// Path is that of opencloud.yaml, which need not exist.
func (s Source) Path() string { return filepath.Join(s.dir(), File) }

// Load fills a Config: defaults, then opencloud.yaml, which need not exist,
// then the environment. Its errors are sentences that say where to look.
func Load(src Source) (*Config, error) {
	c := &Config{dir: src.dir(), sources: map[string]string{}, inFile: map[string]bool{}}
	all := fieldsOf(c)
	home := src.look("HOME")
	for _, f := range all {
		text := f.Default
		if rest, ok := strings.CutPrefix(text, "$HOME"); ok {
			if text = home + rest; home == "" {
				text = "/var/lib/opencloud"
			}
		}
		if err := f.set(text); err != nil {
			return nil, fmt.Errorf("default of %s: %w", f.Key, err)
		}
	}
	if err := c.readFile(all, src); err != nil {
		return nil, err
	}
	for _, f := range all {
		for _, name := range f.Env {
			text := src.look(name)
			if text == "" {
				continue
			}
			if err := f.set(text); err != nil {
				return nil, cloud.Refuse(cloud.Invalid, "The variable %s is not valid: %v.", name, err)
			}
			c.sources[f.Key] = name
			break
		}
	}
	for _, f := range all {
		if rest, ok := strings.CutPrefix(f.Default, "$OC_BASE_DATA_PATH"); ok && c.sources[f.Key] == "" {
			if err := f.set(c.Data + rest); err != nil {
				return nil, fmt.Errorf("default of %s: %w", f.Key, err)
			}
		}
	}
	c.unknown = strangers(all, src.Env)
	return c, c.check()
}

func (c *Config) readFile(all []*field, src Source) error {
	name := filepath.Join(c.dir, File)
	body, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return cloud.Refuse(cloud.Invalid, "The configuration cannot be read: %v.", err)
	}
	return c.readYAML(all, name, body, src.look)
}

// Dir is the folder of opencloud.yaml.
func (c *Config) Dir() string { return c.dir }

// Path is that of opencloud.yaml.
func (c *Config) Path() string { return filepath.Join(c.dir, File) }

// InFile tells whether opencloud.yaml sets the key.
func (c *Config) InFile(key string) bool { return c.inFile[key] }

// Unknown are the variables of the environment that begin with OC_ and mean
// nothing here: spelled wrongly, perhaps.
func (c *Config) Unknown() []string { return c.unknown }

// Site is URL, parsed.
func (c *Config) Site() *url.URL {
	u, _ := parseSite(c.URL) // Load has checked it
	return u
}

// ExternalIssuer is the OpenID Connect provider that signs people in, as it
// calls itself; empty when that is this server.
func (c *Config) ExternalIssuer() string {
	if strings.TrimRight(c.OIDC.Issuer, "/") == strings.TrimRight(c.URL, "/") {
		return ""
	}
	return c.OIDC.Issuer
}

func parseSite(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(s, "/"))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, cloud.Refuse(cloud.Invalid, "The address %q (OC_URL) is not valid: it looks like https://cloud.example.org or https://example.org/cloud.", s)
	}
	return u, nil
}

// check says what cannot work, before anything is started.
func (c *Config) check() error {
	if _, err := parseSite(c.URL); err != nil {
		return err
	}
	if !filepath.IsAbs(c.Data) {
		return cloud.Refuse(cloud.Invalid, "The data folder %q (OC_BASE_DATA_PATH) must be an absolute path.", c.Data)
	}
	if err := c.Machine.Check(); err != nil {
		return err
	}
	if (c.Proxy.Cert == "") != (c.Proxy.Key == "") {
		return cloud.Refuse(cloud.Invalid, "A certificate needs both files: set PROXY_TRANSPORT_TLS_CERT and PROXY_TRANSPORT_TLS_KEY, or neither.")
	}
	if c.IDM.Backend != "builtin" && c.IDM.Backend != "ldap" {
		return cloud.Refuse(cloud.Invalid, "The directory of users %q (GRAPH_IDENTITY_BACKEND) is not one of builtin and ldap.", c.IDM.Backend)
	}
	switch c.Log.Level {
	case "debug", "info", "warn", "error":
	default:
		return cloud.Refuse(cloud.Invalid, "The log level %q (OC_LOG_LEVEL) is not one of debug, info, warn and error.", c.Log.Level)
	}
	return nil
}

// strangers are variables named like ours that no field has.
func strangers(all []*field, env []string) []string {
	known := map[string]bool{"OC_CONFIG_DIR": true}
	for _, f := range all {
		for _, name := range f.Env {
			known[name] = true
		}
	}
	var out []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "OC_") && !known[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
