// Package brittle passes a folder on as a file system of its own and, when
// told to, refuses to change anything in it, also through files that are open
// already: what happens to a network storage that fails, or to a disk that the
// kernel has made read-only. Reading goes on working.
package brittle

import (
	"sync/atomic"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// A FileSystem is one that is mounted. It is safe for concurrent use.
type FileSystem struct {
	fuse.RawFileSystem
	errno  atomic.Int32
	server *fuse.Server
}

// Mount shows the folder from at the folder at.
func Mount(from, at string) (*FileSystem, error) {
	root, err := fs.NewLoopbackRoot(from)
	if err != nil {
		return nil, err
	}
	f := &FileSystem{RawFileSystem: fs.NewNodeFS(root, &fs.Options{})}
	f.server, err = fuse.NewServer(f, at, &fuse.MountOptions{FsName: "brittle", DirectMountStrict: true, MaxWrite: 512 << 10})
	if err != nil {
		return nil, err
	}
	go f.server.Serve()
	return f, f.server.WaitMount()
}

// Unmount fails when something is still open there.
func (f *FileSystem) Unmount() error { return f.server.Unmount() }

// Refuse makes every change fail with this from now on; 0 ends it.
func (f *FileSystem) Refuse(errno syscall.Errno) { f.errno.Store(int32(errno)) }

// refuses is OK while changes are allowed.
func (f *FileSystem) refuses() fuse.Status { return fuse.Status(f.errno.Load()) }

func (f *FileSystem) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	return f.RawFileSystem.SetAttr(cancel, in, out)
}

func (f *FileSystem) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	return f.RawFileSystem.Mknod(cancel, in, name, out)
}

func (f *FileSystem) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	return f.RawFileSystem.Mkdir(cancel, in, name, out)
}

func (f *FileSystem) Unlink(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	return f.RawFileSystem.Unlink(cancel, in, name)
}

func (f *FileSystem) Rmdir(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	return f.RawFileSystem.Rmdir(cancel, in, name)
}

func (f *FileSystem) Rename(cancel <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	return f.RawFileSystem.Rename(cancel, in, from, to)
}

func (f *FileSystem) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	return f.RawFileSystem.Link(cancel, in, name, out)
}

func (f *FileSystem) Symlink(cancel <-chan struct{}, in *fuse.InHeader, to, name string, out *fuse.EntryOut) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	return f.RawFileSystem.Symlink(cancel, in, to, name, out)
}

func (f *FileSystem) SetXAttr(cancel <-chan struct{}, in *fuse.SetXAttrIn, attr string, data []byte) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	return f.RawFileSystem.SetXAttr(cancel, in, attr, data)
}

func (f *FileSystem) RemoveXAttr(cancel <-chan struct{}, in *fuse.InHeader, attr string) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	return f.RawFileSystem.RemoveXAttr(cancel, in, attr)
}

func (f *FileSystem) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	st := f.RawFileSystem.Create(cancel, in, name, out)
	direct(&out.OpenOut)
	return st
}

func (f *FileSystem) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if in.Flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		if st := f.refuses(); st != fuse.OK {
			return st
		}
	}
	st := f.RawFileSystem.Open(cancel, in, out)
	direct(out)
	return st
}

// direct sees to it that each read and write comes here: what sits in the
// kernel's cache, or goes to the file below directly, could not be refused.
func direct(out *fuse.OpenOut) {
	out.OpenFlags = out.OpenFlags&^fuse.FOPEN_PASSTHROUGH | fuse.FOPEN_DIRECT_IO
	out.BackingID = 0
}

func (f *FileSystem) Tmpfile(cancel <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	st := f.RawFileSystem.Tmpfile(cancel, in, out)
	direct(&out.OpenOut)
	return st
}

func (f *FileSystem) Writev(cancel <-chan struct{}, in *fuse.WriteIn, data [][]byte) (uint32, fuse.Status) {
	if st := f.refuses(); st != fuse.OK {
		return 0, st
	}
	return f.RawFileSystem.Writev(cancel, in, data)
}

func (f *FileSystem) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	if st := f.refuses(); st != fuse.OK {
		return 0, st
	}
	return f.RawFileSystem.Write(cancel, in, data)
}

func (f *FileSystem) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	return f.RawFileSystem.Fallocate(cancel, in)
}

func (f *FileSystem) CopyFileRange(cancel <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	if st := f.refuses(); st != fuse.OK {
		return 0, st
	}
	return f.RawFileSystem.CopyFileRange(cancel, in)
}

// Fsync is of a file; a folder has nothing of its own to refuse.
func (f *FileSystem) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if st := f.refuses(); st != fuse.OK {
		return st
	}
	return f.RawFileSystem.Fsync(cancel, in)
}
