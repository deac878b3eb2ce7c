package idp

import (
	"sync"
	"time"

	"opencloud/auth/idp/session"
)

// codeLife is how long a client has to fetch its tokens.
const codeLife = time.Minute

// A code stands for one sign-in until a client has fetched its tokens, and
// for a while after, so that a second try is known for what it is.
type code struct {
	client    *client
	redirect  string
	challenge string
	scope     string
	nonce     string
	session   session.Session // the browser's, as it was

	token, app string // ids of the access token and of the app's session to be made

	mu   sync.Mutex // held while the tokens are made
	used bool
}
