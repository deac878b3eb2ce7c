package posix

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"opencloud/cloud"

	"golang.org/x/sys/unix"
)

// findings are what Check says, as "kind path" and a "+" when repaired.
func (p *person) findings(repair bool) (all []string) {
	p.Helper()
	p.must(p.Check(ctx, Checkup{Repair: repair, Report: func(f Finding) {
		s := fmt.Sprint(f.Kind, " ", f.Path)
		if f.Repaired {
			s += " +"
		}
		all = append(all, s)
	}}))
	slices.Sort(all)
	return all
}

func (p *person) shake(path string) string { return filepath.Join(p.home, path) }

// rawAttr reads and changes an attribute as it stands on the disk.
func (p *person) rawAttr(path string, fn func(*attr)) {
	p.Helper()
	var b [256]byte
	n, err := unix.Getxattr(p.shake(path), "user.oc", b[:])
	p.must(err)
	a, ok := decodeAttr(b[:n])
	if !ok {
		p.Fatalf("the attribute of %s is damaged", path)
	}
	fn(&a)
	p.must(unix.Setxattr(p.shake(path), "user.oc", a.encode(b[:]), 0))
}

func TestCheck(t *testing.T) {
	id := func(p *person, path string) (u cloud.UUID) {
		p.rawAttr(path, func(a *attr) { u = a.id })
		return u
	}
	for _, c := range []struct {
		name   string
		damage func(*person) // while the store is closed
		want   []string      // with repair
		other  bool          // not all is as before
	}{
		{"nothing", func(p *person) {}, nil, false},
		{"new file", func(p *person) { p.write("d/new", "new") }, []string{"no-attribute d/new +"}, true},
		{"damaged attribute", func(p *person) { p.must(unix.Setxattr(p.shake("d/f"), "user.oc", []byte("x"), 0)) },
			[]string{"damaged-attribute d/f +", "orphaned-metadata .oc/grants/ID.json +", "orphaned-versions .oc/versions/XX/ID +", "dangling-link .oc/ids/XX/LINK +"}, true},
		{"moved", func(p *person) { p.rename("d/f", "f") }, []string{"moved-outside f +"}, true},
		{"changed", func(p *person) { p.write("d/f", "changed") }, []string{"changed-outside d/f +"}, true},
		{"link", func(p *person) { p.must(os.Symlink("/", p.shake("l"))) }, []string{"not-a-node l"}, false},
		{"missing link", func(p *person) {
			u := id(p, "d/f")
			p.must(os.Remove(p.shake(".oc/ids/" + shard(u) + "/" + linkName(u))))
		}, []string{"missing-link d/f +"}, false},
		{"wrong link", func(p *person) {
			u := id(p, "d/f")
			name := p.shake(".oc/ids/" + shard(u) + "/" + linkName(u))
			p.must(os.Remove(name))
			p.must(os.Symlink(linkTarget(u, "nowhere"), name))
		}, []string{"wrong-link d/f +"}, false},
		{"dangling link", func(p *person) {
			p.must(os.MkdirAll(p.shake(".oc/ids/aa"), 0o755))
			u := cloud.UUID{0: 0xaa}
			p.must(os.Symlink(linkTarget(u, "nowhere"), p.shake(".oc/ids/aa/"+linkName(u))))
		}, []string{"dangling-link .oc/ids/XX/LINK +"}, false},
		{"wrong size", func(p *person) { p.rawAttr("d", func(a *attr) { a.size += 7 }) }, []string{"wrong-size  +", "wrong-size d +"}, true},
		{"wrong traits", func(p *person) { p.rawAttr("d/f", func(a *attr) { a.traits = cloud.HasAttrs }) }, []string{"wrong-traits d/f +"}, false},
		{"damaged grants", func(p *person) {
			p.must(os.WriteFile(p.shake(".oc/grants/"+id(p, "d/f").String()+".json"), []byte("{"), 0o644))
		}, []string{"damaged-metadata .oc/grants/ID.json +", "wrong-traits d/f +"}, true},
		{"orphaned versions", func(p *person) {
			p.must(os.MkdirAll(p.shake(".oc/versions/aa/"+cloud.NewUUID().String()), 0o755))
		}, []string{"orphaned-versions .oc/versions/XX/ID +"}, false},
		{"trash without info", func(p *person) {
			all, _ := filepath.Glob(p.shake(".Trash/info/*"))
			p.must(os.Remove(all[0]))
		}, []string{"no-trash-info .Trash/files/ID +"}, true},
		{"info without trash", func(p *person) {
			p.must(os.WriteFile(p.shake(".Trash/info/x.trashinfo"), nil, 0o644))
		}, []string{"orphaned-trash-info .Trash/info/x.trashinfo +"}, false},
		{"upload without info", func(p *person) {
			p.must(os.MkdirAll(p.shake(".oc/uploads"), 0o755))
			p.must(os.WriteFile(p.shake(".oc/uploads/u"), nil, 0o644))
		}, []string{"orphaned-upload .oc/uploads/u +"}, false},
		{"same id", func(p *person) {
			var a attr
			p.rawAttr("d/f", func(x *attr) { a = *x })
			p.rawAttr("d/g", func(x *attr) { x.id = a.id })
		}, []string{"dangling-link .oc/ids/XX/LINK +", "same-id d/g +"}, true},
		{"damaged space", func(p *person) {
			p.must(os.MkdirAll(filepath.Join(p.root, "users", cloud.NewUUID().String(), ".oc"), 0o755))
		}, []string{"damaged-space users/ID"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			a := openQuiet(t, root, nil)
			a.makeSpace()
			p := &person{a, filepath.Join(root, "projects", string(a.space.Root()))}
			a.mkdir("d")
			a.put("d/f", "content")
			a.put("d/f", "content 2")
			a.put("d/g", "other")
			a.put("e", "gone")
			a.rm("e")
			a.change("d/f", func(n *cloud.Node) { n.Grants = []cloud.Grant{{To: cloud.Subject{User: "u"}, Rights: 1}} })
			before := a.photo()
			a.must(a.Close())
			c.damage(p)
			space := a.space
			a = openQuiet(t, root, nil)
			a.space = space
			p.actor = a
			a.at("") // which clears tmp
			p.must(os.WriteFile(p.shake(".oc/tmp/stale"), []byte("x"), 0o644))
			want := append([]string{"stale-tmp .oc/tmp/stale +"}, c.want...)
			slices.Sort(want)
			dry := p.findings(false)
			if len(dry) == 0 {
				t.Errorf("Check without repair: got nothing, want something like %v", want)
			}
			got := p.findings(true)
			for i := range got {
				got[i] = anonymous(got[i])
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("Check with repair: got %v, want %v", got, want)
			}
			if left := p.findings(true); len(left) > 0 && c.name != "link" && c.name != "damaged space" {
				t.Errorf("Check after repair: got %v, want nothing", left)
			}
			after := a.photo()
			if d := after.diff(before); !c.other && d != "" {
				t.Errorf("after repair (-want +got):\n%s", d)
			}
			a.must(a.Close())
			again := openQuiet(t, root, nil)
			again.same("after another start", again.photo(), after)
			again.must(again.Close())
		})
	}
}

