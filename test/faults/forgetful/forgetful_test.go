package forgetful_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"opencloud/test/faults/forgetful"
	"opencloud/test/faults/volume"
)

func TestMain(m *testing.M) { volume.Main(m) }

// left is what a power cut left of a disk, mounted.
func left(t *testing.T, d *forgetful.Disk, at int, loss forgetful.Loss, seed uint64) string {
	t.Helper()
	file, err := volume.Memory(d.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := d.Replay()
	r.Seek(at)
	if err := r.Image(file, loss, rand.New(rand.NewPCG(seed, 0))); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "left")
	if err := volume.MountFile(file, dir, "ext4", ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := volume.Unmount(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestControl is the test of the test: who writes without fsync loses data
// here, and who does with it loses nothing.
func TestControl(t *testing.T) {
	volume.Need(t, true, "mkfs.ext4")
	d, dir := volume.Forgetful(t, 64<<20)
	body := bytes.Repeat([]byte("durable?"), 1<<10)

	careful, err := os.Create(filepath.Join(dir, "careful"))
	if err != nil {
		t.Fatal(err)
	}
	defer careful.Close()
	if _, err := careful.Write(body); err != nil {
		t.Fatal(err)
	}
	before := d.Position()
	if err := careful.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "careless"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	after := d.Position()
	if d.Flushes() == 0 {
		t.Fatal("no flush reached the disk")
	}

	for _, loss := range forgetful.Losses {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			at := left(t, d, after, loss, 1)
			if got, err := os.ReadFile(filepath.Join(at, "careful")); err != nil || !bytes.Equal(got, body) {
				t.Errorf("written and synced: got %d bytes, %v, want %d", len(got), err, len(body))
			}
			if got, err := os.ReadFile(filepath.Join(at, "careless")); err == nil && bytes.Equal(got, body) {
				t.Error("written and never synced: all is there; the disk forgets nothing")
			}
		})
	}
	t.Run("before the fsync", func(t *testing.T) {
		at := left(t, d, before, forgetful.Loss{}, 1)
		if got, err := os.ReadFile(filepath.Join(at, "careful")); err == nil && len(got) > 0 {
			t.Errorf("not yet synced: got %d bytes, want none", len(got))
		}
	})
	t.Run("synced later", func(t *testing.T) {
		root, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if err := unix.Syncfs(int(root.Fd())); err != nil {
			t.Fatal(err)
		}
		at := left(t, d, d.Position(), forgetful.Loss{}, 1)
		if got, err := os.ReadFile(filepath.Join(at, "careless")); err != nil || !bytes.Equal(got, body) {
			t.Errorf("synced as a whole: got %d bytes, %v, want %d", len(got), err, len(body))
		}
	})
}

// TestSound cuts the power again and again under a load of files and folders
// and asks e2fsck: a journaling file system that was told the truth about
// flushes is never damaged, so what it finds would be a fault of the disk.
func TestSound(t *testing.T) {
	volume.Need(t, true, "mkfs.ext4", "e2fsck")
	d, dir := volume.Forgetful(t, 64<<20)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		name := filepath.Join(dir, fmt.Sprint("d", i%7), fmt.Sprint(i%40))
		os.MkdirAll(filepath.Dir(name), 0o700)
		body := bytes.Repeat([]byte{byte(i)}, rnd.IntN(40_000))
		f, err := os.Create(name + ".tmp")
		if err != nil {
			t.Fatal(err)
		}
		f.Write(body)
		if i%20 == 0 {
			f.Sync()
		} else { // on its way to the disk, with nothing that makes it stay there
			unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
		}
		f.Close()
		if err := os.Rename(name+".tmp", name); err != nil {
			t.Fatal(err)
		}
		if i%11 == 0 {
			os.RemoveAll(filepath.Join(dir, fmt.Sprint("d", rnd.IntN(7))))
		}
	}
	r := d.Replay()
	end := d.Position()
	unflushed := 0
	for i := range 12 {
		loss := forgetful.Losses[i%len(forgetful.Losses)]
		r.Seek(end * (i + 1) / 12)
		unflushed += r.Unflushed()
		file, err := volume.Memory(d.Size())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Image(file, loss, rnd); err != nil {
			t.Fatal(err)
		}
		// Mounting once lets the journal be replayed; then all must be well.
		at := filepath.Join(t.TempDir(), "left")
		if err := volume.MountFile(file, at, "ext4", ""); err != nil {
			t.Fatal(loss, err)
		}
		if err := volume.Unmount(at); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("e2fsck", "-f", "-n", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd())).CombinedOutput()
		if err != nil {
			t.Errorf("cut %d, %s, %d writes unflushed: %v\n%s", i, loss, r.Unflushed(), err, out)
		}
		file.Close()
	}
	if unflushed < 12 {
		t.Errorf("only %d writes were there to be lost at 12 cuts", unflushed)
	}
}
