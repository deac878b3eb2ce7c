package httpx_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"opencloud/api/httpx"
	"opencloud/cloud"
	"opencloud/core"
	"opencloud/storage/mem"
)

const (
	space = "11111111-1111-4111-8111-111111111111$22222222-2222-4222-8222-222222222222"
	item  = "33333333-3333-4333-8333-333333333333"
)

var ada = &cloud.User{ID: "a1111111-0000-4000-8000-000000000001", Name: "Ada", Role: cloud.RoleUser}

// place is a request of ada's under a base path, and her home.
func place(t testing.TB, base string) (*http.Request, cloud.Files, cloud.SpaceID) {
	t.Helper()
	files := core.New(mem.New(), core.Options{})
	ctx := cloud.WithCaller(context.Background(), cloud.Caller{User: ada})
	home, err := files.Home(ctx)
	if err != nil {
		t.Fatal(err)
	}
	site := &httpx.Site{URL: &url.URL{Scheme: "https", Host: "cloud.example", Path: base}}
	ctx = httpx.With(ctx, &httpx.Request{Site: site})
	return httptest.NewRequest("GET", "https://inner.example/", nil).WithContext(ctx), files, home.ID
}

func at(t testing.TB, r *http.Request, path string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(path)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = u
	return r
}

func TestLocate(t *testing.T) {
	r, files, home := place(t, "/base")
	for _, c := range []struct {
		path string
		want httpx.Target
	}{
		{"/dav/spaces/" + space, httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: space}, Prefix: "/base/dav/spaces/" + space}},
		{"/dav/spaces/" + space + "/", httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: space}, Prefix: "/base/dav/spaces/" + space}},
		{"/remote.php/dav/spaces/" + strings.ReplaceAll(space, "$", "%24") + "/a%20b/c", httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: space, Path: "a b/c"}, Prefix: "/base/remote.php/dav/spaces/" + strings.ReplaceAll(space, "$", "%24")}},
		{"/dav/spaces/" + space + "%21" + item + "/a", httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: space, Node: item, Path: "a"}, Prefix: "/base/dav/spaces/" + space + "%21" + item}},
		{"//dav//spaces/" + space + "//a//b/", httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: space, Path: "a/b"}, Prefix: "/base/dav/spaces/" + space}},
		{"/dav/files/ada/a", httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: home, Path: "a"}, Prefix: "/base/dav/files/ada"}},
		{"/dav/files/" + string(ada.ID), httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: home}, Prefix: "/base/dav/files/" + string(ada.ID)}},
		{"/dav/files/spaces/" + space + "/a", httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: space, Path: "a"}, Prefix: "/base/dav/files/spaces/" + space}},
		{"/webdav/a", httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: home, Path: "a"}, Prefix: "/base/webdav"}},
		{"/remote.php/webdav", httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: home}, Prefix: "/base/remote.php/webdav"}},
		{"/dav/spaces/trash-bin/" + space, httpx.Target{Kind: httpx.Bin, Ref: cloud.Ref{Space: space}, Prefix: "/base/dav/spaces/trash-bin/" + space}},
		{"/dav/spaces/trash-bin/" + space + "/" + item + "/a/b", httpx.Target{Kind: httpx.Bin, Ref: cloud.Ref{Space: space, Node: item, Path: "a/b"}, Prefix: "/base/dav/spaces/trash-bin/" + space + "/" + item}},
		{"/remote.php/dav/trash-bin/ada/" + item, httpx.Target{Kind: httpx.Bin, Ref: cloud.Ref{Space: home, Node: item}, Prefix: "/base/remote.php/dav/trash-bin/ada/" + item}},
		{"/dav/meta/" + space + "!" + item, httpx.Target{Kind: httpx.Meta, Ref: cloud.Ref{Space: space, Node: item}, Prefix: "/base/dav/meta/" + space + "!" + item}},
		{"/dav/meta/" + space + "!" + item + "/v", httpx.Target{Kind: httpx.Versions, Ref: cloud.Ref{Space: space, Node: item}, Prefix: "/base/dav/meta/" + space + "!" + item + "/v"}},
		{"/dav/meta/" + space + "!" + item + "/v/7", httpx.Target{Kind: httpx.Versions, Ref: cloud.Ref{Space: space, Node: item}, Version: "7", Prefix: "/base/dav/meta/" + space + "!" + item + "/v"}},
		{"/dav/spaces/", httpx.Target{Kind: httpx.Nowhere, Prefix: "/base/dav/spaces"}},
		{"/remote.php/dav/files", httpx.Target{Kind: httpx.Nowhere, Prefix: "/base/remote.php/dav/files"}},
		{"/dav", httpx.Target{Kind: httpx.Nowhere, Prefix: "/base/dav"}},
		{"/dav/meta", httpx.Target{Kind: httpx.Nowhere, Prefix: "/base/dav/meta"}},
	} {
		got, err := httpx.Locate(at(t, r, c.path), files)
		if err != nil || got != c.want {
			t.Errorf("Locate(%s) = %+v, %v; want %+v", c.path, got, err, c.want)
		}
	}
}

