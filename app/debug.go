package app

import (
	"crypto/subtle"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"opencloud/cloud"
	"opencloud/config"
)

// metrics is what Prometheus is told of the front.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	errors   *prometheus.CounterVec
	duration *prometheus.HistogramVec
	panics   prometheus.Counter
}

func newMetrics() *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "opencloud", Subsystem: "proxy", Name: name, Help: help}
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts(opts("requests_total", "Requests answered.")), []string{"method", "status"}),
		errors:   prometheus.NewCounterVec(prometheus.CounterOpts(opts("errors_total", "Requests answered with a status of 500 or more.")), []string{"method"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "opencloud", Subsystem: "proxy", Name: "duration_seconds", Help: "Time from the request's header to the end of the answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60, 600},
		}, []string{"method"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts(opts("panics_total", "Requests that ended in a defect of the server."))),
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("build_info", "Which version runs; always 1.")), []string{"version"})
	info.WithLabelValues(Version).Set(1)
	m.registry.MustRegister(m.requests, m.errors, m.duration, m.panics, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) observe(method string, status int, took time.Duration) {
	switch method {
	case "GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PROPPATCH",
		"MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH":
	default: // clients may invent any number of them
		method = "other"
	}
	m.requests.WithLabelValues(method, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(method).Observe(took.Seconds())
	if status >= 500 {
		m.errors.WithLabelValues(method).Inc()
	}
}

// debugServer is for operators and their tools, at an address of its own.
type debugServer struct {
	server *http.Server
	store  atomic.Pointer[cloud.Store] // nil: not ready
}

func newDebug(opts config.Debug, m *metrics, log *slog.Logger) *debugServer {
	d := &debugServer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "OK") })
	mux.HandleFunc("GET /readyz", d.readyz)
	guarded := func(h http.Handler) http.Handler {
		want := []byte("Bearer " + opts.Token)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if opts.Token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
				w.Header().Set("WWW-Authenticate", "Bearer")
				say(w, http.StatusUnauthorized, "This needs the token of PROXY_DEBUG_TOKEN.")
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	mux.Handle("GET /metrics", guarded(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})))
	if opts.PProf {
		mux.Handle("/debug/pprof/", guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch strings.TrimPrefix(r.URL.Path, "/debug/pprof/") {
			case "profile":
				pprof.Profile(w, r)
			case "trace":
				pprof.Trace(w, r)
			case "symbol":
				pprof.Symbol(w, r)
			case "cmdline": // arguments may hold a password
				http.NotFound(w, r)
			default:
				pprof.Index(w, r)
			}
		})))
	}
	d.server = &http.Server{
		Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return d
}

// ready and stop change what /readyz says.
func (d *debugServer) ready(store cloud.Store) { d.store.Store(&store) }
func (d *debugServer) stop()                   { d.store.Store(nil) }

func (d *debugServer) readyz(w http.ResponseWriter, r *http.Request) {
	store := d.store.Load()
	if store == nil {
		say(w, http.StatusServiceUnavailable, "The server is starting or stopping.")
		return
	}
	if *store != nil {
		if _, err := (*store).Free(r.Context()); err != nil {
			say(w, http.StatusServiceUnavailable, "The storage does not answer: "+err.Error())
			return
		}
	}
	say(w, http.StatusOK, "OK")
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text+"\n")
}
