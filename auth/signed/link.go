package signed

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
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
// came in by.
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
	return func(path string) string {
		l.Path = path
		body, err := json.Marshal(l)
		if err != nil {
			panic(err) // strings and numbers can be marshalled
		}
		text := header + b64.EncodeToString(body)
		return linkParam + "=" + text + "." + s.mac(text)
	}, nil
}

func (s *Signer) mac(text string) string {
	h := hmac.New(sha256.New, s.secret)
	h.Write([]byte(text))
	return b64.EncodeToString(h.Sum(nil))
}

// byLink is who may read by a link, and in which session it was signed. Wrong
// links are no guesses: there is nothing in one that could be guessed.
func (s *Signer) byLink(r *http.Request, token string) (*cloud.User, string, error) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || !reads(r.Method) || !strings.HasPrefix(token, header) || subtle.ConstantTimeCompare([]byte(s.mac(token[:i])), []byte(token[i+1:])) != 1 {
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
