package cloud

import (
	"cmp"
	"math/bits"
	"slices"
)

// NodeKind is what kind of place a node is, for those roles that only fit some.
// Kinds can be joined with |.
type NodeKind uint8

const (
	OnFile NodeKind = 1 << iota
	OnFolder
	OnRoot // of a space: then the role makes a member
)

// Kind is OnRoot for the root of a space, wherever it is seen.
func (n *Node) Kind() NodeKind {
	switch {
	case n.ID == n.Space.Root():
		return OnRoot
	case n.Dir:
		return OnFolder
	}
	return OnFile
}

// Rights that roles are made of.
const (
	viewing   = CanStat | CanPath | CanQuota | CanList | CanRead | CanListTrash
	editing   = viewing | CanWrite | CanMakeDir | CanMove | CanDelete | CanRestore
	versions  = CanListVersions | CanRevert
	trashing  = CanListTrash | CanRestore
	unseen    = CanStat | CanPath | CanMakeDir | CanWrite
	following = CanStat | CanPath | CanList
)

// Roles on the root of a space. Managers may do everything.
const (
	SpaceViewer  = viewing | CanListGrants
	SpaceEditor  = editing | versions | CanListGrants
	SpaceManager = AllRights
)

// A ShareRole is a set of rights under a name that clients know. A grant keeps
// the rights alone, so a role that is no longer offered takes nothing away.
type ShareRole struct {
	ID          string
	Name        string // of old protocols and in the configuration
	Display     string
	Description string
	Weight      int // the order in which clients show roles
	Rights      Rights
	On          NodeKind // what it fits
	Federated   NodeKind // the same, for people of other servers
	Default     bool     // offered unless the administrator says otherwise
}

var shareRoles = [...]ShareRole{
	{"b1e2218d-eef8-4d4c-b82d-0f1a1b48f3b5", "viewer", "Can view", "Look at and download.", 10,
		viewing, OnFile | OnFolder, OnFile | OnFolder, true},
	{"d1e2218d-eef8-4d4c-b82d-0f1a1b48f3b5", "viewer-with-versions", "Can view", "Look at and download, earlier versions too.", 11,
		viewing | CanListVersions, OnFile | OnFolder, 0, false},
	{"d5041006-ebb3-4b4a-b6a4-7c180ecfb17d", "viewer-list-grants", "Can view", "Look at, download, and see who else can.", 12,
		viewing | CanListGrants, OnFile | OnFolder, OnFile | OnFolder, false},
	{"a8d5fe5e-96e3-418d-825b-534dbdf22b99", "spaceviewer", "Can view", "Look at and download.", 13,
		SpaceViewer, OnRoot, 0, true},
	{"3de465fc-6e17-4839-8b8a-a77cc497878b", "spaceviewer-with-versions", "Can view", "Look at and download, earlier versions too.", 14,
		SpaceViewer | CanListVersions, OnRoot, 0, false},
	{"aa97fe03-7980-45ac-9e50-b325749fd7e6", "secure-viewer", "Can view (secure)", "Look at in the browser, without a copy.", 20,
		following, OnFile | OnFolder, 0, false},
	{"1c996275-f1c9-4e71-abdf-a42f6495e960", "editor-lite", "Can upload", "Look at, download and upload; delete nothing.", 30,
		unseen | following | CanRead | CanMove, OnFolder, 0, true},
	{"2d00ce52-1fc2-4dbc-8b95-a73b73395f5a", "file-editor", "Can edit", "Look at, download and change.", 40,
		viewing | CanWrite | CanRestore, OnFile, OnFile, true},
	{"3d00ce52-1fc2-4dbc-8b95-a73b73395f5a", "file-editor-with-versions", "Can edit", "Look at, download and change, earlier versions too.", 41,
		viewing | CanWrite | CanRestore | versions, OnFile, 0, false},
	{"c1235aea-d106-42db-8458-7d5610fb0a67", "file-editor-list-grants", "Can edit", "Look at, download, change, and see who else can.", 42,
		viewing | CanWrite | CanRestore | CanListGrants, OnFile, OnFile, false},
	{"b173329d-cf2e-42f0-a595-ee410645d840", "file-editor-list-grants-with-versions", "Can edit", "Look at, download and change, earlier versions too, and see who else can.", 43,
		viewing | CanWrite | CanRestore | versions | CanListGrants, OnFile, 0, false},
	{"fb6c3e19-e378-47e5-b277-9732f9de6e21", "editor", "Can edit", "Look at, download, upload, change and delete.", 50,
		editing, OnFolder, OnFolder, true},
	{"b8c6e1c9-5d2a-4f0e-9c3b-1a2b3c4d5e6f", "editor-with-versions", "Can edit", "Look at, download, upload, change and delete, earlier versions too.", 51,
		editing | versions, OnFolder, 0, false},
	{"e8ea8b21-abd4-45d2-b893-8d1546378e9e", "editor-list-grants", "Can edit", "Look at, download, upload, change, delete, and see who else can.", 52,
		editing | CanListGrants, OnFolder, OnFolder, false},
	{"0911d62b-1e3f-4778-8b1b-903b7e4e8476", "editor-list-grants-with-versions", "Can edit", "Look at, download, upload, change and delete, earlier versions too, and see who else can.", 53,
		editing | versions | CanListGrants, OnFolder, 0, false},
	{"8f4701d9-c68f-4109-a482-88e22ee32805", "spaceeditor-without-trashbin", "Can edit without trash", "Look at, download, upload, change and delete; no way to what was deleted.", 60,
		SpaceEditor &^ trashing, OnRoot, 0, false},
	{"3284f2d5-0070-4ad8-ac40-c247f7c1fb27", "spaceeditor-without-versions", "Can edit without versions", "Look at, download, upload, change and delete; no way to earlier versions.", 61,
		SpaceEditor &^ versions, OnRoot, 0, false},
	{"58c63c02-1d89-4572-916a-870abc5a1b7d", "spaceeditor", "Can edit", "Look at, download, upload, change and delete, earlier versions too.", 62,
		SpaceEditor, OnRoot, 0, true},
	{"312c0871-5ef7-4b3a-85b6-0e4074c64049", "manager", "Can manage", "Everything, and say who is a member.", 70,
		SpaceManager, OnRoot, 0, true},
	{"63e64e19-8d43-42ec-a738-2b6af2610efa", "denied", "Cannot access", "Nothing, whatever is allowed further up.", 80,
		NoRights, OnFolder, 0, false},
}

