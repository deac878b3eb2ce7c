package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"pgregory.net/rapid"

	"opencloud/cloud"
)

func TestLogoutTokens(t *testing.T) {
	w := newWorld(t)
	a := w.a
	raw := a.mint(ada())
	w.is(raw, w.ada.ID)
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	now := time.Now()
	for _, c := range []struct{ what, token, say string }{
		{"nothing", "", "is not one"},
		{"an access token", raw, "no jti"},
		{"typed as one", a.mint(farewellOf(), "typ", "at+jwt"), "is not one"},
		{"of a stranger", sign(t, jose.ES256, stranger, "k1", farewellOf()), "not the issuer's"},
		{"of another issuer", a.mint(farewellOf("iss", "https://evil.example.org")), "not the issuer's"},
		{"for another client", a.mint(farewellOf("aud", "wiki")), "aud"},
		{"for nobody", a.mint(farewellOf("aud", nil)), "aud"},
		{"without events", a.mint(farewellOf("events", nil)), "events"},
		{"with another event", a.mint(farewellOf("events", map[string]any{"x": map[string]any{}})), "events"},
		{"with an event that is no object", a.mint(farewellOf("events", map[string]any{event: true})), "events"},
		{"with events that are a list", a.mint(farewellOf("events", []string{event})), "events"},
		{"with a nonce", a.mint(farewellOf("nonce", "n")), "nonce"},
		{"with no nonce, said", a.mint(claims(farewellOf("x", 1)).with("nonce", nil)), "nonce"},
		{"without jti", a.mint(farewellOf("jti", nil)), "no jti"},
		{"with a number as jti", a.mint(farewellOf("jti", 7)), "jti is not"},
		{"with a long jti", a.mint(farewellOf("jti", strings.Repeat("j", 501))), "jti is not"},
		{"of nobody", a.mint(farewellOf("sub", nil, "sid", nil)), "neither"},
		{"of a number", a.mint(farewellOf("sub", 7)), "sub is not"},
		{"of a list of sessions", a.mint(farewellOf("sid", []string{"browser"})), "sid is not"},
		{"expired", a.mint(farewellOf("exp", now.Unix())), "expired"},
		{"with a text as end", a.mint(farewellOf("exp", "soon")), "times"},
		{"without iat", a.mint(farewellOf("iat", nil)), "times"},
		{"of tomorrow", a.mint(farewellOf("iat", now.Add(time.Hour).Unix())), "times"},
		{"old", a.mint(farewellOf("exp", nil, "iat", now.Add(-time.Hour).Unix())), "expired"},
		{"huge", a.mint(farewellOf("x", strings.Repeat("x", 20_000))), "too long"},
		{"with the public key as secret", sign(t, jose.HS256, []byte(strings.Repeat("k", 32)), "k1", farewellOf()), "is not one"},
	} {
		rec := w.logout(c.token)
		if rec.Code != 400 || !strings.Contains(rec.Body.String(), c.say) || !strings.Contains(rec.Body.String(), `"error":"invalid_request"`) {
			t.Errorf("%s: got %d %s, want 400 with %q", c.what, rec.Code, rec.Body, c.say)
		}
	}
	// The issuer may have a new key, and must not be asked so soon again.
	if rec := w.logout(sign(t, jose.ES256, stranger, "k9", farewellOf())); rec.Code != 503 {
		t.Errorf("of a key that nobody knows: got %d %s", rec.Code, rec.Body)
	}
	w.is(raw, w.ada.ID)
	for _, c := range []struct {
		what string
		r    *http.Request
		want int
	}{
		{"GET", httptest.NewRequest("GET", logoutPath, nil), 405},
		{"JSON", httptest.NewRequest("POST", logoutPath, strings.NewReader(`{"logout_token":"x"}`)), 400},
		{"twice", form("logout_token=a&logout_token=b"), 400},
		{"in the address", form("", "?logout_token="+a.mint(farewellOf())), 400},
		{"a large form", form("logout_token=" + strings.Repeat("x", 100_000)), 400},
		{"another place", httptest.NewRequest("POST", logoutPath+"/x", nil), 404},
		{"discovery, not wanted", httptest.NewRequest("GET", discoveryPath, nil), 404},
	} {
		rec := httptest.NewRecorder()
		if w.i.Handler().ServeHTTP(rec, c.r); rec.Code != c.want {
			t.Errorf("%s: got %d, want %d", c.what, rec.Code, c.want)
		}
	}
	w.is(raw, w.ada.ID)

	good := a.mint(farewellOf(), "typ", "logout+jwt")
	if rec := w.logout(good); rec.Code != 200 || rec.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("good: got %d %s", rec.Code, rec.Body)
	}
	w.isNot(raw, cloud.Unauthorized, "")
	if rec := w.logout(good); rec.Code != 400 || !strings.Contains(rec.Body.String(), "used before") {
		t.Errorf("again: got %d %s", rec.Code, rec.Body)
	}
	w.open()
	if rec := w.logout(good); rec.Code != 400 || !strings.Contains(rec.Body.String(), "used before") {
		t.Errorf("again after a restart: got %d %s", rec.Code, rec.Body)
	}
}

