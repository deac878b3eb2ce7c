package httpx

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"opencloud/cloud"
)

// TargetKind is which tree a WebDAV URL points into.
type TargetKind uint8

const (
	Nowhere  TargetKind = iota // a root above the spaces, such as /dav/spaces
	Tree                       // files of a space
	Bin                        // the trash: Ref as Files.Trash takes it
	Meta                       // /dav/meta/{id}: Ref is the node
	Versions                   // /dav/meta/{id}/v[/{key}]: Ref is the node, Version the key or empty
	Lone                       // a link to a single file: Ref is the file, but the URL that of a folder in which it stands
)

// A Target is what a WebDAV URL names.
type Target struct {
	Kind    TargetKind
	Ref     cloud.Ref
	Version string
	// Prefix is the escaped path, base path included, of where Ref.Path (or
	// Version) is empty, without trailing slash: hrefs are Prefix + "/" + path.
	Prefix string
	// Shares: this is the root of a home as old clients know it, with the
	// Shares space as one more folder in it. At knows where that is.
	Shares bool
}

// sharesFolder is the name of the Shares space in the homes of old clients,
// which know of no spaces.
const sharesFolder = "Shares"

// At is what stands at a path below t.Ref.Node.
func (t *Target) At(path string) cloud.Ref {
	if t.Shares {
		if first, rest, _ := strings.Cut(path, "/"); first == sharesFolder {
			return cloud.Ref{Space: cloud.SharesSpace, Path: rest}
		}
	}
	return cloud.Ref{Space: t.Ref.Space, Node: t.Ref.Node, Path: path}
}

// SharesFolder is the root of the Shares space and its name in this target;
// nil when it does not stand there.
func (t *Target) SharesFolder(ctx context.Context, files cloud.Files) (n *cloud.Node, name string, err error) {
	if !t.Shares {
		return nil, "", nil
	}
	n, err = files.Stat(ctx, cloud.Ref{Space: cloud.SharesSpace})
	return n, sharesFolder, err
}

// sharesStand tells whether the Shares space stands in a home: when there is
// something in it, and the name is free.
func sharesStand(ctx context.Context, files cloud.Files, home cloud.SpaceID) (bool, error) {
	_, err := files.Stat(ctx, cloud.Ref{Space: home, Path: sharesFolder})
	if err == nil || cloud.KindOf(err) != cloud.NotExist {
		return false, err
	}
	for _, err := range files.List(ctx, cloud.Ref{Space: cloud.SharesSpace}) {
		return err == nil, err
	}
	return false, nil
}

// Locate says what the URL of a request names. Handlers see the path without
// the site's base path; Prefix has it.
func Locate(r *http.Request, files cloud.Files) (Target, error) {
	return locate(r.Context(), r.URL.EscapedPath(), files)
}

// LocateDestination says what the Destination header names.
func LocateDestination(r *http.Request, files cloud.Files) (Target, error) {
	return LocateURL(r, r.Header.Get("Destination"), files)
}

// LocateURL says what a URL in a header names: an absolute one of ours or an
// absolute path, both with the base path. NotSupported for another server.
func LocateURL(r *http.Request, link string, files cloud.Files) (Target, error) {
	u, err := url.Parse(link)
	if err != nil || link == "" {
		return Target{}, cloud.Refuse(cloud.Invalid, "The destination is missing or not a URL.")
	}
	site := From(r.Context()).Site
	if u.Host != "" && !strings.EqualFold(u.Host, r.Host) && !strings.EqualFold(u.Host, site.URL.Host) {
		return Target{}, cloud.Refuse(cloud.NotSupported, "The destination is on another server.")
	}
	path, ok := strings.CutPrefix(u.EscapedPath(), site.Base())
	if !ok || !strings.HasPrefix(path, "/") {
		return Target{}, cloud.Refuse(cloud.NotExist, "The destination is outside of what this server holds.")
	}
	return locate(r.Context(), path, files)
}

