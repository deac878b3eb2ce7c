package sse

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// A payload is the data of an event about an item or a space. What is not
// known is left out: clients do not expect null.
type payload struct {
	Item      string         `json:"itemid,omitempty"`
	Parent    string         `json:"parentitemid,omitempty"`
	Space     cloud.SpaceID  `json:"spaceid,omitempty"`
	Initiator string         `json:"initiatorid,omitempty"`
	ETag      string         `json:"etag,omitempty"`            // as in d:getetag
	Affected  []cloud.UserID `json:"affecteduserids,omitempty"` // who has got or lost something
}

// events are the frames that tell of a notice, none for what clients have no
// name for. The last one says where to go on from.
func (s *stream) events(n *cloud.Notice) []byte {
	s.buf.Reset()
	if n.Gap {
		s.frame(n.At, "resync", struct{}{})
		return s.buf.Bytes()
	}
	r := n.Record
	data := payload{Space: r.Space, Initiator: r.For, Item: cloud.ItemID(r.Space, r.Node)}
	if n.Parent != "" {
		data.Parent = cloud.ItemID(r.Space, n.Parent)
	}
	if n.Node != nil {
		data.ETag = httpx.ETag(n.Node.ETag)
	}
	switch name := nameOf(n); {
	case name == "item-trashed":
		data.ETag = "" // it may be back already
		s.frame(n.At, name, data)
	case r.Kind == cloud.Regranted:
		s.grants(n, data)
	case name == "":
	default:
		if r.Node == r.Space.Root() {
			data.Item = string(r.Space) // the id of the drive
		}
		s.frame(n.At, name, data)
	}
	return s.buf.Bytes()
}

// nameOf is what clients call what has happened, or empty.
func nameOf(n *cloud.Notice) string {
	r := n.Record
	switch r.Kind {
	case cloud.SpaceMade:
		return "space-created"
	case cloud.SpaceDisabled:
		return "space-disabled"
	case cloud.SpaceEnabled:
		return "space-enabled"
	case cloud.SpaceDropped:
		return "space-deleted"
	case cloud.Trashed, cloud.Dropped:
		return "item-trashed"
	}
	switch {
	case n.Node == nil && r.Kind == cloud.Moved: // out of the client's sight
		return "item-trashed"
	case n.Node == nil:
		return ""
	}
	switch r.Kind {
	case cloud.FileMade, cloud.FileWritten:
		if n.Node.State == cloud.Pending || r.Kind == cloud.FileMade && r.Size == 0 {
			return "file-touched"
		}
		return "postprocessing-finished"
	case cloud.DirMade:
		return "folder-created"
	case cloud.Moved:
		if r.OldParent == r.Parent {
			return "item-renamed"
		}
		return "item-moved"
	case cloud.Restored:
		return "item-restored"
	case cloud.Relocked:
		if len(n.Node.Locks) > 0 {
			return "file-locked"
		}
		return "file-unlocked"
	case cloud.Edited:
		if !n.Node.Dir {
			return "file-touched"
		}
	}
	return ""
}

// A granting is what has become of a grant.
type granting uint8

const (
	made granting = iota
	changed
	taken
)

// names of events about grants, by granting.
var (
	linkNames   = [...]string{"link-created", "link-updated", "link-removed"}
	memberNames = [...]string{"space-member-added", "space-share-updated", "space-member-removed"}
	shareNames  = [...]string{"share-created", "share-updated", "share-removed"}
)

// grants tells of the grants that are for the caller or that they may list.
func (s *stream) grants(n *cloud.Notice, data payload) {
	r, me := n.Record, s.caller.User
	type event struct {
		name string
		payload
	}
	var all []event
	add := func(g *cloud.Grant, what granting) {
		mine := g.Concerns(me)
		lists := n.Node != nil && (n.Node.Rights.Has(cloud.CanListGrants) || g.By == me.ID)
		if !mine && !lists {
			return
		}
		if mine && g.Denies() && what != taken {
			what = taken // what they had from above
		}
		names := shareNames
		switch {
		case g.Link != nil || g.To.Link != "":
			names = linkNames
		case r.Node == r.Space.Root():
			names = memberNames
		}
		i := slices.IndexFunc(all, func(e event) bool { return e.name == names[what] })
		if i < 0 {
			i, all = len(all), append(all, event{names[what], data})
		}
		e := &all[i]
		switch {
		case g.To.User != "":
			e.Affected = append(e.Affected, g.To.User)
		case mine: // who else is in a group is not told
			e.Affected = append(e.Affected, me.ID)
		}
	}
	in := func(gs []cloud.Grant, id cloud.ShareID) bool {
		return slices.ContainsFunc(gs, func(g cloud.Grant) bool { return g.ID == id })
	}
	for i := range r.Given {
		what := made
		if in(r.Taken, r.Given[i].ID) {
			what = changed
		}
		add(&r.Given[i], what)
	}
	for i := range r.Taken {
		if !in(r.Given, r.Taken[i].ID) {
			add(&r.Taken[i], taken)
		}
	}
	for i, e := range all {
		at := n.At
		if i < len(all)-1 {
			at = 0
		}
		if r.Node == r.Space.Root() && e.name[0] != 'l' {
			e.Item = string(r.Space)
		}
		s.frame(at, e.name, e.payload)
	}
}

// frame adds an event. One without at is not the last of its notice.
func (s *stream) frame(at cloud.Cursor, name string, data any) {
	body, err := json.Marshal(data)
	if err != nil {
		panic(err) // a type of ours that cannot be marshalled
	}
	if at > 0 {
		fmt.Fprintf(&s.buf, "id: %d\n", at)
	}
	fmt.Fprintf(&s.buf, "event: %s\ndata: %s\n\n", name, body)
}

// goodbye tells a client that it is not signed in any more.
func (s *stream) goodbye() []byte {
	s.buf.Reset()
	s.frame(0, "backchannel-logout", struct {
		User    cloud.UserID `json:"userid"`
		Session string       `json:"sessionid,omitempty"`
		At      time.Time    `json:"timestamp"`
	}{s.caller.User.ID, s.caller.Session, time.Now().UTC().Truncate(time.Second)})
	return s.buf.Bytes()
}
