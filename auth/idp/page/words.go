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
	Second, SecondMore, Code, WrongCode, Next            string
	Security, Off, On, SetUp, TurnOff, Renew, Back       string
	Scan, OrType, OpenApp, Paper, PaperMore, Done        string
	WithKey, AddKey, Forget, KeyMade, WrongKey, KeysMore string
	Failed, Begin                                        string

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
		Code: "Code", WrongCode: "The code is not right, or was used before. Wait for the next one and try again.", Next: "Continue",
		Security: "Sign-in security", Off: "Your account is protected by your password alone. Add a second factor, so that a stolen password is of no use.",
		On:    "Your account is protected by your password and the codes of an app. Enter a code to change that.",
		SetUp: "Set up an app for codes", TurnOff: "Turn off", Renew: "New recovery codes", Back: "Back",
		Scan: "Scan this picture with an authenticator app, and enter the code that it shows.", OrType: "Or type this key into the app:", OpenApp: "Open the app on this device",
		Paper: "Your recovery codes", PaperMore: "Each of them signs you in once if you lose the app. Keep them in a safe place: they are not shown again.", Done: "I have kept them",
		WithKey: "Sign in with a passkey", AddKey: "Add a passkey", Forget: "Remove", KeyMade: "Passkey of",
		WrongKey: "This passkey does not work here. Sign in with your password, or try another one.",
		KeysMore: "With a passkey you sign in by finger, face or PIN of your device, without a password.",
		Failed:   "This did not work", Begin: "Go to the start page",
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
		Code: "Code", WrongCode: "Der Code stimmt nicht oder wurde schon benutzt. Warten Sie auf den nächsten und versuchen Sie es noch einmal.", Next: "Weiter",
		Security: "Sicherheit der Anmeldung", Off: "Ihr Konto ist nur durch Ihr Passwort geschützt. Fügen Sie einen zweiten Faktor hinzu, damit ein gestohlenes Passwort nichts nützt.",
		On:    "Ihr Konto ist durch Ihr Passwort und die Codes einer App geschützt. Geben Sie einen Code ein, um das zu ändern.",
		SetUp: "App für Codes einrichten", TurnOff: "Ausschalten", Renew: "Neue Wiederherstellungscodes", Back: "Zurück",
		Scan: "Scannen Sie dieses Bild mit einer Authenticator-App und geben Sie den Code ein, den sie anzeigt.", OrType: "Oder tippen Sie diesen Schlüssel in die App:", OpenApp: "App auf diesem Gerät öffnen",
		Paper: "Ihre Wiederherstellungscodes", PaperMore: "Mit jedem können Sie sich einmal anmelden, wenn die App verloren geht. Bewahren Sie sie sicher auf: Sie werden nicht noch einmal angezeigt.", Done: "Ich habe sie aufbewahrt",
		WithKey: "Mit Passkey anmelden", AddKey: "Passkey hinzufügen", Forget: "Entfernen", KeyMade: "Passkey vom",
		WrongKey: "Dieser Passkey funktioniert hier nicht. Melden Sie sich mit Ihrem Passwort an oder versuchen Sie einen anderen.",
		KeysMore: "Mit einem Passkey melden Sie sich mit Finger, Gesicht oder PIN Ihres Geräts an, ohne Passwort.",
		Failed:   "Das hat nicht geklappt", Begin: "Zur Startseite",
		refusals: map[string]string{
			"not_found":       "Hier ist nichts.",
			"invalid_client":  "Das Programm, das Sie hergeschickt hat, ist hier nicht bekannt. Beginnen Sie noch einmal von vorn.",
			"invalid_request": "Das Programm, das Sie hergeschickt hat, hat etwas Ungültiges verlangt. Beginnen Sie noch einmal von vorn.",
		},
	},
}

// about says what is wrong, and what to do.
func (w *words) about(what Problem) string {
	return [...]string{None: "", Wrong: w.Wrong, Throttled: w.Throttled, Expired: w.Expired, Broken: w.Broken, WrongCode: w.WrongCode, WrongKey: w.WrongKey}[what]
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
