package core

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"opencloud/cloud"
)

// mountDocument is the name of the document in which a user's mounts are kept.
const mountDocument = "mounts"

// A jail is what somebody has made of what others share with them.
type jail struct {
	refs int // guarded by Core.mu

	mu      sync.Mutex
	loaded  bool
	entries map[cloud.Ref]*entry // also of what is in the bin, or does not show for another reason
	list    *mountList           // nil: to be made
	root    rootMemory
}

// A mountList is what others share with a user. It is never changed.
type mountList struct {
	version uint64          // of the index that it was made of
	groups  []cloud.GroupID // of the user then
	all     []mounted       // by name
	synced  []mounted       // those that stand in the tree
	byName  map[string]cloud.Ref
	byRef   map[cloud.Ref]*entry
	digest  string // changes with what is synced under which names
}

// An entry is what is kept of a mount. It is replaced, never changed.
type entry struct {
	Name   string
	Hidden bool `json:",omitempty"`
	Synced bool `json:",omitempty"`
}

// A mounted is an entry with the node that it is for.
type mounted struct {
	at cloud.Ref
	*entry
}

const keptJails = 4096

func (c *Core) enterJail(id cloud.UserID) *jail {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := c.jails[id]
	if j == nil {
		j = &jail{}
		if len(c.jails) >= keptJails {
			for id, old := range c.jails {
				if old.refs == 0 {
					delete(c.jails, id)
					break
				}
			}
		}
		c.jails[id] = j
	}
	j.refs++
	return j
}

func (c *Core) leaveJail(j *jail) {
	c.mu.Lock()
	j.refs--
	c.mu.Unlock()
}

func (c *Core) forgetJail(id cloud.UserID) {
	c.mu.Lock()
	delete(c.jails, id)
	c.mu.Unlock()
}

// mounts are what others share with a user. What they see for the first time
// gets a name, which stays.
func (c *Core) mounts(ctx context.Context, u *cloud.User, j *jail) (*mountList, error) {
	x, err := c.indexed(ctx)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	version := x.current()
	if l := j.list; l != nil && l.version == version && slices.Equal(l.groups, u.Groups) {
		return l, nil
	}
	if err := c.loadJail(ctx, u, j); err != nil {
		return nil, err
	}
	refs := x.madeFor(subjects(u)...)
	all := make([]mounted, 0, len(refs))
	var fresh []spot
	whole := true
	for _, at := range refs {
		if at.Node == at.Space.Root() {
			continue // a membership
		}
		if e := j.entries[at]; e != nil {
			all = append(all, mounted{at, e})
			continue
		}
		n, _, err := c.received(ctx, u, at)
		if found(err) != nil {
			return nil, err
		}
		if err == nil {
			fresh = append(fresh, n)
		} else {
			whole = false // it may show later
		}
	}
	if len(fresh) > 0 {
		made, err := c.name(ctx, u, j, refs, fresh)
		if err != nil {
			return nil, err
		}
		all = append(all, made...)
	}
	l := listMounts(all, u.Groups, version)
	if whole {
		j.list = l
	}
	return l, nil
}

func listMounts(all []mounted, groups []cloud.GroupID, version uint64) *mountList {
	slices.SortFunc(all, func(a, b mounted) int { return cmp.Compare(a.Name, b.Name) })
	l := &mountList{version: version, groups: groups, all: all, byName: map[string]cloud.Ref{}, byRef: make(map[cloud.Ref]*entry, len(all))}
	h := fnv.New128a()
	for _, g := range groups { // others may make the same mount show or hide
		h.Write([]byte(g + "\n"))
	}
	for _, m := range all {
		l.byRef[m.at] = m.entry
		if m.Synced {
			l.synced = append(l.synced, m)
			l.byName[m.Name] = m.at
			h.Write([]byte(m.Name + "\n" + string(m.at.Space) + string(m.at.Node) + "\n"))
		}
	}
	l.digest = string(h.Sum(nil))
	return l
}

