package dav

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Kinds of things that a multi-status tells of.
type facet uint8

const (
	live    facet = 1 << iota // a file or folder where it belongs
	trashed                   // one in the bin
	version                   // an earlier content of a file
	folder                    // a collection that is no node: the bin itself, a list of spaces
	shell                     // the folder around the file of a link
)

// A prop is a live property.
type prop struct {
	prefix string // of its namespace, see spaces
	name   string
	on     facet
	all    bool // part of allprop
	// value appends what stands inside the element; false: the node has none.
	// A property without it is one that clients know and that nobody has:
	// it is in the table because clients may not make it up, either.
	value func(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool)
}

// spaces are the namespaces of live properties, by prefix.
var spaces = map[string]string{
	"d":   nsDAV,
	"oc":  "http://owncloud.org/ns",
	"ocs": "http://open-collaboration-services.org/ns",
}

const node = live | trashed

// props is the one table of live properties.
var props = [...]prop{
	{"d", "resourcetype", node | version | folder | shell, true, resourceType},
	{"d", "getetag", node | version | shell, true, etag},
	{"d", "getcontentlength", node | version, true, contentLength},
	{"d", "getcontenttype", node | version, true, contentType},
	{"d", "getlastmodified", node | version | shell, true, lastModified},
	{"d", "displayname", node, true, displayName},
	{"d", "lockdiscovery", live, true, lockDiscovery},
	{"d", "supportedlock", live, true, supportedLock},
	{"d", "sync-token", live, false, syncToken},
	{"d", "supported-report-set", live, false, supportedReports},
	{"d", "quota-used-bytes", live, false, quotaUsed},
	{"d", "quota-available-bytes", live, false, quotaAvailable},
	{"d", "creationdate", 0, false, nil},
	{"d", "getcontentlanguage", 0, false, nil},

	{"oc", "id", node, true, itemID},
	{"oc", "fileid", node, true, itemID},
	{"oc", "spaceid", node, true, spaceID},
	{"oc", "file-parent", live, true, fileParent},
	{"oc", "name", node, true, displayName},
	{"oc", "permissions", node | shell, true, permissions},
	{"oc", "size", node | version, true, size},
	{"oc", "favorite", live, true, zero},
	{"oc", "owner-id", live, false, ownerID},
	{"oc", "owner-display-name", live, false, ownerName},
	{"oc", "checksums", node | version, true, checksums},
	{"oc", "share-types", live, false, shareTypes},
	{"oc", "privatelink", live, false, privateLink},
	{"oc", "has-preview", live, false, zero},
	{"oc", "meta-path-for-user", live, false, metaPath},
	{"oc", "downloadURL", live, false, downloadURL},
	{"oc", "trashbin-original-filename", trashed, true, trashName},
	{"oc", "trashbin-original-location", trashed, true, trashLocation},
	{"oc", "trashbin-delete-datetime", trashed, true, trashDate},
	{"oc", "trashbin-delete-timestamp", trashed, true, trashTimestamp},
	{"oc", "tags", 0, false, nil},
	{"oc", "data-fingerprint", 0, false, nil},
	{"oc", "dDC", 0, false, nil},
	{"oc", "shareid", live, false, shareID},
	{"oc", "shareroot", live, false, shareRoot},
	{"oc", "remote-item-id", live, false, remoteItemID},
	{"oc", "signature-auth", live | shell, false, signatureAuth},
	{"oc", "audio", 0, false, nil},
	{"oc", "location", 0, false, nil},
	{"oc", "image", 0, false, nil},
	{"oc", "photo", 0, false, nil},
	{"oc", "public-link-permission", live | shell, false, linkPermission},
	{"oc", "public-link-item-type", live | shell, false, itemType},
	{"oc", "public-link-share-datetime", live | shell, false, linkMade},
	{"oc", "public-link-share-owner", live | shell, false, linkOwner},
	{"oc", "public-link-expiration", live | shell, false, linkExpiration},
	{"oc", "score", 0, false, nil},
	{"oc", "highlights", 0, false, nil},

	{"ocs", "share-permissions", live, false, sharePermissions},
}

// propNamed finds a live property in the table.
var propNamed = func() map[name]int {
	m := make(map[name]int, len(props))
	for i, p := range props {
		m[name{spaces[p.prefix], p.name}] = i
	}
	return m
}()

func resourceType(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if n.Dir {
		b = append(b, "<d:collection/>"...)
	}
	return b, true
}

func etag(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	return append(appendText(append(b, '"'), n.ETag), '"'), n.ETag != ""
}

func contentLength(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	return appendInt(b, n.Size), !n.Dir
}

func contentType(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	name := n.Name
	if m.fileName != "" { // versions are named by their keys
		name = m.fileName
	}
	return append(b, cloud.MIMEType(name)...), !n.Dir
}

func lastModified(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	return appendTime(b, n.MTime), !n.MTime.IsZero()
}

func displayName(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if n.Name != "" {
		return appendText(b, n.Name), true
	}
	if s := m.space(n); s != nil {
		return appendText(b, s.Name), true
	}
	return b, false
}

// supportedLock never differs.
func supportedLock(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	return append(b, "<d:lockentry><d:lockscope><d:exclusive/></d:lockscope><d:locktype><d:write/></d:locktype></d:lockentry>"+
		"<d:lockentry><d:lockscope><d:shared/></d:lockscope><d:locktype><d:write/></d:locktype></d:lockentry>"...), true
}

