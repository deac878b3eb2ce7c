// Package graph serves the LibreGraph API: people and their groups, drives,
// which is what Graph calls spaces, what is in them, and how it is shared. It
// translates between JSON and cloud.Files, cloud.Shares and cloud.People and
// decides nothing; every failure is an OData error.
package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Options are what an administrator can set.
type Options struct {
	MaxBind int      `yaml:"group_members_patch_limit" env:"GRAPH_GROUP_MEMBERS_PATCH_LIMIT" default:"20" doc:"Most members that one request can put into a group."`
	Roles   []string `yaml:"available_roles" env:"GRAPH_AVAILABLE_ROLES" default:"" doc:"Ids of the roles that can be given when something is shared, see sharing-roles.md; empty is the usual ones."`

	Product   string          `yaml:"-"` // what the application is called whose roles users have
	Education cloud.Education `yaml:"-"` // nil: there are no schools
	// Links returns what signs addresses for the caller: a query to be put
	// behind a path (see httpx.Site.Abs; not escaped), with which it can be read
	// for a while without credentials. It returns nil for a caller who gets
	// none; nil: for nobody.
	Links   func(ctx context.Context) (sign func(path string) (query string), err error) `yaml:"-"`
	Changes cloud.Changes                                                                `yaml:"-"` // nil: nobody is told what is different
}

// maxBody is more than any request of this API needs.
const maxBody = 256 << 10 // bytes

type handler struct {
	files  cloud.Files
	shares cloud.Shares
	people cloud.People
	opts   Options
	routes []route
}

// A route answers one method on one path below the version. A "*" in the path
// stands for one segment, which becomes one of args; "*:" and "root:" may have
// a path within a drive behind them, which becomes the last of args.
type route struct {
	method string
	path   string
	serve  func(h *handler, w http.ResponseWriter, r *http.Request, args []string) error

	segments []string
}

