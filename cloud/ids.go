package cloud

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"strings"
)

// TrashID is the bin of a space, a directory outside the tree.
const TrashID NodeID = "trash"

const versionsPrefix = "versions:"

// VersionsOf is the directory outside the tree that holds a file's versions.
// A version's id is VersionsOf(file) + ":" + key.
func VersionsOf(file NodeID) NodeID { return versionsPrefix + file }

// Version is the id of a version of a file.
func Version(file NodeID, key string) NodeID { return VersionsOf(file) + ":" + NodeID(key) }

// SplitVersion takes apart VersionsOf(file), then key is empty, and Version(file, key).
func SplitVersion(id NodeID) (file NodeID, key string, ok bool) {
	rest, ok := strings.CutPrefix(string(id), versionsPrefix)
	if !ok {
		return "", "", false
	}
	f, key, _ := strings.Cut(rest, ":")
	return NodeID(f), key, true
}

// Root is the id of a space's root: the part behind the "$".
func (s SpaceID) Root() NodeID {
	_, root, _ := strings.Cut(string(s), "$")
	return NodeID(root)
}

// Storage is the id of the storage that holds the space.
func (s SpaceID) Storage() string {
	storage, _, _ := strings.Cut(string(s), "$")
	return storage
}

// ItemID is how clients name a node: "<storage>$<space>!<node>".
func ItemID(s SpaceID, n NodeID) string { return string(s) + "!" + string(n) }

// MountID is the id of a node in the Shares space: "<storage>:<space>:<node>".
func MountID(s SpaceID, n NodeID) NodeID {
	return NodeID(s.Storage()) + ":" + s.Root() + ":" + n
}

// ParseMountID is what a MountID was made of.
func ParseMountID(id NodeID) (Ref, bool) {
	storage, rest, _ := strings.Cut(string(id), ":")
	root, node, ok := strings.Cut(rest, ":")
	if !ok || !validID(storage) || !validID(root) || !validID(node) {
		return Ref{}, false
	}
	return Ref{Space: SpaceID(storage + "$" + root), Node: NodeID(node)}, true
}

// ParseItemID takes apart an ItemID, or the id of a space alone, which names its root.
func ParseItemID(id string) (Ref, error) {
	space, node, _ := strings.Cut(id, "!")
	storage, root, ok := strings.Cut(space, "$")
	known := node == "" || validID(node)
	if !known && SpaceID(space) == SharesSpace {
		_, known = ParseMountID(NodeID(node))
	}
	if !ok || !validID(storage) || !validID(root) || !known {
		return Ref{}, Refuse(Invalid, "This is not the id of a space or an item.")
	}
	return Ref{Space: SpaceID(space), Node: NodeID(node)}, nil
}

// validID keeps ids to what can stand in a URL, a header and a file name.
func validID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// UUID is 16 bytes with RFC 9562's text form.
type UUID [16]byte

// NewUUID is a random UUID (RFC 9562, version 4).
func NewUUID() (u UUID) {
	rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return u
}

// UUIDOf is s itself when it is a UUID, and one made of it by hashing
// otherwise (RFC 9562, version 5), so that ids of foreign directories fit.
func UUIDOf(s string) UUID {
	if u, ok := ParseUUID(s); ok {
		return u
	}
	sum := sha1.Sum([]byte("opencloud:" + s))
	u := UUID(sum[:16])
	u[6], u[8] = u[6]&0x0f|0x50, u[8]&0x3f|0x80
	return u
}

// ParseUUID reads the canonical, lower-case text form.
func ParseUUID(s string) (u UUID, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, false
	}
	var packed [32]byte
	n := copy(packed[:], s[:8])
	n += copy(packed[n:], s[9:13])
	n += copy(packed[n:], s[14:18])
	n += copy(packed[n:], s[19:23])
	copy(packed[n:], s[24:])
	for _, c := range packed {
		if c >= 'A' && c <= 'F' {
			return u, false
		}
	}
	_, err := hex.Decode(u[:], packed[:])
	return u, err == nil
}

func (u UUID) String() string {
	var b [36]byte
	hex.Encode(b[:8], u[:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:], u[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}
