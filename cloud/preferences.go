package cloud

import (
	"slices"
	"strings"
)

// A Preference is something that each user can choose for themselves. The ids
// are those that clients of the settings API know.
type Preference struct {
	ID      string
	Name    string
	Needs   SystemPermission // to choose one's own
	Default Choice
	Texts   []string // those that can be chosen, of a choice with a text; nil: see CheckLanguage
}

// A Choice is what somebody chose; which field is set is up to the
// preference.
type Choice struct {
	Flag  *bool           `json:",omitempty"`
	Text  string          `json:",omitempty"`
	Flags map[string]bool `json:",omitempty"` // those left out have their default
}

// Preferences that the system itself looks at.
const (
	PreferLanguage   = "aa8cfbe5-95d4-4f7e-a032-c3c01f5f062f" // User.Language, seen as a preference
	PreferAutoAccept = "ec3ed4a3-3946-4efc-8f9f-76d38b12d3a9" // Mount.Synced of what is newly shared
)

// Preferences are all there are. The events are told about in the bell and by mail.
func Preferences() []Preference {
	told := Choice{Flags: map[string]bool{"in-app": true, "mail": true}}
	return []Preference{
		{PreferLanguage, "language", SetLanguage, Choice{}, nil},
		{"33ffb5d6-cd07-4dc0-afb0-84f7559ae438", "disable-email-notifications", "EmailNotifications.ReadWriteDisabled.own", Choice{Flag: new(false)}, nil},
		{PreferAutoAccept, "auto-accept-shares", "AutoAcceptShares.ReadWriteDisabled.own", Choice{Flag: new(true)}, nil},
		{"08dec2fe-3f97-42a9-9d1b-500855e92f25", "email-sending-interval-options", "EmailSendingInterval.ReadWrite.own", Choice{Text: "instant"}, []string{"instant", "daily", "weekly", "never"}},
		{"872d8ef6-6f2a-42ab-af7d-f53cc81d7046", "event-share-created-options", "Event.ShareCreated.ReadWrite.own", told, nil},
		{"d7484394-8321-4c84-9677-741ba71e1f80", "event-share-removed-options", "Event.ShareRemoved.ReadWrite.own", told, nil},
		{"e1aa0b7c-1b0f-4072-9325-c643c89fee4e", "event-share-expired-options", "Event.ShareExpired.ReadWrite.own", told, nil},
		{"694d5ee1-a41c-448c-8d14-396b95d2a918", "event-space-shared-options", "Event.SpaceShared.ReadWrite.own", told, nil},
		{"26c20e0e-98df-4483-8a77-759b3a766af0", "event-space-unshared-options", "Event.SpaceUnshared.ReadWrite.own", told, nil},
		{"7275921e-b737-4074-ba91-3c2983be3edd", "event-space-membership-expired-options", "Event.SpaceMembershipExpired.ReadWrite.own", told, nil},
		{"eb5c716e-03be-42c6-9ed1-1105d24e109f", "event-space-disabled-options", "Event.SpaceDisabled.ReadWrite.own", told, nil},
		{"094ceca9-5a00-40ba-bb1a-bbc7bccd39ee", "event-space-deleted-options", "Event.SpaceDeleted.ReadWrite.own", told, nil},
		{"fe0a3011-d886-49c8-b797-33d02fa426ef", "event-postprocessing-step-finished-options", "Event.PostprocessingStepFinished.ReadWrite.own", told, nil},
	}
}

// PreferenceBy finds one by id.
func PreferenceBy(id string) (Preference, bool) {
	all := Preferences()
	i := slices.IndexFunc(all, func(p Preference) bool { return p.ID == id })
	if i < 0 {
		return Preference{}, false
	}
	return all[i], true
}

// Check says whether something can be chosen.
func (p *Preference) Check(c Choice) error {
	var ok bool
	switch {
	case p.ID == PreferLanguage:
		return CheckLanguage(c.Text)
	case p.Default.Flag != nil:
		ok = c.Flag != nil && c.Text == "" && c.Flags == nil
	case p.Default.Flags != nil:
		ok = c.Flag == nil && c.Text == "" && c.Flags != nil
		for key := range c.Flags {
			if _, known := p.Default.Flags[key]; !known {
				ok = false
			}
		}
	default:
		ok = c.Flag == nil && c.Flags == nil && slices.Contains(p.Texts, c.Text)
	}
	if !ok {
		return Refuse(Invalid, "This cannot be chosen for %s.", p.Name)
	}
	return nil
}

// CheckLanguage says whether a text has the form of a language tag (RFC 5646),
// with "_" for "-" as some clients have it. No language at all is fine.
func CheckLanguage(tag string) error {
	const most = 35 // characters, see RFC 5646, section 4.4.1
	subtags := strings.FieldsFunc(tag, func(r rune) bool { return r == '-' || r == '_' })
	ok := tag == "" || len(tag) <= most && len(strings.Join(subtags, "-")) == len(tag)
	for i, sub := range subtags {
		ok = ok && len(sub) <= 8 && !strings.ContainsFunc(sub, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9')
		})
	}
	if !ok {
		return Refuse(Invalid, "%.40q is not a language.", tag)
	}
	return nil
}
