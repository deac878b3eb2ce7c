package cloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestFaces(t *testing.T) {
	for k := range Kind(Kinds) {
		f := k.Face()
		if f.Text == "" || f.HTTP < 400 || f.Sabre == "" || f.OData == "" || f.OCS == 0 || f.GRPC == 0 {
			t.Errorf("kind %d has no whole face: %+v", k, f)
		}
		if !strings.HasSuffix(f.Text, ".") {
			t.Errorf("kind %d does not speak in sentences: %q", k, f.Text)
		}
		if !errors.Is(E("op", Ref{}, k), k) || KindOf(E("op", Ref{}, k)) != k {
			t.Errorf("kind %d is lost in E", k)
		}
	}
}

func TestErrors(t *testing.T) {
	if E("op", Ref{}, nil) != nil {
		t.Error("no error became one")
	}
	said := Refuse(Full, "No more %s.", "room")
	err := E("core.Put", Ref{Space: "s$r", Path: "a/b"}, E("posix.Write", Ref{}, said))
	if KindOf(err) != Full || Say(err) != "No more room." {
		t.Errorf("got kind %v, sentence %q", KindOf(err), Say(err))
	}
	if got := err.Error(); !strings.HasPrefix(got, "core.Put s$r!/a/b: ") || !strings.Contains(got, "No more room.") {
		t.Errorf("got %q", got)
	}
	for _, tt := range []struct {
		err  error
		want Kind
	}{
		{fs.ErrNotExist, NotExist},
		{&os.PathError{Op: "open", Err: syscall.ENOENT}, NotExist},
		{syscall.EEXIST, Exist},
		{syscall.ENOTEMPTY, Exist},
		{syscall.ENOSPC, Full},
		{syscall.EDQUOT, Full},
		{syscall.EROFS, Unavailable},
		{syscall.EIO, Unavailable},
		{syscall.ENAMETOOLONG, Invalid},
		{fs.ErrPermission, Other},
		{errors.New("x"), Other},
		{fmt.Errorf("x: %w", Locked), Locked},
		{errors.Join(errors.New("x"), NotExist), NotExist},
	} {
		if got := KindOf(tt.err); got != tt.want {
			t.Errorf("KindOf(%v): got %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestIDs(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Ref
		ok   bool
	}{
		{"a$b", Ref{Space: "a$b"}, true},
		{"a$b!c", Ref{Space: "a$b", Node: "c"}, true},
		{"a$b!", Ref{Space: "a$b"}, true},
		{"", Ref{}, false},
		{"a", Ref{}, false},
		{"$", Ref{}, false},
		{"a$b!../c", Ref{}, false},
		{"a$../b", Ref{}, false},
		{"a$b!c!d", Ref{}, false},
		{"a$b!" + strings.Repeat("x", 65), Ref{}, false},
		{"a$b!versions:c", Ref{}, false},
	} {
		got, err := ParseItemID(tt.in)
		if (err == nil) != tt.ok || tt.ok && got != tt.want {
			t.Errorf("ParseItemID(%q): got %v, %v", tt.in, got, err)
		}
	}
	s := SpaceID("storage$root")
	if s.Root() != "root" || s.Storage() != "storage" || ItemID(s, "n") != "storage$root!n" {
		t.Errorf("%s: root %s, storage %s", s, s.Root(), s.Storage())
	}
	for _, id := range []NodeID{"a", "-"} {
		if f, key, ok := SplitVersion(VersionsOf(id)); f != id || key != "" || !ok {
			t.Errorf("versions of %s: got %s, %q, %t", id, f, key, ok)
		}
		if f, key, ok := SplitVersion(Version(id, "k:e:y")); f != id || key != "k:e:y" || !ok {
			t.Errorf("a version of %s: got %s, %q, %t", id, f, key, ok)
		}
	}
	if _, _, ok := SplitVersion("a"); ok {
		t.Error("a plain id is taken for a version")
	}
}

func TestUUID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		if got, ok := ParseUUID(u.String()); !ok || got != u {
			t.Fatalf("%v became %v", u, got)
		}
		s := rapid.String().Draw(t, "text")
		if got, ok := ParseUUID(s); ok && got.String() != s {
			t.Fatalf("%q was read as %v", s, got)
		}
		if again := UUIDOf(s); again != UUIDOf(strings.Clone(s)) || UUIDOf(u.String()) != u {
			t.Fatalf("UUIDOf %q is not stable", s)
		}
	})
	seen := map[UUID]bool{}
	for range 1000 {
		u := NewUUID()
		if seen[u] || u[6]>>4 != 4 || u[8]>>6 != 2 {
			t.Fatalf("%v is no new random UUID", u)
		}
		seen[u] = true
	}
}

func TestNames(t *testing.T) {
	for _, bad := range []string{"", ".", "..", "a/b", `a\b`, "a\x00", "a\n", "a\x7f", "\xff", "\ufffe", "\uffff", strings.Repeat("ä", 128)} {
		if err := CheckName(bad); !errors.Is(err, Invalid) || Say(err) == "" {
			t.Errorf("CheckName(%q): got %v", bad, err)
		}
	}
	for _, good := range []string{"a", "...", ".a", " ", "a\u0308", "ä", "😀", strings.Repeat("x", 255), "COM1", "a:b", "%2e"} {
		if err := CheckName(good); err != nil {
			t.Errorf("CheckName(%q): got %v", good, err)
		}
	}
	for in, want := range map[string]string{"": "", "/": "", "a": "a", "/a/b/": "a/b", "a/.oc": "a/.oc", "a/.Trash/x": "a/.Trash/x"} {
		if got, err := CleanPath(in); err != nil || got != want {
			t.Errorf("CleanPath(%q): got %q, %v; want %q", in, got, err, want)
		}
	}
	for _, bad := range []string{"a//b", "a/../b", "./a", ".oc", "/.oc/x", ".Trash/files", strings.Repeat("a/", 101) + "a", strings.Repeat("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/", 40)} {
		if got, err := CleanPath(bad); !errors.Is(err, Invalid) {
			t.Errorf("CleanPath(%.40q): got %q, %v", bad, got, err)
		}
	}
}

