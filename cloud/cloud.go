// Package cloud defines the nouns of the system and the interfaces between
// its parts. It holds no behaviour beyond what a value can say of itself, and
// it imports the standard library and nothing else; everything else imports it.
//
// Read this file top to bottom and you know the system: nodes in spaces,
// grants on nodes, a store that keeps them, the rules over the store (Files,
// Uploads), and the journal that says what changed. Who they are for, users
// and groups, is in people.go.
package cloud

import (
	"context"
	"io"
	"iter"
	"time"
)

// Identifiers are opaque: only the part that minted one may look inside.
type (
	UserID   string // a UUID for our own users, whatever the directory says for others
	GroupID  string
	SpaceID  string // "<storage>$<space>", both UUIDs
	NodeID   string // a UUID, unique within its space; the reserved ones are in ids.go
	ShareID  string // a UUID
	UploadID string // 1 to 128 of A-Z, a-z, 0-9, "-" and "_"
)

// A Ref names a node: a path relative to a node of a space. An empty Node is
// the root of the space, an empty Path is Node itself. Path has no leading or
// trailing slash, no empty, "." or ".." element; CleanPath makes it so.
type Ref struct {
	Space SpaceID
	Node  NodeID
	Path  string
}

// A Node is a file or a directory. Every part of the system passes this one
// type; protocols render it, stores keep it, and nothing wraps it.
//
// Nodes are values handed out: a receiver may keep one and must not change
// the maps and slices in it.
type Node struct {
	ID     NodeID
	Space  SpaceID
	Parent NodeID // empty at the root, TrashID in the bin
	Name   string // empty at the root
	// Path is from the root of the space (or of the bin), like Ref.Path. Files
	// shows no more of it than the caller may know: from the highest directory
	// on that is theirs to see, which then has neither Path nor Parent.
	Path   string
	Dir    bool
	Size   int64     // of a directory: of everything below it
	MTime  time.Time // of a directory: of the last change at or below it
	ETag   string    // opaque, unquoted; changes when the node's content or anything below it changes
	Sums   Sums      // of a file
	State  State
	Traits Traits            // which of the next three it has, so that a listing need not load them
	Grants []Grant           // made on this node; those on its ancestors hold too. From Files: those the caller may see
	Locks  []Lock            // from a Store: on this node; from Files: also the deep ones above, none expired
	Attrs  map[string]string // dead properties, tags, favourites: see attrs.go
	Bin    *Bin              // not nil for a direct entry of the bin

	// Rights are what the caller at hand may do with the node; a Store leaves
	// them zero. To move, rename or delete a node one needs the right to from
	// above: what was granted on the very node is for what it holds.
	Rights Rights
}

// A Bin entry's former life.
type Bin struct {
	Path    string // the path it had
	Deleted time.Time
	By      UserID
}

// A Space is a tree of nodes with members and a quota.
type Space struct {
	ID          SpaceID
	Kind        SpaceKind
	Name        string
	Alias       string // "personal/einstein"
	Description string
	Owner       UserID // of a personal space; a project has members only
	Quota       int64  // bytes; 0 is unlimited
	Made        time.Time
	Disabled    time.Time // zero while enabled

	Root *Node // always set by Store and Files; ignored by SetSpace, except that a new space takes Root.Grants
	Free int64 // bytes that may still be written, by quota and disk; filled in by Files
}

// SpaceKind is a drive type of the Graph API.
type SpaceKind string

const (
	Personal SpaceKind = "personal"
	Project  SpaceKind = "project"
)

// A Subject is whom a grant is for. Exactly one field is set, but Files and
// Shares leave out the token of a link that gives more than the caller has.
type Subject struct {
	User  UserID  `json:",omitempty"`
	Group GroupID `json:",omitempty"`
	Link  string  `json:",omitempty"` // the token of a link: whoever knows it
}

// A Grant gives a subject rights on a node and on everything below it. What
// was granted to a user or group without any rights denies: of what is granted
// further up nothing holds there and below, and nothing else on the node
// itself. It does not bind who may deny there, so that nobody is locked out of
// what they manage; but the links from above end there for everybody, because
// anybody may hold one.
type Grant struct {
	ID      ShareID // stays when the grant changes
	To      Subject
	Rights  Rights
	By      UserID    `json:",omitempty"`
	Made    time.Time `json:",omitzero"`
	Expires time.Time `json:",omitzero"`  // zero: never
	Link    *Link     `json:",omitempty"` // of a grant to the holders of a link
}

// A Link is what there is to say of a link beside its grant. One without
// rights is internal: it names the node to those who may see it anyway.
type Link struct {
	Name  string `json:",omitempty"`
	Quick bool   `json:",omitempty"` // the one for "copy link"; one a node at most
	// Secret is the hash of a password, empty for none. It leaves core as
	// Protected only.
	Secret    string `json:",omitempty"`
	Protected bool   `json:"-"`
}

