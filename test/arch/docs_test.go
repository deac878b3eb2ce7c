package arch

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// What these pages say is shown by a test is.
func TestDocs(t *testing.T) {
	for _, page := range []string{"security.md", "sharing.md"} {
		t.Run(page, func(t *testing.T) { testDoc(t, page) })
	}
}

func testDoc(t *testing.T, page string) {
	body, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`").FindAllSubmatch(body, -1)
	if len(named) == 0 {
		t.Fatal("it names no test")
	}
	for _, m := range named {
		if dir, name := string(m[1]), string(m[2]); !exists(t, dir, name) {
			t.Errorf("there is no %s in %s", name, dir)
		}
	}
}

// exists tells whether there is such a test in the package at a path.
func exists(t *testing.T, dir, name string) bool {
	files, _ := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(dir), "*_test.go"))
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(src, []byte("\nfunc "+name+"(")) {
			return true
		}
	}
	return false
}
