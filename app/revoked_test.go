package app

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"opencloud/cloud"
)

// A hold is what somebody has of a folder of the owner's, open as it may be.
type hold struct{ *cell }

// dav sends bob, or the holder of the link, to something in the folder.
func (h *hold) dav(method, text string, header ...string) int {
	return h.send(method, h.at+"/"+h.file.Name, text, header...)
}

func (h *hold) regrant(c cloud.GrantChange) {
	h.Helper()
	_, _, err := h.s.Shares.Regrant(h.owner, h.grant.ID, c)
	h.must(err)
}

func (h *hold) revoke() {
	h.Helper()
	h.must(h.s.Shares.Revoke(h.owner, h.grant.ID))
}

// hold gives somebody rights on a fresh folder with a file.
func (s *stage) hold(to cloud.Subject, rights cloud.Rights) *hold {
	s.Helper()
	return s.holdOn(cloud.OnFolder, to, rights)
}

// member makes somebody a member of a fresh space with a file.
func (s *stage) member(to cloud.Subject) *hold {
	s.Helper()
	return s.holdOn(cloud.OnRoot, to, cloud.SpaceEditor)
}

func (s *stage) holdOn(kind cloud.NodeKind, to cloud.Subject, rights cloud.Rights) *hold {
	s.Helper()
	g := s.place(kind, "holding")
	g.rights = rights
	g.grant = s.give(g.ref(), cloud.Grant{To: to, Rights: rights})
	c := &cell{stage: s, gift: g, way: way{at: "/dav/spaces/" + g.id(), sign: basicAuth("bob", password)}}
	c.file = s.put(s.owner, cloud.Ref{Space: g.space, Node: g.node.ID, Path: "file"})
	return &hold{c}
}

// holdLink makes a link to a fresh folder with a file.
func (s *stage) holdLink(of cloud.LinkType, secret string) *hold {
	s.Helper()
	rights, _ := of.Rights(cloud.OnFolder)
	h := s.hold(cloud.Subject{Link: "new"}, rights)
	if secret != "" {
		h.regrant(cloud.GrantChange{Secret: &secret})
	}
	h.way = way{at: "/dav/public-files/" + h.grant.To.Link, sign: func(r *http.Request) {
		if secret != "" {
			r.SetBasicAuth("public", secret)
		}
	}}
	return h
}

