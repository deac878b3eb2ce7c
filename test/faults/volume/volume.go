// Package volume gives tests disks of their own: images attached to loop
// devices, formatted and mounted. Everything happens in a mount namespace
// that ends with the test process, so that nothing is left behind even when a
// test panics or is killed. It needs root, and says so where there is none.
package volume

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inside marks the process that runs in a namespace of its own.
const inside = "OPENCLOUD_TEST_MOUNTS"

// Main is for TestMain: it starts the test binary again, in the same process,
// in a new mount namespace. Without root it goes on as it is; then Need skips.
func Main(m *testing.M) {
	if os.Geteuid() == 0 && os.Getenv(inside) == "" {
		if err := reborn(); err != nil {
			fmt.Fprintln(os.Stderr, "no mount namespace:", err)
		}
	}
	os.Exit(m.Run())
}

// reborn returns only when it fails.
func reborn() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// A namespace belongs to a thread; what that thread executes has it whole.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), inside+"=1"))
}

// Need skips a test where the machine does not have what it takes: root, loop
// devices, FUSE when asked for, and the tools named.
func Need(t testing.TB, fuse bool, tools ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount file systems")
	}
	if os.Getenv(inside) == "" {
		t.Skip("needs a mount namespace: TestMain must call volume.Main, and the machine allow it")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip("needs loop devices:", err)
	}
	if fuse {
		f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
		if err != nil {
			t.Skip("needs FUSE:", err)
		}
		f.Close()
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs a tool:", err)
		}
	}
}

// Memory is a file of a size that lives in memory and nowhere else.
func Memory(size int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("disk", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "/memfd:disk")
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Format makes a file system on a device or in a file.
func Format(path, fstype string, args ...string) error {
	quiet := map[string][]string{
		"ext4":  {"-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"},
		"xfs":   {"-q", "-f", "-K"},
		"btrfs": {"-q", "-f", "-K"},
	}[fstype]
	cmd := exec.Command("mkfs."+fstype, append(append(quiet, args...), path)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// Attach makes a loop device of a file. The device goes by itself as soon as
// nobody has it open or mounted.
func Attach(file *os.File) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("no free loop device: %w", err)
		}
		dev, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(file.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		err = unix.IoctlLoopConfigure(int(dev.Fd()), &config)
		if err == nil {
			return dev, nil
		}
		dev.Close()
		if !errors.Is(err, unix.EBUSY) { // somebody else was quicker
			return nil, fmt.Errorf("%s: %w", dev.Name(), err)
		}
	}
}

// Mount mounts a file system; source is a device, or a word for those that need none.
func Mount(source, dir, fstype, options string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, dir, fstype, 0, options); err != nil {
		return fmt.Errorf("mount -t %s -o %q %s: %w", fstype, options, source, err)
	}
	return nil
}

// MountFile is Attach and Mount of a file with a file system in it.
func MountFile(file *os.File, dir, fstype, options string) error {
	dev, err := Attach(file)
	if err != nil {
		return err
	}
	defer dev.Close() // the mount holds it from here on
	return Mount(dev.Name(), dir, fstype, options)
}

// Unmount fails when something is still open there; it is gone from the tree
// in any case. What was forgotten and not closed is left to the garbage
// collector, which is asked first.
func Unmount(dir string) error {
	err := unix.Unmount(dir, 0)
	for try := 0; err == unix.EBUSY && try < 20; try++ {
		runtime.GC()
		time.Sleep(time.Duration(try) * time.Millisecond)
		err = unix.Unmount(dir, 0)
	}
	if err != nil {
		err = fmt.Errorf("umount %s: %w; open: %q", dir, err, stillOpen(dir))
		unix.Unmount(dir, unix.MNT_DETACH)
	}
	return err
}

// New makes a file system of a size in memory and mounts it until the test ends.
func New(t testing.TB, fstype string, size int64, options string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), fstype)
	var err error
	switch fstype {
	case "tmpfs", "ramfs":
		err = Mount(fstype, dir, fstype, strings.Trim(fmt.Sprintf("size=%d,%s", size, options), ","))
	default:
		err = newDisk(dir, fstype, size, options)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Unmount(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func newDisk(dir, fstype string, size int64, options string) error {
	file, err := Memory(size)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := Format(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd()), fstype); err != nil {
		return err
	}
	return MountFile(file, dir, fstype, options)
}

// stillOpen is what this process has open below a folder.
func stillOpen(dir string) (names []string) {
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, dir) {
			names = append(names, name)
		}
	}
	return names
}
