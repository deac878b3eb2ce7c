// Package names says which users and groups a directory can keep, and which
// names are one name. It keeps nothing itself.
package names

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"opencloud/cloud"
)

// Bounds on what is kept, in bytes.
const (
	MaxText        = 255
	MaxPassword    = 1024
	maxDescription = 4000
)

// CheckUser is Invalid, with a sentence, for what cannot be kept of a user.
func CheckUser(u *cloud.User, password string) error {
	if err := cloud.CheckName(u.Name); err != nil {
		return cloud.Refuse(cloud.Invalid, "This cannot be a user name. %s", cloud.Say(err))
	}
	if strings.Contains(u.Name, ":") || u.Name != strings.TrimSpace(u.Name) {
		return cloud.Refuse(cloud.Invalid, "A user name must not contain a colon, or begin or end with a blank.")
	}
	for _, text := range []string{u.Display, u.GivenName, u.Surname, u.Mail, u.Role} {
		if !Fits(text) {
			return cloud.Refuse(cloud.Invalid, "Names, mail address and role take at most %d bytes without control characters.", MaxText)
		}
	}
	if u.Kind != cloud.Member && u.Kind != cloud.Guest {
		return cloud.Refuse(cloud.Invalid, "There is no kind of user %q.", u.Kind)
	}
	if err := cloud.CheckLanguage(u.Language); err != nil {
		return err
	}
	if len(password) > MaxPassword {
		return cloud.Refuse(cloud.Invalid, "The password is too long: at most %d bytes.", MaxPassword)
	}
	return nil
}

// CheckGroup is Invalid, with a sentence, for what cannot be kept of a group.
func CheckGroup(g *cloud.Group) error {
	if g.Name == "" || !Fits(g.Name) || g.Name != strings.TrimSpace(g.Name) {
		return cloud.Refuse(cloud.Invalid, "A group needs a name of at most %d bytes, without control characters and without a blank at either end.", MaxText)
	}
	if len(g.Description) > maxDescription {
		return cloud.Refuse(cloud.Invalid, "The description of a group takes at most %d bytes.", maxDescription)
	}
	return nil
}

// Fits is for what is one line to read.
func Fits(text string) bool {
	return len(text) <= MaxText && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// Fold maps all that strings.EqualFold takes for equal to the same string.
func Fold(s string) string {
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
