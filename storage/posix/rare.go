package posix

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"time"

	"opencloud/cloud"
	"opencloud/storage"
)

// rare is what few nodes have. It is in files of its own, so that the list of
// those files is the list of the nodes.
type rare struct {
	grants []cloud.Grant
	locks  []cloud.Lock
	attrs  map[string]string
}

// rareFolders are the folders in .oc, in the order of the bits of Traits.
var rareFolders = [...]string{"grants", "locks", "attrs"}

// part is where one of the three is kept.
func (r *rare) part(i int) any {
	return [...]any{&r.grants, &r.locks, &r.attrs}[i]
}

func (r *rare) traits() (t cloud.Traits) {
	if len(r.grants) > 0 {
		t |= cloud.HasGrants
	}
	if len(r.locks) > 0 {
		t |= cloud.HasLocks
	}
	if len(r.attrs) > 0 {
		t |= cloud.HasAttrs
	}
	return t
}

// rareEdit says what becomes of the three: nothing where it is nil, and it
// goes where it is null.
type rareEdit [3]json.RawMessage

// MarshalJSON tells nil from null, which an array would not.
func (e *rareEdit) MarshalJSON() ([]byte, error) {
	set := map[string]json.RawMessage{}
	for i, b := range e {
		if b != nil {
			set[rareFolders[i]] = b
		}
	}
	return json.Marshal(set)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *rareEdit) UnmarshalJSON(b []byte) error {
	var set map[string]json.RawMessage
	if err := json.Unmarshal(b, &set); err != nil {
		return err
	}
	for i, folder := range rareFolders {
		e[i] = set[folder]
	}
	return nil
}

// edit sets the given traits to what r has.
func (r *rare) edit(t cloud.Traits) *rareEdit {
	var e rareEdit
	has := r.traits()
	for i := range e {
		switch bit := cloud.Traits(1) << i; {
		case t&bit == 0:
		case has&bit == 0:
			e[i] = json.RawMessage("null")
		default:
			e[i], _ = json.Marshal(r.part(i)) // strings, numbers and times
		}
	}
	return &e
}

func rareName(id cloud.UUID) string { return id.String() + ".json" }

// writeRare brings the files of a node up.
func (sp *space) writeRare(id cloud.UUID, e *rareEdit) error {
	for i, b := range e {
		if b == nil {
			continue
		}
		remove := string(b) == "null"
		d, err := sp.inner(rareFolders[i], !remove)
		if remove && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if remove {
			if err = d.Remove(rareName(id)); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		} else {
			err = sp.replace(d, rareName(id), b, false)
		}
		d.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// readRare reads what a node has of the three.
func (sp *space) readRare(id cloud.UUID, t cloud.Traits) (*rare, error) {
	r := &rare{}
	for i, folder := range rareFolders {
		if t&(1<<i) == 0 {
			continue
		}
		d, err := sp.inner(folder, false)
		if err == nil {
			var b []byte
			if b, err = readFile(d, rareName(id)); err == nil {
				err = json.Unmarshal(b, r.part(i))
			}
			d.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return r, nil
}

// dropRare removes the files of a node that is no more.
func (sp *space) dropRare(id cloud.UUID, t cloud.Traits) error {
	if t == 0 {
		return nil
	}
	return sp.writeRare(id, new(rare).edit(t))
}

// give puts the three into a node.
func (r *rare) give(n *cloud.Node) {
	n.Grants, n.Locks, n.Attrs = r.grants, r.locks, r.attrs
}

// take takes them out of a node, for keeps. What is empty is nil.
func take(n *cloud.Node) *rare {
	r := &rare{grants: storage.CloneGrants(n.Grants)}
	if len(n.Locks) > 0 {
		r.locks = slices.Clone(n.Locks)
	}
	if len(n.Attrs) > 0 {
		r.attrs = maps.Clone(n.Attrs)
	}
	for i := range r.locks {
		r.locks[i].Node, r.locks[i].Path = "", ""
	}
	return r
}

// changed says which of the three differ.
func (r *rare) changed(o *rare) (t cloud.Traits) {
	if !storage.SameGrants(r.grants, o.grants) {
		t |= cloud.HasGrants
	}
	if !slices.EqualFunc(r.locks, o.locks, sameLock) {
		t |= cloud.HasLocks
	}
	if !maps.Equal(r.attrs, o.attrs) {
		t |= cloud.HasAttrs
	}
	return t
}

func sameLock(a, b cloud.Lock) bool {
	same := a.Expires.Equal(b.Expires)
	a.Expires, b.Expires = time.Time{}, time.Time{}
	return same && a == b
}
