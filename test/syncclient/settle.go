package syncclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

const saveEvery = 64 // contents fetched

// settle makes the folder like the picture of the space. First it fetches what
// it lacks, then takes out of the folder what must not be where it is, and
// when that is written down, puts everything into its place: names may go
// round in a circle, and a folder into what was in it. missing is an item that
// is not there any more.
func (c *Client) settle(ctx context.Context) (missing string, err error) {
	if missing, err = c.fetchAll(ctx); missing != "" || err != nil {
		return missing, err
	}
	if err := c.save(); err != nil {
		return "", err
	}
	if missing, err = c.takeOut(); err != nil {
		return "", err
	}
	if err := c.save(); err != nil {
		return "", err
	}
	if err := c.putIn(); err != nil {
		return "", err
	}
	c.s.Due = missing != ""
	if err := c.save(); err != nil {
		return "", err
	}
	return missing, c.tidy()
}

func (c *Client) fetchAll(ctx context.Context) (missing string, err error) {
	n := 0
	for _, id := range slices.Sorted(maps.Keys(c.s.Remote)) {
		it := c.s.Remote[id]
		have, ok := c.s.Fresh[id]
		if !ok {
			l, known := c.s.Local[id]
			have, ok = l.content, known && !l.Dir
		}
		if it.Dir || ok && have.is(it) {
			continue
		}
		ok, err := c.fetch(ctx, id)
		if err != nil {
			return "", err
		}
		if !ok {
			missing = id
			continue
		}
		if n++; n%saveEvery == 0 {
			if err := c.save(); err != nil {
				return "", err
			}
		}
	}
	for id := range c.s.Fresh {
		if _, known := c.s.Remote[id]; !known {
			delete(c.s.Fresh, id)
		}
	}
	return missing, nil
}

// takeOut may be done again from its beginning, as long as nothing was put in.
func (c *Client) takeOut() (missing string, err error) {
	var gone []string
	for _, id := range slices.Sorted(maps.Keys(c.s.Local)) {
		l, it := c.s.Local[id], c.s.Remote[id] // it has no parent when it is gone
		_, fresh := c.s.Fresh[id]
		switch {
		case !l.Staged && it.Parent == l.Parent && it.Name == l.Name && it.Dir == l.Dir:
		case it.Parent == "" && l.Dir:
			gone = append(gone, id)
		case it.Parent == "" || fresh:
			if err := c.remove(c.path(id)); err != nil {
				return "", err
			}
			delete(c.s.Local, id)
		case it.Dir != l.Dir:
			return "", fmt.Errorf("%s was a folder: %t, now: %t", id, l.Dir, it.Dir)
		case !l.Staged:
			err := c.rename(c.path(id), c.staged(id))
			if errors.Is(err, fs.ErrNotExist) { // somebody took it
				delete(c.s.Local, id)
				missing = id
				continue
			}
			if err != nil {
				return "", err
			}
			l.Staged = true
			c.s.Local[id] = l
		}
	}
	// What is deeper has the longer path.
	slices.SortFunc(gone, func(a, b string) int { return cmp.Compare(len(c.path(b)), len(c.path(a))) })
	for _, id := range gone {
		path := c.path(id)
		err := c.remove(path)
		if errors.Is(err, syscall.ENOTEMPTY) {
			err = nil // there is something in it that did not come from here
			if c.s.Local[id].Staged {
				err = c.setAside(path, c.s.Local[id].Name)
			}
		}
		if err != nil {
			return "", err
		}
		delete(c.s.Local, id)
	}
	return missing, nil
}

func (c *Client) putIn() error {
	order, err := c.order()
	if err != nil {
		return err
	}
	for _, id := range order {
		it := c.s.Remote[id]
		to := filepath.Join(c.path(it.Parent), it.Name)
		l, known := c.s.Local[id]
		h, fresh := c.s.Fresh[id]
		switch {
		case known && l.Staged:
			if err := c.vacate(to); err != nil {
				return err
			}
			if err := c.rename(c.staged(id), to); err != nil {
				return err
			}
			c.s.Local[id] = placed(it, l.content)
		case fresh:
			if !known {
				if err := c.vacate(to); err != nil {
					return err
				}
			}
			if err := c.rename(c.fresh(id), to); err != nil {
				return err
			}
			delete(c.s.Fresh, id)
			c.s.Local[id] = placed(it, h)
		case !known && it.Dir:
			if err := c.mkdir(to); err != nil {
				return err
			}
			c.s.Local[id] = placed(it, content{})
		}
	}
	return nil
}

// mkdir takes over a folder that is there already.
func (c *Client) mkdir(path string) error {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return nil
	}
	if err := c.vacate(path); err != nil {
		return err
	}
	if err := c.step("mkdir"); err != nil {
		return err
	}
	return os.Mkdir(path, 0o700)
}

// vacate sets aside what is at a path and did not come from here.
func (c *Client) vacate(path string) error {
	if !exists(path) {
		return nil
	}
	return c.setAside(path, filepath.Base(path))
}

// setAside gives something a name of its own at the top of the folder.
func (c *Client) setAside(path, name string) error {
	for i := 1; ; i++ {
		if to := filepath.Join(c.opts.Folder, fmt.Sprintf("%s.local-%d", name, i)); !exists(to) {
			return c.rename(path, to)
		}
	}
}

func (c *Client) rename(from, to string) error {
	if err := c.step("rename"); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// remove is content when there is nothing.
func (c *Client) remove(path string) error {
	if err := c.step("remove"); err != nil {
		return err
	}
	return ignore(os.Remove(path), fs.ErrNotExist)
}
