package cloud

import (
	"context"
	"iter"
	"time"
)

// A User is a person (or a program) that can sign in.
type User struct {
	ID        UserID
	Name      string // the login name, unique regardless of case
	Display   string
	GivenName string `json:",omitempty"`
	Surname   string `json:",omitempty"`
	Mail      string
	Kind      UserKind  `json:",omitempty"`
	Language  string    `json:",omitempty"` // a tag of BCP 47, "de"; empty: what the client asks for
	Groups    []GroupID `json:",omitempty"` // filled in by Directory
	Role      string    // id of a role of the whole system, see permissions.go; empty: may nothing
	Disabled  bool      `json:",omitempty"`
	Made      time.Time `json:",omitzero"` // filled in by Directory, to the second; zero: not known
	ReadOnly  bool      `json:"-"`         // filled in by Directory: but role and language it cannot be changed, nor removed
}

// UserKind is a user type of the Graph API.
type UserKind string

const (
	Member UserKind = "" // belongs to the organisation
	Guest  UserKind = "Guest"
)

// A Group is some users under one name. Groups do not nest.
type Group struct {
	ID          GroupID
	Name        string // unique regardless of case
	Description string `json:",omitempty"`
	ReadOnly    bool   `json:"-"` // filled in by Directory: it and its members cannot be changed
}

// Directory knows who can sign in, and who belongs together. Names and mails
// are compared regardless of case. A value that cannot be kept (a name with
// control characters, a text that is too long) is Invalid; a directory that
// cannot be changed answers all changes with NotSupported.
type Directory interface {
	// User finds one by "id", "name" or "mail". NotExist if there is none.
	User(ctx context.Context, by, value string) (*User, error)
	// Users yields those of whom the name, a part of the display name, of the
	// given name or surname or of the mail contains search; all if it is empty.
	Users(ctx context.Context, search string) iter.Seq2[*User, error]
	// SetUser creates a user when u.ID is empty and changes one otherwise,
	// except for Groups. An empty password leaves the old one. A new user
	// without role gets RoleUser. Exist when the name is taken.
	SetUser(ctx context.Context, u *User, password string) (*User, error)
	// RemoveUser also ends the memberships. NotExist if there is none.
	RemoveUser(ctx context.Context, id UserID) error
	// Verify is Unauthorized, after the same time, for an unknown name, a
	// wrong password and a disabled user.
	Verify(ctx context.Context, name, password string) (*User, error)

	// Group finds one by "id" or "name". NotExist if there is none.
	Group(ctx context.Context, by, value string) (*Group, error)
	// Groups yields those whose name contains search; all if it is empty.
	Groups(ctx context.Context, search string) iter.Seq2[*Group, error]
	// SetGroup creates a group when g.ID is empty and changes one otherwise.
	// Exist when the name is taken.
	SetGroup(ctx context.Context, g *Group) (*Group, error)
	// RemoveGroup also ends the memberships. NotExist if there is none.
	RemoveGroup(ctx context.Context, id GroupID) error
	// Members yields the users in a group. NotExist if there is no such group.
	Members(ctx context.Context, id GroupID) iter.Seq2[*User, error]
	// Join puts a user into a group, where they may be already. NotExist when
	// there is no such user or group.
	Join(ctx context.Context, id GroupID, who UserID) error
	// Leave takes a user out of a group. NotExist when they are not in it.
	Leave(ctx context.Context, id GroupID, who UserID) error
}

