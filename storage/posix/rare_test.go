package posix

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opencloud/cloud"
)

// What an edit does not touch must not go when it is carried out again.
func TestRareEditInJournal(t *testing.T) {
	has := rare{attrs: map[string]string{"a": "b"}}
	for _, touched := range []cloud.Traits{0, cloud.HasGrants, cloud.HasLocks, cloud.HasAttrs, cloud.HasLocks | cloud.HasAttrs} {
		want := redo{Rare: has.edit(touched)}
		b, err := json.Marshal(&want)
		if err != nil {
			t.Fatal(err)
		}
		var got redo
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(*want.Rare, *got.Rare); diff != "" {
			t.Errorf("an edit of %b comes back as another from %s (-want +got)\n%s", touched, b, diff)
		}
	}
}
