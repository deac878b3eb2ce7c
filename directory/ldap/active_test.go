package ldap

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	lib "github.com/go-ldap/ldap/v3"

	"opencloud/cloud"
)

// active answers as an Active Directory does, in what is different there:
// ids of swapped bytes, groups in groups found by a rule, and large groups
// shown in portions.
type active struct {
	*testing.T
	guid string // of alice, as stored

	mu      sync.Mutex
	filters []string // that were asked with
}

const (
	alice = "CN=Alice,CN=Users,DC=corp"
	staff = "CN=Staff,OU=Groups,DC=corp"
)

func (a *active) search(base, filter string, attrs []string) []*lib.Entry {
	a.mu.Lock()
	a.filters = append(a.filters, filter)
	a.mu.Unlock()
	user := lib.NewEntry(alice, map[string][]string{
		"objectClass": {"top", "person", "user"}, "objectGUID": {a.guid}, "sAMAccountName": {"alice"}, "displayName": {"Alice"}, "sn": {"A"},
		"userAccountControl": {"514"}, "whenCreated": {"20240102030405.0Z"},
	})
	switch {
	case base == "":
		return []*lib.Entry{lib.NewEntry("", map[string][]string{"supportedCapabilities": {"1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1670"}})}
	case base == staff && strings.HasPrefix(attrs[0], "member;range="):
		from, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(attrs[0], "member;range="), "-*"))
		to := "*"
		if from < 4 {
			to = strconv.Itoa(from + 1)
		}
		return []*lib.Entry{a.staff("member;range="+strconv.Itoa(from)+"-"+to, from)}
	case strings.Contains(filter, "(objectClass=group)"):
		if slices.Contains(attrs, "member") {
			return []*lib.Entry{a.staff("member;range=0-1", 0)}
		}
		return []*lib.Entry{a.staff("", 0)}
	case strings.Contains(filter, "sAMAccountName=bob"):
		return nil
	}
	return []*lib.Entry{user}
}

func (a *active) staff(attr string, from int) *lib.Entry {
	e := map[string][]string{"objectGUID": {"0123456789abcdef"}, "cn": {"Staff"}, "member": {}}
	if attr != "" {
		e[attr] = []string{"CN=" + strconv.Itoa(from) + ",DC=elsewhere", "CN=" + strconv.Itoa(from+1) + ",DC=elsewhere"}
		if from == 4 {
			e[attr][1] = alice
		}
	}
	return lib.NewEntry(staff, e)
}

// serve speaks LDAP on a connection: binds succeed, searches are answered.
func (a *active) serve(c net.Conn) {
	defer c.Close()
	for {
		p, err := ber.ReadPacket(c)
		if err != nil {
			return
		}
		id, op := p.Children[0].Value.(int64), p.Children[1]
		send := func(op *ber.Packet) {
			out := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
			out.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
			out.AppendChild(op)
			c.Write(out.Bytes())
		}
		done := func(tag ber.Tag) {
			r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
			r.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, 0, ""))
			r.AppendChild(text(""))
			r.AppendChild(text(""))
			send(r)
		}
		switch op.Tag {
		case lib.ApplicationBindRequest:
			done(lib.ApplicationBindResponse)
		case lib.ApplicationSearchRequest:
			filter, err := lib.DecompileFilter(op.Children[6])
			if err != nil {
				a.Errorf("filter: %v", err)
			}
			var attrs []string
			for _, at := range op.Children[7].Children {
				attrs = append(attrs, at.Data.String())
			}
			for _, e := range a.search(op.Children[0].Data.String(), filter, attrs) {
				r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, lib.ApplicationSearchResultEntry, nil, "")
				r.AppendChild(text(e.DN))
				list := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
				for _, at := range e.Attributes {
					pair := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
					pair.AppendChild(text(at.Name))
					set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
					for _, v := range at.Values {
						set.AppendChild(text(v))
					}
					pair.AppendChild(set)
					list.AppendChild(pair)
				}
				r.AppendChild(list)
				send(r)
			}
			done(lib.ApplicationSearchResultDone)
		case lib.ApplicationUnbindRequest:
			return
		}
	}
}

func text(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func TestActiveDirectory(t *testing.T) {
	const id = "00112233-4455-6677-8899-aabbccddeeff"
	a := &active{T: t, guid: "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff"}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go a.serve(c)
		}
	}()
	d := open(t, Options{
		URI: []string{"ldap://" + l.Addr().String()}, BindDN: "service@corp", BindPassword: "x",
		UserBase: "DC=corp", UserScope: "sub", UserClass: "user", UserFilter: "(!(objectClass=computer))", UserNewClasses: []string{"user"},
		UserID: "objectGUID", UserIDOctets: true, UserName: "sAMAccountName", UserMail: "mail", UserDisplay: "displayName", UserGiven: "givenName", UserSurname: "sn",
		UserType: "openCloudUserType", Substring: "any", Disabling: "attribute", UserEnabled: "userAccountControl",
		GroupBase: "DC=corp", GroupScope: "sub", GroupClass: "group", GroupNewClasses: []string{"group"},
		GroupID: "objectGUID", GroupIDOctets: true, GroupName: "cn", GroupMember: "member", Nested: true,
		Timeout: 5 * time.Second, Connections: 2, Page: 500,
	})
	group := cloud.GroupID(d.groupID.text([]byte("0123456789abcdef")))
	u := mustUser(t, d, "id", id)
	if string(u.ID) != id || u.Name != "alice" || !u.Disabled || !slices.Equal(u.Groups, []cloud.GroupID{group}) || !u.Made.Equal(time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("alice: got %+v", u)
	}
	if got, want := members(t, d, string(group)), []string{"alice"}; !slices.Equal(got, want) {
		t.Errorf("members, in portions: got %v, want %v", got, want)
	}
	if _, err := d.User(t.Context(), "name", "bob"); cloud.KindOf(err) != cloud.NotExist {
		t.Errorf("bob: got %v", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for what, want := range map[string]string{
		"the groups, with the rule":  "(&(objectClass=group)(member:1.2.840.113556.1.4.1941:=CN=Alice,CN=Users,DC=corp))",
		"the user, by swapped bytes": "(&(objectClass=user)(!(objectClass=computer))(objectGUID=3\"\x11\\00UDwf\\88\\99\\aa\\bb\\cc\\dd\\ee\\ff))",
	} {
		if !slices.Contains(a.filters, want) {
			t.Errorf("nobody asked for %s, %s, but for\n%s", what, want, strings.Join(a.filters, "\n"))
		}
	}
}
