package model

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Resume compares the server with what must be, after a crash or without one,
// and goes on from what it finds. The clients must not be running.
func (w *World) Resume(ctx context.Context, srv *Server) error {
	states, err := w.Check(ctx, srv, w.possible())
	if err != nil {
		return err
	}
	for i, c := range w.Clients {
		c.resume(states[i])
	}
	return nil
}

func (c *Client) resume(s *State) {
	c.now, c.may = s, nil
	at := c.position()
	c.remember(moment{"all compared", at, at, nil, s})
}

// resumeOne is Resume for one client, of which alone something is not certain.
func (w *World) resumeOne(ctx context.Context, srv *Server, c *Client) error {
	s, err := w.check(ctx, srv, []*Client{c}, [][]*State{c.may})
	if err != nil {
		return err
	}
	c.resume(s[0])
	return nil
}

func (w *World) possible() (may [][]*State) {
	for _, c := range w.Clients {
		states := []*State{c.now}
		if c.may != nil {
			states = c.may
		}
		may = append(may, states)
	}
	return may
}

// Check finds, for each client, which of the states that may be is there. It
// is an error when none is, or when anything at all is there that no client
// has made.
func (w *World) Check(ctx context.Context, srv *Server, may [][]*State) ([]*State, error) {
	return w.check(ctx, srv, w.Clients, may)
}

// Visit is Check of a server with a copy of the world, of which nothing is
// taken for granted: every file is read. Then it changes something there, to
// see that it can be done.
func (w *World) Visit(ctx context.Context, srv *Server, may [][]*State) error {
	w.verified = map[*Node]bool{}
	if _, err := w.Check(ctx, srv, may); err != nil {
		return err
	}
	for _, name := range []string{"after", "all"} {
		if err := srv.expect(ctx, http.StatusCreated, "MKCOL", w.url(name)); err != nil {
			return err
		}
	}
	return srv.expect(ctx, http.StatusCreated, "MOVE", w.url("after"), "Destination", w.url("all/after"))
}

func (w *World) check(ctx context.Context, srv *Server, clients []*Client, may [][]*State) ([]*State, error) {
	for try := 0; ; try++ {
		states, again, err := w.checkOnce(ctx, srv, clients, may)
		if err != nil || !again {
			return states, err
		}
		if try == 2 {
			return nil, fmt.Errorf("uploads that are complete do not become files")
		}
		// Asking for an upload has completed it: look at the files again.
		for i, s := range states {
			may[i] = []*State{s}
		}
	}
}

func (w *World) checkOnce(ctx context.Context, srv *Server, clients []*Client, may [][]*State) (states []*State, again bool, err error) {
	seen, err := w.look(ctx, srv, clients)
	if err != nil {
		return nil, false, err
	}
	bin, err := w.walkBin(ctx, srv)
	if err != nil {
		return nil, false, err
	}
	if err := unique(seen, bin); err != nil {
		return nil, false, err
	}
	if len(clients) == len(w.Clients) {
		if err := w.strangers(seen, bin); err != nil {
			return nil, false, err
		}
	}
	for i, c := range clients {
		s, err := c.find(may[i], seen, bin)
		if err != nil {
			return nil, false, err
		}
		s = s.learn(seen)
		if err := w.read(ctx, srv, s); err != nil {
			return nil, false, fmt.Errorf("client %s: %w", c.name, err)
		}
		s, more, err := w.askUploads(ctx, srv, s)
		if err != nil {
			return nil, false, fmt.Errorf("client %s: %w", c.name, err)
		}
		again = again || more
		states = append(states, s)
	}
	return states, again, nil
}

// look is what there is: of one client, only what is its own.
func (w *World) look(ctx context.Context, srv *Server, clients []*Client) (map[string]*Seen, error) {
	if len(clients) == len(w.Clients) {
		return w.walk(ctx, srv, "")
	}
	all := map[string]*Seen{}
	for _, c := range clients {
		seen, err := w.walk(ctx, srv, c.name)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, seen)
	}
	shared, err := w.list(ctx, srv, Shared)
	for _, n := range shared[min(1, len(shared)):] {
		all[n.path] = n
	}
	return all, err
}

// mine tells whether a path is one of the client's.
func (c *Client) mine(path string) bool {
	return path == c.name || strings.HasPrefix(path, c.name+"/") || strings.HasPrefix(path, Shared+"/"+c.name+"-")
}

