// Package journal is an append-only redo log with a bounded history: what is
// appended is on the disk when Append returns, many writers share one flush,
// and what was appended since the last checkpoint is read back after a crash.
// It knows nothing of what the entries mean and changes nothing but itself.
//
// An entry goes through four states: appended (it has a Cursor and is on the
// disk), done (its owner has carried it out, and so have the owners of all
// entries before it: Since may show it), checkpointed (its effects are on the
// disk, so that only its head is kept, in the history), dropped (too old).
package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"opencloud/cloud"
)

// Options says how large the log may become.
type Options struct {
	Segment     int64         // bytes of one file of the redo log; 0: 16 MiB
	Relaxed     bool          // Append does not wait for the disk: a power cut may take the last seconds
	HistorySize int64         // bytes of history that are kept; 0: all
	HistoryAge  time.Duration // older files of the history are dropped; 0: never

	// Pressed is called when the redo log is filling up and a Checkpoint is
	// due. It must not block and not call the Journal.
	Pressed func()
}

// least is how many segments the log has once it is in use, most how many it
// may grow to before Append waits for a checkpoint.
const (
	least = 4
	most  = 16
)

// A Journal is safe for concurrent use.
type Journal struct {
	dir  string
	opts Options
	log  *slog.Logger
	sync func(*os.File) error // fdatasync; a field so that tests can make it fail

	writing sync.Mutex // held by the leader of a batch while it writes
	// Of the leader alone:
	next  cloud.Cursor // for the next entry
	at    int64        // where the next batch goes in the current segment
	epoch uint64       // of all entries since Start

	torn bool

	checking sync.Mutex // held by Checkpoint

	mu       sync.Mutex // the rest; never held over a system call
	freed    sync.Cond  // a segment became free, or a checkpoint failed
	started  bool
	dead     error // why nothing can be appended any more
	batch    *batch
	spare    []byte // buffer of a batch gone by
	segments []*segment
	current  *segment // the last of those in use
	mark     mark
	index    []place   // of the entries behind the mark, in order
	pending  []*Ticket // appended, not yet done; in order
	applied  cloud.Cursor
	grown    chan struct{} // closed when applied grows or never will again; nil: nobody waits
	failures int           // of Checkpoint

	keep    sync.RWMutex // read: entries behind the mark stay where they are
	history history
}

// A place is where an entry of the redo log stands.
type place struct {
	segment *segment
	offset  int64
	head    uint32
	size    uint32 // of the frame
	undone  bool
}

// Open reads the log in dir, which is made when missing. What Tail yields has
// to be brought into effect again; then Start makes the journal ready.
func Open(dir string, opts Options, log *slog.Logger) (*Journal, error) {
	if opts.Segment == 0 {
		opts.Segment = 16 << 20
	}
	if opts.Segment < 2*blockSize {
		return nil, fmt.Errorf("journal: segments of %d bytes are too small", opts.Segment)
	}
	j := &Journal{dir: dir, opts: opts, log: log, sync: fdatasync}
	j.freed.L = &j.mu
	if err := os.MkdirAll(filepath.Join(dir, "history"), 0o700); err != nil {
		return nil, err
	}
	for _, step := range []func() error{j.openMark, j.openSegments, j.openHistory, j.scan} {
		if err := step(); err != nil {
			j.closeFiles()
			return nil, fmt.Errorf("journal %s: %w", dir, err)
		}
	}
	return j, nil
}

func (j *Journal) openHistory() error {
	return j.history.open(filepath.Join(j.dir, "history"), j.mark.cursor)
}

// An Entry is what an owner appends and gets back.
type Entry struct {
	Head []byte // goes into the history and is shown by Since; empty: private
	Redo []byte // what else is needed to carry the entry out again
	Body []byte
}

// An Item is an entry of the log.
type Item struct {
	Cursor cloud.Cursor
	Entry
}

// Tail yields the entries behind the last checkpoint that were not undone, in
// order; what they hold is valid until the next one. It is for the time
// between Open and Start.
func (j *Journal) Tail(yield func(Item, error) bool) {
	var buf []byte
	for i, p := range j.index {
		if p.undone {
			continue
		}
		c := j.mark.cursor + cloud.Cursor(i) + 1
		f, b, err := j.read(p, buf)
		buf = b
		if err != nil {
			yield(Item{Cursor: c}, err)
			return
		}
		if f.flags&undoes == 0 && !yield(Item{c, f.Entry}, nil) {
			return
		}
	}
}

// Body is the body of an entry that Tail has yielded.
func (j *Journal) Body(c cloud.Cursor) ([]byte, error) {
	i := int(c) - int(j.mark.cursor) - 1
	if i < 0 || i >= len(j.index) {
		return nil, fmt.Errorf("journal: entry %d is not in the redo log", c)
	}
	f, _, err := j.read(j.index[i], nil)
	return f.Body, err
}

// read reads a whole entry into buf, which grows as needed.
func (j *Journal) read(p place, buf []byte) (frame, []byte, error) {
	if cap(buf) < int(p.size) {
		buf = make([]byte, p.size+p.size/2)
	}
	buf = buf[:p.size]
	if _, err := p.segment.file.ReadAt(buf, p.offset); err != nil {
		return frame{}, buf, err
	}
	f, _, err := decode(buf)
	return f, buf, err
}

