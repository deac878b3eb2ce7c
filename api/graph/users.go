package graph

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// The JSON of a user. What the caller may not know is left out.
type user struct {
	ID          string              `json:"id"`
	AccountName string              `json:"onPremisesSamAccountName"`
	DisplayName string              `json:"displayName"`
	GivenName   string              `json:"givenName,omitempty"`
	Surname     string              `json:"surname,omitempty"`
	Mail        *string             `json:"mail,omitempty"`
	Enabled     *bool               `json:"accountEnabled,omitempty"`
	Type        string              `json:"userType"`
	Language    string              `json:"preferredLanguage,omitempty"`
	Identities  []objectIdentity    `json:"identities,omitempty"`
	MemberOf    []group             `json:"memberOf,omitzero"`
	Assignments []appRoleAssignment `json:"appRoleAssignments,omitzero"`
	Drive       *drive              `json:"drive,omitempty"`
	SignIns     *signInActivity     `json:"signInActivity,omitempty"`
	Drives      []drive             `json:"drives,omitzero"`
}

// An objectIdentity is how an account is known where it signs in.
type objectIdentity struct {
	Issuer string `json:"issuer"`
	ID     string `json:"issuerAssignedId"`
}

// relations are what $expand adds to a user.
type relations struct {
	memberOf, assignments, drive, drives bool
}

var userSelect = []string{
	"id", "displayName", "givenName", "surname", "mail", "onPremisesSamAccountName", "accountEnabled", "userType", "preferredLanguage",
	"identities", "memberOf", "drive", "drives", "appRoleAssignments", "signInActivity",
}

// parseRelations reads $expand and $select. The latter narrows nothing, for
// the whole is small.
func parseRelations(sel, expand string) (rel relations, err error) {
	fields, err := list("$expand", expand, "memberOf", "drive", "drives", "appRoleAssignments")
	if err != nil {
		return rel, err
	}
	more, err := list("$select", sel, userSelect...)
	fields = append(fields, more...)
	has := func(name string) bool { return slices.Contains(fields, name) }
	return relations{has("memberOf"), has("appRoleAssignments"), has("drive"), has("drives")}, err
}

func typeOf(u *cloud.User) string { return cmp.Or(string(u.Kind), "Member") }

// A rendering is how users are rendered within one request.
type rendering struct {
	*handler
	*http.Request
	with   relations
	groups map[cloud.GroupID]group // so far
	spaces []*cloud.Space          // all, once somebody's drives were asked for
}

func (h *handler) rendering(r *http.Request, rel relations) *rendering {
	return &rendering{handler: h, Request: r, with: rel, groups: map[cloud.GroupID]group{}}
}

func (r *rendering) user(u *cloud.User) (user, error) {
	got := user{
		ID: string(u.ID), AccountName: u.Name, DisplayName: displayName(u), GivenName: u.GivenName, Surname: u.Surname,
		Type: typeOf(u), Language: u.Language,
	}
	whole := u.Name != "" // nobody is without one: else it is not for the caller
	if whole || u.Mail != "" {
		got.Mail = &u.Mail
	}
	if !whole {
		return got, nil
	}
	got.Enabled = new(!u.Disabled)
	at, err := r.people.LastSignIn(r.Context(), u.ID)
	if err != nil {
		return got, err
	}
	if !at.IsZero() {
		got.SignIns = &signInActivity{at.UTC()}
	}
	got.Identities = []objectIdentity{{httpx.From(r.Context()).Site.URL.String(), string(u.ID)}}
	if r.with.memberOf {
		if got.MemberOf, err = r.groupsOf(u); err != nil {
			return got, err
		}
	}
	if r.with.assignments {
		got.Assignments = r.assignmentsOf(u)
	}
	if r.with.drive {
		if got.Drive, err = r.homeOf(u); err != nil {
			return got, err
		}
	}
	if r.with.drives {
		got.Drives, err = r.drivesOf(u)
	}
	return got, err
}

func (r *rendering) groupsOf(u *cloud.User) ([]group, error) {
	all := make([]group, 0, len(u.Groups))
	for _, id := range u.Groups {
		g, ok := r.groups[id]
		if !ok {
			found, err := r.people.Group(r.Context(), "id", string(id))
			if errors.Is(err, cloud.NotExist) {
				continue // removed meanwhile
			}
			if err != nil {
				return nil, err
			}
			g = groupOf(found)
			r.groups[id] = g
		}
		all = append(all, g)
	}
	return all, nil
}

