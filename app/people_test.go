package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"opencloud/cloud"
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

// until asks again and again, as web clients do, until the answer is no more
// that it is too early.
func (c *client) until(user, secret, path string) map[string]any {
	c.Helper()
	for {
		r := httptest.NewRequest("GET", "http://localhost:9200"+path, nil)
		r.SetBasicAuth(user, secret)
		w := httptest.NewRecorder()
		c.front.ServeHTTP(w, r)
		if w.Code == http.StatusTooEarly && c.Context().Err() == nil {
			runtime.Gosched()
			continue
		}
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); w.Code != 200 || err != nil {
			c.Fatalf("%s: got %d, %v: %s", path, w.Code, err, w.Body)
		}
		return got
	}
}

// An administrator sees to spaces and people without looking into anything.
func TestDayOfAnAdmin(t *testing.T) {
	s := system(t, "GRAPH_USER_SOFT_DELETE_RETENTION_TIME=720h", "IDM_CREATE_DEMO_USERS=true")
	f := frontOf(t, s, routes(s))
	f.log = quiet
	c := &client{t, f}
	admin := func(status int, method, path, body string) map[string]any {
		t.Helper()
		return c.do(status, "admin", password, method, path, body)
	}
	d := c.do(201, "margaret", "demo", "POST", "/graph/v1.0/drives?template=default", `{"name":"Apollo"}`)
	id := d["id"].(string)
	if got := len(d["special"].([]any)); got != 2 {
		t.Errorf("special: got %d, want the readme and the image", got)
	}
	all := admin(200, "GET", "/graph/v1beta1/drives?$filter=driveType%20eq%20project&$orderby=name", "")["value"].([]any)
	if len(all) != 1 || all[0].(map[string]any)["id"] != id || all[0].(map[string]any)["special"] != nil {
		t.Errorf("all projects: got %v", all)
	}
	admin(404, "GET", "/dav/spaces/"+id+"/.space/readme.md", "")
	admin(200, "PATCH", "/graph/v1.0/drives/"+id, `{"quota":{"total":1000000}}`)
	admin(204, "DELETE", "/graph/v1.0/drives/"+id, "")
	c.do(404, "margaret", "demo", "GET", "/dav/spaces/"+id+"/.space/readme.md", "")

	alan := c.do(200, "alan", "demo", "GET", "/graph/v1.0/me", "")["id"].(string)
	c.do(201, "alan", "demo", "PUT", "/remote.php/webdav/computable%20numbers.txt", "110101")
	c.do(202, "alan", "demo", "POST", "/graph/v1.0/users/"+alan+"/exportPersonalData", `{"storageLocation":"/.personal_data_export.json"}`)
	export := c.until("alan", "demo", "/remote.php/webdav/.personal_data_export.json")
	text, _ := json.Marshal(export)
	for _, part := range []string{"computable numbers.txt", "chess-lovers", "Turing", "file-made"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the export does not have %q: %s", part, text)
		}
	}
	admin(403, "POST", "/graph/v1.0/users/"+alan+"/exportPersonalData", `{}`)

	admin(204, "DELETE", "/graph/v1.0/users/"+alan, "")
	c.do(401, "alan", "demo", "GET", "/graph/v1.0/me", "")
	admin(404, "GET", "/graph/v1.0/users/alan", "")
	if got := admin(200, "GET", "/graph/v1.0/directory/deletedItems/microsoft.graph.user", "")["value"].([]any); len(got) != 1 {
		t.Errorf("deleted users: got %v", got)
	}
	admin(200, "POST", "/graph/v1.0/directory/deletedItems/"+alan+"/restore", "")
	c.do(200, "alan", "demo", "GET", "/remote.php/webdav/computable%20numbers.txt", "")

	admin(204, "DELETE", "/graph/v1.0/users/"+alan, "")
	admin(204, "DELETE", "/graph/v1.0/directory/deletedItems/"+alan, "")
	if _, err := os.Stat(filepath.Join(s.Config.Storage.Root, "users", alan)); !os.IsNotExist(err) {
		t.Errorf("the home of who is gone for good: got %v", err)
	}
}

// What is on its way when the server stops is there after the next start.
func TestExportAcrossARestart(t *testing.T) {
	s := system(t)
	home, err := s.Files.Home(as(t, s, "admin"))
	if err != nil {
		t.Fatal(err)
	}
	me := cloud.CallerFrom(as(t, s, "admin")).ID()
	if err := s.People.Export(as(t, s, "admin"), me, "export.json"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := &System{Config: s.Config, Log: quiet}
	t.Cleanup(func() { again.Close() })
	if err := Build(t.Context(), again, modules(), "people"); err != nil {
		t.Fatal(err)
	}
	for {
		f, n, err := again.Files.Open(as(t, again, "admin"), cloud.Ref{Space: home.ID, Path: "export.json"}, "")
		if errors.Is(err, cloud.Processing) {
			runtime.Gosched()
			continue
		}
		if err != nil || n.Size < 100 {
			t.Fatalf("got %+v, %v", n, err)
		}
		f.Close()
		return
	}
}

// as is the context of a user.
func as(t *testing.T, s *System, name string) context.Context {
	t.Helper()
	u, err := s.Directory.User(t.Context(), "name", name)
	if err != nil {
		t.Fatal(err)
	}
	return cloud.WithCaller(t.Context(), cloud.Caller{User: u})
}