// A Lock is a WebDAV lock (RFC 4918, section 6).
type Lock struct {
	Token   string // "urn:uuid:..."
	By      UserID
	Owner   string    `json:",omitempty"` // what the client said of its owner: XML, kept as sent
	Shared  bool      `json:",omitempty"`
	Deep    bool      `json:",omitempty"` // depth infinity: holds for everything below, too
	Expires time.Time // at the latest MaxLock from now
	Timeout time.Duration

	// Filled in by Files: the node that carries the lock.
	Node NodeID `json:"-"`
	Path string `json:"-"`
}

// State says whether a file's content may be read.
type State uint8

const (
	Ready   State = iota
	Pending       // the content is not ready yet
	Quarantined
)

// Conditions are what a caller demands of a node before it is touched.
// Zero values ask for nothing. They are arguments, never headers, so that no
// protocol can forget one.
type Conditions struct {
	IfMatch     string   `json:",omitempty"` // Precondition unless the ETag is this; "*": must exist
	IfNoneMatch string   `json:",omitempty"` // Precondition if the ETag is this; "*": must not exist
	Tokens      []string `json:",omitempty"` // of the locks that the caller holds; Locked when one is missing
}

// A Put says how to write a file.
type Put struct {
	Conditions
	Size  int64     // as announced; -1: unknown. A shorter or longer body is Invalid
	MTime time.Time `json:",omitzero"`  // zero: now
	Sum   string    `json:",omitempty"` // "SHA1:<hex>", "MD5:...", "ADLER32:...": BadSum unless the body has it
}

// A Transfer says how to move or copy a node.
type Transfer struct {
	Conditions      // of the source; tokens of both ends
	Over       bool // replace what stands at the target (it goes to the trash); else Precondition
	Shallow    bool // copy a directory without its members
}

// A Change alters metadata. What is nil or absent is left alone.
type Change struct {
	Conditions
	MTime *time.Time
	Attrs map[string]*string // nil value: remove
}

// Files is the heart: spaces and nodes, with the caller's rights enforced.
// core implements it; protocols use it. The caller is CallerFrom(ctx); nobody
// signed in is Unauthorized everywhere.
//
// A node of which the caller may not even know is NotExist; one that may be
// known but not used in the wanted way is Permission. Every method may also
// return Invalid for a malformed Ref and Unavailable when the storage fails.
type Files interface {
	// Spaces yields the spaces that the caller is a member of, disabled ones
	// included, and makes the caller's personal space when it is missing. The
	// last one is the Shares space.
	Spaces(ctx context.Context) iter.Seq2[*Space, error]
	// AllSpaces yields those of others, too, for a caller with ListSpaces. Of
	// these it tells no more than what the Space says, and nothing of what is
	// below the root.
	AllSpaces(ctx context.Context) iter.Seq2[*Space, error]
	Space(ctx context.Context, id SpaceID) (*Space, error)
	// Home is the caller's personal space, made on first use.
	Home(ctx context.Context) (*Space, error)
	// SetSpace creates a project space when s.ID is empty, and otherwise
	// changes name, alias, description, quota and Disabled. Creating needs the
	// permission CreateSpaces, changing the right to manage the space.
	SetSpace(ctx context.Context, s *Space) (*Space, error)
	// RemoveSpace disables a space, or with purge removes for good a disabled
	// one, or a personal one whose owner is no more.
	RemoveSpace(ctx context.Context, id SpaceID, purge bool) error

	Stat(ctx context.Context, ref Ref) (*Node, error)
	// List yields the children of a directory in no particular order. Attrs may
	// be left out, as Traits tells; Stat has them. Grants are there.
	List(ctx context.Context, ref Ref) iter.Seq2[*Node, error]
	// Open returns a file's content, or that of one of its versions when
	// version is not empty, and the node it belongs to. The content is that of
	// the returned ETag even when the file is replaced meanwhile. Processing
	// while the content is not ready, Invalid for a directory.
	Open(ctx context.Context, ref Ref, version string) (io.ReadSeekCloser, *Node, error)
	// Put writes a file; made says that it is new. The parent must exist
	// (Conflict). It returns once the write is durable.
	//
	// Who may add to a directory, but neither list nor read what is there,
	// replaces nothing and learns nothing: a name that is taken gets a number,
	// a folder that is there already counts as made, and the node that comes
	// back is as if all had been free.
	Put(ctx context.Context, ref Ref, body io.Reader, how Put) (n *Node, made bool, err error)
	// MakeDir is Exist when the name is taken, Conflict when the parent is missing.
	MakeDir(ctx context.Context, ref Ref, how Conditions) (*Node, error)
	// Move and Copy work within and across spaces; made says that nothing was
	// replaced. Across spaces a move keeps the versions; when it is cut short
	// the node may stand at both ends, never at none.
	Move(ctx context.Context, from, to Ref, how Transfer) (n *Node, made bool, err error)
	Copy(ctx context.Context, from, to Ref, how Transfer) (n *Node, made bool, err error)
	// Remove moves a node into the trash of its space.
	Remove(ctx context.Context, ref Ref, how Conditions) error
	Change(ctx context.Context, ref Ref, c Change) (*Node, error)

	// Lock takes a lock, or makes one longer when want.Token is set and held
	// by the caller. Where nothing exists an empty file is made (RFC 4918,
	// section 7.3). Locked when another lock stands in the way.
	Lock(ctx context.Context, ref Ref, want Lock, how Conditions) (l Lock, n *Node, made bool, err error)
	// Unlock needs the caller to have taken the lock; Conflict when the node
	// is not in the scope of the token (RFC 4918, section 9.11.1).
	Unlock(ctx context.Context, ref Ref, token string) error

	// Versions yields the earlier contents of a file, newest first; Name is the key.
	Versions(ctx context.Context, ref Ref) iter.Seq2[*Node, error]
	// Revert makes a version the current content; what was current becomes a version.
	Revert(ctx context.Context, ref Ref, version string, how Conditions) (*Node, error)

	// Trash yields the entries of the bin of ref.Space when ref.Node is empty
	// or TrashID, and otherwise the named entry (or what lies below it at
	// ref.Path) followed by its children. ref.Node is the id of a bin entry.
	Trash(ctx context.Context, ref Ref) iter.Seq2[*Node, error]
	// Restore moves something out of the bin; ref as for Trash. An empty
	// to.Space restores to where it was.
	Restore(ctx context.Context, ref, to Ref, over bool) (n *Node, made bool, err error)
	// Purge drops something in the bin for good; all of it when ref.Node is empty.
	Purge(ctx context.Context, ref Ref) error
}

