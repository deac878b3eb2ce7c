package kql

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"opencloud/cloud"
)

// A Sunday in summer, where clocks are changed.
func sunday(t testing.TB) time.Time {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return time.Date(2024, 3, 31, 15, 4, 5, 0, berlin)
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ query, want string }{
		// words and phrases
		{`federated`, `federated`},
		{`federated search`, `(federated AND search)`},
		{`"federated search"`, `"federated search"`},
		{`fed* "two words" sea?ch`, `(fed* AND "two words" AND sea?ch)`},
		{`C++ c# a-b a+b x:`, `(C++ AND c# AND a-b AND a+b AND x:)`},
		{`"a \"quoted\" word" "back\\slash"`, `("a \"quoted\" word" AND "back\\slash")`},
		{`"never ends`, `"never ends"`},
		{`and or not Andy`, `(and AND or AND not AND Andy)`},
		{`Übergröße 日本`, `(Übergröße AND 日本)`},

		// keys
		{`name:report`, `name:report`},
		{`Name:"annual report"`, `name:"annual report"`},
		{`name=report`, `name:report`},
		{`name:"*report*"`, `name:"*report*"`},
		{`audio.artist:bowie`, `audio.artist:bowie`},
		{`tag:a tag:b name:c`, `((tag:a OR tag:b) AND name:c)`},
		{`tag:a name:c tag:b`, `((tag:a OR tag:b) AND name:c)`},
		{`tag:a -tag:b -tag:c`, `(tag:a AND (NOT tag:b) AND (NOT tag:c))`},
		{`tag:("a" OR "b")`, `(tag:"a" OR tag:"b")`},
		{`author:("John Smith" Jane)`, `(author:"John Smith" AND author:Jane)`},
		{`author:("John Smith" (a OR b))`, `(author:"John Smith" AND (author:a OR author:b))`},
		{`is:favorite`, `is:favorite`},
		{`scope:4c510ada-c86b-4815-8820-42cdf82c3d51$x!y`, `scope:4c510ada-c86b-4815-8820-42cdf82c3d51$x!y`},
		{`path:./a/b`, `path:./a/b`},
		{`http://example.org`, `http://example.org`},
		{`hidden:true hidden=FALSE`, `(hidden:true OR hidden:false)`},

		// operators
		{`a AND b`, `(a AND b)`},
		{`a OR b`, `(a OR b)`},
		{`a OR b AND c`, `(a OR (b AND c))`},
		{`a OR b c OR d`, `(a OR (b AND c) OR d)`},
		{`(a OR b) c`, `((a OR b) AND c)`},
		{`NOT a`, `(NOT a)`},
		{`a NOT b`, `(a AND (NOT b))`},
		{`a AND NOT b`, `(a AND (NOT b))`},
		{`a -b +c`, `((a AND (NOT b)) AND c)`},
		{`+a +b`, `(a AND b)`},
		{`a - b`, `(a AND - AND b)`},
		{`-(a OR b)`, `(NOT (a OR b))`},
		{`AND"a"`, ``},
		{`a AND(b)`, `(a AND b)`},
		{`name:a OR(tag:b)`, `(name:a OR tag:b)`},

		// what the web asks
		{`name:"*text*" AND scope:a$b!c`, `(name:"*text*" AND scope:a$b!c)`},
		{`(name:"*t*" OR content:"t") AND tag:("a" OR "b") AND mtime:"last 7 days"`,
			`((name:"*t*" OR content:"t") AND (tag:"a" OR tag:"b") AND (mtime>=2024-03-25T00:00:00+01:00 AND mtime<2024-04-01T00:00:00+02:00))`},
		{`mediatype:("document" OR "pdf")`, `(mediatype:"document" OR mediatype:"pdf")`},
		{`itemid:a$b!c AND depth:1 AND limit:200 AND sort:desc`, `(itemid:a$b!c AND depth:1 AND limit:200 AND sort:desc)`},

		// numbers
		{`size>1024`, `size>1024`},
		{`size:0`, `size=0`},
		{`size>=10MB size<1GiB`, `(size>=10000000 AND size<1073741824)`},
		{`size:1 size:2`, `(size=1 OR size=2)`},
		{`audio.track>3`, `audio.track>3`},

		// times
		{`mtime:today`, `(mtime>=2024-03-31T00:00:00+01:00 AND mtime<2024-04-01T00:00:00+02:00)`},
		{`mtime:yesterday`, `(mtime>=2024-03-30T00:00:00+01:00 AND mtime<2024-03-31T00:00:00+01:00)`},
		{`mtime:"this week"`, `(mtime>=2024-03-25T00:00:00+01:00 AND mtime<2024-04-01T00:00:00+02:00)`},
		{`mtime:last week`, `(mtime>=2024-03-18T00:00:00+01:00 AND mtime<2024-03-25T00:00:00+01:00)`},
		{`mtime:Last 7 Days b`, `((mtime>=2024-03-25T00:00:00+01:00 AND mtime<2024-04-01T00:00:00+02:00) AND b)`},
		{`(mtime:this month)`, `(mtime>=2024-03-01T00:00:00+01:00 AND mtime<2024-04-01T00:00:00+02:00)`},
		{`mtime:"last month"`, `(mtime>=2024-02-01T00:00:00+01:00 AND mtime<2024-03-01T00:00:00+01:00)`},
		{`mtime:"last 30 days"`, `(mtime>=2024-03-02T00:00:00+01:00 AND mtime<2024-04-01T00:00:00+02:00)`},
		{`mtime:"this year"`, `(mtime>=2024-01-01T00:00:00+01:00 AND mtime<2025-01-01T00:00:00+01:00)`},
		{`mtime="last year"`, `(mtime>=2023-01-01T00:00:00+01:00 AND mtime<2024-01-01T00:00:00+01:00)`},
		{`mtime:2024-02-29`, `(mtime>=2024-02-29T00:00:00+01:00 AND mtime<2024-03-01T00:00:00+01:00)`},
		{`mtime>2024-02-29`, `mtime>=2024-03-01T00:00:00+01:00`},
		{`mtime>=2024-02-29`, `mtime>=2024-02-29T00:00:00+01:00`},
		{`mtime<2024-02-29`, `mtime<2024-02-29T00:00:00+01:00`},
		{`mtime<=2024-02-29`, `mtime<2024-03-01T00:00:00+01:00`},
		{`mtime>="2024-02-29T10:11:12Z"`, `mtime>=2024-02-29T10:11:12Z`},
		{`mtime<=2024-02-29T10:11:12.5Z`, `mtime<2024-02-29T10:11:12.500000001Z`},
		{`mtime>2024-01-01 mtime<2024-02-01`, `(mtime>=2024-01-02T00:00:00+01:00 AND mtime<2024-02-01T00:00:00+01:00)`},
		{`created>=2024-01-01`, `created>=2024-01-01T00:00:00+01:00`},
		{`name:today`, `name:today`},

		// no queries
		{``, ``},
		{`  `, ``},
		{`()`, ``},
		{`(a`, ``},
		{`a)`, ``},
		{`a AND`, ``},
		{`AND a`, ``},
		{`a OR`, ``},
		{`OR a`, ``},
		{`a AND AND b`, ``},
		{`NOT`, ``},
		{`NOT NOT a`, ``},
		{`--a`, ``},
		{`+`, ``},
		{`mtime:soon`, ``},
		{`mtime>2024-13-01`, ``},
		{`size:big`, ``},
		{`size>9999999TB`, ``},
		{`name>x`, ``},
		{`hidden:maybe`, ``},
		{`tag:(name:(x))`, ``},
		{strings.Repeat("(", 40) + "a" + strings.Repeat(")", 40), ``},
		{strings.Repeat("-(", 40) + "a" + strings.Repeat(")", 40), ``},
		{strings.Repeat("a ", 600), ``},
		{strings.Repeat("a", MaxLength+1), ``},
	} {
		e, err := Parse(c.query, sunday(t))
		switch {
		case c.want == "":
			if cloud.KindOf(err) != cloud.Invalid || cloud.Say(err) == "" {
				t.Errorf("%.60s: got %v, %v; want a sentence that it is invalid", c.query, e, err)
			}
		case err != nil:
			t.Errorf("%s: %v", c.query, err)
		case e.String() != c.want:
			t.Errorf("%s:\ngot  %s\nwant %s", c.query, e, c.want)
		}
	}
}

