package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"opencloud/cloud"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

const small = 64 << 10 // bytes of a segment

func open(t testing.TB, dir string, opts Options) *Journal {
	t.Helper()
	if opts.Segment == 0 {
		opts.Segment = small
	}
	j, err := Open(dir, opts, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func started(t testing.TB, dir string, opts Options) *Journal {
	t.Helper()
	j := open(t, dir, opts)
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	return j
}

func entry(s string) Entry {
	return Entry{Head: []byte("head " + s), Redo: []byte("redo " + s), Body: []byte("body " + s)}
}

func add(t testing.TB, j *Journal, e ...Entry) *Ticket {
	t.Helper()
	tk, err := j.Append(e...)
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

// tail is what a start would have to carry out again.
func tail(t testing.TB, j *Journal) map[cloud.Cursor]string {
	t.Helper()
	got := map[cloud.Cursor]string{}
	for e, err := range j.Tail {
		if err != nil {
			t.Fatal(err)
		}
		got[e.Cursor] = fmt.Sprintf("%s,%s,%s", e.Head, e.Redo, e.Body)
	}
	return got
}

func since(t testing.TB, j *Journal, after cloud.Cursor) []string {
	t.Helper()
	var got []string
	for it, err := range j.Since(after) {
		if err != nil {
			return append(got, err.Error())
		}
		got = append(got, fmt.Sprintf("%d %s", it.Cursor, it.Head))
	}
	return got
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: (-want +got)\n%s", what, d)
	}
}

func nothing() error { return nil }

func TestTailComesBack(t *testing.T) {
	dir := t.TempDir()
	j := started(t, dir, Options{})
	for _, s := range []string{"a", "b", "c"} {
		add(t, j, entry(s)).Done(nil)
	}
	if err := j.Checkpoint(nothing); err != nil {
		t.Fatal(err)
	}
	add(t, j, entry("d"), entry("e"))
	add(t, j, Entry{Redo: []byte("private")})
	j.Close()

	j = open(t, dir, Options{})
	same(t, "tail", tail(t, j), map[cloud.Cursor]string{
		4: "head d,redo d,body d",
		5: "head e,redo e,body e",
		6: ",private,",
	})
	if b, err := j.Body(5); string(b) != "body e" || err != nil {
		t.Errorf("Body(5): got %q, %v, want %q", b, err, "body e")
	}
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	if got := j.Last(); got != 6 {
		t.Errorf("Last: got %d, want 6", got)
	}
	same(t, "since 0", since(t, j, 0), []string{"1 head a", "2 head b", "3 head c", "4 head d", "5 head e"})
	j.Close()
	j = open(t, dir, Options{})
	same(t, "tail after Start", tail(t, j), map[cloud.Cursor]string{})
	j.Close()
}

// A log that is cut or spoilt anywhere gives back whole entries up to there,
// and takes new ones.
func TestTornEnd(t *testing.T) {
	dir := t.TempDir()
	j := started(t, dir, Options{Segment: 2 * blockSize})
	const n = 5
	size := 0
	for i := range n {
		e := entry(fmt.Sprint(i))
		size = e.size()
		add(t, j, e).Done(nil)
	}
	j.Close()
	name := filepath.Join(dir, "redo-000")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for at := blockSize; at < blockSize+n*size; at++ {
		spoilt := bytes.Clone(whole)
		spoilt[at] ^= 0x40
		if err := os.WriteFile(name, spoilt, 0o600); err != nil {
			t.Fatal(err)
		}
		j := open(t, dir, Options{Segment: 2 * blockSize})
		if got, want := len(tail(t, j)), (at-blockSize)/size; got != want {
			t.Fatalf("spoilt at %d: got %d entries, want %d", at, got, want)
		}
		j.Close()
	}
}

// What stands behind a torn end is never taken for an entry, not even when
// new entries of the same size fill the gap.
func TestNoResurrection(t *testing.T) {
	dir := t.TempDir()
	j := started(t, dir, Options{})
	for _, s := range []string{"a", "b", "c"} {
		add(t, j, entry(s)).Done(nil)
	}
	j.Close()
	f, err := os.OpenFile(filepath.Join(dir, "redo-000"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := entry("a")
	f.WriteAt([]byte{0xff}, int64(blockSize+e.size()+headerSize))
	f.Close()
	j = started(t, dir, Options{})
	add(t, j, entry("B")).Done(nil)
	j.Close()
	j = open(t, dir, Options{})
	same(t, "tail", tail(t, j), map[cloud.Cursor]string{2: "head B,redo B,body B"})
	j.Close()
}

func TestUndo(t *testing.T) {
	dir := t.TempDir()
	j := started(t, dir, Options{})
	add(t, j, entry("a")).Done(nil)
	b := add(t, j, entry("b"), entry("b2"))
	c := add(t, j, entry("c"))
	if err := b.Undo(); err != nil {
		t.Fatal(err)
	}
	c.Done(nil)
	want := []string{"1 head a", "4 head c"}
	same(t, "since 0", since(t, j, 0), want)
	j.Close()
	j = open(t, dir, Options{})
	same(t, "tail", tail(t, j), map[cloud.Cursor]string{1: "head a,redo a,body a", 4: "head c,redo c,body c"})
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	same(t, "since 0 from the history", since(t, j, 0), want)
	j.Close()
}

// Done returns, and Since shows an entry, only when all before it are done.
func TestDoneKeepsOrder(t *testing.T) {
	j := started(t, t.TempDir(), Options{})
	defer j.Close()
	var order []string
	a, b, c := add(t, j, entry("a")), add(t, j, entry("b")), add(t, j, entry("c"))
	var wg sync.WaitGroup
	wg.Go(func() { c.Done(func() { order = append(order, "c") }) })
	wg.Go(func() { b.Done(func() { order = append(order, "b") }) })
	same(t, "since 0 while a is not done", since(t, j, 0), []string(nil))
	if got := j.Last(); got != 0 {
		t.Errorf("Last while a is not done: got %d, want 0", got)
	}
	a.Done(func() { order = append(order, "a") })
	wg.Wait()
	same(t, "order", order, []string{"a", "b", "c"})
	same(t, "since 1", since(t, j, 1), []string{"2 head b", "3 head c"})
}

func TestBounds(t *testing.T) {
	j := started(t, t.TempDir(), Options{})
	defer j.Close()
	for range 2 {
		add(t, j, entry("a")).Done(nil)
	}
	for after, want := range map[cloud.Cursor][]string{2: nil, 3: {cloud.TooOld.Error()}} {
		same(t, fmt.Sprint("since ", after), since(t, j, after), want)
	}
	if _, err := j.Append(Entry{Body: make([]byte, small)}); !errors.Is(err, cloud.TooLarge) {
		t.Errorf("an entry larger than a segment: got %v, want %v", err, cloud.TooLarge)
	}
}

func TestHistoryIsTrimmed(t *testing.T) {
	dir := t.TempDir()
	j := started(t, dir, Options{HistorySize: 2 * chapterSize})
	e := Entry{Head: bytes.Repeat([]byte("x"), 50<<10)}
	n := 4 * chapterSize / len(e.Head)
	for range n {
		add(t, j, e).Done(nil)
		if err := j.Checkpoint(nothing); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "since 0", since(t, j, 0), []string{cloud.TooOld.Error()})
	first := j.history.files[0].after
	if got, want := len(since(t, j, first)), n-int(first); got != want {
		t.Errorf("since %d: got %d entries, want %d", first, got, want)
	}
	j.Close()
	j = started(t, dir, Options{HistorySize: 2 * chapterSize})
	defer j.Close()
	if got, want := len(since(t, j, first)), n-int(first); got != want {
		t.Errorf("since %d after a start: got %d entries, want %d", first, got, want)
	}
}

// Once a flush has failed nothing is taken any more, and what was is there.
func TestPoison(t *testing.T) {
	dir := t.TempDir()
	j := started(t, dir, Options{})
	add(t, j, entry("a")).Done(nil)
	broken := errors.New("input/output error")
	j.sync = func(*os.File) error { return broken }
	if _, err := j.Append(entry("b")); !errors.Is(err, cloud.Unavailable) || !errors.Is(err, broken) {
		t.Errorf("Append when the flush fails: got %v, want %v", err, cloud.Unavailable)
	}
	j.sync = fdatasync
	if _, err := j.Append(entry("c")); !errors.Is(err, cloud.Unavailable) {
		t.Errorf("Append after a failed flush: got %v, want %v", err, cloud.Unavailable)
	}
	if err := j.Checkpoint(nothing); !errors.Is(err, cloud.Unavailable) {
		t.Errorf("Checkpoint after a failed flush: got %v, want %v", err, cloud.Unavailable)
	}
	same(t, "since 0", since(t, j, 0), []string{"1 head a"})
	j.Close()
	j = open(t, dir, Options{})
	defer j.Close()
	if got := tail(t, j)[1]; got != "head a,redo a,body a" {
		t.Errorf("tail: got %q for 1, want a", got)
	}
}

// When the log may not grow any more, writers wait for a checkpoint, and the
// owner is told to make one.
func TestWaitsForCheckpoint(t *testing.T) {
	pressed := make(chan struct{}, 1)
	j := started(t, t.TempDir(), Options{Segment: 2 * blockSize, Pressed: func() {
		select {
		case pressed <- struct{}{}:
		default:
		}
	}})
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-pressed:
				if err := j.Checkpoint(nothing); err != nil {
					t.Error(err)
				}
			case <-quit:
				return
			}
		}
	})
	e := Entry{Head: []byte("h"), Body: make([]byte, 3000)}
	for range 5 * most {
		add(t, j, e).Done(nil)
	}
	close(quit)
	wg.Wait()
	if got := len(since(t, j, 0)); got != 5*most {
		t.Errorf("got %d entries, want %d", got, 5*most)
	}
	if len(j.segments) > most {
		t.Errorf("got %d segments, want at most %d", len(j.segments), most)
	}
	j.Close()
}