func locate(ctx context.Context, escaped string, files cloud.Files) (t Target, err error) {
	rest := strings.TrimLeft(escaped, "/")
	prefix := From(ctx).Site.Base()
	// next takes a segment, decoded, off the rest and adds it to the prefix.
	next := func() (string, error) {
		seg, tail, _ := strings.Cut(rest, "/")
		rest = strings.TrimLeft(tail, "/")
		name, err := url.PathUnescape(seg)
		if err != nil {
			return "", cloud.Refuse(cloud.Invalid, "The URL is not properly encoded.")
		}
		if seg != "" {
			prefix += "/" + seg
		}
		return name, nil
	}
	take := func() string {
		var s string
		if err == nil {
			s, err = next()
		}
		return s
	}
	done := func(kind TargetKind, ref cloud.Ref) (Target, error) {
		t.Kind, t.Prefix = kind, prefix
		if err == nil && kind != Versions {
			ref.Path, err = decode(rest)
		}
		t.Ref = ref
		return t, err
	}
	home := func(user string) (cloud.Ref, error) {
		c := cloud.CallerFrom(ctx)
		if user != "" && (c.User == nil || !strings.EqualFold(user, c.User.Name) && user != string(c.User.ID)) {
			return cloud.Ref{}, cloud.NotExist // the homes of others are reached by their space ids only
		}
		s, err := files.Home(ctx)
		if err != nil {
			return cloud.Ref{}, err
		}
		return cloud.Ref{Space: s.ID}, nil
	}
	// own is a home as old clients know it.
	own := func(user string) (Target, error) {
		if err == nil {
			t.Ref, err = home(user)
		}
		first, _, _ := strings.Cut(rest, "/")
		if err == nil && (rest == "" || first == sharesFolder) {
			t.Shares, err = sharesStand(ctx, files, t.Ref.Space)
		}
		if t.Shares && rest != "" {
			take()
			t.Ref, t.Shares = cloud.Ref{Space: cloud.SharesSpace}, false
		}
		return done(Tree, t.Ref)
	}
	// bin adds the key of a bin entry to the ref of a space, if the URL goes on to one.
	bin := func() {
		t.Ref.Node = ""
		if rest == "" || err != nil {
			return
		}
		key := take()
		if err == nil {
			t.Ref, err = cloud.ParseItemID(cloud.ItemID(t.Ref.Space, cloud.NodeID(key)))
		}
		if t.Ref.Node == cloud.TrashID { // the bin is no entry of itself
			err = cloud.NotExist
		}
	}

	// linked is what a visitor finds below their link. A link to a single file
	// shows a folder with that file.
	linked := func(token string) (Target, error) {
		v := cloud.CallerFrom(ctx).Visitor
		if err == nil && (v == nil || token != v.Token) {
			err = cloud.NotExist
		}
		if err != nil {
			return t, err
		}
		if t.Ref = v.Of; v.Internal {
			return done(Tree, t.Ref)
		}
		n, e := files.Stat(ctx, t.Ref)
		switch {
		case e != nil:
			return t, e
		case n.Dir:
			return done(Tree, t.Ref)
		case rest == "":
			return done(Lone, t.Ref)
		}
		if name := take(); err == nil && (name != n.Name || rest != "") {
			err = cloud.NotExist
		}
		return done(Tree, t.Ref)
	}

	area := take()
	if area == "public.php" {
		if area = take(); area != "webdav" {
			return t, cloud.NotExist
		}
		if v := cloud.CallerFrom(ctx).Visitor; v != nil {
			return linked(v.Token)
		}
		return t, cloud.NotExist
	}
	if area == "remote.php" {
		area = take()
	}
	if area == "webdav" {
		return own("")
	}
	if area != "dav" {
		return t, cloud.NotExist
	}
	switch area = take(); area {
	case "spaces", "files":
		if rest == "" {
			return done(Nowhere, t.Ref)
		}
		id := take()
		switch {
		case area == "spaces" && id == "trash-bin":
			space := take()
			if err == nil {
				t.Ref, err = cloud.ParseItemID(space)
			}
			bin()
			return done(Bin, t.Ref)
		case area == "files" && id != "spaces":
			return own(id)
		case area == "files":
			id = take() // restoring a version, the web client says /dav/files/spaces/{id}
		}
		if err == nil {
			t.Ref, err = cloud.ParseItemID(id)
		}
		return done(Tree, t.Ref)
	case "public-files":
		return linked(take())
	case "trash-bin":
		user := take()
		if err == nil {
			t.Ref, err = home(user)
		}
		bin()
		return done(Bin, t.Ref)
	case "meta":
		if rest == "" {
			return done(Nowhere, t.Ref)
		}
		id := take()
		if err == nil {
			t.Ref, err = cloud.ParseItemID(id)
		}
		if rest == "" {
			return done(Meta, t.Ref)
		}
		if v := take(); v != "v" && err == nil {
			err = cloud.NotExist
		}
		t, err = done(Versions, t.Ref)
		if rest != "" && err == nil {
			if t.Version = take(); err == nil {
				err = cloud.CheckName(t.Version)
			}
		}
		if rest != "" && err == nil {
			err = cloud.NotExist
		}
		return t, err
	case "":
		return done(Nowhere, t.Ref)
	}
	return t, cloud.NotExist
}

// decode turns the escaped rest of a URL into a Ref.Path. Doubled slashes
// count once, as clients and proxies expect.
func decode(rest string) (string, error) {
	var b strings.Builder
	for seg := range strings.SplitSeq(rest, "/") {
		if seg == "" {
			continue
		}
		name, err := url.PathUnescape(seg)
		if err != nil {
			return "", cloud.Refuse(cloud.Invalid, "The URL is not properly encoded.")
		}
		if err := cloud.CheckName(name); err != nil {
			return "", err
		}
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		b.WriteString(name)
	}
	return cloud.CleanPath(b.String())
}

// EscapePath appends a Ref.Path the way it stands in an href: every byte that
// RFC 3986 does not allow in a path is escaped, "/" is not.
func EscapePath(b []byte, path string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(path) {
		c := path[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '/', c == '-', c == '_', c == '.', c == '~', c == '$', c == '!', c == '(', c == ')', c == '*', c == ',', c == '=', c == ':', c == '@', c == '+':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}
