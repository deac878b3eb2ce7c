package cloud

import (
	"context"
	"iter"
	"time"
)

// Shares is working together: grants on nodes, seen by those who give and by
// those who receive them. core implements it. The rights themselves are in
// Files; members of a space are grants on its root.
//
// The caller is CallerFrom(ctx). Who may not even know of a node or a grant
// gets NotExist. Nobody gives more than they have, and nobody takes or changes
// what gives more than they have.
type Shares interface {
	// Grants are those made on a node. Callers with CanListGrants see all,
	// others those that reach them and those they made. Expired ones are left
	// out. Of a link that gives more than the caller has Subject.Link is empty.
	Grants(ctx context.Context, ref Ref) ([]Grant, *Node, error)
	// Grant finds one by its id, wherever it is, if the caller may see it.
	Grant(ctx context.Context, id ShareID) (*Grant, *Node, error)
	// Give makes a grant: of To one field is set (for a link any text, it
	// gets a token), Rights are those of a role that fits the node or any set
	// of rights that holds CanStat and fits, for a link those of a LinkType. A
	// plain password of a link is in secret. Needs CanGrant and the permission
	// CreateShares, or CreateLinks; a denial needs CanDeny, and a folder.
	// Permission, too, for what holds something that the caller may not see.
	// Exist when the subject has a grant on this node already, or it has a
	// quick link; Invalid for what cannot be granted (to oneself, to nobody,
	// expired already, a password against the policy or missing where one is
	// demanded, on the root of a personal space).
	//
	// Where a project space has no manager left, those with ManageSpaces can
	// make somebody else one.
	Give(ctx context.Context, ref Ref, g Grant, secret string) (*Grant, *Node, error)
	// Regrant changes one; its id and, of a link, its token stay. Needs
	// CanUpdateGrant, or to have made it while one may still grant; CanDeny for
	// a denial. Permission for the last manager of a space, and for making
	// more of what one was given. Precondition when somebody else has just
	// changed it.
	Regrant(ctx context.Context, id ShareID, c GrantChange) (*Grant, *Node, error)
	// Revoke takes one back. Needs CanRevoke, or to have made it; those who
	// received it may, too, unless it is a group's. Permission for the last
	// manager of a space.
	Revoke(ctx context.Context, id ShareID) error

	// Given yields the nodes on which the caller has made grants, members of
	// spaces left out; Node.Grants are only those.
	Given(ctx context.Context) iter.Seq2[*Node, error]
	// Received yields what others have shared with the caller, each node once.
	Received(ctx context.Context) iter.Seq2[*Mount, error]
	// Mount finds one by its id in the Shares space.
	Mount(ctx context.Context, id NodeID) (*Mount, error)
	SetMount(ctx context.Context, id NodeID, c MountChange) (*Mount, error)

	// Visit is how the holder of a link comes in: Unauthorized for a missing
	// or wrong password, NotExist for an unknown or expired token. An internal
	// link opens nothing: it is NotExist for a user who may not see the node,
	// and nobody has to say first who they are. Who calls it limits guessing.
	Visit(ctx context.Context, token, password string) (*Visitor, error)
	// Sign makes a signature that stands for the password of a link that the
	// caller visits, until expires; VisitSigned takes it. For GET and HEAD only.
	Sign(ctx context.Context, expires time.Time) (signature string, err error)
	VisitSigned(ctx context.Context, token, signature string, expires time.Time) (*Visitor, error)
}

// A GrantChange alters a grant. What is nil is left alone.
type GrantChange struct {
	Rights  *Rights
	Expires *time.Time // zero: never
	Name    *string    // of a link
	Secret  *string    // plain password of a link; empty: none
}

// A Mount is a node that others share with the caller, as it stands in the
// caller's Shares space.
type Mount struct {
	ID     NodeID // in the Shares space: "<storage>:<space>:<node>"
	Name   string // there; unique regardless of case
	Node   *Node  // what is shared, in its space, with the caller's rights
	Grants []Grant
	Hidden bool
	Synced bool // it stands in the tree of the Shares space; else it is only listed
}

// A MountChange alters a mount. What is nil is left alone.
type MountChange struct {
	Name   *string
	Hidden *bool
	Synced *bool
}

// SharesSpace is the space in which everybody finds what others share with
// them. Files and Shares know it: a Ref into it stands for the node that is
// mounted there, by the name of the mount or by its id, which works for those
// that are not synced, too. Its root's members cannot be made (Permission), and
// what is removed or renamed there is the mount.
//
// What is asked for in it has a Path in it. The mount itself is a node of it,
// with Space, ID, Parent and Name there; what is below has the ids it has in
// its own space.
const SharesSpace SpaceID = "a0ca6a90-a365-4782-871e-d44447bbc668$a0ca6a90-a365-4782-871e-d44447bbc668"

// Virtual is the kind of the Shares space.
const Virtual SpaceKind = "virtual"
