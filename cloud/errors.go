package cloud

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// A Kind says what went wrong, for code to act on. Kinds are errors
// themselves: errors.Is(err, cloud.NotExist) is the only test there is.
type Kind uint8

const (
	Other        Kind = iota
	Invalid           // the request makes no sense
	NotExist          // no such thing, or none the caller may know of
	Exist             // the name is taken
	Permission        // the caller is known, and may not
	Unauthorized      // the caller is not known
	Conflict          // the parent is missing, or a move makes a cycle
	Precondition      // an ETag or If header did not match
	Locked            // somebody else holds the lock
	Full              // the quota or the disk is used up
	BadSum            // the body is not what was announced
	TooLarge          // the request is beyond a limit
	Processing        // the content is not ready yet
	Throttled         // too many tries; later
	NotSupported      // this server or driver cannot
	TooOld            // the cursor points to what the journal no longer holds
	Unavailable       // try again later
)

// Face is how a Kind looks to each protocol. This table is the only place
// that knows. OCS codes are those of API version 1; version 2 takes HTTP.
type Face struct {
	Text  string
	HTTP  int
	Sabre string // Sabre\DAV\Exception\...
	OData string
	OCS   int
	GRPC  uint32 // a number, because cloud imports nothing
}

var faces = [...]Face{
	Other:        {"Something went wrong on the server. Try again, and tell your administrator the request id if it stays.", 500, "InternalServerError", "generalException", 996, 13},
	Invalid:      {"The request is not valid.", 400, "BadRequest", "invalidRequest", 400, 3},
	NotExist:     {"There is nothing here, or nothing you may see.", 404, "NotFound", "itemNotFound", 998, 5},
	Exist:        {"The name is already taken.", 409, "Conflict", "nameAlreadyExists", 409, 6},
	Permission:   {"You may not do that here.", 403, "Forbidden", "accessDenied", 403, 7},
	Unauthorized: {"You need to sign in.", 401, "NotAuthenticated", "unauthenticated", 997, 16},
	Conflict:     {"The target folder does not exist.", 409, "Conflict", "invalidRequest", 409, 9},
	Precondition: {"It was changed in the meantime.", 412, "PreconditionFailed", "preconditionFailed", 412, 9},
	Locked:       {"It is locked. Wait until the lock is released.", 423, "Locked", "itemIsLocked", 423, 10},
	Full:         {"There is not enough space left.", 507, "InsufficientStorage", "quotaLimitReached", 507, 8},
	BadSum:       {"The content arrived damaged: its checksum does not match. Send it again.", 400, "BadRequest", "invalidRequest", 400, 3},
	TooLarge:     {"The request is too large.", 413, "BadRequest", "invalidRequest", 413, 3},
	Processing:   {"The file is still being processed. Try again in a moment.", 425, "TooEarly", "serviceNotAvailable", 425, 14},
	Throttled:    {"Too many attempts. Wait a while and try again.", 429, "TooManyRequests", "activityLimitReached", 429, 8},
	NotSupported: {"This is not supported here.", 501, "NotImplemented", "notSupported", 501, 12},
	TooOld:       {"The change cursor is too old. Start over with a full listing.", 410, "Gone", "resyncRequired", 410, 11},
	Unavailable:  {"The storage is not available right now. Try again later.", 503, "ServiceUnavailable", "serviceNotAvailable", 996, 14},
}

// Kinds is how many there are, for tests that go through all.
const Kinds = len(faces)

func (k Kind) Face() Face    { return faces[k] }
func (k Kind) Error() string { return faces[k].Text }

// An Error adds to a cause what was being done, and to what.
type Error struct {
	Op   string // "posix.Move"
	Ref  Ref
	Kind Kind
	Say  string // for the user: a sentence that says what to do; may be empty
	Err  error
}

// E builds an Error whose kind and sentence are those of err. E(op, ref, nil)
// is nil. Use it once, at the border of a package.
func E(op string, ref Ref, err error) error {
	if err == nil {
		return nil
	}
	return &Error{op, ref, KindOf(err), Say(err), err}
}

// Refuse is an error of kind k with a sentence for the user.
func Refuse(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Say: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	msg := e.Say
	if e.Err != nil {
		msg = e.Err.Error()
	} else if msg == "" {
		msg = e.Kind.Error()
	}
	if e.Op == "" {
		return msg
	}
	return e.Op + " " + e.Ref.String() + ": " + msg
}

func (e *Error) Unwrap() error        { return e.Err }
func (e *Error) Is(target error) bool { return target == error(e.Kind) }

// KindOf is the kind of the outermost Error or Kind in err's tree, or what
// the operating system's error amounts to. fs.ErrPermission is Other: the
// rights of the server, not of the caller.
func KindOf(err error) Kind {
	var e *Error
	var k Kind
	switch {
	case err == nil:
		return Other
	case errors.As(err, &e):
		return e.Kind
	case errors.As(err, &k):
		return k
	case errors.Is(err, fs.ErrNotExist):
		return NotExist
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENOTEMPTY):
		return Exist
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return Full
	case errors.Is(err, syscall.ENAMETOOLONG):
		return Invalid
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EIO):
		return Unavailable
	}
	return Other
}

// Say is the sentence for the user in err, or empty: then Face.Text serves.
func Say(err error) string {
	var e *Error
	for errors.As(err, &e) {
		if e.Say != "" {
			return e.Say
		}
		err = e.Err
	}
	return ""
}
