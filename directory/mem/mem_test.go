package mem_test

import (
	"testing"

	"opencloud/cloud"
	"opencloud/directory/directorytest"
	"opencloud/directory/mem"
)

func TestKit(t *testing.T) {
	directorytest.Run(t, func(*testing.T) cloud.Directory { return mem.New() })
	directorytest.RunProfiles(t, func(*testing.T) cloud.Profiles { return mem.New() })
	directorytest.RunSchools(t, func(*testing.T) cloud.Schools { return &mem.Schools{} })
}
