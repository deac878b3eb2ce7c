package core

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"opencloud/cloud"
)

// Bounds on exports.
const (
	maxExports     = 1000 // under way, of all users
	exportsAtATime = 1    // the others wait for their turn
)

// exports are those under way. Each has a file, empty and Pending, that the
// result replaces in one step: what is cut short leaves nothing half-written,
// and is begun anew by the next People.
type exports struct {
	mu   sync.Mutex
	all  map[cloud.UserID]export
	turn chan struct{}
}

type export struct {
	Space cloud.SpaceID
	Node  cloud.NodeID
}

func (p *People) recallExports() error {
	p.exports.all = map[cloud.UserID]export{}
	p.exports.turn = make(chan struct{}, exportsAtATime)
	return p.recall(exportDocument, &p.exports.all)
}

func (p *People) resumeExports() {
	p.exports.mu.Lock()
	defer p.exports.mu.Unlock()
	for of, e := range p.exports.all {
		p.startExport(of, e)
	}
}

func (p *People) startExport(of cloud.UserID, e export) {
	p.work.start("export of personal data", func(ctx context.Context) error { return p.runExport(ctx, of, e) })
}

func (p *People) Export(ctx context.Context, of cloud.UserID, path string) error {
	return cloud.E("core.Export", cloud.Ref{}, p.export(ctx, of, path))
}

func (p *People) export(ctx context.Context, of cloud.UserID, path string) error {
	me, err := caller(ctx)
	if err != nil {
		return err
	}
	if of != me.ID {
		return cloud.Refuse(cloud.Permission, "Everybody exports their own data.")
	}
	if path, err = cloud.CleanPath(path); err != nil {
		return err
	}
	if path == "" {
		return cloud.Refuse(cloud.Invalid, "The export needs the name of a file.")
	}
	home, err := p.core.home(ctx)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	e := export{home.ID, cloud.NodeID(cloud.NewUUID().String())}
	if err := p.claimExport(ctx, of, e); err != nil {
		return err
	}
	if err := p.core.announce(ctx, cloud.Ref{Space: e.Space, Path: path}, e.Node); err != nil {
		return errors.Join(err, p.dropExport(ctx, of))
	}
	p.startExport(of, e)
	return nil
}

// claimExport comes before the file, so that there is no file nobody knows of.
func (p *People) claimExport(ctx context.Context, of cloud.UserID, e export) error {
	x := &p.exports
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.all[of]; ok {
		return cloud.Refuse(cloud.Conflict, "An export of your data is being made already.")
	}
	if len(x.all) >= maxExports {
		return cloud.Refuse(cloud.Throttled, "Too many exports are being made. Try again later.")
	}
	x.all[of] = e
	err := record(ctx, p, exportDocument, x.all)
	if err != nil {
		delete(x.all, of)
	}
	return err
}

func (p *People) dropExport(ctx context.Context, of cloud.UserID) error {
	x := &p.exports
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.all, of)
	return record(ctx, p, exportDocument, x.all)
}

// runExport waits for its turn, makes the file whole and forgets the export;
// when all work ends it forgets nothing.
func (p *People) runExport(ctx context.Context, of cloud.UserID, e export) error {
	select {
	case p.exports.turn <- struct{}{}:
		defer func() { <-p.exports.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := guard(func() error { return p.writeExport(ctx, of, e) })
	if ctx.Err() != nil {
		return err
	}
	return errors.Join(err, p.core.withdraw(ctx, e.Space, e.Node), p.dropExport(ctx, of))
}

// writeExport does nothing when the file went meanwhile, or has a content.
func (p *People) writeExport(ctx context.Context, of cloud.UserID, e export) error {
	u, err := p.dir.User(ctx, "id", string(of))
	if err != nil {
		return err
	}
	ctx = cloud.WithCaller(ctx, cloud.Caller{User: u})
	r, w := io.Pipe()
	var telling sync.WaitGroup
	telling.Go(func() {
		w.CloseWithError(guard(func() error { return p.tell(ctx, u, w) }))
	})
	err = p.core.fulfil(ctx, e.Space, e.Node, r)
	r.CloseWithError(io.ErrClosedPipe)
	telling.Wait()
	return err
}

// announce makes a file whose content is to come. What stands there goes to
// the trash, by all the rules.
func (c *Core) announce(ctx context.Context, ref cloud.Ref, id cloud.NodeID) error {
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return err
	}
	defer c.leave(sp)
	p, err := c.place(ctx, sp, ref)
	if err != nil {
		return err
	}
	if p.now != nil {
		if p.now.Dir {
			return cloud.Refuse(cloud.Exist, "There is a folder with this name.")
		}
		if err := c.discard(ctx, p, cloud.Conditions{}); err != nil {
			return err
		}
		p.now = nil
	}
	_, _, err = c.write(ctx, p, cloud.Write{ID: id, Body: strings.NewReader(""), State: cloud.Pending, Fresh: true}, cloud.Conditions{})
	return err
}

// fulfil gives an announced file its content, wherever it stands by now.
// Nothing happens when it is gone or has another one.
func (c *Core) fulfil(ctx context.Context, id cloud.SpaceID, node cloud.NodeID, body io.Reader) error {
	sp, err := c.enter(ctx, id)
	if err != nil {
		return found(err)
	}
	defer c.leave(sp)
	p, err := c.place(ctx, sp, cloud.Ref{Space: id, Node: node})
	if err != nil || p.now.State != cloud.Pending {
		return found(err)
	}
	_, _, err = c.write(ctx, p, cloud.Write{Body: body, Size: -1}, cloud.Conditions{IfMatch: p.now.ETag})
	if errors.Is(err, cloud.Precondition) {
		return nil
	}
	return err
}

// withdraw drops an announced file that has no content and gets none.
func (c *Core) withdraw(ctx context.Context, id cloud.SpaceID, node cloud.NodeID) error {
	n, err := c.store.Node(ctx, id, node)
	if err == nil && n.State == cloud.Pending {
		err = c.store.Drop(ctx, id, node)
	}
	return found(err)
}
