package ldap

import "opencloud/directory/ldap/client"

// userQuery looks for those users for whom the filter holds; empty is all.
func (d *Directory) userQuery(filter string) client.Query {
	o := &d.opts
	attrs := []string{
		"objectClass", o.UserID, o.UserName, o.UserDisplay, o.UserGiven, o.UserSurname, o.UserMail, o.UserType, o.UserEnabled,
		"createTimestamp", "whenCreated",
	}
	if o.UserLastSignIn != "" {
		attrs = append(attrs, o.UserLastSignIn)
	}
	return client.Query{Base: o.UserBase, Scope: o.UserScope, Filter: and(equal("objectClass", o.UserClass), o.UserFilter, filter), Attrs: attrs}
}

// groupQuery looks for those groups for which the filter holds, with more
// attributes than all need.
func (d *Directory) groupQuery(filter string, attrs ...string) client.Query {
	o := &d.opts
	return client.Query{
		Base: o.GroupBase, Scope: o.GroupScope, Filter: and(equal("objectClass", o.GroupClass), o.GroupFilter, filter),
		Attrs: append(attrs, o.GroupID, o.GroupName, "description"),
	}
}
