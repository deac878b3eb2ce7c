package mem

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
)

// An upload is content that no node has yet.
type upload struct {
	says cloud.Upload // Offset is left at zero: it is len(body)
	body []byte
}

func (u *upload) copy() *cloud.Upload {
	c := u.says
	c.How.Tokens = slices.Clone(c.How.Tokens)
	c.Offset = int64(len(u.body))
	return &c
}

// content reads a body that nobody sees.
type content struct{ *bytes.Reader }

func (content) Close() error { return nil }

func (s *Store) Open(_ context.Context, space cloud.SpaceID, id cloud.NodeID) (_ io.ReadSeekCloser, _ *cloud.Node, err error) {
	defer wrap(&err, "Open", space, id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	sp, e, err := s.entry(space, id)
	if err != nil {
		return nil, nil, err
	}
	if e.Dir {
		return nil, nil, cloud.Refuse(cloud.Invalid, "A folder has no content.")
	}
	return content{bytes.NewReader(e.body)}, sp.node(e), nil
}

func (s *Store) Write(ctx context.Context, w cloud.Write) (*cloud.Node, bool, error) {
	fail := func(err error) (*cloud.Node, bool, error) {
		return nil, false, cloud.E("mem.Write", cloud.Ref{Space: w.Space, Node: w.Dir, Path: w.Name}, err)
	}
	var body []byte
	if w.Upload == "" {
		var err error
		if body, err = readBody(w); err != nil {
			return fail(err)
		}
	}

	s.change.Lock()
	defer s.change.Unlock()
	sp, err := s.space(w.Space)
	if err != nil {
		return fail(err)
	}
	fresh := int64(len(body)) // bytes that the store does not hold yet
	if w.Upload != "" {
		u := sp.uploads[w.Upload]
		if u == nil {
			return fail(cloud.NotExist)
		}
		if int64(len(u.body)) != u.says.How.Size {
			return fail(cloud.Refuse(cloud.Invalid, "The upload is not complete."))
		}
		body, fresh = u.body, 0
	}
	size := int64(len(body))
	if err := s.fits(fresh); err != nil {
		return fail(err)
	}
	sums := cloud.SumsOf(body)
	if err := sums.Match(w.Sum); err != nil {
		return fail(err)
	}
	up, old, id, err := sp.slot(w)
	if err != nil {
		return fail(err)
	}
	if w.Check != nil {
		var standing *cloud.Node
		if old != nil {
			standing = sp.node(old)
		}
		if err := w.Check(standing, size); err != nil {
			return nil, false, err
		}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	e, version, kind, grown := old, !up.Dir, cloud.FileWritten, size
	switch {
	case old == nil:
		e, kind = &entry{Node: cloud.Node{ID: id, Name: w.Name}, up: up}, cloud.FileMade
		if version {
			up.file(e)
		} else {
			sp.nodes[id], up.members[w.Name] = e, e
		}
	case w.Keep && !version:
		grown -= e.Size
		e.file(e.asVersion())
	default:
		grown -= e.Size
		s.used -= e.Size
	}
	s.used += fresh
	e.body, e.Size, e.Sums, e.State, e.MTime = body, size, sums, w.State, w.MTime.UTC().Round(0)
	if w.MTime.IsZero() {
		e.MTime = now()
	}
	delete(sp.uploads, w.Upload)
	if version {
		s.log(ctx, sp.record(cloud.VersionFiled, e))
	} else {
		up.touch(s.log(ctx, sp.record(kind, e)), grown)
	}
	return sp.node(e), old == nil, nil
}

// slot is where a Write goes: the directory, or the file whose version it
// is, what stands there, and the id of what will.
func (sp *tree) slot(w cloud.Write) (up, old *entry, id cloud.NodeID, err error) {
	file, key, version := cloud.SplitVersion(w.Dir)
	if version {
		if err := cloud.CheckName(w.Name); err != nil {
			return nil, nil, "", err
		}
		if up = sp.nodes[file]; up == nil || up.Dir || key != "" {
			return nil, nil, "", cloud.Conflict
		}
		id = cloud.Version(file, w.Name)
		old, _ = sp.find(id)
	} else {
		if up, err = sp.place(w.Dir, w.Name); err != nil {
			return nil, nil, "", err
		}
		id, old = w.ID, up.members[w.Name]
	}
	switch {
	case old != nil && (old.Dir || w.Fresh):
		return nil, nil, "", cloud.Exist
	case old != nil:
		id = old.ID
	case id == "":
		id = cloud.NodeID(cloud.NewUUID().String())
	case sp.nodes[id] != nil:
		return nil, nil, "", cloud.Refuse(cloud.Exist, "The id is already in use.")
	}
	return up, old, id, nil
}

// file puts a version among the others.
func (e *entry) file(v *entry) {
	i, _ := slices.BinarySearchFunc(e.versions, v, func(a, b *entry) int { return strings.Compare(b.Name, a.Name) })
	e.versions = slices.Insert(e.versions, i, v)
}

// asVersion is the file's present content under a new key, which sorts
// behind all others.
func (e *entry) asVersion() *entry {
	at := now()
	if len(e.versions) > 0 {
		if last, err := time.Parse(keyLayout, e.versions[0].Name); err == nil && !at.After(last) {
			at = last.Add(1)
		}
	}
	key := at.Format(keyLayout)
	v := &entry{Node: e.Node, up: e, body: e.body}
	v.ID, v.Name = cloud.Version(e.ID, key), key
	v.Grants, v.Locks, v.Attrs, v.Traits, v.Bin = nil, nil, nil, 0, nil
	return v
}

// keyLayout makes keys of versions that sort by time.
const keyLayout = "20060102T150405.000000000Z"

// readBody reads a body that keeps to its size and limit.
func readBody(w cloud.Write) ([]byte, error) {
	if w.Body == nil {
		w.Body = bytes.NewReader(nil)
	}
	r := w.Body
	switch {
	case w.Size >= 0 && (w.Limit == 0 || w.Size <= w.Limit):
		r = io.LimitReader(r, w.Size+1)
	case w.Limit > 0:
		r = io.LimitReader(r, w.Limit+1)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if w.Limit > 0 && int64(len(body)) > w.Limit {
		return nil, cloud.Full
	}
	if w.Size >= 0 && int64(len(body)) != w.Size {
		return nil, cloud.Refuse(cloud.Invalid, "The content is not as long as announced.")
	}
	return body, nil
}

func (s *Store) SetUpload(_ context.Context, u *cloud.Upload) (err error) {
	defer wrap(&err, "SetUpload", u.Dir.Space, u.Dir.Node)
	s.change.Lock()
	defer s.change.Unlock()
	sp, err := s.space(u.Dir.Space)
	if err != nil {
		return err
	}
	if sp.uploads[u.ID] != nil {
		return cloud.Exist
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := *u
	c.How.Tokens = slices.Clone(c.How.Tokens)
	c.Offset, c.Node, c.Made = 0, nil, false
	sp.uploads[u.ID] = &upload{says: c}
	return nil
}

// upload finds one. The caller holds mu or change.
func (s *Store) upload(space cloud.SpaceID, id cloud.UploadID) (*tree, *upload, error) {
	sp, err := s.space(space)
	if err != nil {
		return nil, nil, err
	}
	u := sp.uploads[id]
	if u == nil {
		return nil, nil, cloud.NotExist
	}
	return sp, u, nil
}

func (s *Store) Upload(_ context.Context, space cloud.SpaceID, id cloud.UploadID) (_ *cloud.Upload, err error) {
	defer wrap(&err, "Upload", space, cloud.NodeID(id))
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, u, err := s.upload(space, id)
	if err != nil {
		return nil, err
	}
	return u.copy(), nil
}

func (s *Store) Uploads(_ context.Context, space cloud.SpaceID) iter.Seq2[*cloud.Upload, error] {
	return func(yield func(*cloud.Upload, error) bool) {
		s.mu.RLock()
		sp, err := s.space(space)
		var all []*cloud.Upload
		if err == nil {
			for _, id := range slices.Sorted(maps.Keys(sp.uploads)) {
				all = append(all, sp.uploads[id].copy())
			}
		}
		s.mu.RUnlock()
		if err != nil {
			yield(nil, cloud.E("mem.Uploads", cloud.Ref{Space: space}, err))
			return
		}
		for _, u := range all {
			if !yield(u, nil) {
				return
			}
		}
	}
}

func (s *Store) AppendUpload(ctx context.Context, space cloud.SpaceID, id cloud.UploadID, offset int64, body io.Reader) (next int64, err error) {
	defer wrap(&err, "AppendUpload", space, cloud.NodeID(id))
	now, err := s.Upload(ctx, space, id)
	if err != nil {
		return 0, err
	}
	if offset != now.Offset {
		return now.Offset, cloud.Conflict
	}
	room := now.How.Size - offset
	piece, readErr := io.ReadAll(io.LimitReader(body, room+1))
	switch {
	case int64(len(piece)) > room:
		piece, readErr = nil, cloud.Refuse(cloud.Invalid, "The upload is longer than announced.")
	case errors.Is(readErr, cloud.BadSum):
		piece = nil
	}

	s.change.Lock()
	defer s.change.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	_, u, err := s.upload(space, id)
	if err != nil {
		return 0, err
	}
	end := int64(len(u.body))
	if end != offset {
		return end, cloud.Conflict // somebody else was faster
	}
	if err := s.fits(int64(len(piece))); err != nil {
		return end, err
	}
	u.body = append(u.body, piece...)
	s.used += int64(len(piece))
	return end + int64(len(piece)), readErr
}

func (s *Store) DropUpload(_ context.Context, space cloud.SpaceID, id cloud.UploadID) (err error) {
	defer wrap(&err, "DropUpload", space, cloud.NodeID(id))
	s.change.Lock()
	defer s.change.Unlock()
	sp, u, err := s.upload(space, id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= int64(len(u.body))
	delete(sp.uploads, id)
	return nil
}
