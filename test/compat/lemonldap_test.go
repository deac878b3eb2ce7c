package compat

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"opencloud/test/daemon"
)

// lemonldap starts the portal of LemonLDAP::NG as a provider with its
// demonstration users, and returns the issuer.
func lemonldap(t *testing.T) string {
	t.Helper()
	tool(t, "plackup", "libplack-perl")
	for module, pkg := range map[string]string{"Lemonldap::NG::Portal::Main": "liblemonldap-ng-portal-perl", "String::Random": "libstring-random-perl", "IO::String": "libio-string-perl"} {
		if exec.Command("perl", "-M"+module, "-e1").Run() != nil {
			if os.Getenv("COMPAT_REQUIRE") != "" {
				t.Fatalf("%s is not installed: apt-get install %s", module, pkg)
			}
			t.Skipf("%s is not installed: apt-get install %s", module, pkg)
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	dir, addr := t.TempDir(), daemon.FreeAddr(t)
	issuer := "http://" + addr
	store := map[string]any{"Directory": dir, "LockDirectory": dir}
	conf, err := json.Marshal(map[string]any{
		"cfgNum": 1, "cfgAuthor": "test", "cfgDate": 1, "cfgVersion": "2.16.1",
		"portal": issuer + "/", "domain": "127.0.0.1", "cookieName": "lemonldap", "securedCookie": 0, "key": "a key for tests",
		"authentication": "Demo", "userDB": "Same", "passwordDB": "Null", "registerDB": "Null",
		"globalStorage": "Apache::Session::File", "globalStorageOptions": store, "persistentStorage": "Apache::Session::File", "persistentStorageOptions": store,
		"demoExportedVars": map[string]any{"cn": "cn", "mail": "mail", "uid": "uid"}, "groups": map[string]any{"timelords": "$uid eq 'dwho'"},
		"locationRules": map[string]any{}, "exportedHeaders": map[string]any{}, "vhostOptions": map[string]any{}, "exportedVars": map[string]any{}, "macros": map[string]any{},
		"whatToTrace": "uid", "requireToken": 0, "captcha": "::Lib::OneTimeToken", // any module will do that needs no pictures
		"issuerDBOpenIDConnectActivation": 1, "oidcServiceMetaDataIssuer": issuer, "oidcServiceAllowAuthorizationCodeFlow": 1, "oidcServiceKeyIdSig": "k1",
		"oidcServicePrivateKeySig": asPEM("PRIVATE KEY", private), "oidcServicePublicKeySig": asPEM("PUBLIC KEY", public),
		"oidcRPMetaDataOptions": map[string]any{"web": map[string]any{
			"oidcRPMetaDataOptionsClientID": "web", "oidcRPMetaDataOptionsPublic": 1, "oidcRPMetaDataOptionsRequirePKCE": 1, "oidcRPMetaDataOptionsBypassConsent": 1,
			"oidcRPMetaDataOptionsRedirectUris": "http://127.0.0.1/callback", "oidcRPMetaDataOptionsIDTokenSignAlg": "RS256", "oidcRPMetaDataOptionsUserIDAttr": "uid",
			"oidcRPMetaDataOptionsAccessTokenSignAlg": "RS256", "oidcRPMetaDataOptionsAccessTokenJWT": 1,
		}},
		"oidcRPMetaDataExportedVars":       map[string]any{"web": map[string]any{"preferred_username": "uid", "name": "cn", "email": "mail", "groups": "groups;string;always"}},
		"oidcRPMetaDataOptionsExtraClaims": map[string]any{"web": map[string]any{"crew": "groups"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"lmConf-1.json":    string(conf),
		"app.psgi":         "use Lemonldap::NG::Portal::Main;\nLemonldap::NG::Portal::Main->run({});\n",
		"lemonldap-ng.ini": "[all]\nlogLevel = warn\n[configuration]\ntype = File\ndirName = " + dir + "\n[portal]\nstaticPrefix = /static\ntemplateDir = /usr/share/lemonldap-ng/portal/templates\nlanguages = en\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("plackup", "--host", "127.0.0.1", "--port", issuer[len("http://127.0.0.1:"):], filepath.Join(dir, "app.psgi"))
	cmd.Env = append(os.Environ(), "LLNG_DEFAULTCONFFILE="+filepath.Join(dir, "lemonldap-ng.ini"))
	log := filepath.Join(dir, "log")
	if cmd.Stderr, err = os.Create(log); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			body, _ := os.ReadFile(log)
			t.Logf("LemonLDAP::NG said:\n%s", tail(string(body)))
		}
	})
	limit := time.After(30 * time.Second)
	for {
		resp, err := http.Get(issuer + "/.well-known/openid-configuration")
		if err == nil {
			resp.Body.Close()
			return issuer
		}
		select {
		case <-limit:
			t.Fatal(err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TestLemonLDAP signs in with a password at a portal whose access tokens are
// JWTs without a session, and whose userinfo has the groups.
func TestLemonLDAP(t *testing.T) {
	issuer := lemonldap(t)
	s := daemon.Start(t, "", "OC_OIDC_ISSUER="+issuer, "OC_OIDC_AUDIENCE=web", "PROXY_AUTOPROVISION_ACCOUNTS=true")
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, via []*http.Request) error { return http.ErrUseLastResponse }}
	v := &guest{provider: &provider{t: t, issuer: issuer}, http: browser, app: oauth2.Config{
		ClientID: "web", RedirectURL: "http://127.0.0.1/callback", Scopes: []string{"openid", "profile", "email", "crew"},
		Endpoint: oauth2.Endpoint{AuthURL: issuer + "/oauth2/authorize", TokenURL: issuer + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams},
	}}
	verifier := oauth2.GenerateVerifier()
	resp, err := browser.PostForm(v.app.AuthCodeURL("st", oauth2.S256ChallengeOption(verifier)), url.Values{"user": {"dwho"}, "password": {"dwho"}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("no code but %s: %s", resp.Status, tail(string(body)))
	}
	if v.Token, err = v.app.Exchange(t.Context(), to.Query().Get("code"), oauth2.VerifierOption(verifier)); err != nil {
		t.Fatal(err)
	}
	v.recovers(s, 200, "/graph/v1.0/me")
	if name, groups := v.me(s); name != "dwho" || groups != "timelords users" {
		t.Errorf("got %s, %q", name, groups)
	}
	v.do(s, 201, "PUT", "/remote.php/webdav/file.txt", "hello")
	v.do(s, 207, "PROPFIND", "/remote.php/webdav/", "", "Depth", "1")
	// The ID token is for the app alone.
	v.AccessToken, _ = v.Extra("id_token").(string)
	v.do(s, 401, "GET", "/graph/v1.0/me", "")
}
