package archiver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"opencloud/cloud"
)

// A plan is what an archive will hold, in the order of its entries.
type plan struct {
	title   string // of the archive, without extension
	entries []entry
	size    int64     // of all files
	newest  time.Time // of all files and folders
	left    []omission
	note    string // name for the text that says what was left out
}

// An entry is a file, or a folder, whose name has a slash at the end.
type entry struct {
	name  string
	dir   bool
	ref   cloud.Ref
	etag  string
	size  int64
	mtime time.Time
	text  string // the content, of what is no node
}

// An omission is something that is not in the archive although it was asked for.
type omission struct {
	name string
	err  error
}

// maxPath bounds the name of an entry, in bytes, and so how deep a walk goes.
// No space that clients have filled comes near.
const maxPath = 4 * cloud.MaxPath

// walk makes a plan.
type walk struct {
	*plan
	h     *handler
	ctx   context.Context
	count int
}

// plan looks at everything that is to be in an archive. TooLarge when it is
// beyond the limits; otherwise an error of what was asked for itself.
func (h *handler) plan(ctx context.Context, roots []cloud.Ref) (*plan, error) {
	w := walk{plan: &plan{title: "download"}, h: h, ctx: ctx}
	type key struct {
		space cloud.SpaceID
		node  cloud.NodeID
	}
	seen, top := map[key]bool{}, names{}
	for _, ref := range roots {
		n, err := h.root(ctx, ref)
		if err != nil {
			return nil, err
		}
		k := key{n.Space, n.ID}
		if seen[k] {
			continue
		}
		seen[k] = true
		if err := w.reserve(1); err != nil {
			return nil, err
		}
		if err := w.add(n, "", top); err != nil {
			return nil, err
		}
		if w.title = fit(clean(n.Name), maxTitle); len(seen) > 1 {
			w.title = "download"
		}
	}
	if len(w.entries) == 0 && len(w.left) == 1 { // a file alone, and it cannot be had
		return nil, w.left[0].err
	}
	w.note = top.take("Not in this archive.txt", false)
	return w.plan, nil
}

// root is something that was asked for, with a name.
func (h *handler) root(ctx context.Context, ref cloud.Ref) (*cloud.Node, error) {
	n, err := h.files.Stat(ctx, ref)
	if err != nil {
		return nil, err
	}
	want := cloud.CanRead
	if n.Space == cloud.SharesSpace && n.ID == cloud.SharesSpace.Root() {
		want = cloud.CanList // what stands in it has rights of its own
	}
	if !n.Rights.Has(want) {
		return nil, errUnreadable
	}
	if n.Name == "" {
		n.Name = "download" // to who came by a link the space has no name
		if s, err := h.files.Space(ctx, n.Space); err == nil {
			n.Name = s.Name
		}
	}
	return n, nil
}

var (
	errUnreadable = cloud.Refuse(cloud.Permission, "You may not download it.")
	errUnsafe     = cloud.Refuse(cloud.Permission, "The file was set aside because its content is not safe.")
	errTooDeep    = cloud.Refuse(cloud.TooLarge, "It lies too deep.")
)

// reserve counts what is to be in the archive.
func (w *walk) reserve(n int) error {
	if w.count += n; w.count > w.h.opts.MaxFiles {
		return w.h.tooMany()
	}
	return nil
}

// obstacle is why a node cannot be in the archive; asked: it was asked for
// itself, and may be read.
func obstacle(n *cloud.Node, e *entry, asked bool) error {
	switch {
	case !asked && !n.Rights.Has(cloud.CanRead):
		return errUnreadable
	case n.State == cloud.Pending:
		return cloud.Processing
	case n.State == cloud.Quarantined:
		return errUnsafe
	case len(e.name) > maxPath:
		return errTooDeep
	}
	return nil
}

// add plans a node and all below it. dir is empty or ends with a slash.
func (w *walk) add(n *cloud.Node, dir string, siblings names) error {
	asked := dir == ""
	e := entry{name: dir + siblings.take(clean(n.Name), n.Dir), dir: n.Dir, ref: cloud.Ref{Space: n.Space, Node: n.ID},
		etag: n.ETag, size: n.Size, mtime: n.MTime}
	if err := obstacle(n, &e, asked); err != nil {
		w.leave(e.name, err)
		return nil
	}
	if n.MTime.After(w.newest) {
		w.newest = n.MTime
	}
	if !n.Dir {
		if n.Size > w.h.opts.MaxSize-w.size {
			return w.h.tooLarge()
		}
		w.size += n.Size
		w.entries = append(w.entries, e)
		return nil
	}
	members, err := w.members(e.ref)
	if err != nil {
		if !asked && gone(err) {
			w.leave(e.name, err)
			return nil
		}
		return err
	}
	e.name, e.size = e.name+"/", 0
	w.entries = append(w.entries, e)
	inside := make(names, len(members))
	for _, m := range members {
		if err := w.add(m, e.name, inside); err != nil {
			return err
		}
	}
	return nil
}

// members are those of a folder, by name: the same things make the same archive.
func (w *walk) members(ref cloud.Ref) ([]*cloud.Node, error) {
	var all []*cloud.Node
	for n, err := range w.h.files.List(w.ctx, ref) {
		if err == nil {
			err = w.ctx.Err()
		}
		if err == nil {
			err = w.reserve(1)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *cloud.Node) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func (p *plan) leave(name string, err error) { p.left = append(p.left, omission{name, err}) }

// gone tells whether an error is about one node alone, which can be left out.
func gone(err error) bool {
	switch cloud.KindOf(err) {
	case cloud.NotExist, cloud.Permission, cloud.Processing, cloud.Invalid:
		return true
	}
	return false
}

// say is what users are told of a node that cannot be had.
func say(err error) string {
	if cloud.KindOf(err) == cloud.NotExist {
		return "It is not there any more."
	}
	if s := cloud.Say(err); s != "" {
		return s
	}
	return cloud.KindOf(err).Error()
}

// last is the entry that says what was left out; nil if nothing was.
func (p *plan) last() *entry {
	if len(p.left) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("This was asked for, but is not in this archive:\r\n\r\n")
	for _, o := range p.left {
		b.WriteString(o.name + ": " + say(o.err) + "\r\n")
	}
	return &entry{name: p.note, text: b.String(), size: int64(b.Len()), mtime: p.newest}
}

// layout is to change whenever the same plan makes other bytes than before.
const layout = 1

// tag changes when anything does that can be seen in an archive. The release of
// Go counts, because its library writes the headers.
func (p *plan) tag(format string) string {
	h := sha256.New()
	fmt.Fprintln(h, layout, runtime.Version(), format)
	for i := range p.entries {
		e := &p.entries[i]
		fmt.Fprintf(h, "%q %s %s %q %d %d\n", e.name, e.ref.Space, e.ref.Node, e.etag, e.size, e.mtime.UnixNano())
	}
	if e := p.last(); e != nil {
		io.WriteString(h, e.name+e.text)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func (h *handler) tooMany() error {
	return cloud.Refuse(cloud.TooLarge, "An archive can hold %d files and folders at most. Choose fewer, or use a sync client.", h.opts.MaxFiles)
}

func (h *handler) tooLarge() error {
	return cloud.Refuse(cloud.TooLarge, "An archive can hold files of %d bytes together at most. Choose fewer, or download the large ones by themselves.", h.opts.MaxSize)
}
