package page

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// words are what the pages say in one language.
type words struct {
	Tag string // of the language (BCP 47)

	SignIn, ToUse, UserName, Password, Remember          string
	Wrong, Throttled, Expired, Broken                    string
	Welcome, SignedInAs, Wants, GoOn                     string
	SomebodyElse, Cancel                                 string
	SignOut, SignedOut, SignedOutMore, SignInAgain       string
	Second, SecondMore, SecondKey, Code, WrongCode, Next string
	Security, SetUp, TurnOff, Renew, Back                string
	Apps, AppsOff, AppsOn, Few, ToChange                 string
	Scan, OrType, OpenApp, Paper, PaperMore, Done        string
	Keys, WithKey, AddKey, Forget, WrongKey, KeysMore    string
	Passkey, KeyName, Save, Added, Used                  string
	Demand, DemandMore, Needed                           string
	Places, PlacesMore, Here, Unknown, Since             string
	End, EndOthers                                       string
	Failed, Begin                                        string

	Left                     string // with the number of recovery codes
	Now                      string
	Minutes, Hours, Days, On string // with a number, or the day
	Date                     string // how a day is written

	refusals map[string]string // by code; else the sentence of the refusal
}

// catalog has the language for those who understand none of the others first.
var catalog = []words{
	{
		Tag:    "en",
		SignIn: "Sign in", ToUse: "to use", UserName: "User name or e-mail", Password: "Password", Remember: "Stay signed in on this device",
		Wrong:     "The user name or the password is not right. Check both and try again.",
		Throttled: "Too many attempts to sign in. Wait a minute and try again.",
		Expired:   "This page has been open for too long, or your browser blocks cookies. Allow them for this site and sign in again.",
		Broken:    "The server cannot do this right now. Try again in a moment, and tell your administrator if it stays.",
		Welcome:   "Welcome back", SignedInAs: "You are signed in as", Wants: "wants to see and change your files. Go on only if you have just opened it.", GoOn: "Continue",
		SomebodyElse: "Use another account", Cancel: "Cancel",
		SignOut: "Sign out", SignedOut: "You are signed out", SignedOutMore: "You can close this page.", SignInAgain: "Sign in again",
		Second: "Enter your code", SecondMore: "Open the app that shows your codes, or take one of your recovery codes.",
		SecondKey: "Your password was right. Show that it is you with your passkey, too.",
		Code:      "Code", WrongCode: "The code is not right, or was used before. Wait for the next one and try again.", Next: "Continue",
		Security: "Sign-in and security", SetUp: "Set up an app for codes", TurnOff: "Turn off", Renew: "New recovery codes", Back: "Back to your files",
		Apps: "Codes of an app", AppsOff: "An authenticator app shows a code that is asked for after your password, so that a stolen password is of no use.",
		AppsOn: "After your password you are asked for a code. Set up", Few: "Make new ones before you run out.", ToChange: "A code, to change this",
		Scan: "Scan this picture with an authenticator app, and enter the code that it shows.", OrType: "Or type this key into the app:", OpenApp: "Open the app on this device",
		Paper: "Your recovery codes", PaperMore: "Each of them signs you in once if you lose the app. Keep them in a safe place: they are not shown again.", Done: "I have kept them",
		Keys: "Passkeys", WithKey: "Sign in with a passkey", AddKey: "Add a passkey", Forget: "Remove",
		WrongKey: "This passkey does not work here. Sign in with your password, or try another one.",
		KeysMore: "With a passkey you sign in by finger, face or PIN of your device, without a password.",
		Passkey:  "Passkey", KeyName: "Name of the passkey", Save: "Rename", Added: "added", Used: "last used",
		Demand: "Protect your account", DemandMore: "Your password alone is not enough here. Add something that only you have: it takes a minute, and is asked for when you sign in.",
		Needed: "You need a second factor here. Add another one before you take this one away.",
		Places: "Where you are signed in", PlacesMore: "Is there a device that you do not know? Sign it out, and change your password.", Here: "This browser", Unknown: "Unknown device", Since: "signed in",
		End: "Sign out", EndOthers: "Sign out everywhere else",
		Failed: "This did not work", Begin: "Go to the start page",
		Left: "Recovery codes left: %d of 10.", Now: "just now", Minutes: "%d minutes ago", Hours: "%d hours ago", Days: "%d days ago", On: "on %s", Date: "2 January 2006",
	},
	{
		Tag:    "de",
		SignIn: "Anmelden", ToUse: "für", UserName: "Benutzername oder E-Mail", Password: "Passwort", Remember: "Auf diesem Gerät angemeldet bleiben",
		Wrong:     "Benutzername oder Passwort stimmt nicht. Prüfen Sie beides und versuchen Sie es noch einmal.",
		Throttled: "Zu viele Anmeldeversuche. Warten Sie eine Minute und versuchen Sie es dann noch einmal.",
		Expired:   "Diese Seite war zu lange offen, oder der Browser blockiert Cookies. Erlauben Sie sie für diese Seite und melden Sie sich noch einmal an.",
		Broken:    "Der Server kann das gerade nicht. Versuchen Sie es gleich noch einmal, und wenden Sie sich an Ihre Administration, wenn es so bleibt.",
		Welcome:   "Willkommen zurück", SignedInAs: "Sie sind angemeldet als", Wants: "möchte Ihre Dateien sehen und ändern. Fahren Sie nur fort, wenn Sie das Programm gerade geöffnet haben.", GoOn: "Weiter",
		SomebodyElse: "Anderes Konto verwenden", Cancel: "Abbrechen",
		SignOut: "Abmelden", SignedOut: "Sie sind abgemeldet", SignedOutMore: "Sie können diese Seite schließen.", SignInAgain: "Neu anmelden",
		Second: "Code eingeben", SecondMore: "Öffnen Sie die App, die Ihre Codes anzeigt, oder nehmen Sie einen Ihrer Wiederherstellungscodes.",
		SecondKey: "Ihr Passwort stimmt. Zeigen Sie jetzt noch mit Ihrem Passkey, dass Sie es sind.",
		Code:      "Code", WrongCode: "Der Code stimmt nicht oder wurde schon benutzt. Warten Sie auf den nächsten und versuchen Sie es noch einmal.", Next: "Weiter",
		Security: "Anmeldung und Sicherheit", SetUp: "App für Codes einrichten", TurnOff: "Ausschalten", Renew: "Neue Wiederherstellungscodes", Back: "Zurück zu Ihren Dateien",
		Apps: "Codes einer App", AppsOff: "Eine Authenticator-App zeigt einen Code, nach dem Sie zusätzlich zum Passwort gefragt werden. Ein gestohlenes Passwort nützt dann nichts.",
		AppsOn: "Nach dem Passwort werden Sie nach einem Code gefragt. Eingerichtet", Few: "Machen Sie neue, bevor sie ausgehen.", ToChange: "Ein Code, um das zu ändern",
		Scan: "Scannen Sie dieses Bild mit einer Authenticator-App und geben Sie den Code ein, den sie anzeigt.", OrType: "Oder tippen Sie diesen Schlüssel in die App:", OpenApp: "App auf diesem Gerät öffnen",
		Paper: "Ihre Wiederherstellungscodes", PaperMore: "Mit jedem können Sie sich einmal anmelden, wenn die App verloren geht. Bewahren Sie sie sicher auf: Sie werden nicht noch einmal angezeigt.", Done: "Ich habe sie aufbewahrt",
		Keys: "Passkeys", WithKey: "Mit Passkey anmelden", AddKey: "Passkey hinzufügen", Forget: "Entfernen",
		WrongKey: "Dieser Passkey funktioniert hier nicht. Melden Sie sich mit Ihrem Passwort an oder versuchen Sie einen anderen.",
		KeysMore: "Mit einem Passkey melden Sie sich mit Finger, Gesicht oder PIN Ihres Geräts an, ohne Passwort.",
		Passkey:  "Passkey", KeyName: "Name des Passkeys", Save: "Umbenennen", Added: "hinzugefügt", Used: "zuletzt benutzt",
		Demand: "Schützen Sie Ihr Konto", DemandMore: "Das Passwort allein genügt hier nicht. Fügen Sie etwas hinzu, das nur Sie haben: Es dauert eine Minute und wird bei der Anmeldung verlangt.",
		Needed: "Sie brauchen hier einen zweiten Faktor. Fügen Sie einen anderen hinzu, bevor Sie diesen wegnehmen.",
		Places: "Wo Sie angemeldet sind", PlacesMore: "Ist ein Gerät dabei, das Sie nicht kennen? Melden Sie es ab und ändern Sie Ihr Passwort.", Here: "Dieser Browser", Unknown: "Unbekanntes Gerät", Since: "angemeldet",
		End: "Abmelden", EndOthers: "Überall sonst abmelden",
		Failed: "Das hat nicht geklappt", Begin: "Zur Startseite",
		Left: "Wiederherstellungscodes übrig: %d von 10.", Now: "gerade eben", Minutes: "vor %d Minuten", Hours: "vor %d Stunden", Days: "vor %d Tagen", On: "am %s", Date: "02.01.2006",
		refusals: map[string]string{
			"not_found":       "Hier ist nichts.",
			"invalid_client":  "Das Programm, das Sie hergeschickt hat, ist hier nicht bekannt. Beginnen Sie noch einmal von vorn.",
			"invalid_request": "Das Programm, das Sie hergeschickt hat, hat etwas Ungültiges verlangt. Beginnen Sie noch einmal von vorn.",
		},
	},
}

