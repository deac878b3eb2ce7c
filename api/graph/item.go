package graph

import (
	"cmp"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// The JSON of a node, which Graph calls an item of a drive.
type (
	driveItem struct {
		ID          string         `json:"id"`
		Name        string         `json:"name,omitempty"`
		ETag        string         `json:"eTag,omitempty"` // with quotes, as in WebDAV
		WebDavURL   string         `json:"webDavUrl,omitempty"`
		WebURL      string         `json:"webUrl,omitempty"`
		Size        *int64         `json:"size,omitempty"`
		Modified    *time.Time     `json:"lastModifiedDateTime,omitempty"`
		Parent      *itemReference `json:"parentReference,omitempty"`
		File        *file          `json:"file,omitempty"`
		Folder      *folder        `json:"folder,omitempty"`
		Root        *struct{}      `json:"root,omitempty"`
		Special     *specialFolder `json:"specialFolder,omitempty"`
		Deleted     *deleted       `json:"deleted,omitempty"`
		Remote      *remoteItem    `json:"remoteItem,omitempty"`
		Permissions []permission   `json:"permissions,omitzero"`
		Synced      *bool          `json:"@client.synchronize,omitempty"`
		Hidden      *bool          `json:"@UI.Hidden,omitempty"`
		Download    string         `json:"@microsoft.graph.downloadUrl,omitempty"`
		Actions     []string       `json:"@libre.graph.permissions.actions.allowedValues,omitzero"`
	}
	// A remoteItem is a node as it is in its own drive.
	remoteItem struct {
		ID          string         `json:"id"`
		Name        string         `json:"name"`
		RootID      string         `json:"rootId"`
		Path        string         `json:"path"` // empty: not for the caller to know
		ETag        string         `json:"eTag"`
		WebDavURL   string         `json:"webDavUrl"`
		WebURL      string         `json:"webUrl"`
		Size        int64          `json:"size"`
		Modified    time.Time      `json:"lastModifiedDateTime"`
		By          *identitySet   `json:"createdBy,omitempty"` // who shared it first
		Parent      *itemReference `json:"parentReference,omitempty"`
		File        *file          `json:"file,omitempty"`
		Folder      *folder        `json:"folder,omitempty"`
		Permissions []permission   `json:"permissions"`
	}
	itemReference struct {
		DriveID   string `json:"driveId"`
		DriveType string `json:"driveType,omitempty"`
		ID        string `json:"id,omitempty"`
		Name      string `json:"name,omitempty"`
		Path      string `json:"path,omitempty"` // of the folder, from the root of the drive: "/a/b"
	}
	file struct {
		MIMEType string  `json:"mimeType"`
		Hashes   *hashes `json:"hashes,omitempty"`
	}
	hashes struct {
		SHA1 string `json:"sha1Hash"`
	}
	folder        struct{}
	specialFolder struct {
		Name string `json:"name"`
	}
	deleted struct {
		State string `json:"state"`
	}
)

// idOf names a node. The root of a space has the id of the space.
func idOf(n *cloud.Node) string {
	if n.ID == n.Space.Root() {
		return string(n.Space)
	}
	return cloud.ItemID(n.Space, n.ID)
}

// davURL and webURL name a node by its id, so that they stay right when it is
// moved or renamed.
func davURL(r *http.Request, id string) string {
	return httpx.From(r.Context()).Site.Abs("/dav/spaces/" + id)
}

func webURL(r *http.Request, id string) string {
	return httpx.From(r.Context()).Site.Abs("/f/" + id)
}

func facets(n *cloud.Node) (*file, *folder) {
	if n.Dir {
		return nil, &folder{}
	}
	f := &file{MIMEType: cloud.MIMEType(n.Name)}
	if n.Sums.Known {
		f.Hashes = &hashes{hex.EncodeToString(n.Sums.SHA1[:])}
	}
	return f, nil
}

// parentOf is nil for a root, and says no more than the caller may know.
func parentOf(n *cloud.Node) *itemReference {
	if n.ID == n.Space.Root() {
		return nil
	}
	p := &itemReference{DriveID: string(n.Space)}
	if n.Parent != "" {
		p.ID = idOf(&cloud.Node{Space: n.Space, ID: n.Parent})
		dir, _ := cloud.Split(n.Path)
		_, p.Name = cloud.Split(dir)
		p.Path = "/" + dir
	}
	return p
}

// itemOf is a node as it is in its drive.
func itemOf(r *http.Request, n *cloud.Node) driveItem {
	id := idOf(n)
	item := driveItem{
		ID: id, Name: n.Name, ETag: httpx.ETag(n.ETag), WebDavURL: davURL(r, id), WebURL: webURL(r, id),
		Size: &n.Size, Modified: new(n.MTime.UTC()), Parent: parentOf(n),
	}
	item.File, item.Folder = facets(n)
	if item.Parent == nil {
		item.Root = &struct{}{}
	}
	return item
}

// remoteOf is what is mounted, as it is where it comes from.
func (n *naming) remoteOf(m *cloud.Mount) (*remoteItem, error) {
	id := idOf(m.Node)
	item := &remoteItem{
		ID: id, Name: m.Node.Name, RootID: cloud.ItemID(m.Node.Space, m.Node.Space.Root()), Path: m.Node.Path,
		ETag: httpx.ETag(m.Node.ETag), WebDavURL: davURL(n.Request, id), WebURL: webURL(n.Request, id),
		Size: m.Node.Size, Modified: m.Node.MTime.UTC(), Parent: parentOf(m.Node),
	}
	item.File, item.Folder = facets(m.Node)
	first := slices.MinFunc(m.Grants, func(a, b cloud.Grant) int { return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.ID, b.ID)) })
	by, err := n.user(first.By)
	if err != nil {
		return nil, err
	}
	item.By = &identitySet{User: by}
	item.Permissions, err = n.permissions(m.Grants, m.Node.Kind())
	return item, err
}

