package ldap

import (
	"context"
	"strconv"
	"strings"

	lib "github.com/go-ldap/ldap/v3"

	"opencloud/cloud"
	"opencloud/directory/ldap/client"
)

// accountDisable is the flag of userAccountControl (MS-ADTS, section 2.2.16).
const accountDisable = 0x2

// disabled tells what the value of the attribute says, with the number of all
// flags where it is one.
func disabled(attr, value string) (yes bool, control int) {
	switch strings.ToLower(attr) {
	case "useraccountcontrol":
		control, _ = strconv.Atoi(value)
		return control&accountDisable != 0, control
	case "nsaccountlock": // of 389 Directory Server and FreeIPA
		return strings.EqualFold(value, "TRUE"), 0
	}
	return strings.EqualFold(value, "FALSE"), 0
}

// enabledValue is the value of the attribute for a user.
func enabledValue(attr string, disable bool, control int) string {
	switch strings.ToLower(attr) {
	case "useraccountcontrol":
		if control &^= accountDisable; disable {
			control |= accountDisable
		}
		return strconv.Itoa(control)
	case "nsaccountlock":
		return strings.ToUpper(strconv.FormatBool(disable))
	}
	return strings.ToUpper(strconv.FormatBool(!disable))
}

// ofDisabled is the group of the disabled, if the filter holds for it.
func (d *Directory) ofDisabled(ctx context.Context, filter, attr string) (*lib.Entry, error) {
	e, err := d.client.One(ctx, client.Query{Base: d.opts.DisabledGroup, Scope: "base", Filter: filter, Attrs: []string{attr}})
	if cloud.KindOf(err) == cloud.NotExist {
		d.groupless.Do(func() {
			d.log.Warn("the directory does not have the group of the disabled users: nobody counts as disabled", "dn", d.opts.DisabledGroup)
		})
		return nil, nil
	}
	return e, err
}

// setDisabled puts a user into the group of the disabled, or takes them out.
func (d *Directory) setDisabled(ctx context.Context, p *person, disable bool) error {
	if !disable {
		return d.leave(ctx, d.opts.DisabledGroup, d.member(p))
	}
	m := lib.NewModifyRequest(d.opts.DisabledGroup, nil)
	m.Add(d.opts.GroupMember, []string{d.member(p)})
	err := d.change(ctx, func(l *lib.Conn) error { return l.Modify(m) })
	if cloud.KindOf(err) == cloud.NotExist {
		return &cloud.Error{Kind: cloud.NotSupported, Say: "The directory of users does not have the group of the disabled users.", Err: err}
	}
	return err
}
