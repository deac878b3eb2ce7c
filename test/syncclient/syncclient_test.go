package syncclient

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"opencloud/cloud"
	"opencloud/test/daemon"
	"opencloud/test/faults/model"
)

var (
	roundsFlag = flag.Int("rounds", 0, "of each test; 0: what is short enough for every day")
	seedFlag   = flag.Uint64("seed", 0, "of all that is random, to see a failure again")
)

func rounds(short int) int {
	if *roundsFlag > 0 {
		return *roundsFlag
	}
	return short
}

func random(t *testing.T) (*rand.Rand, uint64) {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to try again: go test ./test/syncclient -run '^%s$' -seed=%d", t.Name(), seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0)), seed
}

// A user of the server.
type user struct {
	*testing.T
	*daemon.Server
	name, password string
}

func (u user) do(method, at, body string, header ...string) (int, http.Header, []byte) {
	u.Helper()
	req, err := http.NewRequest(method, u.URL+at, strings.NewReader(body))
	if err != nil {
		u.Fatal(err)
	}
	req.SetBasicAuth(u.name, u.password)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		u.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		u.Fatal(err)
	}
	return resp.StatusCode, resp.Header, got
}

// must is do that works.
func (u user) must(method, at, body string, header ...string) (http.Header, []byte) {
	u.Helper()
	status, h, got := u.do(method, at, body, header...)
	if status >= 300 {
		u.Fatalf("%s %s by %s: %d %s", method, at, u.name, status, got)
	}
	return h, got
}

func (u user) json(method, at, body string) map[string]any {
	u.Helper()
	_, b := u.must(method, at, body, "Content-Type", "application/json")
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		u.Fatalf("%s %s: %v: %s", method, at, err, b)
	}
	return got
}

func (u user) home() string {
	u.Helper()
	return u.json("GET", "/graph/v1.0/me/drive", "")["id"].(string)
}

type member struct {
	Href string    `xml:"DAV: href"`
	Dir  *struct{} `xml:"DAV: propstat>prop>resourcetype>collection"`
	Orig string    `xml:"http://owncloud.org/ns propstat>prop>trashbin-original-location"`
}

func (u user) members(at string) []member {
	u.Helper()
	_, b := u.must("PROPFIND", at, `<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><d:resourcetype/><oc:trashbin-original-location/></d:prop></d:propfind>`, "Depth", "1")
	var ms struct {
		Response []member `xml:"DAV: response"`
	}
	if err := xml.Unmarshal(b, &ms); err != nil {
		u.Fatal(err)
	}
	return ms.Response[1:]
}

func sumOf(b []byte) string {
	s := sha1.Sum(b)
	return hex.EncodeToString(s[:])
}

// walk is what is in a space, by PROPFIND and GET: the SHA-1 of files, "dir"
// for folders. Contents are read only when asked for.
func (u user) walk(drive string, read bool) map[string]string {
	u.Helper()
	base, all := "/dav/spaces/"+drive, map[string]string{}
	var into func(dir string)
	into = func(dir string) {
		for _, m := range u.members(base + "/" + escape(dir)) {
			href, err := url.PathUnescape(strings.TrimSuffix(m.Href, "/"))
			if err != nil {
				u.Fatal(err)
			}
			p := path.Join(dir, path.Base(href))
			switch {
			case m.Dir != nil:
				all[p] = "dir"
				into(p)
			case read:
				_, b := u.must("GET", base+"/"+escape(p), "")
				all[p] = sumOf(b)
			default:
				all[p] = "file"
			}
		}
	}
	into("")
	return all
}

