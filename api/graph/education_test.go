package graph

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"opencloud/cloud"
	"opencloud/core"
	dirmem "opencloud/directory/mem"
)

// campus is a world with schools, seen by the admin.
func campus(t *testing.T) *world {
	w := start(t)
	w.opts.Schools, w.opts.Education = &dirmem.Schools{}, core.EducationOptions{GraceDays: 1}
	w.serve()
	w.h = New(w.core, w.core, w.people, Options{MaxBind: 3, Product: "Test", Education: w.people.Education()})
	w.user = admin
	return w
}

// edu sends a request below education and returns the JSON of the answer.
func (w *world) edu(status int, method, path, body string) object {
	w.t.Helper()
	var got object
	to := any(&got)
	if status == 204 {
		to = nil
	}
	w.do(status, method, "/graph/v1.0/education/"+strings.ReplaceAll(path, " ", "%20"), body, to)
	return got
}

func (w *world) newSchool(body string) string {
	w.t.Helper()
	return fmt.Sprint(w.edu(201, "POST", "schools", body)["id"])
}

func (w *world) newClass(body string) string {
	w.t.Helper()
	return fmt.Sprint(w.edu(201, "POST", "classes", body)["id"])
}

func (w *world) newPupil(name string) string {
	w.t.Helper()
	return fmt.Sprint(w.edu(201, "POST", "users", `{"displayName":"`+name+`","onPremisesSamAccountName":"`+name+`"}`)["id"])
}

func refTo(path string) string {
	return `{"@odata.id":"https://cloud.example.org/graph/v1.0/education/` + path + `"}`
}

func TestSchools(t *testing.T) {
	w := campus(t)
	got := w.edu(201, "POST", "schools", `{"displayName":"Realschule Musterstadt","schoolNumber":"1234","externalId":"EX1"}`)
	id := fmt.Sprint(got["id"])
	want := object{"id": id, "displayName": "Realschule Musterstadt", "schoolNumber": "1234", "externalId": "EX1"}
	w.same("a new school", got, want)
	w.same("by id", w.edu(200, "GET", "schools/"+id, ""), want)
	w.same("by number", w.edu(200, "GET", "schools/1234", ""), want)
	w.edu(404, "GET", "schools/EX1", "")
	w.newSchool(`{"displayName":"Gymnasium/A","schoolNumber":"a/b"}`)
	w.edu(200, "GET", "schools/a%2Fb", "")

	for body, status := range map[string]int{
		`{}`: 400, `{"schoolNumber":"9"}`: 400, `{"displayName":""}`: 400, `{"displayName":"x","schoolNumber":"1234"}`: 409,
		`{"displayName":"x","externalId":"EX1"}`: 409, `{"displayName":"x","id":"x"}`: 400, `{"displayName":"x","terminationDate":"soon"}`: 400,
		`{"displayName":"x","terminationDate":"2001-01-01T00:00:00Z"}`: 400, `{"displayName":"` + strings.Repeat("x", 256) + `"}`: 400, `[]`: 400, `{"displayName":1}`: 400,
	} {
		w.edu(status, "POST", "schools", body)
	}
	end := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
	w.edu(409, "DELETE", "schools/"+id, "")
	want["terminationDate"] = end
	w.same("with an end", w.edu(200, "PATCH", "schools/1234", `{"terminationDate":"`+end+`"}`), want)
	w.edu(409, "DELETE", "schools/"+id, "")
	want["schoolNumber"] = "4321"
	w.same("renumbered", w.edu(200, "PATCH", "schools/1234", `{"schoolNumber":"4321"}`), want)
	delete(want, "terminationDate")
	delete(want, "externalId")
	w.same("without an end", w.edu(200, "PATCH", "schools/"+id, `{"terminationDate":null,"externalId":"","id":"`+id+`"}`), want)
	w.edu(409, "PATCH", "schools/"+id, `{"schoolNumber":"a/b"}`)
	w.edu(400, "PATCH", "schools/"+id, `{"displayName":""}`)
	w.edu(404, "PATCH", "schools/1234", `{}`)
	w.edu(404, "DELETE", "schools/1234", "")
}

