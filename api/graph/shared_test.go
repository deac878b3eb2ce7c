package graph

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"opencloud/cloud"
)

func TestSharedWithMe(t *testing.T) {
	p := gather(t)
	p.share("docs", viewer, "grace")
	p.share("docs", uploader, "crew")
	p.share("letter.txt", fileEditor, "crew")
	p.as("grace")
	for _, query := range []string{"", "?$expand=thumbnails"} {
		if got := pick(values(p.call(200, "GET", "me/drive/sharedWithMe"+query, "")), "name"); !slices.Equal(got, []string{"docs", "letter.txt"}) {
			t.Errorf("%s: got %q", query, got)
		}
	}
	p.call(400, "GET", "me/drive/sharedWithMe?$expand=children", "")
	p.call(400, "GET", "me/drive/sharedWithMe?$filter=x", "")
	jail := string(cloud.SharesSpace)
	item := values(p.call(200, "GET", "me/drive/sharedWithMe", ""))[1]
	at, err := cloud.ParseItemID(p.ids["letter.txt"])
	if err != nil {
		t.Fatal(err)
	}
	mount := jail + "!" + string(cloud.MountID(at.Space, at.Node))
	remote := item["remoteItem"].(object)
	p.same("a file", p.without(item, "remoteItem", "eTag", "lastModifiedDateTime"), object{
		"id": mount, "name": "letter.txt", "size": 10., "file": dig(remote, "file"), "webDavUrl": "https://cloud.example.org/base/dav/spaces/" + mount,
		"webUrl": "https://cloud.example.org/base/f/" + p.ids["letter.txt"], "@client.synchronize": true, "@UI.Hidden": false,
		"parentReference": object{"driveId": jail, "driveType": "virtual", "id": cloud.ItemID(cloud.SharesSpace, cloud.SharesSpace.Root()), "path": "/"},
	})
	p.same("where it comes from", p.without(remote, "permissions", "eTag", "lastModifiedDateTime"), object{
		"id": p.ids["letter.txt"], "name": "letter.txt", "rootId": p.home + "!" + string(cloud.SpaceID(p.home).Root()), "path": "", "size": 10.,
		"file":      object{"mimeType": "text/plain", "hashes": object{"sha1Hash": "87acec17cd9dcd20a716cc2cf67417b71c8a7016"}},
		"webDavUrl": "https://cloud.example.org/base/dav/spaces/" + p.ids["letter.txt"], "webUrl": item["webUrl"],
		"createdBy":       object{"user": object{"id": string(alan.ID), "displayName": "Alan Turing", "@libre.graph.userType": "Member"}},
		"parentReference": object{"driveId": p.home},
	})
	g := remote["permissions"].([]any)[0].(object)
	if dig(g, "grantedToV2", "group", "id") != string(p.team.ID) || dig(g, "invitation", "invitedBy", "user", "displayName") != "Alan Turing" || g["createdDateTime"] == nil {
		t.Errorf("permission: got %v", g)
	}
	folder := values(p.call(200, "GET", "me/drive/sharedWithMe", ""))[0]
	if got := dig(folder, "remoteItem", "permissions").([]any); len(got) != 2 || folder["folder"] == nil || folder["file"] != nil {
		t.Errorf("a folder that is shared twice: got %v", folder)
	}

	// Hidden, renamed, taken out of the tree, and put back.
	in := "drives/" + jail + "/items/" + url.PathEscape(mount)
	p.same("asked for", p.call(200, "GET", in, ""), item)
	p.same("hidden", p.call(200, "PATCH", in, `{"@UI.Hidden":true}`)["@UI.Hidden"], true)
	p.same("shown", p.call(200, "PATCH", in, `{"@UI.Hidden":false}`)["@UI.Hidden"], false)
	p.same("renamed", p.call(200, "PATCH", in, `{"name":"mine.txt"}`)["name"], "mine.txt")
	p.call(409, "PATCH", in, `{"name":"docs"}`)
	p.call(403, "PATCH", in, `{"parentReference":{"id":"`+p.home+`"}}`)
	drives := func(filter string) []object {
		return values(p.call(200, "GET", "me/drives?$orderby=name&$filter="+url.QueryEscape(filter), ""))
	}
	p.same("mountpoints", pick(drives("driveType eq mountpoint"), "name"), []string{"docs", "mine.txt"})
	d := drives("driveType eq 'mountpoint' and name eq 'mine.txt'")[0]
	p.same("a mountpoint", p.without(d, "root", "lastModifiedDateTime"), object{
		"id": mount, "driveType": "mountpoint", "driveAlias": "mountpoint/mine.txt", "name": "mine.txt", "description": "", "webUrl": item["webUrl"],
	})
	p.same("by id", len(drives("id eq '"+mount+"'")), 1)
	p.same("by date", len(values(p.call(200, "GET", "me/drives?$orderby=lastModifiedDateTime%20desc", ""))), 4)
	p.same("its remote item", p.without(dig(d, "root", "remoteItem").(object), "permissions"), p.without(remote, "permissions"))
	p.same("asked for by id", p.call(200, "GET", "drives/"+url.PathEscape(mount), ""), d)
	p.same("its root", dig(p.call(200, "GET", "drives/"+url.PathEscape(mount)+"/root", ""), "remoteItem", "id"), any(p.ids["letter.txt"]))
	p.call(404, "PATCH", "drives/"+url.PathEscape(mount), `{"name":"x"}`)
	p.call(404, "DELETE", "drives/"+url.PathEscape(mount), "")
	p.call(204, "DELETE", in, "")
	p.call(204, "DELETE", in, "")
	p.same("mountpoints", pick(drives("driveType eq mountpoint"), "name"), []string{"docs"})
	p.same("synced", p.call(200, "GET", in, "")["@client.synchronize"], false)
	p.same("children", pick(values(p.call(200, "GET", "drives/"+jail+"/root/children", "")), "name"), []string{"docs"})
	got := p.call(200, "POST", "drives/"+jail+"/root/children", `{"name":"letter.txt","remoteItem":{"id":"`+p.ids["letter.txt"]+`"}}`)
	p.same("mounted again", []any{got["@client.synchronize"], got["name"], got["id"]}, []any{true, "mine.txt", mount})
	got = p.call(200, "POST", "drives/"+jail+"/root/children", `{"name":"yours.txt","remoteItem":{"id":"`+mount+`"}}`)
	p.same("mounted by its own id", got["name"], "yours.txt")
	p.call(400, "POST", "drives/"+jail+"/root/children", `{"remoteItem":{"id":"x"}}`)
	p.call(404, "POST", "drives/"+jail+"/root/children", `{"remoteItem":{"id":"`+p.ids["docs/sub"]+`"}}`)
	p.call(400, "POST", "drives/"+p.project+"/root/children", `{"remoteItem":{"id":"`+p.ids["docs"]+`"}}`)
	p.call(403, "POST", "drives/"+jail+"/root/children", `{"name":"new","folder":{}}`)

	shares := values(p.call(200, "GET", "me/drives?$filter=driveType%20eq%20virtual", ""))
	p.same("the Shares space", p.without(shares[0], "root", "lastModifiedDateTime"), object{
		"id": jail, "driveType": "virtual", "driveAlias": "virtual/shares", "name": "Shares", "description": "", "webUrl": "https://cloud.example.org/base/f/" + jail,
	})
	// Nobody else sees or changes any of it.
	p.as("bert")
	p.same("what others received", len(values(p.call(200, "GET", "me/drive/sharedWithMe", ""))), 0)
	p.call(404, "GET", in, "")
	p.call(404, "PATCH", in, `{"@UI.Hidden":true}`)
	p.call(404, "DELETE", in, "")
	// What is not shared any more is gone at once.
	p.as("alan")
	for _, g := range values(p.call(200, "GET", p.at("letter.txt")+"/permissions", "")) {
		p.call(204, "DELETE", p.at("letter.txt")+"/permissions/"+g["id"].(string), "")
	}
	p.as("grace").call(404, "GET", in, "")
}

