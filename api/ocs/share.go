package ocs

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Whom a share is with.
const (
	withUser        = 0
	withGroup       = 1
	withLink        = 3
	withServer      = 6 // somebody on another server
	withMember      = 7 // of a space
	withMemberGroup = 8
)

// What became of a share on the side of who received it.
const (
	accepted = iota
	pending
	declined
)

// share is an element of the answers. Whatever is not known is empty.
type share struct {
	ID               string `json:"id"`
	Type             int    `json:"share_type"`
	Owner            string `json:"uid_owner"` // who shares it
	OwnerName        string `json:"displayname_owner"`
	Permissions      int    `json:"permissions"`
	Made             int64  `json:"stime"` // seconds since 1970
	Parent           string `json:"parent"`
	Expiration       string `json:"expiration"`
	Token            string `json:"token"`
	FileOwner        string `json:"uid_file_owner"`
	FileOwnerName    string `json:"displayname_file_owner"`
	State            int    `json:"state"`
	Path             string `json:"path"`
	ItemType         string `json:"item_type"`
	MIMEType         string `json:"mimetype"`
	StorageID        string `json:"storage_id"`
	ItemSource       string `json:"item_source"`
	FileSource       string `json:"file_source"`
	FileParent       string `json:"file_parent"`
	FileTarget       string `json:"file_target"`
	ShareWith        string `json:"share_with"`
	ShareWithType    int    `json:"share_with_user_type"` // 1: a guest
	ShareWithName    string `json:"share_with_displayname"`
	ShareWithDetails string `json:"share_with_additional_info"`
	MailSend         int    `json:"mail_send"`
	Name             string `json:"name"`
	URL              string `json:"url"`
	Quick            bool   `json:"quicklink"`
	Protected        bool   `json:"password_protected"`
	Hidden           bool   `json:"hidden"`
	SpaceID          string `json:"space_id"`

	made time.Time `json:"-"` // exactly
}

// A scribe writes down shares for one request. It asks for everybody once.
type scribe struct {
	*handler
	ctx    context.Context
	site   *httpx.Site
	me     *cloud.User
	users  map[cloud.UserID]*cloud.User
	groups map[cloud.GroupID]*cloud.Group
}

func (h *handler) scribe(r *http.Request) (*scribe, error) {
	me, err := caller(r.Context())
	if err != nil {
		return nil, err
	}
	return &scribe{h, r.Context(), httpx.From(r.Context()).Site, me,
		map[cloud.UserID]*cloud.User{me.ID: me}, map[cloud.GroupID]*cloud.Group{}}, nil
}

// user is somebody whom a share names. Of who is no more only the id is known.
func (s *scribe) user(id cloud.UserID) (*cloud.User, error) {
	if u := s.users[id]; u != nil {
		return u, nil
	}
	u, err := s.people.User(s.ctx, "id", string(id))
	if errors.Is(err, cloud.NotExist) {
		u, err = &cloud.User{ID: id}, nil
	}
	s.users[id] = u
	return u, err
}

func (s *scribe) group(id cloud.GroupID) (*cloud.Group, error) {
	if g := s.groups[id]; g != nil {
		return g, nil
	}
	g, err := s.people.Group(s.ctx, "id", string(id))
	if errors.Is(err, cloud.NotExist) {
		g, err = &cloud.Group{ID: id}, nil
	}
	s.groups[id] = g
	return g, err
}

// uid is how clients name somebody: by the login name if the caller may know
// it, as in the answer to who is signed in.
func uid(u *cloud.User) string { return cmp.Or(u.Name, string(u.ID)) }

func typeOf(g *cloud.Grant, on cloud.NodeKind) int {
	switch {
	case g.Link != nil || g.To.Link != "":
		return withLink
	case on == cloud.OnRoot && g.To.Group != "":
		return withMemberGroup
	case on == cloud.OnRoot:
		return withMember
	case g.To.Group != "":
		return withGroup
	}
	return withUser
}

