// Package local serves files over HTTP from inside the test process, over any
// store: for tests that need to have a hand in the store, or no disk at all.
// It is not how the server is put together; package app does that.
package local

import (
	"net/http"
	"net/http/httptest"
	"strings"

	"opencloud/api/dav"
	"opencloud/api/tus"
	"opencloud/cloud"
	"opencloud/core"
	"opencloud/test/faults/model"
)

// User is the only one there is. No password is asked for.
var User = &cloud.User{ID: "4c510ada-c86b-4815-8820-42cdf82c3d51", Name: "admin", Display: "Admin", Role: cloud.RoleAdmin}

// Handler serves WebDAV and resumable uploads to User.
func Handler(c *core.Core) http.Handler {
	files, uploads := dav.New(c, dav.Options{}), tus.New(c, c, tus.Options{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(cloud.WithCaller(r.Context(), cloud.Caller{User: User}))
		if r.Method == http.MethodPost || strings.HasPrefix(r.URL.Path, "/data/") {
			uploads.ServeHTTP(w, r)
			return
		}
		files.ServeHTTP(w, r)
	})
}

// Serve serves until stop is called, which waits for requests under way.
func Serve(c *core.Core) (srv *model.Server, stop func()) {
	s := httptest.NewServer(Handler(c))
	srv = model.NewServer(s.URL, User.Name, "")
	return srv, func() {
		srv.Close()
		s.Close()
	}
}
