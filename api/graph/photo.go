package graph

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// photo is that of a user, or of the caller.
func (h *handler) photo(w http.ResponseWriter, r *http.Request, args []string) error {
	u, err := caller(r)
	if err == nil && len(args) > 0 {
		u, err = h.find(r, args[0])
	}
	if err != nil {
		return err
	}
	photo, err := h.people.Photo(r.Context(), u.ID)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(photo)
	head := w.Header()
	head.Set("Content-Type", http.DetectContentType(photo)) // JPEG or PNG
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "private, no-cache")
	head.Set("ETag", httpx.ETag(hex.EncodeToString(sum[:16])))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(photo))
	return nil
}

func (h *handler) setPhoto(w http.ResponseWriter, r *http.Request, _ []string) error {
	photo, err := httpx.Body(w, r, cloud.MaxPhoto)
	switch {
	case cloud.KindOf(err) == cloud.TooLarge:
		return cloud.Refuse(cloud.TooLarge, "The photo is too large: at most %d MiB.", cloud.MaxPhoto>>20)
	case err != nil || len(photo) == 0:
		return cloud.Refuse(cloud.Invalid, "The photo did not arrive.")
	}
	return h.keepPhoto(w, r, photo)
}

func (h *handler) removePhoto(w http.ResponseWriter, r *http.Request, _ []string) error {
	return h.keepPhoto(w, r, nil)
}

func (h *handler) keepPhoto(w http.ResponseWriter, r *http.Request, photo []byte) error {
	if err := h.people.SetPhoto(r.Context(), cloud.CallerFrom(r.Context()).ID(), photo); err != nil {
		return err
	}
	return writeNothing(w)
}
