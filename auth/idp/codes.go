package idp

import (
	"maps"
	"sync"
	"time"

	"opencloud/cloud"
)

// codeLife is how long a client has to fetch its tokens.
const codeLife = time.Minute

// Bounds on codes that are out: of one user, and of all.
const (
	maxCodesOfUser = 100
	maxCodes       = 100_000
)

// A code stands for one sign-in until a client has fetched its tokens, and
// for a while after, so that a second try is known for what it is. Codes are
// in memory only: a client whose code a restart has lost begins anew.
type code struct {
	client    *client
	redirect  string
	challenge string
	scope     string
	nonce     string
	session   session // the browser's, as it was
	expires   time.Time

	token, app string // ids of the access token and of the app's session to be made

	mu   sync.Mutex // held while the tokens are made
	used bool
}

// codes are known by their digests.
type codes struct {
	mu     sync.Mutex
	byHash map[string]*code
	ofUser map[cloud.UserID]int
	sweep  time.Time
}

func newCodes() codes {
	return codes{byHash: map[string]*code{}, ofUser: map[cloud.UserID]int{}}
}

// add makes a code; empty when there are too many.
func (c *codes) add(x *code) string {
	now := time.Now()
	x.expires = now.Add(codeLife)
	x.token, x.app = random(16), random(16)
	c.mu.Lock()
	defer c.mu.Unlock()
	if full := c.full(x); full || !now.Before(c.sweep) {
		c.sweep = now.Add(codeLife)
		maps.DeleteFunc(c.byHash, func(_ string, o *code) bool {
			if now.Before(o.expires) {
				return false
			}
			if c.ofUser[o.session.User]--; c.ofUser[o.session.User] == 0 {
				delete(c.ofUser, o.session.User)
			}
			return true
		})
		if full && c.full(x) {
			return ""
		}
	}
	secret := random(32)
	c.byHash[digest(secret)] = x
	c.ofUser[x.session.User]++
	return secret
}

func (c *codes) full(x *code) bool {
	return len(c.byHash) >= maxCodes || c.ofUser[x.session.User] >= maxCodesOfUser
}

// find is the code of a secret; nil if there is none or it has expired.
func (c *codes) find(secret string) *code {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.byHash[digest(secret)]; x != nil && time.Now().Before(x.expires) {
		return x
	}
	return nil
}