// with sets a claim, also to nothing.
func (c claims) with(name string, v any) claims {
	c[name] = v
	return c
}

func form(body string, query ...string) *http.Request {
	r := httptest.NewRequest("POST", logoutPath+strings.Join(query, ""), strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// Which tokens end with what the issuer says has ended, those that were seen
// and those that were not.
func TestWhatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			what     string
			farewell []any
			token    []any
			later    bool // issued after the sign-out
			ends     bool
		}{
			{"a session", []any{"sub", nil}, nil, false, true},
			{"a session, issued later", []any{"sub", nil}, nil, true, true},
			{"another session", []any{"sub", nil, "sid", "phone"}, nil, false, false},
			{"a session, of a token that names none", []any{"sub", nil}, []any{"sid", nil}, false, false},
			{"a session and whose", nil, nil, false, true},
			{"a session and whose, of a token that names none", nil, []any{"sid", nil}, false, true},
			{"a session and whose, of a later one that names none", nil, []any{"sid", nil}, true, false},
			{"another session and whose", []any{"sid", "phone"}, nil, false, false},
			{"all sessions", []any{"sid", nil}, nil, false, true},
			{"all sessions, of a token that names none", []any{"sid", nil}, []any{"sid", nil}, false, true},
			{"all sessions, issued later", []any{"sid", nil}, nil, true, false},
			{"all of somebody else", []any{"sid", nil, "sub", "s-bob"}, nil, false, false},
			{"a session and somebody else", []any{"sub", "s-bob"}, nil, false, true},
		} {
			for _, known := range []bool{true, false} {
				for _, restart := range []bool{true, false} {
					w := newWorld(t)
					raw := w.a.mint(ada(c.token...))
					if known && !c.later {
						w.is(raw, w.ada.ID)
					}
					time.Sleep(2 * time.Second)
					if rec := w.logout(w.a.mint(farewellOf(c.farewell...))); rec.Code != 200 {
						t.Fatalf("%s: got %d %s", c.what, rec.Code, rec.Body)
					}
					if c.later {
						time.Sleep(2 * time.Second)
						raw = w.a.mint(ada(c.token...))
					}
					if restart {
						w.open()
					}
					if _, err := w.come(raw); (err != nil) != c.ends || err != nil && cloud.KindOf(err) != cloud.Unauthorized {
						t.Errorf("%s (known %v, restart %v): got %v, want ended %v", c.what, known, restart, err, c.ends)
					}
				}
			}
		}
	})
}

// A sign-out of which nobody can say whether it is the issuer's is to come again.
func TestLogoutWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.a.fail()
		token := w.a.mint(farewellOf())
		if rec := w.logout(token); rec.Code != 503 || rec.Header().Get("Retry-After") == "" {
			t.Errorf("got %d %v", rec.Code, rec.Header())
		}
		w.a.heal()
		time.Sleep(pause)
		if rec := w.logout(token); rec.Code != 200 {
			t.Errorf("got %d %s", rec.Code, rec.Body)
		}
		w.isNot(w.a.mint(ada()), cloud.Unauthorized, "signed out")
	})
}

