package cloud

import "context"

// A Caller is on whose behalf something is done.
type Caller struct {
	User *User // nil: nobody
	// Session is the id of the one that the caller's credentials belong to;
	// empty for those that belong to none, such as a password.
	Session string
	// Initiator is the client's name for itself in this request (header
	// Initiator-ID), so that it knows the echo of its own changes.
	Initiator string
}

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

// ID is empty for nobody.
func (c Caller) ID() UserID {
	if c.User == nil {
		return ""
	}
	return c.User.ID
}
