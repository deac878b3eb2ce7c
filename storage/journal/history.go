package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"opencloud/cloud"
)

// The history is the heads of all entries before the mark, in files that are
// named after the cursor before the first entry they may hold.
type history struct {
	dir string
	out *os.File // the newest file

	mu    sync.Mutex
	files []chapter
}

type chapter struct {
	after cloud.Cursor // every entry in it is behind this one
	size  int64
}

const chapterSize = 4 << 20 // when a new file is begun

func (h *history) name(after cloud.Cursor) string {
	return filepath.Join(h.dir, fmt.Sprintf("%020d", after))
}

// open finds the files and cuts off what is behind the mark: it is in the
// redo log still and will come again.
func (h *history) open(dir string, mark cloud.Cursor) error {
	h.dir = dir
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		after, err := strconv.ParseUint(e.Name(), 10, 64)
		if err != nil {
			continue
		}
		if cloud.Cursor(after) > mark {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
			continue
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		h.files = append(h.files, chapter{cloud.Cursor(after), st.Size()})
	}
	slices.SortFunc(h.files, func(a, b chapter) int { return int(a.after) - int(b.after) })
	if len(h.files) == 0 {
		return h.begin(mark)
	}
	last := &h.files[len(h.files)-1]
	if h.out, err = os.OpenFile(h.name(last.after), os.O_RDWR, 0); err != nil {
		return err
	}
	end := int64(0)
	for f, err := range frames(h.out, last.size) {
		if err != nil || f.cursor > mark {
			break
		}
		end += int64(f.size())
	}
	if end < last.size {
		if err := h.out.Truncate(end); err != nil {
			return err
		}
		last.size = end
	}
	return nil
}

func (h *history) begin(after cloud.Cursor) error {
	out, err := os.OpenFile(h.name(after), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if h.out != nil {
		h.out.Close()
	}
	h.out = out
	h.mu.Lock()
	if n := len(h.files); n == 0 || h.files[n-1].after < after {
		h.files = append(h.files, chapter{after: after})
	}
	h.mu.Unlock()
	return syncDir(h.dir)
}

// add appends sealed frames, the last of which is at most upTo.
func (h *history) add(b []byte, upTo cloud.Cursor) error {
	if len(b) == 0 {
		return nil
	}
	last := &h.files[len(h.files)-1]
	if _, err := h.out.WriteAt(b, last.size); err != nil {
		// A part of it may stand there: written over the next time, and cut
		// off at the next start.
		return err
	}
	h.mu.Lock()
	last.size += int64(len(b))
	h.mu.Unlock()
	if last.size < chapterSize {
		return nil
	}
	if err := fdatasync(h.out); err != nil {
		return err
	}
	return h.begin(upTo)
}

func (h *history) flush(sync func(*os.File) error) error { return sync(h.out) }

// trim drops the oldest files beyond the bounds, never the newest.
func (h *history) trim(size int64, age time.Duration, log *slog.Logger) {
	h.mu.Lock()
	defer h.mu.Unlock()
	total := int64(0)
	for _, c := range h.files {
		total += c.size
	}
	for len(h.files) > 1 {
		name := h.name(h.files[0].after)
		old := false
		if age > 0 {
			st, err := os.Stat(name)
			old = err == nil && time.Since(st.ModTime()) > age
		}
		if !old && (size == 0 || total <= size) {
			return
		}
		if err := os.Remove(name); err != nil {
			log.Warn("cannot drop old history", "file", name, "err", err)
			return
		}
		total -= h.files[0].size
		h.files = slices.Delete(h.files, 0, 1)
	}
}

// at is the file that holds what comes after a cursor, and whether one does.
func (h *history) at(after cloud.Cursor) (c chapter, next cloud.Cursor, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.files) - 1; i >= 0; i-- {
		if c = h.files[i]; c.after <= after {
			if i+1 < len(h.files) {
				next = h.files[i+1].after
			}
			return c, next, true
		}
	}
	return c, 0, false
}

