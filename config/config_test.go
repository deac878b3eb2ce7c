package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// load loads what the file and the variables say, with the home /home/ada.
func load(t *testing.T, yaml string, env ...string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	if yaml != "" {
		if err := os.WriteFile(filepath.Join(dir, File), []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(Source{Env: append([]string{"HOME=/home/ada", "OC_CONFIG_DIR=" + dir}, env...)})
}

func TestPrecedence(t *testing.T) {
	for _, c := range []struct {
		name, yaml string
		env        []string
		want, from string
	}{
		{"default", "", nil, "0.0.0.0:9200", ""},
		{"file", "proxy:\n  addr: :1\n", nil, ":1", "opencloud.yaml:2"},
		{"variable", "proxy: {addr: ':1'}", []string{"PROXY_HTTP_ADDR=:2"}, ":2", "PROXY_HTTP_ADDR"},
		{"empty variable", "proxy: {addr: ':1'}", []string{"PROXY_HTTP_ADDR="}, ":1", "opencloud.yaml:1"},
		{"null", "proxy:\n  addr:\n", nil, "0.0.0.0:9200", ""},
		{"empty group", "proxy:\n", nil, "0.0.0.0:9200", ""},
		{"only a comment", "# nothing\n", nil, "0.0.0.0:9200", ""},
		{"last of the same variable", "", []string{"PROXY_HTTP_ADDR=:2", "PROXY_HTTP_ADDR=:3"}, ":3", "PROXY_HTTP_ADDR"},
		{"substituted", "proxy: {addr: '${PORT|:4}'}", []string{"PORT=:5"}, ":5", "opencloud.yaml:1"},
	} {
		cfg, err := load(t, c.yaml, c.env...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if cfg.Proxy.Addr != c.want || !strings.HasSuffix(cfg.sources["proxy.addr"], c.from) || c.from == "" && cfg.sources["proxy.addr"] != "" {
			t.Errorf("%s: %q from %q, want %q from %q", c.name, cfg.Proxy.Addr, cfg.sources["proxy.addr"], c.want, c.from)
		}
	}
}

func TestAliases(t *testing.T) {
	cfg, err := load(t, "", "PROXY_LOG_LEVEL=warn")
	if err != nil || cfg.Log.Level != "warn" {
		t.Errorf("second name: %q, %v", cfg.Log.Level, err)
	}
	cfg, err = load(t, "", "PROXY_LOG_LEVEL=warn", "OC_LOG_LEVEL=error")
	if err != nil || cfg.Log.Level != "error" {
		t.Errorf("both names: %q, %v; want error", cfg.Log.Level, err)
	}
}

func TestTypes(t *testing.T) {
	cfg, err := load(t, `
shutdown_timeout: 1m30s
run_services: [proxy, graph]
exclude_services: idp, nats,
spaces:
  max_quota: 1.5GiB
  upload_expiration: 2d
  disable_versioning: yes
idm:
  argon2_memory: 8192
log: {pretty: true}
data: |-
  /srv/a b
`)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{cfg.Shutdown, cfg.Run, cfg.Exclude, cfg.Core.MaxQuota, cfg.Core.UploadExpiry, cfg.Core.NoVersions, cfg.IDM.Memory, cfg.Log.Pretty, cfg.Data, cfg.IDM.Path}
	want := []any{90 * time.Second, []string{"proxy", "graph"}, []string{"idp", "nats"}, int64(3 << 29), 48 * time.Hour, true, 8192, true, "/srv/a b", "/srv/a b/storage/system"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		env        []string
		dir, users string
	}{
		{nil, "/etc/opencloud", "/var/lib/opencloud/storage/system"},
		{[]string{"HOME=/h"}, "/h/.opencloud/config", "/h/.opencloud/storage/system"},
		{[]string{"HOME=/h", "OC_BASE_DATA_PATH=/d", "OC_CONFIG_DIR=/c"}, "/c", "/d/storage/system"},
		{[]string{"HOME=/h", "IDM_PATH=/u"}, "/h/.opencloud/config", "/u"},
	} {
		cfg, err := Load(Source{Env: c.env})
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(filepath.Dir(c.users), "users"); cfg.Storage.Root != want && len(c.env) < 2 {
			t.Errorf("%v: the files are in %s, want %s", c.env, cfg.Storage.Root, want)
		}
		if cfg.Dir() != c.dir || cfg.IDM.Path != c.users {
			t.Errorf("%v: %s and %s, want %s and %s", c.env, cfg.Dir(), cfg.IDM.Path, c.dir, c.users)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		yaml string
		env  []string
		want string
	}{
		{"url: https://a\nproxy:\n  adr: x\n", nil, `opencloud.yaml:3: the key "proxy.adr" is not known. Did you mean "proxy.addr"?`},
		{"zebra: 1\n", nil, `opencloud.yaml:1: the key "zebra" is not known.`},
		{"\nproxy: 5\n", nil, "opencloud.yaml:2: here should be keys and values."},
		{"proxy:\n  tls: maybe\n", nil, `opencloud.yaml:2: the value of "proxy.tls" is not valid: "maybe" is neither true nor false.`},
		{"proxy:\n  tls: {a: b}\n", nil, `"proxy.tls" is not valid: it should be a plain value or a list of them.`},
		{"shutdown_timeout: 5\n", nil, `"5" is not a duration such as 90s, 15m, 24h or 30d.`},
		{"url: ${OC_X\n", nil, "a ${ has no }."},
		{"url: ${OC_X!}\n", nil, "${OC_X!} is not understood."},
		{"a: [\n", nil, "is not valid YAML"},
		{"url: a\nurl: b\n", nil, "is not valid YAML"},
		{"url: &a b\n", nil, "it should be a plain value"},
		{"", []string{"PROXY_TLS=perhaps"}, `The variable PROXY_TLS is not valid: "perhaps" is neither true nor false.`},
		{"", []string{"OC_SPACES_MAX_QUOTA=much"}, `"much" is not a number, with a unit such as MB or GiB if it is a size.`},
		{"", []string{"OC_SPACES_MAX_QUOTA=9999999TB"}, `"9999999TB" is not a number`},
		{"", []string{"OC_URL=cloud.example.org"}, "(OC_URL) is not valid"},
		{"", []string{"OC_URL=https://u:p@example.org"}, "(OC_URL) is not valid"},
		{"", []string{"OC_BASE_DATA_PATH=data"}, "must be an absolute path."},
		{"", []string{"PROXY_TRANSPORT_TLS_CERT=/c"}, "A certificate needs both files"},
		{"", []string{"GRAPH_IDENTITY_BACKEND=cs3"}, `"cs3" (GRAPH_IDENTITY_BACKEND) is not one of builtin and ldap.`},
		{"", []string{"OC_LOG_LEVEL=loud"}, `The log level "loud" (OC_LOG_LEVEL) is not one of`},
	} {
		_, err := load(t, c.yaml, c.env...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %v:\ngot  %v\nwant … %s", c.yaml, c.env, err, c.want)
		}
	}
}

func TestSubstitute(t *testing.T) {
	look := Source{Env: []string{"A=1", "EMPTY="}}.look
	for in, want := range map[string]string{
		"plain $A":          "plain $A",
		"${A}":              "1",
		"x${A}y${A}":        "x1y1",
		"${NO}":             "",
		"${NO|d}":           "d",
		"${A|d}":            "1",
		"${NO:-d}":          "d",
		"${NO-a-b}":         "a-b",
		"${EMPTY|d}":        "d",
		"${A+t}":            "t",
		"${A:+t}":           "t",
		"${NO:+t}":          "",
		"$${A} and ${A}":    "${A} and 1",
		"${NO|https://h/p}": "https://h/p",
	} {
		if got, err := substitute(in, look); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestStrangers(t *testing.T) {
	cfg, err := load(t, "", "OC_URL=https://a", "OC_ULR=https://b", "OTHER=1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"OC_ULR"}, cfg.Unknown()); diff != "" {
		t.Error(diff)
	}
}

func TestPrintMasksSecrets(t *testing.T) {
	cfg, err := load(t, "debug:\n  token: hush1\n", "IDM_ADMIN_PASSWORD=hush2", "OC_URL=https://a.example")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := cfg.Print(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "hush") {
		t.Errorf("a secret is printed:\n%s", &b)
	}
	for _, line := range []string{"url: https://a.example # OC_URL", "idm.admin_password: *** # IDM_ADMIN_PASSWORD", `log.file: "" # default`} {
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), line) {
			t.Errorf("no line %q in\n%s", line, &b)
		}
	}
}

// What the tags of all Options must keep to.
func TestTags(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range fieldsOf(new(Config)) {
		if seen[f.Key] {
			t.Errorf("%s is there twice", f.Key)
		}
		seen[f.Key] = true
		if !strings.HasSuffix(f.Doc, ".") {
			t.Errorf("%s: its doc is not a sentence: %q", f.Key, f.Doc)
		}
		if f.Env[0] == "" {
			t.Errorf("%s: no variable sets it", f.Key)
		}
		for _, secret := range []string{"password", "secret", "token"} {
			if strings.HasSuffix(f.Key, secret) && !f.Secret {
				t.Errorf("%s: is it not a secret?", f.Key)
			}
		}
	}
	if _, err := Load(Source{}); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
}

// What Print shows of a value, Load takes.
func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type values struct {
			D time.Duration `yaml:"d"`
			N int64         `yaml:"n"`
			I int           `yaml:"i"`
			B bool          `yaml:"b"`
			S string        `yaml:"s"`
			L []string      `yaml:"l"`
		}
		in := values{
			D: time.Duration(rapid.Int64Range(0, 1e6).Draw(t, "d")) * time.Second, N: rapid.Int64().Draw(t, "n"), I: rapid.Int().Draw(t, "i"),
			B: rapid.Bool().Draw(t, "b"), S: rapid.String().Draw(t, "s"), L: rapid.SliceOf(rapid.StringMatching(`[a-z]{1,3}`)).Draw(t, "l"),
		}
		if len(in.L) == 0 {
			in.L = nil
		}
		var out values
		from, to := fieldsOf(&in), fieldsOf(&out)
		for i := range from {
			if err := to[i].set(from[i].text()); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(in, out) {
			t.Fatalf("got %+v, want %+v", out, in)
		}
	})
}

func TestDocsAreFresh(t *testing.T) {
	want := Docs()
	got, err := os.ReadFile("../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/config.md is stale: run go run ./cmd/opencloud config --docs > docs/config.md")
	}
}

func FuzzYAML(f *testing.F) {
	f.Add([]byte("proxy:\n  addr: ${A|b}\nrun_services: [a, b]\n"))
	f.Add([]byte("url: |\n  x\n---\ndata: ~\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &Config{sources: map[string]string{}, inFile: map[string]bool{}}
		c.readYAML(fieldsOf(c), File, body, func(string) string { return "" })
	})
}
