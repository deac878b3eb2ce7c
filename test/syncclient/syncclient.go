// Package syncclient keeps a local folder in step with a drive through Graph
// delta alone: it downloads what is new, renames by id what has moved, and
// removes what is gone. It is a test of the change feed and its documentation
// by example, not a client for people: it never uploads, and what somebody
// changes in the folder is lost.
//
// Its test lets the server be killed over and over under load, while it syncs,
// and then demands that the folder is the tree, to the byte, and that it never
// had to start over. The short form is part of go test; a long one is
//
//	go test -v -timeout 1h -rounds 200 opencloud/test/syncclient
package syncclient

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Client syncs one drive into one folder. It is for one goroutine.
type Client struct {
	Listings int // how often it had to ask for all there is
	Fetched  int // files that it has downloaded

	first          string // the link to begin with
	user, password string
	dir, file      string // the folder, and where the state is kept
	http           http.Client
	state          state
}

// state is what a client knows, and keeps when it ends.
type state struct {
	Link  string          // what is different since
	Items map[string]item // by id: what there is
	Have  map[string]had  // files by id: what is in the folder
}

// An item is of a driveItem what this client wants to know.
type item struct {
	ID      string              `json:"id"`
	Name    string              `json:"name"`
	ETag    string              `json:"eTag"`
	URL     string              `json:"webDavUrl"`
	Parent  struct{ ID string } `json:"parentReference"`
	Root    *struct{}           `json:"root,omitempty"`
	Folder  *struct{}           `json:"folder,omitempty"`
	Deleted *struct{}           `json:"deleted,omitempty"`
	File    *struct {
		Hashes struct {
			SHA1 string `json:"sha1Hash"`
		} `json:"hashes"`
	} `json:"file,omitempty"`
}

type had struct{ Path, ETag string }

// Open makes the folder dir, or goes on with one of an earlier client.
func Open(server, user, password, dir string) (*Client, error) {
	c := &Client{first: server + "/graph/v1.0/me/drive/root/delta", user: user, password: password, dir: dir, file: dir + ".state"}
	b, err := os.ReadFile(c.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.state = state{Items: map[string]item{}, Have: map[string]had{}}
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(b, &c.state); err != nil {
			return nil, err
		}
	}
	return c, os.MkdirAll(dir, 0o700)
}

// Close lets go of the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// errAgain says that something changed on the way: another Sync brings it.
var errAgain = errors.New("the drive has changed meanwhile")

// Sync brings the folder to what the drive is, or was a moment ago. After an
// error it can be tried again, with another Client, too.
func (c *Client) Sync(ctx context.Context) error {
	if err := c.ask(ctx); err != nil {
		return err
	}
	err := c.reconcile(ctx)
	return errors.Join(err, c.save())
}

func (c *Client) save() error {
	b, err := json.Marshal(c.state)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.file+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(c.file+".new", c.file)
}

// ask follows the links to the end of an answer. Only then the picture is whole.
func (c *Client) ask(ctx context.Context) error {
	items, link := maps.Clone(c.state.Items), c.state.Link
	for {
		if link == "" {
			c.Listings++
			clear(items)
			link = c.first
		}
		var page struct {
			Value []item
			Next  string `json:"@odata.nextLink"`
			Delta string `json:"@odata.deltaLink"`
		}
		status, body, err := c.get(ctx, link)
		switch {
		case err != nil:
			return err
		case status == http.StatusGone:
			link = ""
			continue
		case status != http.StatusOK:
			return fmt.Errorf("GET %s: %d %s", link, status, body)
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return err
		}
		for _, i := range page.Value {
			if i.Deleted != nil {
				delete(items, i.ID)
			} else {
				items[i.ID] = i
			}
		}
		if page.Delta != "" {
			c.state.Items, c.state.Link = items, page.Delta
			return nil
		}
		link = page.Next
	}
}

