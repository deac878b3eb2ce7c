package oidc

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/cloud"
)

func opaque(o *Options)   { o.Verify, o.SkipInfo = Opaque, false }
func withInfo(o *Options) { o.SkipInfo = false }

// Without the issuer those go on whose keys are known, the others hear at once
// that it is not their fault, and all is well by itself when it is back.
func TestIssuerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.a.fail()
		raw := w.a.mint(ada())
		asked := func() int { return w.a.count(issuerURL + discoveryPath) }
		for range 50 {
			w.isNot(raw, cloud.Unavailable, "Try again in a moment")
		}
		if asked() != 1 {
			t.Errorf("asked %d times while it was down", asked())
		}
		time.Sleep(pause)
		w.isNot(raw, cloud.Unavailable, "")
		if asked() != 2 {
			t.Errorf("asked %d times, after a pause", asked())
		}
		w.a.heal()
		time.Sleep(pause)
		w.is(raw, w.ada.ID)

		w.a.fail()
		for i := range 20 {
			w.is(w.a.mint(ada("n", i)), w.ada.ID)
		}
		time.Sleep(2 * time.Hour) // the keys are old, and better than none
		for i := range 20 {
			w.is(w.a.mint(ada("n", i)), w.ada.ID)
		}
		synctest.Wait()
		if asked() != 4 {
			t.Errorf("asked %d times, for keys that are old", asked())
		}
		w.a.heal()
		time.Sleep(pause)
		w.is(w.a.mint(ada()), w.ada.ID)
		synctest.Wait()
		if asked() != 5 {
			t.Errorf("asked %d times, when it was back", asked())
		}
		if got := strings.Count(w.log.String(), "level=ERROR"); got != 2 {
			t.Errorf("%d errors in the log, want one for each time:\n%s", got, w.log)
		}
		if got := strings.Count(w.log.String(), "answers again"); got != 2 {
			t.Errorf("%d recoveries in the log, want one for each time:\n%s", got, w.log)
		}
	})
}

// An issuer that takes its time keeps nobody long, and is asked once.
func TestIssuerSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.a.wait = make(chan struct{})
		raw := w.a.mint(ada())
		start := time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { w.isNot(raw, cloud.Unavailable, "Try again in a moment") })
		}
		all.Go(func() { w.isNot(w.a.mint(ada("n", 2)), cloud.Unavailable, "Try again in a moment") })
		all.Wait()
		if took := time.Since(start); took != patience {
			t.Errorf("waited %s, want %s", took, patience)
		}
		w.isNot(raw, cloud.Unavailable, "") // and who comes later does not wait for longer
		if took := time.Since(start); took != patience {
			t.Errorf("waited %s, want %s", took, patience)
		}
		// Whoever goes away does not wait, nor spoil it for the others.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.i.Token(ctx, raw); err == nil {
			t.Error("got a token")
		}
		close(w.a.wait)
		synctest.Wait()
		w.is(raw, w.ada.ID)
		if n := w.a.count(issuerURL + "/keys"); n != 1 {
			t.Errorf("keys were asked for %d times", n)
		}
		// One that never answers is given up.
		w.a.set(func() { w.a.wait = make(chan struct{}) })
		time.Sleep(2 * time.Hour)
		w.is(w.a.mint(ada()), w.ada.ID)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if !strings.Contains(w.log.String(), "deadline") {
			t.Errorf("the log says nothing of it:\n%s", w.log)
		}
	})
}

