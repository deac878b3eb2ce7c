package core

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"

	"opencloud/cloud"
)

// A bookmark is how far a client has read a feed; tokens hold one.
type bookmark struct {
	after cloud.Cursor // all up to here was told
	until cloud.Cursor // what is being told; 0: nothing
	// loose is behind the end of the last walk: what was moved until then may
	// have escaped it.
	loose cloud.Cursor
	view  uint64 // what the caller could see
	phase phase
	last  []cloud.NodeID // what was told last; in a walk the way to it
}

// A phase is a part of an answer.
type phase uint8

const (
	resting   phase = iota // nothing is being told
	listing                // all there is
	differing              // what is different
	rising                 // the directories above that
	following              // what came along with a directory
	leaving                // what is gone
	phases
)

const (
	tokenVersion = 1
	sealSize     = 8
	maxToken     = 8 << 10 // bytes; more than any way through a tree needs
)

// seal binds a token to a caller and a space and, in the middle of an answer,
// to the kind of feed. It is no secret: who makes up a token gets no more to
// see than without.
func (m *bookmark) seal(b []byte, who string, f *cloud.Feed) [sealSize]byte {
	h := sha256.New()
	h.Write(b)
	fmt.Fprintf(h, "%s\x00%s\x00", who, f.Space)
	if m.phase != resting {
		fmt.Fprint(h, f.ByPath, f.Flat)
	}
	return [sealSize]byte(h.Sum(nil)[:sealSize])
}

func (m *bookmark) token(who string, f *cloud.Feed) string {
	b := []byte{tokenVersion, byte(m.phase)}
	for _, c := range []cloud.Cursor{m.after, m.until, m.loose} {
		b = binary.AppendUvarint(b, uint64(c))
	}
	b = binary.BigEndian.AppendUint64(b, m.view)
	for _, id := range m.last {
		if u, ok := cloud.ParseUUID(string(id)); ok {
			b = append(append(b, 0), u[:]...)
		} else {
			b = append(append(b, byte(len(id))), id...)
		}
	}
	sum := m.seal(b, who, f)
	return base64.RawURLEncoding.EncodeToString(append(b, sum[:]...))
}

var errToken = cloud.Refuse(cloud.Invalid, "This is not a token for the changes of this space. Start over without one.")

func parseToken(text, who string, f *cloud.Feed) (m bookmark, err error) {
	if len(text) > maxToken {
		return m, errToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 2+sealSize {
		return m, errToken
	}
	b, sum := b[:len(b)-sealSize], b[len(b)-sealSize:]
	m.phase = phase(b[1])
	if want := m.seal(b, who, f); !slices.Equal(sum, want[:]) || b[0] != tokenVersion || m.phase >= phases {
		return m, errToken
	}
	b = b[2:]
	for _, to := range []*cloud.Cursor{&m.after, &m.until, &m.loose} {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return m, errToken
		}
		*to, b = cloud.Cursor(v), b[n:]
	}
	if len(b) < 8 {
		return m, errToken
	}
	m.view, b = binary.BigEndian.Uint64(b), b[8:]
	for len(b) > 0 {
		n := int(b[0])
		if b = b[1:]; n == 0 && len(b) >= len(cloud.UUID{}) {
			n = len(cloud.UUID{})
			m.last = append(m.last, cloud.NodeID(cloud.UUID(b[:n]).String()))
		} else if n > 0 && n <= len(b) {
			m.last = append(m.last, cloud.NodeID(b[:n]))
		} else {
			return m, errToken
		}
		b = b[n:]
	}
	return m, nil
}
