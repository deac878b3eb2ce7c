package compat

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"opencloud/directory/ldap/slapd"
	"opencloud/test/daemon"
)

// An ldapClient is somebody of the LDAP directory at the server.
type ldapClient struct {
	*testing.T
	*daemon.Server
	name, password string
}

// do makes a request, checks the status and reads the answer.
func (c *ldapClient) do(want int, method, path, body string) map[string]any {
	c.Helper()
	r, err := http.NewRequest(method, c.URL+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	r.SetBasicAuth(c.name, c.password)
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		c.Fatalf("%s %s by %s: got %d, want %d: %s %v", method, path, c.name, resp.StatusCode, want, text, err)
	}
	var got map[string]any
	json.Unmarshal(text, &got)
	return got
}

// TestLDAP is the whole server over the users of OpenLDAP: first over a
// directory of others, which it only reads, then over one of its own.
func TestLDAP(t *testing.T) {
	id := func(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }
	var ldif strings.Builder
	for i, name := range []string{"ada", "grace"} {
		fmt.Fprintf(&ldif, "dn: uid=%[1]s,%[2]s\nobjectClass: inetOrgPerson\nobjectClass: openCloudUser\nuid: %[1]s\ncn: %[1]s\nsn: %[1]s\ndisplayName: %[1]s of LDAP\nmail: %[1]s@example.org\nuserPassword: secret of %[1]s\nopenCloudUUID: %[3]s\n\n", name, slapd.Users, id(i+1))
	}
	fmt.Fprintf(&ldif, "dn: cn=crew,%[1]s\nobjectClass: groupOfNames\nobjectClass: openCloudObject\ncn: crew\nmember: uid=grace,%[2]s\nopenCloudUUID: %[3]s\n\n", slapd.Groups, slapd.Users, id(9))
	dir := slapd.Start(t, slapd.Config{LDIF: ldif.String()})
	env := []string{
		"GRAPH_IDENTITY_BACKEND=ldap", "OC_LDAP_URI=" + dir.URL, "OC_LDAP_BIND_DN=" + slapd.Service, "OC_LDAP_BIND_PASSWORD=" + slapd.Password,
		"OC_LDAP_USER_BASE_DN=" + slapd.Users, "OC_LDAP_GROUP_BASE_DN=" + slapd.Groups, "OC_ADMIN_USER_ID=ada", "OC_LDAP_CACHE_TTL=0s", "OC_LDAP_PASSWORD_REMEMBER=0s",
	}
	s := daemon.New(t, "", env...)
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	ada := &ldapClient{t, s, "ada", "secret of ada"}
	grace := &ldapClient{t, s, "GRACE", "secret of grace"}

	if me := grace.do(200, "GET", "/graph/v1.0/me?$expand=memberOf", ""); me["id"] != id(2) || me["displayName"] != "grace of LDAP" || len(me["memberOf"].([]any)) != 1 {
		t.Errorf("grace: got %v", me)
	}
	(&ldapClient{t, s, "grace", "secret of ada"}).do(401, "GET", "/graph/v1.0/me", "")
	(&ldapClient{t, s, "*", "secret of ada"}).do(401, "GET", "/graph/v1.0/me", "")
	(&ldapClient{t, s, "nobody", "secret of ada"}).do(401, "GET", "/graph/v1.0/me", "")
	grace.do(201, "PUT", "/remote.php/webdav/file.txt", "of grace")
	if got := ada.do(200, "GET", "/graph/v1.0/users", "")["value"].([]any); len(got) != 2 {
		t.Errorf("users: got %v", got)
	}
	if got := ada.do(200, "GET", "/graph/v1.0/groups/"+id(9)+"/members", ""); !strings.Contains(fmt.Sprint(got), id(2)) {
		t.Errorf("members: got %v", got)
	}
	grace.do(403, "GET", "/graph/v1.0/users", "")

	// The form for people.
	for password, want := range map[string]int{"secret of grace": 200, "secret of ada": 401} {
		r, err := http.NewRequest("POST", s.URL+"/signin/v1/identifier/_/logon", strings.NewReader(`{"params":["grace","`+password+`","1"],"hello":{"client_id":"web","flow":"oidc"}}`))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Content-Type": "application/json", "Kopano-Konnect-XSRF": "1", "Sec-Fetch-Site": "same-origin"} {
			r.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if signedIn := len(resp.Cookies()) > 0; resp.StatusCode != want || signedIn != (want == 200) {
			t.Errorf("form with %q: got %d and %v, want %d", password, resp.StatusCode, resp.Cookies(), want)
		}
	}

	// A directory that is only read says so, and takes what is kept beside it.
	const newcomer = `{"displayName":"New","onPremisesSamAccountName":"newcomer","mail":"new@example.org","passwordProfile":{"password":"a fine secret"}}`
	for _, change := range [][3]string{
		{"POST", "/graph/v1.0/users", newcomer},
		{"PATCH", "/graph/v1.0/users/" + id(2), `{"displayName":"x"}`},
		{"DELETE", "/graph/v1.0/users/" + id(2), ""},
		{"POST", "/graph/v1.0/groups", `{"displayName":"x"}`},
		{"DELETE", "/graph/v1.0/groups/" + id(9), ""},
	} {
		if got := ada.do(501, change[0], change[1], change[2]); !strings.Contains(fmt.Sprint(got), "only read here") {
			t.Errorf("%s %s: got %v", change[0], change[1], got)
		}
	}
	grace.do(200, "GET", "/remote.php/webdav/file.txt", "")
	grace.do(200, "PATCH", "/graph/v1.0/me", `{"preferredLanguage":"de"}`)

	// Down, and back again.
	dir.Kill()
	grace.do(503, "GET", "/remote.php/webdav/file.txt", "")
	if err := dir.Up(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}

	// With write access.
	s.Env = append(s.Env, "OC_LDAP_SERVER_WRITE_ENABLED=true")
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	made := ada.do(201, "POST", "/graph/v1.0/users", newcomer)["id"].(string)
	newUser := &ldapClient{t, s, "newcomer", "a fine secret"}
	newUser.do(201, "PUT", "/remote.php/webdav/file.txt", "of the newcomer")
	ada.do(204, "POST", "/graph/v1.0/groups/"+id(9)+"/members/$ref", `{"@odata.id":"`+s.URL+`/graph/v1.0/users/`+made+`"}`)
	if me := newUser.do(200, "GET", "/graph/v1.0/me?$expand=memberOf", ""); len(me["memberOf"].([]any)) != 1 {
		t.Errorf("groups of the newcomer: got %v", me)
	}
	newUser.do(204, "POST", "/graph/v1.0/me/changePassword", `{"currentPassword":"a fine secret","newPassword":"a finer secret"}`)
	newUser.do(401, "GET", "/graph/v1.0/me", "")
	newUser.password = "a finer secret"
	newUser.do(200, "GET", "/graph/v1.0/me", "")
	ada.do(200, "PATCH", "/graph/v1.0/users/"+made, `{"accountEnabled":false}`)
	newUser.do(401, "GET", "/graph/v1.0/me", "")

	// Others see it, too.
	search := tool(t, "ldapsearch", "ldap-utils")
	out := run(t, "", search, "-LLL", "-x", "-H", dir.URL, "-D", slapd.Service, "-w", slapd.Password, "-b", slapd.Users, "(uid=newcomer)")
	for _, line := range []string{"dn: uid=newcomer," + slapd.Users, "displayName: New", "mail: new@example.org", "openCloudUserEnabled: FALSE", "openCloudUUID: " + made} {
		if !strings.Contains(out, line) {
			t.Errorf("ldapsearch: no %q in\n%s", line, out)
		}
	}
	ada.do(204, "DELETE", "/graph/v1.0/users/"+made, "")
	if out := run(t, "", search, "-LLL", "-x", "-H", dir.URL, "-D", slapd.Service, "-w", slapd.Password, "-b", slapd.Suffix, "(|(uid=newcomer)(member=uid=newcomer,"+slapd.Users+"))"); out != "" {
		t.Errorf("what is left of the newcomer:\n%s", out)
	}
	if log := s.Log.String(); strings.Contains(log, slapd.Password) || strings.Contains(log, "secret") {
		t.Errorf("a secret is in the log:\n%s", log)
	}
}
