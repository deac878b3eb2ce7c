// Package builtin keeps the users of a small to middling installation in
// plain files, one a user, that people can read and other processes can change
// at the same time. It is not a protocol: it knows neither LDAP nor HTTP.
package builtin

import (
	"context"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"opencloud/cloud"
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

// Bounds on what a user is made of, in bytes.
const (
	maxText     = 255
	maxPassword = 1024
	maxGroups   = 1000
)

// A Directory implements cloud.Directory on the files of a folder.
type Directory struct {
	root, users string
	opts        Options
	log         *slog.Logger

	mu     sync.RWMutex // guards the maps; the accounts in them never change
	byID   map[cloud.UserID]*account
	byName map[string]*account // by fold
	byMail map[string]*account

	stamp    atomic.Int64 // mtime of the folder that the maps agree with
	changing atomic.Bool  // a change of our own is on its way into the maps

	gate   chan struct{} // holds a token for each check under way
	nobody string        // a hash that unknown names are checked against
	seen   *memory
}

// account is a user with the password, as in the file.
type account struct {
	cloud.User
	Password string `json:",omitempty"` // argon2id in PHC form; empty: cannot sign in

	file fileID // what the account was read from
}

// Open reads the folder, which is made if it is missing. Any number of
// processes may have it open. Files that cannot be understood are logged and
// left alone; their users do not exist until somebody mends them.
func Open(path string, opts Options) (*Directory, error) {
	if opts.Memory < 8 || opts.Memory > 4<<20 || opts.Time < 1 || opts.Time > 100 || opts.Threads < 1 || opts.Threads > 64 {
		return nil, cloud.Refuse(cloud.Invalid, "The cost of passwords is out of range: memory 8 to 4194304 KiB, time 1 to 100, threads 1 to 64.")
	}
	if opts.Checks <= 0 {
		opts.Checks = runtime.GOMAXPROCS(0)
	}
	d := &Directory{
		root: path, users: filepath.Join(path, "users"), opts: opts, log: opts.Log,
		gate: make(chan struct{}, opts.Checks),
		seen: newMemory(opts.Remember),
	}
	if d.log == nil {
		d.log = slog.Default()
	}
	if err := os.MkdirAll(d.users, 0o700); err != nil {
		return nil, cloud.E("builtin.Open", cloud.Ref{}, err)
	}
	d.nobody = d.unknown()
	if err := d.refresh(); err != nil {
		return nil, cloud.E("builtin.Open", cloud.Ref{}, err)
	}
	return d, nil
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
		a = d.byName[fold(value)]
	case "mail":
		a = d.byMail[fold(value)]
	default:
		return nil, cloud.Refuse(cloud.Invalid, "Users are found by id, name or mail, not by %q.", by)
	}
	if a == nil {
		return nil, cloud.E("builtin.User", cloud.Ref{}, cloud.Refuse(cloud.NotExist, "There is no such user."))
	}
	return a.user(), nil
}

