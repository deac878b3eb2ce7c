package tus_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"opencloud/api/httpx"
	"opencloud/api/tus"
	"opencloud/cloud"
	"opencloud/core"
	"opencloud/storage/mem"
)

var (
	alan  = &cloud.User{ID: "11111111-1111-4111-8111-111111111111", Name: "alan", Role: cloud.RoleUser}
	grace = &cloud.User{ID: "22222222-2222-4222-8222-222222222222", Name: "grace", Role: cloud.RoleUser}
)

// A world is a server with alan signed in, unless a test says otherwise.
type world struct {
	t     testing.TB
	store *mem.Store
	core  *core.Core
	user  *cloud.User
	url   string
	ctx   context.Context // alan's
	home  cloud.SpaceID
}

func start(t testing.TB, opts tus.Options, rules core.Options) *world {
	t.Helper()
	w := &world{t: t, store: mem.New(), user: alan}
	w.core = core.New(w.store, rules)
	w.ctx = cloud.WithCaller(context.Background(), cloud.Caller{User: alan})
	site := &httpx.Site{}
	h := tus.New(w.core, w.core, opts)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		ctx := cloud.WithCaller(r.Context(), cloud.Caller{User: w.user})
		ctx = httpx.With(ctx, &httpx.Request{ID: "req-1", Log: slog.New(slog.DiscardHandler), Site: site})
		h.ServeHTTP(rw, r.WithContext(ctx))
	}))
	t.Cleanup(server.Close)
	site.URL, _ = url.Parse(server.URL)
	w.url = server.URL
	home, err := w.core.Home(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.home = home.ID
	return w
}

func (w *world) dir() string { return w.url + "/dav/spaces/" + string(w.home) }

// do sends a request; headers come in pairs.
func (w *world) do(method, url, body string, headers ...string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	if body != "" {
		req.Header.Set("Content-Type", "application/offset+octet-stream")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(b))
	return resp
}

// want checks the status, and that a failure is JSON.
func (w *world) want(resp *http.Response, status int) *http.Response {
	w.t.Helper()
	body, _ := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if resp.StatusCode != status {
		w.t.Fatalf("%s %s: got %d, want %d: %s", resp.Request.Method, resp.Request.URL, resp.StatusCode, status, body)
	}
	if status >= 400 && len(body) > 0 {
		var e httpx.ODataError
		if err := json.Unmarshal(body, &e); err != nil || e.Error.Code == "" || e.Error.Message == "" {
			w.t.Errorf("got error body %s (%v), want an OData error", body, err)
		}
	}
	if got := resp.Header.Get("Tus-Resumable"); got != "1.0.0" {
		w.t.Errorf("got Tus-Resumable %q, want 1.0.0", got)
	}
	return resp
}

func (w *world) wantHeaders(resp *http.Response, want map[string]string) {
	w.t.Helper()
	got := map[string]string{}
	for key := range want {
		got[key] = resp.Header.Get(key)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("headers (-want +got):\n%s", diff)
	}
}

// begin makes an upload of a size and returns its URL.
func (w *world) begin(name string, size int, headers ...string) string {
	w.t.Helper()
	headers = append([]string{"Upload-Length", fmt.Sprint(size), "Upload-Metadata", "filename " + b64(name)}, headers...)
	return w.want(w.do("POST", w.dir(), "", headers...), 201).Header.Get("Location")
}

func (w *world) offset(upload string) string {
	w.t.Helper()
	return w.want(w.do("HEAD", upload, ""), 200).Header.Get("Upload-Offset")
}

func (w *world) stat(path string) *cloud.Node {
	w.t.Helper()
	n, err := w.core.Stat(w.ctx, cloud.Ref{Space: w.home, Path: path})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) content(path string) string {
	w.t.Helper()
	f, _, err := w.core.Open(w.ctx, cloud.Ref{Space: w.home, Path: path}, "")
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *world) wantNothing(path string) {
	w.t.Helper()
	if n, err := w.core.Stat(w.ctx, cloud.Ref{Space: w.home, Path: path}); cloud.KindOf(err) != cloud.NotExist {
		w.t.Errorf("%s: got %+v, %v, want nothing", path, n, err)
	}
}

