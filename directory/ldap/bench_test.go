package ldap

import (
	"fmt"
	"strings"
	"testing"

	"opencloud/directory/ldap/slapd"
)

// filled is a directory of n users, of whom each is in two groups.
func filled(b *testing.B, n int) *Directory {
	b.Helper()
	var ldif strings.Builder
	var all []string
	for i := range n {
		name := fmt.Sprint("user", i)
		ldif.WriteString(personLDIF(i, name, "displayName: User "+name, "mail: "+name+"@example.org"))
		all = append(all, dn(name))
	}
	ldif.WriteString(groupLDIF(9000, "a", all...) + groupLDIF(9001, "b", all...))
	return open(b, defaults(slapd.Start(b, slapd.Config{LDIF: ldif.String()})))
}

// What each request with a token asks.
func BenchmarkUser(b *testing.B) {
	d := filled(b, 10)
	for b.Loop() {
		if _, err := d.User(b.Context(), "id", uuid(3)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUserCold(b *testing.B) {
	d := filled(b, 10)
	for b.Loop() {
		d.users.clear()
		if _, err := d.User(b.Context(), "id", uuid(3)); err != nil {
			b.Fatal(err)
		}
	}
}

// What each request with a password asks.
func BenchmarkRecall(b *testing.B) {
	d := filled(b, 10)
	if _, err := d.Verify(b.Context(), "user3", "pw"); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if d.Recall("user3", "pw") == nil {
			b.Fatal("forgotten")
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	d := filled(b, 10)
	for b.Loop() {
		d.seen.Clear()
		if _, err := d.Verify(b.Context(), "user3", "pw"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUsers3000(b *testing.B) {
	d := filled(b, 3000)
	for b.Loop() {
		d.trees.clear()
		n := 0
		for _, err := range d.Users(b.Context(), "") {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 3000 {
			b.Fatalf("got %d", n)
		}
	}
}
