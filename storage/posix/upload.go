package posix

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"sync"

	"opencloud/cloud"
	"opencloud/storage"
	"opencloud/storage/posix/disk"
)

// An upload is a file in .oc/uploads and what is known of it beside. What its
// file holds is what is safe.

// upload is an upload that this process has seen bytes of.
type upload struct {
	mu     sync.Mutex
	turn   int // of who appends; a client that comes again takes the turn
	hasher *storage.Hasher
}

// maxHashers bounds how many uploads have their sums computed on the way;
// those of others are computed at the end.
const maxHashers = 1024

const uploadSuffix = ".json"

var errUploadTooLong = cloud.Refuse(cloud.Invalid, "The upload is longer than announced.")

func uploadRef(s cloud.SpaceID, id cloud.UploadID) cloud.Ref {
	return cloud.Ref{Space: s, Path: string(id)}
}

// checkUploadID keeps to what can be the name of a file and nothing else.
func checkUploadID(id cloud.UploadID) error {
	if id == "" || len(id) > 128 {
		return cloud.NotExist
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return cloud.NotExist
		}
	}
	return nil
}

func (s *Store) SetUpload(ctx context.Context, u *cloud.Upload) (err error) {
	defer func() { err = cloud.E("posix.SetUpload", uploadRef(u.Dir.Space, u.ID), err) }()
	if checkUploadID(u.ID) != nil {
		return cloud.Refuse(cloud.Invalid, "This cannot be the id of an upload.")
	}
	sp, err := s.space(u.Dir.Space)
	if err == nil {
		err = s.room(0)
	}
	if err != nil {
		return err
	}
	unlock, err := sp.share()
	if err != nil {
		return err
	}
	defer unlock()
	defer sp.lockName(noID, string(u.ID))()
	d, err := sp.inner("uploads", true)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.Stat(string(u.ID)); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = cloud.Exist
		}
		return err
	}
	return s.commit(&change{sp: sp, redo: redo{Note: noteUpload, Upload: u.ID}, body: u,
		apply: func(cloud.Cursor) error { return sp.beginUpload(d, u) }})
}

func (sp *space) beginUpload(d disk.Dir, u *cloud.Upload) error {
	b, err := json.Marshal(u)
	if err != nil {
		return err
	}
	if err := sp.replace(d, string(u.ID)+uploadSuffix, b, false); err != nil {
		return err
	}
	f, err := d.Create(string(u.ID))
	if err == nil {
		return f.Close()
	}
	if errors.Is(err, fs.ErrExist) { // at recovery
		return nil
	}
	return errors.Join(err, d.Remove(string(u.ID)+uploadSuffix))
}

func (s *Store) Upload(_ context.Context, space cloud.SpaceID, id cloud.UploadID) (*cloud.Upload, error) {
	sp, err := s.space(space)
	var u *cloud.Upload
	if err == nil {
		u, err = sp.upload(id)
	}
	return u, cloud.E("posix.Upload", uploadRef(space, id), err)
}

func (sp *space) upload(id cloud.UploadID) (*cloud.Upload, error) {
	if err := checkUploadID(id); err != nil {
		return nil, err
	}
	d, err := sp.inner("uploads", false)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	b, err := readFile(d, string(id)+uploadSuffix)
	if err != nil {
		return nil, err
	}
	u := &cloud.Upload{}
	if err := json.Unmarshal(b, u); err != nil {
		return nil, err
	}
	i, err := d.Stat(string(id))
	if err != nil {
		return nil, err
	}
	u.Offset = i.Size
	return u, nil
}

func (s *Store) Uploads(ctx context.Context, space cloud.SpaceID) iter.Seq2[*cloud.Upload, error] {
	return func(yield func(*cloud.Upload, error) bool) {
		if err := s.uploads(ctx, space, yield); err != nil && err != errStop {
			yield(nil, cloud.E("posix.Uploads", spaceRef(space), err))
		}
	}
}

func (s *Store) uploads(ctx context.Context, space cloud.SpaceID, yield func(*cloud.Upload, error) bool) error {
	sp, err := s.space(space)
	if err != nil {
		return err
	}
	d, err := s.disk.ReadDir(sp.path + "/.oc/uploads")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return d.List(func(name []byte, _ disk.Kind) error {
		id, ok := strings.CutSuffix(string(name), uploadSuffix)
		if !ok {
			return nil
		}
		u, err := sp.upload(cloud.UploadID(id))
		if missing(err) {
			return ctx.Err()
		}
		if err == nil && !yield(u, nil) {
			return errStop
		}
		return err
	})
}

// live is what this process knows of an upload.
func (sp *space) live(id cloud.UploadID) *upload {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	u := sp.uploads[id]
	if u == nil {
		u = &upload{}
		if len(sp.uploads) >= maxHashers {
			for old := range sp.uploads { // any: it costs reading the file again
				if sp.uploads[old].mu.TryLock() {
					sp.uploads[old].turn++
					sp.uploads[old].mu.Unlock()
					delete(sp.uploads, old)
					break
				}
			}
		}
		sp.uploads[id] = u
	}
	return u
}

func (sp *space) forgetUpload(id cloud.UploadID) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	delete(sp.uploads, id)
}

func (s *Store) AppendUpload(_ context.Context, space cloud.SpaceID, id cloud.UploadID, offset int64, body io.Reader) (next int64, err error) {
	defer func() { err = cloud.E("posix.AppendUpload", uploadRef(space, id), err) }()
	sp, err := s.space(space)
	if err != nil {
		return 0, err
	}
	u, err := sp.upload(id)
	if err != nil {
		return 0, err
	}
	d, err := sp.inner("uploads", false)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	f, err := d.Open(string(id), true)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := s.room(0); err != nil {
		i, e := s.disk.StatFile(f)
		return i.Size, errors.Join(err, e)
	}
	return sp.append(f, u, offset, body)
}

