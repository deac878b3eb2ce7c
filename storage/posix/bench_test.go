package posix

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"opencloud/cloud"

	"golang.org/x/sys/unix"
)

// benchStore is a store as it runs, with a space.
func benchStore(b *testing.B) (*Store, cloud.SpaceID) {
	b.Helper()
	s, err := Open(ctx, Options{Root: b.TempDir()}, quiet)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s, newSpace(b, s)
}

func newSpace(t testing.TB, s *Store) cloud.SpaceID {
	t.Helper()
	sp, err := s.SetSpace(ctx, &cloud.Space{ID: s.NewSpaceID(cloud.Project, ""), Kind: cloud.Project, Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	return sp.ID
}

func fill(b *testing.B, s *Store, sp cloud.SpaceID, dir cloud.NodeID, n int) {
	b.Helper()
	for i := range n {
		if _, _, err := s.Write(ctx, cloud.Write{Space: sp, Dir: dir, Name: fmt.Sprintf("file %d.txt", i), Body: strings.NewReader("x"), Size: 1}); err != nil {
			b.Fatal(err)
		}
	}
}

// cpu reports what a benchmark costs in processor time, which other people's
// load does not change much.
func cpu(b *testing.B) {
	used := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begin := used()
	b.Cleanup(func() { b.ReportMetric(float64(used()-begin)/float64(b.N), "cpu-ns/op") })
}

// parallel runs b.N calls of op by some writers.
func parallel(b *testing.B, writers int, op func(w, i int) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	cpu(b)
	for w := range writers {
		wg.Go(func() {
			for {
				i := int(next.Add(1))
				if i > b.N {
					return
				}
				if err := op(w, i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func BenchmarkWrite1KiB(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 1<<10)
	for _, c := range []struct{ writers, dirs int }{{1, 1}, {8, 1}, {8, 64}, {64, 64}} {
		b.Run(fmt.Sprintf("%dwriters/%ddirs", c.writers, c.dirs), func(b *testing.B) {
			s, sp := benchStore(b)
			var dirs []cloud.NodeID
			for i := range c.dirs {
				n, err := s.MakeDir(ctx, sp, sp.Root(), fmt.Sprint(i))
				if err != nil {
					b.Fatal(err)
				}
				dirs = append(dirs, n.ID)
			}
			b.ReportAllocs()
			parallel(b, c.writers, func(_, i int) error {
				_, _, err := s.Write(ctx, cloud.Write{Space: sp, Dir: dirs[i%len(dirs)], Name: fmt.Sprintf("file %d.txt", i), Body: bytes.NewReader(body), Size: int64(len(body))})
				return err
			})
		})
	}
}

func BenchmarkReplaceKeep1KiB(b *testing.B) {
	s, sp := benchStore(b)
	body := bytes.Repeat([]byte("x"), 1<<10)
	parallel(b, 8, func(w, _ int) error {
		_, _, err := s.Write(ctx, cloud.Write{Space: sp, Dir: sp.Root(), Name: fmt.Sprint(w), Body: bytes.NewReader(body), Size: int64(len(body)), Keep: true})
		return err
	})
}

// A write costs the same however many siblings there are.
func BenchmarkWriteAmong(b *testing.B) {
	for _, siblings := range []int{0, 100_000} {
		b.Run(fmt.Sprint(siblings), func(b *testing.B) {
			s, sp := benchStore(b)
			fill(b, s, sp, sp.Root(), siblings)
			b.ReportAllocs()
			parallel(b, 1, func(_, i int) error {
				_, _, err := s.Write(ctx, cloud.Write{Space: sp, Dir: sp.Root(), Name: fmt.Sprintf("new %d", i), Body: strings.NewReader("x"), Size: 1})
				return err
			})
		})
	}
}

func BenchmarkWriteLarge(b *testing.B) {
	s, sp := benchStore(b)
	body := make([]byte, 64<<20)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, _, err := s.Write(ctx, cloud.Write{Space: sp, Dir: sp.Root(), Name: "large", Body: bytes.NewReader(body), Size: int64(len(body))}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	s, sp := benchStore(b)
	dir := sp.Root()
	path := ""
	for _, name := range []string{"documents", "projects", "2026"} {
		n, err := s.MakeDir(ctx, sp, dir, name)
		if err != nil {
			b.Fatal(err)
		}
		dir = n.ID
		path = cloud.Join(path, name)
	}
	fill(b, s, sp, dir, 100)
	b.Run("file", func(b *testing.B) {
		b.ReportAllocs()
		cpu(b)
		for b.Loop() {
			if _, err := s.Lookup(ctx, sp, "", path+"/file 7.txt"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("directory", func(b *testing.B) {
		b.ReportAllocs()
		cpu(b)
		for b.Loop() {
			if _, err := s.Lookup(ctx, sp, "", path); err != nil {
				b.Fatal(err)
			}
		}
	})
	n, err := s.Lookup(ctx, sp, "", path+"/file 7.txt")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("id", func(b *testing.B) {
		b.ReportAllocs()
		cpu(b)
		for b.Loop() {
			if _, err := s.Node(ctx, sp, n.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAncestors(b *testing.B) {
	s, sp := benchStore(b)
	d, err := s.MakeDir(ctx, sp, sp.Root(), "d")
	if err != nil {
		b.Fatal(err)
	}
	n, _, err := s.Write(ctx, cloud.Write{Space: sp, Dir: d.ID, Name: "f"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	cpu(b)
	for b.Loop() {
		if _, err := s.Ancestors(ctx, sp, n.ID); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChildren1000(b *testing.B) {
	s, sp := benchStore(b)
	fill(b, s, sp, sp.Root(), 1000)
	b.ReportAllocs()
	cpu(b)
	for b.Loop() {
		n := 0
		for _, err := range s.Children(ctx, sp, sp.Root()) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 1000 {
			b.Fatalf("got %d nodes, want 1000", n)
		}
	}
}

func BenchmarkMove(b *testing.B) {
	s, sp := benchStore(b)
	n, _, err := s.Write(ctx, cloud.Write{Space: sp, Dir: sp.Root(), Name: "f"})
	if err != nil {
		b.Fatal(err)
	}
	parallel(b, 1, func(_, i int) error {
		_, err := s.Move(ctx, sp, n.ID, sp.Root(), fmt.Sprint(i))
		return err
	})
}

func BenchmarkOpenClosed(b *testing.B) {
	root := b.TempDir()
	for b.Loop() {
		s, err := Open(ctx, Options{Root: root}, quiet)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// Who asks what is new in a space must not pay for what others do.
func BenchmarkSince(b *testing.B) {
	s, err := Open(ctx, Options{Root: b.TempDir(), Durability: Relaxed}, quiet)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	mine, others := newSpace(b, s), newSpace(b, s)
	start := s.Last()
	fill(b, s, mine, mine.Root(), 10)
	quiet := s.Last()
	fill(b, s, others, others.Root(), 50_000)
	for _, c := range []struct {
		name  string
		after cloud.Cursor
		want  int
	}{{"others=50000", start, 10}, {"quiet", quiet, 0}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, err := range s.Since(ctx, mine, c.after) {
					if n++; err != nil {
						b.Fatal(err)
					}
				}
				if n != c.want {
					b.Fatalf("got %d records, want %d", n, c.want)
				}
			}
		})
	}
}
