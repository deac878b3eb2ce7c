package journal

import (
	"encoding/binary"
	"fmt"

	"opencloud/cloud"
)

// A batch is what goes to the disk in one write and one flush. Who puts the
// first entry in leads it; all others wait for the leader.
type batch struct {
	buf     []byte
	tickets []*Ticket
	done    chan struct{}
	err     error
}

// maxBatch bounds what waits in memory for one flush.
const maxBatch = 4 << 20

// A Ticket stands for entries that were appended together and are not yet
// carried out. Its owner has to call Done or Undo, once.
type Ticket struct {
	j     *Journal
	first cloud.Cursor
	sizes []entrySize
	flags uint32
	done  bool
	apply func()
	turn  chan struct{} // closed when done and all before it are
}

type entrySize struct{ head, size uint32 }

// First is the cursor of the first entry; the others follow without a gap.
func (t *Ticket) First() cloud.Cursor { return t.first }

// Append makes the entries durable, in this order and with nothing between
// them; after a crash there may be only the first of them. Full or Unavailable
// when that is not possible; Unavailable stays until the next start.
func (j *Journal) Append(entries ...Entry) (*Ticket, error) { return j.append(0, entries) }

func (j *Journal) append(flags uint32, entries []Entry) (*Ticket, error) {
	need := 0
	for i := range entries {
		need += entries[i].size()
	}
	limit := int(min(maxBatch, j.opts.Segment-blockSize))
	if int64(need) > j.opts.Segment-blockSize {
		return nil, cloud.Refuse(cloud.TooLarge, "The change is too large.")
	}
	var b *batch
	lead := false
	j.mu.Lock()
	for {
		if j.dead != nil || !j.started {
			err := j.dead
			j.mu.Unlock()
			if err == nil {
				err = fmt.Errorf("journal: not started: %w", cloud.Unavailable)
			}
			return nil, err
		}
		if b = j.batch; b == nil {
			b = &batch{buf: j.spare[:0], done: make(chan struct{})}
			j.batch, j.spare, lead = b, nil, true
			break
		}
		if len(b.buf)+need <= limit {
			break
		}
		j.mu.Unlock()
		<-b.done
		j.mu.Lock()
	}
	t := &Ticket{j: j, flags: flags, sizes: make([]entrySize, len(entries))}
	for i := range entries {
		b.buf = encode(b.buf, entries[i], flags)
		t.sizes[i] = entrySize{uint32(len(entries[i].Head)), uint32(entries[i].size())}
	}
	b.tickets = append(b.tickets, t)
	j.mu.Unlock()
	if lead {
		j.lead(b)
	} else {
		<-b.done
	}
	if b.err != nil {
		return nil, b.err
	}
	return t, nil
}

// lead writes a batch. While one is being flushed the next gathers, so that
// the slower the disk is the more writers share a flush.
func (j *Journal) lead(b *batch) {
	j.writing.Lock()
	j.mu.Lock()
	j.batch = nil // from here on nobody adds to it
	dead := j.dead
	j.mu.Unlock()
	if b.err = dead; b.err == nil {
		b.err = j.write(b)
	}
	j.writing.Unlock()
	close(b.done)
	j.mu.Lock()
	if cap(b.buf) <= maxBatch {
		j.spare = b.buf
	}
	j.mu.Unlock()
}

func (j *Journal) write(b *batch) error {
	if j.at+int64(len(b.buf)) > j.opts.Segment {
		if err := j.advance(j.current.seq + 1); err != nil {
			return err
		}
	}
	rest := b.buf
	for _, t := range b.tickets {
		t.first = j.next
		for _, e := range t.sizes {
			seal(rest[:e.size], j.epoch, j.next)
			rest = rest[e.size:]
			j.next++
		}
	}
	_, err := j.current.file.WriteAt(b.buf, j.at)
	if err == nil && !j.opts.Relaxed {
		err = j.sync(j.current.file)
	}
	if err != nil {
		// What is on the disk now is anybody's guess, and a second flush
		// would not say: the kernel reports a loss once.
		j.kill(err)
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.dead
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, t := range b.tickets {
		for _, e := range t.sizes {
			j.index = append(j.index, place{segment: j.current, offset: j.at, head: e.head, size: e.size})
			j.at += int64(e.size)
		}
		j.pending = append(j.pending, t)
	}
	return nil
}

// Done says that the entries are carried out. apply is called when all
// entries before them are done or undone, so that what it changes changes in
// the order of the journal; Done returns after that. apply must be quick and
// must not use the Journal.
func (t *Ticket) Done(apply func()) { t.finish(apply, true) }

// Undo says that the entries could not be carried out and must not be after a
// crash. Nobody gets to see them. It fails when that cannot be noted down.
func (t *Ticket) Undo() error {
	redo := binary.LittleEndian.AppendUint64(nil, uint64(t.first))
	redo = binary.LittleEndian.AppendUint64(redo, uint64(len(t.sizes)))
	note, err := t.j.append(undoes, []Entry{{Redo: redo}})
	t.j.mu.Lock()
	t.j.hide(redo)
	t.j.mu.Unlock()
	t.finish(nil, true)
	if err == nil {
		note.finish(nil, false)
	}
	return err
}

// hide keeps from view what an entry with the flag undoes speaks of.
func (j *Journal) hide(redo []byte) {
	if len(redo) != 16 {
		return
	}
	first, n := cloud.Cursor(binary.LittleEndian.Uint64(redo)), binary.LittleEndian.Uint64(redo[8:])
	begin := j.mark.cursor + 1
	for c := max(first, begin); uint64(c-first) < n && int(c-begin) < len(j.index); c++ {
		j.index[c-begin].undone = true
	}
}

func (t *Ticket) finish(apply func(), wait bool) {
	if turn := t.settle(apply); turn != nil && wait {
		<-turn
	}
}

// settle marks a ticket as done and applies all that are no longer waiting
// for another. It returns what to wait for when this one is.
func (t *Ticket) settle(apply func()) (turn chan struct{}) {
	j := t.j
	j.mu.Lock()
	defer j.mu.Unlock() // also when apply panics: nobody else must suffer
	t.done, t.apply = true, apply
	if j.pending[0] != t {
		t.turn = make(chan struct{})
		turn = t.turn
	}
	if j.pending[0] == t {
		defer j.wake()
	}
	for len(j.pending) > 0 && j.pending[0].done {
		p := j.pending[0]
		j.pending[0] = nil
		j.pending = j.pending[1:]
		j.applied = p.first + cloud.Cursor(len(p.sizes)) - 1
		p.carryOut()
	}
	return turn
}

func (t *Ticket) carryOut() {
	if t.turn != nil {
		defer close(t.turn)
	}
	if t.apply != nil {
		t.apply()
	}
}
