package app

import (
	"net/http"
	"slices"
	"strings"

	"opencloud/api/archiver"
	"opencloud/api/httpx"
)

// A Route sends requests to a handler. All that is reachable from outside is
// in the table of routes; what is not Open needs a caller.
type Route struct {
	// Path is matched with the escaped path of the request as it was sent,
	// below the base path. With a slash at its end it stands for the whole tree.
	Path    string
	Methods []string // nil: all
	Handler http.Handler
	Open    bool
	Fail    httpx.Fail
}

// routes is the table. The longest path wins, and of equal ones the first
// whose methods fit. Routes of modules that do not run are left out.
func routes(s *System) []Route {
	reading := []string{http.MethodGet, http.MethodHead}
	tus := []string{http.MethodPost, http.MethodPatch}
	all := []Route{
		{"/", reading, s.Web, true, httpx.WriteText},
		{"/", nil, s.Wellknown, true, httpx.WriteText},
		{"/.well-known/openid-configuration", nil, s.IDP, true, httpx.WriteText},
		{"/.well-known/openid-configuration", nil, s.OIDC, true, httpx.WriteText},
		{"/.well-known/webfinger", nil, s.Webfinger, true, httpx.WriteText},
		{archiver.Path, nil, s.Archiver, false, httpx.WriteText},
		{"/auth-app/tokens", nil, s.Tokens, false, httpx.FailOData},
		{"/backchannel_logout", nil, s.OIDC, true, httpx.WriteText},
		{"/data/", nil, s.TUS, false, httpx.FailOData},
		{"/dav/", tus, s.TUS, false, httpx.FailOData},
		{"/dav/", nil, s.DAV, false, httpx.FailDAV},
		{"/api/v0/settings/", nil, s.Settings, false, httpx.FailOData},
		{"/apps/files", nil, s.Wellknown, true, httpx.WriteText},
		{"/graph/", nil, s.Graph, false, httpx.FailOData},
		{"/index.php/", nil, s.Wellknown, true, httpx.WriteText},
		{"/konnect/", nil, s.IDP, true, httpx.WriteText},
		{"/ocs/", nil, s.OCS, false, httpx.FailOCS},
		{"/ocs/v1.php/apps/notifications/api/v1/notifications/sse", nil, s.SSE, false, httpx.FailOCS},
		{"/ocs/v1.php/cloud/capabilities", nil, s.OCS, true, httpx.FailOCS},
		{"/ocs/v1.php/apps/files_sharing/api/v1/tokeninfo/unprotected/", nil, s.OCS, true, httpx.FailOCS},
		{"/ocs/v1.php/config", nil, s.OCS, true, httpx.FailOCS},
		{"/ocs/v2.php/apps/notifications/api/v1/notifications/sse", nil, s.SSE, false, httpx.FailOCS},
		{"/ocs/v2.php/cloud/capabilities", nil, s.OCS, true, httpx.FailOCS},
		{"/ocs/v2.php/apps/files_sharing/api/v1/tokeninfo/unprotected/", nil, s.OCS, true, httpx.FailOCS},
		{"/ocs/v2.php/config", nil, s.OCS, true, httpx.FailOCS},
		{"/public.php/", tus, s.TUS, false, httpx.FailOData},
		{"/public.php/", nil, s.DAV, false, httpx.FailDAV},
		{"/remote.php/", tus, s.TUS, false, httpx.FailOData},
		{"/remote.php/", nil, s.DAV, false, httpx.FailDAV},
		{"/signin/", nil, s.IDP, true, httpx.WriteText},
		{"/status", nil, s.Wellknown, true, httpx.WriteText},
		{"/status.php", nil, s.Wellknown, true, httpx.WriteText},
		{"/webdav/", tus, s.TUS, false, httpx.FailOData},
		{"/webdav/", nil, s.DAV, false, httpx.FailDAV},
	}
	return slices.DeleteFunc(all, func(r Route) bool { return r.Handler == nil })
}

// crossing are the routes that pages of other sites may call with any method:
// nothing there looks at what a browser adds by itself.
var crossing = []string{"/konnect/"}

// byLength puts the routes into the order in which they are tried.
func byLength(all []Route) []Route {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b Route) int { return len(b.Path) - len(a.Path) })
	return all
}

func (rt *Route) matches(method, path string) bool {
	tree, ok := strings.CutSuffix(rt.Path, "/")
	if ok {
		rest, below := strings.CutPrefix(path, tree)
		ok = below && (rest == "" || rest[0] == '/')
	} else {
		ok = path == rt.Path
	}
	return ok && (rt.Methods == nil || slices.Contains(rt.Methods, method))
}