func TestSharedByMe(t *testing.T) {
	p := gather(t)
	p.share("docs/sub", viewer, "grace")
	p.call(200, "POST", p.at("docs/sub")+"/createLink", `{"type":"view"}`)
	p.share("letter.txt", viewer, "crew")
	p.call(200, "POST", p.root()+"/invite", p.to(spaceViewer, "grace"))
	p.call(200, "POST", p.root()+"/createLink", `{"type":"view"}`)
	all := values(p.call(200, "GET", "me/drive/sharedByMe?$expand=thumbnails", ""))
	slices.SortFunc(all, func(a, b object) int { return strings.Compare(fmt.Sprint(a["name"]), fmt.Sprint(b["name"])) })
	p.same("names", pick(all, "name"), []string{"Mars", "letter.txt", "sub"})
	p.same("permissions", []int{len(all[0]["permissions"].([]any)), len(all[1]["permissions"].([]any)), len(all[2]["permissions"].([]any))}, []int{1, 1, 2})
	p.same("where they are", []any{all[0]["parentReference"], all[1]["parentReference"], all[2]["parentReference"]}, []any{
		object{"driveId": p.project, "path": "/"}, object{"driveId": p.home, "id": p.home, "path": "/"},
		object{"driveId": p.home, "id": p.ids["docs"], "name": "docs", "path": "/docs"},
	})
	p.same("ids", pick(all, "id"), []string{p.project, p.ids["letter.txt"], p.ids["docs/sub"]})
	p.as("grace")
	p.same("what grace shares", len(values(p.call(200, "GET", "me/drive/sharedByMe", ""))), 0)
}

