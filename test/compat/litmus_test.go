package compat

import (
	"regexp"
	"strings"
	"testing"

	"opencloud/test/daemon"
)

// TestLitmus runs all suites of litmus on each of the WebDAV roots.
func TestLitmus(t *testing.T) {
	litmus := tool(t, "litmus", "litmus")
	s := daemon.Start(t, "")
	for _, root := range []string{"/remote.php/webdav/", "/webdav/", "/dav/files/admin/", "/remote.php/dav/files/admin/", "/dav/spaces/" + home(t, s) + "/"} {
		t.Run(root, func(t *testing.T) {
			t.Chdir(t.TempDir()) // it leaves a debug.log behind
			out := run(t, "", litmus, "-k", s.URL+root, "admin", daemon.Password)
			summaries := regexp.MustCompile("summary for `(\\w+)': of (\\d+) tests run: (\\d+) passed, (\\d+) failed").FindAllStringSubmatch(out, -1)
			if len(summaries) != 5 {
				t.Fatalf("%d of 5 suites ran:\n%s", len(summaries), out)
			}
			for _, m := range summaries {
				if m[4] != "0" || m[2] != m[3] {
					t.Errorf("suite %s: %s of %s failed", m[1], m[4], m[2])
				}
			}
			if strings.Contains(out, "WARNING") || strings.Contains(out, "FAIL") || t.Failed() {
				t.Errorf("litmus said:\n%s", out)
			}
		})
	}
}

var spaceID = regexp.MustCompile(`<oc:spaceid>([^<]+)</oc:spaceid>`)

// home is the id of admin's personal space.
func home(t *testing.T, s *daemon.Server) string {
	t.Helper()
	_, body := s.Do(t, "PROPFIND", "/dav/files/admin/", "", "Depth", "0")
	m := spaceID.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no oc:spaceid in %s", body)
	}
	return m[1]
}
