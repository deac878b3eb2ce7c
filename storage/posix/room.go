package posix

import "opencloud/cloud"

// A part of the disk is kept free of what clients send: recovery, checkpoints
// and throwing things away have to work on a full disk, too. It is a share of
// the disk, up to a limit.
const (
	reserveShare = 32
	reserveMost  = 64 << 20 // as much as the redo log holds when it is not pressed
)

// free is how many bytes clients may still write.
func (s *Store) free() (int64, error) {
	size, free, err := s.disk.Space()
	return max(free-min(size/reserveShare, reserveMost), 0), err
}

// room is Full when there is none for n more bytes.
func (s *Store) room(n int64) error {
	free, err := s.free()
	if err == nil && free <= max(n, 0) {
		err = cloud.Refuse(cloud.Full, "The disk of the server is full. Delete something and empty the bin, or tell your administrator.")
	}
	return err
}
