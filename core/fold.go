package core

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"opencloud/cloud"
)

// A fold is what the journal says of a space between two cursors, by node.
type fold struct {
	*feeding
	fates map[cloud.NodeID]*fate
	dirs  map[cloud.NodeID]bool // in which something happened
	back  bool                  // a directory came out of the bin
}

// A fate is what happened to a node. Directories above it are not touched by
// what happens below; see above.
type fate struct {
	dir   bool
	fresh bool    // it was not in the tree before
	left  []berth // the places it was in, in this order
	in    bool    // with it came what is below: nobody told of that
}

// A berth is a name in a directory.
type berth struct {
	dir  cloud.NodeID
	name string
}

// fold reads the journal from the bookmark on, up to where the answer ends.
func (g *feeding) fold(ctx context.Context) (*fold, error) {
	m := &g.mark
	last := g.core.store.Last()
	if m.after > last || m.until > last {
		return nil, cloud.TooOld // the storage was set back
	}
	until := m.until
	if until == 0 {
		until = last
	}
	w := &fold{feeding: g, fates: map[cloud.NodeID]*fate{}, dirs: map[cloud.NodeID]bool{}}
	n, end := 0, m.after
	for r, err := range g.core.store.Since(ctx, g.space.id, m.after) {
		if err != nil {
			return nil, err
		}
		if g.cut = r.Seq > until; g.cut {
			break
		}
		if n++; n > maxFold {
			if g.ByPath {
				return nil, cloud.TooOld // old paths are known when all is that happened since
			}
			until, g.cut = end, true
			break
		}
		if err := w.add(r); err != nil {
			return nil, err
		}
		end = r.Seq
	}
	m.until = until
	return w, nil
}

func (w *fold) add(r *cloud.Record) error {
	if _, _, version := cloud.SplitVersion(r.Node); version {
		return nil
	}
	switch r.Kind {
	case cloud.Relocked, cloud.VersionFiled, cloud.Undone:
		return nil
	case cloud.SpaceMade, cloud.SpaceDropped: // it is not the same space
		return cloud.TooOld
	}
	f, known := w.fates[r.Node], true
	if f == nil {
		f, known = &fate{dir: r.Dir}, false
		w.fates[r.Node] = f
	}
	w.dirs[r.Parent], w.dirs[r.OldParent] = true, true
	switch r.Kind {
	case cloud.Moved, cloud.Trashed, cloud.Restored:
		f.left = append(f.left, berth{r.OldParent, cmp.Or(r.OldName, r.Name)})
	case cloud.Dropped:
		if r.Parent != cloud.TrashID {
			f.left = append(f.left, berth{r.Parent, r.Name})
		}
	}
	switch r.Kind {
	case cloud.FileMade, cloud.DirMade:
		f.fresh = f.fresh || !known
	case cloud.Restored:
		f.fresh, f.in = f.fresh || !known, r.Dir
		w.back = w.back || r.Dir
	case cloud.Moved:
		// It may have been out of sight itself, or with other rights: by what
		// is denied or given, during a walk, or in a directory that was in the
		// bin.
		f.in = f.in || r.Dir && (!w.same || w.back || r.Seq <= w.mark.loose)
	}
	return nil
}

// leave tells of the nodes that are not where they were. What a client has
// been told may be newer than the cursor that it got, so it may know a node by
// any of the paths that this had meanwhile.
func (w *fold) leave(ctx context.Context) (full bool, err error) {
	m := &w.mark
	taken, told := false, map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(w.fates)) {
		f, k := w.fates[id], 0
		if len(m.last) == 2 && id == m.last[0] {
			k, _ = strconv.Atoi(string(m.last[1]))
			k++
		}
		if len(f.left) == 0 || len(m.last) > 0 && id < m.last[0] {
			continue
		}
		n, err := w.node(ctx, id)
		if err != nil {
			return false, err
		}
		for ; k <= len(f.left); k++ {
			if len(w.page) == w.Limit {
				return true, nil
			}
			d := cloud.Diff{Gone: true, Node: &cloud.Node{Space: w.space.id, ID: id, Dir: f.dir}}
			if w.ByPath {
				var ok, other bool
				if d.Was, ok, other, err = w.place(ctx, id, n, k); err != nil {
					return false, err
				}
				if ok && !told[d.Was] {
					told[d.Was] = true
					w.page = append(w.page, d)
				}
				taken = taken || other
			} else if w.lost(f, n) {
				w.page = append(w.page, d)
				k = len(f.left)
			}
			m.last = []cloud.NodeID{id, cloud.NodeID(strconv.Itoa(k))}
		}
	}
	if taken {
		// What came to where something else was belongs on another page.
		m.phase, m.last = w.after(m.phase), nil
	}
	return taken, nil
}

