package builtin

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opencloud/cloud"
)

func openSchools(t testing.TB, path string) (*Schools, *strings.Builder) {
	t.Helper()
	var log strings.Builder
	s, err := OpenSchools(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s, &log
}

// What one process writes the other one knows at once, and so does the next.
func TestSchoolsOfTwoProcesses(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	a, _ := openSchools(t, dir)
	b, _ := openSchools(t, dir)
	s, err := a.SetSchool(ctx, &cloud.School{Name: "Curie", Number: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.SetSchool(ctx, &cloud.School{Name: "Euler", Number: "1"}); !errors.Is(err, cloud.Exist) {
		t.Errorf("a number that the other took: got %v", err)
	}
	e := &cloud.Enrolment{User: "ada", External: "x", Schools: []cloud.SchoolID{s.ID}}
	if err := b.SetEnrolment(ctx, e); err != nil {
		t.Fatal(err)
	}
	c, _ := openSchools(t, dir)
	for _, p := range []*Schools{a, b, c} {
		got, err := p.Enrolment(ctx, "external", "x")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got); diff != "" {
			t.Error(diff)
		}
	}
	if err := c.RemoveEnrolment(ctx, "ada"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Enrolment(ctx, "id", "ada"); !errors.Is(err, cloud.NotExist) {
		t.Errorf("removed by the other: got %v", err)
	}
}

// Damaged files are left alone and said; the others count.
func TestDamagedSchools(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	s, _ := openSchools(t, dir)
	if _, err := s.SetSchool(ctx, &cloud.School{Name: "Curie", Number: "1"}); err != nil {
		t.Fatal(err)
	}
	id := func(n int) string { return fmt.Sprintf("%d0000000-0000-4000-8000-000000000000", n) }
	files := map[string]string{
		"ffffffff-0000-4000-8000-000000000000": `{"ID":"ffffffff-0000-4000-8000-000000000000","Name":"second","Number":"1"}`,
		id(1):                                  `{`,
		id(2):                                  `{"ID":"` + id(3) + `","Name":"moved"}`,
		id(4):                                  `{"ID":"` + id(4) + `","Name":""}`,
		"name":                                 `{"ID":"name","Name":"x"}`,
	}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, "schools", name+".json"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, log := openSchools(t, dir)
	n := 0
	for _, err := range s.Schools(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if got := strings.Count(log.String(), "level=ERROR"); n != 1 || got != len(files) {
		t.Errorf("got %d schools and %d complaints, want 1 and %d:\n%s", n, got, len(files), log)
	}
}

// 100,000 users of 2,000 schools: what it takes to open them, and to find one.
func BenchmarkSchools(b *testing.B) {
	dir := b.TempDir()
	s, _ := openSchools(b, dir)
	const users, schools = 100_000, 2_000
	ids := make([]cloud.SchoolID, schools)
	for i := range ids {
		ids[i] = cloud.SchoolID(cloud.NewUUID().String())
		if _, err := s.schools.write(string(ids[i]), &cloud.School{ID: ids[i], Name: "School", Number: fmt.Sprint(i)}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range users {
		id := cloud.UserID(cloud.NewUUID().String())
		body := fmt.Sprintf(`{"User":%q,"Role":"student","External":"pupil-%d","Identities":[{"Issuer":"idp.example.org","ID":"u%d"}],"Schools":[%q]}`, id, i, i, ids[i%schools])
		if err := os.WriteFile(s.enrolments.file(string(id)), []byte(body), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("open", func(b *testing.B) {
		var before, after runtime.MemStats
		for b.Loop() {
			s = nil
			runtime.GC()
			runtime.ReadMemStats(&before)
			s, _ = openSchools(b, dir)
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(s)
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/users, "heap-B/user")
	})
	s, _ = openSchools(b, dir)
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Enrolment(b.Context(), "external", "pupil-4711"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("school", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for range s.Enrolled(b.Context(), ids[7]) {
				n++
			}
			if n != users/schools {
				b.Fatal(n)
			}
		}
	})
	b.Run("change", func(b *testing.B) {
		for b.Loop() {
			if err := s.SetEnrolment(b.Context(), &cloud.Enrolment{User: "x", Schools: ids[:1]}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
