package ldap

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"context"

	ber "github.com/go-asn1-ber/asn1-ber"
	lib "github.com/go-ldap/ldap/v3"
	"pgregory.net/rapid"

	"opencloud/cloud"
	"opencloud/directory/ldap/slapd"
)

// leaf is the value in a filter of one comparison, "" and false if it is more
// than that.
func leaf(p *ber.Packet, tag ber.Tag) (value string, ok bool) {
	if p.Tag != tag || len(p.Children) != 2 || p.Children[0].Data.String() != "uid" {
		return "", false
	}
	v := p.Children[1]
	if tag == lib.FilterSubstrings {
		if len(v.Children) != 1 {
			return "", false
		}
		v = v.Children[0]
	}
	return v.Data.String(), true
}

// Whatever somebody looks for, the filter compares with that and does nothing
// else, and the DN names that and nothing else.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"ada", "*", "*)(uid=*", "\x00", "\xff", `\2a`, `\`, "#", " ", "a,b", "a+b=c", "é", "\u2028", "a ", " a", `"`, "<>;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for filter, tag := range map[string]ber.Tag{
			equal("uid", s): lib.FilterEqualityMatch, octets("uid", []byte(s)): lib.FilterEqualityMatch,
			part("uid", s, "any"): lib.FilterSubstrings, part("uid", s, "initial"): lib.FilterSubstrings, part("uid", s, "final"): lib.FilterSubstrings,
		} {
			if s == "" {
				continue
			}
			p, err := lib.CompileFilter(and("(objectClass=person)", filter))
			if err != nil || len(p.Children) != 2 {
				t.Fatalf("filter %q of %q: %v", filter, s, err)
			}
			if got, ok := leaf(p.Children[1], tag); !ok || got != s {
				t.Errorf("filter %q compares with %q (%v), want %q", filter, got, ok, s)
			}
		}
		if !utf8.ValidString(s) || s == "" {
			return // no such DN is built: see fits
		}
		whole := rdn("uid", s) + "," + slapd.Users
		got, ok := first(whole, "UID")
		d, err := lib.ParseDN(whole)
		if err != nil || !ok || got != s || len(d.RDNs) != 4 {
			t.Errorf("DN %q names %q (%v, %v), want %q", whole, got, ok, err, s)
			return
		}
		if !within(whole, slapd.Users, "one") || key(whole) != key(d.String()) {
			t.Errorf("DN %q is not the one below %s that it is", whole, slapd.Users)
		}
		_, again, err := renamed(whole, "uid", s)
		if err != nil || key(again) != key(whole) {
			t.Errorf("DN %q with the name that it has: got %q, %v", whole, again, err)
		}
	})
}

func TestKey(t *testing.T) {
	for _, same := range [][]string{
		{"uid=ada,dc=x", "UID=Ada, DC=X", "uid=\\61da,dc=x", "uid = ada , dc=x"},
		{"cn=É+uid=a,dc=x", "uid=A+CN=é,DC=x"},
		{`cn=a\,b,dc=x`, `cn=a\2cb,dc=x`},
		{"cn=a,cn=b,dc=x"}, {"cn=a+cn=b,dc=x"}, {"cn=ab,dc=x"}, {"", " "}, {"no dn", "No DN"},
	} {
		for _, other := range same[1:] {
			if key(same[0]) != key(other) {
				t.Errorf("key of %q is %q, of %q it is %q", same[0], key(same[0]), other, key(other))
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]rune(`aAb,+=\ "<;#é1:`))
		draw := func(name string) (string, string) {
			return rapid.StringOfN(letters, 1, 4, -1).Draw(t, name), rapid.StringOfN(letters, 1, 4, -1).Draw(t, name+"'")
		}
		a1, a2 := draw("a")
		b1, b2 := draw("b")
		one, other := rdn("cn", a1)+","+rdn("cn", a2), rdn("cn", b1)+","+rdn("cn", b2)
		if got, want := key(one) == key(other), strings.EqualFold(a1, b1) && strings.EqualFold(a2, b2); got != want {
			t.Fatalf("%q and %q are one: got %v, want %v", one, other, got, want)
		}
	})
}

func TestIdentifier(t *testing.T) {
	raw := []byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	for i, want := range map[identifier]string{
		{"objectGUID", true}: "00112233-4455-6677-8899-aabbccddeeff",
		{"objectguid", true}: "00112233-4455-6677-8899-aabbccddeeff",
		{"GUID", true}:       "33221100-5544-7766-8899-aabbccddeeff",
	} {
		if got := i.text(raw); got != want {
			t.Errorf("%v: got %s, want %s", i, got, want)
		}
		if got, ok := i.raw(want); !ok || string(got) != string(raw) {
			t.Errorf("%v: the bytes of %s: got %x, %v", i, want, got, ok)
		}
		if got, ok := i.raw(i.text(raw[:5])); !ok || string(got) != string(raw[:5]) {
			t.Errorf("%v: five bytes there and back: got %x, %v", i, got, ok)
		}
		for _, bad := range []string{"", "x", "3", "AA", "*", "00112233-4455-6677-8899-AABBCCDDEEFF"} {
			if got, ok := i.raw(bad); ok {
				t.Errorf("%v: %q is the id of %x", i, bad, got)
			}
		}
	}
}

