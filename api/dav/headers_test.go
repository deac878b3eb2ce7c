package dav

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"opencloud/cloud"
)

func TestParseIf(t *testing.T) {
	for _, c := range []struct {
		header string
		want   []ifList
	}{
		{`(<urn:a>)`, []ifList{{conds: []ifCond{{token: "urn:a"}}}}},
		{` ( Not <urn:a> ["e"] ) (not[W/"f g"])`, []ifList{
			{conds: []ifCond{{not: true, token: "urn:a"}, {etag: "e"}}},
			{conds: []ifCond{{not: true, etag: "f g"}}},
		}},
		{`</a> (<urn:a>) (["e"]) <http://x/b>(<urn:b>)`, []ifList{
			{url: "/a", conds: []ifCond{{token: "urn:a"}}},
			{url: "/a", conds: []ifCond{{etag: "e"}}},
			{url: "http://x/b", conds: []ifCond{{token: "urn:b"}}},
		}},
		{`(<urn:a>) (Not <DAV:no-lock>)`, []ifList{{conds: []ifCond{{token: "urn:a"}}}, {conds: []ifCond{{not: true, token: "DAV:no-lock"}}}}},
	} {
		got, err := parseIf(c.header)
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(ifList{}, ifCond{})); err != nil || diff != "" {
			t.Errorf("%s: %v; want(-), got(+)\n%s", c.header, err, diff)
		}
	}
	for _, bad := range []string{
		"x", "()", "(", "(<a>", "(<>)", "([e])", `(["e")`, `([""])`, "<a>", "<> (<a>)", "(<a>) </x> (<b>)", "</x> </y> (<a>)",
		"(Not)", "(Not Not <a>)", "(a)", "(<a>) x", strings.Repeat("(<a>)", maxIf),
	} {
		if got, err := parseIf(bad); !errors.Is(err, cloud.Invalid) {
			t.Errorf("%.40s: got %v, %v; want %v", bad, got, err, cloud.Invalid)
		}
	}
}

func FuzzIf(f *testing.F) {
	for _, s := range []string{`(<urn:a> ["e"]) (Not <b>)`, `</a> (<urn:a>) <b> ([W/"x"])`, "((", "(Not", `(["]"])`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		lists, err := parseIf(header)
		if err != nil {
			return
		}
		var b strings.Builder
		for _, l := range lists {
			if l.url != "" {
				b.WriteString("<" + l.url + ">")
			}
			b.WriteString("(")
			for _, c := range l.conds {
				if (c.token == "") == (c.etag == "") {
					t.Fatalf("%q: condition %+v", header, c)
				}
				if c.not {
					b.WriteString("Not ")
				}
				if c.token != "" {
					b.WriteString("<" + c.token + ">")
				} else {
					b.WriteString(`["` + c.etag + `"]`)
				}
			}
			b.WriteString(")")
		}
		if b.Len() > maxIf { // a tag is repeated for each of its lists
			return
		}
		again, err := parseIf(b.String())
		if diff := cmp.Diff(lists, again, cmp.AllowUnexported(ifList{}, ifCond{})); err != nil || diff != "" {
			t.Fatalf("%q, written as %q: %v\n%s", header, b.String(), err, diff)
		}
	})
}

func TestParseETags(t *testing.T) {
	for _, c := range []struct {
		header string
		want   []string
	}{
		{`"a"`, []string{"a"}},
		{`*`, []string{"*"}},
		{`W/"a"`, []string{"a"}},
		{`"a,b" , W/"c",`, []string{"a,b", "c"}},
		{`a`, []string{"a"}},
		{``, nil},
		{`,`, nil},
		{`"`, nil},
		{`""`, nil},
		{`"a", *`, nil},
		{`a"b`, nil},
	} {
		got, err := parseETags(c.header)
		if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.want != nil) {
			t.Errorf("%s: %v; want(-), got(+)\n%s", c.header, err, diff)
		}
	}
}

