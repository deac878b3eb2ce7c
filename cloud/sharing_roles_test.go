package cloud

import (
	"slices"
	"strings"
	"testing"
)

// A role is found again by what a grant keeps of it, and by nothing twice.
func TestShareRoles(t *testing.T) {
	type key struct {
		rights Rights
		on     NodeKind
	}
	seen, ids, names, weights := map[key]string{}, map[string]bool{}, map[string]bool{}, []int{}
	for _, r := range ShareRoles() {
		if _, ok := ParseUUID(r.ID); !ok || ids[r.ID] || names[r.Name] || r.On == 0 || r.Display == "" || r.Description == "" {
			t.Errorf("%s: id, name, what it fits or what it says of itself is missing, or not its own", r.Name)
		}
		ids[r.ID], names[r.Name], weights = true, true, append(weights, r.Weight)
		for _, on := range []NodeKind{OnFile, OnFolder, OnRoot} {
			got, ok := ShareRoleOf(r.Rights, on)
			if r.On&on == 0 {
				if ok && got.ID == r.ID {
					t.Errorf("%s fits what it does not", r.Name)
				}
				continue
			}
			if !ok || got.ID != r.ID {
				t.Errorf("rights of %s on %d: got %s", r.Name, on, got.Name)
			}
			if other := seen[key{r.Rights, on}]; other != "" {
				t.Errorf("%s and %s have the same rights", other, r.Name)
			}
			seen[key{r.Rights, on}] = r.Name
		}
		if r.Rights != NoRights && !r.Rights.Has(CanStat) {
			t.Errorf("%s gives something, but no look at it", r.Name)
		}
		if r.On&OnRoot == 0 && r.Rights&(CanGrant|CanUpdateGrant|CanRevoke|CanDeny|CanPurge) != 0 {
			t.Errorf("%s lets people share on", r.Name)
		}
		for _, value := range []string{r.ID, r.Name} {
			if got, ok := ShareRoleBy(value); !ok || got.ID != r.ID {
				t.Errorf("%s: got %+v", value, got)
			}
		}
	}
	if !slices.IsSorted(weights) {
		t.Errorf("weights: got %v, want them in order", weights)
	}
	if _, ok := ShareRoleOf(CanStat|CanPurge, OnFile); ok {
		t.Error("some rights of one's own choice are a role")
	}
	if _, ok := ShareRoleBy("none"); ok {
		t.Error("there is a role none")
	}
}

