package app

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// A school year: what is shared with a class reaches its members, all of it is
// there after a restart, and who leaves leaves nothing behind.
func TestSchoolYear(t *testing.T) {
	s := system(t, "OC_EDUCATION_ENABLED=true")
	clientOf := func(s *System) *client {
		f := frontOf(t, s, routes(s))
		f.log = quiet
		return &client{t, f}
	}
	c := clientOf(s)
	const api = "/graph/v1.0/education/"
	admin := func(status int, method, path, body string) map[string]any {
		t.Helper()
		return c.do(status, "admin", password, method, api+path, body)
	}
	ref := func(path, id string) string {
		return `{"@odata.id":"https://localhost:9200` + api + path + `/` + id + `"}`
	}
	school := admin(201, "POST", "schools", `{"displayName":"Curie","schoolNumber":"0123"}`)["id"].(string)
	ada := admin(201, "POST", "users", `{"displayName":"Ada","onPremisesSamAccountName":"ada","externalId":"A1","primaryRole":"student","passwordProfile":{"password":"a fine secret"}}`)["id"].(string)
	eve := admin(201, "POST", "users", `{"displayName":"Eve","onPremisesSamAccountName":"eve","primaryRole":"teacher","passwordProfile":{"password":"a fine secret"}}`)["id"].(string)
	class := admin(201, "POST", "classes", `{"displayName":"10b","classification":"class"}`)["id"].(string)
	admin(204, "POST", "schools/0123/users/$ref", ref("users", ada))
	admin(204, "POST", "schools/0123/classes/$ref", ref("classes", class))
	admin(204, "POST", "classes/"+class+"/members/$ref", ref("users", ada))
	admin(204, "POST", "classes/"+class+"/teachers/$ref", ref("users", eve))
	of := c.do(200, "ada", "a fine secret", "GET", "/graph/v1.0/me?$expand=memberOf", "")["memberOf"].([]any)
	if len(of) != 1 || of[0].(map[string]any)["id"] != class {
		t.Errorf("groups of who is in the class: got %v", of)
	}
	c.do(403, "eve", "a fine secret", "GET", api+"schools", "")

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = &System{Config: s.Config, Log: quiet}
	t.Cleanup(func() { s.Close() })
	if err := Build(context.Background(), s, modules(), "auth", "graph"); err != nil {
		t.Fatal(err)
	}
	c = clientOf(s)
	for path, want := range map[string]string{
		"schools/" + school + "/users": ada, "schools/0123/classes": class, "classes/" + class + "/members": ada, "classes/" + class + "/teachers": eve,
		"users?$filter=externalId%20eq%20'A1'": ada,
	} {
		got := admin(200, "GET", path, "")["value"].([]any)
		if len(got) != 1 || got[0].(map[string]any)["id"] != want {
			t.Errorf("%s after a restart: got %v, want %s", path, got, want)
		}
	}

	files := func(kind string, want int) {
		t.Helper()
		all, err := os.ReadDir(filepath.Join(s.Config.IDM.Path, "education", kind))
		if err != nil || len(all) != want {
			t.Errorf("%s: got %v, %v; want %d", kind, all, err, want)
		}
	}
	files("users", 2)
	c.do(204, "admin", password, "DELETE", "/graph/v1.0/users/"+ada, "") // by whichever door
	admin(204, "DELETE", "users/eve", "")
	files("users", 0)
	c.do(204, "admin", password, "DELETE", "/graph/v1.0/groups/"+class, "")
	files("classes", 0)
	admin(200, "PATCH", "schools/0123", `{"terminationDate":"2020-01-01T00:00:00Z"}`)
	admin(204, "DELETE", "schools/0123", "")
	files("schools", 0)
}

// The system in which schools are administrated comes in with its token, and
// people beside it with theirs.
func TestSchoolsToken(t *testing.T) {
	const token = "0123456789abcdef"
	for _, c := range []struct {
		env  []string
		want int
	}{
		{[]string{"OC_EDUCATION_ENABLED=true", "GRAPH_HTTP_API_TOKEN=" + token}, 200},
		{[]string{"OC_EDUCATION_ENABLED=true"}, 401},
		{[]string{"GRAPH_HTTP_API_TOKEN=" + token}, 401},
	} {
		s := system(t, c.env...)
		f := frontOf(t, s, routes(s))
		f.log = quiet
		get := func(path, token string, want int) {
			t.Helper()
			r := raw("GET", path)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			if f.ServeHTTP(w, r); w.Code != want {
				t.Errorf("%v: GET %s with %.20s: got %d, want %d: %s", c.env, path, token, w.Code, want, w.Body)
			}
		}
		for range 50 { // what is no token is no guess
			get("/graph/v1.0/education/schools", token+"x", 401)
		}
		get("/graph/v1.0/education/schools", token, c.want)
		get("/graph/v1.0/me", newBrowser(t, f).signIn(), 200)
		if c.want == 200 {
			get("/graph/v1.0/me/drive", token, 403)
			get("/graph/v1.0/me/drives", token, 200)
			get("/graph/v1.0/applications", token, 200)
			get("/ocs/v1.php/cloud/user", token, 200)
			get("/remote.php/webdav/", token, 403)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
