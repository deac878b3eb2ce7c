package faults

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"opencloud/cloud"
	"opencloud/storage/journal"
	"opencloud/test/faults/forgetful"
	"opencloud/test/faults/model"
	"opencloud/test/faults/volume"
)

// appended is what one writer has put into the log.
type appended struct {
	id     string
	body   model.Content
	cursor cloud.Cursor
	at     int // the position of the disk when it was acknowledged
	undone int // the same for its being undone; 0: it never was
}

// TestJournalPowerLoss cuts the power of a disk with nothing on it but a redo
// log, which is the foundation of all other promises: what was appended is
// there, in order and whole, what was undone is not, and the log goes on.
func TestJournalPowerLoss(t *testing.T) {
	volume.Need(t, true, "mkfs.ext4")
	rnd, seed := random(t)
	disk, dir := volume.Forgetful(t, 64<<20)
	root, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	opts := journal.Options{Segment: 1 << 20}
	open := func(dir string) (*journal.Journal, error) {
		return journal.Open(filepath.Join(dir, "journal"), opts, slog.New(slog.DiscardHandler))
	}
	j, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	first := disk.Position()

	var mu sync.Mutex
	var all []appended
	var wg sync.WaitGroup
	for writer := range 4 {
		rnd := rand.New(rand.NewPCG(seed, uint64(1+writer)))
		wg.Go(func() {
			for i := range 120 {
				size := int64(rnd.IntN(500))
				if rnd.IntN(5) == 0 {
					size = int64(rnd.IntN(64 << 10))
				}
				a := appended{id: fmt.Sprint(writer, "-", i), body: model.NewContent(rnd.Uint64(), size)}
				ticket, err := j.Append(journal.Entry{Head: []byte(a.id), Redo: []byte("redo " + a.id), Body: a.body.Bytes()})
				if err != nil {
					t.Error(err)
					return
				}
				a.cursor, a.at = ticket.First(), disk.Position()
				if rnd.IntN(10) == 0 {
					if err := ticket.Undo(); err != nil {
						t.Error(err)
						return
					}
					a.undone = disk.Position()
				} else {
					ticket.Done(nil)
				}
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
				if rnd.IntN(40) == 0 {
					if err := j.Checkpoint(func() error { return unix.Syncfs(int(root.Fd())) }); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	last := disk.Position()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b appended) int { return int(a.cursor) - int(b.cursor) })

	var cuts []int
	for range rounds(t, 40) {
		at := first + rnd.IntN(last-first+1)
		if rnd.IntN(2) == 0 {
			at = all[rnd.IntN(len(all))].at
		}
		cuts = append(cuts, at)
	}
	slices.Sort(cuts)
	replay := disk.Replay()
	for _, cut := range cuts {
		replay.Seek(cut)
		loss := forgetful.Losses[rnd.IntN(len(forgetful.Losses))]
		if err := journalSurvives(t, replay, cut, loss, rnd, open, all); err != nil {
			t.Fatalf("power cut before entry %d of %d, %d writes unflushed, %s: %v", cut-first, last-first, replay.Unflushed(), loss, err)
		}
	}
}

func journalSurvives(t *testing.T, replay *forgetful.Replay, cut int, loss forgetful.Loss, rnd *rand.Rand, open func(string) (*journal.Journal, error), all []appended) (err error) {
	dir, done := remains(t, replay, loss, rnd)
	defer done()
	j, err := open(dir)
	if err != nil {
		return err
	}
	defer j.Close()
	byID := map[string]*appended{}
	for i := range all {
		byID[all[i].id] = &all[i]
	}
	// known compares an entry with what was appended; they come in order.
	var previous cloud.Cursor
	known := func(it journal.Item) error {
		a := byID[string(it.Head)]
		switch {
		case a == nil:
			return fmt.Errorf("entry %d has head %q, which nobody appended", it.Cursor, it.Head)
		case a.cursor != it.Cursor:
			return fmt.Errorf("%s has cursor %d, it was acknowledged as %d", a.id, it.Cursor, a.cursor)
		case it.Cursor <= previous:
			return fmt.Errorf("%s, cursor %d, comes after %d", a.id, it.Cursor, previous)
		case a.undone > 0 && a.undone <= cut:
			return fmt.Errorf("%s is back, it was undone", a.id)
		}
		previous = it.Cursor
		return nil
	}
	var broken error
	j.Tail(func(it journal.Item, err error) bool {
		if broken = err; broken != nil {
			return false
		}
		if broken = known(it); broken != nil {
			return false
		}
		a := byID[string(it.Head)]
		if !bytes.Equal(it.Body, a.body.Bytes()) || string(it.Redo) != "redo "+a.id {
			broken = fmt.Errorf("%s, cursor %d: the body is not what was appended", a.id, it.Cursor)
		}
		return broken == nil
	})
	if broken != nil {
		return fmt.Errorf("tail: %w", broken)
	}
	if err := j.Start(); err != nil {
		return err
	}
	there := map[string]bool{}
	previous = 0
	for it, err := range j.Since(0) {
		if err != nil {
			return fmt.Errorf("since the beginning: %w", err)
		}
		if err := known(it); err != nil {
			return fmt.Errorf("since the beginning: %w", err)
		}
		there[string(it.Head)] = true
	}
	for _, a := range all {
		if a.at <= cut && a.undone == 0 && !there[a.id] {
			return fmt.Errorf("%s, cursor %d, was acknowledged and is lost", a.id, a.cursor)
		}
	}
	ticket, err := j.Append(journal.Entry{Head: []byte("after")})
	if err != nil {
		return err
	}
	if ticket.First() <= previous {
		return fmt.Errorf("the first new entry has cursor %d, the last old one %d", ticket.First(), previous)
	}
	ticket.Done(nil)
	return nil
}
