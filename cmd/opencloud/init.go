package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"opencloud/app"
	"opencloud/cloud"
	"opencloud/config"
)

type initVerb struct {
	Insecure      string `help:"Accept certificates that cannot be verified, of services that the server talks to (yes or no)." default:"no" placeholder:"yes|no"`
	Diff          bool   `help:"Write what a present configuration lacks to opencloud.config.patch, and change nothing."`
	Force         bool   `name:"force-overwrite" short:"f" help:"Replace a present configuration. The old one is kept as opencloud.yaml.old."`
	ConfigPath    string `help:"Folder of opencloud.yaml." placeholder:"DIR"`
	AdminPassword string `name:"admin-password" aliases:"ap" help:"Password of the user admin; otherwise IDM_ADMIN_PASSWORD or a random one." placeholder:"PASSWORD"`
}

func (v *initVerb) Run(ctx context.Context, c *console) error {
	src := config.System()
	src.Dir = v.ConfigPath
	insecure, err := v.insecure()
	if err != nil {
		return err
	}
	if v.Diff {
		cfg, err := config.Load(src)
		if err != nil {
			return err
		}
		return v.diff(c, cfg, settings(insecure))
	}
	name := src.Path()
	if v.Force {
		if err := os.Rename(name, name+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	made, err := writeConfig(name, settings(insecure))
	if err != nil {
		return err
	}
	if !made {
		return cloud.Refuse(cloud.Exist, "There is a configuration already: %s. Use --diff to see what it lacks, or --force-overwrite to replace it.", name)
	}
	fmt.Fprintf(c.out, "Wrote %s\n", name)
	cfg, err := config.Load(src)
	if err != nil {
		return err
	}
	if cfg.IDM.Backend != "builtin" {
		fmt.Fprintln(c.out, "The users are those of another directory; OC_ADMIN_USER_ID says who is administrator.")
		fmt.Fprintln(c.out, "Start the server with: opencloud server")
		return nil
	}
	if v.AdminPassword != "" {
		cfg.IDM.Password = v.AdminPassword
	}
	d, err := openUsers(c, cfg)
	if err != nil {
		return err
	}
	defer d.Close()
	password, err := app.FirstUsers(ctx, d, cfg.IDM)
	if err != nil {
		return err
	}
	if password != "" {
		fmt.Fprintf(c.out, "\n  User      admin\n  Password  %s  (shown only now)\n\n", password)
	}
	fmt.Fprintln(c.out, "Start the server with: opencloud server")
	return nil
}

func (v *initVerb) insecure() (bool, error) {
	switch strings.ToLower(v.Insecure) {
	case "yes", "true", "1":
		return true, nil
	case "no", "false", "0", "ask":
		return false, nil
	}
	return false, cloud.Refuse(cloud.Invalid, "--insecure is yes or no, not %q.", v.Insecure)
}

// A setting is a value that init writes: a key of opencloud.yaml.
type setting struct{ key, value string }

func (s setting) String() string { return s.key + ": " + s.value }

// settings are those that have no good default. The id of the storage is not
// among them: the storage itself knows it.
func settings(insecure bool) []setting {
	if insecure {
		return []setting{{"insecure", "true"}}
	}
	return nil
}

const header = `# Settings of OpenCloud. What is not here has its default, and the environment
# wins over this file. "opencloud config" prints what is in effect, and
# "opencloud config --docs" explains it.

# url: https://cloud.example.org
`

// writeConfig writes a new file; made is false when there is one already.
func writeConfig(name string, all []setting) (made bool, err error) {
	if _, err := os.Stat(name); err == nil {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return false, err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".opencloud-*.yaml")
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name())
	body := header
	for _, s := range all {
		body += "\n" + s.String() + "\n"
	}
	_, err = f.WriteString(body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, err
	}
	// A link, unlike a rename, does not replace what came in between.
	if err := os.Link(f.Name(), name); errors.Is(err, fs.ErrExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, nil
}

// diff writes what the file lacks as a patch.
func (v *initVerb) diff(c *console, cfg *config.Config, all []setting) error {
	body, err := os.ReadFile(cfg.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return cloud.Refuse(cloud.NotExist, "There is no configuration at %s yet. Run opencloud init without --diff.", cfg.Path())
	}
	if err != nil {
		return err
	}
	var lacks []string
	for _, s := range all {
		if !cfg.InFile(s.key) {
			lacks = append(lacks, "+"+s.String()+"\n")
		}
	}
	if len(lacks) == 0 {
		fmt.Fprintf(c.out, "%s lacks nothing.\n", cfg.Path())
		return nil
	}
	lines := strings.Count(string(body), "\n")
	patch := fmt.Sprintf("--- %s\n+++ %s\n@@ -%d,0 +%d,%d @@\n%s", config.File, config.File, lines, lines+1, len(lacks), strings.Join(lacks, ""))
	name := filepath.Join(cfg.Dir(), "opencloud.config.patch")
	if err := os.WriteFile(name, []byte(patch), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Wrote %s. Take it over with: patch -d %s < %s\n", name, cfg.Dir(), name)
	return nil
}
