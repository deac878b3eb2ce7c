package model

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	maxNodes = 60 // of one client
	maxBin   = 30
)

// ops is the mixed load: each makes a step or finds nothing to do. One with
// twice the weight comes twice as often.
var ops = []struct {
	weight int
	make   func(*Client) (step, bool)
}{
	{24, (*Client).putNew},
	{16, (*Client).putOver},
	{6, (*Client).putShared},
	{2, (*Client).putLarge},
	{3, (*Client).putRefused},
	{8, (*Client).mkdir},
	{8, (*Client).moveFile},
	{5, (*Client).moveFolder},
	{3, (*Client).moveOver},
	{5, (*Client).copyFile},
	{3, (*Client).copyFolder},
	{3, (*Client).copyOver},
	{8, (*Client).trash},
	{6, (*Client).restore},
	{2, (*Client).purge},
	{5, (*Client).note},
	{4, (*Client).lock},
	{2, (*Client).lockNew},
	{6, (*Client).putLocked},
	{6, (*Client).unlock},
	{4, (*Client).beginUpload},
	{10, (*Client).addToUpload},
}

// next is what a client does now.
func (c *Client) next(ctx context.Context, srv *Server) (step, error) {
	switch {
	case len(c.now.Nodes) > maxNodes:
		if s, ok := c.trash(); ok {
			return s, nil
		}
	case len(c.now.Bin) > maxBin:
		if s, ok := c.purge(); ok {
			return s, nil
		}
	case c.rnd.IntN(50) == 0:
		if s, ok, err := c.revert(ctx, srv); ok || err != nil {
			return s, err
		}
	}
	total := 0
	for _, op := range ops {
		total += op.weight
	}
	n := c.rnd.IntN(total)
	for _, op := range ops {
		if n -= op.weight; n < 0 {
			if s, ok := op.make(c); ok {
				return s, nil
			}
			break
		}
	}
	s, _ := c.putNew()
	return s, nil
}

func (c *Client) pick(from []string) (string, bool) {
	if len(from) == 0 {
		return "", false
	}
	return from[c.rnd.IntN(len(from))], true
}

// paths in their order, so that a seed means the same each time.
func (c *Client) paths(fits func(path string, n *Node) bool) (all []string) {
	for _, p := range slices.Sorted(maps.Keys(c.now.Nodes)) {
		if fits(p, c.now.Nodes[p]) {
			all = append(all, p)
		}
	}
	return all
}

// file is one that nobody has locked.
func (c *Client) file() (string, bool) {
	return c.pick(c.paths(func(_ string, n *Node) bool { return !n.Dir && n.Lock == "" }))
}

// parent is a folder in which to make something.
func (c *Client) parent(depth int) string {
	p, _ := c.pick(c.paths(func(p string, n *Node) bool {
		return n.Dir && p != c.name+"/up" && strings.Count(p, "/") < depth
	}))
	return p
}

// folder is one that may go elsewhere.
func (c *Client) folder() (string, bool) {
	return c.pick(c.paths(func(p string, n *Node) bool {
		return n.Dir && p != c.name && p != c.name+"/up" && !c.now.lockedBelow(p)
	}))
}

var stems = []string{"f", "a b", "ä☂", "50%", "q?#&+", "\u0061\u0301", "\U0001f600", "d.o.t", "it's \"x\""}

// free is a path at which nothing stands.
func (c *Client) free() string {
	dir := c.parent(4)
	for {
		p := dir + "/" + stems[c.rnd.IntN(len(stems))] + strconv.Itoa(c.rnd.IntN(1000))
		if c.now.Nodes[p] == nil {
			return p
		}
	}
}

func (c *Client) content(size int64) Content {
	c.made++
	return NewContent(c.rnd.Uint64()^c.made, size)
}

// size is from 1 byte to 200 KiB, small ones more often, with those near
// limits that somebody may have set.
func (c *Client) size() int64 {
	if c.rnd.IntN(10) == 0 {
		edges := []int64{0, 1, 4095, 4096, 4097, 1<<16 - 1, 1 << 16, 1<<16 + 1, 200 << 10}
		return edges[c.rnd.IntN(len(edges))]
	}
	return int64(math.Exp(c.rnd.Float64() * math.Log(200<<10)))
}

// mtime is none at times.
func (c *Client) mtime() int64 {
	if c.rnd.IntN(4) == 0 {
		return 0
	}
	return 1_400_000_000 + c.rnd.Int64N(300_000_000)
}

