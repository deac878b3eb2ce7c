package model

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Server is what the load goes to.
type Server struct {
	URL            string // without trailing slash
	User, Password string
	client         *http.Client
}

// NewServer is one at a URL. Make a new one when the server was started anew,
// so that no connection of the old one is tried.
func NewServer(url, user, password string) *Server {
	return &Server{url, user, password, &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 16},
		Timeout:   time.Minute, // who waits longer has found a server that hangs
	}}
}

// Close lets go of the connections.
func (s *Server) Close() { s.client.CloseIdleConnections() }

func (s *Server) request(ctx context.Context, method, path string, body []byte, header ...string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.SetBasicAuth(s.User, s.Password)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, &silence{err}
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, &silence{fmt.Errorf("%s %s: the answer breaks off: %w", method, path, err)}
	}
	return resp, got, nil
}

// expect makes a request of which only the status is of interest.
func (s *Server) expect(ctx context.Context, want int, method, path string, header ...string) error {
	resp, body, err := s.request(ctx, method, path, nil, header...)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: got %s, want %d\n%s", method, path, resp.Status, want, body)
	}
	return err
}

// Do makes a request to a path in the space and returns the status.
func (w *World) Do(ctx context.Context, s *Server, method, path string, body []byte) (int, error) {
	resp, _, err := s.request(ctx, method, w.url(path), body)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

// PurgeIgnored drops from the bin what was at Ignore, and returns the status.
func (w *World) PurgeIgnored(ctx context.Context, s *Server) (int, error) {
	bin, err := w.walkBin(ctx, s)
	if err != nil {
		return 0, err
	}
	for id, n := range bin {
		if strings.Trim(n.origin, "/") != w.Ignore {
			continue
		}
		resp, _, err := s.request(ctx, "DELETE", w.bin()+"/"+url.PathEscape(id), nil)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, nil
	}
	return 0, fmt.Errorf("%q is not in the bin", w.Ignore)
}

// home is the id of the user's personal space.
func (s *Server) home(ctx context.Context) (string, error) {
	all, err := s.propfind(ctx, "/dav/files/"+url.PathEscape(s.User), "0")
	if err != nil {
		return "", err
	}
	space, _, _ := strings.Cut(all[0].fullID, "!")
	return space, nil
}

// url is that of a path in the space.
func (w *World) url(path string) string { return "/dav/spaces/" + w.space + "/" + escape(path) }

func escape(path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// Seen is a node as the server shows it.
type Seen struct {
	Node
	Size  int64 // of a folder: of all below
	Locks []string

	href   string // decoded
	path   string // from the root of the space
	fullID string
	origin string // of an entry of the bin
}

const (
	noteSpace = "http://opencloud.test/ns"
	listProps = `<?xml version="1.0"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:n="` + noteSpace + `"><d:prop>` +
		`<d:resourcetype/><d:getetag/><d:getlastmodified/><d:lockdiscovery/><oc:id/><oc:size/><oc:checksums/><n:note/>` +
		`<oc:trashbin-original-location/><d:getcontentlength/></d:prop></d:propfind>`
)

type multistatus struct {
	Response []struct {
		Href     string `xml:"DAV: href"`
		Propstat []struct {
			Status string `xml:"DAV: status"`
			Prop   struct {
				Collection *struct{} `xml:"DAV: resourcetype>collection"`
				ETag       string    `xml:"DAV: getetag"`
				Modified   string    `xml:"DAV: getlastmodified"`
				Length     string    `xml:"DAV: getcontentlength"`
				Tokens     []string  `xml:"DAV: lockdiscovery>activelock>locktoken>href"`
				ID         string    `xml:"http://owncloud.org/ns id"`
				Size       string    `xml:"http://owncloud.org/ns size"`
				Sums       string    `xml:"http://owncloud.org/ns checksums>checksum"`
				Origin     string    `xml:"http://owncloud.org/ns trashbin-original-location"`
				Note       string    `xml:"http://opencloud.test/ns note"`
			} `xml:"DAV: prop"`
		} `xml:"DAV: propstat"`
	} `xml:"DAV: response"`
}

func (s *Server) propfind(ctx context.Context, path, depth string) (all []*Seen, err error) {
	resp, body, err := s.request(ctx, "PROPFIND", path, []byte(listProps), "Depth", depth, "Content-Type", "application/xml")
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusMultiStatus {
		return nil, &refusal{"PROPFIND " + path, resp.StatusCode, string(body)}
	}
	var ms multistatus
	if err := xml.Unmarshal(body, &ms); err != nil {
		return nil, fmt.Errorf("PROPFIND %s: %w", path, err)
	}
	for _, r := range ms.Response {
		seen := &Seen{}
		if seen.href, err = url.PathUnescape(strings.TrimSuffix(r.Href, "/")); err != nil {
			return nil, fmt.Errorf("PROPFIND %s: %w", path, err)
		}
		for _, ps := range r.Propstat {
			if !strings.Contains(ps.Status, " 200 ") {
				continue
			}
			p := ps.Prop
			seen.Dir = p.Collection != nil
			seen.ETag = strings.Trim(p.ETag, `"`)
			if t, err := http.ParseTime(p.Modified); err == nil {
				seen.MTime = t.Unix()
			}
			seen.Locks, seen.Note, seen.fullID, seen.origin = p.Tokens, p.Note, p.ID, p.Origin
			_, seen.ID, _ = strings.Cut(p.ID, "!")
			size := p.Size
			if size == "" {
				size = p.Length
			}
			seen.Size, _ = strconv.ParseInt(size, 10, 64)
			for sum := range strings.FieldsSeq(p.Sums) {
				if sha, ok := strings.CutPrefix(sum, "SHA1:"); ok {
					seen.Content.SHA1 = sha
				}
			}
		}
		all = append(all, seen)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("PROPFIND %s: no response in the multistatus", path)
	}
	return all, nil
}

// versions are the keys of a file's versions with their sizes, newest first.
func (w *World) versions(ctx context.Context, s *Server, id string) (keys []string, sizes []int64, err error) {
	all, err := s.propfind(ctx, w.meta(id), "1")
	if err != nil {
		return nil, nil, err
	}
	for _, v := range all[1:] {
		keys = append(keys, v.href[strings.LastIndexByte(v.href, '/')+1:])
		sizes = append(sizes, v.Size)
	}
	return keys, sizes, nil
}

func (w *World) meta(id string) string { return "/dav/meta/" + w.space + "!" + id + "/v" }

func (w *World) bin() string { return "/dav/spaces/trash-bin/" + w.space }

// list is a folder and, after it, its members.
func (w *World) list(ctx context.Context, s *Server, dir string) ([]*Seen, error) {
	all, err := s.propfind(ctx, w.url(dir), "1")
	if err != nil {
		return nil, err
	}
	prefix, err := url.PathUnescape(strings.TrimSuffix(w.url(""), "/"))
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, n := range all {
		path, ok := strings.CutPrefix(n.href, prefix)
		n.path = strings.TrimPrefix(path, "/")
		switch {
		case !ok:
			return nil, fmt.Errorf("listing of %q: %q lies outside of the space", dir, n.href)
		case known[n.path]:
			return nil, fmt.Errorf("listing of %q: %q is listed twice", dir, n.path)
		}
		known[n.path] = true
	}
	if all[0].path != dir {
		return nil, fmt.Errorf("listing of %q begins with %q", dir, all[0].path)
	}
	return all, nil
}

// walk lists everything at and below a folder. Sizes must add up all the way.
func (w *World) walk(ctx context.Context, s *Server, from string) (map[string]*Seen, error) {
	seen := map[string]*Seen{}
	todo := []string{from}
	for len(todo) > 0 {
		dir := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		all, err := w.list(ctx, s, dir)
		if err != nil {
			return nil, err
		}
		self := all[0]
		if was := seen[dir]; was != nil && (was.ID != self.ID || was.ETag != self.ETag || was.Size != self.Size) {
			return nil, fmt.Errorf("folder %q is id %s, ETag %s, %d bytes in its own listing and id %s, ETag %s, %d bytes in that of its parent",
				dir, self.ID, self.ETag, self.Size, was.ID, was.ETag, was.Size)
		}
		seen[dir] = self
		sum := int64(0)
		for _, n := range all[1:] {
			seen[n.path] = n
			sum += n.Size
			if n.Dir {
				todo = append(todo, n.path)
			}
		}
		if self.Size != sum {
			return nil, fmt.Errorf("folder %q: size is %d, the sum of its members %d", dir, self.Size, sum)
		}
	}
	return seen, nil
}

// walkBin lists the entries of the bin by their ids.
func (w *World) walkBin(ctx context.Context, s *Server) (map[string]*Seen, error) {
	all, err := s.propfind(ctx, w.bin(), "1")
	if err != nil {
		return nil, err
	}
	seen := map[string]*Seen{}
	for _, n := range all[1:] {
		id := n.href[strings.LastIndexByte(n.href, '/')+1:]
		if seen[id] != nil {
			return nil, fmt.Errorf("the bin lists %s twice", id)
		}
		seen[id] = n
	}
	return seen, nil
}

// A silence is no answer: the server is gone, or hangs.
type silence struct{ err error }

func (s *silence) Error() string { return "no answer: " + s.err.Error() }
func (s *silence) Unwrap() error { return s.err }

// A refusal is an answer that was not asked for.
type refusal struct {
	what   string
	status int
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: got %d\n%s", r.what, r.status, r.body) }

// in tells whether the refusal is one of those that are put up with.
func (r *refusal) in(statuses []int) bool { return slices.Contains(statuses, r.status) }
