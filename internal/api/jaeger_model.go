package api

import (
	"math"
	"strconv"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A trace as Jaeger's legacy API writes it. What OpenTelemetry has in fields
// Jaeger has in tags, and the mapping is OpenTelemetry's own ("OpenTelemetry to Jaeger
// transformation"): the scope as otel.scope.*, then the attributes, span.kind, the
// status as otel.status_code and error, and the trace state; a resource is a process,
// a parent a CHILD_OF reference, a link FOLLOWS_FROM, an event a log.

// maxSafeInteger is the greatest integer that JavaScript holds exactly; Jaeger
// writes those beyond as text.
const maxSafeInteger = 1<<53 - 1

func (j *jsonWriter) legacyTrace(t *query.Trace) {
	ps := processes{trace: t, byResource: map[uint32]int{}, byContent: map[string]int{}}
	id := t.ID
	if len(t.Spans) > 0 {
		id = t.Batch.Spans[t.Spans[0]].TraceID
	}
	j.open('{')
	j.key("traceID")
	j.traceID(id)
	j.key("spans")
	j.open('[')
	for _, i := range t.Spans {
		s := &t.Batch.Spans[i]
		j.legacySpan(t.Batch, s, ps.of(s.Resource))
	}
	j.close(']')
	j.key("processes")
	j.open('{')
	for n, p := range ps.list {
		j.key("p" + strconv.Itoa(n+1))
		j.raw(p)
	}
	j.close('}')
	j.key("warnings")
	j.raw("null")
	j.close('}')
}

func (j *jsonWriter) legacySpan(b *telemetry.Batch, s *telemetry.Span, process int) {
	j.open('{')
	j.key("traceID")
	j.traceID(s.TraceID)
	j.key("spanID")
	j.hex(s.SpanID[:])
	j.field("operationName", b.Str(s.Name))
	j.key("references")
	j.references(b, s)
	j.key("startTime")
	j.int(s.Start / 1000)
	j.key("duration")
	j.int(s.Duration / 1000)
	j.key("tags")
	j.spanTags(b, s)
	j.key("logs")
	j.logs(b, s)
	j.field("processID", "p"+strconv.Itoa(process+1))
	j.key("warnings")
	j.raw("null")
	j.close('}')
}

// traceID writes an id as Jaeger does: one of 64 bits has 16 digits.
func (j *jsonWriter) traceID(id telemetry.TraceID) {
	if [8]byte(id[:8]) == [8]byte{} {
		j.hex(id[8:])
		return
	}
	j.hex(id[:])
}

// references are the parent first, where pages look for it, then the links. A
// link to the parent only says what kind of reference the parent is.
func (j *jsonWriter) references(b *telemetry.Batch, s *telemetry.Span) {
	links := b.Links[s.Links.Start : s.Links.Start+s.Links.Len]
	isParent := func(l *telemetry.Link) bool {
		return !s.ParentID.IsZero() && l.TraceID == s.TraceID && l.SpanID == s.ParentID
	}
	j.open('[')
	if !s.ParentID.IsZero() {
		kind := "CHILD_OF"
		for i := range links {
			if isParent(&links[i]) {
				kind = refType(b, &links[i])
			}
		}
		j.reference(kind, s.TraceID, s.ParentID)
	}
	for i := range links {
		if l := &links[i]; !isParent(l) {
			j.reference(refType(b, l), l.TraceID, l.SpanID)
		}
	}
	j.close(']')
}

func (j *jsonWriter) reference(kind string, trace telemetry.TraceID, span telemetry.SpanID) {
	j.open('{')
	j.field("refType", kind)
	j.key("traceID")
	j.traceID(trace)
	j.key("spanID")
	j.hex(span[:])
	j.close('}')
}

func refType(b *telemetry.Batch, l *telemetry.Link) string {
	for _, a := range b.AttrsOf(l.Attrs) {
		if a.Type == telemetry.AttrString && b.Str(a.Key) == "opentracing.ref_type" && b.Str(a.String()) == "child_of" {
			return "CHILD_OF"
		}
	}
	return "FOLLOWS_FROM"
}

func (j *jsonWriter) spanTags(b *telemetry.Batch, s *telemetry.Span) {
	j.open('[')
	j.textTag("otel.scope.name", b.Str(s.ScopeName))
	j.textTag("otel.scope.version", b.Str(s.ScopeVersion))
	for _, a := range b.AttrsOf(s.Attrs) {
		j.tag(b, a)
	}
	if s.Kind != telemetry.KindUnspecified {
		j.textTag("span.kind", s.Kind.String())
	}
	switch s.Status {
	case telemetry.StatusOK:
		j.textTag("otel.status_code", "OK")
	case telemetry.StatusError:
		j.textTag("otel.status_code", "ERROR")
		j.open('{')
		j.field("key", "error")
		j.field("type", "bool")
		j.key("value")
		j.bool(true)
		j.close('}')
	default:
	}
	j.textTag("otel.status_description", b.Str(s.StatusMessage))
	j.textTag("w3c.tracestate", b.Str(s.TraceState))
	j.close(']')
}

// textTag writes a tag that is text, unless it is empty.
func (j *jsonWriter) textTag(key, value string) {
	if value == "" {
		return
	}
	j.open('{')
	j.field("key", key)
	j.field("type", "string")
	j.field("value", value)
	j.close('}')
}

func (j *jsonWriter) tag(b *telemetry.Batch, a telemetry.Attr) {
	j.open('{')
	j.field("key", b.Str(a.Key))
	switch a.Type {
	case telemetry.AttrInt:
		j.field("type", "int64")
		j.key("value")
		if n := int64(a.Value); n > maxSafeInteger || n < -maxSafeInteger {
			j.quoted(n)
		} else {
			j.int(n)
		}
	case telemetry.AttrFloat:
		j.field("type", "float64")
		j.key("value")
		j.float(math.Float64frombits(a.Value))
	case telemetry.AttrBool:
		j.field("type", "bool")
		j.key("value")
		j.bool(a.Value != 0)
	case telemetry.AttrBytes:
		j.field("type", "binary")
		j.key("value")
		j.base64(b.Bytes(a.String()))
	default:
		j.field("type", "string")
		j.field("value", b.Str(a.String()))
	}
	j.close('}')
}

func (j *jsonWriter) logs(b *telemetry.Batch, s *telemetry.Span) {
	j.open('[')
	for _, e := range b.Events[s.Events.Start : s.Events.Start+s.Events.Len] {
		j.open('{')
		j.key("timestamp")
		j.int(e.Time / 1000)
		j.key("fields")
		j.open('[')
		attrs := b.AttrsOf(e.Attrs)
		if !hasKey(b, attrs, "event") {
			j.textTag("event", b.Str(e.Name))
		}
		for _, a := range attrs {
			j.tag(b, a)
		}
		j.close(']')
		j.close('}')
	}
	j.close(']')
}

func hasKey(b *telemetry.Batch, attrs []telemetry.Attr, key string) bool {
	for _, a := range attrs {
		if b.Str(a.Key) == key {
			return true
		}
	}
	return false
}

// processes numbers the processes of a trace. Each sending brings a resource
// of its own, so those that say the same are one process.
type processes struct {
	trace      *query.Trace
	byResource map[uint32]int
	byContent  map[string]int
	list       []string // as JSON
}

// of is the number of a resource's process, from 0.
func (ps *processes) of(resource uint32) int {
	if n, ok := ps.byResource[resource]; ok {
		return n
	}
	b := ps.trace.Batch
	j := jsonWriter{}
	j.open('{')
	j.field("serviceName", query.ServiceOf(b, resource))
	j.key("tags")
	j.open('[')
	for _, a := range b.AttrsOf(b.Resources[resource].Attrs) {
		if a.Key != telemetry.KeyServiceName {
			j.tag(b, a)
		}
	}
	j.close(']')
	j.close('}')
	n, ok := ps.byContent[string(j.b)]
	if !ok {
		n = len(ps.list)
		ps.list = append(ps.list, string(j.b))
		ps.byContent[ps.list[n]] = n
	}
	ps.byResource[resource] = n
	return n
}
