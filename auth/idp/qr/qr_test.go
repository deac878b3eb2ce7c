package qr

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The lengths at which a version is full, and one more.
var lengths = []int{0, 1, 14, 15, 26, 27, 42, 43, 62, 63, 84, 85, 106, 107, 122, 123, 152, 153, 180}

func textOf(n int) string { return strings.Repeat("otpauth:/Ab9", 20)[:n] }

// As another reader has read it: see TestForeignReader.
func TestPath(t *testing.T) {
	var all strings.Builder
	for _, n := range lengths {
		path, size, ok := Path(textOf(n))
		if !ok || size < 21 || size > 53 {
			t.Errorf("%d bytes: %d, %v", n, size, ok)
		}
		all.WriteString(path)
	}
	if got, want := fmt.Sprintf("%x", sha256.Sum256([]byte(all.String()))), "e52c03bf2fa46efbc9dc64c3667c495f72a0f452f3a94f3a9f13b75c23dbfec3"; got != want {
		t.Errorf("the codes are others: %s, want %s", got, want)
	}
	if _, _, ok := Path(textOf(181)); ok {
		t.Error("a text that is too long has a code")
	}
}

func TestForeignReader(t *testing.T) {
	reader, err := exec.LookPath("zbarimg")
	if err != nil {
		t.Skip("there is no zbarimg here to read the codes")
	}
	dir := t.TempDir()
	for _, n := range lengths[1:] {
		name := filepath.Join(dir, fmt.Sprintf("%d.pbm", n))
		if err := os.WriteFile(name, picture(encode(textOf(n))), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(reader, "-q", "--raw", name).Output()
		if got := strings.TrimSuffix(string(out), "\n"); err != nil || got != textOf(n) {
			t.Errorf("%d bytes: read %q, %v", n, got, err)
		}
	}
}

// picture is a portable bitmap with modules of 4 by 4.
func picture(g *grid) []byte {
	const scale, quiet = 4, 4
	var b strings.Builder
	side := (g.size + 2*quiet) * scale
	fmt.Fprintf(&b, "P1\n%d %d\n", side, side)
	for y := range side {
		for x := range side {
			gx, gy := x/scale-quiet, y/scale-quiet
			if gx >= 0 && gy >= 0 && gx < g.size && gy < g.size && g.dark[gy][gx] {
				b.WriteString("1 ")
			} else {
				b.WriteString("0 ")
			}
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// What the correction adds makes each block divisible by the generator.
func TestCorrection(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 1, 44).Draw(rt, "data")
		n := rapid.SampledFrom([]int{10, 16, 18, 22, 24, 26}).Draw(rt, "n")
		word := append(data, correction(data, n)...)
		root := byte(1)
		for range n {
			var at byte
			for _, b := range word {
				at = times(at, root) ^ b
			}
			if at != 0 {
				rt.Fatalf("not zero at %d", root)
			}
			root = times(root, 2)
		}
	})
}

func FuzzPath(f *testing.F) {
	f.Add("otpauth://totp/x?secret=y")
	f.Fuzz(func(t *testing.T, text string) {
		if _, size, ok := Path(text); ok != (len(text) <= Max) || ok && size < 21 {
			t.Errorf("%q: %d, %v", text, size, ok)
		}
	})
}

func BenchmarkPath(b *testing.B) {
	for b.Loop() {
		Path(textOf(120))
	}
}
