package faults

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"opencloud/cloud"
	"opencloud/storage/posix"
	"opencloud/storage/storagetest"
	"opencloud/test/faults/model"
	"opencloud/test/faults/volume"
)

// TestFileSystems runs the kit for stores, and a load on the whole server, on
// every file system that somebody is likely to have; ramfs stands for those
// without extended attributes.
func TestFileSystems(t *testing.T) {
	for _, fs := range []struct{ name, tool, options string }{
		{"ext4", "mkfs.ext4", ""},
		{"xfs", "mkfs.xfs", ""},
		{"btrfs", "mkfs.btrfs", ""},
		{"tmpfs", "", ""},
		{"ramfs", "", ""},
	} {
		t.Run(fs.name, func(t *testing.T) {
			var tools []string
			if fs.tool != "" {
				tools = append(tools, fs.tool)
			}
			volume.Need(t, false, tools...)
			root := volume.New(t, fs.name, 1<<30, fs.options)
			open := func(t *testing.T) string {
				t.Helper()
				dir, err := os.MkdirTemp(root, "store-")
				if err != nil {
					t.Fatal(err)
				}
				return dir
			}
			store := func(t *testing.T, dir string) cloud.Store {
				t.Helper()
				s, err := posix.Open(t.Context(), posix.Options{Root: dir}, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			t.Run("kit", func(t *testing.T) {
				storagetest.Run(t, func(t *testing.T) cloud.Store {
					dir := open(t)
					s := store(t, dir)
					t.Cleanup(func() {
						s.Close()
						os.RemoveAll(dir)
					})
					return s
				})
			})
			t.Run("kit, opened again", func(t *testing.T) {
				storagetest.Reopen(t, func(t *testing.T) func() cloud.Store {
					dir := open(t)
					return func() cloud.Store { return store(t, dir) }
				})
			})
			t.Run("server", func(t *testing.T) {
				_, seed := random(t)
				d := prepare(t, filepath.Join(root, "server"))
				srv := up(t, d)
				w, err := model.NewWorld(t.Context(), srv, seed, 3)
				if err != nil {
					t.Fatal(err)
				}
				for range 2 {
					if err := w.Run(t.Context(), srv, model.Load{Acks: 200, Cut: d.Kill}); err != nil {
						t.Fatal(err)
					}
					srv = up(t, d)
					if err := w.Resume(t.Context(), srv); err != nil {
						t.Fatal(err)
					}
				}
				if err := d.Stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
