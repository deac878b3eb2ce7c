package graph

import (
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// A volume is what there is a drive for: a space, or what others share.
type volume struct {
	space *cloud.Space
	mount *cloud.Mount // nil: space
}

func (v volume) id() string {
	if v.mount != nil {
		return cloud.ItemID(cloud.SharesSpace, v.mount.ID)
	}
	return string(v.space.ID)
}

func (v volume) kind() string {
	if v.mount != nil {
		return mountpoint
	}
	return string(v.space.Kind)
}

func (v volume) name() string {
	if v.mount != nil {
		return v.mount.Name
	}
	return v.space.Name
}

func (v volume) modified() string {
	if v.mount != nil {
		return sortable(v.mount.Node.MTime)
	}
	return sortable(v.space.Root.MTime)
}

// sortable is a text that is the greater the later.
func sortable(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000") }

var drives = shape[volume]{
	fields: []string{"driveType", "id", "name"},
	values: func(v volume) func(string) []string {
		return func(field string) []string {
			switch field {
			case "driveType":
				return []string{v.kind()}
			case "id":
				return []string{v.id()}
			}
			return []string{v.name()}
		}
	},
	order: map[string]func(volume) string{"name": volume.name, "lastModifiedDateTime": volume.modified},
}

// drives lists the spaces that the caller is a member of, and what is mounted
// in their Shares space.
func (h *handler) drives(w http.ResponseWriter, r *http.Request, _ []string) error {
	return h.listDrives(w, r, h.files.Spaces(r.Context()))
}

// allDrives lists those of others, too, for who may.
func (h *handler) allDrives(w http.ResponseWriter, r *http.Request, _ []string) error {
	return h.listDrives(w, r, h.files.AllSpaces(r.Context()))
}

func (h *handler) listDrives(w http.ResponseWriter, r *http.Request, spaces iter.Seq2[*cloud.Space, error]) error {
	l, err := parseListing(r, drives)
	if err != nil {
		return err
	}
	extra, err := h.extras(r, l.sel, l.expand)
	if err != nil {
		return err
	}
	return answer(w, l, h.volumes(r, spaces), extra.volume)
}

// volumes are some spaces and then what is mounted.
func (h *handler) volumes(r *http.Request, spaces iter.Seq2[*cloud.Space, error]) iter.Seq2[volume, error] {
	return func(yield func(volume, error) bool) {
		for s, err := range spaces {
			if !yield(volume{space: s}, err) || err != nil {
				return
			}
		}
		for m, err := range h.shares.Received(r.Context()) {
			if err == nil && !m.Synced {
				continue
			}
			if !yield(volume{mount: m}, err) || err != nil {
				return
			}
		}
	}
}

const hasTrashedItems = "@libre.graph.hasTrashedItems"

// driveSelect is what $select knows; only what costs something is left out
// where it is not asked for.
var driveSelect = []string{
	"id", "name", "description", "driveType", "driveAlias", "lastModifiedDateTime", "owner", "quota", "root", "special", "webUrl", hasTrashedItems,
}

// extras are what $select and $expand add to a drive. The root is there in
// any case.
type extras struct {
	*naming
	trash, members bool
}

func (h *handler) extras(r *http.Request, sel, expand string) (*extras, error) {
	more, err := list("$expand", expand, "root", expandMembers)
	if err != nil {
		return nil, err
	}
	fields, err := list("$select", sel, driveSelect...)
	return &extras{h.naming(r), slices.Contains(fields, hasTrashedItems), slices.Contains(more, expandMembers)}, err
}

const expandMembers = "root($expand=permissions)"

func (x *extras) volume(v volume) (drive, error) {
	if v.mount != nil {
		return x.mountDrive(v.mount)
	}
	return x.drive(v.space)
}

func (x *extras) drive(s *cloud.Space) (drive, error) {
	d, err := x.render(x.Request, s)
	if err == nil && x.members {
		d.Root.Permissions, err = x.permissions(s.Root.Grants, cloud.OnRoot)
	}
	if err == nil && x.trash {
		d.HasTrash, err = x.hasTrash(s.ID)
	}
	return d, err
}

// hasTrash is nil when the caller may not know.
func (x *extras) hasTrash(id cloud.SpaceID) (*bool, error) {
	for _, err := range x.files.Trash(x.Context(), cloud.Ref{Space: id}) {
		switch cloud.KindOf(err) {
		case cloud.NotExist, cloud.Permission:
			return nil, nil
		}
		return new(true), err
	}
	return new(false), nil
}

func (h *handler) home(w http.ResponseWriter, r *http.Request, _ []string) error {
	s, err := h.files.Home(r.Context())
	return h.showDrive(w, r, volume{space: s}, err)
}

func (h *handler) drive(w http.ResponseWriter, r *http.Request, args []string) error {
	ref, err := target(args)
	if err != nil {
		return err
	}
	var v volume
	if v.mount, err = h.mountAt(r, ref); v.mount == nil && err == nil {
		v.space, err = h.space(r, args[0])
	}
	return h.showDrive(w, r, v, err)
}

// showDrive answers with a drive and what the query adds.
func (h *handler) showDrive(w http.ResponseWriter, r *http.Request, v volume, err error) error {
	if err != nil {
		return err
	}
	q, err := options(r, "$select", "$expand")
	if err != nil {
		return err
	}
	extra, err := h.extras(r, q.Get("$select"), q.Get("$expand"))
	if err != nil {
		return err
	}
	d, err := extra.volume(v)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", d.Root.ETag)
	return write(w, r, http.StatusOK, d)
}

// space finds a space by its id or by that of its root.
func (h *handler) space(r *http.Request, id string) (*cloud.Space, error) {
	ref, err := cloud.ParseItemID(id)
	if err != nil || ref.Node != "" && ref.Node != ref.Space.Root() {
		return nil, cloud.NotExist
	}
	return h.files.Space(r.Context(), ref.Space)
}

func (h *handler) writeDrive(w http.ResponseWriter, r *http.Request, status int, s *cloud.Space) error {
	d, err := h.render(r, s)
	if err != nil {
		return err
	}
	return write(w, r, status, d)
}

// A driveChange is what clients may send of a drive.
type driveChange struct {
	Name        *string `json:"name"`
	Description *string `json:"description"`
	Alias       *string `json:"driveAlias"`
	Type        *string `json:"driveType"`
	Quota       struct {
		Total *int64 `json:"total"`
	} `json:"quota"`
	Special []specialChange `json:"special"`
}

// fixedDrive are the properties of a drive that cannot be set.
var fixedDrive = []string{"owner", "root", "parentReference", "@libre.graph.contentType"}

// applyTo changes a space, except what is absent, and says whether it did.
func (c *driveChange) applyTo(s *cloud.Space) (some bool, err error) {
	if c.Type != nil && *c.Type != string(s.Kind) {
		return false, cloud.Refuse(cloud.Invalid, "The type of this drive is %q.", s.Kind)
	}
	for to, from := range map[*string]*string{&s.Name: c.Name, &s.Description: c.Description, &s.Alias: c.Alias} {
		if from != nil {
			*to, some = *from, true
		}
	}
	if c.Quota.Total != nil {
		s.Quota, some = *c.Quota.Total, true
	}
	return some, nil
}

// createDrive makes a project space. Who makes it manages it.
func (h *handler) createDrive(w http.ResponseWriter, r *http.Request, _ []string) error {
	var change driveChange
	if err := read(w, r, &change, append([]string{"special"}, fixedDrive...)...); err != nil {
		return err
	}
	fill, err := templateOf(r)
	if err != nil {
		return err
	}
	want := &cloud.Space{Kind: cloud.Project}
	if _, err := change.applyTo(want); err != nil {
		return err
	}
	s, err := h.files.SetSpace(r.Context(), want)
	if err != nil {
		return err
	}
	if fill {
		full, err := h.furnish(r, s)
		if err == nil {
			s = full
		} else { // the space is there all the same
			httpx.From(r.Context()).Log.Warn("a new space remains empty", "space", s.ID, "error", err)
		}
	}
	return h.writeDrive(w, r, http.StatusCreated, s)
}

// updateDrive changes a space; with the header Restore it enables it again.
func (h *handler) updateDrive(w http.ResponseWriter, r *http.Request, args []string) error {
	var change driveChange
	if err := read(w, r, &change, fixedDrive...); err != nil {
		return err
	}
	s, err := h.space(r, args[0])
	if err == nil {
		err = matches(r, httpx.ETag(s.Root.ETag))
	}
	if err != nil {
		return err
	}
	attrs, err := h.specialAttrs(r, s, change.Special)
	if err != nil {
		return err
	}
	next := *s
	some, err := change.applyTo(&next)
	if err != nil {
		return err
	}
	if isSet(r, "Restore") {
		next.Disabled, some = time.Time{}, true
	}
	if some || len(attrs) == 0 {
		if s, err = h.files.SetSpace(r.Context(), &next); err != nil {
			return err
		}
	}
	if len(attrs) > 0 {
		if s, err = h.setSpecial(r, s.ID, attrs); err != nil {
			return err
		}
	}
	return h.writeDrive(w, r, http.StatusOK, s)
}

// removeDrive disables a space; with the header Purge it removes a disabled
// one for good.
func (h *handler) removeDrive(w http.ResponseWriter, r *http.Request, args []string) error {
	s, err := h.space(r, args[0])
	if err == nil {
		err = matches(r, httpx.ETag(s.Root.ETag))
	}
	if err != nil {
		return err
	}
	if err := h.files.RemoveSpace(r.Context(), s.ID, isSet(r, "Purge")); err != nil {
		return err
	}
	return writeNothing(w)
}

// isSet reads a header that is a switch: "T" or "true".
func isSet(r *http.Request, header string) bool {
	v := r.Header.Get(header)
	return strings.EqualFold(v, "t") || strings.EqualFold(v, "true")
}
