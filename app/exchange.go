package app

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// An exchange is a request on its way through the front: the ResponseWriter
// that handlers get, and what is known of it for the log.
type exchange struct {
	http.ResponseWriter
	request httpx.Request
	route   *Route
	user    string
	start   time.Time
	status  int // 0: nothing sent yet
	bytes   int64

	http2 bool
	stall time.Duration
	next  time.Time // when to move the deadline of writes
}

// fail answers the way of the route, if one was found.
func (x *exchange) fail(r *http.Request, err error) {
	if x.route != nil {
		x.route.Fail(x, r, err)
		return
	}
	httpx.WriteText(x, r, err)
}

func (x *exchange) WriteHeader(status int) {
	if status >= 200 && x.status == 0 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(p []byte) (int, error) {
	x.writing()
	n, err := x.ResponseWriter.Write(p)
	x.bytes += int64(n)
	return n, err
}

// ReadFrom keeps the way from file to socket that the kernel takes by itself.
func (x *exchange) ReadFrom(src io.Reader) (n int64, err error) {
	if rf, ok := x.ResponseWriter.(io.ReaderFrom); ok {
		x.writing()
		n, err = rf.ReadFrom(src)
		x.bytes += n
		return n, err
	}
	return io.Copy(struct{ io.Writer }{x}, src)
}

// writing moves the deadline of an HTTP/2 stream whose client may have
// stopped reading. HTTP/1 has conn for that.
func (x *exchange) writing() {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	if !x.http2 || x.stall <= 0 {
		return
	}
	if now := time.Now(); now.After(x.next) {
		x.next = now.Add(x.stall / 4)
		http.NewResponseController(x.ResponseWriter).SetWriteDeadline(now.Add(x.stall))
	}
}

// FlushError, Flush and Unwrap are for http.ResponseController and those that
// ask for a Flusher.
func (x *exchange) FlushError() error {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return http.NewResponseController(x.ResponseWriter).Flush()
}

func (x *exchange) Flush() { x.FlushError() }

func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// body is a request's body that may take hours but not stand still.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	next    time.Time // when to move the deadline
}

// arm moves the deadline ahead. It is called before the handler, too: what a
// handler leaves unread net/http reads, to keep the connection.
func (b *body) arm() {
	if b.stall <= 0 {
		return
	}
	if now := time.Now(); now.After(b.next) {
		b.next = now.Add(b.stall / 4)
		b.control.SetReadDeadline(now.Add(b.stall))
	}
}

func (b *body) Read(p []byte) (int, error) {
	b.arm()
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	if err == io.EOF && b.stall > 0 {
		// While the answer is made nothing is read, and that is no stall.
		b.control.SetReadDeadline(time.Time{})
	}
	// What goes wrong from here is the client's doing.
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = &cloud.Error{Kind: cloud.Invalid, Say: "The transfer stood still for too long.", Err: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = &cloud.Error{Kind: cloud.Invalid, Say: "The body ended too early.", Err: err}
	}
	return n, err
}
