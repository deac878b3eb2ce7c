package archiver

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"net/http"
	"sort"
	"strings"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// sendTar answers with a tar, or with a range of it: every byte has its place
// before the first one is read.
func (h *handler) sendTar(w http.ResponseWriter, r *http.Request, p *plan) error {
	header := w.Header()
	header.Set("ETag", httpx.ETag(p.tag("tar")))
	header.Set("Content-Type", "application/x-tar")
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range") // nobody resumes at several places at once
	}
	t, err := newTar(r.Context(), h.files, p)
	if err != nil {
		return err
	}
	defer t.Close()
	http.ServeContent(w, r, "", time.Time{}, t)
	return t.err
}

const block = 512 // bytes of which a tar is made

// A tarReader is a tar that does not exist: it makes what is read of it, and
// opens none of the files before what is read.
type tarReader struct {
	ctx     context.Context
	files   cloud.Files
	entries []entry
	starts  []int64 // of each entry, and where the last one ends
	size    int64
	pos     int64
	err     error // by which reading ended before the end

	head tarHead
	body io.ReadSeekCloser // content of the entry open; nil: none
	open int
	at   int64 // where in body
}

// A tarHead is the header of one entry.
type tarHead struct {
	bytes.Buffer
	of int
}

func newTar(ctx context.Context, files cloud.Files, p *plan) (*tarReader, error) {
	t := &tarReader{ctx: ctx, files: files, entries: p.entries}
	if e := p.last(); e != nil {
		t.entries = append(t.entries, *e)
	}
	t.starts = make([]int64, len(t.entries)+1)
	end := int64(0)
	for i := range t.entries {
		if err := t.header(i); err != nil {
			return nil, err
		}
		t.starts[i] = end
		end += int64(t.head.Len()) + padded(t.entries[i].size)
	}
	t.starts[len(t.entries)] = end
	t.size = end + 2*block
	return t, nil
}

func padded(n int64) int64 { return (n + block - 1) / block * block }

// header makes the header of an entry.
func (t *tarReader) header(i int) error {
	e := &t.entries[i]
	h := tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: e.size, Mode: 0o644, ModTime: e.mtime.Truncate(time.Second)}
	if e.dir {
		h.Typeflag, h.Mode = tar.TypeDir, 0o755
	}
	t.head.Reset()
	t.head.of = i
	return tar.NewWriter(&t.head.Buffer).WriteHeader(&h)
}

// Seek is part of io.ReadSeeker; it costs nothing.
func (t *tarReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += t.pos
	case io.SeekEnd:
		offset += t.size
	}
	if offset < 0 {
		return 0, cloud.Invalid
	}
	t.pos = offset
	return offset, nil
}

// Read fills p unless the end or an error comes first.
func (t *tarReader) Read(p []byte) (n int, err error) {
	for n < len(p) && t.err == nil && t.pos < t.size {
		if t.err = t.ctx.Err(); t.err != nil {
			break
		}
		var m int
		m, t.err = t.piece(p[n:])
		n += m
		t.pos += int64(m)
	}
	switch {
	case n > 0 || len(p) == 0:
		return n, nil
	case t.err != nil:
		return 0, t.err
	}
	return 0, io.EOF
}

// piece reads from the part of the archive that pos is in.
func (t *tarReader) piece(p []byte) (int, error) {
	i := sort.Search(len(t.starts), func(i int) bool { return t.starts[i] > t.pos }) - 1
	if i == len(t.entries) {
		return zeros(p, t.size-t.pos), nil
	}
	if t.head.of != i {
		if err := t.header(i); err != nil {
			return 0, err
		}
	}
	e, head := &t.entries[i], t.head.Bytes()
	off := t.pos - t.starts[i]
	if off < int64(len(head)) {
		return copy(p, head[off:]), nil
	}
	if off -= int64(len(head)); off >= e.size {
		return zeros(p, t.starts[i+1]-t.pos), nil
	}
	if err := t.content(i, off); err != nil {
		return 0, err
	}
	n, err := t.body.Read(p[:min(int64(len(p)), e.size-off)])
	t.at += int64(n)
	if err == io.EOF {
		if err = nil; n == 0 {
			err = cloud.E("archiver.tar", e.ref, io.ErrUnexpectedEOF)
		}
	}
	return n, err
}

func zeros(p []byte, n int64) int {
	p = p[:min(int64(len(p)), n)]
	clear(p)
	return len(p)
}

// content has body be that of an entry, from an offset on.
func (t *tarReader) content(i int, off int64) error {
	if t.body == nil || t.open != i {
		t.Close()
		body, err := t.fetch(&t.entries[i])
		if err != nil {
			return err
		}
		t.body, t.open, t.at = body, i, 0
	}
	if t.at == off {
		return nil
	}
	t.at = off
	_, err := t.body.Seek(off, io.SeekStart)
	return err
}

func (t *tarReader) fetch(e *entry) (io.ReadSeekCloser, error) {
	if e.ref.Space == "" {
		return text{strings.NewReader(e.text)}, nil
	}
	body, n, err := t.files.Open(t.ctx, e.ref, "")
	if err != nil {
		return nil, err
	}
	if n.ETag != e.etag || n.Size != e.size {
		body.Close()
		return nil, cloud.E("archiver.tar", e.ref, cloud.Precondition)
	}
	return body, nil
}

// text is content that needs no closing.
type text struct{ *strings.Reader }

func (text) Close() error { return nil }

// Close closes the file that is open.
func (t *tarReader) Close() error {
	if t.body == nil {
		return nil
	}
	err := t.body.Close()
	t.body = nil
	return err
}
