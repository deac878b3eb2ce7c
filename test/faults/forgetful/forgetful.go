// Package forgetful is a disk that can lose power. It keeps a log of what was
// written to it and of the flushes in between, and afterwards makes the images
// that a power cut at any moment could have left. It is a file in a small FUSE
// file system, for a loop device to be put on; it knows nothing of what is
// stored on it.
package forgetful

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A Disk is safe for concurrent use.
type Disk struct {
	size int64

	mu   sync.Mutex
	base image // as it was when the log began
	now  image
	log  []entry
}

// An entry of the log is a write, or a flush when n is 0.
type entry struct {
	off, n int64
	data   []byte // nil: zeros
}

// New is an empty disk.
func New(size int64) *Disk { return &Disk{size: size, base: image{}, now: image{}} }

// Settle makes what is written so far durable and begins the log anew.
func (d *Disk) Settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.base, d.log = d.now.clone(), nil
}

// Position is the length of the log. All that somebody has been told until
// now rests on entries before it.
func (d *Disk) Position() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.log)
}

// Flushes is how many flushes the log holds.
func (d *Disk) Flushes() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.log {
		if e.n == 0 {
			n++
		}
	}
	return n
}

// WriteAt writes from inside the process, as a client would.
func (d *Disk) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > d.size {
		return 0, syscall.ENOSPC
	}
	d.write(off, p)
	return len(p), nil
}

func (d *Disk) write(off int64, p []byte) {
	e := entry{off: off, n: int64(len(p))}
	if !zero(p) {
		e.data = bytes.Clone(p)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now.apply(e)
	d.log = append(d.log, e)
}

func (d *Disk) erase(off, n int64) {
	e := entry{off: off, n: min(n, d.size-off)}
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.n > 0 {
		d.now.apply(e)
		d.log = append(d.log, e)
	}
}

func (d *Disk) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, entry{})
}

func (d *Disk) read(off int64, p []byte) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	p = p[:max(min(int64(len(p)), d.size-off), 0)]
	d.now.read(off, p)
	return len(p)
}

// An image is the content of a disk; a chunk that is missing is all zeros.
type image map[int64]*[chunk]byte

const chunk = 16 << 10

func (im image) clone() image {
	c := make(image, len(im))
	for i, p := range im {
		copied := *p
		c[i] = &copied
	}
	return c
}

func (im image) read(off int64, p []byte) {
	for len(p) > 0 {
		i, at := off/chunk, off%chunk
		n := min(int64(len(p)), chunk-at)
		if c := im[i]; c != nil {
			copy(p[:n], c[at:])
		} else {
			clear(p[:n])
		}
		p, off = p[n:], off+n
	}
}

func (im image) apply(e entry) {
	for done := int64(0); done < e.n; {
		i, at := (e.off+done)/chunk, (e.off+done)%chunk
		n := min(e.n-done, chunk-at)
		c := im[i]
		switch {
		case e.data != nil:
			if c == nil {
				c = new([chunk]byte)
				im[i] = c
			}
			copy(c[at:at+n], e.data[done:])
		case n == chunk:
			delete(im, i)
		case c != nil:
			clear(c[at : at+n])
		}
		done += n
	}
}

func zero(p []byte) bool {
	const step = 4096
	var zeros [step]byte
	for len(p) > 0 {
		n := min(len(p), step)
		if !bytes.Equal(p[:n], zeros[:n]) {
			return false
		}
		p = p[n:]
	}
	return true
}

// A Replay goes through the log of a disk, forwards only.
type Replay struct {
	disk    *Disk
	log     []entry
	durable image // all up to the last flush before at
	flushed int
	at      int
}

// Replay begins at the start of the log. What is written from now on is not in it.
func (d *Disk) Replay() *Replay {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Replay{disk: d, log: slices.Clip(d.log), durable: d.base.clone()}
}

// Seek goes to where the power is cut: before entry at of the log.
func (r *Replay) Seek(at int) {
	if at < r.at || at > len(r.log) {
		panic(fmt.Sprintf("forgetful: seek from %d to %d of %d", r.at, at, len(r.log)))
	}
	r.at = at
	for i := at; i > r.flushed; i-- {
		if r.log[i-1].n == 0 {
			for _, e := range r.log[r.flushed:i] {
				r.durable.apply(e)
			}
			r.flushed = i
			break
		}
	}
}

// Size is that of the disk in bytes.
func (r *Replay) Size() int64 { return r.disk.size }

