package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"opencloud/cloud"
)

// A frame is an entry on the disk: a header and then head, redo and body.
//
//	0  CRC-32C of all that follows
//	4  flags
//	8  epoch
//	16 cursor
//	24 length of head, redo, body (4 bytes each)
//	36 zero
type frame struct {
	Entry
	flags  uint32
	epoch  uint64
	cursor cloud.Cursor
}

const (
	headerSize = 40
	maxPart    = 1 << 28 // bytes of head, redo or body

	undoes = 1 << 0 // redo says which entries are undone
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errTorn    = errors.New("no whole entry")
)

func (e *Entry) size() int { return headerSize + len(e.Head) + len(e.Redo) + len(e.Body) }

// encode appends an entry that still needs to be sealed.
func encode(b []byte, e Entry, flags uint32) []byte {
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, flags)
	b = append(b, make([]byte, 16)...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Head)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Redo)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Body)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = append(b, e.Head...)
	b = append(b, e.Redo...)
	return append(b, e.Body...)
}

// seal gives an encoded entry its place in the order and its checksum.
func seal(b []byte, epoch uint64, c cloud.Cursor) {
	binary.LittleEndian.PutUint64(b[8:], epoch)
	binary.LittleEndian.PutUint64(b[16:], uint64(c))
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
}

// decode takes the first frame off b. The parts of the frame alias b.
func decode(b []byte) (f frame, rest []byte, err error) {
	if len(b) < headerSize {
		return f, b, errTorn
	}
	head, redo, body := binary.LittleEndian.Uint32(b[24:]), binary.LittleEndian.Uint32(b[28:]), binary.LittleEndian.Uint32(b[32:])
	if head > maxPart || redo > maxPart || body > maxPart {
		return f, b, errTorn
	}
	size := headerSize + int(head) + int(redo) + int(body)
	if len(b) < size || crc32.Checksum(b[4:size], castagnoli) != binary.LittleEndian.Uint32(b) {
		return f, b, errTorn
	}
	f.flags = binary.LittleEndian.Uint32(b[4:])
	f.epoch = binary.LittleEndian.Uint64(b[8:])
	f.cursor = cloud.Cursor(binary.LittleEndian.Uint64(b[16:]))
	parts := b[headerSize:size]
	f.Head, f.Redo, f.Body = parts[:head:head], parts[head:head+redo:head+redo], parts[head+redo:]
	return f, b[size:], nil
}

// begun tells whether b begins like a frame with an epoch and a cursor.
func begun(b []byte, epoch uint64, c cloud.Cursor) bool {
	return len(b) >= headerSize && binary.LittleEndian.Uint64(b[8:]) == epoch && binary.LittleEndian.Uint64(b[16:]) == uint64(c)
}
