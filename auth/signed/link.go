package signed

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"hash"
	"net/http"
	"strings"
	"time"

	"opencloud/cloud"
)

// linkParam is the parameter that makes an address one that we have signed.
const linkParam = "oc-jwt-sig"

// A link is what we have signed: a JWT (RFC 7519). It names the path and not
// the query, since clients add to that (the size of a preview), and what is
// added chooses nothing else than what the path names.
type link struct {
	Path    string       `json:"path"` // below the base path, decoded
	User    cloud.UserID `json:"sub"`
	Session string       `json:"sid,omitempty"`
	Round   int64        `json:"round,omitempty"`
	Expires int64        `json:"exp"` // seconds since 1970
}

var b64 = base64.RawURLEncoding

// header is the only one there is: a token with another one is none of ours.
var header = b64.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "."

// Links returns what makes queries for paths of files that the caller may
// read (below the base path, not escaped), each to be put behind the path; nil
// for a caller who is not there in person, for a link would outlive what they
// came in by. What it returns is for one goroutine: a listing asks it often.
func (s *Signer) Links(ctx context.Context) (sign func(path string) (query string), err error) {
	c := cloud.CallerFrom(ctx)
	if !c.InPerson() {
		return nil, nil
	}
	st, err := s.state(c.User.ID)
	if err != nil {
		return nil, cloud.E("signed.Links", cloud.Ref{}, err)
	}
	l := link{User: c.User.ID, Session: c.Session, Round: st.Round, Expires: time.Now().Add(s.opts.LinkLife).Unix()}
	h := hmac.New(sha256.New, s.secret)
	var query []byte
	return func(path string) string {
		l.Path = path
		body, err := json.Marshal(l)
		if err != nil {
			panic(err) // strings and numbers can be marshalled
		}
		query = append(append(query[:0], linkParam+"="...), header...)
		query = b64.AppendEncode(query, body)
		return string(appendMAC(append(query, '.'), h, query[len(linkParam)+1:]))
	}, nil
}

// appendMAC appends the text of the code that authenticates a text.
func appendMAC(b []byte, h hash.Hash, text []byte) []byte {
	h.Reset()
	h.Write(text)
	var sum [sha256.Size]byte
	return b64.AppendEncode(b, h.Sum(sum[:0]))
}

// byLink is who may read by a link, and in which session it was signed. Wrong
// links are no guesses: there is nothing in one that could be guessed.
func (s *Signer) byLink(r *http.Request, token string) (*cloud.User, string, error) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || !reads(r.Method) || !strings.HasPrefix(token, header) {
		return nil, "", errVoid
	}
	if mac := appendMAC(nil, hmac.New(sha256.New, s.secret), []byte(token[:i])); subtle.ConstantTimeCompare(mac, []byte(token[i+1:])) != 1 {
		return nil, "", errVoid
	}
	var l link
	body, err := b64.DecodeString(strings.TrimPrefix(token[:i], header))
	if err != nil || json.Unmarshal(body, &l) != nil {
		return nil, "", errVoid
	}
	// The same path, however it is escaped, but for slashes: an escaped one
	// is no separator.
	if r.URL.Path != l.Path || strings.Count(r.URL.EscapedPath(), "/") != strings.Count(l.Path, "/") {
		return nil, "", errVoid
	}
	if time.Now().Unix() >= l.Expires || l.Session != "" && s.opts.Alive != nil && !s.opts.Alive(l.Session) {
		return nil, "", errVoid
	}
	st, err := s.state(l.User)
	if err != nil {
		return nil, "", err
	}
	if st.Round != l.Round {
		return nil, "", errVoid
	}
	u, err := s.user(r.Context(), "id", string(l.User))
	return u, l.Session, err
}
