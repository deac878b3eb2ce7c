package app

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"opencloud/cloud"
)

// A verb is what somebody tries to do, by one request of one protocol.
type verb struct {
	name  string
	on    cloud.NodeKind // what must have been given
	with  object
	needs cloud.Rights // to be allowed to
	want  int          // the status when allowed; 403 when not, 404 for what is not known
	do    func(c *cell) int

	knows    cloud.Rights // without these even who knows of the object gets 404
	mount    int          // the status for what is mounted in the Shares space: that is bob's own
	makes    bool         // something that may not be there yet
	mounted  bool         // only of what is in the Shares space
	drop     int          // the status for those who put things where they see nothing
	visitor  int          // the status for holders of links, whatever the link says
	versions bool         // needs a file with a version
	sets     bool         // grants beforehand
	ids      bool         // links have to be named in the header
	once     bool         // by ids, so that all ways are one
}

const (
	file   = cloud.OnFile
	folder = cloud.OnFolder
	root   = cloud.OnRoot
	tree   = folder | root
	all    = file | tree
)

const (
	lockBody  = `<d:lockinfo xmlns:d="DAV:"><d:lockscope><d:exclusive/></d:lockscope><d:locktype><d:write/></d:locktype></d:lockinfo>`
	patchBody = `<d:propertyupdate xmlns:d="DAV:"><d:set><d:prop><x xmlns="urn:x">y</x></d:prop></d:set></d:propertyupdate>`
)

