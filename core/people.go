package core

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"opencloud/cloud"
)

// PeopleOptions are the rules about users that an administrator can set.
type PeopleOptions struct {
	MinSearch int  `yaml:"search_min_length" env:"GRAPH_IDENTITY_SEARCH_MIN_LENGTH" default:"3" doc:"Fewest characters by which people who may not manage users can search for others."`
	ShowMail  bool `yaml:"show_user_email" env:"OC_SHOW_USER_EMAIL_IN_RESULTS" default:"false" doc:"Show the mail addresses of others to everybody who searches for them."`

	NameRule  string        `yaml:"username_match" env:"GRAPH_USERNAME_MATCH" default:"default" doc:"Names that users can be given: default is what a mail address can be, beginning with a letter; none is any that can be kept."`
	Retention time.Duration `yaml:"user_soft_delete_retention_time" env:"GRAPH_USER_SOFT_DELETE_RETENTION_TIME" default:"0s" doc:"How long users who were removed can be restored; 0 removes them for good at once."`

	Password PasswordOptions `yaml:"password_policy"`

	// Guess runs check, which says whether a password of an account is right,
	// unless there were too many guesses lately: then Throttled. nil: no limit.
	Guess func(account string, check func() error) error `yaml:"-"`
	// Credentials are told of new passwords and of users who go.
	Credentials []cloud.Credentials `yaml:"-"`
	// SignIns knows who is signed in where; nil: nobody does.
	SignIns cloud.SignIns `yaml:"-"`
	// Log is told what went wrong beside the requests; nil: slog.Default.
	Log *slog.Logger `yaml:"-"`
	// Schools forget users and groups that go; nil: there are none.
	Schools   cloud.Schools    `yaml:"-"`
	Education EducationOptions `yaml:"-"`
}

// maxFound is how many users or groups a search yields to who may not manage them.
const maxFound = 200

// People implements cloud.People over any cloud.Directory.
type People struct {
	core     *Core
	dir      cloud.Directory
	profiles cloud.Profiles
	policy   *Policy
	opts     PeopleOptions

	education *Education // nil: there are no schools

	mu sync.Mutex // one change at a time: they are made of what was read before

	work    work
	removed removed
	exports exports
}

var _ cloud.People = (*People)(nil)