func TestFailedCheckpointKeepsTheTail(t *testing.T) {
	dir := t.TempDir()
	j := started(t, dir, Options{})
	add(t, j, entry("a")).Done(nil)
	broken := errors.New("no")
	if err := j.Checkpoint(func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("Checkpoint: got %v, want %v", err, broken)
	}
	j.Close()
	j = open(t, dir, Options{})
	defer j.Close()
	if got := len(tail(t, j)); got != 1 {
		t.Errorf("tail: got %d entries, want 1", got)
	}
}

func TestDamagedMark(t *testing.T) {
	dir := t.TempDir()
	j := started(t, dir, Options{})
	add(t, j, entry("a")).Done(nil)
	if err := j.Checkpoint(nothing); err != nil {
		t.Fatal(err)
	}
	turn := j.mark.turn
	j.Close()
	name := filepath.Join(dir, "mark")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[int64(turn%2)*blockSize+20] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	// The older copy leads to the same end: entries are in the history once.
	j = started(t, dir, Options{})
	same(t, "since 0", since(t, j, 0), []string{"1 head a"})
	j.Close()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{Segment: small}, quiet); err == nil || !strings.Contains(err.Error(), "mark is missing") {
		t.Errorf("Open without a mark: got %v, want an error that says so", err)
	}
}

