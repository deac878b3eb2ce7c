// Package sse tells browsers what happens while it happens: one answer that
// never ends, of server-sent events (HTML Standard, section 9.2). It turns
// cloud.Notice into the names and keys that clients know. Who hears of what is
// decided behind cloud.Changes, and notices for people are not its business.
package sse

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Options of the streams.
type Options struct {
	Disabled  bool          `yaml:"disabled" env:"OC_DISABLE_SSE;FRONTEND_DISABLE_SSE" default:"false" doc:"Do not tell clients of changes as they happen; they ask now and then instead."`
	KeepAlive time.Duration `yaml:"keepalive_interval" env:"SSE_KEEPALIVE_INTERVAL" default:"30s" doc:"How often a stream on which nothing happens gets a comment, so that no proxy takes it for dead; 0 is never."`
	Streams   int           `yaml:"max_streams" env:"SSE_MAX_STREAMS" default:"50" doc:"Streams that one user can have open at a time."`

	// Alive is asked now and then whether the credentials of a request are
	// still good; nil: they are.
	Alive func(r *http.Request) error `yaml:"-"`
}

const (
	// checkEvery is how often who listens is asked for when there are no
	// comments to send.
	checkEvery = time.Minute
	// writeTime is how long a client may take to make room for an event.
	writeTime = 30 * time.Second
)

// A Handler serves streams until Close.
type Handler struct {
	changes cloud.Changes
	opts    Options
	life    context.Context
	end     context.CancelFunc
	taken   sync.WaitGroup // streams on connections that were taken over

	mu      sync.Mutex
	streams map[cloud.UserID]int
}

// New serves GET. The caller must already be in the context.
func New(changes cloud.Changes, opts Options) *Handler {
	h := &Handler{changes: changes, opts: opts, streams: map[cloud.UserID]int{}}
	h.life, h.end = context.WithCancel(context.Background())
	return h
}

// Close ends all streams at once, and those that begin later.
func (h *Handler) Close() {
	h.end()
	h.taken.Wait()
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		httpx.WriteOCS(w, r, http.StatusMethodNotAllowed, http.StatusMethodNotAllowed, "Events are for GET.", nil)
		return
	}
	c := cloud.CallerFrom(r.Context())
	if c.User == nil || c.Visitor != nil { // there is nobody to tell anything
		httpx.FailOCS(w, r, cloud.Unauthorized)
		return
	}
	leave, ok := h.enter(c.ID())
	if !ok {
		httpx.FailOCS(w, r, cloud.Refuse(cloud.Throttled, "There are too many open streams. Close some first."))
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream") // to the letter: clients compare
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // for a proxy that would gather an answer first
	s := &stream{caller: c, log: httpx.From(r.Context()).Log, after: lastEvent(r)}
	if h.takeOver(w, r, s, leave) {
		return
	}
	defer leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.life, cancel)()
	s.out = &response{w, http.NewResponseController(w)}
	h.serve(ctx, r, s)
}

// enter takes one of the streams that a user can have.
func (h *Handler) enter(id cloud.UserID) (leave func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[id] >= h.opts.Streams {
		return nil, false
	}
	h.streams[id]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.streams[id]--; h.streams[id] == 0 {
			delete(h.streams, id)
		}
	}, true
}

// lastEvent is what a client says that it heard last; 0 for one that is new.
// What we have not given out leads to a gap.
func lastEvent(r *http.Request) cloud.Cursor {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		n = math.MaxUint64
	}
	return cloud.Cursor(n)
}

// serve tells of what happens until the client is gone, or may hear no more.
func (h *Handler) serve(ctx context.Context, r *http.Request, s *stream) {
	err := h.run(ctx, r, s)
	switch {
	case err == nil || ctx.Err() != nil:
	case cloud.KindOf(err) == cloud.Unauthorized:
		s.out.send(s.goodbye())
	default:
		s.log.Error("a stream of events has ended", "error", err)
	}
}

// run has no error when the client is gone: there is nobody to tell.
func (h *Handler) run(ctx context.Context, r *http.Request, s *stream) error {
	checked, began := time.Now(), false
	beat := cmp.Or(h.opts.KeepAlive, checkEvery)
	for n, err := range h.changes.Watch(ctx, s.after, beat) {
		if err != nil {
			return err
		}
		if now := time.Now(); h.opts.Alive != nil && (n.Record == nil || now.Sub(checked) > time.Second) {
			if err := h.opts.Alive(r); err != nil {
				return err
			}
			checked = now
		}
		var b []byte
		switch {
		case n.Record != nil || n.Gap:
			b = s.events(n)
		case h.opts.KeepAlive > 0 || !began:
			b = []byte(":\n\n")
		}
		began = true
		if len(b) > 0 && s.out.send(b) != nil {
			return nil
		}
	}
	return nil
}

// A stream is the answer to one client.
type stream struct {
	caller cloud.Caller
	log    *slog.Logger
	after  cloud.Cursor // what the client has heard
	out    output
	buf    bytes.Buffer
}

// An output sends something to a client now. It fails when the client is gone,
// or does not read.
type output interface{ send(b []byte) error }

// A response is an output that net/http takes care of.
type response struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (r *response) send(b []byte) error {
	// Not every ResponseWriter has deadlines, such as that of a test.
	r.control.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := r.Write(b)
	if err == nil {
		err = r.control.Flush()
	}
	// Until there is something to write, standing still is what a stream does.
	r.control.SetWriteDeadline(time.Time{})
	return err
}
