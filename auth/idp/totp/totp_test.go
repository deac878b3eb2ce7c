package totp

import (
	"path/filepath"
	"testing"

	"opencloud/cloud"
)

// RFC 6238, appendix B, of whose eight digits an app shows the last six.
func TestCode(t *testing.T) {
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := Code([]byte("12345678901234567890"), at/30); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

// Ids of foreign directories cannot lead out of the folder.
func TestFile(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []cloud.UserID{"../../x/y", "", "a/b", "a\x00b"} {
		if got := s.file(id); filepath.Dir(got) != s.path {
			t.Errorf("%q: %s", id, got)
		}
		if s.Has(id) {
			t.Errorf("%q has a factor", id)
		}
		if _, err := s.Renew(id); err == nil {
			t.Errorf("%q: codes for who has no factor", id)
		}
	}
}
