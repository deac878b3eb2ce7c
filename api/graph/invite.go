package graph

import (
	"context"
	"net/http"
	"slices"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

type (
	inviteRequest struct {
		Recipients []recipient `json:"recipients"`
		Roles      []string    `json:"roles"`
		Actions    []string    `json:"@libre.graph.permissions.actions"`
		Expires    expiry      `json:"expirationDateTime"`
	}
	recipient struct {
		ID   string `json:"objectId"`
		Type string `json:"@libre.graph.recipient.type"` // empty: user
	}
)

// maxRecipients is how many one request can share something with.
const maxRecipients = 100

// subjects are the recipients, each once.
func (q *inviteRequest) subjects() ([]cloud.Subject, error) {
	if len(q.Recipients) == 0 {
		return nil, cloud.Refuse(cloud.Invalid, "Say with whom to share this.")
	}
	if len(q.Recipients) > maxRecipients {
		return nil, cloud.Refuse(cloud.TooLarge, "Share with %d at a time, or with a group.", maxRecipients)
	}
	var all []cloud.Subject
	for _, to := range q.Recipients {
		s := cloud.Subject{User: cloud.UserID(to.ID)}
		switch to.Type {
		case "", "user":
		case "group":
			s = cloud.Subject{Group: cloud.GroupID(to.ID)}
		default:
			return nil, cloud.Refuse(cloud.Invalid, "Things are shared with a user or a group, not with a %.40q.", to.Type)
		}
		if slices.Contains(all, s) {
			return nil, cloud.Refuse(cloud.Invalid, "Somebody is named twice.")
		}
		all = append(all, s)
	}
	return all, nil
}

// invite shares a node with some, or, when it cannot with one of them, with
// nobody.
func (h *handler) invite(w http.ResponseWriter, r *http.Request, args []string) error {
	var want inviteRequest
	if err := read(w, r, &want); err != nil {
		return err
	}
	to, err := want.subjects()
	if err != nil {
		return err
	}
	ref, err := target(args)
	if err != nil {
		return err
	}
	on, err := h.kindOf(r, ref)
	if err != nil {
		return err
	}
	rights, err := h.wantedRights(want.Roles, want.Actions, on)
	if err != nil {
		return err
	}
	var made []cloud.Grant
	for _, s := range to {
		g, _, err := h.shares.Give(r.Context(), ref, cloud.Grant{To: s, Rights: rights, Expires: want.Expires.orNever()}, "")
		if err != nil {
			h.takeBack(r, made)
			return err
		}
		made = append(made, *g)
	}
	value, err := h.naming(r).permissions(made, on)
	if err != nil {
		return err
	}
	return write(w, r, http.StatusOK, collection[permission]{Value: value})
}

// kindOf is what kind of node something is. Who manages spaces may name the
// root of one that they are no member of.
func (h *handler) kindOf(r *http.Request, ref cloud.Ref) (cloud.NodeKind, error) {
	if ref.Node == ref.Space.Root() && ref.Space != cloud.SharesSpace {
		return cloud.OnRoot, nil
	}
	n, err := h.files.Stat(r.Context(), ref)
	if err != nil {
		return 0, err
	}
	return n.Kind(), nil
}

// takeBack undoes what an invitation that failed has done, whether the client
// still waits or not.
func (h *handler) takeBack(r *http.Request, made []cloud.Grant) {
	ctx := context.WithoutCancel(r.Context())
	for _, g := range made {
		if err := h.shares.Revoke(ctx, g.ID); err != nil && cloud.KindOf(err) != cloud.NotExist {
			httpx.From(ctx).Log.Error("what was shared with some of the recipients cannot be taken back", "share", g.ID, "error", err)
		}
	}
}
