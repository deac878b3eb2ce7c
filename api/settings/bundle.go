package settings

import (
	"maps"
	"slices"
	"strings"

	"opencloud/cloud"
)

// The one bundle of settings that are not permissions.
const (
	profileID        = "2a506de7-99bd-4f0d-994e-c38e72c28fd9"
	profileName      = "profile"
	profileExtension = "opencloud-accounts"
	roleExtension    = "opencloud-roles"
)

// The JSON of bundles and of what is in them.
type (
	bundle struct {
		ID          string    `json:"id"`
		Name        string    `json:"name"`
		Type        string    `json:"type"`
		Extension   string    `json:"extension"`
		DisplayName string    `json:"displayName"`
		Settings    []setting `json:"settings"`
		Resource    resource  `json:"resource"`
	}
	setting struct {
		ID          string      `json:"id"`
		Name        string      `json:"name"`
		DisplayName string      `json:"displayName"`
		Description string      `json:"description"`
		Resource    resource    `json:"resource"`
		Bool        *flag       `json:"boolValue,omitempty"`
		Choice      *options    `json:"singleChoiceValue,omitempty"`
		Collection  *options    `json:"multiChoiceCollectionValue,omitempty"`
		Permission  *permission `json:"permissionValue,omitempty"`
	}
	resource struct {
		Type string `json:"type"`
	}
	flag struct {
		Default bool   `json:"default"`
		Label   string `json:"label,omitempty"`
	}
	options struct {
		Options []option `json:"options"`
	}
	option struct {
		Key     string      `json:"key,omitempty"`
		Value   optionValue `json:"value"`
		Default bool        `json:"default,omitempty"`
		Display string      `json:"displayValue"`
	}
	optionValue struct {
		Text string `json:"stringValue,omitempty"`
		Bool *flag  `json:"boolValue,omitempty"`
	}
	permission struct {
		Operation  string `json:"operation"`
		Constraint string `json:"constraint"`
	}
)

var (
	system = resource{"TYPE_SYSTEM"}
	person = resource{"TYPE_USER"}
)

func permissionOf(p cloud.Privilege) permission {
	operation := "OPERATION_READWRITE"
	switch _, verb, _ := strings.Cut(p.Name, "."); verb {
	case "List":
		operation = "OPERATION_READ"
	case "Write":
		operation = "OPERATION_WRITE"
	case "Delete", "DeletePersonal", "DeleteProject":
		operation = "OPERATION_DELETE"
	}
	return permission{operation, "CONSTRAINT_" + strings.ToUpper(p.Scope.String())}
}

// roleBundle is a role with what it may.
func roleBundle(r cloud.Role) bundle {
	b := bundle{
		ID: r.ID, Name: r.Name, Type: "TYPE_ROLE", Extension: roleExtension, DisplayName: r.Display,
		Settings: []setting{}, Resource: system,
	}
	for p := range r.Privileges() {
		b.Settings = append(b.Settings, setting{
			ID: p.ID, Name: p.Name, DisplayName: p.Name, Resource: system,
			Permission: new(permissionOf(p)),
		})
	}
	return b
}

// texts say what each preference is about.
var texts = map[string][2]string{
	"language":                                   {"Language", "Language of the pages and of mail."},
	"disable-email-notifications":                {"No mail", "Do not send any mail about events."},
	"auto-accept-shares":                         {"Accept shares", "Show what others share at once, without asking."},
	"email-sending-interval-options":             {"Mail", "How often mail about events is sent."},
	"event-share-created-options":                {"Share received", "Somebody shared something with you."},
	"event-share-removed-options":                {"Share removed", "Something is no longer shared with you."},
	"event-share-expired-options":                {"Share expired", "The time of something that was shared with you is over."},
	"event-space-shared-options":                 {"Added to a space", "You have become a member of a space."},
	"event-space-unshared-options":               {"Removed from a space", "You are no longer a member of a space."},
	"event-space-membership-expired-options":     {"Membership expired", "The time of your membership in a space is over."},
	"event-space-disabled-options":               {"Space disabled", "A space of which you are a member was disabled."},
	"event-space-deleted-options":                {"Space deleted", "A space of which you were a member was deleted."},
	"event-postprocessing-step-finished-options": {"File rejected", "A file that you uploaded was not accepted."},
}

// words are those that can be chosen, as people read them.
var words = map[string]string{
	"instant": "At once", "daily": "Every day", "weekly": "Every week", "never": "Never", "in-app": "In the app", "mail": "Mail",
}

// languages are those that clients offer for User.Language; any other can be
// set, too.
var languages = []struct{ tag, name string }{
	{"en", "English"}, {"de", "Deutsch"}, {"bg", "български"}, {"cs", "Čeština"}, {"es", "Español"}, {"fr", "Français"}, {"gl", "Galego"},
	{"it", "Italiano"}, {"ko", "한국어"}, {"nl", "Nederlands"}, {"sq", "Shqip"}, {"sv", "Svenska"}, {"tr", "Türkçe"}, {"zh", "汉语"},
}

// profileBundle has the preferences that the user may choose.
func profileBundle(u *cloud.User) bundle {
	b := bundle{
		ID: profileID, Name: profileName, Type: "TYPE_DEFAULT", Extension: profileExtension, DisplayName: "Profile",
		Settings: []setting{}, Resource: system,
	}
	for _, p := range cloud.Preferences() {
		if !u.May(p.Needs) {
			continue
		}
		s := setting{ID: p.ID, Name: p.Name, DisplayName: texts[p.Name][0], Description: texts[p.Name][1], Resource: person}
		switch {
		case p.ID == cloud.PreferLanguage:
			s.Choice = &options{}
			for _, l := range languages {
				s.Choice.Options = append(s.Choice.Options, option{Value: optionValue{Text: l.tag}, Display: l.name})
			}
		case p.Default.Flag != nil:
			s.Bool = &flag{*p.Default.Flag, s.DisplayName}
		case p.Default.Flags != nil:
			s.Collection = &options{}
			for _, key := range slices.Sorted(maps.Keys(p.Default.Flags)) {
				s.Collection.Options = append(s.Collection.Options, option{
					Key: key, Value: optionValue{Bool: &flag{Default: p.Default.Flags[key]}}, Display: words[key],
				})
			}
		default: // clients take the first for the default
			s.Choice = &options{}
			for _, text := range p.Texts {
				s.Choice.Options = append(s.Choice.Options, option{Value: optionValue{Text: text}, Default: text == p.Default.Text, Display: words[text]})
			}
		}
		b.Settings = append(b.Settings, s)
	}
	return b
}
