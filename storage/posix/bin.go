package posix

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"opencloud/cloud"
	"opencloud/storage/posix/disk"
)

// The bin follows the freedesktop.org trash specification, 1.0, so that file
// managers understand it, with two lines of our own.

const (
	infoSuffix = ".trashinfo"
	infoDate   = "2006-01-02T15:04:05"
	infoBy     = "X-OpenCloud-By"
	infoTime   = "X-OpenCloud-Time"
)

func encodeBin(b *cloud.Bin) []byte {
	var s strings.Builder
	s.WriteString("[Trash Info]\nPath=")
	for i, name := range strings.Split(b.Path, "/") {
		if i > 0 {
			s.WriteByte('/')
		}
		s.WriteString(url.PathEscape(name))
	}
	fmt.Fprintf(&s, "\nDeletionDate=%s\n", b.Deleted.Local().Format(infoDate))
	fmt.Fprintf(&s, "%s=%s\n", infoBy, url.PathEscape(string(b.By)))
	fmt.Fprintf(&s, "%s=%s\n", infoTime, b.Deleted.UTC().Format(time.RFC3339Nano))
	return []byte(s.String())
}

// decodeBin makes the best of what there is; not ok without a path.
func decodeBin(b []byte) (bin cloud.Bin, ok bool) {
	lines := strings.Split(string(b), "\n")
	if lines[0] != "[Trash Info]" {
		return bin, false
	}
	for _, line := range lines[1:] {
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "Path":
			if p, err := url.PathUnescape(value); err == nil {
				if p, err = cloud.CleanPath(p); err == nil && p != "" {
					bin.Path, ok = p, true
				}
			}
		case infoBy:
			if by, err := url.PathUnescape(value); err == nil {
				bin.By = cloud.UserID(by)
			}
		case infoTime:
			if t, err := time.Parse(time.RFC3339Nano, value); err == nil {
				bin.Deleted = t.UTC()
			}
		case "DeletionDate":
			if t, err := time.ParseInLocation(infoDate, value, time.Local); err == nil && bin.Deleted.IsZero() {
				bin.Deleted = t.UTC()
			}
		}
	}
	return bin, ok
}

func infoName(id cloud.UUID) string { return id.String() + infoSuffix }

// binFolder opens files or info, made when first used.
func (sp *space) binFolder(name string) (disk.Dir, error) {
	d, err := sp.store.disk.Dir(sp.path + "/.Trash/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		return sp.store.makeDirs(sp.path, ".Trash/"+name)
	}
	return d, err
}

// binInfo says what an entry of the bin was. An entry without info has its id
// for a name.
func (sp *space) binInfo(id cloud.UUID) (*cloud.Bin, string, error) {
	d, err := sp.store.disk.Dir(sp.path + "/.Trash/info")
	var b []byte
	if err == nil {
		b, err = readFile(d, infoName(id))
		d.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	bin, ok := decodeBin(b)
	if ok {
		_, name := cloud.Split(bin.Path)
		return &bin, name, nil
	}
	name := id.String()
	if parent, n, err := sp.linkOf(id); err == nil && parent == binID {
		name = n
	}
	bin.Path = name
	return &bin, name, nil
}

func (sp *space) writeBinInfo(id cloud.UUID, bin *cloud.Bin) error {
	d, err := sp.binFolder("info")
	if err != nil {
		return err
	}
	defer d.Close()
	return sp.replace(d, infoName(id), encodeBin(bin), false)
}

func (sp *space) removeBinInfo(id cloud.UUID) error {
	d, err := sp.binFolder("info")
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Remove(infoName(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