// append adds a body to an upload. Whoever comes later takes over from a
// connection that has stalled: the client knows best which of the two is alive.
func (sp *space) append(f *os.File, u *cloud.Upload, offset int64, body io.Reader) (int64, error) {
	l := sp.live(u.ID)
	size := func() (int64, error) {
		i, err := sp.store.disk.StatFile(f)
		return i.Size, err
	}
	l.mu.Lock()
	end, err := size()
	if err != nil || end != offset {
		l.mu.Unlock()
		if err == nil {
			err = cloud.Conflict
		}
		return end, err
	}
	l.turn++
	turn := l.turn
	if offset == 0 {
		l.hasher = storage.NewHasher()
	}
	l.mu.Unlock()

	buf := chunks.Get().(*chunk)
	defer chunks.Put(buf)
	kicked := offset
	for {
		n, rerr := body.Read(buf.buf[:])
		l.mu.Lock()
		if l.turn != turn {
			l.mu.Unlock()
			end, err := size()
			return end, errors.Join(err, cloud.Conflict)
		}
		if n > 0 {
			if room := u.How.Size - end; int64(n) > room {
				n, rerr = int(room), errUploadTooLong
			}
			m, werr := f.WriteAt(buf.buf[:n], end)
			if l.hasher != nil && l.hasher.N == end {
				l.hasher.Write(buf.buf[:m])
			}
			end += int64(m)
			if werr != nil {
				rerr = werr
			}
		}
		l.mu.Unlock()
		if end-kicked >= kickEvery {
			disk.Kick(f, kicked, end-kicked)
			kicked = end
		}
		if rerr == nil {
			continue
		}
		if rerr == io.EOF {
			rerr = nil
		}
		if end > offset && !errors.Is(rerr, errUploadTooLong) && !errors.Is(rerr, cloud.BadSum) {
			err := f.Sync()
			if err == nil {
				sp.store.at("upload: synced")
				return end, rerr
			}
			rerr = err // nobody can say now what is on the disk
		}
		return offset, errors.Join(rerr, l.takeBack(f, turn, offset))
	}
}

// takeBack forgets what was appended, unless another has the turn.
func (l *upload) takeBack(f *os.File, turn int, offset int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.turn != turn {
		return nil
	}
	l.hasher = nil // to be computed from the file
	return f.Truncate(offset)
}

// redeem makes an upload the content of a write. release is to be called when
// that has come to an end.
func (sp *space) redeem(w *cloud.Write) (_ *staged, release func(), err error) {
	u, err := sp.upload(w.Upload)
	if err != nil {
		return nil, nil, err
	}
	l := sp.live(u.ID)
	l.mu.Lock()
	st := &staged{sp: sp, name: string(u.ID), from: "uploads/" + string(u.ID), done: true}
	defer func() {
		if err != nil {
			st.drop()
			l.mu.Unlock()
		}
	}()
	l.turn++ // nobody appends any more
	if st.dir, err = sp.inner("uploads", false); err != nil {
		return nil, nil, err
	}
	if st.file, err = st.dir.Open(st.name, true); err != nil {
		st.dir.Close()
		return nil, nil, err
	}
	i, err := sp.store.disk.StatFile(st.file)
	if err != nil {
		return nil, nil, err
	}
	if i.Size != u.How.Size {
		return nil, nil, errNotWhole
	}
	if err := (bounds{-1, w.Limit}).check(i.Size); err != nil {
		return nil, nil, err
	}
	h := l.hasher
	if h == nil || h.N != i.Size {
		h = storage.NewHasher()
		if _, err := io.Copy(h, st.file); err != nil {
			return nil, nil, err
		}
		l.hasher = h
	}
	st.sums = h.Sums()
	if err := st.sums.Match(w.Sum); err != nil {
		return nil, nil, err
	}
	if err := st.finish(w.MTime); err != nil {
		return nil, nil, err
	}
	return st, l.mu.Unlock, nil
}

// endUpload forgets an upload that has become a file. The file stands, so what
// goes wrong here does not count.
func (sp *space) endUpload(id cloud.UploadID) {
	if id == "" {
		return
	}
	if err := sp.removeUploadInfo(id); err != nil {
		sp.store.log.Warn("something is left over of an upload", "space", sp.id, "upload", id, "err", err)
	}
}

// removeUploadInfo ends an upload that has become a file.
func (sp *space) removeUploadInfo(id cloud.UploadID) error {
	sp.forgetUpload(id)
	d, err := sp.inner("uploads", false)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Remove(string(id) + uploadSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *Store) DropUpload(_ context.Context, space cloud.SpaceID, id cloud.UploadID) (err error) {
	defer func() { err = cloud.E("posix.DropUpload", uploadRef(space, id), err) }()
	sp, err := s.space(space)
	if err != nil {
		return err
	}
	if _, err := sp.upload(id); err != nil {
		return err
	}
	l := sp.live(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn++
	unlock, err := sp.share()
	if err != nil {
		return err
	}
	defer unlock()
	return s.commit(&change{sp: sp, redo: redo{Note: noteCancel, Upload: id},
		apply: func(cloud.Cursor) error { return sp.removeUpload(id) }})
}

func (sp *space) removeUpload(id cloud.UploadID) error {
	if err := sp.removeUploadInfo(id); err != nil {
		return err
	}
	d, err := sp.inner("uploads", false)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Remove(string(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
