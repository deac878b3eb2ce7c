package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"opencloud/cloud"
)

// A visitor has what the link says, sees nothing above, and nothing of users.
func TestVisit(t *testing.T) {
	w := gather(t, Options{})
	w.mkdir("private")
	w.mkdir("private/shared")
	w.mkdir("private/shared/sub")
	w.put("private/shared/sub/file", "content")
	w.put("private/secret", "secret")
	g := w.opens("private/shared", cloud.LinkEdit, "open sesame!")
	if len(g.To.Link) < 15 || strings.Trim(g.To.Link, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
		t.Errorf("token: got %q", g.To.Link)
	}
	for _, tt := range []struct {
		token, password string
		want            error
	}{
		{g.To.Link, "open sesame!", nil}, {g.To.Link, "", cloud.Unauthorized}, {g.To.Link, "sesame", cloud.Unauthorized},
		{g.To.Link + "x", "open sesame!", cloud.NotExist}, {"", "", cloud.NotExist}, {strings.ToLower(g.To.Link), "", cloud.NotExist},
		{string(w.users["bert"].ID), "", cloud.NotExist},
	} {
		_, err := w.Visit(context.Background(), tt.token, tt.password)
		w.is(fmt.Sprintf("Visit %q with %q", tt.token, tt.password), err, tt.want)
	}
	visitor := w.visiting(g, "open sesame!")
	v := cloud.CallerFrom(visitor).Visitor
	n, err := w.Stat(visitor, v.Of)
	w.is("Stat", err, nil)
	if n.Path != "" || n.Parent != "" || n.Name != "shared" || n.Rights.Has(cloud.CanDelete) || len(n.Grants) != 1 || !n.Grants[0].Link.Protected || n.Grants[0].Link.Secret != "" {
		t.Errorf("node of the link: got %+v", n)
	}
	below := func(path string) cloud.Ref { return cloud.Ref{Space: v.Of.Space, Node: v.Of.Node, Path: path} }
	n, err = w.Stat(visitor, below("sub/file"))
	w.is("Stat below", err, nil)
	equal(t, "path", n.Path, "sub/file")
	equal(t, "listing", names(t, w.List(visitor, below("sub"))), []string{"file"})
	for what, ref := range map[string]cloud.Ref{
		"the root": {Space: w.space}, "the way from the root": w.ref("private/shared"), "the way from above": {Space: w.space, Node: w.node("private").ID, Path: "shared"},
		"above": {Space: w.space, Node: w.node("private").ID}, "another space": {Space: w.project}, "a neighbour": {Space: w.space, Node: w.node("private/secret").ID},
		"the Shares space": {Space: cloud.SharesSpace},
	} {
		_, err := w.Stat(visitor, ref)
		if !errors.Is(err, cloud.NotExist) && !errors.Is(err, cloud.Permission) {
			t.Errorf("Stat of %s: got %v", what, err)
		}
	}
	if _, _, err := w.Put(visitor, below("sub/new"), strings.NewReader("new"), cloud.Put{Size: 3}); err != nil {
		t.Errorf("Put: %v", err)
	}
	w.is("Remove", w.Remove(visitor, below("sub/new"), cloud.Conditions{}), nil)
	w.is("Remove of all", w.Remove(visitor, below(""), cloud.Conditions{}), cloud.Permission)
	_, _, err = w.Move(visitor, below("sub/file"), w.ref("stolen"), cloud.Transfer{})
	w.is("Move out", err, cloud.NotExist)
	l, _, _, err := w.Lock(visitor, below("sub/file"), cloud.Lock{}, cloud.Conditions{})
	w.is("Lock", err, nil)
	w.is("Unlock", w.Unlock(visitor, below("sub/file"), l.Token), nil)
	up, err := w.Begin(visitor, below("up"), cloud.Put{Size: 4})
	w.is("Begin", err, nil)
	_, err = w.Append(context.WithoutCancel(w.as("bert")), up.ID, 0, strings.NewReader("evil"))
	w.is("Append by somebody else", err, cloud.NotExist)

	for what, err := range map[string]error{
		"Home":   second(w.Core.Home(visitor)),
		"Space":  second(w.Space(visitor, w.space)),
		"Users":  second(w.User(visitor, "id", string(w.users["bert"].ID))),
		"Grants": third(w.Grants(visitor, below(""))),
		"Give":   third(w.Give(visitor, below(""), cloud.Grant{To: w.to("bert"), Rights: cloud.CanStat}, "")),
		"Revoke": w.Revoke(visitor, g.ID),
		"Trash":  first(w.Trash(visitor, cloud.Ref{Space: w.space})),
	} {
		if !errors.Is(err, cloud.Permission) && !errors.Is(err, cloud.NotExist) {
			t.Errorf("%s: got %v, want Permission or NotExist", what, err)
		}
	}
	// A user who visits has no more than others who do.
	user := cloud.WithCaller(context.Background(), cloud.Caller{User: w.users["ada"], Visitor: v})
	_, err = w.Stat(user, w.ref("private/secret"))
	w.is("Stat by the owner who visits", err, cloud.NotExist)

	var via []cloud.ShareID
	for r := range w.store.Since(t.Context(), w.space, 0) {
		if r.Name == "new" && r.Kind == cloud.FileMade {
			via = append(via, r.Via)
		}
	}
	equal(t, "via", via, []cloud.ShareID{g.ID})

	// Whatever ends the link ends the visit, and what was under way.
	w.is("Remove of the folder", w.Remove(w.ctx, w.ref("private"), cloud.Conditions{}), nil)
	_, err = w.Visit(context.Background(), g.To.Link, "open sesame!")
	w.is("Visit of what is in the bin", err, cloud.NotExist)
	_, _, err = w.Restore(w.ctx, w.binned("private"), cloud.Ref{}, false)
	w.is("Restore", err, nil)
	w.visiting(g, "open sesame!")
	w.is("Revoke", w.Revoke(w.ctx, g.ID), nil)
	_, err = w.Stat(visitor, v.Of)
	w.is("Stat after Revoke", err, cloud.NotExist)
	_, err = w.Append(visitor, up.ID, 0, strings.NewReader("late"))
	w.is("Append after Revoke", err, cloud.NotExist)
	_, err = w.Visit(context.Background(), g.To.Link, "open sesame!")
	w.is("Visit after Revoke", err, cloud.NotExist)
}