// frames reads the whole frames at the beginning of r.
func frames(r io.ReaderAt, size int64) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		in := bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 64<<10)
		var buf []byte
		for {
			head, err := in.Peek(headerSize)
			if err != nil {
				return
			}
			n := headerSize
			for _, at := range []int{24, 28, 32} {
				part := binary.LittleEndian.Uint32(head[at:])
				if part > maxPart || int64(part) > size {
					yield(frame{}, errTorn)
					return
				}
				n += int(part)
			}
			buf = slices.Grow(buf[:0], n)[:n]
			if _, err := io.ReadFull(in, buf); err != nil {
				yield(frame{}, errTorn)
				return
			}
			f, _, err := decode(buf)
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// Since yields the entries, of which it has the heads, after a cursor that
// are done, in order, up to what is the last one now. A head is valid until
// the next one.
// TooOld when the history does not reach back that far, or the cursor is not
// one of this journal.
func (j *Journal) Since(after cloud.Cursor) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		until := j.Last()
		if after > until {
			yield(Item{}, cloud.TooOld)
			return
		}
		for after < until {
			more, err := j.recent(&after, yield)
			if more && err == nil && after < until {
				more, err = j.past(&after, yield)
			}
			if err != nil {
				yield(Item{}, err)
			}
			if err != nil || !more {
				return
			}
		}
		if _, _, ok := j.history.at(after); !ok {
			yield(Item{}, cloud.TooOld)
		}
	}
}

// recent yields what the redo log still has.
func (j *Journal) recent(after *cloud.Cursor, yield func(Item, error) bool) (more bool, err error) {
	var buf []byte
	var items []Item
	for {
		buf, items = buf[:0], items[:0]
		if err := j.copyHeads(after, &buf, &items); err != nil {
			return false, err
		}
		for _, it := range items {
			if it.Head != nil && !yield(it, nil) {
				return false, nil
			}
		}
		if len(items) == 0 {
			return true, nil
		}
	}
}

// copyHeads reads some heads while they stay where they are; none when the
// one behind after is not in the redo log, or nowhere.
func (j *Journal) copyHeads(after *cloud.Cursor, buf *[]byte, items *[]Item) error {
	j.keep.RLock()
	defer j.keep.RUnlock()
	j.mu.Lock()
	var places []place
	if first := j.mark.cursor; *after >= first && *after < j.applied {
		places = j.index[*after-first : j.applied-first]
	}
	j.mu.Unlock()
	places = places[:min(len(places), 256)]
	for len(places) > 0 {
		n, size := stretch(places)
		from := len(*buf)
		*buf = append(*buf, make([]byte, size)...)
		part := (*buf)[from:]
		if size > 0 {
			if _, err := places[0].segment.file.ReadAt(part, places[0].offset+headerSize); err != nil {
				return err
			}
		}
		for _, p := range places[:n] {
			*after++
			it := Item{Cursor: *after}
			if p.head > 0 && !p.undone {
				at := p.offset - places[0].offset
				it.Head = part[at : at+int64(p.head)]
			}
			*items = append(*items, it)
		}
		places = places[n:]
	}
	return nil
}

// maxStretch is how much of the redo log is read at once for the heads in it,
// with all that is between them.
const maxStretch = 64 << 10

// stretch is how many entries to read at once, and how many bytes that is from
// the first head on.
func stretch(places []place) (n int, size int64) {
	first := places[0]
	for n = 1; n < len(places); n++ {
		if p := places[n]; p.segment != first.segment || p.offset+int64(p.head) > first.offset+maxStretch {
			break
		}
	}
	last := places[n-1]
	return n, last.offset + int64(last.head) - first.offset
}

// past yields what has gone into the history.
func (j *Journal) past(after *cloud.Cursor, yield func(Item, error) bool) (more bool, err error) {
	j.mu.Lock()
	mark := j.mark.cursor // everything up to it is in the history
	j.mu.Unlock()
	if *after >= mark {
		return true, nil
	}
	c, next, ok := j.history.at(*after)
	if !ok {
		return false, cloud.TooOld
	}
	if more, err = j.history.read(c, after, yield); err != nil || !more {
		return more, err
	}
	if next == 0 {
		next = mark
	}
	*after = max(*after, next)
	return true, nil
}

// read yields what a file of the history holds behind after.
func (h *history) read(c chapter, after *cloud.Cursor, yield func(Item, error) bool) (more bool, err error) {
	f, err := os.Open(h.name(c.after))
	if errors.Is(err, os.ErrNotExist) {
		return false, cloud.TooOld
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	for fr, err := range frames(f, c.size) {
		if err != nil {
			return false, fmt.Errorf("journal: history %s: %w", strings.TrimLeft(filepath.Base(f.Name()), "0"), err)
		}
		if fr.cursor <= *after {
			continue
		}
		*after = fr.cursor
		if !yield(Item{fr.cursor, fr.Entry}, nil) {
			return false, nil
		}
	}
	return true, nil
}
