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
	root := filepath.Join("..", "..")
	body, err := os.ReadFile(filepath.Join(root, "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`").FindAllSubmatch(body, -1)
	if len(named) == 0 {
		t.Fatal("it names no test")
	}
	sources := map[string][]byte{}
	for _, m := range named {
		dir, name := string(m[1]), m[2]
		if sources[dir] == nil {
			files, _ := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*_test.go"))
			for _, f := range files {
				src, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				sources[dir] = append(sources[dir], src...)
			}
		}
		if !bytes.Contains(sources[dir], []byte("\nfunc "+string(name)+"(")) {
			t.Errorf("there is no %s in %s", name, dir)
		}
	}
}