func seconds(t int64) string {
	if t == 0 {
		return ""
	}
	return strconv.FormatInt(t, 10)
}

// identity reads what a write answers with.
func identity(h http.Header) (id, etag string) {
	_, id, _ = strings.Cut(h.Get("OC-FileId"), "!")
	return id, strings.Trim(h.Get("ETag"), `"`)
}

// keeps says whether an answer names the id that a node had before.
func keeps(old *Node, id string) error {
	if id == "" {
		return fmt.Errorf("no OC-FileId in the answer")
	}
	if old != nil && old.ID != "" && old.ID != id {
		return fmt.Errorf("OC-FileId is %s, it was %s before", id, old.ID)
	}
	return nil
}

func (c *Client) put(what, path string, size int64) (step, bool) {
	s, old := c.now, c.now.Nodes[path]
	body, mtime := c.content(size), c.mtime()
	for old != nil && body.SHA1 == old.Content.SHA1 { // as empty as before
		size++
		body = c.content(size)
	}
	header := []string{"X-OC-Mtime", seconds(mtime)}
	if c.rnd.IntN(2) == 0 {
		header = append(header, "OC-Checksum", "SHA1:"+body.SHA1)
	}
	if old != nil && old.ETag != "" && c.rnd.IntN(2) == 0 {
		header = append(header, "If-Match", `"`+old.ETag+`"`)
	}
	if old != nil && old.Lock != "" {
		header = append(header, "If", "(<"+old.Lock+">)")
	}
	return step{
		what: what, method: "PUT", url: c.world.url(path), header: header, body: body.Bytes(), want: []int{201, 204},
		done: func(h http.Header, _ []byte) (*State, error) {
			id, etag := identity(h)
			if old != nil && etag == old.ETag {
				return nil, fmt.Errorf("the content is new, the ETag %q is not", etag)
			}
			return s.put(path, body, mtime, id, etag), keeps(old, id)
		},
		lost: []*State{s.loose(path), s.put(path, body, mtime, "", "")},
	}, true
}

func (c *Client) putNew() (step, bool) { return c.put("put", c.free(), c.size()) }

func (c *Client) putOver() (step, bool) {
	p, ok := c.file()
	if !ok {
		return step{}, false
	}
	return c.put("overwrite", p, c.size())
}

func (c *Client) putShared() (step, bool) {
	return c.put("put in shared folder", Shared+"/"+c.name+"-"+strconv.Itoa(c.rnd.IntN(30)), c.size())
}

func (c *Client) putLarge() (step, bool) { return c.put("put 2 MiB", c.free(), 2<<20) }

func (c *Client) putLocked() (step, bool) {
	p, ok := c.pick(c.paths(func(_ string, n *Node) bool { return n.Lock != "" }))
	if !ok {
		return step{}, false
	}
	return c.put("put with lock token", p, c.size())
}

// putRefused must not be taken: it has the wrong checksum, or says that
// nothing must be there.
func (c *Client) putRefused() (step, bool) {
	p, ok := c.file()
	if !ok {
		return step{}, false
	}
	body := c.content(c.size())
	st := step{
		what: "refused put", method: "PUT", url: c.world.url(p), body: body.Bytes(), want: []int{412},
		header: []string{"If-None-Match", "*"},
		done:   func(http.Header, []byte) (*State, error) { return c.now, nil },
		lost:   []*State{c.now},
	}
	if c.rnd.IntN(2) == 0 {
		st.header, st.want = []string{"OC-Checksum", "SHA1:" + strings.Repeat("0", 40)}, []int{400}
	}
	return st, true
}

func (c *Client) mkdir() (step, bool) {
	s, p := c.now, c.free()
	return step{
		what: "mkcol", method: "MKCOL", url: c.world.url(p), want: []int{201},
		done: func(h http.Header, _ []byte) (*State, error) {
			id, _ := identity(h)
			return s.mkdir(p, id), keeps(nil, id)
		},
		lost: []*State{s.loose(p), s.mkdir(p, "")},
	}, true
}

