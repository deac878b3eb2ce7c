package dav

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"opencloud/cloud"
)

// decode is how a client sees a document: as encoding/xml does.
func decode(t testing.TB, doc string) (tokens []xml.Token) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return tokens
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, doc)
		}
		tokens = append(tokens, xml.CopyToken(tok))
	}
}

func TestParsePropfind(t *testing.T) {
	deadWant := func(space, local string) want { return wantOf(name{space, local}) }
	liveWant := func(local string) want { return wantOf(name{nsDAV, local}) }
	for _, c := range []struct {
		what, body string
		mode       mode
		wants      []want
	}{
		{"no body", "", all, allWants},
		{"empty list", `<propfind xmlns="DAV:"><prop/></propfind>`, all, allWants},
		{"allprop", `<propfind xmlns="DAV:"><allprop/></propfind>`, all, allWants},
		{"include", `<d:propfind xmlns:d="DAV:"><d:include><d:quota-used-bytes/><d:getetag/></d:include><d:allprop/></d:propfind>`, all, append(slices.Clone(allWants), liveWant("quota-used-bytes"))},
		{"propname", `<propfind xmlns="DAV:"><propname/></propfind>`, names, nameWants},
		{"names", `<?xml version="1.0"?><a:propfind xmlns:a="DAV:"><a:prop><a:getetag/><b xmlns="urn:b"/><c/></a:prop></a:propfind>`, named, []want{liveWant("getetag"), deadWant("urn:b", "b"), deadWant("", "c")}},
		{"twice", `<propfind xmlns="DAV:"><prop><getetag/><x/><getetag/><x/></prop></propfind>`, named, []want{liveWant("getetag"), deadWant(nsDAV, "x")}},
		{"stray text and comments", "\n<!-- a --><propfind xmlns='DAV:'>x<prop>y<getetag>z</getetag></prop>M<other><prop/></other></propfind>\n", named, []want{liveWant("getetag")}},
		{"same name elsewhere", `<propfind xmlns="DAV:"><prop><e:getetag xmlns:e="urn:e"/></prop></propfind>`, named, []want{deadWant("urn:e", "getetag")}},
	} {
		q, err := parsePropfind([]byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if diff := cmp.Diff(query{mode: c.mode, wants: c.wants}, *q, cmp.AllowUnexported(query{}, want{})); diff != "" {
			t.Errorf("%s: want(-), got(+)\n%s", c.what, diff)
		}
	}
}

// What any parser refuses, all do.
func TestParserRefuses(t *testing.T) {
	deep := strings.Repeat("<a>", maxNesting) + strings.Repeat("</a>", maxNesting)
	for _, c := range []struct {
		what, body string
		want       cloud.Kind
	}{
		{"text", "hello", cloud.Invalid},
		{"blank", " ", cloud.Invalid},
		{"cut short", `<propfind xmlns="DAV:"><prop>`, cloud.Invalid},
		{"crossed", `<propfind xmlns="DAV:"><prop></propfind></prop>`, cloud.Invalid},
		{"another root", `<propfinder xmlns="DAV:"><prop/></propfinder>`, cloud.Invalid},
		{"no namespace", `<propfind><prop/></propfind>`, cloud.Invalid},
		{"two roots", `<propfind xmlns="DAV:"><prop/></propfind><propfind xmlns="DAV:"/>`, cloud.Invalid},
		{"undeclared prefix", `<propfind xmlns="DAV:"><prop><x:y/></prop></propfind>`, cloud.Invalid},
		{"undeclared prefix of an attribute", `<propfind xmlns="DAV:"><prop><y x:z="1"/></prop></propfind>`, cloud.Invalid},
		{"prefix without namespace", `<propfind xmlns="DAV:"><prop><x:y xmlns:x=""/></prop></propfind>`, cloud.Invalid},
		{"prefix out of scope", `<propfind xmlns="DAV:"><prop><x:y xmlns:x="u"/><x:z/></prop></propfind>`, cloud.Invalid},
		{"document type", `<!DOCTYPE propfind><propfind xmlns="DAV:"><prop/></propfind>`, cloud.Invalid},
		{"entity", `<propfind xmlns="DAV:"><prop>&x;</prop></propfind>`, cloud.Invalid},
		{"encoding", `<?xml version="1.0" encoding="ebcdic"?><propfind xmlns="DAV:"><prop/></propfind>`, cloud.Invalid},
		{"not UTF-8", "<propfind xmlns=\"DAV:\"><prop>\xff</prop></propfind>", cloud.Invalid},
		{"depth", `<propfind xmlns="DAV:">` + deep + `</propfind>`, cloud.TooLarge},
		{"elements", `<propfind xmlns="DAV:"><x>` + strings.Repeat("<a/>", maxElements) + `</x></propfind>`, cloud.TooLarge},
		{"attributes", `<propfind xmlns="DAV:"` + strings.Repeat(` a="b"`, maxAttrs) + `><prop/></propfind>`, cloud.TooLarge},
		{"namespaces", `<propfind xmlns="DAV:">` + strings.Repeat(`<a xmlns:a="a" xmlns:b="b" xmlns:c="c" xmlns:d="d" xmlns:e="e" xmlns:f="f" xmlns:g="g" xmlns:h="h" xmlns:i="i" xmlns:j="j" xmlns:k="k">`, 19), cloud.TooLarge},
		{"long namespace", `<propfind xmlns="DAV:"><prop><a xmlns="` + strings.Repeat("x", maxURI+1) + `"/></prop></propfind>`, cloud.TooLarge},
	} {
		p := newParser([]byte(c.body))
		err := p.root(name{nsDAV, "propfind"})
		if err == nil {
			err = p.skip()
		}
		if err == nil {
			err = p.finish()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, err, c.want)
		}
		if cloud.Say(err) == "" {
			t.Errorf("%s: %v says nothing to the user", c.what, err)
		}
	}
	many := []byte(`<propfind xmlns="DAV:"><prop>`)
	for i := range maxProps + 1 {
		many = append(appendInt(append(many, "<p"...), int64(i)), "/>"...)
	}
	if _, err := parsePropfind(append(many, "</prop></propfind>"...)); !errors.Is(err, cloud.TooLarge) {
		t.Errorf("too many properties: got %v, want %v", err, cloud.TooLarge)
	}
	// Short here, long when every element says its namespace.
	blown := `<propertyupdate xmlns="DAV:" xmlns:x="` + strings.Repeat("x", maxURI) + `"><set><prop><a>` + strings.Repeat("<x:a/><a/>", 100) + `</a></prop></set></propertyupdate>`
	if _, err := parseProppatch([]byte(blown)); !errors.Is(err, cloud.TooLarge) {
		t.Errorf("blown up value: got %v, want %v", err, cloud.TooLarge)
	}
}

