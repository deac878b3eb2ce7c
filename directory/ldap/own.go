package ldap

import (
	"context"
	"encoding/json"
	"strings"

	"opencloud/cloud"
)

// document is the name of what is kept of a user in a file.
const document = "directory"

// own is what there is no place for in the directory.
type own struct {
	Role     *string `json:",omitempty"` // nil: nobody gave them one
	Language string  `json:",omitempty"`
}

// role is that of a user to whom nobody gave one.
func (d *Directory) role(u *cloud.User) string {
	if a := d.opts.Admin; a != "" && (string(u.ID) == a || strings.EqualFold(u.Name, a)) {
		return cloud.RoleAdmin
	}
	return cloud.RoleUser
}

// addOwn reads the role and the language of a user.
func (d *Directory) addOwn(ctx context.Context, u *cloud.User) error {
	var o own
	body, err := d.own.Document(ctx, u.ID, document)
	switch {
	case err == nil:
		err = json.Unmarshal(body, &o)
	case cloud.KindOf(err) == cloud.NotExist:
		err = nil
	}
	u.Role, u.Language = d.role(u), o.Language
	if o.Role != nil {
		u.Role = *o.Role
	}
	return err
}

// setOwn keeps the role and the language of a user.
func (d *Directory) setOwn(ctx context.Context, u *cloud.User) error {
	o := own{Language: u.Language}
	if u.Role != d.role(u) {
		o.Role = &u.Role
	}
	var body []byte
	if o != (own{}) {
		var err error
		if body, err = json.Marshal(o); err != nil {
			return err
		}
	}
	return d.own.SetDocument(ctx, u.ID, document, body)
}
