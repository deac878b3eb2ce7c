package builtin

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"opencloud/cloud"
)

// town is the folder of 100,000 users in 10,000 groups, each in five.
func town(b *testing.B) string {
	const users, groups = 100_000, 10_000
	dir := b.TempDir()
	d := open(b, dir)
	hash := d.nobody
	file := func(f *folder, id string, v any) {
		body, _ := json.MarshalIndent(v, "", "  ")
		if err := os.WriteFile(f.file(id), body, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	ids := make([]cloud.GroupID, groups)
	for i := range ids {
		ids[i] = cloud.GroupID(cloud.NewUUID().String())
		file(&d.groups, string(ids[i]), &cloud.Group{ID: ids[i], Name: fmt.Sprint("Group ", i)})
	}
	first := []string{"Ada", "Alan", "Barbara", "Dennis", "Edsger", "Frances", "Grace", "Jean", "Ken", "Lynn", "Margaret", "Mary", "Tony"}
	last := []string{"Allen", "Bartik", "Conway", "Dijkstra", "Hamilton", "Hoare", "Hopper", "Keller", "Liskov", "Lovelace", "Ritchie", "Thompson", "Turing"}
	for i := range users {
		a := record{User: cloud.User{
			ID: cloud.UserID(cloud.NewUUID().String()), Name: fmt.Sprint("user", i), GivenName: first[i%13], Surname: last[i/13%13],
			Display: fmt.Sprintf("%s %s %d", first[i%13], last[i/13%13], i), Mail: fmt.Sprintf("user%d@example.org", i), Role: cloud.RoleUser, Made: time.Now(),
		}, Password: hash}
		for j := range 5 {
			a.Groups = append(a.Groups, ids[(i*5+j*997)%groups])
		}
		file(&d.users, string(a.ID), &a)
	}
	return dir
}

// What a town costs: to open, in memory, and to look somebody up in.
func BenchmarkTown(b *testing.B) {
	dir := town(b)
	var d *Directory
	b.Run("Open", func(b *testing.B) {
		for b.Loop() {
			var before, after runtime.MemStats
			d = nil
			runtime.GC()
			runtime.ReadMemStats(&before)
			d = open(b, dir)
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
		}
	})
	for _, text := range []string{"zzz", "tur", "user9999", "user"} {
		b.Run("Search/"+text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for range d.Users(b.Context(), text) {
					if n++; n == 200 { // as much as anybody reads
						break
					}
				}
			}
		})
	}
	b.Run("Members", func(b *testing.B) {
		g, err := d.Group(b.Context(), "name", "group 42")
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			n := 0
			for range d.Members(b.Context(), g.ID) {
				n++
			}
			if n != 50 {
				b.Fatal(n)
			}
		}
	})
	b.Run("All", func(b *testing.B) {
		for b.Loop() {
			for range d.Users(b.Context(), "") {
			}
		}
	})
}
