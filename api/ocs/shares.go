package ocs

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"opencloud/cloud"
)

// form is what was sent, or what the query says: clients do both.
func form(r *http.Request) (url.Values, error) {
	err := r.ParseForm()
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, cloud.TooLarge
	case err != nil:
		return nil, cloud.Refuse(cloud.Invalid, "The form is not properly encoded.")
	}
	return r.Form, nil
}

// truth is false for what is not said.
func truth(f url.Values, key string) (bool, error) {
	v := f.Get(key)
	if v == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		err = cloud.Refuse(cloud.Invalid, "%s is true or false, not %.20q.", key, v)
	}
	return b, err
}

func number(f url.Values, key string) (int, error) {
	n, err := strconv.Atoi(f.Get(key))
	if err != nil {
		err = cloud.Refuse(cloud.Invalid, "%s is a number, not %.20q.", key, f.Get(key))
	}
	return n, err
}

// named tells whether a request says what it is about.
func named(f url.Values) bool {
	return f.Get("path") != "" || f.Get("space_ref") != "" || f.Get("space") != ""
}

// target is what a request is about: a path below the node of space_ref (or
// the root of space), or else in the caller's personal space. There, Shares is
// the Shares space unless the caller has a folder of that name.
func (h *handler) target(ctx context.Context, f url.Values) (ref cloud.Ref, err error) {
	if !named(f) {
		return ref, cloud.Refuse(cloud.Invalid, "Say what is to be shared: by path or space_ref.")
	}
	path := strings.Trim(f.Get("path"), "/")
	if space := cmp.Or(f.Get("space_ref"), f.Get("space")); space != "" {
		id, below, _ := strings.Cut(space, "/")
		if ref, err = cloud.ParseItemID(id); err != nil {
			return ref, err
		}
		ref.Path, err = cloud.CleanPath(strings.Trim(below, "/") + "/" + path)
		return ref, err
	}
	if ref.Path, err = cloud.CleanPath(path); err != nil {
		return ref, err
	}
	home, err := h.files.Home(ctx)
	if err != nil {
		return ref, err
	}
	ref.Space = home.ID
	if below, ok := strings.CutPrefix(ref.Path+"/", "Shares/"); ok {
		if _, err := h.files.Stat(ctx, ref); errors.Is(err, cloud.NotExist) {
			ref = cloud.Ref{Space: cloud.SharesSpace, Path: strings.TrimSuffix(below, "/")}
		}
	}
	return ref, nil
}

// A filter is what a request for shares asks for.
type filter struct {
	types []int // nil: all
	all   bool  // of others, too
}

func filterOf(f url.Values) (want filter, err error) {
	if types := f.Get("share_types"); types != "" {
		for t := range strings.SplitSeq(types, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(t))
			if err != nil {
				return want, cloud.Refuse(cloud.Invalid, "share_types are numbers with commas between them.")
			}
			want.types = append(want.types, n)
		}
	}
	want.all, err = truth(f, "reshares")
	return want, err
}

func (w *filter) takes(g *cloud.Grant, on cloud.NodeKind) bool {
	return w.types == nil || slices.Contains(w.types, typeOf(g, on))
}

// listShares are those that the caller has given, all in all or of one node
// (or, with subfiles, of what is in it), or else has received.
func (h *handler) listShares(r *http.Request, _ string) (any, error) {
	s, err := h.scribe(r)
	if err != nil {
		return nil, err
	}
	f := r.URL.Query()
	want, err := filterOf(f)
	if err != nil {
		return nil, err
	}
	withMe, err := truth(f, "shared_with_me")
	if err != nil {
		return nil, err
	}
	inside, err := truth(f, "subfiles")
	if err != nil {
		return nil, err
	}
	var all []share
	switch {
	case withMe:
		all, err = s.allReceived(f, want)
	case !named(f):
		want.all = false
		all, err = s.ofNodes(h.shares.Given(s.ctx), want)
	default:
		all, err = s.ofTarget(f, want, inside)
	}
	return bySeniority(all), err
}

func (s *scribe) ofTarget(f url.Values, want filter, inside bool) ([]share, error) {
	ref, err := s.target(s.ctx, f)
	if err != nil {
		return nil, err
	}
	grants, n, err := s.shares.Grants(s.ctx, ref)
	if err != nil {
		return nil, err
	}
	if inside {
		if !n.Dir {
			return nil, cloud.Refuse(cloud.Invalid, "This is no folder.")
		}
		return s.ofNodes(s.files.List(s.ctx, ref), want)
	}
	return s.ofNode(n, grants, want)
}

