package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/url"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"opencloud/cloud"
)

type object = map[string]any

// get is the JSON of an answer.
func (w *world) get(path string) any {
	w.t.Helper()
	var v any
	w.do(200, "GET", "/graph/v1.0/"+path, "", &v)
	return v
}

func (w *world) same(what string, got, want any) {
	w.t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// found is what a list of users or groups has, by name.
func (w *world) found(path string) string {
	w.t.Helper()
	var got collection[object]
	w.do(200, "GET", "/graph/v1.0/"+path, "", &got)
	var names []string
	for _, v := range got.Value {
		names = append(names, fmt.Sprint(v["displayName"]))
	}
	return strings.Join(names, ",")
}

func (w *world) crew(members ...*cloud.User) *cloud.Group {
	w.t.Helper()
	g, err := w.dir.SetGroup(w.ctx(), &cloud.Group{Name: "Crew", Description: "all of us"})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, u := range members {
		if err := w.dir.Join(w.ctx(), g.ID, u.ID); err != nil {
			w.t.Fatal(err)
		}
	}
	return g
}

// sign makes the user the caller, as the directory has them now.
func (w *world) sign(u *cloud.User) {
	w.t.Helper()
	var err error
	if w.user, err = w.dir.User(w.ctx(), "id", string(u.ID)); err != nil {
		w.t.Fatal(err)
	}
}

func groupJSON(g *cloud.Group) object {
	o := object{"id": string(g.ID), "displayName": g.Name, "groupTypes": []any{}}
	if g.Description != "" {
		o["description"] = g.Description
	}
	return o
}

func assignmentJSON(u *cloud.User, role string) object {
	return object{
		"id": string(u.ID) + ":" + role, "appRoleId": role, "principalId": string(u.ID), "principalDisplayName": displayName(u),
		"principalType": "User", "resourceId": applicationID, "resourceDisplayName": "Test",
	}
}

func identitiesJSON(id any) []any {
	return []any{object{"issuer": "https://cloud.example.org/base", "issuerAssignedId": fmt.Sprint(id)}}
}

func TestMe(t *testing.T) {
	w := start(t)
	g := w.crew(alan)
	w.sign(alan)
	want := object{
		"id": string(alan.ID), "onPremisesSamAccountName": "alan", "displayName": "Alan Turing",
		"mail": "alan@example.org", "userType": "Member", "accountEnabled": true, "identities": identitiesJSON(alan.ID),
	}
	w.same("me", w.get("me"), want)
	want["memberOf"] = []any{groupJSON(g)}
	w.same("me", w.get("me?$expand=memberOf"), want)
	w.same("me", w.get("me/?%24select=id,memberOf"), want)
	want["appRoleAssignments"] = []any{assignmentJSON(alan, alan.Role)}
	w.same("me", w.get("me?$expand=memberOf,appRoleAssignments"), want)

	w.user = grace
	want = object{
		"id": string(grace.ID), "onPremisesSamAccountName": "grace", "displayName": "grace",
		"mail": "", "userType": "Member", "accountEnabled": true, "identities": identitiesJSON(grace.ID), "memberOf": []any{},
	}
	var got any
	w.do(200, "GET", "/graph/v1beta1/me?$expand=memberOf", "", &got)
	w.same("me", got, want)
	w.do(400, "GET", "/graph/v1.0/me?$expand=manager", "", nil)
	w.do(400, "GET", "/graph/v1.0/me?$select=nope", "", nil)
	w.do(400, "GET", "/graph/v1.0/me?$filter=id", "", nil)

	got = nil
	w.do(200, "PATCH", "/graph/v1.0/me", `{"preferredLanguage":"de"}`, &got)
	delete(want, "memberOf")
	want["preferredLanguage"] = "de"
	w.same("me, patched", got, want)
	w.sign(grace)
	w.same("me, afterwards", w.get("me"), want)
	w.do(400, "PATCH", "/graph/v1.0/me", `{"preferredLanguage":"<de>"}`, nil)
	w.do(403, "PATCH", "/graph/v1.0/me", `{"displayName":"Boss"}`, nil)
	w.do(403, "PATCH", "/graph/v1.0/me", `{"preferredLanguage":"de","accountEnabled":true}`, nil)
	w.do(400, "PATCH", "/graph/v1.0/me", `{"userType":"Guest"}`, nil)
	w.user = nil
	for _, path := range []string{"me", "me/drives", "users", "users/x", "groups", "groups/x", "applications", "me/photo/$value"} {
		w.do(401, "GET", "/graph/v1.0/"+path, "", nil)
	}
	w.do(401, "PATCH", "/graph/v1.0/me", `{"preferredLanguage":"de"}`, nil)
}

func TestChangePassword(t *testing.T) {
	w := start(t)
	if _, err := w.dir.SetUser(w.ctx(), grace, "an old secret"); err != nil {
		t.Fatal(err)
	}
	w.user = grace
	change := func(status int, current, next, say string) {
		t.Helper()
		body, _ := json.Marshal(object{"currentPassword": current, "newPassword": next})
		resp := w.do(status, "POST", "/graph/v1.0/me/changePassword", string(body), nil)
		if text, _ := io.ReadAll(resp.Body); !strings.Contains(string(text), say) {
			t.Errorf("got %s, want %q", text, say)
		}
	}
	change(400, "wrong", "a new secret", "The current password is wrong.")
	change(400, "", "a new secret", "The current password is wrong.")
	change(400, "an old secret", "new", "too short: at least 8")
	change(400, "an old secret", "password1", "first that somebody would guess")
	change(204, "an old secret", "a new secret", "")
	if _, err := w.dir.Verify(w.ctx(), "grace", "a new secret"); err != nil {
		t.Error(err)
	}
}

func TestUserLife(t *testing.T) {
	w := start(t)
	w.user = admin
	var got object
	w.do(201, "POST", "/graph/v1.0/users", `{
		"displayName":"Lynn Conway","onPremisesSamAccountName":"lynn","mail":"lynn@example.org","givenName":"Lynn","surname":"Conway",
		"accountEnabled":true,"preferredLanguage":"fr","passwordProfile":{"password":"a fine secret"}}`, &got)
	id := fmt.Sprint(got["id"])
	want := object{
		"id": id, "displayName": "Lynn Conway", "onPremisesSamAccountName": "lynn", "mail": "lynn@example.org", "givenName": "Lynn",
		"surname": "Conway", "accountEnabled": true, "preferredLanguage": "fr", "userType": "Member", "identities": identitiesJSON(id),
	}
	w.same("a new user", got, want)
	lynn, err := w.dir.Verify(w.ctx(), "lynn", "a fine secret")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{id, "lynn", "LYNN"} {
		w.same("user "+key, w.get("users/"+key), want)
	}
	w.do(200, "PATCH", "/graph/v1.0/users/"+id, `{"displayName":"L. Conway","accountEnabled":false,"id":"`+id+`","unknown":1,"userType":"Member","memberOf":[]}`, &got)
	want["displayName"], want["accountEnabled"] = "L. Conway", false
	w.same("a changed user", got, want)
	got = nil
	w.do(200, "PATCH", "/graph/v1.0/users/lynn", `{"onPremisesSamAccountName":"conway","passwordProfile":{"password":"another secret"},"accountEnabled":true,"surname":""}`, &got)
	want["onPremisesSamAccountName"], want["accountEnabled"] = "conway", true
	delete(want, "surname")
	w.same("a renamed user", got, want)
	if _, err := w.dir.Verify(w.ctx(), "conway", "another secret"); err != nil {
		t.Error(err)
	}
	w.do(404, "GET", "/graph/v1.0/users/lynn", "", nil) // the name is free

	g := w.crew(lynn)
	want["memberOf"], want["appRoleAssignments"] = []any{groupJSON(g)}, []any{assignmentJSON(&cloud.User{ID: lynn.ID, Display: "L. Conway"}, cloud.RoleUser)}
	w.same("expanded", w.get("users/"+id+"?$expand=drive,memberOf,appRoleAssignments"), want)
	w.do(404, "GET", "/graph/v1.0/users/"+id+"/drive", "", nil)
	w.sign(lynn)
	home := w.home()
	w.user = admin
	user := w.get("users/" + id + "?$expand=drive").(object)
	drive := w.get("users/" + id + "/drive").(object)
	w.same("drive", user["drive"], any(drive))
	w.same("drive", drive["id"], any(string(home.ID)))
	var changed object
	w.do(200, "PATCH", "/graph/v1.0/drives/"+string(home.ID), `{"quota":{"total":1000}}`, &changed)
	w.same("quota", changed["quota"].(object)["total"], any(1000.))

	w.do(204, "DELETE", "/graph/v1.0/users/"+id, "", nil)
	w.do(404, "GET", "/graph/v1.0/users/"+id, "", nil)
	w.do(404, "DELETE", "/graph/v1.0/users/"+id, "", nil)
	w.do(404, "GET", "/graph/v1.0/drives/"+string(home.ID), "", nil)
	w.do(403, "DELETE", "/graph/v1.0/users/"+string(admin.ID), "", nil)
	w.do(403, "PATCH", "/graph/v1.0/users/"+string(admin.ID), `{"accountEnabled":false}`, nil)
}

func TestUsersRefused(t *testing.T) {
	w := start(t)
	w.user = admin
	for body, status := range map[string]int{
		``:                                 400,
		`{"displayName":"A"}`:              400,
		`{"onPremisesSamAccountName":"a"}`: 400,
		`{"displayName":"A","onPremisesSamAccountName":"ALAN"}`:                                                       409,
		`{"displayName":"A","onPremisesSamAccountName":"a","mail":"x"}`:                                               400,
		`{"displayName":"A","onPremisesSamAccountName":"a","id":"1"}`:                                                 400,
		`{"displayName":"A","onPremisesSamAccountName":"a","userType":"Guest"}`:                                       400,
		`{"displayName":"A","onPremisesSamAccountName":"a","passwordProfile":{"password":"short"}}`:                   400,
		`{"displayName":"A","onPremisesSamAccountName":"a\u0000"}`:                                                    400,
		`{"displayName":1,"onPremisesSamAccountName":"a"}`:                                                            400,
		`{"displayName":"A","onPremisesSamAccountName":"a","passwordProfile":{"forceChangePasswordNextSignIn":true}}`: 501,
	} {
		w.do(status, "POST", "/graph/v1.0/users", body, nil)
	}
	w.do(400, "PATCH", "/graph/v1.0/users/alan", `{"id":"other"}`, nil)
	w.do(400, "PATCH", "/graph/v1.0/users/alan", `{"displayName":""}`, nil)
	w.do(409, "PATCH", "/graph/v1.0/users/alan", `{"onPremisesSamAccountName":"grace"}`, nil)
	w.do(404, "PATCH", "/graph/v1.0/users/nobody", `{"displayName":"x"}`, nil)
}

func TestListUsers(t *testing.T) {
	w := start(t)
	g := w.crew(alan, grace)
	w.user = admin
	for query, want := range map[string]string{
		"$orderby=displayName":               "Admin,Alan Turing,grace,light",
		"$orderby=displayName+desc&$filter=": "light,grace,Alan Turing,Admin",
		"$orderby=mail,displayName":          "grace,light,Alan Turing,Admin",
		"$orderby=onPremisesSamAccountName":  "Alan Turing,grace,light,Admin",
		`$search="tur"`:                      "Alan Turing",
		`$search=%22ALAN@example%22`:         "Alan Turing",
		"$search=gra":                        "grace",
		`$search="a"&$orderby=displayName`:   "Admin,Alan Turing,grace",
		`$search="no \"one\""`:               "",
		"$orderby=displayName&$filter=memberOf/any(m:m/id eq '" + string(g.ID) + "')":                                                                                            "Alan Turing,grace",
		"$filter=memberOf/any(x:x/id eq " + string(g.ID) + ") and appRoleAssignments/any(m:m/appRoleId eq '" + cloud.RoleUser + "')":                                             "grace",
		"$orderby=displayName&$filter=(appRoleAssignments/any(m:m/appRoleId eq '" + cloud.RoleUser + "') or appRoleAssignments/any(m:m/appRoleId eq '" + cloud.RoleAdmin + "'))": "Admin,grace",
		"$filter=(userType eq 'Federated')":                       "",
		"$filter=userType eq 'Member' and contains(mail,'ROOT@')": "Admin",
		"$filter=contains(displayName,'turing')":                  "Alan Turing",
		"$filter=startswith(displayName,'li')":                    "light",
		"$filter=accountEnabled eq false":                         "",
		"$orderby=displayName&$top=2":                             "Admin,Alan Turing",
		"$orderby=displayName&$top=2&$skip=1":                     "Alan Turing,grace",
		"$orderby=displayName&$skip=3&$top=9":                     "light",
		"$skip=9":                                                 "",
		"$top=0":                                                  "",
		"$expand=memberOf,appRoleAssignments&$select=id,displayName&$orderby=displayName": "Admin,Alan Turing,grace,light",
	} {
		if got := w.found("users?" + strings.ReplaceAll(query, " ", "%20")); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{
		"$filter=memberOf eq x", "$filter=displayName", "$orderby=surname", "$orderby=displayName+up", "$expand=manager", "$select=password",
		"$top=-1", "$top=x", "$skip=1.5", "$count=maybe", `$search="a`, `$search="a"+"b"`, `$search=a"b`, "$apply=x", "$filter=endswith(mail,'x')",
		`$search="a\`,
	} {
		w.do(400, "GET", "/graph/v1.0/users?"+strings.ReplaceAll(query, " ", "%20"), "", nil)
	}
	w.do(413, "GET", "/graph/v1.0/users?$search="+strings.Repeat("x", 2000), "", nil)

	page := w.get("users?$orderby=displayName&$top=3&$count=true").(object)
	w.same("count", page["@odata.count"], any(4.))
	next, err := url.Parse(fmt.Sprint(page["@odata.nextLink"]))
	if err != nil || !strings.HasPrefix(next.String(), "https://cloud.example.org/base/graph/v1.0/users?") {
		t.Errorf("next page: got %v, %v", next, err)
	}
	page = w.get("users?" + next.RawQuery).(object)
	if got := page["value"].([]any); len(got) != 1 || got[0].(object)["displayName"] != "light" || page["@odata.nextLink"] != nil {
		t.Errorf("the last page: got %v", page)
	}
	user := w.get("users?$search=alan&$expand=memberOf,appRoleAssignments").(object)["value"].([]any)[0]
	w.same("expanded", user, any(object{
		"id": string(alan.ID), "displayName": "Alan Turing", "onPremisesSamAccountName": "alan", "mail": "alan@example.org", "accountEnabled": true, "userType": "Member",
		"identities": identitiesJSON(alan.ID), "memberOf": []any{groupJSON(g)}, "appRoleAssignments": []any{assignmentJSON(alan, alan.Role)},
	}))
}

// Who may not manage users sees of others what it takes to share something.
func TestReducedUsers(t *testing.T) {
	w := start(t)
	w.crew(alan)
	w.user = grace
	want := object{"id": string(alan.ID), "displayName": "Alan Turing", "onPremisesSamAccountName": "", "userType": "Member"}
	w.same("searched", w.get("users?$search=turing").(object)["value"], any([]any{want}))
	w.same("searched", w.get("users?$search=turing&$expand=memberOf,appRoleAssignments,drive").(object)["value"], any([]any{want}))
	w.same("user", w.get("users/"+string(alan.ID)), any(want))
	w.same("user", w.get("users/"+string(alan.ID)+"?$expand=drive,memberOf,appRoleAssignments"), any(want))
	for _, query := range []string{"", "?$search=tu", `?$search="tu"`, "?$search=", "?$filter=displayName eq 'Alan Turing'"} {
		w.do(403, "GET", "/graph/v1.0/users"+strings.ReplaceAll(query, " ", "%20"), "", nil)
	}
	// What they may not see they cannot ask for either.
	for _, filter := range []string{"appRoleAssignments/any(m:m/appRoleId eq '" + alan.Role + "')", "onPremisesSamAccountName eq 'alan'", "mail eq 'alan@example.org'"} {
		if got := w.found("users?$search=turing&$filter=" + url.QueryEscape(filter)); got != "" {
			t.Errorf("%s: got %q", filter, got)
		}
	}
	w.do(404, "GET", "/graph/v1.0/users/alan", "", nil)
	if got := w.get("users/grace").(object)["onPremisesSamAccountName"]; got != "grace" {
		t.Errorf("oneself by name: got %v", got)
	}
}

func TestGroups(t *testing.T) {
	w := start(t)
	w.user = admin
	var got object
	w.do(201, "POST", "/graph/v1.0/groups", `{"displayName":"Crew","description":"all","members@odata.bind":["https://cloud.example.org/graph/v1.0/users/`+string(alan.ID)+`"]}`, &got)
	id := fmt.Sprint(got["id"])
	crew := object{"id": id, "displayName": "Crew", "description": "all", "groupTypes": []any{}}
	w.same("a new group", got, crew)
	for _, key := range []string{id, "Crew", "crew"} {
		w.same("group "+key, w.get("groups/"+key), any(crew))
	}
	w.do(404, "GET", "/graph/v1.0/groups/free", "", nil)
	w.do(409, "POST", "/graph/v1.0/groups", `{"displayName":"crew"}`, nil)
	w.do(201, "POST", "/graph/v1.0/groups", `{"displayName":"A/B & C"}`, nil)
	w.do(200, "GET", "/graph/v1.0/groups/"+url.PathEscape("A/B & C"), "", nil)

	path := "/graph/v1.0/groups/" + id
	ref := func(u *cloud.User) string {
		return `{"@odata.id":"https://cloud.example.org/base/graph/v1.0/users/` + string(u.ID) + `"}`
	}
	w.do(204, "POST", path+"/members/$ref", ref(grace), nil)
	w.do(204, "POST", path+"/members/$ref", ref(grace), nil) // again
	if got := w.found("groups/" + id + "/members"); got != "Alan Turing,grace" {
		t.Errorf("members: got %q", got)
	}
	w.do(204, "DELETE", path+"/members/"+string(alan.ID)+"/$ref", "", nil)
	w.do(404, "DELETE", path+"/members/"+string(alan.ID)+"/$ref", "", nil)
	w.do(404, "DELETE", path+"/members/nobody/$ref", "", nil)
	members := w.get("groups/" + id + "?$expand=members").(object)["members"].([]any)
	if len(members) != 1 || members[0].(object)["displayName"] != "grace" {
		t.Errorf("expanded members: got %v", members)
	}
	w.do(204, "PATCH", path, `{"displayName":"Team","members@odata.bind":["http://x/users/`+string(alan.ID)+`","http://x/users/`+string(light.ID)+`"]}`, nil)
	if got := w.found("groups/team/members"); got != "Alan Turing,grace,light" {
		t.Errorf("members: got %q", got)
	}
	for body, status := range map[string]int{
		`{}`:                           204,
		`{"displayName":""}`:           400,
		`{"displayName":"a/b & C"}`:    409,
		`{"members@odata.bind":["x"]}`: 400,
		`{"members@odata.bind":["http://x/users/"]}`:                           400,
		`{"members@odata.bind":["http://x/users/a/b"]}`:                        400,
		`{"members@odata.bind":["http://x/users/nobody"]}`:                     404,
		`{"members@odata.bind":["/users/1","/users/2","/users/3","/users/4"]}`: 400,
		`[]`: 400,
	} {
		w.do(status, "PATCH", path, body, nil)
	}
	w.do(400, "POST", path+"/members/$ref", `{}`, nil)
	w.do(404, "POST", path+"/members/$ref", `{"@odata.id":"/users/x"}`, nil)
	w.do(404, "POST", "/graph/v1.0/groups/nope/members/$ref", ref(grace), nil)

	for query, want := range map[string]string{
		"$orderby=displayName":                            "A/B & C,Team",
		"$orderby=displayName%20desc&$expand=members":     "Team,A/B & C",
		`$search="eam"`:                                   "Team",
		"$filter=":                                        "Team,A/B & C",
		"$filter=contains(displayName,'tEA')":             "Team",
		"$orderby=displayName&$top=1&$skip=1&$count=true": "Team",
	} {
		if got := w.found("groups?" + query); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{"$orderby=id", "$expand=owners", "$filter=members/any(m:m/id eq 'x')", "$select=x"} {
		w.do(400, "GET", "/graph/v1.0/groups?"+strings.ReplaceAll(query, " ", "%20"), "", nil)
	}
	w.sign(grace)
	if got := w.get("me?$expand=memberOf").(object)["memberOf"].([]any); len(got) != 1 {
		t.Errorf("memberOf: got %v", got)
	}
	w.user = admin
	w.do(204, "DELETE", path, "", nil)
	w.do(404, "DELETE", path, "", nil)
	w.do(404, "GET", path, "", nil)
	w.sign(grace)
	w.same("memberOf of a group that is no more", w.get("me?$expand=memberOf").(object)["memberOf"], any([]any{}))
}

func TestAppRoles(t *testing.T) {
	w := start(t)
	w.user = admin
	apps := w.get("applications").(object)["value"].([]any)
	app := apps[0].(object)
	var roles []string
	for _, r := range app["appRoles"].([]any) {
		roles = append(roles, fmt.Sprint(r.(object)["displayName"], "=", r.(object)["id"]))
	}
	w.same("roles", roles, []string{"Admin=" + cloud.RoleAdmin, "Space Admin=" + cloud.RoleSpaceAdmin, "User=" + cloud.RoleUser, "User Light=" + cloud.RoleUserLight})
	w.same("application", w.get("applications/"+fmt.Sprint(app["id"])), any(app))
	w.do(404, "GET", "/graph/v1.0/applications/x", "", nil)

	path := "/graph/v1.0/users/" + string(grace.ID) + "/appRoleAssignments"
	list := func(want ...any) {
		t.Helper()
		w.same("assignments", w.get("users/"+string(grace.ID)+"/appRoleAssignments"), any(object{"value": append([]any{}, want...)}))
	}
	list(assignmentJSON(grace, cloud.RoleUser))
	body := func(principal, resource, role string) string {
		return fmt.Sprintf(`{"principalId":%q,"resourceId":%q,"appRoleId":%q}`, principal, resource, role)
	}
	var got object
	w.do(200, "POST", path, body(string(grace.ID), applicationID, cloud.RoleSpaceAdmin), &got)
	w.same("a new assignment", got, assignmentJSON(grace, cloud.RoleSpaceAdmin))
	list(assignmentJSON(grace, cloud.RoleSpaceAdmin)) // one role for each
	for what, b := range map[string]string{
		"another principal": body(string(alan.ID), applicationID, cloud.RoleUser), "another resource": body(string(grace.ID), "x", cloud.RoleUser),
		"no role": body(string(grace.ID), applicationID, ""), "an unknown role": body(string(grace.ID), applicationID, "x"), "nothing": "{}",
	} {
		t.Log(what)
		w.do(400, "POST", path, b, nil)
	}
	w.do(404, "DELETE", path+"/"+string(grace.ID)+":"+cloud.RoleUser, "", nil)
	w.do(404, "DELETE", path+"/x", "", nil)
	w.do(204, "DELETE", path+"/"+string(grace.ID)+":"+cloud.RoleSpaceAdmin, "", nil)
	list()
	w.do(403, "DELETE", "/graph/v1.0/users/"+string(admin.ID)+"/appRoleAssignments/"+string(admin.ID)+":"+cloud.RoleAdmin, "", nil)
	w.user = alan
	w.do(200, "GET", "/graph/v1.0/users/"+string(alan.ID)+"/appRoleAssignments", "", nil)
	w.do(403, "GET", path, "", nil)
	w.do(403, "POST", "/graph/v1.0/users/"+string(alan.ID)+"/appRoleAssignments", body(string(alan.ID), applicationID, cloud.RoleAdmin), nil)
	w.do(403, "DELETE", "/graph/v1.0/users/"+string(alan.ID)+"/appRoleAssignments/"+string(alan.ID)+":"+alan.Role, "", nil)
}

func TestPhotos(t *testing.T) {
	w := start(t)
	w.user = grace
	const mine = "/graph/v1.0/me/photo/$value"
	his := "/graph/v1.0/users/" + string(grace.ID) + "/photo/$value"
	w.do(404, "GET", mine, "", nil)
	w.do(404, "GET", his, "", nil)
	w.do(404, "GET", "/graph/v1.0/users/nobody/photo/$value", "", nil)
	var b bytes.Buffer
	png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 3)))
	for _, method := range []string{"PUT", "PATCH"} {
		w.do(204, method, mine, b.String(), nil, "Content-Type", "image/png")
	}
	w.user = alan
	resp := w.do(200, "GET", his, "", nil)
	body, _ := io.ReadAll(resp.Body)
	head := resp.Header
	if string(body) != b.String() || head.Get("Content-Type") != "image/png" || head.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(head.Get("Cache-Control"), "private") {
		t.Errorf("got %d bytes and %v", len(body), head)
	}
	w.do(304, "GET", his, "", nil, "If-None-Match", head.Get("ETag"))
	w.do(200, "GET", strings.Replace(his, "$", "%24", 1), "", nil)
	w.do(405, "PUT", his, b.String(), nil)
	w.user = grace
	w.do(400, "PUT", mine, "<svg/>", nil, "Content-Type", "image/svg+xml")
	w.do(400, "PUT", mine, "", nil)
	w.do(413, "PUT", mine, strings.Repeat("x", cloud.MaxPhoto+1), nil)
	w.do(204, "DELETE", mine, "", nil)
	w.do(404, "GET", mine, "", nil)
	w.user = light
	w.do(403, "PUT", mine, b.String(), nil)
}

// Who may do what, as a person can read it: the status for an admin, a space
// admin, a user, a light user and nobody.
func TestWhoMay(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		want               [5]int
	}{
		{"GET", "me", "", [5]int{200, 200, 200, 200, 401}},
		{"PATCH", "me", `{"preferredLanguage":"de"}`, [5]int{200, 200, 200, 200, 401}},
		{"PATCH", "me", `{"displayName":"X"}`, [5]int{200, 403, 403, 403, 401}},
		{"POST", "me/changePassword", `{"currentPassword":"an old secret","newPassword":"a new secret"}`, [5]int{204, 204, 204, 204, 401}},
		{"GET", "users", "", [5]int{200, 403, 403, 403, 401}},
		{"GET", "users?$search=other", "", [5]int{200, 200, 200, 200, 401}},
		{"POST", "users", `{"displayName":"N","onPremisesSamAccountName":"n"}`, [5]int{201, 403, 403, 403, 401}},
		{"GET", "users/{other}", "", [5]int{200, 200, 200, 200, 401}},
		{"GET", "users/other", "", [5]int{200, 404, 404, 404, 401}},
		{"GET", "users/nobody", "", [5]int{404, 404, 404, 404, 401}},
		{"PATCH", "users/{other}", `{"displayName":"X"}`, [5]int{200, 403, 403, 403, 401}},
		{"PATCH", "users/{other}", `{"passwordProfile":{"password":"a new secret"}}`, [5]int{200, 403, 403, 403, 401}},
		{"DELETE", "users/{other}", "", [5]int{204, 403, 403, 403, 401}},
		{"GET", "users/{other}/drive", "", [5]int{200, 200, 403, 403, 401}},
		{"GET", "users/{other}/appRoleAssignments", "", [5]int{200, 403, 403, 403, 401}},
		{"POST", "users/{other}/appRoleAssignments", `{"principalId":"{other}","resourceId":"` + applicationID + `","appRoleId":"` + cloud.RoleAdmin + `"}`, [5]int{200, 403, 403, 403, 401}},
		{"DELETE", "users/{other}/appRoleAssignments/{other}:" + cloud.RoleUser, "", [5]int{204, 403, 403, 403, 401}},
		{"GET", "groups", "", [5]int{200, 403, 403, 403, 401}},
		{"GET", "groups?$search=cre", "", [5]int{200, 200, 200, 200, 401}},
		{"GET", "groups?$search=cre&$expand=members", "", [5]int{200, 403, 403, 403, 401}},
		{"POST", "groups", `{"displayName":"n"}`, [5]int{201, 403, 403, 403, 401}},
		{"GET", "groups/crew", "", [5]int{200, 200, 200, 200, 401}},
		{"GET", "groups/crew?$expand=members", "", [5]int{200, 403, 403, 403, 401}},
		{"PATCH", "groups/crew", `{"displayName":"n"}`, [5]int{204, 403, 403, 403, 401}},
		{"PATCH", "groups/crew", `{"members@odata.bind":["/users/{other}"]}`, [5]int{204, 403, 403, 403, 401}},
		{"DELETE", "groups/crew", "", [5]int{204, 403, 403, 403, 401}},
		{"GET", "groups/crew/members", "", [5]int{200, 403, 403, 403, 401}},
		{"POST", "groups/crew/members/$ref", `{"@odata.id":"/users/{other}"}`, [5]int{204, 403, 403, 403, 401}},
		{"DELETE", "groups/crew/members/{other}/$ref", "", [5]int{204, 403, 403, 403, 401}},
		{"POST", "users/{other}/exportPersonalData", "{}", [5]int{403, 403, 403, 403, 401}},
		{"GET", "directory/deletedItems/microsoft.graph.user", "", [5]int{200, 403, 403, 403, 401}},
		{"POST", "directory/deletedItems/{other}/restore", "", [5]int{404, 403, 403, 403, 401}},
		{"DELETE", "directory/deletedItems/{other}", "", [5]int{404, 403, 403, 403, 401}},
		{"GET", "me/drives", "", [5]int{200, 200, 200, 200, 401}},
		{"GET", "drives", "", [5]int{200, 200, 200, 200, 401}},
		{"POST", "drives", `{"name":"n"}`, [5]int{201, 201, 403, 403, 401}},
		{"GET", "drives/{home}", "", [5]int{200, 200, 404, 404, 401}},
		{"PATCH", "drives/{home}", `{"quota":{"total":1000}}`, [5]int{200, 403, 404, 404, 401}},
		{"PATCH", "drives/{home}", `{"name":"n"}`, [5]int{200, 200, 404, 404, 401}},
		{"DELETE", "drives/{home}", "", [5]int{403, 403, 404, 404, 401}},
		{"GET", "drives/{project}", "", [5]int{200, 200, 404, 404, 401}},
		{"PATCH", "drives/{project}", `{"name":"n"}`, [5]int{200, 200, 404, 404, 401}},
		{"PATCH", "drives/{project}", `{"quota":{"total":1000}}`, [5]int{200, 200, 404, 404, 401}},
		{"PATCH", "drives/{project}", `{"special":[{"specialFolder":{"name":"image"}}]}`, [5]int{404, 404, 404, 404, 401}},
		{"DELETE", "drives/{project}", "", [5]int{204, 204, 404, 404, 401}},
		{"GET", "applications", "", [5]int{200, 200, 200, 200, 401}},
	} {
		for i, role := range []string{cloud.RoleAdmin, cloud.RoleSpaceAdmin, cloud.RoleUser, cloud.RoleUserLight, ""} {
			w := start(t)
			other, err := w.dir.SetUser(w.ctx(), &cloud.User{Name: "other", Display: "Other", Role: cloud.RoleUser}, "")
			if err != nil {
				t.Fatal(err)
			}
			w.crew(other)
			w.sign(other)
			home := w.home()
			w.user = alan
			project := w.project("Project")
			w.user = nil
			if role != "" {
				if w.user, err = w.dir.SetUser(w.ctx(), &cloud.User{Name: "caller", Display: "Caller", Role: role}, "an old secret"); err != nil {
					t.Fatal(err)
				}
			}
			id := strings.NewReplacer("{other}", string(other.ID), "{home}", string(home.ID), "{project}", project.ID)
			w.do(c.want[i], c.method, "/graph/v1.0/"+id.Replace(c.path), id.Replace(c.body), nil)
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add(`"a b"`)
	f.Add(`"a\"b\\"`)
	f.Add(`a`)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseSearch(s)
		if err != nil {
			if k := cloud.KindOf(err); k != cloud.Invalid && k != cloud.TooLarge {
				t.Fatalf("got %v", err)
			}
			return
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(got) + `"`
		again, err := parseSearch(quoted)
		if len(quoted) <= 2*maxSearch && (err != nil || again != got) {
			t.Fatalf("%q: got %q, and of that %q, %v", s, got, again, err)
		}
	})
}
