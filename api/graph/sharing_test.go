package graph

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"opencloud/cloud"
	"opencloud/directory/secret"
)

// Roles by the names that read well.
var (
	viewer       = roleID("viewer")
	fileEditor   = roleID("file-editor")
	editor       = roleID("editor")
	uploader     = roleID("editor-lite")
	denied       = roleID("denied")
	spaceViewer  = roleID("spaceviewer")
	spaceEditor  = roleID("spaceeditor")
	spaceManager = roleID("manager")
)

func roleID(name string) string {
	r, ok := cloud.ShareRoleBy(name)
	if !ok {
		panic(name)
	}
	return r.ID
}

// A party is some who share: alan has things in his home and manages a project.
type party struct {
	*world
	home, project string                 // ids of drives
	ids           map[string]string      // of alan's items, by path
	team          *cloud.Group           // light and grace
	users         map[string]*cloud.User // by name
}

func gather(t *testing.T) *party {
	w := start(t)
	hasher, err := secret.New(secret.Options{Memory: 8, Time: 1, Threads: 1, Checks: 2})
	if err != nil {
		t.Fatal(err)
	}
	w.rules.Secrets, w.rules.AutoAccept = hasher, true
	w.serve()
	p := &party{world: w, home: string(w.home().ID), ids: map[string]string{}, users: map[string]*cloud.User{}}
	for _, u := range []*cloud.User{alan, grace, light, admin} {
		p.users[u.Name] = u
	}
	for _, u := range []cloud.User{{ID: "55555555-5555-4555-8555-555555555555", Name: "bert", Display: "Bert", Role: cloud.RoleUser}} {
		made, err := w.dir.SetUser(t.Context(), &cloud.User{Name: u.Name, Display: u.Display, Role: u.Role}, "")
		if err != nil {
			t.Fatal(err)
		}
		p.users[u.Name] = made
	}
	for _, path := range []string{"docs", "docs/sub"} {
		p.keep(w.core.MakeDir(w.ctx(), cloud.Ref{Space: cloud.SpaceID(p.home), Path: path}, cloud.Conditions{}))
	}
	for _, path := range []string{"docs/plan.txt", "letter.txt"} {
		w.put(cloud.SpaceID(p.home), path, "0123456789")
		p.keep(w.core.Stat(w.ctx(), cloud.Ref{Space: cloud.SpaceID(p.home), Path: path}))
	}
	p.project = w.project("Mars").ID
	p.team = w.crew(grace, light)
	return p
}

func (p *party) keep(n *cloud.Node, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	p.ids[n.Path] = cloud.ItemID(n.Space, n.ID)
}

// as makes somebody the caller.
func (p *party) as(name string) *party {
	p.t.Helper()
	p.sign(p.users[name])
	return p
}

// call sends a request and returns the JSON of the answer.
func (p *party) call(status int, method, path, body string, headers ...string) object {
	p.t.Helper()
	var got object
	to := any(&got)
	if status == 204 || status == 302 {
		to = nil
	}
	p.do(status, method, "/graph/v1beta1/"+path, body, to, headers...)
	return got
}

// at is the path of an item of alan's home.
func (p *party) at(path string) string {
	p.t.Helper()
	id := p.ids[path]
	if id == "" {
		p.t.Fatalf("there is no %s", path)
	}
	return "drives/" + p.home + "/items/" + id
}

func (p *party) root() string { return "drives/" + p.project + "/root" }

// to is the body of an invitation of users, or of groups if they are named so.
func (p *party) to(role string, names ...string) string {
	var all []string
	for _, name := range names {
		id, kind := name, "user"
		switch u := p.users[name]; {
		case u != nil:
			id = string(u.ID)
		case name == "crew":
			id, kind = string(p.team.ID), "group"
		}
		all = append(all, fmt.Sprintf(`{"objectId":%q,"@libre.graph.recipient.type":%q}`, id, kind))
	}
	return fmt.Sprintf(`{"recipients":[%s],"roles":[%q]}`, strings.Join(all, ","), role)
}

// share shares an item with one and returns the permission.
func (p *party) share(path, role, name string) object {
	p.t.Helper()
	return values(p.call(200, "POST", p.at(path)+"/invite", p.to(role, name)))[0]
}

func values(list object) []object {
	var all []object
	for _, v := range list["value"].([]any) {
		all = append(all, v.(object))
	}
	return all
}