// strangers are nobody's.
func (w *World) strangers(seen, bin map[string]*Seen) error {
	known := func(path string) bool {
		return path == "" || path == Shared || w.Ignore != "" && (path == w.Ignore || strings.HasPrefix(path, w.Ignore+"/")) || slices.ContainsFunc(w.Clients, func(c *Client) bool { return c.mine(path) })
	}
	for p := range seen {
		if !known(p) {
			return fmt.Errorf("%q is there, and nobody has made it", p)
		}
	}
	for id, n := range bin {
		if !known(strings.Trim(n.origin, "/")) {
			return fmt.Errorf("%s from %q is in the bin, and nobody has made it", id, n.origin)
		}
	}
	return nil
}

func unique(seen, bin map[string]*Seen) error {
	at := map[string]string{}
	for p, n := range seen {
		if n.ID == "" || n.ETag == "" {
			return fmt.Errorf("%q has no id or no ETag", p)
		}
		if other, twice := at[n.ID]; twice {
			return fmt.Errorf("%q and %q have the same id %s", other, p, n.ID)
		}
		at[n.ID] = p
	}
	for id := range bin {
		if p, twice := at[id]; twice {
			return fmt.Errorf("%s is in the bin and at %q", id, p)
		}
	}
	return nil
}

// find is the state, of those that may be, that is there.
func (c *Client) find(may []*State, seen, bin map[string]*Seen) (*State, error) {
	var least []string
	for i, s := range may {
		bad := c.differences(s, seen, bin)
		if len(bad) == 0 {
			return s, nil
		}
		if i == 0 || len(bad) < len(least) {
			least = bad
		}
	}
	return nil, fmt.Errorf("client %s: none of %d possible states is there; the nearest differs in %d ways:\n%s",
		c.name, len(may), len(least), strings.Join(least[:min(len(least), 20)], "\n"))
}

func (c *Client) differences(s *State, seen, bin map[string]*Seen) (bad []string) {
	add := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	for p, n := range s.Nodes {
		got := seen[p]
		switch {
		case got != nil:
			for _, d := range n.differs(got, s.Maybe[p]) {
				add("%q: %s", p, d)
			}
		case !s.Maybe[p]:
			add("%q: is missing", p)
		}
	}
	for p := range seen {
		if c.mine(p) && s.Nodes[p] == nil {
			add("%q: is there, and must not be", p)
		}
	}
	for id, b := range s.Bin {
		switch got := bin[id]; {
		case got == nil:
			add("%s from %q: is missing in the bin", id, b.Path)
		case strings.Trim(got.origin, "/") != b.Path:
			add("%s: the bin says that it was at %q, it was at %q", id, got.origin, b.Path)
		case got.Dir != b.Nodes[""].Dir:
			add("%s: folder is %t in the bin, want %t", id, got.Dir, b.Nodes[""].Dir)
		}
	}
	for id, n := range bin {
		if p := strings.Trim(n.origin, "/"); c.mine(p) && s.Bin[id] == nil {
			add("%s from %q: is in the bin, and must not be", id, p)
		}
	}
	slices.Sort(bad)
	return bad
}

func (n *Node) differs(got *Seen, maybe bool) (bad []string) {
	add := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if got.Dir != n.Dir {
		add("folder is %t, want %t", got.Dir, n.Dir)
	}
	if n.ID != "" && got.ID != n.ID {
		add("id is %s, want %s", got.ID, n.ID)
	}
	if !n.Dir && (got.Size != n.Content.Size || got.Content.SHA1 != n.Content.SHA1) {
		add("content is %d bytes, SHA1 %s, want %d bytes, %s", got.Size, got.Content.SHA1, n.Content.Size, n.Content.SHA1)
	}
	if !n.Dir && n.MTime != 0 && got.MTime != n.MTime {
		add("mtime is %d, want %d", got.MTime, n.MTime)
	}
	if n.ETag != "" && got.ETag != n.ETag {
		add("nothing has changed, but the ETag is %s, want %s", got.ETag, n.ETag)
	}
	if n.Not != "" && got.ETag == n.Not {
		add("has changed, but the ETag is %s again", got.ETag)
	}
	if got.Note != n.Note && (!maybe || got.Note != "") {
		add("property is %q, want %q", got.Note, n.Note)
	}
	switch {
	case n.Lock == "" && len(got.Locks) > 0:
		add("is locked: %q", got.Locks)
	case n.Lock == "?" && len(got.Locks) != 1, n.Lock != "" && n.Lock != "?" && !slices.Equal(got.Locks, []string{n.Lock}):
		add("locks are %q, want %q", got.Locks, n.Lock)
	}
	return bad
}