// Uploads are writes that arrive in pieces. Only who began an upload may
// know of it; to all others it is NotExist.
type Uploads interface {
	// Begin checks all that can be checked before the first byte. An upload of
	// size 0 is complete at once: see Upload.Node.
	Begin(ctx context.Context, ref Ref, how Put) (*Upload, error)
	// Append adds to the end; Conflict when offset is not the end. What it
	// acknowledges is durable; on an error the bytes read so far are kept and
	// Upload tells how many. Nothing is kept of a body that is too long
	// (Invalid) or whose own last error is BadSum. The last byte completes the
	// upload.
	Append(ctx context.Context, id UploadID, offset int64, body io.Reader) (*Upload, error)
	// Upload tells how far an upload is. One that has all its bytes but is not
	// complete (the server was killed, the file locked) is completed first, and
	// fails as Append would.
	Upload(ctx context.Context, id UploadID) (*Upload, error)
	Cancel(ctx context.Context, id UploadID) error
}

// An Upload is content on its way into a file.
type Upload struct {
	ID      UploadID
	Dir     Ref // the directory; Path is empty
	Name    string
	How     Put // Size is never negative
	By      UserID
	Offset  int64 `json:"-"` // bytes that are safe
	Expires time.Time

	Node *Node `json:"-"` // the file, once complete
	Made bool  `json:"-"` // it is new
}

