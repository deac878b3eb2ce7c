package dav

import (
	"io"
	"net/http"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// mkcol is MKCOL.
func (h *handler) mkcol(c *call) error {
	if c.r.ContentLength != 0 {
		if n, _ := io.ReadFull(c.r.Body, make([]byte, 1)); n > 0 {
			return &refusal{status: http.StatusUnsupportedMediaType, exception: "UnsupportedMediaType", say: "A folder is made without content."}
		}
	}
	n, err := h.files.MakeDir(c.ctx(), c.t.Ref, c.how)
	if err != nil && cloud.KindOf(err) == cloud.Exist {
		return &refusal{status: http.StatusMethodNotAllowed, exception: "MethodNotAllowed", say: "The name is already taken."}
	}
	if err != nil {
		return err
	}
	c.tell(n, c.t.Ref)
	c.w.WriteHeader(http.StatusCreated)
	return nil
}

// remove is DELETE: into the trash, and out of the trash for good.
func (h *handler) remove(c *call) error {
	var err error
	if c.t.Kind == httpx.Bin {
		err = h.files.Purge(c.ctx(), c.t.Ref)
	} else {
		err = h.files.Remove(c.ctx(), c.t.Ref, c.how)
	}
	if err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// transfer is COPY and MOVE. To move something out of the bin is to restore
// it, to copy a version is to make it current.
func (h *handler) transfer(c *call) error {
	how := cloud.Transfer{Conditions: c.how}
	switch c.r.Header.Get("Overwrite") {
	case "", "T", "t":
		how.Over = true
	case "F", "f":
	default:
		return cloud.Refuse(cloud.Invalid, "The Overwrite header must be T or F.")
	}
	d, err := parseDepth(c.r.Header.Get("Depth"))
	copying := c.r.Method == "COPY"
	if err != nil {
		return err
	}
	if d == depth1 || d == depth0 && !copying {
		return cloud.Refuse(cloud.Invalid, "The Depth header cannot be that here.")
	}
	how.Shallow = d == depth0

	to, err := httpx.LocateDestination(c.r, h.files)
	if err != nil {
		if cloud.KindOf(err) == cloud.NotSupported {
			return &refusal{status: http.StatusBadGateway, exception: "BadGateway", say: cloud.Say(err)}
		}
		return err
	}
	if to.Kind != httpx.Tree {
		return cloud.Refuse(cloud.Permission, "Nothing can be put there.")
	}
	if c.t.Kind == httpx.Versions {
		return h.revert(c, to)
	}
	if c.t.Kind == httpx.Tree && same(c.t.Ref, to.Ref) {
		return cloud.Refuse(cloud.Permission, "Source and destination are the same.")
	}
	var n *cloud.Node
	var made bool
	switch {
	case c.t.Kind == httpx.Bin:
		if c.t.Ref.Node == "" {
			return cloud.Refuse(cloud.Permission, "The trash as a whole cannot be restored. Name an item.")
		}
		n, made, err = h.files.Restore(c.ctx(), c.t.Ref, to.Ref, how.Over)
	case copying:
		n, made, err = h.files.Copy(c.ctx(), c.t.Ref, to.Ref, how)
	default:
		n, made, err = h.files.Move(c.ctx(), c.t.Ref, to.Ref, how)
	}
	if err != nil {
		return err
	}
	c.tell(n, to.Ref)
	c.w.WriteHeader(status(made))
	return nil
}

// same tells whether two refs obviously name the same.
func same(a, b cloud.Ref) bool {
	if a.Node == a.Space.Root() {
		a.Node = ""
	}
	if b.Node == b.Space.Root() {
		b.Node = ""
	}
	return a == b
}

// revert makes a version current. The destination must be the file itself,
// whatever Overwrite says: clients send F and mean it to be replaced.
func (h *handler) revert(c *call, to httpx.Target) error {
	if c.t.Version == "" || c.r.Method != "COPY" {
		return errNotAllowed
	}
	n, err := h.files.Stat(c.ctx(), c.t.Ref)
	if err != nil {
		return err
	}
	target, err := h.files.Stat(c.ctx(), to.Ref)
	if err != nil && cloud.KindOf(err) != cloud.NotExist {
		return err
	}
	if err != nil || target.ID != n.ID || target.Space != n.Space {
		return cloud.Refuse(cloud.Conflict, "A version can only be restored in place of its file.")
	}
	if n, err = h.files.Revert(c.ctx(), c.t.Ref, c.t.Version, c.how); err != nil {
		return err
	}
	c.tell(n, to.Ref)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
