package graph

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
)

// The JSON of a grant, which Graph calls a permission.
type (
	permission struct {
		ID          string       `json:"id"`
		HasPassword *bool        `json:"hasPassword,omitempty"` // of a link
		Expires     time.Time    `json:"expirationDateTime,omitzero"`
		Made        time.Time    `json:"createdDateTime,omitzero"`
		To          *identitySet `json:"grantedToV2,omitempty"`
		Link        *sharingLink `json:"link,omitempty"`
		Roles       []string     `json:"roles,omitempty"`
		Actions     []string     `json:"@libre.graph.permissions.actions,omitzero"`
		Invitation  *invitation  `json:"invitation,omitempty"`
	}
	invitation struct {
		By identitySet `json:"invitedBy"`
	}
	permissionList struct {
		Actions []string         `json:"@libre.graph.permissions.actions.allowedValues,omitzero"`
		Roles   []roleDefinition `json:"@libre.graph.permissions.roles.allowedValues,omitzero"`
		Count   *int             `json:"@odata.count,omitempty"`
		Next    string           `json:"@odata.nextLink,omitempty"`
		Value   []permission     `json:"value,omitzero"`
	}
)

// A naming finds out how those are called who occur in one answer.
type naming struct {
	*handler
	*http.Request
	users  map[cloud.UserID]*identity
	groups map[cloud.GroupID]*identity
}

func (h *handler) naming(r *http.Request) *naming {
	return &naming{h, r, map[cloud.UserID]*identity{}, map[cloud.GroupID]*identity{}}
}

// user has no name when they are no more.
func (n *naming) user(id cloud.UserID) (*identity, error) {
	if known := n.users[id]; known != nil {
		return known, nil
	}
	who := &identity{ID: string(id)}
	u, err := n.people.User(n.Context(), "id", string(id))
	if err == nil {
		who.DisplayName, who.Type = displayName(u), typeOf(u)
	} else if cloud.KindOf(err) != cloud.NotExist {
		return nil, err
	}
	n.users[id] = who
	return who, nil
}

func (n *naming) group(id cloud.GroupID) (*identity, error) {
	if known := n.groups[id]; known != nil {
		return known, nil
	}
	who := &identity{ID: string(id)}
	g, err := n.people.Group(n.Context(), "id", string(id))
	if err == nil {
		who.DisplayName = g.Name
	} else if cloud.KindOf(err) != cloud.NotExist {
		return nil, err
	}
	n.groups[id] = who
	return who, nil
}

// permission is a grant on a node of a kind.
func (n *naming) permission(g *cloud.Grant, on cloud.NodeKind) (permission, error) {
	p := permission{ID: string(g.ID), Expires: g.Expires.UTC(), Made: g.Made.UTC()}
	by, err := n.user(g.By)
	if err != nil {
		return p, err
	}
	p.Invitation = &invitation{identitySet{User: by}}
	if g.Link != nil {
		p.HasPassword, p.Link = &g.Link.Protected, n.linkOf(g, on)
		return p, nil
	}
	p.To = &identitySet{}
	if g.To.Group != "" {
		p.To.Group, err = n.group(g.To.Group)
	} else {
		p.To.User, err = n.user(g.To.User)
	}
	// Clients know no other roles than those in use.
	if role, ok := cloud.ShareRoleOf(g.Rights, on); ok && n.inUse(role) {
		p.Roles = []string{role.ID}
	} else {
		p.Actions = actionsOf(g.Rights)
	}
	return p, err
}

