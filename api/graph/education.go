package graph

import (
	"encoding/json"
	"errors"
	"iter"
	"net/http"

	"opencloud/cloud"
)

// educationTable is there when there are schools.
func educationTable() []route {
	return []route{
		{method: "GET", path: "education/schools", serve: (*handler).schools},
		{method: "POST", path: "education/schools", serve: (*handler).createSchool},
		{method: "GET", path: "education/schools/*", serve: (*handler).school},
		{method: "PATCH", path: "education/schools/*", serve: (*handler).updateSchool},
		{method: "DELETE", path: "education/schools/*", serve: (*handler).removeSchool},
		{method: "GET", path: "education/schools/*/users", serve: (*handler).schoolUsers},
		{method: "POST", path: "education/schools/*/users/$ref", serve: (*handler).attend},
		{method: "DELETE", path: "education/schools/*/users/*/$ref", serve: (*handler).quit},
		{method: "GET", path: "education/schools/*/classes", serve: (*handler).schoolClasses},
		{method: "POST", path: "education/schools/*/classes/$ref", serve: (*handler).offer},
		{method: "DELETE", path: "education/schools/*/classes/*/$ref", serve: (*handler).withdraw},
		{method: "GET", path: "education/users", serve: (*handler).pupils},
		{method: "POST", path: "education/users", serve: (*handler).createPupil},
		{method: "GET", path: "education/users/*", serve: (*handler).pupil},
		{method: "PATCH", path: "education/users/*", serve: (*handler).updatePupil},
		{method: "DELETE", path: "education/users/*", serve: (*handler).removePupil},
		{method: "GET", path: "education/classes", serve: (*handler).classes},
		{method: "POST", path: "education/classes", serve: (*handler).createClass},
		{method: "GET", path: "education/classes/*", serve: (*handler).class},
		{method: "PATCH", path: "education/classes/*", serve: (*handler).updateClass},
		{method: "DELETE", path: "education/classes/*", serve: (*handler).removeClass},
		{method: "GET", path: "education/classes/*/members", serve: (*handler).classMembers},
		{method: "POST", path: "education/classes/*/members/$ref", serve: (*handler).joinClass},
		{method: "DELETE", path: "education/classes/*/members/*/$ref", serve: (*handler).leaveClass},
		{method: "GET", path: "education/classes/*/teachers", serve: (*handler).teachers},
		{method: "POST", path: "education/classes/*/teachers/$ref", serve: (*handler).teach},
		{method: "DELETE", path: "education/classes/*/teachers/*/$ref", serve: (*handler).unteach},
	}
}

// sought is all, or what has the external id if the $filter asks for nothing
// else. A client that brings 100,000 users up to date asks for each like this,
// so that is found without looking through all.
func sought[T any](r *http.Request, all iter.Seq2[*T, error], external func(id string) (*T, error)) iter.Seq2[*T, error] {
	if id, ok := equals(r.URL.Query().Get("$filter"), "externalId"); ok {
		return single(external(id))
	}
	return all
}

// bare is for lists that only $select has something to say about: of what is
// there anyway.
func bare[T any](l listing[T], s shape[T], more ...string) error {
	_, err := list("$expand", l.expand, "")
	if err == nil {
		_, err = list("$select", l.sel, append(more, s.fields...)...)
	}
	return err
}

// show answers with what was found or made, if it was.
func show[T, J any](w http.ResponseWriter, r *http.Request, status int, v *T, err error, render func(*T) (J, error)) error {
	if err != nil {
		return err
	}
	got, err := render(v)
	if err != nil {
		return err
	}
	return write(w, r, status, got)
}

// single yields what was found, if anything was.
func single[T any](v *T, err error) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		if !errors.Is(err, cloud.NotExist) {
			yield(v, err)
		}
	}
}

// equals is the value of a $filter that asks for one of a field and nothing else.
func equals(filter, field string) (value string, ok bool) {
	p := &filterParser{rest: filter, fields: []string{field}}
	p.next()
	if p.token != field {
		return "", false
	}
	p.next()
	if !p.accept("eq") {
		return "", false
	}
	value = p.value()
	return value, value != "" && p.token == "" && p.err == nil
}

// either finds something in one of two ways.
func either[T any](find func(by string) (*T, error), first, second string) (*T, error) {
	v, err := find(first)
	if errors.Is(err, cloud.NotExist) {
		return find(second)
	}
	return v, err
}

// A nullable tells null from what is not there.
type nullable[T any] struct {
	set   bool
	value *T
}

func (n *nullable[T]) UnmarshalJSON(b []byte) error {
	n.set = true
	return json.Unmarshal(b, &n.value)
}

// refBody is the reference in the body of a request.
func refBody(w http.ResponseWriter, r *http.Request, among string) (id string, err error) {
	var body reference
	if err := read(w, r, &body); err != nil {
		return "", err
	}
	return refers(body.Ref, among)
}

// done answers what has nothing to say but that it worked.
func done(w http.ResponseWriter, err error) error {
	if err != nil {
		return err
	}
	return writeNothing(w)
}
