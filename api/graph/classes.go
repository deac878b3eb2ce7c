package graph

import (
	"context"
	"iter"
	"net/http"

	"opencloud/cloud"
)

// The JSON of a class.
type class struct {
	ID             string          `json:"id"`
	DisplayName    string          `json:"displayName"`
	Description    string          `json:"description,omitempty"`
	Classification cloud.ClassKind `json:"classification"`
	External       string          `json:"externalId,omitempty"`
}

func classOf(c *cloud.Class) (class, error) {
	return class{string(c.ID), c.Name, c.Description, c.Kind, c.External}, nil
}

var classes = shape[*cloud.Class]{
	fields: []string{"id", "displayName", "classification", "externalId"},
	values: func(c *cloud.Class) func(string) []string {
		return func(name string) []string {
			return []string{map[string]string{"id": string(c.ID), "displayName": c.Name, "classification": string(c.Kind), "externalId": c.External}[name]}
		}
	},
	order: map[string]func(*cloud.Class) string{"displayName": func(c *cloud.Class) string { return c.Name }},
}

func writeClasses(w http.ResponseWriter, r *http.Request, all iter.Seq2[*cloud.Class, error]) error {
	l, err := parseListing(r, classes)
	if err == nil {
		err = bare(l, classes, "description")
	}
	if err != nil {
		return err
	}
	return answer(w, l, all, classOf)
}

func (h *handler) classes(w http.ResponseWriter, r *http.Request, _ []string) error {
	return writeClasses(w, r, sought(r, h.opts.Education.Classes(r.Context(), ""), func(id string) (*cloud.Class, error) {
		return h.opts.Education.Class(r.Context(), "external", id)
	}))
}

// findClass is a class by id or by external id.
func (h *handler) findClass(r *http.Request, key string) (*cloud.Class, error) {
	return either(func(by string) (*cloud.Class, error) { return h.opts.Education.Class(r.Context(), by, key) }, "id", "external")
}

func (h *handler) class(w http.ResponseWriter, r *http.Request, args []string) error {
	if _, err := options(r); err != nil {
		return err
	}
	c, err := h.findClass(r, args[0])
	return show(w, r, http.StatusOK, c, err, classOf)
}

// A classChange is what clients may send of a class.
type classChange struct {
	ID             *string          `json:"id"`
	DisplayName    *string          `json:"displayName"`
	Description    *string          `json:"description"`
	Classification *cloud.ClassKind `json:"classification"`
	External       *string          `json:"externalId"`
	Bind           []string         `json:"members@odata.bind"`
}

// setClass makes what a client sent of a class true of it, and puts the new
// members into it.
func (h *handler) setClass(w http.ResponseWriter, r *http.Request, status int, c *cloud.Class) error {
	var change classChange
	if err := read(w, r, &change, "members"); err != nil {
		return err
	}
	if change.ID != nil && *change.ID != string(c.ID) {
		return cloud.Refuse(cloud.Invalid, "The id of a class cannot be chosen.")
	}
	members, err := h.bound(r, change.Bind)
	if err != nil {
		return err
	}
	was := *c
	for to, from := range map[*string]*string{&c.Name: change.DisplayName, &c.Description: change.Description, &c.External: change.External} {
		if from != nil {
			*to = *from
		}
	}
	if change.Classification != nil {
		c.Kind = *change.Classification
	}
	if c.ID == "" || c.Name != was.Name || c.Description != was.Description || c.External != was.External || c.Kind != was.Kind {
		if c, err = h.opts.Education.SetClass(r.Context(), c); err != nil {
			return err
		}
	}
	for _, id := range members {
		if err := h.opts.Education.Join(r.Context(), c.ID, id); err != nil {
			return err
		}
	}
	return show(w, r, status, c, nil, classOf)
}

// bound are the users that references name, who are all there.
func (h *handler) bound(r *http.Request, refs []string) ([]cloud.UserID, error) {
	if len(refs) > h.opts.MaxBind {
		return nil, cloud.Refuse(cloud.Invalid, "At most %d members can be added at a time.", h.opts.MaxBind)
	}
	ids := make([]cloud.UserID, len(refs))
	for i, ref := range refs {
		id, err := refers(ref, "users")
		if err != nil {
			return nil, err
		}
		if _, err := h.opts.Education.Pupil(r.Context(), "id", id); err != nil {
			return nil, noSuch(err, "user", id)
		}
		ids[i] = cloud.UserID(id)
	}
	return ids, nil
}

func (h *handler) createClass(w http.ResponseWriter, r *http.Request, _ []string) error {
	return h.setClass(w, r, http.StatusCreated, &cloud.Class{})
}

func (h *handler) updateClass(w http.ResponseWriter, r *http.Request, args []string) error {
	c, err := h.findClass(r, args[0])
	if err != nil {
		return err
	}
	return h.setClass(w, r, http.StatusOK, c)
}

func (h *handler) removeClass(w http.ResponseWriter, r *http.Request, args []string) error {
	c, err := h.findClass(r, args[0])
	if err == nil {
		err = h.people.RemoveGroup(r.Context(), c.ID)
	}
	return done(w, err)
}

func (h *handler) classMembers(w http.ResponseWriter, r *http.Request, args []string) error {
	c, err := h.findClass(r, args[0])
	if err != nil {
		return err
	}
	return h.writePupils(w, r, h.opts.Education.Members(r.Context(), c.ID))
}

func (h *handler) teachers(w http.ResponseWriter, r *http.Request, args []string) error {
	c, err := h.findClass(r, args[0])
	if err != nil {
		return err
	}
	return h.writePupils(w, r, h.opts.Education.Teachers(r.Context(), c.ID))
}

// A placing changes what a user is in a class.
type placing func(ctx context.Context, class cloud.GroupID, who cloud.UserID) error

// place is for the user that the body refers to.
func (h *handler) place(w http.ResponseWriter, r *http.Request, args []string, do placing) error {
	id, err := refBody(w, r, "users")
	if err != nil {
		return err
	}
	c, err := h.findClass(r, args[0])
	if err == nil {
		err = noSuch(do(r.Context(), c.ID, cloud.UserID(id)), "user", id)
	}
	return done(w, err)
}

// displace is for the user that the path names. It can be one whom only the group knows.
func (h *handler) displace(w http.ResponseWriter, r *http.Request, args []string, do placing) error {
	c, err := h.findClass(r, args[0])
	if err != nil {
		return err
	}
	u, err := h.find(r, args[1])
	if err == nil {
		err = do(r.Context(), c.ID, u.ID)
	}
	return done(w, err)
}

func (h *handler) joinClass(w http.ResponseWriter, r *http.Request, args []string) error {
	return h.place(w, r, args, h.opts.Education.Join)
}

func (h *handler) leaveClass(w http.ResponseWriter, r *http.Request, args []string) error {
	return h.displace(w, r, args, h.opts.Education.Leave)
}

func (h *handler) teach(w http.ResponseWriter, r *http.Request, args []string) error {
	return h.place(w, r, args, h.opts.Education.Teach)
}

func (h *handler) unteach(w http.ResponseWriter, r *http.Request, args []string) error {
	return h.displace(w, r, args, h.opts.Education.Unteach)
}