// NewPeople puts the rules over a directory. From then on a personal space is
// made only for whom the directory knows, things are shared with nobody else,
// and the passwords of links keep to the policy, so call it before c is used. It
// goes on with what an earlier one has left; Close ends that.
func NewPeople(c *Core, dir cloud.Directory, profiles cloud.Profiles, opts PeopleOptions) (*People, error) {
	policy, err := NewPolicy(opts.Password)
	if err != nil {
		return nil, err
	}
	switch opts.NameRule {
	case "", "default", "none":
	default:
		return nil, cloud.Refuse(cloud.Invalid, "There is no rule %q for the names of users (GRAPH_USERNAME_MATCH): default and none are.", opts.NameRule)
	}
	if opts.Guess == nil {
		opts.Guess = func(_ string, check func() error) error { return check() }
	}
	if opts.SignIns == nil {
		opts.SignIns = noSignIns{}
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	p := &People{core: c, dir: dir, profiles: profiles, policy: policy, opts: opts}
	if opts.Schools != nil {
		p.education = &Education{people: p, schools: opts.Schools, opts: opts.Education}
	}
	p.work.begin(opts.Log)
	if err := p.recallRemoved(); err != nil {
		return nil, cloud.E("core.NewPeople", cloud.Ref{}, err)
	}
	if err := p.recallExports(); err != nil {
		return nil, cloud.E("core.NewPeople", cloud.Ref{}, err)
	}
	c.dir, c.profiles, c.policy = dir, profiles, policy
	p.removed.mu.Lock()
	p.wake(0)
	p.removed.mu.Unlock()
	p.resumeExports()
	return p, nil
}

// Close ends what goes on beside the requests; the next NewPeople takes it up.
func (p *People) Close() error {
	p.work.end()
	p.removed.mu.Lock()
	defer p.removed.mu.Unlock()
	if p.removed.timer != nil {
		p.removed.timer.Stop()
	}
	return nil
}

// Education is nil unless there are schools.
func (p *People) Education() *Education { return p.education }

// demand is the caller if they have one of the permissions.
func demand(ctx context.Context, any ...cloud.SystemPermission) (*cloud.User, error) {
	u, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range any {
		if u.May(p) {
			return u, nil
		}
	}
	return nil, cloud.Permission
}

// reduced is what callers without ManageUsers learn of others.
func (p *People) reduced(u *cloud.User) *cloud.User {
	r := &cloud.User{ID: u.ID, Display: u.Display, Kind: u.Kind}
	if r.Display == "" {
		r.Display = u.Name
	}
	if p.opts.ShowMail {
		r.Mail = u.Mail
	}
	return r
}

func (p *People) User(ctx context.Context, by, value string) (*cloud.User, error) {
	u, err := p.user(ctx, by, value)
	return u, cloud.E("core.User", cloud.Ref{}, err)
}

func (p *People) user(ctx context.Context, by, value string) (*cloud.User, error) {
	me, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	u, err := p.dir.User(ctx, by, value)
	switch {
	case err != nil:
		return nil, err
	case p.removed.has(u.ID):
		return nil, cloud.NotExist
	case me.May(cloud.ManageUsers), u.ID == me.ID:
		return u, nil
	case by != "id":
		return nil, cloud.NotExist
	}
	return p.reduced(u), nil
}

func (p *People) Users(ctx context.Context, search string) iter.Seq2[*cloud.User, error] {
	return func(yield func(*cloud.User, error) bool) {
		me, err := p.mayList(ctx, search, cloud.ManageUsers)
		if err != nil {
			yield(nil, cloud.E("core.Users", cloud.Ref{}, err))
			return
		}
		found := 0
		for u, err := range p.dir.Users(ctx, search) {
			switch {
			case err != nil:
				err = cloud.E("core.Users", cloud.Ref{}, err)
			case p.removed.has(u.ID):
				continue
			case me.May(cloud.ManageUsers):
			case u.Disabled, !p.opts.ShowMail && !shows(u, search):
				continue
			default:
				if found++; found > maxFound {
					return
				}
				u = p.reduced(u)
			}
			if !yield(u, err) || err != nil {
				return
			}
		}
	}
}

// shows tells whether a search found what may be seen: of an address that is
// hidden only the whole is known, or one could spell it out bit by bit.
func shows(u *cloud.User, search string) bool {
	if strings.EqualFold(u.Mail, search) {
		return true
	}
	search = strings.ToLower(search)
	for _, text := range []string{u.Name, u.Display, u.GivenName, u.Surname} {
		if strings.Contains(strings.ToLower(text), search) {
			return true
		}
	}
	return false
}

// mayList is the caller if they may list by this search.
func (p *People) mayList(ctx context.Context, search string, all ...cloud.SystemPermission) (*cloud.User, error) {
	me, err := demand(ctx, all...)
	if errors.Is(err, cloud.Permission) {
		if utf8.RuneCountInString(search) < p.opts.MinSearch {
			return nil, cloud.Refuse(cloud.Permission, "The search is too short: at least %d characters.", p.opts.MinSearch)
		}
		return caller(ctx)
	}
	return me, err
}

func (p *People) AddUser(ctx context.Context, u *cloud.User, password string) (*cloud.User, error) {
	got, err := p.addUser(ctx, *u, password)
	return got, cloud.E("core.AddUser", cloud.Ref{}, err)
}

func (p *People) addUser(ctx context.Context, u cloud.User, password string) (*cloud.User, error) {
	if _, err := demand(ctx, cloud.ManageUsers); err != nil {
		return nil, err
	}
	if u.Role == "" {
		u.Role = cloud.RoleUser
	}
	if err := mayGive(ctx, cloud.RoleUser, u.Role); err != nil {
		return nil, err
	}
	u.ID = ""
	if err := p.check(cloud.UserChange{Name: &u.Name, Display: &u.Display, Mail: &u.Mail, Language: &u.Language}); err != nil {
		return nil, err
	}
	if password != "" {
		if err := p.policy.Check(password, about(&u)...); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	made, err := p.dir.SetUser(ctx, &u, password)
	if errors.Is(err, cloud.Exist) {
		if other, e := p.dir.User(ctx, "name", u.Name); e == nil && p.removed.has(other.ID) {
			err = cloud.Refuse(cloud.Exist, "The name %q belongs to a user who was removed. Restore them, or remove them for good.", u.Name)
		}
	}
	return made, err
}

// mayGive says whether the caller may turn somebody's role into another.
func mayGive(ctx context.Context, old, role string) error {
	if role == old {
		return nil
	}
	if _, err := demand(ctx, cloud.ManageRoles); err != nil {
		return err
	}
	if err := inPerson(ctx); err != nil {
		return err
	}
	if r, ok := cloud.RoleBy(role); role != "" && (!ok || r.ID != role) {
		return cloud.Refuse(cloud.Invalid, "There is no role %.40q.", role)
	}
	return nil
}

// mayTouch says whether who may manage users may change or remove this one. Who
// cannot give roles gets at nobody with more than the usual one: with a new
// password they could sign in as them.
func mayTouch(me, u *cloud.User) error {
	switch {
	case me.ID == u.ID, me.May(cloud.ManageRoles), u.Role == "", u.Role == cloud.RoleUser, u.Role == cloud.RoleUserLight:
		return nil
	}
	return cloud.Refuse(cloud.Permission, "Only an administrator may change this user.")
}

// check says what is wrong with what is to be set, beyond what a directory
// would. What was there before may stay.
func (p *People) check(c cloud.UserChange) error {
	if c.Name != nil && *c.Name != "" && p.opts.NameRule != "none" && !plainName(*c.Name) {
		return cloud.Refuse(cloud.Invalid, "A user name begins with a letter and has letters, digits and .!#$%%&'*+=?^_`{|}~- in it; it can be a mail address.")
	}
	if c.Display != nil && strings.TrimSpace(*c.Display) == "" {
		return cloud.Refuse(cloud.Invalid, "A user needs a display name.")
	}
	if c.Mail != nil && *c.Mail != "" {
		name, host, ok := strings.Cut(*c.Mail, "@")
		if !ok || name == "" || host == "" || strings.ContainsAny(*c.Mail, " <>,;") || strings.Contains(host, "@") {
			return cloud.Refuse(cloud.Invalid, "%.80q is not a mail address.", *c.Mail)
		}
	}
	if c.Language != nil {
		return cloud.CheckLanguage(*c.Language)
	}
	return nil
}

// plainName is for names that do everywhere: as the local part of a mail
// address (RFC 5322, section 3.2.3), or as a whole one, that is no number.
func plainName(name string) bool {
	const special = ".!#$%&'*+=?^`{|}~-"
	local, host, isMail := strings.Cut(name, "@")
	is := func(c rune, more string) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune(more, c)
	}
	if local == "" || strings.ContainsRune("0123456789"+special, rune(local[0])) || strings.ContainsFunc(local, func(c rune) bool { return !is(c, "_"+special) }) {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if isMail && (label == "" || len(label) > 63 || strings.Trim(label, "-") != label || strings.ContainsFunc(label, func(c rune) bool { return !is(c, "-") })) {
			return false
		}
	}
	return true
}

// about is what others know of a user.
func about(u *cloud.User) []string {
	return []string{u.Name, u.Display, u.GivenName, u.Surname, u.Mail}
}

func (p *People) ChangeUser(ctx context.Context, id cloud.UserID, c cloud.UserChange) (*cloud.User, error) {
	u, err := p.changeUser(ctx, id, c)
	return u, cloud.E("core.ChangeUser", cloud.Ref{}, err)
}

func (p *People) changeUser(ctx context.Context, id cloud.UserID, c cloud.UserChange) (*cloud.User, error) {
	me, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if !me.May(cloud.ManageUsers) {
		language := cloud.UserChange{Language: c.Language}
		role := cloud.UserChange{Role: c.Role}
		if !(id == me.ID && c == language && me.May(cloud.SetLanguage)) && !(c == role && me.May(cloud.ManageRoles)) {
			return nil, cloud.Permission
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := p.dir.User(ctx, "id", string(id))
	if err == nil && p.removed.has(id) {
		err = cloud.NotExist
	}
	if err == nil {
		err = mayTouch(me, old)
	}
	if err != nil {
		return nil, err
	}
	next, password := *old, ""
	for to, from := range map[*string]*string{
		&next.Name: c.Name, &next.Display: c.Display, &next.GivenName: c.GivenName, &next.Surname: c.Surname,
		&next.Mail: c.Mail, &next.Language: c.Language, &next.Role: c.Role, &password: c.Password,
	} {
		if from != nil {
			*to = *from
		}
	}
	if c.Disabled != nil {
		next.Disabled = *c.Disabled
	}
	if err := mayGive(ctx, old.Role, next.Role); err != nil {
		return nil, err
	}
	if c.Name != nil && *c.Name == old.Name {
		c.Name = nil
	}
	if err := p.check(c); err != nil {
		return nil, err
	}
	if c.Password != nil {
		if err := inPerson(ctx); err != nil {
			return nil, err
		}
		if err := p.policy.Check(password, about(&next)...); err != nil {
			return nil, err
		}
	}
	if err := p.keepsAdmin(ctx, old, &next); err != nil {
		return nil, err
	}
	u, err := p.dir.SetUser(ctx, &next, password)
	if err == nil && (password != "" || next.Disabled && !old.Disabled) {
		err = p.signOut(ctx, id)
	}
	return u, err
}

// keepsAdmin refuses what would leave nobody who can sign in and manage users.
func (p *People) keepsAdmin(ctx context.Context, old, next *cloud.User) error {
	mighty := func(u *cloud.User) bool { return !u.Disabled && u.May(cloud.ManageUsers) && u.May(cloud.ManageRoles) }
	if !mighty(old) || mighty(next) {
		return nil
	}
	for u, err := range p.dir.Users(ctx, "") {
		if err != nil {
			return err
		}
		if u.ID != old.ID && mighty(u) {
			return nil
		}
	}
	return cloud.Refuse(cloud.Permission, "This is the last administrator. Make somebody else one first.")
}

func (p *People) ChangePassword(ctx context.Context, current, next string) error {
	return cloud.E("core.ChangePassword", cloud.Ref{}, p.changePassword(ctx, current, next))
}

func (p *People) changePassword(ctx context.Context, current, next string) error {
	me, err := caller(ctx)
	if err == nil {
		err = inPerson(ctx)
	}
	if err != nil {
		return err
	}
	err = p.opts.Guess(me.Name, func() error {
		u, err := p.dir.Verify(ctx, me.Name, current)
		if err == nil && u.ID != me.ID {
			return cloud.Unauthorized
		}
		return err
	})
	if errors.Is(err, cloud.Unauthorized) {
		// Not Unauthorized: the caller is known, and clients would sign them out.
		return cloud.Refuse(cloud.Invalid, "The current password is wrong.")
	}
	if err != nil {
		return err
	}
	if next == current {
		return cloud.Refuse(cloud.Invalid, "The new password is the same as the current one.")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	u, err := p.dir.User(ctx, "id", string(me.ID))
	if err != nil {
		return err
	}
	if err := p.policy.Check(next, about(u)...); err != nil {
		return err
	}
	if _, err = p.dir.SetUser(ctx, u, next); err != nil {
		return err
	}
	return p.signOut(ctx, u.ID)
}

// signOut is for what changed how a user signs in.
func (p *People) signOut(ctx context.Context, id cloud.UserID) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	for _, c := range p.opts.Credentials {
		errs = append(errs, c.SignOut(ctx, id))
	}
	return errors.Join(errs...)
}

func (p *People) Home(ctx context.Context, of cloud.UserID) (*cloud.Space, error) {
	s, err := p.home(ctx, of)
	return s, cloud.E("core.Home", cloud.Ref{}, err)
}

func (p *People) home(ctx context.Context, of cloud.UserID) (*cloud.Space, error) {
	me, err := caller(ctx)
	switch {
	case err != nil:
		return nil, err
	case of == me.ID:
		return p.core.home(ctx)
	case !me.May(cloud.ManageUsers) && !me.May(cloud.ListSpaces):
		return nil, cloud.Permission
	}
	s, err := p.core.store.Space(ctx, p.core.store.NewSpaceID(cloud.Personal, of))
	if err != nil {
		return nil, err
	}
	return p.core.showFor(ctx, me, s, true)
}
