package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"opencloud/cloud"

	"golang.org/x/sys/unix"
)

// A segment is a preallocated file. It begins with a block that says which
// stretch of the log it holds; when that is behind the mark the file is used
// again, so that a flush in the long run changes nothing but file content.
type segment struct {
	file *os.File
	seq  uint64 // place in the order of segments; 0: free
}

const (
	blockSize    = 4096
	segmentMagic = "ocredo01"
	markMagic    = "ocmark01"
)

func fdatasync(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}

// syncDir makes the names in a directory durable.
func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (j *Journal) openSegments() error {
	names, err := filepath.Glob(filepath.Join(j.dir, "redo-*"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasSuffix(name, ".new") {
			if err := os.Remove(name); err != nil {
				return err
			}
			continue
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		s := &segment{file: f}
		j.segments = append(j.segments, s)
		var b [blockSize]byte
		if _, err := f.ReadAt(b[:], 0); err != nil && err != io.EOF {
			return err
		}
		// A block that is torn was not flushed, and so was nothing behind it.
		if string(b[:8]) == segmentMagic && crc32.Checksum(b[:32], castagnoli) == binary.LittleEndian.Uint32(b[32:]) &&
			binary.LittleEndian.Uint64(b[16:]) == j.mark.epoch {
			s.seq = binary.LittleEndian.Uint64(b[8:])
		}
	}
	return nil
}

// resize drops the segments that have another size than new ones get. All
// have to be free.
func (j *Journal) resize() error {
	var kept []*segment
	for _, s := range j.segments {
		st, err := s.file.Stat()
		if err != nil {
			return err
		}
		if st.Size() == j.opts.Segment {
			kept = append(kept, s)
			continue
		}
		if err := errors.Join(s.file.Close(), os.Remove(s.file.Name())); err != nil {
			return err
		}
	}
	j.segments = kept
	return nil
}

// block is the first block of a segment.
func block(seq, epoch uint64) []byte {
	b := make([]byte, 0, blockSize)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint64(b, seq)
	b = binary.LittleEndian.AppendUint64(b, epoch)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return b[:blockSize]
}

// grow adds a segment, written once from end to end: blocks that are merely
// reserved would cost the file system a commit at their first flush.
func (j *Journal) grow() (_ *segment, err error) {
	name := ""
	for i := 0; name == ""; i++ {
		name = filepath.Join(j.dir, fmt.Sprintf("redo-%03d", i))
		if slices.ContainsFunc(j.segments, func(s *segment) bool { return s.file.Name() == name }) {
			name = ""
		}
	}
	f, err := os.OpenFile(name+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(name + ".new")
		}
	}()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, j.opts.Segment); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return nil, err
	}
	zero := make([]byte, min(j.opts.Segment, 1<<20))
	for at := int64(0); at < j.opts.Segment; at += int64(len(zero)) {
		if _, err := f.WriteAt(zero[:min(int64(len(zero)), j.opts.Segment-at)], at); err != nil {
			return nil, err
		}
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return nil, err
	}
	if err := syncDir(j.dir); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	if f, err = os.OpenFile(name, os.O_RDWR, 0); err != nil { // under the name that Name returns
		return nil, err
	}
	return &segment{file: f}, nil
}

// advance makes a free segment the current one. It is for the leader. It
// waits for a checkpoint when the log may not grow any more.
func (j *Journal) advance(seq uint64) error {
	j.mu.Lock()
	failures := j.failures
	var s *segment
	for {
		i := slices.IndexFunc(j.segments, func(s *segment) bool { return s.seq == 0 })
		if i >= 0 {
			s = j.segments[i]
			break
		}
		if len(j.segments) < most {
			j.mu.Unlock()
			grown, err := j.grow()
			if err != nil {
				return fmt.Errorf("journal: adding a file: %w", err)
			}
			j.mu.Lock()
			j.segments = append(j.segments, grown)
			continue
		}
		if j.dead != nil || j.failures != failures {
			j.mu.Unlock()
			return cloud.Unavailable
		}
		j.press()
		j.freed.Wait()
	}
	// In use before anybody could take it for free.
	s.seq = seq
	j.mu.Unlock()
	if _, err := s.file.WriteAt(block(seq, j.epoch), 0); err != nil {
		j.kill(err)
		return err
	}
	j.mu.Lock()
	j.current, j.at = s, blockSize
	used := 0
	for _, s := range j.segments {
		if s.seq > 0 {
			used++
		}
	}
	j.mu.Unlock()
	if used > least/2 {
		j.press()
	}
	return nil
}