// homeOf is the personal drive, nil if there is none or it is not for the caller.
func (r *rendering) homeOf(u *cloud.User) (*drive, error) {
	s, err := r.people.Home(r.Context(), u.ID)
	switch cloud.KindOf(err) {
	case cloud.NotExist, cloud.Permission:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := r.render(r.Request, s)
	return &d, err
}

// drivesOf are those of which the user is a member, as far as the caller may
// know of them.
func (r *rendering) drivesOf(u *cloud.User) ([]drive, error) {
	if r.spaces == nil {
		r.spaces = []*cloud.Space{}
		for s, err := range r.files.AllSpaces(r.Context()) {
			if err != nil {
				return nil, err
			}
			r.spaces = append(r.spaces, s)
		}
	}
	all := []drive{}
	now := time.Now()
	for _, s := range r.spaces {
		if !slices.ContainsFunc(s.Root.Grants, func(g cloud.Grant) bool { return g.Concerns(u) && !g.Expired(now) }) {
			continue
		}
		d, err := r.render(r.Request, s)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func displayName(u *cloud.User) string { return cmp.Or(u.Display, u.Name) }

// caller is who asks.
func caller(r *http.Request) (*cloud.User, error) {
	u := cloud.CallerFrom(r.Context()).User
	if u == nil {
		return nil, cloud.Unauthorized
	}
	return u, nil
}

func (h *handler) me(w http.ResponseWriter, r *http.Request, _ []string) error {
	u, err := caller(r)
	if err != nil {
		return err
	}
	return h.showUser(w, r, u)
}

// showUser answers with a user and what the query adds.
func (h *handler) showUser(w http.ResponseWriter, r *http.Request, u *cloud.User) error {
	q, err := options(r, "$expand", "$select")
	if err != nil {
		return err
	}
	rel, err := parseRelations(q.Get("$select"), q.Get("$expand"))
	if err != nil {
		return err
	}
	tag, err := h.userTag(r, u)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", tag)
	return h.writeUser(w, r, http.StatusOK, rel, u)
}

func (h *handler) writeUser(w http.ResponseWriter, r *http.Request, status int, rel relations, u *cloud.User) error {
	got, err := h.rendering(r, rel).user(u)
	if err != nil {
		return err
	}
	return write(w, r, status, got)
}

func (h *handler) user(w http.ResponseWriter, r *http.Request, args []string) error {
	u, err := h.find(r, args[0])
	if err != nil {
		return err
	}
	return h.showUser(w, r, u)
}

// find is a user by id or by name.
func (h *handler) find(r *http.Request, key string) (*cloud.User, error) {
	u, err := h.people.User(r.Context(), "id", key)
	if errors.Is(err, cloud.NotExist) {
		return h.people.User(r.Context(), "name", key)
	}
	return u, err
}

var users = shape[*cloud.User]{
	search: true,
	fields: []string{"id", "displayName", "givenName", "surname", "mail", "onPremisesSamAccountName", "userType",
		"accountEnabled", "memberOf/id", "appRoleAssignments/appRoleId"},
	values: properties,
	order: map[string]func(*cloud.User) string{
		"displayName":              displayName,
		"mail":                     func(u *cloud.User) string { return u.Mail },
		"onPremisesSamAccountName": func(u *cloud.User) string { return u.Name },
	},
}

// users lists those who match.
func (h *handler) users(w http.ResponseWriter, r *http.Request, _ []string) error {
	l, err := parseListing(r, users)
	if err != nil {
		return err
	}
	rel, err := parseRelations(l.sel, l.expand)
	if err != nil {
		return err
	}
	return answer(w, l, h.people.Users(r.Context(), l.search), h.rendering(r, rel).user)
}

// properties are what a $filter asks of a user.
func properties(u *cloud.User) func(string) []string {
	return func(name string) []string {
		switch name {
		case "id":
			return []string{string(u.ID)}
		case "displayName":
			return []string{displayName(u)}
		case "givenName":
			return []string{u.GivenName}
		case "surname":
			return []string{u.Surname}
		case "mail":
			return []string{u.Mail}
		case "onPremisesSamAccountName":
			return []string{u.Name}
		case "userType":
			return []string{typeOf(u)}
		case "accountEnabled":
			if u.Disabled {
				return []string{"false"}
			}
			return []string{"true"}
		case "appRoleAssignments/appRoleId":
			return []string{u.Role}
		}
		groups := make([]string, len(u.Groups))
		for i, g := range u.Groups {
			groups[i] = string(g)
		}
		return groups
	}
}

// A userChange is what clients may send of a user. What is only to be read is
// not looked at.
type userChange struct {
	ID          *string `json:"id"`
	AccountName *string `json:"onPremisesSamAccountName"`
	DisplayName *string `json:"displayName"`
	GivenName   *string `json:"givenName"`
	Surname     *string `json:"surname"`
	Mail        *string `json:"mail"`
	Language    *string `json:"preferredLanguage"`
	Enabled     *bool   `json:"accountEnabled"`
	Type        *string `json:"userType"`
	Password    struct {
		Password *string `json:"password"`
		Force    bool    `json:"forceChangePasswordNextSignIn"`
	} `json:"passwordProfile"`
}

// fixedUser are the properties of a user that cannot be set.
var fixedUser = []string{"identities"}

// check is for what cannot be done, whatever it is to.
func (c *userChange) check() error {
	if c.Password.Force {
		return cloud.Refuse(cloud.NotSupported, "Users cannot be made to change their password here.")
	}
	return nil
}

// user is a new one, with a password.
func (c *userChange) user() (u *cloud.User, password string, err error) {
	if c.ID != nil || c.Type != nil && *c.Type != "Member" {
		return nil, "", cloud.Refuse(cloud.Invalid, "The id and the type of a user cannot be chosen.")
	}
	if err := c.check(); err != nil {
		return nil, "", err
	}
	u = &cloud.User{}
	for to, from := range map[*string]*string{
		&u.Name: c.AccountName, &u.Display: c.DisplayName, &u.GivenName: c.GivenName, &u.Surname: c.Surname, &u.Mail: c.Mail,
		&u.Language: c.Language, &password: c.Password.Password,
	} {
		if from != nil {
			*to = *from
		}
	}
	u.Disabled = c.Enabled != nil && !*c.Enabled
	return u, password, nil
}

// change is that of a user who is there.
func (c *userChange) change(u *cloud.User) (cloud.UserChange, error) {
	if c.ID != nil && *c.ID != string(u.ID) || c.Type != nil && *c.Type != typeOf(u) {
		return cloud.UserChange{}, cloud.Refuse(cloud.Invalid, "The id and the type of a user cannot be changed.")
	}
	if err := c.check(); err != nil {
		return cloud.UserChange{}, err
	}
	change := cloud.UserChange{
		Name: c.AccountName, Display: c.DisplayName, GivenName: c.GivenName, Surname: c.Surname, Mail: c.Mail,
		Language: c.Language, Password: c.Password.Password,
	}
	if c.Enabled != nil {
		change.Disabled = new(!*c.Enabled)
	}
	return change, nil
}

func (h *handler) createUser(w http.ResponseWriter, r *http.Request, _ []string) error {
	var c userChange
	if err := read(w, r, &c, fixedUser...); err != nil {
		return err
	}
	u, password, err := c.user()
	if err != nil {
		return err
	}
	u, err = h.people.AddUser(r.Context(), u, password)
	if err != nil {
		return err
	}
	return h.writeUser(w, r, http.StatusCreated, relations{}, u)
}

func (h *handler) updateUser(w http.ResponseWriter, r *http.Request, args []string) error {
	u, err := h.find(r, args[0])
	if err != nil {
		return err
	}
	return h.changeUser(w, r, u)
}

func (h *handler) updateMe(w http.ResponseWriter, r *http.Request, _ []string) error {
	u, err := caller(r)
	if err != nil {
		return err
	}
	return h.changeUser(w, r, u)
}

func (h *handler) changeUser(w http.ResponseWriter, r *http.Request, u *cloud.User) error {
	var c userChange
	if err := read(w, r, &c, fixedUser...); err != nil {
		return err
	}
	if err := h.matchesUser(r, u); err != nil {
		return err
	}
	change, err := c.change(u)
	if err != nil {
		return err
	}
	u, err = h.people.ChangeUser(r.Context(), u.ID, change)
	if err != nil {
		return err
	}
	return h.writeUser(w, r, http.StatusOK, relations{}, u)
}

func (h *handler) removeUser(w http.ResponseWriter, r *http.Request, args []string) error {
	u, err := h.find(r, args[0])
	if err == nil {
		err = h.matchesUser(r, u)
	}
	if err == nil {
		err = h.people.RemoveUser(r.Context(), u.ID)
	}
	if err != nil {
		return err
	}
	return writeNothing(w)
}

type passwordChange struct {
	Current string `json:"currentPassword"`
	New     string `json:"newPassword"`
}

func (h *handler) changePassword(w http.ResponseWriter, r *http.Request, _ []string) error {
	var body passwordChange
	if err := read(w, r, &body); err != nil {
		return err
	}
	if err := h.people.ChangePassword(r.Context(), body.Current, body.New); err != nil {
		return err
	}
	return writeNothing(w)
}

// userDrive is the personal space of a user.
func (h *handler) userDrive(w http.ResponseWriter, r *http.Request, args []string) error {
	u, err := h.find(r, args[0])
	if err != nil {
		return err
	}
	s, err := h.people.Home(r.Context(), u.ID)
	return h.showDrive(w, r, volume{space: s}, err)
}
