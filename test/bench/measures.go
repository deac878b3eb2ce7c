package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// A run collects the rows of the tables.
type run struct {
	base   string
	start  time.Duration
	idle   int64
	idled  float64 // share of a core
	raw    float64
	filled int64
	rows   []row
	a, b   target       // ours, the rival
	first  atomic.Int64 // numbers requests, so that no name comes twice
}

type row struct {
	what   string
	a, b   string
	ratio  float64 // above 1: ours is faster
	budget string
}

const rounds = 3

func (r *run) limit() time.Duration {
	if *quick {
		return 300 * time.Millisecond
	}
	return 2 * time.Second
}

func (r *run) scale(n int) int {
	if *quick {
		return max(n/50, 10)
	}
	return n
}

func (r *run) all() (err error) {
	if r.a, r.start, err = ours(r.base); err != nil {
		return err
	}
	defer r.a.stop()
	if r.b, err = rival(r.base); err != nil {
		return err
	}
	defer r.b.stop()

	r.idle = r.a.rss()
	before, at := r.a.cpu(), time.Now()
	<-time.After(2 * r.limit()) // the measure itself: what it uses while nobody asks
	r.idled = float64(r.a.cpu()-before) / float64(time.Since(at))
	if r.raw, err = durableCreates(r.base, r.limit()); err != nil {
		return err
	}
	for _, m := range []func() error{r.puts, r.gets, r.propfinds, r.large, r.deep, r.move, r.siblings, r.streams, r.fill} {
		if err := m(); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) skip(what string) bool { return *only != "" && !strings.Contains(what, *only) }

// compare lets both servers take turns and adds a row.
func (r *run) compare(what, budget string, clients, want int, request func(t target) func(c *conn, i int64) (int, error)) error {
	if r.skip(what) {
		return nil
	}
	var results [2][]result
	for range rounds {
		for i, t := range []target{r.a, r.b} {
			got, err := load(t, clients, r.limit(), 0, &r.first, want, request(t))
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			results[i] = append(results[i], got)
		}
	}
	a, b := middle(results[0]), middle(results[1])
	show := func(x result) string {
		return fmt.Sprintf("%.0f/s, %s / %s", x.rate, short(x.p50), short(x.p99))
	}
	r.rows = append(r.rows, row{what, show(a), show(b), a.rate / b.rate, budget})
	return nil
}

func short(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

// both does something on both servers.
func (r *run) both(f func(t target) error) error {
	if err := f(r.a); err != nil {
		return err
	}
	return f(r.b)
}

func mkcol(t target, path string) error {
	_, _, err := t.request("MKCOL", path, "", nil, 0)
	return err
}

var kilobyte = bytes.Repeat([]byte("0123456789abcdef"), 64)

func put(t target, path func(i int64) string) func(c *conn, i int64) (int, error) {
	return func(c *conn, i int64) (int, error) {
		status, _, err := c.do("PUT", t.root+path(i), "", 1024, bytes.NewReader(kilobyte))
		return status, err
	}
}

func (r *run) puts() error {
	if err := r.both(func(t target) error {
		if err := mkcol(t, "/put"); err != nil {
			return err
		}
		for i := range 64 {
			if err := mkcol(t, fmt.Sprintf("/put/%d", i)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	path := func(i int64) string { return fmt.Sprintf("/put/%d/%d", i%64, i) }
	for _, c := range []struct {
		clients int
		budget  string
	}{{1, "p50 0.8 / 0.35 ms"}, {8, "1,500 / 4,000/s"}} {
		if err := r.compare(fmt.Sprintf("PUT 1 KiB, %d clients", c.clients), c.budget, c.clients, 201, func(t target) func(*conn, int64) (int, error) { return put(t, path) }); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) gets() error {
	if err := r.both(func(t target) error {
		_, _, err := t.request("PUT", "/get.bin", "", bytes.NewReader(kilobyte), 1024)
		return err
	}); err != nil {
		return err
	}
	return r.compare("GET 1 KiB, 8 clients", "", 8, 200, func(t target) func(*conn, int64) (int, error) {
		return func(c *conn, _ int64) (int, error) {
			status, _, err := c.do("GET", t.root+"/get.bin", "", 0, nil)
			return status, err
		}
	})
}

func (r *run) propfinds() error {
	const props = `<?xml version="1.0"?><d:propfind xmlns:d="DAV:"><d:prop><d:resourcetype/><d:getlastmodified/><d:getcontentlength/><d:getetag/></d:prop></d:propfind>`
	find := func(path, depth string) func(t target) func(*conn, int64) (int, error) {
		return func(t target) func(*conn, int64) (int, error) {
			return func(c *conn, _ int64) (int, error) {
				status, _, err := c.do("PROPFIND", t.root+path, "Depth: "+depth+"\r\nContent-Type: application/xml\r\n", int64(len(props)), bytes.NewReader([]byte(props)))
				return status, err
			}
		}
	}
	if err := r.compare("PROPFIND 0, 8 clients", "5,000 / 12,000/s", 8, 207, find("/put", "0")); err != nil {
		return err
	}
	for _, n := range []int{10, 1000, 10_000} {
		what := fmt.Sprintf("PROPFIND 1 of %d", n)
		if r.skip(what) {
			continue
		}
		if err := r.both(func(t target) error { return fill(t, fmt.Sprintf("/list%d", n), n) }); err != nil {
			return err
		}
		budget := ""
		if n == 1000 {
			budget = "8 / 4 ms"
		}
		if err := r.compare(what, budget, 1, 207, find(fmt.Sprintf("/list%d", n), "1")); err != nil {
			return err
		}
	}
	return nil
}

// fill makes a folder with n files of 1 KiB.
func fill(t target, dir string, n int) error {
	if err := mkcol(t, dir); err != nil {
		return err
	}
	var first atomic.Int64
	_, err := load(t, 8, time.Hour, int64(n), &first, 201, put(t, func(i int64) string { return fmt.Sprintf("%s/file-%07d.txt", dir, i) }))
	return err
}

// once measures something that is done a few times, in turns.
func (r *run) once(what, budget string, bytes int64, do func(t target, round int) (time.Duration, error)) error {
	if r.skip(what) {
		return nil
	}
	var got [2][]result
	for round := range rounds {
		for i, t := range []target{r.a, r.b} {
			took, err := do(t, round)
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			got[i] = append(got[i], result{rate: 1 / took.Seconds(), p50: took})
		}
	}
	a, b := middle(got[0]), middle(got[1])
	show := func(x result) string {
		if bytes > 0 {
			return fmt.Sprintf("%.0f MB/s", float64(bytes)/1e6*x.rate)
		}
		return short(x.p50)
	}
	r.rows = append(r.rows, row{what, show(a), show(b), a.rate / b.rate, budget})
	return nil
}

func (r *run) large() error {
	size := int64(r.scale(1024)) << 20
	name := fmt.Sprintf("%d MiB", size>>20)
	if err := r.once("PUT "+name, "250 / 400 MB/s", size, func(t target, round int) (time.Duration, error) {
		took, _, err := t.request("PUT", fmt.Sprintf("/large%d", round), "", io.LimitReader(noise{}, size), size)
		return took, err
	}); err != nil {
		return err
	}
	return r.once("GET "+name, "700 / 950 MB/s", size, func(t target, round int) (time.Duration, error) {
		took, n, err := t.request("GET", fmt.Sprintf("/large%d", round), "", nil, 0)
		if err == nil && n != size {
			err = fmt.Errorf("%s sent %d bytes of %d", t.name, n, size)
		}
		return took, err
	})
}

// noise is an endless body that costs nothing to make.
type noise struct{}

func (noise) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		n += copy(p[n:], kilobyte)
	}
	return len(p), nil
}

func (r *run) deep() error {
	return r.once("MKCOL 90 deep", "", 0, func(t target, round int) (time.Duration, error) {
		at := time.Now()
		path := fmt.Sprintf("/deep%d", round)
		for range 90 {
			if err := mkcol(t, path); err != nil {
				return 0, err
			}
			path += "/d"
		}
		return time.Since(at), nil
	})
}

func (r *run) move() error {
	what := fmt.Sprintf("MOVE of a folder with %d files", r.scale(10_000))
	if r.skip(what) {
		return nil
	}
	if err := r.both(func(t target) error { return fill(t, "/move0", r.scale(10_000)) }); err != nil {
		return err
	}
	return r.once(what, "", 0, func(t target, round int) (time.Duration, error) {
		took, _, err := t.request("MOVE", fmt.Sprintf("/move%d", round), fmt.Sprintf("Destination: http://localhost%s/move%d\r\n", t.root, round+1), nil, 0)
		return took, err
	})
}

// siblings shows that a folder's size does not matter to who writes into it.
func (r *run) siblings() error {
	n := r.scale(100_000)
	what := fmt.Sprintf("PUT beside %d siblings, against an empty folder", n)
	if r.skip(what) {
		return nil
	}
	t := r.a
	if err := fill(t, "/many", n); err != nil {
		return err
	}
	if err := mkcol(t, "/few"); err != nil {
		return err
	}
	var many, few []result
	for range rounds {
		for _, dir := range []string{"/many", "/few"} {
			got, err := load(t, 1, r.limit(), 0, &r.first, 201, put(t, func(i int64) string { return fmt.Sprintf("%s/new%d", dir, i) }))
			if err != nil {
				return err
			}
			if dir == "/many" {
				many = append(many, got)
			} else {
				few = append(few, got)
			}
		}
	}
	a, b := middle(many), middle(few)
	r.rows = append(r.rows, row{what, short(a.p50) + " p50", short(b.p50) + " p50 (ours, empty)", float64(b.p50) / float64(a.p50), "1.0"})
	return nil
}

// fill takes in as many files as a sync client might bring.
func (r *run) fill() error {
	if *only != "" {
		return nil
	}
	n := r.scale(100_000)
	if err := mkcol(r.a, "/sync"); err != nil {
		return err
	}
	at := time.Now()
	for i := range 100 {
		if err := fill(r.a, fmt.Sprintf("/sync/%d", i), n/100); err != nil {
			return err
		}
	}
	took := time.Since(at)
	r.filled = r.a.rss()
	r.rows = append(r.rows, row{what: fmt.Sprintf("%d files in 100 folders", n/100*100), a: fmt.Sprintf("%.0f/s", float64(n)/took.Seconds())})
	return nil
}

func (r *run) report() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Performance

Made by `+"`go run ./test/bench -write`"+`: the real binary beside golang.org/x/net/webdav on the same disk, taking turns in the same run, load
client on the same %d cores. Ours checks passwords, keeps versions, computes three checksums and answers only when a write would survive a power cut;
the plain server does none of that. Machines are noisy: read the ratios. Budget: must / aim.

| what | opencloud (p50 / p99) | x/net/webdav | ratio | budget |
| --- | --- | --- | ---: | --- |
`, runtime.NumCPU())
	for _, x := range r.rows {
		ratio := ""
		if x.ratio > 0 {
			ratio = fmt.Sprintf("%.2f", x.ratio)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", x.what, x.a, x.b, ratio, x.budget)
	}
	fmt.Fprintf(&b, `
| whole server | measured | budget |
| --- | ---: | --- |
| durable creates of the disk, 8 writers, the plain way (write, fsync, rename, fsync) | %.0f/s | |
| cold start, from nothing to the first signed-in request | %.2f s | 1 / 0.3 s |
| idle memory | %.0f MB | 100 / 60 MB |
| idle CPU | %.2f %% of a core | 0.5 / 0.1 %% |
`, r.raw, r.start.Seconds(), float64(r.idle)/1e6, r.idled*100)
	if r.filled > 0 {
		fmt.Fprintf(&b, "| memory after all of the above | %.0f MB | |\n", float64(r.filled)/1e6)
	}
	fmt.Fprintf(&b, "| size of the binary | %.1f MB | |\n", float64(fileSize(filepath.Join(r.base, "opencloud")))/1e6)
	return b.String()
}

func fileSize(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}