// People is the directory with the caller's permissions enforced, and what
// the system keeps of a person beside it. core implements it; protocols use
// it. The caller is CallerFrom(ctx); nobody signed in is Unauthorized
// everywhere, and who lacks the permission gets Permission.
//
// Without ManageUsers a caller learns of others no more than they need to
// share something: ID, Display, Kind, and the mail when that is allowed.
type People interface {
	// User finds one by "id" or "name". By name callers without ManageUsers
	// find themselves only.
	User(ctx context.Context, by, value string) (*User, error)
	// Users is Directory.Users. Without ManageUsers the search must be long
	// enough (else Permission), and what it finds is bounded.
	Users(ctx context.Context, search string) iter.Seq2[*User, error]
	// AddUser makes a user; without a password they cannot sign in. Needs
	// ManageUsers, and ManageRoles for a role other than RoleUser. Exist when
	// the name is taken, Invalid for a password against the policy.
	AddUser(ctx context.Context, u *User, password string) (*User, error)
	// ChangeUser needs ManageUsers, ManageRoles for the role, and SetLanguage
	// for one's own language. Permission, too, for what would leave the system
	// without an administrator.
	ChangeUser(ctx context.Context, id UserID, c UserChange) (*User, error)
	// RemoveUser removes a user and all that is only theirs: personal space,
	// memberships, grants to them, uploads, photo and choices. When it fails on the
	// way the user cannot sign in any more, and it can be tried again. Needs
	// ManageUsers and RemoveHomes; nobody removes themselves.
	//
	// Where removed users are kept for a time, all that is theirs stays until
	// then, but nobody finds them any more. RemoveUser of one who is removed
	// already does not wait for that time.
	RemoveUser(ctx context.Context, id UserID) error
	// RemovedUsers yields those who are kept for a time, the next to go first.
	// These two need ManageUsers.
	RemovedUsers(ctx context.Context) iter.Seq2[*RemovedUser, error]
	// RestoreUser makes a removed user what they were. NotExist if there is none.
	RestoreUser(ctx context.Context, id UserID) (*User, error)
	// Export begins to write all there is of the caller into a new file of
	// their personal space; what stands there goes to the trash. It returns as
	// soon as the file is there; its content is Processing until it is whole,
	// and when it cannot be made the file goes. Permission for another's data,
	// Conflict while an export of the same user is under way or where the
	// folder is missing, Throttled when too many are.
	Export(ctx context.Context, of UserID, path string) error
	// ChangePassword is for the caller's own. Invalid for a wrong current
	// password and for a new one against the policy.
	ChangePassword(ctx context.Context, current, next string) error

	// Sessions are where a user is signed in, the one used last first. Those
	// of others need ManageUsers, here and in what follows.
	Sessions(ctx context.Context, of UserID) ([]Session, error)
	// EndSession ends one; NotExist when the user has no such.
	EndSession(ctx context.Context, of UserID, id string) error
	// EndSessions ends all, but not that of the caller.
	EndSessions(ctx context.Context, of UserID) error
	// LastSignIn is when a user last signed in; zero: never, or nobody knows.
	LastSignIn(ctx context.Context, of UserID) (time.Time, error)
	// Factors are what a user has to sign in with besides the password.
	Factors(ctx context.Context, of UserID) ([]Factor, error)
	// ResetFactors takes them all away from somebody else, who has lost them,
	// and ends the sessions. One's own is Permission: that is done where one
	// signs in.
	ResetFactors(ctx context.Context, of UserID) error

	// Group finds one by "id" or "name".
	Group(ctx context.Context, by, value string) (*Group, error)
	// Groups is Directory.Groups, with the bounds of Users.
	Groups(ctx context.Context, search string) iter.Seq2[*Group, error]
	// These need ManageGroups; Members does with ManageUsers, too.
	SetGroup(ctx context.Context, g *Group) (*Group, error)
	// RemoveGroup removes a group and the grants to it.
	RemoveGroup(ctx context.Context, id GroupID) error
	Members(ctx context.Context, id GroupID) iter.Seq2[*User, error]
	Join(ctx context.Context, id GroupID, who UserID) error
	Leave(ctx context.Context, id GroupID, who UserID) error

	// Photo is a JPEG or PNG; NotExist if there is none.
	Photo(ctx context.Context, of UserID) ([]byte, error)
	// SetPhoto replaces the photo of a user; an empty one removes it. One's
	// own needs ManageSelf or, like those of others, ManageUsers. Invalid for
	// what is no picture, TooLarge beyond the bounds.
	SetPhoto(ctx context.Context, of UserID, photo []byte) error

	// Choices are what a user chose of the Preferences, by id; what is left
	// out has its default. Those of others need ManageSettings.
	Choices(ctx context.Context, of UserID) (map[string]Choice, error)
	// Choose sets one. Needs the permission of the preference, those of others
	// ManageSettings. Invalid for what cannot be chosen.
	Choose(ctx context.Context, of UserID, preference string, c Choice) error

	// Home is the personal space of a user, NotExist when they never had one.
	// That of others needs ManageUsers or ListSpaces, and shows no content.
	Home(ctx context.Context, of UserID) (*Space, error)
}