// Monday to Sunday, every day of a week.
func TestWeeks(t *testing.T) {
	for d := range 7 {
		now := time.Date(2024, 4, 1+d, 12, 0, 0, 0, time.UTC)
		from, to, ok := span("this week", now)
		if want := time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC); !ok || from != want || to != want.AddDate(0, 0, 7) {
			t.Errorf("%s: %s to %s", now.Weekday(), from, to)
		}
	}
}

// What is read can be written and read again, and means the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`a b:c OR -(d "e f") +g mtime>2024-01-01 size<=3kb`, `tag:("a" OR b) mtime:last week`, `"\"\\`, `a:b)`, `a=>b`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		now := time.Date(2024, 3, 31, 15, 4, 5, 0, time.UTC)
		e, err := Parse(query, now)
		if err != nil {
			if cloud.KindOf(err) != cloud.Invalid {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		written := e.String()
		if len(written) > MaxLength || !utf8.ValidString(query) {
			return
		}
		again, err := Parse(written, now)
		if err != nil {
			if strings.Contains(cloud.Say(err), "parentheses") { // as many as may be, and then those of String
				return
			}
			t.Fatalf("%q is written %q: %v", query, written, err)
		}
		if again.String() != written {
			t.Fatalf("%q is written %q, and that %q", query, written, again)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	now := time.Date(2024, 3, 31, 15, 4, 5, 0, time.UTC)
	for b.Loop() {
		if _, err := Parse(`(name:"*t*" OR content:"t") AND tag:("a" OR "b") AND mtime:"last 7 days"`, now); err != nil {
			b.Fatal(err)
		}
	}
}
