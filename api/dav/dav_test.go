package dav_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"opencloud/api/dav"
	"opencloud/api/httpx"
	"opencloud/cloud"
	"opencloud/core"
	"opencloud/storage/mem"
	"opencloud/test/exchange"
)

var (
	ada  = &cloud.User{ID: "11111111-1111-4111-8111-111111111111", Name: "ada", Display: "Ada Lovelace", Role: cloud.RoleSpaceAdmin}
	kurt = &cloud.User{ID: "22222222-2222-4222-8222-222222222222", Name: "kurt", Display: "Kurt Gödel", Role: cloud.RoleUser}
)

// A world is what the tests talk to: the rules over a store in memory.
type world struct {
	core *core.Core
	http.Handler
}

// newWorld signs in ada, or whom the header As names.
func newWorld(opts dav.Options, base string) *world {
	w := &world{core: core.New(mem.New(), core.Options{})}
	h := dav.New(w.core, opts)
	site := &httpx.Site{URL: &url.URL{Scheme: "https", Host: "cloud.example", Path: base}, Challenges: []string{"Basic"}}
	w.Handler = http.StripPrefix(base, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		caller := cloud.Caller{User: ada}
		switch r.Header.Get("As") {
		case "kurt":
			caller.User = kurt
		case "nobody":
			caller.User = nil
		}
		ctx := cloud.WithCaller(r.Context(), caller)
		ctx = httpx.With(ctx, &httpx.Request{ID: "1", Log: slog.New(slog.DiscardHandler), Site: site})
		h.ServeHTTP(rw, r.WithContext(ctx))
	}))
	return w
}

func as(u *cloud.User) context.Context {
	return cloud.WithCaller(context.Background(), cloud.Caller{User: u})
}

func TestExchanges(t *testing.T) {
	for dir, start := range map[string]func(t *testing.T) *world{
		"testdata/*.txtar": func(t *testing.T) *world {
			return newWorld(dav.Options{Announce: http.Header{"Tus-Resumable": {"1.0.0"}}}, "")
		},
		"testdata/infinity/*.txtar": func(t *testing.T) *world { return newWorld(dav.Options{DepthInfinity: true}, "") },
		"testdata/base/*.txtar":     func(t *testing.T) *world { return newWorld(dav.Options{}, "/cloud") },
	} {
		exchange.Run(t, os.DirFS("."), dir, func(t *testing.T) (http.Handler, map[string]string) {
			w := start(t)
			home, err := w.core.Home(as(ada))
			if err != nil {
				t.Fatal(err)
			}
			project, err := w.core.SetSpace(as(ada), &cloud.Space{Kind: cloud.Project, Name: "Engines & Co"})
			if err != nil {
				t.Fatal(err)
			}
			return w, map[string]string{
				"home": string(home.ID), "root": string(home.ID.Root()),
				"project": string(project.ID), "projectroot": string(project.ID.Root()),
			}
		})
	}
}

func TestLitmus(t *testing.T) {
	litmus, err := exec.LookPath("litmus")
	if err != nil {
		t.Skip("litmus is not installed: apt install litmus")
	}
	server := httptest.NewServer(newWorld(dav.Options{}, ""))
	defer server.Close()
	cmd := exec.Command(litmus, "-k", server.URL+"/remote.php/webdav/")
	cmd.Dir = t.TempDir() // it writes a log
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "FAIL") || strings.Contains(string(out), "WARNING") {
		t.Errorf("litmus: %v\n%s", err, out)
	}
}