// ShareRoles are all there are, the lightest first.
func ShareRoles() []ShareRole { return slices.Clone(shareRoles[:]) }

// ShareRoleBy finds a role by id or by name.
func ShareRoleBy(value string) (ShareRole, bool) {
	return shareRole(func(r *ShareRole) bool { return r.ID == value || r.Name == value })
}

// ShareRoleOf is the role that a grant of these rights amounts to; false when
// somebody chose the rights one by one.
func ShareRoleOf(rights Rights, on NodeKind) (ShareRole, bool) {
	return shareRole(func(r *ShareRole) bool { return r.Rights == rights && r.On&on != 0 })
}

func shareRole(is func(*ShareRole) bool) (ShareRole, bool) {
	for i := range shareRoles {
		if is(&shareRoles[i]) {
			return shareRoles[i], true
		}
	}
	return ShareRole{}, false
}

// OfferedRoles are those that somebody with these rights on a node may give to
// others, from the one with the fewest rights on. available are the ids of
// those that the administrator wants to be used; nil: the default ones.
func OfferedRoles(have Rights, on NodeKind, available []string) []ShareRole {
	var offered []ShareRole
	for _, r := range shareRoles {
		wanted := r.Default
		if available != nil {
			wanted = slices.Contains(available, r.ID)
		}
		if wanted && r.On&on != 0 && have.Has(r.Rights) && (r.Rights != NoRights || have.Has(CanDeny)) {
			offered = append(offered, r)
		}
	}
	slices.SortStableFunc(offered, func(a, b ShareRole) int {
		return cmp.Or(cmp.Compare(bits.OnesCount32(uint32(a.Rights)), bits.OnesCount32(uint32(b.Rights))), cmp.Compare(a.Weight, b.Weight))
	})
	return offered
}

// conditions are how the Graph API says what a role fits. Clients compare the
// texts letter by letter.
var conditions = [...]string{"exists @Resource.File", "exists @Resource.Folder", "exists @Resource.Root"}

