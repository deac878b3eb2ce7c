package mem_test

import (
	"testing"

	"opencloud/cloud"
	"opencloud/storage/mem"
	"opencloud/storage/storagetest"
)

func TestKit(t *testing.T) {
	storagetest.Run(t, func(*testing.T) cloud.Store { return mem.New() })
}

// A Store in memory is not the same when it is made anew; it is when it is
// kept, and so shows that Reopen asks for nothing else.
func TestReopen(t *testing.T) {
	storagetest.Reopen(t, func(*testing.T) func() cloud.Store {
		s := mem.New()
		return func() cloud.Store { return s }
	})
}
