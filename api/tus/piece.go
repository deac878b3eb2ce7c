package tus

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"strings"

	"opencloud/cloud"
)

// algorithms that Upload-Checksum may name.
var algorithms = []string{"md5", "sha1", "crc32"}

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "md5":
		return md5.New()
	case "sha1":
		return sha1.New()
	}
	return crc32.NewIEEE()
}

// A piece is the body of a request on its way into an upload. When the request
// announces a checksum, the piece ends in BadSum unless it was whole and
// right, and cloud.Uploads then keeps nothing of it: so it can be verified
// while it is written, without a buffer.
type piece struct {
	body io.Reader
	hash hash.Hash // nil: no checksum
	want []byte
}

// newPiece reads the header Upload-Checksum.
func newPiece(r *http.Request) (*piece, error) {
	p := &piece{body: r.Body}
	header := r.Header.Get("Upload-Checksum")
	if header == "" {
		return p, nil
	}
	algorithm, sum, _ := strings.Cut(header, " ")
	if !slices.Contains(algorithms, algorithm) {
		return nil, cloud.Refuse(cloud.Invalid, "The checksum algorithm is not supported. Use one of %s.", strings.Join(algorithms, ", "))
	}
	want, err := base64.StdEncoding.DecodeString(sum)
	if err != nil {
		return nil, cloud.Refuse(cloud.Invalid, "The checksum in Upload-Checksum is not in Base64.")
	}
	p.hash, p.want = newHash(algorithm), want
	return p, nil
}

func (p *piece) Read(b []byte) (int, error) {
	n, err := p.body.Read(b)
	if p.hash != nil {
		p.hash.Write(b[:n])
	}
	switch {
	case err == nil:
	case err != io.EOF && p.hash != nil:
		err = &cloud.Error{Kind: cloud.BadSum, Say: "The piece broke off and could not be verified. Send it again.", Err: err}
	case err != io.EOF:
		err = &cloud.Error{Kind: cloud.Invalid, Say: "The piece broke off. Ask how much arrived and go on from there.", Err: err}
	case p.hash != nil && !bytes.Equal(p.hash.Sum(nil), p.want):
		err = cloud.BadSum
	}
	return n, err
}

// isEmpty refuses a piece that holds anything or is not what was announced.
func (p *piece) isEmpty() error {
	var b [1]byte
	switch n, err := io.ReadFull(p, b[:]); {
	case n > 0:
		return cloud.Refuse(cloud.Invalid, "The request holds more than the upload announces.")
	case err != io.EOF:
		return err
	}
	return nil
}
