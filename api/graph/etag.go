package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// tagOf is the ETag of something whose JSON changes whenever it does.
func tagOf(v any) (string, error) {
	body, err := json.Marshal(v)
	sum := sha256.Sum256(body)
	return httpx.ETag(hex.EncodeToString(sum[:16])), err
}

// matches is Precondition unless If-Match is absent, "*", or names the tag.
// It is asked before a change and not with it: what others do in between
// goes unnoticed.
func matches(r *http.Request, tag string) error {
	want := r.Header.Get("If-Match")
	if want == "" {
		return nil
	}
	for one := range strings.SplitSeq(want, ",") {
		if one = strings.TrimSpace(one); one == "*" || one == tag {
			return nil
		}
	}
	return cloud.Precondition
}

// matchesUser is matches for a user as GET without $expand has them.
func (h *handler) matchesUser(r *http.Request, u *cloud.User) error {
	if r.Header.Get("If-Match") == "" {
		return nil
	}
	tag, err := h.userTag(r, u)
	if err != nil {
		return err
	}
	return matches(r, tag)
}

func (h *handler) userTag(r *http.Request, u *cloud.User) (string, error) {
	got, err := h.rendering(r, relations{}).user(u)
	if err != nil {
		return "", err
	}
	return tagOf(got)
}

func matchesGroup(r *http.Request, g *cloud.Group) error {
	tag, err := tagOf(groupOf(g))
	if err != nil {
		return err
	}
	return matches(r, tag)
}
