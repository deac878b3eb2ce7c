// Package posix is a cloud.Store that keeps files as files: a tree with real
// names that people may read, copy and back up while the server runs, and
// change while it does not look. What cannot stand in a name is in an extended
// attribute of the file itself; there is no database.
//
// It is not a journal, though it owes everything to one: a change is durable
// once its entry is in the redo log (see package journal), and the tree is
// brought up behind that without waiting for the disk. recover.go makes up for
// it after a crash. It knows nothing of rights, quotas and HTTP.
//
// On the disk:
//
//	.oc/lock, storage.json, journal/   one process at a time; whose storage; the log
//	.oc/dropped/                       on its way out
//	users/<uuid>/, projects/<uuid>/    a space
//	  .oc/space.json                   what it says of itself
//	  .oc/ids/<xx>/<id>                a link to "<parent's id>/<name>": derived
//	  .oc/versions/<xx>/<id>/<key>     earlier contents
//	  .oc/grants, locks, attrs/<id>.json
//	  .oc/uploads/<id>, <id>.json      content on its way in
//	  .oc/tmp/, recover/               content before it has a name; between two places
//	  .oc/lost/                        set aside, never deleted
//	  .Trash/files/<id>, info/<id>.trashinfo
//
// Locks, in the order in which they are taken: tree (shared by all changes of
// a space, alone for those that move directories), names (one name in one
// directory), the journal's own, moving (alone while a name and what says
// where it is do not agree), mu. Readers take only the last two, and no
// callback is ever called under those.
package posix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"opencloud/cloud"
	"opencloud/storage/journal"
	"opencloud/storage/posix/disk"

	"golang.org/x/sys/unix"
)

// Options says where the storage is and how careful it has to be.
type Options struct {
	Root        string        `yaml:"root" env:"STORAGE_USERS_POSIX_ROOT" doc:"The folder that holds all spaces. It is made when missing."`
	MountID     string        `yaml:"mount_id" env:"STORAGE_USERS_MOUNT_ID" doc:"The UUID of the storage, the first part of the id of every space. It is chosen at the first start and then stays."`
	Durability  Durability    `yaml:"durability" env:"STORAGE_USERS_POSIX_DURABILITY" default:"strict" doc:"Whether a change is on the disk before it is confirmed (strict), or a power failure may take the last seconds (relaxed)."`
	HistorySize int64         `yaml:"history_size" env:"STORAGE_USERS_POSIX_HISTORY_SIZE" default:"1073741824" doc:"How many bytes of the history of changes are kept for clients and services that catch up."`
	HistoryAge  time.Duration `yaml:"history_age" env:"STORAGE_USERS_POSIX_HISTORY_AGE" default:"2160h" doc:"How long the history of changes is kept."`
	LogSegment  int64         `yaml:"log_segment" env:"STORAGE_USERS_POSIX_LOG_SEGMENT" default:"16777216" doc:"The bytes of one file of the redo log, of which there are four and, under load, up to sixteen."`
	Directories int64         `yaml:"directories" env:"STORAGE_USERS_POSIX_DIRECTORIES" default:"100000" doc:"How many folders are kept in memory."`
}

// Durability says when a change is confirmed.
type Durability string

const (
	Strict  Durability = "strict"
	Relaxed Durability = "relaxed"
)

// checkpointAfter is how long the first change waits for company before a
// checkpoint.
const checkpointAfter = 2 * time.Second

// A Store is the only user of its folder, apart from people.
type Store struct {
	opts    Options
	log     *slog.Logger
	id      string // UUID of the storage
	disk    *disk.Root
	dev     uint64 // the file system that .oc is on
	lock    *os.File
	journal *journal.Journal
	meta    meta
	step    func(name string) // see hooks

	names [1024]sync.Mutex // by hash of space, directory and name
	seed  maphash.Seed

	mu     sync.Mutex
	spaces map[cloud.SpaceID]*space
	all    bool // spaces has every space there is

	inMemory   atomic.Int64 // directories
	bound      int64
	evicting   atomic.Bool
	versionKey atomic.Int64 // the last one given out

	opened cloud.Cursor // Last when the store was opened
	heard  sync.Mutex
	spoke  map[cloud.SpaceID]cloud.Cursor // the last record of each space since then

	making   sync.Mutex // of spaces, and their end
	sweeping sync.Mutex
	timer    *time.Timer
	armed    atomic.Bool // the timer runs

	closing sync.RWMutex // work is only begun while closed is false
	closed  bool
	work    sync.WaitGroup  // in the background
	life    context.Context // ends with closed
	end     context.CancelFunc
	pending pending
}

// Open takes the storage at opts.Root, makes it when there is none, and
// brings it in order after a crash. Unavailable when another process has it.
func Open(ctx context.Context, opts Options, log *slog.Logger) (*Store, error) {
	s, err := open(ctx, opts, log, hooks{})
	return s, cloud.E("posix.Open", cloud.Ref{Path: opts.Root}, err)
}