// Store keeps nodes and their content. It knows nothing of rights, quotas,
// shares or HTTP: those exist once, in core. It reads the caller from the
// context for one thing: to say in the journal who did it.
//
// The trash and the versions are nodes, too: the bin is the directory
// TrashID, the versions of a file are the children of VersionsOf(id). To
// delete is to Move into TrashID, to restore is to Move out of it, to purge
// is to Drop. In the bin a node and all below it keep their ids.
//
// A node that is moved, trashed or restored keeps its ETag, those of all
// directories above both ends change. Attributes and grants of a file change
// those of the directories above it.
//
// A mutation is durable when its method returns, together with its record in
// the journal, and visible to nobody before it is whole. Names are as given,
// byte for byte. Every Store passes storagetest.
type Store interface {
	Spaces(ctx context.Context) iter.Seq2[*Space, error]
	Space(ctx context.Context, id SpaceID) (*Space, error)
	// SetSpace creates the space s.ID, or changes what the Space says of
	// itself (not Root, not Kind). NewSpaceID mints ids.
	SetSpace(ctx context.Context, s *Space) (*Space, error)
	NewSpaceID(kind SpaceKind, owner UserID) SpaceID
	DropSpace(ctx context.Context, id SpaceID) error
	// Free is how many bytes the disk can still take.
	Free(ctx context.Context) (int64, error)

	// Node finds a node by id, also in the bin and among versions.
	Node(ctx context.Context, s SpaceID, id NodeID) (*Node, error)
	// Lookup follows a path from a node; an empty from is the root.
	Lookup(ctx context.Context, s SpaceID, from NodeID, path string) (*Node, error)
	// Ancestors is the chain of ids from the root (or TrashID) to the node, both included.
	Ancestors(ctx context.Context, s SpaceID, id NodeID) ([]NodeID, error)
	// Children yields a directory's members; those of TrashID have Bin set,
	// those of VersionsOf come newest first. Traits says what else there is:
	// Grants, Locks and Attrs may be left out; Node loads them.
	Children(ctx context.Context, s SpaceID, dir NodeID) iter.Seq2[*Node, error]
	// Having yields all nodes of a space with one of the traits, those in the
	// bin included, with grants, locks and attributes loaded, without walking
	// the tree.
	Having(ctx context.Context, s SpaceID, t Traits) iter.Seq2[*Node, error]

	// Open returns the content and the node it belongs to, as one. A local
	// file comes as *os.File so that it can be sent without copying.
	Open(ctx context.Context, s SpaceID, id NodeID) (io.ReadSeekCloser, *Node, error)
	// MakeDir is Exist when the name is taken, Conflict when dir is no directory.
	MakeDir(ctx context.Context, s SpaceID, dir NodeID, name string) (*Node, error)
	// Write makes a file or replaces its content.
	Write(ctx context.Context, w Write) (n *Node, made bool, err error)
	// Move is Exist when the name is taken, Conflict when dir is no directory
	// or lies below the node. Into TrashID the name is ignored. Versions,
	// grants, attributes and id go along.
	Move(ctx context.Context, s SpaceID, id, dir NodeID, name string) (*Node, error)
	// Drop removes a node and all below it for good, versions and all; a
	// version alone when id is one.
	Drop(ctx context.Context, s SpaceID, id NodeID) error
	// Edit lets fn alter MTime, State, Grants, Locks and Attrs of a node and
	// keeps the result, atomically; an error of fn leaves all as it was and is
	// returned. Locks alone do not touch the ETag of anything.
	Edit(ctx context.Context, s SpaceID, id NodeID, fn func(*Node) error) (*Node, error)

	// SetUpload begins an upload (u.ID is given). Its bytes come by
	// AppendUpload and are seen by nobody until a Write names it.
	SetUpload(ctx context.Context, u *Upload) error
	Upload(ctx context.Context, s SpaceID, id UploadID) (*Upload, error)
	Uploads(ctx context.Context, s SpaceID) iter.Seq2[*Upload, error]
	// AppendUpload is Conflict unless offset is the end, Invalid when the body
	// goes beyond u.How.Size. It returns how many bytes are safe, also with an
	// error. Of a body that is too long, or that ends in BadSum, nothing is kept.
	AppendUpload(ctx context.Context, s SpaceID, id UploadID, offset int64, body io.Reader) (next int64, err error)
	DropUpload(ctx context.Context, s SpaceID, id UploadID) error

	// Since yields what the journal holds after a cursor, in order: of one
	// space, or of all when s is empty. TooOld means: walk the tree, then follow.
	Since(ctx context.Context, s SpaceID, after Cursor) iter.Seq2[*Record, error]
	// Last is the newest cursor there is.
	Last() Cursor
	// Wait returns when Last is behind a cursor, or with the error of ctx. It
	// costs those who write next to nothing. Unavailable when nothing can be
	// written any more.
	Wait(ctx context.Context, after Cursor) error
	// Close makes everything durable in its place and lets go of the storage.
	Close() error
}

// A Write is content for a file of a Store.
type Write struct {
	Space SpaceID
	Dir   NodeID // Conflict when it is no directory; a VersionsOf id files the content as an old version
	Name  string // of an old version: its key
	ID    NodeID // for a new file; empty: mint one

	// The content: of Body, or of an upload that ends with this write.
	Body   io.Reader
	Upload UploadID
	Size   int64     // of Body; -1: unknown; else Invalid when it differs
	Limit  int64     // Full as soon as Body is longer; 0: no limit
	Sum    string    // BadSum unless the content has it
	MTime  time.Time // zero: now
	State  State

	// Check, when set, has the last word: it is called when the content is
	// whole and nobody else can touch the name, with what stands there (nil:
	// nothing) and the new size. It may read the store but not alter it. An
	// error ends the write and is returned as is.
	Check func(now *Node, size int64) error
	// Fresh refuses to replace: Exist when the name is taken. Otherwise a file
	// is replaced and keeps its id, grants and attributes; a directory is Exist.
	Fresh bool
	// Keep makes the replaced content a version.
	Keep bool
}
