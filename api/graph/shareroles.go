package graph

import (
	"net/http"
	"slices"

	"opencloud/cloud"
)

// The JSON of a role in sharing.
type (
	roleDefinition struct {
		ID          string           `json:"id"`
		DisplayName string           `json:"displayName"`
		Description string           `json:"description"`
		Weight      int              `json:"@libre.graph.weight"`
		Permissions []rolePermission `json:"rolePermissions"`
	}
	rolePermission struct {
		Actions   []string `json:"allowedResourceActions"`
		Condition string   `json:"condition"`
	}
)

func definitionOf(role cloud.ShareRole) roleDefinition {
	d := roleDefinition{ID: role.ID, DisplayName: role.Display, Description: role.Description, Weight: role.Weight}
	for _, condition := range role.Conditions() {
		d.Permissions = append(d.Permissions, rolePermission{actionsOf(role.Rights), condition})
	}
	return d
}

// actionsOf is never nil.
func actionsOf(r cloud.Rights) []string { return slices.AppendSeq([]string{}, r.Actions()) }

// rightsOf is what actions of these names amount to.
func rightsOf(actions []string) (cloud.Rights, error) {
	rights := cloud.NoRights
	for _, name := range actions {
		one := cloud.NoRights
		for r := cloud.Rights(1); r <= cloud.AllRights; r <<= 1 {
			for known := range r.Actions() {
				if known == name {
					one = r
				}
			}
		}
		if one == cloud.NoRights {
			return rights, cloud.Refuse(cloud.Invalid, "There is no action %.80q.", name)
		}
		rights |= one
	}
	return rights, nil
}

// inUse tells whether the administrator wants a role to be used.
func (h *handler) inUse(role cloud.ShareRole) bool {
	if h.opts.Roles == nil {
		return role.Default
	}
	return slices.Contains(h.opts.Roles, role.ID)
}

// roleDefinitions is a bare list: clients take no other.
func (h *handler) roleDefinitions(w http.ResponseWriter, r *http.Request, _ []string) error {
	if _, err := caller(r); err != nil {
		return err
	}
	all := []roleDefinition{}
	for _, role := range cloud.ShareRoles() {
		if h.inUse(role) {
			all = append(all, definitionOf(role))
		}
	}
	return write(w, r, http.StatusOK, all)
}

// roleDefinition finds those, too, that are not offered any more.
func (h *handler) roleDefinition(w http.ResponseWriter, r *http.Request, args []string) error {
	if _, err := caller(r); err != nil {
		return err
	}
	role, ok := cloud.ShareRoleBy(args[0])
	if !ok || role.ID != args[0] {
		return cloud.NotExist
	}
	return write(w, r, http.StatusOK, definitionOf(role))
}

// wantedRights are those that a client asks for on a node: by one role or by
// a list of actions.
func (h *handler) wantedRights(roles, actions []string, on cloud.NodeKind) (cloud.Rights, error) {
	switch {
	case len(roles) == 1 && len(actions) == 0:
		role, ok := cloud.ShareRoleBy(roles[0])
		if !ok || role.ID != roles[0] || !h.inUse(role) {
			return 0, cloud.Refuse(cloud.Invalid, "There is no role %.80q.", roles[0])
		}
		if role.On&on == 0 {
			return 0, cloud.Refuse(cloud.Invalid, "The role %q does not fit here.", role.Display)
		}
		return role.Rights, nil
	case len(roles) == 0 && len(actions) > 0:
		return rightsOf(actions)
	}
	return 0, cloud.Refuse(cloud.Invalid, "Name one role, or the actions that are allowed.")
}
