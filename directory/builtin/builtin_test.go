package builtin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"opencloud/cloud"
	"opencloud/directory/names"
)

// cheap keeps the tests fast; the cost itself is the business of argon2.
var cheap = Options{Memory: 8, Time: 1, Threads: 1, Remember: 5 * time.Minute}

func open(t testing.TB, path string) *Directory {
	t.Helper()
	d, err := Open(path, cheap)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func set(t testing.TB, d *Directory, u cloud.User, password string) *cloud.User {
	t.Helper()
	got, err := d.SetUser(t.Context(), &u, password)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestFileIsPlainAndPrivate(t *testing.T) {
	dir := t.TempDir()
	u := set(t, open(t, dir), cloud.User{Name: "marie", Display: "Marie Curie", Mail: "marie@example.org", Role: cloud.RoleAdmin}, "radium")
	name := filepath.Join(dir, "users", string(u.ID)+".json")
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode().Perm(), os.FileMode(0o600); got != want {
		t.Errorf("mode %v, want %v", got, want)
	}
	body, _ := os.ReadFile(name)
	var a record
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*u, a.User); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(a.Password, "$argon2id$v=19$m=8,t=1,p=1$") || bytes.Contains(body, []byte("radium")) {
		t.Errorf("password in the file: %q", a.Password)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNames(t *testing.T) {
	d := open(t, t.TempDir())
	bad := []string{"", ".", "..", "a/b", "a\\b", "a:b", "a\nb", "a\x00", "a\x7f", " a", "a ", "\xff", strings.Repeat("x", 256)}
	for _, name := range bad {
		if _, err := d.SetUser(t.Context(), &cloud.User{Name: name}, "x"); !errors.Is(err, cloud.Invalid) {
			t.Errorf("name %q: %v, want Invalid", name, err)
		}
	}
	for _, name := range []string{"a", "José", "ǆ", "a b", "@", "名前", strings.Repeat("x", 255)} {
		u := set(t, d, cloud.User{Name: name}, "x")
		if got, err := d.User(t.Context(), "name", strings.ToUpper(name)); err != nil || got.ID != u.ID {
			t.Errorf("name %q, upper case: %v, %v", name, got, err)
		}
	}
	for _, u := range []cloud.User{
		{Name: "n1", Display: "a\tb"}, {Name: "n2", Mail: strings.Repeat("m", 256)}, {Name: "n3", Role: "\x01"},
		{Name: "n4", Kind: "king"}, {Name: "n5", Language: "../de"}, {Name: "n6", Surname: "\xff"}, {Name: "n7", GivenName: strings.Repeat("m", 256)},
	} {
		if _, err := d.SetUser(t.Context(), &u, ""); !errors.Is(err, cloud.Invalid) {
			t.Errorf("%.20v: %v, want Invalid", u, err)
		}
	}
	if _, err := d.SetUser(t.Context(), &cloud.User{Name: "long"}, strings.Repeat("p", 1025)); !errors.Is(err, cloud.Invalid) {
		t.Errorf("password of 1025 bytes: %v, want Invalid", err)
	}
}

func TestNoPasswordNoSignIn(t *testing.T) {
	d := open(t, t.TempDir())
	set(t, d, cloud.User{Name: "ghost"}, "")
	for _, password := range []string{"", "x"} {
		if _, err := d.Verify(t.Context(), "ghost", password); !errors.Is(err, cloud.Unauthorized) {
			t.Errorf("password %q: %v, want Unauthorized", password, err)
		}
	}
}

// Two directories on one folder stand for two processes.
func TestOtherProcess(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	here, there := open(t, dir), open(t, dir)
	for i := range 50 { // fast enough that the clock of the filesystem stands still
		u := set(t, there, cloud.User{Name: fmt.Sprint("user", i)}, "one")
		if _, err := here.Verify(ctx, u.Name, "one"); err != nil {
			t.Fatalf("%d: after add: %v", i, err)
		}
		set(t, there, *u, "two")
		if _, err := here.Verify(ctx, u.Name, "one"); !errors.Is(err, cloud.Unauthorized) {
			t.Fatalf("%d: old password: %v, want Unauthorized", i, err)
		}
		if _, err := here.Verify(ctx, u.Name, "two"); err != nil {
			t.Fatalf("%d: new password: %v", i, err)
		}
		u.Name += "!"
		set(t, here, *u, "")
		if _, err := there.Verify(ctx, u.Name, "two"); err != nil {
			t.Fatalf("%d: renamed here: %v", i, err)
		}
		if err := there.RemoveUser(ctx, u.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := here.User(ctx, "id", string(u.ID)); !errors.Is(err, cloud.NotExist) {
			t.Fatalf("%d: removed there: %v, want NotExist", i, err)
		}
		if here.Recall(u.Name, "two") != nil {
			t.Fatalf("%d: a removed user's password is remembered", i)
		}
	}
}

func TestManyWritersOneName(t *testing.T) {
	dir := t.TempDir()
	ds := []*Directory{open(t, dir), open(t, dir)}
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := map[string]int{}
	for w := range 8 {
		wg.Go(func() {
			for i := range 10 {
				name := fmt.Sprint("name", i)
				_, err := ds[w%2].SetUser(t.Context(), &cloud.User{Name: name}, "")
				mu.Lock()
				switch {
				case err == nil:
					made[name]++
				case !errors.Is(err, cloud.Exist):
					t.Error(err)
				}
				mu.Unlock()
				ds[(w+1)%2].User(t.Context(), "name", name)
			}
		})
	}
	wg.Wait()
	for name, n := range made {
		if n != 1 {
			t.Errorf("%s was made %d times", name, n)
		}
	}
	for i, d := range append(ds, open(t, dir)) {
		n := 0
		for _, err := range d.Users(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 10 {
			t.Errorf("directory %d has %d users, want 10", i, n)
		}
	}
}

func TestReopenIsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "d")
		if err != nil {
			t.Fatal(err)
		}
		d := open(t, dir)
		want := map[cloud.UserID]cloud.User{}
		ids := func() (ids []cloud.UserID) {
			for id := range want {
				ids = append(ids, id)
			}
			return ids
		}
		text := rapid.StringOfN(rapid.SampledFrom([]rune("abé \"<")), 1, 3, -1)
		for range rapid.IntRange(1, 10).Draw(rt, "steps") {
			u := cloud.User{Name: text.Draw(rt, "name"), Display: text.Draw(rt, "display"), Role: cloud.RoleUser}
			if len(want) > 0 && rapid.Bool().Draw(rt, "old") {
				u.ID = rapid.SampledFrom(ids()).Draw(rt, "id")
				if rapid.Bool().Draw(rt, "remove") {
					if err := d.RemoveUser(t.Context(), u.ID); err != nil {
						rt.Fatal(err)
					}
					delete(want, u.ID)
					continue
				}
			}
			taken := false
			for id, other := range want {
				taken = taken || id != u.ID && strings.EqualFold(other.Name, u.Name)
			}
			got, err := d.SetUser(t.Context(), &u, "")
			switch {
			case strings.TrimSpace(u.Name) != u.Name:
				if !errors.Is(err, cloud.Invalid) {
					rt.Fatalf("%q: %v, want Invalid", u.Name, err)
				}
			case taken:
				if !errors.Is(err, cloud.Exist) {
					rt.Fatalf("%q: %v, want Exist", u.Name, err)
				}
			case err != nil:
				rt.Fatal(err)
			default:
				want[got.ID] = *got
			}
		}
		for _, d := range []*Directory{d, open(t, dir)} {
			got := map[cloud.UserID]cloud.User{}
			for u, err := range d.Users(t.Context(), "") {
				if err != nil {
					rt.Fatal(err)
				}
				got[u.ID] = *u
			}
			if diff := cmp.Diff(want, got); diff != "" {
				rt.Fatal(diff)
			}
		}
	})
}

func TestDamageIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	good := set(t, d, cloud.User{Name: "good"}, "pw")
	torn := set(t, d, cloud.User{Name: "torn"}, "pw")
	file := func(id cloud.UserID) string { return filepath.Join(dir, "users", string(id)+".json") }
	if err := os.Truncate(file(torn.ID), 20); err != nil {
		t.Fatal(err)
	}
	copied, _ := os.ReadFile(file(good.ID))
	other := cloud.UserID(cloud.NewUUID().String())
	os.WriteFile(file(other), copied, 0o600)
	twin := cloud.UserID(cloud.NewUUID().String())
	os.WriteFile(file(twin), bytes.ReplaceAll(copied, []byte(good.ID), []byte(twin)), 0o600)
	os.WriteFile(filepath.Join(dir, "users", "notes.json"), []byte("{}"), 0o600)
	os.Symlink("/etc/passwd", file(cloud.UserID(cloud.NewUUID().String())))

	var log bytes.Buffer
	opts := cheap
	opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	d, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for u := range d.Users(t.Context(), "") {
		if n++; u.Name != "good" {
			t.Errorf("user %q", u.Name)
		}
	}
	if n != 1 {
		t.Errorf("%d users, want 1", n)
	}
	for _, id := range []cloud.UserID{torn.ID, other} {
		if !strings.Contains(log.String(), string(id)) {
			t.Errorf("the log does not name %s:\n%s", id, &log)
		}
		if _, err := os.Stat(file(id)); err != nil {
			t.Errorf("the damaged file is gone: %v", err)
		}
	}
}