// MaxPhoto is how large a photo can be, in bytes.
const MaxPhoto = 4 << 20

// A UserChange alters a user. What is nil is left alone.
type UserChange struct {
	Name      *string
	Display   *string
	GivenName *string
	Surname   *string
	Mail      *string
	Language  *string
	Role      *string
	Disabled  *bool
	Password  *string // not empty
}

// A RemovedUser can be restored until a time.
type RemovedUser struct {
	User    *User
	Removed time.Time
	Until   time.Time
}

// Credentials are what lets somebody in besides the password: sessions,
// factors, tokens. Whoever keeps such tells core of it, which calls when an
// account changes. Neither call fails for a user of whom there is nothing.
type Credentials interface {
	// SignOut ends what a password has begun: the sessions of a user, but not
	// that of the caller. Tokens that were made on purpose stay.
	SignOut(ctx context.Context, of UserID) error
	// Forget drops all there is of a user.
	Forget(ctx context.Context, of UserID) error
}

// A Session is a browser or an app in which somebody is signed in.
type Session struct {
	ID     string
	App    string    // its name; empty: a browser
	Device string    // what it says that it runs on: "Firefox, Linux"; may be empty
	From   string    // the address that it was last seen at
	Began  time.Time // when the user signed in
	Seen   time.Time // when it was last used, give or take some minutes
}

// A Factor is something to sign in with besides the password.
type Factor struct {
	Kind FactorKind
	ID   string // of a passkey
	Name string // of a passkey
	Made time.Time
	Used time.Time `json:",omitzero"` // of a passkey; zero: never
	Left int       // how many recovery codes
}

// FactorKind says what a factor is.
type FactorKind string

const (
	Passkey  FactorKind = "passkey"
	Codes    FactorKind = "codes"    // of an app
	Recovery FactorKind = "recovery" // codes on paper
)

// SignIns knows where and with what people sign in. Only core asks it; there
// may be none, when somebody else signs people in.
type SignIns interface {
	// Sessions come in no particular order.
	Sessions(ctx context.Context, of UserID) ([]Session, error)
	// EndSession is NotExist when the user has no such.
	EndSession(ctx context.Context, of UserID, id string) error
	// LastSignIn is zero for who never did.
	LastSignIn(ctx context.Context, of UserID) (time.Time, error)
	Factors(ctx context.Context, of UserID) ([]Factor, error)
	// ResetFactors takes all factors away.
	ResetFactors(ctx context.Context, of UserID) error
}

// A Credential is one of them, as its user may know it: no secret is in it.
type Credential struct {
	Kind    string    // "session", "app token", ...
	Label   string    // what the user calls it, or a program calls itself
	Made    time.Time // this and the others: zero if not known
	Used    time.Time
	Expires time.Time
}

// CredentialList is what Credentials may be, too: they say what they keep.
type CredentialList interface {
	List(ctx context.Context, of UserID) iter.Seq2[Credential, error]
}

// Profiles keeps small documents that belong to users, whichever directory
// knows them. Only core asks it. A document is replaced whole, durably.
type Profiles interface {
	// Document is NotExist if there is none of that name.
	Document(ctx context.Context, of UserID, name string) ([]byte, error)
	// SetDocument replaces one; an empty body removes it.
	SetDocument(ctx context.Context, of UserID, name string, body []byte) error
	// DropDocuments removes all documents of a user; none are no error.
	DropDocuments(ctx context.Context, of UserID) error
}