// lost tells whether a client that knows nodes by id has to forget one, which
// is n now.
func (w *fold) lost(f *fate, n *cloud.Node) bool {
	root := w.space.id.Root()
	if !w.Flat {
		return n == nil
	}
	return (n == nil || n.Parent != root) && slices.ContainsFunc(f.left, func(b berth) bool { return b.dir == root })
}

// place is a path that a node, which is n now, had and has no more: for a k of
// 0 before all that happened, otherwise in between. other says that something
// else is there.
func (w *fold) place(ctx context.Context, id cloud.NodeID, n *cloud.Node, k int) (path string, ok, other bool, err error) {
	b := w.fates[id].left[max(0, k-1)]
	if w.Flat && b.dir != w.space.id.Root() {
		return "", false, false, nil
	}
	if k == 0 {
		path, ok, err = w.was(ctx, id)
	} else if up, e := w.node(ctx, b.dir); up != nil {
		path, ok = cloud.Join(up.Path, b.name), true
	} else {
		err = e
	}
	if err != nil || !ok || n != nil && n.Path == path {
		return "", false, false, err
	}
	_, err = w.core.store.Lookup(ctx, w.space.id, "", path)
	if err != nil && (errors.Is(err, cloud.NotExist) || errors.Is(err, cloud.Conflict)) {
		return path, true, false, nil
	}
	return path, true, true, err
}

// was is the path that a node had before; not ok when it had none.
func (w *fold) was(ctx context.Context, id cloud.NodeID) (path string, ok bool, err error) {
	for range 2 * cloud.MaxDepth {
		if id == w.space.id.Root() {
			return path, true, nil
		}
		f := w.fates[id]
		if f != nil && f.fresh || id == cloud.TrashID {
			return "", false, nil
		}
		if f != nil && len(f.left) > 0 {
			path, id = cloud.Join(f.left[0].name, path), f.left[0].dir
			continue
		}
		n, err := w.core.store.Node(ctx, w.space.id, id)
		if errors.Is(err, cloud.NotExist) {
			return "", false, nil
		}
		if err != nil {
			return "", false, err
		}
		path, id = cloud.Join(n.Name, path), n.Parent
	}
	return "", false, nil
}

// show tells of a node as it is now.
func (w *fold) show(ctx context.Context, id cloud.NodeID) error {
	n, err := w.node(ctx, id)
	if err != nil || n == nil || w.ByPath && n.Parent == "" || w.Flat && n.Parent != "" && n.Parent != w.space.id.Root() {
		return err
	}
	w.page = append(w.page, cloud.Diff{Node: n})
	return nil
}

// above are the directories whose sizes, times and ETags have changed with
// what happened below.
func (w *fold) above(ctx context.Context) ([]cloud.NodeID, error) {
	all := map[cloud.NodeID]bool{}
	for dir := range w.dirs {
		if dir == "" || all[dir] {
			continue
		}
		chain, err := w.core.store.Ancestors(ctx, w.space.id, dir)
		if err != nil && !errors.Is(err, cloud.NotExist) {
			return nil, err
		}
		for _, id := range chain {
			all[id] = true
		}
		all[w.space.id.Root()] = true // above what is no more, too
	}
	maps.DeleteFunc(all, func(id cloud.NodeID, _ bool) bool { return w.fates[id] != nil })
	return slices.Sorted(maps.Keys(all)), nil
}

// follow tells of all that came into sight with a directory.
func (w *fold) follow(ctx context.Context) (full bool, err error) {
	m := &w.mark
	var tops []cloud.NodeID
	for id, f := range w.fates {
		if f.in || w.ByPath && f.dir && len(f.left) > 0 {
			tops = append(tops, id)
		}
	}
	slices.Sort(tops)
	walked := len(m.last) > 0 // on the page before, and what was next may be elsewhere now
	for _, top := range tops {
		if w.Flat || len(m.last) > 0 && top < m.last[0] {
			continue
		}
		at, err := w.find(ctx, top)
		if err != nil {
			return false, err
		}
		if at.Node == nil || !at.Dir || !at.Rights.Has(cloud.CanList) {
			continue
		}
		walked = true
		if len(m.last) == 0 || m.last[0] != top {
			m.last = []cloud.NodeID{top}
		}
		if full, err = w.descend(ctx, at); full || err != nil {
			return full, err
		}
	}
	if walked {
		m.loose = w.core.store.Last()
	}
	return false, nil
}
