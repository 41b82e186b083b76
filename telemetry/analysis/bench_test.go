package analysis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// large is a mesh as large as the largest that was published: layers of services, each calling mostly what lies below it, a few popular ones most, and
// back edges calls to services above.
func large(services, edges, back int) *telemetry.Graph {
	r := rand.New(rand.NewPCG(1, 2))
	g := &telemetry.Graph{Version: 1, Nodes: make([]telemetry.GraphNode, services)}
	for i := range g.Nodes {
		name := fmt.Sprintf("ms-%06d", i)
		g.Nodes[i] = telemetry.GraphNode{ID: "team-" + name[5:7] + "/" + name, Name: name, Kind: telemetry.NodeService, Windows: map[string]telemetry.Signals{}}
	}
	slices.SortFunc(g.Nodes, func(a, b telemetry.GraphNode) int { return strings.Compare(a.ID, b.ID) })
	rank := r.Perm(services)
	seen := map[[2]int]bool{}
	for len(g.Edges) < edges {
		s := int(float64(services) * r.Float64() * r.Float64())
		d := s + 1 + int(float64(services-s)*r.Float64()*r.Float64())
		if len(g.Edges) < back {
			s, d = d, s
		}
		if s >= services || d >= services || seen[[2]int{s, d}] {
			continue
		}
		seen[[2]int{s, d}] = true
		a, b := g.Nodes[rank[s]].ID, g.Nodes[rank[d]].ID
		rate := map[string]telemetry.Signals{}
		for _, w := range []string{"1s", "10s", "1m", "5m"} {
			rate[w] = telemetry.Signals{Rate: float64(1 + r.IntN(100))}
		}
		g.Edges = append(g.Edges, telemetry.GraphEdge{ID: a + ">" + b + "|http", Source: a, Target: b, Windows: rate})
	}
	slices.SortFunc(g.Edges, func(a, b telemetry.GraphEdge) int { return strings.Compare(a.ID, b.ID) })
	return g
}

// BenchmarkLarge prints what each question takes of 70,000 services and 500,000 edges: go test -bench Large ./telemetry/analysis.
func BenchmarkLarge(b *testing.B) {
	for _, m := range []struct {
		name string
		back int
	}{{"layers", 0}, {"cyclic", 5000}} {
		b.Run(m.name, func(b *testing.B) {
			g := large(70_000, 500_000, m.back)
			same := *g
			same.Edges, same.Nodes = slices.Clone(g.Edges), slices.Clone(g.Nodes)
			s := NewShape(g, nil)
			f := NewFlow(s, "1m")
			f.components()
			most, _ := busiest(s)
			run := func(name string, do func(i int)) {
				b.Run(name, func(b *testing.B) {
					i := 0
					for b.Loop() {
						do(i)
						i++
					}
				})
			}
			id := func(i int) string { return g.Nodes[i*7919%len(g.Nodes)].ID }
			run("shape", func(int) { NewShape(g, nil) })
			run("shape-taken-over", func(int) { NewShape(&same, s) })
			run("flow", func(int) { NewFlow(s, "1m") })
			run("components", func(int) { findComponents(&s.out) })
			run("cycles", func(int) { s.Cycles() })
			run("cuts", func(int) { s.Cuts() })
			run("two-hops", func(i int) { s.Near([]string{id(i)}, 2, Both) })
			run("two-hops-of-the-busiest", func(int) { s.Near([]string{most}, 2, Both) })
			run("up", func(i int) { f.Up(id(i)) })
			run("down", func(i int) { f.Down(id(i)) })
			run("up-of-the-busiest", func(int) { f.Up(most) })
			run("most", func(int) { r, _ := f.Up(most); Most(r.Touched, 100) })
		})
	}
}

// busiest is the node with the most callers.
func busiest(s *Shape) (id string, callers int32) {
	for i := range s.g.Nodes {
		if from, to := s.in.of(int32(i)); to-from > callers {
			id, callers = s.g.Nodes[i].ID, to-from
		}
	}
	return id, callers
}
