// Package exchange runs tests that are written as HTTP exchanges: requests
// and the responses that must come. It is for all protocols and knows none.
//
// A test is a txtar archive. Its comment says what it shows; then come files
// named "request" and "response" in turn:
//
//	-- request --
//	PUT /dav/spaces/${space}/a.txt
//	X-OC-Mtime: 1700000000
//
//	hello
//	-- response --
//	201
//	ETag: "${tag}"
//	Content-Length: -
//
// A response's headers must be there as told ("-": must not be there); more
// may be there. Its body must be the same; without an empty line behind the
// headers it does not matter. The body of a file ends before the last line
// break. In XML, line breaks with the indentation behind them do not count.
//
// ${name} in a request stands for its value. In a response it stands for the
// value, too, or takes what is there if it has none yet. ${_} takes anything.
package exchange

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// Run makes each archive that matches the pattern a subtest. start is called
// for each, and returns what answers and the variables with values.
func Run(t *testing.T, files fs.FS, pattern string, start func(t *testing.T) (http.Handler, map[string]string)) {
	names, err := fs.Glob(files, pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no archives match %s: %v", pattern, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(path.Base(name), ".txtar"), func(t *testing.T) {
			data, err := fs.ReadFile(files, name)
			if err != nil {
				t.Fatal(err)
			}
			handler, vars := start(t)
			Play(t, handler, vars, txtar.Parse(data))
		})
	}
}

// Play plays one archive. It stops at the first wrong answer: what comes
// after would only be confusing.
func Play(t testing.TB, handler http.Handler, vars map[string]string, a *txtar.Archive) {
	t.Helper()
	if err := play(handler, vars, a); err != nil {
		t.Fatal(err)
	}
}

func play(handler http.Handler, vars map[string]string, a *txtar.Archive) error {
	if len(a.Files) == 0 || len(a.Files)%2 != 0 {
		return errors.New("requests and responses must come in pairs")
	}
	for i := 0; i < len(a.Files); i += 2 {
		ask, want := a.Files[i], a.Files[i+1]
		if ask.Name != "request" || want.Name != "response" {
			return fmt.Errorf("files %d and %d are %q and %q, not request and response", i+1, i+2, ask.Name, want.Name)
		}
		r, err := request(expand(string(ask.Data), vars))
		if err != nil {
			return fmt.Errorf("request %d: %w", i/2+1, err)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if err := compare(w.Result(), w.Body.String(), string(want.Data), vars); err != nil {
			return fmt.Errorf("%d. %s %s: %w", i/2+1, r.Method, r.URL, err)
		}
	}
	return nil
}

// split takes a message apart: first line, header lines, body.
func split(message string) (first string, header []string, body string, hasBody bool) {
	message = strings.TrimSuffix(message, "\n")
	head, body, hasBody := strings.Cut(message, "\n\n")
	lines := strings.Split(head, "\n")
	return lines[0], lines[1:], body, hasBody
}

func request(message string) (r *http.Request, err error) {
	defer func() {
		if p := recover(); p != nil { // NewRequest does on nonsense
			err = fmt.Errorf("%v", p)
		}
	}()
	first, header, body, _ := split(message)
	method, target, _ := strings.Cut(first, " ")
	r = httptest.NewRequest(method, strings.TrimSpace(target), strings.NewReader(body))
	for _, line := range header {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("%q is no header", line)
		}
		switch value = strings.TrimSpace(value); {
		case key == "Host":
			r.Host = value
		case key == "Transfer-Encoding":
			r.TransferEncoding, r.ContentLength = []string{value}, -1
		case key == "Content-Length":
			if r.ContentLength, err = strconv.ParseInt(value, 10, 64); err != nil {
				return nil, err
			}
		default:
			r.Header.Add(key, value)
		}
	}
	return r, nil
}

func compare(resp *http.Response, body, want string, vars map[string]string) error {
	status, header, wantBody, hasBody := split(want)
	if got := strconv.Itoa(resp.StatusCode); got != status {
		return fmt.Errorf("got status %s, want %s\n%s", got, status, body)
	}
	for _, line := range header {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("%q is no header", line)
		}
		got, there := resp.Header[http.CanonicalHeaderKey(key)]
		switch value = strings.TrimSpace(value); {
		case value == "-" && there:
			return fmt.Errorf("got header %s: %q, want none", key, got)
		case value == "-":
		case !match(strings.Join(got, ", "), value, vars):
			return fmt.Errorf("got header %s: %q, want %q", key, strings.Join(got, ", "), expand(value, vars))
		}
	}
	if strings.Contains(resp.Header.Get("Content-Type"), "xml") {
		body, wantBody = flat(body), flat(wantBody)
	}
	if hasBody && !match(body, wantBody, vars) {
		return fmt.Errorf("got body\n%s\nwant\n%s", body, expand(wantBody, vars))
	}
	return nil
}

var lineBreak = regexp.MustCompile(`\n\s*`)

func flat(xml string) string { return lineBreak.ReplaceAllString(strings.TrimSpace(xml), "") }

var variable = regexp.MustCompile(`\$\{\w+\}`)

func name(v string) string { return v[2 : len(v)-1] }

func expand(s string, vars map[string]string) string {
	return variable.ReplaceAllStringFunc(s, func(v string) string {
		if value, ok := vars[name(v)]; ok {
			return value
		}
		return v
	})
}

// match compares, and gives values to variables that have none.
func match(got, want string, vars map[string]string) bool {
	var pattern strings.Builder
	var free []string
	end := 0
	want = expand(want, vars)
	for _, at := range variable.FindAllStringIndex(want, -1) {
		pattern.WriteString(regexp.QuoteMeta(want[end:at[0]]))
		switch v := name(want[at[0]:at[1]]); {
		case v == "_":
			pattern.WriteString(`(?:.*?)`)
		default:
			pattern.WriteString(`(.+?)`)
			free = append(free, v)
		}
		end = at[1]
	}
	pattern.WriteString(regexp.QuoteMeta(want[end:]))
	m := regexp.MustCompile(`(?s)^` + pattern.String() + `$`).FindStringSubmatch(got)
	if m == nil {
		return false
	}
	for i, v := range free {
		if old, ok := vars[v]; ok && old != m[i+1] {
			return false
		}
		vars[v] = m[i+1]
	}
	return true
}
