package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"opencloud/cloud"
	"opencloud/config"
)

// A Module is a part that a process runs or does not.
type Module struct {
	Name  string
	Needs []string // modules that must have started before
	Start func(context.Context, *System) error
}

// Build starts the wanted modules, in the order of the table, and before each
// what it needs. When one fails, those that have started are for System.Close.
func Build(ctx context.Context, s *System, table []Module, want ...string) error {
	at := func(name string) int {
		return slices.IndexFunc(table, func(m Module) bool { return m.Name == name })
	}
	const open, done = 1, 2
	state := map[string]int{}
	var visit func(name string) error
	visit = func(name string) error {
		i := at(name)
		switch {
		case i < 0:
			return fmt.Errorf("no module %q", name)
		case state[name] == done:
			return nil
		case state[name] == open:
			return fmt.Errorf("module %q needs itself", name)
		}
		state[name] = open
		for _, n := range table[i].Needs {
			if err := visit(n); err != nil {
				return err
			}
		}
		if err := table[i].Start(ctx, s); err != nil {
			return err
		}
		state[name] = done
		return nil
	}
	want = slices.SortedFunc(slices.Values(want), func(a, b string) int { return at(a) - at(b) })
	for _, name := range want {
		if err := visit(name); err != nil {
			return err
		}
	}
	return nil
}

// wanted are the modules that the configuration asks for.
func wanted(cfg *config.Config) ([]string, error) {
	set := map[string]bool{}
	each := func(services []string, do func(module string)) error {
		for _, name := range services {
			mods, ok := Modules(name)
			if !ok {
				return cloud.Refuse(cloud.Invalid, "There is no service %q. The services are: %s.", name, strings.Join(Services(), ", "))
			}
			for _, m := range mods {
				do(m)
			}
		}
		return nil
	}
	add := func(m string) { set[m] = true }
	if len(cfg.Run) == 0 {
		for _, m := range modules() {
			set[m.Name] = true
		}
	}
	if err := each(cfg.Run, add); err != nil {
		return nil, err
	}
	if err := each(cfg.Exclude, func(m string) { delete(set, m) }); err != nil {
		return nil, err
	}
	if err := each(cfg.Add, add); err != nil {
		return nil, err
	}
	// Either we sign people in, or somebody else does.
	if cfg.ExternalIssuer() != "" {
		delete(set, "idp")
	} else {
		delete(set, "oidc")
	}
	return slices.Sorted(maps.Keys(set)), nil
}

// services are the names that operators know, and which of our modules do
// their work. Those without have no process of their own here: what they did
// is part of others, or not needed.
var services = map[string][]string{
	"activitylog":        nil,
	"antivirus":          nil,
	"app-provider":       nil,
	"app-registry":       nil,
	"audit":              nil,
	"auth-app":           {"app-tokens", "auth-app"},
	"auth-basic":         {"auth"},
	"auth-bearer":        {"auth", "oidc"},
	"auth-machine":       nil,
	"auth-service":       nil,
	"clientlog":          {"sse"},
	"collaboration":      nil,
	"eventhistory":       nil,
	"frontend":           {"archiver", "dav", "tus", "ocs", "wellknown"},
	"gateway":            nil,
	"graph":              {"graph"},
	"groups":             {"users"},
	"idm":                {"users"},
	"idp":                {"idp"},
	"invitations":        nil,
	"nats":               nil,
	"notifications":      nil,
	"ocdav":              {"dav", "tus", "wellknown"},
	"ocm":                nil,
	"ocs":                {"ocs"},
	"policies":           nil,
	"postprocessing":     nil,
	"proxy":              {"auth", "oidc"},
	"search":             nil,
	"settings":           {"settings"},
	"sharing":            {"links"},
	"sse":                {"sse"},
	"storage-publiclink": {"links"},
	"storage-shares":     nil,
	"storage-system":     nil,
	"storage-users":      {"files"},
	"thumbnails":         nil,
	"userlog":            nil,
	"users":              {"users"},
	"web":                {"web", "wellknown"},
	"webdav":             {"dav"},
	"webfinger":          {"webfinger"},
}

// Services are the names that Modules knows, sorted.
func Services() []string { return slices.Sorted(maps.Keys(services)) }

// Modules are those that do the work of a service, or the one of that name;
// ok is false if there is neither.
func Modules(name string) (mods []string, ok bool) {
	if mods, ok = services[name]; ok {
		return mods, true
	}
	ok = slices.ContainsFunc(modules(), func(m Module) bool { return m.Name == name })
	return []string{name}, ok
}
