// Package auth finds out, once for each request, who is calling, and puts it
// into the context. It does not decide what a caller may do, and it knows no
// route: who builds the routes says which of them are open.
package auth

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"opencloud/auth/basic"
	"opencloud/cloud"
)

// Options say how people may sign in and how often they may guess.
type Options struct {
	Basic      bool          `yaml:"enable_basic_auth" env:"PROXY_ENABLE_BASIC_AUTH" default:"true" doc:"Accept user name and password with each request (HTTP Basic)."`
	Guesses    int           `yaml:"guesses" env:"OC_AUTH_GUESSES" default:"20" doc:"Wrong passwords in a row that an account takes before it answers 429."`
	GuessEvery time.Duration `yaml:"guess_every" env:"OC_AUTH_GUESS_EVERY" default:"10s" doc:"How long it takes until one more guess at an account is allowed; 0 is no limit."`
}

// A Scheme is one way to say who is calling in the Authorization header.
type Scheme interface {
	// Name is the first word of the header. Of schemes with the same name each
	// is asked until one knows who it is.
	Name() string
	// Challenge is the value of WWW-Authenticate that asks for the scheme;
	// empty for one that is not for people.
	Challenge() string
	// Verify says who has the credentials, Unauthorized for nobody. Before it
	// checks anything that could be guessed it calls try with the account that
	// the guess would be at; an error of try is returned as it is.
	Verify(ctx context.Context, credentials string, try func(account string) error) (cloud.Caller, error)
}

// A Door is a way in without that header, by something else in the request.
type Door interface {
	// Enter says who calls; ok is false when the request has nothing of what
	// the door looks at. Otherwise it is as Scheme.Verify. r.URL is without the
	// base path.
	Enter(r *http.Request, try func(account string) error) (c cloud.Caller, ok bool, err error)
}

// A Gate is where some requests have to pass whatever their Authorization
// header says: that may be for the gate, or say who passes.
type Gate interface {
	// Pass is as Door.Enter. signed says who the header names, nobody if it
	// does not hold.
	Pass(r *http.Request, signed func() cloud.Caller, try func(account string) error) (c cloud.Caller, ok bool, err error)
}

// Auth finds the caller of a request.
type Auth struct {
	gates   []Gate
	schemes []Scheme
	doors   []Door
	basic   *basic.Basic // one of schemes, or nil
	guard   *guard
	more    func(*cloud.User) bool
}

// New lists the schemes: best first, since clients take the first that they know.
func New(dir cloud.Directory, opts Options) *Auth {
	a := &Auth{guard: newGuard(opts.Guesses, opts.GuessEvery)}
	if opts.Basic {
		a.offerBasic().Passwords(dir)
	}
	return a
}

func (a *Auth) offerBasic() *basic.Basic {
	if a.basic == nil {
		a.basic = basic.New()
		a.schemes = append(a.schemes, a.basic)
	}
	return a.basic
}

// AddTokens lets app tokens in by HTTP Basic, whether passwords are taken
// there or not. It must not be called any more once requests come.
func (a *Auth) AddTokens(t basic.Tokens) { a.offerBasic().Tokens(t) }

// AddDoor adds a way in for requests without Authorization header. It must
// not be called any more once requests come.
func (a *Auth) AddDoor(d Door) { a.doors = append(a.doors, d) }

// AddGate adds a gate. It must not be called any more once requests come.
func (a *Auth) AddGate(g Gate) { a.gates = append(a.gates, g) }

// Add puts a scheme before the others. It must not be called any more once
// requests come.
func (a *Auth) Add(s Scheme) { a.schemes = append([]Scheme{s}, a.schemes...) }

// NeedsMore sets who cannot come in with name and password alone. It must not
// be called any more once requests come.
func (a *Auth) NeedsMore(more func(*cloud.User) bool) { a.more = more }

// Guess runs check, which tells whether what somebody sent from a remote
// address (as in http.Request) gets them into an account, if another guess is
// allowed: else Throttled. It is for doors that are no Scheme, such as a form.
func (a *Auth) Guess(remote, account string, check func() (*cloud.User, error)) (*cloud.User, error) {
	g := a.guard.guess(network(remote))
	if err := g.at(basic.Account(account)); err != nil {
		return nil, err
	}
	u, err := check()
	if err == nil {
		g.right()
	}
	return u, err
}

