// Package openapi checks JSON against a description of an API (OpenAPI 3.0),
// as far as such descriptions say it: types, required and unknown properties,
// enumerations, patterns. It is for tests, and no validator of descriptions.
package openapi

import (
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// An API is what a description says.
type API struct {
	Paths      map[string]map[string]*Operation `yaml:"paths"` // by path and, in lower case, method
	Components struct {
		Schemas   map[string]*Schema `yaml:"schemas"`
		Responses map[string]*Body   `yaml:"responses"`
	} `yaml:"components"`
}

// An Operation is one method on one path.
type Operation struct {
	ID        string           `yaml:"operationId"`
	Request   *Body            `yaml:"requestBody"`
	Responses map[string]*Body `yaml:"responses"` // by status, and "default"
}

// A Body is of a request or a response.
type Body struct {
	Ref     string `yaml:"$ref"`
	Content map[string]struct {
		Schema *Schema `yaml:"schema"`
	} `yaml:"content"`
}

// A Schema is what a value looks like.
type Schema struct {
	Ref        string             `yaml:"$ref"`
	Type       string             `yaml:"type"`
	Required   []string           `yaml:"required"`
	Properties map[string]*Schema `yaml:"properties"`
	Items      *Schema            `yaml:"items"`
	AllOf      []*Schema          `yaml:"allOf"`
	Enum       []any              `yaml:"enum"`
	Pattern    string             `yaml:"pattern"`
	Nullable   bool               `yaml:"nullable"`
	ReadOnly   bool               `yaml:"readOnly"`
}

// Load reads a description, which is YAML.
func Load(name string) (*API, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	a := new(API)
	return a, yaml.Unmarshal(text, a)
}

// Operations yields all there are, named "GET /path", in no particular order.
func (a *API) Operations() iter.Seq2[string, *Operation] {
	return func(yield func(string, *Operation) bool) {
		for path, methods := range a.Paths {
			for method, op := range methods {
				if !yield(strings.ToUpper(method)+" "+path, op) {
					return
				}
			}
		}
	}
}

// Find is the operation that a request asks for, nil if there is none. The
// path is escaped or not; parameters stand for one segment.
func (a *API) Find(method, path string) *Operation {
	for name, op := range a.Operations() {
		m, template, _ := strings.Cut(name, " ")
		if m == method && matches(template, path) {
			return op
		}
	}
	return nil
}

func matches(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(w, g string) bool { return w == g || strings.HasPrefix(w, "{") && g != "" })
}

// JSON is the schema of a JSON body, nil if it has none.
func (a *API) JSON(b *Body) *Schema {
	if b != nil && b.Ref != "" {
		b = a.Components.Responses[last(b.Ref)]
	}
	if b == nil {
		return nil
	}
	return b.Content["application/json"].Schema
}

func last(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// Flat is a schema with what it refers to and consists of put together.
func (a *API) Flat(s *Schema) *Schema {
	if s.Ref != "" {
		readOnly := s.ReadOnly
		s = a.Components.Schemas[last(s.Ref)]
		if s == nil {
			return &Schema{}
		}
		f := *a.Flat(s)
		f.ReadOnly = f.ReadOnly || readOnly
		return &f
	}
	if len(s.AllOf) == 0 {
		return s
	}
	f := *s
	f.AllOf, f.Properties = nil, map[string]*Schema{}
	for name, p := range s.Properties {
		f.Properties[name] = p
	}
	for _, part := range s.AllOf {
		part = a.Flat(part)
		for name, p := range part.Properties {
			f.Properties[name] = p
		}
		f.Required = append(slices.Clone(f.Required), part.Required...)
		if f.Type == "" {
			f.Type = part.Type
		}
	}
	return &f
}

// Check says what is wrong with a response.
func (a *API) Check(op *Operation, status int, contentType string, body []byte) []string {
	want, ok := op.Responses[strconv.Itoa(status)]
	if !ok {
		if want, ok = op.Responses["default"]; !ok || status < 400 {
			return []string{fmt.Sprintf("the status %d is not one of its own", status)}
		}
	}
	schema := a.JSON(want)
	switch {
	case schema == nil && want.Ref == "" && len(want.Content) == 0 && len(body) > 0:
		return []string{"there should be no body"}
	case schema == nil:
		return nil
	case contentType != "application/json":
		return []string{fmt.Sprintf("the Content-Type is %q", contentType)}
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return []string{err.Error()}
	}
	var wrong []string
	a.check(schema, v, "", func(where, what string) { wrong = append(wrong, strings.TrimPrefix(where+" "+what, ".")) })
	return wrong
}

func (a *API) check(s *Schema, v any, where string, wrong func(where, what string)) {
	s = a.Flat(s)
	if v == nil {
		if !s.Nullable {
			wrong(where, "is null")
		}
		return
	}
	if len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, func(e any) bool { return fmt.Sprint(e) == fmt.Sprint(v) }) {
		wrong(where, fmt.Sprintf("is %v, none of %v", v, s.Enum))
	}
	typ := s.Type
	switch v := v.(type) {
	case map[string]any:
		if typ != "object" && !(typ == "" && s.Properties != nil) {
			wrong(where, "is an object")
			return
		}
		a.checkObject(s, v, where, wrong)
	case []any:
		if typ != "array" {
			wrong(where, "is an array")
			return
		}
		for i, item := range v {
			a.check(s.Items, item, fmt.Sprintf("%s[%d]", where, i), wrong)
		}
	case string:
		if typ != "string" {
			wrong(where, "is a string")
		} else if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) {
			wrong(where, fmt.Sprintf("is %q, which does not match %s", v, s.Pattern))
		}
	case bool:
		if typ != "boolean" {
			wrong(where, "is a boolean")
		}
	case float64:
		if typ != "number" && !(typ == "integer" && v == float64(int64(v))) {
			wrong(where, "is a number")
		}
	}
}

// checkObject knows that an OData service may add annotations of its own to
// any object (OData JSON Format 4.01, section 4.6).
func (a *API) checkObject(s *Schema, v map[string]any, where string, wrong func(where, what string)) {
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			wrong(where+"."+name, "is missing")
		}
	}
	for name, value := range v {
		switch p := s.Properties[name]; {
		case p != nil:
			a.check(p, value, where+"."+name, wrong)
		case s.Properties != nil && !strings.HasPrefix(name, "@odata."):
			wrong(where+"."+name, "is not known")
		}
	}
}
