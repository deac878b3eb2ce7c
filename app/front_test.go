package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// serve runs a front with one open route for everything, on a real socket.
func serve(t *testing.T, h http.HandlerFunc, env ...string) (addr string, f *front) {
	t.Helper()
	s := system(t, env...)
	f = frontOf(t, s, []Route{{"/", nil, h, true, httpx.WriteText}})
	srv, err := newServer(s, f)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.serve(l)
	}()
	t.Cleanup(func() {
		srv.stop(0)
		<-done
		f.wait(10 * time.Second)
	})
	return l.Addr().String(), f
}

func TestRequestID(t *testing.T) {
	var inside string
	f := frontOf(t, system(t), []Route{{"/", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside = httpx.From(r.Context()).ID
	}), true, httpx.WriteText}})
	for _, c := range []struct {
		sent string
		kept bool
	}{
		{"6f1c2b52-9a0e-4d7e-9d66-0a6f6d3c1c11", true},
		{"trace.1:2/3+4=_", true},
		{"", false},
		{strings.Repeat("x", 129), false},
		{"with blank", false},
		{"é", false},
		{"<script>", false},
	} {
		r := raw("GET", "/")
		r.Header.Set("X-Request-Id", c.sent)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		got := w.Header().Get("X-Request-Id")
		if got == "" || got != inside || (got == c.sent) != c.kept {
			t.Errorf("sent %q: answered %q, inside %q; kept should be %v", c.sent, got, inside, c.kept)
		}
	}
}

func TestBasePath(t *testing.T) {
	var got string
	f := frontOf(t, system(t, "OC_URL=https://example.org/cloud/"), []Route{{"/", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.Path + " " + r.URL.EscapedPath() + " " + httpx.From(r.Context()).Site.Abs("/x")
	}), true, httpx.WriteText}})
	for path, want := range map[string]string{
		"/cloud":               "/ / https://example.org/cloud/x",
		"/cloud/":              "/ / https://example.org/cloud/x",
		"/cloud/dav/a%2Fb%20c": "/dav/a/b c /dav/a%2Fb%20c https://example.org/cloud/x",
		"/cloud//x":            "//x //x https://example.org/cloud/x",
		"/":                    "404",
		"/cloudy/x":            "404",
		"/dav/":                "404",
		"/CLOUD/x":             "404",
	} {
		got = ""
		w := httptest.NewRecorder()
		f.ServeHTTP(w, raw("GET", path))
		if w.Code == http.StatusNotFound {
			got = "404"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	own := "default-src 'self'"
	for _, c := range []struct {
		url, hsts string
		open      bool
		cache     string
	}{
		{"https://example.org", "max-age=31536000", true, ""},
		{"http://example.org", "", true, ""},
		{"http://example.org", "", false, "private, no-store"},
	} {
		f := frontOf(t, system(t, "OC_URL="+c.url), []Route{{"/", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/own" {
				w.Header().Set("Content-Security-Policy", own)
			}
		}), c.open, httpx.WriteText}})
		r := raw("GET", "/")
		r.SetBasicAuth("admin", password)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		want := map[string]string{
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'self'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "SAMEORIGIN",
			"Referrer-Policy": "same-origin", "Strict-Transport-Security": c.hsts, "Cache-Control": c.cache,
		}
		for name, value := range want {
			if got := w.Header().Get(name); got != value {
				t.Errorf("%s: %s: %q, want %q", c.url, name, got, value)
			}
		}
		r = raw("GET", "/own")
		r.SetBasicAuth("admin", password)
		f.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Security-Policy"); got != own {
			t.Errorf("a handler's own policy: %q, want %q", got, own)
		}
		w = httptest.NewRecorder()
		f.ServeHTTP(w, raw("GET", "/"))
		if got := w.Header().Get("Content-Security-Policy"); got == own {
			t.Error("one answer's header is in the next one")
		}
	}
}