// verbs is the table. What is read from it: whoever has the rights in needs
// may do it with the object; who has not may not.
var verbs = []verb{
	// WebDAV: look
	{name: "PROPFIND 0 of it", on: all, with: itself, needs: cloud.CanStat, want: 207, do: plain("PROPFIND", "Depth", "0")},
	{name: "PROPFIND 1 of it", on: tree, with: itself, needs: cloud.CanList, want: 207, do: plain("PROPFIND", "Depth", "1")},
	{name: "PROPFIND 0 in it", on: tree, with: thing, needs: cloud.CanStat, want: 207, do: plain("PROPFIND", "Depth", "0")},
	{name: "PROPFIND of a free name", on: tree, with: room, knows: nobodys, do: toFree("PROPFIND", "")},
	{name: "GET", on: all, with: thing, needs: cloud.CanRead, want: 200, do: plain("GET")},
	{name: "GET of a part", on: all, with: thing, needs: cloud.CanRead, want: 206, do: plain("GET", "Range", "bytes=1-3")},
	{name: "HEAD", on: all, with: thing, needs: cloud.CanRead, want: 200, do: plain("HEAD")},
	{name: "GET of a signed address", on: all, with: thing, needs: cloud.CanRead, want: 200, do: signedAddress},

	// WebDAV: write
	{name: "PUT new", on: tree, with: room, needs: cloud.CanWrite, want: 201, makes: true, do: toFree("PUT", "x")},
	{name: "PUT over", on: all, with: thing, makes: true, needs: cloud.CanWrite, want: 204, drop: 201, do: withBody("PUT", content)},
	{name: "MKCOL", on: tree, with: room, needs: cloud.CanMakeDir, want: 201, makes: true, do: toFree("MKCOL", "")},
	{name: "PROPPATCH of it", on: all, with: itself, needs: cloud.CanWrite, want: 207, do: withBody("PROPPATCH", patchBody)},
	{name: "PROPPATCH in it", on: tree, with: thing, needs: cloud.CanWrite, want: 207, do: withBody("PROPPATCH", patchBody)},
	{name: "LOCK and UNLOCK", on: all, with: thing, makes: true, drop: 403, needs: cloud.CanWrite, want: 204, do: lockUnlock},
	{name: "LOCK of a free name", on: tree, with: room, drop: 403, needs: cloud.CanWrite, want: 201, makes: true, do: lockFree},
	{name: "UNLOCK what others locked", on: all, with: thing, needs: nobodys, do: unlockOthers},

	// WebDAV: move and copy
	{name: "DELETE of it", on: all, with: itself, needs: nobodys, mount: 204, do: plain("DELETE")},
	{name: "DELETE", on: tree, with: thing, needs: cloud.CanDelete, want: 204, do: plain("DELETE")},
	{name: "MOVE of it into itself", on: tree, with: itself, needs: nobodys, do: func(c *cell) int { return c.sendFrom("MOVE", c.at+"/"+c.fresh("in")) }},
	{name: "MOVE of it to another name in Shares", on: all, with: itself, mounted: true, mount: 201, do: func(c *cell) int {
		return c.sendFrom("MOVE", "/dav/spaces/"+string(cloud.SharesSpace)+"/"+c.fresh("renamed"))
	}},
	{name: "MOVE of it to where nothing was given", on: file | folder, with: itself, knows: nobodys, mount: 403, do: func(c *cell) int {
		return c.sendFrom("MOVE", "/dav/spaces/"+string(c.home)+"/"+c.fresh("out"))
	}},
	{name: "MOVE of it to one's own", on: file | folder, with: itself, needs: nobodys, visitor: 404, do: toMine("MOVE")},
	{name: "MOVE of the space to one's own", on: root, with: itself, needs: nobodys, do: toMine("MOVE")},
	{name: "MOVE to another name", on: tree, with: thing, needs: cloud.CanMove | cloud.CanWrite, want: 201, do: within("MOVE", "")},
	{name: "MOVE into a folder", on: tree, with: thing, needs: cloud.CanMove | cloud.CanWrite, want: 201, do: within("MOVE", "dir")},
	{name: "MOVE over something", on: tree, with: thing, needs: cloud.CanMove | cloud.CanWrite | cloud.CanDelete, want: 204, do: over("MOVE")},
	{name: "MOVE to one's own", on: tree, with: thing, needs: cloud.CanMove | cloud.CanRead | cloud.CanDelete, want: 201, visitor: 404, do: toMine("MOVE")},
	{name: "MOVE from one's own", on: tree, with: room, needs: cloud.CanWrite, want: 201, makes: true, ids: true, visitor: 404, do: fromMine("MOVE")},
	{name: "MOVE to where nothing was given", on: folder, with: beside, do: outside("MOVE")},
	{name: "COPY", on: tree, with: thing, needs: cloud.CanRead | cloud.CanWrite, want: 201, do: within("COPY", "")},
	{name: "COPY over something", on: tree, with: thing, needs: cloud.CanRead | cloud.CanWrite, want: 204, do: over("COPY")},
	{name: "COPY of it to one's own", on: folder | file, with: itself, needs: cloud.CanRead, want: 201, visitor: 404, do: toMine("COPY")},
	{name: "COPY to one's own", on: all, with: thing, needs: cloud.CanRead, want: 201, visitor: 404, do: toMine("COPY")},
	{name: "COPY from one's own", on: tree, with: room, needs: cloud.CanWrite, want: 201, makes: true, ids: true, visitor: 404, do: fromMine("COPY")},
	{name: "COPY to where nothing was given", on: folder, with: beside, do: outside("COPY")},
	{name: "GET of what was not given", on: folder | file, with: beside, once: true, do: byID("GET", "/dav/spaces/", "")},
	{name: "PROPFIND of what was not given", on: folder | file, with: beside, once: true, do: byID("PROPFIND", "/dav/spaces/", "")},
	{name: "PROPFIND of the space", on: all, with: whole, needs: cloud.CanStat, want: 207, once: true, do: ofSpace("PROPFIND", "/dav/spaces/", "")},

	// versions
	{name: "list versions", on: all, with: thing, needs: cloud.CanListVersions, want: 207, visitor: 403, versions: true, once: true, do: listVersions},
	{name: "GET a version", on: all, with: thing, needs: cloud.CanListVersions | cloud.CanRead, want: 200, visitor: 403, versions: true, once: true, do: readVersion},
	{name: "restore a version", on: all, with: thing, needs: cloud.CanRevert | cloud.CanWrite, want: 204, visitor: 403, versions: true, once: true, do: revertVersion},

	// the trash
	{name: "list the trash", on: all, with: whole, needs: cloud.CanListTrash, want: 207, visitor: 403, once: true, do: ofSpace("PROPFIND", "/dav/spaces/trash-bin/", "")},
	{name: "restore from the trash", on: tree, with: bin, needs: cloud.CanListTrash | cloud.CanRestore | cloud.CanWrite, want: 201, visitor: 403, once: true, do: restore},
	{name: "restore from the trash to one's own", on: tree, with: bin, needs: cloud.CanListTrash | cloud.CanRestore | cloud.CanRead | cloud.CanDelete, want: 201, visitor: 403, once: true, do: restoreToMine},
	{name: "purge what is in the trash", on: tree, with: bin, needs: cloud.CanListTrash | cloud.CanPurge, want: 204, visitor: 403, once: true, do: purge},
	{name: "purge the trash", on: root, with: whole, needs: cloud.CanListTrash | cloud.CanPurge, want: 204, visitor: 403, once: true, do: ofSpace("DELETE", "/dav/spaces/trash-bin/", "")},

	// TUS
	{name: "TUS POST and PATCH", on: tree, with: room, needs: cloud.CanWrite, want: 204, makes: true, do: func(c *cell) int { return c.upload(c.fresh("tus")) }},
	{name: "TUS POST with content", on: tree, with: room, needs: cloud.CanWrite, want: 201, makes: true, do: func(c *cell) int {
		return c.begin(c.fresh("tus"), "abc", "Content-Type", "application/offset+octet-stream")
	}},
	{name: "TUS over", on: tree, with: thing, makes: true, needs: cloud.CanWrite, want: 204, drop: 204, do: func(c *cell) int { return c.upload(c.file.Name) }},

	// Graph: items
	{name: "graph: GET it", on: all, with: itself, needs: cloud.CanStat, want: 200, visitor: 401, once: true, do: item("GET", "", "")},
	{name: "graph: GET in it", on: tree, with: thing, needs: cloud.CanStat, want: 200, visitor: 401, once: true, do: item("GET", "", "")},
	{name: "graph: children", on: tree, with: itself, needs: cloud.CanList, want: 200, visitor: 401, once: true, do: item("GET", "/children", "")},
	{name: "graph: content", on: all, with: thing, needs: cloud.CanRead, want: 302, visitor: 401, once: true, do: item("GET", "/content", "")},
	{name: "graph: make a folder", on: tree, with: room, needs: cloud.CanMakeDir, want: 200, visitor: 401, once: true, do: func(c *cell) int { return item("POST", "/children", `{"name":"`+c.fresh("made")+`","folder":{}}`)(c) }},
	{name: "graph: make a file", on: tree, with: room, needs: cloud.CanWrite, want: 200, visitor: 401, once: true, do: func(c *cell) int { return item("POST", "/children", `{"name":"`+c.fresh("made")+`","file":{}}`)(c) }},
	{name: "graph: rename", on: tree, with: thing, needs: cloud.CanMove | cloud.CanWrite, want: 200, visitor: 401, once: true, do: func(c *cell) int { return item("PATCH", "", `{"name":"`+c.fresh("renamed")+`"}`)(c) }},
	{name: "graph: rename it", on: all, with: itself, needs: nobodys, visitor: 401, once: true, do: item("PATCH", "", `{"name":"renamed"}`)},
	{name: "graph: DELETE", on: tree, with: thing, needs: cloud.CanDelete, want: 204, visitor: 401, once: true, do: item("DELETE", "", "")},
	{name: "graph: DELETE it", on: all, with: itself, needs: nobodys, visitor: 401, once: true, do: item("DELETE", "", "")},
	{name: "graph: GET what was not given", on: folder | file, with: beside, visitor: 401, once: true, do: item("GET", "", "")},

	// Graph: sharing
	{name: "graph: permissions", on: all, with: itself, needs: cloud.CanStat, want: 200, visitor: 401, once: true, do: item("GET", "/permissions", "")},
	{name: "graph: permissions of others", on: all, with: itself, needs: cloud.CanListGrants, want: 200, visitor: 401, once: true, do: seesOthers},
	{name: "graph: invite", on: file | folder, with: itself, needs: cloud.CanGrant | viewing, want: 200, visitor: 401, once: true, do: func(c *cell) int { return c.invite("viewer") }},
	{name: "graph: invite", on: root, with: itself, needs: cloud.CanGrant | cloud.SpaceViewer, want: 200, visitor: 401, once: true, do: func(c *cell) int { return c.invite("spaceviewer") }},
	{name: "graph: invite who can edit", on: file, with: itself, needs: cloud.CanGrant | viewing | cloud.CanWrite | cloud.CanRestore, want: 200, visitor: 401, once: true, do: func(c *cell) int { return c.invite("file-editor") }},
	{name: "graph: invite who can edit", on: folder, with: itself, needs: cloud.CanGrant | editing, want: 200, visitor: 401, once: true, do: func(c *cell) int { return c.invite("editor") }},
	{name: "graph: invite who can edit", on: root, with: itself, needs: cloud.CanGrant | cloud.SpaceEditor, want: 200, visitor: 401, once: true, do: func(c *cell) int { return c.invite("spaceeditor") }},
	{name: "graph: invite to something in it", on: tree, with: thing, needs: cloud.CanGrant | viewing, want: 200, visitor: 401, once: true, do: func(c *cell) int {
		return c.invite("viewer")
	}},
	{name: "graph: link", on: all, with: itself, needs: cloud.CanGrant | cloud.CanList | cloud.CanRead, want: 200, visitor: 401, once: true, do: item("POST", "/createLink", `{"type":"view"}`)},
	{name: "graph: change what others have", on: all, with: itself, knows: cloud.CanListGrants, sets: true, needs: cloud.CanUpdateGrant, want: 200, visitor: 401, once: true, do: func(c *cell) int {
		return item("PATCH", "/permissions/"+c.others(), `{"expirationDateTime":"2999-01-01T00:00:00Z"}`)(c)
	}},
	{name: "graph: take from others", on: all, with: itself, knows: cloud.CanListGrants, sets: true, needs: cloud.CanRevoke, want: 204, visitor: 401, once: true, do: func(c *cell) int {
		return item("DELETE", "/permissions/"+c.others(), "")(c)
	}},
	{name: "graph: give oneself all", on: all, with: itself, needs: cloud.AllRights, want: 200, visitor: 401, once: true, do: giveOneselfAll},

	// Graph: the space
	{name: "graph: GET the space", on: all, with: whole, needs: cloud.CanStat, want: 200, visitor: 401, once: true, do: drive("GET", "")},
	{name: "graph: describe the space", on: all, with: whole, needs: cloud.CanUpdateGrant, want: 200, visitor: 401, once: true, do: drive("PATCH", `{"description":"other"}`)},
	{name: "graph: disable the space", on: file | folder, with: whole, needs: cloud.CanUpdateGrant, visitor: 401, once: true, do: drive("DELETE", "")},

	// what is different
	{name: "REPORT sync-collection", on: all, with: whole, needs: cloud.CanList, want: 207, visitor: 403, once: true, do: func(c *cell) int {
		return c.send("REPORT", "/dav/spaces/"+string(c.space), `<d:sync-collection xmlns:d="DAV:"><d:sync-token/><d:sync-level>1</d:sync-level><d:prop><d:getetag/></d:prop></d:sync-collection>`, "Depth", "0")
	}},
	{name: "graph: delta", on: all, with: whole, needs: cloud.CanList, want: 200, visitor: 401, once: true, do: func(c *cell) int {
		return c.send("GET", "/graph/v1.0/drives/"+url.PathEscape(string(c.space))+"/root/delta", "")
	}},

	// OCS
	{name: "ocs: shares of it", on: all, with: itself, needs: cloud.CanStat, want: 200, visitor: 401, once: true, do: func(c *cell) int {
		return c.send("GET", ocsShares+"?reshares=true&space_ref="+url.QueryEscape(c.itemID()), "")
	}},
	{name: "ocs: share", on: file | folder, with: itself, needs: cloud.CanGrant | viewing, want: 200, visitor: 401, once: true, do: func(c *cell) int { return c.share("0", "viewer") }},
	{name: "ocs: share", on: root, with: itself, needs: cloud.CanGrant | cloud.SpaceViewer, want: 200, visitor: 401, once: true, do: func(c *cell) int { return c.share("7", "spaceviewer") }},
	{name: "ocs: link", on: all, with: itself, needs: cloud.CanGrant | cloud.CanList | cloud.CanRead, want: 200, visitor: 401, once: true, do: func(c *cell) int {
		return c.form("POST", ocsShares, url.Values{"shareType": {"3"}, "permissions": {"1"}, "space_ref": {c.itemID()}})
	}},
	{name: "ocs: take from others", on: all, with: itself, knows: cloud.CanListGrants, sets: true, needs: cloud.CanRevoke, want: 200, visitor: 401, once: true, do: func(c *cell) int {
		return c.send("DELETE", ocsShares+"/"+c.others(), "")
	}},
}