// A file that is damaged behind the server's back lets nobody in and is not
// written over.
func TestDamageWhileRunning(t *testing.T) {
	d := open(t, t.TempDir())
	u := set(t, d, cloud.User{Name: "ada"}, "pw")
	file := d.users.file(string(u.ID))
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if u, err := d.Verify(t.Context(), "ada", "pw"); err == nil {
		t.Errorf("Verify: got %+v", u)
	}
	u.Display = "x"
	if u, err := d.SetUser(t.Context(), u, ""); err == nil {
		t.Errorf("SetUser: got %+v", u)
	}
	if body, err := os.ReadFile(file); err != nil || string(body) != "{}" {
		t.Errorf("the file: got %q, %v", body, err)
	}
}

func TestPasswordIsForgotten(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dir)
		u := set(t, d, cloud.User{Name: "Ada"}, "pw")
		if d.Recall("ada", "pw") != nil {
			t.Error("known before the first check")
		}
		verify := func() {
			t.Helper()
			if _, err := d.Verify(t.Context(), "ADA", "pw"); err != nil {
				t.Fatal(err)
			}
		}
		verify()
		if got := d.Recall("ada", "pw"); got == nil || got.ID != u.ID {
			t.Errorf("not remembered: %v", got)
		}
		if d.Recall("ada", "pw2") != nil || d.Recall("ad", "apw") != nil {
			t.Error("another password is remembered")
		}
		time.Sleep(5 * time.Minute) // in the bubble: takes no time
		if d.Recall("ada", "pw") != nil {
			t.Error("remembered for too long")
		}
		verify()
		u.Disabled = true
		set(t, d, *u, "")
		if d.Recall("ada", "pw") != nil {
			t.Error("remembered though disabled")
		}
		if _, err := d.Verify(t.Context(), "ada", "pw"); !errors.Is(err, cloud.Unauthorized) {
			t.Errorf("disabled: %v, want Unauthorized", err)
		}
	})
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"ID":"11111111-1111-4111-8111-111111111111","Name":"a"}`))
	f.Add([]byte(`{"Password":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		dir := t.TempDir()
		users := filepath.Join(dir, "users")
		os.Mkdir(users, 0o700)
		os.WriteFile(filepath.Join(users, "11111111-1111-4111-8111-111111111111.json"), body, 0o600)
		opts := cheap
		opts.Log = slog.New(slog.DiscardHandler)
		d, err := Open(dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		for u := range d.Users(t.Context(), "") {
			if names.CheckUser(u, "") != nil {
				t.Errorf("a user that could not have been made: %+v", u)
			}
		}
	})
}

func BenchmarkRecall(b *testing.B) {
	d := open(b, b.TempDir())
	set(b, d, cloud.User{Name: "ada"}, "password")
	if _, err := d.Verify(b.Context(), "ada", "password"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if d.Recall("ada", "password") == nil {
			b.Fatal("forgotten")
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	d, err := Open(b.TempDir(), Options{Memory: 19456, Time: 2, Threads: 1})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		d.Verify(b.Context(), "nobody", "password")
	}
}

// root may run the command line over the files of another user's server.
func TestFilesBelongToTheServer(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	uid := os.Geteuid()
	if uid == 0 { // anybody else can only see that nothing breaks
		uid = 12345
		if err := os.Chown(d.users.path, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	u := set(t, d, cloud.User{Name: "ada"}, "")
	for _, name := range []string{d.users.file(string(u.ID)), filepath.Join(dir, "lock")} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != uid {
			t.Errorf("%s belongs to %d, want %d", name, got, uid)
		}
	}
}
