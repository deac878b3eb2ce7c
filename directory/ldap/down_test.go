package ldap

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"opencloud/cloud"
	"opencloud/directory/ldap/slapd"
)

// everything is each call that asks the directory.
func everything(ctx context.Context, d *Directory) map[string]func() error {
	return map[string]func() error{
		"User":   func() error { _, err := d.User(ctx, "id", uuid(1)); return err },
		"Verify": func() error { _, err := d.Verify(ctx, "ada", "pw"); return err },
		"Users": func() (err error) {
			for _, err = range d.Users(ctx, "") {
			}
			return err
		},
		"Group": func() error { _, err := d.Group(ctx, "id", uuid(2)); return err },
		"Groups": func() (err error) {
			for _, err = range d.Groups(ctx, "") {
			}
			return err
		},
		"Members": func() (err error) {
			for _, err = range d.Members(ctx, cloud.GroupID(uuid(2))) {
			}
			return err
		},
		"SetUser": func() error {
			_, err := d.SetUser(ctx, &cloud.User{ID: cloud.UserID(uuid(1)), Name: "ada", Role: cloud.RoleUser}, "")
			return err
		},
		"Join": func() error { return d.Join(ctx, cloud.GroupID(uuid(2)), cloud.UserID(uuid(1))) },
		"SetGroup": func() error {
			_, err := d.SetGroup(ctx, &cloud.Group{ID: cloud.GroupID(uuid(2)), Name: "crew"})
			return err
		},
	}
}

// The directory goes away and comes back while people work.
func TestDown(t *testing.T) {
	var log bytes.Buffer
	s := slapd.Start(t, slapd.Config{LDIF: personLDIF(1, "ada") + groupLDIF(2, "crew", dn("ada"))})
	opts := defaults(s)
	opts.CacheTTL, opts.Remember, opts.Retry, opts.Log = 0, 0, 0, slog.New(slog.NewTextHandler(&log, nil))
	d := open(t, opts)
	ctx := t.Context()
	for range 3 {
		for what, ask := range everything(ctx, d) {
			if err := ask(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		s.Kill()
		for what, ask := range everything(ctx, d) {
			wantKind(t, what+" while it is down", ask(), cloud.Unavailable)
		}
		if err := s.Up(); err != nil {
			t.Fatal(err)
		}
	}
	for what, ask := range everything(ctx, d) {
		if err := ask(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for text, want := range map[string]int{"does not answer": 3, "answers again": 3, slapd.Password: 0} {
		if got := strings.Count(log.String(), text); got != want {
			t.Errorf("the log has %q %d times, want %d:\n%s", text, got, want, &log)
		}
	}
}

// Somebody who asks for something while others do gets an answer whatever
// happens to the server.
func TestDownInTheMiddle(t *testing.T) {
	s := slapd.Start(t, slapd.Config{LDIF: personLDIF(1, "ada") + groupLDIF(2, "crew", dn("ada"))})
	opts := defaults(s)
	opts.CacheTTL, opts.Remember, opts.Retry = 0, 0, 0
	d := open(t, opts)
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				for what, ask := range everything(t.Context(), d) {
					if err := ask(); err != nil && cloud.KindOf(err) != cloud.Unavailable {
						t.Errorf("%s: %v", what, err)
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 3 {
		s.Kill()
		if err := s.Up(); err != nil {
			t.Fatal(err)
		}
		mustUser(t, open(t, opts), "name", "ada")
	}
	close(done)
	wg.Wait()
	if _, err := d.User(t.Context(), "name", "ada"); err != nil {
		t.Errorf("in the end: %v", err)
	}
}

// A server that takes connections and says nothing.
func TestSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var connected atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connected.Add(1)
			defer c.Close()
		}
	}()
	real := slapd.Start(t, slapd.Config{LDIF: personLDIF(1, "ada")})
	silent := "ldap://" + l.Addr().String()
	for name, uri := range map[string]string{"bind": silent, "TLS": "ldaps://" + l.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			opts := defaults(real)
			opts.URI, opts.Timeout, opts.Retry = []string{uri}, 50*time.Millisecond, 0
			d := open(t, opts)
			for what, ask := range everything(t.Context(), d) {
				start := time.Now()
				wantKind(t, what, ask(), cloud.Unavailable)
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("%s took %v", what, took)
				}
			}
			// When it is known, nobody waits.
			opts.Retry = time.Hour
			d = open(t, opts)
			wantKind(t, "the one who finds out", everything(t.Context(), d)["User"](), cloud.Unavailable)
			before := connected.Load()
			for what, ask := range everything(t.Context(), d) {
				wantKind(t, what, ask(), cloud.Unavailable)
			}
			if got := connected.Load() - before; got > 0 {
				t.Errorf("%d tried again", got)
			}
		})
	}
	t.Run("asks nobody who has gone", func(t *testing.T) {
		opts := defaults(real)
		opts.URI, opts.Timeout = []string{silent}, time.Hour
		d := open(t, opts)
		for range 2 { // the second is not told that the directory is down
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			if _, err := d.User(ctx, "name", "ada"); cloud.KindOf(err) != cloud.Other || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want that the context is done", err)
			}
		}
	})
	t.Run("another answers", func(t *testing.T) {
		opts := defaults(real)
		opts.URI, opts.Timeout = []string{silent, real.Socket}, time.Second
		mustUser(t, open(t, opts), "name", "ada")
	})
}

