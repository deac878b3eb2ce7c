package httpx

import (
	"testing"

	"opencloud/cloud"
)

func TestPermissions(t *testing.T) {
	for _, c := range []struct {
		what   string
		name   string
		dir    bool
		rights cloud.Rights
		want   string
	}{
		{"a manager's folder", "a", true, cloud.SpaceManager, "RDNVCKZP"},
		{"a manager's file", "a", false, cloud.SpaceManager, "RDNVWZP"},
		{"a manager's root", "", true, cloud.SpaceManager, "RCKZP"},
		{"an editor's folder", "a", true, cloud.SpaceEditor, "DNVCK"},
		{"an editor's file", "a", false, cloud.SpaceEditor, "DNVW"},
		{"an editor's root", "", true, cloud.SpaceEditor, "CK"},
		{"a viewer's folder", "a", true, cloud.SpaceViewer, ""},
		{"a viewer's file", "a", false, cloud.SpaceViewer, ""},
		{"a drop folder", "a", true, cloud.CanWrite, "C"},
		{"nothing", "a", false, cloud.NoRights, ""},
	} {
		n := &cloud.Node{Name: c.name, Dir: c.dir, Rights: c.rights}
		if got := Permissions(n); got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
}

func BenchmarkPermissions(b *testing.B) {
	n := &cloud.Node{Name: "a", Dir: true, Rights: cloud.AllRights}
	buf := make([]byte, 0, 16)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendPermissions(buf[:0], n)
	}
}
