package posix

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"opencloud/cloud"

	"pgregory.net/rapid"
)

// A life is a store that random things happen to.
type life struct {
	*actor
	r     *rapid.T
	root  string
	n     int // makes names
	spare int // shots that may still be taken
	past  []photo
	shots []shot
	since int // the shots from here on have what the disk has for sure
	sure  bool
	files map[string]bool // contents on the disk for sure
}

// step is what the store calls in the middle of its work.
func (l *life) step(name string) {
	if l.actor == nil || strings.HasPrefix(name, "recover") {
		return
	}
	switch name {
	case "appended":
		l.sure = true
	case "confirmed", "upload: synced":
		l.sure = false
		l.past = append(l.past, l.photo())
	}
	if strings.HasSuffix(name, "synced") || name == "staged" {
		l.since = len(l.shots)
	}
	if l.spare > 0 && rapid.IntRange(0, 9).Draw(l.r, "shot") == 0 {
		l.shoot()
	}
}

func (l *life) shoot() {
	l.spare--
	s := shot{fmt.Sprintf("%s-%02d", l.root, len(l.shots)), len(l.past) - 1, l.sure}
	copyTree(l.r, l.root, s.root)
	l.shots = append(l.shots, s)
}

// nodes are the paths of what there is, directories or files.
func (l *life) nodes(dirs bool) (paths []string) {
	if dirs {
		paths = append(paths, "")
	}
	var walk func(n *cloud.Node)
	walk = func(n *cloud.Node) {
		for c, err := range l.Children(ctx, l.space, n.ID) {
			l.must(err)
			if c.Dir == dirs {
				paths = append(paths, c.Path)
			}
			if c.Dir {
				walk(c)
			}
		}
	}
	walk(l.at(""))
	slices.Sort(paths)
	return paths
}

func (l *life) dir() string { return rapid.SampledFrom(l.nodes(true)).Draw(l.r, "directory") }

// any is any node but the root.
func (l *life) any() string {
	all := append(l.nodes(true)[1:], l.nodes(false)...)
	if len(all) == 0 {
		return l.put("first", "first").Path
	}
	return rapid.SampledFrom(all).Draw(l.r, "node")
}

func (l *life) name() string { l.n++; return fmt.Sprint("n", l.n) }

func (l *life) body() string {
	n := rapid.SampledFrom([]int{0, 1, 30, 5000, 70 << 10}).Draw(l.r, "size")
	l.n++
	return fmt.Sprint(l.n, " ", strings.Repeat("x", n))[:max(n, 1)]
}

var deeds = map[string]func(*life){
	"put":     func(l *life) { l.put(cloud.Join(l.dir(), l.name()), l.body()) },
	"replace": func(l *life) { l.replace(l.body()) },
	"again":   func(l *life) { l.replace(l.body()); l.replace(l.body()) },
	"mkdir":   func(l *life) { l.mkdir(cloud.Join(l.dir(), l.name())) },
	"mkdir2":  func(l *life) { l.put(cloud.Join(l.mkdir(cloud.Join(l.dir(), l.name())).Path, l.name()), l.body()) },
	"move": func(l *life) {
		from, to := l.any(), l.dir()
		if to == from || strings.HasPrefix(to, from+"/") {
			to = ""
		}
		l.mv(from, cloud.Join(to, l.name()))
	},
	"swap": func(l *life) {
		a, b := l.any(), l.any()
		if a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/") {
			return
		}
		t := l.name()
		l.mv(a, t)
		l.mv(b, a)
		l.mv(t, b)
	},
	"trash": func(l *life) { l.rm(l.any()) },
	"restore": func(l *life) {
		for n, err := range l.Children(ctx, l.space, cloud.TrashID) {
			l.must(err)
			_, err := l.Move(ctx, l.space, n.ID, l.at(l.dir()).ID, l.name())
			l.must(err)
			return
		}
	},
	"drop": func(l *life) { l.must(l.Drop(ctx, l.space, l.at(l.any()).ID)) },
	"purge": func(l *life) {
		for n, err := range l.Children(ctx, l.space, cloud.TrashID) {
			l.must(err)
			l.must(l.Drop(ctx, l.space, n.ID))
			return
		}
	},
	"date": func(l *life) {
		l.n++
		at := time.Date(2000, 1, 1, 0, 0, l.n, 5, time.UTC)
		l.change(l.any(), func(n *cloud.Node) { n.MTime = at })
	},
	"grant": func(l *life) {
		l.n++
		g := []cloud.Grant{{To: cloud.Subject{User: "u"}, Rights: cloud.Rights(l.n)}}
		l.change(l.any(), func(n *cloud.Node) { n.Grants = g[:l.n%2] })
	},
	"upload": func(l *life) {
		sendUpload(l.actor, cloud.UploadID("up"+l.name()), cloud.Join(l.dir(), "up"+l.name()), l.body())
	},
	"checkpoint": func(l *life) { l.checkpointNow() },
}

func (l *life) replace(body string) {
	all := l.nodes(false)
	if len(all) == 0 {
		return
	}
	path := rapid.SampledFrom(all).Draw(l.r, "file")
	if !strings.HasPrefix(path[strings.LastIndex(path, "/")+1:], "up") { // see tear
		l.put(path, body)
	}
}

func (l *life) checkpointNow() {
	l.must(l.Store.checkpoint())
	l.since = len(l.shots)
	l.files = contents(l.r, l.root)
}

// Whatever happens, a crash at any time loses nothing that was confirmed and
// leaves nothing half done.
func TestLife(t *testing.T) {
	t.Parallel()
	base := quick(t)
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		defer os.RemoveAll(dir)
		l := &life{r: r, root: filepath.Join(dir, "root"), spare: 2}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			r.Fatalf("%v", err)
		}
		a := openQuiet(r, l.root, l.step)
		a.makeSpace()
		a.must(a.Store.checkpoint())
		l.actor, l.past, l.files = a, []photo{a.photo()}, contents(r, l.root)
		kinds := slices.Sorted(maps.Keys(deeds))
		for range rapid.IntRange(1, 12).Draw(r, "deeds") {
			deeds[rapid.SampledFrom(kinds).Draw(r, "deed")](l)
		}
		if l.since == len(l.shots) {
			l.shoot()
		}
		want := l.photo()
		l.same("the last photo", want, l.past[len(l.past)-1])
		journal := filepath.Join(dir, "journal")
		copyTree(r, filepath.Join(l.root, ".oc", "journal"), journal)
		l.actor = nil
		a.must(a.Close())
		for i, s := range l.shots {
			if i >= l.since {
				// The power fails.
				half := s.root + "-half"
				copyTree(r, s.root, half, filepath.Join(".oc", "journal"))
				copyTree(r, journal, filepath.Join(half, ".oc", "journal"))
				tear(r, half, l.files, damages[rapid.IntRange(0, len(damages)-1).Draw(r, "damage")])
				if d := recovered(r, half, false).diff(want); d != "" {
					r.Fatalf("after a power failure at step %d (-want +got):\n%s", i, d)
				}
			}
			// The process is killed.
			got, may := recovered(r, s.root, true), l.past[s.confirmed]
			if s.sure || got.diff(may) != "" && s.confirmed+1 < len(l.past) {
				may = l.past[s.confirmed+1]
			}
			if d := got.diff(may); d != "" {
				r.Fatalf("killed at step %d (-want +got):\n%s", i, d)
			}
		}
	})
}