func table() []route {
	return []route{
		{method: "GET", path: "me", serve: (*handler).me},
		{method: "PATCH", path: "me", serve: (*handler).updateMe},
		{method: "POST", path: "me/changePassword", serve: (*handler).changePassword},
		{method: "GET", path: "me/photo/$value", serve: (*handler).photo},
		{method: "PUT", path: "me/photo/$value", serve: (*handler).setPhoto},
		{method: "PATCH", path: "me/photo/$value", serve: (*handler).setPhoto},
		{method: "DELETE", path: "me/photo/$value", serve: (*handler).removePhoto},
		{method: "GET", path: "me/sessions", serve: (*handler).sessions},
		{method: "DELETE", path: "me/sessions/*", serve: (*handler).endSession},
		{method: "POST", path: "me/revokeSignInSessions", serve: (*handler).endSessions},
		{method: "GET", path: "me/authentication/methods", serve: (*handler).factors},
		{method: "GET", path: "me/drive", serve: (*handler).home},
		{method: "GET", path: "me/drives", serve: (*handler).drives},
		{method: "GET", path: "drives", serve: (*handler).allDrives},
		{method: "POST", path: "drives", serve: (*handler).createDrive},
		{method: "GET", path: "drives/*", serve: (*handler).drive},
		{method: "PATCH", path: "drives/*", serve: (*handler).updateDrive},
		{method: "DELETE", path: "drives/*", serve: (*handler).removeDrive},
		{method: "GET", path: "drives/*/root:", serve: (*handler).item},
		{method: "PATCH", path: "drives/*/root:", serve: (*handler).updateItem},
		{method: "DELETE", path: "drives/*/root:", serve: (*handler).removeItem},
		{method: "GET", path: "drives/*/root:/children", serve: (*handler).children},
		{method: "POST", path: "drives/*/root:/children", serve: (*handler).createItem},
		{method: "GET", path: "drives/*/root:/content", serve: (*handler).content},
		{method: "GET", path: "drives/*/items/*:", serve: (*handler).item},
		{method: "PATCH", path: "drives/*/items/*:", serve: (*handler).updateItem},
		{method: "DELETE", path: "drives/*/items/*:", serve: (*handler).removeItem},
		{method: "GET", path: "drives/*/items/*:/children", serve: (*handler).children},
		{method: "POST", path: "drives/*/items/*:/children", serve: (*handler).createItem},
		{method: "GET", path: "drives/*/items/*:/content", serve: (*handler).content},
		{method: "POST", path: "drives/*/root/invite", serve: (*handler).invite},
		{method: "POST", path: "drives/*/root/createLink", serve: (*handler).createLink},
		{method: "GET", path: "drives/*/root/permissions", serve: (*handler).permissions},
		{method: "GET", path: "drives/*/root/permissions/*", serve: (*handler).permission},
		{method: "PATCH", path: "drives/*/root/permissions/*", serve: (*handler).updatePermission},
		{method: "DELETE", path: "drives/*/root/permissions/*", serve: (*handler).removePermission},
		{method: "POST", path: "drives/*/root/permissions/*/setPassword", serve: (*handler).setPassword},
		{method: "POST", path: "drives/*/items/*/invite", serve: (*handler).invite},
		{method: "POST", path: "drives/*/items/*/createLink", serve: (*handler).createLink},
		{method: "GET", path: "drives/*/items/*/permissions", serve: (*handler).permissions},
		{method: "GET", path: "drives/*/items/*/permissions/*", serve: (*handler).permission},
		{method: "PATCH", path: "drives/*/items/*/permissions/*", serve: (*handler).updatePermission},
		{method: "DELETE", path: "drives/*/items/*/permissions/*", serve: (*handler).removePermission},
		{method: "POST", path: "drives/*/items/*/permissions/*/setPassword", serve: (*handler).setPassword},
		{method: "GET", path: "roleManagement/permissions/roleDefinitions", serve: (*handler).roleDefinitions},
		{method: "GET", path: "roleManagement/permissions/roleDefinitions/*", serve: (*handler).roleDefinition},
		{method: "GET", path: "me/drive/root", serve: (*handler).homeRoot},
		{method: "GET", path: "me/drive/root/children", serve: (*handler).homeChildren},
		{method: "GET", path: "me/drive/sharedWithMe", serve: (*handler).sharedWithMe},
		{method: "GET", path: "me/drive/sharedByMe", serve: (*handler).sharedByMe},
		{method: "GET", path: "users", serve: (*handler).users},
		{method: "POST", path: "users", serve: (*handler).createUser},
		{method: "GET", path: "users/*", serve: (*handler).user},
		{method: "PATCH", path: "users/*", serve: (*handler).updateUser},
		{method: "DELETE", path: "users/*", serve: (*handler).removeUser},
		{method: "POST", path: "users/*/exportPersonalData", serve: (*handler).export},
		{method: "GET", path: "users/*/drive", serve: (*handler).userDrive},
		{method: "GET", path: "users/*/photo/$value", serve: (*handler).photo},
		{method: "GET", path: "users/*/sessions", serve: (*handler).sessions},
		{method: "DELETE", path: "users/*/sessions/*", serve: (*handler).endSession},
		{method: "POST", path: "users/*/revokeSignInSessions", serve: (*handler).endSessions},
		{method: "GET", path: "users/*/authentication/methods", serve: (*handler).factors},
		{method: "DELETE", path: "users/*/authentication/methods", serve: (*handler).resetFactors},
		{method: "GET", path: "users/*/appRoleAssignments", serve: (*handler).assignments},
		{method: "POST", path: "users/*/appRoleAssignments", serve: (*handler).assign},
		{method: "DELETE", path: "users/*/appRoleAssignments/*", serve: (*handler).unassign},
		{method: "GET", path: "groups", serve: (*handler).groups},
		{method: "POST", path: "groups", serve: (*handler).createGroup},
		{method: "GET", path: "groups/*", serve: (*handler).group},
		{method: "PATCH", path: "groups/*", serve: (*handler).updateGroup},
		{method: "DELETE", path: "groups/*", serve: (*handler).removeGroup},
		{method: "GET", path: "groups/*/members", serve: (*handler).members},
		{method: "POST", path: "groups/*/members/$ref", serve: (*handler).join},
		{method: "DELETE", path: "groups/*/members/*/$ref", serve: (*handler).leave},
		{method: "GET", path: "directory/deletedItems/microsoft.graph.user", serve: (*handler).deletedUsers},
		{method: "GET", path: "directory/deletedItems/*", serve: (*handler).deletedUser},
		{method: "DELETE", path: "directory/deletedItems/*", serve: (*handler).removeDeletedUser},
		{method: "POST", path: "directory/deletedItems/*/restore", serve: (*handler).restoreUser},
		{method: "GET", path: "applications", serve: (*handler).applications},
		{method: "GET", path: "applications/*", serve: (*handler).application},
	}
}

