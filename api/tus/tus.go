// Package tus serves resumable uploads (TUS 1.0.0, https://tus.io) over
// cloud.Uploads: creation on the WebDAV URLs of folders, everything else on
// /data/{upload id}. It keeps no state of its own and knows no rule: what was
// uploaded, by whom and until when is what cloud.Uploads says.
package tus

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Version of the protocol and Extensions of it, as they are announced in
// headers and in the capabilities.
const (
	Version    = "1.0.0"
	Extensions = "creation,creation-with-upload,checksum,termination,expiration"
)

// statusBadSum is TUS's own (checksum extension).
const statusBadSum = 460

const dataPrefix = "/data/"

// Options are what an administrator can set. The last two are hints for
// clients, announced in the capabilities.
type Options struct {
	MaxSize        int64  `yaml:"max_size" env:"OC_UPLOAD_MAX_SIZE" default:"0" doc:"Largest file in bytes that can be uploaded; 0 is unlimited."`
	MaxChunkSize   int64  `yaml:"max_chunk_size" env:"FRONTEND_UPLOAD_MAX_CHUNK_SIZE" default:"10000000" doc:"Size in bytes of the pieces that clients are asked to upload; 0 asks for one piece."`
	MethodOverride string `yaml:"http_method_override" env:"FRONTEND_UPLOAD_HTTP_METHOD_OVERRIDE" default:"" doc:"HTTP method, such as POST, that clients are asked to send instead of PATCH, for proxies that refuse PATCH."`
}

// Announce are the headers that say what is offered, for answers to OPTIONS
// and to a PROPFIND of a folder.
func Announce(opts Options) http.Header {
	h := http.Header{
		"Tus-Resumable":          {Version},
		"Tus-Version":            {Version},
		"Tus-Extension":          {Extensions},
		"Tus-Checksum-Algorithm": {strings.Join(algorithms, ",")},
	}
	if opts.MaxSize > 0 {
		h.Set("Tus-Max-Size", strconv.FormatInt(opts.MaxSize, 10))
	}
	return h
}

type handler struct {
	files    cloud.Files
	uploads  cloud.Uploads
	opts     Options
	announce http.Header
}

