package cloud

import (
	"iter"
	"slices"
)

// A Role is what a user is in the whole system. Each user has one at most.
type Role struct {
	ID      string
	Name    string // for the command line and the configuration
	Display string
	column  int // in the table of permissions
}

// Ids of the roles.
const (
	RoleAdmin      = "71881883-1768-46bd-a24d-a356a2afdf7f"
	RoleSpaceAdmin = "2aadd357-682c-406b-8874-293091995fdd"
	RoleUser       = "d7beeea8-8ff4-406b-8fb6-ab2dd81e6b11"
	RoleUserLight  = "38071a68-456a-4553-846a-fa67bf5596cc"
	// RoleService is that of parts of the system which run by themselves. It is
	// not among Roles: nobody can be given it.
	RoleService = "bcceed81-c610-49cc-ab77-39a024e8da12"
	// RoleSchools is, like that, of the system in which schools are administrated.
	RoleSchools = "5a7f0f0e-0c1b-4f0e-9c55-6a3f4d1c2b90"
)

var roles = [...]Role{
	{RoleAdmin, "admin", "Admin", 0},
	{RoleSpaceAdmin, "spaceadmin", "Space Admin", 1},
	{RoleUser, "user", "User", 2},
	{RoleUserLight, "user-light", "User Light", 3},
}

// Roles are all there are, the mightiest first.
func Roles() []Role { return slices.Clone(roles[:]) }

// RoleBy finds a role by id or by name.
func RoleBy(value string) (r Role, ok bool) {
	for _, r := range roles {
		if r.ID == value || r.Name == value {
			return r, true
		}
	}
	return r, false
}

// Scope says whom a permission is about.
type Scope uint8

const (
	None Scope = iota
	Own        // the user themselves
	All
)

func (s Scope) String() string { return [...]string{"none", "own", "all"}[s] }

// A Privilege is something that a role may do in the whole system, whatever
// the space. The ids are those that clients of the settings API know.
type Privilege struct {
	Name string // "Drives.Create"
	ID   string
	Scope
}

// A SystemPermission is the name of a privilege with the scope that is asked
// for: "Drives.Create.all". Who has it for all has it for themselves, too.
type SystemPermission string

// Permissions that the system itself asks for.
const (
	ManageUsers    SystemPermission = "Accounts.ReadWrite.all"
	ManageGroups   SystemPermission = "Groups.ReadWrite.all"
	ManageRoles    SystemPermission = "Roles.ReadWrite.all"
	ManageSettings SystemPermission = "Settings.ReadWrite.all" // those of others
	ManageSelf     SystemPermission = "Self.ReadWrite.own"
	SetLanguage    SystemPermission = "Language.ReadWrite.own"

	CreateShares SystemPermission = "Shares.Write.all"
	CreateLinks  SystemPermission = "PublicLink.Write.all"
	// WithoutPassword is for links to look at where others need a password.
	WithoutPassword SystemPermission = "ReadOnlyPublicLinkPassword.Delete.all"

	CreateHome    SystemPermission = "Drives.Create.own" // have a personal space
	CreateSpaces  SystemPermission = "Drives.Create.all"
	ListSpaces    SystemPermission = "Drives.List.all"
	ManageSpaces  SystemPermission = "Drives.ReadWrite.all" // name, alias, description
	EnableSpaces  SystemPermission = "Drives.ReadWriteEnabled.all"
	SetHomeQuota  SystemPermission = "Drives.ReadWritePersonalQuota.all"
	SetSpaceQuota SystemPermission = "Drives.ReadWriteProjectQuota.all"
	RemoveHomes   SystemPermission = "Drives.DeletePersonal.all"
	RemoveSpaces  SystemPermission = "Drives.DeleteProject.all"
)