// hooks are for tests.
type hooks struct {
	step     func(name string) // called between the steps of everything that changes the disk
	sidecars bool              // do as if the file system had no attributes
}

func open(ctx context.Context, opts Options, log *slog.Logger, h hooks) (_ *Store, err error) {
	if opts.Root == "" {
		return nil, cloud.Refuse(cloud.Invalid, "The folder for the storage is not set.")
	}
	if opts.Durability != Relaxed && opts.Durability != Strict && opts.Durability != "" {
		return nil, cloud.Refuse(cloud.Invalid, "The durability is %q. It is strict or relaxed.", opts.Durability)
	}
	s := &Store{opts: opts, log: log, meta: inXattr{}, step: h.step, seed: maphash.MakeSeed(), spaces: map[cloud.SpaceID]*space{},
		spoke: map[cloud.SpaceID]cloud.Cursor{}, bound: opts.Directories}
	s.life, s.end = context.WithCancel(context.Background())
	if s.bound == 0 {
		s.bound = 100_000
	}
	for _, name := range []string{".oc/dropped", "users", "projects"} {
		if err := os.MkdirAll(filepath.Join(opts.Root, name), 0o750); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(filepath.Join(opts.Root, ".oc"), 0o700); err != nil {
		return nil, err
	}
	if err := s.takeLock(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.letGo()
		}
	}()
	if s.disk, err = disk.Open(opts.Root); err != nil {
		return nil, err
	}
	private, err := s.disk.Dir(".oc")
	if err != nil {
		return nil, err
	}
	defer private.Close()
	ok, err := s.disk.HasAttrs(".oc")
	if err != nil {
		return nil, err
	}
	if !ok || h.sidecars {
		s.meta = inSidecar{}
		log.Warn("the file system has no extended attributes: metadata is kept in files beside the tree, which is slower", "root", opts.Root)
	}
	i, err := private.Stat("")
	if err != nil {
		return nil, err
	}
	s.dev = i.Dev
	if err := s.readID(private); err != nil {
		return nil, err
	}
	s.journal, err = journal.Open(filepath.Join(opts.Root, ".oc", "journal"), journal.Options{
		Segment: opts.LogSegment, Relaxed: opts.Durability == Relaxed,
		HistorySize: opts.HistorySize, HistoryAge: opts.HistoryAge, Pressed: s.hurry}, log)
	if err != nil {
		return nil, err
	}
	s.timer = time.AfterFunc(time.Hour, s.timeUp)
	s.timer.Stop()
	if err := s.recover(ctx); err != nil {
		return nil, err
	}
	if err := s.journal.Start(); err != nil {
		return nil, err
	}
	s.opened = s.journal.Last()
	s.soon(job{"removing spaces that were dropped", opts.Root, s.sweep})
	s.ready()
	return s, nil
}

// takeLock makes sure that there is one process at a time.
func (s *Store) takeLock() (err error) {
	name := filepath.Join(s.opts.Root, ".oc", "lock")
	if s.lock, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	err = unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		err = cloud.Refuse(cloud.Unavailable, "The storage in %s is in use: the server is running. Stop it first.", s.opts.Root)
	}
	if err != nil {
		s.lock.Close()
	}
	return err
}

func (s *Store) letGo() error {
	var err error
	if s.journal != nil {
		err = s.journal.Close()
	}
	return errors.Join(err, s.lock.Close())
}

// readID finds out whose storage this is.
func (s *Store) readID(private disk.Dir) error {
	const name = "storage.json"
	var says struct{ ID string }
	b, err := readFile(private, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		says.ID = s.opts.MountID
		if says.ID == "" {
			says.ID = cloud.NewUUID().String()
		}
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(b, &says); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if _, ok := cloud.ParseUUID(says.ID); !ok {
		return cloud.Refuse(cloud.Invalid, "The id of the storage, %q, is not a UUID.", says.ID)
	}
	if s.opts.MountID != "" && s.opts.MountID != says.ID {
		return cloud.Refuse(cloud.Invalid, "The storage in %s has the id %s, not %s. Take the setting away or correct it.", s.opts.Root, says.ID, s.opts.MountID)
	}
	s.id = says.ID
	if b != nil {
		return nil
	}
	b, err = json.Marshal(says)
	if err != nil {
		return err
	}
	if err := writeFile(private, name+".new", b, true); err != nil {
		return err
	}
	if err := private.Rename(name+".new", private, name, true); err != nil {
		return err
	}
	return private.Sync(".")
}

// at tells a test what happens.
func (s *Store) at(step string) {
	if s.step != nil {
		s.step(step)
	}
}

// background runs something that Close waits for, unless it is too late for
// that. A panic in it is logged.
func (s *Store) background(fn func()) bool {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return false
	}
	s.work.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				s.log.Error("panic in the background of the storage", "panic", p, "stack", string(debug.Stack()))
			}
		}()
		fn()
	})
	return true
}

