package graph

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"opencloud/cloud"
)

// The JSON of a group.
type group struct {
	ID          string   `json:"id"`
	DisplayName string   `json:"displayName"`
	Description string   `json:"description,omitempty"`
	Types       []string `json:"groupTypes"`
	Members     []user   `json:"members,omitzero"`
}

func groupOf(g *cloud.Group) group {
	types := []string{}
	if g.ReadOnly {
		types = append(types, "ReadOnly")
	}
	return group{ID: string(g.ID), DisplayName: g.Name, Description: g.Description, Types: types}
}

// withMembers says whether $select or $expand ask for the members.
func withMembers(sel, expand string) (bool, error) {
	fields, err := list("$expand", expand, "members")
	if err != nil {
		return false, err
	}
	more, err := list("$select", sel, "id", "displayName", "description", "mail", "groupTypes", "members")
	return slices.Contains(append(fields, more...), "members"), err
}

// renderGroup is a group, with its members if they are asked for.
func (h *handler) renderGroup(r *http.Request, g *cloud.Group, members bool) (group, error) {
	got := groupOf(g)
	if !members {
		return got, nil
	}
	got.Members = []user{}
	render := h.rendering(r, relations{})
	for u, err := range h.people.Members(r.Context(), g.ID) {
		if err != nil {
			return got, err
		}
		m, err := render.user(u)
		if err != nil {
			return got, err
		}
		got.Members = append(got.Members, m)
	}
	return got, nil
}

var groups = shape[*cloud.Group]{
	search: true,
	fields: []string{"id", "displayName"},
	values: func(g *cloud.Group) func(string) []string {
		return func(name string) []string {
			if name == "id" {
				return []string{string(g.ID)}
			}
			return []string{g.Name}
		}
	},
	order: map[string]func(*cloud.Group) string{"displayName": func(g *cloud.Group) string { return g.Name }},
}

func (h *handler) groups(w http.ResponseWriter, r *http.Request, _ []string) error {
	l, err := parseListing(r, groups)
	if err != nil {
		return err
	}
	members, err := withMembers(l.sel, l.expand)
	if err != nil {
		return err
	}
	return answer(w, l, h.people.Groups(r.Context(), l.search), func(g *cloud.Group) (group, error) { return h.renderGroup(r, g, members) })
}

// findGroup is a group by id or by name.
func (h *handler) findGroup(r *http.Request, key string) (*cloud.Group, error) {
	g, err := h.people.Group(r.Context(), "id", key)
	if errors.Is(err, cloud.NotExist) {
		return h.people.Group(r.Context(), "name", key)
	}
	return g, err
}

func (h *handler) group(w http.ResponseWriter, r *http.Request, args []string) error {
	q, err := options(r, "$select", "$expand")
	if err != nil {
		return err
	}
	members, err := withMembers(q.Get("$select"), q.Get("$expand"))
	if err != nil {
		return err
	}
	g, err := h.findGroup(r, args[0])
	if err != nil {
		return err
	}
	got, err := h.renderGroup(r, g, members)
	if err != nil {
		return err
	}
	tag, err := tagOf(groupOf(g))
	if err != nil {
		return err
	}
	w.Header().Set("ETag", tag)
	return write(w, r, http.StatusOK, got)
}

// A groupChange is what clients may send of a group.
type groupChange struct {
	ID          *string  `json:"id"`
	DisplayName *string  `json:"displayName"`
	Description *string  `json:"description"`
	Bind        []string `json:"members@odata.bind"`
}

// fixedGroup are the properties of a group that cannot be set; members come
// by reference.
var fixedGroup = []string{"members", "groupTypes"}

