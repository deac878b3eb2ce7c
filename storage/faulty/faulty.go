// Package faulty is a cloud.Store that fails on purpose, for tests of what
// stands above one. It wraps any other store and adds nothing but failures.
package faulty

import (
	"context"
	"io"
	"iter"
	"sync/atomic"

	"opencloud/cloud"
)

// A Store passes everything on to another store unless fail says otherwise.
type Store struct {
	inner cloud.Store
	fail  func(op string) error
}

// New wraps a store. fail is asked before every call, with the name of the
// method: an error is returned at once and the call never reaches inner. It
// is also asked before every piece of what streams: "Write.Read" and
// "AppendUpload.Read" before a body is read on, "Open.Read" and "Open.Seek"
// in what was opened, "Children.Next" (and so on) before a node is yielded.
// Those break in the middle. fail may be called by many at once.
//
// NewSpaceID and Last cannot fail.
func New(inner cloud.Store, fail func(op string) error) *Store {
	return &Store{inner, fail}
}

// EveryNth is Unavailable for every nth question, whatever the operation; 0 is never.
func EveryNth(n int) func(op string) error {
	var asked atomic.Int64
	return func(string) error {
		if n > 0 && asked.Add(1)%int64(n) == 0 {
			return cloud.Unavailable
		}
		return nil
	}
}

// try makes one call unless it is to fail.
func try[T any](s *Store, op string, call func() (T, error)) (v T, err error) {
	if err := s.fail(op); err != nil {
		return v, err
	}
	return call()
}