// Users yields all as they are at the start, by name.
func (d *Directory) Users(ctx context.Context) iter.Seq2[*cloud.User, error] {
	return func(yield func(*cloud.User, error) bool) {
		if err := d.current(); err != nil {
			yield(nil, cloud.E("builtin.Users", cloud.Ref{}, err))
			return
		}
		d.mu.RLock()
		all := make([]*account, 0, len(d.byID))
		for _, a := range d.byID {
			all = append(all, a)
		}
		d.mu.RUnlock()
		slices.SortFunc(all, func(a, b *account) int { return strings.Compare(a.Name, b.Name) })
		for _, a := range all {
			if err := ctx.Err(); err != nil {
				yield(nil, cloud.E("builtin.Users", cloud.Ref{}, err))
				return
			}
			if !yield(a.user(), nil) {
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

// SetUser creates or changes a user. A user without role gets RoleUser. The
// mail, too, belongs to one user at most: else Exist.
func (d *Directory) SetUser(ctx context.Context, u *cloud.User, password string) (*cloud.User, error) {
	a := &account{User: *u}
	a.Groups = slices.Clone(u.Groups)
	if a.Role == "" {
		a.Role = cloud.RoleUser
	}
	if err := a.check(password); err != nil {
		return nil, cloud.E("builtin.SetUser", cloud.Ref{}, err)
	}
	if password != "" {
		hash, err := d.hash(ctx, password)
		if err != nil {
			return nil, cloud.E("builtin.SetUser", cloud.Ref{}, err)
		}
		a.Password = hash
	}
	err := d.change(func() error {
		d.mu.RLock()
		old, sameName, sameMail := d.byID[a.ID], d.byName[fold(a.Name)], d.byMail[fold(a.Mail)]
		d.mu.RUnlock()
		switch {
		case a.ID == "":
			a.ID = cloud.UserID(cloud.NewUUID().String())
		case old == nil:
			return cloud.Refuse(cloud.NotExist, "There is no such user.")
		case password == "":
			a.Password = old.Password
		}
		if sameName != nil && sameName.ID != a.ID {
			return cloud.Refuse(cloud.Exist, "The user name %q is already taken.", a.Name)
		}
		if sameMail != nil && sameMail.ID != a.ID {
			return cloud.Refuse(cloud.Exist, "The mail address %q already belongs to another user.", a.Mail)
		}
		if err := d.write(a); err != nil {
			return err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.forget(old)
		d.index(a)
		return nil
	})
	if err != nil {
		return nil, cloud.E("builtin.SetUser", cloud.Ref{}, err)
	}
	return a.user(), nil
}

// RemoveUser removes the account and nothing else: files stay.
func (d *Directory) RemoveUser(ctx context.Context, id cloud.UserID) error {
	err := d.change(func() error {
		d.mu.RLock()
		old := d.byID[id]
		d.mu.RUnlock()
		if old == nil {
			return cloud.Refuse(cloud.NotExist, "There is no such user.")
		}
		if err := d.unlink(id); err != nil {
			return err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.forget(old)
		return nil
	})
	return cloud.E("builtin.RemoveUser", cloud.Ref{}, err)
}

// check says what is wrong with what a caller gave.
func (a *account) check(password string) error {
	if err := cloud.CheckName(a.Name); err != nil {
		return cloud.Refuse(cloud.Invalid, "This cannot be a user name. %s", cloud.Say(err))
	}
	if strings.Contains(a.Name, ":") || a.Name != strings.TrimSpace(a.Name) {
		return cloud.Refuse(cloud.Invalid, "A user name must not contain a colon, or begin or end with a blank.")
	}
	for _, text := range []string{a.Display, a.Mail, a.Role} {
		if len(text) > maxText || strings.ContainsFunc(text, unicode.IsControl) {
			return cloud.Refuse(cloud.Invalid, "Display name, mail address and role take at most %d bytes without control characters.", maxText)
		}
	}
	if len(a.Groups) > maxGroups {
		return cloud.Refuse(cloud.Invalid, "A user can be in %d groups at most.", maxGroups)
	}
	if len(password) > maxPassword {
		return cloud.Refuse(cloud.Invalid, "The password is too long: at most %d bytes.", maxPassword)
	}
	return nil
}

// user is a copy to hand out.
func (a *account) user() *cloud.User {
	u := a.User
	u.Groups = slices.Clone(u.Groups)
	return &u
}

// index and forget keep the maps alike. The caller holds mu.
func (d *Directory) index(a *account) {
	d.byID[a.ID] = a
	d.byName[fold(a.Name)] = a
	if a.Mail != "" {
		d.byMail[fold(a.Mail)] = a
	}
}

func (d *Directory) forget(a *account) {
	if a == nil {
		return
	}
	delete(d.byID, a.ID)
	delete(d.byName, fold(a.Name))
	delete(d.byMail, fold(a.Mail))
}

// fold maps all that strings.EqualFold takes for equal to the same string.
func fold(s string) string {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < 0x80
	}
	if ascii { // the least of those that are equal to a letter is its upper case
		return strings.ToUpper(s)
	}
	return strings.Map(func(r rune) rune {
		least := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			least = min(least, o)
		}
		return least
	}, s)
}