// mountItem is what others share with the caller, as it is in the Shares space.
func (n *naming) mountItem(m *cloud.Mount) (driveItem, error) {
	remote, err := n.remoteOf(m)
	if err != nil {
		return driveItem{}, err
	}
	id := cloud.ItemID(cloud.SharesSpace, m.ID)
	return driveItem{
		ID: id, Name: m.Name, ETag: remote.ETag, WebDavURL: davURL(n.Request, id), WebURL: remote.WebURL,
		Size: &remote.Size, Modified: &remote.Modified, File: remote.File, Folder: remote.Folder, Remote: remote,
		Parent: &itemReference{
			DriveID: string(cloud.SharesSpace), DriveType: string(cloud.Virtual),
			ID: cloud.ItemID(cloud.SharesSpace, cloud.SharesSpace.Root()), Path: "/",
		},
		Synced: &m.Synced, Hidden: &m.Hidden,
	}, nil
}

const (
	downloadURL    = "@microsoft.graph.downloadUrl"
	allowedActions = "@libre.graph.permissions.actions.allowedValues"
)

// itemSelect is what $select knows. What costs nothing is there in any case.
var itemSelect = []string{
	"id", "name", "eTag", "webDavUrl", "webUrl", "size", "lastModifiedDateTime", "parentReference", "file", "folder", "root", "remoteItem",
	"permissions", "@client.synchronize", "@UI.Hidden", downloadURL, allowedActions,
}

// A detail is what a request wants to know of items beside the usual.
type detail struct {
	*naming
	grants, download, actions bool
	sign                      func(path string) (query string) // nil: for nobody
}

func (h *handler) detail(r *http.Request, sel, expand string) (*detail, error) {
	fields, err := list("$select", sel, itemSelect...)
	if err != nil {
		return nil, err
	}
	more, err := list("$expand", expand, "permissions", "thumbnails")
	if err != nil {
		return nil, err
	}
	fields = append(fields, more...)
	d := &detail{
		naming:   h.naming(r),
		grants:   slices.Contains(fields, "permissions"),
		download: slices.Contains(fields, downloadURL),
		actions:  slices.Contains(fields, allowedActions),
	}
	if d.download && h.opts.Links != nil {
		d.sign, err = h.opts.Links(r.Context())
	}
	return d, err
}

// detailOf is what a request asks for that has no other options.
func (h *handler) detailOf(r *http.Request) (*detail, error) {
	q, err := options(r, "$select", "$expand")
	if err != nil {
		return nil, err
	}
	return h.detail(r, q.Get("$select"), q.Get("$expand"))
}

// item is a node; what is mounted in the Shares space says what it is.
func (d *detail) item(n *cloud.Node) (item driveItem, err error) {
	if _, ok := cloud.ParseMountID(n.ID); ok && n.Space == cloud.SharesSpace {
		m, err := d.shares.Mount(d.Context(), n.ID)
		if err != nil {
			return item, err
		}
		return d.mount(m)
	}
	item = itemOf(d.Request, n)
	if d.grants {
		item.Permissions, err = d.permissions(n.Grants, n.Kind())
	}
	d.add(&item, n)
	return item, err
}

func (d *detail) mount(m *cloud.Mount) (driveItem, error) {
	item, err := d.mountItem(m)
	if err == nil && d.grants {
		item.Permissions = item.Remote.Permissions
	}
	d.add(&item, m.Node)
	return item, err
}

func (d *detail) add(item *driveItem, n *cloud.Node) {
	if d.actions {
		item.Actions = actionsOf(n.Rights)
	}
	if d.download {
		item.Download = d.link(n)
	}
}

// link is where the caller can read a file without credentials; empty: nowhere.
func (d *detail) link(n *cloud.Node) string {
	if d.sign == nil || n.Dir || !n.Rights.Has(cloud.CanRead) {
		return ""
	}
	path := "/dav/spaces/" + cloud.ItemID(n.Space, n.ID)
	return httpx.From(d.Context()).Site.Abs(path) + "?" + d.sign(path)
}

// target is the node that a path of the API names: args are the id of a drive
// and, unless it is its root, that of an item. For clients what others share is
// a drive of its own, named by the id of the node or that of the mount.
func target(args []string) (cloud.Ref, error) {
	ref, err := cloud.ParseItemID(args[0])
	if err != nil {
		return ref, cloud.NotExist
	}
	mount, isMount := cloud.ParseMountID(ref.Node)
	if ref.Node == "" {
		ref.Node = ref.Space.Root()
	}
	if len(args) == 1 {
		return ref, nil
	}
	item, err := cloud.ParseItemID(args[1])
	if err != nil || item.Space != ref.Space && !(isMount && item.Space == mount.Space) {
		return ref, cloud.NotExist
	}
	if item.Node == "" {
		item.Node = item.Space.Root()
	}
	return item, nil
}

// unquoted is an ETag as core has it.
func unquoted(tag string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
}