// Whatever is appended by many at once, checkpointed now and then and cut off
// at any time is there afterwards, once and in order.
func TestLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		opts := Options{Segment: 4 * blockSize}
		start := func() *Journal {
			j, err := Open(dir, opts, quiet)
			if err == nil {
				err = j.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			return j
		}
		j := start()
		var want []string
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				e := entry(fmt.Sprint(len(want)))
				e.Body = make([]byte, rapid.IntRange(0, 9000).Draw(t, "body"))
				tk, err := j.Append(e)
				if err != nil {
					t.Fatal(err)
				}
				if rapid.Bool().Draw(t, "works") {
					tk.Done(nil)
					want = append(want, fmt.Sprintf("%d %s", tk.First(), e.Head))
				} else if err := tk.Undo(); err != nil {
					t.Fatal(err)
				}
			},
			"checkpoint": func(t *rapid.T) {
				if err := j.Checkpoint(nothing); err != nil {
					t.Fatal(err)
				}
			},
			"restart": func(t *rapid.T) {
				j.Close()
				j = start()
			},
			"": func(t *rapid.T) {
				var got []string
				for it, err := range j.Since(0) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprintf("%d %s", it.Cursor, it.Head))
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Fatalf("since 0 (-want +got)\n%s", d)
				}
			},
		})
		j.Close()
	})
}

