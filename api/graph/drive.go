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
		Modified    time.Time    `json:"lastModifiedDateTime,omitzero"`
		Owner       *identitySet `json:"owner,omitempty"`
		Quota       quota        `json:"quota,omitzero"`
		Root        driveItem    `json:"root"`
		Special     []driveItem  `json:"special,omitempty"`
		WebURL      string       `json:"webUrl"`
		HasTrash    *bool        `json:"@libre.graph.hasTrashedItems,omitempty"`
	}
	quota struct {
		Total     int64  `json:"total"` // 0: unlimited
		Used      int64  `json:"used"`
		Remaining int64  `json:"remaining"`
		State     string `json:"state"`
	}
	identitySet struct {
		User  *identity `json:"user,omitempty"`
		Group *identity `json:"group,omitempty"`
	}
	identity struct {
		ID          string `json:"id"`
		DisplayName string `json:"displayName"`
		Type        string `json:"@libre.graph.userType,omitempty"`
	}
)

// render is a space as the caller sees it.
func (h *handler) render(r *http.Request, s *cloud.Space) (drive, error) {
	id := string(s.ID)
	d := drive{
		ID:          id,
		Type:        string(s.Kind),
		Alias:       s.Alias,
		Name:        s.Name,
		Description: s.Description,
		Modified:    s.Root.MTime.UTC(),
		Root:        driveItem{ID: id, ETag: httpx.ETag(s.Root.ETag), WebDavURL: davURL(r, id)},
		WebURL:      webURL(r, id),
	}
	if s.Kind != cloud.Virtual { // of what others share their quotas count
		d.Quota = quotaOf(s)
	}
	if !s.Disabled.IsZero() {
		d.Root.Deleted = &deleted{"trashed"}
	}
	if s.Owner != "" {
		name, err := h.nameOf(r, s.Owner)
		if err != nil {
			return d, err
		}
		d.Owner = &identitySet{User: &identity{ID: string(s.Owner), DisplayName: name}}
	}
	var err error
	d.Special, err = h.special(r, s)
	return d, err
}

// mountpoint is the type of a drive that is what others share with the caller.
const mountpoint = "mountpoint"

func (n *naming) mountDrive(m *cloud.Mount) (drive, error) {
	item, err := n.mountItem(m)
	return drive{
		ID:       item.ID,
		Type:     mountpoint,
		Alias:    mountpoint + "/" + m.Name,
		Name:     m.Name,
		Modified: *item.Modified,
		Root:     driveItem{ID: item.ID, ETag: item.ETag, WebDavURL: item.WebDavURL, Size: item.Size, Folder: item.Folder, File: item.File, Remote: item.Remote},
		WebURL:   item.WebURL,
	}, err
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
