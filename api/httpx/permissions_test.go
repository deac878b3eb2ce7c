package httpx

import (
	"testing"

	"opencloud/cloud"
)

func TestPermissions(t *testing.T) {
	const in cloud.Rights = 1 << 31 // through the Shares space
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
		{"a drop folder", "a", true, cloud.CanStat | cloud.CanWrite | cloud.CanMakeDir, "CK"},
		{"a folder to look at", "a", true, cloud.CanStat | cloud.CanList, "X"},
		{"a file to look at", "a", false, cloud.CanStat, "X"},
		{"a received folder", "a", true, in | cloud.SpaceEditor, "SDNVCK"},
		{"a received file", "a", false, in | cloud.SpaceViewer, "S"},
		{"a received file to look at", "a", false, in | cloud.CanStat, "SX"},
		{"the Shares space", "", true, in | cloud.CanStat | cloud.CanList, ""},
		{"nothing", "a", false, cloud.NoRights, ""},
	} {
		n := &cloud.Node{Name: c.name, Dir: c.dir, Rights: c.rights &^ in}
		var space cloud.SpaceID
		if c.rights.Has(in) {
			space = cloud.SharesSpace
			if c.name == "" {
				n.Space = space
			}
		}
		if got := Permissions(n, space); got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
}

func BenchmarkPermissions(b *testing.B) {
	n := &cloud.Node{Name: "a", Dir: true, Rights: cloud.AllRights}
	buf := make([]byte, 0, 16)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendPermissions(buf[:0], n, "")
	}
}