// each passes an iteration on until it is to break.
func each[T any](s *Store, op string, seq iter.Seq2[*T, error]) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		if err := s.fail(op); err != nil {
			yield(nil, err)
			return
		}
		for v, err := range seq {
			if fail := s.fail(op + ".Next"); fail != nil {
				yield(nil, fail)
				return
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

// A body breaks while it is read.
type body struct {
	io.Reader
	s  *Store
	op string
}

func (b body) Read(p []byte) (int, error) {
	if err := b.s.fail(b.op); err != nil {
		return 0, err
	}
	return b.Reader.Read(p)
}

// A content breaks while it is read or sought in.
type content struct {
	io.ReadSeekCloser
	s *Store
}

func (c content) Read(p []byte) (int, error) {
	return try(c.s, "Open.Read", func() (int, error) { return c.ReadSeekCloser.Read(p) })
}

func (c content) Seek(offset int64, whence int) (int64, error) {
	return try(c.s, "Open.Seek", func() (int64, error) { return c.ReadSeekCloser.Seek(offset, whence) })
}

func (s *Store) Spaces(ctx context.Context) iter.Seq2[*cloud.Space, error] {
	return each(s, "Spaces", s.inner.Spaces(ctx))
}

func (s *Store) Space(ctx context.Context, id cloud.SpaceID) (*cloud.Space, error) {
	return try(s, "Space", func() (*cloud.Space, error) { return s.inner.Space(ctx, id) })
}

func (s *Store) SetSpace(ctx context.Context, sp *cloud.Space) (*cloud.Space, error) {
	return try(s, "SetSpace", func() (*cloud.Space, error) { return s.inner.SetSpace(ctx, sp) })
}

func (s *Store) NewSpaceID(kind cloud.SpaceKind, owner cloud.UserID) cloud.SpaceID {
	return s.inner.NewSpaceID(kind, owner)
}

func (s *Store) DropSpace(ctx context.Context, id cloud.SpaceID) error {
	if err := s.fail("DropSpace"); err != nil {
		return err
	}
	return s.inner.DropSpace(ctx, id)
}

func (s *Store) Free(ctx context.Context) (int64, error) {
	return try(s, "Free", func() (int64, error) { return s.inner.Free(ctx) })
}

func (s *Store) Node(ctx context.Context, sp cloud.SpaceID, id cloud.NodeID) (*cloud.Node, error) {
	return try(s, "Node", func() (*cloud.Node, error) { return s.inner.Node(ctx, sp, id) })
}

func (s *Store) Lookup(ctx context.Context, sp cloud.SpaceID, from cloud.NodeID, path string) (*cloud.Node, error) {
	return try(s, "Lookup", func() (*cloud.Node, error) { return s.inner.Lookup(ctx, sp, from, path) })
}

func (s *Store) Ancestors(ctx context.Context, sp cloud.SpaceID, id cloud.NodeID) ([]cloud.NodeID, error) {
	return try(s, "Ancestors", func() ([]cloud.NodeID, error) { return s.inner.Ancestors(ctx, sp, id) })
}

func (s *Store) Children(ctx context.Context, sp cloud.SpaceID, dir cloud.NodeID) iter.Seq2[*cloud.Node, error] {
	return each(s, "Children", s.inner.Children(ctx, sp, dir))
}

func (s *Store) Having(ctx context.Context, sp cloud.SpaceID, t cloud.Traits) iter.Seq2[*cloud.Node, error] {
	return each(s, "Having", s.inner.Having(ctx, sp, t))
}

func (s *Store) Open(ctx context.Context, sp cloud.SpaceID, id cloud.NodeID) (io.ReadSeekCloser, *cloud.Node, error) {
	if err := s.fail("Open"); err != nil {
		return nil, nil, err
	}
	c, n, err := s.inner.Open(ctx, sp, id)
	if err != nil {
		return nil, nil, err
	}
	return content{c, s}, n, nil
}

func (s *Store) MakeDir(ctx context.Context, sp cloud.SpaceID, dir cloud.NodeID, name string) (*cloud.Node, error) {
	return try(s, "MakeDir", func() (*cloud.Node, error) { return s.inner.MakeDir(ctx, sp, dir, name) })
}

func (s *Store) Write(ctx context.Context, w cloud.Write) (*cloud.Node, bool, error) {
	if err := s.fail("Write"); err != nil {
		return nil, false, err
	}
	if w.Body != nil {
		w.Body = body{w.Body, s, "Write.Read"}
	}
	return s.inner.Write(ctx, w)
}

func (s *Store) Move(ctx context.Context, sp cloud.SpaceID, id, dir cloud.NodeID, name string) (*cloud.Node, error) {
	return try(s, "Move", func() (*cloud.Node, error) { return s.inner.Move(ctx, sp, id, dir, name) })
}

func (s *Store) Drop(ctx context.Context, sp cloud.SpaceID, id cloud.NodeID) error {
	if err := s.fail("Drop"); err != nil {
		return err
	}
	return s.inner.Drop(ctx, sp, id)
}

func (s *Store) Edit(ctx context.Context, sp cloud.SpaceID, id cloud.NodeID, fn func(*cloud.Node) error) (*cloud.Node, error) {
	return try(s, "Edit", func() (*cloud.Node, error) { return s.inner.Edit(ctx, sp, id, fn) })
}

func (s *Store) SetUpload(ctx context.Context, u *cloud.Upload) error {
	if err := s.fail("SetUpload"); err != nil {
		return err
	}
	return s.inner.SetUpload(ctx, u)
}

func (s *Store) Upload(ctx context.Context, sp cloud.SpaceID, id cloud.UploadID) (*cloud.Upload, error) {
	return try(s, "Upload", func() (*cloud.Upload, error) { return s.inner.Upload(ctx, sp, id) })
}

func (s *Store) Uploads(ctx context.Context, sp cloud.SpaceID) iter.Seq2[*cloud.Upload, error] {
	return each(s, "Uploads", s.inner.Uploads(ctx, sp))
}

// AppendUpload says how many bytes are safe when it fails on purpose, too.
func (s *Store) AppendUpload(ctx context.Context, sp cloud.SpaceID, id cloud.UploadID, offset int64, r io.Reader) (int64, error) {
	if err := s.fail("AppendUpload"); err != nil {
		if u, e := s.inner.Upload(ctx, sp, id); e == nil {
			return u.Offset, err
		}
		return 0, err
	}
	return s.inner.AppendUpload(ctx, sp, id, offset, body{r, s, "AppendUpload.Read"})
}

func (s *Store) DropUpload(ctx context.Context, sp cloud.SpaceID, id cloud.UploadID) error {
	if err := s.fail("DropUpload"); err != nil {
		return err
	}
	return s.inner.DropUpload(ctx, sp, id)
}

func (s *Store) Since(ctx context.Context, sp cloud.SpaceID, after cloud.Cursor) iter.Seq2[*cloud.Record, error] {
	return each(s, "Since", s.inner.Since(ctx, sp, after))
}

func (s *Store) Last() cloud.Cursor { return s.inner.Last() }

func (s *Store) Wait(ctx context.Context, after cloud.Cursor) error {
	if err := s.fail("Wait"); err != nil {
		return err
	}
	return s.inner.Wait(ctx, after)
}

// Close may fail on purpose; inner is open then.
func (s *Store) Close() error {
	if err := s.fail("Close"); err != nil {
		return err
	}
	return s.inner.Close()
}