// Start says that the tail is in effect and on the disk, and makes the
// journal ready to append.
func (j *Journal) Start() error {
	last := j.mark.cursor + cloud.Cursor(len(j.index))
	if err := j.file(last); err != nil {
		return err
	}
	j.next, j.applied = last+1, last
	for _, s := range j.segments {
		s.seq = 0
	}
	j.current, j.index = nil, nil
	// The new epoch makes sure that nothing behind a torn end is ever taken
	// for an entry again.
	m := mark{epoch: j.mark.epoch + 1, cursor: last, segment: j.mark.segment + uint64(len(j.segments)) + 1}
	if err := j.setMark(m); err != nil {
		return err
	}
	j.epoch = m.epoch
	if err := j.resize(); err != nil {
		return err
	}
	if err := j.advance(m.segment); err != nil {
		return err
	}
	j.started = true
	return nil
}

// Last is the newest entry that is done, and all before it.
func (j *Journal) Last() cloud.Cursor {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.applied
}

// Wait returns when Last is behind a cursor, with the error of ctx when that
// ends first, or Unavailable when nothing can be appended any more.
func (j *Journal) Wait(ctx context.Context, after cloud.Cursor) error {
	for {
		j.mu.Lock()
		applied, dead := j.applied, j.dead
		if j.grown == nil {
			j.grown = make(chan struct{})
		}
		grown := j.grown
		j.mu.Unlock()
		switch {
		case applied > after:
			return nil
		case dead != nil:
			return dead
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wake is called with j.mu held.
func (j *Journal) wake() {
	if j.grown != nil {
		close(j.grown)
		j.grown = nil
	}
}

// Torn tells whether Open found an entry that was cut short. It was never
// confirmed to anybody.
func (j *Journal) Torn() bool { return j.torn }

// Checkpoint lets flush bring to the disk whatever the entries that are done
// have changed, and then forgets how to carry them out again. An error of
// flush leaves all as it was.
func (j *Journal) Checkpoint(flush func() error) (err error) {
	j.checking.Lock()
	defer j.checking.Unlock()
	defer func() {
		j.mu.Lock()
		if err != nil {
			j.failures++
		}
		j.freed.Broadcast()
		j.mu.Unlock()
	}()
	j.mu.Lock()
	m, dead := j.mark, j.dead
	n := int(j.applied - m.cursor)
	m.cursor = j.applied
	if n > 0 && n < len(j.index) {
		m.segment, m.offset = j.index[n].segment.seq, j.index[n].offset
	} else if n > 0 {
		last := j.index[n-1]
		m.segment, m.offset = last.segment.seq, last.offset+int64(last.size)
	}
	j.mu.Unlock()
	if dead != nil {
		return dead
	}
	if n == 0 {
		return nil
	}
	if err := flush(); err != nil {
		return err
	}
	if err := j.file(m.cursor); err != nil {
		return err
	}
	if err := j.setMark(m); err != nil {
		j.kill(err)
		return err
	}
	j.keep.Lock()
	defer j.keep.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.index = append([]place(nil), j.index[n:]...)
	for _, s := range j.segments {
		if s.seq < m.segment {
			s.seq = 0
		}
	}
	return nil
}

// file puts the heads of the entries up to last into the history.
func (j *Journal) file(last cloud.Cursor) error {
	j.mu.Lock()
	from := j.mark.cursor
	places := j.index[:last-from]
	j.mu.Unlock()
	var frames, buf []byte
	for i, p := range places {
		if p.head == 0 || p.undone {
			continue
		}
		if need := headerSize + int(p.head); cap(buf) < need {
			buf = make([]byte, 2*need)
		}
		buf = buf[:p.head]
		if _, err := p.segment.file.ReadAt(buf, p.offset+headerSize); err != nil {
			return err
		}
		frames = encode(frames, Entry{Head: buf}, 0)
		seal(frames[len(frames)-headerSize-len(buf):], 0, from+cloud.Cursor(i)+1)
		if len(frames) > 1<<20 {
			if err := j.history.add(frames, from+cloud.Cursor(i)+1); err != nil {
				return err
			}
			frames = frames[:0]
		}
	}
	if err := j.history.add(frames, last); err != nil {
		return err
	}
	if err := j.history.flush(j.sync); err != nil {
		return err
	}
	j.history.trim(j.opts.HistorySize, j.opts.HistoryAge, j.log)
	return nil
}

// Kill makes all later appends fail, because the disk does not keep what it
// was given; the log says why. Only a new start, which carries out again what
// the log has, can bring order.
func (j *Journal) Kill(err error) { j.kill(err) }

func (j *Journal) kill(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.dead == nil {
		j.dead = &cloud.Error{Kind: cloud.Unavailable, Err: fmt.Errorf("journal: %w", err),
			Say: "The storage has failed and takes no more changes. Tell your administrator to check the disk and restart the server."}
		j.log.Error("the journal cannot be written any more", "dir", j.dir, "err", err)
	}
	j.wake()
	j.freed.Broadcast()
}

// Close lets go of the files. A Checkpoint before makes the next start quick.
func (j *Journal) Close() error {
	j.checking.Lock()
	defer j.checking.Unlock()
	j.mu.Lock()
	if j.dead == nil {
		j.dead = &cloud.Error{Kind: cloud.Unavailable, Err: errors.New("journal: closed")}
	}
	j.wake()
	j.freed.Broadcast() // so that a leader that waits lets go
	j.mu.Unlock()
	j.writing.Lock()
	defer j.writing.Unlock()
	j.keep.Lock()
	defer j.keep.Unlock()
	return j.closeFiles()
}

func (j *Journal) closeFiles() error {
	var errs []error
	shut := func(c io.Closer) { errs = append(errs, c.Close()) }
	for _, s := range j.segments {
		shut(s.file)
	}
	if j.mark.file != nil {
		shut(j.mark.file)
	}
	if j.history.out != nil {
		shut(j.history.out)
	}
	return errors.Join(errs...)
}
