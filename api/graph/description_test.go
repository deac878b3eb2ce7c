package graph

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"opencloud/core"
	"opencloud/test/openapi"
)

// description is what the API is said to be.
var description = sync.OnceValues(func() (*openapi.API, error) { return openapi.Load("testdata/libregraph.yaml") })

// describe is the description, of which path is without the prefix /graph.
func describe(t *testing.T) *openapi.API {
	t.Helper()
	api, err := description()
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// find is what is said of a request, in either version of the API.
func find(api *openapi.API, method, path string) *openapi.Operation {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "/graph"), "/")
	if op := api.Find(method, path); op != nil {
		return op
	}
	if rest, ok := strings.CutPrefix(path, "/v1.0/"); ok {
		return api.Find(method, "/v1beta1/"+rest)
	}
	return api.Find(method, strings.Replace(path, "/v1beta1/", "/v1.0/", 1))
}

// checked compares an answer with the description. All answers of all tests
// come by here.
func checked(t *testing.T, method, path string, status int, head http.Header, body []byte) {
	t.Helper()
	api := describe(t)
	path, _, _ = strings.Cut(path, "?")
	op := find(api, method, path)
	if op == nil || status/100 == 3 {
		return
	}
	for _, wrong := range api.Check(op, status, head.Get("Content-Type"), body) {
		t.Errorf("%s %s, %d: %s: %s", method, path, status, wrong, body)
	}
}

// notYet are the paths of the description that are not served, and why.
var notYet = map[string]string{
	"/me/drive/following":        "favourites",
	"/follow":                    "favourites",
	"/invitations":               "guests",
	"/teamwork/":                 "notifications",
	"/org.libregraph/tags":       "tags",
	"/org.libregraph/activities": "activities",
}

// Every method of every path is served, or there is a reason why not.
func TestServesTheDescription(t *testing.T) {
	h := New(nil, nil, nil, Options{Education: &core.Education{}}).(*handler)
	used := map[string]bool{}
	for name := range describe(t).Operations() {
		method, path, _ := strings.Cut(name, " ")
		segments, _, err := split("/graph" + path)
		if err != nil {
			t.Fatal(err)
		}
		served := slices.ContainsFunc(h.routes, func(r route) bool {
			_, ok := r.match(segments, within{})
			return ok && r.method == method
		})
		reason := ""
		for part := range notYet {
			if strings.Contains(path, part) {
				reason = part
				used[part] = true
			}
		}
		switch {
		case served && reason != "":
			t.Errorf("%s is served: take it off the list", name)
		case !served && reason == "":
			t.Errorf("%s is not served", name)
		}
	}
	for part := range notYet {
		if !used[part] {
			t.Errorf("%s is not in the description: take it off the list", part)
		}
	}
}

// Every property that a client may send is understood, or refused in words;
// what is only to be read is left out of account.
func TestRequestProperties(t *testing.T) {
	understood := func(v any) map[string]bool {
		names := map[string]bool{}
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names[name] = true
		}
		return names
	}
	samples := map[string]string{"string": `"x"`, "boolean": `true`, "array": `[]`, "object": `{}`, "integer": `1`}
	api := describe(t)
	w := campus(t)
	w.user = alan
	d := w.project("p")
	w.user = admin
	g := w.crew()
	w.newSchool(`{"displayName":"s","schoolNumber":"1"}`)
	w.newClass(`{"displayName":"c","classification":"class","externalId":"c"}`)
	w.newPupil("max")
	left := map[string]bool{}
	for _, op := range api.Operations() {
		if op.Request != nil && api.JSON(op.Request) != nil {
			left[op.ID] = true
		}
	}
	for name, c := range map[string]struct {
		path   string
		change any // what is understood
	}{
		"UpdateOwnUser":                  {"me", userChange{}},
		"UpdateUser":                     {"users/alan", userChange{}},
		"CreateUser":                     {"users", userChange{}},
		"CreateGroup":                    {"groups", groupChange{}},
		"UpdateGroup":                    {"groups/" + string(g.ID), groupChange{}},
		"CreateDrive":                    {"drives", driveChange{}},
		"UpdateDrive":                    {"drives/" + d.ID, driveChange{}},
		"ChangeOwnPassword":              {"me/changePassword", passwordChange{}},
		"ExportPersonalData":             {"users/alan/exportPersonalData", exportRequest{}},
		"AddMember":                      {"groups/" + string(g.ID) + "/members/$ref", reference{}},
		"CreateSchool":                   {"education/schools", schoolChange{}},
		"UpdateSchool":                   {"education/schools/1", schoolChange{}},
		"AddUserToSchool":                {"education/schools/1/users/$ref", reference{}},
		"AddClassToSchool":               {"education/schools/1/classes/$ref", reference{}},
		"CreateEducationUser":            {"education/users", pupilChange{}},
		"UpdateEducationUser":            {"education/users/max", pupilChange{}},
		"CreateClass":                    {"education/classes", classChange{}},
		"UpdateClass":                    {"education/classes/c", classChange{}},
		"AddUserToClass":                 {"education/classes/c/members/$ref", reference{}},
		"AddTeacherToClass":              {"education/classes/c/teachers/$ref", reference{}},
		"CreateDriveItem":                {"drives/x/root/children", itemRequest{}},
		"CreateChildDriveItem":           {"drives/x/items/y/children", itemRequest{}},
		"UpdateDriveItem":                {"drives/x/items/y", itemChange{}},
		"InviteSpaceRoot":                {"drives/x/root/invite", inviteRequest{}},
		"Invite":                         {"drives/x/items/y/invite", inviteRequest{}},
		"CreateLinkSpaceRoot":            {"drives/x/root/createLink", linkRequest{}},
		"CreateLink":                     {"drives/x/items/y/createLink", linkRequest{}},
		"UpdatePermissionSpaceRoot":      {"drives/x/root/permissions/z", permissionChange{}},
		"UpdatePermission":               {"drives/x/items/y/permissions/z", permissionChange{}},
		"SetPermissionPasswordSpaceRoot": {"drives/x/root/permissions/z/setPassword", passwordRequest{}},
		"SetPermissionPassword":          {"drives/x/items/y/permissions/z/setPassword", passwordRequest{}},
		"user.CreateAppRoleAssignments":  {"users/alan/appRoleAssignments", appRoleAssignment{}},
	} {
		var op *openapi.Operation
		method := ""
		for n, o := range api.Operations() {
			if o.ID == name {
				op, method = o, n[:strings.IndexByte(n, ' ')]
			}
		}
		if op == nil {
			t.Errorf("%s is not in the description", name)
			continue
		}
		known := understood(c.change)
		for property, s := range api.Flat(api.JSON(op.Request)).Properties {
			if s = api.Flat(s); known[property] || s.ReadOnly {
				continue
			}
			body := `{"` + property + `":` + samples[s.Type] + `}`
			var e struct {
				Error struct {
					Message string `json:"message"`
				} `json:"error"`
			}
			w.do(400, method, "/graph/v1.0/"+c.path, body, &e)
			if !strings.Contains(e.Error.Message, property) {
				t.Errorf("%s %s: got %q, want it to name the property", name, body, e.Error.Message)
			}
		}
		delete(left, name)
	}
	for name := range left {
		t.Errorf("nothing is said of what %s takes", name)
	}
}