func TestLocateRefuses(t *testing.T) {
	r, files, _ := place(t, "")
	for _, c := range []struct {
		path string
		want cloud.Kind
	}{
		{"/", cloud.NotExist},
		{"/remote.php/", cloud.NotExist},
		{"/dav/else", cloud.NotExist},
		{"/dav/files/kurt/a", cloud.NotExist},
		{"/dav/spaces/x", cloud.Invalid},
		{"/dav/spaces/a$b!..", cloud.Invalid},
		{"/dav/spaces/" + space + "/..%2fa", cloud.Invalid},
		{"/dav/spaces/" + space + "/../a", cloud.Invalid},
		{"/dav/spaces/" + space + "/%2e%2e/a", cloud.Invalid},
		{"/dav/spaces/" + space + "/a%00", cloud.Invalid},
		{"/dav/spaces/" + space + "/a%5cb", cloud.Invalid},
		{"/dav/spaces/" + space + "/%ff", cloud.Invalid},
		{"/dav/spaces/" + space + "/.oc/x", cloud.Invalid},
		{"/dav/spaces/" + space + "/" + strings.Repeat("a/", cloud.MaxDepth+1), cloud.Invalid},
		{"/dav/spaces/trash-bin/" + space + "/..%2fx", cloud.Invalid},
		{"/dav/spaces/trash-bin/" + space + "/trash", cloud.NotExist},
		{"/dav/spaces/trash-bin/" + space + "/trash/x", cloud.NotExist},
		{"/dav/spaces/trash-bin/x/trash/x", cloud.Invalid},
		{"/dav/meta/" + space + "/x", cloud.NotExist},
		{"/dav/meta/" + space + "/v/a/b", cloud.NotExist},
		{"/dav/meta/" + space + "/v/..", cloud.Invalid},
		{"/dav/meta/" + space + "/v/a%2fb", cloud.Invalid},
	} {
		got, err := httpx.Locate(at(t, r, c.path), files)
		if !errors.Is(err, c.want) {
			t.Errorf("Locate(%s) = %+v, %v; want %v", c.path, got, err, c.want)
		}
	}
}

func TestLocateDestination(t *testing.T) {
	r, files, home := place(t, "/base")
	tree := httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: home, Path: "a b"}, Prefix: "/base/webdav"}
	for _, c := range []struct {
		dest string
		want httpx.Target
		err  error
	}{
		{"https://cloud.example/base/webdav/a%20b", tree, nil},
		{"http://INNER.example/base/webdav/a%20b", tree, nil},
		{"/base/webdav/a%20b", tree, nil},
		{"/webdav/a%20b", httpx.Target{}, cloud.NotExist},
		{"/basement/webdav/a", httpx.Target{}, cloud.NotExist},
		{"https://elsewhere.example/base/webdav/a", httpx.Target{}, cloud.NotSupported},
		{"", httpx.Target{}, cloud.Invalid},
		{"http://%zz", httpx.Target{}, cloud.Invalid},
	} {
		r.Header.Set("Destination", c.dest)
		got, err := httpx.LocateDestination(r, files)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("LocateDestination(%s) = %+v, %v; want %+v, %v", c.dest, got, err, c.want, c.err)
		}
	}
}

