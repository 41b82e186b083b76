package aggregator

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// spanBatch is a batch as a busy proxy sends it: services times operations,
// each span with ten attributes.
func spanBatch(spans, services, operations int, name func(i int) string) *telemetry.Batch {
	b := telemetry.NewBatch()
	b.Received = 1_700_000_000e9
	r := rand.New(rand.NewPCG(1, 2))
	for s := range services {
		b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{
			Service: b.InternString(fmt.Sprintf("service-%d", s)), Namespace: b.InternString("shop"), Version: b.InternString("v1"),
		}})
	}
	for i := range spans {
		at := uint32(len(b.Attrs))
		for k := range 10 {
			b.Attrs = append(b.Attrs, telemetry.Attr{Key: telemetry.StrID(k + 20), Type: telemetry.AttrInt, Value: 200})
		}
		sp := telemetry.Span{
			Start: b.Received, Duration: int64(1e6 * (1 + 20*r.ExpFloat64())), Resource: uint32(i % services),
			Name: b.InternString(name(i % operations)), Kind: telemetry.KindServer, Attrs: telemetry.Range{Start: at, Len: 10},
		}
		sp.TraceID[0], sp.SpanID[0] = byte(i+1), byte(i+1)
		b.Spans = append(b.Spans, sp)
	}
	return b
}

func benchConfig() Config {
	c := DefaultConfig()
	c.MaxOperations = 1000
	return c
}

func newBench() *Aggregator { return New(benchConfig(), prometheus.NewRegistry()) }

// BenchmarkConsume is the cost of a span in the core, beside a bare walk over
// the same spans that adds up their durations.
func BenchmarkConsume(b *testing.B) {
	for _, c := range []struct {
		label string
		name  func(int) string
	}{
		{"plain", func(i int) string { return fmt.Sprintf("operation%c", 'a'+i) }},
		{"paths", func(i int) string { return fmt.Sprintf("GET /api/users/%d/orders", i) }},
	} {
		b.Run(c.label, func(b *testing.B) {
			batch := spanBatch(500, 10, 20, c.name)
			a := newBench()
			var pos telemetry.Position
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				pos++
				if err := a.Consume(telemetry.Entry{Position: pos, Batch: batch}); err != nil {
					b.Fatal(err)
				}
			}
			perSpan := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / 500
			b.ReportMetric(perSpan, "ns/span")
			b.ReportMetric(perSpan/walk(batch), "x_walk")
		})
	}
}

// walk is the baseline: nanoseconds a span for reading what Consume reads.
func walk(batch *telemetry.Batch) float64 {
	const rounds = 2000
	var sum int64
	begin := time.Now()
	for range rounds {
		for i := range batch.Spans {
			s := &batch.Spans[i]
			sum += s.Duration + int64(s.Name) + int64(s.Resource)
		}
	}
	took := time.Since(begin)
	if sum == 0 {
		return 1
	}
	return float64(took.Nanoseconds()) / rounds / float64(len(batch.Spans))
}

func BenchmarkObserve(b *testing.B) {
	a := newBench()
	edges := make([]*telemetry.Edge, 200)
	for i := range edges {
		edges[i] = &telemetry.Edge{
			Source:   telemetry.Endpoint{Node: telemetry.Node{Kind: telemetry.NodeService, Name: fmt.Sprint("a", i)}},
			Target:   telemetry.Endpoint{Node: telemetry.Node{Kind: telemetry.NodeService, Name: fmt.Sprint("b", i)}},
			Protocol: telemetry.ProtocolHTTP,
		}
	}
	plain := map[*telemetry.Edge]int64{}
	obs := make([]telemetry.Observation, 4096)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range obs {
		obs[i] = telemetry.Observation{
			Edge: edges[r.IntN(len(edges))], At: 1, Duration: int64(1e6 * (1 + 20*r.ExpFloat64())), Code: 200 + int32(r.IntN(4)),
			Side: telemetry.Side(r.IntN(2)), Evidence: telemetry.Evidence(r.IntN(2)), TraceID: telemetry.TraceID{1},
		}
	}
	a.Observe(observed(a, obs...))
	b.ReportAllocs()
	b.ResetTimer()
	i := 0
	for b.Loop() {
		a.Observe(telemetry.Observed{Requests: obs[i&4095 : i&4095+1]})
		i++
	}
	per := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	begin := time.Now()
	for j := range 1 << 20 {
		plain[obs[j&4095].Edge]++
	}
	b.ReportMetric(per/(float64(time.Since(begin).Nanoseconds())/(1<<20)), "x_map_lookup")
}

func BenchmarkAppendOperation(b *testing.B) {
	name := "GET /api/v1/users/550e8400-e29b-41d4-a716-446655440000/orders/12345"
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendOperation(buf[:0], name)
	}
}
