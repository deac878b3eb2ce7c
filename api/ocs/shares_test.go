package ocs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opencloud/api/httpx"
	"opencloud/api/ocs"
	"opencloud/cloud"
	"opencloud/core"
	dirmem "opencloud/directory/mem"
	"opencloud/storage/mem"
	"opencloud/test/exchange"
)

// plain keeps the passwords of links as they are.
type plain struct{}

func (plain) Hash(_ context.Context, password string) (string, error) { return "=" + password, nil }

func (plain) Matches(_ context.Context, hash, password string) (bool, error) {
	return hash == "="+password, nil
}

// A circle is people who share things. ada has a personal space with
// docs/plan.txt and a.txt, and manages a project with minutes/may.txt; bert and
// carl have what they are given; carl is in the crew; gina is a guest, light may
// give nothing, admin manages users.
type circle struct {
	http.Handler
	core    *core.Core
	dir     *dirmem.Directory
	vars    map[string]string // the ids of all that
	project cloud.SpaceID
	home    cloud.SpaceID
}

var people = []*cloud.User{
	{ID: "a0000000-0000-4000-8000-000000000001", Name: "ada", Display: "Ada Lovelace", Mail: "ada@example.org", Role: cloud.RoleSpaceAdmin},
	{ID: "b0000000-0000-4000-8000-000000000002", Name: "bert", Display: "Bert <Brecht>", Mail: "bert@example.org", Role: cloud.RoleUser},
	{ID: "c0000000-0000-4000-8000-000000000003", Name: "carl", Display: "Carl Gauß", Mail: "carl@example.org", Role: cloud.RoleUser},
	{ID: "d0000000-0000-4000-8000-000000000004", Name: "gina", Display: "Gina", Kind: cloud.Guest, Role: cloud.RoleUserLight},
	{ID: "e0000000-0000-4000-8000-000000000005", Name: "light", Display: "Light", Role: cloud.RoleUserLight},
	{ID: "f0000000-0000-4000-8000-000000000006", Name: "admin", Display: "Admin", Role: cloud.RoleAdmin},
}