// name makes entries for what has none. Called with j.mu held.
func (c *Core) name(ctx context.Context, u *cloud.User, j *jail, refs []cloud.Ref, fresh []spot) ([]mounted, error) {
	accept, err := c.autoAccepts(ctx, u)
	if err != nil {
		return nil, err
	}
	taken := make(map[string]bool, len(j.entries))
	for _, e := range j.entries {
		taken[strings.ToLower(e.Name)] = true
	}
	slices.SortFunc(fresh, func(a, b spot) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	var all []mounted
	for _, n := range fresh {
		name := n.Name
		for i := 1; taken[strings.ToLower(name)]; i++ {
			name = numbered(n.Name, i)
		}
		taken[strings.ToLower(name)] = true
		all = append(all, mounted{cloud.Ref{Space: n.space.id, Node: n.ID}, &entry{Name: name, Synced: accept}})
	}
	next := make(map[cloud.Ref]*entry, len(j.entries)+len(all))
	maps.Copy(next, j.entries)
	for _, m := range all {
		next[m.at] = m.entry
	}
	return all, c.saveJail(ctx, u, j, refs, next)
}

// loadJail is called with j.mu held.
func (c *Core) loadJail(ctx context.Context, u *cloud.User, j *jail) error {
	if j.loaded {
		return nil
	}
	kept := map[cloud.NodeID]*entry{}
	if c.profiles != nil {
		body, err := c.profiles.Document(ctx, u.ID, mountDocument)
		if found(err) != nil {
			return err
		}
		if err == nil {
			if err := json.Unmarshal(body, &kept); err != nil {
				return fmt.Errorf("mounts of the user %s: %w", u.ID, err)
			}
		}
	}
	j.entries = make(map[cloud.Ref]*entry, len(kept))
	for id, e := range kept {
		if at, ok := cloud.ParseMountID(id); ok && e != nil {
			j.entries[at] = e
		}
	}
	j.loaded = true
	return nil
}

// saveJail keeps entries, without those of what is no longer shared with the
// user. Called with j.mu held.
func (c *Core) saveJail(ctx context.Context, u *cloud.User, j *jail, refs []cloud.Ref, next map[cloud.Ref]*entry) error {
	shared := make(map[cloud.Ref]bool, len(refs))
	for _, at := range refs {
		shared[at] = true
	}
	kept := make(map[cloud.NodeID]*entry, len(next))
	for at, e := range next {
		if !shared[at] {
			delete(next, at)
			continue
		}
		kept[cloud.MountID(at.Space, at.Node)] = e
	}
	if c.profiles != nil {
		body, err := json.Marshal(kept)
		if err != nil {
			return err
		}
		if err := c.profiles.SetDocument(context.WithoutCancel(ctx), u.ID, mountDocument, body); err != nil {
			return err
		}
	}
	j.entries, j.list = next, nil
	return nil
}

// numbered is a name with a number behind it, before what looks like the type
// of a file.
func numbered(name string, n int) string {
	number := fmt.Sprintf(" (%d)", n)
	base, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i <= 16 {
		base, ext = name[:i], name[i:]
	}
	for len(base)+len(number)+len(ext) > cloud.MaxName {
		_, size := utf8.DecodeLastRuneInString(base)
		base = base[:len(base)-size]
	}
	return base + number + ext
}

// autoAccepts tells whether what is newly shared with a user appears by itself.
func (c *Core) autoAccepts(ctx context.Context, u *cloud.User) (bool, error) {
	if c.profiles == nil {
		return c.opts.AutoAccept, nil
	}
	chosen, err := choicesIn(ctx, c.profiles, u.ID)
	if flag := chosen[cloud.PreferAutoAccept].Flag; flag != nil {
		return *flag, err
	}
	return c.opts.AutoAccept, err
}

// received is a node that others share with a user, as they see it, and the
// grants that make it so. NotExist when it is not so, or not now.
func (c *Core) received(ctx context.Context, u *cloud.User, at cloud.Ref) (spot, []cloud.Grant, error) {
	sp, err := c.enter(ctx, at.Space)
	if err != nil {
		return spot{}, nil, err
	}
	defer c.leave(sp)
	now := c.now()
	var shared []cloud.Grant
	sp.mu.RLock()
	for _, g := range sp.grants[at.Node] {
		if g.Holds(u, now) && g.By != u.ID && !g.Denies() {
			shared = append(shared, g)
		}
	}
	sp.mu.RUnlock()
	if len(shared) == 0 || sp.id == c.store.NewSpaceID(cloud.Personal, u.ID) {
		return spot{}, nil, cloud.NotExist
	}
	n, err := c.at(ctx, sp, at, 0)
	return n, shared, err
}

func (c *Core) mount(ctx context.Context, u *cloud.User, m mounted) (*cloud.Mount, error) {
	n, gs, err := c.received(ctx, u, m.at)
	if err != nil {
		return nil, err
	}
	return &cloud.Mount{ID: cloud.MountID(m.at.Space, m.at.Node), Name: m.Name, Node: c.dress(&n), Grants: gs, Hidden: m.Hidden, Synced: m.Synced}, nil
}

func (c *Core) Received(ctx context.Context) iter.Seq2[*cloud.Mount, error] {
	return func(yield func(*cloud.Mount, error) bool) {
		fail := func(err error) { yield(nil, cloud.E("core.Received", cloud.Ref{}, err)) }
		u, err := caller(ctx)
		if err != nil {
			fail(err)
			return
		}
		j := c.enterJail(u.ID)
		defer c.leaveJail(j)
		list, err := c.mounts(ctx, u, j)
		if err != nil {
			fail(err)
			return
		}
		for _, m := range list.all {
			mount, err := c.mount(ctx, u, m)
			switch {
			case errors.Is(err, cloud.NotExist):
			case err != nil:
				fail(err)
				return
			case !yield(mount, nil):
				return
			}
		}
	}
}

func (c *Core) Mount(ctx context.Context, id cloud.NodeID) (*cloud.Mount, error) {
	m, err := c.mountBy(ctx, id, cloud.MountChange{})
	return m, cloud.E("core.Mount", cloud.Ref{Space: cloud.SharesSpace, Node: id}, err)
}

func (c *Core) SetMount(ctx context.Context, id cloud.NodeID, change cloud.MountChange) (*cloud.Mount, error) {
	m, err := c.mountBy(ctx, id, change)
	return m, cloud.E("core.SetMount", cloud.Ref{Space: cloud.SharesSpace, Node: id}, err)
}

// mountBy finds a mount, changes it, if there is something to change, and
// shows it.
func (c *Core) mountBy(ctx context.Context, id cloud.NodeID, change cloud.MountChange) (*cloud.Mount, error) {
	u, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	at, ok := cloud.ParseMountID(id)
	if !ok {
		return nil, cloud.NotExist
	}
	j := c.enterJail(u.ID)
	defer c.leaveJail(j)
	list, err := c.mounts(ctx, u, j)
	if err != nil {
		return nil, err
	}
	e := list.byRef[at]
	if e == nil {
		return nil, cloud.NotExist
	}
	m, err := c.mount(ctx, u, mounted{at, e})
	if err != nil || change == (cloud.MountChange{}) {
		return m, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if e = j.entries[at]; e == nil { // taken back this moment
		return nil, cloud.NotExist
	}
	next := *e
	if change.Name != nil {
		if err := cloud.CheckName(*change.Name); err != nil {
			return nil, err
		}
		for other, e := range j.entries {
			if other != at && strings.EqualFold(e.Name, *change.Name) {
				return nil, cloud.Exist
			}
		}
		next.Name = *change.Name
	}
	if change.Hidden != nil {
		next.Hidden = *change.Hidden
	}
	if change.Synced != nil {
		next.Synced = *change.Synced
	}
	if next != *e {
		x, err := c.indexed(ctx)
		if err != nil {
			return nil, err
		}
		entries := make(map[cloud.Ref]*entry, len(j.entries))
		maps.Copy(entries, j.entries)
		entries[at] = &next
		if err := c.saveJail(ctx, u, j, x.madeFor(subjects(u)...), entries); err != nil {
			return nil, err
		}
	}
	m.Name, m.Hidden, m.Synced = next.Name, next.Hidden, next.Synced
	return m, nil
}
