// Package builtin keeps the users and groups of a small to middling
// installation in plain files, one each, that people can read and other
// processes can change at the same time. It is not a protocol: it knows
// neither LDAP nor HTTP.
//
// Memberships are in the files of the users: to join or to leave a group is
// one write of a small file, and nothing can disagree. A group that a file
// names but that is no more does not count; ids do not come back.
package builtin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"opencloud/cloud"
	"opencloud/directory/names"
	"opencloud/directory/recall"
	"opencloud/directory/secret"
)

// Options say how passwords are kept. Changing the cost of a password affects
// those set from then on.
type Options struct {
	Memory   int           `yaml:"argon2_memory" env:"IDM_ARGON2_MEMORY" default:"19456" doc:"KiB of memory that checking a password takes (argon2id)."`
	Time     int           `yaml:"argon2_time" env:"IDM_ARGON2_TIME" default:"2" doc:"Passes over that memory (argon2id)."`
	Threads  int           `yaml:"argon2_threads" env:"IDM_ARGON2_THREADS" default:"1" doc:"Threads that check one password (argon2id)."`
	Checks   int           `yaml:"checks" env:"IDM_PASSWORD_CHECKS" default:"0" doc:"Passwords checked at the same time; 0 is one for each processor."`
	Remember time.Duration `yaml:"remember" env:"IDM_PASSWORD_REMEMBER" default:"5m" doc:"How long a password that was right is accepted again without the costly check; 0 is never."`

	Log *slog.Logger `yaml:"-"` // told of damaged files; nil: slog.Default
}

// A Directory implements cloud.Directory on the files of a folder.
type Directory struct {
	root          string
	users, groups folder
	opts          Options
	log           *slog.Logger

	mu sync.RWMutex // guards what follows; the accounts and groups in it never change
	*accounts
	groupByID   map[cloud.GroupID]*group
	groupByName map[string]*group // by fold

	haystack atomic.Pointer[haystack] // as of the last search
	words    words

	secrets *secret.Hasher
	nobody  string // a hash that unknown names are checked against
	seen    *recall.Memory[*account]
}

// Open reads the folder, which is made if it is missing. Any number of
// processes may have it open. Files that cannot be understood are logged and
// left alone; their users do not exist until somebody mends them.
func Open(path string, opts Options) (*Directory, error) {
	secrets, err := secret.New(secret.Options{Memory: opts.Memory, Time: opts.Time, Threads: opts.Threads, Checks: opts.Checks, Remember: opts.Remember})
	if err != nil {
		return nil, err
	}
	d := &Directory{
		root: path, opts: opts, log: opts.Log, words: words{all: map[string]*string{}},
		secrets: secrets,
		seen:    recall.New[*account](opts.Remember),
	}
	if d.log == nil {
		d.log = slog.Default()
	}
	d.users = folder{root: path, path: filepath.Join(path, "users"), log: d.log, load: d.loadUsers, own: d.own}
	d.groups = folder{root: path, path: filepath.Join(path, "groups"), log: d.log, load: d.loadGroups, own: d.own}
	for _, f := range []*folder{&d.users, &d.groups} {
		if err := os.MkdirAll(f.path, 0o700); err != nil {
			return nil, cloud.E("builtin.Open", cloud.Ref{}, err)
		}
	}
	d.own(d.groups.path)
	d.nobody = secrets.Unknown()
	if err := d.current(); err != nil {
		return nil, cloud.E("builtin.Open", cloud.Ref{}, err)
	}
	return d, nil
}

// current makes the maps agree with the files if another process changed them.
func (d *Directory) current() error {
	if err := d.users.current(); err != nil {
		return err
	}
	return d.groups.current()
}

// Close has nothing to do: every change is durable when its method returns.
func (d *Directory) Close() error { return nil }

