package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A client of the whole server, in one process and with real files.
type client struct {
	*testing.T
	front http.Handler
}

// do sends a request as a user and checks the status.
func (c *client) do(status int, user, password, method, path, body string) map[string]any {
	c.Helper()
	r := httptest.NewRequest(method, "http://localhost:9200"+path, strings.NewReader(body))
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	r.RemoteAddr = "192.0.2.1:1234"
	r.SetBasicAuth(user, password)
	w := httptest.NewRecorder()
	c.front.ServeHTTP(w, r)
	if w.Code != status {
		c.Fatalf("%s %s by %s: got %d, want %d: %s", method, path, user, w.Code, status, w.Body)
	}
	var got map[string]any
	json.Unmarshal(w.Body.Bytes(), &got)
	return got
}

// Somebody comes, works, and leaves: everything takes effect with the next
// request, and nothing of theirs is left.
func TestLifeOfAUser(t *testing.T) {
	s := system(t, "OC_AUTH_GUESSES=5")
	f := frontOf(t, s, routes(s))
	f.log = quiet
	c := &client{t, f}
	admin := func(status int, method, path, body string) map[string]any {
		t.Helper()
		return c.do(status, "admin", password, method, path, body)
	}
	u := admin(201, "POST", "/graph/v1.0/users", `{"displayName":"Ada","onPremisesSamAccountName":"ada","mail":"ada@example.org","passwordProfile":{"password":"a fine secret"}}`)
	id := u["id"].(string)
	ada := func(status int, secret, method, path, body string) map[string]any {
		t.Helper()
		return c.do(status, "ada", secret, method, path, body)
	}
	ada(403, "a fine secret", "POST", "/graph/v1.0/groups", `{"displayName":"crew"}`)
	g := admin(201, "POST", "/graph/v1.0/groups", `{"displayName":"crew"}`)
	admin(204, "POST", "/graph/v1.0/groups/"+g["id"].(string)+"/members/$ref", `{"@odata.id":"https://localhost:9200/graph/v1.0/users/`+id+`"}`)
	if got := ada(200, "a fine secret", "GET", "/graph/v1.0/me?$expand=memberOf", "")["memberOf"].([]any); len(got) != 1 {
		t.Errorf("groups: got %v", got)
	}
	ada(201, "a fine secret", "PUT", "/remote.php/webdav/file.txt", "hello")
	ada(201, "a fine secret", "POST", "/api/v0/settings/values-save", `{"value":{"settingId":"33ffb5d6-cd07-4dc0-afb0-84f7559ae438","boolValue":true}}`)

	ada(204, "a fine secret", "POST", "/graph/v1.0/me/changePassword", `{"currentPassword":"a fine secret","newPassword":"another secret"}`)
	ada(401, "a fine secret", "GET", "/graph/v1.0/me", "")
	ada(200, "another secret", "GET", "/graph/v1.0/me", "")
	admin(200, "PATCH", "/graph/v1.0/users/"+id, `{"accountEnabled":false}`)
	ada(401, "another secret", "GET", "/graph/v1.0/me", "")
	admin(200, "PATCH", "/graph/v1.0/users/"+id, `{"accountEnabled":true}`)
	ada(403, "another secret", "POST", "/graph/v1.0/drives", `{"name":"project"}`)
	admin(200, "POST", "/graph/v1.0/users/"+id+"/appRoleAssignments", `{"principalId":"`+id+`","resourceId":"f4e3b2a1-6a5c-4d0e-9c37-2b8d1e07a9f5","appRoleId":"2aadd357-682c-406b-8874-293091995fdd"}`)
	ada(201, "another secret", "POST", "/graph/v1.0/drives", `{"name":"project"}`)

	home := filepath.Join(s.Config.Storage.Root, "users", id)
	profile := filepath.Join(s.Config.IDM.Path, "profiles", id)
	for _, path := range []string{filepath.Join(home, "file.txt"), filepath.Join(profile, "choices")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	admin(204, "DELETE", "/graph/v1.0/users/"+id, "")
	ada(401, "another secret", "GET", "/graph/v1.0/me", "")
	for _, path := range []string{home, profile} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s after the user left: got %v", path, err)
		}
	}
	if got := admin(200, "GET", "/graph/v1.0/groups/crew?$expand=members", "")["members"].([]any); len(got) != 0 {
		t.Errorf("members: got %v", got)
	}
}

// The current password cannot be guessed by who has got hold of a session.
func TestGuessingTheCurrentPassword(t *testing.T) {
	s := system(t, "OC_AUTH_GUESSES=5")
	f := frontOf(t, s, routes(s))
	f.log = quiet
	c := &client{t, f}
	for range 5 {
		c.do(400, "admin", password, "POST", "/graph/v1.0/me/changePassword", `{"currentPassword":"guess","newPassword":"another secret"}`)
	}
	c.do(429, "admin", password, "POST", "/graph/v1.0/me/changePassword", `{"currentPassword":"`+password+`","newPassword":"another secret"}`)
	c.do(200, "admin", password, "GET", "/graph/v1.0/me", "")
}
