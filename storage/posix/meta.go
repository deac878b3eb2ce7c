package posix

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"
)

// A spot is where a file or directory stands: a name in an open directory,
// the id of which is parent.
type spot struct {
	sp     *space
	dir    disk.Dir
	parent cloud.UUID
	name   string
}

// meta keeps the attributes. There are two ways: with the file, where the
// file system can, and in a file of its own beside the tree, where it cannot.
type meta interface {
	// get is not ok when there is no attribute or a damaged one; an error is
	// fs.ErrNotExist when there is nothing at the spot at all.
	get(at spot) (a attr, ok bool, err error)
	// set gives one to what stands at the spot.
	set(at spot, a attr) error
	// begin gives one to a file or directory that has no place yet, and
	// arrive right before it gets one.
	begin(f *os.File, a attr) error
	beginDir(d disk.Dir, name string, a attr) error
	arrive(at spot, a attr) error
	// moved and gone follow what happened to the file.
	moved(from, to spot) error
	gone(at spot) error
}

// inXattr keeps an attribute with its file.
type inXattr struct{}

func (inXattr) get(at spot) (attr, bool, error) {
	b := attrBufs.Get().(*[fileAttrSize]byte)
	defer attrBufs.Put(b)
	n, err := at.dir.Attr(at.name, b[:])
	if errors.Is(err, disk.ErrNoAttr) {
		return attr{}, false, nil
	}
	if err != nil {
		return attr{}, false, err
	}
	a, ok := decodeAttr(b[:n])
	return a, ok, nil
}

func (inXattr) set(at spot, a attr) error {
	var b [fileAttrSize]byte
	return at.dir.SetAttr(at.name, a.encode(b[:]))
}

func (inXattr) begin(f *os.File, a attr) error {
	var b [fileAttrSize]byte
	return disk.SetFileAttr(f, a.encode(b[:]))
}

func (inXattr) beginDir(d disk.Dir, name string, a attr) error {
	var b [fileAttrSize]byte
	return d.SetAttr(name, a.encode(b[:]))
}

func (inXattr) arrive(spot, attr) error { return nil }
func (inXattr) moved(_, _ spot) error   { return nil }
func (inXattr) gone(spot) error         { return nil }

var attrBufs = sync.Pool{New: func() any { return new([fileAttrSize]byte) }}

// inSidecar keeps attributes in .oc/meta/<parent>/<name>. A file and its
// attribute do not change in one step here, so a crash may part them: then
// the print does not fit, and the content is looked at again.
type inSidecar struct{}

// folder is where the attributes of a directory's members are.
func (inSidecar) folder(at spot, make bool) (disk.Dir, error) {
	return at.sp.inner("meta/"+at.parent.String(), make)
}

func (m inSidecar) get(at spot) (attr, bool, error) {
	if _, err := at.dir.Stat(at.name); err != nil {
		return attr{}, false, err
	}
	d, err := m.folder(at, false)
	if errors.Is(err, fs.ErrNotExist) {
		return attr{}, false, nil
	}
	if err != nil {
		return attr{}, false, err
	}
	defer d.Close()
	f, err := d.Open(at.name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return attr{}, false, nil
	}
	if err != nil {
		return attr{}, false, err
	}
	defer f.Close()
	var b [fileAttrSize + 1]byte
	n, err := io.ReadFull(f, b[:])
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return attr{}, false, err
	}
	a, ok := decodeAttr(b[:n])
	return a, ok, nil
}

func (m inSidecar) set(at spot, a attr) error {
	d, err := m.folder(at, true)
	if err != nil {
		return err
	}
	defer d.Close()
	var b [fileAttrSize]byte
	return at.sp.replace(d, at.name, a.encode(b[:]), false)
}

func (inSidecar) begin(*os.File, attr) error            { return nil }
func (inSidecar) beginDir(disk.Dir, string, attr) error { return nil }

func (m inSidecar) arrive(at spot, a attr) error { return m.set(at, a) }

func (m inSidecar) moved(from, to spot) error {
	d, err := m.folder(from, false)
	if err == nil {
		defer d.Close()
		var t disk.Dir
		if t, err = m.folder(to, true); err == nil {
			defer t.Close()
			err = d.Rename(from.name, t, to.name, true)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (m inSidecar) gone(at spot) error {
	d, err := m.folder(at, false)
	if err == nil {
		defer d.Close()
		err = d.Remove(at.name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
