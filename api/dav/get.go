package dav

import (
	"net/http"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// read is GET and HEAD of a file or of one of its versions. A folder has no
// content, but is there.
func (h *handler) read(c *call) error {
	if c.t.Kind == httpx.Versions && c.t.Version == "" {
		return errNotAllowed
	}
	f, n, err := h.files.Open(c.ctx(), c.t.Ref, c.t.Version)
	if err != nil {
		if cloud.KindOf(err) == cloud.Invalid && c.t.Kind == httpx.Tree {
			if dir, derr := h.files.Stat(c.ctx(), c.t.Ref); derr == nil && dir.Dir {
				c.tell(dir, c.t.Ref)
				c.w.Header().Set("Content-Length", "0")
				return nil
			}
		}
		return err
	}
	defer f.Close()

	header := c.w.Header()
	name := n.Name
	if c.t.Version != "" { // it is named by its key, and no node that one could ask for by id
		file, err := h.files.Stat(c.ctx(), c.t.Ref)
		if err != nil {
			return err
		}
		name = file.Name
		tag := httpx.ETag(n.ETag)
		header.Set("ETag", tag)
		header.Set("OC-ETag", tag)
		header.Set("OC-FileId", cloud.ItemID(file.Space, file.ID))
	} else {
		c.tell(n, c.t.Ref)
	}
	if n.Sums.Known {
		sum, _, _ := strings.Cut(n.Sums.String(), " ")
		header.Set("OC-Checksum", sum)
	}
	header.Set("Content-Type", cloud.MIMEType(name))
	header.Set("Content-Disposition", disposition(name))
	// What users upload must not run with our name on it.
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Cache-Control", "private, no-cache")
	// Not wrapped: a local file goes out without being copied.
	http.ServeContent(c.w, c.r, "", n.MTime, f)
	return nil
}

// disposition is a Content-Disposition that makes a browser save the file: the
// name for today's (RFC 8187), and one without surprises for the others.
func disposition(name string) string {
	const hex = "0123456789ABCDEF"
	var full, plain strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$&+-.^_`|~", c) >= 0:
			full.WriteByte(c)
		default:
			full.WriteByte('%')
			full.WriteByte(hex[c>>4])
			full.WriteByte(hex[c&15])
		}
	}
	for _, r := range name {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' || r == '%' {
			r = '_'
		}
		plain.WriteRune(r)
	}
	return "attachment; filename*=UTF-8''" + full.String() + `; filename="` + plain.String() + `"`
}
