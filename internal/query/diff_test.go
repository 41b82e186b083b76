package query_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// apply is the naive reader of a delta: the oracle.
func apply(g *telemetry.Graph, d *telemetry.GraphDelta) *telemetry.Graph {
	nodes := map[string]telemetry.GraphNode{}
	for _, n := range g.Nodes {
		nodes[n.ID] = n
	}
	for _, n := range d.Nodes {
		nodes[n.ID] = n
	}
	for _, id := range d.RemovedNodes {
		delete(nodes, id)
	}
	edges := map[string]telemetry.GraphEdge{}
	for _, e := range g.Edges {
		edges[e.ID] = e
	}
	for _, e := range d.Edges {
		edges[e.ID] = e
	}
	for _, id := range d.RemovedEdges {
		delete(edges, id)
	}
	out := &telemetry.Graph{Version: d.Version, Time: d.Time, Origin: g.Origin}
	for _, n := range nodes {
		out.Nodes = append(out.Nodes, n)
	}
	for _, e := range edges {
		out.Edges = append(out.Edges, e)
	}
	slices.SortFunc(out.Nodes, func(a, b telemetry.GraphNode) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(out.Edges, func(a, b telemetry.GraphEdge) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func drawSignals(t *rapid.T) map[string]telemetry.Signals {
	ws := map[string]telemetry.Signals{}
	for _, w := range []string{"1s", "10s"} {
		s := telemetry.Signals{Rate: float64(rapid.IntRange(0, 2).Draw(t, "rate"))}
		if s.Rate > 0 {
			p := float64(rapid.IntRange(0, 2).Draw(t, "p99"))
			s.P99 = &p
		}
		ws[w] = s
	}
	return ws
}

func drawNode(t *rapid.T, id string) telemetry.GraphNode {
	return telemetry.GraphNode{
		ID: id, Name: id, Health: telemetry.HealthOK, Windows: drawSignals(t),
		Versions: rapid.SliceOfN(rapid.SampledFrom([]string{"v1", "v2"}), 0, 2).Draw(t, "versions"),
		LastSeen: int64(rapid.IntRange(0, 2).Draw(t, "seen")),
	}
}

func drawEdge(t *rapid.T, id string) telemetry.GraphEdge {
	e := telemetry.GraphEdge{
		ID: id, Health: telemetry.HealthOK, Windows: drawSignals(t), MTLS: float64(rapid.IntRange(-1, 1).Draw(t, "mtls")),
		Totals: telemetry.Totals{Requests: uint64(rapid.IntRange(0, 2).Draw(t, "requests"))},
	}
	if rapid.Bool().Draw(t, "throttled") {
		e.ThrottledBy = []telemetry.RuleRate{{Rule: "r", Rate: 1}}
	}
	return e
}

// next is a graph some time after g: most objects shared with it, some changed,
// added or gone.
func next(t *rapid.T, g *telemetry.Graph) *telemetry.Graph {
	out := &telemetry.Graph{Version: g.Version + 1, Time: g.Time + 250, Origin: telemetry.OriginLive}
	before := map[string]int{}
	for i, n := range g.Nodes {
		before[n.ID] = i
	}
	for i := range 6 {
		id := fmt.Sprintf("n%d", i)
		at, had := before[id]
		switch choice := rapid.IntRange(0, 3).Draw(t, "node"); {
		case choice == 0:
		case choice == 1 || !had:
			out.Nodes = append(out.Nodes, drawNode(t, id))
		default:
			out.Nodes = append(out.Nodes, g.Nodes[at])
		}
	}
	edgesBefore := map[string]int{}
	for i, e := range g.Edges {
		edgesBefore[e.ID] = i
	}
	for i := range 6 {
		id := fmt.Sprintf("e%d", i)
		at, had := edgesBefore[id]
		switch choice := rapid.IntRange(0, 3).Draw(t, "edge"); {
		case choice == 0:
		case choice == 1 || !had:
			out.Edges = append(out.Edges, drawEdge(t, id))
		default:
			out.Edges = append(out.Edges, g.Edges[at])
		}
	}
	return out
}

// TestDiffLeadsFromOneGraphToTheOther holds Diff to its definition: whoever
// applies it has the new graph, and it names nothing that did not change.
func TestDiffLeadsFromOneGraphToTheOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		old := next(t, &telemetry.Graph{Origin: telemetry.OriginLive})
		now := next(t, old)
		d := query.Diff(old, now)
		if diff := cmp.Diff(now, apply(old, &d), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("applying the delta does not give the new graph (-want +got):\n%s", diff)
		}
		for _, n := range d.Nodes {
			if i := slices.IndexFunc(old.Nodes, func(o telemetry.GraphNode) bool { return o.ID == n.ID }); i >= 0 && cmp.Equal(old.Nodes[i], n, cmpopts.EquateEmpty()) {
				t.Fatalf("node %s is in the delta and did not change", n.ID)
			}
		}
		for _, e := range d.Edges {
			if i := slices.IndexFunc(old.Edges, func(o telemetry.GraphEdge) bool { return o.ID == e.ID }); i >= 0 && cmp.Equal(old.Edges[i], e, cmpopts.EquateEmpty()) {
				t.Fatalf("edge %s is in the delta and did not change", e.ID)
			}
		}
		same := query.Diff(now, now)
		if !query.Empty(&same) {
			t.Fatal("a graph differs from itself")
		}
	})
}

