package dav

import (
	"slices"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Bounds on an If header.
const (
	maxIf     = 8 << 10
	maxIfURLs = 16 // looked up for one request
)

// demands reads what the headers demand into c.how, and answers the If header.
func (h *handler) demands(c *call) error {
	header := c.r.Header
	if v := header.Get("If"); v != "" {
		if err := h.answerIf(c, v); err != nil {
			return err
		}
	}
	if c.r.Method == "GET" || c.r.Method == "HEAD" { // http.ServeContent does these
		return nil
	}
	if v := strings.Join(header.Values("If-Match"), ","); v != "" {
		tags, err := parseETags(v)
		if err != nil {
			return err
		}
		c.how.IfMatch = tags[0]
		if len(tags) > 1 {
			// Of several, what is asked of the store is the one that holds.
			now, err := h.etag(c)
			if err != nil {
				return err
			}
			if now == "" || !slices.Contains(tags, now) {
				return cloud.Precondition
			}
			c.how.IfMatch = now
		}
	}
	if v := strings.Join(header.Values("If-None-Match"), ","); v != "" {
		tags, err := parseETags(v)
		if err != nil {
			return err
		}
		c.how.IfNoneMatch = tags[0]
		if len(tags) > 1 {
			now, err := h.etag(c)
			if err != nil {
				return err
			}
			if slices.Contains(tags, now) {
				return cloud.Precondition
			}
			if now != "" && c.how.IfMatch == "" {
				c.how.IfMatch = now
			}
		}
	}
	return nil
}

// etag is the target's, empty when nothing is there.
func (h *handler) etag(c *call) (string, error) {
	if !c.on(tree | versions) {
		return "", nil
	}
	n, err := h.files.Stat(c.ctx(), c.t.Ref)
	switch {
	case cloud.KindOf(err) == cloud.NotExist && err != nil:
		return "", nil
	case err != nil:
		return "", err
	}
	return n.ETag, nil
}

// parseETags reads the list of an If-Match header (RFC 9110, section 13.1.1):
// at least one tag, unquoted, or "*" alone. A weak tag counts as a strong one:
// proxies weaken tags on the way, and ours are strong.
func parseETags(s string) ([]string, error) {
	bad := cloud.Refuse(cloud.Invalid, "The ETag in the request is not valid.")
	var tags []string
	for s = strings.Trim(s, " \t,"); s != ""; s = strings.TrimLeft(s, " \t,") {
		var tag string
		s = strings.TrimPrefix(s, "W/")
		if rest, ok := strings.CutPrefix(s, `"`); ok {
			if tag, s, ok = strings.Cut(rest, `"`); !ok {
				return nil, bad
			}
		} else { // some clients forget the quotes
			end := strings.IndexAny(s, " \t,")
			if end < 0 {
				end = len(s)
			}
			tag, s = s[:end], s[end:]
		}
		if tag == "" || strings.Contains(tag, `"`) {
			return nil, bad
		}
		tags = append(tags, tag)
	}
	if len(tags) == 0 || len(tags) > 1 && slices.Contains(tags, "*") {
		return nil, bad
	}
	return tags, nil
}

// An ifList is one list of an If header: all its conditions must hold.
type ifList struct {
	url   string // of the resource; empty: the request's own
	conds []ifCond
}

// An ifCond has either a token or an ETag.
type ifCond struct {
	not   bool
	token string
	etag  string
}

// parseIf reads an If header (RFC 4918, section 10.4.2).
func parseIf(s string) ([]ifList, error) {
	if len(s) > maxIf {
		return nil, cloud.Refuse(cloud.Invalid, "The If header is too long.")
	}
	bad := cloud.Refuse(cloud.Invalid, "The If header is not valid.")
	var lists []ifList
	var url string
	tagged, pending := false, false // pending: a tag waits for its list
	for s = skipSpace(s); s != ""; s = skipSpace(s) {
		switch s[0] {
		case '<':
			if pending || len(lists) > 0 && !tagged {
				return nil, bad
			}
			var ok bool
			if url, s, ok = strings.Cut(s[1:], ">"); !ok || url == "" {
				return nil, bad
			}
			tagged, pending = true, true
		case '(':
			list := ifList{url: url}
			for s = skipSpace(s[1:]); ; s = skipSpace(s) {
				if s == "" {
					return nil, bad
				}
				if s[0] == ')' {
					s = s[1:]
					break
				}
				var c ifCond
				if len(s) > 3 && strings.EqualFold(s[:3], "not") {
					c.not = true
					s = skipSpace(s[3:])
				}
				var ok bool
				switch {
				case strings.HasPrefix(s, "<"):
					c.token, s, ok = strings.Cut(s[1:], ">")
					ok = ok && c.token != ""
				case strings.HasPrefix(s, "["):
					c.etag, s, ok = cutETag(s[1:])
				}
				if !ok {
					return nil, bad
				}
				list.conds = append(list.conds, c)
			}
			if len(list.conds) == 0 {
				return nil, bad
			}
			lists = append(lists, list)
			pending = false
		default:
			return nil, bad
		}
	}
	if len(lists) == 0 || pending {
		return nil, bad
	}
	return lists, nil
}

// cutETag takes `"tag"]` or `W/"tag"]` off s.
func cutETag(s string) (tag, rest string, ok bool) {
	s = strings.TrimPrefix(skipSpace(s), "W/")
	if s, ok = strings.CutPrefix(s, `"`); !ok {
		return "", "", false
	}
	if tag, s, ok = strings.Cut(s, `"`); !ok || tag == "" {
		return "", "", false
	}
	rest, ok = strings.CutPrefix(skipSpace(s), "]")
	return tag, rest, ok
}

func skipSpace(s string) string { return strings.TrimLeft(s, " \t\r\n") }

// An ifState is what a resource has for the If header to ask for.
type ifState struct {
	etag  string
	locks []string
}

// answerIf answers an If header with Precondition when no list holds. All
// tokens that it affirms count as submitted, whichever list they are in.
func (h *handler) answerIf(c *call, header string) error {
	lists, err := parseIf(header)
	if err != nil {
		return err
	}
	states := map[string]ifState{}
	holds := false
	for _, list := range lists {
		state, known := states[list.url]
		if !known {
			if len(states) == maxIfURLs {
				return cloud.Refuse(cloud.Invalid, "The If header names too many resources.")
			}
			if state, err = h.ifState(c, list.url); err != nil {
				return err
			}
			states[list.url] = state
		}
		ok := true
		for _, cond := range list.conds {
			has := cond.etag != "" && cond.etag == state.etag || cond.token != "" && slices.Contains(state.locks, cond.token)
			ok = ok && has != cond.not
			if cond.token != "" && !cond.not && !slices.Contains(c.how.Tokens, cond.token) {
				c.how.Tokens = append(c.how.Tokens, cond.token)
			}
		}
		holds = holds || ok
	}
	if !holds {
		return cloud.Precondition
	}
	// The usual case, one list about the target, is asked again of the store,
	// where nothing can come in between.
	if len(lists) == 1 && lists[0].url == "" && c.on(tree) {
		for _, cond := range lists[0].conds {
			if cond.etag != "" && !cond.not {
				c.how.IfMatch = cond.etag
			}
		}
	}
	return nil
}

// ifState finds the state of a resource. What does not exist has no ETag, but
// the locks that it would be born under.
func (h *handler) ifState(c *call, url string) (s ifState, err error) {
	t := c.t
	if url != "" {
		t, err = httpx.LocateURL(c.r, url, h.files)
	}
	if err != nil || t.Kind == httpx.Nowhere || t.Kind == httpx.Bin {
		return s, hidden(err)
	}
	n, err := h.files.Stat(c.ctx(), t.Ref)
	if err == nil {
		s.etag = n.ETag
	} else if dir, _, ok := t.Ref.Up(); ok && cloud.KindOf(err) == cloud.NotExist {
		n, err = h.files.Stat(c.ctx(), dir)
	}
	if err != nil {
		return s, hidden(err)
	}
	for _, l := range n.Locks {
		s.locks = append(s.locks, l.Token)
	}
	return s, nil
}

// hidden drops errors that say no more than that a resource has no state for
// this caller.
func hidden(err error) error {
	switch cloud.KindOf(err) {
	case cloud.NotExist, cloud.Permission, cloud.Invalid, cloud.NotSupported, cloud.Conflict:
		return nil
	}
	return err // also nil
}
