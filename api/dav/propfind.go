package dav

import (
	"iter"
	"net/http"
	"slices"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// A query is what a PROPFIND asks for.
type query struct {
	mode    mode
	wants   []want // in mode all and names: the live ones
	minimal bool   // say nothing of what is missing
}

// needs are the rare things that must be loaded to answer.
func (q *query) needs() (t cloud.Traits) {
	if q.mode != named {
		t = cloud.HasAttrs
	}
	for i := range q.wants {
		if q.wants[i].live < 0 {
			t |= cloud.HasAttrs
		}
	}
	return t
}

type mode uint8

const (
	named mode = iota
	all
	names
)

// A want is a property to be told, with its tags ready made.
type want struct {
	live  int    // place in props; -1: a dead one
	key   string // of a dead one, in Node.Attrs
	open  string // the start tag without its ">"
	shut  string
	empty string
}

func wantOf(n name) want {
	if i, ok := propNamed[n]; ok {
		return wants[i]
	}
	w := want{live: -1, key: deadKey(n)}
	// The prefix x is declared where it is used; without a namespace there can be none.
	tag := n.local
	var decl []byte
	switch n.space {
	case "":
	case nsDAV:
		tag = "d:" + n.local
	default:
		tag = "x:" + n.local
		decl = appendAttr(nil, "xmlns:x", n.space)
	}
	w.open, w.shut, w.empty = "<"+tag+string(decl), "</"+tag+">", "<"+tag+string(decl)+"/>"
	return w
}

// wants are the wants for props, in the same places.
var wants = func() []want {
	ws := make([]want, len(props))
	for i, p := range props {
		tag := p.prefix + ":" + p.name
		ws[i] = want{live: i, open: "<" + tag, shut: "</" + tag + ">", empty: "<" + tag + "/>"}
	}
	return ws
}()

// allWants are the live properties of allprop, nameWants all there can be.
var (
	allWants  = slices.DeleteFunc(slices.Clone(wants), func(w want) bool { return !props[w.live].all })
	nameWants = slices.DeleteFunc(slices.Clone(wants), func(w want) bool { return props[w.live].on == 0 })
)

// parsePropfind reads the body of a PROPFIND (RFC 4918, section 14.20). No
// body, and an empty list, ask for all.
func parsePropfind(body []byte) (*query, error) {
	if len(body) == 0 {
		return &query{mode: all, wants: allWants}, nil
	}
	p := newParser(body)
	if err := p.root(name{nsDAV, "propfind"}); err != nil {
		return nil, err
	}
	var q *query
	var include []want
	for {
		t, err := p.child()
		if err != nil {
			return nil, err
		}
		if t.kind == closed {
			break
		}
		var next *query
		switch t.name {
		case name{nsDAV, "allprop"}:
			next, err = &query{mode: all, wants: allWants}, p.skip()
		case name{nsDAV, "propname"}:
			next, err = &query{mode: names, wants: nameWants}, p.skip()
		case name{nsDAV, "prop"}:
			next = &query{}
			if next.wants, err = p.wants(); len(next.wants) == 0 {
				next = &query{mode: all, wants: allWants}
			}
		case name{nsDAV, "include"}:
			include, err = p.wants()
		default:
			err = p.skip()
		}
		if err != nil {
			return nil, err
		}
		if q != nil && next != nil {
			return nil, malformed("it asks for properties in two ways")
		}
		if next != nil {
			q = next
		}
	}
	if q == nil {
		return nil, malformed("it does not say what is asked for")
	}
	if q.mode == all {
		q.wants = slices.Clip(q.wants) // the shared slice stays as it is
		for _, w := range include {
			if !slices.Contains(q.wants, w) && w.live >= 0 {
				q.wants = append(q.wants, w)
			}
		}
	}
	return q, p.finish()
}

// wants reads the names inside the current element, each once.
func (p *parser) wants() ([]want, error) {
	var ws []want
	for {
		t, err := p.child()
		if err != nil || t.kind == closed {
			return ws, err
		}
		if w := wantOf(t.name); !slices.Contains(ws, w) {
			ws = append(ws, w)
		}
		if len(ws) > maxProps {
			return nil, cloud.Refuse(cloud.TooLarge, "The request names too many properties: at most %d.", maxProps)
		}
		if err := p.skip(); err != nil {
			return nil, err
		}
	}
}

// depth is 0, 1 or infinity.
type depth uint8

const (
	depth0 depth = iota
	depth1
	infinity
)

// parseDepth reads a Depth header; none means infinity.
func parseDepth(s string) (depth, error) {
	switch strings.ToLower(s) {
	case "0":
		return depth0, nil
	case "1":
		return depth1, nil
	case "infinity", "":
		return infinity, nil
	}
	return 0, cloud.Refuse(cloud.Invalid, "The Depth header must be 0, 1 or infinity.")
}

func prefersMinimal(r *http.Request) bool {
	for _, line := range r.Header.Values("Prefer") {
		for pref := range strings.SplitSeq(line, ",") {
			pref, _, _ = strings.Cut(pref, ";")
			if strings.EqualFold(strings.TrimSpace(pref), "return=minimal") {
				return true
			}
		}
	}
	return false
}

var errInfinite = &refusal{status: http.StatusForbidden, exception: "Forbidden",
	say: "List one folder at a time: Depth 0 or 1.", conditions: []string{"<d:propfind-finite-depth/>"}}

func (h *handler) propfind(c *call) error {
	b, err := body(c)
	if err != nil {
		return err
	}
	q, err := parsePropfind(b)
	if err != nil {
		return err
	}
	q.minimal = prefersMinimal(c.r)
	header := c.r.Header.Get("Depth")
	d, err := parseDepth(header)
	if err != nil {
		return err
	}
	if header == "" && c.on(nowhere) && strings.HasSuffix(c.t.Prefix, "/files") {
		return errNotAllowed
	}
	if d == infinity && c.on(meta|versions) {
		d = depth1 // there is nothing below
	}
	if d == infinity && c.on(lone) {
		d = depth1 // there is nothing below either
	}
	if d == infinity && !c.on(tree) {
		return errInfinite
	}
	m, release := h.newMultistatus(c, q)
	defer release()
	switch c.t.Kind {
	case httpx.Tree:
		err = h.listTree(m, d)
	case httpx.Meta:
		err = h.listTree(m, depth0)
	case httpx.Bin:
		err = h.listBin(m, d)
	case httpx.Versions:
		err = h.listVersions(m, d)
	case httpx.Nowhere:
		err = h.listSpaces(m, d)
	case httpx.Lone:
		err = h.listLone(m, d)
	}
	return m.end(err)
}

// listTree tells of a node and what is below it.
func (h *handler) listTree(m *multistatus, d depth) error {
	c, ref := m.c, m.c.t.Ref
	n, err := h.files.Stat(c.ctx(), ref)
	if err != nil {
		return err
	}
	if n.Dir {
		if d == infinity && !h.opts.DepthInfinity {
			return errInfinite
		}
		h.announce(c.w.Header())
	}
	shares, name, err := c.t.SharesFolder(c.ctx(), h.files)
	if err != nil {
		return err
	}
	if shares != nil { // what changes there changes below this
		n.ETag += shares.ETag
		if shares.MTime.After(n.MTime) {
			n.MTime = shares.MTime
		}
	}
	if err := m.entry(live, ref.Path, n); err != nil {
		return err
	}
	if d == depth0 || !n.Dir {
		return nil
	}
	// Folders wait here rather than on the stack: a listing under way may hold
	// a folder open, and a tree can be deep.
	dirs, told := []string{ref.Path}, 1
	if shares != nil {
		if err := m.entry(live, name, shares); err != nil {
			return err
		}
		if d == infinity {
			dirs = append(dirs, name)
		}
	}
	for len(dirs) > 0 {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		for n, err := range h.files.List(c.ctx(), c.t.At(dir)) {
			if err != nil {
				if d == infinity && cloud.KindOf(err) == cloud.NotExist {
					break // gone since its parent was listed
				}
				return err
			}
			if told++; d == infinity && told > h.most {
				m.truncated(ref.Path)
				return nil
			}
			path := cloud.Join(dir, n.Name)
			if err := m.entry(live, path, n); err != nil {
				return err
			}
			if d == infinity && n.Dir {
				dirs = append(dirs, path)
			}
		}
	}
	return nil
}

// collection stands for what is listed but is no node.
var collection = &cloud.Node{Dir: true}

// listBin tells of the bin and its entries, or of one of them and its children.
func (h *handler) listBin(m *multistatus, d depth) error {
	c, ref := m.c, m.c.t.Ref
	whole := ref.Node == "" || ref.Node == cloud.TrashID
	if whole {
		if err := m.entry(folder, "", collection); err != nil {
			return err
		}
	}
	first := !whole
	for n, err := range h.files.Trash(c.ctx(), ref) {
		if err != nil {
			return err
		}
		path := cloud.Join(ref.Path, n.Name)
		switch {
		case whole:
			path = string(n.ID)
		case first:
			path = ref.Path
		}
		if whole && d == depth0 { // the caller may look into the bin: that was to be known
			return nil
		}
		if err := m.entry(trashed, path, n); err != nil {
			return err
		}
		if d == depth0 {
			return nil
		}
		first = false
	}
	return nil
}

// listVersions tells of the versions of a file, or of one of them.
func (h *handler) listVersions(m *multistatus, d depth) error {
	c := m.c
	n, err := h.files.Stat(c.ctx(), c.t.Ref)
	if err != nil {
		return err
	}
	m.fileName = n.Name
	if c.t.Version == "" {
		if err := m.entry(folder, "", collection); err != nil || d == depth0 {
			return err
		}
	}
	for n, err := range h.files.Versions(c.ctx(), c.t.Ref) {
		if err != nil {
			return err
		}
		if c.t.Version != "" && n.Name != c.t.Version {
			continue
		}
		if err := m.entry(version, n.Name, n); err != nil || c.t.Version != "" {
			return err
		}
	}
	if c.t.Version != "" {
		return cloud.NotExist
	}
	return nil
}

// listSpaces tells of what a root above the spaces leads to.
func (h *handler) listSpaces(m *multistatus, d depth) error {
	c := m.c
	if m.user == nil {
		return cloud.Unauthorized
	}
	if err := m.entry(folder, "", collection); err != nil || d == depth0 {
		return err
	}
	switch {
	case strings.HasSuffix(c.t.Prefix, "/spaces"):
		return each(h.files.Spaces(c.ctx()), func(s *cloud.Space) error {
			if !s.Disabled.IsZero() {
				return nil
			}
			m.spaceOf = s
			return m.entry(live, string(s.ID), s.Root)
		})
	case strings.HasSuffix(c.t.Prefix, "/files"):
		s, err := h.files.Home(c.ctx())
		if err != nil {
			return err
		}
		m.spaceOf = s
		return m.entry(live, m.user.Name, s.Root)
	}
	return nil
}

// each calls fn until an error.
func each[T any](seq iter.Seq2[T, error], fn func(T) error) error {
	for v, err := range seq {
		if err != nil {
			return err
		}
		if err := fn(v); err != nil {
			return err
		}
	}
	return nil
}