// editing is what comes with being allowed to change what is in a folder.
const editing = viewing | cloud.CanWrite | cloud.CanMakeDir | cloud.CanMove | cloud.CanDelete | cloud.CanRestore

const ocsShares = "/ocs/v2.php/apps/files_sharing/api/v1/shares"

func plain(method string, header ...string) func(*cell) int {
	return func(c *cell) int { return c.send(method, c.url(), "", header...) }
}

func withBody(method, text string) func(*cell) int {
	return func(c *cell) int { return c.send(method, c.url(), text) }
}

func toFree(method, text string) func(*cell) int {
	return func(c *cell) int { return c.send(method, c.at+"/"+c.fresh("new"), text, "Depth", "0") }
}

func lockFree(c *cell) int { return c.send("LOCK", c.at+"/"+c.fresh("locked"), lockBody) }

// signedAddress opens the address that a PROPFIND tells.
func signedAddress(c *cell) int {
	if got := c.send("PROPFIND", c.url(), `<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><oc:downloadURL/></d:prop></d:propfind>`, "Depth", "0"); got != 207 {
		return got
	}
	m := regexp.MustCompile("<oc:downloadURL>(.*)</oc:downloadURL>").FindStringSubmatch(c.answer.Body.String())
	if m == nil {
		return 403
	}
	u, err := url.Parse(strings.ReplaceAll(m[1], "&amp;", "&"))
	c.must(err)
	c.asked = u.RequestURI()
	c.answer = c.ask(func(*http.Request) {}, "GET", c.asked, "")
	return c.answer.Code
}

func lockUnlock(c *cell) int {
	if got := c.send("LOCK", c.url(), lockBody); got != 200 {
		return got
	}
	return c.send("UNLOCK", c.url(), "", "Lock-Token", c.answer.Header().Get("Lock-Token"))
}

func unlockOthers(c *cell) int {
	ref := cloud.Ref{Space: c.file.Space, Node: c.file.ID}
	l, _, _, err := c.s.Files.Lock(c.owner, ref, cloud.Lock{}, cloud.Conditions{})
	c.must(err)
	got := c.send("UNLOCK", c.url(), "", "Lock-Token", "<"+l.Token+">")
	c.must(c.s.Files.Unlock(c.owner, ref, l.Token))
	return got
}

// own is an address in bob's own space.
func (c *cell) own() string { return "/dav/spaces/" + string(c.mine) + "/" + c.fresh("mine") }

func toMine(method string) func(*cell) int {
	return func(c *cell) int { return c.send(method, c.url(), "", "Destination", c.own()) }
}

func fromMine(method string) func(*cell) int {
	return func(c *cell) int {
		n := c.put(c.as(c.bob), cloud.Ref{Space: c.mine, Path: c.fresh("mine")})
		return c.send(method, "/dav/spaces/"+cloud.ItemID(n.Space, n.ID), "", "Destination", c.at+"/"+n.Name)
	}
}

