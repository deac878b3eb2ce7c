// Package settings serves the API under /api/v0/settings by which web clients
// learn what the caller may do and let people choose what they prefer. It
// translates between its JSON and cloud.People; which roles, permissions and
// preferences there are is fixed, and so the calls that define some are refused.
package settings

import (
	"cmp"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

const (
	prefix = "/api/v0/settings/"
	// maxBody is more than any request of this API needs.
	maxBody = 64 << 10 // bytes
)

type handler struct{ people cloud.People }

// A call is the name at the end of the path. All of them are POST.
type call func(h *handler, r *http.Request, in *request) (any, error)

var calls = map[string]call{
	"roles-list":                       (*handler).roles,
	"permissions-list":                 (*handler).permissions,
	"assignments-list":                 (*handler).assignments,
	"assignments-add":                  (*handler).assign,
	"assignments-remove":               (*handler).unassign,
	"bundles-list":                     (*handler).bundles,
	"bundle-get":                       (*handler).bundle,
	"values-list":                      (*handler).values,
	"values-get":                       (*handler).value,
	"values-get-by-unique-identifiers": (*handler).valueOf,
	"values-save":                      (*handler).save,
	"assignments-list-filtered":        (*handler).assignmentsBy,
	"permissions-list-by-resource":     (*handler).permissionsOn,
	"permissions-get-by-id":            (*handler).permission,
	"bundle-save":                      (*handler).define,
	"bundles-add-setting":              (*handler).define,
	"bundles-remove-setting":           (*handler).define,
}

// A request has what any of the calls takes. Clients write the names in
// either way.
type request struct {
	ID        string   `json:"id"`
	Account   string   `json:"accountUuid"`
	Account2  string   `json:"account_uuid"`
	Role      string   `json:"roleId"`
	Role2     string   `json:"role_id"`
	Bundle    string   `json:"bundleId"`
	Bundle2   string   `json:"bundle_id"`
	Setting   string   `json:"settingId"`
	Setting2  string   `json:"setting_id"`
	BundleIDs []string `json:"bundleIds"`
	Value     *value   `json:"value"`
	Filters   []struct {
		Type     string `json:"type"`
		Account  string `json:"accountUuid"`
		Account2 string `json:"account_uuid"`
		Role     string `json:"roleId"`
		Role2    string `json:"role_id"`
	} `json:"filters"`
	Resource    *resource `json:"resource"`
	Permission  string    `json:"permissionId"`
	Permission2 string    `json:"permission_id"`
}

// New serves /api/v0/settings/. Every call needs a caller.
func New(people cloud.People) http.Handler { return &handler{people} }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _ := strings.CutPrefix(r.URL.EscapedPath(), prefix)
	do, ok := calls[name]
	switch {
	case !ok:
		httpx.FailOData(w, r, cloud.NotExist)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		httpx.WriteOData(w, r, http.StatusMethodNotAllowed, cloud.NotSupported.Face().OData, "Settings are asked for with POST.")
	default:
		if err := h.serve(w, r, do); err != nil {
			httpx.FailOData(w, r, err)
		}
	}
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request, do call) error {
	if cloud.CallerFrom(r.Context()).User == nil {
		return cloud.Unauthorized
	}
	var in request
	if err := read(w, r, &in); err != nil {
		return err
	}
	in.Account, in.Role = cmp.Or(in.Account, in.Account2), cmp.Or(in.Role, in.Role2)
	in.Bundle, in.Setting = cmp.Or(in.Bundle, in.Bundle2), cmp.Or(in.Setting, in.Setting2)
	in.Permission = cmp.Or(in.Permission, in.Permission2)
	out, err := do(h, r, &in)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	if out == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusCreated) // of all calls, whatever they do
	w.Write(body)
	return nil
}

// read decodes a JSON body; an empty one asks for nothing in particular. Only
// what says that it is JSON is read, since a form on a foreign page cannot.
func read(w http.ResponseWriter, r *http.Request, in *request) error {
	body, err := httpx.Body(w, r, maxBody)
	switch {
	case err != nil:
		return err
	case len(body) == 0:
		return nil
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return cloud.Refuse(cloud.Invalid, "The Content-Type must be application/json.")
	}
	if err := json.Unmarshal(body, in); err != nil {
		return cloud.Refuse(cloud.Invalid, "The body is not the JSON that is expected here.")
	}
	return nil
}