// Who chose so finds what others share in the list, and takes from it what
// they want in their tree.
func TestAcceptingByHand(t *testing.T) {
	p := gather(t)
	p.rules.AutoAccept = false
	p.serve()
	p.share("docs", viewer, "grace")
	p.as("grace")
	item := values(p.call(200, "GET", "me/drive/sharedWithMe", ""))[0]
	p.same("synced", item["@client.synchronize"], false)
	const mountpoints = "me/drives?$filter=driveType%20eq%20mountpoint"
	p.same("mountpoints", len(values(p.call(200, "GET", mountpoints, ""))), 0)
	p.call(200, "POST", "drives/"+string(cloud.SharesSpace)+"/root/children", `{"name":"docs","remoteItem":{"id":"`+p.ids["docs"]+`"}}`)
	p.same("mountpoints", len(values(p.call(200, "GET", mountpoints, ""))), 1)
	in := "drives/" + string(cloud.SharesSpace) + "/items/" + url.PathEscape(fmt.Sprint(item["id"]))
	p.same("by its own property", p.call(200, "PATCH", in, `{"@client.synchronize":false}`)["@client.synchronize"], false)
}

func TestDenying(t *testing.T) {
	p := gather(t)
	p.graph.Roles = []string{editor, denied}
	p.serve()
	p.share("docs", editor, "crew")
	got := p.share("docs/sub", denied, "grace")
	p.same("role", got["roles"], any([]any{denied}))
	p.as("light").call(200, "GET", p.at("docs/sub"), "")
	p.as("grace").call(404, "GET", p.at("docs/sub"), "")
	p.same("children", pick(values(p.call(200, "GET", p.at("docs")+"/children", "")), "name"), []string{"plan.txt"})
	p.same("received", pick(values(p.call(200, "GET", "me/drive/sharedWithMe", "")), "name"), []string{"docs"})
	p.as("alan").call(204, "DELETE", p.at("docs/sub")+"/permissions/"+got["id"].(string), "")
	p.as("grace").call(200, "GET", p.at("docs/sub"), "")
}
