package app

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"opencloud/api/httpx"
	"opencloud/auth/idp"
	"opencloud/cloud"
)

// with sends a request with a token and checks the status.
func with(t *testing.T, f *front, status int, token, method, path, body string) map[string]any {
	t.Helper()
	r := httptest.NewRequest(method, f.site.Abs(path), strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	if f.ServeHTTP(w, r); w.Code != status {
		t.Fatalf("%s %s: got %d, want %d: %s", method, path, w.Code, status, w.Body)
	}
	var got map[string]any
	json.Unmarshal(w.Body.Bytes(), &got)
	return got
}

// A new password, whoever gives it, ends all other sessions with the next request.
func TestNewPasswordEndsSessions(t *testing.T) {
	s := system(t)
	f := frontOf(t, s, routes(s))
	f.log = quiet
	admin := newBrowser(t, f).signIn()
	const path, first = "/graph/v1.0/me", "a fine secret"
	ada := with(t, f, 201, admin, "POST", "/graph/v1.0/users", `{"displayName":"Ada","onPremisesSamAccountName":"ada","mail":"","passwordProfile":{"password":"`+first+`"}}`)["id"].(string)
	users := "/graph/v1.0/users/" + ada
	for _, c := range []struct {
		name, old string
		change    func(mine string)
		goesOn    bool // the session in which it was done
	}{
		{"their own", first, func(mine string) {
			with(t, f, 204, mine, "POST", path+"/changePassword", `{"currentPassword":"`+first+`","newPassword":"a second secret"}`)
		}, true},
		{"by an admin", "a second secret", func(string) {
			with(t, f, 200, admin, "PATCH", users, `{"passwordProfile":{"password":"a third secret"}}`)
		}, false},
		{"on the command line", "a third secret", func(string) {
			u, err := s.Directory.User(t.Context(), "id", ada)
			if err == nil {
				_, err = s.Directory.SetUser(t.Context(), u, "a fourth secret")
			}
			if err == nil {
				err = idp.SignOut(s.Config.IDP.Path, u.ID)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, false},
		{"signed out", "a fourth secret", func(mine string) { with(t, f, 200, mine, "POST", path+"/revokeSignInSessions", "") }, true},
		{"signed out by an admin", "a fourth secret", func(string) { with(t, f, 200, admin, "POST", users+"/revokeSignInSessions", "") }, false},
		{"disabled", "a fourth secret", func(string) {
			with(t, f, 200, admin, "PATCH", users, `{"accountEnabled":false}`)
			with(t, f, 200, admin, "PATCH", users, `{"accountEnabled":true}`)
		}, false},
	} {
		other := newBrowser(t, f).enter("ada", c.old)
		mine := newBrowser(t, f).enter("ada", c.old)
		with(t, f, 200, other, "GET", path, "")
		c.change(mine)
		with(t, f, 401, other, "GET", path, "")
		want := 401
		if c.goesOn {
			want = 200
		}
		with(t, f, want, mine, "GET", path, "")
		with(t, f, 200, admin, "GET", path, "")
	}
}

// Nothing of a user who was removed stays with those who sign people in.
func TestRemovedUserIsForgotten(t *testing.T) {
	s := system(t)
	f := frontOf(t, s, routes(s))
	f.log = quiet
	admin := newBrowser(t, f).signIn()
	id := with(t, f, 201, admin, "POST", "/graph/v1.0/users", `{"displayName":"Ada","onPremisesSamAccountName":"ada","mail":"","passwordProfile":{"password":"a fine secret"}}`)["id"].(string)
	token := newBrowser(t, f).enter("ada", "a fine secret")
	holds := func() (found []string) {
		t.Helper()
		err := filepath.WalkDir(s.Config.IDP.Path, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			body, err := os.ReadFile(name)
			if strings.Contains(name, id) || strings.Contains(string(body), id) {
				found = append(found, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if got := holds(); len(got) == 0 {
		t.Error("the test looks for the wrong thing")
	}
	with(t, f, 204, admin, "DELETE", "/graph/v1.0/users/"+id, "")
	with(t, f, 401, token, "GET", "/graph/v1.0/me", "")
	if got := holds(); got != nil {
		t.Errorf("removed, and still in %v", got)
	}
}

// What people see of sessions and factors, and who may end them.
func TestSessions(t *testing.T) {
	s := system(t, "OC_AUTH_GUESS_EVERY=0s")
	f := frontOf(t, s, routes(s))
	f.log = quiet
	admin := newBrowser(t, f).signIn()
	id := with(t, f, 201, admin, "POST", "/graph/v1.0/users", `{"displayName":"Ada","onPremisesSamAccountName":"ada","mail":"","passwordProfile":{"password":"a fine secret"}}`)["id"].(string)
	users := "/graph/v1.0/users/" + id
	if got := with(t, f, 200, admin, "GET", users, "")["signInActivity"]; got != nil {
		t.Errorf("signed in never: got %v", got)
	}
	before := time.Now().Add(-time.Second)
	one := newBrowser(t, f).enter("ada", "a fine secret")
	two := newBrowser(t, f).enter("ada", "a fine secret")
	for _, path := range []string{users, "/graph/v1.0/me"} {
		token := map[bool]string{true: admin, false: one}[path == users]
		last, _ := with(t, f, 200, token, "GET", path, "")["signInActivity"].(map[string]any)
		at, err := time.Parse(time.RFC3339, last["lastSuccessfulSignInDateTime"].(string))
		if err != nil || at.Before(before) {
			t.Errorf("%s: last signed in %v, %v", path, last, err)
		}
	}
	list := func(token, path string) (ids []string, current int) {
		t.Helper()
		for _, v := range with(t, f, 200, token, "GET", path+"/sessions", "")["value"].([]any) {
			v := v.(map[string]any)
			if ids = append(ids, v["id"].(string)); v["current"].(bool) {
				current++
			}
			if v["address"] != "192.0.2.1" {
				t.Errorf("got %v", v)
			}
		}
		return ids, current
	}
	if ids, n := list(one, "/graph/v1.0/me"); len(ids) != 2 || n != 1 {
		t.Errorf("ada sees %v, %d are hers", ids, n)
	}
	ids, n := list(admin, users)
	if len(ids) != 2 || n != 0 {
		t.Errorf("the admin sees %v, %d are theirs", ids, n)
	}
	admins, _ := list(admin, "/graph/v1.0/me")
	with(t, f, 404, one, "DELETE", "/graph/v1.0/me/sessions/"+admins[0], "")
	with(t, f, 403, one, "GET", "/graph/v1.0/users/"+s.userID(t, "admin")+"/sessions", "")
	with(t, f, 403, one, "POST", "/graph/v1.0/users/"+s.userID(t, "admin")+"/revokeSignInSessions", "")
	with(t, f, 403, one, "DELETE", "/graph/v1.0/users/"+s.userID(t, "admin")+"/authentication/methods", "")
	with(t, f, 403, one, "DELETE", users+"/authentication/methods", "")
	for _, id := range ids {
		with(t, f, 204, admin, "DELETE", users+"/sessions/"+id, "")
	}
	with(t, f, 401, one, "GET", "/graph/v1.0/me", "")
	with(t, f, 401, two, "GET", "/graph/v1.0/me", "")

	// A second factor is seen, and taken away by an admin.
	folder := filepath.Join(s.Config.IDP.Path, "factors")
	if err := os.WriteFile(filepath.Join(folder, id+".json"), []byte(`{"secret":"AAAAAAAAAAAAAAAAAAAAAAAAAAA=","since":"2026-01-01T00:00:00Z","recovery":["x","y"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	factors := with(t, f, 200, admin, "GET", users+"/authentication/methods", "")["value"].([]any)
	if len(factors) != 2 || factors[1].(map[string]any)["left"] != 2.0 {
		t.Errorf("got %v", factors)
	}
	basic := func(want int) {
		t.Helper()
		r := httptest.NewRequest("GET", f.site.Abs("/graph/v1.0/me"), nil)
		r.SetBasicAuth("ada", "a fine secret")
		w := httptest.NewRecorder()
		if f.ServeHTTP(w, r); w.Code != want {
			t.Errorf("by name and password: %d, want %d", w.Code, want)
		}
	}
	basic(http.StatusUnauthorized)
	with(t, f, 204, admin, "DELETE", users+"/authentication/methods", "")
	basic(http.StatusOK)
}

func (s *System) userID(t *testing.T, name string) string {
	t.Helper()
	u, err := s.Directory.User(t.Context(), "name", name)
	if err != nil {
		t.Fatal(err)
	}
	return string(u.ID)
}

// With a demand a password alone is refused at every door, whoever had none before.
func TestDemand(t *testing.T) {
	s := system(t, "IDP_MFA_REQUIRED=admin")
	f := frontOf(t, s, routes(s))
	f.log = quiet
	u, err := s.Directory.SetUser(t.Context(), &cloud.User{Name: "ada", Role: cloud.RoleUser}, "a fine secret")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"admin": http.StatusUnauthorized, u.Name: http.StatusOK} {
		r := httptest.NewRequest("GET", f.site.Abs("/graph/v1.0/me"), nil)
		r.SetBasicAuth(name, map[string]string{"admin": password, u.Name: "a fine secret"}[name])
		w := httptest.NewRecorder()
		if f.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d, want %d", name, w.Code, want)
		}
	}
}

// Without the module that signs people in, people are there all the same.
func TestWithoutIDP(t *testing.T) {
	s := system(t, "OC_EXCLUDE_RUN_SERVICES=idp")
	f := frontOf(t, s, routes(s))
	f.log = quiet
	c := &client{t, f}
	if got := c.do(200, "admin", password, "GET", "/graph/v1.0/me/sessions", "")["value"].([]any); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	c.do(204, "admin", password, "POST", "/graph/v1.0/me/changePassword", `{"currentPassword":"`+password+`","newPassword":"another secret"}`)
	c.do(200, "admin", "another secret", "GET", "/graph/v1.0/me", "")
}

// What a request costs in the front, by who sends it: one that is signed in
// takes at most 30 µs more than one of nobody.
func BenchmarkSignedIn(b *testing.B) {
	s := system(b)
	nothing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cloud.CallerFrom(r.Context()).User != nil {
			w.WriteHeader(http.StatusNoContent)
		}
	})
	f := frontOf(b, s, append(routes(s), Route{"/nothing/", nil, nothing, true, httpx.FailDAV}))
	f.log = quiet
	token := newBrowser(b, f).signIn()
	for _, c := range []struct {
		name string
		want int
		sign func(*http.Request)
	}{
		{"nobody", 200, func(*http.Request) {}},
		{"token", 204, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }},
		{"password", 204, func(r *http.Request) { r.SetBasicAuth("admin", password) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := raw("GET", "/nothing/x")
			c.sign(r)
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				if f.ServeHTTP(w, r); w.Code != c.want {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
