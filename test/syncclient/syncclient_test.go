package syncclient

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"flag"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"opencloud/test/daemon"
	"opencloud/test/faults/model"
)

var (
	rounds = flag.Int("rounds", 3, "how often the server is killed under load")
	seed   = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the load, to see a failure again")
)

// tree is a folder by path: the SHA-1 of files, "dir" for folders.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, p)
		switch {
		case err != nil:
			return err
		case rel == ".oc" || rel == ".Trash":
			return fs.SkipDir
		case e.IsDir():
			all[rel] = "dir"
			return nil
		}
		b, err := os.ReadFile(p)
		sum := sha1.Sum(b)
		all[rel] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// served is the folder of the user admin, which the server keeps as a folder.
func served(t *testing.T, d *daemon.Server) string {
	t.Helper()
	homes, err := filepath.Glob(filepath.Join(d.Dir, "storage", "users", "users", "*"))
	if err != nil || len(homes) != 1 {
		t.Fatalf("got the homes %q, %v, want one", homes, err)
	}
	return homes[0]
}

// arrive syncs until nothing is missing.
func arrive(t *testing.T, c *Client) {
	t.Helper()
	for range 100 {
		err := c.Sync(t.Context())
		if err == nil {
			return
		}
		if !errors.Is(err, errAgain) {
			t.Fatal(err)
		}
	}
	t.Fatal("does not arrive although nothing changes any more")
}

// The server is killed under load, again and again, and so is the client's
// connection; sometimes the client starts anew, too. At the end the folder is
// the tree.
func TestThroughCrashes(t *testing.T) {
	t.Logf("-seed %d", *seed)
	rnd := rand.New(rand.NewPCG(*seed, 0))
	d := daemon.New(t, "", "OC_LOG_LEVEL=error")
	t.Cleanup(func() {
		d.Stop()
		if t.Failed() {
			t.Logf("server said:\n%s", d.Log)
		}
	})
	dir := filepath.Join(t.TempDir(), "local")
	c, err := Open(d.URL, "admin", daemon.Password, dir)
	if err != nil {
		t.Fatal(err)
	}
	var w *model.World
	listings, synced := 0, 0
	for range *rounds {
		if err := d.Up(); err != nil {
			t.Fatal(err)
		}
		srv := model.NewServer(d.URL, "admin", daemon.Password)
		if w == nil {
			w, err = model.NewWorld(t.Context(), srv, *seed, 3)
		} else {
			err = w.Resume(t.Context(), srv)
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			for ctx.Err() == nil {
				if err := c.Sync(ctx); err == nil {
					synced++
				} else if cut := ctx.Err() != nil || isCut(err); !cut && !errors.Is(err, errAgain) {
					done <- err
					return
				}
			}
			done <- nil
		}()
		err := w.Run(t.Context(), srv, model.Load{Acks: 100 + rnd.IntN(200), Cut: d.Kill})
		stop()
		if syncErr := <-done; err != nil || syncErr != nil {
			t.Fatalf("load: %v; sync: %v", err, syncErr)
		}
		srv.Close()
		c.Close()
		if rnd.IntN(2) == 0 {
			listings += c.Listings
			if c, err = Open(d.URL, "admin", daemon.Password, dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := d.Up(); err != nil {
		t.Fatal(err)
	}
	arrive(t, c)
	if diff := cmp.Diff(tree(t, served(t, d)), tree(t, dir)); diff != "" {
		t.Errorf("the folder (+) is not the tree (-):\n%s", diff)
	}
	if listings += c.Listings; listings > 1+*rounds {
		t.Errorf("asked %d times for all there is: deltas are worth nothing", listings)
	}
	t.Logf("%d rounds, synced %d times, %d files downloaded, %d listings, acknowledged: %v", *rounds, synced, c.Fetched, listings, w.Acked())
}

// isCut tells whether a request ended as it does when the server is killed.
func isCut(err error) bool {
	for _, s := range []string{"EOF", "connection re", "broken pipe"} {
		if strings.Contains(err.Error(), s) {
			return true
		}
	}
	return false
}

// What is renamed is not downloaded again, and what did not change is not
// asked for.
func TestRenames(t *testing.T) {
	d := daemon.Start(t, "")
	dir := filepath.Join(t.TempDir(), "local")
	c, err := Open(d.URL, "admin", daemon.Password, dir)
	if err != nil {
		t.Fatal(err)
	}
	do := func(status int, method, path, body string, header ...string) {
		t.Helper()
		resp, got := d.Do(t, method, "/remote.php/webdav/"+path, body, header...)
		if resp.StatusCode != status {
			t.Fatalf("%s %s: %s %s", method, path, resp.Status, got)
		}
	}
	to := func(path string) []string { return []string{"Destination", d.URL + "/remote.php/webdav/" + path} }
	same := func(what string, fetched int) {
		t.Helper()
		arrive(t, c)
		if diff := cmp.Diff(tree(t, served(t, d)), tree(t, dir)); diff != "" {
			t.Errorf("%s: the folder (+) is not the tree (-):\n%s", what, diff)
		}
		if c.Fetched != fetched || c.Listings != 1 {
			t.Errorf("%s: %d files downloaded and %d listings so far, want %d and 1", what, c.Fetched, c.Listings, fetched)
		}
	}
	do(http.StatusCreated, "MKCOL", "a", "")
	do(http.StatusCreated, "MKCOL", "a/b", "")
	for _, name := range []string{"a/1", "a/b/2", "3"} {
		do(http.StatusCreated, "PUT", name, "content of "+name)
	}
	same("at first", 3)
	do(http.StatusCreated, "MOVE", "a", "", to("c")...)
	same("a folder renamed", 3)
	do(http.StatusCreated, "MOVE", "3", "", to("x")...)
	do(http.StatusCreated, "MOVE", "c/1", "", to("3")...)
	do(http.StatusCreated, "MOVE", "x", "", to("c/1")...)
	same("two files change places", 3)
	do(http.StatusNoContent, "PUT", "3", "new")
	do(http.StatusNoContent, "DELETE", "c/b", "")
	do(http.StatusCreated, "PUT", "c/b", "a file now")
	same("some changes", 5)
}
