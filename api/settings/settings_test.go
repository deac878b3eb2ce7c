package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opencloud/cloud"
	"opencloud/core"
	dirmem "opencloud/directory/mem"
	"opencloud/storage/mem"
)

var (
	admin = &cloud.User{ID: "a1111111-0000-4000-8000-000000000001", Name: "admin", Display: "Admin", Role: cloud.RoleAdmin}
	ada   = &cloud.User{ID: "a1111111-0000-4000-8000-000000000002", Name: "ada", Display: "Ada", Role: cloud.RoleUser}
	light = &cloud.User{ID: "a1111111-0000-4000-8000-000000000003", Name: "light", Display: "Light", Role: cloud.RoleUserLight}
	none  = &cloud.User{ID: "a1111111-0000-4000-8000-000000000004", Name: "none", Display: "None"}
)

type desk struct {
	*testing.T
	*handler
	user *cloud.User
}

func sit(t *testing.T) *desk {
	t.Helper()
	dir := dirmem.New(admin, ada, light, none)
	people, err := core.NewPeople(core.New(mem.New(), core.Options{}), dir, dir, core.PeopleOptions{MinSearch: 3})
	if err != nil {
		t.Fatal(err)
	}
	return &desk{t, New(people).(*handler), ada}
}

// ask posts a body and returns the answer.
func (d *desk) ask(status int, name, body string) map[string]any {
	d.Helper()
	ctx := cloud.WithCaller(context.Background(), cloud.Caller{User: d.user})
	r := httptest.NewRequestWithContext(ctx, "POST", "/api/v0/settings/"+name, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json;charset=utf-8")
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if w.Code != status {
		d.Fatalf("%s %s: got %d, want %d: %s", name, body, w.Code, status, w.Body)
	}
	var got map[string]any
	if status != 204 {
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			d.Fatalf("%s: got %s: %v", name, w.Body, err)
		}
	}
	return got
}

