package graph

import (
	"fmt"
	"strings"
	"testing"

	"opencloud/cloud"
)

func TestLinks(t *testing.T) {
	p := gather(t)
	for _, tt := range []struct {
		path, kind string
		ok         bool
	}{
		{p.at("docs"), "internal", true}, {p.at("docs"), "view", true}, {p.at("docs"), "upload", true}, {p.at("docs"), "edit", true}, {p.at("docs"), "createOnly", true}, {p.at("docs"), "blocksDownload", true},
		{p.at("letter.txt"), "internal", true}, {p.at("letter.txt"), "view", true}, {p.at("letter.txt"), "edit", true}, {p.at("letter.txt"), "blocksDownload", true}, {p.at("letter.txt"), "upload", false},
		{p.root(), "internal", true}, {p.root(), "view", true}, {p.root(), "upload", true}, {p.root(), "edit", true}, {p.root(), "createOnly", true}, {p.root(), "blocksDownload", true},
	} {
		status := 200
		if !tt.ok {
			status = 400
		}
		got := p.call(status, "POST", tt.path+"/createLink", `{"type":"`+tt.kind+`"}`)
		if tt.ok && (dig(got, "link", "type") != tt.kind || dig(got, "link", "preventsDownload") != (tt.kind == "blocksDownload") || got["hasPassword"] != false) {
			t.Errorf("%s on %s: got %v", tt.kind, tt.path, got)
		}
	}
	until := inHours(1)
	got := p.call(200, "POST", p.at("docs/sub")+"/createLink", `{"type":"view","password":"a fine secret","displayName":"For you","@libre.graph.quickLink":true,"expirationDateTime":"`+until+`"}`)
	id := fmt.Sprint(got["id"])
	address := fmt.Sprint(dig(got, "link", "webUrl"))
	token, ok := strings.CutPrefix(address, "https://cloud.example.org/base/s/")
	if !ok || len(token) < 15 {
		t.Errorf("address: got %s", address)
	}
	p.same("a link", p.without(got, "id", "createdDateTime", "invitation"), object{
		"hasPassword": true, "expirationDateTime": until,
		"link": object{"type": "view", "preventsDownload": false, "webUrl": address, "@libre.graph.displayName": "For you", "@libre.graph.quickLink": true},
	})
	visit := func(password string, want error) {
		t.Helper()
		if _, err := p.core.Visit(t.Context(), token, password); cloud.KindOf(err) != cloud.KindOf(want) {
			t.Errorf("visiting with %q: got %v, want %v", password, err, want)
		}
	}
	visit("a fine secret", nil)
	visit("another", cloud.Unauthorized)
	link := p.at("docs/sub") + "/permissions/" + id
	got = p.call(200, "PATCH", link, `{"link":{"type":"edit","@libre.graph.displayName":"All of you"},"expirationDateTime":null}`)
	p.same("another type and name", p.without(got, "id", "createdDateTime", "invitation"), object{
		"hasPassword": true,
		"link":        object{"type": "edit", "preventsDownload": false, "webUrl": address, "@libre.graph.displayName": "All of you", "@libre.graph.quickLink": true},
	})
	p.same("another password", p.call(200, "POST", link+"/setPassword", `{"password":"a better secret"}`)["hasPassword"], true)
	visit("a fine secret", cloud.Unauthorized)
	visit("a better secret", nil)
	p.same("no password", p.call(200, "POST", link+"/setPassword", `{"password":""}`)["hasPassword"], false)
	visit("", nil)
	p.same("a password by PATCH", p.call(200, "PATCH", link, `{"password":"the best secret"}`)["hasPassword"], true)
	visit("the best secret", nil)
	p.call(204, "DELETE", link, "")
	visit("the best secret", cloud.NotExist)

	// Where links need a password, all of these say so.
	p.rules.LinkPassword = true
	p.serve()
	p.as("grace")
	home := string(p.world.home().ID)
	p.put(cloud.SpaceID(home), "f", "x")
	n, err := p.core.Stat(p.ctx(), cloud.Ref{Space: cloud.SpaceID(home), Path: "f"})
	if err != nil {
		t.Fatal(err)
	}
	at := "drives/" + home + "/items/" + cloud.ItemID(n.Space, n.ID)
	if got := message(p.call(400, "POST", at+"/createLink", `{"type":"view"}`)); got != "This link needs a password." {
		t.Errorf("got %q", got)
	}
	p.call(200, "POST", at+"/createLink", `{"type":"internal"}`)
	id = fmt.Sprint(p.call(200, "POST", at+"/createLink", `{"type":"view","password":"a fine secret"}`)["id"])
	p.call(400, "POST", at+"/permissions/"+id+"/setPassword", `{"password":""}`)
}

// Who may list the links of a space does not get those that open more than
// they may do themselves.
func TestLinksOfOthers(t *testing.T) {
	p := gather(t)
	p.call(200, "POST", p.root()+"/invite", p.to(spaceViewer, "grace"))
	for _, kind := range []string{"view", "edit"} {
		p.call(200, "POST", p.root()+"/createLink", `{"type":"`+kind+`","password":"a fine secret"}`)
	}
	p.as("grace")
	has := map[any]bool{}
	for _, g := range values(p.call(200, "GET", p.root()+"/permissions", "")) {
		if l := dig(g, "link"); l != nil {
			has[dig(l, "type")] = dig(l, "webUrl") != nil
			if g["hasPassword"] != true {
				t.Errorf("got %v", g)
			}
		}
	}
	p.same("addresses", has, map[any]bool{"view": true, "edit": false})
}

// Who holds a link may look at what it opens, as the link allows, and shares
// nothing, whoever they are besides.
func TestVisitors(t *testing.T) {
	p := gather(t)
	link := p.call(200, "POST", p.at("docs")+"/createLink", `{"type":"edit"}`)
	_, token, _ := strings.Cut(fmt.Sprint(dig(link, "link", "webUrl")), "/s/")
	visitor, err := p.core.Visit(t.Context(), token, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []*cloud.User{nil, alan} {
		p.user, p.visitor = user, visitor
		p.same("what the link opens", p.call(200, "GET", p.at("docs"), "")["name"], "docs")
		for path, status := range map[string]int{
			"me/drives": 403, "drives": 403, "me/drive": 403, "me/drive/sharedWithMe": 403, "me/drive/sharedByMe": 403, "me/drive/root": 403, "drives/" + p.home: 403,
			p.at("docs") + "/permissions": 403, p.at("docs") + "/permissions/" + fmt.Sprint(link["id"]): 403, p.at("letter.txt"): 404, "drives/" + p.home + "/root": 404,
		} {
			p.call(status, "GET", path, "")
		}
		p.call(403, "POST", p.at("docs")+"/invite", p.to(viewer, "grace"))
		p.call(403, "POST", p.at("docs")+"/createLink", `{"type":"view"}`)
		p.call(403, "PATCH", p.at("docs")+"/permissions/"+fmt.Sprint(link["id"]), `{"link":{"type":"view"}}`)
		p.call(403, "POST", p.at("docs")+"/permissions/"+fmt.Sprint(link["id"])+"/setPassword", `{"password":"a fine secret"}`)
		p.call(403, "DELETE", p.at("docs")+"/permissions/"+fmt.Sprint(link["id"]), "")
		p.call(403, "DELETE", p.at("docs"), "")
	}
}
