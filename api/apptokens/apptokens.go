// Package apptokens serves /auth-app/tokens, where people make the passwords
// of their programs. It translates between JSON and cloud.AppTokens and
// decides nothing.
package apptokens

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

type handler struct {
	tokens cloud.AppTokens
	people cloud.People
}

// New serves one path, whatever it is called: GET lists the tokens, POST
// makes one, DELETE removes one. All that is asked for is in the query:
// expiry ("72h"), label, token, and whose tokens are meant (userName or
// userID) if not the caller's.
func New(tokens cloud.AppTokens, people cloud.People) http.Handler {
	return &handler{tokens, people}
}

// token is a token on its way to a client. Of one that is new, Token is the
// secret; after that it is the name that DELETE takes.
type token struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expiration_date"`
	Made    time.Time `json:"created_date"`
	Used    time.Time `json:"last_used_date,omitzero"`
	Label   string    `json:"label"`
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer any
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		httpx.FailOData(w, r, cloud.Refuse(cloud.Invalid, "The query is not properly encoded."))
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		answer, err = h.list(r, query)
	case http.MethodPost:
		answer, err = h.make(r, query)
	case http.MethodDelete:
		err = h.remove(r, query)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST, DELETE")
		httpx.WriteOData(w, r, http.StatusMethodNotAllowed, cloud.NotSupported.Face().OData, "This cannot be done here.")
		return
	}
	if err != nil {
		httpx.FailOData(w, r, err)
		return
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if answer == nil {
		header.Set("Content-Length", "0")
		return
	}
	body, err := json.Marshal(answer)
	if err != nil {
		httpx.FailOData(w, r, err)
		return
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// whose is the user whose tokens are meant.
func (h *handler) whose(r *http.Request, query url.Values) (cloud.UserID, error) {
	name, id := query.Get("userName"), query.Get("userID")
	switch {
	case name != "" && id != "":
		return "", cloud.Refuse(cloud.Invalid, "Say userName or userID, not both.")
	case name != "":
		u, err := h.people.User(r.Context(), "name", name)
		if err != nil {
			return "", err
		}
		return u.ID, nil
	case id != "":
		return cloud.UserID(id), nil
	}
	return cloud.CallerFrom(r.Context()).ID(), nil
}

func (h *handler) list(r *http.Request, query url.Values) (any, error) {
	of, err := h.whose(r, query)
	if err != nil {
		return nil, err
	}
	found, err := h.tokens.AppTokens(r.Context(), of)
	if err != nil {
		return nil, err
	}
	all := make([]token, len(found))
	for i, t := range found {
		all[i] = token{t.ID, t.Expires, t.Made, t.Used, t.Label}
	}
	return all, nil
}

func (h *handler) make(r *http.Request, query url.Values) (any, error) {
	life, err := time.ParseDuration(query.Get("expiry"))
	if err != nil {
		return nil, cloud.Refuse(cloud.Invalid, "The parameter expiry says how long the token is valid, such as 72h.")
	}
	of, err := h.whose(r, query)
	if err != nil {
		return nil, err
	}
	t, secret, err := h.tokens.MakeAppToken(r.Context(), of, query.Get("label"), life)
	if err != nil {
		return nil, err
	}
	return token{Token: secret, Expires: t.Expires, Made: t.Made, Label: t.Label}, nil
}

func (h *handler) remove(r *http.Request, query url.Values) error {
	id := query.Get("token")
	if id == "" {
		return cloud.Refuse(cloud.Invalid, "The parameter token says which token is to be removed.")
	}
	of, err := h.whose(r, query)
	if err != nil {
		return err
	}
	return h.tokens.RevokeAppToken(r.Context(), of, id)
}
