package disk

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attribute is the one extended attribute there is.
const attribute = "user.oc"

var cattribute = append([]byte(attribute), 0)

// ErrNoAttr says that a file or folder has no attribute, or a larger one than
// was asked for.
var ErrNoAttr = errors.New("no attribute")

func wrapAttr(op, name string, err error) error {
	if err == unix.ENODATA || err == unix.ERANGE {
		return ErrNoAttr
	}
	return wrap(op, name, err)
}

// Attr reads the attribute of what stands under a name, itself when empty,
// and says how long it is.
func (d Dir) Attr(name string, buf []byte) (int, error) {
	if name == "" {
		name = "."
	}
	var n int
	var err error
	if d.r.old {
		// The last name is not followed and has no slash, so this goes nowhere else.
		path := make([]byte, 0, len("/proc/self/fd/")+12+unix.NAME_MAX)
		path = append(path, "/proc/self/fd/"...)
		path = strconv.AppendInt(path, int64(d.fd), 10)
		path = append(append(path, '/'), name...)
		n, err = unix.Lgetxattr(string(path), attribute, buf)
	} else {
		n, err = d.r.getxattrat(d.fd, name, buf)
	}
	return max(n, 0), wrapAttr("getxattr", name, err)
}

// scratch is where the kernel puts an attribute. It has to be on the heap:
// args holds a pointer that the compiler does not see.
type scratch struct {
	args struct {
		value       uint64
		size, flags uint32
	}
	value [256]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// getxattrat is the system call of Linux 6.13.
func (r *Root) getxattrat(fd int, name string, buf []byte) (int, error) {
	var c cname
	if err := c.set(name); err != nil {
		return 0, err
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.args.value = uint64(uintptr(unsafe.Pointer(&s.value)))
	s.args.size = uint32(min(len(buf), len(s.value)))
	n, _, e := unix.Syscall6(unix.SYS_GETXATTRAT, uintptr(fd), uintptr(unsafe.Pointer(&c)), unix.AT_SYMLINK_NOFOLLOW,
		uintptr(unsafe.Pointer(unsafe.SliceData(cattribute))), uintptr(unsafe.Pointer(&s.args)), unsafe.Sizeof(s.args))
	if e != 0 {
		return 0, e
	}
	copy(buf, s.value[:])
	return int(n), nil
}

// SetAttr sets the attribute of a regular file or folder.
func (d Dir) SetAttr(name string, b []byte) error {
	fd, err := open(d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return wrap("open", name, err)
	}
	defer unix.Close(fd)
	return setAttr(fd, name, b)
}

// SetFileAttr sets the attribute of an open file.
func SetFileAttr(f *os.File, b []byte) error { return setAttr(int(f.Fd()), f.Name(), b) }

func setAttr(fd int, name string, b []byte) error {
	return wrapAttr("setxattr", name, unix.Fsetxattr(fd, attribute, b, 0))
}

// RemoveAttr removes the attribute.
func (d Dir) RemoveAttr(name string) error {
	fd, err := open(d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return wrap("open", name, err)
	}
	defer unix.Close(fd)
	return wrapAttr("removexattr", name, unix.Fremovexattr(fd, attribute))
}

// HasAttrs tells whether the file system that a folder is on takes attributes.
func (r *Root) HasAttrs(path string) (bool, error) {
	d, err := r.Dir(path)
	if err != nil {
		return false, err
	}
	defer d.Close()
	const probe = ".probe"
	f, err := d.Create(probe)
	if errors.Is(err, fs.ErrExist) {
		f, err = d.Open(probe, true)
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = SetFileAttr(f, []byte("probe"))
	if err := d.Remove(probe); err != nil {
		return false, err
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		return false, nil
	}
	return err == nil, err
}
