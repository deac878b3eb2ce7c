package basic

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode"
)

func TestParse(t *testing.T) {
	enc := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		in, name, password string
		ok                 bool
	}{
		{enc("ada:secret"), "ada", "secret", true},
		{enc("ada:"), "ada", "", true},
		{enc("ada:with:colons:"), "ada", "with:colons:", true},
		{enc("josé:påss"), "josé", "påss", true},
		{enc(":x"), "", "", false},
		{enc("ada"), "", "", false},
		{enc("\xff:x"), "", "", false},
		{"not base64!", "", "", false},
		{"", "", "", false},
		{enc("ada:" + strings.Repeat("x", 4096)), "", "", false},
	} {
		name, password, ok := Parse(c.in)
		if ok != c.ok || ok && (name != c.name || password != c.password) {
			t.Errorf("Parse(%.40q) = %q, %q, %v; want %q, %q, %v", c.in, name, password, ok, c.name, c.password, c.ok)
		}
	}
}

// However a name is spelled, guesses at it count together.
func TestSpellings(t *testing.T) {
	for r := rune(1); r <= unicode.MaxRune; r++ {
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			if a, b := Account(string(r)), Account(string(o)); a != b {
				t.Errorf("%q and %q are the same name, but count as %q and %q", r, o, a, b)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("YTpi")
	f.Add("Og==")
	f.Fuzz(func(t *testing.T, s string) {
		name, _, ok := Parse(s)
		if ok && (name == "" || strings.Contains(name, ":")) {
			t.Errorf("Parse(%q): name %q", s, name)
		}
	})
}
