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

var drives = shape[*cloud.Space]{
	fields: []string{"driveType", "id", "name"},
	values: func(s *cloud.Space) func(string) []string {
		return func(field string) []string {
			switch field {
			case "driveType":
				return []string{string(s.Kind)}
			case "id":
				return []string{string(s.ID)}
			}
			return []string{s.Name}
		}
	},
	order: map[string]func(*cloud.Space) string{
		"name":                 func(s *cloud.Space) string { return s.Name },
		"lastModifiedDateTime": func(s *cloud.Space) string { return s.Root.MTime.UTC().Format("2006-01-02T15:04:05.000000000") },
	},
}

// drives lists the spaces that the caller is a member of.
func (h *handler) drives(w http.ResponseWriter, r *http.Request, _ []string) error {
	return h.listDrives(w, r, h.files.Spaces(r.Context()))
}

// allDrives lists those of others, too, for who may.
func (h *handler) allDrives(w http.ResponseWriter, r *http.Request, _ []string) error {
	return h.listDrives(w, r, h.files.AllSpaces(r.Context()))
}

func (h *handler) listDrives(w http.ResponseWriter, r *http.Request, all iter.Seq2[*cloud.Space, error]) error {
	l, err := parseListing(r, drives)
	if err != nil {
		return err
	}
	extra, err := h.extras(l.sel, l.expand)
	if err != nil {
		return err
	}
	return answer(w, l, all, func(s *cloud.Space) (drive, error) {
		d, err := h.render(r, s)
		if err == nil {
			err = extra(r, &d)
		}
		return d, err
	})
}

const hasTrashedItems = "@libre.graph.hasTrashedItems"

// driveSelect is what $select knows; only what costs something is left out
// where it is not asked for.
var driveSelect = []string{
	"id", "name", "description", "driveType", "driveAlias", "lastModifiedDateTime", "owner", "quota", "root", "special", "webUrl", hasTrashedItems,
}

// extras says what $select and $expand add to a drive. The root is there in
// any case; who its members are is not told.
func (h *handler) extras(sel, expand string) (func(*http.Request, *drive) error, error) {
	if _, err := list("$expand", expand, "root", "root($expand=permissions)"); err != nil {
		return nil, err
	}
	fields, err := list("$select", sel, driveSelect...)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(fields, hasTrashedItems) {
		return func(*http.Request, *drive) error { return nil }, nil
	}
	return func(r *http.Request, d *drive) error {
		var has bool
		for _, err := range h.files.Trash(r.Context(), cloud.Ref{Space: cloud.SpaceID(d.ID)}) {
			switch cloud.KindOf(err) {
			case cloud.NotExist, cloud.Permission:
				return nil // the caller may not know
			}
			if err != nil {
				return err
			}
			has = true
			break
		}
		d.HasTrash = &has
		return nil
	}, nil
}

func (h *handler) home(w http.ResponseWriter, r *http.Request, _ []string) error {
	s, err := h.files.Home(r.Context())
	return h.showDrive(w, r, s, err)
}

func (h *handler) drive(w http.ResponseWriter, r *http.Request, args []string) error {
	s, err := h.space(r, args[0])
	return h.showDrive(w, r, s, err)
}

// showDrive answers with a space and what the query adds.
func (h *handler) showDrive(w http.ResponseWriter, r *http.Request, s *cloud.Space, err error) error {
	if err != nil {
		return err
	}
	q, err := options(r, "$select", "$expand")
	if err != nil {
		return err
	}
	extra, err := h.extras(q.Get("$select"), q.Get("$expand"))
	if err != nil {
		return err
	}
	d, err := h.render(r, s)
	if err == nil {
		err = extra(r, &d)
	}
	if err != nil {
		return err
	}
	w.Header().Set("ETag", httpx.ETag(s.Root.ETag))
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