// The file may be cut at any byte: what is whole counts, and what is written
// next, too.
func TestEndedIsDurable(t *testing.T) {
	dir := t.TempDir()
	e, err := openEnded(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	for i := range 3 {
		if ok, err := e.add(at, mark{seen, fmt.Sprint(i)}, mark{session, fmt.Sprint(i)}); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	e.close()
	name := filepath.Join(dir, "young")
	body, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(body) + 1 {
		if err := os.WriteFile(name, body[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := openEnded(dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(e.young), strings.Count(string(body[:n]), "\n"); got != want {
			t.Fatalf("cut at %d: got %d, want %d", n, got, want)
		}
		if _, err := e.add(at, mark{seen, "next"}); err != nil {
			t.Fatal(err)
		}
		e.close()
		if e, err = openEnded(dir, quiet); err != nil {
			t.Fatal(err)
		}
		if _, ok := e.find(mark{seen, "next"}); !ok {
			t.Fatalf("cut at %d: what came after is lost", n)
		}
		e.close()
	}
}

// However much ends, memory and files are bounded, and the last generation is
// never forgotten.
func TestEndedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		e, err := openEnded(dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		add := func(name string) {
			t.Helper()
			if ok, err := e.add(time.Now(), mark{seen, name}); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		has := func(name string) bool {
			_, ok := e.find(mark{seen, name})
			return ok
		}
		add("first")
		for i := range generation { // as if they had been added
			e.young[mark{session, fmt.Sprint(i)}] = time.Now()
		}
		add("second")
		if !has("first") || !has("second") || len(e.young) != 1 {
			t.Errorf("full: %d and %d", len(e.young), len(e.old))
		}
		time.Sleep(lasts)
		add("third")
		if has("first") || !has("second") || !has("third") {
			t.Errorf("old: %v and %v", e.young, e.old)
		}
		e.close()
		if e, err = openEnded(dir, quiet); err != nil {
			t.Fatal(err)
		}
		if has("first") || !has("second") || !has("third") {
			t.Errorf("opened again: %v and %v", e.young, e.old)
		}
		e.close()
	})
}

// A token is alive as long as nothing that ended says otherwise.
func TestAliveProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e, err := openEnded(t.TempDir(), quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer e.close()
		base := time.Now().Truncate(time.Second)
		type over struct {
			kind  kind
			value string
			at    int
		}
		var all []over
		n := rapid.IntRange(0, 6).Draw(rt, "n")
		for i := range n {
			o := over{
				rapid.SampledFrom([]kind{session, subject, unnamed}).Draw(rt, "kind"),
				rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "value"), i, // time goes on
			}
			all = append(all, o)
			if _, err := e.add(base.Add(time.Duration(o.at)*time.Second), mark{seen, fmt.Sprint(i)}, mark{o.kind, o.value}); err != nil {
				t.Fatal(err)
			}
		}
		sid := rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, "sid")
		sub := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "sub")
		issued := rapid.IntRange(-1, 7).Draw(rt, "issued")
		want := true
		for _, o := range all {
			switch {
			case o.kind == session && sid == o.value,
				o.kind == subject && sub == o.value && issued <= o.at,
				o.kind == unnamed && sub == o.value && sid == "" && issued <= o.at:
				want = false
			}
		}
		if got := e.alive(sid, sub, base.Add(time.Duration(issued)*time.Second)); got != want {
			rt.Fatalf("%+v, sid %q, sub %q, issued %d: got %v, want %v", all, sid, sub, issued, got, want)
		}
	})
}

// No logout token that the issuer did not sign ends anything.
func FuzzLogout(f *testing.F) {
	w := newWorld(f)
	for _, seed := range []string{"", "x.y.z", w.a.mint(ada()), w.a.mint(farewellOf("nonce", "n")), w.a.mint(farewellOf("events", nil)), "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(seed, []byte(`{}`))
	}
	f.Add("", []byte(`{"jti":"j","sub":"s","iat":1,"exp":99999999999,"events":{"`+event+`":{}}}`))
	f.Add("", []byte(`{"jti":"j","sid":["s"],"iat":"x","events":{"`+event+`":null}}`))
	f.Fuzz(func(t *testing.T, token string, body []byte) {
		if rec := w.logout(token); rec.Code == 200 {
			t.Errorf("%q was taken", token)
		}
		c, err := parseClaims(body)
		if err != nil {
			return
		}
		b, err := c.farewell(time.Now())
		if err == nil && (b.id == "" || b.session == "" && b.subject == "" || c["nonce"] != nil) {
			t.Errorf("%s: got %+v", body, b)
		}
		if err != nil && cloud.KindOf(err) != cloud.Invalid {
			t.Errorf("%s: %v", body, err)
		}
	})
}
