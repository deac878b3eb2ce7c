package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"opencloud/cloud"
	dirmem "opencloud/directory/mem"
	"opencloud/storage/mem"
)

var quiet = slog.New(slog.DiscardHandler)

const exportName = ".personal_data_export.json"

// exported is the export of a user, and whether it is there.
func (w *town) exported(name string) map[string]any {
	w.Helper()
	synctest.Wait()
	ref := cloud.Ref{Space: w.home(name).ID, Path: exportName}
	body, _, err := w.Open(w.as(name), ref, "")
	if err != nil {
		w.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		w.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		w.Fatalf("%v: %s", err, text)
	}
	if left, err := w.dir.Document(w.Context(), house, exportDocument); !errors.Is(err, cloud.NotExist) {
		w.Errorf("exports under way: got %s, %v; want none", left, err)
	}
	return got
}

func (w *town) export(name string) {
	w.Helper()
	w.is("Export", w.Export(w.as(name), w.users[name].ID, "/"+exportName), nil)
}

// drawer is a keeper of credentials.
type drawer struct{ cloud.Credentials }

func (drawer) List(_ context.Context, of cloud.UserID) iter.Seq2[cloud.Credential, error] {
	return func(yield func(cloud.Credential, error) bool) {
		_ = yield(cloud.Credential{Kind: "session", Label: "Browser of " + string(of)}, nil) && yield(cloud.Credential{Kind: "app token", Label: "phone"}, nil)
	}
}

// pick has one property of each member of a list.
func pick(list any, property string) (all []string) {
	for _, v := range list.([]any) {
		all = append(all, fmt.Sprint(v.(map[string]any)[property]))
	}
	slices.Sort(all)
	return all
}

func TestExport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := settle(t, PeopleOptions{Credentials: []cloud.Credentials{drawer{}, new(watcher)}})
		defer func() { w.People.Close() }()
		other := w.users["other"]
		home, theirs, project := w.home("other"), w.home("user"), w.project()
		w.join("other")
		w.ctx, w.space = w.as("other"), home.ID
		w.mkdir("a")
		w.mkdir("a/b")
		w.put("a/b/file.txt", "content")
		w.put("gone.txt", "x")
		w.is("Remove", w.Remove(w.ctx, w.ref("gone.txt"), cloud.Conditions{}), nil)
		w.is("SetPhoto", w.SetPhoto(w.ctx, other.ID, picture("png", 7, 5)), nil)
		w.is("Choose", w.Choose(w.ctx, other.ID, interval, cloud.Choice{Text: "daily"}), nil)
		_, _, _, err := w.Lock(w.ctx, w.ref("a/b/file.txt"), cloud.Lock{Owner: "<me/>", Timeout: 1 << 40}, cloud.Conditions{})
		w.is("Lock", err, nil)
		give := func(s cloud.SpaceID, path string, g cloud.Grant) {
			t.Helper()
			n, err := w.store.Lookup(t.Context(), s, "", path)
			if err == nil {
				_, err = w.store.Edit(t.Context(), s, n.ID, func(n *cloud.Node) error {
					n.Grants = append(slices.Clone(n.Grants), g)
					return nil
				})
			}
			w.is("Edit", err, nil)
			delete(w.Core.spaces, s)
		}
		give(home.ID, "a", cloud.Grant{To: cloud.Subject{User: w.users["user"].ID}, By: other.ID, Rights: cloud.SpaceViewer})
		w.ctx, w.space = w.as("user"), theirs.ID
		w.mkdir("for you")
		w.put("secret.txt", "not for you")
		give(theirs.ID, "for you", cloud.Grant{To: cloud.Subject{User: other.ID}, By: w.users["user"].ID, Rights: cloud.SpaceEditor})
		give(theirs.ID, "secret.txt", cloud.Grant{To: cloud.Subject{User: w.users["light"].ID}, By: other.ID, Rights: cloud.SpaceViewer})
		give(project.ID, "", cloud.Grant{To: cloud.Subject{Group: w.crew.ID}, Rights: cloud.SpaceEditor})
		up, err := w.Begin(w.as("other"), cloud.Ref{Space: project.ID, Path: "big.bin"}, cloud.Put{Size: 10})
		w.is("Begin", err, nil)
		_, err = w.Append(w.as("other"), up.ID, 0, strings.NewReader("abc"))
		w.is("Append", err, nil)

		w.export("other")
		got := w.exported("other")
		user := got["user"].(map[string]any)
		equal(t, "user", fmt.Sprint(user["name"], user["mail"], user["surname"], user["role"].(map[string]any)["name"]), "otherother@example.orgHopperuser")
		equal(t, "photo", fmt.Sprint(got["photo"].(map[string]any)["width"]), "7")
		for _, c := range []struct {
			list, property string
			want           []string
		}{
			{"groups", "name", []string{"crew"}},
			{"preferences", "name", []string{"email-sending-interval-options", "language"}},
			{"credentials", "label", []string{"Browser of " + string(other.ID), "phone"}},
			{"spaces", "name", []string{"Other", "project"}},
			{"grantsReceived", "name", []string{"Other", "for you", "project"}},
			{"grantsGiven", "name", []string{"<nil>", "a"}},
			{"locks", "owner", []string{"<me/>"}},
			{"uploads", "name", []string{"big.bin"}},
			{"uploads", "received", []string{"3"}},
			{"files", "path", []string{".personal_data_export.json", "a", "a/b", "a/b/file.txt"}},
			{"trash", "path", []string{"gone.txt"}},
		} {
			want := slices.Sorted(slices.Values(c.want))
			equal(t, c.list, pick(got[c.list], c.property), want)
		}
		for _, r := range got["activity"].([]any) {
			if by := r.(map[string]any)["by"]; by != string(other.ID) {
				t.Errorf("activity: got what %v did", by)
			}
		}
		if did := pick(got["activity"], "kind"); !slices.Contains(did, "trashed") || !slices.Contains(did, "dir-made") {
			t.Errorf("activity: got %q", did)
		}
		text, _ := json.Marshal(got)
		for _, secret := range []string{string(up.ID), "secret.txt", w.users["user"].Mail} {
			if strings.Contains(string(text), secret) {
				t.Errorf("the export has %q in it", secret)
			}
		}

		// The next one takes the place; the old one is in the trash.
		w.export("other")
		w.exported("other")
		trash, err := drain(w.Trash(w.as("other"), cloud.Ref{Space: home.ID}))
		if err != nil || len(trash) != 2 {
			t.Errorf("trash: got %d, %v", len(trash), err)
		}
		versions, err := drain(w.Versions(w.as("other"), cloud.Ref{Space: home.ID, Path: exportName}))
		if err != nil || len(versions) != 0 {
			t.Errorf("versions: got %d, %v; want none", len(versions), err)
		}
	})
}

