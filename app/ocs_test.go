package app

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Two people share by the OCS API over the whole server: what it says holds
// for WebDAV, too, and what it tells of passwords is what the server asks for.
func TestSharingByOCS(t *testing.T) {
	s := system(t)
	f := frontOf(t, s, routes(s))
	f.log = quiet
	c := &client{t, f}
	for _, name := range []string{"ada", "bob"} {
		c.do(201, "admin", password, "POST", "/graph/v1.0/users", `{"displayName":"`+name+`","onPremisesSamAccountName":"`+name+`","mail":"`+name+`@example.org","passwordProfile":{"password":"`+password+`"}}`)
	}
	c.do(201, "ada", password, "MKCOL", "/remote.php/webdav/docs", "")
	c.do(201, "ada", password, "PUT", "/remote.php/webdav/docs/plan.txt", "hello")

	const api = "/ocs/v2.php/apps/files_sharing/api/v1/"
	ask := func(status int, user, method, path string, form url.Values, data any) {
		t.Helper()
		r := httptest.NewRequest(method, f.site.Abs(api+path), strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if w.Code != status {
			t.Fatalf("%s %s by %s: got %d, want %d: %s", method, path, user, w.Code, status, w.Body)
		}
		var got struct {
			OCS struct{ Data json.RawMessage }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if data == nil {
			return
		}
		if err := json.Unmarshal(got.OCS.Data, data); err != nil {
			t.Fatal(err)
		}
	}
	type share struct {
		ID, Token, Path string
		Item            string `json:"item_source"`
	}
	var found struct {
		Exact struct {
			Users []struct {
				Value struct{ ShareWith string }
			}
		}
	}
	ask(200, "ada", "GET", "sharees?format=json&search=bob", nil, &found)
	if len(found.Exact.Users) != 1 {
		t.Fatalf("sharees: got %+v, want bob", found)
	}
	var given share
	ask(200, "ada", "POST", "shares?format=json", url.Values{"path": {"/docs"}, "shareType": {"0"}, "shareWith": {found.Exact.Users[0].Value.ShareWith}, "permissions": {"1"}}, &given)
	var received []share
	ask(200, "bob", "GET", "shares?format=json&shared_with_me=true", nil, &received)
	if len(received) != 1 || received[0].ID != given.ID || received[0].Item != given.Item || received[0].Path != "/Shares/docs" {
		t.Fatalf("received: got %+v, want %+v at /Shares/docs", received, given)
	}
	c.do(200, "bob", password, "GET", "/dav/spaces/"+given.Item+"/plan.txt", "")
	c.do(403, "bob", password, "PUT", "/dav/spaces/"+given.Item+"/plan.txt", "other")
	ask(200, "ada", "PUT", "shares/"+given.ID+"?format=json", url.Values{"permissions": {"15"}}, nil)
	c.do(204, "bob", password, "PUT", "/dav/spaces/"+given.Item+"/plan.txt", "other")

	link := url.Values{"path": {"/docs"}, "shareType": {"3"}, "permissions": {"1"}}
	ask(400, "ada", "POST", "shares?format=json", link, nil)
	link.Set("password", "Another fine secret 1!")
	var open share
	ask(200, "ada", "POST", "shares?format=json", link, &open)
	var info struct {
		Protected bool `json:"password_protected"`
	}
	ask(200, "", "GET", "tokeninfo/unprotected/"+open.Token+"?format=json", nil, &info)
	if !info.Protected {
		t.Error("the link is told to be without password")
	}
	ask(401, "", "GET", "tokeninfo/protected/"+open.Token+"?format=json", nil, nil)

	ask(200, "ada", "DELETE", "shares/"+given.ID+"?format=json", nil, nil)
	c.do(404, "bob", password, "GET", "/dav/spaces/"+given.Item+"/plan.txt", "")
	ask(404, "bob", "GET", "shares/"+given.ID+"?format=json", nil, nil)
}

func TestDefaultLinks(t *testing.T) {
	s := &System{Config: settings(t, "FRONTEND_DEFAULT_LINK_PERMISSIONS=15"), Log: quiet}
	t.Cleanup(func() { s.Close() })
	want, err := wanted(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := Build(t.Context(), s, modules(), want...); err == nil || !strings.Contains(err.Error(), "FRONTEND_DEFAULT_LINK_PERMISSIONS") {
		t.Errorf("got %v, want an error about the variable", err)
	}
}
