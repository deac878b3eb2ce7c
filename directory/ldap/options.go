package ldap

import (
	"encoding/hex"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	lib "github.com/go-ldap/ldap/v3"

	"opencloud/cloud"
)

// Options say where the directory is and how it names things. The defaults
// are for an OpenLDAP server with the openCloud* attributes.
type Options struct {
	URI          []string `yaml:"uri" env:"OC_LDAP_URI;GRAPH_LDAP_URI" default:"" doc:"Addresses of the directory: ldaps://host, ldap://host or ldapi://%2Fpath%2Fof%2Fsocket. The first that answers is taken."`
	CACert       string   `yaml:"cacert" env:"OC_LDAP_CACERT;GRAPH_LDAP_CACERT" default:"" doc:"File of the certificate authority that vouches for the directory, PEM; empty is those of the system."`
	Insecure     bool     `yaml:"insecure" env:"OC_LDAP_INSECURE;GRAPH_LDAP_INSECURE" default:"false" doc:"Accept any certificate of the directory. For tests only."`
	StartTLS     bool     `yaml:"start_tls" env:"OC_LDAP_STARTTLS" default:"false" doc:"Turn connections to ldap:// addresses into encrypted ones (StartTLS)."`
	BindDN       string   `yaml:"bind_dn" env:"OC_LDAP_BIND_DN;GRAPH_LDAP_BIND_DN" default:"" doc:"DN that the server signs in to the directory with; empty is anonymous."`
	BindPassword string   `yaml:"bind_password" env:"OC_LDAP_BIND_PASSWORD;GRAPH_LDAP_BIND_PASSWORD" default:"" secret:"true" doc:"Password of that DN."`

	UserBase        string   `yaml:"user_base_dn" env:"OC_LDAP_USER_BASE_DN;GRAPH_LDAP_USER_BASE_DN" default:"" doc:"DN below which the users are; new users are made in it."`
	UserScope       string   `yaml:"user_search_scope" env:"OC_LDAP_USER_SCOPE;GRAPH_LDAP_USER_SCOPE" default:"sub" doc:"How far below that DN users are looked for: base, one or sub."`
	UserFilter      string   `yaml:"user_filter" env:"OC_LDAP_USER_FILTER;GRAPH_LDAP_USER_FILTER" default:"" doc:"Filter that users must match, too, such as (memberOf=cn=cloud,ou=groups,dc=example,dc=org)."`
	UserClass       string   `yaml:"user_objectclass" env:"OC_LDAP_USER_OBJECTCLASS;GRAPH_LDAP_USER_OBJECTCLASS" default:"inetOrgPerson" doc:"Object class of users."`
	UserNewClasses  []string `yaml:"user_create_objectclasses" env:"OC_LDAP_USER_CREATE_OBJECTCLASSES" default:"inetOrgPerson,openCloudUser" doc:"Object classes that a new user gets."`
	UserID          string   `yaml:"user_id_attribute" env:"OC_LDAP_USER_SCHEMA_ID;GRAPH_LDAP_USER_UID_ATTRIBUTE" default:"openCloudUUID" doc:"Attribute that identifies a user for ever."`
	UserIDOctets    bool     `yaml:"user_id_is_octet_string" env:"OC_LDAP_USER_SCHEMA_ID_IS_OCTETSTRING;GRAPH_LDAP_USER_SCHEMA_ID_IS_OCTETSTRING" default:"false" doc:"That attribute holds bytes instead of text, as objectGUID does."`
	UserName        string   `yaml:"user_name_attribute" env:"OC_LDAP_USER_SCHEMA_USERNAME;GRAPH_LDAP_USER_NAME_ATTRIBUTE" default:"uid" doc:"Attribute of the login name."`
	UserMail        string   `yaml:"user_mail_attribute" env:"OC_LDAP_USER_SCHEMA_MAIL;GRAPH_LDAP_USER_EMAIL_ATTRIBUTE" default:"mail" doc:"Attribute of the mail address."`
	UserDisplay     string   `yaml:"user_displayname_attribute" env:"OC_LDAP_USER_SCHEMA_DISPLAYNAME;GRAPH_LDAP_USER_DISPLAYNAME_ATTRIBUTE" default:"displayName" doc:"Attribute of the name that others see."`
	UserGiven       string   `yaml:"user_givenname_attribute" env:"OC_LDAP_USER_SCHEMA_GIVENNAME" default:"givenName" doc:"Attribute of the given name."`
	UserSurname     string   `yaml:"user_surname_attribute" env:"OC_LDAP_USER_SCHEMA_SURNAME" default:"sn" doc:"Attribute of the surname."`
	UserType        string   `yaml:"user_type_attribute" env:"OC_LDAP_USER_SCHEMA_USER_TYPE;GRAPH_LDAP_USER_TYPE_ATTRIBUTE" default:"openCloudUserType" doc:"Attribute that says whether a user is a Member or a Guest."`
	UserLastSignIn  string   `yaml:"user_last_sign_in_attribute" env:"OC_LDAP_USER_SCHEMA_LAST_SIGN_IN" default:"" doc:"Attribute in which the time of the last sign-in with a password is noted, to the hour, such as openCloudLastSignInTimestamp; empty is none."`
	Substring       string   `yaml:"user_substring_filter_type" env:"OC_LDAP_USER_SUBSTRING_FILTER_TYPE;LDAP_USER_SUBSTRING_FILTER_TYPE" default:"any" doc:"Where in a value a search must be found: initial, final or any."`
	Disabling       string   `yaml:"disable_user_mechanism" env:"OC_LDAP_DISABLE_USER_MECHANISM;GRAPH_DISABLE_USER_MECHANISM" default:"attribute" doc:"What tells that a user is disabled: attribute, group or none."`
	UserEnabled     string   `yaml:"user_enabled_attribute" env:"OC_LDAP_USER_ENABLED_ATTRIBUTE;GRAPH_USER_ENABLED_ATTRIBUTE" default:"openCloudUserEnabled" doc:"Attribute that is FALSE for a disabled user. nsAccountLock and userAccountControl are understood as their servers do."`
	DisabledGroup   string   `yaml:"disabled_users_group_dn" env:"OC_LDAP_DISABLED_USERS_GROUP_DN;GRAPH_DISABLED_USERS_GROUP_DN" default:"" doc:"DN of the group whose members are disabled."`
	GroupBase       string   `yaml:"group_base_dn" env:"OC_LDAP_GROUP_BASE_DN;GRAPH_LDAP_GROUP_BASE_DN" default:"" doc:"DN below which the groups are."`
	GroupScope      string   `yaml:"group_search_scope" env:"OC_LDAP_GROUP_SCOPE;GRAPH_LDAP_GROUP_SEARCH_SCOPE" default:"sub" doc:"How far below that DN groups are looked for: base, one or sub."`
	GroupFilter     string   `yaml:"group_filter" env:"OC_LDAP_GROUP_FILTER;GRAPH_LDAP_GROUP_FILTER" default:"" doc:"Filter that groups must match, too."`
	GroupClass      string   `yaml:"group_objectclass" env:"OC_LDAP_GROUP_OBJECTCLASS;GRAPH_LDAP_GROUP_OBJECTCLASS" default:"groupOfNames" doc:"Object class of groups."`
	GroupNewClasses []string `yaml:"group_create_objectclasses" env:"OC_LDAP_GROUP_CREATE_OBJECTCLASSES" default:"groupOfNames,openCloudObject" doc:"Object classes that a new group gets."`
	GroupNewBase    string   `yaml:"group_create_base_dn" env:"GRAPH_LDAP_GROUP_CREATE_BASE_DN" default:"" doc:"DN in which new groups are made; groups outside of it cannot be changed. Empty is the DN below which all are."`
	GroupID         string   `yaml:"group_id_attribute" env:"OC_LDAP_GROUP_SCHEMA_ID;GRAPH_LDAP_GROUP_ID_ATTRIBUTE" default:"openCloudUUID" doc:"Attribute that identifies a group for ever."`
	GroupIDOctets   bool     `yaml:"group_id_is_octet_string" env:"OC_LDAP_GROUP_SCHEMA_ID_IS_OCTETSTRING;GRAPH_LDAP_GROUP_SCHEMA_ID_IS_OCTETSTRING" default:"false" doc:"That attribute holds bytes instead of text, as objectGUID does."`
	GroupName       string   `yaml:"group_name_attribute" env:"OC_LDAP_GROUP_SCHEMA_GROUPNAME;GRAPH_LDAP_GROUP_NAME_ATTRIBUTE" default:"cn" doc:"Attribute of the name of a group."`
	GroupMember     string   `yaml:"group_member_attribute" env:"OC_LDAP_GROUP_SCHEMA_MEMBER;GRAPH_LDAP_GROUP_MEMBER_ATTRIBUTE" default:"member" doc:"Attribute of the members of a group: their DNs, or their login names if it is memberUid."`
	Nested          bool     `yaml:"nested_groups" env:"OC_LDAP_NESTED_GROUPS" default:"true" doc:"Members of a group that is in another group are in that one, too."`

	Write        bool `yaml:"write_enabled" env:"OC_LDAP_SERVER_WRITE_ENABLED;GRAPH_LDAP_SERVER_WRITE_ENABLED" default:"false" doc:"Make, change and remove users and groups in the directory; otherwise it is only read."`
	PasswordExop bool `yaml:"use_password_modify_exop" env:"GRAPH_LDAP_SERVER_USE_PASSWORD_MODIFY_EXOP" default:"true" doc:"Set passwords with the extended operation for it (RFC 3062); otherwise userPassword is written, and the directory must hash it."`
	ServerUUID   bool `yaml:"use_server_uuid" env:"GRAPH_LDAP_SERVER_UUID" default:"false" doc:"The directory makes the ids by itself, as with entryUUID."`
	Refint       bool `yaml:"refint_enabled" env:"GRAPH_LDAP_REFINT_ENABLED" default:"false" doc:"The directory keeps memberships right by itself when users and groups are renamed and removed."`

	Admin       string        `yaml:"admin_user_id" env:"OC_ADMIN_USER_ID" default:"" doc:"Id or login name of the user who is administrator until somebody gives them another role."`
	Timeout     time.Duration `yaml:"timeout" env:"OC_LDAP_TIMEOUT" default:"5s" doc:"How long the directory has for an answer."`
	CacheTTL    time.Duration `yaml:"cache_ttl" env:"OC_LDAP_CACHE_TTL" default:"5s" doc:"How long what was read is believed: so long a user who is disabled in the directory can go on; 0 is not at all."`
	Remember    time.Duration `yaml:"password_remember" env:"OC_LDAP_PASSWORD_REMEMBER" default:"1m" doc:"How long a password that was right is accepted again without asking the directory for it; 0 is never."`
	Retry       time.Duration `yaml:"retry" env:"OC_LDAP_RETRY" default:"1s" doc:"How long nobody asks a directory that did not answer."`
	Connections int           `yaml:"connections" env:"OC_LDAP_CONNECTIONS" default:"8" doc:"Connections to the directory for each of three purposes: to look up, to list, to check passwords."`
	Page        int           `yaml:"page_size" env:"OC_LDAP_PAGE_SIZE" default:"500" doc:"Entries that are asked for at once in listings (RFC 2696)."`

	Log *slog.Logger `yaml:"-"` // nil: slog.Default
}