func TestParseMTime(t *testing.T) {
	for _, c := range []struct {
		header string
		want   time.Time
	}{
		{"1700000000", time.Unix(1700000000, 0)},
		{"1700000000.5", time.Unix(1700000000, 500_000_000)},
		{"1700000000.123456789123", time.Unix(1700000000, 123456789)},
		{"0", time.Unix(0, 0)},
		{"-1.5", time.Unix(-1, -500_000_000)},
		{"-0.5", time.Unix(0, -500_000_000)},
		{"253402300799", time.Unix(253402300799, 0)},
	} {
		if got, err := parseMTime(c.header); err != nil || !got.Equal(c.want) {
			t.Errorf("%s: got %v, %v; want %v", c.header, got, err, c.want)
		}
	}
	for _, bad := range []string{"", ".", "-", "+1", "1e9", "1.-5", "1.x", "1. 5", "253402300800", "-62135596801", "9223372036854775808", "NaN", "1." + strings.Repeat("0", 31)} {
		if got, err := parseMTime(bad); !errors.Is(err, cloud.Invalid) {
			t.Errorf("%q: got %v, %v; want %v", bad, got, err, cloud.Invalid)
		}
	}
}

func TestParseTimeout(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for header, want := range map[string]time.Duration{
		"":                      0,
		"Second-60":             time.Minute,
		"second-0":              time.Second,
		"Infinite, Second-60":   year,
		"Extend, Second-5":      5 * time.Second,
		"Second-4100000000":     year,
		"Second-41000000000000": 0,
		"Second--1":             0,
		"Minute-1":              0,
	} {
		if got := parseTimeout(header); got != want {
			t.Errorf("%q: got %v, want %v", header, got, want)
		}
	}
}

func TestAnnouncedSum(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"OC-Checksum", "sha1:AAf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", "SHA1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"},
		{"Upload-Checksum", "SHA1 aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", "SHA1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"},
		{"Upload-Checksum", "sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=", "SHA1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"},
		{"Upload-Checksum", "adler32 BiwCFQ==", "ADLER32:062c0215"},
		{"Content-MD5", "XUFAKrxLKna5cZ2REBfFkg==", "MD5:5d41402abc4b2a76b9719d911017c592"},
		{"OC-Checksum", "SHA1", ""},
		{"Upload-Checksum", "sha1 ????", ""},
		{"Upload-Checksum", "crc32 BiwCFQ==", ""},
		{"Content-MD5", "BiwCFQ==", ""},
	} {
		got, err := announcedSum(http.Header{http.CanonicalHeaderKey(c.key): {c.value}})
		if c.want == "" && !errors.Is(err, cloud.Invalid) || c.want != "" && (err != nil || got != c.want) {
			t.Errorf("%s: %s: got %q, %v; want %q", c.key, c.value, got, err, c.want)
		}
	}
}

func TestDisposition(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt":    `attachment; filename*=UTF-8''a.txt; filename="a.txt"`,
		"a b;c":    `attachment; filename*=UTF-8''a%20b%3Bc; filename="a b;c"`,
		"ü\"\\%1":  `attachment; filename*=UTF-8''%C3%BC%22%5C%251; filename="____1"`,
		"a\r\nb\t": `attachment; filename*=UTF-8''a%0D%0Ab%09; filename="a__b_"`,
	} {
		if got := disposition(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}

func TestPrefersMinimal(t *testing.T) {
	for header, want := range map[string]bool{
		"":                             false,
		"return=minimal":               true,
		"Return=Minimal; foo":          true,
		"wait=1, return=minimal":       true,
		"return=representation":        false,
		"x-return=minimal":             false,
		"respond-async,return=minimal": true,
	} {
		r := httptest.NewRequest("PROPFIND", "/", nil)
		r.Header.Set("Prefer", header)
		if got := prefersMinimal(r); got != want {
			t.Errorf("%q: got %v, want %v", header, got, want)
		}
	}
}
