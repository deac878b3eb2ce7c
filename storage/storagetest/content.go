package storagetest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing/iotest"
	"time"

	"opencloud/cloud"
)

var errTorn = errors.New("the line is torn")

// torn is a body that ends in an error.
func torn(body string) io.Reader {
	return io.MultiReader(strings.NewReader(body), iotest.ErrReader(errTorn))
}

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

var contentTales = []tale{
	{"Write", func(h *house) {
		d := h.dir(h.root, "dir")
		w := h.content(d.ID, "file", "hello")
		w.ID, w.MTime, w.State = newID(), when(2001), cloud.Pending
		n, made, err := h.Write(h.ctx, w)
		if err != nil || !made {
			h.Fatalf("Write of a new file: got made %v, %v", made, err)
		}
		if n.ETag == "" {
			h.Errorf("new file: got no ETag")
		}
		want := &cloud.Node{ID: w.ID, Space: h.space, Parent: d.ID, Name: "file", Path: "dir/file", Size: 5, MTime: when(2001),
			ETag: n.ETag, Sums: cloud.SumsOf([]byte("hello")), State: cloud.Pending}
		h.same("new file", n, want)
		h.same("Node of the new file", h.node(w.ID), want)

		w = h.content(d.ID, "file", "hello, world")
		w.ID = newID() // is for new files only
		before := time.Now()
		n, made, err = h.Write(h.ctx, w)
		if err != nil || made {
			h.Fatalf("Write over a file: got made %v, %v", made, err)
		}
		if n.ETag == want.ETag {
			h.Errorf("ETag of new content: got the old one, %q", n.ETag)
		}
		if n.MTime.Before(before.Add(-time.Second)) || n.MTime.After(time.Now().Add(time.Second)) {
			h.Errorf("MTime when none is given: got %v, want about %v", n.MTime, before)
		}
		want.Size, want.Sums, want.State, want.ETag, want.MTime = 12, cloud.SumsOf([]byte("hello, world")), cloud.Ready, n.ETag, n.MTime
		h.same("file written over", n, want)
		h.same("Node of the file written over", h.node(want.ID), want)
		if got := h.read(n.ID); got != "hello, world" {
			h.Errorf("content: got %q", got)
		}
		h.same("members", h.names(d.ID), []string{"file"})
		if v := h.list(cloud.VersionsOf(n.ID)); len(v) != 0 {
			h.Errorf("versions without Keep: got %d", len(v))
		}
	}},

	{"WriteKeepsTheRest", func(h *house) {
		f := h.file(h.root, "f", "content")
		f = h.edit(f.ID, func(n *cloud.Node) {
			n.Attrs = map[string]string{"k": "v"}
			n.Grants = []cloud.Grant{{To: cloud.Subject{Group: "g"}, Rights: cloud.CanRead}}
			n.Locks = []cloud.Lock{{Token: "urn:uuid:x", By: "u", Expires: when(2040), Shared: true, Deep: true}}
		})
		for _, keep := range []bool{false, true} {
			w := h.content(h.root, "f", fmt.Sprint("new content ", keep))
			w.Keep, w.MTime = keep, when(2001)
			n := h.write(w)
			f.Size, f.MTime, f.Sums, f.ETag = n.Size, n.MTime, n.Sums, n.ETag
			h.same("file written over", h.node(f.ID), f)
		}
	}},

	{"WriteRefused", func(h *house) {
		d := h.dir(h.root, "dir")
		f := h.file(h.root, "f", "content")
		h.unchanged("writes that fail", func() {
			for what, c := range map[string]struct {
				change func(*cloud.Write)
				want   cloud.Kind
			}{
				"over a directory":        {func(w *cloud.Write) { w.Name = "dir" }, cloud.Exist},
				"fresh over a directory":  {func(w *cloud.Write) { w.Name, w.Fresh = "dir", true }, cloud.Exist},
				"fresh over a file":       {func(w *cloud.Write) { w.Name, w.Fresh = "f", true }, cloud.Exist},
				"below a file":            {func(w *cloud.Write) { w.Dir = f.ID }, cloud.Conflict},
				"below what is not there": {func(w *cloud.Write) { w.Dir = newID() }, cloud.Conflict},
				"with the id of a file":   {func(w *cloud.Write) { w.ID = f.ID }, cloud.Exist},
				"with the id of the root": {func(w *cloud.Write) { w.ID = h.root }, cloud.Exist},
				"versions of a directory": {func(w *cloud.Write) { w.Dir = cloud.VersionsOf(d.ID) }, cloud.Conflict},
				"versions of nothing":     {func(w *cloud.Write) { w.Dir = cloud.VersionsOf(newID()) }, cloud.Conflict},
				"upload that is not":      {func(w *cloud.Write) { w.Body, w.Upload = nil, cloud.UploadID(newID()) }, cloud.NotExist},
			} {
				w := h.content(h.root, "new", "x")
				c.change(&w)
				n, made, err := h.Write(h.ctx, w)
				h.kind("Write "+what, err, c.want)
				if n != nil || made {
					h.Errorf("Write %s: got %v, made %v beside the error", what, n, made)
				}
			}
		})
	}},

	{"BodyRefused", func(h *house) {
		f := h.file(h.root, "old", "content")
		large := long(300_000)
		bodies := map[string]struct {
			body  io.Reader
			size  int64
			limit int64
			sum   string
			want  error
		}{
			"shorter than announced":        {strings.NewReader("12345"), 6, 0, "", cloud.Invalid},
			"longer than announced":         {strings.NewReader("12345"), 4, 0, "", cloud.Invalid},
			"not empty as announced":        {strings.NewReader("1"), 0, 0, "", cloud.Invalid},
			"empty, not as announced":       {strings.NewReader(""), 1, 0, "", cloud.Invalid},
			"large, shorter than announced": {strings.NewReader(large), 300_001, 0, "", cloud.Invalid},
			"large, longer than announced":  {strings.NewReader(large), 299_999, 0, "", cloud.Invalid},
			"endless, announced as small":   {endless{}, 1000, 0, "", cloud.Invalid},
			"endless, announced as large":   {endless{}, 300_000, 0, "", cloud.Invalid},
			"over the limit":                {strings.NewReader("12345"), -1, 4, "", cloud.Full},
			"over the limit, as announced":  {strings.NewReader("12345"), 5, 4, "", cloud.Full},
			"announced over the limit":      {strings.NewReader("1234567890"), 10, 4, "", cloud.Full},
			"large, over the limit":         {strings.NewReader(large), -1, 299_999, "", cloud.Full},
			"endless, over the limit":       {endless{}, -1, 1000, "", cloud.Full},
			"endless, over a large limit":   {endless{}, -1, 300_000, "", cloud.Full},
			"another SHA1":                  {strings.NewReader("12345"), 5, 0, "SHA1:a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", cloud.BadSum},
			"another MD5":                   {strings.NewReader("12345"), 5, 0, "MD5:098f6bcd4621d373cade4e832627b4f6", cloud.BadSum},
			"another Adler-32":              {strings.NewReader("12345"), -1, 0, "ADLER32:045d01c1", cloud.BadSum},
			"large, another SHA1":           {strings.NewReader(large), -1, 0, "SHA1:a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", cloud.BadSum},
			"a sum that nobody knows":       {strings.NewReader("12345"), 5, 0, "CRC32:00000000", cloud.Invalid},
			"a sum that is none":            {strings.NewReader("12345"), 5, 0, "nonsense", cloud.Invalid},
			"torn at once":                  {torn(""), -1, 0, "", errTorn},
			"torn later":                    {torn("12345"), -1, 0, "", errTorn},
			"torn at the end":               {torn("12345"), 5, 0, "", errTorn},
			"torn when large":               {torn(large), 400_000, 0, "", errTorn},
		}
		h.unchanged("bodies that are refused", func() {
			for what, b := range bodies {
				for _, name := range []string{"new", "old"} {
					if s, ok := b.body.(io.Seeker); ok {
						s.Seek(0, io.SeekStart)
					} else if strings.HasPrefix(what, "torn") {
						b.body = torn(map[string]string{"torn at once": "", "torn when large": large}[what])
					}
					checked := false
					_, _, err := h.Write(h.ctx, cloud.Write{
						Space: h.space, Dir: h.root, Name: name, Body: b.body, Size: b.size, Limit: b.limit, Sum: b.sum, Keep: true,
						Check: func(*cloud.Node, int64) error { checked = true; return nil },
					})
					if !errors.Is(err, b.want) {
						h.Errorf("Write of %s, a body %s: got %v, want %v", name, what, err, b.want)
					}
					if checked && b.want != cloud.BadSum {
						h.Errorf("Write of %s, a body %s: Check was called before the content was whole", name, what)
					}
				}
			}
		})
		if got := h.read(f.ID); got != "content" {
			h.Errorf("content after bodies were refused: got %q", got)
		}
		if v := h.list(cloud.VersionsOf(f.ID)); len(v) != 0 {
			h.Errorf("versions after bodies were refused: got %d, want none", len(v))
		}
	}},

	{"BodyTaken", func(h *house) {
		h.write(cloud.Write{Space: h.space, Dir: h.root, Name: "unknown size", Body: iotest.OneByteReader(strings.NewReader("12345")), Size: -1})
		h.write(cloud.Write{Space: h.space, Dir: h.root, Name: "at the limit", Body: strings.NewReader("12345"), Size: -1, Limit: 5})
		h.write(cloud.Write{Space: h.space, Dir: h.root, Name: "at both", Body: strings.NewReader("12345"), Size: 5, Limit: 5})
		h.write(cloud.Write{Space: h.space, Dir: h.root, Name: "end with data", Body: iotest.DataErrReader(strings.NewReader("12345")), Size: 5})
		for _, n := range h.list(h.root) {
			if got := h.read(n.ID); got != "12345" || n.Size != 5 {
				h.Errorf("%s: got %q and size %d", n.Name, got, n.Size)
			}
		}
	}},

	{"Sums", func(h *house) {
		for body, want := range map[string]string{
			"":    "SHA1:da39a3ee5e6b4b0d3255bfef95601890afd80709 MD5:d41d8cd98f00b204e9800998ecf8427e ADLER32:00000001",
			"abc": "SHA1:a9993e364706816aba3e25717850c26c9cd0d89d MD5:900150983cd24fb0d6963f7d28e17f72 ADLER32:024d0127",
			"The quick brown fox jumps over the lazy dog":             "SHA1:2fd4e1c67a2d28fced849ee1bb76e7391b93eb12 MD5:9e107d9d372bb6826bd81d3542a419d6 ADLER32:5bdc0fda",
			strings.Repeat("a", 1_000_000):                            "SHA1:34aa973cd4c4daa4f61eeb2bdbad27316534016f MD5:7707d6ae4e027c70eea2a935c2296f21 ADLER32:15d870f9",
			strings.Repeat("\x00", 1<<16) + strings.Repeat("\xff", 1): cloud.SumsOf([]byte(strings.Repeat("\x00", 1<<16) + "\xff")).String(),
		} {
			for _, sum := range append(strings.Fields(want), "sha1 "+strings.ToUpper(want[5:45]), "") {
				w := h.content(h.root, "f", body)
				w.Sum = sum
				n, _, err := h.Write(h.ctx, w)
				if err != nil {
					h.Errorf("Write of %d bytes with the sum %q: got %v", len(body), sum, err)
					continue
				}
				if n.Sums.String() != want {
					h.Errorf("sums of %d bytes:\n got %v\nwant %v", len(body), n.Sums, want)
				}
			}
		}
	}},

	{"Check", func(h *house) {
		f := h.file(h.root, "old", "content")
		f = h.edit(f.ID, func(n *cloud.Node) {
			n.Attrs = map[string]string{"k": "v"}
			n.Grants = []cloud.Grant{{To: cloud.Subject{User: "u"}, Rights: cloud.CanRead}}
			n.Locks = []cloud.Lock{{Token: "urn:uuid:x", By: "u", Expires: when(2040)}}
		})
		refused := errors.New("refused")
		h.unchanged("a Check that refuses", func() {
			for _, name := range []string{"old", "new"} {
				w := h.content(h.root, name, "")
				ended := false
				w.Body = io.MultiReader(strings.NewReader("123"), readerFunc(func([]byte) (int, error) { ended = true; return 0, io.EOF }))
				w.Size = -1
				w.Keep = true
				calls := 0
				w.Check = func(now *cloud.Node, size int64) error {
					calls++
					if !ended {
						h.Errorf("Check for %s: called before the body ended", name)
					}
					if size != 3 {
						h.Errorf("Check for %s: got size %d, want 3", name, size)
					}
					if name == "new" {
						if now != nil {
							h.Errorf("Check for a new file: got %+v, want nil", now)
						}
					} else {
						h.same("what Check is shown", now, f)
					}
					return refused
				}
				_, _, err := h.Write(h.ctx, w)
				if err != refused {
					h.Errorf("Write of %s that Check refused: got %v, want Check's error as is", name, err)
				}
				if calls != 1 {
					h.Errorf("Check for %s: called %d times, want 1", name, calls)
				}
			}
		})
		if got := h.read(f.ID); got != "content" {
			h.Errorf("content after a refusal: got %q", got)
		}
		if v := h.list(cloud.VersionsOf(f.ID)); len(v) != 0 {
			h.Errorf("versions after a refusal: got %d, want none", len(v))
		}
		w := h.content(h.root, "old", "new content")
		w.Check = func(*cloud.Node, int64) error { return nil }
		h.write(w)
		if got := h.read(f.ID); got != "new content" {
			h.Errorf("content after a Check that agrees: got %q", got)
		}
	}},

	{"CheckMayRead", func(h *house) {
		// core looks at the locks above and at the quota from inside a Check.
		d := h.dir(h.root, "d")
		f := h.file(d.ID, "f", "content")
		w := h.content(d.ID, "f", "new content")
		w.Check = func(now *cloud.Node, _ int64) error {
			if n := h.node(f.ID); n.ETag != now.ETag {
				h.Errorf("Node inside Check: got ETag %q, want %q", n.ETag, now.ETag)
			}
			if _, err := h.Ancestors(h.ctx, h.space, f.ID); err != nil {
				h.Errorf("Ancestors inside Check: got %v", err)
			}
			if got := h.read(f.ID); got != "content" {
				h.Errorf("content inside Check: got %q", got)
			}
			h.same("members inside Check", h.names(d.ID), []string{"f"})
			return nil
		}
		h.write(w)
	}},

	{"Large", func(h *house) {
		body := long(5 << 20)
		n := h.write(cloud.Write{Space: h.space, Dir: h.root, Name: "large", Body: struct{ io.Reader }{strings.NewReader(body)}, Size: -1})
		if n.Size != 5<<20 || n.Sums != cloud.SumsOf([]byte(body)) {
			h.Errorf("large file: got size %d and sums %v, want %d and %v", n.Size, n.Sums, 5<<20, cloud.SumsOf([]byte(body)))
		}
		c, _, err := h.Open(h.ctx, h.space, n.ID)
		if err != nil {
			h.Fatalf("Open: got %v", err)
		}
		defer c.Close()
		if got, err := io.ReadAll(c); err != nil || string(got) != body {
			h.Errorf("content: got %d bytes that differ, %v", len(got), err)
		}
		if end, err := c.Seek(0, io.SeekEnd); end != 5<<20 || err != nil {
			h.Errorf("Seek to the end: got %d, %v", end, err)
		}
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 50 {
			from := rnd.IntN(len(body))
			size := 1 + rnd.IntN(min(200_000, len(body)-from))
			if at, err := c.Seek(int64(from), io.SeekStart); at != int64(from) || err != nil {
				h.Fatalf("Seek to %d: got %d, %v", from, at, err)
			}
			got := make([]byte, size)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != body[from:from+size] {
				h.Errorf("range %d+%d: got other bytes, %v", from, size, err)
			}
			if at, err := c.Seek(-int64(size), io.SeekCurrent); at != int64(from) || err != nil {
				h.Errorf("Seek back: got %d, %v, want %d", at, err, from)
			}
		}
		if at, err := c.Seek(-10, io.SeekEnd); at != 5<<20-10 || err != nil {
			h.Errorf("Seek near the end: got %d, %v", at, err)
		}
		if got, err := io.ReadAll(c); err != nil || string(got) != body[5<<20-10:] {
			h.Errorf("tail: got %q, %v", got, err)
		}
	}},

	{"Sizes", func(h *house) {
		// Around the sizes of buffers and of what goes through a journal.
		var sum int64
		for _, size := range []int{0, 1, 511, 512, 4095, 4096, 4097, 32<<10 - 1, 32 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 1<<20 - 1, 1<<20 + 1} {
			body := long(size)
			for _, announced := range []int64{int64(size), -1} {
				w := h.content(h.root, fmt.Sprintf("%d %d", size, announced), body)
				w.Size = announced
				n := h.write(w)
				sum += int64(size)
				if n.Size != int64(size) || n.Sums != cloud.SumsOf([]byte(body)) {
					h.Errorf("file of %d bytes: got size %d, sums %v", size, n.Size, n.Sums)
				}
				if got := h.read(n.ID); got != body {
					h.Errorf("content of %d bytes: got %d others", size, len(got))
				}
				// A file shrinks and grows under its name.
				h.file(h.root, "varying", body)
				if n, err := h.Lookup(h.ctx, h.space, "", "varying"); err != nil || h.read(n.ID) != body {
					h.Errorf("content written over with %d bytes: got others, %v", size, err)
				}
			}
		}
		n, err := h.Lookup(h.ctx, h.space, "", "varying")
		if err != nil {
			h.Fatalf("Lookup: got %v", err)
		}
		if root := h.node(h.root); root.Size != sum+n.Size {
			h.Errorf("size of the root: got %d, want %d", root.Size, sum+n.Size)
		}
	}},

	{"Open", func(h *house) {
		f := h.file(h.root, "f", "content")
		c, n, err := h.Open(h.ctx, h.space, f.ID)
		if err != nil {
			h.Fatalf("Open: got %v", err)
		}
		h.same("opened node", n, h.node(f.ID))
		if err := c.Close(); err != nil {
			h.Errorf("Close: got %v", err)
		}
		_, _, err = h.Open(h.ctx, h.space, h.root)
		h.kind("Open of a directory", err, cloud.Invalid)
		empty := h.file(h.root, "empty", "")
		if got := h.read(empty.ID); got != "" {
			h.Errorf("empty file: got %q", got)
		}
	}},

	{"OpenSurvives", func(h *house) {
		for _, size := range []int{100, 200_000} {
			old, renewed := long(size), "new content"
			for what, act := range map[string]func(cloud.NodeID){
				"replaced":       func(cloud.NodeID) { h.file(h.root, "f", renewed) },
				"kept":           func(cloud.NodeID) { h.keep(h.root, "f", renewed) },
				"moved":          func(id cloud.NodeID) { h.move(id, h.root, "g") },
				"trashed":        func(id cloud.NodeID) { h.trash(id) },
				"dropped":        func(id cloud.NodeID) { h.drop(id) },
				"replaced twice": func(cloud.NodeID) { h.file(h.root, "f", renewed); h.file(h.root, "f", old+"!") },
			} {
				f := h.file(h.root, "f", old)
				c, n, err := h.Open(h.ctx, h.space, f.ID)
				if err != nil {
					h.Fatalf("Open: got %v", err)
				}
				half := make([]byte, size/2)
				if _, err := io.ReadFull(c, half); err != nil {
					h.Fatalf("read: got %v", err)
				}
				act(f.ID)
				rest, err := io.ReadAll(c)
				if err != nil || string(half)+string(rest) != old {
					h.Errorf("%d bytes, open while %s: got another content, %v", size, what, err)
				}
				if _, err := c.Seek(0, io.SeekStart); err != nil {
					h.Errorf("Seek while %s: got %v", what, err)
				}
				if again, err := io.ReadAll(c); err != nil || string(again) != old {
					h.Errorf("%d bytes, read again while %s: got another content, %v", size, what, err)
				}
				if n.ETag != f.ETag || n.Sums != f.Sums {
					h.Errorf("opened node: got ETag %q, want %q", n.ETag, f.ETag)
				}
				if err := c.Close(); err != nil {
					h.Errorf("Close: got %v", err)
				}
				for _, left := range h.list(h.root) {
					h.drop(left.ID)
				}
			}
		}
	}},
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// contents is what the versions of a file hold, newest first.
func (h *house) contents(file cloud.NodeID) []string {
	h.Helper()
	all := []string{}
	for _, v := range h.list(cloud.VersionsOf(file)) {
		all = append(all, h.read(v.ID))
	}
	return all
}

var versionTales = []tale{
	{"Versions", func(h *house) {
		w := h.content(h.root, "f", "one")
		w.Keep, w.MTime = true, when(2001) // of a new file there is nothing to keep
		f := h.write(w)
		if v := h.list(cloud.VersionsOf(f.ID)); len(v) != 0 {
			h.Errorf("versions of a new file: got %d", len(v))
		}
		for i, body := range []string{"two", "three", "four"} {
			w := h.content(h.root, "f", body)
			w.Keep, w.MTime = true, when(2002+i)
			if n := h.write(w); n.ID != f.ID {
				h.Errorf("id after a write: got %s, want %s", n.ID, f.ID)
			}
		}
		h.file(h.root, "f", "five") // four is not kept
		h.same("versions", h.contents(f.ID), []string{"three", "two", "one"})
		keys := map[string]bool{}
		for i, v := range h.list(cloud.VersionsOf(f.ID)) {
			body := []string{"three", "two", "one"}[i]
			keys[v.Name] = true
			h.same("version", v, &cloud.Node{ID: cloud.Version(f.ID, v.Name), Space: h.space, Parent: cloud.VersionsOf(f.ID), Name: v.Name, Path: v.Path,
				Size: int64(len(body)), MTime: when(2003 - i), ETag: v.ETag, Sums: cloud.SumsOf([]byte(body))})
			if err := cloud.CheckName(v.Name); err != nil {
				h.Errorf("key %q: got %v, want one that can be a name", v.Name, err)
			}
			h.same("Node of the version", h.node(v.ID), v)
			c, n, err := h.Open(h.ctx, h.space, v.ID)
			if err != nil {
				h.Fatalf("Open of a version: got %v", err)
			}
			h.same("opened version", n, v)
			c.Close()
		}
		if len(keys) != 3 {
			h.Errorf("keys: got %v, want three different ones", keys)
		}
		if n := h.node(h.root); n.Size != 4 {
			h.Errorf("size of the root: got %d, want 4: versions do not count", n.Size)
		}
		_, err := h.Node(h.ctx, h.space, cloud.Version(f.ID, "nonsense"))
		h.kind("Node of a version that is not", err, cloud.NotExist)
		_, _, err = h.Open(h.ctx, h.space, cloud.Version(f.ID, "../../x"))
		h.kind("Open of a version that is not", err, cloud.NotExist)
	}},

	{"VersionsMany", func(h *house) {
		// As fast as it goes: keys must differ and keep the order.
		f := h.file(h.root, "f", "0")
		var want []string
		for i := range 40 {
			h.keep(h.root, "f", fmt.Sprint(i+1))
			want = append(want, fmt.Sprint(i))
		}
		slices.Reverse(want)
		h.same("versions", h.contents(f.ID), want)
	}},

	{"VersionDropped", func(h *house) {
		f := h.file(h.root, "f", "one")
		h.keep(h.root, "f", "two")
		h.keep(h.root, "f", "three")
		v := h.list(cloud.VersionsOf(f.ID))
		if tags := h.changed(func() { h.drop(v[0].ID) }); len(tags) != 0 {
			h.Errorf("ETags that dropping a version changed: got %q, want none", tags)
		}
		h.same("versions left", h.contents(f.ID), []string{"one"})
		_, err := h.Node(h.ctx, h.space, v[0].ID)
		h.kind("Node of a dropped version", err, cloud.NotExist)
		h.kind("Drop of a dropped version", h.Drop(h.ctx, h.space, v[0].ID), cloud.NotExist)
		if got := h.read(f.ID); got != "three" {
			h.Errorf("content: got %q", got)
		}
		h.drop(v[1].ID)
		h.same("versions left", h.contents(f.ID), []string{})
	}},

	{"VersionFiled", func(h *house) {
		// As a move across spaces does it: every key as it was, in any order.
		f := h.file(h.root, "f", "one")
		for i, body := range []string{"two", "three", "four"} {
			w := h.content(h.root, "f", body)
			w.Keep, w.MTime = true, when(2001+i)
			h.write(w)
		}
		old := h.list(cloud.VersionsOf(f.ID))
		to := h.another()
		d := to.dir(to.root, "d")
		g := to.file(d.ID, "g", "four")
		tags := to.changed(func() {
			for _, i := range []int{1, 0, 2} {
				w := to.content(cloud.VersionsOf(g.ID), old[i].Name, h.read(old[i].ID))
				w.MTime, w.Fresh = old[i].MTime, true
				n, made, err := to.Write(h.ctx, w)
				if err != nil || !made {
					h.Fatalf("Write of a version: got made %v, %v", made, err)
				}
				h.same("filed version", n, &cloud.Node{ID: cloud.Version(g.ID, old[i].Name), Space: to.space, Parent: cloud.VersionsOf(g.ID),
					Name: old[i].Name, Path: n.Path, Size: old[i].Size, MTime: old[i].MTime, ETag: n.ETag, Sums: old[i].Sums})
			}
		})
		if len(tags) != 0 {
			h.Errorf("ETags that filing versions changed: got %q, want none", tags)
		}
		h.same("versions", to.contents(g.ID), []string{"three", "two", "one"})
		if got := to.read(g.ID); got != "four" {
			h.Errorf("content: got %q", got)
		}
		_, _, err := to.Write(h.ctx, func() cloud.Write {
			w := to.content(cloud.VersionsOf(g.ID), old[0].Name, "x")
			w.Fresh = true
			return w
		}())
		h.kind("Write of a version whose key is taken", err, cloud.Exist)
		to.keep(d.ID, "g", "five")
		h.same("versions after a write", to.contents(g.ID), []string{"four", "three", "two", "one"})
		for _, key := range []string{"..", "../x", "a/b", ""} {
			if _, _, err := to.Write(h.ctx, to.content(cloud.VersionsOf(g.ID), key, "x")); err == nil {
				h.Errorf("Write of a version with the key %q: got no error", key)
			}
		}
	}},

	{"VersionsApart", func(h *house) {
		// What happens to a file later does not reach into its versions.
		f := h.file(h.root, "f", "one")
		h.edit(f.ID, func(n *cloud.Node) {
			n.Attrs = map[string]string{"k": "v"}
			n.Locks = []cloud.Lock{{Token: "urn:uuid:x", Expires: when(2040)}}
			n.Grants = []cloud.Grant{{To: cloud.Subject{User: "u"}, Rights: cloud.CanRead}}
		})
		h.keep(h.root, "f", "two")
		v := h.list(cloud.VersionsOf(f.ID))
		if n := h.node(v[0].ID); n.Traits != 0 || len(n.Attrs)+len(n.Locks)+len(n.Grants) != 0 {
			h.Errorf("version: got traits %v, want none", n.Traits)
		}
		h.file(h.root, "f", "three")
		h.edit(f.ID, func(n *cloud.Node) { n.MTime = when(2005) })
		h.move(f.ID, h.root, "g")
		h.same("versions later", h.list(cloud.VersionsOf(f.ID)), v)
		// A new file under the old name is another file.
		f2 := h.keep(h.root, "f", "new")
		if got := h.contents(f2.ID); len(got) != 0 {
			h.Errorf("versions of a new file: got %q", got)
		}
	}},
}
