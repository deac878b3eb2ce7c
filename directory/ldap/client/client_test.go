package client

import (
	"log/slog"
	"testing"
	"time"

	"opencloud/cloud"
	"opencloud/directory/ldap/slapd"
)

// The connections have their bound, and who waits too long for one is told so.
func TestBusy(t *testing.T) {
	s := slapd.Start(t, slapd.Config{})
	c, err := New(Options{
		URI: []string{s.Socket}, BindDN: slapd.Service, BindPassword: slapd.Password,
		Timeout: 50 * time.Millisecond, Retry: time.Hour, Connections: 1, Page: 500, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	q := Query{Base: slapd.Users, Scope: "base", Filter: "(objectClass=*)"}
	l, _, err := c.lookups.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e, err := c.One(t.Context(), q); cloud.KindOf(err) != cloud.Unavailable {
		t.Errorf("beside one who has all connections: got %v, %v, want Unavailable", e, err)
	}
	c.lookups.give(l, true)
	c.opts.Timeout = 5 * time.Second
	if e, err := c.One(t.Context(), q); err != nil || e == nil {
		t.Errorf("after that: got %v, %v", e, err)
	}
	if got := len(c.lookups.free); got != 1 {
		t.Errorf("connections at rest: got %d, want 1", got)
	}
}

func TestClear(t *testing.T) {
	for uri, want := range map[string]bool{
		"ldap://directory.example.org": true, "ldap://192.0.2.1": true, "ldap://localhost": false, "ldap://127.0.0.1:3890": false, "ldap://[::1]": false,
		"ldaps://directory.example.org": false, "ldapi://%2Frun%2Fslapd": false,
	} {
		o := Options{URI: []string{uri}}
		all, err := o.servers()
		if err != nil || all[0].clear() != want {
			t.Errorf("%s: got %+v, %v, want in the clear %v", uri, all, err, want)
		}
		o.StartTLS = true
		if all, err := o.servers(); err != nil || all[0].clear() {
			t.Errorf("%s with StartTLS: got %+v, %v", uri, all, err)
		}
	}
}