func third[A, B any](_ A, _ B, err error) error { return err }

func first(seq func(func(*cloud.Node, error) bool)) error {
	for _, err := range seq {
		return err
	}
	return nil
}

func TestLinkChanges(t *testing.T) {
	w := gather(t, Options{LinkPassword: false, WritableLinkPassword: true})
	w.mkdir("dir")
	g := w.opens("dir", cloud.LinkView, "")
	visit := func(password string) error {
		t.Helper()
		_, err := w.Visit(context.Background(), g.To.Link, password)
		return err
	}
	w.is("Visit", visit(""), nil)
	w.is("Visit with a password that it does not have", visit("any"), nil)
	change := func(what string, c cloud.GrantChange, want error) {
		t.Helper()
		next, _, err := w.Regrant(w.ctx, g.ID, c)
		w.is(what, err, want)
		if err == nil && next.To.Link != g.To.Link {
			t.Errorf("%s: the token is another", what)
		}
	}
	edit, _ := cloud.LinkEdit.Rights(cloud.OnFolder)
	later := w.clock.Add(time.Hour)
	never := time.Time{}
	change("to edit without a password", cloud.GrantChange{Rights: &edit}, cloud.Invalid)
	change("to edit with a bad one", cloud.GrantChange{Rights: &edit, Secret: new("short")}, cloud.Invalid)
	change("to edit with a good one", cloud.GrantChange{Rights: &edit, Secret: new("open sesame!")}, nil)
	w.is("Visit without", visit(""), cloud.Unauthorized)
	w.is("Visit", visit("open sesame!"), nil)
	change("no password", cloud.GrantChange{Secret: new("")}, cloud.Invalid)
	change("another password", cloud.GrantChange{Secret: new("open poppy!!")}, nil)
	w.is("Visit with the old one", visit("open sesame!"), cloud.Unauthorized)
	w.is("Visit with the new one", visit("open poppy!!"), nil)
	change("a name", cloud.GrantChange{Name: new("Poppy/Sesame")}, nil)
	change("a bad name", cloud.GrantChange{Name: new("\x00")}, cloud.Invalid)
	change("a date that has passed", cloud.GrantChange{Expires: &w.clock}, cloud.Invalid)
	change("a date", cloud.GrantChange{Expires: &later}, nil)
	w.clock = later
	w.is("Visit afterwards", visit("open poppy!!"), cloud.NotExist)
	w.clock = later.Add(-1)
	w.is("Visit just before", visit("open poppy!!"), nil)
	change("no date", cloud.GrantChange{Expires: &never}, nil)
	got, _, err := w.Grant(w.ctx, g.ID)
	if err != nil || got.Link.Name != "Poppy/Sesame" || !got.Link.Protected || got.Rights != edit {
		t.Errorf("Grant: got %+v, %v", got, err)
	}

	_, _, err = w.Give(w.ctx, w.ref("dir"), cloud.Grant{To: cloud.Subject{Link: "x"}, Link: &cloud.Link{Quick: true, Secret: "mine"}}, "")
	w.is("a quick link", err, nil)
	_, _, err = w.Give(w.ctx, w.ref("dir"), cloud.Grant{To: cloud.Subject{Link: "x"}, Link: &cloud.Link{Quick: true}}, "")
	w.is("a second quick link", err, cloud.Exist)
	user := w.gives("dir", "bert", role(t, "viewer"))
	_, _, err = w.Regrant(w.ctx, user.ID, cloud.GrantChange{Name: new("x")})
	w.is("a name for what is no link", err, cloud.Invalid)
	_, _, err = w.Regrant(w.ctx, user.ID, cloud.GrantChange{Secret: new("open sesame!")})
	w.is("a password for what is no link", err, cloud.Invalid)
}

