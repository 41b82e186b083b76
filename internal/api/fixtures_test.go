package api_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/binnacle-mesh/binnacle/internal/shelf"
	"github.com/binnacle-mesh/binnacle/telemetry"

	"github.com/binnacle-mesh/binnacle/internal/api/apitest"
)

// fixtures are the files of Jaeger's own repositories whose names match a pattern of path.Match, by their path. ok is false where
// the shelf is not beside this repository; our own, in testdata/jaeger, are there always.
func fixtures(t *testing.T, patterns ...string) (files map[string][]byte, ok bool) {
	t.Helper()
	files, ok = shelf.Others(t, shelf.Fixtures, func(name string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			ok, err := path.Match(p, name)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		})
	})
	if ok && len(files) < len(patterns) {
		t.Fatalf("of %v only %d files are on the shelf", patterns, len(files))
	}
	return files, ok
}

// readOTLP reads OTLP JSON with OpenTelemetry's own decoder.
func readOTLP(t tester, b []byte) ptrace.Traces {
	t.Helper()
	td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(b)
	if err != nil {
		t.Fatal(err)
	}
	return td
}

// batchOf is OpenTelemetry's model as a batch, span by span: what the collector
// does from the bytes, done naively.
func batchOf(td ptrace.Traces) *telemetry.Batch {
	b := telemetry.NewBatch()
	for _, rs := range td.ResourceSpans().All() {
		res := telemetry.Resource{Attrs: attrsOf(b, rs.Resource().Attributes())}
		if v, ok := rs.Resource().Attributes().Get("service.name"); ok {
			res.Identity.Service = b.InternString(v.Str())
		}
		b.Resources = append(b.Resources, res)
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				addPdataSpan(b, ss.Scope(), s)
			}
		}
	}
	return b
}

func addPdataSpan(b *telemetry.Batch, scope pcommon.InstrumentationScope, s ptrace.Span) {
	events := telemetry.Range{Start: uint32(len(b.Events)), Len: uint32(s.Events().Len())}
	for _, e := range s.Events().All() {
		b.Events = append(b.Events, telemetry.Event{Time: int64(e.Timestamp()), Name: b.InternString(e.Name()), Attrs: attrsOf(b, e.Attributes())})
	}
	links := telemetry.Range{Start: uint32(len(b.Links)), Len: uint32(s.Links().Len())}
	for _, l := range s.Links().All() {
		b.Links = append(b.Links, telemetry.Link{TraceID: telemetry.TraceID(l.TraceID()), SpanID: telemetry.SpanID(l.SpanID()), Attrs: attrsOf(b, l.Attributes())})
	}
	b.Spans = append(b.Spans, telemetry.Span{
		TraceID: telemetry.TraceID(s.TraceID()), SpanID: telemetry.SpanID(s.SpanID()), ParentID: telemetry.SpanID(s.ParentSpanID()),
		Start: int64(s.StartTimestamp()), Duration: int64(s.EndTimestamp() - s.StartTimestamp()),
		Name: b.InternString(s.Name()), StatusMessage: b.InternString(s.Status().Message()), TraceState: b.InternString(s.TraceState().AsRaw()),
		Resource: uint32(len(b.Resources) - 1), ScopeName: b.InternString(scope.Name()), ScopeVersion: b.InternString(scope.Version()),
		Attrs: attrsOf(b, s.Attributes()), Events: events, Links: links, Flags: s.Flags(),
		Kind: telemetry.SpanKind(s.Kind()), Status: telemetry.Status(s.Status().Code()),
	})
	b.FinishSpan(len(b.Spans) - 1)
}

func attrsOf(b *telemetry.Batch, m pcommon.Map) telemetry.Range {
	var list []apitest.Attr
	for k, v := range m.All() {
		switch v.Type() {
		case pcommon.ValueTypeInt:
			list = append(list, apitest.KV(k, int(v.Int())))
		case pcommon.ValueTypeDouble:
			list = append(list, apitest.KV(k, v.Double()))
		case pcommon.ValueTypeBool:
			list = append(list, apitest.KV(k, v.Bool()))
		case pcommon.ValueTypeBytes:
			list = append(list, apitest.KV(k, v.Bytes().AsRaw()))
		case pcommon.ValueTypeMap, pcommon.ValueTypeSlice:
			list = append(list, apitest.KV(k, apitest.JSONText(v.AsString())))
		default:
			list = append(list, apitest.KV(k, strings.Clone(v.AsString())))
		}
	}
	return apitest.AddAttrs(b, list...)
}

// traceByTrace is the traces of td, each alone, in the order of appearance.
func traceByTrace(td ptrace.Traces) []ptrace.Traces {
	var ids []pcommon.TraceID
	byID := map[pcommon.TraceID]ptrace.Traces{}
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				one, ok := byID[s.TraceID()]
				if !ok {
					one = ptrace.NewTraces()
					byID[s.TraceID()] = one
					ids = append(ids, s.TraceID())
				}
				r := one.ResourceSpans().AppendEmpty()
				rs.Resource().CopyTo(r.Resource())
				sc := r.ScopeSpans().AppendEmpty()
				ss.Scope().CopyTo(sc.Scope())
				s.CopyTo(sc.Spans().AppendEmpty())
			}
		}
	}
	out := make([]ptrace.Traces, len(ids))
	for i, id := range ids {
		out[i] = byID[id]
	}
	return out
}

func pcommonTime(ns uint64) pcommon.Timestamp { return pcommon.Timestamp(ns) }

// A tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
