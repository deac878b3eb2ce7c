package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

// A setting is a value that init writes.
type setting struct{ group, key, value string }

// settings are those that differ from one installation to the next.
func settings(insecure bool) []setting {
	var all []setting
	if insecure {
		all = append(all, setting{"", "insecure", "true"})
	}
	return all
}

const header = `# Settings of OpenCloud. What is not here has its default, and the environment
# wins over this file. "opencloud config" prints what is in effect.

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
		body += "\n" + strings.Join(s.lines(), "\n") + "\n"
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

func (s setting) lines() []string {
	if s.group == "" {
		return []string{s.key + ": " + s.value}
	}
	return []string{s.group + ":", "  " + s.key + ": " + s.value}
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
	patch := ""
	old := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	added := 0
	for _, s := range all {
		if cfg.InFile(strings.TrimPrefix(s.group+"."+s.key, ".")) {
			continue
		}
		at, lines := len(old), s.lines()
		if i := slices.IndexFunc(old, func(l string) bool { return s.group != "" && strings.HasPrefix(l, s.group+":") }); i >= 0 {
			indent := "  "
			if i+1 < len(old) {
				if trimmed := strings.TrimLeft(old[i+1], " "); len(trimmed) < len(old[i+1]) {
					indent = old[i+1][:len(old[i+1])-len(trimmed)]
				}
			}
			at, lines = i+1, []string{indent + s.key + ": " + s.value}
		}
		patch += fmt.Sprintf("@@ -%d,0 +%d,%d @@\n+%s\n", at, at+added+1, len(lines), strings.Join(lines, "\n+"))
		added += len(lines)
	}
	if patch == "" {
		fmt.Fprintf(c.out, "%s lacks nothing.\n", cfg.Path())
		return nil
	}
	name := filepath.Join(cfg.Dir(), "opencloud.config.patch")
	if err := os.WriteFile(name, []byte("--- "+config.File+"\n+++ "+config.File+"\n"+patch), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Wrote %s. Take it over with: patch -d %s < %s\n", name, cfg.Dir(), name)
	return nil
}