func TestInternalLink(t *testing.T) {
	w := gather(t, Options{})
	w.mkdir("dir")
	w.gives("dir", "bert", role(t, "viewer"))
	g := w.opens("dir", cloud.LinkInternal, "")
	for name, want := range map[string]error{"nobody": nil, "carl": cloud.NotExist, "bert": nil, "ada": nil} {
		v, err := w.Visit(w.as(name), g.To.Link, "")
		w.is("Visit by "+name, err, want)
		if err == nil {
			equal(t, "internal", v.Internal, true)
			_, err = w.Stat(cloud.WithCaller(context.Background(), cloud.Caller{Visitor: v}), v.Of)
			w.is("Stat by it", err, cloud.NotExist)
		}
	}
	_, err := w.VisitSigned(context.Background(), g.To.Link, "", w.clock.Add(time.Hour))
	w.is("VisitSigned", err, cloud.NotExist)
}

func TestSign(t *testing.T) {
	w := gather(t, Options{})
	w.mkdir("dir")
	g, other := w.opens("dir", cloud.LinkView, "open sesame!"), w.opens("dir", cloud.LinkView, "open sesame!")
	visitor := w.visiting(g, "open sesame!")
	until := w.clock.Add(time.Hour)
	sig, err := w.Sign(visitor, until)
	w.is("Sign", err, nil)
	_, err = w.Sign(w.ctx, until)
	w.is("Sign by a user", err, cloud.Permission)
	_, err = w.Sign(visitor, w.clock)
	w.is("Sign until now", err, cloud.Invalid)
	flipped := []byte(sig)
	flipped[3] ^= 1
	for _, tt := range []struct {
		what, token, sig string
		until            time.Time
		want             error
	}{
		{"as it is", g.To.Link, sig, until, nil},
		{"another link", other.To.Link, sig, until, cloud.Unauthorized},
		{"a later date", g.To.Link, sig, until.Add(time.Second), cloud.Unauthorized},
		{"altered", g.To.Link, string(flipped), until, cloud.Unauthorized},
		{"cut", g.To.Link, sig[:10], until, cloud.Unauthorized},
		{"none", g.To.Link, "", until, cloud.Unauthorized},
		{"no such link", "x", sig, until, cloud.NotExist},
	} {
		_, err := w.VisitSigned(context.Background(), tt.token, tt.sig, tt.until)
		w.is(tt.what, err, tt.want)
	}
	w.clock = until
	_, err = w.VisitSigned(context.Background(), g.To.Link, sig, until)
	w.is("too late", err, cloud.Unauthorized)
	w.clock = until.Add(-time.Minute)
	if _, _, err := w.Regrant(w.ctx, g.ID, cloud.GrantChange{Secret: new("open poppy!!")}); err != nil {
		t.Fatal(err)
	}
	_, err = w.VisitSigned(context.Background(), g.To.Link, sig, until)
	w.is("another password", err, cloud.Unauthorized)
}

