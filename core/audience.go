package core

import (
	"hash/fnv"
	"time"

	"opencloud/cloud"
)

// view is a number that differs when a user is given or denied something else
// in a space. whole says that they may do with all of it what they may do with
// the root.
func (sp *space) view(u *cloud.User, now time.Time) (n uint64, whole bool) {
	whole = true
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	for id, grants := range sp.grants {
		for i := range grants {
			g := &grants[i]
			if g.Expired(now) || !g.Concerns(u) {
				continue
			}
			h := fnv.New64a()
			h.Write([]byte(id))
			h.Write([]byte{byte(g.Rights), byte(g.Rights >> 8), byte(g.Rights >> 16), byte(g.Rights >> 24)})
			n += h.Sum64() // in no particular order
			whole = whole && id == sp.id.Root()
		}
	}
	return n, whole
}
