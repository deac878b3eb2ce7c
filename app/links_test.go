package app

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

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

// link makes a link of a type to what is at a path of alan's.
func (a *sharer) link(path string, of cloud.LinkType, secret string) *cloud.Grant {
	a.Helper()
	ref := cloud.Ref{Space: a.space, Path: path}
	n, err := a.Files.Stat(a.as("alan"), ref)
	if err != nil {
		a.Fatal(err)
	}
	rights, ok := of.Rights(n.Kind())
	if !ok {
		a.Fatalf("%s does not fit %s", of, path)
	}
	g, _, err := a.Shares.Give(a.as("alan"), ref, cloud.Grant{To: cloud.Subject{Link: "new"}, Rights: rights, Link: &cloud.Link{}}, secret)
	if err != nil {
		a.Fatalf("link %s to %s: %v", of, path, err)
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
		a.share("private/work", "mary", "viewer")
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