func TestWrongPasswordOfTheServer(t *testing.T) {
	var log bytes.Buffer
	opts := defaults(slapd.Start(t, slapd.Config{LDIF: personLDIF(1, "ada")}))
	opts.BindPassword, opts.Log = "not the secret", slog.New(slog.NewTextHandler(&log, nil))
	d := open(t, opts)
	_, err := d.User(t.Context(), "name", "ada")
	wantKind(t, "User", err, cloud.Unavailable)
	if !strings.Contains(log.String(), "OC_LDAP_BIND_DN") || strings.Contains(log.String(), opts.BindPassword) {
		t.Errorf("the log: %s", &log)
	}
}

// A base that is not there is a mistake of the administrator, and not an
// empty directory.
func TestNoBase(t *testing.T) {
	opts := defaults(slapd.Start(t, slapd.Config{}))
	opts.UserBase = "ou=nowhere," + slapd.Suffix
	d := open(t, opts)
	_, err := d.User(t.Context(), "name", "ada")
	wantKind(t, "User", err, cloud.Unavailable)
	wantKind(t, "Users", everything(t.Context(), d)["Users"](), cloud.Unavailable)
}

// certificate makes one for localhost, which vouches for itself.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, secret.Public(), secret)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", raw)
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	other, _ := certificate(t)
	s := slapd.Start(t, slapd.Config{LDIF: personLDIF(1, "ada"), Cert: cert, Key: key, Settings: "security tls=1"})
	for _, c := range []struct {
		what, uri, ca   string
		start, insecure bool
		works           bool
	}{
		{"LDAPS", s.TLS, cert, false, false, true},
		{"StartTLS", s.URL, cert, true, false, true},
		{"both", s.TLS, cert, true, false, true},
		{"LDAPS, another authority", s.TLS, other, false, false, false},
		{"StartTLS, another authority", s.URL, other, true, false, false},
		{"LDAPS, those of the system", s.TLS, "", false, false, false},
		{"StartTLS, those of the system", s.URL, "", true, false, false},
		{"LDAPS, any", s.TLS, "", false, true, true},
		{"StartTLS, any", s.URL, "", true, true, true},
		{"in the clear", s.URL, cert, false, false, false},
	} {
		opts := defaults(s)
		opts.URI, opts.CACert, opts.StartTLS, opts.Insecure = []string{c.uri}, c.ca, c.start, c.insecure
		d := open(t, opts)
		_, err := d.User(t.Context(), "name", "ada")
		if c.works && err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if c.works {
			if _, err := d.Verify(t.Context(), "ada", "pw"); err != nil {
				t.Errorf("%s: Verify: %v", c.what, err)
			}
		} else {
			wantKind(t, c.what, err, cloud.Unavailable)
		}
	}
}
