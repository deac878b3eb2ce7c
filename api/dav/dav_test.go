package dav_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"opencloud/api/dav"
	"opencloud/api/httpx"
	"opencloud/cloud"
	"opencloud/core"
	"opencloud/storage/mem"
	"opencloud/test/exchange"
)

var (
	ada  = &cloud.User{ID: "11111111-1111-4111-8111-111111111111", Name: "ada", Display: "Ada Lovelace", Role: cloud.RoleSpaceAdmin}
	kurt = &cloud.User{ID: "22222222-2222-4222-8222-222222222222", Name: "kurt", Display: "Kurt Gödel", Role: cloud.RoleUser}
)

// A world is what the tests talk to: the rules over a store in memory.
type world struct {
	core  *core.Core
	store *mem.Store
	http.Handler
}

// newWorld signs in ada, or whom the header As names.
func newWorld(opts dav.Options, base string) *world {
	w := &world{store: mem.New()}
	w.core = core.New(w.store, core.Options{})
	opts.Changes = w.core
	w.Handler = front(dav.New(w.core, opts), base)
	return w
}

// front does what comes before the handler: the caller, the site, the base path.
func front(h http.Handler, base string) http.Handler {
	site := &httpx.Site{URL: &url.URL{Scheme: "https", Host: "cloud.example", Path: base}, Challenges: []string{"Basic"}}
	return http.StripPrefix(base, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		caller := cloud.Caller{User: ada}
		switch r.Header.Get("As") {
		case "kurt":
			caller.User = kurt
		case "nobody":
			caller.User = nil
		}
		ctx := cloud.WithCaller(r.Context(), caller)
		ctx = httpx.With(ctx, &httpx.Request{ID: "1", Log: slog.New(slog.DiscardHandler), Site: site})
		h.ServeHTTP(rw, r.WithContext(ctx))
	}))
}

// linksForAda signs addresses for nobody else.
func linksForAda(ctx context.Context) (func(path string) string, error) {
	if cloud.CallerFrom(ctx).User != ada {
		return nil, nil
	}
	return func(string) string { return "signed=for ada" }, nil
}