// Unflushed is how many writes the disk may have lost at this point.
func (r *Replay) Unflushed() int { return r.at - r.flushed }

// A Loss is what a power cut does to the writes since the last flush. Each is
// kept with probability Keep. Of those kept, each is torn with probability
// Torn: of its sectors of Sector bytes, each is kept with probability Keep.
type Loss struct {
	Keep, Torn float64
	Sector     int64
}

// Losses are those worth trying.
var Losses = []Loss{
	{Keep: 0},
	{Keep: 1},
	{Keep: 0.5},
	{Keep: 0.9},
	{Keep: 0.1},
	{Keep: 0.7, Torn: 0.5, Sector: 512},
	{Keep: 0.7, Torn: 0.5, Sector: 4096},
}

// superblock is the beginning of the disk, which is never torn: a file system
// has its superblock there, finds its journal by it, and has no choice but to
// trust the disk to write it in one piece.
const superblock = 4096

func (l Loss) String() string {
	if l.Torn == 0 {
		return fmt.Sprintf("each unflushed write kept with p=%g", l.Keep)
	}
	return fmt.Sprintf("each unflushed write kept with p=%g, torn at %d bytes with p=%g", l.Keep, l.Sector, l.Torn)
}

// Image writes what is left of the disk into an empty file of its size.
func (r *Replay) Image(w io.WriterAt, loss Loss, rnd *rand.Rand) error {
	for i, c := range r.durable {
		if _, err := w.WriteAt(c[:], i*chunk); err != nil {
			return err
		}
	}
	for _, e := range r.log[r.flushed:r.at] {
		if rnd.Float64() >= loss.Keep {
			continue
		}
		data := e.data
		if data == nil {
			data = make([]byte, e.n)
		}
		sector := e.n
		if rnd.Float64() < loss.Torn {
			sector = loss.Sector
		}
		for at := int64(0); at < e.n; {
			end := min(at+sector, e.n)
			if e.off+at < superblock {
				end = min(max(end, superblock-e.off), e.n)
			}
			if end-at == e.n || rnd.Float64() < loss.Keep {
				if _, err := w.WriteAt(data[at:end], e.off+at); err != nil {
					return err
				}
			}
			at = end
		}
	}
	return nil
}

// Size is that of the disk in bytes.
func (d *Disk) Size() int64 { return d.size }

// Name is that of the one file in the file system.
const Name = "disk"

// Mount serves the disk as a file of a FUSE file system until Unmount of what
// it returns.
func (d *Disk) Mount(dir string) (*fuse.Server, error) {
	root := &fs.Inode{}
	return fs.Mount(dir, root, &fs.Options{
		MountOptions: fuse.MountOptions{FsName: "forgetful", DirectMountStrict: true, MaxWrite: 512 << 10},
		OnAdd: func(ctx context.Context) {
			root.AddChild(Name, root.NewPersistentInode(ctx, &file{disk: d}, fs.StableAttr{Mode: fuse.S_IFREG}), false)
		},
	})
}

// file makes sure that the kernel keeps nothing back: without FOPEN_DIRECT_IO
// a write would sit in its page cache, and the log would not have it in time.
type file struct {
	fs.Inode
	disk *Disk
}

var (
	_ fs.NodeGetattrer = (*file)(nil)
	_ fs.NodeSetattrer = (*file)(nil)
	_ fs.NodeOpener    = (*file)(nil)
	_ fs.NodeReader    = (*file)(nil)
	_ fs.NodeWriter    = (*file)(nil)
	_ fs.NodeFsyncer   = (*file)(nil)
	_ fs.NodeAllocater = (*file)(nil)
)

func (f *file) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size, out.Blksize = fuse.S_IFREG|0o600, uint64(f.disk.size), 4096
	return 0
}

func (f *file) Setattr(ctx context.Context, h fs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return f.Getattr(ctx, h, out)
}

func (f *file) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

func (f *file) Read(_ context.Context, _ fs.FileHandle, p []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	return fuse.ReadResultData(p[:f.disk.read(off, p)]), 0
}

func (f *file) Write(_ context.Context, _ fs.FileHandle, p []byte, off int64) (uint32, syscall.Errno) {
	if _, err := f.disk.WriteAt(p, off); err != nil {
		return 0, fs.ToErrno(err)
	}
	return uint32(len(p)), 0
}

func (f *file) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	f.disk.flush()
	return 0
}

func (f *file) Allocate(_ context.Context, _ fs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	if mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0 {
		f.disk.erase(int64(off), int64(size))
	}
	return 0
}
