package oidc

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"opencloud/cloud"
)

// Paths of the end points, below the base path.
const (
	discoveryPath = "/.well-known/openid-configuration"
	logoutPath    = "/backchannel_logout"
)

// event is what a logout token tells of (Back-Channel Logout 1.0, section 2.4).
const event = "http://schemas.openid.net/event/backchannel-logout"

// maxForm bounds what the issuer posts, in bytes; maxID its identifiers.
const (
	maxForm = 32 << 10
	maxID   = 500
)

// maxAge is how old a logout token may be that does not say when it expires.
const maxAge = 10 * time.Minute

// Handler serves the end points that need no caller, and sees paths without
// the base path: where the issuer tells of sign-outs and, if wanted, its
// discovery document.
func (i *Issuer) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		switch {
		case r.URL.Path == logoutPath && r.Method == http.MethodPost:
			i.logout(w, r)
		case r.URL.Path == logoutPath:
			h.Set("Allow", "POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
		case r.URL.Path == discoveryPath && i.opts.Rewrite && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			i.discovery(w, r)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

func (i *Issuer) discovery(w http.ResponseWriter, r *http.Request) {
	s, err := i.remote.now(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Content-Type", "application/json")
	w.Write(s.raw)
}

// logout takes a logout token (Back-Channel Logout 1.0, section 2.5).
func (i *Issuer) logout(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") || r.ParseForm() != nil || len(r.PostForm["logout_token"]) != 1 {
		fail(w, cloud.Refuse(cloud.Invalid, "The form has no logout_token."))
		return
	}
	err := i.end(r.Context(), r.PostForm.Get("logout_token"))
	if err != nil {
		i.log.InfoContext(r.Context(), "a sign-out at the OpenID Connect issuer was not understood", "error", err)
		fail(w, err)
	}
}

// fail answers as OAuth does. Whoever asks is a program.
func fail(w http.ResponseWriter, err error) {
	status, code := http.StatusBadRequest, "invalid_request"
	switch cloud.KindOf(err) {
	case cloud.Unavailable:
		status, code = http.StatusServiceUnavailable, "temporarily_unavailable"
		w.Header().Set("Retry-After", "5")
	case cloud.Other, cloud.Full:
		status, code = http.StatusInternalServerError, "server_error"
	}
	body, _ := json.Marshal(map[string]string{"error": code, "error_description": cloud.Say(err)})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

// A farewell is what a logout token says, once it is known to be good.
type farewell struct {
	id, session, subject string
	at                   time.Time
}

// end ends what a logout token names.
func (i *Issuer) end(ctx context.Context, raw string) error {
	f, err := i.farewell(ctx, raw)
	if err != nil {
		return err
	}
	at := time.Now()
	if f.at.After(at) {
		at = f.at
	}
	var over []mark
	switch {
	case f.session == "":
		over = append(over, mark{subject, f.subject})
	case f.subject == "":
		over = append(over, mark{session, f.session})
	default:
		over = append(over, mark{session, f.session}, mark{unnamed, f.subject})
	}
	fresh, err := i.ended.add(at, mark{seen, f.id}, over...)
	if err != nil {
		return cloud.E("oidc.logout", cloud.Ref{}, err)
	}
	if !fresh {
		return bad("it was used before")
	}
	return nil
}

// farewell checks a logout token (section 2.6).
func (i *Issuer) farewell(ctx context.Context, raw string) (f farewell, err error) {
	if len(raw) > maxToken {
		return f, bad("it is too long")
	}
	jws, err := parse(raw, "", "jwt", "logout+jwt")
	if err != nil {
		return f, bad("it is not one")
	}
	c, err := parseClaims(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return f, bad("it is not one")
	}
	if f, err = c.farewell(time.Now()); err != nil {
		return f, err
	}
	if !c.isFor(i.opts.Clients) && !c.isFor(i.opts.Audience) {
		return f, bad("it is for somebody else (aud)")
	}
	if err := i.signed(ctx, jws, c); err != nil {
		if cloud.KindOf(err) == cloud.Unauthorized {
			return f, bad("it is not the issuer's")
		}
		return f, err
	}
	return f, nil
}

// farewell checks what a logout token says, not who says it nor to whom.
func (c claims) farewell(now time.Time) (f farewell, err error) {
	for name, to := range map[string]*string{"jti": &f.id, "sid": &f.session, "sub": &f.subject} {
		if *to, _, err = c.text(name); err != nil || len(*to) > maxID {
			return f, bad(name + " is not a short text")
		}
	}
	var issued bool
	f.at, issued = c.when("iat")
	exp, expires := c.when("exp")
	events, _ := c["events"].(map[string]any)
	_, signsOut := events[event].(map[string]any)
	_, nonce := c["nonce"]
	_, says := c["exp"]
	switch {
	case f.id == "":
		return f, bad("it has no jti")
	case f.session == "" && f.subject == "":
		return f, bad("it has neither sid nor sub")
	case !signsOut:
		return f, bad("it does not tell of a sign-out (events)")
	case nonce:
		return f, bad("it has a nonce")
	case !issued, early(c, now), says && !expires:
		return f, bad("its times are not valid")
	case expires && !now.Before(exp), !expires && now.Sub(f.at) > maxAge:
		return f, bad("it has expired")
	}
	return f, nil
}

func bad(why string) error {
	return cloud.Refuse(cloud.Invalid, "The logout token is not valid: %s.", why)
}
