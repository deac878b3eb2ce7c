package cloud

import "time"

// Cursor is a place in the journal of a storage. It grows with every record.
type Cursor uint64

// A Record is one change, as the journal keeps it.
type Record struct {
	Seq   Cursor    `json:"seq"`
	Space SpaceID   `json:"space"`
	Kind  Event     `json:"kind"`
	By    UserID    `json:"by,omitempty"`
	Via   ShareID   `json:"via,omitempty"` // the link whose holder did it
	For   string    `json:"for,omitempty"` // the Initiator-ID, so that a client knows its own echo
	At    time.Time `json:"at"`

	// What it happened to, as it is afterwards. Of a Dropped node, as it was.
	Node   NodeID    `json:"node,omitempty"`
	Parent NodeID    `json:"parent,omitempty"`
	Name   string    `json:"name,omitempty"`
	Dir    bool      `json:"dir,omitempty"`
	Size   int64     `json:"size,omitempty"`
	MTime  time.Time `json:"mtime,omitzero"`
	Sums   Sums      `json:"sums,omitzero"`

	// Where it was before, when that differs: of Moved, Trashed, Restored.
	OldParent NodeID `json:"oldparent,omitempty"`
	OldName   string `json:"oldname,omitempty"`
	OldPath   string `json:"oldpath,omitempty"` // of Trashed

	// Of Regranted: the grants that are new or changed, as they are now, and
	// those that are gone or changed, as they were; without secrets. Taken by
	// nobody: it had expired.
	Given []Grant `json:"given,omitempty"`
	Taken []Grant `json:"taken,omitempty"`
}

// Moves tells whether a node is somewhere else afterwards, or nowhere.
func (e Event) Moves() bool {
	return e == Moved || e == Trashed || e == Restored || e == Dropped
}

// Event is what kind of change a record tells of.
type Event string

const (
	FileMade     Event = "file-made"
	FileWritten  Event = "file-written" // content replaced
	DirMade      Event = "dir-made"
	Moved        Event = "moved" // or renamed
	Trashed      Event = "trashed"
	Restored     Event = "restored"
	Dropped      Event = "dropped"       // for good
	VersionFiled Event = "version-filed" // an old content put beside a file; Node is the version
	Edited       Event = "edited"        // attributes, mtime, state
	Regranted    Event = "regranted"     // grants
	Relocked     Event = "relocked"      // locks
	SpaceMade    Event = "space-made"    // Node is the root
	SpaceChanged Event = "space-changed" // its name, quota, ...
	SpaceDropped Event = "space-dropped" // with everything in it; Taken are the grants that were on its root

	// SpaceChanged, too, but with another Disabled.
	SpaceDisabled Event = "space-disabled"
	SpaceEnabled  Event = "space-enabled"

	Undone Event = "undone" // the record with Seq of the same node could not be carried out
)
