// Package profile keeps what belongs to a user but not to the directory that
// knows them (photo, choices), in plain files: a folder for each user. It does
// not know who may read it, nor what the documents say.
package profile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"opencloud/cloud"
)

// maxDocument is more than any document takes, in bytes.
const maxDocument = 8 << 20

// Profiles implements cloud.Profiles. One process at a time may write.
type Profiles struct {
	root *os.Root
	mu   sync.Mutex // held while writing
}

// Open uses a folder, which is made if it is missing.
func Open(path string) (*Profiles, error) {
	err := os.MkdirAll(path, 0o700)
	if err == nil {
		var root *os.Root
		if root, err = os.OpenRoot(path); err == nil {
			return &Profiles{root: root}, nil
		}
	}
	return nil, cloud.E("profile.Open", cloud.Ref{}, err)
}

// Close lets go of the folder; all is durable.
func (p *Profiles) Close() error { return p.root.Close() }

// place is the folder of a user, whose id may be anything, and a file in it.
func place(of cloud.UserID, name string) (folder, file string, err error) {
	if of == "" || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") != "" {
		return "", "", cloud.Refuse(cloud.Invalid, "There is no document %q.", name)
	}
	folder = cloud.UUIDOf(string(of)).String()
	return folder, folder + "/" + name, nil
}

// Document reads one.
func (p *Profiles) Document(ctx context.Context, of cloud.UserID, name string) ([]byte, error) {
	_, file, err := place(of, name)
	if err != nil {
		return nil, cloud.E("profile.Document", cloud.Ref{}, err)
	}
	f, err := p.root.Open(file)
	if err != nil {
		return nil, cloud.E("profile.Document", cloud.Ref{}, err)
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxDocument))
	return body, cloud.E("profile.Document", cloud.Ref{}, err)
}

// SetDocument replaces one; an empty body removes it.
func (p *Profiles) SetDocument(ctx context.Context, of cloud.UserID, name string, body []byte) error {
	return cloud.E("profile.SetDocument", cloud.Ref{}, p.set(of, name, body))
}

func (p *Profiles) set(of cloud.UserID, name string, body []byte) error {
	folder, file, err := place(of, name)
	if err != nil {
		return err
	}
	if len(body) > maxDocument {
		return cloud.Refuse(cloud.TooLarge, "This is too large: at most %d bytes.", maxDocument)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(body) == 0 {
		if err := p.root.Remove(file); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		return p.sync(folder)
	}
	if err := p.root.Mkdir(folder, 0o700); err == nil {
		err = p.sync(".")
		if err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	tmp := filepath.Join(folder, ".new") // one writer at a time
	f, err := p.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = p.root.Rename(tmp, file)
	}
	if err != nil {
		return errors.Join(err, p.root.Remove(tmp))
	}
	return p.sync(folder)
}

// DropDocuments removes the folder of a user.
func (p *Profiles) DropDocuments(ctx context.Context, of cloud.UserID) error {
	folder, _, err := place(of, "all")
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if err = p.root.RemoveAll(folder); err == nil {
			err = p.sync(".")
		}
	}
	return cloud.E("profile.DropDocuments", cloud.Ref{}, err)
}

// sync makes what happened in a folder durable.
func (p *Profiles) sync(folder string) error {
	d, err := p.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
