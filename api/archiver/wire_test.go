package archiver_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"opencloud/api/archiver"
	"opencloud/api/httpx"
	"opencloud/cloud"
)

// A client notices an archive that breaks off, by each version of HTTP, and can
// go on with a tar where nothing has changed.
func TestBreakingOff(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		w := newWorld(t, limits)
		large := strings.Repeat("0123456789abcdef", 20_000)
		w.make(w.home, "dir", "/", "dir/a.jpg", large, "dir/b.jpg", large)
		ailing := &ailing{Files: w.Core}
		h := archiver.New(ailing, limits)
		site := &httpx.Request{Log: slog.New(slog.DiscardHandler), Site: &httpx.Site{URL: &url.URL{}}}
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(rw, r.WithContext(httpx.With(cloud.WithCaller(r.Context(), cloud.Caller{User: ada}), site)))
		}))
		srv.EnableHTTP2 = http2
		srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		srv.StartTLS()
		fetch := func(format, spec, tag string) (int, http.Header, string, error) {
			r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/archiver?path=dir&output-format="+format, nil)
			w.ok(err)
			if spec != "" {
				r.Header.Set("Range", spec)
				r.Header.Set("If-Range", tag)
			}
			resp, err := srv.Client().Do(r)
			if err != nil {
				return 0, nil, "", err
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if (resp.ProtoMajor == 2) != http2 {
				t.Fatalf("got %s", resp.Proto)
			}
			return resp.StatusCode, resp.Header, string(body), err
		}
		_, _, whole, err := fetch("tar", "", "")
		w.ok(err)
		ailing.after = len(large) + 100_000
		if _, _, _, err := fetch("zip", "", ""); err == nil {
			t.Errorf("HTTP/2 %v: half a zip was taken for a whole one", http2)
		}
		ailing.after = len(large) + 100_000
		_, header, half, err := fetch("tar", "", "")
		if err == nil || !strings.HasPrefix(whole, half) || half == "" {
			t.Errorf("HTTP/2 %v: got %d bytes and %v, want half a tar and an error", http2, len(half), err)
		}
		ailing.after = 0
		code, _, rest, err := fetch("tar", "bytes="+strconv.Itoa(len(half))+"-", header.Get("ETag"))
		if err != nil || code != http.StatusPartialContent || half+rest != whole {
			t.Errorf("HTTP/2 %v: got %d, %v and %d bytes, want the rest of %d", http2, code, err, len(rest), len(whole)-len(half))
		}
		srv.Close()
	}
}

// ailing breaks after so many bytes of content; 0 is never.
type ailing struct {
	cloud.Files
	after int
}

func (a *ailing) Open(ctx context.Context, ref cloud.Ref, version string) (io.ReadSeekCloser, *cloud.Node, error) {
	body, n, err := a.Files.Open(ctx, ref, version)
	return ailingBody{body, a}, n, err
}

type ailingBody struct {
	io.ReadSeekCloser
	of *ailing
}

func (b ailingBody) Read(p []byte) (int, error) {
	n, err := b.ReadSeekCloser.Read(p)
	if b.of.after > 0 {
		if b.of.after -= n; b.of.after <= 0 {
			b.of.after = 1
			return 0, cloud.Unavailable
		}
	}
	return n, err
}

// Nothing is read for a client who has gone.
func TestCancelled(t *testing.T) {
	for _, format := range archiver.Formats() {
		w := newWorld(t, limits)
		w.make(w.home, "large.jpg", strings.Repeat("x", 1<<20))
		ctx, cancel := context.WithCancel(as(ada))
		reads := 0
		w.Handler = archiver.New(&watched{w.Core, func() { reads++; cancel() }}, limits)
		w.broken(ctx, "path=large.jpg&output-format="+format)
		if reads != 1 {
			t.Errorf("%s: got %d reads, want 1", format, reads)
		}
	}
}

// watched tells of every time that content is read.
type watched struct {
	cloud.Files
	read func()
}

func (f *watched) Open(ctx context.Context, ref cloud.Ref, version string) (io.ReadSeekCloser, *cloud.Node, error) {
	body, n, err := f.Files.Open(ctx, ref, version)
	return watchedBody{body, f.read}, n, err
}

type watchedBody struct {
	io.ReadSeekCloser
	read func()
}

func (b watchedBody) Read(p []byte) (int, error) {
	b.read()
	return b.ReadSeekCloser.Read(p)
}
