// Package core holds the rules: who may do what, quotas, locks, preconditions,
// trash, versions and uploads. It implements cloud.Files and cloud.Uploads over
// any cloud.Store, and knows neither disks nor protocols.
package core

import (
	"context"
	"errors"
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
}

// Core is the system's rules over one store. It must be the only writer.
type Core struct {
	store cloud.Store
	opts  Options
	now   func() time.Time
	dir   cloud.Directory // nil: whoever calls may have a personal space

	mu     sync.Mutex
	spaces map[cloud.SpaceID]*space // in use, or worth keeping
	making sync.Mutex               // personal spaces, one at a time
	busy   map[cloud.UploadID]bool  // uploads that a request is adding to
	done   []*cloud.Upload          // the latest that were completed, a ring
	oldest int                      // in done
}

var (
	_ cloud.Files   = (*Core)(nil)
	_ cloud.Uploads = (*Core)(nil)
)

// New puts the rules over a store.
func New(store cloud.Store, opts Options) *Core {
	if opts.UploadExpiry <= 0 {
		opts.UploadExpiry = 24 * time.Hour
	}
	if opts.MaxLock <= 0 {
		opts.MaxLock = 24 * time.Hour
	}
	return &Core{
		store:  store,
		opts:   opts,
		now:    time.Now,
		spaces: map[cloud.SpaceID]*space{},
		busy:   map[cloud.UploadID]bool{},
	}
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
	grants   map[cloud.NodeID][]cloud.Grant
	deep     bool // there are grants below the root
	locks    map[cloud.NodeID][]cloud.Lock
	reserved int64     // bytes of writes about to happen
	swept    time.Time // when expired uploads were last dropped

	locking sync.Mutex // serialises those who take, refresh and release locks
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
	sp.grants, sp.locks = grants, locks
	_, root := grants[sp.id.Root()]
	sp.deep = len(grants) > 1 || len(grants) == 1 && !root
	sp.loaded = true
	return nil
}

// caller is who asks, or Unauthorized.
func caller(ctx context.Context) (*cloud.User, error) {
	u := cloud.CallerFrom(ctx).User
	if u == nil || u.ID == "" || u.Disabled {
		return nil, cloud.Unauthorized
	}
	return u, nil
}

// own are the rights that grants made on this very node give.
func (sp *space) own(u *cloud.User, id cloud.NodeID, now time.Time) (r cloud.Rights) {
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	for i := range sp.grants[id] {
		if g := &sp.grants[id][i]; g.Holds(u, now) {
			r |= g.Rights
		}
	}
	return r
}

// rights is the union of what was granted on a node and on all above it.
func (c *Core) rights(ctx context.Context, sp *space, u *cloud.User, id cloud.NodeID) (cloud.Rights, error) {
	now := c.now()
	root := sp.id.Root()
	r := sp.own(u, root, now)
	if id == root || !sp.granted() {
		return r, nil
	}
	chain, err := c.store.Ancestors(ctx, sp.id, id)
	if err != nil {
		return 0, err
	}
	for _, id := range chain {
		if id != root {
			r |= sp.own(u, id, now)
		}
	}
	return r, nil
}

func (sp *space) granted() bool {
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	return sp.deep
}

// A spot is a node with what the caller may do there.
type spot struct {
	*space
	user *cloud.User
	*cloud.Node
}

// at finds a node for the caller, who must at least be allowed to know of it.
// want is what else the caller must be allowed to do with it.
func (c *Core) at(ctx context.Context, sp *space, ref cloud.Ref, want cloud.Rights) (spot, error) {
	u, err := caller(ctx)
	if err != nil {
		return spot{}, err
	}
	sp.mu.RLock()
	disabled := sp.disabled
	sp.mu.RUnlock()
	if disabled {
		return spot{}, cloud.NotExist
	}
	if err := c.alive(ctx, sp, ref.Node); err != nil {
		return spot{}, err
	}
	n, err := c.store.Lookup(ctx, sp.id, ref.Node, ref.Path)
	if err != nil {
		return spot{}, err
	}
	if n.Rights, err = c.rights(ctx, sp, u, n.ID); err != nil {
		return spot{}, err
	}
	if err := allow(n.Rights, want); err != nil {
		return spot{}, err
	}
	return spot{sp, u, n}, nil
}

