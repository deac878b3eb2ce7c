package posix

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
	"opencloud/storage"
	"opencloud/storage/posix/disk"
)

// Earlier contents are files of their own, with the attribute that they had
// when they were current, in a folder for each node.

const keyLayout = "20060102T150405.000000000Z"

// nextKey is the key of a version that is filed now. It sorts behind all others.
func (s *Store) nextKey() string {
	for {
		last, at := s.versionKey.Load(), time.Now().UnixNano()
		at = max(at, last+1)
		if s.versionKey.CompareAndSwap(last, at) {
			return time.Unix(0, at).UTC().Format(keyLayout)
		}
	}
}

func versionsPath(id cloud.UUID) string { return "versions/" + shard(id) + "/" + id.String() }

// keep makes a version of the content that stands at a name. Until that is
// replaced the two are one file.
func (sp *space) keep(v view, name string, id cloud.UUID, key string) (unkeep func() error, err error) {
	d, err := sp.inner(versionsPath(id), true)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	at := v.spot
	at.name = name
	to := spot{sp, d, id, key}
	a, ok, err := sp.store.meta.get(at)
	if err != nil {
		return nil, err
	}
	if ok {
		if err := sp.store.meta.arrive(to, a); err != nil {
			return nil, err
		}
	}
	if err = v.dir.Link(name, d, key); err != nil && !errors.Is(err, fs.ErrExist) {
		err = sp.copyFile(at, d, key)
	}
	if err != nil {
		return nil, err
	}
	return func() error { return sp.removeVersion(id, key) }, nil
}

// copyFile is for file systems that cannot give a file two names.
func (sp *space) copyFile(at spot, d disk.Dir, name string) error {
	t, _, err := sp.duplicate(at)
	if err != nil {
		return err
	}
	tmp, err := sp.inner("tmp", true)
	if err != nil {
		return err
	}
	defer tmp.Close()
	return tmp.Rename(t, d, name, false)
}

func (sp *space) removeVersion(id cloud.UUID, key string) error {
	d, err := sp.inner(versionsPath(id), false)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Remove(key); err != nil {
		return err
	}
	return sp.store.meta.gone(spot{sp, d, id, key})
}

