package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A Change is a setting that is not what it was. Old and New are as they would
// be written in the file; those of the section collector are left out, since a
// receiver's or exporter's settings may be secret.
type Change struct {
	Path string `json:"path"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// String is the change in one line.
func (c Change) String() string {
	switch {
	case c.Old == "" && c.New == "":
		return c.Path
	case c.Old == "":
		return c.Path + ": " + c.New
	}
	return fmt.Sprintf("%s: %s -> %s", c.Path, c.Old, c.New)
}

// Diff lists the settings in which a and b differ, in the order of the file's sections.
func Diff(a, b Config) []Change {
	return diff(nil, "", reflect.ValueOf(a), reflect.ValueOf(b))
}

func diff(out []Change, path string, a, b reflect.Value) []Change {
	switch {
	case a.Kind() == reflect.Struct:
		for f, v := range settings(a) {
			out = diff(out, join(path, f), v, b.FieldByIndex(fieldNamed(b.Type(), f)))
		}
	case a.Kind() == reflect.Map:
		keys := map[string]bool{}
		for _, k := range slices.Concat(a.MapKeys(), b.MapKeys()) {
			keys[k.String()] = true
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			x, y := a.MapIndex(reflect.ValueOf(k)), b.MapIndex(reflect.ValueOf(k))
			if x.IsValid() != y.IsValid() || x.IsValid() && !reflect.DeepEqual(x.Interface(), y.Interface()) {
				out = append(out, Change{Path: join(path, k)})
			}
		}
	case !reflect.DeepEqual(a.Interface(), b.Interface()):
		out = append(out, Change{path, written(a), written(b)})
	}
	return out
}

// written is a setting's value as the file would have it.
func written(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return x.String()
	case string:
		if x == "" {
			return `""`
		}
		return x
	case []string:
		return "[" + strings.Join(x, ", ") + "]"
	default:
		return fmt.Sprint(x)
	}
}

// Take copies a setting, or a whole section, from another configuration. It
// panics for a path that does not exist.
func (c *Config) Take(from Config, path string) {
	to, v := reflect.ValueOf(c).Elem(), reflect.ValueOf(from)
	for _, name := range strings.Split(path, ".") {
		index := fieldNamed(to.Type(), name)
		if index == nil {
			panic("config: no setting " + path)
		}
		to, v = to.FieldByIndex(index), v.FieldByIndex(index)
	}
	to.Set(v)
}

// settings are a section's fields by their names in the file, in order.
func settings(v reflect.Value) func(yield func(string, reflect.Value) bool) {
	return func(yield func(string, reflect.Value) bool) {
		for i := range v.NumField() {
			if name := yamlName(v.Type().Field(i)); name != "" && !yield(name, v.Field(i)) {
				return
			}
		}
	}
}

func fieldNamed(t reflect.Type, name string) []int {
	for i := range t.NumField() {
		if yamlName(t.Field(i)) == name {
			return []int{i}
		}
	}
	return nil
}

// yamlName is a field's name in the file, "" where it has none.
func yamlName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if name == "-" {
		return ""
	}
	return name
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
