package dav

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"pgregory.net/rapid"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// BenchmarkEntry renders 1,000 entries as a sync client asks for them, and nothing else.
func BenchmarkEntry(b *testing.B) {
	q, err := parsePropfind([]byte(`<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop>` +
		`<d:resourcetype/><d:getlastmodified/><d:getcontentlength/><d:getetag/><oc:id/><oc:permissions/><oc:checksums/></d:prop></d:propfind>`))
	if err != nil {
		b.Fatal(err)
	}
	const space = "11111111-1111-4111-8111-111111111111$22222222-2222-4222-8222-222222222222"
	nodes := make([]*cloud.Node, 1000)
	for i := range nodes {
		nodes[i] = &cloud.Node{
			ID: cloud.NodeID(cloud.NewUUID().String()), Space: space, Parent: "22222222-2222-4222-8222-222222222222",
			Name: fmt.Sprintf("Report %d & more.txt", i), Size: int64(i), MTime: time.Unix(1700000000+int64(i), 0),
			ETag: "71da7456333e75ca615925cece207ca0", Sums: cloud.SumsOf(fmt.Append(nil, i)), Rights: cloud.AllRights,
		}
	}
	h := New(nil, Options{}).(*handler)
	c := &call{r: httptest.NewRequest("PROPFIND", "/", nil).WithContext(context.Background())}
	c.t = httpx.Target{Kind: httpx.Tree, Prefix: "/dav/spaces/" + space}
	b.ReportAllocs()
	for b.Loop() {
		c.w = sink{http.Header{}}
		m, release := h.newMultistatus(c, q)
		for _, n := range nodes {
			if err := m.entry(live, n.Name, n); err != nil {
				b.Fatal(err)
			}
		}
		m.end(nil)
		release()
	}
}

func BenchmarkParsePropfind(b *testing.B) {
	body := []byte(`<?xml version="1.0" encoding="utf-8"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop>` +
		`<d:resourcetype/><d:getlastmodified/><d:getcontentlength/><d:getetag/><oc:id/><oc:permissions/><oc:checksums/></d:prop></d:propfind>`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parsePropfind(body); err != nil {
			b.Fatal(err)
		}
	}
}

type sink struct{ header http.Header }

func (s sink) Header() http.Header         { return s.header }
func (s sink) Write(b []byte) (int, error) { return len(b), nil }
func (s sink) WriteHeader(int)             {}

func TestAppendTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-70_000_000_000, 260_000_000_000).Draw(t, "seconds"), 0)
		want := at.UTC().Format(http.TimeFormat)
		if got := string(appendTime(nil, at)); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}