func (s *scribe) ofNodes(nodes iter.Seq2[*cloud.Node, error], want filter) ([]share, error) {
	all := []share{}
	for n, err := range nodes {
		if err != nil {
			return nil, err
		}
		some, err := s.ofNode(n, n.Grants, want)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (s *scribe) ofNode(n *cloud.Node, grants []cloud.Grant, want filter) ([]share, error) {
	all := []share{}
	for i := range grants {
		g := &grants[i]
		if !want.takes(g, n.Kind()) || !want.all && g.By != s.me.ID {
			continue
		}
		e, err := s.given(n, g)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func (h *handler) showShare(r *http.Request, id string) (any, error) {
	s, err := h.scribe(r)
	if err != nil {
		return nil, err
	}
	g, n, err := h.shares.Grant(s.ctx, cloud.ShareID(id))
	if err != nil {
		return nil, err
	}
	e, err := s.seen(n, g)
	return []share{e}, err
}

func (h *handler) addShare(r *http.Request, _ string) (any, error) {
	s, err := h.scribe(r)
	if err != nil {
		return nil, err
	}
	f, err := form(r)
	if err != nil {
		return nil, err
	}
	ref, err := h.target(s.ctx, f)
	if err != nil {
		return nil, err
	}
	n, err := h.files.Stat(s.ctx, ref)
	if err != nil {
		return nil, err
	}
	g, err := s.wanted(f, n)
	if err != nil {
		return nil, err
	}
	made, n, err := h.shares.Give(s.ctx, ref, g, f.Get("password"))
	if errors.Is(err, cloud.Exist) && g.Link != nil && g.Link.Quick {
		made, n, err = s.quick(ref, err) // whoever asks for the quick link wants it, new or not
	}
	if err != nil {
		return nil, err
	}
	return s.given(n, made)
}

// quick is the quick link of a node.
func (s *scribe) quick(ref cloud.Ref, missing error) (*cloud.Grant, *cloud.Node, error) {
	grants, n, err := s.shares.Grants(s.ctx, ref)
	for i := range grants {
		if l := grants[i].Link; l != nil && l.Quick {
			return &grants[i], n, nil
		}
	}
	if err == nil {
		err = missing
	}
	return nil, nil, err
}

// wanted is the grant that a form asks for on a node.
func (s *scribe) wanted(f url.Values, n *cloud.Node) (g cloud.Grant, err error) {
	kind, err := number(f, "shareType")
	if err != nil {
		return g, err
	}
	on := n.Kind()
	switch kind {
	case withLink:
		g.To.Link, g.Link = "new", &cloud.Link{Name: f.Get("name")}
		if g.Link.Quick, err = truth(f, "quicklink"); err == nil {
			g.Rights, err = s.linkRights(f, on)
		}
	case withUser, withGroup, withMember, withMemberGroup:
		if member := kind == withMember || kind == withMemberGroup; member != (on == cloud.OnRoot) {
			return g, cloud.Refuse(cloud.Invalid, "Members of a space have the share types 7 and 8, those with whom something in it is shared 0 and 1.")
		}
		if g.To, err = s.subject(f.Get("shareWith"), kind == withGroup || kind == withMemberGroup); err == nil {
			g.Rights, err = s.rights(f, on)
		}
	case withServer:
		return g, cloud.Refuse(cloud.NotSupported, "Nothing can be shared with people on other servers here.")
	default:
		return g, cloud.Refuse(cloud.Invalid, "There is no share type %d.", kind)
	}
	if err == nil {
		g.Expires, err = parseExpiration(f.Get("expireDate"))
	}
	return g, err
}

// subject finds whom something is to be shared with, by id or by name.
func (s *scribe) subject(who string, isGroup bool) (to cloud.Subject, err error) {
	nobody := cloud.Refuse(cloud.Invalid, "There is nobody to share this with.")
	if who == "" {
		return to, nobody
	}
	for _, by := range [...]string{"id", "name"} {
		if isGroup {
			var g *cloud.Group
			if g, err = s.people.Group(s.ctx, by, who); err == nil {
				return cloud.Subject{Group: g.ID}, nil
			}
		} else {
			var u *cloud.User
			if u, err = s.people.User(s.ctx, by, who); err == nil {
				return cloud.Subject{User: u.ID}, nil
			}
		}
		if !errors.Is(err, cloud.NotExist) {
			return to, err
		}
	}
	return to, nobody
}

func (h *handler) changeShare(r *http.Request, id string) (any, error) {
	s, err := h.scribe(r)
	if err != nil {
		return nil, err
	}
	f, err := form(r)
	if err != nil {
		return nil, err
	}
	g, n, err := h.shares.Grant(s.ctx, cloud.ShareID(id))
	if err != nil {
		return nil, err
	}
	change, err := s.changed(f, g, n.Kind())
	if err != nil {
		return nil, err
	}
	if g, n, err = h.shares.Regrant(s.ctx, g.ID, change); err != nil {
		return nil, err
	}
	return s.given(n, g)
}

// changed is what a form alters of a grant.
func (s *scribe) changed(f url.Values, g *cloud.Grant, on cloud.NodeKind) (c cloud.GrantChange, err error) {
	if f.Has("permissions") || f.Has("role") || f.Has("publicUpload") {
		give := s.rights
		if typeOf(g, on) == withLink {
			give = s.linkRights
		}
		rights, err := give(f, on)
		if err != nil {
			return c, err
		}
		c.Rights = &rights
	}
	if f.Has("expireDate") {
		at, err := parseExpiration(f.Get("expireDate"))
		if err != nil {
			return c, err
		}
		c.Expires = &at
	}
	if f.Has("name") {
		c.Name = new(f.Get("name"))
	}
	if f.Has("password") {
		c.Secret = new(f.Get("password"))
	}
	if c == (cloud.GrantChange{}) {
		return c, cloud.Refuse(cloud.Invalid, "Say what is to be changed: permissions, expireDate, name or password.")
	}
	return c, nil
}

// endShare takes a share back. Who received it as one of a group lets go of
// it for themselves.
func (h *handler) endShare(r *http.Request, id string) (any, error) {
	if _, err := caller(r.Context()); err != nil {
		return nil, err
	}
	err := h.shares.Revoke(r.Context(), cloud.ShareID(id))
	if errors.Is(err, cloud.Permission) {
		if _, e := h.setMount(r, id, away); e == nil {
			err = nil
		}
	}
	return nil, err
}
