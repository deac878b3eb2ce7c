package graph

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"opencloud/cloud"
	"opencloud/core"
	"opencloud/directory/builtin"
	dirmem "opencloud/directory/mem"
	"opencloud/storage/mem"
)

// BenchmarkEducation is a country: 100,000 users at 2,000 schools.
func BenchmarkEducation(b *testing.B) {
	const users, schools = 100_000, 2_000
	dir := b.TempDir()
	file := func(folder, id, format string, args ...any) {
		if err := os.WriteFile(filepath.Join(dir, folder, id+".json"), fmt.Appendf(nil, format, args...), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for _, folder := range []string{"users", "groups", "education/schools", "education/classes", "education/users"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	var ids [schools]string
	for i := range ids {
		ids[i] = cloud.NewUUID().String()
		file("education/schools", ids[i], `{"ID":%q,"Name":"School %d","Number":"%d"}`, ids[i], i, i)
	}
	for i := range users {
		id := cloud.NewUUID().String()
		file("users", id, `{"ID":%q,"Name":"user%d","Display":"User %d","Mail":"user%d@example.org","Role":%q}`, id, i, i, i, cloud.RoleUser)
		file("education/users", id, `{"User":%q,"Role":"student","External":"EX%d","Schools":[%q]}`, id, i, ids[i%schools])
	}
	d, err := builtin.Open(dir, builtin.Options{Memory: 8, Time: 1, Threads: 1})
	if err != nil {
		b.Fatal(err)
	}
	s, err := builtin.OpenSchools(filepath.Join(dir, "education"), nil)
	if err != nil {
		b.Fatal(err)
	}
	c := core.New(mem.New(), core.Options{})
	people, err := core.NewPeople(c, d, dirmem.New(), core.PeopleOptions{Schools: s})
	if err != nil {
		b.Fatal(err)
	}
	h := New(c, c, people, Options{MaxBind: 20, Education: people.Education()})
	n := 0
	for _, bench := range []struct {
		name, method string
		path         func() string
		body         func() string
		status       int
	}{
		{"by external id", "GET", func() string { return "users?$filter=externalId%20eq%20'EX4711'" }, func() string { return "" }, 200},
		{"a school's users", "GET", func() string { return "schools/7/users" }, func() string { return "" }, 200},
		{"all users", "GET", func() string { return "users" }, func() string { return "" }, 200},
		{"a page of all users", "GET", func() string { return "users?$top=100&$skip=50000" }, func() string { return "" }, 200},
		{"change a user", "PATCH", func() string { return "users/user4711" }, func() string { n++; return fmt.Sprintf(`{"primaryRole":"r%d"}`, n%2) }, 200},
		{"new user", "POST", func() string { return "users" }, func() string {
			n++
			return fmt.Sprintf(`{"displayName":"New","onPremisesSamAccountName":"new%d","externalId":"N%d"}`, n, n)
		}, 201},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequestWithContext(cloud.WithCaller(b.Context(), cloud.Caller{User: admin}), bench.method, "/graph/v1.0/education/"+bench.path(), strings.NewReader(bench.body()))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != bench.status {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
