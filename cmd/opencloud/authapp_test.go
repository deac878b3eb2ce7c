package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"opencloud/test/daemon"
)

func TestAuthApp(t *testing.T) {
	home := t.TempDir()
	play(t, home, []step{
		{"user add ada -p secret", "", 0, "Warning"},
		{"auth-app list --user-name ada", "", 0, "ID"},
		{"auth-app create --user-name ada --expiration 1h --label rclone", "", 0, "App token created for ada\n token: "},
		{"auth-app create --user-name ADA", "", 0, " valid until: "},
		{"AUTH_APP_PASSWORD_GENERATOR=random PROXY_ENABLE_APP_AUTH=false auth-app create --user-name ada", "", 0, "does not accept app tokens"},
		{"auth-app list --user-name ada", "", 0, "rclone"},
		{"auth-app list --user-name ada --json", "", 0, `"Label":"rclone"`},
		{"auth-app create --user-name ada --expiration 0s", "", 1, "is valid for some time"},
		{"auth-app create --user-name ada --expiration tomorrow", "", 2, "expiration"},
		{"auth-app create --user-name eve", "", 1, `There is no user "eve".`},
		{"auth-app create", "", 2, "--user-name"},
		{"auth-app revoke --user-name ada x", "", 1, "There is no such app token."},
		{"AUTH_APP_PASSWORD_GENERATOR=dice auth-app list --user-name ada", "", 1, "neither diceware nor random"},
	})
	out, _ := verb(t, home, "", "auth-app", "list", "--user-name", "ada")
	ids := regexp.MustCompile(`(?m)^[0-9a-f]{32}`).FindAllString(out, -1)
	if len(ids) != 3 {
		t.Fatalf("%d tokens in\n%s", len(ids), out)
	}
	for _, id := range ids {
		play(t, home, []step{{"auth-app revoke --user-name ada " + id, "", 0, "Removed the app token " + id}})
	}
	if out, _ = verb(t, home, "", "auth-app", "list", "--user-name", "ada"); strings.Count(out, "\n") != 1 {
		t.Errorf("left:\n%s", out)
	}
}

// What the command line does a running server knows with the next request.
func TestAuthAppWhileTheServerRuns(t *testing.T) {
	s := daemon.Start(t, "")
	auth := func(args ...string) string {
		t.Helper()
		args = append([]string{"OC_BASE_DATA_PATH=" + s.Dir, "auth-app"}, args...)
		out, code := verb(t, s.Dir, "", args...)
		if code != 0 {
			t.Fatalf("%v: exit %d\n%s", args, code, out)
		}
		return out
	}
	ask := func(token string) int {
		r, err := http.NewRequest("GET", s.URL+"/graph/v1.0/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("admin", token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	_, rest, _ := strings.Cut(auth("create", "--user-name=admin", "--expiration=72h"), "token: ")
	token, _, _ := strings.Cut(rest, "\n")
	if got := ask(token); got != 200 {
		t.Errorf("made: %d with %q", got, token)
	}
	id := regexp.MustCompile(`(?m)^[0-9a-f]{32}`).FindString(auth("list", "--user-name=admin"))
	auth("revoke", "--user-name=admin", id)
	if got := ask(token); got != 401 {
		t.Errorf("revoked: %d", got)
	}
}