// For each way in: what was taken back is gone with the very next request.
func TestRevoked(t *testing.T) {
	s := newStage(t)
	bob := cloud.Subject{User: s.bob.ID}
	editor := roleRights(t, "editor")
	crew := s.do(201, "admin", password, "POST", "/graph/v1.0/groups", `{"displayName":"crew"}`)["id"].(string)
	s.do(204, "admin", password, "POST", "/graph/v1.0/groups/"+crew+"/members/$ref", `{"@odata.id":"https://localhost:9200/graph/v1.0/users/`+string(s.bob.ID)+`"}`)
	read := func(h *hold) func() int { return func() int { return h.dav("GET", "") } }
	write := func(h *hold) func() int { return func() int { return h.dav("PUT", content) } }
	group := func(s *stage) *hold { return s.hold(cloud.Subject{Group: cloud.GroupID(crew)}, editor) }

	for _, c := range []struct {
		name string
		// open returns a request that is allowed (want) until end is called, and
		// then gone.
		open func(s *stage) (try func() int, end func())
		want int
		gone int
	}{
		{"a user's grant", func(s *stage) (func() int, func()) {
			h := s.hold(bob, editor)
			return read(h), h.revoke
		}, 200, 404},
		{"rights of a grant", func(s *stage) (func() int, func()) {
			h := s.hold(bob, editor)
			return write(h), func() { h.regrant(cloud.GrantChange{Rights: new(viewing)}) }
		}, 204, 403},
		{"a grant that a denial covers", func(s *stage) (func() int, func()) {
			h := s.hold(bob, editor)
			in := s.dir(s.owner, cloud.Ref{Space: h.space, Node: h.node.ID, Path: "in"})
			h.file = s.put(s.owner, cloud.Ref{Space: h.space, Node: in.ID, Path: "deep"})
			h.at += "/in"
			return read(h), func() { s.give(cloud.Ref{Space: h.space, Node: in.ID}, cloud.Grant{To: bob}) }
		}, 200, 404},
		{"a group's grant", func(s *stage) (func() int, func()) {
			h := group(s)
			return read(h), h.revoke
		}, 200, 404},
		{"membership of a group", func(s *stage) (func() int, func()) {
			return read(group(s)), func() {
				s.do(204, "admin", password, "DELETE", "/graph/v1.0/groups/"+crew+"/members/"+string(s.bob.ID)+"/$ref", "")
			}
		}, 200, 404},
		{"membership of a space", func(s *stage) (func() int, func()) {
			h := s.member(bob)
			return read(h), h.revoke
		}, 200, 404},
		{"a space that is disabled", func(s *stage) (func() int, func()) {
			h := s.member(bob)
			return read(h), func() { s.must(s.s.Files.RemoveSpace(s.owner, h.space, false)) }
		}, 200, 404},
		{"a mount", func(s *stage) (func() int, func()) {
			h := s.hold(bob, editor)
			h.at = "/dav/spaces/" + string(cloud.SharesSpace) + "/" + h.node.Name
			return read(h), h.revoke
		}, 200, 404},
		{"a mount, by its id", func(s *stage) (func() int, func()) {
			h := s.hold(bob, editor)
			h.at = "/dav/spaces/" + cloud.ItemID(cloud.SharesSpace, cloud.MountID(h.space, h.node.ID))
			return read(h), h.revoke
		}, 200, 404},
		{"what is removed", func(s *stage) (func() int, func()) {
			h := s.hold(bob, editor)
			return read(h), func() { s.must(s.s.Files.Remove(s.owner, h.ref(), cloud.Conditions{})) }
		}, 200, 404},
		{"a link", func(s *stage) (func() int, func()) {
			h := s.holdLink(cloud.LinkView, "")
			return read(h), h.revoke
		}, 200, 404},
		{"the type of a link", func(s *stage) (func() int, func()) {
			h := s.holdLink(cloud.LinkEdit, "")
			view, _ := cloud.LinkView.Rights(cloud.OnFolder)
			return write(h), func() { h.regrant(cloud.GrantChange{Rights: &view}) }
		}, 204, 403},
		{"the password of a link", func(s *stage) (func() int, func()) {
			h := s.holdLink(cloud.LinkView, "open sesame")
			return read(h), func() { h.regrant(cloud.GrantChange{Secret: new("open barley")}) }
		}, 200, 401},
		{"a link without a password", func(s *stage) (func() int, func()) {
			h := s.holdLink(cloud.LinkView, "")
			return read(h), func() { h.regrant(cloud.GrantChange{Secret: new("open sesame")}) }
		}, 200, 401},
		{"a link to what is removed", func(s *stage) (func() int, func()) {
			h := s.holdLink(cloud.LinkView, "")
			return read(h), func() { s.must(s.s.Files.Remove(s.owner, h.ref(), cloud.Conditions{})) }
		}, 200, 404},
		{"a signed address", func(s *stage) (func() int, func()) {
			h := s.hold(bob, editor)
			return h.opened(), h.revoke
		}, 200, 404},
		{"a signed address of a link", func(s *stage) (func() int, func()) {
			h := s.holdLink(cloud.LinkView, "open sesame")
			return h.opened(), h.revoke
		}, 200, 404},
		{"a signed address of a link that gets another password", func(s *stage) (func() int, func()) {
			h := s.holdLink(cloud.LinkView, "open sesame")
			return h.opened(), func() { h.regrant(cloud.GrantChange{Secret: new("open barley")}) }
		}, 200, 401},
		{"an open upload", func(s *stage) (func() int, func()) {
			h := s.hold(bob, editor)
			return h.uploading(), h.revoke
		}, 204, 404},
		{"an open upload, asked for", func(s *stage) (func() int, func()) {
			h := s.hold(bob, editor)
			at := h.begun()
			return func() int { return h.send("HEAD", at, "", "Tus-Resumable", "1.0.0") }, h.revoke
		}, 200, 404},
		{"the right to end an upload", func(s *stage) (func() int, func()) {
			h := s.hold(bob, editor)
			return h.uploading(), func() { h.regrant(cloud.GrantChange{Rights: new(viewing)}) }
		}, 204, 403},
		{"an open upload through a link", func(s *stage) (func() int, func()) {
			h := s.holdLink(cloud.LinkCreateOnly, "")
			return h.uploading(), h.revoke
		}, 204, 404},
		{"a lock that is held", func(s *stage) (func() int, func()) {
			h := s.hold(bob, editor)
			lock := h.locked()
			return func() int { return h.dav("PUT", content, "If", "("+lock+")") }, h.revoke
		}, 204, 412}, // nothing is locked where there is nothing
		{"a lock that is held, to unlock", func(s *stage) (func() int, func()) {
			h := s.hold(bob, editor)
			lock := h.locked()
			method := "PROPFIND"
			return func() int { return h.dav(method, "", "Depth", "0", "Lock-Token", lock) }, func() {
				method = "UNLOCK"
				h.revoke()
			}
		}, 207, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			here := *s
			here.client = &client{t, s.f}
			try, end := c.open(&here)
			if got := try(); got != c.want {
				t.Fatalf("at first: got %d, want %d", got, c.want)
			}
			end()
			for range 2 {
				if got := try(); got != c.gone {
					t.Errorf("afterwards: got %d, want %d", got, c.gone)
				}
			}
		})
	}
}

