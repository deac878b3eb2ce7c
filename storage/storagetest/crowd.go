package storagetest

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"opencloud/cloud"
)

// crowd runs fn n times at once and waits.
func crowd(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

var crowdTales = []tale{
	{"CrowdOneNameFresh", func(h *house) {
		for round := range 5 {
			name := fmt.Sprint("f", round)
			var won atomic.Int32
			var winner atomic.Value
			crowd(16, func(i int) {
				w := h.content(h.root, name, fmt.Sprint("content ", i))
				w.Fresh = true
				_, made, err := h.Write(h.ctx, w)
				switch {
				case err == nil && made:
					won.Add(1)
					winner.Store(fmt.Sprint("content ", i))
				case !errors.Is(err, cloud.Exist):
					h.Errorf("Write beside others: got made %v, %v, want it made or taken", made, err)
				}
			})
			if won.Load() != 1 {
				h.Fatalf("writers that made one name: got %d, want 1", won.Load())
			}
			n, err := h.Lookup(h.ctx, h.space, "", name)
			if err != nil || h.read(n.ID) != winner.Load() {
				h.Errorf("content: got another than the winner's, %v", err)
			}
		}
		h.walk()
	}},

	{"CrowdOneNameOver", func(h *house) {
		const n = 16
		var made atomic.Int32
		crowd(n, func(i int) {
			w := h.content(h.root, "f", strings.Repeat("x", i+1))
			w.Keep = true
			_, m, err := h.Write(h.ctx, w)
			if err != nil {
				h.Errorf("Write beside others: got %v", err)
			}
			if m {
				made.Add(1)
			}
		})
		if made.Load() != 1 {
			h.Errorf("writers that made the file: got %d, want 1", made.Load())
		}
		f, err := h.Lookup(h.ctx, h.space, "", "f")
		if err != nil {
			h.Fatalf("Lookup: got %v", err)
		}
		bodies := append(h.contents(f.ID), h.read(f.ID))
		slices.SortFunc(bodies, func(a, b string) int { return len(a) - len(b) })
		var want []string
		for i := range n {
			want = append(want, strings.Repeat("x", i+1))
		}
		h.same("all contents, now and before", bodies, want)
		h.walk()
	}},

	{"CrowdCompareAndSwap", func(h *house) {
		h.file(h.root, "f", "0")
		for round := range 5 {
			now, err := h.Lookup(h.ctx, h.space, "", "f")
			if err != nil {
				h.Fatalf("Lookup: got %v", err)
			}
			var won atomic.Int32
			crowd(8, func(i int) {
				w := h.content(h.root, "f", fmt.Sprint(round, i))
				w.Check = func(n *cloud.Node, _ int64) error {
					if n == nil || n.ETag != now.ETag {
						return cloud.Precondition
					}
					return nil
				}
				if _, _, err := h.Write(h.ctx, w); err == nil {
					won.Add(1)
				} else if !errors.Is(err, cloud.Precondition) {
					h.Errorf("Write beside others: got %v", err)
				}
			})
			if won.Load() != 1 {
				h.Errorf("writers that saw the same ETag and won: got %d, want 1", won.Load())
			}
		}
	}},

	{"CrowdManyDirs", func(h *house) {
		const writers, files = 8, 12
		shared := h.dir(h.root, "shared")
		last := h.Last()
		crowd(writers, func(i int) {
			d, err := h.MakeDir(h.ctx, h.space, h.root, fmt.Sprint("d", i))
			if err != nil {
				h.Errorf("MakeDir: got %v", err)
				return
			}
			for j := range files {
				for _, dir := range []cloud.NodeID{d.ID, shared.ID} {
					w := h.content(dir, fmt.Sprint("f", i, "-", j), strings.Repeat("x", i*100+j))
					if _, _, err := h.Write(h.ctx, w); err != nil {
						h.Errorf("Write: got %v", err)
					}
				}
			}
		})
		var want int64
		for i := range writers {
			for j := range files {
				want += int64(i*100 + j)
			}
		}
		if n := h.node(shared.ID); n.Size != want {
			h.Errorf("size of the shared directory: got %d, want %d", n.Size, want)
		}
		if n := h.node(h.root); n.Size != 2*want {
			h.Errorf("size of the root: got %d, want %d", n.Size, 2*want)
		}
		h.walk()
		records := h.records(last)
		if len(records) != writers*(1+2*files) {
			h.Errorf("records: got %d, want %d", len(records), writers*(1+2*files))
		}
		if !slices.IsSortedFunc(records, func(a, b *cloud.Record) int { return int(a.Seq) - int(b.Seq) }) {
			h.Errorf("records: got them out of order")
		}
	}},

	{"CrowdEdit", func(h *house) {
		f := h.file(h.root, "f", "content")
		const n = 32
		crowd(n, func(i int) {
			_, err := h.Edit(h.ctx, h.space, f.ID, func(n *cloud.Node) error {
				if n.Attrs == nil {
					n.Attrs = map[string]string{}
				}
				n.Attrs["count"] += "x"
				n.Attrs[fmt.Sprint(i)] = ""
				return nil
			})
			if err != nil {
				h.Errorf("Edit: got %v", err)
			}
		})
		if got := h.node(f.ID).Attrs; len(got["count"]) != n || len(got) != n+1 {
			h.Errorf("attributes after %d edits at once: got a count of %d and %d others", n, len(got["count"]), len(got)-1)
		}
	}},

	{"CrowdMakeDir", func(h *house) {
		var won atomic.Int32
		crowd(8, func(i int) {
			if _, err := h.MakeDir(h.ctx, h.space, h.root, "d"); err == nil {
				won.Add(1)
			} else if !errors.Is(err, cloud.Exist) {
				h.Errorf("MakeDir beside others: got %v", err)
			}
			w := h.content(h.root, "d", "content")
			if _, _, err := h.Write(h.ctx, w); err != nil && !errors.Is(err, cloud.Exist) {
				h.Errorf("Write beside others: got %v", err)
			}
		})
		h.same("members", h.names(h.root), []string{"d"})
		if n, err := h.Lookup(h.ctx, h.space, "", "d"); err != nil || n.Dir != (won.Load() == 1) {
			h.Errorf("what stands there: got %v, %v with %d directories made", n, err, won.Load())
		}
	}},

	{"CrowdMoves", func(h *house) {
		// One name for many, one node to many names, and no cycles.
		for range 5 {
			h := h.another()
			var won atomic.Int32
			var ids []cloud.NodeID
			for i := range 8 {
				ids = append(ids, h.file(h.root, fmt.Sprint("f", i), "content").ID)
			}
			crowd(8, func(i int) {
				if _, err := h.Move(h.ctx, h.space, ids[i], h.root, "one"); err == nil {
					won.Add(1)
				} else if !errors.Is(err, cloud.Exist) {
					h.Errorf("Move beside others: got %v", err)
				}
			})
			if won.Load() != 1 || len(h.list(h.root)) != 8 {
				h.Errorf("moves to one name: got %d done and %d members, want 1 and 8", won.Load(), len(h.list(h.root)))
			}
			a, b := h.dir(h.root, "a"), h.dir(h.root, "b")
			won.Store(0)
			crowd(2, func(i int) {
				pair := []cloud.NodeID{a.ID, b.ID}
				if _, err := h.Move(h.ctx, h.space, pair[i], pair[1-i], "x"); err == nil {
					won.Add(1)
				} else if !errors.Is(err, cloud.Conflict) {
					h.Errorf("Move of a directory beside its opposite: got %v", err)
				}
			})
			if won.Load() != 1 {
				h.Errorf("moves of two directories into each other: got %d done, want 1", won.Load())
			}
			crowd(8, func(i int) {
				if _, err := h.Move(h.ctx, h.space, ids[0], h.root, fmt.Sprint("name", i)); err != nil {
					h.Errorf("Move of one to many names: got %v", err)
				}
			})
			if all := h.walk(); len(all) != 11 {
				h.Errorf("nodes in the tree: got %d, want 11", len(all))
			}
		}
	}},

	{"CrowdWritesAndMoves", func(h *house) {
		// Files come in below while the directory is on the move, and every
		// Check reads what stands above.
		a, b := h.dir(h.root, "a"), h.dir(h.root, "b")
		d := h.dir(a.ID, "d")
		below := h.dir(d.ID, "below")
		const writers, files = 4, 10
		crowd(writers+2, func(i int) {
			switch {
			case i < writers:
				for j := range files {
					w := h.content(below.ID, fmt.Sprint(i, "-", j), "12345")
					w.Check = func(*cloud.Node, int64) error {
						_, err := h.Ancestors(h.ctx, h.space, below.ID)
						return err
					}
					if _, _, err := h.Write(h.ctx, w); err != nil {
						h.Errorf("Write below a moving directory: got %v", err)
					}
				}
			case i == writers:
				for range files {
					for _, dir := range []cloud.NodeID{b.ID, a.ID} {
						if _, err := h.Move(h.ctx, h.space, d.ID, dir, "d"); err != nil {
							h.Errorf("Move of a directory being filled: got %v", err)
						}
					}
				}
			default:
				for range files * 5 {
					n, err := h.Node(h.ctx, h.space, below.ID)
					if err != nil || n.Path != "a/d/below" && n.Path != "b/d/below" {
						h.Errorf("Node below a moving directory: got %v, %v", n, err)
					}
				}
			}
		})
		if n := h.node(h.root); n.Size != writers*files*5 {
			h.Errorf("size of the root: got %d, want %d", n.Size, writers*files*5)
		}
		if n := h.node(b.ID); n.Size != 0 {
			h.Errorf("size of where it was: got %d, want 0", n.Size)
		}
		h.walk()
	}},

	{"CrowdReads", func(h *house) {
		// What is opened is whole and of the node it comes with.
		f := h.file(h.root, "f", long(1000))
		var done atomic.Bool
		crowd(4, func(i int) {
			if i == 0 {
				defer done.Store(true)
				for j := range 60 {
					size := []int{10, 70_000}[j%2] + j
					w := h.content(h.root, "f", long(size))
					if _, _, err := h.Write(h.ctx, w); err != nil {
						h.Errorf("Write: got %v", err)
					}
				}
				return
			}
			for !done.Load() {
				c, n, err := h.Open(h.ctx, h.space, f.ID)
				if err != nil {
					h.Errorf("Open: got %v", err)
					return
				}
				body, err := io.ReadAll(c)
				c.Close()
				if err != nil || int64(len(body)) != n.Size || cloud.SumsOf(body) != n.Sums {
					h.Errorf("Open while written over: got %d bytes that are not the node's %d, %v", len(body), n.Size, err)
					return
				}
			}
		})
	}},

	{"CrowdListing", func(h *house) {
		// What is not touched is listed once; what comes and goes at most once.
		var stay []string
		for i := range 100 {
			stay = append(stay, fmt.Sprintf("stay%03d", i))
			h.file(h.root, stay[i], "")
		}
		var done atomic.Bool
		crowd(3, func(i int) {
			if i == 0 {
				defer done.Store(true)
				for j := range 50 {
					n, _, err := h.Write(h.ctx, h.content(h.root, fmt.Sprint("come", j), ""))
					if err != nil {
						h.Errorf("Write: got %v", err)
						return
					}
					if err := h.Drop(h.ctx, h.space, n.ID); err != nil {
						h.Errorf("Drop: got %v", err)
					}
				}
				return
			}
			for !done.Load() {
				seen := map[string]int{}
				for n, err := range h.Children(h.ctx, h.space, h.root) {
					if err != nil {
						h.Errorf("Children: got %v", err)
						return
					}
					seen[n.Name]++
				}
				for name, times := range seen {
					if times != 1 {
						h.Errorf("listing while written: got %q %d times", name, times)
					}
				}
				for _, name := range stay {
					if seen[name] == 0 {
						h.Errorf("listing while written: got no %q", name)
						return
					}
				}
			}
		})
		// The loop over a listing may change what it lists.
		for n, err := range h.Children(h.ctx, h.space, h.root) {
			if err != nil {
				h.Fatalf("Children: got %v", err)
			}
			h.trash(n.ID)
		}
		h.same("members", h.names(h.root), []string{})
		for n, err := range h.Children(h.ctx, h.space, cloud.TrashID) {
			if err != nil {
				h.Fatalf("Children: got %v", err)
			}
			h.drop(n.ID)
		}
		h.same("bin", h.names(cloud.TrashID), []string{})
	}},

	{"Panics", func(h *house) {
		// A panic in what the store calls is its caller's; the store goes on.
		f := h.file(h.root, "f", "content")
		u := h.begin("u", 5)
		panics := func([]byte) (int, error) { panic("body") }
		h.unchanged("panics", func() {
			for what, act := range map[string]func(){
				"Check": func() {
					w := h.content(h.root, "f", "new content")
					w.Check = func(*cloud.Node, int64) error { panic("Check") }
					h.Write(h.ctx, w)
				},
				"Edit": func() { h.edit(f.ID, func(n *cloud.Node) { n.MTime = when(2001); panic("Edit") }) },
				"the body of Write": func() {
					h.Write(h.ctx, cloud.Write{Space: h.space, Dir: h.root, Name: "f", Body: readerFunc(panics), Size: -1})
				},
				"the body of AppendUpload":  func() { h.AppendUpload(h.ctx, h.space, u.ID, 0, readerFunc(panics)) },
				"the loop over a listing":   func() { h.Children(h.ctx, h.space, h.root)(func(*cloud.Node, error) bool { panic("loop") }) },
				"the loop over the journal": func() { h.Since(h.ctx, h.space, 0)(func(*cloud.Record, error) bool { panic("loop") }) },
				"the loop over the uploads": func() { h.Uploads(h.ctx, h.space)(func(*cloud.Upload, error) bool { panic("loop") }) },
			} {
				func() {
					defer func() {
						if recover() == nil {
							h.Errorf("panic in %s: got none", what)
						}
					}()
					act()
				}()
			}
		})
		h.keep(h.root, "f", "new content")
		h.edit(f.ID, func(n *cloud.Node) { n.Attrs = map[string]string{"k": "v"} })
		h.fill(u.ID, 0, "12345")
		h.write(h.end(u))
		h.trash(h.move(f.ID, h.root, "g").ID)
		h.drop(f.ID)
	}},

	{"CrowdUploads", func(h *house) {
		// Pieces for one place: each byte is taken once.
		u := h.begin("f", 4)
		for at := range int64(4) {
			var won atomic.Int32
			crowd(6, func(int) {
				slow := readerFunc(func(p []byte) (int, error) {
					for range 20 {
						runtime.Gosched() // so that the others come as well
					}
					return copy(p, "x"), io.EOF
				})
				if _, err := h.AppendUpload(h.ctx, h.space, u.ID, at, slow); err == nil {
					won.Add(1)
				} else if !errors.Is(err, cloud.Conflict) {
					h.Errorf("AppendUpload beside others: got %v", err)
				}
			})
			if won.Load() != 1 {
				h.Errorf("pieces taken at %d: got %d, want 1", at, won.Load())
			}
		}
		var won atomic.Int32
		crowd(4, func(int) {
			if _, _, err := h.Write(h.ctx, h.end(u)); err == nil {
				won.Add(1)
			} else if !errors.Is(err, cloud.NotExist) {
				h.Errorf("Write of one upload beside others: got %v", err)
			}
		})
		if won.Load() != 1 {
			h.Errorf("writes that ended one upload: got %d, want 1", won.Load())
		}
	}},
}