func (c *Client) move(what, from, to string) (step, bool) {
	s := c.now
	if p := to + "/"; strings.HasPrefix(p, from+"/") || strings.Count(p, "/") > 8 {
		return step{}, false
	}
	before := s
	lost := []*State{s.loose(from, to)}
	if s.Nodes[to] != nil {
		before = s.trash(to) // what stands there is thrown away first
		lost = append(lost, before.loose(from, to))
	}
	after := before.move(from, to)
	return step{
		what: what, method: "MOVE", url: c.world.url(from), want: []int{201, 204},
		header: []string{"Destination", c.world.url(to), "Overwrite", "T"},
		done: func(h http.Header, _ []byte) (*State, error) {
			id, _ := identity(h)
			return after, keeps(s.Nodes[from], id)
		},
		lost: append(lost, after),
	}, true
}

func (c *Client) moveFile() (step, bool) {
	from, ok := c.file()
	if !ok {
		return step{}, false
	}
	return c.move("move file", from, c.free())
}

func (c *Client) moveFolder() (step, bool) {
	from, ok := c.folder()
	if !ok {
		return step{}, false
	}
	return c.move("move folder", from, c.free())
}

// over is something that may be replaced by what is at from.
func (c *Client) over(from string) (string, bool) {
	return c.pick(c.paths(func(p string, n *Node) bool {
		return n.ID != "" && strings.HasPrefix(p, c.name+"/") && !strings.HasPrefix(p+"/", c.name+"/up/") && !c.now.lockedBelow(p) &&
			!strings.HasPrefix(from+"/", p+"/") && !strings.HasPrefix(p+"/", from+"/")
	}))
}

func (c *Client) moveOver() (step, bool) {
	from, ok1 := c.file()
	if c.rnd.IntN(2) == 0 {
		from, ok1 = c.folder()
	}
	to, ok2 := c.over(from)
	if !ok1 || !ok2 {
		return step{}, false
	}
	return c.move("move over", from, to)
}

func (c *Client) copy(what, from, to string) (step, bool) {
	s := c.now
	if strings.HasPrefix(to+"/", from+"/") || strings.Count(to, "/") > 8 {
		return step{}, false
	}
	lost := []*State{s.loose(to)}
	before := s
	if s.Nodes[to] != nil {
		before = s.trash(to)
		lost = append(lost, before.loose(to))
	}
	after := before.copyTo(from, to, "")
	return step{
		what: what, method: "COPY", url: c.world.url(from), want: []int{201, 204},
		header: []string{"Destination", c.world.url(to), "Overwrite", "T"},
		done: func(h http.Header, _ []byte) (*State, error) {
			id, _ := identity(h)
			return before.copyTo(from, to, id), keeps(nil, id)
		},
		lost: append(lost, before.copying(from, to), after),
	}, true
}

func (c *Client) copyFile() (step, bool) {
	from, ok := c.file()
	if !ok {
		return step{}, false
	}
	return c.copy("copy file", from, c.free())
}

func (c *Client) copyFolder() (step, bool) {
	from, ok := c.pick(c.paths(func(p string, n *Node) bool {
		return n.Dir && p != c.name && len(c.now.subtree(p)) < 30
	}))
	if !ok {
		return step{}, false
	}
	if to, ok := c.over(from); ok && c.rnd.IntN(3) == 0 {
		return c.copy("copy folder over", from, to)
	}
	return c.copy("copy folder", from, c.free())
}

// copyOver copies a file over a file, which keeps its id and gets a version.
func (c *Client) copyOver() (step, bool) {
	s := c.now
	from, ok1 := c.file()
	to, ok2 := c.file()
	if !ok1 || !ok2 || s.Nodes[from].Content.SHA1 == s.Nodes[to].Content.SHA1 {
		return step{}, false // whether the same was written again cannot be seen
	}
	src, dst := s.Nodes[from], s.Nodes[to]
	half := s.put(to, src.Content, src.MTime, "", "")
	after := half.note(to, src.Note)
	return step{
		what: "copy over", method: "COPY", url: c.world.url(from), want: []int{204},
		header: []string{"Destination", c.world.url(to), "Overwrite", "T"},
		done: func(h http.Header, _ []byte) (*State, error) {
			id, _ := identity(h)
			return after, keeps(dst, id)
		},
		lost: []*State{s.loose(to), half, after},
	}, true
}

func (c *Client) trash() (step, bool) {
	s := c.now
	p, ok := c.pick(c.paths(func(p string, n *Node) bool {
		return n.ID != "" && p != c.name && p != c.name+"/up" && !s.lockedBelow(p)
	}))
	if !ok {
		return step{}, false
	}
	after := s.trash(p)
	return step{
		what: "delete", method: "DELETE", url: c.world.url(p), want: []int{204},
		done: func(http.Header, []byte) (*State, error) { return after, nil },
		lost: []*State{s.loose(p), after},
	}, true
}