func TestSchoolLists(t *testing.T) {
	w := campus(t)
	if got := w.found("education/schools"); got != "" {
		t.Errorf("got %q", got)
	}
	for i, name := range []string{"c", "a", "b"} {
		w.newSchool(fmt.Sprintf(`{"displayName":%q,"schoolNumber":"%d","externalId":"EX%d"}`, name, i, i))
	}
	for query, want := range map[string]string{
		"":                             "c,a,b",
		"$filter=externalId eq 'EX1'":  "a",
		"$filter=externalId eq 'ex1'":  "",
		"$filter=externalId eq 'none'": "",
		"$filter=externalId eq ''":     "",
		"$filter=schoolNumber eq '2'":  "b",
		"$filter=externalId eq 'EX1' or displayName eq 'c'": "c,a",
		"$orderby=displayName":                              "a,b,c",
		"$orderby=displayName desc":                         "c,b,a",
		"$orderby=schoolNumber&$top=1&$skip=1":              "a",
		"$top=0":                                            "",
		"$count=true":                                       "c,a,b",
	} {
		if got := w.found("education/schools?" + strings.ReplaceAll(query, " ", "%20")); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{"$filter=terminationDate eq 'x'", "$filter=externalId", "$orderby=id", "$expand=users", "$select=password", "$search=x", "$top=x", "$apply=x"} {
		w.edu(400, "GET", "schools?"+query, "")
	}
	w.edu(400, "GET", "schools/0?$expand=users", "")
	w.edu(413, "GET", "schools?$filter=externalId eq '"+strings.Repeat("x", 5000)+"'", "")
}

func TestPupils(t *testing.T) {
	w := campus(t)
	got := w.edu(201, "POST", "users", `{"onPremisesSAMAccountName":"max.mustermann","displayName":"Max Mustermann","surname":"Mustermann","givenName":"Max",
		"mail":"max@example.org","primaryRole":"student","externalId":"EX1","identities":[{"issuer":"idp.school.com","issuerAssignedId":"max"}],
		"passwordProfile":{"password":"a fine secret"}}`)
	id := fmt.Sprint(got["id"])
	want := object{
		"id": id, "onPremisesSamAccountName": "max.mustermann", "displayName": "Max Mustermann", "surname": "Mustermann", "givenName": "Max",
		"mail": "max@example.org", "primaryRole": "student", "externalId": "EX1", "accountEnabled": true, "userType": "Member",
		"identities": []any{object{"issuer": "idp.school.com", "issuerAssignedId": "max"}},
	}
	w.same("a new user", got, want)
	w.same("by id", w.edu(200, "GET", "users/"+id, ""), want)
	w.same("by name", w.edu(200, "GET", "users/max.mustermann", ""), want)
	w.edu(404, "GET", "users/EX1", "")
	w.edu(404, "GET", "users/grace", "")
	if _, err := w.dir.Verify(w.ctx(), "max.mustermann", "a fine secret"); err != nil {
		t.Errorf("signing in: got %v", err)
	}
	for body, status := range map[string]int{
		`{"onPremisesSamAccountName":"n"}`: 400, `{"displayName":"n"}`: 400,
		`{"displayName":"n","onPremisesSamAccountName":"grace"}`:                                                      409,
		`{"displayName":"n","onPremisesSamAccountName":"n","externalId":"EX1"}`:                                       409,
		`{"displayName":"n","onPremisesSamAccountName":"n","id":"x"}`:                                                 400,
		`{"displayName":"n","onPremisesSamAccountName":"n","mail":"x"}`:                                               400,
		`{"displayName":"n","onPremisesSamAccountName":"n","identities":[{"issuer":"x"}]}`:                            400,
		`{"displayName":"n","onPremisesSamAccountName":"n","passwordProfile":{"password":"x"}}`:                       400,
		`{"displayName":"n","onPremisesSamAccountName":"n","userType":"Guest"}`:                                       400,
		`{"displayName":"n","onPremisesSamAccountName":"n","primaryRole":"` + strings.Repeat("x", 256) + `"}`:         400,
		`{"displayName":"n","onPremisesSamAccountName":"n","passwordProfile":{"forceChangePasswordNextSignIn":true}}`: 501,
	} {
		w.edu(status, "POST", "users", body)
	}
	want["mail"], want["primaryRole"], want["accountEnabled"] = "max@new.domain", "teacher", false
	delete(want, "identities")
	w.same("changed", w.edu(200, "PATCH", "users/max.mustermann", `{"mail":"max@new.domain","primaryRole":"teacher","accountEnabled":false,"identities":[]}`), want)
	w.same("not changed", w.edu(200, "PATCH", "users/"+id, `{}`), want)
	w.edu(400, "PATCH", "users/"+id, `{"displayName":""}`)
	w.edu(400, "PATCH", "users/"+id, `{"id":"x"}`)
	w.edu(404, "PATCH", "users/nobody", `{}`)

	// Who is there already gets to school by a change.
	w.same("enrolled", w.edu(200, "PATCH", "users/grace", `{"externalId":"EX2"}`)["externalId"], any("EX2"))
	w.edu(409, "PATCH", "users/grace", `{"externalId":"EX1"}`)
	g := w.crew(grace)
	w.same("expanded", w.edu(200, "GET", "users/grace?$expand=memberOf", "")["memberOf"], any([]any{groupJSON(g)}))

	for query, list := range map[string]string{
		"":                                          "grace,Max Mustermann",
		"$filter=externalId eq 'EX2'":               "grace",
		"$filter=externalId eq EX1":                 "Max Mustermann",
		"$filter=externalId eq 'none'":              "",
		"$filter=primaryRole eq 'teacher'":          "Max Mustermann",
		"$filter=startswith(displayName,'max')":     "Max Mustermann",
		"$orderby=displayName desc":                 "Max Mustermann,grace",
		"$orderby=mail desc,displayName&$top=1":     "Max Mustermann",
		"$orderby=onPremisesSamAccountName&$skip=1": "Max Mustermann",
		"$expand=memberOf":                          "grace,Max Mustermann",
	} {
		if got := w.found("education/users?" + strings.ReplaceAll(query, " ", "%20")); got != list {
			t.Errorf("%s: got %q, want %q", query, got, list)
		}
	}
	for _, query := range []string{"$expand=drive", "$filter=memberOf eq 'x'", "$orderby=surname", "$search=x", "$select=password"} {
		w.edu(400, "GET", "users?"+query, "")
	}
	w.edu(400, "GET", "users/grace?$expand=drive", "")
	w.edu(400, "GET", "users/grace?$filter=id eq 'x'", "")

	w.edu(204, "DELETE", "users/max.mustermann", "")
	w.edu(404, "DELETE", "users/"+id, "")
	w.edu(404, "DELETE", "users/alan", "") // is no user of schools
	if _, err := w.dir.User(w.ctx(), "id", id); cloud.KindOf(err) != cloud.NotExist {
		t.Errorf("the account: got %v", err)
	}
}

func TestClasses(t *testing.T) {
	w := campus(t)
	max, eva := w.newPupil("max"), w.newPupil("eva")
	got := w.edu(201, "POST", "classes", `{"displayName":"Mathematik","classification":"course","externalId":"EX1","members@odata.bind":["https://x/graph/v1.0/education/users/`+max+`"]}`)
	id := fmt.Sprint(got["id"])
	want := object{"id": id, "displayName": "Mathematik", "classification": "course", "externalId": "EX1"}
	w.same("a new class", got, want)
	w.same("by id", w.edu(200, "GET", "classes/"+id, ""), want)
	w.same("by external id", w.edu(200, "GET", "classes/EX1", ""), want)
	w.edu(404, "GET", "classes/Mathematik", "")
	if got := w.found("education/classes/" + id + "/members"); got != "max" {
		t.Errorf("members: got %q", got)
	}
	// It is a group, too.
	w.same("the group", w.get("groups/"+id), any(object{"id": id, "displayName": "Mathematik", "groupTypes": []any{}}))
	for body, status := range map[string]int{
		`{}`: 400, `{"displayName":"x"}`: 400, `{"classification":"class"}`: 400, `{"displayName":"x","classification":"club"}`: 400,
		`{"displayName":"x","classification":"class","externalId":"EX1"}`:                                                 409,
		`{"displayName":"x","classification":"class","id":"x"}`:                                                           400,
		`{"displayName":"x","classification":"class","members@odata.bind":["x"]}`:                                         400,
		`{"displayName":"x","classification":"class","members@odata.bind":["/users/nobody"]}`:                             404,
		`{"displayName":"x","classification":"class","members@odata.bind":["/users/1","/users/2","/users/3","/users/4"]}`: 400,
	} {
		w.edu(status, "POST", "classes", body)
	}
	if got := w.found("groups"); got != "Mathematik" {
		t.Errorf("groups after what was refused: got %q", got)
	}
	want["displayName"], want["description"] = "Musik", "all"
	w.same("changed", w.edu(200, "PATCH", "classes/EX1", `{"displayName":"Musik","description":"all","members@odata.bind":["/users/`+eva+`"]}`), want)
	if got := w.found("education/classes/EX1/members?$orderby=displayName"); got != "eva,max" {
		t.Errorf("members: got %q", got)
	}
	w.edu(404, "PATCH", "classes/EX1", `{"members@odata.bind":["/users/`+string(grace.ID)+`"]}`) // is no user of schools
	w.edu(400, "PATCH", "classes/EX1", `{"classification":""}`)
	other := w.newClass(`{"displayName":"Musik","classification":"class"}`)
	w.edu(409, "PATCH", "classes/"+other, `{"externalId":"EX1"}`)
	w.edu(404, "PATCH", "classes/none", `{}`)
	for query, want := range map[string]string{
		"": "Musik,Musik", "$filter=externalId eq 'EX1'": "Musik", "$filter=classification eq 'course'": "Musik", "$filter=externalId eq 'x'": "", "$orderby=displayName&$top=1": "Musik",
	} {
		if got := w.found("education/classes?" + strings.ReplaceAll(query, " ", "%20")); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	w.edu(400, "GET", "classes?$expand=members", "")
	w.edu(400, "GET", "classes/EX1?$expand=members", "")

	w.edu(204, "POST", "classes/EX1/teachers/$ref", refTo("users/"+eva))
	w.edu(204, "POST", "classes/EX1/teachers/$ref", refTo("users/"+eva))
	w.edu(204, "DELETE", "classes/EX1/members/eva/$ref", "")
	w.edu(404, "DELETE", "classes/EX1/members/eva/$ref", "")
	w.edu(204, "POST", "classes/EX1/members/$ref", refTo("users/"+max))
	for part, want := range map[string]string{"teachers": "eva", "members": "max"} {
		if got := w.found("education/classes/" + id + "/" + part); got != want {
			t.Errorf("%s: got %q, want %q", part, got, want)
		}
		w.edu(404, "GET", "classes/none/"+part, "")
		w.edu(404, "POST", "classes/none/"+part+"/$ref", refTo("users/"+max))
		w.edu(404, "POST", "classes/EX1/"+part+"/$ref", refTo("users/nobody"))
		w.edu(404, "POST", "classes/EX1/"+part+"/$ref", refTo("users/"+string(grace.ID)))
		w.edu(400, "POST", "classes/EX1/"+part+"/$ref", refTo("classes/"+max))
		w.edu(400, "POST", "classes/EX1/"+part+"/$ref", `{}`)
		w.edu(404, "DELETE", "classes/EX1/"+part+"/nobody/$ref", "")
		w.edu(404, "DELETE", "classes/none/"+part+"/max/$ref", "")
		w.edu(400, "GET", "classes/EX1/"+part+"?$expand=drive", "")
	}
	w.edu(204, "DELETE", "classes/EX1/teachers/"+eva+"/$ref", "")
	w.edu(404, "DELETE", "classes/EX1/teachers/"+eva+"/$ref", "")
	w.edu(204, "DELETE", "classes/EX1", "")
	w.edu(404, "GET", "classes/EX1", "")
	w.do(404, "GET", "/graph/v1.0/groups/"+id, "", nil)
	// A class goes with its group.
	w.do(204, "DELETE", "/graph/v1.0/groups/"+other, "", nil)
	w.edu(404, "GET", "classes/"+other, "")
}

func TestSchoolMembers(t *testing.T) {
	w := campus(t)
	s := w.newSchool(`{"displayName":"s","schoolNumber":"1"}`)
	max, class := w.newPupil("max"), w.newClass(`{"displayName":"10b","classification":"class","externalId":"EX1"}`)
	for _, c := range []struct{ list, id, key, name string }{{"users", max, "max", "max"}, {"classes", class, "EX1", "10b"}} {
		path := "schools/1/" + c.list
		if got := w.found("education/" + path); got != "" {
			t.Errorf("%s: got %q", c.list, got)
		}
		w.edu(204, "POST", path+"/$ref", refTo(c.list+"/"+c.id))
		w.edu(204, "POST", path+"/$ref", refTo(c.list+"/"+c.id))
		if got := w.found("education/schools/" + s + "/" + c.list + "?$orderby=displayName"); got != c.name {
			t.Errorf("%s: got %q, want %q", c.list, got, c.name)
		}
		w.edu(404, "GET", "schools/none/"+c.list, "")
		w.edu(404, "POST", "schools/none/"+c.list+"/$ref", refTo(c.list+"/"+c.id))
		w.edu(404, "POST", path+"/$ref", refTo(c.list+"/none"))
		w.edu(400, "POST", path+"/$ref", refTo("x/"+c.id))
		w.edu(404, "DELETE", "schools/none/"+c.list+"/"+c.id+"/$ref", "")
		w.edu(404, "DELETE", path+"/none/$ref", "")
		w.edu(204, "DELETE", path+"/"+c.key+"/$ref", "")
		w.edu(404, "DELETE", path+"/"+c.id+"/$ref", "")
		w.edu(400, "GET", path+"?$search=x", "")
	}
}

// Who may do what: the status for an admin, a space admin, a user, a light
// user and nobody.
func TestWhoMayTeach(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		admin              int
	}{
		{"GET", "schools", "", 200},
		{"GET", "schools?$filter=externalId eq 'x'", "", 200},
		{"POST", "schools", `{"displayName":"n"}`, 201},
		{"GET", "schools/1", "", 200},
		{"GET", "schools/none", "", 404},
		{"PATCH", "schools/1", `{"displayName":"n"}`, 200},
		{"DELETE", "schools/1", "", 409},
		{"GET", "schools/1/users", "", 200},
		{"POST", "schools/1/users/$ref", refTo("users/{pupil}"), 204},
		{"DELETE", "schools/1/users/pupil/$ref", "", 404},
		{"GET", "schools/1/classes", "", 200},
		{"POST", "schools/1/classes/$ref", refTo("classes/{class}"), 204},
		{"DELETE", "schools/1/classes/{class}/$ref", "", 404},
		{"GET", "users", "", 200},
		{"POST", "users", `{"displayName":"n","onPremisesSamAccountName":"n"}`, 201},
		{"GET", "users/{pupil}", "", 200},
		{"GET", "users/pupil", "", 200},
		{"PATCH", "users/{pupil}", `{"displayName":"n"}`, 200},
		{"PATCH", "users/caller", `{"primaryRole":"teacher"}`, 200},
		{"DELETE", "users/{pupil}", "", 204},
		{"GET", "classes", "", 200},
		{"POST", "classes", `{"displayName":"n","classification":"class"}`, 201},
		{"GET", "classes/{class}", "", 200},
		{"PATCH", "classes/{class}", `{"displayName":"n"}`, 200},
		{"DELETE", "classes/{class}", "", 204},
		{"GET", "classes/{class}/members", "", 200},
		{"POST", "classes/{class}/members/$ref", refTo("users/{pupil}"), 204},
		{"DELETE", "classes/{class}/members/{pupil}/$ref", "", 404},
		{"GET", "classes/{class}/teachers", "", 200},
		{"POST", "classes/{class}/teachers/$ref", refTo("users/{pupil}"), 204},
		{"DELETE", "classes/{class}/teachers/{pupil}/$ref", "", 404},
	} {
		for role, want := range map[string]int{cloud.RoleAdmin: c.admin, cloud.RoleSpaceAdmin: 403, cloud.RoleUser: 403, cloud.RoleUserLight: 403, "": 401} {
			w := campus(t)
			w.newSchool(`{"displayName":"s","schoolNumber":"1"}`)
			id := strings.NewReplacer("{pupil}", w.newPupil("pupil"), "{class}", w.newClass(`{"displayName":"c","classification":"class"}`), " ", "%20")
			w.user = nil
			if role != "" {
				var err error
				if w.user, err = w.dir.SetUser(w.ctx(), &cloud.User{Name: "caller", Display: "Caller", Role: role}, ""); err != nil {
					t.Fatal(err)
				}
			}
			w.do(want, c.method, "/graph/v1.0/education/"+id.Replace(c.path), id.Replace(c.body), nil)
		}
	}
}

// Without schools there is nothing here.
func TestNoEducation(t *testing.T) {
	w := start(t)
	w.user = admin
	for _, path := range []string{"schools", "users", "classes", "schools/x/users"} {
		w.do(404, "GET", "/graph/v1.0/education/"+path, "", nil)
	}
}

func FuzzEquals(f *testing.F) {
	f.Add("externalId eq 'x'")
	f.Add("externalId eq 'it''s' ")
	f.Add("externalId eq 'x' or id eq 'y'")
	f.Fuzz(func(t *testing.T, s string) {
		value, ok := equals(s, "externalId")
		if !ok || len(s) > maxFilter {
			return
		}
		wanted, err := parseFilter(s, "externalId")
		if err != nil || !wanted(func(string) []string { return []string{value} }) || wanted(func(string) []string { return []string{value + "x"} }) {
			t.Fatalf("%q: got %q, %v", s, value, err)
		}
	})
}

// A page after the other: all are there once.
func TestEducationPages(t *testing.T) {
	w := campus(t)
	for i := range 5 {
		w.newPupil(fmt.Sprint("p", i))
	}
	var all []string
	for path := "education/users?$top=2"; path != ""; {
		page := w.get(path).(object)
		for _, u := range page["value"].([]any) {
			all = append(all, fmt.Sprint(u.(object)["displayName"]))
		}
		path = ""
		if next, ok := page["@odata.nextLink"].(string); ok {
			u, err := url.Parse(next)
			if err != nil {
				t.Fatal(err)
			}
			path = "education/users?" + u.RawQuery
		}
	}
	if got := strings.Join(all, " "); got != "p0 p1 p2 p3 p4" {
		t.Errorf("got %q", got)
	}
}