func (w *world) home(t testing.TB) cloud.SpaceID {
	t.Helper()
	s, err := w.core.Home(as(ada))
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

// fill puts n small files into a folder.
func (w *world) fill(t testing.TB, dir cloud.Ref, n int) {
	t.Helper()
	if _, err := w.core.MakeDir(as(ada), dir, cloud.Conditions{}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		file := dir
		file.Path = cloud.Join(dir.Path, fmt.Sprintf("file %05d.txt", i))
		if _, _, err := w.core.Put(as(ada), file, strings.NewReader("x"), cloud.Put{Size: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

func as(u *cloud.User) context.Context {
	return cloud.WithCaller(context.Background(), cloud.Caller{User: u})
}

func TestExchanges(t *testing.T) {
	for dir, start := range map[string]func(t *testing.T) *world{
		"testdata/*.txtar": func(t *testing.T) *world {
			return newWorld(dav.Options{Announce: http.Header{"Tus-Resumable": {"1.0.0"}}}, "")
		},
		"testdata/infinity/*.txtar": func(t *testing.T) *world { return newWorld(dav.Options{DepthInfinity: true}, "") },
		"testdata/base/*.txtar":     func(t *testing.T) *world { return newWorld(dav.Options{}, "/cloud") },
		"testdata/links/*.txtar":    func(t *testing.T) *world { return newWorld(dav.Options{Links: linksForAda}, "/cloud") },
	} {
		exchange.Run(t, os.DirFS("."), dir, func(t *testing.T) (http.Handler, map[string]string) {
			w := start(t)
			home := w.home(t)
			project, err := w.core.SetSpace(as(ada), &cloud.Space{Kind: cloud.Project, Name: "Engines & Co"})
			if err != nil {
				t.Fatal(err)
			}
			return w, map[string]string{
				"home": string(home), "root": string(home.Root()),
				"project": string(project.ID), "projectroot": string(project.ID.Root()),
			}
		})
	}
}

func TestLitmus(t *testing.T) {
	litmus, err := exec.LookPath("litmus")
	if err != nil {
		t.Skip("litmus is not installed: apt install litmus")
	}
	server := httptest.NewServer(newWorld(dav.Options{}, ""))
	defer server.Close()
	cmd := exec.Command(litmus, "-k", server.URL+"/remote.php/webdav/")
	cmd.Dir = t.TempDir() // it writes a log
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "FAIL") || strings.Contains(string(out), "WARNING") {
		t.Errorf("litmus: %v\n%s", err, out)
	}
}

// desktop is what a sync client asks of each folder.
const desktop = `<?xml version="1.0" encoding="utf-8"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop>` +
	`<d:resourcetype/><d:getlastmodified/><d:getcontentlength/><d:getetag/><oc:id/><oc:permissions/><oc:checksums/></d:prop></d:propfind>`

func propfind(target, depth, body string) *http.Request {
	r := httptest.NewRequest("PROPFIND", target, strings.NewReader(body))
	r.Header.Set("Depth", depth)
	r.Header.Set("Prefer", "return=minimal")
	return r
}

// A file whose content is not ready says so in a listing and when it is read.
func TestProcessing(t *testing.T) {
	w := newWorld(dav.Options{}, "")
	home := w.home(t)
	n, _, err := w.core.Put(as(ada), cloud.Ref{Space: home, Path: "a.txt"}, strings.NewReader("x"), cloud.Put{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Edit(as(ada), home, n.ID, func(n *cloud.Node) error { n.State = cloud.Pending; return nil }); err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, propfind("/webdav/a.txt", "0", `<propfind xmlns="DAV:"><prop><getcontentlength/></prop></propfind>`))
	want := "<d:propstat><d:prop><d:getcontentlength>1</d:getcontentlength></d:prop><d:status>HTTP/1.1 425 TOO EARLY</d:status></d:propstat>"
	if !strings.Contains(rec.Body.String(), want) {
		t.Errorf("got %s, want %s", rec.Body, want)
	}
	for _, method := range []string{"GET", "HEAD"} {
		rec = httptest.NewRecorder()
		w.ServeHTTP(rec, httptest.NewRequest(method, "/webdav/a.txt", nil))
		if rec.Code != http.StatusTooEarly || rec.Header().Get("Retry-After") == "" {
			t.Errorf("%s: got %d with headers %v, want 425 and when to try again", method, rec.Code, rec.Header())
		}
	}
}

// A node tells with whom it is shared; that a space has members is no share.
func TestShareTypes(t *testing.T) {
	w := newWorld(dav.Options{}, "")
	home := w.home(t)
	for path, grants := range map[string][]cloud.Grant{
		"user":  {{To: cloud.Subject{User: kurt.ID}, Rights: cloud.SpaceViewer}},
		"group": {{To: cloud.Subject{Group: "crew"}, Rights: cloud.SpaceViewer}},
		"both":  {{To: cloud.Subject{Group: "crew"}, Rights: cloud.SpaceViewer}, {To: cloud.Subject{User: kurt.ID}, Rights: cloud.SpaceViewer}},
		"link":  {{To: cloud.Subject{Link: "new"}, Rights: cloud.CanStat | cloud.CanPath | cloud.CanList | cloud.CanRead}},
		"none":  nil,
	} {
		n, err := w.core.MakeDir(as(ada), cloud.Ref{Space: home, Path: path}, cloud.Conditions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range grants {
			if _, _, err := w.core.Give(as(ada), cloud.Ref{Space: home, Node: n.ID}, g, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, propfind("/webdav", "1", `<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><oc:share-types/></d:prop></d:propfind>`))
	for path, want := range map[string]string{
		"":       "<d:prop></d:prop>",
		"user/":  "<d:prop><oc:share-types><oc:share-type>0</oc:share-type></oc:share-types></d:prop>",
		"group/": "<d:prop><oc:share-types><oc:share-type>1</oc:share-type></oc:share-types></d:prop>",
		"both/":  "<d:prop><oc:share-types><oc:share-type>0</oc:share-type><oc:share-type>1</oc:share-type></oc:share-types></d:prop>",
		"link/":  "<d:prop><oc:share-types><oc:share-type>3</oc:share-type></oc:share-types></d:prop>",
		"none/":  "<d:prop></d:prop>",
	} {
		if want = "<d:href>/webdav/" + path + "</d:href><d:propstat>" + want; !strings.Contains(rec.Body.String(), want) {
			t.Errorf("got %s, want %s", rec.Body, want)
		}
	}
}

// A long listing goes out as it is read, and is all there.
func TestLongListing(t *testing.T) {
	const n = 2000
	w := newWorld(dav.Options{DepthInfinity: true}, "")
	w.fill(t, cloud.Ref{Space: w.home(t), Path: "d"}, n)
	for _, depth := range []string{"1", "infinity"} {
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, propfind("/webdav/d", depth, desktop))
		if rec.Code != http.StatusMultiStatus || rec.Header().Get("Content-Length") != "" {
			t.Fatalf("got %d, headers %v; want 207 in pieces", rec.Code, rec.Header())
		}
		var got struct {
			Responses []struct {
				Href string `xml:"href"`
			} `xml:"response"`
		}
		if err := xml.Unmarshal(rec.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		hrefs := map[string]bool{}
		for _, r := range got.Responses {
			hrefs[r.Href] = true
		}
		if len(got.Responses) != n+1 || len(hrefs) != n+1 || !hrefs["/webdav/d/"] || !hrefs["/webdav/d/file%2001999.txt"] {
			t.Errorf("Depth %s: got %d responses, %d different; want %d", depth, len(got.Responses), len(hrefs), n+1)
		}
	}
}

// A broken store lists so many nodes, and then no more.
type broken struct {
	*mem.Store
	after int
}

func (b *broken) Children(ctx context.Context, s cloud.SpaceID, dir cloud.NodeID) iter.Seq2[*cloud.Node, error] {
	return func(yield func(*cloud.Node, error) bool) {
		i := 0
		for n, err := range b.Store.Children(ctx, s, dir) {
			if i++; i > b.after {
				yield(nil, cloud.Unavailable)
				return
			}
			if !yield(n, err) {
				return
			}
		}
	}
}

// A listing that fails must never look complete.
func TestBrokenListing(t *testing.T) {
	w := newWorld(dav.Options{}, "")
	w.fill(t, cloud.Ref{Space: w.home(t), Path: "d"}, 1000)
	for _, c := range []struct {
		after  int
		status int
	}{{5, http.StatusServiceUnavailable}, {900, http.StatusMultiStatus}} {
		server := httptest.NewServer(front(dav.New(core.New(&broken{w.store, c.after}, core.Options{}), dav.Options{}), ""))
		r := propfind(server.URL+"/webdav/d", "1", desktop)
		r.RequestURI = ""
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		server.Close()
		if resp.StatusCode != c.status {
			t.Errorf("after %d: got status %d, want %d", c.after, resp.StatusCode, c.status)
		}
		if c.status == http.StatusMultiStatus && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d: got %d bytes and %v, want %v", c.after, len(body), err, io.ErrUnexpectedEOF)
		}
	}
}

// A body that breaks off leaves nothing behind.
func TestPutBreaksOff(t *testing.T) {
	w := newWorld(dav.Options{}, "")
	for _, size := range []int64{-1, 10} {
		r := httptest.NewRequest("PUT", "/webdav/a.txt", io.MultiReader(strings.NewReader("01234"), iotest.ErrReader(io.ErrUnexpectedEOF)))
		r.ContentLength = size
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		if rec.Code != http.StatusBadRequest {
			t.Errorf("size %d: got %d, want 400", size, rec.Code)
		}
		rec = httptest.NewRecorder()
		w.ServeHTTP(rec, httptest.NewRequest("GET", "/webdav/a.txt", nil))
		if rec.Code != http.StatusNotFound {
			t.Errorf("size %d: got %d, want 404", size, rec.Code)
		}
	}
}

func TestBodyTooLarge(t *testing.T) {
	w := newWorld(dav.Options{}, "")
	body := `<propfind xmlns="DAV:">` + strings.Repeat(" ", 1<<20) + `<prop/></propfind>`
	for _, method := range []string{"PROPFIND", "PROPPATCH", "LOCK", "REPORT"} {
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, httptest.NewRequest(method, "/webdav/", strings.NewReader(body)))
		if rec.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: got %d, want 413", method, rec.Code)
		}
	}
}

// Answers that are written at the same time do not mix.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(dav.Options{}, "")
	for i := range 4 {
		w.fill(t, cloud.Ref{Space: w.home(t), Path: fmt.Sprint("d", i)}, 200)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		for range 2 {
			wg.Go(func() {
				for range 20 {
					rec := httptest.NewRecorder()
					w.ServeHTTP(rec, propfind(fmt.Sprint("/webdav/d", i), "1", desktop))
					if got := strings.Count(rec.Body.String(), fmt.Sprintf("<d:href>/webdav/d%d/", i)); got != 201 {
						t.Errorf("got %d of 201 entries", got)
						return
					}
				}
			})
		}
	}
	wg.Wait()
}

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func BenchmarkPropfind(b *testing.B) {
	w := newWorld(dav.Options{}, "")
	w.fill(b, cloud.Ref{Space: w.home(b), Path: "d"}, 1000)
	for _, c := range []struct{ name, target, depth string }{
		{"depth0", "/dav/spaces/" + string(w.home(b)) + "/d", "0"},
		{"depth1of1000", "/dav/spaces/" + string(w.home(b)) + "/d", "1"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.ServeHTTP(discard{http.Header{}}, propfind(c.target, c.depth, desktop))
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	w := newWorld(dav.Options{}, "")
	w.fill(b, cloud.Ref{Space: w.home(b), Path: "d"}, 1)
	target := "/dav/spaces/" + string(w.home(b)) + "/d/file%2000000.txt"
	b.ReportAllocs()
	for b.Loop() {
		w.ServeHTTP(discard{http.Header{}}, httptest.NewRequest("GET", target, nil))
	}
}

// The Shares space of somebody with whom much is shared, as a web client lists it.
func BenchmarkShares(b *testing.B) {
	const n = 500
	w := newWorld(dav.Options{Person: func(context.Context, cloud.UserID) *cloud.User { return ada }}, "")
	home := w.home(b)
	for i := range n {
		dir := cloud.Ref{Space: home, Path: fmt.Sprintf("folder %d", i)}
		if _, err := w.core.MakeDir(as(ada), dir, cloud.Conditions{}); err != nil {
			b.Fatal(err)
		}
		if _, _, err := w.core.Give(as(ada), dir, cloud.Grant{To: cloud.Subject{User: kurt.ID}, Rights: cloud.CanStat | cloud.CanPath | cloud.CanList | cloud.CanRead}, ""); err != nil {
			b.Fatal(err)
		}
		if _, err := w.core.SetMount(as(kurt), cloud.MountID(home, w.stat(b, dir).ID), cloud.MountChange{Synced: new(true)}); err != nil {
			b.Fatal(err)
		}
	}
	const web = `<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><oc:permissions/><oc:fileid/><oc:file-parent/><oc:name/><oc:owner-id/><oc:owner-display-name/>` +
		`<oc:remote-item-id/><oc:shareroot/><oc:share-types/><oc:privatelink/><oc:size/><d:getlastmodified/><d:getetag/><d:resourcetype/></d:prop></d:propfind>`
	b.ReportAllocs()
	for b.Loop() {
		r := propfind("/dav/spaces/"+string(cloud.SharesSpace), "1", web)
		r.Header.Set("As", "kurt")
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		if got := strings.Count(rec.Body.String(), "<d:response>"); got != n+1 {
			b.Fatalf("got %d responses: %.500s", got, rec.Body)
		}
	}
}

func (w *world) stat(t testing.TB, ref cloud.Ref) *cloud.Node {
	t.Helper()
	n, err := w.core.Stat(as(ada), ref)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
