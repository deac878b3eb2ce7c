package archiver_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"opencloud/api/archiver"
	"opencloud/cloud"
)

// walk is what a caller can read at and below a node, as contents has it.
func (w *world) walk(ctx context.Context, n *cloud.Node, name string, all map[string]string) {
	w.Helper()
	ref := cloud.Ref{Space: n.Space, Node: n.ID}
	if !n.Dir {
		body, _, err := w.Open(ctx, ref, "")
		w.ok(err)
		defer body.Close()
		content, err := io.ReadAll(body)
		w.ok(err)
		all[name] = string(content)
		return
	}
	all[name+"/"] = ""
	for m, err := range w.List(ctx, ref) {
		w.ok(err)
		w.walk(ctx, m, name+"/"+m.Name, all)
	}
}

// grow makes a tree of any shape in the home, in a folder of its own.
func (w *world) grow(t *rapid.T) (ids []string) {
	w.Helper()
	dirs := []string{"tree"}
	ids = []string{w.make(w.home, "tree", "/")}
	name := rapid.OneOf(rapid.StringMatching(`[a-c]{1,2}(\.txt|\.jpg| \(1\))?`), rapid.StringMatching(`[äß日 %:*~.-]{1,60}`))
	for i := range rapid.IntRange(0, 20).Draw(t, "nodes") {
		dir := rapid.SampledFrom(dirs).Draw(t, "in")
		path := cloud.Join(dir, name.Draw(t, "name"))
		if _, err := cloud.CleanPath(path); err != nil {
			continue
		}
		if _, err := w.Stat(as(ada), cloud.Ref{Space: w.home, Path: path}); err == nil {
			continue
		}
		if rapid.Bool().Draw(t, "dir") {
			ids = append(ids, w.make(w.home, path, "/"))
			dirs = append(dirs, path)
			continue
		}
		size := rapid.SampledFrom([]int{0, 1, 511, 512, 513, 1024, 3000}).Draw(t, "size")
		ids = append(ids, w.make(w.home, path, strings.Repeat(strconv.Itoa(i), size)[:size]))
	}
	return ids
}

// What is in an archive is what a walk finds, no matter the format.
func TestArchiveIsWalk(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, limits)
		ids := w.grow(r)
		id := rapid.SampledFrom(ids).Draw(r, "id")
		ref, err := cloud.ParseItemID(id)
		w.ok(err)
		n, err := w.Stat(as(ada), ref)
		w.ok(err)
		want := map[string]string{}
		w.walk(as(ada), n, n.Name, want)
		zipped := w.get(as(ada), query("id", id))
		for _, rec := range []*httptest.ResponseRecorder{zipped, w.get(as(ada), query("id", id, "output-format", "tar"))} {
			if diff := cmp.Diff(want, w.contents(rec)); diff != "" {
				r.Fatalf("got other than want: %s", diff)
			}
		}
		if again := w.get(as(ada), query("id", id), "If-None-Match", zipped.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			r.Fatalf("the same zip again: got %d", again.Code)
		}
		// However many are asked for, all of them are there and nothing twice.
		pairs, top := []string{}, map[string]bool{}
		for _, id := range rapid.SliceOfN(rapid.SampledFrom(ids), 1, 6).Draw(r, "ids") {
			pairs = append(pairs, "id", id)
			top[id] = true
		}
		names := map[string]bool{}
		for name := range w.contents(w.get(as(ada), query(pairs...))) {
			first, _, _ := strings.Cut(name, "/")
			names[first] = true
		}
		if len(names) != len(top) {
			r.Fatalf("got %d at the top, want %d", len(names), len(top))
		}
	})
}

// Parts of a tar put together are the whole, and no file is opened before the
// first byte that was asked for.
func TestRanges(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, limits)
		ids := w.grow(r)
		q := query("id", ids[0], "id", rapid.SampledFrom(ids).Draw(r, "id"), "output-format", "tar")
		rec := w.get(as(ada), q)
		whole, tag := rec.Body.String(), rec.Header().Get("ETag")
		if rec.Header().Get("Accept-Ranges") != "bytes" || strings.HasPrefix(tag, "W/") {
			r.Fatalf("got %v", rec.Header())
		}
		at := rapid.OneOf(rapid.IntRange(0, len(whole)-1), rapid.Map(rapid.IntRange(0, len(whole)/512-1), func(n int) int { return n * 512 }))
		cut, end := at.Draw(r, "cut"), at.Draw(r, "end")
		part := func(spec, want string) {
			rec := w.get(as(ada), q, "Range", "bytes="+spec, "If-Range", tag)
			if rec.Code != http.StatusPartialContent || rec.Body.String() != want {
				r.Fatalf("%s: got %d and %d bytes, want %d", spec, rec.Code, rec.Body.Len(), len(want))
			}
		}
		if cut > 0 {
			part(fmt.Sprintf("0-%d", cut-1), whole[:cut])
		}
		part(fmt.Sprintf("%d-", cut), whole[cut:])
		part(fmt.Sprintf("-%d", len(whole)-cut), whole[cut:])
		if cut <= end {
			part(fmt.Sprintf("%d-%d", cut, end), whole[cut:end+1])
		}
		opened := 0
		counting := *w
		counting.Handler = archiver.New(&counter{w.Core, &opened}, limits)
		counting.get(as(ada), q, "Range", fmt.Sprintf("bytes=%d-", len(whole)-1024))
		if opened > 0 {
			r.Fatalf("the end: got %d files opened, want none", opened)
		}
		if rec := w.get(as(ada), q, "Range", "bytes=0-0,2-2"); rec.Code != http.StatusOK || rec.Body.String() != whole {
			r.Fatalf("several ranges: got %d, want all", rec.Code)
		}
		// Once something is not as it was, there is nothing to go on with.
		w.make(w.home, "tree/new", "new")
		if rec := w.get(as(ada), q, "Range", fmt.Sprintf("bytes=%d-", cut), "If-Range", tag); rec.Code != http.StatusOK || rec.Header().Get("ETag") == tag {
			r.Fatalf("after a change: got %d %s, want all", rec.Code, rec.Header().Get("ETag"))
		}
		if rec := w.get(as(ada), q, "If-Match", tag); rec.Code != http.StatusPreconditionFailed {
			r.Fatalf("after a change, If-Match: got %d", rec.Code)
		}
	})
}

type counter struct {
	cloud.Files
	opened *int
}

func (c *counter) Open(ctx context.Context, ref cloud.Ref, version string) (io.ReadSeekCloser, *cloud.Node, error) {
	*c.opened++
	return c.Files.Open(ctx, ref, version)
}

// A sink is a client who keeps nothing.
type sink struct {
	header http.Header
	n      int64
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}
func (s *sink) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return len(p), nil
}

// download gets an archive that nobody keeps.
func (w *world) download(query string) int64 {
	w.Helper()
	s := &sink{header: http.Header{}}
	w.ServeHTTP(s, httptest.NewRequestWithContext(as(ada), "GET", "/archiver?"+query, nil))
	return s.n
}

// An archive takes the same memory however large the files are.
func TestMemory(t *testing.T) {
	const size, most = 64 << 20, 4 << 20
	w := newWorld(t, archiver.Options{MaxFiles: 10, MaxSize: size})
	w.make(w.home, "large", strings.Repeat("0123456789abcdef", size/16))
	for _, format := range []string{"zip", "tar"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w.download(query("path", "large", "output-format", format))
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > most {
			t.Errorf("%s: got %d bytes, want %d at most", format, got, most)
		}
	}
}