// Text survives a trip through XML as far as XML can carry it.
func TestAppendText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		want := strings.Map(func(r rune) rune {
			if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
				return 0xfffd
			}
			return r
		}, s)
		var got struct {
			Attr string `xml:"attr,attr"`
			Text string `xml:",chardata"`
		}
		doc := append(appendAttr([]byte("<a"), "attr", s), '>')
		doc = append(appendText(doc, s), "</a>"...)
		if err := xml.Unmarshal(doc, &got); err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		if got.Text != want || got.Attr != want {
			t.Fatalf("%q became %q and %q", want, got.Text, got.Attr)
		}
	})
}

func FuzzPropfind(f *testing.F) {
	for _, s := range []string{
		"", `<propfind xmlns="DAV:"><allprop/><include><a/></include></propfind>`,
		`<d:propfind xmlns:d="DAV:"><d:prop><d:getetag/><x xmlns="urn:&quot;&lt;"/><y/></d:prop>M</d:propfind>`,
		`<propfind xmlns="DAV:"><propname/></propfind>`, `<propfind xmlns="DAV:"><prop><a:b xmlns:a="a"/><c xmlns=""/></prop></propfind>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := parsePropfind(body)
		if err != nil {
			if kind := cloud.KindOf(err); kind != cloud.Invalid && kind != cloud.TooLarge {
				t.Fatalf("got %v", err)
			}
			return
		}
		if len(q.wants) == 0 || len(q.wants) > maxProps+len(props) {
			t.Fatalf("got %d wants", len(q.wants))
		}
		// Whatever was asked for can be said to be missing.
		m := &multistatus{q: q}
		doc := append([]byte(multistatusHead), "<d:response>"...)
		doc = m.named(doc, folder, collection)
		decode(t, string(doc)+"</d:response></d:multistatus>")
	})
}

func FuzzProppatch(f *testing.F) {
	for _, s := range []string{
		`<d:propertyupdate xmlns:d="DAV:"><d:set><d:prop><a xmlns="urn:a" xml:lang="de"><b c="d" e:f="g" xmlns:e="h">i &amp; j</b></a></d:prop></d:set><d:remove><d:prop><k/></d:prop></d:remove></d:propertyupdate>`,
		`<propertyupdate xmlns="DAV:"><set><prop><getlastmodified>17</getlastmodified></prop></set></propertyupdate>`,
		`<propertyupdate xmlns="DAV:"><set><prop><a><b xmlns=""><c xmlns="u">&#xD;&#x10000;<![CDATA[<]]></c></b></a></prop></set></propertyupdate>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		patches, err := parseProppatch(body)
		if err != nil {
			return
		}
		for _, p := range patches {
			keeps(t, p.value)
			change := cloud.Change{Attrs: map[string]*string{}}
			if p.apply(&change) != patched || p.remove || change.MTime != nil {
				continue
			}
			// What was set comes back as a property of that name.
			attrs := map[string]string{}
			for key, value := range change.Attrs {
				if value != nil {
					attrs[key] = *value
				}
			}
			n := &cloud.Node{Parent: "p", Attrs: attrs}
			if got := deadNames(n); len(got) != 1 || got[0] != p.name {
				t.Fatalf("got names %v, want %v", got, p.name)
			}
			w := wantOf(p.name)
			m := &multistatus{q: &query{wants: []want{w}}}
			tokens := decode(t, multistatusHead+string(m.named(nil, live, n))+"</d:multistatus>")
			var el xml.StartElement
			for i, tok := range tokens {
				if s, ok := tok.(xml.StartElement); ok && s.Name == (xml.Name{Space: nsDAV, Local: "prop"}) {
					el = tokens[i+1].(xml.StartElement)
				}
			}
			if el.Name != (xml.Name{Space: p.name.space, Local: p.name.local}) {
				t.Fatalf("got element %v, want %v", el.Name, p.name)
			}
		}
	})
}

// keeps checks that inner XML means the same after another trip.
func keeps(t *testing.T, value string) {
	t.Helper()
	p := newParser([]byte("<v>" + value + "</v>"))
	p.next()
	again, err := p.inner()
	if err != nil && cloud.KindOf(err) != cloud.TooLarge || err == nil && again != value {
		t.Fatalf("%q became %q, %v", value, again, err)
	}
}

func FuzzLock(f *testing.F) {
	for _, s := range []string{
		`<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype><owner>me <href>mailto:a</href></owner></lockinfo>`,
		`<lockinfo xmlns="DAV:"><lockscope>x<shared/></lockscope><locktype><write/></locktype></lockinfo>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := parseLock(body)
		if err == nil {
			keeps(t, l.Owner)
		}
	})
}
