// Package model knows what a server has acknowledged and, for requests that it
// did not live to answer, in which states they may have left things. It drives
// a server over HTTP with a mixed load by several clients and afterwards
// compares what is there with what must be. It is no part of the server and
// knows nothing of how one works inside.
package model

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// Content is what a file holds. It is made anew from its seed when needed.
type Content struct {
	Seed uint64
	Size int64
	SHA1 string
}

// NewContent is of a size and unlike that of any other seed.
func NewContent(seed uint64, size int64) Content {
	c := Content{Seed: seed, Size: size}
	sum := sha1.Sum(c.Bytes())
	c.SHA1 = hex.EncodeToString(sum[:])
	return c
}

func (c Content) Bytes() []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], c.Seed)
	b := make([]byte, c.Size)
	rand.NewChaCha8(key).Read(b)
	return b
}

// A Node is a file or a folder as it must be. Nodes are never changed, only
// replaced by others.
type Node struct {
	Dir      bool
	ID       string // empty: not known yet
	Content  Content
	MTime    int64  // seconds; 0: not known
	ETag     string // empty: any
	Not      string // an ETag that clients knew before it changed: it must not come back
	Note     string // a dead property
	Lock     string // its token; "?": not known
	Versions []Content
}

// A Bin is an entry of the trash.
type Bin struct {
	Path  string           // where it was
	Nodes map[string]*Node // by path below it, itself being ""
}

// An Upload is under way.
type Upload struct {
	Path    string
	Content Content
	MTime   int64
	Lo, Hi  int64 // how far it may be
}

// A State is all that one client is responsible for. States are never
// changed: each operation makes a new one.
type State struct {
	Nodes   map[string]*Node // by path from the root of the space
	Bin     map[string]*Bin  // by id
	Uploads map[string]*Upload
	// Maybe are paths of a copy that was cut short: each may be missing, or
	// lack its property, but is whole if it is there.
	Maybe map[string]bool
}

func (s *State) edit() *State {
	return &State{maps.Clone(s.Nodes), maps.Clone(s.Bin), maps.Clone(s.Uploads), maps.Clone(s.Maybe)}
}

// with alters one node of a State that is being made.
func (s *State) with(path string, fn func(*Node)) {
	n := *s.Nodes[path]
	fn(&n)
	s.Nodes[path] = &n
}

func above(path string) (dirs []string) {
	for {
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return dirs
		}
		path = path[:i]
		dirs = append(dirs, path)
	}
}

// touch says that something below these folders has changed.
func (s *State) touch(paths ...string) *State {
	for _, p := range paths {
		for _, dir := range above(p) {
			if s.Nodes[dir] != nil {
				s.with(dir, func(n *Node) {
					if n.ETag != "" {
						n.Not, n.ETag = n.ETag, ""
					}
				})
			}
		}
	}
	return s
}

// loose is the same state, but something was about to change at these
// paths: the ETags above may have done so already.
func (s *State) loose(paths ...string) *State {
	t := s.edit()
	for _, p := range paths {
		for _, dir := range above(p) {
			if t.Nodes[dir] != nil {
				t.with(dir, func(n *Node) { n.Not, n.ETag = "", "" })
			}
		}
	}
	return t
}

