package app

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/cloud"
	"opencloud/config"
)

// clientOf speaks exactly one protocol and believes every certificate.
func clientOf(t *testing.T, proto string) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP1(proto == "HTTP/1.1")
	p.SetHTTP2(proto == "HTTP/2.0")
	p.SetUnencryptedHTTP2(proto == "HTTP/2.0")
	tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func leaf(t *testing.T, c *certificates) *x509.Certificate {
	t.Helper()
	pair, err := c.current(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

func certs(t *testing.T, cfg *config.Config) *certificates {
	t.Helper()
	c, err := newCertificates(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOwnCertificate(t *testing.T) {
	cfg := settings(t, "OC_URL=https://cloud.example.org")
	synctest.Test(t, func(t *testing.T) {
		c := certs(t, cfg)
		first := leaf(t, c)
		for _, name := range []string{"cloud.example.org", "localhost", "127.0.0.1", "::1"} {
			if err := first.VerifyHostname(name); err != nil {
				t.Error(err)
			}
		}
		roots := x509.NewCertPool()
		roots.AddCert(first)
		if _, err := first.Verify(x509.VerifyOptions{Roots: roots, DNSName: "cloud.example.org"}); err != nil {
			t.Errorf("who trusts it cannot verify it: %v", err)
		}
		info, err := os.Stat(c.key)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key's file: %v, %v; want mode 0600", info.Mode(), err)
		}
		if again := leaf(t, certs(t, cfg)); !again.Equal(first) {
			t.Error("it is another one after a restart")
		}
		time.Sleep(ownLasts - renewBefore - time.Hour)
		if !leaf(t, c).Equal(first) {
			t.Error("renewed too early")
		}
		time.Sleep(2 * time.Hour)
		renewed := leaf(t, c)
		if renewed.Equal(first) || time.Until(renewed.NotAfter) < ownLasts-time.Hour {
			t.Errorf("not renewed: until %v", renewed.NotAfter)
		}
		if err := os.WriteFile(c.key, []byte("junk"), 0o600); err != nil {
			t.Fatal(err)
		}
		if leaf(t, certs(t, cfg)).Equal(renewed) {
			t.Error("a damaged pair was not made anew")
		}
		c.host = "other.example.org"
		time.Sleep(lookEvery)
		if err := leaf(t, c).VerifyHostname("other.example.org"); err != nil {
			t.Errorf("another address: %v", err)
		}
	})
}

func TestOperatorsCertificate(t *testing.T) {
	made := func(host string) (cert, key []byte) {
		c := certs(t, settings(t, "OC_URL=https://"+host))
		cert, _ = os.ReadFile(c.cert)
		key, _ = os.ReadFile(c.key)
		return cert, key
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "c"), filepath.Join(dir, "k")
	put := func(c, k []byte, age time.Duration) {
		os.WriteFile(cert, c, 0o600)
		os.WriteFile(key, k, 0o600)
		stamp := time.Now().Add(-age)
		os.Chtimes(cert, stamp, stamp)
	}
	c1, k1 := made("one.example.org")
	c2, k2 := made("two.example.org")
	cfg := settings(t, "PROXY_TRANSPORT_TLS_CERT="+cert, "PROXY_TRANSPORT_TLS_KEY="+key)
	if _, err := newCertificates(cfg, quiet); cloud.KindOf(err) != cloud.Invalid || !strings.Contains(cloud.Say(err), cert) {
		t.Errorf("missing files: %v", err)
	}
	put(c1, k2, 0)
	if _, err := newCertificates(cfg, quiet); cloud.KindOf(err) != cloud.Invalid {
		t.Errorf("a key that does not fit: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		put(c1, k1, time.Hour)
		c := certs(t, cfg)
		if err := leaf(t, c).VerifyHostname("one.example.org"); err != nil {
			t.Error(err)
		}
		put(c2, k2, time.Minute)
		time.Sleep(lookEvery)
		if err := leaf(t, c).VerifyHostname("two.example.org"); err != nil {
			t.Errorf("a renewed file is not taken up: %v", err)
		}
		put([]byte("junk"), k2, 0)
		time.Sleep(lookEvery)
		if err := leaf(t, c).VerifyHostname("two.example.org"); err != nil {
			t.Errorf("a damaged file takes the place of a good one: %v", err)
		}
	})
}