// FuzzCleanPath holds the canonicaliser to what all behind it rely on.
func FuzzCleanPath(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "a//b", "/.oc/", "a\x00b", "ä/ä", strings.Repeat("x/", 99), `a\..\b`, "\u202e/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := CleanPath(s)
		if err != nil {
			if !errors.Is(err, Invalid) {
				t.Fatalf("%q: got %v, want it to be Invalid", s, err)
			}
			return
		}
		if again, err := CleanPath(p); err != nil || again != p {
			t.Fatalf("%q: %q is not clean: %q, %v", s, p, again, err)
		}
		if len(p) > MaxPath || !utf8.ValidString(p) || strings.ContainsAny(p, "\x00\\\n") {
			t.Fatalf("%q became %q", s, p)
		}
		for i, name := range strings.Split(p, "/") {
			if p != "" && (name == "" || name == "." || name == ".." || i == 0 && Reserved(name)) {
				t.Fatalf("%q became %q", s, p)
			}
		}
	})
}

func TestPaths(t *testing.T) {
	for _, tt := range [][3]string{{"", "", ""}, {"a", "", "a"}, {"", "a", "a"}, {"a/b", "c", "a/b/c"}} {
		if got := Join(tt[0], tt[1]); got != tt[2] {
			t.Errorf("Join(%q, %q): got %q", tt[0], tt[1], got)
		}
	}
	dir, name, ok := Ref{"s", "n", "a/b/c"}.Up()
	if dir != (Ref{"s", "n", "a/b"}) || name != "c" || !ok {
		t.Errorf("got %v, %q, %t", dir, name, ok)
	}
	if _, _, ok := (Ref{Space: "s", Node: "n"}).Up(); ok {
		t.Error("a ref without a path has no directory that it knows of")
	}
}

func TestSums(t *testing.T) {
	s := SumsOf([]byte("hello"))
	const want = "SHA1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d MD5:5d41402abc4b2a76b9719d911017c592 ADLER32:062c0215"
	if s.String() != want {
		t.Errorf("got %s, want %s", s, want)
	}
	for in, want := range map[string]error{
		"": nil, "SHA1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d": nil, "sha1 AAF4C61DDCC5E8A2DABEDE0F3B482CD9AEA9434D": nil,
		"MD5:5d41402abc4b2a76b9719d911017c592": nil, "ADLER32:062c0215": nil, "Adler32:62c0215": nil,
		"SHA1:0000000000000000000000000000000000000000": BadSum, "MD5:": BadSum, "SHA1": Invalid, "CRC32:00": Invalid,
	} {
		if err := s.Match(in); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("Match(%q): got %v, want %v", in, err, want)
		}
	}
	var none, back Sums
	for _, s := range []Sums{s, none} {
		b, err := json.Marshal(s)
		if err == nil {
			err = json.Unmarshal(b, &back)
		}
		if err != nil || back != s {
			t.Errorf("%s came back as %v, %v", b, back, err)
		}
	}
	for _, bad := range []string{`"x"`, `1`, `"SHA1:zz MD5:zz ADLER32:zz"`, `"SHA1:aa MD5:bb ADLER32:00000000"`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestRights(t *testing.T) {
	if got := len(slices.Collect(AllRights.Actions())); got != len(actions) {
		t.Errorf("all rights have %d names, want %d", got, len(actions))
	}
	if got := slices.Collect((CanStat | CanPurge).Actions()); !slices.Equal(got, []string{"libre.graph/driveItem/basic/read", "libre.graph/driveItem/deleted/delete"}) {
		t.Errorf("got %v", got)
	}
	if !SpaceManager.Has(SpaceEditor) || !SpaceEditor.Has(SpaceViewer) || SpaceViewer.Has(CanWrite) || SpaceEditor.Has(CanGrant) {
		t.Error("the roles of a space do not contain each other")
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	u := &User{ID: "u", Groups: []GroupID{"g"}}
	for _, tt := range []struct {
		g    Grant
		u    *User
		want bool
	}{
		{Grant{To: Subject{User: "u"}}, u, true},
		{Grant{To: Subject{Group: "g"}}, u, true},
		{Grant{To: Subject{User: "v"}}, u, false},
		{Grant{To: Subject{Group: "h"}}, u, false},
		{Grant{}, &User{}, false},
		{Grant{To: Subject{User: "u"}}, nil, false},
		{Grant{To: Subject{User: "u"}, Expires: now}, u, false},
		{Grant{To: Subject{User: "u"}, Expires: now.Add(1)}, u, true},
	} {
		if got := tt.g.Holds(tt.u, now); got != tt.want {
			t.Errorf("%+v for %v: got %t", tt.g, tt.u, got)
		}
	}
}

func TestMIMEType(t *testing.T) {
	for name, want := range map[string]string{"a.txt": "text/plain", "A.JPG": "image/jpeg", "a.tar.gz": "application/gzip", "none": "application/octet-stream", ".md": "text/markdown", "a.": "application/octet-stream"} {
		if got := MIMEType(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