// subtree are the paths of a node and of all below it.
func (s *State) subtree(path string) (paths []string) {
	for p := range s.Nodes {
		if p == path || strings.HasPrefix(p, path+"/") {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}

func (s *State) lockedBelow(path string) bool {
	return slices.ContainsFunc(s.subtree(path), func(p string) bool { return s.Nodes[p].Lock != "" })
}

func (s *State) put(path string, c Content, mtime int64, id, etag string) *State {
	t := s.edit().touch(path)
	n := &Node{}
	if old := s.Nodes[path]; old != nil {
		*n = *old
		n.Versions = append(slices.Clip(old.Versions), old.Content)
		n.Not = ""
		if c.SHA1 != old.Content.SHA1 {
			n.Not = old.ETag
		}
	}
	n.Content, n.MTime, n.ETag = c, mtime, etag
	if id != "" {
		n.ID = id
	}
	t.Nodes[path] = n
	return t
}

func (s *State) mkdir(path, id string) *State {
	t := s.edit().touch(path)
	t.Nodes[path] = &Node{Dir: true, ID: id}
	return t
}

func (s *State) move(from, to string) *State {
	t := s.edit()
	for _, p := range s.subtree(from) {
		n := *s.Nodes[p]
		n.ETag, n.Not = "", ""
		delete(t.Nodes, p)
		t.Nodes[to+p[len(from):]] = &n
	}
	return t.touch(from, to)
}

// copied are the nodes that a copy makes.
func (s *State) copied(from, to string) map[string]*Node {
	made := map[string]*Node{}
	for _, p := range s.subtree(from) {
		n := s.Nodes[p]
		made[to+p[len(from):]] = &Node{Dir: n.Dir, Content: n.Content, MTime: n.MTime, Note: n.Note}
	}
	return made
}

func (s *State) copyTo(from, to, id string) *State {
	t := s.edit().touch(to)
	maps.Copy(t.Nodes, s.copied(from, to))
	t.Nodes[to].ID = id
	return t
}

// copying is the state in the middle of a copy.
func (s *State) copying(from, to string) *State {
	t := s.loose(to)
	if t.Maybe == nil {
		t.Maybe = map[string]bool{}
	}
	for p, n := range s.copied(from, to) {
		t.Nodes[p] = n
		t.Maybe[p] = true
	}
	return t
}

func (s *State) trash(path string) *State {
	t := s.edit().touch(path)
	b := &Bin{Path: path, Nodes: map[string]*Node{}}
	for _, p := range s.subtree(path) {
		n := *s.Nodes[p]
		n.ETag, n.Not, n.Lock = "", "", ""
		b.Nodes[strings.TrimPrefix(p[len(path):], "/")] = &n
		delete(t.Nodes, p)
	}
	t.Bin[b.Nodes[""].ID] = b
	return t
}

func (s *State) restore(id, to string) *State {
	t := s.edit()
	for rel, n := range s.Bin[id].Nodes {
		t.Nodes[strings.TrimSuffix(to+"/"+rel, "/")] = n
	}
	delete(t.Bin, id)
	return t.touch(to)
}

func (s *State) purge(id string) *State {
	t := s.edit()
	delete(t.Bin, id)
	return t
}

func (s *State) note(path, note string) *State {
	t := s.loose(path)
	t.with(path, func(n *Node) { n.Note, n.ETag, n.Not = note, "", "" })
	return t
}

func (s *State) lock(path, token string) *State {
	t := s.edit()
	t.with(path, func(n *Node) { n.Lock = token })
	return t
}

func (s *State) upload(url string, u *Upload) *State {
	t := s.edit()
	if u == nil {
		delete(t.Uploads, url)
	} else {
		t.Uploads[url] = u
	}
	return t
}

// A World is a space on a server and the clients that work in it. Each has a
// folder of its own, and the folder "shared" is full of names of all.
type World struct {
	Clients []*Client
	// Position, if set, tells where in time things happen, on any scale that
	// grows: clients then remember all they did, for Before.
	Position func() int
	// Ignore is a path at and below which anything may be.
	Ignore string

	space string       // id
	quiet sync.RWMutex // held by who looks something up, shared by who alters something

	mu       sync.Mutex
	verified map[*Node]bool // whose content was read
	reads    int
}

// Shared is the folder for all.
const Shared = "shared"

// NewWorld makes clients and, on the server, the folders they begin with.
func NewWorld(ctx context.Context, srv *Server, seed uint64, clients int) (*World, error) {
	w := &World{verified: map[*Node]bool{}}
	var err error
	if w.space, err = srv.home(ctx); err != nil {
		return nil, err
	}
	folders := []string{Shared}
	for i := range clients {
		c := &Client{
			world: w,
			name:  fmt.Sprint("c", i),
			rnd:   rand.New(rand.NewPCG(seed, uint64(i))),
			now:   &State{map[string]*Node{}, map[string]*Bin{}, map[string]*Upload{}, nil},
		}
		c.now.Nodes[c.name] = &Node{Dir: true}
		c.now.Nodes[c.name+"/up"] = &Node{Dir: true}
		w.Clients = append(w.Clients, c)
		folders = append(folders, c.name, c.name+"/up")
	}
	for _, dir := range folders {
		if err := srv.expect(ctx, 201, "MKCOL", w.url(dir)); err != nil {
			return nil, err
		}
	}
	return w, w.Resume(ctx, srv)
}

// Before is, for each client, the states in which things may be if nothing
// after a Position has happened: all that was acknowledged until then, and the
// request in flight in any of its states.
func (w *World) Before(at int) (may [][]*State) {
	for _, c := range w.Clients {
		states := []*State{c.past[0].after}
		for _, m := range c.past[1:] {
			if m.sent > at {
				break
			}
			states = m.may
			if m.acked >= 0 && m.acked <= at {
				states = []*State{m.after}
			}
		}
		may = append(may, states)
	}
	return may
}

// Story tells of the last requests before a Position that have to do with a
// name.
func (w *World) Story(at int, name string) string {
	var b strings.Builder
	for _, c := range w.Clients {
		for _, m := range c.past {
			if m.sent <= at && strings.Contains(m.what, escape(name)) {
				fmt.Fprintf(&b, "%d to %d: %s\n", m.sent, m.acked, m.what)
			}
		}
	}
	return b.String()
}

// Acks are the Positions at which something was acknowledged, in order.
func (w *World) Acks() (at []int) {
	for _, c := range w.Clients {
		for _, m := range c.past[1:] {
			if m.acked >= 0 {
				at = append(at, m.acked)
			}
		}
	}
	slices.Sort(at)
	return at
}

// Acked is how many requests were acknowledged so far, by name, and how many
// were answered otherwise and that was put up with, by status.
func (w *World) Acked() map[string]int {
	all := map[string]int{}
	for _, c := range w.Clients {
		for what, n := range c.acked {
			all[what] += n
		}
	}
	return all
}
