package graph

import (
	"iter"
	"net/http"
	"slices"

	"opencloud/cloud"
)

// The JSON of a user of schools, whose identities are those that schools know.
type pupil struct {
	user
	External string `json:"externalId,omitempty"`
	Role     string `json:"primaryRole,omitempty"`
}

func (r *rendering) pupil(p *cloud.Pupil) (pupil, error) {
	u, err := r.user(p.User)
	u.Language, u.Identities = "", nil // the former is not of this type
	for _, i := range p.Enrolment.Identities {
		u.Identities = append(u.Identities, objectIdentity(i))
	}
	return pupil{u, p.Enrolment.External, p.Enrolment.Role}, err
}

// pupilRelations reads $expand and $select, which know less here than they do
// for users.
func pupilRelations(sel, expand string) (relations, error) {
	fields, err := list("$expand", expand, "memberOf")
	if err != nil {
		return relations{}, err
	}
	more, err := list("$select", sel, append(slices.Clone(pupils.fields), "identities", "memberOf")...)
	return relations{memberOf: slices.Contains(append(fields, more...), "memberOf")}, err
}

var pupils = shape[*cloud.Pupil]{
	fields: []string{"id", "displayName", "givenName", "surname", "mail", "onPremisesSamAccountName", "userType", "accountEnabled", "externalId", "primaryRole"},
	values: func(p *cloud.Pupil) func(string) []string {
		of := properties(p.User)
		return func(name string) []string {
			switch name {
			case "externalId":
				return []string{p.Enrolment.External}
			case "primaryRole":
				return []string{p.Enrolment.Role}
			}
			return of(name)
		}
	},
	order: map[string]func(*cloud.Pupil) string{
		"displayName":              func(p *cloud.Pupil) string { return displayName(p.User) },
		"mail":                     func(p *cloud.Pupil) string { return p.User.Mail },
		"onPremisesSamAccountName": func(p *cloud.Pupil) string { return p.User.Name },
	},
}

func (h *handler) writePupils(w http.ResponseWriter, r *http.Request, all iter.Seq2[*cloud.Pupil, error]) error {
	l, err := parseListing(r, pupils)
	if err != nil {
		return err
	}
	rel, err := pupilRelations(l.sel, l.expand)
	if err != nil {
		return err
	}
	return answer(w, l, all, h.rendering(r, rel).pupil)
}

func (h *handler) pupils(w http.ResponseWriter, r *http.Request, _ []string) error {
	return h.writePupils(w, r, sought(r, h.opts.Education.Pupils(r.Context(), ""), func(id string) (*cloud.Pupil, error) {
		return h.opts.Education.Pupil(r.Context(), "external", id)
	}))
}

// findPupil is one by id or by user name.
func (h *handler) findPupil(r *http.Request, key string) (*cloud.Pupil, error) {
	return either(func(by string) (*cloud.Pupil, error) { return h.opts.Education.Pupil(r.Context(), by, key) }, "id", "name")
}

func (h *handler) pupil(w http.ResponseWriter, r *http.Request, args []string) error {
	q, err := options(r, "$expand", "$select")
	if err != nil {
		return err
	}
	rel, err := pupilRelations(q.Get("$select"), q.Get("$expand"))
	if err != nil {
		return err
	}
	p, err := h.findPupil(r, args[0])
	return show(w, r, http.StatusOK, p, err, h.rendering(r, rel).pupil)
}

// A pupilChange is what clients may send of a user of schools.
type pupilChange struct {
	userChange
	Role       *string          `json:"primaryRole"`
	External   *string          `json:"externalId"`
	Identities []objectIdentity `json:"identities"`
}

func (c *pupilChange) identities() []cloud.Identity {
	if c.Identities == nil {
		return nil
	}
	all := make([]cloud.Identity, len(c.Identities))
	for i, id := range c.Identities {
		all[i] = cloud.Identity(id)
	}
	return all
}

func (h *handler) createPupil(w http.ResponseWriter, r *http.Request, _ []string) error {
	var c pupilChange
	if err := read(w, r, &c, "memberOf", "drive"); err != nil {
		return err
	}
	u, password, err := c.user()
	if err != nil {
		return err
	}
	p := &cloud.Pupil{User: u, Enrolment: cloud.Enrolment{Identities: c.identities()}}
	for to, from := range map[*string]*string{&p.Enrolment.Role: c.Role, &p.Enrolment.External: c.External} {
		if from != nil {
			*to = *from
		}
	}
	p, err = h.opts.Education.AddPupil(r.Context(), p, password)
	return show(w, r, http.StatusCreated, p, err, h.rendering(r, relations{}).pupil)
}

// updatePupil takes any user: it is how those who are there already get to
// schools.
func (h *handler) updatePupil(w http.ResponseWriter, r *http.Request, args []string) error {
	var c pupilChange
	if err := read(w, r, &c, "memberOf", "drive"); err != nil {
		return err
	}
	u, err := h.find(r, args[0])
	if err != nil {
		return err
	}
	change := cloud.PupilChange{Role: c.Role, External: c.External, Identities: c.identities()}
	if change.User, err = c.change(u); err != nil {
		return err
	}
	p, err := h.opts.Education.ChangePupil(r.Context(), u.ID, change)
	return show(w, r, http.StatusOK, p, err, h.rendering(r, relations{}).pupil)
}

func (h *handler) removePupil(w http.ResponseWriter, r *http.Request, args []string) error {
	p, err := h.findPupil(r, args[0])
	if err == nil {
		err = h.people.RemoveUser(r.Context(), p.User.ID)
	}
	return done(w, err)
}