// about says what is wrong, and what to do.
func (w *words) about(what Problem) string {
	return [...]string{None: "", Wrong: w.Wrong, Throttled: w.Throttled, Expired: w.Expired, Broken: w.Broken, WrongCode: w.WrongCode, WrongKey: w.WrongKey, Needed: w.Needed}[what]
}

func (w *words) refused(code, say string) string {
	if text, ok := w.refusals[code]; ok {
		return text
	}
	return say
}

// Languages are the tags of those that the pages know.
func Languages() (tags []string) {
	for _, w := range catalog {
		tags = append(tags, w.Tag)
	}
	return tags
}

// wordsFor is in the language that the client asks for, or else the browser.
func wordsFor(r *http.Request, query string) words {
	if q, err := url.ParseQuery(query); err == nil && len(query) <= 8<<10 {
		for tag := range strings.FieldsSeq(q.Get("ui_locales")) {
			if w := inLanguage(tag); w != nil {
				return *w
			}
		}
	}
	best, weight := &catalog[0], 0.0
	accept := r.Header.Get("Accept-Language")
	for part := range strings.SplitSeq(accept[:min(len(accept), 1000)], ",") {
		tag, params, _ := strings.Cut(part, ";")
		q := 1.0
		if text, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			q, _ = strconv.ParseFloat(text, 64)
		}
		if w := inLanguage(strings.TrimSpace(tag)); w != nil && q > weight {
			best, weight = w, q
		}
	}
	return *best
}

// inLanguage knows "de" and all of its kinds.
func inLanguage(tag string) *words {
	primary, _, _ := strings.Cut(tag, "-")
	i := slices.IndexFunc(catalog, func(w words) bool { return strings.EqualFold(w.Tag, primary) })
	if i < 0 {
		return nil
	}
	return &catalog[i]
}