// arm makes sure that a checkpoint comes.
func (s *Store) arm() {
	if s.armed.CompareAndSwap(false, true) {
		s.timer.Reset(checkpointAfter)
	}
}

// hurry makes it come at once.
func (s *Store) hurry() {
	s.armed.Store(true)
	s.timer.Reset(0)
}

func (s *Store) timeUp() {
	s.armed.Store(false)
	s.background(func() {
		if err := s.checkpoint(); err != nil {
			s.log.Error("a checkpoint has failed", "err", err)
			if !errors.Is(err, cloud.Unavailable) { // the journal takes nothing any more
				s.arm()
			}
		}
	})
}

// checkpoint brings everything to its place on the disk, so that the redo
// log can forget it.
func (s *Store) checkpoint() error {
	return s.journal.Checkpoint(func() error {
		s.at("checkpoint: begin")
		if err := s.bringDown(); err != nil {
			return err
		}
		s.at("checkpoint: synced")
		return nil
	})
}

// bringDown brings to the disk all that memory and the kernel have.
func (s *Store) bringDown() error {
	disks := map[uint64]string{s.dev: ".oc"} // a space may be on a disk of its own
	for _, sp := range s.loaded() {
		if err := sp.flush(); err != nil {
			return err
		}
		if disks[sp.dev] == "" {
			disks[sp.dev] = sp.path
		}
	}
	s.at("checkpoint: attributes")
	for _, path := range disks {
		if err := s.disk.Sync(path); err != nil {
			// The kernel says once that it has lost something. The redo log
			// still has it, so it must not move on.
			s.journal.Kill(err)
			return err
		}
	}
	return nil
}

// Free is what the disk has left for clients.
func (s *Store) Free(context.Context) (int64, error) {
	n, err := s.free()
	return n, cloud.E("posix.Free", cloud.Ref{}, err)
}

// Last is the newest record that Since yields.
func (s *Store) Last() cloud.Cursor { return s.journal.Last() }

func (s *Store) Wait(ctx context.Context, after cloud.Cursor) error {
	return cloud.E("posix.Wait", cloud.Ref{}, s.journal.Wait(ctx, after))
}

// Since reads the history and what is not in it yet.
func (s *Store) Since(ctx context.Context, id cloud.SpaceID, after cloud.Cursor) iter.Seq2[*cloud.Record, error] {
	return func(yield func(*cloud.Record, error) bool) {
		fail := func(err error) { yield(nil, cloud.E("posix.Since", cloud.Ref{Space: id}, err)) }
		if id != "" && s.quiet(id, after) {
			return
		}
		for it, err := range s.journal.Since(after) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				fail(err)
				return
			}
			if id != "" && elsewhere(it.Head, id) {
				continue // spare the decoding
			}
			r := &cloud.Record{}
			if err := json.Unmarshal(it.Head, r); err != nil {
				fail(fmt.Errorf("record %d: %w", it.Cursor, err))
				return
			}
			r.Seq = it.Cursor
			if (id == "" || r.Space == id) && !yield(r, nil) {
				return
			}
		}
	}
}

// elsewhere tells, from the beginning of an encoded record, that it is of
// another space.
func elsewhere(head []byte, id cloud.SpaceID) bool {
	const field = `"space":"`
	i := bytes.Index(head[:min(len(head), 64)], []byte(field))
	if i < 0 {
		return false
	}
	rest := head[i+len(field):]
	return len(rest) < len(id) || string(rest[:len(id)]) != string(id)
}

// quiet tells, without a look at the journal, that a space has nothing behind
// a cursor: what most of those who ask for changes get to hear.
func (s *Store) quiet(id cloud.SpaceID, after cloud.Cursor) bool {
	if after < s.opened || after > s.journal.Last() {
		return false
	}
	s.heard.Lock()
	defer s.heard.Unlock()
	return s.spoke[id] <= after
}

// hear is called in the order of the journal.
func (s *Store) hear(id cloud.SpaceID, last cloud.Cursor) {
	s.heard.Lock()
	s.spoke[id] = last
	s.heard.Unlock()
}

// Close makes everything durable in its place and lets go of the storage.
func (s *Store) Close() error {
	s.closing.Lock()
	if s.closed {
		s.closing.Unlock()
		return nil
	}
	s.closed = true
	s.closing.Unlock()
	s.end()
	s.timer.Stop()
	s.work.Wait()
	err := s.checkpoint()
	return cloud.E("posix.Close", cloud.Ref{Path: s.opts.Root}, errors.Join(err, s.letGo()))
}

// loaded are the spaces in memory.
func (s *Store) loaded() []*space {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.spaces))
}

// now is a time as the store keeps it.
func now() time.Time { return time.Now().UTC().Round(0) }
