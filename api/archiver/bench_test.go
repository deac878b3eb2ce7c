package archiver_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"opencloud/api/archiver"
	"opencloud/cloud"
	"opencloud/core"
	"opencloud/storage/posix"
)

// Archives of 10,000 small files and of one large one, from the disk. Bytes are
// those of the files.
func BenchmarkArchive(b *testing.B) {
	store, err := posix.Open(context.Background(), posix.Options{Root: b.TempDir(), Durability: "relaxed", Directories: 1000, LogSegment: 16 << 20, HistorySize: 1 << 30}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	w := &world{TB: b, Core: core.New(store, core.Options{})}
	w.Handler = archiver.New(w.Core, archiver.Options{MaxFiles: 10_001, MaxSize: 1 << 30})
	s, err := w.Home(as(ada))
	w.ok(err)
	w.home = s.ID

	const small, large = 4 << 10, 256 << 20
	text := strings.Repeat("The quick brown fox jumps over the lazy dog, "+fmt.Sprint(rand.Perm(200))+"\n", small/800+1)
	w.make(w.home, "many", "/")
	for i := range 100 {
		dir := fmt.Sprintf("many/%02d", i)
		w.make(w.home, dir, "/")
		for j := range 99 {
			w.make(w.home, fmt.Sprintf("%s/%02d.txt", dir, j), text[:small])
		}
	}
	noise := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	w.make(w.home, "video.mp4", strings.Repeat(string(noise), large>>20), "log.txt", strings.Repeat(text, large/len(text)), "noise", strings.Repeat(string(noise), large>>20))

	for _, name := range []string{"many", "video.mp4", "log.txt", "noise"} {
		n, err := w.Stat(as(ada), cloud.Ref{Space: w.home, Path: name})
		w.ok(err)
		for _, format := range archiver.Formats() {
			b.Run(name+"/"+format, func(b *testing.B) {
				b.SetBytes(n.Size)
				b.ReportAllocs()
				for b.Loop() {
					w.download(query("path", name, "output-format", format))
				}
			})
		}
	}
}
