package faults

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"opencloud/test/daemon"
	"opencloud/test/faults/forgetful"
	"opencloud/test/faults/model"
	"opencloud/test/faults/volume"
)

// TestPowerLoss runs a load on a disk that keeps a log, and then looks at what
// would have been left had the power gone at this moment or that one: all that
// was flushed, and any part of what was not.
func TestPowerLoss(t *testing.T) {
	volume.Need(t, true, "mkfs.ext4")
	rnd, seed := random(t)
	cuts := rounds(t, 20)
	disk, dir := volume.Forgetful(t, 512<<20)
	d := prepare(t, dir)
	srv := up(t, d)
	w, err := model.NewWorld(t.Context(), srv, seed, 4)
	if err != nil {
		t.Fatal(err)
	}
	w.Position = disk.Position
	if err := w.Resume(t.Context(), srv); err != nil {
		t.Fatal(err)
	}
	first := disk.Position()
	if err := w.Run(t.Context(), srv, model.Load{Acks: 300 + 20*cuts, Cut: d.Kill}); err != nil {
		t.Fatal(err)
	}
	srv.Close()
	last := disk.Position()
	acks := w.Acks()
	t.Logf("%d acknowledged, %d entries in the log of the disk, %d of them flushes", len(acks), last-first, disk.Flushes())

	// Half of the moments are just after something was acknowledged: then
	// the most has been promised and the least has had time to reach the disk.
	var at []int
	for i := range cuts {
		if i%2 == 0 {
			at = append(at, max(first, acks[rnd.IntN(len(acks))]))
		} else {
			at = append(at, first+rnd.IntN(last-first+1))
		}
	}
	slices.Sort(at)
	replay := disk.Replay()
	lost := 0
	for i, cut := range at {
		replay.Seek(cut)
		lost += replay.Unflushed()
		for range 2 {
			loss := forgetful.Losses[rnd.IntN(len(forgetful.Losses))]
			what := fmt.Sprintf("power cut %d, before entry %d of %d, %d writes unflushed, %s", i, cut-first, last-first, replay.Unflushed(), loss)
			survives(t, w, replay, cut, loss, rnd, what)
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d cuts with %d writes unflushed", len(at), lost)
}

// survives starts a server on what a power cut has left.
func survives(t *testing.T, w *model.World, replay *forgetful.Replay, cut int, loss forgetful.Loss, rnd *rand.Rand, what string) {
	t.Helper()
	file, err := volume.Memory(replay.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := replay.Image(file, loss, rnd); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "left")
	if err := volume.MountFile(file, dir, "ext4", ""); err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	defer func() {
		if err := volume.Unmount(dir); err != nil {
			t.Error(err)
		}
	}()
	d := daemon.New(t, dir)
	if err := d.Up(); err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	defer d.Kill()
	srv := model.NewServer(d.URL, "admin", daemon.Password)
	defer srv.Close()
	if err := w.Visit(t.Context(), srv, w.Before(cut)); err != nil {
		t.Errorf("%s: %v\nserver said:\n%s", what, err, d.Log)
	}
}
