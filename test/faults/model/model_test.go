package model_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"opencloud/cloud"
	"opencloud/core"
	"opencloud/storage/mem"
	"opencloud/test/faults/local"
	"opencloud/test/faults/model"
)

// world is one that has seen some load, on a server that does not fail.
func world(t *testing.T, acks int) (context.Context, *core.Core, *model.Server, *model.World) {
	t.Helper()
	ctx := t.Context()
	c := core.New(mem.New(), core.Options{})
	srv, stop := local.Serve(c)
	t.Cleanup(stop)
	w, err := model.NewWorld(ctx, srv, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(ctx, srv, model.Load{Acks: acks}); err != nil {
		t.Fatal(err)
	}
	if err := w.Resume(ctx, srv); err != nil {
		t.Fatal(err)
	}
	return cloud.WithCaller(ctx, cloud.Caller{User: local.User}), c, srv, w
}

func TestLoad(t *testing.T) {
	_, _, _, w := world(t, 1200)
	acked := w.Acked()
	t.Log(acked)
	for _, what := range []string{
		"put", "overwrite", "put in shared folder", "put 2 MiB", "put with lock token", "refused put",
		"mkcol", "move file", "move folder", "move over", "copy file", "copy folder", "copy folder over", "copy over",
		"delete", "restore", "purge", "proppatch", "lock", "lock what is not there", "unlock",
		"begin upload", "add to upload", "end upload", "revert",
	} {
		if acked[what] == 0 {
			t.Errorf("the load has no %q in it", what)
		}
	}
}

// TestTampered is the test of the test: whatever is done behind the back of
// the model is found.
func TestTampered(t *testing.T) {
	ctx, c, srv, w := world(t, 300)
	home, err := c.Home(ctx)
	if err != nil {
		t.Fatal(err)
	}
	root := cloud.Ref{Space: home.ID}
	at := func(path string) cloud.Ref { return cloud.Ref{Space: home.ID, Path: path} }
	put := func(path, body string) *cloud.Node {
		t.Helper()
		n, _, err := c.Put(ctx, at(path), strings.NewReader(body), cloud.Put{Size: -1})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var file *cloud.Node
	for n, err := range c.List(ctx, at("c0")) {
		must(err)
		if !n.Dir && len(n.Locks) == 0 {
			file = n
		}
	}
	if file == nil {
		t.Fatal("client c0 has no file")
	}
	found := func(what, want string) {
		t.Helper()
		err := w.Resume(t.Context(), srv)
		if got := fmt.Sprint(err); err == nil || !strings.Contains(got, want) {
			t.Fatalf("%s: got %v, want an error that says %q", what, err, want)
		}
	}

	intruder := put("c1/intruder", "x")
	found("a file nobody made", "is there, and must not be")
	must(c.Remove(ctx, at("c1/intruder"), cloud.Conditions{}))
	found("an entry of the bin nobody made", "is in the bin, and must not be")
	must(c.Purge(ctx, cloud.Ref{Space: home.ID, Node: intruder.ID}))
	put("elsewhere", "x")
	found("a file of no client", "nobody has made it")
	must(c.Remove(ctx, at("elsewhere"), cloud.Conditions{}))
	must(c.Purge(ctx, root))

	must(c.Remove(ctx, at(file.Path), cloud.Conditions{}))
	found("a file that is lost", "is missing")
	if _, _, err := c.Restore(ctx, cloud.Ref{Space: home.ID, Node: file.ID}, cloud.Ref{}, false); err != nil {
		t.Fatal(err)
	}
	put(file.Path, "other content")
	found("a file with other content", "content is")
}

// TestCut breaks the connections under load, again and again: requests that
// got no answer may have been carried out or not.
func TestCut(t *testing.T) {
	ctx := t.Context()
	c := core.New(mem.New(), core.Options{})
	var w *model.World
	for round := range 30 {
		web := httptest.NewServer(local.Handler(c))
		srv := model.NewServer(web.URL, local.User.Name, "")
		var err error
		if w == nil {
			w, err = model.NewWorld(ctx, srv, 3, 3)
		} else {
			err = w.Resume(ctx, srv)
		}
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		err = w.Run(ctx, srv, model.Load{Acks: 20 + round, Cut: func() {
			web.Listener.Close()
			web.CloseClientConnections()
		}})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		web.Close() // returns when the last request is over
		srv.Close()
	}
}
