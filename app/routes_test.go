package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opencloud/api/httpx"
	"opencloud/cloud"
	"opencloud/config"
)

const password = "correct horse"

// settings are for tests: a folder of their own, no ports that could be
// taken, passwords that cost little.
func settings(t testing.TB, env ...string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	cfg, err := config.Load(config.Source{Dir: dir, Env: append([]string{
		"OC_BASE_DATA_PATH=" + dir, "PROXY_HTTP_ADDR=127.0.0.1:0", "PROXY_DEBUG_ADDR=127.0.0.1:0", "PROXY_TLS=false",
		"IDM_ADMIN_PASSWORD=" + password, "IDM_ARGON2_MEMORY=8", "IDM_ARGON2_TIME=1",
	}, env...)})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

var quiet = slog.New(slog.DiscardHandler)

// system starts all modules.
func system(t testing.TB, env ...string) *System {
	t.Helper()
	return systemOf(t, modules(), env...)
}

func systemOf(t testing.TB, all []Module, env ...string) *System {
	t.Helper()
	s := &System{Config: settings(t, env...), Log: quiet}
	t.Cleanup(func() { s.Close() })
	want, err := wanted(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := Build(t.Context(), s, all, want...); err != nil {
		t.Fatal(err)
	}
	return s
}

func frontOf(t testing.TB, s *System, table []Route) *front {
	t.Helper()
	f, err := newFront(s, table, newMetrics())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// raw is a request with the path as it is, which httptest would parse.
func raw(method, path string) *http.Request {
	u, err := url.Parse("http://localhost:9200" + path)
	if err != nil {
		panic(err)
	}
	return &http.Request{Method: method, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Host: "localhost:9200", RequestURI: path, RemoteAddr: "127.0.0.1:1234", Body: http.NoBody}
}

// open is what answers without a caller. A route that is not named here must not.
var open = []string{
	"/", "/",
	"/.well-known/openid-configuration", "/.well-known/webfinger",
	"/apps/files", "/index.php/",
	"/konnect/",
	"/ocs/v1.php/apps/files_sharing/api/v1/tokeninfo/unprotected/",
	"/ocs/v1.php/cloud/capabilities", "/ocs/v1.php/config",
	"/ocs/v2.php/apps/files_sharing/api/v1/tokeninfo/unprotected/",
	"/ocs/v2.php/cloud/capabilities", "/ocs/v2.php/config",
	"/signin/",
	"/status", "/status.php",
}

func TestOpenRoutes(t *testing.T) {
	var got []string
	for _, rt := range routes(system(t)) {
		if rt.Open {
			got = append(got, rt.Path)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(open, got); diff != "" {
		t.Error(diff)
	}
}

// Every route, every kind of caller, every method: who is nobody gets
// nothing, unless the route is open.
func TestRoutesAskWhoCalls(t *testing.T) {
	s := system(t, "OC_AUTH_GUESS_EVERY=0s")
	s.halt() // streams of events end as they begin
	f := frontOf(t, s, routes(s))
	f.log = quiet
	b := newBrowser(t, f)
	ended := b.signIn()
	b.signOut()
	good := b.signIn()
	methods := []string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "TRACE", "INVENTED"}
	callers := []struct {
		name string
		sign func(r *http.Request)
		user bool
	}{
		{"nobody", func(r *http.Request) {}, false},
		{"wrong password", func(r *http.Request) { r.SetBasicAuth("admin", "guess") }, false},
		{"no password", func(r *http.Request) { r.SetBasicAuth("admin", "") }, false},
		{"unknown user", func(r *http.Request) { r.SetBasicAuth("nobody", password) }, false},
		{"malformed", func(r *http.Request) { r.Header.Set("Authorization", "Basic !") }, false},
		{"other scheme", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, false},
		{"two headers", func(r *http.Request) {
			r.Header["Authorization"] = []string{"Basic !", "Basic YWRtaW46Y29ycmVjdCBob3JzZQ=="}
		}, false},
		{"user", func(r *http.Request) { r.SetBasicAuth("ADMIN", password) }, true},
		{"token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+good) }, true},
		{"token of a session that has ended", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+ended) }, false},
	}
	for _, rt := range routes(s) {
		paths := []string{rt.Path}
		if tree, ok := strings.CutSuffix(rt.Path, "/"); ok {
			paths = append(paths, tree, rt.Path+"x", rt.Path+"/x", rt.Path+"../x", rt.Path+"%2e%2e/%2e%2e/x")
		}
		for _, path := range paths {
			if path == "" {
				continue
			}
			for _, method := range methods {
				// What is served may be a longer or an earlier route than rt.
				served := slices.IndexFunc(f.routes, func(rt Route) bool { return rt.matches(method, path) })
				for _, c := range callers {
					r := raw(method, path)
					c.sign(r)
					w := httptest.NewRecorder()
					f.ServeHTTP(w, r)
					protected := served >= 0 && !f.routes[served].Open
					if denied := w.Code == http.StatusUnauthorized; denied != (protected && !c.user) {
						t.Errorf("%s %s by %s: %d", method, path, c.name, w.Code)
					}
					if w.Code == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
						t.Errorf("%s %s by %s: no challenge", method, path, c.name)
					}
					if w.Code >= 500 && w.Code != 501 {
						t.Errorf("%s %s by %s: %d %s", method, path, c.name, w.Code, w.Body)
					}
				}
			}
		}
	}
}

func TestRouting(t *testing.T) {
	named := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name+" "+r.URL.EscapedPath()) })
	}
	s := system(t)
	f := frontOf(t, s, []Route{
		{"/", []string{"GET"}, named("root"), true, httpx.WriteText},
		{"/dav/", []string{"POST"}, named("tus"), true, httpx.WriteText},
		{"/dav/", nil, named("dav"), true, httpx.WriteText},
		{"/dav/deep/", nil, named("deep"), true, httpx.WriteText},
		{"/status.php", nil, named("status"), true, httpx.WriteText},
	})
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/", "root /"},
		{"GET", "/other", "root /other"},
		{"PUT", "/other", ""},
		{"GET", "/dav", "dav /dav"},
		{"GET", "/dav/", "dav /dav/"},
		{"POST", "/dav/x", "tus /dav/x"},
		{"GET", "/davx", "root /davx"},
		{"GET", "/dav/deep", "deep /dav/deep"},
		{"POST", "/dav/deep/x", "deep /dav/deep/x"},
		{"GET", "/dav//x", "dav /dav//x"},
		{"GET", "//dav/x", "root //dav/x"},
		{"GET", "/dav/../status.php", "dav /dav/../status.php"},
		{"GET", "/dav/%2e%2e/x", "dav /dav/%2e%2e/x"},
		{"GET", "/dav/a%2Fb%3F", "dav /dav/a%2Fb%3F"},
		{"GET", "/%64av/x", "root /%64av/x"},
		{"GET", "/status.php", "status /status.php"},
		{"GET", "/status.php/", "root /status.php/"},
		{"GET", "/Status.php", "root /Status.php"},
	} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, raw(c.method, c.path))
		got := w.Body.String()
		if w.Code == http.StatusNotFound {
			got = ""
		}
		if got != c.want {
			t.Errorf("%s %s: %q, want %q", c.method, c.path, got, c.want)
		}
	}
}