func TestManyWriters(t *testing.T) {
	dir := t.TempDir()
	j := started(t, dir, Options{Segment: 4 << 20})
	var wg sync.WaitGroup
	const writers, each = 16, 50
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				tk, err := j.Append(entry(fmt.Sprint(w, " ", i)))
				if err != nil {
					t.Error(err)
					return
				}
				tk.Done(nil)
			}
		})
	}
	wg.Wait()
	j.Close()
	j = open(t, dir, Options{Segment: 4 << 20})
	defer j.Close()
	last := map[int]int{}
	n := 0
	for _, s := range tailInOrder(j) {
		var w, i int
		if _, err := fmt.Sscanf(s, "head %d %d", &w, &i); err != nil {
			t.Fatal(err)
		}
		if i != last[w] {
			t.Errorf("writer %d: got its entry %d, want %d", w, i, last[w])
		}
		last[w]++
		n++
	}
	if n != writers*each {
		t.Errorf("got %d entries, want %d", n, writers*each)
	}
}

func tailInOrder(j *Journal) (all []string) {
	for e := range j.Tail {
		all = append(all, string(e.Head))
	}
	return all
}

func TestOldHistoryGoesByAge(t *testing.T) {
	dir := t.TempDir()
	j := started(t, dir, Options{HistoryAge: time.Hour})
	defer j.Close()
	e := Entry{Head: bytes.Repeat([]byte("x"), 50<<10)}
	for j.history.files[len(j.history.files)-1].after == 0 {
		add(t, j, e).Done(nil)
		if err := j.Checkpoint(nothing); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(j.history.name(0), past, past); err != nil {
		t.Fatal(err)
	}
	add(t, j, e).Done(nil)
	if err := j.Checkpoint(nothing); err != nil {
		t.Fatal(err)
	}
	same(t, "since 0", since(t, j, 0), []string{cloud.TooOld.Error()})
}

func FuzzDecode(f *testing.F) {
	e := entry("a")
	b := encode(nil, e, undoes)
	seal(b, 7, 9)
	f.Add(b)
	f.Add(append(b, b...))
	f.Add(b[:headerSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, rest, err := decode(b)
		if err != nil {
			return
		}
		again := encode(nil, fr.Entry, fr.flags)
		seal(again, fr.epoch, fr.cursor)
		if got := b[:len(b)-len(rest)]; len(again) != len(got) {
			t.Errorf("encode(decode(b)): got %d bytes, want %d", len(again), len(got))
		}
		if back, _, err := decode(again); err != nil || !cmp.Equal(back.Entry, fr.Entry) {
			t.Errorf("decode(encode(%v)): got %v, %v", fr, back, err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			j := started(b, b.TempDir(), Options{Segment: 16 << 20})
			defer j.Close()
			e := Entry{Head: make([]byte, 300), Redo: make([]byte, 60), Body: make([]byte, 1024)}
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			left := make(chan struct{}, b.N)
			for range b.N {
				left <- struct{}{}
			}
			close(left)
			for range writers {
				wg.Go(func() {
					for range left {
						tk, err := j.Append(e)
						if err != nil {
							b.Error(err)
							return
						}
						tk.Done(nil)
						if tk.First()%20000 == 0 {
							if err := j.Checkpoint(nothing); err != nil {
								b.Error(err)
							}
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
