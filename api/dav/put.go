package dav

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"opencloud/cloud"
)

var errIsFolder = &refusal{status: http.StatusMethodNotAllowed, exception: "MethodNotAllowed", say: "This is a folder. Give the file a name."}

// put is PUT: a file in one piece.
func (h *handler) put(c *call) error {
	header := c.r.Header
	if header.Get("Content-Range") != "" {
		return cloud.Refuse(cloud.NotSupported, "A file cannot be written in part this way.")
	}
	if strings.HasSuffix(c.r.URL.Path, "/") {
		return errIsFolder
	}
	how := cloud.Put{Conditions: c.how}
	var err error
	if how.Size, err = announcedSize(c.r); err != nil {
		return err
	}
	if how.Sum, err = announcedSum(header); err != nil {
		return err
	}
	mtime := header.Get("X-OC-Mtime")
	if mtime != "" {
		if how.MTime, err = parseMTime(mtime); err != nil {
			return err
		}
	}
	n, made, err := h.files.Put(c.ctx(), c.t.Ref, c.r.Body, how)
	switch {
	case err == nil:
	case cloud.KindOf(err) == cloud.Exist:
		return errIsFolder
	case errors.Is(err, io.ErrUnexpectedEOF): // ours ends as announced or not at all: the client broke off
		return cloud.Refuse(cloud.Invalid, "The file did not arrive in full. Send it again.")
	default:
		return err
	}
	c.tell(n, c.t.Ref)
	if mtime != "" {
		c.w.Header().Set("X-OC-Mtime", "accepted")
	}
	c.w.WriteHeader(status(made))
	return nil
}

// announcedSize is how long the body is going to be, -1 if the client does
// not know. Finder says it in a header of its own and sends chunks.
func announcedSize(r *http.Request) (int64, error) {
	size := r.ContentLength
	for _, key := range [...]string{"X-Expected-Entity-Length", "OC-Total-Length", "Upload-Length"} {
		v := r.Header.Get(key)
		if v == "" {
			continue
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 || size >= 0 && n != size {
			return 0, cloud.Refuse(cloud.Invalid, "The announced length in %s is not that of the content.", key)
		}
		size = n
	}
	return size, nil
}

// announcedSum is a checksum in the form of Put.Sum. Clients have three ways
// to say one.
func announcedSum(header http.Header) (string, error) {
	if v := header.Get("OC-Checksum"); v != "" {
		algo, sum, err := cloud.SplitSum(v)
		return algo + ":" + sum, err
	}
	if v := header.Get("Upload-Checksum"); v != "" {
		algo, sum, err := cloud.SplitSum(v)
		if err != nil {
			return "", err
		}
		// In TUS it is in base64, elsewhere in hex.
		if b, err := hex.DecodeString(sum); err != nil || len(b) != sumSize[algo] {
			_, raw, _ := strings.Cut(v, " ")
			b, err = base64.StdEncoding.DecodeString(strings.TrimSpace(raw))
			if err != nil || len(b) != sumSize[algo] {
				return "", cloud.Refuse(cloud.Invalid, "The Upload-Checksum is not valid.")
			}
			sum = hex.EncodeToString(b)
		}
		return algo + ":" + sum, nil
	}
	if v := header.Get("Content-MD5"); v != "" {
		b, err := base64.StdEncoding.DecodeString(v)
		if err != nil || len(b) != sumSize["MD5"] {
			return "", cloud.Refuse(cloud.Invalid, "The Content-MD5 is not valid.")
		}
		return "MD5:" + hex.EncodeToString(b), nil
	}
	return "", nil
}

var sumSize = map[string]int{"SHA1": 20, "MD5": 16, "ADLER32": 4}

// parseMTime reads seconds since 1970, maybe with a fraction.
func parseMTime(s string) (time.Time, error) {
	bad := cloud.Refuse(cloud.Invalid, "The time %.40q is not valid: seconds since 1970 are expected.", s)
	whole, frac, dot := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	const year1, year9999 = -62135596800, 253402300799
	if err != nil || sec <= year1 || sec > year9999 || whole[0] == '+' {
		return time.Time{}, bad
	}
	if !dot {
		return time.Unix(sec, 0), nil
	}
	if len(frac) > 30 {
		return time.Time{}, bad
	}
	nsec, err := strconv.ParseUint((frac + "000000000")[:9], 10, 32)
	if err != nil || strings.Trim(frac, "0123456789") != "" {
		return time.Time{}, bad
	}
	if whole[0] == '-' {
		return time.Unix(sec, -int64(nsec)), nil
	}
	return time.Unix(sec, int64(nsec)), nil
}
