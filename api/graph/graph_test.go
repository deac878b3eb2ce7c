package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"opencloud/api/httpx"
	"opencloud/cloud"
	"opencloud/core"
	dirmem "opencloud/directory/mem"
	"opencloud/storage/mem"
)

var (
	alan  = &cloud.User{ID: "11111111-1111-4111-8111-111111111111", Name: "alan", Display: "Alan Turing", Mail: "alan@example.org", Role: cloud.RoleSpaceAdmin}
	grace = &cloud.User{ID: "22222222-2222-4222-8222-222222222222", Name: "grace", Role: cloud.RoleUser}
	admin = &cloud.User{ID: "44444444-4444-4444-8444-444444444444", Name: "root", Display: "Admin", Mail: "root@example.org", Role: cloud.RoleAdmin}
	light = &cloud.User{ID: "33333333-3333-4333-8333-333333333333", Name: "light", Role: cloud.RoleUserLight}
)

type world struct {
	t      *testing.T
	store  *mem.Store
	core   *core.Core
	dir    *dirmem.Directory
	h      http.Handler
	people *core.People
	user   *cloud.User

	visitor *cloud.Visitor
	opts    core.PeopleOptions
	rules   core.Options
	graph   Options
}

func start(t *testing.T) *world {
	w := &world{t: t, store: mem.New(), user: alan, opts: core.PeopleOptions{MinSearch: 3, Password: core.PasswordOptions{Min: 8}}, graph: Options{MaxBind: 3, Product: "Test"}}
	w.store.Capacity = 1 << 30
	w.dir = dirmem.New(alan, grace, light, admin)
	w.serve()
	return w
}

// serve has rules that know nothing from before.
func (w *world) serve() {
	w.t.Helper()
	w.core = core.New(w.store, w.rules)
	people, err := core.NewPeople(w.core, w.dir, w.dir, w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { people.Close() })
	w.people = people
	opts := w.graph
	opts.Changes = w.core
	w.h = New(w.core, w.core, people, opts)
}

func (w *world) ctx() context.Context {
	return cloud.WithCaller(context.Background(), cloud.Caller{User: w.user, Visitor: w.visitor})
}

// do sends a request, checks the status and the form of failures, and
// decodes the answer into v. Headers come in pairs.
func (w *world) do(status int, method, path, body string, v any, headers ...string) *http.Response {
	w.t.Helper()
	site := &httpx.Site{URL: &url.URL{Scheme: "https", Host: "cloud.example.org", Path: "/base"}}
	ctx := httpx.With(w.ctx(), &httpx.Request{ID: "req-1", Log: slog.New(slog.DiscardHandler), Site: site})
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	got := rec.Body.String()
	if rec.Code != status {
		w.t.Fatalf("%s %s: got %d, want %d: %s", method, path, rec.Code, status, got)
	}
	checked(w.t, method, path, rec.Code, rec.Header(), rec.Body.Bytes())
	if status >= 400 {
		var e httpx.ODataError
		if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil || e.Error.Code == "" || e.Error.Message == "" || e.Error.InnerError.RequestID != "req-1" {
			w.t.Errorf("%s %s: got error body %s, want an OData error", method, path, got)
		}
	}
	if v != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), v); err != nil {
			w.t.Fatalf("%s %s: got %s: %v", method, path, got, err)
		}
	}
	return rec.Result()
}

func (w *world) home() *cloud.Space {
	w.t.Helper()
	s, err := w.core.Home(w.ctx())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) put(s cloud.SpaceID, path, body string) {
	w.t.Helper()
	if _, _, err := w.core.Put(w.ctx(), cloud.Ref{Space: s, Path: path}, strings.NewReader(body), cloud.Put{Size: int64(len(body))}); err != nil {
		w.t.Fatal(err)
	}
}

// names lists drives and returns what they are called.
func (w *world) names(query string) string {
	w.t.Helper()
	var got collection[drive]
	w.do(200, "GET", "/graph/v1beta1/me/drives?"+query, "", &got)
	var names []string
	for _, d := range got.Value {
		names = append(names, d.Name)
	}
	return strings.Join(names, ",")
}

