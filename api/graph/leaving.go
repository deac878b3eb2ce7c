package graph

import (
	"cmp"
	"net/http"
	"time"

	"opencloud/cloud"
)

// exportFile is where web clients look for an export of personal data.
const exportFile = "/.personal_data_export.json"

type exportRequest struct {
	Location string `json:"storageLocation"`
}

// export begins to write all there is of the caller into a file of theirs.
func (h *handler) export(w http.ResponseWriter, r *http.Request, args []string) error {
	var body exportRequest
	if err := read(w, r, &body); err != nil {
		return err
	}
	u, err := h.find(r, args[0])
	if err == nil {
		err = h.people.Export(r.Context(), u.ID, cmp.Or(body.Location, exportFile))
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// A deletedUser was removed, but can be restored.
type deletedUser struct {
	user
	Deleted time.Time `json:"deletedDateTime"`
	Until   time.Time `json:"purgeDateTime"` // when that is over
}

// deletedUsers lists those that can be restored, the next to go first.
func (h *handler) deletedUsers(w http.ResponseWriter, r *http.Request, _ []string) error {
	if _, err := options(r); err != nil {
		return err
	}
	all := collection[deletedUser]{Value: []deletedUser{}}
	for gone, err := range h.people.RemovedUsers(r.Context()) {
		if err != nil {
			return err
		}
		d, err := h.renderDeleted(r, gone)
		if err != nil {
			return err
		}
		all.Value = append(all.Value, d)
	}
	return write(w, r, http.StatusOK, all)
}

func (h *handler) renderDeleted(r *http.Request, gone *cloud.RemovedUser) (deletedUser, error) {
	u, err := h.rendering(r, relations{}).user(gone.User)
	return deletedUser{u, gone.Removed.UTC().Truncate(time.Second), gone.Until.UTC().Truncate(time.Second)}, err
}

// findDeleted is one of them by id.
func (h *handler) findDeleted(r *http.Request, id string) (*cloud.RemovedUser, error) {
	for gone, err := range h.people.RemovedUsers(r.Context()) {
		if err != nil || string(gone.User.ID) == id {
			return gone, err
		}
	}
	return nil, cloud.NotExist
}

func (h *handler) deletedUser(w http.ResponseWriter, r *http.Request, args []string) error {
	if _, err := options(r); err != nil {
		return err
	}
	gone, err := h.findDeleted(r, args[0])
	if err != nil {
		return err
	}
	d, err := h.renderDeleted(r, gone)
	if err != nil {
		return err
	}
	return write(w, r, http.StatusOK, d)
}

// removeDeletedUser does not wait until the time is over.
func (h *handler) removeDeletedUser(w http.ResponseWriter, r *http.Request, args []string) error {
	gone, err := h.findDeleted(r, args[0])
	if err == nil {
		err = h.people.RemoveUser(r.Context(), gone.User.ID)
	}
	if err != nil {
		return err
	}
	return writeNothing(w)
}

func (h *handler) restoreUser(w http.ResponseWriter, r *http.Request, args []string) error {
	u, err := h.people.RestoreUser(r.Context(), cloud.UserID(args[0]))
	if err != nil {
		return err
	}
	return h.writeUser(w, r, http.StatusOK, relations{}, u)
}
