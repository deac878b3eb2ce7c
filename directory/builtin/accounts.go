package builtin

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"opencloud/cloud"
)

// Bounds on what is kept, in bytes.
const (
	maxText        = 255
	maxPassword    = 1024
	maxDescription = 4000
	maxGroups      = 1000 // of one user; a number
)

// account is a user with the password, as in the file.
type account struct {
	cloud.User
	Password string `json:",omitempty"` // argon2id in PHC form; empty: cannot sign in

	file fileID // what the account was read from
	text string // fold of the name and of all else that is searched, a line each
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
	all.byID[a.ID] = a
	all.byName[a.foldedName()] = a
	if a.Mail != "" {
		all.byMail[a.foldedMail()] = a
	}
	for _, g := range a.Groups {
		all.members[g] = append(all.members[g], a)
	}
}

func (all *accounts) remove(a *account) {
	if a == nil {
		return
	}
	delete(all.byID, a.ID)
	delete(all.byName, a.foldedName())
	delete(all.byMail, a.foldedMail())
	if i, ok := slices.BinarySearchFunc(all.sorted, a, byName); ok {
		all.sorted = slices.Concat(all.sorted[:i], all.sorted[i+1:])
	}
	for _, g := range a.Groups {
		if i := slices.Index(all.members[g], a); i >= 0 {
			all.members[g] = slices.Delete(all.members[g], i, i+1)
		}
	}
}

func byName(a, b *account) int { return strings.Compare(a.foldedName(), b.foldedName()) }

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
	intern := map[string]string{} // the few words that many files have
	one := func(s string) string {
		if t, ok := intern[s]; ok {
			return t
		}
		intern[s] = s
		return s
	}
	err := scan(&d.users, func(dir int, name, id string, buf []byte) (*account, error) {
		return readAccount(dir, name, id, old.byID[cloud.UserID(id)], buf)
	}, func(a *account) {
		if has := all.byName[a.foldedName()]; has != nil {
			d.log.Error("two users have the same name; the second one is left out", "name", a.Name, "first", has.ID, "second", a.ID)
			return
		}
		if has := all.byMail[a.foldedMail()]; has != nil {
			d.log.Error("two users have the same mail address; it is taken for the first one's", "mail", a.Mail, "first", has.ID, "second", a.ID)
			b := *a
			b.Mail, a = "", &b
			a.fold()
		}
		if old.byID[a.ID] != a { // nobody else has it yet
			a.Role = one(a.Role)
			for i, g := range a.Groups {
				a.Groups[i] = cloud.GroupID(one(string(g)))
			}
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

// readAccount is old itself when the file is still the one that it was read from.
func readAccount(dir int, name, id string, old *account, buf []byte) (*account, error) {
	var was fileID
	if old != nil {
		was = old.file
	}
	a := &account{}
	now, same, err := read(dir, name, was, a, buf)
	if err != nil || same {
		return old, err
	}
	if err := checkID(id, string(a.ID)); err != nil {
		return nil, err
	}
	if a.Password != "" {
		if _, _, _, _, _, err := parse(a.Password); err != nil {
			return nil, err
		}
	}
	a.file = now
	slices.Sort(a.Groups)
	a.Groups = slices.Compact(a.Groups)
	a.fold()
	return a, a.check("")
}

// check says what is wrong with what a caller gave.
func (a *account) check(password string) error {
	if err := cloud.CheckName(a.Name); err != nil {
		return cloud.Refuse(cloud.Invalid, "This cannot be a user name. %s", cloud.Say(err))
	}
	if strings.Contains(a.Name, ":") || a.Name != strings.TrimSpace(a.Name) {
		return cloud.Refuse(cloud.Invalid, "A user name must not contain a colon, or begin or end with a blank.")
	}
	for _, text := range []string{a.Display, a.GivenName, a.Surname, a.Mail, a.Role} {
		if !fits(text) {
			return cloud.Refuse(cloud.Invalid, "Names, mail address and role take at most %d bytes without control characters.", maxText)
		}
	}
	if a.Kind != cloud.Member && a.Kind != cloud.Guest {
		return cloud.Refuse(cloud.Invalid, "There is no kind of user %q.", a.Kind)
	}
	if err := cloud.CheckLanguage(a.Language); err != nil {
		return err
	}
	if len(password) > maxPassword {
		return cloud.Refuse(cloud.Invalid, "The password is too long: at most %d bytes.", maxPassword)
	}
	return nil
}

// fits is for what is one line to read.
func fits(text string) bool {
	return len(text) <= maxText && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// fold fills in text.
func (a *account) fold() {
	a.text = fold(strings.Join([]string{a.Name, a.Display, a.GivenName, a.Surname, a.Mail}, "\n"))
}

func (a *account) foldedName() string {
	name, _, _ := strings.Cut(a.text, "\n")
	return name
}

func (a *account) foldedMail() string { return a.text[strings.LastIndexByte(a.text, '\n')+1:] }

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
