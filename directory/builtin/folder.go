package builtin

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"opencloud/cloud"
)

// A folder holds things of one kind, one a file: "<id>.json". It is its own
// notice board: a change renames a file into it or takes one out, under the
// lock, and leaves it with an mtime that is later than before even where the
// clock is coarse. One stat says whether another process was there.
type folder struct {
	root string // has the lock, and files in the making
	path string
	log  *slog.Logger
	load func() error // brings what is in memory up to date; calls scan
	own  func(path string)

	stamp    atomic.Int64 // mtime that what is in memory agrees with
	changing atomic.Bool  // a change of our own is on its way into memory
}

// fileID tells one content of a file from another.
type fileID struct {
	ino   uint64
	mtime int64
	size  int64
}

func (f *folder) file(id string) string { return filepath.Join(f.path, id+".json") }

// mtime is that of the folder, in nanoseconds.
func (f *folder) mtime() (int64, error) {
	var st unix.Stat_t
	if err := unix.Stat(f.path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: f.path, Err: err}
	}
	return st.Mtim.Nano(), nil
}

// current makes memory agree with the folder if another process changed it.
func (f *folder) current() error {
	now, err := f.mtime()
	if err != nil || now == f.stamp.Load() || f.changing.Load() {
		return err
	}
	return f.load()
}

// scan hands each file to read, from several goroutines, and what was read to
// keep, in the order of the ids. A file that cannot be understood is logged.
func scan[T any](f *folder, read func(dir int, name, id string, buf []byte) (*T, error), keep func(*T)) error {
	now, err := f.mtime() // before reading: what changes meanwhile is seen next time
	if err != nil {
		return err
	}
	dir, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, ".json") })
	slices.Sort(names)
	found := make([]*T, len(names))
	var wg sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), len(names)/64+1)
	for w := range workers {
		wg.Go(func() {
			buf := make([]byte, maxFile+1)
			for i := w; i < len(names); i += workers {
				id := strings.TrimSuffix(names[i], ".json")
				v, err := read(int(dir.Fd()), names[i], id, buf)
				switch {
				case errors.Is(err, unix.ENOENT): // removed meanwhile
				case err != nil:
					f.log.Error("a file cannot be understood and is left alone", "file", f.file(id), "error", err)
				default:
					found[i] = v
				}
			}
		})
	}
	wg.Wait()
	for _, v := range found {
		if v != nil {
			keep(v)
		}
	}
	f.stamp.Store(now)
	return nil
}

// maxFile is more than the bounds on what is kept come to.
const maxFile = 256 << 10

// read decodes a file into v, unless it is still the one that was read
// before. Plain system calls: there may be 100,000 files.
func read(dir int, name string, was fileID, v any, buf []byte) (now fileID, same bool, err error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return now, false, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return now, false, err
	}
	now = fileID{st.Ino, st.Mtim.Nano(), st.Size}
	if now == was {
		return now, true, nil
	}
	n := 0
	for n < len(buf) && int64(n) < st.Size {
		m, err := unix.Read(fd, buf[n:])
		if err != nil {
			return now, false, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	if n > maxFile {
		return now, false, errors.New("it is too large")
	}
	return now, false, json.Unmarshal(buf[:n], v)
}

// checkID says whether the file's name is an id, and that of what it holds.
func checkID(id, holds string) error {
	if _, ok := cloud.ParseUUID(id); !ok {
		return errors.New("its name is not an id")
	}
	if id != holds {
		return fmt.Errorf("it holds %q", holds)
	}
	return nil
}

// own gives what is new to the owner of the users' folder: the command line
// is often root where the server is not, and the server must read it.
func (d *Directory) own(path string) {
	var st unix.Stat_t
	if os.Geteuid() == 0 && unix.Stat(d.users.path, &st) == nil && st.Uid != 0 {
		os.Lchown(path, int(st.Uid), int(st.Gid))
	}
}

// locked runs do while no other process and nobody else here changes
// anything.
func (d *Directory) locked(do func() error) error { return locked(d.root, d.own, d.current, do) }

// locked holds the lock of a root, and lets current bring memory up to date
// before it runs do.
func locked(root string, own func(path string), current, do func() error) error {
	lock, err := os.OpenFile(filepath.Join(root, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // lets go of the lock
	own(lock.Name())
	for {
		if err = unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("lock of %s: %w", root, err)
	}
	if err := current(); err != nil {
		return err
	}
	return do()
}

// change runs do, which writes or removes one file and puts the change into
// memory, in locked.
func (f *folder) change(do func() error) error {
	before := f.stamp.Load()
	f.changing.Store(true)
	defer f.changing.Store(false)
	failed := do()
	after, err := f.mtime()
	switch {
	case err != nil:
		return errors.Join(failed, err)
	case failed != nil: // do may have come half way: the files say how far
		if after != before {
			err = f.load()
		}
		return errors.Join(failed, err)
	case after <= before:
		after = before + 1
		ts := unix.NsecToTimespec(after)
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, f.path, []unix.Timespec{ts, ts}, 0); err != nil {
			return err
		}
	}
	f.stamp.Store(after)
	return nil
}

// write puts v into its file and says what file that is.
func (f *folder) write(id string, v any) (now fileID, err error) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return now, err
	}
	// Beside the folder, so that in it there are whole files only.
	tmp := filepath.Join(f.root, ".new") // one writer at a time: see locked
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return now, err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp)
		}
	}()
	f.own(tmp)
	_, err = file.Write(append(body, '\n'))
	if err == nil {
		err = file.Sync()
	}
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(int(file.Fd()), &st)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return now, err
	}
	if err = os.Rename(tmp, f.file(id)); err != nil {
		return now, err
	}
	return fileID{st.Ino, st.Mtim.Nano(), st.Size}, f.sync()
}

func (f *folder) unlink(id string) error {
	if err := os.Remove(f.file(id)); err != nil {
		return err
	}
	return f.sync()
}

// sync makes what happened in the folder durable.
func (f *folder) sync() error {
	dir, err := os.Open(f.path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
