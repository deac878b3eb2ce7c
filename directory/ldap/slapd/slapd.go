// Package slapd runs a real OpenLDAP server for tests, over a folder of the
// test's: it fills it, kills it and starts it again. It is no fake.
package slapd

import (
	"bufio"
	"embed"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed *.schema
var schemas embed.FS

// What the directory is made of.
const (
	Suffix   = "dc=example,dc=org"
	Users    = "ou=users," + Suffix
	Groups   = "ou=groups," + Suffix
	Service  = "cn=service," + Suffix // may change all, and reads no more than a page at once
	Reader   = "cn=reader," + Suffix  // may read all but passwords
	Password = "a secret of the service"
)

// Config is how a server differs from the usual.
type Config struct {
	LDIF     string // entries below the suffix, beside Users, Groups and Service
	Overlays bool   // memberof and refint
	Settings string // more lines of slapd.conf, for the database
	Cert     string // files of a certificate and its key, PEM: speak TLS, too
	Key      string
}

// A Server is slapd on three addresses.
type Server struct {
	Socket string // ldapi://...
	URL    string // ldap://127.0.0.1:port
	TLS    string // ldaps://localhost:port, with a certificate

	binary, conf string
	cmd          *exec.Cmd
	exited       chan struct{}
}

// Start fills a server and starts it; it is stopped when the test ends.
// Without slapd the test is skipped, or fails when COMPAT_REQUIRE is set.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	binary := find(t, "slapd")
	dir, err := os.MkdirTemp("", "slapd-") // t.TempDir is too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{
		binary: binary, conf: filepath.Join(dir, "slapd.conf"),
		Socket: "ldapi://" + strings.ReplaceAll(filepath.Join(dir, "s"), "/", "%2F"),
		URL:    "ldap://" + free(t),
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.CopyFS(dir, schemas))
	must(os.Mkdir(filepath.Join(dir, "db"), 0o700))
	var tls, overlays string
	if c.Cert != "" {
		_, port, _ := net.SplitHostPort(free(t))
		s.TLS = "ldaps://localhost:" + port
		tls = "TLSCertificateFile " + c.Cert + "\nTLSCertificateKeyFile " + c.Key + "\n"
	}
	if c.Overlays {
		overlays = "overlay memberof\noverlay refint\nrefint_attributes member\nrefint_nothing cn=nobody," + Suffix + "\n"
	}
	must(os.WriteFile(s.conf, []byte(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
include `+dir+`/opencloud.schema
include `+dir+`/test.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload refint
pidfile `+dir+`/pid
`+tls+`sizelimit size.soft=500 size.hard=500 size.prtotal=unlimited
database mdb
suffix `+Suffix+`
rootdn cn=root,`+Suffix+`
directory `+dir+`/db
maxsize 268435456
dbnosync
index objectClass,uid,cn,sn,givenName,displayName,mail,member,memberUid,openCloudUUID eq
access to attrs=userPassword by dn.exact=`+Service+` write by anonymous auth by * none
access to * by dn.exact=`+Service+` write by dn.exact=`+Reader+` read by anonymous auth by * none
`+overlays+c.Settings+"\n"), 0o600))
	base := fmt.Sprintf(`dn: %[1]s
objectClass: domain
dc: example

dn: %[2]s
objectClass: organizationalUnit
ou: users

dn: %[3]s
objectClass: organizationalUnit
ou: groups

dn: %[4]s
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: service
userPassword: %[6]s

dn: %[5]s
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: %[6]s

`, Suffix, Users, Groups, Service, Reader, Password)
	add := exec.Command(binary, "-T", "add", "-q", "-f", s.conf)
	add.Stdin = strings.NewReader(base + c.LDIF)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("filling slapd: %v\n%s", err, out)
	}
	must(s.Up())
	t.Cleanup(s.Kill)
	return s
}

// find is a program that may be in a folder for administrators only.
func find(t testing.TB, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	const say = "slapd is not installed: apt-get install slapd"
	if os.Getenv("COMPAT_REQUIRE") != "" {
		t.Fatal(say)
	}
	t.Skip(say)
	return ""
}

// free is a loopback address on which nobody listens.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Up starts the process and returns when it says that it is ready.
func (s *Server) Up() error {
	urls := s.Socket + " " + s.URL + "/"
	if s.TLS != "" {
		urls += " " + s.TLS + "/"
	}
	s.cmd = exec.Command(s.binary, "-f", s.conf, "-h", urls, "-d", "none")
	out, err := s.cmd.StderrPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return err
	}
	var said strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		if strings.Contains(lines.Text(), "slapd starting") {
			s.exited = make(chan struct{})
			go func() {
				for lines.Scan() { // it must not stand still because nobody listens
				}
				s.cmd.Wait()
				close(s.exited)
			}()
			return s.listens()
		}
	}
	return fmt.Errorf("slapd did not start: %w\n%s", s.cmd.Wait(), &said)
}

// listens returns when all addresses can be connected to: slapd says that it
// starts a moment before it listens, and nothing afterwards.
func (s *Server) listens() error {
	path, _ := url.PathUnescape(strings.TrimPrefix(s.Socket, "ldapi://"))
	addrs := [][2]string{{"unix", path}, {"tcp", strings.TrimPrefix(s.URL, "ldap://")}}
	if s.TLS != "" {
		addrs = append(addrs, [2]string{"tcp", strings.TrimPrefix(s.TLS, "ldaps://")})
	}
	for _, a := range addrs {
		for {
			c, err := net.Dial(a[0], a[1])
			if err == nil {
				c.Close()
				break
			}
			select {
			case <-s.exited:
				return fmt.Errorf("slapd has ended: %w", err)
			default:
			}
		}
	}
	return nil
}

// Kill ends the process the hard way, as a crash would, and waits until it is gone.
func (s *Server) Kill() {
	if s.exited != nil {
		s.cmd.Process.Kill()
		<-s.exited
		s.exited = nil
	}
}