// apply makes the group what is wanted and puts the new members into it.
func (h *handler) apply(r *http.Request, c *groupChange, g *cloud.Group) (*cloud.Group, error) {
	if len(c.Bind) > h.opts.MaxBind {
		return nil, cloud.Refuse(cloud.Invalid, "At most %d members can be added at a time.", h.opts.MaxBind)
	}
	users := make([]*cloud.User, len(c.Bind))
	for i, ref := range c.Bind {
		var err error
		if users[i], err = h.referred(r, ref); err != nil {
			return nil, err
		}
	}
	if c.DisplayName != nil || c.Description != nil || g.ID == "" {
		for to, from := range map[*string]*string{&g.Name: c.DisplayName, &g.Description: c.Description} {
			if from != nil {
				*to = *from
			}
		}
		var err error
		if g, err = h.people.SetGroup(r.Context(), g); err != nil {
			return nil, err
		}
	}
	for _, u := range users {
		if err := h.people.Join(r.Context(), g.ID, u.ID); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// referred is the user that a reference such as "https://.../users/{id}" names.
func (h *handler) referred(r *http.Request, ref string) (*cloud.User, error) {
	id, err := refers(ref, "users")
	if err != nil {
		return nil, err
	}
	u, err := h.people.User(r.Context(), "id", id)
	return u, noSuch(err, "user", id)
}

// refers is the id in a reference to one of the users, say.
func refers(ref, among string) (id string, err error) {
	if u, err := url.Parse(ref); err == nil {
		if _, id, ok := strings.Cut(u.Path, "/"+among+"/"); ok && id != "" && !strings.Contains(id, "/") {
			return id, nil
		}
	}
	return "", cloud.Refuse(cloud.Invalid, "%.80q is not a reference to one of the %s.", ref, among)
}

// noSuch says what does not exist: not what the path names but what the body does.
func noSuch(err error, what, id string) error {
	if errors.Is(err, cloud.NotExist) {
		return cloud.Refuse(cloud.NotExist, "There is no %s %.60q.", what, id)
	}
	return err
}

func (h *handler) createGroup(w http.ResponseWriter, r *http.Request, _ []string) error {
	var c groupChange
	if err := read(w, r, &c, append([]string{"id"}, fixedGroup...)...); err != nil {
		return err
	}
	g, err := h.apply(r, &c, &cloud.Group{})
	if err != nil {
		return err
	}
	return write(w, r, http.StatusCreated, groupOf(g))
}

func (h *handler) updateGroup(w http.ResponseWriter, r *http.Request, args []string) error {
	var c groupChange
	if err := read(w, r, &c, fixedGroup...); err != nil {
		return err
	}
	g, err := h.findGroup(r, args[0])
	if err == nil {
		err = matchesGroup(r, g)
	}
	if err == nil && c.ID != nil && *c.ID != string(g.ID) {
		err = cloud.Refuse(cloud.Invalid, "The id of a group cannot be changed.")
	}
	if err == nil {
		_, err = h.apply(r, &c, g)
	}
	if err != nil {
		return err
	}
	return writeNothing(w)
}

func (h *handler) removeGroup(w http.ResponseWriter, r *http.Request, args []string) error {
	g, err := h.findGroup(r, args[0])
	if err == nil {
		err = matchesGroup(r, g)
	}
	if err == nil {
		err = h.people.RemoveGroup(r.Context(), g.ID)
	}
	if err != nil {
		return err
	}
	return writeNothing(w)
}

func (h *handler) members(w http.ResponseWriter, r *http.Request, args []string) error {
	if _, err := options(r, "$select"); err != nil {
		return err
	}
	g, err := h.findGroup(r, args[0])
	if err != nil {
		return err
	}
	got, err := h.renderGroup(r, g, true)
	if err != nil {
		return err
	}
	return write(w, r, http.StatusOK, collection[user]{Value: got.Members})
}

type reference struct {
	Ref string `json:"@odata.id"`
}

func (h *handler) join(w http.ResponseWriter, r *http.Request, args []string) error {
	var body reference
	if err := read(w, r, &body); err != nil {
		return err
	}
	g, err := h.findGroup(r, args[0])
	if err != nil {
		return err
	}
	u, err := h.referred(r, body.Ref)
	if err == nil {
		err = h.people.Join(r.Context(), g.ID, u.ID)
	}
	if err != nil {
		return err
	}
	return writeNothing(w)
}

func (h *handler) leave(w http.ResponseWriter, r *http.Request, args []string) error {
	g, err := h.findGroup(r, args[0])
	if err == nil {
		err = matchesGroup(r, g)
	}
	if err == nil {
		err = h.people.Leave(r.Context(), g.ID, cloud.UserID(args[1]))
	}
	if err != nil {
		return err
	}
	return writeNothing(w)
}
