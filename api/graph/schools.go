package graph

import (
	"net/http"
	"time"

	"opencloud/cloud"
)

// The JSON of a school.
type school struct {
	ID          string     `json:"id"`
	DisplayName string     `json:"displayName"`
	Number      string     `json:"schoolNumber,omitempty"`
	External    string     `json:"externalId,omitempty"`
	Ends        *time.Time `json:"terminationDate,omitempty"`
}

func schoolOf(s *cloud.School) (school, error) {
	got := school{ID: string(s.ID), DisplayName: s.Name, Number: s.Number, External: s.External}
	if !s.Ends.IsZero() {
		got.Ends = new(s.Ends.UTC())
	}
	return got, nil
}

var schools = shape[*cloud.School]{
	fields: []string{"id", "displayName", "schoolNumber", "externalId"},
	values: func(s *cloud.School) func(string) []string {
		return func(name string) []string {
			return []string{map[string]string{"id": string(s.ID), "displayName": s.Name, "schoolNumber": s.Number, "externalId": s.External}[name]}
		}
	},
	order: map[string]func(*cloud.School) string{
		"displayName":  func(s *cloud.School) string { return s.Name },
		"schoolNumber": func(s *cloud.School) string { return s.Number },
	},
}

func (h *handler) schools(w http.ResponseWriter, r *http.Request, _ []string) error {
	l, err := parseListing(r, schools)
	if err == nil {
		err = bare(l, schools, "terminationDate")
	}
	if err != nil {
		return err
	}
	all := sought(r, h.opts.Education.Schools(r.Context()), func(id string) (*cloud.School, error) {
		return h.opts.Education.School(r.Context(), "external", id)
	})
	return answer(w, l, all, schoolOf)
}

// findSchool is a school by id or by number.
func (h *handler) findSchool(r *http.Request, key string) (*cloud.School, error) {
	return either(func(by string) (*cloud.School, error) { return h.opts.Education.School(r.Context(), by, key) }, "id", "number")
}

func (h *handler) school(w http.ResponseWriter, r *http.Request, args []string) error {
	if _, err := options(r); err != nil {
		return err
	}
	s, err := h.findSchool(r, args[0])
	return show(w, r, http.StatusOK, s, err, schoolOf)
}

// A schoolChange is what clients may send of a school.
type schoolChange struct {
	ID          *string             `json:"id"`
	DisplayName *string             `json:"displayName"`
	Number      *string             `json:"schoolNumber"`
	External    *string             `json:"externalId"`
	Ends        nullable[time.Time] `json:"terminationDate"`
}

func (c *schoolChange) applyTo(s *cloud.School) error {
	if c.ID != nil && *c.ID != string(s.ID) {
		return cloud.Refuse(cloud.Invalid, "The id of a school cannot be chosen.")
	}
	for to, from := range map[*string]*string{&s.Name: c.DisplayName, &s.Number: c.Number, &s.External: c.External} {
		if from != nil {
			*to = *from
		}
	}
	if c.Ends.set {
		s.Ends = time.Time{}
		if c.Ends.value != nil {
			s.Ends = *c.Ends.value
		}
	}
	return nil
}

// setSchool makes what a client sent of a school true of it.
func (h *handler) setSchool(w http.ResponseWriter, r *http.Request, status int, s *cloud.School) error {
	var c schoolChange
	err := read(w, r, &c)
	if err == nil {
		err = c.applyTo(s)
	}
	if err == nil {
		s, err = h.opts.Education.SetSchool(r.Context(), s)
	}
	return show(w, r, status, s, err, schoolOf)
}

func (h *handler) createSchool(w http.ResponseWriter, r *http.Request, _ []string) error {
	return h.setSchool(w, r, http.StatusCreated, &cloud.School{})
}

func (h *handler) updateSchool(w http.ResponseWriter, r *http.Request, args []string) error {
	s, err := h.findSchool(r, args[0])
	if err != nil {
		return err
	}
	return h.setSchool(w, r, http.StatusOK, s)
}

func (h *handler) removeSchool(w http.ResponseWriter, r *http.Request, args []string) error {
	s, err := h.findSchool(r, args[0])
	if err == nil {
		err = h.opts.Education.RemoveSchool(r.Context(), s.ID)
	}
	return done(w, err)
}

func (h *handler) schoolUsers(w http.ResponseWriter, r *http.Request, args []string) error {
	s, err := h.findSchool(r, args[0])
	if err != nil {
		return err
	}
	return h.writePupils(w, r, h.opts.Education.Pupils(r.Context(), s.ID))
}

func (h *handler) schoolClasses(w http.ResponseWriter, r *http.Request, args []string) error {
	s, err := h.findSchool(r, args[0])
	if err != nil {
		return err
	}
	return writeClasses(w, r, h.opts.Education.Classes(r.Context(), s.ID))
}

func (h *handler) attend(w http.ResponseWriter, r *http.Request, args []string) error {
	id, err := refBody(w, r, "users")
	if err != nil {
		return err
	}
	s, err := h.findSchool(r, args[0])
	if err == nil {
		err = noSuch(h.opts.Education.Attend(r.Context(), s.ID, cloud.UserID(id)), "user", id)
	}
	return done(w, err)
}

func (h *handler) quit(w http.ResponseWriter, r *http.Request, args []string) error {
	s, err := h.findSchool(r, args[0])
	if err != nil {
		return err
	}
	p, err := h.findPupil(r, args[1])
	if err == nil {
		err = h.opts.Education.Quit(r.Context(), s.ID, p.User.ID)
	}
	return done(w, err)
}

func (h *handler) offer(w http.ResponseWriter, r *http.Request, args []string) error {
	id, err := refBody(w, r, "classes")
	if err != nil {
		return err
	}
	s, err := h.findSchool(r, args[0])
	if err == nil {
		err = noSuch(h.opts.Education.Offer(r.Context(), s.ID, cloud.GroupID(id)), "class", id)
	}
	return done(w, err)
}

func (h *handler) withdraw(w http.ResponseWriter, r *http.Request, args []string) error {
	s, err := h.findSchool(r, args[0])
	if err != nil {
		return err
	}
	c, err := h.findClass(r, args[1])
	if err == nil {
		err = h.opts.Education.Withdraw(r.Context(), s.ID, c.ID)
	}
	return done(w, err)
}
