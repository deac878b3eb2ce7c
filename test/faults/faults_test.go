// Package faults kills the server, cuts its power, fills its disk and makes
// its store fail, all under load, and compares what is left with what was
// acknowledged. It tests the whole system from outside; how single parts
// fail is for their own tests.
package faults

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"opencloud/test/daemon"
	"opencloud/test/faults/forgetful"
	"opencloud/test/faults/model"
	"opencloud/test/faults/volume"
)

var (
	roundsFlag = flag.Int("rounds", 0, "how often to crash, and at how many moments to cut the power; also FAULTS_ROUNDS")
	seedFlag   = flag.Uint64("seed", 0, "of all that is random, to see a failure again; also FAULTS_SEED")
)

func TestMain(m *testing.M) {
	// The kit for stores runs on many file systems here, but in depth elsewhere.
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
	volume.Main(m)
}

// rounds is how many to do: by flag, by environment, or what is short enough
// for every day.
func rounds(t *testing.T, short int) int {
	t.Helper()
	if *roundsFlag > 0 {
		return *roundsFlag
	}
	if s := os.Getenv("FAULTS_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n <= 0 {
			t.Fatalf("FAULTS_ROUNDS=%q is not a number of rounds", s)
		}
		return n
	}
	return short
}

// random is seeded by flag, environment or clock; a failed test says how.
func random(t *testing.T) (*rand.Rand, uint64) {
	t.Helper()
	seed := *seedFlag
	if s := os.Getenv("FAULTS_SEED"); seed == 0 && s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("FAULTS_SEED=%q is not a number", s)
		}
	}
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to try again: go test ./test/faults -run '^%s$' -seed=%d", t.Name(), seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0)), seed
}

// prepare is daemon.New for a server that is going to be killed.
func prepare(t *testing.T, dir string) *daemon.Server {
	t.Helper()
	d := daemon.New(t, dir)
	t.Cleanup(func() {
		d.Kill()
		if t.Failed() {
			t.Logf("server said:\n%s", lastOf(d.Log))
		}
	})
	return d
}

// lastOf is the end of what a server said.
func lastOf(log *daemon.Log) string {
	s := log.String()
	return s[max(0, len(s)-4000):]
}

// up starts a server and returns what a load needs to know of it.
func up(t *testing.T, d *daemon.Server) *model.Server {
	t.Helper()
	if err := d.Up(); err != nil {
		t.Fatal(err)
	}
	srv := model.NewServer(d.URL, "admin", daemon.Password)
	t.Cleanup(srv.Close)
	return srv
}

// remains mounts what a power cut has left, until done.
func remains(t *testing.T, replay *forgetful.Replay, loss forgetful.Loss, rnd *rand.Rand) (dir string, done func()) {
	t.Helper()
	file, err := volume.Memory(replay.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := replay.Image(file, loss, rnd); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "left")
	if err := volume.MountFile(file, dir, "ext4", ""); err != nil {
		t.Fatal(err)
	}
	return dir, func() {
		if err := volume.Unmount(dir); err != nil {
			t.Error(err)
		}
	}
}
