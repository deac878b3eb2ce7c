package syncclient

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// errStartOver is that the server cannot go on from a link.
var errStartOver = errors.New("the link is too old")

// A page is one of the delta.
type page struct {
	Value []struct {
		ID     string
		Name   string
		ETag   string
		Parent *struct{ ID string } `json:"parentReference"`
		Root   *struct{}
		Folder *struct{}
		File   *struct {
			Hashes struct{ SHA1Hash string }
		}
		Deleted *struct{}
	}
	Next  string `json:"@odata.nextLink"`
	Delta string `json:"@odata.deltaLink"`
}

// pull brings the picture of the space up to date.
func (c *Client) pull(ctx context.Context) error {
	c.s.Due = false
	for again := 0; ; {
		p, err := c.page(ctx)
		if errors.Is(err, errStartOver) && c.s.Link != "" && again < tries {
			again++
			c.s.Link, c.s.Remote = "", map[string]item{}
			continue
		}
		if err != nil {
			return err
		}
		if err := c.apply(p); err != nil {
			return err
		}
		if p.Delta != "" {
			c.s.Link = p.Delta
			if err := c.whole(); err != nil {
				return err
			}
			c.s.Due = true
			return c.save()
		}
		if c.s.Link = p.Next; c.s.Link == "" {
			return errors.New("a page without a link")
		}
		if err := c.save(); err != nil {
			return err
		}
	}
}

func (c *Client) apply(p *page) error {
	for _, v := range p.Value {
		switch {
		case v.Deleted != nil:
			delete(c.s.Remote, v.ID)
		case v.Root != nil:
			c.s.Root = v.ID
		case v.Parent == nil || v.Parent.ID == "" || (v.Folder == nil) == (v.File == nil):
			return fmt.Errorf("item %s is neither file nor folder, or has no parent", v.ID)
		case v.Name == "" || v.Name == "." || v.Name == ".." || strings.ContainsAny(v.Name, "/\x00"):
			return fmt.Errorf("item %s has the name %q", v.ID, v.Name)
		default:
			it := item{Parent: v.Parent.ID, Name: v.Name, Dir: v.Folder != nil}
			if v.File != nil {
				it.ETag, it.SHA1 = v.ETag, strings.ToLower(v.File.Hashes.SHA1Hash)
			}
			c.s.Remote[v.ID] = it
		}
	}
	return nil
}

// whole drops what does not hang together with the root: it has gone with what
// it was in.
func (c *Client) whole() error {
	order, err := c.order()
	if err != nil {
		return err
	}
	all := make(map[string]item, len(order))
	for _, id := range order {
		all[id] = c.s.Remote[id]
	}
	c.s.Remote = all
	return nil
}

// order are the items that are in the tree, each behind its parent.
func (c *Client) order() ([]string, error) {
	below := map[string][]string{}
	for id, it := range c.s.Remote {
		below[it.Parent] = append(below[it.Parent], id)
	}
	order := []string{}
	for i, dir := 0, c.s.Root; ; i++ {
		names := map[string]string{}
		for _, id := range below[dir] {
			name := c.s.Remote[id].Name
			if other := names[name]; other != "" {
				return nil, fmt.Errorf("%s and %s are both called %q in %s", id, other, name, dir)
			}
			names[name] = id
		}
		order = append(order, below[dir]...)
		if i == len(order) {
			return order, nil
		}
		dir = order[i]
	}
}

func (c *Client) page(ctx context.Context) (*page, error) {
	link := c.s.Link
	if link == "" {
		link = c.opts.URL + "/graph/v1.0/drives/" + url.PathEscape(c.opts.Drive) + "/root/delta"
		if c.opts.Top > 0 {
			link += "?$top=" + strconv.Itoa(c.opts.Top)
		}
	}
	resp, err := c.request(ctx, "delta", link)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusGone:
		return nil, errStartOver
	case http.StatusForbidden, http.StatusNotFound:
		return nil, ErrNoAccess
	default:
		return nil, unexpected(resp)
	}
	var p page
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		return nil, fmt.Errorf("%s: %w", link, err)
	}
	return &p, nil
}

// fetch lays the content of a file ready. It returns false when there is none
// any more.
func (c *Client) fetch(ctx context.Context, id string) (ok bool, err error) {
	resp, err := c.request(ctx, "content", c.opts.URL+"/dav/spaces/"+url.PathEscape(id))
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusNotFound:
		return false, nil
	default:
		return false, unexpected(resp)
	}
	if err := c.step("write"); err != nil {
		return false, err
	}
	f, err := os.Create(c.part())
	if err != nil {
		return false, err
	}
	sum := sha1.New()
	_, err = io.Copy(io.MultiWriter(f, sum), resp.Body)
	if err := errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	got := content{resp.Header.Get("ETag"), hex.EncodeToString(sum.Sum(nil))}
	if it := c.s.Remote[id]; it.ETag == got.ETag && it.SHA1 != "" && it.SHA1 != got.SHA1 {
		return false, fmt.Errorf("%q (%s) is said to be %s and is %s", it.Name, id, it.SHA1, got.SHA1)
	}
	if err := c.rename(c.part(), c.fresh(id)); err != nil {
		return false, err
	}
	c.s.Fresh[id] = got
	return true, nil
}

// request asks the server, and no other, whatever a link says.
func (c *Client) request(ctx context.Context, step, link string) (*http.Response, error) {
	if err := c.step(step); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(link, c.opts.URL+"/") {
		return nil, fmt.Errorf("%s is not on %s", link, c.opts.URL)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(c.opts.User, c.opts.Password)
	return c.http.Do(req)
}

func unexpected(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return fmt.Errorf("GET %s: %s\n%s", resp.Request.URL, resp.Status, body)
}
