package app

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Bounds on what a client can make the server hold.
const (
	maxHeader  = 64 << 10 // bytes
	maxStreams = 250      // requests at a time on one HTTP/2 connection
	headerTime = 20 * time.Second
	idleTime   = 3 * time.Minute
)

// A server speaks HTTP/1.1 and HTTP/2, with TLS or without.
type server struct {
	http  *http.Server
	tls   *tls.Config // nil: plain
	stall time.Duration
}

func newServer(s *System, h http.Handler) (*server, error) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	srv := &server{stall: s.Config.Proxy.Stall, http: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		Protocols:         protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: 1 << 20, MaxReceiveBufferPerConnection: 4 << 20},
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug), // handshakes that fail, and the like
	}}
	if !s.Config.Proxy.TLS {
		protocols.SetUnencryptedHTTP2(true)
		return srv, nil
	}
	if s.Config.Site().Scheme == "http" {
		s.Log.Warn("OC_URL sends clients to http, but this server speaks HTTPS: correct it, or set PROXY_TLS=false", "url", s.Config.URL)
	}
	certs, err := newCertificates(s.Config, s.Log)
	if err != nil {
		return nil, err
	}
	srv.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certs.current, NextProtos: []string{"h2", "http/1.1"}}
	return srv, nil
}

func (s *server) serve(l net.Listener) error {
	l = &stallListener{l, s.stall}
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
	}
	return s.http.Serve(l)
}

// stop lets running requests end, and cuts them after d. Uploads that are cut
// can be resumed: what arrived is kept.
func (s *server) stop(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
}

// stallListener makes connections on which a write does not wait forever for
// a peer that has stopped reading.
type stallListener struct {
	net.Listener
	stall time.Duration
}

func (l *stallListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if t, ok := c.(*net.TCPConn); ok && l.stall > 0 {
		return &conn{TCPConn: t, stall: l.stall, start: time.Now()}, nil
	}
	return c, nil
}

// conn moves the deadline of writes ahead as long as there is progress. The
// deadlines of reads are net/http's business, and body's.
type conn struct {
	*net.TCPConn
	stall time.Duration
	start time.Time
	next  atomic.Int64 // nanoseconds since start, when to move the deadline
}

func (c *conn) arm() {
	now := time.Since(c.start)
	if int64(now) >= c.next.Load() {
		c.next.Store(int64(now + c.stall/4))
		c.TCPConn.SetWriteDeadline(c.start.Add(now + c.stall))
	}
}

func (c *conn) Write(p []byte) (int, error) {
	c.arm()
	return c.TCPConn.Write(p)
}

// portion is what ReadFrom hands to the kernel at once: more than a stalled
// client's window, little enough for the slowest link within a deadline.
const portion = 1 << 20

// ReadFrom sends files without copying them, portion by portion. A
// LimitedReader must be taken apart: the kernel's way knows one, not two.
func (c *conn) ReadFrom(src io.Reader) (n int64, err error) {
	left := int64(math.MaxInt64)
	limited, ok := src.(*io.LimitedReader)
	if ok {
		src, left = limited.R, limited.N
	}
	for left > 0 {
		c.arm()
		part := io.LimitedReader{R: src, N: min(left, portion)}
		want := part.N
		m, err := c.TCPConn.ReadFrom(&part)
		n += m
		left -= m
		if ok {
			limited.N -= m
		}
		if err != nil || m < want {
			return n, err
		}
	}
	return n, nil
}

// Whoever sets a deadline of writes ends ours; the next write sets it again.

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.next.Store(0)
	return c.TCPConn.SetWriteDeadline(t)
}

func (c *conn) SetDeadline(t time.Time) error {
	c.next.Store(0)
	return c.TCPConn.SetDeadline(t)
}
