package idp

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"opencloud/auth/idp/page"
	"opencloud/auth/idp/session"
	"opencloud/cloud"
)

// A farewell is a wish to sign out (RP-Initiated Logout 1.0).
type farewell struct {
	client  *client // nil: not said
	session string  // of the ID token that came with it
	to      string  // where to go then, verified; empty: nowhere
	query   string
}

func (p *Provider) parseFarewell(q url.Values) (*farewell, error) {
	f := &farewell{query: q.Encode()}
	if err := single(q); err != nil {
		return nil, err
	}
	if len(f.query) > maxQuery {
		return nil, &refusal{"invalid_request", "The request is too long."}
	}
	if id := q.Get("client_id"); id != "" {
		if f.client = p.clients[id]; f.client == nil {
			return nil, &refusal{"invalid_client", "The program that wants you to sign out is not known here."}
		}
	}
	if hint := q.Get("id_token_hint"); hint != "" {
		// It may have expired: it only says who wants to go.
		c, err := p.read(typeID, hint)
		switch {
		case err != nil:
			// Of before the keys were lost, perhaps. As good as none.
		case f.client != nil && f.client.id != c.Audience:
			return nil, &refusal{"invalid_request", "The ID token is another program's."}
		default:
			f.client, f.session = p.clients[c.Audience], c.Session
		}
	}
	if to := q.Get("post_logout_redirect_uri"); to != "" && f.client != nil {
		if !slices.Contains(f.client.afterwards, to) {
			return nil, &refusal{"invalid_request", "The program that wants you to sign out would send you to an address that is not known here."}
		}
		f.to = to
		if state := q.Get("state"); state != "" {
			f.to = withQuery(to, url.Values{"state": {state}})
		}
	}
	return f, nil
}

// endSession signs the browser out. Without a token that is of its session
// the user is asked, since any page can send a browser here.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	yes := false
	if r.Method == http.MethodPost {
		if !formType(r) || r.ParseForm() != nil {
			p.pages.Failed(w, r, http.StatusBadRequest, "", "")
			return
		}
		q = r.PostForm
		if answer := q.Get("answer"); answer != "" {
			q, _ = url.ParseQuery(q.Get("request"))
			yes = answer == "yes" && p.pages.Mine(r)
		}
	}
	f, err := p.parseFarewell(q)
	if err != nil {
		p.refuse(w, r, &request{}, err)
		return
	}
	s, u, err := p.browser(r)
	if err != nil {
		p.refuse(w, r, &request{}, err)
		return
	}
	if s != nil && s.ID != f.session && !yes {
		p.pages.Leave(w, r, f.query, f.to, u)
		return
	}
	ids := []string{f.session}
	if s != nil {
		ids = append(ids, s.ID)
	}
	for _, id := range ids {
		if b := p.live.Get(id); b != nil && !b.App() && f.client != nil {
			// Who signs out in a client means all of it; other apps go on.
			for _, s := range p.live.Of(b.User) {
				if s.Client == f.client.id && s.Parent == b.ID {
					ids = append(ids, s.ID)
				}
			}
		}
	}
	if err := p.end(r.Context(), ids...); err != nil {
		p.refuse(w, r, &request{}, err)
		return
	}
	p.setCookie(w, "session", "", -1)
	p.setCookie(w, "state", "", -1)
	if f.to == "" {
		p.pages.Left(w, r)
		return
	}
	w.Header().Set("Location", f.to)
	w.WriteHeader(http.StatusSeeOther)
}

// end ends sessions and tells the clients that want to know.
func (p *Provider) end(ctx context.Context, ids ...string) error {
	ended, err := p.live.End(ids...)
	p.tellAll(ctx, ended)
	return err
}

func (p *Provider) tellAll(ctx context.Context, ended []*session.Session) {
	for _, s := range ended {
		for _, id := range s.Tell {
			if c := p.clients[id]; c != nil {
				p.tell(ctx, c, s)
			}
		}
	}
}

// tell sends a logout token (Back-Channel Logout 1.0, section 2.5), once.
func (p *Provider) tell(ctx context.Context, c *client, s *session.Session) {
	ctx = context.WithoutCancel(ctx)
	raw, err := p.sign(typeLogout, claims{
		Subject: s.User, Audience: c.id, ID: random(16), Session: s.ID,
		Events: map[string]struct{}{"http://schemas.openid.net/event/backchannel-logout": {}},
	}, 2*time.Minute)
	if err != nil {
		p.log.ErrorContext(ctx, "a client cannot be told of a sign-out", "client", c.id, "error", err)
		return
	}
	select {
	case p.tellers <- struct{}{}:
	default:
		p.log.WarnContext(ctx, "a client is not told of a sign-out: there are too many at once", "client", c.id)
		return
	}
	p.telling.Go(func() {
		defer func() { <-p.tellers }()
		body := url.Values{"logout_token": {raw}}.Encode()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.backchannel, strings.NewReader(body))
		if err == nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			var resp *http.Response
			if resp, err = p.told.Do(req); err == nil {
				resp.Body.Close()
				if resp.StatusCode >= 300 {
					err = cloud.Refuse(cloud.Other, "it answered %s", resp.Status)
				}
			}
		}
		if err != nil {
			p.log.WarnContext(ctx, "a client could not be told of a sign-out", "client", c.id, "error", err)
		}
	})
}

// browserState is what a page may know of a session: whether it is the same
// one as before (Session Management 1.0, section 3.2).
func browserState(s *session.Session) string { return digest("state " + s.Secret)[:22] }

// sessionState is browserState as a client gets it.
func (p *Provider) sessionState(req *request, s *session.Session) string {
	origin := ""
	if u, err := url.Parse(req.redirect); err == nil {
		origin = u.Scheme + "://" + u.Host
	}
	salt := random(12)
	sum := sha256.Sum256([]byte(req.client.id + " " + origin + " " + browserState(s) + " " + salt))
	return hex.EncodeToString(sum[:]) + "." + salt
}

//go:embed checksession.js
var checkJS string

// checkSession is for a frame of a client, which asks it whether somebody
// else is signed in (Session Management 1.0, section 3.2).
func (p *Provider) checkSession(w http.ResponseWriter, _ *http.Request) {
	js := strings.ReplaceAll(checkJS, "COOKIE", p.cookie("state"))
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src '"+page.HashOf(js)+"'; base-uri 'none'; frame-ancestors 'self'")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	w.Write([]byte("<!DOCTYPE html>\n<title>Session</title>\n<script>" + js + "</script>\n"))
}