func (c *Client) binned() (string, bool) { return c.pick(slices.Sorted(maps.Keys(c.now.Bin))) }

func (c *Client) restore() (step, bool) {
	s := c.now
	id, ok := c.binned()
	if !ok {
		return step{}, false
	}
	// Where it was, or elsewhere when that is taken or gone.
	to := s.Bin[id].Path
	dir := above(to)[0]
	if in := s.Nodes[dir]; s.Nodes[to] != nil || dir != Shared && (in == nil || !in.Dir) {
		to = c.free()
	}
	after := s.restore(id, to)
	return step{
		what: "restore", method: "MOVE", url: c.world.bin() + "/" + url.PathEscape(id), want: []int{201},
		header: []string{"Destination", c.world.url(to), "Overwrite", "F"},
		done: func(h http.Header, _ []byte) (*State, error) {
			got, _ := identity(h)
			return after, keeps(after.Nodes[to], got)
		},
		lost: []*State{s.loose(to), after},
	}, true
}

func (c *Client) purge() (step, bool) {
	s := c.now
	id, ok := c.binned()
	if !ok {
		return step{}, false
	}
	after := s.purge(id)
	return step{
		what: "purge", method: "DELETE", url: c.world.bin() + "/" + url.PathEscape(id), want: []int{204},
		done: func(http.Header, []byte) (*State, error) { return after, nil },
		lost: []*State{s, after},
	}, true
}

func (c *Client) note() (step, bool) {
	s := c.now
	p, ok := c.pick(c.paths(func(p string, n *Node) bool { return p != c.name && n.Lock == "" }))
	if !ok {
		return step{}, false
	}
	note := strings.Repeat(fmt.Sprintf("note %d ", c.rnd.IntN(1e6)), 1+c.rnd.IntN(20))
	after := s.note(p, note)
	return step{
		what: "proppatch", method: "PROPPATCH", url: c.world.url(p), want: []int{207},
		body: []byte(`<d:propertyupdate xmlns:d="DAV:"><d:set><d:prop><n:note xmlns:n="` + noteSpace + `">` + note + `</n:note></d:prop></d:set></d:propertyupdate>`),
		done: func(_ http.Header, body []byte) (*State, error) {
			if !strings.Contains(string(body), " 200 ") {
				return nil, fmt.Errorf("the property was not set:\n%s", body)
			}
			return after, nil
		},
		lost: []*State{s.loose(p), after},
	}, true
}

const lockBody = `<d:lockinfo xmlns:d="DAV:"><d:lockscope><d:exclusive/></d:lockscope><d:locktype><d:write/></d:locktype></d:lockinfo>`

func (c *Client) lockAt(p string) (step, bool) {
	s := c.now
	st := step{
		what: "lock", method: "LOCK", url: c.world.url(p), want: []int{200},
		header: []string{"Timeout", "Second-36000", "Depth", "0"}, body: []byte(lockBody),
		lost: []*State{s},
	}
	if s.Nodes[p] == nil { // then an empty file is made
		st.what, st.want = "lock what is not there", []int{201}
		before := s
		s = s.put(p, NewContent(0, 0), 0, "", "")
		st.lost = []*State{before.loose(p), s}
	}
	st.lost = append(st.lost, s.lock(p, "?"))
	st.done = func(h http.Header, body []byte) (*State, error) {
		token := strings.Trim(h.Get("Lock-Token"), "<>")
		var err error
		if token == "" {
			err = fmt.Errorf("no Lock-Token in the answer")
		}
		return s.lock(p, token), err
	}
	return st, true
}

func (c *Client) lock() (step, bool) {
	p, ok := c.pick(c.paths(func(p string, n *Node) bool {
		return !n.Dir && n.Lock == "" && !strings.HasPrefix(p, c.name+"/up/")
	}))
	if !ok {
		return step{}, false
	}
	return c.lockAt(p)
}

func (c *Client) lockNew() (step, bool) { return c.lockAt(c.free()) }

