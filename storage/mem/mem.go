// Package mem is a cloud.Store in memory: the fake for every test above the
// storage, and the plainest reading of what a Store promises. It forgets
// everything when it is let go, and it is not meant to be fast.
package mem

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"opencloud/cloud"
	"opencloud/storage"
)

// A Store keeps everything in maps. It is safe for concurrent use.
type Store struct {
	// Capacity is how many bytes fit, versions, bin and uploads included; 0
	// is plenty. Set it before the first use.
	Capacity int64
	// History is how many records the journal holds; 0 is 10,000. Set it
	// before the first use.
	History int

	storage string // the storage's UUID

	// change is held by whoever alters something, from the first look to the
	// last word; mu for the alteration only. So Write.Check and the function
	// of Edit may read the store.
	change sync.Mutex
	mu     sync.RWMutex

	spaces  map[cloud.SpaceID]*tree
	records []cloud.Record
	last    cloud.Cursor
	grown   chan struct{} // closed by the next record; nil: nobody waits
	used    int64         // bytes
}

// A tree is a space with its bin.
type tree struct {
	says    cloud.Space // Root is nil
	root    *entry
	bin     *entry
	nodes   map[cloud.NodeID]*entry // versions are with their files
	uploads map[cloud.UploadID]*upload
}

// New makes an empty store with a UUID of its own.
func New() *Store {
	return &Store{storage: cloud.NewUUID().String(), spaces: map[cloud.SpaceID]*tree{}}
}

// wrap is deferred where the package ends.
func wrap(err *error, op string, s cloud.SpaceID, id cloud.NodeID) {
	*err = cloud.E("mem."+op, cloud.Ref{Space: s, Node: id}, *err)
}

// space finds a space. The caller holds mu or change.
func (s *Store) space(id cloud.SpaceID) (*tree, error) {
	if sp := s.spaces[id]; sp != nil {
		return sp, nil
	}
	return nil, cloud.NotExist
}

func (sp *tree) copy() *cloud.Space {
	c := sp.says
	c.Root = sp.node(sp.root)
	return &c
}

func (s *Store) Spaces(context.Context) iter.Seq2[*cloud.Space, error] {
	return func(yield func(*cloud.Space, error) bool) {
		s.mu.RLock()
		var all []*cloud.Space
		for _, id := range slices.Sorted(maps.Keys(s.spaces)) {
			all = append(all, s.spaces[id].copy())
		}
		s.mu.RUnlock()
		for _, sp := range all {
			if !yield(sp, nil) {
				return
			}
		}
	}
}

func (s *Store) Space(_ context.Context, id cloud.SpaceID) (_ *cloud.Space, err error) {
	defer wrap(&err, "Space", id, "")
	s.mu.RLock()
	defer s.mu.RUnlock()
	sp, err := s.space(id)
	if err != nil {
		return nil, err
	}
	return sp.copy(), nil
}

func (s *Store) NewSpaceID(kind cloud.SpaceKind, owner cloud.UserID) cloud.SpaceID {
	id := cloud.NewUUID()
	if kind == cloud.Personal {
		id = cloud.UUIDOf(string(owner))
	}
	return cloud.SpaceID(s.storage + "$" + id.String())
}

func (s *Store) SetSpace(ctx context.Context, want *cloud.Space) (_ *cloud.Space, err error) {
	defer wrap(&err, "SetSpace", want.ID, "")
	if _, ok := cloud.ParseUUID(string(want.ID.Root())); !ok || want.ID.Storage() != s.storage {
		return nil, cloud.Refuse(cloud.Invalid, "This is not the id of a space.")
	}
	s.change.Lock()
	defer s.change.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	says := *want
	says.Root, says.Free = nil, 0
	sp := s.spaces[want.ID]
	if sp != nil {
		says.Kind = sp.says.Kind
		if says.Made.IsZero() {
			says.Made = sp.says.Made
		}
		kind := cloud.SpaceChanged
		switch was, is := !sp.says.Disabled.IsZero(), !says.Disabled.IsZero(); {
		case is && !was:
			kind = cloud.SpaceDisabled
		case was && !is:
			kind = cloud.SpaceEnabled
		}
		sp.says = says
		s.log(ctx, sp.record(kind, sp.root))
		return sp.copy(), nil
	}
	now := now()
	if says.Made.IsZero() {
		says.Made = now
	}
	sp = &tree{
		says:    says,
		root:    &entry{Node: cloud.Node{ID: want.ID.Root(), Dir: true, MTime: now}, members: map[string]*entry{}},
		bin:     &entry{Node: cloud.Node{ID: cloud.TrashID, Dir: true, MTime: now}, members: map[string]*entry{}},
		uploads: map[cloud.UploadID]*upload{},
	}
	sp.nodes = map[cloud.NodeID]*entry{sp.root.ID: sp.root, sp.bin.ID: sp.bin}
	if want.Root != nil {
		sp.root.Grants = storage.CloneGrants(want.Root.Grants)
		sp.root.traits()
	}
	s.spaces[want.ID] = sp
	sp.root.last = s.log(ctx, sp.record(cloud.SpaceMade, sp.root)).Seq
	return sp.copy(), nil
}

