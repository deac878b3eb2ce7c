// Package arch holds the floors of the house: which part may import which.
package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "opencloud/"

// may lists what each part may import of ours. The longest matching prefix
// rules; a part that is not listed may import nothing of ours.
var may = map[string][]string{
	"cloud":     {},
	"storage":   {"cloud", "storage"},
	"directory": {"cloud", "directory"},
	"auth":      {"cloud", "auth"},
	"search":    {"cloud", "search"},
	"core":      {"cloud"}, // no driver: rules do not know disks
	"api/httpx": {"cloud"},
	"api":       {"cloud", "api/httpx"}, // not core, not drivers, not each other
	"web":       {"cloud", "api/httpx"},
	"config":    {"cloud", "core", "storage", "directory", "auth", "api"}, // for their Options only
	"app":       {"cloud", "core", "storage", "directory", "auth", "api", "config", "web"},
	"cmd":       {"cloud", "core", "storage", "directory", "auth", "api", "config", "web", "app"},
	"test":      {"cloud", "core", "storage", "directory", "auth", "api", "config", "web", "app", "test"},
}

// kits are ordinary packages that tests of other floors may use.
var kits = []string{"storage/mem", "storage/faulty", "storage/storagetest", "storage/posix", "directory/directorytest", "directory/mem", "directory/builtin", "directory/secret", "auth/apptoken", "core", "test"}

func TestImports(t *testing.T) {
	// Parsed here rather than asked of go list, so that go test sees the
	// files it depends on and does not answer from its cache.
	root := os.DirFS(filepath.Join("..", ".."))
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() != "." && strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		test := strings.HasSuffix(name, "_test.go")
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		from, floor := path.Dir(name), ""
		for part := range may {
			if within(from, part) && len(part) > len(floor) {
				floor = part
			}
		}
		for _, spec := range f.Imports {
			imp, _ := strconv.Unquote(spec.Path.Value)
			to, ours := strings.CutPrefix(imp, module)
			if !ours {
				if floor == "cloud" && !test && strings.Contains(imp, ".") {
					t.Errorf("%s: cloud is standard library only, not %s", name, imp)
				}
				continue
			}
			if to == from || allowed(may[floor], to) || test && allowed(kits, to) {
				continue
			}
			t.Errorf("%s: %q may not import %s", name, floor, to)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func allowed(parts []string, to string) bool {
	for _, part := range parts {
		if within(to, part) {
			return true
		}
	}
	return false
}

func within(name, part string) bool { return name == part || strings.HasPrefix(name, part+"/") }
