package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"opencloud/cloud"
	"opencloud/storage/mem"
)

// A stage is a whole server with somebody who gives (admin), somebody who
// receives (bob) and others.
type stage struct {
	*client
	s     *System
	f     *front
	owner context.Context // admin
	bob   *cloud.User
	carol *cloud.User // has a part of everything, too
	dora  *cloud.User // has a part of nothing
	home  cloud.SpaceID
	mine  cloud.SpaceID // bob's own space
	made  *int          // names, so that each is new
}

func newStage(t *testing.T, env ...string) *stage {
	t.Helper()
	var all []string
	for _, r := range cloud.ShareRoles() {
		all = append(all, r.ID)
	}
	// In memory, for there are thousands of cells. The rules know no disks.
	inMemory := modules()
	inMemory[slices.IndexFunc(inMemory, func(m Module) bool { return m.Name == "storage" })].Start = func(_ context.Context, s *System) error {
		s.Store = mem.New()
		return nil
	}
	s := systemOf(t, inMemory, append([]string{"OC_SHARING_PUBLIC_SHARE_MUST_HAVE_PASSWORD=false", "OC_PASSWORD_POLICY_DISABLED=true",
		"GRAPH_AVAILABLE_ROLES=" + strings.Join(all, ",")}, env...)...)
	f := frontOf(t, s, routes(s))
	f.log = quiet
	st := &stage{client: &client{t, f}, s: s, f: f, made: new(int)}
	st.owner = st.as(st.user("admin"))
	for _, name := range []string{"bob", "carol", "dora"} {
		st.do(201, "admin", password, "POST", "/graph/v1.0/users", `{"displayName":"`+name+`","onPremisesSamAccountName":"`+name+`","mail":"`+name+`@example.org","passwordProfile":{"password":"`+password+`"}}`)
	}
	st.bob, st.carol, st.dora = st.user("bob"), st.user("carol"), st.user("dora")
	st.home, st.mine = st.homeOf(st.owner), st.homeOf(st.as(st.bob))
	return st
}

func (s *stage) user(name string) *cloud.User {
	s.Helper()
	u, err := s.s.Directory.User(s.Context(), "name", name)
	s.must(err)
	return u
}

func (s *stage) as(u *cloud.User) context.Context {
	return cloud.WithCaller(s.Context(), cloud.Caller{User: u})
}

func (s *stage) homeOf(ctx context.Context) cloud.SpaceID {
	s.Helper()
	home, err := s.s.Files.Home(ctx)
	s.must(err)
	return home.ID
}

func (s *stage) must(err error) {
	if err != nil {
		s.Helper()
		s.Fatal(err)
	}
}

// fresh is a name that nobody has used.
func (s *stage) fresh(kind string) string {
	*s.made++
	return fmt.Sprintf("%s%d", kind, *s.made)
}

func (s *stage) dir(ctx context.Context, ref cloud.Ref) *cloud.Node {
	s.Helper()
	n, err := s.s.Files.MakeDir(ctx, ref, cloud.Conditions{})
	s.must(err)
	return n
}

// content is what nobody may read who may not read.
const content = "what is in it"

func (s *stage) put(ctx context.Context, ref cloud.Ref) *cloud.Node {
	s.Helper()
	n, _, err := s.s.Files.Put(ctx, ref, strings.NewReader(content), cloud.Put{Size: int64(len(content))})
	s.must(err)
	return n
}

func (s *stage) project(name string) cloud.SpaceID {
	s.Helper()
	p, err := s.s.Files.SetSpace(s.owner, &cloud.Space{Name: name})
	s.must(err)
	return p.ID
}

func (s *stage) give(ref cloud.Ref, g cloud.Grant) *cloud.Grant {
	s.Helper()
	made, _, err := s.s.Shares.Give(s.owner, ref, g, "")
	s.must(err)
	return made
}

// ask sends a request; headers come in pairs.
func (s *stage) ask(sign func(*http.Request), method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost:9200"+path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.1:1234"
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	sign(r)
	w := httptest.NewRecorder()
	s.f.ServeHTTP(w, r)
	return w
}

// A gift is what bob, or whoever holds a link, was given on one node.
type gift struct {
	name   string
	on     cloud.NodeKind
	rights cloud.Rights
	around cloud.Rights // on the space as a whole
	grant  *cloud.Grant
	space  cloud.SpaceID
	node   *cloud.Node
	link   bool
	ways   []way
}

