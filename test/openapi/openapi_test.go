package openapi

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const description = `
paths:
  /v1/things/{id}:
    get:
      operationId: GetThing
      responses:
        '200':
          content:
            application/json:
              schema: {$ref: '#/components/schemas/thing'}
        '204': {}
        default: {$ref: '#/components/responses/error'}
components:
  schemas:
    thing:
      required: [name]
      allOf: [{$ref: '#/components/schemas/base'}]
    base:
      type: object
      properties:
        name: {type: string, pattern: '^[a-z]+$'}
        size: {type: integer}
        on: {type: boolean}
        kind: {type: string, enum: [a, b]}
        none: {type: string, nullable: true}
        of: {type: array, items: {$ref: '#/components/schemas/base'}}
        any: {type: object}
  responses:
    error:
      content:
        application/json:
          schema: {type: object, properties: {error: {type: string}}}
`

func TestCheck(t *testing.T) {
	name := filepath.Join(t.TempDir(), "api.yaml")
	if err := os.WriteFile(name, []byte(description), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"GET /v1/things", "GET /v1/things/", "GET /v1/things/a/b", "PUT /v1/things/a"} {
		method, path := path[:3], path[4:]
		if op := a.Find(method, path); op != nil {
			t.Errorf("%s %s: got %s, want nothing", method, path, op.ID)
		}
	}
	op := a.Find("GET", "/v1/things/a%20b")
	if op == nil || op.ID != "GetThing" {
		t.Fatalf("got %+v, want GetThing", op)
	}
	for _, c := range []struct {
		status int
		body   string
		want   []string
	}{
		{200, `{"name":"x","size":1,"on":true,"kind":"b","none":null,"of":[{"size":2}],"any":{"x":[1]},"@odata.count":1}`, nil},
		{200, `{}`, []string{"name is missing"}},
		{200, `{"name":"X"}`, []string{`name is "X", which does not match ^[a-z]+$`}},
		{200, `{"name":1,"size":1.5,"on":"x","kind":"c","of":{},"more":1,"any":[]}`, []string{
			"any is an array", "kind is c, none of [a b]", "more is not known", "name is a number", "of is an object", "on is a string", "size is a number"}},
		{200, `{"name":null}`, []string{"name is null"}},
		{200, `{"name":"x","of":[{"name":true}]}`, []string{"of[0].name is a boolean"}},
		{200, `[]`, []string{" is an array"}},
		{201, `{}`, []string{"the status 201 is not one of its own"}},
		{204, ``, nil},
		{204, `{}`, []string{"there should be no body"}},
		{404, `{"error":"x"}`, nil},
		{404, `{"error":{}}`, []string{"error is an object"}},
	} {
		got := a.Check(op, c.status, "application/json", []byte(c.body))
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%d %s (-want +got):\n%s", c.status, c.body, diff)
		}
	}
	if got := a.Check(op, 200, "text/plain", []byte(`{"name":"x"}`)); len(got) != 1 {
		t.Errorf("text/plain: got %q", got)
	}
}
