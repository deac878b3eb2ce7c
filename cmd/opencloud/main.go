// Opencloud is the server and the tools of its operator, one file a verb. It
// holds no logic of its own: the verbs call app, config and the stores.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kong"

	"opencloud/app"
	"opencloud/cloud"
	"opencloud/config"
	"opencloud/directory/builtin"
)

// verbs is the command line.
type verbs struct {
	Server  serverVerb  `cmd:"" help:"Start the server. The first start sets everything up."`
	Init    initVerb    `cmd:"" help:"Write the configuration and make the user admin, without starting."`
	User    userVerb    `cmd:"" help:"Add, list, change and remove users. The server may be running."`
	Group   groupVerb   `cmd:"" help:"Add, list, fill and remove groups. The server may be running."`
	Role    roleVerb    `cmd:"" help:"Show the roles that users can have."`
	AuthApp authAppVerb `cmd:"" help:"Make, list and remove the app tokens of users. The server may be running."`
	Storage storageVerb `cmd:"" help:"Look after the storage. The server must be stopped."`
	Config  configVerb  `cmd:"" help:"Print the settings in effect and where each came from."`
	Health  healthVerb  `cmd:"" help:"Ask a running server whether it is well."`
	Version versionVerb `cmd:"" help:"Print the version."`
}

// console is where a verb talks to its user.
type console struct {
	in       *os.File
	out, err io.Writer
}

func main() {
	os.Exit(run(os.Args[1:], &console{os.Stdin, os.Stdout, os.Stderr}))
}

// run returns the exit code: 0, 1 when the verb failed, 2 when there is no
// such verb or flag.
func run(args []string, c *console) int {
	var v verbs
	parser := kong.Must(&v,
		kong.Name("opencloud"),
		kong.Description("File sync and sharing on your own server."),
		kong.Writers(c.out, c.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.BindTo(context.Background(), (*context.Context)(nil)),
		kong.Bind(c),
	)
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser.Parse(ofService(args))
	if err != nil {
		fmt.Fprintf(c.err, "opencloud: %v\nopencloud --help says what there is.\n", err)
		return 2
	}
	if err := ctx.Run(); err != nil {
		fmt.Fprintln(c.err, "opencloud:", sentence(err))
		return 1
	}
	return 0
}

// ofService turns "<service> server" and the like around: "server <service>".
func ofService(args []string) []string {
	if len(args) < 2 {
		return args
	}
	if _, ok := app.Modules(args[0]); !ok {
		return args
	}
	switch rest := args[2:]; args[1] {
	case "server":
		return slices.Concat([]string{"server", args[0]}, rest)
	case "health", "version":
		return args[1:]
	}
	return args
}

// sentence is what an error has to say to a person.
func sentence(err error) string {
	if say := cloud.Say(err); say != "" {
		return say
	}
	return err.Error()
}

// openUsers opens the built-in directory for a verb.
func openUsers(c *console, cfg *config.Config) (*builtin.Directory, error) {
	if cfg.IDM.Backend != "builtin" {
		return nil, cloud.Refuse(cloud.NotSupported, "The users are not the built-in ones (GRAPH_IDENTITY_BACKEND=%s): manage them in their directory, or as administrator in the web.", cfg.IDM.Backend)
	}
	log, err := app.NewLog(config.Log{Level: "warn", Pretty: true}, c.err)
	if err != nil {
		return nil, err
	}
	opts := cfg.IDM.Options
	opts.Log = log
	return builtin.Open(cfg.IDM.Path, opts)
}
