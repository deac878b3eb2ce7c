package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"opencloud/cloud"
	"opencloud/config"
)

// certificates hands out the certificate for a handshake. That of the
// operator is read again when its file changes; our own is made when there is
// none and made anew before it expires. Both are looked after at handshakes,
// so that nothing has to tick.
type certificates struct {
	cert, key string // files
	own       bool
	host      string // of the public address
	log       *slog.Logger

	mu      sync.Mutex
	now     *tls.Certificate
	mtime   time.Time
	checked time.Time
}

const (
	lookEvery   = time.Minute
	ownLasts    = 365 * 24 * time.Hour
	renewBefore = 30 * 24 * time.Hour
)

func newCertificates(cfg *config.Config, log *slog.Logger) (*certificates, error) {
	c := &certificates{cert: cfg.Proxy.Cert, key: cfg.Proxy.Key, host: cfg.Site().Hostname(), log: log}
	if c.cert == "" {
		c.own = true
		c.cert = filepath.Join(cfg.Data, "proxy", "server.crt")
		c.key = filepath.Join(cfg.Data, "proxy", "server.key")
	}
	if err := c.refresh(); err != nil {
		return nil, cloud.Refuse(cloud.Invalid, "The certificate cannot be used: %v.", err)
	}
	return c, nil
}

// current is tls.Config.GetCertificate.
func (c *certificates) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= lookEvery {
		if err := c.refresh(); err != nil {
			c.log.Error("the certificate cannot be renewed; the old one stays in use", "file", c.cert, "error", err)
			c.checked = now
		}
	}
	return c.now, nil
}

// refresh loads the files if they are new. The caller holds mu.
func (c *certificates) refresh() error {
	c.checked = time.Now()
	if c.own && !c.good() {
		if err := c.create(); err != nil {
			return err
		}
	}
	info, err := os.Stat(c.cert)
	if err != nil {
		return err
	}
	if c.now != nil && info.ModTime().Equal(c.mtime) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	c.now, c.mtime = &pair, info.ModTime()
	if !c.own && time.Now().After(pair.Leaf.NotAfter) {
		c.log.Warn("the certificate has expired", "file", c.cert, "expired", pair.Leaf.NotAfter)
	}
	return nil
}

// good tells whether our own certificate is there and will do for a while.
func (c *certificates) good() bool {
	leaf := (*x509.Certificate)(nil)
	if c.now != nil {
		leaf = c.now.Leaf
	} else if pair, err := tls.LoadX509KeyPair(c.cert, c.key); err == nil {
		leaf = pair.Leaf
	} else {
		if !errors.Is(err, fs.ErrNotExist) {
			c.log.Warn("the server's own certificate is damaged; it is made anew", "file", c.cert, "error", err)
		}
		return false
	}
	return time.Until(leaf.NotAfter) > renewBefore && leaf.VerifyHostname(c.host) == nil
}

// create makes a self-signed certificate for all names that lead here.
func (c *certificates) create() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"OpenCloud"}, CommonName: c.host},
		NotBefore:    now.Add(-time.Hour), // clocks differ
		NotAfter:     now.Add(ownLasts),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},

		BasicConstraintsValid: true,
	}
	if ip := net.ParseIP(c.host); ip != nil {
		t.IPAddresses = append(t.IPAddresses, ip)
	} else if c.host != "localhost" {
		t.DNSNames = append(t.DNSNames, c.host)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.cert), 0o700); err != nil {
		return err
	}
	// A crash between the two leaves a pair that does not fit: made anew.
	if err := replace(c.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})); err != nil {
		return err
	}
	if err := replace(c.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})); err != nil {
		return err
	}
	c.mtime = time.Time{}
	c.log.Info("made a self-signed certificate", "file", c.cert, "names", t.DNSNames, "expires", t.NotAfter)
	return nil
}

// replace writes a file in one step.
func replace(name string, body []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return os.Rename(f.Name(), name)
}