// account is the user whom a request is about: "me" is who asks.
func (h *handler) account(r *http.Request, id string) (*cloud.User, error) {
	me := cloud.CallerFrom(r.Context()).User
	if id == "" || id == "me" || id == string(me.ID) {
		return me, nil
	}
	u, err := h.people.User(r.Context(), "id", id)
	if err == nil && u.Name == "" { // reduced
		err = cloud.Permission
	}
	return u, err
}

func (h *handler) roles(*http.Request, *request) (any, error) {
	var out struct {
		Bundles []bundle `json:"bundles"`
	}
	for _, r := range cloud.Roles() {
		out.Bundles = append(out.Bundles, roleBundle(r))
	}
	return out, nil
}

func (h *handler) permissions(r *http.Request, in *request) (any, error) {
	u, err := h.account(r, in.Account)
	if err != nil {
		return nil, err
	}
	out := struct {
		Permissions []string `json:"permissions"`
	}{[]string{}}
	if role, ok := cloud.RoleBy(u.Role); ok {
		for p := range role.Privileges() {
			out.Permissions = append(out.Permissions, p.Name+"."+p.Scope.String())
		}
	}
	return out, nil
}

// An assignment is of a role to a user, who has one at most.
type assignment struct {
	ID      string `json:"id"`
	Account string `json:"accountUuid"`
	Role    string `json:"roleId"`
}

func assignmentOf(u *cloud.User) assignment {
	return assignment{string(u.ID) + ":" + u.Role, string(u.ID), u.Role}
}

type assignments struct {
	Assignments []assignment `json:"assignments"`
}

func (h *handler) assignments(r *http.Request, in *request) (any, error) {
	u, err := h.account(r, in.Account)
	if err != nil {
		return nil, err
	}
	out := assignments{[]assignment{}}
	if u.Role != "" {
		out.Assignments = append(out.Assignments, assignmentOf(u))
	}
	return out, nil
}

// assignmentsBy lists those of an account, or of all who have a role.
func (h *handler) assignmentsBy(r *http.Request, in *request) (any, error) {
	if len(in.Filters) != 1 {
		return nil, cloud.Refuse(cloud.Invalid, "Assignments are asked for with one filter.")
	}
	f := in.Filters[0]
	account, role := cmp.Or(f.Account, f.Account2), cmp.Or(f.Role, f.Role2)
	switch {
	case f.Type == "TYPE_ACCOUNT" && account != "":
		return h.assignments(r, &request{Account: account})
	case f.Type != "TYPE_ROLE" || role == "":
		return nil, cloud.Refuse(cloud.Invalid, "Assignments are those of an account (TYPE_ACCOUNT) or of a role (TYPE_ROLE).")
	}
	if !cloud.CallerFrom(r.Context()).User.May(cloud.ManageUsers) {
		return nil, cloud.Permission
	}
	out := assignments{[]assignment{}}
	for u, err := range h.people.Users(r.Context(), "") {
		if err != nil {
			return nil, err
		}
		if u.Role == role {
			out.Assignments = append(out.Assignments, assignmentOf(u))
		}
	}
	return out, nil
}

// permissionsOn are those of the caller on a kind of resource. All there are
// are about the system as a whole.
func (h *handler) permissionsOn(r *http.Request, in *request) (any, error) {
	if in.Resource == nil || in.Resource.Type == "" {
		return nil, cloud.Refuse(cloud.Invalid, "The resource is missing.")
	}
	out := struct {
		Permissions []permission `json:"permissions"`
	}{[]permission{}}
	if role, ok := cloud.RoleBy(cloud.CallerFrom(r.Context()).User.Role); ok && in.Resource.Type == system.Type {
		for p := range role.Privileges() {
			out.Permissions = append(out.Permissions, permissionOf(p))
		}
	}
	return out, nil
}

// permission is one of the caller's.
func (h *handler) permission(r *http.Request, in *request) (any, error) {
	if role, ok := cloud.RoleBy(cloud.CallerFrom(r.Context()).User.Role); ok {
		for p := range role.Privileges() {
			if p.ID == in.Permission {
				return struct {
					Permission permission `json:"permission"`
				}{permissionOf(p)}, nil
			}
		}
	}
	return nil, cloud.NotExist
}

// define is for what would make roles and settings others than they are.
func (h *handler) define(r *http.Request, _ *request) (any, error) {
	if !cloud.CallerFrom(r.Context()).User.May(cloud.ManageSettings) {
		return nil, cloud.Permission
	}
	return nil, cloud.Refuse(cloud.NotSupported, "Which roles and settings there are cannot be changed.")
}

