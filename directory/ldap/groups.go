package ldap

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"

	lib "github.com/go-ldap/ldap/v3"

	"opencloud/cloud"
	"opencloud/directory/ldap/client"
	"opencloud/directory/names"
)

// maxDepth is how many groups can be one in the other.
const maxDepth = 10

// unix tells whether groups have login names for members instead of DNs.
func (d *Directory) unix() bool { return strings.EqualFold(d.opts.GroupMember, "memberUid") }

// member is how a group says that the user is in it.
func (d *Directory) member(p *person) string {
	if d.unix() {
		return p.Name
	}
	return p.dn
}

// memberKey is the same for all spellings of a member.
func (d *Directory) memberKey(member string) string {
	if d.unix() {
		return names.Fold(member)
	}
	return key(member)
}

// groupOf is nil for an entry that is no group: one without name or id.
func (d *Directory) groupOf(e *lib.Entry) *cloud.Group {
	g := &cloud.Group{
		ID:   cloud.GroupID(d.groupID.text(e.GetEqualFoldRawAttributeValue(d.opts.GroupID))),
		Name: named(e, d.opts.GroupName), Description: e.GetEqualFoldAttributeValue("description"),
		ReadOnly: !d.opts.Write || !within(e.DN, d.opts.GroupNewBase, "sub"),
	}
	if !fits(string(g.ID)) || !fits(g.Name) {
		d.nameless.Do(func() {
			d.log.Warn("an entry of the directory is left out, and maybe more: it has no id or no name that can be used", "dn", e.DN, "id", d.opts.GroupID, "name", d.opts.GroupName)
		})
		return nil
	}
	return g
}

// Group finds one by "id" or "name".
func (d *Directory) Group(ctx context.Context, by, value string) (g *cloud.Group, err error) {
	switch by {
	case "id":
		g, err = d.groups.get(ctx, value, func(ctx context.Context) (*cloud.Group, error) {
			g, _, err := d.group(ctx, by, value)
			return g, err
		})
	case "name":
		g, _, err = d.group(ctx, by, value)
	default:
		err = cloud.Refuse(cloud.Invalid, "Groups are found by id or name, not by %q.", by)
	}
	if err != nil {
		return nil, cloud.E("ldap.Group", cloud.Ref{}, err)
	}
	return new(*g), nil
}

// group asks for one, and where it is.
func (d *Directory) group(ctx context.Context, by, value string) (g *cloud.Group, dn string, err error) {
	if !fits(value) {
		return nil, "", noGroup()
	}
	filter := equal(d.opts.GroupName, value)
	if by == "id" {
		raw, ok := d.groupID.raw(value)
		if !ok {
			return nil, "", noGroup()
		}
		if filter = equal(d.opts.GroupID, value); d.groupID.octets {
			filter = octets(d.opts.GroupID, raw)
		}
	}
	e, err := d.client.One(ctx, d.groupQuery(filter))
	if err != nil {
		return nil, "", err
	}
	if e != nil {
		g = d.groupOf(e)
	}
	// A server may take more values for equal than this one does.
	if g == nil || by == "id" && string(g.ID) != value || by == "name" && !holds(e, d.opts.GroupName, value) {
		return nil, "", noGroup()
	}
	return g, e.DN, nil
}

// Groups yields those that match, in the order of the directory.
func (d *Directory) Groups(ctx context.Context, search string) iter.Seq2[*cloud.Group, error] {
	return func(yield func(*cloud.Group, error) bool) {
		filter := ""
		if search != "" {
			if !fits(search) {
				return
			}
			filter = part(d.opts.GroupName, search, d.opts.Substring)
		}
		for e, err := range d.client.List(ctx, d.groupQuery(filter)) {
			if err != nil {
				yield(nil, cloud.E("ldap.Groups", cloud.Ref{}, err))
				return
			}
			if g := d.groupOf(e); g != nil && !yield(g, nil) {
				return
			}
		}
	}
}

