package core

import (
	"context"
	"iter"

	"opencloud/cloud"
)

func (c *Core) Versions(ctx context.Context, ref cloud.Ref) iter.Seq2[*cloud.Node, error] {
	return wrap("core.Versions", ref, func(yield func(*cloud.Node, error) bool) {
		at, err := c.inside(ctx, ref)
		var sp *space
		if err == nil {
			sp, err = c.enter(ctx, at.Space)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		defer c.leave(sp)
		n, err := c.at(ctx, sp, at.Ref, cloud.CanListVersions)
		if err == nil && n.Dir {
			err = cloud.Refuse(cloud.Invalid, "Folders have no versions.")
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for v, err := range c.store.Children(ctx, sp.id, cloud.VersionsOf(n.ID)) {
			if err == nil {
				v.Rights = n.Rights
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	})
}

func (c *Core) Revert(ctx context.Context, ref cloud.Ref, version string, how cloud.Conditions) (*cloud.Node, error) {
	v, err := c.inside(ctx, ref)
	if err != nil {
		return nil, cloud.E("core.Revert", ref, err)
	}
	n, err := c.revert(ctx, v.Ref, version, how)
	return v.show(n), cloud.E("core.Revert", ref, err)
}

func (c *Core) revert(ctx context.Context, ref cloud.Ref, version string, how cloud.Conditions) (*cloud.Node, error) {
	sp, err := c.enter(ctx, ref.Space)
	if err != nil {
		return nil, err
	}
	defer c.leave(sp)
	p, err := c.place(ctx, sp, ref)
	if err != nil {
		return nil, err
	}
	if p.now == nil || p.now.Dir {
		return nil, cloud.NotExist
	}
	if err := allow(p.now.Rights, cloud.CanRevert); err != nil {
		return nil, err
	}
	body, v, err := c.store.Open(ctx, sp.id, cloud.Version(p.now.ID, version))
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if how.IfMatch == "" {
		how.IfMatch = "*" // removed meanwhile, it is not to come back
	}
	n, _, err := c.write(ctx, p, cloud.Write{Body: body, Size: v.Size, MTime: v.MTime}, how)
	return n, err
}
