package posix

import (
	"crypto/md5"
	"crypto/sha1"
	"hash"
	"hash/adler32"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"
)

// small is how long a body may be to go into the journal as a whole.
const small = 64 << 10

// smallBufs hold one byte more, to see that a body is not small.
var smallBufs = sync.Pool{New: func() any { return new([small + 1]byte) }}

var (
	errLength   = cloud.Refuse(cloud.Invalid, "The content is not as long as announced.")
	errTooLong  = cloud.Refuse(cloud.Full, "The content is longer than there is room for.")
	errNotWhole = cloud.Refuse(cloud.Invalid, "The upload is not complete.")
)

// bounds keeps a body to its announced size and to its limit.
type bounds struct {
	size  int64 // -1: not announced
	limit int64 // 0: none
}

// most is how many bytes are worth reading: one too many says enough.
func (b bounds) most() int64 {
	switch {
	case b.size >= 0 && (b.limit == 0 || b.size <= b.limit):
		return b.size + 1
	case b.limit > 0:
		return b.limit + 1
	}
	return 1<<63 - 1
}

func (b bounds) check(n int64) error {
	if b.limit > 0 && n > b.limit {
		return errTooLong
	}
	if b.size >= 0 && n != b.size {
		return errLength
	}
	return nil
}

const (
	chunkSize   = 256 << 10
	chunksAhead = 4
	kickEvery   = 8 << 20 // bytes after which the disk is told to begin
)

type chunk struct {
	buf  [chunkSize]byte
	n    int
	uses atomic.Int32
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// copySums copies head and then src into dst and computes the sums on the
// way, each on a goroutine of its own: the slowest of them is the only brake.
func copySums(dst *os.File, head []byte, src io.Reader, most int64) (n int64, sums cloud.Sums, err error) {
	sha, md, adler := sha1.New(), md5.New(), adler32.New()
	free := make(chan *chunk, chunksAhead)
	all := make([]*chunk, chunksAhead)
	for i := range all {
		all[i] = chunks.Get().(*chunk)
		free <- all[i]
	}
	var wg sync.WaitGroup
	hasher := func(h hash.Hash) chan *chunk {
		in := make(chan *chunk, chunksAhead)
		wg.Go(func() {
			for c := range in {
				h.Write(c.buf[:c.n])
				if c.uses.Add(-1) == 0 {
					free <- c
				}
			}
		})
		return in
	}
	toSHA, toMD := hasher(sha), hasher(md)
	defer func() { // also when src panics
		close(toSHA)
		close(toMD)
		wg.Wait()
		for _, c := range all {
			chunks.Put(c)
		}
		if err == nil {
			sha.Sum(sums.SHA1[:0])
			md.Sum(sums.MD5[:0])
			sums.Adler32, sums.Known = adler.Sum32(), true
		}
	}()
	kicked := int64(0)
	for end := false; !end; {
		c := <-free
		c.n = copy(c.buf[:], head)
		head = head[c.n:]
		for c.n < chunkSize && !end {
			room := min(int64(chunkSize-c.n), most-n-int64(c.n))
			if room <= 0 {
				end = true
				break
			}
			m, rerr := src.Read(c.buf[c.n : c.n+int(room)])
			c.n += m
			if rerr == io.EOF {
				end = true
			} else if rerr != nil {
				return n, sums, rerr
			}
		}
		c.uses.Store(2)
		toSHA <- c
		toMD <- c
		adler.Write(c.buf[:c.n])
		if _, err := dst.Write(c.buf[:c.n]); err != nil {
			return n, sums, err
		}
		if n += int64(c.n); n-kicked >= kickEvery {
			disk.Kick(dst, kicked, n-kicked)
			kicked = n
		}
	}
	return n, sums, nil
}