func TestOptions(t *testing.T) {
	good := func() Options {
		return defaults(&slapd.Server{Socket: "ldapi://%2Fnowhere"})
	}
	for what, change := range map[string]func(*Options){
		"no address":         func(o *Options) { o.URI = nil },
		"another scheme":     func(o *Options) { o.URI = []string{"http://x"} },
		"no host":            func(o *Options) { o.URI = []string{"ldaps://"} },
		"no socket":          func(o *Options) { o.URI = []string{"ldapi://"} },
		"no base of users":   func(o *Options) { o.UserBase = "" },
		"no base of groups":  func(o *Options) { o.GroupBase = "" },
		"no DN":              func(o *Options) { o.UserBase = "users" },
		"no password":        func(o *Options) { o.BindPassword = "" },
		"scope":              func(o *Options) { o.GroupScope = "all" },
		"filter":             func(o *Options) { o.UserFilter = "(uid=*" },
		"two filters":        func(o *Options) { o.UserFilter = "(uid=*)(objectClass=*)" },
		"substring":          func(o *Options) { o.Substring = "middle" },
		"mechanism":          func(o *Options) { o.Disabling = "maybe" },
		"no disabled group":  func(o *Options) { o.Disabling = "group" },
		"attribute":          func(o *Options) { o.UserName = "uid)(x=*" },
		"class":              func(o *Options) { o.GroupClass = "" },
		"last sign-in":       func(o *Options) { o.UserLastSignIn = "a b" },
		"new class":          func(o *Options) { o.UserNewClasses = []string{"a=b"} },
		"timeout":            func(o *Options) { o.Timeout = 0 },
		"connections":        func(o *Options) { o.Connections = 0 },
		"page":               func(o *Options) { o.Page = 0 },
		"no authority":       func(o *Options) { o.CACert = "/nowhere" },
		"an empty authority": func(o *Options) { o.CACert = "/dev/null" },
	} {
		o := good()
		change(&o)
		if d, err := Open(t.TempDir(), o); !errors.Is(err, cloud.Invalid) || cloud.Say(err) == "" {
			t.Errorf("%s: got %v, %v", what, d, err)
		}
	}
	d, err := Open(t.TempDir(), good())
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache[int](time.Second)
		ctx := t.Context()
		asked := 0
		load := func(context.Context) (int, error) {
			asked++
			n := asked
			time.Sleep(time.Millisecond)
			return n, nil
		}
		get := func(want int) {
			t.Helper()
			if got, err := c.get(ctx, "a", load); got != want || err != nil {
				t.Errorf("got %d, %v, want %d", got, err, want)
			}
		}
		if _, ok := c.peek("a"); ok {
			t.Error("something is known at first")
		}
		for range 3 { // together
			go func() { get(1) }()
		}
		synctest.Wait()
		if _, ok := c.peek("a"); ok {
			t.Error("something is known while it is asked for")
		}
		get(1)
		if got, ok := c.peek("a"); !ok || got != 1 {
			t.Errorf("peek: got %d, %v", got, ok)
		}
		time.Sleep(time.Second)
		get(2)
		c.clear()
		get(3)
		c.clear()
		// Who asked before a change does not tell those who come after it.
		go func() { get(4) }()
		synctest.Wait()
		c.clear()
		get(5)
		time.Sleep(time.Second)
		get(6)
		// An error is not kept, and who has gone does not wait.
		bad := func(context.Context) (int, error) { time.Sleep(time.Hour); return 0, cloud.Unavailable }
		go func() {
			if _, err := c.get(ctx, "b", bad); !errors.Is(err, cloud.Unavailable) {
				t.Errorf("got %v, want Unavailable", err)
			}
		}()
		synctest.Wait()
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := c.get(gone, "b", bad); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that the context is done", err)
		}
		time.Sleep(2 * time.Hour)
		if got, err := c.get(ctx, "b", func(context.Context) (int, error) { return 7, nil }); got != 7 || err != nil {
			t.Errorf("after an error: got %d, %v", got, err)
		}
		for i := range 5 * generation {
			c.get(ctx, string(rune(i+100)), func(context.Context) (int, error) { return 0, nil })
		}
		if got := len(c.young) + len(c.old); got > 2*generation {
			t.Errorf("%d entries, want at most %d", got, 2*generation)
		}
	})
}
