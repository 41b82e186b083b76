package binnacle

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// meshOf is a graph of so many services, each of which calls others, all with traffic in every window.
func meshOf(services, edges int) *telemetry.Graph {
	g := &telemetry.Graph{Version: 1, Culprits: []string{}}
	windows := func(i int) map[string]telemetry.Signals {
		ws := map[string]telemetry.Signals{}
		for k, w := range []string{"1s", "10s", "1m", "5m"} {
			rate := float64((i*7919+k*31)%9973) / 10
			p50 := float64(1+(i*31+k)%997) / 100
			p90, p99 := 2.17*p50, 9.31*p50
			ws[w] = telemetry.Signals{Rate: rate, ErrorRate: rate / 50, P50: &p50, P90: &p90, P99: &p99}
		}
		return ws
	}
	for i := range services {
		ns, name := fmt.Sprintf("team-%02d", i*40/services), fmt.Sprintf("service-%05d", i)
		g.Nodes = append(g.Nodes, telemetry.GraphNode{
			ID: ns + "/" + name, Name: name, Namespace: ns, Cluster: "north-2", Kind: telemetry.NodeService, Versions: []string{"1.14.2"}, Health: telemetry.HealthOK,
			Windows: windows(i), LastSeen: 1_795_222_800e9,
		})
	}
	for i := range edges {
		s, t := &g.Nodes[i%services], &g.Nodes[(i%services+i/services*131+1)%services]
		g.Edges = append(g.Edges, telemetry.GraphEdge{
			ID: s.ID + ">" + t.ID + "|http", Source: s.ID, Target: t.ID, Protocol: telemetry.ProtocolHTTP, Health: telemetry.HealthOK, MTLS: -1,
			Windows: windows(i), Totals: telemetry.Totals{Requests: uint64(i * 1000), Errors: uint64(i)}, Witnesses: telemetry.WitnessCounts{ClientSpan: uint64(i * 1000), ServerSpan: uint64(i * 999)}, //nolint:gosec // not negative
			Exemplars: []telemetry.Exemplar{{TraceID: telemetry.TraceID{1, byte(i)}, SpanID: telemetry.SpanID{2}, Duration: 1e6, Time: 1_795_222_800e9}},
			FirstSeen: 1_795_222_000e9, LastSeen: 1_795_222_800e9,
		})
	}
	slices.SortFunc(g.Edges, func(a, b telemetry.GraphEdge) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return g
}

// BenchmarkSnapshot is what it takes to write the whole of 10,000 services and 50,000 edges, as one who joins the unfolded stream is sent them.
func BenchmarkSnapshot(b *testing.B) {
	g := meshOf(10_000, 50_000)
	var buf []byte
	buf = appendGraph(buf, g)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = appendGraph(buf[:0], g)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms")
}

// BenchmarkDelta is what it takes to find out and write what changed between two of these graphs, where so many edges did.
func BenchmarkDelta(b *testing.B) {
	before := meshOf(10_000, 50_000)
	for _, changed := range []int{5, 500, 5_000, 50_000} {
		b.Run(strconv.Itoa(changed), func(b *testing.B) {
			after := *before
			after.Edges = slices.Clone(before.Edges)
			for i := 0; i < len(after.Edges); i += len(after.Edges) / changed {
				after.Edges[i].LastSeen++
			}
			var buf []byte
			for b.Loop() {
				d := query.Diff(before, &after)
				if len(d.Edges) != changed {
					b.Fatal(len(d.Edges))
				}
				buf = appendDelta(buf[:0], &d)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(changed), "ns/changed")
		})
	}
}
