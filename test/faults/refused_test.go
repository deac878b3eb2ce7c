package faults

import (
	"bytes"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"opencloud/test/faults/brittle"
	"opencloud/test/faults/model"
	"opencloud/test/faults/volume"
)

// TestFullDisk fills the disk while clients write: they are told so, nothing
// is lost or half there, and deleting makes room again.
func TestFullDisk(t *testing.T) {
	volume.Need(t, false, "mkfs.ext4")
	_, seed := random(t)
	d := prepare(t, volume.New(t, "ext4", 320<<20, ""))
	srv := up(t, d)
	w, err := model.NewWorld(t.Context(), srv, seed, 3)
	if err != nil {
		t.Fatal(err)
	}
	w.Ignore = "ballast"
	do := func(want int, method, path string, body []byte) int {
		t.Helper()
		got, err := w.Do(t.Context(), srv, method, path, body)
		if err != nil || want != 0 && got != want {
			t.Fatalf("%s %s: got %d, %v, want %d", method, path, got, err, want)
		}
		return got
	}
	do(http.StatusCreated, "MKCOL", w.Ignore, nil)
	if err := w.Run(t.Context(), srv, model.Load{Acks: 150}); err != nil {
		t.Fatal(err)
	}

	// Fill it, to the last few bytes.
	files := 0
	for size := 16 << 20; size > 0; size /= 4 {
		body := bytes.Repeat([]byte("ballast "), size/8+1)
		for {
			status := do(0, "PUT", fmt.Sprint(w.Ignore, "/", files), body)
			if status == http.StatusInsufficientStorage {
				break
			}
			if status != http.StatusCreated {
				t.Fatalf("PUT of %d bytes when the disk gets full: got %d", len(body), status)
			}
			files++
		}
	}
	full := model.Load{Acks: 300, Strict: []int{http.StatusInsufficientStorage}}
	if err := w.Run(t.Context(), srv, full); err != nil {
		t.Fatal(err)
	}
	if w.Acked()["507"] == 0 {
		t.Error("nobody was told that the disk is full")
	}
	if err := w.Resume(t.Context(), srv); err != nil {
		t.Fatal("with a full disk: ", err)
	}

	// Killed when full, it starts all the same.
	full.Cut = d.Kill
	if err := w.Run(t.Context(), srv, full); err != nil {
		t.Fatal(err)
	}
	srv.Close()
	srv = up(t, d)
	if err := w.Resume(t.Context(), srv); err != nil {
		t.Fatal("killed with a full disk: ", err)
	}

	do(http.StatusNoContent, "DELETE", w.Ignore, nil)
	if status, err := w.PurgeIgnored(t.Context(), srv); err != nil || status != http.StatusNoContent {
		t.Fatalf("emptying the bin of a full disk: got %d, %v", status, err)
	}
	// What was in the bin goes in the background, and room comes with it.
	room := bytes.Repeat([]byte("room"), 8<<20)
	for begin := time.Now(); do(0, "PUT", w.Ignore, room) != http.StatusCreated; {
		if time.Since(begin) > 30*time.Second {
			t.Fatal("there is no room half a minute after the bin was emptied")
		}
	}
	if err := w.Run(t.Context(), srv, model.Load{Acks: 200}); err != nil {
		t.Fatal("with room again: ", err)
	}
	if err := w.Resume(t.Context(), srv); err != nil {
		t.Fatal("with room again: ", err)
	}
}

// TestReadOnly has the file system refuse all changes for a while. Reading
// goes on, and changes are answered with 503 and have not happened.
func TestReadOnly(t *testing.T) {
	volume.Need(t, true)
	for _, errno := range []syscall.Errno{syscall.EROFS, syscall.EIO} {
		t.Run(errno.Error(), func(t *testing.T) {
			_, seed := random(t)
			at := t.TempDir()
			disk, err := brittle.Mount(t.TempDir(), at)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := disk.Unmount(); err != nil {
					t.Error(err)
				}
			})
			d := prepare(t, at)
			srv := up(t, d)
			w, err := model.NewWorld(t.Context(), srv, seed, 3)
			if err != nil {
				t.Fatal(err)
			}
			well := func() {
				t.Helper()
				if err := w.Run(t.Context(), srv, model.Load{Acks: 60}); err != nil {
					t.Fatal(err)
				}
				if err := w.Resume(t.Context(), srv); err != nil {
					t.Fatal(err)
				}
			}
			well()

			pid := d.PID()
			disk.Refuse(errno)
			if err := w.Run(t.Context(), srv, model.Load{Acks: 50, Strict: []int{http.StatusServiceUnavailable}}); err != nil {
				t.Fatal(err)
			}
			if err := w.Resume(t.Context(), srv); err != nil {
				t.Fatal("while nothing can be changed: ", err)
			}
			if d.PID() != pid {
				t.Error("the server was started anew")
			}
			// What the disk has kept of the log is not certain any more. Only
			// a new start, which reads it, brings order.
			d.Kill()
			srv.Close()
			disk.Refuse(0)
			srv = up(t, d)
			if err := w.Resume(t.Context(), srv); err != nil {
				t.Fatal("when all is well again: ", err)
			}
			well()

			// And in the middle of requests.
			err = w.Run(t.Context(), srv, model.Load{Acks: 50, Cut: func() { disk.Refuse(errno); d.Kill() }})
			if err != nil {
				t.Fatal(err)
			}
			srv.Close()
			disk.Refuse(0)
			srv = up(t, d)
			if err := w.Resume(t.Context(), srv); err != nil {
				t.Fatal("after a crash of both: ", err)
			}
			well()
		})
	}
}
