package ldap

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	lib "github.com/go-ldap/ldap/v3"

	"opencloud/cloud"
	"opencloud/directory/directorytest"
	"opencloud/directory/ldap/slapd"
)

// defaults are the options of a server of ours, with the defaults of the tags.
func defaults(s *slapd.Server) Options {
	return Options{
		URI: []string{s.Socket}, BindDN: slapd.Service, BindPassword: slapd.Password,
		UserBase: slapd.Users, UserScope: "sub", UserClass: "inetOrgPerson", UserNewClasses: []string{"inetOrgPerson", "openCloudUser"},
		UserID: "openCloudUUID", UserName: "uid", UserMail: "mail", UserDisplay: "displayName", UserGiven: "givenName", UserSurname: "sn",
		UserType: "openCloudUserType", Substring: "any", Disabling: "attribute", UserEnabled: "openCloudUserEnabled",
		GroupBase: slapd.Groups, GroupScope: "sub", GroupClass: "groupOfNames", GroupNewClasses: []string{"groupOfNames", "openCloudObject"},
		GroupID: "openCloudUUID", GroupName: "cn", GroupMember: "member", Nested: true,
		Write: true, PasswordExop: true,
		Timeout: 5 * time.Second, CacheTTL: time.Hour, Remember: time.Hour, Connections: 8, Page: 500,
	}
}

func open(t testing.TB, opts Options) *Directory {
	t.Helper()
	if opts.Log == nil {
		opts.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	d, err := Open(t.TempDir(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// The kit, with all that a directory can be told about how to write. Mail
// addresses have another attribute than mail, which takes ASCII alone.
func TestKit(t *testing.T) {
	for name, c := range map[string]struct {
		server slapd.Config
		change func(*Options)
	}{
		"plain":    {slapd.Config{}, func(*Options) {}},
		"overlays": {slapd.Config{Overlays: true}, func(o *Options) { o.Refint = true }},
		"entryUUID": {slapd.Config{}, func(o *Options) {
			o.ServerUUID, o.UserID, o.GroupID, o.PasswordExop, o.CacheTTL = true, "entryUUID", "entryUUID", false, 0
		}},
		"octets": {slapd.Config{}, func(o *Options) {
			o.UserID, o.UserIDOctets, o.GroupID, o.GroupIDOctets = "objectGUID", true, "testGUID", true
			o.GroupNewClasses = append(o.GroupNewClasses, "testObject")
		}},
		"group of the disabled": {slapd.Config{LDIF: group("locked", "cn=nobody")}, func(o *Options) {
			o.Disabling, o.DisabledGroup = "group", "cn=locked,"+slapd.Suffix
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := slapd.Start(t, c.server)
			n := 0
			directorytest.Run(t, func(t *testing.T) cloud.Directory {
				opts := defaults(s)
				n++
				opts.UserBase, opts.GroupBase = places(t, open(t, opts), n)
				opts.UserMail = "testMail"
				opts.UserNewClasses = append(opts.UserNewClasses, "testObject")
				c.change(&opts)
				return open(t, opts)
			})
		})
	}
}

// places makes new ones for users and groups.
func places(t *testing.T, d *Directory, n int) (users, groups string) {
	t.Helper()
	make := func(name, below string) string {
		add := lib.NewAddRequest(rdn("ou", name)+","+below, nil)
		add.Attribute("objectClass", []string{"organizationalUnit"})
		if err := d.change(t.Context(), func(l *lib.Conn) error { return l.Add(add) }); err != nil {
			t.Fatal(err)
		}
		return add.DN
	}
	base := make(fmt.Sprint(n), slapd.Suffix)
	return make("users", base), make("groups", base)
}

// group is an entry beside the groups that are found.
func group(name string, members ...string) string {
	return "dn: cn=" + name + "," + slapd.Suffix + "\nobjectClass: groupOfNames\ncn: " + name + "\nmember: " + strings.Join(members, "\nmember: ") + "\n\n"
}
