package posix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"opencloud/cloud"
	"opencloud/storage/journal"
)

// redo is what recovery needs beside the record, in the private part of an
// entry.
type redo struct {
	From string  `json:"from,omitempty"` // where the content of a file came from: see fromBody
	Keep string  `json:"keep,omitempty"` // key of the version that the old content became
	Was  content `json:"was,omitzero"`   // the content before
	Note string  `json:"note,omitempty"` // what there is to know beyond the record: see noteUpload

	Space cloud.SpaceID `json:"space,omitempty"` // of an entry without a record

	State  cloud.State    `json:"state,omitempty"`
	Dated  bool           `json:"dated,omitempty"` // of Edited: the mtime was set
	Rare   *rareEdit      `json:"rare,omitempty"`
	Bin    *cloud.Bin     `json:"bin,omitempty"` // of Trashed
	Upload cloud.UploadID `json:"upload,omitempty"`
}

// What redo.From says. Otherwise it is the path of a synced file in .oc.
const (
	fromBody    = "body"    // it is the entry's body
	fromOutside = "outside" // a person put it there: it is what it is
)

// What redo.Note says.
const (
	noteUpload = "upload" // begun; the body is the upload
	noteCancel = "cancel" // upload dropped
	noteMoved  = "moved"  // a person moved it
)

// content tells one content of a file from another.
type content struct {
	Size  int64      `json:"size,omitempty"`
	MTime time.Time  `json:"mtime,omitzero"`
	Sums  cloud.Sums `json:"sums,omitzero"`
}

// A change is a mutation on its way through the journal into the tree.
type change struct {
	sp     *space
	record cloud.Record // without a kind: nobody is told
	redo   redo
	more   []part // of the same change
	quiet  int    // how many of more, at the end, are not to show in an ETag
	body   any    // []byte, or what goes into the entry as JSON

	// apply changes the tree; what it has done so far is undone by itself
	// when it fails. c is the cursor of the record.
	apply func(c cloud.Cursor) error
	// restore takes back a part of apply, for what comes after that part.
	restore func() error
	// done changes the memory. It is called in the order of the journal and
	// must not wait for anything. c is the cursor of the last record that counts.
	done func(c cloud.Cursor)
}

// A part is one record of several in a change.
type part struct {
	record cloud.Record
	redo   redo
}

// commit makes a change durable and carries it out. The caller holds the
// locks that keep everybody else away.
func (s *Store) commit(c *change) error {
	first, err := encodeEntry(c.sp, &c.record, &c.redo, c.body)
	entries := append(make([]journal.Entry, 0, 4), first)
	for i := 0; i < len(c.more) && err == nil; i++ {
		var e journal.Entry
		e, err = encodeEntry(c.sp, &c.more[i].record, &c.more[i].redo, nil)
		entries = append(entries, e)
	}
	if err != nil {
		return err
	}
	t, err := s.journal.Append(entries...)
	if err != nil {
		return err
	}
	last := t.First() + cloud.Cursor(len(c.more)-c.quiet)
	done := false
	defer func() {
		if !done { // apply has failed, or it panics
			if err := t.Undo(); err != nil {
				s.log.Error("a change that failed cannot be struck from the journal and may come back at the next start",
					"space", c.sp.id, "node", c.record.Node, "err", err)
			}
		}
		s.arm()
	}()
	s.at("appended")
	if err := c.apply(t.First()); err != nil {
		return err
	}
	s.at("applied")
	done = true
	end := t.First() + cloud.Cursor(len(c.more))
	t.Done(func() {
		s.hear(c.sp.id, end)
		if c.done != nil {
			c.done(last)
		}
	})
	s.at("confirmed")
	return nil
}

func encodeEntry(sp *space, r *cloud.Record, rd *redo, body any) (e journal.Entry, err error) {
	if r.Kind != "" {
		if e.Head, err = json.Marshal(r); err != nil {
			return e, err
		}
	} else {
		rd.Space = sp.id
	}
	if e.Redo, err = json.Marshal(rd); err != nil {
		return e, err
	}
	switch b := body.(type) {
	case nil:
	case []byte:
		e.Body = b
	default:
		e.Body, err = json.Marshal(b)
	}
	return e, err
}

// decodeEntry is the reverse of encodeEntry.
func decodeEntry(it journal.Item) (r cloud.Record, rd redo, err error) {
	if len(it.Head) > 0 {
		if err := json.Unmarshal(it.Head, &r); err != nil {
			return r, rd, fmt.Errorf("entry %d: %w", it.Cursor, err)
		}
	}
	if len(it.Redo) > 0 {
		if err := json.Unmarshal(it.Redo, &rd); err != nil {
			return r, rd, fmt.Errorf("entry %d: %w", it.Cursor, err)
		}
	}
	r.Seq = it.Cursor
	if r.Kind == "" {
		r.Space = rd.Space
	}
	return r, rd, nil
}

// record tells of a node as it is now, on behalf of the caller.
func (sp *space) record(ctx context.Context, kind cloud.Event, n *cloud.Node) cloud.Record {
	c := cloud.CallerFrom(ctx)
	return cloud.Record{Space: sp.id, Kind: kind, By: c.ID(), Via: c.Via(), For: c.Initiator, At: now(),
		Node: n.ID, Parent: n.Parent, Name: n.Name, Dir: n.Dir, Size: n.Size, MTime: n.MTime, Sums: n.Sums}
}

// current tells whether a directory is the one in memory. It stays so while
// the caller holds tree.
func (sp *space) current(d *dir) bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return !sp.gone && (d == sp.root || d == sp.bin || sp.dirs[d.id] == d)
}

// share is taken by whoever changes something in a space.
func (sp *space) share() (unlock func(), err error) {
	sp.tree.RLock()
	if sp.gone {
		sp.tree.RUnlock()
		return nil, cloud.NotExist
	}
	return sp.tree.RUnlock, nil
}

// seize is taken by whoever changes the place of a directory.
func (sp *space) seize() (unlock func(), err error) {
	sp.tree.Lock()
	if sp.gone {
		sp.tree.Unlock()
		return nil, cloud.NotExist
	}
	return sp.tree.Unlock, nil
}

// missing tells whether there is no such thing.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, cloud.NotExist)
}
