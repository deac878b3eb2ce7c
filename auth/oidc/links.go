package oidc

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"opencloud/auth/idp/file"
	"opencloud/cloud"
)

// A link says whose an account is, in the words of the issuer.
type link struct {
	User    cloud.UserID    `json:"user"`
	Issuer  string          `json:"issuer"`
	Subject string          `json:"subject"`
	Groups  []cloud.GroupID `json:"groups,omitempty"` // that the issuer has put the user into
}

// links keeps them in plain files: one named by the account, which counts,
// and one named by the subject, to find it by. Nothing is in memory. The
// caller sees to it that one changes them at a time.
type links struct {
	issuer string
	root   *os.Root
	path   string
}

func openLinks(path, issuer string) (*links, error) {
	for _, folder := range []string{"accounts", "subjects"} {
		if err := os.MkdirAll(filepath.Join(path, folder), 0o700); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &links{issuer, root, path}, nil
}

func (l *links) close() error { return l.root.Close() }

func ofAccount(id cloud.UserID) string { return "accounts/" + cloud.UUIDOf(string(id)).String() }

// ofSubject is where the link of a subject is found. Subjects of different
// issuers have nothing to do with each other.
func (l *links) ofSubject(subject string) string {
	sum := sha256.Sum256([]byte(l.issuer + "\x00" + subject))
	return "subjects/" + hex.EncodeToString(sum[:])
}

func (l *links) read(name string) (*link, error) {
	body, err := l.root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var x link
	if err := json.Unmarshal(body, &x); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(l.path, name), err)
	}
	return &x, nil
}

// account is the link of an account, nil if there is none with this issuer.
func (l *links) account(id cloud.UserID) (*link, error) {
	x, err := l.read(ofAccount(id))
	if err != nil || x == nil || x.User != id || x.Issuer != l.issuer {
		return nil, err
	}
	return x, nil
}

// subject is the link of a subject, nil if there is none.
func (l *links) subject(subject string) (*link, error) {
	x, err := l.read(l.ofSubject(subject))
	if err != nil || x == nil {
		return nil, err
	}
	x, err = l.account(x.User)
	if err != nil || x == nil || x.Subject != subject {
		return nil, err
	}
	return x, nil
}

// set writes a link, durably: what counts comes first.
func (l *links) set(x *link) error {
	body, err := json.Marshal(x)
	if err != nil {
		return err
	}
	body = append(body, '\n')
	if err := file.Replace(filepath.Join(l.path, ofAccount(x.User)), body); err != nil {
		return err
	}
	to, err := l.read(l.ofSubject(x.Subject))
	if err == nil && to != nil && to.User == x.User {
		return nil
	}
	if body, err = json.Marshal(link{User: x.User, Issuer: x.Issuer, Subject: x.Subject}); err != nil {
		return err
	}
	return file.Replace(filepath.Join(l.path, l.ofSubject(x.Subject)), append(body, '\n'))
}

// drop removes the link of an account; none is no error.
func (l *links) drop(id cloud.UserID) error {
	x, err := l.account(id)
	if err != nil {
		return err
	}
	names := []string{ofAccount(id)}
	if x != nil {
		names = append(names, l.ofSubject(x.Subject))
	}
	for _, name := range names {
		switch err := l.root.Remove(name); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		}
		if err := file.SyncDir(filepath.Dir(filepath.Join(l.path, name))); err != nil {
			return err
		}
	}
	return nil
}