func escape(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// tree is what is in a local folder, as walk says it.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, p)
		if err != nil || rel == "." {
			return err
		}
		if e.IsDir() {
			all[rel] = "dir"
			return nil
		}
		b, err := os.ReadFile(p)
		all[rel] = sumOf(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (u user) options(drive string, top int) Options {
	dir := u.TempDir()
	return Options{URL: u.URL, User: u.name, Password: u.password, Drive: drive,
		Folder: filepath.Join(dir, "folder"), State: filepath.Join(dir, "state"), Top: top}
}

func open(t *testing.T, opts Options) *Client {
	t.Helper()
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// equal compares the folder with the space.
func (u user) equal(what string, opts Options) {
	u.Helper()
	if diff := cmp.Diff(u.walk(opts.Drive, true), tree(u.T, opts.Folder)); diff != "" {
		u.Fatalf("%s: the folder (+) is not the space (-):\n%s", what, diff)
	}
	if left, err := filepath.Glob(filepath.Join(opts.State, "stage", "*")); err != nil || len(left) > 0 {
		u.Errorf("%s: left on the stage: %q, %v", what, left, err)
	}
}

// alter does something to a space. A refusal is as good as anything: what
// counts is what is there afterwards.
func (u user) alter(rnd *rand.Rand, drive string) {
	u.Helper()
	base := "/dav/spaces/" + drive + "/"
	all := u.walk(drive, false)
	var files, dirs []string
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if all[p] == "dir" {
			dirs = append(dirs, p)
		} else {
			files = append(files, p)
		}
	}
	pick := func(from []string) string { return from[rnd.IntN(len(from))] }
	free := func() string {
		names := []string{"a", "b c", "ä☂", "50%", "d.o.t", "x#?&"}
		return path.Join(pick(append([]string{""}, dirs...)), fmt.Sprint(pick(names), rnd.IntN(30)))
	}
	body := func() string { return strings.Repeat(fmt.Sprint(rnd.Uint64(), " "), rnd.IntN(100)) }
	send := func(method, p, body string, header ...string) {
		if status, _, got := u.do(method, base+escape(p), body, header...); status >= 500 {
			u.Fatalf("%s %s: %d %s", method, p, status, got)
		}
	}
	to := func(p string) []string { return []string{"Destination", u.URL + base + escape(p)} }
	switch n := rnd.IntN(16); {
	case len(files) < 3 || len(dirs) < 3 || n < 2:
		send("PUT", free(), body())
		send("MKCOL", free(), "")
	case len(all) > 80:
		send("DELETE", pick(dirs), "")
	case n < 4:
		send("PUT", pick(files), body())
	case n == 4:
		send("MOVE", pick(files), "", to(free())...)
	case n == 5 || n == 6:
		send("MOVE", pick(dirs), "", to(free())...)
	case n == 7: // two names change places
		a, b := pick(append(files, dirs...)), pick(append(files, dirs...))
		send("MOVE", a, "", to("between")...)
		send("MOVE", b, "", to(a)...)
		send("MOVE", "between", "", to(b)...)
	case n == 8:
		send("COPY", pick(append(files, dirs...)), "", to(free())...)
	case n == 9:
		send("MOVE", pick(files), "", to(pick(files))...)
	case n == 10: // a folder goes to the trash, and what was in it comes out before
		dir := pick(dirs)
		for _, p := range append(files, dirs...) {
			if path.Dir(p) == dir && rnd.IntN(2) == 0 {
				send("MOVE", p, "", to(free())...)
			}
		}
		send("DELETE", dir, "")
	case n == 11:
		send("DELETE", pick(append(files, dirs...)), "")
	case n == 12:
		send("DELETE", pick(dirs), "")
	default: // out of the trash, folders rather than files
		bin := u.members("/dav/spaces/trash-bin/" + drive)
		if whole := slices.DeleteFunc(slices.Clone(bin), func(m member) bool { return m.Dir == nil }); len(whole) > 0 && rnd.IntN(3) > 0 {
			bin = whole
		}
		if len(bin) == 0 {
			return
		}
		m := bin[rnd.IntN(len(bin))]
		back := strings.Trim(m.Orig, "/")
		if rnd.IntN(2) == 0 {
			back = free()
		}
		if status, _, got := u.do("MOVE", m.Href, "", to(back)...); status >= 500 {
			u.Fatalf("restore %s: %d %s", m.Orig, status, got)
		}
	}
}

// Whatever is done to a space in between, after each sync the folder is equal.
func TestRandom(t *testing.T) {
	rnd, _ := random(t)
	u := user{t, daemon.Start(t, ""), "admin", daemon.Password}
	drive := u.home()
	opts := u.options(drive, 0)
	small := u.options(drive, 3) // many pages
	clients := map[*Client]Options{open(t, opts): opts, open(t, small): small}
	for round := range rounds(16) {
		for range 1 + rnd.IntN(15) {
			u.alter(rnd, drive)
		}
		for c, o := range clients {
			if err := c.Sync(t.Context()); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			u.equal(fmt.Sprintf("round %d, top %d", round, o.Top), o)
		}
	}
}

// What is only called otherwise is not fetched again.
func TestRename(t *testing.T) {
	u := user{t, daemon.Start(t, ""), "admin", daemon.Password}
	opts := u.options(u.home(), 0)
	base := "/dav/spaces/" + opts.Drive + "/"
	fetched := 0
	opts.Step = func(name string) error {
		if name == "content" {
			fetched++
		}
		return nil
	}
	c := open(t, opts)
	u.must("MKCOL", base+"a", "")
	u.must("PUT", base+"a/1", "one")
	u.must("PUT", base+"2", "two")
	for i, move := range [][2]string{{}, {"a", "b"}, {"2", "b/2"}, {"b/1", "b/x"}, {"b/2", "b/1"}, {"b/x", "b/2"}} {
		if move[0] != "" {
			u.must("MOVE", base+move[0], "", "Destination", u.URL+base+move[1])
		}
		if err := c.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		u.equal(fmt.Sprint("after ", move), opts)
		if fetched != 2 {
			t.Fatalf("after %d moves: %d contents fetched, want 2", i, fetched)
		}
	}
}

// The server is killed under load while the client syncs, which goes on after.
func TestKilled(t *testing.T) {
	rnd, seed := random(t)
	d := daemon.New(t, "")
	t.Cleanup(func() {
		d.Kill()
		if t.Failed() {
			t.Logf("server said:\n%s", d.Log)
		}
	})
	var (
		w    *model.World
		opts Options
		u    = user{t, d, "admin", daemon.Password}
	)
	n := rounds(4)
	for round := range n + 1 {
		if err := d.Up(); err != nil {
			t.Fatal(err)
		}
		http.DefaultClient.CloseIdleConnections()
		srv := model.NewServer(d.URL, "admin", daemon.Password)
		var err error
		if w == nil {
			opts = u.options(u.home(), 7)
			w, err = model.NewWorld(t.Context(), srv, seed, 3)
		} else {
			err = w.Resume(t.Context(), srv)
		}
		if err != nil {
			t.Fatal(err)
		}
		c := open(t, opts)
		if rnd.IntN(2) == 0 || round == n {
			if err := c.Sync(t.Context()); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			u.equal(fmt.Sprint("round ", round), opts)
		}
		if round == n {
			break
		}
		killed, done := make(chan struct{}), make(chan error, 1)
		go func() { done <- insist(t.Context(), c, killed) }()
		load := model.Load{Acks: 1 + rnd.IntN(200), Cut: func() {
			time.Sleep(time.Duration(rnd.IntN(3000)) * time.Microsecond)
			close(killed)
			d.Kill()
		}}
		if err := w.Run(t.Context(), srv, load); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := <-done; err != nil {
			t.Fatalf("round %d: sync: %v", round, err)
		}
		srv.Close()
		c.Close()
	}
}

// insist syncs until the server is killed. Until then nothing may fail.
func insist(ctx context.Context, c *Client, killed chan struct{}) error {
	for {
		err := c.Sync(ctx)
		select {
		case <-killed:
			return nil
		default:
			if err != nil {
				return err
			}
		}
	}
}

var errStopped = errors.New("stopped")

// tooOld answers some questions for a delta by a token as a server does that
// does not reach back that far.
type tooOld struct {
	http.RoundTripper
	rnd *rand.Rand
}

func (f tooOld) RoundTrip(r *http.Request) (*http.Response, error) {
	if !r.URL.Query().Has("token") || f.rnd.IntN(30) > 0 {
		return f.RoundTripper.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusGone, Body: http.NoBody, Request: r}, nil
}

// The client is stopped before each of its steps in turn and another goes on.
func TestStopped(t *testing.T) {
	rnd, _ := random(t)
	u := user{t, daemon.Start(t, ""), "admin", daemon.Password}
	opts := u.options(u.home(), 5)
	stops := 0
	for round := range rounds(15) {
		for range 1 + rnd.IntN(12) {
			u.alter(rnd, opts.Drive)
		}
		// Each client does a little more than the one before, so that they
		// come to an end.
		for far := 0; ; far++ {
			left := far + rnd.IntN(2)
			opts.Step = func(string) error {
				if left--; left < 0 {
					return errStopped
				}
				return nil
			}
			c, err := New(opts)
			if err == nil {
				c.http.Transport = tooOld{c.http.Transport, rnd}
				err = c.Sync(t.Context())
				c.Close()
			}
			if err == nil {
				break
			}
			if !errors.Is(err, errStopped) {
				t.Fatalf("round %d, stopped after %d steps: %v", round, far, err)
			}
			stops++
			if rnd.IntN(20) == 0 {
				u.alter(rnd, opts.Drive) // meanwhile
			}
		}
		u.equal(fmt.Sprint("round ", round), opts)
	}
	t.Logf("stopped %d times", stops)
}

// Who has a share of a folder sees nothing of the space by its delta; who is
// no member any more sees nothing new, and keeps what they have.
func TestRevoked(t *testing.T) {
	d := daemon.Start(t, "", "IDM_CREATE_DEMO_USERS=true")
	admin, mary := user{t, d, "admin", daemon.Password}, user{t, d, "mary", "demo"}
	maryID := mary.json("GET", "/graph/v1.0/me", "")["id"].(string)
	invite := func(at, role string) string {
		t.Helper()
		r, ok := cloud.ShareRoleBy(role)
		if !ok {
			t.Fatal(role)
		}
		got := admin.json("POST", "/graph/v1beta1/"+at+"/invite", fmt.Sprintf(`{"recipients":[{"objectId":%q}],"roles":[%q]}`, maryID, r.ID))
		return got["value"].([]any)[0].(map[string]any)["id"].(string)
	}

	home := admin.home()
	h, _ := admin.must("MKCOL", "/dav/spaces/"+home+"/shared", "")
	admin.must("PUT", "/dav/spaces/"+home+"/shared/f", "shared")
	admin.must("PUT", "/dav/spaces/"+home+"/secret", "secret")
	invite("drives/"+home+"/items/"+h.Get("OC-FileId"), "viewer")
	opts := mary.options(home, 0)
	if err := open(t, opts).Sync(t.Context()); !errors.Is(err, ErrNoAccess) {
		t.Errorf("the space around a share: got %v, want %v", err, ErrNoAccess)
	}
	if got := tree(t, opts.Folder); len(got) != 0 {
		t.Errorf("the space around a share: got %v, want nothing", got)
	}

	project := admin.json("POST", "/graph/v1.0/drives", `{"name":"Apollo"}`)["id"].(string)
	admin.must("PUT", "/dav/spaces/"+project+"/f", "one")
	permission := invite("drives/"+project+"/root", "spaceviewer")
	opts = mary.options(project, 0)
	asked := map[string]int{}
	opts.Step = func(name string) error {
		asked[name]++
		return nil
	}
	c := open(t, opts)
	if err := c.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	mary.equal("as a member", opts)
	own := filepath.Join(opts.Folder, "own")
	if err := os.WriteFile(own, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := tree(t, opts.Folder)
	admin.must("DELETE", "/graph/v1beta1/drives/"+project+"/root/permissions/"+permission, "")
	admin.must("PUT", "/dav/spaces/"+project+"/f", "two")
	admin.must("PUT", "/dav/spaces/"+project+"/g", "new")
	if err := c.Sync(t.Context()); !errors.Is(err, ErrNoAccess) {
		t.Errorf("revoked: got %v, want %v", err, ErrNoAccess)
	}
	if diff := cmp.Diff(before, tree(t, opts.Folder)); diff != "" {
		t.Errorf("revoked: the folder was (-) and is (+):\n%s", diff)
	}

	// A member again, with other rights: the token is too old for that.
	invite("drives/"+project+"/root", "manager")
	admin.must("PUT", "/dav/spaces/"+project+"/own", "theirs")
	clear(asked)
	if err := c.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	// 410, all anew, and of the contents only f, which is another, g and own.
	if asked["delta"] != 2 || asked["content"] != 3 {
		t.Errorf("a member again: asked %v, want 2 deltas and 3 contents", asked)
	}
	want := mary.walk(project, true)
	want["own.local-1"] = sumOf([]byte("mine"))
	if diff := cmp.Diff(want, tree(t, opts.Folder)); diff != "" {
		t.Errorf("a member again: want (-), got (+):\n%s", diff)
	}
}
