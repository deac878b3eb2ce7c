package tus

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"opencloud/cloud"
)

func TestParseMetadata(t *testing.T) {
	many := strings.Repeat("k", 65)
	for _, c := range []struct {
		header string
		want   map[string]string
		kind   cloud.Kind
	}{
		{"", map[string]string{}, 0},
		{"filename YQ==", map[string]string{"filename": "a"}, 0},
		{"filename YQ==,checksum", map[string]string{"filename": "a", "checksum": ""}, 0},
		{"filename YQ==, checksum ,mtime MQ==,", map[string]string{"filename": "a", "checksum": "", "mtime": "1"}, 0},
		{"filename YQ==,filename Yg==", nil, cloud.Invalid},
		{"filename YQ", nil, cloud.Invalid},
		{"filename a b c", nil, cloud.Invalid},
		{strings.Join(strings.Split(many, ""), ","), nil, cloud.Invalid},
		{strings.Repeat(",", maxHeader+1), nil, cloud.TooLarge},
	} {
		got, err := parseMetadata(c.header)
		if diff := cmp.Diff(c.want, got); diff != "" || cloud.KindOf(err) != c.kind {
			t.Errorf("%.40q: got %v, %v, want %v, %v", c.header, got, err, c.want, c.kind)
		}
	}
}

func TestParseMTime(t *testing.T) {
	for in, want := range map[string]time.Time{
		"":                          {},
		"0":                         time.Unix(0, 0),
		"1691053416":                time.Unix(1691053416, 0),
		"1691053416.5":              time.Unix(1691053416, 5e8),
		"1691053416.934129485":      time.Unix(1691053416, 934129485),
		"1691053416.93412948599999": time.Unix(1691053416, 934129485),
		"1.":                        time.Unix(1, 0),
		"-1.5":                      time.Unix(-2, 5e8),
	} {
		if got, err := parseMTime(in); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"x", "1x", "1.x", "1.5.5", ".5", "-", "--1", "+1", "1e9", "99999999999", "NaN", " 1"} {
		if got, err := parseMTime(in); cloud.KindOf(err) != cloud.Invalid {
			t.Errorf("%q: got %v, %v, want %v", in, got, err, cloud.Invalid)
		}
	}
}

func TestLockTokens(t *testing.T) {
	for _, c := range []struct {
		header string
		want   []string
		ok     bool
	}{
		{"", nil, true},
		{"(<urn:uuid:1>)", []string{"urn:uuid:1"}, true},
		{"(<a> <b>) (<c>)", []string{"a", "b", "c"}, true},
		{"<http://x/y> (<a>) <http://x/z> (<b>)", []string{"a", "b"}, true},
		{`(<a> ["e)<b>(tag"])`, []string{"a"}, true},
		{`(<a> [W/"e"] Not <b> not<c> <d>)`, []string{"a", "d"}, true},
		{"(Not <DAV:no-lock>)", nil, true},
		{"(<a>", nil, false},
		{"(<a", nil, false},
		{"<a>)", nil, false},
		{"((<a>))", nil, false},
		{"(Not)", nil, false},
		{"(Not Not <a>)", nil, false},
		{"(<>)", nil, false},
		{"(x)", nil, false},
		{`(["a)`, nil, false},
		{"(" + strings.Repeat("<a>", maxTokens+1) + ")", nil, false},
		{strings.Repeat(" ", maxHeader+1), nil, false},
	} {
		got, err := lockTokens(c.header)
		if diff := cmp.Diff(c.want, got); (err == nil) != c.ok || c.ok && diff != "" {
			t.Errorf("%.60q: got %v, %v, want %v, ok %v", c.header, got, err, c.want, c.ok)
		}
	}
}

func TestParseETag(t *testing.T) {
	for in, want := range map[string]string{"": "", "*": "*", `"a"`: "a", `W/"a"`: "a", "a": "a", ` "a" `: "a"} {
		if got, err := parseETag(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{`"`, `""`, `"a`, `a"`, `"a", "b"`, "a b", "W/"} {
		if got, err := parseETag(in); cloud.KindOf(err) != cloud.Invalid {
			t.Errorf("%q: got %q, %v, want %v", in, got, err, cloud.Invalid)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add("filename YQ==,checksum,mtime MQ==")
	f.Add(" , a b")
	f.Fuzz(func(t *testing.T, header string) {
		meta, err := parseMetadata(header)
		if err != nil {
			if k := cloud.KindOf(err); k != cloud.Invalid && k != cloud.TooLarge {
				t.Fatalf("got %v", err)
			}
			return
		}
		var pairs []string
		for key, value := range meta {
			pairs = append(pairs, key+" "+base64.StdEncoding.EncodeToString([]byte(value)))
		}
		if len(strings.Join(pairs, ",")) > maxHeader {
			return // blanks were left out before
		}
		again, err := parseMetadata(strings.Join(pairs, ","))
		if diff := cmp.Diff(meta, again); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}

func FuzzLockTokens(f *testing.F) {
	f.Add(`<http://x> (<a> ["e"] Not <b>)`)
	f.Fuzz(func(t *testing.T, header string) {
		tokens, err := lockTokens(header)
		if err != nil {
			return
		}
		again, err := lockTokens("(<" + strings.Join(tokens, "><") + ">)")
		if len(tokens) > 0 && (err != nil || !cmp.Equal(tokens, again)) {
			t.Fatalf("got %q, %v, want %q", again, err, tokens)
		}
	})
}

func FuzzMTime(f *testing.F) {
	f.Add("1691053416.934129485")
	f.Add("-1.5")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseMTime(s)
		if err != nil || s == "" {
			return
		}
		// Nanoseconds since 1970 must not overflow: ETags are made of them.
		if want := time.Unix(0, got.UnixNano()); !got.Equal(want) {
			t.Fatalf("%q: got %v, want %v", s, got, want)
		}
	})
}
