package syncclient

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// A state is all that a client knows. What it says of the folder may lag
// behind by the steps since it was written; load makes that good.
type state struct {
	Link string // where to ask next
	Root string // id
	// Due says that Remote is whole and the folder not yet like it.
	Due    bool
	Remote map[string]item    // by id: as the server told
	Local  map[string]local   // by id: as it is in the folder
	Fresh  map[string]content // by id: fetched, not yet in its place
}

type item struct {
	Parent, Name string
	Dir          bool   `json:",omitempty"`
	ETag, SHA1   string `json:",omitempty"`
}

type content struct{ ETag, SHA1 string }

// is tells whether the content is that of an item.
func (h content) is(it item) bool { return h.ETag == it.ETag || it.SHA1 != "" && h.SHA1 == it.SHA1 }

type local struct {
	Parent, Name string
	Dir          bool `json:",omitempty"`
	content
	Staged bool `json:",omitempty"` // taken out of the folder, on the way to another place
}

func placed(it item, h content) local {
	return local{Parent: it.Parent, Name: it.Name, Dir: it.Dir, content: h}
}

func (c *Client) stateFile() string       { return filepath.Join(c.opts.State, "state.json") }
func (c *Client) part() string            { return filepath.Join(c.stage(), "part") }
func (c *Client) staged(id string) string { return filepath.Join(c.stage(), "old-"+url.PathEscape(id)) }
func (c *Client) fresh(id string) string  { return filepath.Join(c.stage(), "new-"+url.PathEscape(id)) }
func exists(path string) bool             { _, err := os.Lstat(path); return err == nil }
func ignore(err error, other error) error {
	if errors.Is(err, other) {
		return nil
	}
	return err
}

// path is where an item is.
func (c *Client) path(id string) string {
	if id == c.s.Root {
		return c.opts.Folder
	}
	switch l, known := c.s.Local[id]; {
	case !known:
		return filepath.Join(c.stage(), "nowhere")
	case l.Staged:
		return c.staged(id)
	default:
		return filepath.Join(c.path(l.Parent), l.Name)
	}
}

// load reads the state and finds out how far an earlier client got after it
// had written that. Between two writes an item leaves the folder for the stage,
// or the stage for the folder, never both.
func (c *Client) load() error {
	c.s = state{Remote: map[string]item{}, Local: map[string]local{}, Fresh: map[string]content{}}
	b, err := os.ReadFile(c.stateFile())
	if err == nil {
		err = json.Unmarshal(b, &c.s)
	}
	if err := ignore(err, fs.ErrNotExist); err != nil {
		return err
	}
	for id, l := range c.s.Local {
		it, known := c.s.Remote[id]
		switch {
		case exists(c.staged(id)):
			l.Staged = true
			c.s.Local[id] = l
		case l.Staged && known:
			c.s.Local[id] = placed(it, l.content)
		case l.Staged:
			delete(c.s.Local, id)
		}
	}
	for id, h := range maps.Clone(c.s.Fresh) {
		if exists(c.fresh(id)) {
			continue
		}
		delete(c.s.Fresh, id)
		if it, known := c.s.Remote[id]; known {
			c.s.Local[id] = placed(it, h)
		}
	}
	return c.tidy()
}

// tidy drops contents that nobody waits for.
func (c *Client) tidy() error {
	names, err := os.ReadDir(c.stage())
	for _, n := range names {
		id, isNew := strings.CutPrefix(n.Name(), "new-")
		id, e := url.PathUnescape(id)
		if _, wanted := c.s.Fresh[id]; n.Name() == "part" || isNew && !wanted {
			err = errors.Join(err, e, os.Remove(filepath.Join(c.stage(), n.Name())))
		}
	}
	return err
}

// save replaces the state.
func (c *Client) save() error {
	b, err := json.Marshal(&c.s)
	if err != nil {
		return err
	}
	if err := c.step("write state"); err != nil {
		return err
	}
	next := c.stateFile() + ".new"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return err
	}
	return c.rename(next, c.stateFile())
}
