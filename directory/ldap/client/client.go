// Package client talks to an LDAP server (RFC 4511) for others who know what
// to ask: it keeps connections, finds a server that answers, pages through
// listings, and fails at once while nothing answers. It does not know what a
// user or a group is.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	lib "github.com/go-ldap/ldap/v3"

	"opencloud/cloud"
)

// Options say where the directory is.
type Options struct {
	URI          []string // the first that answers is taken
	CACert       string   // a file; empty: those of the system
	Insecure     bool     // any certificate
	StartTLS     bool     // on ldap:// addresses
	BindDN       string   // empty: anonymous
	BindPassword string
	Timeout      time.Duration // of a request
	Retry        time.Duration // how long nobody asks a directory that did not answer
	Connections  int           // for each of three purposes: to look up, to list, to check passwords
	Page         int           // entries in one answer of a listing
	Log          *slog.Logger
}

// A Client asks a directory. Its errors are Unavailable while there is no
// answer, NotSupported for what the directory refuses to do, and Invalid for
// what it refuses to take.
type Client struct {
	opts                      Options
	servers                   []server
	health                    *health
	lookups, listings, checks *pool
	ambiguous                 sync.Once // told of
}

// New does not wait for the directory. Invalid for options that cannot be.
func New(opts Options) (*Client, error) {
	servers, err := opts.servers()
	if err != nil {
		return nil, err
	}
	c := &Client{opts: opts, servers: servers, health: &health{log: opts.Log, timeout: opts.Timeout, every: opts.Retry}}
	for _, p := range []**pool{&c.lookups, &c.listings, &c.checks} {
		*p = newPool(opts.Connections, c.health, c.dial)
	}
	for _, s := range servers {
		if s.clear() {
			opts.Log.Warn("passwords travel to the directory of users unencrypted; use ldaps or OC_LDAP_STARTTLS", "uri", s.uri)
		}
	}
	return c, nil
}

// Close lets go of the connections that nobody uses.
func (c *Client) Close() {
	for _, p := range []*pool{c.lookups, c.listings, c.checks} {
		p.drop()
	}
}

// A server is an address of the directory.
type server struct {
	uri           string
	network, addr string
	tls           *tls.Config // nil: in the clear
	start         bool        // TLS comes after StartTLS
}

// servers reads the addresses, and the certificate authority.
func (o *Options) servers() ([]server, error) {
	var roots *x509.CertPool
	if o.CACert != "" {
		pem, err := os.ReadFile(o.CACert)
		if err != nil {
			return nil, cloud.Refuse(cloud.Invalid, "OC_LDAP_CACERT cannot be read: %v.", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(pem) {
			return nil, cloud.Refuse(cloud.Invalid, "OC_LDAP_CACERT: there is no certificate in %s.", o.CACert)
		}
	}
	var all []server
	for _, uri := range o.URI {
		if path, ok := strings.CutPrefix(uri, "ldapi://"); ok {
			path, err := url.PathUnescape(path)
			if err != nil || path == "" {
				return nil, cloud.Refuse(cloud.Invalid, "OC_LDAP_URI: %q is no address of a socket.", uri)
			}
			all = append(all, server{uri: uri, network: "unix", addr: path})
			continue
		}
		u, err := url.Parse(uri)
		if err != nil || u.Hostname() == "" || u.Scheme != "ldap" && u.Scheme != "ldaps" {
			return nil, cloud.Refuse(cloud.Invalid, "OC_LDAP_URI: %q is no address such as ldaps://directory.example.org.", uri)
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"ldap": lib.DefaultLdapPort, "ldaps": lib.DefaultLdapsPort}[u.Scheme]
		}
		s := server{uri: uri, network: "tcp", addr: net.JoinHostPort(u.Hostname(), port), start: u.Scheme == "ldap"}
		if u.Scheme == "ldaps" || o.StartTLS {
			s.tls = &tls.Config{ServerName: u.Hostname(), RootCAs: roots, InsecureSkipVerify: o.Insecure, MinVersion: tls.VersionTLS12}
		}
		all = append(all, s)
	}
	return all, nil
}

// clear tells whether passwords travel over a network unencrypted.
func (s *server) clear() bool {
	host, _, _ := net.SplitHostPort(s.addr)
	ip := net.ParseIP(host)
	return s.tls == nil && s.network == "tcp" && host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// dial opens a connection to the first server that answers, and signs in.
func (c *Client) dial(ctx context.Context) (*link, error) {
	var errs []error
	for _, s := range c.servers {
		// One that is silent must not take the time of the others.
		ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout/time.Duration(len(c.servers)))
		l, err := s.connect(ctx)
		if err == nil && c.opts.BindDN != "" {
			if err = l.ask(ctx, func() error { return l.Bind(c.opts.BindDN, c.opts.BindPassword) }); err != nil {
				l.cut()
				err = fmt.Errorf("signing in as OC_LDAP_BIND_DN: %w", err)
			}
		}
		cancel()
		if err == nil {
			return l, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", s.uri, err))
	}
	if gone(ctx) {
		c.health.undecided()
		return nil, ctx.Err()
	}
	return nil, c.health.failed(errors.Join(errs...))
}

func (s *server) connect(ctx context.Context) (*link, error) {
	raw, err := new(net.Dialer).DialContext(ctx, s.network, s.addr)
	if err != nil {
		return nil, err
	}
	if s.tls != nil && !s.start {
		secure := tls.Client(raw, s.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, err
		}
		raw = secure
	}
	l := &link{Conn: lib.NewConn(raw, s.tls != nil && !s.start), raw: raw}
	l.Start()
	if s.tls != nil && s.start {
		if err := l.ask(ctx, func() error { return l.StartTLS(s.tls) }); err != nil {
			l.cut()
			return nil, err
		}
	}
	return l, nil
}