// Challenges are the values of WWW-Authenticate, best first.
func (a *Auth) Challenges() []string {
	var all []string
	for _, s := range a.schemes {
		if c := s.Challenge(); c != "" {
			all = append(all, c)
		}
	}
	return all
}

// maxInitiator is what a client may take to name itself, in bytes.
const maxInitiator = 128

// Wrap puts the caller into the context of the requests to next. Without
// valid credentials the request fails with Unauthorized, or Throttled, unless
// the route is open: then nobody calls. r.RemoteAddr must be the client's.
func (a *Auth) Wrap(next http.Handler, open bool, fail func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := a.caller(r)
		if err != nil && !open {
			var t *throttled
			if errors.As(err, &t) {
				w.Header().Set("Retry-After", strconv.Itoa(t.seconds()))
			} else if cloud.KindOf(err) == cloud.Unavailable {
				w.Header().Set("Retry-After", "5")
			}
			fail(w, r, cloud.E("auth", cloud.Ref{}, err))
			return
		}
		if name := r.Header.Get("Initiator-ID"); len(name) <= maxInitiator {
			c.Initiator = name
		}
		next.ServeHTTP(w, r.WithContext(cloud.WithCaller(r.Context(), c)))
	})
}

// Still is Unauthorized when the credentials of a request that goes on for long
// are not good any more.
func (a *Auth) Still(r *http.Request) error {
	_, err := a.caller(r)
	if cloud.KindOf(err) != cloud.Unauthorized { // too many guesses of others are no reason
		err = nil
	}
	return err
}

// caller is who comes with the request, nobody with an error if nobody does.
func (a *Auth) caller(r *http.Request) (cloud.Caller, error) {
	signed := func() cloud.Caller {
		c, _ := a.signed(r)
		return c
	}
	for _, g := range a.gates {
		guess := a.guard.guess(network(r.RemoteAddr))
		if c, ok, err := g.Pass(r, signed, guess.at); ok {
			return a.settle(guess, c, err)
		}
	}
	return a.signed(r)
}

// signed is who signed the request, nobody with an error if nobody did. What
// the header says is not made up for by anything else.
func (a *Auth) signed(r *http.Request) (cloud.Caller, error) {
	guess := a.guard.guess(network(r.RemoteAddr))
	header := r.Header.Get("Authorization")
	if header == "" {
		for _, d := range a.doors {
			if c, ok, err := d.Enter(r, guess.at); ok {
				return a.settle(guess, c, err)
			}
		}
		return cloud.Caller{}, cloud.Unauthorized
	}
	name, credentials, _ := strings.Cut(header, " ")
	credentials = strings.TrimSpace(credentials)
	err := cloud.Refuse(cloud.Unauthorized, "This way to sign in is not available here.")
	for _, s := range a.schemes {
		if !strings.EqualFold(s.Name(), name) {
			continue
		}
		var c cloud.Caller
		c, err = s.Verify(r.Context(), credentials, guess.at)
		if cloud.KindOf(err) != cloud.Unauthorized { // else it may be for the next one of that name
			return a.settle(guess, c, err)
		}
	}
	return cloud.Caller{}, err
}

// settle is what an attempt comes to.
func (a *Auth) settle(g *guess, c cloud.Caller, err error) (cloud.Caller, error) {
	if err != nil {
		return cloud.Caller{}, err
	}
	g.right()
	if c.Proof == cloud.ByPassword && a.more != nil && a.more(c.User) {
		return cloud.Caller{}, cloud.Refuse(cloud.Unauthorized, "This account needs more than a password: sign in with the browser.")
	}
	return c, nil
}

// network is what counts as one origin of guesses: an IPv4 address or an
// IPv6 network of 64 bits, which one machine usually has to itself. Loopback
// is nobody in particular, such as a proxy that is not known as one.
func network(remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	addr := ap.Addr().Unmap().WithZone("")
	switch {
	case addr.IsLoopback():
		return ""
	case addr.Is6():
		p, _ := addr.Prefix(64)
		return p.String()
	}
	return addr.String()
}