func (d *desk) same(what string, got, want any) {
	d.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		d.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

type object = map[string]any

func TestRolesAndPermissions(t *testing.T) {
	d := sit(t)
	var roles []string
	for _, b := range d.ask(201, "roles-list", "{}")["bundles"].([]any) {
		b := b.(object)
		roles = append(roles, fmt.Sprint(b["name"], "|", b["displayName"], "|", b["id"], "|", b["type"], "|", len(b["settings"].([]any))))
	}
	d.same("roles", roles, []string{
		"admin|Admin|" + cloud.RoleAdmin + "|TYPE_ROLE|31", "spaceadmin|Space Admin|" + cloud.RoleSpaceAdmin + "|TYPE_ROLE|25",
		"user|User|" + cloud.RoleUser + "|TYPE_ROLE|19", "user-light|User Light|" + cloud.RoleUserLight + "|TYPE_ROLE|4",
	})
	for _, account := range []string{"me", string(ada.ID), ""} {
		body := fmt.Sprintf(`{"account_uuid":%q}`, account)
		got := d.ask(201, "permissions-list", body)["permissions"].([]any)
		for p, want := range map[string]bool{
			"Drives.Create.own": true, "Shares.Write.all": true, "Favorites.List.own": true, "Language.ReadWrite.own": true,
			"Drives.Create.all": false, "Accounts.ReadWrite.all": false,
		} {
			if slices.Contains(got, any(p)) != want {
				t.Errorf("%s: got %v, want %v", p, !want, want)
			}
		}
		d.same("assignments", d.ask(201, "assignments-list", body)["assignments"], any([]any{
			object{"id": string(ada.ID) + ":" + cloud.RoleUser, "accountUuid": string(ada.ID), "roleId": cloud.RoleUser},
		}))
	}
	for _, name := range []string{"permissions-list", "assignments-list"} {
		d.ask(403, name, fmt.Sprintf(`{"accountUuid":%q}`, admin.ID))
	}
	d.user = none
	d.same("nobody's permissions", d.ask(201, "permissions-list", `{"account_uuid":"me"}`), object{"permissions": []any{}})
	d.same("nobody's assignments", d.ask(201, "assignments-list", `{"account_uuid":"me"}`), object{"assignments": []any{}})
}

func TestFilteredAssignments(t *testing.T) {
	d := sit(t)
	mine := object{"assignments": []any{object{"id": string(ada.ID) + ":" + cloud.RoleUser, "accountUuid": string(ada.ID), "roleId": cloud.RoleUser}}}
	byRole := fmt.Sprintf(`{"filters":[{"type":"TYPE_ROLE","role_id":%q}]}`, cloud.RoleUser)
	d.same("of an account", d.ask(201, "assignments-list-filtered", `{"filters":[{"type":"TYPE_ACCOUNT","account_uuid":"me"}]}`), mine)
	d.ask(403, "assignments-list-filtered", byRole)
	d.ask(403, "assignments-list-filtered", fmt.Sprintf(`{"filters":[{"type":"TYPE_ACCOUNT","accountUuid":%q}]}`, admin.ID))
	for _, body := range []string{
		"", `{"filters":[]}`, `{"filters":[{}]}`, `{"filters":[{"type":"TYPE_ROLE"}]}`, `{"filters":[{"type":"TYPE_ACCOUNT"}]}`, `{"filters":[{"type":"X","roleId":"x"}]}`,
		`{"filters":[{"type":"TYPE_ACCOUNT","account_uuid":"me"},{"type":"TYPE_ACCOUNT","account_uuid":"me"}]}`,
	} {
		d.ask(400, "assignments-list-filtered", body)
	}
	d.user = admin
	d.same("of a role", d.ask(201, "assignments-list-filtered", byRole), mine)
	d.same("of an unknown role", d.ask(201, "assignments-list-filtered", `{"filters":[{"type":"TYPE_ROLE","roleId":"x"}]}`), object{"assignments": []any{}})
}

func TestPermissionsByThemselves(t *testing.T) {
	d := sit(t)
	if got := d.ask(201, "permissions-list-by-resource", `{"resource":{"type":"TYPE_SYSTEM"}}`)["permissions"].([]any); len(got) != 19 {
		t.Errorf("on the system: got %d, want 19", len(got))
	}
	d.same("on a file", d.ask(201, "permissions-list-by-resource", `{"resource":{"type":"TYPE_FILE","id":"x"}}`), object{"permissions": []any{}})
	d.ask(400, "permissions-list-by-resource", "{}")
	const createDrives, manageUsers = "79e13b30-3e22-11eb-bc51-0b9f0bad9a58", "8e587774-d929-4215-910b-a317b1e80f73"
	for _, name := range []string{"permission_id", "permissionId"} {
		d.same("permission", d.ask(201, "permissions-get-by-id", fmt.Sprintf(`{%q:%q}`, name, createDrives)),
			object{"permission": object{"operation": "OPERATION_READWRITE", "constraint": "CONSTRAINT_OWN"}})
	}
	d.ask(404, "permissions-get-by-id", fmt.Sprintf(`{"permissionId":%q}`, manageUsers))
	d.ask(404, "permissions-get-by-id", "")
	d.user = none
	d.same("nobody's", d.ask(201, "permissions-list-by-resource", `{"resource":{"type":"TYPE_SYSTEM"}}`), object{"permissions": []any{}})
}

// Roles and settings are what they are.
func TestDefine(t *testing.T) {
	for _, name := range []string{"bundle-save", "bundles-add-setting", "bundles-remove-setting"} {
		d := sit(t)
		d.ask(403, name, `{}`)
		d.user = admin
		d.ask(501, name, `{"bundle":{"name":"x"},"bundle_id":"x","setting":{},"setting_id":"x"}`)
	}
}

func TestAssign(t *testing.T) {
	d := sit(t)
	add := fmt.Sprintf(`{"account_uuid":%q,"role_id":%q}`, none.ID, cloud.RoleSpaceAdmin)
	d.ask(403, "assignments-add", add)
	d.ask(403, "assignments-add", fmt.Sprintf(`{"account_uuid":"me","role_id":%q}`, cloud.RoleAdmin))
	d.user = admin
	want := object{"id": string(none.ID) + ":" + cloud.RoleSpaceAdmin, "accountUuid": string(none.ID), "roleId": cloud.RoleSpaceAdmin}
	d.same("assignment", d.ask(201, "assignments-add", add), object{"assignment": want})
	list := fmt.Sprintf(`{"account_uuid":%q}`, none.ID)
	d.same("assignments", d.ask(201, "assignments-list", list), object{"assignments": []any{want}})
	d.ask(404, "assignments-remove", fmt.Sprintf(`{"id":%q}`, string(none.ID)+":"+cloud.RoleUser))
	d.ask(404, "assignments-remove", `{}`)
	d.ask(404, "assignments-remove", `{"id":"x:y"}`)
	d.ask(204, "assignments-remove", fmt.Sprintf(`{"id":%q}`, want["id"]))
	d.same("assignments", d.ask(201, "assignments-list", list), object{"assignments": []any{}})
	d.ask(403, "assignments-remove", fmt.Sprintf(`{"id":%q}`, string(admin.ID)+":"+cloud.RoleAdmin)) // the last one
	d.ask(400, "assignments-add", list)
	d.ask(400, "assignments-add", fmt.Sprintf(`{"account_uuid":%q,"role_id":"x"}`, none.ID))
	d.ask(404, "assignments-add", fmt.Sprintf(`{"account_uuid":"x","role_id":%q}`, cloud.RoleUser))
}

func TestBundles(t *testing.T) {
	d := sit(t)
	bundles := d.ask(201, "bundles-list", "{}")["bundles"].([]any)
	profile := bundles[0].(object)
	for key, want := range map[string]string{"id": profileID, "name": "profile", "extension": "opencloud-accounts", "type": "TYPE_DEFAULT"} {
		if profile[key] != want {
			t.Errorf("%s: got %v, want %s", key, profile[key], want)
		}
	}
	found := map[string]object{}
	for _, s := range profile["settings"].([]any) {
		s := s.(object)
		found[s["name"].(string)] = s
		if s["displayName"] == "" || s["description"] == "" {
			t.Errorf("%s has no text", s["name"])
		}
	}
	if len(bundles) != 1 || len(found) != len(cloud.Preferences()) {
		t.Errorf("got %d bundles and %d settings", len(bundles), len(found))
	}
	d.same("a switch", found["auto-accept-shares"]["boolValue"], any(object{"default": true, "label": "Accept shares"}))
	d.same("a choice", found["email-sending-interval-options"]["singleChoiceValue"].(object)["options"].([]any)[0],
		any(object{"value": object{"stringValue": "instant"}, "default": true, "displayValue": "At once"}))
	d.same("switches", found["event-share-created-options"]["multiChoiceCollectionValue"], any(object{"options": []any{
		object{"key": "in-app", "value": object{"boolValue": object{"default": true}}, "displayValue": "In the app"},
		object{"key": "mail", "value": object{"boolValue": object{"default": true}}, "displayValue": "Mail"},
	}}))
	d.same("bundle", d.ask(201, "bundle-get", `{"bundleId":"`+profileID+`"}`), object{"bundle": profile})
	d.ask(201, "bundle-get", `{"bundle_id":"`+cloud.RoleAdmin+`"}`)
	d.ask(404, "bundle-get", `{"bundleId":"admin"}`)
	d.same("no bundles", d.ask(201, "bundles-list", `{"bundleIds":["x"]}`), object{"bundles": []any{}})
	d.user = light
	if got := len(d.ask(201, "bundles-list", "")["bundles"].([]any)[0].(object)["settings"].([]any)); got != 4 {
		t.Errorf("settings of a light user: got %d, want 4", got)
	}
}

func TestValues(t *testing.T) {
	d := sit(t)
	d.same("nothing chosen", d.ask(201, "values-list", `{"account_uuid":"me"}`), object{"values": []any{}})
	ids := map[string]string{}
	for _, p := range cloud.Preferences() {
		ids[p.Name] = p.ID
	}
	save := func(status int, name, v string) any {
		t.Helper()
		return d.ask(status, "values-save", fmt.Sprintf(`{"value":{"accountUuid":"me","bundleId":%q,"settingId":%q,"resource":{"type":"TYPE_USER"},%s}}`, profileID, ids[name], v))["value"]
	}
	var want []any
	for _, c := range []struct {
		name, sent string
		key        string
		want       any
	}{
		{"language", `"listValue":{"values":[{"stringValue":"de"}]}`, "listValue", object{"values": []any{object{"stringValue": "de"}}}},
		{"disable-email-notifications", `"boolValue":true`, "boolValue", true},
		{"email-sending-interval-options", `"stringValue":"weekly"`, "stringValue", "weekly"},
		{"event-share-created-options", `"collectionValue":{"values":[{"key":"mail","boolValue":false},{"key":"in-app","boolValue":true}]}`, "collectionValue",
			object{"values": []any{object{"key": "in-app", "boolValue": true}, object{"key": "mail", "boolValue": false}}}},
	} {
		got := save(201, c.name, c.sent).(object)
		id := got["value"].(object)["id"]
		if id == "" || id == nil {
			t.Errorf("%s: got no id", c.name)
		}
		v := object{
			"identifier": object{"extension": "opencloud-accounts", "bundle": "profile", "setting": c.name},
			"value":      object{"id": id, "bundleId": profileID, "settingId": ids[c.name], "accountUuid": string(ada.ID), "resource": object{"type": "TYPE_USER"}, c.key: c.want},
		}
		d.same(c.name, got, v)
		want = append(want, v)
		d.same("values-get", d.ask(201, "values-get", fmt.Sprintf(`{"id":%q}`, id)), object{"value": v})
		d.same("values-get-by-unique-identifiers", d.ask(201, "values-get-by-unique-identifiers",
			fmt.Sprintf(`{"account_uuid":"me","setting_id":%q}`, ids[c.name])), object{"value": v})
	}
	d.same("values", d.ask(201, "values-list", `{"account_uuid":"me"}`), object{"values": want})
	d.same("values of the bundle", d.ask(201, "values-list", `{"account_uuid":"me","bundle_id":"`+profileID+`"}`), object{"values": want})
	d.same("values of another bundle", d.ask(201, "values-list", `{"bundle_id":"x"}`), object{"values": []any{}})

	save(400, "email-sending-interval-options", `"stringValue":"hourly"`)
	save(400, "email-sending-interval-options", `"boolValue":true`)
	save(400, "email-sending-interval-options", `"stringValue":"weekly","boolValue":true`)
	save(400, "email-sending-interval-options", `"intValue":1`)
	save(400, "event-share-created-options", `"collectionValue":{"values":[{"key":"fax","boolValue":true}]}`)
	save(400, "language", `"stringValue":"../"`)
	save(404, "no-such", `"boolValue":true`)
	d.ask(400, "values-save", `{}`)
	d.ask(404, "values-save", `{"value":{"bundleId":"x","settingId":"`+ids["language"]+`","stringValue":"de"}}`)
	d.ask(404, "values-get", `{"id":"x"}`)
	d.ask(404, "values-get-by-unique-identifiers", `{"account_uuid":"me","setting_id":"`+ids["auto-accept-shares"]+`"}`)

	d.ask(403, "values-list", fmt.Sprintf(`{"account_uuid":%q}`, light.ID))
	d.ask(403, "values-save", fmt.Sprintf(`{"value":{"accountUuid":%q,"settingId":%q,"boolValue":true}}`, light.ID, ids["disable-email-notifications"]))
	d.user = admin
	d.same("ada's values, for an admin", d.ask(201, "values-list", fmt.Sprintf(`{"account_uuid":%q}`, ada.ID)), object{"values": want})
	d.user = light
	save(403, "event-share-created-options", `"collectionValue":{"values":[]}`)
	save(201, "disable-email-notifications", `"boolValue":true`)
}

func TestRefused(t *testing.T) {
	d := sit(t)
	d.ask(404, "nope", "{}")
	d.ask(404, "", "{}")
	d.ask(404, "roles-list/", "{}")
	d.ask(400, "roles-list", "{")
	d.ask(400, "roles-list", "[]")
	d.ask(413, "roles-list", `{"id":"`+strings.Repeat("x", maxBody)+`"}`)
	r := httptest.NewRequest("POST", "/api/v0/settings/roles-list", strings.NewReader("{}"))
	r = r.WithContext(cloud.WithCaller(r.Context(), cloud.Caller{User: ada}))
	r.Header.Set("Content-Type", "text/plain")
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if w.Code != 400 {
		t.Errorf("a form: got %d, want 400", w.Code)
	}
	w = httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest("GET", "/api/v0/settings/roles-list", nil))
	if w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: got %d and %v", w.Code, w.Header())
	}
	d.user = nil
	for name := range calls {
		d.ask(401, name, "{}")
	}
}

// Whatever is sent, a value that is kept can be read back.
func FuzzSave(f *testing.F) {
	f.Add(`{"value":{"settingId":"aa8cfbe5-95d4-4f7e-a032-c3c01f5f062f","listValue":{"values":[{"stringValue":"de"}]}}}`)
	f.Add(`{"value":{"settingId":"872d8ef6-6f2a-42ab-af7d-f53cc81d7046","collectionValue":{"values":[{"key":"mail"}]}}}`)
	dir := dirmem.New(ada)
	people, err := core.NewPeople(core.New(mem.New(), core.Options{}), dir, dir, core.PeopleOptions{})
	if err != nil {
		f.Fatal(err)
	}
	h := New(people)
	ctx := cloud.WithCaller(context.Background(), cloud.Caller{User: ada})
	post := func(name, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(ctx, "POST", "/api/v0/settings/"+name, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	f.Fuzz(func(t *testing.T, body string) {
		if w := post("values-save", body); w.Code >= 500 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
		if w := post("values-list", "{}"); w.Code != 201 {
			t.Fatalf("afterwards: got %d %s", w.Code, w.Body)
		}
	})
}