// A way leads to what was given.
type way struct {
	name  string
	at    string // its URL, without slash at the end
	sign  func(*http.Request)
	mount bool // in the Shares space, where it is bob's to rename and to let go of
}

func kindName(k cloud.NodeKind) string {
	return map[cloud.NodeKind]string{cloud.OnFile: "file", cloud.OnFolder: "folder", cloud.OnRoot: "space"}[k]
}

var kinds = []cloud.NodeKind{cloud.OnFile, cloud.OnFolder, cloud.OnRoot}

// place makes a node of a kind, which carol may look at, too. Nothing but it
// is bob's to see.
func (s *stage) place(kind cloud.NodeKind, name string) *gift {
	s.Helper()
	g := &gift{name: name + " of a " + kindName(kind), on: kind, space: s.home}
	ref := cloud.Ref{Space: s.home, Path: s.fresh("given")}
	role := "viewer"
	switch kind {
	case cloud.OnRoot:
		g.space, role = s.project(name), "spaceviewer"
		ref = cloud.Ref{Space: g.space}
	case cloud.OnFolder:
		s.dir(s.owner, ref)
	default:
		ref.Path += ".txt"
		s.put(s.owner, ref)
		s.put(s.owner, ref) // so that there is a version
	}
	s.give(ref, cloud.Grant{To: cloud.Subject{User: s.carol.ID}, Rights: roleRights(s.T, role)})
	var err error
	g.node, err = s.s.Files.Stat(s.owner, ref)
	s.must(err)
	return g
}

func roleRights(t *testing.T, name string) cloud.Rights {
	t.Helper()
	r, ok := cloud.ShareRoleBy(name)
	if !ok {
		t.Fatalf("no role %s", name)
	}
	return r.Rights
}

func (g *gift) ref() cloud.Ref { return cloud.Ref{Space: g.space, Node: g.node.ID} }

func (g *gift) id() string { return cloud.ItemID(g.space, g.node.ID) }

// gifts are all that can be given, each once.
func (s *stage) gifts() (all []*gift) {
	s.Helper()
	bob := basicAuth("bob", password)
	add := func(g *gift) {
		g.ways = append(g.ways, way{"by id", "/dav/spaces/" + g.id(), bob, false})
		if g.on == cloud.OnRoot {
			g.ways = append(g.ways, way{"the old way", "/remote.php/dav/spaces/" + string(g.space), bob, false})
		} else {
			g.ways = append(g.ways, way{"in Shares", "/dav/spaces/" + string(cloud.SharesSpace) + "/" + g.node.Name, bob, true})
		}
		all = append(all, g)
	}
	person := func(kind cloud.NodeKind, name string, rights cloud.Rights) {
		g := s.place(kind, name)
		g.rights = rights
		if kind == cloud.OnRoot {
			g.around = rights
		}
		if rights != cloud.NoRights {
			g.grant = s.give(g.ref(), cloud.Grant{To: cloud.Subject{User: s.bob.ID}, Rights: rights})
		}
		add(g)
	}
	for _, kind := range kinds {
		person(kind, "nothing", cloud.NoRights)
		for _, role := range cloud.ShareRoles() {
			if role.On&kind != 0 && role.Rights != cloud.NoRights {
				person(kind, role.Name, role.Rights)
			}
		}
		person(kind, "view and share", cloud.SpaceViewer|cloud.CanGrant) // chosen one by one
	}
	add(s.denied())
	for _, kind := range kinds {
		for _, of := range []cloud.LinkType{cloud.LinkView, cloud.LinkUpload, cloud.LinkEdit, cloud.LinkCreateOnly, cloud.LinkBlocksDownload} {
			rights, fits := of.Rights(kind)
			if !fits {
				continue
			}
			g := s.place(kind, string(of)+" link")
			g.rights, g.link = rights, true
			g.grant = s.give(g.ref(), cloud.Grant{To: cloud.Subject{Link: "new"}, Rights: rights})
			token := g.grant.To.Link
			at := token
			if kind == cloud.OnFile {
				at += "/" + g.node.Name
			}
			g.ways = append(g.ways,
				way{"by link", "/dav/public-files/" + at, func(*http.Request) {}, false},
				way{"by link as bob", "/dav/public-files/" + at, bob, false}, // who else they are does not count
				way{"by link and id", "/dav/spaces/" + g.id(), func(r *http.Request) { r.Header.Set("Public-Token", token) }, false})
			all = append(all, g)
		}
	}
	return all
}

