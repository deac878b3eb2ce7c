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

// Roles on the root of a space. Managers may do everything.
const (
	SpaceViewer  = CanStat | CanPath | CanQuota | CanList | CanRead | CanListTrash | CanListGrants
	SpaceEditor  = SpaceViewer | CanWrite | CanMakeDir | CanMove | CanDelete | CanRestore | CanListVersions | CanRevert
	SpaceManager = AllRights
)

// Holds tells whether a grant gives its rights to the user at a time.
func (g *Grant) Holds(u *User, now time.Time) bool {
	if u == nil || !g.Expires.IsZero() && !now.Before(g.Expires) {
		return false
	}
	return g.To.User != "" && g.To.User == u.ID ||
		g.To.Group != "" && slices.Contains(u.Groups, g.To.Group)
}

// Ids of the roles that a user can have in the whole system.
const (
	RoleAdmin      = "71881883-1768-46bd-a24d-a356a2afdf7f"
	RoleSpaceAdmin = "2aadd357-682c-406b-8874-293091995fdd"
	RoleUser       = "d7beeea8-8ff4-406b-8fb6-ab2dd81e6b11"
	RoleUserLight  = "38071a68-456a-4553-846a-fa67bf5596cc"
)

// Permission is what a user may do in the whole system, whatever the space.
type SystemPermission string

const (
	CreateHome   SystemPermission = "Drives.CreatePersonal" // have a personal space
	CreateSpaces SystemPermission = "Drives.Create"
)

var permissions = map[string][]SystemPermission{
	RoleAdmin:      {CreateHome, CreateSpaces},
	RoleSpaceAdmin: {CreateHome, CreateSpaces},
	RoleUser:       {CreateHome},
	RoleUserLight:  {},
}

// May tells whether the user's role has the permission.
func (u *User) May(p SystemPermission) bool {
	return u != nil && slices.Contains(permissions[u.Role], p)
}