func (n *naming) permissions(gs []cloud.Grant, on cloud.NodeKind) ([]permission, error) {
	all := make([]permission, len(gs))
	for i := range gs {
		var err error
		if all[i], err = n.permission(&gs[i], on); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// What can be asked of a list of permissions: those of people alone, or the
// roles for people of a kind.
const (
	fieldGrantee   = "grantedToV2"
	fieldCondition = "@libre.graph.permissions.roles.allowedValues/rolePermissions/condition"
	federated      = `@Subject.UserType=="Federated"`
)

var permissionSelect = []string{"value", "@libre.graph.permissions.actions.allowedValues", "@libre.graph.permissions.roles.allowedValues"}

// A permissionQuery says what is wanted of a list of permissions.
type permissionQuery struct {
	selected []string // of permissionSelect; none: all
	window   window
	grant    func(*cloud.Grant) bool
	role     func(*cloud.ShareRole) bool
}

func parsePermissionQuery(r *http.Request) (p permissionQuery, err error) {
	q, err := options(r, "$filter", "$select", "$count", "$top", "$skip")
	if err != nil {
		return p, err
	}
	if p.selected, err = list("$select", q.Get("$select"), permissionSelect...); err != nil {
		return p, err
	}
	if p.window, err = parseWindow(q); err != nil {
		return p, err
	}
	if p.window.top == 0 { // clients mean: no limit
		p.window.top = -1
	}
	p.grant = func(*cloud.Grant) bool { return true }
	p.role = func(role *cloud.ShareRole) bool { return true }
	return p, p.parseFilter(q)
}

func (p *permissionQuery) parseFilter(q url.Values) error {
	text := q.Get("$filter")
	field := fieldGrantee
	if strings.Contains(text, "allowedValues/rolePermissions") {
		field = fieldCondition
	}
	wanted, err := parseFilter(text, field)
	if err != nil || strings.TrimSpace(text) == "" {
		return err
	}
	if field == fieldCondition {
		p.role = func(role *cloud.ShareRole) bool { return wanted(func(string) []string { return role.Conditions() }) }
		return nil
	}
	p.grant = func(g *cloud.Grant) bool {
		return wanted(func(string) []string { return []string{string(g.To.User) + string(g.To.Group)} })
	}
	return nil
}

func (p *permissionQuery) wants(name string) bool {
	return len(p.selected) == 0 || slices.Contains(p.selected, name)
}

// permissions lists the grants on a node, and what the caller could grant.
func (h *handler) permissions(w http.ResponseWriter, r *http.Request, args []string) error {
	q, err := parsePermissionQuery(r)
	if err != nil {
		return err
	}
	ref, err := target(args)
	if err != nil {
		return err
	}
	gs, n, err := h.shares.Grants(r.Context(), ref)
	if err != nil {
		return err
	}
	var out permissionList
	if q.wants(permissionSelect[1]) {
		out.Actions = actionsOf(n.Rights)
	}
	if q.wants(permissionSelect[2]) {
		out.Roles = []roleDefinition{}
		for _, role := range cloud.OfferedRoles(n.Rights, n.Kind(), h.opts.Roles) {
			if q.role(&role) {
				out.Roles = append(out.Roles, definitionOf(role))
			}
		}
	}
	gs = slices.DeleteFunc(slices.Clone(gs), func(g cloud.Grant) bool { return !q.grant(&g) })
	part := slice(r, q.window, gs)
	out.Count, out.Next = part.Count, part.Next
	if q.wants(permissionSelect[0]) {
		if out.Value, err = h.naming(r).permissions(part.Value, n.Kind()); err != nil {
			return err
		}
	}
	return write(w, r, http.StatusOK, out)
}

// granted finds a grant on the node that the path names. The last of args is
// the id of the grant.
func (h *handler) granted(r *http.Request, args []string) (*cloud.Grant, *cloud.Node, error) {
	last := len(args) - 1
	ref, err := target(args[:last])
	if err != nil {
		return nil, nil, err
	}
	g, n, err := h.shares.Grant(r.Context(), cloud.ShareID(args[last]))
	if err != nil {
		return nil, nil, err
	}
	if at, ok := cloud.ParseMountID(ref.Node); ok {
		ref = at
	}
	if n.Space != ref.Space || n.ID != ref.Node {
		return nil, nil, cloud.NotExist
	}
	return g, n, nil
}

func (h *handler) showPermission(w http.ResponseWriter, r *http.Request, g *cloud.Grant, n *cloud.Node, err error) error {
	if err != nil {
		return err
	}
	p, err := h.naming(r).permission(g, n.Kind())
	if err != nil {
		return err
	}
	return write(w, r, http.StatusOK, p)
}

func (h *handler) permission(w http.ResponseWriter, r *http.Request, args []string) error {
	g, n, err := h.granted(r, args)
	return h.showPermission(w, r, g, n, err)
}

// An expiry is a date that can be absent, or null: never.
type expiry struct {
	at *time.Time
}

func (e *expiry) UnmarshalJSON(b []byte) error {
	e.at = new(time.Time)
	if json.Unmarshal(b, e.at) != nil {
		return cloud.Refuse(cloud.Invalid, "A date looks like this: \"2030-12-31T23:59:59Z\".")
	}
	return nil
}

// orNever is for what is made.
func (e expiry) orNever() time.Time {
	if e.at == nil {
		return time.Time{}
	}
	return *e.at
}

// A permissionChange is what clients may send of a permission.
type permissionChange struct {
	Roles    []string    `json:"roles"`
	Actions  []string    `json:"@libre.graph.permissions.actions"`
	Expires  expiry      `json:"expirationDateTime"`
	Password *string     `json:"password"`
	Link     *linkChange `json:"link"`
}

var fixedPermission = []string{"createdDateTime", "grantedToV2", "grantedToIdentities", "invitation"}

func (h *handler) updatePermission(w http.ResponseWriter, r *http.Request, args []string) error {
	var want permissionChange
	if err := read(w, r, &want, fixedPermission...); err != nil {
		return err
	}
	g, n, err := h.granted(r, args)
	if err != nil {
		return err
	}
	change := cloud.GrantChange{Expires: want.Expires.at, Secret: want.Password}
	switch {
	case g.Link != nil && want.Link != nil:
		if err := want.Link.applyTo(&change, g, n.Kind()); err != nil {
			return err
		}
	case want.Link != nil:
		return cloud.Refuse(cloud.Invalid, "This is no link.")
	}
	if want.Roles != nil || want.Actions != nil {
		if g.Link != nil {
			return cloud.Refuse(cloud.Invalid, "A link has a type, not roles.")
		}
		rights, err := h.wantedRights(want.Roles, want.Actions, n.Kind())
		if err != nil {
			return err
		}
		change.Rights = &rights
	}
	g, n, err = h.shares.Regrant(r.Context(), g.ID, change)
	return h.showPermission(w, r, g, n, err)
}

func (h *handler) removePermission(w http.ResponseWriter, r *http.Request, args []string) error {
	g, _, err := h.granted(r, args)
	if err == nil {
		err = h.shares.Revoke(r.Context(), g.ID)
	}
	if err != nil {
		return err
	}
	return writeNothing(w)
}
