package tus

import (
	"context"
	"io"
	"net/http"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// create begins an upload into the folder that the URL names, or below it,
// and takes the first piece if the request brings one.
func (h *handler) create(w http.ResponseWriter, r *http.Request) error {
	target, err := httpx.Locate(r, h.files)
	if err != nil {
		return err
	}
	if target.Kind != httpx.Tree {
		return cloud.Refuse(cloud.NotSupported, "Files can be uploaded into folders of a space only.")
	}
	meta, err := parseMetadata(strings.Join(r.Header.Values("Upload-Metadata"), ","))
	if err != nil {
		return err
	}
	ref, err := place(&target, meta)
	if err != nil {
		return err
	}
	how, err := h.put(r, meta)
	if err != nil {
		return err
	}
	piece, err := newPiece(r)
	if err != nil {
		return err
	}
	withBody := r.ContentLength != 0 && r.Body != http.NoBody
	if withBody && !isPiece(r) {
		return unsupportedType(w, r)
	}
	if how.Size == 0 {
		if err := piece.isEmpty(); err != nil {
			return err
		}
		withBody = false
	}
	u, err := h.uploads.Begin(r.Context(), ref, how)
	if err != nil {
		return err
	}
	if withBody {
		id := u.ID
		if u, err = h.append(r, id, 0, piece); err != nil {
			// The client has never heard of the upload and cannot go on with it.
			h.uploads.Cancel(context.WithoutCancel(r.Context()), id)
			return err
		}
	}
	w.Header().Set("Location", location(r, u.ID))
	if r.Header.Get("X-OC-Mtime") != "" {
		w.Header().Set("X-OC-Mtime", "accepted")
	}
	describe(w.Header(), u, ref.Space)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// place is where the file goes: the name in the metadata is a path relative
// to the URL.
func place(t *httpx.Target, meta map[string]string) (ref cloud.Ref, err error) {
	var name string
	for _, key := range []string{"filename", "name", "relativePath"} {
		if name = meta[key]; name != "" {
			break
		}
	}
	name, err = cloud.CleanPath(name)
	if err != nil {
		return ref, err
	}
	if name == "" {
		return ref, cloud.Refuse(cloud.Invalid, "The name of the file is missing: Upload-Metadata must have a filename.")
	}
	path, err := cloud.CleanPath(cloud.Join(t.Ref.Path, name))
	return t.At(path), err
}

// put is how the file is to be written, by the headers and the metadata,
// which win.
func (h *handler) put(r *http.Request, meta map[string]string) (how cloud.Put, err error) {
	if r.Header.Get("Upload-Defer-Length") != "" {
		return how, cloud.Refuse(cloud.NotSupported, "The length of an upload must be known when it begins.")
	}
	if how.Size, err = parseSize(r.Header.Get("Upload-Length")); err != nil {
		return how, cloud.Refuse(cloud.Invalid, "The header Upload-Length is missing or not a number.")
	}
	if h.opts.MaxSize > 0 && how.Size > h.opts.MaxSize {
		return how, cloud.Refuse(cloud.TooLarge, "The file is too large: at most %d bytes.", h.opts.MaxSize)
	}
	if offset := r.Header.Get("Upload-Offset"); offset != "" && offset != "0" {
		return how, cloud.Refuse(cloud.Conflict, "An upload begins at offset 0.")
	}
	if r.ContentLength > how.Size {
		return how, cloud.Refuse(cloud.Invalid, "The request holds more than the upload announces.")
	}
	mtime := meta["mtime"]
	if mtime == "" {
		mtime = r.Header.Get("X-OC-Mtime")
	}
	if how.MTime, err = parseMTime(mtime); err != nil {
		return how, err
	}
	if how.Sum = meta["checksum"]; how.Sum == "" {
		how.Sum = r.Header.Get("OC-Checksum")
	}
	if how.IfMatch, err = parseETag(r.Header.Get("If-Match")); err != nil {
		return how, err
	}
	if how.IfNoneMatch, err = parseETag(r.Header.Get("If-None-Match")); err != nil {
		return how, err
	}
	how.Tokens, err = lockTokens(strings.Join(r.Header.Values("If"), " "))
	return how, err
}

// append adds a piece to an upload. It goes on when the client goes away: the
// body then ends by itself, and what has arrived counts.
func (h *handler) append(r *http.Request, id cloud.UploadID, offset int64, body io.Reader) (*cloud.Upload, error) {
	return h.uploads.Append(context.WithoutCancel(r.Context()), id, offset, body)
}