// Who drops something replaces nothing and learns nothing.
func TestFileDrop(t *testing.T) {
	w := gather(t, Options{})
	w.mkdir("drop")
	w.mkdir("drop/sub")
	w.put("drop/a.txt", "first")
	w.put("drop/sub/b", "theirs")
	g := w.opens("drop", cloud.LinkCreateOnly, "")
	visitor := w.visiting(g, "")
	at := cloud.CallerFrom(visitor).Visitor.Of
	below := func(path string) cloud.Ref { return cloud.Ref{Space: at.Space, Node: at.Node, Path: path} }
	put := func(path, body string, how cloud.Put) *cloud.Node {
		t.Helper()
		how.Size = int64(len(body))
		n, made, err := w.Put(visitor, below(path), strings.NewReader(body), how)
		if err != nil || !made || n.Path != path {
			t.Fatalf("Put %s: got %+v, %v, %v", path, n, made, err)
		}
		return n
	}
	put("a.txt", "second", cloud.Put{})
	put("a.txt", "third", cloud.Put{Conditions: cloud.Conditions{IfNoneMatch: "*"}})
	put("new", "new", cloud.Put{})
	put("sub/b", "mine", cloud.Put{})
	taken, err := w.MakeDir(visitor, below("sub"), cloud.Conditions{})
	w.is("MakeDir of what is there", err, nil)
	free, err := w.MakeDir(visitor, below("fresh"), cloud.Conditions{})
	w.is("MakeDir", err, nil)
	taken.ID, taken.Name, taken.Path, taken.ETag = free.ID, free.Name, free.Path, free.ETag
	equal(t, "a folder that was there", *taken, *free)
	_, err = w.MakeDir(visitor, below("a.txt"), cloud.Conditions{})
	w.is("MakeDir where a file is", err, nil)
	for range 3 {
		up, err := w.Begin(visitor, below("up"), cloud.Put{Size: 2})
		w.is("Begin", err, nil)
		up, err = w.Append(visitor, up.ID, 0, strings.NewReader("up"))
		w.is("Append", err, nil)
		if up.Node == nil || !up.Made || up.Node.Name != "up" {
			t.Errorf("uploaded: got %+v", up)
		}
	}
	for i := range 20 {
		put("often", fmt.Sprint(i), cloud.Put{})
	}
	for what, err := range map[string]error{
		"Stat of what is there": second(w.Stat(visitor, below("a.txt"))),
		"Stat of one's own":     second(w.Stat(visitor, below("new"))),
		"Open":                  third(w.Open(visitor, below("new"), "")),
		"Remove":                w.Remove(visitor, below("new"), cloud.Conditions{}),
		"Stat of a folder":      second(w.Stat(visitor, below("sub"))),
		"Copy":                  third(w.Copy(visitor, below("new"), below("copy"), cloud.Transfer{})),
	} {
		w.is(what, err, cloud.NotExist)
	}
	w.is("List", first(w.List(visitor, below(""))), cloud.Permission)
	_, _, err = w.Put(visitor, below("a.txt"), strings.NewReader("x"), cloud.Put{Size: 1, Conditions: cloud.Conditions{IfMatch: "*"}})
	w.is("Put if it is there", err, cloud.Precondition)
	_, _, _, err = w.Lock(visitor, below("a.txt"), cloud.Lock{}, cloud.Conditions{})
	w.is("Lock", err, cloud.Permission)
	n, err := w.Stat(visitor, below(""))
	w.is("Stat of the drop", err, nil)
	equal(t, "bits of the drop", n.Rights.OCS(n.Kind()), cloud.OCSCreate)

	got := map[string]string{}
	for n, err := range w.List(w.ctx, w.ref("drop")) {
		w.is("List", err, nil)
		if n.Dir {
			got[n.Name] = "folder"
			continue
		}
		body, _, err := w.Open(w.ctx, w.ref("drop/"+n.Name), "")
		w.is("Open", err, nil)
		b, _ := io.ReadAll(body)
		got[n.Name] = string(b)
	}
	for name, want := range map[string]string{"a.txt": "first", "a (2).txt": "second", "a (3).txt": "third", "new": "new", "sub": "folder", "fresh": "folder", "a (4).txt": "folder", "up": "up", "up (2)": "up", "up (3)": "up"} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
		delete(got, name)
	}
	if len(got) != 20 {
		t.Errorf("of 20 with one name are there %d", len(got))
	}
	equal(t, "content of the folder", names(t, w.List(w.ctx, w.ref("drop/sub"))), []string{"b", "b (2)"})
}