// within is to another name, or into a folder, of what was given.
func within(method, into string) func(*cell) int {
	return func(c *cell) int {
		to := c.at
		if into != "" {
			into := c.dir(c.owner, cloud.Ref{Space: c.space, Node: c.node.ID, Path: c.fresh(into)})
			to += "/" + into.Name
		}
		return c.sendFrom(method, to+"/"+c.fresh("other"))
	}
}

func over(method string) func(*cell) int {
	return func(c *cell) int {
		n := c.put(c.owner, cloud.Ref{Space: c.space, Node: c.node.ID, Path: c.fresh("over")})
		return c.sendFrom(method, c.at+"/"+n.Name)
	}
}

func (c *cell) sendFrom(method, to string) int {
	return c.send(method, c.url(), "", "Destination", to)
}

// outside is to beside what was given, of something that is in it.
func outside(method string) func(*cell) int {
	return func(c *cell) int {
		n := c.put(c.owner, cloud.Ref{Space: c.space, Node: c.node.ID, Path: c.fresh("out")})
		return c.send(method, c.at+"/"+n.Name, "", "Destination", "/dav/spaces/"+string(c.home)+"/"+c.fresh("out"))
	}
}

func byID(method, before, text string) func(*cell) int {
	return func(c *cell) int { return c.send(method, before+c.itemID(), text, "Depth", "0") }
}

