package dav

import (
	"slices"
	"strings"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// What a multi-status tells of sharing: to visitors of their link, to users of
// what others share with them. Each is looked up once for a request, and only
// when a property asks.
type sharing struct {
	grant  *cloud.Grant // of the visitor's link
	mounts map[string]*cloud.Node
	people map[cloud.UserID]*cloud.User
	query  string // signs addresses below the link
	asked  bool
}

// link is the grant by which the visitor came, nil if there is none.
func (m *multistatus) link() *cloud.Grant {
	if m.visitor == nil || m.sharing.asked {
		return m.sharing.grant
	}
	m.sharing.asked = true
	n, err := m.files.Stat(m.c.ctx(), m.visitor.Of)
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(n.Grants, func(g cloud.Grant) bool { return g.ID == m.visitor.Share })
	if i < 0 || n.Grants[i].Link == nil {
		return nil
	}
	m.sharing.grant = &n.Grants[i]
	if n.Grants[i].Link.Protected && m.signLink != nil {
		expires := m.now.Add(signatureLife).Truncate(time.Second)
		signature, err := m.signLink(m.c.ctx(), expires)
		if err != nil {
			httpx.From(m.c.ctx()).Log.Error("the address of a link cannot be signed", "error", err)
			return m.sharing.grant
		}
		m.sharing.query = "signature=" + signature + "&expiration=" + expires.UTC().Format(time.RFC3339)
	}
	return m.sharing.grant
}

// signatureLife is how long an address below a link with a password can be
// read without the password.
const signatureLife = 30 * time.Minute

// linkOf is the link if n is what it is for.
func (m *multistatus) linkOf(n *cloud.Node) *cloud.Grant {
	if m.visitor == nil || n.ID != m.visitor.Of.Node {
		return nil
	}
	return m.link()
}

// linkAddress is where visitors find a node; empty when they need the password.
func (m *multistatus) linkAddress(n *cloud.Node) string {
	g := m.link()
	if g == nil || g.Link.Protected && m.sharing.query == "" {
		return ""
	}
	path := n.Path
	if n.ID == m.visitor.Of.Node {
		path = n.Name
	}
	at := m.site.Abs(string(httpx.EscapePath([]byte("/dav/public-files/"+m.visitor.Token+"/"), path)))
	if m.sharing.query != "" {
		at += "?" + m.sharing.query
	}
	return at
}

// itemType is whether the link is to a file or to a folder.
func itemType(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	kind := "folder"
	if !n.Dir || m.c.t.Kind == httpx.Lone {
		kind = "file"
	}
	return append(b, kind...), m.linkOf(n) != nil
}

func linkPermission(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	g := m.linkOf(n)
	if g == nil {
		return b, false
	}
	on := n.Kind()
	if m.c.t.Kind == httpx.Lone {
		on = cloud.OnFile
	}
	// Who may look without a copy may look all the same: 0 would be nothing.
	return appendInt(b, int64(max(g.Rights.OCS(on), cloud.OCSRead))), true
}

func linkExpiration(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	g := m.linkOf(n)
	if g == nil || g.Expires.IsZero() {
		return b, false
	}
	return appendTime(b, g.Expires), true
}

func linkMade(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	g := m.linkOf(n)
	if g == nil || g.Made.IsZero() {
		return b, false
	}
	return appendTime(b, g.Made), true
}

// linkOwner is a name for people, not the one to sign in with: anybody may
// hold a link.
func linkOwner(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	g := m.linkOf(n)
	if g == nil {
		return b, false
	}
	u := m.person(g.By)
	if u == nil {
		return b, false
	}
	return appendText(b, u.Display), u.Display != ""
}

func signatureAuth(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if m.link() == nil || m.sharing.query == "" {
		return b, false
	}
	signature, expiration, _ := strings.Cut(strings.TrimPrefix(m.sharing.query, "signature="), "&expiration=")
	b = append(append(b, "<oc:signature>"...), signature...)
	b = append(append(b, "</oc:signature><oc:expiration>"...), expiration...)
	return append(b, "</oc:expiration>"...), true
}

// mount is what others have shared that n is or stands in; nil when n was not
// reached through the Shares space.
func (m *multistatus) mount(n *cloud.Node) *cloud.Node {
	ref := m.c.t.Ref
	switch {
	case n.Space == cloud.SharesSpace:
		if n.Parent == "" {
			return nil
		}
		return n
	case ref.Space != cloud.SharesSpace:
		return nil
	}
	name, _, _ := strings.Cut(n.Path, "/")
	if known, ok := m.sharing.mounts[name]; ok {
		return known
	}
	at := cloud.Ref{Space: cloud.SharesSpace, Path: name}
	if _, byID := cloud.ParseMountID(ref.Node); byID {
		at = cloud.Ref{Space: cloud.SharesSpace, Node: ref.Node}
	}
	found, err := m.files.Stat(m.c.ctx(), at)
	if err != nil {
		found = nil // taken away meanwhile
	}
	if m.sharing.mounts == nil {
		m.sharing.mounts = map[string]*cloud.Node{}
	}
	m.sharing.mounts[name] = found
	return found
}

// received is the grant by which the user sees a node that is not theirs.
func (m *multistatus) received(n *cloud.Node) *cloud.Grant {
	if m.user == nil || m.visitor != nil {
		return nil
	}
	for i := range n.Grants {
		if g := &n.Grants[i]; g.Concerns(m.user) && g.By != m.user.ID && !g.Denies() {
			return g
		}
	}
	return nil
}

func shareID(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	mount := m.mount(n)
	if mount == nil {
		return b, false
	}
	g := m.received(mount)
	if g == nil {
		return b, false
	}
	return append(b, g.ID...), true
}

func shareRoot(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	mount := m.mount(n)
	if mount == nil {
		return b, false
	}
	return appendText(append(b, '/'), mount.Name), true
}

func remoteItemID(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	mount := m.mount(n)
	if mount == nil {
		return b, false
	}
	at, ok := cloud.ParseMountID(mount.ID)
	return append(b, cloud.ItemID(at.Space, at.Node)...), ok
}

// owner is whose space a node is in or, where the user is no member, who has
// shared it; nil when nobody is known.
func (m *multistatus) owner(n *cloud.Node) *cloud.User {
	if m.user == nil || m.visitor != nil {
		return nil
	}
	if s := m.space(n); s != nil && s.ID != cloud.SharesSpace {
		return m.person(s.Owner)
	}
	g := m.received(n)
	if g == nil {
		if mount := m.mount(n); mount != nil {
			g = m.received(mount)
		}
	}
	if g == nil {
		return nil
	}
	return m.person(g.By)
}

// person is a user, nil if there is none of that id.
func (m *multistatus) person(id cloud.UserID) *cloud.User {
	switch {
	case id == "":
		return nil
	case m.user != nil && id == m.user.ID:
		return m.user
	case m.persons == nil:
		return nil
	}
	if u, ok := m.sharing.people[id]; ok {
		return u
	}
	u := m.persons(m.c.ctx(), id)
	if m.sharing.people == nil {
		m.sharing.people = map[cloud.UserID]*cloud.User{}
	}
	m.sharing.people[id] = u
	return u
}

func ownerID(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	u := m.owner(n)
	if u == nil {
		return b, false
	}
	return appendText(b, u.Name), true
}

func ownerName(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	u := m.owner(n)
	if u == nil {
		return b, false
	}
	return appendText(b, u.Display), true
}

// shareTypes tells with what kinds of subjects a node is shared. The grants
// on a root make members of a space, which is something else.
func shareTypes(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if n.Name == "" || !n.Rights.Has(cloud.CanListGrants) {
		return b, false
	}
	const types = "<oc:share-type>0</oc:share-type><oc:share-type>1</oc:share-type><oc:share-type>3</oc:share-type>"
	const one = len(types) / 3
	var has [3]bool
	for i := range n.Grants {
		switch g := &n.Grants[i]; {
		case g.Link != nil:
			has[2] = true
		case g.To.Group != "":
			has[1] = true
		default:
			has[0] = true
		}
	}
	for i, ok := range has {
		if ok {
			b = append(b, types[i*one:(i+1)*one]...)
		}
	}
	return b, len(n.Grants) > 0
}

// listLone tells of a link to a single file: a folder, and the file in it.
// The folder is no node of its own, and has no id.
func (h *handler) listLone(m *multistatus, d depth) error {
	n, err := h.files.Stat(m.c.ctx(), m.c.t.Ref)
	if err != nil {
		return err
	}
	stand := &cloud.Node{ID: n.ID, Space: n.Space, Dir: true, Size: n.Size, MTime: n.MTime, ETag: n.ETag}
	if err := m.entry(shell, "", stand); err != nil || d == depth0 {
		return err
	}
	return m.entry(live, n.Name, n)
}
