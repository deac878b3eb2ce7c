package dav

import "testing"

func FuzzParseSync(f *testing.F) {
	for _, s := range []string{
		`<sync-collection xmlns="DAV:"><sync-token/><sync-level>1</sync-level><prop/></sync-collection>`,
		`<D:sync-collection xmlns:D="DAV:"><D:sync-token>data:,AAAA</D:sync-token><D:sync-level> infinite </D:sync-level><D:limit><D:nresults>10</D:nresults></D:limit><D:prop><D:getetag/><x xmlns="y"/></D:prop></D:sync-collection>`,
		`<sync-collection xmlns="DAV:"><sync-token/><sync-level>1</sync-level><limit><nresults>99999999999</nresults></limit><prop/></sync-collection>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := parseSync(body)
		if err == nil && (q.limit < 0 || len(q.wants) == 0 || len(q.wants) > maxProps) {
			t.Errorf("got %+v", q)
		}
	})
}
