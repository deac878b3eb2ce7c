package ocs

import (
	"context"
	"errors"
	"net/http"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// token is what the token of a link opens. Of a link with a password nothing
// more is told than that it has one.
type token struct {
	Token     string `json:"token"`
	URL       string `json:"link_url"`
	Protected bool   `json:"password_protected"`
	Internal  bool   `json:"alias_link"`

	ID        string `json:"id"`
	StorageID string `json:"storage_id"`
	SpaceID   string `json:"space_id"`
	OpaqueID  string `json:"opaque_id"`
	Path      string `json:"path"`
}

func (h *handler) tellTokenToUser(r *http.Request, name string) (any, error) {
	if _, err := caller(r.Context()); err != nil {
		return nil, err
	}
	return h.tellToken(r, name)
}

// tellToken answers anybody.
func (h *handler) tellToken(r *http.Request, name string) (any, error) {
	ctx := r.Context()
	t := token{Token: name, URL: httpx.From(ctx).Site.Abs("/s/" + string(httpx.EscapePath(nil, name)))}
	v, err := h.shares.Visit(ctx, name, "")
	switch {
	case errors.Is(err, cloud.Unauthorized):
		t.Protected = true
		return t, nil
	case errors.Is(err, cloud.NotExist):
		return nil, cloud.NotExist // the same for what is not there and what is not for them
	case err != nil:
		return nil, err
	}
	var n *cloud.Node
	switch t.Internal = v.Internal; {
	case !v.Internal:
		n, err = h.files.Stat(cloud.WithCaller(ctx, cloud.Caller{Visitor: v}), v.Of)
	case cloud.CallerFrom(ctx).User == nil:
		return t, nil // who opens it has to sign in first
	default:
		n, err = h.own(ctx, v.Of)
	}
	if err != nil {
		return nil, err
	}
	t.ID, t.OpaqueID, t.Path = cloud.ItemID(n.Space, n.ID), string(n.ID), n.Path
	t.StorageID, t.SpaceID = n.Space.Storage(), string(n.Space.Root())
	return t, nil
}

// own finds a node for the user who asks, not for the holder of a link.
func (h *handler) own(ctx context.Context, ref cloud.Ref) (*cloud.Node, error) {
	c := cloud.CallerFrom(ctx)
	c.Visitor = nil
	return h.files.Stat(cloud.WithCaller(ctx, c), ref)
}
