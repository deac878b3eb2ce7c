package page

import (
	"reflect"
	"testing"
)

func TestFormAction(t *testing.T) {
	for address, want := range map[string]string{
		"http://127.0.0.1:43210":   "'self' http://127.0.0.1:43210",
		"http://[::1]:1":           "'self' http:",
		"oc://ios.opencloud.eu":    "'self' oc:",
		"x-app:callback":           "'self' x-app:",
		"https://a.example?x=y":    "'self' https://a.example",
		"https://a.example/b;c d'": "'self' https://a.example",
		"":                         "'self'",
	} {
		if got := formAction(address); got != want {
			t.Errorf("form-action for %q: %q, want %q", address, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, w := range catalog {
		if got := w.blanks(); got != nil {
			t.Errorf("%s lacks %v", w.Tag, got)
		}
	}
}

// blanks are the texts that a language does not have.
func (w words) blanks() (missing []string) {
	v := reflect.ValueOf(w)
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.String && f.String() == "" {
			missing = append(missing, v.Type().Field(i).Name)
		}
	}
	return missing
}

func TestKeyURI(t *testing.T) {
	got := keyURI("Open Cloud", "ada&bob@x", make([]byte, 20))
	want := "otpauth://totp/Open%20Cloud:ada&bob@x?issuer=Open%20Cloud&secret=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
