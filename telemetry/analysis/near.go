package analysis

import (
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Direction is which way edges are followed.
type Direction uint8

// The directions.
const (
	Both Direction = iota
	Up             // to callers
	Down           // to callees
)

// Near is the part of the graph that lies at most depth edges from one of the nodes named, with every edge between two of its nodes. Up and
// down are walked each for itself: a callee's other callers are not near. ids that the graph does not have are passed over. Nodes and edges keep
// the figures of the whole graph, so that a node shows requests of callers that are not near.
func (s *Shape) Near(ids []string, depth int, d Direction) *telemetry.Graph {
	var start []int32
	for _, id := range ids {
		if i, ok := s.at[id]; ok {
			start = append(start, i)
		}
	}
	in := make([]bool, len(s.g.Nodes))
	var kept []int32
	keep := func(w *ways) {
		_, order := w.walk(start, int32(min(depth, 1<<30)))
		for _, i := range order {
			if !in[i] {
				in[i] = true
				kept = append(kept, i)
			}
		}
	}
	if d != Down {
		keep(&s.in)
	}
	if d != Up {
		keep(&s.out)
	}
	slices.Sort(kept)
	g := &telemetry.Graph{Version: s.g.Version, Time: s.g.Time, Origin: s.g.Origin, Culprits: s.g.Culprits, Findings: s.g.Findings, Incomplete: s.g.Incomplete, Nodes: make([]telemetry.GraphNode, 0, len(kept)), Edges: []telemetry.GraphEdge{}}
	var edges []int32
	for _, i := range kept {
		g.Nodes = append(g.Nodes, s.g.Nodes[i])
		from, to := s.out.of(i)
		for at := from; at < to; at++ {
			if in[s.out.node[at]] {
				edges = append(edges, s.out.edge[at])
			}
		}
	}
	slices.Sort(edges)
	g.Edges = make([]telemetry.GraphEdge, 0, len(edges))
	for _, k := range edges {
		g.Edges = append(g.Edges, s.g.Edges[k])
	}
	return g
}