// attribute is a name in a request: it must not carry anything else.
var attribute = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

// check says what cannot work, and makes the empty values what they stand for.
func (o *Options) check() error {
	for _, required := range []struct{ value, name string }{{strings.Join(o.URI, ""), "OC_LDAP_URI"}, {o.UserBase, "OC_LDAP_USER_BASE_DN"}, {o.GroupBase, "OC_LDAP_GROUP_BASE_DN"}} {
		if required.value == "" {
			return cloud.Refuse(cloud.Invalid, "The directory needs %s.", required.name)
		}
	}
	if o.GroupNewBase == "" {
		o.GroupNewBase = o.GroupBase
	}
	for name, dn := range map[string]string{
		"OC_LDAP_BIND_DN": o.BindDN, "OC_LDAP_USER_BASE_DN": o.UserBase, "OC_LDAP_GROUP_BASE_DN": o.GroupBase,
		"GRAPH_LDAP_GROUP_CREATE_BASE_DN": o.GroupNewBase, "OC_LDAP_DISABLED_USERS_GROUP_DN": o.DisabledGroup,
	} {
		// Active Directory takes other names than DNs to bind with.
		if _, err := lib.ParseDN(dn); err != nil && name != "OC_LDAP_BIND_DN" {
			return cloud.Refuse(cloud.Invalid, "%s is no DN: %v.", name, err)
		}
	}
	if o.BindDN != "" && o.BindPassword == "" {
		return cloud.Refuse(cloud.Invalid, "OC_LDAP_BIND_DN needs OC_LDAP_BIND_PASSWORD: without a password a directory lets anybody in as nobody.")
	}
	for name, scope := range map[string]string{"OC_LDAP_USER_SCOPE": o.UserScope, "OC_LDAP_GROUP_SCOPE": o.GroupScope} {
		if !slices.Contains([]string{"base", "one", "sub"}, scope) {
			return cloud.Refuse(cloud.Invalid, "%s is not one of base, one and sub.", name)
		}
	}
	for name, filter := range map[string]*string{"OC_LDAP_USER_FILTER": &o.UserFilter, "OC_LDAP_GROUP_FILTER": &o.GroupFilter} {
		if *filter != "" && !strings.HasPrefix(*filter, "(") {
			*filter = "(" + *filter + ")"
		}
		if _, err := lib.CompileFilter(*filter); *filter != "" && err != nil {
			return cloud.Refuse(cloud.Invalid, "%s is no filter: %v.", name, err)
		}
	}
	if !slices.Contains([]string{"initial", "final", "any"}, o.Substring) {
		return cloud.Refuse(cloud.Invalid, "OC_LDAP_USER_SUBSTRING_FILTER_TYPE is not one of initial, final and any.")
	}
	switch {
	case o.Disabling == "group" && o.DisabledGroup == "":
		return cloud.Refuse(cloud.Invalid, "OC_LDAP_DISABLE_USER_MECHANISM=group needs OC_LDAP_DISABLED_USERS_GROUP_DN.")
	case !slices.Contains([]string{"attribute", "group", "none"}, o.Disabling):
		return cloud.Refuse(cloud.Invalid, "OC_LDAP_DISABLE_USER_MECHANISM is not one of attribute, group and none.")
	}
	for _, name := range slices.Concat([]string{
		o.UserClass, o.UserID, o.UserName, o.UserMail, o.UserDisplay, o.UserGiven, o.UserSurname, o.UserType, o.UserEnabled,
		o.GroupClass, o.GroupID, o.GroupName, o.GroupMember,
	}, o.UserNewClasses, o.GroupNewClasses) {
		if !attribute.MatchString(name) {
			return cloud.Refuse(cloud.Invalid, "%q is no name of an attribute or an object class of the directory.", name)
		}
	}
	if o.UserLastSignIn != "" && !attribute.MatchString(o.UserLastSignIn) {
		return cloud.Refuse(cloud.Invalid, "%q is no name of an attribute of the directory.", o.UserLastSignIn)
	}
	if o.Timeout <= 0 || o.Connections < 1 || o.Connections > 1000 || o.Page < 1 || o.Page > 100_000 {
		return cloud.Refuse(cloud.Invalid, "Of the directory, the timeout must be more than 0, the connections 1 to 1000 and the page size 1 to 100000.")
	}
	return nil
}

// An identifier is the attribute of ids.
type identifier struct {
	attr   string
	octets bool
}

// swapped are the bytes of a UUID as Active Directory stores it: the first
// three of its numbers have their least byte first.
var swapped = [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}

func (i identifier) order(raw []byte) (u cloud.UUID) {
	for to, from := range swapped {
		if !strings.EqualFold(i.attr, "objectGUID") {
			from = to
		}
		u[to] = raw[from]
	}
	return u
}

// text is the id in a value of the attribute.
func (i identifier) text(raw []byte) string {
	switch {
	case !i.octets:
		return string(raw)
	case len(raw) == 16:
		return i.order(raw).String()
	}
	return hex.EncodeToString(raw)
}

// raw is the value of the attribute for an id; ok is false for what cannot be one.
func (i identifier) raw(id string) (raw []byte, ok bool) {
	if !i.octets {
		return []byte(id), fits(id)
	}
	if u, ok := cloud.ParseUUID(id); ok {
		u = i.order(u[:]) // there and back is the same way
		return u[:], true
	}
	raw, err := hex.DecodeString(id)
	return raw, err == nil && len(raw) > 0 && i.text(raw) == id
}
