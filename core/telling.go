package core

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"io"
	"iter"
	"slices"
	"sort"
	"time"

	"opencloud/cloud"
)

// The JSON of an export of personal data, in the order of the file.
type (
	toldUser struct {
		ID        cloud.UserID `json:"id"`
		Name      string       `json:"name"`
		Display   string       `json:"displayName"`
		GivenName string       `json:"givenName,omitempty"`
		Surname   string       `json:"surname,omitempty"`
		Mail      string       `json:"mail"`
		Kind      string       `json:"kind,omitempty"`
		Language  string       `json:"language,omitempty"`
		Made      time.Time    `json:"made,omitzero"`
		Role      toldRole     `json:"role"`
	}
	toldRole struct {
		ID          string                   `json:"id"`
		Name        string                   `json:"name"`
		Permissions []cloud.SystemPermission `json:"permissions"`
	}
	toldGroup struct {
		ID          cloud.GroupID `json:"id"`
		Name        string        `json:"name"`
		Description string        `json:"description,omitempty"`
	}
	toldPhoto struct {
		Format string `json:"format"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
		Size   int    `json:"size"`
	}
	toldChoice struct {
		ID    string          `json:"id"`
		Name  string          `json:"name"`
		Flag  *bool           `json:"flag,omitempty"`
		Text  string          `json:"text,omitempty"`
		Flags map[string]bool `json:"flags,omitempty"`
	}
	toldCredential struct {
		Kind    string    `json:"kind"`
		Label   string    `json:"label,omitempty"`
		Made    time.Time `json:"made,omitzero"`
		Used    time.Time `json:"used,omitzero"`
		Expires time.Time `json:"expires,omitzero"`
	}
	toldSpace struct {
		ID          cloud.SpaceID   `json:"id"`
		Kind        cloud.SpaceKind `json:"kind"`
		Name        string          `json:"name"`
		Alias       string          `json:"alias"`
		Description string          `json:"description,omitempty"`
		Owner       cloud.UserID    `json:"owner,omitempty"`
		Quota       int64           `json:"quota"`
		Used        int64           `json:"used"`
		Made        time.Time       `json:"made,omitzero"`
		Disabled    time.Time       `json:"disabled,omitzero"`
		Rights      []string        `json:"rights"`
	}
	toldGrant struct {
		Item    string        `json:"item"`
		Name    string        `json:"name,omitempty"`
		User    cloud.UserID  `json:"toUser,omitempty"`
		Group   cloud.GroupID `json:"toGroup,omitempty"`
		Rights  []string      `json:"rights"`
		By      cloud.UserID  `json:"by,omitempty"`
		Made    time.Time     `json:"made,omitzero"`
		Expires time.Time     `json:"expires,omitzero"`
	}
	toldLock struct {
		Item    string    `json:"item"`
		Owner   string    `json:"owner,omitempty"`
		Expires time.Time `json:"expires"`
	}
	toldUpload struct {
		Folder   string    `json:"folder"`
		Name     string    `json:"name"`
		Size     int64     `json:"size"`
		Received int64     `json:"received"`
		Expires  time.Time `json:"expires"`
	}
	toldFile struct {
		Item     string    `json:"item"`
		Path     string    `json:"path"`
		Folder   bool      `json:"folder,omitempty"`
		Size     int64     `json:"size"`
		Modified time.Time `json:"modified"`
		Sums     string    `json:"checksums,omitempty"`
		Deleted  time.Time `json:"deleted,omitzero"`
	}
)

// tell writes all there is of a user, who is the caller, as one JSON object.
// It holds little in memory, however much that is.
func (p *People) tell(ctx context.Context, u *cloud.User, to io.Writer) error {
	d := &document{to: bufio.NewWriterSize(to, 64<<10)}
	d.enc = json.NewEncoder(d.to)
	d.enc.SetEscapeHTML(false)
	d.value("exported", p.core.now().UTC().Truncate(time.Second))
	d.value("user", userTold(u))
	if photo, err := p.photoTold(ctx, u); err != nil {
		return err
	} else if photo != nil {
		d.value("photo", photo)
	}
	home, err := p.core.home(ctx)
	if err != nil {
		return err
	}
	list(d, "groups", p.groupsTold(ctx, u))
	list(d, "preferences", p.choicesTold(ctx, u))
	list(d, "credentials", p.credentialsTold(ctx, u))
	list(d, "spaces", p.spacesTold(ctx))
	list(d, "grantsReceived", p.core.grantsTold(ctx, func(g *cloud.Grant) bool {
		return g.To.User == u.ID || g.To.Group != "" && slices.Contains(u.Groups, g.To.Group)
	}))
	list(d, "grantsGiven", p.core.grantsTold(ctx, func(g *cloud.Grant) bool { return g.By == u.ID && g.To.User != u.ID }))
	list(d, "locks", p.core.locksTold(ctx, u))
	list(d, "uploads", p.core.uploadsTold(ctx, u))
	list(d, "files", p.core.filesTold(ctx, home.ID, home.ID.Root(), ""))
	list(d, "trash", p.core.filesTold(ctx, home.ID, cloud.TrashID, ""))
	list(d, "activity", p.core.activityTold(ctx, u))
	return d.end()
}

// A document is a JSON object on its way out, with its first error.
type document struct {
	to   *bufio.Writer
	enc  *json.Encoder
	some bool // members were written
	err  error
}

func (d *document) open(name string) {
	before := "{\n"
	if d.some {
		before = ",\n"
	}
	d.some = true
	d.write(before)
	d.encode(name)
	d.write(": ")
}

func (d *document) write(s string) {
	if d.err == nil {
		_, d.err = d.to.WriteString(s)
	}
}

func (d *document) encode(v any) {
	if d.err == nil {
		d.err = d.enc.Encode(v)
	}
}

func (d *document) value(name string, v any) {
	d.open(name)
	d.encode(v)
}

func list[T any](d *document, name string, all iter.Seq2[T, error]) {
	if d.err != nil {
		return
	}
	d.open(name)
	before := "[\n"
	for v, err := range all {
		if d.err == nil {
			d.err = err
		}
		if d.err != nil {
			return
		}
		d.write(before)
		d.encode(v)
		before = ","
	}
	if before == "[\n" {
		d.write(before)
	}
	d.write("]")
}

func (d *document) end() error {
	d.write("\n}\n")
	if d.err == nil {
		d.err = d.to.Flush()
	}
	return d.err
}

func userTold(u *cloud.User) toldUser {
	t := toldUser{ID: u.ID, Name: u.Name, Display: u.Display, GivenName: u.GivenName, Surname: u.Surname, Mail: u.Mail, Kind: string(u.Kind),
		Language: u.Language, Made: u.Made, Role: toldRole{ID: u.Role, Permissions: []cloud.SystemPermission{}}}
	if r, ok := cloud.RoleBy(u.Role); ok {
		t.Role.Name = r.Name
		for p := range r.Privileges() {
			t.Role.Permissions = append(t.Role.Permissions, cloud.SystemPermission(p.Name+"."+p.Scope.String()))
		}
	}
	return t
}

func (p *People) photoTold(ctx context.Context, u *cloud.User) (*toldPhoto, error) {
	photo, err := p.profiles.Document(ctx, u.ID, photoDocument)
	if err != nil {
		return nil, found(err)
	}
	c, format, err := image.DecodeConfig(bytes.NewReader(photo))
	return &toldPhoto{format, c.Width, c.Height, len(photo)}, err
}

func (p *People) groupsTold(ctx context.Context, u *cloud.User) iter.Seq2[toldGroup, error] {
	return func(yield func(toldGroup, error) bool) {
		for _, id := range u.Groups {
			g, err := p.dir.Group(ctx, "id", string(id))
			if errors.Is(err, cloud.NotExist) {
				continue
			}
			if err != nil {
				yield(toldGroup{}, err)
				return
			}
			if !yield(toldGroup{g.ID, g.Name, g.Description}, nil) {
				return
			}
		}
	}
}

func (p *People) choicesTold(ctx context.Context, u *cloud.User) iter.Seq2[toldChoice, error] {
	return func(yield func(toldChoice, error) bool) {
		all, err := p.choices(ctx, u)
		if err != nil {
			yield(toldChoice{}, err)
			return
		}
		for _, pref := range cloud.Preferences() {
			if c, ok := all[pref.ID]; ok && !yield(toldChoice{pref.ID, pref.Name, c.Flag, c.Text, c.Flags}, nil) {
				return
			}
		}
	}
}

func (p *People) credentialsTold(ctx context.Context, u *cloud.User) iter.Seq2[toldCredential, error] {
	return func(yield func(toldCredential, error) bool) {
		for _, kept := range p.opts.Credentials {
			all, ok := kept.(cloud.CredentialList)
			if !ok {
				continue
			}
			for c, err := range all.List(ctx, u.ID) {
				if !yield(toldCredential(c), err) || err != nil {
					return
				}
			}
		}
	}
}

func actions(r cloud.Rights) []string { return slices.AppendSeq([]string{}, r.Actions()) }

func (p *People) spacesTold(ctx context.Context) iter.Seq2[toldSpace, error] {
	return func(yield func(toldSpace, error) bool) {
		for s, err := range p.core.Spaces(ctx) {
			if err != nil {
				yield(toldSpace{}, err)
				return
			}
			if s.Kind == cloud.Virtual {
				continue // everybody has it
			}
			if !yield(toldSpace{s.ID, s.Kind, s.Name, s.Alias, s.Description, s.Owner, s.Quota, s.Root.Size, s.Made, s.Disabled, actions(s.Root.Rights)}, nil) {
				return
			}
		}
	}
}

// having yields the nodes of all spaces with a trait.
func (c *Core) having(ctx context.Context, t cloud.Traits) iter.Seq2[*cloud.Node, error] {
	return func(yield func(*cloud.Node, error) bool) {
		for s, err := range c.store.Spaces(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			for n, err := range c.store.Having(ctx, s.ID, t) {
				if errors.Is(err, cloud.NotExist) {
					break // dropped meanwhile
				}
				if n != nil && n.Name == "" {
					n.Name = s.Name
				}
				if !yield(n, err) || err != nil {
					return
				}
			}
		}
	}
}

// grantsTold are the grants of some kind, with the name of the item where the
// caller may know of it now.
func (c *Core) grantsTold(ctx context.Context, want func(*cloud.Grant) bool) iter.Seq2[toldGrant, error] {
	return func(yield func(toldGrant, error) bool) {
		for n, err := range c.having(ctx, cloud.HasGrants) {
			if err != nil {
				yield(toldGrant{}, err)
				return
			}
			for i := range n.Grants {
				g := &n.Grants[i]
				if !want(g) {
					continue
				}
				t := toldGrant{cloud.ItemID(n.Space, n.ID), "", g.To.User, g.To.Group, actions(g.Rights), g.By, g.Made, g.Expires}
				if c.seen(ctx, n) {
					t.Name = n.Name
				}
				if !yield(t, nil) {
					return
				}
			}
		}
	}
}

// seen tells whether the caller may know of a node now.
func (c *Core) seen(ctx context.Context, n *cloud.Node) bool {
	_, err := c.stat(ctx, cloud.Ref{Space: n.Space, Node: n.ID})
	return err == nil
}

func (c *Core) locksTold(ctx context.Context, u *cloud.User) iter.Seq2[toldLock, error] {
	return func(yield func(toldLock, error) bool) {
		for n, err := range c.having(ctx, cloud.HasLocks) {
			if err != nil {
				yield(toldLock{}, err)
				return
			}
			for _, l := range n.Locks {
				if l.By == u.ID && l.Expires.After(c.now()) && !yield(toldLock{cloud.ItemID(n.Space, n.ID), l.Owner, l.Expires}, nil) {
					return
				}
			}
		}
	}
}

func (c *Core) uploadsTold(ctx context.Context, u *cloud.User) iter.Seq2[toldUpload, error] {
	return func(yield func(toldUpload, error) bool) {
		for s, err := range c.store.Spaces(ctx) {
			if err != nil {
				yield(toldUpload{}, err)
				return
			}
			for up, err := range c.store.Uploads(ctx, s.ID) {
				if errors.Is(err, cloud.NotExist) {
					break
				}
				if err != nil {
					yield(toldUpload{}, err)
					return
				}
				if up.By == u.ID && !yield(toldUpload{cloud.ItemID(up.Dir.Space, up.Dir.Node), up.Name, up.How.Size, up.Offset, up.Expires}, nil) {
					return
				}
			}
		}
	}
}

// filesTold are all below a directory.
func (c *Core) filesTold(ctx context.Context, s cloud.SpaceID, dir cloud.NodeID, path string) iter.Seq2[toldFile, error] {
	return func(yield func(toldFile, error) bool) { c.filesBelow(ctx, s, dir, path, yield) }
}

func (c *Core) filesBelow(ctx context.Context, s cloud.SpaceID, dir cloud.NodeID, path string, yield func(toldFile, error) bool) bool {
	for n, err := range c.store.Children(ctx, s, dir) {
		if errors.Is(err, cloud.NotExist) {
			break // moved away or dropped meanwhile
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			yield(toldFile{}, err)
			return false
		}
		t := toldFile{Item: cloud.ItemID(s, n.ID), Path: cloud.Join(path, n.Name), Folder: n.Dir, Size: n.Size, Modified: n.MTime, Sums: n.Sums.String()}
		if n.Bin != nil {
			t.Path, t.Deleted = n.Bin.Path, n.Bin.Deleted
		}
		if !yield(t, nil) || n.Dir && !c.filesBelow(ctx, s, n.ID, t.Path, yield) {
			return false
		}
	}
	return true
}

// activityTold is what the journal still holds of what a user did where they
// are a member now.
func (c *Core) activityTold(ctx context.Context, u *cloud.User) iter.Seq2[*cloud.Record, error] {
	return func(yield func(*cloud.Record, error) bool) {
		members := map[cloud.SpaceID]bool{}
		for r, err := range c.store.Since(ctx, "", c.oldestCursor(ctx)) {
			if err != nil {
				yield(nil, err)
				return
			}
			if r.By != u.ID {
				continue
			}
			member, known := members[r.Space]
			if !known {
				s, err := c.store.Space(ctx, r.Space)
				if err == nil {
					_, err = c.show(ctx, u, s)
				}
				member = err == nil
				members[r.Space] = member
			}
			if member && !yield(r, nil) {
				return
			}
		}
	}
}

// oldestCursor is where the journal begins.
func (c *Core) oldestCursor(ctx context.Context) cloud.Cursor {
	last := c.store.Last()
	return cloud.Cursor(sort.Search(int(last), func(i int) bool {
		for _, err := range c.store.Since(ctx, "", cloud.Cursor(i)) {
			return !errors.Is(err, cloud.TooOld)
		}
		return true
	}))
}
