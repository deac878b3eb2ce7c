package graph

import (
	"net/http"
	"strings"

	"opencloud/cloud"
)

// applicationID names the one application whose roles users have: this
// system. It is the same on every server.
const applicationID = "f4e3b2a1-6a5c-4d0e-9c37-2b8d1e07a9f5"

// The JSON of roles.
type (
	application struct {
		ID          string    `json:"id"`
		DisplayName string    `json:"displayName"`
		AppRoles    []appRole `json:"appRoles"`
	}
	appRole struct {
		ID          string   `json:"id"`
		DisplayName string   `json:"displayName"`
		MemberTypes []string `json:"allowedMemberTypes"`
	}
	appRoleAssignment struct {
		ID            string `json:"id"`
		AppRoleID     string `json:"appRoleId"`
		PrincipalID   string `json:"principalId"`
		PrincipalName string `json:"principalDisplayName"`
		PrincipalType string `json:"principalType"`
		ResourceID    string `json:"resourceId"`
		ResourceName  string `json:"resourceDisplayName"`
	}
)

func (h *handler) theApplication() application {
	a := application{ID: applicationID, DisplayName: h.opts.Product}
	for _, r := range cloud.Roles() {
		a.AppRoles = append(a.AppRoles, appRole{r.ID, r.Display, []string{"User"}})
	}
	return a
}

func (h *handler) applications(w http.ResponseWriter, r *http.Request, _ []string) error {
	if _, err := caller(r); err != nil {
		return err
	}
	return write(w, r, http.StatusOK, collection[application]{Value: []application{h.theApplication()}})
}

func (h *handler) application(w http.ResponseWriter, r *http.Request, args []string) error {
	if _, err := caller(r); err != nil {
		return err
	}
	if args[0] != applicationID {
		return cloud.NotExist
	}
	return write(w, r, http.StatusOK, h.theApplication())
}

// assignmentsOf are the roles of a user: one, or none.
func (h *handler) assignmentsOf(u *cloud.User) []appRoleAssignment {
	if u.Role == "" {
		return []appRoleAssignment{}
	}
	return []appRoleAssignment{{
		ID:        string(u.ID) + ":" + u.Role,
		AppRoleID: u.Role, PrincipalID: string(u.ID), PrincipalName: displayName(u), PrincipalType: "User",
		ResourceID: applicationID, ResourceName: h.opts.Product,
	}}
}

func (h *handler) assignments(w http.ResponseWriter, r *http.Request, args []string) error {
	u, err := h.whole(r, args[0])
	if err != nil {
		return err
	}
	return write(w, r, http.StatusOK, collection[appRoleAssignment]{Value: h.assignmentsOf(u)})
}

// whole is a user of whom the caller may know everything.
func (h *handler) whole(r *http.Request, key string) (*cloud.User, error) {
	u, err := h.find(r, key)
	if err == nil && u.Name == "" {
		err = cloud.Permission
	}
	return u, err
}

func (h *handler) assign(w http.ResponseWriter, r *http.Request, args []string) error {
	var want appRoleAssignment
	if err := read(w, r, &want, "createdDateTime", "deletedDateTime"); err != nil {
		return err
	}
	u, err := h.find(r, args[0])
	if err != nil {
		return err
	}
	if want.PrincipalID != string(u.ID) || want.ResourceID != applicationID || want.AppRoleID == "" {
		return cloud.Refuse(cloud.Invalid, "An assignment names the user as principal, the application as resource, and one of its roles.")
	}
	if u, err = h.people.ChangeUser(r.Context(), u.ID, cloud.UserChange{Role: &want.AppRoleID}); err != nil {
		return err
	}
	return write(w, r, http.StatusOK, h.assignmentsOf(u)[0])
}

func (h *handler) unassign(w http.ResponseWriter, r *http.Request, args []string) error {
	u, err := h.whole(r, args[0])
	if err == nil {
		err = h.matchesUser(r, u)
	}
	if err != nil {
		return err
	}
	if id, role, ok := strings.Cut(args[1], ":"); !ok || id != string(u.ID) || role != u.Role {
		return cloud.Refuse(cloud.NotExist, "The user does not have this role.")
	}
	if _, err := h.people.ChangeUser(r.Context(), u.ID, cloud.UserChange{Role: new("")}); err != nil {
		return err
	}
	return writeNothing(w)
}
