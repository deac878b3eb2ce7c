// Package syncclient keeps a local folder in step with a space by what Graph's
// delta tells and by plain GETs of contents, nothing else: if the folder ends
// up equal to the space, the delta is complete. It knows items by their ids,
// so that what was renamed or moved over there is renamed here and not fetched
// again, and it may be stopped anywhere and go on from its state.
//
// It is for tests and no client for people: it goes one way only, does not
// look for what was altered in the folder, though it never writes over what is
// not its own, takes for granted that the local file system holds any name
// that the server has, and does not outlive a power cut.
package syncclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// ErrNoAccess is that the space is not there for the user, or not any more. What
// is in the folder stays.
var ErrNoAccess = errors.New("follow: there is no such space for this user")

// Options say what to keep in step with what.
type Options struct {
	URL            string // of the server, without trailing slash
	User, Password string
	Drive          string // id of the space
	Folder         string // holds what is in the space and nothing else
	State          string // a folder of the client's own, on the same file system
	Top            int    // most items on a page; 0: as many as the server likes
	// Step, if set, is called before each request and each change of a file,
	// with its name. Its error ends everything at once, as if the process had
	// been killed there; it must go on returning one.
	Step func(name string) error
}

// A Client is the only one of its folders. It is not safe for concurrent use.
type Client struct {
	opts Options
	http *http.Client
	s    state
}

// tries is how often to ask anew when something was gone before it was fetched.
const tries = 20

// New goes on from the state that an earlier client left, if there is one.
func New(opts Options) (*Client, error) {
	c := &Client{opts: opts, http: &http.Client{
		Transport: &http.Transport{},
		Timeout:   time.Minute, // who waits longer has found a server that hangs
	}}
	for _, dir := range []string{opts.Folder, c.stage()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	return c, c.load()
}

// Close lets go of the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Sync makes the folder equal to the space as it is at some moment during the
// call. After an error it can be called again and goes on where it was.
func (c *Client) Sync(ctx context.Context) error {
	err := c.sync(ctx)
	return errors.Join(err, c.save())
}

func (c *Client) sync(ctx context.Context) error {
	if c.s.Due {
		if _, err := c.settle(ctx); err != nil {
			return err
		}
	}
	for range tries {
		if err := c.pull(ctx); err != nil {
			return err
		}
		if missing, err := c.settle(ctx); missing == "" || err != nil {
			return err
		}
	}
	return fmt.Errorf("the delta tells of files that cannot be fetched")
}

func (c *Client) step(name string) error {
	if c.opts.Step == nil {
		return nil
	}
	return c.opts.Step(name)
}

func (c *Client) stage() string { return filepath.Join(c.opts.State, "stage") }
