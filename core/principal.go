package core

import (
	"context"
	"slices"
	"time"

	"opencloud/cloud"
)

// A principal is on whose behalf the rules about nodes are asked: a user, or
// the holder of a link, who may do what the link says whoever they are.
type principal struct {
	user    *cloud.User
	visitor *cloud.Visitor // not nil: user does not count
}

// who is the principal who asks, or Unauthorized.
func who(ctx context.Context) (principal, error) {
	c := cloud.CallerFrom(ctx)
	if c.Visitor != nil {
		return principal{visitor: c.Visitor}, nil
	}
	u, err := caller(ctx)
	return principal{user: u}, err
}

// caller is the user who asks, or Unauthorized. What concerns users is none of
// a visitor's business.
func caller(ctx context.Context) (*cloud.User, error) {
	c := cloud.CallerFrom(ctx)
	switch {
	case c.Visitor != nil:
		return nil, cloud.Refuse(cloud.Permission, "With this link there is nothing to do here.")
	case c.User == nil || c.User.ID == "" || c.User.Disabled:
		return nil, cloud.Unauthorized
	}
	return c.User, nil
}

// byLink begins the ids of visitors.
const byLink = "link:"

// id is under which locks and uploads are kept. No user has that of a visitor.
func (p principal) id() cloud.UserID {
	if p.visitor != nil {
		return cloud.UserID(byLink + p.visitor.Share)
	}
	return p.user.ID
}

// reaches tells whether a grant that is made on a node is for the principal.
func (p principal) reaches(g *cloud.Grant, on cloud.NodeID) bool {
	if p.visitor != nil {
		return g.To.Link != "" && g.To.Link == p.visitor.Token && g.ID == p.visitor.Share && on == p.visitor.Of.Node
	}
	return g.Concerns(p.user)
}

// shown are the grants on a node that somebody with these rights may see, as
// they may see them.
func (p principal) shown(gs []cloud.Grant, on cloud.NodeID, have cloud.Rights, now time.Time) []cloud.Grant {
	var all []cloud.Grant
	for i := range gs {
		g := gs[i]
		seen := have.Has(cloud.CanListGrants) || p.reaches(&g, on) || p.visitor == nil && g.By == p.user.ID
		if g.Expired(now) || !seen {
			continue
		}
		if g.Link != nil {
			g.Link = &cloud.Link{Name: g.Link.Name, Quick: g.Link.Quick, Protected: g.Link.Secret != ""}
			if !have.Has(g.Rights) && p.visitor == nil {
				g.To.Link = "" // it would give them more than they have
			}
		}
		all = append(all, g)
	}
	return slices.Clip(all)
}
