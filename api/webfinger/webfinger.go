// Package webfinger answers the question with which clients begin (RFC 7033):
// who signs people in here, and as which OpenID Connect client. It knows
// nothing of other servers, and of users only that one has signed in.
package webfinger

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// Options are what each kind of client is told to sign in with.
type Options struct {
	WebID         string   `yaml:"web_client_id" env:"WEBFINGER_WEB_OIDC_CLIENT_ID;WEB_OIDC_CLIENT_ID;OC_OIDC_CLIENT_ID" default:"web" doc:"OpenID Connect client of the web app."`
	WebScopes     []string `yaml:"web_scopes" env:"WEBFINGER_WEB_OIDC_CLIENT_SCOPES" default:"openid,profile,email" doc:"Scopes that the web app asks for; with offline_access it stays signed in when the browser's session has ended."`
	DesktopID     string   `yaml:"desktop_client_id" env:"WEBFINGER_DESKTOP_OIDC_CLIENT_ID;OC_OIDC_CLIENT_ID" default:"OpenCloudDesktop" doc:"OpenID Connect client of the desktop app."`
	DesktopScopes []string `yaml:"desktop_scopes" env:"WEBFINGER_DESKTOP_OIDC_CLIENT_SCOPES" default:"openid,profile,email,offline_access" doc:"Scopes that the desktop app asks for."`
	AndroidID     string   `yaml:"android_client_id" env:"WEBFINGER_ANDROID_OIDC_CLIENT_ID;OC_OIDC_CLIENT_ID" default:"OpenCloudAndroid" doc:"OpenID Connect client of the Android app."`
	AndroidScopes []string `yaml:"android_scopes" env:"WEBFINGER_ANDROID_OIDC_CLIENT_SCOPES" default:"openid,profile,email,offline_access" doc:"Scopes that the Android app asks for."`
	IOSID         string   `yaml:"ios_client_id" env:"WEBFINGER_IOS_OIDC_CLIENT_ID;OC_OIDC_CLIENT_ID" default:"OpenCloudIOS" doc:"OpenID Connect client of the iOS app."`
	IOSScopes     []string `yaml:"ios_scopes" env:"WEBFINGER_IOS_OIDC_CLIENT_SCOPES" default:"openid,profile,email,offline_access" doc:"Scopes that the iOS app asks for."`

	Issuer string `yaml:"-"` // of OpenID Connect
}

// Names that clients look for.
const (
	relIssuer   = "http://openid.net/specs/connect/1.0/issuer"
	relInstance = "http://webfinger.opencloud/rel/server-instance"
	clientID    = "http://opencloud.eu/ns/oidc/client_id"
	scopes      = "http://opencloud.eu/ns/oidc/scopes"
)

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// descriptor is a JRD (RFC 7033, section 4.4); the order of links counts.
type descriptor struct {
	Subject    string         `json:"subject"`
	Properties map[string]any `json:"properties,omitempty"`
	Links      []link         `json:"links"`
}

// maxResource bounds what is asked about, in bytes.
const maxResource = 2000

type handler struct{ opts Options }

// New serves /.well-known/webfinger to anybody; the caller, if there is one,
// learns on which server the account is.
func New(opts Options) http.Handler { return &handler{opts} }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.URL.Path != "/.well-known/webfinger" {
		httpx.WriteText(w, r, cloud.NotExist)
		return
	}
	d, err := h.describe(r)
	if err != nil {
		httpx.WriteText(w, r, err)
		return
	}
	var body strings.Builder
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // the subject is compared with what was sent
	if err := enc.Encode(d); err != nil {
		panic(err) // strings can be encoded
	}
	out := w.Header()
	out.Set("Content-Type", "application/json") // of application/jrd+json clients know nothing
	out.Set("Access-Control-Allow-Origin", "*") // RFC 7033, section 5
	out.Set("Cache-Control", "no-store")
	if r.Method != http.MethodHead {
		w.Write([]byte(body.String()))
	}
}

// describe says of every address that it is ours: a server has many names,
// and the client has reached it by this one.
func (h *handler) describe(r *http.Request) (*descriptor, error) {
	q := r.URL.Query()
	resource := q.Get("resource")
	u, err := url.Parse(resource)
	if err != nil || resource == "" || len(q["resource"]) > 1 || len(resource) > maxResource || !utf8.ValidString(resource) {
		return nil, cloud.Refuse(cloud.Invalid, "The parameter resource is missing or not valid.")
	}
	d := &descriptor{Subject: resource, Links: []link{}}
	wants := func(rel string) bool { return len(q["rel"]) == 0 || slices.Contains(q["rel"], rel) }
	signedIn := cloud.CallerFrom(r.Context()).User != nil
	switch u.Scheme {
	case "http", "https":
	case "acct":
		if !signedIn {
			return nil, cloud.Unauthorized
		}
	default:
		return nil, cloud.NotExist
	}
	if h.opts.Issuer != "" && wants(relIssuer) {
		d.Links = append(d.Links, link{relIssuer, h.opts.Issuer})
		d.Properties = h.properties(q.Get("platform"))
	}
	if signedIn && wants(relInstance) {
		d.Links = append(d.Links, link{relInstance, httpx.From(r.Context()).Site.Abs("")})
	}
	return d, nil
}

func (h *handler) properties(platform string) map[string]any {
	o := &h.opts
	switch platform {
	case "web":
		return map[string]any{clientID: o.WebID, scopes: o.WebScopes}
	case "desktop":
		return map[string]any{clientID: o.DesktopID, scopes: o.DesktopScopes}
	case "android":
		return map[string]any{clientID: o.AndroidID, scopes: o.AndroidScopes}
	case "ios":
		return map[string]any{clientID: o.IOSID, scopes: o.IOSScopes}
	}
	return nil
}
