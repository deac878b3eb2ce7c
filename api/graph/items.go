package graph

import (
	"errors"
	"net/http"
	"strings"

	"opencloud/cloud"
)

var nodes = shape[*cloud.Node]{
	fields: []string{"name", "id"},
	values: func(n *cloud.Node) func(string) []string {
		return func(field string) []string {
			if field == "id" {
				return []string{idOf(n)}
			}
			return []string{n.Name}
		}
	},
	order: map[string]func(*cloud.Node) string{
		"name":                 func(n *cloud.Node) string { return n.Name },
		"lastModifiedDateTime": func(n *cloud.Node) string { return sortable(n.MTime) },
	},
}

// below adds the path that comes at the end of args to the node that they name.
func below(args []string) (cloud.Ref, error) {
	last := len(args) - 1
	ref, err := target(args[:last])
	ref.Path = args[last]
	return ref, err
}

func (h *handler) homeRef(r *http.Request) (cloud.Ref, error) {
	s, err := h.files.Home(r.Context())
	if err != nil {
		return cloud.Ref{}, err
	}
	return cloud.Ref{Space: s.ID, Node: s.ID.Root()}, nil
}

func (h *handler) homeRoot(w http.ResponseWriter, r *http.Request, _ []string) error {
	ref, err := h.homeRef(r)
	if err != nil {
		return err
	}
	return h.showItem(w, r, ref)
}

func (h *handler) homeChildren(w http.ResponseWriter, r *http.Request, _ []string) error {
	ref, err := h.homeRef(r)
	if err != nil {
		return err
	}
	return h.listItems(w, r, ref)
}

func (h *handler) item(w http.ResponseWriter, r *http.Request, args []string) error {
	ref, err := below(args)
	if err != nil {
		return err
	}
	return h.showItem(w, r, ref)
}

func (h *handler) showItem(w http.ResponseWriter, r *http.Request, ref cloud.Ref) error {
	n, err := h.files.Stat(r.Context(), ref)
	if err != nil {
		return err
	}
	return h.writeItem(w, r, n)
}

func (h *handler) writeItem(w http.ResponseWriter, r *http.Request, n *cloud.Node) error {
	d, err := h.detailOf(r)
	if err != nil {
		return err
	}
	item, err := d.item(n)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", item.ETag)
	return write(w, r, http.StatusOK, item)
}

func (h *handler) children(w http.ResponseWriter, r *http.Request, args []string) error {
	ref, err := below(args)
	if err != nil {
		return err
	}
	return h.listItems(w, r, ref)
}

func (h *handler) listItems(w http.ResponseWriter, r *http.Request, ref cloud.Ref) error {
	l, err := parseListing(r, nodes)
	if err != nil {
		return err
	}
	d, err := h.detail(r, l.sel, l.expand)
	if err != nil {
		return err
	}
	return answer(w, l, h.files.List(r.Context(), ref), d.item)
}

// content sends the client to where it can read a file without credentials,
// or with them, where there is no such place.
func (h *handler) content(w http.ResponseWriter, r *http.Request, args []string) error {
	ref, err := below(args)
	if err != nil {
		return err
	}
	n, err := h.files.Stat(r.Context(), ref)
	switch {
	case err != nil:
		return err
	case n.Dir:
		return cloud.Refuse(cloud.NotExist, "This is a folder: it has no content of its own.")
	case !n.Rights.Has(cloud.CanRead):
		return cloud.Permission
	}
	d, err := h.detail(r, downloadURL, "")
	if err != nil {
		return err
	}
	link := d.link(n)
	if link == "" {
		link = davURL(r, cloud.ItemID(n.Space, n.ID))
	}
	w.Header().Set("Location", link)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusFound)
	return nil
}

// An itemChange is what clients may send of an item.
type itemChange struct {
	Name   *string `json:"name"`
	Hidden *bool   `json:"@UI.Hidden"`
	Synced *bool   `json:"@client.synchronize"`
	Parent *struct {
		ID string `json:"id"`
	} `json:"parentReference"`
}

// An itemRequest describes an item to be made.
type itemRequest struct {
	Name   string    `json:"name"`
	File   *struct{} `json:"file"`
	Folder *struct{} `json:"folder"`
	Remote *struct {
		ID string `json:"id"`
	} `json:"remoteItem"`
}

// fixedItem are the properties of an item that cannot be set, beside those
// that depend on how.
var fixedItem = []string{
	"description", "content", "deleted", "fileSystemInfo", "image", "photo", "location", "thumbnails", "root", "trash", "specialFolder",
	"audio", "video", "@libre.graph.motionPhoto", "@libre.graph.livePhoto",
}

