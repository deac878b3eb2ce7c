package signed

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"opencloud/auth/basic"
	"opencloud/cloud"
)

const signatureParam = "OC-Signature"

// How clients sign: PBKDF2 with the address as the password and the key of
// the user as the salt.
const (
	algorithm  = "PBKDF2/10000-SHA512"
	rounds     = 10_000
	sumBytes   = 32
	maxExpires = 24 * time.Hour // of an address, from now on
)

// A query is what the client says of its signature.
type query struct {
	user      string
	until     time.Time
	head      bool   // for HEAD only
	signature string // hex, in lower case
	signed    string // the query without what came after the signing
}

// parse takes a query apart. What the signature is over is left as it is, to
// the byte; so it must not hold anything twice.
func parse(raw string) (q query, ok bool) {
	values := map[string]string{}
	rest, kept := make([]byte, 0, len(raw)), 0
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		ours := strings.HasPrefix(name, "OC-")
		if _, twice := values[name]; ours && twice {
			return q, false
		}
		if ours {
			values[name] = value
		}
		if name == signatureParam || name == "OC-Algo" {
			continue
		}
		if kept++; kept > 1 { // an empty one counts, too
			rest = append(rest, '&')
		}
		rest = append(rest, part...)
	}
	var err error
	if q.user, err = url.QueryUnescape(values["OC-Credential"]); err != nil || q.user == "" {
		return q, false
	}
	date, err := url.QueryUnescape(values["OC-Date"])
	if err != nil {
		return q, false
	}
	from, err := time.Parse(time.RFC3339, date)
	if err != nil {
		return q, false
	}
	seconds, err := strconv.ParseUint(values["OC-Expires"], 10, 31)
	if err != nil {
		return q, false
	}
	q.until = from.Add(time.Duration(seconds) * time.Second)
	q.head = values["OC-Verb"] == http.MethodHead
	q.signature, q.signed = values[signatureParam], string(rest)
	// The algorithm is not part of what is signed, so it is one of two texts.
	algo := values["OC-Algo"]
	return q, (q.head || values["OC-Verb"] == http.MethodGet) &&
		(algo == algorithm || algo == "PBKDF2%2F10000-SHA512") &&
		len(q.signature) == 2*sumBytes && strings.Trim(q.signature, "0123456789abcdef") == ""
}

// byKey is who has signed the address of the request.
func (s *Signer) byKey(r *http.Request, try func(account string) error) (*cloud.User, error) {
	q, ok := parse(r.URL.RawQuery)
	now := time.Now()
	// A date to come makes it no longer good than others are: clocks differ.
	if !ok || !reads(r.Method) || q.head && r.Method != http.MethodHead || !now.Before(q.until) || q.until.After(now.Add(maxExpires)) {
		return nil, errVoid
	}
	address := s.base + r.URL.EscapedPath() + "?" + q.signed
	u, err := s.user(r.Context(), "name", q.user)
	var keys []key
	switch {
	case err == nil:
		st, err := s.state(u.ID)
		if err != nil {
			return nil, err
		}
		keys = s.good(st, now)
	case cloud.KindOf(err) != cloud.Unauthorized:
		return nil, err
	}
	for _, k := range keys {
		if s.seen.Has(k.Text, address, q.signature) {
			return u, nil
		}
	}
	if err := try(basic.Account(q.user)); err != nil {
		return nil, err
	}
	if len(keys) == 0 { // takes the time, so that it does not tell who there is
		same(derive(s.nobody, address), q.signature)
		return nil, errVoid
	}
	for _, k := range keys {
		if same(derive(k.Text, address), q.signature) {
			s.seen.Add(k.Text, address, q.signature)
			return u, nil
		}
	}
	return nil, errVoid
}

// derive is the signature of an address.
func derive(key, address string) string {
	sum, err := pbkdf2.Key(sha512.New, address, []byte(key), rounds, sumBytes)
	if err != nil {
		return "" // not where SHA-512 may be used; equal to no signature
	}
	return hex.EncodeToString(sum)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
