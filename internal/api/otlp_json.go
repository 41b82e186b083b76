package api

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Traces as OpenTelemetry's JSON: protobuf's JSON mapping of opentelemetry.proto.trace.v1.TracesData
// with the exceptions of the OTLP specification (ids in hex, enums as numbers). Fields
// that have their zero value are left out, as the mapping allows and as OpenTelemetry's
// own encoder does; 64-bit integers are text.

// otlpTraces writes traces as one TracesData, and says whether there was any.
func (j *jsonWriter) otlpTraces(traces []*query.Trace) (some bool) {
	j.open('{')
	j.key("resourceSpans")
	j.open('[')
	for _, t := range traces {
		if t == nil {
			continue
		}
		some = true
		for _, g := range groupSpans(t) {
			j.resourceSpans(t.Batch, &g)
		}
	}
	j.close(']')
	j.close('}')
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

func (j *jsonWriter) resourceSpans(b *telemetry.Batch, g *resourceGroup) {
	j.open('{')
	j.key("resource")
	j.otlpResource(b, g.resource)
	j.key("scopeSpans")
	j.open('[')
	for _, sc := range g.scopes {
		j.open('{')
		j.key("scope")
		j.open('{')
		j.nonEmpty("name", b.Str(sc.name))
		j.nonEmpty("version", b.Str(sc.version))
		j.close('}')
		j.key("spans")
		j.open('[')
		for _, i := range sc.spans {
			j.otlpSpan(b, &b.Spans[i])
		}
		j.close(']')
		j.close('}')
	}
	j.close(']')
	j.close('}')
}

// otlpResource names the service even where the sender did not say it but the
// collector knew: clients know a span's service by this attribute alone.
func (j *jsonWriter) otlpResource(b *telemetry.Batch, resource uint32) {
	attrs := b.AttrsOf(b.Resources[resource].Attrs)
	named := hasKey(b, attrs, b.Str(telemetry.KeyServiceName))
	j.open('{')
	j.key("attributes")
	j.open('[')
	if !named {
		j.open('{')
		j.field("key", b.Str(telemetry.KeyServiceName))
		j.key("value")
		j.anyText(query.ServiceOf(b, resource))
		j.close('}')
	}
	for _, a := range attrs {
		j.keyValue(b, a)
	}
	j.close(']')
	j.close('}')
}

func (j *jsonWriter) nonEmpty(key, value string) {
	if value != "" {
		j.field(key, value)
	}
}

func (j *jsonWriter) otlpSpan(b *telemetry.Batch, s *telemetry.Span) {
	j.open('{')
	j.key("traceId")
	j.hex(s.TraceID[:])
	j.key("spanId")
	j.hex(s.SpanID[:])
	j.nonEmpty("traceState", b.Str(s.TraceState))
	if !s.ParentID.IsZero() {
		j.key("parentSpanId")
		j.hex(s.ParentID[:])
	}
	if s.Flags != 0 {
		j.key("flags")
		j.uint(uint64(s.Flags))
	}
	j.nonEmpty("name", b.Str(s.Name))
	if s.Kind != 0 {
		j.key("kind")
		j.int(int64(s.Kind))
	}
	j.key("startTimeUnixNano")
	j.quoted(s.Start)
	j.key("endTimeUnixNano")
	j.quoted(s.Start + s.Duration)
	j.keyValues(b, s.Attrs)
	j.otlpEvents(b, s)
	j.otlpLinks(b, s)
	j.key("status")
	j.open('{')
	j.nonEmpty("message", b.Str(s.StatusMessage))
	if s.Status != 0 {
		j.key("code")
		j.int(int64(s.Status))
	}
	j.close('}')
	j.close('}')
}

func (j *jsonWriter) otlpEvents(b *telemetry.Batch, s *telemetry.Span) {
	if s.Events.Len == 0 {
		return
	}
	j.key("events")
	j.open('[')
	for _, e := range b.Events[s.Events.Start : s.Events.Start+s.Events.Len] {
		j.open('{')
		j.key("timeUnixNano")
		j.quoted(e.Time)
		j.nonEmpty("name", b.Str(e.Name))
		j.keyValues(b, e.Attrs)
		j.close('}')
	}
	j.close(']')
}

func (j *jsonWriter) otlpLinks(b *telemetry.Batch, s *telemetry.Span) {
	if s.Links.Len == 0 {
		return
	}
	j.key("links")
	j.open('[')
	for _, l := range b.Links[s.Links.Start : s.Links.Start+s.Links.Len] {
		j.open('{')
		j.key("traceId")
		j.hex(l.TraceID[:])
		j.key("spanId")
		j.hex(l.SpanID[:])
		j.keyValues(b, l.Attrs)
		j.close('}')
	}
	j.close(']')
}

// keyValues writes the field attributes, unless there is none.
func (j *jsonWriter) keyValues(b *telemetry.Batch, r telemetry.Range) {
	if r.Len == 0 {
		return
	}
	j.key("attributes")
	j.open('[')
	for _, a := range b.AttrsOf(r) {
		j.keyValue(b, a)
	}
	j.close(']')
}

func (j *jsonWriter) keyValue(b *telemetry.Batch, a telemetry.Attr) {
	j.open('{')
	j.field("key", b.Str(a.Key))
	j.key("value")
	switch a.Type {
	case telemetry.AttrString:
		j.anyText(b.Str(a.String()))
	case telemetry.AttrJSON:
		j.anyJSON(b.Str(a.String()))
	default:
		j.open('{')
		j.anyScalar(b, a)
		j.close('}')
	}
	j.close('}')
}

func (j *jsonWriter) anyScalar(b *telemetry.Batch, a telemetry.Attr) {
	switch a.Type {
	case telemetry.AttrInt:
		j.key("intValue")
		j.quoted(int64(a.Value))
	case telemetry.AttrFloat:
		j.key("doubleValue")
		j.float(math.Float64frombits(a.Value))
	case telemetry.AttrBool:
		j.key("boolValue")
		j.bool(a.Value != 0)
	default:
		j.key("bytesValue")
		j.base64(b.Bytes(a.String()))
	}
}

func (j *jsonWriter) anyText(s string) {
	j.open('{')
	j.field("stringValue", s)
	j.close('}')
}

// anyJSON turns the text of an array or a map back into an AnyValue. Text that is
// no JSON, which a decoder does not make, is written as text.
func (j *jsonWriter) anyJSON(s string) {
	if !json.Valid([]byte(s)) {
		j.anyText(s)
		return
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	j.anyToken(d)
}

// anyToken writes the next value of d, whose text is valid, so that no token
// fails.
func (j *jsonWriter) anyToken(d *json.Decoder) {
	token, err := d.Token()
	if err != nil {
		panic("BUG: api: valid JSON does not decode: " + err.Error())
	}
	j.open('{')
	switch v := token.(type) {
	case string:
		j.field("stringValue", v)
	case bool:
		j.key("boolValue")
		j.bool(v)
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			j.key("intValue")
			j.quoted(n)
		} else {
			j.key("doubleValue")
			j.raw(v.String())
		}
	case json.Delim:
		j.anyList(d, v)
	}
	j.close('}')
}

func (j *jsonWriter) anyList(d *json.Decoder, open json.Delim) {
	name := "arrayValue"
	if open == '{' {
		name = "kvlistValue"
	}
	j.key(name)
	j.open('{')
	j.key("values")
	j.open('[')
	for d.More() {
		if open == '[' {
			j.anyToken(d)
			continue
		}
		key, err := d.Token()
		if err != nil {
			panic("BUG: api: valid JSON does not decode: " + err.Error())
		}
		j.open('{')
		j.field("key", key.(string)) // JSON has no other keys
		j.key("value")
		j.anyToken(d)
		j.close('}')
	}
	if _, err := d.Token(); err != nil {
		panic("BUG: api: valid JSON does not decode: " + err.Error())
	}
	j.close(']')
	j.close('}')
}
