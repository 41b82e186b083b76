package binnacle

import (
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

func appendSearch(b []byte, found []telemetry.TraceSummary, stats telemetry.SearchStats) []byte {
	j := jsonout.Writer{B: b}
	j.Open('{')
	j.Key("traces")
	jsonout.List(&j, found, writeSummary)
	j.Key("searched").Open('{')
	j.Key("spans").Int(int64(stats.Spans))
	j.Key("blocks").Int(int64(stats.Blocks))
	j.Key("took").Millis(stats.Took.Nanoseconds())
	j.Close('}')
	writeIncomplete(&j, stats.Damaged)
	j.Close('}')
	return j.B
}

func writeSummary(j *jsonout.Writer, t *telemetry.TraceSummary) {
	j.Open('{')
	j.Key("trace_id").Hex(t.TraceID[:])
	j.Key("start").Millis(t.Start)
	j.Key("duration").Millis(t.Duration)
	j.Field("root_service", t.RootService)
	j.Field("root_operation", t.RootOperation)
	j.Key("spans").Int(int64(t.Spans))
	j.Key("errors").Int(int64(t.Errors))
	j.Key("services")
	jsonout.List(j, t.Services, func(j *jsonout.Writer, s *telemetry.ServiceSpans) {
		j.Open('{')
		j.Field("name", s.Name)
		j.Key("spans").Int(int64(s.Spans))
		j.Close('}')
	})
	j.Close('}')
}

func appendTrace(b []byte, t *query.Trace) []byte {
	j := jsonout.Writer{B: b}
	j.Open('{')
	j.Key("trace_id").Hex(t.ID[:])
	j.Key("start").Millis(t.Start)
	j.Key("duration").Millis(t.End - t.Start)
	j.Key("spans").Open('[')
	for _, i := range t.Spans {
		writeSpan(&j, t, &t.Batch.Spans[i])
	}
	j.Close(']')
	j.Key("requests").Open('[')
	for _, i := range t.Requests {
		writeRequest(&j, t, &t.Batch.Requests[i])
	}
	j.Close(']')
	writeIncomplete(&j, t.Damaged)
	j.Close('}')
	return j.B
}

// writeIncomplete names what could not be read, so that the answer may lack what it held. An answer that lacks nothing does not have the field.
func writeIncomplete(j *jsonout.Writer, damaged []telemetry.Damage) {
	if len(damaged) == 0 {
		return
	}
	jsonout.List(j.Key("incomplete"), damaged, func(j *jsonout.Writer, d *telemetry.Damage) {
		j.Open('{')
		j.Field("file", d.File)
		j.Field("reason", d.Reason)
		j.Close('}')
	})
}

func writeSpan(j *jsonout.Writer, t *query.Trace, s *telemetry.Span) {
	b := t.Batch
	res := &b.Resources[s.Resource]
	j.Open('{')
	j.Key("span_id").Hex(s.SpanID[:])
	j.Key("parent_span_id").SpanID(s.ParentID)
	j.Field("name", b.Str(s.Name))
	j.Field("kind", s.Kind.String())
	j.Field("service", t.Service(s))
	j.Field("namespace", b.Str(res.Identity.Namespace))
	j.Field("version", b.Str(res.Identity.Version))
	j.Key("start").Millis(s.Start - t.Start)
	j.Key("duration").Millis(s.Duration)
	j.Field("status", s.Status.String())
	j.Field("status_message", b.Str(s.StatusMessage))
	j.Key("attributes").Attributes(b, s.Attrs)
	j.Key("resource").Attributes(b, res.Attrs)
	j.Key("events")
	jsonout.List(j, b.EventsOf(s), func(j *jsonout.Writer, e *telemetry.Event) {
		j.Open('{')
		j.Key("time").Millis(e.Time - t.Start)
		j.Field("name", b.Str(e.Name))
		j.Key("attributes").Attributes(b, e.Attrs)
		j.Close('}')
	})
	j.Key("links")
	jsonout.List(j, b.LinksOf(s), func(j *jsonout.Writer, l *telemetry.Link) {
		j.Open('{')
		j.Key("trace_id").Hex(l.TraceID[:])
		j.Key("span_id").Hex(l.SpanID[:])
		j.Key("attributes").Attributes(b, l.Attrs)
		j.Close('}')
	})
	j.Close('}')
}

// writeRequest writes an entry of a proxy's log: service called target, and side says
// whose proxy wrote it.
func writeRequest(j *jsonout.Writer, t *query.Trace, r *telemetry.Request) {
	b := t.Batch
	service, target := query.ServiceOf(b, r.Resource), peerName(b, r)
	if r.Side == telemetry.SideServer {
		service, target = target, service
	}
	path, _, _ := strings.Cut(b.Str(r.Path), "?") // what follows may be a secret
	j.Open('{')
	j.Field("service", service)
	j.Field("target", target)
	j.Field("side", r.Side.String())
	j.Field("method", b.Str(r.Method))
	j.Field("path", path)
	j.Key("code").Int(int64(r.Code))
	j.Field("flags", r.Response.String())
	j.Key("start").Millis(r.Start - t.Start)
	j.Key("duration").Millis(r.Duration)
	j.Close('}')
}

// peerName is the other end of a logged request by the best name that the
// entry has; "" where it has none.
func peerName(b *telemetry.Batch, r *telemetry.Request) string {
	for _, id := range [...]telemetry.StrID{r.Peer.Service, r.Peer.Workload} {
		if id != 0 {
			return b.Str(id)
		}
	}
	if r.Side == telemetry.SideServer {
		return ""
	}
	for _, host := range [...]string{telemetry.ParseClusterName(b.Str(r.Cluster)).Host, b.Str(r.Authority)} {
		if host != "" {
			name, _, _ := telemetry.ClassifyHost(host)
			return name
		}
	}
	return ""
}