func (j *Journal) press() {
	if j.opts.Pressed != nil {
		j.opts.Pressed()
	}
}

// A mark says up to where the entries' effects are on the disk, and where the
// next entry stands. Two slots are written in turn, so that one is whole.
type mark struct {
	file    *os.File
	turn    uint64
	epoch   uint64 // of the entries behind it; grows with each start
	cursor  cloud.Cursor
	segment uint64
	offset  int64
}

const markSize = 8 + 5*8

func (j *Journal) openMark() error {
	name := filepath.Join(j.dir, "mark")
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		if redo, _ := filepath.Glob(filepath.Join(j.dir, "redo-*")); len(redo) > 0 {
			return errors.New("the mark is missing, but the log is there")
		}
		if f, err = os.Create(name + ".new"); err != nil {
			return err
		}
		if err = f.Truncate(2 * blockSize); err == nil {
			j.mark = mark{file: f, epoch: 1}
			err = j.setMark(j.mark)
		}
		if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
			err = errors.Join(os.Rename(name+".new", name), syncDir(j.dir))
		}
		if err != nil {
			return err
		}
		f, err = os.OpenFile(name, os.O_RDWR, 0)
	}
	if err != nil {
		return err
	}
	j.mark = mark{file: f}
	var b [2 * blockSize]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		return fmt.Errorf("reading the mark: %w", err)
	}
	for _, slot := range [][]byte{b[:blockSize], b[blockSize:]} {
		if m, ok := decodeMark(slot); ok && m.turn > j.mark.turn {
			m.file = f
			j.mark = m
		}
	}
	if j.mark.turn == 0 {
		return errors.New("both copies of the mark are damaged")
	}
	return nil
}

func decodeMark(b []byte) (m mark, ok bool) {
	if string(b[:8]) != markMagic || crc32.Checksum(b[:markSize], castagnoli) != binary.LittleEndian.Uint32(b[markSize:]) {
		return m, false
	}
	v := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8+8*i:]) }
	return mark{turn: v(0), epoch: v(1), cursor: cloud.Cursor(v(2)), segment: v(3), offset: int64(v(4))}, true
}

// setMark makes m the mark, durably.
func (j *Journal) setMark(m mark) error {
	m.file, m.turn = j.mark.file, j.mark.turn+1
	b := make([]byte, 0, blockSize)
	b = append(b, markMagic...)
	for _, v := range []uint64{m.turn, m.epoch, uint64(m.cursor), m.segment, uint64(m.offset)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	if _, err := m.file.WriteAt(b[:blockSize], int64(m.turn%2)*blockSize); err != nil {
		return err
	}
	if err := j.sync(m.file); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mark = m
	return nil
}

// scan finds the entries behind the mark, up to the torn end if there is one.
func (j *Journal) scan() error {
	seq, at := j.mark.segment, j.mark.offset
	next := j.mark.cursor + 1
	buf := make([]byte, j.opts.Segment)
	for ; ; seq, at = seq+1, blockSize {
		i := slices.IndexFunc(j.segments, func(s *segment) bool { return s.seq == seq && seq > 0 })
		if i < 0 {
			return nil
		}
		s := j.segments[i]
		st, err := s.file.Stat()
		if err != nil {
			return err
		}
		if st.Size() > int64(len(buf)) {
			buf = make([]byte, st.Size())
		}
		at = max(at, blockSize)
		n, err := s.file.ReadAt(buf[:max(0, st.Size()-at)], at)
		if err != nil && err != io.EOF {
			return err
		}
		for rest := buf[:n]; ; {
			before := len(rest)
			f, r, err := decode(rest)
			if err != nil || f.epoch != j.mark.epoch || f.cursor != next {
				j.torn = err != nil && begun(rest, j.mark.epoch, next)
				break
			}
			rest = r
			size := before - len(rest)
			j.index = append(j.index, place{segment: s, offset: at, head: uint32(len(f.Head)), size: uint32(size)})
			if f.flags&undoes != 0 {
				j.hide(f.Redo)
			}
			at += int64(size)
			next++
		}
	}
}
