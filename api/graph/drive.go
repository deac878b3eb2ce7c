package graph

import (
	"net/http"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// The JSON of a drive, as far as it is served.
type (
	drive struct {
		ID          string       `json:"id"`
		Type        string       `json:"driveType"`
		Alias       string       `json:"driveAlias"`
		Name        string       `json:"name"`
		Description string       `json:"description"`
		Modified    time.Time    `json:"lastModifiedDateTime"`
		Owner       *identitySet `json:"owner,omitempty"`
		Quota       quota        `json:"quota"`
		Root        driveItem    `json:"root"`
		Special     []driveItem  `json:"special,omitempty"`
		WebURL      string       `json:"webUrl"`
		HasTrash    *bool        `json:"@libre.graph.hasTrashedItems,omitempty"`
	}
	driveItem struct {
		ID        string         `json:"id"`
		Name      string         `json:"name,omitempty"`
		ETag      string         `json:"eTag,omitempty"` // with quotes, as in WebDAV
		WebDavURL string         `json:"webDavUrl,omitempty"`
		Size      *int64         `json:"size,omitempty"`
		Modified  *time.Time     `json:"lastModifiedDateTime,omitempty"`
		Parent    *itemReference `json:"parentReference,omitempty"`
		File      *file          `json:"file,omitempty"`
		Folder    *struct{}      `json:"folder,omitempty"`
		Root      *struct{}      `json:"root,omitempty"`
		Special   *specialFolder `json:"specialFolder,omitempty"`
		Deleted   *deleted       `json:"deleted,omitempty"`
	}
	file struct {
		MIMEType string  `json:"mimeType"`
		Hashes   *hashes `json:"hashes,omitempty"`
	}
	hashes struct {
		SHA1 string `json:"sha1Hash"`
	}
	itemReference struct {
		DriveID string `json:"driveId"`
		ID      string `json:"id,omitempty"` // none at the root
	}
	specialFolder struct {
		Name string `json:"name"`
	}
	deleted struct {
		State string `json:"state"`
	}
	quota struct {
		Total     int64  `json:"total"` // 0: unlimited
		Used      int64  `json:"used"`
		Remaining int64  `json:"remaining"`
		State     string `json:"state"`
	}
	identitySet struct {
		User *identity `json:"user,omitempty"`
	}
	identity struct {
		ID          string `json:"id"`
		DisplayName string `json:"displayName"`
	}
)

// render is a space as the caller sees it.
func (h *handler) render(r *http.Request, s *cloud.Space) (drive, error) {
	site, id := httpx.From(r.Context()).Site, string(s.ID)
	d := drive{
		ID:          id,
		Type:        string(s.Kind),
		Alias:       s.Alias,
		Name:        s.Name,
		Description: s.Description,
		Modified:    s.Root.MTime.UTC(),
		Quota:       quotaOf(s),
		Root: driveItem{
			ID:        id,
			ETag:      httpx.ETag(s.Root.ETag),
			WebDavURL: site.Abs("/dav/spaces/" + id),
		},
		WebURL: site.Abs("/f/" + id),
	}
	if !s.Disabled.IsZero() {
		d.Root.Deleted = &deleted{"trashed"}
	}
	if s.Owner != "" {
		name, err := h.nameOf(r, s.Owner)
		if err != nil {
			return d, err
		}
		d.Owner = &identitySet{&identity{string(s.Owner), name}}
	}
	var err error
	d.Special, err = h.special(r, s)
	return d, err
}

// nameOf is empty for a user who is no more.
func (h *handler) nameOf(r *http.Request, id cloud.UserID) (string, error) {
	if u := cloud.CallerFrom(r.Context()).User; u != nil && u.ID == id {
		return displayName(u), nil
	}
	u, err := h.people.User(r.Context(), "id", string(id))
	if cloud.KindOf(err) == cloud.NotExist {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return displayName(u), nil
}

func quotaOf(s *cloud.Space) quota {
	q := quota{Total: s.Quota, Used: s.Root.Size, Remaining: s.Free, State: "normal"}
	switch percent := float64(q.Used) / float64(q.Total) * 100; {
	case q.Remaining <= 0:
		q.State = "exceeded"
	case q.Total == 0 || percent < 75:
	case percent < 90:
		q.State = "nearing"
	default:
		q.State = "critical"
	}
	return q
}