// lockDiscovery is there without a lock, too, and then empty (RFC 4918, section 15.8).
func lockDiscovery(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	for i := range n.Locks {
		b = m.appendLock(b, n, &n.Locks[i])
	}
	return b, true
}

func quotaUsed(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if !n.Dir || !n.Rights.Has(cloud.CanQuota) {
		return b, false
	}
	s := m.space(n)
	if s == nil {
		return b, false
	}
	return appendInt(b, s.Root.Size), true
}

func quotaAvailable(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if !n.Dir || !n.Rights.Has(cloud.CanQuota) {
		return b, false
	}
	const unlimited = "-3"
	s := m.space(n)
	switch {
	case s == nil:
		return b, false
	case s.Free > math.MaxInt64/2: // clients add it up with what is used
		return append(b, unlimited...), true
	}
	return appendInt(b, max(0, s.Free)), true
}

func itemID(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	b = append(append(b, n.Space...), '!')
	return append(b, n.ID...), true
}

func spaceID(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	return append(b, n.Space...), true
}

func fileParent(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	b = append(append(b, n.Space...), '!')
	return append(b, n.Parent...), n.Parent != ""
}

func permissions(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	return httpx.AppendPermissions(b, n, m.c.t.Ref.Space), true
}

func sharePermissions(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	var sum int64
	add := func(right cloud.Rights, bit int64) {
		if n.Rights.Has(right) {
			sum |= bit
		}
	}
	add(cloud.CanRead, 1)
	add(cloud.CanWrite, 2)
	if n.Dir {
		add(cloud.CanMakeDir, 4)
	}
	add(cloud.CanDelete, 8)
	add(cloud.CanGrant, 16)
	return appendInt(b, sum), true
}

// size is not told of a file drop: it would tell what others bring.
func size(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	return appendInt(b, n.Size), !n.Dir || m.visitor == nil || n.Rights.Has(cloud.CanList)
}

func zero(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	return append(b, '0'), true
}

func checksums(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if n.Dir || !n.Sums.Known {
		return b, false
	}
	b = append(b, "<oc:checksum>"...)
	b = n.Sums.AppendTo(b)
	return append(b, "</oc:checksum>"...), true
}

// privateLink leads everybody who has access to the node: so it names where
// the node is, and not where the user has it.
func privateLink(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	id := cloud.ItemID(n.Space, n.ID)
	if at, ok := cloud.ParseMountID(n.ID); ok {
		id = cloud.ItemID(at.Space, at.Node)
	}
	return appendText(b, m.site.Abs("/f/"+id)), m.visitor == nil
}

func metaPath(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	return appendText(append(b, '/'), n.Path), n.Rights.Has(cloud.CanPath)
}

// downloadURL names the file by its id, so that it stays the same file
// whatever comes to be called like it. Visitors know no ids above their link.
func downloadURL(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if n.Dir || !n.Rights.Has(cloud.CanRead) {
		return b, false
	}
	link := ""
	if m.visitor == nil {
		link = m.signed("/dav/spaces/" + cloud.ItemID(n.Space, n.ID))
	} else {
		link = m.linkAddress(n)
	}
	return appendText(b, link), link != ""
}

func trashName(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if n.Bin == nil {
		return b, false
	}
	_, name := cloud.Split(n.Bin.Path)
	return appendText(b, name), true
}

func trashLocation(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if n.Bin == nil {
		return b, false
	}
	return appendText(b, n.Bin.Path), true
}

func trashDate(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if n.Bin == nil {
		return b, false
	}
	return appendTime(b, n.Bin.Deleted), true
}

func trashTimestamp(b []byte, m *multistatus, n *cloud.Node) ([]byte, bool) {
	if n.Bin == nil {
		return b, false
	}
	return appendInt(b, n.Bin.Deleted.Unix()), true
}

func appendInt(b []byte, i int64) []byte { return strconv.AppendInt(b, i, 10) }

// appendTime is AppendFormat with http.TimeFormat, five times as fast: a
// listing has one in every entry.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 1000 || year > 9999 {
		return t.AppendFormat(b, http.TimeFormat)
	}
	hour, minute, second := t.Clock()
	two := func(i int) (byte, byte) { return '0' + byte(i/10), '0' + byte(i%10) }
	d1, d2 := two(day)
	y1, y2 := two(year / 100)
	y3, y4 := two(year % 100)
	h1, h2 := two(hour)
	m1, m2 := two(minute)
	s1, s2 := two(second)
	b = append(b, t.Weekday().String()[:3]...)
	b = append(b, ',', ' ', d1, d2, ' ')
	b = append(b, month.String()[:3]...)
	return append(b, ' ', y1, y2, y3, y4, ' ', h1, h2, ':', m1, m2, ':', s1, s2, ' ', 'G', 'M', 'T')
}

// A dead property is whatever a client has set: an attribute of the node. Its
// xml:lang is another one, under a key that no property can have.
const langSuffix = "@lang"

func deadKey(n name) string { return cloud.AttrProp + "{" + n.space + "}" + n.local }

// deadNames are the names of a node's dead properties, in order.
func deadNames(n *cloud.Node) []name {
	var names []name
	for key := range n.Attrs {
		rest, ok := strings.CutPrefix(key, cloud.AttrProp+"{")
		end := strings.LastIndexByte(rest, '}')
		if !ok || end < 0 || strings.HasSuffix(key, langSuffix) {
			continue
		}
		names = append(names, name{rest[:end], rest[end+1:]})
	}
	slices.SortFunc(names, func(a, b name) int {
		return cmp.Or(strings.Compare(a.space, b.space), strings.Compare(a.local, b.local))
	})
	return names
}
