package cloud

import "context"

// A Caller is on whose behalf something is done.
type Caller struct {
	User *User // nil: nobody, or the holder of a link
	// Visitor is set when the caller holds a link and has shown its password.
	// One with a User, too, is a user who visits: they have the rights of the
	// link alone.
	Visitor *Visitor
	// Session is the id of the one that the caller's credentials belong to;
	// empty for those that belong to none, such as a password.
	Session string
	Proof   Proof
	// Initiator is the client's name for itself in this request (header
	// Initiator-ID), so that it knows the echo of its own changes.
	Initiator string
}

// A Proof is what a caller showed to be let in.
type Proof uint8

const (
	BySession  Proof = iota // a token of who has signed in
	ByPassword              // name and password, with this very request
	ByAppToken              // what a user gave to a program in the place of the password
	ByURL                   // the address itself is signed, and whoever has it may read
	ByMachine               // a part of the system, on behalf of a user or on its own
)

type callerKey struct{}

// WithCaller puts the caller into the context. auth does it once for each request.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom is read by core, to decide, and by stores, to name who did it in the journal.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// A Visitor is the holder of a link.
type Visitor struct {
	Token string
	Share ShareID
	Of    Ref // the node of the link; Path is empty
	// Internal: the link gives no rights. It names the node to those who may
	// see it anyway.
	Internal bool
}

// InPerson tells whether the user has signed in, and not a program or an
// address that the user gave away. Only such a caller may change how somebody
// signs in: what was given away must be possible to take back.
func (c Caller) InPerson() bool { return c.User != nil && c.Proof <= ByPassword }

// ID is empty for nobody.
func (c Caller) ID() UserID {
	if c.User == nil {
		return ""
	}
	return c.User.ID
}

// Via is the link that the caller came by; empty for none.
func (c Caller) Via() ShareID {
	if c.Visitor == nil {
		return ""
	}
	return c.Visitor.Share
}
