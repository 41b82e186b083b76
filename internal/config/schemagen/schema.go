package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

const (
	// reference is where the environment's variables are put in, see config.Load.
	reference = `\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}`
	duration  = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
)

// generator makes a schema of values; the first thing that is amiss is in err.
type generator struct {
	root     string
	packages map[string]comments // by import path
	err      error
}

func (g *generator) fail(format string, args ...any) {
	if g.err == nil {
		g.err = fmt.Errorf(format, args...)
	}
}

// section is the schema of a struct, whose field have their defaults.
func (g *generator) section(v reflect.Value) object {
	t := v.Type()
	docs := g.commentsOf(t)
	var properties object
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			g.fail("%s.%s has no name in the file: give it a yaml tag", t, f.Name)
			continue
		}
		about := docs.fields[f.Name]
		if about == "" && f.Type.Kind() == reflect.Struct {
			about = inFileWords(g.commentsOf(f.Type).about, map[string]string{f.Type.Name(): name})
		}
		if about == "" {
			g.fail("%s.%s has no comment, which would be its description", t, f.Name)
		}
		properties = append(properties, member{name, append(object{{"description", about}}, g.setting(name, f, v.Field(i))...)})
	}
	return object{{"type", []string{"object", "null"}}, {"properties", properties}, {"additionalProperties", false}}
}

// setting is the schema of a field's value.
func (g *generator) setting(name string, f reflect.StructField, v reflect.Value) object {
	fallback := member{"default", v.Interface()}
	switch {
	case f.Type == reflect.TypeFor[time.Duration]():
		return object{either(object{{"type", "string"}, {"pattern", duration}}), {"default", v.Interface().(time.Duration).String()}} //nolint:forcetypeassert // it is one
	case f.Tag.Get("enum") != "":
		return object{either(object{{"enum", strings.Split(f.Tag.Get("enum"), ",")}}), fallback}
	case f.Type.Kind() == reflect.Map:
		return collectorSection()
	}
	switch f.Type.Kind() {
	case reflect.Struct:
		return g.section(v)
	case reflect.String:
		return object{{"type", "string"}, fallback}
	case reflect.Slice:
		if v.IsNil() {
			fallback.value = []string{}
		}
		return object{{"type", []string{"array", "null"}}, {"items", object{{"type", "string"}}}, fallback}
	case reflect.Bool:
		return object{either(object{{"type", "boolean"}}), fallback}
	case reflect.Float64:
		return object{either(object{{"type", "number"}}), fallback}
	case reflect.Int, reflect.Int64:
		if strings.HasSuffix(name, "_bytes") {
			return object{either(object{{"type", "integer"}}, object{{"type", "string"}, {"pattern", config.SizePattern}}), fallback}
		}
		return object{either(object{{"type", "integer"}}), fallback}
	}
	g.fail("%s is of a kind (%s) that no schema is written for yet", f.Name, f.Type)
	return nil
}

// either is a value of one of these forms, or one that the environment gives.
func either(forms ...object) member {
	return member{"anyOf", append(forms, object{{"type", "string"}, {"pattern", reference}})}
}

// collectorSection has the OpenTelemetry Collector's own words, of which only
// the first is ours to check.
func collectorSection() object {
	var properties object
	for _, p := range []struct{ name, about string }{
		{"receivers", "What is received, by component: otlp, zipkin, jaeger. Written, it is the whole of what is received."},
		{"processors", "What happens in between: batch, memory_limiter."},
		{"exporters", "Where it goes, besides binnacle: otlp."},
		{"connectors", "None are built in."},
		{"extensions", "None are built in."},
		{"service", "Which of them are put together, in pipelines."},
	} {
		properties = append(properties, member{p.name, object{{"description", p.about}, {"type", []string{"object", "null"}}}})
	}
	return object{{"type", []string{"object", "null"}}, {"properties", properties}, {"additionalProperties", false}}
}
