package graph

import (
	"net/http"
	"time"

	"opencloud/cloud"
)

// Where people are signed in, and with what. The general API of this name has
// revokeSignInSessions; the rest is ours.

// The JSON of a session.
type session struct {
	ID      string    `json:"id"`
	App     string    `json:"app,omitempty"`    // none: a browser
	Device  string    `json:"device,omitempty"` // "Firefox, Linux"
	Address string    `json:"address,omitempty"`
	Began   time.Time `json:"signedInDateTime"`
	Seen    time.Time `json:"lastUsedDateTime"`
	Current bool      `json:"current"` // the caller's own
}

// The JSON of what somebody has to sign in with besides the password.
type factor struct {
	Kind cloud.FactorKind `json:"kind"` // passkey, codes or recovery
	ID   string           `json:"id,omitempty"`
	Name string           `json:"displayName,omitempty"`
	Made time.Time        `json:"createdDateTime"`
	Used time.Time        `json:"lastUsedDateTime,omitzero"`
	Left *int             `json:"left,omitempty"` // recovery codes
}

type signInActivity struct {
	Last time.Time `json:"lastSuccessfulSignInDateTime"`
}

// whom is the user in the path, or the caller where it says me.
func (h *handler) whom(r *http.Request, args []string) (cloud.UserID, error) {
	if len(args) == 0 {
		return cloud.CallerFrom(r.Context()).ID(), nil
	}
	u, err := h.find(r, args[0])
	if err != nil {
		return "", err
	}
	return u.ID, nil
}

func (h *handler) sessions(w http.ResponseWriter, r *http.Request, args []string) error {
	of, err := h.whom(r, args)
	if err != nil {
		return err
	}
	all, err := h.people.Sessions(r.Context(), of)
	if err != nil {
		return err
	}
	own := cloud.CallerFrom(r.Context()).Session
	got := collection[session]{Value: []session{}}
	for _, s := range all {
		got.Value = append(got.Value, session{s.ID, s.App, s.Device, s.From, s.Began.UTC(), s.Seen.UTC(), s.ID == own})
	}
	return write(w, r, http.StatusOK, got)
}

func (h *handler) endSession(w http.ResponseWriter, r *http.Request, args []string) error {
	last := len(args) - 1
	of, err := h.whom(r, args[:last])
	if err == nil {
		err = h.people.EndSession(r.Context(), of, args[last])
	}
	if err != nil {
		return err
	}
	return writeNothing(w)
}

func (h *handler) endSessions(w http.ResponseWriter, r *http.Request, args []string) error {
	of, err := h.whom(r, args)
	if err == nil {
		err = h.people.EndSessions(r.Context(), of)
	}
	if err != nil {
		return err
	}
	return write(w, r, http.StatusOK, struct {
		Value bool `json:"value"`
	}{true})
}

func (h *handler) factors(w http.ResponseWriter, r *http.Request, args []string) error {
	of, err := h.whom(r, args)
	if err != nil {
		return err
	}
	all, err := h.people.Factors(r.Context(), of)
	if err != nil {
		return err
	}
	got := collection[factor]{Value: []factor{}}
	for _, f := range all {
		x := factor{Kind: f.Kind, ID: f.ID, Name: f.Name, Made: f.Made.UTC(), Used: f.Used.UTC()}
		if f.Kind == cloud.Recovery {
			x.Left = &f.Left
		}
		got.Value = append(got.Value, x)
	}
	return write(w, r, http.StatusOK, got)
}

func (h *handler) resetFactors(w http.ResponseWriter, r *http.Request, args []string) error {
	of, err := h.whom(r, args)
	if err == nil {
		err = h.people.ResetFactors(r.Context(), of)
	}
	if err != nil {
		return err
	}
	return writeNothing(w)
}
