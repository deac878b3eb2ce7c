package graph

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"opencloud/cloud"
)

// delta follows the links from one to the end of the answer. It returns the
// items by what they are called, gone ones with a minus, and the last link.
func (w *world) delta(link string) (items []string, next string) {
	w.t.Helper()
	for pages := 0; ; pages++ {
		var p deltaPage
		w.do(200, "GET", strings.TrimPrefix(link, "https://cloud.example.org/base"), "", &p)
		if (p.Next == "") == (p.Delta == "") || p.Value == nil {
			w.t.Fatalf("got %+v, want one link and a list", p)
		}
		for _, i := range p.Value {
			items = append(items, w.says(i))
		}
		if p.Delta != "" {
			return items, p.Delta
		}
		if link = p.Next; pages > 100 {
			w.t.Fatal("no end of pages")
		}
	}
}

func (w *world) says(i driveItem) string {
	if i.Deleted != nil {
		if i.Name+i.ETag+i.WebDavURL != "" || i.Deleted.State != "deleted" {
			w.t.Errorf("of what is gone: %+v", i)
		}
		return "-"
	}
	ref, err := cloud.ParseItemID(i.ID)
	if err != nil || i.ETag == "" || i.Size == nil || i.Modified == nil || i.Parent.DriveID != string(ref.Space) {
		w.t.Errorf("incomplete: %+v, %v", i, err)
	}
	switch {
	case i.Root != nil:
		return "/"
	case i.Folder != nil:
		return i.Name + "/"
	}
	if i.File == nil || i.File.MIMEType == "" || len(i.File.Hashes.SHA1) != 40 {
		w.t.Errorf("no file: %+v", i)
	}
	return fmt.Sprintf("%s %d", i.Name, *i.Size)
}

func TestDelta(t *testing.T) {
	w := start(t)
	s := w.home()
	ref := func(path string) cloud.Ref { return cloud.Ref{Space: s.ID, Path: path} }
	if _, err := w.core.MakeDir(w.ctx(), ref("d"), cloud.Conditions{}); err != nil {
		t.Fatal(err)
	}
	w.put(s.ID, "d/f.txt", "content")
	first := "/graph/v1.0/drives/" + string(s.ID) + "/root/delta"
	for _, path := range []string{first, "/graph/v1.0/me/drive/root/delta", strings.ReplaceAll(first, "$", "%24"), first + "?$top=1",
		"/graph/v1.0/drives/" + url.PathEscape(cloud.ItemID(s.ID, s.ID.Root())) + "/root/delta"} {
		got, link := w.delta(path)
		if want := []string{"/", "d/", "f.txt 7"}; !slices.Equal(got, want) {
			t.Errorf("GET %s: got %q, want %q", path, got, want)
		}
		if got, _ := w.delta(link); len(got) != 0 {
			t.Errorf("nothing has happened: got %q", got)
		}
	}
	_, link := w.delta(first + "?token=latest")
	if _, _, err := w.core.Move(w.ctx(), ref("d/f.txt"), ref("g.txt"), cloud.Transfer{}); err != nil {
		t.Fatal(err)
	}
	w.put(s.ID, "d/new", "")
	if err := w.core.Remove(w.ctx(), ref("d"), cloud.Conditions{}); err != nil {
		t.Fatal(err)
	}
	got, next := w.delta(link)
	slices.Sort(got)
	if want := []string{"-", "/", "g.txt 7"}; !slices.Equal(got, want) {
		t.Errorf("after changes: got %q, want %q", got, want)
	}
	if again, _ := w.delta(link); len(again) != len(got) {
		t.Errorf("the same link again: got %q, want the same", again)
	}

	// What is not a token for this.
	token := next[strings.Index(next, "token="):]
	other := w.project("other")
	for _, c := range []struct {
		path   string
		user   *cloud.User
		status int
	}{
		{first + "?token=x", alan, 400},
		{first + "?token=" + strings.Repeat("A", 10_000), alan, 400},
		{first + "?" + token[:len(token)-2] + "AA", alan, 400},
		{"/graph/v1.0/drives/" + other.ID + "/root/delta?" + token, alan, 400},
		{first + "?" + token, grace, 404},
		{first, grace, 404},
		{first, admin, 404}, // who may know that there is such a space
		{first + "?$top=x", alan, 400},
		{first + "?$filter=x", alan, 400},
		{"/graph/v1.0/drives/x/root/delta", alan, 404},
		{"/graph/v1.0/drives/" + string(cloud.SharesSpace) + "/root/delta", alan, 501},
		{"/graph/v1.0/me/drive/root/delta", light, 403},
	} {
		w.user = c.user
		w.do(c.status, "GET", c.path, "", nil)
	}
	w.user = alan
	w.do(405, "POST", first, "", nil)
}

// Who starts over is told where.
func TestDeltaTooOld(t *testing.T) {
	w := start(t)
	w.store.History = 5
	s := w.home()
	first := "/graph/v1.0/drives/" + string(s.ID) + "/root/delta"
	_, link := w.delta(first)
	for range 10 {
		w.put(s.ID, "f", "x")
	}
	resp := w.do(410, "GET", strings.TrimPrefix(link, "https://cloud.example.org/base"), "", nil)
	if got, want := resp.Header.Get("Location"), "https://cloud.example.org/base"+first; got != want {
		t.Errorf("Location: got %q, want %q", got, want)
	}
}

// A page is a list of drive items by the description.
func TestDeltaByTheDescription(t *testing.T) {
	api := describe(t)
	w := start(t)
	w.put(w.home().ID, "f", "x")
	var page struct{ Value []map[string]any }
	w.do(200, "GET", "/graph/v1.0/me/drive/root/delta", "", &page)
	known := map[string]bool{}
	for name := range api.Flat(api.Components.Schemas["driveItem"]).Properties {
		known[name] = true
	}
	for _, i := range page.Value {
		for name := range i {
			if !known[name] {
				t.Errorf("an item has %q", name)
			}
		}
	}
	if diff := gocmp.Diff(2, len(page.Value)); diff != "" {
		t.Error(diff)
	}
}
