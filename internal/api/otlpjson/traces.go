// Package otlpjson writes traces as OpenTelemetry's JSON: protobuf's JSON mapping of
// opentelemetry.proto.trace.v1.TracesData with the exceptions of the OTLP specification (ids in
// hex, enums as numbers). It is the one mapping of a trace to OTLP, for every dialect and
// export that speaks it.
//
// Fields that have their zero value are left out, as the mapping allows and as
// OpenTelemetry's own encoder does; 64-bit integers are text.
package otlpjson

import (
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Traces writes traces as one TracesData, and says whether there was any. Those that are nil are left out.
func Traces(j *jsonout.Writer, traces []*query.Trace) (some bool) {
	j.Open('{')
	j.Key("resourceSpans").Open('[')
	for _, t := range traces {
		if t == nil {
			continue
		}
		some = true
		for _, g := range groupSpans(t) {
			resourceSpans(j, t.Batch, &g)
		}
	}
	j.Close(']')
	j.Close('}')
	return some
}

// A resourceGroup is a resource's spans by scope, each in the order of the trace.
type resourceGroup struct {
	resource uint32
	scopes   []scopeGroup
}

type scopeGroup struct {
	name, version telemetry.StrID
	spans         []int
}

func groupSpans(t *query.Trace) []resourceGroup {
	var groups []resourceGroup
	at := map[uint32]int{}
	for _, i := range t.Spans {
		s := &t.Batch.Spans[i]
		n, ok := at[s.Resource]
		if !ok {
			n = len(groups)
			at[s.Resource] = n
			groups = append(groups, resourceGroup{resource: s.Resource})
		}
		groups[n].add(s.ScopeName, s.ScopeVersion, i)
	}
	return groups
}

// add puts a span under its scope. A resource has few, so they are searched.
func (g *resourceGroup) add(name, version telemetry.StrID, span int) {
	for k := range g.scopes {
		if sc := &g.scopes[k]; sc.name == name && sc.version == version {
			sc.spans = append(sc.spans, span)
			return
		}
	}
	g.scopes = append(g.scopes, scopeGroup{name, version, []int{span}})
}

func resourceSpans(j *jsonout.Writer, b *telemetry.Batch, g *resourceGroup) {
	j.Open('{')
	resource(j.Key("resource"), b, g.resource)
	j.Key("scopeSpans")
	jsonout.List(j, g.scopes, func(j *jsonout.Writer, sc *scopeGroup) {
		j.Open('{')
		j.Key("scope").Open('{')
		j.FieldIf("name", b.Str(sc.name))
		j.FieldIf("version", b.Str(sc.version))
		j.Close('}')
		j.Key("spans")
		jsonout.List(j, sc.spans, func(j *jsonout.Writer, i *int) { span(j, b, &b.Spans[*i]) })
		j.Close('}')
	})
	j.Close('}')
}

// resource names the service even where the sender did not say it but the
// collector knew: clients know a span's service by this attribute alone.
func resource(j *jsonout.Writer, b *telemetry.Batch, resource uint32) {
	attrs := b.Resources[resource].Attrs
	j.Open('{')
	j.Key("attributes").Open('[')
	if !b.HasKey(attrs, b.Str(telemetry.KeyServiceName)) {
		j.Open('{')
		j.Field("key", b.Str(telemetry.KeyServiceName))
		textValue(j.Key("value"), query.ServiceOf(b, resource))
		j.Close('}')
	}
	for _, a := range b.AttrsOf(attrs) {
		keyValue(j, b, a)
	}
	j.Close(']')
	j.Close('}')
}

func span(j *jsonout.Writer, b *telemetry.Batch, s *telemetry.Span) {
	j.Open('{')
	j.Key("traceId").Hex(s.TraceID[:])
	j.Key("spanId").Hex(s.SpanID[:])
	j.FieldIf("traceState", b.Str(s.TraceState))
	if !s.ParentID.IsZero() {
		j.Key("parentSpanId").Hex(s.ParentID[:])
	}
	if s.Flags != 0 {
		j.Key("flags").Uint(uint64(s.Flags))
	}
	j.FieldIf("name", b.Str(s.Name))
	if s.Kind != 0 {
		j.Key("kind").Int(int64(s.Kind))
	}
	j.Key("startTimeUnixNano").Quoted(s.Start)
	j.Key("endTimeUnixNano").Quoted(s.Start + s.Duration)
	attributes(j, b, s.Attrs)
	if s.Events.Len > 0 {
		j.Key("events")
		jsonout.List(j, b.EventsOf(s), func(j *jsonout.Writer, e *telemetry.Event) { event(j, b, e) })
	}
	if s.Links.Len > 0 {
		j.Key("links")
		jsonout.List(j, b.LinksOf(s), func(j *jsonout.Writer, l *telemetry.Link) { link(j, b, l) })
	}
	j.Key("status").Open('{')
	j.FieldIf("message", b.Str(s.StatusMessage))
	if s.Status != 0 {
		j.Key("code").Int(int64(s.Status))
	}
	j.Close('}')
	j.Close('}')
}

func event(j *jsonout.Writer, b *telemetry.Batch, e *telemetry.Event) {
	j.Open('{')
	j.Key("timeUnixNano").Quoted(e.Time)
	j.FieldIf("name", b.Str(e.Name))
	attributes(j, b, e.Attrs)
	j.Close('}')
}

func link(j *jsonout.Writer, b *telemetry.Batch, l *telemetry.Link) {
	j.Open('{')
	j.Key("traceId").Hex(l.TraceID[:])
	j.Key("spanId").Hex(l.SpanID[:])
	attributes(j, b, l.Attrs)
	j.Close('}')
}

// attributes writes the field of that name, unless there is none.
func attributes(j *jsonout.Writer, b *telemetry.Batch, r telemetry.Range) {
	if r.Len == 0 {
		return
	}
	j.Key("attributes").Open('[')
	for _, a := range b.AttrsOf(r) {
		keyValue(j, b, a)
	}
	j.Close(']')
}
