package dav

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"opencloud/cloud"
	"opencloud/core"
	"opencloud/storage/mem"
)

// A tree that is too large to tell is told in part, and the answer says so.
func TestTruncated(t *testing.T) {
	files := core.New(mem.New(), core.Options{})
	u := &cloud.User{ID: "11111111-1111-4111-8111-111111111111", Name: "ada", Role: cloud.RoleUser}
	ctx := cloud.WithCaller(context.Background(), cloud.Caller{User: u})
	home, err := files.Home(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"d", "d/a", "d/a/b", "d/a/b/c"} {
		if _, err := files.MakeDir(ctx, cloud.Ref{Space: home.ID, Path: path}, cloud.Conditions{}); err != nil {
			t.Fatal(err)
		}
	}
	h := New(files, Options{DepthInfinity: true}).(*handler)
	const mark = "<d:response><d:href>/webdav/d/</d:href><d:status>HTTP/1.1 507 Insufficient Storage</d:status>" +
		"<d:error><d:number-of-matches-within-limits/></d:error></d:response></d:multistatus>"
	for h.most = 1; h.most <= 5; h.most++ {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("PROPFIND", "/webdav/d", nil).WithContext(ctx))
		got := strings.Count(rec.Body.String(), "<d:propstat>")
		if want := min(h.most, 4); got != want {
			t.Errorf("most %d: got %d entries, want %d", h.most, got, want)
		}
		if cut := strings.Contains(rec.Body.String(), mark); cut != (h.most < 4) {
			t.Errorf("most %d: cut short is %v\n%s", h.most, cut, rec.Body)
		}
	}
}