// updateItem renames or moves an item, or changes how a mount shows.
func (h *handler) updateItem(w http.ResponseWriter, r *http.Request, args []string) error {
	var want itemChange
	if err := read(w, r, &want, append([]string{"file", "folder", "remoteItem"}, fixedItem...)...); err != nil {
		return err
	}
	ref, err := below(args)
	if err != nil {
		return err
	}
	if m, err := h.mountAt(r, ref); m != nil || err != nil {
		return h.updateMount(w, r, m, want, err)
	}
	if want.Hidden != nil || want.Synced != nil {
		return cloud.Refuse(cloud.Invalid, "Only what others share with you can be hidden or synchronized.")
	}
	n, err := h.files.Stat(r.Context(), ref)
	if err != nil {
		return err
	}
	if want.Name == nil && want.Parent == nil {
		return h.writeItem(w, r, n)
	}
	to := cloud.Ref{Space: n.Space, Node: n.Parent, Path: n.Name}
	if n.Parent == "" && want.Parent == nil { // it stands where the caller cannot see
		return cloud.Permission
	}
	if want.Parent != nil {
		if to, err = cloud.ParseItemID(want.Parent.ID); err != nil {
			return err
		}
		to.Path = n.Name
	}
	if want.Name != nil {
		if err := cloud.CheckName(*want.Name); err != nil {
			return err
		}
		to.Path = *want.Name
	}
	how := cloud.Transfer{Conditions: conditions(r)}
	if n, _, err = h.files.Move(r.Context(), ref, to, how); err != nil {
		return taken(err, how.IfMatch)
	}
	return h.writeItem(w, r, n)
}

// conditions are those of the header If-Match, of which one tag is enough here.
func conditions(r *http.Request) cloud.Conditions {
	return cloud.Conditions{IfMatch: unquoted(r.Header.Get("If-Match"))}
}

// taken says what core means by a precondition where the client had none: that
// the name is taken.
func taken(err error, ifMatch string) error {
	if ifMatch == "" && errors.Is(err, cloud.Precondition) {
		return cloud.Exist
	}
	return err
}

func (h *handler) removeItem(w http.ResponseWriter, r *http.Request, args []string) error {
	ref, err := below(args)
	if err != nil {
		return err
	}
	if m, err := h.mountAt(r, ref); m != nil || err != nil {
		return h.unmount(w, r, m, err)
	}
	if err := h.files.Remove(r.Context(), ref, conditions(r)); err != nil {
		return err
	}
	return writeNothing(w)
}

// createItem makes a folder or an empty file, or mounts what others share.
func (h *handler) createItem(w http.ResponseWriter, r *http.Request, args []string) error {
	var want itemRequest
	if err := read(w, r, &want, append([]string{"parentReference", "@UI.Hidden", "@client.synchronize"}, fixedItem...)...); err != nil {
		return err
	}
	ref, err := below(args)
	if err != nil {
		return err
	}
	kinds := 0
	for _, is := range []bool{want.File != nil, want.Folder != nil, want.Remote != nil} {
		if is {
			kinds++
		}
	}
	if kinds != 1 {
		return cloud.Refuse(cloud.Invalid, "Say what to make: folder, file or remoteItem.")
	}
	replace, missing, err := behaviour(r)
	if err != nil {
		return err
	}
	if want.Remote != nil {
		return h.mountHere(w, r, ref, want.Remote.ID, want.Name)
	}
	if err := cloud.CheckName(want.Name); err != nil {
		return err
	}
	if missing {
		if err := h.makeDirs(r, ref); err != nil {
			return err
		}
	}
	ref.Path = cloud.Join(ref.Path, want.Name)
	n, err := h.make(r, ref, want.Folder != nil, replace)
	if errors.Is(err, cloud.Conflict) {
		err = cloud.Refuse(cloud.NotExist, "The folder in which to make it does not exist.")
	}
	if err != nil {
		return err
	}
	return h.writeItem(w, r, n)
}

// behaviour reads what is to happen when the name is taken, and when folders
// on the way are missing.
func behaviour(r *http.Request) (replace, missing bool, err error) {
	q := r.URL.Query()
	for _, o := range []struct {
		name, set string
		to        *bool
	}{{"@libre.graph.conflictBehavior", "replace", &replace}, {"@libre.graph.missingParentsBehavior", "create", &missing}} {
		switch value := q.Get(o.name); value {
		case "", "fail":
		case o.set:
			*o.to = true
		default:
			return false, false, cloud.Refuse(cloud.Invalid, "%s is fail or %s.", o.name, o.set)
		}
	}
	return replace, missing, nil
}

// makeDirs makes what is missing of a path.
func (h *handler) makeDirs(r *http.Request, ref cloud.Ref) error {
	full := ref.Path
	ref.Path = ""
	for name := range strings.SplitSeq(full, "/") {
		if ref.Path = cloud.Join(ref.Path, name); ref.Path == "" {
			return nil
		}
		if _, err := h.files.MakeDir(r.Context(), ref, cloud.Conditions{}); err != nil && !errors.Is(err, cloud.Exist) {
			return err
		}
	}
	return nil
}

// make makes something empty; with replace, what stands there goes to the
// trash, except that a file for a file is a new version of it.
func (h *handler) make(r *http.Request, ref cloud.Ref, dir, replace bool) (*cloud.Node, error) {
	one := func() (n *cloud.Node, err error) {
		if dir {
			return h.files.MakeDir(r.Context(), ref, cloud.Conditions{})
		}
		var how cloud.Put
		if !replace {
			how.IfNoneMatch = "*"
		}
		n, _, err = h.files.Put(r.Context(), ref, http.NoBody, how)
		return n, taken(err, "")
	}
	n, err := one()
	if replace && errors.Is(err, cloud.Exist) {
		if err := h.files.Remove(r.Context(), ref, cloud.Conditions{}); err != nil {
			return nil, err
		}
		n, err = one()
	}
	return n, err
}
