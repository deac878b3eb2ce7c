// Package ldap is a directory of users and groups that is kept by an LDAP
// server (RFC 4511), which others may use and change, too: it reads what is
// there, and changes it where it may. What has no place there, the role and
// the language of a user, it keeps in files of its own. It is not a server,
// and it holds no copy of the directory: what it remembers is seconds old.
package ldap

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lib "github.com/go-ldap/ldap/v3"

	"opencloud/cloud"
	"opencloud/directory/ldap/client"
	"opencloud/directory/profile"
	"opencloud/directory/recall"
)

// A Directory implements cloud.Directory.
type Directory struct {
	opts            Options
	log             *slog.Logger
	client          *client.Client
	userID, groupID identifier
	active          atomic.Pointer[bool] // it is an Active Directory; nil: not asked yet

	own    *profile.Profiles
	users  *cache[*cloud.User]  // by id
	groups *cache[*cloud.Group] // by id
	trees  *cache[*tree]        // the one, by ""
	seen   *recall.Memory[cloud.UserID]

	writing             sync.Mutex    // one change at a time: names are looked for before they are taken
	changes             atomic.Uint64 // how many there were
	usual               atomic.Int64  // how long checking a right password takes, in nanoseconds
	nameless, groupless sync.Once     // told of once
}

// Open does not wait for the directory: as long as it does not answer, all is
// Unavailable. path is the folder of what it has no place for.
func Open(path string, opts Options) (*Directory, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	opts.Log = cmp.Or(opts.Log, slog.Default())
	c, err := client.New(client.Options{
		URI: opts.URI, CACert: opts.CACert, Insecure: opts.Insecure, StartTLS: opts.StartTLS, BindDN: opts.BindDN, BindPassword: opts.BindPassword,
		Timeout: opts.Timeout, Retry: opts.Retry, Connections: opts.Connections, Page: opts.Page, Log: opts.Log,
	})
	if err != nil {
		return nil, err
	}
	own, err := profile.Open(path)
	if err != nil {
		return nil, err
	}
	return &Directory{
		opts: opts, log: opts.Log, client: c, own: own,
		userID:  identifier{opts.UserID, opts.UserIDOctets},
		groupID: identifier{opts.GroupID, opts.GroupIDOctets},
		users:   newCache[*cloud.User](opts.CacheTTL),
		groups:  newCache[*cloud.Group](opts.CacheTTL),
		trees:   newCache[*tree](opts.CacheTTL),
		seen:    recall.New[cloud.UserID](opts.Remember),
	}, nil
}

// Close lets go of the connections.
func (d *Directory) Close() error {
	d.client.Close()
	return d.own.Close()
}

// User finds one by "id", "name" or "mail". A mail address that several have
// is nobody's.
func (d *Directory) User(ctx context.Context, by, value string) (*cloud.User, error) {
	u, err := d.user(ctx, by, value)
	return u, cloud.E("ldap.User", cloud.Ref{}, err)
}

func (d *Directory) user(ctx context.Context, by, value string) (*cloud.User, error) {
	switch by {
	case "id":
		u, err := d.users.get(ctx, value, func(ctx context.Context) (*cloud.User, error) { return d.load(ctx, by, value) })
		if err != nil {
			return nil, err
		}
		return copied(u), nil
	case "name", "mail":
		return d.load(ctx, by, value)
	}
	return nil, cloud.Refuse(cloud.Invalid, "Users are found by id, name or mail, not by %q.", by)
}

func copied(u *cloud.User) *cloud.User {
	c := *u
	c.Groups = slices.Clone(u.Groups)
	return &c
}

func noUser() error  { return cloud.Refuse(cloud.NotExist, "There is no such user.") }
func noGroup() error { return cloud.Refuse(cloud.NotExist, "There is no such group.") }

// load asks the directory for a user.
func (d *Directory) load(ctx context.Context, by, value string) (*cloud.User, error) {
	p, err := d.person(ctx, by, value)
	if err != nil {
		return nil, err
	}
	return d.complete(ctx, p)
}

// person asks for the entry of a user.
func (d *Directory) person(ctx context.Context, by, value string) (*person, error) {
	var filter string
	switch by {
	case "id":
		raw, ok := d.userID.raw(value)
		if !ok {
			return nil, noUser()
		}
		if filter = equal(d.opts.UserID, value); d.userID.octets {
			filter = octets(d.opts.UserID, raw)
		}
	case "name":
		filter = equal(d.opts.UserName, value)
	case "mail":
		filter = equal(d.opts.UserMail, value)
	}
	if !fits(value) {
		return nil, noUser()
	}
	e, err := d.client.One(ctx, d.userQuery(filter))
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, noUser()
	}
	p := d.personOf(e)
	// A server may take more values for equal than this one does.
	same := map[string]func() bool{
		"id":   func() bool { return string(p.ID) == value },
		"name": func() bool { return holds(e, d.opts.UserName, value) },
		"mail": func() bool { return holds(e, d.opts.UserMail, value) },
	}
	if p == nil || !same[by]() {
		return nil, noUser()
	}
	return p, nil
}