// given is a share as those see it who are not its receivers.
func (s *scribe) given(n *cloud.Node, g *cloud.Grant) (share, error) {
	by, err := s.user(g.By)
	if err != nil {
		return share{}, err
	}
	on := n.Kind()
	path := "/" + cmp.Or(n.Path, n.Name)
	e := share{
		ID: string(g.ID), Type: typeOf(g, on), Permissions: g.Rights.OCS(on),
		Owner: uid(by), OwnerName: displayName(by), FileOwner: uid(by), FileOwnerName: displayName(by),
		Expiration: expiration(g.Expires), Path: path, ItemType: "file", MIMEType: cloud.MIMEType(n.Name),
		StorageID: string(n.Space), SpaceID: string(n.Space),
		ItemSource: cloud.ItemID(n.Space, n.ID), FileSource: cloud.ItemID(n.Space, n.ID), FileTarget: "/" + n.Name,
	}
	if e.made = g.Made; !e.made.IsZero() {
		e.Made = e.made.Unix()
	}
	if n.Dir {
		e.ItemType, e.MIMEType = "folder", "httpd/unix-directory"
	}
	if n.Parent != "" {
		e.FileParent = cloud.ItemID(n.Space, n.Parent)
	}
	return e, s.with(&e, g)
}

// with says whom a share is with.
func (s *scribe) with(e *share, g *cloud.Grant) error {
	switch {
	case e.Type == withLink:
		e.Token = g.To.Link
		if e.Token != "" {
			e.URL = s.site.Abs("/s/" + e.Token)
		}
		if l := g.Link; l != nil {
			e.Name, e.Quick, e.Protected = l.Name, l.Quick, l.Protected
		}
		if e.Protected { // what old clients know a password by
			e.ShareWith, e.ShareWithName = "***redacted***", "***redacted***"
		}
	case g.To.Group != "":
		to, err := s.group(g.To.Group)
		if err != nil {
			return err
		}
		e.ShareWith, e.ShareWithName = string(to.ID), cmp.Or(to.Name, string(to.ID))
	default:
		to, err := s.user(g.To.User)
		if err != nil {
			return err
		}
		e.ShareWith, e.ShareWithName, e.ShareWithDetails = uid(to), displayName(to), to.Mail
		if to.Kind == cloud.Guest {
			e.ShareWithType = 1
		}
	}
	return nil
}

// received is a share as its receiver sees it.
func (s *scribe) received(m *cloud.Mount, g *cloud.Grant) (share, error) {
	e, err := s.given(m.Node, g)
	e.Path = "/Shares/" + m.Name
	e.FileTarget = e.Path
	e.State, e.Hidden = stateOf(m), m.Hidden
	return e, err
}

// stateOf is what became of a share. To decline one is to hide what does not
// stand in one's tree.
func stateOf(m *cloud.Mount) int {
	switch {
	case m.Synced:
		return accepted
	case m.Hidden:
		return declined
	}
	return pending
}

// mount is where the caller finds what a grant gives them; NotExist when they
// have not received it.
func (s *scribe) mount(n *cloud.Node, g *cloud.Grant) (*cloud.Mount, error) {
	if !g.Concerns(s.me) || g.By == s.me.ID {
		return nil, cloud.NotExist
	}
	return s.shares.Mount(s.ctx, cloud.MountID(n.Space, n.ID))
}

// seen is a share as the caller sees it.
func (s *scribe) seen(n *cloud.Node, g *cloud.Grant) (share, error) {
	m, err := s.mount(n, g)
	switch {
	case errors.Is(err, cloud.NotExist):
		return s.given(n, g)
	case err != nil:
		return share{}, err
	}
	return s.received(m, g)
}

// bySeniority is the order in which shares are told.
func bySeniority(all []share) []share {
	slices.SortStableFunc(all, func(a, b share) int {
		return cmp.Or(a.made.Compare(b.made), cmp.Compare(a.Path, b.Path), cmp.Compare(a.ID, b.ID))
	})
	return all
}

const (
	day      = "2006-01-02"
	moment   = "2006-01-02 15:04:05"
	midnight = "00:00:00"
)

// endOf is the last second of a day that begins then. A share that is to
// expire on a day can be used on it, and clients know days only.
func endOf(begin time.Time) time.Time { return begin.Add(24*time.Hour - time.Second) }

// expiration is when a share expires, in UTC. Old clients read a day with
// midnight and nothing else.
func expiration(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	begin := at.UTC().Truncate(24 * time.Hour)
	if at.Equal(endOf(begin)) {
		at = begin
	}
	return at.UTC().Format(moment)
}

// parseExpiration is the zero time for an empty text.
func parseExpiration(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range [...]string{day, moment, "2006-01-02T15:04:05Z0700", time.RFC3339} {
		at, err := time.Parse(layout, text)
		switch {
		case err != nil:
			continue
		case layout == day, layout == moment && at.Format(time.TimeOnly) == midnight:
			at = endOf(at)
		}
		return at.UTC(), nil
	}
	return time.Time{}, cloud.Refuse(cloud.Invalid, "%.40q is not a date, such as 2030-12-31.", text)
}