func (w *world) project(name string) drive {
	w.t.Helper()
	var d drive
	w.do(201, "POST", "/graph/v1.0/drives?template=default", `{"name":"`+name+`"}`, &d)
	return d
}

func TestHome(t *testing.T) {
	w := start(t)
	home := w.home()
	w.put(home.ID, "a.txt", "0123456789")
	home = w.home()
	var got any
	w.do(200, "GET", "/graph/v1.0/me/drive", "", &got)
	id := string(home.ID)
	modified, _ := home.Root.MTime.UTC().MarshalText()
	want := any(map[string]any{
		"id": id, "driveType": "personal", "driveAlias": "personal/alan", "name": "Alan Turing", "description": "",
		"lastModifiedDateTime": string(modified),
		"owner":                map[string]any{"user": map[string]any{"id": string(alan.ID), "displayName": "Alan Turing"}},
		"quota":                map[string]any{"total": 0., "used": 10., "remaining": float64(home.Free), "state": "normal"},
		"root": map[string]any{
			"id": id, "eTag": `"` + home.Root.ETag + `"`,
			"webDavUrl": "https://cloud.example.org/base/dav/spaces/" + id,
		},
		"webUrl": "https://cloud.example.org/base/f/" + id,
	})
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("drive (-want +got):\n%s", diff)
	}
	for _, path := range []string{id, url.PathEscape(id), strings.ReplaceAll(id, "$", "%24"), cloud.ItemID(home.ID, home.ID.Root())} {
		var d drive
		w.do(200, "GET", "/graph/v1.0/drives/"+path, "", &d)
		if d.ID != id {
			t.Errorf("%s: got %q, want %q", path, d.ID, id)
		}
	}
	head := w.do(200, "HEAD", "/graph/v1.0/me/drive", "", nil)
	if body, _ := io.ReadAll(head.Body); len(body) > 0 || head.ContentLength < 100 {
		t.Errorf("HEAD: got %q and length %d, want no body and the length of GET", body, head.ContentLength)
	}
	w.user = light
	w.do(403, "GET", "/graph/v1.0/me/drive", "", nil)
	if got := w.names(""); got != "Shares" {
		t.Errorf("who has no home: got %q, want only what others share", got)
	}
}

