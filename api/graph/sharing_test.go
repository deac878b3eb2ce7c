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
	// A file, by a path and by the mount of who received it.
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