func holds(e *lib.Entry, attr, value string) bool {
	return slices.ContainsFunc(e.GetEqualFoldAttributeValues(attr), func(v string) bool { return strings.EqualFold(v, value) })
}

// complete adds what is not in the entry of a user.
func (d *Directory) complete(ctx context.Context, p *person) (*cloud.User, error) {
	var err error
	if p.Groups, err = d.groupsOf(ctx, p); err != nil {
		return nil, err
	}
	if d.opts.Disabling == "group" {
		e, err := d.ofDisabled(ctx, equal(d.opts.GroupMember, d.member(p)), "1.1")
		if err != nil {
			return nil, err
		}
		p.Disabled = e != nil
	}
	return &p.User, d.addOwn(ctx, &p.User)
}

// Users yields those who match, in the order of the directory.
func (d *Directory) Users(ctx context.Context, search string) iter.Seq2[*cloud.User, error] {
	return func(yield func(*cloud.User, error) bool) {
		filter := ""
		if search != "" {
			if !fits(search) {
				return
			}
			o := &d.opts
			var parts []string
			for _, attr := range []string{o.UserName, o.UserDisplay, o.UserGiven, o.UserSurname, o.UserMail} {
				parts = append(parts, part(attr, search, o.Substring))
			}
			filter = or(parts...)
		}
		for u, err := range d.list(ctx, d.userQuery(filter)) {
			if err != nil {
				yield(nil, cloud.E("ldap.Users", cloud.Ref{}, err))
				return
			}
			if !yield(&u.User, nil) {
				return
			}
		}
	}
}

// list yields the users that a search finds, complete.
func (d *Directory) list(ctx context.Context, q client.Query) iter.Seq2[*person, error] {
	return func(yield func(*person, error) bool) {
		t, known := d.trees.peek("")
		n := 0
		for e, err := range d.client.List(ctx, q) {
			if err != nil {
				yield(nil, err)
				return
			}
			p := d.personOf(e)
			if p == nil {
				continue
			}
			p.key = d.memberKey(d.member(p))
			if n++; n > few && !known {
				t, err = d.tree(ctx)
				known = true
			}
			switch {
			case err != nil:
			case known:
				p.Groups, p.Disabled = t.above(p.key), p.Disabled || t.disabled[p.key]
				err = d.addOwn(ctx, &p.User)
			default:
				_, err = d.complete(ctx, p)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// person is a user with where they are in the directory.
type person struct {
	cloud.User
	dn      string
	key     string // of them as a member, in listings
	classes []string
	control int    // userAccountControl, where that is what disables
	last    string // time of the last sign-in as the directory writes it
}

// personOf is nil for an entry that is no user: one without name or id.
func (d *Directory) personOf(e *lib.Entry) *person {
	o := &d.opts
	p := &person{dn: e.DN, classes: e.GetEqualFoldAttributeValues("objectClass"), last: value(e, o.UserLastSignIn)}
	p.User = cloud.User{
		ID: cloud.UserID(d.userID.text(e.GetEqualFoldRawAttributeValue(o.UserID))), Name: named(e, o.UserName),
		Display: value(e, o.UserDisplay), GivenName: value(e, o.UserGiven), Surname: value(e, o.UserSurname), Mail: value(e, o.UserMail),
		Made: made(e), ReadOnly: !o.Write,
	}
	if !fits(string(p.ID)) || !fits(p.Name) {
		d.nameless.Do(func() {
			d.log.Warn("an entry of the directory is left out, and maybe more: it has no id or no name that can be used", "dn", e.DN, "id", o.UserID, "name", o.UserName)
		})
		return nil
	}
	if strings.EqualFold(value(e, o.UserType), string(cloud.Guest)) {
		p.Kind = cloud.Guest
	}
	if o.Disabling == "attribute" {
		p.Disabled, p.control = disabled(o.UserEnabled, value(e, o.UserEnabled))
	}
	return p
}

// named is the value of an attribute that gives a name: the one that the DN
// has, if there are several.
func named(e *lib.Entry, attr string) string {
	if in := e.GetEqualFoldAttributeValues(attr); len(in) > 1 {
		if v, ok := first(e.DN, attr); ok {
			return v
		}
	}
	return e.GetEqualFoldAttributeValue(attr)
}

// nothing stands for an empty value where an object class demands one.
const nothing = "-"

func value(e *lib.Entry, attr string) string {
	v := e.GetEqualFoldAttributeValue(attr)
	if v == nothing && demanded(attr) {
		return ""
	}
	return v
}

// demanded are the attributes that the object classes of people must have.
func demanded(attr string) bool {
	return strings.EqualFold(attr, "sn") || strings.EqualFold(attr, "cn")
}

// made is when the entry was, to the second; zero if the directory does not tell.
func made(e *lib.Entry) time.Time {
	text := cmp.Or(e.GetEqualFoldAttributeValue("createTimestamp"), e.GetEqualFoldAttributeValue("whenCreated"))
	for _, layout := range []string{"20060102150405Z", "20060102150405.0Z", "20060102150405-0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Truncate(time.Second)
		}
	}
	return time.Time{}
}