// A new key is asked for when it comes, and not more often than the limit says.
func TestKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		asked := func() int { return w.a.count(issuerURL + "/keys") }
		old := w.a.mint(ada())
		w.is(old, w.ada.ID)
		time.Sleep(time.Minute)
		w.a.rotate("k2")
		w.is(w.a.mint(ada()), w.ada.ID)
		if asked() != 2 {
			t.Errorf("asked %d times, want 2", asked())
		}
		// The old key is withdrawn: what is not known yet is no good any more.
		w.isNot(sign(t, "ES256", newKey(t, "k1").Key, "k1", ada("iat", time.Now().Add(-2*time.Minute).Unix())), cloud.Unauthorized, "not valid")
		w.is(old, w.ada.ID) // until somebody looks again
		for i := range 100 {
			w.isNot(sign(t, "ES256", newKey(t, "x").Key, "x", ada("n", i, "iat", time.Now().Add(30*time.Second).Unix())), cloud.Unavailable, "")
		}
		if asked() != 2 {
			t.Errorf("asked %d times for keys that nobody has, want 2", asked())
		}
		w.a.rotate("k3")
		w.isNot(w.a.mint(ada("iat", time.Now().Add(time.Second).Unix())), cloud.Unavailable, "") // too early to say
		time.Sleep(time.Minute)
		w.is(w.a.mint(ada()), w.ada.ID)
		// The same id with another key.
		time.Sleep(time.Minute)
		w.isNot(sign(t, "ES256", newKey(t, "k3").Key, "k3", ada("n", 2)), cloud.Unauthorized, "not valid")

		// A token that lives long is looked at again.
		long := w.a.mint(ada("exp", time.Now().Add(48*time.Hour).Unix()))
		w.is(long, w.ada.ID)
		w.a.rotate("k4")
		time.Sleep(time.Hour)
		w.is(w.a.mint(ada()), w.ada.ID)
		time.Sleep(time.Hour)
		synctest.Wait()
		w.isNot(long, cloud.Unauthorized, "not valid")
	})
}

func TestOpaque(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, opaque, roles, provision)
		asked := func() int { return w.a.count(issuerURL + "/userinfo") }
		who := ada("roles", []string{"opencloudUser"}, "groups", []string{"crew"})
		w.a.people["opaque"] = who
		for range 3 {
			w.is("opaque", w.ada.ID)
		}
		if asked() != 1 || w.groupsOf(w.ada.ID) != "crew" {
			t.Errorf("asked %d times, groups %q", asked(), w.groupsOf(w.ada.ID))
		}
		time.Sleep(10 * time.Second)
		w.is("opaque", w.ada.ID)
		if asked() != 2 {
			t.Errorf("asked %d times, want 2", asked())
		}
		w.isNot("unknown", cloud.Unauthorized, "not valid")

		// A sign-out of which the token may be: the issuer says.
		time.Sleep(time.Second)
		before := asked()
		w.a.set(func() {
			w.a.people["other"] = ada("sub", "s-bob", "preferred_username", "bob", "roles", "opencloudUser")
		})
		w.is("other", "")
		i := w.i
		if ok, err := i.ended.add(time.Now(), mark{seen, "1"}, mark{session, "browser"}, mark{unnamed, "s-ada"}); !ok || err != nil {
			t.Fatal(ok, err)
		}
		time.Sleep(time.Second)
		w.is("opaque", w.ada.ID)
		w.is("other", "")
		if asked() != before+2 {
			t.Errorf("asked %d times, want once for the one, and once for the other", asked()-before)
		}
		w.a.set(func() { delete(w.a.people, "opaque") })
		if ok, err := i.ended.add(time.Now(), mark{seen, "2"}, mark{unnamed, "s-ada"}); !ok || err != nil {
			t.Fatal(ok, err)
		}
		w.isNot("opaque", cloud.Unauthorized, "not valid")

		// The issuer is down: what it said is good for as long as it said.
		w.a.set(func() { w.a.people["opaque"] = who })
		time.Sleep(time.Second)
		w.is("opaque", w.ada.ID)
		w.a.fail()
		time.Sleep(9 * time.Second)
		w.is("opaque", w.ada.ID)
		time.Sleep(time.Second)
		before = asked()
		for range 20 {
			w.isNot("opaque", cloud.Unavailable, "Try again")
		}
		if asked() != before+1 {
			t.Errorf("asked %d times while it was down", asked()-before)
		}
		w.a.heal()
		time.Sleep(pause)
		w.is("opaque", w.ada.ID)
	})
}

