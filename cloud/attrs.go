package cloud

// Traits says which of the rare things a node has.
type Traits uint8

const (
	HasGrants Traits = 1 << iota
	HasLocks
	HasAttrs
)

// Keys of Node.Attrs.
const (
	// AttrProp + "{namespace}name" is a dead WebDAV property: the XML inside
	// its element (RFC 4918, section 4.3). The same with "@lang" behind is the
	// xml:lang it was set under.
	AttrProp = "prop."
	// On the root of a space: the id of the file that tells what the space is
	// for, and that of its picture. The files may be gone.
	AttrReadme = "special.readme"
	AttrImage  = "special.image"
)