// Conditions say what the role fits, as the Graph API does.
func (r ShareRole) Conditions() []string {
	var all []string
	for i, text := range conditions {
		if r.On&(1<<i) != 0 {
			all = append(all, text)
		}
	}
	for i, text := range conditions {
		if r.Federated&(1<<i) != 0 {
			all = append(all, text+` && @Subject.UserType=="Federated"`)
		}
	}
	return all
}

// A LinkType is what a link is for, in the words of the Graph API.
type LinkType string

const (
	LinkInternal       LinkType = "internal" // gives nothing: for those who may see the node anyway
	LinkView           LinkType = "view"
	LinkUpload         LinkType = "upload" // look at and add, but take nothing away
	LinkEdit           LinkType = "edit"
	LinkCreateOnly     LinkType = "createOnly"     // a file drop: who adds sees nothing
	LinkBlocksDownload LinkType = "blocksDownload" // look at without a copy
)

// linkTypes have no right to the trash, to versions or to grants: those
// belong to people.
var linkTypes = [...]struct {
	name   LinkType
	rights Rights
	on     NodeKind
}{
	{LinkInternal, NoRights, OnFile | OnFolder | OnRoot},
	{LinkView, following | CanRead, OnFile | OnFolder | OnRoot},
	{LinkUpload, following | CanRead | unseen, OnFolder | OnRoot},
	{LinkEdit, following | CanRead | unseen | CanMove | CanDelete, OnFolder | OnRoot},
	{LinkEdit, following | CanRead | CanWrite, OnFile},
	{LinkCreateOnly, unseen, OnFolder | OnRoot},
	{LinkBlocksDownload, following, OnFile | OnFolder | OnRoot},
}

// Rights are what a link of the type gives on a node; false when it does not
// fit there.
func (t LinkType) Rights(on NodeKind) (Rights, bool) {
	for _, l := range linkTypes {
		if l.name == t && l.on&on != 0 {
			return l.rights, true
		}
	}
	return NoRights, false
}

// LinkTypeOf is the type of a link with these rights on a node. All links have one.
func LinkTypeOf(rights Rights, on NodeKind) (LinkType, bool) {
	for _, l := range linkTypes {
		if l.rights == rights && l.on&on != 0 {
			return l.name, true
		}
	}
	return "", false
}

// Permission bits of the OCS sharing API.
const (
	OCSRead = 1 << iota
	OCSUpdate
	OCSCreate
	OCSDelete
	OCSShare
)

// OCS are the bits for the rights on a node. A file drop has OCSCreate alone.
func (r Rights) OCS(on NodeKind) (b int) {
	dir := on != OnFile
	for _, part := range [...]struct {
		bit   int
		needs Rights
		shown bool
	}{
		{OCSRead, CanList | CanRead, dir},
		{OCSRead, CanRead, !dir},
		{OCSUpdate, CanWrite | CanMove, dir},
		{OCSUpdate, CanWrite, !dir},
		{OCSCreate, CanWrite | CanMakeDir, dir},
		{OCSDelete, CanDelete, dir},
		{OCSShare, CanGrant, true},
	} {
		if part.shown && r.Has(part.needs) {
			b |= part.bit
		}
	}
	return b
}

// OCSRights are the rights for the bits. OCSShare gives none: what was shared
// is not shared on; nor does what a file cannot have, which clients ask for all
// the same. False for what remains when that is nothing, or nothing to look at
// on a file.
func OCSRights(b int, on NodeKind) (r Rights, ok bool) {
	if b < 0 || b > OCSRead|OCSUpdate|OCSCreate|OCSDelete|OCSShare {
		return NoRights, false
	}
	if b &^= OCSShare; on == OnFile {
		b &= OCSRead | OCSUpdate
	}
	if b == 0 || on == OnFile && b&OCSRead == 0 {
		return NoRights, false
	}
	r = CanStat | CanPath
	if b&OCSRead != 0 {
		r |= viewing
	}
	switch {
	case b&OCSUpdate == 0:
	case on == OnFile:
		r |= CanWrite
	default:
		r |= CanWrite | CanMove
	}
	if b&OCSCreate != 0 {
		r |= CanWrite | CanMakeDir
	}
	if b&OCSDelete != 0 {
		r |= CanDelete
	}
	return r, true
}