func ofSpace(method, before, text string) func(*cell) int {
	return func(c *cell) int { return c.send(method, before+string(c.space), text, "Depth", "1") }
}

func (c *cell) version() string {
	for v, err := range c.s.Files.Versions(c.owner, cloud.Ref{Space: c.file.Space, Node: c.file.ID}) {
		c.must(err)
		return v.Name
	}
	c.Fatal("the file has no version")
	return ""
}

func listVersions(c *cell) int {
	return c.send("PROPFIND", "/dav/meta/"+c.itemID()+"/v", "", "Depth", "1")
}

func readVersion(c *cell) int {
	return c.send("GET", "/dav/meta/"+c.itemID()+"/v/"+c.version(), "")
}

func revertVersion(c *cell) int {
	return c.send("COPY", "/dav/meta/"+c.itemID()+"/v/"+c.version(), "", "Destination", "/dav/spaces/"+c.itemID())
}

func (c *cell) binned() string {
	return "/dav/spaces/trash-bin/" + string(c.space) + "/" + string(c.file.ID)
}

func restore(c *cell) int {
	return c.send("MOVE", c.binned(), "", "Destination", "/dav/spaces/"+string(c.space)+"/"+c.fresh("back"))
}

func restoreToMine(c *cell) int { return c.send("MOVE", c.binned(), "", "Destination", c.own()) }

func purge(c *cell) int { return c.send("DELETE", c.binned(), "") }

// begin begins an upload of three bytes into what was given.
func (c *cell) begin(name, first string, header ...string) int {
	return c.send("POST", c.at+"/", first, append(header, "Tus-Resumable", "1.0.0", "Upload-Length", "3",
		"Upload-Metadata", "filename "+base64.StdEncoding.EncodeToString([]byte(name)))...)
}

func (c *cell) upload(name string) int {
	if got := c.begin(name, ""); got != 201 {
		return got
	}
	at, err := url.Parse(c.answer.Header().Get("Location"))
	c.must(err)
	return c.send("PATCH", at.RequestURI(), "abc", "Tus-Resumable", "1.0.0", "Upload-Offset", strconv.Itoa(0), "Content-Type", "application/offset+octet-stream")
}

func item(method, after, text string) func(*cell) int {
	return func(c *cell) int {
		space := c.space
		if c.file != nil {
			space = c.file.Space
		}
		return c.send(method, "/graph/v1beta1/drives/"+url.PathEscape(string(space))+"/items/"+url.PathEscape(c.itemID())+after, text)
	}
}

func drive(method, text string) func(*cell) int {
	return func(c *cell) int {
		return c.send(method, "/graph/v1.0/drives/"+url.PathEscape(string(c.space)), text)
	}
}

// seesOthers is 403 when the answer says nothing of what carol has.
func seesOthers(c *cell) int {
	got := item("GET", "/permissions", "")(c)
	if got == 200 && !strings.Contains(c.answer.Body.String(), string(c.carol.ID)) {
		return 403
	}
	return got
}

func roleID(name string) string {
	r, _ := cloud.ShareRoleBy(name)
	return r.ID
}

// invite gives dora a role.
func (c *cell) invite(role string) int {
	return item("POST", "/invite", `{"recipients":[{"objectId":"`+string(c.dora.ID)+`"}],"roles":["`+roleID(role)+`"]}`)(c)
}

// giveOneselfAll asks for all rights there are. Who has them already may say so.
func giveOneselfAll(c *cell) int {
	id := "none"
	if c.grant != nil {
		id = string(c.grant.ID)
	}
	actions, err := json.Marshal(slices.Collect(cloud.AllRights.Actions()))
	c.must(err)
	return item("PATCH", "/permissions/"+id, `{"@libre.graph.permissions.actions":`+string(actions)+`}`)(c)
}

func (c *cell) form(method, path string, f url.Values) int {
	return c.send(method, path, f.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func (c *cell) share(kind, role string) int {
	return c.form("POST", ocsShares, url.Values{"shareType": {kind}, "shareWith": {string(c.dora.ID)}, "role": {role}, "space_ref": {c.itemID()}})
}
