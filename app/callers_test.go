package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/cloud"
)

// TestCallers holds the table in testdata/callers.txt: who gets what from
// every route. A route without a line fails, and so does a status that
// differs; the line that would be right is printed.
func TestCallers(t *testing.T) {
	const file = "testdata/callers.txt"
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// In a bubble, so that a token can expire while nobody waits.
	synctest.Test(t, func(t *testing.T) {
		s := system(t, "OC_AUTH_GUESS_EVERY=0s")
		s.halt() // streams of events end as they begin
		f := frontOf(t, s, routes(s))
		f.log = quiet
		all, names := callers(t, s, f)
		seen := map[string]bool{}
		columns := false
		for n, text := range strings.Split(string(body), "\n") {
			words := strings.Fields(text)
			switch {
			case len(words) == 0 || strings.HasPrefix(text, "#"):
				continue
			case !columns:
				columns = true
				var want []string
				for _, c := range all {
					want = append(want, c.name)
				}
				if !slices.Equal(words[2:], want) {
					t.Fatalf("%s:%d: the callers are %q", file, n+1, want)
				}
				continue
			case len(words) < 2:
				t.Fatalf("%s:%d: %q is no line of the table", file, n+1, text)
			}
			method, path := words[0], words[1]
			target := names.Replace(path)
			route, _, _ := strings.Cut(target, "?")
			i := slices.IndexFunc(f.routes, func(rt Route) bool { return rt.matches(method, route) })
			if i < 0 {
				t.Errorf("%s:%d: no route", file, n+1)
				continue
			}
			seen[f.routes[i].Path+" "+fmt.Sprint(f.routes[i].Methods)] = true
			got := make([]string, len(all))
			for i, c := range all {
				r := raw(method, target)
				r.Header.Set("Depth", "0")
				r.Header.Set("Tus-Resumable", "1.0.0")
				if method == http.MethodPost {
					r.Header.Set("Upload-Length", "1")
					r.Header.Set("Upload-Metadata", "filename eA==")
				}
				c.sign(r)
				w := httptest.NewRecorder()
				f.ServeHTTP(w, r)
				got[i] = fmt.Sprint(w.Code)
			}
			if !slices.Equal(words[2:], got) {
				t.Errorf("%s:%d: want\n%s\ngot\n%s", file, n+1, text, row(method, path, got))
			}
		}
		for _, rt := range f.routes {
			if !seen[rt.Path+" "+fmt.Sprint(rt.Methods)] {
				t.Errorf("%s: no line for the route %s %v", file, rt.Path, rt.Methods)
			}
		}
	})
}

func row(method, path string, columns []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s %-58s", method, path)
	for _, c := range columns {
		fmt.Fprintf(&b, " %-10s", c)
	}
	return strings.TrimRight(b.String(), " ")
}

// Whoever holds a link gets nothing beside what it opens, wherever they ask:
// what nobody gets, or what is not there for them.
func TestVisitorsElsewhere(t *testing.T) {
	body, err := os.ReadFile("testdata/callers.txt")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := system(t, "OC_AUTH_GUESS_EVERY=0s")
		f := frontOf(t, s, routes(s))
		f.log = quiet
		_, names := callers(t, s, f)
		token := names.Replace("{link}")
		ask := func(method, target string, sign func(*http.Request)) int {
			r := raw(method, target)
			r.Header.Set("Depth", "0")
			r.Header.Set("Tus-Resumable", "1.0.0")
			sign(r)
			w := httptest.NewRecorder()
			f.ServeHTTP(w, r)
			return w.Code
		}
		for text := range strings.Lines(string(body)) {
			words := strings.Fields(text)
			if len(words) < 3 || words[0] == "method" || strings.HasPrefix(text, "#") || strings.Contains(words[1], "{link}") || strings.HasPrefix(words[1], "/public.php/") {
				continue
			}
			target := names.Replace(words[1])
			nobody := ask(words[0], target, func(*http.Request) {})
			for what, sign := range map[string]func(*http.Request){
				"header":   func(r *http.Request) { r.Header.Set("public-token", token); r.SetBasicAuth("public", "open sesame") },
				"password": func(r *http.Request) { r.SetBasicAuth("public", "open sesame") },
				"token":    func(r *http.Request) { r.SetBasicAuth(token, "open sesame") },
			} {
				if got := ask(words[0], target, sign); got != nobody && (got < 400 || got >= 500) {
					t.Errorf("%s %s with a link (%s): got %d, nobody gets %d", words[0], words[1], what, got, nobody)
				}
			}
		}
	})
}

type knock struct {
	name string
	sign func(*http.Request)
}

// callers are the columns of the table, with names for what stands in its paths.
func callers(t *testing.T, s *System, f *front) ([]knock, *strings.Replacer) {
	t.Helper()
	c := &client{t, f}
	h := &hall{client: c, s: s, f: f}
	user := func(name string) (id string) {
		u := c.do(201, "admin", password, "POST", "/graph/v1.0/users", `{"displayName":"`+name+`","onPremisesSamAccountName":"`+name+`","mail":"`+name+`@example.org","passwordProfile":{"password":"`+password+`"}}`)
		return u["id"].(string)
	}
	ada, bob := user("ada"), user("bob")
	expired := newBrowser(t, f).signInAs("bob")
	time.Sleep(s.Config.IDP.AccessLife + time.Second)
	leaver := newBrowser(t, f)
	revoked := leaver.signInAs("bob")
	leaver.signOut()
	c.do(201, "ada", password, "PUT", "/remote.php/webdav/a.txt", "a")
	home := c.do(200, "ada", password, "GET", "/graph/v1.0/me/drive", "")["id"].(string)
	c.do(201, "ada", password, "MKCOL", "/remote.php/webdav/linked", "")
	link := linkOf(t, s, "ada", cloud.Ref{Space: cloud.SpaceID(home), Path: "linked"}, cloud.LinkView, "open sesame")
	_, root := cloud.SpaceID(home), cloud.SpaceID(home).Root()

	token := func(raw string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+raw) }
	}
	basic := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(name, password) }
	}
	return []knock{
		{"nobody", func(*http.Request) {}},
		{"user", token(newBrowser(t, f).signInAs("ada"))},
		{"other", token(newBrowser(t, f).signInAs("bob"))},
		{"admin", token(newBrowser(t, f).signInAs("admin"))},
		{"basic", basic("ada")},
		{"app", basicAuth("ada", h.appToken(basic("ada"), "expiry=1h"))},
		{"signed", h.signature("ada", h.signingKey(basic("ada")))},
		{"expired", token(expired)},
		{"revoked", token(revoked)},
	}, strings.NewReplacer("{ada}", ada, "{bob}", bob, "{home}", home, "{root}", string(root), "{link}", link.To.Link)
}
