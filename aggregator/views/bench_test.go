package views

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// busyMesh is some minutes of so many edges with two witnesses each.
func busyMesh(b *testing.B, edges, minutes int) *mesh {
	m := newMesh(b, b.TempDir())
	b.Cleanup(m.close)
	r := rand.New(rand.NewPCG(1, 2))
	for range 12 * minutes {
		for i := range edges {
			e := m.edge(telemetry.Edge{Source: node("shop", fmt.Sprint("a", i%10)), Target: node("shop", fmt.Sprint("b", i)), Protocol: telemetry.ProtocolHTTP})
			for side := range telemetry.Side(2) {
				for range 3 {
					m.agg.Observe(telemetry.Observed{Requests: []telemetry.Observation{{
						Edge: e, At: m.now.UnixNano(), Duration: int64(2e6 * (1 + 10*r.ExpFloat64())), Side: side, Evidence: telemetry.EvidenceLog, Code: 200,
					}}})
				}
			}
		}
		m.step(5 * time.Second)
	}
	return m
}

func (m *mesh) ranged(b *testing.B, expr string) time.Duration {
	begin := time.Now()
	q, err := m.engine.NewRangeQuery(context.Background(), m.views, nil, expr, m.now.Add(-25*time.Minute), m.now, 15*time.Second)
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	if r := q.Exec(context.Background()); r.Err != nil {
		b.Fatal(r.Err)
	}
	return time.Since(begin)
}

// BenchmarkRangeQuery is a dashboard's quantile by a view's classic buckets,
// beside the same by the canonical native histograms.
func BenchmarkRangeQuery(b *testing.B) {
	m := busyMesh(b, 100, 30)
	const (
		native  = `histogram_quantile(0.9, sum by (destination) (rate(binnacle_edge_duration_seconds{side="server"}[1m])))`
		classic = `histogram_quantile(0.9, sum by (destination_service, le) (rate(istio_request_duration_milliseconds_bucket{reporter="destination"}[1m])))`
		total   = `sum by (destination_service) (rate(istio_requests_total{reporter="destination"}[1m]))`
	)
	base := min(m.ranged(b, native), m.ranged(b, native))
	for _, c := range []struct{ name, expr string }{{"native", native}, {"classic", classic}, {"total", total}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				m.ranged(b, c.expr)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(base.Nanoseconds()), "x_native")
		})
	}
}

// BenchmarkPastGraph is the graph of a quarter of an hour, a series: where no
// latency is compared with the time before, and where all are, so that the quarter before is read as well.
func BenchmarkPastGraph(b *testing.B) {
	m := busyMesh(b, 100, 30)
	calm := health.DefaultConfig()
	calm.LatencyFloor = time.Hour
	for _, c := range []struct {
		name string
		rule health.Config
	}{{"calm", calm}, {"compared", health.DefaultConfig()}} {
		b.Run(c.name, func(b *testing.B) {
			r := aggregator.NewGraphReader(m.db, c.rule, nil)
			for b.Loop() {
				g, err := r.Graph(context.Background(), m.now.Add(-15*time.Minute), m.now)
				if err != nil || len(g.Edges) != 100 {
					b.Fatal(g, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/200, "ns/series")
		})
	}
}

// BenchmarkPastHour is the graph of the last hour, judged as it was, of as many edges as the shop of the other figures has, and of more.
func BenchmarkPastHour(b *testing.B) {
	for _, edges := range []int{120, 1000} {
		b.Run(strconv.Itoa(edges), func(b *testing.B) {
			m := busyMesh(b, edges, 75)
			r := aggregator.NewGraphReader(m.db, health.DefaultConfig(), nil)
			b.ResetTimer()
			for b.Loop() {
				g, err := r.Graph(context.Background(), m.now.Add(-time.Hour), m.now)
				if err != nil || len(g.Edges) != edges {
					b.Fatal(g, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms")
		})
	}
}
