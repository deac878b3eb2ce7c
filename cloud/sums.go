package cloud

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/adler32"
	"strings"
)

// Sums are the checksums of a file's content. Without Known the others are
// zero: nobody has read the content yet.
type Sums struct {
	SHA1    [20]byte
	MD5     [16]byte
	Adler32 uint32
	Known   bool
}

// AppendTo adds the form that clients know, "SHA1:… MD5:… ADLER32:…", or nothing when not Known.
func (s *Sums) AppendTo(b []byte) []byte {
	if !s.Known {
		return b
	}
	b = append(b, "SHA1:"...)
	b = hex.AppendEncode(b, s.SHA1[:])
	b = append(b, " MD5:"...)
	b = hex.AppendEncode(b, s.MD5[:])
	b = append(b, " ADLER32:"...)
	return hex.AppendEncode(b, binary.BigEndian.AppendUint32(nil, s.Adler32))
}

func (s Sums) String() string { return string(s.AppendTo(nil)) }

// Match compares with a sum as clients announce it, "SHA1:<hex>"; the
// algorithm's case does not matter and a blank does for the colon. An empty
// want matches, an unknown algorithm is Invalid, another sum is BadSum.
func (s *Sums) Match(want string) error {
	if want == "" {
		return nil
	}
	algo, sum, err := SplitSum(want)
	if err != nil {
		return err
	}
	var got string
	switch algo {
	case "SHA1":
		got = hex.EncodeToString(s.SHA1[:])
	case "MD5":
		got = hex.EncodeToString(s.MD5[:])
	case "ADLER32":
		got = fmt.Sprintf("%08x", s.Adler32)
		sum = strings.Repeat("0", max(0, 8-len(sum))) + sum
	}
	if got != sum {
		return BadSum
	}
	return nil
}

// SplitSum takes apart an announced sum; Invalid if the algorithm is not one of ours.
func SplitSum(s string) (algo, sum string, err error) {
	i := strings.IndexAny(s, ": ")
	if i < 0 {
		return "", "", Refuse(Invalid, "A checksum looks like SHA1:<hex>.")
	}
	algo, sum = strings.ToUpper(s[:i]), strings.ToLower(strings.TrimSpace(s[i+1:]))
	switch algo {
	case "SHA1", "MD5", "ADLER32":
		return algo, sum, nil
	}
	return "", "", Refuse(Invalid, "The checksum algorithm is not supported. Use SHA1, MD5 or ADLER32.")
}

// MarshalJSON keeps the journal readable.
func (s Sums) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Sums) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	*s = Sums{}
	if text == "" {
		return nil
	}
	var sha, md string
	if _, err := fmt.Sscanf(text, "SHA1:%40s MD5:%32s ADLER32:%08x", &sha, &md, &s.Adler32); err != nil {
		return fmt.Errorf("checksums %q: %w", text, err)
	}
	a, err1 := hex.Decode(s.SHA1[:], []byte(sha))
	b2, err2 := hex.Decode(s.MD5[:], []byte(md))
	if err1 != nil || err2 != nil || a != 20 || b2 != 16 {
		return fmt.Errorf("checksums %q: malformed", text)
	}
	s.Known = true
	return nil
}

// SumsOf are the sums of a small body.
func SumsOf(body []byte) Sums {
	return Sums{sha1.Sum(body), md5.Sum(body), adler32.Checksum(body), true}
}