// User finds one by "id", "name" or "mail".
func (d *Directory) User(ctx context.Context, by, value string) (*cloud.User, error) {
	if err := d.current(); err != nil {
		return nil, cloud.E("builtin.User", cloud.Ref{}, err)
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	var a *account
	switch by {
	case "id":
		a = d.byID[cloud.UserID(value)]
	case "name":
		a = d.byName[names.Fold(value)]
	case "mail":
		a = d.byMail[names.Fold(value)]
	default:
		return nil, cloud.Refuse(cloud.Invalid, "Users are found by id, name or mail, not by %q.", by)
	}
	if a == nil {
		return nil, cloud.E("builtin.User", cloud.Ref{}, noUser())
	}
	return d.user(a), nil
}

// Users yields those who match as they are at the start, by name.
func (d *Directory) Users(ctx context.Context, search string) iter.Seq2[*cloud.User, error] {
	return func(yield func(*cloud.User, error) bool) {
		if err := d.current(); err != nil {
			yield(nil, cloud.E("builtin.Users", cloud.Ref{}, err))
			return
		}
		for a := range d.search().find(names.Fold(search)) {
			if ctx.Err() != nil {
				yield(nil, cloud.E("builtin.Users", cloud.Ref{}, ctx.Err()))
				return
			}
			if !yield(d.copied(a), nil) {
				return
			}
		}
	}
}

// Empty tells that there is no user at all: nobody has set the directory up.
func (d *Directory) Empty() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.byID) == 0
}

// SetUser creates or changes a user. The mail, too, belongs to one user at
// most: else Exist.
func (d *Directory) SetUser(ctx context.Context, u *cloud.User, password string) (*cloud.User, error) {
	r := record{User: *u}
	r.Groups = nil
	if err := names.CheckUser(u, password); err != nil {
		return nil, cloud.E("builtin.SetUser", cloud.Ref{}, err)
	}
	if password != "" {
		hash, err := d.secrets.Hash(ctx, password)
		if err != nil {
			return nil, cloud.E("builtin.SetUser", cloud.Ref{}, err)
		}
		r.Password = hash
	}
	var a *account
	err := d.locked(func() (err error) {
		d.mu.RLock()
		old, sameName, sameMail := d.byID[r.ID], d.byName[names.Fold(r.Name)], d.byMail[names.Fold(r.Mail)]
		d.mu.RUnlock()
		switch {
		case r.ID == "":
			r.ID = cloud.UserID(cloud.NewUUID().String())
			r.Made = time.Now().UTC().Truncate(time.Second)
			if r.Role == "" {
				r.Role = cloud.RoleUser
			}
		case old == nil:
			return noUser()
		default:
			was, err := d.record(old)
			if err != nil {
				return err
			}
			r.Groups, r.Made = was.Groups, was.Made
			if password == "" {
				r.Password = was.Password
			}
		}
		if sameName != nil && sameName.id() != r.ID {
			return cloud.Refuse(cloud.Exist, "The user name %q is already taken.", r.Name)
		}
		if sameMail != nil && sameMail.id() != r.ID {
			return cloud.Refuse(cloud.Exist, "The mail address %q already belongs to another user.", r.Mail)
		}
		a, err = d.replace(old, &r)
		return err
	})
	if err != nil {
		return nil, cloud.E("builtin.SetUser", cloud.Ref{}, err)
	}
	return d.copied(a), nil
}

func noUser() error { return cloud.Refuse(cloud.NotExist, "There is no such user.") }

// replace writes a record and puts it in the place of the old account, if any.
func (d *Directory) replace(old *account, r *record) (a *account, err error) {
	err = d.users.change(func() error {
		file, err := d.users.write(string(r.ID), r)
		if err != nil {
			return err
		}
		a = d.words.account(&r.User, file)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.remove(old)
		d.add(a)
		return nil
	})
	return a, err
}

// record reads the file of a user again, for the password.
func (d *Directory) record(a *account) (*record, error) {
	body, err := os.ReadFile(d.users.file(string(a.id())))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noUser()
	}
	var r record
	if err == nil {
		err = json.Unmarshal(body, &r)
	}
	if err == nil {
		err = r.check(string(a.id()))
	}
	if err != nil {
		return nil, fmt.Errorf("file of the user %s: %w", a.id(), err)
	}
	return &r, nil
}

// RemoveUser removes the account and nothing else: files stay.
func (d *Directory) RemoveUser(ctx context.Context, id cloud.UserID) error {
	err := d.locked(func() error {
		d.mu.RLock()
		old := d.byID[id]
		d.mu.RUnlock()
		if old == nil {
			return noUser()
		}
		return d.users.change(func() error {
			if err := d.users.unlink(string(id)); err != nil {
				return err
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			d.remove(old)
			return nil
		})
	})
	return cloud.E("builtin.RemoveUser", cloud.Ref{}, err)
}

// user is a copy to hand out. The caller holds mu.
func (d *Directory) user(a *account) *cloud.User {
	u := a.user()
	u.Groups = slices.DeleteFunc(u.Groups, func(g cloud.GroupID) bool { return d.groupByID[g] == nil })
	return u
}

func (d *Directory) copied(a *account) *cloud.User {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.user(a)
}