func TestOtherSites(t *testing.T) {
	f := frontOf(t, system(t, "OC_URL=https://cloud.example.org"), []Route{
		{"/", nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), true, httpx.WriteText},
		{"/konnect/", nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), true, httpx.WriteText},
	})
	for _, c := range []struct {
		method, path, header, value string
		want                        int
	}{
		{"PUT", "/", "", "", 200}, // no browser
		{"PUT", "/", "Sec-Fetch-Site", "same-origin", 200},
		{"PUT", "/", "Sec-Fetch-Site", "cross-site", 403},
		{"PROPFIND", "/", "Sec-Fetch-Site", "same-site", 403},
		{"POST", "/", "Origin", "https://evil.example", 403},
		{"POST", "/", "Origin", "https://cloud.example.org", 200},
		{"GET", "/", "Sec-Fetch-Site", "cross-site", 200},
		{"POST", "/konnect/v1/token", "Sec-Fetch-Site", "cross-site", 200},
		{"POST", "/signin/../konnect/v1/token", "Sec-Fetch-Site", "cross-site", 403},
		{"POST", "//konnect/v1/token", "Sec-Fetch-Site", "cross-site", 403},
	} {
		r := raw(c.method, c.path)
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s %s with %s %s: %d, want %d", c.method, c.path, c.header, c.value, w.Code, c.want)
		}
	}
}

func TestPanic(t *testing.T) {
	var log bytes.Buffer
	addr, f := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/early":
			panic("early defect")
		case "/late":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
			panic("late defect")
		case "/abort":
			w.Write([]byte("half"))
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "fine")
	})
	f.log = slog.New(slog.NewTextHandler(&log, nil))
	get := func(path string) (int, string, error) {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}
	if status, body, err := get("/early"); err != nil || status != 500 || strings.Contains(body, "defect") {
		t.Errorf("before the header: %d %q %v, want a plain 500", status, body, err)
	}
	for _, path := range []string{"/late", "/abort"} {
		if _, body, err := get(path); err == nil {
			t.Errorf("%s: %q, which looks whole", path, body)
		}
	}
	if status, body, err := get("/"); err != nil || status != 200 || body != "fine" {
		t.Errorf("afterwards: %d %q %v", status, body, err)
	}
	f.wait(10 * time.Second)
	for _, want := range []string{"early defect", "late defect", "front_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q", want)
		}
	}
	if strings.Contains(log.String(), "abort Handler") {
		t.Error("an abort is logged as a panic")
	}
}

func TestAccessLog(t *testing.T) {
	var log bytes.Buffer
	s := system(t)
	f := frontOf(t, s, []Route{{"/dav/", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "12345")
	}), false, httpx.FailDAV}})
	f.log = slog.New(slog.NewJSONHandler(&log, nil))
	r := raw("PUT", "/dav/a%20b?token=secret")
	r.SetBasicAuth("admin", password)
	r.Header.Set("X-Request-Id", "abc")
	f.ServeHTTP(httptest.NewRecorder(), r)
	var got map[string]any
	if err := json.Unmarshal(log.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, &log)
	}
	delete(got, "time")
	delete(got, "ms")
	want := map[string]any{"level": "INFO", "msg": "request", "method": "PUT", "path": "/dav/a b", "status": 201.0, "bytes": 5.0,
		"from": "127.0.0.1:1234", "user": "admin", "proto": "HTTP/1.1", "whole": true, "request-id": "abc"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), password) {
		t.Errorf("the log has a secret: %s", &log)
	}
}

