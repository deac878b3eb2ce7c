package signed

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"opencloud/auth/recent"
	"opencloud/cloud"
	"opencloud/directory/mem"
)

const adaID, bobID cloud.UserID = "a1111111-0000-4000-8000-000000000001", "uid=bob,ou=people"

const site = "https://cloud.example.org/base"

var (
	ada = &cloud.User{ID: adaID, Name: "ada"}
	bob = &cloud.User{ID: bobID, Name: "bob"}
)

func house(t testing.TB) *Signer {
	t.Helper()
	u, err := url.Parse(site)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(filepath.Join(t.TempDir(), "signed"), mem.New(ada, bob), Options{LinkLife: 30 * time.Minute, KeyLife: 12 * time.Hour, URL: u})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Signer) keyOf(t testing.TB, u *cloud.User) string {
	t.Helper()
	text, err := s.Key(cloud.WithCaller(t.Context(), cloud.Caller{User: u}))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// linkOf is a path with its query, signed for a caller.
func (s *Signer) linkOf(t testing.TB, c cloud.Caller, path string) string {
	t.Helper()
	sign, err := s.Links(cloud.WithCaller(t.Context(), c))
	if err != nil {
		t.Fatal(err)
	}
	if sign == nil {
		return ""
	}
	return path + "?" + sign(path)
}

// form is how clients sign, said once more.
type form struct {
	user, key, verb, date, algo string
	expires                     int
	path                        string // with a query, or without
}

func (f form) address() string {
	sep := "?"
	if strings.Contains(f.path, "?") {
		sep = "&"
	}
	a := f.path + sep + url.Values{"OC-Credential": {f.user}, "OC-Date": {f.date}, "OC-Expires": {strconv.Itoa(f.expires)}, "OC-Verb": {f.verb}}.Encode()
	sum, err := pbkdf2.Key(sha512.New, site+a, []byte(f.key), 10_000, 32)
	if err != nil {
		panic(err)
	}
	return a + "&OC-Algo=" + url.QueryEscape(f.algo) + "&OC-Signature=" + hex.EncodeToString(sum)
}

func good(user, key string) form {
	return form{user: user, key: key, verb: "GET", date: time.Now().UTC().Format(time.RFC3339Nano), algo: algorithm, expires: 1200, path: "/dav/a%20b?x=y"}
}

// a door counts the tries.
type door struct {
	*Signer
	tries int
	shut  bool
}

// enter is who comes in, empty for nobody.
func (d *door) enter(t rapid.TB, method, address string) string {
	t.Helper()
	u, err := url.ParseRequestURI(address)
	if err != nil {
		return ""
	}
	r := httptest.NewRequest(method, "/", nil)
	r.URL = u
	c, ok, err := d.Enter(r, func(account string) error {
		d.tries++
		if d.shut {
			return cloud.Throttled
		}
		return nil
	})
	if !ok || err != nil {
		if k := cloud.KindOf(err); err != nil && k != cloud.Unauthorized && k != cloud.Throttled {
			t.Fatal(err)
		}
		return ""
	}
	if c.Proof != cloud.ByURL || c.InPerson() {
		t.Fatalf("%+v came in by an address", c)
	}
	return c.User.Name
}

func TestSignature(t *testing.T) {
	s := house(t)
	synctest.Test(t, func(t *testing.T) {
		key, bobs := s.keyOf(t, ada), s.keyOf(t, bob)
		for _, c := range []struct {
			name   string
			method string
			change func(f *form)
			edit   func(address string) string
			want   string
			tries  int
		}{
			{"as it should be", "GET", nil, nil, "ada", 1},
			{"HEAD of what may be read", "HEAD", nil, nil, "ada", 1},
			{"HEAD signed", "HEAD", func(f *form) { f.verb = "HEAD" }, nil, "ada", 1},
			{"no query of its own", "GET", func(f *form) { f.path = "/x" }, nil, "ada", 1},
			{"name in capitals", "GET", func(f *form) { f.user = "ADA" }, nil, "ada", 1},
			{"algorithm not escaped", "GET", nil, func(a string) string { return strings.Replace(a, "%2F1", "/1", 1) }, "ada", 1},
			{"signature in front", "GET", nil, func(a string) string {
				i := strings.LastIndex(a, "&")
				return strings.Replace(a[:i], "?", "?"+a[i+1:]+"&", 1)
			}, "ada", 1},
			{"a clock that is ahead", "GET", func(f *form) { f.date = time.Now().Add(time.Hour).UTC().Format(time.RFC3339) }, nil, "ada", 1},

			{"GET of what is for HEAD", "GET", func(f *form) { f.verb = "HEAD" }, nil, "", 0},
			{"PUT", "PUT", nil, nil, "", 0},
			{"PUT signed", "PUT", func(f *form) { f.verb = "PUT" }, nil, "", 0},
			{"DELETE", "DELETE", nil, nil, "", 0},
			{"expired", "GET", func(f *form) { f.date = time.Now().Add(-20 * time.Minute).UTC().Format(time.RFC3339) }, nil, "", 0},
			{"for too long", "GET", func(f *form) { f.expires = 86401 }, nil, "", 0},
			{"for ever", "GET", func(f *form) { f.expires = 1<<31 - 1 }, nil, "", 0},
			{"from the future", "GET", func(f *form) { f.date = "9999-12-31T23:59:59Z" }, nil, "", 0},
			{"no date", "GET", func(f *form) { f.date = "" }, nil, "", 0},
			{"other algorithm", "GET", func(f *form) { f.algo = "PBKDF2/1-SHA512" }, nil, "", 0},
			{"no algorithm", "GET", func(f *form) { f.algo = "" }, nil, "", 0},
			{"key of somebody else", "GET", func(f *form) { f.key = bobs }, nil, "", 1},
			{"no key", "GET", func(f *form) { f.key = "" }, nil, "", 1},
			{"somebody else", "GET", func(f *form) { f.user = "bob" }, nil, "", 1},
			{"nobody", "GET", func(f *form) { f.user = "" }, nil, "", 0},
			{"unknown user", "GET", func(f *form) { f.user, f.key = "eve", "" }, nil, "", 1},
			{"added to", "GET", nil, func(a string) string { return a + "&preview=1" }, "", 1},
			{"other path", "GET", nil, func(a string) string { return strings.Replace(a, "/dav/a", "/dav/b", 1) }, "", 1},
			{"escaped otherwise", "GET", nil, func(a string) string { return strings.Replace(a, "/dav/a", "/dav/%61", 1) }, "", 1},
			{"signature in capitals", "GET", nil, func(a string) string {
				i := strings.LastIndex(a, "=")
				return a[:i] + strings.ToUpper(a[i:])
			}, "", 0},
			{"signature cut", "GET", nil, func(a string) string { return a[:len(a)-2] }, "", 0},
			{"empty signature", "GET", nil, func(a string) string { return a[:len(a)-64] }, "", 0},
			{"two dates", "GET", nil, func(a string) string { return a + "&OC-Date=2020-01-01T00:00:00Z" }, "", 0},
			{"two signatures", "GET", nil, func(a string) string { return a + a[strings.LastIndex(a, "&"):] }, "", 0},
		} {
			d := &door{Signer: s}
			f := good("ada", key)
			if c.change != nil {
				c.change(&f)
			}
			address := f.address()
			if c.edit != nil {
				address = c.edit(address)
			}
			for range 2 {
				if got := d.enter(t, c.method, address); got != c.want {
					t.Errorf("%s: %q came in, want %q", c.name, got, c.want)
				}
			}
			// What was right is known from then on; what is wrong counts each time.
			want := c.tries
			if c.want == "" {
				want *= 2
			}
			if d.tries != want {
				t.Errorf("%s: %d tries, want %d", c.name, d.tries, want)
			}
			s.seen = recent.New()
		}
		// Who guesses is held up, who has signed is not.
		d := &door{Signer: s}
		known := good("ada", key).address()
		d.enter(t, "GET", known)
		d.shut = true
		if got := d.enter(t, "GET", known); got != "ada" {
			t.Errorf("while somebody guesses: %q", got)
		}
		if got := d.enter(t, "GET", good("bob", bobs).address()); got != "" {
			t.Errorf("a guess too many: %q", got)
		}
	})
}

// Nobody comes in without a key, however the signature was made.
func TestNoKey(t *testing.T) {
	s := house(t)
	synctest.Test(t, func(t *testing.T) {
		d := &door{Signer: s}
		for _, key := range []string{"", "null", "undefined", "ada", s.nobody} {
			if got := d.enter(t, "GET", good("ada", key).address()); got != "" {
				t.Errorf("key %q: %q", key, got)
			}
		}
	})
}

func TestKeys(t *testing.T) {
	s := house(t)
	synctest.Test(t, func(t *testing.T) {
		d := &door{Signer: s}
		first := s.keyOf(t, ada)
		if first[0] < 'a' || first[0] > 'z' || len(first) < 20 {
			t.Errorf("key %q", first)
		}
		time.Sleep(12*time.Hour - time.Second)
		if again := s.keyOf(t, ada); again != first {
			t.Error("another key before its time")
		}
		time.Sleep(time.Second)
		second := s.keyOf(t, ada)
		if second == first || s.keyOf(t, ada) != second {
			t.Error("the key stays the same, or does not")
		}
		for _, key := range []string{first, second} {
			if got := d.enter(t, "GET", good("ada", key).address()); got != "ada" {
				t.Errorf("in the overlap: %q", got)
			}
		}
		time.Sleep(12 * time.Hour)
		if got := d.enter(t, "GET", good("ada", first).address()); got != "" {
			t.Error("the first key is good for ever")
		}
		address := good("ada", second).address()
		if got := d.enter(t, "GET", address); got != "ada" {
			t.Error("the second key ended too early")
		}
		bobs := s.keyOf(t, bob)
		if err := s.SignOut(t.Context(), adaID); err != nil {
			t.Fatal(err)
		}
		if got := d.enter(t, "GET", address); got != "" {
			t.Error("an address that was seen is good after signing out")
		}
		if got := d.enter(t, "GET", good("bob", bobs).address()); got != "bob" {
			t.Errorf("somebody else after that: %q", got)
		}
		if s.keyOf(t, ada) == second {
			t.Error("the key is back")
		}
		for range 2 {
			if err := s.Forget(t.Context(), bobID); err != nil {
				t.Fatal(err)
			}
		}
		if got := d.enter(t, "GET", good("bob", bobs).address()); got != "" {
			t.Errorf("forgotten: %q", got)
		}
		for _, proof := range []cloud.Proof{cloud.ByAppToken, cloud.ByURL, cloud.ByMachine} {
			if _, err := s.Key(cloud.WithCaller(t.Context(), cloud.Caller{User: ada, Proof: proof})); cloud.KindOf(err) != cloud.Permission {
				t.Errorf("proof %d: %v", proof, err)
			}
			if got := s.linkOf(t, cloud.Caller{User: ada, Proof: proof}, "/x"); got != "" {
				t.Errorf("proof %d: link %s", proof, got)
			}
		}
		if _, err := s.Key(t.Context()); cloud.KindOf(err) != cloud.Unauthorized {
			t.Errorf("nobody: %v", err)
		}
	})
}

func TestLink(t *testing.T) {
	s := house(t)
	synctest.Test(t, func(t *testing.T) {
		d := &door{Signer: s}
		alive := map[string]bool{"s1": true}
		s.opts.Alive = func(session string) bool { return alive[session] }
		const path = "/dav/spaces/a$b!c"
		free, bound := s.linkOf(t, cloud.Caller{User: ada}, path), s.linkOf(t, cloud.Caller{User: ada, Session: "s1"}, path)
		other := s.linkOf(t, cloud.Caller{User: bob}, path)
		_, query, _ := strings.Cut(free, "?")
		expect := func(what, method, address, want string) {
			t.Helper()
			if got := d.enter(t, method, address); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		expect("as it is", "GET", free, "ada")
		expect("in a session", "HEAD", bound, "ada")
		expect("of bob", "GET", other, "bob")
		expect("with more", "GET", free+"&preview=1&x=36", "ada")
		expect("with more in front", "GET", path+"?x=36&"+query, "ada")
		expect("escaped by a proxy", "GET", "/dav/spaces/a%24b%21c?"+query, "ada")
		for _, method := range []string{"PUT", "POST", "DELETE", "PROPFIND", "get"} {
			expect(method, method, free, "")
		}
		for _, p := range []string{"/dav/spaces/a$b!d", "/dav/spaces/a$b!c/", "/dav/spaces/a$b", "//dav/spaces/a$b!c", "/dav/spaces%2Fa$b!c", "/dav/spaces/x/../a$b!c"} {
			expect(p, "GET", p+"?"+query, "")
		}
		// A path with escapes in it.
		deep := s.linkOf(t, cloud.Caller{User: ada}, "/dav/a b/c%2F")
		_, q, _ := strings.Cut(deep, "?")
		expect("escaped as it should be", "GET", "/dav/a%20b/c%252F?"+q, "ada")
		expect("a slash that is none", "GET", "/dav/a%20b/c%2F?"+q, "")

		parts := strings.Split(strings.TrimPrefix(query, linkParam+"="), ".")
		none := b64.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
		wider := b64.EncodeToString([]byte(`{"path":"` + path + `","sub":"` + string(bobID) + `","exp":9999999999}`))
		for _, token := range []string{
			"", ".", "..", parts[0] + "." + parts[1] + ".", none + "." + parts[1] + ".", none + "." + parts[1] + "." + parts[2],
			parts[0] + "." + wider + "." + parts[2], parts[1] + "." + parts[2], parts[0] + "." + parts[1] + "." + base64.StdEncoding.EncodeToString([]byte(parts[2])),
			strings.Join(parts, ".") + "=", strings.Join(parts, ".") + ".",
		} {
			expect(token, "GET", path+"?"+linkParam+"="+token, "")
		}

		alive["s1"] = false
		expect("its session has ended", "GET", bound, "")
		expect("without session", "GET", free, "ada")
		time.Sleep(30*time.Minute - time.Second)
		expect("nearly expired", "GET", free, "ada")
		time.Sleep(time.Second)
		expect("expired", "GET", free, "")

		free, other = s.linkOf(t, cloud.Caller{User: ada}, path), s.linkOf(t, cloud.Caller{User: bob}, path)
		if err := s.SignOut(t.Context(), adaID); err != nil {
			t.Fatal(err)
		}
		expect("signed out", "GET", free, "")
		expect("bob was not", "GET", other, "bob")
		free = s.linkOf(t, cloud.Caller{User: ada}, path)
		expect("after that", "GET", free, "ada")
		if d.tries != 0 {
			t.Errorf("%d tries", d.tries)
		}
		// The server restarts.
		again, err := Open(s.path, s.dir, s.opts)
		if err != nil {
			t.Fatal(err)
		}
		d.Signer = again
		expect("after a restart", "GET", free, "ada")
		opts := s.opts
		opts.Secret = "the same for several machines"
		if d.Signer, err = Open(s.path, s.dir, opts); err != nil {
			t.Fatal(err)
		}
		expect("with another secret", "GET", free, "")
	})
}

// The most that a person can change of a signed address is nothing.
func TestNoByteCanChange(t *testing.T) {
	s := house(t)
	d := &door{Signer: s}
	key := s.keyOf(t, ada)
	s.keyOf(t, bob)
	addresses := []string{good("ada", key).address(), s.linkOf(t, cloud.Caller{User: ada}, "/dav/spaces/a$b!c")}
	for _, a := range addresses {
		if d.enter(t, "GET", a) != "ada" {
			t.Fatalf("%s is not good", a)
		}
	}
	alphabet := []byte("abzAZ0159-_.~%&=?/+!$ ")
	// Each byte of the link, which costs little.
	link := addresses[1]
	for i := range link {
		for _, c := range alphabet {
			if c == link[i] {
				continue
			}
			if altered := link[:i] + string(c) + link[i+1:]; d.enter(t, "GET", altered) != "" {
				t.Errorf("good: %s", altered)
			}
		}
	}
	if altered := strings.Replace(addresses[0], "?", "?&", 1); d.enter(t, "GET", altered) != "" {
		t.Fatalf("good: %s", altered) // what the property below has found once
	}
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom(addresses).Draw(t, "address")
		i := rapid.IntRange(0, len(a)-1).Draw(t, "at")
		var altered string
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 0:
			altered = a[:i] + string(rapid.SampledFrom(alphabet).Draw(t, "byte")) + a[i+1:]
		case 1:
			altered = a[:i] + string(rapid.Byte().Draw(t, "byte")) + a[i+1:]
		case 2:
			altered = a[:i] + a[i+1:]
		case 3:
			altered = a[:i] + string(rapid.SampledFrom(alphabet).Draw(t, "byte")) + a[i:]
		}
		if altered != a && !sameLink(a, altered) && d.enter(t, "GET", altered) != "" {
			t.Fatalf("good: %s", altered)
		}
	})
}

