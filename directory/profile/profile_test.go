package profile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"opencloud/cloud"
	"opencloud/directory/directorytest"
)

func open(t *testing.T, path string) *Profiles {
	t.Helper()
	p, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestKit(t *testing.T) {
	directorytest.RunProfiles(t, func(t *testing.T) cloud.Profiles { return open(t, t.TempDir()) })
}

func TestFilesArePlainAndPrivate(t *testing.T) {
	dir := t.TempDir()
	p := open(t, dir)
	const who = "11111111-1111-4111-8111-111111111111"
	if err := p.SetDocument(t.Context(), who, "choices", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, who, "choices")
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v; want mode 0600", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, who, ".new*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	body, err := open(t, dir).Document(t.Context(), who, "choices")
	if err != nil || string(body) != "{}" {
		t.Errorf("opened again: got %q, %v", body, err)
	}
	// A link in the folder leads nowhere.
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, who, "photo")); err != nil {
		t.Fatal(err)
	}
	if body, err := p.Document(t.Context(), who, "photo"); err == nil {
		t.Errorf("a link out of the folder: got %q", body)
	}
	if err := p.SetDocument(t.Context(), who, "photo", make([]byte, maxDocument+1)); !errors.Is(err, cloud.TooLarge) {
		t.Errorf("too large: got %v", err)
	}
}
