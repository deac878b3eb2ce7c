package core

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"opencloud/cloud"
)

func policy(t testing.TB, opts PasswordOptions) *Policy {
	t.Helper()
	p, err := NewPolicy(opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicy(t *testing.T) {
	list := filepath.Join(t.TempDir(), "banned")
	if err := os.WriteFile(list, []byte("Our Company\r\n\nzweite Zeile\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	nist := PasswordOptions{Min: 8}
	strict := PasswordOptions{Min: 10, Lower: 2, Upper: 2, Digits: 2, Special: 2}
	for _, c := range []struct {
		opts     PasswordOptions
		password string
		say      string // what the sentence has in it; empty: good
	}{
		{nist, "correct horse", ""},
		{nist, "pä55wörtchen", ""},
		{nist, "        x", ""},
		{nist, "☢☢☢ ☢☢☢☢", ""}, // characters, not bytes
		{nist, strings.Repeat("long ", 51), ""},
		{nist, "", "is empty"},
		{nist, "short7!", "too short: at least 8 characters"},
		{nist, "☢☢☢ ☢☢", "too short"},
		{nist, strings.Repeat("x", 257), "too long: at most 256 characters"},
		{nist, "password", "first that somebody would guess"},
		{nist, "PassWord123", "first that somebody would guess"},
		{nist, "12345678", "first that somebody would guess"},
		{nist, "abcdefghij", "first that somebody would guess"},
		{nist, "LKJHGFDSA", "first that somebody would guess"},
		{nist, "aaaaaaaaaa", "first that somebody would guess"},
		{nist, "éééééééé", "first that somebody would guess"},
		{nist, "einstein.albert", "name or the address"},
		{nist, "EINSTEIN.Albert", "name or the address"},
		{nist, "albert@example.org", "name or the address"},
		{nist, "genius.of.berlin", "name or the address"}, // before the @
		{PasswordOptions{Min: 8, Banned: list}, "our company", "first that somebody would guess"},
		{PasswordOptions{Min: 8, Banned: list}, "Zweite Zeile", "first that somebody would guess"},
		{PasswordOptions{Min: 8, Banned: list}, "our companies", ""},
		{PasswordOptions{Min: 15}, "correct horse", "at least 15 characters"},
		{PasswordOptions{}, "x-y", ""},
		{PasswordOptions{Disabled: true, Min: 8}, "demo", ""},
		{PasswordOptions{Disabled: true, Min: 8}, "", "is empty"},
		{PasswordOptions{Disabled: true, Min: 8}, strings.Repeat("x", 257), "too long"},
		{strict, "aaAA11!!..", ""},
		{strict, "aaAA11  ..", ""},
		{strict, "aAAA11!!..", "too few lower-case letters: at least 2"},
		{strict, "aaaA11!!..", "too few upper-case letters: at least 2"},
		{strict, "aaAAb1!!..", "too few digits: at least 2"},
		{strict, "aaAA1122b.", "too few special characters: at least 2"},
	} {
		err := policy(t, c.opts).Check(c.password, "einstein.albert", "", "Albert Einstein", "albert@example.org", "genius.of.berlin@example.org")
		if c.say == "" {
			if err != nil {
				t.Errorf("%q: got %v", c.password, err)
			}
		} else if cloud.KindOf(err) != cloud.Invalid || !strings.Contains(cloud.Say(err), c.say) {
			t.Errorf("%q: got %v, want a sentence with %q", c.password, err, c.say)
		}
	}
	if _, err := NewPolicy(PasswordOptions{Banned: list + "?"}); cloud.KindOf(err) != cloud.Invalid || !strings.Contains(cloud.Say(err), "BANNED_PASSWORDS_LIST") {
		t.Errorf("a list that is not there: got %v", err)
	}
}

// Every known password is refused in any case, and would not be without the list.
func TestKnownPasswords(t *testing.T) {
	p := policy(t, PasswordOptions{Min: 8})
	n := 0
	for line := range strings.Lines(knownPasswords) {
		word := strings.TrimSpace(line)
		if len(word) < 8 {
			t.Errorf("%q is too short to be worth a line", word)
		}
		for _, w := range []string{word, strings.ToUpper(word), strings.ToUpper(word[:1]) + word[1:]} {
			if p.Check(w) == nil {
				t.Errorf("%q is accepted", w)
			}
		}
		n++
	}
	if n < 500 {
		t.Errorf("got %d known passwords", n)
	}
}

// A longer password is never refused for its length, and none is changed by
// what others are called.
func TestPolicyIsFair(t *testing.T) {
	p := policy(t, PasswordOptions{Min: 8})
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.StringN(8, 64, -1).Draw(t, "password")
		err := p.Check(password)
		if err != nil && !strings.Contains(cloud.Say(err), "guess") {
			t.Fatalf("%q: got %v", password, err)
		}
		if more := password + "~x"; p.Check(more) != nil {
			t.Fatalf("%q: got %v", more, p.Check(more))
		}
	})
}