// Another's personal space that one may look into has its owner's name.
func TestOwner(t *testing.T) {
	w := start(t)
	home := w.home()
	_, err := w.store.Edit(w.ctx(), home.ID, home.ID.Root(), func(n *cloud.Node) error {
		n.Grants = append(slices.Clone(n.Grants), cloud.Grant{To: cloud.Subject{User: grace.ID}, Rights: cloud.SpaceViewer})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.serve()
	w.user = grace
	var d drive
	w.do(200, "GET", "/graph/v1.0/drives/"+string(home.ID), "", &d)
	if want := (&identitySet{User: &identity{ID: string(alan.ID), DisplayName: "Alan Turing"}}); !gocmp.Equal(d.Owner, want) {
		t.Errorf("got %+v, want %+v", d.Owner, want)
	}
}

func TestListing(t *testing.T) {
	w := start(t)
	for _, name := range []string{"b", "C", "a"} {
		w.project(name)
	}
	for query, want := range map[string]string{
		"$orderby=name": "a,Alan Turing,b,C,Shares",
		"$orderby=name+asc&$filter=driveType+eq+project":                  "a,b,C",
		"$orderby=name%20desc&$filter=driveType+eq+'project'":             "C,b,a",
		"$filter=driveType%20eq%20personal":                               "Alan Turing",
		"$filter=":                                                        "Alan Turing,b,C,a,Shares",
		"$filter=driveType+eq+virtual":                                    "Shares",
		"$filter=driveType+eq+'mountpoint'":                               "",
		"$filter=driveType+eq+mountpoint+or+name+eq+'C'":                  "C",
		"$filter=not+(driveType+eq+personal)+and+name+ne+C&$orderby=name": "a,b,Shares",
		"$filter=id+eq+'" + string(w.home().ID) + "'":                     "Alan Turing",
		"$filter=id+eq+" + string(w.home().ID):                            "Alan Turing",
		"$expand=root($expand=permissions)&$filter=name+eq+b":             "b",
		"unknown=1&$filter=name+eq+b":                                     "b",
		"$orderby=name&$top=2&$skip=1":                                    "Alan Turing,b",
	} {
		got := w.names(query)
		if query == "$filter=" {
			// No order was asked for.
			a, b := strings.Split(got, ","), strings.Split(want, ",")
			slices.Sort(a)
			slices.Sort(b)
			got, want = strings.Join(a, ","), strings.Join(b, ",")
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{
		"$filter=driveType", "$filter=owner+eq+me", "$orderby=size", "$orderby=name+up", "$top=x", "$search=x", "$filter=&$filter=", "$orderby=name,name,name,name,name,name",
		"$expand=children", "$filter=%zz", "$filter=driveType+eq+personal;x",
	} {
		w.do(400, "GET", "/graph/v1.0/drives?"+query, "", nil)
	}
	home := w.home()
	w.put(home.ID, "later", "x")
	if got := w.names("$orderby=lastModifiedDateTime+desc"); !strings.HasPrefix(got, "Alan Turing,") {
		t.Errorf("got %q, want the drive changed last to come first", got)
	}
}

func TestHasTrashedItems(t *testing.T) {
	w := start(t)
	home := w.home()
	ask := func() any {
		t.Helper()
		var got collection[map[string]any]
		w.do(200, "GET", "/graph/v1beta1/me/drives?$select=@libre.graph.hasTrashedItems,id", "", &got)
		return got.Value[0][hasTrashedItems]
	}
	if got := ask(); got != false {
		t.Errorf("an empty bin: got %v, want false", got)
	}
	w.put(home.ID, "a", "x")
	if err := w.core.Remove(w.ctx(), cloud.Ref{Space: home.ID, Path: "a"}, cloud.Conditions{}); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != true {
		t.Errorf("a bin with an entry: got %v, want true", got)
	}
	var d map[string]any
	w.do(200, "GET", "/graph/v1.0/drives/"+string(home.ID), "", &d)
	if got, ok := d[hasTrashedItems]; ok {
		t.Errorf("not asked for: got %v, want nothing", got)
	}
}

func TestSpaceLife(t *testing.T) {
	w := start(t)
	var d drive
	w.do(201, "POST", "/graph/v1.0/drives", `{"name":"Mars","description":"Team","quota":{"total":1000},"driveType":"project"}`, &d)
	path := "/graph/v1.0/drives/" + d.ID
	if d.Name != "Mars" || d.Description != "Team" || d.Type != "project" || d.Alias != "project/mars" || d.Owner != nil ||
		d.Quota != (quota{1000, 0, 1000, "normal"}) {
		t.Errorf("got %+v", d)
	}
	w.do(200, "PATCH", path, `{"name":"Venus","unknown":1}`, &d)
	w.do(200, "PATCH", path, `{"description":""}`, &d)
	w.do(200, "PATCH", path, `{"quota":{"total":100},"driveAlias":"project/venus"}`, &d)
	if d.Name != "Venus" || d.Description != "" || d.Alias != "project/venus" || d.Quota.Total != 100 {
		t.Errorf("got %+v", d)
	}
	for used, want := range map[int]string{10: "normal", 80: "nearing", 95: "critical", 100: "exceeded"} {
		w.put(cloud.SpaceID(d.ID), "f", strings.Repeat("x", used))
		w.do(200, "GET", path, "", &d)
		if got := d.Quota; got != (quota{100, int64(used), int64(100 - used), want}) {
			t.Errorf("%d of 100 bytes used: got %+v, want %s", used, got, want)
		}
		if err := w.core.Remove(w.ctx(), cloud.Ref{Space: cloud.SpaceID(d.ID), Path: "f"}, cloud.Conditions{}); err != nil {
			t.Fatal(err)
		}
	}

	w.do(400, "DELETE", path, "", nil, "Purge", "T")
	w.do(204, "DELETE", path, "", nil)
	w.do(200, "GET", path, "", &d)
	if d.Root.Deleted == nil || d.Root.Deleted.State != "trashed" {
		t.Errorf("a disabled space: got %+v", d.Root)
	}
	d = drive{}
	w.do(200, "PATCH", path, "", &d, "Restore", "true")
	if d.Root.Deleted != nil || d.Name != "Venus" {
		t.Errorf("a restored space: got %+v", d)
	}
	w.do(204, "DELETE", path, "", nil)
	w.do(204, "DELETE", path, "", nil, "Purge", "T")
	w.do(404, "GET", path, "", nil)
	w.do(404, "DELETE", path, "", nil)
}

func TestRefusals(t *testing.T) {
	w := start(t)
	d := w.project("p")
	path := "/graph/v1.0/drives/" + d.ID
	w.do(400, "POST", "/graph/v1.0/drives", ``, nil)
	w.do(400, "POST", "/graph/v1.0/drives", `{"name":""}`, nil)
	w.do(400, "POST", "/graph/v1.0/drives", `{"name":"x"`, nil)
	w.do(400, "POST", "/graph/v1.0/drives", `{"name":"x"} {}`, nil)
	w.do(400, "POST", "/graph/v1.0/drives", `{"name":1}`, nil)
	w.do(400, "POST", "/graph/v1.0/drives", `{"name":"x","driveType":"personal"}`, nil)
	w.do(400, "POST", "/graph/v1.0/drives", `{"name":"x","quota":{"total":-1}}`, nil)
	w.do(400, "POST", "/graph/v1.0/drives", `{"name":"x"}`, nil, "Content-Type", "text/plain")
	w.do(413, "POST", "/graph/v1.0/drives", `{"name":"`+strings.Repeat("x", maxBody)+`"}`, nil)
	w.do(400, "PATCH", path, `{"special":[{"id":"x"}]}`, nil)
	allow := w.do(405, "PUT", path, "", nil).Header.Get("Allow")
	if want := "GET, PATCH, DELETE"; allow != want {
		t.Errorf("got Allow %q, want %q", allow, want)
	}
	for _, p := range []string{
		"/graph/v1.0/", "/graph/v1.0/nope", "/graph/v2.0/me", "/graph/v1.0/drives/nope", "/graph/v1.0/drives//", "/graph/v1.0//me",
		"/graph/v1.0/drives/a$b", "/graph/v1.0/drives/" + d.ID + "!other", "/graph/v1.0/me/photo/$value", "/graph/v1.0/users/x/photo/%24value",
	} {
		w.do(404, "GET", p, "", nil)
	}
	w.user = grace
	w.do(403, "POST", "/graph/v1.0/drives", `{"name":"x"}`, nil)
	w.do(404, "GET", path, "", nil)
	w.do(404, "PATCH", path, `{"name":"mine"}`, nil)
	w.do(404, "DELETE", path, "", nil)
}

func BenchmarkMyDrives(b *testing.B) { benchmarkDrives(b, "/graph/v1.0/me/drives", alan, 9) }

func BenchmarkAllDrives(b *testing.B) { benchmarkDrives(b, "/graph/v1.0/drives", admin, 1000) }

// benchmarkDrives lists some projects of alan's.
func benchmarkDrives(b *testing.B, path string, by *cloud.User, projects int) {
	c := core.New(mem.New(), core.Options{})
	h := New(c, c, nil, Options{})
	for i := range projects {
		if _, err := c.SetSpace(cloud.WithCaller(b.Context(), cloud.Caller{User: alan}), &cloud.Space{Name: fmt.Sprint("space ", i)}); err != nil {
			b.Fatal(err)
		}
	}
	r := httptest.NewRequestWithContext(cloud.WithCaller(b.Context(), cloud.Caller{User: by}), "GET", path, nil)
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != 200 {
			b.Fatal(rec.Code)
		}
	}
}