func TestBuild(t *testing.T) {
	var started []string
	m := func(name string, needs ...string) Module {
		return Module{name, needs, func(context.Context, *System) error {
			started = append(started, name)
			return nil
		}}
	}
	table := []Module{m("c", "a", "b"), m("a"), m("b", "a"), m("x", "y"), m("y", "x"), m("z", "missing")}
	for _, c := range []struct {
		want []string
		got  string
		err  string
	}{
		{[]string{"c"}, "a b c", ""},
		{[]string{"b", "c"}, "a b c", ""},
		{nil, "", ""},
		{[]string{"x"}, "", `module "x" needs itself`},
		{[]string{"z"}, "", `no module "missing"`},
	} {
		started = nil
		err := Build(t.Context(), &System{}, table, c.want...)
		if got := strings.Join(started, " "); got != c.got || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%v: started %q, %v; want %q, %s", c.want, got, err, c.got, c.err)
		}
	}
}

func TestWanted(t *testing.T) {
	all := make([]string, 0)
	for _, m := range modules() {
		all = append(all, m.Name)
	}
	slices.Sort(all)
	everything := slices.Clone(all)
	all = slices.DeleteFunc(all, func(m string) bool { return m == "oidc" })
	without := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(m string) bool { return slices.Contains(names, m) })
	}
	for _, c := range []struct {
		env  []string
		want []string
	}{
		{nil, all},
		{[]string{"OC_EXCLUDE_RUN_SERVICES=idp,nats"}, without("idp")},
		{[]string{"OC_EXCLUDE_RUN_SERVICES=graph"}, without("graph")},
		{[]string{"OC_RUN_SERVICES=graph"}, []string{"graph"}},
		{[]string{"OC_RUN_EXTENSIONS=graph"}, []string{"graph"}},
		{[]string{"OC_RUN_SERVICES=graph,storage-users", "OC_ADD_RUN_SERVICES=ocs"}, []string{"files", "graph", "ocs"}},
		{[]string{"OC_ADD_RUN_SERVICES=antivirus"}, all},
		{[]string{"OC_RUN_SERVICES=tus"}, []string{"tus"}},
		{[]string{"OC_OIDC_ISSUER=https://localhost:9200/"}, all},
		{[]string{"OC_OIDC_ISSUER=https://sso.example.org"}, slices.DeleteFunc(everything, func(m string) bool { return m == "idp" })},
		{[]string{"OC_OIDC_ISSUER=https://sso.example.org", "OC_RUN_SERVICES=idp,proxy"}, []string{"auth", "oidc"}},
	} {
		got, err := wanted(settings(t, c.env...))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v: %s", c.env, diff)
		}
	}
	_, err := wanted(settings(t, "OC_RUN_SERVICES=grahp"))
	if cloud.KindOf(err) != cloud.Invalid || !strings.Contains(cloud.Say(err), `There is no service "grahp"`) {
		t.Errorf("an unknown service: %v", err)
	}
}

// What services name must be modules.
func TestServices(t *testing.T) {
	for _, name := range Services() {
		mods, _ := Modules(name)
		for _, m := range mods {
			if !slices.ContainsFunc(modules(), func(x Module) bool { return x.Name == m }) {
				t.Errorf("service %s: no module %q", name, m)
			}
		}
	}
}
