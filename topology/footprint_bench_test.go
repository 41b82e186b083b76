package topology

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
	"github.com/binnacle-mesh/binnacle/topology/annals"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// BenchmarkFootprint prints how many bytes an edge takes, by what they are for, when ten thousand requests a second, of each of which both spans came, have
// been spread over the edges for somewhat more than five minutes: some edges have forty a second, half of them less than one in seven seconds. How long
// requests take is spread as it is in real services, over some twenty buckets an edge, and one in fifty fails.
//
// What is the nodes' is printed a node: a graph of a fifth of the edges on the same nodes is taken off.
func BenchmarkFootprint(b *testing.B) {
	const services, most, rate, seconds = 10_000, 50_000, 10_000, 310
	for range b.N {
		var of [2]footprint
		for i, edges := range []int{most / 5, most} {
			of[i] = footprintOf(b, services, edges, rate*edges/most, seconds)
		}
		edge := func(what func(*footprint) float64) float64 { return (what(&of[1]) - what(&of[0])) / (most - most/5) }
		graph := edge(func(f *footprint) float64 { return f.graph })
		b.ReportMetric(graph, "B/edge-graph")
		b.ReportMetric(edge(func(f *footprint) float64 { return f.counters }), "B/edge-counters-of-those")
		b.ReportMetric(edge(func(f *footprint) float64 { return f.judge }), "B/edge-judge")
		b.ReportMetric(edge(func(f *footprint) float64 { return f.events }), "B/edge-events")
		b.ReportMetric(edge(func(f *footprint) float64 { return f.drawn }), "B/edge-drawn")
		b.ReportMetric(edge(func(f *footprint) float64 { return f.all() }), "B/edge-all")
		b.ReportMetric((of[1].graph-graph*most)/services, "B/node-graph")
	}
}

// footprint is what of a graph takes how many bytes.
type footprint struct {
	drawn    float64 // the latest snapshot, and what is kept to draw the next
	events   float64
	findings float64
	judge    float64
	graph    float64 // edges, nodes, and what is counted of them
	counters float64 // of the graph, what is counted
}

func (f *footprint) all() float64 { return f.drawn + f.events + f.findings + f.judge + f.graph }

// footprintOf feeds a graph, and then takes away one part after the other.
func footprintOf(b *testing.B, services, edges, rate, seconds int) (f footprint) {
	b.Helper()
	cfg := DefaultConfig()
	cfg.MaxNodes, cfg.MaxEdges, cfg.MaxPending = 2*services, 2*edges, 1<<20
	before := inUse()
	t := New(cfg)
	now := int64(storyStart)
	skewedLoad(services, edges, rate, seconds, func(batch *telemetry.Batch) {
		now += 1e8
		batch.Received = now
		t.Consume(telemetry.Entry{Position: t.Applied() + 1, Batch: batch})
		if now%1e9 == 0 {
			t.Tick(now)
		}
	})
	for range 12 { // until nothing waits
		now += 1e9
		t.Tick(now)
	}
	t.Snapshot()
	if t.edges.live < edges*9/10 || t.Stats().Pending > 0 {
		b.Fatalf("%d edges, and %d halves wait", t.edges.live, t.Stats().Pending)
	}
	// What waits is of spans, and bounded by itself.
	t.pending, t.lates, t.door, t.repeats, t.observed, t.scratch, t.hub = pair.New(16, 1), lates{}, recent{}, recent{}, observations{}, scratch{}, hub{}
	left := inUse()
	less := func(part *float64) {
		now := inUse()
		*part, left = left-now, now
	}
	t.pub.current.Store(&telemetry.Graph{})
	t.pub.nodeOrder, t.pub.dirtyEdges, t.pub.dirtyNodes = nil, nil, nil
	for _, e := range t.edges.list {
		if e != nil {
			e.drawn = drawnEdge{}
		}
	}
	for _, n := range t.nodes.list {
		if n != nil {
			n.drawn = drawnNode{}
		}
	}
	less(&f.drawn)
	t.events.annals = annals.New(cfg.annals())
	for _, e := range t.edges.list {
		if e != nil {
			e.kin = nil
		}
	}
	less(&f.events)
	t.doubts = doubts{}
	for _, n := range t.nodes.list {
		if n != nil {
			n.noticed = nil
		}
	}
	less(&f.findings)
	t.observant = observant{}
	for _, e := range t.edges.list {
		if e != nil {
			e.watch = health.Watch{}
		}
	}
	for _, n := range t.nodes.list {
		if n != nil {
			n.watch = health.Watch{}
		}
	}
	less(&f.judge)
	f.graph = left - before
	for _, e := range t.edges.list {
		if e != nil {
			clear(e.acc[:])
		}
	}
	less(&f.counters)
	runtime.KeepAlive(t)
	return f
}

// skewedLoad gives feed a batch of whole hops for each tenth of a second: the k-th of the edges has a part of the requests that falls with the root of k.
func skewedLoad(services, edges, rate, seconds int, feed func(*telemetry.Batch)) {
	r := rand.New(rand.NewPCG(1, 2))
	fan := edges / services
	var id uint64
	for range 10 * seconds {
		batch := telemetry.NewBatch()
		resources := map[string]uint32{}
		for range rate / 10 {
			u := r.Float64()
			k := int(float64(edges) * u * u)
			if r.IntN(4) == 0 {
				k = r.IntN(edges)
			}
			from, nth := k%services, k/services%max(fan, 1)
			to := (from*7 + nth*131 + 1) % services
			usual := 1e6 * float64(1+k%50)
			took := int64(usual * math.Exp(r.NormFloat64()/2))
			outcome := telemetry.OutcomeOK
			if r.IntN(50) == 0 {
				outcome = telemetry.OutcomeError
			}
			id += 2
			call := telemetry.Span{
				TraceID: telemetry.TraceID(append(id64raw(id), id64raw(r.Uint64())...)), SpanID: id64(id), Kind: telemetry.KindClient, Resource: addResource(batch, resources, fmt.Sprintf("mesh/service-%d@v1", from)),
				Peer: batch.InternString(fmt.Sprintf("service-%d", to)), PeerNamespace: batch.InternString("mesh"), PeerKind: telemetry.NodeService,
				Protocol: telemetry.ProtocolHTTP, Duration: took, Outcome: outcome,
			}
			served := call
			served.SpanID, served.ParentID, served.Kind, served.Resource = id64(id+1), call.SpanID, telemetry.KindServer, addResource(batch, resources, fmt.Sprintf("mesh/service-%d@v1", to))
			served.Peer, served.PeerNamespace, served.PeerKind, served.Duration = 0, 0, 0, took*9/10
			batch.Spans = append(batch.Spans, call, served)
		}
		feed(batch)
	}
}

func id64raw(n uint64) []byte {
	id := id64(n)
	return id[:]
}

// inUse is how many bytes are in use.
func inUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