func TestClientAddress(t *testing.T) {
	for _, c := range []struct {
		trusted, peer string
		forwarded     []string
		want          string
	}{
		{"", "192.0.2.1:5", []string{"198.51.100.1"}, "192.0.2.1:5"},
		{"10.0.0.0/8", "192.0.2.1:5", []string{"198.51.100.1"}, "192.0.2.1:5"},
		{"10.0.0.0/8", "10.1.1.1:5", []string{"198.51.100.1"}, "198.51.100.1:0"},
		{"10.0.0.0/8", "10.1.1.1:5", nil, "10.1.1.1:5"},
		{"10.0.0.0/8", "10.1.1.1:5", []string{"6.6.6.6, 198.51.100.1, 10.2.2.2"}, "198.51.100.1:0"},
		{"10.0.0.0/8", "10.1.1.1:5", []string{"6.6.6.6", "198.51.100.1"}, "198.51.100.1:0"},
		{"10.0.0.0/8", "10.1.1.1:5", []string{"junk, 10.2.2.2"}, "10.2.2.2:0"},
		{"::1,127.0.0.1", "[::1]:5", []string{"2001:db8::1"}, "[2001:db8::1]:0"},
		{"10.0.0.1", "[::ffff:10.0.0.1]:5", []string{"198.51.100.1"}, "198.51.100.1:0"},
	} {
		f := frontOf(t, system(t, "PROXY_TRUSTED_PROXIES="+c.trusted), nil)
		r := raw("GET", "/")
		r.RemoteAddr = c.peer
		r.Header["X-Forwarded-For"] = c.forwarded
		if got := f.client(r); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if _, err := newFront(system(t, "PROXY_TRUSTED_PROXIES=proxy.local"), nil, newMetrics()); cloud.KindOf(err) != cloud.Invalid {
		t.Errorf("a name as trusted proxy: %v, want Invalid", err)
	}
}

// An upload that stands still is cut; what arrived has been read.
func TestStalledUpload(t *testing.T) {
	type result struct {
		n   int64
		err error
	}
	results := make(chan result, 1)
	addr, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		results <- result{n, err}
		if err != nil {
			httpx.WriteText(w, r, err)
		}
	}, "PROXY_STALL_TIMEOUT=100ms")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
	got := <-results
	if got.n != 4 || !errors.Is(got.err, cloud.Invalid) || !errors.Is(got.err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v; want 4 and Invalid", got.n, got.err)
	}
	answer, _ := io.ReadAll(c)
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 400")) {
		t.Errorf("answer %.60q, want a 400", answer)
	}
}

// Who is refused before the body was read, and does not send it, is cut, too.
func TestStalledRefusal(t *testing.T) {
	addr, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		httpx.WriteText(w, r, cloud.Permission)
	}, "PROXY_STALL_TIMEOUT=100ms")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
	answer, _ := io.ReadAll(c)
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 403")) {
		t.Errorf("answer %.60q, want a 403", answer)
	}
}

// A body that arrives slowly but steadily may take longer than the time-out,
// and so may making the answer.
func TestSlowUploadIsNoStall(t *testing.T) {
	t.Parallel()
	const stall = time.Second // a busy machine must not be taken for a stall
	step := make(chan struct{}, 1)
	addr, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 1)
		for {
			_, err := io.ReadFull(r.Body, buf)
			if err == io.EOF {
				break
			}
			if err != nil {
				httpx.WriteText(w, r, err)
				return
			}
			step <- struct{}{}
		}
		select { // works for longer than the time-out, unless it is cut
		case <-time.After(stall * 3 / 2):
		case <-r.Context().Done():
		}
		if r.Context().Err() == nil {
			io.WriteString(w, "done")
		}
	}, "PROXY_STALL_TIMEOUT="+stall.String())
	pr, pw := io.Pipe()
	go func() {
		for range 12 {
			pw.Write([]byte("x"))
			<-step
			<-time.After(stall / 8)
		}
		pw.Close()
	}()
	resp, err := http.Post("http://"+addr+"/", "text/plain", pr)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "done" {
		t.Errorf("%d %q, want done", resp.StatusCode, body)
	}
}

