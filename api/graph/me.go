package graph

import (
	"net/http"
	"slices"

	"opencloud/cloud"
)

type user struct {
	ID          string  `json:"id"`
	AccountName string  `json:"onPremisesSamAccountName"`
	DisplayName string  `json:"displayName"`
	Mail        string  `json:"mail"`
	Type        string  `json:"userType"`
	MemberOf    []group `json:"memberOf,omitzero"`
}

type group struct {
	ID string `json:"id"`
}

// me is who asks. $select narrows nothing: the whole is small.
func (h *handler) me(w http.ResponseWriter, r *http.Request, _ string) error {
	q, err := options(r, "$expand", "$select")
	if err != nil {
		return err
	}
	expand, err := list("$expand", q.Get("$expand"), "memberOf")
	if err != nil {
		return err
	}
	u, err := caller(r)
	if err != nil {
		return err
	}
	me := user{string(u.ID), u.Name, displayName(u), u.Mail, "Member", nil}
	if slices.Contains(expand, "memberOf") {
		me.MemberOf = make([]group, len(u.Groups))
		for i, g := range u.Groups {
			me.MemberOf[i].ID = string(g)
		}
	}
	return write(w, r, http.StatusOK, me)
}

func displayName(u *cloud.User) string {
	if u.Display == "" {
		return u.Name
	}
	return u.Display
}