// table says what each role may: admin, space admin, user, user light.
var table = [...]struct {
	name, id string
	scopes   [len(roles)]Scope
}{
	{"Accounts.ReadWrite", "8e587774-d929-4215-910b-a317b1e80f73", [...]Scope{All, None, None, None}},
	{"AutoAcceptShares.ReadWriteDisabled", "4e41363c-a058-40a5-aec8-958897511209", [...]Scope{Own, Own, Own, Own}},
	{"Logo.Write", "ed83fc10-1f54-4a9e-b5a7-fb517f5f3e01", [...]Scope{All, None, None, None}},
	{"PublicLink.Write", "11516bbd-7157-49e1-b6ac-d00c820f980b", [...]Scope{All, All, All, None}},
	{"Shares.Write", "069c08b1-e31f-4799-9ed6-194b310e7244", [...]Scope{All, All, All, None}},
	{"Drives.Create", "79e13b30-3e22-11eb-bc51-0b9f0bad9a58", [...]Scope{All, All, Own, None}},
	{"Drives.DeletePersonal", "5de9fe0a-4bc5-4a47-b758-28f370caf169", [...]Scope{All, None, None, None}},
	{"Drives.DeleteProject", "fb60b004-c1fa-4f09-bf87-55ce7d46ac61", [...]Scope{All, All, None, None}},
	{"ReadOnlyPublicLinkPassword.Delete", "e9a697c5-c67b-40fc-982b-bcf628e9916d", [...]Scope{All, All, None, None}},
	{"EmailNotifications.ReadWriteDisabled", "ad5bb5e5-dc13-4cd3-9304-09a424564ea8", [...]Scope{Own, Own, Own, Own}},
	{"EmailSendingInterval.ReadWrite", "7dc204ee-799a-43b6-b85d-425fb3b1fa5a", [...]Scope{Own, Own, Own, Own}},
	{"Event.ShareCreated.ReadWrite", "8a50540c-1cdd-481f-b85f-44654393c8f0", [...]Scope{Own, Own, Own, None}},
	{"Event.ShareRemoved.ReadWrite", "5ef55465-8e39-4a6c-ba97-1d19f5b07116", [...]Scope{Own, Own, Own, None}},
	{"Event.ShareExpired.ReadWrite", "7d4f961b-d471-451b-b1fd-ac6a9d59ce88", [...]Scope{Own, Own, Own, None}},
	{"Event.SpaceShared.ReadWrite", "feb16d2c-614c-4f79-ac37-755a028f5616", [...]Scope{Own, Own, Own, None}},
	{"Event.SpaceUnshared.ReadWrite", "4f979732-631b-4f27-9be7-a89fb223a6d2", [...]Scope{Own, Own, Own, None}},
	{"Event.SpaceMembershipExpired.ReadWrite", "a3cc45bf-9720-4e08-b403-b9133fe33f0b", [...]Scope{Own, Own, Own, None}},
	{"Event.SpaceDisabled.ReadWrite", "896194c2-5055-4ea3-94a3-0a1419187a00", [...]Scope{Own, Own, Own, None}},
	{"Event.SpaceDeleted.ReadWrite", "2083c280-b140-4b73-a931-9a4af2931531", [...]Scope{Own, Own, Own, None}},
	{"Event.PostprocessingStepFinished.ReadWrite", "27ba8e97-0bdf-4b18-97d4-df44c9568cda", [...]Scope{Own, Own, Own, None}},
	{"Groups.ReadWrite", "522adfbe-5908-45b4-b135-41979de73245", [...]Scope{All, None, None, None}},
	{"Language.ReadWrite", "7d81f103-0488-4853-bce5-98dcce36d649", [...]Scope{All, Own, Own, Own}},
	{"Favorites.List", "4ebaa725-bfaa-43c5-9817-78bc9994bde4", [...]Scope{Own, Own, Own, None}},
	{"Drives.List", "016f6ddd-9501-4a0a-8ebe-64a20ee8ec82", [...]Scope{All, All, None, None}},
	{"Drives.ReadWrite", "b44b4054-31a2-42b8-bb71-968b15cfbd4f", [...]Scope{All, All, None, None}},
	{"Roles.ReadWrite", "a53e601e-571f-4f86-8fec-d4576ef49c62", [...]Scope{All, None, None, None}},
	{"Self.ReadWrite", "e03070e9-4362-4cc6-a872-1c7cb2eb2b8e", [...]Scope{None, Own, Own, None}},
	{"Drives.ReadWritePersonalQuota", "4e6f9709-f9e7-44f1-95d4-b762d27b7896", [...]Scope{All, None, None, None}},
	{"Drives.ReadWriteProjectQuota", "977f0ae6-0da2-4856-93f3-22e0a8482489", [...]Scope{All, All, None, None}},
	{"Settings.ReadWrite", "3d58f441-4a05-42f8-9411-ef5874528ae1", [...]Scope{All, None, None, None}},
	{"Drives.ReadWriteEnabled", "cf3faa8c-50d9-4f84-9650-ff9faf21aa9d", [...]Scope{All, All, None, None}},
	{"Favorites.Write", "a54778fd-1c45-47f0-892d-655caf5236f2", [...]Scope{Own, Own, Own, None}},
}

// Privileges yields what the role may.
func (r Role) Privileges() iter.Seq[Privilege] {
	return func(yield func(Privilege) bool) {
		for _, row := range table {
			if s := row.scopes[r.column]; s != None && !yield(Privilege{row.name, row.id, s}) {
				return
			}
		}
	}
}

// held has, by role, each permission with each scope it may be asked for.
var held = func() map[string]map[SystemPermission]bool {
	all := map[string]map[SystemPermission]bool{}
	for _, r := range roles {
		has := map[SystemPermission]bool{}
		for p := range r.Privileges() {
			for s := Own; s <= p.Scope; s++ {
				has[SystemPermission(p.Name+"."+s.String())] = true
			}
		}
		all[r.ID] = has
	}
	all[RoleService] = map[SystemPermission]bool{ListSpaces: true}
	all[RoleSchools] = map[SystemPermission]bool{ManageUsers: true, ManageGroups: true, RemoveHomes: true}
	return all
}()

// May tells whether the user's role has the permission.
func (u *User) May(p SystemPermission) bool { return u != nil && held[u.Role][p] }
