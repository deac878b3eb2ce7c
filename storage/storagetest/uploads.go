package storagetest

import (
	"errors"
	"io"
	"strings"
	"testing/iotest"
	"time"

	"opencloud/cloud"
)

// begin sets up an upload of a file.
func (h *house) begin(name string, size int64) *cloud.Upload {
	h.Helper()
	u := &cloud.Upload{
		ID:   cloud.UploadID(strings.Repeat("x_", 45) + string(newID())),
		Dir:  cloud.Ref{Space: h.space, Node: h.root},
		Name: name,
		How: cloud.Put{
			Conditions: cloud.Conditions{IfMatch: "etag", IfNoneMatch: "other", Tokens: []string{"urn:uuid:1", "urn:uuid:2"}},
			Size:       size, MTime: when(2001), Sum: "SHA1:a9993e364706816aba3e25717850c26c9cd0d89d",
		},
		By:      "u",
		Expires: when(2040),
	}
	if err := h.SetUpload(h.ctx, u); err != nil {
		h.Fatalf("SetUpload: got %v", err)
	}
	return u
}

// add appends to an upload and checks what it says against Upload.
func (h *house) add(id cloud.UploadID, offset int64, body io.Reader) (int64, error) {
	h.Helper()
	next, err := h.AppendUpload(h.ctx, h.space, id, offset, body)
	u, e := h.Upload(h.ctx, h.space, id)
	if e != nil {
		h.Fatalf("Upload: got %v", e)
	}
	if u.Offset != next {
		h.Errorf("offset after AppendUpload: it said %d, Upload says %d", next, u.Offset)
	}
	return next, err
}

// fill appends what must fit.
func (h *house) fill(id cloud.UploadID, offset int64, body string) {
	h.Helper()
	if next, err := h.add(id, offset, strings.NewReader(body)); err != nil || next != offset+int64(len(body)) {
		h.Fatalf("AppendUpload of %d at %d: got %d, %v", len(body), offset, next, err)
	}
}

// end is the Write that ends an upload.
func (h *house) end(u *cloud.Upload) cloud.Write {
	return cloud.Write{Space: h.space, Dir: h.root, Name: u.Name, Upload: u.ID, MTime: u.How.MTime}
}

