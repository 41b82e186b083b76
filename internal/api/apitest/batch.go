// Package apitest is what the tests of the web port and of its dialects have in common: a shop
// with two traces and a graph. Only tests import it.
package apitest

import (
	"math"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// An Attr is an attribute as a test writes it: its value's Go type is its type.
type Attr struct {
	Key   string
	Value any
}

// JSONText is an array or a map, as the collector keeps it.
type JSONText string

// KV is an attribute.
func KV(key string, value any) Attr { return Attr{Key: key, Value: value} }

// AddAttrs puts attributes into a batch.
func AddAttrs(b *telemetry.Batch, list ...Attr) telemetry.Range {
	r := telemetry.Range{Start: uint32(len(b.Attrs)), Len: uint32(len(list))}
	for _, x := range list {
		a := telemetry.Attr{Key: b.InternString(x.Key)}
		switch v := x.Value.(type) {
		case string:
			a.Value = uint64(b.InternString(v))
		case int:
			a.Type, a.Value = telemetry.AttrInt, uint64(int64(v))
		case float64:
			a.Type, a.Value = telemetry.AttrFloat, math.Float64bits(v)
		case bool:
			a.Type = telemetry.AttrBool
			if v {
				a.Value = 1
			}
		case []byte:
			a.Type, a.Value = telemetry.AttrBytes, uint64(b.Intern(v))
		case JSONText:
			a.Type, a.Value = telemetry.AttrJSON, uint64(b.InternString(string(v)))
		default:
			panic("a test's attribute is of no type that telemetry has")
		}
		b.Attrs = append(b.Attrs, a)
	}
	return r
}

// AddResource puts a resource into a batch and returns its number.
func AddResource(b *telemetry.Batch, service, namespace, version string, more ...Attr) uint32 {
	list := more
	if service != "" {
		list = append([]Attr{KV("service.name", service)}, more...)
	}
	b.Resources = append(b.Resources, telemetry.Resource{
		Identity: telemetry.Identity{Service: b.InternString(service), Namespace: b.InternString(namespace), Version: b.InternString(version)},
		Attrs:    AddAttrs(b, list...),
	})
	return uint32(len(b.Resources) - 1)
}

// AddSpan puts a span into a batch.
func AddSpan(b *telemetry.Batch, s telemetry.Span, name string, attrs ...Attr) *telemetry.Span {
	s.Name = b.InternString(name)
	s.Attrs = AddAttrs(b, attrs...)
	b.Spans = append(b.Spans, s)
	b.FinishSpan(len(b.Spans) - 1)
	return &b.Spans[len(b.Spans)-1]
}

// TraceID is an id that ends in low.
func TraceID(low byte) (id telemetry.TraceID) {
	id[0], id[15] = 0x6f, low
	return id
}

// SpanID is an id that ends in low.
func SpanID(low byte) (id telemetry.SpanID) {
	id[0], id[7] = 0xa0, low
	return id
}

// At is a moment of the minute before noon, in Unix nanoseconds.
func At(d time.Duration) int64 { return Noon().Add(-time.Minute + d).UnixNano() }

// Noon is the moment at which the tests' world stands still.
func Noon() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }
