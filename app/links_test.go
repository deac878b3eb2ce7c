package app

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/cloud"
	exchanges "opencloud/test/exchange"
)

// A sharer is the user alan of a whole server, with something to share.
type sharer struct {
	*testing.T
	*System
	front *front
	space cloud.SpaceID
}

const linkPassword = "open sesame"

func newSharer(t *testing.T, env ...string) *sharer {
	t.Helper()
	s := system(t, append([]string{"IDM_CREATE_DEMO_USERS=true", "OC_SHARING_PUBLIC_SHARE_MUST_HAVE_PASSWORD=false", "OC_PASSWORD_POLICY_DISABLED=true"}, env...)...)
	f := frontOf(t, s, routes(s))
	f.log = quiet
	a := &sharer{t, s, f, ""}
	home, err := s.Files.Home(a.as("alan"))
	if err != nil {
		t.Fatal(err)
	}
	a.space = home.ID
	for _, dir := range []string{"private", "private/work", "private/work/sub"} {
		if _, err := s.Files.MakeDir(a.as("alan"), cloud.Ref{Space: a.space, Path: dir}, cloud.Conditions{}); err != nil {
			t.Fatal(err)
		}
	}
	a.put("private/secret.txt", "secret")
	a.put("private/work/plan.txt", "plan")
	a.put("private/work/sub/deep.txt", "deep")
	a.put("private/a file.txt", "lone")
	return a
}

func (a *sharer) as(name string) context.Context {
	a.Helper()
	u, err := a.Directory.User(a.Context(), "name", name)
	if err != nil {
		a.Fatal(err)
	}
	return cloud.WithCaller(a.Context(), cloud.Caller{User: u})
}

func (a *sharer) put(path, body string) {
	a.Helper()
	if _, _, err := a.Files.Put(a.as("alan"), cloud.Ref{Space: a.space, Path: path}, strings.NewReader(body), cloud.Put{Size: int64(len(body))}); err != nil {
		a.Fatal(err)
	}
}

// link makes a link to what is at a path of alan's.
func (a *sharer) link(path string, of cloud.LinkType, secret string) *cloud.Grant {
	a.Helper()
	return linkOf(a.T, a.System, "alan", cloud.Ref{Space: a.space, Path: path}, of, secret)
}

