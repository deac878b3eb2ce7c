package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/cloud"
	"opencloud/directory/mem"
)

// magic is a scheme whose credentials are "<account> <secret>"; the secret is
// "open", or "seen" for one that needs no check.
type magic struct{}

func (magic) Name() string      { return "Magic" }
func (magic) Challenge() string { return `Magic realm="x"` }
func (magic) Verify(ctx context.Context, credentials string, try func(string) error) (cloud.Caller, error) {
	var name, secret string
	fmt.Sscan(credentials, &name, &secret)
	c := cloud.Caller{User: &cloud.User{ID: cloud.UserID(name), Name: name}}
	if secret == "seen" {
		return c, nil
	}
	if err := try(name); err != nil {
		return c, err
	}
	if secret != "open" {
		return c, cloud.Unauthorized
	}
	return c, nil
}

type answer struct {
	status int
	who    string
	wait   int
}

// ask sends a request and tells who arrived.
func ask(a *Auth, open bool, from, authorization string) answer {
	return askAt(a, "/", open, from, authorization)
}

func askAt(a *Auth, path string, open bool, from, authorization string) (got answer) {
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := cloud.CallerFrom(r.Context())
		got.who = string(c.ID()) + "/" + c.Initiator
	})
	fail := func(w http.ResponseWriter, r *http.Request, err error) {
		w.WriteHeader(cloud.KindOf(err).Face().HTTP)
	}
	r := httptest.NewRequest("GET", path, nil)
	r.RemoteAddr = from
	r.Header.Set("Initiator-ID", "tab")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	a.Wrap(next, open, fail).ServeHTTP(w, r)
	got.status = w.Code
	got.wait, _ = strconv.Atoi(w.Header().Get("Retry-After"))
	return got
}

func fresh(guesses int) *Auth {
	return &Auth{schemes: []Scheme{magic{}}, guard: newGuard(guesses, 10*time.Second)}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		name, authorization string
		open                bool
		want                answer
	}{
		{"nothing", "", false, answer{status: 401}},
		{"nothing, open", "", true, answer{status: 200, who: "/tab"}},
		{"right", "Magic ada open", false, answer{status: 200, who: "ada/tab"}},
		{"right, any case", "mAGIC ada open", false, answer{status: 200, who: "ada/tab"}},
		{"right, open", "Magic ada open", true, answer{status: 200, who: "ada/tab"}},
		{"wrong", "Magic ada shut", false, answer{status: 401}},
		{"wrong, open", "Magic ada shut", true, answer{status: 200, who: "/tab"}},
		{"no such scheme", "Bearer ada", false, answer{status: 401}},
		{"no credentials", "Magic", false, answer{status: 401}},
	} {
		if got := ask(fresh(5), c.open, "192.0.2.1:5", c.authorization); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := fresh(5)
		const home, evil = "192.0.2.1:1000", "198.51.100.7:1000"
		if got := ask(a, false, home, "Magic ada open"); got.status != 200 {
			t.Fatalf("right password: %+v", got)
		}
		for i := range 5 {
			if got := ask(a, false, evil, "Magic ada "+strconv.Itoa(i)); got.status != 401 {
				t.Fatalf("guess %d: %+v", i, got)
			}
		}
		got := ask(a, false, evil, "Magic ada open")
		if want := (answer{status: 429, wait: 10}); got != want {
			t.Errorf("guess 6: got %+v, want %+v", got, want)
		}
		if got := ask(a, false, "203.0.113.1:1", "Magic ada open"); got.status != 429 {
			t.Errorf("from elsewhere: %+v, want 429", got)
		}
		if got := ask(a, false, evil, "Magic ada seen"); got.status != 200 {
			t.Errorf("a password that needs no check: %+v, want 200", got)
		}
		if got := ask(a, false, home, "Magic ada open"); got.status != 200 {
			t.Errorf("from where ada signed in before: %+v, want 200", got)
		}
		if got := ask(a, false, evil, "Magic bob open"); got.status != 200 {
			t.Errorf("another account: %+v, want 200", got)
		}
		time.Sleep(10 * time.Second)
		if got := ask(a, false, evil, "Magic ada open"); got.status != 200 {
			t.Errorf("after the wait: %+v, want 200", got)
		}
		for range 50 {
			if got := ask(a, false, evil, "Magic ada open"); got.status != 200 {
				t.Fatalf("right passwords are counted: %+v", got)
			}
		}
	})
}

func TestNetworkGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := fresh(5)
		status := func(from string, i int) int {
			return ask(a, false, from, fmt.Sprintf("Magic user%d x", i)).status
		}
		for i := range networkTries {
			if got := status("[2001:db8::1]:80", i); got != 401 {
				t.Fatalf("guess %d: %d", i, got)
			}
		}
		if got := status("[2001:db8::2]:80", 1000); got != 429 {
			t.Errorf("a neighbour in the network: %d, want 429", got)
		}
		if got := status("[2001:db8:0:1::2]:80", 1000); got != 401 {
			t.Errorf("another network: %d, want 401", got)
		}
		for i := range networkTries + 1 {
			if got := status("127.0.0.1:80", i+2000); got != 401 {
				t.Fatalf("loopback, guess %d: %d, want 401", i, got)
			}
		}
	})
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1:80":              "192.0.2.1",
		"[::ffff:192.0.2.1]:80":     "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":         "fe80::/64",
		"127.3.2.1:80":              "",
		"[::1]:80":                  "",
		"@":                         "@",
	} {
		if got := network(in); got != want {
			t.Errorf("network(%q) = %q, want %q", in, got, want)
		}
	}
}

// A form and a header share the tries of an account.
func TestGuessesAtOtherDoors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := fresh(5)
		const from = "192.0.2.1:5"
		guess := func(account string, err error) error {
			_, got := a.Guess(from, account, func() (*cloud.User, error) { return &cloud.User{}, err })
			return got
		}
		for i := range 10 {
			if err := guess("ada", nil); err != nil {
				t.Fatalf("right password %d: %v", i, err)
			}
		}
		a = fresh(5)
		for i := range 5 {
			if err := guess("ADA", cloud.Unauthorized); cloud.KindOf(err) != cloud.Unauthorized {
				t.Fatalf("guess %d: %v", i, err)
			}
		}
		if err := guess("ada", nil); cloud.KindOf(err) != cloud.Throttled {
			t.Errorf("guess 6: %v, want %v", err, cloud.Throttled)
		}
		if got := ask(a, false, from, "Magic ada open"); got.status != 429 {
			t.Errorf("by header: %+v, want 429", got)
		}
		if err := guess("bob", nil); err != nil {
			t.Errorf("another account: %v", err)
		}
	})
}

func TestAdd(t *testing.T) {
	a := &Auth{guard: newGuard(5, time.Second)}
	a.Add(magic{})
	if got := a.Challenges(); len(got) != 1 || got[0] != magic.Challenge(magic{}) {
		t.Errorf("challenges %q", got)
	}
	if got := ask(a, false, "192.0.2.1:5", "Magic ada open"); got.status != 200 {
		t.Errorf("got %+v", got)
	}
}

// porch is a door for requests whose query says who, or that nobody is wanted.
type porch struct{}

func (porch) Enter(r *http.Request, try func(string) error) (c cloud.Caller, ok bool, err error) {
	name := r.URL.Query().Get("who")
	if name == "" {
		return c, false, nil
	}
	if err := try(name); err != nil {
		return c, true, err
	}
	if name == "stranger" {
		return c, true, cloud.Unauthorized
	}
	return cloud.Caller{User: &cloud.User{ID: cloud.UserID(name)}, Proof: cloud.ByURL}, true, nil
}

func TestDoors(t *testing.T) {
	for _, c := range []struct {
		name, query, authorization string
		open                       bool
		want                       answer
	}{
		{"nothing", "", "", false, answer{status: 401}},
		{"by the door", "who=ada", "", false, answer{status: 200, who: "ada/tab"}},
		{"by the door, open", "who=ada", "", true, answer{status: 200, who: "ada/tab"}},
		{"not by the door", "who=stranger", "", false, answer{status: 401}},
		{"not by the door, open", "who=stranger", "", true, answer{status: 200, who: "/tab"}},
		{"something else", "x=y", "", false, answer{status: 401}},
		{"the header", "who=ada", "Magic bob open", false, answer{status: 200, who: "bob/tab"}},
		{"the header is wrong", "who=ada", "Magic bob shut", false, answer{status: 401}},
		{"no such scheme", "who=ada", "None", false, answer{status: 401}},
	} {
		a := fresh(5)
		a.AddDoor(porch{})
		if got := askAt(a, "/?"+c.query, c.open, "192.0.2.1:5", c.authorization); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		a := fresh(5)
		a.AddDoor(porch{})
		a.NeedsMore(func(*cloud.User) bool { return true }) // which is for passwords
		for range 10 {
			if got := askAt(a, "/?who=ada", false, "192.0.2.1:5", ""); got.status != 200 {
				t.Fatalf("what is right counts: %+v", got)
			}
		}
		for i := range 7 {
			want := 401
			if i >= 5 {
				want = 429
			}
			if got := askAt(a, "/?who=stranger", false, "192.0.2.1:5", ""); got.status != want {
				t.Errorf("guess %d: %+v, want %d", i, got, want)
			}
		}
	})
}

// tokens are basic.Tokens: whose secret is "token".
type tokens struct{ err error }

