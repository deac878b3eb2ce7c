package page

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
)

// An Account is how and where somebody signs in.
type Account struct {
	User     *cloud.User
	Sessions []cloud.Session
	Here     string // id of the session that looks
	Factors  []cloud.Factor
	Keep     bool // the last factor may not be taken away
}

// accountPart is an Account as people see it.
type accountPart struct {
	Keys     []keyRow
	HasCodes bool
	Since    string // the app for codes was set up
	Left     string // recovery codes
	Few      bool
	Keep     bool
	Sessions []sessionRow
	Others   bool // there is another session
}

type keyRow struct{ ID, Name, Typed, Said string }

type sessionRow struct {
	ID, Name, Said string
	Here, App      bool
}

// ShowSecurity shows an account, and offers to change it.
func (v *Pages) ShowSecurity(w http.ResponseWriter, r *http.Request, a Account, what Problem) {
	p := page{words: wordsFor(r, ""), Action: v.Base + v.Options.Security, Token: v.token(w, r), User: nameOf(a.User), Other: v.Base + "/", KeyAction: v.Base + v.End}
	p.Title, p.Message = p.Security, p.about(what)
	p.Key = v.newKey(p.Token, a.User, a.Factors)
	p.Account = p.account(a, time.Now())
	v.show(w, "security", statuses[what], "'self'", p)
}

// account says an account in words.
func (w *words) account(a Account, now time.Time) *accountPart {
	x := &accountPart{Keep: a.Keep}
	for _, f := range a.Factors {
		switch f.Kind {
		case cloud.Passkey:
			row := keyRow{f.ID, cmp.Or(f.Name, w.Passkey), f.Name, w.Added + " " + w.ago(f.Made, now)}
			if !f.Used.IsZero() {
				row.Said += " · " + w.Used + " " + w.ago(f.Used, now)
			}
			x.Keys = append(x.Keys, row)
		case cloud.Codes:
			x.HasCodes, x.Since = true, w.ago(f.Made, now)
		case cloud.Recovery:
			x.Left, x.Few = fmt.Sprintf(w.Left, f.Left), f.Left <= 3
		}
	}
	all := slices.Clone(a.Sessions)
	slices.SortFunc(all, func(s, t cloud.Session) int {
		if s.ID == a.Here || t.ID == a.Here {
			return cmp.Compare(rank(t.ID == a.Here), rank(s.ID == a.Here))
		}
		return cmp.Or(t.Seen.Compare(s.Seen), cmp.Compare(s.ID, t.ID))
	})
	for _, s := range all {
		row := sessionRow{ID: s.ID, Name: cmp.Or(s.Device, w.Unknown), Here: s.ID == a.Here, App: s.App != ""}
		if s.App != "" {
			row.Name = s.App
			if s.Device != "" && !strings.Contains(s.App, s.Device) {
				row.Name += ", " + s.Device
			}
		}
		row.Said = w.Since + " " + w.ago(s.Began, now) + " · " + w.Used + " " + w.ago(s.Seen, now)
		if s.From != "" {
			row.Said += " · " + s.From
		}
		x.Sessions = append(x.Sessions, row)
		x.Others = x.Others || !row.Here
	}
	return x
}

func rank(first bool) int {
	if first {
		return 1
	}
	return 0
}

// ago is how long a time is past, or its day when that is long.
func (w *words) ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d < 2*time.Minute:
		return w.Now
	case d < 2*time.Hour:
		return fmt.Sprintf(w.Minutes, int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf(w.Hours, int(d/time.Hour))
	case d < 30*24*time.Hour:
		return fmt.Sprintf(w.Days, int(d/(24*time.Hour)))
	}
	return fmt.Sprintf(w.On, t.UTC().Format(w.Date))
}
