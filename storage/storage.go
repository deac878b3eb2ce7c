// Package storage holds the little that all stores share: checksums while
// streaming and ETags. The stores themselves are its subfolders.
package storage

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"hash/adler32"
	"hash/fnv"
	"time"

	"opencloud/cloud"
)

// A Hasher computes all sums of what is written to it.
type Hasher struct {
	sha, md hash.Hash
	adler   hash.Hash32
	N       int64 // bytes so far
}

func NewHasher() *Hasher { return &Hasher{sha: sha1.New(), md: md5.New(), adler: adler32.New()} }

func (h *Hasher) Write(p []byte) (int, error) {
	h.sha.Write(p)
	h.md.Write(p)
	h.adler.Write(p)
	h.N += int64(len(p))
	return len(p), nil
}

// Sums is of what was written so far.
func (h *Hasher) Sums() (s cloud.Sums) {
	h.sha.Sum(s.SHA1[:0])
	h.md.Sum(s.MD5[:0])
	s.Adler32, s.Known = h.adler.Sum32(), true
	return s
}

// FileETag is the ETag of a file: it changes with the content and its time,
// and with nothing else, so that it is the same after a restart.
func FileETag(id cloud.NodeID, size int64, mtime time.Time, sums cloud.Sums) string {
	h := fnv.New128a()
	h.Write([]byte(id))
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], uint64(size))
	binary.LittleEndian.PutUint64(b[8:], uint64(mtime.UnixNano()))
	h.Write(b[:])
	if sums.Known {
		h.Write(sums.SHA1[:])
	}
	return hex.EncodeToString(h.Sum(b[:0]))
}

// DirETag is the ETag of a directory: last is the journal's cursor at the
// last change of it or of anything below it.
func DirETag(id cloud.NodeID, last cloud.Cursor) string {
	h := fnv.New128a()
	h.Write([]byte(id))
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], uint64(last))
	h.Write(b[:8])
	return hex.EncodeToString(h.Sum(b[:0]))
}