// New serves /graph/v1.0 and /graph/v1beta1, which are the same here.
func New(files cloud.Files, shares cloud.Shares, people cloud.People, opts Options) http.Handler {
	h := &handler{files: files, shares: shares, people: people, opts: opts, routes: table()}
	if len(opts.Roles) == 0 {
		h.opts.Roles = nil // the usual ones, see cloud.OfferedRoles
	}
	if opts.Education != nil {
		h.routes = append(h.routes, educationTable()...)
	}
	if opts.Changes != nil {
		h.routes = append(h.routes,
			route{method: "GET", path: "me/drive/root/delta", serve: (*handler).homeDelta},
			route{method: "GET", path: "drives/*/root/delta", serve: (*handler).delta})
	}
	for i := range h.routes {
		h.routes[i].segments = strings.Split(h.routes[i].path, "/")
	}
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments, path, err := split(r.URL.EscapedPath())
	if err != nil {
		httpx.FailOData(w, r, err)
		return
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allowed []string
	for i := range h.routes {
		t := &h.routes[i]
		args, ok := t.match(segments, path)
		if !ok {
			continue
		}
		if t.method == method {
			if err := t.serve(h, w, r, args); err != nil {
				httpx.FailOData(w, r, err)
			}
			return
		}
		allowed = append(allowed, t.method)
	}
	if allowed == nil {
		httpx.FailOData(w, r, cloud.NotExist)
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	httpx.WriteOData(w, r, http.StatusMethodNotAllowed, cloud.NotSupported.Face().OData, "This cannot be done here.")
}

// A within is a path within a drive, as it stands between colons in a URL:
// /drives/{id}/root:/{path}:/children.
type within struct {
	at   int // after so many segments; 0: there is none
	path string
}

// split takes the segments behind the version off a path, decoded. A path
// within a drive is none of them.
func split(escaped string) (segments []string, path within, err error) {
	rest, ok := strings.CutPrefix(escaped, "/graph/v1.0/")
	if !ok {
		rest, ok = strings.CutPrefix(escaped, "/graph/v1beta1/")
	}
	if !ok {
		return nil, path, cloud.NotExist
	}
	head, tail, hasPath := strings.Cut(rest, ":/")
	segments = strings.Split(strings.TrimSuffix(head, "/"), "/")
	if hasPath {
		inner, after, more := strings.Cut(strings.TrimSuffix(tail, ":"), ":/")
		if path.at = len(segments); more {
			segments = append(segments, strings.Split(after, "/")...)
		}
		if path.path, err = url.PathUnescape(inner); err == nil {
			path.path, err = cloud.CleanPath(path.path)
		}
		if err != nil {
			return nil, path, err
		}
	}
	for i, s := range segments {
		if segments[i], err = url.PathUnescape(s); err != nil {
			return nil, path, cloud.Refuse(cloud.Invalid, "The URL is not properly encoded.")
		}
	}
	return segments, path, nil
}

func (t *route) match(segments []string, path within) (args []string, ok bool) {
	if len(segments) != len(t.segments) {
		return nil, false
	}
	takesPath, at := false, 0
	for i, want := range t.segments {
		if name, ok := strings.CutSuffix(want, ":"); ok {
			want, takesPath, at = name, true, i+1
		}
		switch {
		case want == "*" && segments[i] != "":
			args = append(args, segments[i])
		case want != segments[i]:
			return nil, false
		}
	}
	if takesPath {
		args = append(args, path.path)
	}
	return args, path.at == 0 || path.at == at
}

// read decodes a JSON body; an empty one leaves v as it is. Only what says
// that it is JSON is read, since a form on a foreign page cannot say so. The
// fixed properties are those that a client might think it can set.
func read(w http.ResponseWriter, r *http.Request, v any, fixed ...string) error {
	body, err := httpx.Body(w, r, maxBody)
	switch {
	case err != nil:
		return err
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return cloud.Refuse(cloud.Invalid, "The Content-Type must be application/json.")
	}
	if err := json.Unmarshal(body, v); err != nil {
		if cloud.Say(err) != "" {
			return err
		}
		return cloud.Refuse(cloud.Invalid, "The body is not the JSON that is expected here.")
	}
	if len(fixed) == 0 {
		return nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return cloud.Refuse(cloud.Invalid, "The body is not the JSON that is expected here.")
	}
	for _, name := range fixed {
		if value, ok := all[name]; ok && string(value) != "null" {
			return cloud.Refuse(cloud.Invalid, "The property %q cannot be set here.", name)
		}
	}
	return nil
}

func write(w http.ResponseWriter, r *http.Request, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
	return nil
}

func writeNothing(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}