// learn fills in what was not known yet and settles what might have been.
func (s *State) learn(seen map[string]*Seen) *State {
	t := s.edit()
	t.Maybe = nil
	for p, n := range s.Nodes {
		got := seen[p]
		if got == nil {
			delete(t.Nodes, p)
			continue
		}
		next := *n
		next.ID, next.ETag, next.Not, next.MTime, next.Note = got.ID, got.ETag, "", got.MTime, got.Note
		if n.Lock != "" {
			next.Lock = got.Locks[0]
		}
		if n.Dir {
			next.MTime = 0
		}
		if next.ID != n.ID || next.ETag != n.ETag || n.Not != "" || next.MTime != n.MTime || next.Note != n.Note || next.Lock != n.Lock {
			t.Nodes[p] = &next
		}
	}
	return t
}

// read reads the content of files and their versions: of those not read since
// they were written, and of one in ten of the others.
func (w *World) read(ctx context.Context, srv *Server, s *State) error {
	for p, n := range s.Nodes {
		w.mu.Lock()
		done := w.verified[n] && w.reads%10 != 0
		w.reads++
		w.mu.Unlock()
		if n.Dir || done {
			continue
		}
		if err := srv.reads(ctx, w.url(p), n.Content, n.ETag); err != nil {
			return fmt.Errorf("%q: %w", p, err)
		}
		if err := w.readVersions(ctx, srv, n); err != nil {
			return fmt.Errorf("%q: %w", p, err)
		}
		w.mu.Lock()
		w.verified[n] = true
		w.mu.Unlock()
	}
	return nil
}

func (w *World) readVersions(ctx context.Context, srv *Server, n *Node) error {
	keys, sizes, err := w.versions(ctx, srv, n.ID)
	if err != nil {
		return err
	}
	var want []int64
	for _, v := range slices.Backward(n.Versions) {
		want = append(want, v.Size)
	}
	if !slices.Equal(sizes, want) {
		return fmt.Errorf("versions have sizes %d, want %d", sizes, want)
	}
	for i, key := range keys {
		if i > 0 && i < len(keys)-1 {
			continue // the newest and the oldest stand for all
		}
		if err := srv.reads(ctx, w.meta(n.ID)+"/"+url.PathEscape(key), n.Versions[len(keys)-1-i], ""); err != nil {
			return fmt.Errorf("version %s: %w", key, err)
		}
	}
	return nil
}

func (s *Server) reads(ctx context.Context, path string, want Content, etag string) error {
	resp, body, err := s.request(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return &refusal{"GET " + path, resp.StatusCode, string(body)}
	}
	sum := sha1.Sum(body)
	if got := hex.EncodeToString(sum[:]); got != want.SHA1 {
		return fmt.Errorf("GET: got %d bytes with SHA1 %s, want %d with %s", len(body), got, want.Size, want.SHA1)
	}
	if got := strings.Trim(resp.Header.Get("ETag"), `"`); etag != "" && got != etag {
		return fmt.Errorf("GET: ETag is %s, in the listing it is %s", got, etag)
	}
	return nil
}

// askUploads asks how far each upload is. One that has all its bytes becomes
// its file by that; then again is true.
func (w *World) askUploads(ctx context.Context, srv *Server, s *State) (_ *State, again bool, err error) {
	for at, u := range s.Uploads {
		resp, body, err := srv.request(ctx, "HEAD", at, nil, "Tus-Resumable", "1.0.0")
		if err != nil {
			return nil, false, err
		}
		if resp.StatusCode != http.StatusOK {
			return nil, false, fmt.Errorf("upload of %q with %d bytes acknowledged: %w", u.Path, u.Lo, &refusal{"HEAD " + at, resp.StatusCode, string(body)})
		}
		off, err := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
		if err != nil || off < u.Lo || off > u.Hi {
			return nil, false, fmt.Errorf("upload of %q is at %q, want %d to %d", u.Path, resp.Header.Get("Upload-Offset"), u.Lo, u.Hi)
		}
		if off == u.Content.Size {
			s, again = s.put(u.Path, u.Content, u.MTime, "", "").upload(at, nil), true
			continue
		}
		next := *u
		next.Lo, next.Hi = off, off
		s = s.upload(at, &next)
	}
	return s, again, nil
}
