package archiver

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"context"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// bufferSize is of what is read and sent at once, in bytes.
const bufferSize = 64 << 10

// sendZip answers with a zip. It has no length before it is made, and nobody
// knows the checksums that stand at its end without reading all files, so that
// there are no ranges. The tag is a weak one: a file that vanishes meanwhile is
// named in the archive.
func (h *handler) sendZip(w http.ResponseWriter, r *http.Request, p *plan) error {
	header := w.Header()
	tag := httpx.ETag(p.tag("zip"))
	header.Set("ETag", "W/"+tag)
	if known(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header.Set("Content-Type", "application/zip")
	header.Set("Accept-Ranges", "none")
	if r.Method == http.MethodHead {
		return nil
	}
	buf := bufio.NewWriterSize(w, bufferSize)
	z := newZip(buf)
	for i := range p.entries {
		if err := h.pack(r.Context(), z, p, &p.entries[i]); err != nil {
			return err
		}
	}
	if e := p.last(); e != nil {
		if err := z.put(e, strings.NewReader(e.text)); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	return buf.Flush()
}

var errGrown = cloud.Refuse(cloud.TooLarge, "It has grown meanwhile, and the archive would be too large.")

// known tells whether the client has what is under the tag (RFC 9110, section 13.1.2).
func known(r *http.Request, tag string) bool {
	for have := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if have = strings.TrimSpace(have); have == "*" || strings.TrimPrefix(have, "W/") == tag {
			return true
		}
	}
	return false
}

// pack puts a planned entry into the archive, or among what was left out.
func (h *handler) pack(ctx context.Context, z *zipWriter, p *plan, e *entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.dir {
		return z.put(e, nil)
	}
	body, n, err := h.files.Open(ctx, e.ref, "")
	if err != nil {
		if gone(err) {
			p.leave(e.name, err)
			return nil
		}
		return err
	}
	defer body.Close()
	if n.Size > h.opts.MaxSize-(p.size-e.size) {
		p.leave(e.name, errGrown)
		return nil
	}
	p.size += n.Size - e.size
	now := *e
	now.size, now.mtime = n.Size, n.MTime
	return z.put(&now, &attentive{ctx, body})
}

// attentive reads no more once the request is over.
type attentive struct {
	ctx context.Context
	io.Reader
}

func (r *attentive) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// A zipWriter deflates all entries: what does not compress is in blocks that
// are stored. Entries that are stored as a whole, with their sizes behind them,
// cannot be read by programs that see the archive only once.
type zipWriter struct {
	*zip.Writer
	level   int // for the next entry
	writers map[int]*flate.Writer
	buf     []byte
}

func newZip(w io.Writer) *zipWriter {
	z := &zipWriter{Writer: zip.NewWriter(w), writers: map[int]*flate.Writer{}, buf: make([]byte, bufferSize)}
	z.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		if f := z.writers[z.level]; f != nil {
			f.Reset(out)
			return f, nil
		}
		f, err := flate.NewWriter(out, z.level)
		z.writers[z.level] = f
		return f, err
	})
	return z
}

// put adds an entry. The body is as long as the entry says, or it is an error.
func (z *zipWriter) put(e *entry, body io.Reader) error {
	fh := &zip.FileHeader{Name: e.name, Modified: e.mtime, Method: zip.Deflate}
	fh.SetMode(0o644)
	if e.dir {
		fh.SetMode(fs.ModeDir | 0o755)
	}
	if z.level = flate.NoCompression; shrinks(e.name) {
		z.level = flate.BestSpeed
	}
	out, err := z.CreateHeader(fh)
	if err != nil || e.dir {
		return err
	}
	n, err := io.CopyBuffer(out, &io.LimitedReader{R: body, N: e.size}, z.buf)
	if err == nil && n < e.size {
		err = cloud.E("archiver.zip", e.ref, io.ErrUnexpectedEOF)
	}
	return err
}
