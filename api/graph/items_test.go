package graph

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"opencloud/cloud"
	"opencloud/core"
	dirmem "opencloud/directory/mem"
	"opencloud/storage/mem"
)

func TestItems(t *testing.T) {
	p := gather(t)
	file := p.call(200, "GET", p.at("docs/plan.txt"), "")
	p.same("a file", p.without(file, "eTag", "lastModifiedDateTime"), object{
		"id": p.ids["docs/plan.txt"], "name": "plan.txt", "size": 10.,
		"file":      object{"mimeType": "text/plain", "hashes": object{"sha1Hash": "87acec17cd9dcd20a716cc2cf67417b71c8a7016"}},
		"webDavUrl": "https://cloud.example.org/base/dav/spaces/" + p.ids["docs/plan.txt"], "webUrl": "https://cloud.example.org/base/f/" + p.ids["docs/plan.txt"],
		"parentReference": object{"driveId": p.home, "id": p.ids["docs"], "name": "docs", "path": "/docs"},
	})
	root := p.call(200, "GET", "drives/"+p.home+"/root", "")
	p.same("a root", p.without(root, "eTag", "lastModifiedDateTime"), object{
		"id": p.home, "size": 20., "folder": object{}, "root": object{},
		"webDavUrl": "https://cloud.example.org/base/dav/spaces/" + p.home, "webUrl": "https://cloud.example.org/base/f/" + p.home,
	})
	p.same("one's own root", p.call(200, "GET", "me/drive/root", ""), root)
	p.same("as an item", p.call(200, "GET", "drives/"+p.home+"/items/"+p.home, ""), root)
	p.same("as a drive of its own", p.call(200, "GET", "drives/"+p.ids["docs/plan.txt"]+"/root", ""), file)
	p.same("in a drive of its own", p.call(200, "GET", "drives/"+p.ids["docs"]+"/items/"+p.ids["docs/plan.txt"], ""), file)
	p.same("by a path", p.call(200, "GET", "drives/"+p.home+"/root:/docs/plan.txt", ""), file)
	p.same("by a path with a colon behind", p.call(200, "GET", "drives/"+p.home+"/root:/docs/plan.txt:", ""), file)
	p.same("by a path from an item", p.call(200, "GET", p.at("docs")+":/plan.txt", ""), file)

	names := func(path string) string {
		t.Helper()
		return strings.Join(pick(values(p.call(200, "GET", path, "")), "name"), ",")
	}
	for path, want := range map[string]string{
		"drives/" + p.home + "/root/children?$orderby=name":             "docs,letter.txt",
		"me/drive/root/children?$orderby=name%20desc":                   "letter.txt,docs",
		p.at("docs") + "/children?$orderby=name":                        "plan.txt,sub",
		"drives/" + p.home + "/root:/docs:/children?$orderby=name":      "plan.txt,sub",
		p.at("docs") + ":/sub:/children":                                "",
		p.at("docs") + "/children?$filter=name%20eq%20'sub'":            "sub",
		p.at("docs") + "/children?$orderby=lastModifiedDateTime&$top=1": "sub",
		"me/drive/root/children?$orderby=name&$top=1&$skip=1":           "letter.txt",
	} {
		if got := names(path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	for _, path := range []string{
		p.at("docs") + "x", "drives/" + p.project + "/items/" + p.ids["docs"], "drives/x/root", "drives/" + p.home + "/items/x",
		"drives/" + p.home + "/root:/none", p.at("docs") + ":/none:/children", "me/drive:/docs", "drives:/docs:/" + p.home, "drives/" + p.home + "/root:/docs:/permissions",
	} {
		p.call(404, "GET", path, "")
	}
	for _, path := range []string{
		"drives/" + p.home + "/root:/../docs", "drives/" + p.home + "/root:/docs%2F..%2F..", "drives/" + p.home + "/root:/a%00b",
		p.at("docs") + "?$select=secret", p.at("docs") + "?$expand=children", p.at("docs") + "?$filter=name", p.at("docs") + "/children?$orderby=size", p.at("letter.txt") + "/children",
	} {
		p.call(400, "GET", path, "")
	}
	// What costs something is there when it is asked for.
	p.share("docs", viewer, "grace")
	got := p.call(200, "GET", p.at("docs")+"?$select=name,"+allowedActions+"&$expand=permissions", "")
	if n := len(got[allowedActions].([]any)); n != 19 || len(got["permissions"].([]any)) != 1 {
		t.Errorf("got %v, want all 19 actions and a permission", got)
	}
	p.as("grace")
	got = p.call(200, "GET", p.at("docs")+"?$select="+allowedActions, "")
	p.same("of who may only look", len(got[allowedActions].([]any)), 6)
	if got["parentReference"].(object)["id"] != nil || dig(got, "parentReference", "path") != nil {
		t.Errorf("what is above is not theirs to know: got %v", got)
	}
	p.call(404, "GET", "drives/"+p.home+"/root", "")
	p.call(404, "GET", p.at("letter.txt"), "")
	p.as("light").call(403, "GET", "me/drive/root", "")
	p.call(403, "GET", "me/drive/root/children", "")
}

func TestChangingItems(t *testing.T) {
	p := gather(t)
	into := p.at("docs") + "/children"
	for _, tt := range []struct {
		status           int
		path, body, name string // of what comes back
	}{
		{200, into, `{"name":"folder","folder":{}}`, "folder"},
		{200, into, `{"name":"file.txt","file":{}}`, "file.txt"},
		{409, into, `{"name":"folder","folder":{}}`, ""},
		{409, into, `{"name":"file.txt","file":{}}`, ""},
		{409, into, `{"name":"plan.txt","folder":{}}`, ""},
		{200, into + "?@libre.graph.conflictBehavior=replace", `{"name":"file.txt","file":{}}`, "file.txt"},
		{200, into + "?@libre.graph.conflictBehavior=replace", `{"name":"folder","folder":{}}`, "folder"},
		{200, into + "?@libre.graph.conflictBehavior=replace", `{"name":"folder","file":{}}`, "folder"},
		{200, into + "?@libre.graph.conflictBehavior=fail", `{"name":"other","folder":{}}`, "other"},
		{400, into + "?@libre.graph.conflictBehavior=rename", `{"name":"other","folder":{}}`, ""},
		{200, "drives/" + p.home + "/root/children", `{"name":"top","folder":{}}`, "top"},
		{200, "drives/" + p.home + "/root:/docs/sub:/children", `{"name":"deep","folder":{}}`, "deep"},
		{404, "drives/" + p.home + "/root:/a/b:/children", `{"name":"c","folder":{}}`, ""},
		{200, "drives/" + p.home + "/root:/a/b:/children?@libre.graph.missingParentsBehavior=create", `{"name":"c","folder":{}}`, "c"},
		{200, "drives/" + p.home + "/root:/a/b:/children?@libre.graph.missingParentsBehavior=create", `{"name":"d","file":{}}`, "d"},
		{400, into, `{"name":"x"}`, ""},
		{400, into, `{"name":"x","file":{},"folder":{}}`, ""},
		{400, into, `{"name":"","folder":{}}`, ""},
		{400, into, `{"name":"a/b","folder":{}}`, ""},
		{400, into, `{"name":"..","folder":{}}`, ""},
		{400, into, `{"name":"x","folder":{},"content":"eA=="}`, ""},
		{404, p.at("letter.txt") + "/children", `{"name":"x","folder":{}}`, ""},
	} {
		got := p.call(tt.status, "POST", tt.path, tt.body)
		if tt.name != "" && got["name"] != tt.name {
			t.Errorf("%s %s: got %v", tt.path, tt.body, got)
		}
	}
	p.same("where it is", dig(p.call(200, "GET", "drives/"+p.home+"/root:/a/b/c", ""), "parentReference", "path"), any("/a/b"))

	at := p.at("docs/plan.txt")
	p.same("renamed", p.call(200, "PATCH", at, `{"name":"plan B.txt"}`)["name"], "plan B.txt")
	got := p.call(200, "PATCH", at, `{"parentReference":{"id":"`+p.ids["docs/sub"]+`"}}`)
	p.same("moved", []any{got["name"], dig(got, "parentReference", "path")}, []any{"plan B.txt", "/docs/sub"})
	got = p.call(200, "PATCH", at, `{"name":"plan.txt","parentReference":{"id":"`+p.home+`"}}`)
	p.same("moved and renamed", []any{got["name"], dig(got, "parentReference", "path")}, []any{"plan.txt", "/"})
	p.call(200, "PATCH", at, `{}`)
	p.call(409, "PATCH", at, `{"name":"letter.txt"}`)
	p.call(409, "PATCH", p.at("docs"), `{"parentReference":{"id":"`+p.ids["docs/sub"]+`"}}`)
	p.call(400, "PATCH", at, `{"name":"a/b"}`)
	p.call(400, "PATCH", at, `{"parentReference":{"id":"x"}}`)
	p.call(400, "PATCH", at, `{"@UI.Hidden":true}`)
	p.call(400, "PATCH", at, `{"description":"x"}`)
	p.call(412, "PATCH", at, `{"name":"x"}`, "If-Match", `"old"`)
	p.call(412, "DELETE", at, "", "If-Match", `"old"`)
	p.call(204, "DELETE", at, "", "If-Match", fmt.Sprint(p.call(200, "GET", at, "")["eTag"]))
	p.call(404, "DELETE", at, "")
	p.call(204, "DELETE", p.at("docs")+":/other", "")
	p.call(403, "DELETE", "drives/"+p.home+"/items/"+p.home, "")
	bin := 0
	for _, err := range p.core.Trash(p.ctx(), cloud.Ref{Space: cloud.SpaceID(p.home)}) {
		if err != nil {
			t.Fatal(err)
		}
		bin++
	}
	if bin != 4 {
		t.Errorf("got %d in the trash, want two replaced folders and what was deleted", bin)
	}
	p.share("docs", viewer, "grace")
	p.as("grace")
	p.call(403, "POST", into, `{"name":"mine","folder":{}}`)
	p.call(403, "PATCH", p.at("docs"), `{"name":"mine"}`)
	p.call(403, "DELETE", p.at("docs/sub"), "")
}

func TestContent(t *testing.T) {
	p := gather(t)
	path := p.at("docs/plan.txt")
	answer := p.do(302, "GET", "/graph/v1beta1/"+path+"/content", "", nil)
	p.same("with credentials", answer.Header.Get("Location"), "https://cloud.example.org/base/dav/spaces/"+p.ids["docs/plan.txt"])
	if got := p.call(200, "GET", path+"?$select="+downloadURL, ""); got[downloadURL] != nil {
		t.Errorf("without a key to sign with: got %v", got)
	}
	p.graph.Links = func(ctx context.Context) (func(string) string, error) {
		return func(path string) string { return "sign=" + url.QueryEscape(cloud.CallerFrom(ctx).User.Name+path) }, nil
	}
	p.serve()
	want := "https://cloud.example.org/base/dav/spaces/" + p.ids["docs/plan.txt"] + "?sign=" + url.QueryEscape("alan/dav/spaces/"+p.ids["docs/plan.txt"])
	answer = p.do(302, "GET", "/graph/v1beta1/"+path+"/content", "", nil)
	p.same("address", answer.Header.Get("Location"), want)
	p.same("may not be kept", answer.Header.Get("Cache-Control"), "no-store")
	p.same("address in an item", p.call(200, "GET", path+"?$select="+downloadURL, "")[downloadURL], any(want))
	for _, item := range values(p.call(200, "GET", p.at("docs")+"/children?$select="+downloadURL, "")) {
		if has := item[downloadURL] != nil; has != (item["file"] != nil) {
			t.Errorf("got %v", item)
		}
	}
	p.call(302, "GET", "drives/"+p.home+"/root:/docs/plan.txt:/content", "")
	p.call(404, "GET", p.at("docs")+"/content", "")
	p.call(404, "GET", p.at("docs")+"x/content", "")
	// Who may look without a copy gets no address.
	p.graph.Roles = []string{roleID("secure-viewer")}
	p.serve()
	p.share("docs/plan.txt", roleID("secure-viewer"), "grace")
	p.as("grace").call(403, "GET", path+"/content", "")
	if got := p.call(200, "GET", path+"?$select="+downloadURL, ""); got[downloadURL] != nil {
		t.Errorf("who may not read: got %v", got)
	}
}

// Nothing that somebody sends as a path makes the router panic, reach up, or
// take a name for a segment.
func FuzzSplit(f *testing.F) {
	for _, path := range []string{
		"/graph/v1.0/drives/a$b/root:/x/y:/children", "/graph/v1beta1/drives/a%24b/items/a$b!c:/x", "/graph/v1.0/drives/a/root:/:/children", "/graph/v1.0/::/:/", "/graph/v1.0/%zz",
		"/graph/v1.0/drives/a/root:/../..:/children", "/graph/v1.0/drives/a/items/a$b!c:d:e/children",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		segments, within, err := split(path)
		if err != nil {
			return
		}
		if clean, err := cloud.CleanPath(within.path); err != nil || clean != within.path {
			t.Errorf("%q: got the path %q", path, within.path)
		}
		if within.at < 0 || within.at > len(segments) || within.at == 0 && within.path != "" {
			t.Errorf("%q: got %+v of %q", path, within, segments)
		}
		for _, rt := range table() {
			rt.segments = strings.Split(rt.path, "/")
			if args, ok := rt.match(segments, within); ok && within.path != "" && !slices.Contains(args, within.path) {
				t.Errorf("%q: %s leaves out the path %q", path, rt.path, within.path)
			}
		}
	})
}

func BenchmarkSharedWithMe(b *testing.B) {
	benchmarkReceived(b, "/graph/v1beta1/me/drive/sharedWithMe")
}

func BenchmarkMyDrivesWithShares(b *testing.B) {
	benchmarkReceived(b, "/graph/v1beta1/me/drives?$filter=driveType+eq+project")
}

// benchmarkReceived asks as somebody with whom much is shared.
func benchmarkReceived(b *testing.B, path string) {
	const shares = 100
	c := core.New(mem.New(), core.Options{AutoAccept: true})
	dir := dirmem.New(alan, grace)
	people, err := core.NewPeople(c, dir, dir, core.PeopleOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer people.Close()
	ctx := cloud.WithCaller(b.Context(), cloud.Caller{User: alan})
	home, err := c.Home(ctx)
	if err != nil {
		b.Fatal(err)
	}
	role, _ := cloud.ShareRoleBy(viewer)
	for i := range shares {
		n, err := c.MakeDir(ctx, cloud.Ref{Space: home.ID, Path: fmt.Sprint("folder ", i)}, cloud.Conditions{})
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.Give(ctx, cloud.Ref{Space: n.Space, Node: n.ID}, cloud.Grant{To: cloud.Subject{User: grace.ID}, Rights: role.Rights}, ""); err != nil {
			b.Fatal(err)
		}
	}
	h := New(c, c, people, Options{})
	r := httptest.NewRequestWithContext(cloud.WithCaller(b.Context(), cloud.Caller{User: grace}), "GET", path, nil)
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != 200 {
			b.Fatal(rec.Code, rec.Body)
		}
	}
}
