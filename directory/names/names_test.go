package names

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFoldIsEqualFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]rune("aAkKKsSſßẞiIıİµμΜσςΣåÅÅ1é"))
		a := rapid.StringOfN(letters, 0, 4, -1).Draw(t, "a")
		b := rapid.StringOfN(letters, 0, 4, -1).Draw(t, "b")
		if got, want := Fold(a) == Fold(b), strings.EqualFold(a, b); got != want {
			t.Fatalf("Fold(%q)=%q, Fold(%q)=%q, EqualFold %v", a, Fold(a), b, Fold(b), want)
		}
	})
}