// dropVersions removes all versions of a node that is no more.
func (sp *space) dropVersions(id cloud.UUID) error {
	path := versionsPath(id)
	d, err := sp.store.disk.ReadDir(sp.path + "/.oc/" + path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.List(func(name []byte, _ disk.Kind) error {
		key := string(name)
		return errors.Join(d.Remove(key), sp.store.meta.gone(spot{sp, d, id, key}))
	})
	if err != nil {
		return err
	}
	up, err := sp.inner("versions/"+shard(id), false)
	if err != nil {
		return err
	}
	defer up.Close()
	return up.RemoveDir(id.String())
}

// versionEntry reads a version. Its attribute is that of its former life.
func (sp *space) versionEntry(d disk.Dir, id cloud.UUID, key string) (e entry, err error) {
	if e, err = sp.entry(spot{sp, d, id, key}); err != nil {
		return e, err
	}
	if e.info.Kind != disk.File {
		return e, fs.ErrNotExist
	}
	if !e.ok || e.attr.print != printOf(e.info) {
		e.attr.sums, e.attr.state = cloud.Sums{}, cloud.Ready
	}
	return e, nil
}

func (e *entry) versionNode(file cloud.NodeID) *cloud.Node {
	n := &cloud.Node{ID: cloud.Version(file, e.at.name), Space: e.at.sp.id, Parent: cloud.VersionsOf(file), Name: e.at.name, Path: e.at.name,
		Size: e.info.Size, MTime: e.info.MTime, Sums: e.attr.sums, State: e.attr.state}
	n.ETag = storage.FileETag(n.ID, n.Size, n.MTime, n.Sums)
	return n
}

// versioned is the id of a file that there is, so that it can have versions.
func (sp *space) versioned(file cloud.NodeID) (cloud.UUID, error) {
	id, err := uuid(file)
	if err != nil {
		return id, err
	}
	v, e, err := sp.find(id)
	if err != nil {
		return id, err
	}
	v.dir.Close()
	if e.attr.dir {
		return id, fs.ErrNotExist
	}
	return id, nil
}

// version reads a version and opens the folder that it is in.
func (sp *space) version(file cloud.NodeID, key string) (e entry, err error) {
	if cloud.CheckName(key) != nil {
		return e, fs.ErrNotExist
	}
	id, err := sp.versioned(file)
	if err != nil {
		return e, err
	}
	d, err := sp.inner(versionsPath(id), false)
	if err != nil {
		return e, err
	}
	if e, err = sp.versionEntry(d, id, key); err != nil {
		d.Close()
	}
	return e, err
}

func (sp *space) versionNode(file cloud.NodeID, key string) (*cloud.Node, error) {
	e, err := sp.version(file, key)
	if err != nil {
		return nil, err
	}
	e.at.dir.Close()
	return e.versionNode(file), nil
}

func (sp *space) openVersion(file cloud.NodeID, key string) (*os.File, *cloud.Node, error) {
	e, err := sp.version(file, key)
	if err != nil {
		return nil, nil, err
	}
	defer e.at.dir.Close()
	f, err := e.at.dir.Open(key, false)
	if err != nil {
		return nil, nil, err
	}
	return f, e.versionNode(file), nil
}

// versions yields a file's versions, newest first.
func (sp *space) versions(file cloud.NodeID, yield func(*cloud.Node, error) bool) error {
	id, err := sp.versioned(file)
	if err != nil {
		return err
	}
	d, err := sp.store.disk.ReadDir(sp.path + "/.oc/" + versionsPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	var keys []string
	err = d.List(func(name []byte, _ disk.Kind) error {
		if key := string(name); cloud.CheckName(key) == nil {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(keys, func(a, b string) int { return strings.Compare(b, a) })
	for _, key := range keys {
		e, err := sp.versionEntry(d, id, key)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !yield(e.versionNode(file), nil) {
			return errStop
		}
	}
	return nil
}

// fileVersion files content as an old version of a file.
func (sp *space) fileVersion(ctx context.Context, w *cloud.Write, st *staged, file cloud.NodeID) (*cloud.Node, bool, error) {
	unlock, err := sp.share()
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	id, err := uuid(file)
	if err != nil {
		return nil, false, cloud.Conflict
	}
	defer sp.lockName(id, w.Name)()
	v, f, err := sp.find(id)
	if missing(err) || err == nil && f.attr.dir {
		if err == nil {
			v.dir.Close()
		}
		return nil, false, cloud.Conflict
	}
	if err != nil {
		return nil, false, err
	}
	v.dir.Close()
	d, err := sp.inner(versionsPath(id), true)
	if err != nil {
		return nil, false, err
	}
	defer d.Close()
	old, err := sp.versionEntry(d, id, w.Name)
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	if exists && w.Fresh {
		return nil, false, cloud.Exist
	}
	if w.Check != nil {
		var now *cloud.Node
		if exists {
			now = old.versionNode(file)
		}
		if err := w.Check(now, st.info.Size); err != nil {
			return nil, false, errCheck{err}
		}
	}
	e := entry{at: spot{sp, d, id, w.Name}, info: st.info, ok: true}
	e.attr = attr{id: id, state: w.State, sums: st.sums, print: printOf(st.info)}
	if err := sp.store.meta.begin(st.file, e.attr); err != nil {
		return nil, false, err
	}
	n := e.versionNode(file)
	err = sp.store.commit(&change{sp: sp, record: sp.record(ctx, cloud.VersionFiled, n), body: st.body,
		redo: redo{From: st.from, State: w.State, Upload: w.Upload},
		apply: func(cloud.Cursor) error {
			if err := sp.store.meta.arrive(e.at, e.attr); err != nil {
				return err
			}
			if err := st.dir.Rename(st.name, d, w.Name, exists); err != nil {
				return errors.Join(err, sp.store.meta.gone(e.at))
			}
			st.done = true
			sp.endUpload(w.Upload)
			return nil
		}})
	if err != nil {
		return nil, false, err
	}
	return n, !exists, nil
}

// dropVersion removes one version for good.
func (sp *space) dropVersion(ctx context.Context, file cloud.NodeID, key string) error {
	unlock, err := sp.share()
	if err != nil {
		return err
	}
	defer unlock()
	id, err := uuid(file)
	if err != nil {
		return err
	}
	defer sp.lockName(id, key)()
	n, err := sp.versionNode(file, key)
	if err != nil {
		return err
	}
	return sp.store.commit(&change{sp: sp, record: sp.record(ctx, cloud.Dropped, n),
		apply: func(cloud.Cursor) error { return sp.removeVersion(id, key) }})
}
