package graph

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// A deltaPage is what driveItem: delta of Microsoft Graph answers. It has one
// of the links: to the next page, or to what is different from then on.
type deltaPage struct {
	Value []driveItem `json:"value"`
	Next  string      `json:"@odata.nextLink,omitempty"`
	Delta string      `json:"@odata.deltaLink,omitempty"`
}

func (h *handler) homeDelta(w http.ResponseWriter, r *http.Request, _ []string) error {
	s, err := h.files.Home(r.Context())
	if err != nil {
		return err
	}
	return h.writeDelta(w, r, s.ID)
}

func (h *handler) delta(w http.ResponseWriter, r *http.Request, args []string) error {
	ref, err := cloud.ParseItemID(args[0])
	if err != nil || ref.Node != "" && ref.Node != ref.Space.Root() {
		return cloud.NotExist
	}
	return h.writeDelta(w, r, ref.Space)
}

// writeDelta answers what is different in a space: without a token all there
// is, with the token "latest" nothing but a link.
func (h *handler) writeDelta(w http.ResponseWriter, r *http.Request, space cloud.SpaceID) error {
	q, err := options(r, "$top")
	if err != nil {
		return err
	}
	win, err := parseWindow(url.Values{"$top": q["$top"]})
	if err != nil {
		return err
	}
	page, err := h.opts.Changes.Changes(r.Context(), cloud.Feed{Space: space, After: q.Get("token"), Limit: max(win.top, 0)})
	here := httpx.From(r.Context()).Site.Abs(r.URL.EscapedPath())
	if cloud.KindOf(err) == cloud.TooOld {
		w.Header().Set("Location", here) // where to start over
	}
	if err != nil {
		return err
	}
	answer := deltaPage{Value: make([]driveItem, len(page.Diffs))}
	for i, d := range page.Diffs {
		answer.Value[i] = item(r, d)
	}
	next := url.Values{"token": {page.Next}}
	if win.top > 0 {
		next.Set("$top", strconv.Itoa(win.top))
	}
	if link := here + "?" + next.Encode(); page.More {
		answer.Next = link
	} else {
		answer.Delta = link
	}
	return write(w, r, http.StatusOK, answer)
}

// item is a node as it is now, or one that is gone, of which only the id is told.
func item(r *http.Request, d cloud.Diff) driveItem {
	n := d.Node
	id := cloud.ItemID(n.Space, n.ID)
	if d.Gone {
		return driveItem{ID: id, Deleted: &deleted{"deleted"}}
	}
	modified := n.MTime.UTC()
	i := driveItem{
		ID:        id,
		Name:      n.Name,
		ETag:      httpx.ETag(n.ETag),
		WebDavURL: httpx.From(r.Context()).Site.Abs("/dav/spaces/" + id),
		Size:      &n.Size,
		Modified:  &modified,
		Parent:    &itemReference{DriveID: string(n.Space)},
	}
	switch {
	case n.Parent == "":
		i.Name, i.Root, i.Folder = "root", &struct{}{}, &folder{}
		return i
	case n.Dir:
		i.Folder = &folder{}
	default:
		i.File = &file{MIMEType: cloud.MIMEType(n.Name)}
		if n.Sums.Known {
			i.File.Hashes = &hashes{hex.EncodeToString(n.Sums.SHA1[:])}
		}
	}
	i.Parent.ID = cloud.ItemID(n.Space, n.Parent)
	return i
}
