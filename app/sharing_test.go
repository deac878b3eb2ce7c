package app

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"opencloud/cloud"
)

// Two people, a group, a project and a link: what is shared over Graph can be
// used over WebDAV with the next request, and no longer than it is shared.
func TestWorkingTogether(t *testing.T) {
	s := system(t)
	f := frontOf(t, s, routes(s))
	f.log = quiet
	c := &client{t, f}
	const secret = "a fine secret"
	by := func(who string) func(status int, method, path, body string) map[string]any {
		return func(status int, method, path, body string) map[string]any {
			t.Helper()
			key := secret
			if who == "admin" {
				key = password
			}
			if !strings.HasPrefix(path, "/") {
				path = "/graph/v1beta1/" + path
			}
			return c.do(status, who, key, method, path, body)
		}
	}
	admin, ada, bob := by("admin"), by("ada"), by("bob")
	person := func(name string) string {
		t.Helper()
		return admin(201, "POST", "/graph/v1.0/users", `{"displayName":"`+name+`","onPremisesSamAccountName":"`+name+`","mail":"`+name+`@example.org","passwordProfile":{"password":"`+secret+`"}}`)["id"].(string)
	}
	adaID, bobID := person("ada"), person("bob")
	crew := admin(201, "POST", "/graph/v1.0/groups", `{"displayName":"crew"}`)["id"].(string)
	admin(204, "POST", "/graph/v1.0/groups/"+crew+"/members/$ref", `{"@odata.id":"https://localhost:9200/graph/v1.0/users/`+bobID+`"}`)
	role := func(name string) string {
		r, ok := cloud.ShareRoleBy(name)
		if !ok {
			t.Fatal(name)
		}
		return r.ID
	}
	invite := func(kind, id, roleName string) string {
		return fmt.Sprintf(`{"recipients":[{"objectId":%q,"@libre.graph.recipient.type":%q}],"roles":[%q]}`, id, kind, role(roleName))
	}
	first := func(list map[string]any) map[string]any {
		t.Helper()
		all := list["value"].([]any)
		if len(all) == 0 {
			t.Fatalf("got %v, want something in it", list)
		}
		return all[0].(map[string]any)
	}

	// A project: ada manages it, the group looks on, and then works there.
	project := admin(201, "POST", "/graph/v1.0/drives?template=default", `{"name":"Apollo"}`)["id"].(string)
	root := "drives/" + project + "/root"
	admin(200, "POST", root+"/invite", invite("user", adaID, "manager"))
	bob(404, "GET", "/graph/v1.0/drives/"+project, "")
	member := first(ada(200, "POST", root+"/invite", invite("group", crew, "spaceviewer")))["id"].(string)
	bob(200, "GET", "/dav/spaces/"+project+"/.space/readme.md", "")
	bob(403, "PUT", "/dav/spaces/"+project+"/eagle.txt", "landed")
	bob(403, "PATCH", root+"/permissions/"+member, `{"roles":["`+role("spaceeditor")+`"]}`)
	ada(200, "PATCH", root+"/permissions/"+member, `{"roles":["`+role("spaceeditor")+`"]}`)
	bob(201, "PUT", "/dav/spaces/"+project+"/eagle.txt", "landed")
	got := first(bob(200, "GET", "me/drives?$filter=driveType%20eq%20project&$expand=root($expand=permissions)", ""))
	if members := got["root"].(map[string]any)["permissions"].([]any); len(members) != 3 {
		t.Errorf("members: got %v, want admin, ada and the crew", members)
	}

	// A folder of ada's, in bob's Shares space.
	home := ada(200, "GET", "/graph/v1.0/me/drive", "")["id"].(string)
	id := ada(200, "POST", "drives/"+home+"/root/children", `{"name":"docs","folder":{}}`)["id"].(string)
	ada(201, "PUT", "/dav/spaces/"+home+"/docs/plan.txt", "one")
	item := "drives/" + home + "/items/" + id
	share := first(ada(200, "POST", item+"/invite", invite("user", bobID, "viewer")))["id"].(string)
	received := first(bob(200, "GET", "me/drive/sharedWithMe?$expand=thumbnails", ""))
	if remote := received["remoteItem"].(map[string]any); remote["id"] != id || received["@client.synchronize"] != true {
		t.Errorf("received: got %v", received)
	}
	jail := "/dav/spaces/" + string(cloud.SharesSpace)
	bob(200, "GET", jail+"/docs/plan.txt", "")
	bob(403, "PUT", jail+"/docs/plan.txt", "two")
	ada(200, "PATCH", item+"/permissions/"+share, `{"roles":["`+role("editor")+`"]}`)
	bob(204, "PUT", jail+"/docs/plan.txt", "two")
	bob(200, "GET", "drives/"+string(cloud.SharesSpace)+"/items/"+url.PathEscape(received["id"].(string)), "")
	bob(204, "DELETE", "drives/"+string(cloud.SharesSpace)+"/items/"+url.PathEscape(received["id"].(string)), "")
	bob(404, "GET", jail+"/docs/plan.txt", "")
	bob(200, "POST", "drives/"+string(cloud.SharesSpace)+"/root/children", `{"name":"docs","remoteItem":{"id":"`+id+`"}}`)
	bob(200, "GET", jail+"/docs/plan.txt", "")

	// A link, with the password that it needs here.
	if e := ada(400, "POST", item+"/createLink", `{"type":"view"}`)["error"].(map[string]any); e["message"] != "This link needs a password." {
		t.Errorf("a link without a password: got %v", e)
	}
	link := ada(200, "POST", item+"/createLink", `{"type":"view","password":"open sesame!","displayName":"For Charles"}`)
	_, token, _ := strings.Cut(link["link"].(map[string]any)["webUrl"].(string), "/s/")
	if _, err := s.Shares.Visit(t.Context(), token, "open"); cloud.KindOf(err) != cloud.Unauthorized {
		t.Errorf("visiting with a wrong password: got %v", err)
	}
	v, err := s.Shares.Visit(t.Context(), token, "open sesame!")
	if err != nil {
		t.Fatal(err)
	}
	visitor := cloud.WithCaller(t.Context(), cloud.Caller{Visitor: v})
	if n, err := s.Files.Stat(visitor, cloud.Ref{Space: v.Of.Space, Node: v.Of.Node, Path: "plan.txt"}); err != nil || n.Size != 3 {
		t.Errorf("the file behind the link: got %+v, %v", n, err)
	}
	ada(302, "GET", "/graph/v1.0/drives/"+home+"/root:/docs/plan.txt:/content", "")

	// Taken back, everything ends at once.
	ada(204, "DELETE", item+"/permissions/"+link["id"].(string), "")
	if _, err := s.Files.Stat(visitor, v.Of); cloud.KindOf(err) != cloud.NotExist {
		t.Errorf("a link that is no more: got %v", err)
	}
	ada(204, "DELETE", item+"/permissions/"+share, "")
	bob(404, "GET", jail+"/docs/plan.txt", "")
	if all := bob(200, "GET", "me/drive/sharedWithMe", "")["value"].([]any); len(all) != 0 {
		t.Errorf("received: got %v", all)
	}
	admin(204, "DELETE", "/graph/v1.0/groups/"+crew+"/members/"+bobID+"/$ref", "")
	bob(404, "GET", "/dav/spaces/"+project+"/eagle.txt", "")
	ada(200, "POST", item+"/invite", invite("user", bobID, "viewer"))
	admin(204, "DELETE", "/graph/v1.0/users/"+bobID, "")
	admin(204, "DELETE", "/graph/v1.0/groups/"+crew, "")
	for path, want := range map[string]int{item: 0, root: 2} {
		if all := ada(200, "GET", path+"/permissions", "")["value"].([]any); len(all) != want {
			t.Errorf("%s, when people have left: got %v, want %d", path, all, want)
		}
	}
}
