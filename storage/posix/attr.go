package posix

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"
)

// attr is what stands with every file and directory, packed so that it stays
// in a 256-byte inode of ext4 (68 bytes at most):
//
//	0  version of this form: 1
//	1  flags: 1 directory, 2 sums known, 3 bits traits, 2 bits state
//	2  id
//	18 place: a hash of the parent's id and the name
//	   of a file:                    of a directory:
//	20 SHA-1                         20 size of all below it
//	40 MD5                           28 cursor of the last change in it
//	56 Adler-32                      36 time of that change, in ns since 1970
//	60 print: a hash of size, mtime  44 CRC-32C of all before
//	64 CRC-32C of all before
//
// place tells that a person moved or copied the file behind our back, print
// that its content was changed.
type attr struct {
	dir    bool
	traits cloud.Traits
	state  cloud.State
	id     cloud.UUID
	place  uint16

	sums  cloud.Sums // of a file
	print uint32

	size  int64 // of a directory
	last  cloud.Cursor
	mtime time.Time
}

const (
	attrVersion  = 1
	fileAttrSize = 68
	dirAttrSize  = 48

	flagDir    = 1 << 0
	flagSums   = 1 << 1
	traitShift = 2
	stateShift = 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (a *attr) encode(b []byte) []byte {
	flags := byte(a.traits&7)<<traitShift | byte(a.state&3)<<stateShift
	if a.dir {
		flags |= flagDir
	} else if a.sums.Known {
		flags |= flagSums
	}
	b = append(b[:0], attrVersion, flags)
	b = append(b, a.id[:]...)
	b = binary.LittleEndian.AppendUint16(b, a.place)
	if a.dir {
		b = binary.LittleEndian.AppendUint64(b, uint64(a.size))
		b = binary.LittleEndian.AppendUint64(b, uint64(a.last))
		b = binary.LittleEndian.AppendUint64(b, uint64(a.mtime.UnixNano()))
	} else {
		b = append(b, a.sums.SHA1[:]...)
		b = append(b, a.sums.MD5[:]...)
		b = binary.LittleEndian.AppendUint32(b, a.sums.Adler32)
		b = binary.LittleEndian.AppendUint32(b, a.print)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeAttr is not ok for anything that encode has not made.
func decodeAttr(b []byte) (a attr, ok bool) {
	if len(b) != fileAttrSize && len(b) != dirAttrSize || b[0] != attrVersion || b[1]&0x80 != 0 {
		return a, false
	}
	end := len(b) - 4
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return a, false
	}
	a.dir = b[1]&flagDir != 0
	a.traits = cloud.Traits(b[1] >> traitShift & 7)
	a.state = cloud.State(b[1] >> stateShift & 3)
	a.id = cloud.UUID(b[2:18])
	a.place = binary.LittleEndian.Uint16(b[18:])
	switch {
	case a.dir && len(b) == dirAttrSize:
		a.size = int64(binary.LittleEndian.Uint64(b[20:]))
		a.last = cloud.Cursor(binary.LittleEndian.Uint64(b[28:]))
		a.mtime = time.Unix(0, int64(binary.LittleEndian.Uint64(b[36:]))).UTC()
	case !a.dir && len(b) == fileAttrSize:
		if a.sums.Known = b[1]&flagSums != 0; a.sums.Known {
			a.sums.SHA1 = [20]byte(b[20:40])
			a.sums.MD5 = [16]byte(b[40:56])
			a.sums.Adler32 = binary.LittleEndian.Uint32(b[56:])
		}
		a.print = binary.LittleEndian.Uint32(b[60:])
	default:
		return a, false
	}
	return a, a.state <= cloud.Quarantined
}

// placeOf is the hash of where something stands.
func placeOf(parent cloud.UUID, name string) uint16 {
	h := fnv(fnvBegin, parent[:])
	h = fnv(h, name)
	return uint16(h ^ h>>16 ^ h>>32 ^ h>>48)
}

// printOf is the hash of what changes when somebody writes to a file.
func printOf(i disk.Info) uint32 {
	var b [20]byte
	binary.LittleEndian.PutUint64(b[:], uint64(i.Size))
	binary.LittleEndian.PutUint64(b[8:], uint64(i.MTime.Unix()))
	binary.LittleEndian.PutUint32(b[16:], uint32(i.MTime.Nanosecond()))
	h := fnv(fnvBegin, b[:])
	return uint32(h ^ h>>32)
}

const fnvBegin = 14695981039346656037

// fnv is FNV-1a with 64 bits. hash/fnv would put its state on the heap, and
// this is called for every file of a listing.
func fnv[T string | []byte](h uint64, b T) uint64 {
	for i := range len(b) {
		h = (h ^ uint64(b[i])) * 1099511628211
	}
	return h
}