// opened reads the file by the address that a PROPFIND tells, without credentials.
func (h *hold) opened() func() int {
	h.Helper()
	if got := signedAddress(h.cell); got != 200 {
		h.Fatalf("a signed address: got %d: %s", got, h.answer.Body)
	}
	at := h.asked
	return func() int { return h.ask(func(*http.Request) {}, "GET", at, "").Code }
}

// begun is where an upload goes on.
func (h *hold) begun() string {
	h.Helper()
	if got := h.send("POST", h.at+"/", "", "Tus-Resumable", "1.0.0", "Upload-Length", "9", "Upload-Metadata", "filename dHVz"); got != 201 {
		h.Fatalf("an upload: got %d: %s", got, h.answer.Body)
	}
	u, err := url.Parse(h.answer.Header().Get("Location"))
	h.must(err)
	return u.RequestURI()
}

// uploading adds a byte with each request.
func (h *hold) uploading() func() int {
	h.Helper()
	at, offset := h.begun(), 0
	return func() int {
		got := h.send("PATCH", at, "x", "Tus-Resumable", "1.0.0", "Upload-Offset", strconv.Itoa(offset), "Content-Type", "application/offset+octet-stream")
		if got == 204 {
			offset++
		}
		return got
	}
}

func (h *hold) locked() string {
	h.Helper()
	if got := h.dav("LOCK", lockBody); got != 200 {
		h.Fatalf("a lock: got %d: %s", got, h.answer.Body)
	}
	return h.answer.Header().Get("Lock-Token")
}

// A lock binds others as long as who holds it could write what is locked.
func TestRevokedLock(t *testing.T) {
	s := newStage(t)
	editor := roleRights(t, "editor")
	for _, c := range []struct {
		name string
		hold func(s *stage) *hold
		end  func(h *hold)
	}{
		{"a user's", func(s *stage) *hold { return s.hold(cloud.Subject{User: s.bob.ID}, editor) }, (*hold).revoke},
		{"of who may look on", func(s *stage) *hold { return s.hold(cloud.Subject{User: s.bob.ID}, editor) }, func(h *hold) {
			h.regrant(cloud.GrantChange{Rights: new(viewing)})
		}},
		{"a visitor's", func(s *stage) *hold { return s.holdLink(cloud.LinkEdit, "") }, (*hold).revoke},
		{"of an account that is disabled", func(s *stage) *hold { return s.hold(cloud.Subject{User: s.bob.ID}, editor) }, func(h *hold) {
			h.do(200, "admin", password, "PATCH", "/graph/v1.0/users/"+string(h.bob.ID), `{"accountEnabled":false}`)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			here := *s
			here.client = &client{t, s.f}
			h := c.hold(&here)
			h.locked()
			admin := basicAuth("admin", password)
			at := "/dav/spaces/" + cloud.ItemID(h.file.Space, h.file.ID)
			put := func(want int) {
				t.Helper()
				if w := h.ask(admin, "PUT", at, content); w.Code != want {
					t.Errorf("PUT by the owner: got %d, want %d: %s", w.Code, want, w.Body)
				}
			}
			put(423)
			if w := h.ask(admin, "LOCK", at, lockBody); w.Code != 423 {
				t.Errorf("LOCK by the owner: got %d, want 423", w.Code)
			}
			c.end(h)
			put(204)
			if w := h.ask(admin, "LOCK", "/dav/spaces/"+h.id(), lockBody); w.Code != 200 {
				t.Errorf("LOCK of the folder: got %d, want 200: %s", w.Code, w.Body)
			} else if w := h.ask(admin, "UNLOCK", "/dav/spaces/"+h.id(), "", "Lock-Token", w.Header().Get("Lock-Token")); w.Code != 204 {
				t.Errorf("UNLOCK of the folder: got %d, want 204: %s", w.Code, w.Body)
			}
			if w := h.ask(admin, "LOCK", at, lockBody); w.Code != 200 {
				t.Errorf("LOCK by the owner: got %d, want 200: %s", w.Code, w.Body)
			}
			n, err := s.s.Files.Stat(s.owner, cloud.Ref{Space: h.file.Space, Node: h.file.ID})
			if err != nil || len(n.Locks) != 1 || n.Locks[0].By != cloud.CallerFrom(s.owner).User.ID {
				t.Errorf("locks: got %+v, %v, want the owner's alone", n, err)
			}
		})
	}
}