// dig follows keys into an object; nil where one is missing.
func dig(v any, keys ...string) any {
	for _, key := range keys {
		o, ok := v.(object)
		if !ok {
			return nil
		}
		v = o[key]
	}
	return v
}

// pick is one property of each of a list.
func pick(list []object, keys ...string) []string {
	all := []string{}
	for _, o := range list {
		all = append(all, fmt.Sprint(dig(o, keys...)))
	}
	return all
}

// message is what a failure tells the user.
func message(o object) string { return fmt.Sprint(dig(o, "error", "message")) }

// without is an object less some of its properties, which must be there.
func (p *party) without(o object, keys ...string) object {
	p.t.Helper()
	rest := object{}
	for key, v := range o {
		rest[key] = v
	}
	for _, key := range keys {
		if rest[key] == nil || rest[key] == "" {
			p.t.Errorf("%v: no %s", o, key)
		}
		delete(rest, key)
	}
	return rest
}

func inHours(n int) string {
	return time.Now().UTC().Add(time.Duration(n) * time.Hour).Truncate(time.Second).Format(time.RFC3339)
}

const (
	rolesAllowed   = "@libre.graph.permissions.roles.allowedValues"
	actionsAllowed = "@libre.graph.permissions.actions.allowedValues"
)

func TestPermissions(t *testing.T) {
	p := gather(t)
	p.share("docs", viewer, "grace")
	p.share("docs", uploader, "crew")
	p.call(200, "POST", p.at("docs")+"/createLink", `{"type":"view"}`)
	roles := func(list object) []string {
		t.Helper()
		var all []object
		for _, r := range list[rolesAllowed].([]any) {
			all = append(all, r.(object))
		}
		return pick(all, "id")
	}
	list := func(path, query string) object {
		t.Helper()
		v := url.Values{}
		for part := range strings.SplitSeq(query, "&") {
			if key, value, ok := strings.Cut(part, "="); ok {
				v.Set(key, value)
			}
		}
		return p.call(200, "GET", path+"/permissions?"+v.Encode(), "")
	}
	for _, tt := range []struct {
		path string
		want []string
	}{
		{p.at("docs"), []string{viewer, uploader, editor}},
		{p.at("docs/plan.txt"), []string{viewer, fileEditor}},
		{p.root(), []string{spaceViewer, spaceEditor, spaceManager}},
	} {
		got := list(tt.path, "$top=0")
		p.same(tt.path+": roles", roles(got), tt.want)
		if n := len(got[actionsAllowed].([]any)); n != 19 {
			t.Errorf("%s: got %d actions, want all 19", tt.path, n)
		}
	}
	if got := values(list(p.at("docs"), "$top=0")); len(got) != 3 {
		t.Errorf("got %v, want 3", got)
	}
	got := list(p.at("docs"), "$count=true&$filter=grantedToV2 ne ''&$top=0")
	p.same("people alone", []any{got["@odata.count"], len(values(got))}, []any{2., 2})
	got = list(p.at("docs"), "$count=true&$filter=grantedToV2 eq ''")
	p.same("links alone", []any{got["@odata.count"], len(values(got))}, []any{1., 1})
	got = list(p.at("docs"), "$count=true&$top=1")
	p.same("a page", []any{got["@odata.count"], len(values(got))}, []any{3., 1})
	if next := fmt.Sprint(got["@odata.nextLink"]); !strings.HasPrefix(next, "https://cloud.example.org/base/graph/v1beta1/drives/") || !strings.Contains(next, "skip=1") {
		t.Errorf("next page: got %s", next)
	}
	const ofFederated = `$filter=@libre.graph.permissions.roles.allowedValues/rolePermissions/any(p:contains(p/condition, '@Subject.UserType=="Federated"'))`
	p.same("roles for people of other servers", roles(list(p.at("docs"), ofFederated)), []string{viewer, editor})
	p.same("roles for them on a space", roles(list(p.root(), ofFederated)), []string{})
	for sel, want := range map[string][]string{
		"value": {"value"}, rolesAllowed: {rolesAllowed}, actionsAllowed: {actionsAllowed}, rolesAllowed + ",value": {rolesAllowed, "value"},
	} {
		var keys []string
		for key := range list(p.at("docs"), "$select="+sel) {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		p.same("$select="+sel, keys, want)
	}
	for _, query := range []string{"$select=id", "$filter=id+eq+x", "$filter=roles/any(x:x/id+eq+y)", "$top=-1", "$count=yes", "$orderby=id", "$expand=roles", "$filter=grantedToV2"} {
		p.call(400, "GET", p.at("docs")+"/permissions?"+query, "")
	}
	p.call(404, "GET", p.at("docs")+"x/permissions", "")
	p.call(404, "GET", "drives/"+p.project+"/items/"+p.ids["docs"]+"/permissions", "")
	p.call(403, "GET", "drives/"+string(cloud.SharesSpace)+"/root/permissions", "")

	// Who received it sees what makes it so, and can give nothing on.
	got = list(p.as("grace").at("docs"), "")
	p.same("grace sees", pick(values(got), "roles"), []string{"[" + viewer + "]", "[" + uploader + "]"})
	p.call(403, "POST", p.at("docs")+"/invite", p.to(viewer, "bert"))
	p.call(403, "POST", p.at("docs")+"/createLink", `{"type":"view"}`)
	p.call(404, "GET", p.as("bert").at("docs")+"/permissions", "")
	p.call(404, "POST", p.at("docs")+"/invite", p.to(viewer, "grace"))
}

func TestInvite(t *testing.T) {
	p := gather(t)
	until := inHours(1)
	body := strings.TrimSuffix(p.to(viewer, "grace"), "}") + `,"expirationDateTime":"` + until + `"}`
	all := values(p.call(200, "POST", p.at("docs")+"/invite", body))
	id := fmt.Sprint(all[0]["id"])
	user := func(u *cloud.User, name string) object {
		return object{"user": object{"id": string(u.ID), "displayName": name, "@libre.graph.userType": "Member"}}
	}
	want := object{
		"expirationDateTime": until, "roles": []any{viewer}, "grantedToV2": user(grace, "grace"),
		"invitation": object{"invitedBy": user(alan, "Alan Turing")},
	}
	p.same("the permission", p.without(all[0], "id", "createdDateTime"), want)
	p.same("the permission, asked for", p.call(200, "GET", p.at("docs")+"/permissions/"+id, ""), all[0])

	got := p.call(200, "PATCH", p.at("docs")+"/permissions/"+id, `{"roles":["`+editor+`"],"expirationDateTime":null}`)
	want["roles"] = []any{editor}
	delete(want, "expirationDateTime")
	p.same("another role, no end", p.without(got, "id", "createdDateTime"), want)
	got = p.call(200, "PATCH", p.at("docs")+"/permissions/"+id, `{"expirationDateTime":"`+until+`"}`)
	p.same("an end again", []any{got["expirationDateTime"], got["roles"]}, []any{until, []any{editor}})
	got = p.call(200, "PATCH", p.at("docs")+"/permissions/"+id, `{"@libre.graph.permissions.actions":["libre.graph/driveItem/basic/read","libre.graph/driveItem/children/read"]}`)
	p.same("actions", []any{got["@libre.graph.permissions.actions"], got["roles"]}, []any{[]any{"libre.graph/driveItem/basic/read", "libre.graph/driveItem/children/read"}, nil})
	p.call(204, "DELETE", p.at("docs")+"/permissions/"+id, "")
	p.call(404, "DELETE", p.at("docs")+"/permissions/"+id, "")
	p.call(404, "GET", p.at("docs")+"/permissions/"+id, "")

	// The type of a recipient is user unless it is said, several come at once.
	all = values(p.call(200, "POST", p.at("docs")+"/invite", fmt.Sprintf(`{"recipients":[{"objectId":%q},{"objectId":%q,"@libre.graph.recipient.type":"group"}],"@libre.graph.permissions.actions":["libre.graph/driveItem/basic/read"]}`,
		p.users["bert"].ID, p.team.ID)))
	p.same("several", []any{dig(all[0], "grantedToV2", "user", "displayName"), dig(all[1], "grantedToV2", "group")},
		[]any{"Bert", object{"id": string(p.team.ID), "displayName": "Crew"}})

	// Where one of several cannot be, nobody is invited.
	before := p.call(200, "GET", p.at("docs/sub")+"/permissions", "")
	p.call(409, "POST", p.at("docs")+"/invite", p.to(viewer, "grace", "bert"))
	p.call(400, "POST", p.at("docs/sub")+"/invite", p.to(viewer, "grace", "crew", "nobody"))
	p.call(400, "POST", p.at("docs/sub")+"/invite", p.to(viewer, "grace", "alan"))
	p.same("after what failed", p.call(200, "GET", p.at("docs/sub")+"/permissions", ""), before)
	if got := values(p.call(200, "GET", p.at("docs")+"/permissions", "")); len(got) != 2 {
		t.Errorf("after what failed: got %v, want 2", got)
	}
	// Who received it is no more: it shows, and can be taken back.
	if err := p.dir.RemoveUser(t.Context(), p.users["bert"].ID); err != nil {
		t.Fatal(err)
	}
	left := p.call(200, "GET", p.at("docs")+"/permissions/"+fmt.Sprint(all[0]["id"]), "")
	p.same("left", dig(left, "grantedToV2", "user", "displayName"), any(""))
	p.call(400, "POST", p.at("docs/sub")+"/invite", p.to(viewer, "bert"))
	p.call(204, "DELETE", p.at("docs")+"/permissions/"+fmt.Sprint(all[0]["id"]), "")
	// A file, as it is for who received it.
	p.call(200, "POST", p.at("letter.txt")+"/invite", p.to(fileEditor, "grace"))
	p.as("grace")
	mount := fmt.Sprint(values(p.call(200, "GET", "me/drive/sharedWithMe", ""))[1]["id"])
	if got := values(p.call(200, "GET", "drives/"+string(cloud.SharesSpace)+"/items/"+mount+"/permissions", "")); len(got) != 1 || got[0]["roles"].([]any)[0] != fileEditor {
		t.Errorf("permissions on a mount: got %v", got)
	}
}

// What makes no sense is refused with a sentence, and changes nothing.
func TestBadSharing(t *testing.T) {
	p := gather(t)
	share := p.share("docs", viewer, "grace")
	link := p.call(200, "POST", p.at("docs")+"/createLink", `{"type":"view","@libre.graph.quickLink":true}`)
	g, l := p.at("docs")+"/permissions/"+share["id"].(string), p.at("docs")+"/permissions/"+link["id"].(string)
	state := func() []object {
		return []object{
			p.call(200, "GET", p.at("docs")+"/permissions", ""), p.call(200, "GET", p.at("docs/plan.txt")+"/permissions", ""),
			p.call(200, "GET", p.root()+"/permissions", ""), p.call(200, "GET", "drives/"+p.home+"/root/permissions", ""),
		}
	}
	gone, err := p.dir.SetUser(t.Context(), &cloud.User{Name: "gone", Role: cloud.RoleUser, Disabled: true}, "")
	if err != nil {
		t.Fatal(err)
	}
	p.users["gone"] = gone
	before := state()
	plus := func(body, more string) string { return strings.TrimSuffix(body, "}") + "," + more + "}" }
	var many []string
	for range maxRecipients + 1 {
		many = append(many, string(cloud.NewUUID().String()))
	}
	for _, tt := range []struct {
		status             int
		method, path, body string
		say                string // a part of the message
	}{
		{400, "POST", p.at("docs") + "/invite", ``, "with whom"},
		{400, "POST", p.at("docs") + "/invite", `{"recipients":[],"roles":["` + viewer + `"]}`, "with whom"},
		{400, "POST", p.at("docs") + "/invite", p.to("viewer", "bert"), "no role"},
		{400, "POST", p.at("docs") + "/invite", p.to(string(alan.ID), "bert"), "no role"},
		{400, "POST", p.at("docs") + "/invite", p.to(denied, "bert"), "no role"},
		{400, "POST", p.at("docs") + "/invite", p.to(fileEditor, "bert"), "not fit"},
		{400, "POST", p.at("docs") + "/invite", p.to(spaceViewer, "bert"), "not fit"},
		{400, "POST", p.at("docs/plan.txt") + "/invite", p.to(editor, "bert"), "not fit"},
		{400, "POST", p.root() + "/invite", p.to(viewer, "bert"), "not fit"},
		{400, "POST", p.at("docs") + "/invite", `{"recipients":[{"objectId":"` + string(grace.ID) + `"}]}`, "one role"},
		{400, "POST", p.at("docs") + "/invite", plus(p.to(viewer, "bert"), `"@libre.graph.permissions.actions":["libre.graph/driveItem/basic/read"]`), "one role"},
		{400, "POST", p.at("docs") + "/invite", strings.Replace(p.to(viewer, "bert"), `"roles":[`, `"roles":["`+editor+`",`, 1), "one role"},
		{400, "POST", p.at("docs") + "/invite", strings.Replace(p.to("read", "bert"), "roles", "@libre.graph.permissions.actions", 1), "no action"},
		{400, "POST", p.at("docs") + "/invite", strings.Replace(p.to("libre.graph/driveItem/path/read", "bert"), "roles", "@libre.graph.permissions.actions", 1), "not fit"},
		{400, "POST", p.at("docs") + "/invite", plus(p.to(viewer, "bert"), `"expirationDateTime":"2001-01-01T00:00:00Z"`), "passed"},
		{400, "POST", p.at("docs") + "/invite", plus(p.to(viewer, "bert"), `"expirationDateTime":"tomorrow"`), "date"},
		{400, "POST", p.at("docs") + "/invite", p.to(viewer, "alan"), "theirs"},
		{400, "POST", p.root() + "/invite", p.to(spaceViewer, "alan"), "yourself"},
		{400, "POST", p.at("docs") + "/invite", p.to(viewer, "nobody"), "nobody"},
		{400, "POST", p.at("docs") + "/invite", p.to(viewer, ""), "nobody"},
		{400, "POST", p.at("docs") + "/invite", p.to(viewer, "gone"), "nobody"},
		{400, "POST", p.at("docs") + "/invite", p.to(viewer, "bert", "bert"), "twice"},
		{413, "POST", p.at("docs") + "/invite", p.to(viewer, many...), "group"},
		{400, "POST", p.at("docs") + "/invite", strings.Replace(p.to(viewer, "bert"), `"user"`, `"federated"`, 1), "federated"},
		{400, "POST", p.at("docs") + "/invite", strings.Replace(p.to(viewer, "crew"), `"group"`, `"user"`, 1), "nobody"},
		{409, "POST", p.at("docs") + "/invite", p.to(editor, "grace"), "already"},
		{400, "POST", "drives/" + p.home + "/root/invite", p.to(spaceViewer, "grace"), "personal space"},
		{403, "POST", "drives/" + string(cloud.SharesSpace) + "/root/invite", p.to(spaceViewer, "grace"), "others share"},
		{404, "POST", "drives/" + p.home + "/items/" + p.home + "!x/invite", p.to(viewer, "bert"), ""},

		{400, "PATCH", g, `{"roles":[]}`, "one role"},
		{400, "PATCH", g, `{"roles":["` + fileEditor + `"]}`, "not fit"},
		{400, "PATCH", g, `{"expirationDateTime":"2001-01-01T00:00:00Z"}`, "passed"},
		{400, "PATCH", g, `{"link":{"type":"view"}}`, "no link"},
		{400, "PATCH", g, `{"password":"long enough for all"}`, "links"},
		{400, "PATCH", g, `{"grantedToV2":{"user":{"id":"x"}}}`, "grantedToV2"},
		{400, "PATCH", l, `{"roles":["` + viewer + `"]}`, "type"},
		{400, "PATCH", l, `{"link":{"type":"owner"}}`, "no link"},
		{400, "PATCH", l, `{"link":{"@libre.graph.quickLink":false}}`, "quick"},
		{400, "PATCH", l, `{"link":{"@libre.graph.displayName":"a\u0000b"}}`, "name"},
		{404, "PATCH", p.at("docs/sub") + "/permissions/" + share["id"].(string), `{"roles":["` + editor + `"]}`, ""},
		{404, "DELETE", p.root() + "/permissions/" + share["id"].(string), ``, ""},
		{404, "GET", p.at("docs") + "/permissions/nonsense", ``, ""},
		{400, "POST", g + "/setPassword", `{"password":"long enough for all"}`, "links"},
		{400, "POST", l + "/setPassword", `{}`, "missing"},
		{400, "POST", l + "/setPassword", `{"password":"short"}`, "too short"},
		{400, "POST", l + "/setPassword", `{"password":"password"}`, "guess"},

		{400, "POST", p.at("docs") + "/createLink", ``, "type"},
		{400, "POST", p.at("docs") + "/createLink", `{"type":"all"}`, "type"},
		{400, "POST", p.at("docs/plan.txt") + "/createLink", `{"type":"upload"}`, "type"},
		{400, "POST", p.at("docs/plan.txt") + "/createLink", `{"type":"createOnly"}`, "type"},
		{400, "POST", p.at("docs") + "/createLink", `{"type":"view","password":"short"}`, "too short"},
		{400, "POST", p.at("docs") + "/createLink", `{"type":"internal","password":"long enough for all"}`, "no password"},
		{400, "POST", p.at("docs") + "/createLink", `{"type":"view","expirationDateTime":"2001-01-01T00:00:00Z"}`, "passed"},
		{400, "POST", p.at("docs") + "/createLink", `{"type":"view","displayName":"` + strings.Repeat("x", 300) + `"}`, "name"},
		{409, "POST", p.at("docs") + "/createLink", `{"type":"view","@libre.graph.quickLink":true}`, "quick"},
		{405, "PUT", p.at("docs") + "/permissions", ``, ""},
	} {
		got := p.call(tt.status, tt.method, tt.path, tt.body)
		if !strings.Contains(message(got), tt.say) {
			t.Errorf("%s %s %s: got %q, want it to say %q", tt.method, tt.path, tt.body, message(got), tt.say)
		}
	}
	p.same("state after all that", state(), before)
	p.as("grace")
	if got := values(p.call(200, "GET", "me/drive/sharedWithMe", "")); len(got) != 1 {
		t.Errorf("grace received %v", got)
	}
}

func TestMembers(t *testing.T) {
	p := gather(t)
	all := values(p.call(200, "GET", p.root()+"/permissions", ""))
	if len(all) != 1 || all[0]["roles"].([]any)[0] != spaceManager || dig(all[0], "grantedToV2", "user", "id") != string(alan.ID) {
		t.Fatalf("the first member: got %v", all)
	}
	mine := p.root() + "/permissions/" + all[0]["id"].(string)
	p.call(403, "DELETE", mine, "")
	p.call(403, "PATCH", mine, `{"roles":["`+spaceViewer+`"]}`)
	p.call(403, "PATCH", mine, `{"expirationDateTime":"`+inHours(1)+`"}`)
	g := values(p.call(200, "POST", p.root()+"/invite", p.to(spaceEditor, "grace", "crew")))
	p.same("roles", pick(g, "roles"), []string{"[" + spaceEditor + "]", "[" + spaceEditor + "]"})
	id := g[0]["id"].(string)
	got := p.call(200, "PATCH", p.root()+"/permissions/"+id, `{"roles":["`+spaceManager+`"],"expirationDateTime":null}`)
	p.same("a second manager", got["roles"], any([]any{spaceManager}))
	// The root is an item like others, too.
	p.same("as an item", p.call(200, "GET", "drives/"+p.project+"/items/"+cloud.ItemID(cloud.SpaceID(p.project), cloud.SpaceID(p.project).Root())+"/permissions/"+id, ""), got)
	p.call(204, "DELETE", mine, "")
	p.call(404, "GET", p.root()+"/permissions", "")

	members := func(query string) []string {
		t.Helper()
		d := values(p.call(200, "GET", query+"?$filter=driveType%20eq%20project&$expand=root($expand=permissions)", ""))
		if len(d) != 1 {
			t.Fatalf("%s: got %v", query, d)
		}
		list, _ := dig(d[0], "root", "permissions").([]any)
		var all []string
		for _, g := range list {
			for _, kind := range []string{"user", "group"} {
				if who := dig(g, "grantedToV2", kind, "displayName"); who != nil {
					all = append(all, fmt.Sprint(who))
				}
			}
		}
		slices.Sort(all)
		return all
	}
	p.as("light")
	p.same("members, for a member", members("me/drives"), []string{"Crew", "grace"})
	p.as("root")
	p.same("members, for who manages spaces", members("drives"), []string{"Crew", "grace"})
	p.call(404, "GET", p.root()+"/permissions", "")
	p.as("grace")
	for _, path := range []string{"me/drives", "drives"} {
		if d := values(p.call(200, "GET", path+"?$filter=driveType%20eq%20project", "")); dig(d[0], "root", "permissions") != nil {
			t.Errorf("%s, not asked for: got %v", path, d)
		}
	}
	// A space without a manager can be given one.
	if err := p.dir.RemoveUser(t.Context(), grace.ID); err != nil {
		t.Fatal(err)
	}
	p.as("root").call(404, "POST", p.root()+"/invite", p.to(spaceEditor, "bert"))
	p.call(200, "POST", p.root()+"/invite", p.to(spaceManager, "bert"))
	p.as("bert")
	var left object
	for _, g := range values(p.call(200, "GET", p.root()+"/permissions", "")) {
		if dig(g, "grantedToV2", "user", "id") == string(grace.ID) {
			left = g
		}
	}
	p.same("who is no more", dig(left, "grantedToV2", "user"), any(object{"id": string(grace.ID), "displayName": ""}))
}
