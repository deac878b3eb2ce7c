package builtin

import (
	"bytes"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"opencloud/cloud"
)

// A shelf has the things of one kind, in a folder and in memory. There they
// are found by id, by what else only one of them may have, and by what they
// belong to.
type shelf[T any] struct {
	folder
	nature[T]

	mu  sync.RWMutex // guards what follows; the things in it never change
	all index[T]
}

// A nature says what a shelf needs to know of its things.
type nature[T any] struct {
	id    func(*T) string
	keys  func(*T) keys
	names keys              // what the keys are called
	in    func(*T) []string // ids of what it belongs to
	check func(*T) error
	share func(*T) // makes texts that many have one
}

// keys are what only one thing of a kind may have; empty ones do not count.
type keys [2]string

// Which of the keys is what.
const (
	number = iota
	external
)

type index[T any] struct {
	byID  map[cloud.UUID]*kept[T]
	byKey [len(keys{})]map[string]*kept[T]
	in    map[cloud.UUID]map[*kept[T]]struct{}
}

type kept[T any] struct {
	id    cloud.UUID
	thing *T
	file  fileID
}

func newIndex[T any](size int) index[T] {
	x := index[T]{byID: make(map[cloud.UUID]*kept[T], size), in: map[cloud.UUID]map[*kept[T]]struct{}{}}
	for i := range x.byKey {
		x.byKey[i] = map[string]*kept[T]{}
	}
	return x
}

func (s *shelf[T]) uuid(v *T) cloud.UUID { return cloud.UUIDOf(s.id(v)) }

// add and drop keep all ways alike. The caller holds mu.
func (s *shelf[T]) add(x index[T], k *kept[T]) {
	x.byID[k.id] = k
	for i, key := range s.keys(k.thing) {
		if key != "" {
			x.byKey[i][key] = k
		}
	}
	for _, id := range s.in(k.thing) {
		to := cloud.UUIDOf(id)
		if x.in[to] == nil {
			x.in[to] = map[*kept[T]]struct{}{}
		}
		x.in[to][k] = struct{}{}
	}
}

func (s *shelf[T]) drop(k *kept[T]) {
	if k == nil {
		return
	}
	delete(s.all.byID, k.id)
	for i, key := range s.keys(k.thing) {
		delete(s.all.byKey[i], key)
	}
	for _, id := range s.in(k.thing) {
		from := cloud.UUIDOf(id)
		if delete(s.all.in[from], k); len(s.all.in[from]) == 0 {
			delete(s.all.in, from)
		}
	}
}

// taken is the name of a key of v that another thing has.
func (s *shelf[T]) taken(x index[T], v *T) (name, key string) {
	id := s.uuid(v)
	for i, key := range s.keys(v) {
		if has := x.byKey[i][key]; has != nil && has.id != id {
			return s.names[i], key
		}
	}
	return "", ""
}

// reload reads the files that are new or different.
func (s *shelf[T]) reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, err := s.mtime(); err != nil || now == s.stamp.Load() {
		return err
	}
	next := newIndex[T](len(s.all.byID))
	err := scan(&s.folder, func(dir int, name, id string, buf []byte) (*kept[T], error) {
		uuid, ok := cloud.ParseUUID(id)
		if !ok {
			return nil, errors.New("its name is not an id")
		}
		old, was := s.all.byID[uuid], fileID{}
		if old != nil {
			was = old.file
		}
		v := new(T)
		now, same, err := read(dir, name, was, v, buf)
		if err != nil || same {
			return old, err
		}
		if err := checkID(id, s.uuid(v).String()); err != nil {
			return nil, err
		}
		s.share(v)
		return &kept[T]{uuid, v, now}, s.check(v)
	}, func(k *kept[T]) {
		if name, key := s.taken(next, k.thing); name != "" {
			s.log.Error("two files have the same "+name+"; the second one is left out", name, key, "file", s.file(k.id.String()))
			return
		}
		s.add(next, k)
	})
	if err == nil {
		s.all = next
	}
	return err
}

// set writes a thing, which was checked and must not be changed any more. Only
// in locked.
func (s *shelf[T]) set(v *T) error {
	s.mu.RLock()
	name, key := s.taken(s.all, v)
	s.mu.RUnlock()
	if name != "" {
		return cloud.Refuse(cloud.Exist, "The %s %q is already taken.", name, key)
	}
	s.share(v)
	id := s.uuid(v)
	return s.change(func() error {
		file, err := s.write(id.String(), v)
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.drop(s.all.byID[id])
		s.add(s.all, &kept[T]{id, v, file})
		return nil
	})
}

// remove tells whether it was there. Only in locked.
func (s *shelf[T]) remove(id string) (was bool, err error) {
	if s.byID(id) == nil {
		return false, nil
	}
	uuid := cloud.UUIDOf(id)
	return true, s.change(func() error {
		if err := s.unlink(uuid.String()); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.drop(s.all.byID[uuid])
		return nil
	})
}

// byID and byKey are nil if there is none.
func (s *shelf[T]) byID(id string) *T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.all.byID[cloud.UUIDOf(id)]
	if k == nil || s.id(k.thing) != id {
		return nil
	}
	return k.thing
}

func (s *shelf[T]) byKey(i int, key string) *T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.all.byKey[i][key]
	if k == nil {
		return nil
	}
	return k.thing
}

// has is for ids of what others name.
func (s *shelf[T]) has(id string) bool { return s.byID(id) != nil }

// list yields what there is at the start, of one id or all if it is empty, in
// the order of the ids.
func (s *shelf[T]) list(of string) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		var found []*kept[T]
		s.mu.RLock()
		if of == "" {
			found = slices.AppendSeq(make([]*kept[T], 0, len(s.all.byID)), maps.Values(s.all.byID))
		} else {
			in := s.all.in[cloud.UUIDOf(of)]
			found = slices.AppendSeq(make([]*kept[T], 0, len(in)), maps.Keys(in))
		}
		s.mu.RUnlock()
		slices.SortFunc(found, func(a, b *kept[T]) int { return bytes.Compare(a.id[:], b.id[:]) })
		for _, k := range found {
			if !yield(k.thing) {
				return
			}
		}
	}
}
