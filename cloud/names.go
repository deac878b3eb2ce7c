package cloud

import (
	"strings"
	"unicode/utf8"
)

// Bounds on what a client may name. A move can at most double a path, so
// whatever is made stays within what the operating system takes (4,096).
const (
	MaxName  = 255   // bytes of one name
	MaxPath  = 2000  // bytes of a path in a space
	MaxDepth = 100   // names in a path
	MaxAttrs = 64000 // bytes of all of a node's attributes
)

// Reserved are the names at the root of a space that a store keeps for
// itself. No caller can reach them.
var reserved = map[string]bool{".oc": true, ".Trash": true}

// Reserved tells whether a name at the root of a space belongs to the store.
func Reserved(name string) bool { return reserved[name] }

// CleanPath turns a path as clients send it, decoded, into the form of
// Ref.Path: it takes away slashes at both ends and refuses everything that
// could mean two things. This is the only canonicaliser there is.
func CleanPath(p string) (string, error) {
	p = strings.Trim(p, "/")
	if p == "" {
		return "", nil
	}
	if len(p) > MaxPath {
		return "", Refuse(Invalid, "The path is too long: at most %d bytes.", MaxPath)
	}
	depth := 0
	for name := range strings.SplitSeq(p, "/") {
		if err := CheckName(name); err != nil {
			return "", err
		}
		if depth++; depth > MaxDepth {
			return "", Refuse(Invalid, "The path is too deep: at most %d folders.", MaxDepth)
		}
	}
	if first, _, _ := strings.Cut(p, "/"); Reserved(first) {
		return "", Refuse(Invalid, "The name %q is reserved. Choose another one.", first)
	}
	return p, nil
}

// CheckName says whether a name can be given to a node: 1 to 255 bytes of
// UTF-8 without control characters (XML cannot carry them), slash or
// backslash, and not "." or "..". Names are kept byte for byte otherwise.
func CheckName(name string) error {
	switch {
	case name == "":
		return Refuse(Invalid, "A name must not be empty.")
	case name == "." || name == "..":
		return Refuse(Invalid, "%q cannot be a name.", name)
	case len(name) > MaxName:
		return Refuse(Invalid, "The name is too long: at most %d bytes.", MaxName)
	case !utf8.ValidString(name):
		return Refuse(Invalid, "The name is not valid UTF-8.")
	}
	for _, r := range name {
		switch {
		case r < 0x20 || r == 0x7f || r == 0xfffe || r == 0xffff:
			return Refuse(Invalid, "The name contains a control character.")
		case r == '/' || r == '\\':
			return Refuse(Invalid, "The name contains %q, which is not allowed.", r)
		}
	}
	return nil
}

// Join puts a name under a path.
func Join(dir, name string) string {
	if dir == "" {
		return name
	}
	if name == "" {
		return dir
	}
	return dir + "/" + name
}

// Split cuts the last name off a path.
func Split(path string) (dir, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// Up is the directory of a ref and the name in it. ok is false when Path is
// empty: then the node has to be looked up to know its parent.
func (r Ref) Up() (dir Ref, name string, ok bool) {
	if r.Path == "" {
		return r, "", false
	}
	p, name := Split(r.Path)
	return Ref{r.Space, r.Node, p}, name, true
}

func (r Ref) String() string {
	return string(r.Space) + "!" + string(r.Node) + "/" + r.Path
}
