package api

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// BenchmarkTrace is a trace of 10,000 spans put in order and written, in each of the
// three tongues. The ratio is to encoding/json only looking whether the same bytes
// are valid.
func BenchmarkTrace(b *testing.B) {
	batch := telemetry.NewBatch()
	res := addResource(batch, "cart", "shop", "v1")
	for i := range 10_000 {
		addSpan(batch, telemetry.Span{
			TraceID: traceID(1), SpanID: telemetry.SpanID{6: byte(i >> 8), 7: byte(i)}, ParentID: telemetry.SpanID{7: 1},
			Start: at(0) + int64(i)*1000, Duration: 5_123_456, Resource: res, Kind: telemetry.KindServer,
		}, fmt.Sprintf("GET /cart/%d", i%50), kv{"http.request.method", "GET"}, kv{"http.response.status_code", 200}, kv{"url.path", "/cart"})
	}
	for name, write := range map[string]func(*jsonWriter, *query.Trace){
		"own":    func(j *jsonWriter, t *query.Trace) { j.b = appendTrace(j.b, t) },
		"jaeger": func(j *jsonWriter, t *query.Trace) { j.legacyTrace(t) },
		"otlp":   func(j *jsonWriter, t *query.Trace) { j.otlpTraces([]*query.Trace{t}) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			j := jsonWriter{}
			for b.Loop() {
				j = jsonWriter{b: j.b[:0]}
				write(&j, query.NewTrace(traceID(1), batch))
			}
			per := float64(b.Elapsed()) / float64(b.N)
			const scans = 20
			start := time.Now()
			for range scans {
				if !json.Valid(j.b) {
					b.Fatal("not JSON")
				}
			}
			b.ReportMetric(per/(float64(time.Since(start))/scans), "x-scan")
			b.ReportMetric(float64(len(j.b))/1e6, "MB")
		})
	}
}
