package apptokens

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"opencloud/auth/apptoken"
	"opencloud/cloud"
	"opencloud/core"
	dirmem "opencloud/directory/mem"
	"opencloud/storage/mem"
)

var (
	admin = &cloud.User{ID: "a1111111-0000-4000-8000-000000000001", Name: "admin", Role: cloud.RoleAdmin}
	ada   = &cloud.User{ID: "a1111111-0000-4000-8000-000000000002", Name: "ada", Role: cloud.RoleUser}
)

// Steps of two people at the end point.
func TestTokens(t *testing.T) {
	dir := dirmem.New(admin, ada)
	people, err := core.NewPeople(core.New(mem.New(), core.Options{}), dir, dir, core.PeopleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := apptoken.Open(t.TempDir(), dir, apptoken.Options{Generator: apptoken.Diceware}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h := New(core.NewAppTokens(store, dir, core.AppTokenOptions{Impersonation: true}), people)
	do := func(status int, u *cloud.User, method, query string, answer any) *httptest.ResponseRecorder {
		t.Helper()
		ctx := cloud.WithCaller(t.Context(), cloud.Caller{User: u})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, method, "/auth-app/tokens"+query, nil))
		if w.Code != status {
			t.Fatalf("%s %s: %d, want %d: %s", method, query, w.Code, status, w.Body)
		}
		if answer != nil {
			if err := json.Unmarshal(w.Body.Bytes(), answer); err != nil {
				t.Fatalf("%s %s: %v: %s", method, query, err, w.Body)
			}
		}
		return w
	}
	if got := do(200, ada, "GET", "", nil).Body.String(); got != "[]" {
		t.Errorf("none: %s", got)
	}
	type shown map[string]any
	var made shown
	do(200, ada, "POST", "?expiry=72h&label=my%20phone", &made)
	secret, _ := made["token"].(string)
	if _, err := store.Owner(t.Context(), "ada", secret); err != nil || made["label"] != "my phone" || len(made) != 4 {
		t.Errorf("made %v, %v", made, err)
	}
	var list []shown
	w := do(200, ada, "GET", "", &list)
	if len(list) != 1 || list[0]["created_date"] != made["created_date"] || list[0]["expiration_date"] != made["expiration_date"] || list[0]["label"] != "my phone" {
		t.Errorf("list %v after %v", list, made)
	}
	if strings.Contains(w.Body.String(), secret) || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("the list tells the secret: %v %s", w.Header(), w.Body)
	}
	if list[0]["last_used_date"] == nil {
		t.Error("it was used, and the list does not say so")
	}
	do(200, admin, "POST", "?expiry=1h&userName=ADA", nil)
	do(200, admin, "POST", "?expiry=1h&userID="+string(ada.ID), nil)
	do(200, ada, "GET", "?userName=ada", &list)
	if len(list) != 3 {
		t.Errorf("%d tokens", len(list))
	}
	for _, c := range []struct {
		status        int
		u             *cloud.User
		method, query string
	}{
		{400, ada, "POST", ""}, {400, ada, "POST", "?expiry=72"}, {400, ada, "POST", "?expiry=-1h"}, {400, ada, "POST", "?expiry=1000000h"},
		{400, ada, "POST", "?expiry=1h&label=a%0ab"}, {400, ada, "POST", "?expiry=1h;label=x"}, {400, ada, "POST", "?%zz"},
		{400, admin, "POST", "?expiry=1h&userName=ada&userID=" + string(ada.ID)},
		{404, ada, "POST", "?expiry=1h&userName=admin"}, {403, ada, "POST", "?expiry=1h&userID=" + string(admin.ID)}, {404, admin, "POST", "?expiry=1h&userName=eve"},
		{400, ada, "DELETE", ""}, {404, ada, "DELETE", "?token=x"}, {404, ada, "DELETE", "?token=" + secret}, {404, admin, "DELETE", "?token=" + list[0]["token"].(string)},
		{405, ada, "PUT", ""}, {401, nil, "GET", ""}, {401, nil, "POST", "?expiry=1h"}, {401, nil, "DELETE", "?token=x"},
	} {
		do(c.status, c.u, c.method, c.query, nil)
	}
	slices.Reverse(list)
	for _, tok := range list {
		if w := do(200, ada, "DELETE", "?token="+tok["token"].(string), nil); w.Body.Len() != 0 {
			t.Errorf("body %s", w.Body)
		}
	}
	if got := do(200, ada, http.MethodHead, "", nil); got.Body.Len() != 0 || got.Header().Get("Content-Length") != "2" {
		t.Errorf("HEAD of none: %v %s", got.Header(), got.Body)
	}
}