func (c *Client) unlock() (step, bool) {
	s := c.now
	p, ok := c.pick(c.paths(func(_ string, n *Node) bool { return n.Lock != "" }))
	if !ok {
		return step{}, false
	}
	after := s.lock(p, "")
	return step{
		what: "unlock", method: "UNLOCK", url: c.world.url(p), want: []int{204},
		header: []string{"Lock-Token", "<" + s.Nodes[p].Lock + ">"},
		done:   func(http.Header, []byte) (*State, error) { return after, nil },
		lost:   []*State{s, after},
	}, true
}

func (c *Client) beginUpload() (step, bool) {
	s := c.now
	if len(s.Uploads) >= 3 {
		return step{}, false
	}
	u := &Upload{Path: c.name + "/up/" + strconv.Itoa(c.rnd.IntN(8)), Content: c.content(1 + 3*c.size()), MTime: c.mtime()}
	name := strings.TrimPrefix(u.Path, c.name+"/up/")
	b64 := base64.StdEncoding.EncodeToString
	meta := "filename " + b64([]byte(name)) + ",checksum " + b64([]byte("SHA1 "+u.Content.SHA1))
	if u.MTime != 0 {
		meta += ",mtime " + b64([]byte(seconds(u.MTime)))
	}
	return step{
		what: "begin upload", method: "POST", url: c.world.url(c.name + "/up"), want: []int{201},
		header: []string{"Tus-Resumable", "1.0.0", "Upload-Length", strconv.FormatInt(u.Content.Size, 10), "Upload-Metadata", meta},
		done: func(h http.Header, _ []byte) (*State, error) {
			at, err := url.Parse(h.Get("Location"))
			if err == nil && at.Path == "" {
				err = fmt.Errorf("no Location in the answer")
			}
			if err != nil {
				return nil, err
			}
			return s.upload(at.EscapedPath(), u), nil
		},
		lost: []*State{s},
	}, true
}

func (c *Client) addToUpload() (step, bool) {
	s := c.now
	at, ok := c.pick(slices.Sorted(maps.Keys(s.Uploads)))
	if !ok {
		return step{}, false
	}
	u := *s.Uploads[at]
	n := min(u.Content.Size-u.Lo, 1+c.rnd.Int64N(u.Content.Size))
	piece := u.Content.Bytes()[u.Lo : u.Lo+n]
	st := step{
		what: "add to upload", method: "PATCH", url: at, body: piece, want: []int{204},
		header: []string{"Tus-Resumable", "1.0.0", "Upload-Offset", strconv.FormatInt(u.Lo, 10), "Content-Type", "application/offset+octet-stream"},
	}
	part := u
	part.Hi = u.Lo + n
	if part.Hi < u.Content.Size {
		whole := part
		whole.Lo = part.Hi
		st.done = func(http.Header, []byte) (*State, error) { return s.upload(at, &whole), nil }
		st.lost = []*State{s.upload(at, &part)}
		return st, true
	}
	st.what = "end upload"
	old := s.Nodes[u.Path]
	after := func(id, etag string) *State {
		return s.put(u.Path, u.Content, u.MTime, id, etag).upload(at, nil)
	}
	st.done = func(h http.Header, _ []byte) (*State, error) {
		id, etag := identity(h)
		return after(id, etag), keeps(old, id)
	}
	st.lost = []*State{s.loose(u.Path).upload(at, &part), after("", "")}
	return st, true
}

// revert makes a version the content again. It is the one step that has to
// ask the server first: for the names of the versions.
func (c *Client) revert(ctx context.Context, srv *Server) (step, bool, error) {
	s := c.now
	p, ok := c.pick(c.paths(func(_ string, n *Node) bool { return n.ID != "" && n.Lock == "" && len(n.Versions) > 0 }))
	if !ok {
		return step{}, false, nil
	}
	old := s.Nodes[p]
	keys, _, err := c.world.versions(ctx, srv, old.ID)
	if err != nil || len(keys) != len(old.Versions) {
		return step{}, false, err
	}
	i := c.rnd.IntN(len(keys))
	content := old.Versions[len(keys)-1-i]
	if content.SHA1 == old.Content.SHA1 {
		return step{}, false, nil // whether it was written again cannot be seen
	}
	return step{
		what: "revert", method: "COPY", url: c.world.meta(old.ID) + "/" + url.PathEscape(keys[i]), want: []int{204},
		header: []string{"Destination", c.world.url(p), "Overwrite", "F"},
		done: func(http.Header, []byte) (*State, error) {
			return s.put(p, content, 0, "", ""), nil
		},
		lost: []*State{s.loose(p), s.put(p, content, 0, "", "")},
	}, true, nil
}
