package graph

import (
	"bytes"
	"fmt"
	"image/png"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"opencloud/cloud"
)

// all lists all drives and returns their names.
func (w *world) all(query string) string {
	w.t.Helper()
	var got collection[drive]
	w.do(200, "GET", "/graph/v1beta1/drives?"+strings.ReplaceAll(query, " ", "%20"), "", &got)
	var names []string
	for _, d := range got.Value {
		names = append(names, d.Name)
	}
	return strings.Join(names, ",")
}

// Who may list spaces finds those of others, and nothing in them.
func TestAllDrives(t *testing.T) {
	w := start(t)
	w.home()
	secret := w.project("secret")
	w.put(cloud.SpaceID(secret.ID), "file", "content")
	w.do(204, "DELETE", "/graph/v1.0/drives/"+w.project("old").ID, "", nil)
	w.user = grace
	home := w.home()
	for _, c := range []struct {
		who         *cloud.User
		query, want string
	}{
		{admin, "$orderby=name", "Admin,Alan Turing,grace,old,secret"},
		{alan, "$orderby=name&$filter=driveType eq 'personal'", "Admin,Alan Turing,grace"},
		{admin, "$orderby=name desc&$filter=driveType eq project", "secret,old"},
		{admin, "$filter=id eq '" + secret.ID + "' and driveType eq 'project'", "secret"},
		{admin, "$filter=id eq '" + secret.ID + "' or id eq '" + string(home.ID) + "'&$orderby=name", "grace,secret"},
		{admin, "$filter=contains(name,'SECR')", "secret"},
		{admin, "$orderby=name&$top=2&$skip=1", "Alan Turing,grace"},
		{admin, "$expand=root($expand=permissions)&$filter=driveType eq project&$orderby=name", "old,secret"},
		{grace, "$orderby=name", "grace"},
		{light, "", ""},
	} {
		w.user = c.who
		if got := w.all(c.query); got != c.want {
			t.Errorf("%s, %s: got %q, want %q", c.who.Name, c.query, got, c.want)
		}
	}
	w.user = admin
	if got := w.names("$orderby=name"); got != "Admin,Shares" {
		t.Errorf("drives of the admin: got %q, want their own", got)
	}
	page := w.get("drives?$count=true&$top=1&$orderby=name").(object)
	w.same("count", page["@odata.count"], any(5.))
	if next := fmt.Sprint(page["@odata.nextLink"]); !strings.Contains(next, "skip=1") {
		t.Errorf("next page: got %s", next)
	}
	var d drive
	path := "/graph/v1.0/drives/" + secret.ID
	w.do(200, "PATCH", path, `{"name":"known","description":"d","quota":{"total":99}}`, &d)
	if d.Name != "known" || d.Quota.Total != 99 {
		t.Errorf("got %+v", d)
	}
	w.do(400, "DELETE", path, "", nil, "Purge", "T")
	w.do(204, "DELETE", path, "", nil)
	w.do(200, "PATCH", path, `{}`, &d, "Restore", "T")
	w.do(204, "DELETE", path, "", nil)
	w.do(204, "DELETE", path, "", nil, "Purge", "T")
	w.do(404, "GET", path, "", nil)
	if got := w.names("$select=@libre.graph.hasTrashedItems&$filter=driveType+eq+project"); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestDrivesOfUsers(t *testing.T) {
	w := start(t)
	w.home()
	w.project("Project")
	w.user = grace
	w.home()
	w.user = admin
	drives := func(user any) string {
		var names []string
		for _, d := range user.(object)["drives"].([]any) {
			names = append(names, fmt.Sprint(d.(object)["name"]))
		}
		slices.Sort(names)
		return strings.Join(names, ",")
	}
	for path, want := range map[string]string{"users/alan": "Alan Turing,Project", "users/grace": "grace", "users/light": "", "me": "Admin"} {
		for _, query := range []string{"?$expand=drives", "?$select=drives"} {
			if got := drives(w.get(path + query)); got != want {
				t.Errorf("%s: got %q, want %q", path, got, want)
			}
		}
	}
	list := w.get("users?$expand=drives&$orderby=displayName").(object)["value"].([]any)
	var all []string
	for _, u := range list {
		all = append(all, drives(u))
	}
	w.same("drives of all", all, []string{"Admin", "Alan Turing,Project", "grace", ""})
	w.user = grace
	if got := w.get("users/" + string(alan.ID) + "?$expand=drives,drive").(object); got["drives"] != nil || got["drive"] != nil {
		t.Errorf("for who may not know: got %v", got)
	}
	if got := drives(w.get("me?$expand=drives")); got != "grace" {
		t.Errorf("one's own: got %q", got)
	}
}

func (w *world) content(url string) (name string, body []byte) {
	w.t.Helper()
	_, rest, ok := strings.Cut(url, "/base/dav/spaces/")
	space, path, _ := strings.Cut(rest, "/")
	if !ok {
		w.t.Fatalf("got the address %s", url)
	}
	f, n, err := w.core.Open(w.ctx(), cloud.Ref{Space: cloud.SpaceID(space), Path: path}, "")
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	body, err = io.ReadAll(f)
	if err != nil {
		w.t.Fatal(err)
	}
	return n.Name, body
}

func TestTemplate(t *testing.T) {
	w := start(t)
	for language, begin := range map[string]string{
		"": "# Welcome", "de": "# Willkommen", "de-AT;q=0.9, en": "# Willkommen", "xx, fr;q=0.5": "# Bienvenue", "xx": "# Welcome", strings.Repeat("x,", 99): "# Welcome",
	} {
		var d drive
		w.do(201, "POST", "/graph/v1.0/drives?template=default", `{"name":"Mars"}`, &d, "Accept-Language", language)
		if len(d.Special) != 2 || d.Special[0].Special.Name != "readme" || d.Special[1].Special.Name != "image" || d.Special[1].File.MIMEType != "image/png" {
			t.Fatalf("special: got %+v", d.Special)
		}
		if name, body := w.content(d.Special[0].WebDavURL); name != "readme.md" || !strings.HasPrefix(string(body), begin) {
			t.Errorf("%q: got %s: %q, want %q", language, name, body, begin)
		}
		_, body := w.content(d.Special[1].WebDavURL)
		if c, err := png.DecodeConfig(bytes.NewReader(body)); err != nil || c.Width < 100 {
			t.Errorf("image: got %+v, %v", c, err)
		}
	}
	var d drive
	for _, query := range []string{"", "?template=none"} {
		if w.do(201, "POST", "/graph/v1.0/drives"+query, `{"name":"Mars"}`, &d); d.Special != nil {
			t.Errorf("%s: got %+v", query, d.Special)
		}
	}
	w.do(400, "POST", "/graph/v1.0/drives?template=fancy", `{"name":"Mars"}`, nil)
	d = drive{}
	w.do(201, "POST", "/graph/v1.0/drives?template=default", `{"name":"Mars","quota":{"total":500}}`, &d)
	if len(d.Special) != 1 {
		t.Errorf("without room for a picture: got %+v", d.Special)
	}
}

func TestSpecial(t *testing.T) {
	w := start(t)
	d := w.project("Mars")
	path := "/graph/v1.0/drives/" + d.ID
	w.put(cloud.SpaceID(d.ID), "my picture.jpg", "x")
	n, err := w.core.Stat(w.ctx(), cloud.Ref{Space: cloud.SpaceID(d.ID), Path: "my picture.jpg"})
	if err != nil {
		t.Fatal(err)
	}
	id := cloud.ItemID(n.Space, n.ID)
	set := func(status int, name, id string) (d drive) {
		t.Helper()
		w.do(status, "PATCH", path, fmt.Sprintf(`{"special":[{"specialFolder":{"name":%q},"id":%s}]}`, name, id), &d)
		return d
	}
	d = set(200, "image", `"`+id+`"`)
	if len(d.Special) != 2 || d.Special[1].ID != id || d.Special[1].Name != "my picture.jpg" || !strings.HasSuffix(d.Special[1].WebDavURL, "/my%20picture.jpg") {
		t.Errorf("got %+v", d.Special)
	}
	if d = set(200, "image", "null"); len(d.Special) != 1 {
		t.Errorf("removed: got %+v", d.Special)
	}
	d = set(200, "image", `"`+id+`"`)
	if err := w.core.Remove(w.ctx(), cloud.Ref{Space: n.Space, Node: n.ID}, cloud.Conditions{}); err != nil {
		t.Fatal(err)
	}
	var now drive
	if w.do(200, "GET", path, "", &now); len(now.Special) != 1 {
		t.Errorf("deleted: got %+v", now.Special)
	}
	for _, bad := range [][2]string{{"logo", `"` + id + `"`}, {"image", `"x"`}, {"image", `"` + string(w.home().ID) + `"`}, {"image", `"` + d.ID + `"`}} {
		set(400, bad[0], bad[1])
	}
	set(404, "image", `"`+id+`"`)
	w.user = admin // who is no member
	now = drive{}
	if w.do(200, "GET", path, "", &now); now.Special != nil {
		t.Errorf("for who may not look into it: got %+v", now.Special)
	}
}

func TestIfMatch(t *testing.T) {
	w := start(t)
	d := w.project("p")
	w.user = admin
	g := w.crew(grace)
	assignment := "users/grace/appRoleAssignments/" + string(grace.ID) + ":" + cloud.RoleUser
	for _, c := range []struct{ tagged, method, path, body string }{
		{"me", "PATCH", "me", `{"preferredLanguage":"de"}`},
		{"users/grace", "PATCH", "users/grace", `{"displayName":"G"}`},
		{"groups/crew", "PATCH", "groups/crew", `{"description":"d"}`},
		{"drives/" + d.ID, "PATCH", "drives/" + d.ID, `{"name":"q"}`},
		{"groups/crew", "DELETE", "groups/crew/members/" + string(grace.ID) + "/$ref", ""},
		{"users/grace", "DELETE", assignment, ""},
		{"users/grace", "DELETE", "users/grace", ""},
		{"groups/crew", "DELETE", "groups/" + string(g.ID), ""},
		{"drives/" + d.ID, "DELETE", "drives/" + d.ID, ""},
	} {
		tag := w.do(200, "GET", "/graph/v1.0/"+c.tagged, "", nil).Header.Get("ETag")
		if len(tag) < 10 || tag[0] != '"' {
			t.Errorf("%s: got ETag %q", c.tagged, tag)
		}
		w.do(412, c.method, "/graph/v1.0/"+c.path, c.body, nil, "If-Match", `"other"`)
		status := 204
		if c.method == "PATCH" && !strings.HasPrefix(c.path, "groups") {
			status = 200
		}
		w.do(status, c.method, "/graph/v1.0/"+c.path, c.body, nil, "If-Match", `"other", `+tag)
	}
	w.do(200, "PATCH", "/graph/v1.0/me", `{}`, nil, "If-Match", "*")
}

// Groups of a directory that cannot be changed say so.
func TestReadOnlyGroups(t *testing.T) {
	w := start(t)
	w.crew(alan)
	w.dir.ReadOnly = true
	w.user = admin
	w.same("group", w.get("groups/crew").(object)["groupTypes"], any([]any{"ReadOnly"}))
	w.same("groups", w.get("groups").(object)["value"].([]any)[0].(object)["groupTypes"], any([]any{"ReadOnly"}))
	w.same("memberOf", w.get("users/alan?$expand=memberOf").(object)["memberOf"].([]any)[0].(object)["groupTypes"], any([]any{"ReadOnly"}))
	for _, c := range [][3]string{
		{"PATCH", "groups/crew", `{"displayName":"x"}`}, {"DELETE", "groups/crew", ""}, {"POST", "groups", `{"displayName":"x"}`},
		{"DELETE", "groups/crew/members/" + string(alan.ID) + "/$ref", ""}, {"POST", "groups/crew/members/$ref", `{"@odata.id":"/users/` + string(grace.ID) + `"}`},
		{"POST", "users", `{"displayName":"x","onPremisesSamAccountName":"x"}`}, {"PATCH", "users/alan", `{"displayName":"x"}`}, {"DELETE", "users/alan", ""},
	} {
		w.do(501, c[0], "/graph/v1.0/"+c[1], c[2], nil)
	}
}

func FuzzOrder(f *testing.F) {
	f.Add("displayName desc,mail")
	f.Add(" name  asc , name")
	f.Fuzz(func(t *testing.T, s string) {
		by := map[string]func(string) string{"name": func(s string) string { return s }, "mail": func(s string) string { return s[:len(s)/2] }}
		order, err := parseOrder(s, by)
		if err != nil {
			if cloud.KindOf(err) != cloud.Invalid || cloud.Say(err) == "" {
				t.Fatalf("got %v", err)
			}
			return
		}
		all := []string{"b", "a", "", "B", "ab"}
		order(all)
		if len(all) != 5 {
			t.Fatal(all)
		}
	})
}

// What is not understood is refused in a sentence, whatever the list.
func TestUnknownOptions(t *testing.T) {
	w := start(t)
	w.user = admin
	w.crew()
	for _, list := range []string{"users", "groups", "drives", "me/drives"} {
		for _, query := range []string{
			"$filter=x eq 1", "$filter=name", "$filter='", "$orderby=x", "$orderby=name sideways", "$top=-1", "$top=1e3", "$skip=x", "$count=1", "$select=%zz", "$select=password",
			"$expand=x", "$skiptoken=x", "$apply=x", "$format=xml", "$top=1&$top=2",
		} {
			var e struct{ Error struct{ Message string } }
			w.do(400, "GET", "/graph/v1.0/"+list+"?"+strings.ReplaceAll(query, " ", "%20"), "", &e)
			if !strings.HasSuffix(e.Error.Message, ".") && !strings.Contains(e.Error.Message, ":") {
				t.Errorf("%s?%s: got %q, want a sentence", list, query, e.Error.Message)
			}
		}
		if list == "users" || list == "groups" {
			for _, search := range []string{`"`, `a"b`, `"a" OR "b"`, `"a\`} {
				w.do(400, "GET", "/graph/v1.0/"+list+"?$search="+url.QueryEscape(search), "", nil)
			}
		} else {
			w.do(400, "GET", "/graph/v1.0/"+list+"?$search=a", "", nil)
		}
	}
	w.home()
	for _, one := range []string{"me", "users/root", "groups/crew", "me/drive", "users/root/drive", "drives/" + string(w.home().ID)} {
		for _, query := range []string{"$expand=x", "$select=x", "$filter=", "$top=1"} {
			w.do(400, "GET", "/graph/v1.0/"+one+"?"+query, "", nil)
		}
	}
}
