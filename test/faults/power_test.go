package faults

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"opencloud/core"
	"opencloud/storage/posix"
	"opencloud/test/daemon"
	"opencloud/test/faults/forgetful"
	"opencloud/test/faults/local"
	"opencloud/test/faults/model"
	"opencloud/test/faults/volume"
)

// A start begins to serve what is in a folder.
type start func(t *testing.T, dir string) (srv *model.Server, kill func(), err error)

// process is the real server.
func process(t *testing.T, dir string) (*model.Server, func(), error) {
	d := daemon.New(t, dir)
	if err := d.Up(); err != nil {
		return nil, nil, err
	}
	srv := model.NewServer(d.URL, "admin", daemon.Password)
	return srv, func() {
		d.Kill()
		srv.Close()
		if t.Failed() {
			t.Logf("server said:\n%s", lastOf(d.Log))
		}
	}, nil
}

// inside is the store of the real server, but in this process: starting takes
// so little that many more moments can be tried. It cannot be killed, but
// whatever it does afterwards, the power is gone by then.
func inside(segment int64) start {
	return func(t *testing.T, dir string) (*model.Server, func(), error) {
		store, err := posix.Open(t.Context(), posix.Options{Root: dir, LogSegment: segment}, slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, nil, err
		}
		srv, stop := local.Serve(core.New(store, core.Options{}))
		return srv, func() {
			stop()
			if err := store.Close(); err != nil {
				t.Log("closing the store: ", err)
			}
			// Its folder is closed when nobody knows the store any more, and
			// the disk cannot be unmounted before.
			store, stop = nil, nil
		}, nil
	}
}

// TestPowerLoss runs a load on a disk that keeps a log, and then looks at what
// would have been left had the power gone at this moment or that one: all that
// was flushed, and any part of what was not.
func TestPowerLoss(t *testing.T) {
	volume.Need(t, true, "mkfs.ext4")
	rnd, seed := random(t)
	n := rounds(t, 2)
	t.Run("server", func(t *testing.T) {
		for i := range (n + 3) / 4 {
			t.Run(fmt.Sprint(i), func(t *testing.T) { powerLoss(t, process, 4, rnd, seed+uint64(i)) })
		}
	})
	t.Run("store", func(t *testing.T) {
		for i := range n {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				// With short segments there are many checkpoints, with long ones few.
				segment := int64(256<<10) << (2 * rnd.IntN(3))
				powerLoss(t, inside(segment), 12, rnd, seed+uint64(i))
			})
		}
	})
}

func powerLoss(t *testing.T, start start, cuts int, rnd *rand.Rand, seed uint64) {
	disk, dir := volume.Forgetful(t, 512<<20)
	srv, kill, err := start(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	dead := false
	defer func() {
		if !dead {
			kill()
		}
	}()
	w, err := model.NewWorld(t.Context(), srv, seed, 4)
	if err != nil {
		t.Fatal(err)
	}
	w.Position = disk.Position
	if err := w.Resume(t.Context(), srv); err != nil {
		t.Fatal(err)
	}
	first, last := disk.Position(), 0
	stop := commits(t, dir, rand.New(rand.NewPCG(seed, 99)))
	defer stop()
	// Several stretches, so that there are folders whose ETags are known.
	for stretch := range 3 {
		if stretch > 0 {
			if err := w.Resume(t.Context(), srv); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Run(t.Context(), srv, model.Load{Acks: 100}); err != nil {
			t.Fatal(err)
		}
	}
	last = disk.Position()
	stop()
	kill()
	dead = true
	acks := w.Acks()

	// Half of the moments are just after something was acknowledged: then
	// the most has been promised and the least has had time to reach the disk.
	var at []int
	for i := range cuts {
		if i%2 == 0 {
			at = append(at, acks[rnd.IntN(len(acks))])
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
			if err := survives(t, start, w, replay, cut, loss, rnd); err != nil {
				for _, quoted := range regexp.MustCompile(`"(?:[^"\\]|\\.)+"`).FindAllString(err.Error(), 3) {
					if name, bad := strconv.Unquote(quoted); bad == nil {
						t.Logf("what happened to %s:\n%s", quoted, w.Story(cut, path.Base(name)))
					}
				}
				t.Fatalf("power cut %d, before entry %d of %d, %d writes unflushed, %s: %v", i, cut-first, last-first, replay.Unflushed(), loss, err)
			}
		}
	}
	t.Logf("%d acknowledged, %d entries in the log of the disk, %d of them flushes; %d cuts with %d writes unflushed",
		len(acks), last-first, disk.Flushes(), len(at), lost)
}

// commits has the kernel write down names and attributes now and then, as it
// does of its own accord every few seconds: in the middle of anything.
func commits(t *testing.T, dir string, rnd *rand.Rand) (stop func()) {
	t.Helper()
	root, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer root.Close()
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Duration(rnd.IntN(30)) * time.Millisecond):
				root.Sync()
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(end)
		<-ended
	})
}

// survives starts a server on what a power cut has left. Now and then there
// is another one while it brings things in order, or just after.
func survives(t *testing.T, start start, w *model.World, replay *forgetful.Replay, cut int, loss forgetful.Loss, rnd *rand.Rand) error {
	t.Helper()
	if rnd.IntN(6) == 0 {
		again := forgetful.New(replay.Size())
		if err := replay.Image(again, loss, rnd); err != nil {
			return err
		}
		end, err := begins(t, start, again)
		if err != nil {
			return err
		}
		replay = again.Replay()
		replay.Seek(rnd.IntN(end + 1))
		loss = forgetful.Losses[rnd.IntN(len(forgetful.Losses))]
	}
	dir, done := remains(t, replay, loss, rnd)
	defer done()
	srv, kill, err := start(t, dir)
	if err != nil {
		return err
	}
	defer kill()
	return w.Visit(t.Context(), srv, w.Before(cut))
}

// begins starts a server on a disk and ends it. The log of the disk tells of
// that up to end, and then of unmounting.
func begins(t *testing.T, start start, disk *forgetful.Disk) (end int, err error) {
	t.Helper()
	dir, unmount, err := volume.MountForgetful(t.TempDir(), disk)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	_, kill, err := start(t, dir)
	if err == nil {
		kill()
	}
	return disk.Position(), err
}
