package posix

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"strings"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"
)

// errStop ends a listing that nobody reads on.
var errStop = errors.New("stop")

// adoptAtOnce is how many new entries of a listing become nodes in one go.
const adoptAtOnce = 256

func (s *Store) Children(ctx context.Context, space cloud.SpaceID, id cloud.NodeID) iter.Seq2[*cloud.Node, error] {
	return func(yield func(*cloud.Node, error) bool) {
		sp, err := s.space(space)
		if err == nil {
			err = sp.children(ctx, id, yield)
		}
		if err != nil && err != errStop {
			yield(nil, cloud.E("posix.Children", cloud.Ref{Space: space, Node: id}, err))
		}
	}
}

// children ends with errStop when yield wants no more.
func (sp *space) children(ctx context.Context, id cloud.NodeID, yield func(*cloud.Node, error) bool) error {
	if file, key, ok := cloud.SplitVersion(id); ok && key == "" {
		return sp.versions(file, yield)
	}
	u, err := uuid(id)
	if err != nil {
		return err
	}
	v, before, err := sp.enterList(u)
	if errors.Is(err, fs.ErrNotExist) {
		if u == binID {
			return nil // nothing was ever thrown away
		}
		if v, _, err := sp.find(u); err == nil {
			v.dir.Close()
			return cloud.Refuse(cloud.Invalid, "This is not a folder.")
		}
	}
	if err != nil {
		return err
	}
	defer v.dir.Close()

	l := listing{ctx: ctx, view: v, yield: yield}
	if err = l.run(); err != nil {
		return err
	}
	if l.touched {
		// Once more, for the sizes: now nothing is new.
		again, last, err := sp.enterList(u)
		if err != nil {
			return nil // the caller has what was asked for
		}
		defer again.dir.Close()
		before = last
		l = listing{ctx: ctx, view: again, yield: func(*cloud.Node, error) bool { return true }}
		if l.run() != nil || l.touched {
			return nil
		}
	}
	sp.heal(v.d, before, l.sum)
	return nil
}

func (l *listing) run() error {
	if err := l.dir.List(l.add); err != nil {
		return err
	}
	return l.settle()
}

// enterList opens a directory so that it can be listed, and says what its
// cursor is before that.
func (sp *space) enterList(id cloud.UUID) (view, cloud.Cursor, error) {
	sp.moving.RLock()
	defer sp.moving.RUnlock()
	d, err := sp.fetch(id, 0)
	if err != nil {
		return view{}, 0, err
	}
	sp.mu.Lock()
	path, ref, last := d.path(sp), d.ref(), d.last
	sp.mu.Unlock()
	fd, err := sp.store.disk.ReadDir(path)
	return view{spot{sp, fd, d.id, ""}, d, ref}, last, err
}

// A listing is a directory being read.
type listing struct {
	ctx context.Context
	view
	yield   func(*cloud.Node, error) bool
	path    []byte
	n       int
	sum     int64   // of the sizes
	strange []entry // that are not as we left them
	touched bool    // something was adopted, or could not be
}

func (l *listing) add(b []byte, _ disk.Kind) error {
	if l.n++; l.n%1024 == 0 {
		if err := l.ctx.Err(); err != nil {
			return err
		}
	}
	// The name is the end of the path: one string for both.
	l.path = append(append(l.path[:0], l.ref...), '/')
	path := string(append(l.path, b...))
	name := path[len(path)-len(b):]
	if l.d == l.sp.bin {
		if _, ok := cloud.ParseUUID(name); !ok {
			return nil
		}
	} else if !l.sp.member(l.d.id, name) {
		return nil
	}
	at := l.spot
	at.name = name
	e, err := l.sp.entry(at)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && e.info.Kind == disk.Irregular:
		return nil
	case err != nil:
		return err
	case e.settled():
		e.path = strings.TrimPrefix(path, "/")
		return l.give(&e)
	}
	if l.strange = append(l.strange, e); len(l.strange) < adoptAtOnce {
		return nil
	}
	return l.settle()
}

func (l *listing) give(e *entry) error {
	n, err := l.node(e)
	if err != nil {
		return err
	}
	l.sum += n.Size
	if !l.yield(n, nil) {
		return errStop
	}
	return nil
}

// settle makes nodes of what a person has changed.
func (l *listing) settle() error {
	if len(l.strange) == 0 {
		return nil
	}
	l.touched = true
	for _, e := range l.sp.adoptAll(l.view, l.strange) {
		if err := l.give(&e); err != nil {
			return err
		}
	}
	l.strange = l.strange[:0]
	return nil
}

// heal corrects the size of a directory that a person has changed something
// in. before is its cursor before the listing that sum comes from.
func (sp *space) heal(d *dir, before cloud.Cursor, sum int64) {
	wrong := func() bool {
		sp.mu.Lock()
		defer sp.mu.Unlock()
		return d.size != sum && d.last == before && sp.dirs[d.id] == d
	}
	// While nobody can change anything the listing is right, unless somebody
	// did meanwhile.
	if !wrong() || !sp.tree.TryLock() {
		return
	}
	defer sp.tree.Unlock()
	if sp.gone || !wrong() {
		return
	}
	if err := sp.resize(d, sum); err != nil {
		sp.store.log.Warn("cannot correct the size of a folder", "space", sp.id, "node", d.node, "err", err)
	}
}

// resize corrects the size of a directory. The caller holds tree alone.
func (sp *space) resize(d *dir, size int64) error {
	sp.mu.Lock()
	delta := size - d.size
	n := sp.dirNode(d)
	sp.mu.Unlock()
	n.Size = size
	r := sp.record(context.Background(), cloud.Edited, n)
	return sp.store.commit(&change{sp: sp, record: r,
		apply: func(cloud.Cursor) error { return nil },
		done: func(c cloud.Cursor) {
			sp.mu.Lock()
			defer sp.mu.Unlock()
			sp.bump(d, c, r.At, delta)
		}})
}

func (s *Store) Having(ctx context.Context, space cloud.SpaceID, t cloud.Traits) iter.Seq2[*cloud.Node, error] {
	return func(yield func(*cloud.Node, error) bool) {
		sp, err := s.space(space)
		if err == nil {
			err = sp.having(ctx, t, yield)
		}
		if err != nil && err != errStop {
			yield(nil, cloud.E("posix.Having", cloud.Ref{Space: space}, err))
		}
	}
}

func (sp *space) having(ctx context.Context, t cloud.Traits, yield func(*cloud.Node, error) bool) error {
	ids, err := sp.holders(t)
	if err != nil {
		return err
	}
	for id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := sp.resolve(nodeID(id))
		if errors.Is(err, fs.ErrNotExist) || err == nil && n.Traits&t == 0 {
			continue // on its way out
		}
		if err != nil {
			return err
		}
		if !yield(n, nil) {
			return errStop
		}
	}
	return nil
}

// holders are the nodes for which there is a file of one of the traits.
func (sp *space) holders(t cloud.Traits) (map[cloud.UUID]cloud.Traits, error) {
	ids := map[cloud.UUID]cloud.Traits{}
	for i, folder := range rareFolders {
		if t&(1<<i) == 0 {
			continue
		}
		d, err := sp.store.disk.ReadDir(sp.path + "/.oc/" + folder)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		err = d.List(func(name []byte, _ disk.Kind) error {
			if len(name) == len("01234567-89ab-cdef-0123-456789abcdef.json") {
				if id, ok := cloud.ParseUUID(string(name[:36])); ok {
					ids[id] |= 1 << i
				}
			}
			return nil
		})
		d.Close()
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}