func (f tokens) Owner(_ context.Context, name, secret string) (*cloud.User, error) {
	if f.err != nil {
		return nil, f.err
	}
	if secret != "token" {
		return nil, cloud.Unauthorized
	}
	return &cloud.User{ID: cloud.UserID(name), Name: name}, nil
}

// With passwords or without, tokens come in by Basic; what is none counts.
func TestTokens(t *testing.T) {
	const from = "192.0.2.1:5"
	basic := func(name, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
	}
	for _, passwords := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			dir := mem.New()
			u, err := dir.SetUser(t.Context(), &cloud.User{Name: "ada"}, "secret")
			if err != nil {
				t.Fatal(err)
			}
			a := New(dir, Options{Basic: passwords, Guesses: 5, GuessEvery: 10 * time.Second})
			a.AddTokens(tokens{})
			if got := a.Challenges(); len(got) != 1 {
				t.Errorf("challenges %q", got)
			}
			want := answer{status: 401}
			if passwords {
				want = answer{status: 200, who: string(u.ID) + "/tab"}
			}
			if got := ask(a, false, from, basic("ada", "secret")); got != want {
				t.Errorf("passwords %v: %+v, want %+v", passwords, got, want)
			}
			a.NeedsMore(func(*cloud.User) bool { return true })
			if got := ask(a, false, from, basic("ada", "secret")); got.status != 401 {
				t.Errorf("a password that is not enough: %+v", got)
			}
			for range 10 {
				ask(a, false, from, basic("ada", "guess"))
				if got, want := ask(a, false, from, basic("ada", "token")), (answer{status: 200, who: "ada/tab"}); got != want {
					t.Errorf("a token while somebody guesses: %+v, want %+v", got, want)
				}
			}
			if got := ask(a, false, from, basic("ada", "guess")); got.status != 429 {
				t.Errorf("guesses do not count: %+v", got)
			}
			a.AddTokens(tokens{cloud.Unavailable})
			if got := ask(a, false, from, basic("ada", "token")); got.status != 503 {
				t.Errorf("when nobody can say: %+v", got)
			}
		})
	}
}

// However many others there are, one key has at most its tries, and a key
// that is alone has all of them.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(10, time.Second)
		mine := l.key("mine")
		for range 10 {
			if l.take(mine) != 0 {
				t.Fatal("refused too early")
			}
		}
		for i := range 20_000 {
			l.take(l.key(strconv.Itoa(i)))
		}
		if got, want := l.take(mine), time.Second; got < want {
			t.Errorf("wait %v, want at least %v", got, want)
		}
		l = newLimit(10, 0)
		for range 100 {
			if l.take(1) != 0 {
				t.Fatal("a limit that is none refuses")
			}
		}
	})
}

func TestKnownIsBounded(t *testing.T) {
	g := newGuard(1, time.Second)
	for i := range uint64(5 * generation) {
		g.know(i)
	}
	if got := len(g.young) + len(g.old); got > 2*generation {
		t.Errorf("%d entries, want at most %d", got, 2*generation)
	}
}

func TestThrottledSaysHowLong(t *testing.T) {
	var err error = &throttled{1500 * time.Millisecond}
	if !errors.Is(err, cloud.Throttled) || cloud.KindOf(err) != cloud.Throttled {
		t.Errorf("kind %v, want %v", cloud.KindOf(err), cloud.Throttled)
	}
	if got, want := cloud.Say(err), "Too many attempts to sign in. Try again in 2s."; got != want {
		t.Errorf("says %q, want %q", got, want)
	}
}

// other has the same name as magic, and knows somebody else.
type other struct{ magic }

func (other) Challenge() string { return "" }
func (other) Verify(_ context.Context, credentials string, _ func(string) error) (cloud.Caller, error) {
	if credentials == "busy" {
		return cloud.Caller{}, cloud.Unavailable
	}
	if credentials != "key" {
		return cloud.Caller{}, cloud.Refuse(cloud.Unauthorized, "other")
	}
	return cloud.Caller{User: &cloud.User{ID: "machine"}}, nil
}

// Of schemes with one name each is asked, until one knows or cannot say.
func TestSameName(t *testing.T) {
	a := fresh(5)
	a.Add(other{})
	for credentials, want := range map[string]struct {
		id   cloud.UserID
		kind cloud.Kind
	}{"key": {"machine", cloud.Other}, "ada open": {"ada", cloud.Other}, "ada wrong": {"", cloud.Unauthorized}, "busy": {"", cloud.Unavailable}} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Magic "+credentials)
		c, err := a.caller(r)
		if c.ID() != want.id || cloud.KindOf(err) != want.kind {
			t.Errorf("%s: got %q, %v", credentials, c.ID(), err)
		}
	}
}