// sameLink tells whether an alteration of a link is in what may be added to it.
func sameLink(a, b string) bool {
	_, was, _ := strings.Cut(a, "?")
	path, now, _ := strings.Cut(b, "?")
	x, ok := find(was, linkParam)
	y, _ := find(now, linkParam)
	return ok && x == y && strings.HasPrefix(a, path+"?")
}

// What a crash leaves of the files keeps nobody from getting a key, and lets
// nobody in.
func TestTornFiles(t *testing.T) {
	s := house(t)
	synctest.Test(t, func(t *testing.T) {
		d := &door{Signer: s}
		if err := s.SignOut(t.Context(), adaID); err != nil {
			t.Fatal(err)
		}
		key := s.keyOf(t, ada)
		link := s.linkOf(t, cloud.Caller{User: ada}, "/x")
		body, err := os.ReadFile(s.file(adaID))
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(body) - 1 {
			time.Sleep(time.Nanosecond) // a round is named after the time
			if err := os.WriteFile(s.file(adaID), body[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			if d.enter(t, "GET", link) != "" {
				t.Fatalf("cut at %d: the link is good", n)
			}
			if n%16 == 0 {
				if d.enter(t, "GET", good("ada", key).address()) != "" {
					t.Fatalf("cut at %d: the key is good", n)
				}
				if next := s.keyOf(t, ada); next == key || d.enter(t, "GET", good("ada", next).address()) != "ada" {
					t.Fatalf("cut at %d: no new key", n)
				}
			}
		}
		if err := os.WriteFile(s.file(adaID), []byte(strings.Replace(string(body), string(adaID), string(bobID), 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if d.enter(t, "GET", link) != "" {
			t.Error("the file of somebody else")
		}
		secret := filepath.Join(s.path, "secret")
		for _, body := range []string{"", "x", strings.Repeat("0", 62)} {
			if err := os.WriteFile(secret, []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
			again, err := Open(s.path, s.dir, s.opts)
			if err != nil || len(again.secret) != 32 || string(again.secret) == string(s.secret) {
				t.Errorf("secret %q: %v", body, err)
			}
		}
		for _, name := range []string{secret, s.file(adaID)} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
	})
}

func TestOptions(t *testing.T) {
	u, _ := url.Parse(site)
	for _, o := range []Options{
		{LinkLife: time.Second, KeyLife: time.Hour, URL: u}, {LinkLife: time.Hour, URL: u}, {LinkLife: time.Hour, KeyLife: time.Hour, Secret: "short", URL: u},
	} {
		if _, err := Open(t.TempDir(), nil, o); !errors.Is(err, cloud.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Whatever the query is, the parser keeps all of it but what it takes out.
func FuzzParse(f *testing.F) {
	_, query, _ := strings.Cut(good("ada", "k").address(), "?")
	f.Add(query)
	f.Add("OC-Credential=a&OC-Date=2020-01-01T00:00:00Z&OC-Expires=1&OC-Verb=GET&OC-Algo=" + algorithm + "&OC-Signature=" + strings.Repeat("0", 64) + "&&x=&=y")
	f.Add("oc-jwt-sig=a.b.c")
	f.Fuzz(func(t *testing.T, raw string) {
		q, ok := parse(raw)
		if !ok {
			return
		}
		if q.user == "" || len(q.signature) != 64 || q.until.IsZero() {
			t.Fatalf("parse(%q) = %+v", raw, q)
		}
		for _, name := range []string{signatureParam, "OC-Algo"} {
			if _, ok := find(q.signed, name); ok {
				t.Fatalf("parse(%q): %s is signed", raw, name)
			}
		}
		if got, want := strings.Count(raw, "OC-Verb="), strings.Count(q.signed, "OC-Verb="); got != want {
			t.Fatalf("parse(%q): %q", raw, q.signed)
		}
	})
}

// No text but what was signed opens anything.
func FuzzLink(f *testing.F) {
	s := house(f)
	const path = "/dav/spaces/a"
	link := s.linkOf(f, cloud.Caller{User: ada}, path)
	_, query, _ := strings.Cut(link, "?")
	f.Add(query)
	f.Add(linkParam + "=" + header + "e30.x")
	f.Add("OC-Signature=" + strings.Repeat("a", 64))
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.URL.RawQuery = query
		c, ok, err := s.Enter(r, func(string) error { return nil })
		if ok && err == nil {
			if token, _ := find(query, linkParam); linkParam+"="+token != strings.SplitN(link, "?", 2)[1] {
				t.Fatalf("%q lets %s in", query, c.User.Name)
			}
		}
	})
}

func BenchmarkLink(b *testing.B) {
	s := house(b)
	sign, err := s.Links(cloud.WithCaller(b.Context(), cloud.Caller{User: ada, Session: "x"}))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		sign("/dav/spaces/a$b!c")
	}
}

func BenchmarkEnter(b *testing.B) {
	s := house(b)
	const path = "/dav/spaces/a"
	for name, address := range map[string]string{
		"link": s.linkOf(b, cloud.Caller{User: ada}, path), "signature seen": good("ada", s.keyOf(b, ada)).address(),
	} {
		r := httptest.NewRequest("GET", address, nil)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok, err := s.Enter(r, func(string) error { return nil }); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
	b.Run("signature", func(b *testing.B) {
		r := httptest.NewRequest("GET", good("ada", s.keyOf(b, ada)).address(), nil)
		for b.Loop() {
			s.seen = recent.New()
			if _, ok, err := s.Enter(r, func(string) error { return nil }); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
}
