package core

import (
	"encoding/base64"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"opencloud/cloud"
)

// A token says what it was made of, and nothing to anybody else.
func TestTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cursor := rapid.Custom(func(t *rapid.T) cloud.Cursor { return cloud.Cursor(rapid.Uint64().Draw(t, "cursor")) })
		id := rapid.OneOf(rapid.Custom(func(t *rapid.T) cloud.NodeID {
			return cloud.NodeID(cloud.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid")).String())
		}), rapid.Custom(func(t *rapid.T) cloud.NodeID {
			return cloud.NodeID(rapid.StringMatching("[0-9a-z-]{1,64}").Draw(t, "id"))
		}))
		m := bookmark{
			after: cursor.Draw(t, "after"), until: cursor.Draw(t, "until"), loose: cursor.Draw(t, "loose"),
			view: rapid.Uint64().Draw(t, "view"), phase: phase(rapid.IntRange(0, int(phases)-1).Draw(t, "phase")),
			last: rapid.SliceOfN(id, 0, 5).Draw(t, "last"),
		}
		if len(m.last) == 0 {
			m.last = nil
		}
		f := &cloud.Feed{Space: "a$b"}
		text := m.token("ada", f)
		if got, err := parseToken(text, "ada", f); err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("got %+v, %v, want %+v", got, err, m)
		}
		flat := &cloud.Feed{Space: "a$b", Flat: true}
		if _, err := parseToken(text, "ada", flat); (err == nil) != (m.phase == resting) {
			t.Errorf("for another kind of feed in phase %d: got %v", m.phase, err)
		}
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatalf("%v", err)
		}
		raw[rapid.IntRange(0, len(raw)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		for what, got := range map[string]error{
			"of somebody else":  second(parseToken(text, "bert", f)),
			"of another space":  second(parseToken(text, "ada", &cloud.Feed{Space: "a$c"})),
			"that was cut":      second(parseToken(text[:len(text)-1], "ada", f)),
			"that was altered":  second(parseToken(base64.RawURLEncoding.EncodeToString(raw), "ada", f)),
			"that is no base64": second(parseToken(text+"!", "ada", f)),
		} {
			if !errors.Is(got, cloud.Invalid) {
				t.Errorf("a token %s: got %v, want Invalid", what, got)
			}
		}
	})
}

func FuzzToken(f *testing.F) {
	feed := &cloud.Feed{Space: "a$b"}
	m := bookmark{after: 7, until: 9, phase: listing, last: []cloud.NodeID{"a", "11111111-0000-4000-8000-000000000001"}}
	f.Add(m.token("ada", feed))
	f.Add("")
	f.Add("AQAA")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseToken(text, "ada", feed)
		if err == nil && m.token("ada", feed) != text {
			t.Errorf("%q is another form of %q", text, m.token("ada", feed))
		}
	})
}