// groupsOf asks for the groups that a user is in.
func (d *Directory) groupsOf(ctx context.Context, p *person) ([]cloud.GroupID, error) {
	o := &d.opts
	filter := equal(o.GroupMember, d.member(p))
	steps := o.Nested && !d.unix()
	if steps {
		active, err := d.isActive(ctx)
		if err != nil {
			return nil, err
		}
		if active {
			filter, steps = equal(o.GroupMember+inChain, p.dn), false
		}
	}
	var ids []cloud.GroupID
	seen := map[string]bool{}
	for depth := 0; filter != "" && depth <= maxDepth; depth++ {
		var in []string
		for e, err := range d.client.Find(ctx, d.groupQuery(filter)) {
			if err != nil {
				return nil, err
			}
			k := key(e.DN)
			if seen[k] {
				continue
			}
			seen[k] = true
			if g := d.groupOf(e); g != nil {
				ids = append(ids, g.ID)
			}
			in = append(in, equal(o.GroupMember, e.DN))
		}
		if filter = ""; steps && len(in) > 0 {
			filter = or(in...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// isActive tells whether the server is an Active Directory, or does as one,
// by what it says of itself (RFC 4512, section 5.1).
func (d *Directory) isActive(ctx context.Context) (bool, error) {
	if known := d.active.Load(); known != nil {
		return *known, nil
	}
	e, err := d.client.One(ctx, client.Query{Scope: "base", Filter: "(objectClass=*)", Attrs: []string{"supportedCapabilities"}})
	if cloud.KindOf(err) == cloud.Unavailable || ctx.Err() != nil {
		return false, err
	}
	// A server that does not say is none.
	active := e != nil && slices.Contains(e.GetEqualFoldAttributeValues("supportedCapabilities"), "1.2.840.113556.1.4.800")
	d.active.Store(&active)
	return active, nil
}

// A tree is all groups and who is in them: for listings, where asking for
// each user would take too long.
type tree struct {
	ids      map[string]cloud.GroupID // by key of the DN
	in       map[string][]string      // groups that a member is in, by its key
	members  map[string][]string      // members as they are written, by key of the group
	disabled map[string]bool          // members of the group of the disabled
	nested   bool
}

func (d *Directory) tree(ctx context.Context) (*tree, error) {
	return d.trees.get(ctx, "", d.loadTree)
}

func (d *Directory) loadTree(ctx context.Context) (*tree, error) {
	t := &tree{
		ids: map[string]cloud.GroupID{}, in: map[string][]string{}, members: map[string][]string{}, disabled: map[string]bool{},
		nested: d.opts.Nested && !d.unix(),
	}
	for e, err := range d.client.List(ctx, d.groupQuery("", d.opts.GroupMember)) {
		if err != nil {
			return nil, err
		}
		g := d.groupOf(e)
		if g == nil {
			continue
		}
		members, err := d.membersIn(ctx, e)
		if err != nil {
			return nil, err
		}
		k := key(e.DN)
		t.ids[k], t.members[k] = g.ID, members
		for _, m := range members {
			m = d.memberKey(m)
			t.in[m] = append(t.in[m], k)
		}
	}
	if d.opts.Disabling == "group" {
		e, err := d.ofDisabled(ctx, "(objectClass=*)", d.opts.GroupMember)
		if err != nil {
			return nil, err
		}
		if e != nil {
			members, err := d.membersIn(ctx, e)
			if err != nil {
				return nil, err
			}
			for _, m := range members {
				t.disabled[d.memberKey(m)] = true
			}
		}
	}
	return t, nil
}

// membersIn are the members that an entry has. An Active Directory shows
// those of a large group in portions: "member;range=0-1499" (MS-ADTS,
// section 3.1.1.3.1.3.3).
func (d *Directory) membersIn(ctx context.Context, e *lib.Entry) ([]string, error) {
	all := slices.DeleteFunc(e.GetEqualFoldAttributeValues(d.opts.GroupMember), func(m string) bool { return m == "" })
	for range maxPortions {
		portion, next := rangeOf(e, d.opts.GroupMember)
		all = append(all, portion...)
		if next == "" {
			return all, nil
		}
		var err error
		if e, err = d.client.One(ctx, client.Query{Base: e.DN, Scope: "base", Filter: "(objectClass=*)", Attrs: []string{next}}); err != nil || e == nil {
			return nil, err
		}
	}
	return nil, cloud.Refuse(cloud.TooLarge, "A group of the directory has too many members.")
}

// maxPortions is for a server that never comes to the end.
const maxPortions = 1000

// rangeOf is a portion of the values of an attribute and what to ask for the
// next one, empty after the last.
func rangeOf(e *lib.Entry, attr string) (values []string, next string) {
	for _, a := range e.Attributes {
		name, option, ok := strings.Cut(a.Name, ";range=")
		if !ok || !strings.EqualFold(name, attr) {
			continue
		}
		if _, end, ok := strings.Cut(option, "-"); ok && end != "*" {
			if n, err := strconv.Atoi(end); err == nil && len(a.Values) > 0 {
				next = attr + ";range=" + strconv.Itoa(n+1) + "-*"
			}
		}
		return a.Values, next
	}
	return nil, ""
}

// above are the ids of the groups that a member is in.
func (t *tree) above(member string) (ids []cloud.GroupID) {
	seen := map[string]bool{}
	for at, depth := t.in[member], 0; len(at) > 0 && depth <= maxDepth; depth++ {
		var up []string
		for _, k := range at {
			if !seen[k] {
				seen[k] = true
				ids = append(ids, t.ids[k])
				up = append(up, t.in[k]...)
			}
		}
		if at = up; !t.nested {
			break
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// below are the members of a group, and of those in it, that are no groups
// themselves, by their keys.
func (t *tree) below(group string, key func(string) string) map[string]string {
	found := map[string]string{}
	seen := map[string]bool{group: true}
	for at, depth := []string{group}, 0; len(at) > 0 && depth <= maxDepth; depth++ {
		var down []string
		for _, g := range at {
			for _, m := range t.members[g] {
				k := key(m)
				if _, isGroup := t.ids[k]; !isGroup {
					found[k] = m
				} else if t.nested && !seen[k] {
					seen[k] = true
					down = append(down, k)
				}
			}
		}
		at = down
	}
	return found
}

// few are asked about one by one; for more than that it is quicker to go
// through all.
const few = 20

// Members yields the users in a group.
func (d *Directory) Members(ctx context.Context, id cloud.GroupID) iter.Seq2[*cloud.User, error] {
	return func(yield func(*cloud.User, error) bool) {
		for u, err := range d.membersOf(ctx, id) {
			if !yield(u, cloud.E("ldap.Members", cloud.Ref{}, err)) || err != nil {
				return
			}
		}
	}
}

func (d *Directory) membersOf(ctx context.Context, id cloud.GroupID) iter.Seq2[*cloud.User, error] {
	return func(yield func(*cloud.User, error) bool) {
		_, dn, err := d.group(ctx, "id", string(id))
		var t *tree
		if err == nil {
			t, err = d.tree(ctx)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		members := t.below(key(dn), d.memberKey)
		queries := []client.Query{d.userQuery("")}
		if len(members) <= few {
			queries = nil
			for _, m := range members {
				q := d.userQuery("")
				switch {
				case d.unix():
					q = d.userQuery(equal(d.opts.UserName, m))
				case within(m, q.Base, q.Scope):
					q.Base, q.Scope = m, "base"
				default:
					continue
				}
				queries = append(queries, q)
			}
		}
		for _, q := range queries {
			for u, err := range d.list(ctx, q) {
				switch {
				case q.Scope == "base" && cloud.KindOf(err) == cloud.NotExist:
				case err != nil:
					yield(nil, err)
					return
				default:
					if _, ok := members[u.key]; ok && !yield(&u.User, nil) {
						return
					}
				}
			}
		}
	}
}