func (w *world) wantUploads(want int) {
	w.t.Helper()
	got := 0
	for range w.store.Uploads(w.ctx, w.home) {
		got++
	}
	if got != want {
		w.t.Errorf("got %d uploads in the store, want %d", got, want)
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestResume(t *testing.T) {
	w := start(t, tus.Options{}, core.Options{})
	upload := w.begin("a.txt", 10)
	if !strings.HasPrefix(upload, w.url+"/data/") {
		t.Fatalf("got Location %q, want an URL of /data/", upload)
	}
	head := w.want(w.do("HEAD", upload, ""), 200)
	w.wantHeaders(head, map[string]string{
		"Upload-Offset": "0", "Upload-Length": "10", "Cache-Control": "no-store",
		"Upload-Metadata": "filename " + b64("a.txt"), "OC-FileId": "",
	})
	if _, err := http.ParseTime(head.Header.Get("Upload-Expires")); err != nil {
		t.Errorf("Upload-Expires: %v", err)
	}
	resp := w.want(w.do("PATCH", upload, "0123", "Upload-Offset", "0"), 204)
	w.wantHeaders(resp, map[string]string{"Upload-Offset": "4", "OC-FileId": ""})
	w.wantNothing("a.txt")
	for _, lie := range []string{"0", "3", "5", "10", "9223372036854775807"} {
		w.want(w.do("PATCH", upload, "456789", "Upload-Offset", lie), 409)
	}
	for _, nonsense := range []string{"", "-1", "+4", "4.0", "0x4", "9223372036854775808"} {
		w.want(w.do("PATCH", upload, "456789", "Upload-Offset", nonsense), 400)
	}
	if got := w.offset(upload); got != "4" {
		t.Fatalf("after lies: got offset %s, want 4", got)
	}
	resp = w.want(w.do("PATCH", upload, "456789", "Upload-Offset", "4"), 204)
	n := w.stat("a.txt")
	w.wantHeaders(resp, map[string]string{
		"Upload-Offset":  "10",
		"Upload-Expires": "",
		"OC-FileId":      cloud.ItemID(n.Space, n.ID),
		"OC-ETag":        `"` + n.ETag + `"`,
		"ETag":           `"` + n.ETag + `"`,
		"OC-Perm":        "RDNVWZP",
		"Last-Modified":  n.MTime.UTC().Format(http.TimeFormat),
	})
	if got := w.content("a.txt"); got != "0123456789" {
		t.Errorf("got %q, want 0123456789", got)
	}
	// Whose last answer was lost asks again and learns that all is there.
	resp = w.do("HEAD", upload, "")
	w.want(resp, 200)
	w.wantHeaders(resp, map[string]string{"Upload-Offset": "10", "OC-FileId": cloud.ItemID(n.Space, n.ID)})
	w.wantUploads(0)
}

func TestCreationWithUpload(t *testing.T) {
	w := start(t, tus.Options{}, core.Options{})
	sum := sha1.Sum([]byte("hello"))
	resp := w.want(w.do("POST", w.dir(), "hello",
		"Upload-Length", "5", "Upload-Offset", "0", "X-OC-Mtime", "1",
		"Upload-Metadata", fmt.Sprintf("filename %s,checksum %s,mtime %s", b64("/b.txt"), b64("SHA1 "+hex.EncodeToString(sum[:])), b64("1691053416.934129485"))), 201)
	n := w.stat("b.txt")
	w.wantHeaders(resp, map[string]string{
		"Upload-Offset": "5",
		"X-OC-Mtime":    "accepted",
		"OC-FileId":     cloud.ItemID(n.Space, n.ID),
		"OC-ETag":       `"` + n.ETag + `"`,
		"OC-Perm":       "RDNVWZP",
		"Last-Modified": "Thu, 03 Aug 2023 09:03:36 GMT",
	})
	if want := time.Unix(1691053416, 934129485); !n.MTime.Equal(want) {
		t.Errorf("got mtime %v, want %v", n.MTime, want)
	}

	// A part of it, then the rest.
	resp = w.want(w.do("POST", w.dir(), "hel", "Upload-Length", "5", "Upload-Metadata", "name "+b64("c.txt")+",checksum"), 201)
	w.wantHeaders(resp, map[string]string{"Upload-Offset": "3", "OC-FileId": ""})
	w.want(w.do("PATCH", resp.Header.Get("Location"), "lo", "Upload-Offset", "3"), 204)
	if got := w.content("c.txt"); got != "hello" {
		t.Errorf("got %q, want hello", got)
	}
}

func TestZeroBytes(t *testing.T) {
	w := start(t, tus.Options{}, core.Options{})
	resp := w.want(w.do("POST", w.dir(), "", "Upload-Length", "0", "Upload-Metadata", "filename "+b64("empty")), 201)
	n := w.stat("empty")
	w.wantHeaders(resp, map[string]string{"Upload-Offset": "0", "OC-FileId": cloud.ItemID(n.Space, n.ID), "Upload-Expires": ""})
	if resp.Header.Get("Location") == "" {
		t.Error("got no Location, but clients insist on one")
	}
	w.want(w.do("POST", w.dir(), "", "Upload-Length", "0", "Upload-Metadata", "filename "+b64("e2"), "Upload-Checksum", "sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk="), 201)
	w.want(w.do("POST", w.dir(), "", "Upload-Length", "0", "Upload-Metadata", "filename "+b64("e3"), "Upload-Checksum", "sha1 AAAA"), 460)
	w.want(w.do("POST", w.dir(), "x", "Upload-Length", "0", "Upload-Metadata", "filename "+b64("e3")), 400)
	w.wantNothing("e3")
	w.wantUploads(0)
}

func TestPlaces(t *testing.T) {
	w := start(t, tus.Options{}, core.Options{})
	dir, err := w.core.MakeDir(w.ctx, cloud.Ref{Space: w.home, Path: "dir ä"}, cloud.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		url, meta, want string
		status          int
	}{
		{"/dav/spaces/{home}", "filename " + b64("1"), "1", 201},
		{"/dav/spaces/{home}/", "filename " + b64("2"), "2", 201},
		{"/remote.php/dav/spaces/{home}/", "filename " + b64("/3"), "3", 201},
		{"/remote.php/webdav/", "filename " + b64("/dir ä/4"), "dir ä/4", 201},
		{"/remote.php/dav/files/alan/", "filename " + b64("dir ä/5") + ",checksum", "dir ä/5", 201},
		{"/dav/spaces/{home}/dir%20%C3%A4", "name " + b64("x") + ",filename " + b64("6"), "dir ä/6", 201},
		{"/dav/spaces/{dir}", "name " + b64("7"), "dir ä/7", 201},
		{"/dav/spaces/{home}", "relativePath " + b64("dir ä/8"), "dir ä/8", 201},
		{"/dav/spaces/{home}", "", "", 400},
		{"/dav/spaces/{home}", "filename", "", 400},
		{"/dav/spaces/{home}", "filename " + b64("/"), "", 400},
		{"/dav/spaces/{home}", "filename " + b64("a/../b"), "", 400},
		{"/dav/spaces/{home}", "filename " + b64("a\x00b"), "", 400},
		{"/dav/spaces/{home}", "filename " + b64(".oc/x"), "", 400},
		{"/dav/spaces/{home}", "filename " + b64(strings.Repeat("n", 256)), "", 400},
		{"/dav/spaces/{home}", "filename %%%", "", 400},
		{"/dav/spaces/{home}", "filename " + b64("missing/x"), "", 409},
		{"/dav/spaces/{home}", "filename " + b64("dir ä"), "", 409},
		{"/dav/spaces/{home}/missing", "filename " + b64("x"), "", 409},
		{"/dav/spaces/nope", "filename " + b64("x"), "", 400},
		{"/dav/spaces/a$b", "filename " + b64("x"), "", 404},
		{"/dav/spaces/trash-bin/{home}", "filename " + b64("x"), "", 501},
		{"/dav/spaces", "filename " + b64("x"), "", 501},
		{"/elsewhere", "filename " + b64("x"), "", 404},
	} {
		url := strings.NewReplacer("{home}", string(w.home), "{dir}", cloud.ItemID(w.home, dir.ID)).Replace(c.url)
		w.want(w.do("POST", w.url+url, "", "Upload-Length", "0", "Upload-Metadata", c.meta), c.status)
		if c.want != "" {
			w.stat(c.want)
		}
	}
}

// send writes a request by hand, ends the connection's writing side there and
// returns the status of the answer.
func (w *world) send(request string) string {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, request)
	conn.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(conn)
	if err != nil {
		w.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(answer), " ")
	status, _, _ := strings.Cut(rest, " ")
	return status
}

func (w *world) broken(upload string, offset int, header, body string) string {
	w.t.Helper()
	return w.send(fmt.Sprintf("PATCH %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: %d\r\n"+
		"Content-Type: application/offset+octet-stream\r\nContent-Length: 1000000\r\n%s\r\n%s",
		strings.TrimPrefix(upload, w.url), offset, header, body))
}

func TestBrokenConnection(t *testing.T) {
	w := start(t, tus.Options{}, core.Options{})
	upload := w.begin("big", 1000)
	if got := w.broken(upload, 0, "", strings.Repeat("a", 300)); got != "400" {
		t.Errorf("got %s, want 400", got)
	}
	if got := w.offset(upload); got != "300" {
		t.Errorf("after a broken connection: got offset %s, want 300", got)
	}
	// What cannot be verified does not count.
	if got := w.broken(upload, 300, "Upload-Checksum: sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=\r\n", strings.Repeat("b", 300)); got != "460" {
		t.Errorf("got %s, want 460", got)
	}
	if got := w.offset(upload); got != "300" {
		t.Errorf("after a broken connection with a checksum: got offset %s, want 300", got)
	}
	w.want(w.do("PATCH", upload, strings.Repeat("c", 700), "Upload-Offset", "300"), 204)
	if got, want := w.content("big"), strings.Repeat("a", 300)+strings.Repeat("c", 700); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// A creation that broke off leaves nothing: nobody knows where to go on.
	got := w.send("POST /dav/spaces/" + string(w.home) + " HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 1000\r\nUpload-Metadata: filename " +
		b64("late") + "\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: 1000\r\n\r\nabc")
	if got != "400" {
		t.Errorf("got %s, want 400", got)
	}
	w.wantUploads(0)
	w.wantNothing("late")
}

func TestChecksum(t *testing.T) {
	w := start(t, tus.Options{}, core.Options{})
	const text = "0123456789"
	var crc [4]byte
	binary.BigEndian.PutUint32(crc[:], crc32.ChecksumIEEE([]byte(text)))
	sha, md := sha1.Sum([]byte(text)), md5.Sum([]byte(text))
	for algorithm, sum := range map[string][]byte{"sha1": sha[:], "md5": md[:], "crc32": crc[:]} {
		right := algorithm + " " + base64.StdEncoding.EncodeToString(sum)
		upload := w.begin(algorithm, 20)
		w.want(w.do("PATCH", upload, text, "Upload-Offset", "0", "Upload-Checksum", right), 204)
		w.want(w.do("PATCH", upload, "012345678X", "Upload-Offset", "10", "Upload-Checksum", right), 460)
		if got := w.offset(upload); got != "10" {
			t.Errorf("%s: after a mismatch: got offset %s, want 10", algorithm, got)
		}
		w.wantNothing(algorithm)
		w.want(w.do("PATCH", upload, text, "Upload-Offset", "10", "Upload-Checksum", right), 204)
		if got := w.content(algorithm); got != text+text {
			t.Errorf("%s: got %q, want %q", algorithm, got, text+text)
		}

		meta := "filename " + b64(algorithm+"-post")
		w.want(w.do("POST", w.dir(), "X123456789", "Upload-Length", "10", "Upload-Metadata", meta, "Upload-Checksum", right), 460)
		w.wantNothing(algorithm + "-post")
		w.want(w.do("POST", w.dir(), text, "Upload-Length", "10", "Upload-Metadata", meta, "Upload-Checksum", right), 201)
	}
	upload := w.begin("x", 10)
	w.want(w.do("PATCH", upload, text, "Upload-Offset", "0", "Upload-Checksum", "sha256 AAAA"), 400)
	w.want(w.do("PATCH", upload, text, "Upload-Offset", "0", "Upload-Checksum", "sha1 %"), 400)
	w.want(w.do("PATCH", upload, text, "Upload-Offset", "0", "Upload-Checksum", "sha1"), 460)
	if got := w.offset(upload); got != "0" {
		t.Errorf("got offset %s, want 0", got)
	}
	w.want(w.do("DELETE", upload, ""), 204)

	// Of the whole file.
	meta := "filename " + b64("whole") + ",checksum " + b64("SHA1 "+hex.EncodeToString(sha[:]))
	w.want(w.do("POST", w.dir(), "X123456789", "Upload-Length", "10", "Upload-Metadata", meta), 460)
	w.wantNothing("whole")
	w.want(w.do("POST", w.dir(), "X123456789", "Upload-Length", "10", "Upload-Metadata", "filename "+b64("whole"), "OC-Checksum", "MD5:"+hex.EncodeToString(md[:])), 460)
	w.want(w.do("POST", w.dir(), text, "Upload-Length", "10", "Upload-Metadata", meta), 201)
	w.want(w.do("POST", w.dir(), text, "Upload-Length", "10", "Upload-Metadata", "filename "+b64("w2")+",checksum "+b64("SHA3 00")), 400)
	w.wantUploads(0)
}

func TestConditions(t *testing.T) {
	w := start(t, tus.Options{}, core.Options{})
	create := func(status int, headers ...string) *http.Response {
		t.Helper()
		headers = append([]string{"Upload-Length", "1", "Upload-Metadata", "filename " + b64("f")}, headers...)
		return w.want(w.do("POST", w.dir(), "1", headers...), status)
	}
	create(412, "If-Match", "*")
	create(412, "If-Match", `"abc"`)
	etag := create(201, "If-None-Match", "*").Header.Get("ETag")
	create(412, "If-None-Match", "*")
	create(412, "If-None-Match", etag)
	create(412, "If-Match", `"abc"`)
	create(400, "If-Match", `"a", "b"`)
	create(400, "If-Match", `"a`)
	etag = create(201, "If-Match", etag).Header.Get("ETag")
	create(201, "If-Match", "W/"+etag)

	// The condition holds until the last byte.
	etag = `"` + w.stat("f").ETag + `"`
	upload := w.begin("f", 2, "If-Match", etag)
	w.want(w.do("PATCH", upload, "a", "Upload-Offset", "0"), 204)
	create(201)
	w.want(w.do("PATCH", upload, "b", "Upload-Offset", "1"), 412)
	if got := w.content("f"); got != "1" {
		t.Errorf("got %q, want 1", got)
	}

	lock, _, _, err := w.core.Lock(w.ctx, cloud.Ref{Space: w.home, Path: "f"}, cloud.Lock{Timeout: time.Hour}, cloud.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	create(423)
	create(423, "If", "(<urn:uuid:other>)")
	create(423, "If", "(Not <"+lock.Token+">)")
	create(400, "If", "(<"+lock.Token)
	create(201, "If", "(<"+lock.Token+">)")
	create(201, "If", "<"+w.dir()+"/f> (<"+lock.Token+`> ["a)>]b"])`)
	w.wantUploads(0)
}

func TestRefusals(t *testing.T) {
	w := start(t, tus.Options{MaxSize: 100}, core.Options{})
	meta := "filename " + b64("x")
	for _, c := range []struct {
		why     string
		status  int
		headers []string
	}{
		{"no length", 400, nil},
		{"a length that is none", 400, []string{"Upload-Length", "1e3"}},
		{"a negative length", 400, []string{"Upload-Length", "-1"}},
		{"a deferred length", 501, []string{"Upload-Defer-Length", "1"}},
		{"too large", 413, []string{"Upload-Length", "101"}},
		{"more than announced", 400, []string{"Upload-Length", "3"}},
		{"another type", 415, []string{"Upload-Length", "4", "Content-Type", "text/plain"}},
		{"a start in the middle", 409, []string{"Upload-Length", "4", "Upload-Offset", "1"}},
		{"no time", 400, []string{"Upload-Length", "4", "X-OC-Mtime", "yesterday"}},
		{"another version", 412, []string{"Upload-Length", "4", "Tus-Resumable", "0.2.2"}},
	} {
		resp := w.do("POST", w.dir(), "1234", append(c.headers, "Upload-Metadata", meta)...)
		if resp.StatusCode != c.status {
			t.Errorf("%s: got %d, want %d", c.why, resp.StatusCode, c.status)
		}
		w.want(resp, c.status)
		if c.status == 412 {
			w.wantHeaders(resp, map[string]string{"Tus-Version": "1.0.0"})
		}
	}
	w.wantUploads(0)
	w.wantNothing("x")

	upload := w.begin("x", 4)
	w.want(w.do("PATCH", upload, "1234", "Upload-Offset", "0", "Content-Type", "text/plain"), 415)
	w.want(w.do("PATCH", upload, "12345", "Upload-Offset", "0"), 400)
	if got := w.offset(upload); got != "0" {
		t.Errorf("after more than was announced: got offset %s, want 0", got)
	}
	w.wantNothing("x")
	allow := w.want(w.do("GET", upload, ""), 405).Header.Get("Allow")
	if want := "OPTIONS, HEAD, PATCH, DELETE"; allow != want {
		t.Errorf("got Allow %q, want %q", allow, want)
	}

	w.user = grace
	for _, method := range []string{"HEAD", "PATCH", "DELETE"} {
		w.want(w.do(method, upload, "5", "Upload-Offset", "0"), 404)
	}
	w.want(w.do("POST", w.dir(), "", "Upload-Length", "1", "Upload-Metadata", meta), 404)
	w.user = nil
	w.want(w.do("POST", w.dir(), "", "Upload-Length", "1", "Upload-Metadata", meta), 401)
	w.want(w.do("HEAD", upload, ""), 401)
	w.user = alan
	for _, id := range []string{"", "a", "a/b", "%2e%2e%2fx", strings.Repeat("x", 4000)} {
		w.want(w.do("HEAD", w.url+"/data/"+id, ""), 404)
	}
}

func TestFull(t *testing.T) {
	w := start(t, tus.Options{}, core.Options{HomeQuota: 10})
	w.want(w.do("POST", w.dir(), "", "Upload-Length", "11", "Upload-Metadata", "filename "+b64("x")), 507)
	w.wantUploads(0)
	first, second := w.begin("a", 6), w.begin("b", 6)
	w.want(w.do("PATCH", first, "123456", "Upload-Offset", "0"), 204)
	w.want(w.do("PATCH", second, "123456", "Upload-Offset", "0"), 507)
	w.wantNothing("b")
	// There is room again, and nothing needs to be sent twice.
	if err := w.core.Remove(w.ctx, cloud.Ref{Space: w.home, Path: "a"}, cloud.Conditions{}); err != nil {
		t.Fatal(err)
	}
	w.want(w.do("HEAD", second, ""), 200)
	if got := w.content("b"); got != "123456" {
		t.Errorf("got %q, want 123456", got)
	}
}

func TestTerminationAndExpiry(t *testing.T) {
	w := start(t, tus.Options{}, core.Options{})
	upload := w.begin("x", 4)
	w.want(w.do("PATCH", upload, "12", "Upload-Offset", "0"), 204)
	w.want(w.do("DELETE", upload, ""), 204)
	w.want(w.do("HEAD", upload, ""), 404)
	w.want(w.do("PATCH", upload, "34", "Upload-Offset", "2"), 404)
	w.want(w.do("DELETE", upload, ""), 404)
	w.wantUploads(0)

	w = start(t, tus.Options{}, core.Options{UploadExpiry: 1})
	upload = w.begin("x", 4)
	w.want(w.do("PATCH", upload, "1234", "Upload-Offset", "0"), 404)
	w.wantNothing("x")
}

func TestOverride(t *testing.T) {
	w := start(t, tus.Options{}, core.Options{})
	upload := w.begin("x", 4)
	w.want(w.do("POST", upload, "12", "Upload-Offset", "0", "X-HTTP-Method-Override", "PATCH"), 204)
	resp := w.want(w.do("POST", upload, "", "X-HTTP-Method-Override", "HEAD"), 200)
	w.wantHeaders(resp, map[string]string{"Upload-Offset": "2"})
	w.want(w.do("POST", upload, "34", "Upload-Offset", "2"), 405)
	w.want(w.do("POST", upload, "", "X-HTTP-Method-Override", "DELETE"), 204)
	w.want(w.do("HEAD", upload, ""), 404)
}

func TestAnnounce(t *testing.T) {
	w := start(t, tus.Options{MaxSize: 7}, core.Options{})
	resp := w.want(w.do("OPTIONS", w.url+"/data/x", "", "Tus-Resumable", ""), 204)
	w.wantHeaders(resp, map[string]string{
		"Tus-Version":            "1.0.0",
		"Tus-Extension":          "creation,creation-with-upload,checksum,termination,expiration",
		"Tus-Max-Size":           "7",
		"Tus-Checksum-Algorithm": "md5,sha1,crc32",
	})
	if got, ok := tus.Announce(tus.Options{})["Tus-Max-Size"]; ok {
		t.Errorf("without a limit: got Tus-Max-Size %q, want none", got)
	}
}

// However an upload is cut into pieces, and whatever goes wrong between them,
// the file is what was sent.
func TestPieces(t *testing.T) {
	w := start(t, tus.Options{}, core.Options{})
	rapid.Check(t, func(r *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 1, 2000).Draw(r, "content")
		upload := w.begin("f", len(content))
		for at := 0; at < len(content); {
			end := rapid.IntRange(at, len(content)).Draw(r, "end")
			piece := string(content[at:end])
			sum := sha1.Sum([]byte(piece))
			right := "sha1 " + base64.StdEncoding.EncodeToString(sum[:])
			offset := fmt.Sprint(at)
			switch rapid.IntRange(0, 3).Draw(r, "how") {
			case 0:
				status := 460
				if at+len("no"+piece) > len(content) {
					status = 400
				}
				w.want(w.do("PATCH", upload, "no"+piece, "Upload-Offset", offset, "Upload-Checksum", right), status)
			case 1:
				w.want(w.do("PATCH", upload, piece, "Upload-Offset", fmt.Sprint(at+1), "Content-Type", "application/offset+octet-stream"), 409)
			case 2:
				w.want(w.do("PATCH", upload, piece, "Upload-Offset", offset, "Upload-Checksum", right, "Content-Type", "application/offset+octet-stream"), 204)
				at = end
			default:
				w.want(w.do("PATCH", upload, piece, "Upload-Offset", offset, "Content-Type", "application/offset+octet-stream"), 204)
				at = end
			}
			if at < len(content) {
				if got, want := w.offset(upload), fmt.Sprint(at); got != want {
					r.Fatalf("got offset %s, want %s", got, want)
				}
			}
		}
		if got := w.content("f"); got != string(content) {
			r.Fatalf("got %q, want %q", got, content)
		}
	})
}

func BenchmarkCreationWithUpload(b *testing.B) {
	w := start(b, tus.Options{}, core.Options{NoVersions: true})
	h := tus.New(w.core, w.core, tus.Options{})
	body := bytes.Repeat([]byte("x"), 1024)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequestWithContext(w.ctx, "POST", "/dav/spaces/"+string(w.home), bytes.NewReader(body))
		req.Header = http.Header{
			"Tus-Resumable": {"1.0.0"}, "Upload-Length": {"1024"}, "Content-Type": {"application/offset+octet-stream"},
			"Upload-Metadata": {"filename YS50eHQ=,mtime MTY5MTA1MzQxNg=="},
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != 201 {
			b.Fatal(rec.Code, rec.Body)
		}
	}
}
