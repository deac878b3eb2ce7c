package graph

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"opencloud/cloud"
)

func TestRoleDefinitions(t *testing.T) {
	p := gather(t)
	const path = "roleManagement/permissions/roleDefinitions"
	definitions := func() []object {
		t.Helper()
		var all []object
		p.do(200, "GET", "/graph/v1beta1/"+path, "", &all)
		return all
	}
	all := definitions()
	p.same("roles", pick(all, "id"), []string{viewer, spaceViewer, uploader, fileEditor, editor, spaceEditor, spaceManager})
	first := all[0]["rolePermissions"].([]any)
	p.same("viewer", all[0], object{
		"id": viewer, "displayName": "Can view", "description": all[0]["description"], "@libre.graph.weight": 10., "rolePermissions": first,
	})
	var conditions []string
	for _, c := range first {
		conditions = append(conditions, c.(object)["condition"].(string))
		if got := len(c.(object)["allowedResourceActions"].([]any)); got != 6 {
			t.Errorf("viewer: got %d actions, want 6", got)
		}
	}
	p.same("conditions", conditions, []string{
		"exists @Resource.File", "exists @Resource.Folder",
		`exists @Resource.File && @Subject.UserType=="Federated"`, `exists @Resource.Folder && @Subject.UserType=="Federated"`,
	})
	p.same("one", p.call(200, "GET", path+"/"+editor, ""), all[4])
	p.call(404, "GET", path+"/editor", "")
	p.call(404, "GET", path+"/"+string(alan.ID), "")

	// What is no more offered is not given any more, but what was given stays.
	g := p.share("docs", editor, "grace")
	p.graph.Roles = []string{viewer, denied, spaceManager}
	p.serve()
	p.same("chosen roles", pick(definitions(), "id"), []string{viewer, spaceManager, denied})
	g = p.call(200, "GET", p.at("docs")+"/permissions/"+g["id"].(string), "")
	if got := g["@libre.graph.permissions.actions"].([]any); g["roles"] != nil || !slices.Contains(got, any("libre.graph/driveItem/standard/delete")) {
		t.Errorf("a role that is not in use any more: got %v", g)
	}
	p.call(400, "POST", p.at("docs")+"/invite", p.to(editor, "bert"))
	p.share("docs", viewer, "bert")
	p.user = nil
	p.call(401, "GET", path, "")
	p.call(401, "GET", path+"/"+editor, "")
}

// The page for administrators has a line for each role, and no others.
func TestRolesDoc(t *testing.T) {
	page, err := os.ReadFile("../../docs/admin/sharing-roles.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range cloud.ShareRoles() {
		usual := ""
		if r.Default {
			usual = "yes"
		}
		var on []string
		for kind, name := range map[cloud.NodeKind]string{cloud.OnFile: "files", cloud.OnFolder: "folders", cloud.OnRoot: "spaces"} {
			if r.On&kind != 0 {
				on = append(on, name)
			}
		}
		slices.Sort(on)
		line := fmt.Sprintf("| `%s` | `%s` | %s | %s | %s |\n", r.ID, r.Name, r.Display, strings.Join(on, ", "), usual)
		if !strings.Contains(string(page), line) {
			t.Errorf("there is no line\n%s", line)
		}
	}
	if got, want := strings.Count(string(page), "\n| `"), len(cloud.ShareRoles()); got != want {
		t.Errorf("got %d lines, want %d", got, want)
	}
}
