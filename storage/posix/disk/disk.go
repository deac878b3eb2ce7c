// Package disk is the file system as a store wants it: everything is beneath
// one folder, no symbolic link is ever followed, and what a person swaps while
// we look cannot lead anywhere else. It is not aware of nodes or spaces.
//
// A path or a name that leads to no regular file or folder beneath the root is
// fs.ErrNotExist, whatever the reason.
package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Kind is what stands under a name.
type Kind uint8

const (
	Irregular Kind = iota // a link, a device, a socket, …
	File
	Folder
)

// Info is what the file system says of a file or folder.
type Info struct {
	Kind  Kind
	Size  int64
	MTime time.Time
	Inode uint64
	Dev   uint64
	Links uint32
}

// A Root is a folder that is everything there is. It is safe for concurrent use.
type Root struct {
	dir  Dir
	file *os.File // owns the descriptor of dir; closed with the last reference
	// walk says that the kernel does not have openat2 (Linux 5.6) or a
	// sandbox forbids it: then paths are followed name by name.
	walk bool
	// old says that the kernel does not have getxattrat (Linux 6.13).
	old bool
}

// Open opens the folder that becomes the root.
func Open(path string) (*Root, error) {
	fd, err := open(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	r := &Root{}
	r.dir, r.file = Dir{fd, r}, os.NewFile(uintptr(fd), path)
	if d, err := r.Dir(""); err == nil {
		d.Close()
	} else {
		r.walk = true
	}
	_, err = r.getxattrat(fd, ".", nil)
	r.old = err == unix.ENOSYS || err == unix.EPERM
	return r, nil
}

// Sync brings all of the file system that a folder is on to the disk.
func (r *Root) Sync(path string) error {
	d, err := r.ReadDir(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(d.fd)
}

// Space is how many bytes the file system has, and how many may still be
// written: plenty when it does not know its own size, as some in memory and
// on the network do not.
func (r *Root) Space() (size, free int64, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(r.dir.fd, &st); err != nil {
		return 0, 0, err
	}
	if st.Blocks == 0 {
		return math.MaxInt64, math.MaxInt64, nil
	}
	return int64(st.Blocks) * st.Bsize, int64(st.Bavail) * st.Bsize, nil
}

// A Dir is an open folder. It stays the same folder when it is moved.
type Dir struct {
	fd int
	r  *Root
}

// Dir opens a folder for everything but List.
func (r *Root) Dir(path string) (Dir, error) { return r.open(path, unix.O_PATH) }

// ReadDir opens a folder for List, too.
func (r *Root) ReadDir(path string) (Dir, error) { return r.open(path, unix.O_RDONLY) }

func (r *Root) open(path string, flags int) (Dir, error) {
	fd, err := r.beneath(path, flags|unix.O_DIRECTORY)
	if err != nil {
		return Dir{}, wrap("open", path, err)
	}
	return Dir{fd, r}, nil
}

func (r *Root) beneath(path string, flags int) (int, error) {
	if path == "" {
		path = "."
	}
	if r.walk {
		return r.follow(path, flags)
	}
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_NOFOLLOW | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		// EAGAIN: something was renamed while the kernel looked.
		fd, err := unix.Openat2(r.dir.fd, path, &how)
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// follow does in many steps what openat2 does in one.
func (r *Root) follow(path string, flags int) (int, error) {
	at := r.dir.fd
	for {
		name, rest, more := strings.Cut(path, "/")
		if name == ".." {
			return -1, unix.EXDEV
		}
		how := flags
		if more {
			how = unix.O_PATH | unix.O_DIRECTORY
		}
		fd, err := open(at, name, how)
		if at != r.dir.fd {
			unix.Close(at)
		}
		if err != nil || !more {
			return fd, err
		}
		at, path = fd, rest
	}
}

func open(at int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(at, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o660)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// wrap says what failed. What is merely not there, or is there already, is
// plain, because that is asked a thousand times a second.
func wrap(op, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case err == unix.ENOENT,
		op == "open" && (err == unix.ELOOP || err == unix.ENOTDIR || err == unix.EXDEV):
		return fs.ErrNotExist
	case err == unix.EEXIST:
		return fs.ErrExist
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func (d Dir) Close() {
	if d.r != nil && d.fd != d.r.dir.fd {
		unix.Close(d.fd)
	}
}

// Dir opens a folder below this one.
func (d Dir) Dir(name string) (Dir, error) {
	fd, err := open(d.fd, name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return Dir{}, wrap("open", name, err)
	}
	return Dir{fd, d.r}, nil
}

// cname is a name as the kernel takes it, on the stack.
type cname [unix.NAME_MAX + 1]byte

func (c *cname) set(name string) error {
	if len(name) >= len(c) {
		return unix.ENAMETOOLONG
	}
	copy(c[:], name)
	c[len(name)] = 0
	return nil
}

// Stat says what stands under a name, itself when empty.
func (d Dir) Stat(name string) (Info, error) {
	var c cname
	if err := c.set(name); err != nil {
		return Info{}, wrap("stat", name, err)
	}
	var st unix.Statx_t
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags = unix.AT_EMPTY_PATH
	}
	const mask = unix.STATX_TYPE | unix.STATX_SIZE | unix.STATX_MTIME | unix.STATX_INO | unix.STATX_NLINK
	_, _, e := unix.Syscall6(unix.SYS_STATX, uintptr(d.fd), uintptr(unsafe.Pointer(&c)), uintptr(flags), mask, uintptr(unsafe.Pointer(&st)), 0)
	if e != 0 {
		return Info{}, wrap("stat", name, e)
	}
	return info(&st), nil
}

func info(st *unix.Statx_t) Info {
	i := Info{Size: int64(st.Size), MTime: time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec)).UTC(),
		Inode: st.Ino, Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Links: st.Nlink}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		i.Kind = File
	case unix.S_IFDIR:
		i.Kind = Folder
	}
	return i
}

// StatFile says the same of an open file.
func (r *Root) StatFile(f *os.File) (Info, error) {
	i, err := Dir{int(f.Fd()), r}.Stat("")
	if err != nil {
		return i, &fs.PathError{Op: "stat", Path: f.Name(), Err: errors.Unwrap(err)}
	}
	return i, nil
}

// Open opens a regular file for reading, or with write for both.
func (d Dir) Open(name string, write bool) (*os.File, error) {
	flags := unix.O_RDONLY | unix.O_NONBLOCK // do not wait for the other end of a pipe
	if write {
		flags = unix.O_RDWR | unix.O_NONBLOCK
	}
	fd, err := open(d.fd, name, flags)
	if err == unix.ENXIO || err == unix.EISDIR {
		err = unix.ENOENT
	}
	if err != nil {
		return nil, wrap("open", name, err)
	}
	i, err := Dir{fd, d.r}.Stat("")
	if err == nil && i.Kind != File {
		err = fs.ErrNotExist
	}
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Create makes a file that does not exist yet.
func (d Dir) Create(name string) (*os.File, error) {
	fd, err := open(d.fd, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return nil, wrap("create", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (d Dir) Mkdir(name string, mode uint32) error {
	return wrap("mkdir", name, unix.Mkdirat(d.fd, name, mode))
}

// Rename is fs.ErrExist when the name is taken, unless over. A file system
// that cannot tell makes it look before it moves.
func (d Dir) Rename(name string, to Dir, toName string, over bool) error {
	if over {
		return wrap("rename", name, unix.Renameat(d.fd, name, to.fd, toName))
	}
	err := unix.Renameat2(d.fd, name, to.fd, toName, unix.RENAME_NOREPLACE)
	if err == unix.EINVAL || err == unix.ENOSYS {
		var st unix.Stat_t
		if err := unix.Fstatat(to.fd, toName, &st, unix.AT_SYMLINK_NOFOLLOW); err != unix.ENOENT {
			if err == nil {
				err = unix.EEXIST
			}
			return wrap("rename", toName, err)
		}
		err = unix.Renameat(d.fd, name, to.fd, toName)
	}
	return wrap("rename", name, err)
}

// Link gives a file a second name.
func (d Dir) Link(name string, to Dir, toName string) error {
	return wrap("link", name, unix.Linkat(d.fd, name, to.fd, toName, 0))
}

func (d Dir) Remove(name string) error { return wrap("unlink", name, unix.Unlinkat(d.fd, name, 0)) }

// RemoveDir removes an empty folder.
func (d Dir) RemoveDir(name string) error {
	return wrap("rmdir", name, unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR))
}

func (d Dir) Symlink(target, name string) error {
	return wrap("symlink", name, unix.Symlinkat(target, d.fd, name))
}

// Readlink reads a link. It is the one call that may be led elsewhere by links
// on the way: whoever uses it has to verify what it says.
func (r *Root) Readlink(path string) (string, error) {
	var b [512]byte
	n, err := unix.Readlinkat(r.dir.fd, path, b[:])
	if err == unix.EINVAL || err == unix.ENOTDIR {
		err = unix.ENOENT
	}
	if err != nil {
		return "", wrap("readlink", path, err)
	}
	return string(b[:n]), nil
}

// Sync makes the names in a folder durable.
func (d Dir) Sync(name string) error {
	fd, err := open(d.fd, name, unix.O_RDONLY)
	if err != nil {
		return wrap("open", name, err)
	}
	defer unix.Close(fd)
	return wrap("fsync", name, unix.Fsync(fd))
}

// SetMTime sets the time of an open file.
func SetMTime(f *os.File, t time.Time) error {
	ts := [2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: t.Unix(), Nsec: int64(t.Nanosecond())}}
	_, _, e := unix.Syscall6(unix.SYS_UTIMENSAT, f.Fd(), 0, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	if e != 0 {
		return &fs.PathError{Op: "utimensat", Path: f.Name(), Err: e}
	}
	return nil
}

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// List calls yield with each name and what the folder says stands under it;
// Irregular may also mean that it does not say. The name is valid until yield
// returns. The Dir must come from ReadDir and be listed once.
func (d Dir) List(yield func(name []byte, kind Kind) error) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := unix.Getdents(d.fd, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return wrap("getdents", "", err)
		}
		if n <= 0 {
			return nil
		}
		for b := buf[:n]; len(b) > 0; {
			// struct linux_dirent64: the inode and an offset, 8 bytes each,
			// the length of the whole, the type, the name, 0.
			size, kind := binary.NativeEndian.Uint16(b[16:]), Irregular
			switch b[18] {
			case unix.DT_REG:
				kind = File
			case unix.DT_DIR:
				kind = Folder
			}
			name, _, _ := bytes.Cut(b[19:size], []byte{0})
			b = b[size:]
			if string(name) == "." || string(name) == ".." {
				continue
			}
			if err := yield(name, kind); err != nil {
				return err
			}
		}
	}
}

// Kick tells the disk to begin with what was written, without waiting.
func Kick(f *os.File, at, n int64) {
	// Merely a hint: what goes wrong shows at the next Sync.
	_ = unix.SyncFileRange(int(f.Fd()), at, n, unix.SYNC_FILE_RANGE_WRITE)
}

// ReadDir opens a folder below this one for List, too.
func (d Dir) ReadDir(name string) (Dir, error) {
	fd, err := open(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return Dir{}, wrap("open", name, err)
	}
	return Dir{fd, d.r}, nil
}
