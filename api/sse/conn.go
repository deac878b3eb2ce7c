package sse

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"opencloud/cloud"
)

// takeOver has the stream on the bare connection, if it is one of HTTP/1: of
// the 35 kB that net/http and all that is called before us hold for a request
// a stream needs next to nothing, and most of them do nothing most of the time.
// Nothing else can come on the connection afterwards.
func (h *Handler) takeOver(w http.ResponseWriter, r *http.Request, s *stream, leave func()) bool {
	if r.ProtoMajor != 1 {
		return false
	}
	h.mu.Lock() // so that nothing begins when Close waits
	defer h.mu.Unlock()
	if h.life.Err() != nil {
		return false
	}
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 200 OK\r\n")
	header := w.Header()
	header.Set("Connection", "close")
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	header.Write(&head)
	head.WriteString("\r\n")
	ctx, cancel := context.WithCancel(cloud.WithCaller(h.life, s.caller))
	// What is asked about the request later, and not more of it.
	ask := (&http.Request{Method: r.Method, URL: r.URL, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header: http.Header{"Authorization": r.Header["Authorization"]}, Host: r.Host, RemoteAddr: r.RemoteAddr, Body: http.NoBody}).WithContext(ctx)
	s.out = &bare{c, head.Bytes()}
	h.taken.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				s.log.Error("panic", "panic", p, "stack", string(debug.Stack()))
			}
			cancel()
			c.Close()
			leave()
		}()
		h.serve(ctx, ask, s)
	})
	// A client has nothing more to say: what can be read is its end.
	h.taken.Go(func() {
		var b [1]byte
		c.Read(b[:])
		cancel()
	})
	context.AfterFunc(ctx, func() { c.SetDeadline(time.Now()) }) // for who waits in a Read or a Write
	return true
}

// bare is an output on a connection of its own.
type bare struct {
	net.Conn
	head []byte // goes out with what is sent first
}

func (c *bare) send(b []byte) error {
	c.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := c.Write(append(c.head, b...))
	c.head = nil
	return err
}
