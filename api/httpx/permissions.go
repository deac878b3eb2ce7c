package httpx

import "opencloud/cloud"

// AppendPermissions appends the letters of oc:permissions and OC-Perm: what
// the caller may do with a node, in the order that clients know.
//
//	R share    D delete   N rename   V move
//	W write (file)        C add files, K add folders (folder)
//	Z deny     P purge
//
// The root of a space can be neither deleted nor renamed nor moved this way.
func AppendPermissions(b []byte, n *cloud.Node) []byte {
	root := n.Name == ""
	for _, p := range [...]struct {
		letter byte
		right  cloud.Rights
		shown  bool
	}{
		{'R', cloud.CanGrant, true},
		{'D', cloud.CanDelete, !root},
		{'N', cloud.CanMove, !root},
		{'V', cloud.CanMove, !root},
		{'W', cloud.CanWrite, !n.Dir},
		{'C', cloud.CanWrite, n.Dir},
		{'K', cloud.CanMakeDir, n.Dir},
		{'Z', cloud.CanDeny, true},
		{'P', cloud.CanPurge, true},
	} {
		if p.shown && n.Rights.Has(p.right) {
			b = append(b, p.letter)
		}
	}
	return b
}

// Permissions is AppendPermissions for a header.
func Permissions(n *cloud.Node) string { return string(AppendPermissions(nil, n)) }