func (h *handler) assign(r *http.Request, in *request) (any, error) {
	u, err := h.account(r, in.Account)
	if err != nil {
		return nil, err
	}
	if in.Role == "" {
		return nil, cloud.Refuse(cloud.Invalid, "The role is missing.")
	}
	u, err = h.people.ChangeUser(r.Context(), u.ID, cloud.UserChange{Role: &in.Role})
	if err != nil {
		return nil, err
	}
	return struct {
		Assignment assignment `json:"assignment"`
	}{assignmentOf(u)}, nil
}

func (h *handler) unassign(r *http.Request, in *request) (any, error) {
	id, role, _ := strings.Cut(in.ID, ":")
	u, err := h.account(r, cmp.Or(id, "none"))
	if err == nil && (role == "" || u.Role != role) {
		err = cloud.NotExist
	}
	if err == nil {
		_, err = h.people.ChangeUser(r.Context(), u.ID, cloud.UserChange{Role: new("")})
	}
	return nil, err
}

func (h *handler) bundles(r *http.Request, in *request) (any, error) {
	out := struct {
		Bundles []bundle `json:"bundles"`
	}{[]bundle{}}
	if len(in.BundleIDs) == 0 || slices.Contains(in.BundleIDs, profileID) {
		out.Bundles = append(out.Bundles, profileBundle(cloud.CallerFrom(r.Context()).User))
	}
	return out, nil
}

func (h *handler) bundle(r *http.Request, in *request) (any, error) {
	var out struct {
		Bundle bundle `json:"bundle"`
	}
	if role, ok := cloud.RoleBy(in.Bundle); ok && role.ID == in.Bundle {
		out.Bundle = roleBundle(role)
		return out, nil
	}
	if in.Bundle != profileID {
		return nil, cloud.NotExist
	}
	out.Bundle = profileBundle(cloud.CallerFrom(r.Context()).User)
	return out, nil
}

// chosen are the values of a user, in the order of the preferences.
func (h *handler) chosen(r *http.Request, account string) ([]named, error) {
	u, err := h.account(r, account)
	if err != nil {
		return nil, err
	}
	choices, err := h.people.Choices(r.Context(), u.ID)
	if err != nil {
		return nil, err
	}
	all := []named{}
	for _, p := range cloud.Preferences() {
		if c, ok := choices[p.ID]; ok {
			all = append(all, nameValue(u.ID, p, c))
		}
	}
	return all, nil
}

func (h *handler) values(r *http.Request, in *request) (any, error) {
	var out struct {
		Values []named `json:"values"`
	}
	var err error
	out.Values = []named{}
	if in.Bundle == "" || in.Bundle == profileID {
		out.Values, err = h.chosen(r, in.Account)
	}
	return out, err
}

// oneValue is the answer to what asks for one.
type oneValue struct {
	Value named `json:"value"`
}

func (h *handler) pick(r *http.Request, account string, want func(*value) bool) (any, error) {
	all, err := h.chosen(r, account)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(n named) bool { return want(&n.Value) })
	if i < 0 {
		return nil, cloud.Refuse(cloud.NotExist, "This setting has its default.")
	}
	return oneValue{all[i]}, nil
}

func (h *handler) value(r *http.Request, in *request) (any, error) {
	return h.pick(r, "me", func(v *value) bool { return v.ID == in.ID })
}

func (h *handler) valueOf(r *http.Request, in *request) (any, error) {
	return h.pick(r, in.Account, func(v *value) bool { return v.Setting == in.Setting })
}

func (h *handler) save(r *http.Request, in *request) (any, error) {
	v := in.Value
	if v == nil {
		return nil, cloud.Refuse(cloud.Invalid, "The value is missing.")
	}
	p, ok := cloud.PreferenceBy(v.Setting)
	if !ok || v.Bundle != "" && v.Bundle != profileID {
		return nil, cloud.Refuse(cloud.NotExist, "There is no such setting.")
	}
	u, err := h.account(r, v.Account)
	if err != nil {
		return nil, err
	}
	c, err := v.choice()
	if err != nil {
		return nil, err
	}
	if err := h.people.Choose(r.Context(), u.ID, p.ID, c); err != nil {
		return nil, err
	}
	return oneValue{nameValue(u.ID, p, c)}, nil
}
