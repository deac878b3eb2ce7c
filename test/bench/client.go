package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A conn is a load client that costs next to nothing itself: client and
// servers share the machine's two cores.
type conn struct {
	net.Conn
	r    *bufio.Reader
	auth string
	buf  []byte
}

func dial(addr, user, password string) (*conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	auth := ""
	if user != "" {
		auth = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + "\r\n"
	}
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 64<<10), auth: auth}, nil
}

// do sends a request and reads the answer to its end; more headers end in CRLF.
func (c *conn) do(method, path, headers string, size int64, body io.Reader) (status int, n int64, err error) {
	c.buf = append(c.buf[:0], method...)
	c.buf = append(c.buf, ' ')
	c.buf = append(c.buf, path...)
	c.buf = append(c.buf, " HTTP/1.1\r\nHost: localhost\r\n"...)
	c.buf = append(c.buf, c.auth...)
	c.buf = append(c.buf, headers...)
	if body != nil {
		c.buf = append(c.buf, "Content-Length: "...)
		c.buf = strconv.AppendInt(c.buf, size, 10)
		c.buf = append(c.buf, "\r\n"...)
	}
	c.buf = append(c.buf, "\r\n"...)
	if b, ok := body.(*bytes.Reader); ok && size < 64<<10 {
		at := len(c.buf)
		c.buf = slices.Grow(c.buf, int(size))[:at+int(size)]
		io.ReadFull(b, c.buf[at:])
		body = nil
	}
	if _, err := c.Write(c.buf); err != nil {
		return 0, 0, err
	}
	if body != nil {
		if _, err := io.Copy(c.Conn, body); err != nil {
			return 0, 0, err
		}
	}
	return c.answer(method)
}

func (c *conn) answer(method string) (status int, n int64, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if len(line) < 12 {
		return 0, 0, errors.New("no status line")
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, err
	}
	length, chunked := int64(0), false
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if v, ok := header(line, "Content-Length:"); ok {
			if length, err = strconv.ParseInt(v, 10, 64); err != nil {
				return 0, 0, err
			}
		}
		if v, ok := header(line, "Transfer-Encoding:"); ok {
			chunked = v == "chunked"
		}
	}
	if method == "HEAD" || status == 204 || status == 304 {
		return status, 0, nil
	}
	if !chunked {
		n, err := io.CopyN(io.Discard, c.r, length)
		return status, n, err
	}
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 64)
		if err != nil {
			return 0, 0, err
		}
		m, err := io.CopyN(io.Discard, c.r, size+2)
		if err != nil {
			return 0, 0, err
		}
		if n += m - 2; size == 0 {
			return status, n, nil
		}
	}
}

func header(line []byte, name string) (string, bool) {
	if len(line) < len(name) || !strings.EqualFold(string(line[:len(name)]), name) {
		return "", false
	}
	return string(bytes.TrimSpace(line[len(name):])), true
}

// A result is what a run of many requests came to.
type result struct {
	rate     float64 // a second
	p50, p99 time.Duration
}

// load lets clients make requests, numbered from first, until the time or the
// count is up. Any status that is not want ends the whole bench: a fast
// failure is no speed.
func load(t target, clients int, limit time.Duration, count int64, first *atomic.Int64, want int, request func(c *conn, i int64) (int, error)) (result, error) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		all   []time.Duration
		fails []error
		done  atomic.Int64
	)
	began := time.Now()
	for range clients {
		c, err := dial(t.addr, t.user, t.password)
		if err != nil {
			return result{}, err
		}
		defer c.Close()
		wg.Go(func() {
			var mine []time.Duration
			for time.Since(began) < limit && (count == 0 || done.Add(1) <= count) {
				at := time.Now()
				status, err := request(c, first.Add(1))
				if err == nil && status != want {
					err = fmt.Errorf("%s answered %d, not %d", t.name, status, want)
				}
				mine = append(mine, time.Since(at))
				if err != nil {
					mu.Lock()
					fails = append(fails, err)
					mu.Unlock()
					return
				}
			}
			mu.Lock()
			all = append(all, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	took := time.Since(began)
	if len(fails) > 0 {
		return result{}, fails[0]
	}
	slices.Sort(all)
	return result{float64(len(all)) / took.Seconds(), all[len(all)/2], all[len(all)*99/100]}, nil
}

// best is the result in the middle of several.
func middle(rs []result) result {
	slices.SortFunc(rs, func(a, b result) int { return int(a.rate - b.rate) })
	return rs[len(rs)/2]
}
