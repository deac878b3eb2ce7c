package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A field is one value of a Config and what its tags say.
type field struct {
	Key     string // as in the file: "proxy.addr"
	Env     []string
	Default string
	Doc     string
	Secret  bool
	v       reflect.Value
}

// fieldsOf lists all values in a struct and in the structs within it, in the
// order of the source. A struct without a yaml tag is part of the one around.
// One with the tag defaults ("name=value") has that default where its own
// tags have another, for what only the sum of all can know.
func fieldsOf(ptr any) []*field {
	var all []*field
	var walk func(v reflect.Value, prefix, defaults string)
	walk = func(v reflect.Value, prefix, defaults string) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name := f.Tag.Get("yaml")
			switch {
			case !f.IsExported() || name == "-":
			case f.Type.Kind() == reflect.Struct && name == "":
				walk(v.Field(i), prefix, defaults)
			case f.Type.Kind() == reflect.Struct:
				walk(v.Field(i), prefix+name+".", f.Tag.Get("defaults"))
			case name != "":
				def, ok := strings.CutPrefix(defaults, name+"=")
				if !ok {
					def = f.Tag.Get("default")
				}
				all = append(all, &field{
					Key: prefix + name, Env: strings.Split(f.Tag.Get("env"), ";"), Default: def,
					Doc: f.Tag.Get("doc"), Secret: f.Tag.Get("secret") == "true", v: v.Field(i),
				})
			}
		}
	}
	walk(reflect.ValueOf(ptr).Elem(), "", "")
	return all
}

var duration = reflect.TypeFor[time.Duration]()

// set reads a value from its text.
func (f *field) set(text string) error {
	switch f.v.Kind() {
	case reflect.String:
		f.v.SetString(text)
	case reflect.Bool:
		b, err := parseBool(text)
		f.v.SetBool(b)
		return err
	case reflect.Slice:
		var list []string
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		f.v.Set(reflect.ValueOf(list))
	case reflect.Int, reflect.Int64:
		var n int64
		var err error
		if f.v.Type() == duration {
			n, err = parseDuration(text)
		} else {
			n, err = parseSize(text)
		}
		if err == nil && f.v.OverflowInt(n) {
			err = fmt.Errorf("%q is too large", text)
		}
		f.v.SetInt(n)
		return err
	default:
		return fmt.Errorf("a value of type %s cannot be configured", f.v.Type())
	}
	return nil
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0", "":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", text)
}

// parseDuration knows days, too: "30d".
func parseDuration(text string) (int64, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseInt(days, 10, 32); err == nil {
			return n * int64(24*time.Hour), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 90s, 15m, 24h or 30d", text)
	}
	return int64(d), nil
}

var units = []struct {
	suffix string
	bytes  int64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12}, {"b", 1},
}

// parseSize reads a number, which may have a unit of bytes: "10GB", "1.5 GiB".
func parseSize(text string) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	low := strings.ToLower(text)
	for _, u := range units {
		if number, ok := strings.CutSuffix(low, u.suffix); ok {
			x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if x *= float64(u.bytes); err == nil && x > -1<<63 && x < 1<<63 {
				return int64(x), nil
			}
			break
		}
	}
	return 0, fmt.Errorf("%q is not a number, with a unit such as MB or GiB if it is a size", text)
}

// text is the value as set would read it.
func (f *field) text() string {
	switch v := f.v.Interface().(type) {
	case []string:
		return strings.Join(v, ",")
	case time.Duration:
		return trimDuration(v.String())
	}
	return fmt.Sprint(f.v.Interface())
}

// trimDuration takes the zeros off "24h0m0s".
func trimDuration(s string) string {
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// kind names the type for people.
func (f *field) kind() string {
	switch {
	case f.v.Type() == duration:
		return "duration"
	case f.v.Kind() == reflect.Slice:
		return "list"
	case f.v.Kind() == reflect.Bool:
		return "true or false"
	case f.v.Kind() == reflect.String:
		return "text"
	}
	return "number"
}
