package machine

import (
	"encoding/base64"
	"errors"
	"testing"

	"opencloud/cloud"
	"opencloud/directory/mem"
)

func TestVerify(t *testing.T) {
	const key, secret = "the key of all machines", "the secret of one of them"
	dir := mem.New(&cloud.User{ID: "a1", Name: "ada"}, &cloud.User{ID: "b1", Name: "bob", Disabled: true})
	schemes := map[string]*Scheme{"Machine": New(dir, key), "Service": NewService(Account{"indexer", secret})}
	for _, c := range []struct {
		scheme, name, secret string
		want                 cloud.UserID // empty: nobody
		tries                int
	}{
		{"Machine", "a1", key, "a1", 0},
		{"Machine", "ada", key, "", 0},
		{"Machine", "b1", key, "", 0},
		{"Machine", "c1", key, "", 0},
		{"Machine", "a1", key + "x", "", 1},
		{"Machine", "a1", "", "", 1},
		{"Machine", "", key, "", 1},
		{"Machine", "a1", secret, "", 1},
		{"Service", "indexer", secret, "service:indexer", 0},
		{"Service", "Indexer", secret, "", 0},
		{"Service", "a1", secret, "", 0},
		{"Service", "indexer", key, "", 1},
		{"Service", "indexer", "", "", 1},
	} {
		s, tries := schemes[c.scheme], 0
		got, err := s.Verify(t.Context(), base64.StdEncoding.EncodeToString([]byte(c.name+":"+c.secret)), func(string) error { tries++; return nil })
		if tries != c.tries || got.ID() != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, cloud.Unauthorized) {
			t.Errorf("%s %s:%s: %q, %v, %d tries; want %q, %d tries", c.scheme, c.name, c.secret, got.ID(), err, tries, c.want, c.tries)
		}
		if err == nil && (got.Proof != cloud.ByMachine || got.InPerson()) {
			t.Errorf("%s: %+v", c.scheme, got)
		}
		if s.Name() != c.scheme || s.Challenge() != "" {
			t.Errorf("%s is named %s and asks for %q", c.scheme, s.Name(), s.Challenge())
		}
	}
	if _, err := schemes["Machine"].Verify(t.Context(), "!", func(string) error { return cloud.Throttled }); !errors.Is(err, cloud.Throttled) {
		t.Errorf("too many tries: %v", err)
	}
}

func TestCheck(t *testing.T) {
	const long = "0123456789abcdef"
	for _, c := range []struct {
		o    Options
		want bool
	}{
		{Options{}, true},
		{Options{Key: long}, true},
		{Options{Key: long[1:]}, false},
		{Options{Schools: long}, true},
		{Options{Schools: long[1:]}, false},
		{Options{Service: Account{"x", long}}, true},
		{Options{Service: Account{"x", long[1:]}}, false},
		{Options{Service: Account{"x", ""}}, false},
		{Options{Service: Account{"", long}}, false},
	} {
		if err := c.o.Check(); (err == nil) != c.want || err != nil && cloud.Say(err) == "" {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
}

func TestToken(t *testing.T) {
	const secret = "the token of the schools"
	s := NewToken(secret)
	for raw, want := range map[string]bool{secret: true, "": false, "x": false, secret + " ": false, "The token of the schools": false} {
		c, err := s.Verify(t.Context(), raw, func(string) error { t.Error("a try"); return nil })
		if want && (err != nil || c.User.Role != cloud.RoleSchools || c.Proof != cloud.ByMachine || c.InPerson()) || !want && !errors.Is(err, cloud.Unauthorized) {
			t.Errorf("%q: got %+v, %v", raw, c, err)
		}
	}
	if s.Name() != "Bearer" || s.Challenge() != "" {
		t.Errorf("it is named %s and asks for %q", s.Name(), s.Challenge())
	}
}