func gather(t testing.TB, rules core.Options, opts ocs.Options) *circle {
	t.Helper()
	rules.Secrets = plain{}
	w := &circle{core: core.New(mem.New(), rules), dir: dirmem.New(people...), vars: map[string]string{}}
	t.Cleanup(func() { w.core.Close() })
	p, err := core.NewPeople(w.core, w.dir, w.dir, core.PeopleOptions{MinSearch: 3, ShowMail: true, Password: core.PasswordOptions{Min: 8}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	g, err := w.dir.SetGroup(t.Context(), &cloud.Group{Name: "The crew"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.dir.Join(t.Context(), g.ID, people[2].ID); err != nil {
		t.Fatal(err)
	}
	w.vars["crew"] = string(g.ID)
	for _, u := range people {
		w.vars[u.Name] = string(u.ID)
	}
	w.Handler = w.front(ocs.New(w.core, w.core, p, opts))
	home, err := w.core.Home(w.as("ada"))
	if err != nil {
		t.Fatal(err)
	}
	project, err := w.core.SetSpace(w.as("ada"), &cloud.Space{Name: "Project"})
	if err != nil {
		t.Fatal(err)
	}
	w.home, w.project = home.ID, project.ID
	w.vars["home"], w.vars["project"] = string(home.ID), string(project.ID)
	w.vars["storage"] = home.ID.Storage()
	w.file(t, "docs", home.ID, "docs/")
	w.file(t, "plan", home.ID, "docs/plan.txt")
	w.file(t, "a", home.ID, "a.txt")
	w.file(t, "minutes", project.ID, "minutes/")
	w.file(t, "may", project.ID, "minutes/may.txt")
	return w
}

// file makes one, or a folder, and a variable with its id.
func (w *circle) file(t testing.TB, name string, space cloud.SpaceID, path string) {
	t.Helper()
	path, dir := strings.CutSuffix(path, "/")
	ref := cloud.Ref{Space: space, Path: path}
	var n *cloud.Node
	var err error
	if dir {
		n, err = w.core.MakeDir(w.as("ada"), ref, cloud.Conditions{})
	} else {
		n, _, err = w.core.Put(w.as("ada"), ref, strings.NewReader("hello"), cloud.Put{Size: 5})
	}
	if err != nil {
		t.Fatal(err)
	}
	w.vars[name] = string(n.ID)
}

func (w *circle) as(name string) context.Context {
	var c cloud.Caller
	switch name {
	case "nobody":
	case "visitor":
		c.Visitor = &cloud.Visitor{Token: "t", Share: "s", Of: cloud.Ref{Space: w.home, Node: cloud.NodeID(w.vars["docs"])}}
	default:
		u, err := w.dir.User(context.Background(), "name", name)
		if err != nil {
			panic(err)
		}
		c.User = u
	}
	return cloud.WithCaller(context.Background(), c)
}

// front signs in whom the header As names, or ada.
func (w *circle) front(h http.Handler) http.Handler {
	site := &httpx.Site{URL: &url.URL{Scheme: "https", Host: "cloud.example", Path: "/oc"}, Challenges: []string{"Basic"}}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		name := r.Header.Get("As")
		if name == "" {
			name = "ada"
		}
		ctx := httpx.With(w.as(name), &httpx.Request{ID: "1", Log: slog.New(slog.DiscardHandler), Site: site})
		h.ServeHTTP(rw, r.WithContext(ctx))
	})
}

func TestExchanges(t *testing.T) {
	exchange.Run(t, os.DirFS("testdata/shares"), "*.txtar", func(t *testing.T) (http.Handler, map[string]string) {
		w := gather(t, core.Options{AutoAccept: !strings.HasSuffix(t.Name(), "pending")}, opts)
		return w, w.vars
	})
}

// send posts a form, or asks, and returns the status and the body.
func (w *circle) send(as, method, path, form string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form))
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("As", as)
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

const api = "/ocs/v2.php/apps/files_sharing/api/v1/"

// an answer, as far as tests ask for it.
type answer struct {
	OCS struct {
		Meta struct {
			Status     string
			StatusCode int
			Message    string
		}
		Data json.RawMessage
	}
}

type element struct {
	ID, Path, Token, Expiration string
	Type                        int `json:"share_type"`
	Permissions, State          int
	With                        string `json:"share_with"`
}

func read(t testing.TB, rec *httptest.ResponseRecorder) answer {
	t.Helper()
	var a answer
	if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil {
		t.Fatalf("%v: %s", err, rec.Body)
	}
	return a
}

// share shares something as ada.
func (w *circle) share(t testing.TB, form string) element {
	t.Helper()
	a := read(t, w.send("ada", "POST", api+"shares?format=json", w.expand(form)))
	if a.OCS.Meta.StatusCode != 200 {
		t.Fatalf("%s: got %d %s, want 200", form, a.OCS.Meta.StatusCode, a.OCS.Meta.Message)
	}
	var e element
	if err := json.Unmarshal(a.OCS.Data, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// list is what somebody finds under a query.
func (w *circle) list(t testing.TB, as, query string) []element {
	t.Helper()
	a := read(t, w.send(as, "GET", api+"shares?format=json&"+w.expand(query), ""))
	if a.OCS.Meta.StatusCode != 200 {
		t.Fatalf("%s: got %d %s, want 200", query, a.OCS.Meta.StatusCode, a.OCS.Meta.Message)
	}
	var all []element
	if err := json.Unmarshal(a.OCS.Data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// expand puts ids in the place of their names in braces.
func (w *circle) expand(s string) string {
	for name, id := range w.vars {
		s = strings.ReplaceAll(s, "{"+name+"}", url.QueryEscape(id))
	}
	return s
}

func TestRefusedShares(t *testing.T) {
	w := gather(t, core.Options{}, opts)
	here := w.share(t, "path=/docs&shareType=0&shareWith={carl}&permissions=1").ID
	link := w.share(t, "path=/docs&shareType=3").ID
	before := w.list(t, "ada", "")
	for _, tt := range []struct {
		method, path, form string
		status             int
	}{
		{"POST", "shares", "", 400},
		{"POST", "shares", "path=/docs", 400},
		{"POST", "shares", "path=/docs&shareType=no&shareWith={bert}", 400},
		{"POST", "shares", "path=/docs&shareType=4&shareWith={bert}", 400},
		{"POST", "shares", "path=/docs&shareType=6&shareWith=bert@elsewhere.example", 501},
		{"POST", "shares", "path=/docs&shareType=0", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith=nobody", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={ada}", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith=bert", 400}, // ada may not find people by their login names
		{"POST", "shares", "path=/docs&shareType=1&shareWith={bert}", 400},
		{"POST", "shares", "path=/docs&shareType=7&shareWith={bert}&role=viewer", 400},
		{"POST", "shares", "path=/&shareType=7&shareWith={bert}&role=viewer", 400},
		{"POST", "shares", "path=/&shareType=3", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={bert}&permissions=0", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={bert}&permissions=16", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={bert}&permissions=32", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={bert}&permissions=-1", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={bert}&permissions=read", 400},
		{"POST", "shares", "path=/docs/plan.txt&shareType=0&shareWith={bert}&permissions=12", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={bert}&role=king", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={bert}&role=manager", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={bert}&role=denied", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={bert}&password=secret+of+eight", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={bert}&expireDate=2001-01-01", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={bert}&expireDate=tomorrow", 400},
		{"POST", "shares", "path=/docs&shareType=0&shareWith={carl}&permissions=1", 409},
		{"POST", "shares", "path=/none&shareType=0&shareWith={bert}", 404},
		{"POST", "shares", "path=/docs/../docs&shareType=0&shareWith={bert}", 400},
		{"POST", "shares", "space_ref={home}&path=/none&shareType=0&shareWith={bert}", 404},
		{"POST", "shares", "space_ref=nonsense&path=/docs&shareType=0&shareWith={bert}", 400},
		{"POST", "shares", "path=/Shares/none&shareType=0&shareWith={bert}", 404},
		{"POST", "shares", "path=/Shares&shareType=0&shareWith={bert}", 400},
		{"POST", "shares", "path=/docs&shareType=3&permissions=2", 400},
		{"POST", "shares", "path=/docs&shareType=3&permissions=7", 400},
		{"POST", "shares", "path=/docs/plan.txt&shareType=3&permissions=4", 400},
		{"POST", "shares", "path=/docs&shareType=3&permissions=no", 400},
		{"POST", "shares", "path=/docs&shareType=3&publicUpload=perhaps", 400},
		{"POST", "shares", "path=/docs&shareType=3&quicklink=perhaps", 400},
		{"POST", "shares", "path=/docs&shareType=3&password=short", 400},
		{"POST", "shares", "path=/docs&shareType=3&permissions=0&password=secret+of+eight", 400},
		{"POST", "shares", "path=/docs&shareType=3&name=" + strings.Repeat("n", 300), 400},
		{"POST", "shares", "path=/docs&shareType=3&name=%zz", 400},
		{"POST", "shares", "path=/docs&shareType=3&name=" + strings.Repeat("n", 70_000), 413},
		{"PUT", "shares/" + here, "", 400},
		{"PUT", "shares/" + here, "unknown=1", 400},
		{"PUT", "shares/" + here, "name=a", 400},
		{"PUT", "shares/" + here, "password=secret+of+eight", 400},
		{"PUT", "shares/" + here, "permissions=99", 400},
		{"PUT", "shares/" + here, "expireDate=2001-01-01", 400},
		{"PUT", "shares/" + link, "permissions=3", 400},
		{"PUT", "shares/" + link, "password=short", 400},
		{"PUT", "shares/none", "permissions=1", 404},
		{"DELETE", "shares/none", "", 404},
		{"DELETE", "shares", "", 404},
		{"PATCH", "shares/" + here, "permissions=1", 404},
		{"GET", "shares/none", "", 404},
		{"GET", "shares/pending", "", 404},
		{"GET", "shares?path=/none", "", 404},
		{"GET", "shares?path=/a.txt&subfiles=true", "", 400},
		{"GET", "shares?share_types=user", "", 400},
		{"GET", "shares?reshares=perhaps", "", 400},
		{"GET", "shares?subfiles=perhaps", "", 400},
		{"GET", "shares?shared_with_me=perhaps", "", 400},
		{"GET", "shares?shared_with_me=true&state=perhaps", "", 400},
		{"GET", "shares?shared_with_me=true&show_hidden=perhaps", "", 400},
		{"GET", "shares?shared_with_me=true&path=/none", "", 404},
		{"GET", "shares?shared_with_me=true&space_ref=nonsense", "", 400},
		{"POST", "shares/pending/" + here, "", 404}, // it is carl's
		{"PUT", "shares/pending/" + here, "hidden=true", 404},
		{"PUT", "shares/pending/" + here, "", 400},
		{"PUT", "shares/pending/" + here, "hidden=perhaps", 400},
		{"DELETE", "shares/pending/none", "", 404},
	} {
		path, query, _ := strings.Cut(tt.path, "?")
		for version, status := range map[string]int{"v1": 200, "v2": tt.status} {
			rec := w.send("ada", tt.method, "/ocs/"+version+".php/apps/files_sharing/api/v1/"+path+"?format=json&"+query, w.expand(tt.form))
			a := read(t, rec)
			if m := a.OCS.Meta; rec.Code != status || m.StatusCode != tt.status || m.Status != "error" || m.Message == "" {
				t.Errorf("%s %s %s %.80s: got %d, %+v, want %d, %d", version, tt.method, tt.path, tt.form, rec.Code, m, status, tt.status)
			}
		}
	}
	if diff := cmp.Diff(before, w.list(t, "ada", "")); diff != "" {
		t.Errorf("something has changed (-want +got):\n%s", diff)
	}
}

// Who may do what with a share of ada's with bert, one with the crew, and a link.
func TestWhoMayShare(t *testing.T) {
	const ok, hidden, refused, nobody = 200, 404, 403, 401
	for _, tt := range []struct {
		method, path, form string
		want               map[string]int // carl is in the crew
	}{
		{"GET", "shares", "", map[string]int{"ada": ok, "bert": ok, "carl": ok, "light": ok, "admin": ok, "visitor": refused, "nobody": nobody}},
		{"GET", "shares?space_ref={home}!{docs}", "", map[string]int{"ada": ok, "bert": ok, "carl": ok, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"POST", "shares", "space_ref={home}!{docs}&shareType=0&shareWith={gina}&permissions=1", map[string]int{"ada": ok, "bert": refused, "carl": refused, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"POST", "shares", "space_ref={home}!{docs}&shareType=3&permissions=0", map[string]int{"ada": ok, "bert": refused, "carl": refused, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"GET", "shares/{bert's}", "", map[string]int{"ada": ok, "bert": ok, "carl": hidden, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"GET", "shares/{crew's}", "", map[string]int{"ada": ok, "bert": hidden, "carl": ok, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"GET", "shares/{link}", "", map[string]int{"ada": ok, "bert": hidden, "carl": hidden, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"PUT", "shares/{bert's}", "permissions=1", map[string]int{"ada": ok, "bert": refused, "carl": hidden, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"PUT", "shares/{link}", "name=a", map[string]int{"ada": ok, "bert": hidden, "carl": hidden, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"POST", "shares/pending/{bert's}", "", map[string]int{"ada": hidden, "bert": ok, "carl": hidden, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"PUT", "shares/pending/{crew's}", "hidden=true", map[string]int{"ada": hidden, "bert": hidden, "carl": ok, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"DELETE", "shares/pending/{crew's}", "", map[string]int{"ada": hidden, "bert": hidden, "carl": ok, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"DELETE", "shares/{bert's}", "", map[string]int{"ada": ok, "bert": ok, "carl": hidden, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"DELETE", "shares/{crew's}", "", map[string]int{"ada": ok, "bert": hidden, "carl": ok, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"DELETE", "shares/{link}", "", map[string]int{"ada": ok, "bert": hidden, "carl": hidden, "light": hidden, "admin": hidden, "visitor": refused, "nobody": nobody}},
		{"GET", "sharees?search=bert", "", map[string]int{"ada": ok, "bert": ok, "light": ok, "admin": ok, "visitor": refused, "nobody": nobody}},
		{"GET", "remote_shares", "", map[string]int{"ada": ok, "light": ok, "visitor": refused, "nobody": nobody}},
		{"GET", "tokeninfo/protected/{token}", "", map[string]int{"ada": ok, "light": ok, "visitor": refused, "nobody": nobody}},
		{"GET", "tokeninfo/unprotected/{token}", "", map[string]int{"ada": ok, "light": ok, "visitor": ok, "nobody": ok}},
	} {
		for who, want := range tt.want {
			w := gather(t, core.Options{AutoAccept: true}, opts)
			w.vars["bert's"] = w.share(t, "path=/docs&shareType=0&shareWith={bert}&permissions=15").ID
			w.vars["crew's"] = w.share(t, "path=/docs&shareType=1&shareWith={crew}&permissions=15").ID
			link := w.share(t, "path=/docs&shareType=3")
			w.vars["link"], w.vars["token"] = link.ID, link.Token
			path, query, _ := strings.Cut(w.expand(tt.path), "?")
			rec := w.send(who, tt.method, api+path+"?format=json&"+query, w.expand(tt.form))
			if rec.Code != want {
				t.Errorf("%s %s %s as %s: got %d, want %d: %s", tt.method, tt.path, tt.form, who, rec.Code, want, rec.Body)
			}
		}
	}
}

// All bits on all kinds of places: what is given is what was asked for,
// without what makes no sense there, or it is refused.
func TestPermissions(t *testing.T) {
	w := gather(t, core.Options{}, opts)
	links := map[int]bool{0: true, 1: true, 4: true, 5: true, 15: true}
	for bits := range 32 {
		for _, tt := range []struct {
			place, form string
			fits        int
			ok          bool
		}{
			{"folder", "path=/docs&shareType=0&shareWith={bert}", bits &^ 16, bits&^16 != 0},
			{"file", "path=/a.txt&shareType=0&shareWith={bert}", bits & 3, bits&1 != 0},
			{"space", "space_ref={project}&shareType=7&shareWith={bert}", bits &^ 16, bits&^16 != 0},
			{"link to a folder", "path=/docs&shareType=3", bits &^ 16, links[bits&^16] && bits != 16},
			{"link to a file", "path=/a.txt&shareType=3", bits & 3, bits == 0 || bits&1 != 0},
		} {
			a := read(t, w.send("ada", "POST", api+"shares?format=json", w.expand(tt.form)+"&permissions="+strconv.Itoa(bits)))
			if ok := a.OCS.Meta.StatusCode == 200; ok != tt.ok {
				t.Errorf("%d on a %s: got %+v, want %v", bits, tt.place, a.OCS.Meta, tt.ok)
				continue
			} else if !ok {
				continue
			}
			var e element
			if err := json.Unmarshal(a.OCS.Data, &e); err != nil {
				t.Fatal(err)
			}
			if want := tt.fits; e.Permissions != want {
				t.Errorf("%d on a %s: got %d, want %d", bits, tt.place, e.Permissions, want)
			}
			if rec := w.send("ada", "DELETE", api+"shares/"+e.ID, ""); rec.Code != 200 {
				t.Fatalf("DELETE: %d %s", rec.Code, rec.Body)
			}
		}
	}
}

// The old names of roles, and the bits that are those of a role, give that role.
func TestRoles(t *testing.T) {
	all := opts
	for _, r := range cloud.ShareRoles() {
		all.Roles = append(all.Roles, r.ID)
	}
	for _, tt := range []struct {
		form, role string
		opts       ocs.Options
	}{
		{"path=/docs&shareType=0&shareWith={bert}", "editor", opts},
		{"path=/docs&shareType=0&shareWith={bert}&permissions=15", "editor", opts},
		{"path=/docs&shareType=0&shareWith={bert}&permissions=7", "editor-lite", opts},
		{"path=/docs&shareType=0&shareWith={bert}&role=viewer", "viewer", opts},
		{"path=/docs&shareType=1&shareWith=The+crew&role=editor", "editor", opts},
		{"path=/docs&shareType=0&shareWith={bert}&role=denied", "denied", all},
		{"path=/docs&shareType=0&shareWith={bert}&role=editor-with-versions", "editor-with-versions", all},
		{"path=/docs&shareType=0&shareWith={bert}&permissions=1", "viewer", all},
		{"path=/a.txt&shareType=0&shareWith={bert}", "file-editor", opts},
		{"path=/a.txt&shareType=0&shareWith={bert}&role=editor", "file-editor", opts},
		{"path=/a.txt&shareType=0&shareWith={bert}&permissions=17", "viewer", opts},
		{"space={project}&shareType=7&shareWith={bert}&role=viewer", "spaceviewer", opts},
		{"space={project}&shareType=7&shareWith={bert}&role=editor", "spaceeditor", opts},
		{"space={project}&shareType=8&shareWith={crew}&role=manager", "manager", opts},
		{"space={project}&shareType=7&shareWith={bert}&permissions=31", "spaceeditor", opts},
	} {
		w := gather(t, core.Options{}, tt.opts)
		id := w.share(t, tt.form).ID
		g, n, err := w.core.Grant(w.as("ada"), cloud.ShareID(id))
		if err != nil {
			t.Fatal(err)
		}
		if r, _ := cloud.ShareRoleOf(g.Rights, n.Kind()); r.Name != tt.role {
			t.Errorf("%s: got the role %q, want %q", tt.form, r.Name, tt.role)
		}
	}
}

func TestExpireDate(t *testing.T) {
	w := gather(t, core.Options{}, opts)
	id := w.share(t, "path=/docs&shareType=3").ID
	for _, tt := range []struct{ in, shown, kept string }{
		{"2999-12-31", "2999-12-31 00:00:00", "2999-12-31T23:59:59Z"},
		{"2999-12-31 00:00:00", "2999-12-31 00:00:00", "2999-12-31T23:59:59Z"},
		{"2999-12-31 23:59:59", "2999-12-31 00:00:00", "2999-12-31T23:59:59Z"},
		{"2999-12-31 10:11:12", "2999-12-31 10:11:12", "2999-12-31T10:11:12Z"},
		{"2999-12-31T23:59:59+0000", "2999-12-31 00:00:00", "2999-12-31T23:59:59Z"},
		{"2999-12-31T00:00:00Z", "2999-12-31 00:00:00", "2999-12-31T00:00:00Z"},
		{"2999-12-31T01:00:00+02:00", "2999-12-30 23:00:00", "2999-12-30T23:00:00Z"},
		{"", "", "0001-01-01T00:00:00Z"},
	} {
		rec := w.send("ada", "PUT", api+"shares/"+id+"?format=json", "expireDate="+url.QueryEscape(tt.in))
		var e element
		if err := json.Unmarshal(read(t, rec).OCS.Data, &e); err != nil || e.Expiration != tt.shown {
			t.Errorf("%q: got %q, want %q (%v)", tt.in, e.Expiration, tt.shown, err)
		}
		g, _, err := w.core.Grant(w.as("ada"), cloud.ShareID(id))
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Expires.Format("2006-01-02T15:04:05Z07:00"); got != tt.kept {
			t.Errorf("%q: kept %s, want %s", tt.in, got, tt.kept)
		}
	}
}

// What clients are told of passwords of links is what holds.
func TestLinkPasswords(t *testing.T) {
	type enforced map[string]bool
	// The names that clients have for links by their permissions.
	kinds := map[string]int{"read_only": 1, "upload_only": 5, "read_write": 4, "read_write_delete": 15}
	for _, tt := range []struct {
		all, writable bool
		want          enforced
	}{
		{false, false, enforced{"read_only": false, "upload_only": false, "read_write": false, "read_write_delete": false}},
		{false, true, enforced{"read_only": false, "upload_only": true, "read_write": true, "read_write_delete": true}},
		{true, false, enforced{"read_only": true, "upload_only": true, "read_write": true, "read_write_delete": true}},
	} {
		opts := opts
		opts.LinkPassword, opts.WritableLinkPassword = tt.all, tt.writable
		w := gather(t, core.Options{LinkPassword: tt.all, WritableLinkPassword: tt.writable}, opts)
		var caps struct {
			Capabilities struct {
				Sharing struct {
					Public struct {
						Password struct {
							Enforced bool
							For      enforced `json:"enforced_for"`
						}
					}
				} `json:"files_sharing"`
			}
		}
		if err := json.Unmarshal(read(t, w.send("nobody", "GET", "/ocs/v1.php/cloud/capabilities?format=json", "")).OCS.Data, &caps); err != nil {
			t.Fatal(err)
		}
		got := caps.Capabilities.Sharing.Public.Password
		if diff := cmp.Diff(tt.want, got.For); diff != "" || got.Enforced != tt.all {
			t.Errorf("%+v: got %v, %v", tt, got.Enforced, diff)
		}
		share := func(as, place string, bits int) int {
			return w.send(as, "POST", api+"shares", w.expand(place)+"&shareType=3&permissions="+strconv.Itoa(bits)).Code
		}
		// bert manages a folder in the project, without ada's leave to do without a password.
		if _, _, err := w.core.Give(w.as("ada"), cloud.Ref{Space: w.project}, cloud.Grant{To: cloud.Subject{User: people[1].ID}, Rights: cloud.SpaceManager}, ""); err != nil {
			t.Fatal(err)
		}
		for kind, bits := range kinds {
			want := 200
			if tt.want[kind] {
				want = 400
			}
			if got := share("bert", "space={project}&path=minutes", bits); got != want {
				t.Errorf("%+v: a link for %s without password: got %d, want %d", tt, kind, got, want)
			}
		}
		if got := share("ada", "path=/docs", 1); got != 200 {
			t.Errorf("%+v: who may do without a password: got %d, want 200", tt, got)
		}
	}
}

// The capabilities tell of roles and of what happens to new shares.
func TestSharingCapabilities(t *testing.T) {
	denied, _ := cloud.ShareRoleBy("denied")
	some := opts
	some.Roles, some.AutoAccept, some.DefaultLink = []string{denied.ID}, true, 0
	for _, tt := range []struct {
		opts ocs.Options
		want map[string]any
	}{
		{opts, map[string]any{"deny_access": false, "auto_accept_share": false, "default_permissions": 1.}},
		{some, map[string]any{"deny_access": true, "auto_accept_share": true, "default_permissions": 0.}},
	} {
		w := gather(t, core.Options{}, tt.opts)
		var caps struct {
			Capabilities struct {
				Sharing map[string]any `json:"files_sharing"`
			}
		}
		if err := json.Unmarshal(read(t, w.send("nobody", "GET", "/ocs/v2.php/cloud/capabilities?format=json", "")).OCS.Data, &caps); err != nil {
			t.Fatal(err)
		}
		got := caps.Capabilities.Sharing
		got["default_permissions"] = got["public"].(map[string]any)["default_permissions"]
		for key, want := range tt.want {
			if got[key] != want {
				t.Errorf("%s: got %v, want %v", key, got[key], want)
			}
		}
		// A link of which nothing is said is what is announced.
		if e := w.share(t, "path=/docs&shareType=3"); float64(e.Permissions) != tt.want["default_permissions"] {
			t.Errorf("a new link: got %d, want %v", e.Permissions, tt.want["default_permissions"])
		}
	}
}

// What is in the Shares space can be named by path and by id; what somebody
// made on it for others shows beside what they received.
func TestReceivedTargets(t *testing.T) {
	w := gather(t, core.Options{AutoAccept: true}, opts)
	id := w.share(t, "path=/docs&shareType=0&shareWith={bert}&permissions=1").ID
	w.share(t, "path=/docs&shareType=1&shareWith={crew}&permissions=1")
	w.vars["jail"] = string(cloud.SharesSpace)
	w.vars["mount"] = string(cloud.MountID(w.home, cloud.NodeID(w.vars["docs"])))
	for _, query := range []string{"path=/Shares/docs", "path=Shares/docs/", "space_ref={jail}!{mount}", "space_ref={jail}&path=docs", "space_ref={home}!{docs}", "space_ref={jail}/docs"} {
		got := w.list(t, "bert", "shared_with_me=true&"+query)
		if len(got) != 1 || got[0].ID != id || got[0].Path != "/Shares/docs" {
			t.Errorf("%s: got %+v, want the share %s at /Shares/docs", query, got, id)
		}
		if got := w.list(t, "bert", "reshares=true&"+query); len(got) != 1 || got[0].ID != id || got[0].Path != "/docs" {
			t.Errorf("%s: got %+v, want only %s", query, got, id)
		}
	}
	if got := w.list(t, "bert", "shared_with_me=true&path=/Shares/docs/plan.txt"); len(got) != 0 {
		t.Errorf("in what is shared: got %+v, want nothing", got)
	}
	// A folder of one's own goes first.
	home, err := w.core.Home(w.as("bert"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"Shares", "Shares/docs"} {
		if _, err := w.core.MakeDir(w.as("bert"), cloud.Ref{Space: home.ID, Path: path}, cloud.Conditions{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.list(t, "bert", "shared_with_me=true&path=/Shares/docs"); len(got) != 0 {
		t.Errorf("a folder of one's own: got %+v, want nothing", got)
	}
}

// Whose account is gone is named by the id.
func TestGone(t *testing.T) {
	w := gather(t, core.Options{}, opts)
	w.share(t, "path=/docs&shareType=0&shareWith={bert}&permissions=1")
	w.share(t, "path=/docs&shareType=1&shareWith={crew}&permissions=1")
	if err := w.dir.RemoveUser(t.Context(), people[1].ID); err != nil {
		t.Fatal(err)
	}
	if err := w.dir.RemoveGroup(t.Context(), cloud.GroupID(w.vars["crew"])); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range w.list(t, "ada", "path=/docs&reshares=true") {
		got = append(got, e.With)
	}
	if want := []string{w.vars["bert"], w.vars["crew"]}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Pages of people are whole: nobody is missing and nobody is there twice.
func TestShareePages(t *testing.T) {
	w := gather(t, core.Options{}, opts)
	for i := range 57 {
		if _, err := w.dir.SetUser(t.Context(), &cloud.User{Name: "worker" + strconv.Itoa(i), Display: "Worker " + strconv.Itoa(i)}, "x"); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	for page := 1; page <= 7; page++ {
		var found struct {
			Users []struct{ Label string }
		}
		if err := json.Unmarshal(read(t, w.send("ada", "GET", fmt.Sprintf("%ssharees?format=json&search=worker&limit=10&page=%d", api, page), "")).OCS.Data, &found); err != nil {
			t.Fatal(err)
		}
		if want := max(0, min(10, 57-10*(page-1))); len(found.Users) != want {
			t.Errorf("page %d: got %d, want %d", page, len(found.Users), want)
		}
		for _, u := range found.Users {
			seen[u.Label]++
		}
	}
	if len(seen) != 57 {
		t.Errorf("got %d people, want 57", len(seen))
	}
}

// No form breaks anything, and what comes back is always an envelope.
func FuzzForm(f *testing.F) {
	for _, form := range []string{
		"path=/docs&shareType=0&shareWith={bert}&permissions=31", "path=/docs&shareType=3&name=%20&password=a&expireDate=2999-12-31&quicklink=1",
		"space_ref={home}!{docs}/plan.txt&shareType=1&shareWith=The+crew&role=editor", "permissions=4&publicUpload=true", "hidden=1", "space={project}&shareType=8&path=//",
	} {
		f.Add(form)
	}
	w := gather(f, core.Options{AutoAccept: true}, opts)
	w.vars["share"] = w.share(f, "path=/docs&shareType=0&shareWith={bert}").ID
	w.vars["link"] = w.share(f, "path=/docs&shareType=3").ID
	f.Fuzz(func(t *testing.T, form string) {
		form = w.expand(form)
		for _, c := range []struct{ as, method, path string }{
			{"ada", "POST", "shares"}, {"ada", "PUT", "shares/{link}"}, {"ada", "PUT", "shares/{share}"}, {"bert", "PUT", "shares/pending/{share}"},
		} {
			rec := w.send(c.as, c.method, api+w.expand(c.path)+"?format=json", form)
			a := read(t, rec)
			if m := a.OCS.Meta; rec.Code >= 500 && rec.Code != 501 || m.StatusCode != rec.Code || m.Message == "" {
				t.Errorf("%s %s: got %d %+v", c.method, c.path, rec.Code, m)
			}
			var e element
			if c.method == "POST" && rec.Code == 200 && json.Unmarshal(a.OCS.Data, &e) == nil {
				w.send(c.as, "DELETE", api+"shares/"+e.ID, "")
			}
		}
	})
}

// A thousand shares in a folder, each with another person.
func BenchmarkShares(b *testing.B) {
	w := gather(b, core.Options{}, opts)
	for i := range 1000 {
		u, err := w.dir.SetUser(b.Context(), &cloud.User{Name: "w" + strconv.Itoa(i), Display: "Worker " + strconv.Itoa(i)}, "x")
		if err != nil {
			b.Fatal(err)
		}
		w.share(b, "path=/docs&shareType=0&permissions=1&shareWith="+string(u.ID))
	}
	b.ReportAllocs()
	for b.Loop() {
		if rec := w.send("ada", "GET", api+"shares?format=json", ""); rec.Code != 200 {
			b.Fatal(rec.Body)
		}
	}
}
