package httpx

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"reflect"
	"strings"
)

// WriteOCS writes an OCS envelope around data, in JSON when the query says
// format=json and in XML otherwise. In data the json tags name the elements
// in both; lists become repeated <element>.
func WriteOCS(w http.ResponseWriter, r *http.Request, status, code int, message string, data any) {
	meta := struct {
		Status  string `json:"status"`
		Code    int    `json:"statuscode"`
		Message string `json:"message"`
	}{"ok", code, message}
	if code != 100 && code != 200 {
		meta.Status = "error"
	}
	if r.URL.Query().Get("format") == "json" {
		if data == nil {
			data = []string{}
		}
		body, err := json.Marshal(map[string]any{"ocs": map[string]any{"meta": meta, "data": data}})
		if err != nil {
			panic(err) // a type of ours that cannot be marshalled
		}
		write(w, r, status, "application/json; charset=utf-8", string(body))
		return
	}
	var b strings.Builder
	b.WriteString(xml.Header + "<ocs>")
	writeXML(&b, "meta", reflect.ValueOf(meta))
	if data == nil {
		b.WriteString("<data></data>")
	} else {
		writeXML(&b, "data", reflect.ValueOf(data))
	}
	b.WriteString("</ocs>\n")
	write(w, r, status, "application/xml; charset=utf-8", b.String())
}

func writeXML(b *strings.Builder, name string, v reflect.Value) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	fmt.Fprintf(b, "<%s>", name)
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			tag, opts, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if tag == "-" || strings.Contains(opts, "omitempty") && v.Field(i).IsZero() {
				continue
			}
			writeXML(b, tag, v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			writeXML(b, "element", v.Index(i))
		}
	case reflect.Bool:
		// PHP's way, which clients were written for.
		if v.Bool() {
			b.WriteByte('1')
		}
	default:
		xml.EscapeText(b, fmt.Append(nil, v.Interface()))
	}
	fmt.Fprintf(b, "</%s>", name)
}
