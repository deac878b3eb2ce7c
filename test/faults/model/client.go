package model

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
)

// A Client makes one request at a time, so that at most one is in flight when
// the server dies. It is not safe for concurrent use.
type Client struct {
	world *World
	name  string
	rnd   *rand.Rand
	now   *State
	may   []*State // when the last request got no answer: what may be
	past  []moment
	acked map[string]int
	made  uint64 // contents so far
}

// A moment is one request, by Position.
type moment struct {
	what        string
	sent, acked int // acked is -1 when no answer came
	may         []*State
	after       *State
}

// A step is a request and what it means.
type step struct {
	what   string
	method string
	url    string
	header []string
	body   []byte
	want   []int
	// done is the state once the answer has come.
	done func(http.Header, []byte) (*State, error)
	// lost are the states in which things may be without an answer: the
	// first is that in which nothing has happened.
	lost []*State
}

func (s *step) String() string {
	to := ""
	for i := 0; i+1 < len(s.header); i += 2 {
		if s.header[i] == "Destination" {
			to = " to " + s.header[i+1]
		}
	}
	return fmt.Sprintf("%s: %s %s%s, %d bytes", s.what, s.method, s.url, to, len(s.body))
}

// A Load says how long to go on.
type Load struct {
	Acks int // acknowledged requests, of all clients together
	// Cut, if set, is called when there are so many, and ends the server
	// while requests are under way.
	Cut func()
	// Put up with these statuses: what they leave behind is looked up, and
	// must be one of the states that a request without answer may leave...
	Tolerate []int
	// ...but after these, of a request that changes one thing, nothing may
	// have changed.
	Strict []int
	// Calm, if set, is called before something is looked up, and what it
	// returns, after.
	Calm func() (over func())
}

// Run has all clients at work at once. It returns when they have stopped,
// with the first thing that was not as it should be.
func (w *World) Run(ctx context.Context, srv *Server, load Load) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wg    sync.WaitGroup
		acks  atomic.Int64
		stop  atomic.Bool
		cut   = make(chan struct{})
		first sync.Once
	)
	for _, c := range w.Clients {
		wg.Go(func() {
			for !stop.Load() && ctx.Err() == nil {
				s, err := c.next(ctx, srv)
				var no *refusal
				if err == nil {
					err = c.do(ctx, srv, s, &load)
				} else if errors.As(err, &no) && (no.in(load.Tolerate) || no.in(load.Strict)) {
					err = nil // only a question
				}
				var gone *silence
				switch {
				case err == nil:
				case stop.Load() && load.Cut != nil && errors.As(err, &gone):
					return // the server is gone, as it was meant to be
				default:
					cancel(fmt.Errorf("client %s: %w", c.name, err))
					return
				}
				if acks.Add(1) >= int64(load.Acks) {
					stop.Store(true)
					first.Do(func() { close(cut) })
				}
			}
		})
	}
	if load.Cut != nil {
		select {
		case <-cut:
			load.Cut()
		case <-ctx.Done():
		}
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (c *Client) position() int {
	if c.world.Position == nil {
		return 0
	}
	return c.world.Position()
}

// remember keeps what happened, if anybody will ask.
func (c *Client) remember(m moment) {
	if c.world.Position != nil {
		c.past = append(c.past, m)
	}
}

func (c *Client) count(what string) {
	if c.acked == nil {
		c.acked = map[string]int{}
	}
	c.acked[what]++
}

func (c *Client) do(ctx context.Context, srv *Server, s step, load *Load) error {
	w := c.world
	w.quiet.RLock()
	sent := c.position()
	resp, body, err := srv.request(ctx, s.method, s.url, s.body, s.header...)
	acked := c.position()
	w.quiet.RUnlock()
	if err != nil {
		c.may = s.lost
		c.remember(moment{s.String(), sent, -1, s.lost, nil})
		return err
	}
	ok := false
	for _, want := range s.want {
		ok = ok || resp.StatusCode == want
	}
	if !ok {
		no := &refusal{s.what + ": " + s.method + " " + s.url, resp.StatusCode, string(body)}
		may := s.lost
		switch {
		case no.in(load.Strict) && len(may) == 2:
			may = may[:1]
		case !no.in(load.Strict) && !no.in(load.Tolerate):
			c.may = may
			return no
		}
		c.count(strconv.Itoa(no.status))
		w.quiet.Lock()
		defer w.quiet.Unlock()
		if load.Calm != nil {
			over := load.Calm()
			defer over()
		}
		c.may = may
		if err := w.resumeOne(ctx, srv, c); err != nil {
			return fmt.Errorf("after %w\n%w", no, err)
		}
		return nil
	}
	after, err := s.done(resp.Header, body)
	if err != nil {
		return fmt.Errorf("%s: %s %s: %w", s.what, s.method, s.url, err)
	}
	c.now = after
	c.count(s.what)
	c.remember(moment{s.String(), sent, acked, s.lost, after})
	return nil
}