// New serves POST on the paths that httpx.Locate knows and HEAD, PATCH,
// DELETE and OPTIONS on /data/{upload id}, where a POST may name the method
// in X-HTTP-Method-Override. Failures are JSON.
func New(files cloud.Files, uploads cloud.Uploads, opts Options) http.Handler {
	return &handler{files, uploads, opts, Announce(opts)}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Tus-Resumable", Version)
	w.Header().Set("Cache-Control", "no-store")
	id, data := strings.CutPrefix(r.URL.Path, dataPrefix)
	method := r.Method
	if override := r.Header.Get("X-HTTP-Method-Override"); data && method == http.MethodPost && override != "" {
		method = override
	}
	if method == http.MethodOptions {
		for key, values := range h.announce {
			w.Header()[key] = values
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.Header.Get("Tus-Resumable") != Version {
		w.Header().Set("Tus-Version", Version)
		httpx.WriteOData(w, r, http.StatusPreconditionFailed, cloud.Precondition.Face().OData,
			"This server speaks version "+Version+" of TUS; the header Tus-Resumable must say so.")
		return
	}
	var err error
	switch {
	case !data && method == http.MethodPost:
		err = h.create(w, r)
	case data && (id == "" || strings.Contains(id, "/")):
		err = cloud.NotExist
	case data && method == http.MethodHead:
		err = h.head(w, r, cloud.UploadID(id))
	case data && method == http.MethodPatch:
		err = h.patch(w, r, cloud.UploadID(id))
	case data && method == http.MethodDelete:
		if err = h.uploads.Cancel(r.Context(), cloud.UploadID(id)); err == nil {
			w.WriteHeader(http.StatusNoContent)
		}
	default:
		w.Header().Set("Allow", "OPTIONS, HEAD, PATCH, DELETE")
		httpx.WriteOData(w, r, http.StatusMethodNotAllowed, cloud.NotSupported.Face().OData, "This cannot be done with an upload.")
	}
	if err != nil {
		fail(w, r, err)
	}
}

func fail(w http.ResponseWriter, r *http.Request, err error) {
	if cloud.KindOf(err) != cloud.BadSum {
		httpx.FailOData(w, r, err)
		return
	}
	say := cloud.Say(err)
	if say == "" {
		say = cloud.BadSum.Error()
	}
	httpx.WriteOData(w, r, statusBadSum, cloud.BadSum.Face().OData, say)
}

// head tells how far an upload is, so that a client can go on from there.
func (h *handler) head(w http.ResponseWriter, r *http.Request, id cloud.UploadID) error {
	u, err := h.uploads.Upload(r.Context(), id)
	if err != nil {
		return err
	}
	w.Header().Set("Upload-Length", strconv.FormatInt(u.How.Size, 10))
	w.Header().Set("Upload-Metadata", metadataOf(u))
	describe(w.Header(), u, u.Dir.Space)
	w.WriteHeader(http.StatusOK)
	return nil
}

// patch adds a piece.
func (h *handler) patch(w http.ResponseWriter, r *http.Request, id cloud.UploadID) error {
	if !isPiece(r) {
		return unsupportedType(w, r)
	}
	offset, err := parseSize(r.Header.Get("Upload-Offset"))
	if err != nil {
		return cloud.Refuse(cloud.Invalid, "The header Upload-Offset is missing or not a number.")
	}
	piece, err := newPiece(r)
	if err != nil {
		return err
	}
	u, err := h.append(r, id, offset, piece)
	if err != nil {
		return err
	}
	describe(w.Header(), u, u.Dir.Space)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// describe says how far an upload is, and of one that is complete what it became
// in a space.
func describe(h http.Header, u *cloud.Upload, in cloud.SpaceID) {
	h.Set("Upload-Offset", strconv.FormatInt(u.Offset, 10))
	n := u.Node
	if n == nil {
		h.Set("Upload-Expires", u.Expires.UTC().Format(http.TimeFormat))
		return
	}
	h.Set("Upload-Offset", strconv.FormatInt(u.How.Size, 10))
	h.Set("OC-FileId", cloud.ItemID(n.Space, n.ID))
	h.Set("OC-ETag", httpx.ETag(n.ETag))
	h.Set("ETag", httpx.ETag(n.ETag))
	h.Set("OC-Perm", httpx.Permissions(n, in))
	h.Set("Last-Modified", n.MTime.UTC().Format(http.TimeFormat))
}

// location is where an upload goes on. For a visitor it names the link: a
// client sends no more with the next piece than where to.
func location(r *http.Request, id cloud.UploadID) string {
	at := httpx.From(r.Context()).Site.Abs(dataPrefix + url.PathEscape(string(id)))
	if v := cloud.CallerFrom(r.Context()).Visitor; v != nil {
		at += "?public-token=" + url.QueryEscape(v.Token)
	}
	return at
}

// isPiece tells whether the body has the one media type that TUS has for content.
func isPiece(r *http.Request) bool {
	t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(t), "application/offset+octet-stream")
}

func unsupportedType(w http.ResponseWriter, r *http.Request) error {
	httpx.WriteOData(w, r, http.StatusUnsupportedMediaType, cloud.Invalid.Face().OData,
		"The Content-Type of a piece is application/offset+octet-stream.")
	return nil
}

// parseSize reads a number of bytes: digits and nothing else.
func parseSize(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}

// parseMTime reads seconds since 1970, maybe with a fraction; empty is the
// zero time. The range is what nanoseconds in an int64 can express.
func parseMTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	bad := cloud.Refuse(cloud.Invalid, "The modification time is not a number of seconds.")
	whole, fraction, _ := strings.Cut(s, ".")
	digits, negative := strings.CutPrefix(whole, "-")
	sec, err := strconv.ParseUint(digits, 10, 33)
	if err != nil || strings.Trim(fraction, "0123456789") != "" {
		return time.Time{}, bad
	}
	nsec, _ := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if negative {
		return time.Unix(-int64(sec), -nsec), nil
	}
	return time.Unix(int64(sec), nsec), nil
}