// What a visitor finds is below their link, and hrefs are, too.
func TestLocateLinks(t *testing.T) {
	r, files, home := place(t, "/base")
	c := files.(*core.Core)
	dir, err := c.MakeDir(r.Context(), cloud.Ref{Space: home, Path: "dir"}, cloud.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	file, _, err := c.Put(r.Context(), cloud.Ref{Space: home, Path: "a file"}, strings.NewReader("x"), cloud.Put{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	visit := func(n *cloud.Node, of cloud.LinkType) *cloud.Visitor {
		t.Helper()
		rights, _ := of.Rights(n.Kind())
		g, _, err := c.Give(r.Context(), cloud.Ref{Space: home, Node: n.ID}, cloud.Grant{To: cloud.Subject{Link: "new"}, Rights: rights}, "")
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.Visit(r.Context(), g.To.Link, "")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	folder, lone, internal := visit(dir, cloud.LinkView), visit(file, cloud.LinkView), visit(dir, cloud.LinkInternal)
	prefix := func(v *cloud.Visitor) string { return "/base/dav/public-files/" + v.Token }
	for _, tt := range []struct {
		v    *cloud.Visitor
		path string
		want httpx.Target
		err  error
	}{
		{folder, "/dav/public-files/{token}", httpx.Target{Kind: httpx.Tree, Ref: folder.Of, Prefix: prefix(folder)}, nil},
		{folder, "/dav/public-files/{token}/a%20b/c/", httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: home, Node: dir.ID, Path: "a b/c"}, Prefix: prefix(folder)}, nil},
		{folder, "/public.php/webdav/a", httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: home, Node: dir.ID, Path: "a"}, Prefix: "/base/public.php/webdav"}, nil},
		{folder, "/dav/public-files/{token}/../x", httpx.Target{}, cloud.Invalid},
		{folder, "/dav/public-files/{token}/%2e%2e%2fx", httpx.Target{}, cloud.Invalid},
		{folder, "/dav/public-files/" + lone.Token, httpx.Target{}, cloud.NotExist},
		{folder, "/dav/public-files", httpx.Target{}, cloud.NotExist},
		{nil, "/dav/public-files/" + folder.Token, httpx.Target{}, cloud.NotExist},
		{nil, "/public.php/webdav", httpx.Target{}, cloud.NotExist},
		{folder, "/public.php/dav", httpx.Target{}, cloud.NotExist},
		{lone, "/dav/public-files/{token}/", httpx.Target{Kind: httpx.Lone, Ref: lone.Of, Prefix: prefix(lone)}, nil},
		{lone, "/dav/public-files/{token}/a%20file", httpx.Target{Kind: httpx.Tree, Ref: lone.Of, Prefix: prefix(lone) + "/a%20file"}, nil},
		{lone, "/dav/public-files/{token}/other", httpx.Target{}, cloud.NotExist},
		{lone, "/dav/public-files/{token}/a%20file/x", httpx.Target{}, cloud.NotExist},
		{internal, "/dav/public-files/{token}/x", httpx.Target{Kind: httpx.Tree, Ref: cloud.Ref{Space: home, Node: dir.ID, Path: "x"}, Prefix: prefix(internal)}, nil},
	} {
		caller, token := cloud.Caller{User: ada}, ""
		if tt.v != nil {
			caller, token = cloud.Caller{Visitor: tt.v}, tt.v.Token
		}
		req := at(t, r.WithContext(cloud.WithCaller(r.Context(), caller)), strings.ReplaceAll(tt.path, "{token}", token))
		got, err := httpx.Locate(req, files)
		if !errors.Is(err, tt.err) || err == nil && got != tt.want {
			t.Errorf("%s: got %+v, %v; want %+v, %v", tt.path, got, err, tt.want, tt.err)
		}
	}
}

// Whatever a URL holds, a target that comes of it is clean, and the href that
// is made of it leads to the same target.
func FuzzLocate(f *testing.F) {
	for _, path := range []string{
		"/dav/spaces/" + space + "/a%20b/c", "/dav/spaces/trash-bin/" + space + "/" + item + "/a", "/webdav/%e2%82%ac",
		"/dav/meta/" + space + "!" + item + "/v/1", "/remote.php/dav/files/ada/..%2f", "//dav///files//", "/dav/spaces/%2e%2e", "/dav/files/ada/%c3%28/&<'",
	} {
		f.Add(path)
	}
	r, files, _ := place(f, "/base")
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		r.URL = u
		target, err := httpx.Locate(r, files)
		if err != nil {
			return
		}
		if clean, err := cloud.CleanPath(target.Ref.Path); err != nil || clean != target.Ref.Path {
			t.Fatalf("Locate(%q): path %q is not clean", path, target.Ref.Path)
		}
		href := []byte(target.Prefix)
		if target.Version != "" {
			href = httpx.EscapePath(append(href, '/'), target.Version)
		}
		if target.Ref.Path != "" {
			href = httpx.EscapePath(append(href, '/'), target.Ref.Path)
		}
		again, err := httpx.LocateURL(r, string(href), files)
		if err != nil || again != target {
			t.Fatalf("Locate(%q) = %+v, but its href %s leads to %+v, %v", path, target, href, again, err)
		}
	})
}