var uploadTales = []tale{
	{"Upload", func(h *house) {
		before := h.walk()
		u := h.begin("f", 10)
		other := h.begin("g", 20)
		got, err := h.Upload(h.ctx, h.space, u.ID)
		if err != nil {
			h.Fatalf("Upload: got %v", err)
		}
		h.same("upload that has begun", got, u)
		h.fill(u.ID, 0, "0123")
		h.fill(u.ID, 4, "")
		h.fill(u.ID, 4, "45")
		for _, at := range []int64{0, 4, 5, 7, 10, 11, -1} {
			next, err := h.add(u.ID, at, strings.NewReader("xyz"))
			h.kind("AppendUpload at the wrong place", err, cloud.Conflict)
			if next != 6 {
				h.Errorf("AppendUpload at %d: got next %d, want 6", at, next)
			}
		}
		u.Offset = 6
		all := h.uploads()
		if len(all) != 2 {
			h.Fatalf("Uploads: got %d, want 2", len(all))
		}
		for _, got := range all {
			if got.ID == u.ID {
				h.same("upload under way", got, u)
			} else {
				h.same("upload beside it", got, other)
			}
		}
		h.same("tree while uploads are under way", h.walk(), before)
		h.fill(u.ID, 6, "6789")
		h.same("tree while an upload is whole", h.walk(), before)

		w := h.end(u)
		w.Sum = "MD5:781e5e245d69b566979b86e28d23f2c7"
		n, made, err := h.Write(h.ctx, w)
		if err != nil || !made {
			h.Fatalf("Write of the upload: got made %v, %v", made, err)
		}
		h.same("uploaded file", n, &cloud.Node{ID: n.ID, Space: h.space, Parent: h.root, Name: "f", Path: "f", Size: 10, MTime: when(2001),
			ETag: n.ETag, Sums: cloud.SumsOf([]byte("0123456789"))})
		h.same("Node of the uploaded file", h.node(n.ID), n)
		if got := h.read(n.ID); got != "0123456789" {
			h.Errorf("content: got %q", got)
		}
		_, err = h.Upload(h.ctx, h.space, u.ID)
		h.kind("Upload after its Write", err, cloud.NotExist)
		if all := h.uploads(); len(all) != 1 || all[0].ID != other.ID {
			h.Errorf("Uploads after one has ended: got %d, want the other", len(all))
		}
		if err := h.DropUpload(h.ctx, h.space, other.ID); err != nil {
			h.Errorf("DropUpload: got %v", err)
		}
		h.same("Uploads at the end", h.uploads(), []*cloud.Upload(nil))
		h.walk()
	}},

	{"UploadTorn", func(h *house) {
		u := h.begin("f", 300_000)
		body := long(300_000)
		next, err := h.add(u.ID, 0, torn(body[:1000]))
		if !errors.Is(err, errTorn) || next != 1000 {
			h.Errorf("AppendUpload of a torn body: got %d, %v, want 1000, %v", next, err, errTorn)
		}
		next, err = h.add(u.ID, next, torn(body[next:200_000]))
		if !errors.Is(err, errTorn) || next != 200_000 {
			h.Errorf("AppendUpload of another torn body: got %d, %v, want 200000, %v", next, err, errTorn)
		}
		h.fill(u.ID, next, body[next:])
		n := h.write(h.end(u))
		if got := h.read(n.ID); got != body {
			h.Errorf("content: got %d other bytes", len(got))
		}
		if want := cloud.SumsOf([]byte(body)); n.Sums != want {
			h.Errorf("sums: got %v, want %v", n.Sums, want)
		}
	}},

	{"UploadTooLong", func(h *house) {
		u := h.begin("f", 5)
		h.fill(u.ID, 0, "012")
		for _, body := range []io.Reader{strings.NewReader("345"), endless{}} {
			next, err := h.add(u.ID, 3, body)
			h.kind("AppendUpload beyond the size", err, cloud.Invalid)
			if next != 3 {
				h.Errorf("AppendUpload beyond the size: got next %d, want 3", next)
			}
		}
		h.fill(u.ID, 3, "34")
		if got := h.read(h.write(h.end(u)).ID); got != "01234" {
			h.Errorf("content: got %q, want 01234", got)
		}
	}},

	{"UploadBadSum", func(h *house) {
		u := h.begin("f", 300_000)
		body := long(300_000)
		h.fill(u.ID, 0, body[:1000])
		for _, n := range []int{0, 1, 200_000, 299_000} {
			wrong := io.MultiReader(strings.NewReader(body[:n]), iotest.ErrReader(cloud.Refuse(cloud.BadSum, "No.")))
			next, err := h.add(u.ID, 1000, wrong)
			h.kind("AppendUpload of a body that ends in BadSum", err, cloud.BadSum)
			if next != 1000 {
				h.Errorf("AppendUpload of a body that ends in BadSum: got next %d, want 1000", next)
			}
		}
		h.fill(u.ID, 1000, body[1000:])
		if got := h.read(h.write(h.end(u)).ID); got != body {
			h.Errorf("content: got %d other bytes", len(got))
		}
	}},

	{"UploadIncomplete", func(h *house) {
		u := h.begin("f", 5)
		h.fill(u.ID, 0, "012")
		h.unchanged("Write of an upload that lacks bytes", func() {
			if _, _, err := h.Write(h.ctx, h.end(u)); err == nil {
				h.Errorf("Write of an upload that lacks bytes: got no error")
			}
		})
		h.fill(u.ID, 3, "34")
		h.write(h.end(u))
	}},

	{"UploadRefused", func(h *house) {
		// The Write that would end it fails: it is there for another try.
		h.dir(h.root, "dir")
		f := h.file(h.root, "taken", "content")
		u := h.begin("f", 3)
		h.fill(u.ID, 0, "abc")
		refused := errors.New("refused")
		h.unchanged("Write of an upload that fails", func() {
			for what, c := range map[string]struct {
				change func(*cloud.Write)
				want   error
			}{
				"by Check":         {func(w *cloud.Write) { w.Check = func(*cloud.Node, int64) error { return refused } }, refused},
				"by a sum":         {func(w *cloud.Write) { w.Sum = "MD5:d41d8cd98f00b204e9800998ecf8427e" }, cloud.BadSum},
				"by a directory":   {func(w *cloud.Write) { w.Name = "dir" }, cloud.Exist},
				"by a file":        {func(w *cloud.Write) { w.Name, w.Fresh = "taken", true }, cloud.Exist},
				"by a lost parent": {func(w *cloud.Write) { w.Dir = newID() }, cloud.Conflict},
			} {
				w := h.end(u)
				w.Keep = true
				c.change(&w)
				if _, _, err := h.Write(h.ctx, w); !errors.Is(err, c.want) {
					h.Errorf("Write refused %s: got %v, want %v", what, err, c.want)
				}
			}
		})
		w := h.end(u)
		w.Name, w.Keep = "taken", true
		w.Check = func(now *cloud.Node, size int64) error {
			if now == nil || now.ID != f.ID || size != 3 {
				h.Errorf("Check: got %v, %d, want the file that stands there and 3", now, size)
			}
			return nil
		}
		if n := h.write(w); n.ID != f.ID || h.read(f.ID) != "abc" {
			h.Errorf("upload over a file: got %s with %q, want %s", n.ID, h.read(n.ID), f.ID)
		}
		h.same("versions", h.contents(f.ID), []string{"content"})
	}},

	{"UploadEmpty", func(h *house) {
		u := h.begin("f", 0)
		if n := h.write(h.end(u)); n.Size != 0 || h.read(n.ID) != "" {
			h.Errorf("empty upload: got size %d", n.Size)
		}
	}},

	{"UploadNotThere", func(h *house) {
		u := h.begin("f", 3)
		if err := h.DropUpload(h.ctx, h.space, u.ID); err != nil {
			h.Fatalf("DropUpload: got %v", err)
		}
		other := h.another()
		elsewhere := other.begin("g", 3)
		for _, id := range []cloud.UploadID{u.ID, cloud.UploadID(newID()), elsewhere.ID, "../x", "a/b", ""} {
			_, err := h.Upload(h.ctx, h.space, id)
			h.kind("Upload of what is not there", err, cloud.NotExist)
			_, err = h.AppendUpload(h.ctx, h.space, id, 0, strings.NewReader("x"))
			h.kind("AppendUpload of what is not there", err, cloud.NotExist)
			h.kind("DropUpload of what is not there", h.DropUpload(h.ctx, h.space, id), cloud.NotExist)
		}
		if len(other.uploads()) != 1 {
			h.Errorf("upload of another space: got none")
		}
	}},

	{"UploadTimes", func(h *house) {
		// Without times and conditions, as the simplest client begins one.
		u := &cloud.Upload{ID: cloud.UploadID(newID()), Dir: cloud.Ref{Space: h.space, Node: h.root}, Name: "näme \"x\"", How: cloud.Put{Size: 1}, Expires: time.Now().Add(time.Hour).UTC().Round(0)}
		if err := h.SetUpload(h.ctx, u); err != nil {
			h.Fatalf("SetUpload: got %v", err)
		}
		got, err := h.Upload(h.ctx, h.space, u.ID)
		if err != nil {
			h.Fatalf("Upload: got %v", err)
		}
		h.same("upload", got, u)
	}},
}
