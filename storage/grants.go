package storage

import (
	"slices"
	"time"

	"opencloud/cloud"
)

// CloneGrants is a copy that shares nothing; nil for none.
func CloneGrants(gs []cloud.Grant) []cloud.Grant {
	if len(gs) == 0 {
		return nil
	}
	gs = slices.Clone(gs)
	for i := range gs {
		if l := gs[i].Link; l != nil {
			gs[i].Link = &cloud.Link{Name: l.Name, Quick: l.Quick, Secret: l.Secret}
		}
	}
	return gs
}

// SameGrants tells whether two nodes have the same grants in the same order.
func SameGrants(a, b []cloud.Grant) bool { return slices.EqualFunc(a, b, sameGrant) }

func sameGrant(a, b cloud.Grant) bool {
	same := a.Made.Equal(b.Made) && a.Expires.Equal(b.Expires) && (a.Link == nil) == (b.Link == nil)
	if same && a.Link != nil {
		same = a.Link.Name == b.Link.Name && a.Link.Quick == b.Link.Quick && a.Link.Secret == b.Link.Secret
	}
	a.Made, b.Made, a.Expires, b.Expires, a.Link, b.Link = time.Time{}, time.Time{}, time.Time{}, time.Time{}, nil, nil
	return same && a == b
}

// Regranted is what Record.Given and Record.Taken say of a change.
func Regranted(before, after []cloud.Grant) (given, taken []cloud.Grant) {
	return less(after, before), less(before, after)
}

// less are those of a that b does not have alike, without their secrets.
func less(a, b []cloud.Grant) []cloud.Grant {
	var left []cloud.Grant
	for _, g := range a {
		if !slices.ContainsFunc(b, func(o cloud.Grant) bool { return sameGrant(g, o) }) {
			left = append(left, g)
		}
	}
	left = CloneGrants(left)
	for _, g := range left {
		if g.Link != nil {
			g.Link.Secret = ""
		}
	}
	return left
}