// denied is a folder of a space in which bob may do much, but not there.
func (s *stage) denied() *gift {
	s.Helper()
	g := &gift{name: "denial on a folder", on: cloud.OnFolder, space: s.project("denying"), around: cloud.SpaceEditor}
	s.give(cloud.Ref{Space: g.space}, cloud.Grant{To: cloud.Subject{User: s.bob.ID}, Rights: g.around})
	g.node = s.dir(s.owner, cloud.Ref{Space: g.space, Path: s.fresh("denied")})
	s.give(g.ref(), cloud.Grant{To: cloud.Subject{User: s.carol.ID}, Rights: roleRights(s.T, "viewer")})
	s.give(g.ref(), cloud.Grant{To: cloud.Subject{User: s.bob.ID}})
	return g
}

// viewing is what comes with being allowed to look.
const viewing = cloud.CanStat | cloud.CanPath | cloud.CanQuota | cloud.CanList | cloud.CanRead | cloud.CanListTrash

// What a verb is done with.
type object uint8

const (
	itself object = iota // what was given
	thing                // a file in it, or what was given if that is a file
	room                 // the names in it that are free
	whole                // the space, of which only its members know, with its trash
	bin                  // something in the trash
	beside               // something that was not given
)

// nobody has this one.
const nobodys = cloud.Rights(1 << 31)

// blind tells whether who has these rights puts things where they see nothing.
func blind(r cloud.Rights) bool { return r.Has(cloud.CanStat) && r&(cloud.CanList|cloud.CanRead) == 0 }

// knows tells whether a gift lets one know of an object at all.
func (g *gift) knows(o object) bool {
	switch {
	case o == whole, o == bin:
		return g.around.Has(cloud.CanStat)
	case !g.rights.Has(cloud.CanStat), o == beside:
		return false
	case o == thing && g.on != cloud.OnFile:
		return !blind(g.rights)
	}
	return true
}

// may is what a gift allows with an object: where something stands is decided
// from above it.
func (g *gift) may(o object) cloud.Rights {
	switch {
	case o == whole, o == bin:
		return g.around
	case o == itself && g.on != cloud.OnRoot, g.on == cloud.OnFile:
		return g.rights &^ (cloud.CanMove | cloud.CanDelete)
	}
	return g.rights
}

// A cell is one verb by one way to one gift.
type cell struct {
	*stage
	*gift
	way
	v      *verb
	file   *cloud.Node // the object, if it is a file that was put there, or in the bin
	before string      // the state of the space
	asked  string      // the address that was signed
	answer *httptest.ResponseRecorder
}

// want is the status that must come: all that decides who may what is here
// and in the table of verbs.
func (c *cell) want() int {
	switch {
	case c.link && c.v.visitor != 0:
		return c.v.visitor
	case c.mount && c.v.makes && !c.rights.Has(cloud.CanStat):
		if c.on == cloud.OnFile {
			return 403 // what stands in Shares others have put there
		}
		return 409 // the folder is missing
	case c.mount && c.rights.Has(cloud.CanStat) && c.v.mount != 0:
		return c.v.mount
	case blind(c.rights) && c.v.drop != 0:
		return c.v.drop
	case !c.knows(c.v.with):
		return 404
	case !c.rights.Has(c.v.knows):
		return 404
	case !c.may(c.v.with).Has(c.v.needs):
		return 403
	case c.v.with == bin && !c.rights.Has(cloud.CanStat):
		return 404 // what was denied stays so in the trash
	}
	return c.v.want
}

// url is that of the object.
func (c *cell) url() string {
	if c.file == nil || c.on == cloud.OnFile {
		return c.at
	}
	return c.at + "/" + c.file.Name
}

// itemID is that of the object.
func (c *cell) itemID() string {
	if c.file == nil {
		return c.gift.id()
	}
	return cloud.ItemID(c.file.Space, c.file.ID)
}

// send is how a verb asks. What it has made ready before is no change.
func (c *cell) send(method, url, body string, header ...string) int {
	if c.before == "" {
		c.before = c.state()
	}
	c.answer = c.ask(c.sign, method, url, body, header...)
	return c.answer.Code
}

