package binnacle

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// This is the oracle of the graph's JSON: docs/api/http.md read as rules, and applied by reflection to whatever
// fields the vocabulary has. A field is named as in Go, in snake_case; what has a name of its own (a kind, a
// health) is that name; an id is hex; a moment is in milliseconds.

// snake is a field's name in JSON: LastSeen is last_seen, TraceID trace_id, MTLS mtls.
func snake(name string) string {
	var out strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) && !unicode.IsUpper(rune(name[i-1])) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// mayBeAbsent are the fields that are left out where there is nothing to say.
var mayBeAbsent = map[string]bool{"throttled_by": true, "judgement": true, "exemplars": true, "p50": true, "p90": true, "p99": true, "incomplete": true, "findings": true, "estimate": true}

// naive is v, which the field name holds, as encoding/json reads it.
func naive(name string, v reflect.Value) any {
	if at, ok := v.Interface().(time.Time); ok {
		return float64(at.UnixMilli())
	}
	if id, ok := v.Interface().(fmt.Stringer); ok {
		if s := id.String(); strings.Trim(s, "0") != "" || v.Kind() != reflect.Array {
			return s
		}
		return "" // an id of zeros is none
	}
	switch v.Kind() {
	case reflect.Pointer:
		return naive(name, v.Elem())
	case reflect.Int64:
		switch name {
		case "Time", "FirstSeen", "LastSeen", "Since":
			return float64(v.Int() / 1e6)
		case "Duration":
			return float64(v.Int()) / 1e6
		}
		return float64(v.Int())
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = naive(name, v.Index(i))
		}
		return out
	case reflect.Map:
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			out[k.String()] = naive(name, v.MapIndex(k))
		}
		return out
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			f := v.Type().Field(i).Name
			if key := snake(f); !mayBeAbsent[key] || !v.Field(i).IsZero() {
				out[key] = naive(f, v.Field(i))
			}
		}
		return out
	case reflect.Uint64:
		return float64(v.Uint())
	default:
		return v.Interface()
	}
}

// draw fills v, whatever it is, with anything that the vocabulary allows there.
func draw(t *rapid.T, label string, v reflect.Value) {
	switch v.Interface().(type) {
	case telemetry.NodeKind, telemetry.Protocol:
		v.SetUint(uint64(rapid.IntRange(0, 5).Draw(t, label)))
		return
	case telemetry.Health:
		v.SetUint(uint64(rapid.IntRange(0, 3).Draw(t, label)))
		return
	case telemetry.Witness:
		v.SetUint(uint64(rapid.IntRange(0, telemetry.Witnesses-1).Draw(t, label)))
		return
	case telemetry.Severity:
		v.SetUint(uint64(rapid.IntRange(0, 1).Draw(t, label)))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMilli(rapid.Int64Range(0, 1e13).Draw(t, label))))
		return
	case telemetry.Ailment:
		v.SetUint(uint64(rapid.IntRange(1, 4).Draw(t, label)))
		return
	case telemetry.Judgement:
		if rapid.Bool().Draw(t, label+"?") {
			return // it is well
		}
	case telemetry.Origin:
		v.SetUint(uint64(rapid.IntRange(0, 1).Draw(t, label)))
		return
	case telemetry.TraceID, telemetry.SpanID:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(rapid.Byte().Draw(t, label)))
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if rapid.Bool().Draw(t, label+"?") {
			v.Set(reflect.New(v.Type().Elem()))
			draw(t, label, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			draw(t, v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		if n := rapid.IntRange(0, 2).Draw(t, label); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			draw(t, label, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1s", "10s", "1m", "5m", "range", `odd "one"`}), 0, 4, rapid.ID[string]).Draw(t, label) {
			e := reflect.New(v.Type().Elem()).Elem()
			draw(t, label, e)
			v.SetMapIndex(reflect.ValueOf(k), e)
		}
	case reflect.String:
		v.SetString(rapid.SampledFrom([]string{"", "shop/cart", "a>b|http", "\"<ü>\u2028"}).Draw(t, label))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, label))
	case reflect.Int64:
		v.SetInt(rapid.Int64Range(0, math.MaxInt64).Draw(t, label))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, label))
	case reflect.Float64:
		v.SetFloat(rapid.Float64Range(-1e9, 1e9).Draw(t, label))
	default:
		t.Fatalf("%s is a %s, which this test cannot fill; teach it", label, v.Type())
	}
}
