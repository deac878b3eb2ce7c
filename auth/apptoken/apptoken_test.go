package apptoken

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"opencloud/cloud"
	"opencloud/directory/mem"
)

const adaID, bobID cloud.UserID = "a1111111-0000-4000-8000-000000000001", "uid=bob,ou=people"

var quiet = slog.New(slog.DiscardHandler)

func house(t testing.TB) (*Store, *mem.Directory) {
	t.Helper()
	dir := mem.New(&cloud.User{ID: adaID, Name: "ada"}, &cloud.User{ID: bobID, Name: "bob"})
	s, err := Open(filepath.Join(t.TempDir(), "system", "app-tokens"), dir, Options{Generator: Diceware}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func (s *Store) mustMake(t testing.TB, of cloud.UserID, label string, life time.Duration) (cloud.AppToken, string) {
	t.Helper()
	tok, secret, err := s.MakeAppToken(t.Context(), of, label, life)
	if err != nil {
		t.Fatal(err)
	}
	return tok, secret
}

func (s *Store) good(t testing.TB, name, secret string) bool {
	t.Helper()
	u, err := s.Owner(t.Context(), name, secret)
	if err != nil && cloud.KindOf(err) != cloud.Unauthorized {
		t.Fatal(err)
	}
	if err == nil && !strings.EqualFold(u.Name, name) {
		t.Fatalf("the token of %s is %s's", name, u.Name)
	}
	return err == nil
}

func TestLife(t *testing.T) {
	s, dir := house(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		made, secret := s.mustMake(t, adaID, "rclone", 72*time.Hour)
		want := cloud.AppToken{Label: "rclone", Made: began, Expires: began.Add(72 * time.Hour)}
		if diff := cmp.Diff(want, made, cmpopts.IgnoreFields(cloud.AppToken{}, "ID"), cmpopts.EquateApproxTime(time.Second)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Second)
		later, _ := s.mustMake(t, adaID, "", time.Minute)
		_, bobs := s.mustMake(t, bobID, "", time.Hour)
		list := func() []cloud.AppToken {
			all, err := s.AppTokens(t.Context(), adaID)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		if diff := cmp.Diff([]cloud.AppToken{later, made}, list()); diff != "" {
			t.Error(diff)
		}
		var labels []string
		for c, err := range s.List(t.Context(), adaID) {
			if err != nil || c.Kind != "app token" || c.Expires.IsZero() {
				t.Errorf("List: got %+v, %v", c, err)
			}
			labels = append(labels, c.Label)
		}
		if diff := cmp.Diff([]string{"", "rclone"}, labels); diff != "" {
			t.Error(diff)
		}
		for _, c := range []struct {
			name, secret string
			want         bool
		}{
			{"ada", secret, true}, {"ADA", strings.ToUpper(secret), true}, {"ada", strings.ReplaceAll(secret, "-", ""), true},
			{"ada", " " + strings.ReplaceAll(secret, "-", " "), true},
			{"bob", secret, false}, {"nobody", secret, false}, {"", secret, false},
			{"ada", bobs, false}, {"bob", bobs, true},
			{"ada", "", false}, {"ada", made.ID, false}, {"ada", secret[1:], false}, {"ada", secret + "b", false}, {"ada", secret + "!", false},
			{"ada", strings.Repeat("-", 1000) + secret, false},
		} {
			if got := s.good(t, c.name, c.secret); got != c.want {
				t.Errorf("%s with %q: %v, want %v", c.name, c.secret, got, c.want)
			}
		}
		// Used: to the hour, and not before it was.
		if got := list(); !got[0].Used.IsZero() || got[1].Used.IsZero() {
			t.Errorf("used: %v and %v", got[0].Used, got[1].Used)
		}
		used := list()[1].Used
		time.Sleep(usedAt - time.Second)
		s.good(t, "ada", secret)
		if got := list()[1].Used; !got.Equal(used) {
			t.Errorf("used at %v, noted again at %v", used, got)
		}
		time.Sleep(time.Second)
		s.good(t, "ada", secret)
		if got := list()[1].Used; !got.Equal(used.Add(usedAt)) {
			t.Errorf("used %v after %v", got.Sub(used), used)
		}

		ada, _ := dir.User(t.Context(), "name", "ada")
		for _, disabled := range []bool{true, false} {
			ada.Disabled = disabled
			if _, err := dir.SetUser(t.Context(), ada, ""); err != nil {
				t.Fatal(err)
			}
			if got := s.good(t, "ada", secret); got == disabled {
				t.Errorf("disabled %v: let in %v", disabled, got)
			}
		}
		if err := s.SignOut(t.Context(), adaID); err != nil || !s.good(t, "ada", secret) {
			t.Errorf("after signing out: %v", err)
		}
		for _, c := range []struct {
			of   cloud.UserID
			id   string
			want error
		}{
			{bobID, made.ID, cloud.NotExist}, {adaID, "../x", cloud.NotExist}, {adaID, "", cloud.NotExist}, {adaID, strings.ToUpper(made.ID), cloud.NotExist},
			{adaID, made.ID, nil}, {adaID, made.ID, cloud.NotExist},
		} {
			if err := s.RevokeAppToken(t.Context(), c.of, c.id); c.want == nil && err != nil || c.want != nil && cloud.KindOf(err) != c.want {
				t.Errorf("revoking %q of %s: %v, want %v", c.id, c.of, err, c.want)
			}
		}
		if s.good(t, "ada", secret) {
			t.Error("a revoked token is good")
		}
		_, third := s.mustMake(t, adaID, "", 10*time.Second)
		time.Sleep(9 * time.Second)
		if !s.good(t, "ada", third) {
			t.Error("refused before its time")
		}
		time.Sleep(time.Second)
		if s.good(t, "ada", third) {
			t.Error("good after its time")
		}
		if err := s.Forget(t.Context(), bobID); err != nil || s.good(t, "bob", bobs) {
			t.Errorf("forgotten: %v", err)
		}
		if err := s.Forget(t.Context(), bobID); err != nil {
			t.Errorf("forgotten twice: %v", err)
		}
		if err := dir.RemoveUser(t.Context(), adaID); err != nil || s.good(t, "ada", secret) {
			t.Errorf("of a user who is gone: %v", err)
		}
	})
}

func TestBounds(t *testing.T) {
	s, _ := house(t)
	for _, life := range []time.Duration{0, -time.Hour, cloud.MaxAppTokenLife + 1} {
		if _, _, err := s.MakeAppToken(t.Context(), adaID, "", life); cloud.KindOf(err) != cloud.Invalid {
			t.Errorf("for %v: %v", life, err)
		}
	}
	for _, label := range []string{strings.Repeat("x", cloud.MaxLabel+1), "a\nb", "\xff", "\x00"} {
		if _, _, err := s.MakeAppToken(t.Context(), adaID, label, time.Hour); cloud.KindOf(err) != cloud.Invalid {
			t.Errorf("label %.20q: %v", label, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		for i := range cloud.MaxAppTokens {
			life := time.Hour
			if i == 50 {
				life = time.Second
			}
			s.mustMake(t, adaID, fmt.Sprint(i), life)
		}
		if _, _, err := s.MakeAppToken(t.Context(), adaID, "", time.Hour); cloud.KindOf(err) != cloud.Full {
			t.Errorf("one too many: %v", err)
		}
		s.mustMake(t, bobID, "", time.Hour)
		time.Sleep(time.Second)
		s.mustMake(t, adaID, "in the place of the one that expired", time.Hour)
		if all, err := s.AppTokens(t.Context(), adaID); err != nil || len(all) != cloud.MaxAppTokens {
			t.Errorf("%d, %v", len(all), err)
		}
	})
	if _, err := Open(t.TempDir(), nil, Options{Generator: "dice"}, quiet); cloud.KindOf(err) != cloud.Invalid {
		t.Errorf("an unknown generator: %v", err)
	}
}

// What both generators make has the form they promise, and is never the same.
func TestGenerators(t *testing.T) {
	forms := map[Generator]*regexp.Regexp{
		Diceware: regexp.MustCompile(`^([bdfghjklmnprstvz][aiou][bdfghjklmnprstvz][aiou][bdfghjklmnprstvz]-){5}[bdfghjklmnprstvz][aiou][bdfghjklmnprstvz][aiou][bdfghjklmnprstvz]$`),
		Random:   regexp.MustCompile(`^[a-z2-7]{26}$`),
	}
	for g, form := range forms {
		seen := map[string]bool{}
		letters := map[byte]int{}
		for range 2000 {
			secret := g.secret()
			if _, ok := plain(secret); !ok || !form.MatchString(secret) || seen[secret] {
				t.Fatalf("%s: %q", g, secret)
			}
			seen[secret] = true
			letters[secret[0]]++
		}
		if g == Diceware && len(letters) != len(consonants) {
			t.Errorf("only %d first letters", len(letters))
		}
	}
	if len(consonants) != 16 || len(vowels) != 4 {
		t.Errorf("%d consonants and %d vowels: fewer bits than it says", len(consonants), len(vowels))
	}
}

// Whatever a crash leaves of a file, nobody comes in by it, and nobody else is
// kept out.
func TestTornFiles(t *testing.T) {
	s, _ := house(t)
	torn, secret := s.mustMake(t, adaID, "torn", time.Hour)
	_, whole := s.mustMake(t, adaID, "whole", time.Hour)
	path := filepath.Join(s.folder(adaID), torn.ID+suffix)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, now []byte, want bool) {
		t.Helper()
		if err := os.WriteFile(path, now, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := s.good(t, "ada", secret); got != want {
			t.Errorf("%s: let in %v, want %v", what, got, want)
		}
		if !s.good(t, "ada", whole) {
			t.Errorf("%s: the other token is refused", what)
		}
		all, err := s.AppTokens(t.Context(), adaID)
		if n := 1 + map[bool]int{true: 1}[want]; err != nil || len(all) != n {
			t.Errorf("%s: lists %d, %v; want %d", what, len(all), err, n)
		}
	}
	last := len(body) - 1 // the newline may be missing
	for n := range last {
		check(fmt.Sprintf("cut at %d", n), body[:n], false)
	}
	check("without newline", body[:last], true)
	check("zeros", make([]byte, len(body)), false)
	check("too large", append(body, make([]byte, maxFile)...), false)
	check("of somebody else", []byte(strings.Replace(string(body), string(adaID), string(bobID), 1)), false)
	check("as it was", body, true)
	if err := os.WriteFile(path+".new", body[:10], 0o600); err != nil {
		t.Fatal(err)
	}
	check("one half written beside it", body, true)
	// A link leads nowhere.
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if s.good(t, "ada", secret) {
		t.Error("a link is followed")
	}
}

// The files are plain, private, and hold no secret.
func TestSecretsAtRest(t *testing.T) {
	s, _ := house(t)
	tok, secret := s.mustMake(t, adaID, "my phone", time.Hour)
	path := filepath.Join(s.folder(adaID), tok.ID+suffix)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := plain(secret)
	for _, hidden := range []string{secret, text, secret[:5]} {
		if strings.Contains(path+string(body), hidden) {
			t.Errorf("%s holds the secret", path)
		}
	}
	if !strings.Contains(string(body), "my phone") {
		t.Errorf("a person learns nothing from %s", body)
	}
	for p := path; p != filepath.Dir(s.path); p = filepath.Dir(p) {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", p, info.Mode(), err)
		}
	}
}

// Another process makes and revokes while this one serves.
func TestTwoProcesses(t *testing.T) {
	here, dir := house(t)
	there, err := Open(here.path, dir, here.opts, quiet)
	if err != nil {
		t.Fatal(err)
	}
	tok, secret := there.mustMake(t, adaID, "", time.Hour)
	if !here.good(t, "ada", secret) {
		t.Error("made there, refused here")
	}
	if err := there.RevokeAppToken(t.Context(), adaID, tok.ID); err != nil {
		t.Fatal(err)
	}
	if here.good(t, "ada", secret) {
		t.Error("revoked there, good here")
	}
}

// Whatever is made and revoked in whatever order, exactly what is left is good.
func TestModel(t *testing.T) {
	s, _ := house(t)
	names := map[cloud.UserID]string{adaID: "ada", bobID: "bob"}
	rapid.Check(t, func(rt *rapid.T) {
		type made struct{ id, secret string }
		left := map[cloud.UserID][]made{}
		users := rapid.SampledFrom([]cloud.UserID{adaID, bobID})
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			of := users.Draw(rt, "user")
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0, 1, 2:
				tok, secret := s.mustMake(t, of, "", time.Hour)
				left[of] = append(left[of], made{tok.ID, secret})
			case 3:
				if n := len(left[of]); n > 0 {
					i := rapid.IntRange(0, n-1).Draw(rt, "which")
					if err := s.RevokeAppToken(t.Context(), of, left[of][i].id); err != nil {
						rt.Fatal(err)
					}
					if s.good(t, names[of], left[of][i].secret) {
						rt.Fatal("revoked and good")
					}
					left[of] = append(left[of][:i], left[of][i+1:]...)
				}
			case 4:
				if err := s.Forget(t.Context(), of); err != nil {
					rt.Fatal(err)
				}
				left[of] = nil
			}
			for of, name := range names {
				all, err := s.AppTokens(t.Context(), of)
				if err != nil || len(all) != len(left[of]) {
					rt.Fatalf("%s has %d, %v; want %d", name, len(all), err, len(left[of]))
				}
				for _, m := range left[of] {
					for other, otherName := range names {
						if got := s.good(t, otherName, m.secret); got != (other == of) {
							rt.Fatalf("a token of %s lets %s in: %v", name, otherName, got)
						}
					}
				}
			}
		}
		for of := range names {
			if err := s.Forget(t.Context(), of); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// No text but the token and its spellings is the token.
func FuzzPlain(f *testing.F) {
	secret := Diceware.secret()
	f.Add(secret)
	f.Add(strings.ToUpper(Random.secret()))
	f.Add(strings.ReplaceAll(secret, "-", " "))
	f.Add("correct horse battery staple more")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := plain(text)
		if !ok {
			return
		}
		if strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || len(got) != randomChars && len(got) != wordLetters*wordsOfToken {
			t.Fatalf("plain(%q) = %q", text, got)
		}
		if again, ok := plain(got); !ok || again != got {
			t.Fatalf("plain(%q) = %q", got, again)
		}
		stripped := strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(text))
		if stripped != got {
			t.Fatalf("plain(%q) = %q, want %q", text, got, stripped)
		}
	})
}

func BenchmarkOwner(b *testing.B) {
	s, _ := house(b)
	for range cloud.MaxAppTokens - 1 {
		s.mustMake(b, adaID, "", time.Hour)
	}
	_, secret := s.mustMake(b, adaID, "", time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Owner(b.Context(), "ada", secret); err != nil {
			b.Fatal(err)
		}
	}
}

// What root makes by the command line belongs to whom the server runs as.
func TestFilesBelongToTheServer(t *testing.T) {
	s, _ := house(t)
	uid := os.Geteuid()
	if uid == 0 { // anybody else can only see that nothing breaks
		uid = 12345
		if err := os.Chown(s.path, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	tok, _ := s.mustMake(t, adaID, "", time.Hour)
	for _, name := range []string{s.folder(adaID), filepath.Join(s.folder(adaID), tok.ID+suffix)} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != uid {
			t.Errorf("%s belongs to %d, want %d", name, got, uid)
		}
	}
}
