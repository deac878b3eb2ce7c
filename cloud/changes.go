package cloud

import (
	"context"
	"iter"
	"time"
)

// Changes is the journal as far as a caller may know of it: what is different
// in a space since they last asked, and what happens while they listen. core
// implements it. The caller is CallerFrom(ctx); nobody signed in is
// Unauthorized.
type Changes interface {
	// Changes is one page of what is different in a space. It costs what has
	// changed, not what there is. NotExist for a space of which the caller
	// cannot list the root; Invalid for a token that was made for another
	// user or another space, by nobody or, when there are more pages to come,
	// for another kind of feed; TooOld when
	// one has to start over without a token, because the journal does not
	// reach back that far or the caller sees more or less of the space than
	// before.
	Changes(ctx context.Context, f Feed) (*Page, error)
	// Watch yields what happens behind a cursor that the caller may know of,
	// as it comes; behind 0 is from now on. It ends with ctx, or with an error:
	// Unauthorized when the caller may no longer be signed in. The first notice
	// is empty and says that it listens: what happens later is not missed. So is
	// one when there was nothing to tell for as long as beat, never when that is 0.
	Watch(ctx context.Context, after Cursor, beat time.Duration) iter.Seq2[*Notice, error]
}

// A Feed is a question about what is different in a space.
type Feed struct {
	Space SpaceID
	// After is Page.Next of an earlier page of the same feed. Empty asks for
	// all there is, Latest for nothing but a token.
	After string
	Limit int // most differences on a page; 0: as many as is good
	// ByPath is for clients that know nodes by their paths: for them what is
	// moved goes from one path and comes to another, with all below it.
	ByPath bool
	// Flat leaves out what is deeper than the members of the root. These
	// change with what is below them.
	Flat bool
}

// Latest is a Feed.After.
const Latest = "latest"

// A Page is an answer to a Feed.
type Page struct {
	Diffs []Diff
	Next  string
	// More says that there are more pages of the same answer. Only with the
	// last of them the client's picture is whole: until then something may
	// come before the folder that it is in, or not be gone yet. What does not
	// hang together with the root even then has gone meanwhile.
	More bool
}

// A Diff is a node that is new or different, as it is now, or one that is
// gone: moved to the trash, dropped, or out of sight, with all that is below it
// and not told of in another place. By path, what is gone is told before what
// has come, and to a path from which something has gone something else comes
// on a later page only. The same node can come twice, and a client may hear of
// one that it has never known.
type Diff struct {
	Node *Node // of what is gone only Space, ID and Dir
	Gone bool
	Was  string // by path: where it was that is gone
}

// A Notice is something that has happened. One without a Record and Gap says
// that nothing has.
type Notice struct {
	// Record is what happened. Not all that it says is for the caller.
	Record *Record
	// Gap says that the caller has missed something and has to look at
	// everything anew.
	Gap bool
	// At is where to go on from, when a listener was cut off.
	At Cursor
	// Node is as it is now for the caller; nil when they cannot see it any more.
	Node *Node
	// Parent is the directory that it is in or, without Node, was in, if the
	// caller may know of that.
	Parent NodeID
}