// watcher keeps nothing to tell of.
type watcher struct{ cloud.Credentials }

// Until the export is whole its file says that it is on its way.
func TestExportOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := settle(t, PeopleOptions{Log: quiet})
		defer func() { w.People.Close() }()
		ref := cloud.Ref{Space: w.home("other").ID, Path: exportName}
		ctx := w.as("other")
		hold := func() { w.exports.turn <- struct{}{} }
		release := func() { <-w.exports.turn; synctest.Wait() }
		state := func() string {
			t.Helper()
			synctest.Wait()
			n, err := w.Stat(ctx, ref)
			if err != nil {
				return cloud.KindOf(err).Error()
			}
			return fmt.Sprint(n.State, n.Size > 0)
		}
		const pending, ready, none = "1 false", "0 true", "There is nothing here, or nothing you may see."

		hold()
		w.export("other")
		equal(t, "while it is made", state(), pending)
		_, _, err := w.Open(ctx, ref, "")
		w.is("Open", err, cloud.Processing)
		w.is("Export again", w.Export(ctx, w.users["other"].ID, "elsewhere"), cloud.Conflict)
		release()
		equal(t, "when it is made", state(), ready)

		// The server stops, and starts.
		hold()
		w.export("other")
		w.again()
		equal(t, "after a restart", state(), ready)
		w.exported("other")

		// The file goes meanwhile: to the trash, or elsewhere, or has a content.
		hold()
		w.export("other")
		w.is("Remove", w.Remove(ctx, ref, cloud.Conditions{}), nil)
		release()
		equal(t, "thrown away", state(), none)
		for n, err := range w.Trash(ctx, cloud.Ref{Space: ref.Space}) {
			if err != nil || n.State != cloud.Ready {
				t.Errorf("trash: got %+v, %v", n, err)
			}
		}
		hold()
		w.export("other")
		_, _, err = w.Move(ctx, ref, cloud.Ref{Space: ref.Space, Path: "moved"}, cloud.Transfer{})
		w.is("Move", err, nil)
		release()
		equal(t, "moved away", state(), none)
		n, err := w.Stat(ctx, cloud.Ref{Space: ref.Space, Path: "moved"})
		if err != nil || n.State != cloud.Ready || n.Size == 0 {
			t.Errorf("moved: got %+v, %v", n, err)
		}
		hold()
		w.export("other")
		w.ctx, w.space = ctx, ref.Space
		w.put(exportName, "mine")
		release()
		equal(t, "overwritten", w.read(ref, ""), "mine")

		// Something fails.
		w.is("Remove", w.Remove(ctx, ref, cloud.Conditions{}), nil)
		w.is("Close", w.People.Close(), nil)
		w.open(&breaking{Store: w.store, at: "grants"}, w.dir)
		w.export("other")
		equal(t, "when it fails", state(), none)
		w.again()
		w.export("other")
		w.exported("other")
	})
}

func TestExportRefused(t *testing.T) {
	w := settle(t, PeopleOptions{})
	defer func() { w.People.Close() }()
	id := w.users["other"].ID
	w.ctx, w.space = w.as("other"), w.home("other").ID
	w.mkdir("folder")
	for path, want := range map[string]error{
		"": cloud.Invalid, "/": cloud.Invalid, "a//b": cloud.Invalid, "../x": cloud.Invalid, "folder": cloud.Exist, "none/x": cloud.Conflict, ".oc": cloud.Invalid,
	} {
		w.is(fmt.Sprintf("to %q", path), w.Export(w.ctx, id, path), want)
	}
	w.is("of another", w.Export(w.as("admin"), id, "x"), cloud.Permission)
	w.is("without a home", w.Export(w.as("light"), w.users["light"].ID, "x"), cloud.Permission)
	w.is("nobody", w.Export(t.Context(), id, "x"), cloud.Unauthorized)
	if got := len(w.exports.all); got != 0 {
		t.Errorf("exports under way: got %d, want none", got)
	}
}

func BenchmarkExport(b *testing.B) {
	c, dir := New(mem.New(), Options{}), dirmem.New(alice)
	p, err := NewPeople(c, dir, dir, PeopleOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	ctx := as(alice)
	home, err := c.Home(ctx)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 10_000 {
		ref := cloud.Ref{Space: home.ID, Path: fmt.Sprint("file ", i)}
		if _, _, err := c.Put(ctx, ref, strings.NewReader("x"), cloud.Put{Size: 1}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.tell(ctx, alice, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