func (c *Client) get(ctx context.Context, link string) (status int, body []byte, err error) {
	resp, err := c.open(ctx, link)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

func (c *Client) open(ctx context.Context, link string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", link, nil)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(c.user, c.password)
	return c.http.Do(r)
}

// paths are where the items belong. What does not hang together with the root
// is gone, and forgotten.
func (c *Client) paths() map[string]string {
	paths := map[string]string{}
	var find func(id string) (string, bool)
	find = func(id string) (string, bool) {
		i, ok := c.state.Items[id]
		if !ok || i.Root != nil {
			return "", ok
		}
		if p, ok := paths[id]; ok {
			return p, true
		}
		up, ok := find(i.Parent.ID)
		if !ok {
			return "", false
		}
		paths[id] = filepath.Join(up, i.Name)
		return paths[id], true
	}
	for id, i := range c.state.Items {
		if _, ok := find(id); !ok {
			delete(c.state.Items, id)
		} else if i.Root != nil {
			delete(paths, id)
		}
	}
	return paths
}

// reconcile makes the folder what the items say.
func (c *Client) reconcile(ctx context.Context) error {
	paths := c.paths()
	// Out of the way first: what is gone, and what belongs elsewhere.
	moved := map[string]string{}
	for id, h := range c.state.Have {
		to, ok := paths[id]
		switch from := filepath.Join(c.dir, h.Path); {
		case !ok:
			if err := os.Remove(from); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			delete(c.state.Have, id)
		case to != h.Path:
			moved[id] = c.aside(id)
			if err := os.Rename(from, moved[id]); err != nil {
				return err
			}
			delete(c.state.Have, id) // until it is where it belongs
		}
	}
	if err := c.folders(paths); err != nil {
		return err
	}
	for id, from := range moved {
		if err := os.Rename(from, filepath.Join(c.dir, paths[id])); err != nil {
			return err
		}
		c.state.Have[id] = had{paths[id], c.state.Items[id].ETag}
	}
	again := false
	for _, id := range slices.Sorted(maps.Keys(paths)) {
		i := c.state.Items[id]
		if i.Folder != nil || c.state.Have[id].ETag == i.ETag {
			continue
		}
		err := c.fetch(ctx, i, paths[id])
		if again = again || errors.Is(err, errAgain); err != nil && !errors.Is(err, errAgain) {
			return err
		}
	}
	if again {
		return errAgain
	}
	return nil
}

// aside is a name outside of the folder, on the same disk.
func (c *Client) aside(id string) string {
	return c.dir + "." + hex.EncodeToString([]byte(id[len(id)-8:])) + ".tmp"
}

// folders makes those that are missing and removes those that do not belong.
func (c *Client) folders(paths map[string]string) error {
	want := map[string]bool{".": true}
	for id, p := range paths {
		if c.state.Items[id].Folder != nil {
			want[p] = true
		}
	}
	var extra []string
	err := filepath.WalkDir(c.dir, func(p string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(c.dir, p)
		if err == nil && e.IsDir() && !want[rel] {
			extra = append(extra, p)
		}
		return err
	})
	for _, p := range slices.Backward(extra) { // the deepest first: they are empty
		if err == nil {
			err = os.Remove(p)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(want)) {
		if err == nil {
			err = os.MkdirAll(filepath.Join(c.dir, p), 0o700)
		}
	}
	return err
}

// fetch downloads a file, by its id, so that it does not matter when it is
// moved meanwhile. errAgain when it is gone or another by now.
func (c *Client) fetch(ctx context.Context, i item, path string) error {
	resp, err := c.open(ctx, i.URL)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return errAgain
	default:
		return fmt.Errorf("GET %s: %s", i.URL, resp.Status)
	}
	if resp.Header.Get("ETag") != i.ETag {
		return errAgain
	}
	tmp := c.aside(i.ID)
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	sum := sha1.New()
	_, err = io.Copy(io.MultiWriter(f, sum), resp.Body)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); i.File != nil && !strings.EqualFold(got, i.File.Hashes.SHA1) {
		return fmt.Errorf("GET %s: content with SHA-1 %s, announced was %s", i.URL, got, i.File.Hashes.SHA1)
	}
	if err := os.Rename(tmp, filepath.Join(c.dir, path)); err != nil {
		return err
	}
	c.Fetched++
	c.state.Have[i.ID] = had{path, i.ETag}
	return nil
}