// linkOf makes a link of a type, by a user.
func linkOf(t *testing.T, s *System, user string, ref cloud.Ref, of cloud.LinkType, secret string) *cloud.Grant {
	t.Helper()
	u, err := s.Directory.User(t.Context(), "name", user)
	if err != nil {
		t.Fatal(err)
	}
	ctx := cloud.WithCaller(t.Context(), cloud.Caller{User: u})
	n, err := s.Files.Stat(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	rights, ok := of.Rights(n.Kind())
	if !ok {
		t.Fatalf("%s does not fit %v", of, ref)
	}
	g, _, err := s.Shares.Give(ctx, ref, cloud.Grant{To: cloud.Subject{Link: "new"}, Rights: rights, Link: &cloud.Link{}}, secret)
	if err != nil {
		t.Fatalf("link %s to %v: %v", of, ref, err)
	}
	return g
}

// share gives a user a role on what is at a path of alan's.
func (a *sharer) share(path, with, role string) *cloud.Grant {
	a.Helper()
	r, ok := cloud.ShareRoleBy(role)
	if !ok {
		a.Fatal(role)
	}
	to := cloud.CallerFrom(a.as(with)).User.ID
	g, _, err := a.Shares.Give(a.as("alan"), cloud.Ref{Space: a.space, Path: path}, cloud.Grant{To: cloud.Subject{User: to}, Rights: r.Rights}, "")
	if err != nil {
		a.Fatalf("share %s with %s: %v", path, with, err)
	}
	return g
}

func basicOf(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// do sends a request; headers come in pairs.
func (a *sharer) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	a.Helper()
	r := httptest.NewRequest(method, "http://localhost:9200"+path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.front.ServeHTTP(w, r)
	return w
}

func (a *sharer) id(path string) string {
	a.Helper()
	n, err := a.Files.Stat(a.as("alan"), cloud.Ref{Space: a.space, Path: path})
	if err != nil {
		a.Fatal(err)
	}
	return cloud.ItemID(n.Space, n.ID)
}

// Exchanges that clients have with a server that shares, one archive a subject.
func TestSharingExchanges(t *testing.T) {
	exchanges.Run(t, os.DirFS("."), "testdata/links/*.txtar", func(t *testing.T) (http.Handler, map[string]string) {
		a := newSharer(t)
		vars := map[string]string{
			"alan": basicOf("alan", "demo"), "mary": basicOf("mary", "demo"), "lynn": basicOf("lynn", "demo"),
			"right": basicOf("public", linkPassword), "wrong": basicOf("public", "open barley"), "nopassword": basicOf("public", ""),
			"space": string(a.space), "folder": a.id("private/work"), "file": a.id("private/a file.txt"), "plan": a.id("private/work/plan.txt"), "private": a.id("private"),
		}
		for name, l := range map[string]struct {
			path   string
			of     cloud.LinkType
			secret string
		}{
			"view": {"private/work", cloud.LinkView, ""}, "locked": {"private/work", cloud.LinkView, linkPassword},
			"upload": {"private/work", cloud.LinkUpload, ""}, "edit": {"private/work", cloud.LinkEdit, ""},
			"drop": {"private/work", cloud.LinkCreateOnly, ""}, "look": {"private/work", cloud.LinkBlocksDownload, ""},
			"internal": {"private/work", cloud.LinkInternal, ""},
			"lone":     {"private/a file.txt", cloud.LinkView, ""}, "lonelocked": {"private/a file.txt", cloud.LinkEdit, linkPassword},
		} {
			g := a.link(l.path, l.of, l.secret)
			vars[name] = g.To.Link
			vars["basic"+name] = basicOf(g.To.Link, l.secret)
		}
		vars["jail"], vars["jailroot"] = string(cloud.SharesSpace), string(cloud.SharesSpace.Root())
		vars["maryshare"], vars["sub"] = string(a.share("private/work", "mary", "editor").ID), a.id("private/work/sub")
		at, err := cloud.ParseItemID(vars["folder"])
		if err != nil {
			t.Fatal(err)
		}
		vars["mount"] = string(cloud.MountID(at.Space, at.Node))
		return a.front, vars
	})
}

// Every type of link with every method: what the link says, and no more.
func TestLinkMatrix(t *testing.T) {
	a := newSharer(t)
	const read, add, change, remove, look = 1, 2, 4, 8, 16
	for of, may := range map[cloud.LinkType]int{
		cloud.LinkView: look | read, cloud.LinkUpload: look | read | add | change, cloud.LinkEdit: look | read | add | change | remove,
		cloud.LinkCreateOnly: add, cloud.LinkBlocksDownload: look, cloud.LinkInternal: 0,
	} {
		t.Run(string(of), func(t *testing.T) {
			dir := "private/of " + string(of)
			if _, err := a.Files.MakeDir(a.as("alan"), cloud.Ref{Space: a.space, Path: dir}, cloud.Conditions{}); err != nil {
				t.Fatal(err)
			}
			token := a.link(dir, of, "").To.Link
			at := "/dav/public-files/" + token
			lock := `<d:lockinfo xmlns:d="DAV:"><d:lockscope><d:exclusive/></d:lockscope><d:locktype><d:write/></d:locktype></d:lockinfo>`
			patch := `<d:propertyupdate xmlns:d="DAV:"><d:set><d:prop><x xmlns="urn:x">y</x></d:prop></d:set></d:propertyupdate>`
			for _, c := range []struct {
				method, path, body string
				header             []string
				needs              int
				status             int // when allowed
			}{
				{"PROPFIND", "", "", []string{"Depth", "0"}, 0, 207},
				{"PROPFIND", "", "", []string{"Depth", "1"}, look, 207},
				{"PROPFIND", "/file", "", []string{"Depth", "0"}, look, 207},
				{"GET", "/file", "", nil, read, 200},
				{"HEAD", "/file", "", nil, read, 200},
				{"PUT", "/new", "x", nil, add, 201},
				{"PUT", "/file", "x", nil, change, 204},
				{"MKCOL", "/newdir", "", nil, add, 201},
				{"PROPPATCH", "/file", patch, nil, change, 207},
				{"COPY", "/file", "", []string{"Destination", at + "/copied"}, read | add, 201},
				{"COPY", "/dir", "", []string{"Destination", at + "/copied"}, read | add, 201},
				{"MOVE", "/file", "", []string{"Destination", at + "/moved"}, remove, 201},
				{"MOVE", "/file", "", []string{"Destination", "/dav/spaces/" + string(a.space) + "/stolen"}, -1, 0},
				{"COPY", "/file", "", []string{"Destination", "/dav/spaces/" + string(a.space) + "/stolen"}, -1, 0},
				{"DELETE", "/file", "", nil, remove, 204},
				{"DELETE", "", "", nil, -1, 0},
				{"MOVE", "", "", []string{"Destination", at + "/moved"}, -1, 0},
				{"LOCK", "/file", lock, nil, change, 200},
				{"REPORT", "", `<d:sync-collection xmlns:d="DAV:"/>`, nil, -1, 0},
				{"POST", "/", "abc", []string{"Tus-Resumable", "1.0.0", "Upload-Length", "3", "Content-Type", "application/offset+octet-stream", "Upload-Metadata", "filename dHVz"}, add, 201},
			} {
				for _, entry := range []string{"file", "new", "newdir", "dir", "copied", "moved", "tus"} {
					a.Files.Remove(a.as("alan"), cloud.Ref{Space: a.space, Path: dir + "/" + entry}, cloud.Conditions{})
				}
				a.put(dir+"/file", "content")
				if _, err := a.Files.MakeDir(a.as("alan"), cloud.Ref{Space: a.space, Path: dir + "/dir"}, cloud.Conditions{}); err != nil {
					t.Fatal(err)
				}
				allowed := c.needs >= 0 && may&c.needs == c.needs && may != 0
				// Who may only drop is not told what there is: another name is taken.
				if of == cloud.LinkCreateOnly && c.method == "PUT" {
					allowed, c.status = true, 201
				}
				w := a.do(c.method, at+c.path, c.body, c.header...)
				what := fmt.Sprintf("%s %s %v", c.method, c.path, c.header)
				switch {
				case allowed && w.Code != c.status:
					t.Errorf("%s: got %d, want %d: %s", what, w.Code, c.status, w.Body)
				case !allowed && (w.Code < 400 || w.Code >= 500):
					t.Errorf("%s: got %d, want it refused: %s", what, w.Code, w.Body)
				}
				n, err := a.Files.Stat(a.as("alan"), cloud.Ref{Space: a.space, Path: dir + "/file"})
				kept := err == nil && n.Size == int64(len("content"))
				if c.method == "LOCK" && w.Code == 200 {
					a.do("UNLOCK", at+c.path, "", "Lock-Token", w.Header().Get("Lock-Token"))
				}
				if !kept && (!allowed || of == cloud.LinkCreateOnly) {
					t.Errorf("%s: the file is not what it was: %+v, %v", what, n, err)
				}
			}
			for _, path := range []string{"/dav/spaces/" + string(a.space), "/dav/spaces/" + a.id("private"), "/dav/spaces/" + a.id("private/secret.txt"),
				"/dav/spaces/trash-bin/" + string(a.space), "/dav/meta/" + a.id(dir+"/file") + "/v", "/remote.php/webdav/", "/dav/spaces", "/dav/files/alan",
				"/dav/public-files", at + "/../secret.txt", at + "/%2e%2e/secret.txt", "/dav/spaces/" + a.id(dir) + "/../secret.txt",
				"/dav/spaces/a0ca6a90-a365-4782-871e-d44447bbc668$a0ca6a90-a365-4782-871e-d44447bbc668"} {
				for _, method := range []string{"PROPFIND", "GET", "DELETE", "REPORT"} {
					if w := a.do(method, path, "", "Depth", "1", "public-token", token); w.Code < 400 {
						t.Errorf("%s %s by the link: got %d: %s", method, path, w.Code, w.Body)
					}
				}
			}
		})
	}
	if _, err := a.Files.Stat(a.as("alan"), cloud.Ref{Space: a.space, Path: "stolen"}); cloud.KindOf(err) != cloud.NotExist {
		t.Errorf("something left a link: %v", err)
	}
}

// What changes deep in something shared changes the ETags all the way up to
// where the receiver looks, and what changes beside it does not.
func TestSharesETags(t *testing.T) {
	a := newSharer(t)
	a.share("private/work", "mary", "viewer")
	etag := regexp.MustCompile(`<d:getetag>([^<]+)</d:getetag>`)
	jail := "/dav/spaces/" + string(cloud.SharesSpace)
	look := func() (tags [5]string) {
		t.Helper()
		for i, path := range [...]string{"/remote.php/webdav", "/dav/files/mary/Shares", jail, jail + "/work", jail + "/work/sub"} {
			w := a.do("PROPFIND", path, `<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>`, "Depth", "0", "Authorization", basicOf("mary", "demo"))
			m := etag.FindStringSubmatch(w.Body.String())
			if w.Code != 207 || m == nil {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
			tags[i] = m[1]
		}
		return tags
	}
	before := look()
	a.put("private/secret.txt", "changed")
	if got := look(); got != before {
		t.Errorf("a change elsewhere: got %q, want %q", got, before)
	}
	a.put("private/work/sub/deep.txt", "changed")
	after := look()
	for i := range after {
		if after[i] == before[i] {
			t.Errorf("a change below: ETag %d is still %s", i, after[i])
		}
	}
	if got := look(); got != after {
		t.Errorf("no change: got %q, want %q", got, after)
	}
	a.share("private", "mary", "viewer")
	now := look()
	for i := range 3 {
		if now[i] == after[i] {
			t.Errorf("something more is shared: ETag %d is still %s", i, now[i])
		}
	}
}

// A link to a whole space opens it, but neither its bin nor its name; and no
// link opens anything when its time is over.
func TestLinkToSpaceUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSharer(t)
		admin := a.as("admin")
		project, err := a.Files.SetSpace(admin, &cloud.Space{Kind: cloud.Project, Name: "Secret project"})
		if err != nil {
			t.Fatal(err)
		}
		root := cloud.Ref{Space: project.ID}
		for _, name := range []string{"kept", "removed"} {
			if _, _, err := a.Files.Put(admin, cloud.Ref{Space: project.ID, Path: name}, strings.NewReader("x"), cloud.Put{Size: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Files.Remove(admin, cloud.Ref{Space: project.ID, Path: "removed"}, cloud.Conditions{}); err != nil {
			t.Fatal(err)
		}
		g := linkOf(t, a.System, "admin", root, cloud.LinkEdit, "")
		until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		if _, _, err := a.Shares.Regrant(admin, g.ID, cloud.GrantChange{Expires: &until}); err != nil {
			t.Fatal(err)
		}
		at := "/dav/public-files/" + g.To.Link
		w := a.do("PROPFIND", at, `<propfind xmlns="DAV:" xmlns:oc="http://owncloud.org/ns"><prop><displayname/><oc:permissions/><oc:public-link-permission/><oc:public-link-expiration/></prop></propfind>`, "Depth", "1", "Prefer", "return=minimal")
		for _, want := range []string{"<d:href>" + at + "/</d:href><d:propstat><d:prop><oc:permissions>CK</oc:permissions><oc:public-link-permission>15</oc:public-link-permission><oc:public-link-expiration>" + until.Format(http.TimeFormat) + "</",
			"<d:href>" + at + "/kept</d:href>"} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("got %d %s, want %s", w.Code, w.Body, want)
			}
		}
		for _, hidden := range []string{"removed", "Secret project"} {
			if strings.Contains(w.Body.String(), hidden) {
				t.Errorf("%s is shown: %s", hidden, w.Body)
			}
		}
		for _, path := range []string{"/dav/spaces/trash-bin/" + string(project.ID), "/dav/meta/" + string(project.ID) + "!" + string(project.ID.Root()) + "/v"} {
			for _, method := range []string{"PROPFIND", "DELETE"} {
				if w := a.do(method, path, "", "public-token", g.To.Link, "Depth", "1"); w.Code != 403 && w.Code != 404 {
					t.Errorf("%s %s: got %d", method, path, w.Code)
				}
			}
		}
		if w := a.do("PUT", at+"/new", "x"); w.Code != 201 {
			t.Errorf("PUT: got %d %s", w.Code, w.Body)
		}
		time.Sleep(time.Hour)
		for _, method := range []string{"PROPFIND", "GET", "PUT", "MKCOL"} {
			if w := a.do(method, at+"/late", "x"); w.Code != 404 {
				t.Errorf("%s after the end: got %d, want 404", method, w.Code)
			}
		}
	})
}

// The quota of the space holds for those who come by a link.
func TestLinkQuota(t *testing.T) {
	a := newSharer(t)
	admin := a.as("admin")
	project, err := a.Files.SetSpace(admin, &cloud.Space{Kind: cloud.Project, Name: "Small", Quota: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []cloud.LinkType{cloud.LinkCreateOnly, cloud.LinkUpload, cloud.LinkEdit} {
		at := "/dav/public-files/" + linkOf(t, a.System, "admin", cloud.Ref{Space: project.ID}, of, "").To.Link
		if w := a.do("PUT", at+"/large", strings.Repeat("x", 11)); w.Code != 507 {
			t.Errorf("%s: PUT: got %d, want 507", of, w.Code)
		}
		if w := a.do("POST", at+"/", "", "Tus-Resumable", "1.0.0", "Upload-Length", "11", "Upload-Metadata", "filename eA=="); w.Code != 507 {
			t.Errorf("%s: POST: got %d, want 507", of, w.Code)
		}
	}
}