// prepare puts the object there.
func (c *cell) prepare() {
	c.Helper()
	switch c.v.with {
	case thing:
		if c.on == cloud.OnFile {
			c.file = c.node
			return
		}
		ref := cloud.Ref{Space: c.space, Node: c.node.ID, Path: c.fresh("file")}
		c.file = c.put(c.owner, ref)
		if c.v.versions {
			c.file = c.put(c.owner, ref)
		}
	case bin:
		ref := cloud.Ref{Space: c.space, Node: c.node.ID, Path: c.fresh("gone")}
		c.file = c.put(c.owner, ref)
		c.must(c.s.Files.Remove(c.owner, ref, cloud.Conditions{}))
	case beside:
		c.file = c.put(c.owner, cloud.Ref{Space: c.home, Path: c.fresh("beside")})
	}
}

// state changes with everything in the space and with every grant on what was given.
func (c *cell) state() string {
	c.Helper()
	n, err := c.s.Files.Stat(c.owner, cloud.Ref{Space: c.space})
	c.must(err)
	gs, _, err := c.s.Shares.Grants(c.owner, c.ref())
	c.must(err)
	all := n.ETag
	for _, g := range gs {
		all += fmt.Sprint(" ", g.ID, g.Rights)
	}
	return all
}

// play runs the verb and says what was wrong.
func (c *cell) play() {
	c.Helper()
	c.prepare()
	want, got := c.want(), c.v.do(c)
	row := fmt.Sprintf("%-40s %-15s %s", c.gift.name, c.way.name, c.v.name)
	body := c.answer.Body.String()
	if got != want {
		c.Errorf("%s: got %d, want %d: %.300s", row, got, want, body)
	}
	if strings.Contains(body, content) && !c.rights.Has(cloud.CanRead) {
		c.Errorf("%s: the answer has what is in the file", row)
	}
	if c.v.with == whole && !c.rights.Has(cloud.CanStat) && strings.Contains(body, string(c.node.ID)) {
		c.Errorf("%s: the answer tells of what is denied: %s", row, body)
	}
	after := c.state()
	if want >= 400 && after != c.before {
		c.Errorf("%s: refused, but something has changed:\n%s\n%s", row, c.before, after)
	}
	if after != c.before || c.v.sets || c.mount {
		c.tidy()
	}
}

// tidy takes back what a verb has granted, and mounts what it has let go of.
func (c *cell) tidy() {
	c.Helper()
	gs, _, err := c.s.Shares.Grants(c.owner, c.ref())
	c.must(err)
	for _, g := range gs {
		if g.To.User == c.dora.ID || g.Link != nil && (c.grant == nil || g.ID != c.grant.ID) {
			c.must(c.s.Shares.Revoke(c.owner, g.ID))
		}
	}
	if c.mount && c.v.mount != 0 && c.rights.Has(cloud.CanStat) {
		_, err := c.s.Shares.SetMount(c.as(c.bob), cloud.MountID(c.space, c.node.ID), cloud.MountChange{Name: &c.node.Name, Synced: new(true)})
		c.must(err)
	}
}

// others is a grant to somebody else on what was given.
func (c *cell) others() string {
	c.Helper()
	role := "viewer"
	if c.on == cloud.OnRoot {
		role = "spaceviewer"
	}
	g := c.give(c.ref(), cloud.Grant{To: cloud.Subject{User: c.dora.ID}, Rights: roleRights(c.T, role)})
	return string(g.ID)
}

// goes tells whether a verb makes sense with a gift by the i-th of its ways.
func (v *verb) goes(g *gift, i int) bool {
	byID := i == 0
	if g.link {
		byID = i == len(g.ways)-1
	}
	return v.on&g.on != 0 && (byID || !v.once && !(v.ids && g.link)) && (g.ways[i].mount || !v.mounted)
}

// Every role on everything that it fits, and every type of link, with every
// verb of every protocol: the rights decide, and nothing else.
func TestWhoMayWhat(t *testing.T) {
	s := newStage(t)
	cells := 0
	for _, g := range s.gifts() {
		t.Run(g.name, func(t *testing.T) {
			here := *s
			here.client = &client{t, s.f}
			for i, w := range g.ways {
				for j := range verbs {
					v := &verbs[j]
					if !v.goes(g, i) {
						continue
					}
					c := &cell{stage: &here, gift: g, way: w, v: v}
					c.play()
					cells++
				}
			}
		})
	}
	t.Logf("%d cells", cells)
}