// alive refuses ids of what is not in the tree: the bin and what is in it, versions.
func (c *Core) alive(ctx context.Context, sp *space, id cloud.NodeID) error {
	if id == "" || id == sp.id.Root() {
		return nil
	}
	if _, _, ok := cloud.SplitVersion(id); ok || id == cloud.TrashID {
		return cloud.NotExist
	}
	chain, err := c.store.Ancestors(ctx, sp.id, id)
	if err != nil {
		return err
	}
	if len(chain) == 0 || chain[0] != sp.id.Root() {
		return cloud.NotExist
	}
	return nil
}

// allow hides what the caller may not even know of.
func allow(have, want cloud.Rights) error {
	switch {
	case !have.Has(cloud.CanStat):
		return cloud.NotExist
	case !have.Has(want):
		return cloud.Permission
	}
	return nil
}

// A place is where a node stands or could stand: a name in a directory.
type place struct {
	dir  spot
	name string
	now  *cloud.Node // what stands there, nil if nothing
}

// place finds the directory and the name that ref means. The directory must
// exist (Conflict); what stands under the name need not.
func (c *Core) place(ctx context.Context, sp *space, ref cloud.Ref) (p place, err error) {
	dir, name, ok := ref.Up()
	if !ok {
		// By id alone: the node exists, its parent is the directory.
		n, err := c.at(ctx, sp, ref, 0)
		if err != nil {
			return p, err
		}
		if n.Node.Parent == "" {
			p.now, p.dir = n.Node, n
			return p, nil
		}
		dir, name = cloud.Ref{Space: ref.Space, Node: n.Parent}, n.Name
	}
	if err := cloud.CheckName(name); err != nil {
		return p, err
	}
	if p.dir, err = c.at(ctx, sp, dir, 0); err != nil {
		if errors.Is(err, cloud.NotExist) && dir.Path != "" {
			// Only who may know of the space learns that a folder is missing.
			if _, e := c.at(ctx, sp, cloud.Ref{Space: ref.Space, Node: ref.Node}, 0); e == nil {
				err = cloud.Conflict
			}
		}
		return p, err
	}
	if !p.dir.Dir {
		return p, cloud.Conflict
	}
	if full := cloud.Join(p.dir.Path, name); len(full) > cloud.MaxPath {
		return p, cloud.Refuse(cloud.Invalid, "The path is too long: at most %d bytes.", cloud.MaxPath)
	}
	if p.dir.Node.Parent == "" && cloud.Reserved(name) {
		return p, cloud.Refuse(cloud.Invalid, "The name %q is reserved. Choose another one.", name)
	}
	p.name = name
	p.now, err = c.store.Lookup(ctx, sp.id, p.dir.ID, name)
	if errors.Is(err, cloud.NotExist) {
		return p, nil
	}
	if err == nil {
		p.now.Rights = p.dir.Rights
		if p.now.Traits&cloud.HasGrants != 0 {
			p.now.Rights |= sp.own(p.dir.user, p.now.ID, c.now())
		}
		if !p.now.Rights.Has(cloud.CanStat) {
			return p, cloud.NotExist
		}
	}
	return p, err
}

// met checks If-Match and If-None-Match against what stands there.
func met(how cloud.Conditions, now *cloud.Node) error {
	switch {
	case how.IfMatch == "":
	case now == nil, how.IfMatch != "*" && how.IfMatch != now.ETag:
		return cloud.Precondition
	}
	if how.IfNoneMatch != "" && now != nil && (how.IfNoneMatch == "*" || how.IfNoneMatch == now.ETag) {
		return cloud.Precondition
	}
	return nil
}

// dress fills in what Files adds to a store's node.
func (c *Core) dress(ctx context.Context, sp *space, n *cloud.Node, r cloud.Rights) (*cloud.Node, error) {
	n.Rights = r
	var err error
	n.Locks, err = c.locksOn(ctx, sp, n)
	return n, err
}
