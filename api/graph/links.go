package graph

import (
	"net/http"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// The JSON of a link.
type sharingLink struct {
	Type     string `json:"type"`
	Prevents bool   `json:"preventsDownload"`
	WebURL   string `json:"webUrl,omitempty"` // who may not make such a link does not get it
	Name     string `json:"@libre.graph.displayName"`
	Quick    bool   `json:"@libre.graph.quickLink"`
}

func (n *naming) linkOf(g *cloud.Grant, on cloud.NodeKind) *sharingLink {
	t, _ := cloud.LinkTypeOf(g.Rights, on)
	l := &sharingLink{Type: string(t), Prevents: t == cloud.LinkBlocksDownload, Name: g.Link.Name, Quick: g.Link.Quick}
	if g.To.Link != "" {
		l.WebURL = httpx.From(n.Context()).Site.Abs("/s/" + g.To.Link)
	}
	return l
}

// linkRights are those of a type of link on a node.
func linkRights(t cloud.LinkType, on cloud.NodeKind) (cloud.Rights, error) {
	rights, ok := t.Rights(on)
	if !ok {
		return 0, cloud.Refuse(cloud.Invalid, "There is no link of the type %.40q here.", t)
	}
	return rights, nil
}

// A linkChange is what clients may send of a link.
type linkChange struct {
	Type  *cloud.LinkType `json:"type"`
	Name  *string         `json:"@libre.graph.displayName"`
	Quick *bool           `json:"@libre.graph.quickLink"`
}

func (l *linkChange) applyTo(c *cloud.GrantChange, g *cloud.Grant, on cloud.NodeKind) error {
	c.Name = l.Name
	if l.Quick != nil && *l.Quick != g.Link.Quick {
		return cloud.Refuse(cloud.Invalid, "Whether it is the quick link is said when a link is made.")
	}
	if l.Type != nil {
		rights, err := linkRights(*l.Type, on)
		if err != nil {
			return err
		}
		c.Rights = &rights
	}
	return nil
}

type linkRequest struct {
	Type     cloud.LinkType `json:"type"`
	Expires  expiry         `json:"expirationDateTime"`
	Password string         `json:"password"`
	Name     string         `json:"displayName"`
	Quick    bool           `json:"@libre.graph.quickLink"`
}

func (h *handler) createLink(w http.ResponseWriter, r *http.Request, args []string) error {
	var want linkRequest
	if err := read(w, r, &want); err != nil {
		return err
	}
	ref, err := target(args)
	if err != nil {
		return err
	}
	n, err := h.files.Stat(r.Context(), ref)
	if err != nil {
		return err
	}
	rights, err := linkRights(want.Type, n.Kind())
	if err != nil {
		return err
	}
	g, n, err := h.shares.Give(r.Context(), ref, cloud.Grant{
		To: cloud.Subject{Link: "new"}, Rights: rights, Expires: want.Expires.orNever(),
		Link: &cloud.Link{Name: want.Name, Quick: want.Quick},
	}, want.Password)
	return h.showPermission(w, r, g, n, err)
}

type passwordRequest struct {
	Password *string `json:"password"`
}

// setPassword gives a link a password; an empty one takes it away.
func (h *handler) setPassword(w http.ResponseWriter, r *http.Request, args []string) error {
	var want passwordRequest
	if err := read(w, r, &want); err != nil {
		return err
	}
	if want.Password == nil {
		return cloud.Refuse(cloud.Invalid, "A password is missing; an empty one takes it away.")
	}
	g, n, err := h.granted(r, args)
	if err == nil {
		g, n, err = h.shares.Regrant(r.Context(), g.ID, cloud.GrantChange{Secret: want.Password})
	}
	return h.showPermission(w, r, g, n, err)
}
