package archiver

import (
	"mime"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"opencloud/cloud"
)

func TestClean(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt": "a.txt", "": "_", ".": "_", "..": "_", "...": "...", "../x": ".._x", `..\x`: ".._x", "/": "_", "a\x00b\n": "a_b_", "\xff.txt": "_.txt",
		`C:\x`: "C:_x", strings.Repeat("ü", 200): strings.Repeat("ü", 127),
	} {
		if got := clean(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestTake(t *testing.T) {
	used := names{}
	for _, c := range []struct {
		name string
		dir  bool
		want string
	}{
		{"a.txt", false, "a.txt"}, {"a.txt", false, "a (1).txt"}, {"a.txt", false, "a (2).txt"}, {"a (1).txt", false, "a (1) (1).txt"},
		{"v1.2", true, "v1.2"}, {"v1.2", true, "v1.2 (1)"}, {".profile", false, ".profile"}, {".profile", false, ".profile (1)"},
		{strings.Repeat("ü", 127), false, strings.Repeat("ü", 127)}, {strings.Repeat("ü", 127), false, strings.Repeat("ü", 125) + " (1)"},
		{"x." + strings.Repeat("y", 250), false, "x." + strings.Repeat("y", 250)}, {"x." + strings.Repeat("y", 250), false, "x." + strings.Repeat("y", 249) + " (1)"},
	} {
		if got := used.take(c.name, c.dir); got != c.want || len(got) > cloud.MaxName {
			t.Errorf("%q: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestShrinks(t *testing.T) {
	for name, want := range map[string]bool{
		"a.txt": true, "a": true, "a.bin": true, "a.svg": true, "a.wav": true, "a.doc": true, "a.ttf": true, "a.tar": true, "a.json": true,
		"a.jpg": false, "a.mp4": false, "a.mp3": false, "a.docx": false, "a.docm": false, "a.odt": false, "a.zip": false, "a.pdf": false, "a.gz": false, "a.woff2": false,
	} {
		if got := shrinks(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// Whatever a disk holds, what is unpacked stays where it belongs, and the
// header says what it should.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"a.txt", "../..", `..\..\x`, "ü\"%\\;.zip", "\x00\xff", "a\r\nb", ".", strings.Repeat("日", 100)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		c := clean(name)
		if c == "" || c == "." || c == ".." || strings.ContainsAny(c, "/\\\x00\r\n") || len(c) > cloud.MaxName || !utf8.ValidString(c) || !filepath.IsLocal(c) {
			t.Fatalf("%q: got %q", name, c)
		}
		if again := clean(c); again != c {
			t.Fatalf("%q: got %q, and then %q", name, c, again)
		}
		used := names{}
		seen := map[string]bool{}
		for i := range 5 {
			n := used.take(c, i%2 == 0)
			if seen[n] || len(n) > cloud.MaxName || !utf8.ValidString(n) || !filepath.IsLocal(n) {
				t.Fatalf("%q: got %q", c, n)
			}
			seen[n] = true
		}
		got := disposition(c)
		for i := range len(got) {
			if got[i] < 0x20 || got[i] > 0x7e {
				t.Fatalf("%q: got %q", c, got)
			}
		}
		plain := strings.Replace(got, `filename="`, `old="`, 1) // that mime takes filename*
		if _, params, err := mime.ParseMediaType(plain); err != nil || params["filename"] != c {
			t.Fatalf("%q: got %q, which says %q, %v", c, got, params["filename"], err)
		}
	})
}
