package ocs

import (
	"net/url"

	"opencloud/cloud"
)

const allBits = cloud.OCSRead | cloud.OCSUpdate | cloud.OCSCreate | cloud.OCSDelete | cloud.OCSShare

// offered are the roles that can be given on a kind of place.
func offered(o *Options, on cloud.NodeKind) []cloud.ShareRole {
	return cloud.OfferedRoles(cloud.AllRights, on, o.Roles)
}

// rights are what a form gives to people: a role by name, or bits, or else all
// that people can be given.
func (h *handler) rights(f url.Values, on cloud.NodeKind) (cloud.Rights, error) {
	roles := offered(&h.opts, on)
	if name := f.Get("role"); name != "" {
		// The old names say what the role is, not where it stands.
		for _, name := range [...]string{name, "space" + name, "file-" + name} {
			for _, r := range roles {
				if r.Name == name {
					return r.Rights, nil
				}
			}
		}
		return 0, cloud.Refuse(cloud.Invalid, "There is no role %.40q for this.", name)
	}
	bits := allBits
	if f.Get("permissions") != "" {
		var err error
		if bits, err = number(f, "permissions"); err != nil {
			return 0, err
		}
	}
	bits = fitting(bits, on)
	for _, r := range roles { // so that all protocols show the same one
		if bits != 0 && r.Rights.OCS(on)&^cloud.OCSShare == bits {
			return r.Rights, nil
		}
	}
	rights, ok := cloud.OCSRights(bits, on)
	if !ok {
		return 0, cloud.Refuse(cloud.Invalid, "These permissions make no sense here.")
	}
	return rights, nil
}

// linkRights are what a form gives to the holders of a link.
func (h *handler) linkRights(f url.Values, on cloud.NodeKind) (cloud.Rights, error) {
	bits := h.opts.DefaultLink
	upload, err := truth(f, "publicUpload")
	switch {
	case err != nil:
		return 0, err
	case f.Get("permissions") != "":
		if bits, err = number(f, "permissions"); err != nil {
			return 0, err
		}
		if bits != 0 && fitting(bits, on) == 0 {
			bits = -1 // nothing is left, but nothing is a type of its own
		}
	case upload:
		bits = allBits
	case f.Has("publicUpload"):
		bits = cloud.OCSRead
	}
	for _, t := range [...]cloud.LinkType{cloud.LinkInternal, cloud.LinkView, cloud.LinkUpload, cloud.LinkEdit, cloud.LinkCreateOnly} {
		if r, ok := t.Rights(on); ok && r.OCS(on) == fitting(bits, on) {
			return r, nil
		}
	}
	return 0, cloud.Refuse(cloud.Invalid, "There are no links with these permissions. Links are for 0 (those who have access anyway), 1 (looking), 5 (adding, too), 15 (changing, too) or 4 (adding only).")
}

// fitting leaves out what nobody gets (sharing on) or the kind of place cannot
// have; clients ask for it all the same.
func fitting(bits int, on cloud.NodeKind) int {
	if bits < 0 || bits > allBits {
		return -1
	}
	bits &^= cloud.OCSShare
	if on == cloud.OnFile {
		bits &^= cloud.OCSCreate | cloud.OCSDelete
	}
	return bits
}
