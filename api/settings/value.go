package settings

import (
	"maps"
	"slices"

	"opencloud/cloud"
)

// The JSON of values.
type (
	named struct {
		Identifier identifier `json:"identifier"`
		Value      value      `json:"value"`
	}
	identifier struct {
		Extension string `json:"extension"`
		Bundle    string `json:"bundle"`
		Setting   string `json:"setting"`
	}
	value struct {
		ID         string      `json:"id"`
		Bundle     string      `json:"bundleId"`
		Setting    string      `json:"settingId"`
		Account    string      `json:"accountUuid"`
		Resource   resource    `json:"resource"`
		Bool       *bool       `json:"boolValue,omitempty"`
		Text       *string     `json:"stringValue,omitempty"`
		List       *listValue  `json:"listValue,omitempty"`
		Collection *collection `json:"collectionValue,omitempty"`
	}
	listValue struct {
		Values []listItem `json:"values"`
	}
	listItem struct {
		Text string `json:"stringValue"`
	}
	collection struct {
		Values []keyed `json:"values"`
	}
	keyed struct {
		Key  string `json:"key"`
		Bool bool   `json:"boolValue"`
	}
)

// nameValue is a choice of a user.
func nameValue(of cloud.UserID, p cloud.Preference, c cloud.Choice) named {
	v := value{
		ID:     cloud.UUIDOf(string(of) + ":" + p.ID).String(), // there is one for each
		Bundle: profileID, Setting: p.ID, Account: string(of), Resource: person, Bool: c.Flag,
	}
	switch {
	case p.ID == cloud.PreferLanguage:
		v.List = &listValue{[]listItem{{c.Text}}}
	case c.Flags != nil:
		v.Collection = &collection{[]keyed{}}
		for _, key := range slices.Sorted(maps.Keys(c.Flags)) {
			v.Collection.Values = append(v.Collection.Values, keyed{key, c.Flags[key]})
		}
	case c.Flag == nil:
		v.Text = &c.Text
	}
	return named{identifier{profileExtension, profileName, p.Name}, v}
}

// choice is what a client wants.
func (v *value) choice() (c cloud.Choice, err error) {
	given := 0
	if v.Bool != nil {
		c.Flag = v.Bool
		given++
	}
	if v.Text != nil {
		c.Text = *v.Text
		given++
	}
	if v.List != nil && len(v.List.Values) == 1 {
		c.Text = v.List.Values[0].Text
		given++
	}
	if v.Collection != nil {
		c.Flags = map[string]bool{}
		for _, k := range v.Collection.Values {
			c.Flags[k.Key] = k.Bool
		}
		given++
	}
	if given != 1 {
		return c, cloud.Refuse(cloud.Invalid, "A setting has one value.")
	}
	return c, nil
}
