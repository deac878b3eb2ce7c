package httpx

import "opencloud/cloud"

// AppendPermissions appends the letters of oc:permissions and OC-Perm: what
// the caller may do with a node that was reached through a space, in the order
// that clients know.
//
//	S comes from somebody else
//	R share    D delete   N rename   V move
//	W write (file)        C add files, K add folders (folder)
//	Z deny     P purge
//	X may be looked at but not downloaded
//
// The root of a space can be neither deleted nor renamed nor moved this way.
// There is no M: sync clients take it for a foreign storage, and ask before
// they sync it.
func AppendPermissions(b []byte, n *cloud.Node, in cloud.SpaceID) []byte {
	root := n.Name == ""
	shared := in == cloud.SharesSpace && !root
	sees := (!n.Dir || n.Rights.Has(cloud.CanList)) && (!root || n.Space != cloud.SharesSpace)
	for _, p := range [...]struct {
		letter byte
		right  cloud.Rights
		shown  bool
	}{
		{'S', cloud.CanStat, shared},
		{'R', cloud.CanGrant, true},
		{'D', cloud.CanDelete, !root},
		{'N', cloud.CanMove, !root},
		{'V', cloud.CanMove, !root},
		{'W', cloud.CanWrite, !n.Dir},
		{'C', cloud.CanWrite, n.Dir},
		{'K', cloud.CanMakeDir, n.Dir},
		{'Z', cloud.CanDeny, true},
		{'P', cloud.CanPurge, true},
		{'X', cloud.CanStat, sees && !n.Rights.Has(cloud.CanRead)},
	} {
		if p.shown && n.Rights.Has(p.right) {
			b = append(b, p.letter)
		}
	}
	return b
}

// Permissions is AppendPermissions for a header.
func Permissions(n *cloud.Node, in cloud.SpaceID) string {
	return string(AppendPermissions(nil, n, in))
}
