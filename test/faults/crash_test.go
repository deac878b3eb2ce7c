package faults

import (
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"opencloud/test/daemon"
	"opencloud/test/faults/model"
)

// TestCrash kills the server at random moments under load, starts it again
// and compares. Now and then it is killed once more while it recovers, or
// asked to stop in good order.
func TestCrash(t *testing.T) {
	rnd, seed := random(t)
	n := rounds(t, 15)
	d := prepare(t, "")
	var w *model.World
	var starting time.Duration
	for round := range n {
		begun := time.Now()
		srv := up(t, d)
		starting = max(starting, time.Since(begun))
		var err error
		if w == nil {
			w, err = model.NewWorld(t.Context(), srv, seed, 4)
		} else {
			err = w.Resume(t.Context(), srv)
		}
		if err != nil {
			t.Fatalf("round %d of %d: %v", round, n, err)
		}
		end := d.Kill
		if rnd.IntN(10) == 0 {
			end = func() {
				if err := d.Stop(); err != nil {
					t.Errorf("round %d: asked to stop, the server ended with %v", round, err)
				}
			}
		}
		// The moment is random twice: so many requests, and a little more,
		// so that it does not always come just after an answer.
		load := model.Load{Acks: 1 + rnd.IntN(250), Cut: func() {
			time.Sleep(time.Duration(rnd.IntN(3000)) * time.Microsecond)
			end()
		}}
		if err := w.Run(t.Context(), srv, load); err != nil {
			t.Fatalf("round %d of %d: %v", round, n, err)
		}
		srv.Close()
		if rnd.IntN(4) == 0 {
			stillborn(t, d, rnd)
		}
	}
	srv := up(t, d)
	if err := w.Resume(t.Context(), srv); err != nil {
		t.Fatalf("at the end: %v", err)
	}
	t.Logf("%d rounds, slowest start %v, acknowledged: %v", n, starting.Round(time.Millisecond), w.Acked())
}

// stillborn starts the server and kills it before it is ready, or soon after.
func stillborn(t *testing.T, d *daemon.Server, rnd *rand.Rand) {
	t.Helper()
	cmd := exec.Command(daemon.Binary(t), "server")
	log, err := d.Log.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Env, cmd.Stdout, cmd.Stderr = d.Env, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
	cmd.Process.Kill()
	cmd.Wait()
}