func (s *Store) DropSpace(ctx context.Context, id cloud.SpaceID) (err error) {
	defer wrap(&err, "DropSpace", id, "")
	s.change.Lock()
	defer s.change.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	sp, err := s.space(id)
	if err != nil {
		return err
	}
	s.used -= sp.root.bytes() + sp.bin.bytes()
	for _, u := range sp.uploads {
		s.used -= int64(len(u.body))
	}
	delete(s.spaces, id)
	r := sp.record(cloud.SpaceDropped, sp.root)
	for _, g := range sp.root.Grants {
		if g.Link == nil {
			r.Taken = append(r.Taken, g)
		}
	}
	s.log(ctx, r)
	return nil
}

// Free is what Capacity leaves.
func (s *Store) Free(context.Context) (int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.Capacity == 0 {
		return math.MaxInt64, nil
	}
	return max(0, s.Capacity-s.used), nil
}

// fits says whether n more bytes have room. The caller holds change.
func (s *Store) fits(n int64) error {
	if s.Capacity > 0 && n > s.Capacity-s.used {
		return cloud.Full
	}
	return nil
}

// record tells of an entry as it is now.
func (sp *tree) record(kind cloud.Event, e *entry) cloud.Record {
	return cloud.Record{Space: sp.says.ID, Kind: kind,
		Node: e.ID, Parent: e.parent(), Name: e.Name, Dir: e.Dir, Size: e.Size, MTime: e.MTime, Sums: e.Sums}
}

// log puts a record into the journal and says when and as what. The caller
// holds mu to alter.
func (s *Store) log(ctx context.Context, r cloud.Record) cloud.Record {
	c := cloud.CallerFrom(ctx)
	s.last++
	r.Seq, r.By, r.Via, r.For, r.At = s.last, c.ID(), c.Via(), c.Initiator, now()
	s.records = append(s.records, r)
	if limit := cmp.Or(s.History, 10_000); len(s.records) > limit {
		s.records = s.records[len(s.records)-limit:]
	}
	if s.grown != nil {
		close(s.grown)
		s.grown = nil
	}
	return r
}

func (s *Store) Since(_ context.Context, id cloud.SpaceID, after cloud.Cursor) iter.Seq2[*cloud.Record, error] {
	return func(yield func(*cloud.Record, error) bool) {
		s.mu.RLock()
		// Records are never altered, so the slice may be read without mu.
		records, last := s.records, s.last
		s.mu.RUnlock()
		first := last - cloud.Cursor(len(records)) // the cursor before the oldest record
		if after < first || after > last {
			yield(nil, cloud.E("mem.Since", cloud.Ref{Space: id}, cloud.TooOld))
			return
		}
		records = records[after-first:]
		for i := range records {
			if id != "" && records[i].Space != id {
				continue
			}
			if r := records[i]; !yield(&r, nil) {
				return
			}
		}
	}
}

func (s *Store) Last() cloud.Cursor {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.last
}

func (s *Store) Wait(ctx context.Context, after cloud.Cursor) error {
	for {
		s.mu.Lock()
		if s.last > after {
			s.mu.Unlock()
			return nil
		}
		if s.grown == nil {
			s.grown = make(chan struct{})
		}
		grown := s.grown
		s.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return cloud.E("mem.Wait", cloud.Ref{}, ctx.Err())
		}
	}
}

// Close does nothing: there is nowhere to put anything.
func (s *Store) Close() error { return nil }

func now() time.Time { return time.Now().UTC().Round(0) }