// A client that does not read its download does not hold the server.
func TestStalledDownload(t *testing.T) {
	name := filepath.Join(t.TempDir(), "zeros")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const size = 256 << 20 // more than the sockets take
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"write", "file"} {
		ended := make(chan error, 1)
		addr, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			if how == "write" {
				var err error
				for buf := make([]byte, 1<<20); err == nil; {
					_, err = w.Write(buf)
				}
				ended <- err
				return
			}
			f, err := os.Open(name)
			if err == nil {
				defer f.Close()
				_, err = io.Copy(w, f)
			}
			ended <- err
		}, "PROXY_STALL_TIMEOUT=100ms")
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v, want a deadline exceeded", how, err)
		}
	}
}

// Files arrive whole over every way there is, also in parts of a portion.
func TestDownload(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), (3*portion+5)/16)
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, body, 0o600); err != nil {
		t.Fatal(err)
	}
	h := func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) }
	plain, _ := serve(t, h)
	secure, _ := serve(t, h, "PROXY_TLS=true")
	for _, c := range []struct{ name, url, proto string }{
		{"plain", "http://" + plain, "HTTP/1.1"},
		{"h2c", "http://" + plain, "HTTP/2.0"},
		{"tls", "https://" + secure, "HTTP/1.1"},
		{"h2", "https://" + secure, "HTTP/2.0"},
	} {
		client := clientOf(t, c.proto)
		for _, rng := range []struct {
			header string
			want   []byte
		}{
			{"", body}, {"bytes=5-" + fmt.Sprint(portion+5), body[5 : portion+6]}, {"bytes=-1", body[len(body)-1:]},
		} {
			r, _ := http.NewRequest("GET", c.url+"/", nil)
			if rng.header != "" {
				r.Header.Set("Range", rng.header)
			}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.Proto != c.proto || !bytes.Equal(got, rng.want) {
				t.Errorf("%s %s: %s, %d bytes, %v; want %s, %d bytes", c.name, rng.header, resp.Proto, len(got), err, c.proto, len(rng.want))
			}
		}
	}
}

// running starts Run and waits until it is ready.
func running(t *testing.T, env ...string) (at Started, log *bytes.Buffer, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan Started, 1)
	ended := make(chan error, 1)
	log = &bytes.Buffer{}
	cfg := settings(t, env...)
	go func() {
		ended <- Run(ctx, cfg, slog.New(slog.NewTextHandler(log, nil)), func(s Started) { ready <- s })
	}()
	select {
	case at = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	stop = func() error {
		cancel()
		return <-ended
	}
	t.Cleanup(func() { cancel() })
	return at, log, stop
}

