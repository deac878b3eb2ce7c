package core

import (
	"context"
	"iter"

	"opencloud/cloud"
)

func (p *People) Group(ctx context.Context, by, value string) (*cloud.Group, error) {
	_, err := caller(ctx)
	var g *cloud.Group
	if err == nil {
		g, err = p.dir.Group(ctx, by, value)
	}
	return g, cloud.E("core.Group", cloud.Ref{}, err)
}

func (p *People) Groups(ctx context.Context, search string) iter.Seq2[*cloud.Group, error] {
	return func(yield func(*cloud.Group, error) bool) {
		me, err := p.mayList(ctx, search, cloud.ManageGroups, cloud.ManageUsers)
		if err != nil {
			yield(nil, cloud.E("core.Groups", cloud.Ref{}, err))
			return
		}
		bounded := !me.May(cloud.ManageGroups) && !me.May(cloud.ManageUsers)
		found := 0
		for g, err := range p.dir.Groups(ctx, search) {
			if found++; bounded && found > maxFound || !yield(g, cloud.E("core.Groups", cloud.Ref{}, err)) || err != nil {
				return
			}
		}
	}
}

func (p *People) SetGroup(ctx context.Context, g *cloud.Group) (*cloud.Group, error) {
	_, err := demand(ctx, cloud.ManageGroups)
	var got *cloud.Group
	if err == nil {
		got, err = p.dir.SetGroup(ctx, g)
	}
	return got, cloud.E("core.SetGroup", cloud.Ref{}, err)
}

// RemoveGroup lets go of the group last, so that it can be tried again.
func (p *People) RemoveGroup(ctx context.Context, id cloud.GroupID) error {
	_, err := demand(ctx, cloud.ManageGroups)
	if err == nil {
		_, err = p.dir.Group(ctx, "id", string(id))
	}
	if err == nil {
		err = p.core.forgetSubject(ctx, cloud.Subject{Group: id})
	}
	if err == nil {
		err = p.dir.RemoveGroup(ctx, id)
	}
	if err == nil && p.education != nil {
		err = p.education.forgetGroup(ctx, id)
	}
	return cloud.E("core.RemoveGroup", cloud.Ref{}, err)
}

func (p *People) Members(ctx context.Context, id cloud.GroupID) iter.Seq2[*cloud.User, error] {
	return func(yield func(*cloud.User, error) bool) {
		if _, err := demand(ctx, cloud.ManageGroups, cloud.ManageUsers); err != nil {
			yield(nil, cloud.E("core.Members", cloud.Ref{}, err))
			return
		}
		for u, err := range p.dir.Members(ctx, id) {
			if err == nil && p.removed.has(u.ID) {
				continue
			}
			if !yield(u, cloud.E("core.Members", cloud.Ref{}, err)) || err != nil {
				return
			}
		}
	}
}

func (p *People) Join(ctx context.Context, id cloud.GroupID, who cloud.UserID) error {
	_, err := demand(ctx, cloud.ManageGroups)
	if err == nil && p.removed.has(who) {
		err = cloud.NotExist
	}
	if err == nil {
		err = p.dir.Join(ctx, id, who)
	}
	return cloud.E("core.Join", cloud.Ref{}, err)
}

func (p *People) Leave(ctx context.Context, id cloud.GroupID, who cloud.UserID) error {
	_, err := demand(ctx, cloud.ManageGroups)
	if err == nil {
		err = p.dir.Leave(ctx, id, who)
	}
	return cloud.E("core.Leave", cloud.Ref{}, err)
}
