package legacy

import (
	"math"
	"strconv"

	"github.com/binnacle-mesh/binnacle/internal/api/jaeger"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
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

func writeTrace(j *jsonout.Writer, t *query.Trace) {
	ps := processes{trace: t, byResource: map[uint32]int{}, byContent: map[string]int{}}
	id := t.ID
	if len(t.Spans) > 0 {
		id = t.Batch.Spans[t.Spans[0]].TraceID
	}
	j.Open('{')
	traceID(j.Key("traceID"), id)
	j.Key("spans").Open('[')
	for _, i := range t.Spans {
		s := &t.Batch.Spans[i]
		writeSpan(j, t.Batch, s, ps.of(s.Resource))
	}
	j.Close(']')
	j.Key("processes").Open('{')
	for n, p := range ps.list {
		j.Key("p" + strconv.Itoa(n+1))
		j.Raw(p)
	}
	j.Close('}')
	if len(t.Damaged) > 0 {
		j.Key("warnings").Texts([]string{jaeger.Incomplete(t.Damaged)})
	} else {
		j.Key("warnings").Raw("null")
	}
	j.Close('}')
}

func writeSpan(j *jsonout.Writer, b *telemetry.Batch, s *telemetry.Span, process int) {
	j.Open('{')
	traceID(j.Key("traceID"), s.TraceID)
	j.Key("spanID").Hex(s.SpanID[:])
	j.Field("operationName", b.Str(s.Name))
	references(j.Key("references"), b, s)
	j.Key("startTime").Int(s.Start / 1000)
	j.Key("duration").Int(s.Duration / 1000)
	spanTags(j.Key("tags"), b, s)
	logs(j.Key("logs"), b, s)
	j.Field("processID", "p"+strconv.Itoa(process+1))
	j.Key("warnings").Raw("null")
	j.Close('}')
}

// traceID writes an id as Jaeger does: one of 64 bits has 16 digits.
func traceID(j *jsonout.Writer, id telemetry.TraceID) {
	if [8]byte(id[:8]) == [8]byte{} {
		j.Hex(id[8:])
		return
	}
	j.Hex(id[:])
}

// references are the parent first, where pages look for it, then the links. A
// link to the parent only says what kind of reference the parent is.
func references(j *jsonout.Writer, b *telemetry.Batch, s *telemetry.Span) {
	links := b.LinksOf(s)
	isParent := func(l *telemetry.Link) bool {
		return !s.ParentID.IsZero() && l.TraceID == s.TraceID && l.SpanID == s.ParentID
	}
	j.Open('[')
	if !s.ParentID.IsZero() {
		kind := "CHILD_OF"
		for i := range links {
			if isParent(&links[i]) {
				kind = refType(b, &links[i])
			}
		}
		reference(j, kind, s.TraceID, s.ParentID)
	}
	for i := range links {
		if l := &links[i]; !isParent(l) {
			reference(j, refType(b, l), l.TraceID, l.SpanID)
		}
	}
	j.Close(']')
}

func reference(j *jsonout.Writer, kind string, trace telemetry.TraceID, span telemetry.SpanID) {
	j.Open('{')
	j.Field("refType", kind)
	traceID(j.Key("traceID"), trace)
	j.Key("spanID").Hex(span[:])
	j.Close('}')
}

func refType(b *telemetry.Batch, l *telemetry.Link) string {
	for _, a := range b.AttrsOf(l.Attrs) {
		if a.Type == telemetry.AttrString && b.Str(a.Key) == "opentracing.ref_type" && b.Str(a.String()) == "child_of" {
			return "CHILD_OF"
		}
	}
	return "FOLLOWS_FROM"
}

func spanTags(j *jsonout.Writer, b *telemetry.Batch, s *telemetry.Span) {
	j.Open('[')
	textTag(j, "otel.scope.name", b.Str(s.ScopeName))
	textTag(j, "otel.scope.version", b.Str(s.ScopeVersion))
	for _, a := range b.AttrsOf(s.Attrs) {
		tag(j, b, a)
	}
	if s.Kind != telemetry.KindUnspecified {
		textTag(j, "span.kind", s.Kind.String())
	}
	switch s.Status {
	case telemetry.StatusOK:
		textTag(j, "otel.status_code", "OK")
	case telemetry.StatusError:
		textTag(j, "otel.status_code", "ERROR")
		j.Open('{')
		j.Field("key", "error")
		j.Field("type", "bool")
		j.Key("value").Bool(true)
		j.Close('}')
	default:
	}
	textTag(j, "otel.status_description", b.Str(s.StatusMessage))
	textTag(j, "w3c.tracestate", b.Str(s.TraceState))
	j.Close(']')
}

// textTag writes a tag that is text, unless it is empty.
func textTag(j *jsonout.Writer, key, value string) {
	if value == "" {
		return
	}
	j.Open('{')
	j.Field("key", key)
	j.Field("type", "string")
	j.Field("value", value)
	j.Close('}')
}

func tag(j *jsonout.Writer, b *telemetry.Batch, a telemetry.Attr) {
	j.Open('{')
	j.Field("key", b.Str(a.Key))
	switch a.Type {
	case telemetry.AttrInt:
		j.Field("type", "int64")
		j.Key("value")
		if n := int64(a.Value); n > maxSafeInteger || n < -maxSafeInteger {
			j.Quoted(n)
		} else {
			j.Int(n)
		}
	case telemetry.AttrFloat:
		j.Field("type", "float64")
		j.Key("value").Float(math.Float64frombits(a.Value))
	case telemetry.AttrBool:
		j.Field("type", "bool")
		j.Key("value").Bool(a.Value != 0)
	case telemetry.AttrBytes:
		j.Field("type", "binary")
		j.Key("value").Base64(b.Bytes(a.String()))
	default:
		j.Field("type", "string")
		j.Field("value", b.Str(a.String()))
	}
	j.Close('}')
}

func logs(j *jsonout.Writer, b *telemetry.Batch, s *telemetry.Span) {
	j.Open('[')
	for _, e := range b.EventsOf(s) {
		j.Open('{')
		j.Key("timestamp").Int(e.Time / 1000)
		j.Key("fields").Open('[')
		if !b.HasKey(e.Attrs, "event") {
			textTag(j, "event", b.Str(e.Name))
		}
		for _, a := range b.AttrsOf(e.Attrs) {
			tag(j, b, a)
		}
		j.Close(']')
		j.Close('}')
	}
	j.Close(']')
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
	j := jsonout.Writer{}
	j.Open('{')
	j.Field("serviceName", query.ServiceOf(b, resource))
	j.Key("tags").Open('[')
	for _, a := range b.AttrsOf(b.Resources[resource].Attrs) {
		if a.Key != telemetry.KeyServiceName {
			tag(&j, b, a)
		}
	}
	j.Close(']')
	j.Close('}')
	n, ok := ps.byContent[string(j.B)]
	if !ok {
		n = len(ps.list)
		ps.list = append(ps.list, string(j.B))
		ps.byContent[ps.list[n]] = n
	}
	ps.byResource[resource] = n
	return n
}
