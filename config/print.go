package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Print writes the effective values and where each came from. Secrets are
// masked.
func (c *Config) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "# file\t%s\n", c.Path())
	for _, f := range fieldsOf(c) {
		text := f.text()
		switch {
		case f.Secret && text != "":
			text = "***"
		case text == "" || strings.ContainsAny(text, "\t\n "):
			text = fmt.Sprintf("%q", text)
		}
		from := c.sources[f.Key]
		if from == "" {
			from = "default"
		}
		fmt.Fprintf(tw, "%s:\t%s\t# %s\n", f.Key, text, from)
	}
	return tw.Flush()
}

// Docs is docs/config.md.
func Docs() []byte {
	var b bytes.Buffer
	b.WriteString(`# Configuration

Everything has a default that works. A value comes from, the later the stronger: its default, ` + "`opencloud.yaml`" + `
in the config folder (` + "`OC_CONFIG_DIR`" + `, else ` + "`$HOME/.opencloud/config`" + `, else ` + "`/etc/opencloud`" + `), the environment.
` + "`opencloud config`" + ` prints what is in effect and where it came from.

- A key such as ` + "`proxy.addr`" + ` is ` + "`addr`" + ` below ` + "`proxy`" + ` in the file. A key that is not known is an error.
- Where several variables are named, the first that is set counts; one that is empty is not set.
- Durations look like ` + "`90s`, `15m`, `24h` or `30d`" + `, sizes like ` + "`1000000`, `10MB` or `2GiB`" + `, lists have commas.
- In the file, ` + "`${VAR}`, `${VAR|default}`, `${VAR:-default}` and `${VAR:+text}`" + ` are replaced as a shell would; ` + "`$${`" + ` is ` + "`${`" + ` itself.

<!-- Made by: opencloud config --docs > docs/config.md -->
`)
	section := "-"
	for _, f := range fieldsOf(new(Config)) {
		group, _, nested := strings.Cut(f.Key, ".")
		if !nested {
			group = ""
		}
		if group != section {
			section = group
			title := "## " + section
			if section == "" {
				title = "## The whole"
			}
			fmt.Fprintf(&b, "\n%s\n\n| key | variable | type | default | |\n| --- | --- | --- | --- | --- |\n", title)
		}
		var env []string
		for _, name := range f.Env {
			env = append(env, "`"+name+"`")
		}
		def := "`" + f.Default + "`"
		if f.Default == "" {
			def = ""
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Key, strings.Join(env, ", "), f.kind(), def, strings.ReplaceAll(f.Doc, "|", "\\|"))
	}
	return b.Bytes()
}
