package core

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"time"

	"opencloud/cloud"
)

// An upload's id says which space it is for: "<storage>_<root>_<secret>".
func newUploadID(s cloud.SpaceID) cloud.UploadID {
	var b [16]byte
	rand.Read(b[:])
	return cloud.UploadID(s.Storage() + "_" + string(s.Root()) + "_" + hex.EncodeToString(b[:]))
}

func uploadSpace(id cloud.UploadID) (cloud.SpaceID, error) {
	storage, rest, _ := strings.Cut(string(id), "_")
	root, secret, ok := strings.Cut(rest, "_")
	if len(secret) != 32 || !ok {
		return "", cloud.NotExist
	}
	ref, err := cloud.ParseItemID(storage + "$" + root)
	if err != nil {
		return "", cloud.NotExist
	}
	if _, err := hex.DecodeString(secret); err != nil {
		return "", cloud.NotExist
	}
	return ref.Space, nil
}

func (c *Core) Begin(ctx context.Context, ref cloud.Ref, how cloud.Put) (*cloud.Upload, error) {
	v, err := c.into(ctx, ref)
	var u *cloud.Upload
	if err == nil {
		u, err = c.begin(ctx, v.Ref, how)
	}
	return u, cloud.E("core.Begin", ref, err)
}

func (c *Core) begin(ctx context.Context, ref cloud.Ref, how cloud.Put) (*cloud.Upload, error) {
	if how.Size < 0 {
		return nil, cloud.Refuse(cloud.Invalid, "The size of an upload must be announced.")
	}
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return nil, err
	}
	defer c.leave(sp)
	p, err := c.place(ctx, sp, ref)
	if err != nil {
		return nil, err
	}
	if p.name == "" {
		return nil, cloud.Refuse(cloud.Exist, "There is a folder with this name.")
	}
	up := &cloud.Upload{
		ID:      newUploadID(sp.id),
		Dir:     cloud.Ref{Space: sp.id, Node: p.dir.ID},
		Name:    p.name,
		How:     how,
		By:      p.dir.who.id(),
		Expires: c.now().Add(c.opts.UploadExpiry),
	}
	if how.Size == 0 {
		up.Node, up.Made, err = c.write(ctx, p, cloud.Write{Body: strings.NewReader(""), Sum: how.Sum, MTime: how.MTime}, how.Conditions)
		return up, err
	}
	if err := c.mayUpload(ctx, p, how); err != nil {
		return nil, err
	}
	c.sweep(ctx, sp)
	return up, c.store.SetUpload(ctx, up)
}

// mayUpload refuses before the first byte what write would refuse after the last.
func (c *Core) mayUpload(ctx context.Context, p place, how cloud.Put) error {
	if p.now != nil && p.now.Dir {
		return cloud.Refuse(cloud.Exist, "There is a folder with this name.")
	}
	if how.Sum != "" {
		if _, _, err := cloud.SplitSum(how.Sum); err != nil {
			return err
		}
	}
	if err := met(how.Conditions, p.now); err != nil {
		return err
	}
	if err := p.mayWrite(); err != nil {
		return err
	}
	if err := c.unlocked(ctx, p, p.now, how.Tokens); err != nil {
		return err
	}
	return c.fits(ctx, p, &cloud.Node{Size: how.Size}, false)
}

func (p *place) mayWrite() error {
	may := p.dir.reach.below
	if p.now != nil {
		may = p.now.Rights
	}
	return allow(may, cloud.CanWrite)
}

// mayGoOn asks for the rights once more: they may have been revoked since the
// upload began.
func (c *Core) mayGoOn(ctx context.Context, sp *space, up *cloud.Upload) error {
	p, err := c.place(ctx, sp, cloud.Ref{Space: up.Dir.Space, Node: up.Dir.Node, Path: up.Name})
	if err != nil {
		return err
	}
	return p.mayWrite()
}