// TestDiffNoticesEveryField changes one field after another: a field that Diff
// forgets would freeze on every page.
func TestDiffNoticesEveryField(t *testing.T) {
	t.Parallel()
	p := func(f float64) *float64 { return &f }
	node := func() telemetry.GraphNode {
		return telemetry.GraphNode{ID: "a", Versions: []string{"v1"}, Windows: map[string]telemetry.Signals{"1s": {Rate: 1, P50: p(1)}}}
	}
	edge := func() telemetry.GraphEdge {
		return telemetry.GraphEdge{ID: "a", Windows: map[string]telemetry.Signals{"1s": {Rate: 1, P50: p(1)}}}
	}
	nodes := map[string]func(*telemetry.GraphNode){
		"name":          func(n *telemetry.GraphNode) { n.Name = "x" },
		"namespace":     func(n *telemetry.GraphNode) { n.Namespace = "x" },
		"cluster":       func(n *telemetry.GraphNode) { n.Cluster = "x" },
		"kind":          func(n *telemetry.GraphNode) { n.Kind = telemetry.NodeQueue },
		"system":        func(n *telemetry.GraphNode) { n.System = "x" },
		"versions":      func(n *telemetry.GraphNode) { n.Versions = []string{"v1", "v2"} },
		"health":        func(n *telemetry.GraphNode) { n.Health = telemetry.HealthFailing },
		"last seen":     func(n *telemetry.GraphNode) { n.LastSeen = 1 },
		"windows":       func(n *telemetry.GraphNode) { n.Windows = nil },
		"window's name": func(n *telemetry.GraphNode) { n.Windows = map[string]telemetry.Signals{"2s": {Rate: 1, P50: p(1)}} },
		"rate":          func(n *telemetry.GraphNode) { n.Windows["1s"] = telemetry.Signals{Rate: 2, P50: p(1)} },
		"error rate":    func(n *telemetry.GraphNode) { n.Windows["1s"] = telemetry.Signals{Rate: 1, ErrorRate: 1, P50: p(1)} },
		"throttled rate": func(n *telemetry.GraphNode) {
			n.Windows["1s"] = telemetry.Signals{Rate: 1, ThrottledRate: 1, P50: p(1)}
		},
		"p50":             func(n *telemetry.GraphNode) { n.Windows["1s"] = telemetry.Signals{Rate: 1, P50: p(2)} },
		"p50 gone":        func(n *telemetry.GraphNode) { n.Windows["1s"] = telemetry.Signals{Rate: 1} },
		"p90 that is new": func(n *telemetry.GraphNode) { n.Windows["1s"] = telemetry.Signals{Rate: 1, P50: p(1), P90: p(1)} },
		"p99 that is new": func(n *telemetry.GraphNode) { n.Windows["1s"] = telemetry.Signals{Rate: 1, P50: p(1), P99: p(1)} },
	}
	for name, change := range nodes {
		a, b := node(), node()
		change(&b)
		d := query.Diff(&telemetry.Graph{Nodes: []telemetry.GraphNode{a}}, &telemetry.Graph{Nodes: []telemetry.GraphNode{b}})
		if len(d.Nodes) != 1 || len(d.RemovedNodes) != 0 {
			t.Errorf("a node's %s changed, and the delta is %+v", name, d)
		}
	}
	edges := map[string]func(*telemetry.GraphEdge){
		"source":       func(e *telemetry.GraphEdge) { e.Source = "x" },
		"target":       func(e *telemetry.GraphEdge) { e.Target = "x" },
		"protocol":     func(e *telemetry.GraphEdge) { e.Protocol = telemetry.ProtocolTCP },
		"health":       func(e *telemetry.GraphEdge) { e.Health = telemetry.HealthFailing },
		"windows":      func(e *telemetry.GraphEdge) { e.Windows = nil },
		"totals":       func(e *telemetry.GraphEdge) { e.Totals.Errors = 1 },
		"witnesses":    func(e *telemetry.GraphEdge) { e.Witnesses.ServerLog = 1 },
		"estimate":     func(e *telemetry.GraphEdge) { e.Estimate = &telemetry.Estimate{} },
		"mtls":         func(e *telemetry.GraphEdge) { e.MTLS = 1 },
		"throttled by": func(e *telemetry.GraphEdge) { e.ThrottledBy = []telemetry.RuleRate{{Rule: "r"}} },
		"exemplars":    func(e *telemetry.GraphEdge) { e.Exemplars = []telemetry.Exemplar{{TraceID: telemetry.TraceID{1}}} },
		"first seen":   func(e *telemetry.GraphEdge) { e.FirstSeen = 1 },
		"last seen":    func(e *telemetry.GraphEdge) { e.LastSeen = 1 },
	}
	for name, change := range edges {
		a, b := edge(), edge()
		change(&b)
		d := query.Diff(&telemetry.Graph{Edges: []telemetry.GraphEdge{a}}, &telemetry.Graph{Edges: []telemetry.GraphEdge{b}})
		if len(d.Edges) != 1 || len(d.RemovedEdges) != 0 {
			t.Errorf("an edge's %s changed, and the delta is %+v", name, d)
		}
	}
}

