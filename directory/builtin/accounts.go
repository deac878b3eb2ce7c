package builtin

import (
	"slices"
	"strings"
	"sync"
	"time"

	"opencloud/cloud"
	"opencloud/directory/names"
	"opencloud/directory/secret"
)

// maxGroups is how many one user can be in.
const maxGroups = 1000

// record is a user as in the file.
type record struct {
	cloud.User
	Password string `json:",omitempty"` // argon2id in PHC form; empty: cannot sign in
}

// account is what is kept of a user in memory, where there may be 100,000: no
// password, and few things for the garbage collector to look at.
type account struct {
	texts    string        // one behind the other
	ends     [texts]uint16 // of each
	role     *string       // shared, like the groups: there are few
	groups   []*string     // as in the file
	made     int64         // seconds; 0: not known
	file     fileID        // what the account was read from
	disabled bool
}

// The texts of an account.
const (
	searched = iota // folded name, display name, given name, surname and mail, a line each
	id
	name
	display
	given
	surname
	mail
	kind
	language
	texts
)

func (a *account) text(i int) string {
	if i == 0 {
		return a.texts[:a.ends[0]]
	}
	return a.texts[a.ends[i-1]:a.ends[i]]
}

func (a *account) id() cloud.UserID { return cloud.UserID(a.text(id)) }

func (a *account) foldedName() string {
	name, _, _ := strings.Cut(a.texts, "\n")
	return name
}

func (a *account) foldedMail() string {
	text := a.text(searched)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

func byName(a, b *account) int { return strings.Compare(a.foldedName(), b.foldedName()) }

// words has one copy of each text that many accounts have.
type words struct {
	mu  sync.Mutex
	all map[string]*string
}

func (w *words) one(text string) *string {
	w.mu.Lock()
	defer w.mu.Unlock()
	has := w.all[text]
	if has == nil {
		has = new(strings.Clone(text))
		w.all[*has] = has
	}
	return has
}

func (w *words) account(u *cloud.User, file fileID) *account {
	a := &account{role: w.one(u.Role), groups: make([]*string, len(u.Groups)), file: file, disabled: u.Disabled}
	if !u.Made.IsZero() {
		a.made = u.Made.Unix()
	}
	for i, g := range u.Groups {
		a.groups[i] = w.one(string(g))
	}
	search := names.Fold(strings.Join([]string{u.Name, u.Display, u.GivenName, u.Surname, u.Mail}, "\n"))
	all := [texts]string{search, string(u.ID), u.Name, u.Display, u.GivenName, u.Surname, u.Mail, string(u.Kind), u.Language}
	a.texts = strings.Join(all[:], "")
	end := 0
	for i, text := range all {
		end += len(text)
		a.ends[i] = uint16(end) // the bounds see to it that it fits
	}
	return a
}

// user is a copy to hand out, with groups that are no more.
func (a *account) user() *cloud.User {
	u := &cloud.User{
		ID: a.id(), Name: a.text(name), Display: a.text(display), GivenName: a.text(given), Surname: a.text(surname), Mail: a.text(mail),
		Kind: cloud.UserKind(a.text(kind)), Language: a.text(language), Role: *a.role, Disabled: a.disabled,
	}
	if a.made != 0 {
		u.Made = time.Unix(a.made, 0).UTC()
	}
	if len(a.groups) > 0 {
		u.Groups = make([]cloud.GroupID, len(a.groups))
		for i, g := range a.groups {
			u.Groups[i] = cloud.GroupID(*g)
		}
	}
	return u
}

// accounts are all users and the ways to find them.
type accounts struct {
	byID    map[cloud.UserID]*account
	byName  map[string]*account // by fold
	byMail  map[string]*account
	members map[cloud.GroupID][]*account
	sorted  []*account // by fold of the name; replaced, never altered
}

func newAccounts(size int) *accounts {
	return &accounts{
		byID:    make(map[cloud.UserID]*account, size),
		byName:  make(map[string]*account, size),
		byMail:  make(map[string]*account, size),
		members: map[cloud.GroupID][]*account{},
		sorted:  make([]*account, 0, size),
	}
}

// add and remove keep all ways alike; put leaves sorted to the caller.
func (all *accounts) add(a *account) {
	all.put(a)
	i, _ := slices.BinarySearchFunc(all.sorted, a, byName)
	all.sorted = slices.Concat(all.sorted[:i], []*account{a}, all.sorted[i:])
}

func (all *accounts) put(a *account) {
	all.byID[a.id()] = a
	all.byName[a.foldedName()] = a
	if mail := a.foldedMail(); mail != "" {
		all.byMail[mail] = a
	}
	for _, g := range a.groups {
		all.members[cloud.GroupID(*g)] = append(all.members[cloud.GroupID(*g)], a)
	}
}

func (all *accounts) remove(a *account) {
	if a == nil {
		return
	}
	delete(all.byID, a.id())
	delete(all.byName, a.foldedName())
	delete(all.byMail, a.foldedMail())
	if i, ok := slices.BinarySearchFunc(all.sorted, a, byName); ok {
		all.sorted = slices.Concat(all.sorted[:i], all.sorted[i+1:])
	}
	for _, g := range a.groups {
		in := all.members[cloud.GroupID(*g)]
		if i := slices.Index(in, a); i >= 0 {
			all.members[cloud.GroupID(*g)] = slices.Delete(in, i, i+1)
		}
	}
}

// loadUsers reads the files that are new or different.
func (d *Directory) loadUsers() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now, err := d.users.mtime(); err != nil || now == d.users.stamp.Load() {
		return err
	}
	old := d.accounts
	if old == nil {
		old = newAccounts(0)
	}
	all := newAccounts(len(old.byID))
	err := scan(&d.users, func(dir int, name, id string, buf []byte) (*account, error) {
		old, was := old.byID[cloud.UserID(id)], fileID{}
		if old != nil {
			was = old.file
		}
		var r record
		now, same, err := read(dir, name, was, &r, buf)
		if err != nil || same {
			return old, err
		}
		if err := r.check(id); err != nil {
			return nil, err
		}
		return d.words.account(&r.User, now), nil
	}, func(a *account) {
		if has := all.byName[a.foldedName()]; has != nil {
			d.log.Error("two users have the same name; the second one is left out", "name", a.text(name), "first", has.id(), "second", a.id())
			return
		}
		if has := all.byMail[a.foldedMail()]; has != nil {
			d.log.Error("two users have the same mail address; it is taken for the first one's", "mail", a.text(mail), "first", has.id(), "second", a.id())
			u := a.user()
			u.Mail = ""
			a = d.words.account(u, a.file)
		}
		all.put(a)
		all.sorted = append(all.sorted, a)
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all.sorted, byName)
	d.accounts = all
	return nil
}

// check says what is wrong with what was in the file of a user.
func (r *record) check(id string) error {
	if err := checkID(id, string(r.ID)); err != nil {
		return err
	}
	if r.Password != "" {
		if err := secret.Check(r.Password); err != nil {
			return err
		}
	}
	slices.Sort(r.Groups)
	r.Groups = slices.Compact(r.Groups)
	return names.CheckUser(&r.User, "")
}