func TestConditions(t *testing.T) {
	for name, want := range map[string][]string{
		"viewer":      {"exists @Resource.File", "exists @Resource.Folder", `exists @Resource.File && @Subject.UserType=="Federated"`, `exists @Resource.Folder && @Subject.UserType=="Federated"`},
		"manager":     {"exists @Resource.Root"},
		"denied":      {"exists @Resource.Folder"},
		"file-editor": {"exists @Resource.File", `exists @Resource.File && @Subject.UserType=="Federated"`},
	} {
		r, _ := ShareRoleBy(name)
		if got := r.Conditions(); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestOfferedRoles(t *testing.T) {
	secure, _ := ShareRoleBy("secure-viewer")
	denied, _ := ShareRoleBy("denied")
	viewer, _ := ShareRoleBy("viewer")
	for _, tt := range []struct {
		have      Rights
		on        NodeKind
		available []string
		want      string
	}{
		{AllRights, OnFile, nil, "viewer file-editor"},
		{AllRights, OnFolder, nil, "viewer editor-lite editor"},
		{AllRights, OnRoot, nil, "spaceviewer spaceeditor manager"},
		{SpaceEditor, OnRoot, nil, "spaceviewer spaceeditor"},
		{SpaceViewer, OnFolder, nil, "viewer"},
		{NoRights, OnFolder, nil, ""},
		{AllRights, OnFolder, []string{viewer.ID, secure.ID, denied.ID}, "denied secure-viewer viewer"},
		{SpaceEditor, OnFolder, []string{viewer.ID, secure.ID, denied.ID}, "secure-viewer viewer"},
		{AllRights, OnFile, []string{viewer.ID, secure.ID, denied.ID}, "secure-viewer viewer"},
		{AllRights, OnFile, []string{}, ""},
	} {
		var got []string
		for _, r := range OfferedRoles(tt.have, tt.on, tt.available) {
			got = append(got, r.Name)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%b on %d of %q: got %q, want %q", tt.have, tt.on, tt.available, got, tt.want)
		}
	}
}

func TestLinkTypes(t *testing.T) {
	for _, l := range linkTypes {
		for _, on := range []NodeKind{OnFile, OnFolder, OnRoot} {
			if l.on&on == 0 {
				continue
			}
			if r, ok := l.name.Rights(on); !ok || r != l.rights {
				t.Errorf("%s on %d: got %b", l.name, on, r)
			}
			if name, ok := LinkTypeOf(l.rights, on); !ok || name != l.name {
				t.Errorf("%b on %d: got %s, want %s", l.rights, on, name, l.name)
			}
			if l.rights&(CanGrant|CanListGrants|CanListTrash|CanListVersions|CanPurge|CanRestore) != 0 {
				t.Errorf("%s gives what belongs to people", l.name)
			}
		}
	}
	if _, ok := LinkCreateOnly.Rights(OnFile); ok {
		t.Error("a file can be a file drop")
	}
	if _, ok := LinkTypeOf(AllRights, OnFolder); ok {
		t.Error("all rights are a link")
	}
	for bits, want := range map[int]struct {
		name LinkType
		on   NodeKind
	}{1: {LinkView, OnFolder}, 5: {LinkUpload, OnFolder}, 15: {LinkEdit, OnFolder}, 4: {LinkCreateOnly, OnFolder}, 3: {LinkEdit, OnFile}, 0: {LinkBlocksDownload, OnFolder}} {
		if r, _ := want.name.Rights(want.on); r.OCS(want.on) != bits {
			t.Errorf("%s on %d: got %d, want %d", want.name, want.on, r.OCS(want.on), bits)
		}
	}
}

// The bits say of rights no more than there is, and no less than they gave.
func TestOCSBits(t *testing.T) {
	for _, on := range []NodeKind{OnFile, OnFolder} {
		for bits := -1; bits < 64; bits++ {
			r, ok := OCSRights(bits, on)
			if !ok {
				continue
			}
			want := bits &^ OCSShare
			if on == OnFile {
				want &= OCSRead | OCSUpdate
			}
			if got := r.OCS(on); got != want {
				t.Errorf("%d on %d: got %d back, from %b", bits, on, got, r)
			}
		}
	}
	for _, bad := range []struct {
		bits int
		on   NodeKind
	}{{0, OnFile}, {-1, OnFolder}, {32, OnFolder}, {16, OnFolder}, {4, OnFile}, {2, OnFile}} {
		if r, ok := OCSRights(bad.bits, bad.on); ok {
			t.Errorf("%d on %d: got %b, want nothing", bad.bits, bad.on, r)
		}
	}
	if got := SpaceManager.OCS(OnRoot); got != 31 {
		t.Errorf("a manager: got %d, want 31", got)
	}
}

func TestMountID(t *testing.T) {
	const space SpaceID = "5a000000-0000-4000-8000-000000000001$5a000000-0000-4000-8000-000000000002"
	const node NodeID = "5a000000-0000-4000-8000-000000000003"
	id := MountID(space, node)
	if ref, ok := ParseMountID(id); !ok || ref != (Ref{Space: space, Node: node}) {
		t.Errorf("%s: got %v, %t", id, ref, ok)
	}
	if ref, err := ParseItemID(ItemID(SharesSpace, id)); err != nil || ref != (Ref{Space: SharesSpace, Node: id}) {
		t.Errorf("as an item: got %v, %v", ref, err)
	}
	for _, bad := range []string{ItemID(space, id), string(SharesSpace) + "!a:b", string(SharesSpace) + "!a:b:", string(SharesSpace) + "!a:b:c:d", string(SharesSpace) + "!a:b/:c"} {
		if ref, err := ParseItemID(bad); err == nil {
			t.Errorf("%s: got %v", bad, ref)
		}
	}
}
