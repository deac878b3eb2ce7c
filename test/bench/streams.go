package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// eventsPath is where the server tells of what happens.
const eventsPath = "/ocs/v2.php/apps/notifications/api/v1/notifications/sse"

// listen opens a stream of events, and returns when it has begun.
func listen(t target) (*bufio.Reader, net.Conn, error) {
	c, err := net.Dial("tcp", t.addr)
	if err != nil {
		return nil, nil, err
	}
	auth := base64.StdEncoding.EncodeToString([]byte(t.user + ":" + t.password))
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic %s\r\n\r\n", eventsPath, auth); err != nil {
		return nil, nil, err
	}
	in := bufio.NewReaderSize(c, 1024)
	for i := 0; ; i++ {
		line, err := in.ReadString('\n')
		if err != nil || i == 0 && !strings.Contains(line, " 200 ") {
			return nil, nil, fmt.Errorf("a stream of events: %s, %v", strings.TrimSpace(line), err)
		}
		if strings.HasPrefix(line, ":") {
			return in, c, nil
		}
	}
}

// event reads up to the end of the next event.
func event(in *bufio.Reader) error {
	for {
		line, err := in.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "data:") {
			return err
		}
	}
}

// streams says what it costs that many listen, and how soon they hear.
func (r *run) streams() error {
	if r.skip("stream") {
		return nil
	}
	writer, err := dial(r.a.addr, r.a.user, r.a.password)
	if err != nil {
		return err
	}
	defer writer.Close()
	in, first, err := listen(r.a)
	if err != nil {
		return err
	}
	defer first.Close()
	body := strings.NewReader(strings.Repeat("x", 1024))
	write := func(i int) error {
		body.Seek(0, io.SeekStart)
		status, _, err := writer.do("PUT", fmt.Sprintf("%s/event%d", r.a.root, i), "", 1024, body)
		if err == nil && status != 201 {
			err = fmt.Errorf("PUT answered %d", status)
		}
		return err
	}
	var took []time.Duration
	for i := range 200 {
		at := time.Now()
		if err := write(i); err != nil {
			return err
		}
		if err := event(in); err != nil {
			return err
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	r.rows = append(r.rows, row{what: "PUT 1 KiB until another browser has the event", a: short(took[len(took)/2]) + " / " + short(took[len(took)*99/100]), budget: "250 / 50 ms p95"})

	n := r.scale(10_000)
	before := r.a.rss()
	open := make([]*bufio.Reader, 0, n)
	for range n {
		in, c, err := listen(r.a)
		if err != nil {
			return err
		}
		defer c.Close()
		open = append(open, in)
	}
	more := r.a.rss() - before
	cpu, at := r.a.cpu(), time.Now()
	<-time.After(2 * r.limit()) // the measure itself: what they use while nothing happens
	idle := float64(r.a.cpu()-cpu) / float64(time.Since(at))
	at = time.Now()
	if err := write(len(took)); err != nil {
		return err
	}
	for _, in := range open {
		if err := event(in); err != nil {
			return err
		}
	}
	all := time.Since(at)
	r.rows = append(r.rows,
		row{what: fmt.Sprintf("memory of %d open streams of events", n), a: fmt.Sprintf("%.0f MB, %.2f %% of a core", float64(more)/1e6, idle*100), budget: "200 MB"},
		row{what: fmt.Sprintf("one PUT until %d streams of one user have the event", n), a: short(all)})
	return nil
}
