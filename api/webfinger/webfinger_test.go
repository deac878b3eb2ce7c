package webfinger_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opencloud/api/httpx"
	"opencloud/api/webfinger"
	"opencloud/cloud"
)

const (
	issuer   = "http://openid.net/specs/connect/1.0/issuer"
	instance = "http://webfinger.opencloud/rel/server-instance"
)

func do(method, target string, u *cloud.User) *httptest.ResponseRecorder {
	h := webfinger.New(webfinger.Options{
		WebID: "web", WebScopes: []string{"openid", "profile"}, DesktopID: "OpenCloudDesktop", DesktopScopes: []string{"openid", "offline_access"},
		AndroidID: "OpenCloudAndroid", AndroidScopes: []string{"openid"}, IOSID: "OpenCloudIOS", IOSScopes: []string{"openid"},
		Issuer: "https://example.org/cloud",
	})
	r := httptest.NewRequest(method, target, nil)
	ctx := httpx.With(r.Context(), &httpx.Request{
		Log:  httpx.From(r.Context()).Log,
		Site: &httpx.Site{URL: &url.URL{Scheme: "https", Host: "example.org", Path: "/cloud"}, Challenges: []string{"Bearer"}},
	})
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r.WithContext(cloud.WithCaller(ctx, cloud.Caller{User: u})))
	return rec
}

type link struct{ Rel, Href string }

type answer struct {
	Subject    string
	Properties map[string]any
	Links      []link
}

func TestWebfinger(t *testing.T) {
	ada := &cloud.User{ID: "1", Name: "ada"}
	at := link{issuer, "https://example.org/cloud"}
	here := link{instance, "https://example.org/cloud"}
	as := func(id string, scopes ...any) map[string]any {
		return map[string]any{"http://opencloud.eu/ns/oidc/client_id": id, "http://opencloud.eu/ns/oidc/scopes": scopes}
	}
	for _, c := range []struct {
		what, resource, more string
		user                 *cloud.User
		want                 answer
	}{
		{"web", "https://example.org/cloud/", "&platform=web&rel=" + url.QueryEscape(issuer), nil, answer{"", as("web", "openid", "profile"), []link{at}}},
		{"desktop", "https://example.org/cloud", "&platform=desktop&rel=" + url.QueryEscape(issuer), nil, answer{"", as("OpenCloudDesktop", "openid", "offline_access"), []link{at}}},
		{"android", "http://1.2.3.4:9200//x?a=b&c", "&platform=android", nil, answer{"", as("OpenCloudAndroid", "openid"), []link{at}}},
		{"ios", "https://Übel.example/", "&platform=ios", nil, answer{"", as("OpenCloudIOS", "openid"), []link{at}}},
		{"an older client", "https://example.org", "", nil, answer{"", nil, []link{at}}},
		{"another relation", "https://example.org", "&rel=x", nil, answer{"", nil, []link{}}},
		{"the account", "acct:me@example.org", "", ada, answer{"", nil, []link{at, here}}},
		{"the server of the account", "acct:me@example.org", "&rel=" + url.QueryEscape(instance), ada, answer{"", nil, []link{here}}},
	} {
		rec := do("GET", "/.well-known/webfinger?resource="+url.QueryEscape(c.resource)+c.more, c.user)
		if got := rec.Header().Get("Content-Type"); rec.Code != 200 || got != "application/json" {
			t.Errorf("%s: %d, Content-Type %q", c.what, rec.Code, got)
		}
		var got answer
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		c.want.Subject = c.resource
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

func TestRefused(t *testing.T) {
	const path = "/.well-known/webfinger"
	for _, c := range []struct {
		method, target string
		want           int
	}{
		{"GET", path, 400},
		{"GET", path + "?resource=", 400},
		{"GET", path + "?resource=https://a&resource=https://b", 400},
		{"GET", path + "?resource=https://a%00", 400},
		{"GET", path + "?resource=https://a/%ff", 400},
		{"GET", path + "?resource=acct:me@example.org", 401},
		{"GET", path + "?resource=mailto:me@example.org", 404},
		{"GET", path + "/x?resource=https://a", 404},
		{"POST", path + "?resource=https://a", 404},
		{"HEAD", path + "?resource=https://a", 200},
	} {
		rec := do(c.method, c.target, nil)
		if rec.Code != c.want || c.method == "HEAD" && rec.Body.Len() > 0 || (rec.Code == 401) != (rec.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s %s: got %d %s, want %d", c.method, c.target, rec.Code, rec.Body, c.want)
		}
	}
}
