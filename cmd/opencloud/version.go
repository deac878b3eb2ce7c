package main

import (
	"fmt"
	"runtime"

	"opencloud/app"
)

type versionVerb struct {
	SkipServices bool `help:"Accepted for scripts that say it: all services are this program."`
}

func (v *versionVerb) Run(c *console) error {
	_, err := fmt.Fprintf(c.out, "Version: %s\nGo: %s %s/%s\n", app.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
