package core

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"

	"opencloud/cloud"
)

// Dropping is what those do who may add to a directory and know nothing of
// what is in it: nothing is replaced, and the answer is as if nothing had been
// there.

// freeNames is how many names with a number are tried. A drop for many has the
// same name again and again, and to count them all would take longer each time.
const freeNames = 9

// dropName is another name for the n-th try.
func dropName(name string, n int) string {
	if n == 0 {
		return name
	}
	if n >= freeNames {
		n = 100_000 + rand.IntN(900_000)
	}
	return numbered(name, n+1)
}

// drop is write for a place that the caller knows nothing of.
func (c *Core) drop(ctx context.Context, p place, w cloud.Write, how cloud.Conditions) (*cloud.Node, bool, error) {
	if how.IfMatch != "" {
		return nil, false, cloud.Precondition // nothing that they know of
	}
	if p.name == "" {
		return nil, false, cloud.Permission
	}
	asked := p.name
	p.blind, p.now, how.IfNoneMatch = false, nil, ""
	w.Fresh = true
	body := &counted{Reader: w.Body}
	if w.Body != nil {
		w.Body = body
	}
	for try := range 2 * freeNames {
		p.name = dropName(asked, try)
		if _, err := c.store.Lookup(ctx, p.dir.space.id, p.dir.ID, p.name); err == nil {
			continue
		}
		n, _, err := c.write(ctx, p, w, how)
		if errors.Is(err, cloud.Exist) && body.n == 0 {
			continue // somebody was quicker
		}
		if err == nil {
			n.Path = cloud.Join(ancestor(n.Path, 1), asked)
			n.Name = asked
		}
		if errors.Is(err, cloud.Exist) {
			err = cloud.Unavailable
		}
		return n, true, err
	}
	return nil, false, cloud.Unavailable
}

// counted knows whether somebody has begun to read.
type counted struct {
	io.Reader
	n int64
}

func (r *counted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += int64(n)
	return n, err
}

// dropDir is MakeDir for a place that the caller knows nothing of. A folder
// that is there already is as good as a new one.
func (c *Core) dropDir(ctx context.Context, p place) (*cloud.Node, error) {
	asked := p.name
	for try := range 2 * freeNames {
		p.name = dropName(asked, try)
		n, err := c.store.MakeDir(ctx, p.dir.space.id, p.dir.ID, p.name)
		if errors.Is(err, cloud.Exist) {
			if n, err = c.store.Lookup(ctx, p.dir.space.id, p.dir.ID, p.name); err == nil && !n.Dir {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		if !p.dir.enters(p.dir.who, p.dir.reach, n, c.now()).below.Has(cloud.CanStat) {
			continue // not even this is theirs
		}
		fresh := &cloud.Node{ID: n.ID, Space: n.Space, Parent: n.Parent, Name: asked, Dir: true, MTime: c.now(), ETag: string(n.ID),
			Path: cloud.Join(p.dir.Path, asked)}
		return c.dressAt(&p.dir, fresh), nil
	}
	return nil, cloud.Unavailable
}
