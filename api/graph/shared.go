package graph

import (
	"net/http"

	"opencloud/cloud"
)

// sharedWithMe lists what others share with the caller, whether it stands in
// the tree of the Shares space or not.
func (h *handler) sharedWithMe(w http.ResponseWriter, r *http.Request, _ []string) error {
	d, err := h.detailOf(r)
	if err != nil {
		return err
	}
	all := collection[driveItem]{Value: []driveItem{}}
	for m, err := range h.shares.Received(r.Context()) {
		if err != nil {
			return err
		}
		item, err := d.mount(m)
		if err != nil {
			return err
		}
		all.Value = append(all.Value, item)
	}
	return write(w, r, http.StatusOK, all)
}

// sharedByMe lists what the caller shares, with what they have granted there.
func (h *handler) sharedByMe(w http.ResponseWriter, r *http.Request, _ []string) error {
	d, err := h.detailOf(r)
	if err != nil {
		return err
	}
	d.grants = true
	all := collection[driveItem]{Value: []driveItem{}}
	for n, err := range h.shares.Given(r.Context()) {
		if err != nil {
			return err
		}
		item, err := h.given(d, n)
		if err != nil {
			return err
		}
		all.Value = append(all.Value, item)
	}
	return write(w, r, http.StatusOK, all)
}

// given is something that the caller shares. Clients need to be told where it
// is, be it only that it is not theirs to know.
func (h *handler) given(d *detail, n *cloud.Node) (driveItem, error) {
	item, err := d.item(n)
	if err != nil {
		return item, err
	}
	if item.Parent == nil {
		s, err := h.files.Space(d.Context(), n.Space)
		if err != nil {
			return item, err
		}
		item.Name, item.Parent = s.Name, &itemReference{DriveID: string(n.Space)}
	}
	if item.Parent.Path == "" {
		item.Parent.Path = "/"
	}
	return item, nil
}

// mountAt is what is mounted at a ref of the Shares space, nil for any other ref.
func (h *handler) mountAt(r *http.Request, ref cloud.Ref) (*cloud.Mount, error) {
	if ref.Space != cloud.SharesSpace || ref.Node == ref.Space.Root() || ref.Path != "" {
		return nil, nil
	}
	return h.shares.Mount(r.Context(), ref.Node)
}

func (h *handler) writeMount(w http.ResponseWriter, r *http.Request, m *cloud.Mount, err error) error {
	if err != nil {
		return err
	}
	d, err := h.detailOf(r)
	if err != nil {
		return err
	}
	item, err := d.mount(m)
	if err != nil {
		return err
	}
	return write(w, r, http.StatusOK, item)
}

func (h *handler) updateMount(w http.ResponseWriter, r *http.Request, m *cloud.Mount, want itemChange, err error) error {
	if err == nil && want.Parent != nil {
		err = cloud.Refuse(cloud.Permission, "What others share with you cannot be moved away. Copy it instead.")
	}
	if err != nil {
		return err
	}
	m, err = h.shares.SetMount(r.Context(), m.ID, cloud.MountChange{Name: want.Name, Hidden: want.Hidden, Synced: want.Synced})
	return h.writeMount(w, r, m, err)
}

// unmount takes it out of the tree; it stays in the list of what is shared.
func (h *handler) unmount(w http.ResponseWriter, r *http.Request, m *cloud.Mount, err error) error {
	if err == nil {
		_, err = h.shares.SetMount(r.Context(), m.ID, cloud.MountChange{Synced: new(false)})
	}
	if err != nil {
		return err
	}
	return writeNothing(w)
}

// mountHere puts what others share into the tree of the Shares space. Clients
// send along how it is called where it comes from, which is no wish to have it
// renamed.
func (h *handler) mountHere(w http.ResponseWriter, r *http.Request, dir cloud.Ref, id, name string) error {
	if dir.Space != cloud.SharesSpace || dir.Node != dir.Space.Root() || dir.Path != "" {
		return cloud.Refuse(cloud.Invalid, "What others share with you is mounted in the Shares space only.")
	}
	ref, err := cloud.ParseItemID(id)
	if err != nil {
		return err
	}
	mount := ref.Node
	if ref.Space != cloud.SharesSpace {
		mount = cloud.MountID(ref.Space, ref.Node)
	}
	m, err := h.shares.Mount(r.Context(), mount)
	if err != nil {
		return err
	}
	change := cloud.MountChange{Synced: new(true)}
	if name != "" && name != m.Node.Name && name != m.Name {
		change.Name = &name
	}
	m, err = h.shares.SetMount(r.Context(), m.ID, change)
	return h.writeMount(w, r, m, err)
}
