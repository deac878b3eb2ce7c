package ocs_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"opencloud/api/httpx"
	"opencloud/api/ocs"
	"opencloud/cloud"
	"opencloud/core"
	dirmem "opencloud/directory/mem"
	"opencloud/storage/mem"
	"opencloud/test/exchange"
)

// plain keeps the passwords of links as they are.
type plain struct{}

func (plain) Hash(_ context.Context, password string) (string, error) { return "=" + password, nil }

func (plain) Matches(_ context.Context, hash, password string) (bool, error) {
	return hash == "="+password, nil
}

// A circle is people who share things. ada has a personal space with
// docs/plan.txt and a.txt, and manages a project with minutes/may.txt; bert and
// carl have what they are given; carl is in the crew; gina is a guest, light may
// give nothing, admin manages users.
type circle struct {
	http.Handler
	core    *core.Core
	dir     *dirmem.Directory
	vars    map[string]string // the ids of all that
	project cloud.SpaceID
	home    cloud.SpaceID
}

var people = []*cloud.User{
	{ID: "a0000000-0000-4000-8000-000000000001", Name: "ada", Display: "Ada Lovelace", Mail: "ada@example.org", Role: cloud.RoleSpaceAdmin},
	{ID: "b0000000-0000-4000-8000-000000000002", Name: "bert", Display: "Bert <Brecht>", Mail: "bert@example.org", Role: cloud.RoleUser},
	{ID: "c0000000-0000-4000-8000-000000000003", Name: "carl", Display: "Carl Gauß", Mail: "carl@example.org", Role: cloud.RoleUser},
	{ID: "d0000000-0000-4000-8000-000000000004", Name: "gina", Display: "Gina", Kind: cloud.Guest, Role: cloud.RoleUserLight},
	{ID: "e0000000-0000-4000-8000-000000000005", Name: "light", Display: "Light", Role: cloud.RoleUserLight},
	{ID: "f0000000-0000-4000-8000-000000000006", Name: "admin", Display: "Admin", Role: cloud.RoleAdmin},
}

func gather(t testing.TB, rules core.Options, opts ocs.Options) *circle {
	t.Helper()
	rules.Secrets = plain{}
	w := &circle{core: core.New(mem.New(), rules), dir: dirmem.New(people...), vars: map[string]string{}}
	t.Cleanup(func() { w.core.Close() })
	p, err := core.NewPeople(w.core, w.dir, w.dir, core.PeopleOptions{MinSearch: 3, ShowMail: true, Password: core.PasswordOptions{Min: 8}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	g, err := w.dir.SetGroup(t.Context(), &cloud.Group{Name: "The crew"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.dir.Join(t.Context(), g.ID, people[2].ID); err != nil {
		t.Fatal(err)
	}
	w.vars["crew"] = string(g.ID)
	for _, u := range people {
		w.vars[u.Name] = string(u.ID)
	}
	w.Handler = w.front(ocs.New(w.core, w.core, p, opts))
	home, err := w.core.Home(w.as("ada"))
	if err != nil {
		t.Fatal(err)
	}
	project, err := w.core.SetSpace(w.as("ada"), &cloud.Space{Name: "Project"})
	if err != nil {
		t.Fatal(err)
	}
	w.home, w.project = home.ID, project.ID
	w.vars["home"], w.vars["project"] = string(home.ID), string(project.ID)
	w.vars["storage"] = home.ID.Storage()
	w.file(t, "docs", home.ID, "docs/")
	w.file(t, "plan", home.ID, "docs/plan.txt")
	w.file(t, "a", home.ID, "a.txt")
	w.file(t, "minutes", project.ID, "minutes/")
	w.file(t, "may", project.ID, "minutes/may.txt")
	return w
}

// file makes one, or a folder, and a variable with its id.
func (w *circle) file(t testing.TB, name string, space cloud.SpaceID, path string) {
	t.Helper()
	path, dir := strings.CutSuffix(path, "/")
	ref := cloud.Ref{Space: space, Path: path}
	var n *cloud.Node
	var err error
	if dir {
		n, err = w.core.MakeDir(w.as("ada"), ref, cloud.Conditions{})
	} else {
		n, _, err = w.core.Put(w.as("ada"), ref, strings.NewReader("hello"), cloud.Put{Size: 5})
	}
	if err != nil {
		t.Fatal(err)
	}
	w.vars[name] = string(n.ID)
}

func (w *circle) as(name string) context.Context {
	var c cloud.Caller
	if name != "nobody" {
		u, err := w.dir.User(context.Background(), "name", name)
		if err != nil {
			panic(err)
		}
		c.User = u
	}
	return cloud.WithCaller(context.Background(), c)
}

// front signs in whom the header As names, or ada.
func (w *circle) front(h http.Handler) http.Handler {
	site := &httpx.Site{URL: &url.URL{Scheme: "https", Host: "cloud.example", Path: "/oc"}, Challenges: []string{"Basic"}}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		name := r.Header.Get("As")
		if name == "" {
			name = "ada"
		}
		ctx := httpx.With(w.as(name), &httpx.Request{ID: "1", Log: slog.New(slog.DiscardHandler), Site: site})
		h.ServeHTTP(rw, r.WithContext(ctx))
	})
}

func TestExchanges(t *testing.T) {
	exchange.Run(t, os.DirFS("testdata/shares"), "*.txtar", func(t *testing.T) (http.Handler, map[string]string) {
		w := gather(t, core.Options{AutoAccept: !strings.HasSuffix(t.Name(), "pending")}, opts)
		return w, w.vars
	})
}

// send posts a form, or asks, and returns the status and the body.
func (w *circle) send(as, method, path, form string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form))
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("As", as)
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}
