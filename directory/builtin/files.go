package builtin

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"opencloud/cloud"
)

// The folder is its own notice board: a change renames a file into it or
// takes one out, under the lock, and leaves it with an mtime that is later
// than before even where the clock is coarse. One stat says whether another
// process was there.

// fileID tells one content of a file from another.
type fileID struct {
	ino   uint64
	mtime int64
	size  int64
}

func (d *Directory) file(id cloud.UserID) string { return filepath.Join(d.users, string(id)+".json") }

// mtime is that of the folder, in nanoseconds.
func (d *Directory) mtime() (int64, error) {
	var st unix.Stat_t
	if err := unix.Stat(d.users, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: d.users, Err: err}
	}
	return st.Mtim.Nano(), nil
}

// current makes the maps agree with the folder if another process changed it.
func (d *Directory) current() error {
	now, err := d.mtime()
	if err != nil || now == d.stamp.Load() || d.changing.Load() {
		return err
	}
	return d.refresh()
}

// refresh reads the files that are new or different, and rebuilds the maps.
func (d *Directory) refresh() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, err := d.mtime() // before reading: what changes meanwhile is seen next time
	if err != nil || d.byID != nil && now == d.stamp.Load() {
		return err
	}
	dir, err := os.Open(d.users)
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
	found := make([]*account, len(names))
	var wg sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), len(names)/64+1)
	for w := range workers {
		wg.Go(func() {
			buf := make([]byte, maxFile+1)
			for i := w; i < len(names); i += workers {
				id := cloud.UserID(strings.TrimSuffix(names[i], ".json"))
				a, err := read(int(dir.Fd()), names[i], id, d.byID[id], buf)
				switch {
				case errors.Is(err, unix.ENOENT): // removed meanwhile
				case err != nil:
					d.log.Error("a user's file cannot be understood and is left alone", "file", d.file(id), "error", err)
				default:
					found[i] = a
				}
			}
		})
	}
	wg.Wait()
	d.byID = make(map[cloud.UserID]*account, len(found))
	d.byName = make(map[string]*account, len(found))
	d.byMail = make(map[string]*account, len(found))
	for _, a := range found {
		if a == nil {
			continue
		}
		if has := d.byName[fold(a.Name)]; has != nil {
			d.log.Error("two users have the same name; the second one is left out", "name", a.Name, "first", has.ID, "second", a.ID)
			continue
		}
		if has := d.byMail[fold(a.Mail)]; has != nil {
			d.log.Error("two users have the same mail address; it is taken for the first one's", "mail", a.Mail, "first", has.ID, "second", a.ID)
			b := *a
			b.Mail, a = "", &b
		}
		d.index(a)
	}
	d.stamp.Store(now)
	return nil
}

// maxFile is more than the bounds on a user come to.
const maxFile = 256 << 10

// read is old itself when the file is still the one that old was read from.
// Plain system calls: there may be 100,000 files.
func read(dir int, name string, id cloud.UserID, old *account, buf []byte) (*account, error) {
	if _, ok := cloud.ParseUUID(string(id)); !ok {
		return nil, errors.New("its name is not a user's id")
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	file := fileID{st.Ino, st.Mtim.Nano(), st.Size}
	if old != nil && old.file == file {
		return old, nil
	}
	n := 0
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		if err != nil {
			return nil, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	if n > maxFile {
		return nil, errors.New("it is too large")
	}
	a := &account{file: file}
	if err := json.Unmarshal(buf[:n], a); err != nil {
		return nil, err
	}
	if a.ID != id {
		return nil, fmt.Errorf("it holds the user %q", a.ID)
	}
	if a.Password != "" {
		if _, _, _, _, _, err := parse(a.Password); err != nil {
			return nil, err
		}
	}
	return a, a.check("")
}

// change runs f while no other process and nobody else here changes the
// folder, with the maps up to date.
func (d *Directory) change(f func() error) error {
	lock, err := os.OpenFile(filepath.Join(d.root, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // lets go of the lock
	d.own(lock)
	for {
		if err = unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("lock of the users: %w", err)
	}
	if err := d.current(); err != nil {
		return err
	}
	before := d.stamp.Load()
	d.changing.Store(true)
	defer d.changing.Store(false)
	ferr := f()
	after, err := d.mtime()
	switch {
	case err != nil:
		return errors.Join(ferr, err)
	case ferr != nil: // f may have come half way: the files say how far
		if after != before {
			err = d.refresh()
		}
		return errors.Join(ferr, err)
	case after <= before:
		after = before + 1
		ts := unix.NsecToTimespec(after)
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, d.users, []unix.Timespec{ts, ts}, 0); err != nil {
			return err
		}
	}
	d.stamp.Store(after)
	return nil
}

// write puts the account into its file; afterwards a.file is that file.
func (d *Directory) write(a *account) (err error) {
	body, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	// Beside the folder, so that in it there are whole files only.
	tmp := filepath.Join(d.root, ".new") // one writer at a time: see change
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp)
		}
	}()
	d.own(f)
	_, err = f.Write(append(body, '\n'))
	if err == nil {
		err = f.Sync()
	}
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(int(f.Fd()), &st)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp, d.file(a.ID)); err != nil {
		return err
	}
	a.file = fileID{st.Ino, st.Mtim.Nano(), st.Size}
	return d.sync()
}

// own gives a new file to the owner of the folder: the command line is often
// root where the server is not, and the server must read what it wrote.
func (d *Directory) own(f *os.File) {
	var st unix.Stat_t
	if os.Geteuid() == 0 && unix.Stat(d.users, &st) == nil && st.Uid != 0 {
		f.Chown(int(st.Uid), int(st.Gid))
	}
}

func (d *Directory) unlink(id cloud.UserID) error {
	if err := os.Remove(d.file(id)); err != nil {
		return err
	}
	return d.sync()
}

// sync makes what happened in the folder durable.
func (d *Directory) sync() error {
	dir, err := os.Open(d.users)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
