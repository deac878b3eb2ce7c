// Package core holds the rules: who may do what, sharing, quotas, locks,
// preconditions, trash, versions and uploads. It implements cloud.Files,
// cloud.Uploads and cloud.Shares over any cloud.Store, and knows neither disks
// nor protocols.
package core

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"opencloud/cloud"
)

// Options are the rules that an administrator can set.
type Options struct {
	NoVersions   bool          `yaml:"disable_versioning" env:"OC_DISABLE_VERSIONING" default:"false" doc:"Do not keep the earlier contents of files that are overwritten."`
	HomeQuota    int64         `yaml:"default_quota" env:"GRAPH_SPACES_DEFAULT_QUOTA" default:"0" doc:"Quota in bytes of new personal spaces; 0 is unlimited."`
	MaxQuota     int64         `yaml:"max_quota" env:"OC_SPACES_MAX_QUOTA" default:"0" doc:"Largest quota in bytes that a space can be given; 0 is unlimited."`
	UploadExpiry time.Duration `yaml:"upload_expiration" env:"STORAGE_USERS_UPLOAD_EXPIRATION" default:"24h" doc:"How long an unfinished upload can be resumed."`
	MaxLock      time.Duration `yaml:"max_lock" env:"OCDAV_MAX_LOCK_TIMEOUT" default:"24h" doc:"Longest time for which a client can lock a file."`

	LinkPassword         bool `yaml:"protect_links" env:"OC_SHARING_PUBLIC_SHARE_MUST_HAVE_PASSWORD" default:"true" doc:"Every public link needs a password, except those to look at of people who may do without."`
	WritableLinkPassword bool `yaml:"protect_writeable_links" env:"OC_SHARING_PUBLIC_WRITEABLE_SHARE_MUST_HAVE_PASSWORD" default:"false" doc:"Every public link by which something can be changed needs a password."`
	AutoAccept           bool `yaml:"auto_accept_shares" env:"FRONTEND_AUTO_ACCEPT_SHARES" default:"true" doc:"What is shared with people appears in their Shares space by itself, unless they choose otherwise."`

	Secrets Secrets      `yaml:"-"` // nil: links cannot have passwords
	Log     *slog.Logger `yaml:"-"` // told of what nobody waits for; nil: slog.Default
}

// Secrets hashes the passwords of links.
type Secrets interface {
	Hash(ctx context.Context, password string) (hash string, err error)
	// Matches is slow for a password that it has not seen lately, and may have
	// to wait for others.
	Matches(ctx context.Context, hash, password string) (bool, error)
}

// Core is the system's rules over one store. It must be the only writer.
type Core struct {
	store cloud.Store
	opts  Options
	now   func() time.Time
	dir   cloud.Directory // nil: whoever calls may have a personal space

	profiles cloud.Profiles // nil: what people choose for their Shares space is forgotten
	policy   *Policy        // nil: any password is good enough for a link
	index    index
	follower follower

	mu     sync.Mutex
	spaces map[cloud.SpaceID]*space // in use, or worth keeping
	making sync.Mutex               // personal spaces, one at a time
	busy   map[cloud.UploadID]bool  // uploads that a request is adding to
	done   []*cloud.Upload          // the latest that were completed, a ring
	oldest int                      // in done
	jails  map[cloud.UserID]*jail   // in use, or worth keeping
}

var (
	_ cloud.Files   = (*Core)(nil)
	_ cloud.Uploads = (*Core)(nil)
	_ cloud.Shares  = (*Core)(nil)
	_ cloud.Changes = (*Core)(nil)
)

// New puts the rules over a store.
func New(store cloud.Store, opts Options) *Core {
	if opts.UploadExpiry <= 0 {
		opts.UploadExpiry = 24 * time.Hour
	}
	if opts.MaxLock <= 0 {
		opts.MaxLock = 24 * time.Hour
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	return &Core{
		store:  store,
		opts:   opts,
		now:    time.Now,
		spaces: map[cloud.SpaceID]*space{},
		busy:   map[cloud.UploadID]bool{},
		jails:  map[cloud.UserID]*jail{},
	}
}

// Close ends what core does by itself. The store stays open.
func (c *Core) Close() error {
	c.follower.close()
	c.index.close()
	return nil
}

// A space is what the rules need to know of one without asking the storage.
// It is loaded on first use and forgotten when many others came since.
type space struct {
	refs int // guarded by Core.mu

	load sync.Mutex // held while loading
	id   cloud.SpaceID

	mu       sync.RWMutex
	loaded   bool
	disabled bool
	quota    int64
	grants   map[cloud.NodeID][]cloud.Grant // never changed in place
	denials  map[cloud.NodeID]bool          // the nodes with grants that deny
	locks    map[cloud.NodeID][]cloud.Lock
	reserved int64     // bytes of writes about to happen
	swept    time.Time // when expired uploads were last dropped

	locking  sync.Mutex // serialises those who take, refresh and release locks
	granting sync.Mutex // serialises those who change grants
}

const keptSpaces = 4096

// enter is where every operation begins: it knows the space and holds it in
// memory until leave. A space that does not exist is NotExist.
func (c *Core) enter(ctx context.Context, id cloud.SpaceID) (*space, error) {
	c.mu.Lock()
	sp := c.spaces[id]
	if sp == nil {
		sp = &space{id: id}
		c.spaces[id] = sp
		c.forget()
	}
	sp.refs++
	c.mu.Unlock()

	sp.mu.RLock()
	loaded := sp.loaded
	sp.mu.RUnlock()
	if loaded {
		return sp, nil
	}
	if err := c.fill(ctx, sp); err != nil {
		c.mu.Lock()
		if sp.refs--; sp.refs == 0 {
			delete(c.spaces, id)
		}
		c.mu.Unlock()
		return nil, err
	}
	return sp, nil
}

func (c *Core) leave(sp *space) {
	c.mu.Lock()
	sp.refs--
	c.mu.Unlock()
}

// forget makes room among the spaces nobody uses. Called with c.mu held.
func (c *Core) forget() {
	if len(c.spaces) <= keptSpaces {
		return
	}
	for id, sp := range c.spaces {
		if sp.refs == 0 {
			delete(c.spaces, id)
			if len(c.spaces) <= keptSpaces*3/4 {
				return
			}
		}
	}
}

func (c *Core) fill(ctx context.Context, sp *space) error {
	sp.load.Lock()
	defer sp.load.Unlock()
	if sp.loaded { // written under load, too
		return nil
	}
	// What is loaded serves others as well, so one caller's leaving must not stop it.
	ctx = context.WithoutCancel(ctx)
	s, err := c.store.Space(ctx, sp.id)
	if err != nil {
		return err
	}
	grants := map[cloud.NodeID][]cloud.Grant{}
	for n, err := range c.store.Having(ctx, sp.id, cloud.HasGrants) {
		if err != nil {
			return err
		}
		grants[n.ID] = n.Grants
	}
	locks := map[cloud.NodeID][]cloud.Lock{}
	for n, err := range c.store.Having(ctx, sp.id, cloud.HasLocks) {
		if err != nil {
			return err
		}
		locks[n.ID] = n.Locks
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.quota, sp.disabled = s.Quota, !s.Disabled.IsZero()
	sp.grants, sp.locks, sp.denials = map[cloud.NodeID][]cloud.Grant{}, locks, map[cloud.NodeID]bool{}
	for id, gs := range grants {
		sp.setGrants(id, gs)
	}
	sp.loaded = true
	return nil
}