// Claims come from userinfo, which says nothing of the token, and must be
// about the same person.
func TestUserInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withInfo, roles)
		bare := func(more ...any) claims {
			return ada(append([]any{"preferred_username", nil, "name", nil, "email", nil}, more...)...)
		}
		raw := w.a.mint(bare())
		w.a.people[raw] = claims{"sub": "s-ada", "preferred_username": "ada", "roles": []string{"opencloudUser"}, "sid": "other", "exp": 1, "iss": "x", "aud": 7}
		w.is(raw, w.ada.ID)
		// Down: a token that was good goes on until it expires, and no new one comes.
		w.a.fail()
		time.Sleep(time.Minute)
		w.is(raw, w.ada.ID)
		w.isNot(w.a.mint(bare("n", 1)), cloud.Unavailable, "")
		time.Sleep(4 * time.Minute)
		w.isNot(raw, cloud.Unauthorized, "expired")
		w.a.heal()
		time.Sleep(pause)

		for what, c := range map[string]struct {
			info claims
			kind cloud.Kind
		}{
			"somebody else":   {claims{"sub": "s-bob", "preferred_username": "ada", "roles": "opencloudAdmin"}, cloud.Unavailable},
			"nobody":          {claims{"preferred_username": "ada", "roles": "opencloudAdmin"}, cloud.Unavailable},
			"a number":        {claims{"sub": 7, "preferred_username": "ada"}, cloud.Unavailable},
			"without a role":  {claims{"sub": "s-ada"}, cloud.Permission},
			"no longer there": {nil, cloud.Unauthorized},
		} {
			raw := w.a.mint(bare("what", what))
			if c.info != nil {
				w.a.people[raw] = c.info
			}
			if u, err := w.come(raw); err == nil || cloud.KindOf(err) != c.kind {
				t.Errorf("%s: got %+v, %v; want %v", what, u, err, c.kind)
			}
		}
		// A token that is no good is not shown around.
		before := w.a.count(issuerURL + "/userinfo")
		w.isNot(sign(t, "ES256", newKey(t, "k1").Key, "k1", bare()), cloud.Unauthorized, "")
		if rec := w.logout(w.a.mint(farewellOf())); rec.Code != 200 {
			t.Fatal(rec.Body)
		}
		w.isNot(w.a.mint(bare("n", 3)), cloud.Unauthorized, "signed out")
		if got := w.a.count(issuerURL + "/userinfo"); got != before {
			t.Errorf("userinfo was asked %d times for tokens that are no good", got-before)
		}
		raw = w.a.mint(bare("sid", "s2"))
		w.a.people[raw] = claims{"sub": "s-ada", "roles": "opencloudUser"}
		w.a.media = "application/jwt"
		w.isNot(raw, cloud.Unavailable, "")
		w.a.media = "application/json"
		w.a.status = 503
		w.isNot(raw, cloud.Unavailable, "")
		w.a.status = 0
		w.is(raw, w.ada.ID) // an answer for one token is no reason to rest
	})
}

func TestRewrittenDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Rewrite = true })
		get := func(method string) *httptest.ResponseRecorder {
			rec := httptest.NewRecorder()
			w.i.Handler().ServeHTTP(rec, httptest.NewRequest(method, discoveryPath, nil))
			return rec
		}
		w.a.fail()
		if rec := get("GET"); rec.Code != 503 || rec.Header().Get("Retry-After") == "" {
			t.Errorf("down: got %d %v", rec.Code, rec.Header())
		}
		w.a.heal()
		time.Sleep(pause)
		if rec := get("GET"); rec.Code != 200 || !strings.Contains(rec.Body.String(), `"token_endpoint":"`+issuerURL+`/token"`) || rec.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("got %d %s", rec.Code, rec.Body)
		}
		w.a.fail()
		time.Sleep(2 * time.Hour)
		if rec := get("GET"); rec.Code != 200 {
			t.Errorf("down again: got %d", rec.Code)
		}
		if rec := get("POST"); rec.Code != 404 {
			t.Errorf("POST: got %d", rec.Code)
		}
	})
}

// What goes wrong in a question goes wrong for those who asked it, not for
// the server, and there are not too many.
func TestFlights(t *testing.T) {
	f := flights[int]{ctx: t.Context(), patience: time.Minute, life: time.Minute}
	for range 2 {
		_, err := f.do(t.Context(), "x", func(context.Context) (int, error) { panic("oh") })
		if err == nil || !strings.Contains(err.Error(), "oh") {
			t.Errorf("got %v", err)
		}
	}
	over := make(chan struct{})
	for i := range maxFlights {
		f.begin(fmt.Sprint(i), func(context.Context) (int, error) { <-over; return i, nil })
	}
	if _, err := f.do(t.Context(), "one more", func(context.Context) (int, error) { return 1, nil }); cloud.KindOf(err) != cloud.Unavailable {
		t.Errorf("one more: got %v", err)
	}
	seven := f.begin("7", nil) // which somebody has asked already
	close(over)
	if <-seven.done; seven.value != 7 || seven.err != nil {
		t.Errorf("one of them: got %d, %v", seven.value, seven.err)
	}
	f.close()
	if _, err := f.do(t.Context(), "x", func(context.Context) (int, error) { return 1, nil }); cloud.KindOf(err) != cloud.Unavailable {
		t.Errorf("closed: got %v", err)
	}
}