// BenchmarkDiff is a second's walk over 5,000 services and 50,000 edges, a
// hundredth of which changed; shared is what it costs when topology shares what did
// not, and copied when it shares nothing. The ratio is of the two.
func BenchmarkDiff(b *testing.B) {
	build := func() *telemetry.Graph {
		g := &telemetry.Graph{}
		for i := range 50_000 {
			ws := map[string]telemetry.Signals{}
			for _, w := range []string{"1s", "10s", "1m", "5m"} {
				f := float64(i)
				ws[w] = telemetry.Signals{Rate: f, P50: &f, P90: &f, P99: &f}
			}
			g.Edges = append(g.Edges, telemetry.GraphEdge{ID: fmt.Sprintf("e%05d", i), Windows: ws})
		}
		return g
	}
	old := build()
	changed := func(g *telemetry.Graph) *telemetry.Graph {
		out := &telemetry.Graph{Edges: slices.Clone(g.Edges)}
		for i := 0; i < len(out.Edges); i += 100 {
			out.Edges[i].LastSeen++
		}
		return out
	}
	shared, copied := changed(old), changed(build())
	var perShared float64
	b.Run("shared", func(b *testing.B) {
		for b.Loop() {
			if d := query.Diff(old, shared); len(d.Edges) != 500 {
				b.Fatal(len(d.Edges))
			}
		}
		perShared = float64(b.Elapsed()) / float64(b.N)
	})
	b.Run("copied", func(b *testing.B) {
		for b.Loop() {
			if d := query.Diff(old, copied); len(d.Edges) != 500 {
				b.Fatal(len(d.Edges))
			}
		}
		b.ReportMetric(float64(b.Elapsed())/float64(b.N)/perShared, "x-shared")
	})
}
