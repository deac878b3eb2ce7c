package cloud

import (
	"iter"
	"slices"
	"time"
)

// Rights is what a subject may do with a node and everything below it.
type Rights uint32

const (
	CanStat Rights = 1 << iota
	CanPath
	CanQuota
	CanList
	CanRead
	CanWrite
	CanMakeDir
	CanMove
	CanDelete
	CanListVersions
	CanRevert
	CanListTrash
	CanRestore
	CanPurge
	CanListGrants
	CanGrant
	CanUpdateGrant
	CanRevoke
	CanDeny

	NoRights  Rights = 0
	AllRights Rights = CanDeny<<1 - 1
)

// actions are the names of the rights in the Graph API, in the order of the bits.
var actions = [...]string{
	"libre.graph/driveItem/basic/read",
	"libre.graph/driveItem/path/read",
	"libre.graph/driveItem/quota/read",
	"libre.graph/driveItem/children/read",
	"libre.graph/driveItem/content/read",
	"libre.graph/driveItem/upload/create",
	"libre.graph/driveItem/children/create",
	"libre.graph/driveItem/path/update",
	"libre.graph/driveItem/standard/delete",
	"libre.graph/driveItem/versions/read",
	"libre.graph/driveItem/versions/update",
	"libre.graph/driveItem/deleted/read",
	"libre.graph/driveItem/deleted/update",
	"libre.graph/driveItem/deleted/delete",
	"libre.graph/driveItem/permissions/read",
	"libre.graph/driveItem/permissions/create",
	"libre.graph/driveItem/permissions/update",
	"libre.graph/driveItem/permissions/delete",
	"libre.graph/driveItem/permissions/deny",
}

// Has tells whether all of want are there.
func (r Rights) Has(want Rights) bool { return r&want == want }

// Actions yields the names that the Graph API has for the rights.
func (r Rights) Actions() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, name := range actions {
			if r&(1<<i) != 0 && !yield(name) {
				return
			}
		}
	}
}

// Expired tells whether a grant holds no more.
func (g *Grant) Expired(now time.Time) bool { return !g.Expires.IsZero() && !now.Before(g.Expires) }

// Denies tells whether a grant takes away instead of giving.
func (g *Grant) Denies() bool { return g.Rights == NoRights && g.To.Link == "" && g.Link == nil }

// Concerns tells whether a grant is for the user, directly or by a group.
func (g *Grant) Concerns(u *User) bool {
	return u != nil && (g.To.User != "" && g.To.User == u.ID ||
		g.To.Group != "" && slices.Contains(u.Groups, g.To.Group))
}

// Holds tells whether a grant is for the user at a time.
func (g *Grant) Holds(u *User, now time.Time) bool { return g.Concerns(u) && !g.Expired(now) }
