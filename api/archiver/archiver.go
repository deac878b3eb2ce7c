// Package archiver serves many files and folders as one download, a zip or a
// tar that is made while it is sent. It keeps nothing, on disk or in memory,
// and knows no rule: what the caller may read is what cloud.Files lets them.
//
// What is to be in an archive is settled before the first byte: a plan, within
// the limits. What cannot be in it is named in a text at its end. Should a file
// change or vanish after that, a zip names it there, too; a tar, whose length
// was announced, breaks off, and so does a zip in the middle of a file. No
// archive that looks whole lacks anything without saying so.
package archiver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// What clients are told in the capabilities. The version is that of the
// parameters.
const (
	Path    = "/archiver"
	Version = "2.0.0"
)

// Formats are what output-format can be, the default first.
func Formats() []string { return []string{"zip", "tar"} }

// Options are the limits of one archive. Both are at least 1.
type Options struct {
	MaxFiles int   `yaml:"max_num_files" env:"FRONTEND_ARCHIVER_MAX_NUM_FILES" default:"10000" doc:"How many files and folders one archive may hold."`
	MaxSize  int64 `yaml:"max_size" env:"FRONTEND_ARCHIVER_MAX_SIZE" default:"1073741824" doc:"How many bytes the files in one archive may have together."`
}

type handler struct {
	files cloud.Files
	opts  Options
}

// New serves GET and HEAD of
//
//	/archiver?id={item}&id={item}…[&path={path}…][&output-format=zip|tar]
//
// A path is below the id, of which there can be only one then. Without an id it
// is below the link that the caller came by, or in their personal space; a link
// alone stands for all of it.
func New(files cloud.Files, opts Options) http.Handler { return &handler{files, opts} }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "An archive can only be fetched.", http.StatusMethodNotAllowed)
		return
	}
	format, roots, err := h.asked(r)
	var p *plan
	if err == nil {
		p, err = h.plan(r.Context(), roots)
	}
	if err != nil {
		httpx.WriteText(w, r, err)
		return
	}
	header := w.Header()
	header.Set("Content-Disposition", disposition(p.title+"."+format))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Cache-Control", "private, no-cache")
	if format == "tar" {
		err = h.sendTar(w, r, p)
	} else {
		err = h.sendZip(w, r, p)
	}
	if err != nil {
		if r.Context().Err() == nil {
			httpx.From(r.Context()).Log.WarnContext(r.Context(), "an archive broke off", "error", err)
		}
		panic(http.ErrAbortHandler) // so that half an archive is not taken for a whole one
	}
}

// asked reads a request.
func (h *handler) asked(r *http.Request) (format string, roots []cloud.Ref, err error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", nil, cloud.Refuse(cloud.Invalid, "The URL is not properly encoded.")
	}
	if format = q.Get("output-format"); format == "" {
		format = Formats()[0]
	}
	if !slices.Contains(Formats(), format) {
		return "", nil, cloud.Refuse(cloud.Invalid, "An archive can be of these formats: %s.", strings.Join(Formats(), ", "))
	}
	ids, paths := q["id"], q["path"]
	if len(ids) > h.opts.MaxFiles || len(paths) > h.opts.MaxFiles {
		return "", nil, h.tooMany()
	}
	for _, id := range ids {
		ref, err := cloud.ParseItemID(id)
		if err != nil {
			return "", nil, err
		}
		if ref.Node == "" {
			ref.Node = ref.Space.Root()
		}
		roots = append(roots, ref)
	}
	if len(ids) > 0 && len(paths) == 0 {
		return format, roots, nil
	}
	var base cloud.Ref
	visitor := cloud.CallerFrom(r.Context()).Visitor
	switch {
	case len(ids) > 1:
		return "", nil, cloud.Refuse(cloud.Invalid, "Paths can be below one item only.")
	case len(ids) == 1:
		base = roots[0]
	case visitor != nil:
		base = visitor.Of
		if len(paths) == 0 {
			return format, []cloud.Ref{base}, nil
		}
	case len(paths) == 0:
		return "", nil, cloud.Refuse(cloud.Invalid, "Name what the archive is to hold: the id of an item, or several.")
	default:
		home, err := h.files.Home(r.Context())
		if err != nil {
			return "", nil, err
		}
		base = cloud.Ref{Space: home.ID, Node: home.ID.Root()}
	}
	roots = nil
	for _, path := range paths {
		clean, err := cloud.CleanPath(path)
		if err != nil {
			return "", nil, err
		}
		roots = append(roots, cloud.Ref{Space: base.Space, Node: base.Node, Path: clean})
	}
	return format, roots, nil
}
