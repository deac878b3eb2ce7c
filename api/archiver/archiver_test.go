package archiver_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"opencloud/api/archiver"
	"opencloud/api/httpx"
	"opencloud/cloud"
	"opencloud/core"
	"opencloud/storage/mem"
)

var (
	ada = &cloud.User{ID: "11111111-1111-4111-8111-111111111111", Name: "ada", Role: cloud.RoleSpaceAdmin}
	bob = &cloud.User{ID: "22222222-2222-4222-8222-222222222222", Name: "bob", Role: cloud.RoleUser}

	limits = archiver.Options{MaxFiles: 1000, MaxSize: 1 << 20}
	then   = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
)

// A world is ada's, over a store in memory.
type world struct {
	testing.TB
	*core.Core
	store *mem.Store
	home  cloud.SpaceID
	http.Handler
}

func newWorld(t testing.TB, opts archiver.Options) *world {
	t.Helper()
	w := &world{TB: t, store: mem.New()}
	w.Core = core.New(w.store, core.Options{AutoAccept: true, Log: slog.New(slog.DiscardHandler)})
	w.Handler = archiver.New(w.Core, opts)
	s, err := w.Home(as(ada))
	w.ok(err)
	w.home = s.ID
	return w
}

func as(u *cloud.User) context.Context {
	return cloud.WithCaller(context.Background(), cloud.Caller{User: u})
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// make makes files, and folders where the content is "/"; later ones below
// earlier ones. It returns the id of the last.
func (w *world) make(space cloud.SpaceID, pairs ...string) (id string) {
	w.Helper()
	for i := 0; i < len(pairs); i += 2 {
		ref := cloud.Ref{Space: space, Path: pairs[i]}
		var n *cloud.Node
		var err error
		if pairs[i+1] == "/" {
			n, err = w.MakeDir(as(ada), ref, cloud.Conditions{})
		} else {
			n, _, err = w.Put(as(ada), ref, strings.NewReader(pairs[i+1]), cloud.Put{Size: -1, MTime: then})
		}
		w.ok(err)
		id = cloud.ItemID(n.Space, n.ID)
	}
	return id
}

func (w *world) project(name string) cloud.SpaceID {
	w.Helper()
	s, err := w.SetSpace(as(ada), &cloud.Space{Kind: cloud.Project, Name: name})
	w.ok(err)
	return s.ID
}

// give grants a role, or opens a link when to is nil; it returns who comes by it.
func (w *world) give(id string, to *cloud.User, rights cloud.Rights) context.Context {
	w.Helper()
	ref, err := cloud.ParseItemID(id)
	w.ok(err)
	g := cloud.Grant{Rights: rights}
	if to != nil {
		g.To.User = to.ID
	} else {
		g.To.Link, g.Link = "new", &cloud.Link{}
	}
	given, _, err := w.Give(as(ada), ref, g, "")
	w.ok(err)
	if to != nil {
		return as(to)
	}
	v, err := w.Visit(context.Background(), given.To.Link, "")
	w.ok(err)
	return cloud.WithCaller(context.Background(), cloud.Caller{Visitor: v})
}

func (w *world) state(id string, s cloud.State) {
	w.Helper()
	ref, err := cloud.ParseItemID(id)
	w.ok(err)
	_, err = w.store.Edit(w.Context(), ref.Space, ref.Node, func(n *cloud.Node) error { n.State = s; return nil })
	w.ok(err)
}

// query is what follows the "?"; pairs of keys and values.
func query(pairs ...string) string {
	var q []string
	for i := 0; i < len(pairs); i += 2 {
		q = append(q, pairs[i]+"="+url.QueryEscape(pairs[i+1]))
	}
	return strings.Join(q, "&")
}

func (w *world) get(ctx context.Context, query string, header ...string) *httptest.ResponseRecorder {
	w.Helper()
	return w.ask(ctx, "GET", query, header...)
}

func (w *world) ask(ctx context.Context, method, query string, header ...string) *httptest.ResponseRecorder {
	w.Helper()
	ctx = httpx.With(ctx, &httpx.Request{Log: slog.New(slog.DiscardHandler), Site: &httpx.Site{URL: &url.URL{}}})
	r := httptest.NewRequestWithContext(ctx, method, "/archiver?"+query, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

// broken asks for an archive that breaks off.
func (w *world) broken(ctx context.Context, query string) (rec *httptest.ResponseRecorder) {
	w.Helper()
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			w.Errorf("%s: got %v, want it to break off", query, p)
		}
	}()
	w.get(ctx, query)
	return nil
}

// contents is what is in an archive: by name, folders with a slash at the end
// of theirs and without content.
func (w *world) contents(rec *httptest.ResponseRecorder) map[string]string {
	w.Helper()
	if rec.Code != http.StatusOK {
		w.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	got := map[string]string{}
	put := func(name string, dir bool, mtime time.Time, body io.Reader) {
		content, err := io.ReadAll(body)
		w.ok(err)
		if _, twice := got[name]; twice {
			w.Errorf("%q stands there twice", name)
		}
		if got[name] = string(content); !dir && !mtime.Equal(then) && !strings.HasPrefix(name, "Not in this") {
			w.Errorf("%s: time: got %v, want %v", name, mtime, then)
		}
		if local := filepath.FromSlash(strings.TrimSuffix(name, "/")); !filepath.IsLocal(local) {
			w.Errorf("%q leads out of where it is unpacked", name)
		}
		if dir != strings.HasSuffix(name, "/") {
			w.Errorf("%q: a folder is %v", name, dir)
		}
	}
	if rec.Header().Get("Content-Type") == "application/zip" {
		z, err := zip.NewReader(bytes.NewReader(rec.Body.Bytes()), int64(rec.Body.Len()))
		w.ok(err)
		for _, f := range z.File {
			body, err := f.Open()
			w.ok(err)
			put(f.Name, f.FileInfo().IsDir(), f.Modified, body)
			if f.NonUTF8 {
				w.Errorf("%q is not marked as UTF-8", f.Name)
			}
		}
		return got
	}
	if want := rec.Header().Get("Content-Length"); want != "" && want != strconv.Itoa(rec.Body.Len()) {
		w.Errorf("length: got %d, announced %s", rec.Body.Len(), want)
	}
	for t := tar.NewReader(rec.Body); ; {
		h, err := t.Next()
		if err == io.EOF {
			return got
		}
		w.ok(err)
		put(h.Name, h.Typeflag == tar.TypeDir, h.ModTime, t)
	}
}

const noteName = "Not in this archive.txt"

func note(lines ...string) string {
	s := "This was asked for, but is not in this archive:\r\n\r\n"
	for _, l := range lines {
		s += l + "\r\n"
	}
	return s
}

func TestArchive(t *testing.T) {
	w := newWorld(t, limits)
	project := w.project("Engines & Co")
	file := w.make(w.home, "a.txt", "in the home")
	dir := w.make(w.home, "dir", "/")
	w.make(w.home, "dir/b.txt", "b", "dir/empty", "/", "dir/sub", "/", "dir/sub/c.jpg", "c", "dir/none", "")
	same := w.make(project, "a.txt", "in the project")
	other := w.make(project, "deep", "/", "deep/dir", "/")
	w.make(project, "deep/dir/d", "d")
	long := strings.Repeat("ü", 127) + "x"
	w.make(w.home, `a "b" 100%;ü.txt`, "odd", "Ünï", "/", "Ünï/日本語 😀.md", "unicode", "Ünï/a:b*?<>|.", "windows", "Ünï/"+long, "long", "Ünï/CON", "dos")
	unicode := w.make(w.home, "two.dots", "/")
	inDir := map[string]string{"dir/": "", "dir/b.txt": "b", "dir/empty/": "", "dir/sub/": "", "dir/sub/c.jpg": "c", "dir/none": ""}
	with := func(more ...string) map[string]string {
		all := map[string]string{}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	for _, tt := range []struct {
		what, query string
		title       string
		want        map[string]string
	}{
		{"a folder", query("id", dir), "dir", inDir},
		{"a file", query("id", file), "a.txt", with("a.txt", "in the home")},
		{"a path", query("path", "/dir/b.txt"), "b.txt", with("b.txt", "b")},
		{"a path below an id", query("id", dir, "path", "sub"), "sub", with("sub/", "", "sub/c.jpg", "c")},
		{"several paths below an id", query("id", dir, "path", "sub", "path", "b.txt"), "download", with("sub/", "", "sub/c.jpg", "c", "b.txt", "b")},
		{"the same twice", query("id", file, "id", file, "id", file), "a.txt", with("a.txt", "in the home")},
		{"the same name", query("id", file, "id", same, "id", file), "download", with("a.txt", "in the home", "a (1).txt", "in the project")},
		{"the same name of folders", query("id", other, "id", dir), "download", with("dir/", "", "dir/d", "d",
			"dir (1)/", "", "dir (1)/b.txt", "b", "dir (1)/empty/", "", "dir (1)/sub/", "", "dir (1)/sub/c.jpg", "c", "dir (1)/none", "")},
		{"something in another", query("id", dir, "path", "", "path", "sub"), "download", with("dir/", "", "dir/b.txt", "b", "dir/empty/", "", "dir/sub/", "", "dir/sub/c.jpg", "c", "dir/none", "", "sub/", "", "sub/c.jpg", "c")},
		{"a space", query("id", string(project)), "Engines & Co", with("Engines & Co/", "", "Engines & Co/a.txt", "in the project", "Engines & Co/deep/", "", "Engines & Co/deep/dir/", "", "Engines & Co/deep/dir/d", "d")},
		{"an odd name", query("path", `a "b" 100%;ü.txt`), `a "b" 100%;ü.txt`, with(`a "b" 100%;ü.txt`, "odd")},
		{"unicode", query("path", "Ünï"), "Ünï", with("Ünï/", "", "Ünï/日本語 😀.md", "unicode", "Ünï/a:b*?<>|.", "windows", "Ünï/"+long, "long", "Ünï/CON", "dos")},
		{"an empty folder", query("id", unicode), "two.dots", with("two.dots/", "")},
		{"a long name", query("path", "Ünï/"+long), strings.Repeat("ü", 125), with(long, "long")},
	} {
		for _, format := range []string{"", "zip", "tar"} {
			rec := w.get(as(ada), tt.query+"&output-format="+format)
			if format == "" {
				format = "zip"
			}
			if diff := cmp.Diff(tt.want, w.contents(rec)); diff != "" {
				t.Errorf("%s as %s: got other than want: %s", tt.what, format, diff)
			}
			// As the web client does.
			_, quoted, _ := strings.Cut(rec.Header().Get("Content-Disposition"), `"`)
			quoted, star, _ := strings.Cut(quoted, `"`)
			name, err := url.PathUnescape(quoted)
			if want := tt.title + "." + format; err != nil || name != want {
				t.Errorf("%s as %s: name: got %q, want %q", tt.what, format, name, want)
			}
			if star, err = url.PathUnescape(strings.TrimPrefix(star, "; filename*=UTF-8''")); err != nil || star != name {
				t.Errorf("%s as %s: name*: got %q, want %q", tt.what, format, star, name)
			}
			head := w.ask(as(ada), "HEAD", tt.query+"&output-format="+format)
			if head.Header().Get("ETag") != rec.Header().Get("ETag") || head.Body.Len() > 0 || head.Header().Get("Content-Length") != rec.Header().Get("Content-Length") {
				t.Errorf("%s as %s: HEAD: got %v, want %v", tt.what, format, head.Header(), rec.Header())
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, archiver.Options{MaxFiles: 4, MaxSize: 10})
	w.make(w.home, "three", "/", "three/a", "12345", "three/b", "12345", "four", "/", "four/a", "1", "four/b", "1", "four/c", "1", "five", "/", "five/4", "/", "five/4/3", "/", "five/4/3/2", "/", "five/4/3/2/1", "/")
	file := w.make(w.home, "large", "12345678901", "file", "1")
	pending := w.make(w.home, "pending", "x")
	w.state(pending, cloud.Pending)
	unsafe := w.make(w.home, "unsafe", "x")
	w.state(unsafe, cloud.Quarantined)
	home := string(w.home)
	for _, tt := range []struct {
		what, query string
		who         *cloud.User
		want        int
	}{
		{"within the limits", query("path", "three"), ada, 200},
		{"as many as may be", query("path", "four"), ada, 200},
		{"too many", query("path", "five"), ada, 413},
		{"too many together", query("path", "three", "path", "four"), ada, 413},
		{"too large", query("path", "large"), ada, 413},
		{"too large together", query("path", "three", "path", "file"), ada, 413},
		{"too many ids", query("id", "x", "id", "x", "id", "x", "id", "x", "id", "x"), ada, 413},
		{"nothing", "", ada, 400},
		{"an unknown format", query("id", file, "output-format", "rar"), ada, 400},
		{"an unclean path", query("path", "../x"), ada, 400},
		{"no id", query("id", "x"), ada, 400},
		{"a bad escape", "id=%zz", ada, 400},
		{"a path below several", query("id", home, "id", file, "path", "x"), ada, 400},
		{"what is not there", query("path", "none"), ada, 404},
		{"what is not there, with others", query("path", "three", "path", "none"), ada, 404},
		{"the bin", query("id", home+"!trash"), ada, 404},
		{"of somebody else", query("id", file), bob, 404},
		{"the space of somebody else", query("id", home), bob, 404},
		{"nobody", query("id", home), nil, 401},
		{"in the works", query("id", pending), ada, 425},
		{"not safe", query("id", unsafe), ada, 403},
	} {
		for _, format := range []string{"", "&output-format=tar"} {
			if strings.Contains(tt.query, "output-format") {
				format = ""
			}
			rec := w.get(as(tt.who), tt.query+format)
			if rec.Code != tt.want {
				t.Errorf("%s: got %d %s, want %d", tt.what, rec.Code, rec.Body, tt.want)
			}
			if say := rec.Body.String(); tt.want != 200 && (!strings.HasSuffix(say, ".\n") && !strings.HasSuffix(say, "it.\n") || rec.Header().Get("Content-Disposition") != "") {
				t.Errorf("%s: got %q, want a sentence and no name", tt.what, say)
			}
		}
	}
	if rec := w.ask(as(ada), "POST", query("id", home)); rec.Code != 405 {
		t.Errorf("POST: got %d, want 405", rec.Code)
	}
}

// What a caller may not read is not in an archive, whichever way they ask.
func TestRights(t *testing.T) {
	w := newWorld(t, limits)
	secret := w.make(w.home, "secret.txt", "secret")
	shared := w.make(w.home, "private", "/", "private/secret.txt", "secret", "private/shared", "/")
	sub := w.make(w.home, "private/shared/a.txt", "a", "private/shared/sub", "/")
	inner := w.make(w.home, "private/shared/sub/b.txt", "b")
	private, _, _ := strings.Cut(w.make(w.home, "private/x", "x"), "!")
	all := map[string]string{"shared/": "", "shared/a.txt": "a", "shared/sub/": "", "shared/sub/b.txt": "b"}
	one := map[string]string{"b.txt": "b"}
	role := func(name string) cloud.Rights {
		r, ok := cloud.ShareRoleBy(name)
		if !ok {
			t.Fatalf("there is no role %s", name)
		}
		return r.Rights
	}
	link := func(of cloud.LinkType) cloud.Rights {
		r, _ := of.Rights(cloud.OnFolder)
		return r
	}
	strangers := []string{query("id", secret), query("id", private), query("id", private, "path", "private/secret.txt"),
		query("id", shared, "path", "../secret.txt"), query("id", shared, "id", secret)}
	check := func(what string, ctx context.Context, query string, want any) {
		t.Helper()
		rec := w.get(ctx, query)
		if code, ok := want.(int); ok {
			if rec.Code != code {
				t.Errorf("%s, %s: got %d, want %d", what, query, rec.Code, code)
			}
			if strings.Contains(rec.Body.String(), "secret") {
				t.Errorf("%s, %s: something leaks: %q", what, query, rec.Body)
			}
			return
		}
		if diff := cmp.Diff(want, w.contents(rec)); diff != "" {
			t.Errorf("%s, %s: got other than want: %s", what, query, diff)
		}
	}
	viewer := w.give(shared, nil, link(cloud.LinkView))
	visiting := cloud.CallerFrom(viewer)
	visiting.User = ada
	drop := w.give(shared, nil, link(cloud.LinkCreateOnly))
	for what, ctx := range map[string]context.Context{"link": viewer, "link, visited by its owner": cloud.WithCaller(t.Context(), visiting)} {
		check(what, ctx, "", all)
		check(what, ctx, query("id", shared), all)
		check(what, ctx, query("id", inner), one)
		check(what, ctx, query("path", "sub/b.txt"), one)
		for _, q := range strangers {
			rec := w.get(ctx, q)
			if rec.Code != 404 && rec.Code != 400 || strings.Contains(rec.Body.String(), "secret") {
				t.Errorf("%s, %s: got %d %q, want nothing", what, q, rec.Code, rec.Body)
			}
		}
	}
	check("link without download", w.give(shared, nil, link(cloud.LinkBlocksDownload)), query("id", inner), 403)
	check("the way from above", viewer, query("id", private, "path", "private/shared"), 404)
	check("drop", drop, "", 403)
	check("drop", drop, query("id", shared), 403)
	check("drop", drop, query("id", inner), 404)
	check("drop", drop, query("path", "sub/b.txt"), 404)

	reader := w.give(shared, bob, role("viewer"))
	check("viewer", reader, query("id", shared), all)
	check("viewer", reader, query("id", sub), map[string]string{"sub/": "", "sub/b.txt": "b"})
	check("viewer", reader, query("id", string(cloud.SharesSpace), "path", "shared/sub/b.txt"), one)
	ref, _ := cloud.ParseItemID(shared)
	check("viewer", reader, query("id", cloud.ItemID(cloud.SharesSpace, cloud.MountID(ref.Space, ref.Node))), all)
	check("viewer", reader, query("id", string(cloud.SharesSpace)), map[string]string{"Shares/": "", "Shares/shared/": "", "Shares/shared/a.txt": "a", "Shares/shared/sub/": "", "Shares/shared/sub/b.txt": "b"})
	for _, q := range strangers {
		if rec := w.get(reader, q); rec.Code != 404 && rec.Code != 400 {
			t.Errorf("viewer, %s: got %d, want nothing", q, rec.Code)
		}
	}
	kept := w.make(w.home, "private/kept", "/", "private/kept/c.txt", "secret")
	keptDir := w.make(w.home, "kept", "/")
	w.make(w.home, "kept/c.txt", "secret")
	follower := w.give(keptDir, bob, role("secure-viewer"))
	check("secure viewer", follower, query("id", keptDir), 403)
	check("secure viewer", follower, query("id", keptDir, "path", "c.txt"), 403)
	check("secure viewer", follower, query("id", keptDir, "id", shared), 403)
	check("secure viewer", follower, query("id", kept), 404)
	with := map[string]string{"Shares/": "", "Shares/shared/": "", "Shares/shared/a.txt": "a", "Shares/shared/sub/": "", "Shares/shared/sub/b.txt": "b",
		noteName: note("Shares/kept: You may not download it.")}
	rec := w.get(follower, query("id", string(cloud.SharesSpace), "output-format", "tar"))
	names := map[string]string{}
	for r := tar.NewReader(rec.Body); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		b, _ := io.ReadAll(r)
		names[h.Name] = string(b)
	}
	if diff := cmp.Diff(with, names); diff != "" {
		t.Errorf("the Shares space: got other than want: %s", diff)
	}
	denied := w.give(sub, bob, cloud.NoRights)
	check("denied below", denied, query("id", shared), map[string]string{"shared/": "", "shared/a.txt": "a"})
	check("denied", denied, query("id", sub), 404)
}

// What cannot be in an archive is named in it.
func TestLeftOut(t *testing.T) {
	w := newWorld(t, limits)
	w.state(w.make(w.home, "dir", "/", "dir/pending", "1"), cloud.Pending)
	w.state(w.make(w.home, "dir/unsafe", "2"), cloud.Quarantined)
	w.make(w.home, "dir/fine", "3", noteName, "a file of this name")
	want := map[string]string{"dir/": "", "dir/fine": "3", noteName: "a file of this name", "Not in this archive (1).txt": note(
		"dir/pending: "+cloud.Processing.Error(), "dir/unsafe: The file was set aside because its content is not safe.")}
	for _, format := range []string{"zip", "tar"} {
		rec := w.get(as(ada), query("path", "dir", "path", noteName, "output-format", format))
		got := map[string]string{}
		for name, content := range w.contents(rec) {
			got[name] = content
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: got other than want: %s", format, diff)
		}
	}
}

// A disk can hold more folders in one another than any client can make.
func TestDeep(t *testing.T) {
	w := newWorld(t, limits)
	name := strings.Repeat("x", cloud.MaxName)
	at := w.home.Root()
	for range 50 {
		n, err := w.store.MakeDir(t.Context(), w.home, at, name)
		w.ok(err)
		at = n.ID
	}
	const deepest = 4 * cloud.MaxPath / (cloud.MaxName + 1)
	want := map[string]string{}
	for i := range deepest {
		want[strings.Repeat(name+"/", i+1)] = ""
	}
	want[noteName] = note(strings.Repeat(name+"/", deepest) + name + ": It lies too deep.")
	for _, format := range archiver.Formats() {
		got := w.contents(w.get(as(ada), query("path", name, "output-format", format)))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: got other than want: %s", format, diff)
		}
	}
}

// A meddler does something when a file is opened for the n-th time.
type meddler struct {
	cloud.Files
	n  int
	do func()
}

func (m *meddler) Open(ctx context.Context, ref cloud.Ref, version string) (io.ReadSeekCloser, *cloud.Node, error) {
	if m.n--; m.n == 0 {
		m.do()
	}
	return m.Files.Open(ctx, ref, version)
}

// What happens to the files while an archive is sent: a zip says it, a tar
// breaks off.
func TestMeanwhile(t *testing.T) {
	for _, tt := range []struct {
		what string
		do   func(w *world, cancel func())
		zip  map[string]string // nil: it breaks off
		tar  bool              // it is whole all the same
	}{
		{"vanished", func(w *world, _ func()) {
			w.ok(w.Remove(as(ada), cloud.Ref{Space: w.home, Path: "dir/b"}, cloud.Conditions{}))
		}, map[string]string{"dir/": "", "dir/a": "aaa", "dir/c": "ccc", noteName: note("dir/b: It is not there any more.")}, false},
		{"changed", func(w *world, _ func()) { w.make(w.home, "dir/b", "other") },
			map[string]string{"dir/": "", "dir/a": "aaa", "dir/b": "other", "dir/c": "ccc"}, false},
		{"grown", func(w *world, _ func()) { w.make(w.home, "dir/b", strings.Repeat("b", 20)) },
			map[string]string{"dir/": "", "dir/a": "aaa", "dir/c": "ccc", noteName: note("dir/b: It has grown meanwhile, and the archive would be too large.")}, false},
		{"set aside", func(w *world, _ func()) {
			n, err := w.Stat(as(ada), cloud.Ref{Space: w.home, Path: "dir/b"})
			w.ok(err)
			w.state(cloud.ItemID(n.Space, n.ID), cloud.Quarantined)
		}, map[string]string{"dir/": "", "dir/a": "aaa", "dir/c": "ccc", noteName: note("dir/b: The file was set aside because its content is not safe.")}, false},
		{"moved", func(w *world, _ func()) {
			_, _, err := w.Move(as(ada), cloud.Ref{Space: w.home, Path: "dir/b"}, cloud.Ref{Space: w.home, Path: "b"}, cloud.Transfer{})
			w.ok(err)
		}, map[string]string{"dir/": "", "dir/a": "aaa", "dir/b": "bbb", "dir/c": "ccc"}, true},
		{"cancelled", func(_ *world, cancel func()) { cancel() }, nil, false},
		{"closed", func(w *world, _ func()) { w.Handler = nil }, nil, false},
	} {
		for _, format := range []string{"zip", "tar"} {
			w := newWorld(t, limits)
			w.make(w.home, "dir", "/", "dir/a", "aaa", "dir/b", "bbb", "dir/c", "ccc")
			ctx, cancel := context.WithCancel(as(ada))
			m := &meddler{Files: w.Core, n: 2}
			m.do = func() { tt.do(w, cancel) }
			if tt.what == "closed" {
				m.Files = &failing{w.Core}
			}
			w.Handler = archiver.New(m, archiver.Options{MaxFiles: 10, MaxSize: 15})
			q := query("path", "dir", "output-format", format)
			if format == "tar" && !tt.tar || tt.zip == nil {
				w.broken(ctx, q)
			} else {
				rec := w.get(ctx, q)
				if diff := cmp.Diff(tt.zip, w.contents(rec)); diff != "" {
					t.Errorf("%s, %s: got other than want: %s", tt.what, format, diff)
				}
			}
			cancel()
		}
	}
}

// failing has content that cannot be read to its end.
type failing struct{ cloud.Files }

type short struct{ io.ReadSeekCloser }

func (short) Read([]byte) (int, error) { return 0, errors.New("the disk is broken") }

func (f *failing) Open(ctx context.Context, ref cloud.Ref, version string) (io.ReadSeekCloser, *cloud.Node, error) {
	body, n, err := f.Files.Open(ctx, ref, version)
	return short{body}, n, err
}

// tool finds a program. Without it the test is skipped, unless COMPAT_REQUIRE is set.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("COMPAT_REQUIRE") != "" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// Programs that people have unpack what is sent.
func TestUnpack(t *testing.T) {
	w := newWorld(t, limits)
	w.make(w.home, "dir", "/", "dir/a.txt", strings.Repeat("text ", 5000), "dir/b.jpg", strings.Repeat("no text ", 20000), "dir/Ünï 日本.txt", "x", "dir/empty", "/", "dir/none", "",
		"dir/"+strings.Repeat("ü", 127), "long")
	want := w.contents(w.get(as(ada), query("path", "dir")))
	for _, tt := range []struct {
		format, program string
		args            func(file, to string) []string
	}{
		{"zip", "unzip", func(file, to string) []string { return []string{"-q", file, "-d", to} }},
		{"zip", "unzip", func(file, to string) []string { return []string{"-tq", file} }},
		{"tar", "tar", func(file, to string) []string { return []string{"-xf", file, "-C", to} }},
	} {
		program, dir := tool(t, tt.program), t.TempDir()
		file := filepath.Join(t.TempDir(), "file")
		w.ok(os.WriteFile(file, w.get(as(ada), query("path", "dir", "output-format", tt.format)).Body.Bytes(), 0o600))
		cmd := exec.Command(program, tt.args(file, dir)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v %s", cmd, err, out)
		}
		if slices.Contains(cmd.Args, "-tq") {
			continue
		}
		got := map[string]string{}
		w.ok(filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			w.ok(err)
			name, _ := filepath.Rel(dir, path)
			switch {
			case name == ".":
			case d.IsDir():
				got[name+"/"] = ""
			default:
				content, err := os.ReadFile(path)
				w.ok(err)
				if got[name] = string(content); true {
					if info, err := d.Info(); err != nil || !info.ModTime().Equal(then) {
						t.Errorf("%s by %s: time: got %v, want %v", name, tt.program, info.ModTime(), then)
					}
				}
			}
			return nil
		}))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: got other than want: %s", tt.program, diff)
		}
	}
}