func TestRun(t *testing.T) {
	at, log, stop := running(t)
	status := func(addr, path string) (int, string) {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, body := status(at.Debug, path); code != 200 || body != "OK\n" {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	if code, _ := status(at.Front, "/graph/v1.0/me"); code != 401 {
		t.Errorf("front: %d, want 401", code)
	}
	if _, body := status(at.Debug, "/metrics"); !strings.Contains(body, `opencloud_proxy_requests_total{method="GET",status="401"} 1`) {
		t.Errorf("metrics:\n%s", body)
	}
	for _, path := range []string{"/debug/pprof/", "/config", "/", "/debug/pprof/cmdline"} {
		if code, _ := status(at.Debug, path); code != 404 {
			t.Errorf("%s: %d, want 404", path, code)
		}
	}
	if at.AdminPassword != "" {
		t.Errorf("tells a password that was chosen: %q", at.AdminPassword)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "stopped") || strings.Contains(log.String(), password) {
		t.Errorf("log:\n%s", log)
	}
}

func TestAddressInUse(t *testing.T) {
	at, _, _ := running(t)
	for _, variable := range []string{"PROXY_HTTP_ADDR", "PROXY_DEBUG_ADDR"} {
		err := Run(t.Context(), settings(t, variable+"="+at.Front), quiet, func(Started) {})
		if say := cloud.Say(err); !strings.Contains(say, at.Front) || !strings.Contains(say, variable) {
			t.Errorf("%v, want a sentence with %s and %s", err, at.Front, variable)
		}
	}
}

func TestDebugServer(t *testing.T) {
	get := func(d *debugServer, path, token string) int {
		r := httptest.NewRequest("GET", path, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		d.server.Handler.ServeHTTP(w, r)
		return w.Code
	}
	cfg := settings(t, "PROXY_DEBUG_TOKEN=hush", "PROXY_DEBUG_PPROF=true")
	d := newDebug(cfg.Debug, newMetrics(), quiet)
	for _, c := range []struct {
		path, token string
		want        int
	}{
		{"/healthz", "", 200}, {"/readyz", "", 503},
		{"/metrics", "", 401}, {"/metrics", "wrong", 401}, {"/metrics", "hush", 200},
		{"/debug/pprof/", "", 401}, {"/debug/pprof/heap", "hush", 200}, {"/debug/pprof/cmdline", "hush", 404},
	} {
		if got := get(d, c.path, c.token); got != c.want {
			t.Errorf("%s with %q: %d, want %d", c.path, c.token, got, c.want)
		}
	}
	d.ready(system(t).Store)
	if got := get(d, "/readyz", ""); got != 200 {
		t.Errorf("ready: %d, want 200", got)
	}
	d.stop()
	if got := get(d, "/readyz", ""); got != 503 {
		t.Errorf("stopping: %d, want 503", got)
	}
}

// Clients may invent methods; the metrics stay few.
func TestMetricsAreBounded(t *testing.T) {
	m := newMetrics()
	for i := range 1000 {
		m.observe(fmt.Sprint("METHOD", i), 405, time.Millisecond)
	}
	m.observe("PUT", 507, time.Second)
	all, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if n := len(f.GetMetric()); n > 50 {
			t.Errorf("%s has %d series", f.GetName(), n)
		}
		if f.GetName() == "opencloud_proxy_errors_total" && f.GetMetric()[0].GetCounter().GetValue() != 1 {
			t.Errorf("errors: %v, want 1", f.GetMetric())
		}
	}
}

func TestPrettyLog(t *testing.T) {
	var b bytes.Buffer
	cfg := settings(t, "OC_LOG_PRETTY=true", "OC_LOG_LEVEL=warn", "OC_LOG_COLOR=true")
	log, err := NewLog(cfg.Log, &b)
	if err != nil {
		t.Fatal(err)
	}
	log = log.With("a", 1).WithGroup("g").With("b", "x y")
	log.Info("not this")
	log.Warn("bent", "c", "line\nbreak", "d", slog.GroupValue(slog.Int("e", 2)), "esc", "\x1b[2J")
	_, got, _ := strings.Cut(b.String(), " ")
	want := "\x1b[33mWARN \x1b[0m bent a=1 g.b=\"x y\" g.c=\"line\\nbreak\" g.d.e=2 g.esc=\"\\x1b[2J\"\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLogFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	log, err := NewLog(settings(t, "OC_LOG_FILE="+name).Log, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("hello")
	if body, _ := os.ReadFile(name); !bytes.Contains(body, []byte(`"msg":"hello"`)) {
		t.Errorf("log file: %q", body)
	}
	if _, err := NewLog(settings(t, "OC_LOG_FILE=/nonexistent/log").Log, io.Discard); !strings.Contains(cloud.Say(err), "OC_LOG_FILE") {
		t.Errorf("a log file that cannot be: %v", err)
	}
}

func TestRandomPassword(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		p := RandomPassword()
		if len(p) != 24 || strings.Count(p, "-") != 4 || seen[p] {
			t.Fatalf("password %q", p)
		}
		seen[p] = true
	}
}

func BenchmarkFront(b *testing.B) {
	s := system(b)
	f, err := newFront(s, []Route{{"/dav/", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}), false, httpx.FailDAV}}, newMetrics())
	if err != nil {
		b.Fatal(err)
	}
	r := raw("GET", "/dav/spaces/x")
	r.SetBasicAuth("admin", password)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		f.ServeHTTP(w, r)
	}
	if w.Code != 200 {
		b.Fatal(w.Code)
	}
}
