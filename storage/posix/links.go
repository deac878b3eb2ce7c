package posix

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash/maphash"
	"io/fs"
	"strings"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"
)

// Where a node is, is said by a symbolic link named after its id, with the
// target "<parent's id>/<name>". Ids are 22 letters there, so that most such
// links fit into their inode. The links are derived from the tree: Check makes
// them again.

const binLink = "trash"

var encoding = base64.RawURLEncoding

func shard(id cloud.UUID) string { return hex.EncodeToString(id[:1]) }

func linkName(id cloud.UUID) string { return encoding.EncodeToString(id[:]) }

func linkTarget(parent cloud.UUID, name string) string {
	if parent == binID {
		return binLink + "/" + name
	}
	return linkName(parent) + "/" + name
}

func parseLink(target string) (parent cloud.UUID, name string, ok bool) {
	p, name, ok := strings.Cut(target, "/")
	if !ok || name == "" {
		return noID, "", false
	}
	if p == binLink {
		return binID, name, true
	}
	parent, ok = parseLinkName(p)
	return parent, name, ok
}

func parseLinkName(s string) (id cloud.UUID, ok bool) {
	if encoding.DecodedLen(len(s)) != len(id) {
		return noID, false
	}
	_, err := encoding.Decode(id[:], []byte(s))
	return id, err == nil
}

// readLink says where a node is, or was when it is no more: for an entry of
// the bin the name is the one it had before. Whether it is true has to be seen
// there. The caller holds moving.
func (sp *space) readLink(id cloud.UUID) (parent cloud.UUID, name string, err error) {
	target, err := sp.store.disk.Readlink(sp.path + "/.oc/ids/" + shard(id) + "/" + linkName(id))
	if err != nil {
		return noID, "", err
	}
	parent, name, ok := parseLink(target)
	if !ok {
		return noID, "", fs.ErrNotExist
	}
	return parent, name, nil
}

// linkOf is readLink for a caller that does not hold moving.
func (sp *space) linkOf(id cloud.UUID) (parent cloud.UUID, name string, err error) {
	sp.moving.RLock()
	defer sp.moving.RUnlock()
	return sp.readLink(id)
}

// setLink says where a node is.
func (sp *space) setLink(id, parent cloud.UUID, name string) error {
	l, err := sp.prepareLink(id, parent, name)
	if err != nil {
		return err
	}
	return l.commit()
}

// A link is on its way to say where a node is. To commit it cannot fail for
// want of room.
type link struct {
	d         disk.Dir
	tmp, name string // tmp is empty when there was no link and it stands already
}

const newLink = ".new"

func (sp *space) prepareLink(id, parent cloud.UUID, name string) (l link, err error) {
	if l.d, err = sp.inner("ids/"+shard(id), true); err != nil {
		return l, err
	}
	l.name = linkName(id)
	target := linkTarget(parent, name)
	err = l.d.Symlink(target, l.name)
	if errors.Is(err, fs.ErrExist) {
		l.tmp = l.name + newLink
		if err = l.d.Symlink(target, l.tmp); errors.Is(err, fs.ErrExist) { // of a crash
			if err = l.d.Remove(l.tmp); err == nil {
				err = l.d.Symlink(target, l.tmp)
			}
		}
	}
	if err != nil {
		l.d.Close()
	}
	return l, err
}

func (l link) commit() error {
	defer l.d.Close()
	if l.tmp == "" {
		return nil
	}
	return l.d.Rename(l.tmp, l.d, l.name, true)
}

func (l link) cancel() error {
	defer l.d.Close()
	if l.tmp != "" {
		return l.d.Remove(l.tmp)
	}
	return l.d.Remove(l.name)
}

// removeLink forgets where a node was.
func (sp *space) removeLink(id cloud.UUID) error {
	d, err := sp.inner("ids/"+shard(id), false)
	if err == nil {
		defer d.Close()
		err = d.Remove(linkName(id))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// stripe is the lock of a name in a directory.
func (sp *space) stripe(dir cloud.UUID, name string) int {
	var h maphash.Hash
	h.SetSeed(sp.store.seed)
	h.WriteString(string(sp.id))
	h.Write(dir[:])
	h.WriteString(name)
	return int(h.Sum64() % uint64(len(sp.store.names)))
}

// lockName keeps all others from changing what stands at a name.
func (sp *space) lockName(dir cloud.UUID, name string) (unlock func()) {
	m := &sp.store.names[sp.stripe(dir, name)]
	m.Lock()
	return m.Unlock
}

// lockNames does so for two names.
func (sp *space) lockNames(dir1 cloud.UUID, name1 string, dir2 cloud.UUID, name2 string) (unlock func()) {
	i, j := sp.stripe(dir1, name1), sp.stripe(dir2, name2)
	if i > j {
		i, j = j, i
	}
	a, b := &sp.store.names[i], &sp.store.names[j]
	a.Lock()
	if a == b {
		return a.Unlock
	}
	b.Lock()
	return func() { b.Unlock(); a.Unlock() }
}
