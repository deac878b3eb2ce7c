package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// A front is what every request passes first: it gives it an id and a place
// in the log, takes the base path off, finds the route and the caller, and
// holds what goes wrong.
type front struct {
	site    *httpx.Site
	log     *slog.Logger
	routes  []Route
	headers map[string][]string // of every answer, unless the handler has better ones
	trusted []netip.Prefix
	stall   time.Duration
	cross   *http.CrossOriginProtection
	metrics *metrics
	running sync.WaitGroup
}

func newFront(s *System, table []Route, m *metrics) (*front, error) {
	f := &front{
		site:    &httpx.Site{URL: s.Config.Site(), Challenges: s.Auth.Challenges()},
		log:     s.Log,
		headers: securityHeaders(s.Config.Site()),
		stall:   s.Config.Proxy.Stall,
		cross:   http.NewCrossOriginProtection(),
		metrics: m,
	}
	if err := f.cross.AddTrustedOrigin(f.site.URL.Scheme + "://" + f.site.URL.Host); err != nil {
		return nil, cloud.Refuse(cloud.Invalid, "The address %q (OC_URL) cannot be an origin: %v.", f.site.URL, err)
	}
	for _, text := range s.Config.Proxy.Trusted {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, aerr := netip.ParseAddr(text)
			if aerr != nil {
				return nil, cloud.Refuse(cloud.Invalid, "The trusted proxy %q (PROXY_TRUSTED_PROXIES) is neither an address nor a network such as 10.0.0.0/8.", text)
			}
			p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		f.trusted = append(f.trusted, p.Masked())
	}
	f.routes = byLength(table)
	for i := range f.routes {
		rt := &f.routes[i]
		rt.Handler = s.Auth.Wrap(f.inner(rt.Handler, rt.Open, !slices.Contains(crossing, rt.Path), rt.Fail), rt.Open, rt.Fail)
	}
	return f, nil
}

// inner is what stands between auth and a handler.
func (f *front) inner(next http.Handler, open, own bool, fail httpx.Fail) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if x, ok := w.(*exchange); ok {
			if c := cloud.CallerFrom(r.Context()); c.User != nil {
				x.user = c.User.Name
			} else if c.Visitor != nil {
				x.user = "link:" + string(c.Visitor.Share)
			}
		}
		// A browser sends Basic credentials by itself, also when the page of
		// somebody else asks it to.
		if err := f.cross.Check(r); own && err != nil {
			fail(w, r, cloud.Refuse(cloud.Permission, "Pages of other sites may not do this."))
			return
		}
		if !open {
			w.Header().Set("Cache-Control", "private, no-store")
		}
		next.ServeHTTP(w, r)
	})
}

func securityHeaders(site *url.URL) map[string][]string {
	h := map[string][]string{
		"Content-Security-Policy":           {"default-src 'none'; frame-ancestors 'self'"},
		"Referrer-Policy":                   {"same-origin"},
		"X-Content-Type-Options":            {"nosniff"},
		"X-Frame-Options":                   {"SAMEORIGIN"},
		"X-Permitted-Cross-Domain-Policies": {"none"},
		"X-Robots-Tag":                      {"none"},
	}
	if site.Scheme == "https" {
		h["Strict-Transport-Security"] = []string{"max-age=31536000"}
	}
	return h
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.running.Add(1)
	defer f.running.Done()
	x := &exchange{ResponseWriter: w, start: time.Now(), stall: f.stall, http2: r.ProtoMajor == 2}
	id := requestID(r)
	x.request = httpx.Request{ID: id, Log: slog.New(&withID{f.log.Handler(), id}), Site: f.site}
	h := w.Header()
	for name, value := range f.headers {
		h[name] = value
	}
	h["X-Request-Id"] = []string{id}
	r = r.WithContext(httpx.With(r.Context(), &x.request))
	r.RemoteAddr = f.client(r)
	defer f.done(x, r)
	if r.Body != nil && r.Body != http.NoBody {
		b := &body{ReadCloser: r.Body, control: http.NewResponseController(w), stall: f.stall}
		b.arm()
		r.Body = b
	}
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), f.site.Base())
	if path == "" {
		path = "/"
	}
	if !ok || path[0] != '/' {
		x.fail(r, cloud.Refuse(cloud.NotExist, "There is nothing here. This server answers below %s/.", f.site.Base()))
		return
	}
	if f.site.Base() != "" {
		u := *r.URL
		u.RawPath = path
		u.Path, _ = url.PathUnescape(path) // a suffix of what was parsed already
		r.URL = &u
	}
	for i := range f.routes {
		if rt := &f.routes[i]; rt.matches(r.Method, path) {
			x.route = rt
			rt.Handler.ServeHTTP(x, r)
			return
		}
	}
	x.fail(r, cloud.NotExist)
}

// done is deferred: it holds a panic, and writes the log and the metrics.
func (f *front) done(x *exchange, r *http.Request) {
	p := recover()
	if p != nil && p != http.ErrAbortHandler {
		f.metrics.panics.Inc()
		x.request.Log.Error("panic", "panic", p, "method", r.Method, "path", httpx.LogPath(r), "stack", string(debug.Stack()))
		if x.status == 0 {
			x.fail(r, cloud.Other)
			p = nil
		} else {
			p = http.ErrAbortHandler // so that half an answer is not taken for a whole one
		}
	}
	if x.status == 0 {
		x.status = http.StatusOK // what net/http makes of silence
	}
	took := time.Since(x.start)
	f.metrics.observe(r.Method, x.status, took)
	if f.log.Enabled(r.Context(), slog.LevelInfo) {
		x.request.Log.LogAttrs(r.Context(), slog.LevelInfo, "request",
			slog.String("method", r.Method), slog.String("path", httpx.LogPath(r)), slog.Int("status", x.status),
			slog.Int64("bytes", x.bytes), slog.Float64("ms", float64(took.Microseconds())/1000), slog.String("from", r.RemoteAddr),
			slog.String("user", x.user), slog.String("proto", r.Proto), slog.Bool("whole", p == nil))
	}
	if p != nil {
		panic(p)
	}
}

// wait waits until no request is running, at most for d.
func (f *front) wait(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	idle := make(chan struct{})
	go func() {
		f.running.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
		f.log.Warn("requests are still running")
	}
}

// requestID is the client's if it can stand in a log and a header, else a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if id == "" || len(id) > 128 {
		return cloud.NewUUID().String()
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("-_.:/+=", rune(c)) {
			return cloud.NewUUID().String()
		}
	}
	return id
}

// client is the address of who asks: the peer of the connection or, when that
// is a trusted proxy, the last one that X-Forwarded-For names before the
// trusted ones. It has a port, 0 if unknown.
func (f *front) client(r *http.Request) string {
	if len(f.trusted) == 0 {
		return r.RemoteAddr
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !f.trusts(peer.Addr()) {
		return r.RemoteAddr
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	at := peer
	for i := len(hops) - 1; i >= 0 && f.trusts(at.Addr()); i-- {
		a, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		at = netip.AddrPortFrom(a, 0)
	}
	return at.String()
}

func (f *front) trusts(a netip.Addr) bool {
	for _, p := range f.trusted {
		if p.Contains(a.Unmap().WithZone("")) {
			return true
		}
	}
	return false
}