// anonymous takes ids out of a finding.
func anonymous(s string) string {
	b := []byte(s)
	for i := 0; i+36 <= len(b); i++ {
		if _, ok := cloud.ParseUUID(string(b[i : i+36])); ok {
			b = slices.Replace(b, i, i+36, []byte("ID")...)
			if i >= 3 && b[i-1] == '/' && i >= 4 && b[i-4] == '/' {
				b = slices.Replace(b, i-3, i-1, []byte("XX")...)
			}
		}
	}
	for i := 0; i+22 <= len(b); i++ {
		if _, ok := parseLinkName(string(b[i : i+22])); ok && i >= 3 && b[i-1] == '/' && (i+22 == len(b) || b[i+22] == ' ') {
			b = slices.Replace(b, i, i+22, []byte("LINK")...)
			b = slices.Replace(b, i-3, i-1, []byte("XX")...)
		}
	}
	return string(b)
}

func TestScrub(t *testing.T) {
	p := newPerson(t)
	p.put("good", "content")
	p.put("bad", "content")
	i, err := os.Stat(p.shake("bad"))
	p.must(err)
	p.must(os.WriteFile(p.shake("bad"), []byte("c0ntent"), 0o644))
	p.must(os.Chtimes(p.shake("bad"), i.ModTime(), i.ModTime()))
	var got []string
	p.must(p.Scrub(ctx, Checkup{Report: func(f Finding) { got = append(got, fmt.Sprint(f.Kind, " ", f.Path)) }}))
	if want := []string{"wrong-content bad"}; !slices.Equal(got, want) {
		t.Errorf("Scrub: got %v, want %v", got, want)
	}
}
