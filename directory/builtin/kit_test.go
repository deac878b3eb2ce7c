package builtin_test

import (
	"testing"

	"opencloud/cloud"
	"opencloud/directory/builtin"
	"opencloud/directory/directorytest"
)

func TestKit(t *testing.T) {
	directorytest.Run(t, func(t *testing.T) cloud.Directory {
		d, err := builtin.Open(t.TempDir(), builtin.Options{Memory: 8, Time: 1, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}

func TestSchoolsKit(t *testing.T) {
	directorytest.RunSchools(t, func(t *testing.T) cloud.Schools {
		s, err := builtin.OpenSchools(t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