// session opens an upload for who began it. Two requests cannot add to one at
// the same time: the later is Locked, and retries.
func (c *Core) session(ctx context.Context, id cloud.UploadID) (sp *space, up *cloud.Upload, done func(), err error) {
	p, err := who(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	space, err := uploadSpace(id)
	if err != nil {
		return nil, nil, nil, err
	}
	if sp, err = c.enter(ctx, space); err != nil {
		return nil, nil, nil, err
	}
	c.mu.Lock()
	if c.busy[id] {
		c.mu.Unlock()
		c.leave(sp)
		return nil, nil, nil, cloud.Refuse(cloud.Locked, "Another request is adding to this upload.")
	}
	c.busy[id] = true
	c.mu.Unlock()
	done = func() {
		c.mu.Lock()
		delete(c.busy, id)
		c.mu.Unlock()
		c.leave(sp)
	}
	up, err = c.store.Upload(ctx, space, id)
	if errors.Is(err, cloud.NotExist) {
		if f := c.finished(id); f != nil {
			up, err = f, nil
		}
	}
	if err == nil && up.By != p.id() {
		err = cloud.NotExist
	}
	if err == nil && c.now().After(up.Expires) {
		err = errors.Join(cloud.NotExist, c.store.DropUpload(ctx, space, id))
	}
	if err != nil {
		done()
		return nil, nil, nil, err
	}
	return sp, up, done, nil
}

func (c *Core) Append(ctx context.Context, id cloud.UploadID, offset int64, body io.Reader) (*cloud.Upload, error) {
	up, err := c.add(ctx, id, offset, body)
	return up, cloud.E("core.Append", cloud.Ref{}, err)
}

func (c *Core) add(ctx context.Context, id cloud.UploadID, offset int64, body io.Reader) (*cloud.Upload, error) {
	sp, up, done, err := c.session(ctx, id)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := c.mayGoOn(ctx, sp, up); err != nil {
		return nil, err
	}
	if offset != up.Offset {
		return up, cloud.Refuse(cloud.Conflict, "The upload is at %d bytes. Go on from there.", up.Offset)
	}
	if up.Node != nil {
		return up, nil // its last answer was lost
	}
	if up.Offset, err = c.store.AppendUpload(ctx, sp.id, id, offset, body); err != nil {
		return up, err
	}
	if up.Offset < up.How.Size {
		return up, nil
	}
	return up, c.complete(ctx, sp, up)
}

func (c *Core) Upload(ctx context.Context, id cloud.UploadID) (*cloud.Upload, error) {
	sp, up, done, err := c.session(ctx, id)
	if err != nil {
		return nil, cloud.E("core.Upload", cloud.Ref{}, err)
	}
	defer done()
	if err := c.mayGoOn(ctx, sp, up); err != nil {
		return nil, cloud.E("core.Upload", up.Dir, err)
	}
	if up.Offset == up.How.Size && up.Node == nil {
		return up, cloud.E("core.Upload", up.Dir, c.complete(ctx, sp, up))
	}
	return up, nil
}

// complete turns an upload that has all its bytes into its file. What can
// never succeed is dropped; what might (locked, full) is kept for another try.
func (c *Core) complete(ctx context.Context, sp *space, up *cloud.Upload) error {
	p, err := c.place(ctx, sp, cloud.Ref{Space: up.Dir.Space, Node: up.Dir.Node, Path: up.Name})
	if err == nil {
		up.Node, up.Made, err = c.write(ctx, p, cloud.Write{Upload: up.ID, Size: up.How.Size, Sum: up.How.Sum, MTime: up.How.MTime}, up.How.Conditions)
	}
	if err == nil {
		c.remember(up)
		return nil
	}
	switch cloud.KindOf(err) {
	case cloud.BadSum, cloud.Precondition, cloud.Invalid, cloud.NotExist, cloud.Exist, cloud.Permission, cloud.Conflict:
		err = errors.Join(err, c.store.DropUpload(context.WithoutCancel(ctx), sp.id, up.ID))
	}
	return err
}

// Clients whose last answer was lost ask again, and must not be sent back to
// the first byte: what became of the latest uploads is remembered.
const rememberedUploads = 1024

func (c *Core) remember(up *cloud.Upload) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.done) < rememberedUploads {
		c.done = append(c.done, up)
		return
	}
	c.done[c.oldest] = up
	c.oldest = (c.oldest + 1) % rememberedUploads
}

// finished is a copy, or nil.
func (c *Core) finished(id cloud.UploadID) *cloud.Upload {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, up := range c.done {
		if up.ID == id {
			got := *up
			return &got
		}
	}
	return nil
}

func (c *Core) Cancel(ctx context.Context, id cloud.UploadID) error {
	sp, up, done, err := c.session(ctx, id)
	if err == nil {
		if up.Node == nil {
			err = c.store.DropUpload(ctx, sp.id, up.ID)
		} else {
			err = cloud.NotExist // it is a file by now
		}
		done()
	}
	return cloud.E("core.Cancel", cloud.Ref{}, err)
}

const sweepEvery = time.Hour

// sweep drops the expired uploads of a space, now and then, when somebody
// begins a new one: no timer runs for it.
func (c *Core) sweep(ctx context.Context, sp *space) {
	now := c.now()
	sp.mu.Lock()
	due := now.Sub(sp.swept) >= sweepEvery
	if due {
		sp.swept = now
	}
	sp.mu.Unlock()
	if !due {
		return
	}
	var old []cloud.UploadID
	for up, err := range c.store.Uploads(ctx, sp.id) {
		if err != nil {
			return // the next sweep tries again
		}
		if now.After(up.Expires) {
			old = append(old, up.ID)
		}
	}
	for _, id := range old {
		c.mu.Lock()
		busy := c.busy[id]
		c.mu.Unlock()
		if !busy {
			c.store.DropUpload(ctx, sp.id, id)
		}
	}
}
